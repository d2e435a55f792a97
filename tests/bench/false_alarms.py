"""How often each check accuses real meter days, and how often wrongly: the table of docs/algorithms/validation.md.

    python -m tests.bench.false_alarms

The days are CEEW's (rehearsal/data): each household's days, one after another, judged as if the days before it had
been received and what is usual of the meter made anew each night. Nothing needs a database.
"""

import csv
import functools
import gzip
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from khata.formats.meterdays import MeterDayBatch
from khata.kernel.quantities import Int64
from khata.metering.checks import KINDS, UNKNOWN, Known, check, read_rules
from khata.rehearsal.households import CEEW, Series, lay_register, load_for, read_households

HALF_HOURS = CEEW.with_name("ceew_bareilly_30min_2019.csv.gz")
RECENT, SILENT, ENOUGH = 35, 180, 7  # as metering.nightly.make_usual
LOAD_FACTOR_PERMILLE = 300  # of a home on a heavy day: loads are not in the source and are laid from it
DIGITS = 6
FACTOR = 20


@dataclass(frozen=True)
class Documented:
    """A flaw that the source names: days of a household on which these rules speak rightly.

    Those of at least `at_least_wh` should be found; 0: one in each of `runs` stretches.
    """

    household: str
    first: str
    last: str
    rules: tuple[str, ...]
    at_least_wh: int
    flaw: str
    runs: int = 0


DOCUMENTED = (
    Documented("BR20", "2020-01-16", "2020-01-18", ("VAL-16", "VAL-17"), 1, "near 0, then about 40 kWh for three days"),
    Documented("BR24", "2019-12-04", "2019-12-04", ("VAL-21",), 1, "frequency of exactly 50 Hz at 280-308 V"),
    Documented("BR31", "2020-05-07", "2020-10-16", ("VAL-16", "VAL-17"), 25_000, "3.6 kWh with runs of 25-45"),
    Documented("BR34", "2019-08-05", "2019-08-05", ("VAL-17",), 1, "silent for two months, back at a fifth"),
    Documented("BR42", "2019-08-20", "2020-05-01", ("VAL-18",), 0, "three runs of 41 to 91 zero days", 3),
    Documented("BR52", "2019-09-07", "2019-09-07", ("VAL-17",), 1, "silent for two months, back at a third"),
)
# Which material each rule can be tried on. Neither clocks nor the sender's factor are in the source.
DAILY = ("VAL-05", "VAL-13", "VAL-14", "VAL-15", "VAL-16", "VAL-17", "VAL-18", "VAL-20")
Accusation = tuple[str, str, str]  # rule, household, day


@functools.cache
def accusations() -> tuple[list[Accusation], list[Accusation]]:
    """Of the days with laid registers, and of those with half-hours."""
    households = read_households()
    of = {series.household: laid(series) for series in households}
    daily: list[Accusation] = []
    for household, (batch, known) in of.items():
        daily += _accused(household, batch, known)
        # Once more behind current transformers, for the multiplying factor alone.
        behind = replace(known, factor=np.full(len(batch), FACTOR))
        daily += [each for each in _accused(household, batch, behind) if each[0] == "VAL-20"]
    halves = [each for name, batch in half_hours() for each in _accused(name, batch, _of_half_hours(batch, *of[name]))]
    return daily, halves


def _accused(household: str, batch: MeterDayBatch, known: Known) -> list[Accusation]:
    return [
        (flagged.rule, household, str(batch.days[row]))
        for flagged in check(batch, known, read_rules())
        for row in flagged.rows
    ]


