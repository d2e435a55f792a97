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

# Held for want of days or registers, or for one that cannot be right: billed without anybody's decision once others
# come (billing/late_days.py).
CURABLE = (BY_STATUS[NO_READING].code, DAYS_MISSING.code, BY_STATUS[NEGATIVE].code)

_PERCENT, _HOURS, _W_PER_KW = 100, 24, 1000


@dataclass(frozen=True)
class Words:
    """A reason for holding as an officer reads it, and the next step, in both languages."""

    hi: str
    en: str
    next_hi: str
    next_en: str


_COMPARE = (
    "रीडिंग को मीटर से मिलाएँ, फिर बिल जारी करें या रोके रखें",
    "Compare the reading with the meter, then release the bill or keep it",
)
HOLD_WORDS = {
    "NO-READING": Words(
        "मीटर की रीडिंग नहीं आई",
        "The meter was not read",
        "रीडिंग दर्ज करें; अगले बिल में ये दिन भी जुड़ जाएँगे",
        "Enter a reading; the next bill then has these days too",
    ),
    DAYS_MISSING.code: Words(
        "स्मार्ट मीटर के कुछ दिन नहीं आए",
        "Days of the smart meter are missing",
        "बाकी दिन आने दें, या मीटर की रीडिंग लें",
        "Wait for the missing days, or have the meter read",
    ),
    "NEGATIVE": Words(
        "रीडिंग पिछली रीडिंग से कम है",
        "The reading is below the one before it",
        "मीटर दोबारा पढ़वाएँ: रीडिंग गलत है, या मीटर बदला गया?",
        "Have the meter read again: is the figure wrong, or was the meter changed?",
    ),
    "NO-METER": Words(
        "कोई मीटर दर्ज नहीं है",
        "No meter is recorded",
        "मौके पर जाँच कराएँ और मीटर दर्ज करें",
        "Send somebody to the place and record the meter",
    ),
    TOO_DEAR.code: Words("लोड के हिसाब से बिल बहुत ज़्यादा है", "The bill is very high for the load", *_COMPARE),
    TOO_MUCH.code: Words("इस लोड पर इतनी यूनिट नहीं हो सकतीं", "The load cannot have used so many units", *_COMPARE),
    TOO_HIGH.code: Words(
        "अधिकतम मांग लोड के बीस गुने से ज़्यादा है", "The demand is more than twenty times the load", *_COMPARE
    ),
    EARLIER_HOLD.code: Words(
        "इसका पिछला बिल अभी रुका हुआ है",
        "An earlier bill of this connection is still held",
        "पहले पिछले बिल पर फैसला लें",
        "Decide on the earlier bill first",
    ),
}

# A release lifts the one rule that held the bill, up to the figure that the officer saw. What is above it, or what
# another rule finds then, is held again with figures of its own.
FIGURE = {TOO_DEAR.code: "assessed_paise", TOO_MUCH.code: "energy_wh", TOO_HIGH.code: "demand_w"}
PRICEABLE_WH = 10**12  # a hundred crore units: beyond it nothing is priced, whoever agrees


def lifts(*, reason: str, evidence: Mapping[str, int]) -> dict[str, int]:
    """What the release of a held bill lifts: code of the rule → up to which figure. Nothing for EARLIER-HOLD."""
    return {reason: int(evidence[FIGURE[reason]])} if reason in FIGURE else {}


def stake_paise(*, reason: str, evidence: Mapping[str, int], hold_paise_per_kw: int) -> int | None:
    """The most that a release can bill: the sum that was held, or, where nothing was priced, what TOO-DEAR lets pass.

    None where a release lifts no limit at all.
    """
    if reason == TOO_DEAR.code:
        return int(evidence["assessed_paise"])
    return int(evidence["load_w"]) * hold_paise_per_kw // _W_PER_KW if reason in FIGURE else None


def needs_checker(*, stake_paise: int | None, release_alone_paise: int) -> bool:
    return stake_paise is not None and stake_paise >= release_alone_paise


def unreleasable(*, reason: str, evidence: Mapping[str, int], earlier_held: bool) -> bool:
    """Nothing could be billed now: a figure is missing or impossible, or an earlier month must be decided first."""
    if reason == EARLIER_HOLD.code:
        return earlier_held
    return reason not in FIGURE or int(evidence.get("energy_wh", 0)) > PRICEABLE_WH


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
        stretch_opening_estimated=found.stretch_opening_estimated[kept],
        stretch_closing_estimated=found.stretch_closing_estimated[kept],
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
