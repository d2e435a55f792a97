"""A day's load as steps of average kW, as SVG text."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

from khata.display import chart_frame as frame
from khata.display.chart_words import units
from khata.display.curve_words import (
    BLOCKS,
    Band,
    LoadDay,
    State,
    band_text,
    clock,
    clock_range,
    count,
    kw_text,
    load_sentence,
    load_w,
    peak,
    state,
    state_word,
    word,
)
from khata.display.dates import day as day_text
from khata.display.dates import day_month
from khata.display.labels import Language
from khata.display.money import kw, scaled

TOP, HEIGHT = 20, 150
NAMES = 16  # for the names of the bands, above all
MOST_HEADROOM = 3  # a sanctioned load more than so many times the highest load would leave a flat line: it is only said
LETTER = 6  # px of a letter of a text in the chart, more or less


def load_curve(
    day: LoadDay,
    *,
    chart_id: str,
    language: Language,
    sanctioned_w: int | None = None,
    bands: Sequence[Band] = (),
    compared: LoadDay | None = None,
) -> str:
    """48 half-hours as steps, the peak with its time, cuts as holes; `compared` another day, pale. Returns markup.

    ValueError for a `chart_id` that cannot be an id.
    """
    frame.check(chart_id, 0, 0)
    if count(day, "missing") == BLOCKS:
        return frame.nothing("nothing", language)
    loads = [load for d in (day, compared) if d for i in range(BLOCKS) if (load := load_w(d, i)) is not None]
    highest = max([0, *loads])
    drawn_w = sanctioned_w if sanctioned_w is not None and sanctioned_w <= MOST_HEADROOM * max(highest, 1) else None
    ticks = frame.axis(max(highest, drawn_w or 0))
    top = TOP + (NAMES if bands else 0)
    base = top + HEIGHT
    parts = [frame.pattern(chart_id, "hole")] if count(day, "missing") else []
    parts += _ground(bands, top, language)
    parts += [frame.stretched(BLOCKS, HEIGHT, HEIGHT, top, [("last", _area(compared, ticks[-1]))])] if compared else []
    parts += _gaps(day, chart_id, top, language)
    parts.append(frame.grid(ticks, ticks[-1], base=base, height=HEIGHT, said=kw))
    parts.append(frame.stretched(BLOCKS, HEIGHT, HEIGHT, top, _paths(day, ticks[-1])))
    parts += clock_ticks(base, language)
    parts += _limit(day, sanctioned_w, drawn_w, ticks[-1], top, language)
    parts += _peak(day, ticks[-1], base, language)
    parts += [frame.slot(i, BLOCKS, base, half_hour_title(day, i, language), ()) for i in range(BLOCKS)]
    title = f"{word('load', language)}, {day_text(day.day, language)}"
    said = load_sentence(day, language, sanctioned_w=sanctioned_w)
    css = "chart-plot chart-axis" + (" chart-axis-more" if len(kw(ticks[-1])) > 3 or len(kw(ticks[1])) > 3 else "")
    svg = frame.drawing(css, base + 24, chart_id, title, said, parts)
    return frame.figure("chart-curve", svg, _keys(day, bands, compared, language))


def half_hour_title(day: LoadDay, i: int, language: Language) -> str:
    """`रात 11–11:30: 2.6 kW, 1.3 यूनिट`, and what there is to say about it."""
    load, is_in = load_w(day, i), state(day, i)
    said = state_word(day, i, language)
    if load is not None:
        more = f" ({said})" if is_in == "estimated" else ""
        said = f"{kw_text(load)} kW, {units(load // 2, language)}{more}"
    return f"{clock_range(i, i + 1, language)}: {said}"


def _ground(bands: Sequence[Band], top: int, language: Language) -> Iterator[str]:
    """The bands tinted, each with its name above it where the name fits."""
    yield f'<rect class="chart-ground" y="{top}" width="100%" height="{HEIGHT}"/>'
    for band in bands:
        x, width = frame.percent(band.start, BLOCKS), frame.percent(band.end - band.start, BLOCKS)
        if band.price != "usual":
            yield f'<rect class="chart-{band.price}" x="{x}" y="{top}" width="{width}" height="{HEIGHT}"/>'
        yield from _names(band, language)


def _names(band: Band, language: Language) -> Iterator[str]:
    """The band's name where it fits above, and until then, if its price differs, the word for that."""
    look, length = f"chart-tick chart-name-{band.price}", band.end - band.start
    middle = frame.percent(band.start + band.end, 2 * BLOCKS)
    price = word(band.price, language)
    whole, short = _fits_from(band_text(band, language), length), _fits_from(price, length)
    if whole is not None:
        yield frame.text(look + whole, 12, band_text(band, language), x=middle)
    if short is not None and whole not in ("", " chart-mid") and band.price != "usual":
        until = "" if whole is None else whole.replace("chart-", "chart-until-")
        yield frame.text(look + short + until, 12, price, x=middle)


def _fits_from(said: str, half_hours: int) -> str | None:
    """The class that shows a text only from the width on in which it fits in its time; None where it never does."""
    letters = sum(unicodedata.category(c) != "Mn" for c in said)
    need = letters * LETTER * BLOCKS // half_hours
    steps = ((200, ""), (240, " chart-mid"), (440, " chart-wide"), (640, " chart-minor"))
    return next((css for width, css in steps if need <= width), None)


