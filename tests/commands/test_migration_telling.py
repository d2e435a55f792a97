"""`khata migration lists | slips | told`."""

import csv
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest

from khata.audit.models import Record
from khata.commands.main import main
from khata.discoms.models import Office, Post, Staff
from khata.migration.models import ListPolicy, Told, Wave
from tests.cast import ARRIVED, GUMTI, JAJMAU, KESCO, Town, day
from tests.database import Database
from tests.migration.moved import AFTER, GUMTI_NUMBERS, MOVED, as_after_the_cut_over, grouped, moved_town


@pytest.fixture(scope="module")
def made(module_database: Database) -> Town:
    return moved_town()[0]


@pytest.fixture(autouse=True)
def built(made: Town, module_database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv("KHATA_TODAY", str(MOVED))
    yield made
    as_after_the_cut_over(module_database)


def said(capsys: pytest.CaptureFixture[str], verb: str, *more: str, wave: str = "w1") -> tuple[int, str, str]:
    code = main(["migration", verb, "--discom", KESCO, "--wave", wave, *more])
    return (code, *capsys.readouterr())


def told(capsys: pytest.CaptureFixture[str], verb: str, *more: str) -> dict[str, object]:
    code, out, err = said(capsys, verb, *more, "--json")
    assert code == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def text_of(path: Path) -> str:
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path))


def officer(login: str = "sita", division: str = GUMTI, role: str = "officer") -> Staff:
    person = Staff.objects.create(login=login, name=login.title(), password="!")
    office = Office.objects.get(name_en=division, kind="division")
    Post.objects.create(staff=person, office=office, role=role, from_date=day("2024-01-01"), known_at=ARRIVED)
    return person


# -- lists -------------------------------------------------------------------------------------------------------------


def test_lists_are_written_for_each_division(capsys: pytest.CaptureFixture[str], built: Town, tmp_path: Path) -> None:
    found = told(capsys, "lists", "--out", str(tmp_path))
    assert (found["publish"], found["numbers"]) == ("numbers", 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"KESCO-{division}{end}" for division in (GUMTI, JAJMAU) for end in ("-1.pdf", ".csv")
    ]
    rows = list(csv.reader((tmp_path / f"KESCO-{GUMTI}.csv").open(newline="")))
    assert rows[0] == ["old_number", "new_number"] and [old for old, _ in rows[1:]] == GUMTI_NUMBERS
    text = text_of(tmp_path / f"KESCO-{GUMTI}-1.pdf")
    assert "0123456" in text and grouped(built.accounts["Bina"]) in text and "Bina" not in text


