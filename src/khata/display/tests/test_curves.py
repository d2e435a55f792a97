"""A day's load and a month's heat map: true to the half-hours, holes where there was no supply."""

import datetime as dt
import gzip
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.display.curve_chart import HEIGHT, TOP, load_curve
from khata.display.curve_words import (
    BLOCKS,
    Band,
    LoadDay,
    clock,
    clock_between,
    clock_range,
    heat_sentence,
    kw_text,
    load_day,
    load_sentence,
    load_table,
    load_w,
    state,
)
from khata.display.heat_chart import CLASSES, ROW, class_bounds, class_of, heat_map
from khata.display.labels import LANGUAGES
from khata.display.tests.samples import BANDS, DAY, FIRST, WEEK_BEFORE, month
from khata.display.tests.test_charts import parsed, with_class

energies = st.none() | st.integers(min_value=0, max_value=10**7)
positions = st.frozensets(st.integers(0, BLOCKS - 1), max_size=12)
load_days = st.builds(
    LoadDay, st.just(FIRST), st.lists(energies, min_size=BLOCKS, max_size=BLOCKS), estimated=positions, off=positions
)


def half_hours(drawn: list[ET.Element]) -> set[int]:
    """Which half-hours rectangles in percent stand over."""
    found: set[int] = set()
    for rectangle in drawn:
        x, width = (float(rectangle.get(name, "").rstrip("%")) * BLOCKS / 100 for name in ("x", "width"))
        found |= set(range(round(x), round(x + width)))
    return found


def line_heights(markup: str, *names: str) -> dict[int, int]:
    """Half-hour -> how high above the base the line stands in it, in pixels."""
    found = {}
    for path in (e for name in names for e in with_class(markup, name)):
        for start, steps in re.findall(r"M(\d+) \d+((?:V\d+h1)+)", path.get("d", "")):
            for i, y in enumerate(re.findall(r"V(\d+)h1", steps)):
                found[int(start) + i] = HEIGHT - int(y)
    return found


def test_what_was_substituted_is_not_called_estimated() -> None:
    of = {"blocks_wh": [100] * BLOCKS, "off": None}
    whole = load_day(FIRST, estimated=True, substituted=True, origins=None, **of)  # type: ignore[arg-type]
    mixed = load_day(FIRST, estimated=False, origins="S" * 20 + "E" * 3 + "A" * 25, **of)  # type: ignore[arg-type]
    for day, said in ((whole, None), (mixed, "3 half-hours are estimated.")):
        sentence = load_sentence(day, "en")
        assert ("half-hours are estimated" in sentence) is (said is not None) and (said or "") in sentence
        assert "kW (substituted), between midnight" in sentence, "the highest load"
        assert load_table(day, language="en")[1][0][3] == "Substituted"
        assert state(day, 0) == "estimated", "and drawn dashed all the same"
        assert with_class(load_curve(day, language="en", chart_id="c"), "chart-line-estimated")[0].get("d")
    assert "estimated" not in load_curve(whole, language="en", chart_id="c").replace("-estimated", "")


@settings(max_examples=30)
@given(load_days, st.sampled_from([None, 500, 4000, 10**6]), st.booleans())
def test_a_curve_stands_where_a_load_is_known_and_only_there(
    day: LoadDay, sanctioned_w: int | None, banded: bool
) -> None:
    markup = load_curve(
        day, chart_id="c", language="hi", sanctioned_w=sanctioned_w, bands=BANDS if banded else (), compared=WEEK_BEFORE
    )
    parsed(markup)
    states = {name: {i for i in range(BLOCKS) if state(day, i) == name} for name in ("measured", "estimated", "off")}
    if "<svg" not in markup:
        assert not any(states.values())
        return
    heights = line_heights(markup, "chart-line", "chart-line-estimated")
    assert set(line_heights(markup, "chart-line")) == states["measured"]
    assert set(line_heights(markup, "chart-line-estimated")) == states["estimated"]
    assert half_hours(with_class(markup, "chart-cut")) == half_hours(with_class(markup, "chart-off")) == states["off"]
    assert half_hours([e for e in parsed(markup).iter() if e.get("fill") == "url(#c-hole)"]) == set(
        range(BLOCKS)
    ) - set().union(*states.values())
    assert all(0 <= height <= HEIGHT for height in heights.values())
    for i, height in heights.items():
        assert (height > 0) == ((load_w(day, i) or 0) > 0)


