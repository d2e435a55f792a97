"""A company's move, for its officers: waves and what stands in their way, exceptions, signatures, and who was told.

The post decides what is seen: a division's officer its own rows and figures, the company's own office all of them.
"""

import datetime as dt
import re
from typing import Any

from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from khata.audit.operations import record
from khata.billing.models import LONGEST_REASON, SHORTEST_REASON
from khata.consumers.queries import window_of
from khata.discoms.models import Office
from khata.migration.models import Proposal, Wave
from khata.migration.operations import ProposalError, decide, propose
from khata.migration.parallel import classes, newest_run
from khata.migration.queries import (
    about_row,
    acts,
    corrections_waiting,
    counts,
    exceptions,
    found_by_rule,
    open_proposals,
    state_after,
)
from khata.migration.reconciling import behind, reconcile
from khata.migration.rules import rules
from khata.migration.telling import progress
from khata.payments.queries import under_old_numbers
from khata.staff.desk import known, number_typed, office_of, see_other, show, tidy
from khata.staff.moves_rows import (
    approved_of,
    by_division,
    cells_of,
    class_rows,
    columns_to_correct,
    equation_row,
    findings_of,
    gates,
    line_text,
    proposals_on,
    refused,
    row_named,
    rule_row,
    wave_rows,
)

PER_PAGE, MOST_PAGES = 25, 10_000
BOOKS_AT_ONCE = 20_000  # accounts of a wave whose books a page sums up without being asked
BEHIND = 5  # red lines that show the accounts behind them at once; the others do on their own page
LONGEST_VALUE = 200
PARTS = ("", "parallel", "told")  # the tabs of a wave, as they stand in its address
_ABOUT = re.compile(r"equation:([0-9]{1,9}):([a-z_]{1,20}):-?[0-9]{1,19}|parallel:(none|[0-9]{1,18}:unknown:[0-9]{1,10})")


@require_GET
def moves(request: HttpRequest) -> HttpResponse:
    return show(request, "staff/moves.html", {"rows": wave_rows(office_of(request).discom)}, at="moves")


@require_GET
def move(request: HttpRequest, wave: int) -> HttpResponse:
    """One wave: what stands in its way, the equations; the parallel run; who has been told."""
    made = wave_of(request, wave)
    part = request.GET.get("show", "")
    part = part if part in PARTS else ""
    done = acts(made)
    page: dict[str, object] = {
        "wave": made,
        "state": state_after([act.kind for act in done]),
        "part": part,
        "whole": whole_company(request, made),
    }
    if part == "parallel":
        page |= _parallel(request, made)
    elif part == "told":
        page |= _told(request, made)
    else:
        page |= {"acts": done[::-1], **_equations(request, made)}
    return show(request, "staff/move.html", page, at="moves")


def wave_of(request: HttpRequest, number: int) -> Wave:
    """A wave of the company of the post; else the same answer as for what is not there."""
    discom = office_of(request).discom
    found = Wave.objects.select_related("discom").filter(id=known(number), discom=discom).first()
    if found is None:
        raise Http404
    return found


def whole_company(request: HttpRequest, wave: Wave) -> bool:
    """Whether the post is at the company's own office: only from there is a red line accepted."""
    asked: Any = request
    office = office_of(request)
    return office.kind == Office.Kind.COMPANY and office.discom_id == wave.discom_id


def _equations(request: HttpRequest, wave: Wave) -> dict[str, object]:
    totals: dict[str, int] = {}
    for each in counts(wave):
        totals[each.outcome] = totals.get(each.outcome, 0) + each.accounts
    books = sum(totals.values()) <= BOOKS_AT_ONCE or request.GET.get("books") == "1"
    rows = [equation_row(line) for line in reconcile(wave, books=books)]
    red = [row for row in rows if row.line.red]
    return {
        "gates": gates(wave, len(red), newest_run(wave)),
        "divisions": by_division(rows),
        "equations": len(rows),
        "red": [(row, behind(wave, row.line) if place < BEHIND else []) for place, row in enumerate(red)],
        "counts": totals,
        "books": books,
        "proposals": [(each, _place(each)) for each in open_proposals(wave)],
        "applied_soon": wave in corrections_waiting(),
    }


