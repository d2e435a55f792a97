"""Readings that come late, by whatever way: held months are billed by themselves, once."""

import pytest

from khata.billing.models import Bill
from khata.billing.release import decide
from khata.formats.meterdays import ReadingBatch
from khata.ledger.queries import first_offence
from tests.billing.drill import killed
from tests.billing.test_late_days import NOTHING, late
from tests.billing.test_release import NOW, WHY, desk, held_row, officer
from tests.cast import Town, Usage, day, plain, read, smart, town
from tests.database import Database
from tests.metering.made import readings, send

APRIL_28, MAY_28 = ("2024-04-28", 500_000, 1_100), ("2024-05-28", 620_000, 1_300)
ISSUED = {**NOTHING, "expected": 1, "issued": 1}


@pytest.fixture(scope="module")
def built(module_database: Database) -> Town:
    """Nobody was read at the end of May."""
    names = ("by a reader", "by a profile", "kept back", "after the month", "killed")
    made = town(
        [
            *(plain(name, APRIL_28) for name in names),
            plain("never read"),
            plain("misread", APRIL_28, ("2024-05-28", 40_000, 1_300)),
            smart("smart", Usage("2024-04-01", (8_000,) * 30)),
        ]
    )
    made.run("2024-05")
    made.run("2024-06")
    return made


def profile(serial: str, on: str, register: int, demand: int = -1) -> None:
    rows: ReadingBatch = readings((serial, on, register, demand))
    send([rows], repr((serial, on, register)).encode(), today=day("2024-06-15"))


def test_nothing_came_yet(built: Town) -> None:
    assert built.unissued("by a reader") == ("held", "NO-READING")
    assert late() == NOTHING


def test_a_reading_on_the_spot_ends_an_unread_month(built: Town) -> None:
    read(built, "P-by a reader", MAY_28)
    assert late() == ISSUED
    bill, (part,) = built.bill("by a reader"), built.parts("by a reader")
    assert (bill.period_start, bill.period_end, bill.energy_wh) == (day("2024-04-28"), day("2024-05-28"), 120_000)
    assert (str(bill.bill_date), part.demand_w) == ("2024-06-20", 1_300)
    assert built.posted("by a reader") == bill.payable_paise == built.balance("by a reader")
    assert late() == NOTHING


def test_a_billing_profile_ends_it_and_tells_no_demand_that_nobody_said(built: Town) -> None:
    profile("P-by a profile", "2024-05-28", 620_000)
    assert late() == ISSUED
    (part,) = built.parts("by a profile")
    assert part.demand_w is None
    assert (built.bill("by a profile").energy_wh, built.lines("by a profile")) == (120_000, built.lines("by a reader"))
    assert late() == NOTHING


def test_a_billing_profile_ends_the_unread_month_of_a_smart_meter(built: Town) -> None:
    assert built.unissued("smart") == ("held", "NO-READING")
    profile("S-smart", "2024-06-01", 1_000_000 + 61 * 8_000)
    assert late() == ISSUED
    assert built.bill("smart").energy_wh == 31 * 8_000


def test_a_reading_put_right_bills_a_month_that_ran_backwards(built: Town) -> None:
    assert built.unissued("misread") == ("held", "NEGATIVE")
    profile("P-misread", "2024-05-28", 540_000, 1_300)
    assert late() == ISSUED
    assert built.bill("misread").energy_wh == 40_000


def test_what_still_does_not_suffice_is_held_again_and_not_tried_for_ever(built: Town) -> None:
    read(built, "P-never read", APRIL_28)
    assert late() == {**NOTHING, "expected": 2, "held": 2}, "April's bill, and May's which could have begun there"
    assert late() == NOTHING
    read(built, "P-never read", MAY_28)
    assert late() == ISSUED


def test_a_reading_after_the_month_is_not_of_its_period(built: Town) -> None:
    read(built, "P-after the month", ("2024-06-10", 700_000, 1_300))
    assert late() == NOTHING


def test_what_an_officer_keeps_back_stays_back(module_database: Database, built: Town) -> None:
    row, anita = held_row(built, "kept back"), officer("anita")
    with desk(module_database):
        decide(unissued=row, staff=anita, verdict="keep", reason=WHY, now=NOW)
    read(built, "P-kept back", MAY_28)
    assert late() == NOTHING


def test_killed_at_any_step_it_is_billed_once(built: Town) -> None:
    read(built, "P-killed", MAY_28)
    assert [fault for fault in ("plan:return:1", "post:return:1", "close:call:1") if not killed(late, fault)] == []
    late()
    assert late() == NOTHING
    assert Bill.objects.filter(connection_id=built.connections["killed"]).count() == 1
    assert built.posted("killed") == built.bill("killed").payable_paise == built.balance("killed")
    assert first_offence() is None


def test_a_month_that_a_later_bill_reaches_back_over_is_not_billed_twice(built: Town) -> None:
    """Read on 10 June alone: June's bill has May in it, whatever is said of May afterwards."""
    built.run("2024-07")
    assert built.bill("after the month", "2024-07").energy_wh == 200_000
    read(built, "P-after the month", MAY_28)
    assert late("2024-07-20") == NOTHING
