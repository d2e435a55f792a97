"""What if: one's own last bill beside the same days with other units, another load, prepaid, or the sun on the roof."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khata.billing.pricing import NotPriceableError, OwnNumbers, own_numbers, what_if
from khata.display.change_words import more_or_less
from khata.display.labels import LINES
from khata.display.money import kw, kwh
from khata.formats.text import FormatError, decimal_scaled, digits
from khata.kernel.order import MODES, Mode
from khata.portal.mine import connection_of

MOST_WH, MOST_W = 10**9, 10**7  # ten lakh units and ten MW: more than any home or shop


@dataclass(frozen=True)
class Typed:
    """The form as it was sent; `errors` by field."""

    units: str
    load: str
    mode: Mode
    export: str
    units_wh: int
    load_w: int
    export_wh: int
    errors: dict[str, str]


@require_GET
def what_if_page(request: HttpRequest) -> HttpResponse:
    """The form with one's own numbers, and below it what they come to. Nothing is kept."""
    asked: Any = request
    mine = connection_of(request)
    page: dict[str, object] = {"connection": mine, "tab": "bills"}
    try:
        own = own_numbers(connection_id=mine.id, today=asked.today)
    except NotPriceableError:
        return render(request, "portal/what_if.html", page)
    typed = _typed(request.GET, own)
    page |= {"own": own, "typed": typed}
    if request.GET and not typed.errors:
        try:
            found = what_if(
                connection_id=mine.id,
                today=asked.today,
                units_wh=typed.units_wh,
                load_w=typed.load_w,
                mode=typed.mode,
                export_wh=typed.export_wh,
            )
        except NotPriceableError:
            typed.errors["load"] = _("There are no rates for such a connection. Try another load.")
        else:
            page |= {
                "found": found,
                "total": more_or_less(found.difference_paise, asked.language),
                "lines": [(LINES[each.line].in_(asked.language), each) for each in found.lines],
                "export": typed.export_wh,
                "above": own.demand_w > typed.load_w,
            }
    return render(request, "portal/what_if.html", page)


def _typed(form: QueryDict, own: OwnNumbers) -> Typed:
    """What was not typed is one's own; what cannot be read is told beside its field."""
    errors: dict[str, str] = {}
    texts = {
        "units": form.get("units", "") or kwh(own.units_wh).replace(",", ""),
        "load": form.get("load", "") or kw(own.load_w).replace(",", ""),
        "export": form.get("export", "") or "0",
    }
    most = {"units": MOST_WH, "load": MOST_W, "export": MOST_WH}
    numbers = {name: _number(text) for name, text in texts.items()}
    for name, number in numbers.items():
        if number is None or number > most[name]:
            errors[name] = _("This is not such a number. Write it like 120 or 2.5.")
    if numbers["load"] == 0:
        errors["load"] = _("The load must be above 0.")
    mode = next((each for each in MODES if each == form.get("mode")), own.mode)
    return Typed(
        texts["units"],
        texts["load"],
        mode,
        texts["export"],
        numbers["units"] or 0,
        numbers["load"] or 0,
        numbers["export"] or 0,
        errors,
    )


def _number(text: str) -> int | None:
    """Thousandths, as typed in either script of digits; None where it is no number or below 0."""
    try:
        found = decimal_scaled(digits(text[:20]).strip(), 3, what="number")
    except FormatError:
        return None
    return found if found >= 0 else None
