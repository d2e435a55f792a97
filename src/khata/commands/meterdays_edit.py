"""`khata meterdays edit METER DATE`: an officer's values for a day, from one row of a block CSV.

Tells what changes: the values and where each came from, before and after, and which bills rest on the day. Ends with 0
when it is stored, stands so already, or is only shown (`--dry-run`); with 2 when it is refused, and nothing is stored.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from typing import Any

from khata.billing.models import Bill
from khata.billing.queries import bills_resting_on
from khata.commands.clock import asked_day, business_date
from khata.commands.errors import CommandError
from khata.commands.whole_files import reading
from khata.display import dates
from khata.display.labels import LANGUAGES, Label, Language
from khata.display.money import kw, kwh, rupees
from khata.display.origins import HALF_HOURS, HOW, ORIGINS, letters
from khata.formats.meterdays import MeterDayBatch
from khata.formats.meterdays_csv import read_csv
from khata.formats.text import FormatError
from khata.metering.editing import Changed, EditError, Place, day_of_meter, officer_over, place_of, put_right
from khata.metering.models import Channel, MeterDay

FILE = "one row of a block CSV: meter,day,kwh or meter,day,b01,…,b48 in Wh (empty: as it stands); - is standard input"
MOST_BYTES = 1 << 16
_WORDS = {
    "meter": Label("मीटर", "Meter"),
    "total": Label("कुल यूनिट", "Total, kWh"),
    "register": Label("दिन के अन्त में रीडिंग, kWh", "Register at the day's end, kWh"),
    "demand": Label("अधिकतम मांग, kW", "Maximum demand, kW"),
    "half_hour": Label("{time} तक, Wh", "until {time}, Wh"),
    "same": Label("वही रहेगा", "stays"),
    "registers": Label(
        "बिल रीडिंग पर बनते हैं: रीडिंग वही रहे तो बिल नहीं बदलेगा",
        "Bills stand on registers: while the register stays, no bill changes",
    ),
    "bill": Label("इस दिन का बिल: {number}, {month}, {amount}", "Bill of this day: {number}, {month}, {amount}"),
    "next_bill": Label("जारी बिल नहीं बदलेगा; फ़र्क अगले बिल में आएगा", "An issued bill stays; the next one makes up for it"),
    "no_bill": Label("इस दिन का कोई बिल जारी नहीं हुआ है", "No bill that is issued rests on this day"),
    "demand_stays": Label(
        "अधिकतम मांग {kw} kW ही रहेगी और बिल में लगेगी, जबकि कोई आधा घंटा इतना नहीं है: ग़लत हो तो demand_w भी दें",
        "The demand stays {kw} kW and is billed, but no half-hour drew so much: if it is wrong, give demand_w, too",
    ),
    "noted": Label("जाँच में मिला: {rules}", "Noted: {rules}"),
    "stands": Label("यही मान पहले से हैं; कुछ नहीं बदला", "These values stand already; nothing was stored"),
    "dry": Label("केवल दिखाया गया; कुछ नहीं बदला", "Only shown; nothing was stored"),
    "stored": Label("दर्ज हुआ: संशोधन {revision}", "Stored: revision {revision}, delivery {delivery}"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_place(parser)
    parser.add_argument("--from", dest="file", metavar="FILE", required=True, help=FILE)
    add_people(parser)


def add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("meter", metavar="METER", help="the number on the meter's plate")
    parser.add_argument("day", type=asked_day, metavar="DATE", help="a day in India, like 2024-05-31")
    parser.add_argument("--channel", choices=[each.name.lower() for each in Channel], default="import")


def add_people(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT", help="a sentence: why the values were wrong")
    parser.add_argument("--by", required=True, metavar="LOGIN", help="the officer who decides")
    parser.add_argument("--agreed-by", metavar="LOGIN", help="a second officer; needed where a bill rests on the day")
    parser.add_argument(
        "--history", action="store_true", help="a day of long ago: the limit for late days does not hold"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and store nothing")
    parser.add_argument("--lang", choices=LANGUAGES, default="hi")


def run(args: argparse.Namespace) -> int:
    return change(args, form="edit", other=None)


def change(args: argparse.Namespace, *, form: str, other: str | None) -> int:
    """Of both actions. `other`: the meter whose day stands in."""
    today = business_date()
    try:
        place = place_of(serial=args.meter.strip(), day=args.day, channel=Channel[args.channel.upper()])
        by = officer_over(login=args.by, place=place, today=today, where="--by")
        checker = None
        if args.agreed_by is not None:
            checker = officer_over(login=args.agreed_by, place=place, today=today, where="--agreed-by")
        batches = [day_of_meter(serial=other.strip(), of=place)] if other is not None else _row_of(args.file)
        bills: list[Bill] = []
        changed = put_right(
            form=form,
            place=place,
            batches=batches,
            by=by,
            checker=checker,
            billed=lambda: _resting_on(place, bills),
            reason=args.reason,
            today=today,
            history=args.history,
            dry_run=args.dry_run,
        )
    except EditError as wrong:
        raise CommandError(wrong.what, wrong.where, wrong.next_step) from None
    answer = _as_json(args, place, changed, bills) if args.json else _as_text(args, place, changed, bills)
    sys.stdout.write(answer)
    return 0


def _resting_on(place: Place, found: list[Bill]) -> list[str]:
    """Numbers of the bills that rest on the day; the bills are `found`."""
    if place.connection:
        found += bills_resting_on(connection_id=place.connection.pk, day=place.day)
    return [each.number for each in found]


def _row_of(name: str) -> list[MeterDayBatch]:
    with reading(name) as file:
        content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise FormatError("this is longer than one row can be", next_step="Give the row of this day alone")
        return list(read_csv(io.BytesIO(content)))


# -- what changes ------------------------------------------------------------------------------------------------------


def _blocks(day: MeterDay | None) -> Sequence[int | None]:
    return [None] * HALF_HOURS if day is None or day.blocks_wh is None else day.blocks_wh


def _letters(day: MeterDay | None) -> str:
    if day is None:
        return "-" * HALF_HOURS
    return letters(origin=day.origin, origins=day.origins, blocks_wh=day.blocks_wh)


def _as_data(day: MeterDay | None) -> dict[str, Any] | None:
    if day is None:
        return None
    values = {name: getattr(day, name) for name in ("revision", "total_wh", "register_wh", "demand_w", "blocks_wh")}
    return {**values, "origin": ORIGINS[day.origin], "origins": _letters(day)}


def _as_json(args: argparse.Namespace, place: Place, changed: Changed, bills: Sequence[Bill]) -> str:
    answer = {
        "meter": place.meter.serial,
        "day": place.day.isoformat(),
        "channel": args.channel,
        "changed": changed.after is not changed.before,
        "stored": changed.delivery is not None,
        "delivery": changed.delivery,
        "before": _as_data(changed.before),
        "after": _as_data(changed.after),
        "noted": changed.noted,
        "demand_too_high": changed.demand_too_high,
        "bills": [each.number for each in bills],
    }
    return json.dumps(answer) + "\n"


def _as_text(args: argparse.Namespace, place: Place, changed: Changed, bills: Sequence[Bill]) -> str:
    lang: Language = args.lang
    word = {name: label.in_(lang) for name, label in _WORDS.items()}
    lines = [f"{word['meter']} {place.meter.serial}, {dates.day(place.day, lang)}"]
    if changed.after is changed.before:
        return "\n".join([*lines, word["stands"]]) + "\n"
    lines += _differences(changed, lang)
    after = changed.after
    if after and after.register_wh is not None and changed.before and changed.before.register_wh == after.register_wh:
        lines.append(word["registers"])
    if after and after.demand_w is not None and changed.demand_too_high:
        lines.append(word["demand_stays"].format(kw=kw(after.demand_w)))
    for bill in bills:
        amount, month = rupees(bill.payable_paise), dates.month(bill.cycle, lang)
        lines.append(word["bill"].format(number=bill.number, month=month, amount=amount))
    lines.append(word["next_bill" if bills else "no_bill"])
    if changed.noted:
        lines.append(word["noted"].format(rules=", ".join(changed.noted)))
    stored = word["stored"].format(revision=after.revision if after else "", delivery=changed.delivery)
    lines.append(word["dry"] if args.dry_run else stored)
    return "\n".join(lines) + "\n"


def _differences(changed: Changed, language: Language) -> list[str]:
    """Old against new: the day's own values, and each half-hour that differs."""
    before, after = changed.before, changed.after
    rows = [
        (_WORDS["total"].in_(language), _total(before, language), _total(after, language)),
        *(
            (_WORDS[name].in_(language), _plain(before, column, shown), _plain(after, column, shown))
            for name, column, shown in (("register", "register_wh", kwh), ("demand", "demand_w", kw))
        ),
    ]
    old, new = (list(zip(_blocks(day), _letters(day), strict=True)) for day in (before, after))
    for n, (was, becomes) in enumerate(zip(old, new, strict=True), start=1):
        if was != becomes:
            time = f"{n // 2:02d}:{n % 2 * 30:02d}"
            rows.append((_WORDS["half_hour"].in_(language).format(time=time), _half_hour(*was), _half_hour(*becomes)))
    same = _WORDS["same"].in_(language)
    return [
        f"  {name}: {was} → {becomes}" if was != becomes else f"  {name}: {was} ({same})" for name, was, becomes in rows
    ]


def _total(day: MeterDay | None, language: Language) -> str:
    if day is None or day.total_wh is None:
        return "–"
    return f"{kwh(day.total_wh)} ({HOW[day.origin].in_(language)})"


def _plain(day: MeterDay | None, column: str, shown: Any) -> str:
    value = None if day is None else getattr(day, column)
    return "–" if value is None else shown(value)


def _half_hour(wh: int | None, letter: str) -> str:
    return "–" if wh is None else f"{wh} {letter}"
