"""A bill as plain text for a terminal: the same lines, words and numbers as every other print of it."""

import datetime as dt
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from khata.display.dates import day, period
from khata.display.labels import Language, heading, line_label, step_label, unit
from khata.display.money import amount, kw, kwh, rate, rupees, scaled
from khata.display.sources import Source, category_words, clause_words

BAR_WIDTH = 20
SOURCE_WIDTH = 100
VIRAMA = "\N{DEVANAGARI SIGN VIRAMA}"

Align = Literal["left", "right"]


@dataclass(frozen=True)
class ReadingView:
    """One meter over the period; registers in Wh, consumption after the multiplier."""

    meter_number: str
    previous_wh: int
    previous_day: dt.date
    present_wh: int
    present_day: dt.date
    multiplier: int
    consumption_wh: int
    previous_estimated: bool = False  # told from the registers before and after it when the bill was made, not read
    present_estimated: bool = False


@dataclass(frozen=True)
class SlabView:
    """One slab: from (Wh) up to (Wh, None = no end), what of it was used, at which rate (10⁻⁴ rupee a unit)."""

    from_wh: int
    up_to_wh: int | None
    used_wh: int
    rate_e4: int


@dataclass(frozen=True)
class LineView:
    """One charge line. The quantity is in thousandths of its unit; the rate in 10⁻⁴ of its unit ("₹/kWh", "%").

    Without an amount it is a step of the line above it, as one slab of several, and named by its printed words.
    """

    line_id: str
    amount_paise: int | None
    quantity_milli: int | None = None
    unit: str = ""
    rate_e4: int | None = None
    rate_unit: str = ""
    clause: str = ""
    printed: str = ""
    times: str = ""  # what else multiplies: months, or the days of a share of one
    part: tuple[dt.date, dt.date] | None = None  # the days [start, end) it charges, where a bill has several parts


@dataclass(frozen=True)
class BillView:
    """All that a print of a bill shows. The period is [start, end); arrears below 0 are a credit.

    `mask_name` prints only the first letter of each word: for whoever has not proved to be the consumer.
    """

    account_number: str
    name: str
    mask_name: bool
    discom: str
    division: str
    category: str
    sanctioned_load_w: int
    max_demand_w: int | None  # None: none was recorded
    energy_wh: int
    period_start: dt.date
    period_end: dt.date
    bill_number: str
    bill_date: dt.date
    due_date: dt.date | None
    lines: tuple[LineView, ...]
    bill_paise: int
    arrears_paise: int
    payable_paise: int
    readings: tuple[ReadingView, ...] = ()
    slabs: tuple[SlabView, ...] = ()
    old_number: str | None = None
    old_number_last_day: dt.date | None = None
    draft: bool = False
    orders: tuple[str, ...] = ()  # their titles
    sources: tuple[Source, ...] = ()  # the orders, and what the clauses named in the lines say


def bill_text(bill: BillView, language: Language) -> str:
    """The whole bill in one language, ending with a newline."""
    title = f"{heading('bill', language)}  {bill.discom}"
    parts: list[list[str]] = [[title]]
    if bill.draft:
        parts[0].append(f"*** {heading('draft', language)} ***")
    parts.append(_facts(bill, language))
    if bill.readings:
        parts.append([heading("readings", language), *_readings(bill.readings, language)])
    parts.append([heading("charges", language), *_lines(bill.lines, language)])
    if bill.slabs:
        parts.append([heading("slabs", language), *_slabs(bill.slabs, language)])
    parts.append(_totals(bill, language))
    if bill.sources:
        told = (line for source in bill.sources for line in _wrapped(str(source)))
        parts.append([heading("sources", language), *told])
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _wrapped(source: str) -> list[str]:
    return textwrap.wrap(source, SOURCE_WIDTH, initial_indent="  ", subsequent_indent="    ")


def times(months: int, days: int, of_days: int, language: Language) -> str:
    """`× 2 months`, `× 10/30 days`, or nothing for one whole month."""
    whole = heading("times_months", language, months=str(months)) if months != 1 else ""
    share = heading("times_days", language, days=str(days), of=str(of_days)) if days != of_days else ""
    return f"{whole} {share}".strip()


def masked_name(name: str) -> str:
    """`आशा देवी` as `आ*** दे***`: the same stars for every length, so that a length tells nothing."""
    return " ".join(f"{_first_letter(word)}***" for word in name.split())


def width(text: str) -> int:
    """Columns on a terminal: a mark on a letter takes none, a wide character two."""
    return sum(_columns(c) for c in text)


def table(rows: Sequence[Sequence[str]], align: Sequence[Align]) -> list[str]:
    """Rows as aligned lines, two blanks between the columns."""
    widths = [max(width(row[i]) for row in rows) for i in range(len(align))]
    return ["  ".join(_pad(cell, w, a) for cell, w, a in zip(row, widths, align, strict=True)).rstrip() for row in rows]


