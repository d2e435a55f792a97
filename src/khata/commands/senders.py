"""`khata senders add | list | renew | close | feed`: who may send meter data by the network, and whose days it owes.

A credential is printed once, when it is made: only its hash is stored.
"""

import argparse
import json
import re
import sys

from khata.commands.errors import CommandError
from khata.commands.whole_files import reading
from khata.formats.csvfile import read_table
from khata.formats.text import FormatError, iso_date
from khata.metering.senders import (
    SenderError,
    add_sender,
    close_sender,
    feed,
    renew_credential,
    senders,
)

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="add|list|renew|close|feed")
    add = verbs.add_parser("add", help="a new sender, with its credential", allow_abbrev=False)
    add.add_argument("code", metavar="CODE")
    add.add_argument("--name", required=True, metavar="TEXT", help="the company, as reports name it")
    listed = verbs.add_parser("list", help="all of them", allow_abbrev=False)
    listed.add_argument("--json", action="store_true")
    renew = verbs.add_parser("renew", help="a new credential; the old one opens nothing any more", allow_abbrev=False)
    renew.add_argument("code", metavar="CODE")
    close = verbs.add_parser("close", help="it can send no more", allow_abbrev=False)
    close.add_argument("code", metavar="CODE")
    fed = verbs.add_parser("feed", help="whose days it owes", allow_abbrev=False)
    fed.add_argument("code", metavar="CODE")
    fed.add_argument("--file", required=True, metavar="FILE", help="CSV with a column meter; - is standard input")
    fed.add_argument("--from", dest="first", required=True, metavar="DATE", help="the first day, like 2024-06-01")


def run(args: argparse.Namespace) -> int:
    try:
        return {"add": _add, "list": _list, "renew": _renew, "close": _close, "feed": _feed}[args.verb](args)
    except SenderError as no:
        raise CommandError(str(no), f"senders {args.verb}", no.next_step) from None


def _add(args: argparse.Namespace) -> int:
    name = " ".join(args.name.split())
    if not _CODE.fullmatch(args.code):
        raise CommandError(f"{args.code!r} is no code", "CODE", "Use up to 32 letters, digits, points and hyphens")
    if not name or not name.isprintable():
        raise CommandError("the name is empty, or cannot be printed", "--name", "Write the company's name")
    return _told(add_sender(code=args.code, name=name, actor="command"), args.code)


def _renew(args: argparse.Namespace) -> int:
    return _told(renew_credential(code=args.code, actor="command"), args.code)


def _told(credential: str, code: str) -> int:
    """The credential alone on standard output, so that it can go into a file; the rest beside it."""
    sys.stderr.write(f"The credential of {code}. It is shown once: hand it over, and keep no copy.\n")
    sys.stdout.write(f"{credential}\n")
    return 0


def _close(args: argparse.Namespace) -> int:
    close_sender(code=args.code, actor="command")
    sys.stdout.write(f"{args.code} is closed. What it sent stays.\n")
    return 0


def _list(args: argparse.Namespace) -> int:
    found = senders()
    if args.json:
        rows = [
            {"code": each.code, "name": each.name, "credential": bool(each.token_hash), "active": each.active}
            for each in found
        ]
        sys.stdout.write(json.dumps({"senders": rows}, ensure_ascii=False) + "\n")
        return 0
    for each in found:
        state = "closed" if not each.active else "may send" if each.token_hash else "no credential"
        sys.stdout.write(f"{each.code:<16}  {state:<13}  {each.name}\n")
    if not found:
        sys.stdout.write("no sender yet; khata senders add CODE --name TEXT makes one\n")
    return 0


def _feed(args: argparse.Namespace) -> int:
    try:
        first = iso_date(args.first, what="--from")
    except FormatError as wrong:
        raise CommandError(wrong.what, "--from", wrong.next_step) from None
    with reading(args.file) as file:
        serials = [_serial(row.values["meter"], row.line) for row in read_table(file, required=["meter"])]
    fed = feed(code=args.code, serials=serials, from_date=first, actor="command")
    sys.stdout.write(f"{args.code} owes the days of {fed.meters:,} meters from {first} on; of {fed.new:,} it is new.\n")
    return 0


def _serial(text: str, line: int) -> str:
    serial = text.strip()
    if not serial or "\0" in serial:
        raise FormatError("the meter is empty", line=line, column="meter", next_step="Give its number")
    return serial
