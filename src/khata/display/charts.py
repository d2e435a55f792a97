"""Charts of use as SVG text: one markup for every width, without script, inline style or colour.

Positions across are percentages and positions down are pixels, so that a chart stretches while its text keeps its
size; colours, textures and what a narrow screen leaves out are in static/khata/charts.css.
"""

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from html import escape

from khata.display.bill_text import SlabView
from khata.display.chart_words import (
    DayBar,
    MonthBar,
    Quality,
    Table,
    average_wh,
    daily_sentence,
    daily_table,
    day_bars,
    day_title,
    highest_sentence,
    holes_sentence,
    index_of_highest,
    kind,
    month_table,
    month_title,
    nearest,
    slab_range,
    slab_rate,
    units,
    units_text,
    word,
)
from khata.display.dates import axis_day, axis_month, month, period
from khata.display.labels import Language, heading
from khata.display.money import kwh, scaled

__all__ = [
    "DayBar",
    "MonthBar",
    "Quality",
    "average_wh",
    "daily_bars",
    "daily_sentence",
    "daily_table",
    "day_bars",
    "month_bars",
    "month_table",
    "slab_fill",
    "sparkline",
    "table_rows",
]

MOST_DAYS = 31
MOST_MONTHS = 13

DAY_TOP, DAY_HEIGHT = 20, 150
MONTH_TOP, MONTH_HEIGHT = 20, 120
SLAB_ROW = 44
SPARK_SLOTS, SPARK_SLOT, SPARK_BAR, SPARK_HEIGHT = 30, 3, 2, 24
FEWEST_SLOTS = 6  # one lone bar keeps the shape of a bar
CROWDED = 10  # bars too narrow to hold the text above or below them
STUB = 2  # a zero, drawn to be told from a hole
# Steps of an axis, in tenths of a power of ten.
_STEPS = (10, 15, 20, 25, 30, 40, 50, 60, 80)

_CHART_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def daily_bars(days: Sequence[DayBar], *, chart_id: str, language: Language) -> str:
    """Up to 31 days in a row: last year wide and pale behind this year, the highest with its number.

    Returns markup. ValueError for more days, or a `chart_id` that cannot be an id.
    """
    _check(chart_id, len(days), MOST_DAYS)
    if not days:
        return _nothing("nothing", language)
    known = [d.wh for d in days if d.wh is not None]
    ticks = axis(max([0, *known, *(d.last_year_wh or 0 for d in days)]))
    best = index_of_highest([d.wh for d in days])
    named = _day_ticks(days, language)
    slots = max(len(days), FEWEST_SLOTS)
    title = f"{word('days', language)}, {period(days[0].day, days[-1].day + dt.timedelta(days=1), language)}"
    parts = [_pattern(chart_id, "hole")] if len(known) < len(days) else []
    parts.append(_grid(ticks if known else ticks[:1], ticks[-1]))
    for i, bar in enumerate(days):
        parts.append(_day(bar, i, slots, ticks[-1], chart_id, best=i == best, tick=named[i], language=language))
    if best is not None:
        y = DAY_TOP + DAY_HEIGHT - pixels(days[best].wh or 0, ticks[-1], DAY_HEIGHT) - 5
        parts.append(_top_number(units_text(days[best].wh or 0), best, len(days), slots, y))
    sentence = f"{daily_sentence(days, language)} {highest_sentence(days, best, language)}".rstrip()
    axis_class = " chart-axis-wide" if known and len(units_text(ticks[-1])) > 3 else ""
    svg = _svg(f"chart-plot chart-axis{axis_class}", DAY_TOP + DAY_HEIGHT + 22, chart_id, title, sentence, parts)
    return _figure("chart-days", svg, _day_keys(days), language)


