"""Charts of use as SVG text: one markup for every width, without script, inline style or colour.

Positions across are percentages and positions down are pixels, so that a chart stretches while its text keeps its
size; colours, textures and what a narrow screen leaves out are in static/khata/charts.css.
"""

import datetime as dt
from collections.abc import Sequence
from functools import partial
from html import escape

from khata.display import chart_frame as frame
from khata.display.bill_text import SlabView
from khata.display.chart_frame import STUB, axis, pixels
from khata.display.chart_words import (
    DayBar,
    MonthBar,
    Quality,
    Table,
    Unit,
    average_wh,
    daily_sentence,
    daily_table,
    day_bars,
    day_title,
    highest_sentence,
    holes_sentence,
    index_of_highest,
    kind,
    known_value,
    month_table,
    month_title,
    nearest,
    short,
    slab_range,
    slab_rate,
    units,
    units_text,
    value_of,
    word,
)
from khata.display.dates import axis_day, axis_month, month, period
from khata.display.labels import Language, heading
from khata.display.money import kwh, scaled

__all__ = [
    "STUB",
    "DayBar",
    "MonthBar",
    "Quality",
    "Unit",
    "average_wh",
    "axis",
    "daily_bars",
    "daily_sentence",
    "daily_table",
    "day_bars",
    "month_bars",
    "month_table",
    "pixels",
    "share_text",
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


def daily_bars(days: Sequence[DayBar], *, chart_id: str, language: Language, unit: Unit = "units") -> str:
    """Up to 31 days in a row: last year wide and pale behind this year, the highest with its number.

    `unit` rupees draws the days' paise. Returns markup. ValueError for more days, or a `chart_id` that cannot be an id.
    """
    frame.check(chart_id, len(days), MOST_DAYS)
    if not days:
        return frame.nothing("nothing", language)
    values = [value_of(d, unit) for d in days]
    before = [d.last_year_wh if unit == "units" else d.last_year_paise for d in days]
    known = [value for value in values if value is not None]
    ticks = axis(max([0, *known, *(value or 0 for value in before)]))
    best = index_of_highest([known_value(d, unit) for d in days])
    named = _day_ticks(days, language)
    slots = max(len(days), frame.FEWEST_SLOTS)
    parts = [frame.pattern(chart_id, "hole")] if len(known) < len(days) else []
    parts += [frame.pattern(chart_id, "partial")] if any(d.quality == "forecast" for d in days) else []
    base = DAY_TOP + DAY_HEIGHT
    tick_text = kwh if unit == "units" else partial(short, unit=unit)
    shown = ticks if known else ticks[:1]
    parts.append(frame.grid(shown, ticks[-1], base=base, height=DAY_HEIGHT, said=tick_text))
    for i, bar in enumerate(days):
        drawn = _day(bar, values[i], before[i], ticks[-1], chart_id, best=i == best)
        look, tick = named[i]
        drawn += [frame.text(f"chart-tick{look}", base + 17, tick, x=frame.leaning(look))] if tick else []
        parts.append(frame.slot(i, slots, base, day_title(bar, language, unit), drawn))
    if best is not None:
        y = base - pixels(values[best] or 0, ticks[-1], DAY_HEIGHT) - 5
        parts.append(frame.top_number(short(values[best] or 0, unit), best, len(days), slots, y))
    sentence = f"{daily_sentence(days, language, unit=unit)} {highest_sentence(days, best, language, unit)}".rstrip()
    widest = len(tick_text(ticks[-1])) if known else 0
    css = "chart-plot chart-axis" + (" chart-axis-wide" if widest > 4 else " chart-axis-more" if widest > 3 else "")
    title = word("days" if unit == "units" else "days_rupees", language)
    title += f", {period(days[0].day, days[-1].day + dt.timedelta(days=1), language)}"
    svg = frame.drawing(css, base + 22, chart_id, title, sentence, parts)
    return frame.figure("chart-days", svg, _day_keys(days, before, language))


def month_bars(months: Sequence[MonthBar], *, chart_id: str, language: Language) -> str:
    """12 or 13 months in a row with their numbers, the last one bright, partial ones hatched, holes where no bill was.

    Returns markup. ValueError for more months, or a `chart_id` that cannot be an id.
    """
    frame.check(chart_id, len(months), MOST_MONTHS)
    known = [m.wh for m in months if m.wh is not None]
    if not known:
        return frame.nothing("nothing", language)
    top = max(1, *known)
    slots = max(len(months), frame.FEWEST_SLOTS)
    longest = max(len(units_text(wh)) for wh in known)
    best = index_of_highest([m.wh for m in months])
    parts = [frame.pattern(chart_id, "partial")] if any(m.partial for m in months) else []
    parts += [frame.pattern(chart_id, "hole")] if len(known) < len(months) else []
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
    svg = frame.drawing(css, base + 38, chart_id, f"{word('months', language)}, {span}", said, parts)
    look = f"partial-{'now' if months[-1].partial else 'old'}"
    keys = [(look, word("partial", language))] if any(m.partial for m in months) else []
    keys += [("hole", word("no_bill", language))] if len(known) < len(months) else []
    return frame.figure("chart-months", svg, keys)


def table_rows(table: Table) -> str:
    """Head and body of the table behind a chart. Here, because a template takes as long over it as over the whole page.

    Each cell names its column, for screens on which a row is read from top to bottom.

    Returns markup.
    """
    header, rows = table
    names = [escape(text) for text in header]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    cell = [f'<td data-is="{name}">' for name in names[1:]]
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        f"{''.join(f'{td}{escape(text)}</td>' for td, text in zip(cell, rest, strict=True))}</tr>"
        for first, *rest in rows
    )
    return f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"


