"""The first screen of a desk: a cashier's shift and search, or an officer's work of today."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from khata.billing.release import RunRow, held, held_counts, runs_of
from khata.metering.kept import seen_open_counts
from khata.payments.queries import collection, open_shift_of, receipts_of_shift, shift_summary
from khata.staff.desk import is_officer, show
from khata.staff.evidence import held_line, policies, stake
from khata.staff.shifts import opening_form, shifts_of_office

SHOWN_HELD, WEIGHED_HELD = 7, 200
SHOWN_RECEIPTS = 12


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return _officer(request) if is_officer(request) else _cashier(request)


def _cashier(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    shift = open_shift_of(asked.who.staff.id)
    page: dict[str, object] = {"open": shift, "old": shift is not None and shift.business_date != asked.today}
    if shift is None:
        page.update(opening_form(request), shifts=shifts_of_office(request))
    else:
        page["shift"] = shift_summary(shift.id)
        page["receipts"] = receipts_of_shift(shift=shift.id, limit=SHOWN_RECEIPTS)
    return show(request, "staff/counter.html", page, at="home")


def _officer(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    runs, counts = runs_of(cycle=None), held_counts()
    waiting = held(states=("waiting",), limit=WEIGHED_HELD, offset=0, order="largest")
    limits = policies(waiting)
    taken = collection(office_from=asked.who.post.office_from, office_to=asked.who.post.office_to, day=asked.today)
    page = {
        "runs": [_share(run) for run in runs],
        "cycle": runs[0].cycle if runs else None,
        "expected": sum(run.equation.get("expected", 0) for run in runs),
        "issued": sum(_issued(run) for run in runs),
        "waiting": sum(count for (state, _), count in counts.items() if state == "waiting"),
        "second": sum(count for (state, _), count in counts.items() if state == "second person"),
        "making": sum(count for (state, _), count in counts.items() if state == "being made"),
        "stake_paise": sum(stake(row, limits) or 0 for row in waiting),
        "stake_more": len(waiting) == WEIGHED_HELD,
        "taken_paise": sum(row.paise for row in taken),
        "taken_receipts": sum(row.receipts for row in taken),
        "open_rows": sum(each.count for each in seen_open_counts()),
        "lines": [held_line(row, limits, asked.language, chart=True) for row in waiting[:SHOWN_HELD]],
    }
    return show(request, "staff/work.html", page, at="home", counts=counts)


def _issued(run: RunRow) -> int:
    return run.equation.get("issued", 0) + run.released


def _share(run: RunRow) -> dict[str, object]:
    expected = run.equation.get("expected", 0)
    return {"run": run, "issued": _issued(run), "percent": _issued(run) * 100 // expected if expected else 0}
