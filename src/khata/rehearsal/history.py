"""Bills of the system before Khata: how much each was for, and a simulated amount, priced by the kernel."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from khata.kernel.bills import Segments, price
from khata.kernel.quantities import Int64
from khata.rehearsal.households import Series, demand_w, lay_register, register_at
from khata.rehearsal.readings import Rounds
from khata.tariffs.queries import orders_of, read_orders
from khata.tariffs.rules import summarise

Days = npt.NDArray[np.datetime64]

# Bill months of the history; each bills what was used before it.
MONTHS = np.arange(np.datetime64("2023-04"), np.datetime64("2024-04"))
CATEGORIES, AREAS = ("LMV-1", "LMV-2"), ("urban", "rural")


@dataclass(frozen=True)
class Billed:
    """One row a bill: position of the connection, bill month (its first day), days [start, end), energy, demand."""

    row: Int64
    month: Days
    start: Days
    end: Days
    energy_wh: Int64
    demand_w: Int64

    def joined(self, other: "Billed") -> "Billed":
        names = [field.name for field in fields(Billed)]
        return Billed(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names})


def billed_by_reading(found: Rounds, connections: Int64) -> Billed:
    """From one reading to the next; a bill for every month whose reading was taken before the bill month began."""
    made = []
    for month in MONTHS:
        column = int(np.searchsorted(found.month, month - 1))
        before = found.previous(column)
        rows = np.flatnonzero(found.read[:, column] & (before >= 0))
        earlier = rows, before[rows]
        made.append(
            Billed(
                row=connections[rows],
                month=np.full(len(rows), month.astype("datetime64[D]")),
                start=found.day[earlier],
                end=found.day[rows, column],
                energy_wh=found.register_wh[rows, column] - found.register_wh[earlier],
                demand_w=found.demand_w[rows, column],
            )
        )
    return _together(made)


def billed_by_register(series: Sequence[Series], connections: Int64, which: Int64, load_factor: Int64) -> Billed:
    """Whole months of the laid registers, from the month of a household's first known day to that of its last."""
    made = []
    for month in MONTHS - 1:
        start, end = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
        used = [_used(each, start, end) for each in series]
        rows = np.flatnonzero([used[position] is not None for position in which.tolist()])
        energy, most = (
            np.array([(used[position] or (0, 0))[number] for position in which[rows].tolist()], np.int64)
            for number in (0, 1)
        )
        made.append(
            Billed(
                row=connections[rows],
                month=np.full(len(rows), end),
                start=np.full(len(rows), start),
                end=np.full(len(rows), end),
                energy_wh=energy,
                demand_w=demand_w(most, load_factor[rows]),
            )
        )
    return _together(made)


def _used(series: Series, start: np.datetime64, end: np.datetime64) -> tuple[int, int] | None:
    """Energy of a month by the laid register, and of its largest known day."""
    if not len(series.day) or series.day[0] >= end or series.day[-1] < start:
        return None
    opening, closing = register_at(series, lay_register(series, 0), np.array([start, end])).tolist()
    inside = series.wh[(series.day >= start) & (series.day < end)]
    return closing - opening, int(inside.max(initial=0))


def _together(made: list[Billed]) -> Billed:
    joined = made[0]
    for each in made[1:]:
        joined = joined.joined(each)
    return joined


def amounts(
    billed: Billed,
    *,
    category: Int64,
    area: Int64,
    prepaid: Int64,
    load_w: Int64,
    bill_day: int,
    discom: str,
    tariffs: Path,
) -> Int64:
    """Payable paise by the orders of the time. What cannot be priced is an error: history has no holes."""
    found = rated(
        billed,
        category=category,
        area=area,
        prepaid=prepaid,
        load_w=load_w,
        bill_day=bill_day,
        discom=discom,
        tariffs=tariffs,
    )
    return found["payable"]


def rated(
    billed: Billed,
    *,
    category: Int64,
    area: Int64,
    prepaid: Int64,
    load_w: Int64,
    bill_day: int,
    discom: str,
    tariffs: Path,
) -> dict[str, Int64]:
    """Paise in the columns of `tariffs.rules.MONEY`, one value a bill."""
    orders = orders_of(read_orders(tariffs), discom)
    segments = Segments(
        bill=np.arange(len(billed.row)),
        start=billed.start.astype("datetime64[D]").astype(np.int64),
        end=billed.end.astype("datetime64[D]").astype(np.int64),
        category=category,
        area=area,
        prepaid=prepaid,
        load_w=load_w,
        demand_w=billed.demand_w,
        energy_wh=billed.energy_wh,
        bill_day=billed.month.astype("datetime64[D]").astype(np.int64) + bill_day - 1,
        categories=CATEGORIES,
        areas=AREAS,
    )
    summary = summarise(price(orders, segments, metered=False), orders, len(billed.row))
    refused = next((reason for reason in summary.refused if reason), None)
    if refused:
        raise ValueError(f"a bill of the history has no price: {refused}")
    return summary.paise
