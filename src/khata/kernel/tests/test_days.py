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
    first_days,
    month_number,
    month_start,
    months_of,
    season_days,
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
