"""What one's days cost: the month's bill as it grew day by day, by the kernel that makes bills."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from khata.billing.pricing import DEMAND, NoSupplyError, NotPriceableError, PricedBy, month_costs, priced_by
from khata.consumers.models import Connection
from khata.display.trend_words import Span
from khata.portal import used


@dataclass(frozen=True)
class Costs:
    """Paise of each day before today, the running month so far, and what the whole of it will come to.

    `assumed`: the codes of `billing.pricing`, of what had to be taken from elsewhere.
    """

    days: dict[dt.date, int]
    running_paise: int
    ahead: Span | None
    assumed: frozenset[str]

    @property
    def other_demand(self) -> bool:
        return DEMAND in self.assumed


def costs(
    mine: Connection,
    days: used.Days,
    *,
    months: Sequence[dt.date],
    today: dt.date,
    ahead_wh: Span | None = None,
    by: PricedBy | None = None,
) -> Costs | None:
    """Of months named by their first days, those without supply left out; `ahead_wh` is of the running one, `by` spares
    reading that.

    None where nothing can be priced.
    """
    found: dict[dt.date, int] = {}
    ahead, assumed = None, set[str]()
    running = today.replace(day=1)
    try:
        by = by or priced_by(connection_id=mine.id)
        for month in months:
            wanted = (ahead_wh.low, ahead_wh.likely, ahead_wh.high) if ahead_wh and month == running else ()
            try:
                made = month_costs(
                    connection_id=mine.id,
                    month=month,
                    used=used.in_month(days, month),
                    today=today,
                    by=by,
                    ahead_wh=wanted,
                )
            except NoSupplyError:
                continue
            assumed.update(made.assumed)
            found |= {day: paise for day, paise in made.days.items() if day < today}
            ahead = Span(*made.ahead_paise) if wanted else ahead
    except NotPriceableError:
        return None
    if not assumed and not found:
        return None
    return Costs(found, sum(paise for day, paise in found.items() if day >= running), ahead, frozenset(assumed))
