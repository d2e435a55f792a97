"""Connects consumers; their sign-in by a code; their new number on request; messages to them."""

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db import connection as session
from django.utils.crypto import constant_time_compare

from khata.consumers.arrivals import Arrivals, Days, set_window, write_new
from khata.consumers.models import Connection, NumberAsked, SignIn
from khata.consumers.numbers import issue, issue_unnamed
from khata.consumers.queries import (
    connections_of_sign_in,
    has_window,
    newest_window,
    old_number_of,
    resolve,
    views_of_mobile,
    views_of_sign_in,
)
from khata.consumers.rules import (
    CHECKS_PER_ADDRESS,
    CODE_DIGITS,
    CODE_SECONDS,
    CODE_TRIES,
    CODES_IN_TOTAL,
    CODES_PER_ADDRESS,
    CODES_PER_MOBILE,
    FAILURES_IN_TOTAL,
    MORE_DIGITS,
    NUMBERS_IN_TOTAL,
    NUMBERS_PER_ADDRESS,
    NUMBERS_PER_WINDOW,
    Draw,
    may_text,
    mobile_key,
    proof_of,
    random_bodies,
)
from khata.discoms.operations import within
from khata.discoms.queries import tries
from khata.discoms.rules import limit_key
from khata.formats.text import FormatError
from khata.kernel.quantities import Int64
from khata.notices.operations import queue_one
from khata.notices.queries import count_told
from khata.notices.rules import NEW_NUMBER, SIGN_IN_CODE, Template, sign_in_code, told_values

NUMBERS_AT_ONCE = 500
_ASKED = "consumers:number-asked:"  # the cause of a look-up's message


@dataclass(frozen=True)
class NewConnections:
    """Sequences and columns of equal length, one row a connection with a consumer of its own."""

    name: Sequence[str]
    mobile: Sequence[str]
    language: Sequence[str]
    address: Sequence[str]
    division: Int64
    connected_on: Days
    category: Sequence[str]
    area: Sequence[str]
    mode: Sequence[str]
    load_w: Int64
    old_number: Sequence[str]  # empty: none


@transaction.atomic
def connect(
    *,
    discom: int,
    rows: NewConnections,
    wave: str,
    old_until: dt.date,
    now: dt.datetime,
    draw: Draw = random_bodies,
) -> Int64:
    """Make consumers and connections, issue account numbers, keep old numbers; returns the connections' ids.

    Old numbers are honoured until `old_until` if nothing is said yet of this wave's.
    """
    named = [old for old in rows.old_number if old]
    numbers = issue(discom=discom, accounts=named, draw=draw, now=now)
    fresh = iter(issue_unnamed(discom=discom, count=len(rows.name) - len(named), draw=draw, now=now))
    arrivals = Arrivals(
        account_number=[numbers[old] if old else next(fresh) for old in rows.old_number],
        name=rows.name,
        mobile=rows.mobile,
        mobile_key=[mobile_key(mobile) for mobile in rows.mobile],
        language=rows.language,
        address=rows.address,
        division=rows.division,
        connected_on=rows.connected_on,
        category=rows.category,
        area=rows.area,
        mode=rows.mode,
        load_w=rows.load_w,
        old_number=rows.old_number,
    )
    if named and not has_window(discom=discom, wave=wave):
        set_window(discom=discom, wave=wave, last_day=old_until, source="with its first connections", now=now)
    return write_new(discom=discom, wave=wave, rows=arrivals, now=now)


# -- sign-in by a code sent to the registered mobile -------------------------------------------------------------------


