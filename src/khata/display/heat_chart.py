"""A month of half-hours as a heat map, as SVG text.

Each class of load is one path that holds everything at least so high, painted over the one before it: neighbours are
mostly of neighbouring classes, so this takes half the runs that separate classes would.
"""

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby, pairwise

from khata.display import chart_frame as frame
from khata.display.chart_words import hours_text, units
from khata.display.chart_words import word as word_in_days
from khata.display.curve_chart import clock_ticks
from khata.display.curve_words import (
    BLOCKS,
    LoadDay,
    clock_range,
    count,
    heat_sentence,
    kw_text,
    load_w,
    peak,
    state,
    used_wh,
    word,
)
from khata.display.dates import axis_day, day_month, period
from khata.display.labels import Language
from khata.display.money import kw

MOST_DAYS = 31
ROW = 12
CLASSES = 6
MISSING, CUT = -1, -2
_STEPS = (10, 15, 20, 25, 30, 40, 50, 60, 80)  # in tenths of a power of ten of W
_LADDERS = ((1, 2, 4, 8, 16), (1, 2, 4, 6, 8), (1, 2, 3, 4, 5))  # homes that mostly idle, and those that hardly do


def heat_map(days: Sequence[LoadDay], *, chart_id: str, language: Language) -> str:
    """Up to 31 days in a row, one below the other, midnight to midnight. Returns markup.

    ValueError for more days, or a `chart_id` that cannot be an id.
    """
    frame.check(chart_id, len(days), MOST_DAYS)
    if all(state(d, i) == "missing" for d in days for i in range(BLOCKS)):
        return frame.nothing("nothing", language)
    bounds = class_bounds([load for d in days for i in range(BLOCKS) if (load := load_w(d, i)) is not None])
    gaps = any(count(d, "missing") for d in days)
    height = len(days) * ROW
    parts = []
    if gaps:
        parts = [frame.pattern(chart_id, "hole"), frame.filled(f"{chart_id}-hole", "0", "100", 0, height)]
    parts.append(_cells(days, bounds))
    parts += _day_names(days, language)
    parts += clock_ticks(height - 3, language)
    parts += [_row(i, day_words(day, language)) for i, day in enumerate(days)]
    title = f"{word('heat', language)}, {period(days[0].day, days[-1].day + dt.timedelta(days=1), language)}"
    svg = frame.drawing(
        "chart-plot chart-axis-days", height + 20, chart_id, title, heat_sentence(days, language), parts
    )
    keys = [*_class_keys(bounds, language)]
    keys += [("heat-off", word("off", language))] if any(d.off for d in days) else []
    keys += [("hole", word("missing", language))] if gaps else []
    return frame.figure("chart-heat", svg, keys)


def class_bounds(loads_w: Sequence[int]) -> list[int]:
    """The lower ends in W of all classes but the first, in round steps: those that fill the classes most evenly."""
    ordered = sorted(loads_w)
    highest = ordered[-1] if ordered else 0
    powers = [10**i for i in range(len(str(highest)))]
    steps = [step * power // 10 for power in powers for step in _STEPS if step * power % 10 == 0]
    fitting = [
        [step * times for times in ladder]
        for ladder in _LADDERS
        for step in steps
        if 2 * highest <= 5 * step * ladder[-1] <= 4 * highest
    ]
    return min(fitting, key=lambda bounds: _unevenness(ordered, bounds), default=list(_LADDERS[0]))


def _unevenness(ordered: Sequence[int], bounds: Sequence[int]) -> int:
    ends = [0, *(bisect_left(ordered, bound) for bound in bounds), len(ordered)]
    return sum((end - start) ** 2 for start, end in pairwise(ends))


def class_of(load: int, bounds: Sequence[int]) -> int:
    return sum(load >= bound for bound in bounds)


def day_words(day: LoadDay, language: Language) -> str:
    """`6 जून: 22.4 यूनिट; 2.6 kW, रात 11–11:30`, and what there is to say about it."""
    said = [word("missing", language)] if count(day, "missing") == BLOCKS else [units(used_wh(day), language)]
    top = peak(day)
    if top is not None:
        said.append(f"{kw_text(load_w(day, top) or 0)} kW, {clock_range(top, top + 1, language)}")
    off = count(day, "off")
    said += [word_in_days("off_title", language, hours=hours_text(off))] if off else []
    return f"{day_month(day.day, language)}: {'; '.join(said)}"


def _cells(days: Sequence[LoadDay], bounds: Sequence[int]) -> str:
    """The paths on a grid of 48 by the days, in which the stroke of a line is a row high."""
    cells = [[_class(day, i, bounds) for i in range(BLOCKS)] for day in days]
    paths = [(str(layer), _runs(cells, set(range(layer, CLASSES)))) for layer in range(CLASSES)]
    cuts = _runs(cells, {CUT})
    paths += [("cut", cuts), ("off", cuts)]
    drawn = "".join(f'<path class="chart-cells chart-heat-{look}" d="{d}"/>' for look, d in paths if d)
    box = f'viewBox="0 -.5 {BLOCKS} {len(days)}" preserveAspectRatio="none"'
    return f'<svg {box} width="100%" height="{len(days) * ROW}">{drawn}</svg>'


def _class(day: LoadDay, i: int, bounds: Sequence[int]) -> int:
    load = load_w(day, i)
    return (CUT if state(day, i) == "off" else MISSING) if load is None else class_of(load, bounds)


def _runs(cells: Sequence[Sequence[int]], held: set[int]) -> str:
    """One stroke for half-hours in a row whose class is among those `held`, each from the end of the one before."""
    drawn = []
    pen_x, pen_y = 0, 0
    for y, row in enumerate(cells):
        x = 0
        for inside, run in groupby(value in held for value in row):
            length = len(list(run))
            if inside:
                drawn.append(f"m{x - pen_x} {y - pen_y}h{length}")
                pen_x, pen_y = x + length, y
            x += length
    return "".join(drawn)


def _day_names(days: Sequence[LoadDay], language: Language) -> Iterator[str]:
    """Every fifth day, and by its month the first of all and of a month."""
    named = -2
    for row, each in enumerate(days):
        month = row == 0 or each.day.day == 1
        if month or (each.day.day % 5 == 0 and row - named > 1):
            named = row
            said = axis_day(each.day, language) if month else str(each.day.day)
            yield frame.text("chart-tick chart-end", row * ROW + 10, said, x="-6")


def _row(row: int, title: str) -> str:
    return (
        f'<svg class="chart-slot" y="{row * ROW}" height="{ROW}"><title>{escape(title)}</title>'
        f'<rect class="chart-hit" width="100%" height="{ROW}"/></svg>'
    )


def _class_keys(bounds: Sequence[int], language: Language) -> Iterator[tuple[str, str]]:
    yield "heat-0", word("below", language, kw=kw(bounds[0]))
    for i, (low, high) in enumerate(pairwise(bounds), start=1):
        yield f"heat-{i}", word("between", language, low=kw(low), high=kw(high))
    yield f"heat-{len(bounds)}", word("above", language, kw=kw(bounds[-1]))
