"""Reads of shifts and receipts: for pages, prints and the check of a receipt by its code."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, connection
from django.db.models import Count, Min, QuerySet, Sum

from khata.consumers.queries import ACCOUNT_DIGITS, Payer, payer
from khata.payments.models import (
    Counter,
    CounterPolicy,
    Receipt,
    Shift,
    ShiftClosed,
    SuspenseCleared,
    SuspenseProposal,
)
from khata.payments.rules import COUNTER, NoShiftError, check_code, check_code_fits, number_parts, receipt_number

# -- for operations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Desk:
    """A shift and the counter it is at, and what a payment there must know.

    `last_serial` is that of the counter's newest receipt, 0 if it has none; `known` the receipt that a reference has
    already; `most_paise` the limit of the day; `next_receipt` an id for a new one. The last three may be None.
    """

    shift: int
    counter: int
    counter_code: str
    office: int
    company: str
    staff: int
    business_date: dt.date
    opened_at: dt.datetime
    opening_paise: int
    closed: bool
    last_serial: int
    known: int | None
    most_paise: int | None
    next_receipt: int | None


def held_desk(*, shift: int, reference: str, today: dt.date) -> Desk:
    """The desk of a shift, its counter held until the transaction ends. Raises NoShiftError if the scope sees none."""
    query = """
        select counter, counter_code, office, company, staff, business_date, opened_at, opening_paise, closed,
            last_serial, known, most_paise, next_receipt
        from khata.desk(%s, %s, %s)"""
    with connection.cursor() as cursor:
        cursor.execute(query, [shift, reference, today])
        row = cursor.fetchone()
    if row is None:
        raise NoShiftError("there is no such shift")
    return Desk(shift, *row)


def hold(what: str, identity: int) -> None:
    """Let nobody else work at this counter, or for this person, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("select khata.hold(%s, %s)", [what, identity])


def violated(error: IntegrityError) -> str:
    """The name of the constraint, as the database tells it."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return str(getattr(diagnosis, "constraint_name", None) or "")


def taken_paise(shift: int) -> int:
    return int(Receipt.objects.filter(shift_id=shift).aggregate(paise=Sum("amount_paise"))["paise"] or 0)


def taken_on_day(*, connection: int, company: str, day: dt.date) -> int:
    """Cash that a company's counters took for a connection on a day, in paise."""
    taken = Receipt.objects.filter(connection_id=connection, received_on=day, channel=COUNTER)
    return int(taken.filter(office__discom__code=company).aggregate(paise=Sum("amount_paise"))["paise"] or 0)


def held_on_day(*, matched: str, company: str, day: dt.date) -> int:
    """Cash that a company's counters took into suspense under a number on a day, in paise."""
    held = Receipt.objects.filter(connection__isnull=True, matched=matched, received_on=day, channel=COUNTER)
    return int(held.filter(office__discom__code=company).aggregate(paise=Sum("amount_paise"))["paise"] or 0)


# -- counters and shifts -----------------------------------------------------------------------------------------------


def counters_of(*, office_from: int, office_to: int) -> list[Counter]:
    """The counters in use of a range of offices."""
    seen = Counter.objects.select_related("office").filter(office__id__range=(office_from, office_to), active=True)
    return list(seen.order_by("office_id", "code"))


def open_shift_of(staff: int) -> Shift | None:
    """A person's open shift, of today or left open, with its counter and office."""
    opened = Shift.objects.select_related("counter__office__discom")
    return opened.filter(staff_id=staff, shiftclosed__isnull=True).first()


def open_shifts(*, office_from: int, office_to: int) -> list[Shift]:
    """The open shifts of a range of offices, with their counters and people, the oldest first."""
    opened = Shift.objects.select_related("counter", "staff").filter(shiftclosed__isnull=True)
    return list(opened.filter(counter__office__id__range=(office_from, office_to)).order_by("opened_at", "id"))


def all_counters() -> list[Counter]:
    """Every counter with its office and company, in use or not."""
    return list(Counter.objects.select_related("office__discom").order_by("office_id", "code"))


