"""Days that come late: held months are billed by themselves, and issued ones are made up for in the next bill."""

import datetime as dt
import json

import pytest

from khata.billing.late_days import bill_late
from khata.billing.models import Bill, BillRun, Unissued
from khata.billing.queries import digest
from khata.billing.release import decide, runs_of
from khata.commands.main import main
from khata.discoms.queries import discom_named
from khata.ledger.queries import first_offence
from khata.metering.estimating import estimate
from khata.notices.models import Message
from tests.billing.drill import killed
from tests.billing.test_months import daily, load_days
from tests.billing.test_release import NOW, WHY, desk, held_row, officer
from tests.cast import KESCO, Town, Usage, day, may, smart, town
from tests.database import Database, fresh_database
from tests.metering.made import Said, deliver

MAY_31 = dt.date(2024, 5, 31)
NOTHING = {"expected": 0, "issued": 0, "held": 0, "parked": 0, "not due": 0}


def late(today: str = "2024-06-20") -> dict[str, int]:
    counts = bill_late(discom=discom_named(KESCO), today=day(today), actor="test")
    return {name: counts[name] for name in NOTHING}


def kwh(serial: str, first: str, totals: list[str]) -> None:
    load_days("meter,day,kwh\n" + daily(serial, first, totals))


def one_day_short(name: str = "Asha") -> Town:
    """Asha's meter sends totals without registers; 31 May is missing."""
    built = town([smart(name)])
    kwh(f"S-{name}", "2024-05-01", ["8"] * 30)
    built.run("2024-06")
    assert built.unissued(name) == ("held", "DAYS-MISSING")
    return built


# -- held: billed by itself --------------------------------------------------------------------------------------------


def test_a_bill_held_for_missing_days_is_made_when_they_come(database: Database) -> None:
    built = one_day_short()
    assert late() == NOTHING, "nothing came yet"
    kwh("S-Asha", "2024-05-31", ["9.5"])
    assert late() == {**NOTHING, "expected": 1, "issued": 1}
    bill = built.bill("Asha")
    assert (bill.energy_wh, bill.period_end) == (30 * 8_000 + 9_500, day("2024-06-01"))
    assert (bill.bill_date, bill.due_date) == (day("2024-06-20"), day("2024-07-05"))
    assert built.posted("Asha") == bill.payable_paise == built.balance("Asha")
    assert len(built.messages("Asha")) == 1
    (run,) = [row for row in runs_of(cycle=None) if row.released]
    assert run.equation["held"] == 1, "the month's own run stays as it was"
    assert late() == NOTHING
    assert first_offence() is None


def test_the_late_bill_is_that_of_a_month_whose_days_came_in_time(database: Database) -> None:
    with fresh_database():
        on_time = town([smart("Asha")])
        kwh("S-Asha", "2024-05-01", ["8"] * 31)
        on_time.run("2024-06")
        expected = on_time.lines("Asha")
    built = one_day_short()
    kwh("S-Asha", "2024-05-31", ["8"])
    late()
    assert built.lines("Asha") == expected


def test_a_register_that_comes_late_ends_an_unread_month(database: Database) -> None:
    built = town([smart("Asha", Usage("2024-04-01", (8_000,) * 30))])
    built.run("2024-05")
    built.run("2024-06")
    assert built.unissued("Asha") == ("held", "NO-READING")
    deliver(Said("S-Asha", "2024-05-31", total=8_000, register=1_000_000 + 61 * 8_000), today=day("2024-06-15"))
    assert late()["issued"] == 1
    assert built.bill("Asha").energy_wh == 31 * 8_000


def test_what_still_does_not_suffice_is_held_again_and_not_tried_for_ever(database: Database) -> None:
    built = town([smart("Asha")])
    kwh("S-Asha", "2024-05-01", ["8"] * 29)
    built.run("2024-06")
    kwh("S-Asha", "2024-05-30", ["8"])
    assert late() == {**NOTHING, "expected": 1, "held": 1}
    assert late() == NOTHING
    assert Unissued.objects.filter(connection_id=built.connections["Asha"]).count() == 2
    kwh("S-Asha", "2024-05-31", ["8"])
    assert late()["issued"] == 1


def test_a_guess_bills_nobody(database: Database) -> None:
    built = one_day_short()
    counts = estimate(discom=None, until=day("2024-06-10"), today=day("2024-06-10")).counts
    assert counts["EST-03"] >= 1
    assert late() == NOTHING
    assert built.unissued("Asha") == ("held", "DAYS-MISSING")


def test_what_an_officer_keeps_back_stays_back(database: Database) -> None:
    built = one_day_short()
    row, anita = held_row(built, "Asha"), officer("anita")
    with desk(database):
        decide(unissued=row, staff=anita, verdict="keep", reason=WHY, now=NOW)
    kwh("S-Asha", "2024-05-31", ["8"])
    assert late() == NOTHING


