"""`khata meterdays load | show` as it is called: what it says, what it ends with."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from khata.commands.main import main
from khata.discoms.models import Discom
from khata.formats.meterdays import BLOCKS
from khata.metering.models import Delivery, Meter, MeterDay
from tests.database import Database

KHATA = Path(sys.executable).with_name("khata")
FLAT = ",".join(["100"] * 48)


@pytest.fixture(autouse=True)
def meters(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHATA_TODAY", "2024-06-20")
    company = Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    for number in (1, 2):
        Meter.objects.create(serial=f"M-{number}", discom=company, smart=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "days.csv"
    path.write_text(f"meter,day,{','.join(BLOCKS)}\nM-1,2024-05-01,{FLAT}\nM-9,2024-05-01,{FLAT}\n", "ascii")
    return path


def test_a_file_is_taken_and_recognised(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meterdays", "load", str(file), "--sender", "head-end"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"{file}: 2 received = 1 stored + 0 repeated + 1 quarantined (delivery 1)",
        "  VAL-01  no meter of this number: 1, line 3",
    ]
    assert said.err == ""  # no bar where no person watches
    assert Delivery.objects.get().sender == "head-end"
    assert main(["meterdays", "load", str(file)]) == 0
    out = capsys.readouterr().out
    assert "2 received = 0 stored + 2 repeated + 0 quarantined (delivery 1)" in out
    assert "received before" in out


def test_json_names_what_was_quarantined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "days.csv"
    path.write_text("meter,day,kwh\nM-1,2024-06-19,1\n" + "M-1,2024-06-20,1\n" * 12, "ascii")
    assert main(["meterdays", "load", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {name: answer[name] for name in ("before", "received", "stored", "repeated", "quarantined")} == {
        "before": False,
        "received": 13,
        "stored": 1,
        "repeated": 0,
        "quarantined": 12,
    }
    assert answer["failed"] == [
        {"check": "VAL-02", "reason": "the day is not over", "count": 12, "lines": list(range(3, 13))}
    ]


@pytest.mark.parametrize("name", ["days.parquet", "days"])
def test_parquet_is_known_by_its_content(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"meter": ["M-1", "M-2"], "day": ["2024-05-01"] * 2, "kwh": ["1.5", "2"]})
    pq.write_table(table, tmp_path / name)
    assert main(["meterdays", "load", str(tmp_path / name)]) == 0
    assert set(MeterDay.objects.values_list("total_wh", flat=True)) == {1500, 2000}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("days.csv", b"meter,day\nM-1,2024-05-01\n", "there is no column with energy"),
        ("days.csv", b"", "the file is empty"),
        ("days.csv", "meter,day,kwh\nM-1,2024-05-01,१.५\n".encode(), "not ASCII"),
        ("days.csv", b"meter,day,kwh\nM-1,2024-05-01,1\nM-1,2024-05-02,-1\n", "line 3, column kwh"),
        ("days.parquet", b"PAR1 and then no more", "not a whole Parquet file"),
        ("days.parquet", b"meter,day,kwh\nM-1,2024-05-01,1\n", "not a whole Parquet file"),
    ],
)
def test_a_malformed_file_is_refused_whole(
    name: str, content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["meterdays", "load", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert str(path) in said.err
    assert "Next step: " in said.err
    assert (Delivery.objects.count(), MeterDay.objects.count()) == (0, 0)


def test_a_byte_order_mark_is_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "days.csv"
    path.write_bytes(b"\xef\xbb\xbfmeter,day,kwh\r\nM-1,2024-05-01,1.5\r\n")
    assert main(["meterdays", "load", str(path)]) == 0
    assert MeterDay.objects.get().total_wh == 1500


def test_a_file_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meterdays", "load", "nowhere.csv"]) == 2
    assert capsys.readouterr().err.startswith("khata: nowhere.csv: there is no such file or folder.")


def test_through_a_pipe_by_the_console_script(database: Database) -> None:
    ended = subprocess.run(
        [KHATA, "meterdays", "load", "-", "--json"],
        input=b"meter,day,kwh\nM-1,2024-05-01,1.5\n",
        env=database.env(),
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["stored"] == 1


def test_a_day_is_shown_with_its_half_hours(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["meterdays", "load", str(file)])
    capsys.readouterr()
    assert main(["meterdays", "show", "M-1", "--day", "2024-05-01", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "meter": "M-1",
        "day": "2024-05-01",
        "stored": True,
        "revision": 0,
        "total_wh": 4800,
        "register_wh": None,
        "demand_w": 200,
        "quality": 1,
        "delivery": 1,
        "blocks_wh": [100] * 48,
    }
    assert main(["meterdays", "show", "M-1", "--day", "2024-05-01"]) == 0
    hindi = capsys.readouterr().out
    assert "कुल यूनिट: 4.8" in hindi
    assert "00:30    100" in hindi
    assert "24:00    100" in hindi
    assert main(["meterdays", "show", "M-1", "--day", "2024-05-02", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"meter": "M-1", "day": "2024-05-02", "stored": False}
    assert main(["meterdays", "show", "M-1", "--day", "2024-05-02", "--lang", "en"]) == 0
    assert "nothing is stored" in capsys.readouterr().out


def test_a_month_is_shown_with_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = [str(day) for day in np.datetime64("2024-04-30") + np.arange(33) if str(day) != "2024-05-07"]
    path = tmp_path / "days.csv"
    path.write_text("meter,day,kwh\n" + "".join(f"M-1,{day},1.5\n" for day in days), "ascii")
    main(["meterdays", "load", str(path)])
    path.write_text("meter,day,kwh\nM-1,2024-05-01,2\n", "ascii")
    main(["meterdays", "load", str(path)])
    capsys.readouterr()
    assert main(["meterdays", "show", "M-1", "--month", "2024-05", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["total_wh"], answer["without_total"], len(answer["days"])) == (45_500, ["2024-05-07"], 30)
    assert answer["days"][0] == {
        "day": "2024-05-01",
        "revision": 1,
        "total_wh": 2000,
        "register_wh": None,
        "demand_w": None,
    }
    assert main(["meterdays", "show", "M-1", "--month", "2024-05", "--lang", "en"]) == 0
    out = capsys.readouterr().out
    assert "May 2024" in out
    assert "Days without a known total: 7" in out


def test_a_meter_that_is_not_known_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meterdays", "show", "M-9", "--month", "2024-05"]) == 2
    assert "no meter has this number" in capsys.readouterr().err
