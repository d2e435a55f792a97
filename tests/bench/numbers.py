"""Account numbers for the seven lakh accounts of a company, their arrival, and looking one up among them all."""

import datetime as dt
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.bench import town

ACCOUNTS, WAVE, LOOK_UPS = 700_000, 50_000, 2_000
FIRST_OLD = 1_000_000
NOW = dt.datetime(2024, 3, 14, tzinfo=dt.UTC)
TODAY = dt.date(2024, 4, 1)

Row = tuple[str, float, str, float | None, bool]


def rows() -> Iterator[Row]:
    town.fresh_database()
    drawn = _child("draw", "run")
    sound = drawn["different"] == ACCOUNTS
    yield f"account numbers for {ACCOUNTS:,} accounts", drawn["seconds"], "s", 30.0, drawn["seconds"] <= 30 and sound
    came = _child("arrive", "run")
    yield f"    {WAVE:,} of them brought in", came["new"], "s", 3.0, came["new"] <= 3
    yield "    the same again, nothing to write", came["again"], "s", 3.0, came["again"] <= 3
    with town.owner() as tidy:
        tidy.execute("vacuum analyze")
    found = _child("resolve", "app")
    right = found["wrong"] == 0
    yield f"a number looked up among {ACCOUNTS:,}, old or new", found["ms"], "ms", 2.0, found["ms"] <= 2 and right
    yield "    slowest of a hundred", found["p99_ms"], "ms", None, True
    town.drop_database()


def _child(task: str, role: str) -> Any:
    command = [sys.executable, "-m", "tests.bench.numbers", task]
    environment = town.environment() | {"KHATA_ROLE": role}
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


# -- in the children ---------------------------------------------------------------------------------------------------


def _old(first: int, count: int) -> list[str]:
    return [str(FIRST_OLD + number) for number in range(first, first + count)]


def _draw() -> dict[str, float]:
    from khata.consumers.numbers import allocate
    from khata.consumers.rules import random_bodies
    from khata.discoms.operations import install_companies
    from khata.discoms.queries import discom_named

    install_companies()
    company = discom_named(town.COMPANY).id
    began = time.perf_counter()
    numbers = allocate(discom=company, accounts=_old(0, ACCOUNTS), draw=random_bodies, now=NOW)
    return {"seconds": time.perf_counter() - began, "different": len(set(numbers))}


def _arrive() -> dict[str, float]:
    """The last wave alone is timed, beside all the others."""
    from khata.consumers.arrivals import set_window
    from khata.discoms.queries import discom_named

    company = discom_named(town.COMPANY).id
    set_window(discom=company, wave="bench", last_day=dt.date(2024, 9, 13), source="bench", now=NOW)
    for first in range(0, ACCOUNTS - WAVE, WAVE):
        _bring(first)
    return {"new": _bring(ACCOUNTS - WAVE), "again": _bring(ACCOUNTS - WAVE)}


def _bring(first: int) -> float:
    from khata.consumers.arrivals import Arrivals, bring_in
    from khata.consumers.numbers import allocate
    from khata.consumers.rules import random_bodies
    from khata.discoms.queries import discom_named, divisions

    discom, old = discom_named(town.COMPANY), _old(first, WAVE)
    offices = np.array([office.id for office in divisions(discom)])
    mobiles = [f"9{first + row:09d}" for row in range(WAVE)]
    arrivals = Arrivals(
        account_number=allocate(discom=discom.id, accounts=old, draw=random_bodies, now=NOW),
        name=[f"कल्पित उपभोक्ता {row}" for row in range(WAVE)],
        mobile=mobiles,
        mobile_key=mobiles,
        language=["hi"] * WAVE,
        address=["117/H-1, काकादेव, Kanpur"] * WAVE,
        division=offices[np.arange(WAVE) % len(offices)],
        connected_on=np.full(WAVE, np.datetime64("2024-02-10")),
        category=["LMV-1"] * WAVE,
        area=["urban"] * WAVE,
        mode=["postpaid"] * WAVE,
        load_w=np.full(WAVE, 2_000),
        old_number=old,
    )
    began = time.perf_counter()
    bring_in(discom=discom.id, wave="bench", rows=arrivals, now=NOW)
    return time.perf_counter() - began


def _resolve() -> dict[str, float]:
    """As a counter does: role app, in the scope of an office, each look-up a transaction of its own."""
    from django.db import transaction

    from khata.consumers.queries import resolve
    from khata.discoms.models import Office
    from khata.discoms.scope import Scope, scoped

    office = Office.objects.filter(discom__code=town.COMPANY, kind="division")[0]
    chance = np.random.default_rng(1)
    taken, wrong = [], 0
    with scoped(Scope(None, office.id, office.last)):
        for at, number in enumerate(chance.integers(0, ACCOUNTS, LOOK_UPS).tolist()):
            typed = str(FIRST_OLD + number)
            began = time.perf_counter()
            with transaction.atomic():
                found = resolve(typed=typed, today=TODAY).matches
            taken.append(time.perf_counter() - began)
            wrong += not any(match.matched == typed for match in found)
            if at % 2:
                began = time.perf_counter()
                with transaction.atomic():
                    again = resolve(typed=found[0].number, today=TODAY).matches
                taken.append(time.perf_counter() - began)
                wrong += [match.connection for match in again] != [found[0].connection]
    taken.sort()
    return {"ms": statistics.mean(taken) * 1e3, "p99_ms": taken[len(taken) * 99 // 100] * 1e3, "wrong": wrong}


if __name__ == "__main__":
    import django

    django.setup()
    json.dump({"draw": _draw, "arrive": _arrive, "resolve": _resolve}[sys.argv[1]](), sys.stdout)
