"""What counts of a day does not depend on the order in which the truth was told, and the better origin wins."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from khata.kernel.revisions import (
    ACTUAL,
    EDITED,
    ESTIMATED,
    SUBSTITUTED,
    UNKNOWN,
    MeterDays,
    decided,
    differ,
    drawn_w,
    merged,
    news,
    not_in_pieces,
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


# -- a person's word ---------------------------------------------------------------------------------------------------

PERSON = (EDITED, SUBSTITUTED)


@st.composite
def words(draw: st.DrawFn) -> MeterDays:
    """What a person says of a day: half-hours, or a total alone; with a register or a demand, or without."""
    origin = draw(st.sampled_from(PERSON))
    register, demand = draw(st.sampled_from([UNKNOWN, 901])), draw(st.sampled_from([UNKNOWN, 77]))
    if draw(st.booleans()):
        return day(total=draw(st.sampled_from([0, 90, 500])), register=register, demand=demand, origin=origin)
    blocks = draw(st.one_of(FEW.filter(bool), st.integers(0, 9).map(even)))
    total = sum(blocks.values()) if len(blocks) == 48 else UNKNOWN
    return day(blocks, total=total, register=register, demand=demand, origin=origin)


def right(known: MeterDays, word: MeterDays) -> MeterDays:
    return decided(known=known, said=word)


def sent(state: MeterDays, said: MeterDays, *edits: tuple[MeterDays, MeterDays], rise: int = UNKNOWN) -> MeterDays:
    """A sender's row after edits, each (what was known, what it left)."""
    for before, left in edits:
        said = news(said=said, before=before, left=left)
    reached = merged(known=state, said=said, rise=np.array([rise]))
    for before, left in edits:
        reached = not_in_pieces(known=state, after=reached, before=before, left=left)
    return reached


def some_truth(data: st.DataObject) -> list[int]:
    """48 half-hours, many alike; by a seed, because drawing each takes most of a test's time."""
    drawn = np.random.default_rng(data.draw(st.integers(0, 999))).integers(0, 4, 48)
    return [int(wh) for wh in drawn]


def pieces_of(data: st.DataObject) -> list[MeterDays]:
    """Deliveries of one truth: the whole of it, and parts."""
    truth = some_truth(data)
    parts = data.draw(st.lists(st.sets(st.integers(0, 47), max_size=30), max_size=3))
    told = [day({at: truth[at] for at in part}, total=sum(truth), register=700, demand=33, off=5) for part in parts]
    return [*told, day(dict(enumerate(truth)), total=sum(truth), register=700)]


@settings(max_examples=60)
@given(st.lists(said_days(), max_size=3), words())
def test_a_persons_word_stands_and_said_twice_changes_nothing(told: list[MeterDays], word: MeterDays) -> None:
    state = right(after(*told), word)
    said = word.blocks >= 0
    assert (state.blocks[said] == word.blocks[said]).all()
    for name in ("total", "register", "demand"):
        if (getattr(word, name) >= 0).all():
            assert (getattr(state, name) == getattr(word, name)).all(), name
    assert same(right(state, word), state)


@settings(max_examples=60)
@given(st.data())
def test_what_a_person_replaced_never_comes_back_by_being_sent_again(data: st.DataObject) -> None:
    """Also piece by piece, in any order, after a second edit, and though registers say what they said."""
    pieces = pieces_of(data)
    known = after(*data.draw(st.permutations(pieces)))
    state, edits = known, []
    for word in data.draw(st.lists(words(), min_size=1, max_size=2)):
        left = right(state, word)
        edits.append((state, left))
        state = left
    for again in data.draw(st.lists(st.sampled_from(pieces), min_size=1, max_size=4)):
        assert same(sent(state, again, *edits), state)


@settings(max_examples=60)
@given(st.data())
def test_a_total_that_a_person_replaced_does_not_come_back_in_pieces(data: st.DataObject) -> None:
    truth = some_truth(data)
    cuts = sorted(data.draw(st.sets(st.integers(1, 47), min_size=1, max_size=4)))
    parts = [range(*ends) for ends in zip([0, *cuts], [*cuts, 48], strict=True)]
    pieces = data.draw(st.permutations([day({at: truth[at] for at in part}) for part in parts]))
    known = after(day(total=sum(truth)))
    left = right(known, day(total=500, origin=data.draw(st.sampled_from(PERSON))))
    state = left
    for piece in [*pieces, *pieces]:
        state = sent(state, piece, (known, left))
        assert (state.total.tolist(), state.origin.tolist()) == ([500], left.origin.tolist())
    first = parts[0][0]
    other = sent(state, day(dict(enumerate(truth)) | {first: truth[first] + 1}, total=sum(truth) + 1), (known, left))
    assert (other.total.tolist(), other.origin.tolist()) == ([sum(truth) + 1], [ACTUAL]), "another value counts"


