"""What a consumer should know before anything else: said on the first screen, the most pressing first."""

import datetime as dt
from dataclasses import dataclass
from statistics import median_low
from typing import Literal

from django.urls import reverse
from django.utils.translation import gettext as _

from khata.display import dates
from khata.display.chart_words import hours_text, units_text
from khata.display.labels import Language
from khata.display.money import kw
from khata.metering.queries import SeenHalfHours
from khata.portal import used

# A day is far above usual from twice the usual on, and by at least this much; the usual needs so many known days.
FAR_PERCENT, FAR_WH, FEWEST_DAYS = 200, 3_000, 10
USUAL_DAYS = 30


@dataclass(frozen=True)
class Alert:
    """A sentence, and the page on which more of it stands."""

    kind: Literal["danger", "warn", "info"]
    text: str
    more: str


def alerts(
    *,
    late_days: int,
    days: used.Days,
    newest: SeenHalfHours | None,
    heard: used.Heard,
    load_w: int | None,
    today: dt.date,
    language: Language,
) -> list[Alert]:
    """`late_days`: since the bill's last day, 0 where nothing is late. `newest`: the last known day, if any; it may be
    estimated."""
    found = [_overdue(late_days), _above_load(days, load_w, today)]
    found += [silence(heard, today, language)] if heard.smart else []
    if newest is not None and newest.day == today - dt.timedelta(days=1):
        found += [_far_above(days, newest), _without_supply(newest)]
    return [alert for alert in found if alert is not None]


def _overdue(late_days: int) -> Alert | None:
    if late_days <= 0:
        return None
    one = _("The last day to pay the bill was yesterday. Until it is paid, surcharge is added.")
    more = _("The last day to pay the bill was %(days)s days ago. Until it is paid, surcharge is added.")
    return Alert("danger", one if late_days == 1 else more % {"days": late_days}, reverse("portal:pay"))


def _above_load(days: used.Days, load_w: int | None, today: dt.date) -> Alert | None:
    month = today.replace(day=1)
    highest = max((seen.demand_w or 0 for seen in days.values() if month <= seen.day < today), default=0)
    if load_w is None or highest <= load_w:
        return None
    text = _(
        "This month your load once reached %(demand)s kW. You are sanctioned %(load)s kW; what is above it costs more."
    )
    return Alert("warn", text % {"demand": kw(highest), "load": kw(load_w)}, reverse("portal:usage") + "#demand")


def _far_above(days: used.Days, yesterday: SeenHalfHours) -> Alert | None:
    first = yesterday.day - dt.timedelta(days=USUAL_DAYS)
    before = [
        seen.total_wh for seen in days.values() if first <= seen.day < yesterday.day and seen.total_wh is not None
    ]
    guessed = used.quality(yesterday) == "estimated"
    if len(before) < FEWEST_DAYS or yesterday.total_wh is None or guessed:
        return None
    usual = median_low(before)
    if yesterday.total_wh < max(usual * FAR_PERCENT // 100, usual + FAR_WH):
        return None
    text = _("Yesterday %(units)s units were used. On most days it is about %(usual)s.")
    said = {"units": units_text(yesterday.total_wh), "usual": units_text(usual)}
    return Alert("warn", text % said, reverse("portal:usage-day", args=[yesterday.day]))


def silence(heard: used.Heard, today: dt.date, language: Language) -> Alert | None:
    """For as long as a smart meter tells nothing, however long that is."""
    last = heard.last or heard.since
    if last is None or (today - last).days <= used.LATE_DAYS:
        return None
    if heard.last is None:
        never = _("Since your smart meter was put up on %(day)s no reading has come from it.")
        return Alert("warn", never % {"day": dates.day(last, language)}, reverse("portal:usage"))
    text = _("Since %(day)s no reading has come from your meter. It goes on counting; the days will be filled in.")
    return Alert("warn", text % {"day": dates.day(last, language)}, reverse("portal:usage-day", args=[last]))


def _without_supply(yesterday: SeenHalfHours) -> Alert | None:
    off = len(used.half_hours(yesterday.day, yesterday).off)
    if not off:
        return None
    text = _("Yesterday there was no supply for %(hours)s hours.")
    return Alert("info", text % {"hours": hours_text(off)}, reverse("portal:usage-day", args=[yesterday.day]))
