"""What every desk screen shares: the frame with its work list, what was typed made tidy, and where to go next."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from khata.billing.release import State, held_counts
from khata.discoms.models import Office
from khata.discoms.rules import ROLES
from khata.display.money import grouped

FOR_SOMEBODY = ("waiting", "second person")  # states of a held bill in which an officer must act


@dataclass(frozen=True)
class NavItem:
    url: str
    label: str
    count: str
    current: bool


def office_of(request: HttpRequest) -> Office:
    """The office of the post, with its company, whose name and colour the page then carries. Asked once a request."""
    asked: Any = request
    if not hasattr(asked, "office"):
        asked.office = Office.objects.select_related("discom").get(id=asked.who.post.office)
        asked.company = asked.office.discom
    office: Office = asked.office
    return office


def is_officer(request: HttpRequest) -> bool:
    asked: Any = request
    return bool(asked.who.role == "officer")


def show(
    request: HttpRequest,
    template: str,
    page: Mapping[str, object],
    *,
    at: str,
    status: int = 200,
    counts: Mapping[tuple[State, str], int] | None = None,
) -> HttpResponse:
    """A page in the frame of the desk. `at` is the url name of the entry of the work list that it belongs to; `counts`
    those of held bills, where the page has asked for them already."""
    asked: Any = request
    office = office_of(request)
    if counts is None:
        counts = held_counts() if is_officer(request) else {}
    waiting = sum(count for (state, _reason), count in counts.items() if state in FOR_SOMEBODY)
    role = ROLES[asked.who.role]
    desk = {
        "name": asked.who.staff.name,
        "role": role[0] if asked.language == "hi" else role[1],
        "office": office,
        "posts": len(asked.who.posts),
        "officer": is_officer(request),
    }
    return render(
        request,
        template,
        {**page, "desk": desk, "nav": _nav(request, at=at, waiting=waiting)},
        status=status,
    )


def _nav(request: HttpRequest, *, at: str, waiting: int) -> list[NavItem]:
    if is_officer(request):
        entries = [
            ("home", _("Today's work"), 0),
            ("held", _("Held bills"), waiting),
            ("runs", _("Bill runs"), 0),
            ("collection", _("Money taken"), 0),
            ("suspense", _("Payments on hold"), 0),
            ("meter-data", _("Meter data"), 0),
            ("moves", _("Move to the central system"), 0),
            ("find", _("Find a consumer"), 0),
        ]
    else:
        entries = [("home", _("Counter"), 0), ("find", _("Find a consumer"), 0)]
    return [
        NavItem(reverse(f"staff:{name}"), label, grouped(count) if count else "", name == at)
        for name, label, count in entries
    ]


def see_other(name: str, *args: object, query: str = "") -> HttpResponse:
    """To another page after something was done, so that reloading does not do it again."""
    response = HttpResponseRedirect(reverse(f"staff:{name}", args=args) + query)
    response.status_code = 303
    return response


def known(number: int) -> int:
    """A number from an address, if a row can have it."""
    if number >= 2**63:
        raise Http404
    return number


def number_typed(text: str) -> int:
    """A number that a form of ours sent back; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def tidy(text: str) -> str:
    """What was typed, on one line, without characters that nobody sees."""
    seen = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf")
    )
    return " ".join("".join(c for c in seen if c.isprintable()).split())
