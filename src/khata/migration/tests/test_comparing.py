"""An old bill beside the kernel's: which class it comes into, alone and in a crowd."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.kernel.days import day_number
from khata.migration.comparing import (
    MODES,
    RESULTS,
    WORDS,
    Comparison,
    OldBills,
    Ours,
    compare,
    rate,
    roundings,
    to_rupee,
    why_in_words,
)
from khata.tariffs.queries import orders_of, read_orders

TARIFFS = Path(__file__).resolve().parents[4] / "tariffs"
MARCH = dt.date(2024, 3, 1)
ORDERS = orders_of(read_orders(TARIFFS), "KESCO")
# A home of 2 kW in town: 120 units in the 29 days of February, billed on 5 March 2024.
HOME: Mapping[str, object] = {
    "basis": b"MU",
    "category": b"LMV-1",
    "area": b"urban",
    "prepaid": 0,
    "load_w": 2_000,
    "demand_w": 1_200,
    "start": day_number(dt.date(2024, 2, 1)),
    "end": day_number(MARCH),
    "bill_day": day_number(dt.date(2024, 3, 5)),
    "previous_wh": 1_000_000,
    "present_wh": 1_120_000,
    "factor": 1,
    "billed_wh": 120_000,
    "assessed_paise": 0,
    "payable_paise": 0,
    "missing": False,
}
LARGE = 10**13


def bills(*rows: Mapping[str, object]) -> OldBills:
    """Bills like the home's, each otherwise as its row says."""
    whole = [{**HOME, **row} for row in rows]
    return OldBills(**{name: np.array([row[name] for row in whole]) for name in HOME})


def as_we_rate(*rows: Mapping[str, object]) -> OldBills:
    """The same with the amounts that the kernel gives."""
    old = bills(*rows)
    ours = rate(old, (old.present_wh - old.previous_wh) * old.factor, ORDERS)
    return replace(old, assessed_paise=ours.assessed_paise, payable_paise=ours.payable_paise)


def said(found: Comparison) -> list[tuple[str, str]]:
    return [(RESULTS[result], why.decode()) for result, why in zip(found.result, found.why.tolist(), strict=True)]


def of_one(old: OldBills) -> tuple[str, str]:
    return said(compare(old, ORDERS))[0]


# -- the classes -------------------------------------------------------------------------------------------------------


def test_a_bill_that_agrees_to_the_paisa_is_equal_and_its_lines_add_up() -> None:
    old = as_we_rate({}, {"category": b"LMV-2", "load_w": 4_000, "factor": 2, "billed_wh": 240_000}, {"prepaid": 1})
    found = compare(old, ORDERS)
    assert said(found) == [("equal", "")] * 3
    assert found.rated.all()
    assert (found.ours.lines.sum(axis=1) == old.payable_paise).all()
    # fixed 1.5 kW x 110, 120 units x 6.85, duty 5 % of what is left after 120 x 1.35 of subsidy
    assert found.ours.lines[0, : found.ours.count[0]].tolist() == [165_00, 0, 822_00, -162_00, 0, 41_25, 0]
    assert (found.ours.assessed_paise[0], found.ours.payable_paise[0]) == (1_028_25, 866_25)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"basis": b"MIN"}, ("rule", "basis MIN")),
        ({"basis": b"PROV", "end": HOME["start"]}, ("rule", "basis PROV")),
        ({"basis": b""}, ("unknown", "")),
        ({"category": b"LMV-10"}, ("rule", "no-category")),
        ({"category": b"LMV-2", "area": b""}, ("rule", "no-schedule")),
        ({"start": 17_000, "end": 17_030}, ("rule", "no-order")),
        ({"missing": True}, ("data", "missing")),
        ({"end": HOME["start"]}, ("data", "period")),
        ({"load_w": 0}, ("data", "load")),
        ({"present_wh": 900_000, "billed_wh": -100_000}, ("data", "units")),
        ({"billed_wh": 119_000}, ("data", "units")),
        ({"factor": 2}, ("data", "units")),
        ({"present_wh": LARGE, "billed_wh": LARGE}, ("data", "too-large")),
        ({"load_w": 2**31 - 1, "demand_w": 2**31 - 1, "end": HOME["start"] + 400}, ("data", "too-large")),  # type: ignore[operator]
        ({"payable_paise": 999_99}, ("unknown", "")),
    ],
)
def test_what_is_wrong_names_itself(change: Mapping[str, object], expected: tuple[str, str]) -> None:
    assert of_one(bills(change)) == expected


