"""`khata deliveries load | list | show` as it is called: what it says, what it ends with."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from khata.commands import deliveries_load
from khata.commands.main import main
from khata.discoms.models import Discom
from khata.formats.meterdays import BLOCKS, Batch
from khata.metering.models import Delivery, Meter, MeterDay, Quarantine, Reading
from tests.database import Database

KHATA = Path(sys.executable).with_name("khata")
FLAT = ",".join(["100"] * 48)
COUNTS = ("rows", "accepted", "repeated", "superseding", "quarantined")


@pytest.fixture(autouse=True)
def meters(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHATA_TODAY", "2024-06-01")
    company = Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    for number in (1, 2):
        Meter.objects.create(serial=f"M-{number}", discom=company, smart=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "days.csv"
    path.write_text(f"meter,day,{','.join(BLOCKS)}\nM-1,2024-05-01,{FLAT}\nM-9,2024-05-01,{FLAT}\n", "ascii")
    return path


def test_a_file_is_taken_and_recognised(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deliveries", "load", str(file), "--sender", "head-end"]) == 0
    said = capsys.readouterr()
    first, failed, step = said.out.splitlines()[:3]
    equation = "2 rows = 1 accepted + 0 repeated + 0 superseding + 1 quarantined"
    assert first == f"{file}: {equation} (delivery 1, block csv)"
    assert failed.startswith("  VAL-01  ") and failed.endswith("; for the division to act: 1, line 3")
    assert step.strip().startswith("next step: ")
    assert said.err == ""  # no bar where no person watches
    stored = Delivery.objects.get()
    assert (stored.sender.code, stored.form, stored.name, stored.size) == (
        "head-end",
        "block csv",
        "days.csv",
        file.stat().st_size,
    )


def test_the_same_bytes_again_change_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "days.csv"
    path.write_text("meter,day,kwh\nM-1,2024-05-01,1\n", "ascii")
    main(["deliveries", "load", str(path)])
    capsys.readouterr()
    assert main(["deliveries", "load", str(path)]) == 0
    out = capsys.readouterr().out
    assert "1 rows = 0 accepted + 1 repeated + 0 superseding + 0 quarantined (delivery 1, block csv)" in out
    assert "These bytes were received before" in out and Delivery.objects.count() == 1


def test_bad_rows_go_into_quarantine_and_the_rest_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "days.csv"
    rows = [f"M-1,2024-05-01,{FLAT}", f"M-1,2024-05-02,{FLAT},7", f"M-2,2024-05-01,-{FLAT}", f"M-2,2024-05-02,५{FLAT}"]
    path.write_text("\n".join([f"meter,day,{','.join(BLOCKS)}", *rows, "M-2,2024-05-03,1", "M-2,2024-"]))
    assert main(["deliveries", "load", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [answer[name] for name in COUNTS] == [6, 1, 0, 0, 5]
    assert [(each["rule"], each["owner"], each["lines"]) for each in answer["failed"]] == [
        ("VAL-06", "sender", [3, 6]),
        ("VAL-07", "sender", [4]),
        ("VAL-08", "sender", [5, 7]),
    ]
    assert MeterDay.objects.get().total_wh == 4800
    reasons = " ".join(Quarantine.objects.values_list("reason", flat=True))
    assert "49 half-hours" in reasons and "Devanagari digits" in reasons and "in the middle of a row" in reasons


def test_deliveries_are_listed_and_shown(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deliveries", "list"]) == 0
    assert "no delivery has been received yet" in capsys.readouterr().out
    main(["deliveries", "load", str(file), "--sender", "head-end", "--json"])
    loaded = json.loads(capsys.readouterr().out)
    assert main(["deliveries", "show", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {name: value for name, value in loaded.items() if name != "before"}
    assert main(["deliveries", "show", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("delivery 1: days.csv (block csv) from head-end, received ")
    assert "2 rows = 1 accepted + 0 repeated + 0 superseding + 1 quarantined\n  VAL-01  " in out
    assert main(["deliveries", "list", "--limit", "1"]) == 0
    assert "head-end" in capsys.readouterr().out
    assert main(["deliveries", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["deliveries"]
    assert [each["delivery"] for each in listed] == [1] and "failed" not in listed[0]
    assert main(["deliveries", "show", "99"]) == 2
    assert "no delivery has the number 99" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["days.parquet", "days", "days.csv.gz"])
def test_a_form_is_known_by_its_content(name: str, tmp_path: Path) -> None:
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"meter,day,kwh\nM-1,2024-05-01,1.5\nM-2,2024-05-01,2\n"))
    else:
        table = pa.table({"meter": ["M-1", "M-2"], "day": ["2024-05-01"] * 2, "kwh": ["1.5", "2"]})
        pq.write_table(table, tmp_path / name)
    assert main(["deliveries", "load", str(tmp_path / name)]) == 0
    assert set(MeterDay.objects.values_list("total_wh", flat=True)) == {1500, 2000}


def test_registers_of_the_day_and_of_the_bill_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "daily.csv"
    path.write_text("meter,midnight,register_kwh\nM-1,2024-05-02T00:00:00+05:30,7.5\nM-1,2024-05-02T00:00:00Z,1\n")
    assert main(["deliveries", "load", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["form"], answer["accepted"], [each["rule"] for each in answer["failed"]]) == (
        "daily load",
        1,
        ["VAL-09"],
    )
    assert str(MeterDay.objects.get().day) == "2024-05-01" and MeterDay.objects.get().register_wh == 7500
    path.write_text("meter,billing_date,register_kwh,demand_kw\nM-1,2024-05-02,7.5,3\n")
    assert main(["deliveries", "load", str(path)]) == 0
    reading = Reading.objects.get()
    assert (reading.register_wh, reading.demand_w, reading.source) == (7500, 3000, "billing profile")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("days.csv", b"meter,day\nM-1,2024-05-01\n", "there is no column with energy"),
        ("days.csv", b"", "the file is empty"),
        ("days.csv", b"hello\n", "no form that is known"),
        ("days.parquet", b"PAR1 and then no more", "not a whole Parquet file"),
        ("days.gz", gzip.compress(gzip.compress(b"meter,day,kwh\n", mtime=0), mtime=0), "packed twice"),
        ("enel.csv", b"Giorno;00:00-00:15\n", "which meter"),
    ],
)
def test_a_malformed_file_is_refused_whole(
    name: str, content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["deliveries", "load", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert str(path) in said.err
    assert "Next step: " in said.err
    assert (Delivery.objects.count(), MeterDay.objects.count()) == (0, 0)


def test_a_file_of_ten_gigabytes_is_refused_before_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "days.csv"
    with path.open("wb") as out:
        out.truncate(10 << 30)
    monkeypatch.setattr(deliveries_load.hashlib, "file_digest", None)  # which would read it
    assert main(["deliveries", "load", str(path)]) == 2
    assert f"{path}: it has 10.0 GiB, more than 4." in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_read_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = deliveries_load._watched

    def growing(*args: Any, **named: Any) -> Iterator[Batch]:
        yield from read(*args, **named)
        with file.open("ab") as out:
            out.write(b"\n")

    monkeypatch.setattr(deliveries_load, "_watched", growing)
    assert main(["deliveries", "load", str(file)]) == 2
    assert "the file changed while it was read" in capsys.readouterr().err
    assert Delivery.objects.count() == 0


def test_a_file_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deliveries", "load", "nowhere.csv"]) == 2
    assert capsys.readouterr().err.startswith("khata: nowhere.csv: there is no such file or folder.")
    assert main(["deliveries", "load", "nowhere.csv", "--sender", " "]) == 2


def test_through_a_pipe_by_the_console_script(database: Database) -> None:
    ended = subprocess.run(
        [KHATA, "deliveries", "load", "-", "--json", "--history"],
        input=b"meter,day,kwh\nM-1,2019-05-01,1.5\n",
        env=database.env(),
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    answer = json.loads(ended.stdout)
    assert (answer["accepted"], answer["name"]) == (1, "")


@pytest.mark.parametrize("name", [b"a\x1b[31mRED\x07.csv", b"a\xff.csv", "\u202egpj.csv".encode()])
def test_a_name_that_would_command_a_terminal_is_cleaned(
    file: Path, capsys: pytest.CaptureFixture[str], name: bytes
) -> None:
    hostile = os.fsdecode(bytes(file.parent) + b"/" + name)
    file.rename(hostile)
    for command in (["load", hostile], ["list"], ["load", hostile + "-not-there"]):
        main(["deliveries", *command])
        said = "".join(capsys.readouterr())
        assert said.replace("\n", "").isprintable()
    assert Delivery.objects.get().name.isprintable()
