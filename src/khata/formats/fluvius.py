"""Fluvius (Belgium): the quarter-hours that a consumer exports from the grid company's site.

Semicolons, decimal commas, day before month, the EAN as `="…"`. A meter has four registers: Afname (import) and
Injectie (export), each Dag (day) and Nacht (night); day and night are added up. Gevalideerd is actual, Geschat is
estimated. Geen verbruik, with an empty volume, says that there is no value: the quarter is unknown, which is not 0.

A row of the delivery is a day of a meter and a channel. It must have its 96 quarters; the days on which summer time
begins or ends have 92 or 100, and are refused.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from khata.formats.csvfile import check_header
from khata.formats.day_rows import Row, Rows
from khata.formats.halfhours import (
    UNIT,
    UNITS,
    UNKNOWN,
    Line,
    cut_off,
    decimal_comma,
    half_hours,
    lines_of,
    micro,
    whole_wh,
    worse,
)
from khata.formats.meterdays import ACTUAL, ESTIMATED, EXPORT, IMPORT, KEPT_OF_A_ROW, Batch
from khata.formats.meterdays_cells import COUNT, RowError, plain_serial
from khata.formats.text import FormatError, shown

COLUMNS = (
    "Van datum",
    "Van tijdstip",
    "Tot datum",
    "Tot tijdstip",
    "EAN",
    "Meter",
    "Metertype",
    "Register",
    "Volume",
    "Eenheid",
    "Validatiestatus",
)
REGISTERS = {"Afname Dag": IMPORT, "Afname Nacht": IMPORT, "Injectie Dag": EXPORT, "Injectie Nacht": EXPORT}
STATUS = {"Gevalideerd": ACTUAL, "Geschat": ESTIMATED, "Geen verbruik": 0}
QUARTERS = 96

_MOST_OPEN = 1_500  # days of a meter and channel: rows may stand in any order within so many
_MOST_TOLD = 3  # of a quarter and register: two where summer time ends; what is more is refused all the same
_QUARTER_S, _DAY_S = 15 * 60, 24 * 60 * 60
_CLOCK_HOUR = range(8, 12)  # the quarters from 02:00 to 03:00, which come twice or not at all
_DAY = re.compile(r"([0-9]{2})-([0-9]{2})-([0-9]{4})", re.ASCII)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])", re.ASCII)
_EAN = re.compile(r'="[0-9]{18}"|[0-9]{18}', re.ASCII)


@dataclass
class _Day:
    """A meter's day of one channel: per register and quarter its values in millionths, with their origins."""

    serial: bytes
    day: dt.date
    channel: int
    last: int = 0
    text: str = ""
    told: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    problem: tuple[int, FormatError, str] | None = None


@dataclass(frozen=True)
class _Quarter:
    serial: bytes
    day: dt.date
    second: int
    register: str
    cells: dict[str, str]


def read_fluvius(file: BinaryIO) -> Iterator[Batch]:
    """Meter days, estimated quarters marked. FormatError: the header is another one, or a line over a mebibyte."""
    lines = lines_of(file)
    names = _header(lines)
    rows = Rows()
    open_days: dict[tuple[bytes, dt.date, int], _Day] = {}
    last = b"", dt.date.min
    for line in lines:
        try:
            quarter = _quarter(line, names)
        except FormatError as error:
            rows.refuse(line.number, error if line.ended else cut_off(), content=line.text)
            continue
        last = quarter.serial, quarter.day
        key = (*last, REGISTERS[quarter.register])
        _take(open_days.setdefault(key, _Day(*key)), quarter, line)
        if len(open_days) > _MOST_OPEN:
            _close(open_days.pop(next(iter(open_days))), rows)
        yield from rows.full()
    for day in open_days.values():
        _close(day, rows, is_last=(day.serial, day.day) == last)
    yield from rows.rest()


def _header(lines: Iterator[Line]) -> tuple[str, ...]:
    line = next(lines, None)
    if line is None:
        raise FormatError("the file is empty", line=1, next_step="Check that the export finished")
    try:
        return check_header(line.text.split(";"), line=line.number, required=COLUMNS, expected=";".join(COLUMNS))
    except FormatError as error:
        raise error.at(line=line.number) from None


def _quarter(line: Line, names: tuple[str, ...]) -> _Quarter:
    """Which meter, time and register a line speaks of; RowError where that cannot be told."""
    values = [cell.strip(" ") for cell in line.text.split(";")]
    if len(values) != len(names):
        raise RowError(f"{len(values)} fields, the header has {len(names)}", next_step="Check the semicolons")
    cells = dict(zip(names, values, strict=True))
    if cells["Register"] not in REGISTERS:
        wrong = f"the register {shown(cells['Register'])} is not known"
        raise RowError(wrong, next_step="Give Afname or Injectie, each Dag or Nacht", rule=UNIT)
    serial, (day, second) = plain_serial(cells["Meter"]), _stamp(cells["Van datum"], cells["Van tijdstip"])
    return _Quarter(serial, day, second, cells["Register"], cells)


def _stamp(day: str, time: str) -> tuple[dt.date, int]:
    """The day and the second of it."""
    date, clock = _DAY.fullmatch(day), _TIME.fullmatch(time)
    try:
        if not date or not clock:
            raise ValueError
        second = (int(clock[1]) * 60 + int(clock[2])) * 60 + int(clock[3])
        return dt.date(int(date[3]), int(date[2]), int(date[1])), second
    except ValueError:
        wrong = f"{shown(f'{day} {time}')} is not a time of the calendar"
        raise RowError(wrong, next_step="Write it like 31-05-2024 and 09:15:00") from None


