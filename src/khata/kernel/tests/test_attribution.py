"""The contributions of changes to a difference: laws of the average over all orders, and examples worked by hand."""

from collections.abc import Callable
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.kernel.attribution import MOST_FACTORS, attribute

_PAISE = st.integers(-(10**12), 10**12)


def _of(factors: st.SearchStrategy[int]) -> st.SearchStrategy[list[int]]:
    return factors.flatmap(lambda many: st.lists(_PAISE, min_size=2**many, max_size=2**many))


_VALUES = _of(st.integers(1, 5))


def _shares(values: list[int]) -> list[int]:
    return list(attribute(np.array(values, np.int64)).tolist())


def _averages(values: list[int]) -> list[Fraction]:
    """Every order walked one by one."""
    factors = len(values).bit_length() - 1
    total, orders = [0] * factors, list(permutations(range(factors)))
    for order in orders:
        at = 0
        for factor in order:
            total[factor] += values[at | 1 << factor] - values[at]
            at |= 1 << factor
    return [Fraction(each, len(orders)) for each in total]


@given(_VALUES)
def test_the_shares_add_up_and_are_the_averages_to_less_than_a_paisa(values: list[int]) -> None:
    shares = _shares(values)
    assert sum(shares) == values[-1] - values[0]
    assert all(abs(share - exact) < 1 for share, exact in zip(shares, _averages(values), strict=True))


@given(_VALUES)
def test_the_way_back_is_the_opposite(values: list[int]) -> None:
    assert _shares(values[::-1]) == [-share for share in _shares(values)]


@given(_of(st.integers(1, 4)), st.data())
def test_a_factor_that_changes_nothing_gets_nothing_and_changes_no_other(
    values: list[int], data: st.DataObject
) -> None:
    factors = len(values).bit_length() - 1
    idle = data.draw(st.integers(0, factors))
    low = (1 << idle) - 1
    with_idle = [values[(at & low) | (at >> 1 & ~low)] for at in range(2 * len(values))]
    assert _shares(with_idle) == [*_shares(values)[:idle], 0, *_shares(values)[idle:]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100, 250], [150]),
        ([0, 300, 200, 500], [300, 200]),  # independent: each its own
        ([0, 0, 0, 101], [51, 50]),  # only together: halves, the odd paisa to the first
        ([0, 0, 0, -101], [-51, -50]),
        ([0, 100, 0, 150], [125, 25]),
    ],
)
def test_worked_examples(values: list[int], expected: list[int]) -> None:
    assert _shares(values) == expected


def test_as_many_factors_as_a_bill_may_have() -> None:
    parts = [3, 50, -700, 11, 0, 90_000, 1]
    whole: Callable[[int], int] = lambda at: sum(part for bit, part in enumerate(parts) if at >> bit & 1)  # noqa: E731
    assert _shares([whole(at) for at in range(2**MOST_FACTORS)]) == parts


@pytest.mark.parametrize("many", [0, 1, 3, 256])
def test_other_numbers_of_values_are_refused(many: int) -> None:
    with pytest.raises(ValueError, match=f"{many} values are not those of 1 to 7 factors"):
        attribute(np.zeros(many, np.int64))
