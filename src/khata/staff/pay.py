"""Money over the counter: whom it is for, before any money; then the amount; then the receipt."""

import uuid
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from khata.billing.documents import company_paper
from khata.consumers.queries import payer
from khata.display.money import plain_rupees
from khata.formats.text import FormatError, rupees_typed
from khata.payments.documents import ReceiptPaper, receipt_pdf
from khata.payments.models import Receipt
from khata.payments.operations import take_cash
from khata.payments.queries import open_shift_of, receipt_view, receipts_of_connection
from khata.payments.rules import COUNTER, PaymentRefusedError
from khata.staff.desk import known, see_other, show
from khata.staff.find import too_old
from khata.staff.searches import Hit, Search, recall
from khata.staff.words import AT_AMOUNT, CLOSES_SHIFT, OPENS_SHIFT, held_because, not_an_amount, refused

LATEST_RECEIPTS = 6


@require_GET
def pay(request: HttpRequest, search: uuid.UUID, at: int) -> HttpResponse:
    kept = recall(request.session, search)
    if kept is None or at >= len(kept.hits):
        return too_old(request)
    taken = _taken(kept.hits[at])
    if taken:
        return see_other("receipt", taken.id, query="?again=1")
    return _page(request, kept, at, typed=None)


@require_POST
def take(request: HttpRequest, search: uuid.UUID, at: int) -> HttpResponse:
    asked: Any = request
    kept = recall(request.session, search)
    if kept is None or at >= len(kept.hits):
        return too_old(request)
    hit, typed = kept.hits[at], request.POST.get("amount", "")
    before, paise = _taken(hit), 0
    try:
        paise = rupees_typed(typed)
    except FormatError as wrong:
        if not before:
            return _page(request, kept, at, typed=typed, error=not_an_amount(wrong))
    shift = open_shift_of(asked.who.staff.id)
    if before and (not paise or (shift is None and before.amount_paise == paise)):
        return see_other("receipt", before.id, query="?again=1")
    try:
        taken = take_cash(
            shift=shift.id if shift else 0,
            staff=asked.who.staff.id,
            reference=hit.reference,
            typed=kept.typed,
            connection=hit.connection,
            matched=hit.matched,
            amount_paise=paise,
            now=asked.now,
            today=asked.today,
        )
    except PaymentRefusedError as no:
        return _page(request, kept, at, typed=typed, refusal=no)
    return see_other("receipt", taken.receipt.id, query="?again=1" if taken.repeated else "")


def _page(
    request: HttpRequest,
    kept: Search,
    at: int,
    *,
    typed: str | None,
    error: str = "",
    refusal: PaymentRefusedError | None = None,
) -> HttpResponse:
    """The page before money: as asked for, or again with what is wrong. Nothing that was typed is lost."""
    asked: Any = request
    hit = kept.hits[at]
    whom = payer(connection=hit.connection, today=asked.today)
    if whom is None:
        return too_old(request)
    at_amount = refusal is not None and refusal.code in AT_AMOUNT
    shift = open_shift_of(asked.who.staff.id)
    latest = receipts_of_connection(connection=hit.connection, limit=LATEST_RECEIPTS)
    page = {
        "search": kept,
        "at": at,
        "hit": hit,
        "payer": whom,
        "ahead_paise": max(0, -whom.balance_paise),
        "amount": (plain_rupees(whom.balance_paise) if whom.balance_paise > 0 else "") if typed is None else typed[:40],
        "error": error or (refused(refusal) if refusal and at_amount else ""),
        "problem": refused(refusal) if refusal and not at_amount else "",
        "closes_shift": refusal is not None and refusal.code in CLOSES_SHIFT,
        "opens_shift": refusal is not None and refusal.code in OPENS_SHIFT,
        "taken": _taken(hit) if refusal is not None and refusal.code == "conflict" else None,
        "shift": shift,
        "old_shift": shift is not None and shift.business_date != asked.today,
        "today_taken": [row for row in latest if row.received_on == asked.today],
    }
    return show(request, "staff/pay.html", page, at="find")


def _taken(hit: Hit) -> Receipt | None:
    """The receipt of this very page, if its money was taken."""
    return Receipt.objects.select_related("counter").filter(channel=COUNTER, reference=hit.reference).first()


# -- receipts ----------------------------------------------------------------------------------------------------------


@require_GET
def receipt(request: HttpRequest, receipt: int) -> HttpResponse:
    asked: Any = request
    view = receipt_view(receipt=known(receipt), today=asked.today)
    if view is None:
        raise Http404
    page = {
        "receipt": view,
        "ahead_paise": max(0, -(view.balance_after_paise or 0)),
        "again": "again" in request.GET,
        "held_because": held_because(view.held_for),
        "check_url": _check_url(view.number, view.check),
    }
    return show(request, "staff/receipt.html", page, at="home")


@require_GET
def receipt_print(request: HttpRequest, receipt: int) -> HttpResponse:
    """Of money that a counter took. Printed again it is the same paper."""
    asked: Any = request
    rows = Receipt.objects.select_related("counter", "shift", "office__discom").filter(id=known(receipt))
    one, view = rows.first(), receipt_view(receipt=receipt, today=asked.today)
    if one is None or view is None or one.counter is None or one.shift is None or one.received_at is None:
        raise Http404
    # Held money keeps the paper that it was given; whose connection went back to the old system has no name here.
    whom = None if one.held_for else view.payer
    paper = ReceiptPaper(
        language=asked.language,
        company=company_paper(one.office.discom),
        counter=one.counter.name_hi if asked.language == "hi" else one.counter.name_en,
        serial=one.serial or 0,
        receipt_number=view.number,
        at=one.received_at,
        masked_name=whom.masked_name if whom else "",
        account_number=whom.account_number if whom else view.matched,
        typed=one.typed,
        amount_paise=one.amount_paise,
        mode="cash",
        balance_paise=one.balance_after_paise or 0,
        cashier=str(one.shift.staff_id),
        verify=_check_url(view.number, view.check),
        held=one.held_for != "",
    )
    response = HttpResponse(receipt_pdf(data=paper), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="receipt-{view.number}.pdf"'
    return response


def _check_url(number: str, code: str) -> str:
    return f"{settings.KHATA_SITE_URL}{reverse('portal:receipt-check')}?{urlencode({'n': number, 'c': code})}"
