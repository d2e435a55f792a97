"""`khata bill run | release | late | show | explain-change | replay | digest`."""

import argparse
import datetime as dt
import functools
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from django.conf import settings

from khata.billing.late_days import bill_late
from khata.billing.models import Bill, BillRun, Unissued
from khata.billing.operations import PART_SIZE, WORKERS, BillingError, run_cycle
from khata.billing.queries import bill_view, bills_of, digest, rated_again, unissued_in, unissued_of
from khata.billing.release import make_released
from khata.commands import bill_change
from khata.commands.clock import asked_day, business_date
from khata.commands.errors import CommandError
from khata.commands.steps import Steps
from khata.consumers.queries import resolve
from khata.discoms.models import Discom
from khata.discoms.queries import UnknownOfficeError, discom_named, division_named, divisions
from khata.display.bill_text import BillView, bill_text
from khata.display.labels import LANGUAGES
from khata.display.money import rupees
from khata.jobs.operations import RunBusyError, RunDoesNotCloseError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(
        dest="verb", required=True, metavar="run|release|late|show|explain-change|replay|digest"
    )
    run = verbs.add_parser("run", help="bill one month; a killed run goes on where it was")
    _of_cycle(run)
    run.add_argument("--division", help="only this division")
    run.add_argument("--bill-date", type=asked_day, help="default: the company's bill day of the month")
    run.add_argument("--tariffs", type=Path, default=settings.KHATA_TARIFFS, help="folder of the tariff orders")
    run.add_argument("--part-size", type=int, default=PART_SIZE, help="connections in one transaction")
    run.add_argument("--workers", type=int, default=WORKERS, help=f"threads that work on parts (default {WORKERS})")
    run.add_argument("--json", action="store_true")
    release = verbs.add_parser("release", help="make the bills that officers have released")
    release.add_argument("--discom", help="only this company's")
    release.add_argument("--json", action="store_true")
    late = verbs.add_parser("late", help="bill again who was held for want of days or readings that have come since")
    late.add_argument("--discom", help="only this company's")
    late.add_argument("--json", action="store_true")
    show = verbs.add_parser("show", help="a bill with its lines, or who got none and why")
    show.add_argument("number", nargs="?", help="account number, old number or bill number")
    show.add_argument("--cycle", type=_month, help="the bill month, default: the newest")
    show.add_argument("--discom", help="with --cycle and no number: who got no bill and why")
    show.add_argument("--lang", choices=LANGUAGES, default="hi")
    show.add_argument("--json", action="store_true", help="money in paise, energy in Wh")
    bill_change.add_arguments(
        verbs.add_parser("explain-change", help="why a bill is higher or lower than another"), _month
    )
    replay = verbs.add_parser("replay", help="rate stored bills again: the same paise?")
    replay.add_argument("number", nargs="?", help="account number, old number or bill number")
    replay.add_argument("--discom")
    replay.add_argument("--cycle", type=_month)
    replay.add_argument("--json", action="store_true")
    hashed = verbs.add_parser("digest", help="one hash over all amounts, lines and postings of a cycle")
    _of_cycle(hashed)
    hashed.add_argument("--json", action="store_true")


def _of_cycle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--discom", required=True, help="the company's code")
    parser.add_argument("--cycle", type=_month, required=True, help="the bill month, e.g. 2024-06")


def _month(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month; write it as 2024-06") from None


def run(args: argparse.Namespace) -> int:
    verbs = {
        "run": _run,
        "release": _release,
        "late": _late,
        "show": _show,
        "explain-change": _explain_change,
        "replay": _replay,
        "digest": _digest,
    }
    try:
        return verbs[args.verb](args)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), f"bill {args.verb}", "Choose one of them") from None


# -- run -----------------------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    discom = discom_named(args.discom)
    chosen = [division_named(discom, args.division)] if args.division else divisions(discom)
    if not chosen:
        raise CommandError(f"{discom.code} has no divisions", "bill run", "Install its offices first")
    if args.part_size < 1 or args.workers < 1:
        raise CommandError("at least 1 is wanted", "--part-size, --workers", "Leave them away")
    try:
        equations = run_cycle(
            discom=discom,
            cycle=args.cycle,
            divisions=chosen,
            bill_date=args.bill_date,
            tariffs=args.tariffs,
            part_size=args.part_size,
            today=business_date(),
            workers=args.workers,
            actor="command",
            progress=_silent if args.json else functools.partial(Steps(), f"bills of {args.cycle:%Y-%m}"),
        )
    except RunBusyError as busy:
        raise CommandError(str(busy), "bill run", "Wait until it has ended, then look with khata bill show") from None
    except BillingError as wrong:
        raise CommandError(str(wrong).rstrip("."), "bill run") from None
    except RunDoesNotCloseError as open_run:
        sys.stderr.write(f"khata: {open_run}\n")
        return 1
    _tell_equations(discom, args.cycle, equations, as_json=args.json)
    return 0


