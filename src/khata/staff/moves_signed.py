"""What two people sign for in a move: a difference that is accepted, and the second word on every proposal."""

import re
from typing import Any

from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from khata.billing.models import LONGEST_REASON, SHORTEST_REASON
from khata.migration.models import Proposal, Wave
from khata.migration.operations import ProposalError, decide, propose
from khata.migration.reconciling import behind, reconcile
from khata.staff.desk import number_typed, see_other, show, tidy
from khata.staff.moves import limits, place_of, wave_of, whole_company, wrong_reason
from khata.staff.moves_rows import (
    equation_row,
    parallel_gate,
    proposals_on,
    refused,
)
from khata.staff.moves_work import row_page

_ABOUT = re.compile(
    r"equation:([0-9]{1,9}):([a-z_]{1,20}):-?[0-9]{1,19}|parallel:(none|[0-9]{1,18}:(?:unknown|missed):[0-9]{1,10})"
)


@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, wave: int) -> HttpResponse:
    """A figure that differs, or bills that nobody can explain: accept it with a reason, on behalf of the company."""
    made = wave_of(request, wave)
    about = (request.POST if request.method == "POST" else request.GET).get("about", "")
    named = _ABOUT.fullmatch(about)
    if named is None:
        raise Http404
    if request.method != "POST":
        return _accept_page(request, made, about)
    if not whole_company(request, made):
        raise Http404
    asked: Any = request
    reason = tidy(request.POST.get("reason", ""))
    if problem := wrong_reason(reason):
        return _accept_page(request, made, about, reason=reason, problem=problem)
    if not _stands(made, about):
        return _accept_page(request, made, about, problem=_("This figure does not stand there any more."))
    try:
        propose(
            wave=made,
            division=int(named[1]) if named[1] else None,
            kind="accept",
            about=about,
            column="",
            value="",
            reason=reason,
            maker=asked.who.staff.id,
            now=asked.now,
        )
    except ProposalError as no:
        return _accept_page(request, made, about, reason=reason, problem=refused(no))
    return see_other("move", made.id)


def _stands(wave: Wave, about: str) -> bool:
    """Only what stands there now is signed: a difference, or what shuts the gate of the parallel run."""
    if about.startswith("parallel:"):
        return parallel_gate(wave).about == about
    return any(line.about == about for line in reconcile(wave) if line.difference)


def _accept_page(request: HttpRequest, wave: Wave, about: str, *, reason: str = "", problem: str = "") -> HttpResponse:
    asked: Any = request
    line = next((line for line in reconcile(wave) if line.about == about and line.difference), None)
    gate = parallel_gate(wave)
    page = {
        "wave": wave,
        "about": about,
        "row": equation_row(line) if line else None,
        "accounts": behind(wave, line) if line else [],
        "gate": gate if gate.about == about else None,
        "whole": whole_company(request, wave),
        "proposals": proposals_on(wave, about),
        "me": asked.who.staff.id,
        **limits(reason, problem),
    }
    return show(request, "staff/move_accept.html", page, at="moves")


@require_POST
def decide_proposal(request: HttpRequest, wave: int) -> HttpResponse:
    """The second person's word on a proposal; the first person's is refused."""
    asked: Any = request
    made = wave_of(request, wave)
    proposal = Proposal.objects.filter(wave=made, id=number_typed(request.POST.get("proposal", ""))).first()
    verdict, reason = request.POST.get("verdict", ""), tidy(request.POST.get("why", ""))
    if proposal is None or verdict not in ("approve", "refuse"):
        raise Http404
    if proposal.kind == "accept" and not whole_company(request, made):
        raise Http404
    if len(reason) > LONGEST_REASON or (verdict == "refuse" and len(reason) < SHORTEST_REASON):
        return _again(request, made, proposal, wrong_reason(reason))
    try:
        decide(
            proposal=proposal.id,
            approved=verdict == "approve",
            reason=reason,
            checker=asked.who.staff.id,
            now=asked.now,
        )
    except ProposalError as no:
        return _again(request, made, proposal, refused(no))
    except IntegrityError:  # two people at the same moment
        return _again(request, made, proposal, _("This was decided in the meantime. Look at what stands here."))
    place = place_of(proposal)
    return see_other("move-exception", made.id, *place) if place else see_other("move", made.id)


def _again(request: HttpRequest, wave: Wave, proposal: Proposal, problem: str) -> HttpResponse:
    """The page on which the proposal stands, with what was wrong."""
    place = place_of(proposal)
    if place is None:
        return _accept_page(request, wave, proposal.about, problem=problem)
    return row_page(request, wave, *place, problem=problem)
