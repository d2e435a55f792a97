"""One's own data to take along: a table of days with their half-hours, and the Green Button file."""

import csv
import datetime as dt
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khata.display.curve_words import BLOCKS
from khata.display.origins import LETTERS
from khata.formats.csvfile import BOM, no_formula
from khata.formats.espi_write import write_usage
from khata.formats.text import FormatError, iso_date
from khata.kernel.days import month_number, month_start
from khata.metering.models import Origin
from khata.metering.queries import SeenHalfHours, half_hours_of
from khata.portal import used
from khata.portal.mine import connection_of
from khata.portal.public import may

MONTHS = 13
FIRST_DAY = dt.date(2000, 1, 1)
FILES = 30  # of one connection, in a quarter of an hour


class WrongDaysError(ValueError):
    """What was asked for cannot be taken; the message says why, in the reader's words."""


@require_GET
def as_csv(request: HttpRequest) -> HttpResponseBase:
    """A row a day, with 48 columns."""
    return _file(request, "usage-csv", "text/csv; charset=utf-8", "csv")


@require_GET
def as_green_button(request: HttpRequest) -> HttpResponseBase:
    """The same half-hours as other programs read them (ESPI)."""
    return _file(request, "usage-green-button", "application/xml; charset=utf-8", "xml")


def _file(request: HttpRequest, what: str, kind: str, ending: str) -> HttpResponseBase:
    asked: Any = request
    mine = connection_of(request)
    try:
        first, last = _asked_for(request, asked.today)
    except WrongDaysError as wrong:
        page = {"tab": "usage", "error": str(wrong), **offered(asked.today)}
        return render(request, "portal/usage_take.html", page, status=400)
    if not may(f"{what}:{mine.id}", most=FILES):
        return render(request, "portal/too_many.html", {"tab": "usage"}, status=429)
    end = last + dt.timedelta(days=1)
    # Read before the answer begins: while it is sent, neither transaction nor scope is there any more.
    days = half_hours_of(connection_id=mine.id, start=first, end=end)
    pieces = table(days, first, end) if ending == "csv" else _green_button(days, asked.now)
    response = StreamingHttpResponse(pieces, content_type=kind)
    # The days alone: a file may lie in a shared phone's downloads.
    response["Content-Disposition"] = f'attachment; filename="usage-{first}-{last}.{ending}"'
    return response


def offered(today: dt.date) -> dict[str, dt.date]:
    """The most that one file holds: thirteen months, the running one as far as it has come."""
    return {"take_from": month_start(month_number(today) - MONTHS + 1), "take_to": today - dt.timedelta(days=1)}


def _asked_for(request: HttpRequest, today: dt.date) -> tuple[dt.date, dt.date]:
    """The first and the last day, both included; what is not said is the most that is offered. Raises
    WrongDaysError.
    """
    most = offered(today)
    last = _day(request, "to", most["take_to"])
    thirteen = month_start(month_number(max(min(last, most["take_to"]), FIRST_DAY)) - MONTHS + 1)
    first = _day(request, "from", max(thirteen, FIRST_DAY))
    if first > last:
        raise WrongDaysError(_("The first day comes after the last. Change one of them."))
    if last >= today:
        raise WrongDaysError(_("The last day is not over yet. Choose yesterday or a day before."))
    if first < FIRST_DAY or month_number(last) - month_number(first) >= MONTHS:
        raise WrongDaysError(_("This is more than thirteen months. Take it in two files."))
    return first, last


def _day(request: HttpRequest, name: str, otherwise: dt.date) -> dt.date:
    typed = request.GET.get(name, "")[:20].strip()
    if not typed:
        return otherwise
    try:
        return iso_date(typed)
    except FormatError:
        raise WrongDaysError(_("This is not a day. Write it like 2024-06-20.")) from None


# -- the table ---------------------------------------------------------------------------------------------------------


def table(days: Sequence[SeenHalfHours], first: dt.date, end: dt.date) -> Iterator[bytes]:
    """A line for each day of [first, end), also those of which nothing is known; units with a point, never a comma.

    All words are chosen here: when the lines are sent, the reader's language is no longer set.
    """
    known = {day.day: day for day in days}
    said = dict(enumerate((_("no reading"), _("measured"), _("estimated"), _("substituted"), _("corrected"))))
    header = [_("Day"), _("Units"), _("Highest demand, kW"), _("How known")]
    header += [used.clock(at) for at in range(1, BLOCKS + 1)]
    header += [_("Half-hours not measured"), _("Half-hours without supply")]
    calendar = (first + dt.timedelta(days=at) for at in range((end - first).days))
    # With the mark, else a spreadsheet takes Hindi for something else.
    return chain([BOM + _line(header)], (_line(_cells(day, known.get(day), said)) for day in calendar))


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(map(no_formula, cells))
    return text.getvalue().encode()


def _cells(day: dt.date, seen: SeenHalfHours | None, said: Mapping[int, str]) -> list[str]:
    """A half-hour stands under the time at which it ends; by that time the last two columns name theirs."""
    if seen is None:
        return [day.isoformat(), "", "", said[0], *[""] * (BLOCKS + 2)]
    drawn = used.half_hours(day, seen)
    return [
        day.isoformat(),
        _thousandths(seen.total_wh),
        _thousandths(seen.demand_w),
        said[0 if seen.total_wh is None else seen.origin],
        *map(_thousandths, drawn.blocks_wh),
        " ".join(used.clock(at + 1) for at, origin in enumerate(_origins(seen)) if origin != Origin.ACTUAL),
        " ".join(used.clock(at + 1) for at in sorted(drawn.off)),
    ]


def _thousandths(value: int | None) -> str:
    """Wh as units, W as kW: `0.412`."""
    return "" if value is None else f"{'-' if value < 0 else ''}{abs(value) // 1000}.{abs(value) % 1000:03d}"


# -- Green Button ------------------------------------------------------------------------------------------------------

LABEL = "meter"  # a file names neither meter nor account
_NUMBERS = {letter: number for number, letter in LETTERS.items()} | {"-": 1}


def _green_button(days: Sequence[SeenHalfHours], now: dt.datetime) -> Iterator[bytes]:
    known = ((day.day, day.blocks_wh, _origins(day)) for day in days if day.blocks_wh is not None)
    return write_usage(meter_label=LABEL, days=known, made=now)


def _origins(day: SeenHalfHours) -> list[int]:
    return [_NUMBERS[letter] for letter in day.origins] if day.origins else [day.origin] * BLOCKS
