"""What a month will come to, and how long a balance will last; the method and its measured errors are in
docs/algorithms/forecast.md."""

from dataclasses import dataclass

import numpy as np

from khata.kernel.days import date_of, day_number, year_before
from khata.kernel.quantities import Int64

RECENT = 14  # known days that say what a day uses: two of each weekday, so that weekdays need no weights
TRIMMED = 7  # of so many days, one is left out at each end
ODD = 8  # the cheapest and the dearest day of so many do not bound a runway
FEWEST = 7  # known days, below which nothing is said
OLDEST = 60  # days: what was used before says nothing about now
HISTORY = 500  # days over which past forecasts are tried: a year, and this season of the year before
FEWEST_ERRORS = 14
# Of 100 past errors so many lie below the range and as many above it, before it is widened.
TAIL = 10
WIDER = 130  # percent: errors of overlapping past spans understate how far the next one can go
SEASON_DAYS = 10  # known days of last year's spans, below which they give no hint
SEASON_MOST = 2  # at most twice, at least half


@dataclass(frozen=True)
class Forecast:
    """A whole month's energy in Wh: what is known of it and what is still to come; known days count in all three."""

    low_wh: int
    likely_wh: int
    high_wh: int


@dataclass(frozen=True)
class Runway:
    """For how many whole days a balance lasts; None: longer than anybody can say (nothing is used)."""

    low_days: int | None
    likely_days: int | None
    high_days: int | None


def month_forecast(day: Int64, wh: Int64, *, month_first: int, month_end: int, today: int) -> Forecast | None:
    """The month [month_first, month_end) from the known days `day` (day numbers, any order) with their `wh`.

    Days from `today` on are not looked at; those of the month without a value count as still to come. None where fewer
    than 7 days of the last 60 are known. ValueError for a month that does not end after it begins, or a day twice.
    """
    today = min(today, month_end)
    day, wh = _in_order(day, wh, month_first, month_end, today)
    in_month = day >= month_first
    known_wh, ahead = int(wh[in_month].sum()), month_end - month_first - int(in_month.sum())
    recent = wh[day >= today - OLDEST][-RECENT:]
    if ahead == 0:
        return Forecast(known_wh, known_wh, known_wh)
    if recent.size < FEWEST:
        return None
    total, days = _middle(recent)
    over, under = _season(day, wh, today, month_end)
    likely = _nearest(ahead * total * over, days * under)
    low, high = _past_errors(wh[day >= today - HISTORY], ahead)
    low, high = (_nearest(error * over, under) for error in (low, high))
    return Forecast(
        known_wh + min(likely, max(0, likely + low)), known_wh + likely, known_wh + max(likely, likely + high)
    )


def runway(balance_paise: int, daily_paise: Int64) -> Runway | None:
    """For how many whole days a balance lasts at the cost of the last known days, in order; days still ahead vary as
    those did. None where fewer than 7 are known; a balance of 0 or less lasts 0 days.
    """
    recent = np.asarray(daily_paise, np.int64)[-RECENT:]
    if recent.size < FEWEST:
        return None
    total, days = _middle(recent)
    ordered = np.sort(recent)
    odd = recent.size // ODD
    cheap, dear = int(ordered[odd]), int(ordered[recent.size - 1 - odd])
    likely = _lasts(balance_paise, total, days)
    shortest = min((n for n in (_lasts(balance_paise, dear, 1), likely) if n is not None), default=None)
    longest = _lasts(balance_paise, cheap, 1)
    return Runway(shortest, likely, None if likely is None or longest is None else max(longest, likely))


def _in_order(day: Int64, wh: Int64, month_first: int, month_end: int, today: int) -> tuple[Int64, Int64]:
    if month_end <= month_first:
        raise ValueError(f"a month ends after it begins; {date_of(month_first)} to {date_of(month_end)} does not")
    order = np.argsort(day, kind="stable")
    day, wh = day[order], wh[order]
    if np.any(day[1:] == day[:-1]):
        twice = date_of(int(day[1:][day[1:] == day[:-1]][0]))
        raise ValueError(f"a day has one use; {twice} is there twice: pass the newest revision of each day alone")
    known = day < today
    return day[known], wh[known]


def _middle(recent: Int64) -> tuple[int, int]:
    """Sum and number of what is left of the days when the highest and the lowest are left out."""
    left_out = recent.size // TRIMMED
    kept = np.sort(recent)[left_out : recent.size - left_out]
    return int(kept.sum()), int(kept.size)


def _season(day: Int64, wh: Int64, today: int, month_end: int) -> tuple[int, int]:
    """Half the way from what was used last year before this day to what was used after it, as a fraction."""
    now, end = (day_number(year_before(date_of(at))) for at in (today, month_end))
    before = wh[(day >= now - RECENT) & (day < now)]
    after = wh[(day >= now) & (day < max(end, now + SEASON_DAYS))]
    if min(before.size, after.size) < SEASON_DAYS or int(before.sum()) <= 0:
        return 1, 1
    was, became = int(before.sum()) * int(after.size), int(after.sum()) * int(before.size)
    became = min(max(became, was // SEASON_MOST), was * SEASON_MOST)
    return was + became, 2 * was


def _past_errors(wh: Int64, ahead: int) -> tuple[int, int]:
    """By how many Wh a plain average would have missed as many days as now lie ahead: low below 0, high above it."""
    ahead_then = min(ahead, int(wh.size) - FEWEST - FEWEST_ERRORS)
    if ahead_then < 1:
        total, days = _middle(wh)
        errors, per = (wh * days - total) * ahead, days
    else:
        window = min(RECENT, int(wh.size) - ahead_then - FEWEST_ERRORS)
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(wh)])
        at = np.arange(window, wh.size - ahead_then + 1)
        errors = (sums[at + ahead_then] - sums[at]) * window - ahead_then * (sums[at] - sums[at - window])
        errors, per = errors * ahead, window * ahead_then
    errors = np.sort(errors)
    tail = errors.size * TAIL // 100
    low, high = int(errors[tail]), int(errors[errors.size - 1 - tail])
    return min(0, _nearest(low * WIDER, per * 100)), max(0, _nearest(high * WIDER, per * 100))


def _lasts(balance_paise: int, cost_paise: int, days: int) -> int | None:
    """Whole days that cost `cost_paise` per `days`; None where they cost nothing."""
    if balance_paise <= 0:
        return 0
    return None if cost_paise <= 0 else balance_paise * days // cost_paise


def _nearest(value: int, per: int) -> int:
    """value / per, halves up."""
    return (2 * value + per) // (2 * per)
