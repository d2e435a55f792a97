"""Plans runs, has their parts worked in a transaction each, closes runs. The work of a part is its caller's."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from khata.formats import pgcopy
from khata.jobs.bulk import copy_in
from khata.jobs.models import Part, PartDone, Run, RunClosed
from khata.jobs.queries import OpenPart


class RunBusyError(Exception):
    """Another process works on the same run."""


class RunDoesNotCloseError(Exception):
    """The equation of a run does not hold; the message says what is missing."""


@transaction.atomic
def plan(*, kind: str, key: str, terms: Mapping[str, object], subjects: npt.NDArray[np.int64], part_size: int) -> Run:
    """A run with its subjects pinned in parts. Raises IntegrityError if `key` is planned already."""
    run = Run.objects.create(kind=kind, key=key, terms=dict(terms))
    for number, start in enumerate(range(0, len(subjects), part_size)):
        pinned = subjects[start : start + part_size]
        columns = {"run_id": pgcopy.int8([run.id]), "number": pgcopy.int4([number])}
        copy_in("jobs_part", {**columns, "subjects": pgcopy.int8_array(pinned.reshape(1, -1))})
    return run


Work = Callable[[Part], Mapping[str, int]]  # of one part, in the caller's transaction; returns its counts


def work_parts(*, parts: Sequence[tuple[OpenPart, Work]], workers: int, progress: Callable[[int, int], None]) -> None:
    """Work parts on several threads, each part in a transaction of its own that ends with the mark that it is done.

    Most of a part is the database's work, so that a second thread is worth a second core. The first error stops all:
    parts under way are finished, no further one is begun.
    """
    left, lock, done, total = iter(parts), threading.Lock(), 0, sum(part.size for part, _ in parts)
    stop = threading.Event()

    def worker() -> None:
        nonlocal done
        try:
            while not stop.is_set():
                with lock:
                    following = next(left, None)
                if following is None:
                    return
                _work_part(*following)
                with lock:
                    done += following[0].size
                    progress(done, total)
        except BaseException:
            stop.set()
            raise
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(worker) for _ in range(workers)]
        try:
            for each in running:
                each.result()
        finally:
            stop.set()


def commit_without_waiting() -> None:
    """This transaction need not be on the disk: a power cut takes it back whole, and the run goes on from there.

    The commit that ends a run waits, and with it everything before it.
    """
    with connection.cursor() as cursor:
        cursor.execute("set local synchronous_commit = off")


def _work_part(open_part: OpenPart, work: Work) -> None:
    with transaction.atomic():
        commit_without_waiting()
        part = Part.objects.get(id=open_part.id)
        finish_part(part=part, counts=work(part))


def finish_part(*, part: Part, counts: Mapping[str, int]) -> None:
    """The last write of the part's transaction: after it, the part is never done again."""
    PartDone.objects.create(part=part, counts=dict(counts))


@transaction.atomic
def close(*, run: Run, left: Sequence[str], right: Sequence[Sequence[str]]) -> dict[str, int]:
    """Sum the counts of all parts and close the run if every equation `left[i] = Σ right[i]` holds."""
    totals: dict[str, int] = {}
    parts = Part.objects.filter(run=run)
    done = list(PartDone.objects.filter(part__run=run))
    if len(done) != parts.count():
        raise RunDoesNotCloseError(f"{run.key}: {parts.count() - len(done)} parts are not done. Run it again.")
    for part in done:
        for name, count in part.counts.items():
            totals[name] = totals.get(name, 0) + count
    for name, terms in zip(left, right, strict=True):
        found = sum(totals.get(term, 0) for term in terms)
        if totals.get(name, 0) != found:
            raise RunDoesNotCloseError(
                f"{run.key}: {name} is {totals.get(name, 0)}, but {' + '.join(terms)} is {found}."
            )
    RunClosed.objects.get_or_create(run=run, defaults={"equation": totals})
    return totals


class exclusive:  # noqa: N801 - reads as a statement: with exclusive("bill-run KESCO"):
    """Only one process at a time. The lock belongs to the database session, so any death gives it back."""

    def __init__(self, name: str, *, wait_seconds: float) -> None:
        self.name, self.wait_seconds = name, wait_seconds

    def __enter__(self) -> None:
        # The session of a process that was just killed lives on until its statement ends: wait a little for it.
        with connection.cursor() as cursor:
            cursor.execute("set lock_timeout = %s", [f"{int(self.wait_seconds * 1000)}ms"])
            try:
                cursor.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [self.name])
            except Exception as refused:
                if getattr(refused.__cause__, "sqlstate", "") != "55P03":
                    raise
                raise RunBusyError(f"{self.name} is being worked on by another process.") from refused
            finally:
                cursor.execute("set lock_timeout = 0")

    def __exit__(self, *_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [self.name])
