"""Another mobile on record, on paper: one officer proposes it, a second agrees, and the old mobile is told at once."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from khata.consumers.access import (
    SilentMobileError,
    decide_mobile,
    goes_beyond,
    holds_until,
    propose_mobile,
    proposed_mobile,
)
from khata.consumers.models import Connection
from khata.consumers.rules import mobile_key
from khata.payments.rules import LONGEST_REASON, SHORTEST_REASON
from khata.staff.desk import known, number_typed, see_other, show, tidy


@require_http_methods(["GET", "HEAD", "POST"])
def mobile(request: HttpRequest, connection: int) -> HttpResponse:
    asked: Any = request
    found = Connection.objects.select_related("consumer").filter(id=known(connection)).first()
    if found is None:
        raise Http404
    waiting, staff = proposed_mobile(connection_id=found.id), asked.who.staff.id
    on_record = found.consumer.mobile_key
    page: dict[str, object] = {
        "connection": found,
        "on_record": f"******{on_record[-4:]}" if on_record else "",
        "waiting": waiting,
        "holds_until": holds_until(change=waiting.id) if waiting else None,
        "own": waiting is not None and waiting.staff_id == staff,
        "typed": "",
        "reason": "",
        "problem": "",
        "shortest": SHORTEST_REASON,
        "longest": LONGEST_REASON,
    }
    if request.method != "POST":
        return show(request, "staff/mobile.html", page, at="find")
    if waiting is not None or "verdict" in request.POST:
        return _decide(request, page, waiting.id if waiting else 0)
    typed, reason = request.POST.get("mobile", "")[:30], tidy(request.POST.get("reason", ""))
    wanted = mobile_key(typed)
    page |= {"typed": typed, "reason": reason[:LONGEST_REASON]}
    if not wanted:
        page["problem"] = _("Type the ten digits of the new mobile number.")
    elif not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        page["problem"] = _("Write which papers you saw, in a sentence.")
    elif wanted == on_record and goes_beyond(connection_id=found.id):
        page["problem"] = _(
            "This number stands on connections of other offices too. An officer of the circle or the company, over all"
            " of them, can switch the app off; or put another number on record for this connection here."
        )
    else:
        try:
            if propose_mobile(connection_id=found.id, mobile=wanted, reason=reason, staff=staff) is not None:
                return see_other("mobile", found.id)
            page["problem"] = _("Somebody else was quicker. Look at the page again.")
        except SilentMobileError:
            page["problem"] = _(
                "Other connections stand under this number. The person must sign in with it once first."
            )
    return show(request, "staff/mobile.html", page, at="find")


def _decide(request: HttpRequest, page: dict[str, object], change: int) -> HttpResponse:
    """The second person agrees or refuses; whoever proposed may only take it back.

    Only about the proposal that was read: meanwhile another one may stand in its place.
    """
    asked: Any = request
    found: Any = page["connection"]
    said = request.POST.get("verdict", "")
    if number_typed(request.POST.get("change", "")) != change or not change:
        page["problem"] = _("This is not the proposal that you read: it has changed meanwhile. Read it again.")
        return show(request, "staff/mobile.html", page, at="find")
    if said == "agree" and page["own"]:
        page["problem"] = _("Another officer must agree. Only then does the new number go on record.")
        return show(request, "staff/mobile.html", page, at="find")
    if said in ("agree", "refuse"):
        if decide_mobile(change=change, agreed=said == "agree", staff=asked.who.staff.id):
            return see_other("connection", found.id)
        page["problem"] = _(
            "This could not be decided: somebody was quicker, or it is for officers over all its offices."
        )
    return show(request, "staff/mobile.html", page, at="find")
