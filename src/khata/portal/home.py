"""The first screen and what hangs on it: choosing a connection, paying, a bill that looks wrong."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from khata.billing.models import Bill
from khata.billing.queries import MonthUsed, bars_of, last_two_bills, latest_bill, months_used
from khata.consumers.models import Connection, Terms
from khata.consumers.queries import all_terms, old_number_of, terms_on
from khata.display.charts import (
    MonthBar,
    average_wh,
    daily_bars,
    daily_sentence,
    daily_table,
    month_bars,
    month_table,
)
from khata.display.upi import qr_svg, upi_link
from khata.kernel.days import days_year_before
from khata.ledger.queries import owed_paise
from khata.metering.queries import SeenDay, SeenHalfHours, days_of_periods, half_hours_of
from khata.payments.queries import last_paid
from khata.portal import session as portal_session
from khata.portal import used
from khata.portal.alerts import alerts
from khata.portal.lasting import Lasting, lasts
from khata.portal.mine import connection_of, own_rows, view_rows
from khata.portal.why import risen

DAYS, MONTHS = 30, 12


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What a consumer came for, in the order of need: what to pay and by when, the number to tell, the use."""
    asked: Any = request
    mine, today = connection_of(request), asked.today
    days, due = _days(mine, today), _due(mine, today)
    heard, agreed = used.heard(mine, days, today), all_terms(connection_id=mine.id)
    newest, told = _newest(mine, days, heard.last, today)
    terms = used.terms_at(agreed, today)
    prepaid = terms is not None and terms.mode == "prepaid"
    page = {
        "connection": mine,
        "many": asked.who.consumer.several,
        "due": due,
        "lasts": _lasts(mine, due, agreed, days, today) if prepaid and newest else None,
        "alerts": alerts(
            # A prepaid balance has no last day to pay; that it is below zero stands above all else.
            late_days=(today - due.by).days if due.late and due.by and not prepaid else 0,
            days=days,
            newest=newest,
            heard=heard,
            load_w=terms.load_w if terms else None,
            today=today,
            language=asked.language,
        ),
        "smart": heard.smart,
        "fresh": used.fresh(heard.last, told.received_at if told else None, now=asked.now) if heard.last else None,
        "paid": last_paid(connection_id=mine.id),
        "old": old_number_of(connection_id=mine.id, today=today),
        "prepaid": prepaid,
        "risen": risen(due.bill, due.before),
        "tab": "home",
    }
    return render(request, "portal/home.html", page | _charts(mine, days, asked))


def _charts(mine: Connection, days: used.Days, asked: Any) -> dict[str, object]:
    language, today = asked.language, asked.today
    bars = used.bars(days, end=today, count=DAYS, since=used.began(mine.connected_on, days))
    billed = months_used(connection_id=mine.id, until=today.replace(day=1), months=MONTHS)
    months = _month_bars(billed, days, today)
    average = average_wh(bars)
    known = average is not None
    return {
        "known": known,
        "yesterday": bars[-1] if bars else None,
        "average_wh": average,
        "sentence": daily_sentence(bars, language, today=today) if known else "",
        "daily": daily_bars(bars, chart_id="days", language=language) if known else "",
        "daily_table": daily_table(bars, language=language) if known else None,
        "monthly": month_bars(months, chart_id="months", language=language) if months else "",
        "month_table": month_table(months, language=language) if months else None,
    }


@dataclass(frozen=True)
class Due:
    """What is owed in paise (below 0: paid ahead), by when, and whether that day has passed; the last two bills."""

    paise: int
    by: dt.date | None
    late: bool
    bill: Bill | None
    before: Bill | None

    @property
    def ahead_paise(self) -> int:
        return max(0, -self.paise)

    @property
    def balance_paise(self) -> int:
        """As a prepaid consumer thinks of it: what is there, below 0 what is owed."""
        return -self.paise


def _is_prepaid(mine: Connection, today: dt.date) -> bool:
    terms = terms_on(connection_id=mine.id, day=today)
    return terms is not None and terms.mode == "prepaid"


