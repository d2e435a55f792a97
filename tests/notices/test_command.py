"""`khata notices`: what an operator sees and is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from khata.commands import notices
from khata.commands.main import main
from khata.notices.backends import Answer
from khata.notices.models import Delivery, Registration
from khata.notices.operations import queue_one
from khata.notices.rules import BILL_ISSUED, TEMPLATES
from tests.cast import ASHA, KESCO, Town, town
from tests.database import Database

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def built(database: Database) -> Town:
    made = town([ASHA])
    queue_one(
        template=BILL_ISSUED,
        subject=made.connections["Asha"],
        language="en",
        mobile="9876543210",
        values=["1234", "234850", "2024-06-23"],
        cause="test:bill:1",
    )
    return made


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("KHATA_TODAY", "2024-06-20")
    for name in ("KHATA_SMS_URL", "KHATA_SMS_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["notices", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_console_shows_what_would_be_sent_the_mobile_masked(built: Town, said: Said) -> None:
    code, out, err = said("send")
    assert code == 0
    assert out.startswith("••••••3210  Electricity account ..1234: bill Rs 2,348.50, pay by 23-06-24.")
    assert (err, "9876543210" in out) == ("sent 1, failed 0, refused 0\n", False)
    assert said("send", "--once") == (0, "", "sent 0, failed 0, refused 0\n")


def test_the_file_gets_a_line_a_message(built: Town, said: Said, tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    assert said("send", "--backend", "file", "--file", str(path))[0] == 0
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["mobile"] == "9876543210"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--backend", "file"], "--file belongs to --backend file"),
        (["--file", "x"], "--file belongs to --backend file"),
        (["--backend", "file", "--file", "/no/such/folder/x"], "cannot be written"),
        (["--backend", "http"], "Set KHATA_SMS_URL and KHATA_SMS_TOKEN"),
        (["--every", "0"], "below 1 second"),
    ],
)
def test_what_cannot_be_sent_so_says_the_next_step(built: Town, said: Said, words: list[str], what: str) -> None:
    code, out, err = said("send", *words)
    assert (code, out) == (2, "")
    assert what in err and "Next step: " in err
    assert not Delivery.objects.exists()


def test_over_http_only_what_the_company_registered(built: Town, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHATA_SMS_TOKEN", "t")
    monkeypatch.setenv("KHATA_SMS_URL", "http://sms.example/")
    assert "must begin with https://" in said("send", "--backend", "http")[2]
    monkeypatch.setenv("KHATA_SMS_URL", "http://127.0.0.1:1/")
    assert said("send", "--backend", "http")[2] == "sent 0, failed 0, refused 1\n"
    assert "not registered for this company" in Delivery.objects.get().detail


def test_a_registered_text_is_handed_over_with_its_id(built: Town, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(
        "khata.notices.backends.http.Http.send",
        lambda self, mobile, text, meta: found.append(self.registered(meta)) or Answer("sent"),
    )
    monkeypatch.setenv("KHATA_SMS_TOKEN", "t")
    monkeypatch.setenv("KHATA_SMS_URL", "https://sms.example/")
    words = ["--discom", KESCO, "--template", "bill-issued", "--language", "en", "--header", "ABCDEF-S"]
    code, out, _ = said("register", *words, "--dlt-id", "1007000000000000001", "--from", "2024-06-01")
    assert (code, out) == (0, "KESCO bill-issued en: 1007000000000000001, header ABCDEF-S, from 2024-06-01\n")
    assert said("send", "--backend", "http")[2] == "sent 1, failed 0, refused 0\n"
    assert [(one.dlt_id, one.header) for one in found] == [("1007000000000000001", "ABCDEF-S")]


def test_a_registration_that_cannot_be_says_why(built: Town, said: Said) -> None:
    words = ["--template", "bill-issued", "--language", "en", "--header", "ABCDEF-S", "--dlt-id"]
    assert "the DLT id must be" in said("register", "--discom", KESCO, *words, "17")[2]
    assert "no company is called" in said("register", "--discom", "NOBODY", *words, "1007000000000000001")[2]
    assert not Registration.objects.exists()


def test_texts_are_shown_with_length_parts_and_lint(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = said("show")
    assert code == 0
    assert "bill-issued hi  70 of 70, parts 1, service-implicit, in order\n    खाता ..{#var#} बिजली बिल" in out
    records = json.loads(said("show", "--json")[1])
    assert len(records) == 2 * len(TEMPLATES) and {record["parts"] for record in records} == {1}
    monkeypatch.setattr(notices, "faults", lambda template: ["hi: has a link"])
    code, out, _ = said("show")
    assert code == 1 and out.count("has a link") == len(TEMPLATES)
