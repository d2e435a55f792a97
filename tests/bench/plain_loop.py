"""The same rules as a plain Python loop over integers, one bill at a time: what the kernel is timed against.

Kept as quick as such a loop can fairly be: orders become plain tuples beforehand, and drafts are left out.
"""

import datetime as dt
import itertools
from functools import cache
from typing import NamedTuple

from khata.kernel.changes import first_change_wh
from khata.kernel.days import date_of, day_number, month_number
from khata.kernel.order import (
    ExcessDemand,
    Minimum,
    Order,
    PercentageRebate,
    PercentOf,
    PerLoad,
    Published,
    Schedule,
    SlabsTelescopic,
    SlabSubsidy,
)


class Bill(NamedTuple):
    start: int
    end: int
    category: str
    area: str
    prepaid: int
    load_w: int
    demand_w: int
    energy_wh: int
    bill_day: int


class Rates(NamedTuple):
    """One schedule: conditions first, then its numbers."""

    load_up_to: int | None
    load_above: int | None
    month_wh: int | None
    schedule: Schedule
    floor: int
    fixed: int
    times: int
    slabs: list[tuple[int | None, int]]
    subsidies: list[tuple[int | None, int]]
    summer: int
    winter: int
    published: Published
    duty: int
    rebate: int


class Part(NamedTuple):
    order: int
    rates: Rates
    start: int
    end: int
    energy_wh: int
    months: int
    fixed_num: int
    fixed_den: int
    slab_from: int
    slab_to: int
    slab_of: int


@cache
def month_of(day: int) -> int:
    return month_number(date_of(day))


@cache
def days_of(month: int) -> int:
    return first_day(month + 1) - first_day(month)


