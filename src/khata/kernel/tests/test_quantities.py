"""Scaled integers: rounding, head-room, and no floats."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.kernel.bills import price
from khata.kernel.quantities import HeadRoomError, assert_head_room, distinct, half_up, int64, largest
from khata.kernel.tests.oracle import Case
from khata.kernel.tests.orders import repository_orders, segments_of
from khata.kernel.tests.test_changes_of_order import june


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=20), st.integers(1, 10**9))
def test_half_up_is_exact_and_away_from_zero(values: list[int], by: int) -> None:
    def exact(value: int) -> int:
        rounded = int(Fraction(abs(value), by) + Fraction(1, 2))
        return -rounded if value < 0 else rounded

    assert half_up(np.array(values), by).tolist() == [exact(value) for value in values]
    assert half_up(np.array(values), np.full(len(values), by)).tolist() == [exact(value) for value in values]


@pytest.mark.parametrize(
    "values", [[1.0], np.array([1.0]), np.array([1], np.float32), [True], ["1"], np.array([1], object), [1, 2.5]]
)
def test_what_is_no_integer_is_refused(values: object) -> None:
    with pytest.raises(TypeError, match=r"energy: a scaled integer is wanted, not "):
        int64("energy", values)  # type: ignore[arg-type]


def test_a_float_column_stops_at_the_door() -> None:
    with pytest.raises(TypeError, match="energy_wh"):
        segments_of([june(1)]).having({"energy_wh": np.array([1.5])})


def test_shapes_and_sizes() -> None:
    with pytest.raises(TypeError, match="one value a row"):
        int64("load", [[1]])
    with pytest.raises(HeadRoomError, match="load"):
        int64("load", [2**63])
    assert int64("nothing", []).dtype == np.int64
    assert int64("small", np.array([1], np.uint8)).tolist() == [1]


@given(st.lists(st.integers(-500, 500), max_size=30))
def test_distinct_and_largest(values: list[int]) -> None:
    assert distinct(np.array(values, np.int64)) == sorted(set(values))
    assert largest(np.array(values, np.int64)) == max((abs(value) for value in values), default=0)


def test_head_room() -> None:
    assert_head_room("a", 2**31, 2**30)
    with pytest.raises(HeadRoomError, match="a: up to"):
        assert_head_room("a", 2**31, 2**31)


@pytest.mark.parametrize(
    ("load_w", "demand_w", "energy_wh"), [(1000, 0, 2**62), (2**60, 0, 1), (1000, 2**60, 1), (10**12, 10**12, 10**15)]
)
def test_a_bill_too_large_is_an_error_and_not_a_wrong_amount(load_w: int, demand_w: int, energy_wh: int) -> None:
    one = june(0)
    case = Case("LMV-2", "urban", True, one.start, one.end, load_w, demand_w, energy_wh, one.bill_date)
    with pytest.raises(HeadRoomError):
        price(repository_orders(), segments_of([case]), metered=False)


def test_sharing_out_by_days_has_head_room_too() -> None:
    one = june(2**58)
    case = Case("LMV-1", "rural", True, one.start.replace(month=4), one.end, 1000, 0, 2**58, one.bill_date)
    with pytest.raises(HeadRoomError, match="shared out by days"):
        price(repository_orders(), segments_of([case]), metered=False)


def test_ten_crore_units_at_thirty_rupees_fit() -> None:
    one = june(10**11)
    priced = price(repository_orders(), segments_of([one]), metered=False)
    assert priced.refusal.tolist() == [0]
