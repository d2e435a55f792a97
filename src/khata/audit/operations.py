"""Writes the audit trail, in the transaction of the act itself."""

import json
from collections.abc import Mapping

from django.db import connection

# Not by the model: it would read the row back, and the web, which writes here, may read nothing of the trail.
_RECORD = "insert into audit_record (at, actor, action, object, reason, details) values (now(), %s, %s, %s, %s, %s)"


def record(
    *, actor: str, action: str, object: str, reason: str = "", details: Mapping[str, object] | None = None
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [actor, action, object, reason, json.dumps(dict(details or {}))])
