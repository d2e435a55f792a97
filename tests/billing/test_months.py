"""Bill runs month after month: what one leaves for the next, days without registers, orders that change."""

import datetime as dt
import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from khata.billing.models import Bill, Unissued, used_in
from khata.billing.operations import BillingError, OldBills, keep_old_bills
from khata.billing.queries import MonthUsed, bars_of, months_used
from khata.discoms.models import Discom
from khata.formats.meterdays_csv import read_csv
from khata.ledger.models import Entry, Posting
from khata.metering.intake import receive
from khata.notices.models import Message
from khata.staff.evidence import usual_wh
from tests.billing.orders import order_file
from tests.cast import (
    ASHA,
    GUMTI,
    MAY,
    TARIFFS,
    Agreed,
    Home,
    Hung,
    Usage,
    companies,
    day,
    may,
    plain,
    read,
    settle,
    smart,
    town,
)
from tests.database import Database

# -- month after month -------------------------------------------------------------------------------------------------


def test_an_unpaid_bill_is_the_arrears_of_the_next_and_both_are_in_the_message(database: Database) -> None:
    asha = ASHA.with_(meters=(Hung("SMART-1", usage=(MAY, Usage("2024-06-01", (4_000,) * 30, opening=1_248_000))),))
    built = town([asha])
    built.run("2024-06")
    built.run("2024-07")
    first, second = built.bill("Asha"), built.bill("Asha", "2024-07")
    assert second.arrears_paise == first.payable_paise == 1_656_90
    assert (second.period_start, second.energy_wh) == (first.period_end, 120_000)
    assert built.balance("Asha") == first.payable_paise + second.payable_paise
    assert built.messages("Asha")[-1].values[1] == str(built.balance("Asha"))


def test_what_was_used_in_days_that_never_arrived_is_billed_with_the_next_month(database: Database) -> None:
    late = smart(
        "last days missing",
        may(8_000, missing=frozenset({"2024-05-30", "2024-05-31"})),
        Usage("2024-06-01", (5_000,) * 30, opening=1_248_000, missing=frozenset({"2024-06-01", "2024-06-30"})),
    )
    built = town([late])
    built.run("2024-06")
    built.run("2024-07")
    assert built.bill(late.name).energy_wh == 29 * 8_000
    assert built.bill(late.name, "2024-07").energy_wh == 2 * 8_000 + 29 * 5_000
    assert built.parts(late.name, "2024-07")[0].opening_wh == built.parts(late.name)[0].closing_wh


def test_a_month_that_was_not_read_is_held_and_billed_with_the_next_reading(database: Database) -> None:
    home = plain("Bina", ("2024-03-28", 100_000, 900), ("2024-04-28", 200_000, 900))
    built = town([home])
    built.run("2024-05")
    built.run("2024-06")
    read(built, "P-Bina", ("2024-06-28", 500_000, 900))
    built.run("2024-07")
    assert built.unissued("Bina", "2024-06") == ("held", "NO-READING")
    bill = built.bill("Bina", "2024-07")
    assert (bill.period_start, bill.period_end, bill.energy_wh) == (day("2024-04-28"), day("2024-06-28"), 300_000)
    assert bill.draft
    assert built.lines("Bina", "2024-07")[0]["fixed"] == 330_00


def test_a_meter_read_every_second_month_gets_a_bill_every_second_month(database: Database) -> None:
    home = plain("Bina", ("2024-03-28", 100_000, 900), ("2024-05-28", 300_000, 900), cycle="R28-ODD")
    built = town([home])
    built.run("2024-05")
    built.run("2024-06")
    built.run("2024-07")
    assert built.unissued("Bina", "2024-05") == ("not due", "NOT-DUE")
    assert built.bill("Bina", "2024-06").energy_wh == 200_000
    assert built.unissued("Bina", "2024-07") == ("not due", "NOT-DUE")


def test_a_month_held_for_a_smart_meter_is_caught_up_from_the_last_bill(database: Database) -> None:
    april = Usage("2024-04-01", (8_000,) * 30, opening=1_000_000)
    home = smart("Asha", april, Usage("2024-06-01", (8_000,) * 30, opening=1_240_000 + 248_000))
    built = town([home])
    built.run("2024-05")
    built.run("2024-06")
    built.run("2024-07")
    assert built.unissued("Asha", "2024-06") == ("held", "NO-READING")
    bill = built.bill("Asha", "2024-07")
    assert (bill.period_start, bill.energy_wh) == (day("2024-05-01"), 248_000 + 240_000)


