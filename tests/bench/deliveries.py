"""The measuring process of the meter-day benchmark: Django is set up, the database new and the benchmark's own."""

import contextlib
import datetime as dt
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from khata.commands.main import main
from khata.discoms.models import Discom
from khata.formats import pgcopy
from khata.formats.meterdays import BLOCKS, Columns, batches
from khata.jobs.bulk import copy_in, next_ids
from khata.metering.intake import receive
from khata.metering.models import Meter
from khata.metering.queries import day_totals, one_day
from tests.bench import town

METERS, MONTHS, SEED = 2_000, 13, 20240620
FIRST = np.datetime64("2023-04")
Row = tuple[str, float, str, float | None, bool]
Days = tuple[NDArray[np.bytes_], NDArray[np.datetime64], NDArray[np.int32]]  # meters, days, half-hours


def measure(database: str) -> None:
    """The rows as JSON on standard output."""
    json.dump(list(_measured(database)), sys.stdout)


def _measured(database: str) -> Iterator[Row]:
    serials = _meters()
    months = [_month(serials, FIRST + number) for number in range(MONTHS + 2)]
    with tempfile.TemporaryDirectory() as folder:
        for month in months[: MONTHS - 3]:
            _receive(month)
        files = [_parquet(month, Path(folder)) for month in months[MONTHS - 3 : MONTHS]]
        parquet = statistics.median(_timed(lambda file=file: _load(file)) for file in files)  # type: ignore[misc]
        raw = _raw_copy(months[MONTHS - 1], database)
        repeat = _timed(lambda: _receive(months[MONTHS - 1]))
        csv = _csv(months[MONTHS], Path(folder))
        by_csv = _timed(lambda: _load(csv))
    million = len(months[MONTHS - 1][0]) * 48 / 1e6
    name = f"meter days, {METERS:,} meters' month"
    yield f"{name}, Parquet to table", million / parquet, "M half-hours/s", 1.5, million / parquet >= 1.5
    yield f"{name}, CSV to table", len(months[MONTHS][0]) * 48 / 1e6 / by_csv, "M half-hours/s", None, True
    yield f"{name}, the same values again", million / repeat, "M half-hours/s", None, True
    yield f"{name}, raw COPY into a bare table", million / raw, "M half-hours/s", None, True
    yield "Parquet to table : raw COPY", parquet / raw, "x", None, True
    yield from _reads()


def _meters() -> NDArray[np.bytes_]:
    Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    serials = np.array([f"NP{number:08d}" for number in range(METERS)], np.bytes_)
    columns = {
        "id": pgcopy.int8(next_ids("metering_meter", METERS)),
        "serial": pgcopy.text(serials),
        "discom_id": pgcopy.int2(np.ones(METERS, np.int64)),
        "smart": pgcopy.boolean(np.ones(METERS, np.bool_)),
    }
    copy_in("metering_meter", columns)
    return serials


def _month(serials: NDArray[np.bytes_], month: np.datetime64) -> Days:
    """Day by day, as a head-end exports them."""
    days = np.arange(month.astype("M8[D]"), (month + 1).astype("M8[D]"))
    random = np.random.default_rng([SEED, int(month.astype(np.int64))])
    used = random.integers(0, 900, (len(days) * len(serials), 48), dtype=np.int32)
    return np.tile(serials, len(days)), np.repeat(days, len(serials)), used


def _receive(month: Days) -> None:
    meters, days, used = month
    columns = Columns(np.arange(1, len(meters) + 1), meters, days, used)
    receive(
        sender="bench",
        sha256=os.urandom(32).hex(),
        form="columns",
        name="",
        size=used.nbytes,
        batches=batches(columns),
        today=dt.date(2024, 12, 31),
        history=True,
    )


def _parquet(month: Days, folder: Path) -> Path:
    meters, days, used = month
    blocks = pa.FixedSizeListArray.from_arrays(pa.array(used.ravel()), 48)
    file = folder / f"{days[0]}.parquet"
    pq.write_table(pa.table({"meter": pa.array(meters.astype(str)), "day": pa.array(days), "blocks": blocks}), file)
    return file


def _csv(month: Days, folder: Path) -> Path:
    file = folder / "days.csv"
    with file.open("w", encoding="ascii") as out:
        out.write(",".join(("meter", "day", *BLOCKS)) + "\n")
        for meter, day, used in zip(
            month[0].astype(str).tolist(), month[1].astype(str), month[2].tolist(), strict=True
        ):
            out.write(f"{meter},{day},{','.join(map(str, used))}\n")
    return file


def _load(file: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["deliveries", "load", str(file), "--history", "--json"]) == 0
    counts = json.loads(said.getvalue())
    assert counts["accepted"] == counts["rows"] > 0


def _raw_copy(month: Days, database: str) -> float:
    """The floor: the same rows, encoded and copied into a table without key, check or trigger."""
    with town.owner(database) as owner:
        owner.execute("create table bare (meter text, day date, blocks_wh int4[], total_wh int4)")
    meters, days, used = month

    def copy() -> None:
        copy_in(
            "bare",
            {
                "meter": pgcopy.text(meters),
                "day": pgcopy.date(days),
                "blocks_wh": pgcopy.int4_array(used),
                "total_wh": pgcopy.int4(used.sum(axis=1)),
            },
        )

    return min(_timed(copy) for _ in range(3))


def _reads() -> Iterator[Row]:
    """As the command asks, warm: half of the time goes to planning and the way to the server and back."""
    random = np.random.default_rng(SEED)
    meters = random.choice(list(Meter.objects.values_list("id", flat=True)), 300).tolist()
    start = FIRST.astype("M8[D]").item()
    end = (FIRST + MONTHS).astype("M8[D]").item()
    assert len(day_totals(meters[0], start, end)) == (end - start).days
    day = start + dt.timedelta(days=200)
    one = statistics.median(_timed(lambda: one_day(meter, day)) for meter in meters) * 1000  # noqa: B023
    year = statistics.median(_timed(lambda: day_totals(meter, start, end)) for meter in meters) * 1000  # noqa: B023
    stored = f"{METERS:,} meters with {MONTHS} months"
    yield f"{stored}: one meter's day with its half-hours", one, "ms", 2.0, one <= 2
    yield f"{stored}: {MONTHS} months of daily totals", year, "ms", 5.0, year <= 5


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
