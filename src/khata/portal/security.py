"""How safely a person signs in: an authenticator app beside the SMS, and another mobile on record."""

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from khata.consumers.access import SilentMobileError, ask_new_mobile, change_mobile, open_change, stop_change
from khata.consumers.rules import mobile_key
from khata.consumers.strong import (
    app_link,
    new_nonce,
    own_authenticator,
    prove,
    secret_text,
    switch_off,
    switch_on,
)
from khata.display.upi import qr_svg
from khata.formats.text import digits
from khata.portal.mine import connection_of
from khata.portal.session import is_fresh

_OFFERED = "authenticator"  # in the session: the nonce of a secret that was shown and not confirmed yet
_NEW_MOBILE = "new-mobile"  # in the session: the code that was asked for, and the last digits of where it went


@require_http_methods(["GET", "HEAD", "POST"])
def security(request: HttpRequest) -> HttpResponse:
    """Switch the authenticator on, soon after a sign-in and with one code as proof, or off again."""
    asked: Any = request
    mine = connection_of(request)
    running = own_authenticator()
    page: dict[str, object] = {"running": running, "codes": (), "error": "", "tab": "home"}
    typed = digits(request.POST.get("code", "")[:40]).strip()
    if running:
        if request.method == "POST":
            if switch_off(typed=typed, now=_now(), key=settings.SECRET_KEY):
                return redirect("portal:security")
            page["error"] = _wrong()
        return render(request, "portal/security.html", page)
    if not is_fresh(request.session):
        return render(request, "portal/security.html", {**page, "again": True})
    nonce = request.session.get(_OFFERED) or new_nonce()
    if request.method == "POST":
        who = asked.who.consumer.mobile
        codes = switch_on(nonce=nonce, typed=typed.replace(" ", ""), who=who, now=_now(), key=settings.SECRET_KEY)
        if codes:
            request.session.pop(_OFFERED, None)
            return render(request, "portal/security.html", {**page, "codes": codes, "running": own_authenticator()})
        page["error"] = _wrong()
    request.session[_OFFERED] = nonce
    account = f"..{mine.account_number[-4:]}"
    link = app_link(nonce=nonce, key=settings.SECRET_KEY, account=account, issuer=mine.discom.code)
    secret = secret_text(nonce, settings.SECRET_KEY)
    page |= {"qr": qr_svg(link), "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))}
    return render(request, "portal/security.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
def mobile(request: HttpRequest) -> HttpResponse:
    """Another mobile: typed, proven by a code sent to it, on record after 24 hours in which the old one may say no."""
    mine = connection_of(request)
    page: dict[str, object] = {
        "waiting": open_change(),
        "running": own_authenticator() is not None,
        "asked": request.session.get(_NEW_MOBILE),
        "typed": "",
        "error": "",
        "tab": "home",
    }
    if request.method == "POST" and not page["waiting"]:
        if request.POST.get("do") == "code" and page["asked"]:
            return _typed_code(request, page)
        return _typed_mobile(request, page, mine.id, mine.consumer.mobile_key)
    return render(request, "portal/mobile.html", page)


def _typed_mobile(request: HttpRequest, page: dict[str, object], connection: int, now_on_record: str) -> HttpResponse:
    typed = request.POST.get("mobile", "")[:30]
    wanted, running = mobile_key(typed), own_authenticator()
    page |= {"typed": typed, "asked": None}
    request.session.pop(_NEW_MOBILE, None)
    if not wanted or wanted == now_on_record:
        page["error"] = _("Type the ten digits of your new mobile number.")
    elif running and not prove(
        authenticator=running,
        typed=digits(request.POST.get("second", "")[:40]).strip(),
        sign_in=None,
        now=_now(),
        key=settings.SECRET_KEY,
    ):
        page["error_second"] = _wrong()
    else:
        code = ask_new_mobile(connection_id=connection, mobile=wanted, now=_now(), key=settings.SECRET_KEY)
        request.session[_NEW_MOBILE] = {"id": str(code), "tail": wanted[-4:]}
        return redirect("portal:mobile")
    return render(request, "portal/mobile.html", page)


def _typed_code(request: HttpRequest, page: dict[str, object]) -> HttpResponse:
    held: Any = page["asked"]
    typed = "".join(one for one in digits(request.POST.get("code", "")[:40]) if one.isdecimal())
    try:
        made = change_mobile(sign_in=uuid.UUID(held["id"]), typed=typed, now=_now(), key=settings.SECRET_KEY)
    except SilentMobileError:
        page["error"] = _("Other connections stand under this number. Sign in with it once, then ask again.")
        return render(request, "portal/mobile.html", page)
    if made is None:
        page["error"] = _("This code is wrong or too old. Look at the newest SMS, or ask for a new code.")
        return render(request, "portal/mobile.html", page)
    request.session.pop(_NEW_MOBILE, None)
    return redirect("portal:mobile")


@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    """This was not me: the change that waits is stopped, and the old mobile stays."""
    connection_of(request)
    waiting = open_change()
    if waiting:
        stop_change(change=waiting.id)
    return redirect("portal:mobile")


def _wrong() -> str:
    return _("This code is not right, or was used already. Wait for the next one in your app.")


def _now() -> dt.datetime:
    """The real time, whatever day the business is on."""
    return dt.datetime.now(dt.UTC)
