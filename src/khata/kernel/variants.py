"""Two bills of one connection, and every bill between them: some things as they were, the others as they are now.

Each such bill is priced by `bills.price`, and `attribution.attribute` shares the difference out. The method in prose:
docs/algorithms/bill-change.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from khata.kernel.attribution import attribute
from khata.kernel.bills import Priced, Segments, cuts, order_on, price
from khata.kernel.days import date_of, month_number
from khata.kernel.order import Minimum, Order, PercentOf, Published
from khata.kernel.quantities import Int64
from khata.kernel.shares import largest_remainder

# What can be switched, in the order in which they are shown; TOGETHER: what the orders do not price apart.
DAYS, UNITS, SLABS, RATES, LOAD, CATEGORY, MODE = SWITCHES = (
    *("days", "units", "slabs", "rates", "load", "category", "mode"),
)
TOGETHER = "together"
# What rounding to the paisa line by line can amount to: below it a change of the average price is no slab's.
_ROUNDING_PAISE = 10
# Tried one after the other until no bill between is refused: which switches are thrown as one.
_BOUND: tuple[tuple[str, ...], ...] = ((), (RATES, LOAD, CATEGORY, MODE), SWITCHES)


class NotTheSamePaiseError(ArithmeticError):
    """A bill priced again did not come out to its own paise, so that nothing is said about it."""

    def __init__(self, stored_paise: int, paise: int) -> None:
        super().__init__(f"a bill of {stored_paise} paise is priced to {paise} again; see khata bill replay")


@dataclass(frozen=True)
class Stretch:
    """Days [start, end) of a bill under one set of terms and one order; `terms` differs where the terms changed."""

    start: int
    end: int
    terms: int
    category: str
    area: str
    prepaid: bool
    load_w: int
    demand_w: int
    energy_wh: int
    demand_known: bool = True  # False: none was recorded, and it is priced as 0


@dataclass(frozen=True)
class Basis:
    """What a bill was priced from, and what it came to. `stretches` follow each other without a gap."""

    stretches: tuple[Stretch, ...]
    bill_day: int
    orders: tuple[Order, ...] = field(repr=False)
    payable_paise: int

    @cached_property
    def start(self) -> int:
        return self.stretches[0].start

    @cached_property
    def end(self) -> int:
        return self.stretches[-1].end

    @property
    def days(self) -> int:
        return self.end - self.start

    @cached_property
    def energy_wh(self) -> int:
        return sum(each.energy_wh for each in self.stretches)

    @cached_property
    def rates(self) -> set[tuple[object, ...]]:
        """The order, the season and the month's figure of the first and of the last day."""
        month, found = month_number(date_of(self.bill_day)), set[tuple[object, ...]]()
        for day in (self.start, self.end - 1):
            order = order_on(self.orders, day)
            lines = [line for schedule in order.schedules for line in schedule.lines] if order else []
            seasons = {rate.season for line in lines if isinstance(line, Minimum) for rate in line.rates}
            published = [
                line.rate for line in lines if isinstance(line, PercentOf) and isinstance(line.rate, Published)
            ]
            figures = {None if month < rate.none_before else rate.figures.get(month, (None,))[0] for rate in published}
            covering = frozenset(season for season in seasons if season.covers(date_of(day)))
            found.add((order.path if order else "", covering, frozenset(figures)))
        return found

    def terms_of(self, name: str) -> set[tuple[object, ...]]:
        """The different values of what a switch switches."""
        read = _READ[name]
        return {read(each) for each in self.stretches}

    def starts(self, days: int) -> list[int]:
        """Where the stretches begin when the bill is laid over `days` days."""
        return [_nearest((each.start - self.start) * days, self.days) for each in self.stretches]

    def used_wh(self, upto: int, of: int, days: int) -> int:
        """Wh of `days` days of the same daily use up to day `upto` of `of`; evenly inside a stretch."""
        done = 0
        for at, each in enumerate(self.stretches, 1):
            begun, long = each.start - self.start, each.end - each.start
            if upto * self.days <= (begun + long) * of or at == len(self.stretches):
                above = done * long * of + each.energy_wh * (upto * self.days - begun * of)
                return _nearest(above * days, long * of * self.days)
            done += each.energy_wh
        raise AssertionError("a bill has at least one stretch")


