"""The bill run against its floor: raw COPY of the rows it writes into bare tables, raw SELECT of what it reads.

The run works on two threads, the floor on one. Where few meters are smart the floor has little to read, and the run's
keys, checks, balances and joins weigh the more: that line misses its target, and says so.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench import town

LAKH = 100_000
FIFTH = 20  # per cent of meters that are smart: Kanpur of 2024; 100: what the State is building
WRITTEN = ("billing_bill", "billing_billpart", "ledger_posting", "ledger_balance", "notices_message")
SERIAL = "plan, publish, close"
# Wrapped for the table of shares: step → functions of billing.operations and billing.part.
STEPS = {
    "read registers, terms, last bills": ("part_facts",),
    "determinants and rating": ("_rate",),
    "holds": ("summed", "_plausible", "_store_unissued"),
    "addressees and arrears": ("addressees",),
    "post (entry, postings, balances)": ("_post",),
    "store bills": ("_store_bills",),
    "store parts": ("_store_parts",),
    "queue messages": ("_queue",),
    SERIAL: ("_plan", "publish", "close"),
}

Row = tuple[str, float, str, float | None, bool]


def rows() -> Iterator[Row]:
    one = _child(LAKH, FIFTH)
    for percent, found in ((FIFTH, one), (100, _child(LAKH, 100))):
        ratio, seconds = found["run"] / found["floor"], f"{found['run']:.1f} s / {found['floor']:.1f} s"
        yield f"bill run of 1 lakh / floor, {percent} % smart ({seconds})", ratio, "x", 3.0, ratio <= 3.0
        for step, share in found["shares"].items():
            yield f"    {step}", share, "of thread time", None, True
        for name, share in found["floor_shares"].items():
            yield f"    floor: {name}", share, "of the floor", None, True
        yield f"    bills per second, {percent} % smart", LAKH / found["run"], "/s", None, True
    two = _child(2 * LAKH, FIFTH)
    yield "peak memory, 1 lakh", one["peak_mib"], "MiB", 1024.0, one["peak_mib"] <= 1024
    growth = two["peak_mib"] / one["peak_mib"]
    yield "peak memory, 2 lakh / 1 lakh", growth, "x", 1.1, growth <= 1.1


def _child(connections: int, smart_percent: int) -> dict[str, Any]:
    """Build in one process, run in a second: the peak memory is then the run's own."""
    town.fresh_database()
    answer = b""
    for task in ("build", "run"):
        command = [sys.executable, "-m", "tests.bench.runs", task, str(connections), str(smart_percent)]
        if task == "run":
            with town.owner() as tidy:
                tidy.execute("vacuum analyze")  # as the server does by itself once a load has settled
        answer = subprocess.run(command, env=town.environment(), check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, Any] = json.loads(answer)
    return found


# -- in the child ------------------------------------------------------------------------------------------------------


def _run() -> dict[str, Any]:
    from khata.billing import operations, part
    from khata.discoms.queries import discom_named, divisions

    discom = discom_named(town.COMPANY)
    with _timed(operations, part) as spent:
        began = time.perf_counter()
        equations = operations.run_cycle(
            discom=discom,
            cycle=town.CYCLE,
            divisions=divisions(discom),
            bill_date=None,
            tariffs=town.REPOSITORY / "tariffs",
            part_size=operations.PART_SIZE,
            today=town.CYCLE.replace(day=20),
            workers=operations.WORKERS,
            actor="bench",
            progress=lambda *_: None,
        )
        run = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Serial steps, then all threads at once: what they had to spend together is the whole, and each step has its share.
    serial = sum(spent[name] for name in STEPS[SERIAL])
    whole = serial + (run - serial) * operations.WORKERS
    shares = {step: sum(spent[name] for name in names) / whole for step, names in STEPS.items()}
    shares["commits and the rest"] = 1 - sum(shares.values())
    floor = _floor()
    total = sum(floor.values())
    return {
        "run": run,
        "issued": sum(equation["issued"] for equation in equations.values()),
        "peak_mib": peak,
        "shares": shares,
        "floor": total,
        "floor_shares": {name: seconds / total for name, seconds in floor.items()},
    }


@contextmanager
def _timed(*modules: Any) -> Iterator[dict[str, float]]:
    names = [name for names in STEPS.values() for name in names]
    home = {name: next(module for module in modules if hasattr(module, name)) for name in names}
    spent, plain = dict.fromkeys(names, 0.0), {name: getattr(home[name], name) for name in names}

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - began

        return timed

    for name, function in plain.items():
        setattr(home[name], name, wrap(name, function))
    try:
        yield spent
    finally:
        for name, function in plain.items():
            setattr(home[name], name, function)


def _floor() -> dict[str, float]:
    """The same rows by raw binary COPY into tables without key, constraint or trigger; the same registers, selected."""
    from django.db import connection

    from khata.billing import operations
    from khata.jobs.bulk import integers

    found = {}
    with connection.cursor() as cursor, town.owner() as bare:
        for table in WRITTEN:
            with cursor.cursor.copy(f"copy {table} to stdout (format binary)") as out:
                data = b"".join(bytes(block) for block in out)
            bare.execute(f"create table bare (like {table})")
            began = time.perf_counter()
            with bare.cursor().copy("copy bare from stdin (format binary)") as into:
                into.write(data)
            found[f"COPY {table}"] = time.perf_counter() - began
            bare.execute("drop table bare")
    days = """select meter_id, (day - date '1970-01-01')::bigint, total_wh::bigint, register_wh, demand_w::bigint
        from metering_meterday where meter_id between %s and %s and day >= '2024-05-01' and day < '2024-06-01'"""
    readings = """select meter_id, (day - date '1970-01-01')::bigint, register_wh, demand_w::bigint
        from metering_reading where meter_id between %s and %s and day between '2024-03-31' and '2024-06-01'"""
    most = int(integers("select max(id) from metering_meter", (), 1)[0][0])
    began = time.perf_counter()
    for first in range(
        1, most + 1, operations.PART_SIZE
    ):  # in slices: one array of millions is slower than many of thousands
        integers(days, (first, first + operations.PART_SIZE - 1), 5)
        integers(readings, (first, first + operations.PART_SIZE - 1), 4)
    found["SELECT registers and totals"] = time.perf_counter() - began
    return found


def main() -> None:
    import django

    django.setup()
    task, connections = sys.argv[1], int(sys.argv[2])
    if task == "build":
        town.build(connections, int(sys.argv[3]))
    else:
        sys.stdout.write(json.dumps(_run()))


if __name__ == "__main__":
    main()