def _gaps(day: LoadDay, chart_id: str, top: int, language: Language) -> Iterator[str]:
    """A cut is a hole in the ground with a dark mark below the base line; what did not come in is hatched."""
    for look, start, end in _runs(day):
        x, width = _share(start), _share(end - start)
        if look == "missing":
            yield frame.filled(f"{chart_id}-hole", x, width, top, HEIGHT)
        if look == "off":
            yield f'<rect class="chart-cut" x="{x}%" y="{top}" width="{width}%" height="{HEIGHT}"/>'
            yield f'<rect class="chart-off" x="{x}%" y="{top + HEIGHT + 2}" width="{width}%" height="3"/>'
            fits = _fits_from(word("off", language), end - start)
            if fits is not None:
                middle = frame.percent(start + end, 2 * BLOCKS)
                yield frame.text(f"chart-tick{fits}", top + HEIGHT - 8, word("off", language), x=middle)


def _runs(day: LoadDay) -> Iterator[tuple[State, int, int]]:
    """Half-hours [start, end) of one kind."""
    for look, run in groupby(range(BLOCKS), key=lambda i: state(day, i)):
        found = list(run)
        yield look, found[0], found[-1] + 1


def _paths(day: LoadDay, top: int) -> list[tuple[str, str]]:
    """The areas and lines, back to front, in units of a half-hour and a pixel."""
    lines = {"measured": "", "estimated": ""}
    areas = {"measured": "", "estimated": ""}
    for look, start, end in _runs(day):
        if look in lines:
            at = [_down(load_w(day, i), top) for i in range(start, end)]
            before = None if start == 0 else load_w(day, start - 1)
            rise = at[0] if before is None else _down(before, top)
            lines[look] += f"M{start} {rise}{_steps(at)}"
            areas[look] += f"M{start} {HEIGHT}{_steps(at)}V{HEIGHT}z"
    return [
        ("load", areas["measured"]),
        ("load-estimated", areas["estimated"]),
        ("line", lines["measured"]),
        ("line-estimated", lines["estimated"]),
    ]


def _area(day: LoadDay, top: int) -> str:
    """All that is known of a day, for behind another."""
    known = [(start, end) for look, start, end in _runs(day) if look in ("measured", "estimated")]
    return "".join(
        f"M{start} {HEIGHT}{_steps([_down(load_w(day, i), top) for i in range(start, end)])}V{HEIGHT}z"
        for start, end in known
    )


def _steps(at: Sequence[int]) -> str:
    return "".join(f"V{y}h1" for y in at)


def _down(load: int | None, top: int) -> int:
    return HEIGHT - frame.pixels(load or 0, top, HEIGHT)


def clock_ticks(base: int, language: Language) -> Iterator[str]:
    """Midnight and noon everywhere, six o'clock on all but the narrowest, three and nine where wide."""
    for half in range(0, BLOCKS + 1, 6):
        css = "" if half % 24 == 0 else " chart-mid" if half % 12 == 0 else " chart-minor"
        css += " chart-start" if half == 0 else " chart-end" if half == BLOCKS else ""
        yield frame.text(f"chart-tick{css}", base + 18, clock(half, language), x=frame.percent(half, BLOCKS))


def _limit(
    day: LoadDay, sanctioned_w: int | None, drawn_w: int | None, top_w: int, top: int, language: Language
) -> Iterator[str]:
    """The sanctioned load as a dashed line with its words, on the side away from the peak."""
    if sanctioned_w is None:
        return
    left = (peak(day) or 0) >= BLOCKS // 2
    side, x = ("chart-start", "1%") if left else ("chart-end", "99%")
    y = top
    if drawn_w is not None:
        y = top + HEIGHT - frame.pixels(drawn_w, top_w, HEIGHT)
        yield f'<line class="chart-limit" x2="100%" y1="{y}" y2="{y}"/>'
    name = "sanctioned_above" if drawn_w is None else "sanctioned"
    under = y + 14 if drawn_w is None or y - top < 14 else y - 5
    yield frame.text(f"chart-limit-name {side}", under, word(name, language, load=kw(sanctioned_w)), x=x)


def _peak(day: LoadDay, top_w: int, base: int, language: Language) -> Iterator[str]:
    at = peak(day)
    load = None if at is None else load_w(day, at)
    if at is None or not load:
        return
    y = base - frame.pixels(load, top_w, HEIGHT)
    side = " chart-start" if at < 14 else " chart-end" if at > 33 else ""
    x = frame.percent(at if at < 14 else at + 1, BLOCKS) if side else frame.percent(2 * at + 1, 2 * BLOCKS)
    time = f'<tspan class="chart-mid"> · {clock_range(at, at + 1, language)}</tspan>'
    yield f'<circle class="chart-dot" cx="{frame.percent(2 * at + 1, 2 * BLOCKS)}" cy="{y}" r="4"/>'
    yield f'<text class="chart-top{side}" x="{x}" y="{y - 9}">{kw_text(load)} kW{time}</text>'


def _keys(
    day: LoadDay, bands: Sequence[Band], compared: LoadDay | None, language: Language
) -> Iterator[tuple[str, str]]:
    if compared:
        yield "line", day_month(day.day, language)
        yield "last", day_month(compared.day, language)
    for band in bands:
        if band.price != "usual":
            yield f"{band.price}", f"{band_text(band, language)}: {clock_range(band.start, band.end, language)}"
    for name, css in (("estimated", "line-estimated"), ("off", "off"), ("missing", "hole")):
        for said in dict.fromkeys(state_word(day, i, language) for i in range(BLOCKS) if state(day, i) == name):
            yield css, said


def _share(half_hours: int) -> str:
    return scaled(half_hours * 10_000 // BLOCKS, places=2, least=0)
