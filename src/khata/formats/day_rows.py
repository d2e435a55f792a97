"""Gathers what is said of single times into days of 48 half-hours, and days into batches (HES JSON, Green Button)."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from khata.formats.dlms import Kind, Meaning, bad, rounded
from khata.formats.meterdays import (
    ACTUAL,
    EDITED,
    ESTIMATED,
    IMPORT,
    LARGEST_BLOCK_WH,
    SUBSTITUTED,
    UNKNOWN_WH,
    Batch,
    MeterDayBatch,
    ReadingBatch,
    Refused,
    only_refused,
)
from khata.formats.meterdays_cells import LARGEST_WHOLE, refused
from khata.formats.text import FormatError

MIDNIGHT = 1440  # the minute at which the last block ends
HALF_HOUR = 30
TOTAL_ONLY = (60, MIDNIGHT)  # minutes of blocks of which only the day's sum is used
BATCH_ROWS = 5_000

# Where the parts of a half-hour come from differently, it counts as the weakest of them.
WEAKEST_FIRST = (ESTIMATED, SUBSTITUTED, EDITED, ACTUAL)

Minutes = dict[int, int]


@dataclass
class Day:
    """What was said of one day so far: by the minute at which it ends, in billionths of the unit."""

    line: int
    blocks: dict[int, Minutes] = field(default_factory=dict)
    qualities: dict[int, Minutes] = field(default_factory=dict)
    registers: dict[int, int] = field(default_factory=dict)
    demand: int | None = None
    volts: Minutes = field(default_factory=dict)
    current: Minutes = field(default_factory=dict)
    hertz: Minutes = field(default_factory=dict)
    spoiled: dict[int | None, tuple[FormatError, str]] = field(default_factory=dict)

    def put(self, meaning: Meaning, minute: int, second: int, value: int, quality: int) -> None:
        """Adds a value; RowError VAL-06 where another was said for that time, or the clock stood between minutes."""
        if second:
            raise bad("VAL-06", f"a time of {second} s past a minute is not the end of a block")
        if value < 0 and meaning.kind is not Kind.CURRENT:
            raise bad("VAL-07", f"the {meaning.kind.value} is below 0")
        held = {Kind.VOLTS: self.volts, Kind.CURRENT: self.current, Kind.HERTZ: self.hertz}.get(meaning.kind)
        if meaning.kind is Kind.BLOCK:
            held = self.blocks.setdefault(meaning.channel, {})
            if quality != ACTUAL:
                self.qualities.setdefault(meaning.channel, {})[minute] = quality
        if held is not None:
            if held.setdefault(minute, abs(value)) != abs(value):
                raise bad("VAL-06", f"two values of {meaning.kind.value} end at {minute // 60:02d}:{minute % 60:02d}")
        elif meaning.kind is Kind.DEMAND:
            self.demand = self._single(self.demand, value)
        else:
            self.registers[meaning.channel] = self._single(self.registers.get(meaning.channel), value)

    def _single(self, held: int | None, value: int) -> int:
        if held not in (None, value):
            raise bad("VAL-06", "two registers are said of the same midnight")
        return value

    def spoil(self, channel: int | None, error: FormatError, content: str) -> None:
        """The row of the channel (None: all of them) cannot be believed."""
        self.spoiled.setdefault(channel, (error, content))

    @property
    def channels(self) -> list[int]:
        """Those of which anything was said; import where nothing but voltage or the like was."""
        said = self.blocks.keys() | self.registers.keys() | {c for c in self.spoiled if c is not None}
        other = self.volts or self.hertz or self.current or self.demand is not None or self.spoiled
        return sorted(said) or ([IMPORT] if other else [])


@dataclass
class _Row:
    line: int
    serial: bytes
    date: dt.date
    channel: int
    blocks: list[int]
    total_wh: int
    origins: list[int]
    register_wh: int = UNKNOWN_WH
    demand_w: int = UNKNOWN_WH
    volts: list[int] = field(default_factory=lambda: [-1] * 48)
    current: list[int] = field(default_factory=lambda: [-1] * 48)
    hertz: list[int] = field(default_factory=lambda: [-1] * 48)
    off: int = -1
    drift_s: int | None = None
    multiplier: int = 0


class Rows:
    """Rows on their way into batches."""

    def __init__(self) -> None:
        self.days: list[_Row] = []
        self.readings: list[tuple[int, bytes, dt.date, int, int]] = []
        self.refused: list[Refused] = []

    def day(self, serial: bytes, date: dt.date, day: Day, period_s: int, drift_s: int | None, multiplier: int) -> None:
        """A row, or a refusal, for each channel of the day. `period_s` is how long each of its blocks lasts."""
        for place, channel in enumerate(day.channels):
            spoiled = day.spoiled.get(None) or day.spoiled.get(channel) or (None, "")
            try:
                if error := spoiled[0]:
                    raise error
                row = _row(serial, date, day, channel, period_s)
                row.drift_s, row.multiplier = drift_s, multiplier
                if not place:
                    _supply(row, day, period_s)
                self.days.append(row)
            except FormatError as wrong:
                iso = date.isoformat()
                found = refused(wrong, line=day.line, content=spoiled[1], serial=serial, day=iso, channel=channel)
                self.refused.append(found)

    def reading(self, line: int, serial: bytes, date: dt.date, register: int, demand: int | None) -> None:
        register_wh = _at_most(rounded(register, 0), LARGEST_WHOLE, "the register")
        demand_w = UNKNOWN_WH if demand is None else _at_most(rounded(demand, 0), LARGEST_WHOLE, "the demand")
        self.readings.append((line, serial, date, register_wh, demand_w))

    def full(self) -> Iterator[Batch]:
        if max(len(self.days), len(self.readings), len(self.refused)) >= BATCH_ROWS:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        days, readings, wrong = self.days, self.readings, tuple(self.refused)
        self.days, self.readings, self.refused = [], [], []
        if days:
            yield _day_batch(days, wrong)
        elif wrong:
            yield only_refused(wrong)
        if readings:
            lines, serials, dates, registers, demands = zip(*readings, strict=True)
            yield ReadingBatch(
                np.array(lines, np.int64),
                np.array(serials, np.bytes_),
                np.array(dates, "M8[D]"),
                np.array(registers, np.int64),
                np.array(demands, np.int64),
            )


def _row(serial: bytes, date: dt.date, day: Day, channel: int, period_s: int) -> _Row:
    minutes, rest = divmod(period_s, 60)
    if rest or not (minutes in TOTAL_ONLY or (0 < minutes <= HALF_HOUR and HALF_HOUR % minutes == 0)):
        raise bad("VAL-06", f"blocks of {period_s} s do not make half-hours")
    said, qualities = day.blocks.get(channel, {}), day.qualities.get(channel, {})
    for minute in said:
        if minute % minutes:
            raise bad("VAL-06", f"{minute // 60:02d}:{minute % 60:02d} is not the end of a block of {minutes} minutes")
    register = day.registers.get(channel)
    row = _Row(day.line, serial, date, channel, [UNKNOWN_WH] * 48, UNKNOWN_WH, [0] * 48)
    if register is not None:
        row.register_wh = _at_most(rounded(register, 0), LARGEST_WHOLE, "the register")
    if channel == IMPORT and day.demand is not None:
        row.demand_w = _at_most(rounded(day.demand, 0), LARGEST_WHOLE, "the demand")
    if minutes in TOTAL_ONLY:
        if len(said) == MIDNIGHT // minutes:
            row.total_wh = _at_most(rounded(sum(said.values()), 0), LARGEST_WHOLE, "the day")
            row.origins = [_weakest(qualities.values())] * 48
        return row
    for n in range(48):
        ends = range(n * HALF_HOUR + minutes, (n + 1) * HALF_HOUR + 1, minutes)
        parts = [said[end] for end in ends if end in said]
        if len(parts) == len(ends):  # rounded here, half up, and the day is the sum of what was rounded
            row.blocks[n] = _at_most(rounded(sum(parts), 0), LARGEST_BLOCK_WH, "the half-hour")
            row.origins[n] = _weakest(qualities[end] for end in ends if end in qualities) if qualities else ACTUAL
    if UNKNOWN_WH not in row.blocks:
        row.total_wh = sum(row.blocks)
    return row


def _supply(row: _Row, day: Day, period_s: int) -> None:
    """Voltage, current, frequency and the half-hours without supply: those whose voltage was 0 throughout."""
    minutes = period_s // 60
    if minutes > HALF_HOUR or not (day.volts or day.current or day.hertz):
        return
    off = 0
    for n in range(48):
        ends = range(n * HALF_HOUR + minutes, (n + 1) * HALF_HOUR + 1, minutes)
        volts = [day.volts[end] for end in ends if end in day.volts]
        row.volts[n] = _mean([v for v in volts if v] or volts, -1)
        row.current[n] = _mean([day.current[end] for end in ends if end in day.current], -3)
        hertz = [day.hertz[end] for end in ends if end in day.hertz]
        row.hertz[n] = _mean([v for v in hertz if v] or hertz, -3)
        if len(volts) == len(ends) and not any(volts):
            off |= 1 << n
    row.off = off if day.volts else -1


def _mean(values: list[int], power: int) -> int:
    if not values:
        return -1
    return _at_most(rounded((sum(values) + len(values) // 2) // len(values), power), LARGEST_BLOCK_WH, "the mean")


def _weakest(qualities: Iterable[int]) -> int:
    found = set(qualities)
    return next((quality for quality in WEAKEST_FIRST if quality in found), ACTUAL)


def _at_most(value: int, most: int, what: str) -> int:
    if value > most:
        raise bad("VAL-05", f"{what} is more than a meter can measure")
    return value


def _day_batch(rows: list[_Row], refused: tuple[Refused, ...]) -> MeterDayBatch:
    count = len(rows)
    blocks = np.array([row.blocks for row in rows], np.int32).reshape(count, 48)
    known, total = blocks != UNKNOWN_WH, np.array([row.total_wh for row in rows], np.int64)
    origin = np.array([_weakest(row.origins) for row in rows], np.int8)
    origins = np.where(known, np.array([row.origins for row in rows], np.int8).reshape(count, 48), 0).astype(np.int8)
    drifts = [row.drift_s for row in rows]
    drift_s = np.array([drift or 0 for drift in drifts], np.int32) if any(d is not None for d in drifts) else None
    return MeterDayBatch(
        lines=np.array([row.line for row in rows], np.int64),
        serials=np.array([row.serial for row in rows], np.bytes_),
        days=np.array([row.date for row in rows], "M8[D]"),
        blocks=blocks,
        known=known,
        total_wh=total,
        total_known=total != UNKNOWN_WH,
        channel=np.array([row.channel for row in rows], np.int8),
        origin=origin,
        origins=origins if ((origins != origin[:, None]) & known).any() else None,
        register_wh=np.array([row.register_wh for row in rows], np.int64),
        demand_w=np.array([row.demand_w for row in rows], np.int64),
        volts_dv=np.array([row.volts for row in rows], np.int32).reshape(count, 48),
        current_ma=np.array([row.current for row in rows], np.int32).reshape(count, 48),
        hertz_mhz=np.array([row.hertz for row in rows], np.int32).reshape(count, 48),
        off=np.array([row.off for row in rows], np.int64),
        drift_s=drift_s,
        multiplier=np.array([row.multiplier for row in rows], np.int32),
        refused=refused,
    )