def test_a_first_month_that_was_held_is_billed_with_the_next(database: Database) -> None:
    smart_since_april = smart("Asha", Usage("2024-05-01", (6_000,) * 31, opening=1_240_000))
    unread = plain("Bina", ("2024-02-28", 150_000, 900))
    built = town([smart_since_april, unread])
    read(built, "S-Asha", ("2024-04-01", 1_000_000, 0))
    built.run("2024-05")
    read(built, "P-Bina", ("2024-05-28", 300_000, 900))
    built.run("2024-06")
    assert built.unissued("Asha", "2024-05") == built.unissued("Bina", "2024-05") == ("held", "NO-READING")
    assert (built.bill("Asha").period_start, built.bill("Asha").energy_wh) == (day("2024-04-01"), 240_000 + 186_000)
    assert (built.bill("Bina").period_start, built.bill("Bina").energy_wh) == (day("2024-02-28"), 150_000)


def test_an_absurd_month_stays_held_and_does_not_vanish_in_the_average_of_the_next(database: Database) -> None:
    june = Usage("2024-06-01", (4_000,) * 30, opening=1_000_000 + 31 * 90_000)
    built = town([smart("Asha", may(90_000), june)])
    built.run("2024-06")
    built.run("2024-07")
    assert built.unissued("Asha", "2024-06") == ("held", "TOO-MUCH")
    assert built.unissued("Asha", "2024-07") == ("held", "EARLIER-HOLD")


def test_a_meter_changed_without_its_final_reading_holds_the_bill_until_it_is_entered(database: Database) -> None:
    old = Hung("S-OLD", usage=(Usage("2024-05-01", (6_000,) * 14, missing=frozenset({"2024-05-14"})),))
    new = Hung("S-NEW", since="2024-05-15", usage=(Usage("2024-05-15", (9_000,) * 17, opening=5_000),))
    built = town([Home("Asha", meters=(old, new))])
    built.run("2024-06")
    assert built.unissued("Asha", "2024-06") == ("held", "NO-READING")
    read(built, "S-OLD", ("2024-05-15", 1_000_000 + 14 * 6_000, 0))
    built.run("2024-07")
    assert built.bill("Asha", "2024-07").energy_wh == 14 * 6_000 + 17 * 9_000


def test_one_impossible_figure_is_held_and_stops_nobody_else(database: Database) -> None:
    wrong = plain("Bina", ("2024-04-28", 0, 0), ("2024-05-28", 10**14, 2 * 10**9))
    built = town([smart("Asha", may(6_000)), wrong])
    built.run("2024-06")
    assert built.unissued("Bina", "2024-06") == ("held", "TOO-MUCH")
    assert built.bill("Asha").energy_wh == 186_000


def test_a_month_is_not_run_while_an_earlier_one_is_unfinished_nor_before_it_has_ended(database: Database) -> None:
    built = town([smart("Asha", may(6_000)), smart("Asha too", may(7_000))])
    with pytest.raises(StoppedError):
        built.run("2024-06", part_size=1, workers=1, progress=stop_after_first_part)
    with pytest.raises(BillingError, match="unfinished run of 2024-06"):
        built.run("2024-07")
    with pytest.raises(BillingError, match="has not ended"):
        built.run("2024-06", today=day("2024-05-31"))
    built.run("2024-06")
    built.run("2024-07")


def test_energy_after_the_supply_ended_is_not_billed(database: Database) -> None:
    home = smart("Asha", may(8_000), terms=(Agreed("2023-04-01"), Agreed("2024-05-10", ended=True)))
    built = town([home])
    built.run("2024-06")
    assert (built.bill("Asha").period_end, built.bill("Asha").energy_wh) == (day("2024-05-10"), 9 * 8_000)


