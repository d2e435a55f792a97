"""A change of order inside a bill, with an invented regulator whose next order begins on 16 June 2025."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.kernel.bills import NO_ORDER, Segments, cuts, price, split_by_days
from khata.kernel.days import day_number
from khata.kernel.order import Order
from khata.kernel.reader import read_order
from khata.kernel.tests.oracle import Case
from khata.kernel.tests.orders import invented, price_all, segments_of, successor

FIRST = read_order(invented(), ())
CHANGE = dt.date(2025, 6, 16)


def june(energy_wh: int, *, demand_w: int = 1000, prepaid: bool = False) -> Case:
    """30 days of June: 15 before the change and 15 after."""
    return Case(
        "LMV-1",
        "urban",
        prepaid,
        dt.date(2025, 6, 1),
        dt.date(2025, 7, 1),
        2000,
        demand_w,
        energy_wh,
        dt.date(2025, 7, 5),
    )


def cut(case: Case, after: Order) -> list[tuple[int, int]]:
    return cuts((FIRST, after), segments_of([case]))


def test_a_bill_is_split_where_a_rate_it_uses_changes() -> None:
    after = successor(("rate: 100.00 INR/kW/month", "rate: 120.00 INR/kW/month"))
    assert cut(june(200_000), after) == [(0, day_number(CHANGE))]
    answer = price_all([june(200_000)], (FIRST, after))[0]
    # 1.5 kW x 100.00 x 15/30 and x 120.00 x 15/30; slabs of 50 units each half: 50 x 4.00 + 50 x 6.00, twice
    assert (answer["fixed"], answer["energy"]) == (7500 + 9000, 50_000 + 50_000)
    assert answer["duty"] == 5175 + 5310  # 9 % of 575.00 and of 590.00


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [('"Case 41 of 2024"', '"Case 17 of 2025"'), ('ref: "row 6"', 'ref: "p. 9, row 6"')],
        [("2 × fixed", "3 × fixed")],  # nothing above the load
        [("rate: 2.00 %", "rate: 3.00 %")],  # a rebate of prepaid bills
        [("rate: 8.00 INR/kWh", "rate: 9.00 INR/kWh")],  # a slab that is not reached
        [("up_to: 300 kWh", "up_to: 400 kWh"), ("Up to 300", "Up to 400"), ("Above 300", "Above 400")],
    ],
)
def test_a_change_that_alters_no_line_used_does_not_split(changes: list[tuple[str, str]]) -> None:
    after = successor(*changes)
    assert cut(june(300_000), after) == []
    assert price_all([june(300_000)], (FIRST, after)) == price_all([june(300_000)], (FIRST,))


def test_the_slab_that_changed_splits_from_the_first_watt_hour_in_it() -> None:
    after = successor(("rate: 8.00 INR/kWh", "rate: 9.00 INR/kWh"))
    assert cut(june(300_000), after) == []
    assert cut(june(300_001), after) == [(0, day_number(CHANGE))]


def test_excess_and_rebate_split_whom_they_touch() -> None:
    excess = successor(("2 × fixed", "3 × fixed"))
    assert cut(june(1, demand_w=2000), excess) == []
    assert cut(june(1, demand_w=2001), excess) == [(0, day_number(CHANGE))]
    rebate = successor(("rate: 2.00 %", "rate: 3.00 %"))
    assert cut(june(1), rebate) == []
    assert cut(june(1, prepaid=True), rebate) == [(0, day_number(CHANGE))]


def test_a_prepaid_month_looks_at_its_own_energy_only() -> None:
    """60 units over May and June are 30 a month: the slab above 30 is reached by the bill, but by no month."""
    after = successor(("rate: 8.00 INR/kWh", "rate: 9.00 INR/kWh"))
    may_and_june = Case(
        "LMV-1", "urban", True, dt.date(2025, 5, 2), dt.date(2025, 7, 1), 2000, 0, 600_000, dt.date(2025, 7, 1)
    )
    assert cut(may_and_june, after) == [(0, day_number(dt.date(2025, 6, 1)))]


def test_a_later_order_with_other_months_does_not_move_the_bills_before_it() -> None:
    after = successor(("per: 30", "per: 15"))
    may = Case("LMV-1", "urban", False, dt.date(2025, 5, 1), dt.date(2025, 6, 1), 2000, 0, 50_000, dt.date(2025, 6, 5))
    assert price_all([may], (FIRST, after)) == price_all([may], (FIRST,))


def test_days_before_the_first_order_are_refused() -> None:
    early = Case(
        "LMV-1", "urban", False, dt.date(2025, 3, 31), dt.date(2025, 4, 30), 2000, 0, 50_000, dt.date(2025, 5, 5)
    )
    priced = price((FIRST,), segments_of([early]), metered=False)
    assert priced.refusal.tolist() == [NO_ORDER]
    assert priced.why(0, (FIRST,)) == "no tariff order of the company was in force on 2025-03-31"
    assert price((), segments_of([early]), metered=False).refusal.tolist() == [NO_ORDER]


@settings(max_examples=200)
@given(
    energy_wh=st.integers(0, 10**12),
    length=st.integers(2, 400),
    inside=st.lists(st.integers(1, 399), max_size=8, unique=True),
)
def test_parts_add_up_exactly(energy_wh: int, length: int, inside: list[int]) -> None:
    start = dt.date(2025, 1, 1)
    case = Case("LMV-1", "urban", False, start, start + dt.timedelta(length), 1000, 0, energy_wh, start)
    whole = segments_of([case])
    at = [(0, int(whole.start[0]) + day) for day in sorted(inside) if day < length]
    pieces = split_by_days(whole, at)
    assert len(pieces) == len(at) + 1
    assert pieces.energy_wh.sum() == energy_wh and pieces.energy_wh.min() >= 0
    assert pieces.start[0] == whole.start[0] and pieces.end[-1] == whole.end[0]
    assert (pieces.start[1:] == pieces.end[:-1]).all()


def test_cuts_of_many_rows_keep_to_their_rows() -> None:
    crowd = [june(100_000), june(310_000), june(0), june(999_999)]
    whole = segments_of(crowd)
    day = day_number(CHANGE)
    pieces = split_by_days(whole, [(1, day - 3), (1, day), (3, day)])
    assert pieces.bill.tolist() == [0, 1, 1, 1, 2, 3, 3]
    assert np.bincount(pieces.bill, weights=pieces.energy_wh).tolist() == [100_000, 310_000, 0, 999_999]


def test_metered_segments_are_rated_as_they_come() -> None:
    """Energy metered on the day of the change: 20 units before it and 180 after, not 100 and 100."""
    after = successor(("rate: 4.00 INR/kWh", "rate: 5.00 INR/kWh"))
    case, day = june(200_000), day_number(CHANGE)
    halves = segments_of(
        [case, case], bill=[0, 0], start=[day - 15, day], end=[day, day + 15], energy_wh=[20_000, 180_000]
    )
    priced = price((FIRST, after), halves, metered=True)
    energy = [group.rated.lines[at, 2] for group in priced.groups for at in range(len(group.rows))]
    assert energy == [8000, 50 * 500 + 100 * 600 + 30 * 800]


def test_segments_say_what_is_wrong_with_them() -> None:
    good = segments_of([june(1)])
    for column, bad in [("load_w", 0), ("energy_wh", -1), ("demand_w", -1), ("end", int(good.start[0]))]:
        with pytest.raises(ValueError, match="segment 0: load and days above 0"):
            good.having({column: np.array([bad])})
    with pytest.raises(ValueError, match="follow each other"):
        segments_of([june(1), june(1)], bill=[1, 0])
    assert isinstance(good, Segments) and len(good) == 1
