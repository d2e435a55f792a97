"""What counts of a day does not depend on the order in which the truth was told, and the better origin wins."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.kernel.revisions import (
    ACTUAL,
    EDITED,
    ESTIMATED,
    SUBSTITUTED,
    UNKNOWN,
    MeterDays,
    differ,
    drawn_w,
    merged,
    nothing,
)

NAMES = [each.name for each in fields(MeterDays)]
ORIGINS = (ACTUAL, ESTIMATED, SUBSTITUTED, EDITED)
UNTOLD = np.array([UNKNOWN])


def day(
    blocks: dict[int, int] | None = None,
    *,
    total: int = UNKNOWN,
    register: int = UNKNOWN,
    demand: int = UNKNOWN,
    off: int = UNKNOWN,
    origin: int = ACTUAL,
) -> MeterDays:
    """One day as a sender says it: some half-hours by their place, and what else."""
    row = np.full((1, 48), UNKNOWN, np.int32)
    for at, wh in (blocks or {}).items():
        row[0, at] = wh
    origins = np.where(row >= 0, np.int8(origin), np.int8(0))
    said = {"total": total, "register": register, "demand": demand, "off": off}
    columns = {name: np.array([value], np.int64) for name, value in said.items()}
    return MeterDays(blocks=row, origins=origins, origin=np.array([origin], np.int8), **columns)


def after(*told: MeterDays, rise: int = UNKNOWN) -> MeterDays:
    state = nothing(1)
    for said in told:
        state = merged(known=state, said=said, rise=np.array([rise]))
    return state


def same(one: MeterDays, other: MeterDays) -> bool:
    return not differ(one, other).any()


def even(wh: int) -> dict[int, int]:
    return dict.fromkeys(range(48), wh)


FEW = st.dictionaries(st.integers(0, 47), st.integers(0, 9), max_size=5)
MAYBE = st.integers(-1, 9)


@st.composite
def said_days(draw: st.DrawFn, origins: tuple[int, ...] = ORIGINS) -> MeterDays:
    """A register and a demand only beside a total: alone, they are as good as the poorest half-hour of their day."""
    blocks = draw(FEW)
    if draw(st.booleans()):
        blocks = even(draw(st.integers(0, 3))) | blocks
    whole = len(blocks) == 48
    total = sum(blocks.values()) if whole else draw(st.sampled_from([UNKNOWN, 100, 500]))
    register, demand = (UNKNOWN if total < 0 else draw(MAYBE) for _ in range(2))
    demand |= 1  # said ones are odd here, and what half-hours imply is even: alike, nobody could tell which it was
    origin = draw(st.sampled_from(origins))
    return day(blocks, total=total, register=register, demand=demand, off=draw(MAYBE), origin=origin)


@given(st.lists(said_days(), min_size=1, max_size=4))
def test_the_last_thing_said_again_changes_nothing(told: list[MeterDays]) -> None:
    once = after(*told)
    assert same(after(*told, told[-1]), once)


@given(st.lists(said_days(), max_size=3))
def test_nothing_said_changes_nothing(told: list[MeterDays]) -> None:
    assert same(after(*told, nothing(1)), after(*told))


@given(st.data())
def test_pieces_of_one_truth_make_the_same_day_in_any_order(data: st.DataObject) -> None:
    truth = data.draw(st.lists(st.integers(0, 9), min_size=48, max_size=48))
    pieces = []
    for at in data.draw(st.lists(st.sets(st.integers(0, 47), max_size=30), min_size=1, max_size=4)):
        total = sum(truth) if len(at) % 2 else UNKNOWN
        register, off = (data.draw(st.sampled_from([UNKNOWN, value])) for value in (700, 5))
        pieces.append(day({each: truth[each] for each in at}, total=total, register=register, off=off))
    pieces.append(day(dict(enumerate(truth)), total=sum(truth)))
    shuffled = data.draw(st.permutations(pieces))
    assert same(after(*shuffled), after(*pieces))
    assert after(*shuffled).total.tolist() == [sum(truth)]


@given(
    first=said_days(origins=(ACTUAL, EDITED)), then=st.lists(said_days(origins=(ESTIMATED, SUBSTITUTED)), max_size=3)
)
def test_what_was_measured_outlives_every_estimate(first: MeterDays, then: list[MeterDays]) -> None:
    before, now = after(first), after(first, *then)
    measured = before.blocks >= 0
    assert (now.blocks[measured] == before.blocks[measured]).all()
    for name in ("total", "register"):
        said = getattr(before, name) >= 0
        assert (getattr(now, name)[said] == getattr(before, name)[said]).all(), name


@given(st.lists(said_days(), min_size=2, max_size=6))
def test_days_know_nothing_of_each_other(told: list[MeterDays]) -> None:
    known, said = (
        MeterDays(**{name: np.concatenate([getattr(each, name) for each in days]) for name in NAMES})
        for days in (told, told[::-1])
    )
    together = merged(known=known, said=said, rise=np.full(len(told), UNKNOWN))
    for at, (one, other) in enumerate(zip(told, told[::-1], strict=True)):
        alone = merged(known=one, said=other, rise=UNTOLD)
        for name in NAMES:
            assert (getattr(together, name)[at] == getattr(alone, name)[0]).all(), name


@pytest.mark.parametrize(
    ("told", "rise", "total", "origin", "known"),
    [
        ([day(even(2), total=96)], UNKNOWN, 96, ACTUAL, 48),
        ([day(even(2), total=96), day({7: 12})], UNKNOWN, 106, ACTUAL, 48),  # a corrected half-hour corrects the total
        ([day(even(2), total=96), day(total=200)], UNKNOWN, 200, ACTUAL, 0),  # a total that contradicts them all
        ([day(even(2), total=96), day(total=96)], UNKNOWN, 96, ACTUAL, 48),
        ([day({7: 12}), day(total=200)], UNKNOWN, 200, ACTUAL, 1),
        ([day(total=200, origin=ESTIMATED), day(even(2), total=96)], UNKNOWN, 96, ACTUAL, 48),
        ([day(even(2), total=96), day(total=200, origin=ESTIMATED)], UNKNOWN, 96, ACTUAL, 48),
        ([day(even(2), total=96), day({7: 12}, origin=EDITED)], UNKNOWN, 106, EDITED, 48),
        ([day(even(2), total=96, origin=ESTIMATED), day({7: 12})], UNKNOWN, 106, ESTIMATED, 48),
        ([day({7: 12}), *(day(total=wh, origin=ESTIMATED) for wh in (90, 80))], UNKNOWN, 80, ESTIMATED, 1),
        ([day(register=5)], 300, 300, ACTUAL, 0),  # told by two registers
        ([day(total=250)], 300, 250, ACTUAL, 0),  # a measured total is not told anew
        ([day(even(2), total=96, origin=ESTIMATED)], 300, 300, ACTUAL, 0),  # estimates that do not add up to it go
    ],
)
def test_totals(told: list[MeterDays], rise: int, total: int, origin: int, known: int) -> None:
    state = after(*told, rise=rise)
    assert (int(state.total[0]), int(state.origin[0]), int((state.blocks >= 0).sum())) == (total, origin, known)


def test_a_demand_is_what_was_said_or_twice_the_largest_half_hour() -> None:
    assert after(day(even(2) | {9: 30}, total=124)).demand.tolist() == [60]
    assert after(day(even(2), demand=77)).demand.tolist() == [77]
    assert after(day(even(2), demand=77), day({9: 30})).demand.tolist() == [77]
    assert after(day(even(2)), day({9: 30})).demand.tolist() == [60]
    assert drawn_w(np.array([[3, -1], [-1, -1]], np.int32)).tolist() == [6, UNKNOWN]


@pytest.mark.parametrize("name", NAMES)
def test_a_difference_anywhere_shows(name: str) -> None:
    state = after(day(even(2), total=96, register=5))
    other = getattr(state, name).copy()
    other[0] += 1
    assert differ(state, replace(state, **{name: other})).tolist() == [True]
    assert differ(state, state).tolist() == [False]
