"""`khata notices send | show | register`: the messages that wait, their registered texts, and the ids of these."""

import argparse
import datetime as dt
import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from khata.commands.clock import business_date
from khata.commands.errors import CommandError
from khata.consumers.models import Connection
from khata.consumers.operations import queue_codes, queue_numbers
from khata.discoms.queries import UnknownOfficeError, discom_named
from khata.formats.text import iso_date
from khata.notices.backends import Backend, Meta
from khata.notices.backends.console import Console
from khata.notices.backends.file import File
from khata.notices.backends.http import Http, Registered
from khata.notices.operations import RegistrationError, register, send_queued
from khata.notices.queries import registration
from khata.notices.rules import LANGUAGES, TEMPLATES, dlt_text, faults, longest_text, parts, units

_ROUND = 50  # messages between two looks for codes of sign-in, which must not wait


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="send|show|register")
    send = verbs.add_parser("send", help="send the messages that wait", allow_abbrev=False)
    add_backend_arguments(send)
    pace = send.add_mutually_exclusive_group()
    pace.add_argument("--once", action="store_true", help="until none waits, then end (so it is unless --every)")
    pace.add_argument("--every", type=int, metavar="SECONDS", help="for ever, looking again after a pause")
    show = verbs.add_parser("show", help="the registered texts, their length and parts", allow_abbrev=False)
    show.add_argument("--json", action="store_true")
    new = verbs.add_parser("register", help="note the DLT id and header of a text", allow_abbrev=False)
    new.add_argument("--discom", required=True)
    new.add_argument("--template", required=True, choices=list(TEMPLATES))
    new.add_argument("--language", required=True, choices=LANGUAGES)
    new.add_argument("--dlt-id", required=True, help="content template id, as the operator gave it")
    new.add_argument("--header", required=True, help="six letters, perhaps with -S, -T or -G")
    new.add_argument("--from", dest="from_date", metavar="DAY", help="from this day; today unless given")


def add_backend_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", choices=["console", "file", "http"], default="console", help="console unless given"
    )
    parser.add_argument("--file", type=Path, metavar="PATH", help="where the file backend writes, a line a message")


def run(args: argparse.Namespace) -> int:
    return {"send": _send, "show": _show, "register": _register}[args.verb](args)


# -- send --------------------------------------------------------------------------------------------------------------


def _send(args: argparse.Namespace) -> int:
    if args.every is not None and args.every < 1:
        raise CommandError("the pause is below 1 second", "--every", "Give it in whole seconds, as 5")
    backend = backend_of(args)
    while True:
        totals = _until_none_waits(backend)
        if args.every is None or any(totals.values()):
            sys.stderr.write(", ".join(f"{word} {count}" for word, count in totals.items()) + "\n")
        if args.every is None:
            return 0
        time.sleep(args.every)


def _until_none_waits(backend: Backend) -> dict[str, int]:
    """Rounds until one finds nothing. The real time, whatever the business date: a gateway knows no other."""
    totals = {"sent": 0, "failed": 0, "refused": 0}
    key = settings.SECRET_KEY.encode()
    while True:
        queue_codes(now=dt.datetime.now(dt.UTC), key=settings.SECRET_KEY)
        queue_numbers(now=dt.datetime.now(dt.UTC), today=business_date())
        found = send_queued(backend=backend, key=key, now=dt.datetime.now(dt.UTC), limit=_ROUND)
        for word in totals:
            totals[word] += getattr(found, word)
        if not found.total:
            return totals


def backend_of(args: argparse.Namespace) -> Backend:
    """How messages leave, as the arguments name it."""
    if args.backend is None:
        next_step = "Name http (KHATA_SMS_URL), file or console; what they take counts as sent"
        raise CommandError("it is not said how messages leave", "--backend", next_step)
    if (args.backend == "file") != (args.file is not None):
        raise CommandError("--file belongs to --backend file, and it to that", "notices send", "Give both, or neither")
    if args.backend == "console":
        return Console(sys.stdout)
    if args.backend == "file":
        return _file(args.file)
    url, token = os.environ.get("KHATA_SMS_URL", ""), os.environ.get("KHATA_SMS_TOKEN", "")
    if not (url and token):
        next_step = "Set KHATA_SMS_URL and KHATA_SMS_TOKEN as the gateway's operator gave them"
        raise CommandError("the gateway's address or token is missing", "environment", next_step)
    try:
        return Http(url=url, token=token, registered=_registered)
    except ValueError as wrong:
        raise CommandError(str(wrong), "KHATA_SMS_URL", "Set it as the gateway's operator gave it") from None


def _file(path: Path) -> File:
    """Tried now: a message must not be the first to find that nobody can write there."""
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise CommandError(f"cannot be written: {error.strerror}", str(path), "Choose another file") from None
    return File(path)


def _registered(meta: Meta) -> Registered | None:
    found = registration(discom=_company(meta.subject), template=meta.template, language=meta.language, on=meta.day)
    return Registered(found.dlt_id, found.header) if found else None


@functools.lru_cache(maxsize=4096)
def _company(connection: int) -> str:
    """A connection never goes to another company."""
    return Connection.objects.values_list("discom__code", flat=True).get(id=connection)


# -- show, register ----------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    """1 if a text breaks a rule."""
    records = [_record(name, language) for name in TEMPLATES for language in LANGUAGES]
    if args.json:
        sys.stdout.write(json.dumps(records, ensure_ascii=False) + "\n")
    for record in records if not args.json else ():
        wrong = "; ".join(record["faults"]) or "in order"
        length = f"{record['longest']} of {record['room']}, parts {record['parts']}"
        sys.stdout.write(f"{record['template']} {record['language']}  {length}, {record['dlt']}, {wrong}\n")
        sys.stdout.write(f"    {record['text']}\n")
    return 1 if any(record["faults"] for record in records) else 0


def _record(name: str, language: str) -> dict[str, Any]:
    template = TEMPLATES[name]
    text = longest_text(template, language)
    taken, room, _ = units(text)
    others = tuple(f"{other}: " for other in LANGUAGES if other != language)
    return {
        "template": name,
        "language": language,
        "dlt": template.dlt,
        "text": dlt_text(template, language),
        "longest": taken,
        "room": room,
        "parts": parts(text),
        "faults": [fault for fault in faults(template) if not fault.startswith(others)],
    }


def _register(args: argparse.Namespace) -> int:
    try:
        discom = discom_named(args.discom).code
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them") from None
    day = iso_date(args.from_date, what="--from") if args.from_date else business_date()
    try:
        register(
            discom=discom,
            template=args.template,
            language=args.language,
            dlt_id=args.dlt_id,
            header=args.header,
            from_date=day,
            actor="command",
        )
    except RegistrationError as wrong:
        raise CommandError(str(wrong), "notices register", "Look it up on the operator's DLT portal") from None
    sys.stdout.write(f"{discom} {args.template} {args.language}: {args.dlt_id}, header {args.header}, from {day}\n")
    return 0