def test_steps_are_to_scale_and_the_peak_carries_its_time() -> None:
    blocks: list[int | None] = [500] * BLOCKS
    blocks[20], blocks[30] = 1000, 250
    day = LoadDay(FIRST, blocks)
    markup = load_curve(day, chart_id="c", language="en", sanctioned_w=2000)
    heights = line_heights(markup, "chart-line")
    assert (heights[20], heights[0], heights[30]) == (150, 75, 38)
    (top,) = with_class(markup, "chart-top")
    assert "".join(top.itertext()) == "2 kW · 10–10:30 am"
    (dot,) = with_class(markup, "chart-dot")
    assert (dot.get("cx"), dot.get("cy")) == ("42.7%", str(TOP))


def test_a_sanctioned_load_is_a_named_line_and_one_far_above_is_only_said() -> None:
    near = load_curve(DAY, chart_id="c", language="hi", sanctioned_w=4000)
    (line,) = with_class(near, "chart-limit")
    assert line.get("y1") == str(TOP) and "स्वीकृत भार 4 kW" in near and "↑" not in near
    far = load_curve(DAY, chart_id="c", language="hi", sanctioned_w=25_000)
    assert not with_class(far, "chart-limit") and "↑ स्वीकृत भार 25 kW" in far
    none = load_curve(DAY, chart_id="c", language="hi")
    assert not with_class(none, "chart-limit-name")


def test_times_of_day_are_tinted_and_named_with_their_price_and_hours() -> None:
    markup = load_curve(DAY, chart_id="c", language="en", bands=BANDS)
    assert half_hours(with_class(markup, "chart-cheap")) == set(range(10, 20))
    assert half_hours(with_class(markup, "chart-dear")) == set(range(36, 46))
    keys = [e.text for e in parsed(markup).iter("li")]
    assert keys == [
        "Solar hours · cheaper: 5–10 am", "Peak · dearer: 6–11 pm", "Estimated", "Power cut", "No reading",
    ]  # fmt: skip
    names = {e.text for e in with_class(markup, "chart-tick")}
    assert {"Usual", "cheaper", "Peak · dearer"} <= names


def test_a_band_too_narrow_for_any_word_still_has_its_key() -> None:
    markup = load_curve(DAY, chart_id="c", language="en", bands=[Band(10, 11, "Early morning hours", "dear")])
    assert not with_class(markup, "chart-name-dear") and "Early morning hours · dearer: 5–5:30 am" in markup


def test_another_day_stands_pale_behind_and_both_are_named() -> None:
    markup = load_curve(DAY, chart_id="c", language="en", compared=WEEK_BEFORE)
    (behind,) = with_class(markup, "chart-last")
    assert behind.get("d", "").count("h1") == BLOCKS
    assert [e.text for e in parsed(markup).iter("li")][:2] == ["22 May", "15 May"]


def test_each_half_hour_says_what_it_is() -> None:
    titles = [e[0].text for e in with_class(load_curve(DAY, chart_id="c", language="hi"), "chart-slot")]
    assert len(titles) == BLOCKS and titles[46] == "रात 11–11:30: 2.6 kW, 1.3 यूनिट"
    assert titles[14] == "सुबह 7–7:30: बिजली कटी" and titles[20] == "सुबह 10–10:30: रीडिंग नहीं आई"
    assert str(titles[8]).endswith("(अनुमानित)")


