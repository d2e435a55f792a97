"""What a running month's days cost, and what one's own last bill would be otherwise: by the kernel that makes bills."""

import datetime as dt
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection

from khata.billing.change import bases_of, orders_of_run
from khata.billing.models import Bill
from khata.billing.queries import latest_bill
from khata.consumers.models import Connection, Terms
from khata.consumers.queries import all_terms
from khata.kernel.bills import UNPUBLISHED, Priced, cuts, price
from khata.kernel.days import date_of, day_number, month_number, month_start
from khata.kernel.order import Mode, Order
from khata.kernel.quantities import Int64
from khata.kernel.shares import largest_remainder
from khata.kernel.variants import Basis, Piece, changed, payable, segments_of

# What had to be assumed, as codes: the figure of an earlier month; the demand of the last bill.
FPPAS, DEMAND = "fppas", "demand"
_OLDEST_FPPAS = 24  # months looked back for the newest published figure


class NotPriceableError(LookupError):
    """There is no order or no terms to price by, or no bill yet to compare with."""


class NoSupplyError(NotPriceableError):
    """In the whole month nothing was supplied: before the connection was made, or after it ended."""


@dataclass(frozen=True)
class MonthCosts:
    """Paise of each day of a month; they add up to `total_paise`, and `standing_paise` of it are due without a unit.

    `ahead_paise`: what the whole month would come to with each of the energies that were asked for besides.
    """

    days: dict[dt.date, int]
    total_paise: int
    standing_paise: int
    assumed: tuple[str, ...]
    ahead_paise: tuple[int, ...] = ()


@dataclass(frozen=True)
class PricedBy:
    """What of a connection several months are priced by: the orders, its terms, its last bill and the demand of it."""

    orders: tuple[Order, ...]
    terms: tuple[Terms, ...]
    demand_w: int
    bill: Bill | None


def priced_by(*, connection_id: int) -> PricedBy:
    """Raises NotPriceableError where no order is published yet."""
    discom = Connection.objects.values_list("discom_id", flat=True).get(id=connection_id)
    bill, terms = latest_bill(connection_id=connection_id), all_terms(connection_id=connection_id)
    return priced_by_these(discom=discom, bill=bill, terms=terms)


def priced_by_these(*, discom: int, bill: Bill | None, terms: Sequence[Terms]) -> PricedBy:
    """As `priced_by`, of a connection whose newest bill and all terms (in order) are at hand.

    The orders are those of the newest run of the company: they made everybody's last bill.
    """
    query = """
        select run_id, (select coalesce(max(demand_w), 0) from billing_billpart where bill_id = %s)
        from billing_billrun where discom_id = %s order by cycle desc, run_id desc limit 1"""
    with connection.cursor() as cursor:
        cursor.execute(query, [bill.id if bill else None, discom])
        row = cursor.fetchone()
    if row is None:
        raise NotPriceableError("the company has made no bill here yet, so that no order is published.")
    run, demand_w = row
    return PricedBy(orders_of_run(run).orders, tuple(terms), demand_w, bill)


