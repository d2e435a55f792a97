"""What an officer looks at before deciding on a held bill: the figures in words, the days, the months before."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from khata.billing.models import BillingPolicy
from khata.billing.operations import policy_on
from khata.billing.queries import MonthUsed
from khata.billing.release import HeldRow
from khata.billing.rules import needs_checker, stake_paise
from khata.discoms.models import Discom
from khata.display.charts import DayBar, day_bars, sparkline
from khata.display.labels import Language
from khata.display.money import kw, kwh, scaled
from khata.kernel.days import days_year_before, whole_months
from khata.metering.queries import SeenDay, days_of

DAYS, MONTHS = 30, 12
# How loud the reason stands in a list: impossible figures, then what is missing.
_LOUD = {"TOO-DEAR": "danger", "TOO-MUCH": "danger", "TOO-HIGH": "danger", "NEGATIVE": "danger"}


@dataclass(frozen=True)
class HeldLine:
    """A held bill in a list: why, in words and figures, and the days that led to it."""

    row: HeldRow
    why: str
    next_step: str
    kind: str
    figures: str
    chart: str
    stake_paise: int | None
    needs_second: bool


Policies = Mapping[dt.date, BillingPolicy]


def policies(rows: Iterable[HeldRow]) -> Policies:
    """The company's limits for each month among the rows, which are of one company."""
    found: dict[dt.date, BillingPolicy] = {}
    for row in rows:
        if row.cycle not in found:
            found[row.cycle] = policy_on(discom=Discom(id=row.discom), day=row.cycle)
    return found


def stake(row: HeldRow, limits: Policies) -> int | None:
    """The most that a release can bill, in paise; None where it lifts no limit."""
    limit = limits[row.cycle].hold_paise_per_kw
    return stake_paise(reason=row.reason, evidence=row.evidence, hold_paise_per_kw=limit)


def held_line(row: HeldRow, limits: Policies, language: Language, *, chart: bool) -> HeldLine:
    """With a chart it asks for the days of the connection, so only for as many rows as a page shows."""
    at_stake = stake(row, limits)
    alone = limits[row.cycle].release_alone_paise
    return HeldLine(
        row,
        why(row, language),
        sentence(next_step(row, language), language),
        _LOUD.get(row.reason, "warn"),
        figures(row),
        _spark(row, language) if chart else "",
        at_stake,
        needs_checker(stake_paise=at_stake, release_alone_paise=alone),
    )


def sentence(words: str, language: Language) -> str:
    """With a full stop, unless it is a question."""
    return words if words.endswith("?") else words + ("।" if language == "hi" else ".")


def _spark(row: HeldRow, language: Language) -> str:
    end = period_end(row)
    seen = days_of(connection_id=row.connection, start=end - dt.timedelta(days=DAYS), end=end)
    if not seen:
        return ""
    by_day = {day.day: day.total_wh for day in seen}
    values = [by_day.get(end - dt.timedelta(days=back)) for back in range(DAYS, 0, -1)]
    label = _("Units a day, 30 days")
    return sparkline(values, chart_id=f"spark-{row.part}-{row.connection}", language=language, label=label)


def why(row: HeldRow, language: Language) -> str:
    return row.words.hi if language == "hi" else row.words.en


def next_step(row: HeldRow, language: Language) -> str:
    return row.words.next_hi if language == "hi" else row.words.next_en


def figures(row: HeldRow) -> str:
    """The numbers that held the bill, in one line; empty where a figure is what is missing."""
    facts = row.evidence
    load = {"load": kw(int(facts.get("load_w", 0)))}
    if row.reason == "TOO-HIGH" and "demand_w" in facts:
        return _("demand %(demand)s kW, load %(load)s kW") % {**load, "demand": kw(int(facts["demand_w"]))}
    if "assessed_paise" in facts:
        return _("%(units)s units, load %(load)s kW") % {**load, "units": kwh(int(facts["energy_wh"]))}
    if "energy_wh" in facts:
        days = (period_end(row) - period_start(row)).days
        words = {**load, "units": kwh(int(facts["energy_wh"])), "days": days}
        return _("%(units)s units in %(days)s days, load %(load)s kW") % words
    return ""


def period_start(row: HeldRow) -> dt.date:
    return dt.date.fromisoformat(row.evidence["start"])


def period_end(row: HeldRow) -> dt.date:
    return dt.date.fromisoformat(row.evidence["end"])


@dataclass(frozen=True)
class Registers:
    """The register before and at the end of what was to be billed, of a meter that sends its days."""

    first_day: dt.date
    first_wh: int
    last_day: dt.date
    last_wh: int

    @property
    def used_wh(self) -> int:
        return self.last_wh - self.first_wh


def registers(seen: Sequence[SeenDay]) -> Registers | None:
    shown = [(day.day, day.register_wh) for day in seen if day.register_wh is not None]
    return Registers(*shown[0], *shown[-1]) if len(shown) > 1 else None


def days_before(seen: Sequence[SeenDay], *, connection: int, end: dt.date) -> list[DayBar]:
    """The last of the days seen before `end`, each beside the same day a year before, which is asked for."""
    start, after = days_year_before(end - dt.timedelta(days=DAYS), end)
    then = days_of(connection_id=connection, start=start, end=after) if seen else []
    return day_bars({day.day: day.total_wh for day in (*then, *seen)}, end=end, days=DAYS)


def usual_wh(months: Sequence[MonthUsed]) -> int | None:
    """What a month usually takes: the middle one of the bills before, each by the month."""
    known = sorted(month.energy_wh // month.months for month in months if month.energy_wh is not None)
    return known[len(known) // 2] if known else None


def times_usual(row: HeldRow, usual: int | None) -> str:
    """`4.2`, where a month of what is held takes more than twice the usual; else nothing."""
    energy_wh = row.evidence.get("energy_wh")
    if energy_wh is None or not usual:
        return ""
    expected = usual * whole_months(period_start(row), period_end(row))
    return "" if energy_wh < 2 * expected else scaled((energy_wh * 10 + expected // 2) // expected, places=1, least=0)