def _silent(*_: object) -> None:
    """No progress where a machine reads the answer."""


_WORDS = ("expected", "issued", "held", "parked", "not due", "messages", "no address")


def _tell_equations(discom: Discom, cycle: dt.date, equations: dict[str, dict[str, int]], *, as_json: bool) -> None:
    total: dict[str, int] = {}
    for equation in equations.values():
        for name, count in equation.items():
            total[name] = total.get(name, 0) + count
    if as_json:
        answer = {"discom": discom.code, "cycle": f"{cycle:%Y-%m}", "total": total, "divisions": equations}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return
    counts = {name: total.get(name, 0) for name in _WORDS}
    sys.stdout.write(
        f"{discom.code} {cycle:%Y-%m}: expected {counts['expected']:,} = issued {counts['issued']:,} + held "
        f"{counts['held']:,} + parked {counts['parked']:,} + not due {counts['not due']:,}\n"
        f"issued {counts['issued']:,} = messages queued {counts['messages']:,} + no usable mobile "
        f"{counts['no address']:,}\n"
        f"billed {rupees(total.get('payable_paise', 0))} = posted {rupees(total.get('posted_paise', 0))}\n"
        f"{len(equations)} division{'' if len(equations) == 1 else 's'} closed\n"
    )


# -- release, late -----------------------------------------------------------------------------------------------------


def _release(args: argparse.Namespace) -> int:
    return _ones(args, "released", make_released)


def _late(args: argparse.Namespace) -> int:
    return _ones(args, "with late days or readings", bill_late)


class _MakesOnes(Protocol):
    def __call__(self, *, discom: Discom, today: dt.date, actor: str) -> dict[str, int]: ...


def _ones(args: argparse.Namespace, what: str, make: _MakesOnes) -> int:
    """Bills of single connections that had been held, company by company."""
    chosen = [discom_named(args.discom)] if args.discom else list(Discom.objects.order_by("id"))
    made = {}
    try:
        for discom in chosen:
            made[discom.code] = make(discom=discom, today=business_date(), actor="command")
    except RunBusyError as busy:
        raise CommandError(str(busy), f"bill {args.verb}", "Wait until it has ended, then run it again") from None
    except RunDoesNotCloseError as open_run:
        sys.stderr.write(f"khata: {open_run}\n")
        return 1
    if args.json:
        sys.stdout.write(json.dumps(made) + "\n")
        return 0
    for code, counts in made.items():
        again = ", ".join(f"{counts[word]:,} {word}" for word in ("held", "parked", "not due") if counts[word])
        without = f"; without a bill: {again}" if again else ""
        sys.stdout.write(f"{code}: {counts['expected']:,} {what}, {counts['issued']:,} issued{without}\n")
    return 0


# -- show, replay, digest --------------------------------------------------------------------------------------------


def _bills(number: str, cycle: dt.date | None, verb: str) -> tuple[list[Bill], str]:
    """Bills by bill number, account number or old number, and the account if it was one of the latter. Never none."""
    if number.isdecimal() and number.isascii() and len(number) >= 12:
        bill = Bill.objects.filter(id=int(number[4:])).first()
        if bill is None or bill.number != number:
            raise CommandError(f"there is no bill {number}", verb, "Check its number, or give the account number")
        return [bill], ""
    found = resolve(typed=number, today=business_date())
    if found.result == "many":
        names = ", ".join(f"{match.number} of {match.discom} ({match.why})" for match in found.matches)
        raise CommandError(f"the number means several connections: {names}", verb, "Give the account number")
    if not found.matches:
        raise CommandError("no connection has this number", verb, "Check the number with khata number resolve")
    account = found.matches[0].number
    bills = bills_of(account, cycle)
    if not bills:
        raise CommandError(*_no_bill(account, cycle, verb))
    return bills, account


def _no_bill(account: str, cycle: dt.date | None, verb: str) -> tuple[str, str, str]:
    why = unissued_of(account, cycle=cycle, after=None)
    of = f" of {cycle:%Y-%m}" if cycle else ""
    what = _without_bill(*why) if why else f"account {account} has no bill{of}"
    months = dict.fromkeys(f"{bill.cycle:%Y-%m}" for bill in bills_of(account, None))
    others = f"Bills exist of {', '.join(months)}" if months else "No month of this account has a bill yet"
    return what, verb, others


def _without_bill(cycle: dt.date, why: Unissued) -> str:
    return f"no bill of {cycle:%Y-%m}: {why.outcome}: {why.detail}"


