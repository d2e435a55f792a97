"""The consumer's first screen in a city of a lakh connections, each with 400 days of a smart meter: four crore days.

The pages are served as by `khata serve`; requests go out at instants fixed beforehand, at random and 20 a second,
whether or not the answers before have come, each for another consumer. Two times are told of each:

- the client's: from the planned instant to the last byte of the answer, at a client on the same two cores, which has
  work of its own to do. It is what somebody would see, and never less than
- the server's: from the instant the request was written to its socket, by that client's clock, until the last byte was
  handed back by the pages (`timed_pages`). It holds the wait for a thread, and nothing that happens in the client.

A third of the consumers is prepaid. Days have their half-hours from June on, because the page reads those of the newest
day; of the days before it reads what the covering index holds.
"""

import datetime as dt
import http.client
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import timed_pages, town

CONNECTIONS, DAYS = 100_000, 400
PREPAID_EVERY, MEASURED_FROM = 3, dt.date(2024, 6, 1)
PER_SECOND, SECONDS, WARM_UP, BESIDE = 20, 30, 3, 10
SERVER_MS, CLIENT_MS, MOST_QUERIES = 60.0, 80.0, 12
CLIENTS = 32  # kept-alive connections, each with a thread
CYCLES = (dt.date(2024, 4, 1), dt.date(2024, 5, 1), town.CYCLE)
TODAY = dt.date(2024, 6, 20)
OLD_MONTHS = np.arange("2023-06", "2024-04", dtype="datetime64[M]").astype("datetime64[D]")
# A register that rises by 2 to 10 units a day, in closed form: no two days wait for each other.
REGISTER = "10000000 + 6000 * n + (m * 7919 + n * n * 104729 + n * 31) %% 4000"
FILL = f"""
    insert into metering_meterday (meter_id, day, revision, total_wh, register_wh, demand_w, origin, known, delivery,
        blocks_wh)
    select m, %(first)s + n::int, 0, now.register - before.register, now.register, 500 + (m + n) %% 2000,
        1, case when %(half_hours)s then 48 else 0 end, %(delivery)s,
        case when %(half_hours)s then array(select ((now.register - before.register) * k / 48
            - (now.register - before.register) * (k - 1) / 48)::int from generate_series(1, 48) k) end
    from generate_series(%(low)s::bigint, %(high)s) n, generate_series(%(meter)s::bigint, %(last_meter)s) m,
        lateral (select {REGISTER} as register) now,
        lateral (select {REGISTER.replace("n", "(n - 1)")} as register) before"""

Row = tuple[str, float, str, float | None, bool]


def rows() -> Iterator[Row]:
    connections = int(os.environ.get("KHATA_BENCH_CONNECTIONS") or CONNECTIONS)  # fewer, for a first look
    town.fresh_database()
    try:
        yield from _rows(connections)
    finally:
        town.drop_database()  # six gigabytes


def _rows(connections: int) -> Iterator[Row]:
    built = _child("build", connections)
    with town.owner() as tidy:
        tidy.execute("vacuum analyze")  # as the server does by itself once a load has settled
        ((size,),) = tidy.execute("select pg_database_size(current_database())").fetchall()
    crore = built["days"] / 1e7
    yield f"laying {crore:.2f} crore meter days ({size / 2**30:.1f} GiB in all)", built["seconds"], "s", None, True
    visitors = _child("visit", PER_SECOND * (WARM_UP + SECONDS) * 2)
    yield from _answers(visitors, f"{connections / 1e5:g} lakh × {DAYS} days")


def _answers(visitors: list[tuple[str, str, str]], town_of: str) -> Iterator[Row]:
    with _served() as (port, server, notes):
        _send(port, _plan(WARM_UP), visitors, "/")
        notes.write_text("")
        began = _worked(server)
        screen = _send(port, _plan(SECONDS), visitors[PER_SECOND * WARM_UP * 2 :], "/")
        pages, database = ((after - before) / len(screen) for after, before in zip(_worked(server), began, strict=True))
        noted = timed_pages.read(notes)
        beside = _send(port, _plan(BESIDE), visitors, "/alive/")
    if len(noted) != len(screen):
        raise RuntimeError(f"the server noted {len(noted)} of {len(screen)} requests")
    yield f"first screen of {town_of}, {PER_SECOND}/s", 0, "", None, True
    inside, waits = [each.whole_ms for each in noted], [each.waited_ms for each in noted]
    worst = _at(inside, 99)
    yield "    in the server: slowest of 100", worst, "ms", SERVER_MS, worst <= SERVER_MS
    yield "    in the server: median", _at(inside, 50), "ms", None, True
    yield "    of which waiting for a thread: slowest of 100", _at(waits, 99), "ms", None, True
    most = max(each.queries for each in noted)
    yield "    asked of the database, at most", most, "queries", MOST_QUERIES, most <= MOST_QUERIES
    worst, median, nothing = _at(screen, 99), _at(screen, 50), _at(beside, 50)
    yield "    at the client: slowest of 100", worst, "ms", CLIENT_MS, worst <= CLIENT_MS
    yield "    at the client: median", median, "ms", None, True
    yield f"    at the client: slowest of {len(screen)}", max(screen), "ms", None, True
    yield "    slowest of a hundred / median", worst / median, "x", None, True
    yield f"    median / median of a page that reads nothing ({nothing:.1f} ms)", median / nothing, "x", None, True
    # Other work on the machine makes waits longer, and this by little.
    yield "    processor time of one: pages", 1000 * pages, "ms", None, True
    yield "    processor time of one: database", 1000 * database, "ms", None, True


