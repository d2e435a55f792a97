"""Numbers on paper: the slips that a reader hands over at the door, and a division's list of old and new numbers."""

import csv
import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from khata.display.account import parted
from khata.display.dates import day
from khata.display.labels import Label, Language
from khata.display.paper import LIST, SLIP, CompanyPaper, words
from khata.display.typeset import pdf
from khata.display.upi import qr_svg
from khata.formats.csvfile import no_formula
from khata.migration.telling import StaffRow

SLIP_TEMPLATE = Path(__file__).with_name("slip.typ")
LIST_TEMPLATE = Path(__file__).with_name("list.typ")
# As much as one file may hold: Typst keeps what it drew in its last ten files, half a gigabyte of such ones.
LIST_PART, SLIPS_PART = 6_000, 400
_COLUMNS, _LINES = 4, 75


@dataclass(frozen=True)
class Slip:
    """What one household is told. The name and the address are for finding the door; no amount stands on it."""

    account_number: str
    old_number: str
    name: str
    address: str
    feeder: str
    book: str


@dataclass(frozen=True)
class Heading:
    """Whose numbers they are, and until when the old ones are accepted."""

    company: CompanyPaper
    division_hi: str
    division_en: str
    last_day: dt.date


def slips_pdf(*, heading: Heading, slips: Sequence[Slip], made: dt.date) -> bytes:
    """Four slips to a page of A4, in the order given, Hindi first; the same slips always give the same bytes."""
    phone = heading.company.phone
    data = {
        **_of_company(heading),
        "w": words(SLIP, "hi"),
        "until": _both(SLIP["valid_until"], heading.last_day),
        "free": [SLIP["free"].in_(language).format(phone=phone) for language in _LANGUAGES],
        "slips": [
            {
                "new": parted(slip.account_number),
                "old": slip.old_number,
                "name": slip.name,
                "address": slip.address,
                "feeder": slip.feeder,
                "book": slip.book,
                "qr": qr_svg(slip.account_number),
            }
            for slip in slips
        ],
    }
    return pdf(template=SLIP_TEMPLATE, data=data, made=made)


def list_pdf(*, heading: Heading, rows: Sequence[tuple[str, str]], made: dt.date) -> bytes:
    """Old numbers with the new ones, four columns to a page of A4; where new ones are empty, the old numbers alone.

    A column is one text of many lines: a cell for each number would take a minute for 35,000 of them, this a second.
    """
    masked = not any(new for _, new in rows)
    columns = [rows[first : first + _LINES] for first in range(0, len(rows), _LINES)]
    texts = [
        ["\n".join(old for old, _ in column), "" if masked else "\n".join(parted(new) for _, new in column)]
        for column in columns
    ]
    data = {
        **_of_company(heading),
        "title": [LIST["masked" if masked else "list"].in_(language) for language in _LANGUAGES],
        "until": _both(LIST["until"], heading.last_day),
        "note": [LIST["by_sms" if masked else "sorted"].in_(language) for language in _LANGUAGES],
        "phone": [LIST["helpline"].in_(language).format(phone=heading.company.phone) for language in _LANGUAGES],
        "pages": [texts[first : first + _COLUMNS] for first in range(0, len(texts), _COLUMNS)],
    }
    return pdf(template=LIST_TEMPLATE, data=data, made=made)


def numbers_csv(rows: Sequence[tuple[str, str]], *, masked: bool) -> bytes:
    """The list as a table; a masked one has one column."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(["old_number"] if masked else ["old_number", "new_number"])
    out.writerows([old] if masked else [old, new] for old, new in rows)
    return text.getvalue().encode()


def names_csv(rows: Sequence[StaffRow]) -> bytes:
    """The office's own list as a table."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(["old_number", "new_number", "name", "address", "feeder", "book", "told"])
    for row in rows:
        cells = (row.old_number, row.account_number, row.name, row.address, row.feeder, row.book, row.way)
        out.writerow([no_formula(cell) for cell in cells])
    return text.getvalue().encode()


_LANGUAGES: tuple[Language, Language] = ("hi", "en")


def _of_company(heading: Heading) -> dict[str, object]:
    company = heading.company
    return {
        "colour": company.key_colour,
        "company": [company.name_hi, company.name_en],
        "division": [heading.division_hi, heading.division_en],
    }


def _both(label: Label, when: dt.date) -> list[str]:
    return [label.in_(language).format(day=day(when, language)) for language in _LANGUAGES]
