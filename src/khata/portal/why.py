"""Why a bill changed: what made the difference from another bill of one's own, a plain sentence for each reason."""

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
from khata.portal.bills import own_bill
from khata.portal.mine import connection_of

LAST_YEAR = "last-year"
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
        change = explain_change(found, against)
        page |= {
            "change": change,
            "against_month": against.month if isinstance(against, OldBill) else against.cycle,
            "old": isinstance(against, OldBill),
            "rows": rows_of(change, asked.language, last_year=last_year),
            "total": more_or_less(change.difference_paise, asked.language),
        }
    return render(request, "portal/why.html", page)


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


def risen(bill: Bill | None) -> bool:
    """Whether a bill asks for more than the one before it."""
    if bill is None:
        return False
    last = Bill.objects.filter(connection_id=bill.connection_id, cycle__lt=bill.cycle).order_by("-cycle", "-revision")
    amounts = last.values_list("payable_paise", "arrears_paise").first()
    return amounts is not None and sum(amounts) < bill.payable_paise + bill.arrears_paise
