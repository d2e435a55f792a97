"""`khata tariff price`: a CSV of cases in, a CSV of amounts out, row by row in the same order."""

import argparse
import csv
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from khata.commands.tariff_orders import all_orders
from khata.commands.whole_files import reading, writing
from khata.formats.cases import AREAS, OPTIONAL, REQUIRED, PricingCase, RefusedCase, read_cases
from khata.kernel.bills import Priced, Segments, price
from khata.kernel.days import day_number
from khata.kernel.order import MODES, Order
from khata.kernel.quantities import HeadRoomError
from khata.tariffs.queries import UnknownDiscomError, orders_of
from khata.tariffs.rules import MONEY, Summary, summarise

COLUMNS = ("case", "schedule", "billable_kw", "excess_kw", *MONEY, "draft", "refused")
_BLOCK = 50_000
EPILOG = f"""columns of CASES.csv, in any order:
  {", ".join(REQUIRED[:6])},
  {", ".join(REQUIRED[6:])}, and if wanted {OPTIONAL[0]}

  h1,COMPANY,LMV-1,urban,postpaid,2024-05-01,2024-06-01,2,1.4,182.5,2024-06-08

discom is the company as khata tariff show names it; category as in the order, without the area;
area is {" or ".join(AREAS)}, mode {" or ".join(MODES)}; the period ends before period_end.
bill_date chooses the month of the fuel surcharge; left out or empty, it is period_end.

A case that cannot be priced is refused by itself: its column 'refused' says why, standard error counts such cases, and
the exit code stays 0. Only a file that cannot be read as a whole ends with 2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--input", required=True, metavar="CASES.csv", help="- is standard input")
    parser.add_argument("--output", required=True, metavar="OUT.csv", help="- is standard output")


def run(args: argparse.Namespace) -> int:
    orders = all_orders(args.tariffs)
    cases = refused = 0
    with reading(args.input) as source, writing(args.output) as target:
        out = csv.writer(target, lineterminator="\n")
        out.writerow(COLUMNS)
        for block in _blocks(read_cases(source)):
            rows = _rows(block, orders)
            out.writerows(rows)
            cases += len(rows)
            refused += sum(1 for row in rows if row[-1])
    if refused:
        sys.stderr.write(f"{refused} of {cases} cases refused; the column 'refused' says why.\n")
    return 0


def segments_of(cases: Sequence[PricingCase]) -> Segments:
    """One segment a case; the cases are of one company."""
    categories = tuple(sorted({case.category for case in cases}))
    areas = tuple(sorted({case.area for case in cases}))
    at_category = {name: position for position, name in enumerate(categories)}
    at_area = {name: position for position, name in enumerate(areas)}
    return Segments(
        bill=np.arange(len(cases)),
        start=np.array([day_number(case.period_start) for case in cases]),
        end=np.array([day_number(case.period_end) for case in cases]),
        category=np.array([at_category[case.category] for case in cases]),
        area=np.array([at_area[case.area] for case in cases]),
        prepaid=np.array([int(case.mode == "prepaid") for case in cases]),
        load_w=np.array([case.sanctioned_load_w for case in cases]),
        demand_w=np.array([case.max_demand_w for case in cases]),
        energy_wh=np.array([case.energy_wh for case in cases]),
        bill_day=np.array([day_number(case.bill_date) for case in cases]),
        categories=categories,
        areas=areas,
    )


def price_cases(cases: Sequence[PricingCase], orders: Sequence[Order]) -> tuple[Priced, Summary]:
    """Cases of one company, priced by its orders. Raises HeadRoomError if any is too large."""
    priced = price(orders, segments_of(cases), metered=False)
    return priced, summarise(priced, orders, len(cases))


def rupees(paise: int) -> str:
    """`-1234.50`: for machines, without separators."""
    return f"{'-' if paise < 0 else ''}{abs(paise) // 100}.{abs(paise) % 100:02d}"


def kilowatts(centiwatts: int) -> str:
    """At least two decimals, more only where they are not 0."""
    whole, part = divmod(centiwatts, 100_000)
    return f"{whole}.{f'{part:05d}'.rstrip('0').ljust(2, '0')}"


def _blocks(cases: Iterator[PricingCase | RefusedCase]) -> Iterator[list[PricingCase | RefusedCase]]:
    while block := list(itertools.islice(cases, _BLOCK)):
        yield block


def _rows(block: Sequence[PricingCase | RefusedCase], orders: Sequence[Order]) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in block]
    companies: dict[str, list[int]] = defaultdict(list)
    for place, case in enumerate(block):
        if isinstance(case, RefusedCase):
            rows[place] = _refused(case.case, case.reason if case.case else f"line {case.line}: {case.reason}")
        else:
            companies[case.discom].append(place)
    for discom, places in companies.items():
        cases = [case for place in places if isinstance(case := block[place], PricingCase)]
        for place, row in zip(places, _rows_of_company(cases, discom, orders), strict=True):
            rows[place] = row
    return rows


def _rows_of_company(cases: Sequence[PricingCase], discom: str, orders: Sequence[Order]) -> list[list[str]]:
    try:
        _, summary = price_cases(cases, orders_of(orders, discom))
    except UnknownDiscomError as error:
        return [_refused(case.case, str(error)) for case in cases]
    except HeadRoomError as error:
        if len(cases) == 1:
            return [_refused(cases[0].case, str(error))]
        # One absurd case must not take the others with it: halve until it stands alone.
        middle = len(cases) // 2
        return [*_rows_of_company(cases[:middle], discom, orders), *_rows_of_company(cases[middle:], discom, orders)]
    return _as_rows(cases, summary)


def _as_rows(cases: Sequence[PricingCase], summary: Summary) -> list[list[str]]:
    billable, excess = summary.billable_cw.tolist(), summary.excess_w.tolist()
    money = zip(*(summary.paise[column].tolist() for column in MONEY), strict=True)
    draft = ["yes" if each else "no" for each in summary.draft.tolist()]
    return [
        _refused(case.case, summary.refused[at])
        if summary.refused[at]
        else [
            case.case,
            summary.schedule[at],
            kilowatts(billable[at]),
            kilowatts(excess[at] * 100),
            *map(rupees, amounts),
            draft[at],
            "",
        ]
        for at, (case, amounts) in enumerate(zip(cases, money, strict=True))
    ]


def _refused(case: str, reason: str) -> list[str]:
    """No schedule and no amounts; a bill that does not exist is no draft."""
    return [case, "", "", "", *([""] * len(MONEY)), "no", reason]
