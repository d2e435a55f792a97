"""Takes money: many receipts at once, as a load brings them in, and one at a time over a counter."""

import datetime as dt
import uuid
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import DatabaseError, IntegrityError, transaction

from khata.audit.operations import record
from khata.consumers.operations import notify
from khata.consumers.queries import Payer, owed, payer, resolve
from khata.discoms import scope
from khata.discoms.models import Discom, Office
from khata.formats import pgcopy
from khata.formats.text import FormatError
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.ledger.operations import NewPostings, post, post_one
from khata.ledger.queries import heads, heads_by_company
from khata.ledger.rules import CASH, CONSUMERS, settlement
from khata.notices.rules import PAYMENT_TAKEN
from khata.payments.models import Counter, CounterPolicy, Receipt, Shift, ShiftClosed
from khata.payments.queries import Desk, held_desk, hold, taken_on_day, taken_paise, violated
from khata.payments.rules import (
    COUNTER,
    AmountError,
    CounterBusyError,
    CounterTakenError,
    DifferenceError,
    NoCounterError,
    NoPolicyError,
    NotThisConnectionError,
    NotYourShiftError,
    OwesLessError,
    PaymentConflictError,
    PaymentRefusedError,
    PolicySetError,
    ShiftClosedError,
    ShiftOfAnotherDayError,
    ShiftOfAnotherError,
    StaffBusyError,
    postings,
    receipt_number,
    refuse_amount,
    refuse_code,
    refuse_day,
    refuse_typed,
)


@dataclass(frozen=True)
class NewReceipts:
    """Columns of equal length: money taken at offices of one company for connections of the same company."""

    connection: Int64
    reference: npt.NDArray[np.bytes_]  # the channel's own; the same one twice is refused by the database
    office: Int64
    typed: npt.NDArray[np.bytes_]  # the identifier as it was typed
    matched: npt.NDArray[np.bytes_]
    amount_paise: Int64
    received_on: npt.NDArray[np.datetime64]


@transaction.atomic
def take(*, discom: Discom, channel: str, receipts: NewReceipts) -> Int64:
    """Write receipts and post one entry for each: cash in, less owed. Returns the receipts' ids."""
    count = len(receipts.connection)
    ids, head = next_ids("payments_receipt", count), heads(discom)
    entry = np.arange(count)
    entries = post(
        kind="receipt",
        causes=[f"payments:receipt:{number}" for number in ids.tolist()],
        business_dates=receipts.received_on.astype("datetime64[D]").astype(np.int64),
        postings=NewPostings(
            entry=np.concatenate([entry, entry]),
            head=np.repeat([head[CASH], head[CONSUMERS]], count),
            subject=np.concatenate([np.zeros(count, np.int64), receipts.connection]),
            amount_paise=np.concatenate([receipts.amount_paise, -receipts.amount_paise]),
        ),
    )
    copy_in(
        "payments_receipt",
        {
            "id": pgcopy.int8(ids),
            "connection_id": pgcopy.int8(receipts.connection),
            "channel": pgcopy.text(np.full(count, channel.encode())),
            "reference": pgcopy.text(receipts.reference),
            "office_id": pgcopy.int4(receipts.office),
            "typed": pgcopy.text(receipts.typed),
            "matched": pgcopy.text(receipts.matched),
            "amount_paise": pgcopy.int8(receipts.amount_paise),
            "received_on": pgcopy.date(receipts.received_on),
            "entry_id": pgcopy.int8(entries),
        },
    )
    return ids


# -- at a counter ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """`repeated`: the same payment had been taken before, and this is its receipt."""

    receipt: Receipt
    repeated: bool


def take_cash(
    *,
    shift: int,
    staff: int,
    reference: str,
    typed: str,
    connection: int,
    matched: str,
    amount_paise: int,
    now: dt.datetime,
    today: dt.date,
) -> Taken:
    """Take cash in an open shift: receipt, entry, message and audit record together, or nothing.

    `reference` is a UUID that the page drew when it was made: sent again, after a double click or a lost answer, it
    gives the receipt that there is. `typed` is kept as it was typed, `matched` is the account number or old number that
    it led to. The limit for cash is that of a day: all counters of the company count together, for each connection.
    Raises a PaymentRefusedError of rules, whose code says which.
    """
    try:
        with transaction.atomic():
            known_as = _uuid(reference)
            desk = held_desk(shift=shift, reference=known_as, today=today)
            if desk.known is not None:
                return Taken(_the_same(desk.known, connection, amount_paise), repeated=True)
            _refuse(desk, staff, typed, amount_paise, now, today)
            who = _payer(connection, matched, today)
            return Taken(_write(desk, known_as, typed, matched, who, amount_paise, now), repeated=False)
    except IntegrityError as error:
        # Two counters at once with one reference do not see each other until one of them has committed.
        if violated(error) == "receipt_once":
            raise PaymentConflictError("this payment was sent from another counter too") from None
        raise


