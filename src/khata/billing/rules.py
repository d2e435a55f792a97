"""Decisions about bills: what a bill month covers, who is due, what is too absurd to be sent."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from khata.kernel.bills import Priced
from khata.kernel.days import month_number, month_start
from khata.kernel.determinants import NEGATIVE, NO_METER, NO_READING, NO_TERMS, Determinants
from khata.kernel.quantities import Int64

Outcome = Literal["held", "parked", "not due"]


@dataclass(frozen=True)
class Month:
    """A bill month and the consumption it bills: the calendar month before it."""

    cycle: dt.date

    @property
    def start(self) -> dt.date:
        return month_start(month_number(self.cycle) - 1)

    @property
    def end(self) -> dt.date:
        return self.cycle


@dataclass(frozen=True)
class Policy:
    """A company's billing policy as pinned by a run."""

    bill_day: int
    due_days: int
    hold_paise_per_kw: int
    hold_load_percent: int


@dataclass(frozen=True)
class Reason:
    outcome: Outcome
    code: str
    words: str
    facts: Mapping[str, int] = field(default_factory=dict)  # the numbers that gave rise to it


NOT_READ_THIS_MONTH = Reason("not due", "NOT-DUE", "its reading cycle does not read it for this bill month")
EARLIER_HOLD = Reason(
    "held", "EARLIER-HOLD", "an absurd bill of an earlier month is still waiting for somebody to decide"
)
DAYS_MISSING = Reason("held", "DAYS-MISSING", "days without a register are missing, so the month's energy is not known")
TOO_DEAR = Reason("held", "TOO-DEAR", "the bill is above the limit for each kW of load")
TOO_MUCH = Reason("held", "TOO-MUCH", "the energy is more than the load could have drawn in the period")
TOO_HIGH = Reason("held", "TOO-HIGH", "the demand is more than twenty times the load")
TOO_SOON = Reason("not due", "TOO-SOON", "it was read only days after the last billed reading: the next bill has both")
DEMAND_TIMES = 20
FEWEST_DAYS = 15  # between two readings on the spot, or a month's fixed charge would be taken for a few days
BY_STATUS = {
    NO_READING: Reason("held", "NO-READING", "no register reading ends the period"),
    NEGATIVE: Reason("held", "NEGATIVE", "a register is below the one before it"),
    NO_TERMS: Reason("not due", "NO-SUPPLY", "there was no supply in the period"),
    NO_METER: Reason("held", "NO-METER", "no meter is recorded for the period"),
}

# Held until somebody has looked: a later month would hide the absurd one in its own average.
LASTING = (TOO_DEAR.code, TOO_MUCH.code, TOO_HIGH.code, EARLIER_HOLD.code)

_PERCENT, _HOURS, _W_PER_KW = 100, 24, 1000


def drawable_wh(*, load_w: Int64, days: Int64, policy: Policy) -> Int64:
    """The most that a load can draw in so many days, by the policy's per cent of load x hours."""
    return load_w * days * _HOURS * policy.hold_load_percent // _PERCENT


def too_dear(*, assessed_paise: Int64, load_w: Int64, policy: Policy) -> npt.NDArray[np.bool_]:
    """Which bills are above the policy's limit for each kW of load."""
    return np.greater(assessed_paise * _W_PER_KW, load_w * policy.hold_paise_per_kw)


# -- arithmetic on the columns of a part ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bills:
    """Bills of a part before they have ids: columns of one row a bill, in the order of connections."""

    connection: Int64
    start: Int64
    end: Int64
    energy_wh: Int64
    load_w: Int64
    assessed_paise: Int64
    subsidy_paise: Int64
    rebate_paise: Int64
    payable_paise: Int64
    draft: npt.NDArray[np.bool_]


def summed(priced: Priced, owners: Int64) -> Bills:
    """Sum the parts of each bill."""
    segments = priced.segments
    first = np.searchsorted(segments.bill, np.arange(len(owners)))
    money = {name: np.zeros(len(segments), np.int64) for name in ("assessed", "subsidy", "rebate")}
    for group in priced.groups:
        for number, name in enumerate(_roles(group.schedule.line_ids)):
            money[name][group.rows] += group.rated.lines[:, number]

    def per_bill(column: Int64) -> Int64:
        return np.asarray(np.add.reduceat(column, first), np.int64) if len(first) else column

    assessed, subsidy, rebate = (per_bill(money[name]) for name in ("assessed", "subsidy", "rebate"))
    return Bills(
        connection=owners,
        start=segments.start[first],
        end=segments.end[np.append(first[1:], len(segments)) - 1] if len(first) else segments.end,
        energy_wh=per_bill(segments.energy_wh),
        load_w=np.maximum.reduceat(segments.load_w, first) if len(first) else segments.load_w,
        assessed_paise=assessed,
        subsidy_paise=-subsidy,
        rebate_paise=-rebate,
        payable_paise=assessed + subsidy + rebate,
        draft=per_bill(priced.draft.astype(np.int64)) > 0,
    )


def _roles(line_ids: tuple[str, ...]) -> list[str]:
    """Which sum of the bill a line belongs to: what is assessed, what the State pays, what is taken off."""
    return [line if line in ("subsidy", "rebate") else "assessed" for line in line_ids]


def renumbered(found: Determinants, rows: Int64) -> Determinants:
    """The determinants of some segments, stretches included, renumbered."""
    kept = np.isin(found.stretch_segment, rows)
    return Determinants(
        **{
            name: getattr(found, name)[rows]
            for name in ("connection", "terms", "start", "end", "energy_wh", "demand_w")
        },
        stretch_segment=np.searchsorted(rows, found.stretch_segment[kept]),
        stretch_meter=found.stretch_meter[kept],
        stretch_opening=found.stretch_opening[kept],
        stretch_closing=found.stretch_closing[kept],
        status=found.status,
    )


def side_by_side(found: Determinants, segments: int) -> tuple[Int64, Int64, Int64, Int64]:
    """The stretches of each segment beside each other: meters, openings, closings (segments, most), and how many."""
    order = np.argsort(found.stretch_segment, kind="stable")
    owner = found.stretch_segment[order]
    count = np.bincount(owner, minlength=segments)
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    tables = []
    for column in (found.stretch_meter, found.stretch_opening, found.stretch_closing):
        table = np.zeros((segments, int(count.max(initial=1))), np.int64)
        table[owner, place] = column[order]
        tables.append(table)
    return tables[0], tables[1], tables[2], count
