"""The resolver of numbers, and reads for bills."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from khata.consumers.models import Connection, OldNumber
from khata.formats.text import account_number_text
from khata.jobs.bulk import integers

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Match:
    """A connection that an identifier may mean, and why."""

    number: str
    discom: str
    why: str


@dataclass(frozen=True)
class Resolved:
    result: Literal["none", "one", "many"]
    matches: tuple[Match, ...]


def resolve(*, typed: str, today: dt.date, discom: str | None = None) -> Resolved:
    """Which connections a typed number means. Never guesses: a number that fits several gives them all.

    Ten digits are an account number; six to eight an old number, honoured up to its last day (IST). Fewer than ten
    digits may also be an account number whose leading zeros a spreadsheet has eaten. Raises FormatError.
    """
    number = account_number_text(typed)
    found = {}
    connections = Connection.objects.select_related("discom")
    old = OldNumber.objects.select_related("discom", "connection").filter(last_day__gte=today)
    if discom:
        connections, old = connections.filter(discom__code=discom), old.filter(discom__code=discom)
    if len(number) == 10:
        for row in connections.filter(account_number=number):
            found[row.account_number] = Match(row.account_number, row.discom.code, "account number")
    if 6 <= len(number) <= 8:
        for alias in old.filter(number=number):
            account = alias.connection.account_number
            found[account] = Match(account, alias.discom.code, f"old number, honoured until {alias.last_day}")
    if 6 <= len(number) < 10:
        for row in connections.filter(account_number=number.zfill(10)):
            why = "account number without its leading zeros"
            found.setdefault(row.account_number, Match(row.account_number, row.discom.code, why))
    matches = tuple(sorted(found.values(), key=lambda match: (match.discom, match.number)))
    return Resolved("none" if not matches else "one" if len(matches) == 1 else "many", matches)


@dataclass(frozen=True)
class TermsRows:
    """Terms in effect, of each day the revision that counts. Sorted by connection and day; text as list positions."""

    connection: Int64
    from_day: Int64
    id: Int64
    category: Int64
    area: Int64
    prepaid: Int64
    load_w: Int64
    ended: Int64


def terms(connections: Int64, before: dt.date, categories: tuple[str, ...], areas: tuple[str, ...]) -> TermsRows:
    """Terms that began before a day. A category or area not in the lists becomes the position after the last."""
    query = """
        select distinct on (connection_id, from_date)
            connection_id, (from_date - date '1970-01-01')::bigint, id,
            (coalesce(array_position(%s::text[], category), %s) - 1)::bigint,
            (coalesce(array_position(%s::text[], area), %s) - 1)::bigint,
            (mode = 'prepaid')::int::bigint, load_w::bigint, ended::int::bigint
        from consumers_terms where connection_id = any(%s) and from_date < %s
        order by connection_id, from_date, revision desc"""
    params = (list(categories), len(categories) + 1, list(areas), len(areas) + 1, connections.tolist(), before)
    return TermsRows(*integers(query, params, 8))
