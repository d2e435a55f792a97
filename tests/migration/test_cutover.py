"""Cut over, roll back, cut over again: the books add up at every step, and what stood in the way is told."""

import csv
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.billing.models import BillRun, OldBill
from khata.commands.main import main
from khata.consumers.arrivals import extend_window
from khata.consumers.models import Connection
from khata.consumers.queries import resolve, window_of
from khata.consumers.rules import seeded_bodies
from khata.discoms.models import Discom, Office
from khata.jobs.models import Run
from khata.ledger.models import Balance, Entry
from khata.ledger.queries import first_offence, owed_paise
from khata.metering.models import Installation, Meter, Reading
from khata.metering.operations import ArrivingMeters, MeterTakenError, NewReadings, bring_meters, take_readings
from khata.migration.cutover import MoveError, cutover, last_day_of_window
from khata.migration.models import Account, Act, ParallelRun, Wave
from khata.migration.operations import decide, propose
from khata.migration.reconciling import HEADS, Line, behind, digest, reconcile
from khata.migration.rollback import handed, rollback, write_export
from khata.payments.operations import receive
from tests.cast import GUMTI, JAJMAU, KESCO, MEERUT, PVVNL, day, town
from tests.database import Database
from tests.migration.handover import (
    ASHA,
    BINA,
    DIVISIONS,
    DUKAN,
    ELA,
    KAMLA,
    SMALL,
    load_small,
    two_people,
    write_small,
)

AT = dt.date(2024, 3, 14)
NOW = dt.datetime(2024, 3, 14, 4, 30, tzinfo=dt.UTC)


def staged(folder: Path, *, unknown: int | None = 0, **options: object) -> Wave:
    """A wave of the small hand-over; its parallel run left so many bills unexplained (None: there was none)."""
    if not Discom.objects.exists():
        town([])
    wave = load_small(write_small(folder, **options))  # type: ignore[arg-type]
    if unknown is not None:
        ParallelRun.objects.create(
            wave=wave,
            cycle=day("2024-03-01"),
            actor="test",
            summary={"unknown": unknown, "load": Act.objects.filter(wave=wave, kind="load").count()},
        )
    return wave


def move(wave: Wave, **options: object) -> Act:
    return cutover(wave=wave, at=AT, actor="test", now=NOW, draw=seeded_bodies(7), **options)  # type: ignore[arg-type]


def back(wave: Wave, at: dt.date = dt.date(2024, 3, 20)) -> Act:
    return rollback(wave=wave, at=at, actor="test", now=NOW)


def of(old: str) -> Account:
    return Account.objects.select_related("connection").get(old_number=old)


def owed(old: str) -> int:
    account = of(old)
    assert account.connection_id is not None
    return owed_paise(discom=account.wave.discom_id, subject=account.connection_id)


def pay(old: str, paise: int, reference: str, on: dt.date = dt.date(2024, 3, 16)) -> None:
    """At another company's office."""
    office = Office.objects.get(discom__code=PVVNL, name_en=MEERUT)
    moment = dt.datetime.combine(on, dt.time(6), dt.UTC)
    receive(
        channel="bbps",
        reference=reference,
        office=office.id,
        typed=old,
        discom=KESCO,
        amount_paise=paise,
        received_at=moment,
        today=on,
    )


def line(wave: Wave, head: str, division: str = GUMTI) -> Line:
    return next(each for each in reconcile(wave) if (each.division_en, each.head) == (division, head))


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


# -- one wave that goes through everything -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wave(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wave]:
    yield staged(tmp_path_factory.mktemp("small"))


def test_before_the_cut_over_all_equations_hold_and_nothing_is_in_the_ledger(wave: Wave) -> None:
    lines = reconcile(wave)
    assert [each.head for each in lines] == [*HEADS, *HEADS]
    assert {each.difference for each in lines} == {0}
    assert {each.ledger for each in lines} == {None}
    principal = line(wave, "principal")
    assert (principal.file, principal.control, principal.held) == (425_184, 425_184, 0)
    assert line(wave, "readings").control is None


