"""A connection's bills: all of them, each line with its clause, and why one differs from another."""

from typing import Annotated, Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Query, Router

from khata.api.answers import BillDetail, Bills, Change
from khata.api.own import own
from khata.api.problems import not_there, told
from khata.api.usage import SIGNED
from khata.api.values import LAST_YEAR, Against, BillId, Cursor, Number, cursor_text, position
from khata.billing.change import bill_before, bill_year_before, explain_change
from khata.billing.models import Bill, OldBill
from khata.billing.queries import bill_view, old_bills_of
from khata.display.bill_text import LineView
from khata.display.change_words import change_sentence
from khata.display.labels import line_label

router = Router(tags=["consumer"])
PAGE, OLD = 24, 60


@router.get(
    "/connections/{number}/bills", response=Bills, url_name="bills", openapi_extra=told(401, 404, 422, 429) | SIGNED
)
def bills(request: HttpRequest, number: Number, cursor: Cursor | None = None) -> dict[str, Any]:
    """Newest first, 24 a page."""
    with own(request, number) as mine:
        rows = Bill.objects.filter(connection_id=mine.id).order_by("-cycle", "-id")
        if cursor:
            cycle, at = position(cursor)
            rows = rows.filter(Q(cycle__lt=cycle) | Q(cycle=cycle, id__lt=at))
        found = list(rows[: PAGE + 1])
        more, found = len(found) > PAGE, found[:PAGE]
        old = [] if more else old_bills_of(connection_id=mine.id, limit=OLD)
        return {
            "bills": [_listed(each) for each in found],
            "old_bills": [
                {"month": each.month, "energy_wh": each.units_wh, "amount_paise": each.amount_paise} for each in old
            ],
            "next": cursor_text(found[-1].cycle, found[-1].id) if more else None,
        }


@router.get(
    "/connections/{number}/bills/{bill}",
    response=BillDetail,
    url_name="bill",
    openapi_extra=told(401, 404, 422, 429) | SIGNED,
)
def bill(request: HttpRequest, number: Number, bill: BillId) -> dict[str, Any]:
    """One bill: each line with quantity, rate, amount and the clause it rests on."""
    asked: Any = request
    with own(request, number) as mine:
        found = _own_bill(mine.id, bill)
        view = bill_view(found, asked.language, mask_name=True)
        registers = [
            {
                "meter": each.meter_number,
                "previous_wh": each.previous_wh,
                "previous_day": each.previous_day,
                "previous_estimated": each.previous_estimated,
                "present_wh": each.present_wh,
                "present_day": each.present_day,
                "present_estimated": each.present_estimated,
            }
            for each in view.readings
        ]
        return _listed(found) | {
            "category": view.category,
            "sanctioned_load_w": view.sanctioned_load_w,
            "max_demand_w": view.max_demand_w,
            "registers": registers,
            "lines": [_line(each, asked.language) for each in view.lines],
            "orders": list(view.orders),
        }


@router.get(
    "/connections/{number}/bills/{bill}/change",
    response=Change,
    url_name="change",
    openapi_extra=told(401, 404, 422, 429) | SIGNED,
)
def change(
    request: HttpRequest,
    number: Number,
    bill: BillId,
    against: Annotated[
        Against | None,
        Query(description="another bill of the connection, or last-year; the bill before, if left away"),
    ] = None,
) -> dict[str, Any]:
    """Why a bill is higher or lower than another, in paise that add up to the difference."""
    asked: Any = request
    with own(request, number) as mine:
        found = _own_bill(mine.id, bill)
        other = _other(found, against)
        if other is None:
            raise not_there()
        made = explain_change(found, other)
        return {
            "bill": found.id,
            "against": None if isinstance(other, OldBill) else other.id,
            "against_month": other.month if isinstance(other, OldBill) else other.cycle,
            "paise": made.paise,
            "before_paise": made.before_paise,
            "difference_paise": made.difference_paise,
            "factors": [
                {
                    "code": each.code,
                    "paise": each.paise,
                    "sentence": change_sentence(
                        each.code, each.paise, each.facts, asked.language, last_year=against == LAST_YEAR
                    ),
                }
                for each in made.factors
                if each.paise
            ],
        }


def _other(bill: Bill, against: int | str | None) -> Bill | OldBill | None:
    if against is None:
        return bill_before(bill)
    return _own_bill(bill.connection_id, against) if isinstance(against, int) else bill_year_before(bill)


def _own_bill(connection: int, bill: int) -> Bill:
    found = Bill.objects.filter(id=bill, connection_id=connection).first()
    if found is None:
        raise not_there()
    return found


def _listed(bill: Bill) -> dict[str, Any]:
    return {
        "bill": bill.id,
        "number": bill.number,
        "kind": bill.kind,
        "cycle": bill.cycle,
        "bill_date": bill.bill_date,
        "due_date": bill.due_date,
        "period_start": bill.period_start,
        "period_end": bill.period_end,
        "energy_wh": bill.energy_wh,
        "payable_paise": bill.payable_paise,
        "arrears_paise": bill.arrears_paise,
        "draft": bill.draft,
    }


def _line(view: LineView, language: Any) -> dict[str, Any]:
    return {
        "line": view.line_id,
        "printed": view.printed or line_label(view.line_id, language),
        "amount_paise": view.amount_paise,
        "quantity_milli": view.quantity_milli,
        "unit": view.unit,
        "rate_e4": view.rate_e4,
        "rate_unit": view.rate_unit,
        "clause": view.clause,
        "times": view.times,
        "days_from": view.part[0] if view.part else None,
        "days_until": view.part[1] if view.part else None,
    }
