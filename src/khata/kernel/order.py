"""What a tariff order says, as typed values. Made by `reader`, used by `rating`; never changed after."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

from khata.kernel.days import Season

Evidence = Literal["A", "B", "C"]
Mode = Literal["postpaid", "prepaid"]
MODES: tuple[Mode, ...] = ("postpaid", "prepaid")


@dataclass(frozen=True)
class Ref:
    """Where a number stands: the clause of the order, or a numbered reading with its evidence."""

    text: str
    evidence: Evidence = "A"

    @property
    def doubtful(self) -> bool:
        return self.evidence != "A"


@dataclass(frozen=True)
class Condition:
    """A limit on load (W) or energy (Wh a month), or `not whole` multiples of it."""

    word: Literal["up to", "above", "at least", "below", "not whole"]
    limit: int


@dataclass(frozen=True)
class Match:
    """To whom a schedule applies: first schedule of the order that matches wins."""

    category: str
    area: str | None
    conditions: tuple[tuple[Literal["load", "energy"], Condition], ...]


@dataclass(frozen=True)
class Slab:
    up_to_wh: int | None
    rate_e4: int
    printed: str
    ref: Ref


@dataclass(frozen=True)
class PerLoad:
    """Fixed charge on max(floor % of load, min(demand, load))."""

    id: str
    printed: str
    floor_percent: int
    rate_e4: int
    ref: Ref


@dataclass(frozen=True)
class ExcessDemand:
    """Demand above the load, at a multiple of the rate of the fixed charge."""

    id: str
    printed: str
    times: int
    of: str
    ref: Ref


@dataclass(frozen=True)
class SlabsTelescopic:
    """Each unit at the rate of the slab in which it falls; slabs are widths of one month."""

    id: str
    printed: str
    slabs: tuple[Slab, ...]
    ref: Ref


@dataclass(frozen=True)
class SlabSubsidy:
    """What the State pays of each unit, by slabs of its own; a negative line."""

    id: str
    printed: str
    slabs: tuple[Slab, ...]
    ref: Ref


@dataclass(frozen=True)
class SeasonRate:
    season: Season
    rate_e4: int
    ref: Ref


@dataclass(frozen=True)
class Minimum:
    """The top-up by which the named lines fall short of a minimum per kW of load and month."""

    id: str
    printed: str
    of: tuple[str, ...]
    rates: tuple[SeasonRate, ...]
    both_seasons: Ref
    ref: Ref


@dataclass(frozen=True)
class Published:
    """A fraction that is published month by month; `figures` by month number of the bill date."""

    none_before: int
    figures: dict[int, tuple[int, Ref]] = field(default_factory=dict)


@dataclass(frozen=True)
class PercentOf:
    id: str
    printed: str
    of: tuple[str, ...]
    rate: int | Published
    ref: Ref


@dataclass(frozen=True)
class PercentageRebate:
    """A percentage taken off the named lines, for one mode only; a negative line."""

    id: str
    printed: str
    of: tuple[str, ...]
    rate_e4: int
    mode: Mode
    ref: Ref


Line = PerLoad | ExcessDemand | SlabsTelescopic | SlabSubsidy | Minimum | PercentOf | PercentageRebate


@dataclass(frozen=True)
class Doubt:
    """A case for which this schedule rests on a reading: rated, but the bill is a draft."""

    conditions: tuple[tuple[Literal["load", "energy"], Condition], ...]
    ref: Ref


@dataclass(frozen=True)
class Schedule:
    name: str
    title: str
    match: Match
    lines: tuple[Line, ...]
    doubts: tuple[Doubt, ...]
    ref: Ref

    def __hash__(self) -> int:
        # Lines may hold the published figures, a dict; equality still compares all.
        return hash((self.name, self.title, self.ref))

    @property
    def line_ids(self) -> tuple[str, ...]:
        return tuple(line.id for line in self.lines)


@dataclass(frozen=True)
class Reading:
    """What the order leaves open, how we read it, and why."""

    id: str
    question: str
    answer: str
    evidence: Evidence
    because: str


@dataclass(frozen=True)
class MonthRule:
    """Post-paid: bill months = max(1, days ÷ per, half up). Prepaid: calendar months."""

    per_days: int
    postpaid: Ref
    prepaid: Ref


@dataclass(frozen=True)
class Order:
    """One printed order: its schedules in printed order, and the rules that bind them."""

    path: str
    regulator: str
    discoms: tuple[str, ...]
    title: str
    in_force: dt.date
    in_force_ref: Ref
    published: str
    supersedes: str | None
    reviewed_by: tuple[str, ...]
    month: MonthRule
    straddle: Ref
    line_rounding: Ref
    slab_rounding: Ref
    schedules: tuple[Schedule, ...]
    readings: tuple[Reading, ...]
    sha256: str

    def schedule(self, name: str) -> Schedule:
        for schedule in self.schedules:
            if schedule.name == name:
                return schedule
        raise KeyError(f"{self.path} has no schedule {name!r}; it has {', '.join(s.name for s in self.schedules)}")
