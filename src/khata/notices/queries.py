"""What waits to be sent, what was sent, and whether a text that somebody shows us is ours.

How waiting messages are found though none is ever marked: a mark says up to which id every message has had an attempt,
and what lies above it is looked through by key. A mark may be set only where no message can still appear below it: ids
are drawn in order, but transactions end in any order. So it is set when nobody has the table open for writing.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from khata.formats.text import digits
from khata.notices.models import Mark, Message, Registration
from khata.notices.rules import PAUSES, UnsendableError, check_code_typed, shown_text

INBOX_LIMIT = 50
_INDIA = ZoneInfo("Asia/Kolkata")


# -- for the sender ----------------------------------------------------------------------------------------------------

_UNTRIED = """
    select m.id from notices_message m
    where m.id > %(tried)s {only}
      and not exists (select from notices_delivery d where d.message_id = m.id)
    order by m.id limit %(limit)s"""
_URGENT = _UNTRIED.format(only="and m.template = 'sign-in-code'")
_ANY = _UNTRIED.format(only="")
_AGAIN = """
    select d.message_id from notices_delivery d
    where d.outcome = 'failed' and d.message_id > %(settled)s
      and d.at + (%(pauses)s::interval[])[d.attempt] <= %(now)s
      and not exists (select from notices_delivery l where l.message_id = d.message_id and l.attempt = d.attempt + 1)
    order by d.message_id limit %(limit)s"""
_OPEN = """
    select d.message_id from notices_delivery d
    where d.outcome = 'failed' and d.message_id > %(settled)s
      and not exists (select from notices_delivery l where l.message_id = d.message_id and l.attempt = d.attempt + 1)
    order by d.message_id limit 1"""
_BEING_WRITTEN = """
    select exists (
        select from pg_locks
        where relation = 'notices_message'::regclass and mode = 'RowExclusiveLock'
          and database = (select oid from pg_database where datname = current_database())
          and pid is distinct from pg_backend_pid())"""


def waiting(*, now: dt.datetime, limit: int) -> list[int]:
    """Ids of messages to be tried now: codes of sign-in first, then the others in the order they were queued."""
    mark = last_mark()
    given: dict[str, Any] = {
        "tried": mark.tried,
        "settled": mark.settled,
        "now": now,
        "limit": limit,
        "pauses": list(PAUSES),
    }
    urgent = _ids(_URGENT, given)
    others = {*_ids(_ANY, given), *_ids(_AGAIN, given)} - set(urgent)
    return [*urgent, *sorted(others)][:limit]


def count_told(*, subject: int, cause: str, since: dt.datetime) -> int:
    """How many messages about a subject were queued since then, of causes that begin so."""
    return Message.objects.filter(subject=subject, made_at__gte=since, cause__startswith=cause).count()


def last_mark() -> Mark:
    return Mark.objects.order_by("-id").first() or Mark(tried=0, settled=0)


def next_mark(mark: Mark) -> Mark | None:
    """How far the mark may go from here; None while somebody writes messages, or if it cannot go on."""
    newest = Message.objects.order_by("-id").values_list("id", flat=True).first()
    # In this order: whoever drew an id up to `newest` had the table open by then. If nobody has now, they are through,
    # and each of the next statements sees what they wrote.
    if newest is None or _being_written():
        return None
    untried = _ids(_ANY, {"tried": mark.tried, "limit": 1})
    tried = min(newest, untried[0] - 1) if untried else newest
    failed = _ids(_OPEN, {"settled": mark.settled})
    settled = min(tried, failed[0] - 1) if failed else tried
    return Mark(tried=tried, settled=settled) if (tried, settled) > (mark.tried, mark.settled) else None


def _being_written() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_BEING_WRITTEN)
        ((found,),) = cursor.fetchall()
    return bool(found)


def _ids(query: str, given: dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return [number for (number,) in cursor.fetchall()]


def registration(*, discom: str, template: str, language: str, on: dt.date) -> Registration | None:
    """Under what a company's template is registered on a day."""
    found = Registration.objects.filter(discom=discom, template=template, language=language, from_date__lte=on)
    return found.order_by("-from_date", "-id").first()


# -- for people --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """What the bearer of a message may know of it: that we sent it, when (day in India), in which language."""

    template: str
    sent_on: dt.date
    language: str


def check(*, code: str, tail: str) -> Checked | None:
    """Whether a message with this check code, about an account with these last four digits, is ours.

    Both must fit. Look-alikes, blanks, small letters and digits of any script are understood. Needs no scope.
    """
    plain, last_four = check_code_typed(code), digits(tail.strip())
    if plain is None or not (len(last_four) == 4 and last_four.isascii() and last_four.isdecimal()):
        return None
    with connection.cursor() as cursor:
        cursor.execute("select template, sent_at, language from khata.message_sent(%s, %s)", [plain, last_four])
        row = cursor.fetchone()
    return Checked(row[0], row[1].astimezone(_INDIA).date(), row[2]) if row else None


@dataclass(frozen=True)
class Item:
    """A message in an inbox or outbox, newest first. `at` is when it was sent, else when it was queued."""

    id: int
    subject: int
    template: str
    language: str
    text: str
    at: dt.datetime
    state: Literal["waiting", "sent", "refused"]


# The sub-select keeps the sort from all but the rows wanted; of each message the last attempt.
_ITEMS = """
    select m.id, m.subject, m.template, m.language, m."values", m.made_at, d.at, coalesce(d.outcome, '')
    from (select * from notices_message {where} order by id desc limit %(limit)s) m
    left join lateral (select l.at, l.outcome from notices_delivery l where l.message_id = m.id
                       order by l.attempt desc limit 1) d on true
    order by m.id desc"""


def inbox(
    *,
    subjects: Sequence[int],
    limit: int = INBOX_LIMIT,
    key: bytes | None = None,
    before: int | None = None,
    mobile: str = "",
) -> list[Item]:
    """The messages about these connections as they went out, a code hidden. Without a key, by this Khata's.

    `before`: those older than the message with this id. `mobile` leaves out what only somebody else was told.
    """
    where = "where subject = any(%(subjects)s)"
    where += " and id < %(before)s" if before is not None else ""
    where += " and (mobile = %(mobile)s or template <> 'view-received')" if mobile else ""
    return _items(where, limit, key, subjects=list(subjects), before=before, mobile=mobile)


def outbox(*, limit: int, key: bytes | None = None) -> list[Item]:
    """The newest messages of everybody whom the role and scope let us see, the digits of a code hidden."""
    return _items("", limit, key)


def _items(where: str, limit: int, key: bytes | None, **given: Any) -> list[Item]:
    secret = settings.SECRET_KEY.encode() if key is None else key
    with connection.cursor() as cursor:
        cursor.execute(_ITEMS.format(where=where), {**given, "limit": limit})
        rows = cursor.fetchall()
    found = []
    for number, subject, template, language, values, made_at, at, outcome in rows:
        message = Message(id=number, template=template, language=language, values=values)
        try:
            text = shown_text(message, secret)
        except UnsendableError:
            continue  # it never went out, and never will
        state: Literal["waiting", "sent", "refused"] = outcome if outcome in ("sent", "refused") else "waiting"
        found.append(Item(number, subject, template, language, text, at or made_at, state))
    return found
