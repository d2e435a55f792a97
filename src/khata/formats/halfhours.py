"""Half-hours of a day out of values of any interval that divides them, and batches of such days for a text's reader.

Values are held in millionths of a Wh (VAh, varh) until all that belongs to a half-hour is added up; only then are they
rounded to whole Wh, half up, and the day's total is the sum of its 48 half-hours.
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np

from khata.formats.csvfile import BOM, LONGEST_LINE
from khata.formats.meterdays import (
    ACTUAL,
    EDITED,
    ESTIMATED,
    LARGEST_BLOCK_WH,
    SUBSTITUTED,
    UNKNOWN_WH,
    MeterDayBatch,
    Refused,
)
from khata.formats.meterdays_cells import HALF_HOURS, NEGATIVE, RowError, refused
from khata.formats.text import FormatError, shown

UNIT, IMPOSSIBLE = "VAL-12", "VAL-05"

MICRO = 6
UNKNOWN = -1
UNITS = {"wh": 0, "kwh": 3, "mwh": 6}  # powers of ten to Wh

_ROWS = 10_000
_MILLION = 10**MICRO
_POWERS: tuple[int, ...] = tuple(10**n for n in range(MICRO + max(UNITS.values()) + 1))
_LONGEST_WHOLE = 15
_DOUBT = {0: 0, ACTUAL: 1, EDITED: 2, SUBSTITUTED: 3, ESTIMATED: 4}  # of two origins the higher stands for both
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
    number = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        if len(raw) >= LONGEST_LINE:
            next_step = "Check that this is the file that the sender made"
            raise FormatError("the line is longer than a mebibyte", line=number, next_step=next_step)
        text = (raw.removeprefix(BOM) if number == 1 else raw).decode(errors="replace").replace("\0", "\ufffd")
        if text.strip():
            yield Line(number, text.removesuffix("\n").removesuffix("\r"), raw.endswith(b"\n"))


@lru_cache(maxsize=1 << 16)  # the same few thousand numbers come again and again
def micro(cell: str, unit: int) -> int:
    """`'1.27'` kWh (unit 3) is 1,270,000,000 millionths of a Wh: exact, or RowError. No blanks around it."""
    whole, _, part = cell.partition(".")
    figures, places = whole + part, MICRO + unit
    if figures.isascii() and figures.isdigit() and len(part) <= places and len(whole) <= _LONGEST_WHOLE:
        return int(figures) * _POWERS[places - len(part)]
    raise _no_quantity(cell, places)


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


class DayRows:
    """Collects meter days and refusals, and hands them on as batches in the order of the file."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, bytes, dt.date, int, int]] = []
        self._blocks: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
        self._origins: list[np.ndarray[tuple[int], np.dtype[np.int8]]] = []
        self._refused: list[Refused] = []

    @property
    def full(self) -> bool:
        return len(self._rows) + len(self._refused) >= _ROWS

    def add(
        self, *, line: int, serial: bytes, day: dt.date, channel: int, values: Sequence[int], origins: Sequence[int]
    ) -> None:
        """A day of 48 half-hours in millionths of a Wh, UNKNOWN with origin 0 where not known. RowError: too large.

        The day's origin is the worst of its half-hours; of a day without any it is ACTUAL.
        """
        if max(values) + _MILLION // 2 >= (LARGEST_BLOCK_WH + 1) * _MILLION:
            wrong = "a half-hour has more energy than a meter can measure"
            raise RowError(wrong, next_step="Check the unit", rule=IMPOSSIBLE)
        exact = np.array(values, np.int64)
        blocks = np.where(exact == UNKNOWN, UNKNOWN_WH, (exact + _MILLION // 2) // _MILLION)
        of_day = max(set(origins), key=_DOUBT.__getitem__) or ACTUAL
        self._rows.append((line, serial, day, channel, of_day))
        self._blocks.append(blocks.astype(np.int32))
        self._origins.append(np.array(origins, np.int8))

    def refuse(
        self,
        line: int,
        error: FormatError,
        *,
        serial: bytes = b"",
        day: dt.date | None = None,
        channel: int | None = None,
        content: str = "",
    ) -> None:
        iso = day.isoformat() if day else None
        self._refused.append(refused(error, line=line, content=content, serial=serial, day=iso, channel=channel))

    def batch(self) -> Iterator[MeterDayBatch]:
        """What was collected since the last one; nothing where there is nothing."""
        if not self._rows and not self._refused:
            return
        n = len(self._rows)
        lines, serials, days, channels, of_day = zip(*self._rows, strict=True) if n else ((),) * 5
        blocks = np.array(self._blocks, np.int32).reshape(n, HALF_HOURS)
        origins = np.array(self._origins, np.int8).reshape(n, HALF_HOURS)
        known = blocks != UNKNOWN_WH
        total_known = known.all(axis=1)
        origin = np.array(of_day, np.int8)
        yield MeterDayBatch(
            lines=np.array(lines, np.int64),
            serials=np.array(serials, np.bytes_),
            days=np.array(days, "M8[D]"),
            blocks=blocks,
            known=known,
            total_wh=np.where(total_known, blocks.sum(axis=1, dtype=np.int64), UNKNOWN_WH),
            total_known=total_known,
            channel=np.array(channels, np.int8),
            origin=origin,
            origins=origins if ((origins != origin[:, None]) & known).any() else None,
            refused=tuple(self._refused),
        )
        self._rows, self._blocks, self._origins, self._refused = [], [], [], []
