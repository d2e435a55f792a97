"""How fast meter days come in and go out: files through `khata meterdays load` against a raw COPY of the same rows.

Measured in a process of its own, against the durable server: Parquet and CSV from the file to the committed table, then
the same rows once more, and single reads while 2,000 meters have 13 months of half-hours.
"""

import json
import subprocess
import sys

from tests.bench import town

DATABASE = "khata_bench_meterdays"
MEASURE = "import sys, django; django.setup(); from tests.bench.deliveries import measure; measure(sys.argv[1])"
Row = tuple[str, float, str, float | None, bool]


def rows() -> list[Row]:
    """(name, value, unit, target, ok) of each measurement; a target of None is for comparison only."""
    town.fresh_database(DATABASE)
    environment = {**town.environment(DATABASE), "KHATA_ROLE": "run", "KHATA_TODAY": "2024-12-31"}
    command = [sys.executable, "-c", MEASURE, DATABASE]
    done = subprocess.run(command, env=environment, cwd=town.REPOSITORY, stdout=subprocess.PIPE, check=True)
    return [(name, value, unit, target, ok) for name, value, unit, target, ok in json.loads(done.stdout)]
