"""The trend of thirteen months with its forecast, and the demand against the sanctioned load."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.display.tests.samples import DEMANDS, TREND
from khata.display.tests.test_charts import heights, parsed, with_class
from khata.display.trend_chart import DEMAND_HEIGHT, DEMAND_TOP, HEIGHT, TOP, demand_bars, trend_bars
from khata.display.trend_words import (
    DemandMonth,
    Span,
    TrendMonth,
    demand_sentence,
    demand_table,
    trend_sentence,
    trend_table,
)

JUNE = dt.date(2026, 6, 1)

uses = st.none() | st.integers(min_value=0, max_value=10**9)


@settings(max_examples=40)
@given(st.lists(st.tuples(uses, uses), min_size=1, max_size=13), st.sampled_from(["units", "rupees"]))
def test_a_trend_shows_every_month_in_bounds_and_every_hole(
    pairs: list[tuple[int | None, int | None]], unit: str
) -> None:
    months = [TrendMonth(JUNE, wh, last_year_wh=before, paise=wh, last_year_paise=before) for wh, before in pairs]
    markup = trend_bars(months, chart_id="t", language="hi", unit="units" if unit == "units" else "rupees")
    parsed(markup)
    known = [wh for wh, _ in pairs if wh is not None]
    before = [wh for _, wh in pairs if wh is not None]
    if not known and not before:
        assert "<svg" not in markup
        return
    assert markup.count('fill="url(#t-hole)"') == len(pairs) - len(known)
    now, last = heights(markup, "chart-now"), heights(markup, "chart-last")
    assert len(now) == len(known) and len(last) == len(before)
    top = max(1, *known, *before, 1)
    for height, wh in zip(now, known, strict=True):
        assert 0 <= height <= HEIGHT and (abs(height - wh * HEIGHT / top) <= 0.5 or height == 2)
    numbers = [e.text or "" for e in with_class(markup, "chart-number")]
    assert all(("₹" in number) == (unit == "rupees") for number in numbers if number)


def test_a_running_month_is_solid_so_far_and_hatched_to_its_forecast_with_its_range() -> None:
    month = TrendMonth(JUNE, 500, forecast=Span(750, 1000, 2000))
    markup = trend_bars([month], chart_id="t", language="en")
    solid = heights(markup, "chart-now")
    assert sorted(solid) == [32, 33]  # 500 and 500 more of 2000, together 65 of 130 pixels
    (hatched,) = [e for e in parsed(markup).iter() if e.get("fill") == "url(#t-partial)"]
    assert (hatched.get("y"), hatched.get("height")) == (str(TOP + HEIGHT - 65), "32")
    stem, low, high = with_class(markup, "chart-whisker")
    assert (stem.get("y1"), stem.get("y2")) == (low.get("y1"), high.get("y1")) == ("103", str(TOP))
    assert [e.text for e in with_class(markup, "chart-number")] == ["~1"]
    # The likely is a dot at the top of the hatching, and the line goes through it.
    assert int(high.get("y1") or 0) < 87 < int(low.get("y1") or 0)
    assert [e.get("cy") for e in with_class(markup, "chart-likely")] == [hatched.get("y")] == ["87"]
    keys = [e.text for e in parsed(markup).iter("li")]
    assert keys == ["By the end of the month (forecast): 1", "It may be 0.8 to 2"]


def test_the_same_chart_in_rupees() -> None:
    markup = trend_bars(TREND, chart_id="t", language="hi", unit="rupees")
    numbers = [e.text for e in with_class(markup, "chart-number")]
    assert numbers[0] == "₹3,980" and numbers[-1] == "~₹3,520"
    assert "महीने का खर्च, जून 2025 – जून 2026" in markup
    keys = [e.text for e in parsed(markup).iter("li")]
    assert keys == [
        "इस साल", "पिछले साल", "महीने के अंत तक (अंदाज़ा): ₹3,520", "₹3,200 से ₹3,910 के बीच रह सकता है",
        "कुछ दिन अनुमानित", "पता नहीं",
    ]  # fmt: skip


def test_the_sentence_of_a_trend_gives_the_range_beside_the_likely() -> None:
    assert trend_sentence(TREND, "hi") == (
        "जून 2026 में अब तक 358 यूनिट; महीने के अंत तक लगभग 537 यूनिट (490 से 590 के बीच), पिछले साल के इसी महीने से 11% कम।"
    )
    assert trend_sentence(TREND, "en", unit="rupees") == (
        "June 2026: ₹2,400 so far; by the end of the month about ₹3,520 (between ₹3,200 and ₹3,910), "
        "12% less than in the same month last year."
    )
    assert trend_sentence(TREND[:-1], "en") == ("May 2026: 541 units, 74% more than in the same month last year.")
    assert trend_sentence([replace(TREND[5], last_year_wh=214_000)], "en").endswith(
        "the same as in that month last year."
    )
    assert "nothing to show" in trend_sentence([], "en") and "<svg" not in trend_bars([], chart_id="t", language="en")


def test_the_table_of_a_trend_is_exact_and_says_how_each_is_known() -> None:
    header, rows = trend_table(TREND, language="en")
    assert header == ("Month", "Units", "Last year", "Rupees", "Last year (rupees)", "How known")
    assert rows[0] == ("June 2025", "612.337", "–", "₹3,980.19", "–", "Whole month")
    assert rows[2][5] == "Some days estimated" and rows[3][5] == "Not known" and rows[3][1] == "–"
    assert rows[12][5] == (
        "Month not over yet; By the end of the month (forecast): about 537 units (between 490 and 590), "
        "about ₹3,520 (between ₹3,200 and ₹3,910)"
    )
    assert trend_table([TrendMonth(JUNE, 1)], language="en")[0] == ("Month", "Units", "How known")


def test_a_range_that_does_not_hold_the_likely_is_refused() -> None:
    with pytest.raises(ValueError, match="low, likely, high"):
        Span(5, 4, 6)


@settings(max_examples=40)
@given(st.lists(st.tuples(uses, uses), min_size=1, max_size=13))
def test_what_exceeds_the_sanctioned_load_is_marked_and_nothing_else(
    pairs: list[tuple[int | None, int | None]],
) -> None:
    months = [DemandMonth(JUNE, demand, sanctioned) for demand, sanctioned in pairs]
    markup = demand_bars(months, chart_id="d", language="hi")
    parsed(markup)
    known = [(w, most) for w, most in pairs if w is not None]
    if not known:
        assert "<svg" not in markup
        return
    over = [1 for w, most in known if most is not None and w > most]
    assert len(with_class(markup, "chart-excess")) == len(over) == markup.count("▲<tspan")
    assert markup.count('fill="url(#d-hole)"') == len(pairs) - len(known)
    assert len(with_class(markup, "chart-limit")) == sum(most is not None for _, most in pairs)
    assert all(0 <= height <= DEMAND_HEIGHT for height in heights(markup, "chart-month"))


def test_the_part_above_is_as_high_as_the_excess() -> None:
    markup = demand_bars([DemandMonth(JUNE, 4000, 2000)], chart_id="d", language="en")
    (over,) = with_class(markup, "chart-excess")
    assert (over.get("y"), over.get("height")) == (str(DEMAND_TOP), str(DEMAND_HEIGHT // 2))


def test_what_exceeding_cost_is_said() -> None:
    markup = demand_bars(DEMANDS, chart_id="d", language="en")
    assert [e.text for e in parsed(markup).iter("li")] == [
        "Sanctioned load 4 → 3 kW", "▲ Above sanctioned load", "Not known",
    ]  # fmt: skip
    titles = [e[0].text for e in with_class(markup, "chart-slot")]
    assert titles[3] == "September 2025: 4.6 kW; Sanctioned load 4 kW; Above sanctioned load 0.6 kW, ₹214.00"
    assert titles[6] == "December 2025: Not known; Sanctioned load 4 kW"
    assert demand_sentence(DEMANDS, "hi") == (
        "सबसे ज़्यादा लोड 4.8 kW रहा, अक्टूबर 2025 में। 2 महीने स्वीकृत भार से ज़्यादा रहा; इसके ₹500.00 लगे।"
    )
    assert demand_sentence(DEMANDS[:3], "en", in_kva=True) == (
        "The highest load was 3.1 kVA, in August 2025. It stayed within the sanctioned load in every month."
    )
    assert demand_sentence([replace(DEMANDS[3], cost_paise=None)], "en").endswith(
        "above the sanctioned load in 1 month."
    )
    assert demand_sentence([DemandMonth(JUNE, 1000, None)], "en") == "The highest load was 1 kW, in June 2026."
    header, rows = demand_table(DEMANDS, language="en")
    assert header == ("Month", "Highest kW", "Sanctioned load kW", "Above sanctioned load", "What it cost")
    assert rows[3] == ("September 2025", "4.6", "4", "0.6", "₹214.00") and rows[6] == (
        "December 2025",
        "–",
        "4",
        "0",
        "–",
    )


def test_no_more_than_thirteen_months_fit() -> None:
    with pytest.raises(ValueError, match="14 bars are too many"):
        trend_bars([*TREND, TREND[0]], chart_id="t", language="en")
    with pytest.raises(ValueError, match="14 bars are too many"):
        demand_bars([*DEMANDS, DEMANDS[0]], chart_id="t", language="en")


def test_months_that_are_not_known_are_not_called_good() -> None:
    known, unknown = DemandMonth(JUNE, 1000, 2000), DemandMonth(JUNE, None, 2000)
    assert "in every month" in demand_sentence([known, known], "en")
    for other in (unknown, DemandMonth(JUNE, 1500, None)):
        said = demand_sentence([known, other], "en")
        assert said.endswith("In the months that are known it stayed within the sanctioned load.")


def test_the_running_month_is_never_called_whole() -> None:
    running = TrendMonth(JUNE, 120_000, running=True)
    assert trend_table([running], language="en")[1][0][-1] == "Month not over yet"
    assert trend_table([replace(running, estimated=True)], language="en")[1][0][-1] == (
        "Month not over yet; Some days estimated"
    )
    ahead = replace(running, estimated=True, forecast=Span(1, 2, 3))
    assert trend_table([ahead], language="en")[1][0][-1].startswith("Month not over yet; Some days estimated; By the")
