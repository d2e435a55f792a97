"""The pages with a note of each request, for benchmarks: how long it waited, how long it took, what it asked.

Served in place of khata.site.wsgi. Whoever sends says in a header when it did, by the clock that all processes of a
machine share; the pages themselves know nothing of it.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTES = "KHATA_BENCH_NOTES"  # the file
SENT = "X-Bench-Sent"


@dataclass(frozen=True)
class Note:
    """`waited_ms`: from sending to a thread of the pages; `whole_ms`: from sending to the last byte handed back."""

    waited_ms: float
    whole_ms: float
    queries: int


def read(notes: Path) -> list[Note]:
    rows = [[int(cell) for cell in line.split()] for line in notes.read_text().splitlines()]
    return [Note((began - sent) / 1e6, (ended - sent) / 1e6, queries) for sent, began, ended, queries in rows]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    from django.db import connection

    began, sent = time.monotonic_ns(), environ.get("HTTP_X_BENCH_SENT")
    pages = _pages()
    if sent is None:
        return pages(environ, start_response)
    asked: list[str] = []

    def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        answer = pages(environ, start_response)
    return _Noted(answer, lambda: _note(int(sent), began, len(asked)))


def _pages() -> Callable[..., Any]:
    from khata.site.wsgi import application as pages

    return pages


def _note(sent: int, began: int, queries: int) -> None:
    # One write, at the end of the file: the lines of two processes never mix.
    with open(os.environ[NOTES], "a", buffering=1) as notes:
        notes.write(f"{sent} {began} {time.monotonic_ns()} {queries}\n")


class _Noted:
    """An answer that is noted when the server is done with it."""

    def __init__(self, answer: Any, done: Callable[[], None]) -> None:
        self.answer, self.done = answer, done

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.answer)

    def close(self) -> None:
        with suppress(AttributeError):
            self.answer.close()
        self.done()


_pages()  # read before the first request, as by the server
