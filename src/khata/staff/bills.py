"""An officer's bills: the runs of a month with their equations, held bills, and the decision on each."""

import datetime as dt
from typing import Any, Literal, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from khata.audit.operations import record
from khata.billing.models import LONGEST_REASON, SHORTEST_REASON, Decision, Unissued
from khata.billing.queries import bars_of, months_used
from khata.billing.release import HeldRow, ReleaseError, State, approve, decide, held, held_one, runs_of
from khata.display.charts import daily_bars, daily_table, month_bars, month_table
from khata.kernel.days import month_number, month_start
from khata.metering.queries import days_of
from khata.staff.desk import known, number_typed, see_other, show, tidy
from khata.staff.evidence import (
    DAYS,
    MONTHS,
    days_before,
    held_line,
    next_step,
    period_end,
    period_start,
    policies,
    registers,
    sentence,
    times_usual,
    usual_wh,
)

PER_PAGE = 15
MOST_PAGES = 1000
SHOWN_DECISIONS = 10
# The tabs of the list, as they stand in its address.
TABS: dict[str, tuple[State, ...]] = {
    "waiting": ("waiting",),
    "second": ("second person",),
    "making": ("being made",),
    "kept": ("kept",),
}


# -- runs --------------------------------------------------------------------------------------------------------------


@require_GET
def runs(request: HttpRequest) -> HttpResponse:
    asked = _month(request.GET.get("month", ""))
    rows = runs_of(cycle=asked)
    cycle = rows[0].cycle if rows else asked
    totals: dict[str, int] = {}
    for row in rows:
        for word, count in row.equation.items():
            totals[word] = totals.get(word, 0) + count
    page = {
        "rows": [{"run": row, **_terms(row.equation)} for row in rows],
        "cycle": cycle,
        "total": _terms(totals) if len([row for row in rows if row.equation]) > 1 else None,
        "before": _beside(cycle, -1),
        "after": _beside(cycle, 1) if asked else None,
        "problem": _("This is not a month. The newest one is shown.") if request.GET.get("month") and not asked else "",
    }
    return show(request, "staff/runs.html", page, at="runs")


def _terms(equation: dict[str, int]) -> dict[str, int]:
    """An equation with names that a template can say; `open`: what a run still open has not counted."""
    return {
        word.replace(" ", "_"): equation.get(word, 0) for word in ("expected", "issued", "held", "parked", "not due")
    }


def _month(text: str) -> dt.date | None:
    """`2024-06` as the first day of the month."""
    try:
        return dt.date.fromisoformat(f"{text}-01") if len(text) == 7 else None
    except ValueError:
        return None


def _beside(cycle: dt.date | None, step: int) -> dt.date | None:
    return month_start(month_number(cycle) + step) if cycle and 1990 < cycle.year < 2100 else None


# -- held bills --------------------------------------------------------------------------------------------------------


