"""A company's move, for its officers: waves and what stands in their way, exceptions, signatures, and who was told.

The post decides what is seen: a division's officer its own rows and figures, the company's own office all of them.
"""

import re
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khata.billing.models import LONGEST_REASON, SHORTEST_REASON
from khata.consumers.queries import window_of
from khata.discoms.models import Office
from khata.migration.models import Proposal, Wave
from khata.migration.parallel import classes, newest_run
from khata.migration.queries import (
    acts,
    corrections_waiting,
    counts,
    open_proposals,
    state_after,
)
from khata.migration.reconciling import behind, reconcile
from khata.migration.telling import progress
from khata.payments.queries import under_old_numbers
from khata.staff.desk import known, number_typed, office_of, show
from khata.staff.moves_rows import (
    by_division,
    class_rows,
    equation_row,
    gates,
    parallel_gate,
    wave_rows,
)

BOOKS_AT_ONCE = 20_000  # accounts of a wave whose books a page sums up without being asked
OPEN = 3  # divisions whose figures stand open on the page; of others one is asked for
BEHIND = 5  # red lines that show the accounts behind them at once; the others do on their own page
PARTS = ("", "parallel", "told")  # the tabs of a wave, as they stand in its address


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
    office = office_of(request)
    return office.kind == Office.Kind.COMPANY and office.discom_id == wave.discom_id


def _equations(request: HttpRequest, wave: Wave) -> dict[str, object]:
    totals: dict[str, int] = {}
    for each in counts(wave):
        totals[each.outcome] = totals.get(each.outcome, 0) + each.accounts
    books = sum(totals.values()) <= BOOKS_AT_ONCE or request.GET.get("books") == "1"
    rows = [equation_row(line) for line in reconcile(wave, books=books)]
    red = [row for row in rows if row.line.red]
    divisions, chosen = by_division(rows), number_typed(request.GET.get("division", ""))
    return {
        "gates": gates(wave, len(red)),
        "divisions": [
            (each, each.number == chosen or (place < OPEN and (bool(each.red) or len(divisions) <= OPEN)))
            for place, each in enumerate(divisions)
        ],
        "equations": len(rows),
        "red": [(row, behind(wave, row.line) if place < BEHIND else []) for place, row in enumerate(red)],
        "counts": totals,
        "books": books,
        "proposals": [(each, place_of(each)) for each in open_proposals(wave)],
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
        "gate": parallel_gate(wave),
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


# -- what the pages of proposals share --------------------------------------------------------------------------------


def place_of(proposal: Proposal) -> tuple[int, int] | None:
    """The file and line that a proposal is about; None for one about a figure."""
    named = re.fullmatch(r"row:([0-9]+):([0-9]+)", proposal.about)
    return (int(named[1]), int(named[2])) if named else None


def limits(reason: str, problem: str) -> dict[str, object]:
    return {
        "reason": reason[:LONGEST_REASON],
        "problem": problem,
        "shortest": SHORTEST_REASON,
        "longest": LONGEST_REASON,
    }


def wrong_reason(reason: str) -> str:
    if SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        return ""
    words = {"shortest": SHORTEST_REASON, "longest": LONGEST_REASON}
    return _("Write the reason in a sentence of %(shortest)s to %(longest)s characters.") % words
