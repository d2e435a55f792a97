"""From metered segments to priced bills: chooses orders and schedules, splits where one bill needs two, rates.

The same function serves a single bill, a bill run, an estimate, a revision and `khata tariff price`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from khata.kernel.changes import first_change_wh
from khata.kernel.days import date_of, day_number, first_days, months_of
from khata.kernel.order import Order, Schedule
from khata.kernel.quantities import Bool, Int64, assert_head_room, distinct, half_up, int64, largest
from khata.kernel.rating import Parts, Rated, matches, rate

# Why a bill is not priced; position 0 means that it is.
REFUSALS = (
    "",
    "no tariff order of the company was in force on {start}",
    "the order {order} has no category {category} in this repository's reading",
    "no schedule of {order} matches category {category}, area {area}, load and usage",
    "the FPPAS figure for bills of {month} is not published in tariffs/",
)
NO_ORDER, NO_CATEGORY, NO_SCHEDULE, UNPUBLISHED = 1, 2, 3, 4
_MANY = 1000  # more than any order has schedules


@dataclass(frozen=True)
class Segments:
    """One row a stretch of days with one set of terms; rows of a bill follow each other, in the order of days.

    `bill` numbers the bills 0, 1, 2 … without gaps. `category` and `area` are positions in the lists below.
    """

    bill: Int64
    start: Int64
    end: Int64
    category: Int64
    area: Int64
    prepaid: Int64
    load_w: Int64
    demand_w: Int64
    energy_wh: Int64
    bill_day: Int64
    categories: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            object.__setattr__(self, name, int64(name, getattr(self, name)))
        if len(self) and (np.diff(self.bill) < 0).any():
            raise ValueError("segments of a bill must follow each other")
        bad = (self.load_w <= 0) | (self.energy_wh < 0) | (self.demand_w < 0) | (self.end <= self.start)
        if bad.any():
            raise ValueError(
                f"segment {int(np.flatnonzero(bad)[0])}: load and days above 0, energy and demand not below"
            )

    def __len__(self) -> int:
        return len(self.bill)

    def having(self, columns: dict[str, Int64]) -> Segments:
        """These segments with other columns (all of the same new length, or of the old)."""
        kept = {name: getattr(self, name) for name in _COLUMNS}
        return Segments(**{**kept, **columns}, categories=self.categories, areas=self.areas)

    def columns(self, rows: Int64) -> dict[str, Int64]:
        return {name: getattr(self, name)[rows] for name in _COLUMNS}


_COLUMNS = tuple(column.name for column in fields(Segments) if column.name not in ("categories", "areas"))


@dataclass(frozen=True)
class Group:
    """Parts rated by one schedule of one order; `rows` are positions in the segments."""

    order: Order
    schedule: Schedule
    rows: Int64
    parts: Parts
    rated: Rated


@dataclass(frozen=True)
class Priced:
    """`segments` as they were rated (after splitting), the groups that cover them, and why any row was refused."""

    segments: Segments
    groups: tuple[Group, ...]
    refusal: Int64  # position in REFUSALS for each segment row
    draft: Bool  # for each segment row

    def why(self, row: int, orders: Sequence[Order]) -> str:
        """The refusal of one row in words; empty if it was priced."""
        segments = self.segments
        order = order_on(orders, int(segments.end[row]) - 1)
        return REFUSALS[int(self.refusal[row])].format(
            start=date_of(int(segments.start[row])),
            order=order.path if order else "",
            category=segments.categories[int(segments.category[row])],
            area=segments.areas[int(segments.area[row])],
            month=f"{date_of(int(segments.bill_day[row])):%Y-%m}",
        )


def order_on(orders: Sequence[Order], day: int) -> Order | None:
    """The order in force on a day; `orders` rise by their first day."""
    found = None
    for order in orders:
        if day_number(order.in_force) <= day:
            found = order
    return found


def price(orders: Sequence[Order], segments: Segments, *, metered: bool) -> Priced:
    """Rate every segment. `orders` are those of one company, rising by their first day in force.

    `metered` says that the caller has already cut the segments where `cuts` asked for it, with energy metered on
    the day of the cut; otherwise energy is shared out by days.
    """
    if not metered:
        segments = split_by_days(segments, cuts(orders, segments))
    parts = place(orders, segments)
    chosen = _choose(orders, segments, parts)
    refusal, draft, groups = chosen.refusal.copy(), np.zeros(len(segments), np.bool_), []
    for order_number, schedule_number in _pairs(chosen):
        rows = np.flatnonzero((chosen.order == order_number) & (chosen.schedule == schedule_number))
        order = orders[order_number]
        taken = parts if len(rows) == len(segments) else parts.take(rows)
        rated = rate(order, order.schedules[schedule_number], taken)
        refusal[rows[rated.unpublished]] = UNPUBLISHED
        draft[rows] = rated.draft
        groups.append(Group(order, order.schedules[schedule_number], rows, taken, rated))
    return Priced(segments, tuple(groups), refusal, draft)


def cuts(orders: Sequence[Order], segments: Segments) -> list[tuple[int, int]]:
    """Where segments must be cut, as (row, day): prepaid at each month, all where a change of order matters."""
    found = _month_cuts(segments)
    # Whether a change matters to a prepaid month depends on the energy of that month, not of the whole bill.
    monthly, row_of = split_by_days(segments, found), _rows_of_pieces(len(segments), found)
    parts = None
    for before, after in itertools.pairwise(orders):
        day = day_number(after.in_force)
        across = np.flatnonzero((monthly.start < day) & (day < monthly.end))
        if len(across):
            parts = parts or place(orders, monthly)
            matters = _matters(before, after, monthly, parts, across)
            found.extend((row, day) for row in row_of[across[matters]].tolist())
    return sorted(found)


def split_by_days(segments: Segments, at: list[tuple[int, int]]) -> Segments:
    """Cut rows at days (rising); energy by days, each share the difference of rounded running totals: they add up."""
    if not at:
        return segments
    cut_rows, cut_days = np.array(at, np.int64).T
    rows = _rows_of_pieces(len(segments), at)
    made = segments.columns(rows)
    last = cut_rows + np.arange(len(at))  # the piece that each cut ends: one more piece for every cut before it
    made["end"][last], made["start"][last + 1] = cut_days, cut_days
    start, whole = segments.start[rows], segments.end[rows] - segments.start[rows]
    assert_head_room("energy shared out by days", largest(segments.energy_wh), largest(whole))
    upto, before = ((made[edge] - start) * segments.energy_wh[rows] for edge in ("end", "start"))
    made["energy_wh"] = half_up(upto, whole) - half_up(before, whole)
    return segments.having(made)


def _rows_of_pieces(rows: int, at: list[tuple[int, int]]) -> Int64:
    """For each piece that the cuts leave, the row it was cut from."""
    if not at:
        return np.arange(rows)
    return np.repeat(np.arange(rows), 1 + np.bincount([row for row, _ in at], minlength=rows))


def place(orders: Sequence[Order], segments: Segments) -> Parts:
    """Each segment's place in its bill: bill months, share of the fixed charge, share of the slabs."""
    begin, stop, whole_wh = _whole(segments)
    length, own = stop - begin, segments.end - segments.start
    months = np.maximum(1, half_up(length, _days_of_a_month(orders, stop)))
    fixed_num, fixed_den = months * own, length
    prepaid = segments.prepaid == 1
    if prepaid.any():
        month = months_of(segments.start)
        months = np.where(prepaid, 1, months)
        fixed_num = np.where(prepaid, own, fixed_num)
        fixed_den = np.where(prepaid, first_days(month + 1) - first_days(month), fixed_den)
    return Parts(
        load_w=segments.load_w,
        demand_w=segments.demand_w,
        energy_wh=segments.energy_wh,
        whole_wh=whole_wh,
        months=months,
        fixed_num=fixed_num,
        fixed_den=fixed_den,
        slab_from=segments.start - begin,
        slab_to=segments.end - begin,
        slab_of=length,
        start=segments.start,
        end=segments.end,
        bill_month=months_of(segments.bill_day),
        prepaid=segments.prepaid,
    )


