"""`khata meterdays load`: a file of meter days, whole or not at all.

Ends with 0 when the whole file was taken, also where rows of it went into quarantine (they are named); with 2 when the
file is malformed, and then nothing of it is stored.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from khata.commands.bar import Bar
from khata.commands.clock import INDIA, business_date
from khata.commands.errors import CommandError
from khata.commands.whole_files import reading
from khata.formats.meterdays import MeterDayBatch, read_csv
from khata.formats.meterdays_parquet import read_parquet
from khata.metering.models import Delivery
from khata.metering.operations import Received, receive_days
from khata.metering.queries import Failed, quarantined

_MAGIC = b"PAR1"
_LINES_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    wanted = "CSV (meter,day,kwh, or meter,day,b01,…,b48 in Wh) or Parquet of these columns; - is standard input"
    parser.add_argument("file", metavar="FILE", help=wanted)
    parser.add_argument("--sender", default="command", metavar="TEXT", help="who sent it; kept with the delivery")


def run(args: argparse.Namespace) -> int:
    today, sender = business_date(), args.sender.strip()
    if not sender:
        raise CommandError("the sender is empty", "--sender", "Say who sent the file, or leave it away")
    with reading(args.file) as given, _seekable(given) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typing's BinaryIO
        file.seek(0)
        batches = _unchanged(file, args.file, _batches(file, args.file, quiet=args.json))
        received = receive_days(sha256=sha256, sender=sender, batches=batches, today=today)
    failed = [] if received.before else quarantined(received.delivery, first=_LINES_SHOWN)
    sys.stdout.write(_as_json(received, failed) if args.json else _as_text(args.file, received, failed))
    return 0


@contextlib.contextmanager
def _seekable(given: BinaryIO) -> Iterator[BinaryIO]:
    """A file is read twice, once for its hash: what comes through a pipe is laid down first."""
    if given.seekable():
        yield given
        return
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(given, file)
        file.seek(0)
        yield file


def _batches(file: BinaryIO, name: str, *, quiet: bool) -> Iterator[MeterDayBatch]:
    """The file's batches, with a progress bar: by rows in Parquet, which is not read front to back, else by bytes."""
    parquet = file.read(len(_MAGIC)) == _MAGIC or name.lower().endswith(".parquet")
    file.seek(0)
    rows = _rows_of(file) if parquet else 0
    bar = Bar("meter days", total=rows if parquet else os.fstat(file.fileno()).st_size, quiet=quiet)
    done = 0
    try:
        for batch in read_parquet(file) if parquet else read_csv(file):
            done += len(batch)
            yield batch
            bar.at(done, of_total=done if parquet else file.tell())
        bar.say(f"meter days {done:,}  checking and storing …")
    finally:
        bar.end()


def _rows_of(file: BinaryIO) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except (pa.ArrowException, OSError):
        return 0  # the reader says what is wrong with it
    finally:
        file.seek(0)


def _unchanged(file: BinaryIO, name: str, batches: Iterator[MeterDayBatch]) -> Iterator[MeterDayBatch]:
    """Otherwise the hash would be of other bytes than the rows."""
    before = os.fstat(file.fileno())
    yield from batches
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise CommandError("the file changed while it was read", name, "Nothing was stored; load it again")


def _counts(received: Received) -> dict[str, int]:
    """Of this time: a file that had been received before is repeated as a whole."""
    delivery = received.delivery
    if received.before:
        return {"rows": delivery.rows, "accepted": 0, "repeated": delivery.rows, "superseding": 0, "quarantined": 0}
    return {name: getattr(delivery, name) for name in ("rows", "accepted", "repeated", "superseding", "quarantined")}


def _as_json(received: Received, failed: list[Failed]) -> str:
    delivery = received.delivery
    answer = {
        "delivery": delivery.id,
        "sha256": delivery.sha256,
        "sender": delivery.sender.code,
        "received_at": _moment(delivery),
        "before": received.before,
        **_counts(received),
        "failed": [asdict(each) for each in failed],
    }
    return json.dumps(answer, ensure_ascii=False) + "\n"


def _as_text(name: str, received: Received, failed: list[Failed]) -> str:
    received_count, *others = (f"{count:,} {word}" for word, count in _counts(received).items())
    equation = f"{received_count} = {' + '.join(others)}"
    lines = [f"{name}: {equation} (delivery {received.delivery.id})"]
    if received.before:
        lines.append(f"These bytes were received before, on {_moment(received.delivery)}: nothing was changed.")
    for each in failed:
        where = ", ".join(map(str, each.lines)) + (" …" if each.count > len(each.lines) else "")
        lines.append(f"  {each.check}  {each.reason}: {each.count:,}, line {where}")
    return "\n".join(lines) + "\n"


def _moment(delivery: Delivery) -> str:
    return delivery.received_at.astimezone(INDIA).isoformat(timespec="seconds")