@cache
def first_day(month: int) -> int:
    return day_number(dt.date(1970 + month // 12, month % 12 + 1, 1))


@cache
def summer_days(start: int, end: int) -> int:
    return sum(4 <= date_of(day).month <= 9 for day in range(start, end))


class Plain:
    LINES = ("fixed", "excess", "energy", "subsidy", "minimum", "fppas", "duty", "rebate")

    def __init__(self, orders: tuple[Order, ...]) -> None:
        self.first_days = [day_number(order.in_force) for order in orders]
        self.per_days = orders[-1].month.per_days
        areas = ("urban", "rural")
        self.rates = [
            {
                (category, area): [
                    _rates(each)
                    for each in order.schedules
                    if each.match.category == category and each.match.area in (None, area)
                ]
                for category in {schedule.match.category for schedule in order.schedules}
                for area in areas
            }
            for order in orders
        ]
        self.changes: dict[tuple[int, str, str, bool, int], int | None] = {}
        for number, (before, after) in enumerate(itertools.pairwise(orders)):
            for old, new, above, prepaid in itertools.product(before.schedules, after.schedules, (False, True), (0, 1)):
                change = first_change_wh(old, new, above_load=above, prepaid=prepaid == 1)
                self.changes[number + 1, old.name, new.name, above, prepaid] = change

    def price(self, bill: Bill) -> list[list[int]]:
        """The lines of each part, in paise."""
        return [_rate(bill, part) for part in self._parts(bill)]

    def _parts(self, bill: Bill) -> list[Part]:
        if not bill.prepaid:
            length = bill.end - bill.start
            months = max(1, (length + self.per_days // 2) // self.per_days)
            return self._stretch(bill, bill.start, bill.end, months)
        parts: list[Part] = []
        start = bill.start
        while start < bill.end:
            end = min(bill.end, first_day(month_of(start) + 1))
            parts += self._stretch(bill, start, end, 1)
            start = end
        return parts

    def _stretch(self, bill: Bill, start: int, end: int, months: int) -> list[Part]:
        """One calendar month or one post-paid period, cut where a change of order matters."""
        whole_wh = _upto(bill, end) - _upto(bill, start)
        edges = [start]
        for number, day in enumerate(self.first_days):
            if number and start < day < end:
                old, new = (self._choose(n, bill, whole_wh, months).schedule.name for n in (number - 1, number))
                change = self.changes[number, old, new, bill.demand_w > bill.load_w, bill.prepaid]
                if change is not None and whole_wh > change * months:
                    edges.append(day)
        edges.append(end)
        return [self._part(bill, a, b, start, end, whole_wh, months) for a, b in itertools.pairwise(edges)]

    def _part(self, bill: Bill, a: int, b: int, start: int, end: int, whole_wh: int, months: int) -> Part:
        order = 0
        while order + 1 < len(self.first_days) and self.first_days[order + 1] < b:
            order += 1
        rates = self._choose(order, bill, whole_wh, months)
        energy = whole_wh if (a, b) == (start, end) else _upto(bill, b) - _upto(bill, a)
        num, den = (b - a, days_of(month_of(a))) if bill.prepaid else (months * (b - a), end - start)
        return Part(order, rates, a, b, energy, months, num, den, a - start, b - start, end - start)

    def _choose(self, order: int, bill: Bill, whole_wh: int, months: int) -> Rates:
        for rates in self.rates[order][bill.category, bill.area]:
            if rates.load_up_to is not None and bill.load_w > rates.load_up_to:
                continue
            if rates.load_above is not None and bill.load_w <= rates.load_above:
                continue
            if rates.month_wh is not None and whole_wh > rates.month_wh * months:
                continue
            return rates
        raise LookupError(bill)


def _upto(bill: Bill, day: int) -> int:
    length = bill.end - bill.start
    return ((day - bill.start) * bill.energy_wh + length // 2) // length


def _rate(bill: Bill, part: Part) -> list[int]:
    rates = part.rates
    recorded = min(bill.demand_w, bill.load_w)
    billable = max(bill.load_w * rates.floor, recorded * 100)
    num, den = part.fixed_num, part.fixed_den
    divisor = den * 10_000_000
    fixed = (billable * rates.fixed * num + divisor // 2) // divisor
    excess = 0
    if bill.demand_w > bill.load_w:
        divisor = den * 100_000
        excess = ((bill.demand_w - bill.load_w) * rates.fixed * rates.times * num + divisor // 2) // divisor
    energy = (_in_slabs(part, rates.slabs) + 50_000) // 100_000
    subsidy = (_in_slabs(part, rates.subsidies) + 50_000) // 100_000 if rates.subsidies else 0
    top_up = 0
    if rates.summer:
        length = part.end - part.start
        summer = summer_days(part.start, part.end)
        rate_days = summer * rates.summer + (length - summer) * rates.winter
        divisor = length * den * 100_000
        wanted = (bill.load_w * rate_days * num + divisor // 2) // divisor
        top_up = max(0, wanted - fixed - excess - energy)
    base = fixed + excess + energy + top_up - subsidy
    fppas = 0
    month = month_of(bill.bill_day)
    if month >= rates.published.none_before:
        fppas = _half_up(base * rates.published.figures[month][0], 10_000)
    base += fppas
    duty = _half_up(base * rates.duty, 10_000)
    rebate = _half_up(base * rates.rebate, 10_000) if bill.prepaid else 0
    return [fixed, excess, energy, -subsidy, top_up, fppas, duty, -rebate]


def _in_slabs(part: Part, slabs: list[tuple[int | None, int]]) -> int:
    total, below, energy = 0, 0, part.energy_wh
    whole = part.slab_to - part.slab_from == part.slab_of
    for up_to, rate in slabs:
        if up_to is None:
            return total + (energy - below) * rate
        limit = up_to * part.months
        if not whole:
            limit = _half_up(limit * part.slab_to, part.slab_of) - _half_up(limit * part.slab_from, part.slab_of)
        upto = max(below, min(energy, limit))
        total += (upto - below) * rate
        below = upto
    return total


def _half_up(value: int, by: int) -> int:
    return -((by // 2 - value) // by) if value < 0 else (value + by // 2) // by


def _rates(schedule: Schedule) -> Rates:
    conditions = {(what, condition.word): condition.limit for what, condition in schedule.match.conditions}
    lines = {type(line): line for line in schedule.lines if not isinstance(line, PercentOf)}
    percents = [line.rate for line in schedule.lines if isinstance(line, PercentOf)]
    fixed, excess, energy = lines[PerLoad], lines[ExcessDemand], lines[SlabsTelescopic]
    subsidy, minimum, rebate = lines.get(SlabSubsidy), lines.get(Minimum), lines[PercentageRebate]
    assert isinstance(fixed, PerLoad) and isinstance(excess, ExcessDemand) and isinstance(energy, SlabsTelescopic)
    assert isinstance(rebate, PercentageRebate)
    seasons = {r.season.start[0]: r.rate_e4 for r in minimum.rates} if isinstance(minimum, Minimum) else {}
    return Rates(
        load_up_to=conditions.get(("load", "up to")),
        load_above=conditions.get(("load", "above")),
        month_wh=conditions.get(("energy", "up to")),
        schedule=schedule,
        floor=fixed.floor_percent,
        fixed=fixed.rate_e4,
        times=excess.times,
        slabs=[(slab.up_to_wh, slab.rate_e4) for slab in energy.slabs],
        subsidies=[(slab.up_to_wh, slab.rate_e4) for slab in subsidy.slabs] if isinstance(subsidy, SlabSubsidy) else [],
        summer=seasons.get(4, 0),
        winter=seasons.get(10, 0),
        published=next(rate for rate in percents if isinstance(rate, Published)),
        duty=next(rate for rate in percents if isinstance(rate, int)),
        rebate=rebate.rate_e4,
    )
