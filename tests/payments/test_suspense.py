"""Money that must not be refused though nobody can say yet whose account it belongs on."""

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from khata.audit.models import Record
from khata.consumers.arrivals import take_back
from khata.discoms.models import Discom, Office
from khata.discoms.scope import scoped
from khata.ledger.models import Posting
from khata.ledger.operations import post_one
from khata.ledger.queries import first_offence, head_sums, heads, settlements
from khata.ledger.rules import CASH, CLEARED, CONSUMERS, DEPOSIT, SUSPENSE, OnHead, settlement
from khata.notices.models import Message
from khata.payments.models import Receipt, SuspenseCleared, SuspenseProposal
from khata.payments.operations import Taken, clear_suspense, close_shift, receive
from khata.payments.queries import (
    payments_since,
    proposed_for,
    receipt_view,
    receipts_of_connection,
    suspended,
    suspended_one,
    suspense_offence,
    under_old_numbers,
)
from khata.payments.rules import (
    ChannelError,
    ClearReasonError,
    DayLimitError,
    NotInSuspenseError,
    NotThisConnectionError,
    PaymentConflictError,
    TookItYourselfError,
)
from tests.cast import GUMTI, KESCO, MEERUT, OLD_UNTIL, PVVNL, office_scope
from tests.payments.desk import MOST, NOON, TODAY, Bazaar, Desk, at, whole

OLD = "1234567"  # of Asha, KESCO, and of Deepa Devi, PVVNL
OVER = dt.datetime.combine(OLD_UNTIL, dt.time(18, 30), dt.UTC)  # the first second in Kanpur after the last day
AFTER = OLD_UNTIL + dt.timedelta(days=1)
LATER = {"today": AFTER, "now": at(AFTER, 6)}
REASON = "the bill was shown, with this old number"


@pytest.fixture(autouse=True)
def in_order(bazaar: Bazaar) -> Iterator[None]:
    """After each test every company's books are zero, and suspense is the sum of what is held."""
    yield
    assert first_offence() is None
    assert suspense_offence() is None


def sums() -> dict[tuple[str, str], int]:
    return {(head.discom, head.code): head.amount_paise for head in head_sums()}


def postings_of(entry: int) -> list[tuple[str, str, int, int]]:
    rows = Posting.objects.filter(entry_id=entry)
    return sorted(rows.values_list("head__discom__code", "head__code", "subject", "amount_paise"))


def office(discom: str, division: str) -> int:
    return Office.objects.get(discom__code=discom, kind="division", name_en=division).id


def held(bazaar: Bazaar, desk: Desk, paise: int = 100_00, name: str = "Asha") -> Receipt:
    """Taken under a number the day after its last."""
    return bazaar.take(desk, name, paise, typed=OLD, matched=OLD, **LATER).receipt


# -- the last second of an old number ----------------------------------------------------------------------------------


def test_an_old_number_pays_to_its_last_second_and_then_into_suspense(bazaar: Bazaar) -> None:
    desks = {OLD_UNTIL: bazaar.desk(today=OLD_UNTIL), AFTER: bazaar.desk(today=AFTER, opened=OVER)}
    away = {
        OLD_UNTIL: bazaar.desk(MEERUT, PVVNL, today=OLD_UNTIL),
        AFTER: bazaar.desk(MEERUT, PVVNL, today=AFTER, opened=OVER),
    }
    asha = bazaar.town.connections["Asha"]

    @settings(max_examples=12)
    @given(st.integers(-3600 * 10**6, 3600 * 10**6), st.booleans())
    @example(-1, True)
    @example(0, True)
    @example(-1_000_000, False)
    @example(0, False)
    def pay(microseconds: int, another: bool) -> None:
        now = OVER + dt.timedelta(microseconds=microseconds)
        today = (now + dt.timedelta(hours=5, minutes=30)).date()
        desk = (away if another else desks)[today]
        company, before, books = PVVNL if another else KESCO, bazaar.town.balance("Asha"), sums()
        receipt = bazaar.take(desk, "Asha", 1_00, typed=OLD, matched=OLD, now=now, today=today).receipt
        in_time = microseconds < 0
        assert receipt.connection_id == (asha if in_time else None)
        assert receipt.held_for == ("" if in_time else "old-number-ended")
        assert bazaar.town.balance("Asha") == before - (1_00 if in_time else 0)
        assert sums()[company, SUSPENSE] == books[company, SUSPENSE] - (0 if in_time else 1_00)
        assert sums()[company, CASH] == books[company, CASH] + 1_00

    pay()


