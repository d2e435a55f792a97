"""Rates parts of bills by a schedule: the one place where units meet a rate. See docs/algorithms/rating.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from khata.kernel.days import season_days
from khata.kernel.order import (
    Condition,
    ExcessDemand,
    Minimum,
    Order,
    PercentageRebate,
    PercentOf,
    PerLoad,
    Published,
    Ref,
    Schedule,
    Slab,
    SlabsTelescopic,
    SlabSubsidy,
)
from khata.kernel.quantities import (
    E7_PER_PAISA,
    FRACTION_ONE_E4,
    Bool,
    Int64,
    assert_head_room,
    distinct,
    half_up,
    int64,
    largest,
)

KERNEL_VERSION = 1
_PERCENT = 100
_UNPUBLISHED = -(2**40)


@dataclass(frozen=True)
class Parts:
    """One row a bill part; every column int64 of the same length.

    A part is a stretch of days under one order and one set of terms; usually a bill has one. Two fractions place it in
    its bill: the fixed charge counts `fixed_num / fixed_den` months, the slabs from `slab_from` to `slab_to` of
    `slab_of` bill periods of `months` months.
    """

    load_w: Int64
    demand_w: Int64
    energy_wh: Int64
    whole_wh: Int64  # energy of the whole bill (prepaid: of its calendar month), on which conditions look
    months: Int64  # bill months of the whole bill
    fixed_num: Int64
    fixed_den: Int64
    slab_from: Int64
    slab_to: Int64
    slab_of: Int64
    start: Int64  # day numbers, half-open
    end: Int64
    bill_month: Int64  # month number of the bill date
    prepaid: Int64  # 0 or 1

    def __post_init__(self) -> None:
        for column in fields(self):
            object.__setattr__(self, column.name, int64(column.name, getattr(self, column.name)))

    def __len__(self) -> int:
        return len(self.load_w)

    def whole_month(self) -> Bool:
        """Where all three fractions are 1."""
        whole = (self.fixed_num == self.fixed_den) & (self.months == 1)
        return np.asarray(whole & (self.slab_to - self.slab_from == self.slab_of), np.bool_)

    def take(self, rows: Int64) -> Parts:
        return self._with(lambda column: column.take(rows))

    def between(self, start: int, end: int) -> Parts:
        """These rows, not copied."""
        return self._with(lambda column: column[start:end])

    def _with(self, change: Callable[[Int64], Int64]) -> Parts:
        made = object.__new__(Parts)
        for name in _COLUMNS:
            object.__setattr__(made, name, change(getattr(self, name)))
        return made


_COLUMNS = tuple(column.name for column in fields(Parts))


@dataclass(frozen=True)
class Traced:
    """How a line came about, for one row: quantity x rate = amount, by which clause."""

    quantity: int
    unit: str
    rate: int
    rate_unit: str
    clause: str
    evidence: str
    printed: str


Trace = Callable[[int, Traced], None]  # line number, how it came about; only for a single row


@dataclass(frozen=True)
class Rated:
    """Lines in the schedule's order: int64 paise (rows, lines), signed so that a row's sum is what is payable."""

    lines: Int64
    billable_cw: Int64  # hundredths of a watt: 75 % of a load in W need not be whole
    excess_w: Int64
    draft: Bool
    unpublished: Bool  # a monthly figure for the bill's month is not published: the row is not priced


def matches(schedule: Schedule, parts: Parts, rows: Int64) -> Bool:
    """Which of these rows meet the schedule's conditions on load and usage (category and area are the caller's)."""
    if not schedule.match.conditions:
        return np.ones(len(rows), np.bool_)
    load_w, whole_wh, months = (column.take(rows) for column in (parts.load_w, parts.whole_wh, parts.months))
    return _all_met(schedule.match.conditions, load_w, whole_wh, months)


def rate(order: Order, schedule: Schedule, parts: Parts, trace: Trace | None = None) -> Rated:
    """All lines of the schedule for every row. Pure; raises HeadRoomError rather than overflow."""
    rows = len(parts)
    _assert_fits(schedule, parts)
    work = _Work(parts, np.empty((len(schedule.lines), rows), np.int64), schedule, trace)
    for number, line in enumerate(schedule.lines):
        work.lines[number] = _KINDS[type(line)](work, number, line)
    work.doubt(order.month.postpaid.doubtful, parts.months > 1)
    work.doubt(order.straddle.doubtful or order.slab_rounding.doubtful, parts.slab_to - parts.slab_from < parts.slab_of)
    work.doubt(order.line_rounding.doubtful or schedule.ref.doubtful, True)
    work.doubt(order.month.prepaid.doubtful, parts.prepaid == 1)
    for doubt in schedule.doubts:
        work.doubt(doubt.ref.doubtful, _all_met(doubt.conditions, parts.load_w, parts.whole_wh, parts.months))
    return Rated(work.lines.T, work.billable_cw, work.excess_w, work.draft, work.unpublished)


class _Work:
    """The columns that the lines of one schedule share while they are computed, top to bottom."""

    def __init__(self, parts: Parts, lines: Int64, schedule: Schedule, trace: Trace | None) -> None:
        rows = len(parts)
        self.parts, self.lines, self.schedule, self.trace = parts, lines, schedule, trace
        self.number = {line.id: number for number, line in enumerate(schedule.lines)}
        self.billable_cw = np.zeros(rows, np.int64)
        self.excess_w = np.maximum(parts.demand_w - parts.load_w, 0)
        self.draft = np.zeros(rows, np.bool_)
        self.unpublished = np.zeros(rows, np.bool_)
        self.one_month = bool(parts.whole_month().all())  # then nothing is divided by rows

    def doubt(self, doubtful: bool, used: Bool | bool) -> None:
        """A number or rule on B or C evidence was used in these rows: their bills are drafts."""
        if doubtful:
            self.draft |= used

    def base(self, of: tuple[str, ...]) -> Int64:
        total = np.zeros(len(self.parts), np.int64)
        for name in of:
            total += self.lines[self.number[name]]
        return total

    def months_of(self, amount_e7: Int64, divisor: int) -> Int64:
        """Money per month in units of 1 / divisor paisa → paise for the months and days of each row."""
        if self.one_month:
            return half_up(amount_e7, divisor)
        return half_up(amount_e7 * self.parts.fixed_num, self.parts.fixed_den * divisor)

    def limit(self, up_to_wh: int) -> int | Int64:
        """A slab's upper limit in each row: months x width, and of a split bill the part's share of it."""
        if self.one_month:
            return up_to_wh
        parts = self.parts
        whole = parts.months * up_to_wh
        return half_up(whole * parts.slab_to, parts.slab_of) - half_up(whole * parts.slab_from, parts.slab_of)

    def note(
        self, number: int, quantity: Int64, unit: str, rate: int, rate_unit: str, ref: Ref, printed: str = ""
    ) -> None:
        if self.trace:
            printed = printed or self.schedule.lines[number].printed
            self.trace(number, Traced(int(quantity[0]), unit, rate, rate_unit, ref.text, ref.evidence, printed))


# -- the charge kinds -----------------------------------------------------------------------------------


def _per_load(work: _Work, number: int, line: PerLoad) -> Int64:
    parts = work.parts
    recorded = np.minimum(parts.demand_w, parts.load_w)
    work.billable_cw = np.maximum(parts.load_w * line.floor_percent, recorded * _PERCENT)
    work.doubt(line.ref.doubtful, True)
    work.note(number, work.billable_cw, "cW", line.rate_e4, "INR/kW/month", line.ref)
    return work.months_of(work.billable_cw * line.rate_e4, E7_PER_PAISA * _PERCENT)


def _excess(work: _Work, number: int, line: ExcessDemand) -> Int64:
    fixed = work.schedule.lines[work.number[line.of]]
    assert isinstance(fixed, PerLoad)
    rate_e4 = fixed.rate_e4 * line.times
    work.doubt(line.ref.doubtful, work.excess_w > 0)
    work.note(number, work.excess_w, "W", rate_e4, "INR/kW/month", line.ref)
    return work.months_of(work.excess_w * rate_e4, E7_PER_PAISA)


def _telescopic(work: _Work, number: int, line: SlabsTelescopic) -> Int64:
    return half_up(_slabbed(work, number, line.slabs), E7_PER_PAISA)


def _subsidy(work: _Work, number: int, line: SlabSubsidy) -> Int64:
    return -half_up(_slabbed(work, number, line.slabs), E7_PER_PAISA)


def _slabbed(work: _Work, number: int, slabs: tuple[Slab, ...]) -> Int64:
    """Σ units in a slab x its rate, in 10⁻⁷ rupee."""
    energy = work.parts.energy_wh
    total, below = np.zeros_like(energy), np.zeros_like(energy)
    for slab in slabs:
        upto = energy if slab.up_to_wh is None else np.minimum(energy, work.limit(slab.up_to_wh))
        if not work.one_month:
            upto = np.maximum(upto, below)  # rounding the shares of a split bill may let two near limits cross
        units = upto - below
        total += units * slab.rate_e4
        if slab.ref.doubtful:
            work.doubt(True, units > 0)
        if work.trace and (units[0] or slab is slabs[0]):
            work.note(number, units, "Wh", slab.rate_e4, "INR/kWh", slab.ref, slab.printed)
        below = upto
    return total


def _minimum(work: _Work, number: int, line: Minimum) -> Int64:
    """Minimum per kW of load and month; a period in two seasons is weighed by its days in each."""
    parts = work.parts
    days = [season_days(rate.season, parts.start, parts.end) for rate in line.rates]
    length = parts.end - parts.start
    rate_days = sum((count * rate.rate_e4 for count, rate in zip(days, line.rates, strict=True)), np.zeros_like(length))
    for count, rate in zip(days, line.rates, strict=True):
        work.doubt(rate.ref.doubtful, count > 0)
        work.doubt(line.both_seasons.doubtful, (count > 0) & (count < length))
    wanted = half_up(parts.load_w * rate_days * parts.fixed_num, length * parts.fixed_den * E7_PER_PAISA)
    top_up: Int64 = np.maximum(wanted - work.base(line.of), 0)
    if work.trace:
        first = next(rate for count, rate in zip(days, line.rates, strict=True) if count[0])
        work.note(number, parts.load_w, "W", first.rate_e4, "INR/kW/month", first.ref)
    return top_up


def _percent(work: _Work, number: int, line: PercentOf) -> Int64:
    base = work.base(line.of)
    if isinstance(line.rate, Published):
        return _published(work, number, line, line.rate, base)
    work.doubt(line.ref.doubtful, True)
    work.note(number, base, "paise", line.rate, "%", line.ref)
    return half_up(base * line.rate, FRACTION_ONE_E4)


def _published(work: _Work, number: int, line: PercentOf, published: Published, base: Int64) -> Int64:
    """The figure of the month of the bill date; a month without one is never 0."""
    work.doubt(line.ref.doubtful, True)
    months = work.parts.bill_month
    low = int(months.min()) if months.size else 0
    table = np.zeros(int(months.max()) - low + 1 if months.size else 0, np.int64)
    for month in distinct(months[months >= published.none_before]):
        figure = published.figures.get(month)
        table[month - low] = figure[0] if figure else _UNPUBLISHED
        if figure:
            work.doubt(figure[1].doubtful, months == month)
            work.note(number, base, "paise", figure[0], "%", figure[1])
    if work.trace and len(months) and months[0] < published.none_before:
        work.note(number, base, "paise", 0, "%", line.ref)
    rates = table.take(months - low)
    missing = rates == _UNPUBLISHED
    if missing.any():
        work.unpublished |= missing
        rates[missing] = 0
    return half_up(base * rates, FRACTION_ONE_E4)


def _rebate(work: _Work, number: int, line: PercentageRebate) -> Int64:
    on = work.parts.prepaid == (line.mode == "prepaid")
    if not on.any():
        return np.zeros(len(on), np.int64)
    work.doubt(line.ref.doubtful, on)
    base = work.base(line.of)
    work.note(number, base, "paise", -line.rate_e4, "%", line.ref)
    return np.where(on, -half_up(base * line.rate_e4, FRACTION_ONE_E4), 0)


_KINDS: dict[type, Callable[..., Int64]] = {
    PerLoad: _per_load,
    ExcessDemand: _excess,
    SlabsTelescopic: _telescopic,
    SlabSubsidy: _subsidy,
    Minimum: _minimum,
    PercentOf: _percent,
    PercentageRebate: _rebate,
}


# -- conditions and head-room ---------------------------------------------------------------------------


def _all_met(
    conditions: tuple[tuple[Literal["load", "energy"], Condition], ...], load_w: Int64, whole_wh: Int64, months: Int64
) -> Bool:
    met = np.ones(len(load_w), np.bool_)
    for what, condition in conditions:
        if what == "load":
            met &= _met(condition, load_w, condition.limit)
        else:
            met &= _met(condition, whole_wh, condition.limit * months)
    return met


def _met(condition: Condition, values: Int64, limit: int | Int64) -> Bool:
    if condition.word == "not whole":
        values, limit = values % limit, 0
    return np.asarray(_COMPARE[condition.word](values, limit), np.bool_)


_COMPARE: dict[str, np.ufunc] = {
    "up to": np.less_equal,
    "above": np.greater,
    "at least": np.greater_equal,
    "below": np.less,
    "not whole": np.not_equal,
}


def _assert_fits(schedule: Schedule, parts: Parts) -> None:
    """The largest product of every kind must stay inside 64 bits, whatever the order's rates."""
    energy, load = largest(parts.energy_wh), max(largest(parts.load_w), largest(parts.demand_w))
    months = max(largest(parts.months), largest(parts.fixed_num))
    length, whole_length = largest(parts.end - parts.start), largest(parts.slab_of)
    for line in schedule.lines:
        if isinstance(line, SlabsTelescopic | SlabSubsidy):
            top = max(slab.rate_e4 for slab in line.slabs)
            widest = max((slab.up_to_wh or 0) for slab in line.slabs)
            assert_head_room(f"{schedule.name} {line.id}", energy, top * len(line.slabs) * 2)
            assert_head_room(f"{schedule.name} {line.id} slab", widest, months, whole_length, 2)
        elif isinstance(line, PerLoad):
            assert_head_room(f"{schedule.name} {line.id}", load, _PERCENT, line.rate_e4 * 20, months)
        elif isinstance(line, Minimum):
            top = max(rate.rate_e4 for rate in line.rates)
            assert_head_room(f"{schedule.name} {line.id}", load, top, length, months)
