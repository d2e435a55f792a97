"""Determinants against a plain oracle, one connection at a time, and what must hold whatever the facts."""

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.kernel.days import day_number
from khata.kernel.determinants import NEGATIVE, NO_METER, NO_READING, NO_TERMS, OK, Facts, determine

START = day_number(dt.date(2024, 2, 1))  # a leap year


@dataclass(frozen=True)
class Known:
    """What is known of one connection. Days count from START; a meter is its place in `registers` from 1, 0 is none."""

    end: int
    terms: tuple[tuple[int, bool], ...] = ((-100, False),)  # first day, ended
    meters: tuple[tuple[int, int], ...] = ((-100, 1),)  # first day, meter
    registers: tuple[dict[int, int], ...] = ()  # of each meter: Wh by day
    demands: tuple[tuple[int, int, int, int], ...] = ()  # meter, days from, to, W
    carried: tuple[int, int] = (0, 0)  # meter and Wh with which the last bill ended
    estimated: frozenset[int] = frozenset()  # days on which a register, of whichever meter, was estimated
    carried_estimated: bool = False
    cuts: tuple[int, ...] = ()
    start: int = 0


@dataclass(frozen=True)
class Segment:
    start: int
    end: int
    terms: int
    energy_wh: int
    demand_w: int
    stretches: tuple[tuple[int, int, int], ...]  # meter, opening, closing
    estimated: tuple[tuple[bool, bool], ...] = ((False, False),)  # of each: its opening, its closing


# -- the oracle --------------------------------------------------------------------------------------------------------


def oracle(known: Known) -> tuple[int, tuple[Segment, ...]]:
    """The status, and the segments if that is OK."""
    spans = _cut([row for row in _spans(known, [day for day, _ in known.terms]) if not known.terms[row[2]][1]], known)
    hung = [row for row in _spans(known, [day for day, _ in known.meters]) if known.meters[row[2]][1]]
    if not spans:
        return NO_TERMS, ()
    if not hung:
        return NO_METER, ()
    stretches = [_stretch(known, start, end, known.meters[place][1]) for start, end, place in hung]
    if None in stretches:
        return NO_READING, ()
    atoms: dict[tuple[int, int, int], list[tuple[int, Shown, Shown]]] = {span: [] for span in spans}
    for stretch in stretches:
        assert stretch is not None
        inside = [(max(span[0], stretch.start), min(span[1], stretch.end), span) for span in spans]
        inside = [(start, end, span) for start, end, span in inside if start < end]
        for start, end, span in inside:
            opening = stretch.ends[0] if start == stretch.start else stretch.at(start)
            closing = stretch.ends[1] if end == stretch.end else stretch.at(end)
            atoms[span].append((stretch.meter, opening, closing))
    segments = tuple(_segment(known, span, measured) for span, measured in atoms.items())
    falls = any(stretch and stretch.closing < stretch.opening for stretch in stretches)
    if falls or any(segment.energy_wh < 0 for segment in segments):
        return NEGATIVE, ()
    return OK, segments


def _spans(known: Known, days: list[int]) -> list[tuple[int, int, int]]:
    ends = [*days[1:], 10**6]
    clipped = [
        (max(day, known.start), min(end, known.end), place)
        for place, (day, end) in enumerate(zip(days, ends, strict=True))
    ]
    return [span for span in clipped if span[0] < span[1]]


def _cut(spans: list[tuple[int, int, int]], known: Known) -> list[tuple[int, int, int]]:
    pieces = []
    for start, end, place in spans:
        edges = [start, *sorted({day for day in known.cuts if start < day < end}), end]
        pieces += [(one, other, place) for one, other in itertools.pairwise(edges)]
    return pieces


Shown = tuple[int, bool]  # a register, and whether it is an estimate


