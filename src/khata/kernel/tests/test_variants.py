"""Why one bill is higher than another: the parts add up to the paisa, and what did not change gets nothing."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.kernel.bills import cuts, price
from khata.kernel.days import day_number
from khata.kernel.tests.orders import repository_orders
from khata.kernel.variants import (
    Basis,
    NotTheSamePaiseError,
    Piece,
    Stretch,
    compare,
    payable,
    segments_of,
)

_FEBRUARY = (dt.date(2026, 2, 1), dt.date(2026, 3, 1))
_MARCH = (dt.date(2026, 3, 1), dt.date(2026, 4, 1))
_MAY = (dt.date(2026, 5, 1), dt.date(2026, 6, 1))


def stretch(start: dt.date, end: dt.date, wh: int = 200_000, **more: object) -> Stretch:
    given = {"terms": 1, "category": "LMV-1", "area": "urban", "prepaid": False, "load_w": 2_000, "demand_w": 1_200}
    return Stretch(day_number(start), day_number(end), energy_wh=wh, **{**given, **more})  # type: ignore[arg-type]


def bill(*stretches: Stretch, bill_day: dt.date | None = None) -> Basis | None:
    """Priced as a run prices it: cut where the orders ask for it, energy at the cut by days. None: not priced."""
    orders = repository_orders()
    dated = day_number(bill_day) if bill_day else stretches[-1].end + 7
    segments = segments_of([[_piece(each, dated) for each in stretches]])
    made = list(stretches)
    for row, day in reversed(cuts(orders, segments)):
        whole = made[row]
        first = (2 * whole.energy_wh * (day - whole.start) + whole.end - whole.start) // (2 * (whole.end - whole.start))
        made[row : row + 1] = [
            replace(whole, end=day, energy_wh=first),
            replace(whole, start=day, energy_wh=whole.energy_wh - first),
        ]
    priced = price(orders, segments_of([[_piece(each, dated) for each in made]]), metered=True)
    return None if priced.refusal.any() else Basis(tuple(made), dated, orders, int(payable(priced, 1)[0]))


def _piece(each: Stretch, dated: int) -> Piece:
    return (
        *(each.start, each.end, each.category, each.area, int(each.prepaid), each.load_w),
        *(each.demand_w, each.energy_wh, dated),
    )


def why(before: Basis | None, now: Basis | None) -> dict[str, int]:
    """What is not 0."""
    assert before is not None
    assert now is not None
    (found,) = compare([(before, now)])
    assert sum(found.paise.values()) == now.payable_paise - before.payable_paise
    return {name: paise for name, paise in found.paise.items() if paise}


@st.composite
def bills(draw: st.DrawFn) -> Basis:
    """Of one to three terms, whole months and others, over all orders."""
    start = draw(
        st.dates(dt.date(2022, 9, 1), dt.date(2026, 7, 1)) | st.dates(dt.date(2026, 6, 1), dt.date(2026, 7, 2))
    )
    start = start.replace(day=1) if draw(st.booleans()) else start
    made = []
    for number in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        end = start + dt.timedelta(draw(st.sampled_from((28, 30, 31, 61)) | st.integers(1, 70)))
        load = draw(st.sampled_from((1_000, 2_000, 5_000)))
        made.append(
            stretch(
                start,
                end,
                draw(st.sampled_from((0, 1, 90_000, 100_001)) | st.integers(0, 900_000)),
                terms=number,
                category=draw(st.sampled_from(("LMV-1", "LMV-1", "LMV-2"))),
                area=draw(st.sampled_from(("urban", "rural"))),
                prepaid=draw(st.booleans()),
                load_w=load,
                demand_w=draw(st.integers(0, 2 * load)),
            )
        )
        start = end
    found = bill(*made)
    return found if found is not None else draw(bills())


@settings(max_examples=40)
@given(bills(), bills())
def test_the_parts_add_up_and_the_way_back_is_the_opposite(before: Basis, now: Basis) -> None:
    (there,), (back,) = compare([(before, now)]), compare([(now, before)])
    assert sum(there.paise.values()) == now.payable_paise - before.payable_paise
    assert dict(back.paise) == {name: -paise for name, paise in there.paise.items()}


def test_as_many_units_used_at_another_pace_are_each_bill_s_own() -> None:
    may, thirteenth = _MAY, dt.date(2026, 5, 13)
    evenly = bill(stretch(*may, 310_000))
    later = bill(stretch(may[0], thirteenth, 10_000), stretch(thirteenth, may[1], 300_000, terms=2, load_w=5_000))
    assert why(evenly, later) == {name: -paise for name, paise in why(later, evenly).items()}


@settings(max_examples=8)
@given(st.lists(st.tuples(bills(), bills()), min_size=2, max_size=5))
def test_a_pair_in_a_crowd_is_as_alone(pairs: list[tuple[Basis, Basis]]) -> None:
    assert compare(pairs) == [compare([pair])[0] for pair in pairs]


@settings(max_examples=20)
@given(bills())
def test_a_bill_and_itself_differ_by_nothing(same: Basis) -> None:
    assert why(same, same) == {}


# A table that a clerk can read: what was changed between two bills of May → which parts are not 0.
MAY = stretch(*_MAY)
TABLE: dict[str, tuple[dict[str, object], set[str]]] = {
    "more units, also dearer ones": ({"energy_wh": 320_000}, {"units", "slabs"}),
    "fewer units": ({"energy_wh": 120_000}, {"units", "slabs"}),
    "another load": ({"load_w": 3_000, "demand_w": 1_200}, {"load"}),
    "demand above the load": ({"demand_w": 2_600}, {"load"}),
    "a shop instead of a home": ({"category": "LMV-2"}, {"category"}),
    "village instead of town": ({"area": "rural"}, {"category"}),
    "prepaid": ({"prepaid": True}, {"mode"}),
    "nothing": ({}, set()),
}


@pytest.mark.parametrize("case", TABLE)
def test_only_what_changed_counts(case: str) -> None:
    changes, expected = TABLE[case]
    now = replace(MAY, **changes)  # type: ignore[arg-type]
    assert set(why(bill(MAY), bill(now))) == expected


def test_of_a_flat_rate_no_slab_is_blamed() -> None:
    shop = replace(MAY, category="LMV-2", area="rural")  # one price for all units
    cheap, dear = (bill(replace(shop, energy_wh=wh)) for wh in (400_000, 471_111))
    assert set(why(cheap, dear)) == {"units"}


def test_a_longer_month_of_the_same_daily_use_is_days_alone() -> None:
    short, long = stretch(*_FEBRUARY, wh=28 * 7_000), stretch(*_MARCH, wh=31 * 7_000)
    same_surcharge = dt.date(2026, 3, 8)  # else the published FPPAS of two months would differ as well
    found = why(bill(short, bill_day=same_surcharge), bill(long, bill_day=same_surcharge))
    assert set(found) == {"days"}
    assert found["days"] > 0


def test_another_published_surcharge_is_rates_alone() -> None:
    before, now = (bill(MAY, bill_day=dt.date(2026, month, 8)) for month in (6, 7))
    assert set(why(before, now)) == {"rates"}


def test_units_are_counted_at_the_average_price_and_the_rest_is_the_slabs() -> None:
    """By hand, from three bills of the kernel: none, 200 and 320 units; average over both orders, odd paise first."""
    none, few, many = (bill(replace(MAY, energy_wh=wh)) for wh in (0, 200_000, 320_000))
    assert none is not None and few is not None and many is not None
    energy_few, energy_many = few.payable_paise - none.payable_paise, many.payable_paise - none.payable_paise
    at_few, at_many = energy_few * 320 / 200 - energy_few, energy_many - energy_many * 200 / 320
    found = why(few, many)
    assert abs(found["units"] - (at_few + at_many) / 2) <= 1
    assert found["slabs"] > 0


def test_what_the_orders_do_not_price_apart_is_told_as_one() -> None:
    now = bill(MAY)
    assert now is not None
    only_shops = tuple(
        replace(order, schedules=tuple(each for each in order.schedules if each.match.category == "LMV-2"))
        for order in repository_orders()
    )
    shop = bill(replace(MAY, category="LMV-2"))
    assert shop is not None
    before = replace(shop, orders=tuple(replace(order, sha256=f"{order.sha256}s") for order in only_shops))
    assert set(why(before, now)) == {"together"}


def test_a_bill_that_is_not_priced_to_its_own_paise_is_not_explained() -> None:
    now = bill(MAY)
    assert now is not None
    with pytest.raises(NotTheSamePaiseError, match="khata bill replay"):
        compare([(now, replace(now, payable_paise=now.payable_paise + 1))])
