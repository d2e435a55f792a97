"""Why a bill changed: what made the difference from another bill of one's own, a plain sentence for each reason."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from khata.billing.change import Change, bill_before, bill_year_before, explain_change
from khata.billing.models import Bill, OldBill
from khata.display.change_words import TITLES, change_sentence, more_or_less
from khata.display.labels import Language
from khata.kernel.variants import NotTheSamePaiseError
from khata.portal.bills import own_bill
from khata.portal.mine import connection_of

LAST_YEAR = "last-year"
_log = logging.getLogger(__name__)
_SCALE = 1000  # parts of the width of a drawing


@dataclass(frozen=True)
class Row:
    """One reason. Its bar begins where the one above it ended; `start` and `width` in thousandths."""

    title: str
    sentence: str
    paise: int
    start: int
    width: int


@require_GET
def why(request: HttpRequest, bill: int) -> HttpResponse:
    """Against the bill before it, that of the same month last year, or another of the same connection."""
    asked: Any = request
    mine = connection_of(request)
    found = own_bill(mine.id, bill)
    wanted = request.GET.get("against", "")
    against = _against(mine.id, found, wanted)
    last_year = wanted == LAST_YEAR
    page: dict[str, object] = {
        "connection": mine,
        "bill": found,
        "against": against,
        "last_year": last_year,
        "other_year": None if last_year else bill_year_before(found),
        "tab": "bills",
    }
    if against is not None:
        page |= _told(found, against, asked.language, last_year=last_year)
    return render(request, "portal/why.html", page)


def _told(bill: Bill, against: Bill | OldBill, language: Language, *, last_year: bool) -> dict[str, object]:
    """Both totals; and, where both bills are still priced to their own paise, what lies between them."""
    asked_for, asked_before = total_of(bill), total_of(against)
    page: dict[str, object] = {
        "paise": asked_for,
        "before_paise": asked_before,
        "difference_paise": asked_for - asked_before,
        "total": more_or_less(asked_for - asked_before, language),
    }
    try:
        change = explain_change(bill, against)
    except NotTheSamePaiseError:
        # The error names amounts; what has to be looked at is found by the bills' ids.
        _log.error("bills %d and %d cannot be compared: one is not priced to its own paise again", bill.id, against.pk)
        return page | {"untold": True}
    rows = rows_of(change, language, last_year=last_year)
    return page | {
        "old": isinstance(against, OldBill),
        "rows": rows,
        "biggest": _biggest(rows, change.difference_paise),
    }


def total_of(bill: Bill | OldBill) -> int:
    """What it asks for, with what was left from before."""
    return bill.amount_paise if isinstance(bill, OldBill) else bill.payable_paise + bill.arrears_paise


def _biggest(rows: Sequence[Row], difference_paise: int) -> Row | None:
    """Of the reasons that worked in the direction of the difference the one with the most rupees."""
    sign = (difference_paise > 0) - (difference_paise < 0)
    return max((row for row in rows if row.paise * sign > 0), key=lambda row: abs(row.paise), default=None)


def _against(connection: int, bill: Bill, wanted: str) -> Bill | OldBill | None:
    if wanted == LAST_YEAR:
        return bill_year_before(bill)
    if not wanted:
        return bill_before(bill)
    if not (wanted.isascii() and wanted.isdecimal() and len(wanted) < 20):
        raise Http404
    return own_bill(connection, int(wanted))


def rows_of(change: Change, language: Language, *, last_year: bool) -> list[Row]:
    """What is not 0, in its order, each bar where the sum has come to."""
    shown = [each for each in change.factors if each.paise]
    sums = list(accumulate((each.paise for each in shown), initial=0))
    low, span = min(sums), max(max(sums) - min(sums), 1)
    return [
        Row(
            TITLES[each.code].in_(language),
            change_sentence(each.code, each.paise, each.facts, language, last_year=last_year),
            each.paise,
            (min(before, after) - low) * _SCALE // span,
            max(abs(after - before) * _SCALE // span, 4),
        )
        for each, before, after in zip(shown, sums, sums[1:], strict=False)
    ]


def risen(bill: Bill | None, before: Bill | None) -> bool:
    """Whether a bill asks for more than the one before it, be that ours or the former system's."""
    if bill is None:
        return False
    old = OldBill.objects.filter(connection_id=bill.connection_id, month__lt=bill.cycle).order_by("-month")
    against = before or old.first()
    return against is not None and total_of(against) < total_of(bill)
