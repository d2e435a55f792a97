"""`khata tariff explain CASES.csv CASE`: one case line by line, with the quantity, rate and clause of each."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from khata.commands.errors import CommandError
from khata.commands.main import near
from khata.commands.tariff_orders import all_orders, of_company
from khata.commands.tariff_price import price_cases
from khata.commands.whole_files import reading
from khata.display.bill_text import table, times
from khata.display.dates import day, period
from khata.display.labels import LANGUAGES, Language, heading, line_label, unit
from khata.display.money import amount, kw, kwh, rate, rupees, scaled
from khata.formats.cases import PricingCase, RefusedCase, read_cases
from khata.kernel.bills import Group, Priced
from khata.kernel.days import date_of
from khata.kernel.explain import Explained, explain
from khata.kernel.quantities import HeadRoomError
from khata.kernel.rating import Traced
from khata.tariffs.rules import MONEY, Summary

# Of each unit of a quantity: the unit shown, and its implied decimals.
_QUANTITIES = {"cW": ("kW", 5), "W": ("kW", 3), "Wh": ("kWh", 3), "paise": ("₹", 2)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", metavar="CASES.csv", help="- is standard input")
    parser.add_argument("case", metavar="CASE", help="the name in the column 'case'")
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="words of the lines (default: en)")
    parser.add_argument("--json", action="store_true", help="money in paise, energy in Wh, loads in W")


def run(args: argparse.Namespace) -> int:
    case = _find(args.cases, args.case)
    orders = of_company(all_orders(args.tariffs), case.discom)
    try:
        priced, summary = price_cases([case], orders)
    except HeadRoomError as error:
        raise CommandError(str(error), f"{args.cases}, case {case.case}", "Mend the case") from None
    if args.json:
        sys.stdout.write(json.dumps(_as_json(case, priced, summary), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_as_text(case, priced, summary, args.lang)) + "\n")
    return 0


def _find(file: str, name: str) -> PricingCase:
    seen: list[str] = []
    with reading(file) as source:
        for case in read_cases(source):
            if case.case != name:
                seen.append(case.case)
            elif isinstance(case, RefusedCase):
                raise CommandError(case.reason.removesuffix("."), f"{file}, line {case.line}, case {name}", "Mend it")
            else:
                return case
    meant = near(name, seen)
    raise CommandError(
        f"there is no case {name!r}", file, f"Did you mean {meant}?" if meant else "See its column 'case'"
    )


def _parts(priced: Priced) -> Iterator[tuple[Group, int, int]]:
    """(group, position in it, row) of each part, in the order of days."""
    found = ((int(row), group, at) for group in priced.groups for at, row in enumerate(group.rows))
    for row, group, at in sorted(found, key=lambda each: each[0]):
        yield group, at, row


# -- for people ------------------------------------------------------------------------------------------------------


def _as_text(case: PricingCase, priced: Priced, summary: Summary, language: Language) -> Iterator[str]:
    yield f"{case.case}: {case.discom}, {case.category}, {case.area}, {case.mode}"
    facts = [
        ("period", period(case.period_start, case.period_end, language)),
        ("bill_date", day(case.bill_date, language)),
        ("sanctioned_load", f"{kw(case.sanctioned_load_w)} kW"),
        ("max_demand", f"{kw(case.max_demand_w)} kW"),
        ("consumption", kwh(case.energy_wh)),
    ]
    yield from table([(heading(name, language), value) for name, value in facts], ("left", "left"))
    if summary.refused[0]:
        yield f"\nNot priced: {summary.refused[0]}."
        return
    for group, at, row in _parts(priced):
        start, end = date_of(priced.segments.start[row]), date_of(priced.segments.end[row])
        yield f"\n{group.schedule.name}, {period(start, end, language)}\n{group.order.title} ({group.order.path})"
        if counted := _months(group, at):
            yield counted
        yield from _lines(explain(group, at), _slab_times(group, at, language), language)
    total = int(summary.paise["assessed"][0]), int(summary.paise["payable"][0])
    draft = "  (draft: it rests on evidence B or C)" if summary.draft[0] else ""
    yield f"\nAssessed {rupees(total[0])}, payable {rupees(total[1])}{draft}"


def _months(group: Group, at: int) -> str:
    """What multiplies the monthly charges, if it is not one month."""
    num, den = int(group.parts.fixed_num[at]), int(group.parts.fixed_den[at])
    if num == den:
        return ""
    whole, rest = divmod(num, den)
    return f"Monthly charges x {whole if not rest else f'{num}/{den}'}"


def _slab_times(group: Group, at: int, language: Language) -> str:
    """What multiplies the width of a slab."""
    parts = group.parts
    return times(int(parts.months[at]), int(parts.slab_to[at] - parts.slab_from[at]), int(parts.slab_of[at]), language)


def _lines(lines: tuple[Explained, ...], slab_times: str, language: Language) -> list[str]:
    rows = [tuple(heading(name, language) for name in ("item", "quantity", "rate", "amount", "clause"))]
    for line in lines:
        if not line.steps and not line.amount_paise:
            continue  # a prepaid rebate on a post-paid bill
        label, paise = line_label(line.line, language, printed=line.printed), amount(line.amount_paise)
        if len(line.steps) == 1:
            rows.append((label, *_multiplication(line.steps[0], language), paise, _clause(line.steps[0])))
            continue
        rows.append((label, "", "", paise, ""))
        for step in line.steps:
            slab = f"  {step.printed} {slab_times}".rstrip()
            rows.append((slab, *_multiplication(step, language), "", _clause(step)))
    return table(rows, ("left", "right", "right", "right", "left"))


def _multiplication(step: Traced, language: Language) -> tuple[str, str]:
    symbol, places = _QUANTITIES[step.unit]
    quantity = scaled(step.quantity, places=places, least=2 if symbol == "₹" else 0)
    in_percent = step.rate_unit == "%"
    shown = f"{rate(step.rate * 100)} %" if in_percent else f"{rate(step.rate)} {step.rate_unit.replace('INR', '₹')}"
    return f"{quantity} {unit(symbol, language)}", shown


def _clause(step: Traced) -> str:
    return f"{step.clause} ({step.evidence})"


# -- for machines ----------------------------------------------------------------------------------------------------


def _as_json(case: PricingCase, priced: Priced, summary: Summary) -> dict[str, Any]:
    refused = summary.refused[0]
    return {
        "case": case.case,
        "discom": case.discom,
        "category": case.category,
        "area": case.area,
        "mode": case.mode,
        "period_start": case.period_start.isoformat(),
        "period_end": case.period_end.isoformat(),
        "bill_date": case.bill_date.isoformat(),
        "sanctioned_load_w": case.sanctioned_load_w,
        "max_demand_w": case.max_demand_w,
        "energy_wh": case.energy_wh,
        "refused": refused or None,
        "draft": None if refused else bool(summary.draft[0]),
        "parts": [] if refused else [_part_as_json(priced, group, at, row) for group, at, row in _parts(priced)],
        **{f"{column}_paise": None if refused else int(summary.paise[column][0]) for column in MONEY},
    }


def _part_as_json(priced: Priced, group: Group, at: int, row: int) -> dict[str, Any]:
    return {
        "order": group.order.path,
        "order_sha256": group.order.sha256,
        "schedule": group.schedule.name,
        "start": date_of(priced.segments.start[row]).isoformat(),
        "end": date_of(priced.segments.end[row]).isoformat(),
        "energy_wh": int(priced.segments.energy_wh[row]),
        "months": int(group.parts.months[at]),
        "monthly_charges_times": [int(group.parts.fixed_num[at]), int(group.parts.fixed_den[at])],
        "billable_cw": int(group.rated.billable_cw[at]),
        "excess_w": int(group.rated.excess_w[at]),
        "draft": bool(group.rated.draft[at]),
        "lines": [_line_as_json(line) for line in explain(group, at)],
    }


def _line_as_json(line: Explained) -> dict[str, Any]:
    return {
        "line": line.line,
        "printed": line.printed,
        "label_hi": line_label(line.line, "hi", printed=line.printed),
        "amount_paise": line.amount_paise,
        "steps": [
            {
                "printed": step.printed,
                "quantity": step.quantity,
                "unit": step.unit,
                "rate_e4": step.rate,
                "rate_unit": "1" if step.rate_unit == "%" else step.rate_unit,
                "clause": step.clause,
                "evidence": step.evidence,
            }
            for step in line.steps
        ],
    }
