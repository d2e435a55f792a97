"""Every message that went to this person: about all connections of the mobile, and those that holders let it see."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from khata.consumers.queries import own_connections
from khata.notices.queries import inbox
from khata.portal.mine import connection_of

SHOWN = 20


@require_GET
def messages(request: HttpRequest) -> HttpResponse:
    """Newest first, a page at a time; `before` is the message where the page before it ended."""
    asked: Any = request
    mine, before = connection_of(request), request.GET.get("before", "")
    at = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
    own = [row.id for row in own_connections()]
    let_in = [one for _, one in asked.who.consumer.views]
    mobile = mine.consumer.mobile_key
    found = inbox(subjects=[*own, *let_in], limit=SHOWN + 1, before=at, mobile=mobile)
    shown = found[:SHOWN]
    page = {
        "messages_sent": shown,
        "many": len(own) + len(let_in) > 1,
        "newest": request.path if at else "",
        "older": f"?before={shown[-1].id}" if len(found) > SHOWN else "",
        "tab": "messages",
    }
    return render(request, "portal/messages.html", page)
