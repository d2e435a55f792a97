"""The demo served as a newcomer gets it: it says whom to sign in as, a code arrives, it goes down with its server."""

import datetime as dt
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from base64 import b32decode
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django_otp.oath import totp

from khata.commands import work as work_command
from khata.commands.work import work
from khata.discoms.models import Staff
from khata.discoms.operations import install_companies, let_in
from khata.notices.backends import Answer, Meta
from tests.database import VAR, Database

KHATA = Path(sys.executable).with_name("khata")
_PATIENCE_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Address, what the demo said, and its folder."""
    var, port = tmp_path_factory.mktemp("served") / "var", free_port()
    (var / "build").parent.mkdir(parents=True)
    if (VAR / "build").exists():  # the font need not be cut a second time
        subprocess.run(["cp", "-r", VAR / "build", VAR / "static", var], check=False)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KHATA_")}
    said = var / "said"
    with said.open("w") as out:
        demo = subprocess.Popen(
            [KHATA, "demo", "--accounts", "200", "--port", str(port)],
            env={**environment, "KHATA_VAR": str(var), "KHATA_DURABLE": "0"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            began = time.monotonic()
            while "Ctrl-C ends" not in said.read_text(encoding="utf-8"):
                assert demo.poll() is None, said.read_text(encoding="utf-8")
                assert time.monotonic() - began < _PATIENCE_SECONDS
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", said.read_text(encoding="utf-8"), var
        finally:
            demo.send_signal(signal.SIGTERM)
            ended = demo.wait(timeout=30)
    assert ended == 0
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/alive/", timeout=2)


def test_it_says_whom_to_sign_in_as(served: tuple[str, str, Path]) -> None:
    site, said, _ = served
    assert f"Open {site}" in said
    assert re.search(r"6666\d{6}  \d{10}  \d{6,8} +₹[\d,.]+  a home with a bill to pay", said)
    assert {"counter1", "counter2", "officer1", "officer2"} <= set(re.findall(r"^(\w+\d) ", said, re.MULTILINE))
    assert "All people are synthetic" in said


def test_a_consumer_signs_in_with_the_code_that_the_demo_shows(served: tuple[str, str, Path]) -> None:
    site, said, var = served
    mobile = re.search(r"^(6666\d{6})  .*a home with a bill to pay", said, re.MULTILINE)[1]  # type: ignore[index]
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def post(path: str, **fields: str) -> str:
        page = browser.open(site + path).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]  # type: ignore[index]
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        return str(browser.open(site + path, data).read().decode())

    post("/sign-in/", mobile=mobile)
    code = ""
    for _ in range(100):
        lines = [json.loads(line) for line in (var / "demo-messages.jsonl").read_text(encoding="utf-8").splitlines()]
        codes = [re.search(r"\b\d{6}\b", line["text"]) for line in lines if line["template"] == "sign-in-code"]
        if codes and codes[-1]:
            code = codes[-1][0]
            break
        time.sleep(0.1)
    home = post("/sign-in/code/", code=code, today=dt.date.max)
    assert "जमा करना है" in home
    assert "पुराना नंबर" in home


def test_a_port_that_is_taken_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [KHATA, "demo", "--port", port],
            env={**os.environ, "KHATA_VAR": str(tmp_path / "var")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert f"127.0.0.1:{port} cannot be served" in result.stderr
    assert "--port" in result.stderr
    assert "database" not in result.stderr


class Nowhere:
    name = "nowhere"

    def send(self, mobile: str, text: str, meta: Meta) -> Answer:
        raise AssertionError("nothing waits to be sent")


def test_a_step_that_fails_is_told_once_and_keeps_nobody_from_working(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds, told, released = iter([False, False, True]), [], []

    def broken(**_: object) -> int:
        raise RuntimeError("the gateway is away")

    monkeypatch.setattr(work_command, "queue_codes", broken)
    monkeypatch.setattr(work_command, "make_released", lambda **_: released.append(1))
    monkeypatch.setattr(work_command, "EVERY_SECONDS", 0)
    install_companies()
    work(backend=Nowhere(), once=False, tell=told.append, stopped=lambda: next(rounds))
    assert told == ["khata: work: codes: RuntimeError: the gateway is away. It is tried again."]
    assert len(released) == 3 * 5


def test_a_person_of_the_desk_is_added_once_and_can_sign_in(database: Database) -> None:
    install_companies()
    asked = ["--role", "cashier", "--discom", "KESCO", "--office", "Gumti"]
    add = [KHATA, "staff", "add", "--login", "desk7", "--name", "Somebody", *asked]
    first = subprocess.run(add, env=database.env(), capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    password = re.search(r"First password: (\S+)", first.stdout)[1]  # type: ignore[index]
    assert "otpauth://totp/" in first.stdout
    secret = re.search(r"secret=(\w+)", first.stdout)[1]  # type: ignore[index]
    code = f"{totp(b32decode(secret)):06d}"
    with database.as_role("app"):
        assert let_in(login="desk7", password="wrong", code=code, today=dt.date.max) is None
        desk7 = Staff.objects.get(login="desk7")
        assert let_in(login="desk7", password=password, code=code, today=dt.date.max) == desk7
        again_in = let_in(login="desk7", password=password, code=code, today=dt.date.max)
        assert again_in is None, "a code is good once"
    again = subprocess.run(add, env=database.env(), capture_output=True, text=True, check=False)
    assert (again.returncode, Staff.objects.count()) == (2, 1)
    assert "taken" in again.stderr
    ended = [KHATA, "staff", "end", "--login", "desk7", *asked]
    assert subprocess.run(ended, env=database.env(), capture_output=True, check=False).returncode == 0
    nobody = [KHATA, "staff", "end", "--login", "desk8", *asked]
    assert subprocess.run(nobody, env=database.env(), capture_output=True, check=False).returncode == 2
