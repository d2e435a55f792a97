"""The first screen and what hangs on it: choosing a connection, paying, messages, a bill that looks wrong."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from khata.billing.models import Bill
from khata.billing.queries import MonthUsed, bars_of, latest_bill, months_used
from khata.consumers.models import Connection
from khata.consumers.queries import old_number_of, own_connections, terms_on
from khata.display.charts import (
    MonthBar,
    average_wh,
    daily_bars,
    daily_sentence,
    daily_table,
    day_bars,
    month_bars,
    month_table,
)
from khata.display.upi import qr_svg, upi_link
from khata.kernel.days import days_year_before
from khata.ledger.queries import owed_paise
from khata.metering.queries import days_of
from khata.notices.queries import inbox
from khata.payments.queries import receipts_of_connection
from khata.portal import session as portal_session
from khata.portal.mine import connection_of

DAYS, MONTHS = 30, 12


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What a consumer came for, in the order of need: what to pay and by when, the number to tell, the use."""
    asked: Any = request
    mine, today = connection_of(request), asked.today
    used = _used(mine, today)
    bars = day_bars(used, end=today, days=DAYS)
    billed = months_used(connection_id=mine.id, until=today.replace(day=1), months=MONTHS)
    months = _month_bars(billed, used, today)
    average = average_wh(bars)
    known = average is not None
    yesterday = bars[-1].wh if bars else None
    page = {
        "connection": mine,
        "many": len(asked.who.consumer.connections) > 1,
        "due": _due(mine, today),
        "paid": next(iter(receipts_of_connection(connection=mine.id, limit=1)), None),
        "old": old_number_of(connection_id=mine.id, today=today),
        "prepaid": _is_prepaid(mine, today),
        "smart": known,
        "yesterday_wh": yesterday,
        "average_wh": average,
        "sentence": daily_sentence(bars, asked.language, today=today) if known else "",
        "daily": daily_bars(bars, chart_id="days", language=asked.language) if known else "",
        "daily_table": daily_table(bars, language=asked.language) if known else None,
        "monthly": month_bars(months, chart_id="months", language=asked.language) if months else "",
        "month_table": month_table(months, language=asked.language) if months else None,
        "tab": "home",
    }
    return render(request, "portal/home.html", page)


@dataclass(frozen=True)
class Due:
    """What is owed in paise (below 0: paid ahead), by when, and whether that day has passed."""

    paise: int
    by: dt.date | None
    late: bool
    bill: Bill | None

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
    bill = latest_bill(connection_id=mine.id)
    by = bill.due_date if bill else None
    return Due(paise, by, paise > 0 and by is not None and by < today, bill)


def _used(mine: Connection, today: dt.date) -> dict[dt.date, int | None]:
    """The Wh of the days of the last month and a bit, and of the same days a year before."""
    first = min(today - dt.timedelta(days=DAYS), today.replace(day=1))
    found = days_of(connection_id=mine.id, start=first, end=today)
    start, end = days_year_before(first, today)
    found += days_of(connection_id=mine.id, start=start, end=end) if found else []
    return {day.day: day.total_wh for day in found}


def _month_bars(billed: list[MonthUsed], used: dict[dt.date, int | None], today: dt.date) -> list[MonthBar]:
    """Billed months, then the running one as far as its days are known."""
    bars = bars_of(billed)
    running = [wh or 0 for day, wh in used.items() if day >= today.replace(day=1)]
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
    page = {"rows": own_connections(), "at": signed.connection, "tab": "home"}
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
def messages(request: HttpRequest) -> HttpResponse:
    mine = connection_of(request)
    return render(request, "portal/messages.html", {"messages_sent": inbox(subjects=[mine.id]), "tab": "messages"})


@require_GET
def wrong(request: HttpRequest) -> HttpResponse:
    """A bill that looks wrong: what to look at first, and whom to tell."""
    mine = connection_of(request)
    page = {"connection": mine, "bill": latest_bill(connection_id=mine.id), "tab": "home"}
    return render(request, "portal/wrong.html", page)