def month_bars(months: Sequence[MonthBar], *, chart_id: str, language: Language) -> str:
    """12 or 13 months in a row with their numbers, the last one bright, partial ones hatched, holes where no bill was.

    Returns markup. ValueError for more months, or a `chart_id` that cannot be an id.
    """
    _check(chart_id, len(months), MOST_MONTHS)
    known = [m.wh for m in months if m.wh is not None]
    if not known:
        return _nothing("nothing", language)
    top = max(1, *known)
    slots = max(len(months), FEWEST_SLOTS)
    longest = max(len(units_text(wh)) for wh in known)
    best = index_of_highest([m.wh for m in months])
    parts = [_pattern(chart_id, "partial")] if any(m.partial for m in months) else []
    parts += [_pattern(chart_id, "hole")] if len(known) < len(months) else []
    base = MONTH_TOP + MONTH_HEIGHT
    parts.append(f'<line class="chart-base" x2="100%" y1="{base}" y2="{base}"/>')
    for i, bar in enumerate(months):
        keep = i == len(months) - 1 or (i == best and i < len(months) - 3)
        parts.append(_month(bar, i, len(months), slots, top, chart_id, keep=keep, language=language))
    first, last = months[0].month, months[-1].month
    span = month(first, language) if first == last else f"{month(first, language)} – {month(last, language)}"
    peak = months[best or 0]
    said = word("highest", language, when=month(peak.month, language), units=units(peak.wh or 0, language))
    css = "chart-plot" + (" chart-dense" if longest > 3 else "") + (" chart-densest" if longest > 5 else "")
    svg = _svg(css, base + 38, chart_id, f"{word('months', language)}, {span}", said, parts)
    keys = [(f"partial-{'now' if months[-1].partial else 'old'}", "partial")] if any(m.partial for m in months) else []
    keys += [("hole", "no_bill")] if len(known) < len(months) else []
    return _figure("chart-months", svg, keys, language)


def table_rows(table: Table) -> str:
    """Head and body of the table behind a chart. Here, because a template takes as long over it as over the whole page.

    Returns markup.
    """
    header, rows = table
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in header)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(text)}</td>" for text in rest)}</tr>'
        for first, *rest in rows
    )
    return f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"


def sparkline(values_wh: Sequence[int | None], *, chart_id: str, language: Language, label: str) -> str:
    """Some 30 days as tiny bars for a row of a list, the highest marked; `label` says whose, None is a hole.

    The newest stands at the right end, so that the same days stand under each other in a list. Returns markup.
    ValueError for a `chart_id` that cannot be an id.
    """
    _check(chart_id, 0, 0)
    known = [wh for wh in values_wh if wh is not None]
    top = max([1, *known])
    best = index_of_highest(values_wh)
    slots = max(len(values_wh), SPARK_SLOTS)
    paths: dict[str, list[str]] = {"hole": [], "now": [], "minus": [], "best": []}
    for i, wh in enumerate(values_wh):
        look = _spark_look(wh, best=i == best)
        height = SPARK_HEIGHT if wh is None else max(pixels(wh, top, SPARK_HEIGHT), 3 if wh < 0 else 1)
        paths[look].append(
            f"M{(slots - len(values_wh) + i) * SPARK_SLOT} {SPARK_HEIGHT}v-{height}h{SPARK_BAR}v{height}z"
        )
    drawn = [f'<path class="chart-{look}" d="{"".join(d)}"/>' for look, d in paths.items() if d]
    box = f'viewBox="0 0 {slots * SPARK_SLOT - 1} {SPARK_HEIGHT}" preserveAspectRatio="none"'
    said = word("spark", language, days=str(len(values_wh)), units=units(max(known), language)) if known else ""
    said = said or word("nothing", language)
    holes = holes_sentence(len(values_wh) - len(known), language) if known else ""
    inner = f'<svg {box} width="100%" height="{SPARK_HEIGHT}">{"".join(drawn)}</svg>'
    return _svg("chart-spark", SPARK_HEIGHT, chart_id, label, f"{said} {holes}".rstrip(), [inner] if drawn else [])


