"""What is personal stays out of logs and addresses: the whole story is played with somebody who would be seen there."""

import datetime as dt
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from khata.notices.backends import Answer, Meta
from khata.notices.operations import send_queued
from khata.payments.rules import check_code
from tests.cast import ASHA, CHARAN, GUMTI, may, smart
from tests.database import Database
from tests.portal.scene import TODAY, Scene, browser, web

NAME, MOBILE, OLD, HOUSE = "Kanarienvogel Kumari", "9191919191", "8383838", "77 Zitterpappel Gali"
CANARY = smart(NAME, may(9_000), mobile=MOBILE, old_number=OLD, address=HOUSE)
HELD = smart("Kanarienvogel Held", may(2_000_000), mobile="9191919192", address=HOUSE)


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database, (ASHA.with_(name="Ashalata"), CHARAN.with_(name="Charanjit"), CANARY, HELD))
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


@pytest.fixture(autouse=True)
def no_tries_yet(scene: Scene) -> None:
    scene.owner("delete from discoms_limit")


class Recorded:
    """Every address that a browser was at or was sent to, and the marks of the canary."""

    def __init__(self, scene: Scene) -> None:
        account = scene.town.accounts[NAME]
        self.marks = (NAME, "kanarienvogel", MOBILE, OLD, HOUSE, account, f"{account[:2]} {account[2:6]} {account[6:]}")
        self.addresses: list[str] = []

    def note(self, response: HttpResponse) -> HttpResponse:
        request: Any = response.wsgi_request  # type: ignore[attr-defined]
        self.addresses += [request.get_full_path(), response.headers.get("Location", "")]
        if "html" in response.headers.get("Content-Type", ""):
            self.addresses += re.findall(r'(?:href|src|action)="([^"]*)"', response.content.decode())
        self.addresses.append(response.headers.get("Content-Disposition", ""))
        return response

    def found_in(self, text: str) -> list[str]:
        return [mark for mark in self.marks if mark.casefold() in text.casefold()]


class Played:
    """A browser that notes where it was."""

    def __init__(self, client: Client, recorded: Recorded) -> None:
        self.client, self.recorded = client, recorded

    def get(self, address: str, **more: Any) -> HttpResponse:
        return self.recorded.note(self.client.get(address, **more))

    def post(self, address: str, form: dict[str, object] | None = None) -> HttpResponse:
        return self.recorded.note(self.client.post(address, form or {}))


def consumers_story(scene: Scene, recorded: Recorded) -> None:
    client = browser()
    visitor = Played(client, recorded)
    visitor.get("/")
    visitor.post("/sign-in/", {"mobile": MOBILE, "next": "/bills/"})
    visitor.post("/sign-in/code/", {"code": "1"})
    assert visitor.post("/sign-in/code/", {"code": scene.code_of(client)}).headers["Location"] == "/bills/"
    bill = scene.bills[scene.town.connections[NAME]]
    for page in ("/", "/pay/", "/bills/", f"/bills/{bill}/", f"/bills/{bill}/pdf/", "/messages/", "/connections/"):
        assert visitor.get(page).status_code == 200, page
    assert NAME in visitor.get("/").content.decode()  # what is looked for would be found
    visitor.get(f"/bills/{scene.bills[scene.town.connections['Ashalata']]}/")
    visitor.post("/connections/", {"connection": MOBILE})
    visitor.post("/check/", {"code": NAME[:6], "tail": MOBILE})
    visitor.post("/sign-in/", {"mobile": MOBILE * 20_000})  # too large
    visitor.post("/sign-out/")


def counters_story(scene: Scene, recorded: Recorded) -> None:
    cashier = Played(scene.worker(scene.desks[GUMTI].staff), recorded)
    for typed in (NAME, MOBILE, OLD, scene.town.accounts[NAME], "kanarienvogel"):
        answer = cashier.post("/staff/find/", {"find": typed})
        assert answer.status_code == 303
        cashier.get(answer.headers["Location"])
    answer = cashier.post("/staff/find/", {"find": OLD})
    pay = answer.headers["Location"]
    cashier.post(f"{pay}take/", {"amount": NAME})
    receipt = cashier.post(f"{pay}take/", {"amount": "50"}).headers["Location"]
    assert cashier.get(receipt).status_code == 200
    assert cashier.get(f"{receipt}pdf/").status_code == 200
    number = scene.desks[GUMTI].receipt_number
    Played(browser(), recorded).get("/receipt/", data={"n": number, "c": check_code(number=number)})


def officers_story(scene: Scene, recorded: Recorded) -> None:
    officer = Played(scene.worker(scene.officers[GUMTI]), recorded)
    held = scene.town.connections[HELD.name]
    address = f"/staff/held/{scene.held[held]}/{held}/"
    for page in ("/staff/", "/staff/held/", address, "/staff/runs/", "/staff/collection/"):
        assert officer.get(page).status_code == 200, page
    officer.post(f"{address}decide/", {"verdict": "keep", "reason": f"{NAME} was not at home"})
    officer.get(f"/staff/connections/{scene.town.connections[NAME]}/")
    answer = officer.post("/staff/find/", {"find": scene.town.accounts[NAME]})
    assert officer.get(answer.headers["Location"]).status_code == 200


def test_logs_and_addresses_tell_of_nobody(
    scene: Scene, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, log = Recorded(scene), io.StringIO()
    handler = logging.StreamHandler(log)
    loggers = [logging.getLogger(name) for name in ("", "django", "khata")]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", logging.INFO)  # of statements alone the log is silent: they are DEBUG
        logger.addHandler(handler)
    try:
        consumers_story(scene, recorded)
        counters_story(scene, recorded)
        officers_story(scene, recorded)
        with scene.database.as_role("run"):
            scene.sent()
            send_queued(backend=Silent(), key=settings.SECRET_KEY.encode(), now=dt.datetime.now(dt.UTC), limit=100)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    said = capfd.readouterr()
    assert "Not Found: /bills/" in log.getvalue()  # the log was listened to
    assert recorded.found_in(log.getvalue() + said.out + said.err) == []
    assert len(recorded.addresses) > 300
    wrong = [address for address in recorded.addresses if recorded.found_in(address)]
    assert wrong == []


def test_a_page_that_fails_logs_where_and_not_whom(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        whom = NAME + MOBILE  # noqa: F841  # a local variable, as a debugger's error page would show
        raise RuntimeError("it broke")

    monkeypatch.setattr("khata.portal.home.months_used", fails)
    client = scene.consumer(NAME)
    client.raise_request_exception = False
    with caplog.at_level(logging.INFO):
        answer = client.get("/")
    assert answer.status_code == 500
    recorded = Recorded(scene)
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert "it broke" in logged
    assert recorded.found_in(logged) == recorded.found_in(answer.content.decode()) == []


def test_what_stands_in_sessions_and_counts_names_nobody(scene: Scene) -> None:
    client, _ = scene.sign_in(MOBILE)
    assert client.get("/").status_code == 200
    recorded = Recorded(scene)
    with scene.database.connect("admin") as admin:
        counts = admin.execute("select key from discoms_limit").fetchall()
        audit = admin.execute("select to_jsonb(r) from audit_record r").fetchall()
    assert counts
    assert recorded.found_in(json.dumps([key for (key,) in counts])) == []
    assert recorded.found_in(json.dumps([row for (row,) in audit])) == []


class Silent:
    """A gateway that takes every message and says nothing."""

    name = "silent"

    def send(self, mobile: str, text: str, meta: Meta) -> Answer:
        return Answer("sent")