def _uuid(reference: str) -> str:
    try:
        return str(uuid.UUID(reference))
    except ValueError:
        raise PaymentRefusedError("the page has lost the number of this payment", "Open the page again") from None


def _the_same(receipt: int, connection: int, amount_paise: int) -> Receipt:
    known = Receipt.objects.select_related("counter").get(id=receipt)
    if (known.connection_id, known.amount_paise) != (connection, amount_paise):
        raise PaymentConflictError(f"this payment was taken already, otherwise than now: see receipt {known.number}")
    return known


def _refuse(desk: Desk, staff: int, typed: str, amount_paise: int, now: dt.datetime, today: dt.date) -> None:
    """Raises what stands against taking this money in this shift."""
    if desk.staff != staff:
        raise ShiftOfAnotherError("this shift is another person's")
    if desk.closed:
        raise ShiftClosedError("this shift is closed")
    if desk.business_date != today or now < desk.opened_at:
        raise ShiftOfAnotherDayError(f"this shift is of {desk.business_date}, and today is {today}")
    if desk.most_paise is None:
        raise NoPolicyError(f"{desk.company} has set no limit for cash")
    refuse_amount(paise=amount_paise, most_paise=desk.most_paise)
    refuse_typed(typed)


def _payer(connection: int, matched: str, today: dt.date) -> Payer:
    who = payer(connection=connection, today=today)
    if who is None or not (matched == who.account_number or _is_alias(connection, matched, today)):
        raise NotThisConnectionError("the number that was found is not, or no longer, a number of this connection")
    return who


def _is_alias(connection: int, matched: str, today: dt.date) -> bool:
    try:
        found = resolve(typed=matched, today=today).matches
    except FormatError:
        return False
    return any(match.connection == connection and match.matched == matched for match in found)


def _write(
    desk: Desk, reference: str, typed: str, matched: str, who: Payer, amount_paise: int, now: dt.datetime
) -> Receipt:
    cause = f"payments:receipt:{desk.next_receipt}"
    companies = {desk.company, who.discom}
    entry = post_one(
        kind="receipt",
        cause=cause,
        business_date=desk.business_date,
        reason="",
        postings=postings(
            collector=desk.company,
            owner=who.discom,
            heads=heads_by_company(discoms=companies, codes={CASH, CONSUMERS, *map(settlement, companies)}),
            connection=who.connection,
            paise=amount_paise,
        ),
    )
    # The posting holds the balance until the commit: what is read now is what stands after this payment.
    left = owed(connection=who.connection)
    # For the same reason nobody else takes cash for this connection now: what the day has brought is all of it.
    before = taken_on_day(connection=who.connection, company=desk.company, day=desk.business_date)
    refuse_day(paise=amount_paise, taken_paise=before, most_paise=desk.most_paise or 0)
    if who.closed and left < 0:
        raise OwesLessError(max(left + amount_paise, 0))
    made = Receipt(
        id=desk.next_receipt,
        connection_id=who.connection,
        channel=COUNTER,
        reference=reference,
        office_id=desk.office,
        typed=typed,
        matched=matched,
        amount_paise=amount_paise,
        received_on=desk.business_date,
        entry_id=entry,
        counter_id=desk.counter,
        shift_id=desk.shift,
        serial=desk.last_serial + 1,
        received_at=now,
        balance_after_paise=left,
    )
    made.save(force_insert=True)
    number = receipt_number(counter=desk.counter_code, serial=desk.last_serial + 1)
    values = (who.account_number[-4:], str(amount_paise), desk.business_date.isoformat(), number)
    notify(connection=who.connection, template=PAYMENT_TAKEN, values=values, cause=cause)
    record(actor=f"staff:{desk.staff}", action="payments.take-cash", object=cause, details={"shift": desk.shift})
    return made


# -- shifts ------------------------------------------------------------------------------------------------------------


ONE_OPEN = "KH006"  # as the database refuses a second open shift