def ask_code(*, mobile: str, address: str, now: dt.datetime, key: str) -> uuid.UUID | None:
    """Note that a code is wanted; returns what binds it to the asking session, None where too many were asked for.

    The same work is done for a mobile of ours and of nobody's, and the caller learns nothing of which it is: a worker
    sends the code. `mobile` is a mobile key; `now` the real time; `key` the installation's.
    """
    if not within_limits(f"code-address:{address}", CODES_PER_ADDRESS, now, key):
        return None
    if not within_limits("code-total", CODES_IN_TOTAL, now, key):
        return None
    # Of a mobile that asks too often the answer stays the same, but nothing is sent.
    silent = not within_limits(f"code-mobile:{mobile}", CODES_PER_MOBILE, now, key)
    many = tries(key=_counted_under("code-failed", FAILURES_IN_TOTAL[1], key), seconds=FAILURES_IN_TOTAL[1], now=now)
    asked, digits = uuid.uuid4(), MORE_DIGITS if many >= FAILURES_IN_TOTAL[0] else CODE_DIGITS
    with connection.cursor() as cursor:
        cursor.execute(
            "select khata.note_sign_in(%s, %s, %s, %s::smallint, %s, %s)",
            (asked, mobile, secrets.token_hex(16), digits, now, silent),
        )
    return asked


@dataclass(frozen=True)
class Opened:
    """What a proven mobile opens: pairs of connection and consumer of its own, and of view and connection where a
    holder let it in.
    """

    own: tuple[tuple[int, int], ...]
    views: tuple[tuple[uuid.UUID, int], ...]


def check_code(*, sign_in: uuid.UUID, typed: str, address: str, now: dt.datetime, key: str) -> Opened | None:
    """What the mobile asked for opens, if this is its code; else None, whatever is wrong.

    A code is good once, for five minutes and five tries.
    """
    if not within_limits(f"check-address:{address}", CHECKS_PER_ADDRESS, now, key):
        return None
    with transaction.atomic(), connection.cursor() as cursor:
        # This look counts as a try and holds the row, so that two at once are two tries.
        cursor.execute("select * from khata.try_sign_in(%s)", [sign_in])
        row = cursor.fetchone()
        if row is None:
            return None
        _, nonce, digits, asked_at, tried, used = row
        if used or tried >= CODE_TRIES or (now - asked_at).total_seconds() > CODE_SECONDS:
            return None
        right = constant_time_compare(typed, sign_in_code(nonce, key.encode(), digits=digits))
        if right and use_sign_in(sign_in=sign_in, key=key):
            found = Opened(tuple(connections_of_sign_in(sign_in)), tuple(views_of_sign_in(sign_in)))
            if found.own or found.views:
                return found
        within_limits("code-failed", (FAILURES_IN_TOTAL,), now, key)
        return None


def use_sign_in(*, sign_in: uuid.UUID, key: str) -> bool:
    """Whether a sign-in whose code has fitted is proven by that: once, and only after its code was sent."""
    with connection.cursor() as cursor:
        cursor.execute("select khata.use_sign_in(%s, %s)", [sign_in, proof_of(sign_in, key)])
        ((used,),) = cursor.fetchall()
    return bool(used)


def queue_codes(*, now: dt.datetime, key: str) -> int:
    """Queue the messages of codes asked for since; for workers. Throws rows of yesterday away. Returns how many.

    With each goes the proof by which the database will know that it has fitted (`use_sign_in`).
    """
    queued = 0
    with transaction.atomic():
        waiting = SignIn.objects.select_for_update(skip_locked=True).filter(queued=False).order_by("asked_at")
        for asked in waiting[:500]:
            first, proof = _about(asked), ""
            if first is not None and (now - asked.asked_at).total_seconds() <= CODE_SECONDS:
                queue_one(
                    template=SIGN_IN_CODE,
                    subject=first.id,
                    language=first.consumer.language,
                    mobile=asked.mobile_key,
                    values=(f"{asked.digits}:{asked.nonce}",),
                    cause=f"consumers:sign-in:{asked.id}",
                )
                queued, proof = queued + 1, proof_of(asked.id, key)
            SignIn.objects.filter(id=asked.id).update(queued=True, proof=proof)
        SignIn.objects.filter(asked_at__lt=now - dt.timedelta(days=1)).delete()
    return queued


def _about(asked: SignIn) -> Connection | None:
    """The connection in whose name a code goes out: a mobile's first, else the first that it may see; or the one whose
    holder wants this mobile to be the new one.
    """
    rows = Connection.objects.filter(live=True).select_related("consumer").order_by("id")
    if asked.connection is not None:
        return rows.filter(id=asked.connection).first()
    if not asked.mobile_key:
        return None
    own = rows.filter(consumer__mobile_key=asked.mobile_key).first()
    return own or rows.filter(id__in=[one for _, one in views_of_mobile(asked.mobile_key)]).first()


