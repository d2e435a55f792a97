"""The ways a text leaves: what each writes, and what a gateway's answers mean."""

import datetime as dt
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from khata.notices.backends import Meta
from khata.notices.backends.console import Console
from khata.notices.backends.file import File, newest
from khata.notices.backends.http import Http, Registered

NOW = dt.datetime(2024, 6, 20, 10, tzinfo=dt.UTC)
META = Meta(7, 1, 42, "bill-issued", "hi", NOW, NOW.date())
MOBILE, TEXT = "9876543210", "खाता ..1234"
REGISTERED = Registered("1007000000000000001", "ABCDEF-S")


def test_the_console_masks_the_mobile() -> None:
    stream = io.StringIO()
    assert Console(stream).send(MOBILE, TEXT, META).outcome == "sent"
    assert stream.getvalue() == "••••••3210  खाता ..1234\n"


def test_the_file_has_a_line_a_message_for_its_owners_eyes(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    assert newest(path=path, limit=5) == []
    for number in (7, 8, 9):
        assert File(path).send(MOBILE, f"{TEXT}\n{number}", replace(META, message=number)).outcome == "sent"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("a") as torn:
        torn.write('{"message": 10')
    found = newest(path=path, limit=2)
    assert [line["message"] for line in found] == [9, 8]
    assert found[0]["text"] == f"{TEXT}\n9" and found[0]["mobile"] == MOBILE


class Gateway(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.code, self.said, self.location, self.silent = 200, b"", "", threading.Event()
        self.got: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.silent.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/send"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), json.loads(body)))
        self.server.silent.wait(5)
        self.send_response(self.server.code)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.said)

    do_GET = do_POST  # noqa: N815 - the library's word

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.silent.set()
        server.shutdown()
        thread.join()


def http(url: str, *, timeout_seconds: int = 5) -> Http:
    return Http(url=url, token="t0ken", registered=lambda meta: REGISTERED, timeout_seconds=timeout_seconds)


def test_a_message_is_posted_with_its_registration(gateway: Gateway) -> None:
    gateway.said = b'{"id": "g-17"}'
    answer = http(gateway.url).send(MOBILE, TEXT, META)
    assert (answer.outcome, answer.detail) == ("sent", "gateway id g-17")
    ((path, headers, body),) = gateway.got
    assert path == "/send" and headers["Authorization"] == "Bearer t0ken"
    assert body == {
        "to": "919876543210",
        "text": TEXT,
        "header": "ABCDEF-S",
        "dlt_template_id": "1007000000000000001",
        "unicode": True,
        "reference": "khata-7",
    }


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (202, "sent"),
        (400, "refused"),
        (422, "refused"),
        (401, "failed"),
        (404, "failed"),
        (429, "failed"),
        (503, "failed"),
    ],
)
def test_what_an_answer_means(gateway: Gateway, code: int, outcome: str) -> None:
    gateway.code, gateway.said = code, f"no such mobile {MOBILE}".encode()
    answer = http(gateway.url).send(MOBILE, TEXT, META)
    assert answer.outcome == outcome
    assert MOBILE not in answer.detail


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"{", b'{"id": "to 9876543210"}', b'{"id": 919876543210}', b"\xff", b'"id"']
)
def test_of_an_answer_only_an_id_is_kept(gateway: Gateway, said: bytes) -> None:
    gateway.said = said
    answer = http(gateway.url).send(MOBILE, TEXT, META)
    assert (answer.outcome, answer.detail) == ("sent", "")


def test_a_redirect_takes_nothing_elsewhere(gateway: Gateway) -> None:
    gateway.code, gateway.location = 302, gateway.url.replace("/send", "/elsewhere")
    assert http(gateway.url).send(MOBILE, TEXT, META).outcome == "failed"
    assert [path for path, _, _ in gateway.got] == ["/send"]


def test_silence_and_a_closed_door_are_tried_again(gateway: Gateway) -> None:
    gateway.silent.clear()
    assert http(gateway.url, timeout_seconds=1).send(MOBILE, TEXT, META).outcome == "failed"
    closed = http("http://127.0.0.1:1/send").send(MOBILE, TEXT, META)
    assert closed.outcome == "failed" and "no answer of the gateway" in closed.detail


def test_what_is_not_registered_is_refused_and_never_sent(gateway: Gateway) -> None:
    backend = Http(url=gateway.url, token="t0ken", registered=lambda meta: None)
    answer = backend.send(MOBILE, TEXT, META)
    assert answer.outcome == "refused"
    assert "bill-issued in hi is not registered" in answer.detail and "khata notices register" in answer.detail
    assert gateway.got == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sms.example",
        "http://sms.example/send",
        "ftp://127.0.0.1/",
        "https://me:secret@sms.example/",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address of the gateway"):
        http(url)


def test_https_is_accepted() -> None:
    assert http("https://sms.example/send").name == "http"
