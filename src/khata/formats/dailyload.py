"""Registers by the day or by the month, from CSV: the daily load profile and the billing profile of IS 15959.

Daily load, `meter,midnight,register_kwh,…`: what the registers showed at a midnight in India, which is the END of the
day before; `day` instead of `midnight` names that day itself. Each register given is a meter day of its channel.
Billing profile, `meter,billing_date,register_kwh,demand_kw`: the register at the beginning of a day, and the maximum
demand since the billing date before. An empty cell is not known; a bad line is refused by itself.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from khata.formats.csvfile import (
    BOM,
    LONGEST_LINE,
    MOST_BLANK_LINES,
    check_header,
    decode_line,
    only_blank,
    split_record,
)
from khata.formats.meterdays import (
    APPARENT_EXPORT,
    APPARENT_IMPORT,
    BATCH_ROWS,
    CUT_OFF,
    EXPORT,
    IMPORT,
    LARGEST_BLOCK_WH,
    UNKNOWN_WH,
    Batch,
    MeterDayBatch,
    ReadingBatch,
    Refused,
)
from khata.formats.meterdays_cells import (
    KILO,
    LARGEST_WHOLE,
    NEGATIVE,
    RowError,
    ascii_only,
    plain_day,
    plain_serial,
    refused,
)
from khata.formats.text import FormatError, decimal_scaled, iso_date, shown

REGISTERS = {
    "register_kwh": IMPORT,
    "export_kwh": EXPORT,
    "register_kvah": APPARENT_IMPORT,
    "export_kvah": APPARENT_EXPORT,
}
DAILY = "meter,midnight (or day) and one or more of: register_kwh, export_kwh, register_kvah, export_kvah; demand_kw"
BILLING = "meter,billing_date,register_kwh[,demand_kw]"
WRONG_TIME = "VAL-09"

_MIDNIGHT = re.compile(r"(?P<day>[0-9-]{10})[T ](?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2})?)(?P<zone>\S*)", re.ASCII)
_INDIA = ("", "+05:30", "+0530")


def read_daily_load(file: BinaryIO) -> Iterator[Batch]:
    """Batches of meter days with registers only, or of readings, by the header. FormatError where it is neither."""
    lines = _lines(file)
    names: tuple[str, ...] = ()
    part = _Part()
    for number, raw in lines:
        if not names:
            names = _header(raw, number)
        elif raw.strip():
            part.take(number, raw, names)
            if part.full:
                yield part.batch(names)
                part = _Part()
    if not names:
        raise FormatError("the file is empty", line=1, next_step="Check that the export finished")
    if part.rows or part.refused:
        yield part.batch(names)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(number, line with its end); of one that is too long only so much that this is seen."""
    number = last = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        last = last if raw.isspace() else number
        if number - last > MOST_BLANK_LINES:
            raise only_blank(number)
        more = raw
        while len(more) >= LONGEST_LINE and not more.endswith(b"\n"):
            more = file.readline(LONGEST_LINE)
        yield number, raw


def _header(raw: bytes, number: int) -> tuple[str, ...]:
    text = decode_line(raw.removeprefix(BOM) if number == 1 else raw, number)
    if not text.strip():
        return ()
    cells = [cell.strip() for cell in split_record(text.rstrip("\r\n"))]
    if "billing_date" in cells:
        required, optional, expected = ["meter", "billing_date", "register_kwh"], ["demand_kw"], BILLING
    else:
        required = ["meter", "day" if "day" in cells else "midnight"]
        optional, expected = [*REGISTERS, "demand_kw"], DAILY
    names = check_header(cells, line=number, required=required, optional=optional, expected=expected)
    if not any(name in REGISTERS for name in names):
        raise FormatError("there is no column with a register", line=number, next_step=f"The header must be {expected}")
    return names


