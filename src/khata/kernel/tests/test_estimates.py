"""Gaps of a meter: energies between registers stay whole, what is known stays as it is, guesses keep to the limits."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.kernel.estimates import UNKNOWN, Filled, History, Limits, fill
from khata.kernel.quantities import Int64

LIMITS = Limits(between=70, in_a_row=15, a_year=45, least_known=14)
WEEK = (4_800, 5_280, 5_760, 6_240, 6_720, 9_600, 12_000)  # Wh, of which an evening has the most
SHAPE = np.array([1] * 36 + [5] * 8 + [2] * 4)


def meter(days: int = 42, *, registers: bool = True) -> History:
    """A meter whose every day is known and like its weekday."""
    total = np.array([WEEK[day % 7] for day in range(days)], np.int64)
    blocks = np.array([_shaped(wh) for wh in total.tolist()], np.int32)
    register = 1_000_000 + np.concatenate([[0], np.cumsum(total)])
    unknown = np.full(days + 1, UNKNOWN, np.int64)
    true = np.ones(days, np.bool_)
    return History(
        first=20_000, total=total, blocks=blocks, off=unknown[:-1].copy(), register=register if registers else unknown,
        hung=true, guessable=true, last_year=unknown[:-1].copy(),
    )  # fmt: skip


def _shaped(wh: int) -> Int64:
    shares: Int64 = wh * SHAPE // SHAPE.sum()
    shares[40] += wh - shares.sum()
    return shares


def without(history: History, *days: int, registers: bool = True) -> History:
    """As if nobody had sent these days; a day's own register (at its end) goes with it."""
    total, blocks, register = history.total.copy(), history.blocks.copy(), history.register.copy()
    at = list(days)
    total[at], blocks[at] = UNKNOWN, UNKNOWN
    if registers:
        register[[day + 1 for day in at]] = UNKNOWN
    return replace(history, total=total, blocks=blocks, register=register)


def rules(filled: Filled) -> dict[int, int]:
    return {day: int(filled.rule[day]) for day in np.flatnonzero(filled.rule).tolist()}


