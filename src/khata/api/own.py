"""The connections of the consumer who asks: by their numbers, and nobody else's."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from django.conf import settings
from django.http import HttpRequest

from khata.api.problems import not_there, sign_in, too_many
from khata.consumers.models import Connection
from khata.consumers.queries import OwnConnection, own_connections
from khata.discoms.operations import within
from khata.discoms.rules import limit_key
from khata.discoms.scope import Scope, scoped

MOST, SECONDS = 600, 15 * 60  # requests of one consumer


class Signed(Protocol):
    """What a consumer's session proves: a mobile, and the connections with their consumers that stand under it."""

    @property
    def connections(self) -> Sequence[tuple[int, int]]: ...

    @property
    def consumer(self) -> int: ...

    def proves(self, mobile_key: str) -> bool: ...


def own_ones(request: HttpRequest) -> list[OwnConnection]:
    """The connections of the session that still stand under its mobile."""
    signed = _signed(request)
    opened = {connection for connection, _ in signed.connections}
    return [each for each in own_connections() if each.id in opened]


@contextmanager
def own(request: HttpRequest, number: str) -> Iterator[Connection]:
    """The connection of this number with its consumer, company and division; inside, the database is asked on behalf
    of its consumer. What is not one's own is not there.
    """
    signed = _signed(request)
    found = next((each for each in own_ones(request) if each.account_number == number), None)
    if found is None:
        raise not_there()
    whose = dict(signed.connections)[found.id]
    with scoped(Scope(consumer=whose, office_from=None, office_to=None)):
        mine = _still_theirs(request, signed, connection=found.id)
        yield mine


def _signed(request: HttpRequest) -> Signed:
    """Counts the request, too. A session ends when its mobile is no longer that of whom it looks at."""
    asked: Any = request
    signed: Signed = asked.who.consumer
    if not getattr(asked, "api_counted", False):
        key = limit_key(f"api:{signed.consumer}", secret=settings.SECRET_KEY)
        if not within(key=key, most=MOST, seconds=SECONDS, now=dt.datetime.now(dt.UTC)):
            raise too_many(SECONDS)
        asked.api_counted = True
        _still_theirs(request, signed, consumer=signed.consumer)
    return signed


def _still_theirs(request: HttpRequest, signed: Signed, **which: int) -> Connection:
    asked: Any = request
    rows = Connection.objects.select_related("consumer", "discom", "division")
    key = {"connection": "id", "consumer": "consumer_id"}
    found = rows.filter(**{key[name]: value for name, value in which.items()}).first()
    if found is None or not signed.proves(found.consumer.mobile_key):
        asked.session_over = True
        raise sign_in()
    return found
