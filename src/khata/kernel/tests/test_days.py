"""Days as numbers, half-open periods, seasons."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.kernel.days import (
    Period,
    Season,
    date_of,
    day_number,
    days_year_before,
    first_days,
    month_number,
    month_start,
    months_of,
    season_days,
    whole_months,
    year_before,
)

DATES = st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1))


@given(st.lists(DATES, max_size=20))
def test_months_of_days(days: list[dt.date]) -> None:
    numbers = np.array([day_number(day) for day in days], np.int64)
    assert months_of(numbers).tolist() == [month_number(day) for day in days]
    assert [month_start(month) for month in months_of(numbers).tolist()] == [day.replace(day=1) for day in days]
    assert [date_of(day) for day in first_days(months_of(numbers)).tolist()] == [day.replace(day=1) for day in days]


@given(DATES, st.integers(1, 800), st.sampled_from([((4, 1), (10, 1)), ((10, 1), (4, 1)), ((12, 1), (1, 1))]))
def test_days_in_a_season(start: dt.date, length: int, edges: tuple[tuple[int, int], tuple[int, int]]) -> None:
    season = Season(*edges)
    begin = day_number(start)
    counted = sum(season.covers(start + dt.timedelta(n)) for n in range(length))
    assert season_days(season, np.array([begin]), np.array([begin + length])).tolist() == [counted]


def test_a_period_is_half_open_and_ends_after_it_starts() -> None:
    may = Period(dt.date(2024, 5, 1), dt.date(2024, 6, 1))
    assert may.days == 31 and str(may) == "2024-05-01..2024-06-01"
    assert dt.date(2024, 5, 31) in may and dt.date(2024, 6, 1) not in may
    for end in (may.start, may.start - dt.timedelta(1)):
        with pytest.raises(ValueError, match="ends after it starts"):
            Period(may.start, end)


def test_beside_a_leap_day_no_day_of_the_year_before_is_lost() -> None:
    day = dt.date.fromisoformat
    assert year_before(day("2024-02-29")) == year_before(day("2024-02-28")) == day("2023-02-28")
    assert year_before(day("2025-02-28")) == day("2024-02-28")
    # Today is 29 February: yesterday's 28th must be among the days a year before. And the other way round.
    assert days_year_before(day("2024-01-30"), day("2024-02-29")) == (day("2023-01-30"), day("2023-03-01"))
    assert days_year_before(day("2025-01-30"), day("2025-03-01")) == (day("2024-01-30"), day("2024-02-29"))


@given(DATES, st.integers(min_value=1, max_value=60))
def test_the_days_a_year_before_hold_that_of_each_day_and_no_more(start: dt.date, length: int) -> None:
    days = [start + dt.timedelta(days=each) for each in range(length)]
    first, after = days_year_before(start, start + dt.timedelta(days=length))
    assert {year_before(each) for each in days} <= {first + dt.timedelta(days=each) for each in range(length + 1)}
    assert (year_before(days[0]), year_before(days[-1])) == (first, after - dt.timedelta(days=1))


@pytest.mark.parametrize(("days", "months"), [(1, 1), (31, 1), (44, 1), (45, 2), (59, 2), (62, 2), (92, 3)])
def test_a_bill_is_for_the_nearest_number_of_months(days: int, months: int) -> None:
    start = dt.date(2024, 3, 28)
    assert whole_months(start, start + dt.timedelta(days=days)) == months
