"""`khata deliveries load`: a file of meter data in any known form, whole or not at all.

Ends with 0 when the whole file was taken, also where rows of it went into quarantine (they are named); with 2 when the
file is refused, and then nothing of it is stored.
"""

import argparse
import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from khata.commands.bar import Bar
from khata.commands.clock import business_date
from khata.commands.deliveries_show import (
    COUNTS,
    FIRST_LINES,
    as_json,
    equation,
    judged_as_json,
    judged_as_text,
    moment,
)
from khata.commands.errors import CommandError
from khata.commands.whole_files import STANDARD, reading
from khata.formats.container import FORMS, Opened, check_size, open_delivery
from khata.formats.meterdays import Batch
from khata.formats.text import plain_name
from khata.metering.intake import Received, receive
from khata.metering.queries import findings_of, quarantined


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="as it came, packed with gzip or not; - is standard input")
    parser.add_argument("--sender", default="command", metavar="CODE", help="who sent it; made if it is new")
    forms = "; ".join(f"{name}: {form.title}" for name, form in FORMS.items())
    parser.add_argument("--form", choices=FORMS, metavar="FORM", help=f"where its first bytes do not say it. {forms}")
    parser.add_argument(
        "--history", action="store_true", help="days of long ago: the limit for late days does not hold"
    )
    parser.add_argument("--meter", default="", metavar="SERIAL", help="of a form that does not name its meter (enel)")


def run(args: argparse.Namespace) -> int:
    today, sender = business_date(), args.sender.strip()
    if not sender:
        raise CommandError("the sender is empty", "--sender", "Say who sent the file, or leave it away")
    with reading(args.file) as given, _seekable(given) as file:
        size = _size(file)
        check_size(size)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typing's BinaryIO
        file.seek(0)
        name = "" if args.file == STANDARD else plain_name(args.file)
        opened = open_delivery(file, size=size, form=args.form, name=name, serial=args.meter.strip())
        received = receive(
            sender=sender,
            sha256=sha256,
            form=opened.form,
            name=name,
            size=size,
            batches=_unchanged(file, args.file, _watched(file, opened, size=size, quiet=args.json)),
            today=today,
            history=args.history,
        )
    sys.stdout.write(_as_json(received) if args.json else _as_text(_shown(args.file), received))
    return 0


@contextlib.contextmanager
def _seekable(given: BinaryIO) -> Iterator[BinaryIO]:
    """A file is read twice, once for its hash: what comes through a pipe is laid down first."""
    if given.seekable():
        yield given
        return
    with tempfile.TemporaryFile() as file:
        while data := given.read(1 << 20):
            file.write(data)
            check_size(file.tell())
        file.seek(0)
        yield file


def _shown(name: str) -> str:
    """A path as it was typed, in so far as a terminal may be told it: names of files come from outside."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _watched(file: BinaryIO, opened: Opened, *, size: int, quiet: bool) -> Iterator[Batch]:
    """The batches, with a progress bar by bytes; Parquet is not read front to back, so only its rows are counted."""
    by_bytes = opened.form != "parquet"
    bar = Bar("meter days", total=size if by_bytes else 0, quiet=quiet)
    done = 0
    try:
        for batch in opened.batches:
            done += len(batch)
            yield batch
            bar.at(done, of_total=file.tell() if by_bytes else 0)
        bar.say(f"meter days {done:,}  checking and storing …")
    finally:
        bar.end()


def _unchanged(file: BinaryIO, name: str, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Otherwise the hash would be of other bytes than the rows."""
    before = os.fstat(file.fileno())
    yield from batches
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise CommandError("the file changed while it was read", name, "Nothing was stored; load it again")


def _counts(received: Received) -> dict[str, int]:
    """Of this time: a file that had been received before is repeated as a whole."""
    found = received.delivery
    if received.before:
        return {**dict.fromkeys(COUNTS, 0), "rows": found.rows, "repeated": found.rows}
    return {name: getattr(found, name) for name in COUNTS}


def _as_json(received: Received) -> str:
    found = received.delivery
    judged = ([], []) if received.before else (quarantined(found, first=FIRST_LINES), findings_of(found, first=1))
    answer = {**as_json(found), "before": received.before, **_counts(received), **judged_as_json(*judged)}
    return json.dumps(answer, ensure_ascii=False) + "\n"


def _as_text(name: str, received: Received) -> str:
    found = received.delivery
    lines = [f"{name}: {equation(_counts(received))} (delivery {found.id}, {found.form})"]
    if received.before:
        lines.append(f"These bytes were received before, on {moment(found)}: nothing was changed.")
    else:
        lines += judged_as_text(quarantined(found, first=FIRST_LINES), findings_of(found, first=1))
    return "\n".join(lines) + "\n"
