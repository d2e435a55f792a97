"""How long a prepaid balance will last: from what the last days cost, by the same kernel that makes the bill."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low

import numpy as np

from khata.billing.models import Bill
from khata.billing.pricing import NotPriceableError, priced_by_these
from khata.consumers.models import Connection, Terms
from khata.kernel.days import month_number, month_start
from khata.kernel.forecast import runway
from khata.metering.queries import SeenDay
from khata.portal import used
from khata.portal.costs import costs

DAYS = 30  # whose cost is looked at


@dataclass(frozen=True)
class Lasting:
    """Whole days from today on: at least, most likely, at most; None: longer than can be said. `paise`: what is left
    once the days that no bill has taken off yet are taken off, too; of `unknown` of them no reading has come, and each
    was taken to cost what a day costs in the middle."""

    low: int | None
    likely: int | None
    high: int | None
    until: dt.date | None
    paise: int
    unknown: int


def lasts(
    mine: Connection,
    *,
    balance_paise: int,
    bill: Bill | None,
    terms: Sequence[Terms],
    days: used.Days,
    today: dt.date,
) -> Lasting | None:
    """None where too little is known to say. `bill` is the newest: from its end on no day is taken off yet."""
    since = bill.period_end if bill else mine.connected_on
    months = [month_start(month_number(today) - 1), today.replace(day=1)]
    if since < months[0]:  # a bill is missing: who knows what it will come to
        return None
    try:
        by = priced_by_these(discom=mine.discom_id, bill=bill, terms=terms)
    except NotPriceableError:
        return None
    # A day's cost to count with need not be that of the month's bill to the paisa, so its parts are not read for it.
    priced = costs(mine, days, months=months, today=today, by=replace(by, bill=None))
    if priced is None:
        return None
    lately = [today - dt.timedelta(days=back) for back in range(DAYS, 0, -1)]
    known = [priced.days[day] for day in lately if day in priced.days and _known(days.get(day))]
    if not known:
        return None
    open_days = {day: paise for day, paise in priced.days.items() if since <= day}
    unknown = [paise for day, paise in open_days.items() if not _known(days.get(day))]
    # A day that nobody knows is not free: it stands with its share of the fixed charge, but not with its units.
    missing = max(0, median_low(known) * len(unknown) - sum(unknown))
    left = balance_paise - sum(open_days.values()) - missing
    found = runway(max(0, left), np.array(known, np.int64))
    if found is None:
        return None
    until = None if found.likely_days is None else today + dt.timedelta(days=found.likely_days)
    return Lasting(found.low_days, found.likely_days, found.high_days, until, left, len(unknown))


def _known(seen: SeenDay | None) -> bool:
    return seen is not None and seen.total_wh is not None
