"""The connection that a consumer's page is about: the one chosen in the session, if it is still this person's."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from django.db import connection as session
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest

from khata.billing.queries import latest_bill
from khata.consumers.access import ENDED, View, views_shown
from khata.consumers.models import Connection, Consumer
from khata.consumers.queries import OwnConnection, own_connections
from khata.consumers.rules import address_part
from khata.discoms.models import Discom, Office
from khata.discoms.scope import Scope, scoped
from khata.metering.models import Meter
from khata.portal import session as portal_session

_ASKED_ABOUT = 20  # connections under one mobile whose numbers are looked at


def connection_of(request: HttpRequest) -> Connection:
    """With its consumer, company and division. The page then carries that company's name and colour.

    A session ends when the registered mobile is no longer the one that was proven: the guard leads back to the door.
    """
    asked: Any = request
    signed: portal_session.Signed = asked.who.consumer
    if signed.view:
        return _let_in(asked, signed.view)
    found, change, change_to = _own(signed.connection)
    if found is None or portal_session.mobile_hash(found.consumer.mobile_key) != signed.mobile:
        asked.session_over = True
        raise Http404
    asked.company = found.discom
    # Somebody wants another mobile on record: whoever has this one reads it on every page, and can stop it.
    asked.mobile_change = change
    asked.mobile_change_to = change_to[-4:]
    return found


_JOINED: dict[str, type[Model]] = {"c": Connection, "p": Consumer, "d": Discom, "o": Office}


@cache
def _own_query() -> str:
    """Written out, because every page asks it: Django takes longer to put it together than the database to answer."""
    columns = [f"{alias}.{field.column}" for alias, model in _JOINED.items() for field in model._meta.concrete_fields]
    return f"""
        select {", ".join(columns)}, change.id, change.mobile_new
        from consumers_connection c join consumers_consumer p on p.id = c.consumer_id
        join discoms_discom d on d.id = c.discom_id join discoms_office o on o.id = c.division_id
        left join lateral (
            select m.id, m.mobile_new from consumers_mobilechange m
            where not exists (select from consumers_mobileword w where w.change_id = m.id and w.word = any(%s))
            order by m.id desc limit 1) change on true
        where c.id = %s"""


def _own(connection_id: int) -> tuple[Connection | None, int | None, str]:
    """A connection in the scope of its holder, and the change of mobile that waits: its id, and to which."""
    with session.cursor() as cursor:
        cursor.execute(_own_query(), [list(ENDED), connection_id])
        row = cursor.fetchone()
    if row is None:
        return None, None, ""
    values = iter(row)
    made: list[Any] = []
    for model in _JOINED.values():
        names = [field.attname for field in model._meta.concrete_fields]
        made.append(model.from_db("default", names, list(islice(values, len(names)))))
    found, found.consumer, found.discom, found.division = made[0], *made[1:]
    change, change_to = values
    return found, change, change_to or ""


def numbers_known(own: Sequence[tuple[int, int]], views: Sequence[tuple[str, int]]) -> list[str]:
    """Numbers that stand on the meters and the newest bills of these connections: who lives there can read them.

    Of the own ones alone; of views only where nothing is own: anybody can give a view of the own house, with its
    numbers, to another's mobile. Each is asked for in the scope that it would be opened with.
    """
    scopes = [(one, Scope(whose, None, None)) for one, whose in own[:_ASKED_ABOUT]]
    if not own:
        scopes = [(one, Scope(None, None, None, one)) for _, one in views[:_ASKED_ABOUT]]
    found: list[str] = []
    for one, scope in scopes:
        with scoped(scope), transaction.atomic():
            found += Meter.objects.filter(installation__connection=one).values_list("serial", flat=True)
            newest = latest_bill(connection_id=one)
            found += [newest.number] if newest else []
    return found


def own_rows(signed: portal_session.Signed) -> list[OwnConnection]:
    """The own connections to choose from; none whose mobile is no longer the one that was proven."""
    if not signed.connections:
        return []
    whose = signed.connections[0][1] if signed.view else signed.consumer
    with scoped(Scope(whose, None, None)):
        holder = Consumer.objects.filter(id=whose or 0).first()
        if holder is None or portal_session.mobile_hash(holder.mobile_key) != signed.mobile:
            return []
        return own_connections()


def view_rows(signed: portal_session.Signed) -> list[View]:
    """What holders let this mobile see, of each address no house."""
    found = views_shown(views=[uuid.UUID(view) for view, _ in signed.views]) if signed.views else []
    return [replace(view, address=address_part(view.address)) for view in found]


def _let_in(asked: Any, view: uuid.UUID) -> Connection:
    """As somebody sees it whom its holder let in: no name but a masked one, no house, no mobile. It is never saved."""
    found = Connection.objects.select_related("discom", "division").filter(id=asked.who.consumer.connection).first()
    shown = next(iter(views_shown(views=[view])), None)
    if found is None or shown is None:
        asked.session_over = True
        raise Http404
    found.consumer = Consumer(id=found.consumer_id, name=shown.masked_name)
    found.address = address_part(found.address)
    asked.company = found.discom
    return found
