"""What a connection used, gathered for its pages: its days, its months, its demand, and how old all that is."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from khata.billing.queries import MonthBilled
from khata.consumers.models import Connection, Terms
from khata.display.chart_words import DayBar, Quality
from khata.display.curve_words import BLOCKS, LoadDay, load_day
from khata.display.trend_words import DemandMonth, Span, TrendMonth
from khata.kernel.days import day_number, month_number, month_start, year_before
from khata.kernel.forecast import month_forecast
from khata.metering.models import Installation, Origin
from khata.metering.queries import SeenDay, SeenHalfHours, days_of

INDIA = ZoneInfo("Asia/Kolkata")
LATE_DAYS = 2  # older than that is called late
RECENT_DAYS = 31  # back to here a day that came shows that a smart meter hangs there

Days = Mapping[dt.date, SeenDay]


def month_end(day: dt.date) -> dt.date:
    """The first day of the month after."""
    return month_start(month_number(day) + 1)


def in_month(days: Days, month: dt.date) -> dict[dt.date, int | None]:
    """Wh of the days of a month that are stored."""
    end = month_end(month)
    return {day: seen.total_wh for day, seen in days.items() if month <= day < end}


# -- how old -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fresh:
    """The last day of which the meter told something, when that came in (None where it is not told), and how many days
    back it lies."""

    day: dt.date
    came: dt.datetime | None
    back: int

    @property
    def late(self) -> bool:
        return self.back > LATE_DAYS


def last_known(days: Days, today: dt.date) -> dt.date | None:
    """The last day before today with a known total, which may be estimated."""
    return max((day for day, seen in days.items() if day < today and seen.total_wh is not None), default=None)


def last_told(days: Days, today: dt.date) -> dt.date | None:
    """The last day before today of which the meter itself told something: of one that is all estimated it did not."""
    told = (day for day, seen in days.items() if day < today and seen.total_wh is not None and _told(seen))
    return max(told, default=None)


def _told(seen: SeenDay) -> bool:
    return seen.origin != Origin.ESTIMATED or seen.known > 0


@dataclass(frozen=True)
class Heard:
    """Whether a smart meter hangs there, the last day of which it told something (None: it never did), and, where the
    database was asked for it, since when it hangs there."""

    smart: bool
    last: dt.date | None
    since: dt.date | None = None


def heard(mine: Connection, days: Days, today: dt.date) -> Heard:
    """Days of the last weeks show a smart meter; where none came, its installation does, and all days since."""
    last = last_told(days, today)
    if last is not None and (today - last).days <= RECENT_DAYS:
        return Heard(True, last)
    hung = Installation.objects.filter(connection_id=mine.id, from_date__lte=today).order_by("-from_date", "-revision")
    since, smart = hung.values_list("from_date", "meter__smart").first() or (today, False)
    if not smart:
        return Heard(False, last)
    stored = {day.day: day for day in days_of(connection_id=mine.id, start=since, end=today)}
    return Heard(True, last_told(stored, today), since)


def fresh(day: dt.date, came: dt.datetime | None, *, now: dt.datetime) -> Fresh:
    """`came` is not told where it lies ahead of `now`, as in a drill on a day of the past."""
    return Fresh(day, came if came is not None and came <= now else None, (now.astimezone(INDIA).date() - day).days)


# -- days --------------------------------------------------------------------------------------------------------------


def quality(seen: SeenDay | None) -> Quality:
    return "estimated" if seen is not None and seen.origin in (Origin.ESTIMATED, Origin.SUBSTITUTED) else "measured"


def began(connected_on: dt.date, days: Collection[dt.date]) -> dt.date:
    """The first day that can be missing: a connection that was moved here may have told of days before that."""
    return min([connected_on, *days])


def bars(
    days: Days,
    *,
    end: dt.date,
    count: int,
    since: dt.date,
    paise: Mapping[dt.date, int] | None = None,
    off: Mapping[dt.date, int] | None = None,
) -> list[DayBar]:
    """The last days before `end`, each beside the same day a year before; `paise` for a chart in rupees.

    Days before `since` were not supplied, so nothing is missing of them. `off`: how many half-hours of each day had no
    supply.
    """
    shown = [end - dt.timedelta(days=back) for back in range(count, 0, -1)]
    return [_bar(day, days, (paise or {}).get(day), (off or {}).get(day, 0)) for day in shown if day >= since]


def _bar(day: dt.date, days: Days, paise: int | None, off: int) -> DayBar:
    seen, last_year = days.get(day), days.get(year_before(day))
    known = None if seen is None else seen.total_wh
    before = None if last_year is None else last_year.total_wh
    return DayBar(day, known, quality(seen), before, off, paise if known is not None else None)


def clock(half_hour: int) -> str:
    """`19:30`, of the border before half-hour `half_hour` (0 to 48)."""
    return f"{half_hour // 2:02d}:{half_hour % 2 * 30:02d}"


def half_hours(day: dt.date, seen: SeenHalfHours | None) -> LoadDay:
    """As the charts draw it; without a stored day 48 half-hours that nobody knows."""
    if seen is None:
        return LoadDay(day, (None,) * BLOCKS)
    estimated = quality(seen) == "estimated"
    return load_day(
        day,
        blocks_wh=seen.blocks_wh,
        estimated=estimated,
        substituted=seen.origin == Origin.SUBSTITUTED,
        origins=seen.origins,
        off=seen.off,
    )


def stretches(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Half-hours in a row as [start, end), in order."""
    found: list[tuple[int, int]] = []
    for at in sorted(positions):
        if found and found[-1][1] == at:
            found[-1] = (found[-1][0], at + 1)
        else:
            found.append((at, at + 1))
    return found