def test_under_the_new_number_another_companys_counter_takes_it_as_ever(bazaar: Bazaar) -> None:
    desk, before = bazaar.desk(MEERUT, PVVNL, today=AFTER), bazaar.town.balance("Asha")
    receipt = bazaar.take(desk, "Asha", 70_00, typed=OLD, **LATER).receipt
    assert (receipt.held_for, receipt.typed, receipt.matched) == ("", OLD, bazaar.town.accounts["Asha"])
    assert bazaar.town.balance("Asha") == before - 70_00


def test_what_is_held_has_receipt_serial_and_place_in_the_shift_but_no_message(bazaar: Bazaar) -> None:
    desk = bazaar.desk(today=AFTER)
    bazaar.take(desk, "Bina", 5_00, **LATER)
    receipt = held(bazaar, desk, 250_50)
    bazaar.take(desk, "Bina", 5_00, **LATER)
    assert whole(desk) == [1, 2, 3]
    assert (receipt.serial, receipt.balance_after_paise, receipt.matched) == (2, None, OLD)
    assert postings_of(receipt.entry_id) == [(KESCO, CASH, 0, 250_50), (KESCO, SUSPENSE, 0, -250_50)]
    assert not Message.objects.filter(cause=f"payments:receipt:{receipt.id}").exists()
    assert Record.objects.get(object=f"payments:receipt:{receipt.id}").details["held for"] == "old-number-ended"
    with bazaar.web(desk.scope), transaction.atomic():
        view = receipt_view(receipt=receipt.id, today=AFTER)
        assert view is not None and (view.payer, view.held_for) == (None, "old-number-ended")
        closed = close_shift(shift=desk.shift, staff=desk.staff, declared_paise=760_50, reason="", now=LATER["now"])
    assert closed.booked_paise == 760_50


def test_held_money_sent_again_is_the_same_receipt(bazaar: Bazaar) -> None:
    desk, reference = bazaar.desk(today=AFTER), str(uuid.uuid4())
    again = [bazaar.take(desk, typed=OLD, matched=OLD, reference=reference, **LATER) for _ in range(2)]
    assert [(each.receipt.id, each.repeated) for each in again] == [
        (again[0].receipt.id, False),
        (again[0].receipt.id, True),
    ]
    with pytest.raises(PaymentConflictError):
        bazaar.take(desk, typed=OLD, matched="1234568", reference=reference, **LATER)


def test_the_limit_of_a_day_holds_for_held_money_too(bazaar: Bazaar) -> None:
    day = AFTER + dt.timedelta(days=1)
    later = {"today": day, "now": at(day, 6)}
    first, second = bazaar.desk(today=day), bazaar.desk(today=day)
    bazaar.take(first, "Asha", MOST - 1_00, typed=OLD, matched=OLD, **later)
    before = bazaar.written()
    with pytest.raises(DayLimitError) as refused:
        bazaar.take(second, "Asha", 2_00, typed=OLD, matched=OLD, **later)
    assert refused.value.left_paise == 1_00
    assert bazaar.written() == before


# -- a roll-back in between --------------------------------------------------------------------------------------------


@pytest.fixture
def silent(bazaar: Bazaar) -> Iterator[int]:
    """A connection that is rolled back in the test, and here again after it."""
    identity = bazaar.town.connections["Silent"]
    yield identity
    with bazaar.database.connect("owner", autocommit=True) as owner:
        owner.execute("update consumers_connection set live = true where id = %s", [identity])


def test_money_for_a_connection_that_went_back_meanwhile_is_held(bazaar: Bazaar, silent: int) -> None:
    desk = bazaar.desk()
    take_back(connections=np.array([silent]))
    receipt = bazaar.take(desk, "Silent").receipt
    assert (receipt.connection_id, receipt.held_for) == (None, "not-here-any-more")