def test_the_cut_over_puts_all_in_place_and_the_ledger_agrees(wave: Wave) -> None:
    act = move(wave)
    lines = reconcile(wave)
    assert {each.difference for each in lines} == {0}
    assert line(wave, "principal").ledger == 425_184
    assert line(wave, "readings").ledger == 5 * 1_120_000 + 2 * 1_120_000
    assert line(wave, "accounts", JAJMAU).ledger == 6
    assert first_offence() is None
    assert act.details["accounts"] == len(SMALL) == Connection.objects.filter(live=True).count()
    assert act.details["last_day"] == "2024-09-13"
    assert window_of(discom=wave.discom_id, wave="W1") == dt.date(2024, 9, 13)
    asha = of(ASHA.number)
    assert asha.connection is not None
    assert asha.connection.account_number == asha.account_number != ""
    assert [match.number for match in resolve(typed=ASHA.number, today=AT, discom=KESCO).matches] == [
        asha.account_number
    ]
    balances = dict(Balance.objects.filter(subject=asha.connection_id).values_list("head__code", "amount_paise"))
    assert balances == {"consumers": 150_050, "lpsc": 1_225, "deposit": -30_000}
    entry = Entry.objects.get(kind="opening", cause=f"migration:row:{asha.heads_file_id}:{asha.heads_line}:1")
    assert entry.business_date == AT
    assert owed(ELA.number) == -15_025, "a prepaid balance is what the company owes"
    assert Entry.objects.filter(kind="opening").count() == len(SMALL) - 1, "Kamla has nothing to post"
    assert not Entry.objects.filter(cause__contains=f":{of(KAMLA.number).heads_line}:1", kind="opening").filter(
        cause__startswith=f"migration:row:{of(KAMLA.number).heads_file_id}:"
    )


def test_meters_hang_where_they_are_read_and_showed_what_the_old_system_last_saw(wave: Wave) -> None:
    dukan = of(DUKAN.number)
    hung = Installation.objects.select_related("meter", "cycle").get(connection_id=dukan.connection_id)
    assert (hung.meter.serial, hung.from_date, hung.cycle.code) == ("M2234504", day("2024-01-31"), "R28")
    read = Reading.objects.get(meter=hung.meter)
    assert (read.day, read.register_wh, read.source) == (day("2024-02-29"), 2 * 1_120_000, "migration")
    told = dict(Reading.objects.values_list("meter__serial", "demand_w"))
    assert (told["M2234504"], told["M3234508"]) == (1_200, None), "what the old system did not know is not 0"
    smart = Installation.objects.get(meter__smart=True, meter__serial="M012345")
    assert smart.cycle_id is None
    old = OldBill.objects.get(connection_id=dukan.connection_id)
    assert (old.month, old.units_wh, old.amount_paise) == (day("2024-03-01"), 2 * 120_000, 85_470)


def test_a_live_wave_is_not_cut_over_again(wave: Wave) -> None:
    with pytest.raises(MoveError, match="live already"):
        move(wave)
    assert Act.objects.filter(wave=wave, kind="cutover").count() == 1


def test_old_balance_and_exported_payments_are_the_central_balance(wave: Wave, tmp_path: Path) -> None:
    before = owed(ASHA.number)
    pay(ASHA.number, 40_000, "one")
    pay(BINA.number, 1_001, "two")
    assert owed(ASHA.number) == before - 40_000
    meter = Meter.objects.get(serial=f"M{DUKAN.number}")
    taken = NewReadings(*(np.array([each]) for each in (meter.id, np.datetime64("2024-03-18"), 2 * 1_150_500, 1_300)))
    take_readings(readings=taken, source="reader")
    act = back(wave)
    assert not Connection.objects.filter(live=True).exists()
    assert not Balance.objects.filter(head__per_subject=True).exclude(amount_paise=0).exists()
    assert window_of(discom=wave.discom_id, wave="W1") is None
    assert first_offence() is None
    write_export(wave, tmp_path)
    payments = table(tmp_path / f"payments_{DIVISIONS[GUMTI]}.csv")
    assert [(row["ACCT_ID"], row["AMOUNT"], row["COLLECTED_BY"], row["CHANNEL"]) for row in payments] == [
        (ASHA.number, "400.00", PVVNL, "bbps"),
        (BINA.number, "10.01", PVVNL, "bbps"),
    ]
    assert table(tmp_path / f"payments_{DIVISIONS[JAJMAU]}.csv") == []
    readings = table(tmp_path / f"readings_{DIVISIONS[GUMTI]}.csv")
    assert [(row["SERIAL_NBR"], row["CUR_RDG_KWH"], row["MF"]) for row in readings] == [("M2234504", "1150.500", "2")]
    sums = {(row["DIV_NAME"], row["HEAD"]): row for row in table(tmp_path / "summary.csv")}
    assert {row["DIFFERENCE"] for row in sums.values()} == {"0.00"}
    assert sums[GUMTI, "owed"]["PAYMENTS"] == "410.01"
    assert not list(tmp_path.glob(".*")), "drafts are gone"
    assert act.details["accounts"] == len(SMALL)