def test_a_reading_days_after_the_last_one_does_not_end_a_period(database: Database) -> None:
    readings = (("2024-03-28", 100_000, 900), ("2024-04-28", 200_000, 900), ("2024-05-03", 210_000, 900))
    built = town([plain("Bina", *readings)])
    built.run("2024-05")
    built.run("2024-06")
    read(built, "P-Bina", ("2024-06-28", 400_000, 900))
    built.run("2024-07")
    assert built.unissued("Bina", "2024-06") == ("not due", "TOO-SOON")
    assert (built.bill("Bina", "2024-07").period_start, built.bill("Bina", "2024-07").energy_wh) == (
        day("2024-04-28"),
        200_000,
    )


def test_who_is_entered_late_is_billed_from_the_first_day(database: Database) -> None:
    built = town([smart("Asha", may(6_000))])
    built.run("2024-06")
    since = "2024-05-10"
    late = Hung("S-LATE", since=since, usage=(Usage(since, (5_000,) * 52),))
    settle(built, Home("Late", meters=(late,), terms=(Agreed(since),)), Discom.objects.get(code=built.discom))
    built.run("2024-07")
    bill = built.bill("Late", "2024-07")
    assert (bill.period_start, bill.energy_wh) == (day(since), 260_000)


def test_a_month_before_one_that_was_billed_is_refused(database: Database) -> None:
    """Its days are in the later bills of those who were billed before; nobody may pay for them twice."""
    built = town([smart("Asha", Usage("2024-04-01", (8_000,) * 61))])
    built.run("2024-05")
    built.run("2024-07")
    with pytest.raises(BillingError, match="Gumti has been billed for 2024-07"):
        built.run("2024-06")


# -- days without registers --------------------------------------------------------------------------------------------


def load_days(text: str) -> None:
    receive(
        sender="test",
        sha256=text,
        form="csv",
        name="",
        size=len(text),
        batches=read_csv(io.BytesIO(text.encode())),
        today=day("2025-01-01"),
        history=True,
    )


def daily(serial: str, first: str, kwh: list[str]) -> str:
    days = [dt.date.fromisoformat(first) + dt.timedelta(n) for n in range(len(kwh))]
    return "".join(f"{serial},{each},{used}\n" for each, used in zip(days, kwh, strict=True))


def test_days_from_a_file_without_registers_are_added_up_month_after_month(database: Database) -> None:
    built = town([smart("whole"), smart("one day short")])
    rows = daily("S-whole", "2024-05-01", ["8.125"] * 31) + daily("S-whole", "2024-06-01", ["4.000"] * 30)
    rows += daily("S-one day short", "2024-05-01", ["8.125"] * 30)
    load_days("meter,day,kwh\n" + rows)
    built.run("2024-06")
    built.run("2024-07")
    assert (built.bill("whole").energy_wh, built.bill("whole", "2024-07").energy_wh) == (251_875, 120_000)
    assert built.parts("whole", "2024-07")[0].opening_wh == [251_875]
    assert built.unissued("one day short") == ("held", "DAYS-MISSING")


def test_a_meter_without_registers_may_be_changed_inside_the_month_but_no_day_of_either_may_be_missing(
    database: Database,
) -> None:
    def changed(name: str) -> Home:
        return Home(name, meters=(Hung(f"{name}-1"), Hung(f"{name}-2", since="2024-05-15")))

    built = town([changed("whole"), changed("short")])
    rows = "".join(daily(f"{name}-2", "2024-05-15", ["9"] * 17) for name in ("whole", "short"))
    rows += daily("whole-1", "2024-05-01", ["6"] * 14) + daily("short-1", "2024-05-01", ["6"] * 13)
    load_days("meter,day,kwh\n" + rows)
    built.run("2024-06")
    assert built.bill("whole").energy_wh == 14 * 6_000 + 17 * 9_000
    assert built.unissued("short") == ("held", "DAYS-MISSING")


# -- which orders ------------------------------------------------------------------------------------------------------


NADIPUR = companies("ANERC", {"NADIPUR": {"Circle": [GUMTI]}})


def invented(folder: Path, *, homes_from_may_16: str, last_slab_from_may_16: str) -> Path:
    """Orders of an invented regulator: a second one from 16 May 2024, which leaves shops as they were."""
    order_file(folder, "2024-01-01--case-1", homes="5.00", last_slab="8.00")
    order_file(folder, "2024-05-16--case-2", homes=homes_from_may_16, last_slab=last_slab_from_may_16)
    return folder


