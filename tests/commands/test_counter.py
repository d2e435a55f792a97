"""`khata counter add | limit | list`."""

import pytest

from khata.audit.models import Record
from khata.commands.main import main
from khata.payments.models import Counter, CounterPolicy
from tests.cast import GUMTI, KESCO, PVVNL, day, town
from tests.database import Database

ADD = ["counter", "add", "--discom", "kesco", "--office", GUMTI, "--name-hi", " खिड़की  1", "--name-en", "Window 1"]
LIMIT = ["counter", "limit", "--discom", KESCO, "--source", "Income-tax Act 1961, section 269ST"]


@pytest.fixture(autouse=True)
def companies(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHATA_TODAY", "2024-06-20")
    town(())


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_counter_is_added_listed_and_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no counter yet" in said(capsys, "counter", "list")[1]
    code, out, _ = said(capsys, *ADD, "--code", "k07")
    assert (code, out) == (0, "K07  खिड़की 1 / Window 1, Gumti\n")
    made = Counter.objects.get()
    assert (made.code, made.name_hi, made.name_en, made.active) == ("K07", "खिड़की 1", "Window 1", True)
    assert (made.office.name_en, made.office.discom.code) == (GUMTI, KESCO)
    told = Record.objects.get(action="payments.add-counter")
    assert (told.actor, told.object) == ("command", f"payments:counter:{made.id}")
    assert f"K07   खिड़की 1 / Window 1, {KESCO}, Gumti" in said(capsys, "counter", "list")[1]


@pytest.mark.parametrize("code", ["7", "K", "K-07", "KKKKK", "क०७", ""])
def test_a_code_that_no_receipt_can_carry_is_refused(capsys: pytest.CaptureFixture[str], code: str) -> None:
    status, _, err = said(capsys, *ADD, "--code", code)
    assert status == 2 and "--code" in err and "like K07" in err
    assert not Counter.objects.exists() and not Record.objects.filter(action="payments.add-counter").exists()


def test_a_code_is_given_once_and_names_are_not_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, *ADD, "--code", "K07")[0] == 0
    status, _, err = said(capsys, *ADD, "--code", "K07")
    assert status == 2 and "there is a counter K07 already" in err
    status, _, err = said(capsys, *ADD, "--code", "K08", "--name-hi", " ")
    assert status == 2 and "--name-hi" in err
    status, _, err = said(capsys, *ADD, "--code", "K08", "--office", "Nowhere")
    assert status == 2 and "Choose one of them" in err
    assert Counter.objects.count() == 1


def test_a_limit_is_set_from_a_day_on_and_listed_when_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, *LIMIT, "--rupees", "1,99,999")
    assert code == 0 and "₹1,99,999.00" in out and "from 2024-06-20 on" in out
    assert said(capsys, *LIMIT, "--rupees", "५००००", "--from", "2024-07-01")[0] == 0
    assert list(CounterPolicy.objects.order_by("from_date").values_list("from_date", "most_paise")) == [
        (day("2024-06-20"), 1_99_999_00),
        (day("2024-07-01"), 50_000_00),
    ]
    listed = said(capsys, "counter", "list")[1]
    assert f"{KESCO}: ₹1,99,999.00" in listed and "section 269ST" in listed
    assert PVVNL not in listed and "50,000" not in listed
    assert Record.objects.filter(action="payments.set-counter-policy", actor="command").count() == 2


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (["--rupees", "0"], "amount"),
        (["--rupees", "many"], "amount"),
        (["--rupees", "5", "--from", "2024-02-30"], "--from"),
        (["--rupees", "5", "--discom", "NADIPUR"], "--discom"),
        (["--rupees", "5", "--source", " "], "--source"),
    ],
)
def test_a_limit_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], wrong: list[str], names: str) -> None:
    status, _, err = said(capsys, *LIMIT, *wrong)
    assert status == 2 and names in err and "Next step" in err
    assert not CounterPolicy.objects.exists()


def test_the_same_day_again_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, *LIMIT, "--rupees", "5")[0] == 0
    status, _, err = said(capsys, *LIMIT, "--rupees", "6")
    assert status == 2 and "already" in err and "another day" in err
    assert CounterPolicy.objects.get().most_paise == 5_00
