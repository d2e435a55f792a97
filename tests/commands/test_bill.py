"""`khata bill`: what is shown of bills, and what is said where there is none."""

import json
from collections.abc import Iterator

import pytest

from khata.commands.main import main
from tests.cast import GUMTI, KESCO, PVVNL, Town, may, plain, read, smart, town
from tests.database import Database

HOMES = (
    smart("Asha", may(11_000), old_number="45678901"),
    plain("two months unread", ("2024-03-28", 100_000, 900), ("2024-05-28", 420_000, 900), cycle="R28-ODD"),
    plain("register falls", ("2024-04-28", 100_000, 900), ("2024-05-28", 200_000, 900)),
    plain("never read", ("2024-04-28", 500_000, 900)),
)


@pytest.fixture(scope="module")
def built(module_database: Database) -> Iterator[Town]:
    """A town with the runs of June, and of July for one division."""
    made = town(HOMES)
    made.run("2024-06")
    serial = next(home.meters[0].serial for home in HOMES if home.name == "register falls")
    read(made, serial, ("2024-06-28", 50_000, 900))
    made.run("2024-07", division=GUMTI)
    yield made


@pytest.fixture
def said(built: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Said":
    monkeypatch.setenv("KHATA_TODAY", "2024-07-20")
    return Said(monkeypatch, capsys)


class Said:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def out(self, *words: str) -> str:
        assert main(["bill", *words]) == 0
        return self.capsys.readouterr().out

    def error(self, *words: str) -> str:
        assert main(["bill", *words]) == 2
        captured = self.capsys.readouterr()
        assert captured.out == ""
        return captured.err


def test_a_bill_of_two_months_shows_them_and_what_makes_it_a_draft(built: Town, said: Said) -> None:
    account = built.accounts["two months unread"]
    text = said.out("show", account, "--cycle", "2024-06", "--lang", "en")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(" kW × 2 months 110.00 ₹/kW 330.00 " in line for line in lines)
    assert any(line.startswith("Up to 150 units × 2 months 300 kWh 1.35 ₹/kWh ") for line in lines)
    assert "still to be confirmed" in text
    assert any("(B)" in line or "(C)" in line for line in text.split("Where rates and rules come from")[1].splitlines())
    shown = json.loads(said.out("show", account, "--cycle", "2024-06", "--lang", "en", "--json"))
    fixed = next(line for line in shown["lines"] if line["line_id"] == "fixed")
    assert fixed["times"] == "× 2 months"
    of_slabs = [line for line in shown["lines"] if line["amount_paise"] is None]
    assert [line["quantity_milli"] for line in of_slabs if line["line_id"] == "subsidy"] == [300_000, 20_000]
    assert sum(line["amount_paise"] or 0 for line in shown["lines"]) == shown["bill_paise"]


def test_an_older_bill_is_not_shown_as_the_newest_in_silence(built: Town, said: Said) -> None:
    account = built.accounts["register falls"]
    first, empty, *_ = said.out("show", account, "--lang", "en").splitlines()
    assert (first, empty) == ("no bill of 2024-07: held: a register is below the one before it", "")
    unissued = json.loads(said.out("show", account, "--json"))["unissued"]
    assert (unissued["cycle"], unissued["outcome"], unissued["reason"]) == ("2024-07", "held", "NEGATIVE")
    assert not said.out("show", account, "--cycle", "2024-06").startswith("no bill")


def test_a_month_without_a_bill_says_why_and_which_months_there_are(built: Town, said: Said) -> None:
    held = said.error("show", built.accounts["register falls"], "--cycle", "2024-07")
    assert "no bill of 2024-07: held: a register is below the one before it.\n" in held
    assert "Next step: Bills exist of 2024-06." in held
    assert "has no bill of 2023-01" in said.error("show", built.accounts["Asha"], "--cycle", "2023-01")
    never = said.error("replay", built.accounts["never read"])
    assert "no bill of 2024-07: " in never and "No month of this account has a bill yet" in never
    assert "there is no bill 240699999999" in said.error("show", "240699999999")
    assert "khata number resolve" in said.error("show", "9999999999")


def test_an_old_number_finds_its_bill_also_when_it_is_no_longer_honoured(said: Said) -> None:
    assert "45678901" in said.out("show", "45678901", "--cycle", "2024-06")
    said.monkeypatch.setenv("KHATA_TODAY", "2024-09-14")
    assert "45678901" in said.out(
        "show", "45678901", "--cycle", "2024-06"
    )  # to whoever looks a bill up it is known for ever


@pytest.mark.parametrize("verb", ["show", "replay", "digest"])
def test_a_month_without_a_run_is_bad_input(verb: str, said: Said) -> None:
    error = said.error(verb, "--discom", KESCO, "--cycle", "2023-01")
    assert error == (f"khata: bill {verb}: KESCO has no run of 2023-01.\nNext step: Runs exist of 2024-06, 2024-07.\n")
    assert "Make one with khata bill run" in said.error(verb, "--discom", PVVNL, "--cycle", "2023-01")


def test_a_month_in_which_everybody_got_a_bill_says_so(database: Database, said: Said) -> None:
    town(HOMES[:1]).run("2024-06")
    assert said.out("show", "--discom", KESCO, "--cycle", "2024-06") == "everybody got a bill\n"


def test_sentences_end_once(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    assert said.error("show").startswith("khata: bill show: which bill?\nNext step: ")
    with pytest.raises(SystemExit):
        main(["bill", "run", "--discom", KESCO, "--cycle", "2024-06", "--bill-date", "xx"])
    assert "'xx' is not a day; write it like 2024-05-31" in capsys.readouterr().err
