"""`khata counter add | limit | list`: where cash is taken, and how much of it."""

import argparse
import sys

from khata.commands.clock import business_date
from khata.commands.errors import CommandError
from khata.discoms.queries import UnknownOfficeError, discom_named, office_named
from khata.display.money import rupees
from khata.formats.text import iso_date, rupees_typed
from khata.payments.operations import add_counter, set_counter_policy
from khata.payments.queries import all_counters, policies_in_effect
from khata.payments.rules import PaymentRefusedError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="add|limit|list")
    add = verbs.add_parser("add", help="a new counter of an office", allow_abbrev=False)
    add.add_argument("--discom", required=True)
    add.add_argument("--office", required=True, help="division, circle or company, by name or number")
    add.add_argument("--code", required=True, help="as receipts carry it, like K07")
    add.add_argument("--name-hi", required=True, metavar="NAME")
    add.add_argument("--name-en", required=True, metavar="NAME")
    limit = verbs.add_parser("limit", help="the most cash for one connection on one day", allow_abbrev=False)
    limit.add_argument("--discom", required=True)
    limit.add_argument("--rupees", required=True, metavar="AMOUNT")
    limit.add_argument("--source", required=True, help="the law or order that says so")
    limit.add_argument("--from", dest="from_day", metavar="DAY", help="the first day of it; today if left away")
    verbs.add_parser("list", help="every counter, and the limits of today", allow_abbrev=False)


def run(args: argparse.Namespace) -> int:
    return {"add": _add, "limit": _limit, "list": _list}[args.verb](args)


def _add(args: argparse.Namespace) -> int:
    try:
        office = office_named(discom_named(args.discom), args.office)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "counter add", "Choose one of them") from None
    code = args.code.strip().upper()
    name_hi, name_en = (
        _name(text, option) for text, option in ((args.name_hi, "--name-hi"), (args.name_en, "--name-en"))
    )
    if any(each.code == code for each in all_counters()):
        raise CommandError(
            f"there is a counter {code} already", "--code", "Choose another code, see khata counter list"
        )
    try:
        made = add_counter(office=office, code=code, name_hi=name_hi, name_en=name_en)
    except PaymentRefusedError as no:
        raise CommandError(str(no), "--code", no.next_step) from None
    sys.stdout.write(f"{made.code}  {made.name_hi} / {made.name_en}, {office.name_en}\n")
    return 0


def _name(text: str, option: str) -> str:
    tidy = " ".join(text.split())
    if not tidy or not tidy.isprintable():
        raise CommandError("the name is empty, or cannot be printed", option, "Write what stands over the window")
    return tidy


def _limit(args: argparse.Namespace) -> int:
    today = business_date()
    paise = rupees_typed(args.rupees)
    first = iso_date(args.from_day, what="--from") if args.from_day is not None else today
    source = " ".join(args.source.split())
    if not source:
        raise CommandError("the source is empty", "--source", "Name the law or order that says so")
    try:
        discom = discom_named(args.discom)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them") from None
    try:
        set_counter_policy(discom=discom, from_date=first, most_paise=paise, source=source)
    except PaymentRefusedError as no:
        raise CommandError(str(no), "counter limit", no.next_step) from None
    sys.stdout.write(f"{discom.code}: {rupees(paise)} for one connection on one day, from {first} on ({source})\n")
    return 0


def _list(args: argparse.Namespace) -> int:
    limits, counters = policies_in_effect(today=business_date()), all_counters()
    if not counters and not limits:
        sys.stdout.write("अभी कोई काउंटर नहीं है / no counter yet\n")
    for code, limit in sorted(limits.items()):
        sys.stdout.write(f"{code}: {rupees(limit.most_paise)} for one connection on one day ({limit.source})\n")
    for each in counters:
        used = "" if each.active else ", not in use"
        place = f"{each.office.discom.code}, {each.office.name_en}"
        sys.stdout.write(f"  {each.code:<4}  {each.name_hi} / {each.name_en}, {place}{used}\n")
    return 0
