"""What the charts of half-hours say: a day's load, a month's heat map; `curve_chart` and `heat_chart` draw the same."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from khata.display import chart_words
from khata.display.chart_words import Table, exact, hours_text, nearest, units
from khata.display.dates import day_month
from khata.display.labels import Label, Language
from khata.display.money import kw, scaled

BLOCKS = 48
WINDOW = 6  # half-hours of the time of day in which most is used

Price: TypeAlias = Literal["cheap", "usual", "dear"]
State: TypeAlias = Literal["measured", "estimated", "off", "missing"]

WORDS: dict[str, Label] = {
    "load": Label("दिन भर का लोड", "Load through the day"),
    "heat": Label("महीने का नक्शा", "The month by the half-hour"),
    "time": Label("समय", "Time"),
    "kw": Label("औसत kW", "Average kW"),
    "band": Label("दर", "Rate"),
    "cheap": Label("सस्ती", "cheaper"),
    "usual": Label("सामान्य", "usual"),
    "dear": Label("महँगी", "dearer"),
    "sanctioned": Label("स्वीकृत भार {load} kW", "Sanctioned load {load} kW"),
    "sanctioned_above": Label("↑ स्वीकृत भार {load} kW", "↑ Sanctioned load {load} kW"),
    "off": Label("बिजली कटी", "Power cut"),
    "missing": Label("रीडिंग नहीं आई", "No reading"),
    "estimated": Label("अनुमानित", "Estimated"),
    "substituted": Label("बदला गया", "Substituted"),
    "measured": Label("मीटर से", "Measured"),
    "used": Label("{when} {units} बिजली खर्च हुई।", "{when} you used {units}."),
    "used_part": Label(
        "{when} जितनी रीडिंग आई उसमें {units} बिजली खर्च हुई।", "{when} you used {units} in the half-hours that came in."
    ),
    "peak": Label(
        "सबसे ज़्यादा लोड {load} kW रहा{sure}, {time} बजे{limit}।", "The highest load was {load} kW{sure}, {time}{limit}."
    ),
    "within": Label("; स्वीकृत भार {load} kW के भीतर", "; within the sanctioned load of {load} kW"),
    "beyond": Label("; स्वीकृत भार {load} kW से ज़्यादा", "; above the sanctioned load of {load} kW"),
    "off_hours": Label("{hours} घंटे बिजली नहीं थी।", "There was no power for {hours} hours."),
    "gap": Label("{hours} घंटे की आधे-घंटे वाली रीडिंग नहीं आई।", "Half-hour readings of {hours} hours did not come in."),
    "one_gap": Label("1 आधे घंटे की रीडिंग नहीं आई।", "The reading of 1 half-hour did not come in."),
    "guessed": Label("{count} आधे घंटे अनुमानित हैं।", "{count} half-hours are estimated."),
    "one_guessed": Label("1 आधा घंटा अनुमानित है।", "1 half-hour is estimated."),
    "window": Label(
        "सबसे ज़्यादा बिजली {time} बजे के बीच खर्च हुई: कुल का {percent}%।", "Most was used {time}: {percent}% of all."
    ),
    "totals_alone": Label(
        "इन दिनों मीटर ने दिन का जोड़ ही भेजा, आधे-आधे घंटे का नहीं।",
        "Of these days your meter told the totals only, not the half-hours.",
    ),
    "unused": Label(
        "जितने आधे घंटों की रीडिंग आई, उनमें बिजली खर्च नहीं हुई।", "In the half-hours that came in nothing was used."
    ),
    "below": Label("{kw} kW से कम", "below {kw} kW"),
    "between": Label("{low}–{high}", "{low}–{high}"),
    "above": Label("{kw} kW से ज़्यादा", "{kw} kW and above"),
}


@dataclass(frozen=True)
class LoadDay:
    """The half-hours of a day, in the order of the clock: 48 energies in Wh, None where not known.

    `off`: positions 0 to 47 without supply, whatever the energy says; `estimated`: those not measured; of these,
    `substituted`: those that the company put in another's place.
    """

    day: dt.date
    blocks_wh: Sequence[int | None]
    estimated: frozenset[int] = field(default=frozenset())
    off: frozenset[int] = field(default=frozenset())
    substituted: frozenset[int] = field(default=frozenset())

    def __post_init__(self) -> None:
        if len(self.blocks_wh) != BLOCKS:
            raise ValueError(f"a day has {BLOCKS} half-hours; {self.day} has {len(self.blocks_wh)}")


@dataclass(frozen=True)
class Band:
    """A time of day with a price of its own: half-hours [start, end) of 0 to 48; `name` is said as it stands.

    `price` gives the tint and the word behind the name: cheap, usual or dear. One crossing midnight is given as two.
    """

    start: int
    end: int
    name: str
    price: Price


def load_day(
    day: dt.date,
    *,
    blocks_wh: Sequence[int | None] | None,
    estimated: bool,
    origins: str | None,
    off: int | None,
    substituted: bool = False,
) -> LoadDay:
    """From what `metering.queries.half_hours_of` gives: `origins` a letter a half-hour (E, S: not measured), `off` bits
    (bit n - 1: no supply in half-hour n), `substituted` or `estimated` the whole day where `origins` is None."""
    letters = origins or ("S" if substituted else "E" if estimated else "A") * BLOCKS
    return LoadDay(
        day,
        [None] * BLOCKS if blocks_wh is None else blocks_wh,
        estimated=frozenset(i for i, letter in enumerate(letters) if letter in "ES"),
        off=frozenset(i for i in range(BLOCKS) if (off or 0) >> i & 1),
        substituted=frozenset(i for i, letter in enumerate(letters) if letter == "S"),
    )


def state(day: LoadDay, i: int) -> State:
    """A cut is a cut even where nothing was sent: no supply, no reading to miss."""
    if i in day.off:
        return "off"
    if day.blocks_wh[i] is None:
        return "missing"
    return "estimated" if i in day.estimated else "measured"


def state_word(day: LoadDay, i: int, language: Language) -> str:
    """Substituted looks as estimated does, and is called by its own name."""
    is_in = state(day, i)
    return word("substituted" if is_in == "estimated" and i in day.substituted else is_in, language)


def load_w(day: LoadDay, i: int) -> int | None:
    """Average load of a half-hour in W; None in a cut and where not known."""
    wh = day.blocks_wh[i]
    return None if wh is None or i in day.off else 2 * wh


def peak(day: LoadDay) -> int | None:
    """Position of the half-hour with the highest load, the first of equals; None where none is known."""
    known = [(load, -i) for i in range(BLOCKS) if (load := load_w(day, i)) is not None]
    return -max(known)[1] if known else None


def used_wh(day: LoadDay) -> int:
    """Of the half-hours known."""
    return sum(wh for wh in day.blocks_wh if wh is not None)


def count(day: LoadDay, what: State) -> int:
    return sum(state(day, i) == what for i in range(BLOCKS))


def load_table(
    day: LoadDay, *, language: Language, bands: Sequence[Band] = (), compared: LoadDay | None = None
) -> Table:
    """48 rows: from - to, average kW, units, how known (and the band, and the kW of the compared day)."""
    header = [word("time", language), word("kw", language), chart_words.word("units", language)]
    header.append(chart_words.word("how", language))
    header += [word("band", language)] if bands else []
    header += [f"{word('kw', language)}, {day_month(compared.day, language)}"] if compared else []
    rows = []
    for i in range(BLOCKS):
        row = [clock_range(i, i + 1, language), _kw_exact(load_w(day, i)), exact(day.blocks_wh[i])]
        row.append(state_word(day, i, language))
        row += [next((band_text(b, language) for b in bands if b.start <= i < b.end), "–")] if bands else []
        row += [_kw_exact(load_w(compared, i))] if compared else []
        rows.append(tuple(row))
    return tuple(header), rows


def load_sentence(
    day: LoadDay, language: Language, *, today: dt.date | None = None, sanctioned_w: int | None = None
) -> str:
    """Units of the day, its peak with its time, whether within the sanctioned load; cuts and missing half-hours."""
    missing, top = count(day, "missing"), peak(day)
    if top is None and missing == BLOCKS:
        return chart_words.word("nothing", language)
    yesterday = today is not None and day.day == today - dt.timedelta(days=1)
    when = chart_words.word("on_day", language, day=day_month(day.day, language))
    when = chart_words.word("yesterday", language) if yesterday else when
    used = word("used_part" if missing else "used", language, when=when, units=units(used_wh(day), language))
    return " ".join([used, *_peak_said(day, top, sanctioned_w, language), *_flaws([day], language)])


def heat_sentence(days: Sequence[LoadDay], language: Language, *, totals: bool = False) -> str:
    """When of the day most is used over these days, and what of them is missing.

    `totals`: totals of days are known, so that without any half-hour there still is something.
    """
    flaws = _flaws(days, language)
    if all(wh is None for d in days for wh in d.blocks_wh):
        if totals:
            return word("totals_alone", language)
        return " ".join(flaws) if any(d.off for d in days) else chart_words.word("nothing", language)
    total = sum(used_wh(d) for d in days)
    if total <= 0:
        return " ".join([word("unused", language), *flaws])
    by_half_hour = [sum(d.blocks_wh[i] or 0 for d in days) for i in range(BLOCKS)]
    windows = [sum(by_half_hour[(start + i) % BLOCKS] for i in range(WINDOW)) for start in range(BLOCKS)]
    start = windows.index(max(windows))
    time = clock_between(start, (start + WINDOW) % BLOCKS or BLOCKS, language)
    percent = scaled(nearest(windows[start] * 100, total), places=0, least=0)
    return " ".join([word("window", language, time=time, percent=percent), *flaws])


def word(name: str, language: Language, **values: str) -> str:
    return WORDS[name].in_(language).format(**values)


def kw_text(load_w: int) -> str:
    """A load as a chart says it: a tenth of a kW, below 1 kW a hundredth; never for a bill."""
    if load_w < 995:
        return scaled(nearest(load_w, 10), places=2, least=0)
    return scaled(nearest(load_w, 100), places=1, least=0)


def clock(half: int, language: Language) -> str:
    """A time `half` half-hours after midnight as people say it: `रात 11:30`, `11:30 pm`."""
    part, said = _part(half, language), _hour(half, language)
    return f"{part} {said}".strip() if language == "hi" else f"{said} {part}".strip()


def clock_range(start: int, end: int, language: Language) -> str:
    """`रात 11–11:30`, `11–11:30 pm`: the part of the day once where both have the same."""
    return _joined(start, end, "–", language)


def clock_between(start: int, end: int, language: Language) -> str:
    """`रात 11 से 11:30`, `between 11 and 11:30 pm`."""
    said = _joined(start, end, " से " if language == "hi" else " and ", language)
    return said if language == "hi" else f"between {said}"


def band_text(band: Band, language: Language) -> str:
    """`पीक · महँगी`; what is called usual is not called so twice."""
    price = word(band.price, language)
    return band.name if band.name.casefold() == price.casefold() else f"{band.name} · {price}"


def _joined(start: int, end: int, between: str, language: Language) -> str:
    same = _part(start, language) == _part(end, language) != ""
    first = _hour(start, language) if same and language == "en" else clock(start, language)
    last = _hour(end, language) if same and language == "hi" else clock(end, language)
    return f"{first}{between}{last}"


def _part(half: int, language: Language) -> str:
    hour = half // 2 % 24
    if language == "en":
        return "" if half % 24 == 0 else "am" if hour < 12 else "pm"
    starts = ((20, "रात"), (16, "शाम"), (12, "दोपहर"), (4, "सुबह"), (0, "रात"))
    return next(name for begins, name in starts if hour >= begins)


def _hour(half: int, language: Language) -> str:
    if language == "en" and half % 24 == 0:
        return "noon" if half == 24 else "midnight"
    return f"{half // 2 % 12 or 12}{':30' if half % 2 else ''}"


def _peak_said(day: LoadDay, top: int | None, sanctioned_w: int | None, language: Language) -> list[str]:
    load = None if top is None else load_w(day, top)
    if top is None or load is None:
        return []
    limit = ""
    if sanctioned_w is not None:
        limit = word("within" if load <= sanctioned_w else "beyond", language, load=kw(sanctioned_w))
    time = clock_between(top, top + 1, language)
    sure = f" ({state_word(day, top, language).lower()})" if top in day.estimated else ""
    return [word("peak", language, load=kw_text(load), sure=sure, time=time, limit=limit)]


def _flaws(days: Sequence[LoadDay], language: Language) -> list[str]:
    off, missing = (sum(count(d, what) for d in days) for what in ("off", "missing"))
    guessed = sum(state(d, i) == "estimated" for d in days for i in d.estimated - d.substituted)
    said = [word("off_hours", language, hours=hours_text(off))] if off else []
    for name, number in (("gap", missing), ("guessed", guessed)):
        if number:
            key = f"one_{name}" if number == 1 else name
            said.append(word(key, language, count=str(number), hours=hours_text(number)))
    return said


def _kw_exact(load: int | None) -> str:
    return "–" if load is None else kw(load)