def policies_in_effect(*, today: dt.date) -> dict[str, CounterPolicy]:
    """By company, the limit for cash that counts on a day."""
    begun = CounterPolicy.objects.select_related("discom").filter(from_date__lte=today).order_by("from_date")
    return {each.discom.code: each for each in begun}


@dataclass(frozen=True)
class ShiftSummary:
    """What a shift took. `booked_paise` must be in the drawer; the last four are None while the shift is open."""

    shift: int
    counter: str
    office: int
    staff: int
    business_date: dt.date
    opened_at: dt.datetime
    opening_paise: int
    receipts: int
    taken_paise: int
    booked_paise: int
    first_number: str
    last_number: str
    closed_at: dt.datetime | None
    closed_by: int | None
    declared_paise: int | None
    reason: str | None


def shift_summary(shift: int) -> ShiftSummary | None:
    """None where the scope sees no such shift."""
    one = Shift.objects.select_related("counter").filter(id=shift).first()
    if one is None:
        return None
    code = one.counter.code
    sums = Receipt.objects.filter(shift=one).aggregate(many=Count("id"), paise=Sum("amount_paise"), first=Min("serial"))
    taken, many = int(sums["paise"] or 0), int(sums["many"])
    newest = Receipt.objects.filter(shift=one).order_by("-serial").values_list("serial", flat=True).first()
    end = ShiftClosed.objects.filter(shift=one).first()
    return ShiftSummary(
        shift=one.id,
        counter=code,
        office=one.counter.office_id,
        staff=one.staff_id,
        business_date=one.business_date,
        opened_at=one.opened_at,
        opening_paise=one.opening_paise,
        receipts=many,
        taken_paise=taken,
        booked_paise=one.opening_paise + taken,
        first_number=receipt_number(counter=code, serial=sums["first"]) if many else "",
        last_number=receipt_number(counter=code, serial=newest) if newest else "",
        closed_at=end.closed_at if end else None,
        closed_by=end.staff_id if end else None,
        declared_paise=end.declared_paise if end else None,
        reason=end.reason if end else None,
    )


# -- receipts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReceiptRow:
    """A receipt in a list: of the number that was matched the last four digits, none if it is not known.

    `held`: no connection has the money yet.
    """

    id: int
    number: str
    channel: str
    counter: str
    received_on: dt.date
    received_at: dt.datetime | None
    tail: str
    amount_paise: int
    held: bool


def receipts_of_day(*, office_from: int, office_to: int, day: dt.date, limit: int) -> list[ReceiptRow]:
    """What a range of offices took on a day, the newest first."""
    taken = Receipt.objects.filter(office__id__range=(office_from, office_to), received_on=day)
    return _rows(taken.order_by("-id")[:limit])


def receipts_of_shift(*, shift: int, limit: int) -> list[ReceiptRow]:
    """The newest first."""
    return _rows(Receipt.objects.filter(shift_id=shift).order_by("-id")[:limit])


def receipts_of_connection(*, connection: int, limit: int) -> list[ReceiptRow]:
    """What was paid for a connection, wherever it was, the newest first; also what was put on its account later."""
    at_once = Receipt.objects.filter(connection_id=connection).values("id")
    later = SuspenseCleared.objects.filter(connection_id=connection).values("receipt_id")
    paid = Receipt.objects.filter(id__in=at_once.union(later, all=True))
    return _rows(paid.order_by("-received_on", "-id")[:limit])


@dataclass(frozen=True)
class Paid:
    amount_paise: int
    received_on: dt.date


def last_paid(*, connection_id: int) -> Paid | None:
    """The first of `receipts_of_connection`, as the first screen says it."""
    query = """
        select amount_paise, received_on from payments_receipt where id in (
            select id from payments_receipt where connection_id = %s union all
            select receipt_id from payments_suspensecleared where connection_id = %s)
        order by received_on desc, id desc limit 1"""
    with connection.cursor() as cursor:
        cursor.execute(query, [connection_id, connection_id])
        row = cursor.fetchone()
    return Paid(*row) if row else None


