"""Old and new numbers for anybody: the lists while both count, and a look-up that answers everybody alike."""

import datetime as dt
import io
import os
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from khata.consumers.models import NumberAsked
from khata.consumers.operations import queue_codes
from khata.discoms.models import Discom, Office
from khata.migration.models import ListPolicy, SeenNumber
from khata.migration.telling import set_list_policy
from khata.notices.rules import sign_in_code
from khata.portal import numbers
from tests.cast import GUMTI, JAJMAU, KESCO, Town
from tests.database import Database
from tests.migration.moved import GUMTI_NUMBERS, LAST_DAY, MOVED, grouped, moved_town
from tests.portal.scene import body, browser, held_by, web


class Lists:
    def __init__(self, database: Database, var: Path) -> None:
        self.database, self.var = database, var
        self.town: Town = moved_town()[0]
        self.gumti = Office.objects.get(name_en=GUMTI).id
        self.jajmau = Office.objects.get(name_en=JAJMAU).id

    def admin(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.connect("admin", autocommit=True) as admin:
            found = admin.execute(statement)
            return found.fetchall() if found.description else []

    def publish(self, publish: str) -> None:
        """From the day of the scene on; what a test before had said is forgotten."""
        self.admin("set session_replication_role = replica; delete from migration_listpolicy")
        with self.database.as_role("run"):
            set_list_policy(
                discom=Discom.objects.get(code=KESCO), from_date=MOVED, publish=publish, source="test", actor="test"
            )


@pytest.fixture(scope="module")
def scene(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lists]:
    var = tmp_path_factory.mktemp("var")
    os.environ["KHATA_TODAY"] = str(MOVED)
    made = Lists(module_database, var)
    with override_settings(KHATA_VAR=var), web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


@pytest.fixture(autouse=True)
def no_tries_yet(scene: Lists) -> None:
    """Every test begins with open lists and no try counted."""
    os.environ["KHATA_TODAY"] = str(MOVED)
    scene.admin("set session_replication_role = replica; delete from migration_listpolicy; delete from discoms_limit")


def today(day: dt.date) -> None:
    os.environ["KHATA_TODAY"] = str(day)


def of_gumti(scene: Lists, more: str = "") -> HttpResponse:
    return browser().get(f"/numbers/{scene.gumti}/{more}")


def personal(scene: Lists, text: str) -> list[str]:
    """What of the people may stand on no public page."""
    homes = ("Asha", "Bina", "Silent", "Shared", "Ekta")
    return [mark for mark in (*homes, "Gumti No. 5", "9876543210", "9876543211", "Jajmau Road") if mark in text]


# -- lists -------------------------------------------------------------------------------------------------------------


def test_the_lists_name_divisions_and_each_list_its_numbers_and_nobody(scene: Lists) -> None:
    index = browser().get("/numbers/").content.decode()
    assert f'href="/numbers/{scene.gumti}/"' in index and f'href="/numbers/{scene.jajmau}/"' in index
    assert "Naubasta" not in index  # nobody moved there
    page = of_gumti(scene).content.decode()
    rows = page[page.index('class="pairs"') :]
    assert [number for number in GUMTI_NUMBERS if number in rows] == GUMTI_NUMBERS
    assert rows.index(GUMTI_NUMBERS[0]) < rows.index(GUMTI_NUMBERS[1]) < rows.index(GUMTI_NUMBERS[3])
    assert all(grouped(scene.town.accounts[name]) in rows for name in ("Asha", "Bina", "Silent"))
    assert "7654321" not in page and "13 September 2024" in page
    assert personal(scene, index + page) == []


@pytest.mark.parametrize("address", ["", "csv/", "pdf/", "?page=9"])
def test_a_list_is_for_no_search_engine_and_no_cache(scene: Lists, address: str) -> None:
    answer = of_gumti(scene, address)
    assert answer.status_code == 200
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert answer.headers["Cache-Control"] == "no-store"
    if "html" in answer.headers["Content-Type"]:
        assert '<meta name="robots" content="noindex, nofollow">' in answer.content.decode()


def test_the_files_have_the_same_numbers(scene: Lists) -> None:
    lines = of_gumti(scene, "csv/").content.decode().split("\r\n")
    assert lines[:2] == ["old_number,new_number", f"0123456,{scene.town.accounts['Bina']}"]
    assert [line[:7] for line in lines[1:-1]] == GUMTI_NUMBERS
    paper = pypdfium2.PdfDocument(io.BytesIO(of_gumti(scene, "pdf/").content))
    text = "".join(page.get_textpage().get_text_range() for page in paper)
    assert all(number in text for number in GUMTI_NUMBERS)
    assert grouped(scene.town.accounts["Bina"]) in text
    assert personal(scene, text + "".join(lines)) == []


def test_the_paper_is_made_once_for_each_state_of_the_list(scene: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = numbers.list_pdf
    monkeypatch.setattr(numbers, "list_pdf", lambda **given: made.append(1) or real(**given))  # type: ignore[func-returns-value]
    for old in (scene.var / "lists").glob("*"):
        old.unlink()
    first = of_gumti(scene, "pdf/").content
    assert of_gumti(scene, "pdf/").content == first and made == [1]
    scene.publish("masked")
    assert of_gumti(scene, "pdf/").content != first and made == [1, 1]
    assert of_gumti(scene, "pdf/?part=2").status_code == 404  # there is no such part


def test_with_the_window_a_list_is_gone_as_if_it_had_never_been(scene: Lists) -> None:
    today(LAST_DAY)
    assert of_gumti(scene).status_code == 200 and of_gumti(scene, "pdf/").status_code == 200
    kept = scene.var / "lists"
    assert list(kept.glob(f"{scene.gumti}-*.pdf"))
    today(LAST_DAY + dt.timedelta(days=1))
    never = [browser().get(f"/numbers/{number}/") for number in (999_999, 2**40, 10**30)]
    answers = [of_gumti(scene, more) for more in ("", "csv/", "pdf/", "?page=2")]
    answers.append(browser().post(f"/numbers/{scene.gumti}/", {"number": "1234567"}))
    assert {(each.status_code, body(each), tuple(sorted(each.headers))) for each in [*never, *answers]} == {
        (404, body(never[0]), tuple(sorted(never[0].headers)))
    }
    assert not list(kept.glob(f"{scene.gumti}-*.pdf"))
    assert "No list is open" in browser().get("/numbers/").content.decode()


def test_a_company_may_publish_none_or_hide_the_middle(scene: Lists) -> None:
    scene.publish("off")
    assert of_gumti(scene).status_code == 404
    assert f"/numbers/{scene.gumti}/" not in browser().get("/numbers/").content.decode()
    scene.publish("masked")
    page, table = of_gumti(scene).content.decode(), of_gumti(scene, "csv/").content.decode()
    paper = pypdfium2.PdfDocument(io.BytesIO(of_gumti(scene, "pdf/").content))
    text = page + table + "".join(each.get_textpage().get_text_range() for each in paper)
    assert "01***56" in page and "01***56" in table
    for name, account in scene.town.accounts.items():
        assert account not in text and grouped(account) not in text, name
    assert [number for number in GUMTI_NUMBERS if number in text] == []


def test_pages_follow_each_other_and_an_old_number_leads_to_its_page(
    scene: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "A_PAGE", 2)
    first, second = (of_gumti(scene, f"?page={page}").content.decode() for page in (1, 2))
    assert "0123456" in first and "1234569" not in first and "1234569" in second
    assert f"/numbers/{scene.gumti}/?page=2" in first and 'rel="prev"' not in first and 'rel="next"' not in second
    assert of_gumti(scene, "?page=77").content.decode().count("1234569") == second.count("1234569")
    asked = {
        typed: browser().post(f"/numbers/{scene.gumti}/", {"number": typed}) for typed in ("0123456", "१२३४५६८", "99")
    }
    assert [each.headers["Location"][-6:] for each in asked.values()] == ["page=1", "page=2", "page=3"]


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 40, "१", ""])
def test_a_page_number_that_is_none_is_the_first_page_or_the_last(scene: Lists, page: str) -> None:
    assert "0123456" in of_gumti(scene, f"?page={page}").content.decode()


