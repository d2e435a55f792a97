"""Half-hours of the demo: the real ones stay real, the others add up to the real day."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.rehearsal.half_hours import HALF_HOURS, half_hours, off_bits, read_half_hours, spread

REAL = read_half_hours()


def test_the_real_half_hours_are_those_of_four_homes_on_21_days() -> None:
    assert sorted(set(REAL.household)) == ["BR02", "BR04", "BR24", "BR34"]
    assert REAL.blocks_wh.shape == (21, HALF_HOURS)
    first = REAL.household.index("BR02")
    assert (str(REAL.day[first]), REAL.blocks_wh[first, :2].tolist()) == ("2023-07-10", [205, 200])
    assert REAL.blocks_wh[REAL.dead].max() == 0  # nothing is used while there is no supply
    assert REAL.dead.sum() > 40


def test_on_a_real_day_the_meter_tells_what_was_measured() -> None:
    wh = np.array([REAL.blocks_wh[0].sum(), REAL.blocks_wh[0].sum() + 1], np.int64)
    told = half_hours(
        household=[REAL.household[0]] * 2,
        day=REAL.day[[0, 0]],
        day_wh=wh,
        demand_w=np.array([1, 1]),
        since=np.datetime64("2024-05-01"),
        real=REAL,
        rng=np.random.default_rng(1),
    )
    assert told.blocks_wh[0].tolist() == REAL.blocks_wh[0].tolist()
    assert told.demand_w[0] == 2 * REAL.blocks_wh[0].max()
    assert told.off[0] == off_bits(REAL.dead[:1])[0]
    assert told.blocks_wh[1].tolist() == [-1] * HALF_HOURS  # the same day of another year has another energy
    assert told.off[1] == -1


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 80_000), st.integers(0, 20_000)), min_size=1, max_size=20), st.integers(0, 99))
def test_a_spread_day_adds_up_and_uses_nothing_without_supply(days: list[tuple[int, int]], seed: int) -> None:
    wh, demand = np.array(days, np.int64).T
    blocks, dead = spread(wh, demand, REAL, np.random.default_rng(seed))
    assert blocks.sum(axis=1).tolist() == wh.tolist()
    assert blocks.min() >= 0
    assert not blocks[dead].any()