@dataclass(frozen=True)
class Stretch:
    meter: int
    start: int
    end: int
    opened: int
    opening: int
    closed: int
    closing: int
    registers: dict[int, int]
    estimated: frozenset[int]
    opening_estimated: bool

    @property
    def ends(self) -> tuple[Shown, Shown]:
        return (self.opening, self.opening_estimated), (self.closing, self.closed in self.estimated)

    def at(self, day: int) -> Shown:
        metered = self.registers.get(day)
        if metered is not None and self.opening <= metered <= self.closing:
            return metered, day in self.estimated
        done = min(max(day - self.opened, 0), self.closed - self.opened)
        share = Fraction((self.closing - self.opening) * done, self.closed - self.opened)
        half = Fraction(1, 2)
        return self.opening + (int(share + half) if share >= 0 else -int(-share + half)), True


def _stretch(known: Known, start: int, end: int, meter: int) -> Stretch | None:
    registers = {day: wh for day, wh in known.registers[meter - 1].items() if start <= day <= end}
    if not registers:
        return None
    opened, closed = min(registers), max(registers)
    opening, guess = registers[opened], opened in known.estimated
    if known.carried[0] == meter and start == known.start:
        opened, opening, guess = start, known.carried[1], known.carried_estimated
    changed = start > known.start or known.carried[0] not in (0, meter)
    if (changed and opened > start) or (end < known.end and closed < end):
        return None  # changed on a day on which its register is not known
    if closed <= opened:
        return None
    return Stretch(meter, start, end, opened, opening, closed, registers[closed], registers, known.estimated, guess)


def _segment(known: Known, span: tuple[int, int, int], measured: list[tuple[int, Shown, Shown]]) -> Segment:
    start, end, place = span
    ends = [day for day, _ in known.meters[1:]] + [10**6]
    demand = -1
    for (day, meter), until in zip(known.meters, ends, strict=True):
        first, last = max(day, start), min(until, end)
        demand = max(
            [demand, *(w for m, a, b, w in known.demands if m == meter and first < last and a < last and b > first)]
        )
    stretches = tuple((meter, opening, closing) for meter, (opening, _), (closing, _) in measured)
    estimated = tuple((opening, closing) for _, (_, opening), (_, closing) in measured)
    return Segment(start, end, place, sum(c - o for _, o, c in stretches), demand, stretches, estimated)


# -- many connections as columns ---------------------------------------------------------------------------------------


def facts_of(crowd: list[Known]) -> Facts:
    """Meters are numbered through the crowd: the n-th of connection c is 100 c + n."""

    def rows(made: Sequence[tuple[int, ...]], width: int) -> list[Any]:
        return [np.array(column, np.int64) for column in zip(*made, strict=True)] or [np.zeros(0, np.int64)] * width

    def meter(owner: int, number: int) -> int:
        return 100 * owner + number if number else 0

    terms = [(c, START + day, int(ended)) for c, known in enumerate(crowd) for day, ended in known.terms]
    hung = [(c, START + day, meter(c, number)) for c, known in enumerate(crowd) for day, number in known.meters]
    registers = [
        (meter(c, number), START + day, wh, int(day in known.estimated))
        for c, known in enumerate(crowd)
        for number, by_day in enumerate(known.registers, start=1)
        for day, wh in sorted(by_day.items())
    ]
    demands = sorted(
        (meter(c, m), START + a, START + b, w) for c, known in enumerate(crowd) for m, a, b, w in known.demands
    )
    columns = [
        np.array([START + known.start for known in crowd], np.int64),
        np.array([START + known.end for known in crowd], np.int64),
        *rows(terms, 3),
        *rows(hung, 3),
        *rows(registers, 4),
        *rows(demands, 4),
        np.array([meter(c, known.carried[0]) for c, known in enumerate(crowd)], np.int64),
        np.array([known.carried[1] for known in crowd], np.int64),
        np.array([known.carried_estimated for known in crowd], np.bool_),
    ]
    columns[11] = columns[11].astype(np.bool_)
    return Facts(*columns)


