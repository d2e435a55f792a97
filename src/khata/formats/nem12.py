"""NEM12, the interval data of the Australian market's Meter Data File Format; NEM13 is handed on to `nem13`.

The letters of a data stream are seen from the pool: E is energy that leaves it for the consumer, our IMPORT; B is
energy that the consumer brings, our EXPORT. So too the reactive ones: Q goes to the consumer (REACTIVE_LAG), K comes
from him (REACTIVE_LEAD). T, in VAh, has no direction and is taken as APPARENT_IMPORT. Averages, check meters, net
streams, volts and power factors are no channel of a meter and are refused. The meter's number is the serial of the 200
record; where that is empty, the NMI.

A meter's E1, E2 … are registers of one channel and are added up, half-hour by half-hour; B1, B2 … likewise. The
NMI configuration names the registers that belong together: where one of them did not come for a day, or could not be
read, the channel's day is refused. An interval that is null (N) is unknown, and so is a sum with it; only a null of one
configuration gives way to a value of another (a meter that was set up anew within the day says half of it in each).

A is actual; E estimated; S and F (final) substituted. The two figures of the method may be missing. V: the 400 records
say it of every interval. 500 records (registers read on the spot at some hour) are not used.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from khata.formats.day_rows import Row, Rows
from khata.formats.halfhours import UNIT, UNKNOWN, compact_day, half_hours, lines_of, micros, whole_wh, worse
from khata.formats.meterdays import (
    ACTUAL,
    APPARENT_IMPORT,
    ESTIMATED,
    EXPORT,
    IMPORT,
    KEPT_OF_A_ROW,
    LONGEST_SERIAL,
    REACTIVE_LAG,
    REACTIVE_LEAD,
    SUBSTITUTED,
    Batch,
)
from khata.formats.meterdays_cells import COUNT, HALF_HOURS, RowError, plain_serial
from khata.formats.nem13 import read_registers
from khata.formats.nem_records import FLAGS, Record, fields, open_envelope, records_of
from khata.formats.text import FormatError, shown

CHANNELS = {
    "E": (IMPORT, "wh"),
    "B": (EXPORT, "wh"),
    "Q": (REACTIVE_LAG, "varh"),
    "K": (REACTIVE_LEAD, "varh"),
    "T": (APPARENT_IMPORT, "vah"),
}
UNITS = {
    prefix + unit: (power, unit) for prefix, power in (("", 0), ("k", 3), ("m", 6)) for unit in ("wh", "varh", "vah")
}
ORIGINS = {"A": ACTUAL, "E": ESTIMATED, "S": SUBSTITUTED, "F": SUBSTITUTED, "N": 0}

_MOST_HELD = 4_000  # days of the registers of one NMI: beyond, a register that follows is not added but refused
_TAIL = 4  # fields behind the quality of a 300
_SUFFIX = re.compile(r"[A-Z][0-9A-Z]", re.ASCII)
_FLAG = re.compile(rf"[{FLAGS}]|[ESF][0-9]{{2}}", re.ASCII)
_STAMP = re.compile(r"([0-9]{14})?", re.ASCII)
_FIGURES = re.compile(r"[0-9]{1,4}", re.ASCII)


def read_nem12(file: BinaryIO) -> Iterator[Batch]:
    """Meter days of a NEM12 file, readings of a NEM13 file. FormatError: no header, a line longer than a mebibyte."""
    lines = lines_of(file)
    version = open_envelope(lines)
    records = records_of(lines, version)
    yield from _read_days(records) if version == "NEM12" else read_registers(records)


def _read_days(records: Iterator[Record]) -> Iterator[Batch]:
    reader = _Reader()
    for record in records:
        reader.take(record)
        yield from reader.rows.full()
    reader.close_stream()
    reader.add_up()
    yield from reader.rows.rest()


@dataclass
class _Stream:
    """A 200 record: one register of one meter. Where `problem` says why it is none, its days are refused for it."""

    line: int
    text: str
    nmi: str = ""
    serial: bytes = b""
    configuration: frozenset[str] = frozenset()
    suffix: str = ""
    channel: int | None = None
    unit: int = 0
    intervals: int = 0
    problem: FormatError | None = None
    days: int = 0


@dataclass
class _Day:
    """A 300 record: its values in millionths and their origins, None where a 400 record has yet to say it."""

    line: int
    text: str
    stream: _Stream
    day: dt.date
    flag: str
    values: list[int]
    origins: list[int | None]


@dataclass(frozen=True)
class _Part:
    """A register's day as 48 half-hours."""

    line: int
    text: str
    stream: _Stream
    day: dt.date
    values: list[int]
    origins: list[int]


