"""E-Distribuzione, once Enel Distribuzione (Italy): a month's quarter-hours that a consumer exports, a row a day.

A header `Giorno;00:00-00:15;…;23:45-00:00`, then the day (before the month) and 96 values in quotes with a decimal
comma. The file names no meter and no unit. The values are kWh of each quarter, not kW: a meter counts whole Wh, and
power made of a quarter's whole Wh would come in steps of 0.004, which the values of real files do not keep. They are
imported energy; an empty one is unknown.
"""

import datetime as dt
import re
from collections.abc import Iterator
from typing import BinaryIO

from khata.formats.day_rows import Row, Rows
from khata.formats.halfhours import UNITS, UNKNOWN, Line, cut_off, decimal_comma, half_hours, lines_of, micro, whole_wh
from khata.formats.meterdays import ACTUAL, IMPORT, Batch
from khata.formats.meterdays_cells import COUNT, RowError, plain_serial
from khata.formats.text import FormatError, shown

QUARTERS = tuple(f"{n // 4:02d}:{n % 4 * 15:02d}" for n in range(96))
HEADER = ["Giorno", *(f"{start}-{end}" for start, end in zip(QUARTERS, (*QUARTERS[1:], "00:00"), strict=True))]

_DAY = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})", re.ASCII)


def read_enel(file: BinaryIO, serial: str) -> Iterator[Batch]:
    """Meter days of the meter `serial`. FormatError: it is no meter number, or the header is another one."""
    meter, rows = plain_serial(serial), Rows()
    lines = lines_of(file)
    _check_header(lines)
    for line in lines:
        day: dt.date | None = None
        try:
            cells = _cells(line)
            day = _day(cells[0])
            values, origins = _half_hours(cells[1:])
            rows.add(Row(line.number, meter, day, IMPORT, whole_wh(values), origins))
        except FormatError as error:
            rows.refuse(line.number, error, serial=meter, day=day, channel=IMPORT, content=line.text)
        yield from rows.full()
    yield from rows.rest()


def _check_header(lines: Iterator[Line]) -> None:
    line = next(lines, None)
    if line is None:
        raise FormatError("the file is empty", line=1, next_step="Check that the export finished")
    if _unquoted(line.text) != HEADER:
        wrong = f"the header is not Giorno and 96 quarter-hours but {shown(line.text)}"
        raise FormatError(wrong, line=line.number, next_step="Export the quarter-hours (curva di carico) as CSV")


def _unquoted(text: str) -> list[str]:
    """The cells without their quotes; a semicolon at the end of the line opens no further one."""
    cells = [cell.strip(" ") for cell in text.strip(" ").removesuffix(";").split(";")]
    return [cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell for cell in cells]


def _cells(line: Line) -> list[str]:
    if not line.ended and not line.text.endswith(('";', '"')):
        raise cut_off()
    cells = _unquoted(line.text)
    if len(cells) != len(HEADER):
        if not line.ended:
            raise cut_off()
        wrong = f"{len(cells) - 1} values, a day has {len(HEADER) - 1} quarter-hours"
        raise RowError(wrong, next_step="A day on which the clock changes cannot be taken", rule=COUNT)
    return cells


def _day(cell: str) -> dt.date:
    match = _DAY.fullmatch(cell)
    try:
        if not match:
            raise ValueError
        return dt.date(int(match[3]), int(match[2]), int(match[1]))
    except ValueError:
        wrong = f"the day {shown(cell)} is not in the calendar"
        raise RowError(wrong, next_step="Write it as day/month/year, like 31/05/2024") from None


def _half_hours(cells: list[str]) -> tuple[list[int], list[int]]:
    values = [micro(decimal_comma(cell), UNITS["kwh"]) if cell else UNKNOWN for cell in cells]
    return half_hours(values, [0 if value == UNKNOWN else ACTUAL for value in values])