@require_GET
def held_list(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    tab = request.GET.get("state", "waiting")
    tab = tab if tab in TABS else "waiting"
    number = request.GET.get("page", "1")
    page_number = int(number) if number.isascii() and number.isdecimal() and len(number) < 5 else 1
    page_number = min(max(page_number, 1), MOST_PAGES)
    first = (page_number - 1) * PER_PAGE
    rows = held(states=TABS[tab], limit=PER_PAGE + 1, offset=first)
    limits = policies(rows)
    page = {
        "lines": [held_line(row, limits, asked.language, chart=True) for row in rows[:PER_PAGE]],
        "tab": tab,
        "first": first + 1,
        "last": first + len(rows[:PER_PAGE]),
        "previous": f"?state={tab}&page={page_number - 1}" if page_number > 1 else "",
        "next": f"?state={tab}&page={page_number + 1}" if len(rows) > PER_PAGE else "",
    }
    return show(request, "staff/held.html", page, at="held")


@require_GET
def held_bill(request: HttpRequest, part: int, connection: int) -> HttpResponse:
    asked: Any = request
    row = _row(part, connection)
    record(
        actor=f"staff:{asked.who.staff.id}",
        action="staff.look",
        object=f"consumers:connection:{row.connection}",
        details={"page": "held-one"},
    )
    return _page(request, row)


def _page(request: HttpRequest, row: HeldRow, *, reason: str = "", problem: str = "") -> HttpResponse:
    asked: Any = request
    language = asked.language
    start, end = period_start(row), period_end(row)
    first = min(end - dt.timedelta(days=DAYS), start - dt.timedelta(days=1))
    seen = days_of(connection_id=row.connection, start=first, end=end)
    bars = days_before(seen, connection=row.connection, end=end)
    before = month_start(month_number(row.cycle) - 1)
    months = months_used(connection_id=row.connection, until=before, months=MONTHS)
    monthly, usual = bars_of(months), usual_wh(months)
    decisions = Decision.objects.filter(connection_id=row.connection).select_related("staff", "approval__staff")
    page = {
        "row": row,
        "line": held_line(row, policies([row]), language, chart=False),
        "facts": row.evidence,
        "start": start,
        "last_day": end - dt.timedelta(days=1),
        "energy_wh": row.evidence.get("energy_wh"),
        "usual_wh": usual,
        "times": times_usual(row, usual),
        "registers": registers([day for day in seen if day.day >= start - dt.timedelta(days=1)]),
        "daily": daily_bars(bars, chart_id="days", language=language) if seen else "",
        "daily_table": daily_table(bars, language=language) if seen else None,
        "monthly": month_bars(monthly, chart_id="months", language=language) if monthly else "",
        "month_table": month_table(monthly, language=language) if monthly else None,
        "decisions": decisions.order_by("-id")[:SHOWN_DECISIONS],
        "own": row.decided_by == asked.who.staff.id,
        "reason": reason,
        "problem": problem,
        "shortest": SHORTEST_REASON,
        "longest": LONGEST_REASON,
    }
    return show(request, "staff/held_one.html", page, at="held")


@require_POST
def decide_bill(request: HttpRequest, part: int, connection: int) -> HttpResponse:
    """Release a held bill, or keep it back; either needs a reason."""
    asked: Any = request
    row, reason = _row(part, connection), tidy(request.POST.get("reason", ""))
    verdict = request.POST.get("verdict", "")
    if verdict not in ("release", "keep"):
        raise Http404
    if problem := _wrong_reason(reason):
        return _page(request, row, reason=reason[:LONGEST_REASON], problem=problem)
    unissued = Unissued.objects.get(part_id=row.part, connection_id=row.connection)
    try:
        decide(
            unissued=unissued,
            staff=asked.who.staff,
            verdict=cast(Literal["release", "keep"], verdict),
            reason=reason,
            now=asked.now,
        )
    except ReleaseError:
        return _page(request, _row(part, connection), reason=reason, problem=_not_done(row, asked.language))
    return see_other("held-one", row.part, row.connection)


@require_POST
def approve_bill(request: HttpRequest, part: int, connection: int) -> HttpResponse:
    """The second person's word on the release that they looked at; the first person's is refused."""
    asked: Any = request
    row, reason = _row(part, connection), tidy(request.POST.get("reason", ""))
    verdict = request.POST.get("verdict", "")
    decision = Decision.objects.filter(id=row.decision).first() if row.decision else None
    if verdict not in ("approve", "refuse") or decision is None:
        raise Http404
    if number_typed(request.POST.get("decision", "")) != decision.id:
        return _page(request, row, reason=reason[:LONGEST_REASON], problem=_not_done(row, asked.language))
    if problem := _wrong_reason(reason):
        return _page(request, row, reason=reason[:LONGEST_REASON], problem=problem)
    try:
        approve(
            decision=decision,
            staff=asked.who.staff,
            verdict=cast(Literal["approve", "refuse"], verdict),
            reason=reason,
            now=asked.now,
        )
    except ReleaseError:
        own = row.state == "second person" and row.decided_by == asked.who.staff.id
        said = _("You asked for this release yourself. A second officer must agree to it.") if own else ""
        return _page(request, _row(part, connection), reason=reason, problem=said or _not_done(row, asked.language))
    return see_other("held-one", row.part, row.connection)


def _row(part: int, connection: int) -> HeldRow:
    """Of the offices of the post; else the same answer as for what is not there."""
    row = held_one(part=known(part), connection=known(connection))
    if row is None:
        raise Http404
    return row


def _wrong_reason(reason: str) -> str:
    if SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        return ""
    words = {"shortest": SHORTEST_REASON, "longest": LONGEST_REASON}
    return _("Write the reason in a sentence of %(shortest)s to %(longest)s characters.") % words


def _not_done(row: HeldRow, language: Literal["hi", "en"]) -> str:
    """Why a decision was not taken: there is nothing to release yet, or somebody else was quicker."""
    if not row.releasable and row.state in ("waiting", "kept"):
        return f"{_('There is nothing to release yet.')} {sentence(next_step(row, language), language)}"
    return _("This bill was decided in the meantime. What stands here now is how it is.")
