"""Telling people their new numbers: messages, who has been told and how, the door, and the public lists."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast
from uuid import UUID

import numpy as np
from django.db import connection as session
from django.db import transaction

from khata.audit.operations import record
from khata.discoms.models import Discom, Office
from khata.formats.pgcopy import Field
from khata.jobs.bulk import copy_out
from khata.migration.models import ListPolicy, Told, Wave
from khata.notices.operations import NewMessages, call_back, queue
from khata.notices.rules import TEMPLATES

TOLD, WITHDRAWN = "new-number", "number-withdrawn"
Publish: TypeAlias = Literal["numbers", "masked", "off"]
PUBLISH: tuple[Publish, ...] = ("numbers", "masked", "off")


class TellingError(ValueError):
    """It cannot be done like this; the message says why, `next_step` what to do."""

    def __init__(self, wrong: str, next_step: str) -> None:
        super().__init__(wrong)
        self.next_step = next_step


# -- messages ----------------------------------------------------------------------------------------------------------

_REACHED = """
    select c.id, a.language, a.mobile_key, a.old_number, c.account_number
    from migration_account a join consumers_connection c on c.id = a.connection_id and c.live
    where a.wave_id = %s and a.outcome <> 'held' and a.mobile_key <> '' order by c.id"""
# Told, or being told just now: what waited has been called back.
_TO_WITHDRAW = """
    select a.connection_id, a.language, a.mobile_key, a.old_number
    from migration_account a join (
        select m.subject from notices_message m where m.template = any(%s) group by m.subject
        having max(m.id) filter (where m.template = %s and not exists (
            select from notices_delivery d where d.message_id = m.id and d.outcome = 'refused'))
            > coalesce(max(m.id) filter (where m.template = %s), 0)
    ) t on t.subject = a.connection_id
    where a.wave_id = %s and a.mobile_key <> '' order by a.connection_id"""


def queue_told(*, wave: Wave, last_day: dt.date, now: dt.datetime) -> int:
    """One message with both numbers and the old one's last day to each live account of the wave that has a usable
    mobile, in the caller's transaction; returns how many. Nothing where accounts keep their numbers.

    What waits of an earlier roll-back is not sent any more.
    """
    if wave.numbers == "kept":
        return 0
    call_back(template=TEMPLATES[WITHDRAWN], cause=_cause(wave), reason="the wave is live again", now=now)
    subject, language, mobile, old, account = copy_out(_REACHED, (wave.id,), [Field("int8")] + [Field("text")] * 4)
    until = np.full(len(subject), str(last_day).encode())
    return _queue(TOLD, wave, subject, language, mobile, [old, account, until])


def queue_withdrawn(*, wave: Wave, now: dt.datetime) -> int:
    """Whom a message told the new number, learns that the old one is in force again. In the caller's transaction.

    Who was not told yet hears of neither.
    """
    call_back(template=TEMPLATES[TOLD], cause=_cause(wave), reason="the wave was rolled back", now=now)
    params = ([TOLD, WITHDRAWN], TOLD, WITHDRAWN, wave.id)
    with session.cursor() as cursor:  # what was called back a moment ago is not in the planner's statistics
        cursor.execute("set local enable_nestloop = off")
        subject, language, mobile, old = copy_out(_TO_WITHDRAW, params, [Field("int8")] + [Field("text")] * 3)
        cursor.execute("set local enable_nestloop = on")
    return _queue(WITHDRAWN, wave, subject, language, mobile, [old])


def _queue(
    template: str,
    wave: Wave,
    subject: np.ndarray,
    language: np.ndarray,
    mobile: np.ndarray,
    values: Sequence[np.ndarray],
) -> int:
    cause = np.full(len(subject), _cause(wave).encode())
    messages = NewMessages(subject, language, mobile, values, cause)
    return queue(template=TEMPLATES[template], messages=messages)


def _cause(wave: Wave) -> str:
    return f"migration:wave:{wave.id}"


# -- who has been told -------------------------------------------------------------------------------------------------

# Each live account of a wave, and the best proof that its new number is known. By SMS: the last that a phone was handed
# is the new number, not its withdrawal.
_ACCOUNTS = """
    with by_sms as (
        select m.subject from notices_message m
        left join notices_delivery d on d.message_id = m.id and d.outcome = 'sent'
        where m.template in ('new-number', 'number-withdrawn') group by m.subject
        having max(m.id) filter (where m.template = 'new-number' and d.id is not null)
            > coalesce(max(m.id) filter (where m.template = 'number-withdrawn'), 0)
    )
    select a.id, a.division_id, a.feeder, a.book, a.address, a.name, a.old_number, c.id as connection, c.account_number,
        case when exists (select from payments_receipt r
                          where r.connection_id = c.id and r.matched = c.account_number)
               or exists (select from migration_seennumber s where s.connection_id = c.id) then 'use'
             when exists (select from migration_told t where t.connection_id = c.id) then 'door'
             when c.id in (select subject from by_sms) then 'sms'
             else 'not' end as way
    from migration_account a join consumers_connection c on c.id = a.connection_id and c.live
    where a.wave_id = %(wave)s and a.outcome <> 'held'
        and (%(division)s::int is null or a.division_id = %(division)s)"""
_PROGRESS = f"""
    select o.id, o.name_en, o.name_hi, count(*), count(*) filter (where way = 'sms'),
        count(*) filter (where way = 'door'), count(*) filter (where way = 'use'), count(*) filter (where way = 'not')
    from ({_ACCOUNTS}) t join discoms_office o on o.id = t.division_id group by o.id order by o.id"""
_NOT_TOLD = f"""
    select connection, division_id, account_number, old_number, name, address, feeder, book from ({_ACCOUNTS}) t
    where way = 'not' and (%(feeder)s::text is null or feeder = %(feeder)s)
        and (%(book)s::text is null or book = %(book)s)
    order by division_id, feeder, book, address, old_number"""


@dataclass(frozen=True)
class Progress:
    """accounts = by_sms + by_door + by_use + not_yet: each where its surest proof is, use, then door, then SMS."""

    division: int
    name_en: str
    name_hi: str
    accounts: int
    by_sms: int
    by_door: int
    by_use: int
    not_yet: int


def progress(wave: Wave) -> list[Progress]:
    """Of each division that has live accounts of the wave, how many have been told their new number, and how."""
    with session.cursor() as cursor:
        cursor.execute(_PROGRESS, {"wave": wave.id, "division": None})
        return [Progress(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class NotTold:
    connection: int
    division: int
    account_number: str
    old_number: str
    name: str
    address: str
    feeder: str
    book: str


def not_told(
    *, wave: Wave, division: int | None = None, feeder: str | None = None, book: str | None = None
) -> list[NotTold]:
    """Live accounts of the wave whose new number nobody is known to have learnt, in the order of a reader's round."""
    params = {"wave": wave.id, "division": division, "feeder": feeder, "book": book}
    with session.cursor() as cursor:
        cursor.execute(_NOT_TOLD, params)
        return [NotTold(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class Book:
    """Of a reader's book the accounts not told yet, and the feeders that they hang on."""

    book: str
    feeders: str
    accounts: int


def books_not_told(*, wave: Wave, division: int) -> list[Book]:
    """The books of a division in which somebody is not told yet."""
    query = f"""
        select book, string_agg(distinct feeder, ', ' order by feeder), count(*) from ({_ACCOUNTS}) t
        where way = 'not' group by book order by book"""
    with session.cursor() as cursor:
        cursor.execute(query, {"wave": wave.id, "division": division})
        return [Book(*row) for row in cursor.fetchall()]


@transaction.atomic
def note_told(*, connections: Sequence[int], told_on: dt.date, staff: int, reader: str) -> int:
    """These were told at the door; returns how many were not noted before. `reader` is who was there."""
    before = Told.objects.filter(connection__in=connections).count()
    rows = [Told(connection_id=one, told_on=told_on, staff_id=staff, reader=reader) for one in sorted(set(connections))]
    Told.objects.bulk_create(rows, ignore_conflicts=True, batch_size=5_000)
    made = Told.objects.filter(connection__in=connections).count() - before
    details = {"accounts": made, "on": str(told_on)}
    record(actor=f"staff:{staff}", action="migration.told", object="migration:told", details=details)
    return made


def note_seen(*, sign_in: UUID, at: dt.datetime) -> None:
    """Whoever signs in sees the new numbers of the connections under that mobile. The sign-in has been proven."""
    with session.cursor() as cursor:
        cursor.execute("select khata.note_seen_number(%s, %s)", [sign_in, at])


# -- public lists ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PublicList:
    """A division's list: until when, since which cut-over, and whether it hides most of what it has.

    `version` changes with whatever changes the list.
    """

    division: Office
    last_day: dt.date
    since: dt.date
    masked: bool
    version: str


def public_lists(*, today: dt.date, wave: Wave | None = None) -> list[PublicList]:
    """Of each division whose numbers may be seen on this day; of one whose accounts came in two waves, one list."""
    query = """
        select division, min(last_day), max(since), bool_or(masked),
            string_agg(concat_ws('-', wave, act, publish, last_day), ' ' order by wave)
        from khata.number_lists(%s) group by division having %s::bigint is null or %s = any(array_agg(wave))
        order by division"""
    number = wave.id if wave else None
    with session.cursor() as cursor:
        cursor.execute(query, [today, number, number])
        rows = cursor.fetchall()
    offices = Office.objects.select_related("discom").in_bulk([row[0] for row in rows])
    return [PublicList(offices[row[0]], *row[1:]) for row in rows]


def public_list(*, division: int, today: dt.date) -> PublicList | None:
    """None: there is no such division, its window is over, or its company shows no numbers."""
    return next((each for each in public_lists(today=today) if each.division.id == division), None)


def count_listed(*, division: int, today: dt.date, before: str | None = None) -> int:
    """How many numbers the list has; with `before`, how many of them stand before that old number."""
    with session.cursor() as cursor:
        cursor.execute("select khata.count_listed(%s, %s, %s)", [division, today, before])
        ((count,),) = cursor.fetchall()
    return int(count)


def listed_numbers(*, division: int, today: dt.date, skip: int = 0, many: int = 2**31) -> list[tuple[str, str]]:
    """Old and new numbers, by the old ones; where the list is masked, the new one is empty."""
    with session.cursor() as cursor:
        cursor.execute("select * from khata.listed_numbers(%s, %s, %s, %s)", [division, today, skip, many])
        return [(old, new) for old, new in cursor.fetchall()]


def note_looked(*, division: int, what: str, page: int) -> None:
    """Somebody looked at a public list. Not who: nobody has signed in, and an address is a person's."""
    details = {"as": what, "page": page}
    record(actor="anyone", action="migration.list-seen", object=f"discoms:office:{division}", details=details)


def list_policy(*, discom: Discom, today: dt.date) -> Publish:
    """What a company publishes on a day; if it never said, numbers."""
    found = ListPolicy.objects.filter(discom=discom, from_date__lte=today).order_by("-from_date").first()
    return cast(Publish, found.publish) if found else "numbers"


@transaction.atomic
def set_list_policy(*, discom: Discom, from_date: dt.date, publish: str, source: str, actor: str) -> None:
    """From this day on the company publishes numbers, masked numbers or none. Raises TellingError."""
    if publish not in PUBLISH:
        raise TellingError(f"lists cannot be {publish!r}", f"Choose one of {', '.join(PUBLISH)}")
    if not source.strip():
        raise TellingError("the source is empty", "Name the order that says so")
    if ListPolicy.objects.filter(discom=discom, from_date=from_date).exists():
        raise TellingError(f"{discom.code} has said what it publishes from {from_date} on already", "Take another day")
    ListPolicy.objects.create(discom=discom, from_date=from_date, publish=publish, source=source.strip())
    details = {"from": str(from_date), "publish": publish}
    record(actor=actor, action="migration.set-list-policy", object=f"discoms:discom:{discom.id}", details=details)


# -- the office's own list ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StaffRow:
    division: int
    old_number: str
    account_number: str
    name: str
    address: str
    feeder: str
    book: str
    way: Literal["sms", "door", "use", "not"]


def staff_list(*, wave: Wave, division: int, actor: str, reason: str) -> list[StaffRow]:
    """A division's live accounts with names, by old number, and how each was told; who asked for it is written down."""
    if not reason.strip():
        raise TellingError("the reason is empty", "Say what the names are wanted for")
    query = f"""
        select division_id, old_number, account_number, name, address, feeder, book, way from ({_ACCOUNTS}) t
        order by old_number, connection"""
    with session.cursor() as cursor:
        cursor.execute(query, {"wave": wave.id, "division": division})
        rows = [StaffRow(*row) for row in cursor.fetchall()]
    about, details = f"migration:wave:{wave.id}", {"division": division, "accounts": len(rows)}
    record(actor=actor, action="migration.list-with-names", object=about, reason=reason.strip(), details=details)
    return rows
