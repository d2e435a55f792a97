"""Sending: each message once, in the right order, tried again with pauses, and never too late."""

import datetime as dt
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from django.db import connection, transaction

from khata.audit.models import Record
from khata.notices.backends import Answer, Meta
from khata.notices.models import Delivery, Mark, Message, Registration
from khata.notices.operations import (
    NewMessages,
    RegistrationError,
    Sent,
    queue,
    queue_one,
    register,
    send_queued,
)
from khata.notices.queries import next_mark, registration, waiting
from khata.notices.rules import (
    ATTEMPTS,
    BILL_ISSUED,
    PAUSES,
    PAYMENT_TAKEN,
    SIGN_IN_CODE,
    UnsendableError,
    check_code,
    registered,
    sign_in_code,
)
from tests.cast import ASHA, Town, town
from tests.database import Database

KEY = b"a key of the tests"
NONCE = "0123456789abcdef" * 2
SECOND, MINUTE = dt.timedelta(seconds=1), dt.timedelta(minutes=1)


@dataclass
class Phones:
    """A backend that remembers, and answers as it is told."""

    name: str = "phones"
    answer: Callable[[Meta], Answer] = lambda meta: Answer("sent")
    got: list[tuple[int, str, str]] = field(default_factory=list)

    def send(self, mobile: str, text: str, meta: Meta) -> Answer:
        self.got.append((meta.message, mobile, text))
        return self.answer(meta)

    @property
    def messages(self) -> list[int]:
        return [message for message, _, _ in self.got]


@pytest.fixture
def built(database: Database) -> Iterator[Town]:
    yield town([ASHA])


def bill(built: Town, *, language: str = "hi", values: tuple[str, ...] = ("1234", "234850", "2024-06-23")) -> int:
    return queue_one(
        template=BILL_ISSUED,
        subject=built.connections["Asha"],
        language=language,
        mobile="9876543210",
        values=values,
        cause="test:bill:1",
    )


def code(built: Town) -> int:
    return queue_one(
        template=SIGN_IN_CODE,
        subject=built.connections["Asha"],
        language="hi",
        mobile="9876543210",
        values=[NONCE],
        cause="test:code:1",
    )


def made_at() -> dt.datetime:
    return Message.objects.latest("id").made_at


def send(phones: Phones, now: dt.datetime, limit: int = 100) -> Sent:
    return send_queued(backend=phones, key=KEY, now=now, limit=limit)


def log(message: int) -> list[tuple[int, str, str]]:
    rows = Delivery.objects.filter(message_id=message).order_by("attempt")
    return list(rows.values_list("attempt", "outcome", "detail"))


def test_each_message_goes_out_once_with_its_log(built: Town) -> None:
    messages = [bill(built), bill(built, language="en"), bill(built)]
    phones, now = Phones(), made_at() + SECOND
    assert send(phones, now, limit=2) == Sent(sent=2)
    assert send(phones, now) == Sent(sent=1)
    assert send(phones, now) == Sent()
    assert phones.messages == messages
    assert all(registered(text) and mobile == "9876543210" for _, mobile, text in phones.got)
    rows = Delivery.objects.order_by("id").values_list(
        "message_id", "attempt", "at", "backend", "outcome", "check_code"
    )
    assert list(rows) == [(number, 1, now, "phones", "sent", check_code(number, KEY)) for number in messages]
    assert [text[-6:] for _, _, text in phones.got] == [check_code(number, KEY) for number in messages]


def test_the_messages_of_a_run_are_sendable(built: Town) -> None:
    count, subject = 3, built.connections["Asha"]
    columns = NewMessages(
        np.full(count, subject),
        np.array([b"hi", b"en", b"hi"]),
        np.full(count, b"9876543210"),
        (np.full(count, b"0047"), np.array([b"234850", b"-500", b"0"]), np.full(count, b"2024-06-23")),
        np.full(count, b"test:bill:1"),
    )
    with transaction.atomic():
        assert queue(template=BILL_ISSUED, messages=columns) == count
    phones = Phones()
    assert send(phones, made_at()) == Sent(sent=3)
    assert ["₹2,348.50" in phones.got[0][2], "Rs 0.00" in phones.got[1][2], "₹0.00" in phones.got[2][2]] == [True] * 3


def test_what_failed_is_tried_again_with_growing_pauses_and_then_given_up(built: Town) -> None:
    number = bill(built)
    phones = Phones(answer=lambda meta: Answer("failed", "the gateway answered 503"))
    now = made_at()
    for pause in PAUSES:
        assert send(phones, now) == Sent(failed=1)
        assert send(phones, now + pause - SECOND) == Sent()
        now += pause
    assert send(phones, now) == Sent(refused=1)
    assert send(phones, now + dt.timedelta(days=9)) == Sent()
    assert [outcome for _, outcome, _ in log(number)] == ["failed"] * (ATTEMPTS - 1) + ["refused"]
    assert log(number)[-1][2] == "given up after 5 attempts: the gateway answered 503"
    assert len(phones.got) == ATTEMPTS and len({text for _, _, text in phones.got}) == 1
    assert list(PAUSES) == sorted(set(PAUSES))