def test_a_payment_waits_for_a_roll_back_under_way(bazaar: Bazaar, silent: int) -> None:
    desk, begun, go_on = bazaar.desk(), threading.Event(), threading.Event()

    def roll_back() -> None:
        try:
            with transaction.atomic():
                take_back(connections=np.array([silent]))
                begun.set()
                assert go_on.wait(20)
        finally:
            connection.close()

    taken = _both(bazaar, desk, roll_back, begun, go_on)
    assert taken.receipt.held_for == "not-here-any-more"


def _both(bazaar: Bazaar, desk: Desk, first: object, begun: threading.Event, go_on: threading.Event) -> Taken:
    """The payment begins while the other has the connection, and is still waiting before that one ends."""

    def pay() -> Taken:
        try:
            with scoped(desk.scope):
                return bazaar.pays(desk, "Silent")()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(first)  # type: ignore[arg-type]
        assert begun.wait(20)
        payment = pool.submit(pay)
        assert not _done(payment, 0.4)
        go_on.set()
        other.result(20)
        return payment.result(20)


def _done(future: object, seconds: float) -> bool:
    try:
        future.result(seconds)  # type: ignore[attr-defined]
    except TimeoutError:
        return False
    return True


def test_a_roll_back_waits_for_a_payment_under_way(bazaar: Bazaar, silent: int) -> None:
    desk, begun, go_on = bazaar.desk(), threading.Event(), threading.Event()

    def pay() -> Taken:
        try:
            with scoped(desk.scope), transaction.atomic():
                taken = bazaar.pays(desk, "Silent")()
                begun.set()
                assert go_on.wait(20)
                return taken
        finally:
            connection.close()

    def roll_back() -> list[int]:
        try:
            with transaction.atomic():
                take_back(connections=np.array([silent]))
                return [each.entry for each in payments_since(connections=[silent], after_entry=0)]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        payment = pool.submit(pay)
        assert begun.wait(20)
        back = pool.submit(roll_back)
        assert not _done(back, 0.4)
        go_on.set()
        taken = payment.result(20)
        assert taken.receipt.held_for == ""
        assert taken.receipt.entry_id in back.result(20)  # what the roll-back exports has it


# -- channels that are no counter --------------------------------------------------------------------------------------


def send(reference: str = "", **changes: object) -> Taken:
    sent: dict[str, object] = {
        "channel": "upi",
        "reference": reference or str(uuid.uuid4()),
        "office": office(PVVNL, MEERUT),
        "typed": OLD,
        "discom": KESCO,
        "amount_paise": 321_00,
        "received_at": NOON,
        "today": TODAY,
    }
    return receive(**(sent | changes))  # type: ignore[arg-type]


def test_a_channels_payment_is_taken_once_through_the_settlement_heads(bazaar: Bazaar) -> None:
    before, asha = bazaar.town.balance("Asha"), bazaar.town.connections["Asha"]
    first, again = send("412345678901"), send("412345678901")
    assert (first.repeated, again.repeated, again.receipt.id) == (False, True, first.receipt.id)
    receipt = first.receipt
    assert (receipt.connection_id, receipt.matched, receipt.received_on) == (asha, OLD, TODAY)
    assert postings_of(receipt.entry_id) == [
        (KESCO, CONSUMERS, asha, -321_00),
        (KESCO, settlement(PVVNL), 0, 321_00),
        (PVVNL, CASH, 0, 321_00),
        (PVVNL, settlement(KESCO), 0, -321_00),
    ]
    assert bazaar.town.balance("Asha") == before - 321_00
    message = Message.objects.get(cause=f"payments:receipt:{receipt.id}")
    assert message.values[1:] == ["32100", "2024-06-20", "412345678901"]
    after = bazaar.written()
    for changed in ({"amount_paise": 321_01}, {"typed": "1234568"}):
        with pytest.raises(PaymentConflictError):
            send("412345678901", **changed)
    assert bazaar.written() == after
    assert not send("412345678901", channel="bbps").repeated  # a reference is its channel's own


