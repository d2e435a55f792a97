"""Bills: all of them, one with its lines, and its PDF."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from khata.billing.documents import bill_paper, bill_pdf, company_paper
from khata.billing.models import Bill
from khata.billing.queries import bill_view, bills_listed, latest_bill, old_bills_of
from khata.consumers.models import Connection
from khata.display.bill_text import demand_words, estimated, printed_lines
from khata.display.charts import slab_fill
from khata.display.dates import period
from khata.display.labels import heading
from khata.display.sources import category_words
from khata.ledger.queries import owed_paise
from khata.payments.queries import receipts_of_connection
from khata.portal.mine import connection_of
from khata.portal.public import may

SHOWN_BILLS, SHOWN_RECEIPTS, PDFS = 60, 24, 30


@require_GET
def bills(request: HttpRequest) -> HttpResponse:
    """Bills of ours, newest first, payments, and below them what the company's own system had billed."""
    mine = connection_of(request)
    page = {
        "connection": mine,
        "bills": bills_listed(connection_id=mine.id, limit=SHOWN_BILLS),
        "old_bills": old_bills_of(connection_id=mine.id, limit=SHOWN_BILLS),
        "receipts": receipts_of_connection(connection=mine.id, limit=SHOWN_RECEIPTS),
        "tab": "bills",
    }
    return render(request, "portal/bills.html", page)


@require_GET
def bill(request: HttpRequest, bill: int) -> HttpResponse:
    """One bill: each line with quantity, rate, amount and the clause it rests on, and how the slabs filled."""
    asked: Any = request
    mine = connection_of(request)
    found = own_bill(mine.id, bill)
    view = bill_view(found, asked.language, mask_name=False)
    page = {
        "connection": mine,
        "bill": found,
        "open": _is_open(mine, found),
        "view": view,
        "demand": demand_words(view.max_demand_w, asked.language),
        "estimated": {
            "word": heading("estimated", asked.language),
            "why": heading("estimated_why", asked.language),
        }
        if estimated(view.readings)
        else None,
        "category": category_words(view.category, asked.language),
        "lines": printed_lines(view.lines, asked.language),
        "period": period(view.period_start, view.period_end, asked.language),
        "slabs": slab_fill(view.slabs, chart_id="slabs", language=asked.language) if view.slabs else "",
        "tab": "bills",
    }
    return render(request, "portal/bill.html", page)


@require_GET
def pdf(request: HttpRequest, bill: int) -> HttpResponse:
    asked: Any = request
    mine = connection_of(request)
    found = own_bill(mine.id, bill)
    if not may(f"pdf:{mine.id}", most=PDFS):
        return render(request, "portal/too_many.html", {"tab": "bills"}, status=429)
    paper = bill_paper(found, language=asked.language, company=company_paper(mine.discom))
    response = HttpResponse(bill_pdf(paper), content_type="application/pdf")
    # The file's name has the bill's number alone: it may lie in a shared phone's downloads.
    response["Content-Disposition"] = f'inline; filename="bill-{found.number}.pdf"'
    return response


def _is_open(mine: Connection, found: Bill) -> bool:
    """Whether its last day still means something: it is the newest bill of a post-paid connection that owes."""
    newest = latest_bill(connection_id=mine.id)
    return newest == found and owed_paise(discom=mine.discom_id, subject=mine.id) > 0


def own_bill(connection: int, bill: int) -> Bill:
    """Of the connection being looked at; else the same answer as for a bill that does not exist."""
    found = Bill.objects.filter(id=bill, connection_id=connection).first() if bill < 2**63 else None
    if found is None:
        raise Http404
    return found
