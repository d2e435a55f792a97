"""Bill runs over a small town: who gets a bill, who does not and why, and what then stands in the books."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from khata.billing.models import Bill, BillRun, Unissued
from khata.billing.operations import BillingError
from khata.billing.queries import digest
from khata.ledger.models import Posting
from khata.ledger.queries import first_offence, head_sums
from khata.notices.models import Message
from tests.cast import (
    ASHA,
    BINA,
    CHARAN,
    GUMTI,
    JAJMAU,
    KESCO,
    MAY,
    PVVNL,
    Agreed,
    Home,
    Hung,
    Town,
    Usage,
    day,
    may,
    plain,
    smart,
    town,
)
from tests.database import Database, fresh_database

JUNE = dt.date(2024, 6, 1)


METER_CHANGED = Home(
    "a smart meter changed on 15 May",
    meters=(
        Hung("S-OLD", usage=(Usage("2024-05-01", (6_000,) * 14, opening=8_000_000),)),
        Hung("S-NEW", since="2024-05-15", usage=(Usage("2024-05-15", (9_000,) * 17, opening=5_000),)),
    ),
)
PLAIN_CHANGED = Home(
    "a plain meter changed on 15 May",
    meters=(
        Hung("P-OLD", cycle="R28", readings=(("2024-04-28", 100_000, 900), ("2024-05-15", 180_000, 900))),
        Hung("P-NEW", since="2024-05-15", cycle="R28", readings=(("2024-05-15", 0, 0), ("2024-05-28", 50_000, 900))),
    ),
)
MADE_SMART = Home(
    "a plain meter made smart on 15 May",
    meters=(
        Hung("P-LAST", cycle="R28", readings=(("2024-04-28", 100_000, 900), ("2024-05-15", 180_000, 900))),
        Hung("S-FIRST", since="2024-05-15", usage=(Usage("2024-05-15", (4_000,) * 17, opening=0),)),
    ),
)
LOAD_RAISED = smart(
    "load raised on 11 May",
    Usage("2024-05-01", (5_000,) * 10 + (10_000,) * 21),
    terms=(Agreed("2023-04-01", load_w=2_000), Agreed("2024-05-11", load_w=3_000)),
)
LOAD_RAISED_AT_A_READING = plain(
    "load raised at a reading",
    ("2024-04-28", 100_000, 1_000),
    ("2024-05-11", 150_000, 1_000),
    ("2024-05-28", 300_000, 2_900),
    terms=(Agreed("2023-04-01", load_w=2_000), Agreed("2024-05-11", load_w=3_000)),
)
SUPPLY_ENDED = smart("left on 21 May", may(8_000), terms=(Agreed("2023-04-01"), Agreed("2024-05-21", ended=True)))

HOMES = (
    ASHA,
    BINA,
    CHARAN,
    METER_CHANGED,
    PLAIN_CHANGED,
    MADE_SMART,
    LOAD_RAISED,
    LOAD_RAISED_AT_A_READING,
    SUPPLY_ENDED,
    smart("prepaid", may(8_000), terms=(Agreed("2023-04-01", mode="prepaid"),)),
    smart("no usable mobile", may(8_000), mobile="0512-2234567", division=JAJMAU),
    smart("days missing in the middle", may(8_000, missing=frozenset({"2024-05-10", "2024-05-11"}))),
    smart("last days missing", may(8_000, missing=frozenset({"2024-05-30", "2024-05-31"}))),
    plain("two months unread", ("2024-03-28", 100_000, 900), ("2024-05-28", 420_000, 900), cycle="R28-ODD"),
    smart("more than the load can draw", may(40_000), terms=(Agreed("2023-04-01", load_w=1_000),)),
    smart("a demand of 50 kW", may(10_000, demand_w=50_000), terms=(Agreed("2023-04-01", load_w=1_000),)),
    smart(
        "a demand of 18 kW", may(30_000, demand_w=18_000), terms=(Agreed("2023-04-01", load_w=1_000, category="LMV-2"),)
    ),
    plain("register fell", ("2024-04-28", 500_000, 900), ("2024-05-28", 400_000, 900)),
    plain("not read in May", ("2024-04-28", 500_000, 900)),
    Home("no meter"),
    smart("left before May", may(0), terms=(Agreed("2023-04-01"), Agreed("2024-04-15", ended=True))),
    plain("read in even months", ("2024-04-28", 500_000, 900), cycle="R28-EVEN"),
    smart("an unknown category", may(8_000), terms=(Agreed("2023-04-01", category="LMV-9"),)),
    smart("connected in June", terms=(Agreed("2024-06-01"),)),
)
UNISSUED = {
    "more than the load can draw": ("held", "TOO-MUCH"),
    "a demand of 50 kW": ("held", "TOO-HIGH"),
    "a demand of 18 kW": ("held", "TOO-DEAR"),
    "register fell": ("held", "NEGATIVE"),
    "not read in May": ("held", "NO-READING"),
    "no meter": ("held", "NO-METER"),
    "left before May": ("not due", "NO-SUPPLY"),
    "read in even months": ("not due", "NOT-DUE"),
    "an unknown category": ("parked", "NOT-PRICED"),
}
NOT_ASKED = {"Charan", "connected in June"}  # another company's; connected after the month that is billed
ISSUED = [home.name for home in HOMES if home.name not in UNISSUED and home.name not in NOT_ASKED]


@pytest.fixture(scope="module")
def june(module_database: Database) -> Iterator[tuple[Town, dict[str, int]]]:
    """The town after the run of June 2024, and the equation of that run."""
    built = town(HOMES)
    yield built, built.run("2024-06")


@pytest.fixture
def billed(june: tuple[Town, dict[str, int]]) -> Town:
    return june[0]


# -- who gets a bill ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNISSUED)
def test_who_gets_no_bill_is_listed_with_the_reason(billed: Town, name: str) -> None:
    assert billed.unissued(name) == UNISSUED[name]
    assert not Bill.objects.filter(connection_id=billed.connections[name]).exists()
    assert billed.balance(name) == 0
    assert billed.messages(name) == []


def test_everybody_else_gets_one_bill_and_nobody_is_lost(june: tuple[Town, dict[str, int]]) -> None:
    built, equation = june
    billed = set(Bill.objects.values_list("connection_id", flat=True))
    assert billed == {built.connections[name] for name in ISSUED}
    outcomes = [outcome for outcome, _ in UNISSUED.values()]
    sums = {word: equation[word] for word in ("expected", "issued", "held", "parked", "not due")}
    assert sums == {
        "expected": len(ISSUED) + len(UNISSUED),
        "issued": len(ISSUED),
        **{word: outcomes.count(word) for word in ("held", "parked", "not due")},
    }
    assert equation["issued"] == equation["messages"] + equation["no address"]
    assert (equation["messages"], equation["no address"]) == (len(ISSUED) - 1, 1)


def test_who_was_not_connected_yet_or_belongs_to_another_company_is_not_asked(billed: Town) -> None:
    for name in NOT_ASKED:
        connection = billed.connections[name]
        assert not Bill.objects.filter(connection_id=connection).exists()
        assert not Unissued.objects.filter(connection_id=connection).exists()


def test_what_is_held_shows_the_facts_it_was_held_for(billed: Town) -> None:
    held = Unissued.objects.get(connection_id=billed.connections["more than the load can draw"])
    assert held.evidence["energy_wh"] == 31 * 40_000
    assert held.evidence["load_w"] == 1_000
    assert (held.evidence["start"], held.evidence["end"]) == ("2024-05-01", "2024-06-01")
    assert "load" in held.detail


def test_what_could_not_be_priced_names_the_category(billed: Town) -> None:
    parked = Unissued.objects.get(connection_id=billed.connections["an unknown category"])
    assert "category" in parked.detail


# -- what a bill says --------------------------------------------------------------------------------------------------


def test_a_whole_month_of_a_smart_meter(billed: Town) -> None:
    bill = billed.bill("Asha")
    assert (bill.period_start, bill.period_end) == (day("2024-05-01"), day("2024-06-01"))
    assert (bill.bill_date, bill.due_date) == (day("2024-06-08"), day("2024-06-23"))
    assert bill.energy_wh == 31 * 8_000
    assert billed.lines("Asha") == [
        {
            "fixed": 165_00,  # 1.5 kW (75 % of 2) x 110.00
            "excess": 0,
            "energy": 1_698_80,  # 248 x 6.85
            "subsidy": -285_80,  # 150 x 1.35 + 98 x 0.85
            "fppas": 0,  # none before April 2025
            "duty": 78_90,  # 5 % of 1,578.00
            "rebate": 0,
        }
    ]
    assert (bill.assessed_paise, bill.subsidy_paise, bill.rebate_paise) == (1_942_70, 285_80, 0)
    assert (bill.payable_paise, bill.arrears_paise, bill.draft) == (1_656_90, 0, False)


def test_a_plain_meter_is_billed_from_reading_to_reading(billed: Town) -> None:
    bill = billed.bill("Bina")
    assert (bill.period_start, bill.period_end) == (day("2024-04-28"), day("2024-05-28"))
    assert bill.energy_wh == 120_000
    (part,) = billed.parts("Bina")
    assert (part.opening_wh, part.closing_wh, part.demand_w) == ([500_000], [620_000], 1_100)
    assert bill.payable_paise == 866_25  # 165.00 + 120 x 6.85 - 120 x 1.35 = 825.00, and 5 %


def test_a_prepaid_month_has_its_rebate_before_duty(billed: Town) -> None:
    bill, (lines,) = billed.bill("prepaid"), billed.lines("prepaid")
    assert (lines["rebate"], lines["duty"]) == (-31_56, 78_90)  # 2 % and 5 % of 1,578.00
    assert (bill.rebate_paise, bill.payable_paise) == (31_56, 1_625_34)


def test_a_meter_changed_inside_the_month_leaves_one_part_with_both_meters(billed: Town) -> None:
    (part,) = billed.parts(METER_CHANGED.name)
    assert part.meters == [billed.meters["S-OLD"], billed.meters["S-NEW"]]
    assert (part.opening_wh, part.closing_wh) == ([8_000_000, 5_000], [8_084_000, 158_000])
    assert part.energy_wh == 14 * 6_000 + 17 * 9_000


@pytest.mark.parametrize(
    ("name", "end", "energy"), [(PLAIN_CHANGED.name, "2024-05-28", 130_000), (MADE_SMART.name, "2024-06-01", 148_000)]
)
def test_the_first_bill_after_a_change_of_meter_begins_with_the_old_meter(
    billed: Town, name: str, end: str, energy: int
) -> None:
    bill = billed.bill(name)
    assert (bill.period_start, bill.period_end) == (day("2024-04-28"), day(end))
    assert bill.energy_wh == energy
    assert [part.opening_wh[0] for part in billed.parts(name)] == [100_000]


def test_a_load_changed_inside_the_month_makes_two_parts_with_the_energy_as_metered(billed: Town) -> None:
    first, second = billed.parts(LOAD_RAISED.name)
    assert (first.start, first.end, second.start, second.end) == tuple(
        map(day, ("2024-05-01", "2024-05-11", "2024-05-11", "2024-06-01"))
    )
    assert (first.load_w, second.load_w) == (2_000, 3_000)
    assert (first.energy_wh, second.energy_wh) == (50_000, 210_000)
    assert first.closing_wh == second.opening_wh
    fixed = [lines["fixed"] for lines in billed.lines(LOAD_RAISED.name)]
    assert fixed == [53_23, 167_66]  # 165.00 x 10/31 and 247.50 x 21/31


def test_demand_belongs_to_the_days_since_the_reading_before(billed: Town) -> None:
    """The higher demand came after the load was raised: nothing exceeds the load that held when it was drawn."""
    first, second = billed.parts(LOAD_RAISED_AT_A_READING.name)
    assert (first.demand_w, second.demand_w) == (1_000, 2_900)
    assert [lines["excess"] for lines in billed.lines(LOAD_RAISED_AT_A_READING.name)] == [0, 0]


def test_supply_that_ends_inside_the_month_is_billed_to_its_last_day(billed: Town) -> None:
    bill = billed.bill(SUPPLY_ENDED.name)
    assert (bill.period_start, bill.period_end) == (day("2024-05-01"), day("2024-05-21"))


def test_missing_days_change_nothing_where_registers_stand_on_both_sides(billed: Town) -> None:
    assert billed.bill("days missing in the middle").energy_wh == 31 * 8_000
    assert billed.bill("days missing in the middle").payable_paise == billed.bill("Asha").payable_paise


def test_two_months_between_readings_count_as_two_and_make_a_draft(billed: Town) -> None:
    bill, (lines,) = billed.bill("two months unread"), billed.lines("two months unread")
    assert (bill.period_end - bill.period_start).days == 61
    assert lines["fixed"] == 330_00
    assert lines["subsidy"] == -(300 * 1_35 + 20 * 85)  # slabs twice as wide
    assert bill.draft


# -- what stands in the books and goes out -----------------------------------------------------------------------------


def test_each_bill_is_posted_to_its_connection_and_its_lines_to_their_heads(billed: Town) -> None:
    for name in ISSUED:
        bill = billed.bill(name)
        assert billed.posted(name) == bill.payable_paise == billed.balance(name)
        assert bill.payable_paise == sum(sum(part.lines_paise) for part in billed.parts(name))
    lines: dict[str, int] = {}
    for name in ISSUED:
        for part in billed.lines(name):
            for line, paise in part.items():
                lines[line] = lines.get(line, 0) + paise
    sums = {head.code: head.amount_paise for head in head_sums(KESCO)}
    assert {line: -sums[line] for line in lines} == lines
    assert sums["consumers"] == sum(lines.values())
    assert sum(sums.values()) == 0
    assert first_offence() is None


def test_the_books_of_the_other_company_stay_empty(billed: Town) -> None:
    assert {head.amount_paise for head in head_sums(PVVNL)} == {0}


def test_messages_go_to_usable_mobiles_in_the_consumers_language(billed: Town) -> None:
    (to_asha,), (to_bina,) = billed.messages("Asha"), billed.messages("Bina")
    assert (to_asha.mobile, to_asha.language, to_asha.template) == ("9876543210", "hi", "bill-issued")
    assert to_asha.values == [billed.accounts["Asha"][-4:], "165690", "2024-06-23"]
    assert (to_bina.mobile, to_bina.language) == ("9876543211", "en")
    assert billed.messages("no usable mobile") == []


def test_a_run_again_changes_nothing(june: tuple[Town, dict[str, int]]) -> None:
    built, equation = june
    before = digest(discom=KESCO, cycle=JUNE), *(model.objects.count() for model in (Bill, Unissued, Message, Posting))
    assert built.run("2024-06") == equation
    after = digest(discom=KESCO, cycle=JUNE), *(model.objects.count() for model in (Bill, Unissued, Message, Posting))
    assert before == after


def test_stored_bills_are_replayed_to_the_same_paise(billed: Town, module_database: Database) -> None:
    done = khata(module_database, "bill", "replay", "--discom", KESCO, "--cycle", "2024-06")
    assert (done.returncode, done.stderr) == (0, "")
    with module_database.connect("admin") as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(
            "update billing_billpart set lines_paise[1] = lines_paise[1] + 1 where bill_id = %s",
            [billed.bill("Asha").id],
        )
    try:
        assert khata(module_database, "bill", "replay", "--discom", KESCO, "--cycle", "2024-06").returncode == 1
    finally:
        with module_database.connect("admin") as admin:
            admin.execute("set session_replication_role = replica")
            admin.execute(
                "update billing_billpart set lines_paise[1] = lines_paise[1] - 1 where bill_id = %s",
                [billed.bill("Asha").id],
            )


def khata(database: Database, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as a process of its own."""
    start = "import sys; from khata.commands.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", start, *words], env=database.env(), capture_output=True, text=True, check=False
    )