_READ: Mapping[str, Callable[[Stretch], tuple[object, ...]]] = {
    LOAD: lambda each: (each.load_w, each.demand_w),
    CATEGORY: lambda each: (each.category, each.area),
    MODE: lambda each: (each.prepaid,),
}


@dataclass(frozen=True)
class Compared:
    """Paise by switch, adding up to the difference of the two bills; average price of a unit in either in paise."""

    paise: Mapping[str, int]
    average_e4: tuple[int, int] | None = None  # 1/10,000 rupee a unit, each bill by its own rates and terms


def compare(pairs: Sequence[tuple[Basis, Basis]]) -> list[Compared]:
    """Share out the difference of each pair (before, now) over the switches; all pairs are priced together.

    Raises NotTheSamePaiseError if a bill is not priced to the paise it was issued with.
    """
    found: dict[int, Compared] = {}
    for bound in _BOUND:
        left = {at: _Between(*pair, bound) for at, pair in enumerate(pairs) if at not in found}
        _price(list(left.values()))
        found.update({at: between.compared() for at, between in left.items() if not between.refused})
    return [found[at] for at in range(len(pairs))]


# First day, end, category, area, prepaid, load, demand, energy, bill day.
Piece = tuple[int | str, ...]
Choice = tuple[int, int, int, int, int]  # days, rates, load, category, mode: 0 as before, 1 as now
Row = tuple[Choice, int | None]  # and whose daily use: None for no unit at all
_CHOSEN = (DAYS, RATES, LOAD, CATEGORY, MODE)


