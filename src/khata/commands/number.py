"""`khata number resolve TEXT`: which connections an account number means, old or new.

None, one and many are all answers and end with 0; a text that cannot be a number ends with 2. Digits of any script and
blanks or hyphens between them are accepted, and a company's code in front. An old number after its last day still finds
its connection: then `honoured` is false.

`khata number window`: until when each wave's old numbers are honoured, that day (IST) included; with `--until` an
order makes it longer.
"""

import argparse
import json
import sys

from khata.commands.clock import business_date, now
from khata.commands.errors import CommandError
from khata.consumers.arrivals import WindowError, extend_window
from khata.consumers.queries import Resolved, resolve, windows
from khata.discoms.models import Discom
from khata.discoms.queries import UnknownOfficeError, discom_named
from khata.formats.text import iso_date

_RESULTS = {
    "none": "कोई कनेक्शन नहीं मिला / no connection has this number",
    "one": "एक कनेक्शन / one connection",
    "many": "एक से अधिक कनेक्शन, कंपनी बताएँ / more than one connection, name the company",
}
_NO_WINDOW = "इस कंपनी में पुराने नंबर नहीं हैं / this company has no old numbers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="resolve|window")
    wanted = verbs.add_parser("resolve", help="find the connections behind an account number", allow_abbrev=False)
    wanted.add_argument("number", metavar="TEXT", help="account number or old number, as it is typed")
    wanted.add_argument("--discom", help="only connections of this company")
    wanted.add_argument("--json", action="store_true")
    window = verbs.add_parser("window", help="until when old numbers are honoured; extend it", allow_abbrev=False)
    window.add_argument("--discom", required=True)
    window.add_argument("--wave", help="whose old numbers are to be honoured longer")
    window.add_argument("--until", metavar="DAY", help="the new last day, included")
    window.add_argument("--source", help="the order that says so")
    window.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    return {"resolve": _resolve, "window": _window}[args.verb](args)


def _company(code: str) -> Discom:
    try:
        return discom_named(code)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them") from None


def _resolve(args: argparse.Namespace) -> int:
    discom = _company(args.discom).code if args.discom is not None else None
    found = resolve(typed=args.number, today=business_date(), discom=discom)
    sys.stdout.write(json.dumps(_as_data(found), ensure_ascii=False) + "\n" if args.json else _as_text(found))
    return 0


def _as_data(found: Resolved) -> dict[str, object]:
    matches = [
        {"number": match.number, "discom": match.discom, "why": match.why, "honoured": match.honoured}
        for match in found.matches
    ]
    return {"result": found.result, "matches": matches}


def _as_text(found: Resolved) -> str:
    lines = [_RESULTS[found.result], *(f"  {match.number}  {match.discom}  {match.why}" for match in found.matches)]
    return "\n".join(lines) + "\n"


# -- the window of old numbers -----------------------------------------------------------------------------------------


def _window(args: argparse.Namespace) -> int:
    discom = _company(args.discom)
    given = [args.wave, args.until, args.source]
    if any(each is not None for each in given):
        if None in given:
            raise CommandError(
                "an extension needs a wave, its new last day and a source",
                "--wave, --until, --source",
                "Give all three, or none to see the windows",
            )
        _extend(discom, args)
    said = windows(discom=discom.id)
    if args.json:
        rows = [
            {"wave": each.wave, "last_day": each.last_day and each.last_day.isoformat(), "source": each.source}
            for each in said
        ]
        sys.stdout.write(json.dumps({"discom": discom.code, "windows": rows}, ensure_ascii=False) + "\n")
        return 0
    lines = [f"  {each.wave or '-'}  {each.last_day or 'closed'}  ({each.source})" for each in said] or [_NO_WINDOW]
    sys.stdout.write("\n".join([discom.code, *lines]) + "\n")
    return 0


def _extend(discom: Discom, args: argparse.Namespace) -> None:
    until = iso_date(args.until, what="--until")
    try:
        extend_window(discom=discom.id, wave=args.wave, last_day=until, source=args.source, now=now())
    except WindowError as wrong:
        raise CommandError(str(wrong), "number window", wrong.next_step) from None
