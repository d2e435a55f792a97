"""Orders for the kernel's tests: those of the repository, and an invented regulator's as text."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from khata.kernel.bills import Priced, Segments, price
from khata.kernel.days import day_number
from khata.kernel.order import Order
from khata.kernel.reader import SourceFile, amended_orders, read_order
from khata.kernel.tests.oracle import Case

# The ids of the lines in the repository's orders → the columns of the oracle.
COLUMN = {
    "fixed": "fixed",
    "excess": "excess_fixed",
    "energy": "energy",
    "subsidy": "subsidy",
    "minimum": "minimum_top_up",
    "fppas": "fppas",
    "duty": "duty",
    "rebate": "rebate",
}


@cache
def repository_orders() -> tuple[Order, ...]:
    """The orders in `tariffs/`, rising by their first day."""
    root = next(above for above in Path(__file__).resolve().parents if (above / "pyproject.toml").is_file()) / "tariffs"
    amendments = [_source(root, path) for path in sorted(root.glob("*/*/amendment.yaml"))]
    orders = []
    for path in sorted(root.glob("*/*/schedule.yaml")):
        schedule = _source(root, path)
        folder = schedule.path.rsplit("/", 1)[0]
        orders.append(read_order(schedule, [each for each in amendments if folder in amended_orders(each)]))
    return tuple(sorted(orders, key=lambda order: order.in_force))


def _source(root: Path, path: Path) -> SourceFile:
    return SourceFile(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))


def segments_of(cases: Sequence[Case], **columns: Sequence[int]) -> Segments:
    """One segment a case; named columns take the place of the case's."""
    categories, areas = ("LMV-1", "LMV-2"), ("rural", "urban")
    made = {
        "bill": range(len(cases)),
        "start": [day_number(case.start) for case in cases],
        "end": [day_number(case.end) for case in cases],
        "category": [categories.index(case.category) for case in cases],
        "area": [areas.index(case.area) for case in cases],
        "prepaid": [int(case.prepaid) for case in cases],
        "load_w": [case.load_w for case in cases],
        "demand_w": [case.demand_w for case in cases],
        "energy_wh": [case.energy_wh for case in cases],
        "bill_day": [day_number(case.bill_date) for case in cases],
        **columns,
    }
    arrays = {name: np.array(values, np.int64) for name, values in made.items()}
    return Segments(**arrays, categories=categories, areas=areas)


def price_all(cases: Sequence[Case], orders: Sequence[Order] = ()) -> list[dict[str, int | str]]:
    """As the oracle answers: columns in paise and the schedule, or {'refused': …}."""
    orders = orders or repository_orders()
    return answers(price(orders, segments_of(cases), metered=False), orders, len(cases))


def answers(priced: Priced, orders: Sequence[Order], bills: int) -> list[dict[str, int | str]]:
    sums: list[dict[str, int]] = [dict.fromkeys(COLUMN.values(), 0) for _ in range(bills)]
    names: dict[int, str] = {}
    for group in priced.groups:
        for at, row in enumerate(group.rows.tolist()):
            names[row] = group.schedule.name
            for line, paise in zip(group.schedule.line_ids, group.rated.lines[at].tolist(), strict=True):
                sign = -1 if line in ("subsidy", "rebate") else 1
                sums[int(priced.segments.bill[row])][COLUMN[line]] += sign * paise
    refused: dict[int, str] = {}
    schedules: list[list[str]] = [[] for _ in range(bills)]
    for row, bill in enumerate(priced.segments.bill.tolist()):
        if priced.refusal[row]:
            refused[bill] = priced.why(row, orders)
        elif names[row] not in schedules[bill]:
            schedules[bill].append(names[row])
    return [
        {"refused": refused[bill]} if bill in refused else _answer(sums[bill], " + ".join(schedules[bill]))
        for bill in range(bills)
    ]


def _answer(sums: dict[str, int], schedule: str) -> dict[str, int | str]:
    assessed = sum(paise for column, paise in sums.items() if column not in ("subsidy", "rebate"))
    payable = assessed - sums["subsidy"] - sums["rebate"]
    return {"schedule": schedule, **sums, "assessed": assessed, "payable": payable}


# -- an invented regulator -------------------------------------------------------------------------------------------

INVENTED = """\
order:
  regulator:   ANERC
  discoms:     [NADIPUR]
  title:       "Case 41 of 2024"
  document:    "invented"
  in_force:    {from: 2025-04-01, ref: "p. 1"}
  published:   2025-03-20
  reviewed_by: none

rules:
  month:
    postpaid: {kind: billing-days, per: 30, ref: "p. 2"}
    prepaid:  {kind: calendar-month, ref: "p. 2"}
  straddle:   {kind: split-by-days, ref: "p. 2"}
  rounding:
    line:       {to: 0.01 INR, mode: half-up, ref: "p. 3"}
    slab_limit: {to: 0.001 kWh, mode: half-up, ref: "p. 3"}

schedules:
- name:  Home
  title: "Homes"
  for:   {category: LMV-1}
  ref:   "p. 4"
  lines:
  - {id: fixed,  printed: "Fixed charge",  kind: per-load, floor: 75 % of load, rate: 100.00 INR/kW/month, ref: "row 1"}
  - {id: excess, printed: "Excess demand", kind: excess-demand, rate: 2 × fixed, ref: "row 2"}
  - id: energy
    printed: "Energy charge"
    kind: slabs-telescopic
    slabs:
    - {printed: "Up to 100 units", up_to: 100 kWh, rate: 4.00 INR/kWh, ref: "row 3"}
    - {printed: "Up to 300 units", up_to: 300 kWh, rate: 6.00 INR/kWh, ref: "row 4"}
    - {printed: "Above 300 units", up_to: none, rate: 8.00 INR/kWh, ref: "row 5"}
    ref: "row 3"
  - {id: duty,   printed: "Duty", kind: percent-of, of: [fixed, excess, energy], rate: 9.00 %, ref: "row 6"}
  - id: rebate
    printed: "Prepaid rebate"
    kind: percentage-rebate
    mode: prepaid
    of: [fixed, energy]
    rate: 2.00 %
    ref: "row 7"

readings:
- {id: reading-1, question: "Q?", answer: "A.", evidence: C, because: "B."}
"""

PATH = "anerc/2025-04-01--case-41/schedule.yaml"


def invented(*changes: tuple[str, str], path: str = PATH) -> SourceFile:
    """The invented order with texts replaced; each must stand there exactly once."""
    text = INVENTED
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return SourceFile(path, text)


def successor(*changes: tuple[str, str]) -> Order:
    """The invented regulator's next order, in force from 16 June 2025."""
    dated = (("from: 2025-04-01", "from: 2025-06-16"), *changes)
    return read_order(invented(*dated, path="anerc/2025-06-16--case-17/schedule.yaml"), ())
