"""`khata print`: the bills of a month as PDF files for a printer. Run again, it makes only what is missing."""

import argparse
import datetime as dt
import fcntl
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from khata.billing.models import bill_number
from khata.billing.queries import bills_to_print
from khata.commands.errors import CommandError
from khata.commands.print_worker import PrintFile, begin, clear, make, printed
from khata.commands.steps import Steps
from khata.discoms.queries import UnknownOfficeError, discom_named, division_named, divisions
from khata.display.labels import LANGUAGES
from khata.display.money import grouped

PER_FILE = 20  # a process keeps what it drew in its last ten files: of 20 bills each, half a gigabyte
OWN = "own"
_TOLD = 10  # troubles that are told one by one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--discom", required=True, help="the company's code")
    parser.add_argument("--cycle", type=_month, required=True, help="the bill month, e.g. 2024-06")
    parser.add_argument("--division", help="only this division")
    parser.add_argument("--language", choices=(*LANGUAGES, OWN), default=OWN, help="default: each consumer's own")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files; made if need be")
    parser.add_argument("--per-file", type=int, default=PER_FILE, help=f"bills in one file (default {PER_FILE})")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true")


def _month(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month; write it as 2024-06") from None


@dataclass
class Counts:
    """expected = made + there + failed."""

    expected: int = 0
    made: int = 0
    there: int = 0
    failed: int = 0
    troubles: list[str] = field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    if args.per_file < 1 or args.workers < 1:
        raise CommandError("at least 1 is wanted", "--per-file, --workers", "Leave them away")
    try:
        discom = discom_named(args.discom)
        chosen = [division_named(discom, args.division)] if args.division else divisions(discom)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "print", "Choose one of them") from None
    folder = args.out / f"{discom.code}-{args.cycle:%Y-%m}-{args.language}"
    with _alone_in(folder):
        counts, files = _planned([office.id for office in chosen], folder, args)
        if not counts.expected:
            raise CommandError(f"{discom.code} has no bills of {args.cycle:%Y-%m}", "print", "Run khata bill run first")
        _make(files, counts, workers=args.workers, steps=None if args.json else Steps())
    _tell(counts, folder, as_json=args.json)
    return 1 if counts.failed else 0


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two at once would print everything twice. The system gives the lock back, whatever becomes of the process."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # names and addresses: for its owner alone
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise CommandError(error.strerror or str(error), str(folder), "Name a folder that can be written") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                "another process prints into this folder", str(folder), "Wait until it is done"
            ) from None
        clear(folder)
        yield


def _planned(offices: Iterable[int], folder: Path, args: argparse.Namespace) -> tuple[Counts, list[PrintFile]]:
    """Files for the bills that are in none yet. A file belongs to one division, as somebody carries it there."""
    counts, files, there = Counts(), [], printed(folder)
    language = None if args.language == OWN else args.language
    for office in offices:
        missing = []
        for bill in bills_to_print(division=office, cycle=args.cycle):
            counts.expected += 1
            if bill_number(cycle=args.cycle, identity=bill) in there:
                counts.there += 1
            else:
                missing.append(bill)
        for start in range(0, len(missing), args.per_file):
            files.append(PrintFile(folder, office, tuple(missing[start : start + args.per_file]), language))
    return counts, files


def _make(files: list[PrintFile], counts: Counts, *, workers: int, steps: Steps | None) -> None:
    total = sum(len(each.bills) for each in files)
    if not files:
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(files)), mp_context=spawn, initializer=begin) as pool:
        running = {pool.submit(make, each): each for each in files}
        try:
            for ended in as_completed(running):
                _count(ended, running[ended], counts)
                if steps:
                    steps("bills on paper", counts.made + counts.failed, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _count(ended: Future[tuple[int, list[str]]], file: PrintFile, counts: Counts) -> None:
    try:
        made, troubles = ended.result()
    except BrokenProcessPool:
        made, troubles = 0, ["a process was killed; perhaps there was too little memory"]
    except Exception as trouble:
        made, troubles = 0, [f"a file of {len(file.bills)} bills: {type(trouble).__name__}"]
    counts.made += made
    counts.failed += len(file.bills) - made
    counts.troubles += troubles


def _tell(counts: Counts, folder: Path, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({**vars(counts), "folder": str(folder)}, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(
        f"expected {grouped(counts.expected)} = made {grouped(counts.made)} + already there {grouped(counts.there)} + "
        f"failed {grouped(counts.failed)}\nin {folder}\n"
    )
    different = list(dict.fromkeys(counts.troubles))
    for trouble in different[:_TOLD]:
        sys.stderr.write(f"khata: print: {trouble}\n")
    if len(different) > _TOLD:
        sys.stderr.write(f"khata: print: and {len(different) - _TOLD} more\n")
    if counts.failed:
        sys.stderr.write("Next step: run it again; only what is missing is made.\n")
