"""Brings in consumers and their connections; their sign-in by a code; messages to them."""

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction
from django.db import connection as session
from django.utils.crypto import constant_time_compare, salted_hmac

from khata.consumers.models import Connection, SignIn
from khata.consumers.queries import connections_of_mobile
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
    account_numbers,
    mobile_key,
    name_key,
)
from khata.discoms.operations import within
from khata.discoms.queries import tries
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.notices.operations import queue_one
from khata.notices.rules import SIGN_IN_CODE, Template, sign_in_code, told_values

Days = npt.NDArray[np.datetime64]


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
def connect(*, discom: int, rows: NewConnections, wave: str, old_until: dt.date, now: dt.datetime) -> Int64:
    """Make consumers and connections, issue account numbers, keep old numbers; returns the connections' ids."""
    count = len(rows.name)
    people, ids = next_ids("consumers_consumer", count), next_ids("consumers_connection", count)
    copy_in(
        "consumers_consumer",
        {
            "id": pgcopy.int8(people),
            "name": _text(rows.name),
            "name_key": _text([name_key(name) for name in rows.name]),
            "mobile": _text(rows.mobile),
            "mobile_key": _text([mobile_key(mobile) for mobile in rows.mobile]),
            "language": _text(rows.language),
        },
    )
    copy_in(
        "consumers_connection",
        {
            "id": pgcopy.int8(ids),
            "consumer_id": pgcopy.int8(people),
            "discom_id": pgcopy.int2(np.full(count, discom)),
            "division_id": pgcopy.int4(rows.division),
            "account_number": pgcopy.text(account_numbers(ids)),
            "address": _text(rows.address),
            "connected_on": pgcopy.date(rows.connected_on),
            "wave": _text([wave] * count),
        },
    )
    copy_in(
        "consumers_terms",
        {
            "connection_id": pgcopy.int8(ids),
            "from_date": pgcopy.date(rows.connected_on),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "known_at": pgcopy.timestamptz(np.full(count, np.datetime64(now.replace(tzinfo=None), "us"))),
            "category": _text(rows.category),
            "area": _text(rows.area),
            "mode": _text(rows.mode),
            "load_w": pgcopy.int4(rows.load_w),
            "ended": pgcopy.boolean(np.zeros(count, np.bool_)),
        },
    )
    old = np.array([number != "" for number in rows.old_number])
    copy_in(
        "consumers_oldnumber",
        {
            "connection_id": pgcopy.int8(ids[old]),
            "discom_id": pgcopy.int2(np.full(int(old.sum()), discom)),
            "number": _text([number for number in rows.old_number if number]),
            "last_day": pgcopy.date(np.full(int(old.sum()), np.datetime64(old_until))),
        },
    )
    return ids


def _text(values: Sequence[str]) -> pgcopy.Column:
    return pgcopy.text(np.array(values, dtype=np.str_))


# -- sign-in by a code sent to the registered mobile -------------------------------------------------------------------


def ask_code(*, mobile: str, address: str, now: dt.datetime, key: str) -> uuid.UUID | None:
    """Note that a code is wanted; returns what binds it to the asking session, None where too many were asked for.

    The same work is done for a mobile of ours and of nobody's, and the caller learns nothing of which it is: a worker
    sends the code. `mobile` is a mobile key; `now` the real time; `key` the installation's.
    """
    if not _within(f"code-address:{address}", CODES_PER_ADDRESS, now, key):
        return None
    if not _within("code-total", CODES_IN_TOTAL, now, key):
        return None
    # Of a mobile that asks too often the answer stays the same, but nothing is sent.
    silent = not _within(f"code-mobile:{mobile}", CODES_PER_MOBILE, now, key)
    many = tries(key=_hashed("code-failed", FAILURES_IN_TOTAL[1], key), seconds=FAILURES_IN_TOTAL[1], now=now)
    asked, digits = uuid.uuid4(), MORE_DIGITS if many >= FAILURES_IN_TOTAL[0] else CODE_DIGITS
    with connection.cursor() as cursor:
        cursor.execute(
            "select khata.note_sign_in(%s, %s, %s, %s::smallint, %s, %s)",
            (asked, mobile, secrets.token_hex(16), digits, now, silent),
        )
    return asked


def check_code(
    *, sign_in: uuid.UUID, typed: str, address: str, now: dt.datetime, key: str
) -> list[tuple[int, int]] | None:
    """Pairs of connection and consumer of the mobile asked for, if this is its code; else None, whatever is wrong.

    A code is good once, for five minutes and five tries.
    """
    if not _within(f"check-address:{address}", CHECKS_PER_ADDRESS, now, key):
        return None
    with transaction.atomic(), connection.cursor() as cursor:
        # This look counts as a try and holds the row, so that two at once are two tries.
        cursor.execute("select * from khata.try_sign_in(%s)", [sign_in])
        row = cursor.fetchone()
        if row is None:
            return None
        mobile, nonce, digits, asked_at, tried, used = row
        if used or tried >= CODE_TRIES or (now - asked_at).total_seconds() > CODE_SECONDS:
            return None
        right = constant_time_compare(typed, sign_in_code(nonce, key.encode(), digits=digits))
        found = connections_of_mobile(mobile) if right else []
        if found:
            cursor.execute("select khata.use_sign_in(%s)", [sign_in])
            return found
        _within("code-failed", (FAILURES_IN_TOTAL,), now, key)
        return None


def queue_codes(*, now: dt.datetime) -> int:
    """Queue the messages of codes asked for since; for workers. Throws rows of yesterday away. Returns how many."""
    queued = 0
    with transaction.atomic():
        waiting = SignIn.objects.select_for_update(skip_locked=True).filter(queued=False).order_by("asked_at")
        for asked in waiting[:500]:
            owner = Connection.objects.filter(consumer__mobile_key=asked.mobile_key).select_related("consumer")
            first = owner.order_by("id").first() if asked.mobile_key else None
            if first is not None and (now - asked.asked_at).total_seconds() <= CODE_SECONDS:
                queue_one(
                    template=SIGN_IN_CODE,
                    subject=first.id,
                    language=first.consumer.language,
                    mobile=asked.mobile_key,
                    values=(f"{asked.digits}:{asked.nonce}",),
                    cause=f"consumers:sign-in:{asked.id}",
                )
                queued += 1
            SignIn.objects.filter(id=asked.id).update(queued=True)
        SignIn.objects.filter(asked_at__lt=now - dt.timedelta(days=1)).delete()
    return queued


def _within(key: str, limits: Sequence[tuple[int, int]], now: dt.datetime, secret: str) -> bool:
    """Counts under every stretch of time, also when one of them is exceeded already."""
    inside = True
    for most, seconds in limits:
        inside &= within(key=_hashed(key, seconds, secret), most=most, seconds=seconds, now=now)
    return inside


def _hashed(key: str, seconds: int, secret: str) -> str:
    text = f"{key}/{seconds}"
    return salted_hmac("khata.consumers.limit", text, secret=secret, algorithm="sha256").hexdigest()


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