# -- laws --------------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any meter: days with and without registers, totals, half-hours or a part of them, and supply."""
    count = draw(st.integers(20, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    history = meter(count)
    blocks = rng.integers(0, 900, (count, 48)).astype(np.int32)
    total = blocks.sum(axis=1).astype(np.int64)
    register = 10**6 + np.concatenate([[0], np.cumsum(total)])
    off = np.where(rng.random(count) < 0.3, rng.integers(0, 2**48, count), UNKNOWN)
    blocks[(off[:, None] >= 0) & ((np.maximum(off, 0)[:, None] >> np.arange(48)) & 1 == 1)] = 0
    total = np.minimum(total, blocks.sum(axis=1))
    register = 10**6 + np.concatenate([[0], np.cumsum(total)])
    gone = rng.random(count) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    partly = gone & (rng.random(count) < 0.4)
    total[gone] = UNKNOWN
    blocks[gone & ~partly] = UNKNOWN
    hidden = rng.random((count, 48)) < 0.5
    blocks[(partly | (rng.random(count) < 0.2))[:, None] & hidden] = UNKNOWN
    register[np.append(rng.random(count) < 0.6, False) | np.append(False, gone & (rng.random(count) < 0.9))] = UNKNOWN
    return replace(history, total=total, blocks=blocks, register=register, off=off)


@settings(max_examples=120)
@given(histories())
def test_sums_are_exact_and_what_is_known_stays(history: History) -> None:
    filled = fill(history, LIMITS)
    known = history.blocks >= 0
    assert (filled.blocks[known] == history.blocks[known]).all()
    has_total = history.total >= 0
    made = filled.rule > 0
    assert (filled.total[made & has_total] == history.total[made & has_total]).all()
    whole = made & (filled.blocks >= 0).all(axis=1)
    assert (filled.blocks[whole].sum(axis=1) == filled.total[whole]).all()
    assert (filled.blocks[made] >= UNKNOWN).all() and (filled.total[made] >= 0).all()
    off = (np.maximum(history.off, 0)[:, None] >> np.arange(48)) & 1 == 1
    assert (filled.blocks[off & ~known & made[:, None]] <= 0).all()
    total = np.where(has_total, history.total, np.where(made, filled.total, UNKNOWN))
    bounds = np.flatnonzero(history.register >= 0)
    for start, end in itertools.pairwise(bounds.tolist()):
        if (filled.rule[start:end] == 1).any():
            assert total[start:end].sum() == history.register[end] - history.register[start]
            registers = np.append(history.register[start], filled.register[start:end][filled.rule[start:end] == 1])
            assert (np.diff(registers) >= 0).all() and registers[-1] <= history.register[end]


@settings(max_examples=60)
@given(histories())
def test_guesses_keep_to_the_limits(history: History) -> None:
    limits = Limits(between=70, in_a_row=3, a_year=5, least_known=4)
    filled = fill(history, limits)
    days = np.flatnonzero(filled.rule == 3)
    assert len(days) <= limits.a_year
    for day in days.tolist():
        assert (history.total[:day] >= 0).sum() >= limits.least_known
        assert not (filled.rule[max(day - 3, 0) : day + 1] == 3).all() or day < 3


def test_what_was_made_of_a_gap_does_not_depend_on_days_after_the_next_register() -> None:
    history = without(meter(42), 20, 21, 22)
    longer = fill(history, LIMITS)
    shorter = fill(
        History(
            history.first, history.total[:30], history.blocks[:30], history.off[:30], history.register[:31],
            history.hung[:30], history.guessable[:30], history.last_year[:30],
        ),
        LIMITS,
    )  # fmt: skip
    assert (longer.total[:30] == shorter.total).all() and (longer.blocks[:30] == shorter.blocks).all()


# -- cases that a clerk can read ---------------------------------------------------------------------------------------

CASES = {
    # name: (days without data, of these with a register, registers at all, what is filled by which rule)
    "three days between two registers": ((20, 21, 22), (), True, {20: 1, 21: 1, 22: 1}),
    "the last two days, no register after them": ((40, 41), (), True, {40: 3, 41: 3}),
    "no registers at all": ((30, 31), (), False, {30: 3, 31: 3}),
    "a meter that has hardly spoken": ((8, 9), (), False, {}),
    "sixteen days: the sixteenth is one too many": (
        tuple(range(26, 42)), (), False, dict.fromkeys(range(26, 41), 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_which_days_are_filled_and_by_which_rule(case: str) -> None:
    days, _, registers, expected = CASES[case]
    assert rules(fill(without(meter(registers=registers), *days), LIMITS)) == expected


def test_a_gap_is_spread_like_the_weekdays_of_the_meter() -> None:
    truth = meter()
    filled = fill(without(truth, 25, 26, 27), LIMITS)
    assert filled.total[25:28].tolist() == truth.total[25:28].tolist()
    assert filled.register[25:28].tolist() == truth.register[26:29].tolist()
    assert (np.abs(filled.blocks[25:28] - truth.blocks[25:28]) <= 60).all(), "and in the half-hours like its evenings"


def test_half_hours_without_supply_stay_zero_and_the_rest_takes_their_share() -> None:
    history = without(meter(), 25)
    off = history.off.copy()
    off[25] = (1 << 44) - (1 << 36)  # the whole evening
    filled = fill(replace(history, off=off), LIMITS)
    assert filled.blocks[25, 36:44].tolist() == [0] * 8
    assert filled.blocks[25].sum() == filled.total[25] == WEEK[25 % 7]


def test_half_hours_inside_a_day_are_the_rest_of_its_total() -> None:
    history = meter()
    blocks = history.blocks.copy()
    blocks[25, 10:20] = UNKNOWN
    filled = fill(replace(history, blocks=blocks), LIMITS)
    assert rules(filled) == {25: 2}
    assert filled.blocks[25, 10:20].sum() == history.blocks[25, 10:20].sum()


def test_a_meter_without_half_hours_gets_none() -> None:
    history = replace(meter(), blocks=np.full((42, 48), UNKNOWN, np.int32))
    filled = fill(without(history, 25), LIMITS)
    assert rules(filled) == {25: 1}
    assert (filled.blocks == UNKNOWN).all()


def test_registers_that_leave_less_than_is_known_make_nothing_up() -> None:
    history = without(meter(), 25)
    register = history.register.copy()
    register[27:] -= 30_000
    filled = fill(replace(history, register=register), LIMITS)
    assert rules(filled) == {}
    assert np.flatnonzero(filled.contradicted).tolist() == [25]


def test_the_season_of_last_year_moves_a_guess() -> None:
    history = without(meter(registers=False), 40)
    warm = np.full(42, 5_000, np.int64)
    warm[30:] = 10_000
    usual = int(fill(history, LIMITS).total[40])
    moved = int(fill(replace(history, last_year=warm), LIMITS).total[40])
    assert usual == WEEK[40 % 7]
    assert usual < moved <= 2 * usual


def test_guesses_of_the_year_so_far_count() -> None:
    history = without(meter(registers=False), 30, 31)
    many = tuple(range(19_800, 19_844))
    assert rules(fill(replace(history, guessed=many), LIMITS)) == {30: 3}
