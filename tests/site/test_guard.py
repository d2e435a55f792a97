"""The guard itself: whose address a request comes from, which scope it gets, and that errors need nothing of it."""

import os
from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.utils.translation import get_language

from khata.discoms.scope import NOBODY, current
from khata.site.guard import GuardMiddleware
from tests.database import Database
from tests.pages import build_pages


@pytest.fixture(scope="module", autouse=True)
def pages(module_database: Database) -> Iterator[None]:
    build_pages()
    os.environ["KHATA_TODAY"] = "2024-06-20"
    with module_database.as_role("app"):
        yield
    del os.environ["KHATA_TODAY"]


def address(forwarded: str, *, proxies: int) -> str:
    seen: list[str] = []

    def answer(request: HttpRequest) -> HttpResponse:
        seen.append(request.address)  # type: ignore[attr-defined]
        return HttpResponse()

    request = RequestFactory().get(
        "/", headers={"x-forwarded-for": forwarded} if forwarded else {}, REMOTE_ADDR="10.0.0.9"
    )
    request.session = {}  # type: ignore[assignment]
    with override_settings(PROXIES=proxies):
        GuardMiddleware(answer)(request)
    return seen[0]


@pytest.mark.parametrize(
    ("forwarded", "proxies", "whose"),
    [
        ("", 0, "10.0.0.9"),
        ("1.1.1.1", 0, "10.0.0.9"),  # no proxy of ours: whoever calls writes there what they like
        ("203.0.113.9", 1, "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", 1, "203.0.113.9"),  # what the caller made up stands before what our proxy saw
        ("1.1.1.1, 203.0.113.9, 10.0.0.1", 2, "203.0.113.9"),
        ("203.0.113.9", 2, "10.0.0.9"),  # past one of the proxies: nothing there can be believed
        (" , ,203.0.113.9 ,", 1, "203.0.113.9"),
    ],
)
def test_the_caller_s_address_cannot_be_made_up(forwarded: str, proxies: int, whose: str) -> None:
    assert address(forwarded, proxies=proxies) == whose


def test_scope_and_language_hold_for_the_request_alone() -> None:
    before = get_language()
    inside: list[object] = []

    def answer(request: HttpRequest) -> HttpResponse:
        inside.extend([get_language(), current()])
        raise RuntimeError("a page that fails")

    request = RequestFactory().get("/")
    request.session = {}  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        GuardMiddleware(answer)(request)
    assert (inside, get_language(), current()) == (["hi", NOBODY], before, NOBODY)


def test_when_the_database_fails_the_answer_is_calm_and_asks_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OperationalError("the server closed the connection; consumer 9876543210")

    monkeypatch.setattr("khata.portal.sign_in.ask_code", fails)
    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    monkeypatch.setattr("khata.site.guard._front_company", fails)
    answer = client.post("/sign-in/", {"mobile": "9876543210"}, secure=True)
    page = answer.content.decode()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (500, "no-store")
    assert ('<html lang="hi">' in page, "9876543210" in page, "Traceback" in page) == (True, False, False)


@pytest.mark.parametrize("host", ["elsewhere.test", "localhost.elsewhere.test", "a b"])
def test_another_host_s_name_is_refused_calmly(host: str) -> None:
    answer = Client(headers={"host": host}).get("/sign-in/", secure=True)
    assert answer.status_code == 400
    assert host not in answer.content.decode()


def test_plain_http_is_led_to_https() -> None:
    answer = Client(headers={"host": "localhost"}).get("/sign-in/")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://localhost/sign-in/")


@pytest.mark.parametrize("colour", ["1f1d4e}body{display:none", "1F1D4E", "1f1d4", "1f1d4e/../x", "url(x)"])
def test_a_theme_is_six_digits_and_nothing_else(colour: str) -> None:
    assert Client(headers={"host": "localhost"}).get(f"/theme/{colour}.css", secure=True).status_code == 404


def test_a_garbled_session_is_nobody_s() -> None:
    client = Client(headers={"host": "localhost"})
    for key in ("", "x" * 32, "' or 1=1 --", "\xe0\xa5\xa7" * 8, "a" * 4000):
        client.cookies["__Host-khata"] = key
        assert client.get("/bills/", secure=True).headers["Location"].startswith("/sign-in/")