def in_nadipur(name: str, wh: tuple[int, ...], category: str) -> Home:
    return smart(
        name, Usage("2024-05-01", wh), discom="NADIPUR", terms=(Agreed("2023-04-01", category=category, load_w=4_000),)
    )


def test_an_order_that_changes_inside_the_period_splits_only_the_bills_that_it_alters(
    database: Database, tmp_path: Path
) -> None:
    tariffs = invented(tmp_path, homes_from_may_16="7.00", last_slab_from_may_16="9.00")
    wh = (4_000,) * 15 + (6_000,) * 16
    homes = [in_nadipur("home", wh, "LMV-1"), in_nadipur("shop", wh, "LMV-2")]
    built = town(homes, offices=NADIPUR, tariffs=tariffs)
    built.run("2024-06")
    first, second = built.parts("home")
    assert (first.start, first.end, second.end) == (day("2024-05-01"), day("2024-05-16"), day("2024-06-01"))
    assert (first.energy_wh, second.energy_wh) == (60_000, 96_000), "as metered, not by days"
    assert [lines["energy"] for lines in built.lines("home")] == [60 * 5_00, 96 * 7_00]
    (part,) = built.parts("shop")
    assert built.lines("shop") == [{"fixed": 300_00, "excess": 0, "energy": 156 * 6_00, "duty": 111_24}]
    assert part.schedule.edition.order == "anerc/2024-05-16--case-2"


def test_an_order_that_alters_only_a_slab_which_a_bill_does_not_reach_does_not_split_it(
    database: Database, tmp_path: Path
) -> None:
    tariffs = invented(tmp_path, homes_from_may_16="5.00", last_slab_from_may_16="9.00")
    homes = [in_nadipur("below", (9_000,) * 31, "LMV-1"), in_nadipur("above", (11_000,) * 31, "LMV-1")]
    built = town(homes, offices=NADIPUR, tariffs=tariffs)
    built.run("2024-06")
    assert (len(built.parts("below")), len(built.parts("above"))) == (1, 2)


def test_registers_that_fall_and_rise_where_the_period_is_cut_are_held_not_fatal(
    database: Database, tmp_path: Path
) -> None:
    """The load changes on 10 May and the order on 16 May: between these days alone the register falls."""
    tariffs = invented(tmp_path, homes_from_may_16="7.00", last_slab_from_may_16="9.00")
    home = Home(
        "fell",
        discom="NADIPUR",
        terms=(Agreed("2023-04-01", load_w=4_000), Agreed("2024-05-10", load_w=5_000)),
        meters=(
            Hung(
                "P-fell",
                cycle="R28",
                readings=(
                    ("2024-04-28", 100_000, 900),
                    ("2024-05-10", 180_000, 900),
                    ("2024-05-16", 120_000, 900),
                    ("2024-05-28", 200_000, 900),
                ),
            ),
        ),
    )
    built = town([home, in_nadipur("home", (8_000,) * 31, "LMV-1")], offices=NADIPUR, tariffs=tariffs)
    built.run("2024-06")
    assert built.unissued("fell") == ("held", "NEGATIVE")
    assert built.bill("home").energy_wh == 248_000


def test_a_month_without_published_fppas_parks_all_and_posts_nothing(database: Database) -> None:
    home = smart("Asha", Usage("2026-03-01", (8_000,) * 31))
    other = smart("Bina", Usage("2026-03-01", (2_000,) * 31), terms=(Agreed("2023-04-01", category="LMV-2"),))
    built = town([home, other])
    equation = built.run("2026-04")
    assert (equation["expected"], equation["parked"], equation["issued"], equation["posted_paise"]) == (2, 2, 0, 0)
    for name in ("Asha", "Bina"):
        assert built.unissued(name, "2026-04") == ("parked", "NOT-PRICED")
    assert {row.detail for row in Unissued.objects.all()} == {
        "the FPPAS figure for bills of 2026-04 is not published in tariffs/"
    }
    assert [model.objects.count() for model in (Bill, Entry, Posting, Message)] == [0, 0, 0, 0]


class StoppedError(Exception):
    """The run is interrupted here."""