def slab_fill(slabs: Sequence[SlabView], *, chart_id: str, language: Language) -> str:
    """How the slabs filled, one row each: range, rate, units used, and the share used as a bar.

    The last slab has no end; its bar shows its share of all units. Returns markup. ValueError for a `chart_id` that
    cannot be an id.
    """
    _check(chart_id, 0, 0)
    if not slabs:
        return _nothing("no_slabs", language)
    total = sum(slab.used_wh for slab in slabs)
    parts = []
    said = []
    for i, slab in enumerate(slabs):
        capacity = total if slab.up_to_wh is None else slab.up_to_wh - slab.from_wh
        said.append(f"{slab_range(slab, language)}: {units(slab.used_wh, language, exact=True)}, {slab_rate(slab)}.")
        parts.append(_slab(slab, i * SLAB_ROW, share_text(slab.used_wh, capacity), language))
    svg = _svg("chart-plot", len(slabs) * SLAB_ROW - 10, chart_id, heading("slabs", language), " ".join(said), parts)
    return _figure("chart-slabs", svg, [], language)


def pixels(value: int, top: int, height: int) -> int:
    """The height of a bar, to the nearest pixel; what is used at all shows, and 0 or less has none."""
    return max(nearest(value * height, top), 1) if value > 0 else 0


