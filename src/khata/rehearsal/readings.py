"""Meters that somebody reads: a simulated use of electricity in Kanpur's seasons, and the readings taken of it.

How much a home uses is drawn from the real households' daily means; when it uses it is a plain table of seasons.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64

Bool = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]

MONTHS = np.arange(np.datetime64("2023-01"), np.datetime64("2024-08"))
_STARTS = MONTHS.astype("datetime64[D]")
# Of the yearly mean, January to December: coolers and air conditioners from April to September.
_HOME_SEASON = (0.74, 0.68, 0.76, 1.02, 1.30, 1.42, 1.33, 1.27, 1.17, 0.92, 0.68, 0.71)
_SHOP_SEASON = (0.90, 0.88, 0.92, 1.02, 1.14, 1.18, 1.12, 1.08, 1.04, 1.00, 0.86, 0.86)
_MISSED, _FALLEN, _LEAPT = 0.015, 0.002, 0.002  # of a hundred thousand readings: not taken, too low, absurdly high
_LEAP_WH = 90_000_000


@dataclass(frozen=True)
class Cycle:
    """When a reading round goes: on `day` of every month, or of every second one from `first` on."""

    code: str
    day: int
    every: int
    first: dt.date


CYCLES = (
    Cycle("R03", 3, 1, dt.date(2023, 1, 1)),
    Cycle("R08", 8, 1, dt.date(2023, 1, 1)),
    Cycle("R13", 13, 1, dt.date(2023, 1, 1)),
    Cycle("R18", 18, 1, dt.date(2023, 1, 1)),
    Cycle("R23", 23, 1, dt.date(2023, 1, 1)),
    Cycle("R28", 28, 1, dt.date(2023, 1, 1)),
    Cycle("R20-2", 20, 2, dt.date(2023, 1, 1)),
)
CYCLE_SHARES = (0.17, 0.16, 0.16, 0.16, 0.16, 0.15, 0.04)


def daily_use(mean_wh: Int64, shop: Bool, rng: np.random.Generator) -> Int64:
    """Wh a day of each connection in each of MONTHS."""
    season = np.where(shop[:, None], np.array(_SHOP_SEASON), np.array(_HOME_SEASON))
    of_month = season[:, MONTHS.astype(np.int64) % 12]
    own = rng.lognormal(0, 0.12, of_month.shape)
    return np.rint(mean_wh[:, None] * of_month * own).astype(np.int64)


def registers(daily_wh: Int64, start_wh: Int64, days: Days) -> Int64:
    """The register of each connection (row) at the beginning of each of its days (columns), in whole units."""
    month = np.searchsorted(_STARTS, days, side="right") - 1
    lengths = np.diff(np.append(_STARTS, (MONTHS[-1] + 1).astype("datetime64[D]"))).astype(np.int64)
    before = np.concatenate([np.zeros((len(daily_wh), 1), np.int64), np.cumsum(daily_wh * lengths, axis=1)], axis=1)
    into = (days - _STARTS[month]).astype(np.int64)
    rows = np.arange(len(daily_wh))[:, None]
    wh = start_wh[:, None] + before[rows, month] + daily_wh[rows, month] * into
    return np.asarray(wh // 1000 * 1000, np.int64)


@dataclass(frozen=True)
class Rounds:
    """What the readers' rounds found: rows are connections, columns months; `read` says where there is a reading."""

    month: npt.NDArray[np.datetime64]
    day: Days
    register_wh: Int64
    demand_w: Int64
    read: Bool

    def of(self, rows: Int64) -> "Rounds":
        """Those of some connections."""
        return Rounds(self.month, self.day[rows], self.register_wh[rows], self.demand_w[rows], self.read[rows])

    def before(self, month: np.datetime64) -> Int64:
        """For each connection the column of its last reading before a month."""
        earlier = self.read & (self.month < month)
        return np.asarray(len(self.month) - 1 - np.argmax(earlier[:, ::-1], axis=1), np.int64)

    def previous(self, column: int) -> Int64:
        """For each connection the column of the reading before this one; -1 if there is none."""
        earlier = self.read[:, :column]
        found = column - 1 - np.argmax(earlier[:, ::-1], axis=1) if column else np.zeros(len(self.read), np.int64)
        return np.where(earlier.any(axis=1), found, -1)


def rounds(
    *, daily_wh: Int64, start_wh: Int64, cycle: Int64, cycles: Sequence[Cycle], load_factor: Int64, end: np.datetime64
) -> Rounds:
    """Every round goes as planned, up to but not including the day `end`."""
    offset = np.array([each.day - 1 for each in cycles])[cycle]
    every, first = (
        np.array([each.every for each in cycles])[cycle],
        np.array([each.first for each in cycles], "datetime64[M]")[cycle],
    )
    day = _STARTS + offset[:, None].astype("timedelta64[D]")
    planned = (MONTHS - first[:, None]).astype(np.int64) % every[:, None] == 0
    # A month's maximum is above what its mean day suggests: the load factor is of the month, not of one day.
    demand = daily_wh * 1000 // (24 * load_factor[:, None]) // 10 * 10
    return Rounds(MONTHS, day, registers(daily_wh, start_wh, day), demand, planned & (day < end))


def spoilt(found: Rounds, since: np.datetime64, rng: np.random.Generator) -> Rounds:
    """The rounds as they went: some doors were locked, some figures were written down wrong; at least one of each."""
    register, read = found.register_wh.copy(), found.read.copy()
    rows, columns = np.nonzero(read & (found.month >= since))
    order = rng.permutation(len(rows))
    missed, fallen, leapt = (max(1, round(len(rows) * share)) for share in (_MISSED, _FALLEN, _LEAPT))
    for kind, chosen in enumerate(np.split(order[: missed + fallen + leapt], [missed, missed + fallen])):
        at = rows[chosen], columns[chosen]
        if kind == 0:
            read[at] = False
        else:
            register[at] = register[at] // 10 // 1000 * 1000 if kind == 1 else register[at] + _LEAP_WH
    return Rounds(found.month, found.day, register, found.demand_w, read)