def _rows(receipts: QuerySet[Receipt]) -> list[ReceiptRow]:
    return [_row(each) for each in receipts.select_related("counter", "suspensecleared")]


def _row(receipt: Receipt) -> ReceiptRow:
    return ReceiptRow(
        id=receipt.id,
        number=receipt.number,
        channel=receipt.channel,
        counter=receipt.counter.code if receipt.counter else "",
        received_on=receipt.received_on,
        received_at=receipt.received_at,
        tail=receipt.matched[-4:],
        amount_paise=receipt.amount_paise,
        held=receipt.held_for != "" and cleared_of(receipt) is None,
    )


def cleared_of(receipt: Receipt) -> SuspenseCleared | None:
    """How held money was put on an account; none was, if it is held still or never was."""
    found: SuspenseCleared | None = getattr(receipt, "suspensecleared", None)
    return found


@dataclass(frozen=True)
class Collected:
    """What one counter took through one channel on a day; `counter` is empty for what no counter took."""

    office: int
    office_en: str
    office_hi: str
    counter: str
    channel: str
    receipts: int
    paise: int


def collection(*, office_from: int, office_to: int, day: dt.date) -> list[Collected]:
    """What a range of offices took on a day, by office, counter and channel."""
    taken = Receipt.objects.filter(office__id__range=(office_from, office_to), received_on=day)
    by = ("office_id", "office__name_en", "office__name_hi", "counter__code", "channel")
    sums = taken.values_list(*by).annotate(many=Count("id"), paise=Sum("amount_paise")).order_by(*by)
    return [
        Collected(office, name_en, name_hi, counter or "", channel, many, int(paise))
        for office, name_en, name_hi, counter, channel, many, paise in sums
    ]


@dataclass(frozen=True)
class ReceiptView:
    """All that a page or a print of a receipt shows.

    `payer` is as of the day of asking, None as long as the money is held; amount, instant and `balance_after_paise` are
    as posted. `held_for` says why the money was taken into suspense, `cleared_on` when it was put on an account.
    `check` is the short code, empty where no counter took the money. `collector_*` names the company that took it.
    """

    id: int
    number: str
    check: str
    channel: str
    amount_paise: int
    received_on: dt.date
    received_at: dt.datetime | None
    balance_after_paise: int | None
    typed: str
    matched: str
    matched_old: bool
    payer: Payer | None
    held_for: str
    cleared_on: dt.date | None
    counter: str
    counter_en: str
    counter_hi: str
    office_en: str
    office_hi: str
    collector: str
    collector_en: str
    collector_hi: str


def receipt_view(*, receipt: int, today: dt.date) -> ReceiptView | None:
    """None where the scope sees no such receipt."""
    related = ("counter", "office__discom", "suspensecleared")
    one = Receipt.objects.select_related(*related).filter(id=receipt).first()
    if one is None:
        return None
    cleared = cleared_of(one)
    connection = cleared.connection_id if cleared else one.connection_id
    who = payer(connection=connection, today=today) if connection else None
    company = one.office.discom
    return ReceiptView(
        id=one.id,
        number=one.number,
        check=check_code(number=one.number) if one.counter else "",
        channel=one.channel,
        amount_paise=one.amount_paise,
        received_on=one.received_on,
        received_at=one.received_at,
        balance_after_paise=one.balance_after_paise,
        typed=one.typed,
        matched=one.matched,
        matched_old=len(one.matched) != ACCOUNT_DIGITS,
        payer=who,
        held_for=one.held_for,
        cleared_on=cleared.cleared_on if cleared else None,
        counter=one.counter.code if one.counter else "",
        counter_en=one.counter.name_en if one.counter else "",
        counter_hi=one.counter.name_hi if one.counter else "",
        office_en=one.office.name_en,
        office_hi=one.office.name_hi,
        collector=company.code,
        collector_en=company.name_en,
        collector_hi=company.name_hi,
    )


@dataclass(frozen=True)
class Verified:
    """What anybody may learn who holds a receipt in hand."""

    number: str
    received_on: dt.date
    amount_paise: int