@dataclass
class _Between:
    """The bills between two, and what each came to once they are priced."""

    before: Basis
    now: Basis
    bound: tuple[str, ...]
    paise: dict[Row, int] = field(default_factory=dict)
    refused: bool = False

    def __post_init__(self) -> None:
        self.both = (self.before, self.now)
        changed = [name for name in SWITCHES if self._changed(name)]
        self.switches = [name for name in changed if name not in self.bound]
        self.as_one = [name for name in changed if name in self.bound]
        if self.as_one:
            self.switches.append(TOGETHER if len(self.as_one) > 1 else self.as_one[0])
        self.slabs = SLABS in self.switches
        self.masks = [self._choice(mask) for mask in range(2 ** len(self.switches))]
        rows: set[Row] = {(choice, units if slabs is None else slabs) for choice, units, slabs in self.masks}
        rows |= {(choice, None) for choice, units, slabs in self.masks if self.slabs}
        self.rows: list[Row] = sorted(rows, key=lambda row: (row[0], -1 if row[1] is None else row[1]))

    def _changed(self, name: str) -> bool:
        one, other = self.before, self.now
        if name == DAYS:
            return one.days != other.days
        if name in (UNITS, SLABS):
            units = one.energy_wh * other.days != other.energy_wh * one.days
            used = (_nearest(each.energy_wh * days, each.days) for each in self.both for days in (one.days, other.days))
            return units and (name == UNITS or min(used) > 0)
        if name == RATES:
            return one.days == other.days or len(one.rates | other.rates) > 1
        return one.terms_of(name) != other.terms_of(name) or len(one.terms_of(name)) > 1

    def _choice(self, mask: int) -> tuple[Choice, int, int | None]:
        bits = {name: mask >> at & 1 for at, name in enumerate(self.switches)}
        if TOGETHER in bits:
            bits.update(dict.fromkeys(self.as_one, bits.pop(TOGETHER)))
        # What did not change goes with the place, so that either end is its bill to the last cut between its days.
        place = bits[RATES] if RATES in bits else bits[DAYS]
        days, rates, load, category, mode = (bits.get(name, place) for name in _CHOSEN)
        return (days, rates, load, category, mode), bits.get(UNITS, place), bits.get(SLABS)

    # -- the rows to price ---------------------------------------------------------------------------------------------

    def frame(self, choice: Choice) -> tuple[int, int]:
        """The days of one bill at the place of another: as many, to the same end.

        Where both are as many whole calendar months, these months, as a month is a month however long.
        """
        length, place = self.both[choice[0]], self.both[choice[1]]
        if _calendar_months(length) == _calendar_months(place) > 0:
            return place.start, place.end
        return place.end - length.days, place.end

    def pieces(self, row: Row, more: Sequence[int]) -> list[Piece]:
        """The segments of one row, also cut at the days `more`."""
        choice, use = row
        start, end = self.frame(choice)
        of, days = end - start, self.both[choice[0]].days
        loads, categories, modes = (self.both[bit] for bit in choice[2:])
        edges = {0, of, *(day - start for day in more)}
        for terms in (loads, categories, modes):
            begun = terms.starts(of)
            neighbours = zip(terms.stretches, terms.stretches[1:], begun[1:], strict=False)
            edges.update(at for one, other, at in neighbours if one.terms != other.terms and at < of)
        rising = sorted(edges)
        made: list[Piece] = []
        for first, last in itertools.pairwise(rising):
            energy = 0
            if use is not None:
                source = self.both[use]
                energy = source.used_wh(last, of, days) - source.used_wh(first, of, days)
            load, of_category = _at(loads, first, of), _at(categories, first, of)
            demand = max(each.demand_w for each in _over(loads, first, last, of))
            whose = (of_category.category, of_category.area, int(_at(modes, first, of).prepaid))
            bill_day = self.both[choice[1]].bill_day
            made.append((start + first, start + last, *whose, load.load_w, demand, energy, bill_day))
        return made

    # -- what they came to ---------------------------------------------------------------------------------------------

    def compared(self) -> Compared:
        for basis, mask in ((self.before, 0), (self.now, -1)):
            paise = self._value(self.masks[mask])
            if paise != basis.payable_paise:
                raise NotTheSamePaiseError(basis.payable_paise, paise)
        averages = None
        if self.slabs:
            averages = self._average_e4(0), self._average_e4(-1)
            if self._only_rounding():
                return self.without_slabs(averages)
        shares = attribute(np.array([self._value(mask) for mask in self.masks], np.int64))
        return Compared(dict(zip(self.switches, shares.tolist(), strict=True)), averages)

    def without_slabs(self, averages: tuple[int, int]) -> Compared:
        """The same, where all units cost the same."""
        at = self.switches.index(SLABS)
        masks = [mask for number, mask in enumerate(self.masks) if not number >> at & 1]
        values = [self.paise[choice, units] for choice, units, _ in masks]
        names = [name for name in self.switches if name != SLABS]
        return Compared(dict(zip(names, attribute(np.array(values, np.int64)).tolist(), strict=True)), averages)

    def _value(self, mask: tuple[Choice, int, int | None]) -> int:
        """Units at the average price that a unit has where the daily use is that of the bill `slabs`."""
        choice, units, slabs = mask
        if slabs is None or slabs == units:
            return self.paise[choice, units]
        none, priced = self.paise[choice, None], self.paise[choice, slabs]
        return none + _nearest((priced - none) * self._wh(choice, units), self._wh(choice, slabs))

    def _wh(self, choice: Choice, units: int) -> int:
        used = self.both[units]
        return _nearest(used.energy_wh * self.both[choice[0]].days, used.days)

    def _only_rounding(self) -> bool:
        apart = (abs(self._value(mask) - self.paise[mask[0], mask[1]]) for mask in self.masks)
        return max(apart) <= _ROUNDING_PAISE

    def _average_e4(self, mask: int) -> int:
        choice, units, _ = self.masks[mask]
        return _nearest((self.paise[choice, units] - self.paise[choice, None]) * 10**5, self._wh(choice, units))


def _at(basis: Basis, day: int, of: int) -> Stretch:
    if len(basis.stretches) == 1:
        return basis.stretches[0]
    begun = basis.starts(of)
    return basis.stretches[max(at for at, first in enumerate(begun) if first <= day)]


def _over(basis: Basis, first: int, last: int, of: int) -> list[Stretch]:
    """The stretches that any of the days [first, last) lies in."""
    if len(basis.stretches) == 1:
        return [basis.stretches[0]]
    edges = [*basis.starts(of), of]
    inside = zip(basis.stretches, edges, edges[1:], strict=False)
    return [each for each, begun, ended in inside if begun < last and first < ended]


