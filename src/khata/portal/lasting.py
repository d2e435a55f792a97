"""How long a prepaid balance will last: from what the last days cost, by the same kernel that makes the bill."""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from khata.consumers.models import Connection
from khata.kernel.days import month_number, month_start
from khata.kernel.forecast import runway
from khata.portal import used
from khata.portal.costs import costs

DAYS = 30  # whose cost is looked at


@dataclass(frozen=True)
class Lasting:
    """Whole days from today on: at least, most likely, at most; None: longer than can be said. `paise`: what is left
    once the days that no bill has taken off yet are taken off, too."""

    low: int | None
    likely: int | None
    high: int | None
    until: dt.date | None
    paise: int


def lasts(
    mine: Connection, *, balance_paise: int, billed_until: dt.date | None, days: used.Days, today: dt.date
) -> Lasting | None:
    """None where too little is known to say. `billed_until`: the first day that no bill has taken off yet."""
    since = billed_until or mine.connected_on
    months = [month_start(month_number(today) - 1), today.replace(day=1)]
    if since < months[0]:  # a bill is missing: who knows what it will come to
        return None
    priced = costs(mine, days, months=months, today=today)
    if priced is None:
        return None
    left = balance_paise - sum(paise for day, paise in priced.days.items() if since <= day)
    lately = [days.get(today - dt.timedelta(days=back)) for back in range(1, DAYS + 1)]
    known = [priced.days[seen.day] for seen in lately if seen is not None and seen.total_wh is not None]
    found = runway(max(0, left), np.array(known, np.int64))
    if found is None:
        return None
    until = None if found.likely_days is None else today + dt.timedelta(days=found.likely_days)
    return Lasting(found.low_days, found.likely_days, found.high_days, until, left)