def test_a_channels_payment_at_once_is_one(bazaar: Bazaar) -> None:
    before = bazaar.written()

    def one(_: int) -> Taken:
        try:
            return send("at-once")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(one, range(6)))
    assert len({each.receipt.id for each in taken}) == 1
    assert [each.repeated for each in taken].count(False) == 1
    assert bazaar.written()["entries"] == before["entries"] + 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"typed": "7777777"}, "unknown-number"),
        ({"typed": "Sunita"}, "unknown-number"),
        ({"typed": "\x00\n" * 90}, "unknown-number"),
        ({"typed": ""}, "unknown-number"),
        ({"discom": None}, "several-companies"),
        ({"received_at": OVER, "today": AFTER}, "old-number-ended"),
        ({"received_at": OVER - dt.timedelta(microseconds=1), "today": AFTER}, ""),  # told of the day after
    ],
)
def test_what_a_channel_took_is_never_refused_for_its_number(
    bazaar: Bazaar, changes: dict[str, object], why: str
) -> None:
    before, books = bazaar.town.balance("Asha"), sums()
    receipt = Receipt.objects.get(id=send(**changes).receipt.id)
    assert (receipt.held_for, receipt.connection_id is None) == (why, why != "")
    assert bazaar.town.balance("Asha") == before - (0 if why else 321_00)
    assert sums()[PVVNL, SUSPENSE] == books[PVVNL, SUSPENSE] - (321_00 if why else 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "counter"},
        {"channel": "UPI"},
        {"reference": " "},
        {"amount_paise": 0},
        {"amount_paise": True},
        {"office": 999_999},
        {"received_at": NOON + dt.timedelta(days=1)},
    ],
)
def test_what_no_channel_can_have_sent(bazaar: Bazaar, changes: dict[str, object]) -> None:
    before = bazaar.written()
    with pytest.raises(ChannelError):
        send(**changes)
    assert bazaar.written() == before


# -- out of suspense ---------------------------------------------------------------------------------------------------


def clear(bazaar: Bazaar, receipt: Receipt, name: str, **changes: object) -> SuspenseCleared:
    done = asked_to_clear(bazaar, receipt, name, **changes)
    assert isinstance(done, SuspenseCleared)
    return done


def propose(bazaar: Bazaar, receipt: Receipt, name: str, **changes: object) -> SuspenseProposal:
    done = asked_to_clear(bazaar, receipt, name, **changes)
    assert isinstance(done, SuspenseProposal)
    return done


def asked_to_clear(
    bazaar: Bazaar, receipt: Receipt, name: str, *, discom: str = KESCO, **changes: object
) -> SuspenseCleared | SuspenseProposal:
    words: dict[str, object] = {
        "receipt": receipt.id,
        "connection": bazaar.town.connections[name],
        "staff": bazaar.cashier(discom),
        "reason": REASON,
        "now": LATER["now"],
        "today": AFTER,
    }
    with bazaar.web(office_scope(discom)):
        return clear_suspense(**(words | changes))  # type: ignore[arg-type]


def test_held_money_goes_on_an_account_of_another_company_through_settlement(bazaar: Bazaar) -> None:
    receipt = held(bazaar, bazaar.desk(today=AFTER), 40_00)
    deepa, before = bazaar.town.connections["Deepa Devi"], bazaar.town.balance("Deepa Devi")
    scopes = {"owner": office_scope(PVVNL), "payer": bazaar.town.seen_by("Deepa Devi")}
    assert [_sees(bazaar, scope, receipt) for scope in scopes.values()] == [False, False]
    cleared = clear(bazaar, receipt, "Deepa Devi")
    assert postings_of(cleared.entry_id) == [
        (KESCO, settlement(PVVNL), 0, -40_00),
        (KESCO, SUSPENSE, 0, 40_00),
        (PVVNL, CONSUMERS, deepa, -40_00),
        (PVVNL, settlement(KESCO), 0, 40_00),
    ]
    assert bazaar.town.balance("Deepa Devi") == before - 40_00
    message = Message.objects.get(cause=f"payments:receipt:{receipt.id}")
    assert (message.mobile, message.values[3]) == ("9876543299", receipt.number)
    record = Record.objects.get(action="payments.clear-suspense", object=f"payments:receipt:{receipt.id}")
    assert record.reason == REASON
    assert [_sees(bazaar, scope, receipt) for scope in scopes.values()] == [True, True]
    with bazaar.web(scopes["payer"]), transaction.atomic():
        row = next(row for row in receipts_of_connection(connection=deepa, limit=9) if row.id == receipt.id)
    assert (row.amount_paise, row.held) == (40_00, False)
    (credit,) = payments_since(connections=[deepa], after_entry=receipt.entry_id)
    assert (credit.entry, credit.matched, credit.collector, credit.number) == (
        cleared.entry_id, OLD, KESCO, receipt.number,
    )  # fmt: skip


