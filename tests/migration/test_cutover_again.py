"""What a wave meets after its first cut-over: bills, corrected files, meters that change places, a second wave."""

import csv
import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from khata.billing.models import Bill, Unissued
from khata.billing.operations import set_policy
from khata.consumers.models import Connection
from khata.discoms.models import Discom
from khata.ledger.queries import first_offence
from khata.metering.models import Installation, Meter, Reading
from khata.metering.operations import NewDays, NewReadings, add_reading_cycle, take_days, take_readings
from khata.migration.models import Account, Act, ParallelRun, Wave
from khata.migration.reconciling import reconcile
from khata.migration.rollback import handed, write_export
from tests.cast import GUMTI, KESCO, POLICY, Town, day, town
from tests.database import Database
from tests.migration.handover import ASHA, BINA, CHARAN, DIVISIONS, DUKAN, HARI, SMALL, load_small, write_small
from tests.migration.test_cutover import AT, back, move, of, owed, pay, staged, table


def loaded_again(folder: Path, wave: Wave, **options: object) -> Wave:
    """Other files for the same wave, and a parallel run that explains all."""
    load_small(write_small(folder, **options), wave=wave.code)  # type: ignore[arg-type]
    loads = Act.objects.filter(wave=wave, kind="load").count()
    ParallelRun.objects.create(wave=wave, cycle=day("2024-03-01"), actor="test", summary={"unknown": 0, "load": loads})
    return wave


def changed(**of_number: dict[str, object]) -> tuple[object, ...]:
    return tuple(old.with_(**of_number.get(f"n{old.number}", {})) for old in SMALL)


def test_meters_that_changed_places_in_corrected_files_change_places_here(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path / "one")
    move(wave)
    back(wave)
    swapped = changed(n1234501={"meter": "M01234502"}, n01234502={"meter": "M1234501"})
    move(loaded_again(tmp_path / "two", wave, accounts=swapped))
    for old, meter in ((ASHA, "M01234502"), (BINA, "M1234501")):
        newest = Installation.objects.filter(connection_id=of(old.number).connection_id).order_by("from_date", "revision")
        assert newest.last().meter.serial == meter
    assert {each.difference for each in reconcile(wave)} == {0}


def test_who_is_held_the_second_time_stays_with_the_old_system(database: Database, tmp_path: Path) -> None:
    wave = staged(tmp_path / "one")
    move(wave)
    pay(ASHA.number, 40_000, "one")
    pay(BINA.number, 1_001, "two")
    back(wave)
    loaded_again(tmp_path / "two", wave, changes={("billed", ASHA.number): {"CUR_RDG_KWH": "900"}})
    act = move(wave, exported="carried")
    assert act.details["accounts"] == len(SMALL) - 1
    asha, bina = of(ASHA.number).connection, of(BINA.number).connection
    assert asha is not None and not asha.live
    assert (owed(ASHA.number), owed(BINA.number)) == (0, -25_000 - 1_001)
    assert {each.difference for each in reconcile(wave)} == {0}
    pay(ASHA.number, 500, "three")
    assert owed(ASHA.number) == 0
    assert first_offence() is None


def test_first_bills(database: Database, tmp_path: Path) -> None:
    town([])
    discom = Discom.objects.get(code=KESCO)
    set_policy(discom=discom, from_date=day("2024-03-01"), **POLICY)
    print(POLICY)
    wave = staged(tmp_path / "one")
    move(wave)
    for old in SMALL:
        meter = Meter.objects.get(serial=f"M{old.number}")
        if old.smart:
            days = np.arange(np.datetime64("2024-03-01"), np.datetime64("2024-04-01"))
            n = np.arange(len(days))
            take_days(days=NewDays(np.full(len(days), meter.id), days, np.full(len(days), 4000),
                1_120_000 * int(old.factor) + 4000 * n, np.full(len(days), 1000)), sender="HES")
        else:
            take_readings(readings=NewReadings(*(np.array([e]) for e in (meter.id, np.datetime64("2024-03-28"), 1_250_000 * int(old.factor), 1000))), source="reader")
    print(Town().run("2024-04", today=day("2024-04-08")))
    for b in Bill.objects.order_by("connection_id"):
        print(b.connection_id, b.period_start, b.period_end, b.energy_wh, b.payable_paise)
    for u in Unissued.objects.all(): print(u.connection_id, u.outcome, u.reason, u.evidence)
    before = {o.number: owed(o.number) for o in SMALL}
    back(wave, dt.date(2024,4,12))
    for p in write_export(wave, tmp_path / "out"): print(p.name); print(p.read_text())
    assert 0


def test_second_wave(database: Database, tmp_path: Path) -> None:
    """A wave in May where the company is billed centrally since March; smart meter read by the old system until 30 April."""
    town([])
    discom = Discom.objects.get(code=KESCO)
    set_policy(discom=discom, from_date=day("2024-03-01"), **POLICY)
    wave = staged(tmp_path / "one")
    move(wave)
    Town().run("2024-04", today=day("2024-04-08"))
    from khata.migration.cutover import cutover
    from khata.consumers.rules import seeded_bodies
    later = CHARAN.with_(number="5555555", previous_day="01-MAY-24", present_day="01-JUN-24", bill_day="05-JUN-24")
    plain = ASHA.with_(number="5555556", previous_day="10-APR-24", present_day="10-MAY-24", bill_day="15-MAY-24")
    smart_mid = CHARAN.with_(number="5555557", previous_day="10-APR-24", present_day="10-JUN-24", bill_day="15-JUN-24")
    w2 = load_small(write_small(tmp_path / "two", accounts=(later, plain, smart_mid)), wave="W2", today=day("2024-06-20"))
    print(Account.objects.filter(wave=w2).values_list("outcome", "rules"))
    ParallelRun.objects.create(wave=w2, cycle=day("2024-06-01"), actor="test", summary={"unknown": 0, "load": 1})
    cutover(wave=w2, at=day("2024-06-20"), actor="test", now=dt.datetime(2024,6,20,tzinfo=dt.UTC), draw=seeded_bodies(8))
    for old in (later, smart_mid):
        meter = Meter.objects.get(serial=f"M{old.number}")
        days = np.arange(np.datetime64("2024-05-01"), np.datetime64("2024-07-01"))
        n = np.arange(len(days))
        take_days(days=NewDays(np.full(len(days), meter.id), days, np.full(len(days), 4000),
            1_120_000 + 4000 * (n-30), np.full(len(days), 1000)), sender="HES%s" % old.number)
    meter = Meter.objects.get(serial=f"M{plain.number}")
    take_readings(readings=NewReadings(*(np.array([e]) for e in (meter.id, np.datetime64("2024-06-28"), 1_250_000, 1000))), source="reader")
    print(Town().run("2024-07", today=day("2024-07-08")))
    for o in (later, plain, smart_mid):
        a = of(o.number)
        for b in Bill.objects.filter(connection_id=a.connection_id):
            print(o.number, b.period_start, b.period_end, b.energy_wh, b.payable_paise)
        for u in Unissued.objects.filter(connection_id=a.connection_id): print(o.number, u.outcome, u.reason, u.evidence)
    assert 0
