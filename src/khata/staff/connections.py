"""One connection as its office sees it, and its bills on paper."""

import datetime as dt
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from khata.audit.operations import record
from khata.billing.documents import bill_paper, bill_pdf, company_paper
from khata.billing.models import Bill
from khata.billing.queries import bills_listed, old_bills_of
from khata.consumers.models import Connection
from khata.consumers.queries import payer, terms_on
from khata.consumers.rules import address_part
from khata.display.bill_text import masked_name
from khata.display.charts import daily_bars, daily_table
from khata.metering.queries import days_of
from khata.payments.queries import receipts_of_connection
from khata.staff.desk import is_officer, known, show
from khata.staff.evidence import DAYS, days_before

SHOWN_BILLS, SHOWN_OLD, SHOWN_RECEIPTS = 24, 12, 24


@require_GET
def connection(request: HttpRequest, connection: int) -> HttpResponse:
    """An officer sees the name; at a counter it stays masked, as everywhere else."""
    asked: Any = request
    rows = Connection.objects.select_related("consumer", "division")
    found = rows.filter(id=known(connection)).first()
    whom = payer(connection=found.id, today=asked.today) if found else None
    if found is None or whom is None:
        raise Http404
    record(
        actor=f"staff:{asked.who.staff.id}",
        action="staff.look",
        object=f"consumers:connection:{found.id}",
        details={"page": "connection"},
    )
    mobile = found.consumer.mobile_key
    page = {
        "connection": found,
        "payer": whom,
        "name": found.consumer.name if is_officer(request) else whom.masked_name,
        "address": found.address if is_officer(request) else whom.address_part,
        "mobile": f"******{mobile[-4:]}" if mobile else "",
        "terms": terms_on(connection_id=found.id, day=asked.today),
        "ahead_paise": max(0, -whom.balance_paise),
        "bills": bills_listed(connection_id=found.id, limit=SHOWN_BILLS),
        "old_bills": old_bills_of(connection_id=found.id, limit=SHOWN_OLD),
        "receipts": receipts_of_connection(connection=found.id, limit=SHOWN_RECEIPTS),
        **(_days(request, found.id) if is_officer(request) else {}),
    }
    return show(request, "staff/connection.html", page, at="find")


def _days(request: HttpRequest, identity: int) -> dict[str, object]:
    asked: Any = request
    end = asked.today
    start = end - dt.timedelta(days=DAYS)
    seen = days_of(connection_id=identity, start=start, end=end)
    if not seen:
        return {}
    bars = days_before(seen, connection=identity, end=end)
    return {
        "daily": daily_bars(bars, chart_id="days", language=asked.language),
        "daily_table": daily_table(bars, language=asked.language),
    }


@require_GET
def bill_print(request: HttpRequest, bill: int) -> HttpResponse:
    """A bill again on paper; from a counter with the name masked and without house and mobile."""
    asked: Any = request
    found = Bill.objects.select_related("connection__discom").filter(id=known(bill)).first()
    if found is None:
        raise Http404
    paper = bill_paper(found, language=asked.language, company=company_paper(found.connection.discom))
    if not is_officer(request):
        view = replace(paper.view, name=masked_name(paper.view.name))
        paper = replace(paper, view=view, address=address_part(paper.address), mobile="")
    response = HttpResponse(bill_pdf(paper), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="bill-{found.number}.pdf"'
    return response
