"""Takes money: many receipts at once, one at a time over a counter or from another channel; puts held money right."""

import datetime as dt
import uuid
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from django.db import DatabaseError, IntegrityError, transaction

from khata.audit.operations import record
from khata.consumers.arrivals import hold_live
from khata.consumers.operations import notify
from khata.consumers.queries import Match, Payer, owed, payer, resolve
from khata.discoms import scope
from khata.discoms.models import Discom, Office
from khata.formats import pgcopy
from khata.formats.text import FormatError
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.ledger.operations import NewPostings, post, post_one
from khata.ledger.queries import heads, heads_by_company
from khata.ledger.rules import CASH, CLEARED, CONSUMERS, RECEIPT, SUSPENSE, settlement
from khata.notices.rules import PAYMENT_TAKEN, UnsendableError
from khata.payments.models import (
    Counter,
    CounterPolicy,
    Receipt,
    Shift,
    ShiftClosed,
    SuspenseCleared,
    SuspenseProposal,
)
from khata.payments.queries import Desk, held_desk, held_on_day, hold, taken_on_day, taken_paise, violated
from khata.payments.rules import (
    COUNTER,
    LONGEST_REASON,
    NOT_HERE_ANY_MORE,
    OLD_NUMBER_ENDED,
    SEVERAL_COMPANIES,
    SHORTEST_REASON,
    UNKNOWN_NUMBER,
    AmountError,
    ChannelError,
    ClearReasonError,
    CounterBusyError,
    CounterTakenError,
    DifferenceError,
    NoCounterError,
    NoPolicyError,
    NotInSuspenseError,
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
    TookItYourselfError,
    as_sent,
    postings,
    postings_held,
    receipt_number,
    refuse_amount,
    refuse_code,
    refuse_day,
    refuse_sent,
    refuse_typed,
)

