"""Before every page: who asks, what that person may open (`policy`), on whose behalf the database is asked.

One middleware. It denies by default: what the policy does not name is not there. A signed-in person who asks for what
is not theirs gets the same answer as for what does not exist.
"""

import datetime as dt
import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import parse_accept_lang_header

from khata.api.meter_data import PREFIX as METER_DATA
from khata.api.meter_data import refused, sender_of
from khata.api.problems import ROOT as API
from khata.api.problems import ProblemError, sign_in
from khata.commands import clock
from khata.consumers.access import views_shown
from khata.discoms.models import Discom, Staff
from khata.discoms.queries import posts_of
from khata.discoms.rules import Held
from khata.discoms.scope import NOBODY, Scope, scoped
from khata.metering.uploads import Credential
from khata.portal import session as portal_session
from khata.site.policy import POLICY
from khata.staff import session as staff_session

_SESSION = re.compile("[a-z0-9]{32}")
CHOOSES_POST = frozenset({"staff:post", "staff:sign-out"})


@dataclass(frozen=True)
class Who:
    """Who asks. `role` is "anyone", "consumer", "viewer" (somebody whom a holder let see one
    connection), "sender" (of meter data) or the role of the post; staff with no post chosen have role ""."""

    role: str
    scope: Scope = NOBODY
    consumer: portal_session.Signed | None = None
    staff: Staff | None = None
    post: Held | None = None
    posts: tuple[Held, ...] = ()
    sender: Credential | None = None


class FrontMiddleware:
    """Before anything is read: our forms are small, files and all, and a session's name has one shape."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        streamed = request.method == "POST" and request.path.startswith(METER_DATA)  # which counts for itself
        if not length.isdecimal() or (int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and not streamed):
            if request.path.startswith(API):
                with translation.override(_language(request)):
                    wrong, instead = _("the body has more bytes than any of ours"), _("Send no body here")
                    return ProblemError(400, "body", wrong, "Content-Length", instead).response()
            with translation.override(_language(request)):
                return render(request, "400.html", status=400)
        if not _SESSION.fullmatch(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")):
            request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        return self.get_response(request)


class GuardMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asked: Any = request  # what pages find on the request, in one place
        asked.now = clock.now()
        asked.today = asked.now.astimezone(clock.INDIA).date()
        asked.address = _address(request)
        asked.who = who = _who(request)
        with translation.override(_language(request)), scoped(who.scope):
            asked.language = translation.get_language()
            response = self.get_response(request)
            if getattr(asked, "session_over", False):
                # Here and not in the page: its transaction, and with it what it did to the session, was given up.
                request.session.flush()
                door = reverse("portal:sign-in")
                response = sign_in().response() if request.path.startswith(API) else HttpResponseRedirect(door)
            response.headers.setdefault("Content-Language", asked.language)
        response.headers.setdefault("Cache-Control", "no-store")
        patch_vary_headers(response, ["Cookie", *(["Accept-Language"] if request.path.startswith(API) else [])])
        return response

    def process_view(self, request: HttpRequest, *_view: object) -> HttpResponseBase | None:
        """Inside the scope, before the view's transaction."""
        page = request.resolver_match.view_name if request.resolver_match else ""
        allowed = POLICY.get(page)
        who: Who = request.who  # type: ignore[attr-defined]
        if allowed is None:
            raise Http404
        if who.role in allowed or "anyone" in allowed or (who.staff and page in CHOOSES_POST):
            return None
        if who.staff and not who.post and not request.path.startswith(API):
            return HttpResponseRedirect(reverse("staff:post"))
        if who.role != "anyone":
            raise Http404
        if request.path.startswith(API):
            return (refused(request.address) if "sender" in allowed else sign_in()).response()  # type: ignore[attr-defined]
        door = "staff:sign-in" if page.startswith("staff:") else "portal:sign-in"
        back = f"?{urlencode({'next': request.path})}" if request.method == "GET" and request.path != "/" else ""
        return HttpResponseRedirect(reverse(door) + back)


