"""What a connection used: days with their half-hours, honest about what is not known; and what the month comes to."""

import datetime as dt
from typing import Annotated, Any

import numpy as np
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router

from khata.api.answers import ConnectionDetail, Connections, Forecast, Usage, UsageDay
from khata.api.own import own, own_ones
from khata.api.problems import ProblemError, not_there, told
from khata.api.values import Cursor, Day, Number, cursor_text, position
from khata.billing.pricing import NotPriceableError, month_costs
from khata.consumers.models import Connection
from khata.consumers.queries import old_number_of, owed, terms_on
from khata.display.origins import HALF_HOURS, ORIGINS, letters
from khata.kernel.days import day_number, month_number, month_start
from khata.kernel.forecast import HISTORY, month_forecast
from khata.metering.queries import SeenHalfHours, days_of, half_hours_of

router = Router(tags=["consumer"])
MOST_DAYS = 92
DAYS = 30
LOOKED_BACK = 400
FIRST_DAY = dt.date(2000, 1, 1)
SIGNED: dict[str, Any] = {"security": [{"session": []}]}


@router.get("/connections", response=Connections, url_name="connections", openapi_extra=told(401, 404, 429) | SIGNED)
def connections(request: HttpRequest) -> dict[str, Any]:
    """One's own connections: those of the mobile that signed in."""
    found = own_ones(request)
    codes = dict(Connection.objects.filter(id__in=[each.id for each in found]).values_list("id", "discom__code"))
    return {
        "connections": [
            {
                "number": each.account_number,
                "company": codes.get(each.id, ""),
                "company_en": each.discom_en,
                "company_hi": each.discom_hi,
            }
            for each in found
        ]
    }


@router.get(
    "/connections/{number}",
    response=ConnectionDetail,
    url_name="connection",
    openapi_extra=told(401, 404, 422, 429) | SIGNED,
)
def connection(request: HttpRequest, number: Number) -> dict[str, Any]:
    """What a connection is billed as, what is owed, and how new its data are."""
    asked: Any = request
    with own(request, number) as mine:
        terms = terms_on(connection_id=mine.id, day=asked.today)
        old = old_number_of(connection_id=mine.id, today=asked.today)
        return {
            "number": mine.account_number,
            "old_number": old.number if old else None,
            "old_number_until": old.last_day if old else None,
            "company": mine.discom.code,
            "category": terms.category if terms else None,
            "mode": terms.mode if terms else None,
            "sanctioned_load_w": terms.load_w if terms else None,
            "connected_on": mine.connected_on,
            "balance_paise": owed(connection=mine.id),
            "newest_day": _newest(mine, asked.today),
        }


@router.get(
    "/connections/{number}/usage",
    response=Usage,
    url_name="usage",
    openapi_extra=told(400, 401, 404, 422, 429) | SIGNED,
)
def usage(
    request: HttpRequest,
    number: Number,
    first: Annotated[Day | None, Query(alias="from", description="29 days before the last, if left away")] = None,
    last: Annotated[Day | None, Query(alias="to", description="this day included; yesterday, if left away")] = None,
    cursor: Cursor | None = None,
) -> dict[str, Any]:
    """The days of a stretch that are over, at most 92 of them a page. A day of which nothing is stored stands there
    without values. A block is named by its place: number n ends n × 30 minutes after midnight, Indian time."""
    asked: Any = request
    until = min(last or asked.today, asked.today - dt.timedelta(days=1))
    since = max(first or max(until, FIRST_DAY) - dt.timedelta(days=DAYS - 1), FIRST_DAY)
    if first and last and first > last:
        wrong = _("the first day comes after the last")
        raise ProblemError(400, "days", wrong, "from, to", _("Change one of them"))
    start = min(max(since, position(cursor)[0]) if cursor else since, asked.today)
    with own(request, number) as mine:
        end = min(until, start + dt.timedelta(days=MOST_DAYS - 1)) + dt.timedelta(days=1)
        known = {}
        if start < end:
            known = {seen.day: seen for seen in half_hours_of(connection_id=mine.id, start=start, end=end)}
        calendar = [start + dt.timedelta(days=at) for at in range((end - start).days)]
        return {
            "number": mine.account_number,
            "days": [_day(day, known.get(day)) for day in calendar],
            "newest_day": _newest(mine, asked.today),
            "next": cursor_text(end, 0) if start < end <= until else None,
        }


