"""The rows that hold accounts back: the work list, one row with its findings and corrections, the table of rules."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from khata.audit.operations import record
from khata.migration.models import Wave
from khata.migration.operations import ProposalError, propose
from khata.migration.queries import about_row, acts, corrections_waiting, exceptions, found_by_rule, state_after
from khata.migration.rules import rules
from khata.staff.desk import known, number_typed, see_other, show, tidy
from khata.staff.moves import limits, wave_of, wrong_reason
from khata.staff.moves_rows import (
    approved_of,
    cells_of,
    columns_to_correct,
    findings_of,
    line_text,
    proposals_on,
    refused,
    row_named,
    rule_row,
)

PER_PAGE, MOST_PAGES = 25, 10_000
LONGEST_VALUE = 200


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
        "many": sum(each.rows for each in found if rule in ("", each.rule) and division in (0, each.division)),
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
        return row_page(request, made, file, line)
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
        return row_page(request, made, file, line, problem=problem, **typed)
    if problem := wrong_reason(reason):
        return row_page(request, made, file, line, problem=problem, **typed)
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
        return row_page(request, made, file, line, problem=refused(no), **typed)
    return see_other("move-exception", made.id, file, line)


def row_page(
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
        **limits(reason, problem),
    }
    return show(request, "staff/move_exception.html", page, at="moves")


@require_GET
def rule_list(request: HttpRequest) -> HttpResponse:
    """What is looked for in the files, what is then done, and why."""
    asked: Any = request
    page = {"rows": [rule_row(number, asked.language) for number in rules()]}
    return show(request, "staff/move_rules.html", page, at="moves")
