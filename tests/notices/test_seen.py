"""Who sees messages and deliveries, and what a stranger with a check code learns."""

import datetime as dt
import random
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from khata.consumers.rules import mobile_key
from khata.discoms.scope import NOBODY, Scope, scoped
from khata.notices.models import Delivery, Message
from khata.notices.operations import queue_one, send_queued
from khata.notices.queries import Checked, Item, check, inbox, outbox
from khata.notices.rules import BILL_ISSUED, CHECK_ALPHABET, PAYMENT_TAKEN, SIGN_IN_CODE, Template, check_code
from tests.cast import CAST, Town, town
from tests.database import Database
from tests.notices.test_sending import Phones

KEY = settings.SECRET_KEY.encode()
NONCE = "0123456789abcdef" * 2
SENT_ON = dt.date(2024, 6, 21)
NOW = dt.datetime(2024, 6, 20, 20, tzinfo=dt.UTC)  # already the 21st in India
VALUES = {
    "bill-issued": ["1234", "234850", "2024-06-23"],
    "payment-taken": ["1234", "10000", "2024-06-20", "K07-000123"],
    "sign-in-code": [NONCE],
}


def put(built: Town, name: str, template: Template, language: str = "hi") -> int:
    return queue_one(
        template=template,
        subject=built.connections[name],
        language=language,
        mobile=next(mobile_key(home.mobile) for home in CAST if home.name == name),
        values=VALUES[template.name],
        cause="test:it:1",
    )


@pytest.fixture(scope="module")
def built(module_database: Database) -> Iterator[Town]:
    """Asha has a bill, a payment and a code, sent; one more bill that waits. Bina and Charan have a bill each."""
    made = town(CAST)
    for name, template in [("Asha", BILL_ISSUED), ("Bina", BILL_ISSUED), ("Charan", BILL_ISSUED)]:
        put(made, name, template, "en" if name == "Bina" else "hi")
    put(made, "Asha", PAYMENT_TAKEN)
    put(made, "Asha", SIGN_IN_CODE)
    assert send_queued(backend=Phones(), key=KEY, now=NOW, limit=10).sent == 5
    put(made, "Asha", BILL_ISSUED)
    yield made


def message(built: Town, name: str, template: Template) -> int:
    return Message.objects.filter(subject=built.connections[name], template=template.name).earliest("id").id


def as_web(database: Database, scope: Scope, subjects: list[int]) -> list[Item]:
    with database.as_role("app"), scoped(scope), transaction.atomic():
        return inbox(subjects=subjects)


# -- the check of a message --------------------------------------------------------------------------------------------


def test_anybody_can_verify_a_message_and_learns_when_we_sent_it(built: Town, module_database: Database) -> None:
    bill, paid = (check_code(message(built, "Asha", template), KEY) for template in (BILL_ISSUED, PAYMENT_TAKEN))
    with module_database.as_role("app"), scoped(NOBODY), transaction.atomic():
        assert check(code=bill, tail="1234") == Checked("bill-issued", SENT_ON, "hi")
        assert check(code=f" {bill[:3]} {bill[3:].lower()}", tail=" १२३४ ") == Checked("bill-issued", SENT_ON, "hi")
        assert check(code=paid, tail="1234") == Checked("payment-taken", SENT_ON, "hi")
        assert check(code=bill, tail="1235") is None
        assert check(code=bill, tail="") is check(code="", tail="1234") is check(code=bill, tail="' or 1=1 --") is None
        assert check(code=bill, tail="11234") is None


def test_a_code_of_sign_in_is_verified_by_the_mobile_it_came_to_and_what_waits_is_not(built: Town) -> None:
    asked = message(built, "Asha", SIGN_IN_CODE)
    tail, code = Message.objects.get(id=asked).mobile[-4:], check_code(asked, KEY)
    assert check(code=code, tail=tail) == Checked("sign-in-code", SENT_ON, "hi")
    assert [check(code=code, tail=other) for other in ("1234", NONCE[:4], "0000")] == [None] * 3
    newest = Message.objects.latest("id").id
    assert check(code=check_code(newest, KEY), tail="1234") is None


def test_none_of_many_forged_codes_is_accepted(built: Town, module_database: Database) -> None:
    real, guess = check_code(message(built, "Asha", BILL_ISSUED), KEY), random.Random(20240623)
    forged = ["".join(guess.choices(CHECK_ALPHABET, k=6)) for _ in range(20_000)]
    with module_database.as_role("app"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from unnest(%s::text[]) f(code), lateral khata.message_sent(f.code, '1234')", [forged]
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "select count(*) from unnest(%s::text[]) f(code), lateral khata.message_sent(f.code, '1234')", [[real]]
        )
        assert cursor.fetchone() == (1,)


def test_an_empty_code_finds_no_refused_message(built: Town, module_database: Database) -> None:
    with module_database.connect("app") as web:
        for code, tail in (("", "1234"), (None, "1234"), ("", None)):
            assert web.execute("select * from khata.message_sent(%s, %s)", [code, tail]).fetchall() == []


def test_only_the_roles_of_khata_may_ask(module_database: Database) -> None:
    with module_database.connect("owner") as owner:
        found = owner.execute("select has_function_privilege('public', 'khata.message_sent(text, text)', 'execute')")
        assert found.fetchall() == [(False,)]


# -- the inbox ---------------------------------------------------------------------------------------------------------


def test_a_consumer_reads_own_messages_newest_first_and_no_code(built: Town, module_database: Database) -> None:
    asha = built.connections["Asha"]
    items = as_web(module_database, built.seen_by("Asha"), [asha])
    assert [(item.template, item.state) for item in items] == [
        ("bill-issued", "waiting"),
        ("sign-in-code", "sent"),
        ("payment-taken", "sent"),
        ("bill-issued", "sent"),
    ]
    assert items[3].text.startswith("खाता ..1234 बिजली बिल ₹2,348.50") and items[3].at == NOW
    assert items[3].text.endswith(check_code(items[3].id, KEY))
    assert "कोड ••••••।" in items[1].text


def test_nobody_reads_another_persons_messages_or_deliveries(built: Town, module_database: Database) -> None:
    everyone = list(built.connections.values())
    for name in ("Asha", "Bina", "Charan"):
        items = as_web(module_database, built.seen_by(name), everyone)
        assert {item.subject for item in items} == {built.connections[name]}
        with module_database.as_role("app"), scoped(built.seen_by(name)), transaction.atomic():
            seen = set(Delivery.objects.values_list("message__subject", flat=True))
            deliveries = Delivery.objects.count()
        assert seen == {built.connections[name]}
        assert deliveries == Delivery.objects.filter(message__subject=built.connections[name]).count()
    assert as_web(module_database, NOBODY, everyone) == []


def test_the_outbox_is_as_wide_as_the_role(built: Town, module_database: Database) -> None:
    assert len(outbox(limit=100)) == Message.objects.count() == 6
    assert [item.id for item in outbox(limit=2)] == list(
        Message.objects.order_by("-id").values_list("id", flat=True)[:2]
    )
    with module_database.as_role("app"), transaction.atomic():
        assert outbox(limit=100) == []


@pytest.mark.parametrize("table", ["notices_delivery", "notices_mark", "notices_registration"])
def test_the_web_writes_no_log(built: Town, module_database: Database, table: str) -> None:
    with module_database.connect("app") as web, pytest.raises(psycopg.errors.InsufficientPrivilege):
        web.execute(f"insert into {table} select * from {table}")