@router.get(
    "/connections/{number}/days/{day}",
    response=UsageDay,
    url_name="day",
    openapi_extra=told(401, 404, 422, 429) | SIGNED,
)
def one_day(request: HttpRequest, number: Number, day: Day) -> dict[str, Any]:
    """One day that is over."""
    asked: Any = request
    with own(request, number) as mine:
        if not FIRST_DAY <= day < asked.today:
            raise not_there()
        found = half_hours_of(connection_id=mine.id, start=day, end=day + dt.timedelta(days=1))
        return _day(day, found[0] if found else None)


def _day(day: dt.date, seen: SeenHalfHours | None) -> dict[str, Any]:
    off = (seen.off or 0) if seen else 0
    return {
        "day": day,
        "total_wh": seen.total_wh if seen else None,
        "register_wh": seen.register_wh if seen else None,
        "demand_w": seen.demand_w if seen else None,
        "origin": ORIGINS[seen.origin] if seen else None,
        "rule": seen.rule if seen else None,
        "blocks_wh": seen.blocks_wh if seen else None,
        "origins": _letters(seen),
        "off": [n for n in range(1, HALF_HOURS + 1) if off >> (n - 1) & 1],
        "received_at": seen.received_at if seen else None,
    }


def _letters(seen: SeenHalfHours | None) -> str:
    if seen is None or seen.blocks_wh is None:
        return "-" * HALF_HOURS
    return letters(origin=seen.origin, origins=seen.origins, blocks_wh=seen.blocks_wh)


def _newest(mine: Connection, today: dt.date) -> dt.date | None:
    days = days_of(connection_id=mine.id, start=today - dt.timedelta(days=LOOKED_BACK), end=today)
    return max((seen.day for seen in days if seen.total_wh is not None), default=None)


# -- ahead -------------------------------------------------------------------------------------------------------------


@router.get(
    "/connections/{number}/forecast",
    response=Forecast,
    url_name="forecast",
    openapi_extra=told(401, 404, 422, 429) | SIGNED,
)
def forecast(request: HttpRequest, number: Number) -> dict[str, Any]:
    """What the running month will come to, and between what."""
    asked: Any = request
    today: dt.date = asked.today
    month = today.replace(day=1)
    with own(request, number) as mine:
        seen = days_of(connection_id=mine.id, start=today - dt.timedelta(days=HISTORY), end=today)
        used = {each.day: each.total_wh for each in seen if each.total_wh is not None}
        known = {day: wh for day, wh in used.items() if day >= month}
        ahead = month_forecast(
            np.array([day_number(day) for day in used], np.int64),
            np.array(list(used.values()), np.int64),
            month_first=day_number(month),
            month_end=day_number(month_start(month_number(month) + 1)),
            today=day_number(today),
        )
        wh = (ahead.low_wh, ahead.likely_wh, ahead.high_wh) if ahead else None
        return {
            "month": month,
            "known_wh": sum(known.values()),
            "known_days": len(known),
            "wh": _range(wh),
            "paise": _range(_priced(mine, known, wh, today)),
        }


def _priced(
    mine: Connection, known: dict[dt.date, int], wh: tuple[int, int, int] | None, today: dt.date
) -> tuple[int, ...] | None:
    if wh is None:
        return None
    try:
        made = month_costs(connection_id=mine.id, month=today, used=known, today=today, ahead_wh=wh)
    except NotPriceableError:
        return None
    return made.ahead_paise


def _range(values: tuple[int, ...] | None) -> dict[str, int] | None:
    return dict(zip(("low", "likely", "high"), values, strict=True)) if values else None
