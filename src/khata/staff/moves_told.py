"""Telling people their new numbers, as a division's office does it: books for the door, slips, the list with names."""

import datetime as dt
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from khata.audit.operations import record
from khata.billing.documents import company_paper
from khata.billing.models import LONGEST_REASON, SHORTEST_REASON
from khata.consumers.queries import window_of
from khata.discoms.models import Office
from khata.formats.text import FormatError, account_number_text, iso_date
from khata.migration.documents import SLIPS_PART, Heading, Slip, names_csv, slips_pdf
from khata.migration.models import Wave
from khata.migration.telling import books_not_told, not_told, note_told, staff_list
from khata.staff.desk import known, number_typed, see_other, show, tidy
from khata.staff.moves import wave_of

LONGEST_READER, LONGEST_BOOK, LONGEST_CLOSED = 80, 80, 2_000


@require_http_methods(["GET", "HEAD", "POST"])
def door(request: HttpRequest, wave: int, division: int) -> HttpResponse:
    """The books in which somebody is not told yet; a book that a reader has walked is noted here."""
    made, office = _division(request, wave, division)
    if request.method != "POST":
        return _door_page(request, made, office)
    asked: Any = request
    typed = {name: request.POST.get(name, "").strip() for name in ("book", "reader", "day", "closed")}
    typed["reader"] = tidy(typed["reader"])
    try:
        day = iso_date(typed["day"][:20])
    except FormatError:
        return _door_page(request, made, office, typed, problem=_("Write the day of the round."))
    since = _since(made)
    if since is None or not since <= day <= asked.today:
        return _door_page(request, made, office, typed, problem=_("On this day nobody could have been told yet."))
    if not 3 <= len(typed["reader"]) <= LONGEST_READER:
        return _door_page(request, made, office, typed, problem=_("Write the name of the reader."))
    left = not_told(wave=made, division=office.id, book=typed["book"][:LONGEST_BOOK])
    closed, strange = _closed(typed["closed"], {each for row in left for each in (row.old_number, row.account_number)})
    if not left:
        return _door_page(request, made, office, typed, problem=_("In this book everybody has been told."))
    if strange:
        problem = _("A number of the closed doors is not of this book. Check it: %(number)s") % {"number": strange}
        return _door_page(request, made, office, typed, problem=problem)
    told = [row.connection for row in left if not closed & {row.old_number, row.account_number}]
    note_told(connections=told, told_on=day, staff=asked.who.staff.id, reader=typed["reader"])
    return see_other("move-door", made.id, office.id, query=f"?noted={len(told)}")


def _closed(typed: str, known_numbers: set[str]) -> tuple[set[str], str]:
    """The numbers of doors where nobody was, and the first that is not of the book."""
    found: set[str] = set()
    for text in typed[:LONGEST_CLOSED].replace(",", " ").replace(";", " ").split():
        try:
            number = account_number_text(text)
        except FormatError:
            return found, text[:20]
        if number not in known_numbers:
            return found, text[:20]
        found.add(number)
    return found, ""


def _since(wave: Wave) -> dt.date | None:
    """The day of the cut-over of a wave that is live."""
    last = wave.act_set.exclude(kind="load").order_by("-id").first()
    return last.business_date if last and last.kind == "cutover" else None


def _division(request: HttpRequest, wave: int, division: int) -> tuple[Wave, Office]:
    """A wave of the company, and one of its divisions that the post is over; else as if it were not there."""
    asked: Any = request
    made, post = wave_of(request, wave), asked.who.post
    found = Office.objects.filter(id=known(division), discom=made.discom_id, kind=Office.Kind.DIVISION).first()
    if found is None or not post.office_from <= found.id <= post.office_to:
        raise Http404
    return made, found


def _door_page(
    request: HttpRequest,
    wave: Wave,
    office: Office,
    typed: dict[str, str] | None = None,
    *,
    problem: str = "",
) -> HttpResponse:
    asked: Any = request
    since = _since(wave)
    books = books_not_told(wave=wave, division=office.id) if since else []
    rows = [{"book": book, "parts": range(1, -(-book.accounts // SLIPS_PART) + 1)} for book in books]
    page = {
        "wave": wave,
        "office": office,
        "since": since,
        "window": window_of(discom=wave.discom_id, wave=wave.code),
        "rows": rows,
        "many": sum(book.accounts for book in books),
        "typed": typed or {"day": str(asked.today)},
        "noted": number_typed(request.GET.get("noted", "")),
        "problem": problem,
    }
    return show(request, "staff/move_door.html", page, at="moves")


@require_GET
def slips(request: HttpRequest, wave: int, division: int) -> HttpResponse:
    """Slips for the doors of one book, a part of them where they are many."""
    asked: Any = request
    made, office = _division(request, wave, division)
    last_day = window_of(discom=made.discom_id, wave=made.code)
    number = max(number_typed(request.GET.get("part", "1")), 1)
    book = request.GET.get("book", "")[:LONGEST_BOOK]
    first = (number - 1) * SLIPS_PART
    left = not_told(wave=made, division=office.id, book=book)[first : first + SLIPS_PART] if last_day else []
    if last_day is None or not left:
        raise Http404
    record(
        actor=f"staff:{asked.who.staff.id}",
        action="migration.slips",
        object=f"migration:wave:{made.id}",
        details={"slips": len(left), "division": office.id},
    )
    heading = Heading(company_paper(made.discom), office.name_hi, office.name_en, last_day)
    made_of = [Slip(row.account_number, row.old_number, row.name, row.address, row.feeder, row.book) for row in left]
    response = HttpResponse(slips_pdf(heading=heading, slips=made_of, made=asked.today), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="slips-{office.id}-{number}.pdf"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def named_list(request: HttpRequest, wave: int, division: int) -> HttpResponse:
    """The list with names, as a file, for a reason that is written down."""
    asked: Any = request
    made, office = _division(request, wave, division)
    reason = tidy(request.POST.get("reason", ""))
    if request.method == "POST" and SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        rows = staff_list(wave=made, division=office.id, actor=f"staff:{asked.who.staff.id}", reason=reason)
        response = HttpResponse(names_csv(rows), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="numbers-{made.id}-{office.id}.csv"'
        return response
    words = {"shortest": SHORTEST_REASON, "longest": LONGEST_REASON}
    problem = _("Write the reason in a sentence of %(shortest)s to %(longest)s characters.") % words
    page = {
        "wave": made,
        "office": office,
        "reason": reason[:LONGEST_REASON],
        "problem": problem if request.method == "POST" else "",
        **words,
    }
    return show(request, "staff/move_list.html", page, at="moves")