# -- divisions, parts, processes ---------------------------------------------------------------------------------------


def test_a_company_run_finishes_what_a_division_began_and_redoes_nothing(database: Database) -> None:
    built = town([ASHA, BINA, smart("in Jajmau", MAY, division=JAJMAU)])
    gumti = built.run("2024-06", division=GUMTI)
    made = set(Bill.objects.values_list("id", flat=True))
    whole = built.run("2024-06")
    assert (gumti["expected"], gumti["issued"], whole["expected"], whole["issued"]) == (2, 2, 3, 3)
    assert made < set(Bill.objects.values_list("id", flat=True))
    assert BillRun.objects.count() == 3, "one for each division, also where nobody lives"


def test_the_size_of_a_part_changes_no_bill(june: tuple[Town, dict[str, int]]) -> None:
    _, equation = june
    in_one_part = digest(discom=KESCO, cycle=JUNE)
    with fresh_database():
        alone = town(HOMES)
        assert alone.run("2024-06", part_size=1) == equation
        assert digest(discom=KESCO, cycle=JUNE) == in_one_part


def test_a_second_process_on_the_same_month_is_refused_and_told_why(database: Database) -> None:
    built = town([ASHA])
    said = []

    def meanwhile(*_: object) -> None:
        said.append(khata(database, "bill", "run", "--discom", KESCO, "--cycle", "2024-06"))

    built.run("2024-06", division=GUMTI, progress=meanwhile)
    (second,) = said
    assert second.returncode == 2
    assert "bill-run KESCO is being worked on by another process" in second.stderr
    assert Bill.objects.count() == 1