def _sees(bazaar: Bazaar, scope: object, receipt: Receipt) -> bool:
    with bazaar.web(scope), transaction.atomic():  # type: ignore[arg-type]
        return Receipt.objects.filter(id=receipt.id).exists()


def test_it_is_cleared_once_with_a_reason_and_not_by_whoever_took_it(bazaar: Bazaar) -> None:
    desk = bazaar.desk(today=AFTER)
    receipt = held(bazaar, desk)
    before = bazaar.written()
    with pytest.raises(TookItYourselfError):
        clear(bazaar, receipt, "Asha", staff=desk.staff)
    for reason in ("", "  ok  ", "x" * 301):
        with pytest.raises(ClearReasonError):
            clear(bazaar, receipt, "Asha", reason=reason)
    with pytest.raises(NotThisConnectionError):
        clear(bazaar, receipt, "Asha", connection=999_999_999)
    with pytest.raises(NotInSuspenseError):
        clear(bazaar, receipt, "Asha", discom=PVVNL)  # another company's suspense
    paid = bazaar.take(desk, "Bina", **LATER).receipt
    with pytest.raises(NotInSuspenseError):
        clear(bazaar, paid, "Asha")
    assert bazaar.written()["entries"] == before["entries"] + 1
    clear(bazaar, receipt, "Asha")
    with pytest.raises(NotInSuspenseError, match="already"):
        clear(bazaar, receipt, "Bina")


