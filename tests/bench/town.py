"""A town for benchmarks: synthetic connections, registers and days laid through the real operations, durable server."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psycopg
from psycopg import sql

from khata.site.database import server

REPOSITORY = Path(__file__).resolve().parents[2]
VAR = REPOSITORY / "var" / "bench"
DATABASE = "khata_bench"
CYCLE = dt.date(2024, 6, 1)
COMPANY = "KESCO"
_DAY = np.datetime64
_CHUNK = 20_000


def environment(database: str = DATABASE) -> dict[str, str]:
    """For Django in this process or a child: the durable benchmark server."""
    return {
        **os.environ,
        "KHATA_VAR": str(VAR),
        "KHATA_DURABLE": "1",
        "KHATA_DATABASE_NAME": database,
        "DJANGO_SETTINGS_MODULE": "khata.site.settings",
    }


def owner(database: str = DATABASE) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection that may create tables; each statement commits by itself."""
    return psycopg.connect(**server.ensure(VAR, durable=True), user="khata_owner", dbname=database, autocommit=True)


def fresh_database(database: str = DATABASE) -> None:
    """An empty, migrated database on the benchmark server."""
    drop_database(database)
    server.prepare(server.ensure(VAR, durable=True), database)
    owner = {**environment(database), "KHATA_ROLE": "owner"}
    subprocess.run([sys.executable, "-m", "django", "migrate", "-v0"], env=owner, check=True)


def drop_database(database: str = DATABASE) -> None:
    """Gives the disk back."""
    at = server.ensure(VAR, durable=True)
    with psycopg.connect(**at, user=server.ADMIN, dbname="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))


def build(connections: int, smart_percent: int, *, measured: bool = True, prepaid_every: int = 0) -> None:
    """Companies, books, policy, connections: so many with smart meters (31 days of May), the others read twice.

    Not `measured`: no day and no reading yet, and every connection has an old number. `prepaid_every`: each so-manieth
    is prepaid.
    """
    from khata.billing.models import BillingPolicy
    from khata.discoms.operations import install_companies
    from khata.discoms.queries import discom_named
    from khata.ledger.operations import open_books
    from khata.metering.models import ReadingCycle

    install_companies()
    discom = discom_named(COMPANY)
    open_books(discom=discom)
    BillingPolicy.objects.create(
        discom=discom,
        from_date=dt.date(2024, 3, 14),
        bill_day=8,
        due_days=15,
        hold_paise_per_kw=10_000_00,
        hold_load_percent=150,
        release_alone_paise=50_000_00,
    )
    cycle = ReadingCycle.objects.create(discom=discom, code="R28", read_day=28, first_month=dt.date(2024, 1, 1))
    random = np.random.default_rng(20240601)
    for start in range(0, connections, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, connections))
        prepaid = rows % prepaid_every == 0 if prepaid_every else np.zeros(len(rows), bool)
        _connect(discom, cycle.id, rows, connections, smart_percent, random, measured, prepaid)


def _connect(  # type: ignore[no-untyped-def]
    discom,
    cycle: int,
    rows: np.ndarray,
    of: int,
    smart_percent: int,
    random: np.random.Generator,
    measured: bool,
    prepaid: np.ndarray,
) -> None:
    from khata.consumers.operations import NewConnections, connect
    from khata.discoms.queries import divisions
    from khata.metering.operations import NewMeters, hang

    count, now = len(rows), dt.datetime(2024, 3, 14, tzinfo=dt.UTC)
    offices, since = divisions(discom), np.full(count, _DAY("2023-04-01"))
    new = NewConnections(
        name=["Synthetic Consumer"] * count,
        mobile=["" if row % 20 == 0 else f"9{row:09d}" for row in rows.tolist()],
        language=["hi"] * count,
        address=["Kanpur"] * count,
        division=np.array([offices[row * len(offices) // of].id for row in rows.tolist()]),
        connected_on=since,
        category=np.where(random.random(count) < 0.85, "LMV-1", "LMV-2").tolist(),
        area=["urban"] * count,
        mode=np.where(prepaid, "prepaid", "postpaid").tolist(),
        load_w=random.choice([1000, 2000, 3000, 5000], count),
        old_number=["" if measured else f"{1_000_000 + row}" for row in rows.tolist()],
    )
    ids = connect(discom=discom.id, rows=new, wave="bench", old_until=dt.date(2024, 9, 13), now=now)
    smart = random.integers(0, 100, count) < smart_percent
    serials = np.char.add(b"M", ids.astype("S"))
    meters = NewMeters(serials, smart, ids, since, np.where(smart, 0, cycle))
    hung = hang(discom=discom.id, meters=meters, now=now)
    if measured:
        _measure(hung[~smart], hung[smart], random)


def _measure(plain: np.ndarray, smart: np.ndarray, random: np.random.Generator) -> None:
    from khata.metering.operations import NewDays, NewReadings, take_days, take_readings

    register, used = random.integers(0, 10**7, len(plain)), random.integers(0, 400_000, len(plain))
    for number, day in enumerate(("2024-04-28", "2024-05-28")):
        demand, at = random.integers(100, 2500, len(plain)), np.full(len(plain), _DAY(day))
        take_readings(readings=NewReadings(plain, at, register + number * used, demand), source="reader")
    days = np.arange(_DAY("2024-05-01"), _DAY("2024-06-01"))
    total = random.integers(500, 15_000, (len(smart), len(days)))
    ends = (np.cumsum(total, axis=1) + 10**6).ravel()
    demand = random.integers(100, 3000, total.size)
    rows = NewDays(np.repeat(smart, len(days)), np.tile(days, len(smart)), total.ravel(), ends, demand)
    take_days(days=rows, sender="bench", today=dt.date(2024, 12, 31))
