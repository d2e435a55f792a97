"""What a priced bill says in the columns everybody knows, and the worked examples that stand beside an order."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from khata.kernel.bills import NO_CATEGORY, Priced, Segments, price
from khata.kernel.days import Period, day_number
from khata.kernel.order import (
    MODES,
    ExcessDemand,
    Line,
    Minimum,
    Mode,
    Order,
    PercentageRebate,
    PercentOf,
    PerLoad,
    SlabsTelescopic,
    SlabSubsidy,
)
from khata.kernel.quantities import Bool, Int64
from khata.kernel.reader import SourceFile
from khata.kernel.yaml_text import Node, parse

# -- the columns of a priced bill ----------------------------------------------------------------------------------

CHARGES = ("fixed", "excess_fixed", "energy", "minimum_top_up", "fppas", "duty")
TAKEN_OFF = ("subsidy", "rebate")  # shown positive
TOTALS = ("assessed", "payable")
MONEY = ("fixed", "excess_fixed", "energy", "subsidy", "minimum_top_up", "fppas", "duty", "rebate", *TOTALS)


def column_of(line: Line) -> str:
    """The column a charge line is summed into: by its kind, as the ids of lines are the order's own."""
    match line:
        case PerLoad():
            return "fixed"
        case ExcessDemand():
            return "excess_fixed"
        case SlabsTelescopic():
            return "energy"
        case SlabSubsidy():
            return "subsidy"
        case Minimum():
            return "minimum_top_up"
        case PercentageRebate():
            return "rebate"
        case PercentOf():
            return "duty" if isinstance(line.rate, int) else "fppas"


@dataclass(frozen=True)
class Summary:
    """One row a bill, its parts added up. A bill of which any part was refused has its reason and no amounts."""

    schedule: tuple[str, ...]
    billable_cw: Int64
    excess_w: Int64
    paise: dict[str, Int64]  # by MONEY
    draft: Bool
    refused: tuple[str, ...]


def summarise(priced: Priced, orders: Sequence[Order], bills: int) -> Summary:
    """Parts added up into bills: amounts summed, billable and excess load the largest, schedules in order of days."""
    bill_of = priced.segments.bill
    paise = {column: np.zeros(bills, np.int64) for column in MONEY}
    billable, excess, draft = np.zeros(bills, np.int64), np.zeros(bills, np.int64), np.zeros(bills, np.bool_)
    names = [""] * len(bill_of)
    for group in priced.groups:
        of = bill_of[group.rows]
        np.maximum.at(billable, of, group.rated.billable_cw)
        np.maximum.at(excess, of, group.rated.excess_w)
        for number, line in enumerate(group.schedule.lines):
            column = column_of(line)
            sign = -1 if column in TAKEN_OFF else 1
            np.add.at(paise[column], of, sign * group.rated.lines[:, number])
        for row in group.rows.tolist():
            names[row] = group.schedule.name
    np.logical_or.at(draft, bill_of, priced.draft)
    paise["assessed"] = sum((paise[column] for column in CHARGES), np.zeros(bills, np.int64))
    paise["payable"] = paise["assessed"] - paise["subsidy"] - paise["rebate"]
    return Summary(_joined(names, bill_of, bills), billable, excess, paise, draft, _refusals(priced, orders, bills))


def _joined(names: list[str], bill_of: Int64, bills: int) -> tuple[str, ...]:
    joined: list[dict[str, None]] = [{} for _ in range(bills)]
    for name, bill in zip(names, bill_of.tolist(), strict=True):
        joined[bill][name] = None
    return tuple(" + ".join(each) for each in joined)


def _refusals(priced: Priced, orders: Sequence[Order], bills: int) -> tuple[str, ...]:
    refused = [""] * bills
    for row in np.flatnonzero(priced.refusal)[::-1].tolist():
        why = priced.why(row, orders)
        if priced.refusal[row] == NO_CATEGORY:
            last = [order for order in orders if day_number(order.in_force) < priced.segments.end[row]][-1]
            known = {schedule.match.category for schedule in last.schedules}
            why += f"; it has {', '.join(sorted(known))}"
            head, _, area = priced.segments.categories[int(priced.segments.category[row])].rpartition(" ")
            if head in known and area in {schedule.match.area for schedule in last.schedules}:
                why += f"; write {head} in the category and {area} in the area"
        refused[int(priced.segments.bill[row])] = why
    return tuple(refused)


# -- worked examples -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """What is known of one bill before it is rated."""

    category: str
    area: str
    mode: Mode
    period: Period
    bill_date: dt.date
    load_w: int
    demand_w: int
    energy_wh: int

    def segments(self) -> Segments:
        one = {
            "bill": 0,
            "start": day_number(self.period.start),
            "end": day_number(self.period.end),
            "category": 0,
            "area": 0,
            "prepaid": int(self.mode == "prepaid"),
            "load_w": self.load_w,
            "demand_w": self.demand_w,
            "energy_wh": self.energy_wh,
            "bill_day": day_number(self.bill_date),
        }
        columns = {name: np.array([value], np.int64) for name, value in one.items()}
        return Segments(**columns, categories=(self.category,), areas=(self.area,))


