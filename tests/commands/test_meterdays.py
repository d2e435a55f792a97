"""`khata meterdays show` as it is called: what it says, what it ends with."""

import json
from pathlib import Path

import numpy as np
import pytest

from khata.commands.main import main
from khata.discoms.models import Discom
from khata.formats.meterdays import BLOCKS
from khata.metering.models import Meter
from tests.database import Database

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


def test_a_day_is_shown_with_its_half_hours(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["deliveries", "load", "--history", str(file)])
    capsys.readouterr()
    assert main(["meterdays", "show", "M-1", "2024-05-01", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "meter": "M-1",
        "day": "2024-05-01",
        "stored": True,
        "revision": 0,
        "total_wh": 4800,
        "register_wh": None,
        "demand_w": 200,
        "origin": "actual",
        "known": 48,
        "origins": "A" * 48,
        "off": [],
        "rule": None,
        "delivery": 1,
        "blocks_wh": [100] * 48,
        "edits": [],
    }
    assert main(["meterdays", "show", "M-1", "2024-05-01"]) == 0
    hindi = capsys.readouterr().out
    assert "कुल यूनिट: 4.8" in hindi
    assert "00:30    100" in hindi
    assert "24:00    100" in hindi
    assert main(["meterdays", "show", "M-1", "2024-05-02", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"meter": "M-1", "day": "2024-05-02", "stored": False}
    assert main(["meterdays", "show", "M-1", "2024-05-02", "--lang", "en"]) == 0
    assert "nothing is stored" in capsys.readouterr().out


def test_of_each_half_hour_is_said_where_it_comes_from(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter.objects.get(serial="M-2").id
    with database.connect("owner") as session:
        session.execute(
            "select khata.make_meter_month('2024-05-01')",
        )
        session.execute(
            "insert into metering_meterday (meter_id, day, revision, origin, known, blocks_wh, total_wh, origins, off, "
            "rule, delivery) values (%s, '2024-05-01', 1, 2, 46, array_fill(10, array[48]), 480, %s, 3, 'EST-02', 1)",
            [meter, "A" * 46 + "EE"],
        )
    assert main(["meterdays", "show", "M-2", "2024-05-01", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["origin"], answer["origins"][-3:], answer["off"]) == ("estimated", "AEE", [1, 2])
    assert main(["meterdays", "show", "M-2", "2024-05-01", "--lang", "en"]) == 0
    out = capsys.readouterr().out
    assert "24:00     10E" in out
    assert "E estimated" in out


def test_what_is_neither_a_day_nor_a_month_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["meterdays", "show", "M-1", "31.5.2024"])
    assert ended.value.code == 2
    assert "neither a day nor a month" in capsys.readouterr().err


def test_a_month_is_shown_with_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = [str(day) for day in np.datetime64("2024-04-30") + np.arange(33) if str(day) != "2024-05-07"]
    path = tmp_path / "days.csv"
    path.write_text("meter,day,kwh\n" + "".join(f"M-1,{day},1.5\n" for day in days), "ascii")
    main(["deliveries", "load", "--history", str(path)])
    path.write_text("meter,day,kwh\nM-1,2024-05-01,2\n", "ascii")
    main(["deliveries", "load", "--history", str(path)])
    capsys.readouterr()
    assert main(["meterdays", "show", "M-1", "2024-05", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["total_wh"], answer["without_total"], len(answer["days"])) == (45_500, ["2024-05-07"], 30)
    assert answer["days"][0] == {
        "day": "2024-05-01",
        "revision": 1,
        "total_wh": 2000,
        "register_wh": None,
        "demand_w": None,
    }
    assert main(["meterdays", "show", "M-1", "2024-05", "--lang", "en"]) == 0
    out = capsys.readouterr().out
    assert "May 2024" in out
    assert "Days without a known total: 7" in out


def test_a_meter_that_is_not_known_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meterdays", "show", "M-9", "2024-05"]) == 2
    assert "no meter has this number" in capsys.readouterr().err
