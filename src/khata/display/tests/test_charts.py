"""Charts: true to the numbers, readable by everybody, safe in any page, small."""

import datetime as dt
import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.display import charts
from khata.display.bill_text import SlabView
from khata.display.chart_words import units_text
from khata.display.charts import (
    DAY_HEIGHT,
    MONTH_HEIGHT,
    STUB,
    DayBar,
    MonthBar,
    axis,
    daily_bars,
    daily_sentence,
    daily_table,
    month_bars,
    month_table,
    pixels,
    share_text,
    slab_fill,
    sparkline,
    table_rows,
)
from khata.display.curve_chart import load_curve
from khata.display.heat_chart import heat_map
from khata.display.labels import LANGUAGES, Language
from khata.display.tests.samples import BANDS, DAY, DEMANDS, TREND, WEEK_BEFORE, month
from khata.display.trend_chart import demand_bars, trend_bars

SVG = "{http://www.w3.org/2000/svg}"
FIRST = dt.date(2026, 5, 22)
HOSTILE = "<script>alert('x')</script>\" onload=\"x"

uses = st.integers(min_value=0, max_value=10**9)


def day_bars(values: Sequence[int | None], *, last_year_wh: int | None = None) -> list[DayBar]:
    return [DayBar(FIRST + dt.timedelta(i), wh, "measured", last_year_wh) for i, wh in enumerate(values)]


