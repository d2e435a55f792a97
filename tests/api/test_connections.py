"""What a consumer is answered by the API, and that nobody else's number answers differently from none at all."""

import io
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse

from khata.api import own
from khata.billing.models import Bill
from khata.site import logs
from tests.database import Database
from tests.portal.scene import TODAY, Scene, browser, web

NOWHERE = 999_999_999
BELOW = ("", "/usage", "/days/2024-05-10", "/bills", "/bills/{bill}", "/bills/{bill}/change", "/forecast")


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database)
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


def get(client: Any, path: str) -> HttpResponse:
    response: HttpResponse = client.get(f"/api/v1{path}")
    return response


def data(response: HttpResponse) -> Any:
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def test_own_connections_and_nothing_of_whom(scene: Scene) -> None:
    client = scene.consumer("Ashalata", "Dukanwali")
    found = data(get(client, "/connections"))
    accounts = scene.town.accounts
    assert {each["number"] for each in found["connections"]} == {accounts["Ashalata"], accounts["Dukanwali"]}
    assert "Ashalata" not in json.dumps(found)
    shop = data(get(client, f"/connections/{accounts['Dukanwali']}"))
    assert (shop["number"], shop["company"], shop["newest_day"]) == (accounts["Dukanwali"], "KESCO", "2024-05-31")


def test_a_connection_that_the_session_did_not_open_is_not_there(scene: Scene) -> None:
    """The shop stands under the same mobile, but this session was opened for the house alone."""
    client = scene.consumer("Ashalata")
    assert [each["number"] for each in data(get(client, "/connections"))["connections"]] == [
        scene.town.accounts["Ashalata"]
    ]
    assert get(client, f"/connections/{scene.town.accounts['Dukanwali']}").status_code == 404


@pytest.mark.parametrize("below", BELOW)
def test_a_number_of_somebody_else_answers_like_a_number_of_nobody(scene: Scene, below: str) -> None:
    client = scene.consumer("Ashalata")

    def answer(number: str, connection: int) -> tuple[int, bytes, set[str]]:
        response = get(client, f"/connections/{number}{below.format(bill=scene.bills.get(connection, NOWHERE))}")
        return response.status_code, response.content, set(response.headers)

    towns = scene.town
    never = answer("0000000001", NOWHERE)
    assert never[0] == 404
    assert json.loads(never[1])["next"]
    for other in ("Binadevi", "Charanjit", "Dukanwali", "Ektarani"):
        assert answer(towns.accounts[other], towns.connections[other]) == never
    for odd in ("1", "12345678901", "abcdefghij", "१२३४५६७८९०", "0' or '1'='1"):
        assert answer(odd, NOWHERE) == never
    # One's own number with another's bill is no way round.
    if "{bill}" in below:
        own_number = towns.accounts["Ashalata"]
        for other in ("Binadevi", "Charanjit", "Dukanwali"):
            assert answer(own_number, towns.connections[other]) == never
        assert answer(own_number, NOWHERE) == never


def test_each_own_address_answers(scene: Scene) -> None:
    client, number = scene.consumer("Ashalata"), scene.town.accounts["Ashalata"]
    bill = scene.bills[scene.town.connections["Ashalata"]]
    for below in BELOW:
        if below.endswith("/change"):
            continue  # there is one bill: nothing to compare it with
        response = get(client, f"/connections/{number}{below.format(bill=bill)}")
        assert response.status_code == 200, below
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("below", BELOW)
def test_nobody_and_staff_are_not_answered(scene: Scene, below: str) -> None:
    path = f"/connections/{scene.town.accounts['Ashalata']}{below.format(bill=1)}"
    response = get(browser(), path)
    assert (response.status_code, response.headers["Content-Type"]) == (401, "application/problem+json")
    assert get(scene.worker(scene.officers["Gumti"]), path).status_code == 404
    with_bearer = browser().get(f"/api/v1{path}", headers={"authorization": "Bearer khata_md_x"})
    assert with_bearer.status_code == 401