def test_a_failure_that_passes_does_not_hold_up_the_others(built: Town) -> None:
    first, second = bill(built), bill(built)
    phones, now = (
        Phones(answer=lambda meta: Answer("failed" if (meta.message, meta.attempt) == (first, 1) else "sent")),
        made_at(),
    )
    assert send(phones, now) == Sent(sent=1, failed=1)
    third = bill(built)
    assert send(phones, now) == Sent(sent=1)
    assert send(phones, now + PAUSES[0]) == Sent(sent=1)
    assert phones.messages == [first, second, third, first]
    assert [outcome for _, outcome, _ in log(first)] == ["failed", "sent"]


def test_what_a_backend_refuses_is_not_tried_again(built: Town) -> None:
    number = bill(built)
    phones = Phones(answer=lambda meta: Answer("refused", "not registered"))
    assert send(phones, made_at()) == Sent(refused=1)
    assert send(phones, made_at() + dt.timedelta(days=1)) == Sent()
    assert log(number) == [(1, "refused", "not registered")]


def test_a_code_goes_before_the_bills_that_waited_longer(built: Town) -> None:
    bills = [bill(built) for _ in range(5)]
    number = code(built)
    phones = Phones()
    assert send(phones, made_at(), limit=2) == Sent(sent=2)
    assert phones.messages == [number, bills[0]]
    assert sign_in_code(NONCE, KEY) in phones.got[0][2]


def test_a_code_older_than_five_minutes_is_refused_not_sent_late(built: Town) -> None:
    phones = Phones()
    code(built)
    assert send(phones, made_at() + 5 * MINUTE) == Sent(sent=1)
    number = code(built)
    assert send(phones, made_at() + 5 * MINUTE + SECOND) == Sent(refused=1)
    assert log(number) == [(1, "refused", "older than 300 s: it came too late")]
    assert number not in phones.messages


def test_nothing_but_registered_texts_goes_out(built: Town) -> None:
    """Rows that no function of ours would write."""
    good = {"subject": built.connections["Asha"], "language": "hi", "mobile": "9876543210", "cause": "test:x:1"}
    rows = [
        {"template": "power-cut", "values": ["tonight"]},
        {"template": "bill-issued", "values": ["1234", "call 98765 43210", "2024-06-23"]},
        {"template": "payment-taken", "values": ["1234", "1", "2024-06-23", "BIT.LY/X"]},
        {"template": "bill-issued", "values": []},
    ]
    for row in rows:
        Message.objects.create(**good, **row)
    phones = Phones()
    assert send(phones, made_at()) == Sent(refused=len(rows))
    assert phones.got == []
    assert set(Delivery.objects.values_list("check_code", flat=True)) == {""}


def test_values_that_cannot_be_sent_are_not_even_queued(built: Town) -> None:
    with pytest.raises(UnsendableError):
        bill(built, values=("1234", "2348.50", "2024-06-23"))
    with pytest.raises(UnsendableError):
        queue_one(template=PAYMENT_TAKEN, subject=1, language="hi", mobile="9876543210", values=["1234"], cause="x")
    assert not Message.objects.exists()


# -- two senders, deaths, and transactions that end late ---------------------------------------------------------------


def test_a_sender_that_dies_after_the_backend_answered_repeats_one_message_and_loses_none(built: Town) -> None:
    messages = [bill(built) for _ in range(3)]
    phones = Phones()

    def die(meta: Meta) -> Answer:
        if meta.message == messages[1]:
            raise SystemExit("killed")
        return Answer("sent")

    phones.answer = die
    with pytest.raises(SystemExit):
        send(phones, made_at())
    phones.answer = lambda meta: Answer("sent")
    assert send(phones, made_at()) == Sent(sent=2)
    assert phones.messages == [messages[0], messages[1], messages[1], messages[2]]


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_two_senders_share_the_work_and_send_nothing_twice(built: Town) -> None:
    messages = [bill(built) for _ in range(40)]
    now, both = made_at(), threading.Barrier(2)
    senders = [Phones(), Phones()]

    def begin(phones: Phones) -> None:
        both.wait(10)
        send(phones, now)

    for thread in [in_thread(lambda phones=phones: begin(phones)) for phones in senders]:
        thread.join()
    assert sorted(senders[0].messages + senders[1].messages) == messages


def test_a_message_in_the_hands_of_one_sender_is_passed_over_by_the_other(built: Town) -> None:
    first, second = bill(built), bill(built)
    now, handed, go = made_at(), threading.Event(), threading.Event()

    def slowly(meta: Meta) -> Answer:
        if meta.message == first:
            handed.set()
            go.wait(10)
        return Answer("sent")

    slow, quick = Phones(answer=slowly), Phones()
    thread = in_thread(lambda: send(slow, now, limit=1))
    assert handed.wait(10)
    assert send(quick, now) == Sent(sent=1)
    go.set()
    thread.join()
    assert (slow.messages, quick.messages) == ([first], [second])
    assert send(quick, now) == Sent()


