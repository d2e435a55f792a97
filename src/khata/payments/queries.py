"""Reads of shifts and receipts: for pages, prints and the check of a receipt by its code."""

import datetime as dt
from dataclasses import dataclass

from django.db import IntegrityError, connection
from django.db.models import Count, Min, Sum

from khata.consumers.queries import Payer, payer
from khata.payments.models import Counter, CounterPolicy, Receipt, Shift, ShiftClosed
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
    """A receipt in a list: of the number that was matched the last four digits."""

    id: int
    number: str
    channel: str
    counter: str
    received_on: dt.date
    received_at: dt.datetime | None
    tail: str
    amount_paise: int


def receipts_of_day(*, office_from: int, office_to: int, day: dt.date, limit: int) -> list[ReceiptRow]:
    """What a range of offices took on a day, the newest first."""
    taken = Receipt.objects.filter(office__id__range=(office_from, office_to), received_on=day)
    return [_row(each) for each in taken.select_related("counter").order_by("-id")[:limit]]


def receipts_of_shift(*, shift: int, limit: int) -> list[ReceiptRow]:
    """The newest first."""
    return [
        _row(each) for each in Receipt.objects.filter(shift_id=shift).select_related("counter").order_by("-id")[:limit]
    ]


def receipts_of_connection(*, connection: int, limit: int) -> list[ReceiptRow]:
    """What was paid for a connection, wherever it was, the newest first."""
    paid = Receipt.objects.filter(connection_id=connection).select_related("counter")
    return [_row(each) for each in paid.order_by("-received_on", "-id")[:limit]]


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
    )


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

    `payer` is as of the day of asking; amount, instant and `balance_after_paise` are as posted. `check` is the short
    code, empty where no counter took the money. `collector_*` names the company that took it.
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
    payer: Payer
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
    one = Receipt.objects.select_related("counter", "office__discom").filter(id=receipt).first()
    who = payer(connection=one.connection_id, today=today) if one else None
    if one is None or who is None:
        return None
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
        matched_old=one.matched != who.account_number,
        payer=who,
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