def _days_of_a_month(orders: Sequence[Order], stop: Int64) -> Int64:
    """By the order in force on each bill's last day; a later order must not move the bills before it."""
    days = np.full(len(stop), orders[0].month.per_days if orders else 1, np.int64)
    for before, after in itertools.pairwise(orders):
        if after.month.per_days != before.month.per_days:
            days[stop > day_number(after.in_force)] = after.month.per_days
    return days


def _whole(segments: Segments) -> tuple[Int64, Int64, Int64]:
    """For each segment the first day, the end and the energy of its bill (prepaid: of its calendar month)."""
    new = np.ones(len(segments), np.bool_)
    new[1:] = np.diff(segments.bill) != 0
    if (segments.prepaid == 1).any():
        new[1:] |= np.diff(np.where(segments.prepaid == 1, months_of(segments.start), -1)) != 0
    if new.all():
        return segments.start, segments.end, segments.energy_wh
    group, heads = np.cumsum(new) - 1, np.flatnonzero(new)
    tails = np.concatenate([heads[1:], [len(segments)]]) - 1
    energy = np.add.reduceat(segments.energy_wh, heads)
    return segments.start[heads][group], segments.end[tails][group], energy[group]


@dataclass(frozen=True)
class _Choice:
    order: Int64
    schedule: Int64
    refusal: Int64


