"""A load that is killed with -9 at any instant leaves nothing or everything; loaded again, it is as if never disturbed.

KHATA_TEST_KILLS says how many kills; `make drills` takes many more than the tests have time for. KHATA_TEST_SEED
repeats a drill. KHATA_TEST_SABOTAGE=commit-inside plants a bug into the killed loads, and the drill goes red.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connection

from tests.database import REPOSITORY, Database, fresh_database
from tests.metering.drill_delivery import world

KILLS = int(os.environ.get("KHATA_TEST_KILLS") or 3)
SEED = int(os.environ.get("KHATA_TEST_SEED") or random.randrange(2**32))
SABOTAGE = bool(os.environ.get("KHATA_TEST_SABOTAGE"))
TABLES = {
    "metering_meterday": "meter_id, day, channel, revision, blocks_wh, total_wh, register_wh, demand_w, origin, known",
    "metering_finding": "meter_id, day, channel, revision, rule, evidence",
    "metering_reading": "meter_id, day, revision, register_wh, demand_w, source",
    "metering_quarantine": "line, rule, owner, serial, day, channel, total_wh, reason, content",
    "metering_delivery": "sender_id, sha256, rows, accepted, repeated, superseding, quarantined",
}
State = dict[str, list[tuple[object, ...]]]


class Drill:
    """The process that forks the loads."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.metering.drill"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def load(self, database: Database, *, die_at: int = 0, sabotage: bool = SABOTAGE) -> int:
        """How many calls of Khata's functions a load took that lived; 0: it was killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"database": database.name, "die_at": die_at, "sabotage": sabotage}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        calls = 0
        while (line := self.process.stdout.readline().strip()) != "end":
            assert line, "the drill itself has died"
            calls = int(line.removeprefix("calls ")) if line.startswith("calls ") else calls
        return calls


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    running = Drill()
    yield running
    running.process.stdin.close()  # type: ignore[union-attr]
    running.process.wait(timeout=60)


def state() -> State:
    with connection.cursor() as cursor:
        found: State = {}
        for table, columns in TABLES.items():
            cursor.execute(f"select {columns} from {table} order by ({columns})::text")
            found[table] = [tuple(map(str, row)) for row in cursor.fetchall()]
    connection.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(drill: Drill) -> tuple[State, State, int]:
    """(before the load, after it, how many calls it took)."""
    with fresh_database() as database:
        world()
        before = state()
        calls = drill.load(database, sabotage=False)
        after = state()
    assert calls > 100
    rows, *parts = max(tuple(map(int, counts)) for _, _, *counts in after["metering_delivery"])  # type: ignore[arg-type]
    assert rows == sum(parts)
    assert min(parts) > 0  # rows of every fate
    return before, after, calls


@pytest.mark.parametrize("number", range(KILLS))
def test_a_load_that_was_killed_leaves_no_trace_and_is_taken_up_exactly(
    drill: Drill, undisturbed: tuple[State, State, int], number: int
) -> None:
    before, after, calls = undisturbed
    point = calls * number // KILLS + random.Random(SEED + number).randint(1, calls // KILLS)
    where = f"killed at call {point} of {calls}, seed {SEED}"
    with fresh_database() as database:
        world()
        assert drill.load(database, die_at=point) == 0, f"{where}: it never came"
        assert state() == before, where
        drill.load(database, sabotage=False)
        assert state() == after, where


def test_a_load_that_commits_in_its_middle_is_found_out(drill: Drill, undisturbed: tuple[State, State, int]) -> None:
    """What this drill is good for."""
    before, after, calls = undisturbed
    with fresh_database() as database:
        world()
        assert drill.load(database, die_at=calls - 50, sabotage=True) == 0
        assert state() != before
        drill.load(database, sabotage=False)
        assert state() != after
