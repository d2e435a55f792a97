"""The only module that posts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import transaction

from khata.discoms.models import Discom
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.ledger.models import Head
from khata.ledger.rules import HEADS


@dataclass(frozen=True)
class NewPostings:
    """Columns of equal length: position of the entry, head, subject (0 for none), paise (debit above 0)."""

    entry: Int64
    head: Int64
    subject: Int64
    amount_paise: Int64


@transaction.atomic
def open_books(*, discom: Discom) -> None:
    """Make a company's account heads; those that exist stay."""
    for code, (title_en, title_hi, per_subject) in HEADS.items():
        defaults = {"title_en": title_en, "title_hi": title_hi, "per_subject": per_subject}
        Head.objects.get_or_create(discom=discom, code=code, defaults=defaults)


def post(*, kind: str, causes: Sequence[str], business_dates: Int64, postings: NewPostings) -> Int64:
    """Post entries with all their postings; returns the entries' ids. The caller holds the transaction.

    `causes` and `business_dates` (day numbers) are one an entry. The database refuses an entry whose postings do not
    sum to zero in each company, and anything added to it later.
    """
    ids = next_ids("ledger_entry", len(causes))
    copy_in(
        "ledger_entry",
        {
            "id": pgcopy.int8(ids),
            "kind": pgcopy.text(np.full(len(ids), kind)),
            "cause": pgcopy.text(np.array(causes, dtype=np.str_).astype("S")),
            "business_date": pgcopy.date(business_dates),
            "reason": pgcopy.text(np.full(len(ids), b"")),
        },
    )
    copy_in(
        "ledger_posting",
        {
            "entry_id": pgcopy.int8(ids[postings.entry]),
            "head_id": pgcopy.int2(postings.head),
            "subject": pgcopy.int8(postings.subject),
            "amount_paise": pgcopy.int8(postings.amount_paise),
        },
    )
    return ids
