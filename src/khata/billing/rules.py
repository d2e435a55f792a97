"""Decisions about bills: what a bill month covers, who is due, what is too absurd to be sent."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from khata.kernel.days import month_number, month_start
from khata.kernel.determinants import NEGATIVE, NO_METER, NO_READING, NO_TERMS

Int64 = npt.NDArray[np.int64]
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


NOT_READ_THIS_MONTH = Reason("not due", "NOT-DUE", "its reading cycle does not read it for this bill month")
EARLIER_HOLD = Reason(
    "held", "EARLIER-HOLD", "an absurd bill of an earlier month is still waiting for somebody to decide"
)
DAYS_MISSING = Reason("held", "DAYS-MISSING", "days without a register are missing, so the month's energy is not known")
TOO_DEAR = Reason("held", "TOO-DEAR", "the bill is above the limit for each kW of load")
TOO_MUCH = Reason("held", "TOO-MUCH", "the energy is more than the load could have drawn in the period")
BY_STATUS = {
    NO_READING: Reason("held", "NO-READING", "no register reading ends the period"),
    NEGATIVE: Reason("held", "NEGATIVE", "a register is below the one before it"),
    NO_TERMS: Reason("not due", "NO-SUPPLY", "there was no supply in the period"),
    NO_METER: Reason("held", "NO-METER", "no meter is recorded for the period"),
}

# Held until somebody has looked: a later month would hide the absurd one in its own average.
LASTING = (TOO_DEAR.code, TOO_MUCH.code, EARLIER_HOLD.code)

_PERCENT, _HOURS, _W_PER_KW = 100, 24, 1000


def absurd(
    *, energy_wh: Int64, load_w: Int64, days: Int64, assessed_paise: Int64, policy: Policy
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which bills are above the limit per kW, and which bill more energy than load x hours x the policy's per cent."""
    too_dear = assessed_paise * _W_PER_KW > load_w * policy.hold_paise_per_kw
    too_much = energy_wh * _PERCENT > load_w * days * _HOURS * policy.hold_load_percent
    return too_dear, too_much