@settings(max_examples=60)
@given(st.data())
def test_half_hours_that_were_not_known_then_come_to_those_a_person_put(data: st.DataObject) -> None:
    truth = some_truth(data)
    early = data.draw(st.sets(st.integers(0, 47), min_size=1, max_size=47))
    known = after(day({at: truth[at] for at in early}))
    spike = data.draw(st.sampled_from(sorted(early)))
    left = right(known, day({spike: 1_000}, origin=EDITED))
    state = sent(left, day(dict(enumerate(truth)), total=sum(truth)), (known, left))
    expected = [1_000 if at == spike else wh for at, wh in enumerate(truth)]
    assert state.blocks[0].tolist() == expected
    assert state.total.tolist() == [sum(expected)]
    assert state.origins[0].tolist() == [EDITED if at == spike else ACTUAL for at in range(48)]


@settings(max_examples=60)
@given(known=st.lists(said_days((ACTUAL,)), max_size=2), word=words(), other=said_days((ACTUAL,)))
def test_a_day_with_another_value_counts_as_ever(known: list[MeterDays], word: MeterDays, other: MeterDays) -> None:
    before = after(*known)
    left = right(before, word)
    both = (other.blocks >= 0) & (before.blocks >= 0)
    assume(bool((both & (other.blocks != before.blocks)).any()))
    state = sent(left, other, (before, left))
    said = other.blocks >= 0
    assert (state.blocks[said] == other.blocks[said]).all()
    assert (state.origins[said] == ACTUAL).all()


@settings(max_examples=60)
@given(st.data())
def test_the_order_of_what_came_before_a_persons_word_is_all_one(data: st.DataObject) -> None:
    pieces = pieces_of(data)
    word = data.draw(words())
    assert same(right(after(*data.draw(st.permutations(pieces))), word), right(after(*pieces), word))


@pytest.mark.parametrize(
    ("told", "word", "total", "origin", "letters"),
    [
        (day(even(2), total=96), day({7: 12}, origin=EDITED), 106, EDITED, {ACTUAL: 47, EDITED: 1}),
        (day(even(2), total=96), day({7: 12}, origin=SUBSTITUTED), 106, SUBSTITUTED, {ACTUAL: 47, SUBSTITUTED: 1}),
        (day(even(2), total=96), day(even(2), total=96, origin=EDITED), 96, ACTUAL, {ACTUAL: 48}),  # nothing changes
        (day(even(2), total=96), day(even(2) | {0: 0, 1: 4}, total=96, origin=EDITED), 96, ACTUAL,
         {ACTUAL: 46, EDITED: 2}),
        (day(even(2), total=96), day(total=80, origin=SUBSTITUTED), 80, SUBSTITUTED, {0: 48}),
        (day(even(2), total=96), day(even(3), total=144, origin=SUBSTITUTED), 144, SUBSTITUTED, {SUBSTITUTED: 48}),
        (day(even(2), total=96, origin=ESTIMATED), day({7: 2}, origin=EDITED), 96, ESTIMATED,
         {ESTIMATED: 47, EDITED: 1}),
        (nothing(1), day(total=80, origin=EDITED), 80, EDITED, {0: 48}),
    ],
)  # fmt: skip
def test_a_persons_word(told: MeterDays, word: MeterDays, total: int, origin: int, letters: dict[int, int]) -> None:
    state = right(after(told), word)
    values, counts = np.unique(state.origins, return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert (int(state.total[0]), int(state.origin[0]), found) == (total, origin, letters)


@pytest.mark.parametrize(
    ("known", "word", "comes", "total"),
    [
        (day(total=96), day(total=80, origin=EDITED), day(total=96), 80),
        (day(total=96), day(total=80, origin=EDITED), day(even(2), total=96), 80),  # the same total, spread out
        (day(total=96), day(total=80, origin=EDITED), day(total=97), 97),
        (day(total=96), day(total=80, origin=SUBSTITUTED), day(total=96), 80),
        (day(even(2), total=96), day(total=80, origin=SUBSTITUTED), day({5: 2}), 80),
        (day(total=96, origin=ESTIMATED), day(total=80, origin=EDITED), day(total=96), 96),  # now it is measured
        (day(total=96, origin=ESTIMATED), day(total=80, origin=EDITED), day(total=96, origin=ESTIMATED), 80),
        (nothing(1), day(total=80, origin=EDITED), day(even(2), total=96), 96),
    ],
)
def test_what_comes_after_a_total_that_a_person_said(
    known: MeterDays, word: MeterDays, comes: MeterDays, total: int
) -> None:
    before = after(known)
    left = right(before, word)
    assert sent(left, comes, (before, left)).total.tolist() == [total]


@pytest.mark.parametrize("name", ["register", "demand", "off"])
def test_a_replaced_register_demand_or_power_cut_does_not_come_back(name: str) -> None:
    def said(value: int, origin: int = ACTUAL) -> MeterDays:
        return replace(day(total=9, origin=origin), **{name: np.array([value])})

    before = after(said(7))
    left = right(before, said(4, EDITED))
    for comes, expected in ((7, 4), (8, 8)):
        state = sent(left, said(comes), (before, left))
        assert getattr(state, name).tolist() == [expected]
