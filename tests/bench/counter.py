"""Payments over the counter, end to end: receipt, entry, balance, message and audit record, each in a durable commit.

Eight clients at eight counters work as the web does: as role app, under the fence. Beside it stands what this very
server does of the simplest update there is (pgbench -N), in the same run.
"""

import datetime as dt
import json
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tests.bench import town

CONNECTIONS, CLIENTS, SECONDS = 8_000, 8, 6
NOW = dt.datetime.combine(town.CYCLE, dt.time(6), dt.UTC)
BESIDE = "khata_pgbench"

Row = tuple[str, float, str, float | None, bool]


def rows() -> Iterator[Row]:
    town.fresh_database()
    desks = _child("build", "run", [])
    with town.owner() as tidy:
        tidy.execute("vacuum analyze")
    simple = _simple_updates()
    found = _child("take", "app", desks)
    sound = found["wrong"] == [] and _in_order(found["taken"])
    yield f"counter payments, {CLIENTS} at once, durable", found["per_second"], "/s", 100.0, found["per_second"] >= 100
    yield f"    of pgbench -N, {CLIENTS} clients ({simple:,.0f}/s)", found["per_second"] / simple, "of it", None, True
    yield "    slowest of a hundred", found["p99_ms"], "ms", None, True
    yield f"    books in order after {found['taken']} payments", float(sound), "", None, sound


def _child(task: str, role: str, desks: list[dict[str, int]]) -> Any:
    command = [sys.executable, "-m", "tests.bench.counter", task]
    environment = town.environment() | {"KHATA_ROLE": role}
    asked = json.dumps(desks).encode()
    done = subprocess.run(command, env=environment, input=asked, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _in_order(taken: int) -> bool:
    """As many receipts, entries and messages as were acknowledged, and each serial there."""
    query = """
        select (select count(*) from payments_receipt), (select count(*) from ledger_entry),
            (select count(distinct cause) from notices_message), (select count(*) from audit_record where action =
            'payments.take-cash'), (select coalesce(sum(newest), 0) from (select max(serial) as newest
            from payments_receipt group by counter_id) m), (select sum(amount_paise) from ledger_posting)"""
    with town.owner() as books:
        ((receipts, entries, messages, records, serials, total),) = books.execute(query).fetchall()
    return (receipts, entries, records, serials, total) == (taken, taken, taken, taken, 0) and 0 < messages <= taken


def _simple_updates() -> float:
    """Transactions a second of pgbench's simple update with as many clients, on the same server."""
    from khata.site.database import server

    at = server.ensure(town.VAR, durable=True)
    programs, _ = server._programs(town.VAR / "pg" / "data")

    def run(program: str, *arguments: str) -> str:
        place = ["--host", at["host"], "--username", server.ADMIN]
        done = subprocess.run([programs / program, *place, *arguments], check=True, capture_output=True, text=True)
        return done.stdout

    run("dropdb", "--if-exists", "--force", BESIDE)
    run("createdb", BESIDE)
    run("pgbench", "--initialize", "--scale=10", BESIDE)
    told = run("pgbench", "-N", f"-c{CLIENTS}", "-j2", f"-T{SECONDS}", BESIDE)
    run("dropdb", "--force", BESIDE)
    (per_second,) = re.findall(r"^tps = ([0-9.]+)", told, re.MULTILINE)
    return float(per_second)


# -- in the children ---------------------------------------------------------------------------------------------------


def _build() -> list[dict[str, int]]:
    from khata.discoms.models import Staff
    from khata.discoms.queries import discom_named, divisions
    from khata.payments.operations import add_counter, open_shift, set_counter_policy

    town.build(CONNECTIONS, 0)
    discom = discom_named(town.COMPANY)
    set_counter_policy(discom=discom, from_date=town.CYCLE, most_paise=1_99_999_00, source="bench")
    desks = []
    for number in range(1, CLIENTS + 1):
        staff = Staff.objects.create(login=f"cashier{number}", name="Cashier", password="!")
        office = divisions(discom)[number % 4]
        counter = add_counter(office=office, code=f"B{number:02d}", name_hi="काउंटर", name_en="Counter")
        shift = open_shift(counter=counter.id, staff=staff.id, opening_paise=0, now=NOW, today=town.CYCLE)
        desks.append({"shift": shift.id, "staff": staff.id})
    return desks


def _take(desks: list[dict[str, int]]) -> dict[str, object]:
    from django.db import connection, transaction

    from khata.consumers.models import Connection
    from khata.discoms.models import Office
    from khata.discoms.scope import Scope, scoped

    company = Office.objects.get(discom__code=town.COMPANY, kind="company")
    scope = Scope(None, company.id, company.last)
    with scoped(scope), transaction.atomic():
        accounts = list(Connection.objects.order_by("id").values_list("id", "account_number"))
    connection.close()
    spent: list[list[float]] = [[] for _ in desks]
    wrong: list[str] = []
    stop = threading.Event()
    began = threading.Barrier(len(desks) + 1)

    def cashier(number: int) -> None:
        try:
            with scoped(scope):
                _pay(desks[number], accounts[number :: len(desks)], spent[number], began, stop)
        except Exception as error:
            wrong.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=cashier, args=(number,)) for number in range(len(desks))]
    for thread in threads:
        thread.start()
    began.wait()
    start = time.perf_counter()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    all_spent = sorted(each for one in spent for each in one)
    return {
        "per_second": len(all_spent) / seconds,
        "p99_ms": 1000 * all_spent[len(all_spent) * 99 // 100],
        "taken": len(all_spent) + len(desks),
        "wrong": wrong,
    }


def _pay(
    desk: dict[str, int],
    accounts: list[tuple[int, str]],
    spent: list[float],
    began: threading.Barrier,
    stop: threading.Event,
) -> None:
    """One payment after the other until told to stop; the first, which also connects, is not counted."""
    from khata.payments.operations import take_cash

    for count in range(10**9):
        identity, account = accounts[count % len(accounts)]
        start = time.perf_counter()
        take_cash(
            **desk,
            reference=str(uuid.uuid4()),
            typed=account,
            connection=identity,
            matched=account,
            amount_paise=100_00 + count,
            now=NOW,
            today=town.CYCLE,
        )
        if count == 0:
            began.wait()
            continue
        spent.append(time.perf_counter() - start)
        if stop.is_set():
            return


if __name__ == "__main__":
    import django

    django.setup()
    asked = json.loads(sys.stdin.read())
    sys.stdout.write(json.dumps(_build() if sys.argv[1] == "build" else _take(asked)))
