"""What is said of single times, gathered into a day of 48 half-hours for each channel (HES JSON, Green Button)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from khata.formats.day_rows import BY_DOUBT, Row, Rows, at_most
from khata.formats.dlms import Kind, Meaning, bad, rounded
from khata.formats.meterdays import ACTUAL, IMPORT, LARGEST_BLOCK_WH, UNKNOWN_WH
from khata.formats.meterdays_cells import HALF_HOURS, LARGEST_WHOLE
from khata.formats.remembered import Remembered
from khata.formats.text import FormatError

MIDNIGHT = 1440  # the minute at which the last block ends
HALF_HOUR = 30
TOTAL_ONLY = (60, MIDNIGHT)  # minutes of blocks of which only the day's sum is used

Minutes = dict[int, int]

_UNKNOWN = UNKNOWN_WH
_NOT_KNOWN = (_UNKNOWN,) * MIDNIGHT


def _whole(power: int) -> Remembered:
    """Of billionths, whole 10^power; what is not known stays so."""
    return Remembered(lambda value: rounded(value, power) if value >= 0 else _UNKNOWN)


_WHOLE = {power: _whole(power) for power in (0, -1, -3)}


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
        held = self.of_kind(meaning)
        if meaning.kind is Kind.BLOCK and quality != ACTUAL:
            self.qualities.setdefault(meaning.channel, {})[minute] = quality
        if held is not None:
            if held.setdefault(minute, abs(value)) != abs(value):
                raise bad("VAL-06", f"two values of {meaning.kind.value} end at {minute // 60:02d}:{minute % 60:02d}")
        elif meaning.kind is Kind.DEMAND:
            self.demand = self._single(self.demand, value)
        else:
            self.registers[meaning.channel] = self._single(self.registers.get(meaning.channel), value)

    def of_kind(self, meaning: Meaning) -> Minutes | None:
        """What is held by the minute; None of a register or a demand, of which a day has one."""
        if meaning.kind is Kind.BLOCK:
            return self.blocks.setdefault(meaning.channel, {})
        return {Kind.VOLTS: self.volts, Kind.CURRENT: self.current, Kind.HERTZ: self.hertz}.get(meaning.kind)

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


def add_day(
    rows: Rows, serial: bytes, date: dt.date, day: Day, period_s: int, *, drift_s: int | None, multiplier: int
) -> None:
    """A row, or a refusal, for each channel of the day. `period_s` is how long each of its blocks lasts."""
    for place, channel in enumerate(day.channels):
        spoiled = day.spoiled.get(None) or day.spoiled.get(channel) or (None, "")
        try:
            if error := spoiled[0]:
                raise error
            row = _row(serial, date, day, channel, period_s)
            row.drift_s, row.multiplier = drift_s, multiplier or None
            if not place:
                _supply(row, day, period_s // 60)
            rows.add(row)
        except FormatError as wrong:
            rows.refuse(day.line, wrong, serial=serial, day=date, channel=channel, content=spoiled[1])


def _row(serial: bytes, date: dt.date, day: Day, channel: int, period_s: int) -> Row:
    minutes, rest = divmod(period_s, 60)
    if rest or not (minutes in TOTAL_ONLY or (0 < minutes <= HALF_HOUR and HALF_HOUR % minutes == 0)):
        raise bad("VAL-06", f"blocks of {period_s} s do not make half-hours")
    said, qualities = day.blocks.get(channel, {}), day.qualities.get(channel, {})
    for minute in said:
        if minute % minutes:
            raise bad("VAL-06", f"{minute // 60:02d}:{minute % 60:02d} is not the end of a block of {minutes} minutes")
    row = Row(day.line, serial, date, channel, (UNKNOWN_WH,) * HALF_HOURS)
    register = day.registers.get(channel)
    if register is not None:
        row.register_wh = at_most(rounded(register, 0), LARGEST_WHOLE, "the register")
    if channel == IMPORT and day.demand is not None:
        row.demand_w = at_most(rounded(day.demand, 0), LARGEST_WHOLE, "the demand")
    if minutes in TOTAL_ONLY:
        if len(said) == MIDNIGHT // minutes:
            row.total_wh = at_most(rounded(sum(said.values()), 0), LARGEST_WHOLE, "the day")
            row.origins = [weakest(qualities.values())] * HALF_HOURS
        return row
    row.blocks = _blocks(said, minutes)
    if qualities:
        row.origins = [
            weakest(qualities[end] for end in part if end in qualities) if wh != UNKNOWN_WH else 0
            for part, wh in zip(_ends(minutes), row.blocks, strict=True)
        ]
    return row


@cache
def _ends(minutes: int) -> list[range]:
    """The minutes at which the parts of each half-hour end."""
    return [range(n + minutes, n + HALF_HOUR + 1, minutes) for n in range(0, MIDNIGHT, HALF_HOUR)]


def _blocks(said: Minutes, minutes: int) -> list[int]:
    """Rounded here, half up, once all parts of a half-hour are added up: the day is the sum of what was rounded."""
    values = list(map(said.get, range(minutes, MIDNIGHT + 1, minutes), _NOT_KNOWN))
    if minutes < HALF_HOUR:
        size = HALF_HOUR // minutes
        parts = [values[at : at + size] for at in range(0, len(values), size)]
        values = [_UNKNOWN if _UNKNOWN in part else sum(part) for part in parts]
    return _WHOLE[0].all(values)


def _supply(row: Row, day: Day, minutes: int) -> None:
    """Voltage, current, frequency and the half-hours without supply: those whose voltage was 0 throughout."""
    if minutes > HALF_HOUR or not (day.volts or day.current or day.hertz):
        return
    ends = _ends(minutes)
    if day.volts:
        row.volts_dv = _means(day.volts, ends, -1, live=True)
        row.off = 0
        for n, part in enumerate(ends):
            if not row.volts_dv[n] and not any(day.volts.get(end, 1) for end in part):
                row.off |= 1 << n
    row.current_ma = _means(day.current, ends, -3, live=False) if day.current else None
    row.hertz_mhz = _means(day.hertz, ends, -3, live=True) if day.hertz else None


def _means(said: Minutes, ends: Sequence[range], power: int, *, live: bool) -> list[int]:
    """Of each half-hour in 10^power, of the parts with supply where it is said so of any; -1 where none is known."""
    if len(ends[0]) == 1:
        found = _WHOLE[power].all(map(said.get, range(HALF_HOUR, MIDNIGHT + 1, HALF_HOUR), _NOT_KNOWN))
        at_most(max(found), LARGEST_BLOCK_WH, "the mean")
        return found
    found = []
    for part in ends:
        values = [said[end] for end in part if end in said]
        values = [value for value in values if value or not live] or values
        mean = rounded((sum(values) + len(values) // 2) // len(values), power) if values else -1
        found.append(at_most(mean, LARGEST_BLOCK_WH, "the mean"))
    return found


def weakest(qualities: Iterable[int]) -> int:
    found = set(qualities)
    return next((quality for quality in reversed(BY_DOUBT) if quality in found), ACTUAL)