def _language(request: HttpRequest) -> str:
    """Hindi unless somebody chose otherwise: the phone's own setting is mostly what the factory left there. A program
    says what it wants, or else is told English."""
    chosen, other = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME), "hi"
    if request.path.startswith(API):
        wanted = [
            code.split("-")[0] for code, _q in parse_accept_lang_header(request.headers.get("Accept-Language", ""))
        ]
        chosen, other = next((code for code in wanted if code in ("hi", "en")), chosen), "en"
    return chosen if chosen in ("hi", "en") else other


def _who(request: HttpRequest) -> Who:
    session = request.session
    if request.path.startswith(METER_DATA):  # a credential alone counts there, and nowhere else
        known = sender_of(request)
        return Who("sender", sender=known) if known else Who("anyone")
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return Who("anyone")
    # Sign-in keeps the real clock, whatever day the business is on.
    if held := staff_session.read(session, at=time.time()):
        return _staff(request, held)
    if signed := portal_session.read(session):
        return _consumer(request, signed)
    return Who("anyone")


def _consumer(request: HttpRequest, signed: portal_session.Signed) -> Who:
    """A view that was taken back shows nothing from that moment on: whoever had it is back at the own connections."""
    standing: portal_session.Signed | None = signed
    while standing and standing.view:
        if any(each.connection == standing.connection for each in views_shown(views=[standing.view])):
            scope = Scope(consumer=None, office_from=None, office_to=None, connection=standing.connection)
            return Who("viewer", scope, consumer=standing)
        standing = portal_session.without_view(request.session, standing)
    if standing is None:
        return Who("anyone")
    return Who("consumer", Scope(consumer=standing.consumer, office_from=None, office_to=None), consumer=standing)


def _staff(request: HttpRequest, held: staff_session.SignedIn) -> Who:
    """A post that has ended meanwhile, or a person who has left, opens nothing from that moment on."""
    staff = Staff.objects.filter(id=held.staff, active=True).first()
    posts = tuple(posts_of(staff=held.staff, today=request.today)) if staff else ()  # type: ignore[attr-defined]
    if staff is None or not posts:
        request.session.flush()
        return Who("anyone")
    post = next((post for post in posts if post.id == held.post), posts[0] if len(posts) == 1 else None)
    if post is None:
        return Who("", staff=staff, posts=posts)
    scope = Scope(consumer=None, office_from=post.office_from, office_to=post.office_to)
    return Who(post.role, scope, staff=staff, post=post, posts=posts)


def _address(request: HttpRequest) -> str:
    """The caller's address: behind proxies of ours, the one that the outermost of them saw."""
    seen = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    said = str(request.META.get("REMOTE_ADDR", ""))
    if settings.PROXIES and len(seen) >= settings.PROXIES:
        said = seen[-settings.PROXIES]
    try:
        address = ipaddress.ip_address(said if said.count(":") != 1 else said.partition(":")[0])  # some add a port
    except ValueError:
        return "unknown"  # all of them together
    # One subscriber of IPv6 has 2⁶⁴ addresses: they count as one.
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


# -- what every template finds -----------------------------------------------------------------------------------------


def page_context(request: HttpRequest) -> dict[str, object]:
    return {
        "who": getattr(request, "who", Who("anyone")),
        "today": getattr(request, "today", None),
        "now": getattr(request, "now", None),
        "language": getattr(request, "language", "hi"),
        "company": getattr(request, "company", None) or SimpleLazyObject(_front_company),
        "mobile_change": getattr(request, "mobile_change", None),
        "mobile_change_to": getattr(request, "mobile_change_to", ""),
        "save_data": request.headers.get("Save-Data") == "on",
        "updated": dt.date.fromisoformat(settings.PAGES_UPDATED),
        "outbox": bool(settings.KHATA_DEMO_OUTBOX),
    }


def _front_company() -> Discom:
    """Whose name the pages before sign-in carry; the system's own where the installation names no company."""
    found = Discom.objects.filter(code=settings.KHATA_COMPANY).first() if settings.KHATA_COMPANY else None
    return found or Discom(code="Khata", name_en="Khata", name_hi="खाता")