@transaction.atomic
def open_shift(*, counter: int, staff: int, opening_paise: int, now: dt.datetime, today: dt.date) -> Shift:
    """Begin a person's shift at a counter. One is open at most, of a counter and of a person."""
    if type(opening_paise) is not int or opening_paise < 0:
        raise AmountError("the cash in the drawer is below 0", "Count it and type what is there, 0 if it is none")
    place = Counter.objects.filter(id=counter, active=True).first()
    if place is None or not _within_scope(place.office_id):
        raise NoCounterError("this counter is not in use, or is another company's")
    hold("staff", staff)
    hold("counter", counter)
    opened = Shift.objects.filter(shiftclosed__isnull=True)
    if opened.filter(staff_id=staff).exists():
        raise StaffBusyError("you have an open shift")
    if opened.filter(counter=place).exists():
        raise CounterBusyError(f"counter {place.code} has an open shift")
    try:
        with transaction.atomic():
            made = Shift.objects.create(
                counter=place, staff_id=staff, business_date=today, opened_at=now, opening_paise=opening_paise
            )
    except DatabaseError as refused:
        if getattr(refused.__cause__, "sqlstate", "") != ONE_OPEN:
            raise
        # It is at a counter that the present post does not see.
        raise StaffBusyError("you have an open shift, or the counter has one") from refused
    record(actor=f"staff:{staff}", action="payments.open-shift", object=f"payments:shift:{made.id}")
    return made


def _within_scope(office: int) -> bool:
    """Whether an office is among those on whose behalf the work is done; a command has no such bounds."""
    seen = scope.current()
    return seen.office_from is None or seen.office_to is None or seen.office_from <= office <= seen.office_to


@transaction.atomic
def close_shift(*, shift: int, staff: int, declared_paise: int, reason: str, now: dt.datetime) -> ShiftClosed:
    """End a shift with the cash that was counted; what must be there is added up here. Sent again, it is closed once.

    A difference needs a reason, and so does closing a shift of somebody else. A shift left open at midnight is closed
    like any other.
    """
    desk = held_desk(shift=shift, reference="", today=now.date())  # the day's limit, which does not matter here
    why = " ".join(reason.split())
    if desk.closed:
        known = ShiftClosed.objects.get(shift_id=shift)
        if (known.staff_id, known.declared_paise) != (staff, declared_paise):
            raise ShiftClosedError("this shift is closed already, with other figures")
        return known
    if type(declared_paise) is not int or declared_paise < 0:
        raise AmountError("the cash that was counted is below 0", "Count it and type what is there, 0 if it is none")
    booked = desk.opening_paise + taken_paise(shift)
    if declared_paise != booked and not why:
        raise DifferenceError("the cash that was counted is not what must be there")
    if desk.staff != staff and not why:
        raise NotYourShiftError("this shift is another person's")
    made = ShiftClosed.objects.create(
        shift_id=shift, closed_at=now, declared_paise=declared_paise, booked_paise=booked, reason=why, staff_id=staff
    )
    details = {"differs": declared_paise != booked}
    record(actor=f"staff:{staff}", action="payments.close-shift", object=f"payments:shift:{shift}", details=details)
    return made


# -- counters and what they may take ----------------------------------------------------------------------------------


@transaction.atomic
def add_counter(*, office: Office, code: str, name_hi: str, name_en: str, actor: str = "command") -> Counter:
    """A counter of an office; one that exists stays as it is. Raises CounterCodeError, CounterTakenError."""
    refuse_code(code)
    names = {"office": office, "name_hi": name_hi, "name_en": name_en}
    made, new = Counter.objects.get_or_create(code=code, defaults=names)
    if made.office_id != office.id:
        raise CounterTakenError(f"counter {code} is another office's")
    if new:
        details = {"code": code, "office": office.id}
        record(actor=actor, action="payments.add-counter", object=f"payments:counter:{made.id}", details=details)
    return made


@transaction.atomic
def set_counter_policy(
    *, discom: Discom, from_date: dt.date, most_paise: int, source: str, actor: str = "command"
) -> None:
    """From this day on the company's counters take this much cash for a connection on a day. Raises AmountError,
    PolicySetError if another limit begins on that day."""
    if type(most_paise) is not int or most_paise <= 0:
        raise AmountError("the limit is not above 0", "Give an amount in rupees")
    if CounterPolicy.objects.filter(discom=discom, from_date=from_date).exists():
        raise PolicySetError(f"{discom.code} has a limit from {from_date} on already")
    CounterPolicy.objects.create(discom=discom, from_date=from_date, most_paise=most_paise, source=source)
    details = {"from": str(from_date), "most_paise": most_paise}
    record(actor=actor, action="payments.set-counter-policy", object=f"discoms:discom:{discom.id}", details=details)
