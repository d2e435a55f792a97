"""Money in suspense: taken, but under a number that leads nowhere any more; an officer puts it on the right account."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from khata.consumers.queries import Payer, payers, resolve
from khata.formats.text import FormatError
from khata.payments.models import SuspenseProposal
from khata.payments.operations import clear_suspense
from khata.payments.queries import Proposed, Suspended, proposed_for, suspended, suspended_one, suspended_sum
from khata.payments.rules import LONGEST_REASON, LONGEST_TYPED, SHORTEST_REASON, PaymentRefusedError
from khata.staff.desk import known, number_typed, see_other, show, tidy
from khata.staff.words import held_because, refused

SHOWN = 200


@require_GET
def suspense(request: HttpRequest) -> HttpResponse:
    """What the offices of the post hold, the oldest first."""
    asked: Any = request
    many, paise = suspended_sum(**_offices(request))
    rows = [
        {"row": row, "why": held_because(row.held_for), "days": (asked.today - row.received_on).days}
        for row in suspended(**_offices(request), limit=SHOWN)
    ]
    page = {"rows": rows, "many": many, "paise": paise, "shown": SHOWN}
    return show(request, "staff/suspense.html", page, at="suspense")


@require_http_methods(["GET", "HEAD", "POST"])
def suspense_one(request: HttpRequest, receipt: int) -> HttpResponse:
    """One payment: what is known of it, the connections that its number may mean, and putting it on one of them.

    What an officer proposed waits here for another one to agree.
    """
    asked: Any = request
    row = suspended_one(receipt=known(receipt), **_offices(request))
    if row is None:
        raise Http404
    typed = tidy(request.POST.get("find", row.typed))[:LONGEST_TYPED]
    connection = number_typed(request.POST.get("connection", ""))
    if request.method != "POST" or not connection:
        return _page(request, row, typed)
    reason = tidy(request.POST.get("reason", ""))
    try:
        # Only what this page has offered: a connection that the number typed leads to, or that somebody proposed.
        offered = {each.connection for each in _meant(request, typed)}
        if connection not in offered | {each.connection for each in proposed_for(receipt=row.id)}:
            return _page(request, row, typed, reason=reason, problem=_("Look the number up again."))
        done = clear_suspense(
            receipt=row.id,
            connection=connection,
            staff=asked.who.staff.id,
            reason=reason,
            now=asked.now,
            today=asked.today,
        )
    except PaymentRefusedError as no:
        return _page(request, row, typed, reason=reason, problem=refused(no))
    return see_other("suspense-one" if isinstance(done, SuspenseProposal) else "receipt", row.id)


def _page(request: HttpRequest, row: Suspended, typed: str, *, reason: str = "", problem: str = "") -> HttpResponse:
    asked: Any = request
    page = {
        "row": row,
        "why": held_because(row.held_for),
        "typed": typed,
        "matches": _meant(request, typed),
        "waiting": _waiting(request, proposed_for(receipt=row.id)),
        "own": row.staff == asked.who.staff.id,
        "reason": reason[:LONGEST_REASON],
        "problem": problem,
        "shortest": SHORTEST_REASON,
        "longest": LONGEST_REASON,
    }
    return show(request, "staff/suspense_one.html", page, at="suspense")


def _waiting(request: HttpRequest, proposed: list[Proposed]) -> list[dict[str, object]]:
    """Each proposal beside its connection; one whose connection went back to the old system is not shown."""
    asked: Any = request
    found = payers(connections=[each.connection for each in proposed], today=asked.today)
    own = asked.who.staff.id
    return [
        {"row": each, "payer": found[each.connection], "own": each.staff == own}
        for each in proposed
        if each.connection in found
    ]


def _meant(request: HttpRequest, typed: str) -> list[Payer]:
    """By number only, of any company; an old number finds its connection also when it is not honoured any more."""
    asked: Any = request
    try:
        found = resolve(typed=typed, today=asked.today).matches
    except FormatError:
        return []
    return list(payers(connections=[match.connection for match in found], today=asked.today).values())


def _offices(request: HttpRequest) -> dict[str, int]:
    asked: Any = request
    return {"office_from": asked.who.post.office_from, "office_to": asked.who.post.office_to}