def _show(args: argparse.Namespace) -> int:
    if args.number is None:
        return _show_unissued(args)
    bills, account = _bills(args.number, args.cycle, "bill show")
    newest_asked = account and not args.cycle
    newer = unissued_of(account, cycle=None, after=bills[0].cycle) if newest_asked else None
    view = bill_view(bills[0], args.lang, mask_name=False)
    if args.json:
        sys.stdout.write(json.dumps(_as_json(bills[0], view, newer), ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write(f"{_without_bill(*newer)}\n\n" if newer else "")
        sys.stdout.write(bill_text(view, args.lang))
    return 0


def _as_json(bill: Bill, view: BillView, newer: tuple[dt.date, Unissued] | None) -> dict[str, object]:
    """`unissued`: a newer month that gave no bill."""
    unissued = None
    if newer:
        cycle, why = newer
        unissued = {"cycle": f"{cycle:%Y-%m}", "outcome": why.outcome, "reason": why.reason, "detail": why.detail}
    return {"bill": bill.number, "unissued": unissued, **asdict(view)}


def _explain_change(args: argparse.Namespace) -> int:
    return bill_change.run(args, lambda number: _bills(number, None, bill_change.VERB)[0][0])


def _runs(discom: Discom, cycle: dt.date, verb: str) -> list[BillRun]:
    """The runs of a company and month, by division; never none."""
    found = BillRun.objects.select_related("run__runclosed").filter(discom=discom, cycle=cycle).order_by("division_id")
    if not found:
        known = BillRun.objects.filter(discom=discom).order_by("cycle").values_list("cycle", flat=True).distinct()
        months = ", ".join(f"{each:%Y-%m}" for each in known)
        next_step = f"Runs exist of {months}" if months else "Make one with khata bill run"
        raise CommandError(f"{discom.code} has no run of {cycle:%Y-%m}", verb, next_step)
    return list(found)


def _show_unissued(args: argparse.Namespace) -> int:
    if not args.discom or not args.cycle:
        raise CommandError("which bill?", "bill show", "Give a number, or --discom and --cycle to see who got none")
    discom = discom_named(args.discom)
    runs = _runs(discom, args.cycle, "bill show")
    rows = unissued_in(discom, args.cycle).order_by("outcome", "reason", "connection__account_number")
    listed = rows.values_list("connection__account_number", "outcome", "reason", "detail", "evidence")
    if args.json:
        names = ("account_number", "outcome", "reason", "detail", "evidence")
        sys.stdout.write(json.dumps([dict(zip(names, row, strict=True)) for row in listed], ensure_ascii=False) + "\n")
        return 0
    for account, outcome, reason, detail, _ in listed:
        sys.stdout.write(f"{account}  {outcome:<8} {reason:<14} {detail}\n")
    if not listed:
        done = all(hasattr(each.run, "runclosed") for each in runs)
        sys.stdout.write("everybody got a bill\n" if done else "nobody so far; the run has not ended yet\n")
    return 0


def _replay(args: argparse.Namespace) -> int:
    if args.number is None and not (args.discom and args.cycle):
        raise CommandError("which bills?", "bill replay", "Give a number, or --discom and --cycle")
    runs: list[tuple[BillRun, list[int] | None]]
    if args.number is not None:
        bills, _ = _bills(args.number, args.cycle, "bill replay")
        runs = [(BillRun.objects.select_related("run").get(run__part__id=bill.part_id), [bill.id]) for bill in bills]
    else:
        runs = [(each, None) for each in _runs(discom_named(args.discom), args.cycle, "bill replay")]
    count, different = 0, []
    for bill_run, wanted in runs:
        stored = rated_again(bill_run, wanted)
        count += len(set(stored.bill.tolist()))
        different += stored.differing().tolist()
    numbers = [bill.number for bill in Bill.objects.filter(id__in=different).order_by("id")]
    if args.json:
        sys.stdout.write(json.dumps({"bills": count, "different": numbers}) + "\n")
    else:
        sys.stdout.write(f"{count:,} bills rated again, {len(numbers)} differ\n" + "".join(f"  {n}\n" for n in numbers))
    return 1 if numbers else 0


def _digest(args: argparse.Namespace) -> int:
    discom = discom_named(args.discom)
    _runs(discom, args.cycle, "bill digest")
    found = digest(discom=discom.code, cycle=args.cycle)
    if args.json:
        sys.stdout.write(json.dumps({"discom": discom.code, "cycle": f"{args.cycle:%Y-%m}", "sha256": found}) + "\n")
    else:
        sys.stdout.write(f"{found}  {discom.code} {args.cycle:%Y-%m}\n")
    return 0
