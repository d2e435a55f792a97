"""Why a bill is higher or lower than another of the same connection, in paise that add up to the difference.

The method, and what each factor means to whoever pays, is told in docs/algorithms/bill-change.md.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db import connection

from khata.billing.models import Bill, OldBill
from khata.jobs.models import Run
from khata.kernel.bills import order_on
from khata.kernel.days import date_of, day_number, month_number, year_before
from khata.kernel.order import Order, PercentOf, Published
from khata.kernel.variants import (
    CATEGORY,
    DAYS,
    LOAD,
    MODE,
    RATES,
    SLABS,
    SWITCHES,
    TOGETHER,
    UNITS,
    Basis,
    Compared,
    Stretch,
    changed,
    compare,
    payable,
)
from khata.ledger.rules import LPSC, OPENED, OWED, PAYMENTS
from khata.tariffs.queries import PublishedOrders, published_orders

# Beside what the orders price: what was left unpaid or paid ahead, and what was entered in between.
ARREARS, LATE, CORRECTIONS, OLD_SYSTEM = "arrears", "late", "corrections", "old system"
CODES = (*SWITCHES, TOGETHER, ARREARS, LATE, CORRECTIONS)

Fact = int | str | None


class OtherConnectionError(ValueError):
    """Two bills of different connections: their difference means nothing to anybody."""


@dataclass(frozen=True)
class Factor:
    """One reason: paise by which it raised (above 0) or lowered the bill, and what its sentence says."""

    code: str
    paise: int
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """The difference of what two bills ask for, with what was left from before. The factors add up to it."""

    factors: tuple[Factor, ...]
    difference_paise: int
    paise: int  # what the bill asks for
    before_paise: int  # what the one it is compared with asked for

    def __post_init__(self) -> None:
        total = sum(factor.paise for factor in self.factors)
        if total != self.difference_paise or self.paise - self.before_paise != total:
            raise AssertionError(f"factors of {total} paise do not explain a difference of {self.difference_paise}")


def bill_before(bill: Bill) -> Bill | OldBill | None:
    """The bill of the connection before this one, or the last that its former system made."""
    own = Bill.objects.filter(connection_id=bill.connection_id, cycle__lt=bill.cycle)
    old = OldBill.objects.filter(connection_id=bill.connection_id, month__lt=bill.cycle)
    return own.order_by("-cycle", "-revision").first() or old.order_by("-month").first()


def bill_year_before(bill: Bill) -> Bill | OldBill | None:
    """The bill of the same month a year before."""
    month = year_before(bill.cycle)
    own = Bill.objects.filter(connection_id=bill.connection_id, cycle=month)
    return (
        own.order_by("-revision").first()
        or OldBill.objects.filter(connection_id=bill.connection_id, month=month).first()
    )


def explain_change(bill: Bill, against: Bill | OldBill) -> Change:
    """What made `bill` differ from `against`. Raises OtherConnectionError, NotTheSamePaiseError."""
    if isinstance(against, OldBill):
        return _against_old(bill, against)
    return explain_changes([(bill, against)])[0]


def explain_changes(pairs: Sequence[tuple[Bill, Bill]]) -> list[Change]:
    """The same for many pairs (bill, against), priced together. Raises as `explain_change`."""
    if any(bill.connection_id != against.connection_id for bill, against in pairs):
        raise OtherConnectionError("only bills of one connection can be compared")
    bases = bases_of(each for pair in pairs for each in pair)
    compared = compare([(bases[against.id], bases[bill.id]) for bill, against in pairs])
    entered = _entered(pairs)
    return [
        _change(bill, against, bases, found, *entered.get(at, (0, 0)))
        for at, ((bill, against), found) in enumerate(zip(pairs, compared, strict=True))
    ]


_AT_ONCE = 1_000  # pairs priced together

_PAIRS = """
    select distinct on (b.connection_id) b.id, p.id
    from billing_bill b join consumers_connection c on c.id = b.connection_id
    cross join lateral (
        select id from billing_bill where connection_id = b.connection_id and cycle < b.cycle
        order by cycle desc, revision desc limit 1) p
    where b.cycle = %s and c.discom_id = %s order by b.connection_id, b.revision desc"""


def changes_of(*, discom: int, cycle: dt.date) -> Iterator[Change]:
    """Of every bill of a company's month why it differs from the one of ours before it. Raises as `explain_change`."""
    with connection.cursor() as cursor:
        cursor.execute(_PAIRS, [cycle, discom])
        pairs = cursor.fetchall()
    for first in range(0, len(pairs), _AT_ONCE):
        part = pairs[first : first + _AT_ONCE]
        bills = Bill.objects.in_bulk([each for pair in part for each in pair])
        yield from explain_changes([(bills[now], bills[before]) for now, before in part])