def _at(spent: Sequence[float], percent: int) -> float:
    return sorted(spent)[len(spent) * percent // 100]


def _child(task: str, number: int) -> Any:
    command = [sys.executable, "-m", "tests.bench.first_screen", task, str(number)]
    done = subprocess.run(command, env=_environment(), check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _environment() -> dict[str, str]:
    return town.environment() | {"KHATA_ROLE": "run", "KHATA_TODAY": TODAY.isoformat(), "KHATA_HTTPS": "0"}


def _worked(server: int) -> tuple[float, float]:
    """Processor seconds so far of the processes below `khata serve`, and of the database's that serve them."""
    with town.owner() as books:
        query = "select pid from pg_stat_activity where usename = 'khata_app' and datname = current_database()"
        sessions = [f"{pid}" for (pid,) in books.execute(query).fetchall()]
    parents = {process.name: seen[1] for process in Path("/proc").glob("[0-9]*") if (seen := _stat(process))}
    below = {f"{server}"}
    while more := {process for process, parent in parents.items() if parent in below} - below:
        below |= more
    ticks = [sum(sum(map(int, _stat(Path("/proc", one))[11:13])) for one in group) for group in (below, sessions)]
    return ticks[0] / os.sysconf("SC_CLK_TCK"), ticks[1] / os.sysconf("SC_CLK_TCK")


def _stat(process: Path) -> list[str]:
    """State, parent and so on, as in proc(5) from the third field; nothing of a process that has ended."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@contextmanager
def _served() -> Iterator[tuple[int, int, Path]]:
    """The port and the process of the pages, which answer, and the file of what they note of each request."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "requests"
        command = [sys.executable, "-m", "tests.bench.first_screen", "serve", str(port)]
        environment = {**_environment(), timed_pages.NOTES: str(notes)}
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert server.stdout
        try:
            if "serves" not in server.stdout.readline():
                raise RuntimeError("khata serve did not come up: see what it said above")
            yield port, server.pid, notes
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=15)
            server.kill()


# -- the load ----------------------------------------------------------------------------------------------------------


def _plan(seconds: int) -> list[float]:
    """Instants of requests, in seconds from the beginning: independent of each other, as people are."""
    chance, at, planned = random.Random(20240620), 0.0, []
    while (at := at + chance.expovariate(PER_SECOND)) < seconds:
        planned.append(at)
    return planned


def _send(port: int, planned: list[float], visitors: list[tuple[str, str, str]], path: str) -> list[float]:
    """Milliseconds from each planned instant to the end of its answer. Raises for any answer that is not right."""
    spent, wrong = [0.0] * len(planned), list[str]()
    start = time.perf_counter() + 0.2

    def client(first: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(first, len(planned), CLIENTS):
            session, account, language = visitors[number]
            headers = {"Cookie": f"khata={session}; khata_language={language}", "Accept-Encoding": "gzip"}
            time.sleep(max(0.0, start + planned[number] - time.perf_counter()))
            try:
                headers[timed_pages.SENT] = str(time.monotonic_ns())
                line.request("GET", path, headers=headers)
                answer = line.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                wrong.append(repr(error))
                line.close()
                continue
            spent[number] = 1000 * (time.perf_counter() - start - planned[number])
            if answer.status != 200 or (path == "/" and not _is_screen(body, account)):
                wrong.append(f"status {answer.status}, {len(body)} bytes")
        line.close()

    threads = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(planned)} requests for {path} failed; the first: {wrong[0]}")
    return spent


def _is_screen(body: bytes, account: str) -> bool:
    """The whole page of this very consumer, with both charts and the old number."""
    page = zlib.decompress(body, 31).decode()
    parts = (f'data-copy="{account}"', "chart-days", "chart-months", "stub-old", "</html>")
    return all(part in page for part in parts) and len(re.findall("chart-slot", page)) >= 30 + 12


# -- in the children ---------------------------------------------------------------------------------------------------


def _build(connections: int) -> dict[str, float]:
    from khata.billing import operations
    from khata.discoms.queries import discom_named, divisions

    town.build(connections, 100, measured=False, prepaid_every=PREPAID_EVERY)
    began = time.perf_counter()
    _lay_days()
    seconds = time.perf_counter() - began
    discom = discom_named(town.COMPANY)
    for cycle in CYCLES:
        operations.run_cycle(
            discom=discom,
            cycle=cycle,
            divisions=divisions(discom),
            bill_date=None,
            tariffs=town.REPOSITORY / "tariffs",
            part_size=operations.PART_SIZE,
            today=cycle.replace(day=20),
            workers=operations.WORKERS,
            actor="bench",
            progress=lambda *_: None,
        )
    _history()
    return {"days": connections * DAYS, "seconds": seconds}


def _lay_days() -> None:
    """Month by month, each day after the other as they come from the meters, two months at a time."""
    from django.db import connection, transaction

    from khata.metering.models import Delivery, Meter
    from khata.metering.operations import sender_coded

    meters = list(Meter.objects.order_by("id").values_list("id", flat=True))
    assert meters == list(range(meters[0], meters[-1] + 1))
    first = TODAY - dt.timedelta(days=DAYS)
    months = np.arange(first, TODAY).astype("datetime64[M]")

    def lay(month: np.datetime64) -> None:
        (inside,) = np.nonzero(months == month)
        ends = {"low": int(inside[0]), "high": int(inside[-1]), "meter": meters[0], "last_meter": meters[-1]}
        count = len(inside) * len(meters)
        with transaction.atomic(), connection.cursor() as cursor:
            delivery = Delivery.objects.create(
                sender=sender_coded("bench"),
                sha256=str(month),
                form="columns",
                size=0,
                today=TODAY,
                rows=count,
                accepted=count,
                repeated=0,
                superseding=0,
                quarantined=0,
            )
            half_hours = bool(month >= np.datetime64(MEASURED_FROM, "M"))
            cursor.execute(FILL, {**ends, "first": first, "delivery": delivery.id, "half_hours": half_hours})
        connection.close()

    with connection.cursor() as cursor:  # beforehand: one makes a month at a time
        for month in np.unique(months):
            cursor.execute("select khata.make_meter_month(%s)", [month.astype("datetime64[D]").item()])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lay, np.unique(months)))
    with town.owner() as tidy:
        tidy.execute("analyze")


