"""Who sends meter data: a sender's credential, and which meters' days it owes. Each operation is one transaction."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction

from khata.audit.operations import record
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in
from khata.metering.models import Sender

PREFIX = "khata_md_"  # by which whoever scans for lost credentials knows one
_RANDOM_BYTES = 32
_OUR_OWN = frozenset({"khata", "command", "desk"})  # what Khata estimates, an operator loads, an officer puts right
_SHOWN_UNKNOWN = 5


class SenderError(ValueError):
    """It cannot be done as asked; the message says why, `next_step` what to do."""

    def __init__(self, what: str, *, next_step: str) -> None:
        super().__init__(what)
        self.next_step = next_step


def credential_hash(credential: str) -> str:
    """What is stored of a credential. It is random enough to need neither salt nor stretching."""
    return hashlib.sha256(credential.encode()).hexdigest()


def senders() -> list[Sender]:
    return list(Sender.objects.order_by("code"))


@transaction.atomic
def add_sender(*, code: str, name: str, actor: str) -> str:
    """A new sender; returns its credential, which stands nowhere else. Raises SenderError."""
    if code in _OUR_OWN:
        raise SenderError(f"{code!r} is a sender of Khata's own", next_step="Choose another code")
    if Sender.objects.filter(code=code).exists():
        next_step = f"khata senders renew {code} gives it a credential, or choose another code"
        raise SenderError(f"there is a sender {code} already", next_step=next_step)
    credential = _credential()
    made = Sender.objects.create(code=code, name=name, token_hash=credential_hash(credential))
    record(actor=actor, action="metering.add-sender", object=f"metering:sender:{made.id}", details={"code": code})
    return credential


@transaction.atomic
def renew_credential(*, code: str, actor: str) -> str:
    """A new credential; the old one opens nothing from now on. Raises SenderError."""
    sender = _sender(code)
    if code in _OUR_OWN:
        raise SenderError(f"{code!r} is a sender of Khata's own", next_step="It sends nothing by the network")
    if not sender.active:
        raise SenderError(f"the sender {code} is closed", next_step="Add one under another code")
    credential = _credential()
    Sender.objects.filter(id=sender.id).update(token_hash=credential_hash(credential))
    record(actor=actor, action="metering.renew-credential", object=f"metering:sender:{sender.id}")
    return credential


@transaction.atomic
def close_sender(*, code: str, actor: str) -> None:
    """It can send no more; what it sent stays. Raises SenderError."""
    sender = _sender(code)
    if code in _OUR_OWN:
        raise SenderError(f"{code!r} is a sender of Khata's own", next_step="It cannot be closed")
    Sender.objects.filter(id=sender.id).update(token_hash="", active=False)
    record(actor=actor, action="metering.close-sender", object=f"metering:sender:{sender.id}")


@transaction.atomic
def limit_waiting(*, code: str, uploads: int, total_bytes: int, actor: str) -> None:
    """So many of its uploads, and so many bytes of them together, may wait for a worker. Raises SenderError."""
    sender = _sender(code)
    if uploads < 1 or total_bytes < 1:
        raise SenderError("nothing of it could wait any more", next_step=f"Allow one, or: khata senders close {code}")
    Sender.objects.filter(id=sender.id).update(most_waiting=uploads, most_waiting_bytes=total_bytes)
    details = {"uploads": uploads, "bytes": total_bytes}
    record(actor=actor, action="metering.limit-sender", object=f"metering:sender:{sender.id}", details=details)


def _sender(code: str) -> Sender:
    found = Sender.objects.filter(code=code).first()
    if found is None:
        raise SenderError(f"there is no sender {code!r}", next_step="See khata senders list")
    return found


def _credential() -> str:
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


# -- which meters it owes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fed:
    """How many meters: all that were named, and those of which another or nobody owed that day; `before`: these by
    who did (None: nobody), the most first.
    """

    meters: int
    new: int
    before: tuple[tuple[str | None, int], ...]


_UNKNOWN = """
    select f.serial, count(*) over () from fed f left join metering_meter m on m.serial = f.serial
    where m.id is null order by f.n limit %s"""
_FEED = """
    with moved as (
    select m.id, coalesce((select max(g.revision) + 1 from metering_feed g
                           where g.meter_id = m.id and g.from_date = %(since)s), 0) as revision, k.sender_id as was
    from (select distinct serial from fed) f join metering_meter m on m.serial = f.serial
    left join lateral (
        select g.sender_id from metering_feed g where g.meter_id = m.id and g.from_date <= %(since)s
        order by g.from_date desc, g.revision desc limit 1) k on true
    where k.sender_id is distinct from %(sender)s),
    made as (insert into metering_feed (meter_id, from_date, revision, sender_id)
             select id, %(since)s, revision, %(sender)s from moved)
    select s.code, count(*) from moved left join metering_sender s on s.id = moved.was
    group by s.code order by count(*) desc, s.code"""


@transaction.atomic
def feed(*, code: str, serials: Sequence[str], from_date: dt.date, actor: str) -> Fed:
    """From this day on the sender owes these meters' days, until a later day on which another does.

    All of them or, where a serial is not known, none. Raises SenderError.
    """
    sender = _sender(code)
    if not sender.active:
        raise SenderError(f"the sender {code} is closed", next_step="Name one that is not, see khata senders list")
    if not serials:
        raise SenderError("no meter is named", next_step="Give a file with a column `meter`")
    encoded = np.array([serial.encode() for serial in serials], np.bytes_)
    with connection.cursor() as cursor:
        cursor.execute("create temporary table fed (n int, serial text) on commit drop")
        copy_in("fed", {"n": pgcopy.int4(np.arange(len(encoded))), "serial": pgcopy.text(encoded)})
        cursor.execute("analyze fed")
        cursor.execute(_UNKNOWN, [_SHOWN_UNKNOWN])
        if unknown := cursor.fetchall():
            first = ", ".join(serial for serial, _ in unknown)
            wrong = f"{unknown[0][1]:,} meters are not known, the first of them: {first}"
            raise SenderError(wrong, next_step="Correct their numbers, or take them out of the file")
        cursor.execute(_FEED, {"since": from_date, "sender": sender.id})
        before = tuple((was, int(many)) for was, many in cursor.fetchall())
        cursor.execute("drop table fed")
    new = sum(many for _, many in before)
    details = {"from": str(from_date), "meters": len(set(serials)), "new": new, "before": before}
    record(actor=actor, action="metering.feed", object=f"metering:sender:{sender.id}", details=details)
    return Fed(len(set(serials)), new, before)
