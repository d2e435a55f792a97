"""Days of a meter that nobody sent: how much each is likely to have been, and what registers say of them together.

One meter at a time, over consecutive days; whole numbers only. See docs/algorithms/estimation.md.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from khata.kernel.quantities import Bool, Int64
from khata.kernel.shares import largest_remainder

UNKNOWN = -1
HALF_HOURS = 48
BETWEEN_REGISTERS, INSIDE_A_DAY, LIKE_DAYS = 1, 2, 3  # EST-01, EST-02, EST-03
MOST_WH = 2**31 - 1  # what the column of a day's energy holds
_BACK_DAYS, _SAME_DAYS, _DAYS, _SHAPES, _WEEK = 70, 5, 14, 14, 7
_SEASON_LEAST = 7  # days known of last year on both sides, else its level says nothing


@dataclass(frozen=True)
class Limits:
    """How much may be guessed. Days: between two registers, in a row, within a year; resting on so many known days."""

    between: int
    in_a_row: int
    a_year: int
    least_known: int


@dataclass(frozen=True)
class History:
    """n consecutive days of one meter as they were measured, the first of them day number `first`; UNKNOWN: not known.

    total, last_year      (n,) Wh; `last_year` of the same weekday 364 days before
    blocks                (n, 48) Wh
    off                   (n,) bit k-1: no supply in half-hour k
    register              (n + 1,) at the beginning of each day, and at the end of the last
    hung                  (n,) whether it hung anywhere
    guessable             (n,) whether a day without registers on both sides may be guessed at all
    guessed               day numbers of earlier days that were guessed, for the year's limit
    since                 position of the first day that is to be filled; those before it only show what is usual
    """

    first: int
    total: Int64
    blocks: NDArray[np.int32]
    off: Int64
    register: Int64
    hung: Bool
    guessable: Bool
    last_year: Int64
    guessed: tuple[int, ...] = ()
    since: int = 0


@dataclass
class Filled:
    """What is estimated: (n,) each. `rule` 0 where nothing is; `register` at the day's end, of EST-01 alone."""

    rule: NDArray[np.int8]
    total: Int64
    register: Int64
    blocks: NDArray[np.int32]
    contradicted: Bool  # registers leave less than what is known of these days: nothing is made up
    over_limit: Bool  # not guessed because the limits say so
    guesses: list[int] = field(default_factory=list)  # day numbers


def fill(history: History, limits: Limits) -> Filled:
    """Fill the gaps of a meter; nothing that is known is changed, and days between registers add up to them."""
    count = len(history.total)
    none = np.full(count, UNKNOWN, np.int64)
    false = np.zeros(count, np.bool_)
    filled = Filled(
        np.zeros(count, np.int8), none, none.copy(), history.blocks.copy(), false, false.copy(), list(history.guessed)
    )
    habits = _Habits(history)
    bounded = _between_registers(history, habits, limits, filled)
    _like_days(history, habits, limits, filled, bounded)
    known = history.blocks >= 0
    # A day of which only the total came stays one: its half-hours would be pure invention.
    partly = history.hung & (history.total >= 0) & known.any(axis=1) & ~known.all(axis=1)
    for day in (history.since + np.flatnonzero(partly[history.since :])).tolist():
        _inside(history, habits, filled, day)
    return filled