def test_the_sentence_of_a_day() -> None:
    whole = LoadDay(FIRST, [*[400] * 46, 1300, 200])
    assert load_sentence(whole, "hi", today=FIRST + dt.timedelta(1), sanctioned_w=4000) == (
        "कल 19.9 यूनिट बिजली खर्च हुई। सबसे ज़्यादा लोड 2.6 kW रहा, रात 11 से 11:30 बजे; स्वीकृत भार 4 kW के भीतर।"
    )
    assert load_sentence(whole, "en", sanctioned_w=2000) == (
        "On 22 May you used 19.9 units. The highest load was 2.6 kW, between 11 and 11:30 pm; "
        "above the sanctioned load of 2 kW."
    )
    said = load_sentence(DAY, "en")
    assert "in the half-hours that came in" in said and said.endswith(
        "There was no power for 2 hours. Half-hour readings of 1.5 hours did not come in. 4 half-hours are estimated."
    )
    one = load_sentence(replace(whole, blocks_wh=[None, *[1] * 47], estimated=frozenset([1])), "hi")
    assert one.endswith("1 आधे घंटे की रीडिंग नहीं आई। 1 आधा घंटा अनुमानित है।")
    nothing = LoadDay(FIRST, [None] * BLOCKS)
    assert "nothing to show" in load_sentence(nothing, "en") and "<svg" not in load_curve(
        nothing, chart_id="c", language="en"
    )
    dark = LoadDay(FIRST, [None] * BLOCKS, off=frozenset(range(BLOCKS)))
    assert load_sentence(dark, "en") == "On 22 May you used 0 units. There was no power for 24 hours."


def test_the_table_of_a_day_is_exact() -> None:
    header, rows = load_table(DAY, language="en", bands=BANDS, compared=WEEK_BEFORE)
    assert header == ("Time", "Average kW", "Units", "How known", "Rate", "Average kW, 15 May") and len(rows) == BLOCKS
    assert rows[46] == ("11–11:30 pm", "2.6", "1.3", "Measured", "–", rows[46][5])
    assert rows[14][1:5] == ("–", "0", "Power cut", "Solar hours · cheaper")
    assert rows[20][1:4] == ("–", "–", "No reading") and rows[8][3] == "Estimated"
    assert len(load_table(DAY, language="hi")[0]) == 4


def test_what_the_database_gives_becomes_a_day() -> None:
    letters = "A" * 40 + "EESSDD--"
    day = load_day(FIRST, blocks_wh=[1] * 46 + [None, None], estimated=False, origins=letters, off=0b101)
    assert day.estimated == {40, 41, 42, 43} and day.off == {0, 2}
    assert load_day(FIRST, blocks_wh=[1] * 48, estimated=True, origins=None, off=None).estimated == set(range(48))
    unknown = load_day(FIRST, blocks_wh=None, estimated=False, origins=None, off=None)
    assert list(unknown.blocks_wh) == [None] * 48 and not unknown.estimated
    with pytest.raises(ValueError, match="2026-05-22 has 47"):
        LoadDay(FIRST, [1] * 47)


def test_times_are_said_as_people_say_them() -> None:
    assert [clock(half, "hi") for half in (0, 7, 8, 24, 32, 47, 48)] == [
        "रात 12", "रात 3:30", "सुबह 4", "दोपहर 12", "शाम 4", "रात 11:30", "रात 12",
    ]  # fmt: skip
    assert [clock(half, "en") for half in (0, 3, 24, 25, 48)] == ["midnight", "1:30 am", "noon", "12:30 pm", "midnight"]
    assert clock_range(23, 24, "en") == "11:30 am–noon" and clock_range(7, 8, "hi") == "रात 3:30–सुबह 4"
    assert clock_between(0, 6, "en") == "between midnight and 3 am" and clock_between(40, 46, "hi") == "रात 8 से 11"
    assert [kw_text(w) for w in (0, 4, 5, 588, 994, 995, 2612)] == ["0", "0", "0.01", "0.59", "0.99", "1", "2.6"]


# The heat map


def cells(markup: str) -> dict[tuple[int, int], str]:
    """(row, half-hour) -> the look painted last."""
    found: dict[tuple[int, int], str] = {}
    for path in with_class(markup, "chart-cells"):
        look = path.get("class", "").rpartition("-")[2]
        x = y = 0
        for dx, dy, length in re.findall(r"m(-?\d+) (-?\d+)h(\d+)", path.get("d", "")):
            x, y = x + int(dx), y + int(dy)
            found |= {(y, x + i): look for i in range(int(length))}
            x += int(length)
    return found