def test_an_absurd_figure_does_not_touch_its_neighbours() -> None:
    absurd = {"load_w": 2**31 - 1, "demand_w": 2**31 - 1, "end": HOME["start"] + 400}  # type: ignore[operator]
    old = as_we_rate({}, {}, {}, {})
    mixed = OldBills(
        **{
            each.name: np.concatenate([getattr(old, each.name), getattr(bills(absurd), each.name)])
            for each in fields(OldBills)
        }
    )
    assert [result for result, _ in said(compare(mixed, ORDERS))] == ["equal"] * 4 + ["data"]


# -- rules by which the old system may have billed ---------------------------------------------------------------------

FPPAS = {
    "start": day_number(dt.date(2026, 6, 1)),
    "end": day_number(dt.date(2026, 7, 1)),
    "bill_day": day_number(dt.date(2026, 7, 8)),
}
SHIFTED = {"fppas-before": dt.date(2026, 6, 30), "fppas-after": dt.date(2026, 8, 1)}
NEW_ORDER = {
    "start": day_number(dt.date(2026, 7, 10)),
    "end": day_number(dt.date(2026, 8, 10)),
    "bill_day": day_number(dt.date(2026, 8, 12)),
    "load_w": 1_000,
    "present_wh": 1_060_000,
    "billed_wh": 60_000,
}


def billed_as(row: Mapping[str, object], as_if: Mapping[str, object]) -> OldBills:
    """A bill with the amounts of another."""
    amounts = as_we_rate({**row, **as_if})
    return replace(bills(row), assessed_paise=amounts.assessed_paise, payable_paise=amounts.payable_paise)


@pytest.mark.parametrize(
    ("word", "old"),
    [
        ("subsidy", bills({"assessed_paise": 1_028_25, "payable_paise": 1_028_25})),
        ("demand", billed_as({}, {"demand_w": 2_000})),
        ("mode", billed_as({}, {"prepaid": 1})),
        ("mode", billed_as({"prepaid": 1, "start": day_number(dt.date(2024, 2, 8))}, {"prepaid": 0})),
        *((word, billed_as(FPPAS, {"bill_day": day_number(day)})) for word, day in SHIFTED.items()),
        ("whole-units", billed_as({"present_wh": 1_120_400}, {"present_wh": 1_120_000})),
        ("whole-units", billed_as({"present_wh": 1_119_600}, {"present_wh": 1_120_000})),
    ],
)
def test_a_rule_of_the_closed_list_is_named(word: str, old: OldBills) -> None:
    assert of_one(old) == ("rule", word)
    one_paisa_more = replace(old, payable_paise=old.payable_paise + 1)
    assert said(compare(one_paisa_more, ORDERS))[0] in (("unknown", ""), ("data", "units"))


def test_a_rebate_that_was_not_given_is_named() -> None:
    old = as_we_rate({"prepaid": 1})
    ours = rate(old, old.billed_wh, ORDERS)
    assert ours.rebate_paise[0] > 0
    assert of_one(replace(old, payable_paise=old.payable_paise + ours.rebate_paise)) == ("rule", "rebate")


def test_the_order_before_is_named_whatever_stands_beside() -> None:
    old = bills(NEW_ORDER)
    before = rate(old, old.billed_wh, ORDERS[:-1])
    old = replace(old, assessed_paise=before.assessed_paise, payable_paise=before.payable_paise)
    later = {**FPPAS, "start": day_number(dt.date(2026, 8, 1)), "end": day_number(dt.date(2026, 8, 20))}
    beside = bills(later, {})
    both = [np.concatenate([getattr(old, each.name), getattr(beside, each.name)]) for each in fields(OldBills)]
    assert said(compare(OldBills(*both), ORDERS)) == [("rule", "order-before"), ("unknown", ""), ("unknown", "")]


