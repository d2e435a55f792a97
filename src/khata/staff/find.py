"""The one search box: new or old number, name or mobile. Another company's connection by its exact number only."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from khata.consumers.models import Connection
from khata.consumers.queries import Payer, find, payers, resolve
from khata.formats.text import FormatError
from khata.payments.rules import LONGEST_TYPED
from khata.staff.desk import is_officer, office_of, see_other, show, tidy
from khata.staff.searches import Hit, Search, recall, remember

MOST = 20


@dataclass(frozen=True)
class Row:
    """One found connection; `visible` if its page opens for whoever asks."""

    at: int
    hit: Hit
    payer: Payer
    visible: bool


@require_http_methods(["GET", "HEAD", "POST"])
def search(request: HttpRequest) -> HttpResponse:
    """One match opens at once, many are listed, none gets a next step."""
    asked: Any = request
    typed = tidy(request.POST.get("find", ""))
    page: dict[str, object] = {"typed": typed[:LONGEST_TYPED], "error": "", "asked": False}
    if request.method != "POST":
        return show(request, "staff/find.html", page, at="find")
    if not typed or len(typed) > LONGEST_TYPED:
        page["error"] = _("Type a new or old number, a name or a mobile number.")
        return show(request, "staff/find.html", page, at="find")
    try:
        found = find(text=typed, discom=office_of(request).discom.code, today=asked.today, limit=MOST + 1)
    except FormatError:
        page["error"] = _(
            "This is neither a number nor a name. A new number has 10 digits, an old one 6 to 8; "
            "of a name type two letters or more."
        )
        return show(request, "staff/find.html", page, at="find")
    if not found:
        return show(request, "staff/find.html", {**page, "asked": True}, at="find")
    kept = remember(request.session, typed=typed, found=found, ended=_ended(typed, asked.today))
    if len(found) > 1:
        return see_other("found", kept.token)
    if not is_officer(request):
        return see_other("pay", kept.token, 0)
    return (
        see_other("connection", found[0].payer.connection)
        if _rows(request, kept)[0].visible
        else see_other("found", kept.token)
    )


def _ended(typed: str, today: dt.date) -> dict[int, dt.date | None]:
    """Connections that an old number still finds but is not honoured for: since when not, is the day after this one."""
    try:
        matches = resolve(typed=typed, today=today).matches
    except FormatError:
        return {}
    return {match.connection: match.last_day for match in matches if not match.honoured}


@require_GET
def found(request: HttpRequest, search: uuid.UUID) -> HttpResponse:
    kept = recall(request.session, search)
    if kept is None:
        return too_old(request)
    rows = _rows(request, kept)
    page = {"typed": kept.typed, "search": kept, "rows": rows[:MOST], "more": len(rows) > MOST, "most": MOST}
    return show(request, "staff/found.html", page, at="find")


def too_old(request: HttpRequest) -> HttpResponse:
    """The search behind a page is not kept any more."""
    page = {"typed": "", "asked": False, "error": _("This page is too old. Look the number up again.")}
    return show(request, "staff/find.html", page, at="find", status=404)


def _rows(request: HttpRequest, kept: Search) -> list[Row]:
    asked: Any = request
    identities = [hit.connection for hit in kept.hits]
    known = payers(connections=identities, today=asked.today)
    visible = set(Connection.objects.filter(id__in=identities).values_list("id", flat=True))
    return [
        Row(at, hit, known[hit.connection], hit.connection in visible)
        for at, hit in enumerate(kept.hits)
        if hit.connection in known
    ]
