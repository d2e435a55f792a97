"""From registers to what is rated: who used how much, on which terms, in which days: docs/algorithms/determinants.md.

Energy is always the difference of two registers. What a meter used in a gap of its days stands in the next register
that is known, so it is billed once and never guessed; a bill begins with the register with which the last one ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from khata.kernel.quantities import Bool, Int64, half_up

OK, NO_READING, NEGATIVE, NO_TERMS, NO_METER = 0, 1, 2, 3, 4

# Registers are looked up by one number per meter and day; days lie between 0 and 2²⁰ (year 4840).
DAYS = 2**20
_UNKNOWN = -1


@dataclass(frozen=True)
class Facts:
    """What is known, as columns of int64. Connections are numbered 0 … n-1; meters are any numbers.

    Terms and meters are those in effect (highest revision), sorted by connection and first day; a first day before
    the period counts from its beginning. Registers stand at the beginning of a day, sorted by meter and day; the
    demand of a day range [demand_from, demand_to) is the maximum recorded in it.
    """

    start: Int64  # per connection, day numbers
    end: Int64
    terms_connection: Int64
    terms_from: Int64
    terms_ended: Int64
    meter_connection: Int64
    meter_from: Int64
    meter: Int64  # 0: taken away
    register_meter: Int64
    register_day: Int64
    register_wh: Int64
    register_estimated: Bool  # it was told from registers around it, not read
    demand_meter: Int64
    demand_from: Int64
    demand_to: Int64
    demand_w: Int64
    carried_meter: Int64  # per connection: meter and register with which the last bill ended; 0, 0 if none
    carried_wh: Int64
    carried_estimated: Bool


@dataclass(frozen=True)
class Determinants:
    """Segments (one set of terms, days without a cut) and the meter stretches that measured them."""

    connection: Int64  # of each segment
    terms: Int64  # position in the facts' terms
    start: Int64
    end: Int64
    energy_wh: Int64
    demand_w: Int64  # -1: none was recorded
    stretch_segment: Int64  # of each stretch: its segment
    stretch_meter: Int64
    stretch_opening: Int64
    stretch_closing: Int64
    stretch_opening_estimated: Bool  # also where it was shared out by days
    stretch_closing_estimated: Bool
    status: Int64  # of each connection: OK or why it has no determinants


def determine(facts: Facts, cuts: list[tuple[int, int]]) -> Determinants:
    """Split at changes of terms and at `cuts` (connection, day); parts add up exactly to the register difference."""
    terms, connection, start, end = _stretches(facts, facts.terms_connection, facts.terms_from, cuts)
    supplied = facts.terms_ended[terms] == 0
    terms, connection, start, end = terms[supplied], connection[supplied], start[supplied], end[supplied]
    hung, m_connection, m_start, m_end = _stretches(facts, facts.meter_connection, facts.meter_from, [])
    there = facts.meter[hung] != 0
    hung, m_connection, m_start, m_end = hung[there], m_connection[there], m_start[there], m_end[there]
    meter = facts.meter[hung]
    stretches = _ends(facts, m_connection, meter, m_start, m_end)
    opening, closing = stretches.opening, stretches.closing
    status = _status(facts, connection, m_connection, opening, closing)
    at = _atoms(connection, start, end, m_connection, m_start, m_end)
    (from_wh, from_guess), (to_wh, to_guess) = (
        _register_at(facts, stretches, at.stretch, day) for day in (at.start, at.end)
    )
    # The pieces at the ends of a stretch take its very registers, so that pieces always add up to the whole. Where the
    # supply began later or ended earlier than the stretch, the register of that day bounds what is billed.
    begins, ends = at.first & (at.start == m_start[at.stretch]), at.last & (at.end == m_end[at.stretch])
    from_wh, to_wh = np.where(begins, opening[at.stretch], from_wh), np.where(ends, closing[at.stretch], to_wh)
    from_guess = np.where(begins, stretches.opening_estimated[at.stretch], from_guess)
    to_guess = np.where(ends, stretches.closing_estimated[at.stretch], to_guess)
    energy = np.zeros(len(start), np.int64)
    np.add.at(energy, at.segment, to_wh - from_wh)
    negative = _any(len(facts.start), m_connection[closing < opening]) | _any(len(facts.start), connection[energy < 0])
    status = np.where((status == OK) & negative, NEGATIVE, status)
    demand = _demand(facts, connection, start, end, at, meter)
    return Determinants(
        connection, terms, start, end, energy, demand,
        at.segment, meter[at.stretch], from_wh, to_wh, from_guess, to_guess, status,
    )  # fmt: skip


def _stretches(
    facts: Facts, connection: Int64, from_day: Int64, cuts: list[tuple[int, int]]
) -> tuple[Int64, Int64, Int64, Int64]:
    """Dated facts → rows (position, connection, start, end) clipped to each period; an end is the next row's start."""
    position = np.arange(len(connection))
    if cuts:
        owners, days = (np.array(column, np.int64) for column in zip(*cuts, strict=True))
        # A cut repeats, from its day on, whatever was in effect before it.
        order = np.lexsort((from_day, connection))
        before = np.searchsorted(connection[order] * DAYS + from_day[order], owners * DAYS + days, side="right") - 1
        repeated = order[np.maximum(before, 0)]
        found = (before >= 0) & (connection[repeated] == owners)  # where nothing was in effect, nothing is cut
        position = np.concatenate([position, repeated[found]])
        connection, from_day = np.concatenate([connection, owners[found]]), np.concatenate([from_day, days[found]])
    order = np.lexsort((from_day, connection))
    position, connection, from_day = position[order], connection[order], from_day[order]
    next_day = np.full(len(connection), DAYS)
    next_day[:-1] = np.where(connection[1:] == connection[:-1], from_day[1:], DAYS)
    start, end = np.maximum(from_day, facts.start[connection]), np.minimum(next_day, facts.end[connection])
    kept = start < end
    return position[kept], connection[kept], start[kept], end[kept]


