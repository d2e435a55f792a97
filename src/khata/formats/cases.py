"""Pricing cases: a line is a bill to compute, without a consumer. A bad line is refused by itself, the others stay."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from khata.formats.csvfile import BadRow, Row, read_rows
from khata.formats.text import FormatError, decimal_scaled, iso_date, shown
from khata.kernel.order import MODES, Mode

AREAS = ("urban", "rural")
REQUIRED = (
    "case",
    "discom",
    "category",
    "area",
    "mode",
    "period_start",
    "period_end",
    "sanctioned_load_kw",
    "max_demand_kw",
    "energy_kwh",
)
OPTIONAL = ("bill_date",)
KILO = 3  # decimal places between kW and W, kWh and Wh

T = TypeVar("T")


@dataclass(frozen=True)
class PricingCase:
    """One case, as written. The period is [start, end); loads in W, energy in Wh.

    Discom and category are words for the caller to check against the orders.
    """

    line: int
    case: str
    discom: str
    category: str
    area: str
    mode: Mode
    period_start: dt.date
    period_end: dt.date
    sanctioned_load_w: int
    max_demand_w: int
    energy_wh: int
    bill_date: dt.date


@dataclass(frozen=True)
class RefusedCase:
    """A line that is no case, and why, in one sentence without the line number."""

    line: int
    case: str
    reason: str


def read_cases(file: BinaryIO) -> Iterator[PricingCase | RefusedCase]:
    """Each line of the file in its order. What puts the whole file in doubt (header, encoding) raises FormatError."""
    first_line: dict[str, int] = {}
    for row in read_rows(file, required=REQUIRED, optional=OPTIONAL):
        if isinstance(row, BadRow):
            yield RefusedCase(row.line, "", _reason(row.error))
            continue
        name = row.values["case"].strip()
        try:
            if name and name in first_line:
                raise FormatError(f"the case {shown(name)} stands already on line {first_line[name]}")
            yield _case(row, name)
        except FormatError as error:
            yield RefusedCase(row.line, name, _reason(error))
        first_line.setdefault(name, row.line)


def _case(row: Row, name: str) -> PricingCase:
    start, end = _date(row, "period_start"), _date(row, "period_end")
    if end <= start:
        raise FormatError(f"the period ends on {end}, not after its start {start}")
    bill_date = _date(row, "bill_date") if row.values.get("bill_date", "").strip() else end
    if bill_date < start:
        raise FormatError(f"the bill date {bill_date} is before the period's start {start}")
    return PricingCase(
        line=row.line,
        case=name or _word(row, "case"),
        discom=_word(row, "discom"),
        category=_word(row, "category"),
        area=_one_of(row, "area", AREAS),
        mode=_one_of(row, "mode", MODES),
        period_start=start,
        period_end=end,
        sanctioned_load_w=_amount(row, "sanctioned_load_kw", least=1),
        max_demand_w=_amount(row, "max_demand_kw", least=0),
        energy_wh=_amount(row, "energy_kwh", least=0),
        bill_date=bill_date,
    )


def _word(row: Row, column: str) -> str:
    word = row.values[column].strip()
    if not word:
        raise FormatError(f"{column} is empty")
    return word


def _one_of(row: Row, column: str, words: tuple[T, ...]) -> T:
    given = _word(row, column)
    for word in words:
        if word == given:
            return word
    raise FormatError(f"{column} {shown(given)} is not one of: {', '.join(map(str, words))}")


def _date(row: Row, column: str) -> dt.date:
    return iso_date(row.values[column], what=column)


def _amount(row: Row, column: str, *, least: int) -> int:
    text = row.values[column]
    amount = decimal_scaled(text, KILO, what=column)
    if amount < least:
        wrong = "below 0" if least == 0 else "not above 0"
        raise FormatError(f"{column} {shown(text.strip())} is {wrong}")
    return amount


def _reason(error: FormatError) -> str:
    return f"{error.what}. {error.next_step}." if error.next_step else f"{error.what}."
