"""`khata meterdays show METER --day D | --month M`: the revision that counts."""

import argparse
import calendar
import datetime as dt
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from khata.commands.errors import CommandError
from khata.display import dates
from khata.display.labels import LANGUAGES, Label, Language
from khata.display.money import kw, kwh
from khata.formats.text import FormatError, iso_date
from khata.metering.queries import ShownBlocks, ShownDay, UnknownMeterError, day_totals, meter_id, one_day

_COLUMNS = 6
_WORDS = {
    "meter": Label("मीटर", "Meter"),
    "total": Label("कुल यूनिट", "Total, kWh"),
    "register": Label("दिन के अन्त में रीडिंग, kWh", "Register at the day's end, kWh"),
    "demand": Label("अधिकतम मांग, kW", "Maximum demand, kW"),
    "revision": Label("संशोधन", "Revision"),
    "blocks": Label("आधे घण्टे, अन्त के समय से (Wh)", "Half-hours, by the time they end (Wh)"),
    "none": Label("कुछ दर्ज नहीं है", "nothing is stored"),
    "no_blocks": Label("आधे घण्टे ज्ञात नहीं हैं", "half-hours are not known"),
    "missing": Label("दिन जिनका कुल ज्ञात नहीं", "Days without a known total"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("meter", metavar="METER", help="the number on the meter's plate")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--day", type=_day, metavar="D", help="a day in India, like 2024-05-31")
    when.add_argument("--month", type=_month, metavar="M", help="a month, like 2024-05")
    parser.add_argument("--lang", choices=LANGUAGES, default="hi")


def _day(text: str) -> dt.date:
    try:
        return iso_date(text)
    except FormatError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write it like 2024-05-31") from None


def _month(text: str) -> dt.date:
    try:
        return iso_date(f"{text}-01")
    except FormatError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month; write it like 2024-05") from None


def run(args: argparse.Namespace) -> int:
    try:
        meter = meter_id(args.meter.strip())
    except UnknownMeterError as unknown:
        raise CommandError(str(unknown), "METER", "Give the number on the meter's plate") from None
    if args.day:
        found = one_day(meter, args.day)
        answer = _day_as_json(args, found) if args.json else _day_as_text(args, found)
    else:
        end = args.month + dt.timedelta(days=calendar.monthrange(args.month.year, args.month.month)[1])
        days = day_totals(meter, args.month, end)
        answer = _month_as_json(args, days, end) if args.json else _month_as_text(args, days, end)
    sys.stdout.write(answer)
    return 0


def _day_as_json(args: argparse.Namespace, found: ShownBlocks | None) -> str:
    """A day that is not stored has the meter and the day alone, and `stored` says so."""
    answer = {"meter": args.meter, "day": args.day.isoformat(), "stored": found is not None}
    return json.dumps({**answer, **(asdict(found) if found else {})}, default=str) + "\n"


def _month_as_json(args: argparse.Namespace, days: Sequence[ShownDay], end: dt.date) -> str:
    answer = {
        "meter": args.meter,
        "month": f"{args.month:%Y-%m}",
        "total_wh": sum(day.total_wh or 0 for day in days),
        "without_total": [day.isoformat() for day in _without_total(args.month, days, end)],
        "days": [asdict(day) for day in days],
    }
    return json.dumps(answer, default=str) + "\n"


def _without_total(start: dt.date, days: Sequence[ShownDay], end: dt.date) -> list[dt.date]:
    known = {day.day for day in days if day.total_wh is not None}
    month = (start + dt.timedelta(days=number) for number in range((end - start).days))
    return [day for day in month if day not in known]


def _word(name: str, language: Language) -> str:
    return _WORDS[name].in_(language)


def _day_as_text(args: argparse.Namespace, found: ShownBlocks | None) -> str:
    lang = args.lang
    lines = [f"{_word('meter', lang)} {args.meter}, {dates.day(args.day, lang)}"]
    if found is None:
        return f"{lines[0]}: {_word('none', lang)}\n"
    lines += [
        f"{_word('total', lang)}: {_known(found.total_wh, kwh)}",
        f"{_word('register', lang)}: {_known(found.register_wh, kwh)}",
        f"{_word('demand', lang)}: {_known(found.demand_w, kw)}",
        f"{_word('revision', lang)}: {found.revision}",
    ]
    if found.blocks_wh is None:
        return "\n".join([*lines, _word("no_blocks", lang)]) + "\n"
    cells = [
        f"{n // 2:02d}:{n % 2 * 30:02d} {'–' if wh is None else wh:>6}" for n, wh in enumerate(found.blocks_wh, start=1)
    ]
    table = ["   ".join(cells[at : at + _COLUMNS]) for at in range(0, len(cells), _COLUMNS)]
    return "\n".join([*lines, _word("blocks", lang), *table]) + "\n"


def _month_as_text(args: argparse.Namespace, days: Sequence[ShownDay], end: dt.date) -> str:
    lang = args.lang
    lines = [f"{_word('meter', lang)} {args.meter}, {dates.month(args.month, lang)}"]
    lines += [f"  {day.day}  {_known(day.total_wh, kwh):>12}  {_known(day.register_wh, kwh):>14}" for day in days]
    lines.append(f"{_word('total', lang)}: {kwh(sum(day.total_wh or 0 for day in days))}")
    missing = _without_total(args.month, days, end)
    if missing:
        lines.append(f"{_word('missing', lang)}: {', '.join(str(day.day) for day in missing)}")
    return "\n".join(lines) + "\n"


def _known(value: int | None, shown: Callable[[int], str]) -> str:
    return "–" if value is None else shown(value)
