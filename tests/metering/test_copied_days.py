"""Nightly: whole days that are the stored day before once more, which the intake of one delivery cannot see."""

from collections.abc import Sequence

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from khata.discoms.models import Discom
from khata.formats.meterdays import ESTIMATED
from khata.metering import nightly
from khata.metering.models import Delivery, Finding, Meter
from khata.metering.nightly import note_copies
from tests.database import Database
from tests.metering.made import Said, deliver

WAVES = tuple(80 + 40 * (n % 4) for n in range(48))
STEADY, SHIFTED = (100,) * 48, WAVES[1:] + WAVES[:1]
ZERO_NIGHT = (0,) * 40 + WAVES[:8]


@pytest.fixture(scope="module", autouse=True)
def meters(module_database: Database) -> None:
    company = Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    for number in range(1, 10):
        Meter.objects.create(serial=f"M-{number}", discom=company, smart=True)


def noted() -> dict[tuple[str, str], int]:
    """Serial and day: with which delivery."""
    found = Finding.objects.filter(rule="VAL-22").select_related("meter")
    return {(each.meter.serial, str(each.day)): each.delivery_id for each in found}


def test_a_copy_is_noted_once_with_the_delivery_that_brought_it(monkeypatch: pytest.MonkeyPatch) -> None:
    days: dict[str, tuple[Sequence[int | None], Sequence[int | None]]] = {
        "M-1": (WAVES, WAVES),
        "M-2": (WAVES, SHIFTED),
        "M-3": (STEADY, STEADY),  # repeats itself by nature
        "M-4": (ZERO_NIGHT, ZERO_NIGHT),  # eight half-hours are too few
        "M-5": ((None, *WAVES[1:]), (None, *WAVES[1:])),  # an unknown half-hour is no copy of another
    }
    deliver(*(Said(serial, "2024-05-01", first) for serial, (first, _) in days.items()))
    deliver(Said("M-6", "2024-05-01", WAVES))
    assert note_copies() == 0
    second = deliver(*(Said(serial, "2024-05-02", then) for serial, (_, then) in days.items()))
    estimated = deliver(Said("M-6", "2024-05-02", WAVES, origin=ESTIMATED))
    last = deliver(Said("M-1", "2024-05-03", WAVES))
    assert noted() == {}  # the intake saw one day of each

    with monkeypatch.context() as dies:  # after the mark and the first rows of the second delivery
        dies.setattr(nightly, "_copies", lambda rows: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            note_copies()
    assert not Delivery.objects.exclude(swept=None).filter(id__in=[second.delivery.id, last.delivery.id]).exists()

    assert note_copies() == 2
    assert noted() == {("M-1", "2024-05-02"): second.delivery.id, ("M-1", "2024-05-03"): last.delivery.id}
    assert Finding.objects.get(day="2024-05-02", rule="VAL-22").evidence == {
        "half_hours": 48,
        "changes": 47,
        "limit_half_hours": 12,
    }
    assert not Delivery.objects.filter(swept=None).exists() and estimated.delivery.accepted == 1
    assert note_copies() == 0


def test_what_the_intake_noted_itself_is_not_noted_again() -> None:
    deliver(Said("M-8", "2024-05-01", WAVES), Said("M-8", "2024-05-02", WAVES))
    before = noted()
    assert ("M-8", "2024-05-02") in before
    note_copies()
    assert noted() == before
    # A correction of the day is a day of its own, and is compared with what counts of the day before.
    deliver(Said("M-8", "2024-05-01", SHIFTED))
    corrected = deliver(Said("M-8", "2024-05-02", SHIFTED))
    assert note_copies() == 1
    found = Finding.objects.filter(rule="VAL-22", meter__serial="M-8").order_by("revision")
    assert [(each.revision, each.delivery_id == corrected.delivery.id) for each in found] == [(0, False), (1, True)]


def test_a_day_that_repeats_an_estimate_is_no_copy() -> None:
    deliver(Said("M-7", "2024-05-01", WAVES, origin=ESTIMATED))
    deliver(Said("M-7", "2024-05-02", WAVES))
    assert note_copies() == 0
    deliver(Said("M-7", "2024-05-03", WAVES))
    assert note_copies() == 1


def test_no_month_is_opened_that_a_delivery_cannot_have_brought_days_of_but_of_history_all_are() -> None:
    deliver(Said("M-7", "2023-02-01", WAVES), history=True)
    deliver(Said("M-7", "2023-02-02", WAVES), history=True)
    assert note_copies() == 1 and ("M-7", "2023-02-02") in noted()
    deliver(Said("M-7", "2024-05-04", SHIFTED))
    with CaptureQueriesContext(connection) as asked:
        note_copies()
    (same,) = (each["sql"] for each in asked.captured_queries if "p.blocks_wh = n.blocks_wh" in each["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"explain {same}")
        plan = [line for (line,) in cursor.fetchall() if " n" in line]
    assert any("_202405" in line for line in plan) and not any("_202302" in line for line in plan), plan


def test_the_days_of_a_delivery_are_found_without_reading_those_of_others(module_database: Database) -> None:
    deliver(Said("M-9", "2024-05-01", WAVES))
    with module_database.connect("run") as run:
        run.execute("set enable_seqscan = off")
        plan = run.execute("explain select from metering_meterday where delivery = 1").fetchall()
    assert any("Bitmap Index Scan" in line for (line,) in plan), plan