# -- roundings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paise", "rounded"),
    [
        (866_25, (866, 866, 867, 866)),
        (866_50, (867, 866, 867, 866)),
        (867_50, (868, 868, 868, 867)),
        (866_51, (867, 867, 867, 866)),
        (866_00, (866, 866, 866, 866)),
        (-866_50, (-867, -866, -867, -866)),
        (-50, (-1, 0, -1, 0)),
    ],
)
def test_the_four_ways_to_the_rupee(paise: int, rounded: tuple[int, ...]) -> None:
    assert tuple(int(to_rupee(np.array([paise]), mode)[0]) // 100 for mode in MODES) == rounded


def by_amounts(old: tuple[int, int], ours: tuple[int, int]) -> str:
    """What `roundings` says of (assessed, payable)."""
    zero = np.zeros(1, np.int64)
    mine = Ours(zero, np.array([ours[0]]), zero, zero, np.array([ours[1]]), zero.reshape(1, 1), zero)
    theirs = bills({"assessed_paise": old[0], "payable_paise": old[1]})
    (why,) = roundings(theirs, mine).tolist()
    return str(why.decode())


@pytest.mark.parametrize(
    ("old", "ours", "why"),
    [
        ((1_028_25, 866_00), (1_028_25, 866_25), "rupee half-up,half-even,down"),
        ((1_028_00, 867_00), (1_028_25, 866_50), "rupee half-up"),  # no other way gives both
        ((1_029_00, 867_00), (1_028_25, 866_50), "rupee up"),
        ((1_029_00, 866_00), (1_028_25, 866_50), ""),  # one up, one down: no way
        ((1_028_20, 866_30), (1_028_25, 866_25), "lines"),
        ((1_028_19, 866_25), (1_028_25, 866_25), ""),
        ((1_028_27, 866_00), (1_028_25, 866_25), "rupee half-up,half-even,down"),
        ((1_000_00, 866_00), (1_000_03, 866_03), "rupee half-up,half-even,down"),
        ((1_028_25, 866_99), (1_028_25, 866_25), ""),
    ],
)
def test_a_rounding_says_which(old: tuple[int, int], ours: tuple[int, int], why: str) -> None:
    assert by_amounts(old, ours) == why


@given(st.integers(-(10**9), 10**9), st.integers(-200, 200).filter(bool))
def test_a_rounding_is_nothing_but_a_whole_rupee_beside_or_a_few_paise(ours: int, more: int) -> None:
    found = by_amounts((0, ours + more), (0, ours))
    whole_rupee = (ours + more) % 100 == 0 and abs(more) < 100
    assert bool(found) == (whole_rupee or abs(more) <= 5)
    for mode in MODES:
        named = mode in found.removeprefix("rupee ").split(",")
        gives = int(to_rupee(np.array([ours]), mode)[0]) == ours + more
        assert named == (gives if found.startswith("rupee") else False)


# -- each row by itself ------------------------------------------------------------------------------------------------

ROWS = st.fixed_dictionaries(
    {
        "basis": st.sampled_from([b"MU", b"MU", b"MU", b"MIN", b""]),
        "category": st.sampled_from([b"LMV-1", b"LMV-1", b"LMV-2", b"LMV-99"]),
        "area": st.sampled_from([b"urban", b"rural"]),
        "prepaid": st.integers(0, 1),
        "load_w": st.sampled_from([0, 1_000, 2_500, 6_000, 2**31 - 1]),
        "demand_w": st.integers(0, 5_000),
        "start": st.integers(19_600, 20_700),
        "present_wh": st.integers(900_000, 2_000_000),
        "billed_wh": st.sampled_from([120_000, 0]),
        "factor": st.sampled_from([0, 1, 2]),
        "missing": st.sampled_from([False, False, True]),
    }
)


@settings(max_examples=60)
@given(st.lists(st.tuples(ROWS, st.integers(-3, 100), st.integers(-7, 150)), min_size=1, max_size=8), st.randoms())
def test_who_stands_beside_changes_nothing(drawn: list[tuple[dict[str, object], int, int]], random: object) -> None:
    rows = []
    for row, days, off in drawn:
        start = int(row["start"])  # type: ignore[call-overload]
        whole = {**row, "end": start + days, "bill_day": start + days + 3}
        plausible = days > 0 and row["load_w"] in (1_000, 2_500, 6_000) and int(row["present_wh"]) >= 1_000_000  # type: ignore[call-overload]
        if plausible:
            amounts = as_we_rate(whole)
            units = (amounts.present_wh - amounts.previous_wh) * amounts.factor
            whole |= {
                "assessed_paise": int(amounts.assessed_paise[0]),
                "payable_paise": int(amounts.payable_paise[0]) + off,
                "billed_wh": int(units[0]),
            }
        rows.append(whole)
    alone = [of_one(bills(row)) for row in rows]
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    crowd = compare(bills(*(rows[number] for number in order)), ORDERS)
    assert said(crowd) == [alone[number] for number in order]


def test_nothing_is_compared_of_nobody() -> None:
    assert said(compare(bills({}).take(np.zeros(0, np.int64)), ORDERS)) == []


def test_every_word_is_told_in_both_languages() -> None:
    assert why_in_words("rupee half-up,down", "en") == "rounded to the rupee (half-up, down)"
    assert why_in_words("basis MIN", "hi").endswith("MIN")
    assert all(label.hi and label.en for word, label in WORDS.items() if word)
