"""Who may see a connection besides its holder, and how its registered mobile becomes another one.

What the web does here it does through functions of the database that look at the scope of the request; a run applies
the changes whose time has come.
"""

import datetime as dt
import logging
import secrets
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db import connection as session
from django.utils.crypto import constant_time_compare

from khata.audit.operations import record
from khata.consumers.models import Authenticator, Consumer, MobileChange, MobileWord, ViewGrant
from khata.consumers.operations import use_sign_in, within_limits
from khata.consumers.rules import CODE_DIGITS, CODE_SECONDS, CODE_TRIES, CODES_PER_MOBILE, GRANTS_PER_DAY, OFFICE_HOLD
from khata.notices.rules import sign_in_code

ENDED = ("stopped", "refused", "done")  # words after which a change waits no longer
_log = logging.getLogger(__name__)


class SilentMobileError(ValueError):
    """Others' connections stand under the new mobile, and nobody signed in with it for half a year: not until somebody
    has, and has answered what is asked then.
    """


@contextmanager
def _silent_refused() -> Iterator[None]:
    try:
        yield
    except DatabaseError as refused:
        if getattr(refused.__cause__, "sqlstate", "") != "KH027":
            raise
        raise SilentMobileError(str(refused)) from refused


# -- a view of one connection ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """A connection as somebody sees it whom its holder let in: the name masked."""

    id: uuid.UUID
    connection: int
    account_number: str
    masked_name: str
    address: str
    discom_en: str
    discom_hi: str


def views_shown(*, views: Sequence[uuid.UUID]) -> list[View]:
    """Of these views those that still stand. Whoever asks must have them from a proven mobile."""
    with session.cursor() as cursor:
        cursor.execute("select * from khata.views_shown(%s)", [list(views)])
        return [View(*row) for row in cursor.fetchall()]


def given_views(*, connection_id: int) -> list[ViewGrant]:
    """Views of a connection that its holder gave and has not taken back, in the holder's scope."""
    return list(ViewGrant.objects.filter(connection_id=connection_id, viewended=None).order_by("given_at"))


def give_view(*, connection_id: int, mobile: str, label: str, now: dt.datetime, key: str) -> str:
    """Let a mobile see this connection of the scope's consumer, and tell both; "" or why not.

    Why not: own (the holder's mobile), given (it sees it already), many (five do), often (ten a day), nobody.
    """
    if not within_limits(f"give-view:{connection_id}", GRANTS_PER_DAY, now, key):
        return "often"
    with session.cursor() as cursor:
        cursor.execute("select khata.give_view(%s, %s, %s, %s)", [uuid.uuid4(), connection_id, mobile, label])
        ((why,),) = cursor.fetchall()
    return str(why)


def end_view(*, view: uuid.UUID) -> bool:
    """Whether it was taken back just now. From the next request on nothing is seen by it."""
    with session.cursor() as cursor:
        cursor.execute("select khata.end_view(%s)", [view])
        ((ended,),) = cursor.fetchall()
    return bool(ended)


# -- another mobile, asked for by the holder ---------------------------------------------------------------------------


def ask_new_mobile(*, connection_id: int, mobile: str, now: dt.datetime, key: str) -> uuid.UUID:
    """Note that a code is to go to the mobile that its holder wants; returns what binds it to the session.

    To a mobile that was sent too many codes nothing goes, and the answer is the same.
    """
    silent = not within_limits(f"code-mobile:{mobile}", CODES_PER_MOBILE, now, key)
    silent |= not within_limits(f"new-mobile-of:{connection_id}", CODES_PER_MOBILE, now, key)
    asked = uuid.uuid4()
    with session.cursor() as cursor:
        cursor.execute(
            "select khata.note_new_mobile(%s, %s, %s, %s::smallint, %s, %s, %s)",
            (asked, mobile, secrets.token_hex(16), CODE_DIGITS, now, silent, connection_id),
        )
    return asked


def change_mobile(*, sign_in: uuid.UUID, typed: str, now: dt.datetime, key: str) -> int | None:
    """The change that now waits its 24 hours; None for a wrong or old code, or where one waits already.

    The old mobile is told in the same transaction. Raises SilentMobileError.
    """
    with _silent_refused(), transaction.atomic(), session.cursor() as cursor:
        cursor.execute("select * from khata.try_sign_in(%s)", [sign_in])
        row = cursor.fetchone()
        if row is None:
            return None
        _, nonce, digits, asked_at, tried, used = row
        late = (now - asked_at).total_seconds() > CODE_SECONDS
        if used or late or tried >= CODE_TRIES:
            return None
        if not constant_time_compare(typed, sign_in_code(nonce, key.encode(), digits=digits)):
            return None
        if not use_sign_in(sign_in=sign_in, key=key):
            return None
        cursor.execute("select khata.change_mobile(%s)", [sign_in])
        ((made,),) = cursor.fetchall()
    return None if made is None else int(made)


def open_change() -> MobileChange | None:
    """The change of the scope's own mobile that still waits, an office's or one's own."""
    waiting = MobileChange.objects.exclude(mobileword__word__in=ENDED)
    return waiting.order_by("-id").first()


def stop_change(*, change: int) -> bool:
    """ "This was not me": whether it was stopped just now. By whoever still has the old mobile."""
    with session.cursor() as cursor:
        cursor.execute("select khata.stop_mobile(%s)", [change])
        ((stopped,),) = cursor.fetchall()
    return bool(stopped)


def change_waiting(*, sign_in: uuid.UUID) -> str | None:
    """The last digits of the mobile that is to be put on record for the one that this sign-in has proven, if any."""
    return _answer("select khata.change_waiting(%s)", sign_in)  # type: ignore[no-any-return]


