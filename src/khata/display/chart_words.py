"""What the charts say in words and numbers, their sentence and their tables; `charts` draws the same."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from khata.display.bill_text import SlabView
from khata.display.dates import day, day_month, month
from khata.display.labels import Label, Language, heading
from khata.display.money import RUPEE, grouped, kwh, rate, rupees, scaled
from khata.kernel.days import year_before

Table: TypeAlias = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]

FEWEST_PAIRS = 20  # days known in both years, below which a comparison would mislead

WORDS: dict[str, Label] = {
    "days": Label("रोज़ की यूनिट", "Units a day"),
    "days_rupees": Label("रोज़ का खर्च", "Cost a day"),
    "months": Label("महीने की यूनिट", "Units a month"),
    "rupees": Label("रुपये", "Rupees"),
    "unit": Label("यूनिट", "unit"),
    "units": Label("यूनिट", "Units"),
    "day": Label("दिन", "Day"),
    "month": Label("महीना", "Month"),
    "how": Label("कैसे पता चला", "How known"),
    "this_year": Label("इस साल", "This year"),
    "last_year": Label("पिछले साल", "Last year"),
    "measured": Label("मीटर से", "Measured"),
    "estimated": Label("अनुमानित", "Estimated"),
    "forecast": Label("आगे का अंदाज़ा", "Forecast"),
    "hole": Label("रीडिंग नहीं आई", "No reading"),
    "unpriced": Label("दाम अभी नहीं लगा", "Not priced yet"),
    "off": Label("बिजली कटी", "Power cut"),
    "off_title": Label("{hours} घंटे बिजली नहीं थी", "no power for {hours} hours"),
    "off_column": Label("बिजली नहीं थी (घंटे)", "Without power (hours)"),
    "off_days": Label("इन दिनों कुल {hours} घंटे बिजली नहीं थी।", "There was no power for {hours} hours in all."),
    "minus": Label("रीडिंग पीछे गई", "Reading went back"),
    "whole": Label("पूरा महीना", "Whole month"),
    "many_months": Label("{months} महीने का एक बिल", "One bill for {months} months"),
    "partial": Label("महीना अभी बाकी है", "Month not over yet"),
    "no_bill": Label("बिल नहीं बना", "No bill"),
    "nothing": Label("अभी दिखाने के लिए कोई रीडिंग नहीं है।", "There is nothing to show yet: no reading has come in."),
    "no_slabs": Label("अभी दिखाने के लिए कोई स्लैब नहीं है।", "There is nothing to show yet: no slab has been used."),
    "yesterday": Label("कल", "Yesterday"),
    "on_day": Label("{day} को", "On {day}"),
    "used": Label("{when} {units} बिजली खर्च हुई{sure}।", "{when} you used {units}{sure}."),
    "spent": Label("{when} {units} की बिजली खर्च हुई{sure}।", "{when} you used {units} worth{sure}."),
    "average": Label("रोज़ का औसत {units} है{compared}।", "The daily average is {units}{compared}."),
    "less": Label(", पिछले साल के इन्हीं दिनों से {percent}% कम", ", {percent}% less than on the same days last year"),
    "more": Label(", पिछले साल के इन्हीं दिनों से {percent}% ज़्यादा", ", {percent}% more than on the same days last year"),
    "same": Label(", पिछले साल के इन्हीं दिनों जितना ही", ", the same as on these days last year"),
    "one_hole": Label("1 दिन की रीडिंग नहीं आई।", "The reading of 1 day did not come in."),
    "holes": Label("{days} दिन की रीडिंग नहीं आई।", "The readings of {days} days did not come in."),
    "highest": Label("सबसे ज़्यादा {units}, {when}।", "Highest: {units}, {when}."),
    "spark": Label("{days} दिन, किसी एक दिन सबसे ज़्यादा {units}।", "{days} days, at most {units} a day."),
    "slab_range": Label("{units} यूनिट", "{units} units"),
    "per_unit": Label("/यूनिट", "/unit"),
}

Quality: TypeAlias = Literal["measured", "estimated", "forecast"]
Unit: TypeAlias = Literal["units", "rupees"]


@dataclass(frozen=True)
class DayBar:
    """One day's use in Wh, None without a reading; and that of the same day last year, None where not known.

    `off_half_hours`: how many of its half-hours had no supply. The paise are for a chart in rupees.
    """

    day: dt.date
    wh: int | None
    quality: Quality
    last_year_wh: int | None
    off_half_hours: int = 0
    paise: int | None = None
    last_year_paise: int | None = None


@dataclass(frozen=True)
class MonthBar:
    """One month's use in Wh, None without a bill; `partial` while the month is not over or not all of it was read.

    `months`: how many are in it, where one bill was made for several; it stands at the last of them.
    """

    month: dt.date
    wh: int | None
    partial: bool
    months: int = 1


def day_bars(used: Mapping[dt.date, int | None], *, end: dt.date, days: int) -> list[DayBar]:
    """The last days before `end`, each beside the same day a year before; `used` in Wh holds those of both years."""
    shown = [end - dt.timedelta(days=back) for back in range(days, 0, -1)]
    return [DayBar(day, used.get(day), "measured", used.get(year_before(day))) for day in shown]


def average_wh(days: Sequence[DayBar]) -> int | None:
    """Of the days known, to the nearest Wh; None where none is. The one average that pages and sentence say."""
    return _average(days, "units")


def daily_table(days: Sequence[DayBar], *, language: Language) -> Table:
    """What the daily chart shows, exactly: its heading and its rows, as plain text still to be escaped.

    Rupees, last year and hours without power have their columns where some day has them.
    """
    priced, cut = any(d.paise is not None for d in days), any(d.off_half_hours for d in days)
    before = any(d.last_year_wh is not None for d in days)
    names = ["day", "units", *(["rupees"] if priced else []), *(["last_year"] if before else []), "how"]
    names += ["off_column"] if cut else []
    rows = []
    for d in days:
        cost = [rupees(d.paise) if d.paise is not None else "–"] if priced else []
        last = [exact(d.last_year_wh)] if before else []
        off = [hours_text(d.off_half_hours)] if cut else []
        rows.append((day(d.day, language), exact(d.wh), *cost, *last, word(kind(d), language), *off))
    return tuple(word(name, language) for name in names), rows


def month_table(months: Sequence[MonthBar], *, language: Language) -> Table:
    """What the monthly chart shows, exactly: its heading and its rows, as plain text still to be escaped."""
    header = (word("month", language), word("units", language), word("how", language))
    rows = [(month(m.month, language), exact(m.wh), month_kind(m, language)) for m in months]
    return header, rows


def daily_sentence(
    days: Sequence[DayBar], language: Language, *, today: dt.date | None = None, unit: Unit = "units"
) -> str:
    """What the days say in everyday words: the last known day, the average, and against last year.

    Last year is compared over the days known in both years, if these are at least 20. The last day is called
    yesterday if it is, and by its date where `today` is not given. Plain text, still to be escaped.
    """
    known = [(d, value) for d in days if (value := known_value(d, unit)) is not None]
    if not known:
        return word("nothing", language)
    last, last_value = known[-1]
    yesterday = today is not None and last.day == today - dt.timedelta(days=1)
    when = word("yesterday", language) if yesterday else word("on_day", language, day=day_month(last.day, language))
    sure = f" ({word('estimated', language).lower()})" if last.quality == "estimated" else ""
    used = "used" if unit == "units" else "spent"
    average = said(_average(days, unit) or 0, unit, language)
    off = sum(d.off_half_hours for d in days)
    parts = [
        word(used, language, when=when, units=said(last_value, unit, language), sure=sure),
        word("average", language, units=average, compared=_compared(days, unit, language)),
        holes_sentence(sum(d.wh is None for d in days), language),
        word("off_days", language, hours=hours_text(off)) if off else "",
    ]
    return " ".join(part for part in parts if part)


def units_text(wh: int) -> str:
    """Units as a chart says them, to the nearest tenth and from 100 units on to the nearest whole; never for a bill."""
    if abs(wh) >= 99_950:
        return scaled(nearest(wh, 1000), places=0, least=0)
    return scaled(nearest(wh, 100), places=1, least=0)


def short(value: int, unit: Unit) -> str:
    """A number as a chart says it: units short, rupees whole from ₹10 on."""
    if unit == "units":
        return units_text(value)
    return f"{'-' if value < 0 else ''}{RUPEE}{_short_rupees(abs(value))}"


def said(value: int, unit: Unit, language: Language) -> str:
    """`22.4 यूनिट`, `₹142`."""
    return units(value, language) if unit == "units" else short(value, unit)


def value_of(bar: DayBar, unit: Unit) -> int | None:
    """In Wh or paise."""
    return bar.wh if unit == "units" else bar.paise


def known_value(bar: DayBar, unit: Unit) -> int | None:
    """What the day came to; a forecast is not known."""
    return None if bar.quality == "forecast" else value_of(bar, unit)


def hours_text(half_hours: int) -> str:
    """5 half-hours are `2.5`."""
    return scaled(half_hours * 5, places=1, least=0)


def slab_range(slab: SlabView, language: Language) -> str:
    """`0-150 यूनिट`, `300 से ऊपर`."""
    if slab.up_to_wh is None:
        return heading("slab_above", language, units=kwh(slab.from_wh))
    return word("slab_range", language, units=f"{kwh(slab.from_wh)}–{kwh(slab.up_to_wh)}")


def word(name: str, language: Language, **values: str) -> str:
    return WORDS[name].in_(language).format(**values)


def units(wh: int, language: Language, *, exact: bool = False) -> str:
    text = kwh(wh) if exact else units_text(wh)
    return f"{text} {word('unit', language) if text == '1' else heading('units', language)}"


def exact(wh: int | None) -> str:
    return "–" if wh is None else kwh(wh)


def slab_rate(slab: SlabView) -> str:
    return f"₹{rate(slab.rate_e4)}"


def kind(bar: DayBar) -> str:
    if bar.wh is None:
        return "hole"
    return "minus" if bar.wh < 0 else bar.quality


def month_kind(bar: MonthBar, language: Language) -> str:
    if bar.wh is None:
        return word("no_bill", language)
    if bar.months > 1:
        return word("many_months", language, months=str(bar.months))
    return word("partial" if bar.partial else "whole", language)


def month_title(bar: MonthBar, language: Language) -> str:
    """`जून 2026: 358 यूनिट`, and what there is to say about it."""
    if bar.wh is None:
        return f"{month(bar.month, language)}: {month_kind(bar, language)}"
    more = f" ({month_kind(bar, language)})" if bar.partial or bar.months > 1 else ""
    return f"{month(bar.month, language)}: {units(bar.wh, language)}{more}"


def day_title(bar: DayBar, language: Language, unit: Unit = "units") -> str:
    """`6 जून: 22.4 यूनिट`, `6 जून: ₹142.35, 22.4 यूनिट`, and what there is to say about it."""
    said = word("hole", language) if bar.wh is None else units(bar.wh, language)
    if bar.wh is not None and kind(bar) != "measured":
        said += f" ({word(kind(bar), language)})"
    if unit == "rupees" and bar.wh is not None:
        said = f"{word('unpriced', language) if bar.paise is None else rupees(bar.paise)}, {said}"
    if bar.off_half_hours:
        said += f", {word('off_title', language, hours=hours_text(bar.off_half_hours))}"
    return f"{day_month(bar.day, language)}: {said}"


def highest_sentence(days: Sequence[DayBar], best: int | None, language: Language, unit: Unit = "units") -> str:
    if best is None:
        return ""
    highest = said(value_of(days[best], unit) or 0, unit, language)
    return word("highest", language, when=day_month(days[best].day, language), units=highest)


def holes_sentence(count: int, language: Language) -> str:
    if count == 0:
        return ""
    return word("one_hole", language) if count == 1 else word("holes", language, days=str(count))


def _average(days: Sequence[DayBar], unit: Unit) -> int | None:
    known = [value for d in days if (value := known_value(d, unit)) is not None]
    return nearest(sum(known), len(known)) if known else None


def _compared(days: Sequence[DayBar], unit: Unit, language: Language) -> str:
    before_now = [(d.last_year_wh if unit == "units" else d.last_year_paise, known_value(d, unit)) for d in days]
    pairs = [(before, now) for before, now in before_now if before is not None and now is not None]
    before = sum(last for last, _ in pairs)
    if len(pairs) < FEWEST_PAIRS or before <= 0:
        return ""
    percent = nearest((sum(now for _, now in pairs) - before) * 100, before)
    if percent == 0:
        return word("same", language)
    return word("less" if percent < 0 else "more", language, percent=grouped(abs(percent)))


def _short_rupees(paise: int) -> str:
    if paise < 1000 and paise % 100:
        return scaled(paise, places=2, least=2)
    return grouped(nearest(paise, 100))


def index_of_highest(values: Sequence[int | None]) -> int | None:
    known = [(wh, -i) for i, wh in enumerate(values) if wh is not None]
    return -max(known)[1] if known else None


def nearest(value: int, per: int) -> int:
    """value / per, halves away from 0."""
    nearest = (2 * abs(value) + per) // (2 * per)
    return -nearest if value < 0 else nearest
