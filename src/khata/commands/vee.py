"""`khata vee report | estimate | usual`: validation, estimation, editing: who owes what, and the night's work."""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from khata.commands.clock import asked_day, business_date
from khata.commands.errors import CommandError
from khata.discoms.models import Office
from khata.discoms.queries import UnknownOfficeError, discom_named
from khata.metering.estimating import COUNTED, estimate
from khata.metering.models import Sender
from khata.metering.nightly import make_usual
from khata.metering.rules import read_rules
from khata.metering.scorecard import Counted, Owed, Silent, estimates, findings, never_spoke, owed, quarantine

_DAYS = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="report|estimate|usual")
    report = verbs.add_parser("report", help="who owes which half-hours, what the checks found, what was estimated")
    report.add_argument("--from", dest="first", type=asked_day, metavar="D", help=f"default: {_DAYS} days back")
    report.add_argument("--to", dest="last", type=asked_day, metavar="D", help="this day included; default: yesterday")
    report.add_argument("--sender", help="only what this sender owes")
    report.add_argument("--division", help="only this division's meters")
    report.add_argument("--json", action="store_true", help="half-hours and counts, by day")
    fill = verbs.add_parser("estimate", help="estimate what nobody sent; run again, it changes nothing")
    fill.add_argument("--until", type=asked_day, metavar="D", required=True, help="the days before D")
    fill.add_argument("--discom", help="only this company's meters")
    fill.add_argument("--json", action="store_true")
    usual = verbs.add_parser("usual", help="what is usual of each meter, made anew for the checks")
    usual.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    return {"report": _report, "estimate": _estimate, "usual": _usual}[args.verb](args)


# -- the night's work --------------------------------------------------------------------------------------------------


def _estimate(args: argparse.Namespace) -> int:
    today = business_date()
    if args.until > today:
        wrong = f"{args.until} is after {today}: nobody can owe its values yet"
        raise CommandError(wrong, "--until", f"Choose {today} or an earlier day")
    try:
        discom = discom_named(args.discom).id if args.discom else None
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them") from None
    counts = estimate(discom=discom, until=args.until, today=today).counts
    if args.json:
        sys.stdout.write(json.dumps(counts) + "\n")
        return 0
    sys.stdout.write(f"{counts['meters']:,} meters with gaps before {args.until}\n")
    for name in COUNTED:
        if counts[name]:
            sys.stdout.write(f"  {name:<18}{counts[name]:>9,} days{_title(name)}\n")
    return 0


_WORDS = {
    "unchanged": "stand as they were estimated before",
    "withdrawn": "taken back: the registers around them were corrected",
    "contradicted": "registers leave less than what is known: ask the sender which is right",
    "over limit": "more than may be guessed: ask for the days, or have the register read",
    "no first register": "a meter's first register is missing: enter it with the meter change",
    "no final register": "a meter's final register is missing: enter it with the meter change",
}


def _title(name: str) -> str:
    said = read_rules().title(name, "en") if name.startswith("EST") else _WORDS[name]
    return f"  {said}"


def _usual(args: argparse.Namespace) -> int:
    made = make_usual(today=business_date())
    sys.stdout.write(json.dumps({"meters": made}) + "\n" if args.json else f"usual values of {made:,} meters\n")
    return 0


# -- the report --------------------------------------------------------------------------------------------------------