class _Habits:
    """What this meter's days are usually like, from days before each (or, where there are none, after it)."""

    def __init__(self, history: History) -> None:
        self.total, self.last_year = history.total, history.last_year
        self.known = np.flatnonzero(history.hung & (history.total >= 0))
        self.blocks = history.blocks
        self.whole = np.flatnonzero(history.hung & (history.blocks >= 0).all(axis=1))
        on = history.off.copy()
        on[on < 0] = 0
        bits = (on[:, None] >> np.arange(HALF_HOURS)) & 1
        self.open: Bool = (history.blocks < 0) & (bits == 0)  # half-hours that may be given energy
        self.least = np.where(history.blocks >= 0, history.blocks, 0).sum(axis=1, dtype=np.int64)

    def level(self, day: int) -> int:
        """Wh of such a day: the mean of the last same weekdays, moved with the season as last year's days moved."""
        like = self._like(self.known, day, _SAME_DAYS, _DAYS)
        if not len(like):
            return 0
        mean = int(self.total[like].sum()) // len(like)
        then, since = self._last_year(day, day), self._last_year(int(like.min()), int(like.max()))
        if then is None or since is None or not since[0]:
            return mean
        moved = mean * then[0] * since[1] // (since[0] * then[1])
        return min(max(moved, mean // 2), 2 * mean)

    def _last_year(self, first: int, last: int) -> tuple[int, int] | None:
        """(sum, days) of what is known of last year, from a week before to a week after."""
        values = self.last_year[max(first - _WEEK, 0) : last + _WEEK + 1]
        values = values[values >= 0]
        return (int(values.sum()), len(values)) if len(values) >= _SEASON_LEAST else None

    def shape(self, day: int) -> Int64 | None:
        """(48,) Wh of the half-hours of such days together; None where this meter's half-hours are not known."""
        like = self._like(self.whole, day, _SAME_DAYS, _SHAPES)
        return np.asarray(self.blocks[like].sum(axis=0), np.int64) if len(like) else None

    def weights(self, day: int) -> Int64:
        """(48,) how the unknown energy of a day lies in its half-hours; 0 where it cannot have flowed."""
        shape = self.shape(day)
        even = self.open[day].astype(np.int64)
        weights = even if shape is None else np.where(self.open[day], shape, 0)
        return weights if weights.any() else even

    def likely(self, day: int) -> int:
        """Wh of a day's unknown half-hours."""
        weights, shape = self.weights(day), self.shape(day)
        usual = np.ones(HALF_HOURS, np.int64) if shape is None or not shape.any() else shape
        if not weights.any():
            return 0
        return self.level(day) * int(np.where(self.open[day], usual, 0).sum()) // int(usual.sum())

    def _like(self, among: Int64, day: int, same: int, others: int) -> Int64:
        before = among[(among < day) & (among >= day - _BACK_DAYS)]
        of_weekday = before[(day - before) % _WEEK == 0][-same:]
        if len(of_weekday) >= 2:
            return np.asarray(of_weekday, np.int64)
        return np.asarray(before[-others:] if len(before) else among[among > day][:others], np.int64)


def _between_registers(history: History, habits: _Habits, limits: Limits, filled: Filled) -> Bool:
    """EST-01. Returns which days lie between two registers, estimated or not."""
    bounded = np.zeros(len(history.total), np.bool_)
    unknown = (history.total < 0) & history.hung
    before = np.concatenate([[0], np.cumsum(unknown)])
    bounds = np.flatnonzero(history.register >= 0)
    wanted = (np.diff(before[bounds]) > 0) & (np.diff(bounds) <= limits.between) & (bounds[1:] > history.since)
    for first, end in np.transpose([bounds[:-1], bounds[1:]])[wanted].tolist():
        days = np.arange(first, end)
        gap = days[unknown[days]]
        bounded[gap] = True
        known = np.where(history.total[days] >= 0, history.total[days], 0)
        rest = int(history.register[end] - history.register[first]) - int(known.sum()) - int(habits.least[gap].sum())
        likely = _spread_weights(habits, gap)
        if rest < 0 or rest > MOST_WH or (rest > 0 and not likely.any()):
            filled.contradicted[gap] = True
            continue
        shares = largest_remainder(rest, likely)
        for day, share in zip(gap.tolist(), shares.tolist(), strict=True):
            _put(habits, filled, day, BETWEEN_REGISTERS, share)
        whole = np.where(filled.rule[days] == BETWEEN_REGISTERS, filled.total[days], known)
        filled.register[gap] = (history.register[first] + np.cumsum(whole))[gap - first]
    return bounded


def _spread_weights(habits: _Habits, gap: Int64) -> Int64:
    likely = np.array([habits.likely(day) for day in gap.tolist()], np.int64)
    return likely if likely.any() else np.asarray(habits.open[gap].any(axis=1), np.int64)


def _like_days(history: History, habits: _Habits, limits: Limits, filled: Filled, bounded: Bool) -> None:
    """EST-03, day after day, because each uses up what may be guessed in a row and in a year."""
    unknown = history.hung & (history.total < 0) & ~bounded & (history.register[1:] < 0)
    row, last = 0, -1
    for day in np.flatnonzero(unknown).tolist():
        row, last = (row + 1 if day == last + 1 else 1), day
        if not history.guessable[day]:
            continue
        number = history.first + day
        this_year = sum(number - 365 < each < number for each in filled.guesses)
        rests_on = int(np.searchsorted(habits.known, day))
        if rests_on < limits.least_known or row > limits.in_a_row or this_year >= limits.a_year:
            filled.over_limit[day] = True
            continue
        _put(habits, filled, day, LIKE_DAYS, min(habits.likely(day), MOST_WH - int(habits.least[day])))
        filled.guesses.append(number)


def _inside(history: History, habits: _Habits, filled: Filled, day: int) -> None:
    """EST-02: what half-hours leave of a known total, spread over those that are unknown."""
    rest = int(history.total[day]) - int(habits.least[day])
    if rest < 0 or (rest > 0 and not habits.open[day].any()):
        filled.contradicted[day] = True
        return
    _put(habits, filled, day, INSIDE_A_DAY, rest)


def _put(habits: _Habits, filled: Filled, day: int, rule: int, energy: int) -> None:
    """Give the unknown half-hours of a day this energy; where its half-hours are never known, only the total."""
    filled.rule[day] = rule
    filled.total[day] = habits.least[day] + energy
    unknown = filled.blocks[day] < 0
    if unknown.all() and habits.shape(day) is None:
        return
    shares = largest_remainder(energy, habits.weights(day)) if energy else np.zeros(HALF_HOURS, np.int64)
    filled.blocks[day] = np.where(unknown, shares, filled.blocks[day])