def determined(crowd: list[Known]) -> list[tuple[int, tuple[Segment, ...]]]:
    """As the oracle answers, for each of a crowd."""
    facts = facts_of(crowd)
    found = determine(facts, sorted((c, START + day) for c, known in enumerate(crowd) for day in known.cuts))
    first_terms = np.searchsorted(facts.terms_connection, np.arange(len(crowd)))
    answers: list[tuple[int, list[Segment]]] = [(status, []) for status in found.status.tolist()]
    for row, owner in enumerate(found.connection.tolist()):
        at = np.flatnonzero(found.stretch_segment == row).tolist()
        answers[owner][1].append(
            Segment(
                int(found.start[row]) - START,
                int(found.end[row]) - START,
                int(found.terms[row] - first_terms[owner]),
                int(found.energy_wh[row]),
                int(found.demand_w[row]),
                tuple(
                    (
                        int(found.stretch_meter[s]) - 100 * owner,
                        int(found.stretch_opening[s]),
                        int(found.stretch_closing[s]),
                    )
                    for s in at
                ),
                tuple((bool(found.stretch_opening_estimated[s]), bool(found.stretch_closing_estimated[s])) for s in at),
            )
        )
    return [(status, tuple(segments) if status == OK else ()) for status, segments in answers]


def one(known: Known) -> tuple[int, tuple[Segment, ...]]:
    return determined([known])[0]


def energies(known: Known) -> list[int]:
    status, segments = one(known)
    assert status == OK
    return [segment.energy_wh for segment in segments]


# -- whatever the facts ------------------------------------------------------------------------------------------------


@st.composite
def knowns(draw: st.DrawFn, *, falling: bool = True, ending: bool = True) -> Known:
    end = draw(st.integers(1, 65))
    inside = st.integers(-5, end + 3)
    days = st.lists(inside, unique=True, max_size=3).map(sorted)
    first = draw(st.sampled_from([-9, -9, -9, 0, 2]))
    terms = [(first, False), *((day, ending and draw(st.booleans())) for day in draw(days) if day > first)]
    numbers = st.integers(0, 3) if ending else st.integers(1, 3)
    hung = draw(st.sampled_from([-9, -9, -9, 0, 3]))
    changes = [day for day in draw(days) if day > hung]
    meters, used = [(hung, 1)], {1}
    for day in changes:
        number = draw(numbers)
        if number and number not in used:
            meters.append((day, number))
            used.add(number)
        elif number == 0:
            meters.append((day, 0))
    registers, known = [], {0, end, *changes}
    for _ in range(3):
        wh, by_day = draw(st.integers(1_000, 10**7)), {}
        for day in sorted(draw(st.sets(inside, max_size=8)) | draw(st.sampled_from([known, known, known, set()]))):
            wh += draw(st.integers(-900 if falling and draw(st.integers(0, 9)) == 0 else 0, 50_000))
            by_day[day] = wh
        registers.append(by_day)
    spans = st.tuples(st.integers(1, 3), inside, st.integers(1, 40), st.integers(0, 9_000))
    demands = [(meter, day, day + length, w) for meter, day, length, w in draw(st.lists(spans, max_size=5))]
    opening = min(registers[0].values(), default=0)
    carried = draw(st.sampled_from([(0, 0), (0, 0), (1, opening - 700), (2, 5)]))
    cuts = draw(st.sets(st.integers(-2, end + 2), max_size=3))
    guessed = draw(st.frozensets(inside, max_size=3)) | draw(st.sampled_from([frozenset(), frozenset({0, end})]))
    return Known(
        end,
        tuple(terms),
        tuple(meters),
        tuple(registers),
        tuple(demands),
        carried,
        guessed,
        draw(st.booleans()),
        tuple(sorted(cuts)),
    )


@settings(max_examples=200)
@given(st.lists(knowns(), min_size=1, max_size=4))
def test_a_crowd_is_determined_as_each_of_it_is_by_hand(crowd: list[Known]) -> None:
    assert determined(crowd) == [oracle(known) for known in crowd]