def stop_waiting(*, sign_in: uuid.UUID) -> bool:
    """ "This was not me", by the code from an SMS alone: whether something was stopped just now."""
    return bool(_answer("select khata.stop_waiting(%s)", sign_in))


def _answer(call: str, *given: str | int | uuid.UUID) -> Any:
    with session.cursor() as cursor:
        cursor.execute(call, given)
        ((answer,),) = cursor.fetchall()
    return answer


# -- another mobile, on paper at an office -----------------------------------------------------------------------------


def proposed_mobile(*, connection_id: int) -> MobileChange | None:
    """What a person of the office proposed for a connection and is neither stopped, refused nor done."""
    rows = MobileChange.objects.filter(connection_id=connection_id, staff__isnull=False)
    return rows.exclude(mobileword__word__in=ENDED).select_related("staff").order_by("-id").first()


def holds_until(*, change: int) -> dt.datetime | None:
    """When a proposal that a second person agreed to goes on record; None while nobody has."""
    agreed = MobileWord.objects.filter(change_id=change, word="agreed").first()
    return agreed.made_at + OFFICE_HOLD if agreed else None


def goes_beyond(*, connection_id: int) -> bool:
    """Whether the mobile of a connection has connections outside of the scope's offices too: its app is not theirs."""
    return bool(_answer("select khata.mobile_goes_beyond(%s)", connection_id))


@transaction.atomic
def propose_mobile(*, connection_id: int, mobile: str, reason: str, staff: int) -> int | None:
    """For a connection of the own offices, by an officer; None where there is none, or one waits already.

    The mobile on record again means: its authenticator was lost, and is to be switched off; None where `goes_beyond`.
    Raises SilentMobileError.
    """
    with _silent_refused(), session.cursor() as cursor:
        cursor.execute("select khata.propose_mobile(%s, %s, %s, %s)", [connection_id, mobile, reason, staff])
        ((made,),) = cursor.fetchall()
    if made is not None:
        about = f"consumers:mobilechange:{made}"
        record(actor=f"staff:{staff}", action="consumers.propose-mobile", object=about, reason=reason)
    return None if made is None else int(made)


@transaction.atomic
def decide_mobile(*, change: int, agreed: bool, staff: int) -> bool:
    """Whether it was decided just now: by an officer over the connection. The database refuses the person who proposed
    (KH026) to agree.
    """
    word = "agreed" if agreed else "refused"
    with session.cursor() as cursor:
        cursor.execute("select khata.decide_mobile(%s, %s, %s)", [change, word, staff])
        ((decided,),) = cursor.fetchall()
    if decided:
        about = f"consumers:mobilechange:{change}"
        record(actor=f"staff:{staff}", action=f"consumers.{word}-mobile", object=about)
    return bool(decided)


# -- applying, by a run ------------------------------------------------------------------------------------------------

_DUE = """
    select m.id from consumers_mobilechange m
    where not exists (select from consumers_mobileword w where w.change_id = m.id and w.word <> 'agreed')
      and (m.holds_until <= %s
           or exists (select from consumers_mobileword w
                      where w.change_id = m.id and w.word = 'agreed' and w.made_at <= %s))
    order by m.id limit 500"""


def apply_changes(*, now: dt.datetime) -> int:
    """Put on record the mobiles whose hold is over; how many. `now` is real time.

    Each in a transaction of its own: a change that is stopped at this moment is either stopped or done, never both.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [now, now - OFFICE_HOLD])
        due = [number for (number,) in cursor.fetchall()]
    return sum(_apply(number, now) for number in due)


def _apply(number: int, now: dt.datetime) -> bool:
    """Whether it is on record now. Not, and the others go on, where it was stopped at this very moment."""
    try:
        with transaction.atomic():
            return _put_on_record(number, now)
    except IntegrityError:
        if not MobileWord.objects.filter(change=number, word__in=ENDED).exists():
            _log.exception("change %s of a mobile could not be put on record; khata work tries it again", number)
        return False


def _put_on_record(number: int, now: dt.datetime) -> bool:
    change = MobileChange.objects.get(id=number)
    _, done = MobileWord.objects.get_or_create(change=change, word="done")
    if not done:
        return False
    whose = Consumer.objects.filter(mobile_key=change.mobile_was)
    if change.staff_id:
        whose = Consumer.objects.filter(connection=change.connection_id)
    whose.update(mobile=change.mobile_new, mobile_key=change.mobile_new)
    if not change.staff_id:
        _bring_along(change)
    elif change.mobile_new == change.mobile_was:  # the person is known by papers, and has lost the app
        _switch_off(change.mobile_was, now)
    record(actor="command", action="consumers.change-mobile", object=f"consumers:mobilechange:{number}")
    return True


def _switch_off(mobile: str, now: dt.datetime) -> None:
    for lost in Authenticator.objects.filter(mobile_key=mobile, ended_at=None):
        Authenticator.objects.filter(id=lost.id).update(ended_at=now)
        _answer("select khata.tell_of_authenticator(%s, %s, 'off', 'command')", lost.id, mobile)


def _bring_along(change: MobileChange) -> None:
    """The authenticator goes on guarding the same person, unless the new mobile has one of its own."""
    statement = """
        update consumers_authenticator a set mobile_key = %(new)s where a.mobile_key = %(was)s and a.ended_at is null
        and not exists (select from consumers_authenticator o where o.mobile_key = %(new)s and o.ended_at is null)"""
    with connection.cursor() as cursor:
        cursor.execute(statement, {"new": change.mobile_new, "was": change.mobile_was})
