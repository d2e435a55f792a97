"""Who owes what: a day of 1,00,000 meters, 3 % of them silent on it, and one night's estimates for those."""

import json
import subprocess
import sys
import time

import numpy as np

from tests.bench import town

DATABASE, METERS, DAYS = "khata_bench_scorecard", 100_000, 4
PROGRAM = "import django; django.setup(); from tests.bench.scorecard import measure; measure()"
Row = tuple[str, float, str, float | None, bool]


def rows() -> list[Row]:
    """(name, value, unit, target, ok) of each measurement; a target of None is for comparison only."""
    town.fresh_database(DATABASE)
    try:
        environment = {**town.environment(DATABASE), "KHATA_ROLE": "run"}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            command, env=environment, cwd=town.REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
        )
    finally:
        town.drop_database(DATABASE)
    found = json.loads(done.stdout)
    name = "1,00,000 meters"
    return [
        (f"{name}: who owes what of a day", found["owed"], "s", 1.0, found["owed"] <= 1),
        (f"{name}: who owes what of {DAYS} days", found["owed_all"], "s", None, True),
        (f"{name}: estimates of a night, {found['days']:,} days", found["estimate"], "s", None, True),
        (f"{name}: the same again, nothing to do", found["again"], "s", None, True),
    ]


def measure() -> None:
    """The numbers as JSON on standard output."""
    from django.db import connection

    from khata.kernel.days import date_of
    from khata.metering.estimating import estimate
    from khata.metering.operations import NewDays, take_days
    from khata.metering.scorecard import owed

    town.build(METERS, 100, measured=False)
    with connection.cursor() as cursor:
        cursor.execute("select id from metering_meter order by id")
        meters = np.array(cursor.fetchall(), np.int64).ravel()
    last = np.datetime64("2024-06-10")
    silent = meters[::33]
    for day in np.arange(last - DAYS + 1, last + 1):
        sent = meters[~np.isin(meters, silent)] if day == last - 1 else meters
        total, number = 4_000 + sent % 500, int((day - last).astype(int)) + DAYS
        blocks = np.full((len(sent), 48), 100, np.int32)
        days = NewDays(sent, np.full(len(sent), day), total, 10**6 + total * number, total // 10, blocks)
        take_days(days=days, sender="bench", today=date_of(20_000))
    with town.owner(DATABASE) as owner:
        owner.execute("vacuum (analyze)")
    answer: dict[str, float] = {}
    today, missing = (last + 2).item(), (last - 1).item()
    answer["owed"] = min(_seconds(lambda: owed(from_day=missing, until=last.item(), today=today)) for _ in range(3))
    answer["owed_all"] = _seconds(lambda: owed(from_day=(last - DAYS + 1).item(), until=today, today=today))
    began = time.perf_counter()
    answer["days"] = estimate(discom=None, until=today, today=today).counts["EST-01"]
    answer["estimate"] = time.perf_counter() - began
    answer["again"] = _seconds(lambda: estimate(discom=None, until=today, today=today))
    json.dump(answer, sys.stdout)


def _seconds(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began
