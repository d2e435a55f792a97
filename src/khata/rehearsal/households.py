"""The real days of the CEEW households, moved to 2023-24, and what is laid over them: registers and demand.

The energy of each day is as it was measured. The source has no register: one is laid here that adds each real day and
goes on through a gap by the average of the two days beside it, as a real meter counts on while nobody hears it. The
missing days themselves stay missing.
"""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64

Days = npt.NDArray[np.datetime64]

CEEW = Path(__file__).with_name("data") / "ceew_daily_kwh.csv.gz"
MOVES = (4, 3)  # years: 2019-20 and 2020-21 both become 2023-24
FIRST_DAY = np.datetime64("2023-05-01")
FIRST_BILLED_MONTH = np.datetime64("2024-03")
# Real oddities that must not be lost in a small demo: they change their level, or fall silent.
ODDITIES = ("BR34", "BR52", "BR20")
_WH_PER_DAY_TO_W = 24


@dataclass(frozen=True)
class Series:
    """One household's known days, rising, and the energy of each. Days that are not here are not known."""

    household: str
    day: Days
    wh: Int64

    def steady(self, end: np.datetime64) -> bool:
        """Whether every whole month that Khata bills has days: then it may stand for many connections."""
        billed = np.arange(FIRST_BILLED_MONTH, end.astype("datetime64[M]"))
        return len(self.day) > 0 and bool(np.isin(billed, self.day.astype("datetime64[M]")).all())


def read_households(file: Path = CEEW) -> tuple[Series, ...]:
    """The households as measured, in the order of their names."""
    found: dict[str, list[tuple[str, int]]] = {}
    with gzip.open(file, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault(row["meter"], []).append((row["date"], int(Decimal(row["kwh"]).scaleb(3))))
    return tuple(_series(name, sorted(days)) for name, days in sorted(found.items()))


def _series(name: str, days: Sequence[tuple[str, int]]) -> Series:
    return Series(name, np.array([day for day, _ in days], "datetime64[D]"), np.array([wh for _, wh in days], np.int64))


def moved(series: Series, years: int) -> Series:
    """The same days of the month some years later; a 29 February that the later year does not have is left out."""
    month = series.day.astype("datetime64[M]")
    later = month + 12 * years
    day = later.astype("datetime64[D]") + (series.day - month.astype("datetime64[D]"))
    exists = day.astype("datetime64[M]") == later
    return Series(series.household, day[exists], series.wh[exists])


def between(series: Series, first: np.datetime64, end: np.datetime64) -> Series:
    kept = (series.day >= first) & (series.day < end)
    return Series(series.household, series.day[kept], series.wh[kept])


def offered(households: Sequence[Series], end: np.datetime64) -> tuple[list[Series], list[Series]]:
    """Series of 2023-24 up to `end`: those that may stand for many connections, and those for a single one.

    Each household appears; one whose days break off stands for one connection, so that its silence is seen without
    silencing the demo. The named oddities come first.
    """
    many, single = [], []
    for household in households:
        made = [between(moved(household, years), FIRST_DAY, end) for years in MOVES]
        steady = [each for each in made if each.steady(end) and household.household not in ODDITIES]
        many += steady
        if household.household in ODDITIES:
            single.append(made[0])  # its oddity lies in the first year
        elif not steady:
            single.append(max(made, key=lambda each: len(each.day)))
    single.sort(key=lambda each: (each.household not in ODDITIES, each.household))
    return many, single


def lay_register(series: Series, start_wh: int) -> Int64:
    """The register at the end of each known day: real days added up, a gap by the average of its two neighbours."""
    if not len(series.day):
        return np.zeros(0, np.int64)
    missing = np.diff(series.day).astype(np.int64) - 1
    over_gap = (missing * (series.wh[:-1] + series.wh[1:]) + 1) // 2
    return np.asarray(start_wh + np.cumsum(series.wh) + np.concatenate([[0], np.cumsum(over_gap)]), np.int64)


def register_at(series: Series, register_wh: Int64, days: Days) -> Int64:
    """The laid register at the beginning of any day; before the first and after the last known day it stands still."""
    known = np.stack([series.day, series.day + 1], axis=1).ravel().astype(np.int64)
    wh = np.stack([register_wh - series.wh, register_wh], axis=1).ravel()
    return np.rint(np.interp(days.astype(np.int64), known, wh)).astype(np.int64)


def demand_w(day_wh: Int64, load_factor_permille: Int64) -> Int64:
    """A maximum demand for a day's energy: synthetic, in steps of 10 W as a meter shows it."""
    return day_wh * 1000 // (_WH_PER_DAY_TO_W * load_factor_permille) // 10 * 10


def load_for(peak_w: Int64, ask: npt.NDArray[np.float64]) -> Int64:
    """A sanctioned load of 1 to 10 whole kW that suits a peak; `ask` says how far the consumer declared above it."""
    return np.clip(np.rint(peak_w * ask / 1000).astype(np.int64), 1, 10) * 1000
