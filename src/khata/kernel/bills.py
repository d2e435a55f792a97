"""From metered segments to priced bills: chooses orders and schedules, splits where one bill needs two, rates.

The same function serves a single bill, a bill run, an estimate, a revision and `khata tariff price`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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
        if (self.bill[1:] < self.bill[:-1]).any():
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
        return {name: getattr(self, name).take(rows) for name in _COLUMNS}


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
        segments = _cut(segments, *_cuts(orders, segments))
    parts = place(orders, segments)
    chosen = _choose(orders, segments, parts)
    refusal, draft = chosen.refusal.copy(), np.zeros(len(segments), np.bool_)
    # Nearly all bills are one whole month; apart from the others they are rated without a division by rows.
    group_of = (chosen.order * _MANY + chosen.schedule) * 2 + parts.whole_month()
    alike = list(_alike(np.where(chosen.refusal == 0, group_of, -1)))
    # Gathered column by column, then cut: to gather group by group reads all of memory for each.
    gathered, at, groups = parts.take(np.concatenate([np.zeros(0, np.int64), *(rows for _, rows in alike)])), 0, []
    for code, rows in alike:
        order, schedule_number = orders[code // 2 // _MANY], code // 2 % _MANY
        taken, at = gathered.between(at, at + len(rows)), at + len(rows)
        rated = rate(order, order.schedules[schedule_number], taken)
        refusal[rows[rated.unpublished]] = UNPUBLISHED
        draft[rows] = rated.draft
        groups.append(Group(order, order.schedules[schedule_number], rows, taken, rated))
    return Priced(segments, tuple(groups), refusal, draft)


def cuts(orders: Sequence[Order], segments: Segments) -> list[tuple[int, int]]:
    """Where segments must be cut, as (row, day): prepaid at each month, all where a change of order matters."""
    rows, days = _cuts(orders, segments)
    return list(zip(rows.tolist(), days.tolist(), strict=True))


def split_by_days(segments: Segments, at: list[tuple[int, int]]) -> Segments:
    """Cut rows at days (rising); energy by days, so that the parts add up."""
    return _cut(segments, *np.array(at, np.int64).reshape(-1, 2).T)


def _cuts(orders: Sequence[Order], segments: Segments) -> tuple[Int64, Int64]:
    rows, days = _month_cuts(segments)
    changes = [(before, after, day_number(after.in_force)) for before, after in itertools.pairwise(orders)]
    inside = np.zeros(len(segments), np.bool_)
    for *_, day in changes:
        inside |= (segments.start < day) & (day < segments.end)
    if inside.any():
        # Whole bills: whether a change matters depends on the bill's energy. Of a prepaid bill on that of the month.
        taken = np.flatnonzero(np.isin(segments.bill, segments.bill[inside]))
        bills = segments.having(segments.columns(taken))
        own_rows, own_days = _month_cuts(bills)
        row_of = taken[_rows_of_pieces(len(bills), own_rows)]
        pieces = _cut(bills, own_rows, own_days)
        parts = place(orders, pieces)
        for before, after, day in changes:
            across = np.flatnonzero((pieces.start < day) & (day < pieces.end))
            found = row_of[across[_matters(before, after, pieces, parts, across)]]
            rows, days = np.concatenate([rows, found]), np.concatenate([days, np.full(len(found), day)])
    rising = np.lexsort((days, rows))
    return rows[rising], days[rising]


def _cut(segments: Segments, at_rows: Int64, at_days: Int64) -> Segments:
    """Each piece's energy is the difference of rounded running totals, so that the pieces add up exactly."""
    if not len(at_rows):
        return segments
    rows = _rows_of_pieces(len(segments), at_rows)
    made = segments.columns(rows)
    last = at_rows + np.arange(len(at_rows))  # the piece that each cut ends: one more piece for every cut before it
    made["end"][last], made["start"][last + 1] = at_days, at_days
    start = segments.start.take(rows)
    whole, energy = segments.end.take(rows) - start, segments.energy_wh.take(rows)
    assert_head_room("energy shared out by days", largest(segments.energy_wh), largest(whole))
    upto, before = ((made[edge] - start) * energy for edge in ("end", "start"))
    made["energy_wh"] = half_up(upto, whole) - half_up(before, whole)
    return segments.having(made)


def _rows_of_pieces(rows: int, at_rows: Int64) -> Int64:
    """For each piece that the cuts leave, the row it was cut from."""
    return np.repeat(np.arange(rows), 1 + np.bincount(at_rows, minlength=rows))


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


def _days_of_a_month(orders: Sequence[Order], stop: Int64) -> int | Int64:
    """By the order in force on each bill's last day; a later order must not move the bills before it."""
    known = {order.month.per_days for order in orders}
    if len(known) < 2:
        return known.pop() if known else 1
    days = np.full(len(stop), orders[0].month.per_days, np.int64)
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
    if orders:
        order[segments.start < day_number(orders[0].in_force)] = -1
    schedule, refusal = np.full(len(segments), -1, np.int64), np.full(len(segments), NO_ORDER, np.int64)
    categories, areas = len(segments.categories), len(segments.areas)
    alike = np.where(order < 0, -1, (order * categories + segments.category) * areas + segments.area)
    for code, rows in _alike(alike):
        category, area = segments.categories[code // areas % categories], segments.areas[code % areas]
        refusal[rows] = NO_CATEGORY
        for number, candidate in enumerate(orders[code // areas // categories].schedules):
            if candidate.match.category != category:
                continue
            refusal[rows] = NO_SCHEDULE
            if candidate.match.area in (None, area):
                fits = matches(candidate, parts, rows)
                schedule[rows[fits]], refusal[rows[fits]] = number, 0
                rows = rows[~fits]
    return _Choice(order, schedule, refusal)


def _alike(codes: Int64) -> Iterator[tuple[int, Int64]]:
    """Each code that is not below 0, with its rows in their order."""
    if len(codes) and codes[0] >= 0 and (codes == codes[0]).all():
        yield int(codes[0]), np.arange(len(codes))
        return
    # NumPy sorts 16 bits by radix, many times quicker; codes are small where there are many rows.
    rising = np.argsort(codes.astype(np.int16) if largest(codes) < 2**15 else codes, kind="stable")
    in_order = codes[rising]
    edges = [0, *(np.flatnonzero(np.diff(in_order)) + 1).tolist(), len(codes)]
    for start, end in itertools.pairwise(edges):
        if start < end and in_order[start] >= 0:
            yield int(in_order[start]), rising[start:end]


def _month_cuts(segments: Segments) -> tuple[Int64, Int64]:
    """(rows, days) at which prepaid segments enter a new calendar month."""
    first, last = months_of(segments.start), months_of(segments.end - 1)
    crossing = np.flatnonzero((segments.prepaid == 1) & (first != last))
    times = (last - first)[crossing]
    rows = np.repeat(crossing, times)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    return rows, first_days(first[rows] + 1 + nth)


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