def months(*values: int) -> list[MonthBar]:
    return [MonthBar(dt.date(2025 + (6 + i) // 12, (6 + i) % 12 + 1, 1), wh, False) for i, wh in enumerate(values)]


# 30 days with all that can be: an estimate, a hole, a zero, a reading that went back
MIXED = day_bars([10_000 + 137 * (i * 7919 % 131) for i in range(30)], last_year_wh=19_400)
MIXED[8] = replace(MIXED[8], quality="estimated")
MIXED[12] = replace(MIXED[12], wh=None)
MIXED[13] = replace(MIXED[13], wh=0)
MIXED[14] = replace(MIXED[14], wh=-2000)
MIXED[20] = replace(MIXED[20], wh=31_250)
# The same days in rupees: some priced, two with cuts, the last three still to come.
PRICED = [replace(d, paise=d.wh and d.wh * 65 // 100, last_year_paise=12_000) for d in MIXED]
PRICED[3:5] = [replace(d, off_half_hours=5 + 14 * i) for i, d in enumerate(PRICED[3:5])]
PRICED[15] = replace(PRICED[15], paise=None)
PRICED[27:] = [replace(d, quality="forecast") for d in PRICED[27:]]
YEAR = [*months(612_337, 588_000, 470_000, 310_000, 196_000, 214_000, 238_000, 187_000, 205_000, 372_000, 566_000)]
YEAR.append(MonthBar(dt.date(2026, 6, 1), 358_000, True))
SLABS = (
    SlabView(0, 150_000, 150_000, 55_000),
    SlabView(150_000, 300_000, 30_000, 60_000),
    SlabView(300_000, None, 0, 65_000),
)


def parsed(markup: str) -> ET.Element:
    return ET.fromstring(markup.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def with_class(markup: str, *classes: str) -> list[ET.Element]:
    return [e for e in parsed(markup).iter() if set(classes) <= set(e.get("class", "").split())]


def heights(markup: str, *classes: str) -> list[int]:
    return [int(e.get("height", "")) for e in with_class(markup, *classes)]


def every_chart(language: Language) -> dict[str, str]:
    return {
        "days": daily_bars(MIXED, chart_id="days", language=language),
        "one": daily_bars(MIXED[:1], chart_id="one", language=language),
        "holes": daily_bars(day_bars([None] * 31), chart_id="holes", language=language),
        "no-days": daily_bars([], chart_id="no-days", language=language),
        "months": month_bars(YEAR, chart_id="months", language=language),
        "no-months": month_bars([], chart_id="no-months", language=language),
        "spark": sparkline([d.wh for d in MIXED], chart_id="spark", language=language, label=HOSTILE),
        "no-spark": sparkline([], chart_id="no-spark", language=language, label=HOSTILE),
        "slabs": slab_fill(SLABS, chart_id="slabs", language=language),
        "no-slabs": slab_fill([], chart_id="no-slabs", language=language),
        "rupees": daily_bars(PRICED, chart_id="rupees", language=language, unit="rupees"),
        "curve": load_curve(
            DAY, chart_id="curve", language=language, sanctioned_w=4000, bands=BANDS, compared=WEEK_BEFORE
        ),
        "heat": heat_map(month(9), chart_id="heat", language=language),
        "trend": trend_bars(TREND, chart_id="trend", language=language),
        "trend-rupees": trend_bars(TREND, chart_id="trend-rupees", language=language, unit="rupees"),
        "demand": demand_bars(DEMANDS, chart_id="demand", language=language),
    }


CASES = [(language, name, markup) for language in LANGUAGES for name, markup in every_chart(language).items()]


@pytest.mark.parametrize(("name", "markup"), [pytest.param(n, m, id=f"{lang}-{n}") for lang, n, m in CASES])
def test_a_chart_brings_no_script_style_or_colour_and_stretches(name: str, markup: str) -> None:
    root = parsed(markup)
    for element in root.iter():
        assert element.tag.rpartition("}")[2] not in {"script", "style", "foreignObject", "image", "a"}
        assert not any(a == "style" or a.startswith("on") for a in element.attrib)
        for paint in ("fill", "stroke"):
            assert element.get(paint, "url(#").startswith("url(#")
    outer = next((e for e in root.iter(f"{SVG}svg")), None)
    if outer is not None:
        assert outer.get("viewBox") is None and outer.get("width") == "100%"
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!\))", re.sub(r"url\([^)]*\)", "", markup))


@pytest.mark.parametrize(("name", "markup"), [pytest.param(n, m, id=f"{lang}-{n}") for lang, n, m in CASES])
def test_who_cannot_see_it_hears_its_title_and_what_it_shows(name: str, markup: str) -> None:
    root = parsed(markup)
    outer = next((e for e in root.iter(f"{SVG}svg")), None)
    if outer is None:
        (said,) = with_class(markup, "chart-nothing")
        assert said.text
        return
    assert outer.get("role") == "img"
    texts = {e.get("id"): e.text for e in outer if e.tag in (f"{SVG}title", f"{SVG}desc")}
    assert outer.get("aria-labelledby", "").split() == [f"{name}-title", f"{name}-desc"] == list(texts)
    assert all(texts.values())
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids)) and all(str(i).startswith(f"{name}-") for i in ids)
    assert set(re.findall(r"url\(#([^)]*)\)", markup)) <= set(ids)


def test_a_label_from_outside_is_only_text() -> None:
    markup = sparkline([1, 2], chart_id="s", language="en", label=HOSTILE)
    assert "<script" not in markup and parsed(markup)[0].text == HOSTILE


@pytest.mark.parametrize("chart_id", ["", "1a", "a b", 'a"b', "a)b", "a<b", "ए"])
def test_what_cannot_be_an_id_is_refused(chart_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be an id"):
        daily_bars([], chart_id=chart_id, language="en")
    with pytest.raises(ValueError, match="cannot be an id"):
        sparkline([], chart_id=chart_id, language="en", label="x")


def test_more_bars_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bars are too many"):
        daily_bars(day_bars([1] * 32), chart_id="d", language="en")
    with pytest.raises(ValueError, match="14 bars are too many"):
        month_bars(months(*[1] * 14), chart_id="m", language="en")


@pytest.mark.parametrize(("language", "budget"), [("hi", 2048), ("en", 2048)])
def test_a_full_chart_is_small_on_the_wire(language: Language, budget: int) -> None:
    full = [replace(d, last_year_wh=12_000 + 211 * (i * 104729 % 97)) for i, d in enumerate([*MIXED, MIXED[0]])]
    for markup in (daily_bars(full, chart_id="d", language=language), *every_chart(language).values()):
        assert len(gzip.compress(markup.encode())) <= budget


@given(st.lists(uses, min_size=1, max_size=31))
def test_daily_bars_are_as_high_as_their_use(values: list[int]) -> None:
    markup = daily_bars(day_bars(values), chart_id="d", language="en")
    top = axis(max(values))[-1]
    drawn = sorted(heights(markup, "chart-now") + heights(markup, "chart-best"))
    for height, wh in zip(drawn, sorted(values), strict=True):
        exact = wh * DAY_HEIGHT / top
        assert abs(height - exact) <= 0.5 or height == STUB >= exact


@given(st.lists(uses, min_size=1, max_size=13))
def test_monthly_bars_are_as_high_as_their_use_and_all_have_their_number(values: list[int]) -> None:
    markup = month_bars(months(*values), chart_id="m", language="en")
    drawn = [*heights(markup, "chart-month"), *heights(markup, "chart-now")]
    for height, wh in zip(drawn, values, strict=True):
        exact = wh * MONTH_HEIGHT / max(*values, 1)
        assert abs(height - exact) <= 0.5 or height == STUB >= exact
    assert [e.text for e in with_class(markup, "chart-number")] == [units_text(wh) for wh in values]


@given(st.lists(st.none() | uses, min_size=1, max_size=31))
def test_every_hole_shows_and_only_the_highest_day_has_its_number(values: list[int | None]) -> None:
    markup = daily_bars(day_bars(values), chart_id="d", language="hi")
    known = [wh for wh in values if wh is not None]
    assert markup.count('fill="url(#d-hole)"') == len(values) - len(known)
    assert len(with_class(markup, "chart-now")) + len(with_class(markup, "chart-best")) == len(known)
    assert [e.text for e in with_class(markup, "chart-top")] == ([units_text(max(known))] if known else [])
    assert len(with_class(markup, "chart-best")) == int(any(known))


def test_both_years_stand_on_one_scale() -> None:
    markup = daily_bars([DayBar(FIRST, 12_000, "measured", 24_000)], chart_id="d", language="en")
    assert heights(markup, "chart-last") == [2 * heights(markup, "chart-best")[0]]


def test_each_day_says_what_it_is() -> None:
    titles = [e[0].text for e in with_class(daily_bars(MIXED, chart_id="d", language="hi"), "chart-slot")]
    assert titles[20] == "11 जून: 31.3 यूनिट"
    assert titles[12] == "3 जून: रीडिंग नहीं आई" and titles[13] == "4 जून: 0 यूनिट"
    assert titles[14] == "5 जून: -2 यूनिट (रीडिंग पीछे गई)"
    assert str(titles[8]).startswith("30 मई: ") and str(titles[8]).endswith(" यूनिट (अनुमानित)")


def test_an_estimate_a_reading_back_and_a_month_not_over_look_different() -> None:
    markup = daily_bars(MIXED, chart_id="d", language="en")
    assert len(with_class(markup, "chart-estimated")) == 1 and heights(markup, "chart-minus") == [STUB]
    keys = [e.text for e in parsed(markup).iter("li")]
    assert keys == ["This year", "Last year", "Estimated", "No reading", "Reading went back"]
    year = month_bars(YEAR, chart_id="m", language="en")
    assert year.count('fill="url(#m-partial)"') == 1
    assert [e.text for e in parsed(year).iter("li")] == ["Month not over yet"]


def test_a_month_without_a_bill_is_a_hole_and_one_bill_for_two_months_says_so() -> None:
    bars = months(300_000, 200_000, 100_000)
    bars[1] = replace(bars[1], wh=None)
    bars[2] = replace(bars[2], months=2)
    markup = month_bars(bars, chart_id="m", language="en")
    assert markup.count('fill="url(#m-hole)"') == 1 and markup.count('id="m-hole"') == 1
    assert [e.text for e in parsed(markup).iter("li")] == ["No bill"]
    assert [e.text for e in with_class(markup, "chart-number")] == ["300", "100"]
    titles = [e[0].text for e in with_class(markup, "chart-slot")]
    assert titles[1:] == ["August 2025: No bill", "September 2025: 100 units (One bill for 2 months)"]
    assert [row[1:] for row in month_table(bars, language="en")[1]] == [
        ("300", "Whole month"),
        ("–", "No bill"),
        ("100", "One bill for 2 months"),
    ]
    nothing = month_bars([replace(bar, wh=None) for bar in bars], chart_id="m", language="en")
    assert "<svg" not in nothing and "nothing to show yet" in nothing


def test_days_in_rupees_are_as_high_as_their_cost_and_say_both() -> None:
    markup = daily_bars(PRICED, chart_id="d", language="en", unit="rupees")
    assert [e.text for e in with_class(markup, "chart-top")] == ["₹203"]
    assert [e.text for e in with_class(markup, "chart-end") if e.get("x") == "-6"] == ["₹0", "₹80", "₹160", "₹240"]
    titles = [str(e[0].text) for e in with_class(markup, "chart-slot")]
    assert titles[20] == "11 June: ₹203.12, 31.3 units" and "Not priced yet" in titles[15]
    holes = sum(d.paise is None for d in PRICED)
    assert markup.count('fill="url(#d-hole)"') == holes == 2
    assert daily_sentence(PRICED, "hi", unit="rupees").startswith("17 जून को ₹")
    header, rows = daily_table(PRICED, language="en")
    assert header == ("Day", "Units", "Rupees", "Last year", "How known", "Without power (hours)")
    assert rows[20] == ("11 June 2026", "31.25", "₹203.12", "19.4", "Measured", "0") and rows[4][5] == "9.5"
    few = [replace(MIXED[0], wh=1000, paise=450, last_year_wh=None)]
    assert [e.text for e in with_class(daily_bars(few, chart_id="d", language="en", unit="rupees"), "chart-top")] == [
        "₹4.50"
    ]


def test_a_forecast_is_hatched_and_never_counts_as_known() -> None:
    markup = daily_bars(PRICED, chart_id="d", language="en")
    assert markup.count('fill="url(#d-partial)"') == 3 and "Forecast" in markup
    wild = [*day_bars([20_000, 10_000]), DayBar(FIRST + dt.timedelta(2), 90_000, "forecast", None)]
    assert [e.text for e in with_class(daily_bars(wild, chart_id="d", language="en"), "chart-top")] == ["20"]
    assert daily_sentence(wild, "en") == "On 23 May you used 10 units. The daily average is 15 units."


def test_hours_without_power_are_marked_below_their_day_and_said() -> None:
    markup = daily_bars(PRICED, chart_id="d", language="hi")
    marks = [e.get("width") for e in with_class(markup, "chart-off")]
    assert marks == ["10.41%", "39.58%"]
    titles = [str(e[0].text) for e in with_class(markup, "chart-slot")]
    assert titles[3].endswith("2.5 घंटे बिजली नहीं थी") and "बिजली नहीं" not in titles[5]
    assert daily_sentence(PRICED, "hi").endswith("इन दिनों कुल 12 घंटे बिजली नहीं थी।")


def test_each_day_stands_beside_the_same_day_a_year_before() -> None:
    today = dt.date(2024, 2, 29)
    used: dict[dt.date, int | None] = {
        dt.date(2024, 2, 28): 5_000,
        dt.date(2024, 2, 27): None,
        dt.date(2023, 2, 28): 4_000,
    }
    bars = charts.day_bars(used, end=today, days=2)
    assert [(bar.day.day, bar.wh, bar.last_year_wh) for bar in bars] == [(27, None, None), (28, 5_000, 4_000)]
    (leap,) = charts.day_bars({**used, today: 6_000}, end=dt.date(2024, 3, 1), days=1)
    assert (leap.wh, leap.last_year_wh) == (6_000, 4_000)


@given(st.lists(st.none() | uses, min_size=1, max_size=31))
def test_the_average_of_the_page_is_that_of_the_sentence(values: list[int | None]) -> None:
    average = charts.average_wh(day_bars(values))
    assert (average is None) == (not [wh for wh in values if wh is not None])
    if average is not None:
        assert f"average is {units_text(average)} unit" in daily_sentence(day_bars(values), "en")


def test_a_chart_of_plain_days_needs_no_legend() -> None:
    assert "chart-keys" not in daily_bars(day_bars([1000, 2000]), chart_id="d", language="en")


def test_dates_name_a_month_once_and_thin_out_when_narrow() -> None:
    ticks = [e for e in with_class(daily_bars(MIXED, chart_id="d", language="hi"), "chart-tick") if e.get("x") != "-6"]
    everywhere = [e.text for e in ticks if not {"chart-mid", "chart-minor"} & set(e.get("class", "").split())]
    usual = [e.text for e in ticks if "chart-minor" not in e.get("class", "").split()]
    assert everywhere == ["22 मई", "6 जून", "20"]
    assert usual == ["22 मई", "29", "6 जून", "13", "20"]
    assert len(ticks) > 20


@given(uses)
def test_an_axis_starts_at_0_and_just_holds_the_highest(highest: int) -> None:
    ticks = axis(highest)
    steps = {b - a for a, b in pairwise(ticks)}
    assert ticks[0] == 0 and len(ticks) in (3, 4) and len(steps) == 1
    assert highest <= ticks[-1] and (highest < 20 or ticks[-1] <= highest * 3 // 2)
    assert len(str(steps.pop()).rstrip("0")) <= 2


def test_numbers_on_charts_are_short() -> None:
    assert [units_text(wh) for wh in (0, 49, 50, 22_437, 99_949, 99_950, 612_500, 112_480_000, -2_040)] == [
        "0", "0", "0.1", "22.4", "99.9", "100", "613", "1,12,480", "-2",
    ]  # fmt: skip


def test_what_is_used_at_all_shows() -> None:
    assert pixels(1, 10**9, 150) == 1 and pixels(0, 10, 150) == 0 and pixels(-5, 10, 150) == 0
    assert [share_text(*pair) for pair in ((0, 9), (1, 9000), (1, 3), (9, 9), (10, 9), (0, 0))] == [
        "0", "1", "33.3", "100", "100", "0",
    ]  # fmt: skip


def test_a_sparkline_has_a_bar_for_every_day_the_newest_at_the_right() -> None:
    markup = sparkline([1000, None, 0, -500, 4000], chart_id="s", language="en", label="31 0472 8856")
    paths = {e.get("class"): e.get("d", "") for e in parsed(markup).iter(f"{SVG}path")}
    assert paths == {
        "chart-hole": "M78 24v-24h2v24z",
        "chart-now": "M75 24v-6h2v6zM81 24v-1h2v1z",
        "chart-minus": "M84 24v-3h2v3z",
        "chart-best": "M87 24v-24h2v24z",
    }
    assert "5 days, at most 4 units a day. The reading of 1 day did not come in." in markup


def test_slabs_say_range_rate_and_use_and_fill_to_their_share() -> None:
    markup = slab_fill(SLABS, chart_id="s", language="en")
    assert [e.get("width") for e in with_class(markup, "chart-fill")] == ["100%", "20%", "0%"]
    assert len(with_class(markup, "chart-track")) == 3 and len(with_class(markup, "chart-open")) == 1
    text = "".join(parsed(markup).itertext())
    for part in ("0–150 units", "150–300 units", "above 300", "₹5.50/unit", "₹6.00/unit", "30 units"):
        assert part in text


def test_nothing_yet_is_said() -> None:
    for language, words in (("hi", "अभी दिखाने के लिए कोई"), ("en", "There is nothing to show yet")):
        empty = every_chart(language)  # type: ignore[arg-type]
        for name in ("no-days", "no-months", "no-spark", "no-slabs", "holes"):
            assert words in empty[name]


def test_the_tables_are_exact_where_the_charts_are_short() -> None:
    header, rows = daily_table(MIXED, language="hi")
    assert header == ("दिन", "यूनिट", "पिछले साल", "कैसे पता चला") and len(rows) == 30
    assert rows[20] == ("11 जून 2026", "31.25", "19.4", "मीटर से")
    assert rows[12][1] == "–" and rows[12][3] == "रीडिंग नहीं आई" and rows[8][3] == "अनुमानित"
    assert rows[13][1] == "0" and rows[14][1] == "-2"
    header, rows = month_table(YEAR, language="en")
    assert header == ("Month", "Units", "How known") and rows[0] == ("July 2025", "612.337", "Whole month")
    assert rows[-1] == ("June 2026", "358", "Month not over yet")


def test_the_rows_of_a_table_are_escaped_and_each_has_a_heading() -> None:
    table = ET.fromstring(f"<table>{table_rows(daily_table(MIXED, language='hi'))}</table>")
    header, rows = daily_table(MIXED, language="hi")
    assert [cell.text for cell in table.findall("thead/tr/th[@scope='col']")] == list(header)
    assert [tuple(cell.text for cell in row) for row in table.findall("tbody/tr")] == list(rows)
    assert len(table.findall("tbody/tr/th[@scope='row']")) == len(rows)
    assert [cell.get("data-is") for cell in table.findall("tbody/tr/td")] == list(header[1:]) * len(rows)
    assert "<script" not in table_rows(((HOSTILE, HOSTILE), [(HOSTILE, HOSTILE)]))


def test_the_sentence_says_yesterday_the_average_and_last_year() -> None:
    days = day_bars([18_600] * 29 + [19_900], last_year_wh=20_000)
    assert daily_sentence(days, "hi", today=dt.date(2026, 6, 21)) == (
        "कल 19.9 यूनिट बिजली खर्च हुई। रोज़ का औसत 18.6 यूनिट है, पिछले साल के इन्हीं दिनों से 7% कम।"
    )
    assert daily_sentence(days, "en") == (
        "On 20 June you used 19.9 units. The daily average is 18.6 units, 7% less than on the same days last year."
    )
    assert "20 जून को" in daily_sentence(days, "hi", today=dt.date(2026, 6, 22))


def test_last_year_is_compared_only_over_enough_days_known_in_both() -> None:
    days = day_bars([20_000] * 20, last_year_wh=10_000)
    assert "100% more than on the same days last year" in daily_sentence(days, "en")
    assert "last year" not in daily_sentence([replace(days[0], wh=None), *days[1:]], "en")
    assert "last year" not in daily_sentence([replace(d, last_year_wh=0) for d in days], "en")
    extra = DayBar(dt.date(2026, 7, 1), 99_000, "measured", None)
    assert "100% more" in daily_sentence([*days, extra], "en")
    same = daily_sentence([replace(d, last_year_wh=20_000) for d in days], "en")
    assert same.endswith("the same as on these days last year.")


def test_the_sentence_owns_up_to_estimates_and_holes() -> None:
    days = [*day_bars([20_000, None]), DayBar(FIRST + dt.timedelta(2), 10_000, "estimated", None), *day_bars([None])]
    assert daily_sentence(days, "en") == (
        "On 24 May you used 10 units (estimated). The daily average is 15 units. "
        "The readings of 2 days did not come in."
    )
    assert "1 दिन की रीडिंग नहीं आई।" in daily_sentence(days[:3], "hi")
    assert (
        daily_sentence(day_bars([None, None]), "hi") == daily_sentence([], "hi") == ("अभी दिखाने के लिए कोई रीडिंग नहीं है।")
    )


def test_the_style_sheet_knows_every_class_and_old_browsers() -> None:
    css = (Path(charts.__file__).parent / "static/khata/charts.css").read_text()
    used = {c for _, _, markup in CASES for e in parsed(markup).iter() for c in e.get("class", "").split()}
    only_names = {
        f"chart-{name}" for name in ("days", "months", "slabs", "curve", "heat", "trend")
    }  # for a page that wants to treat one kind differently
    assert {c for c in used - only_names if not re.search(rf"\.{re.escape(c)}(?![\w-])", css)} == set()
    assert "@layer" not in css and "!important" not in css and not re.search(r"#[0-9a-fA-F]{3}", css)
    assert min(int(size) for size in re.findall(r"font-size: (\d+)px", css)) >= 11