def test_usage_by_days_and_pages(scene: Scene) -> None:
    client, number = scene.consumer("Ashalata"), scene.town.accounts["Ashalata"]
    found = data(get(client, f"/connections/{number}/usage?from=2024-05-01&to=2024-05-31"))
    assert [day["day"] for day in found["days"]] == [f"2024-05-{n:02d}" for n in range(1, 32)]
    assert {day["origin"] for day in found["days"]} == {"actual"}
    assert found["days"][0]["origins"] == "-" * 48  # only totals in this scene
    assert found["next"] is None
    assert found["newest_day"] == "2024-05-31"
    # Days that are not over do not come; a year comes in four pages, each day once.
    assert data(get(client, f"/connections/{number}/usage?from={TODAY}&to=2030-01-01"))["days"] == []
    path, days = f"/connections/{number}/usage?from=2023-06-01&to=2024-05-31", []
    page = data(get(client, path))
    while page["next"]:
        assert len(page["days"]) == 92
        days += page["days"]
        page = data(get(client, f"{path}&cursor={page['next']}"))
    days += page["days"]
    assert [day["day"] for day in days] == sorted({day["day"] for day in days})
    assert (days[0]["day"], days[-1]["day"], len(days)) == ("2023-06-01", "2024-05-31", 366)
    assert days[0]["origin"] is None  # nothing is stored of it, and it says so


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from=2024-05-31&to=2024-05-01", 400),
        ("from=1717113600", 422),
        ("from=2024-02-30", 422),
        ("from=२०२४-०५-०१", 422),
        ("cursor=2024-05-01", 422),
        ("cursor=12345678.1", 422),
        ("from=9999-12-31&to=9999-12-31", 200),
        ("from=0001-01-01&to=0001-01-01", 200),
        ("to=0001-01-01", 200),
        ("cursor=9999999.9999999999999999999", 200),
        ("cursor=0.0", 200),
    ],
)
def test_days_are_read_strictly(scene: Scene, query: str, status: int) -> None:
    client, number = scene.consumer("Ashalata"), scene.town.accounts["Ashalata"]
    response = get(client, f"/connections/{number}/usage?{query}")
    assert response.status_code == status, response.content
    if status != 200:
        told = json.loads(response.content)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert set(told) == {"type", "title", "status", "detail", "where", "next"}
        assert all(told[name] for name in told)


def test_a_bill_with_its_lines(scene: Scene) -> None:
    client, number = scene.consumer("Ashalata"), scene.town.accounts["Ashalata"]
    (listed,) = data(get(client, f"/connections/{number}/bills"))["bills"]
    stored = Bill.objects.filter(id=listed["bill"])
    assert not stored.exists()  # outside the request the web sees none of it
    found = data(get(client, f"/connections/{number}/bills/{listed['bill']}"))
    amounts = [line["amount_paise"] for line in found["lines"] if line["amount_paise"] is not None]
    assert sum(amounts) == found["payable_paise"]
    assert any(line["clause"] for line in found["lines"])
    assert "Ashalata" not in json.dumps(found)


def test_why_a_bill_changed(scene: Scene) -> None:
    """Against itself nothing did; before it there is none."""
    client, number = scene.consumer("Ashalata"), scene.town.accounts["Ashalata"]
    bill = scene.bills[scene.town.connections["Ashalata"]]
    path = f"/connections/{number}/bills/{bill}/change"
    found = data(get(client, f"{path}?against={bill}"))
    assert (found["difference_paise"], found["factors"], found["paise"]) == (0, [], found["before_paise"])
    for query in ("", "?against=last-year", f"?against={NOWHERE}", "?against=9999999999999999999"):
        assert get(client, path + query).status_code == 404
    assert get(client, f"{path}?against=x").status_code == 422