def stop_after_first_part(done: int, total: int) -> None:
    assert done < total, "there is only one part: nothing is left to resume"
    raise StoppedError


def test_a_tariff_file_changed_in_the_middle_of_a_run_changes_nothing_in_it(database: Database, tmp_path: Path) -> None:
    tariffs = tmp_path / "tariffs"
    shutil.copytree(TARIFFS, tariffs)
    built = town([ASHA, smart("Asha too", MAY)], tariffs=tariffs)
    with pytest.raises(StoppedError):
        built.run("2024-06", division=GUMTI, part_size=1, workers=1, progress=stop_after_first_part)
    assert Bill.objects.count() == 1
    path = tariffs / "uperc" / "2022-08-01--fy-2022-23" / "schedule.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count("rate: 110.00 INR/kW/month") > 1
    path.write_text(text.replace("rate: 110.00 INR/kW/month", "rate: 999.00 INR/kW/month"), encoding="utf-8")
    built.run("2024-06", division=GUMTI)
    assert built.lines("Asha") == built.lines("Asha too")
    assert built.lines("Asha too")[0]["fixed"] == 165_00


# -- the months as they were used --------------------------------------------------------------------------------------


def test_months_are_named_by_their_use_with_holes_and_ours_before_an_old_bill(database: Database) -> None:
    asha = ASHA.with_(meters=(Hung("SMART-1", usage=(MAY, Usage("2024-06-01", (4_000,) * 30, opening=1_248_000))),))
    built = town([asha])
    whose = np.full(2, built.connections["Asha"])
    old = np.array(["2024-04-01", "2024-06-01"], "datetime64[D]")
    keep_old_bills(bills=OldBills(whose, old, np.array([90_000, 80_000]), np.full(2, 1)))
    built.run("2024-06")
    built.run("2024-07")
    first = built.bill("Asha")
    months = months_used(connection_id=first.connection_id, until=day("2024-07-01"), months=4)
    assert months == [
        MonthUsed(day("2024-03-01"), 90_000, 1, old=True),
        MonthUsed(day("2024-04-01"), None, 1, old=False),
        MonthUsed(day("2024-05-01"), 248_000, 1, old=False),
        MonthUsed(day("2024-06-01"), 120_000, 1, old=False),
    ]
    # As the bill of June was printed, the next one was not there; and its own month is as that of the page.
    then = months_used(connection_id=first.connection_id, until=first.cycle, months=3, entry=first.entry_id)
    assert then == months[:3]
    assert months_used(connection_id=first.connection_id, until=day("2024-07-01"), months=4, entry=first.entry_id) == [
        *months[:3],
        MonthUsed(day("2024-06-01"), None, 1, old=False),
    ]
    assert [bar.month for bar in bars_of([MonthUsed(day("2024-02-01"), None, 1, old=False), *months])] == [
        month.month for month in months
    ]


def test_one_bill_for_two_months_stands_at_the_last_of_them(database: Database) -> None:
    home = plain("Two", ("2024-03-28", 500_000, 900), ("2024-05-28", 700_000, 900), cycle="R28-ODD")
    built = town([home])
    built.run("2024-06")
    bill = built.bill("Two")
    months = months_used(connection_id=bill.connection_id, until=bill.cycle, months=2)
    assert months == [
        MonthUsed(day("2024-04-01"), None, 1, old=False),
        MonthUsed(day("2024-05-01"), 200_000, 2, old=False),
    ]
    assert usual_wh(months) == 100_000


@pytest.mark.parametrize(
    ("cycle", "days", "months"),
    [
        ("2024-06-01", 31, ("2024-05-01", "2024-05-01")),
        ("2024-06-01", 12, ("2024-05-01", "2024-05-01")),
        ("2024-06-01", 44, ("2024-05-01", "2024-05-01")),
        ("2024-06-01", 61, ("2024-04-01", "2024-05-01")),
        ("2024-02-01", 62, ("2023-12-01", "2024-01-01")),
    ],
)
def test_a_bill_is_named_by_the_months_of_use_that_it_bills(cycle: str, days: int, months: tuple[str, str]) -> None:
    assert used_in(cycle=day(cycle), days=days) == (day(months[0]), day(months[1]))
