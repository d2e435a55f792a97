"""The resolver of numbers, the search at a counter, and reads for bills."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from django.db import connection as session

from khata.consumers.models import NumberWindow, Terms
from khata.consumers.rules import address_part, company_and_number, mobile_key, name_key
from khata.discoms.models import Discom
from khata.formats.text import FormatError, account_number_text
from khata.jobs.bulk import integers, last_of_day
from khata.kernel.quantities import Int64

ACCOUNT_DIGITS = 10
OLD_DIGITS = (6, 7, 8)
SHORTEST_NAME = 2


@dataclass(frozen=True)
class Match:
    """A connection that an identifier may mean, and why. `matched` is the number itself, with the zeros it may lack.

    Money is taken under a number that is `honoured`; an old one after its `last_day` only leads to the connection.
    """

    number: str
    discom: str
    why: str
    connection: int
    matched: str
    exact: bool  # not by adding zeros
    honoured: bool
    last_day: dt.date | None  # of an old number; None also where its window is closed


@dataclass(frozen=True)
class Resolved:
    result: Literal["none", "one", "many"]
    matches: tuple[Match, ...]


def resolve(*, typed: str, today: dt.date, discom: str | None = None) -> Resolved:
    """Which connections a typed number means, of any company. Never guesses: a number that fits several gives them all.

    Ten digits are an account number; six to eight an old number, honoured up to and including its last day (IST), and
    found after it too. Fewer digits than a number has may also be that number without its leading zeros, which a
    spreadsheet has eaten. A company's code may stand in front. Raises FormatError for what cannot be a number at all.
    For the web the database demands the scope of an office.
    """
    named, rest = _company_named(typed)
    number, companies = _digits_of(rest), {code.upper() for code in (named, discom) if code}
    lengths = [ACCOUNT_DIGITS, *(length for length in OLD_DIGITS if length >= len(number))]
    query = """
        select connection, account_number, discom, old_number, last_day, honoured
        from khata.connections_by_number(%s, %s)"""
    with session.cursor() as cursor:
        cursor.execute(query, [sorted({number.zfill(length) for length in lengths}), today])
        found = [_match(number, *row) for row in cursor.fetchall() if companies <= {row[2]}]
    matches: dict[str, Match] = {}
    # Of two ways to one connection the better one is told: one that is honoured, and then the exact one.
    for match in sorted(found, key=lambda each: (not each.honoured, not each.exact)):
        matches.setdefault(match.number, match)
    listed = tuple(sorted(matches.values(), key=lambda match: (match.discom, match.number)))
    return Resolved("none" if not listed else "one" if len(listed) == 1 else "many", listed)


def _company_named(typed: str) -> tuple[str, str]:
    """The code of a company that stands in front, if there is such a company, and the rest."""
    code, rest = company_and_number(typed)
    return (code, rest) if code and Discom.objects.filter(code=code).exists() else ("", typed)


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


def _match(
    number: str,
    connection: int,
    account_number: str,
    discom: str,
    old_number: str | None,
    last_day: dt.date | None,
    honoured: bool,
) -> Match:
    matched = account_number if old_number is None else old_number
    exact = matched == number
    why = "account number" if old_number is None else "old number"
    why += "" if exact else " without its leading zeros"
    if old_number is not None and honoured:
        why += f", honoured until {last_day}"
    elif old_number is not None:
        why += ", not honoured" + (f" since {last_day + dt.timedelta(days=1)}" if last_day else "")
    return Match(account_number, discom, why, connection, matched, exact, honoured, last_day)


def newest_window(*, discom: int, wave: str) -> NumberWindow | None:
    """What was said last of a wave's old numbers."""
    return NumberWindow.objects.filter(discom_id=discom, wave=wave).order_by("-id").first()


def windows(*, discom: int) -> list[NumberWindow]:
    """Of each wave of a company what was said last of its old numbers."""
    return list(NumberWindow.objects.filter(discom_id=discom).order_by("wave", "-id").distinct("wave"))


