"""A cashier's shift: opened with the cash in the drawer, closed with the cash that was counted."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_http_methods

from khata.discoms.models import Staff
from khata.formats.text import FormatError
from khata.payments.models import Shift
from khata.payments.operations import close_shift, open_shift
from khata.payments.queries import (
    ShiftSummary,
    counters_of,
    open_shift_of,
    open_shifts,
    receipts_of_shift,
    shift_summary,
)
from khata.payments.rules import PaymentRefusedError
from khata.staff.desk import is_officer, known, number_typed, office_of, see_other, show, tidy
from khata.staff.words import cash_typed, not_an_amount, refused

SHOWN_RECEIPTS = 300


@require_http_methods(["GET", "HEAD", "POST"])
def begin(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    opened = open_shift_of(asked.who.staff.id)
    if opened is not None:
        return see_other("shift", opened.id)
    page = {**opening_form(request), "shifts": shifts_of_office(request)}
    if request.method != "POST":
        return show(request, "staff/shift_open.html", page, at="home")
    typed, counter = tidy(request.POST.get("opening", "")), number_typed(request.POST.get("counter", ""))
    page.update(opening=typed[:40], chosen=counter)
    try:
        paise = cash_typed(typed)
    except FormatError as wrong:
        return show(request, "staff/shift_open.html", {**page, "error": not_an_amount(wrong)}, at="home")
    try:
        open_shift(counter=counter, staff=asked.who.staff.id, opening_paise=paise, now=asked.now, today=asked.today)
    except PaymentRefusedError as no:
        return show(request, "staff/shift_open.html", {**page, "problem": refused(no)}, at="home")
    return see_other("home")


def opening_form(request: HttpRequest) -> dict[str, object]:
    office = office_of(request)
    counters = counters_of(office_from=office.id, office_to=office.last)
    return {"counters": counters, "opening": "", "chosen": 0, "error": "", "problem": ""}


def shifts_of_office(request: HttpRequest) -> list[Shift]:
    """What is open at the counters of the post's office: whoever works there may close a shift that was left open."""
    office = office_of(request)
    return open_shifts(office_from=office.id, office_to=office.last)


@require_GET
def shift(request: HttpRequest, shift: int) -> HttpResponse:
    """A shift of one's own or of one's office, open or closed."""
    asked: Any = request
    summary = _seen(request, shift)
    page = {
        "shift": summary,
        "whose": _whose(request, summary),
        "receipts": receipts_of_shift(shift=summary.shift, limit=SHOWN_RECEIPTS),
        "old": summary.closed_at is None and summary.business_date != asked.today,
        **_difference(summary, summary.declared_paise),
        "closed_by": Staff.objects.filter(id=summary.closed_by).first() if summary.closed_by else None,
        "shown": SHOWN_RECEIPTS,
    }
    return show(request, "staff/shift.html", page, at=_at(request))


@require_http_methods(["GET", "HEAD", "POST"])
def end(request: HttpRequest, shift: int) -> HttpResponse:
    """Cash counted against cash booked; a difference is shown, and needs a reason, as does a colleague's shift."""
    asked: Any = request
    summary = _seen(request, shift)
    if summary.closed_at is not None and request.method != "POST":
        return see_other("shift", summary.shift)
    typed, reason = tidy(request.POST.get("declared", "")), tidy(request.POST.get("reason", ""))[:500]
    page: dict[str, object] = {
        "shift": summary,
        "whose": _whose(request, summary),
        "old": summary.business_date != asked.today,
        "declared": typed[:40],
        "reason": reason,
        "error": "",
        "problem": "",
        **_difference(summary, None),
    }
    if request.method != "POST":
        return show(request, "staff/shift_close.html", page, at=_at(request))
    try:
        paise = cash_typed(typed)
    except FormatError as wrong:
        return show(request, "staff/shift_close.html", {**page, "error": not_an_amount(wrong)}, at=_at(request))
    try:
        close_shift(shift=summary.shift, staff=asked.who.staff.id, declared_paise=paise, reason=reason, now=asked.now)
    except PaymentRefusedError as no:
        if no.code == "shift-closed":
            return see_other("shift", summary.shift)
        page.update(_difference(summary, paise))
        return show(request, "staff/shift_close.html", {**page, "problem": refused(no)}, at=_at(request))
    return see_other("shift", summary.shift)


def _seen(request: HttpRequest, shift: int) -> ShiftSummary:
    """A shift of one's own, wherever it is, or one at a counter of the post's office: a cashier may fall ill."""
    asked: Any = request
    summary, office = shift_summary(known(shift)), office_of(request)
    if summary is None:
        raise Http404
    own = summary.staff == asked.who.staff.id and not is_officer(request)
    if not own and not office.id <= summary.office <= office.last:
        raise Http404
    return summary


def _whose(request: HttpRequest, summary: ShiftSummary) -> Staff | None:
    """The person whose shift it is, if it is somebody else's."""
    asked: Any = request
    return Staff.objects.get(id=summary.staff) if summary.staff != asked.who.staff.id else None


def _at(request: HttpRequest) -> str:
    return "collection" if is_officer(request) else "home"


def _difference(summary: ShiftSummary, declared_paise: int | None) -> dict[str, object]:
    """What is too much in the drawer, below 0 too little; and that as a shortfall above 0."""
    difference = 0 if declared_paise is None else declared_paise - summary.booked_paise
    return {"difference": difference, "shortfall": max(0, -difference)}
