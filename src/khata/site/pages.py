"""The pages that belong to no room: language, theme, manifest, worker, statements, errors, the demo's outbox."""

import datetime as dt
import hashlib
import json
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django_otp.oath import totp

from khata.api.problems import ROOT as API
from khata.api.problems import ProblemError, not_there
from khata.discoms.rules import ROLES

SHOWN_MESSAGES = 50
_TAIL_BYTES = 64 * 1024


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Keeps the choice in a cookie and goes back to where it was made."""
    chosen = request.POST.get("language")
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = HttpResponseRedirect(back)
    if chosen in ("hi", "en"):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            chosen,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


@require_GET
def theme(request: HttpRequest, colour: str) -> HttpResponse:
    """A company's key colour as a style sheet: the one token that differs, since pages carry no style of their own."""
    response = HttpResponse(f":root{{--key:#{colour}}}\n", content_type="text/css")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@require_GET
def manifest(request: HttpRequest) -> HttpResponse:
    def icon(size: int, purpose: str) -> dict[str, str]:
        file = f"khata/icon-{size}{'-maskable' if purpose == 'maskable' else ''}.png"
        return {"src": static(file), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}

    response = JsonResponse(
        {
            "name": _("My electricity"),
            "short_name": _("Khata"),
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "lang": request.language,  # type: ignore[attr-defined]
            "background_color": "#FBF7F0",
            "theme_color": "#1F1D4E",
            "icons": [icon(192, "any"), icon(512, "any"), icon(512, "maskable")],
        },
        content_type="application/manifest+json",
    )
    response["Cache-Control"] = "public, max-age=86400"
    return response


WORKER_FILES = ("khata/khata.css", "khata/khata.js", "khata/favicon.svg", "khata/emblem.svg")


@transaction.non_atomic_requests
@require_GET
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker, here so that its scope is the whole site; the files by the hashed names of this release."""
    files = [static(name) for name in WORKER_FILES]
    name = f"khata-{hashlib.sha256(''.join([*files, settings.PAGES_UPDATED]).encode()).hexdigest()[:12]}"
    given = {"name": name, "files": files, "offline": reverse("offline")}
    response = render(request, "sw.js", given, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    return response


@require_GET
def offline(request: HttpRequest) -> HttpResponse:
    """What is shown without network: the last balance that this phone keeps, with its time."""
    return render(request, "offline.html", {"keeps": True})


@require_GET
def accessibility(request: HttpRequest) -> HttpResponse:
    return render(request, "accessibility.html")


@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    return render(request, "privacy.html")


@require_GET
def complaints(request: HttpRequest) -> HttpResponse:
    return render(request, "complaints.html")


@transaction.non_atomic_requests
@require_GET
def alive(request: HttpRequest) -> HttpResponse:
    """For whoever watches the server: it answers, and has said nothing of the database."""
    return HttpResponse("alive\n", content_type="text/plain")


@require_GET
def outbox(request: HttpRequest) -> HttpResponse:
    """The demo's telephone: what its file backend laid down, newest first. Not there where nobody set the file."""
    if not settings.KHATA_DEMO_OUTBOX:
        raise Http404
    laid_down = Path(settings.KHATA_DEMO_OUTBOX)
    people = laid_down.with_name("demo-staff.json")
    known = json.loads(people.read_text(encoding="utf-8")) if people.exists() else []
    page = {"messages_sent": _last_lines(laid_down), "people": [_with_code(person) for person in known]}
    return render(request, "outbox.html", page)


def _with_code(person: dict[str, str]) -> dict[str, str]:
    """The role in the reader's words, and the second factor's code of this moment."""
    hindi, english = ROLES[person["role"]]
    code = f"{totp(bytes.fromhex(person['key'])):06d}"
    return {**person, "role": hindi if get_language() == "hi" else english, "code": code}


def _last_lines(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    whole = [line for line in lines if line.startswith("{") and line.endswith("}")]
    told = [json.loads(line) for line in reversed(whole[-SHOWN_MESSAGES:])]
    return [{**message, "at": dt.datetime.fromisoformat(message["at"])} for message in told]


# -- errors: calm, in the reader's language, and a stranger learns nothing ---------------------------------------------


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "csrf.html", status=403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return ProblemError(400, "request", _("the request cannot be read")).response()
    return render(request, "400.html", status=400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return not_there().response()
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Must not ask the database, which may be what failed."""
    if request.path.startswith(API):
        wrong = _("something went wrong on our side")
        return ProblemError(500, "fault", wrong, next_step=_("Try again; if it stays so, call 1912")).response()
    return render(request, "500.html", {"company": {"name_hi": "खाता", "name_en": "Khata"}}, status=500)
