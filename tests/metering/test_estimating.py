"""Estimates of days that nobody sent: what is stored, what takes their place, and what bills make of them."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khata.consumers.models import Connection
from khata.kernel.tests.test_estimates import WEEK, _shaped
from khata.metering.estimating import estimate
from khata.metering.models import Delivery, Installation, Meter, MeterDay, Quarantine, Reading
from khata.metering.operations import MeterChangeError, MeterTakenError, NewMeter, change_meter
from tests.cast import ARRIVED, Home, Hung, Town, Usage, day, read, smart, town
from tests.database import Database, fresh_database
from tests.metering.made import Said, deliver

FIRST, TODAY = dt.date(2024, 4, 1), dt.date(2024, 6, 10)
OPENING = 1_000_000
DAYS = [FIRST + dt.timedelta(days=n) for n in range((TODAY - FIRST).days)]
WH = [WEEK[n % 7] for n in range(len(DAYS))]
REGISTERS = (OPENING + np.cumsum(WH)).tolist()  # at the end of each day
ASHA = Home("Asha", meters=(Hung("M-1", since="2024-03-01"),))
MAY_20 = (dt.date(2024, 5, 20) - FIRST).days


def said(n: int, *, register: bool = True, serial: str = "M-1", blocks: Sequence[int | None] | None = None) -> Said:
    half_hours = _shaped(WH[n]).tolist() if blocks is None else blocks
    return Said(serial, str(DAYS[n]), half_hours, register=REGISTERS[n] if register else -1)


def send(*numbers: int, register: bool = True) -> None:
    if numbers:
        deliver(*(said(n, register=register) for n in numbers), today=TODAY, sender="mdc", history=True)


def all_but(*gone: int) -> list[int]:
    return [n for n in range(len(DAYS)) if n not in gone]


def run(until: dt.date = TODAY, today: dt.date = TODAY) -> dict[str, int]:
    counts = estimate(discom=None, until=until, today=today).counts
    return {name: count for name, count in counts.items() if count and name != "meters"}


def newest(n: int, serial: str = "M-1") -> MeterDay:
    return MeterDay.objects.filter(meter__serial=serial, day=DAYS[n], channel=0).order_by("revision").last()  # type: ignore[return-value]


def final(serial: str = "M-1") -> list[tuple[object, ...]]:
    """What counts of each day, whatever revision it is."""
    rows = {
        row[0]: row[1:]
        for row in MeterDay.objects.filter(meter__serial=serial)
        .order_by("day", "revision")
        .values_list("day", "total_wh", "register_wh", "demand_w", "origin", "known", "origins", "rule", "blocks_wh")
    }
    return [(date, *row) for date, row in rows.items()]


@pytest.fixture
def asha(database: Database) -> Town:
    return town([ASHA])


# -- what is stored ----------------------------------------------------------------------------------------------------


def test_days_between_two_registers(asha: Town) -> None:
    gap = (MAY_20, MAY_20 + 1, MAY_20 + 2)
    send(*all_but(*gap))
    assert run() == {"EST-01": 3}
    rows = [newest(n) for n in gap]
    assert [(row.origin, row.rule, row.known, row.demand_w, row.origins) for row in rows] == [
        (2, "EST-01", 0, None, None)
    ] * 3
    assert [row.total_wh for row in rows] == [WH[n] for n in gap], "a meter that lives by the week"
    assert [row.register_wh for row in rows] == [REGISTERS[n] for n in gap]
    assert all(sum(row.blocks_wh) == row.total_wh for row in rows)
    of = Delivery.objects.get(id=rows[0].delivery)
    assert (of.sender.code, of.form, of.rows, of.accepted, of.superseding) == ("khata", "estimate", 3, 3, 0)


def test_running_again_changes_nothing(asha: Town) -> None:
    send(*all_but(MAY_20, len(DAYS) - 1))
    assert run() == {"EST-01": 1, "EST-03": 1}
    before = (Delivery.objects.count(), MeterDay.objects.count())
    assert run() == {"unchanged": 2}
    assert run(today=TODAY + dt.timedelta(days=1)) == {"unchanged": 2}
    assert (Delivery.objects.count(), MeterDay.objects.count()) == before


def test_half_hours_inside_a_day_keep_those_that_were_measured(asha: Town) -> None:
    send(*all_but(MAY_20))
    measured: list[int | None] = _shaped(WH[MAY_20]).tolist()
    measured[10:20] = [None] * 10
    deliver(
        Said("M-1", str(DAYS[MAY_20]), measured, total=WH[MAY_20], register=REGISTERS[MAY_20]),
        today=TODAY,
        sender="mdc",
    )
    assert run() == {"EST-02": 1}
    row = newest(MAY_20)
    assert (row.origin, row.rule, row.known, row.origins) == (1, "EST-02", 38, "A" * 10 + "E" * 10 + "A" * 28)
    assert (row.total_wh, sum(row.blocks_wh), row.register_wh) == (WH[MAY_20], WH[MAY_20], REGISTERS[MAY_20])
    assert all(now == was for now, was in zip(row.blocks_wh, measured, strict=True) if was is not None)


def test_power_cuts_stay_zero(asha: Town) -> None:
    send(*all_but(MAY_20))
    dark: list[int | None] = [None] * 48
    off = (1 << 44) - (1 << 36)
    deliver(Said("M-1", str(DAYS[MAY_20]), dark, off=off), today=TODAY, sender="mdc")
    run()
    row = newest(MAY_20)
    assert (row.rule, row.blocks_wh[36:44], row.off) == ("EST-01", [0] * 8, off)
    assert sum(row.blocks_wh) == row.total_wh == WH[MAY_20]


# -- what takes its place ----------------------------------------------------------------------------------------------


def test_what_is_measured_takes_the_place_of_an_estimate(asha: Town) -> None:
    gap = (MAY_20, MAY_20 + 1)
    send(*all_but(*gap))
    run()
    send(MAY_20)
    row = newest(MAY_20)
    assert (row.revision, row.origin, row.rule, row.known, row.total_wh) == (1, 1, None, 48, WH[MAY_20])
    assert Delivery.objects.get(id=row.delivery).superseding == 1
    assert run() == {"unchanged": 1}


def test_an_estimated_register_accuses_no_measured_one_and_outlives_none(asha: Town) -> None:
    gap = tuple(range(MAY_20, MAY_20 + 4))
    send(*all_but(*gap))
    run()
    low = REGISTERS[MAY_20 - 1] + 10  # the home was empty until the third day: far below what was estimated
    deliver(Said("M-1", str(DAYS[MAY_20 + 1]), register=low), today=TODAY, sender="mdc")
    assert Quarantine.objects.count() == 0
    assert run()["EST-01"] == 4
    registers = [newest(n).register_wh for n in gap]
    assert registers[1] == low and registers[3] == REGISTERS[gap[-1]]
    assert sum(newest(n).total_wh or 0 for n in gap) == REGISTERS[gap[-1]] - REGISTERS[MAY_20 - 1]


def test_half_hours_alone_leave_no_estimated_register_behind(asha: Town) -> None:
    send(*all_but(MAY_20))
    run()
    send(MAY_20, register=False)
    row = newest(MAY_20)
    assert (row.origin, row.register_wh, row.demand_w) == (1, None, 2 * max(_shaped(WH[MAY_20]).tolist()))


def test_a_guess_becomes_an_estimate_between_registers_when_a_later_one_comes(asha: Town) -> None:
    last = len(DAYS) - 3
    send(*range(last))
    assert run(until=DAYS[-1]) == {"EST-03": 2}
    assert [newest(n).register_wh for n in (last, last + 1)] == [None, None]
    deliver(Said("M-1", str(DAYS[-1]), register=REGISTERS[last - 1] + 900), today=TODAY, sender="mdc")
    assert run() == {"EST-01": 3}
    assert sum(newest(n).total_wh or 0 for n in (last, last + 1, last + 2)) == 900


def test_an_estimate_whose_registers_turn_out_wrong_is_taken_back(asha: Town) -> None:
    send(*all_but(MAY_20))
    run()
    # The register before was misread: it was in truth as high as the one after, though the day after used 5 kWh.
    corrected = Said("M-1", str(DAYS[MAY_20 - 1]), _shaped(WH[MAY_20 - 1]).tolist(), register=REGISTERS[MAY_20] + 2)
    deliver(corrected, today=TODAY, sender="mdc")
    assert run() == {"withdrawn": 1, "contradicted": 1}
    row = newest(MAY_20)
    assert (row.total_wh, row.register_wh, row.rule) == (None, None, None)
    assert run() == {"contradicted": 1}


GAP = tuple(range(MAY_20, MAY_20 + 6))
LATE = st.permutations([(n, kind) for n in GAP for kind in ("whole", "register", "part")])


def _late(n: int, kind: str) -> None:
    part = [wh if k < 30 else None for k, wh in enumerate(_shaped(WH[n]).tolist())]
    rows = {
        "whole": said(n, register=False),
        "register": Said("M-1", str(DAYS[n]), register=REGISTERS[n]),
        "part": Said("M-1", str(DAYS[n]), part),
    }
    deliver(rows[kind], today=TODAY, sender="mdc")


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LATE, st.integers(3, 14), st.sets(st.integers(0, 13), max_size=3))
def test_deliveries_in_any_order_with_estimates_between_them_lead_to_the_same_days(
    database: Database, order: list[tuple[int, str]], many: int, nights: set[int]
) -> None:
    finals = []
    for arrived, between in ((order[:many], nights), (sorted(order[:many]), set[int]())):
        with fresh_database():
            town([ASHA])
            send(*all_but(*GAP))
            for number, (n, kind) in enumerate(arrived):
                if number in between:
                    run()
                _late(n, kind)
            run()
            finals.append(final())
    assert finals[0] == finals[1]
    measured = [row for row in finals[0] if row[4] == 1]
    assert len(measured) >= len(DAYS) - len(GAP)


# -- a meter change ----------------------------------------------------------------------------------------------------


CHANGE = DAYS[MAY_20 + 2]


def change(built: Town, **other: object) -> Installation:
    given: dict[str, object] = {
        "connection": Connection.objects.get(id=built.connections["Asha"]),
        "day": CHANGE,
        "old_final_wh": REGISTERS[MAY_20 + 1],
        "old_demand_w": 0,
        "new": NewMeter("M-2", True, 5_000, 1, None),
        "today": TODAY,
        "now": ARRIVED,
        "actor": "test",
    }
    return change_meter(**{**given, **other})  # type: ignore[arg-type]


def send_new(*numbers: int) -> None:
    rows = [
        Said("M-2", str(DAYS[n]), _shaped(WH[n]).tolist(), register=5_000 + sum(WH[MAY_20 + 2 : n + 1]))
        for n in numbers
    ]
    deliver(*rows, today=TODAY, sender="mdc", history=True)


def test_final_and_first_register_bound_the_gap_of_a_meter_change(asha: Town) -> None:
    send(*range(MAY_20))
    change(asha)
    send_new(*range(MAY_20 + 4, len(DAYS)))
    assert run() == {"EST-01": 4}
    old, new = [newest(n) for n in (MAY_20, MAY_20 + 1)], [newest(n, "M-2") for n in (MAY_20 + 2, MAY_20 + 3)]
    assert (old[-1].register_wh, new[-1].register_wh) == (
        REGISTERS[MAY_20 + 1],
        5_000 + WH[MAY_20 + 2] + WH[MAY_20 + 3],
    )
    assert sum(row.total_wh or 0 for row in old + new) == sum(WH[MAY_20 : MAY_20 + 4])


def test_without_the_registers_of_a_change_nothing_is_guessed(asha: Town) -> None:
    send(*range(MAY_20))
    meter = Meter.objects.create(serial="M-2", discom=Meter.objects.get(serial="M-1").discom, smart=True)
    Installation.objects.create(connection_id=asha.connections["Asha"], from_date=CHANGE, known_at=ARRIVED, meter=meter)
    send_new(*range(MAY_20 + 4, len(DAYS)))
    assert run() == {"no final register": 2, "no first register": 2}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"old_final_wh": REGISTERS[MAY_20 - 1] - 1}, "below"),
        ({"old_final_wh": REGISTERS[MAY_20 - 1] + 10**9}, "more than its load can draw"),
        ({"day": dt.date(2024, 3, 1)}, "recorded already"),
        ({"day": TODAY + dt.timedelta(days=1)}, "not come yet"),
        ({"day": DAYS[MAY_20 - 3]}, "has sent"),
    ],
)
def test_a_change_that_cannot_be_right_is_refused_and_leaves_nothing(
    asha: Town, wrong: dict[str, object], says: str
) -> None:
    send(*range(MAY_20))
    with pytest.raises(MeterChangeError, match=says):
        change(asha, **wrong)
    assert (Installation.objects.count(), Reading.objects.count(), Meter.objects.count()) == (1, 0, 1)


def test_a_meter_that_hangs_elsewhere_cannot_be_hung_again(database: Database) -> None:
    built = town([ASHA, Home("Bina", meters=(Hung("M-9"),))])
    send(*range(MAY_20))
    with pytest.raises(MeterTakenError, match="M-9"):
        change(built, new=NewMeter("M-9", True, 0, 1, None))


def test_a_meter_whose_days_have_no_register_gets_none_from_readings_on_the_spot(asha: Town) -> None:
    """Its bills add up totals: a single register among them would cut off the others."""
    send(*all_but(MAY_20), register=False)
    rise = sum(WH[MAY_20 - 5 : MAY_20 + 5])
    read(asha, "M-1", (str(DAYS[MAY_20 - 5]), OPENING, 0), (str(DAYS[MAY_20 + 5]), OPENING + rise, 0))
    assert run() == {"EST-01": 1}
    row = newest(MAY_20)
    assert (row.total_wh, row.register_wh) == (WH[MAY_20], None)


# -- bills -------------------------------------------------------------------------------------------------------------

LAST_OF_MAY = frozenset({"2024-05-30", "2024-05-31"})
LATE_MAY = Usage("2024-05-01", (8_000,) * 31, missing=LAST_OF_MAY)
JUNE = Usage("2024-06-01", (5_000,) * 30, opening=1_248_000)


def test_a_bill_may_end_between_two_registers_and_two_bills_are_what_they_were(database: Database) -> None:
    energies = []
    for with_estimates in (False, True):
        with fresh_database():
            built = town([smart("Asha", LATE_MAY, JUNE)])
            if with_estimates:
                assert run(day("2024-06-08"), day("2024-06-08"))["EST-01"] == 2
            built.run("2024-06")
            built.run("2024-07")
            energies.append([built.bill("Asha", cycle).energy_wh for cycle in ("2024-06", "2024-07")])
    without, bounded = energies
    assert without == [29 * 8_000, 2 * 8_000 + 30 * 5_000]
    assert sum(bounded) == sum(without)
    assert bounded[0] > without[0], "the last days of May are billed in May"


def test_a_guess_bounds_no_bill(database: Database) -> None:
    """The same bills, held ones too, as if nothing had been estimated."""
    outcomes = []
    for with_estimates in (False, True):
        with fresh_database():
            april = Usage("2024-04-01", (8_000,) * 30)
            built = town(
                [smart("Asha", april, Usage("2024-05-01", (8_000,) * 26, opening=1_240_000)), smart("Bina", april)]
            )
            if with_estimates:
                assert run(day("2024-06-08"), day("2024-06-08"))["EST-03"] >= 5
            built.run("2024-05")
            built.run("2024-06")
            bill = built.bill("Asha")
            outcomes.append((bill.energy_wh, bill.payable_paise, built.unissued("Bina")))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == 26 * 8_000
    assert outcomes[0][2] == ("held", "NO-READING")
