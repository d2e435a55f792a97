"""Sign-in by a code sent to the registered mobile. Every answer is the same for a mobile of ours and of nobody's."""

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from khata.consumers.operations import ask_code, check_code
from khata.consumers.rules import mobile_key
from khata.formats.text import digits
from khata.migration.telling import note_seen
from khata.portal import session as portal_session

_ASKED = "asked"  # in the session: which code was asked for, the tail of the mobile as typed, where to go afterwards


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """The door: a mobile is typed, a code is asked for."""
    asked: Any = request
    if asked.who.consumer and request.method != "POST":
        return redirect("portal:home")
    back = request.POST.get("next") or request.GET.get("next") or ""
    typed = request.POST.get("mobile", "")
    page = {"typed": typed[:20], "next": back, "error": ""}
    if request.method != "POST":
        return render(request, "portal/sign_in.html", page)
    mobile = mobile_key(typed) if len(typed) <= 30 else ""
    if not mobile:
        page["error"] = _("Type the ten digits of your mobile number.")
        return render(request, "portal/sign_in.html", page)
    code = ask_code(mobile=mobile, address=asked.address, now=_now(), key=settings.SECRET_KEY)
    if code is None:
        page["error"] = _("Too many codes were asked for from here. Wait a quarter of an hour, or call 1912.")
        return render(request, "portal/sign_in.html", page, status=429)
    request.session[_ASKED] = {
        "id": str(code),
        "mobile": portal_session.mobile_hash(mobile),
        "tail": mobile[-4:],
        "next": _safe(request, back),
    }
    return redirect("portal:code")


@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """The code is typed. Right: the session begins anew. Wrong, expired or used: one and the same answer."""
    held = request.session.get(_ASKED)
    if not held:
        return redirect("portal:sign-in")
    page = {"tail": held["tail"], "error": ""}
    if request.method != "POST":
        return render(request, "portal/code.html", page)
    typed = "".join(character for character in digits(request.POST.get("code", "")[:40]) if character.isdecimal())
    asked: Any = request
    found = check_code(
        sign_in=uuid.UUID(held["id"]), typed=typed, address=asked.address, now=_now(), key=settings.SECRET_KEY
    )
    if found is None:
        page["error"] = _("This code is wrong or too old. Look at the newest SMS, or ask for a new code.")
        return render(request, "portal/code.html", page)
    note_seen(sign_in=uuid.UUID(held["id"]), at=_now())
    signed = portal_session.Signed(held["mobile"], tuple(found), 0)
    portal_session.start(request.session, signed)
    if len(found) > 1:
        return redirect("portal:choose")
    return HttpResponseRedirect(held["next"]) if held["next"] else redirect("portal:home")


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return redirect("portal:sign-in")


def _now() -> dt.datetime:
    """The real time: a code lives five real minutes, whatever day the business is on."""
    return dt.datetime.now(dt.UTC)


def _safe(request: HttpRequest, back: str) -> str:
    fits = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return back if fits and back.startswith("/") else ""
