"""A load, cut-over or rollback that is killed leaves the state before or the state after, and can be done again.

The seed is printed; KHATA_TEST_SEED repeats a drill. KHATA_TEST_SABOTAGE=commit-inside plants a bug into the killed
process, and the drill goes red. KHATA_TEST_KILLS says how many kills at random points each step gets: `make drills`
sets many.
"""

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

from khata.ledger.queries import first_offence
from khata.migration.models import ParallelRun, Wave
from khata.migration.reconciling import digest, reconcile
from tests.cast import REPOSITORY, day, town
from tests.database import Database, fresh_database
from tests.migration.drill import STEPS
from tests.migration.handover import SMALL, write_small

SEED = int(os.environ.get("KHATA_TEST_SEED") or random.randrange(2**32))
SABOTAGE = os.environ.get("KHATA_TEST_SABOTAGE", "")
KILLS = int(os.environ.get("KHATA_TEST_KILLS") or 2)

# Before, between and after the writes of each step; the last of a step is its last write.
FAULTS = {
    "load": ("judge:call:1", "_write_act:call:1"),
    "cutover": (
        "allocate:return:1",
        "bring_meters:return:1",
        "post:return:1",
        "set_window:return:1",
        "record:return:1",
    ),
    "rollback": ("take_back:return:1", "post:return:1", "record:return:1"),
}
# Numbers are drawn before the cut-over, in parts that stay.
OUTSIDE = {"consumers_issuednumber"}

State = dict[str, object]


class Process:
    """A process that does one step; it has all it needs when this returns."""

    def __init__(
        self, database: Database, step: str, folder: Path, *, die_in: str = "", sabotage: str = SABOTAGE
    ) -> None:
        self.forks = forks()
        order = {"database": database.name, "step": step, "folder": str(folder), "die_in": die_in, "sabotage": sabotage}
        assert self.forks.stdin is not None
        self.forks.stdin.write(f"{json.dumps(order)}\n")
        self.forks.stdin.flush()
        self.lines: list[str] = []
        self.number = 0
        while not self.number or "begin" not in self.lines:
            self._read()

    def _read(self) -> None:
        assert self.forks.stdout is not None
        line = self.forks.stdout.readline().strip()
        assert line, "the process that forks the others is gone"
        if line.isdecimal():
            self.number = int(line)
        else:
            self.lines.append(line)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it had ended already
            os.kill(self.number, signal.SIGKILL)

    def end(self) -> float | None:
        """How long it took, or nothing if it did not live to say it."""
        while "end" not in self.lines:
            self._read()
        done = [line for line in self.lines if line.startswith("done ")]
        return float(done[0].split()[1]) if done else None


@functools.cache
def forks() -> subprocess.Popen[str]:
    """Forks the processes that are killed; ends with this process, whose end of the pipe it reads."""
    command = [sys.executable, "-m", "tests.migration.drill"]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def found() -> State:
    """All that a step may change: rows of every table, digest, equations; and whether the books are in order."""
    tables = sorted({model._meta.db_table for model in apps.get_models()} - OUTSIDE)
    with connection.cursor() as cursor:
        # The session of a process that was just killed lives on until its statement ends.
        others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        for _ in range(500):
            cursor.execute(others)
            if cursor.fetchone() == (0,):
                break
            time.sleep(0.01)
        cursor.execute(" union all ".join(f"select '{table}', count(*) from {table}" for table in tables))
        state: State = dict(cursor.fetchall())
        cursor.execute("select count(*) from consumers_connection where live")
        state["live"] = cursor.fetchone()
    wave = Wave.objects.first()
    if wave is not None:
        state |= {"digest": digest(wave), "equations": [each.differences for each in reconcile(wave)]}
    state["offence"] = first_offence()
    return state


def explain(step: str) -> None:
    """What a cut-over wants to see besides the files; not a step that is killed."""
    if step == "load":
        ParallelRun.objects.create(
            wave=Wave.objects.get(), cycle=day("2024-03-01"), actor="test", summary={"unknown": 0, "load": 1}
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    many = [
        old.with_(number=f"{20 + n}{old.number[-5:]}", meter=f"D{n}-{old.number}") for n in range(8) for old in SMALL
    ]
    return write_small(tmp_path_factory.mktemp("hand-over"), accounts=many)


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Iterator[dict[str, tuple[State, State, float]]]:
    """Of each step the state before, the state after, and how long it took."""
    print(f"the seed is {SEED}")  # noqa: T201  # pytest shows it with a failure
    states = {}
    with fresh_database() as database:
        town([])
        for step in STEPS:
            before = found()
            seconds = Process(database, step, folder, sabotage="").end()
            assert seconds is not None, f"{step} does not end"
            states[step] = before, found(), seconds
            explain(step)
        yield states


def differing(state: State, expected: State) -> list[str]:
    return sorted(name for name in state.keys() | expected.keys() if state.get(name) != expected.get(name))


def test_kills_leave_the_state_before_or_the_state_after(
    database: Database, folder: Path, undisturbed: dict[str, tuple[State, State, float]]
) -> None:
    chance = random.Random(SEED)
    town([])
    killed = 0
    for step in STEPS:
        before, after, seconds = undisturbed[step]
        for fault in FAULTS[step]:
            assert Process(database, step, folder, die_in=fault).end() is None, f"{step} ended before {fault}"
            assert differing(found(), before) == [], f"{step} killed in {fault}"
        for _ in range(KILLS):
            process = Process(database, step, folder)
            time.sleep(chance.uniform(0, seconds))
            process.kill()
            killed += process.end() is None
            state = found()
            assert not differing(state, before) or not differing(state, after), f"{step} killed at random"
            if not differing(state, after):
                break
        if differing(found(), after):
            assert Process(database, step, folder).end() is not None, f"{step} cannot be done again"
        assert differing(found(), after) == [], f"{step} done again after kills"
        assert found()["offence"] is None
        explain(step)
    assert killed, "no process was killed at a random point"


@pytest.mark.parametrize(
    ("step", "fault"), [("load", "judge:call:1"), ("cutover", "queue_told:call:1"), ("rollback", "handed:call:1")]
)
def test_the_drill_sees_a_step_that_commits_before_its_end(
    database: Database, folder: Path, undisturbed: dict[str, tuple[State, State, float]], step: str, fault: str
) -> None:
    town([])
    for earlier in STEPS:
        if earlier == step:
            break
        Process(database, earlier, folder, sabotage="").end()
        explain(earlier)
    before, after, _ = undisturbed[step]
    assert Process(database, step, folder, die_in=fault, sabotage="commit-inside").end() is None
    state = found()
    assert differing(state, before), "what was committed inside is seen"
    assert differing(state, after)
