"""`khata meterdays show METER DAY | MONTH`: the revision that counts, each half-hour with where it comes from."""

import argparse
import calendar
import datetime as dt
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from khata.commands.clock import INDIA
from khata.commands.errors import CommandError
from khata.display import dates
from khata.display.labels import LANGUAGES, Label, Language
from khata.display.money import kw, kwh
from khata.display.origins import ORIGINS, letters
from khata.formats.text import FormatError, iso_date
from khata.metering.queries import (
    ShownBlocks,
    ShownDay,
    ShownEdit,
    UnknownMeterError,
    day_totals,
    edits_of,
    meter_id,
    one_day,
)

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
    "not_measured": Label(
        "E अनुमानित, S बदला गया, D सुधारा गया; बाकी मीटर से", "E estimated, S substituted, D edited; the others measured"
    ),
    "edit": Label(
        "संशोधन {revision} अधिकारी ने सुधारा: {who}, {day}. {reason}",
        "Revision {revision} was edited by {who} on {day}: {reason}",
    ),
    "substitute": Label(
        "संशोधन {revision} में अधिकारी ने मान बदले: {who}, {day}. {reason}",
        "Revision {revision} was substituted by {who} on {day}: {reason}",
    ),
    "since": Label("  उसके बाद नए मान आए: {senders}", "  Other values came since from {senders}"),
    "missing": Label("दिन जिनका कुल ज्ञात नहीं", "Days without a known total"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("meter", metavar="METER", help="the number on the meter's plate")
    parser.add_argument(
        "when", type=_when, metavar="DAY|MONTH", help="a day in India, like 2024-05-31, or a month, like 2024-05"
    )
    parser.add_argument("--lang", choices=LANGUAGES, default="hi")


def _when(text: str) -> tuple[dt.date, bool]:
    """The day, or the first day of the month; and whether it is a month."""
    month = text.count("-") == 1
    try:
        return iso_date(f"{text}-01" if month else text), month
    except FormatError:
        said = f"{text!r} is neither a day nor a month; write it like 2024-05-31 or 2024-05"
        raise argparse.ArgumentTypeError(said) from None


def run(args: argparse.Namespace) -> int:
    try:
        meter = meter_id(args.meter.strip())
    except UnknownMeterError as unknown:
        raise CommandError(str(unknown), "METER", "Give the number on the meter's plate") from None
    args.day, of_month = args.when
    if not of_month:
        found = one_day(meter, args.day)
        edits = edits_of(meter, args.day)
        answer = _day_as_json(args, found, edits) if args.json else _day_as_text(args, found, edits)
    else:
        args.month = args.day
        end = args.month + dt.timedelta(days=calendar.monthrange(args.month.year, args.month.month)[1])
        days = day_totals(meter, args.month, end)
        answer = _month_as_json(args, days, end) if args.json else _month_as_text(args, days, end)
    sys.stdout.write(answer)
    return 0


def _day_as_json(args: argparse.Namespace, found: ShownBlocks | None, edits: Sequence[ShownEdit]) -> str:
    """A day that is not stored has the meter and the day alone, and `stored` says so."""
    answer = {"meter": args.meter, "day": args.day.isoformat(), "stored": found is not None}
    if found:
        dead = [n for n in range(1, 49) if found.off is not None and found.off >> (n - 1) & 1]
        answer |= {**asdict(found), "origin": ORIGINS[found.origin], "origins": _letters(found), "off": dead}
        answer["edits"] = [{**asdict(each), "at": each.at.isoformat()} for each in edits]
    return json.dumps(answer, default=str) + "\n"


def _letters(found: ShownBlocks) -> str:
    return letters(origin=found.origin, origins=found.origins, blocks_wh=found.blocks_wh)


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


def _day_as_text(args: argparse.Namespace, found: ShownBlocks | None, edits: Sequence[ShownEdit]) -> str:
    lang = args.lang
    lines = [f"{_word('meter', lang)} {args.meter}, {dates.day(args.day, lang)}"]
    if found is None:
        return f"{lines[0]}: {_word('none', lang)}\n"
    lines += [
        f"{_word('total', lang)}: {_known(found.total_wh, kwh)}",
        f"{_word('register', lang)}: {_known(found.register_wh, kwh)}",
        f"{_word('demand', lang)}: {_known(found.demand_w, kw)}",
        f"{_word('revision', lang)}: {found.revision}",
        *(line for each in edits for line in _told(each, lang)),
    ]
    if found.blocks_wh is None:
        return "\n".join([*lines, _word("no_blocks", lang)]) + "\n"
    each = _letters(found)
    marks = ["" if letter in "A-" else letter for letter in each]
    cells = [
        f"{n // 2:02d}:{n % 2 * 30:02d} {'–' if wh is None else wh:>6}{marks[n - 1]:<1}"
        for n, wh in enumerate(found.blocks_wh, start=1)
    ]
    table = ["   ".join(cells[at : at + _COLUMNS]) for at in range(0, len(cells), _COLUMNS)]
    said = [_word("not_measured", lang)] if set(each) & set("ESD") else []
    return "\n".join([*lines, _word("blocks", lang), *(row.rstrip() for row in table), *said]) + "\n"


def _told(edit: ShownEdit, language: Language) -> list[str]:
    """An officer's word, and that a sender said something else since."""
    who = edit.by if edit.agreed_by is None else f"{edit.by}, {edit.agreed_by}"
    said = {"revision": edit.revision, "who": who, "day": edit.at.astimezone(INDIA).date(), "reason": edit.reason}
    lines = [_word(edit.how, language).format(**said)]
    if edit.sent_since:
        senders = ", ".join(dict.fromkeys(edit.sent_since))
        lines.append(_word("since", language).format(senders=senders))
    return lines


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