@dataclass
class _Reader:
    """Takes records one by one; holds the days of an NMI until its registers can be added up."""

    rows: Rows = field(default_factory=Rows)
    stream: _Stream | None = None
    day: _Day | None = None
    awaits_events: bool = False  # whether 400 records belong to a 300, be it a refused one
    held: list[_Part] = field(default_factory=list)

    def take(self, record: Record) -> None:
        if record.kind == "400":
            self._take_event(record)
            return
        self.close_day()
        if record.kind == "300":
            self._take_day(record)
        elif record.problem:
            self.rows.refuse(record.line, record.problem, content=record.text)
        elif record.kind == "200":
            self.close_stream()
            self.stream = _stream(record)
            if self.held and self.held[0].stream.nmi != self.stream.nmi:
                self.add_up()
        elif record.kind in ("100", "900"):
            self.close_stream()
            self.add_up()

    def _take_day(self, record: Record) -> None:
        self.awaits_events = True
        stream = self.stream or _Stream(record.line, record.text, problem=_no_register())
        stream.days += 1
        day: dt.date | None = None
        try:
            if len(record.cells) > 1:
                day = compact_day(record.cells[1].strip(" "), "the day")
            if problem := record.problem or stream.problem:
                raise problem
            self.day = _day(record, stream)
        except FormatError as error:
            self._refuse(stream, day, error, record.line, record.text)

    def _take_event(self, record: Record) -> None:
        day = self.day
        if day is not None:
            try:
                if record.problem:
                    raise record.problem
                _mark(day, record)
            except RowError as error:
                self.day = None
                self._refuse(day.stream, day.day, error, record.line, day.text)
        elif record.problem or not self.awaits_events:
            problem = record.problem or RowError("a 400 record follows no day", next_step="Put it under its 300 record")
            self.rows.refuse(record.line, problem, content=record.text)

    def _refuse(self, stream: _Stream, day: dt.date | None, error: FormatError, line: int, content: str) -> None:
        self.rows.refuse(line, error, serial=stream.serial, day=day, channel=stream.channel, content=content)

    def close_day(self) -> None:
        day, self.day, self.awaits_events = self.day, None, False
        if day is None:
            return
        origins = [origin for origin in day.origins if origin is not None]
        if len(origins) < len(day.origins):
            wrong = f"no 400 record tells the quality of interval {day.origins.index(None) + 1}"
            error = RowError(wrong, next_step="Ask the sender for the day again")
            self._refuse(day.stream, day.day, error, day.line, day.text)
            return
        values = day.values
        if 0 in origins:
            values = [value if origin else UNKNOWN for value, origin in zip(values, origins, strict=True)]
        if len(self.held) >= _MOST_HELD:
            self.add_up()
        self.held.append(_Part(day.line, day.text, day.stream, day.day, *half_hours(values, origins)))

    def close_stream(self) -> None:
        self.close_day()
        stream, self.stream = self.stream, None
        if stream and stream.problem and not stream.days:
            self.rows.refuse(stream.line, stream.problem, serial=stream.serial, content=stream.text)

    def add_up(self) -> None:
        """The registers of each meter, day and channel as one row. One that came twice makes two rows, to be judged."""
        held, self.held = self.held, []
        came: dict[dt.date, set[str]] = {}
        groups: dict[tuple[bytes, dt.date, int | None], dict[str, list[_Part]]] = {}
        for part in held:
            stream = part.stream
            came.setdefault(part.day, set()).add(stream.suffix)
            group = groups.setdefault((stream.serial, part.day, stream.channel), {})
            group.setdefault(stream.suffix, []).append(part)
        for (_, day, _), registers in groups.items():
            for turn in range(max(map(len, registers.values()))):
                self._add_row([parts[min(turn, len(parts) - 1)] for parts in registers.values()], came[day])

    def _add_row(self, parts: list[_Part], came: set[str]) -> None:
        last = max(parts, key=lambda part: part.line)
        stream = last.stream
        assert stream.channel is not None
        try:
            named = {suffix for part in parts for suffix in part.stream.configuration if suffix[0] == stream.suffix[0]}
            if missing := sorted(named - came):
                wrong = f"{missing[0]} belongs to this energy and did not come for this day, or could not be read"
                raise RowError(wrong, next_step="Ask the sender for the day again, with every register")
            values, origins = _together(parts)
            self.rows.add(Row(last.line, stream.serial, last.day, stream.channel, whole_wh(values), origins))
        except RowError as error:
            self._refuse(stream, last.day, error, last.line, last.text)


def _no_register() -> RowError:
    return RowError("a day (300) stands before any register (200)", next_step="Ask the sender for the file again")


