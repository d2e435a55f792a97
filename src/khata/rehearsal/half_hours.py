"""Half-hours of the demo's smart meters: the real ones where there are any, else a real day's shape.

21 real days of four homes have half-hours. On any other day the energy, which is real, is spread as one of those days
was, power cuts included; the peak is what the day's demand says.
"""

import csv
import gzip
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64
from khata.rehearsal.households import MOVES

Blocks = npt.NDArray[np.int32]
Days = npt.NDArray[np.datetime64]

CEEW_HALF_HOURS = Path(__file__).with_name("data") / "ceew_bareilly_30min_2019.csv.gz"
HALF_HOURS = 48


@dataclass(frozen=True)
class RealDays:
    """One row a real day, on the demo's calendar: whose, which day, Wh of each half-hour, where there was no supply."""

    household: tuple[str, ...]
    day: Days
    blocks_wh: Blocks
    dead: npt.NDArray[np.bool_]


def read_half_hours(file: Path = CEEW_HALF_HOURS) -> RealDays:
    """The days as measured, moved like the daily totals of the first year. A half-hour without any sample was dead."""
    found: dict[tuple[str, str], list[tuple[int, bool]]] = {}
    with gzip.open(file, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            wh = int(Decimal(row["kwh"]).scaleb(3))
            found.setdefault((row["meter"], row["ts"][:10]), []).append((wh, row["powered_samples"] == "0"))
    keys = sorted(found)
    cells = np.array([found[key] for key in keys], np.int64)
    years = np.array([f"{int(day[:4]) + MOVES[0]}{day[4:]}" for _, day in keys], "datetime64[D]")
    return RealDays(tuple(name for name, _ in keys), years, cells[:, :, 0].astype(np.int32), cells[:, :, 1] == 1)


@dataclass(frozen=True)
class Told:
    """What a meter told of each day: half-hours (-1: not told), the demand, where it had no supply (-1: not told)."""

    blocks_wh: Blocks
    demand_w: Int64
    off: Int64


def half_hours(
    *,
    household: list[str],
    day: Days,
    day_wh: Int64,
    demand_w: Int64,
    since: np.datetime64,
    real: RealDays,
    rng: np.random.Generator,
) -> Told:
    """Columns of equal length: real half-hours on real days, a real day's shape from `since` on, else none."""
    blocks = np.full((len(day), HALF_HOURS), -1, np.int32)
    off, demand = np.full(len(day), -1, np.int64), demand_w.copy()
    late = np.flatnonzero(day >= since)
    blocks[late], dead = spread(day_wh[late], demand_w[late], real, rng)
    off[late] = off_bits(dead)
    place = {key: row for row, key in enumerate(zip(real.household, real.day.tolist(), strict=True))}
    measured = [(row, place.get(key)) for row, key in enumerate(zip(household, day.tolist(), strict=True))]
    for row, at in measured:
        # The same day of another year is another day: its energy tells them apart.
        if at is not None and int(real.blocks_wh[at].sum()) == day_wh[row]:
            blocks[row], off[row] = real.blocks_wh[at], off_bits(real.dead[at : at + 1])[0]
    told = blocks[:, 0] >= 0
    demand[told] = 2 * blocks[told].max(axis=1)
    return Told(blocks, demand, off)


def off_bits(dead: npt.NDArray[np.bool_]) -> Int64:
    """(n,) with bit n-1 set where half-hour n had no supply."""
    return np.asarray(dead.astype(np.int64) @ (1 << np.arange(HALF_HOURS, dtype=np.int64)), np.int64)


def spread(
    day_wh: Int64, demand_w: Int64, real: RealDays, rng: np.random.Generator
) -> tuple[Blocks, npt.NDArray[np.bool_]]:
    """Half-hours (n, 48) that add up to each day's energy, and where there was no supply.

    A day is its real model's shape, made flatter until its largest half-hour is what the demand says.
    """
    weight = real.blocks_wh.sum(axis=1, dtype=np.int64)
    model = rng.choice(np.flatnonzero(weight > 0), len(day_wh))
    dead = real.dead[model]
    shape = np.where(dead, 0, real.blocks_wh[model]) / weight[model][:, None]
    flat = np.where(dead, 0, 1) / (HALF_HOURS - dead.sum(axis=1))[:, None]
    energy = day_wh[:, None].astype(np.float64)
    peak, even = shape.max(axis=1), flat.max(axis=1)
    wanted = np.divide(demand_w / 2, day_wh, out=np.full(len(day_wh), 1.0), where=day_wh > 0)
    steep = np.clip((wanted - even) / np.maximum(peak - even, 1e-9), 0, 1)[:, None]
    return _whole(energy * (steep * shape + (1 - steep) * flat), day_wh), dead


def _whole(wanted: npt.NDArray[np.float64], total: Int64) -> Blocks:
    """Whole Wh that add up to each row's total: the largest fractions are rounded up."""
    floor = np.floor(wanted).astype(np.int64)
    short = total - floor.sum(axis=1)
    rank = np.argsort(np.argsort(floor - wanted, axis=1, kind="stable"), axis=1, kind="stable")
    whole: Blocks = (floor + (rank < short[:, None])).astype(np.int32)
    return whole
