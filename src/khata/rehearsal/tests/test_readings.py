"""Rounds of meter readers: they follow their cycle, and some of them go wrong."""

import datetime as dt

import numpy as np

from khata.rehearsal.history import billed_by_reading
from khata.rehearsal.readings import CYCLES, Cycle, Rounds, daily_use, registers, rounds, spoilt

MARCH = np.datetime64("2024-03")
TWO = (Cycle("monthly", 5, 1, dt.date(2023, 1, 1)), Cycle("every second", 20, 2, dt.date(2023, 1, 1)))


def made(count: int, cycle: int, end: str = "2024-06-21") -> Rounds:
    rng = np.random.default_rng(1)
    return rounds(
        daily_wh=daily_use(np.full(count, 5_000), np.zeros(count, np.bool_), rng),
        start_wh=np.full(count, 100_000),
        cycle=np.full(count, cycle),
        cycles=TWO,
        load_factor=np.full(count, 150),
        end=np.datetime64(end),
    )


def test_a_register_counts_whole_units_and_never_falls() -> None:
    daily = daily_use(np.array([5_000, 900]), np.array([False, True]), np.random.default_rng(1))
    days = np.arange(np.datetime64("2023-01-01"), np.datetime64("2024-06-30"))[None, :].repeat(2, axis=0)
    found = registers(daily, np.array([50_000, 0]), days)
    assert found[:, 0].tolist() == [50_000, 0]
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found % 1000 == 0).all()


def test_a_register_runs_on_over_the_end_of_a_month() -> None:
    daily = np.full((1, 19), 2_000)
    days = np.array([["2023-01-31", "2023-02-01", "2023-02-02", "2023-03-01"]], "datetime64[D]")
    assert registers(daily, np.array([0]), days).tolist() == [[60_000, 62_000, 64_000, 118_000]]


def test_rounds_go_on_their_day_until_today() -> None:
    found = made(1, 0, end="2024-06-05")
    assert [str(day) for day in found.day[found.read]][-2:] == ["2024-04-05", "2024-05-05"]
    every_second = made(1, 1)
    assert [str(day) for day in every_second.day[every_second.read]][-3:] == ["2024-01-20", "2024-03-20", "2024-05-20"]


def test_the_reading_handed_over_is_the_last_before_the_billed_months() -> None:
    for cycle, day in ((0, "2024-02-05"), (1, "2024-01-20")):
        found = made(1, cycle)
        assert str(found.day[0, found.before(MARCH)[0]]) == day


def test_old_bills_run_from_reading_to_reading_without_a_hole() -> None:
    for cycle in (0, 1):
        found = made(1, cycle)
        billed = billed_by_reading(found, np.array([7]))
        assert set(billed.row.tolist()) == {7}
        assert (billed.start[1:] == billed.end[:-1]).all()
        assert billed.end[-1] == found.day[0, found.before(MARCH)[0]]
        assert int(billed.energy_wh.sum()) == int(
            found.register_wh[0, found.before(MARCH)[0]] - found.register_wh[0, np.flatnonzero(found.read[0])[0]]
            if cycle
            else found.register_wh[0, 13] - found.register_wh[0, 1]
        )


def test_some_doors_are_locked_and_some_figures_wrong_but_only_in_billed_months() -> None:
    before = made(2_000, 0)
    after = spoilt(before, MARCH, np.random.default_rng(2))
    changed = (before.register_wh != after.register_wh) & before.read
    missed = before.read & ~after.read
    assert not changed[:, before.month < MARCH].any()
    assert not missed[:, before.month < MARCH].any()
    taken = int((before.read & (before.month >= MARCH)).sum())
    assert 0.01 < missed.sum() / taken < 0.02
    assert (after.register_wh[changed] < before.register_wh[changed]).any()
    assert (after.register_wh[changed] > before.register_wh[changed]).any()


def test_the_demo_has_a_round_that_does_not_go_every_month() -> None:
    assert {each.every for each in CYCLES} == {1, 2}
    assert all(1 <= each.day <= 28 for each in CYCLES)