def within_limits(key: str, limits: Sequence[tuple[int, int]], now: dt.datetime, secret: str) -> bool:
    """Count one more try under a key; whether it is within each (most, seconds).

    Counts under every stretch of time, also when one of them is exceeded already."""
    inside = True
    for most, seconds in limits:
        inside &= within(key=_counted_under(key, seconds, secret), most=most, seconds=seconds, now=now)
    return inside


def _counted_under(key: str, seconds: int, secret: str) -> str:
    return limit_key(f"{key}/{seconds}", secret=secret)


# -- the new number, sent to whoever owns the old one ------------------------------------------------------------------


def ask_number(*, typed: str, address: str, now: dt.datetime, key: str) -> bool:
    """Note that somebody wants a new number sent to its owner; False where too many were asked for.

    Whatever was typed, the same row is written and nothing is looked up: neither answer nor time tells whose it is.
    A company's code may stand in front of the number. `now` is the real time; `key` the installation's.
    """
    if not within_limits(f"number-address:{address}", NUMBERS_PER_ADDRESS, now, key):
        return False
    if not within_limits("number-total", NUMBERS_IN_TOTAL, now, key):
        return False
    with connection.cursor() as cursor:
        cursor.execute("select khata.note_number_asked(%s, %s)", [typed.replace("\0", ""), now])
    return True


@transaction.atomic
def queue_numbers(*, now: dt.datetime, today: dt.date) -> int:
    """Queue new-number to the registered mobile of each number asked for since; for workers. Returns how many.

    Only where what was typed means exactly one connection with an old number that is honoured today, once a day and
    NUMBERS_PER_WINDOW times in all. At night everything waits until morning. Rows are thrown away after a day, which is
    longer than a night. `now` is the real time.
    """
    if not may_text(now):
        return 0
    with session.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(hashtextextended('consumers:numbers', 0))")
        ((mine,),) = cursor.fetchall()
    if not mine:  # another worker is at it
        return 0
    told, yesterday = 0, now - dt.timedelta(days=1)
    NumberAsked.objects.filter(asked_at__lt=yesterday).delete()
    for asked in NumberAsked.objects.filter(queued=False).order_by("asked_at")[:NUMBERS_AT_ONCE]:
        to = _tell_number(asked, today)
        NumberAsked.objects.filter(id=asked.id).update(queued=True, connection=to)
        told += to is not None
    return told


def _tell_number(asked: NumberAsked, today: dt.date) -> int | None:
    """The connection that was written to, if any."""
    try:
        matches = resolve(typed=asked.typed, today=today).matches
    except FormatError:
        return None
    if len(matches) != 1 or NumberAsked.objects.filter(connection=matches[0].connection).exists():
        return None
    owner = Connection.objects.select_related("consumer").get(id=matches[0].connection)
    old = old_number_of(connection_id=owner.id, today=today)
    if old is None or not owner.consumer.mobile_key:
        return None
    window = newest_window(discom=owner.discom_id, wave=owner.wave)
    if window and count_told(subject=owner.id, cause=_ASKED, since=window.known_at) >= NUMBERS_PER_WINDOW:
        return None
    queue_one(
        template=NEW_NUMBER,
        subject=owner.id,
        language=owner.consumer.language,
        mobile=owner.consumer.mobile_key,
        values=(old.number, owner.account_number, old.last_day.isoformat()),
        cause=f"{_ASKED}{asked.id}",
    )
    return owner.id


# -- a message about one act -------------------------------------------------------------------------------------------


def notify(*, connection: int, template: Template, values: Sequence[str], cause: str) -> int | None:
    """Queue a message to a connection's consumer, in the caller's transaction; its id, None without a usable mobile.

    For the web too, which may not see the mobile: there it needs the scope of an office, or of this very consumer.
    Raises UnsendableError for values that do not fit the template.
    """
    told_values(template=template, values=values)
    with session.cursor() as cursor:
        cursor.execute("select khata.notify(%s, %s, %s, %s)", [connection, template.name, list(values), cause])
        ((made,),) = cursor.fetchall()
    return None if made is None else int(made)
