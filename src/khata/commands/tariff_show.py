"""`khata tariff show`: an order as it is printed: the table to lay beside the regulator's document."""

import argparse
import dataclasses
import datetime as dt
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from khata.commands.errors import CommandError
from khata.commands.main import near
from khata.commands.tariff_orders import all_orders, of_company
from khata.display.bill_text import table
from khata.display.money import kw, kwh, rate
from khata.formats.text import FormatError, iso_date
from khata.kernel.bills import order_on
from khata.kernel.days import Season, day_number, month_start
from khata.kernel.order import (
    Condition,
    ExcessDemand,
    Line,
    Minimum,
    Order,
    PercentageRebate,
    PercentOf,
    PerLoad,
    Published,
    Reading,
    Ref,
    Schedule,
    SlabsTelescopic,
    SlabSubsidy,
)

_WIDTH = 110
Row = tuple[str, str, str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="SCHEDULE", help="e.g. 'LMV-1 urban'; all if not given")
    parser.add_argument("--order", metavar="PATH", help="path of the order below the folder of orders")
    parser.add_argument("--on", metavar="DATE", help="the order in force on this day (default: the last)")
    parser.add_argument("--discom", metavar="X", help="the company whose orders are meant")
    parser.add_argument("--as-printed", action="store_true", help="every line, with its clause and the readings")
    parser.add_argument("--json", action="store_true", help="rates in 10⁻⁴ rupee, limits in W and Wh")


def run(args: argparse.Namespace) -> int:
    order = _order(args)
    schedules = _schedules(order, args.name)
    if args.json:
        sys.stdout.write(json.dumps(_as_json(order, schedules), ensure_ascii=False, indent=2) + "\n")
        return 0
    whole = args.as_printed or args.name is not None
    sys.stdout.write("\n".join([*_head(order), *(_printed(order, schedules) if whole else _listed(schedules))]) + "\n")
    return 0


# -- which order, which schedules ------------------------------------------------------------------------------------


def _order(args: argparse.Namespace) -> Order:
    orders = all_orders(args.tariffs)
    if args.order:
        for order in orders:
            if order.path == args.order.strip("/"):
                return order
        known = ", ".join(order.path for order in orders)
        raise CommandError(f"there is no order {args.order!r}", "", f"Orders are: {known}")
    if args.discom:
        orders = of_company(orders, args.discom)
    elif len({order.regulator for order in orders}) > 1:
        known = ", ".join(sorted({name for order in orders for name in order.discoms}))
        raise CommandError("there are orders of more than one regulator", "", f"Name a company with --discom: {known}")
    orders = tuple(sorted(orders, key=lambda order: order.in_force))
    if not args.on:
        return orders[-1]
    found = order_on(orders, day_number(_day(args.on)))
    if found is None:
        raise CommandError(f"no order was in force on {args.on}", "", f"The first begins on {orders[0].in_force}")
    return found


def _day(text: str) -> dt.date:
    try:
        return iso_date(text, what="the day of --on")
    except FormatError as error:
        raise CommandError(error.what, "--on", error.next_step) from None


def _schedules(order: Order, name: str | None) -> tuple[Schedule, ...]:
    if name is None:
        return order.schedules
    asked = name.casefold()
    found = [each for each in order.schedules if each.name.casefold() == asked]
    found = found or [each for each in order.schedules if each.name.casefold().startswith(asked)]
    if not found:
        names = [each.name for each in order.schedules]
        meant = near(name, names)
        next_step = f"Did you mean {meant}?" if meant else f"Schedules are: {', '.join(names)}"
        raise CommandError(f"there is no schedule {name!r}", order.path, next_step)
    return tuple(found)


# -- the printed table -----------------------------------------------------------------------------------------------


def _head(order: Order) -> Iterator[str]:
    yield f"{order.regulator}: {order.title}"
    yield f"{order.path}, for {', '.join(order.discoms)}"
    supersedes = f"; supersedes {order.supersedes}" if order.supersedes else ""
    yield f"In force from {order.in_force} [{_ref(order.in_force_ref)}], published {order.published}{supersedes}"
    reviewed = f"Reviewed by {', '.join(order.reviewed_by)}" if order.reviewed_by else "Not reviewed by anybody yet"
    yield f"{reviewed}. [A] sure, [B] one source, [C] our own answer: what rests on B or C makes a bill a draft."


def _listed(schedules: Sequence[Schedule]) -> Iterator[str]:
    yield ""
    yield from table([(each.name, each.title) for each in schedules], ("left", "left"))
    yield "\nWith --as-printed: every line with its clause."


