"""Half-hours of a day out of values of any interval that divides them, and the lines and quantities of texts with such.

Values are held in millionths of a Wh (VAh, varh) until all that belongs to a half-hour is added up; only then are they
rounded to whole Wh, half up, and the day's total is the sum of its 48 half-hours.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from khata.formats.csvfile import BOM, LONGEST_LINE, MOST_BLANK_LINES, only_blank
from khata.formats.day_rows import BY_DOUBT, IMPOSSIBLE
from khata.formats.meterdays import UNKNOWN_WH
from khata.formats.meterdays_cells import HALF_HOURS, NEGATIVE, RowError
from khata.formats.remembered import Remembered
from khata.formats.text import FormatError, shown

UNIT = "VAL-12"

MICRO = 6
UNKNOWN = -1
UNITS = {"wh": 0, "kwh": 3, "mwh": 6}  # powers of ten to Wh

_MILLION = 10**MICRO
_POWERS: tuple[int, ...] = tuple(10**n for n in range(MICRO + max(UNITS.values()) + 1))
_LONGEST_WHOLE = 15
_DOUBT = {origin: doubt for doubt, origin in enumerate(BY_DOUBT)}
_NEGATIVE = re.compile(r"-[0-9]*(\.[0-9]*)?", re.ASCII)
_COMPACT_DAY = re.compile(r"[0-9]{8}", re.ASCII)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", re.ASCII)


@dataclass(frozen=True)
class Line:
    """A line that is not blank: its number, its text without the line end, and whether it had a line end."""

    number: int
    text: str
    ended: bool


def lines_of(file: BinaryIO) -> Iterator[Line]:
    """The lines that are not blank. A NUL, and what is not UTF-8, becomes U+FFFD, which no cell that counts accepts."""
    number = last = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        if number - last > MOST_BLANK_LINES:
            raise only_blank(number)
        if len(raw) >= LONGEST_LINE:
            next_step = "Check that this is the file that the sender made"
            raise FormatError("the line is longer than a mebibyte", line=number, next_step=next_step)
        text = (raw.removeprefix(BOM) if number == 1 else raw).decode(errors="replace").replace("\0", "\ufffd")
        if text.strip():
            last = number
            yield Line(number, text.removesuffix("\n").removesuffix("\r"), raw.endswith(b"\n"))


def micro(cell: str, unit: int) -> int:
    """`'1.27'` kWh (unit 3) is 1,270,000,000 millionths of a Wh: exact, or RowError. No blanks around it."""
    whole, _, part = cell.partition(".")
    figures, places = whole + part, MICRO + unit
    if figures.isascii() and figures.isdigit() and len(part) <= places and len(whole) <= _LONGEST_WHOLE:
        return int(figures) * _POWERS[places - len(part)]
    raise _no_quantity(cell, places)


_MICRO = {unit: Remembered(partial(micro, unit=unit)) for unit in UNITS.values()}


def micros(cells: Iterable[str], unit: int) -> list[int]:
    """`micro` of many cells."""
    return _MICRO[unit].all(cells)


def _no_quantity(cell: str, places: int) -> RowError:
    if not cell:
        return RowError("a value is empty", next_step="Give a number, or mark it as not known in the form's own way")
    said = f"the value {shown(cell)}"
    if any(c.isdecimal() and not c.isascii() for c in cell):
        return RowError(f"{said} has digits of another script", next_step="Use the digits 0 to 9 in bulk files")
    if _NEGATIVE.fullmatch(cell) and len(cell) > 1:
        return RowError(f"{said} is below 0", next_step="Give energy the other way on its own register", rule=NEGATIVE)
    if not _NUMBER.fullmatch(cell):
        return RowError(f"{said} is not a number", next_step="Write it like 1.234")
    if len(cell.partition(".")[0]) > _LONGEST_WHOLE:
        return RowError(f"{said} is more than a meter can measure", next_step="Check the unit", rule=IMPOSSIBLE)
    return RowError(f"{said} has more than {places} decimal places", next_step="Check the unit")


def compact_day(text: str, what: str) -> dt.date:
    """`20240531`, or the first eight figures of a stamp that is checked elsewhere. RowError: not in the calendar."""
    try:
        if not _COMPACT_DAY.fullmatch(text):
            raise ValueError
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        wrong = f"{what} {shown(text)} is not a day of the calendar"
        raise RowError(wrong, next_step="Write it as year, month and day, like 20240531") from None


def cut_off() -> RowError:
    return RowError("the delivery ends in the middle of a row", next_step="Ask the sender for it again")


def decimal_comma(cell: str) -> str:
    """`1,27` as micro reads it. RowError: it has a point, which could be one of thousands."""
    if "." in cell:
        wrong = f"the value {shown(cell)} has a point"
        raise RowError(wrong, next_step="Write decimals with a comma, and no sign between thousands")
    return cell.replace(",", ".")


def worse(one: int, other: int) -> int:
    """The origin of a sum of two values: estimated before substituted before edited before actual."""
    return one if _DOUBT[one] >= _DOUBT[other] else other


_WHOLE = Remembered(lambda value: (value + _MILLION // 2) // _MILLION if value >= 0 else UNKNOWN_WH)


def whole_wh(values: Sequence[int]) -> list[int]:
    """Millionths as whole Wh, half up."""
    return _WHOLE.all(values)


def half_hours(values: Sequence[int], origins: Sequence[int]) -> tuple[list[int], list[int]]:
    """Values of a day (a multiple of 48 of them) and their origins, added up to 48. One unknown part: unknown."""
    size = len(values) // HALF_HOURS
    if size == 1:
        return list(values), list(origins)
    sums, marks = [], []
    for at in range(0, len(values), size):
        parts = values[at : at + size]
        known = UNKNOWN not in parts
        sums.append(sum(parts) if known else UNKNOWN)
        marks.append(max(origins[at : at + size], key=_DOUBT.__getitem__) if known else 0)
    return sums, marks