def test_a_company_s_word_on_its_lists_is_set_and_kept_to(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert said(capsys, "lists", "--set", "off")[0] == 2  # no source
    assert not ListPolicy.objects.exists()
    code, out, _ = said(capsys, "lists", "--set", "off", "--source", "Order 7")
    assert (code, out) == (0, "KESCO publishes from 2024-03-14 on: off\n")
    code, _, err = said(capsys, "lists", "--out", str(tmp_path))
    assert code == 2 and "publishes no numbers" in err and not list(tmp_path.iterdir())
    assert said(capsys, "lists")[0] == 2  # neither set nor out


def test_after_the_window_there_is_no_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHATA_TODAY", str(AFTER))
    code, _, err = said(capsys, "lists", "--out", str(tmp_path))
    assert code == 2 and "2024-09-13" in err and not list(tmp_path.iterdir())


def test_names_are_for_the_division_s_officer_with_a_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    person = officer()
    officer("clerk", role="cashier")
    with_names = ("--with-names", "--out", str(tmp_path))
    for more in ((), ("--as", "nobody"), ("--as", "clerk", "--reason", "round"), ("--as", "sita")):
        assert said(capsys, "lists", *with_names, *more)[0] == 2, more
    assert not list(tmp_path.iterdir()) and not Record.objects.filter(action="migration.list-with-names").exists()
    found = told(capsys, "lists", *with_names, "--as", "sita", "--reason", "round of April")
    assert found["numbers"] == 4
    (made,) = tmp_path.iterdir()
    rows = list(csv.DictReader(made.open(newline="")))
    assert made.name == f"KESCO-w1-{GUMTI}-names.csv" and [row["name"] for row in rows][:2] == ["Bina", "Asha"]
    noted = Record.objects.get(action="migration.list-with-names")
    assert (noted.actor, noted.reason) == (f"staff:{person.id}", "round of April")


# -- slips -------------------------------------------------------------------------------------------------------------


def test_slips_for_those_not_told_a_file_a_book(
    capsys: pytest.CaptureFixture[str], built: Town, tmp_path: Path
) -> None:
    found = told(capsys, "slips", "--out", str(tmp_path))
    assert (found["slips"], found["pages"]) == (5, 2)
    assert found["files"] == [
        {"division": GUMTI, "book": "B1", "slips": 4, "file": "KESCO-w1-Gumti-B1.pdf"},
        {"division": JAJMAU, "book": "B9", "slips": 1, "file": "KESCO-w1-Jajmau-B9.pdf"},
    ]
    text = text_of(tmp_path / "KESCO-w1-Gumti-B1.pdf")
    places = [text.index(grouped(built.accounts[name])) for name in ("Shared", "Bina", "Silent", "Asha")]
    assert places == sorted(places)  # feeder, then address
    assert "0123456" in text and "14 Gumti No. 5" in text and "मीटर वही है" in text and "1912" in text
    assert "₹" not in text
    noted = Record.objects.get(action="migration.slips")
    assert (noted.actor, noted.details["slips"]) == ("command", 5)


def test_slips_can_be_narrowed_and_a_file_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert told(capsys, "slips", "--out", str(tmp_path), "--division", GUMTI, "--feeder", "F2")["slips"] == 1
    assert told(capsys, "slips", "--out", str(tmp_path), "--book", "B7")["slips"] == 0
    (tmp_path / "file").write_text("")
    code, _, err = said(capsys, "slips", "--out", str(tmp_path / "file"))
    assert code == 2 and "Next step" in err
    assert said(capsys, "slips", "--out", str(tmp_path), "--division", "Nowhere")[0] == 2


def test_a_wave_that_is_not_live_or_keeps_its_numbers_needs_none(
    capsys: pytest.CaptureFixture[str], built: Town, tmp_path: Path
) -> None:
    discom = Office.objects.get(name_en=GUMTI).discom
    Wave.objects.create(discom=discom, code="w2")
    Wave.objects.create(discom=discom, code="w3", numbers="kept")
    for wave, why in (("w2", "is not live"), ("w3", "keep their numbers"), ("w9", "there is no wave")):
        code, _, err = said(capsys, "slips", "--out", str(tmp_path), wave=wave)
        assert code == 2 and why in err


# -- told --------------------------------------------------------------------------------------------------------------


def test_a_book_is_told_at_the_door_but_for_closed_doors(
    capsys: pytest.CaptureFixture[str], built: Town, tmp_path: Path
) -> None:
    officer()
    book = ("--division", GUMTI, "--book", "B1", "--as", "sita", "--reader", "Mohan")
    assert said(capsys, "told", *book, "--except", "9999999")[0] == 2 and not Told.objects.exists()
    found = told(capsys, "told", *book, "--except", "1234567", grouped(built.accounts["Bina"]))
    assert found == {"noted": 2}
    row = Told.objects.get(connection_id=built.connections["Silent"])
    assert (row.reader, row.told_on, row.staff.login) == ("Mohan", dt.date(2024, 3, 14), "sita")
    progress = told(capsys, "told")
    assert {name: progress[name] for name in ("accounts", "by_sms", "by_door", "by_use", "not_yet")} == {
        "accounts": 5, "by_sms": 0, "by_door": 2, "by_use": 0, "not_yet": 3,
    }  # fmt: skip
    assert "at the door" in said(capsys, "told")[1]


def test_only_an_officer_over_the_division_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    officer("far", JAJMAU)
    book = ("--division", GUMTI, "--book", "B1")
    for more in ((), ("--as", "far"), ("--as", "nobody")):
        assert said(capsys, "told", *book, *more)[0] == 2
    assert said(capsys, "told", "--book", "B1", "--as", "far")[0] == 2  # no division
    assert not Told.objects.exists()
