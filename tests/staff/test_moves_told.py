"""The door, the slips and the list with names on the officers' pages, after a wave has been cut over."""

import os
from collections.abc import Iterator

import pytest
from django.test import override_settings

from khata.audit.models import Record
from khata.discoms.models import Office
from khata.migration.models import Told, Wave
from tests.cast import GUMTI, JAJMAU, KESCO, post_staff
from tests.database import Database
from tests.migration.moved import moved_town
from tests.staff.conftest import PLAIN_FILES
from tests.staff.test_counter import text
from tests.staff.test_moves import Move

TODAY = "2024-06-20"


@pytest.fixture(scope="module")
def move(module_database: Database) -> Iterator[Move]:
    """Four accounts of a book in Gumti and one in Jajmau, none of whom has been told."""
    _, wave = moved_town()
    gumti, jajmau = (Office.objects.get(discom__code=KESCO, kind="division", name_en=each) for each in (GUMTI, JAJMAU))
    people = {
        "om": post_staff("om", "Om", "officer", gumti),
        "far": post_staff("far", "Far", "officer", jajmau),
        "first": post_staff("first", "First", "officer", Office.objects.get(discom__code=KESCO, kind="company")),
    }
    os.environ["KHATA_TODAY"] = TODAY
    with override_settings(STORAGES=PLAIN_FILES, KHATA_COMPANY=KESCO), module_database.as_role("app"):
        yield Move(module_database, wave, people)
    del os.environ["KHATA_TODAY"]


def division(move: Move, name: str) -> str:
    office = Office.objects.get(discom__code=KESCO, kind="division", name_en=name)
    return f"{move.page}divisions/{office.id}/"


def test_progress_stands_per_division_of_the_post(move: Move) -> None:
    own, whole = (text(move.browser(login), f"{move.page}?show=told") for login in ("om", "first"))
    assert division(move, GUMTI) in own and division(move, JAJMAU) not in own
    assert division(move, GUMTI) in whole and division(move, JAJMAU) in whole
    assert "Old numbers are accepted through 13 September 2024." in own
    assert "No payment came since." in own


def test_slips_of_a_book_are_a_pdf_for_its_own_office(move: Move) -> None:
    page = f"{division(move, GUMTI)}slips/?book=B1"
    response = move.browser("om").get(page, secure=True)
    assert response.status_code == 200 and response.content.startswith(b"%PDF")
    text(move.browser("far"), page, status=404)
    text(move.browser("om"), f"{division(move, GUMTI)}slips/?book=B2", status=404)
    text(move.browser("om"), f"{division(move, GUMTI)}slips/?book=B1&part=2", status=404)


def test_the_list_with_names_asks_a_reason_and_is_written_down(move: Move) -> None:
    page = f"{division(move, GUMTI)}list/"
    assert "What the names are wanted for" in text(move.browser("om"), page)
    status, shown = move.send("om", page, reason="short")
    assert status == 200 and "in a sentence" in shown and "Asha" not in shown
    status, shown = move.send("om", page, reason="Round of the meter readers in June")
    assert status == 200 and shown.startswith("old_number,new_number,name")
    assert shown.count("\r\n") == 5 and "Asha" in shown and "Ekta" not in shown
    assert move.send("far", page, reason="Round of the meter readers in June")[0] == 404
    with move.database.as_role("run"):
        noted = Record.objects.filter(action="migration.list-with-names").latest("id")
    assert noted.actor == f"staff:{move.people['om'].id}" and "meter readers" in noted.reason


def test_a_book_is_noted_as_told_but_for_the_closed_doors(move: Move) -> None:
    page = f"{division(move, GUMTI)}door/"
    shown = text(move.browser("om"), page)
    assert ">B1<" in shown and ">B9<" not in shown and "F1, F2" in shown
    text(move.browser("far"), page, status=404)
    form = {"book": "B1", "reader": "Ram Kumar", "day": "2024-06-19", "closed": "1234569"}
    for change, said in (
        ({"day": "2024-06-21"}, "nobody could have been told"),
        ({"day": "2024-03-13"}, "nobody could have been told"),
        ({"day": "x"}, "Write the day"),
        ({"reader": " "}, "name of the reader"),
        ({"book": "B7"}, "everybody has been told"),
        ({"closed": "7654321"}, "not of this book"),
        ({"closed": "nobody"}, "not of this book"),
    ):
        status, shown = move.send("om", page, **(form | change))
        assert (status, said in shown) == (200, True), change
    assert move.send("far", page, **form)[0] == 404
    assert move.send("om", page, **form)[0] == 303
    with move.database.as_role("run"):
        told = set(Told.objects.values_list("connection__oldnumber__number", "reader", "staff__login"))
    assert told == {(number, "Ram Kumar", "om") for number in ("0123456", "1234567", "1234568")}
    after = text(move.browser("om"), f"{page}?noted=3")
    assert "3 accounts are noted as told" in after and '<td class="amount">1</td>' in after
    assert move.send("om", page, **(form | {"closed": ""}))[0] == 303
    assert "Everybody here has been told" in text(move.browser("om"), page)


def test_of_a_wave_that_is_not_live_nobody_is_told(move: Move) -> None:
    with move.database.as_role("run"):
        other = Wave.objects.create(discom=move.wave.discom, code="w2")
    page = division(move, GUMTI).replace(move.page, f"/staff/moves/{other.id}/")
    assert "nobody to tell yet" in text(move.browser("om"), f"{page}door/")
    text(move.browser("om"), f"{page}slips/?book=B1", status=404)
    status, shown = move.send("om", f"{page}door/", book="B1", reader="Ram Kumar", day="2024-06-19")
    assert status == 200 and "nobody could have been told" in shown