def test_what_was_handed_back_must_be_accounted_for_before_the_next_cut_over(wave: Wave) -> None:
    with pytest.raises(MoveError, match="handed payments or bills back"):
        move(wave)
    first = digest(wave)
    move(wave, exported="carried")
    assert digest(wave) == first
    assert owed(ASHA.number) == 150_050 + 1_225 - 40_000
    assert {each.difference for each in reconcile(wave)} == {0}, "carried payments are no openings"
    pay(ASHA.number, 5_000, "three", dt.date(2024, 3, 22))
    back(wave, dt.date(2024, 3, 25))
    gumti = next(each for each in handed(wave) if (each.name, each.head) == (GUMTI, "owed"))
    assert (gumti.carried_paise, gumti.payments_paise, gumti.difference_paise) == (-41_001, 5_000, 0)
    move(wave, exported="in-files")
    assert digest(wave) == first
    assert owed(ASHA.number) == 150_050 + 1_225, "the files are believed to contain them"
    assert first_offence() is None


def test_an_order_that_gave_more_time_outlives_a_roll_back(wave: Wave) -> None:
    extend_window(
        discom=wave.discom_id, wave=wave.code, last_day=day("2024-12-31"), source="order", now=NOW, actor="test"
    )
    back(wave, dt.date(2024, 3, 26))
    assert window_of(discom=wave.discom_id, wave=wave.code) is None
    move(wave, exported="in-files")
    assert window_of(discom=wave.discom_id, wave=wave.code) == day("2024-12-31")


def test_a_later_wave_is_taken_back_first(wave: Wave, tmp_path: Path) -> None:
    later = Wave.objects.create(discom=wave.discom, code="W2")
    details = {"after_entry": 0}
    Act.objects.create(wave=later, kind="cutover", number=1, business_date=AT, actor="test", details=details)
    with pytest.raises(MoveError, match="W2, which is live"):
        back(wave)
    with pytest.raises(MoveError, match="was cut over on 2024-03-14, after 2024-03-13"):
        back(wave, dt.date(2024, 3, 13))
    assert Connection.objects.filter(live=True).count() == len(SMALL)


# -- what stands in the way --------------------------------------------------------------------------------------------


def test_a_red_line_is_signed_by_two_people_or_stops_the_cut_over(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path, changes={("control", GUMTI): {"PRINCIPAL": "4252.00"}})
    red = line(wave, "principal")
    assert (red.difference, red.differences, red.red) == (-16, (0, -16, 0), True)
    with pytest.raises(MoveError, match="principal of Gumti, by -16"):
        move(wave)
    maker, checker = two_people()
    asked = propose(
        wave=wave,
        division=red.division,
        kind="accept",
        about=red.about,
        column="",
        value="",
        reason="Sixteen paise were rounded in the sum",
        maker=maker.id,
        now=NOW,
    )
    assert line(wave, "principal").red, "one person is not enough"
    decide(proposal=asked.id, approved=True, reason="", checker=checker.id, now=NOW)
    assert line(wave, "principal").accepted
    assert move(wave).details["accounts"] == len(SMALL)


def test_what_was_signed_of_one_difference_does_not_cover_another(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path, changes={("control", GUMTI): {"PRINCIPAL": "4252.00"}})
    Account.objects.filter(old_number=ASHA.number).update(principal_paise=150_000)  # lost on the way
    assert line(wave, "principal").differences == (50, -16, 0)
    maker, checker = two_people()
    for signed, left in ((50, -16), (-16, 50)):
        red = line(wave, "principal")
        assert (red.difference, red.red) == (signed, True)
        words = {"division": red.division, "kind": "accept", "about": red.about, "column": "", "value": ""}
        asked = propose(wave=wave, reason="looked at", maker=maker.id, now=NOW, **words)  # type: ignore[arg-type]
        decide(proposal=asked.id, approved=True, reason="", checker=checker.id, now=NOW)
        assert line(wave, "principal").difference == left
    assert line(wave, "principal").accepted


def test_a_red_line_names_the_account_whose_amount_it_is(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path, changes={("heads", DUKAN.number): {"PRINCIPAL": "none"}, ("master", DUKAN.number): {}})
    red = line(wave, "principal")
    assert red.difference == -150_050
    assert behind(wave, red)[0] == DUKAN.number
    assert red.held == 0, "what cannot be read counts nothing"


def test_held_accounts_stay_behind_and_the_sums_say_so(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path, changes={("billed", ASHA.number): {"CUR_RDG_KWH": "900"}})
    held = line(wave, "principal")
    assert (held.held, held.file, held.difference) == (150_050, 425_184, 0)
    assert move(wave).details["accounts"] == len(SMALL) - 1
    assert of(ASHA.number).connection_id is None
    assert {each.difference for each in reconcile(wave)} == {0}


@pytest.mark.parametrize(("unknown", "told"), [(None, "no parallel run"), (3, "left 3 bills")])
def test_the_parallel_run_must_have_explained_all(
    database: Database, tmp_path: Path, unknown: int | None, told: str
) -> None:
    wave = staged(tmp_path, unknown=unknown)
    with pytest.raises(MoveError, match=told):
        move(wave)
    assert not Account.objects.exclude(account_number="").exists(), "no number is drawn for a wave that may not move"


