"""Sign-in of staff by login, password and a code, in one form with one answer; and the choice of a post."""

import datetime as dt
import threading
import time
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from khata.discoms.models import Office
from khata.discoms.operations import let_in, within
from khata.discoms.queries import posts_of
from khata.discoms.rules import ROLES, limit_key
from khata.formats.text import digits
from khata.staff import session as staff_session
from khata.staff.desk import number_typed, tidy

SECONDS = 15 * 60
PER_LOGIN_HERE, PER_ADDRESS = 10, 60
# From everywhere together: enough against guessing, with the code behind it, and too many for a prankster to reach who
# wants to lock a colleague out.
PER_LOGIN = 300
LONGEST = 200
# A password takes a second of a core to check: a process checks one at a time, and serves pages meanwhile.
_HASHING = threading.BoundedSemaphore(1)
_PATIENCE_SECONDS = 5


@transaction.non_atomic_requests
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def enter(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    if asked.who.staff and request.method != "POST":
        return redirect("staff:home")
    back = request.POST.get("next") or request.GET.get("next") or ""
    login = tidy(request.POST.get("login", ""))[:LONGEST]
    page = {"login": login, "next": _safe(request, back), "error": ""}
    if request.method != "POST":
        return render(request, "staff/sign_in.html", page)
    if not _may_try(login, asked.address):
        page["error"] = _("Too many tries. Wait a quarter of an hour, or ask your office.")
        return render(request, "staff/sign_in.html", page, status=429)
    if not _HASHING.acquire(timeout=_PATIENCE_SECONDS):
        page["error"] = _("Many people are signing in. Try again in a minute.")
        return render(request, "staff/sign_in.html", page, status=503)
    code = "".join(c for c in digits(request.POST.get("code", "")[:40]) if c.isdecimal())
    try:
        staff = let_in(login=login, password=request.POST.get("password", "")[:LONGEST], code=code, today=asked.today)
    finally:
        _HASHING.release()
    if staff is None:
        page["error"] = _("Login, password or code is wrong. Wait for the next code and type all three again.")
        return render(request, "staff/sign_in.html", page)
    posts = posts_of(staff=staff.id, today=asked.today)
    only = posts[0].id if len(posts) == 1 else None
    # Sign-in keeps the real clock, whatever day the business is on.
    staff_session.start(request.session, staff=staff.id, post=only, at=time.time())
    if only is None:
        request.session["next"] = page["next"]
        return redirect("staff:post")
    return HttpResponseRedirect(page["next"]) if page["next"] else redirect("staff:home")


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return redirect("staff:sign-in")


@require_http_methods(["GET", "HEAD", "POST"])
def post(request: HttpRequest) -> HttpResponse:
    """Who holds several posts works in one at a time: each sees other offices."""
    asked: Any = request
    if request.method == "POST":
        wanted = number_typed(request.POST.get("post", ""))
        if wanted not in {each.id for each in asked.who.posts}:
            raise Http404
        staff_session.choose(request.session, post=wanted)
        back = _safe(request, request.session.pop("next", ""))
        return HttpResponseRedirect(back) if back else redirect("staff:home")
    offices = Office.objects.select_related("discom").in_bulk([each.office for each in asked.who.posts])
    rows = [
        {
            "id": each.id,
            "role": ROLES[each.role][0] if asked.language == "hi" else ROLES[each.role][1],
            "office": offices[each.office],
            "current": asked.who.post == each,
        }
        for each in asked.who.posts
    ]
    return render(request, "staff/post.html", {"posts": rows})


def _may_try(login: str, address: str) -> bool:
    """The address first: whoever has tried too often from there leaves no further trace."""
    now = dt.datetime.now(dt.UTC)
    if not within(key=_key("address", address), most=PER_ADDRESS, seconds=SECONDS, now=now):
        return False
    here = within(key=_key("login-here", f"{login}\n{address}"), most=PER_LOGIN_HERE, seconds=SECONDS, now=now)
    return within(key=_key("login", login), most=PER_LOGIN, seconds=SECONDS, now=now) and here


def _key(what: str, whose: str) -> str:
    return limit_key(f"staff-{what}:{whose}", secret=settings.SECRET_KEY)


def _safe(request: HttpRequest, back: str) -> str:
    """A page of the desk, and of this site, or nothing."""
    fits = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return back if fits and back.startswith("/staff/") else ""
