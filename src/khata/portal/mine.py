"""The connection that a consumer's page is about: the one chosen in the session, if it is still this person's."""

from typing import Any

from django.http import Http404, HttpRequest

from khata.consumers.models import Connection
from khata.portal import session as portal_session


def connection_of(request: HttpRequest) -> Connection:
    """With its consumer, company and division. The page then carries that company's name and colour.

    A session ends when the registered mobile is no longer the one that was proven: the guard leads back to the door.
    """
    asked: Any = request
    signed: portal_session.Signed = asked.who.consumer
    rows = Connection.objects.select_related("consumer", "discom", "division")
    found = rows.filter(id=signed.connection).first()
    if found is None or portal_session.mobile_hash(found.consumer.mobile_key) != signed.mobile:
        asked.session_over = True
        raise Http404
    asked.company = found.discom
    return found
