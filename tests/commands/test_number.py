"""`khata number resolve`: what a typed number may mean; nothing is guessed."""

import datetime as dt
import json
from collections.abc import Iterator

import pytest

from khata.audit.models import Record
from khata.commands.main import main
from khata.consumers.models import Connection, Consumer, IssuedNumber, NumberWindow, OldNumber
from khata.consumers.queries import resolve
from khata.discoms.queries import discom_named, division_named
from tests.cast import ARRIVED, GUMTI, KESCO, MEERUT, OLD_UNTIL, PVVNL, town
from tests.database import Database

BEFORE = "2024-06-20"
# account number: company, and its old numbers
PEOPLE = {
    "3141592653": (KESCO, ["1234567"]),
    "2718281828": (PVVNL, ["1234567"]),  # the same old number, in another company
    "1618033988": (KESCO, ["0012345"]),
    "1414213562": (KESCO, ["23456789"]),
    "0023456789": (PVVNL, []),  # without its zeros the same as the old number above
    "0987654321": (KESCO, []),
    "0000000042": (KESCO, []),
    "1732050807": (KESCO, ["654321"]),
    "2236067977": (KESCO, ["0654321"]),  # differs in a zero in front only
    "0000777777": (KESCO, ["777777"]),  # both its numbers fit what is typed
}


@pytest.fixture(scope="module", autouse=True)
def people(module_database: Database) -> Iterator[None]:
    town(())
    places = {code: division_named(discom_named(code), name) for code, name in ((KESCO, GUMTI), (PVVNL, MEERUT))}
    for number, (company, old_numbers) in PEOPLE.items():
        consumer = Consumer.objects.create(name="Asha", name_key="asha")
        place = places[company]
        IssuedNumber.objects.create(number=number, discom=place.discom, account=number, issued_at=ARRIVED)
        connection = Connection.objects.create(
            consumer=consumer,
            discom=place.discom,
            division=place,
            account_number=number,
            connected_on=dt.date(2020, 1, 1),
        )
        for old in old_numbers:
            OldNumber.objects.create(connection=connection, discom=place.discom, number=old)
    for place in places.values():
        NumberWindow.objects.create(discom=place.discom, last_day=OLD_UNTIL, source="test", known_at=ARRIVED)
    yield