def _due(mine: Connection, today: dt.date) -> Due:
    paise = owed_paise(discom=mine.discom_id, subject=mine.id)
    bill, before, *_ = [*last_two_bills(connection_id=mine.id), None, None]
    by = bill.due_date if bill else None
    return Due(paise, by, paise > 0 and by is not None and by < today, bill, before)


def _lasts(mine: Connection, due: Due, terms: list[Terms], days: used.Days, today: dt.date) -> Lasting | None:
    return lasts(mine, balance_paise=due.balance_paise, bill=due.bill, terms=terms, days=days, today=today)


def _days(mine: Connection, today: dt.date) -> dict[dt.date, SeenDay]:
    """The days of the last month and a bit, and the same days a year before."""
    first = min(today - dt.timedelta(days=DAYS), today.replace(day=1))
    periods = [(first, today), days_year_before(first, today)]
    return {day.day: day for day in days_of_periods(connection_id=mine.id, periods=periods)}


def _newest(
    mine: Connection, days: used.Days, told: dt.date | None, today: dt.date
) -> tuple[SeenHalfHours | None, SeenHalfHours | None]:
    """The last known day of this year's, which may be estimated, and the last of which the meter told something."""
    last = used.last_known(days, today)
    if last is None or (today - last).days > DAYS + 31:
        return None, None
    start = told if told is not None and 0 <= (last - told).days <= DAYS else last
    found = {seen.day: seen for seen in half_hours_of(connection_id=mine.id, start=start, end=last + dt.timedelta(1))}
    return found.get(last), found.get(told) if told else None


def _month_bars(billed: list[MonthUsed], days: used.Days, today: dt.date) -> list[MonthBar]:
    """Billed months, then the running one as far as its days are known."""
    bars = bars_of(billed)
    running = [wh for wh in used.in_month(days, today.replace(day=1)).values() if wh is not None]
    if running:
        return [*bars, MonthBar(today.replace(day=1), sum(running), partial=True)]
    while bars and bars[-1].wh is None:  # not billed yet: nothing follows that a hole would stand before
        bars.pop()
    return bars


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """One mobile may hold several connections: at home, the shop, the parents'."""
    asked: Any = request
    signed: portal_session.Signed = asked.who.consumer
    connection_of(request)  # a session that is over shows nothing, names beside it least of all
    if request.method == "POST":
        wanted = request.POST.get("connection", "")
        number = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 20 else 0
        if not portal_session.look_at(request.session, signed, number):
            raise Http404
        return redirect("portal:home")
    page = {"rows": own_rows(signed), "views": view_rows(signed), "at": signed.connection, "tab": "home"}
    return render(request, "portal/choose.html", page)


@require_GET
def pay(request: HttpRequest) -> HttpResponse:
    """How to pay: any UPI app, by a link or a code for another phone; or any counter, by telling the number."""
    asked: Any = request
    mine = connection_of(request)
    due = _due(mine, asked.today)
    link = ""
    if due.paise > 0 and due.bill is not None and mine.discom.upi_address:
        link = upi_link(
            payee_address=mine.discom.upi_address,
            payee_name=mine.discom.upi_name,
            amount_paise=due.paise,
            # Each amount has a reference of its own: what is left of a bill is not taken for the bill paid twice.
            reference=f"{due.bill.number}R{due.bill.revision}A{due.paise}",
            note=f"Bill {due.bill.number}",
            merchant_code=mine.discom.merchant_code,
        )
    page = {
        "connection": mine,
        "old": old_number_of(connection_id=mine.id, today=asked.today),
        "due": due,
        "prepaid": _is_prepaid(mine, asked.today),
        "link": link,
        "qr": qr_svg(link) if link else "",
        "tab": "home",
    }
    return render(request, "portal/pay.html", page)


@require_GET
def wrong(request: HttpRequest) -> HttpResponse:
    """A bill that looks wrong: what to look at first, and whom to tell."""
    mine = connection_of(request)
    page = {"connection": mine, "bill": latest_bill(connection_id=mine.id), "tab": "home"}
    return render(request, "portal/wrong.html", page)
