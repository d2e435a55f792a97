"""Registers of billing profiles: judged against readings and meter days that are stored, and against each other."""

import itertools

import numpy as np
import pytest

from khata.discoms.models import Discom
from khata.metering.models import Finding, Meter, Quarantine, Reading
from khata.metering.operations import NewReadings, take_readings
from khata.metering.queries import UNKNOWN, findings_of
from khata.metering.queries import readings as stored
from tests.cast import day
from tests.database import Database
from tests.metering.made import Said, batch, counts, deliver, readings, send

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def company(module_database: Database) -> Discom:
    return Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")


@pytest.fixture
def meter(company: Discom) -> Meter:
    """Another one for each test, with a register of five digits."""
    return Meter.objects.create(serial=f"M-{next(NUMBERS)}", discom=company, smart=True, register_digits=5)


def profile(meter: Meter, *rows: tuple[str, int], demand: int = UNKNOWN) -> tuple[int, int, int, int, int]:
    said = [(meter.serial, day, register, demand) for day, register in rows]
    return counts(send([readings(*said)], repr((said, next(NUMBERS))).encode()))


def kept(meter: Meter) -> list[tuple[str, int]]:
    found = Reading.objects.filter(meter=meter).order_by("day", "revision").values_list("day", "register_wh")
    return [(f"{day:%d %b}", register) for day, register in found]


def refused(meter: Meter) -> list[tuple[str, str]]:
    found = Quarantine.objects.filter(serial=meter.serial).order_by("id").values_list("rule", "owner", "content")
    return [(rule, content) for rule, owner, content in found if owner == "metering"]


def test_below_an_earlier_or_above_a_later_reading_is_quarantined(meter: Meter) -> None:
    profile(meter, ("2024-05-01", 500_000), ("2024-06-01", 700_000))
    assert profile(meter, ("2024-05-20", 499_000), ("2024-05-10", 701_000)) == (2, 0, 0, 0, 2)
    assert sorted(refused(meter)) == [
        ("VAL-13", '{"register_wh": 499000, "other_register_wh": 500000}'),
        ("VAL-13", '{"register_wh": 701000, "other_register_wh": 700000}'),
    ]
    assert profile(meter, ("2024-05-20", 600_000)) == (1, 1, 0, 0, 0)
    assert kept(meter) == [("01 May", 500_000), ("20 May", 600_000), ("01 Jun", 700_000)]


def test_a_reading_of_a_person_bears_witness_too(meter: Meter) -> None:
    one = (np.array([value]) for value in (meter.id, np.datetime64("2024-05-01"), 500_000, 0))
    take_readings(readings=NewReadings(*one), source="reader")
    assert profile(meter, ("2024-06-01", 400_000))[4] == 1
    assert profile(meter, ("2024-06-01", 500_000))[1] == 1


def test_the_register_of_a_meter_day_stands_where_the_next_day_begins(meter: Meter) -> None:
    """5 June ended at 500 kWh, 7 June at 520: when 6 June began it was 500, when 7 June began it was between them."""
    deliver(Said(meter.serial, "2024-06-05", register=500_000), Said(meter.serial, "2024-06-07", register=520_000))
    assert profile(meter, ("2024-06-07", 499_000))[4] == 1, "below the end of 5 June"
    assert profile(meter, ("2024-06-07", 521_000))[4] == 1, "above the end of 7 June"
    assert profile(meter, ("2024-06-07", 510_000), ("2024-06-06", 500_000)) == (2, 2, 0, 0, 0)


def test_when_a_day_ended_and_the_next_began_the_register_stood_once(meter: Meter) -> None:
    deliver(Said(meter.serial, "2024-05-31", register=1_256_000))
    assert profile(meter, ("2024-06-01", 1_255_000), ("2024-06-03", 1_255_900))[4] == 2, "both below the end of 31 May"
    assert profile(meter, ("2024-06-01", 1_257_000), ("2024-06-03", 1_256_500)) == (2, 1, 0, 0, 1), "the first is wrong"
    assert refused(meter)[-1] == ("VAL-13", '{"register_wh": 1257000, "other_register_wh": 1256000}')
    assert profile(meter, ("2024-06-01", 1_256_000))[1] == 1


