"""Shares add up to the whole, to the last unit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.kernel.shares import largest_remainder

_WEIGHTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=30)


def _shares(total: int, weights: list[int]) -> list[int]:
    return list(largest_remainder(total, np.array(weights, np.int64)).tolist())


@given(total=st.integers(-(10**15), 10**15), weights=_WEIGHTS)
def test_the_shares_add_up_and_each_is_less_than_one_off_its_proportion(total: int, weights: list[int]) -> None:
    shares = _shares(total, weights)
    assert sum(shares) == total
    of = sum(weights) or len(weights)
    for share, weight in zip(shares, weights if any(weights) else [1] * len(weights), strict=True):
        assert abs(share - Fraction(total * weight, of)) < 1
        assert weight or share == 0


@given(total=st.integers(0, 10**15), weights=_WEIGHTS)
def test_a_negative_total_is_shared_as_its_mirror_image(total: int, weights: list[int]) -> None:
    assert _shares(-total, weights) == [-share for share in _shares(total, weights)]


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (10, [1, 1, 1], [4, 3, 3]),  # a tie goes to the earliest
        (10, [0, 0, 0], [4, 3, 3]),  # nothing to go by: evenly
        (-7, [3, 1], [-5, -2]),  # 5.25 and 1.75
        (7, [3, 1], [5, 2]),
        (5, [0, 2, 0], [0, 5, 0]),
        (100, [1, 2, 3], [17, 33, 50]),
        (0, [], []),
        (4 * 10**18, [10**12, 3 * 10**12], [10**18, 3 * 10**18]),  # product beyond 64 bits
    ],
)
def test_worked_examples(total: int, weights: list[int], expected: list[int]) -> None:
    assert _shares(total, weights) == expected


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [-1, 2]), (1, [2**61, 2**61])])
def test_what_cannot_be_shared_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"weights|nobody"):
        _shares(total, weights)