def _ends(facts: Facts, connection: Int64, meter: Int64, start: Int64, end: Int64) -> _Stretches:
    """Opening and closing register of each meter stretch with the day on which they stood; -1 where unknown."""
    key = facts.register_meter * DAYS + facts.register_day
    first = np.searchsorted(key, meter * DAYS + start, side="left")
    last = np.searchsorted(key, meter * DAYS + end, side="right") - 1
    known = (first < len(key)) & (first <= last)
    safe_first, safe_last = np.minimum(first, max(len(key) - 1, 0)), np.maximum(last, 0)
    wh = facts.register_wh if len(key) else np.array([_UNKNOWN])
    day = facts.register_day if len(key) else np.array([0])
    estimated = facts.register_estimated if len(key) else np.zeros(1, np.bool_)
    opening, opened = np.where(known, wh[safe_first], _UNKNOWN), np.where(known, day[safe_first], start)
    closing, closed = np.where(known, wh[safe_last], _UNKNOWN), np.where(known, day[safe_last], end)
    carried = (facts.carried_meter[connection] == meter) & (start == facts.start[connection])
    opening = np.where(carried, facts.carried_wh[connection], opening)
    opened = np.where(carried, start, opened)
    guess = np.where(carried, facts.carried_estimated[connection], estimated[safe_first])
    # Where a meter was changed, its register must be known on that very day, else the days to it are billed to nobody.
    other = (facts.carried_meter[connection] != 0) & (facts.carried_meter[connection] != meter)
    hung_in, taken_out = other | (start > facts.start[connection]), end < facts.end[connection]
    known &= ~(hung_in & (opened > start)) & ~(taken_out & (closed < end))
    # One register alone measures nothing: the stretch is not read.
    closing = np.where(known & (closed > opened), closing, _UNKNOWN)
    return _Stretches(meter, opening, opened, guess, closing, closed, estimated[safe_last])