def _of_half_hours(batch: MeterDayBatch, all_days: MeterDayBatch, known: Known) -> Known:
    """What is known of days that are a few of all days of their meter; the usual peak is that of these few."""
    at = np.searchsorted(all_days.days, batch.days)
    assert batch.blocks is not None and (all_days.total_wh[at] == batch.total_wh).all()
    peaks = np.sort(batch.blocks.max(axis=1))
    return known_of(
        len(batch),
        meter=1,
        factor=1,
        kind=known.kind[at],
        load_w=known.load_w[at],
        usual_wh=known.usual_wh[at],
        usual_days=known.usual_days[at],
        zero_days=known.zero_days[at],
        peak_wh=peaks[(len(peaks) - 1) // 2],
    )


def is_documented(accusation: Accusation) -> bool:
    rule, household, day = accusation
    return any(
        rule in each.rules and household == each.household and each.first <= day <= each.last for each in DOCUMENTED
    )


def table() -> list[tuple[str, int, int, int, int]]:
    """(rule, days it was tried on, accused, of these documented or laid on purpose, false alarms)."""
    daily, halves = accusations()
    days = sum(len(series.day) for series in read_households())
    tried = [(rule, days, daily) for rule in DAILY]
    tried += [(rule, 21, halves) for rule in ("VAL-21", "VAL-22", "VAL-23")]
    rows = []
    for rule, count, found in tried:
        accused = {each for each in found if each[0] == rule}
        right = accused if rule == "VAL-14" else {each for each in accused if is_documented(each)}
        rows.append((rule, count, len(accused), len(right), len(accused - right)))
    return rows


def documented() -> list[tuple[Documented, int, int]]:
    """(flaw, days of it that were noted, days that should be)."""
    daily, halves = accusations()
    of = {series.household: series for series in read_households()}
    out = []
    for flaw in DOCUMENTED:
        noted = {
            day
            for rule, household, day in daily + halves
            if household == flaw.household and rule in flaw.rules and flaw.first <= day <= flaw.last
        }
        series = of[flaw.household]
        inside = (series.day >= np.datetime64(flaw.first)) & (series.day <= np.datetime64(flaw.last))
        high = {str(day) for day in series.day[inside & (series.wh >= flaw.at_least_wh)]}
        out.append((flaw, len(noted & high), flaw.runs or len(high)))
    return out


def of_days(days: np.ndarray, blocks: np.ndarray | None, total: Int64, **more: np.ndarray) -> MeterDayBatch:
    """A batch of known days, as a reader would hand it on."""
    count = len(days)
    return MeterDayBatch(
        lines=np.arange(1, count + 1),
        serials=np.full(count, b"M", "S1"),
        days=days.astype("M8[D]"),
        blocks=blocks,
        known=None if blocks is None else blocks >= 0,
        total_wh=total,
        total_known=total >= 0,
        **more,
    )


def known_of(count: int, **columns: Int64 | int | np.ndarray) -> Known:
    """What is known of the rows; what is not named is unknown, and every row is of a meter of its own."""
    names = [name for name in Known.__dataclass_fields__ if name != "before_blocks"]
    filled = {name: np.full(count, UNKNOWN, np.int64) for name in names}
    filled["meter"] = np.arange(count)
    filled |= {
        name: np.broadcast_to(value, (count,)).astype(np.int64) for name, value in columns.items() if name in names
    }
    return Known(**filled, before_blocks=columns.get("before_blocks"))


def usual_of(day: Int64, total: Int64, peak: Int64) -> dict[str, Int64]:
    """For each day of one meter, rising: what the days before it make usual. Peaks may be unknown."""
    out = {name: np.full(len(day), UNKNOWN, np.int64) for name in ("usual_wh", "peak_wh", "usual_days", "zero_days")}
    recent, silent = np.searchsorted(day, day - RECENT), np.searchsorted(day, day - SILENT)
    place = np.arange(len(day))
    first = np.where(place - recent >= ENOUGH, recent, np.maximum(silent, place - RECENT))
    counted = np.maximum.accumulate(np.where(total > 0, place, -1))
    out["usual_days"][:] = place - first
    out["zero_days"][1:] = np.minimum(place[1:] - 1 - counted[:-1], (place - first)[1:])
    out["zero_days"][:1] = 0
    for i in np.flatnonzero(place - first >= ENOUGH):
        middle = (i - first[i] - 1) // 2
        out["usual_wh"][i] = np.sort(total[first[i] : i])[middle]
        out["peak_wh"][i] = np.sort(peak[first[i] : i])[middle]
    return out


def laid(series: Series) -> tuple[MeterDayBatch, Known]:
    """One household's days with a register that turns over once, in the middle of them."""
    day, count = series.day.astype(np.int64), len(series.day)
    round_wh = 10**DIGITS * 1000
    register = lay_register(series, 0)
    register = (register - register[count // 2] + round_wh) % round_wh
    peak_w = np.sort(series.wh)[9 * (count - 1) // 10] * 1000 // (24 * LOAD_FACTOR_PERMILLE)
    load = load_for(np.array([peak_w]), np.array([1.0]))
    before = np.concatenate([[UNKNOWN], np.arange(count - 1)])
    known = known_of(
        count,
        load_w=load,
        factor=1,
        register_digits=DIGITS,
        kind=KINDS.index("single phase"),
        before_day=np.where(before < 0, UNKNOWN, day[before]),
        before_register_wh=np.where(before < 0, UNKNOWN, register[before]),
        **usual_of(day, series.wh, np.full(count, UNKNOWN)),
    )
    return of_days(series.day, None, series.wh, register_wh=register), known


def half_hours() -> Iterator[tuple[str, MeterDayBatch]]:
    """The four households with half-hours: energy, voltage while there was supply, current, frequency, power cuts."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    with gzip.open(HALF_HOURS, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault((row["meter"], row["ts"][:10]), []).append(row)
    for name in sorted({household for household, _ in found}):
        days = sorted(day for household, day in found if household == name)

        def column(of: str, days: list[str] = days, name: str = name) -> np.ndarray:
            return np.array([[float(row[of]) for row in found[name, day]] for day in days])

        def whole(values: np.ndarray) -> np.ndarray:
            return np.rint(values).astype(np.int32)

        # The means hold zeros where the supply was off: what was there while it was on is more.
        powered = column("powered_samples")
        live = np.maximum(powered, 1) / 10
        blocks = whole(column("kwh") * 1000)
        yield (
            name,
            of_days(
                np.array(days, "M8[D]"),
                blocks,
                blocks.sum(axis=1, dtype=np.int64),
                volts_dv=whole(column("v_avg") / live * 10),
                current_ma=whole(column("a_avg") * 1000),
                hertz_mhz=whole(column("hz_avg") / live * 1000),
                off=((powered == 0).astype(np.int64) << np.arange(48)).sum(axis=1),
            ),
        )


def main() -> None:
    lines = [
        "| rule | meter days | accused | rightly | wrongly | wrongly per 1,000 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for rule, count, accused, right, wrong in table():
        lines.append(f"| {rule} | {count:,} | {accused} | {right} | {wrong} | {1000 * wrong / count:.2f} |")
    lines += ["", "| flaw that the source names | rules | days found |", "|---|---|---|"]
    for flaw, found, should in documented():
        lines.append(f"| {flaw.household}: {flaw.flaw} | {', '.join(flaw.rules)} | {found} of {should} |")
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
