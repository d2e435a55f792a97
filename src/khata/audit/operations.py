"""Writes the audit trail, in the transaction of the act itself."""

from collections.abc import Mapping

from khata.audit.models import Record


def record(
    *, actor: str, action: str, object: str, reason: str = "", details: Mapping[str, object] | None = None
) -> None:
    Record.objects.create(actor=actor, action=action, object=object, reason=reason, details=dict(details or {}))