def _calendar_months(basis: Basis) -> int:
    """How many whole calendar months a bill is for; 0 if it begins or ends inside one."""
    first, end = date_of(basis.start), date_of(basis.end)
    return month_number(end) - month_number(first) if first.day == end.day == 1 else 0


def _nearest(numerator: int, denominator: int) -> int:
    """The nearest whole number, halves away from zero."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


# -- pricing ----------------------------------------------------------------------------------------------------------


def _price(betweens: Sequence[_Between]) -> None:
    """Price all rows, those of the same orders in one call."""
    books: dict[tuple[str, ...], tuple[tuple[Order, ...], list[tuple[_Between, Row]]]] = {}
    for between in betweens:
        for row in between.rows:
            orders = between.both[row[0][1]].orders
            key = tuple(order.sha256 for order in orders)
            books.setdefault(key, (orders, []))[1].append((between, row))
    for orders, rows in books.values():
        priced = price(orders, _segments(orders, rows), metered=True)
        amounts = payable(priced, len(rows))
        refused = np.zeros(len(rows), np.bool_)
        refused[priced.segments.bill[priced.refusal > 0]] = True
        for (between, row), paise, not_priced in zip(rows, amounts.tolist(), refused.tolist(), strict=True):
            between.paise[row] = paise
            between.refused |= not_priced


def payable(priced: Priced, bills: int) -> Int64:
    """What each bill comes to in paise; a line is signed, so it is their sum."""
    amounts = np.zeros(bills, np.int64)
    for group in priced.groups:
        np.add.at(amounts, priced.segments.bill[group.rows], group.rated.lines.sum(axis=1))
    return amounts


def _segments(orders: tuple[Order, ...], rows: Sequence[tuple[_Between, Row]]) -> Segments:
    """Cut where a change of terms or of order asks for it; energy on the day of the cut as the bill knows it."""
    pieces = [between.pieces(row, ()) for between, row in rows]
    segments = segments_of(pieces)
    more: dict[int, list[int]] = {}
    for segment, day in cuts(orders, segments):
        more.setdefault(int(segments.bill[segment]), []).append(day)
    if not more:
        return segments
    for number, days in more.items():
        between, row = rows[number]
        pieces[number] = between.pieces(row, days)
    return segments_of(pieces)


def segments_of(pieces: Sequence[Sequence[Piece]]) -> Segments:
    """The pieces of each bill as segments; bills and their pieces in the order given."""
    bill = np.repeat(np.arange(len(pieces)), [len(each) for each in pieces])
    start, end, category, area, *numbers = zip(*(piece for each in pieces for piece in each), strict=True)
    categories, areas = tuple(sorted({str(name) for name in category})), tuple(sorted({str(name) for name in area}))
    prepaid, load, demand, energy, bill_day = (np.array(column, np.int64) for column in numbers)
    place = {name: at for names in (categories, areas) for at, name in enumerate(names)}
    return Segments(
        bill=bill,
        start=np.array(start, np.int64),
        end=np.array(end, np.int64),
        category=np.array([place[str(name)] for name in category], np.int64),
        area=np.array([place[str(name)] for name in area], np.int64),
        prepaid=prepaid,
        load_w=load,
        demand_w=demand,
        energy_wh=energy,
        bill_day=bill_day,
        categories=categories,
        areas=areas,
    )


def changed(basis: Basis, *, energy_wh: int, load_w: int | None, prepaid: bool | None) -> Priced | None:
    """The same days with other units (shared out as they were used), load or mode; None where no order prices that."""
    energy = largest_remainder(energy_wh, np.array([each.energy_wh for each in basis.stretches], np.int64))
    pieces: list[Piece] = []
    for each, wh in zip(basis.stretches, energy.tolist(), strict=True):
        whose = (each.category, each.area, int(each.prepaid if prepaid is None else prepaid))
        pieces.append((each.start, each.end, *whose, load_w or each.load_w, each.demand_w, wh, basis.bill_day))
    priced = price(basis.orders, segments_of([pieces]), metered=False)
    return None if priced.refusal.any() else priced