def _take(day: _Day, quarter: _Quarter, line: Line) -> None:
    day.last = line.number
    day.text = day.text or line.text[:KEPT_OF_A_ROW]
    try:
        amount = _amount(quarter)
    except FormatError as error:
        day.problem = day.problem or (line.number, error if line.ended else cut_off(), line.text[:KEPT_OF_A_ROW])
        return
    told = day.told.setdefault((quarter.register, quarter.second // _QUARTER_S), [])
    if len(told) < _MOST_TOLD:
        told.append(amount)


def _amount(quarter: _Quarter) -> tuple[int, int]:
    """Millionths of a Wh and origin; UNKNOWN and 0 where there was no value."""
    cells = quarter.cells
    if not _is_quarter(quarter):
        wrong = f"the interval from {cells['Van tijdstip']} to {cells['Tot tijdstip']} is not a quarter of an hour"
        raise RowError(wrong, next_step="Export quarter-hours", rule=COUNT)
    if not _EAN.fullmatch(cells["EAN"]):
        raise RowError("the EAN is not 18 figures", next_step="Export the file again, and do not save it from a sheet")
    if cells["Eenheid"].lower() not in UNITS:
        wrong = f"the unit {shown(cells['Eenheid'])} is not one of energy"
        raise RowError(wrong, next_step="Give kWh", rule=UNIT)
    status, volume = cells["Validatiestatus"], cells["Volume"]
    if status not in STATUS:
        raise RowError(f"the status {shown(status)} is not known", next_step=f"Give {', '.join(STATUS)}")
    if not STATUS[status]:
        if volume:
            wrong = f"there is a volume {shown(volume)} although the status is {status}"
            raise RowError(wrong, next_step="Ask which of the two holds")
        return UNKNOWN, 0
    return micro(decimal_comma(volume), UNITS[cells["Eenheid"].lower()]), STATUS[status]


def _is_quarter(quarter: _Quarter) -> bool:
    """Also the one that begins at 02:45 summer time and ends at 02:00 winter time."""
    end_day, end = _stamp(quarter.cells["Tot datum"], quarter.cells["Tot tijdstip"])
    seconds = (end_day - quarter.day).days * _DAY_S + end - quarter.second
    return not quarter.second % _QUARTER_S and (
        seconds == _QUARTER_S or (seconds == _QUARTER_S - 3600 and quarter.second // _QUARTER_S == _CLOCK_HOUR[-1])
    )


def _close(day: _Day, rows: Rows, is_last: bool = False) -> None:
    """The day as a row, or refused. `is_last`: the file ends in it."""
    error: FormatError | None = _wrong_quarters(day)
    line, text = day.last, day.text
    told = {index for _, index in day.told}
    if day.problem and not _hour_comes_twice(day):
        line, error, text = day.problem
    elif is_last and len(told) < QUARTERS and told == set(range(len(told))):
        wrong = "the delivery ends in the middle of this day"
        error = RowError(wrong, next_step="Ask for the whole day")
    if error is None:
        values, origins = [0] * QUARTERS, [0] * QUARTERS
        for (_, index), [(value, origin)] in day.told.items():
            values[index] = UNKNOWN if UNKNOWN in (value, values[index]) else values[index] + value
            origins[index] = 0 if values[index] == UNKNOWN else worse(origins[index], origin)
        sums, marks = half_hours(values, origins)
        try:
            rows.add(Row(line, day.serial, day.day, day.channel, whole_wh(sums), marks))
            return
        except RowError as too_large:
            error = too_large
    rows.refuse(line, error, serial=day.serial, day=day.day, channel=day.channel, content=text)


def _hour_comes_twice(day: _Day) -> bool:
    twice = {index for (_, index), amounts in day.told.items() if len(amounts) == 2}
    more = any(len(amounts) > 2 for amounts in day.told.values())
    return not more and twice == set(_CLOCK_HOUR)


def _wrong_quarters(day: _Day) -> RowError | None:
    told = {index for _, index in day.told}
    next_step = "Load the day's total as meter,day,kwh: a day of half-hours has 48"
    if _hour_comes_twice(day):
        wrong = "summer time ends on this day: the hour from 02:00 comes twice, which makes 50 half-hours"
        return RowError(wrong, next_step=next_step, rule=COUNT)
    if set(range(QUARTERS)) - told == set(_CLOCK_HOUR):
        wrong = "the hour from 02:00 is missing, as where summer time begins: 46 half-hours"
        return RowError(wrong, next_step=next_step, rule=COUNT)
    repeated = sorted(index for (_, index), amounts in day.told.items() if len(amounts) > 1)
    if repeated:
        wrong = f"the quarter from {repeated[0] // 4:02d}:{repeated[0] % 4 * 15:02d} comes twice for the same register"
        return RowError(wrong, next_step="Export the day again", rule=COUNT)
    if len(told) < QUARTERS:
        wrong = f"the day has {len(told)} of its {QUARTERS} quarter-hours"
        return RowError(wrong, next_step="Export the whole day", rule=COUNT)
    return None
