"""Connections that a wave brings in, all at once; taken back, and brought in again."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection as session
from django.db import transaction

from khata.audit.operations import record
from khata.consumers.models import NumberWindow
from khata.consumers.queries import newest_window
from khata.consumers.rules import name_key
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64

Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Arrivals:
    """Sequences and columns of equal length, one row a connection with a consumer of its own.

    `mobile_key` is empty where the mobile may not be used; `old_number` where there is none.
    """

    account_number: Sequence[str]
    name: Sequence[str]
    mobile: Sequence[str]
    mobile_key: Sequence[str]
    language: Sequence[str]
    address: Sequence[str]
    division: Int64
    connected_on: Days
    category: Sequence[str]
    area: Sequence[str]
    mode: Sequence[str]
    load_w: Int64
    old_number: Sequence[str]

    def at(self, rows: Int64) -> "Arrivals":
        """Some of the rows, by their places."""
        places = rows.tolist()
        columns: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        picked: dict[str, Any] = {
            name: column[rows] if isinstance(column, np.ndarray) else [column[place] for place in places]
            for name, column in columns.items()
        }
        return Arrivals(**picked)


class ArrivalError(ValueError):
    """A row cannot be brought in: its number is not this company's, or another live connection has it."""


class WindowError(ValueError):
    """The time of a wave's old numbers cannot be extended like this; `next_step` says what can be done."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.next_step = next_step


@transaction.atomic
def bring_in(*, discom: int, wave: str, rows: Arrivals, now: dt.datetime) -> Int64:
    """Make the connections of a wave live; returns their ids in the order of the rows.

    What is not there is inserted. Of the rest only what differs is written, terms as a new revision; the same rows
    again write nothing. Every account number must have been issued to, or kept by, this company. Raises ArrivalError.
    """
    numbers = list(rows.account_number)
    if len(set(numbers)) < len(numbers):
        raise ArrivalError("an account number stands on two rows")
    _refuse_numbers_of_others(discom, numbers)
    there = _there(numbers)
    if any(is_live and its_wave != wave for _, its_wave, is_live in there.values()):
        raise ArrivalError(f"a connection is live in another wave than {wave}")
    known = np.array([number in there for number in numbers], np.bool_)
    ids = np.zeros(len(numbers), np.int64)
    if known.any():
        _put_right(discom, wave, rows.at(np.flatnonzero(known)), now)
        ids[known] = [there[number][0] for number in numbers if number in there]
    if not known.all():
        new = rows if not known.any() else rows.at(np.flatnonzero(~known))
        ids[~known] = write_new(discom=discom, wave=wave, rows=new, now=now)
    return ids


def _refuse_numbers_of_others(discom: int, numbers: Sequence[str]) -> None:
    query = "select count(*) from consumers_issuednumber where number = any(%s) and discom_id = %s"
    with session.cursor() as cursor:
        cursor.execute(query, [list(numbers), discom])
        ((own,),) = cursor.fetchall()
    if own < len(numbers):
        raise ArrivalError(f"{len(numbers) - own} of {len(numbers)} account numbers are not this company's")


def _there(numbers: Sequence[str]) -> dict[str, tuple[int, str, bool]]:
    """Id, wave and whether it is live, of the connections that exist. Held until the end of the transaction."""
    query = """
        select account_number, id, wave, live from consumers_connection where account_number = any(%s)
        order by id for update"""
    with session.cursor() as cursor:
        cursor.execute(query, [list(numbers)])
        return {number: (identity, wave, live) for number, identity, wave, live in cursor.fetchall()}


# -- what is new -------------------------------------------------------------------------------------------------------


def write_new(*, discom: int, wave: str, rows: Arrivals, now: dt.datetime) -> Int64:
    """Consumers, connections, terms and old numbers, in the caller's transaction; returns the connections' ids."""
    count = len(rows.name)
    people, ids = next_ids("consumers_consumer", count), next_ids("consumers_connection", count)
    copy_in("consumers_consumer", {"id": pgcopy.int8(people), **_of_consumer(rows)})
    copy_in(
        "consumers_connection",
        {
            "id": pgcopy.int8(ids),
            "consumer_id": pgcopy.int8(people),
            "discom_id": pgcopy.int2(np.full(count, discom)),
            "account_number": _text(rows.account_number),
            "wave": _text([wave] * count),
            "live": pgcopy.boolean(np.ones(count, np.bool_)),
            **_of_connection(rows),
        },
    )
    copy_in(
        "consumers_terms",
        {
            "connection_id": pgcopy.int8(ids),
            "from_date": pgcopy.date(rows.connected_on),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "known_at": pgcopy.timestamptz(np.full(count, np.datetime64(now.replace(tzinfo=None), "us"))),
            **_of_terms(rows),
            "ended": pgcopy.boolean(np.zeros(count, np.bool_)),
        },
    )
    old = np.array([number != "" for number in rows.old_number], np.bool_)
    copy_in(
        "consumers_oldnumber",
        {
            "connection_id": pgcopy.int8(ids[old]),
            "discom_id": pgcopy.int2(np.full(int(old.sum()), discom)),
            "number": _text([number for number in rows.old_number if number]),
        },
    )
    return ids


def _of_consumer(rows: Arrivals) -> dict[str, pgcopy.Column]:
    return {
        "name": _text(rows.name),
        "name_key": _text([name_key(name) for name in rows.name]),
        "mobile": _text(rows.mobile),
        "mobile_key": _text(rows.mobile_key),
        "language": _text(rows.language),
    }


def _of_connection(rows: Arrivals) -> dict[str, pgcopy.Column]:
    return {
        "division_id": pgcopy.int4(rows.division),
        "address": _text(rows.address),
        "connected_on": pgcopy.date(rows.connected_on),
    }


def _of_terms(rows: Arrivals) -> dict[str, pgcopy.Column]:
    return {
        "category": _text(rows.category),
        "area": _text(rows.area),
        "mode": _text(rows.mode),
        "load_w": pgcopy.int4(rows.load_w),
    }


def _text(values: Sequence[str]) -> pgcopy.Column:
    return pgcopy.text(np.array(values, dtype=np.str_))


# -- what is there already ---------------------------------------------------------------------------------------------

_STAGE = """
    create temporary table arrivals (
        account_number text, name text, name_key text, mobile text, mobile_key text, language text, division_id int,
        address text, connected_on date, category text, area text, mode text, load_w int, old_number text
    ) on commit drop"""
_PEOPLE = """
    update consumers_consumer p set name = a.name, name_key = a.name_key, mobile = a.mobile, mobile_key = a.mobile_key,
        language = a.language
    from arrivals a join consumers_connection c using (account_number)
    where p.id = c.consumer_id and (p.name, p.name_key, p.mobile, p.mobile_key, p.language)
        is distinct from (a.name, a.name_key, a.mobile, a.mobile_key, a.language)"""
# What the old system says now is what counts from its day on. Of a connection that was live all the time, terms agreed
# on later stay; of one that comes back, they were of a time that the roll-back has undone.
_TERMS = """
    insert into consumers_terms (connection_id, from_date, revision, known_at, category, area, mode, load_w, ended)
    select c.id, d.from_date, coalesce(t.revision + 1, 0), %(now)s, a.category, a.area, a.mode, a.load_w, false
    from arrivals a join consumers_connection c using (account_number)
    cross join lateral (
        select a.connected_on as from_date
        union select from_date from consumers_terms
            where connection_id = c.id and from_date > a.connected_on and not c.live) d
    left join lateral (
        select * from consumers_terms where connection_id = c.id and from_date = d.from_date
        order by revision desc limit 1) t on true
    where (t.category, t.area, t.mode, t.load_w, t.ended)
        is distinct from (a.category, a.area, a.mode, a.load_w, false)"""
_OLD = """
    insert into consumers_oldnumber (connection_id, discom_id, number)
    select c.id, %(discom)s, a.old_number from arrivals a join consumers_connection c using (account_number)
    where a.old_number <> '' and not exists (
        select from consumers_oldnumber o
        where o.number = a.old_number and o.discom_id = %(discom)s and o.connection_id = c.id)"""
_CONNECTIONS = """
    update consumers_connection c set division_id = a.division_id, address = a.address, connected_on = a.connected_on,
        wave = %(wave)s, live = true
    from arrivals a
    where c.account_number = a.account_number and (c.division_id, c.address, c.connected_on, c.wave, c.live)
        is distinct from (a.division_id, a.address, a.connected_on, %(wave)s, true)"""


def _put_right(discom: int, wave: str, rows: Arrivals, now: dt.datetime) -> None:
    with session.cursor() as cursor:
        cursor.execute("drop table if exists arrivals")
        cursor.execute(_STAGE)
        staged = {"account_number": _text(rows.account_number), **_of_consumer(rows), **_of_connection(rows)}
        copy_in("arrivals", {**staged, **_of_terms(rows), "old_number": _text(rows.old_number)})
        cursor.execute("analyze arrivals")
        # Connections last: the terms look at who was live before.
        for statement in (_PEOPLE, _TERMS, _OLD, _CONNECTIONS):
            cursor.execute(statement, {"discom": discom, "wave": wave, "now": now})


# -- there and back ----------------------------------------------------------------------------------------------------


@transaction.atomic
def take_back(*, connections: Int64) -> None:
    """Put connections out of sight: their company's own system has them again. Waits for payments under way."""
    with session.cursor() as cursor:
        cursor.execute(
            "select from consumers_connection where id = any(%s) order by id for update", [connections.tolist()]
        )
        cursor.execute(
            "update consumers_connection set live = false where id = any(%s) and live", [connections.tolist()]
        )


