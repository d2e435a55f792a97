"""What all charts are drawn with: the frame, the slots, the bars, the axes. SVG text without style or colour.

Positions across are percentages and positions down are pixels, so that a chart stretches while its text keeps its
size; colours, textures and what a narrow screen leaves out are in static/khata/charts.css.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from html import escape

from khata.display.chart_words import nearest, word
from khata.display.labels import Language
from khata.display.money import scaled

CROWDED = 10  # bars too narrow to hold the text above or below them
FEWEST_SLOTS = 6  # one lone bar keeps the shape of a bar
STUB = 2  # a zero, drawn to be told from a hole
# Steps of an axis, in tenths of a power of ten.
_STEPS = (10, 15, 20, 25, 30, 40, 50, 60, 80, 100)

_CHART_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def pixels(value: int, top: int, height: int) -> int:
    """The height of a bar, to the nearest pixel; what is used at all shows, and 0 or less has none."""
    return max(nearest(value * height, top), 1) if value > 0 else 0


def axis(highest: int) -> list[int]:
    """Round values (Wh, W, paise) from 0 to what holds the highest: 0 and two or three more, as low as they go."""
    power = 1
    while power * 20 < highest:
        power *= 10
    steps = [m * p // 10 for p in (power // 10, power) for m in _STEPS if p and m * p % 10 == 0]
    least = [(step * count, count, step) for step in steps for count in (2, 3) if step * count >= highest]
    _, count, step = min(least) if highest > 0 else (2000, 2, 1000)
    return [step * i for i in range(count + 1)]


def grid(ticks: Sequence[int], top: int, *, base: int, height: int, said: Callable[[int], str]) -> str:
    """The lines of the axis from `base` up, each with its number left of the drawing's own 0."""
    lines = []
    for tick in ticks:
        y = base - tick * height // top
        css = "grid" if tick else "base"
        lines.append(f'<line class="chart-{css}" x2="100%" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="chart-tick chart-end" x="-6" y="{y + 4}">{said(tick)}</text>')
    return "".join(lines)


def slot(i: int, slots: int, height: int, title: str, drawn: Iterable[str]) -> str:
    """The place of bar i: a drawing of its own, so that all inside is the same for every bar and compresses well."""
    return (
        f'<svg class="chart-slot" x="{percent(i, slots)}" width="{percent(1, slots)}"><title>{escape(title)}</title>'
        f'<rect class="chart-hit" width="100%" height="{height}"/>{"".join(drawn)}</svg>'
    )


def bar(look: str, x: str, width: str, base: int, height: int) -> str:
    return f'<rect class="chart-{look}" x="{x}%" y="{base - height}" width="{width}%" height="{height}" rx="2"/>'


def filled(pattern_id: str, x: str, width: str, y: int, height: int) -> str:
    return f'<rect fill="url(#{pattern_id})" x="{x}%" y="{y}" width="{width}%" height="{height}"/>'


def text(look: str, y: int, said: str, *, x: str = "50%") -> str:
    return f'<text class="{look}" x="{x}" y="{y}">{escape(said)}</text>'


def leaning(look: str) -> str:
    """A text that leans inwards starts or ends with its place; any other stands in the middle of it."""
    return "0" if "chart-start" in look else "100%" if "chart-end" in look else "50%"


def top_number(said: str, i: int, count: int, slots: int, y: int) -> str:
    """The number of the highest day, which at either end of a crowded chart leans inwards."""
    if count < CROWDED or 2 <= i < count - 2:
        return text("chart-top", y, said, x=percent(2 * i + 1, 2 * slots))
    if i < 2:
        return text("chart-top chart-start", y, said, x=percent(i, slots))
    return text("chart-top chart-end", y, said, x=percent(i + 1, slots))


def figure(css: str, drawing: str, keys: Iterable[tuple[str, str]]) -> str:
    """The drawing and below it its keys: class and words of each."""
    items = "".join(f'<li class="chart-key-{css}">{escape(said)}</li>' for css, said in keys)
    legend = f'<ul class="chart-keys">{items}</ul>' if items else ""
    return f'<figure class="chart {css}">{drawing}{legend}</figure>'


def drawing(css: str, height: int, chart_id: str, title: str, desc: str, parts: Iterable[str]) -> str:
    title_id, desc_id = f"{chart_id}-title", f"{chart_id}-desc"
    return (
        f'<svg class="{css}" width="100%" height="{height}" role="img" aria-labelledby="{title_id} {desc_id}">'
        f'<title id="{title_id}">{escape(title)}</title><desc id="{desc_id}">{escape(desc)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def stretched(width: int, height: int, pixels: int, y: int, paths: Iterable[tuple[str, str]]) -> str:
    """Paths (class, d) on a grid of `width` by `height` units that fills the chart across and `pixels` down."""
    drawn = "".join(f'<path class="chart-{look}" d="{d}"/>' for look, d in paths if d)
    box = f'viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    return f'<svg {box} y="{y}" width="100%" height="{pixels}">{drawn}</svg>'


def pattern(chart_id: str, name: str) -> str:
    return (
        f'<defs><pattern id="{chart_id}-{name}" class="chart-{name}" width="6" height="6" '
        'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M1.5 0V6"/></pattern></defs>'
    )


def nothing(name: str, language: Language) -> str:
    return f'<figure class="chart"><p class="chart-nothing">{escape(word(name, language))}</p></figure>'


def end_of_row(i: int, last: int) -> str:
    if last + 1 < CROWDED:
        return ""
    return " chart-start" if i == 0 else " chart-end" if i == last else ""


@lru_cache(maxsize=1024)  # the same few hundred places in every chart
def percent(i: int, slots: int) -> str:
    return f"{scaled(i * 10_000 // slots, places=2, least=0)}%"


def check(chart_id: str, count: int, most: int) -> None:
    """ValueError for more bars than fit, or what cannot be an id."""
    if not _CHART_ID.fullmatch(chart_id):
        raise ValueError(f"chart_id {chart_id!r} cannot be an id; start with a letter, then letters, digits, - or _")
    if count > most:
        raise ValueError(f"{count} bars are too many for chart {chart_id}; pass at most {most}")