def sparkline(values_wh: Sequence[int | None], *, chart_id: str, language: Language, label: str) -> str:
    """Some 30 days as tiny bars for a row of a list, the highest marked; `label` says whose, None is a hole.

    The newest stands at the right end, so that the same days stand under each other in a list. Returns markup.
    ValueError for a `chart_id` that cannot be an id.
    """
    frame.check(chart_id, 0, 0)
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
    return frame.drawing(
        "chart-spark", SPARK_HEIGHT, chart_id, label, f"{said} {holes}".rstrip(), [inner] if drawn else []
    )


def slab_fill(slabs: Sequence[SlabView], *, chart_id: str, language: Language) -> str:
    """How the slabs filled, one row each: range, rate, units used, and the share used as a bar.

    The last slab has no end; its bar shows its share of all units. Returns markup. ValueError for a `chart_id` that
    cannot be an id.
    """
    frame.check(chart_id, 0, 0)
    if not slabs:
        return frame.nothing("no_slabs", language)
    total = sum(slab.used_wh for slab in slabs)
    parts = []
    said = []
    for i, slab in enumerate(slabs):
        capacity = total if slab.up_to_wh is None else slab.up_to_wh - slab.from_wh
        said.append(f"{slab_range(slab, language)}: {units(slab.used_wh, language, exact=True)}, {slab_rate(slab)}.")
        parts.append(_slab(slab, i * SLAB_ROW, share_text(slab.used_wh, capacity), language))
    svg = frame.drawing(
        "chart-plot", len(slabs) * SLAB_ROW - 10, chart_id, heading("slabs", language), " ".join(said), parts
    )
    return frame.figure("chart-slabs", svg, [])


def share_text(used_wh: int, capacity_wh: int) -> str:
    """A share as a width in percent, `0` to `100`: what is used at all shows."""
    if used_wh <= 0 or capacity_wh <= 0:
        return "0"
    return scaled(min(1000, max(10, nearest(used_wh * 1000, capacity_wh))), places=1, least=0)


# One bar, one row


def _day(bar: DayBar, value: int | None, before: int | None, top: int, chart_id: str, *, best: bool) -> list[str]:
    base = DAY_TOP + DAY_HEIGHT
    drawn = []
    if before is not None:
        drawn.append(frame.bar("last", "8", "84", base, pixels(before, top, DAY_HEIGHT)))
    if value is None:
        drawn.append(frame.filled(f"{chart_id}-hole", "0", "100", DAY_TOP, DAY_HEIGHT))
    else:
        height = max(pixels(value, top, DAY_HEIGHT), STUB)
        drawn.append(frame.bar(_day_look(value, bar.quality, best=best), "22", "56", base, height))
        if bar.quality == "forecast":
            drawn.append(frame.filled(f"{chart_id}-partial", "22", "56", base - height, height))
    if bar.off_half_hours:
        start, width = frame.percent(48 - bar.off_half_hours, 96), frame.percent(bar.off_half_hours, 48)
        drawn.append(f'<rect class="chart-off" x="{start}" y="{base + 2}" width="{width}" height="3"/>')
    return drawn


def _month(
    bar: MonthBar, i: int, count: int, slots: int, top: int, chart_id: str, *, keep: bool, language: Language
) -> str:
    base = MONTH_TOP + MONTH_HEIGHT
    last, crowded = i == count - 1, count >= frame.CROWDED
    strong = " chart-strong" if last else ""
    if bar.wh is None:
        drawn = [frame.filled(f"{chart_id}-hole", "8", "84", MONTH_TOP, MONTH_HEIGHT)]
    else:
        height = max(pixels(bar.wh, top, MONTH_HEIGHT), STUB)
        look = "minus" if bar.wh < 0 else "now" if last else "month"
        drawn = [frame.bar(look, "8", "84", base, height)]
        if bar.partial:
            drawn.append(frame.filled(f"{chart_id}-partial", "8", "84", base - height, height))
        number = units_text(bar.wh)
        some = "" if keep or not crowded else " chart-some"
        lean = " chart-end" if last and crowded and len(number) > 4 else ""
        drawn.append(frame.text(f"chart-number{some}{lean}{strong}", base - height - 5, number, x=frame.leaning(lean)))
    every_other = " chart-mid" if crowded and (count - 1 - i) % 2 else ""
    drawn.append(frame.text(f"chart-tick{every_other}{strong}", base + 17, axis_month(bar.month, language)))
    if i == 0 or bar.month.month == 1:
        drawn.append(frame.text("chart-tick", base + 33, str(bar.month.year)))
    return frame.slot(i, slots, base, month_title(bar, language), drawn)


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
            lean = frame.end_of_row(i, last) if new else ""
            text = axis_day(bar.day, language) if new else str(bar.day.day)
            ticks[i] = (lean if always else f"{lean} chart-mid", text)
            named |= dict.fromkeys((False, always), (bar.day.year, bar.day.month))
        elif bar.day.day == 1 and not {i - 1, i + 1} & majors.keys():
            new, ticks[i] = True, (" chart-minor", axis_day(bar.day, language))
        silent |= {i - 1, i + 1} if new else set()
    return [("", "") if i in silent and i not in majors else tick for i, tick in enumerate(ticks)]


def _day_keys(days: Sequence[DayBar], before: Sequence[int | None], language: Language) -> list[tuple[str, str]]:
    kinds = {kind(d) for d in days}
    names = ["now", "last"] if any(value is not None for value in before) else []
    names += [name for name in ("estimated", "forecast", "hole", "minus") if name in kinds]
    names += ["off"] if any(d.off_half_hours for d in days) else []
    words = {"now": "this_year", "last": "last_year"}
    return [("partial-now" if n == "forecast" else n, word(words.get(n, n), language)) for n in names]


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
