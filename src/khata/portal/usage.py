"""What was used: at a glance with days and months, one day by half-hours, one month as a map of half-hours."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khata.billing.queries import MonthBilled, bars_of, months_billed
from khata.consumers.models import Connection
from khata.display.chart_words import Unit
from khata.display.charts import daily_bars, daily_sentence, daily_table, month_bars, month_table
from khata.display.curve_chart import load_curve
from khata.display.curve_words import (
    LoadDay,
    clock_range,
    heat_sentence,
    kw_text,
    load_sentence,
    load_table,
    load_w,
    peak,
)
from khata.display.heat_chart import heat_map
from khata.display.labels import Language
from khata.display.origins import LETTERS
from khata.display.trend_chart import demand_bars, trend_bars
from khata.display.trend_words import demand_sentence, demand_table, trend_sentence, trend_table
from khata.formats.text import FormatError, iso_date
from khata.kernel.days import days_year_before, month_number, month_start
from khata.metering.queries import SeenHalfHours, days_of, half_hours_of
from khata.portal import used
from khata.portal.alerts import silence
from khata.portal.costs import costs
from khata.portal.mine import connection_of

DAYS = 30
MONTHS_BILLED = 25  # thirteen months, and the twelve of last year beside them
LOOKED_BACK = 60  # days, for the newest data
FIRST_DAY = dt.date(2000, 1, 1)


@require_GET
def usage(request: HttpRequest) -> HttpResponse:
    """Answers at once in words and big numbers; below them days, months and demand."""
    asked: Any = request
    mine, today = connection_of(request), asked.today
    first, _ = days_year_before(today - dt.timedelta(days=DAYS), today)
    seen = days_of(connection_id=mine.id, start=min(first, month_start(month_number(today) - 12)), end=today)
    days = {day.day: day for day in seen}
    billed = months_billed(connection_id=mine.id, until=today.replace(day=1), months=MONTHS_BILLED)
    last, heard = used.last_known(days, today), used.heard(mine, days, today)
    silent = silence(heard, today, asked.language) if heard.smart else None
    page: dict[str, Any] = {"tab": "usage", "smart": heard.smart, "silent": silent, "known": last is not None}
    if not heard.smart:
        page |= _read_by_the_month(billed, asked)
    elif last is not None:
        start = min(last, today - dt.timedelta(days=DAYS))
        lately = {seen.day: seen for seen in half_hours_of(connection_id=mine.id, start=start, end=today)}
        off = {seen.day: (seen.off or 0).bit_count() for seen in lately.values()}
        page |= _at_once(lately[last], days, asked) | _charts(mine, days, billed, off, asked)
        page["yesterday_paise"] = page["costs"].days.get(last) if page["costs"] else None
        if heard.last is not None:
            told = lately.get(heard.last)
            page["fresh"] = used.fresh(heard.last, told.received_at if told else None, now=asked.now)
    terms = used.terms_of(mine, today=today)
    demands = used.demands(billed, days, terms, today=today)
    if any(each.demand_w is not None for each in demands):
        page |= {
            "demand_sentence": demand_sentence(demands, asked.language),
            "demand": demand_bars(demands, chart_id="demand", language=asked.language),
            "demand_table": demand_table(demands, language=asked.language),
        }
    return render(request, "portal/usage.html", page)


def _unit(request: HttpRequest) -> Unit:
    return "rupees" if request.GET.get("in") == "rupees" else "units"


def _read_by_the_month(billed: list[MonthBilled], asked: Any) -> dict[str, object]:
    months = bars_of(billed[-12:])
    while months and months[-1].wh is None:  # not billed yet
        months.pop()
    if not months:
        return {}
    return {
        "last_month": months[-1],
        "last_used": (month_start(month_number(months[-1].month) - months[-1].months + 1), months[-1].month),
        "monthly": month_bars(months, chart_id="months", language=asked.language),
        "month_table": month_table(months, language=asked.language),
    }


def _at_once(newest: SeenHalfHours, days: used.Days, asked: Any) -> dict[str, object]:
    """The last known day, and how old that is; what the running month has come to so far."""
    running = [wh for wh in used.in_month(days, asked.today.replace(day=1)).values() if wh is not None]
    return {
        "newest": newest,
        "estimated": used.quality(newest) == "estimated",
        "is_yesterday": newest.day == asked.today - dt.timedelta(days=1),
        **_peak(used.half_hours(newest.day, newest), asked.language),
        "so_far_wh": sum(running) if running else None,
        "so_far_days": len(running),
        "take_from": max(min(days), month_start(month_number(asked.today) - 12)),
        "take_to": newest.day,
    }


def _charts(
    mine: Connection, days: used.Days, billed: list[MonthBilled], off: Mapping[dt.date, int], asked: Any
) -> dict[str, Any]:
    """`off`: how many half-hours of each day had no supply."""
    language, today, unit = asked.language, asked.today, _unit(asked)
    ahead, priced = used.forecast(days, today=today), None
    if unit == "rupees":
        months = sorted({(today - dt.timedelta(days=DAYS)).replace(day=1), today.replace(day=1)})
        priced = costs(mine, days, months=months, today=today, ahead_wh=ahead)
        unit = "rupees" if priced else "units"
    since = used.began(mine.connected_on, days)
    bars = used.bars(days, end=today, count=DAYS, since=since, paise=priced.days if priced else None, off=off)
    trend = used.trend(
        billed,
        days,
        since=since,
        today=today,
        ahead=ahead,
        paise=priced.running_paise if priced else None,
        ahead_paise=priced.ahead if priced else None,
    )
    while unit == "rupees" and len(trend) > 1 and trend[0].paise is None and trend[0].last_year_paise is None:
        trend.pop(0)  # before any bill is known; the running month has its paise
    return {
        "ahead": ahead,
        "unit": unit,
        "unpriced": _unit(asked) != unit,
        "costs": priced,
        "sentence": daily_sentence(bars, language, today=today, unit=unit),
        "daily": daily_bars(bars, chart_id="days", language=language, unit=unit),
        "daily_table": daily_table(bars, language=language),
        "trend_months": len(trend),
        "trend_sentence": trend_sentence(trend, language, unit=unit),
        "trend": trend_bars(trend, chart_id="months", language=language, unit=unit),
        "trend_table": trend_table(trend, language=language),
    }


@require_GET
def day(request: HttpRequest, day: str) -> HttpResponse:
    """One day by half-hours, with what was not measured and when there was no supply in words."""
    asked: Any = request
    mine, shown = connection_of(request), _day(day, asked.today)
    found = half_hours_of(connection_id=mine.id, start=shown, end=shown + dt.timedelta(days=1))
    seen = found[0] if found else None
    drawn = used.half_hours(shown, seen)
    agreed = used.terms_at(used.terms_of(mine, today=shown), shown)
    load = agreed.load_w if agreed else None
    # No order has prices by the time of day yet; once one has, its bands go into the chart and its table here.
    page = {
        "tab": "usage",
        "day": shown,
        "seen": seen,
        "load_w": load,
        "cuts": [(clock_range(start, end, asked.language), end - start) for start, end in used.stretches(drawn.off)],
        "estimated": _letters(seen).count("E"),
        "corrected": "D" in _letters(seen),
        "substituted": "S" in _letters(seen),
        "rule": _rule(seen),
        "known": any(wh is not None for wh in drawn.blocks_wh),
        "sentence": load_sentence(drawn, asked.language, today=asked.today, sanctioned_w=load),
        "curve": load_curve(drawn, chart_id="curve", language=asked.language, sanctioned_w=load),
        "table": load_table(drawn, language=asked.language),
        "came": seen.received_at if seen and seen.received_at and seen.received_at <= asked.now else None,
        "fresh": _fresh(mine, asked),
        "before": shown - dt.timedelta(days=1) if shown > FIRST_DAY else None,
        "after": shown + dt.timedelta(days=1) if shown + dt.timedelta(days=1) < asked.today else None,
    }
    return render(request, "portal/usage_day.html", page)


def _letters(seen: SeenHalfHours | None) -> str:
    """Where each half-hour comes from; of a day without them, where its total does."""
    if seen is None:
        return ""
    return seen.origins or LETTERS[seen.origin] * 48


def _rule(seen: SeenHalfHours | None) -> str:
    """Why what is not measured stands there all the same, in plain words."""
    words = {
        "EST-01": _("The meter's readings before and after are known, so the units are right; only how they spread"
                    " is estimated."),
        "EST-02": _("The total of the day is measured; the missing half-hours share what is left of it."),
        "EST-03": _("There was no reading, so it was estimated from your days like this one. As soon as the meter"
                    " reports, what it measured takes its place."),
    }  # fmt: skip
    return words.get(seen.rule or "", "") if seen else ""


@require_GET
def month(request: HttpRequest, month: str) -> HttpResponse:
    """One month as a map of its half-hours, and its days."""
    asked: Any = request
    mine, shown = connection_of(request), _day(f"{month}-01", asked.today + dt.timedelta(days=1))
    end = min(used.month_end(shown), asked.today)
    found = {each.day: each for each in half_hours_of(connection_id=mine.id, start=shown, end=end)}
    first = max(shown, min(used.began(mine.connected_on, found), end))
    calendar = [first + dt.timedelta(days=at) for at in range((end - first).days)]
    drawn = [used.half_hours(each, found.get(each)) for each in calendar]
    priced = None
    if _unit(request) == "rupees" and found:
        priced = costs(mine, found, months=[shown], today=asked.today)
    unit: Unit = "rupees" if priced else "units"
    paise = priced.days if priced else {}
    known = any(seen.blocks_wh is not None for seen in found.values())
    totals = [seen.total_wh for seen in found.values() if seen.total_wh is not None]
    page = {
        "tab": "usage",
        "month": shown,
        "unit": unit,
        "unpriced": _unit(request) != unit,
        "total_wh": sum(totals) if totals else None,
        "known_days": len(totals),
        "calendar_days": len(calendar),
        "total_paise": sum(paise.values()) if paise else None,
        "rows": [
            (each, reverse("portal:usage-day", args=[each]), found.get(each), used.quality(found.get(each)), load,
             _peak(load, asked.language), paise.get(each))
            for each, load in zip(calendar, drawn, strict=True)
        ],
        "costs": priced,
        "sentence": heat_sentence(drawn, asked.language, totals=bool(totals)) if found else "",
        "map": heat_map(drawn, chart_id="map", language=asked.language) if known else "",
        "last": end - dt.timedelta(days=1),
        "fresh": _fresh(mine, asked),
        "before": month_start(month_number(shown) - 1) if shown > FIRST_DAY else None,
        "after": used.month_end(shown) if used.month_end(shown) <= asked.today else None,
    }  # fmt: skip
    return render(request, "portal/usage_month.html", page)


def _fresh(mine: Connection, asked: Any) -> used.Fresh | None:
    """How old the newest data of this connection are, whatever day is looked at."""
    lately = days_of(connection_id=mine.id, start=asked.today - dt.timedelta(days=LOOKED_BACK), end=asked.today)
    last = used.last_told({day.day: day for day in lately}, asked.today)
    return None if last is None else used.fresh(last, None, now=asked.now)


def _peak(day: LoadDay, language: Language) -> dict[str, object]:
    """The highest load in kW and when it was, as people say it; nothing where no half-hour is known."""
    at = peak(day)
    if at is None:
        return {"peak": "", "peak_when": ""}
    when = clock_range(at, at + 1, language)
    return {"peak": kw_text(load_w(day, at) or 0), "peak_when": when, "peak_estimated": at in day.estimated}


def _day(text: str, before: dt.date) -> dt.date:
    """What is no day, or not over yet, is not there."""
    try:
        found = iso_date(text)
    except FormatError:
        raise Http404 from None
    if not FIRST_DAY <= found < before:
        raise Http404
    return found
