"""`khata number resolve TEXT`: which connections an account number means, old or new.

None, one and many are all answers and end with 0; a text that cannot be a number ends with 2. Digits of any script and
blanks or hyphens between them are accepted, and a company's code in front. An old number after its last day still finds
its connection: then `honoured` is false.
"""

import argparse
import json
import sys

from khata.commands.clock import business_date
from khata.commands.errors import CommandError
from khata.consumers.queries import Resolved, resolve
from khata.discoms.queries import UnknownOfficeError, discom_named

_RESULTS = {
    "none": "कोई कनेक्शन नहीं मिला / no connection has this number",
    "one": "एक कनेक्शन / one connection",
    "many": "एक से अधिक कनेक्शन, कम्पनी बताएँ / more than one connection, name the company",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="resolve")
    wanted = verbs.add_parser("resolve", help="find the connections behind an account number", allow_abbrev=False)
    wanted.add_argument("number", metavar="TEXT", help="account number or old number, as it is typed")
    wanted.add_argument("--discom", help="only connections of this company")
    wanted.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    try:
        discom = discom_named(args.discom).code if args.discom is not None else None
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them, or leave it away") from None
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
