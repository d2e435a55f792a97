"""What the charts of months say in words and numbers: the trend and the demand; `trend_chart` draws the same."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from khata.display import chart_words
from khata.display.chart_words import Table, Unit, exact, nearest, said, short
from khata.display.curve_words import kw_text
from khata.display.dates import month as month_text
from khata.display.labels import Label, Language
from khata.display.money import grouped, kw, rupees

WORDS: dict[str, Label] = {
    "units": Label("महीने की यूनिट", "Units a month"),
    "rupees": Label("महीने का खर्च", "Cost a month"),
    "so_far": Label("अब तक", "So far"),
    "forecast": Label("महीने के अंत तक (अंदाज़ा)", "By the end of the month (forecast)"),
    "range": Label("{low} से {high}", "{low} to {high}"),
    "about": Label("लगभग {likely} ({range} के बीच)", "about {likely} (between {low} and {high})"),
    "between": Label("{range} के बीच रह सकता है", "It may be {range}"),
    "running": Label(
        "{month} में अब तक {so_far}; महीने के अंत तक {about}{compared}।",
        "{month}: {so_far} so far; by the end of the month {about}{compared}.",
    ),
    "over": Label("{month} में {used}{compared}।", "{month}: {used}{compared}."),
    "less": Label(", पिछले साल के इसी महीने से {percent}% कम", ", {percent}% less than in the same month last year"),
    "more": Label(", पिछले साल के इसी महीने से {percent}% ज़्यादा", ", {percent}% more than in the same month last year"),
    "same": Label(", पिछले साल के इसी महीने जितना ही", ", the same as in that month last year"),
    "unknown": Label("पता नहीं", "Not known"),
    "partly": Label("कुछ दिन अनुमानित", "Some days estimated"),
    "rupees_last_year": Label("पिछले साल (रुपये)", "Last year (rupees)"),
    "demand": Label("महीने का सबसे ज़्यादा लोड", "Highest load of each month"),
    "demand_column": Label("सबसे ज़्यादा {unit}", "Highest {unit}"),
    "sanctioned_column": Label("स्वीकृत भार {unit}", "Sanctioned load {unit}"),
    "sanctioned": Label("स्वीकृत भार", "Sanctioned load"),
    "excess": Label("स्वीकृत भार से ऊपर", "Above sanctioned load"),
    "cost": Label("इसका खर्च", "What it cost"),
    "highest": Label("सबसे ज़्यादा लोड {load} {unit} रहा, {month} में।", "The highest load was {load} {unit}, in {month}."),
    "never": Label("हर महीने स्वीकृत भार के भीतर रहा।", "It stayed within the sanctioned load in every month."),
    "never_known": Label(
        "जिन महीनों का पता है, उनमें स्वीकृत भार के भीतर रहा।",
        "In the months that are known it stayed within the sanctioned load.",
    ),
    "often": Label(
        "{months} महीने स्वीकृत भार से ज़्यादा रहा{cost}।", "It was above the sanctioned load in {months} months{cost}."
    ),
    "once": Label("1 महीने स्वीकृत भार से ज़्यादा रहा{cost}।", "It was above the sanctioned load in 1 month{cost}."),
    "which_cost": Label("; इसके {rupees} लगे", ", which cost {rupees}"),
}


@dataclass(frozen=True)
class Span:
    """Between `low` and `high`, most likely `likely`; Wh or paise."""

    low: int
    likely: int
    high: int

    def __post_init__(self) -> None:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"a span goes low, likely, high; {self.low}, {self.likely}, {self.high} does not")


@dataclass(frozen=True)
class TrendMonth:
    """A month's use in Wh and in paise, None where not known, beside the same month last year.

    `forecast` and `forecast_paise`: what the running month will come to as a whole; its `wh` is what is known so far.
    `running`: it is not over, with a forecast or without. `estimated`: some of its days are.
    """

    month: dt.date
    wh: int | None
    last_year_wh: int | None = None
    paise: int | None = None
    last_year_paise: int | None = None
    forecast: Span | None = None
    forecast_paise: Span | None = None
    estimated: bool = False
    running: bool = False

    def value(self, unit: Unit) -> int | None:
        return self.wh if unit == "units" else self.paise

    def last_year(self, unit: Unit) -> int | None:
        return self.last_year_wh if unit == "units" else self.last_year_paise

    def expected(self, unit: Unit) -> Span | None:
        return self.forecast if unit == "units" else self.forecast_paise


@dataclass(frozen=True)
class DemandMonth:
    """A month's highest demand against what was sanctioned then, in W (or VA), None where not known.

    `cost_paise`: what exceeding it cost, where a bill says so.
    """

    month: dt.date
    demand_w: int | None
    sanctioned_w: int | None
    cost_paise: int | None = None

    @property
    def excess_w(self) -> int:
        if self.demand_w is None or self.sanctioned_w is None:
            return 0
        return max(0, self.demand_w - self.sanctioned_w)


def trend_table(months: Sequence[TrendMonth], *, language: Language) -> Table:
    """A row a month: units, rupees, both of last year, each where some month has it, and how known."""
    columns = [
        (chart_words.word("last_year", language), [m.last_year_wh for m in months], exact),
        (chart_words.word("rupees", language), [m.paise for m in months], _rupees),
        (word("rupees_last_year", language), [m.last_year_paise for m in months], _rupees),
    ]
    told = [each for each in columns if any(value is not None for value in each[1])]
    names = [chart_words.word(name, language) for name in ("month", "units", "how")]
    rows = []
    for i, m in enumerate(months):
        more = [text(values[i]) for _, values, text in told]
        rows.append((month_text(m.month, language), exact(m.wh), *more, how(m, language)))
    return (*names[:2], *(name for name, *_ in told), names[2]), rows


def trend_sentence(months: Sequence[TrendMonth], language: Language, *, unit: Unit = "units") -> str:
    """The running month so far, its forecast with its range, and against last year."""
    known = [m for m in months if m.value(unit) is not None or m.expected(unit) is not None]
    if not known:
        return chart_words.word("nothing", language)
    last = known[-1]
    value, expected = last.value(unit) or 0, last.expected(unit)
    name = month_text(last.month, language)
    if expected is None:
        compared = _compared(value, last.last_year(unit), language)
        return word("over", language, month=name, used=said(value, unit, language), compared=compared)
    return word(
        "running",
        language,
        month=name,
        so_far=said(value, unit, language),
        about=about(expected, unit, language),
        compared=_compared(expected.likely, last.last_year(unit), language),
    )


def month_words(m: TrendMonth, unit: Unit, language: Language) -> str:
    """`जून 2026: 358 यूनिट अब तक; महीने के अंत तक लगभग 537 (490 से 590); पिछले साल 566 यूनिट`."""
    value, before, expected = m.value(unit), m.last_year(unit), m.expected(unit)
    parts = [word("unknown", language) if value is None else said(value, unit, language)]
    parts[0] += f" ({word('partly', language)})" if m.estimated and value is not None else ""
    parts += [f"{word('forecast', language)}: {about(expected, unit, language)}"] if expected else []
    parts += [f"{chart_words.word('last_year', language)} {said(before, unit, language)}"] if before is not None else []
    return f"{month_text(m.month, language)}: {'; '.join(parts)}"


def demand_table(months: Sequence[DemandMonth], *, language: Language, in_kva: bool = False) -> Table:
    """A row a month: demand, sanctioned load, by how much it exceeded, what that cost."""
    unit = unit_text(in_kva=in_kva)
    header = (
        chart_words.word("month", language),
        word("demand_column", language, unit=unit),
        word("sanctioned_column", language, unit=unit),
        word("excess", language),
        word("cost", language),
    )
    rows = [
        (month_text(m.month, language), _kw(m.demand_w), _kw(m.sanctioned_w), kw(m.excess_w), _rupees(m.cost_paise))
        for m in months
    ]
    return header, rows


def demand_sentence(months: Sequence[DemandMonth], language: Language, *, in_kva: bool = False) -> str:
    """The highest demand, in how many months it exceeded the sanctioned load, and what that cost."""
    known = [(m.demand_w, m) for m in months if m.demand_w is not None]
    if not known:
        return chart_words.word("nothing", language)
    load, highest = max(known, key=lambda pair: pair[0])
    when = month_text(highest.month, language)
    first = word("highest", language, load=kw_text(load), unit=unit_text(in_kva=in_kva), month=when)
    exceeded = [m for m in months if m.excess_w]
    if not exceeded:
        compared = sum(m.demand_w is not None and m.sanctioned_w is not None for m in months)
        never = word("never" if compared == len(months) else "never_known", language)
        return f"{first} {never}" if compared else first
    paid = sum(m.cost_paise or 0 for m in exceeded)
    cost = word("which_cost", language, rupees=rupees(paid)) if paid else ""
    times = word("once" if len(exceeded) == 1 else "often", language, months=str(len(exceeded)), cost=cost)
    return f"{first} {times}"


def demand_words(m: DemandMonth, language: Language, *, in_kva: bool) -> str:
    """`मई 2026: 4.6 kW; स्वीकृत भार 4 kW; स्वीकृत भार से ऊपर 0.6 kW, ₹214.00`."""
    unit = unit_text(in_kva=in_kva)
    parts = [word("unknown", language) if m.demand_w is None else f"{kw_text(m.demand_w)} {unit}"]
    parts += [f"{word('sanctioned', language)} {kw(m.sanctioned_w)} {unit}"] if m.sanctioned_w is not None else []
    if m.excess_w:
        cost = f", {rupees(m.cost_paise)}" if m.cost_paise is not None else ""
        parts.append(f"{word('excess', language)} {kw_text(m.excess_w)} {unit}{cost}")
    return f"{month_text(m.month, language)}: {'; '.join(parts)}"


def about(expected: Span, unit: Unit, language: Language) -> str:
    low, high = short(expected.low, unit), short(expected.high, unit)
    span = word("range", language, low=low, high=high)
    return word("about", language, likely=said(expected.likely, unit, language), range=span, low=low, high=high)


def how(m: TrendMonth, language: Language) -> str:
    if m.forecast or m.forecast_paise:
        expected = [about(span, unit, language) for span, unit in _spans(m) if span]
        return "; ".join([*_so_far(m, language), f"{word('forecast', language)}: {', '.join(expected)}"])
    if m.wh is None:
        return word("unknown", language)
    if m.running:
        return "; ".join(_so_far(m, language))
    return word("partly", language) if m.estimated else chart_words.word("whole", language)


def _so_far(m: TrendMonth, language: Language) -> list[str]:
    """Of the month that is not over."""
    return [chart_words.word("partial", language), *([word("partly", language)] if m.estimated else [])]


def unit_text(*, in_kva: bool) -> str:
    return "kVA" if in_kva else "kW"


def word(name: str, language: Language, **values: str) -> str:
    return WORDS[name].in_(language).format(**values)


def _spans(m: TrendMonth) -> list[tuple[Span | None, Unit]]:
    return [(m.forecast, "units"), (m.forecast_paise, "rupees")]


def _compared(value: int, before: int | None, language: Language) -> str:
    if before is None or before <= 0:
        return ""
    percent = nearest((value - before) * 100, before)
    if percent == 0:
        return word("same", language)
    return word("less" if percent < 0 else "more", language, percent=grouped(abs(percent)))


def _rupees(paise: int | None) -> str:
    return "–" if paise is None else rupees(paise)


def _kw(load_w: int | None) -> str:
    return "–" if load_w is None else kw(load_w)