def test_a_message_whose_transaction_ends_late_is_not_passed_over(built: Town, database: Database) -> None:
    insert = """insert into notices_message (subject, template, language, mobile, "values", cause)
        values (%s, 'bill-issued', 'hi', '9876543210', '{1234,1,2024-06-23}', 'test:late:1') returning id"""
    with database.connect("run") as late:
        ((early,),) = late.execute(insert, [built.connections["Asha"]]).fetchall()
        after = bill(built)
        phones, now = Phones(), made_at()
        assert early < after
        assert send(phones, now) == Sent(sent=1)
        assert not Mark.objects.exists()  # somebody still writes
        late.commit()
    assert send(phones, now) == Sent(sent=1)
    assert phones.messages == [after, early]
    assert Mark.objects.latest("id").tried == after


def test_a_transaction_given_up_leaves_a_gap_that_stops_nobody(built: Town, database: Database) -> None:
    with database.connect("run") as session:
        session.execute("select nextval(pg_get_serial_sequence('notices_message', 'id')) from generate_series(1, 7)")
    number = bill(built)
    assert number > 7
    assert send(Phones(), made_at()) == Sent(sent=1)
    assert Mark.objects.latest("id").tried == number


def test_the_marks_follow_the_first_that_is_open(built: Town) -> None:
    first, second, third = bill(built), bill(built), bill(built)
    phones, now = Phones(answer=lambda meta: Answer("failed" if meta.message == second else "sent")), made_at()
    send(phones, now, limit=2)
    mark = Mark.objects.latest("id")
    assert (mark.tried, mark.settled) == (second, first)
    assert next_mark(mark) is None
    phones.answer = lambda meta: Answer("sent")
    send(phones, now + PAUSES[0])
    mark = Mark.objects.latest("id")
    assert (mark.tried, mark.settled) == (third, third)
    assert waiting(now=now + dt.timedelta(days=1), limit=10) == []
    rows = Mark.objects.count()
    send(phones, now + PAUSES[0])
    assert Mark.objects.count() == rows  # an idle sender writes nothing


def test_sending_inside_a_transaction_is_refused(built: Town) -> None:
    bill(built)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        send(Phones(), made_at())


def _sender(name: str, key: bytes, now: dt.datetime) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name

    def answer(meta: Meta) -> Answer:
        if meta.message % 5 == 0:
            os.kill(os.getpid(), signal.SIGKILL)  # handed over, not yet written down
        return Answer("sent")

    send_queued(backend=Phones(answer=answer), key=key, now=now, limit=100)


def test_after_real_kills_nothing_is_lost(built: Town, database: Database) -> None:
    messages = [bill(built) for _ in range(12)]
    now = made_at()
    connection.close()
    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=_sender, args=(database.name, KEY, now))
        process.start()
        process.join(30)
        assert process.exitcode == -9
    phones = Phones()
    # The server gives a dead session's lock back as soon as it notices; until then the message is passed over.
    for _ in range(100):
        if send(phones, now).total == 0 and Delivery.objects.count() == len(messages):
            break
    assert sorted(Delivery.objects.values_list("message_id", flat=True)) == messages
    assert len(phones.messages) == len(set(phones.messages))


# -- registration ------------------------------------------------------------------------------------------------------

GOOD = {
    "discom": "KESCO",
    "template": "bill-issued",
    "language": "hi",
    "dlt_id": "1007000000000000001",
    "header": "ABCDEF-S",
    "from_date": dt.date(2024, 6, 1),
    "actor": "test",
}


def test_a_registration_counts_from_its_day_and_the_later_note_of_a_day_puts_it_right(database: Database) -> None:
    def on(day: int, **changes: str) -> str | None:
        asked = {"discom": "KESCO", "template": "bill-issued", "language": "hi", **changes}
        found = registration(**asked, on=dt.date(2024, 6, day))
        return found.dlt_id if found else None

    register(**GOOD)
    register(**{**GOOD, "dlt_id": "1007000000000000003", "from_date": dt.date(2024, 6, 10)})
    register(**{**GOOD, "dlt_id": "1007000000000000002"})
    assert [on(1), on(9), on(10)] == ["1007000000000000002"] * 2 + ["1007000000000000003"]
    assert registration(discom="KESCO", template="bill-issued", language="hi", on=dt.date(2024, 5, 31)) is None
    assert [on(1, discom="PVVNL"), on(1, template="payment-taken"), on(1, language="en")] == [None] * 3
    assert Record.objects.filter(action="notices.register").count() == Registration.objects.count() == 3


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"template": "power-cut"}, "no template"),
        ({"language": "ur"}, "no language"),
        ({"dlt_id": "1007"}, "DLT id"),
        ({"dlt_id": "१००७०००००००००००००००१"}, "DLT id"),
        ({"header": "ABC"}, "header"),
        ({"header": "abcdef"}, "header"),
        ({"header": "ABCDEF-P"}, "header"),
        ({"header": "ABCDEF-"}, "header"),
    ],
)
def test_a_registration_that_cannot_be_is_refused(
    module_database: Database, changes: dict[str, str], what: str
) -> None:
    with pytest.raises(RegistrationError, match=what):
        register(**{**GOOD, **changes})
    assert not Registration.objects.exists() and not Record.objects.exists()