def test_a_day_whose_register_was_counted_on_over_a_rollover_says_the_same(meter: Meter) -> None:
    days = (
        Said(meter.serial, date, register=wh) for date, wh in (("2024-05-31", 99_990_000), ("2024-06-05", 100_040_000))
    )
    deliver(*days)
    assert profile(meter, ("2024-06-06", 41_000))[4] == 1
    assert profile(meter, ("2024-06-06", 40_000))[1] == 1


def test_days_of_the_same_delivery_are_stored_first(meter: Meter) -> None:
    days = batch([Said(meter.serial, "2024-06-05", register=500_000)])
    row = (meter.serial, "2024-06-08", 400_000, UNKNOWN)
    assert counts(send([readings(row), days], b"both" + meter.serial.encode())) == (2, 1, 0, 0, 1)
    assert kept(meter) == []


def test_a_day_that_disagrees_with_its_own_register_accuses_nobody(meter: Meter) -> None:
    """VAL-15: 2 kWh used, and the register rose by 90. Stored by the same delivery, and by one before."""
    days = [Said(meter.serial, "2024-06-03", register=500_000)]
    days.append(Said(meter.serial, "2024-06-04", total=2_000, register=590_000))
    row = (meter.serial, "2024-06-08", 520_000, UNKNOWN)
    assert counts(send([readings(row), batch(days)], b"doubt" + meter.serial.encode())) == (3, 3, 0, 0, 0)
    assert Finding.objects.filter(meter=meter, rule="VAL-15").count() == 1
    assert profile(meter, ("2024-06-07", 515_000)) == (1, 1, 0, 0, 0)
    assert profile(meter, ("2024-06-06", 499_000))[4] == 1, "3 June stands"


def test_of_two_readings_of_a_delivery_the_one_goes_without_which_the_others_agree(meter: Meter) -> None:
    rows = (("2024-05-01", 500_000), ("2024-05-11", 900_000), ("2024-05-21", 510_000), ("2024-06-01", 520_000))
    assert profile(meter, *rows) == (4, 3, 0, 0, 1)
    assert kept(meter) == [("01 May", 500_000), ("21 May", 510_000), ("01 Jun", 520_000)]


def test_a_register_that_turned_over_is_taken_and_noted(meter: Meter) -> None:
    profile(meter, ("2024-05-01", 99_990_000))
    row = (meter.serial, "2024-06-01", 40_000, UNKNOWN)
    received = send([readings(row)], b"over" + meter.serial.encode())
    (noted,) = findings_of(received.delivery, first=5)
    (example,) = noted.examples
    assert (noted.rule, example.serial, str(example.day), example.channel) == (
        "VAL-14", meter.serial, "2024-06-01", 7,
    )  # fmt: skip
    assert example.evidence == {"register_wh": 40_000, "before_register_wh": 99_990_000, "continued_wh": 100_040_000}
    assert profile(meter, ("2024-06-01", 40_000)) == (1, 0, 1, 0, 0)
    without_digits = Meter.objects.create(serial=f"{meter.serial}-0", discom=meter.discom, smart=True)
    profile(without_digits, ("2024-05-01", 99_990_000))
    assert profile(without_digits, ("2024-06-01", 40_000))[4] == 1


def test_a_correction_is_not_judged_by_what_it_corrects(meter: Meter) -> None:
    profile(meter, ("2024-05-01", 500_000), ("2024-06-01", 900_000))
    assert profile(meter, ("2024-06-01", 510_000)) == (1, 0, 0, 1, 0)
    assert profile(meter, ("2024-06-01", 490_000)) == (1, 0, 0, 0, 1)


def test_a_demand_that_nobody_said_is_unknown_and_no_zero(meter: Meter) -> None:
    profile(meter, ("2024-06-01", 500_000))
    assert Reading.objects.get(meter=meter).demand_w is None
    assert stored(np.array([meter.id]), day("2024-06-01"), day("2024-06-01")).demand_w.tolist() == [UNKNOWN]
    assert profile(meter, ("2024-06-01", 500_000)) == (1, 0, 1, 0, 0)
    assert profile(meter, ("2024-06-01", 500_000), demand=0) == (1, 0, 0, 1, 0), "0 kW is something that was said"
    assert profile(meter, ("2024-06-01", 500_000)) == (1, 0, 1, 0, 0)
    assert list(Reading.objects.filter(meter=meter).order_by("revision").values_list("demand_w", flat=True)) == [
        None,
        0,
    ]
