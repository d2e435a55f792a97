"""What anybody may ask without signing in: is this SMS ours, is this receipt real. Both are limited per address."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from khata.discoms.operations import within
from khata.discoms.rules import limit_key
from khata.formats.text import digits
from khata.notices.queries import check as check_message
from khata.payments.queries import verify_receipt

TRIES, SECONDS = 20, 15 * 60


@require_http_methods(["GET", "HEAD", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """The code at the end of an SMS and the four digits of the account in it: sent by us, or not."""
    code, tail = request.POST.get("code", "")[:20], digits(request.POST.get("tail", "")[:10])
    page: dict[str, object] = {"code": code, "tail": tail, "asked": False, "found": None, "error": ""}
    if request.method == "POST":
        if not _may_try(request, "check-message"):
            page["error"] = _("Too many tries from here. Wait a quarter of an hour, or call 1912.")
            return render(request, "portal/check.html", page, status=429)
        page.update(asked=True, found=check_message(code=code, tail=tail))
    return render(request, "portal/check.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
def receipt_check(request: HttpRequest) -> HttpResponse:
    """What the QR code of a receipt opens: the number and code printed on it, and whether they are ours."""
    asked = request.POST if request.method == "POST" else request.GET
    number, code = asked.get("n", "")[:30], asked.get("c", "")[:20]
    page: dict[str, object] = {"number": number, "code": code, "asked": False, "found": None, "error": ""}
    if number or code:
        if not _may_try(request, "check-receipt"):
            page["error"] = _("Too many tries from here. Wait a quarter of an hour, or call 1912.")
            return render(request, "portal/receipt_check.html", page, status=429)
        page.update(asked=True, found=verify_receipt(number=number, check=code))
    return render(request, "portal/receipt_check.html", page)


def _may_try(request: HttpRequest, what: str) -> bool:
    asked: Any = request
    return may(f"{what}:{asked.address}", most=TRIES)


def may(what: str, *, most: int) -> bool:
    """Whether it was done no more often than that in this quarter of an hour. `what` is hashed before it is kept."""
    key = limit_key(what, secret=settings.SECRET_KEY)
    return within(key=key, most=most, seconds=SECONDS, now=dt.datetime.now(dt.UTC))