def test_an_unfinished_bill_run_stops_both_ways(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path)
    move(wave)
    run = Run.objects.create(kind="bills", key="open", terms={})
    days = dict.fromkeys(("bill_date", "due_date", "rated_on"), day("2024-04-08"))
    division = Office.objects.get(discom=wave.discom, name_en=GUMTI, kind=Office.Kind.DIVISION)
    BillRun.objects.create(run=run, discom=wave.discom, division=division, cycle=day("2024-04-01"), **days)
    with pytest.raises(MoveError, match="unfinished"):
        back(wave)


# -- the parts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "last"),
    [
        ("2024-03-14", "2024-09-13"),
        ("2024-08-31", "2025-02-28"),
        ("2023-08-31", "2024-02-29"),
        ("2024-03-01", "2024-08-31"),
        ("2024-10-05", "2025-04-04"),
        ("2024-12-31", "2025-06-30"),
    ],
)
def test_the_window_ends_the_day_before_the_same_date_of_the_sixth_month(at: str, last: str) -> None:
    assert last_day_of_window(day(at)) == day(last)


@given(st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1)))
def test_every_window_has_six_months(at: dt.date) -> None:
    last = last_day_of_window(at)
    after = last + dt.timedelta(days=1)
    assert (after.year * 12 + after.month) - (at.year * 12 + at.month) == (6 if after.day == at.day else 7)
    assert 180 <= (last - at).days <= 184
    assert after.day in (at.day, 1)


def test_a_meter_that_hangs_elsewhere_is_refused_and_one_that_was_taken_down_is_used_again(
    database: Database, tmp_path: Path
) -> None:
    wave = staged(tmp_path)
    move(wave)
    asha, dukan = of(ASHA.number).connection_id, of(DUKAN.number).connection_id
    moved = ArrivingMeters(
        serial=np.array([f"M{DUKAN.number}".encode()]),
        smart=np.array([False]),
        connection=np.array([asha]),
        from_date=np.array(["2024-03-01"], "datetime64[D]"),
        day=np.array(["2024-03-10"], "datetime64[D]"),
        register_wh=np.array([2_300_000]),
        demand_w=np.array([0]),
        factor=np.array([1]),
    )
    with pytest.raises(MeterTakenError, match=f"M{DUKAN.number}"):
        bring_meters(discom=wave.discom_id, meters=moved, now=NOW)
    Installation.objects.create(connection_id=dukan, from_date=day("2024-03-01"), known_at=NOW)  # taken down
    for _ in range(2):
        bring_meters(discom=wave.discom_id, meters=moved, now=NOW)
    rows = (
        Installation.objects.filter(connection_id=asha).order_by("from_date").values_list("from_date", "meter__serial")
    )
    assert list(rows) == [(day("2024-01-31"), f"M{ASHA.number}"), (day("2024-03-01"), f"M{DUKAN.number}")]


# -- the command -------------------------------------------------------------------------------------------------------


def khata(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    code = main(["migration", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_commands_reconcile_move_and_take_back(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    staged(tmp_path / "in")
    code, found = khata(capsys, "reconcile", "--wave", "W1")
    figures = found["divisions"][GUMTI]["deposit"]  # type: ignore[index]
    assert (code, figures["file"], figures["ledger"], figures["difference"]) == (0, 250_075, None, 0)
    monkeypatch.setenv("KHATA_TODAY", "2024-03-13")
    assert main(["migration", "cutover", "--wave", "W1", "--at", "2024-03-14"]) == 2
    assert "has not come" in capsys.readouterr().err
    monkeypatch.setenv("KHATA_TODAY", "2024-03-14")
    code, act = khata(capsys, "cutover", "--wave", "W1", "--at", "2024-03-14", "--discom", KESCO)
    assert (code, act["last_day"]) == (0, "2024-09-13")
    assert main(["migration", "reconcile", "--wave", "W1"]) == 0
    assert "16 equations of 2 divisions hold" in capsys.readouterr().out
    code, act = khata(capsys, "rollback", "--wave", "W1", "--out", str(tmp_path / "out"))
    assert (code, act["repeated"], len(act["files"])) == (0, False, 7)  # type: ignore[arg-type]
    code, act = khata(capsys, "rollback", "--wave", "W1", "--out", str(tmp_path / "out"))
    assert (code, act["repeated"]) == (0, True)
    assert main(["migration", "cutover", "--wave", "W9", "--at", "2024-03-14"]) == 2
    assert "KESCO W1" in capsys.readouterr().err
