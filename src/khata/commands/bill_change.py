"""`khata bill explain-change BILL`: why it is higher or lower than another bill of the same connection."""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Callable

from khata.billing.change import (
    CODES,
    Change,
    OtherConnectionError,
    bill_before,
    bill_year_before,
    changes_of,
    explain_change,
)
from khata.billing.models import Bill, OldBill
from khata.commands.errors import CommandError
from khata.discoms.queries import discom_named
from khata.display.bill_text import table
from khata.display.change_words import TITLES, change_sentence, more_or_less
from khata.display.dates import month
from khata.display.labels import LANGUAGES, Label, Language
from khata.display.money import grouped, rupees
from khata.kernel.variants import NotTheSamePaiseError

VERB = "bill explain-change"
_TOTAL = Label("कुल फ़र्क", "Together")
_HEAD = Label(
    "{month} के बिल में देय {now}; {before_month} में {before}",
    "To pay by the bill of {month} {now}; of {before_month} {before}",
)

_WHOLE = Label(
    "{month} के {pairs} बिल, हर एक पिछले बिल से मिलाया गया; हर एक का फ़र्क पैसे तक जुड़ता है",
    "{pairs} bills of {month}, each against the one before it; each difference adds up to the paisa",
)

FindBill = Callable[[str], Bill]


def add_arguments(parser: argparse.ArgumentParser, month: Callable[[str], dt.date]) -> None:
    wanted = "bill number as printed, or an account number: its newest bill"
    parser.add_argument("number", metavar="BILL", nargs="?", help=wanted)
    parser.add_argument("--discom", help="with --cycle and no number: all bills of a month, what made them differ")
    parser.add_argument("--cycle", type=month, help="the bill month, e.g. 2024-06")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--against", metavar="BILL", help="default: the bill before it")
    other.add_argument("--same-month-last-year", action="store_true", help="compare with that bill")
    parser.add_argument("--lang", choices=LANGUAGES, default="hi")
    parser.add_argument("--json", action="store_true", help="factors in paise, their sum and the difference")


def run(args: argparse.Namespace, find: FindBill) -> int:
    if args.number is None:
        return _whole_month(args)
    bill = find(args.number)
    against = _against(args, bill, find)
    try:
        change = explain_change(bill, against)
    except OtherConnectionError as other:
        raise CommandError(str(other), VERB, "Give two bills of the same account") from None
    except NotTheSamePaiseError as changed:
        raise CommandError(str(changed), VERB, "Find out which with khata bill replay") from None
    if args.json:
        sys.stdout.write(json.dumps(_as_json(bill, against, change), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(_as_text(bill, against, change, args.lang, last_year=args.same_month_last_year))
    return 0


def _whole_month(args: argparse.Namespace) -> int:
    """Every bill of a month against the one before it; that the factors add up is asserted of each."""
    if not (args.discom and args.cycle):
        raise CommandError("which bill?", VERB, "Give a number, or --discom and --cycle for all bills of a month")
    discom = discom_named(args.discom)
    pairs, difference, factors = 0, 0, dict.fromkeys(CODES, 0)
    try:
        for change in changes_of(discom=discom.id, cycle=args.cycle):
            pairs, difference = pairs + 1, difference + change.difference_paise
            for factor in change.factors:
                factors[factor.code] += factor.paise
    except NotTheSamePaiseError as changed:
        raise CommandError(str(changed), VERB, "Find out which with khata bill replay") from None
    if args.json:
        answer = {"pairs": pairs, "factors": factors, "sum": sum(factors.values()), "difference": difference}
        sys.stdout.write(json.dumps({"discom": discom.code, "cycle": f"{args.cycle:%Y-%m}", **answer}) + "\n")
        return 0
    rows = [(rupees(paise), TITLES[code].in_(args.lang)) for code, paise in factors.items() if paise]
    rows.append((rupees(difference), _TOTAL.in_(args.lang)))
    head = _WHOLE.in_(args.lang).format(pairs=grouped(pairs), month=month(args.cycle, args.lang))
    sys.stdout.write("\n".join([head, *table(rows, ("right", "left"))]) + "\n")
    return 0


def _against(args: argparse.Namespace, bill: Bill, find: FindBill) -> Bill | OldBill:
    if args.against:
        return find(args.against)
    if args.same_month_last_year:
        found, missing = bill_year_before(bill), f"there is no bill of the same month the year before {bill.number}"
    else:
        found, missing = bill_before(bill), f"there is no bill before {bill.number}"
    if found is None:
        raise CommandError(missing, VERB, "Name the bill to compare with, as --against BILL")
    return found


def _month(bill: Bill | OldBill) -> dt.date:
    return bill.cycle if isinstance(bill, Bill) else bill.month


def _as_json(bill: Bill, against: Bill | OldBill, change: Change) -> dict[str, object]:
    old = isinstance(against, OldBill)
    return {
        "bill": bill.number,
        "against": None if isinstance(against, OldBill) else against.number,
        "against_month": f"{_month(against):%Y-%m}",
        "against_old_system": old,
        "paise": change.paise,
        "against_paise": change.before_paise,
        "factors": [{"code": each.code, "paise": each.paise, "facts": dict(each.facts)} for each in change.factors],
        "sum": sum(each.paise for each in change.factors),
        "difference": change.difference_paise,
    }


def _as_text(bill: Bill, against: Bill | OldBill, change: Change, language: Language, *, last_year: bool) -> str:
    head = _HEAD.in_(language).format(
        month=month(bill.cycle, language),
        now=rupees(change.paise),
        before_month=month(_month(against), language),
        before=rupees(change.before_paise),
    )
    shown = [each for each in change.factors if each.paise]
    lines = [
        f"{rupees(each.paise):>14}  {TITLES[each.code].in_(language)}: "
        f"{change_sentence(each.code, each.paise, each.facts, language, last_year=last_year)}"
        for each in shown
    ]
    together = f"{_TOTAL.in_(language)}: {more_or_less(change.difference_paise, language)}"
    total = f"{rupees(change.difference_paise):>14}  {together}"
    return "\n".join([head, *lines, total]) + "\n"