# -- months ------------------------------------------------------------------------------------------------------------


def forecast(days: Days, *, today: dt.date) -> Span | None:
    """What the running month will come to, in Wh, from all days given."""
    known = sorted((day, seen.total_wh) for day, seen in days.items() if seen.total_wh is not None)
    month = today.replace(day=1)
    found = month_forecast(
        np.array([day_number(day) for day, _ in known], np.int64),
        np.array([wh for _, wh in known], np.int64),
        month_first=day_number(month),
        month_end=day_number(month_end(month)),
        today=day_number(today),
    )
    return None if found is None else Span(found.low_wh, found.likely_wh, found.high_wh)


def trend(
    billed: Sequence[MonthBilled],
    days: Days,
    *,
    since: dt.date,
    today: dt.date,
    ahead: Span | None,
    paise: int | None,
    ahead_paise: Span | None,
) -> list[TrendMonth]:
    """Twelve months and the running one. A month that no bill names has the sum of its days, if all of them are known.

    `billed` reaches back as far as last year's months; `since` is the first day of supply; `paise` is what the running
    month cost so far.
    """
    known = {each.month: each for each in billed}
    first = month_number(today) - 12
    found = []
    for number in range(first, first + 12):
        month, before = month_start(number), known.get(month_start(number - 12))
        each = known.get(month)
        own = each is not None and each.energy_wh is not None and each.months == 1
        found.append(
            TrendMonth(
                month,
                each.energy_wh if each and own else whole_month_wh(days, month, since),
                last_year_wh=before.energy_wh if before and before.months == 1 else None,
                paise=each.paise if each and own else None,
                last_year_paise=before.paise if before and before.months == 1 else None,
                estimated=_some_estimated(days, month),
            )
        )
    running = today.replace(day=1)
    so_far = [wh for wh in in_month(days, running).values() if wh is not None]
    last_year = known.get(year_before(running))
    single = last_year if last_year and last_year.months == 1 else None
    found.append(
        TrendMonth(
            running,
            sum(so_far) if so_far else None,
            last_year_wh=single.energy_wh if single else None,
            paise=paise,
            last_year_paise=single.paise if single else None,
            forecast=ahead,
            forecast_paise=ahead_paise,
            estimated=_some_estimated(days, running),
            running=True,
        )
    )
    while len(found) > 1 and found[0].wh is None and found[0].last_year_wh is None:  # before anything is known
        found.pop(0)
    return found


def _some_estimated(days: Days, month: dt.date) -> bool:
    return any(quality(days.get(day)) == "estimated" for day in in_month(days, month))


def whole_month_wh(days: Days, month: dt.date, since: dt.date) -> int | None:
    """None where a day of it is not known; days before `since` were not supplied."""
    used = [wh for day, wh in in_month(days, month).items() if wh is not None and day >= since]
    return sum(used) if 0 < len(used) == (month_end(month) - max(month, since)).days else None


# -- demand ------------------------------------------------------------------------------------------------------------


def terms_at(rows: Sequence[Terms], day: dt.date) -> Terms | None:
    """Of a connection's terms, in the order of days and revisions, those of a day."""
    return next((row for row in reversed(rows) if row.from_date <= day), None)


def terms_of(mine: Connection, *, today: dt.date) -> list[Terms]:
    rows = Terms.objects.filter(connection_id=mine.id, from_date__lte=today)
    return list(rows.order_by("from_date", "revision"))


def demands(billed: Sequence[MonthBilled], days: Days, terms: Sequence[Terms], *, today: dt.date) -> list[DemandMonth]:
    """Twelve months and the running one: of the bill where there is one of ours, else of the days known."""
    known = {each.month: each for each in billed}
    first = month_number(today) - 12
    found = [_demand(month_start(number), known, days, terms, today) for number in range(first, first + 13)]
    while found and found[0].demand_w is None:
        found.pop(0)
    while found and found[-1].demand_w is None:  # not read yet
        found.pop()
    return found


def _demand(
    month: dt.date, billed: Mapping[dt.date, MonthBilled], days: Days, terms: Sequence[Terms], today: dt.date
) -> DemandMonth:
    each = billed.get(month)
    if each is not None and each.demand_w is not None:
        return DemandMonth(month, each.demand_w, each.load_w, each.excess_paise or None)
    end = month_end(month)
    seen = [day.demand_w for day in days.values() if month <= day.day < end and day.demand_w is not None]
    agreed = terms_at(terms, min(end - dt.timedelta(days=1), today))
    return DemandMonth(month, max(seen, default=None), agreed.load_w if agreed else None)
