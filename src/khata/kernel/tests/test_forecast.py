"""Forecast and runway: exact for constant use, honest about how far they can miss."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.kernel.days import day_number
from khata.kernel.forecast import FEWEST, Forecast, Runway, month_forecast, runway
from khata.kernel.quantities import Int64

JUNE, JULY = day_number(dt.date(2026, 6, 1)), day_number(dt.date(2026, 7, 1))

uses = st.integers(min_value=0, max_value=10**9)
costs = st.lists(st.integers(min_value=0, max_value=10**6), min_size=FEWEST, max_size=60)


def numbers(values: object) -> Int64:
    return np.array(values, np.int64)


def before(today: int, used: list[int]) -> tuple[Int64, Int64]:
    """The days just before `today`, the newest last."""
    return np.arange(today - len(used), today), numbers(used)


def forecast(days: tuple[Int64, Int64], today: int) -> Forecast | None:
    return month_forecast(*days, month_first=JUNE, month_end=JULY, today=today)


@given(use=uses, known=st.integers(FEWEST, 800), of_month=st.integers(0, 40))
def test_constant_use_is_forecast_exactly_with_no_range_however_long_it_is_known(
    use: int, known: int, of_month: int
) -> None:
    if of_month - known > FEWEST:
        return
    today = JUNE + of_month
    assert forecast(before(today, [use] * max(known, min(of_month, 30))), today) == Forecast(
        30 * use, 30 * use, 30 * use
    )


@given(st.lists(uses, min_size=FEWEST, max_size=70), st.integers(0, 30))
def test_the_range_holds_the_likely_and_never_less_than_what_is_known(used: list[int], of_month: int) -> None:
    days = before(JUNE + of_month, used)
    said = forecast(days, JUNE + of_month)
    known = int(days[1][(days[0] >= JUNE) & (days[0] < JULY)].sum())
    assert said is not None and known <= said.low_wh <= said.likely_wh <= said.high_wh


@given(st.lists(uses, min_size=30, max_size=50), st.randoms(use_true_random=False))
def test_the_order_of_the_days_does_not_matter_nor_what_lies_ahead(used: list[int], random: object) -> None:
    today = JUNE + 12
    day, wh = before(today, used)
    order = list(range(day.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    said = forecast((day, wh), today)
    assert forecast((day[order], wh[order]), today) == said
    ahead = np.append(day, numbers([today, today + 3])), np.append(wh, numbers([10**9, 7]))
    assert forecast(ahead, today) == said


@given(st.lists(uses, min_size=30, max_size=30))
def test_a_month_that_is_over_is_what_it_was(used: list[int]) -> None:
    total = sum(used)
    assert forecast(before(JULY, used), JULY + 5) == Forecast(total, total, total)


def test_one_wild_day_does_not_stretch_into_the_rest_of_the_month() -> None:
    said = forecast(before(JUNE + 10, [10_000] * 25 + [90_000] + [10_000] * 4), JUNE + 10)
    assert said is not None and said.likely_wh == 10_000 * 29 + 90_000


def test_a_missing_day_of_the_month_is_still_to_come() -> None:
    day, wh = before(JUNE + 10, [10_000] * 30)
    kept = day != JUNE + 4
    assert forecast((day[kept], wh[kept]), JUNE + 10) == Forecast(300_000, 300_000, 300_000)


def test_last_year_pulls_half_way_and_at_most_so_far() -> None:
    today, year = JUNE + 1, day_number(dt.date(2025, 6, 2))
    for after, likely in ((6_000, 12_500), (8_000, 15_000), (40_000, 15_000), (0, 7_500), (4_000, 10_000)):
        last = np.arange(year - 14, year + 30), numbers([4_000] * 14 + [after] * 30)
        now = before(today, [10_000] * 14)
        said = forecast((np.append(last[0], now[0]), np.append(last[1], now[1])), today)
        assert said is not None and said.likely_wh == 10_000 + 29 * likely


def test_the_more_use_varied_the_wider_the_range() -> None:
    calm, wild = ([10_000 + step * (1 if i // 20 % 2 else -1) for i in range(200)] for step in (500, 5_000))
    widths = []
    for used in (calm, wild):
        said = forecast(before(JUNE, used), JUNE)
        assert said is not None
        widths.append(said.high_wh - said.low_wh)
    assert 0 < 5 * widths[0] < widths[1]


@pytest.mark.parametrize("known", [0, 1, FEWEST - 1])
def test_too_few_days_say_nothing(known: int) -> None:
    assert forecast(before(JUNE, [1000] * known), JUNE) is None
    assert forecast(before(JUNE - 61, [1000] * 300), JUNE) is None
    assert runway(10_000, numbers([100] * known)) is None


def test_a_day_twice_and_a_month_backwards_are_refused() -> None:
    with pytest.raises(ValueError, match="2026-05-30 is there twice"):
        forecast((numbers([JUNE - 2, JUNE - 2]), numbers([1, 2])), JUNE)
    with pytest.raises(ValueError, match="ends after it begins"):
        month_forecast(numbers([]), numbers([]), month_first=JULY, month_end=JUNE, today=JUNE)


def test_a_balance_over_constant_costs_lasts_exactly() -> None:
    assert runway(10_000, numbers([3_000] * 20)) == Runway(3, 3, 3)
    assert runway(9_000, numbers([3_000] * 20)) == Runway(3, 3, 3)
    assert runway(8_999, numbers([3_000] * 20)) == Runway(2, 2, 2)


def test_nothing_left_lasts_0_days_and_nothing_used_lasts_nobody_knows() -> None:
    assert runway(0, numbers([3_000] * 20)) == runway(-500, numbers([3_000] * 20)) == Runway(0, 0, 0)
    assert runway(10_000, numbers([0] * 20)) == Runway(None, None, None)


@given(costs, st.integers(-(10**6), 10**9), st.integers(0, 10**9))
def test_a_larger_balance_never_lasts_shorter(daily: list[int], balance: int, more: int) -> None:
    less, greater = runway(balance, numbers(daily)), runway(balance + more, numbers(daily))
    assert less is not None and greater is not None

    def at_most(a: int | None, b: int | None) -> bool:
        return b is None or (a is not None and a <= b)

    assert at_most(less.low_days, greater.low_days)
    assert at_most(less.likely_days, greater.likely_days) and at_most(less.high_days, greater.high_days)
    assert at_most(less.low_days, less.likely_days) and at_most(less.likely_days, less.high_days)
