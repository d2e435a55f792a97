"""One bill at a time, in exact fractions, straight from the text of the rules: what the kernel is held against.

Written without a look at the kernel and different in everything: its own rates, no arrays, no order files.
"""

import datetime as dt
import itertools
from dataclasses import dataclass
from fractions import Fraction

JULY_2026 = dt.date(2026, 7, 2)
FIRST = dt.date(2022, 8, 1)
FPPAS = {
    "2025-04": "1.24", "2025-05": "-2.00", "2025-06": "4.27", "2025-07": "1.97", "2025-08": "0.24", "2025-09": "2.34",
    "2025-10": "-1.63", "2025-11": "1.83", "2025-12": "5.56", "2026-01": "-2.33", "2026-02": "10", "2026-03": "-2.42",
    "2026-05": "-1.52", "2026-06": "10", "2026-07": "-4.43", "2026-08": "-2.92",
}  # fmt: skip
COLUMNS = ("fixed", "excess_fixed", "energy", "subsidy", "minimum_top_up", "fppas", "duty", "rebate")

Slabs = list[tuple[str | None, str]]  # (up to units a month, rupees a unit)


@dataclass(frozen=True)
class Case:
    """Loads in W, energy in Wh, period [start, end)."""

    category: str
    area: str
    prepaid: bool
    start: dt.date
    end: dt.date
    load_w: int
    demand_w: int
    energy_wh: int
    bill_date: dt.date


@dataclass
class Part:
    start: dt.date
    end: dt.date
    energy_wh: int
    whole_wh: int  # of the bill, or of the prepaid calendar month
    months: int
    month_fraction: Fraction  # of the fixed charge
    slab_days: tuple[int, int, int]  # from, to, of


def to_paise(rupees: Fraction) -> int:
    """Half up, away from zero."""
    doubled = abs(rupees) * 200 + 1
    whole = doubled.numerator // doubled.denominator // 2
    return -whole if rupees < 0 else whole


def round_half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def schedule_of(case: Case, whole_wh: int, months: int) -> str:
    if case.category == "LMV-1":
        if case.load_w <= 1000 and whole_wh <= 100_000 * months:
            return "LMV-1 lifeline"
        return f"LMV-1 {case.area}"
    if case.area == "rural":
        return "LMV-2 rural"
    return "LMV-2 urban up to 4 kW" if case.load_w <= 4000 else "LMV-2 urban above 4 kW"


def rates(schedule: str, new: bool) -> tuple[str, Slabs, Slabs]:
    """Fixed charge a kW, full rates, subsidies; `new` = from 2 July 2026."""
    match schedule:
        case "LMV-1 lifeline":
            return "50", [(None, "6.50")], [(None, "3.75" if new else "3.50")]
        case "LMV-1 urban":
            return "110", [(None, "6.85")], [("150", "1.35"), ("300", "0.85"), (None, "0.35")]
        case "LMV-1 rural":
            low, next_one = ("3.70", "3.50") if new else ("3.30", "3.00")
            subsidies: Slabs = [("100", low), ("150", next_one), ("300", "1.85"), (None, "1.35")]
            return "90", [("100", "6.65"), (None, "6.85")], subsidies
        case "LMV-2 urban up to 4 kW":
            return "330", [("300", "7.50"), (None, "8.40")], []
        case "LMV-2 urban above 4 kW":
            return "450", [("1000", "7.50"), (None, "8.75")], []
        case _:
            return "110", [(None, "5.50")], []


def in_slabs(part: Part, slabs: Slabs) -> Fraction:
    start, stop, of = part.slab_days
    total, below = Fraction(0), 0
    for up_to, rate in slabs:
        top = part.energy_wh
        if up_to is not None:
            month_wh = Fraction(up_to) * 1000 * part.months
            limit = round_half_up(month_wh * stop / of) - round_half_up(month_wh * start / of)
            top = max(below, min(part.energy_wh, limit))
        total += Fraction(top - below, 1000) * Fraction(rate)
        below = top
    return total


def minimum(case: Case, part: Part) -> int:
    """Paise: 600 a kW and month from April to September, else 475, by days where both apply."""
    days = [part.start + dt.timedelta(n) for n in range((part.end - part.start).days)]
    a_day = Fraction(sum(600 if 4 <= day.month <= 9 else 475 for day in days), len(days))
    return to_paise(Fraction(case.load_w, 1000) * a_day * part.month_fraction)