def month_costs(
    *,
    connection_id: int,
    month: dt.date,
    used: Mapping[dt.date, int | None],
    today: dt.date,
    by: PricedBy | None = None,
    ahead_wh: Sequence[int] = (),
) -> MonthCosts:
    """What each day of the month cost: what its units added to the month's bill, and its share of the standing part.

    f(E) is the bill of the whole month with the units E so far. A day costs f with it less f without it, and by days
    its share of f(0). A month that has its own bill is priced as that was, with its demand, terms and orders: the same
    energy comes to the same paise. `used`: Wh by day, None or absent where not known (it then bears its share alone),
    and days from `today` on are not used yet. `by` spares reading it again for a further month; `ahead_wh` are energies
    of the whole month, above what is known, taken as used at its end. Raises NotPriceableError, NoSupplyError.
    """
    month = month.replace(day=1)
    end = month_start(month_number(month) + 1)
    days = [month + dt.timedelta(at) for at in range((end - month).days)]
    used_wh = [max(used.get(day) or 0, 0) if day < today else 0 for day in days]
    by = by or priced_by(connection_id=connection_id)
    billed = _billed(connection_id, month, end, by.bill)
    spans = _spans_of(billed, month) if billed else _spans(by, month, end)
    orders, bill_day = (billed.orders, billed.bill_day) if billed else (by.orders, day_number(end))
    origin = day_number(month)
    known = [at for at, wh in enumerate(used_wh) if wh]
    # One bill for each running total, then one for each energy of the whole month.
    upto = [0, *(at + 1 for at in known), *([len(days)] * len(ahead_wh))]
    more_wh = [0] * (len(known) + 1) + [wh - sum(used_wh) for wh in ahead_wh]

    def pieces(number: int, bill_day: int, more: Sequence[int]) -> list[Piece]:
        made: list[Piece] = []
        for first, last, whose in _cut(spans, [day - origin for day in more]):
            energy = sum(used_wh[first : min(last, upto[number])]) + more_wh[number] * (last == spans[-1].last)
            made.append((origin + first, origin + last, *whose, energy, bill_day))
        return made

    priced, earlier = _priced_by_newest(orders, pieces, len(upto), bill_day)
    amounts, ahead = np.split(priced, [len(known) + 1])
    standing = int(amounts[0])
    supplied = [int(any(span.first <= at < span.last for span in spans)) for at in range(len(days))]
    shares = largest_remainder(standing, np.array(supplied, np.int64)).tolist()
    for at, extra in zip(known, np.diff(amounts).tolist(), strict=True):
        shares[at] += extra
    assumed = (*((FPPAS,) if earlier else ()), *(() if billed else (DEMAND,)))
    by_day = dict(zip(days, shares, strict=True))
    return MonthCosts(by_day, int(amounts[-1]), standing, assumed, tuple(ahead.tolist()))


def _priced_by_newest(
    orders: tuple[Order, ...], pieces: Callable[[int, int, Sequence[int]], list[Piece]], bills: int, bill_day: int
) -> tuple[Int64, bool]:
    """Payable of each bill; by the newest month's figure where that of the month itself is not published yet."""
    month = month_number(date_of(bill_day))
    for back in range(_OLDEST_FPPAS):
        dated = day_number(month_start(month - back)) if back else bill_day
        made = [pieces(number, dated, ()) for number in range(bills)]
        segments = segments_of(made)
        more: dict[int, list[int]] = {}
        for row, day in cuts(orders, segments):
            more.setdefault(int(segments.bill[row]), []).append(day)
        for number, at in more.items():
            made[number] = pieces(number, dated, at)
        priced = price(orders, segments_of(made) if more else segments, metered=True)
        if not (priced.refusal == UNPUBLISHED).any():
            break
    if priced.refusal.any():
        row = int(np.flatnonzero(priced.refusal)[0])
        raise NotPriceableError(f"{priced.why(row, orders)}. Look at the bill instead of the estimate.")
    return payable(priced, bills), back > 0


@dataclass(frozen=True)
class _Span:
    """Days of the month, counted from 0, with one category, area, prepaid or not, load in W and demand in W."""

    first: int
    last: int
    whose: tuple[str, str, int, int, int]


def _billed(connection_id: int, month: dt.date, end: dt.date, newest: Bill | None) -> Basis | None:
    """What the bill of just this month was made from, where there is one; `newest` is the connection's newest bill."""
    if newest is None or newest.period_end < end:
        return None
    found: Bill | None = newest
    if newest.period_end > end:
        own = Bill.objects.filter(connection_id=connection_id, period_end=end)
        found = own.order_by("-cycle", "-revision").first()
    return bases_of([found])[found.id] if found is not None and found.period_start >= month else None


def _spans_of(billed: Basis, month: dt.date) -> list[_Span]:
    """The month by the parts of its bill."""
    origin = day_number(month)
    return [
        _Span(
            each.start - origin,
            each.end - origin,
            (each.category, each.area, int(each.prepaid), each.load_w, each.demand_w),
        )
        for each in billed.stretches
    ]


