"""The kernel against bills worked one by one in exact fractions."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.kernel.tests import oracle
from khata.kernel.tests.oracle import Case
from khata.kernel.tests.orders import price_all

LOADS_W = (1, 500, 750, 999, 1000, 1001, 1333, 2000, 3999, 4000, 4001, 9999, 10_000, 25_000)
ENERGIES_WH = (0, 1, 99_999, 100_000, 100_001, 150_000, 150_001, 200_001, 300_000, 300_001, 1_000_000, 1_000_001)
DAYS = (1, 7, 28, 29, 30, 31, 44, 45, 61, 74, 75, 120)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Days from before the first order to after the last FPPAS figure; often a month, often over 2 July 2026."""
    start = draw(
        st.dates(dt.date(2022, 7, 25), dt.date(2026, 9, 15)) | st.dates(dt.date(2026, 5, 20), dt.date(2026, 7, 3))
    )
    start = start.replace(day=1) if draw(st.booleans()) else start
    end = start + dt.timedelta(draw(st.sampled_from(DAYS) | st.integers(1, 130)))
    load_w = draw(st.sampled_from(LOADS_W) | st.integers(1, 30_000))
    demand_w = draw(st.sampled_from((0, load_w, load_w + 1, load_w * 3 // 4)) | st.integers(0, 60_000))
    return Case(
        category=draw(st.sampled_from(("LMV-1", "LMV-2"))),
        area=draw(st.sampled_from(("urban", "rural"))),
        prepaid=draw(st.booleans()),
        start=start,
        end=end,
        load_w=load_w,
        demand_w=demand_w,
        energy_wh=draw(st.sampled_from(ENERGIES_WH) | st.integers(0, 3_000_000)),
        bill_date=end + dt.timedelta(draw(st.integers(0, 20))),
    )


def agree(answer: dict[str, int | str], expected: dict[str, int | str]) -> bool:
    """Refusals need agree only in being refused: the oracle has no words for them."""
    return "refused" in answer if "refused" in expected else answer == expected


@settings(max_examples=300)
@given(cases())
def test_a_bill_alone(case: Case) -> None:
    answer, expected = price_all([case])[0], oracle.bill(case)
    assert agree(answer, expected), (answer, expected)


@settings(max_examples=25)
@given(st.lists(cases(), min_size=2, max_size=60), st.randoms())
def test_a_crowd_is_priced_as_each_alone_and_in_any_order(crowd: list[Case], random: object) -> None:
    together = price_all(crowd)
    assert together == [price_all([case])[0] for case in crowd]
    order = list(range(len(crowd)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = price_all([crowd[at] for at in order])
    assert shuffled == [together[at] for at in order]


@pytest.mark.parametrize("prepaid", [False, True])
@pytest.mark.parametrize("days", [30, 31, 61, 90])
def test_every_boundary(days: int, prepaid: bool) -> None:
    """Each slab limit and condition, of one month and of several, a watt-hour and a watt to either side."""
    start = dt.date(2025, 6, 1)
    end = start + dt.timedelta(days)
    limits_wh = {units * 1000 * months for units in (100, 150, 300, 1000) for months in (1, 2, 3)}
    crowd = [
        Case(category, area, prepaid, start, end, load_w, demand_w, energy_wh, dt.date(2025, 9, 5))
        for category in ("LMV-1", "LMV-2")
        for area in ("urban", "rural")
        for load_w in (999, 1000, 1001, 3999, 4000, 4001)
        for demand_w in (0, load_w, load_w + 1)
        for limit_wh in sorted(limits_wh)
        for energy_wh in (limit_wh - 1, limit_wh, limit_wh + 1)
    ]
    wrong = [case for case, answer in zip(crowd, price_all(crowd), strict=True) if answer != oracle.bill(case)]
    assert wrong == []


@pytest.mark.parametrize(("days", "months"), [(1, 1), (15, 1), (30, 1), (44, 1), (45, 2), (61, 2), (74, 2), (75, 3)])
def test_months_of_a_postpaid_bill(days: int, months: int) -> None:
    end = dt.date(2023, 6, 30)
    case = Case("LMV-1", "urban", False, end - dt.timedelta(days), end, 2000, 2000, 200_000, end)
    assert price_all([case])[0]["fixed"] == months * 22_000


def test_fppas_belongs_to_the_month_of_the_bill_date() -> None:
    def fppas(bill_date: dt.date) -> int | str | None:
        case = Case("LMV-1", "urban", False, dt.date(2025, 2, 1), dt.date(2025, 3, 1), 2000, 2000, 150_000, bill_date)
        return price_all([case])[0].get("fppas")

    assert fppas(dt.date(2025, 3, 31)) == 0
    assert fppas(dt.date(2025, 4, 1)) == 1296  # 1.24 % of 220.00 + 1027.50 - 202.50 = 12.958


def test_a_month_without_a_published_fppas_is_refused_and_never_zero() -> None:
    case = Case("LMV-1", "urban", False, dt.date(2026, 3, 1), dt.date(2026, 4, 1), 2000, 0, 0, dt.date(2026, 4, 30))
    assert price_all([case]) == [{"refused": "the FPPAS figure for bills of 2026-04 is not published in tariffs/"}]
