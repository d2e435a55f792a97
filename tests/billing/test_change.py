"""Why bills changed, in a small town of several months: the factors of each two add up and name what changed."""

import datetime as dt
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from khata.billing.change import (
    OtherConnectionError,
    bill_before,
    bill_year_before,
    explain_change,
    explain_changes,
)
from khata.billing.models import Bill, OldBill
from khata.billing.pricing import NotPriceableError, month_costs, own_numbers, what_if
from khata.commands.main import main
from khata.discoms.models import Discom
from khata.kernel.variants import LOAD
from khata.ledger.operations import OnHead, post_one
from khata.ledger.queries import heads
from tests.billing.orders import ORDER
from tests.cast import Agreed, Home, Hung, Town, Usage, day, plain, smart, town
from tests.database import Database

OFFICES = {
    "companies": [{"id": 1, "code": "NADIPUR", "regulator": "ANERC", "name_en": "Nadipur", "name_hi": "नदीपुर"}],
    "circles": [{"discom": "NADIPUR", "name_en": "Circle", "name_hi": "मण्डल", "divisions": {"Gumti": "खण्ड"}}],
}
CYCLES = ("2024-05", "2024-06", "2024-07", "2024-08")


def months(*wh: int, first: str = "2024-04-01", demand_w: int = 1_000) -> Usage:
    """Meter days of April, May, June and July with so many Wh each day of the month."""
    start, daily = day(first), []
    for number, each in enumerate(wh):
        month = dt.date(start.year, start.month + number, 1)
        daily += [each] * (dt.date(month.year, month.month + 1, 1) - month).days
    return Usage(first, tuple(daily), demand_w=demand_w)


def home(name: str, usage: Usage, *terms: Agreed) -> Home:
    return smart(name, usage, terms=terms or (Agreed("2023-04-01"),), discom="NADIPUR")


STEADY = (8_000, 8_000, 8_000, 8_000)
HOMES = (
    home("steady", months(*STEADY)),
    home("summer", months(8_000, 14_000, 9_000, 0)),
    home("more load", months(*STEADY), Agreed("2023-04-01"), Agreed("2024-06-11", load_w=3_000)),
    home("prepaid", months(*STEADY), Agreed("2023-04-01", mode="prepaid")),
    home("to prepaid", months(*STEADY), Agreed("2023-04-01"), Agreed("2024-06-11", mode="prepaid")),
    home("shop", months(*STEADY), Agreed("2023-04-01", category="LMV-2")),
    home("to shop", months(*STEADY), Agreed("2023-04-01"), Agreed("2024-07-01", category="LMV-2")),
    home("renamed", months(*STEADY), Agreed("2023-04-01"), Agreed("2024-06-11")),  # the same terms, entered anew
    plain(
        "read on the spot",
        *(("2024-03-28", 0, 900), ("2024-04-28", 200_000, 900), ("2024-06-28", 650_000, 1_900)),
        ("2024-07-28", 800_000, 900),
        cycle="R28",
        discom="NADIPUR",
    ),
    home("no demand", months(*STEADY, demand_w=0)),
    plain(
        "demand not told",
        *(("2024-03-28", 0, -1), ("2024-04-28", 200_000, -1), ("2024-05-28", 400_000, -1)),
        *(("2024-06-28", 600_000, -1), ("2024-07-28", 800_000, -1)),
        cycle="R28",
        discom="NADIPUR",
    ),
    Home(
        "meter changed",
        meters=(
            Hung("OLD", usage=(months(8_000, 8_000),)),
            Hung("NEW", since="2024-06-01", usage=(months(9_000, 9_000, first="2024-06-01"),)),
        ),
        discom="NADIPUR",
    ),
)


def orders(root: Path) -> Path:
    """From 16 July new rates for homes: bills of that month are cut."""
    for title, first, homes, last in (("Old", "2023-04-01", "5.00", "6.50"), ("New", "2024-07-16", "5.50", "7.00")):
        folder = root / "anerc" / f"{first}--order"
        folder.mkdir(parents=True)
        text = ORDER.format(title=title, first_day=first, homes=f"{homes}", last_slab=last)
        (folder / "schedule.yaml").write_text(text)
    return root