def _parallel(request: HttpRequest, wave: Wave) -> dict[str, object]:
    asked: Any = request
    run = newest_run(wave)
    if run is None:
        return {"run": None}
    post = asked.who.post
    lines = [line for line in classes(run) if post.office_from <= line.division <= post.office_to]
    return {
        "run": run,
        "rows": class_rows(run, lines, asked.language),
        "gate": gates(wave, 0, run)[2],
    }


def _told(request: HttpRequest, wave: Wave) -> dict[str, object]:
    asked: Any = request
    rows = progress(wave)
    done = [act for act in acts(wave) if act.kind == "cutover"]
    since = done[-1].business_date if done else None
    paid = under_old_numbers(discom=wave.discom.code, from_day=since, to_day=asked.today) if since else []
    return {
        "progress": [{"of": row, "percent": _percent(row.accounts - row.not_yet, row.accounts)} for row in rows],
        "sum": {
            name: sum(getattr(row, name) for row in rows)
            for name in ("accounts", "by_sms", "by_door", "by_use", "not_yet")
        },
        "window": window_of(discom=wave.discom_id, wave=wave.code),
        "paid": paid,
        "since": since,
    }


def _percent(some: int, whole: int) -> int:
    return some * 100 // whole if whole else 0


# -- signatures --------------------------------------------------------------------------------------------------------


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
    if problem := _wrong_reason(reason):
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
        return gates(wave, 0, newest_run(wave))[2].about == about
    return any(line.about == about for line in reconcile(wave) if line.difference)


