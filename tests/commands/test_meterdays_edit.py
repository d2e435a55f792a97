"""`khata meterdays edit` and `substitute` as an officer calls them: what they print, refuse and end with."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from khata.commands.main import main
from khata.discoms.models import Office, Staff
from khata.discoms.operations import appoint
from khata.formats.meterdays import BLOCKS
from khata.metering.models import Delivery, MeterDay
from tests.cast import ARRIVED, GUMTI, KESCO, Home, Hung, day, town
from tests.database import Database
from tests.metering.made import TODAY, Said, deliver

HEADER = f"meter,day,{','.join(BLOCKS)}\n"
FLAT = [100] * 48
BILLED = "2024-05-31"


@pytest.fixture(scope="module", autouse=True)
def gumti(module_database: Database) -> Iterator[None]:
    built = town([Home("Asha", meters=(Hung("M-1"),)), Home("Check", meters=(Hung("C-1"),))])
    division = Office.objects.get(discom__code=KESCO, name_en=GUMTI)
    for login, role in (("anita", "officer"), ("bhola", "officer"), ("kamla", "cashier")):
        person = Staff.objects.create(login=login, name=login.title(), password="-")
        appoint(staff=person, role=role, office=division, from_date=day("2024-01-01"), ended=False, now=ARRIVED,
                actor="test")  # fmt: skip
    deliver(*(Said("M-1", f"2024-05-{n:02d}", FLAT) for n in range(1, 32)), today=TODAY)
    deliver(Said("M-1", "2024-06-05", [9_000, *FLAT[1:]]), Said("C-1", "2024-06-06", FLAT), today=TODAY)
    built.run("2024-06", today=day("2024-06-08"))
    yield


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHATA_TODAY", str(TODAY))


def call(tmp_path: Path, row: str, *more: str, date: str = "2024-06-05", meter: str = "M-1") -> int:
    path = tmp_path / "row.csv"
    path.write_text(row, "utf-8")
    asked = ["--from", str(path), "--reason", "Spike after a power cut.", "--lang", "en", *more]
    return main(["meterdays", "edit", meter, date, *asked, *([] if "--by" in more else ["--by", "anita"])])


def total(kwh: str, date: str = "2024-06-05", meter: str = "M-1") -> str:
    return f"meter,day,kwh\n{meter},{date},{kwh}\n"


def test_what_changes_is_told_and_then_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = f"{HEADER}M-1,2024-06-05,{','.join(map(str, FLAT))}\n"
    assert call(tmp_path, row, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "Total, kWh: 13.7 (measured) → 4.8 (edited)" in shown
    assert "until 00:30, Wh: 9000 A → 100 D" in shown and "until 01:00" not in shown
    assert "No bill that is issued rests on this day" in shown and shown.endswith("Only shown; nothing was stored\n")
    assert call(tmp_path, row) == 0
    stored = capsys.readouterr().out
    assert stored.splitlines()[:-1] == shown.splitlines()[:-1] and "Stored: revision 1, delivery" in stored
    assert call(tmp_path, row) == 0
    assert "These values stand already; nothing was stored" in capsys.readouterr().out
    deliver(Said("M-1", "2024-06-05", [50, *FLAT[1:]]), sender="mdc", today=TODAY)
    assert main(["meterdays", "show", "M-1", "2024-06-05", "--json"]) == 0
    (edit,) = json.loads(capsys.readouterr().out)["edits"]
    assert {name: edit[name] for name in ("revision", "how", "by", "agreed_by", "reason", "sent_since")} == {
        "revision": 1, "how": "edit", "by": "anita", "agreed_by": None, "reason": "Spike after a power cut.",
        "sent_since": ["mdc"],
    }  # fmt: skip
    assert main(["meterdays", "show", "M-1", "2024-06-05"]) == 0
    out = capsys.readouterr().out
    assert "संशोधन 1 अधिकारी ने सुधारा: anita" in out and "उसके बाद नए मान आए: mdc" in out


def test_a_day_in_an_issued_bill_needs_a_second_officer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = total("5.25", BILLED)
    assert call(tmp_path, row, "--dry-run", date=BILLED) == 0
    assert "Bill of this day: 2406" in capsys.readouterr().out
    assert call(tmp_path, row, date=BILLED) == 2
    told = capsys.readouterr().err
    assert "--agreed-by: the day is in bill 2406" in told and "Next step: Show the change to one" in told
    assert call(tmp_path, row, "--agreed-by", "anita", date=BILLED) == 2
    assert "cannot also agree" in capsys.readouterr().err
    assert call(tmp_path, row, "--agreed-by", "bhola", "--json", date=BILLED) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["stored"], answer["after"]["total_wh"], answer["after"]["origin"]) == (True, 5_250, "edited")
    assert len(answer["bills"]) == 1


def test_a_spikes_demand_that_stays_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    date, told = "2024-06-07", "The demand stays 18.6 kW and is billed"
    deliver(Said("M-1", date, [9_000, *FLAT[1:]], demand=18_600), today=TODAY)
    cell = f"M-1,{date},100{',' * 47}"
    for row, shown in ((f"{HEADER}{cell}\n", True), (total("4.8", date), True),
                       (f"{HEADER.strip()},demand_w\n{cell},200\n", False)):  # fmt: skip
        assert call(tmp_path, row, "--dry-run", date=date) == 0
        assert (told in capsys.readouterr().out) is shown, row
    assert call(tmp_path, f"{HEADER}{cell}\n", "--json", date=date) == 0
    assert json.loads(capsys.readouterr().out)["demand_too_high"] is True


@pytest.mark.parametrize(
    ("row", "more", "said"),
    [
        (total("1", "2024-06-10"), {"date": "2024-06-10"}, "VAL-02"),
        (total("1", "2024-01-01"), {"date": "2024-01-01"}, "VAL-04: The day comes later"),
        (total("1", meter="X-9"), {"meter": "X-9"}, "VAL-01: No meter has this number"),
        (f"{HEADER}M-1,2024-06-05,{','.join(['1'] * 47)}\n", {}, "VAL-06: 47 half-hours, a day has 48"),
        (total("-1"), {}, "VAL-07"),
        (total("४.५"), {}, "VAL-08"),
        (total("1", "2024-06-04"), {}, "another meter or another day"),
        (total("1") + "M-1,2024-06-04,1\n", {}, "there are 2 rows"),
        ("meter,day,kw\n", {}, "column"),
    ],
)
def test_bad_values_are_refused_with_their_rule_and_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, more: dict[str, str], said: str
) -> None:
    before = Delivery.objects.count(), MeterDay.objects.count()
    assert call(tmp_path, row, **more) == 2
    told = capsys.readouterr().err
    assert said in told and "Next step: " in told
    assert (Delivery.objects.count(), MeterDay.objects.count()) == before


@pytest.mark.parametrize(
    ("login", "said"), [("kamla", "no officer over Gumti"), ("nobody", "nobody has the login 'nobody'")]
)
def test_whoever_is_no_officer_there_may_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], login: str, said: str
) -> None:
    assert call(tmp_path, total("1"), "--by", login) == 2
    assert said in capsys.readouterr().err


def test_the_day_of_a_check_meter_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--from-meter", "C-1", "--reason", "The check meter of work order 12.", "--by", "anita"]
    assert main(["meterdays", "substitute", "M-1", "2024-06-06", *asked]) == 0
    assert "– → 4.8 (बदला गया)" in capsys.readouterr().out
    assert main(["meterdays", "show", "M-1", "2024-06-06", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["origin"], answer["origins"], answer["known"]) == ("substituted", "S" * 48, 0)
    assert answer["edits"][0]["how"] == "substitute"
    assert main(["meterdays", "substitute", "M-1", "2024-06-04", *asked]) == 2
    assert "not wholly measured" in capsys.readouterr().err