def verify_receipt(*, number: str, check: str) -> Verified | None:
    """The receipt of this number and short code, for anybody, without a scope; None if the two do not fit.

    A wrong code costs no look into the database. Whoever asks must be slowed down: the code has six characters.
    """
    parts = number_parts(number)
    if parts is None or not check_code_fits(number=receipt_number(counter=parts[0], serial=parts[1]), typed=check):
        return None
    with connection.cursor() as cursor:
        cursor.execute("select received_on, amount_paise from khata.receipt_check(%s, %s)", parts)
        row = cursor.fetchone()
    return Verified(receipt_number(counter=parts[0], serial=parts[1]), *row) if row else None


def missing_serials(*, limit: int) -> list[str]:
    """Numbers that a counter's receipts lack between 1 and its newest. The database lets none go missing."""
    query = """
        select c.code, n.serial from payments_counter c
        cross join lateral generate_series(1, (select max(serial) from payments_receipt r where r.counter_id = c.id))
            as n(serial)
        where not exists (select from payments_receipt r where r.counter_id = c.id and r.serial = n.serial)
        order by 1, 2 limit %s"""
    with connection.cursor() as cursor:
        cursor.execute(query, [limit])
        return [receipt_number(counter=code, serial=serial) for code, serial in cursor.fetchall()]


# -- suspense ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Suspended:
    """Money that was taken and that no connection has yet. `staff` took it at a counter."""

    id: int
    number: str
    channel: str
    office_en: str
    office_hi: str
    received_on: dt.date
    typed: str
    held_for: str
    amount_paise: int
    staff: int | None


def suspended(*, office_from: int, office_to: int, limit: int) -> list[Suspended]:
    """What a range of offices holds in suspense, the oldest first."""
    return [_suspended(each) for each in _in_suspense(office_from, office_to).order_by("received_on", "id")[:limit]]


def suspended_one(*, receipt: int, office_from: int, office_to: int) -> Suspended | None:
    """None if the range of offices holds no such money, or not any more."""
    one = _in_suspense(office_from, office_to).filter(id=receipt).first()
    return _suspended(one) if one else None


def suspended_sum(*, office_from: int, office_to: int) -> tuple[int, int]:
    """How many payments a range of offices holds in suspense, and their paise."""
    sums = _in_suspense(office_from, office_to).aggregate(many=Count("id"), paise=Sum("amount_paise"))
    return int(sums["many"]), int(sums["paise"] or 0)


def _in_suspense(office_from: int, office_to: int) -> QuerySet[Receipt]:
    held = Receipt.objects.filter(connection__isnull=True, suspensecleared__isnull=True)
    return held.filter(office__id__range=(office_from, office_to)).select_related("counter", "office", "shift")


def _suspended(receipt: Receipt) -> Suspended:
    return Suspended(
        id=receipt.id,
        number=receipt.number,
        channel=receipt.channel,
        office_en=receipt.office.name_en,
        office_hi=receipt.office.name_hi,
        received_on=receipt.received_on,
        typed=receipt.typed,
        held_for=receipt.held_for,
        amount_paise=receipt.amount_paise,
        staff=receipt.shift.staff_id if receipt.shift else None,
    )


@dataclass(frozen=True)
class Proposed:
    """Who would put held money on which connection, and why."""

    connection: int
    staff: int
    login: str
    reason: str
    made_at: dt.datetime


def proposed_for(*, receipt: int) -> list[Proposed]:
    """What was proposed for held money and waits for a second officer, the oldest first."""
    rows = SuspenseProposal.objects.filter(receipt_id=receipt).select_related("staff").order_by("id")
    return [Proposed(row.connection_id, row.staff_id, row.staff.login, row.reason, row.made_at) for row in rows]