def axis(highest_wh: int) -> list[int]:
    """Round values in Wh from 0 to what holds the highest: 0 and two or three more, as low as they go."""
    power = 1
    while power * 20 < highest_wh:
        power *= 10
    steps = [m * p // 10 for p in (power // 10, power) for m in _STEPS if p and m * p % 10 == 0]
    least = [(step * count, count, step) for step in steps for count in (2, 3) if step * count >= highest_wh]
    _, count, step = min(least) if highest_wh > 0 else (2000, 2, 1000)
    return [step * i for i in range(count + 1)]


def share_text(used_wh: int, capacity_wh: int) -> str:
    """A share as a width in percent, `0` to `100`: what is used at all shows."""
    if used_wh <= 0 or capacity_wh <= 0:
        return "0"
    return scaled(min(1000, max(10, nearest(used_wh * 1000, capacity_wh))), places=1, least=0)


# One bar, one row


def _day(
    bar: DayBar, i: int, slots: int, top: int, chart_id: str, *, best: bool, tick: tuple[str, str], language: Language
) -> str:
    base = DAY_TOP + DAY_HEIGHT
    drawn = []
    if bar.last_year_wh is not None:
        drawn.append(_bar("last", "8", "84", base, pixels(bar.last_year_wh, top, DAY_HEIGHT)))
    if bar.wh is None:
        drawn.append(_filled(f"{chart_id}-hole", "0", "100", DAY_TOP, DAY_HEIGHT))
    else:
        drawn.append(
            _bar(
                _day_look(bar.wh, bar.quality, best=best), "22", "56", base, max(pixels(bar.wh, top, DAY_HEIGHT), STUB)
            )
        )
    look, text = tick
    if text:
        drawn.append(_text(f"chart-tick{look}", base + 17, text, x=_lean(look)))
    return _slot(i, slots, base, day_title(bar, language), drawn)


def _month(
    bar: MonthBar, i: int, count: int, slots: int, top: int, chart_id: str, *, keep: bool, language: Language
) -> str:
    base = MONTH_TOP + MONTH_HEIGHT
    last, crowded = i == count - 1, count >= CROWDED
    strong = " chart-strong" if last else ""
    if bar.wh is None:
        drawn = [_filled(f"{chart_id}-hole", "8", "84", MONTH_TOP, MONTH_HEIGHT)]
    else:
        height = max(pixels(bar.wh, top, MONTH_HEIGHT), STUB)
        look = "minus" if bar.wh < 0 else "now" if last else "month"
        drawn = [_bar(look, "8", "84", base, height)]
        if bar.partial:
            drawn.append(_filled(f"{chart_id}-partial", "8", "84", base - height, height))
        number = units_text(bar.wh)
        some = "" if keep or not crowded else " chart-some"
        lean = " chart-end" if last and crowded and len(number) > 4 else ""
        drawn.append(_text(f"chart-number{some}{lean}{strong}", base - height - 5, number, x=_lean(lean)))
    every_other = " chart-mid" if crowded and (count - 1 - i) % 2 else ""
    drawn.append(_text(f"chart-tick{every_other}{strong}", base + 17, axis_month(bar.month, language)))
    if i == 0 or bar.month.month == 1:
        drawn.append(_text("chart-tick", base + 33, str(bar.month.year)))
    return _slot(i, slots, base, month_title(bar, language), drawn)


def _slab(slab: SlabView, y: int, share: str, language: Language) -> str:
    track = " chart-open" if slab.up_to_wh is None else ""
    per_unit = f'<tspan class="chart-mid">{word("per_unit", language)}</tspan>'
    return (
        f'<text class="chart-label" y="{y + 14}">{escape(slab_range(slab, language))} '
        f'<tspan class="chart-quiet">· {slab_rate(slab)}{per_unit}</tspan></text>'
        f'<text class="chart-label chart-strong chart-end" x="100%" y="{y + 14}">'
        f"{escape(units(slab.used_wh, language, exact=True))}</text>"
        f'<rect class="chart-track{track}" y="{y + 22}" width="100%" height="10" rx="5"/>'
        f'<rect class="chart-fill" y="{y + 22}" width="{share}%" height="10" rx="5"/>'
    )


def _slot(i: int, slots: int, height: int, title: str, drawn: Iterable[str]) -> str:
    """The place of bar i: a drawing of its own, so that all inside is the same for every bar and compresses well."""
    return (
        f'<svg class="chart-slot" x="{_percent(i, slots)}" width="{_percent(1, slots)}"><title>{escape(title)}</title>'
        f'<rect class="chart-hit" width="100%" height="{height}"/>{"".join(drawn)}</svg>'
    )


def _bar(look: str, x: str, width: str, base: int, height: int) -> str:
    return f'<rect class="chart-{look}" x="{x}%" y="{base - height}" width="{width}%" height="{height}" rx="2"/>'


def _filled(pattern_id: str, x: str, width: str, y: int, height: int) -> str:
    return f'<rect fill="url(#{pattern_id})" x="{x}%" y="{y}" width="{width}%" height="{height}"/>'


def _text(look: str, y: int, text: str, *, x: str = "50%") -> str:
    return f'<text class="{look}" x="{x}" y="{y}">{escape(text)}</text>'


def _lean(look: str) -> str:
    """A text that leans inwards starts or ends with its place; any other stands in the middle of it."""
    return "0" if "chart-start" in look else "100%" if "chart-end" in look else "50%"


def _top_number(text: str, i: int, count: int, slots: int, y: int) -> str:
    """The number of the highest day, which at either end of a crowded chart leans inwards."""
    if count < CROWDED or 2 <= i < count - 2:
        return _text("chart-top", y, text, x=_percent(2 * i + 1, 2 * slots))
    if i < 2:
        return _text("chart-top chart-start", y, text, x=_percent(i, slots))
    return _text("chart-top chart-end", y, text, x=_percent(i + 1, slots))


# The frame


def _figure(css: str, svg: str, keys: Iterable[tuple[str, str]], language: Language) -> str:
    items = "".join(f'<li class="chart-key-{css}">{escape(word(w, language))}</li>' for css, w in keys)
    legend = f'<ul class="chart-keys">{items}</ul>' if items else ""
    return f'<figure class="chart {css}">{svg}{legend}</figure>'


def _svg(css: str, height: int, chart_id: str, title: str, desc: str, parts: Iterable[str]) -> str:
    title_id, desc_id = f"{chart_id}-title", f"{chart_id}-desc"
    return (
        f'<svg class="{css}" width="100%" height="{height}" role="img" aria-labelledby="{title_id} {desc_id}">'
        f'<title id="{title_id}">{escape(title)}</title><desc id="{desc_id}">{escape(desc)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _pattern(chart_id: str, name: str) -> str:
    return (
        f'<defs><pattern id="{chart_id}-{name}" class="chart-{name}" width="6" height="6" '
        'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M1.5 0V6"/></pattern></defs>'
    )


def _grid(ticks: Sequence[int], top: int) -> str:
    lines = []
    for tick in ticks:
        y = DAY_TOP + DAY_HEIGHT - tick * DAY_HEIGHT // top
        css = "grid" if tick else "base"
        lines.append(f'<line class="chart-{css}" x2="100%" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="chart-tick chart-end" x="-6" y="{y + 4}">{kwh(tick)}</text>')
    return "".join(lines)


def _nothing(name: str, language: Language) -> str:
    return f'<figure class="chart"><p class="chart-nothing">{escape(word(name, language))}</p></figure>'


def _day_ticks(days: Sequence[DayBar], language: Language) -> list[tuple[str, str]]:
    """For each day how its date looks, and the date: five (on the narrowest three) everywhere, the others where wide.

    A month is named where it first appears; beside such a long text the next days say nothing.
    """
    last = len(days) - 1
    count = 5 if last >= 20 else 3 if last >= 6 else 2
    majors = {nearest(last * rank, count - 1): rank for rank in range(count)}
    ticks = [(" chart-minor", str(bar.day.day)) for bar in days]
    silent: set[int] = set()
    named: dict[bool, tuple[int, int]] = {}  # the month last named, and the last one the narrowest screens saw named
    for i, bar in enumerate(days):
        always = i in majors and (count < 5 or majors[i] % 2 == 0)
        new = i in majors and named.get(always) != (bar.day.year, bar.day.month)
        if i in majors:
            lean = _end_of_row(i, last) if new else ""
            text = axis_day(bar.day, language) if new else str(bar.day.day)
            ticks[i] = (lean if always else f"{lean} chart-mid", text)
            named |= dict.fromkeys((False, always), (bar.day.year, bar.day.month))
        elif bar.day.day == 1 and not {i - 1, i + 1} & majors.keys():
            new, ticks[i] = True, (" chart-minor", axis_day(bar.day, language))
        silent |= {i - 1, i + 1} if new else set()
    return [("", "") if i in silent and i not in majors else tick for i, tick in enumerate(ticks)]


def _end_of_row(i: int, last: int) -> str:
    if last + 1 < CROWDED:
        return ""
    return " chart-start" if i == 0 else " chart-end" if i == last else ""


def _day_keys(days: Sequence[DayBar]) -> list[tuple[str, str]]:
    kinds = {kind(d) for d in days}
    last_year = any(d.last_year_wh is not None for d in days)
    keys = [("now", "this_year"), ("last", "last_year")] if last_year else []
    return keys + [(name, name) for name in ("estimated", "hole", "minus") if name in kinds]


def _day_look(wh: int, quality: Quality, *, best: bool) -> str:
    if wh < 0:
        return "minus"
    return f"{'best' if best and wh else 'now'}{' chart-estimated' if quality == 'estimated' else ''}"


def _spark_look(wh: int | None, *, best: bool) -> str:
    if wh is None:
        return "hole"
    if wh < 0:
        return "minus"
    return "best" if best and wh > 0 else "now"


def _percent(i: int, slots: int) -> str:
    return f"{scaled(i * 10_000 // slots, places=2, least=0)}%"


def _check(chart_id: str, count: int, most: int) -> None:
    if not _CHART_ID.fullmatch(chart_id):
        raise ValueError(f"chart_id {chart_id!r} cannot be an id; start with a letter, then letters, digits, - or _")
    if count > most:
        raise ValueError(f"{count} bars are too many for chart {chart_id}; pass at most {most}")