def _status(facts: Facts, connection: Int64, m_connection: Int64, opening: Int64, closing: Int64) -> Int64:
    status = np.zeros(len(facts.start), np.int64)
    unread = np.zeros(len(facts.start), np.bool_)
    unread[m_connection[(opening == _UNKNOWN) | (closing == _UNKNOWN)]] = True
    status[unread] = NO_READING
    status[~_any(len(status), m_connection)] = NO_METER
    status[~_any(len(status), connection)] = NO_TERMS
    return status


def _any(count: int, rows: Int64) -> Bool:
    found = np.zeros(count, np.bool_)
    found[rows] = True
    return found


@dataclass(frozen=True)
class _Atoms:
    """Where segments and meter stretches overlap: the smallest pieces that are measured."""

    segment: Int64
    stretch: Int64
    start: Int64
    end: Int64
    first: Bool  # of its stretch
    last: Bool


def _atoms(connection: Int64, start: Int64, end: Int64, m_connection: Int64, m_start: Int64, m_end: Int64) -> _Atoms:
    low = np.searchsorted(m_connection, connection, side="left")
    count = np.searchsorted(m_connection, connection, side="right") - low
    segment = np.repeat(np.arange(len(connection)), count)
    within = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
    stretch = low[segment] + within
    begin, stop = np.maximum(start[segment], m_start[stretch]), np.minimum(end[segment], m_end[stretch])
    kept = begin < stop
    segment, stretch, begin, stop = segment[kept], stretch[kept], begin[kept], stop[kept]
    # Rows of one stretch follow each other only after sorting: its segments rise by day already.
    order = np.lexsort((begin, stretch))
    first, last = np.zeros(len(order), np.bool_), np.zeros(len(order), np.bool_)
    if len(order):
        turn = stretch[order][1:] != stretch[order][:-1]
        first[order], last[order] = np.append(True, turn), np.append(turn, True)
    return _Atoms(segment, stretch, begin, stop, first, last)


@dataclass(frozen=True)
class _Stretches:
    """Meter stretches with the registers at their two ends and the days on which those stood."""

    meter: Int64
    opening: Int64
    opened: Int64
    opening_estimated: Bool
    closing: Int64
    closed: Int64
    closing_estimated: Bool


def _register_at(facts: Facts, stretches: _Stretches, stretch: Int64, day: Int64) -> tuple[Int64, Bool]:
    """Register of a stretch on a day inside it: as metered that day, else between its ends by days; is it estimated."""
    opening, closing = stretches.opening[stretch], stretches.closing[stretch]
    length = np.maximum(stretches.closed[stretch] - stretches.opened[stretch], 1)
    done = np.clip(day - stretches.opened[stretch], 0, length)
    by_days = opening + half_up((closing - opening) * done, length)
    if not len(facts.register_meter):
        return by_days, np.ones(len(day), np.bool_)
    key, wanted = facts.register_meter * DAYS + facts.register_day, stretches.meter[stretch] * DAYS + day
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    metered = facts.register_wh[at]
    there = (key[at] == wanted) & (metered >= opening) & (metered <= closing)
    return np.where(there, metered, by_days), ~there | facts.register_estimated[at]


def _demand(facts: Facts, connection: Int64, start: Int64, end: Int64, at: _Atoms, meter: Int64) -> Int64:
    """The highest demand recorded in the days of each segment; -1 where none was."""
    demand = np.full(len(connection), _UNKNOWN)
    low = np.searchsorted(facts.demand_meter, meter[at.stretch], side="left")
    count = np.searchsorted(facts.demand_meter, meter[at.stretch], side="right") - low
    atom = np.repeat(np.arange(len(at.stretch)), count)
    row = low[atom] + np.arange(len(atom)) - np.repeat(np.cumsum(count) - count, count)
    overlaps = (facts.demand_from[row] < at.end[atom]) & (facts.demand_to[row] > at.start[atom])
    np.maximum.at(demand, at.segment[atom[overlaps]], facts.demand_w[row[overlaps]])
    return demand