@dataclass
class _Part:
    """Rows (line, serial, day, channel, register, demand) and refusals, until there are enough for a batch."""

    rows: list[tuple[int, bytes, str, int, int, int]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return len(self.rows) >= BATCH_ROWS or len(self.refused) >= BATCH_ROWS

    def take(self, number: int, raw: bytes, names: tuple[str, ...]) -> None:
        row: dict[str, Any] = {}
        try:
            if not raw.endswith(b"\n") and len(raw) < LONGEST_LINE:
                raise FormatError(CUT_OFF, next_step="Send it whole; a last line ends with a line break, too")
            cells = split_record(decode_line(raw, number).removesuffix("\n").removesuffix("\r"))
            if len(cells) != len(names):
                wrong = f"{len(cells)} fields, the header has {len(names)}"
                raise FormatError(wrong, next_step="Check the commas of this line")
            for name, cell in zip(names, cells, strict=True):
                row[name] = _value(name, cell)
            self.rows += _rows(number, row)
        except FormatError as error:
            content = raw.decode(errors="replace").rstrip("\r\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
            day = row.get("day") or row.get("midnight") or row.get("billing_date")
            self.refused.append(refused(error, line=number, content=content, serial=row.get("meter", b""), day=day))

    def batch(self, names: tuple[str, ...]) -> Batch:
        columns = list(zip(*self.rows, strict=True)) or [()] * 6
        lines, serials = np.array(columns[0], np.int64), np.array(columns[1], "S1" if not self.rows else np.bytes_)
        days, channel = np.array(columns[2], "M8[D]"), np.array(columns[3], np.int8)
        register, demand = np.array(columns[4], np.int64), np.array(columns[5], np.int64)
        if "billing_date" in names:
            return ReadingBatch(lines, serials, days, register, demand, refused=tuple(self.refused))
        unknown = np.full(len(lines), UNKNOWN_WH, np.int64)
        return MeterDayBatch(
            lines,
            serials,
            days,
            None,
            None,
            unknown,
            np.zeros(len(lines), np.bool_),
            channel=channel,
            register_wh=register,
            demand_w=demand,
            refused=tuple(self.refused),
        )


def _rows(number: int, row: dict[str, Any]) -> Iterator[tuple[int, bytes, str, int, int, int]]:
    day = row.get("day") or row.get("midnight") or row["billing_date"]
    given = [name for name in REGISTERS if row.get(name, UNKNOWN_WH) != UNKNOWN_WH]
    if not given:
        raise FormatError("no register is given", next_step="Give at least one register in kWh or kVAh")
    for name in given:
        demand = row.get("demand_kw", UNKNOWN_WH) if name == "register_kwh" else UNKNOWN_WH
        yield number, row["meter"], day, REGISTERS[name], row[name], demand


def _value(name: str, cell: str) -> Any:
    try:
        match name:
            case "meter":
                return plain_serial(cell)
            case "day" | "billing_date":
                return plain_day(cell)
            case "midnight":
                return _day_before(cell)
            case _:
                return _thousandths(cell, name)
    except FormatError as error:
        raise error.at(line=None, column=name) from None


def _day_before(cell: str) -> str:
    """The day that ends at this midnight in India."""
    match = _MIDNIGHT.fullmatch(ascii_only(cell, "midnight").strip())
    if not match:
        raise FormatError(f"midnight {shown(cell)} is no time", next_step="Write it like 2024-06-01T00:00:00+05:30")
    day = iso_date(match["day"], what="midnight")
    if match["zone"] not in _INDIA:
        wrong = f"the time zone {shown(match['zone'])} is not India's"
        raise RowError(wrong, next_step="Give Indian time, +05:30", rule=WRONG_TIME)
    if match["time"].replace(":", "").strip("0"):
        wrong = f"{shown(match['time'])} is not midnight"
        raise RowError(wrong, next_step="Give what the register showed at 00:00 Indian time", rule=WRONG_TIME)
    if day == dt.date.min:
        raise FormatError("there is no day before that midnight", next_step="Check the date")
    return (day - dt.timedelta(days=1)).isoformat()


def _thousandths(cell: str, name: str) -> int:
    """kWh as Wh, kW as W; UNKNOWN_WH where empty."""
    text = ascii_only(cell, name).strip()
    if not text:
        return UNKNOWN_WH
    value = decimal_scaled(text, KILO, what=name)
    if value < 0:
        raise RowError(f"{shown(text)} is below 0", next_step="Leave it empty if it is unknown", rule=NEGATIVE)
    if value > (LARGEST_BLOCK_WH if name == "demand_kw" else LARGEST_WHOLE):
        raise FormatError(f"{shown(text)} is too large", next_step="Check the unit and the decimal point")
    return value