@settings(max_examples=60)
@given(st.lists(knowns(), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_connections_changes_nothing_and_neither_does_company(crowd: list[Known], chance: object) -> None:
    order = list(range(len(crowd)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    together = determined(crowd)
    assert determined([crowd[place] for place in order]) == [together[place] for place in order]
    assert [one(known) for known in crowd] == together


@settings(max_examples=60)
@given(knowns(falling=False, ending=False))
def test_parts_add_up_to_the_difference_of_the_registers(known: Known) -> None:
    known = replace(known, terms=((-9, False), *known.terms[1:]))  # supplied on every day
    status, segments = one(known)
    if status != OK:
        return
    uncut = one(replace(known, cuts=()))[1]
    alone = one(replace(known, cuts=(), terms=known.terms[:1]))[1]
    assert sum(s.energy_wh for s in segments) == sum(s.energy_wh for s in uncut) == sum(s.energy_wh for s in alone)
    by_meter: dict[int, list[tuple[int, int]]] = {}
    for segment in segments:
        for meter, opening, closing in segment.stretches:
            by_meter.setdefault(meter, []).append((opening, closing))
    for meter, pieces in by_meter.items():
        assert all(before[1] == after[0] for before, after in itertools.pairwise(pieces))
        whole = [(o, c) for segment in alone for m, o, c in segment.stretches if m == meter]
        assert (pieces[0][0], pieces[-1][1]) == whole[0]


@settings(max_examples=60)
@given(knowns(), st.booleans())
def test_a_cut_on_the_first_day_or_after_the_last_has_no_effect(known: Known, first: bool) -> None:
    known = replace(known, cuts=())
    assert one(replace(known, cuts=(known.start,) if first else (known.end,))) == one(known)


@settings(max_examples=60)
@given(knowns(falling=False, ending=False), st.integers(1, 64))
def test_two_bills_one_after_the_other_bill_what_one_over_both_would(known: Known, day: int) -> None:
    """What the first could not see, because no register stood at its end, the second bills."""
    known = replace(known, cuts=(), meters=((-9, 1),), terms=((-9, False),), demands=(), carried=(0, 0))
    first, second = replace(known, end=day), replace(known, start=day)
    if day >= known.end or one(first)[0] != OK:
        return
    closing = one(first)[1][-1].stretches[-1][2]
    second = replace(second, carried=(1, closing))
    if one(second)[0] == OK:
        assert sum(energies(first)) + sum(energies(second)) == sum(energies(known))


# -- said in words -----------------------------------------------------------------------------------------------------


FEBRUARY = Known(29, registers=({0: 1_000, 10: 5_000, 29: 30_000},))


def test_a_leap_february_is_billed_to_its_29th_day() -> None:
    assert day_number(dt.date(2024, 3, 1)) - START == 29
    assert energies(FEBRUARY) == [29_000]


def test_a_cut_takes_the_register_of_its_day() -> None:
    assert energies(replace(FEBRUARY, cuts=(10,))) == [4_000, 25_000]


def test_a_cut_between_registers_shares_by_days() -> None:
    known = Known(29, registers=({0: 0, 29: 29_000},))
    assert energies(replace(known, cuts=(7, 20))) == [7_000, 13_000, 9_000]


def test_terms_that_change_cut_too_and_each_part_has_its_own() -> None:
    status, (first, second) = one(replace(FEBRUARY, terms=((-100, False), (10, False))))
    assert (status, first.terms, second.terms) == (OK, 0, 1)
    assert (first.energy_wh, second.energy_wh) == (4_000, 25_000)


def test_a_cut_before_the_supply_began_borrows_no_terms_of_another() -> None:
    late = replace(FEBRUARY, terms=((5, False),), cuts=(2,))
    assert determined([FEBRUARY, late])[1] == one(replace(late, cuts=()))


def test_a_changed_meter_is_two_stretches_of_one_part() -> None:
    known = Known(29, meters=((-100, 1), (12, 2)), registers=({0: 1_000, 12: 9_000}, {12: 50, 29: 20_050}))
    read = ((False, False), (False, False))
    assert one(known) == (OK, (Segment(0, 29, 0, 28_000, -1, ((1, 1_000, 9_000), (2, 50, 20_050)), read),))


def test_days_without_a_meter_measure_nothing() -> None:
    known = Known(29, meters=((-100, 1), (8, 0), (15, 2)), registers=({0: 1_000, 8: 9_000}, {15: 0, 29: 7_000}))
    assert energies(known) == [15_000]


def test_the_energy_of_days_that_are_not_known_stands_in_the_next_register() -> None:
    gap = replace(FEBRUARY, registers=({0: 1_000, 29: 30_000},))
    assert energies(gap) == energies(FEBRUARY)


def test_the_register_of_the_last_bill_opens_the_next() -> None:
    known = replace(FEBRUARY, registers=({3: 4_000, 29: 30_000},))
    assert energies(known) == [26_000]
    assert energies(replace(known, carried=(1, 1_000))) == [29_000]


def test_the_register_of_another_meter_opens_nothing() -> None:
    assert energies(replace(FEBRUARY, carried=(2, 7))) == [29_000]


@pytest.mark.parametrize("registers", [{}, {0: 1_000}, {29: 1_000}, {12: 1_000}])
def test_one_register_alone_measures_nothing(registers: dict[int, int]) -> None:
    assert one(replace(FEBRUARY, registers=(registers,))) == (NO_READING, ())


def test_with_the_register_of_the_last_bill_one_more_is_enough() -> None:
    assert energies(replace(FEBRUARY, registers=({29: 30_000},), carried=(1, 1_000))) == [29_000]


def test_the_second_of_two_meters_must_be_read_as_well() -> None:
    known = Known(29, meters=((-100, 1), (12, 2)), registers=({0: 1_000, 12: 9_000}, {12: 50}))
    assert one(known) == (NO_READING, ())


def test_a_register_below_the_one_before_it_is_negative() -> None:
    assert one(replace(FEBRUARY, registers=({0: 30_000, 29: 1_000},))) == (NEGATIVE, ())


def test_a_register_that_falls_between_two_cuts_is_negative() -> None:
    known = replace(FEBRUARY, registers=({0: 1_000, 10: 25_000, 20: 15_000, 29: 30_000},))
    assert energies(replace(known, cuts=(10,))) == [24_000, 5_000]
    assert one(replace(known, cuts=(10, 20))) == (NEGATIVE, ())


def test_a_supply_that_ended_before_has_no_terms_and_one_that_ends_inside_is_billed_to_that_day() -> None:
    assert one(replace(FEBRUARY, terms=((-100, False), (-3, True)))) == (NO_TERMS, ())
    status, (segment,) = one(replace(FEBRUARY, terms=((-100, False), (10, True))))
    assert (status, segment.end) == (OK, 10)


def test_without_a_meter_there_is_nothing_to_bill_from() -> None:
    assert one(replace(FEBRUARY, meters=())) == (NO_METER, ())
    assert one(replace(FEBRUARY, meters=((-100, 1), (-50, 0)))) == (NO_METER, ())


def test_each_part_has_the_highest_demand_of_its_own_days() -> None:
    demands = ((1, 0, 1, 1_500), (1, 9, 10, 2_000), (1, 10, 11, 900), (1, 29, 30, 8_000))
    status, (first, second) = one(replace(FEBRUARY, demands=demands, cuts=(10,)))
    assert (status, first.demand_w, second.demand_w) == (OK, 2_000, 900)


def test_a_part_says_which_of_its_registers_were_not_read() -> None:
    def estimated(known: Known) -> list[tuple[bool, bool]]:
        return [pair for segment in one(known)[1] for pair in segment.estimated]

    assert estimated(FEBRUARY) == [(False, False)]
    assert estimated(replace(FEBRUARY, estimated=frozenset({29}))) == [(False, True)]
    assert estimated(replace(FEBRUARY, estimated=frozenset({10}), cuts=(10,))) == [(False, True), (True, False)]
    by_days = Known(29, registers=({0: 0, 29: 29_000},), cuts=(7,))
    assert estimated(by_days) == [(False, True), (True, False)]
    carried = replace(FEBRUARY, carried=(1, 900), carried_estimated=True)
    assert estimated(carried) == [(True, False)]
    assert estimated(replace(carried, carried=(2, 900))) == [(False, False)], "the register of another meter"


def test_nobody_is_determined_without_an_error() -> None:
    nothing: dict[str, Any] = {field.name: np.zeros(0, np.int64) for field in fields(Facts)}
    assert len(determine(Facts(**nothing), []).status) == 0