def _report(args: argparse.Namespace) -> int:
    today = business_date()
    last = args.last or today - dt.timedelta(days=1)
    first = args.first or last - dt.timedelta(days=_DAYS - 1)
    if first > last or last >= today:
        wrong = f"the days from {first} to {last} are none, or not over on {today}"
        raise CommandError(wrong, "--from, --to", "Choose days before today, the earlier one first")
    if args.sender and not Sender.objects.filter(code=args.sender).exists():
        known = ", ".join(Sender.objects.order_by("code").values_list("code", flat=True)) or "none"
        raise CommandError(f"there is no sender {args.sender!r}", "--sender", f"Senders are: {known}")
    where: dict[str, Any] = {"sender": args.sender, "division": _division(args.division)}
    of_days = {"from_day": first, "until": last + dt.timedelta(days=1), **where}
    debts = owed(**of_days, today=today)
    never = never_spoke(**where, today=today)
    judged = {"findings": findings(**of_days), "estimates": estimates(**of_days)}
    judged["quarantine"] = quarantine(**{**of_days, "until": today + dt.timedelta(days=1)})
    names = {office.id: office.name_en for office in Office.objects.filter(kind=Office.Kind.DIVISION)}
    if args.json:
        answer = _as_json(debts, never, judged, names)
        sys.stdout.write(json.dumps({"from": str(first), "to": str(last), **answer}, ensure_ascii=False) + "\n")
        return 0
    sys.stdout.write("\n".join(_as_text(first, last, debts, never, judged, names)) + "\n")
    return 0


def _division(name: str | None) -> int | None:
    if name is None:
        return None
    found = Office.objects.filter(kind=Office.Kind.DIVISION, name_en__iexact=name).first()
    if found is None:
        known = ", ".join(sorted(Office.objects.filter(kind=Office.Kind.DIVISION).values_list("name_en", flat=True)))
        raise CommandError(f"there is no division {name!r}", "--division", f"Divisions are: {known or 'none'}")
    return int(found.id)


def _as_json(
    debts: list[Owed], never: list[Silent], judged: dict[str, list[Counted]], names: dict[int, str]
) -> dict[str, Any]:
    return {
        "expected": sum(each.expected for each in debts),
        "received": sum(each.received for each in debts),
        "missing": sum(each.missing for each in debts),
        "owed": [
            {**asdict(each), "division": names[each.division], "day": str(each.day), "missing": each.missing}
            for each in debts
        ],
        "never_spoke": [{**asdict(each), "division": names[each.division]} for each in never],
        **{name: [_counted(each) for each in found] for name, found in judged.items()},
    }


def _counted(each: Counted) -> dict[str, Any]:
    owner = {"owner": each.owner} if each.owner else {}
    return {"rule": each.rule, **owner, "count": each.count, "title": read_rules().title(each.rule, "en")}


def _as_text(
    first: dt.date,
    last: dt.date,
    debts: list[Owed],
    never: list[Silent],
    judged: dict[str, list[Counted]],
    names: dict[int, str],
) -> Iterator[str]:
    yield f"half-hours of {first} to {last}"
    yield f"{'sender':<14}{'division':<20}{'expected':>13}{'received':>13}{'owed':>11}  oldest  silent on the last day"
    groups: dict[tuple[str | None, int], list[Owed]] = {}
    for each in debts:
        groups.setdefault((each.sender, each.division), []).append(each)
    for (sender, division), days in groups.items():
        open_days = [each.age_days for each in days if each.missing]
        oldest = f"{max(open_days)} d" if open_days else "-"
        expected, missing = (sum(getattr(each, name) for each in days) for name in ("expected", "missing"))
        silent = sum(each.silent for each in days if each.day == last)
        yield (
            f"{sender or '(nobody)':<14}{names[division]:<20}{expected:>13,}{expected - missing:>13,}{missing:>11,}"
            f"  {oldest:>6}  {silent:,} meters"
        )
    if not groups:
        yield "no smart meter hangs at a supplied connection"
    for spoke in never:
        yield f"never spoke: {spoke.meters:,} meters of {names[spoke.division]}, owed by {spoke.sender or '(nobody)'}"
    yield from _section("stored, and noted:", judged["findings"])
    yield from _section("estimated days:", judged["estimates"])
    yield from _section("in quarantine since then:", judged["quarantine"])


def _section(head: str, found: Iterable[Counted]) -> Iterator[str]:
    rules = read_rules()
    for place, each in enumerate(found):
        if not place:
            yield head
        owner = f"for the {each.owner}: {rules.next_step(each.rule, 'en')}" if each.owner else ""
        yield f"  {each.rule}  {each.count:>9,}  {rules.title(each.rule, 'en')} {owner}".rstrip()
