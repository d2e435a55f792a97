"""`khata usage CONNECTION --from D --to D`: what a connection used, day by day, whatever meters hung there.

The connection is named by its account number, new or old. Both days are included; a day that is not stored stands there
without values. With `--rupees` each day says what it cost, and then also whole months are priced.
"""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence

from khata.billing.pricing import NotPriceableError, month_costs, priced_by
from khata.commands.clock import asked_day, business_date
from khata.commands.errors import CommandError
from khata.consumers.queries import resolve
from khata.display.labels import LANGUAGES, Label, Language
from khata.display.money import amount, kw, kwh
from khata.display.origins import HALF_HOURS, HOW, ORIGINS, letters
from khata.kernel.days import month_number, month_start
from khata.metering.queries import SeenHalfHours, unfenced_half_hours_of

MOST_DAYS = 800
_WORDS = {
    "head": Label("दिन          यूनिट   अधिकतम मांग, kW   कैसे पता चला", "Day           kWh   Demand, kW   How known"),
    "none": Label("दर्ज नहीं", "not stored"),
    "sum": Label("कुल {units} यूनिट, {known} दिन", "{units} kWh in all, {known} days"),
    "missing": Label("{days} दिन दर्ज नहीं", "{days} days are not stored"),
    "off": Label("{hours} घंटे बिजली नहीं", "no supply for {hours} h"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("connection", metavar="CONNECTION", help="its account number, new or old")
    parser.add_argument("--from", dest="first", type=asked_day, required=True, metavar="D", help="like 2024-05-01")
    parser.add_argument("--to", dest="last", type=asked_day, required=True, metavar="D", help="this day included")
    parser.add_argument("--rupees", action="store_true", help="what each day cost")
    parser.add_argument(
        "--json", action="store_true", help="energy in Wh, demand in W, money in paise, 48 values a day"
    )
    parser.add_argument("--lang", choices=LANGUAGES, default="hi")


def run(args: argparse.Namespace) -> int:
    if args.last < args.first:
        raise CommandError("the first day comes after the last", "--from, --to", "Change one of them")
    if (args.last - args.first).days >= MOST_DAYS:
        raise CommandError(f"these are more than {MOST_DAYS} days", "--from, --to", "Ask for a part of them")
    connection, account = _connection(args.connection)
    end = args.last + dt.timedelta(days=1)
    known = {day.day: day for day in unfenced_half_hours_of(connection_id=connection, start=args.first, end=end)}
    calendar = [args.first + dt.timedelta(days=at) for at in range((end - args.first).days)]
    cost = _costs(connection, args.first, end) if args.rupees else None
    if args.json:
        rows = [_as_data(day, known.get(day), cost) for day in calendar]
        sys.stdout.write(json.dumps(_answer(account, args, rows, cost)) + "\n")
    else:
        sys.stdout.write(_as_text(calendar, known, cost, args.lang))
    return 0


def _connection(typed: str) -> tuple[int, str]:
    found = resolve(typed=typed, today=business_date())
    if found.result == "none":
        raise CommandError("no connection has this number", "CONNECTION", "Give an account number, new or old")
    if found.result == "many":
        companies = ", ".join(sorted({match.discom for match in found.matches}))
        next_step = f"Put the company's code in front ({companies}), or give the account number of ten digits"
        raise CommandError("more than one connection has this number", "CONNECTION", next_step)
    (match,) = found.matches
    return match.connection, match.number


def _costs(connection: int, first: dt.date, end: dt.date) -> dict[dt.date, int]:
    """Paise of each day: of whole months, because what a day costs depends on the days before it."""
    try:
        by = priced_by(connection_id=connection)
    except NotPriceableError as wrong:
        raise CommandError(str(wrong).rstrip("."), "--rupees", "Run the bills of a month first") from None
    found: dict[dt.date, int] = {}
    for number in range(month_number(first), month_number(end - dt.timedelta(days=1)) + 1):
        start, until = month_start(number), month_start(number + 1)
        days = unfenced_half_hours_of(connection_id=connection, start=start, end=until)
        wh = {day.day: day.total_wh for day in days}
        if wh:
            found |= month_costs(connection_id=connection, month=start, used=wh, today=business_date(), by=by).days
    return {day: paise for day, paise in found.items() if first <= day < end}


def _answer(
    account: str, args: argparse.Namespace, rows: Sequence[dict[str, object]], cost: Mapping[dt.date, int] | None
) -> dict[str, object]:
    totals = [row["total_wh"] for row in rows if row["total_wh"] is not None]
    answer: dict[str, object] = {
        "connection": account,
        "from": args.first.isoformat(),
        "to": args.last.isoformat(),
        "total_wh": sum(totals),  # type: ignore[arg-type]
        "days_known": len(totals),
        "days_missing": len(rows) - len(totals),
        "days": rows,
    }
    return answer if cost is None else answer | {"total_paise": sum(cost.values())}


def _as_data(day: dt.date, seen: SeenHalfHours | None, cost: Mapping[dt.date, int] | None) -> dict[str, object]:
    """`blocks_wh` by the time at which they end; `origins` a letter each, - where not known; `off` from 1 on."""
    blocks = seen.blocks_wh if seen else None
    row: dict[str, object] = {
        "day": day.isoformat(),
        "stored": seen is not None,
        "total_wh": seen.total_wh if seen else None,
        "register_wh": seen.register_wh if seen else None,
        "demand_w": seen.demand_w if seen else None,
        "origin": ORIGINS[seen.origin] if seen else None,
        "rule": seen.rule if seen else None,
        "blocks_wh": blocks or [None] * HALF_HOURS,
        "origins": _letters(seen),
        "off": [n for n in range(1, HALF_HOURS + 1) if seen and (seen.off or 0) >> (n - 1) & 1],
    }
    return row if cost is None else row | {"paise": cost.get(day)}


def _letters(seen: SeenHalfHours | None) -> str:
    if seen is None or seen.blocks_wh is None:
        return "-" * HALF_HOURS
    return letters(origin=seen.origin, origins=seen.origins, blocks_wh=seen.blocks_wh)


def _as_text(
    calendar: Sequence[dt.date],
    known: Mapping[dt.date, SeenHalfHours],
    cost: Mapping[dt.date, int] | None,
    language: Language,
) -> str:
    lines = [_WORDS["head"].in_(language) + ("   ₹" if cost is not None else "")]
    for day in calendar:
        seen = known.get(day)
        if seen is None:
            lines.append(f"{day}  {_WORDS['none'].in_(language)}")
            continue
        off = (seen.off or 0).bit_count()
        hours = f"{off // 2}{'.5' if off % 2 else ''}"
        cells = [
            f"{day}",
            f"{'–' if seen.total_wh is None else kwh(seen.total_wh):>8}",
            f"{'–' if seen.demand_w is None else kw(seen.demand_w):>8}",
            HOW[seen.origin].in_(language) + (f" ({seen.rule})" if seen.rule else ""),
            f"{'–' if day not in cost else amount(cost[day])}" if cost is not None else "",
            _WORDS["off"].in_(language).format(hours=hours) if off else "",
        ]
        lines.append("  ".join(cell for cell in cells if cell))
    totals = [seen.total_wh for seen in known.values() if seen.total_wh is not None]
    lines.append(_WORDS["sum"].in_(language).format(units=kwh(sum(totals)), known=len(totals)))
    if len(totals) < len(calendar):
        lines.append(_WORDS["missing"].in_(language).format(days=len(calendar) - len(totals)))
    return "\n".join(lines) + "\n"