def bar(used: int, capacity: int) -> str:
    """How full, as BAR_WIDTH blocks; what is used at all shows at least one."""
    filled = min(BAR_WIDTH, max(int(used > 0), used * BAR_WIDTH // capacity)) if capacity > 0 else 0
    return "█" * filled + "░" * (BAR_WIDTH - filled)


def _facts(bill: BillView, language: Language) -> list[str]:
    facts = [("account_number", bill.account_number)]
    if bill.old_number is not None:
        last = bill.old_number_last_day
        until = f" ({heading('old_number_until', language, day=day(last, language))})" if last else ""
        facts.append(("old_number", bill.old_number + until))
    facts += [
        ("name", masked_name(bill.name) if bill.mask_name else bill.name),
        ("division", bill.division),
        ("category", category_words(bill.category, language)),
        ("sanctioned_load", f"{kw(bill.sanctioned_load_w)} kW"),
        ("max_demand", demand_words(bill.max_demand_w, language)),
        ("consumption", kwh(bill.energy_wh)),
        ("period", period(bill.period_start, bill.period_end, language)),
        ("bill_number", bill.bill_number),
        ("bill_date", day(bill.bill_date, language)),
    ]
    if bill.due_date is not None:
        facts.append(("due_date", day(bill.due_date, language)))
    return table([(heading(name, language), value) for name, value in facts], ("left", "left"))


def _readings(readings: Sequence[ReadingView], language: Language) -> list[str]:
    names = ("meter_number", "previous_reading", "present_reading", "multiplier", "consumption")
    rows = [tuple(heading(name, language) for name in names)]
    for r in readings:
        previous = f"{kwh(r.previous_wh)} ({_read_on(r.previous_day, r.previous_estimated, language)})"
        present = f"{kwh(r.present_wh)} ({_read_on(r.present_day, r.present_estimated, language)})"
        rows.append((r.meter_number, previous, present, str(r.multiplier), kwh(r.consumption_wh)))
    lines = table(rows, ("left", "right", "right", "right", "right"))
    return [*lines, *_wrapped(heading("estimated_why", language))] if estimated(readings) else lines


def _read_on(date: dt.date, guess: bool, language: Language) -> str:
    return f"{day(date, language)}, {heading('estimated', language)}" if guess else day(date, language)


def estimated(readings: Iterable[ReadingView]) -> bool:
    """Whether any register of a bill was estimated when it was made: then it says so, and why."""
    return any(each.previous_estimated or each.present_estimated for each in readings)


def demand_words(demand_w: int | None, language: Language) -> str:
    return heading("unknown", language) if demand_w is None else f"{kw(demand_w)} kW"


@dataclass(frozen=True)
class PrintedLine:
    """A charge line in words, as every table of a bill shows it; `step` is one of several of the line above it.

    `clause` is for a clerk, as the order's file has it; `source` says the same in words.
    """

    label: str
    quantity: str
    rate: str
    amount: str
    clause: str
    source: str
    step: bool


def line_name(line: LineView, language: Language) -> str:
    """What a line or step is called on every print of a bill."""
    if line.amount_paise is None:
        return step_label(line.printed, language)
    return line_label(line.line_id, language, printed=line.printed)


def printed_lines(lines: Iterable[LineView], language: Language) -> list[PrintedLine]:
    printed = []
    for line in lines:
        step = line.amount_paise is None
        label = line_name(line, language)
        paise = "" if line.amount_paise is None else amount(line.amount_paise)
        source = clause_words(line.clause, language)
        printed.append(
            PrintedLine(label, _quantity(line, language), _rate(line, language), paise, line.clause, source, step)
        )
    return printed


def _lines(lines: Iterable[LineView], language: Language) -> list[str]:
    rows = [tuple(heading(name, language) for name in ("item", "quantity", "rate", "amount", "clause"))]
    rows += [
        (f"  {line.label}" if line.step else line.label, line.quantity, line.rate, line.amount, line.clause)
        for line in printed_lines(lines, language)
    ]
    return table(rows, ("left", "right", "right", "right", "left"))


def _quantity(line: LineView, language: Language) -> str:
    if line.quantity_milli is None:
        return ""
    quantity = f"{scaled(line.quantity_milli, places=3, least=0)} {unit(line.unit, language)}".rstrip()
    return f"{quantity} {line.times}".rstrip()


def _rate(line: LineView, language: Language) -> str:
    """`6.85 ₹/यूनिट`."""
    money, per, counted = line.rate_unit.partition("/")
    return "" if line.rate_e4 is None else f"{rate(line.rate_e4)} {money}{per}{unit(counted, language)}".rstrip()


def _slabs(slabs: Sequence[SlabView], language: Language) -> list[str]:
    total_wh = sum(slab.used_wh for slab in slabs)
    rows = []
    for slab in slabs:
        open_ended = slab.up_to_wh is None
        capacity = total_wh if slab.up_to_wh is None else slab.up_to_wh - slab.from_wh
        name = heading("slab_above", language, units=kwh(slab.from_wh)) if open_ended else _range(slab)
        used = f"{kwh(slab.used_wh)} {heading('units', language)}"
        rows.append((name, bar(slab.used_wh, capacity), used, f"× {rate(slab.rate_e4)} ₹"))
    return table(rows, ("left", "left", "right", "right"))


def _range(slab: SlabView) -> str:
    return f"{kwh(slab.from_wh)}-{kwh(slab.up_to_wh or 0)}"


def _totals(bill: BillView, language: Language) -> list[str]:
    rows = [(heading("bill_amount", language), rupees(bill.bill_paise))]
    if bill.arrears_paise:
        name = "arrears" if bill.arrears_paise > 0 else "credit"
        rows.append((heading(name, language), rupees(bill.arrears_paise)))
    rows.append((heading("payable", language), rupees(bill.payable_paise)))
    return table(rows, ("left", "right"))


def _pad(cell: str, columns: int, align: Align) -> str:
    blanks = " " * (columns - width(cell))
    return cell + blanks if align == "left" else blanks + cell


def _columns(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Mc", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1


def _first_letter(word: str) -> str:
    """The first letter with its vowel sign, without the half letter that a virama would leave."""
    end = 1
    while end < len(word) and unicodedata.category(word[end]).startswith("M") and word[end] != VIRAMA:
        end += 1
    return word[:end]
