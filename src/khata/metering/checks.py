"""Checks of meter days as they come in: whole columns at once, nothing is read or written.

A check accuses rows by number (VAL-nn) and says with which numbers; what becomes of an accused row is said in
validation.yaml. How each check decides, and how often it is wrong: docs/algorithms/validation.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from khata.formats.meterdays import ACTUAL, APPARENT_IMPORT, IMPORT, MeterDayBatch
from khata.kernel.quantities import Bool, Int64
from khata.metering.rules import KINDS, Rules, read_rules

__all__ = ["KINDS", "UNKNOWN", "Flagged", "Known", "Rules", "check", "continued", "read_rules", "repeated"]

UNKNOWN = -1
Evidence: TypeAlias = Mapping[str, Int64]
Found: TypeAlias = tuple[Bool, Evidence]  # which rows, and the numbers of all rows

_HALF_HOURS = 48
_HOURS = 24
_WH_OF_A_DIGIT = 1000  # registers count whole kWh


@dataclass(frozen=True)
class Known:
    """What the database knows of each row's meter, int64 (n,) with UNKNOWN; Wh and W, days as days since 1970.

    meter, load_w, factor, kind (index in KINDS)
    register_digits       0 or UNKNOWN: not known
    usual_wh, peak_wh     of a day and of its largest half-hour, resting on usual_days measured days
    zero_days             measured days without energy, in a row up to the last
    before_*, after_*     the nearest stored days with a register, of the row's channel, before and after its day
    before_blocks         half-hours of the calendar day before, (n, 48), UNKNOWN where not known; None: of no row
    """

    meter: Int64
    load_w: Int64
    factor: Int64
    register_digits: Int64
    kind: Int64
    usual_wh: Int64
    peak_wh: Int64
    usual_days: Int64
    zero_days: Int64
    before_day: Int64
    before_register_wh: Int64
    after_day: Int64
    after_register_wh: Int64
    before_blocks: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Flagged:
    """Rows (positions, rising) that a rule accuses, and the numbers that gave rise to it, one a row each."""

    rule: str
    rows: Int64
    evidence: Evidence


def check(batch: MeterDayBatch, known: Known, rules: Rules) -> list[Flagged]:
    """What VAL-05, 09 and 13 to 23 say of the rows, by number; a rule that accuses nobody is left out.

    Rows of one meter are also compared with each other: no two of them may be of one meter, channel and day. A row
    that one rule quarantines is accused by no further rule, and is no measure for its neighbours. Spikes, zeros and
    copies are looked for in what was measured only, never in an estimate.
    """
    rows = _Rows(batch, known, rules)
    found = []
    for rule, judge in _CHECKS.items():
        judged = judge(rows)
        if judged is None:
            continue
        accused, evidence = judged
        accused = accused & ~rows.set_apart
        if rules.outcome(rule) == "quarantined":
            rows.set_apart |= accused
        at = np.flatnonzero(accused)
        if len(at):
            found.append(Flagged(rule, at, {name: values[at] for name, values in evidence.items()}))
    return found


def continued(*, register_wh: Int64, before_register_wh: Int64, register_digits: Int64) -> Int64:
    """The register as if it had more digits: raised by whole rounds until it is not below the one before.

    As it is where the digits or the register before are not known, or it is not below.
    """
    rolled = (register_digits > 0) & (before_register_wh >= 0) & (register_wh < before_register_wh)
    round_wh = _round_wh(register_digits)
    return np.where(rolled, before_register_wh + (register_wh - before_register_wh) % round_wh, register_wh)


def _round_wh(register_digits: Int64) -> Int64:
    rounds: Int64 = 10 ** np.clip(register_digits, 0, 12) * _WH_OF_A_DIGIT
    return rounds


# -- the rows, and their neighbours ------------------------------------------------------------------------------------


class _Rows:
    """A batch beside what is known of it: columns that several checks need, each made once."""

    def __init__(self, batch: MeterDayBatch, known: Known, rules: Rules) -> None:
        self.batch, self.known, self.rules, self.count = batch, known, rules, len(batch)
        self.day = batch.days.astype("M8[D]").astype(np.int64)
        unknown = np.full(self.count, UNKNOWN, np.int64)
        self.total = np.where(batch.total_known, batch.total_wh, UNKNOWN)
        self.register = unknown if batch.register_wh is None else batch.register_wh
        self.demand = unknown if batch.demand_w is None else batch.demand_w
        self.peak = unknown if batch.blocks is None else batch.blocks.max(axis=1, initial=UNKNOWN).astype(np.int64)
        channel = np.zeros(self.count, np.int64) if batch.channel is None else batch.channel.astype(np.int64)
        actual = np.ones(self.count, np.bool_) if batch.origin is None else batch.origin == ACTUAL
        self.energy = actual & (channel == IMPORT)
        self.drawn = actual & ((channel == IMPORT) | (channel == APPARENT_IMPORT))
        self.actual = actual
        self.set_apart = np.zeros(self.count, np.bool_)
        order, group = np.arange(self.count), known.meter * 8 + channel
        if not (np.diff(group) > 0).all():
            order = np.lexsort((self.day, group))
        self.order, self.group = order, group
        self.alone = bool((np.diff(group[order]) != 0).all())

    def limit(self, rule: str, name: str) -> Int64:
        return self.rules.limits(rule, name, self.batch.days, self.known.kind)

    def neighbour(self, eligible: Bool, step: int) -> Int64:
        """Position of the next (step 1) or last (step -1) eligible row of the same meter and channel, else UNKNOWN."""
        found = np.full(self.count, UNKNOWN, np.int64)
        if self.alone:
            return found
        order = self.order[eligible[self.order]]
        same = self.group[order[1:]] == self.group[order[:-1]]
        here, there = (order[:-1], order[1:]) if step > 0 else (order[1:], order[:-1])
        found[here[same]] = there[same]
        return found

    def register_before(self) -> tuple[Int64, Int64]:
        """(day, register) of the nearest day before, in the batch or stored."""
        beside = self.neighbour((self.register >= 0) & ~self.set_apart, -1)
        nearer = (beside >= 0) & (self.day[beside] > self.known.before_day)
        return (
            np.where(nearer, self.day[beside], self.known.before_day),
            np.where(nearer, self.register[beside], self.known.before_register_wh),
        )

    def step(self, low: Int64, high: Int64, days: Int64) -> Int64:
        """From one register to a later one, over a rollover if need be; UNKNOWN where no meter could have done it.

        Either may have been counted on over a rollover already, or not.
        """
        most = self.limit("VAL-05", "day_wh") * np.maximum(days, 1)
        round_wh = _round_wh(self.known.register_digits)
        rise = high - low
        around = rise % round_wh
        most_around = np.minimum(most, round_wh * self.limit("VAL-14", "percent") // 100)
        rolled = (self.known.register_digits > 0) & (around <= most_around)
        return np.where(rolled, around, np.where((rise >= 0) & (rise <= most), rise, UNKNOWN))


# -- values and registers ----------------------------------------------------------------------------------------------


def _impossible(rows: _Rows) -> Found:
    block, day = rows.limit("VAL-05", "block_wh"), rows.limit("VAL-05", "day_wh")
    accused = (rows.peak > block) | (rows.total > day) | (rows.demand > 2 * block)
    return accused, {"total_wh": rows.total, "block_wh": rows.peak, "demand_w": rows.demand, "limit_block_wh": block}


def _clock_off(rows: _Rows) -> Found | None:
    if rows.batch.drift_s is None:
        return None
    drift, limit = rows.batch.drift_s.astype(np.int64), rows.limit("VAL-09", "drift_s")
    return np.abs(drift) > limit, {"drift_s": drift, "limit_s": limit}


def _backwards(rows: _Rows) -> Found:
    """Against what is stored, which stands; then against each other, where the one that the others contradict goes."""
    known, register, day = rows.known, rows.register, rows.day
    said = (register >= 0) & ~rows.set_apart
    from_before = rows.step(known.before_register_wh, register, day - known.before_day)
    to_after = rows.step(register, known.after_register_wh, known.after_day - day)
    against_before = said & (known.before_register_wh >= 0) & (from_before < 0)
    accused = against_before | (said & (known.after_register_wh >= 0) & (to_after < 0))
    other = np.where(against_before, known.before_register_wh, known.after_register_wh)
    if not rows.alone:
        quarrel = _quarrels(rows, said & ~accused)
        other = np.where(quarrel >= 0, quarrel, other)
        accused = accused | (quarrel >= 0)
    return accused, {"register_wh": register, "other_register_wh": other}


def _quarrels(rows: _Rows, eligible: Bool) -> Int64:
    """The register beside it in the batch that speaks against a row; UNKNOWN where none does.

    Of two that contradict each other the one goes without which its neighbours agree; both, where that says nothing.
    """
    known, register, day = rows.known, rows.register, rows.day
    before, after = rows.neighbour(eligible, -1), rows.neighbour(eligible, 1)

    def of(place: Int64, values: Int64, stored: Int64) -> Int64:
        return np.where(place >= 0, values[place], stored)

    low, low_day = of(before, register, known.before_register_wh), of(before, day, known.before_day)
    high, high_day = of(after, register, known.after_register_wh), of(after, day, known.after_day)
    sound_without = (low >= 0) & (high >= 0) & (rows.step(low, high, high_day - low_day) >= 0)
    against_after = eligible & (after >= 0) & (rows.step(register, high, high_day - day) < 0)
    against_before = np.zeros(rows.count, np.bool_)
    against_before[after[against_after]] = True
    guilty_before = against_before & (sound_without | ~sound_without[before])
    guilty_after = against_after & (sound_without | ~sound_without[after])
    return np.where(guilty_before, low, np.where(guilty_after, high, UNKNOWN))


def _rolled_over(rows: _Rows) -> Found:
    _, before = rows.register_before()
    digits = rows.known.register_digits
    reached = continued(register_wh=rows.register, before_register_wh=before, register_digits=digits)
    round_wh = _round_wh(digits)
    crossed = (digits > 0) & (before >= 0) & (rows.register >= 0)
    crossed &= (rows.register < before) & (reached // round_wh > before // round_wh)
    return crossed, {"register_wh": rows.register, "before_register_wh": before, "continued_wh": reached}


def _against_register(rows: _Rows) -> Found:
    """After a day that is missing the register may rise by more than this day, but not by less."""
    before_day, before = rows.register_before()
    days = rows.day - before_day
    rise = rows.step(before, rows.register, days)
    limit = np.maximum(rows.limit("VAL-15", "wh"), rows.total * rows.limit("VAL-15", "permille") // 1000)
    comparable = (before >= 0) & (rows.register >= 0) & (rows.total >= 0) & (rise >= 0)
    accused = comparable & ((rows.total - rise > limit) | ((days == 1) & (rise - rows.total > limit)))
    return accused, {"total_wh": rows.total, "register_rise_wh": rise, "days": days, "limit_wh": limit}


# -- against the load, the past, the current ---------------------------------------------------------------------------


def _against_load(rows: _Rows) -> Found:
    load = rows.known.load_w
    power = np.maximum(np.maximum(2 * rows.peak, rows.demand), UNKNOWN)
    limit = np.maximum(rows.limit("VAL-16", "least_w"), load * rows.limit("VAL-16", "half_hour_percent") // 100)
    day_limit = _HOURS * np.maximum(
        rows.limit("VAL-16", "least_day_w"), load * rows.limit("VAL-16", "day_percent") // 100
    )
    accused = rows.drawn & (load > 0) & ((power > limit) | (rows.total > day_limit))
    evidence = {"load_w": load, "demand_w": power, "limit_w": limit, "total_wh": rows.total, "limit_day_wh": day_limit}
    return accused, evidence


def _against_past(rows: _Rows) -> Found:
    known, usual, peak = rows.known, rows.known.usual_wh, rows.known.peak_wh
    rested = rows.energy & (known.usual_days >= rows.limit("VAL-17", "least_days"))
    day_limit = np.maximum(
        usual * rows.limit("VAL-17", "day_percent") // 100, usual + rows.limit("VAL-17", "least_day_wh")
    )
    block_limit = np.maximum(
        peak * rows.limit("VAL-17", "half_hour_percent") // 100, peak + rows.limit("VAL-17", "least_half_hour_wh")
    )
    accused = ((usual >= 0) & (rows.total > day_limit)) | ((peak >= 0) & (rows.peak > block_limit))
    # A meter that was silent for long and comes back at quite another level: another consumer, or another place.
    before_day, _ = rows.register_before()
    silent = np.where(before_day >= 0, rows.day - before_day - 1, 0)
    percent = rows.limit("VAL-17", "return_percent")
    more, less = np.maximum(rows.total, usual), np.minimum(rows.total, usual)
    other_level = (less >= 0) & (100 * more > percent * less) & (more - less > rows.limit("VAL-17", "return_wh"))
    accused |= (silent >= rows.limit("VAL-17", "return_days")) & other_level
    return rested & accused, {
        "total_wh": rows.total,
        "usual_wh": usual,
        "limit_wh": day_limit,
        "half_hour_wh": rows.peak,
        "limit_half_hour_wh": block_limit,
        "silent_days": silent,
    }


def _zero(rows: _Rows) -> Found:
    run = _zero_run(rows)
    limit = rows.limit("VAL-18", "days")
    used_to_count = rows.known.usual_wh >= rows.limit("VAL-18", "usual_wh")
    flowing = np.zeros(rows.count, np.int64)
    batch = rows.batch
    if batch.blocks is not None and batch.current_ma is not None:
        drawing = (batch.blocks == 0) & (batch.current_ma >= rows.limit("VAL-18", "current_ma")[:, None])
        at = np.flatnonzero(drawing.any(axis=1))
        drawing = drawing[at] & ~_off(batch, at)
        flowing[at] = drawing.sum(axis=1)
    # Of a meter that never counted, and of a home long empty, it is said once: on the day that completes a long run.
    long_run = (used_to_count & (run >= limit)) | (run == rows.limit("VAL-18", "long_days"))
    accused = rows.energy & (long_run | (flowing >= rows.limit("VAL-18", "half_hours")))
    return accused, {"zero_days": run, "usual_wh": rows.known.usual_wh, "half_hours_with_current": flowing}


def _zero_run(rows: _Rows) -> Int64:
    """Measured days without energy in a row, this one included; 0 where it has some, or was dark all day."""
    zero = rows.energy & (rows.total == 0)
    at = np.flatnonzero(zero)
    if rows.batch.blocks is not None or rows.batch.off is not None:
        zero[at] = ~_off(rows.batch, at).all(axis=1)
    if rows.alone:
        return np.where(zero, np.maximum(rows.known.zero_days, 0) + 1, 0)
    order = rows.order[rows.energy[rows.order] & (rows.total[rows.order] >= 0)]
    place = np.arange(len(order))
    first = np.ones(len(order), np.bool_)
    first[1:] = rows.group[order[1:]] != rows.group[order[:-1]]
    start = np.maximum.accumulate(np.where(first, place, 0))
    broken = np.maximum.accumulate(np.where(zero[order], -1, place))
    since = np.where(broken >= start, place - broken, place - start + 1 + np.maximum(rows.known.zero_days[order], 0))
    run = np.zeros(rows.count, np.int64)
    run[order] = since
    return np.where(zero, run, 0)


def _off(batch: MeterDayBatch, at: Int64) -> Bool:
    """Which half-hours of these rows were without supply: the mask says so, or the voltage is 0. (m, 48)."""
    dark = np.zeros((len(at), _HALF_HOURS), np.bool_)
    if batch.off is not None:
        masks = np.maximum(batch.off[at], 0)
        dark |= (masks[:, None] >> np.arange(_HALF_HOURS)) & 1 == 1
    if batch.volts_dv is not None:
        dark |= batch.volts_dv[at] == 0
    return dark


# -- clock, factor, voltage, copies ------------------------------------------------------------------------------------


def _drift(rows: _Rows) -> Found | None:
    if rows.batch.drift_s is None:
        return None
    drift, limit = rows.batch.drift_s.astype(np.int64), rows.limit("VAL-19", "drift_s")
    return np.abs(drift) > limit, {"drift_s": drift, "limit_s": limit}


def _factor(rows: _Rows) -> Found:
    known, total, factor = rows.known, rows.total, rows.known.factor
    said = np.zeros(rows.count, np.int64) if rows.batch.multiplier is None else rows.batch.multiplier.astype(np.int64)
    other = (said > 0) & (factor > 0) & (said != factor)
    usual, within = known.usual_wh, rows.limit("VAL-20", "percent")
    telling = rows.energy & (known.usual_days >= rows.limit("VAL-20", "least_days")) & (usual > 0) & (total > 0)
    telling &= factor >= rows.limit("VAL-20", "least_factor")
    times = np.abs(total - usual * factor) * 100 <= within * usual * factor
    through = np.abs(total * factor - usual) * 100 <= within * usual
    evidence = {"factor": factor, "said_factor": said, "total_wh": total, "usual_wh": usual}
    return other | (telling & (times | through)), evidence


def _still_frequency(rows: _Rows) -> Found | None:
    hertz, volts = rows.batch.hertz_mhz, rows.batch.volts_dv
    if hertz is None or volts is None:
        return None
    limit, least = rows.limit("VAL-21", "volts_dv"), rows.limit("VAL-21", "half_hours")
    high = volts > limit[:, None]
    at = np.flatnonzero(high.sum(axis=1) >= least)
    still = np.zeros((len(at), _HALF_HOURS), np.bool_)
    still[:, 1:] = (hertz[at, 1:] == hertz[at, :-1]) & (hertz[at, 1:] > 0) & high[at, 1:] & high[at, :-1]
    runs = np.zeros(rows.count, np.int64)
    runs[at] = _longest_run(still)
    runs[runs > 0] += 1  # n equal neighbours are n + 1 half-hours
    most = np.zeros(rows.count, np.int64)
    most[at] = volts[at].max(axis=1, initial=0)
    return runs >= least, {"half_hours": runs, "volts_dv": most, "limit_volts_dv": limit}


def _copied(rows: _Rows) -> Found | None:
    """Long stretches that equal the day before, in which the load moves: a steady load repeats itself by nature."""
    blocks, before = rows.batch.blocks, rows.known.before_blocks
    if blocks is None:
        return None
    least = rows.limit("VAL-22", "half_hours")
    equal = np.zeros(0, np.bool_) if before is None else (blocks == before).sum(axis=1) >= least
    at = np.flatnonzero(equal)
    yesterday = blocks[:0] if before is None else before[at]
    beside = rows.neighbour(np.ones(rows.count, np.bool_), -1)
    follows = np.flatnonzero((beside >= 0) & (rows.day[beside] == rows.day - 1))
    if len(follows):
        stored = ~np.isin(at, follows)
        at, yesterday = at[stored], yesterday[stored]
        at, yesterday = np.concatenate([at, follows]), np.concatenate([yesterday, blocks[beside[follows]]])
    run, changes = np.zeros(rows.count, np.int64), np.zeros(rows.count, np.int64)
    run[at], changes[at] = repeated(blocks[at], yesterday, rows.limit("VAL-22", "change_wh")[at])
    accused = rows.actual & (run >= least) & (changes >= rows.limit("VAL-22", "changes"))
    return accused, {"half_hours": run, "changes": changes, "limit_half_hours": least}


def repeated(blocks: NDArray[np.int32], yesterday: NDArray[np.int32], change_wh: Int64) -> tuple[Int64, Int64]:
    """Of rows of half-hours (m, 48): how many in a row equal those of the day before, with energy; and how often the
    load moves among equal ones by more than `change_wh`.
    """
    same = (blocks == yesterday) & (blocks > 0)
    moved = np.abs(np.diff(blocks, axis=1)) > change_wh[:, None]
    return _longest_run(same), (same[:, 1:] & same[:, :-1] & moved).sum(axis=1)


def _longest_run(marks: Bool) -> Int64:
    """The most marks in a row, of each row (m, 48)."""
    longest = run = np.zeros(len(marks), np.int64)
    for column in marks.T:
        run = np.where(column, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest


def _against_total(rows: _Rows) -> Found | None:
    """Known half-hours may never be more than the total; all 48 of them not less either."""
    batch = rows.batch
    if batch.blocks is None or batch.known is None:
        return None
    known = batch.known.sum(axis=1)
    total = batch.blocks.sum(axis=1, dtype=np.int64) + (_HALF_HOURS - known)  # an unknown one stands as -1
    limit = np.maximum(rows.limit("VAL-23", "wh"), rows.total * rows.limit("VAL-23", "permille") // 1000)
    off = (total - rows.total > limit) | ((known == _HALF_HOURS) & (rows.total - total > limit))
    return (rows.total >= 0) & (known > 0) & off, {"half_hours_wh": total, "total_wh": rows.total, "limit_wh": limit}


_CHECKS: Mapping[str, Callable[[_Rows], Found | None]] = {
    "VAL-05": _impossible,
    "VAL-09": _clock_off,
    "VAL-13": _backwards,
    "VAL-14": _rolled_over,
    "VAL-15": _against_register,
    "VAL-16": _against_load,
    "VAL-17": _against_past,
    "VAL-18": _zero,
    "VAL-19": _drift,
    "VAL-20": _factor,
    "VAL-21": _still_frequency,
    "VAL-22": _copied,
    "VAL-23": _against_total,
}