def _printed(order: Order, schedules: Sequence[Schedule]) -> Iterator[str]:
    month = order.month
    yield f"Month: post-paid by billing days, {month.per_days} a month [{_ref(month.postpaid)}]; " + (
        f"prepaid by calendar months [{_ref(month.prepaid)}]"
    )
    yield f"Order changed inside a bill: split by days [{_ref(order.straddle)}]"
    yield f"Rounding: lines to 0.01 INR [{_ref(order.line_rounding)}], slab limits to 0.001 kWh " + (
        f"[{_ref(order.slab_rounding)}], half up"
    )
    for schedule in schedules:
        yield f"\n{schedule.title}\n{schedule.name}: for {_for(schedule)} [{_ref(schedule.ref)}]"
        rows = [row for line in schedule.lines for row in _rows(line)]
        yield from ("  " + line for line in table(rows, ("left", "left", "right", "left")))
        for doubt in schedule.doubts:
            yield f"  Draft where {_conditions(doubt.conditions)} [{_ref(doubt.ref)}]"
    yield "\nReadings: what the order leaves open, or could not be read in it"
    for reading in order.readings:
        yield from _reading(reading)


def _reading(reading: Reading) -> Iterator[str]:
    text = f"{reading.question} {reading.answer} ({reading.because})"
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=f"  {reading.id} [{reading.evidence}] ", subsequent_indent="    "
    )


def _rows(line: Line) -> list[Row]:
    """The printed rows of one charge: what, on what, how much, by which clause."""
    rupee_a_kw = "INR/kW/month"
    match line:
        case PerLoad():
            on = f"demand up to the load, at least {line.floor_percent} % of load"
            return [(line.printed, on, f"{rate(line.rate_e4)} {rupee_a_kw}", _ref(line.ref))]
        case ExcessDemand():
            return [(line.printed, "demand above the load", f"{line.times} × {line.of}", _ref(line.ref))]
        case SlabsTelescopic() | SlabSubsidy():
            sign = -1 if isinstance(line, SlabSubsidy) else 1
            slabs = [("  " + s.printed, "", f"{rate(sign * s.rate_e4)} INR/kWh", _ref(s.ref)) for s in line.slabs]
            return [(line.printed, "each unit by its slab of the month", "", _ref(line.ref)), *slabs]
        case Minimum():
            on = f"what {_names(line.of)} fall short of"
            rates = [(f"  {_season(r.season)}", "", f"{rate(r.rate_e4)} {rupee_a_kw}", _ref(r.ref)) for r in line.rates]
            return [(line.printed, on, "", _ref(line.ref)), *rates]
        case PercentOf():
            return _percent_rows(line)
        case PercentageRebate():
            on = f"of {_names(line.of)}; {line.mode} only"
            return [(line.printed, on, f"{rate(-line.rate_e4 * 100)} %", _ref(line.ref))]


def _percent_rows(line: PercentOf) -> list[Row]:
    on = f"of {_names(line.of)}"
    if not isinstance(line.rate, Published):
        return [(line.printed, on, f"{rate(line.rate * 100)} %", _ref(line.ref))]
    first = month_start(line.rate.none_before)
    months = [
        (f"  bills of {month_start(month):%Y-%m}", "", f"{rate(figure * 100)} %", _ref(ref))
        for month, (figure, ref) in sorted(line.rate.figures.items())
    ]
    return [(line.printed, f"{on}; none before {first:%Y-%m}", "monthly", _ref(line.ref)), *months]


def _names(of: Sequence[str]) -> str:
    return ", ".join(of)


def _season(season: Season) -> str:
    (start, _), (end, _) = season.start, season.end
    names = [f"{dt.date(2001, month, 1):%B}" for month in (start, end - 1 or 12)]
    return " to ".join(names)


def _for(schedule: Schedule) -> str:
    match = schedule.match
    area = [f"{match.area} area"] if match.area else []
    limits = [_conditions(match.conditions)] if match.conditions else []
    return ", ".join([match.category, *area, *limits])


def _conditions(conditions: Sequence[tuple[str, Condition]]) -> str:
    return ", ".join(_condition(what, condition) for what, condition in conditions)


def _condition(what: str, condition: Condition) -> str:
    unit = "kW" if what == "load" else "kWh/month"
    if condition.word == "not whole":
        return f"{what} not whole {unit}"
    limit = kw(condition.limit) if what == "load" else kwh(condition.limit)
    return f"{what} {condition.word} {limit} {unit}"


def _ref(ref: Ref) -> str:
    return f"{ref.text}, {ref.evidence}"


# -- for machines ----------------------------------------------------------------------------------------------------


def _as_json(order: Order, schedules: Sequence[Schedule]) -> dict[str, Any]:
    said = _plain(dataclasses.replace(order, schedules=tuple(schedules)))
    assert isinstance(said, dict)
    return said


def _plain(value: object) -> Any:
    """Dataclasses as objects that name their kind, days and months as ISO text."""
    if isinstance(value, Published):
        figures = {
            f"{month_start(month):%Y-%m}": {"rate_e4": figure, "ref": _plain(ref)}
            for month, (figure, ref) in sorted(value.figures.items())
        }
        return {"none_before": f"{month_start(value.none_before):%Y-%m}", "figures": figures}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields} if isinstance(value, Line) else fields
    if isinstance(value, dt.date | Path):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