def _change(
    bill: Bill, against: Bill, bases: Mapping[int, Basis], found: Compared, late_paise: int, corrected_paise: int
) -> Change:
    arrears = bill.arrears_paise - against.arrears_paise
    # What was entered and is settled since made no difference: each counts at most as much as the arrears differ.
    late_paise, corrected_paise = (
        max(-abs(arrears), min(each, abs(arrears))) for each in (late_paise, corrected_paise)
    )
    paise = {code: 0 for code in CODES if code != TOGETHER} | dict(found.paise)
    paise.update({ARREARS: arrears - late_paise - corrected_paise, LATE: late_paise, CORRECTIONS: corrected_paise})
    facts = _facts(bases[bill.id], bases[against.id], found)
    facts[ARREARS] = {"paise": bill.arrears_paise, "paise_before": against.arrears_paise}
    total, before = bill.payable_paise + bill.arrears_paise, against.payable_paise + against.arrears_paise
    factors = tuple(Factor(code, paise[code], facts.get(code, {})) for code in CODES if code in paise)
    return Change(factors, total - before, total, before)


def _against_old(bill: Bill, old: OldBill) -> Change:
    """The former system kept no determinants: its units are priced as this bill is, and the rest stays one factor."""
    if bill.connection_id != old.connection_id:
        raise OtherConnectionError("only bills of one connection can be compared")
    basis = bases_of([bill])[bill.id]
    priced = changed(basis, energy_wh=old.units_wh, load_w=None, prepaid=None)
    at_old_units = int(payable(priced, 1)[0]) if priced else bill.payable_paise
    factors = (
        Factor(UNITS, bill.payable_paise - at_old_units, {"wh": bill.energy_wh, "wh_before": old.units_wh}),
        Factor(ARREARS, bill.arrears_paise, {"paise": bill.arrears_paise, "paise_before": None}),
        Factor(OLD_SYSTEM, at_old_units - old.amount_paise, {"month_before": str(old.month)}),
    )
    total = bill.payable_paise + bill.arrears_paise
    return Change(factors, total - old.amount_paise, total, old.amount_paise)


# -- what a sentence says ----------------------------------------------------------------------------------------------


def _facts(now: Basis, before: Basis, found: Compared) -> dict[str, dict[str, Fact]]:
    was, then = now.stretches[-1], before.stretches[-1]
    average = found.average_e4 or (None, None)
    return {
        DAYS: {"days": now.days, "days_before": before.days},
        UNITS: {
            "wh": now.energy_wh,
            "wh_before": before.energy_wh,
            "wh_a_day": now.energy_wh // now.days,
            "wh_a_day_before": before.energy_wh // before.days,
        },
        SLABS: {"average_e4": average[1], "average_before_e4": average[0]},
        RATES: {
            "order": _order(now).title,
            "order_before": _order(before).title,
            "fppas_e4": _fppas_e4(now),
            "fppas_before_e4": _fppas_e4(before),
        },
        LOAD: {
            "load_w": was.load_w,
            "load_before_w": then.load_w,
            "demand_w": _recorded_w(now),
            "demand_before_w": _recorded_w(before),
        },
        CATEGORY: {
            "category": was.category,
            "category_before": then.category,
            "area": was.area,
            "area_before": then.area,
        },
        MODE: {
            "mode": "prepaid" if was.prepaid else "postpaid",
            "mode_before": "prepaid" if then.prepaid else "postpaid",
        },
    }


def _recorded_w(basis: Basis) -> int | None:
    """The highest demand; None: none was recorded."""
    return max((each.demand_w for each in basis.stretches if each.demand_known), default=None)


def _order(basis: Basis) -> Order:
    found = order_on(basis.orders, basis.end - 1)
    if found is None:
        raise AssertionError("a bill that was issued has an order that was in force")
    return found