def _accept_page(
    request: HttpRequest, wave: Wave, about: str, *, reason: str = "", problem: str = ""
) -> HttpResponse:
    asked: Any = request
    line = next((line for line in reconcile(wave) if line.about == about and line.difference), None)
    gate = gates(wave, 0, newest_run(wave))[2]
    page = {
        "wave": wave,
        "about": about,
        "row": equation_row(line) if line else None,
        "accounts": behind(wave, line) if line else [],
        "gate": gate if gate.about == about else None,
        "whole": whole_company(request, wave),
        "proposals": proposals_on(wave, about),
        "me": asked.who.staff.id,
        **_limits(reason, problem),
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
        return _again(request, made, proposal, _wrong_reason(reason))
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
    place = _place(proposal)
    return see_other("move-exception", made.id, *place) if place else see_other("move", made.id)


def _again(request: HttpRequest, wave: Wave, proposal: Proposal, problem: str) -> HttpResponse:
    """The page on which the proposal stands, with what was wrong."""
    place = _place(proposal)
    if place is None:
        return _accept_page(request, wave, proposal.about, problem=problem)
    return _row_page(request, wave, *place, problem=problem)


def _place(proposal: Proposal) -> tuple[int, int] | None:
    """The file and line that a proposal is about; None for one about a figure."""
    named = re.fullmatch(r"row:([0-9]+):([0-9]+)", proposal.about)
    return (int(named[1]), int(named[2])) if named else None


def _limits(reason: str, problem: str) -> dict[str, object]:
    return {
        "reason": reason[:LONGEST_REASON],
        "problem": problem,
        "shortest": SHORTEST_REASON,
        "longest": LONGEST_REASON,
    }


def _wrong_reason(reason: str) -> str:
    if SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        return ""
    words = {"shortest": SHORTEST_REASON, "longest": LONGEST_REASON}
    return _("Write the reason in a sentence of %(shortest)s to %(longest)s characters.") % words


# -- exceptions --------------------------------------------------------------------------------------------------------


@require_GET
def exception_list(request: HttpRequest, wave: int) -> HttpResponse:
    """Rows that hold accounts back, of one rule or division if asked."""
    asked: Any = request
    made = wave_of(request, wave)
    found = [each for each in found_by_rule(made) if each.outcome == "held" or each.rule == "MIG-19"]
    rule = request.GET.get("rule", "")
    rule = rule if rule in rules() else ""
    division = number_typed(request.GET.get("division", ""))
    division = division if division in {each.division for each in found} else 0
    number = min(max(number_typed(request.GET.get("page", "1")), 1), MOST_PAGES)
    first = (number - 1) * PER_PAGE
    rows = exceptions(made, division=division or None, rule=rule or None, limit=PER_PAGE + 1, skip=first)
    by_rule: dict[str, int] = {}
    for each in found:
        by_rule[each.rule] = by_rule.get(each.rule, 0) + each.rows
    query = f"?rule={rule}&division={division or ''}&page="
    page = {
        "wave": made,
        "rows": [(row, rule_row(row.rule, asked.language)) for row in rows[:PER_PAGE]],
        "rules": [rule_row(each, asked.language, rows) for each, rows in sorted(by_rule.items())],
        "divisions": sorted({(each.division, each.division_hi, each.division_en) for each in found if each.division}),
        "rule": rule_row(rule, asked.language) if rule else None,
        "division": division,
        "many": sum(
            each.rows for each in found if rule in ("", each.rule) and division in (0, each.division)
        ),
        "first": first + 1,
        "last": first + len(rows[:PER_PAGE]),
        "previous": f"{query}{number - 1}" if number > 1 else "",
        "next": f"{query}{number + 1}" if len(rows) > PER_PAGE else "",
    }
    return show(request, "staff/move_exceptions.html", page, at="moves")


@require_http_methods(["GET", "HEAD", "POST"])
def exception(request: HttpRequest, wave: int, file: int, line: int) -> HttpResponse:
    """A row of a file as it was handed over, what was found in it, and corrections proposed by one person."""
    asked: Any = request
    made = wave_of(request, wave)
    if request.method != "POST":
        return _row_page(request, made, file, line)
    found = row_named(made, known(file), line if line < 2**31 else 0)
    if found is None:
        raise Http404
    column, value = request.POST.get("column", ""), request.POST.get("value", "").strip()
    reason = tidy(request.POST.get("reason", ""))
    typed = {"column": column, "value": value[:LONGEST_VALUE], "reason": reason}
    if column not in columns_to_correct(found[0]):
        raise Http404
    if len(value) > LONGEST_VALUE or tidy(value) != " ".join(value.split()):
        problem = _("This cannot stand in this column. Write it as other rows do.")
        return _row_page(request, made, file, line, problem=problem, **typed)
    if problem := _wrong_reason(reason):
        return _row_page(request, made, file, line, problem=problem, **typed)
    try:
        propose(
            wave=made,
            division=found[0].division_id,
            kind="correct",
            about=about_row(file, line),
            column=column,
            value=value,
            reason=reason,
            maker=asked.who.staff.id,
            now=asked.now,
        )
    except ProposalError as no:
        return _row_page(request, made, file, line, problem=refused(no), **typed)
    return see_other("move-exception", made.id, file, line)


def _row_page(
    request: HttpRequest,
    wave: Wave,
    file: int,
    line: int,
    *,
    column: str = "",
    value: str = "",
    reason: str = "",
    problem: str = "",
) -> HttpResponse:
    asked: Any = request
    found = row_named(wave, known(file), line if line < 2**31 else 0)
    if found is None:
        raise Http404
    of, source = found
    about, raw = about_row(of.id, source.line), bytes(source.raw)
    staff = asked.who.staff.id
    record(actor=f"staff:{staff}", action="staff.look", object=f"migration:{about}", details={"page": "move-exception"})
    live = state_after([act.kind for act in acts(wave)]) == "live"
    page = {
        "wave": wave,
        "file": of,
        "line": source.line,
        "findings": findings_of(of, source.line, asked.language),
        "cells": cells_of(of, raw, approved_of(wave, of.id, source.line)),
        "text": line_text(raw, str(of.facts["encoding"])),
        "columns": [] if live else columns_to_correct(of),
        "live": live,
        "proposals": proposals_on(wave, about),
        "applied_soon": wave in corrections_waiting(),
        "me": staff,
        "column": column,
        "value": value,
        **_limits(reason, problem),
    }
    return show(request, "staff/move_exception.html", page, at="moves")


@require_GET
def rule_list(request: HttpRequest) -> HttpResponse:
    """What is looked for in the files, what is then done, and why."""
    asked: Any = request
    page = {"rows": [rule_row(number, asked.language) for number in rules()]}
    return show(request, "staff/move_rules.html", page, at="moves")
