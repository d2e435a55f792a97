"""`khata senders` as it is called: a credential is shown once, and errors say the next step."""

import json
from pathlib import Path

import pytest

from khata.commands.main import main
from khata.discoms.models import Discom
from khata.metering.models import Feed, Meter, Sender
from khata.metering.senders import PREFIX, credential_hash
from tests.database import Database


@pytest.fixture(autouse=True)
def meters(database: Database) -> None:
    company = Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    for number in (1, 2):
        Meter.objects.create(serial=f"M-{number}", discom=company, smart=True)


def test_a_sender_from_its_first_day_to_its_last(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["senders", "add", "MDC1", "--name", "Meter Data 1"]) == 0
    credential = capfd.readouterr().out.strip()  # alone, so that it can go into a file
    assert credential.startswith(PREFIX)
    assert Sender.objects.get().token_hash == credential_hash(credential)
    fed = tmp_path / "meters.csv"
    fed.write_text("meter\nM-1\nM-2\nM-1\n", encoding="ascii")
    assert main(["senders", "feed", "MDC1", "--file", str(fed), "--from", "2024-06-01"]) == 0
    assert "2 meters" in capfd.readouterr().out
    assert Feed.objects.count() == 2
    assert main(["senders", "limit", "MDC1", "--uploads", "20", "--mib", "3"]) == 0
    assert "20 uploads" in capfd.readouterr().out
    assert main(["senders", "renew", "MDC1"]) == 0
    assert capfd.readouterr().out.strip() != credential
    assert main(["senders", "close", "MDC1"]) == 0
    capfd.readouterr()
    assert main(["senders", "list", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)
    waits = {"most_waiting": 20, "most_waiting_bytes": 3 << 20}
    one = {"code": "MDC1", "name": "Meter Data 1", "credential": False, "active": False, **waits}
    assert listed == {"senders": [one]}
    assert main(["senders", "list"]) == 0
    assert "closed" in capfd.readouterr().out


def test_who_owed_a_meter_before_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    both, one = tmp_path / "both.csv", tmp_path / "one.csv"
    both.write_text("meter\nM-1\nM-2\n", encoding="ascii")
    one.write_text("meter\nM-1\n", encoding="ascii")
    for code in ("METCO-1", "METCO-2"):
        main(["senders", "add", code, "--name", code])
    feed = ["senders", "feed", "METCO-1", "--file", str(one), "--from", "2024-06-01"]
    assert main(feed) == 0
    assert "from nobody to METCO-1 as of 2024-06-01: 1 meters\n" in capfd.readouterr().out
    moved = ["senders", "feed", "METCO-2", "--file", str(both), "--from", "2024-07-01"]
    assert main([*moved, "--json"]) == 0
    before = [{"sender": "METCO-1", "meters": 1}, {"sender": None, "meters": 1}]
    told = {"sender": "METCO-2", "from": "2024-07-01", "meters": 2, "new": 2, "before": before}
    assert json.loads(capfd.readouterr().out) == told
    assert main(["senders", "feed", "METCO-1", "--file", str(both), "--from", "2024-08-01"]) == 0
    assert "from METCO-2 to METCO-1 as of 2024-08-01: 2 meters\n" in capfd.readouterr().out
    assert main(feed) == 0
    assert capfd.readouterr().out.endswith("of 0 it is new.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "M D C", "--name", "x"], "is no code"),
        (["add", "MDC2", "--name", " "], "the name is empty"),
        (["add", "khata", "--name", "x"], "of Khata's own"),
        (["add", "desk", "--name", "x"], "of Khata's own"),
        (["renew", "MDC9"], "there is no sender"),
        (["close", "MDC9"], "there is no sender"),
        (["limit", "MDC1", "--uploads", "0", "--mib", "1"], "nothing of it could wait"),
        (["feed", "MDC9", "--file", "{good}", "--from", "2024-06-01"], "there is no sender"),
        (["feed", "MDC1", "--file", "{bad}", "--from", "2024-06-01"], "1 meters are not known"),
        (["feed", "MDC1", "--file", "{good}", "--from", "1 June"], "is not a date"),
        (["feed", "MDC1", "--file", "{none}", "--from", "2024-06-01"], "there is no such file"),
    ],
)
def test_what_is_wrong_is_said_with_the_next_step(
    arguments: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main(["senders", "add", "MDC1", "--name", "Meter Data 1"])
    files = {name: tmp_path / f"{name}.csv" for name in ("good", "bad", "none")}
    files["good"].write_text("meter\nM-1\n", encoding="ascii")
    files["bad"].write_text("meter\nM-1\nM-9\n", encoding="ascii")
    capfd.readouterr()
    assert main(["senders", *(each.format(**files) for each in arguments)]) == 2
    told = capfd.readouterr().err
    assert said in told
    assert "Next step:" in told
    assert Feed.objects.count() == 0