def test_too_many_requests_of_one_consumer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "MOST", 3)
    client = scene.consumer("Binadevi")
    assert [get(client, "/connections").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert get(client, "/connections").headers["Retry-After"] == "900"


def test_a_session_whose_mobile_changed_is_over(scene: Scene) -> None:
    client = scene.consumer("Ektarani")
    scene.owner(
        "update consumers_consumer set mobile_key = '9876543299' where id = %s", scene.town.consumers["Ektarani"]
    )
    assert get(client, "/connections").status_code == 401
    assert get(client, f"/connections/{scene.town.accounts['Ektarani']}").status_code == 401
    assert client.get("/").headers["Location"] == "/sign-in/"


def test_no_number_of_a_person_reaches_the_log(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a page that is not there, not by a fault of ours and what it quotes."""
    (handler,) = (each for each in logging.getLogger("django").handlers if isinstance(each.formatter, logs.Masked))
    log = io.StringIO()
    monkeypatch.setattr(handler, "stream", log)
    client, account = scene.consumer("Ashalata"), scene.town.accounts["Binadevi"]
    assert get(client, f"/connections/{account}").status_code == 404
    assert client.get(f"/api/v1/nothing/{account}").status_code == 404
    client.raise_request_exception = False
    monkeypatch.setattr("khata.api.own.own_connections", _fault)
    fault = get(client, f"/connections/{account}")
    assert (fault.status_code, json.loads(fault.content)["type"]) == (500, "urn:khata:problem:fault")
    said = log.getvalue()
    assert said.count("Not Found: /api/v1/") == 2  # so it is the log that was looked at
    assert "RuntimeError: the mobile … is on …" in said
    for mark in (account, "9876543211"):
        assert mark not in said


def _fault() -> None:
    raise RuntimeError("the mobile 9876543211 is on 9876543211 already")


def test_the_mask_of_the_log_leaves_what_is_no_number_of_a_person() -> None:
    masked = logs._NUMBER.sub("…", "line 12345, id 42, 2024-06-20, 1234567, +919876543210, 98765432100001")
    assert masked == "line 12345, id 42, 2024-06-20, …, …, 98765432100001"


def test_the_description_is_there_for_everybody(scene: Scene) -> None:
    found = json.loads(browser().get("/api/v1/openapi.json").content)
    assert found["openapi"].startswith("3.1")
    assert all(operation["security"] for path in found["paths"].values() for operation in path.values())
    for path in ("", "docs", "redoc", "swagger"):
        assert browser().get(f"/api/v1/{path}").status_code == 404


@pytest.mark.parametrize(
    ("header", "detail", "next_step"),
    [
        ("hi-IN,hi;q=0.9,en;q=0.8", "इस पते पर कुछ नहीं है", "उसमें लिखा नंबर जाँचें"),
        ("en-IN,en;q=0.9,hi;q=0.5", "there is nothing at this address", "Check the number in it"),
        ("fr", "there is nothing at this address", "Check the number in it"),
        ("", "there is nothing at this address", "Check the number in it"),
    ],
)
def test_an_error_is_told_in_the_language_that_the_header_asks_for(
    scene: Scene, header: str, detail: str, next_step: str
) -> None:
    client = browser()
    client.cookies.update(scene.consumer("Ashalata").cookies)
    client.cookies.pop("khata_language", None)
    answer = client.get(f"/api/v1/connections/{NOWHERE}/forecast", headers={"accept-language": header})
    told = json.loads(answer.content)
    assert (told["detail"], told["next"], told["type"]) == (detail, next_step, "urn:khata:problem:not-there")
    assert "Accept-Language" in answer.headers["Vary"]


def test_a_value_that_does_not_fit_is_told_in_hindi_too(scene: Scene) -> None:
    client, number = scene.consumer("Ashalata"), scene.town.accounts["Ashalata"]
    answer = client.get(f"/api/v1/connections/{number}/days/yesterday", headers={"accept-language": "hi"})
    told = json.loads(answer.content)
    assert (answer.status_code, told["title"]) == (422, "मान ठीक नहीं")
    assert told["detail"] == "यह 2024-05-31 जैसी तारीख़ नहीं है"
