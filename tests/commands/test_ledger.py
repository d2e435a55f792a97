"""`khata ledger verify | sums | settlement`."""

import json

import pytest

from khata.commands.main import main
from khata.consumers.models import Connection
from khata.discoms.models import Discom, Office
from khata.ledger.models import Balance, Posting
from khata.ledger.queries import heads
from khata.payments.models import Shift
from khata.payments.operations import add_counter, receive
from tests.cast import ARRIVED, GUMTI, KESCO, post_staff, town
from tests.database import Database


@pytest.fixture
def books(database: Database) -> Database:
    """Bills of June posted in two companies' books."""
    built = town()
    built.run("2024-06")
    return database


def tampered(database: Database, statement: str) -> None:
    """What only somebody with the superuser's powers can do."""
    with database.connect("admin") as session:
        session.execute("set session_replication_role = replica")
        session.execute(statement.encode())


def test_books_in_order(books: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "verify"]) == 0
    assert "in order" in capsys.readouterr().out
    assert main(["ledger", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "offence": None}


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (
            "update ledger_posting set amount_paise = amount_paise + 1 where {the}",
            "entry {entry} of company KESCO does not",
        ),
        ("update ledger_posting set head_id = 9999 where {the}", "entry {entry} is on head 9999"),
        ("delete from ledger_posting where entry_id = {entry}", "entry {entry} has no postings"),
        ("delete from ledger_entry where id = {entry}", "names entry {entry}, which does not exist"),
        ("update ledger_balance set amount_paise = 7 where subject = {subject}", "of subject {subject} on head"),
        ("delete from ledger_balance where subject = {subject}", "of subject {subject} on head"),
    ],
)
def test_the_first_offence_is_named(
    books: Database, statement: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    posting = Posting.objects.filter(subject__gt=0).order_by("entry_id").first()
    assert posting is not None
    words = {"entry": posting.entry_id, "subject": posting.subject}
    the = "entry_id = {entry} and subject = {subject}".format(**words)
    tampered(books, statement.format(the=the, **words))
    assert main(["ledger", "verify"]) == 1
    assert names.format(**words) in capsys.readouterr().out
    assert main(["ledger", "verify", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert names.format(**words) in answer["offence"]


def test_a_missing_receipt_is_named(books: Database, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office.objects.get(discom__code=KESCO, kind="division", name_en=GUMTI)
    counter = add_counter(office=office, code="G01", name_hi="खिड़की", name_en="Window")
    staff = post_staff("kiran", "Kiran", "cashier", office)
    shift = Shift.objects.create(
        counter=counter, staff=staff, business_date=ARRIVED.date(), opened_at=ARRIVED, opening_paise=0
    )
    assert main(["ledger", "verify"]) == 0
    assert "no counter's serials have a gap" in capsys.readouterr().out
    tampered(
        books,
        f"""
        insert into payments_receipt (connection_id, channel, reference, office_id, typed, matched, amount_paise,
            received_on, entry_id, counter_id, shift_id, serial, received_at, balance_after_paise)
        select 1, 'counter', n::text, {office.id}, '1', '1', 1, '2024-06-20', 1, {counter.id}, {shift.id}, n, now(), 0
        from unnest(array[1, 3]) n""",
    )
    assert main(["ledger", "verify"]) == 1
    assert "receipt G01-000002 is missing" in capsys.readouterr().out


def test_money_in_suspense_that_no_receipt_holds_is_named(books: Database, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office.objects.get(discom__code=KESCO, kind="division", name_en=GUMTI)
    taken = receive(
        channel="upi",
        reference="1",
        office=office.id,
        typed="999999",
        discom=None,
        amount_paise=75_00,
        received_at=ARRIVED,
        today=ARRIVED.date(),
    )
    assert main(["ledger", "verify"]) == 0
    assert "in suspense agrees" in capsys.readouterr().out
    tampered(books, f"delete from payments_receipt where id = {taken.receipt.id}")
    assert main(["ledger", "verify"]) == 1
    assert "KESCO has 7500 paise in suspense, but the receipts that it holds sum to 0" in capsys.readouterr().out


def test_the_settlement_statement_has_both_sides(books: Database, capsys: pytest.CaptureFixture[str]) -> None:
    office = Office.objects.get(discom__code=KESCO, kind="division", name_en=GUMTI)
    receive(
        channel="upi",
        reference="2",
        office=office.id,
        typed=Connection.objects.filter(discom__code="PVVNL").earliest("id").account_number,
        discom=None,
        amount_paise=75_00,
        received_at=ARRIVED,
        today=ARRIVED.date(),
    )
    assert main(["ledger", "settlement", "--from", "2024-03-14", "--to", "2024-03-14", "--json"]) == 0
    one, other = json.loads(capsys.readouterr().out)
    day = "2024-03-14"
    assert one == {
        "day": day, "discom": KESCO, "other": "PVVNL", "owes_paise": 75_00, "is_owed_paise": 0, "net_paise": -75_00,
    }  # fmt: skip
    assert other == {
        "day": day, "discom": "PVVNL", "other": KESCO, "owes_paise": 0, "is_owed_paise": 75_00, "net_paise": 75_00,
    }  # fmt: skip
    assert main(["ledger", "settlement", "--from", day, "--to", day, "--discom", "PVVNL", "--lang", "en"]) == 0
    assert capsys.readouterr().out == f"{day}  PVVNL: owes KESCO ₹0.00, is owed ₹75.00\n"
    assert main(["ledger", "settlement", "--from", "2024-03-15", "--to", "2024-03-16"]) == 0
    assert "कोई लेन-देन नहीं" in capsys.readouterr().out
    assert main(["ledger", "settlement", "--from", "2024-03-16", "--to", "2024-03-15"]) != 0


def test_the_sums_of_a_company_are_zero(books: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "sums", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert [first["discom"], first["total_paise"]] == [KESCO, 0]
    assert second["total_paise"] == 0
    paise = {head["code"]: head["amount_paise"] for head in first["heads"]}
    assert set(paise) == set(heads(Discom.objects.get(code=KESCO)))
    assert paise["consumers"] == sum(
        Balance.objects.filter(head__discom__code=KESCO).values_list("amount_paise", flat=True)
    )
    assert paise["energy"] < 0 < paise["consumers"]


def test_the_sums_are_shown_in_both_languages(books: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "sums", "--discom", "kesco"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == KESCO
    assert lines[-1].split() == ["₹0.00", "योग"]
    assert any("ऊर्जा प्रभार" in line and "-₹" in line for line in lines)
    assert main(["ledger", "sums", "--discom", "KESCO", "--lang", "en"]) == 0
    assert "Energy charge" in capsys.readouterr().out


def test_a_company_that_is_not_known_is_bad_input(books: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "sums", "--discom", "NADIPUR"]) == 2
    assert "Choose one of them" in capsys.readouterr().err


def test_empty_books(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "verify"]) == 0
    assert main(["ledger", "sums", "--lang", "en"]) == 0
    assert "no books are open yet" in capsys.readouterr().out