def test_whoever_looks_too_often_waits_and_each_look_is_written_down_without_an_address(
    scene: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "FILES", 2)
    before = scene.admin("select count(*) from audit_record where action = 'migration.list-seen'")[0][0]
    statuses = [browser(address="10.7.7.7").get(f"/numbers/{scene.gumti}/csv/").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert browser(address="10.7.7.8").get(f"/numbers/{scene.gumti}/csv/").status_code == 200
    seen = scene.admin(
        "select actor, object, details from audit_record where action = 'migration.list-seen' order by id"
    )
    assert len(seen) == before + 3  # type: ignore[operator]
    assert seen[-1] == ("anyone", f"discoms:office:{scene.gumti}", {"as": "csv", "page": 1})


# -- the look-up -------------------------------------------------------------------------------------------------------

OURS, NOBODYS = "1234567", "7777777"


def look_up(typed: str, company: str = "", *, language: str = "hi") -> HttpResponse:
    return browser(language=language).post("/number/", {"number": typed, "company": company})


@pytest.mark.parametrize("typed", [NOBODYS, "1234569", "0", "", "x" * 5000, "१२३४५६७", "'; drop table", "12345678901"])
@pytest.mark.parametrize("company", ["", KESCO, "NOBODY"])
def test_whatever_is_typed_the_answer_is_the_same_to_the_byte(scene: Lists, typed: str, company: str) -> None:
    ours, other = look_up(OURS, KESCO), look_up(typed, company)
    assert (other.status_code, body(other)) == (200, body(ours))
    assert set(other.headers) == set(ours.headers)
    assert OURS not in ours.content.decode()
    assert "रात में पूछेंगे तो सुबह आ सकता है" in ours.content.decode()


def test_a_hit_asks_the_database_the_same_as_a_miss(scene: Lists) -> None:
    asked = []
    for typed in (OURS, NOBODYS, "no number"):
        with CaptureQueriesContext(connection) as queries:
            look_up(typed)
        asked.append([re.sub(r"'[^']*'", "?", query["sql"]) for query in queries])
    assert asked[0] == asked[1] == asked[2] and asked[0]


def test_a_hit_takes_no_longer_than_a_miss(scene: Lists) -> None:
    """Of pairs asked one after the other, the hit is the slower one about half of the time."""
    taken: dict[str, list[float]] = {OURS: [], NOBODYS: []}
    for at in range(40):
        for typed in (OURS, NOBODYS) if at % 2 else (NOBODYS, OURS):
            if at % 10 == 0:
                scene.admin("delete from discoms_limit")
            start = time.perf_counter()
            look_up(typed)
            taken[typed].append(time.perf_counter() - start)
    hit, miss = (statistics.median(times) for times in taken.values())
    assert abs(hit - miss) < 0.25 * max(hit, miss)


def test_what_was_typed_waits_for_the_worker_with_its_company(scene: Lists) -> None:
    look_up(OURS, KESCO)
    with scene.database.as_role("run"):
        assert NumberAsked.objects.latest("id").typed == f"{KESCO} {OURS}"


def test_too_many_look_ups_from_one_address_wait(scene: Lists) -> None:
    statuses = [look_up(NOBODYS).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]


def test_the_pages_before_sign_in_lead_there(scene: Lists) -> None:
    page = browser(language="").get("/sign-in/").content.decode()
    assert 'href="/numbers/"' in page and 'href="/number/"' in page and "पुराना नंबर → नया नंबर" in page


def test_a_sign_in_by_its_code_shows_that_the_new_number_is_known(scene: Lists) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": "9876543214"})
    (nonce, digits), *_ = scene.admin(
        f"select nonce, digits from consumers_signin where id = '{held_by(client)['asked']['id']}'"
    )
    with scene.database.as_role("run"):
        assert queue_codes(now=dt.datetime.now(dt.UTC), key=settings.SECRET_KEY) == 1
    code = sign_in_code(str(nonce), settings.SECRET_KEY.encode(), digits=int(str(digits)))
    assert client.post("/sign-in/code/", {"code": "0" * len(code)}).status_code == 200
    with scene.database.as_role("run"):
        assert not SeenNumber.objects.exists()
    assert client.post("/sign-in/code/", {"code": code}).status_code == 302
    with scene.database.as_role("run"):
        assert [each.connection_id for each in SeenNumber.objects.all()] == [scene.town.connections["Ekta"]]
        assert not ListPolicy.objects.exists()