@pytest.fixture(scope="module")
def built(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = town(HOMES, offices=OFFICES, tariffs=orders(tmp_path_factory.mktemp("tariffs")))
    for cycle in CYCLES[:2]:
        made.run(cycle)
    nadipur = Discom.objects.get()
    of = heads(nadipur)
    owner = made.connections["steady"]
    for kind, head, other, paise in (
        ("receipt", "consumers", "cash", -100_00),
        ("surcharge", "lpsc", "opening", 12_34),
        ("correction", "consumers", "energy", -50_05),
    ):
        rows = [OnHead(of[head], owner, paise), OnHead(of[other], 0, -paise)]
        post_one(kind=kind, cause=f"test:{kind}:1", business_date=day("2024-06-20"), reason="test", postings=rows)
    OldBill.objects.create(connection_id=owner, month=day("2024-04-01"), units_wh=150_000, amount_paise=900_00)
    for cycle in CYCLES[2:]:
        made.run(cycle)
    yield made


def changed(built: Town, name: str, cycle: str) -> dict[str, int]:
    """What is not 0, against the bill before."""
    bill = built.bill(name, cycle)
    before = bill_before(bill)
    assert before is not None
    return {each.code: each.paise for each in explain_change(bill, before).factors if each.paise}


def test_a_demand_of_nothing_is_not_the_same_as_none_told(built: Town) -> None:
    for name, told in (("steady", 1_000), ("no demand", 0), ("demand not told", None)):
        bill = built.bill(name, "2024-07")
        before = bill_before(bill)
        assert before is not None
        (load,) = (each for each in explain_change(bill, before).factors if each.code == LOAD)
        assert (load.facts["demand_w"], load.facts["demand_before_w"]) == (told, told), name


def test_every_two_bills_that_follow_each_other_are_explained_to_the_paisa(built: Town) -> None:
    pairs = []
    for identity in built.connections.values():
        bills = Bill.objects.filter(connection_id=identity).order_by("cycle")
        pairs += [(later, earlier) for earlier, later in pairwise(bills)]
    assert len(pairs) > 20
    found = explain_changes(pairs)
    for (bill, against), change in zip(pairs, found, strict=True):
        asked = [each.payable_paise + each.arrears_paise for each in (bill, against)]
        assert change.difference_paise == asked[0] - asked[1] == sum(each.paise for each in change.factors)
        assert explain_change(bill, against) == change
        back = {each.code: -each.paise for each in explain_change(against, bill).factors}
        assert back == {each.code: each.paise for each in change.factors}


# name, bill month → what is not 0 of it, apart from what was left unpaid.
TABLE = {
    ("steady", "2024-06"): {"days"},
    ("summer", "2024-06"): {"days", "units", "slabs"},
    ("summer", "2024-07"): {"days", "units", "slabs"},
    ("summer", "2024-08"): {"units", "rates", "days"},
    ("more load", "2024-06"): {"days"},
    ("more load", "2024-07"): {"days", "load"},
    ("prepaid", "2024-06"): {"days"},
    ("shop", "2024-08"): {"days"},
    ("to shop", "2024-08"): {"days", "rates", "category"},
    ("renamed", "2024-06"): {"days"},
    ("meter changed", "2024-06"): {"days"},
}


@pytest.mark.parametrize(("name", "cycle"), TABLE)
def test_only_what_changed_is_named(built: Town, name: str, cycle: str) -> None:
    assert set(changed(built, name, cycle)) - {"arrears"} == TABLE[name, cycle]


def test_a_longer_month_with_the_same_daily_use_costs_its_days(built: Town) -> None:
    """30 and 31 days of 8 units at 5.00, and 9 % duty on them: 8 x 5.00 x 1.09 = 43.60."""
    assert changed(built, "steady", "2024-06")["days"] == 43_60


def test_what_was_entered_between_two_bills_stands_by_itself(built: Town) -> None:
    found = changed(built, "steady", "2024-07")
    assert (found["late"], found["corrections"]) == (12_34, -50_05)
    # The June bill was left unpaid but for 100 rupees.
    assert found["arrears"] == built.bill("steady", "2024-06").payable_paise - 100_00


def test_the_former_system_s_bill_explains_units_and_leaves_the_rest_whole(built: Town) -> None:
    bill = built.bill("steady", "2024-05")
    old = bill_before(bill)
    assert isinstance(old, OldBill)
    change = explain_change(bill, old)
    found = {each.code: each.paise for each in change.factors}
    assert found["units"] == 490_50  # 240 - 150 units at 5.00 with 9 % duty
    assert found["old system"] == bill.payable_paise - 490_50 - 900_00
    assert sum(found.values()) == change.difference_paise == bill.payable_paise - 900_00


def test_bills_of_two_connections_are_not_compared(built: Town) -> None:
    with pytest.raises(OtherConnectionError):
        explain_change(built.bill("steady"), built.bill("summer"))
    assert bill_year_before(built.bill("steady")) is None


def test_many_pairs_cost_as_many_queries_as_one_and_little_time(built: Town) -> None:
    pairs = [(built.bill(name, "2024-08"), built.bill(name, "2024-07")) for name in ("steady", "shop", "more load")]
    explain_changes(pairs)
    counts = []
    for some in (pairs[:1], pairs * 30):
        with CaptureQueriesContext(connection) as captured:
            start = time.perf_counter()
            explain_changes(some)
            spent = time.perf_counter() - start
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 3
    assert spent / 90 < 0.020  # about 0.002 where nothing else runs


# -- the command -------------------------------------------------------------------------------------------------------


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["bill", "explain-change", *words]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_the_command_answers_in_paise_and_in_sentences(built: Town, capsys: pytest.CaptureFixture[str]) -> None:
    number = built.bill("more load", "2024-07").number
    answer = json.loads(said(capsys, number, "--json"))
    assert answer["against"] == built.bill("more load", "2024-06").number
    assert answer["sum"] == answer["difference"] == sum(each["paise"] for each in answer["factors"])
    hindi = said(capsys, number)
    assert "इस बार 30 दिन का बिल है, पिछली बार 31 दिन का था: ₹" in hindi
    assert "इस बार 31 दिन का बिल है, पिछली बार 30 दिन का था: ₹43.60 ज़्यादा" in said(
        capsys, built.bill("steady", "2024-06").number
    )
    assert "स्वीकृत भार 3 kW है, पिछली बार 2 kW था" in hindi
    assert "The sanctioned load is 3 kW, last time 2 kW: " in said(capsys, number, "--lang", "en")
    against = said(capsys, number, "--against", built.bill("more load", "2024-05").number, "--json")
    assert json.loads(against)["difference"] != answer["difference"]
    old = json.loads(said(capsys, built.bill("steady", "2024-05").number, "--json"))
    assert (old["against"], old["against_old_system"], old["sum"]) == (None, True, old["difference"])


def test_the_command_says_what_is_missing(built: Town, capsys: pytest.CaptureFixture[str]) -> None:
    first = built.bill("summer", "2024-05").number
    assert "there is no bill before" in said(capsys, first, code=2)
    assert "Next step: Name the bill" in said(capsys, first, "--same-month-last-year", code=2)
    other = said(capsys, first, "--against", built.bill("shop", "2024-05").number, code=2)
    assert "Next step: Give two bills of the same account" in other


# -- what a day costs, and what if -------------------------------------------------------------------------------------

JULY = day("2024-07-01")


def costs(built: Town, name: str, daily: int, *, today: str = "2024-08-01", unknown: int = 0) -> dict[dt.date, int]:
    used = {JULY + dt.timedelta(at): None if at < unknown else daily for at in range(31)}
    found = month_costs(connection_id=built.connections[name], month=JULY, used=used, today=day(today))
    assert sum(found.days.values()) == found.total_paise
    return found.days


@pytest.mark.parametrize("name", ["steady", "shop", "more load"])
def test_the_days_of_a_month_add_up_to_its_bill(built: Town, name: str) -> None:
    """July has new rates from the 16th on, and is cut there as its bill was."""
    found = costs(built, name, 8_000)
    assert sum(found.values()) == built.bill(name, "2024-08").payable_paise
    assert len(found) == 31


def test_a_day_that_is_not_known_or_not_over_bears_its_standing_share(built: Town) -> None:
    nothing = costs(built, "shop", 0)
    found = costs(built, "shop", 8_000, unknown=2, today="2024-07-11")
    alike = {day for day in found if found[day] == nothing[day]}
    assert alike == {JULY + dt.timedelta(at) for at in range(31) if at < 2 or at >= 10}
    assert found[day("2024-07-05")] - nothing[day("2024-07-05")] == 52_32  # 8 x 6.00 with 9 % duty


def test_what_if_is_the_own_bill_where_nothing_is_changed(built: Town) -> None:
    for name in ("steady", "more load", "prepaid", "to shop", "read on the spot"):
        identity, today = built.connections[name], day("2024-08-20")
        own = own_numbers(connection_id=identity, today=today)
        same = what_if(
            connection_id=identity, today=today, units_wh=own.units_wh, load_w=own.load_w, mode=own.mode, export_wh=0
        )
        assert same.paise == same.own_paise == own.bill.payable_paise
        assert sum(line.paise for line in same.lines) == same.paise


def test_what_if_prices_other_units_loads_and_the_sun(built: Town) -> None:
    identity, today = built.connections["shop"], day("2024-08-20")

    def other(**changes: object) -> tuple[int, int, int]:
        given = {"units_wh": 248_000, "load_w": 2_000, "mode": "postpaid", "export_wh": 0, **changes}
        found = what_if(connection_id=identity, today=today, **given)  # type: ignore[arg-type]
        return found.difference_paise, found.billed_wh, found.carried_wh

    assert other(units_wh=148_000) == (-654_00, 148_000, 0)  # 100 x 6.00 with 9 % duty
    assert other(export_wh=100_000) == (-654_00, 148_000, 0)
    assert other(export_wh=300_000) == (-1621_92, 0, 52_000)
    assert other(load_w=4_000)[0] == 163_50  # 1.5 kW more at 75 % of load: 100.00 each, with duty
    with pytest.raises(NotPriceableError, match="no bill of this connection yet"):
        own_numbers(connection_id=identity, today=day("2024-01-01"))
