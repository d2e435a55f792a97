"""Reads of the books, and the check of all of them."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from khata.discoms.models import Discom
from khata.ledger.models import Head
from khata.ledger.rules import OWED


def heads(discom: Discom) -> dict[str, int]:
    """Head ids of a company by code."""
    return dict(Head.objects.filter(discom=discom).values_list("code", "id"))


def owed_paise(*, discom: int, subject: int) -> int:
    """What a connection owes its company, over all heads of OWED; below 0 it has paid ahead."""
    query = """
        select coalesce(sum(b.amount_paise), 0)::bigint from ledger_balance b join ledger_head h on h.id = b.head_id
        where b.subject = %s and h.discom_id = %s and h.code = any(%s)"""
    with connection.cursor() as cursor:
        cursor.execute(query, [subject, discom, list(OWED)])
        ((paise,),) = cursor.fetchall()
    return int(paise)


def heads_by_company(*, discoms: Collection[str], codes: Collection[str]) -> dict[tuple[str, str], int]:
    """Ids of the heads of these codes that these companies have, by company and code."""
    found = Head.objects.filter(discom__code__in=discoms, code__in=codes).values_list("discom__code", "code", "id")
    return {(discom, code): head for discom, code, head in found}


@dataclass(frozen=True)
class HeadSum:
    discom: str
    code: str
    title_en: str
    title_hi: str
    amount_paise: int


def head_sums(discom: str | None = None) -> list[HeadSum]:
    """The sum of each head; those of a company sum to zero."""
    query = """
        select d.code, h.code, h.title_en, h.title_hi, coalesce(sum(p.amount_paise), 0)::bigint
        from ledger_head h join discoms_discom d on d.id = h.discom_id
        left join ledger_posting p on p.head_id = h.id
        where %s::text is null or d.code = %s
        group by d.id, h.id order by d.id, h.id"""
    with connection.cursor() as cursor:
        cursor.execute(query, [discom, discom])
        return [HeadSum(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class Settled:
    """What arose between two companies on one business day, as one of them sees it. Paise, both 0 or above.

    `owes_paise`: it took money for the other's connections; `is_owed_paise`: the other took money for its own.
    """

    day: dt.date
    discom: str
    other: str
    owes_paise: int
    is_owed_paise: int

    @property
    def net_paise(self) -> int:
        """Above 0 the other owes."""
        return self.is_owed_paise - self.owes_paise


def settlements(*, from_day: dt.date, to_day: dt.date, discom: str | None = None) -> list[Settled]:
    """What each two companies owe each other on days from `from_day` to `to_day`, both included, from each side."""
    query = """
        select e.business_date, d.code, substr(h.code, length('settlement:') + 1),
            coalesce(-sum(p.amount_paise) filter (where p.amount_paise < 0), 0)::bigint,
            coalesce(sum(p.amount_paise) filter (where p.amount_paise > 0), 0)::bigint
        from ledger_posting p
        join ledger_head h on h.id = p.head_id and starts_with(h.code, 'settlement:')
        join discoms_discom d on d.id = h.discom_id
        join ledger_entry e on e.id = p.entry_id
        where e.business_date between %s and %s and (%s::text is null or d.code = %s)
        group by 1, 2, 3 order by 1, 2, 3"""
    with connection.cursor() as cursor:
        cursor.execute(query, [from_day, to_day, discom, discom])
        return [Settled(*row) for row in cursor.fetchall()]


# Each finds the first offence of its kind; the words name it. Constraints and triggers make all of them impossible,
# so an offence means that somebody with the superuser's powers has been at the tables.
_OFFENCES = (
    (
        "a posting of entry {} is on head {}, which does not exist",  # the sums by company would not see it
        """select p.entry_id, p.head_id from ledger_posting p left join ledger_head h on h.id = p.head_id
           where h.id is null order by p.entry_id limit 1""",
    ),
    (
        "a posting of entry {} on head {} names subject {}: either the head has subjects and 0 is none, or it has none",
        """select p.entry_id, h.code, p.subject from ledger_posting p join ledger_head h on h.id = p.head_id
           where h.per_subject <> (p.subject <> 0) order by p.entry_id limit 1""",
    ),
    (
        "entry {} of company {} does not sum to zero: {} paise",
        """select p.entry_id, d.code, sum(p.amount_paise) from ledger_posting p
           join ledger_head h on h.id = p.head_id join discoms_discom d on d.id = h.discom_id
           group by p.entry_id, d.code having sum(p.amount_paise) <> 0 order by p.entry_id limit 1""",
    ),
    (
        "entry {} has no postings",
        """select e.id from ledger_entry e left join ledger_posting p on p.entry_id = e.id
           where p.entry_id is null order by e.id limit 1""",
    ),
    (
        "a posting of {2} paise names entry {0}, which does not exist (head {1})",
        """select p.entry_id, p.head_id, p.amount_paise from ledger_posting p
           left join ledger_entry e on e.id = p.entry_id where e.id is null order by p.entry_id limit 1""",
    ),
    (
        "the balance of subject {} on head {} is {} paise, but its postings sum to {}",
        """select coalesce(b.subject, s.subject), coalesce(b.head_id, s.head_id),
               coalesce(b.amount_paise, 0), coalesce(s.amount, 0)
           from ledger_balance b full join (
               select subject, head_id, sum(amount_paise) as amount from ledger_posting where subject <> 0
               group by subject, head_id) s on s.subject = b.subject and s.head_id = b.head_id
           where b.amount_paise is distinct from s.amount order by 1, 2 limit 1""",
    ),
    (
        "{} and {} do not agree on what they owe each other: their heads for settling sum to {} paise, not 0",
        """select least(d.code, o.code), greatest(d.code, o.code), sum(p.amount_paise)
           from ledger_posting p join ledger_head h on h.id = p.head_id and starts_with(h.code, 'settlement:')
           join discoms_discom d on d.id = h.discom_id join discoms_discom o on h.code = 'settlement:' || o.code
           group by 1, 2 having sum(p.amount_paise) <> 0 order by 1, 2 limit 1""",
    ),
)


def first_offence() -> str | None:
    """What is wrong with the books, in words; None if they are in order."""
    with connection.cursor() as cursor:
        for words, query in _OFFENCES:
            cursor.execute(query)
            row = cursor.fetchone()
            if row:
                return words.format(*row)
    return None
