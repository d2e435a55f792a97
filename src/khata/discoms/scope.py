"""The tenant guard: on whose behalf the current work is done, as the database sees it.

Row-level security compares each row with four settings that live as long as a transaction. The database backend sets
them when a transaction begins; what runs outside a transaction, or without a scope, sees no row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import astuple, dataclass

from django.db import connection
from psycopg.pq import TransactionStatus


@dataclass(frozen=True)
class Scope:
    """One consumer's own rows, or those of a range of offices (an office and all below it are one range), or both; or
    one connection that its holder lets somebody see, and nothing else.
    """

    consumer: int | None
    office_from: int | None
    office_to: int | None
    connection: int | None = None

    def __post_init__(self) -> None:
        if (self.office_from is None) != (self.office_to is None):
            raise ValueError(f"{self}: a range of offices has two ends. Give both, or neither.")
        if self.connection is not None and (self.consumer is not None or self.office_from is not None):
            raise ValueError(f"{self}: who was let see one connection sees that alone. Give no other scope with it.")


NOBODY = Scope(consumer=None, office_from=None, office_to=None)

# For this transaction only (true); an empty text is nothing, to the policies too.
SET_SCOPE = (
    "select set_config('khata.consumer', %s, true), set_config('khata.office_from', %s, true), "
    "set_config('khata.office_to', %s, true), "
    "set_config('khata.connection', %s, true)"
)

_current: ContextVar[Scope] = ContextVar("khata_scope", default=NOBODY)


def current() -> Scope:
    return _current.get()


def as_settings(scope: Scope) -> list[str]:
    """The values for SET_SCOPE."""
    return ["" if value is None else str(value) for value in astuple(scope)]


@contextmanager
def scoped(scope: Scope) -> Iterator[None]:
    """Does the work inside on behalf of this scope, which takes the place of the one outside."""
    token = _current.set(scope)
    try:
        _tell_open_transaction()
        yield
    finally:
        _current.reset(token)
        _tell_open_transaction()


def _tell_open_transaction() -> None:
    """Inside a transaction no BEGIN will come to carry the scope, so it must be told at once."""
    session = connection.connection
    if not connection.in_atomic_block or connection.needs_rollback or session is None or session.closed:
        return
    # A failed transaction takes no statement; the rollback that must follow brings the former settings back.
    if session.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
        with connection.cursor() as cursor:
            cursor.execute(SET_SCOPE, as_settings(current()))
