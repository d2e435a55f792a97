"""What a wave meets after its first cut-over: bills, corrected files, meters that changed places, a second wave."""

import datetime as dt
from pathlib import Path

import numpy as np

from khata.billing.models import Bill, Unissued
from khata.consumers.models import Connection, OldNumber
from khata.consumers.rules import seeded_bodies
from khata.discoms.models import Discom
from khata.formats.handover_columns import day as day_written
from khata.ledger.queries import first_offence
from khata.metering.models import Installation, Meter
from khata.metering.operations import NewDays, NewReadings, take_days, take_readings
from khata.migration.cutover import cutover
from khata.migration.intake import load
from khata.migration.models import Act, ParallelRun, Wave
from khata.migration.reconciling import digest, reconcile
from khata.migration.rollback import handed, write_export
from tests.cast import JAJMAU, KESCO, Town, day, town
from tests.database import Database
from tests.migration.handover import (
    ASHA,
    BINA,
    CHARAN,
    DIVISIONS,
    GITA,
    NOW,
    SMALL,
    TODAY,
    Old,
    load_small,
    write_small,
)
from tests.migration.test_cutover import back, move, of, owed, pay, staged, table

EVERY_OTHER_MONTH = ASHA.with_(number="4234513", mobile="9876500013", previous_day="31-DEC-23")


def moved_on(wave: Wave, cycle: str = "2024-03-01", **options: object) -> Act:
    """The wave cut over, its parallel run without anything unknown."""
    loads = Act.objects.filter(wave=wave, kind="load").count()
    ParallelRun.objects.create(wave=wave, cycle=day(cycle), actor="test", summary={"unknown": 0, "load": loads})
    return move(wave, **options)


def read(old: Old, on: str, units: int) -> None:
    """A reader's reading; units as the dial shows them."""
    meter = Meter.objects.get(serial=old.serial).id
    shown = units * 1000 * int(old.factor)
    columns = ([meter], [np.datetime64(on)], [shown], [1_000])
    take_readings(readings=NewReadings(*map(np.array, columns)), source="reader")


def measure(old: Old, first: str, until: str, *, registers: bool = True) -> None:
    """4 units on each day of a smart meter, with the register that they lead to from its last reading in the files."""
    days = np.arange(np.datetime64(first), np.datetime64(until))
    since = (days - np.datetime64(day_written(old.present_day))).astype(np.int64) + 1
    register = int(old.present) * 1000 + 4_000 * since
    meter = np.full(len(days), Meter.objects.get(serial=old.serial).id)
    told = register if registers else np.full(len(days), -1)
    wh, demand = np.full(len(days), 4_000), np.full(len(days), 1_000)
    take_days(days=NewDays(meter, days, wh, told, demand), sender="test", today=dt.date(2024, 12, 31))


def billed(old: Old, cycle: str) -> tuple[dt.date, dt.date, int]:
    bill = Bill.objects.get(connection_id=of(old.number).connection_id, cycle=day(f"{cycle}-01"))
    return bill.period_start, bill.period_end, bill.energy_wh


def test_meters_that_changed_places_in_corrected_files_change_places_here(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path / "one")
    move(wave)
    back(wave)
    swapped = (ASHA.with_(meter=BINA.serial), BINA.with_(meter=ASHA.serial), *SMALL[2:])
    load_small(write_small(tmp_path / "two", accounts=swapped))
    moved_on(wave)
    for old in swapped:
        newest = Installation.objects.filter(connection_id=of(old.number).connection_id).order_by(
            "from_date", "revision"
        )
        assert newest.values_list("meter__serial", flat=True).last() == old.serial
    assert {each.difference for each in reconcile(wave)} == {0}


def test_who_is_held_or_gone_the_second_time_stays_with_the_old_system(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path / "one")
    move(wave)
    for old, paise in ((ASHA, 40_000), (BINA, 1_001), (GITA, 700)):
        pay(old.number, paise, old.number)
    back(wave)
    rest = [old for old in SMALL if old is not GITA]
    load_small(write_small(tmp_path / "two", accounts=rest, changes={("billed", ASHA.number): {"CUR_RDG_KWH": "900"}}))
    assert moved_on(wave, exported="carried").details["accounts"] == len(SMALL) - 2
    live = set(Connection.objects.filter(live=True).values_list("id", flat=True))
    assert live.isdisjoint({of(ASHA.number).connection_id, of(GITA.number).connection_id})
    pay(ASHA.number, 500, "late")
    assert [owed(old.number) for old in (ASHA, GITA, BINA)] == [0, 0, -25_000 - 1_001]
    assert {each.difference for each in reconcile(wave)} == {0}
    assert first_offence() is None


def test_corrected_files_change_what_stands_here(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path / "one")
    move(wave)
    first = digest(wave)
    number, connection = of(ASHA.number).account_number, of(ASHA.number).connection_id
    back(wave)
    moved = ASHA.with_(division=JAJMAU, mobile="9876599999", meter="M-NEW", principal="-1.00", factor="3", load_kw="5")
    load_small(write_small(tmp_path / "two", accounts=(moved, *SMALL[1:])))
    moved_on(wave)
    here = of(ASHA.number)
    assert here.connection is not None
    assert (here.account_number, here.connection_id) == (number, connection)
    assert here.connection.division.name_en == JAJMAU
    assert here.connection.consumer.mobile_key == "9876599999"
    newest = Installation.objects.filter(connection=here.connection).order_by("from_date", "revision").last()
    assert newest is not None and newest.meter is not None
    assert (newest.meter.serial, newest.factor) == ("M-NEW", 3)
    assert owed(ASHA.number) == -100 + 1_225
    assert {each.difference for each in reconcile(wave)} == {0}
    assert digest(wave) != first


