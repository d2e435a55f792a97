"""A dirty day of 1,00,000 meters, from the file to the committed table with all checks on, against a raw COPY.

The file is shuffled; beside each meter's day it has 10 % of rows twice, 5 % late days, and 1 % that cannot be right or
read. Whatever is stored in the end must equal what a clean file, in order, leaves in another database. Measured in a
process of its own, against the durable server.
"""

import json
import subprocess
import sys

import psycopg
from psycopg import sql

from khata.site.database import server
from tests.bench import town

DIRTY, CLEAN = "khata_bench_intake", "khata_bench_intake_clean"
PREPARE = "import django; django.setup(); from tests.bench.dirty_day import prepare; prepare()"
MEASURE = "import sys, django; django.setup(); from tests.bench.dirty_day import measure; measure(sys.argv[1])"
Row = tuple[str, float, str, float | None, bool]


def rows() -> list[Row]:
    """(name, value, unit, target, ok) of each measurement; a target of None is for comparison only."""
    town.fresh_database(DIRTY)
    town.drop_database(CLEAN)
    try:
        _run(PREPARE, DIRTY)
        _copy_database()
        clean, dirty = (json.loads(_run(MEASURE, name, kind)) for name, kind in ((CLEAN, "clean"), (DIRTY, "dirty")))
    finally:
        town.drop_database(CLEAN)
    same = dirty["digest"] == clean["digest"]
    speed, times = dirty["half_hours"] / dirty["seconds"], dirty["seconds"] / dirty["raw"]
    name = "a dirty day of 1,00,000 meters"
    return [
        (f"{name}: CSV to committed", speed / 1e6, "M half-hours/s", 0.5, speed >= 500_000),
        (f"{name} : raw COPY of the stored rows", times, "x", 5.0, times <= 5),
        (
            f"{name}, both processes : raw COPY",
            dirty["processor"] / dirty["raw_processor"],
            "x processor time",
            None,
            True,
        ),
        (f"{name}: reading the file alone", dirty["reading"], "s", None, True),
        (f"{name}: raw COPY alone", dirty["raw"], "s", None, True),
        (f"{name}: Python's peak memory", dirty["peak"], "MiB", 1024, dirty["peak"] <= 1024),
        (f"{name}: the server process's peak, shared buffers included", dirty["server"], "MiB", None, True),
        (f"{name}: the same state as from a clean file", int(same), "(1 is yes)", 1, same),
        ("a clean day of 1,00,000 meters: CSV to committed", clean["seconds"], "s", None, True),
    ]


def _run(program: str, database: str, *arguments: str) -> str:
    environment = {**town.environment(database), "KHATA_ROLE": "run"}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, cwd=town.REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _copy_database() -> None:
    at = server.ensure(town.VAR, durable=True)
    statement = sql.SQL("create database {} template {} strategy file_copy")
    with psycopg.connect(**at, user=server.ADMIN, dbname="postgres", autocommit=True) as admin:
        admin.execute(statement.format(sql.Identifier(CLEAN), sql.Identifier(DIRTY)))