def test_the_database_itself_refuses_a_clearing_that_does_not_fit(bazaar: Bazaar) -> None:
    desk, other = bazaar.desk(today=AFTER), bazaar.cashier()
    receipt = held(bazaar, desk)
    cleared = clear(bazaar, held(bazaar, desk), "Asha")
    row = (
        "insert into payments_suspensecleared (receipt_id, connection_id, office_id, entry_id, staff_id, reason, "
        "cleared_at, cleared_on) values (%s, %s, %s, %s, %s, 'because', now(), '2024-09-14')"
    )
    asha, at_office = cleared.connection_id, receipt.office_id
    states = {}
    for word, values in {
        "another entry": [receipt.id, asha, at_office, cleared.entry_id, other],
        "own": [receipt.id, asha, at_office, cleared.entry_id, desk.staff],
        "again": [cleared.receipt_id, asha, at_office, cleared.entry_id, other],
        "other office": [receipt.id, asha, office(PVVNL, MEERUT), cleared.entry_id, other],
    }.items():
        with (
            bazaar.web(desk.scope),
            pytest.raises(DatabaseError) as refused,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(row, values)
        states[word] = getattr(refused.value.__cause__, "sqlstate", None)
    assert states == {"another entry": "KH010", "own": "KH010", "again": "23505", "other office": "42501"}


def sent_to_nobody(**changes: object) -> Receipt:
    """Money from a channel, held at Meerut."""
    return send(**({"typed": "7777777"} | changes)).receipt


def test_money_whose_number_leads_elsewhere_is_cleared_by_two_officers(bazaar: Bazaar) -> None:
    receipt, before = sent_to_nobody(), bazaar.town.balance("Asha")
    one, two = bazaar.cashier(PVVNL), bazaar.cashier(PVVNL)
    entries = bazaar.written()["entries"]
    first = propose(bazaar, receipt, "Asha", discom=PVVNL, staff=one)
    again = propose(bazaar, receipt, "Asha", discom=PVVNL, staff=one, reason="and I say it twice")
    assert (again.id, again.reason) == (first.id, REASON)
    other = propose(bazaar, receipt, "Charan", discom=PVVNL, staff=two)  # not the same request
    assert [(row.connection, row.staff) for row in proposed_for(receipt=receipt.id)] == [
        (bazaar.town.connections["Asha"], one),
        (bazaar.town.connections["Charan"], two),
    ]
    assert (bazaar.written()["entries"], bazaar.town.balance("Asha")) == (entries, before)
    records = Record.objects.filter(action="payments.propose-clearing", object=f"payments:receipt:{receipt.id}")
    assert [row.actor for row in records.order_by("id")] == [f"staff:{one}", f"staff:{two}"]
    cleared = clear(bazaar, receipt, "Asha", discom=PVVNL, staff=two)
    assert (cleared.staff_id, cleared.connection_id) == (two, bazaar.town.connections["Asha"])
    assert bazaar.town.balance("Asha") == before - receipt.amount_paise
    with pytest.raises(NotInSuspenseError, match="already"):
        clear(bazaar, receipt, "Charan", discom=PVVNL, staff=one)
    assert SuspenseProposal.objects.filter(receipt=receipt).count() == 2 and other.reason == REASON


@pytest.mark.parametrize(
    ("changes", "name", "alone"),
    [
        ({"received_at": OVER, "today": AFTER}, "Asha", True),  # her own old number, though it is over
        ({"received_at": OVER, "today": AFTER}, "Bina", False),
        ({"discom": None}, "Asha", False),  # two companies have the number, none was named
        ({"typed": "7777777"}, "Asha", False),
    ],
)
def test_one_officer_is_enough_where_the_number_itself_leads(
    bazaar: Bazaar, changes: dict[str, object], name: str, alone: bool
) -> None:
    done = asked_to_clear(bazaar, send(**changes).receipt, name, discom=PVVNL)
    assert isinstance(done, SuspenseCleared) is alone


def test_one_officer_is_enough_for_the_account_number_itself(bazaar: Bazaar, silent: int) -> None:
    desk = bazaar.desk()
    take_back(connections=np.array([silent]))
    receipt = bazaar.take(desk, "Silent").receipt
    with bazaar.database.connect("owner", autocommit=True) as owner:
        owner.execute("update consumers_connection set live = true where id = %s", [silent])
    clear(bazaar, receipt, "Silent")


def test_whoever_took_the_money_is_not_one_of_the_two(bazaar: Bazaar) -> None:
    desk = bazaar.desk(today=AFTER)
    receipt = held(bazaar, desk)
    with pytest.raises(TookItYourselfError):
        propose(bazaar, receipt, "Bina", staff=desk.staff)
    propose(bazaar, receipt, "Bina")
    with pytest.raises(TookItYourselfError):
        clear(bazaar, receipt, "Bina", staff=desk.staff)
    clear(bazaar, receipt, "Bina")


def test_two_officers_at_once_are_two_and_one_twice_at_once_is_one(bazaar: Bazaar) -> None:
    def at_once(people: list[int]) -> list[type]:
        receipt = sent_to_nobody()

        def one(staff: int) -> type:
            try:
                with scoped(office_scope(PVVNL)):
                    return type(
                        clear_suspense(
                            receipt=receipt.id,
                            connection=bazaar.town.connections["Asha"],
                            staff=staff,
                            reason=REASON,
                            now=LATER["now"],  # type: ignore[arg-type]
                            today=AFTER,
                        )
                    )
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            return sorted(pool.map(one, people), key=lambda made: made.__name__)

    kiran, lata = bazaar.cashier(PVVNL), bazaar.cashier(PVVNL)
    assert at_once([kiran, lata]) == [SuspenseCleared, SuspenseProposal]
    assert at_once([kiran, kiran]) == [SuspenseProposal, SuspenseProposal]


def test_the_database_itself_wants_the_second_officer(bazaar: Bazaar) -> None:
    receipt, asha = sent_to_nobody(), bazaar.town.connections["Asha"]
    one, two = bazaar.cashier(PVVNL), bazaar.cashier(PVVNL)
    propose(bazaar, receipt, "Charan", discom=PVVNL, staff=two)

    def write(staff: int) -> None:
        cause = f"payments:receipt:{receipt.id}"
        ours, theirs = heads(Discom.objects.get(code=PVVNL)), heads(Discom.objects.get(code=KESCO))
        paise = receipt.amount_paise
        rows = [
            OnHead(ours[SUSPENSE], 0, paise),
            OnHead(ours[settlement(KESCO)], 0, -paise),
            OnHead(theirs[settlement(PVVNL)], 0, paise),
            OnHead(theirs[CONSUMERS], asha, -paise),
        ]
        entry = post_one(kind=CLEARED, cause=cause, business_date=AFTER, reason=REASON, postings=rows)
        SuspenseCleared.objects.create(
            receipt=receipt,
            connection_id=asha,
            office_id=receipt.office_id,
            entry_id=entry,
            staff_id=staff,
            reason=REASON,
            cleared_at=LATER["now"],
            cleared_on=AFTER,
        )

    def refused(staff: int) -> None:
        with pytest.raises(DatabaseError, match="no second person"), bazaar.web(scope), transaction.atomic():
            write(staff)

    scope = office_scope(PVVNL)
    refused(one)  # what was proposed is another connection
    propose(bazaar, receipt, "Asha", discom=PVVNL, staff=one)
    refused(one)  # their own proposal
    with bazaar.web(scope), transaction.atomic():
        write(two)


def test_a_proposal_is_of_held_money_of_the_office_and_once_a_person(bazaar: Bazaar) -> None:
    desk, other = bazaar.desk(today=AFTER), bazaar.cashier()
    receipt, paid = held(bazaar, desk), bazaar.take(desk, "Bina", **LATER).receipt
    cleared, far = clear(bazaar, held(bazaar, desk), "Asha").receipt, sent_to_nobody()
    propose(bazaar, receipt, "Bina", staff=other)
    bina = bazaar.town.connections["Bina"]
    row = (
        "insert into payments_suspenseproposal (receipt_id, connection_id, staff_id, reason, made_at) "
        "values (%s, %s, %s, 'because', now())"
    )
    states = {}
    for word, values in {
        "own": [receipt.id, bina, desk.staff],
        "again": [receipt.id, bina, other],
        "paid": [paid.id, bina, other],
        "cleared": [cleared.id, bina, other],
        "other office": [far.id, bina, other],
    }.items():
        with (
            bazaar.web(desk.scope),
            pytest.raises(DatabaseError) as refused,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(row, values)
        states[word] = getattr(refused.value.__cause__, "sqlstate", None)
    assert states == {"own": "KH010", "again": "23505", "paid": "KH010", "cleared": "KH010", "other office": "42501"}


def test_a_proposal_is_seen_by_the_office_alone(bazaar: Bazaar) -> None:
    receipt = held(bazaar, bazaar.desk(today=AFTER))
    propose(bazaar, receipt, "Bina")

    def seen(scope: object) -> int:
        with bazaar.web(scope), transaction.atomic():  # type: ignore[arg-type]
            return len(proposed_for(receipt=receipt.id))

    assert [seen(scope) for scope in (office_scope(KESCO), office_scope(PVVNL), bazaar.town.seen_by("Bina"))] == [
        1,
        0,
        0,
    ]
    clear(bazaar, receipt, "Bina")
    assert _sees(bazaar, bazaar.town.seen_by("Bina"), receipt)
    assert seen(bazaar.town.seen_by("Bina")) == 0


@pytest.mark.parametrize(("out_of", "onto"), [(CASH, CONSUMERS), (SUSPENSE, DEPOSIT)])
def test_cleared_money_leaves_suspense_and_lessens_what_is_owed(bazaar: Bazaar, out_of: str, onto: str) -> None:
    desk, other = bazaar.desk(today=AFTER), bazaar.cashier()
    receipt, asha = held(bazaar, desk), bazaar.town.connections["Asha"]
    head, cause = heads(Discom.objects.get(code=KESCO)), f"payments:receipt:{receipt.id}"
    rows = [OnHead(head[out_of], 0, receipt.amount_paise), OnHead(head[onto], asha, -receipt.amount_paise)]
    with (
        pytest.raises(DatabaseError, match="has no posting of its clearing"),
        bazaar.web(desk.scope),
        transaction.atomic(),
    ):
        entry = post_one(kind=CLEARED, cause=cause, business_date=AFTER, reason=REASON, postings=rows)
        SuspenseCleared.objects.create(
            receipt=receipt,
            connection_id=asha,
            office_id=receipt.office_id,
            entry_id=entry,
            staff_id=other,
            reason=REASON,
            cleared_at=LATER["now"],
            cleared_on=AFTER,
        )


def test_the_list_has_what_the_offices_hold_until_it_is_cleared(bazaar: Bazaar) -> None:
    receipt = held(bazaar, bazaar.desk(today=AFTER))
    for discom, seen in ((KESCO, True), (PVVNL, False)):
        scope = office_scope(discom)
        assert scope.office_from is not None and scope.office_to is not None
        range_ = {"office_from": scope.office_from, "office_to": scope.office_to}
        with bazaar.web(scope), transaction.atomic():
            assert (receipt.id in {row.id for row in suspended(**range_, limit=500)}) is seen
            assert (suspended_one(receipt=receipt.id, **range_) is not None) is seen
    clear(bazaar, receipt, "Asha")
    everything = {"office_from": 0, "office_to": 2**31 - 1}
    assert suspended_one(receipt=receipt.id, **everything) is None
    assert receipt.id not in {row.id for row in suspended(**everything, limit=500)}


def test_suspense_that_is_not_what_is_held_is_named(bazaar: Bazaar) -> None:
    receipt = held(bazaar, bazaar.desk(today=AFTER))
    with bazaar.database.connect("admin") as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("update payments_receipt set amount_paise = amount_paise + 1 where id = %s", [receipt.id])
        admin.commit()
        assert str(suspense_offence()).startswith(f"company {KESCO} has ")
        admin.execute("update payments_receipt set amount_paise = amount_paise - 1 where id = %s", [receipt.id])


# -- reports -----------------------------------------------------------------------------------------------------------


def test_what_two_companies_owe_each_other_is_the_same_from_either_side(bazaar: Bazaar) -> None:
    day = dt.date(2024, 8, 1)
    when = {"today": day, "now": at(day, 6)}
    bazaar.take(bazaar.desk(GUMTI, KESCO, today=day), "Charan", 30_00, **when)
    bazaar.take(bazaar.desk(MEERUT, PVVNL, today=day), "Asha", 20_00, **when)
    bazaar.take(bazaar.desk(GUMTI, KESCO, today=day), "Asha", 99_00, **when)  # of its own: nothing arises
    rows = settlements(from_day=day, to_day=day)
    assert [(row.discom, row.other, row.owes_paise, row.is_owed_paise, row.net_paise) for row in rows] == [
        (KESCO, PVVNL, 30_00, 20_00, -10_00),
        (PVVNL, KESCO, 20_00, 30_00, 10_00),
    ]
    every = {(row.day, row.discom, row.other): row for row in settlements(from_day=dt.date.min, to_day=dt.date.max)}
    for (each_day, one, other), row in every.items():
        mirror = every[each_day, other, one]
        assert (row.owes_paise, row.is_owed_paise) == (mirror.is_owed_paise, mirror.owes_paise)
    net = sum(row.net_paise for (_, one, other), row in every.items() if (one, other) == (KESCO, PVVNL))
    assert net == sums()[KESCO, settlement(PVVNL)]
    assert settlements(from_day=day, to_day=day, discom=PVVNL) == rows[1:]


def test_payments_under_old_numbers_are_counted_beside_those_under_new_ones(bazaar: Bazaar) -> None:
    day = dt.date(2024, 9, 20)
    when = {"today": day, "now": at(day, 6)}
    desk = bazaar.desk(today=day)
    bazaar.take(desk, "Asha", 10_00, **when)
    kept = bazaar.take(desk, "Asha", 7_00, typed=OLD, matched=OLD, **when).receipt
    clear(bazaar, kept, "Asha")
    bazaar.take(desk, "Asha", 3_00, typed=OLD, matched=OLD, **when)
    send(typed="1111111", received_at=at(day, 6), today=day)  # nobody's: told nowhere
    rows = under_old_numbers(discom=KESCO, from_day=day, to_day=day)
    told = [
        (row.division_en, row.channel, row.old_receipts, row.old_paise, row.new_receipts, row.new_paise) for row in rows
    ]
    assert told == [(GUMTI, "counter", 1, 7_00, 1, 10_00), ("", "counter", 1, 3_00, 0, 0)]
    assert under_old_numbers(discom=KESCO, from_day=day + dt.timedelta(days=1), to_day=day + dt.timedelta(days=9)) == []