def test_a_month_that_a_later_bill_reaches_back_over_is_not_billed_twice(database: Database) -> None:
    built = town([smart("Asha", Usage("2024-04-01", (8_000,) * 30), Usage("2024-06-01", (8_000,) * 30, 1_488_000))])
    for cycle in ("2024-05", "2024-06", "2024-07"):
        built.run(cycle)
    deliver(Said("S-Asha", "2024-05-31", total=8_000, register=1_488_000), today=day("2024-07-05"))
    assert late("2024-07-20") == NOTHING
    assert built.bill("Asha", "2024-07").energy_wh == 61 * 8_000


def test_the_command_tells_what_it_made(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KHATA_TODAY", "2024-06-20")
    one_day_short()
    kwh("S-Asha", "2024-05-31", ["8"])
    assert main(["bill", "late", "--discom", KESCO]) == 0
    assert capsys.readouterr().out == "KESCO: 1 with late days or readings, 1 issued\n"
    assert main(["bill", "late", "--discom", KESCO, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {KESCO: NOTHING}


FAULTS = (
    "plan:return:1",
    "bill_ones:call:1",
    "part_facts:return:1",
    "post:return:1",
    "_store_bills:return:1",
    "close:call:1",
    "close_run:return:1",
)


def two_short() -> Town:
    built = town([smart("Asha"), smart("Bina")])
    for name in ("Asha", "Bina"):
        kwh(f"S-{name}", "2024-05-01", ["8"] * 30)
    built.run("2024-06")
    for name in ("Asha", "Bina"):
        kwh(f"S-{name}", "2024-05-31", ["7"])
    return built


def test_a_kill_at_any_step_changes_nothing(database: Database) -> None:
    with fresh_database():
        two_short()
        counts = late()
        expected = digest(discom=KESCO, cycle=day("2024-06-01"))
    two_short()
    assert [fault for fault in FAULTS if not killed(late, fault)] == []
    late()
    assert digest(discom=KESCO, cycle=day("2024-06-01")) == expected
    assert (Bill.objects.count(), Message.objects.count(), counts["issued"]) == (2, 2, 2)
    assert not BillRun.objects.filter(run__runclosed=None).exists()
    assert first_offence() is None


# -- issued: made up for in the next bill ------------------------------------------------------------------------------


def test_with_registers_the_next_bill_has_what_late_days_bring(database: Database) -> None:
    """31 May came late and was 12 kWh, not the 8 that nobody had billed: the registers see to it."""
    built = town([smart("Asha", may(8_000, missing=frozenset({"2024-05-31"})))])
    built.run("2024-06")
    deliver(Said("S-Asha", "2024-05-31", total=12_000, register=1_252_000), today=day("2024-06-15"))
    june = [Said("S-Asha", f"2024-06-{n:02}", total=5_000, register=1_252_000 + 5_000 * n) for n in range(1, 31)]
    deliver(*june, today=day("2024-07-02"))
    built.run("2024-07")
    assert built.bill("Asha").energy_wh == 30 * 8_000
    assert built.bill("Asha", "2024-07").energy_wh == 12_000 + 30 * 5_000
    (closing,), (opening,) = built.parts("Asha")[0].closing_wh, built.parts("Asha", "2024-07")[0].opening_wh
    assert opening == closing == 1_000_000 + 30 * 8_000


CORRECTIONS = {
    # name: (what 10 May turned out to be in kWh, energy of June's bill in Wh)
    "2 kWh more": ("10", 152_000),
    "5.125 kWh less": ("2.875", 144_875),
    "the same again": ("8", 150_000),
}


@pytest.mark.parametrize("case", CORRECTIONS)
def test_without_registers_the_next_bill_makes_up_for_corrected_days_once(database: Database, case: str) -> None:
    turned_out, energy_wh = CORRECTIONS[case]
    built = town([smart("Asha"), smart("as if June were so")])
    for name in ("Asha", "as if June were so"):
        kwh(f"S-{name}", "2024-05-01", ["8"] * 31)
    built.run("2024-06")
    may_bill = built.bill("Asha")
    kwh("S-Asha", "2024-05-10", [turned_out])
    kwh("S-Asha", "2024-06-01", ["5"] * 30)
    both = f"{(energy_wh - 28 * 5_000) / 1000:.3f}"
    june = [*(["5"] * 28), both, "0"]
    kwh("S-as if June were so", "2024-06-01", june)
    built.run("2024-07")
    bill, same = built.bill("Asha", "2024-07"), built.bill("as if June were so", "2024-07")
    assert bill.energy_wh == energy_wh == same.energy_wh
    assert bill.payable_paise == same.payable_paise == built.balance("Asha") - may_bill.payable_paise
    assert built.bill("Asha").payable_paise == may_bill.payable_paise, "the bill that is out stays as it is"
    kwh("S-Asha", "2024-07-01", ["4"] * 31)
    built.run("2024-08")
    assert built.bill("Asha", "2024-08").energy_wh == 31 * 4_000, "made up for once, not twice"
    total = sum(built.bill("Asha", cycle).energy_wh for cycle in ("2024-06", "2024-07", "2024-08"))
    assert total == 31 * 8_000 + (energy_wh - 150_000) + 30 * 5_000 + 31 * 4_000
