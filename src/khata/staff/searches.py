"""Searches of a session. What was typed stays on the server: an address has only a random token of it."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib.sessions.backends.base import SessionBase

from khata.consumers.queries import Found

KEY = "searches"
MOST_KEPT = 8


@dataclass(frozen=True)
class Hit:
    """A connection that a search led to. `old` is an old number that found it and is not honoured any more, `since`
    when if that is known: money then goes under the new number, which is `matched`. `reference` is the same for as
    long as the search is kept: whatever is sent again under it, after a double click, a lost answer or by the back
    button, is one payment."""

    connection: int
    matched: str
    by: str
    without_zeros: bool
    reference: str
    old: str
    since: dt.date | None


@dataclass(frozen=True)
class Search:
    token: uuid.UUID
    typed: str
    hits: tuple[Hit, ...]


def remember(
    session: SessionBase, *, typed: str, found: Sequence[Found], ended: Mapping[int, dt.date | None] | None = None
) -> Search:
    """`ended`: of connections found by an old number that is not honoured any more its last day, if there was one."""
    token = uuid.uuid4()
    rows = [_kept(one, ended or {}) for one in found]
    session[KEY] = [*session.get(KEY, []), [str(token), typed, rows]][-MOST_KEPT:]
    return _search(str(token), typed, rows)


def _kept(one: Found, ended: Mapping[int, dt.date | None]) -> list[object]:
    identity, over = one.payer.connection, one.payer.connection in ended
    matched, old = (one.payer.account_number, one.matched) if over else (one.matched, "")
    last = ended.get(identity)
    return [identity, matched, one.by, one.without_zeros, old, last.isoformat() if last else ""]


def recall(session: SessionBase, token: uuid.UUID) -> Search | None:
    """None for a search of another session, or one that later ones have pushed out."""
    for kept, typed, rows in session.get(KEY, []):
        if kept == str(token):
            return _search(kept, typed, rows)
    return None


def _search(token: str, typed: str, rows: list[list[object]]) -> Search:
    name = uuid.UUID(token)
    hits = [
        Hit(
            int(str(one)),
            str(matched),
            str(by),
            bool(zeros),
            str(uuid.uuid5(name, str(one))),
            str(old),
            _since(str(last)),
        )
        for one, matched, by, zeros, old, last in rows
    ]
    return Search(name, typed, tuple(hits))


def _since(last_day: str) -> dt.date | None:
    return dt.date.fromisoformat(last_day) + dt.timedelta(days=1) if last_day else None