def _stream(record: Record) -> _Stream:
    stream = _Stream(record.line, record.text)
    try:
        _, stream.nmi, configuration, _, stream.suffix, _, serial, unit, minutes, _ = fields(record, 10)
        if not 0 < len(stream.nmi) <= LONGEST_SERIAL:
            raise RowError("the NMI is empty or too long to be one", next_step="Ask the sender for the file again")
        stream.serial = plain_serial(serial or stream.nmi)
        if re.fullmatch(f"({_SUFFIX.pattern})+", configuration, re.ASCII):
            stream.configuration = frozenset(_SUFFIX.findall(configuration))
        stream.channel, family = _channel(stream.suffix)
        stream.unit, of_unit = UNITS.get(unit.lower(), (0, ""))
        if of_unit != family:
            wrong = f"the unit {shown(unit)} is not one of the register {stream.suffix}"
            raise RowError(wrong, next_step=f"Give {family}, k{family} or m{family}", rule=UNIT)
        length = int(minutes) if _FIGURES.fullmatch(minutes) else 0
        if not length or 30 % length:
            wrong = f"intervals of {shown(minutes)} minutes do not make up half-hours"
            raise RowError(wrong, next_step="Give 5, 15 or 30 minutes", rule=COUNT)
        stream.intervals = HALF_HOURS * (30 // length)
    except FormatError as error:
        stream.problem = error
    return stream


def _channel(suffix: str) -> tuple[int, str]:
    if not _SUFFIX.fullmatch(suffix) or suffix[0] not in CHANNELS:
        wrong = f"the data stream {shown(suffix)} is no register that counts for bills"
        raise RowError(wrong, next_step="Leave averages, check meters and net streams out", rule=UNIT)
    return CHANNELS[suffix[0]]


def _day(record: Record, stream: _Stream) -> _Day:
    cells = [cell.strip(" ") for cell in record.cells] if " " in record.text else record.cells
    at = stream.intervals + 2
    if at >= len(cells) or not _FLAG.fullmatch(cells[at]):
        at = next((i for i, cell in enumerate(cells) if i > 1 and _FLAG.fullmatch(cell)), 0)
    if not at:
        raise RowError("there is no quality (A, E, S, F, N or V)", next_step="Give it behind the last value")
    if at - 2 != stream.intervals:
        wrong = f"{at - 2} values, the register's interval length makes {stream.intervals} a day"
        raise RowError(wrong, next_step="Ask the sender for the day again", rule=COUNT)
    if len(cells) != at + 1 + _TAIL:
        wrong = f"{len(cells) - at - 1} fields behind the quality, a 300 record has {_TAIL}"
        raise RowError(wrong, next_step="Give every field, an unused one empty")
    if not all(_STAMP.fullmatch(cell) for cell in cells[-2:]):
        raise RowError("the time of its update is not readable", next_step="Give 14 figures, or nothing")
    values = micros(cells[2:at], stream.unit)
    flag = cells[at][0]
    origins: list[int | None] = [ORIGINS.get(flag)] * len(values)
    day = compact_day(cells[1], "the day")
    return _Day(record.line, record.text[:KEPT_OF_A_ROW], stream, day, flag, values, origins)


def _mark(day: _Day, record: Record) -> None:
    """What a 400 record says of the intervals it names."""
    _, start, end, quality, _, _ = fields(record, 6)
    if not (_FIGURES.fullmatch(start) and _FIGURES.fullmatch(end)):
        raise RowError("the intervals of a 400 record are no numbers", next_step="Give the first and the last")
    first, last = int(start), int(end)
    if not 1 <= first <= last <= len(day.values):
        wrong = f"a 400 record speaks of intervals {first} to {last}, the day has {len(day.values)}"
        raise RowError(wrong, next_step="Ask the sender for the day again", rule=COUNT)
    if not _FLAG.fullmatch(quality) or quality == "V":
        wrong = f"the quality {shown(quality)} of a 400 record is not known"
        raise RowError(wrong, next_step="Give A, E, S, F or N")
    if day.flag != "V":
        if quality[0] != day.flag:
            wrong = f"the day has the quality {day.flag}, a 400 record says {quality[0]}"
            raise RowError(wrong, next_step="Give V for a day whose intervals differ")
        return
    if any(origin is not None for origin in day.origins[first - 1 : last]):
        wrong = f"two 400 records speak of the same interval, from {first} on"
        raise RowError(wrong, next_step="Name each interval once")
    day.origins[first - 1 : last] = [ORIGINS[quality[0]]] * (last - first + 1)


def _together(parts: list[_Part]) -> tuple[list[int], list[int]]:
    """The registers of a channel, added up: within a configuration a null makes the sum unknown, between them not."""
    if len(parts) == 1:
        return parts[0].values, parts[0].origins
    values, origins = [UNKNOWN] * HALF_HOURS, [0] * HALF_HOURS
    for configuration in {part.stream.configuration for part in parts}:
        belonging = [part for part in parts if part.stream.configuration == configuration]
        for n in range(HALF_HOURS):
            amounts = [part.values[n] for part in belonging]
            if UNKNOWN in amounts:
                continue
            values[n] = sum(amounts) + max(values[n], 0)
            for part in belonging:
                origins[n] = worse(origins[n], part.origins[n])
    return values, origins