def latest_window(*, discom: int, wave: str) -> dt.date | None:
    """The latest day that a wave's old numbers were ever honoured to."""
    given = (
        NumberWindow.objects.filter(discom_id=discom, wave=wave, last_day__isnull=False).order_by("-last_day").first()
    )
    return given.last_day if given else None


def has_window(*, discom: int, wave: str) -> bool:
    return newest_window(discom=discom, wave=wave) is not None


def window_of(*, discom: int, wave: str) -> dt.date | None:
    """The last day (IST) on which a wave's old numbers are honoured; None if they are not, or not any more."""
    newest = newest_window(discom=discom, wave=wave)
    return newest.last_day if newest else None


@dataclass(frozen=True)
class Payer:
    """Whom a payment is for, as a counter may show it: the name masked, of the address no house number.

    `balance_paise` above 0 is owed, below 0 a credit. `own`: of the company or consumer on whose behalf is asked.
    """

    connection: int
    account_number: str
    discom: str
    discom_en: str
    discom_hi: str
    division_en: str
    division_hi: str
    masked_name: str
    address_part: str
    category: str
    closed: bool
    old_number: str | None
    old_number_last_day: dt.date | None
    balance_paise: int
    own: bool


def payer(*, connection: int, today: dt.date) -> Payer | None:
    """Whom a payment for a connection is for; None if there is no such connection, or a consumer asks for another's."""
    return payers(connections=[connection], today=today).get(connection)


def payers(*, connections: Sequence[int], today: dt.date) -> dict[int, Payer]:
    """Of each connection whom a payment is for. Names leave here masked, whoever asks."""
    query = """
        select connection, account_number, discom, discom_en, discom_hi, division_en, division_hi, name, address,
            category, closed, old_number, last_day, paise, own
        from khata.payers(%s::bigint[], %s)"""
    with session.cursor() as cursor:
        cursor.execute(query, [list(connections), today])
        rows = cursor.fetchall()
    return {row[0]: Payer(*(*row[:8], address_part(row[8]), *row[9:])) for row in rows}  # as the fields stand


@dataclass(frozen=True)
class Found:
    """What a search at a counter came upon: the payer, which number matched, and by what it was found."""

    payer: Payer
    matched: str
    by: Literal["number", "mobile", "name"]
    without_zeros: bool


def find(*, text: str, discom: str, today: dt.date, limit: int) -> tuple[Found, ...]:
    """Connections of a company by account number, old number, mobile or the beginning of a name.

    Another company's connection only by its exact number, old or new. Names and mobiles are looked for under the fence,
    so only among the connections that the scope sees. Raises FormatError for what can be none of these.
    """
    number = account_number_text(_company_named(text)[1])
    is_number = number.isascii() and number.isdecimal() and len(number) <= ACCOUNT_DIGITS
    ways: list[tuple[int, str, Literal["number", "mobile", "name"], bool]] = []
    if is_number:
        for match in resolve(typed=text, today=today).matches:
            if match.exact or match.discom == discom:
                ways.append((match.connection, match.matched, "number", not match.exact))
    if mobile_key(text):
        ways += [(one, "", "mobile", False) for one in _seen_by_key(_BY_MOBILE, mobile_key(text), discom, limit)]
    if any(character.isalpha() for character in text) and not is_number:
        key = name_key(text)
        if len(key) < SHORTEST_NAME:
            raise FormatError("this is too short to look for a name", next_step="Give more letters of the name")
        ways += [(one, "", "name", False) for one in _seen_by_key(_BY_NAME, key, discom, limit)]
    elif not ways:
        _digits_of(text)  # says what is wrong with it as a number
    first: dict[int, tuple[int, str, Literal["number", "mobile", "name"], bool]] = {}
    for way in ways:
        first.setdefault(way[0], way)
    known = payers(connections=list(first), today=today)
    return tuple(
        Found(known[one], matched or known[one].account_number, by, without_zeros)
        for one, matched, by, without_zeros in list(first.values())[:limit]
    )