def suspense_offence() -> str | None:
    """Where a company's head of suspense is not the sum of the receipts that it holds, in words."""
    query = """
        select d.code, coalesce(b.paise, 0)::bigint, coalesce(r.paise, 0)::bigint from discoms_discom d
        left join (select h.discom_id, -sum(p.amount_paise) as paise from ledger_head h
                   join ledger_posting p on p.head_id = h.id where h.code = 'suspense'
                   group by 1) b on b.discom_id = d.id
        left join (select o.discom_id, sum(x.amount_paise) as paise from payments_receipt x
                   join discoms_office o on o.id = x.office_id
                   where x.connection_id is null
                     and not exists (select from payments_suspensecleared s where s.receipt_id = x.id)
                   group by 1) r on r.discom_id = d.id
        where coalesce(b.paise, 0) <> coalesce(r.paise, 0) order by 1 limit 1"""
    words = "company {} has {} paise in suspense, but the receipts that it holds sum to {}"
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return words.format(*row) if row else None


# -- payments and numbers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ByNumber:
    """What came through a channel for connections of a division under old numbers, and beside it under new ones.

    `division` is None for held money whose connection is not known yet.
    """

    division: int | None
    division_en: str
    division_hi: str
    channel: str
    old_receipts: int
    old_paise: int
    new_receipts: int
    new_paise: int


def under_old_numbers(*, discom: str, from_day: dt.date, to_day: dt.date) -> list[ByNumber]:
    """Payments for a company's connections, by division and channel, from `from_day` to `to_day`, both included.

    Held money counts for the company that took it until it is put on an account.
    """
    query = """
        select v.id, coalesce(v.name_en, ''), coalesce(v.name_hi, ''), r.channel,
            count(*) filter (where o.old), coalesce(sum(r.amount_paise) filter (where o.old), 0)::bigint,
            count(*) filter (where not o.old), coalesce(sum(r.amount_paise) filter (where not o.old), 0)::bigint
        from payments_receipt r
        left join payments_suspensecleared s on s.receipt_id = r.id
        left join consumers_connection c on c.id = coalesce(r.connection_id, s.connection_id)
        left join discoms_office v on v.id = c.division_id
        join discoms_office f on f.id = r.office_id
        join discoms_discom d on d.id = coalesce(c.discom_id, f.discom_id)
        cross join lateral (select r.matched is distinct from c.account_number as old) o
        where d.code = %s and r.received_on between %s and %s
          and r.matched <> '' and (c.id is not null or r.held_for = 'old-number-ended')
        group by v.id, r.channel order by v.id nulls last, r.channel"""
    with connection.cursor() as cursor:
        cursor.execute(query, [discom, from_day, to_day])
        return [ByNumber(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class Credited:
    """A payment as the books have it: `entry` credits the connection, at once or when it was put there later."""

    entry: int
    connection: int
    number: str
    channel: str
    reference: str
    office: int
    office_en: str
    collector: str
    typed: str
    matched: str
    amount_paise: int
    received_on: dt.date
    received_at: dt.datetime | None


def payments_since(*, connections: Sequence[int], after_entry: int) -> list[Credited]:
    """Payments credited to these connections by entries after one, in the order of the entries."""
    query = """
        select e.entry, e.connection, c.code, r.serial, r.channel, r.reference, r.office_id, o.name_en, d.code, r.typed,
            r.matched, r.amount_paise, r.received_on, r.received_at
        from (select id as receipt, entry_id as entry, connection_id as connection from payments_receipt
              where connection_id = any(%(connections)s)
              union all
              select receipt_id, entry_id, connection_id from payments_suspensecleared
              where connection_id = any(%(connections)s)) e
        join payments_receipt r on r.id = e.receipt
        join discoms_office o on o.id = r.office_id join discoms_discom d on d.id = o.discom_id
        left join payments_counter c on c.id = r.counter_id
        where e.entry > %(after)s order by e.entry"""
    with connection.cursor() as cursor:
        cursor.execute(query, {"connections": list(connections), "after": after_entry})
        return [
            Credited(
                entry,
                one,
                receipt_number(counter=code, serial=serial) if code else reference,
                channel,
                reference,
                *rest,
            )
            for entry, one, code, serial, channel, reference, *rest in cursor.fetchall()
        ]
