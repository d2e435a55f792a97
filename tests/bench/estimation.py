"""How far estimates are from the truth: the tables of docs/algorithms/estimation.md.

    python -m tests.bench.estimation

Real days of CEEW's homes are hidden and estimated from the others: alone, three, seven and fourteen in a row, from
every 23rd day on. Once the registers on both sides are known (EST-01), once none is (EST-03). Of days with half-hours
eight are hidden (EST-02). Nothing needs a database.
"""

import sys
from collections.abc import Iterator

import numpy as np

from khata.kernel.estimates import UNKNOWN, History, Limits, fill
from khata.kernel.quantities import Int64
from khata.rehearsal.households import Series, read_households
from tests.bench.false_alarms import half_hours

LENGTHS, EVERY, BACK, AHEAD, LAST_YEAR = (1, 3, 7, 14), 23, 72, 8, 364
LIMITS = Limits(between=70, in_a_row=15, a_year=45, least_known=14)
HIDDEN = 8  # half-hours


def days_of(series: Series) -> tuple[int, Int64]:
    """(first day number, Wh of each day from then on, UNKNOWN where the source has none)."""
    number = series.day.astype(np.int64)
    total = np.full(int(number[-1] - number[0]) + 1, UNKNOWN, np.int64)
    total[number - number[0]] = series.wh
    return int(number[0]), total


def gaps(total: Int64, length: int) -> Iterator[int]:
    """Where so many known days begin that can be hidden, with a known day on each side and enough before."""
    known = total >= 0
    for start in range(BACK, len(total) - length - 1, EVERY):
        if known[start - 1 : start + length + 1].all() and known[start - BACK : start].sum() >= LIMITS.least_known:
            yield start


def hidden(first: int, total: Int64, start: int, length: int, *, registers: bool, season: bool = True) -> History:
    """The days around a gap, as if those in it had never been sent."""
    low, high = start - BACK, min(start + length + AHEAD, len(total))
    said = total[low:high].copy()
    said[BACK : BACK + length] = UNKNOWN
    count = high - low
    register = np.full(count + 1, UNKNOWN, np.int64)
    if registers:
        register[BACK], register[BACK + length] = 0, int(total[start : start + length].sum())
    then = np.arange(low, high) - LAST_YEAR
    last_year = np.where(then >= 0, total[np.maximum(then, 0)], UNKNOWN) if season else np.full(count, UNKNOWN)
    none, yes = np.full(count, UNKNOWN, np.int64), np.ones(count, np.bool_)
    hung = (total[low:high] >= 0) | ~yes
    return History(
        first + low,
        said,
        np.full((count, 48), UNKNOWN, np.int32),
        none,
        register,
        hung,
        yes,
        last_year.astype(np.int64),
    )


def table(*, season: bool = True) -> list[tuple[str, int, int, int, int, int, int]]:
    """(rule, days in a row, gaps, and in per mille: median and 90th percentile of how far a day is off, median of how
    far the whole gap is off, all estimates against all truth). A day is weighed against the home's mean day."""
    homes = [days_of(series) for series in read_households()]
    rows = []
    for rule in ("EST-01", "EST-03"):
        for length in LENGTHS:
            off, whole, estimated, true = [], [], 0, 0
            for first, total in homes:
                usual = int(total[total >= 0].mean())
                for start in gaps(total, length):
                    history = hidden(first, total, start, length, registers=rule == "EST-01", season=season)
                    made, truth = fill(history, LIMITS).total[BACK : BACK + length], total[start : start + length]
                    off += (1000 * np.abs(made - truth) // max(usual, 1)).tolist()
                    whole.append(1000 * abs(int(made.sum() - truth.sum())) // max(usual * length, 1))
                    estimated, true = estimated + int(made.sum()), true + int(truth.sum())
            middle, high = (int(np.percentile(off, percent)) for percent in (50, 90))
            against = 1000 * (estimated - true) // true
            rows.append((rule, length, len(whole), middle, high, int(np.percentile(whole, 50)), against))
    return rows


def inside() -> tuple[int, int, int]:
    """EST-02: (days, median and 90th percentile, in per mille of the day's mean half-hour, of how far a half-hour is
    off). Each day is filled from the home's other days."""
    off: list[int] = []
    days = 0
    for _, batch in half_hours():
        blocks = batch.blocks
        assert blocks is not None
        whole = np.flatnonzero((blocks >= 0).all(axis=1) & (blocks.sum(axis=1) > 0))
        for day in whole.tolist():
            others = whole[whole != day]
            if not len(others):
                continue
            said = np.vstack([blocks[others], blocks[day]]).astype(np.int32)
            total = said.sum(axis=1, dtype=np.int64)
            for start in range(0, 48, HIDDEN):
                shown = said.copy()
                shown[-1, start : start + HIDDEN] = UNKNOWN
                count = len(shown)
                none, yes = np.full(count, UNKNOWN, np.int64), np.ones(count, np.bool_)
                history = History(0, total, shown, none, np.full(count + 1, UNKNOWN), yes, yes, none)
                made = fill(history, LIMITS).blocks[-1]
                assert made.sum() == total[-1]
                wrong = np.abs(made - said[-1])[start : start + HIDDEN]
                off += (1000 * wrong * 48 // max(int(total[-1]), 1)).tolist()
            days += 1
    middle, high = (int(np.percentile(off, percent)) for percent in (50, 90))
    return days, middle, high


def main() -> None:
    say = sys.stdout.write
    say("| rule | days in a row | gaps | a day off: half within | 9 of 10 within | the gap off: half within | all |\n")
    say("|---|---:|---:|---:|---:|---:|---:|\n")
    for rule, length, many, middle, high, whole, against in table():
        say(f"| {rule} | {length} | {many:,} |" + "".join(f" {each / 10:.1f} % |" for each in (middle, high, whole)))
        say(f" {against / 10:+.1f} % |\n")
    days, middle, high = inside()
    say(f"\nEST-02, {HIDDEN} half-hours of {days} days: half within {middle / 10:.0f} %, ")
    say(f"9 of 10 within {high / 10:.0f} %\n")
    say("\nWithout last year's season:\n")
    for rule, length, many, middle, high, whole, against in table(season=False):
        if rule == "EST-03":
            say(
                f"{length:>3} days, {many:,} gaps: {middle / 10} % {high / 10} % {whole / 10} % {against / 10:+.1f} %\n"
            )


if __name__ == "__main__":
    main()