def test_the_first_bills_begin_where_the_old_system_ended_and_can_be_handed_back(
    database: Database, tmp_path: Path
) -> None:
    town([], policy_from="2024-03-01")
    accounts = (*SMALL, EVERY_OTHER_MONTH)
    wave = staged(tmp_path / "one", accounts=accounts)
    move(wave)
    for old in accounts:
        if old.smart:
            measure(old, "2024-02-29", "2024-04-01", registers=old is CHARAN)
        elif old is not EVERY_OTHER_MONTH:
            read(old, "2024-03-28", 1_250)
    found = Town().run("2024-04", today=day("2024-04-08"))
    assert (found["expected"], found["issued"], found.get("held", 0)) == (len(accounts), len(SMALL), 0)
    assert [each.outcome for each in Unissued.objects.all()] == ["not due"]
    for old in SMALL:
        end, units = ("2024-04-01", 32 * 4_000) if old.smart else ("2024-03-28", 130_000 * int(old.factor))
        assert billed(old, "2024-04") == (day("2024-02-29"), day(end), units)
    central = {old.number: owed(old.number) for old in accounts}
    pay(ASHA.number, 10_000, "one", day("2024-04-09"))

    back(wave, day("2024-04-12"))
    write_export(wave, tmp_path / "back")
    assert {each.difference_paise for each in handed(wave)} == {0}
    payable = {
        row["ACCT_ID"]: round(float(row["AMOUNT_PAYABLE"]) * 100)
        for code in DIVISIONS.values()
        for row in table(tmp_path / "back" / f"bills_{code}.csv")
    }
    assert set(payable) == {old.number for old in SMALL}
    for old in accounts:
        account = of(old.number)
        opened = account.principal_paise + account.lpsc_paise - account.prepaid_paise
        assert opened + payable.get(old.number, 0) == central[old.number]

    # The old system bills May, and the wave comes again: what that billed is not billed here once more.
    later = [
        old.with_(present="1300", previous_day="28-APR-24", present_day="28-MAY-24", bill_day="05-JUN-24")
        for old in accounts
    ]
    load_small(write_small(tmp_path / "two", accounts=later), today=day("2024-06-06"))
    moved_on(wave, "2024-06-01", exported="in-files")
    for old in later:
        if old.smart:
            measure(old, "2024-05-28", "2024-07-01")
        else:
            read(old, "2024-06-28", 1_400)
    Town().run("2024-07", today=day("2024-07-08"))
    for old in later:
        end, units = ("2024-07-01", 34 * 4_000) if old.smart else ("2024-06-28", 100_000 * int(old.factor))
        assert billed(old, "2024-07") == (day("2024-05-28"), day(end), units)


def test_kept_numbers_stay_as_they_are(database: Database, tmp_path: Path) -> None:
    """Without a check digit, with zeros in front; in one file these were eaten."""
    town([])
    kept = tuple(old.with_(number=f"00{n}1234567") for n, old in enumerate(SMALL[:9]))
    eaten = {("heads", kept[0].number): {"ACCT_ID": kept[0].number.lstrip("0")}}
    wave = load(
        directory=write_small(tmp_path, accounts=kept, changes=eaten),
        discom=Discom.objects.get(code=KESCO),
        wave="W1",
        numbers="kept",
        today=TODAY,
        now=NOW,
        actor="test",
        say=lambda *_: None,
    ).wave
    moved_on(wave)
    numbers = {old.number for old in kept}
    assert set(Connection.objects.filter(live=True).values_list("account_number", flat=True)) == numbers
    assert not OldNumber.objects.exists()
    assert {each.difference for each in reconcile(wave)} == {0}


def test_of_a_later_wave_nothing_is_billed_that_the_old_system_billed(database: Database, tmp_path: Path) -> None:
    town([], policy_from="2024-03-01")
    move(staged(tmp_path / "one", accounts=(ASHA, GITA)))
    Town().run("2024-04", today=day("2024-04-08"))
    whole, middle = (
        CHARAN.with_(number=number, previous_day="10-APR-24", present_day=read_on, bill_day="15-JUN-24")
        for number, read_on in (("5555555", "01-JUN-24"), ("5555557", "10-JUN-24"))
    )
    later = load_small(write_small(tmp_path / "two", accounts=(whole, middle)), wave="W2", today=day("2024-06-20"))
    ParallelRun.objects.create(wave=later, cycle=day("2024-06-01"), actor="test", summary={"unknown": 0, "load": 1})
    now = dt.datetime(2024, 6, 20, tzinfo=dt.UTC)
    cutover(wave=later, at=now.date(), actor="test", now=now, draw=seeded_bodies(8))
    for old in (whole, middle):
        measure(old, "2024-05-01", "2024-07-01")
    Town().run("2024-07", today=day("2024-07-08"))
    assert billed(whole, "2024-07") == (day("2024-06-01"), day("2024-07-01"), 30 * 4_000)
    assert billed(middle, "2024-07") == (day("2024-06-10"), day("2024-07-01"), 21 * 4_000)