def _choose(orders: Sequence[Order], segments: Segments, parts: Parts) -> _Choice:
    """The order in force on the last day of each segment, and of it the first schedule that matches."""
    order = np.full(len(segments), -1, np.int64)
    for each in orders:
        order += segments.end > day_number(each.in_force)
    schedule = np.full(len(segments), -1, np.int64)
    refusal = np.where(order < 0, NO_ORDER, NO_CATEGORY)
    if orders:
        before_all = segments.start < day_number(orders[0].in_force)
        order[before_all], refusal[before_all] = -1, NO_ORDER
    for order_number in distinct(order[order >= 0]):
        in_order = order == order_number
        for number, candidate in enumerate(orders[order_number].schedules):
            of_category = in_order & _named(segments.category, segments.categories, candidate.match.category)
            if not of_category.any():
                continue
            refusal[of_category & (schedule < 0)] = NO_SCHEDULE
            fits = of_category & (schedule < 0) & matches(candidate, parts)
            if candidate.match.area is not None:
                fits &= _named(segments.area, segments.areas, candidate.match.area)
            schedule[fits] = number
    return _Choice(order, schedule, np.where(schedule >= 0, 0, refusal))


def _named(positions: Int64, names: tuple[str, ...], wanted: str) -> Bool:
    if wanted not in names:
        return np.zeros(len(positions), np.bool_)
    return np.equal(positions, names.index(wanted))


def _pairs(chosen: _Choice) -> list[tuple[int, int]]:
    priced = chosen.schedule >= 0
    return [divmod(code, _MANY) for code in distinct(chosen.order[priced] * _MANY + chosen.schedule[priced])]


def _month_cuts(segments: Segments) -> list[tuple[int, int]]:
    first, last = months_of(segments.start), months_of(segments.end - 1)
    crossing = np.flatnonzero((segments.prepaid == 1) & (first != last))
    times = (last - first)[crossing]
    rows = np.repeat(crossing, times)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    return list(zip(rows.tolist(), first_days(first[rows] + 1 + nth).tolist(), strict=True))


def _matters(before: Order, after: Order, segments: Segments, parts: Parts, rows: Int64) -> Bool:
    """For which rows the change of order alters a line that they use? The others are not split."""
    alone = segments.having({**segments.columns(rows), "bill": np.arange(len(rows))})
    here = parts.take(rows)
    old, new = _schedules_of(before, alone, here), _schedules_of(after, alone, here)
    alike = ((old + 1) * _MANY + new + 1) * 4 + (alone.demand_w > alone.load_w) * 2 + alone.prepaid
    matters = np.not_equal(old < 0, new < 0)
    for code in distinct(alike[(old >= 0) & (new >= 0)]):
        pair, (above_load, prepaid) = code // 4, divmod(code % 4, 2)
        change_wh = first_change_wh(
            before.schedules[pair // _MANY - 1],
            after.schedules[pair % _MANY - 1],
            above_load=above_load == 1,
            prepaid=prepaid == 1,
        )
        if change_wh is not None:
            matters |= (alike == code) & (here.whole_wh > change_wh * here.months)
    return matters


def _schedules_of(order: Order, segments: Segments, parts: Parts) -> Int64:
    """Which schedule would serve each row if the order were in force on all its days; -1 for none."""
    day = day_number(order.in_force)
    in_force = {"start": np.maximum(segments.start, day), "end": np.maximum(segments.end, day + 1)}
    return _choose((order,), segments.having(in_force), parts).schedule
