"""`first_offence` names the first thing that is wrong with the books, whatever a superuser may have done to them."""

from collections.abc import Callable, Iterator
from datetime import date

import psycopg
import pytest
from django.db import transaction

from khata.discoms.models import Discom
from khata.ledger.models import Entry, Head
from khata.ledger.operations import open_books, post_one
from khata.ledger.queries import first_offence, heads_by_company
from khata.ledger.rules import CASH, CONSUMERS, OnHead, settlement
from tests.cast import ASHA, BINA, CHARAN, KESCO, PVVNL, Town, town
from tests.database import Database

Corrupt = Callable[[str], int]


TABLES = ("ledger_entry", "ledger_posting", "ledger_balance", "ledger_head")


@pytest.fixture(scope="module")
def built(module_database: Database) -> Iterator[Town]:
    """One entry in the books of each of two companies: two bills, and one."""
    made = town([ASHA, BINA, CHARAN])
    assert first_offence() is None, "empty books are in order"
    made.run("2024-06", discom=KESCO)
    made.run("2024-06", discom=PVVNL)
    yield made


@pytest.fixture
def corrupt(module_database: Database) -> Iterator[Corrupt]:
    """Does something to the tables that no trigger sees; returns how many rows it hit. Afterwards all is as before."""
    with module_database.connect("admin", autocommit=True) as admin:
        admin.execute("set session_replication_role = replica")
        for table in TABLES:
            admin.execute(f"create temporary table kept_{table} as table {table}")
        yield lambda statement: hit(admin, statement)
        for table in TABLES:
            admin.execute(f"delete from {table}")
            admin.execute(f"insert into {table} overriding system value table kept_{table}")


@pytest.fixture
def books(built: Town, corrupt: Corrupt) -> Town:
    """As they were built, whatever another test did to them."""
    return built


def hit(admin: psycopg.Connection, statement: str) -> int:
    rows = admin.execute(statement).rowcount
    assert rows > 0, "nothing was corrupted"
    return rows


def test_books_in_order_have_no_offence(books: Town) -> None:
    assert Entry.objects.count() == 2
    assert first_offence() is None


def test_an_altered_posting_is_named_by_entry_company_and_difference(books: Town, corrupt: Corrupt) -> None:
    entry = books.bill("Asha").entry_id
    corrupt(f"update ledger_posting set amount_paise = amount_paise - 7 where subject = {books.connections['Asha']}")
    assert first_offence() == f"entry {entry} of company KESCO does not sum to zero: -7 paise"


def test_a_posting_that_was_added_is_found(books: Town, corrupt: Corrupt) -> None:
    entry = books.bill("Charan").entry_id
    corrupt(
        "insert into ledger_posting (entry_id, head_id, subject, amount_paise) "
        f"select {entry}, id, 0, 25 from ledger_head "
        "where code = 'cash' and discom_id = (select id from discoms_discom where code = 'PVVNL')"
    )
    assert first_offence() == f"entry {entry} of company PVVNL does not sum to zero: 25 paise"


def test_a_posting_moved_to_another_companys_head_is_found(books: Town, corrupt: Corrupt) -> None:
    def energy(discom: str) -> int:
        return Head.objects.get(discom__code=discom, code="energy").id

    entry = books.bill("Asha").entry_id
    corrupt(
        f"update ledger_posting set head_id = {energy(PVVNL)} where entry_id = {entry} and head_id = {energy(KESCO)}"
    )
    found = first_offence()
    assert found is not None
    assert found.startswith(f"entry {entry} of company ")
    assert "does not sum to zero" in found


def test_the_first_of_two_altered_entries_is_named(books: Town, corrupt: Corrupt) -> None:
    corrupt("update ledger_posting set amount_paise = amount_paise + 1 where subject <> 0")
    first = min(books.bill("Asha").entry_id, books.bill("Charan").entry_id)
    found = first_offence()
    assert found is not None
    assert found.startswith(f"entry {first} of company KESCO")


def test_an_entry_whose_postings_are_gone_is_found(books: Town, corrupt: Corrupt) -> None:
    entry = books.bill("Asha").entry_id
    corrupt(f"delete from ledger_posting where entry_id = {entry}")
    assert first_offence() == f"entry {entry} has no postings"