# Both operators are leakproof: only such use an index under row-level security.
_BY_MOBILE, _BY_NAME = "p.mobile_key = %s", "p.name_key ^@ %s"


def _seen_by_key(condition: str, key: str, discom: str, limit: int) -> list[int]:
    query = f"""
        select c.id from consumers_consumer p join consumers_connection c on c.consumer_id = p.id
        join discoms_discom d on d.id = c.discom_id and d.code = %s
        where {condition} order by p.name_key, c.id limit %s"""
    with session.cursor() as cursor:
        cursor.execute(query, [discom, key, limit])
        return [identity for (identity,) in cursor.fetchall()]


def owed(*, connection: int) -> int:
    """What a connection owes, in paise; below 0 a credit. Of any company for an office, of own ones for a consumer."""
    with session.cursor() as cursor:
        cursor.execute("select paise from khata.owed(array[%s]::bigint[])", [connection])
        ((paise,),) = cursor.fetchall()
    return int(paise)


def connections_of_sign_in(sign_in: uuid.UUID) -> list[tuple[int, int]]:
    """Pairs of connection and consumer that a mobile opens whose code has just fitted, by connection."""
    with session.cursor() as cursor:
        cursor.execute("select connection, consumer from khata.connections_of_sign_in(%s)", [sign_in])
        return [(int(identity), int(consumer)) for identity, consumer in cursor.fetchall()]


def views_of_sign_in(sign_in: uuid.UUID) -> list[tuple[uuid.UUID, int]]:
    """Pairs of view and connection that holders gave to a mobile whose code has just fitted, the oldest first."""
    with session.cursor() as cursor:
        cursor.execute("select view_id, connection from khata.views_of_sign_in(%s)", [sign_in])
        return [(view, int(identity)) for view, identity in cursor.fetchall()]


def views_of_mobile(mobile_key: str) -> list[tuple[uuid.UUID, int]]:
    """Pairs of view and connection that holders gave to a mobile, the oldest first. For runs."""
    with session.cursor() as cursor:
        cursor.execute("select view_id, connection from khata.views_of_mobile(%s)", [mobile_key])
        return [(view, int(identity)) for view, identity in cursor.fetchall()]


def supplied(*, division: int, before: dt.date) -> Int64:
    """Ids of a division's live connections made before a day, rising."""
    query = "select id from consumers_connection where division_id = %s and connected_on < %s and live order by id"
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


# -- a consumer's own --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnConnection:
    id: int
    account_number: str
    name: str
    address: str
    discom_en: str
    discom_hi: str


def own_connections() -> list[OwnConnection]:
    """The connections under the mobile of the consumer in whose scope this is asked, at most 200."""
    with session.cursor() as cursor:
        cursor.execute("select * from khata.connections_beside()")
        return [OwnConnection(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class HonouredNumber:
    number: str
    last_day: dt.date


def old_number_of(*, connection_id: int, today: dt.date) -> HonouredNumber | None:
    """The old number of a live connection, as long as it is honoured."""
    query = """
        select o.number, w.last_day from consumers_oldnumber o
        join consumers_connection c on c.id = o.connection_id and c.live
        cross join lateral khata.window_of(c.discom_id, c.wave) w (last_day)
        where o.connection_id = %s and w.last_day >= %s order by o.id limit 1"""
    with session.cursor() as cursor:
        cursor.execute(query, [connection_id, today])
        row = cursor.fetchone()
    return HonouredNumber(*row) if row else None


def all_terms(*, connection_id: int) -> list[Terms]:
    """What a connection was, is and will be billed as, in the order of days and revisions."""
    query = "select * from consumers_terms where connection_id = %s order by from_date, revision"
    return list(Terms.objects.raw(query, [connection_id]))


def terms_on(*, connection_id: int, day: dt.date) -> Terms | None:
    """What a connection is billed as on a day."""
    rows = Terms.objects.filter(connection_id=connection_id, from_date__lte=day)
    return rows.order_by("-from_date", "-revision").first()