def _spans(by: PricedBy, month: dt.date, end: dt.date) -> list[_Span]:
    """The month by the terms that held on its days, of each day the newest revision; days without supply left out."""
    newest = list({each.from_date: each for each in by.terms if each.from_date < end}.values())
    edges = [max((each.from_date - month).days, 0) for each in newest] + [(end - month).days]
    spans = zip(newest, edges, edges[1:], strict=False)
    found = [
        _Span(first, last, (each.category, each.area, int(each.mode == "prepaid"), each.load_w, by.demand_w))
        for each, first, last in spans
        if first < last and not each.ended
    ]
    if not found:
        raise NoSupplyError(f"there was no supply in {month:%Y-%m}. Choose another month.")
    return found


def _cut(spans: Sequence[_Span], more: Sequence[int]) -> list[tuple[int, int, tuple[str, str, int, int, int]]]:
    """The spans, also cut at some days of the month."""
    made = []
    for span in spans:
        edges = [span.first, *sorted(day for day in more if span.first < day < span.last), span.last]
        made += [(first, last, span.whose) for first, last in itertools.pairwise(edges)]
    return made


# -- what if -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WhatIfLine:
    """A charge on one's own bill and on the other, in paise; 0 where it does not appear."""

    line: str
    own_paise: int
    paise: int


@dataclass(frozen=True)
class WhatIf:
    """One's own last bill beside the same days otherwise. `carried_wh`: export above the units, kept for later."""

    bill: Bill
    lines: tuple[WhatIfLine, ...]
    own_paise: int
    paise: int
    billed_wh: int
    carried_wh: int

    @property
    def difference_paise(self) -> int:
        return self.paise - self.own_paise


@dataclass(frozen=True)
class OwnNumbers:
    """What one's last bill was made from, to begin with."""

    bill: Bill
    units_wh: int
    load_w: int
    demand_w: int
    mode: Mode


def own_numbers(*, connection_id: int, today: dt.date) -> OwnNumbers:
    """Raises NotPriceableError where there is no bill yet."""
    bill = _own_bill(connection_id, today)
    last = bases_of([bill])[bill.id]
    at_end = last.stretches[-1]
    demand = max(each.demand_w for each in last.stretches)
    return OwnNumbers(bill, bill.energy_wh, at_end.load_w, demand, "prepaid" if at_end.prepaid else "postpaid")


def what_if(*, connection_id: int, today: dt.date, units_wh: int, load_w: int, mode: Mode, export_wh: int) -> WhatIf:
    """The last bill with other units, load or mode, and with solar power fed in; all else stays as it was.

    Net metering is assumed: what was fed in is taken off the units, not below 0, and the rest is carried forward.
    Raises NotPriceableError where there is no bill yet, or no order prices such a bill.
    """
    bill = _own_bill(connection_id, today)
    basis = bases_of([bill])[bill.id]
    last = basis.stretches[-1]
    billed = max(units_wh - export_wh, 0)
    same_load, same_mode = load_w == last.load_w, (mode == "prepaid") == last.prepaid
    other = changed(
        basis,
        energy_wh=billed,
        load_w=None if same_load else load_w,
        prepaid=None if same_mode else mode == "prepaid",
    )
    own = changed(basis, energy_wh=bill.energy_wh, load_w=None, prepaid=None)
    if own is None or other is None:
        raise NotPriceableError("no schedule of the order is for such a connection. Try another load or mode.")
    one, two = _by_line(own), _by_line(other)
    lines = tuple(WhatIfLine(line, one.get(line, 0), two.get(line, 0)) for line in dict.fromkeys([*one, *two]))
    shown = tuple(each for each in lines if each.own_paise or each.paise)
    return WhatIf(bill, shown, sum(one.values()), sum(two.values()), billed, max(export_wh - units_wh, 0))


def _own_bill(connection_id: int, today: dt.date) -> Bill:
    bill = (
        Bill.objects.filter(connection_id=connection_id, bill_date__lte=today).order_by("-cycle", "-revision").first()
    )
    if bill is None:
        raise NotPriceableError("there is no bill of this connection yet. Come back after the first one.")
    return bill


def _by_line(priced: Priced) -> dict[str, int]:
    """Paise of each charge over all parts, in printed order."""
    sums: dict[str, int] = {}
    for group in priced.groups:
        for line, paise in zip(group.schedule.line_ids, group.rated.lines.sum(axis=0).tolist(), strict=True):
            sums[line] = sums.get(line, 0) + int(paise)
    return sums