def _fppas_e4(basis: Basis) -> int | None:
    """The monthly percentage of the bill's month in 1/10,000; None where the order publishes none."""
    month = month_number(date_of(basis.bill_day))
    for schedule in _order(basis).schedules:
        for line in schedule.lines:
            if isinstance(line, PercentOf) and isinstance(line.rate, Published):
                figure = line.rate.figures.get(month)
                return figure[0] if figure else None
    return None


# -- what is stored ----------------------------------------------------------------------------------------------------

_PARTS = """
    select p.bill_id, p.start, p."end", p.terms_id, t.category, t.area, t.mode = 'prepaid', p.load_w,
        coalesce(p.demand_w, 0), p.energy_wh, p.demand_w is not null, r.rated_on, r.run_id
    from billing_bill b join billing_billpart p on p.bill_id = b.id join consumers_terms t on t.id = p.terms_id
    join jobs_part j on j.id = b.part_id join billing_billrun r on r.run_id = j.run_id
    where b.id = any(%s) order by p.bill_id, p.number"""


def bases_of(bills: Iterable[Bill]) -> dict[int, Basis]:
    """By bill: its determinants as they are stored, and the orders that its run pinned."""
    payable_of = {bill.id: bill.payable_paise for bill in bills}
    stretches: dict[int, list[Stretch]] = {}
    run_of: dict[int, tuple[dt.date, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_PARTS, [list(payable_of)])
        for bill, start, end, *more, rated_on, run in cursor.fetchall():
            stretches.setdefault(bill, []).append(Stretch(day_number(start), day_number(end), *more))
            run_of[bill] = rated_on, run
    orders = {run: orders_of_run(run) for run in {run for _, run in run_of.values()}}
    return {
        bill: Basis(tuple(parts), day_number(run_of[bill][0]), orders[run_of[bill][1]].orders, payable_of[bill])
        for bill, parts in stretches.items()
    }


def orders_of_run(run: int) -> PublishedOrders:
    """The orders that a run pinned. Neither that nor an edition ever changes, so a process reads each once."""
    database = str(connection.settings_dict["NAME"])
    return _remembered(database, _editions(database, run))


@lru_cache(maxsize=256)
def _editions(_database: str, run: int) -> tuple[int, ...]:
    return tuple(Run.objects.get(id=run).terms["editions"])


@lru_cache(maxsize=16)
def _remembered(_database: str, editions: tuple[int, ...]) -> PublishedOrders:
    return published_orders(editions)


_ENTERED = """
    select w.at, coalesce(sum(p.amount_paise) filter (where h.code = %(lpsc)s and e.kind <> all(%(plain)s)), 0)::bigint,
        coalesce(sum(p.amount_paise) filter (where h.code <> %(lpsc)s and e.kind <> all(%(plain)s)), 0)::bigint
    from unnest(%(at)s::bigint[], %(subject)s::bigint[], %(low)s::bigint[], %(high)s::bigint[])
        as w(at, subject, low, high)
    join ledger_posting p on p.subject = w.subject and p.entry_id > w.low and p.entry_id < w.high
    join ledger_head h on h.id = p.head_id and h.code = any(%(owed)s) join ledger_entry e on e.id = p.entry_id
    group by w.at"""


def _entered(pairs: Sequence[tuple[Bill, Bill]]) -> dict[int, tuple[int, int]]:
    """By place of the pair: surcharge for late payment, and corrections, entered between the two bills.

    What is neither a bill, a payment nor a balance brought over corrected something.
    """
    asked: dict[str, Any] = {
        "lpsc": LPSC,
        "owed": list(OWED),
        "plain": ["bills", *PAYMENTS, *OPENED],
        "at": list(range(len(pairs))),
        "subject": [bill.connection_id for bill, _ in pairs],
        "low": [min(bill.entry_id, against.entry_id) for bill, against in pairs],
        "high": [max(bill.entry_id, against.entry_id) for bill, against in pairs],
    }
    with connection.cursor() as cursor:
        cursor.execute(_ENTERED, asked)
        found = {at: (late, corrected) for at, late, corrected in cursor.fetchall()}
    back = {at for at, (bill, against) in enumerate(pairs) if bill.entry_id < against.entry_id}
    return {at: (-late, -corrected) if at in back else (late, corrected) for at, (late, corrected) in found.items()}
