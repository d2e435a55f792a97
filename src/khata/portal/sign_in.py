"""Sign-in by a code sent to the registered mobile. Every answer is the same for a mobile of ours and of nobody's."""

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from khata.consumers.access import change_waiting, stop_waiting
from khata.consumers.operations import Opened, ask_code, check_code
from khata.consumers.rules import mobile_key
from khata.consumers.strong import asked_further, note_signed_in, prove, tail_fits
from khata.formats.text import digits
from khata.migration.telling import note_seen
from khata.portal import session as portal_session
from khata.portal.mine import numbers_known

_ASKED = "asked"  # in the session: which code was asked for, the tail of the mobile as typed, where to go afterwards
_HALF = "half"  # in the session: the same once its code has fitted, what the mobile opens, and which steps still come
HALF_SECONDS = 15 * 60


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
    return _go_on(request, held, found)


def _go_on(request: HttpRequest, held: dict[str, Any], opened: Opened) -> HttpResponse:
    """The code has fitted: either the session begins, or what else this mobile is asked comes first."""
    further = asked_further(sign_in=uuid.UUID(held["id"]), now=_now())
    if further is None:  # not proven after all: nothing opens
        return redirect("portal:sign-in")
    views = [[str(view), one] for view, one in opened.views]
    half = {**held, "own": opened.own, "views": views, "at": _now().timestamp()}
    half["steps"] = [
        step
        for step, wanted in (
            ("second", further.authenticator is not None),
            ("known", further.silent),
        )
        if wanted
    ]
    request.session.flush()
    return _next_step(request, half)


def _next_step(request: HttpRequest, half: dict[str, Any]) -> HttpResponse:
    if half["steps"]:
        request.session[_HALF] = half
        return redirect(f"portal:{half['steps'][0]}")
    sign_in = uuid.UUID(half["id"])
    note_seen(sign_in=sign_in, at=_now())
    note_signed_in(sign_in=sign_in, now=_now())
    own = tuple((one, whose) for one, whose in half["own"])
    signed = portal_session.Signed(half["mobile"], own, 0, tuple((view, one) for view, one in half["views"]))
    portal_session.start(request.session, signed)
    if signed.several:
        return redirect("portal:choose")
    return HttpResponseRedirect(half["next"]) if half["next"] else redirect("portal:home")


def _half(request: HttpRequest, step: str) -> dict[str, Any] | None:
    """What is held of a sign-in whose code has fitted and which is at this step, for a quarter of an hour."""
    half: dict[str, Any] | None = request.session.get(_HALF)
    if not half or half["steps"][:1] != [step] or _now().timestamp() - half["at"] > HALF_SECONDS:
        return None
    return half


@require_http_methods(["GET", "HEAD", "POST"])
def second(request: HttpRequest) -> HttpResponse:
    """The code of the authenticator app, or a recovery code. Wrong, used and too often: one and the same answer.

    Whoever switched the app on may be a thief: a change of mobile that waits is stopped here, by the SMS code alone.
    """
    half = _half(request, "second")
    further = asked_further(sign_in=uuid.UUID(half["id"]), now=_now()) if half else None
    if half is None or further is None:
        return redirect("portal:sign-in")
    page: dict[str, object] = {"error": "", "stopped": False}
    # Not where the mobile may be another person's by now: that one is asked a question first, after this step.
    sign_in = uuid.UUID(half["id"]) if "known" not in half["steps"] else None
    if sign_in and request.method == "POST" and request.POST.get("do") == "stop":
        page["stopped"] = stop_waiting(sign_in=sign_in)
    elif request.method == "POST":
        typed = digits(request.POST.get("code", "")[:40]).strip()
        running = further.authenticator
        proven = uuid.UUID(half["id"])
        if running is None or prove(
            authenticator=running, typed=typed, sign_in=proven, now=_now(), key=settings.SECRET_KEY
        ):
            return _next_step(request, {**half, "steps": half["steps"][1:]})
        page["error"] = _("This code is not right, or was used already. Wait for the next one in your app.")
    page["change_to"] = change_waiting(sign_in=sign_in) if sign_in else None
    return render(request, "portal/second.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
def known(request: HttpRequest) -> HttpResponse:
    """A mobile that nobody signed in with for half a year may be another person's by now: what stands on meter or bill
    decides.
    """
    half = _half(request, "known")
    if half is None:
        return redirect("portal:sign-in")
    page = {"error": ""}
    if request.method == "POST":
        typed = "".join(one for one in digits(request.POST.get("tail", "")[:40]) if one.isdecimal())
        numbers = numbers_known(half["own"], half["views"])
        if tail_fits(typed=typed, known=numbers, who=half["mobile"], now=_now(), key=settings.SECRET_KEY):
            return _next_step(request, {**half, "steps": half["steps"][1:]})
        page["error"] = _("These digits do not fit. Look at the meter or at a bill, or call 1912.")
    return render(request, "portal/known.html", page)


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    back = _safe(request, request.POST.get("next", ""))
    request.session.flush()
    return HttpResponseRedirect(reverse("portal:sign-in", query={"next": back} if back else None))


def _now() -> dt.datetime:
    """The real time: a code lives five real minutes, whatever day the business is on."""
    return dt.datetime.now(dt.UTC)


def _safe(request: HttpRequest, back: str) -> str:
    fits = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return back if fits and back.startswith("/") else ""
