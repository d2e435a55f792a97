"""`khata senders add | list | renew | limit | close | feed`: who may send by the network, and whose days it
owes.

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
    limit_waiting,
    renew_credential,
    senders,
)

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="add|list|renew|limit|close|feed")
    add = verbs.add_parser("add", help="a new sender, with its credential", allow_abbrev=False)
    add.add_argument("code", metavar="CODE")
    add.add_argument("--name", required=True, metavar="TEXT", help="the company, as reports name it")
    listed = verbs.add_parser("list", help="all of them", allow_abbrev=False)
    listed.add_argument("--json", action="store_true")
    renew = verbs.add_parser("renew", help="a new credential; the old one opens nothing any more", allow_abbrev=False)
    renew.add_argument("code", metavar="CODE")
    limit = verbs.add_parser("limit", help="how much of it may wait to be stored", allow_abbrev=False)
    limit.add_argument("code", metavar="CODE")
    limit.add_argument("--uploads", required=True, type=int, metavar="N")
    limit.add_argument(
        "--mib", required=True, type=int, metavar="N", help="of them together; one alone may always wait"
    )
    close = verbs.add_parser("close", help="it can send no more", allow_abbrev=False)
    close.add_argument("code", metavar="CODE")
    fed = verbs.add_parser("feed", help="whose days it owes", allow_abbrev=False)
    fed.add_argument("code", metavar="CODE")
    fed.add_argument("--file", required=True, metavar="FILE", help="CSV with a column meter; - is standard input")
    fed.add_argument("--from", dest="first", required=True, metavar="DATE", help="the first day, like 2024-06-01")
    fed.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    try:
        return _VERBS[args.verb](args)
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


def _limit(args: argparse.Namespace) -> int:
    limit_waiting(code=args.code, uploads=args.uploads, total_bytes=args.mib << 20, actor="command")
    sys.stdout.write(f"Of {args.code} {args.uploads:,} uploads may wait, {args.mib:,} MiB together.\n")
    return 0


def _list(args: argparse.Namespace) -> int:
    found = senders()
    if args.json:
        rows = [
            {
                "code": each.code,
                "name": each.name,
                "credential": bool(each.token_hash),
                "active": each.active,
                "most_waiting": each.most_waiting,
                "most_waiting_bytes": each.most_waiting_bytes,
            }
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
    if args.json:
        before = [{"sender": was, "meters": many} for was, many in fed.before]
        told = {"sender": args.code, "from": str(first), "meters": fed.meters, "new": fed.new, "before": before}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return 0
    sys.stdout.write(f"{args.code} owes the days of {fed.meters:,} meters from {first} on; of {fed.new:,} it is new.\n")
    for was, many in fed.before:
        sys.stdout.write(f"from {was or 'nobody'} to {args.code} as of {first}: {many:,} meters\n")
    return 0


_VERBS = {"add": _add, "list": _list, "renew": _renew, "limit": _limit, "close": _close, "feed": _feed}


def _serial(text: str, line: int) -> str:
    serial = text.strip()
    if not serial or "\0" in serial:
        raise FormatError("the meter is empty", line=line, column="meter", next_step="Give its number")
    return serial
