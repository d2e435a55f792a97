"""What is usual of a meter, made from what is stored; and that the measuring of false alarms reckons it likewise."""

import datetime as dt

import numpy as np
import pytest
from django.db import connection

from khata.metering.models import Feed, Meter, MeterDay, Sender, Usual
from khata.metering.nightly import make_usual
from khata.metering.operations import NewDays, take_days
from tests.bench.false_alarms import usual_of
from tests.cast import ARRIVED, Agreed, Home, Hung, Town, Usage, agree, day, smart, town
from tests.database import Database

FIRST = "2024-05-01"
TODAY = dt.date(2024, 6, 1)


@pytest.fixture
def homes(database: Database) -> Town:
    used = Usage(FIRST, tuple(1_000 * n for n in range(1, 32)), demand_w=2_400)
    return town([smart("Asha", used), smart("Bina"), smart("Devi", Usage("2024-05-20", (5_000,) * 6))])


def usual(homes: Town, name: str, today: dt.date = TODAY) -> Usual:
    make_usual(today=today)
    return Usual.objects.get(meter_id=homes.meters[f"S-{name}"])


def store(homes: Town, name: str, on: str, total_wh: int, *, revision: int, origin: int) -> None:
    MeterDay.objects.create(
        meter_id=homes.meters[f"S-{name}"],
        day=day(on),
        channel=0,
        revision=revision,
        total_wh=total_wh,
        origin=origin,
        known=0,
        rule="EST-01" if origin == 2 else None,
        delivery=1,
    )


def test_median_day_and_half_of_the_median_demand(homes: Town) -> None:
    found = usual(homes, "Asha")
    assert (found.days, found.total_wh, found.peak_wh, found.zero_days) == (31, 16_000, 1_200, 0)


def test_too_few_days_say_nothing(homes: Town) -> None:
    few, none = usual(homes, "Devi"), usual(homes, "Bina")
    assert (few.days, few.total_wh, few.peak_wh) == (6, -1, -1)
    assert (none.days, none.total_wh, none.zero_days, none.load_w) == (0, -1, 0, 2_000)


def test_an_estimate_is_no_measured_day(homes: Town) -> None:
    store(homes, "Asha", "2024-05-31", 99_000, revision=1, origin=2)
    found = usual(homes, "Asha")
    assert (found.days, found.total_wh) == (30, 15_000)
    store(homes, "Asha", "2024-05-31", 0, revision=2, origin=1)
    assert (usual(homes, "Asha").days, usual(homes, "Asha").zero_days) == (31, 1)


def test_the_day_itself_and_later_ones_do_not_count(homes: Town) -> None:
    assert usual(homes, "Asha", dt.date(2024, 5, 11)).total_wh == 5_000


def test_a_meter_back_after_months_is_measured_by_what_it_was(homes: Town) -> None:
    found = usual(homes, "Asha", dt.date(2024, 9, 1))
    assert (found.days, found.total_wh) == (31, 16_000)
    assert usual(homes, "Asha", dt.date(2024, 12, 1)).total_wh == -1  # half a year is too long ago


def test_the_load_is_that_of_the_terms_in_force(homes: Town) -> None:
    agree(homes, "Asha", Agreed("2024-06-01", load_w=4_000))
    agree(homes, "Asha", Agreed("2024-06-02", load_w=9_000))
    found = usual(homes, "Asha")
    assert (found.load_w, found.hangs) == (4_000, 1)
    assert found.division is not None
    agree(homes, "Asha", Agreed("2024-06-01", load_w=4_000, ended=True))
    assert (usual(homes, "Asha").load_w, usual(homes, "Asha").hangs) == (-1, 0)


def test_a_meter_at_two_connections(homes: Town) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into metering_installation (connection_id, from_date, revision, known_at, meter_id)"
            " values (%s, '2024-05-15', 0, %s, %s)",
            [homes.connections["Bina"], ARRIVED, homes.meters["S-Asha"]],
        )
    assert usual(homes, "Asha").hangs == 2
    assert usual(homes, "Bina").hangs == 0  # its own meter was taken away


def test_the_sender_is_the_one_that_owes_the_days_now(homes: Town) -> None:
    one, other = (Sender.objects.create(code=code, name=code) for code in ("one", "other"))
    meter = homes.meters["S-Asha"]
    Feed.objects.create(meter_id=meter, from_date=day("2024-01-01"), revision=0, sender=one)
    Feed.objects.create(meter_id=meter, from_date=day("2024-07-01"), revision=0, sender=other)
    assert usual(homes, "Asha").sender == one.id
    assert usual(homes, "Asha", dt.date(2024, 7, 1)).sender == other.id


def test_every_meter_has_one_row_however_often_it_is_made(homes: Town) -> None:
    assert make_usual(today=TODAY) == make_usual(today=TODAY) == Meter.objects.count() == Usual.objects.count()


def test_false_alarms_are_measured_with_the_same_usual(database: Database) -> None:
    rng = np.random.default_rng(5)
    built = town([Home("Asha", meters=(Hung("S-Asha"),))])
    meter = Meter.objects.get(serial="S-Asha").id
    days = np.sort(rng.choice(np.arange("2024-01-01", "2024-07-01", dtype="M8[D]"), 90, replace=False))
    days = days[(days < np.datetime64("2024-03-01")) | (days > np.datetime64("2024-04-20"))]  # and a long silence
    wh = np.where(np.arange(len(days)) % 20 < 9, 0, rng.integers(0, 9_000, len(days)))
    columns = NewDays(np.full(len(days), meter), days, wh, np.full(len(days), -1), 4 * wh)
    take_days(days=columns, sender="test", today=dt.date(2024, 7, 1))
    reckoned = usual_of(days.astype(np.int64), wh, 2 * wh)
    places = (0, 3, 7, 12, 28, int(np.searchsorted(days, np.datetime64("2024-04-21"))), len(days) - 1)
    assert built.meters and len(set(places)) == len(places)
    for place in places:
        make_usual(today=days[place].item())
        found = Usual.objects.get(meter_id=meter)
        told = {name: getattr(found, attribute) for name, attribute in NAMES.items()}
        assert told == {name: int(reckoned[name][place]) for name in NAMES}, days[place]


NAMES = {"usual_wh": "total_wh", "peak_wh": "peak_wh", "usual_days": "days", "zero_days": "zero_days"}
