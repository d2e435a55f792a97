"""The money of a day: by counter and channel, and receipt by receipt."""

import datetime as dt
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khata.formats.text import FormatError, iso_date
from khata.payments.queries import collection, receipts_of_day
from khata.staff.desk import show
from khata.staff.shifts import shifts_of_office

SHOWN_RECEIPTS = 200


@require_GET
def collected(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    problem, day = "", asked.today
    if typed := request.GET.get("day", ""):
        try:
            day = iso_date(typed[:20])
        except FormatError:
            problem = _("This is not a day. Today is shown.")
    if not dt.date(1990, 1, 1) < day <= asked.today:
        problem, day = problem or _("Nothing is known of that day. Today is shown."), asked.today
    range_ = {"office_from": asked.who.post.office_from, "office_to": asked.who.post.office_to}
    rows = collection(**range_, day=day)
    page = {
        "day": day,
        "before": day - dt.timedelta(days=1),
        "after": day + dt.timedelta(days=1) if day < asked.today else None,
        "rows": rows,
        "sum_paise": sum(row.paise for row in rows),
        "sum_receipts": sum(row.receipts for row in rows),
        "receipts": receipts_of_day(**range_, day=day, limit=SHOWN_RECEIPTS),
        "shown": SHOWN_RECEIPTS,
        "problem": problem,
        "shifts": shifts_of_office(request),
    }
    return show(request, "staff/collection.html", page, at="collection")
