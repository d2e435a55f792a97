"""Days and half-open periods as numbers: day 0 is 1970-01-01, month 0 is January 1970."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from khata.kernel.quantities import Int64

_EPOCH = dt.date(1970, 1, 1)


def day_number(day: dt.date) -> int:
    return (day - _EPOCH).days


def date_of(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=int(day))


def month_number(day: dt.date) -> int:
    return (day.year - 1970) * 12 + day.month - 1


def month_start(month: int) -> dt.date:
    return dt.date(1970 + month // 12, month % 12 + 1, 1)


def year_before(day: dt.date) -> dt.date:
    """The same day of the year before; of 29 February the 28th."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def days_year_before(start: dt.date, end: dt.date) -> tuple[dt.date, dt.date]:
    """The same days [start, end) a year before. The end goes by its last day, so that 28 February is not lost."""
    return year_before(start), year_before(end - dt.timedelta(days=1)) + dt.timedelta(days=1)


def whole_months(start: dt.date, end: dt.date) -> int:
    """The number of months of thirty days nearest to the days [start, end), at least one; to show, not to charge."""
    return max(1, (2 * (end - start).days + 30) // 60)


def months_of(days: Int64) -> Int64:
    """Month number of each day number."""
    return _by_table(days, lambda day: day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))


def first_days(months: Int64) -> Int64:
    """Day number on which each month begins."""
    return _by_table(months, lambda month: month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64))


def _by_table(values: Int64, convert: Callable[[Int64], Int64]) -> Int64:
    """Calendar arithmetic is dear; the days of a crowd of bills lie close together, so it is done once a day."""
    if not values.size:
        return values
    low, high = int(values.min()), int(values.max())
    if high - low > values.size + 400:
        return convert(values)
    return convert(np.arange(low, high + 1)).take(values - low)


@dataclass(frozen=True, order=True)
class Period:
    """Half-open days [start, end)."""

    start: dt.date
    end: dt.date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"a period ends after it starts; {self.start} to {self.end} does not")

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def __contains__(self, day: dt.date) -> bool:
        return self.start <= day < self.end

    def __str__(self) -> str:
        return f"{self.start}..{self.end}"


@dataclass(frozen=True)
class Season:
    """Days of every year from (month, day) to before (month, day); may cross the new year."""

    start: tuple[int, int]
    end: tuple[int, int]

    def covers(self, day: dt.date) -> bool:
        at = (day.month, day.day)
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


def season_days(season: Season, starts: Int64, ends: Int64) -> Int64:
    """How many days of each period [start, end) lie in the season."""
    if not starts.size:
        return np.zeros(0, np.int64)
    low, high = int(starts.min()), int(ends.max())
    days = np.arange(low, high)
    months = months_of(days)
    at = (months % 12 + 1) * 100 + days - first_days(months) + 1
    first, after = (month * 100 + day for month, day in (season.start, season.end))
    inside = (at >= first) & (at < after) if first < after else (at >= first) | (at < after)
    upto = np.concatenate([np.zeros(1, np.int64), np.cumsum(inside)])
    return np.asarray(upto.take(ends - low) - upto.take(starts - low), np.int64)
