"""`khata migration parallel`: the old system's last bills rated once more and compared."""

import argparse
import datetime as dt
import functools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from django.conf import settings

from khata.commands.errors import CommandError
from khata.commands.steps import Steps
from khata.discoms.models import Office
from khata.discoms.queries import UnknownOfficeError, discom_named
from khata.display.money import grouped, kwh, rupees
from khata.migration.comparing import RESULTS, why_in_words
from khata.migration.models import ParallelRun, Wave
from khata.migration.parallel import (
    ClassLine,
    ParallelError,
    Sample,
    classes,
    months_billed,
    run_parallel,
    samples,
    unaccepted,
)
from khata.migration.queries import UnknownWaveError, wave_named
from khata.tariffs.queries import TariffFolderError, UnknownDiscomError

ACTOR = "command"
VERBS = {"parallel": "rate the old system's last bills once more and class each difference; 1 while one is unknown"}
_WHERE = "migration parallel"


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:  # the module has one verb
    parser.add_argument("--discom", required=True, help="the company's code")
    parser.add_argument("--wave", required=True)
    parser.add_argument(
        "--cycle", type=_month, required=True, help="the bill month of the old bills, e.g. 2024-03, or all of them"
    )
    parser.add_argument("--samples", type=int, default=3, help="accounts to show of each class but equal (default 3)")
    parser.add_argument("--tariffs", type=Path, default=settings.KHATA_TARIFFS, help="folder of the tariff orders")
    parser.add_argument("--json", action="store_true", help="money in paise, energy in Wh")


def _month(text: str) -> dt.date | None:
    """None is every month."""
    if text == "all":
        return None
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month; write it as 2024-03, or all") from None


def run(args: argparse.Namespace) -> int:
    try:
        wave = wave_named(discom_named(args.discom), args.wave)
    except (UnknownOfficeError, UnknownWaveError) as unknown:
        raise CommandError(str(unknown), _WHERE, "Choose one of them") from None
    if args.samples < 0:
        raise CommandError("a number below 0 is not a count", "--samples", "Leave it away")
    shut = False
    for cycle in [args.cycle] if args.cycle else months_billed(wave):
        found = _compared(wave, cycle, args)
        about = unaccepted(found)
        shut |= bool(about)
        shown = {
            result: samples(found, result, limit=args.samples) for result in reversed(RESULTS) if result != "equal"
        }
        if args.json:
            sys.stdout.write(json.dumps(_as_record(wave, found, shown, about), ensure_ascii=False) + "\n")
        else:
            sys.stdout.write("\n".join(_as_lines(wave, found, shown, about)) + "\n")
    return 1 if shut else 0


def _compared(wave: Wave, cycle: dt.date, args: argparse.Namespace) -> ParallelRun:
    try:
        return run_parallel(
            wave=wave,
            cycle=cycle,
            tariffs=args.tariffs,
            actor=ACTOR,
            progress=(lambda *_: None) if args.json else functools.partial(Steps(), f"bills of {cycle:%Y-%m}"),
        )
    except ParallelError as nothing:
        raise CommandError(str(nothing), _WHERE, "Name the month in which the old system last billed") from None
    except TariffFolderError as wrong:
        raise CommandError(wrong.what, wrong.where, wrong.next_step) from None
    except UnknownDiscomError as unknown:
        raise CommandError(str(unknown), _WHERE, "Name the folder that holds the company's orders") from None


def _as_record(wave: Wave, found: ParallelRun, shown: dict[str, list[Sample]], about: str) -> dict[str, object]:
    samples = {result: [asdict(sample) for sample in rows] for result, rows in shown.items()}
    return {
        "discom": wave.discom.code,
        "wave": wave.code,
        "cycle": f"{found.cycle:%Y-%m}",
        "run": found.id,
        **found.summary,
        "samples": samples,
        "passed": not about,
        "accept": about,
    }


def _as_lines(wave: Wave, found: ParallelRun, shown: dict[str, list[Sample]], about: str) -> Iterator[str]:
    summary = found.summary
    compared = sum(summary[result] for result in RESULTS)
    yield (
        f"{wave.discom.code} {wave.code}, bills of {found.cycle:%Y-%m}: compared {grouped(compared)}; "
        f"last billed in another month {grouped(summary['other_cycle'])}, held {grouped(summary['held'])}"
    )
    yield from _table(classes(found))
    for result in RESULTS:
        for why, count in sorted(summary["why"][result].items(), key=lambda each: (-each[1], each[0])):
            yield f"{result:<9} {grouped(count):>9}  {why_in_words(why, 'en')}"
    for result, rows in shown.items():
        for sample in rows:
            yield _sample(result, sample)
    if about:
        many = "difference has" if summary["unknown"] == 1 else "differences have"
        yield f"Not passed: {grouped(summary['unknown'])} {many} no known cause (run {found.id})."
        accept = f"khata migration exceptions --discom {wave.discom.code} --wave {wave.code} --accept {about}"
        yield f"Next step: find the cause and run again, or have two people sign for it: {accept}"
    else:
        signed = f"; {grouped(summary['unknown'])} without a known cause were accepted" if summary["unknown"] else ""
        yield f"Passed: no difference is unexplained{signed} (run {found.id})."


_COLUMNS = "{:<26}{:<10}{:>10}{:>10}{:>20}{:>20}{:>16}"


def _table(lines: Sequence[ClassLine]) -> Iterator[str]:
    """One line a division and class, then the classes of all. The difference is ours less theirs, of those rated."""
    names = dict(Office.objects.filter(id__in={line.division for line in lines}).values_list("id", "name_en"))
    yield _COLUMNS.format("division", "class", "accounts", "rated", "old payable", "our payable", "difference")
    for line in lines:
        yield _row(names[line.division], [line])
    for result in RESULTS:
        of_class = [line for line in lines if line.result == result]
        if of_class:
            yield _row("all", of_class)


def _row(name: str, lines: Sequence[ClassLine]) -> str:
    accounts, rated, old, ours, apart = (
        sum(getattr(line, column) for line in lines)
        for column in ("accounts", "rated", "old_payable_paise", "new_payable_paise", "difference_paise")
    )
    return _COLUMNS.format(
        name[:25], lines[0].result, grouped(accounts), grouped(rated), rupees(old), rupees(ours), rupees(apart)
    )


def _sample(result: str, sample: Sample) -> str:
    ours = "not rated" if sample.new_payable_paise is None else rupees(sample.new_payable_paise)
    units = (
        "" if sample.new_wh in (None, sample.old_wh) else f", units {kwh(sample.old_wh)} and {kwh(sample.new_wh or 0)}"
    )
    why = f": {why_in_words(sample.why, 'en')}" if sample.why else ""
    return f"  {sample.old_number:<10} {result}{why}; payable {rupees(sample.old_payable_paise)}, ours {ours}{units}"
