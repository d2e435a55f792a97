"""What meter data companies owe of an office's meters: the kept scorecard, on the page and as a file."""

import csv
import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khata.discoms.models import Office
from khata.formats.csvfile import BOM, no_formula
from khata.metering.kept import KEPT_DAYS, LATEST_DAYS, KeptDay, seen_days, seen_made, seen_open_counts
from khata.staff.desk import number_typed, office_of, show

PERIODS = (LATEST_DAYS, KEPT_DAYS)
NOBODY = "-"  # in an address: meters of which no sender is recorded; no sender's code begins so


@dataclass(frozen=True)
class Asked:
    """What of the scorecard an address asks for. `by_day`: a row for each day; else for each division."""

    days: int
    first: dt.date
    until: dt.date
    sender: str
    division: int
    by_day: bool


@dataclass(frozen=True)
class Line:
    """What one sender owes of a day, or of a division over all days asked for."""

    sender: str  # NOBODY: none is recorded
    sender_name: str
    day: dt.date | None
    division: Office | None
    expected: int
    received: int
    totals_only: int  # days of meters
    silent: int  # days of meters
    oldest: int | None  # days of age of the oldest debt; None: nothing is owed

    @property
    def missing(self) -> int:
        return self.expected - self.received

    @property
    def percent(self) -> int:
        return self.received * 100 // self.expected if self.expected else 100


@require_GET
def scorecard(request: HttpRequest) -> HttpResponse:
    wanted = asked_for(request)
    kept = _kept(wanted)
    lines = _lines(request, wanted, kept)
    made = seen_made()
    page = {
        "asked": wanted,
        "last": wanted.until - dt.timedelta(days=1),
        "lines": lines,
        "total": _line(kept, request, None, None) if kept else None,
        "days_of": next((line for line in lines if wanted.sender), None),
        "division": _division(wanted.division),
        "made": made,
        "oldest_made": min((each.made_at for each in kept), default=made),
        "open": sum(each.count for each in seen_open_counts()),
        "periods": PERIODS,
        "several": not wanted.sender and (not wanted.by_day or len({line.sender for line in lines}) > 1),
    }
    return show(request, "staff/meter_data.html", page, at="meter-data")


@require_GET
def scorecard_csv(request: HttpRequest) -> HttpResponse:
    """The rows of the page, as a table for other programs."""
    wanted = asked_for(request)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\r\n")
    first = _("Day") if wanted.by_day else _("Division")
    header = [_("Sender"), _("Name of the sender"), first, _("Half-hours due"), _("Half-hours received")]
    header += [_("Half-hours missing"), _("Received, percent"), _("Meter days with a total alone")]
    out.writerow([*header, _("Meter days without anything"), _("Oldest debt, days")])
    for line in _lines(request, wanted, _kept(wanted)):
        where = str(line.day) if line.day else _name(request, line.division)
        sender = "" if line.sender == NOBODY else line.sender
        numbers = (line.expected, line.received, line.missing, line.percent, line.totals_only, line.silent)
        oldest = "" if line.oldest is None else str(line.oldest)
        out.writerow([no_formula(each) for each in (sender, line.sender_name, where, *map(str, numbers), oldest)])
    response = HttpResponse(BOM + text.getvalue().encode(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="meter-data-{wanted.first}-{wanted.days}-days.csv"'
    return response


def above_divisions(request: HttpRequest) -> bool:
    """Whether the post is over several divisions."""
    return office_of(request).kind != Office.Kind.DIVISION


def asked_for(request: HttpRequest) -> Asked:
    asked: Any = request
    days = number_typed(request.GET.get("days", ""))
    days = days if days in PERIODS else PERIODS[0]
    sender = request.GET.get("sender", "")[:80]
    by_day = bool(sender) or not above_divisions(request)
    division = number_typed(request.GET.get("division", ""))
    first = asked.today - dt.timedelta(days=days)
    return Asked(days, first, asked.today, sender, division, by_day)


def _kept(wanted: Asked) -> list[KeptDay]:
    return [
        each
        for each in seen_days(from_day=wanted.first, until=wanted.until)
        if wanted.sender in ("", each.sender or NOBODY) and wanted.division in (0, each.division)
    ]


def _lines(request: HttpRequest, wanted: Asked, kept: Sequence[KeptDay]) -> list[Line]:
    """The newest day first; of divisions those that are owed most."""
    groups: dict[tuple[str, object], list[KeptDay]] = {}
    for each in kept:
        groups.setdefault((each.sender or NOBODY, each.day if wanted.by_day else each.division), []).append(each)
    if wanted.by_day:
        made = [_line(rows, request, rows[0].day, None) for rows in groups.values()]
        return sorted(
            made, key=lambda line: (line.sender == NOBODY, line.sender, wanted.until - (line.day or wanted.until))
        )
    offices = Office.objects.in_bulk({each.division for each in kept})
    made = [_line(rows, request, None, offices[rows[0].division]) for rows in groups.values()]
    return sorted(made, key=lambda line: (line.sender == NOBODY, line.sender, -line.missing))


def _line(rows: Sequence[KeptDay], request: HttpRequest, day: dt.date | None, division: Office | None) -> Line:
    asked: Any = request
    owed = [each.day for each in rows if each.missing]
    return Line(
        rows[0].sender or NOBODY,
        rows[0].sender_name or "",
        day,
        division,
        sum(each.expected for each in rows),
        sum(each.received for each in rows),
        sum(each.totals_only for each in rows),
        sum(each.silent for each in rows),
        (asked.today - min(owed)).days if owed else None,
    )


def _division(number: int) -> Office | None:
    return Office.objects.filter(id=number, kind=Office.Kind.DIVISION).first() if 0 < number < 2**31 else None


def _name(request: HttpRequest, office: Office | None) -> str:
    asked: Any = request
    return "" if office is None else office.name_hi if asked.language == "hi" else office.name_en
