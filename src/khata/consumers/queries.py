"""The resolver of numbers, and reads for bills."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from khata.consumers.models import Connection, OldNumber
from khata.formats.text import FormatError, account_number_text
from khata.jobs.bulk import integers, last_of_day
from khata.kernel.quantities import Int64

ACCOUNT_DIGITS = 10
OLD_DIGITS = (6, 7, 8)


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

    Ten digits are an account number; six to eight an old number, honoured up to and including its last day (IST). Fewer
    digits than a number has may also be that number without its leading zeros, which a spreadsheet has eaten. Raises
    FormatError for what cannot be a number at all.
    """
    number = _digits_of(typed)
    connections = Connection.objects.select_related("discom").filter(account_number=number.zfill(ACCOUNT_DIGITS))
    aliases = OldNumber.objects.select_related("discom", "connection").filter(
        last_day__gte=today, number__in={number.zfill(length) for length in OLD_DIGITS if length >= len(number)}
    )
    if discom:
        connections, aliases = connections.filter(discom__code=discom), aliases.filter(discom__code=discom)
    found = [(row.account_number == number, _by_account(row, number)) for row in connections]
    found += [(alias.number == number, _by_alias(alias, number)) for alias in aliases]
    matches: dict[str, Match] = {}
    for _, match in sorted(found, key=lambda each: not each[0]):  # of two ways to one connection, the exact one is told
        matches.setdefault(match.number, match)
    listed = tuple(sorted(matches.values(), key=lambda match: (match.discom, match.number)))
    return Resolved("none" if not listed else "one" if len(listed) == 1 else "many", listed)


def _digits_of(typed: str) -> str:
    """The error never shows the number: it leads to a person."""
    number = account_number_text(typed)
    next_step = "Give the account number of ten digits, or the old one of six to eight, as printed on a bill"
    if not number:
        raise FormatError("the account number is empty", next_step=next_step)
    if not (number.isascii() and number.isdecimal()):
        raise FormatError("the account number has a character that is not a digit", next_step=next_step)
    if len(number) > ACCOUNT_DIGITS:
        wrong = f"the account number has {len(number)} digits, {ACCOUNT_DIGITS} are the most"
        raise FormatError(wrong, next_step=next_step)
    return number


def _by_account(row: Connection, number: str) -> Match:
    why = "account number" if row.account_number == number else "account number without its leading zeros"
    return Match(row.account_number, row.discom.code, why)


def _by_alias(alias: OldNumber, number: str) -> Match:
    why = "old number" if alias.number == number else "old number without its leading zeros"
    return Match(alias.connection.account_number, alias.discom.code, f"{why}, honoured until {alias.last_day}")


def supplied(*, division: int, before: dt.date) -> Int64:
    """Ids of a division's connections made before a day, rising."""
    query = "select id from consumers_connection where division_id = %s and connected_on < %s order by id"
    return integers(query, (division, before), 1)[0]


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
        select connection_id, (from_date - date '1970-01-01')::bigint, id,
            (coalesce(array_position(%s::text[], category), %s) - 1)::bigint,
            (coalesce(array_position(%s::text[], area), %s) - 1)::bigint,
            (mode = 'prepaid')::int::bigint, load_w::bigint, ended::int::bigint
        from consumers_terms where connection_id = any(%s) and from_date < %s
        order by connection_id, from_date, revision"""
    params = (list(categories), len(categories) + 1, list(areas), len(areas) + 1, connections.tolist(), before)
    return TermsRows(*last_of_day(integers(query, params, 8)))