def _history() -> None:
    """Bills of the time before the cut-over, and a payment by everybody."""
    from khata.billing.operations import OldBills, keep_old_bills
    from khata.consumers.models import Connection
    from khata.discoms.queries import discom_named
    from khata.payments.operations import NewReceipts, take

    found = list(Connection.objects.order_by("id").values_list("id", "division_id", "account_number"))
    ids, offices, accounts = np.array([one[0] for one in found]), np.array([one[1] for one in found]), found
    units = 100_000 + (ids * 7919) % 200_000
    for month in OLD_MONTHS:
        bills = OldBills(ids, np.full(len(ids), month), units, units * 7 // 10)
        keep_old_bills(bills=bills)
    typed = np.array([one[2].encode() for one in accounts])
    receipts = NewReceipts(
        connection=ids,
        reference=np.char.add(b"bench-", typed),
        office=offices,
        typed=typed,
        matched=typed,
        amount_paise=np.full(len(ids), 500_00),
        received_on=np.full(len(ids), np.datetime64("2024-06-10")),
    )
    take(discom=discom_named(town.COMPANY), channel="bench", receipts=receipts)


def _visit(count: int) -> list[tuple[str, str, str]]:
    """So many consumers, chosen at random and signed in: session, account number, language."""
    from importlib import import_module

    from django.conf import settings

    from khata.consumers.models import Connection
    from khata.portal import session as portal_session

    rows = Connection.objects.exclude(consumer__mobile_key="").values_list(
        "id", "consumer_id", "account_number", "consumer__mobile_key"
    )
    everybody = list(rows.order_by("id"))
    visitors = []
    for number, (identity, consumer, account, mobile) in enumerate(random.Random(1).choices(everybody, k=count)):
        store = import_module(settings.SESSION_ENGINE).SessionStore()
        signed = portal_session.Signed(portal_session.mobile_hash(mobile), ((identity, consumer),), 0)
        portal_session.start(store, signed)
        store.save()
        visitors.append((store.session_key, account, ("hi", "en")[number % 2]))
    return visitors


def _serve(port: int) -> None:
    """As `khata serve --no-work`, with a note of each request."""
    from khata.commands.serve import build_pages, serve

    def ready() -> None:
        sys.stdout.write("serves\n")
        sys.stdout.flush()

    build_pages()
    pages = "tests.bench.timed_pages:application"
    serve(host="127.0.0.1", port=port, environment={}, backend=None, ready=ready, application=pages)


if __name__ == "__main__":
    import django

    django.setup()
    task, number = sys.argv[1], int(sys.argv[2])
    if task == "serve":
        _serve(number)
    else:
        sys.stdout.write(json.dumps(_build(number) if task == "build" else _visit(number)))
