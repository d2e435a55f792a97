"""`khata ledger verify | sums`: whether books and counters' serials are in order, and what stands on heads."""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence

from khata.commands.errors import CommandError
from khata.discoms.queries import UnknownOfficeError, discom_named
from khata.display.labels import LANGUAGES, Label
from khata.display.money import rupees
from khata.ledger.queries import HeadSum, first_offence, head_sums
from khata.payments.queries import missing_serials

_TOTAL = Label("योग", "Total")
_NONE = Label("अभी कोई बही नहीं खुली है", "no books are open yet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verify|sums")
    verify = verbs.add_parser("verify", help="check all books; 1 and the first offence if wrong", allow_abbrev=False)
    verify.add_argument("--json", action="store_true")
    sums = verbs.add_parser("sums", help="the sum of each head; a company's sum to zero", allow_abbrev=False)
    sums.add_argument("--discom", help="only this company")
    sums.add_argument("--lang", choices=LANGUAGES, default="hi")
    sums.add_argument("--json", action="store_true", help="money in paise")


def run(args: argparse.Namespace) -> int:
    return _verify(args) if args.verb == "verify" else _sums(args)


def _verify(args: argparse.Namespace) -> int:
    offence = first_offence() or _gap()
    if args.json:
        sys.stdout.write(json.dumps({"ok": offence is None, "offence": offence}, ensure_ascii=False) + "\n")
    elif offence:
        sys.stdout.write(f"The books are not in order: {offence}.\n")
    else:
        sys.stdout.write(
            "The books are in order: every entry sums to zero, every balance agrees with its postings.\n"
            "The counters are in order: no counter's serials have a gap.\n"
        )
    return 1 if offence else 0


def _gap() -> str | None:
    missing = missing_serials(limit=1)
    return f"receipt {missing[0]} is missing, and later ones of its counter are there" if missing else None


def _sums(args: argparse.Namespace) -> int:
    try:
        discom = discom_named(args.discom).code if args.discom is not None else None
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them, or leave it away") from None
    companies = [(code, list(rows)) for code, rows in itertools.groupby(head_sums(discom), lambda row: row.discom)]
    if args.json:
        sys.stdout.write(json.dumps([_as_record(*company) for company in companies], ensure_ascii=False) + "\n")
    elif not companies:
        sys.stdout.write(_NONE.in_(args.lang) + "\n")
    for code, rows in companies if not args.json else ():
        sys.stdout.write("\n".join(_as_lines(code, rows, args.lang)) + "\n")
    return 0


def _total(rows: Sequence[HeadSum]) -> int:
    return sum(row.amount_paise for row in rows)


def _as_record(code: str, rows: Sequence[HeadSum]) -> dict[str, object]:
    heads = [
        {"code": row.code, "title_hi": row.title_hi, "title_en": row.title_en, "amount_paise": row.amount_paise}
        for row in rows
    ]
    return {"discom": code, "heads": heads, "total_paise": _total(rows)}


def _as_lines(code: str, rows: Sequence[HeadSum], language: str) -> Iterator[str]:
    """The amount first: Devanagari has no fixed width that a column of names could keep."""
    yield code
    for row in rows:
        yield f"{rupees(row.amount_paise):>22}  {row.title_hi if language == 'hi' else row.title_en}"
    yield f"{rupees(_total(rows)):>22}  {_TOTAL.hi if language == 'hi' else _TOTAL.en}"