def test_another_month_of_the_same_company_may_not_run_at_the_same_time(database: Database) -> None:
    """The arrears and the first register of a bill come from the month before it."""
    built = town([ASHA])
    said = []

    def meanwhile(*_: object) -> None:
        said.append(khata(database, "bill", "run", "--discom", KESCO, "--cycle", "2024-07"))

    built.run("2024-06", division=GUMTI, progress=meanwhile)
    assert said[0].returncode == 2
    assert Bill.objects.count() == 1


def test_a_run_needs_a_policy_and_a_bill_date_inside_its_month(database: Database) -> None:
    built = town([ASHA], policy_from="2024-06-01")
    with pytest.raises(BillingError, match="no billing policy on 2024-05-01"):
        built.run("2024-05")
    with pytest.raises(BillingError, match="2024-07-01 is not in the bill month 2024-06"):
        built.run("2024-06", bill_date="2024-07-01")
    assert BillRun.objects.count() == 0
    built.run("2024-06", bill_date="2024-06-30")
    assert (built.bill("Asha").bill_date, built.bill("Asha").due_date) == (day("2024-06-30"), day("2024-07-15"))


def test_one_connection_cannot_be_billed_twice_for_a_month(database: Database) -> None:
    built = town([ASHA])
    built.run("2024-06")
    with database.connect("run") as run, pytest.raises(psycopg.errors.UniqueViolation):
        run.execute(
            """insert into billing_bill (connection_id, cycle, kind, revision, part_id, entry_id, bill_date, due_date,
                   period_start, period_end, energy_wh, assessed_paise, subsidy_paise, rebate_paise, payable_paise,
                   arrears_paise, draft)
               select connection_id, cycle, kind, revision, part_id, entry_id, bill_date, due_date,
                   period_start, period_end, energy_wh, assessed_paise, subsidy_paise, rebate_paise, payable_paise,
                   arrears_paise, draft from billing_bill"""
        )
