"""`khata ledger verify | sums | settlement`: whether books, serials and suspense are in order, what stands on heads,
and what companies owe each other."""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence

from khata.commands.clock import business_date
from khata.commands.errors import CommandError
from khata.discoms.queries import UnknownOfficeError, discom_named
from khata.display.labels import LANGUAGES, Label
from khata.display.money import rupees
from khata.formats.text import iso_date
from khata.ledger.queries import HeadSum, Settled, first_offence, head_sums, settlements
from khata.payments.queries import missing_serials, suspense_offence

_TOTAL = Label("योग", "Total")
_PAIR = Label("{other} को देना {owes}, {other} से लेना {owed}", "owes {other} {owes}, is owed {owed}")
_NOTHING = Label("इन दिनों में कंपनियों के बीच कोई लेन-देन नहीं", "nothing arose between companies on these days")
_NONE = Label("अभी कोई बही नहीं खुली है", "no books are open yet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verify|sums|settlement")
    verify = verbs.add_parser("verify", help="check all books; 1 and the first offence if wrong", allow_abbrev=False)
    verify.add_argument("--json", action="store_true")
    sums = verbs.add_parser("sums", help="the sum of each head; a company's sum to zero", allow_abbrev=False)
    sums.add_argument("--discom", help="only this company")
    sums.add_argument("--lang", choices=LANGUAGES, default="hi")
    sums.add_argument("--json", action="store_true", help="money in paise")
    settled = verbs.add_parser("settlement", help="what each two companies owe each other, by day", allow_abbrev=False)
    settled.add_argument("--from", dest="from_day", required=True, metavar="DAY")
    settled.add_argument("--to", dest="to_day", metavar="DAY", help="the last day, included; today if left away")
    settled.add_argument("--discom", help="only as this company sees it")
    settled.add_argument("--lang", choices=LANGUAGES, default="hi")
    settled.add_argument("--json", action="store_true", help="money in paise")


def run(args: argparse.Namespace) -> int:
    return {"verify": _verify, "sums": _sums, "settlement": _settlement}[args.verb](args)


def _verify(args: argparse.Namespace) -> int:
    offence = first_offence() or suspense_offence() or _gap()
    if args.json:
        sys.stdout.write(json.dumps({"ok": offence is None, "offence": offence}, ensure_ascii=False) + "\n")
    elif offence:
        sys.stdout.write(f"The books are not in order: {offence}.\n")
    else:
        sys.stdout.write(
            "The books are in order: every entry sums to zero, every balance agrees with its postings,\n"
            "what is in suspense agrees with the receipts that are held.\n"
            "The counters are in order: no counter's serials have a gap.\n"
        )
    return 1 if offence else 0


def _gap() -> str | None:
    missing = missing_serials(limit=1)
    return f"receipt {missing[0]} is missing, and later ones of its counter are there" if missing else None


def _sums(args: argparse.Namespace) -> int:
    discom = _company(args)
    companies = [(code, list(rows)) for code, rows in itertools.groupby(head_sums(discom), lambda row: row.discom)]
    if args.json:
        sys.stdout.write(json.dumps([_as_record(*company) for company in companies], ensure_ascii=False) + "\n")
    elif not companies:
        sys.stdout.write(_NONE.in_(args.lang) + "\n")
    for code, rows in companies if not args.json else ():
        sys.stdout.write("\n".join(_as_lines(code, rows, args.lang)) + "\n")
    return 0


def _company(args: argparse.Namespace) -> str | None:
    try:
        return discom_named(args.discom).code if args.discom is not None else None
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them, or leave it away") from None


def _settlement(args: argparse.Namespace) -> int:
    first = iso_date(args.from_day, what="--from")
    last = iso_date(args.to_day, what="--to") if args.to_day is not None else business_date()
    if last < first:
        raise CommandError("the last day is before the first", "--to", "Give days in their order")
    rows = settlements(from_day=first, to_day=last, discom=_company(args))
    if args.json:
        sys.stdout.write(json.dumps([_settled(row) for row in rows]) + "\n")
        return 0
    words = _PAIR.in_(args.lang)
    for row in rows:
        said = words.format(other=row.other, owes=rupees(row.owes_paise), owed=rupees(row.is_owed_paise))
        sys.stdout.write(f"{row.day}  {row.discom}: {said}\n")
    if not rows:
        sys.stdout.write(_NOTHING.in_(args.lang) + "\n")
    return 0


def _settled(row: Settled) -> dict[str, object]:
    return {
        "day": row.day.isoformat(),
        "discom": row.discom,
        "other": row.other,
        "owes_paise": row.owes_paise,
        "is_owed_paise": row.is_owed_paise,
        "net_paise": row.net_paise,
    }


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
