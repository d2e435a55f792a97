"""The measuring processes of the intake benchmark: Django is set up, the database new and the benchmark's own."""

import datetime as dt
import gc
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from khata.formats import pgcopy
from khata.formats.meterdays import BLOCKS
from khata.formats.meterdays_csv import read_csv
from khata.jobs.bulk import copy_in, integers
from khata.metering.intake import Received, receive
from tests.bench import town

METERS, SEED, LATE_DAYS, RAW_COPIES = 100_000, 20240620, 30, 3
TODAY = dt.date(2024, 6, 20)
DAY = np.datetime64("2024-06-19")
REPEATED, LATE, CORRUPT = METERS // 10, METERS // 20, METERS // 100
_DIGEST = """
    select count(*), sum(hashtextextended(concat_ws('|', meter_id, day, channel, blocks_wh, total_wh, register_wh,
        demand_w, origin, known, origins, off, rule), 0)::numeric)
    from (select distinct on (meter_id, day, channel) * from metering_meterday
          order by meter_id, day, channel, revision desc) d"""


def prepare() -> None:
    """Meters at connections with loads, the day before yesterday of each, and what is usual of them."""
    town.build(METERS, 100, measured=False)
    meters = _meters()
    load = integers("select load_w from consumers_terms order by connection_id", (), 1)[0]
    usual = _blocks(0, np.arange(METERS))
    copy_in(
        "metering_usual",
        {
            "meter_id": pgcopy.int8(meters[0]),
            "made_on": pgcopy.date(np.full(METERS, DAY)),
            "days": pgcopy.int2(np.full(METERS, 30)),
            "total_wh": pgcopy.int4(usual.sum(axis=1)),
            "peak_wh": pgcopy.int4(usual.max(axis=1)),
            "zero_days": pgcopy.int2(np.zeros(METERS, np.int64)),
            "load_w": pgcopy.int4(load),
            "hangs": pgcopy.int2(np.ones(METERS, np.int64)),
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "before.csv"
        everybody = np.arange(METERS)
        _write(file, _lines(meters[1], everybody, np.full(METERS, DAY - 1), 1))
        assert _load(file)[1].delivery.accepted == METERS


def measure(kind: str) -> None:
    """Loads the clean or the dirty file; the numbers as JSON on standard output."""
    _, serials = _meters()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "days.csv"
        lines = _clean(serials)
        _write(file, _dirtied(lines) if kind == "dirty" else lines)
        stored = len(lines)
        del lines
        gc.collect()
        reading = _reading(file) if kind == "dirty" else 0.0
        before = _processor_time()
        seconds, received = _load(file)
        processor = _processor_time() - before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    of = received.delivery
    assert (of.accepted, of.superseding) == (stored, 0), of.__dict__
    if kind == "dirty":
        assert (of.repeated, of.quarantined, of.rows) == (REPEATED, CORRUPT, stored + REPEATED + CORRUPT), of.__dict__
    server = _server_peak()
    with connection.cursor() as cursor:
        cursor.execute(_DIGEST)
        digest = str(cursor.fetchone())
    answer = {
        "seconds": seconds,
        "half_hours": stored * len(BLOCKS),
        "reading": reading,
        "peak": peak,
        "server": server,
        "digest": digest,
        "processor": processor,
        "raw": 0.0,
    }
    if kind == "dirty":
        before = _processor_time()
        answer["raw"] = _raw_copy(serials)
        answer["raw_processor"] = (_processor_time() - before) / RAW_COPIES
    json.dump(answer, sys.stdout)


def _meters() -> tuple[NDArray[np.int64], list[str]]:
    with connection.cursor() as cursor:
        cursor.execute("select id, serial from metering_meter order by id")
        ids, serials = zip(*cursor.fetchall(), strict=True)
    return np.array(ids), list(serials)


def _blocks(day: int, meters: NDArray[np.int64]) -> NDArray[np.int32]:
    """Half-hours of a house: a level of its own, more in the evening, and some chance."""
    random = np.random.default_rng([SEED, day])
    level = 40 + meters % 100
    shape = 1 + np.sin(np.linspace(-2, 4, 48)) ** 2
    return (level[:, None] * shape * random.uniform(0.7, 1.3, (len(meters), 48))).astype(np.int32)


def _lines(serials: list[str], meters: NDArray[np.int64], days: NDArray[np.datetime64], seed: int) -> list[str]:
    columns = zip(meters.tolist(), days.astype(str).tolist(), _blocks(seed, meters).tolist(), strict=True)
    return [f"{serials[meter]},{day},{','.join(map(str, cells))}" for meter, day, cells in columns]


def _clean(serials: list[str]) -> list[str]:
    """The day of each meter, and days that come late: of some meters one more, of the weeks before."""
    random = np.random.default_rng(SEED)
    late = np.sort(random.choice(METERS, LATE, replace=False))
    days = DAY - 2 - random.integers(0, LATE_DAYS, LATE)
    return _lines(serials, np.arange(METERS), np.full(METERS, DAY), 2) + _lines(serials, late, days, 3)


def _dirtied(lines: list[str]) -> list[str]:
    random = np.random.default_rng(SEED + 1)
    twice = [lines[at] for at in random.choice(len(lines), REPEATED, replace=False)]
    corrupt = []
    for number, at in enumerate(random.choice(len(lines), CORRUPT, replace=False).tolist()):
        serial, day, *cells = lines[at].split(",")
        corrupt.append(_CORRUPTIONS[number % len(_CORRUPTIONS)](serial, day, cells))
    dirty = lines + twice + corrupt
    return [dirty[at] for at in random.permutation(len(dirty))]


_CORRUPTIONS = (
    lambda serial, day, cells: ",".join([serial, day, *cells[:40]]),  # cut
    lambda serial, day, cells: ",".join([serial, day, "१२", *cells[1:]]),
    lambda serial, day, cells: ",".join([serial, day, "-5", *cells[1:]]),
    lambda serial, day, cells: ",".join(["X" + serial, day, *cells]),  # no such meter
    lambda serial, day, cells: ",".join([serial, "2031-01-01", *cells]),
    lambda serial, day, cells: ",".join([serial, "2024-02-30", *cells]),
    lambda serial, day, cells: ",".join([serial, "2023-01-01", *cells]),  # too late
    lambda serial, day, cells: ",".join([serial, "2024-04-30", "99999999", *cells[1:]]),  # no meter measures that
)


def _write(file: Path, lines: list[str]) -> None:
    header = ",".join(("meter", "day", *BLOCKS))
    file.write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def _reading(file: Path) -> float:
    began = time.perf_counter()
    with file.open("rb") as opened:
        for _ in read_csv(opened):
            pass
    return time.perf_counter() - began


def _load(file: Path) -> tuple[float, Received]:
    """As the command does it: the hash, then the rows; until it is committed."""
    began = time.perf_counter()
    with file.open("rb") as opened:
        received = _receive(opened, file)
    return time.perf_counter() - began, received


def _receive(opened: BinaryIO, file: Path) -> Received:
    sha256 = hashlib.file_digest(opened, "sha256").hexdigest()  # type: ignore[arg-type]  # typing's BinaryIO
    opened.seek(0)
    size = file.stat().st_size
    batches = read_csv(opened)
    return receive(sender="bench", sha256=sha256, form="csv", name=file.name, size=size, batches=batches, today=TODAY)


def _of_server(file: str) -> str:
    """What the kernel says of the server's process for our session; the server is on this machine."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return Path(f"/proc/{cursor.fetchone()[0]}/{file}").read_text(encoding="ascii")


def _server_peak() -> float:
    """MiB."""
    line = next(line for line in _of_server("status").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _processor_time() -> float:
    """Seconds of this process and of the server's for it: what a busy machine does not falsify."""
    user, system = map(int, _of_server("stat").rsplit(")", 1)[1].split()[11:13])
    return time.process_time() + (user + system) / os.sysconf("SC_CLK_TCK")


def _raw_copy(serials: list[str]) -> float:
    """The floor: the rows that were stored, encoded and copied into a table without key, check or trigger."""
    with town.owner(connection.settings_dict["NAME"]) as owner:
        owner.execute("create table bare (meter text, day date, blocks_wh int4[], total_wh int4)")
        owner.execute("grant insert on bare to khata_run")
    meters = np.concatenate([np.arange(METERS), np.arange(LATE)])
    names, days = np.array(serials, np.bytes_)[meters], np.full(len(meters), DAY)
    blocks = _blocks(2, meters)

    def copy() -> float:
        began = time.perf_counter()
        columns = {
            "meter": pgcopy.text(names),
            "day": pgcopy.date(days),
            "blocks_wh": pgcopy.int4_array(blocks),
            "total_wh": pgcopy.int4(blocks.sum(axis=1)),
        }
        copy_in("bare", columns)
        return time.perf_counter() - began

    return sorted(copy() for _ in range(RAW_COPIES))[RAW_COPIES // 2]