@pytest.fixture
def console(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Console":
    return Console(capsys, monkeypatch)


class Console:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def run(self, *arguments: str, today: str = BEFORE, verb: str = "resolve") -> tuple[int, str, str]:
        self.monkeypatch.setenv("KHATA_TODAY", today)
        code = main(["number", verb, *arguments])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def resolve(self, *arguments: str, today: str = BEFORE) -> tuple[str, list[str]]:
        code, out, _ = self.run("--json", *arguments, today=today)
        answer = json.loads(out)
        assert code == 0
        assert list(answer) == ["result", "matches"]
        assert all(list(match) == ["number", "discom", "why", "honoured"] for match in answer["matches"])
        return answer["result"], [match["number"] for match in answer["matches"]]


@pytest.mark.parametrize(
    "typed", ["3141592653", " 3141 592-653 ", "३१४१५९२६५३", "3141\u00a0592\u200b653", "3141–592653"]
)
def test_an_account_number_as_people_type_it(console: Console, typed: str) -> None:
    assert console.resolve(typed) == ("one", ["3141592653"])


def test_the_whole_answer(console: Console) -> None:
    _, out, _ = console.run("23456789", "--discom", "kesco", "--json")
    why = "old number, honoured until 2024-09-13"
    match = {"number": "1414213562", "discom": KESCO, "why": why, "honoured": True}
    assert json.loads(out) == {"result": "one", "matches": [match]}


@pytest.mark.parametrize("typed", ["3141592654", "999999", "999999999", "0", "1234567890"])
def test_a_number_of_nobody(console: Console, typed: str) -> None:
    assert console.resolve(typed) == ("none", [])


def test_the_same_old_number_in_two_companies_gives_both(console: Console) -> None:
    assert console.resolve("1234567") == ("many", ["3141592653", "2718281828"])
    assert console.resolve("1234567", "--discom", KESCO) == ("one", ["3141592653"])
    assert console.resolve("1234567", "--discom", PVVNL) == ("one", ["2718281828"])
    asked = resolve(typed="1234567", today=dt.date.fromisoformat(BEFORE), discom="pvvnl")  # as a channel may send it
    assert [match.number for match in asked.matches] == ["2718281828"]


@pytest.mark.parametrize(
    ("typed", "result"),
    [
        ("KESCO 1234567", ("one", ["3141592653"])),
        ("pvvnl-1234567", ("one", ["2718281828"])),
        (" KESCO: १२३४ ५६७", ("one", ["3141592653"])),
        ("KESCO-3141592653", ("one", ["3141592653"])),
        ("(kesco)\u20113141592653", ("one", ["3141592653"])),
        ("PVVNL\u200b — 1234567", ("one", ["2718281828"])),
        ("PVVNL 3141592653", ("none", [])),
    ],
)
def test_a_company_s_code_may_stand_in_front(console: Console, typed: str, result: tuple[str, list[str]]) -> None:
    assert console.resolve(typed) == result


def test_a_code_in_front_and_another_company_asked_for_fit_nobody(console: Console) -> None:
    assert console.resolve("KESCO 1234567", "--discom", PVVNL) == ("none", [])


def test_an_old_number_is_honoured_through_its_last_day_in_india_and_finds_for_ever(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(today: str) -> tuple[bool, str]:
        (match,) = json.loads(console.run("--json", "0012345", today=today)[1])["matches"]
        assert match["number"] == "1618033988"
        return match["honoured"], match["why"]

    inside = (True, "old number, honoured until 2024-09-13")
    after = (False, "old number, not honoured since 2024-09-14")
    assert (said("2024-09-13"), said("2024-09-14"), said("2030-01-01")) == (inside, after, after)
    assert console.resolve("1618033988", today="2024-09-14") == ("one", ["1618033988"])
    monkeypatch.setenv("KHATA_NOW", "2024-09-13T18:29:59Z")  # a second before midnight in Kanpur
    assert said("") == inside
    monkeypatch.setenv("KHATA_NOW", "2024-09-13T18:30:00Z")
    assert said("") == after


def test_of_two_ways_to_one_connection_that_which_is_honoured_is_told(console: Console) -> None:
    _, out, _ = console.run("777777", "--json", today="2024-09-14")
    why = "account number without its leading zeros"
    assert json.loads(out)["matches"] == [{"number": "0000777777", "discom": KESCO, "why": why, "honoured": True}]


@pytest.mark.parametrize(
    ("typed", "number"),
    [("987654321", "0987654321"), ("42", "0000000042"), ("12345", "1618033988"), ("012345", "1618033988")],
)
def test_zeros_that_a_spreadsheet_has_eaten(console: Console, typed: str, number: str) -> None:
    result, found = console.resolve(typed)
    assert (result, found) == ("one", [number])
    assert "without its leading zeros" in console.run(typed)[1]


def test_zeros_in_front_of_an_old_number_are_not_taken_off(console: Console) -> None:
    assert console.resolve("01234567") == ("none", [])
    assert console.resolve("0654321") == ("one", ["2236067977"])


def test_an_old_number_and_an_account_number_without_its_zeros_give_both(console: Console) -> None:
    assert console.resolve("23456789") == ("many", ["1414213562", "0023456789"])
    assert console.resolve("0023456789") == ("one", ["0023456789"])


def test_two_old_numbers_that_differ_in_a_zero_give_both(console: Console) -> None:
    assert console.resolve("654321") == ("many", ["1732050807", "2236067977"])


def test_two_ways_to_one_connection_are_one_match(console: Console) -> None:
    _, out, _ = console.run("777777", "--json")
    assert json.loads(out) == {
        "result": "one",
        "matches": [
            {
                "number": "0000777777",
                "discom": KESCO,
                "why": "old number, honoured until 2024-09-13",
                "honoured": True,
            }
        ],
    }


@pytest.mark.parametrize(
    "typed", ["", " - ", "31415926535", "3141592653.0", "K3141592653", "+3141592653", "³141592653", "½"]
)
def test_what_cannot_be_a_number_is_refused_without_repeating_it(console: Console, typed: str) -> None:
    code, out, err = console.run("--json", typed)
    assert (code, out) == (2, "")
    assert err.startswith("khata: the account number ")
    assert len(err.splitlines()) == 2
    assert "314159" not in err


def test_a_company_that_is_not_known_is_refused(console: Console) -> None:
    code, _, err = console.run("3141592653", "--discom", "NADIPUR")
    assert code == 2
    assert "KESCO, PVVNL" in err


@pytest.mark.parametrize(
    ("typed", "hindi", "english"),
    [
        ("3141592653", "एक कनेक्शन", "one connection"),
        ("1234567", "एक से अधिक", "more than one"),
        ("999999", "कोई कनेक्शन नहीं", "no connection"),
    ],
)
def test_plain_text_is_hindi_and_english(console: Console, typed: str, hindi: str, english: str) -> None:
    code, out, _ = console.run(typed)
    assert code == 0
    assert hindi in out
    assert english in out


# -- the window of old numbers -----------------------------------------------------------------------------------------

ORDER = "Order 77 of 10 September 2024"


def windows(console: Console, discom: str) -> dict[str, tuple[str | None, str]]:
    code, out, _ = console.run("--discom", discom, "--json", verb="window")
    assert code == 0
    answer = json.loads(out)
    assert answer["discom"] == discom
    return {each["wave"]: (each["last_day"], each["source"]) for each in answer["windows"]}


def extended(console: Console, wave: str, until: str, source: str = ORDER, *, discom: str = KESCO) -> tuple[int, str]:
    code, _, err = console.run(
        "--discom", discom, "--wave", wave, "--until", until, "--source", source, verb="window", today="2024-10-20"
    )
    return code, err


@pytest.fixture(scope="module")
def wave(people: None) -> str:
    """One of its own, so that the windows of the others stay as they are: it brought old number 8080808."""
    place = division_named(discom_named(KESCO), GUMTI)
    number = "4242424242"
    IssuedNumber.objects.create(number=number, discom=place.discom, account=number, issued_at=ARRIVED)
    moved = Connection.objects.create(
        consumer=Consumer.objects.create(name="Bina", name_key="bina"),
        discom=place.discom,
        division=place,
        account_number=number,
        connected_on=dt.date(2020, 1, 1),
        wave="W9",
    )
    OldNumber.objects.create(connection=moved, discom=place.discom, number="8080808")
    NumberWindow.objects.create(
        discom=place.discom, wave="W9", last_day=OLD_UNTIL, source="cut-over 1", known_at=ARRIVED
    )
    return "W9"


def test_an_order_gives_old_numbers_more_time_also_after_their_last_day(console: Console, wave: str) -> None:
    def honoured(today: str) -> list[bool]:
        matches = json.loads(console.run("8080808", "--json", today=today)[1])["matches"]
        return [match["honoured"] for match in matches]

    assert windows(console, KESCO)[wave] == ("2024-09-13", "cut-over 1")
    assert honoured("2024-09-13") == [True] and honoured("2024-10-20") == [False]
    assert extended(console, wave, "2024-12-31") == (0, "")
    assert honoured("2024-10-20") == [True] == honoured("2024-12-31") and honoured("2025-01-01") == [False]
    assert windows(console, KESCO) == {"": ("2024-09-13", "test"), wave: ("2024-12-31", ORDER)}
    assert windows(console, PVVNL) == {"": ("2024-09-13", "test")}  # another company's stays
    record = Record.objects.filter(action="consumers.extend-window").order_by("-id")[0]
    assert (record.reason, record.details) == (ORDER, {"wave": wave, "from": "2024-09-13", "until": "2024-12-31"})
    told = console.run("--discom", "kesco", verb="window")[1]
    assert f"W9  2024-12-31  ({ORDER})" in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("W9", "2024-09-12", ORDER), "promised until"),
        (("W9", "31-12-2030", ORDER), "--until"),
        (("W9", "2030-12-31", " "), "source is empty"),
        (("W1", "2030-12-31", ORDER), "no wave 'W1'"),
        (("gone", "2030-12-31", ORDER), "rolled back"),
    ],
)
def test_no_order_shortens_a_window_or_opens_one_that_a_roll_back_closed(
    console: Console, wave: str, given: tuple[str, str, str], said: str
) -> None:
    if given[0] == "gone":
        NumberWindow.objects.create(
            discom=discom_named(PVVNL), wave="gone", last_day=None, source="rollback 1", known_at=ARRIVED
        )
    before = NumberWindow.objects.count()
    code, err = extended(console, *given, discom=PVVNL if given[0] == "gone" else KESCO)
    assert code == 2 and said in err and "Next step: " in err
    assert NumberWindow.objects.count() == before


def test_an_extension_is_whole_or_none(console: Console) -> None:
    code, _, err = console.run("--discom", KESCO, "--until", "2024-12-31", verb="window")
    assert code == 2 and "--wave, --until, --source" in err
    assert console.run("--discom", "NADIPUR", verb="window")[0] == 2
