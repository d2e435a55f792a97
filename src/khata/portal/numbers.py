"""Old number and new number, for anybody: a company's public lists, and a look-up that tells nothing but by SMS."""

import datetime as dt
import hashlib
import os
import secrets
from itertools import groupby
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from khata.billing.documents import company_paper
from khata.consumers.operations import ask_number
from khata.discoms.models import Discom
from khata.formats.text import account_number_text
from khata.migration.documents import LIST_PART, LIST_TEMPLATE, Heading, list_pdf, numbers_csv
from khata.migration.telling import PublicList, count_listed, listed_numbers, note_looked, public_list, public_lists
from khata.portal.public import may

A_PAGE = 300
PAGES, FILES = 120, 20  # from one address, in a quarter of an hour


# -- lists -------------------------------------------------------------------------------------------------------------


@require_GET
def lists(request: HttpRequest) -> HttpResponse:
    """Companies and divisions whose list is open today."""
    asked: Any = request
    found = sorted(public_lists(today=asked.today), key=lambda each: (each.division.discom_id, each.division.id))
    companies = [(company, list(rows)) for company, rows in groupby(found, key=lambda each: each.division.discom)]
    return _unlisted(render(request, "portal/numbers.html", {"companies": companies}))


@require_http_methods(["GET", "HEAD", "POST"])
def of_division(request: HttpRequest, division: int) -> HttpResponse:
    """A page of a division's list. Who types an old number is led to the page where it stands, or would stand."""
    if not _may(request, "page", PAGES):
        return _too_many(request)
    asked: Any = request
    found = _open_list(division, asked.today)
    here = reverse("portal:numbers-of", args=[division])
    if request.method == "POST":
        typed = account_number_text(request.POST.get("number", "")[:40])
        before = count_listed(division=division, today=asked.today, before=typed)
        return _unlisted(redirect(f"{here}?page={before // A_PAGE + 1}"))
    count = count_listed(division=division, today=asked.today)
    last = max(1, -(-count // A_PAGE))
    page = min(_whole(request.GET.get("page")), last)
    rows = listed_numbers(division=division, today=asked.today, skip=(page - 1) * A_PAGE, many=A_PAGE)
    note_looked(division=division, what="page", page=page)
    shown = {
        "list": found,
        "rows": rows,
        "first": rows[0][0] if rows else "",
        "final": rows[-1][0] if rows else "",
        "count": count,
        "page": page,
        "pages": last,
        "previous": f"{here}?page={page - 1}" if page > 1 else "",
        "next": f"{here}?page={page + 1}" if page < last else "",
        "files": range(1, -(-count // LIST_PART) + 1),
    }
    return _unlisted(render(request, "portal/numbers_of.html", shown))


@require_GET
def as_csv(request: HttpRequest, division: int) -> HttpResponse:
    """The whole list of a division as a table."""
    if not _may(request, "file", FILES):
        return _too_many(request)
    asked: Any = request
    found = _open_list(division, asked.today)
    rows = listed_numbers(division=division, today=asked.today)
    note_looked(division=division, what="csv", page=1)
    return _file(numbers_csv(rows, masked=found.masked), "text/csv; charset=utf-8", f"numbers-{division}.csv")


@require_GET
def as_pdf(request: HttpRequest, division: int) -> HttpResponse:
    """A part of a division's list on paper. It is made once for each state of the list, and kept."""
    if not _may(request, "file", FILES):
        return _too_many(request)
    asked: Any = request
    found = _open_list(division, asked.today)
    part = _whole(request.GET.get("part"))
    kept = _kept(found, part)
    if not kept.exists():
        rows = listed_numbers(division=division, today=asked.today, skip=(part - 1) * LIST_PART, many=LIST_PART)
        if not rows:
            raise Http404
        heading = Heading(
            company_paper(found.division.discom), found.division.name_hi, found.division.name_en, found.last_day
        )
        _keep(kept, list_pdf(heading=heading, rows=rows, made=found.since))
    note_looked(division=division, what="pdf", page=part)
    return _file(kept.read_bytes(), "application/pdf", f"numbers-{division}-{part}.pdf")


def _open_list(division: int, today: dt.date) -> PublicList:
    """One whose time is over answers like one that never was; what was kept of it is thrown away."""
    found = public_list(division=division, today=today) if division < 2**31 else None
    if found is None:
        for old in _folder().glob(f"{division}-*.pdf"):
            old.unlink(missing_ok=True)
        raise Http404
    return found


def _folder() -> Path:
    return Path(settings.KHATA_VAR) / "lists"


def _kept(found: PublicList, part: int) -> Path:
    state = f"{found.version} {found.division.name_hi} {found.division.discom.name_hi}".encode()
    name = hashlib.sha256(state + LIST_TEMPLATE.read_bytes()).hexdigest()[:24]
    return _folder() / f"{found.division.id}-{name}-{part}.pdf"


def _keep(path: Path, document: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.write_bytes(document)
    os.replace(draft, path)


def _file(content: bytes, kind: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return _unlisted(response)


def _unlisted(response: HttpResponse) -> HttpResponse:
    """For no search engine and no cache: with the window the lists vanish."""
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store"
    return response


def _may(request: HttpRequest, what: str, most: int) -> bool:
    asked: Any = request
    return may(f"numbers-{what}:{asked.address}", most=most)


def _too_many(request: HttpRequest) -> HttpResponse:
    return _unlisted(render(request, "portal/numbers_too_many.html", status=429))


def _whole(text: str | None) -> int:
    """A page's number; 1 for what is none."""
    return max(1, int(text)) if text and text.isascii() and text.isdecimal() and len(text) < 7 else 1


# -- the look-up -------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def look_up(request: HttpRequest) -> HttpResponse:
    """An old number is typed; whatever it is, the same answer comes, and the new one goes to the mobile on record."""
    asked: Any = request
    companies = list(Discom.objects.order_by("id"))
    page: dict[str, object] = {"companies": companies, "asked": False, "error": ""}
    if request.method != "POST":
        return _unlisted(render(request, "portal/number.html", page))
    typed, code = request.POST.get("number", "")[:30], request.POST.get("company", "")
    whose = next((company.code for company in companies if company.code == code), "")
    now = dt.datetime.now(dt.UTC)
    if not ask_number(typed=f"{whose} {typed}".strip(), address=asked.address, now=now, key=settings.SECRET_KEY):
        page["error"] = _("Too many tries from here. Wait a quarter of an hour, or call 1912.")
        return _unlisted(render(request, "portal/number.html", page, status=429))
    page["asked"] = True
    return _unlisted(render(request, "portal/number.html", page))