@dataclass(frozen=True)
class Example:
    """A worked bill: where it comes from, what is given, and what must come out."""

    name: str
    source: str
    given: Given
    words: dict[str, str]  # schedule, draft, refused: exact
    paise: dict[str, int]  # by MONEY: within the file's tolerance
    at: Node


@dataclass(frozen=True)
class Examples:
    tolerance_paise: int
    because: str
    examples: tuple[Example, ...]


def read_examples(file: SourceFile) -> Examples:
    """The examples beside an order, as strictly as the order itself. Raises OrderError."""
    root = parse(file.path, file.text)
    tolerance = root.take("tolerance")
    most, because = _rupees(tolerance.take("each"), " INR"), tolerance.take("because").text
    examples = tuple(_example(node) for node in root.take("examples").items)
    for node in (tolerance, root):
        node.done()
    return Examples(most, because, examples)


def misses(example: Example, tolerance_paise: int, orders: Sequence[Order]) -> list[str]:
    """Where the example comes out otherwise than it says, in words; empty if it passes."""
    priced = price(orders, example.given.segments(), metered=False)
    found = summarise(priced, orders, 1)
    said = {"schedule": found.schedule[0], "draft": "yes" if found.draft[0] else "no", "refused": found.refused[0]}
    wrong = [
        f"{column} is {said[column]!r}, not {word!r}" for column, word in example.words.items() if said[column] != word
    ]
    if found.refused[0] and "refused" not in example.words:
        return [f"refused: {found.refused[0]}"]
    for column, paise in example.paise.items():
        got = int(found.paise[column][0])
        if abs(got - paise) > tolerance_paise:
            wrong.append(f"{column} is {_text(got)}, not {_text(paise)}")
    return wrong


def _example(node: Node) -> Example:
    name, source, then = node.take("name").text, node.take("from").text, node.take("then")
    given = _given(node.take("given"))
    words = {word: found.text for word in ("schedule", "draft", "refused") if (found := then.take_if(word))}
    paise = {column: _rupees(found) for column in MONEY if (found := then.take_if(column))}
    if not words and not paise:
        raise then.error("nothing is expected", "Write at least one amount")
    for each in (then, node):
        each.done()
    return Example(name, source, given, words, paise, node)


def _given(node: Node) -> Given:
    mode, period = node.take("mode"), _period(node.take("period"))
    if mode.text not in MODES:
        raise mode.error(f"the mode {mode.text!r} is not known", f"Modes are: {', '.join(MODES)}")
    bill_date = node.take_if("bill_date")
    given = Given(
        category=node.take("category").text,
        area=node.take("area").text,
        mode="prepaid" if mode.text == "prepaid" else "postpaid",
        period=period,
        bill_date=_date(bill_date, bill_date.text) if bill_date else period.end,
        load_w=_quantity(node.take("sanctioned_load"), "kW"),
        demand_w=_quantity(node.take("max_demand"), "kW"),
        energy_wh=_quantity(node.take("energy"), "kWh"),
    )
    if not given.load_w:
        raise node.error("the sanctioned load is 0", "Give a load above 0")
    node.done()
    return given


def _period(node: Node) -> Period:
    start, dots, end = node.text.partition("..")
    if not dots:
        raise node.error(f"{node.text!r} is not a period", "Write it as 2026-05-01..2026-06-01, end not included")
    first, after = _date(node, start), _date(node, end)
    if after <= first:
        raise node.error(f"{node.text!r} ends before it starts", "Write it as first day..day after the last")
    return Period(first, after)


def _date(node: Node, text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  # a day has no zone
    except ValueError:
        raise node.error(f"{text!r} is not a date", "Write it as 2026-05-01") from None


def _quantity(node: Node, unit: str) -> int:
    found = re.fullmatch(rf"(\d+(?:\.\d{{1,3}})?) {unit}", node.text, re.ASCII)
    if not found:
        raise node.error(f"{node.text!r} is not a quantity in {unit}", f"Write e.g. 1.250 {unit}")
    return int(Decimal(found[1]).scaleb(3))


def _rupees(node: Node, unit: str = "") -> int:
    found = re.fullmatch(rf"(-?\d+\.\d\d){unit}", node.text, re.ASCII)
    if not found:
        raise node.error(f"{node.text!r} is not an amount", f"Write rupees with two decimals, e.g. 1234.50{unit}")
    return int(Decimal(found[1]).scaleb(2))


def _text(paise: int) -> str:
    return f"{Decimal(paise).scaleb(-2):.2f}"
