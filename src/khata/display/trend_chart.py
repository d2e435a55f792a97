"""Thirteen months of use with the running month's forecast, and the demand of each month, as SVG text."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from khata.display import chart_frame as frame
from khata.display.chart_frame import STUB, pixels
from khata.display.chart_words import Unit, short
from khata.display.chart_words import word as word_of_bars
from khata.display.curve_words import kw_text
from khata.display.dates import axis_month
from khata.display.dates import month as month_text
from khata.display.labels import Language
from khata.display.money import kw, rupees
from khata.display.trend_words import (
    DemandMonth,
    Span,
    TrendMonth,
    demand_sentence,
    demand_words,
    month_words,
    trend_sentence,
    unit_text,
    word,
)

MOST_MONTHS = 13
TOP, HEIGHT = 22, 130
DEMAND_TOP, DEMAND_HEIGHT = 36, 110


def trend_bars(months: Sequence[TrendMonth], *, chart_id: str, language: Language, unit: Unit = "units") -> str:
    """Up to 13 months beside those of last year, the forecast hatched with its range as a whisker. Returns markup.

    ValueError for more months, or a `chart_id` that cannot be an id.
    """
    frame.check(chart_id, len(months), MOST_MONTHS)
    shown = [value for m in months for value in _values(m, unit)]
    if not shown:
        return frame.nothing("nothing", language)
    top, slots, base = max(1, *shown), max(len(months), frame.FEWEST_SLOTS), TOP + HEIGHT
    forecast = any(m.expected(unit) for m in months)
    holes = any(m.value(unit) is None and not m.expected(unit) for m in months)
    numbers = [_number(m, unit) for m in months]
    parts = [frame.pattern(chart_id, name) for name, wanted in (("partial", forecast), ("hole", holes)) if wanted]
    parts.append(f'<line class="chart-base" x2="100%" y1="{base}" y2="{base}"/>')
    best = max(range(len(months)), key=lambda i: months[i].value(unit) or 0)
    for i, m in enumerate(months):
        drawn = [*_month(m, unit, top, chart_id), *_below(m, i, months, base, language)]
        keep = i == len(months) - 1 or i == best < len(months) - 3
        drawn.append(_above(numbers[i], _height(m, unit, top), i, len(months), keep=keep))
        parts.append(frame.slot(i, slots, base, month_words(m, unit, language), drawn))
    longest = max(len(number) for number in numbers)
    css = "chart-plot" + (" chart-dense" if longest > 3 else "") + (" chart-densest" if longest > 5 else "")
    title = f"{word(unit, language)}, {_span(months[0], months[-1], language)}"
    svg = frame.drawing(css, base + 38, chart_id, title, trend_sentence(months, language, unit=unit), parts)
    return frame.figure("chart-trend", svg, _trend_keys(months, unit, language, holes=holes))


def demand_bars(months: Sequence[DemandMonth], *, chart_id: str, language: Language, in_kva: bool = False) -> str:
    """Up to 13 months' highest demand against the sanctioned load; what exceeded it is marked. Returns markup.

    ValueError for more months, or a `chart_id` that cannot be an id.
    """
    frame.check(chart_id, len(months), MOST_MONTHS)
    known = [m.demand_w for m in months if m.demand_w is not None]
    if not known:
        return frame.nothing("nothing", language)
    ticks = frame.axis(max([*known, *(m.sanctioned_w or 0 for m in months)]))
    slots, base = max(len(months), frame.FEWEST_SLOTS), DEMAND_TOP + DEMAND_HEIGHT
    holes, exceeded = len(known) < len(months), any(m.excess_w for m in months)
    parts = [frame.pattern(chart_id, name) for name, wanted in (("over", exceeded), ("hole", holes)) if wanted]
    parts.append(frame.grid(ticks, ticks[-1], base=base, height=DEMAND_HEIGHT, said=kw))
    best = max(range(len(months)), key=lambda i: months[i].demand_w or 0)
    for i, m in enumerate(months):
        drawn = [*_demand(m, ticks[-1], chart_id), *_below(m, i, months, base, language)]
        if m.demand_w is not None:
            drawn += _demand_number(m, ticks[-1], i, len(months), best=i == best)
        parts.append(frame.slot(i, slots, base, demand_words(m, language, in_kva=in_kva), drawn))
    title = f"{word('demand', language)} ({unit_text(in_kva=in_kva)}), {_span(months[0], months[-1], language)}"
    css = "chart-plot chart-axis" + (" chart-axis-more" if max(len(kw(tick)) for tick in ticks) > 3 else "")
    said = demand_sentence(months, language, in_kva=in_kva)
    svg = frame.drawing(f"{css} chart-dense", base + 38, chart_id, title, said, parts)
    return frame.figure("chart-demand", svg, _demand_keys(months, language, in_kva=in_kva, holes=holes))


# One month


def _month(m: TrendMonth, unit: Unit, top: int, chart_id: str) -> Iterator[str]:
    base = TOP + HEIGHT
    value, before, expected = m.value(unit), m.last_year(unit), m.expected(unit)
    if before is not None:
        yield frame.bar("last", "8", "84", base, pixels(before, top, HEIGHT))
    if value is None and expected is None:
        yield frame.filled(f"{chart_id}-hole", "8", "84", TOP, HEIGHT)
        return
    height = max(pixels(value or 0, top, HEIGHT), STUB)
    if expected is not None:
        yield from _forecast(expected, height, top, chart_id)
    if value is not None:
        look = "minus" if value < 0 else "now chart-estimated" if m.estimated else "now"
        yield frame.bar(look, "22", "56", base, height)


def _forecast(expected: Span, known: int, top: int, chart_id: str) -> Iterator[str]:
    """What is still to come, hatched up to the likely, which is a dot; the range is a line through it."""
    base = TOP + HEIGHT
    low, likely, high = (pixels(value, top, HEIGHT) for value in (expected.low, expected.likely, expected.high))
    if likely > known:
        yield frame.bar("now", "22", "56", base - known, likely - known)
        yield frame.filled(f"{chart_id}-partial", "22", "56", base - likely, likely - known)
    for look in ("whisker-under", "whisker"):  # the first keeps the second apart from the hatching
        yield f'<line class="chart-{look}" x1="50%" x2="50%" y1="{base - low}" y2="{base - high}"/>'
    for y in (base - low, base - high):
        yield f'<line class="chart-whisker" x1="26%" x2="74%" y1="{y}" y2="{y}"/>'
    yield f'<circle class="chart-likely" cx="50%" cy="{base - likely}" r="3.5"/>'


def _demand(m: DemandMonth, top: int, chart_id: str) -> Iterator[str]:
    base = DEMAND_TOP + DEMAND_HEIGHT
    if m.demand_w is None:
        yield frame.filled(f"{chart_id}-hole", "8", "84", DEMAND_TOP, DEMAND_HEIGHT)
    else:
        height = max(pixels(m.demand_w, top, DEMAND_HEIGHT), STUB)
        yield frame.bar("month", "14", "72", base, height)
        if m.excess_w:
            over = max(height - pixels(m.sanctioned_w or 0, top, DEMAND_HEIGHT), 2)
            yield f'<rect class="chart-excess" x="14%" y="{base - height}" width="72%" height="{over}"/>'
            yield frame.filled(f"{chart_id}-over", "14", "72", base - height, over)
    if m.sanctioned_w is not None:
        y = base - pixels(m.sanctioned_w, top, DEMAND_HEIGHT)
        yield f'<line class="chart-limit" x2="100%" y1="{y}" y2="{y}"/>'


def _demand_number(m: DemandMonth, top: int, i: int, count: int, *, best: bool) -> Iterator[str]:
    """The load above its bar; where the sanctioned load was exceeded its sign even on the narrowest, and the cost."""
    base = DEMAND_TOP + DEMAND_HEIGHT
    height = max(pixels(m.demand_w or 0, top, DEMAND_HEIGHT), STUB)
    if not m.excess_w:
        yield _above(kw_text(m.demand_w or 0), height, i, count, keep=best or i == count - 1, base=base)
        return
    some = "mid" if best or i == count - 1 else "some"
    number = f'▲<tspan class="chart-{some}">{kw_text(m.demand_w or 0)}</tspan>'
    yield f'<text class="chart-number chart-strong" x="50%" y="{base - height - 5}">{number}</text>'
    if m.cost_paise is not None:
        yield frame.text("chart-number chart-minor", base - height - 19, rupees(m.cost_paise))


def _above(number: str, height: int, i: int, count: int, *, keep: bool, base: int = TOP + HEIGHT) -> str:
    crowded = count >= frame.CROWDED
    css = "" if keep or not crowded else " chart-some"
    css += " chart-end" if i == count - 1 and crowded and len(number) > 4 else ""
    css += " chart-strong" if i == count - 1 else ""
    return frame.text(f"chart-number{css}", base - height - 5, number, x=frame.leaning(css))


def _below(
    m: TrendMonth | DemandMonth, i: int, months: Sequence[object], base: int, language: Language
) -> Iterator[str]:
    every_other = " chart-mid" if len(months) >= frame.CROWDED and (len(months) - 1 - i) % 2 else ""
    strong = " chart-strong" if i == len(months) - 1 else ""
    yield frame.text(f"chart-tick{every_other}{strong}", base + 17, axis_month(m.month, language))
    if i == 0 or m.month.month == 1:
        yield frame.text("chart-tick", base + 33, str(m.month.year))


# Numbers and keys


def _values(m: TrendMonth, unit: Unit) -> list[int]:
    expected = m.expected(unit)
    return [v for v in (m.value(unit), m.last_year(unit), expected.high if expected else None) if v is not None]


def _height(m: TrendMonth, unit: Unit, top: int) -> int:
    """Of the highest thing drawn for a month: where its number stands."""
    return max((max(pixels(value, top, HEIGHT), STUB) for value in _values(m, unit)), default=0)


def _number(m: TrendMonth, unit: Unit) -> str:
    value, expected = m.value(unit), m.expected(unit)
    if expected is not None:
        return f"~{short(expected.likely, unit)}"
    return "" if value is None else short(value, unit)


def _span(first: TrendMonth | DemandMonth, last: TrendMonth | DemandMonth, language: Language) -> str:
    start, end = month_text(first.month, language), month_text(last.month, language)
    return start if start == end else f"{start} – {end}"


def _trend_keys(
    months: Sequence[TrendMonth], unit: Unit, language: Language, *, holes: bool
) -> Iterator[tuple[str, str]]:
    if any(m.last_year(unit) is not None for m in months):
        yield "now", word_of_bars("this_year", language)
        yield "last", word_of_bars("last_year", language)
    for expected in [m.expected(unit) for m in months]:
        if expected:
            yield "partial-now", f"{word('forecast', language)}: {short(expected.likely, unit)}"
            span = word("range", language, low=short(expected.low, unit), high=short(expected.high, unit))
            yield "range", word("between", language, range=span)
    if any(m.estimated and m.value(unit) is not None for m in months):
        yield "estimated", word("partly", language)
    if holes:
        yield "hole", word("unknown", language)


def _demand_keys(
    months: Sequence[DemandMonth], language: Language, *, in_kva: bool, holes: bool
) -> Iterator[tuple[str, str]]:
    allowed = [kw(m.sanctioned_w) for m in months if m.sanctioned_w is not None]
    if allowed:
        changes = " → ".join(load for load, _ in groupby(allowed))
        yield "limit", f"{word('sanctioned', language)} {changes} {unit_text(in_kva=in_kva)}"
    if any(m.excess_w for m in months):
        yield "over", f"▲ {word('excess', language)}"
    if holes:
        yield "hole", word("unknown", language)