@settings(max_examples=25)
@given(st.lists(load_days, min_size=1, max_size=3))
def test_every_half_hour_of_a_heat_map_has_its_class(days: list[LoadDay]) -> None:
    markup = heat_map(days, chart_id="h", language="hi")
    loads = [load for d in days for i in range(BLOCKS) if (load := load_w(d, i)) is not None]
    bounds = class_bounds(loads)
    expected = {}
    for row, day in enumerate(days):
        for i in range(BLOCKS):
            load = load_w(day, i)
            if load is not None:
                expected[row, i] = str(class_of(load, bounds))
            elif state(day, i) == "off":
                expected[row, i] = "off"
    assert cells(markup) == expected
    hatched = sum(e.get("fill") == "url(#h-hole)" for e in parsed(markup).iter())
    assert hatched == int(len(expected) < BLOCKS * len(days) and bool(expected))


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=60))
def test_classes_rise_in_round_steps_up_to_near_the_highest(loads: list[int]) -> None:
    bounds = class_bounds(loads)
    assert len(bounds) == CLASSES - 1 and bounds == sorted(set(bounds))
    if max(loads) >= 40:
        assert 2 * max(loads) <= 5 * bounds[-1] <= 4 * max(loads)
        assert len(str(bounds[0]).rstrip("0")) <= 2


def test_a_month_is_small_on_the_wire() -> None:
    for language in LANGUAGES:
        markup = heat_map(month(), chart_id="heat", language=language)
        assert len(gzip.compress(markup.encode())) <= 2560


def test_a_month_names_its_days_and_says_each() -> None:
    markup = heat_map(month(), chart_id="h", language="hi")
    names = [e.text for e in with_class(markup, "chart-tick", "chart-end") if e.get("x") == "-6"]
    assert names == ["22 मई", "25", "30", "1 जून", "5", "10", "15", "20"]
    rows = with_class(markup, "chart-slot")
    assert [row.get("y") for row in rows] == [str(i * ROW) for i in range(31)]
    assert rows[20][0].text == "11 जून: रीडिंग नहीं आई"
    assert "2.5 घंटे बिजली नहीं थी" in str(rows[1][0].text)
    keys = [e.text for e in parsed(markup).iter("li")]
    assert len(keys) == CLASSES + 2 and keys[-2:] == ["बिजली कटी", "रीडिंग नहीं आई"] and str(keys[0]).endswith("से कम")
    assert "chart-keys" in heat_map(month(3), chart_id="h", language="en")


def test_the_sentence_of_a_month() -> None:
    days = [LoadDay(FIRST + dt.timedelta(d), [100] * 42 + [600] * 6) for d in range(2)]
    assert heat_sentence(days, "en") == "Most was used between 9 pm and midnight: 46% of all."
    assert heat_sentence([replace(d, off=frozenset([0])) for d in days], "hi") == (
        "सबसे ज़्यादा बिजली रात 9 से 12 बजे के बीच खर्च हुई: कुल का 46%। 1 घंटे बिजली नहीं थी।"
    )
    assert "nothing to show" in heat_sentence([], "en")


def test_a_month_without_half_hours_says_what_is_known_of_it() -> None:
    unknown, zero = LoadDay(FIRST, [None] * BLOCKS), LoadDay(FIRST, [0] * BLOCKS)
    assert "nothing to show yet" in heat_sentence([unknown], "en")
    assert heat_sentence([unknown], "en", totals=True).startswith("Of these days your meter told the totals only")
    assert heat_sentence([zero], "en") == "In the half-hours that came in nothing was used."
    assert heat_sentence([zero, unknown], "en").endswith(
        "nothing was used. Half-hour readings of 24 hours did not come in."
    )
    assert "48 घंटे बिजली नहीं थी" in heat_sentence([replace(unknown, off=frozenset(range(48)))] * 2, "hi")


def test_an_estimated_peak_is_called_so() -> None:
    day = LoadDay(FIRST, [100] * 40 + [900] + [100] * 7)
    assert "The highest load was 1.8 kW, between" in load_sentence(day, "en")
    assert "The highest load was 1.8 kW (estimated), between" in load_sentence(
        replace(day, estimated=frozenset([40])), "en"
    )


def test_no_more_than_a_month_fits() -> None:
    with pytest.raises(ValueError, match="32 bars are too many"):
        heat_map([DAY] * 32, chart_id="h", language="en")
    with pytest.raises(ValueError, match="cannot be an id"):
        load_curve(DAY, chart_id="1", language="en")
    assert "nothing to show" in heat_map([], chart_id="h", language="en")