INDIA = ZoneInfo("Asia/Kolkata")


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
        kind=RECEIPT,
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
    it led to. Where that is an old number whose last day is over, or the connection went back to the old system since
    it was looked up, the money is taken into suspense. The limit for cash is that of a day: all counters of the company
    count together, for each connection. Raises a PaymentRefusedError of rules, whose code says which.
    """
    try:
        with transaction.atomic():
            known_as = _uuid(reference)
            desk = held_desk(shift=shift, reference=known_as, today=today)
            if desk.known is not None:
                return Taken(_the_same(desk.known, connection, matched, amount_paise), repeated=True)
            _refuse(desk, staff, typed, amount_paise, now, today)
            meant = _meant(connection, matched, today)
            return Taken(_write(desk, known_as, typed, meant, amount_paise, now), repeated=False)
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


def _the_same(receipt: int, connection: int, matched: str, amount_paise: int) -> Receipt:
    known = Receipt.objects.select_related("counter").get(id=receipt)
    whose = known.matched == matched if known.connection_id is None else known.connection_id == connection
    if not whose or known.amount_paise != amount_paise:
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


@dataclass(frozen=True)
class _Meant:
    """Whom money is for: a connection that is here, held until the transaction ends; else nobody, and why."""

    connection: int
    matched: str
    payer: Payer | None
    held_for: str = ""


def _meant(connection: int, matched: str, today: dt.date) -> _Meant:
    """Raises NotThisConnectionError for a number that never led to this connection."""
    live = hold_live(connection)
    who = payer(connection=connection, today=today) if live else None
    if who is not None and matched == who.account_number:
        return _Meant(connection, matched, who)
    leads = _matches(matched, today)
    found = [match for match in leads if match.matched == matched and match.connection == connection]
    if who is not None and found:
        return (
            _Meant(connection, matched, who)
            if found[0].honoured
            else _Meant(connection, matched, None, OLD_NUMBER_ENDED)
        )
    number = matched.isascii() and matched.isdecimal()
    if not live and number and not any(match.number == matched for match in leads):
        return _Meant(connection, matched, None, NOT_HERE_ANY_MORE)
    raise NotThisConnectionError("the number that was found is not, or no longer, a number of this connection")


def _matches(typed: str, today: dt.date, discom: str | None = None) -> tuple[Match, ...]:
    try:
        return resolve(typed=typed, today=today, discom=discom).matches
    except FormatError:
        return ()


def _post(collector: str, receipt: int, day: dt.date, meant: _Meant, paise: int) -> int:
    """The entry of a receipt: for its connection, or held. Returns its id."""
    companies = {collector, meant.payer.discom} if meant.payer else {collector}
    codes = {CASH, CONSUMERS, SUSPENSE, *map(settlement, companies)}
    head = heads_by_company(discoms=companies, codes=codes)
    if meant.payer is None:
        rows = postings_held(collector=collector, heads=head, paise=paise)
    else:
        owner = meant.payer.discom
        rows = postings(collector=collector, owner=owner, heads=head, connection=meant.connection, paise=paise)
    cause = f"payments:receipt:{receipt}"
    return post_one(kind=RECEIPT, cause=cause, business_date=day, reason=meant.held_for, postings=rows)


def _write(desk: Desk, reference: str, typed: str, meant: _Meant, amount_paise: int, now: dt.datetime) -> Receipt:
    number, day, who = desk.next_receipt or 0, desk.business_date, meant.payer
    cause = f"payments:receipt:{number}"
    entry = _post(desk.company, number, day, meant, amount_paise)
    # The posting holds the balance until the commit: what is read now is what stands after this payment.
    left = owed(connection=who.connection) if who else None
    _refuse_for_the_day(desk, meant, amount_paise)
    if who and who.closed and left is not None and left < 0:
        raise OwesLessError(max(left + amount_paise, 0))
    made = Receipt(
        id=number,
        connection_id=who.connection if who else None,
        held_for=meant.held_for,
        channel=COUNTER,
        reference=reference,
        office_id=desk.office,
        typed=typed,
        matched=meant.matched,
        amount_paise=amount_paise,
        received_on=day,
        entry_id=entry,
        counter_id=desk.counter,
        shift_id=desk.shift,
        serial=desk.last_serial + 1,
        received_at=now,
        balance_after_paise=left,
    )
    made.save(force_insert=True)
    if who:
        _tell(who, amount_paise, day, cause, receipt_number(counter=desk.counter_code, serial=desk.last_serial + 1))
    details = {"shift": desk.shift, **({"held for": meant.held_for} if meant.held_for else {})}
    record(actor=f"staff:{desk.staff}", action="payments.take-cash", object=cause, details=details)
    return made


def _refuse_for_the_day(desk: Desk, meant: _Meant, paise: int) -> None:
    """What the day has brought for the connection is all of it: the posting holds its balance, or else the number is
    held, so that nobody else takes cash for it now."""
    before = 0
    if meant.payer is None:
        hold(f"number {meant.matched}", meant.connection)
        before = held_on_day(matched=meant.matched, company=desk.company, day=desk.business_date)
    before += taken_on_day(connection=meant.connection, company=desk.company, day=desk.business_date)
    refuse_day(paise=paise, taken_paise=before, most_paise=desk.most_paise or 0)


def _tell(who: Payer, paise: int, day: dt.date, cause: str, number: str) -> None:
    values = (who.account_number[-4:], str(paise), day.isoformat(), number)
    notify(connection=who.connection, template=PAYMENT_TAKEN, values=values, cause=cause)


# -- from channels that are no counter, and out of suspense ------------------------------------------------------------


@transaction.atomic
def receive(
    *,
    channel: str,
    reference: str,
    office: int,
    typed: str,
    discom: str | None,
    amount_paise: int,
    received_at: dt.datetime,
    today: dt.date,
) -> Taken:
    """Keep a payment that a channel (upi, bbps, csc ...) has taken already: on its connection, or in suspense.

    `office` collects, of whatever company; `discom` is the company that the payer named, if any. `received_at` says
    whether an old number was still honoured, `today` is the day in the books. The same reference of a channel again
    gives the same receipt; with another amount or number it is a PaymentConflictError. Raises ChannelError for what no
    channel can have sent. Not for the web.
    """
    refuse_sent(channel=channel, reference=reference, paise=amount_paise)
    day, kept = received_at.astimezone(INDIA).date(), as_sent(typed)
    if day > today:
        raise ChannelError("the payment is of a later day than today")
    where = Office.objects.select_related("discom").filter(id=office).first()
    if where is None:
        raise ChannelError("there is no such office")
    hold(f"{channel} {reference}", 0)
    known = Receipt.objects.filter(channel=channel, reference=reference).first()
    if known is not None:
        if (known.amount_paise, known.typed) != (amount_paise, kept):
            raise PaymentConflictError("this reference is known with another amount or number")
        return Taken(known, repeated=True)
    meant = _sent_for(typed, discom, day)
    (number,) = next_ids("payments_receipt", 1).tolist()
    made = Receipt(
        id=number,
        connection_id=meant.payer.connection if meant.payer else None,
        held_for=meant.held_for,
        channel=channel,
        reference=reference,
        office_id=where.id,
        typed=kept,
        matched=meant.matched,
        amount_paise=amount_paise,
        received_on=day,
        received_at=received_at,
        entry_id=_post(where.discom.code, number, today, meant, amount_paise),
    )
    made.save(force_insert=True)
    if meant.payer:
        _tell_if_sendable(meant.payer, made)
    details = {"held for": meant.held_for} if meant.held_for else {}
    record(actor=f"channel:{channel}", action="payments.receive", object=f"payments:receipt:{number}", details=details)
    return Taken(made, repeated=False)


def _sent_for(typed: str, discom: str | None, day: dt.date) -> _Meant:
    """Nobody can be asked: what fits several, and what was not valid on the day, is held."""
    found = _matches(typed, day, discom)
    if len(found) != 1:
        return _Meant(0, "", None, SEVERAL_COMPANIES if found else UNKNOWN_NUMBER)
    (match,) = found
    if not match.honoured:
        return _Meant(match.connection, match.matched, None, OLD_NUMBER_ENDED)
    who = payer(connection=match.connection, today=day) if hold_live(match.connection) else None
    return _Meant(match.connection, match.matched, who, "" if who else NOT_HERE_ANY_MORE)


def _tell_if_sendable(who: Payer, receipt: Receipt) -> None:
    """The money is here: a reference or an amount that no message can carry does not stop it."""
    cause = f"payments:receipt:{receipt.id}"
    for number in (receipt.number, f"R{receipt.id}"):
        try:
            return _tell(who, receipt.amount_paise, receipt.received_on, cause, number)
        except UnsendableError:
            continue


@transaction.atomic
def clear_suspense(
    *, receipt: int, connection: int, staff: int, reason: str, now: dt.datetime, today: dt.date
) -> SuspenseCleared | SuspenseProposal:
    """Put held money on the account that it was meant for, of any company: once, and not by whoever took it.

    Onto a connection that the receipt's own number does not lead to it takes two people: the first one's request is
    kept as a proposal, and a second one's same request clears it. The first one's again gives the same proposal.
    Raises ClearReasonError, NotInSuspenseError, TookItYourselfError, NotThisConnectionError.
    """
    why = " ".join(reason.split())
    if not SHORTEST_REASON <= len(why) <= LONGEST_REASON:
        raise ClearReasonError(f"the reason has not {SHORTEST_REASON} to {LONGEST_REASON} characters")
    hold("suspense", receipt)
    held = Receipt.objects.select_related("counter", "shift", "office__discom").filter(id=receipt).first()
    if held is None or held.connection_id is not None or not _within_scope(held.office_id):
        raise NotInSuspenseError("this money is not in suspense at your office")
    if SuspenseCleared.objects.filter(receipt=held).exists():
        raise NotInSuspenseError("this money was put on an account already")
    if held.shift is not None and held.shift.staff_id == staff:
        raise TookItYourselfError("you took this money yourself")
    who = payer(connection=connection, today=today) if hold_live(connection) else None
    if who is None:
        raise NotThisConnectionError("there is no such connection here")
    if not _leads_to(held, connection, today):
        proposed = SuspenseProposal.objects.filter(receipt=held, connection_id=connection)
        if not proposed.exclude(staff_id=staff).exists():
            return proposed.first() or _propose(held, connection, staff, why, now)
    return _clear(held, who, staff, why, now, today)


def _leads_to(held: Receipt, connection: int, today: dt.date) -> bool:
    """Whether the number that the money came with is one of the connection, zeros and all."""
    found = _matches(held.matched, today)
    return any((each.connection, each.matched) == (connection, held.matched) for each in found)


def _propose(held: Receipt, connection: int, staff: int, why: str, now: dt.datetime) -> SuspenseProposal:
    made = SuspenseProposal.objects.create(
        receipt=held, connection_id=connection, staff_id=staff, reason=why, made_at=now
    )
    cause = f"payments:receipt:{held.id}"
    record(actor=f"staff:{staff}", action="payments.propose-clearing", object=cause, reason=why)
    return made


def _clear(held: Receipt, who: Payer, staff: int, why: str, now: dt.datetime, today: dt.date) -> SuspenseCleared:
    collector, cause = held.office.discom.code, f"payments:receipt:{held.id}"
    companies = {collector, who.discom}
    head = heads_by_company(discoms=companies, codes={SUSPENSE, CONSUMERS, *map(settlement, companies)})
    rows = postings(
        collector=collector,
        owner=who.discom,
        heads=head,
        connection=who.connection,
        paise=held.amount_paise,
        out_of=SUSPENSE,
    )
    entry = post_one(kind=CLEARED, cause=cause, business_date=today, reason=why, postings=rows)
    made = SuspenseCleared(
        receipt=held,
        connection_id=who.connection,
        office_id=held.office_id,
        entry_id=entry,
        staff_id=staff,
        reason=why,
        cleared_at=now,
        cleared_on=today,
    )
    made.save(force_insert=True)
    _tell_if_sendable(who, held)
    record(actor=f"staff:{staff}", action="payments.clear-suspense", object=cause, reason=why)
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
