"""Queues messages, sends them, and keeps under what they are registered.

A message is handed to the backend before the log of it is committed. A sender killed in between sends it once more
later: at most one repeated SMS, never a lost one.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from khata.audit import operations as audit
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in
from khata.notices.backends import Answer, Backend, Meta
from khata.notices.models import Delivery, Message, Registration
from khata.notices.queries import last_mark, next_mark, waiting
from khata.notices.rules import (
    ATTEMPTS,
    LANGUAGES,
    PAUSES,
    TEMPLATES,
    Template,
    UnsendableError,
    check_code,
    registered,
    stale,
    text_of,
    told_values,
)

_INDIA = ZoneInfo("Asia/Kolkata")


@dataclass(frozen=True)
class NewMessages:
    """Columns of equal length; texts as NumPy bytes. `values` has one array for each variable of the template."""

    subject: npt.NDArray[np.int64]
    language: npt.NDArray[np.bytes_]
    mobile: npt.NDArray[np.bytes_]
    values: Sequence[npt.NDArray[np.bytes_]]
    cause: npt.NDArray[np.bytes_]


def queue(*, template: Template, messages: NewMessages) -> int:
    """Write outgoing rows in the caller's transaction; returns how many."""
    if len(messages.values) != len(template.variables):
        raise ValueError(
            f"template {template.name} has {len(template.variables)} variables, not {len(messages.values)}"
        )
    return copy_in(
        "notices_message",
        {
            "subject": pgcopy.int8(messages.subject),
            "template": pgcopy.text(np.full(len(messages.subject), template.name.encode())),
            "language": pgcopy.text(messages.language),
            "mobile": pgcopy.text(messages.mobile),
            "values": pgcopy.text_array(messages.values),
            "cause": pgcopy.text(messages.cause),
        },
    )


def queue_one(
    *, template: Template, subject: int, language: str, mobile: str, values: Sequence[str], cause: str
) -> int:
    """Write one outgoing row in the caller's transaction; returns its id. Raises UnsendableError for unfit values."""
    told_values(template=template, values=values)
    made = Message.objects.create(
        subject=subject, template=template.name, language=language, mobile=mobile, values=list(values), cause=cause
    )
    return made.id


# -- sending -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """How many attempts of a round ended how; refused counts those given up after the last attempt too."""

    sent: int = 0
    failed: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        return self.sent + self.failed + self.refused


def send_queued(*, backend: Backend, key: bytes, now: dt.datetime, limit: int) -> Sent:
    """Try up to `limit` messages that wait, each in a transaction of its own. `now` is the real time.

    Several senders may work at once: each message is one sender's until its log is committed.
    """
    counts = {"sent": 0, "failed": 0, "refused": 0}
    for message in waiting(now=now, limit=limit):
        outcome = _send(message, backend, key, now)
        if outcome:
            counts[outcome] += 1
    mark = next_mark(last_mark())
    if mark is not None:
        mark.save()
    return Sent(**counts)


@transaction.atomic(durable=True)
def _send(number: int, backend: Backend, key: bytes, now: dt.datetime) -> str | None:
    """The outcome of an attempt; None if another sender has the message, or had it meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"notices:message:{number}"])
        ((mine,),) = cursor.fetchall()
    if not mine:
        return None
    before = Delivery.objects.filter(message_id=number).order_by("-attempt").first()
    if before and (before.outcome != "failed" or before.at + PAUSES[before.attempt - 1] > now):
        return None
    attempt = before.attempt + 1 if before else 1
    message = Message.objects.get(id=number)
    text, answer = _answer(message, attempt, backend, key, now)
    if answer.outcome == "failed" and attempt >= ATTEMPTS:
        answer = replace(answer, outcome="refused", detail=f"given up after {attempt} attempts: {answer.detail}")
    Delivery.objects.create(
        message=message,
        attempt=attempt,
        at=now,
        backend=backend.name,
        outcome=answer.outcome,
        detail=answer.detail,
        check_code=check_code(number, key) if text else "",
    )
    return answer.outcome


def _answer(message: Message, attempt: int, backend: Backend, key: bytes, now: dt.datetime) -> tuple[str, Answer]:
    """The text that was handed over (empty if none was) and what the backend said."""
    try:
        text = text_of(message, key)
    except UnsendableError as unfit:
        return "", Answer("refused", str(unfit))
    if registered(text) != (message.template, message.language):
        return "", Answer("refused", f"the text made is not the one registered as {message.template}")
    if stale(TEMPLATES[message.template], made_at=message.made_at, now=now):
        return "", Answer(
            "refused", f"older than {TEMPLATES[message.template].stale_after_seconds} s: it came too late"
        )
    day = now.astimezone(_INDIA).date()
    meta = Meta(message.id, attempt, message.subject, message.template, message.language, now, day)
    return text, backend.send(message.mobile, text, meta)


def call_back(*, template: Template, cause: str, reason: str, now: dt.datetime) -> int:
    """Messages of one cause that still wait will not be sent, as what they say is no longer so; returns how many.

    In the caller's transaction. What a sender is handing over just now goes out.
    """
    statement = """
        insert into notices_delivery (message_id, attempt, at, backend, outcome, detail, check_code)
        select m.id, coalesce((select max(d.attempt) from notices_delivery d where d.message_id = m.id), 0) + 1,
            %s, 'none', 'refused', %s, ''
        from notices_message m where m.template = %s and m.cause = %s and not exists (
            select from notices_delivery d where d.message_id = m.id and d.outcome in ('sent', 'refused'))
        on conflict do nothing"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [now, reason, template.name, cause])
        return int(cursor.rowcount)


# -- registration ------------------------------------------------------------------------------------------------------


class RegistrationError(ValueError):
    """A registration cannot be taken as it is; the message says why."""


@transaction.atomic
def register(
    *, discom: str, template: str, language: str, dlt_id: str, header: str, from_date: dt.date, actor: str
) -> int:
    """Note under what a company registered a template with the operator, from a day on; a later note puts it right.

    `discom` is a company's code, which the caller has looked up. Raises RegistrationError.
    """
    if template not in TEMPLATES:
        raise RegistrationError(f"there is no template {template!r}; there are {', '.join(TEMPLATES)}")
    if language not in LANGUAGES:
        raise RegistrationError(f"there is no language {language!r}; there are {', '.join(LANGUAGES)}")
    if not (dlt_id.isascii() and dlt_id.isdecimal() and 10 <= len(dlt_id) <= 25):
        raise RegistrationError("the DLT id must be the 10 to 25 digits (mostly 19) that the operator gave")
    if not re.fullmatch(r"[A-Z]{6}(-[STG])?", header):
        raise RegistrationError("the header must be six capital letters, perhaps with -S, -T or -G")
    made = Registration.objects.create(
        discom=discom, template=template, language=language, dlt_id=dlt_id, header=header, from_date=from_date
    )
    told = {"template": template, "language": language, "dlt_id": dlt_id, "header": header, "from": str(from_date)}
    audit.record(actor=actor, action="notices.register", object=f"notices:registration:{made.id}", details=told)
    return made.id