def test_postings_whose_entry_is_gone_are_found(books: Town, corrupt: Corrupt) -> None:
    entry = books.bill("Charan").entry_id
    corrupt(f"delete from ledger_entry where id = {entry}")
    found = first_offence()
    assert found is not None
    assert f"names entry {entry}, which does not exist" in found


def test_an_altered_balance_is_named_by_subject_and_head(books: Town, corrupt: Corrupt) -> None:
    subject, owed = books.connections["Asha"], books.balance("Asha")
    corrupt(f"update ledger_balance set amount_paise = 0 where subject = {subject}")
    found = first_offence()
    assert found is not None
    assert found.startswith(f"the balance of subject {subject} on head ")
    assert found.endswith(f" is 0 paise, but its postings sum to {owed}")


@pytest.mark.parametrize(
    "offence",
    [
        "delete from ledger_balance where subject = {asha}",
        "update ledger_posting set subject = {bina} + 1000 where subject = {asha}",
        "insert into ledger_balance (subject, head_id, amount_paise) "
        "select {asha} + 1000, head_id, 500 from ledger_balance where subject = {asha}",
        "insert into ledger_balance (subject, head_id, amount_paise) "
        "select {asha} + 1000, head_id, 0 from ledger_balance where subject = {asha}",
    ],
)
def test_a_balance_that_is_missing_moved_or_invented_is_found(books: Town, corrupt: Corrupt, offence: str) -> None:
    corrupt(offence.format(asha=books.connections["Asha"], bina=books.connections["Bina"]))
    found = first_offence()
    assert found is not None
    assert found.startswith("the balance of subject ")


def test_a_posting_on_a_head_that_does_not_exist_is_found(books: Town, corrupt: Corrupt) -> None:
    """Also one of 0 paise, which changes no sum."""
    entry = books.bill("Asha").entry_id
    corrupt(f"insert into ledger_posting (entry_id, head_id, subject, amount_paise) values ({entry}, 32000, 0, 0)")
    assert first_offence() is not None


def test_a_head_that_went_over_to_another_company_is_found(books: Town, corrupt: Corrupt) -> None:
    corrupt(
        "update ledger_head set discom_id = (select id from discoms_discom where code = 'PVVNL'), code = 'taken' "
        "where code = 'energy' and discom_id = (select id from discoms_discom where code = 'KESCO')"
    )
    assert first_offence() is not None


def test_companies_that_disagree_on_what_they_owe_each_other_are_named(books: Town, corrupt: Corrupt) -> None:
    """Each book still sums to zero by itself."""
    heads = heads_by_company(
        discoms={KESCO, PVVNL}, codes={CASH, CONSUMERS, settlement(KESCO), settlement(PVVNL), "energy"}
    )
    postings = [
        OnHead(heads[KESCO, CASH], 0, 5_00),
        OnHead(heads[KESCO, settlement(PVVNL)], 0, -5_00),
        OnHead(heads[PVVNL, settlement(KESCO)], 0, 5_00),
        OnHead(heads[PVVNL, CONSUMERS], books.connections["Charan"], -5_00),
    ]
    with transaction.atomic():
        post_one(kind="receipt", cause="test:1", business_date=date(2024, 6, 10), reason="", postings=postings)
    assert first_offence() is None
    before, after = heads[PVVNL, settlement(KESCO)], heads[PVVNL, "energy"]
    corrupt(f"update ledger_posting set head_id = {after} where head_id = {before}")
    assert first_offence() == (
        "KESCO and PVVNL do not agree on what they owe each other: their heads for settling sum to -500 paise, not 0"
    )


def test_a_company_that_comes_later_gets_its_heads_in_both_books(books: Town) -> None:
    late = Discom.objects.create(id=9, code="LATE", regulator="UPERC", name_en="Late", name_hi="देर")
    open_books(discom=late)
    open_books(discom=late)
    heads = heads_by_company(discoms={KESCO, "LATE"}, codes={settlement(KESCO), settlement("LATE")})
    assert set(heads) == {(KESCO, settlement("LATE")), ("LATE", settlement(KESCO))}


def test_a_receivable_that_names_nobody_is_found(books: Town, corrupt: Corrupt) -> None:
    """The entry still sums to zero and the balance went with the posting."""
    subject = books.connections["Asha"]
    corrupt(f"update ledger_posting set subject = 0 where subject = {subject}")
    corrupt(f"delete from ledger_balance where subject = {subject}")
    assert first_offence() is not None
