"""Who owes which half-hours, and how a command and the night's work tell and lessen it."""

import datetime as dt
import json

import pytest

from khata.commands.main import main
from khata.commands.work_metering import LateBills, MeterNight
from khata.discoms.models import Office
from khata.metering.models import Delivery, Feed, Meter, MeterDay, Usual
from khata.metering.operations import sender_coded
from khata.metering.scorecard import Owed, estimates, findings, never_spoke, owed, quarantine
from tests.cast import GUMTI, JAJMAU, Agreed, Home, Hung, Town, agree, day, town
from tests.database import Database
from tests.metering.made import Said, deliver

FIRST, UNTIL, TODAY = dt.date(2024, 6, 1), dt.date(2024, 6, 3), dt.date(2024, 6, 10)
HOMES = (
    Home("Asha", meters=(Hung("M-1"),)),
    Home("Bina", meters=(Hung("M-2"),)),
    Home("Devi", meters=(Hung("M-3"),), division=JAJMAU),
    Home("Mohan", meters=(Hung("P-4", cycle="R28"),)),
)


@pytest.fixture
def built(database: Database, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Asha's meter is mdc's until 2 June, then other's; Bina's mdc's, Devi's nobody's; Mohan's is read by hand."""
    monkeypatch.setenv("KHATA_TODAY", str(TODAY))
    made = town(HOMES)
    for serial, since, code in (
        ("M-1", "2024-01-01", "mdc"),
        ("M-1", "2024-06-02", "other"),
        ("M-2", "2024-01-01", "mdc"),
    ):
        Feed.objects.create(meter=Meter.objects.get(serial=serial), from_date=since, sender=sender_coded(code))
    deliver(
        Said("M-1", "2024-06-01", [100] * 40 + [None] * 8),
        Said("M-2", "2024-06-01", total=4_000),
        Said("M-2", "2024-06-02", [100] * 48),
        Said("M-9", "2024-06-02", [100] * 48),
        today=TODAY,
        sender="mdc",
    )
    return made


def account(**where: object) -> list[tuple[object, ...]]:
    names = {office.id: office.name_en for office in Office.objects.all()}
    found = owed(from_day=FIRST, until=UNTIL, today=TODAY, **where)  # type: ignore[arg-type]
    return [(row.sender, names[row.division], str(row.day), row.missing, row.totals_only, row.silent) for row in found]


def test_the_account_of_each_sender_division_and_day(built: Town) -> None:
    assert account() == [
        ("mdc", GUMTI, "2024-06-01", 8 + 48, 1, 0),
        ("mdc", GUMTI, "2024-06-02", 0, 0, 0),
        ("other", GUMTI, "2024-06-02", 48, 0, 1),
        (None, JAJMAU, "2024-06-01", 48, 0, 1),
        (None, JAJMAU, "2024-06-02", 48, 0, 1),
    ]
    gumti = Office.objects.get(name_en=GUMTI).id
    assert owed(from_day=FIRST, until=UNTIL, today=TODAY)[0] == Owed("mdc", gumti, FIRST, 2, 96, 40, 1, 0, 9)
    assert [row[0] for row in account(sender="other")] == ["other"]
    assert {row[1] for row in account(division=gumti)} == {GUMTI}


def test_an_estimate_pays_no_debt(built: Town) -> None:
    before = account()
    deliver(*(Said("M-1", f"2024-05-{n:02}", [100] * 48) for n in range(1, 32)), today=TODAY, sender="mdc")
    assert main(["vee", "estimate", "--until", "2024-06-04", "--json"]) == 0
    assert MeterDay.objects.filter(day=FIRST, rule="EST-02").exists() or MeterDay.objects.filter(rule="EST-03").exists()
    assert account() == before


def test_nothing_is_owed_for_days_without_supply_or_before_the_meter_hung(built: Town) -> None:
    agree(built, "Bina", Agreed("2024-06-02", ended=True))
    assert ("mdc", GUMTI, "2024-06-02") not in {row[:3] for row in account()}
    early = owed(from_day=dt.date(2023, 3, 30), until=dt.date(2023, 4, 2), today=TODAY)
    assert {row.day for row in early} == {dt.date(2023, 4, 1)}


def test_meters_that_never_spoke(built: Town) -> None:
    jajmau = Office.objects.get(name_en=JAJMAU).id
    assert [(row.sender, row.division, row.meters) for row in never_spoke(today=TODAY)] == [(None, jajmau, 1)]


def test_what_was_judged_is_counted_by_rule_sender_and_division(built: Town) -> None:
    where = {"from_day": FIRST, "until": TODAY + dt.timedelta(days=1), "sender": "mdc", "division": None}
    assert [(row.rule, row.owner, row.count) for row in quarantine(**where)] == [("VAL-01", "division", 1)]
    gumti = Office.objects.get(name_en=GUMTI).id
    assert quarantine(**{**where, "division": gumti}) == [], "a number that nobody knows is of no division"
    assert (findings(**where), estimates(**where)) == ([], [])


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_report_as_people_and_machines_read_it(built: Town, capsys: pytest.CaptureFixture[str]) -> None:
    days = ["--from", "2024-06-01", "--to", "2024-06-02"]
    assert main(["vee", "report", *days]) == 0
    text = capsys.readouterr().out
    assert "mdc" in text and "(nobody)" in text and "never spoke: 1 meters of Jajmau" in text
    assert "VAL-01" in text and "for the division" in text
    assert main(["vee", "report", *days, "--sender", "mdc", "--division", GUMTI, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["expected"], answer["received"], answer["missing"]) == (144, 88, 56)
    assert answer["owed"][0]["age_days"] == 9


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["report", "--to", "2024-06-10"], "not over"),
        (["report", "--sender", "nobody"], "Senders are: mdc, other"),
        (["report", "--division", "Nowhere"], "Divisions are: Gumti"),
        (["estimate", "--until", "2024-06-11"], "Choose 2024-06-10"),
        (["estimate", "--until", "2024-06-01", "--discom", "X"], "Choose one of them"),
    ],
)
def test_what_cannot_be_asked_is_said_with_the_next_step(
    built: Town, capsys: pytest.CaptureFixture[str], wrong: list[str], says: str
) -> None:
    assert main(["vee", *wrong]) == 2
    assert says in capsys.readouterr().err


def test_estimate_and_usual_tell_what_they_did(built: Town, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Said("M-2", str(FIRST - dt.timedelta(days=n)), [100] * 48) for n in range(1, 29) if n not in (3, 4)]
    partly = Said("M-2", str(FIRST - dt.timedelta(days=4)), [100] * 40 + [None] * 8, total=4_800)
    deliver(*rows, partly, today=TODAY, sender="mdc")
    assert main(["vee", "estimate", "--until", "2024-06-02"]) == 0
    out = capsys.readouterr().out
    assert "EST-02" in out and "EST-03" in out and "over limit" in out
    assert main(["vee", "usual", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["meters"] >= 2
    assert {row.rule for row in estimates(from_day=day("2024-05-01"), until=UNTIL, sender=None, division=None)} == {
        "EST-02",
        "EST-03",
    }


def test_the_night_is_worked_once_a_business_day(built: Town) -> None:
    rows = [Said("M-2", str(FIRST - dt.timedelta(days=n)), [100] * 48) for n in range(1, 29) if n != 3]
    deliver(*rows, today=TODAY, sender="mdc")
    told: list[str] = []
    MeterNight(tell=told.append, wait=True)()
    made = Delivery.objects.filter(form="estimate").count()
    assert (made, Usual.objects.filter(made_on=TODAY).exists(), told) == (1, True, [])
    assert not MeterDay.objects.filter(day__gte=TODAY - dt.timedelta(days=1)).exists(), "yesterday is on its way"
    Usual.objects.all().delete()
    deliver(Said("M-1", "2024-06-01", [100] * 48), today=TODAY, sender="mdc")
    night = MeterNight(tell=told.append, wait=True)
    night()
    night()
    assert Usual.objects.filter(made_on=TODAY).exists()
    LateBills()()
