"""The only module that posts."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction

from khata.discoms.models import Discom
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.ledger.models import Head
from khata.ledger.rules import HEADS, OnHead, settlement


@dataclass(frozen=True)
class NewPostings:
    """Columns of equal length: position of the entry, head, subject (0 for none), paise (debit above 0)."""

    entry: Int64
    head: Int64
    subject: Int64
    amount_paise: Int64


@transaction.atomic
def open_books(*, discom: Discom) -> None:
    """Make a company's account heads, and those for settling with every other company; those that exist stay.

    Companies whose books are open already get their head for settling with this one.
    """
    for code, (title_en, title_hi, per_subject) in HEADS.items():
        _open_head(discom, code, title_en, title_hi, per_subject)
    for other in Discom.objects.exclude(id=discom.id).order_by("id"):
        _open_settlement(discom, other)
        if Head.objects.filter(discom=other).exists():
            _open_settlement(other, discom)


def _open_settlement(discom: Discom, other: Discom) -> None:
    title_en, title_hi = f"Settlement with {other.name_en}", f"{other.name_hi} से लेन-देन"
    _open_head(discom, settlement(other.code), title_en, title_hi, per_subject=False)


def _open_head(discom: Discom, code: str, title_en: str, title_hi: str, per_subject: bool) -> None:
    defaults = {"title_en": title_en, "title_hi": title_hi, "per_subject": per_subject}
    Head.objects.get_or_create(discom=discom, code=code, defaults=defaults)


def post_one(*, kind: str, cause: str, business_date: dt.date, reason: str, postings: Sequence[OnHead]) -> int:
    """Post one entry; returns its id. For the web too, which may not copy: there it needs the scope of an office.

    The caller holds the transaction. Refused is what `post` would be refused, and a web session without that scope.
    """
    query = "select khata.post(%s, %s, %s, %s, %s::smallint[], %s::bigint[], %s::bigint[])"
    heads, subjects = [each.head for each in postings], [each.subject for each in postings]
    amounts = [each.amount_paise for each in postings]
    with connection.cursor() as cursor:
        cursor.execute(query, [kind, cause, business_date, reason, heads, subjects, amounts])
        ((made,),) = cursor.fetchall()
    return int(made)


def post(
    *,
    kind: str,
    causes: Sequence[str],
    business_dates: Int64,
    postings: NewPostings,
    reasons: Sequence[str] | None = None,
) -> Int64:
    """Post entries with all their postings; returns the entries' ids. The caller holds the transaction.

    `causes`, `business_dates` (day numbers) and `reasons`, if there are any, are one an entry. The
    database refuses an entry whose postings do not sum to zero in each company, and anything added to it later.
    """
    ids = next_ids("ledger_entry", len(causes))
    copy_in(
        "ledger_entry",
        {
            "id": pgcopy.int8(ids),
            "kind": pgcopy.text(np.full(len(ids), kind)),
            "cause": pgcopy.text(np.array(causes, dtype=np.str_).astype("S")),
            "business_date": pgcopy.date(business_dates),
            "reason": pgcopy.text(np.full(len(ids), b"") if reasons is None else np.array(reasons, dtype=np.str_)),
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