def hold_live(connection: int) -> bool:
    """Whether a connection is live, and stays so until the caller's transaction ends. False if there is none.

    For the web the database demands the scope of an office.
    """
    with session.cursor() as cursor:
        cursor.execute("select khata.hold_connection(%s)", [connection])
        ((live,),) = cursor.fetchall()
    return bool(live)


@transaction.atomic
def set_window(*, discom: int, wave: str, last_day: dt.date | None, source: str, now: dt.datetime) -> None:
    """Until when a wave's old numbers are honoured from now on; None closes the window. Said again, it is not noted."""
    newest = newest_window(discom=discom, wave=wave)
    if newest is None or (newest.last_day, newest.source) != (last_day, source):
        NumberWindow.objects.create(discom_id=discom, wave=wave, last_day=last_day, source=source, known_at=now)


@transaction.atomic
def extend_window(
    *, discom: int, wave: str, last_day: dt.date, source: str, now: dt.datetime, actor: str = "command"
) -> None:
    """By an order: honour a wave's old numbers longer, also when their last day is over already. Raises WindowError."""
    why, newest = " ".join(source.split()), newest_window(discom=discom, wave=wave)
    if not why:
        raise WindowError("the source is empty", "Name the order that says so")
    if newest is None:
        raise WindowError(f"no wave {wave!r} of this company has brought old numbers", "Choose one that has")
    if newest.last_day is None:
        raise WindowError(f"the window of wave {wave!r} is closed: it was rolled back", "Cut the wave over again first")
    if last_day < newest.last_day:
        said = f"old numbers of wave {wave!r} were promised until {newest.last_day}"
        raise WindowError(said, "Give a later day: an order extends the window, nothing shortens it")
    set_window(discom=discom, wave=wave, last_day=last_day, source=why, now=now)
    details = {"wave": wave, "from": str(newest.last_day), "until": str(last_day)}
    record(
        actor=actor,
        action="consumers.extend-window",
        object=f"discoms:discom:{discom}",
        reason=why,
        details=details,
    )
