"""Meter readings as head-end systems of smart meters send them: JSON with registers of OBIS code, value, unit, scaler.

The spelling is that of `docs/how-to/hes-json.md`. A block is stamped at its END, in Indian time; the one that ends at
00:00 belongs to the day before. The entries of a meter are gathered into days, and a day of each channel is one row.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from khata.formats.day_rows import Rows
from khata.formats.dlms import Kind, bad, rounded
from khata.formats.gathered import MIDNIGHT, Day, add_day
from khata.formats.hes_parts import (
    BILLING,
    DAILY,
    ENTRIES,
    LISTS,
    NO_PERIOD_S,
    PROFILE,
    SERIAL,
    VALUES,
    content_of,
    day_and_minute,
    first,
    meaning_of,
    not_negative,
    objects,
    profile_of,
    quality_of,
    same,
    settings_of,
    text_of,
    time_of,
    value_of,
)
from khata.formats.hes_quick import Column, QuickMeter, Shapes
from khata.formats.jsonstream import Entry, entries
from khata.formats.meterdays import ACTUAL, Batch
from khata.formats.meterdays_cells import plain_serial
from khata.formats.text import FormatError

MOST_HELD = 400_000  # values of days that are not handed on yet


@dataclass
class _Meter:
    """What is held of one meter: its days, until they are handed on."""

    period_s: int | None  # of its blocks, once a block load says it
    drift_s: int | None
    multiplier: int
    days: dict[dt.date, Day] = field(default_factory=dict)
    held: int = 0


def read_hes(file: BinaryIO) -> Iterator[Batch]:
    """Batches of meter days and of billing registers. FormatError if the file has no meter readings at all.

    A meter's entries may stand apart (MOST_HELD values are kept for that). What is wrong refuses its own meter day.
    """
    reader = _Reader()
    for entry in entries(file, LISTS, Shapes()):
        if entry.number == 1 and not _is_reading(entry):
            wrong = "this JSON holds no meter readings"
            raise FormatError(wrong, next_step=f"Each needs {SERIAL[0]}, {PROFILE[2]} and {VALUES[0]}")
        reader.entry(entry)
        if reader.held > MOST_HELD:
            reader.close(MOST_HELD // 2)
        yield from reader.rows.full()
    reader.close(0)
    yield from reader.rows.rest()


def _is_reading(entry: Entry) -> bool:
    if entry.value is None or isinstance(entry.value, QuickMeter):
        return True  # broken: the others tell
    return isinstance(entry.value, dict) and any(name in entry.value for name in (*SERIAL, *PROFILE, *VALUES, *ENTRIES))


class _Reader:
    def __init__(self) -> None:
        self.meters: dict[bytes, _Meter] = {}
        self.held = 0
        self.rows = Rows()

    def entry(self, entry: Entry) -> None:
        """One entry of the document: a meter with entries of its own, or with the registers of one time."""
        serial = b""
        if isinstance(entry.value, QuickMeter):
            self._many(entry.value, entry.number)
            return
        try:
            if not isinstance(entry.value, dict):
                raise bad("VAL-08", entry.problem or "an entry is not an object")
            serial = plain_serial(text_of(first(entry.value, SERIAL), "the meter number"))
            self._readings(serial, entry.value, entry.number)
        except FormatError as error:
            self._refuse(error, entry.number, serial, entry.text or entry.value)

    def _readings(self, serial: bytes, fields: Mapping[str, Any], line: int) -> None:
        profile = profile_of(first(fields, PROFILE))
        if profile is None:  # events, instantaneous values: nothing that is counted by days
            return
        meter = self._meter(serial, settings_of(fields, profile)) if profile != BILLING else None
        inner = first(fields, ENTRIES)
        for single in [fields] if inner is None else objects(inner, ENTRIES[0]):
            try:
                registers = objects(first(single, VALUES) or [], VALUES[0])
                time = time_of(single, registers, profile)
                if time is None:  # a place of the profile that the meter never filled
                    continue
                if meter is None:
                    self._billing(serial, line, time, registers)
                elif profile == DAILY and (time.hour or time.minute or time.second):
                    raise bad("VAL-06", f"a daily reading of {time:%H:%M:%S} is not of midnight")
                else:
                    self._gather(serial, meter, line, time, registers, profile)
            except FormatError as error:
                self._refuse(error, line, serial, single)

    def _meter(self, serial: bytes, settings: tuple[int | None, int | None, int]) -> _Meter:
        period, drift, multiplier = settings
        meter = self.meters.get(serial)
        if meter and (meter.multiplier != multiplier or len({meter.period_s, period} - {None}) > 1):
            self._close_first(serial)
            meter = None
        if meter is None:
            meter = self.meters[serial] = _Meter(period, drift, multiplier)
        meter.period_s = meter.period_s or period
        meter.drift_s = drift if drift is not None else meter.drift_s
        return meter

    def _gather(
        self, serial: bytes, meter: _Meter, line: int, time: dt.datetime, registers: list[Any], profile: str
    ) -> None:
        date, minute = day_and_minute(time)
        day = meter.days.get(date)
        if day is None:
            day = meter.days[date] = Day(line)
        for register in registers:
            channel: int | None = None
            try:
                meaning = meaning_of(register, profile, minute)
                if meaning is None:
                    continue
                channel = meaning.channel
                value = value_of(register, meaning)
                day.put(meaning, minute, time.second, value, quality_of(register))
            except FormatError as error:
                day.spoil(channel, error, content_of(register))
        self._hold(meter, len(registers))

    def _hold(self, meter: _Meter, count: int) -> None:
        meter.held += count
        self.held += count

    def _many(self, found: QuickMeter, line: int) -> None:
        """All times of a meter at once."""
        meter = self._meter(found.serial, found.settings)
        for start, stop, date, minutes in found.parts:
            day = meter.days.get(date)
            if day is None:
                day = meter.days[date] = Day(line)
            for column in found.columns:
                held = day.of_kind(column.meaning)
                assert held is not None
                if held:
                    _put_beside(day, column, start, minutes)
                else:
                    held.update(zip(minutes, column.values[start:stop], strict=True))
        self._hold(meter, len(found.columns) * len(found.columns[0].values))

    def _billing(self, serial: bytes, line: int, time: dt.datetime, registers: list[Any]) -> None:
        if time.hour or time.minute or time.second:
            raise bad("VAL-08", f"a billing date of {time:%H:%M:%S} is not the beginning of a day")
        register: int | None = None
        demand: int | None = None
        for single in registers:
            meaning = meaning_of(single, BILLING, MIDNIGHT)
            if meaning is None or meaning.channel:
                continue
            value = not_negative(value_of(single, meaning))
            if meaning.kind is Kind.REGISTER:
                register = same(register, value)
            elif meaning.kind is Kind.DEMAND:
                demand = same(demand, value)
        if register is None:
            raise bad("VAL-08", "the billing profile has no register 1.0.1.8.0.255")
        self.rows.reading(
            line, serial, time.date(), rounded(register, 0), None if demand is None else rounded(demand, 0)
        )

    def close(self, most: int) -> None:
        """Hands on the days of the meters that were seen first, until at most `most` values are held."""
        while self.meters and (self.held > most or not most):
            self._close_first(next(iter(self.meters)))

    def _close_first(self, serial: bytes) -> None:
        meter = self.meters.pop(serial)
        self.held -= meter.held
        for date, day in sorted(meter.days.items()):
            period_s = meter.period_s or NO_PERIOD_S
            add_day(self.rows, serial, date, day, period_s, drift_s=meter.drift_s, multiplier=meter.multiplier)

    def _refuse(self, error: FormatError, line: int, serial: bytes, content: object) -> None:
        self.rows.refuse(line, error, serial=serial, content=content_of(content))


def _put_beside(day: Day, column: Column, start: int, minutes: tuple[int, ...]) -> None:
    """Where some of the day came before: a value that was said already may not differ."""
    for place, minute in enumerate(minutes, start):
        try:
            day.put(column.meaning, minute, 0, column.values[place], ACTUAL)
        except FormatError as error:
            day.spoil(column.meaning.channel, error, column.content(place))