def price_part(case: Case, part: Part) -> tuple[str, dict[str, int]]:
    schedule = schedule_of(case, part.whole_wh, part.months)
    fixed_rate, full, subsidies = rates(schedule, part.end > JULY_2026)
    load, demand = Fraction(case.load_w, 1000), Fraction(case.demand_w, 1000)
    domestic = case.category == "LMV-1"
    a_month = Fraction(fixed_rate) * part.month_fraction
    lines = dict.fromkeys(COLUMNS, 0)
    lines["fixed"] = to_paise(a_month * max(load * 3 / 4, min(demand, load)))
    lines["excess_fixed"] = to_paise(a_month * (2 if domestic else 3) * max(demand - load, Fraction(0)))
    lines["energy"] = to_paise(in_slabs(part, full))
    lines["subsidy"] = to_paise(in_slabs(part, subsidies)) if subsidies else 0
    if schedule.startswith("LMV-2 urban"):
        charged = lines["fixed"] + lines["excess_fixed"] + lines["energy"]
        lines["minimum_top_up"] = max(0, minimum(case, part) - charged)
    base = sum(lines[name] for name in ("fixed", "excess_fixed", "energy", "minimum_top_up")) - lines["subsidy"]
    percent = Fraction(FPPAS[f"{case.bill_date:%Y-%m}"]) if case.bill_date >= dt.date(2025, 4, 1) else Fraction(0)
    lines["fppas"] = to_paise(Fraction(base, 100) * percent / 100)
    base += lines["fppas"]
    lines["duty"] = to_paise(Fraction(base, 100) * (Fraction(5) if domestic else Fraction(15, 2)) / 100)
    lines["rebate"] = to_paise(Fraction(base, 100) * 2 / 100) if case.prepaid else 0
    return schedule, lines


def bill(case: Case) -> dict[str, int | str]:
    """Columns in paise and the schedule; {'refused': why} where no figure or order is known."""
    if case.start < FIRST:
        return {"refused": "no order"}
    if case.bill_date >= dt.date(2025, 4, 1) and f"{case.bill_date:%Y-%m}" not in FPPAS:
        return {"refused": "no FPPAS"}
    totals: dict[str, int] = dict.fromkeys(COLUMNS, 0)
    names: list[str] = []
    for part in parts(case):
        name, lines = price_part(case, part)
        names += [name] if name not in names else []
        totals = {column: totals[column] + lines[column] for column in COLUMNS}
    charges = ("fixed", "excess_fixed", "energy", "minimum_top_up", "fppas", "duty")
    assessed = sum(totals[column] for column in charges)
    payable = assessed - totals["subsidy"] - totals["rebate"]
    return {"schedule": " + ".join(names), **totals, "assessed": assessed, "payable": payable}


def parts(case: Case) -> list[Part]:
    """Prepaid: one a calendar month. All: cut on 2 July 2026 where the raised subsidy touches the bill."""
    edges = [case.start, case.end]
    if case.prepaid:
        first_days = {day.replace(day=1) for day in each_day(case.start, case.end)}
        edges += [day for day in first_days if case.start < day < case.end]
    edges = sorted(edges)
    stretches = list(itertools.pairwise(edges))
    cut: list[tuple[dt.date, dt.date, int]] = []  # with the stretch it belongs to
    for number, (start, end) in enumerate(stretches):
        at = [JULY_2026] if start < JULY_2026 < end and subsidy_changes(case, start, end) else []
        for a, b in zip([start, *at], [*at, end], strict=True):
            cut.append((a, b, number))
    energies = [upto(case, b) - upto(case, a) for a, b, _ in cut]
    made = []
    for (a, b, number), energy in zip(cut, energies, strict=True):
        start, end = stretches[number]
        whole = sum(e for e, (_, _, n) in zip(energies, cut, strict=True) if n == number)
        made.append(place(case, a, b, start, end, energy, whole))
    return made


def upto(case: Case, day: dt.date) -> int:
    """Energy shared out by days: the rounded running total."""
    return round_half_up(Fraction(case.energy_wh * (day - case.start).days, (case.end - case.start).days))


def place(case: Case, a: dt.date, b: dt.date, start: dt.date, end: dt.date, energy: int, whole: int) -> Part:
    days, own = (end - start).days, (b - a).days
    slab_days = ((a - start).days, (b - start).days, days)
    if case.prepaid:
        following = (a.replace(day=28) + dt.timedelta(4)).replace(day=1)
        return Part(a, b, energy, whole, 1, Fraction(own, (following - a.replace(day=1)).days), slab_days)
    months = max(1, round_half_up(Fraction(days, 30)))
    return Part(a, b, energy, whole, months, Fraction(months * own, days), slab_days)


def subsidy_changes(case: Case, start: dt.date, end: dt.date) -> bool:
    whole = upto(case, end) - upto(case, start)
    months = 1 if case.prepaid else max(1, round_half_up(Fraction((end - start).days, 30)))
    return whole > 0 and schedule_of(case, whole, months) in ("LMV-1 lifeline", "LMV-1 rural")


def each_day(start: dt.date, end: dt.date) -> list[dt.date]:
    return [start + dt.timedelta(n) for n in range((end - start).days)]
