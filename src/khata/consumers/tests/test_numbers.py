"""The number series: random, checked by its last digit; and a company's code in front of a typed number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import damm

from khata.consumers.rules import company_and_number, in_series, random_bodies, seeded_bodies, with_check_digit

MILLION = 1_000_000
BODIES = st.integers(100_000_000, 999_999_999)


def is_ours(number: int) -> bool:
    return bool(in_series(np.array([number]))[0])


@given(BODIES)
def test_a_number_is_what_the_library_makes_of_its_body(body: int) -> None:
    (number,) = with_check_digit(np.array([body])).tolist()
    assert str(number) == f"{body}{damm.calc_check_digit(str(body))}"
    assert len(str(number)) == 10 and str(number)[0] != "0"
    assert is_ours(number)


@given(BODIES, st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_never_another_number(body: int, place: int, by: int) -> None:
    number = int(with_check_digit(np.array([body]))[0])
    digit = number // 10**place % 10
    assert not is_ours(number + ((digit + by) % 10 - digit) * 10**place)


@given(BODIES, st.integers(0, 8))
def test_two_neighbours_swapped_are_never_another_number(body: int, place: int) -> None:
    number = int(with_check_digit(np.array([body]))[0])
    low, high = number // 10**place % 10, number // 10 ** (place + 1) % 10
    swapped = number + (low - high) * 9 * 10**place
    assert is_ours(swapped) == (swapped == number)


def test_no_slip_on_any_of_a_million_numbers_is_a_number_of_the_series() -> None:
    numbers = with_check_digit(random_bodies(MILLION))
    assert in_series(numbers).all()
    digits = [numbers // 10**place % 10 for place in range(10)]
    by = np.random.default_rng().integers(1, 10, MILLION)
    for place in range(10):
        wrong = (digits[place] + by) % 10
        assert not in_series(numbers + (wrong - digits[place]) * 10**place).any()
    for place in range(9):
        swapped = numbers + (digits[place] - digits[place + 1]) * 9 * 10**place
        assert not in_series(swapped[swapped != numbers]).any()


def test_bodies_are_spread_over_the_whole_series() -> None:
    bodies = random_bodies(MILLION)
    assert bodies.min() >= 100_000_000 and bodies.max() <= 999_999_999
    counts = np.bincount(bodies // 100_000_000, minlength=10)[1:]
    assert counts.min() > MILLION / 9 * 0.98
    # A neighbour tells nothing: steps go up as often as down, and hardly any is seen twice.
    steps = np.diff(bodies)
    assert abs(int((steps > 0).sum()) - MILLION / 2) < MILLION * 0.005
    assert len(np.unique(steps)) > MILLION * 0.998
    assert not np.array_equal(bodies, random_bodies(MILLION))


def test_a_rehearsal_draws_the_same_numbers_again() -> None:
    one, other = seeded_bodies(5), seeded_bodies(5)
    assert np.array_equal(one(1000), other(1000)) and np.array_equal(one(10), other(10))
    assert not np.array_equal(one(1000), seeded_bodies(6)(1000))


@pytest.mark.parametrize("body", [99_999_999, 1_000_000_000, 0, -1])
def test_a_body_of_other_than_nine_digits_is_refused(body: int) -> None:
    with pytest.raises(ValueError, match="nine digits"):
        with_check_digit(np.array([body]))


def test_what_has_other_than_ten_digits_or_a_zero_in_front_is_not_of_the_series() -> None:
    assert not in_series(np.array([0, -5724, 5724, 572_400_000, 99_999_999_999, 2**62])).any()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("KESCO 0123456", ("KESCO", "0123456")),
        ("kesco-0123456", ("KESCO", "0123456")),
        ("Kesco:०१२३४५६", ("KESCO", "0123456")),
        ("KESCO0123456", ("KESCO", "0123456")),
        ("0123456 KESCO", ("", "0123456 KESCO")),
        ("K0123456", ("", "K0123456")),
        ("KESCO", ("", "KESCO")),
        ("", ("", "")),
    ],
)
def test_a_code_in_front(typed: str, found: tuple[str, str]) -> None:
    assert company_and_number(typed) == found
