"""Whom the holder of a connection lets see it: given with a name, told to both, taken back at once."""

import datetime as dt
import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from khata.consumers.access import end_view, give_view, given_views
from khata.consumers.rules import mobile_key
from khata.portal.mine import connection_of

LONGEST_LABEL = 40


@require_http_methods(["GET", "HEAD", "POST"])
def access(request: HttpRequest) -> HttpResponse:
    mine = connection_of(request)
    page: dict[str, object] = {"connection": mine, "longest": LONGEST_LABEL, "tab": "home"}
    if request.method == "POST" and (ended := _uuid(request.POST.get("end", ""))):
        end_view(view=ended)
        return redirect("portal:access")
    if request.method == "POST":
        typed = request.POST.get("mobile", "")[:30]
        label = " ".join(request.POST.get("label", "").split())[:LONGEST_LABEL]
        page |= {"typed": typed, "label": label}
        wanted = mobile_key(typed)
        if not wanted:
            page["error"] = _("Type the ten digits of the mobile of whoever may see this connection.")
        elif not label:
            page["error_label"] = _("Write how you call this person.")
        else:
            why = give_view(
                connection_id=mine.id,
                mobile=wanted,
                label=label,
                now=dt.datetime.now(dt.UTC),
                key=settings.SECRET_KEY,
            )
            if not why:
                return redirect("portal:access")
            page["error"] = _why_not(why)
    rows = given_views(connection_id=mine.id)
    page["rows"] = [{"id": row.id, "label": row.label, "tail": row.mobile_key[-4:], "at": row.given_at} for row in rows]
    return render(request, "portal/access.html", page)


def _why_not(why: str) -> str:
    return {
        "own": _("This is your own mobile: it sees this connection already."),
        "given": _("This mobile sees this connection already."),
        "many": _("Five people see this connection already. Take it back from one of them first."),
    }.get(why, _("This cannot be done any more today. Try again tomorrow, or call 1912."))


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
