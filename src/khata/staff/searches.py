"""Searches of a session. What was typed stays on the server: an address has only a random token of it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.sessions.backends.base import SessionBase

from khata.consumers.queries import Found

KEY = "searches"
MOST_KEPT = 8


@dataclass(frozen=True)
class Hit:
    """A connection that a search led to. `reference` is the same for as long as the search is kept: whatever is sent
    again under it, after a double click, a lost answer or by the back button, is one payment."""

    connection: int
    matched: str
    by: str
    without_zeros: bool
    reference: str


@dataclass(frozen=True)
class Search:
    token: uuid.UUID
    typed: str
    hits: tuple[Hit, ...]


def remember(session: SessionBase, *, typed: str, found: Sequence[Found]) -> Search:
    token = uuid.uuid4()
    rows: list[list[object]] = [[one.payer.connection, one.matched, one.by, one.without_zeros] for one in found]
    session[KEY] = [*session.get(KEY, []), [str(token), typed, rows]][-MOST_KEPT:]
    return _search(str(token), typed, rows)


def recall(session: SessionBase, token: uuid.UUID) -> Search | None:
    """None for a search of another session, or one that later ones have pushed out."""
    for kept, typed, rows in session.get(KEY, []):
        if kept == str(token):
            return _search(kept, typed, rows)
    return None


def _search(token: str, typed: str, rows: list[list[object]]) -> Search:
    name = uuid.UUID(token)
    hits = [
        Hit(int(str(one)), str(matched), str(by), bool(zeros), str(uuid.uuid5(name, str(one))))
        for one, matched, by, zeros in rows
    ]
    return Search(name, typed, tuple(hits))
