"""`khata migration reconcile | cutover | rollback`: the equations, the move, and the way back."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from khata.commands import clock
from khata.commands.errors import CommandError
from khata.commands.steps import Steps
from khata.commands.waves import asked_wave
from khata.display.money import grouped, kwh, plain_rupees, rupees
from khata.jobs.operations import RunBusyError
from khata.migration.cutover import MoveError, cutover
from khata.migration.models import Act, Wave
from khata.migration.queries import state
from khata.migration.reconciling import HEADS, Line, behind, digest, last_act, reconcile
from khata.migration.rollback import Handed, handed, rollback, write_export

ACTOR = "command"
VERBS = {
    "reconcile": "the equations per division and head; 1 while one is red and not accepted",
    "cutover": "make a wave live, in one step",
    "rollback": "take a live wave back, and write what happened since for the old system",
}


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--discom", help="the company's code; needed where several have a wave of this name")
    parser.add_argument("--wave", required=True)
    parser.add_argument("--json", action="store_true", help="money in paise, energy in Wh")
    if verb == "cutover":
        parser.add_argument(
            "--at", type=clock.asked_day, required=True, help="the day of the cut-over, e.g. 2024-03-14"
        )
        parser.add_argument(
            "--window-end",
            type=clock.asked_day,
            help="the last day of the old numbers (default: to the end of six months)",
        )
        parser.add_argument(
            "--exported",
            choices=("carried", "in-files"),
            help="after a rollback: take over here what was handed back, or the new files contain it",
        )
    if verb == "rollback":
        parser.add_argument("--at", type=clock.asked_day, help="the day of the rollback (default: today)")
        parser.add_argument("--out", type=Path, help="folder for the files (default: handed-back-WAVE)")


def run(args: argparse.Namespace) -> int:
    where = f"migration {args.verb}"
    wave = asked_wave(args.discom, args.wave)
    try:
        return {"reconcile": _reconcile, "cutover": _cutover, "rollback": _rollback}[args.verb](args, wave)
    except MoveError as refused:
        raise CommandError(refused.what, where, refused.next_step) from None
    except RunBusyError as busy:
        raise CommandError(str(busy).rstrip("."), where, "Wait until it has ended, then try again") from None


# -- reconcile ---------------------------------------------------------------------------------------------------------


def _reconcile(args: argparse.Namespace, wave: Wave) -> int:
    lines = reconcile(wave)
    red = {line.about: behind(wave, line) for line in lines if line.difference}
    if args.json:
        sys.stdout.write(json.dumps(_as_record(wave, lines, red), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_as_table(wave, lines, red, colours=sys.stdout.isatty())) + "\n")
    return 1 if any(line.red for line in lines) else 0


def _as_record(wave: Wave, lines: Sequence[Line], red: dict[str, list[str]]) -> dict[str, object]:
    divisions: dict[str, dict[str, object]] = {}
    for line in lines:
        figures: dict[str, object] = {
            name: getattr(line, name) for name in ("file", "control", "migrated", "held", "ledger", "difference")
        }
        file, control, ledger = line.differences
        figures["differences"] = {
            "file_less_migrated_and_held": file,
            "file_less_control": control,
            "migrated_less_ledger": ledger,
        }
        figures["accepted"] = line.accepted
        if line.difference:
            figures |= {"accounts": red[line.about], "accept": line.about}
        divisions.setdefault(line.division_en, {})[line.head] = figures
    return {
        "discom": wave.discom.code,
        "wave": wave.code,
        "state": state(wave),
        "reconciled": not any(line.red for line in lines),
        "divisions": divisions,
    }


_TABLE = "{:<18}{:<14}" + "{:>20}" * 5 + "{:>16}  {}"
_ENERGY = ("billed_units", "readings")


def _shown(head: str, value: int | None) -> str:
    if value is None:
        return "-"
    if head == "accounts":
        return f"{'-' if value < 0 else ''}{grouped(abs(value))}"
    return f"{kwh(value)} kWh" if head in _ENERGY else rupees(value)


def _as_table(wave: Wave, lines: Sequence[Line], red: dict[str, list[str]], *, colours: bool) -> Iterator[str]:
    yield f"{wave.discom.code} {wave.code}, {state(wave)}"
    yield _TABLE.format(
        "division", "head", "file", "signed total", "migrated", "held back", "ledger", "difference", ""
    ).rstrip()
    for line in lines:
        figures = (line.file, line.control, line.migrated, line.held, line.ledger, line.difference)
        word, colour = ("not equal", 31) if line.red else ("accepted", 33) if line.accepted else ("", 32)
        text = _TABLE.format(line.division_en[:17], line.head, *(_shown(line.head, each) for each in figures), word)
        yield f"\033[{colour}m{text.rstrip()}\033[0m" if colours else text.rstrip()
        if line.difference:
            accounts = ", ".join(red[line.about])
            yield f"    {line.about}: " + (f"look at {accounts}" if accounts else "no row explains it")
    wrong = sum(line.red for line in lines)
    if wrong:
        yield f"{wrong} of {len(lines)} equations do not hold."
        yield "Next step: correct the rows behind them, or have two people accept the difference"
    else:
        yield f"All {len(lines)} equations of {len(lines) // len(HEADS)} divisions hold or are accepted."


# -- cut-over and rollback ---------------------------------------------------------------------------------------------


def _cutover(args: argparse.Namespace, wave: Wave) -> int:
    if args.at > clock.business_date():
        raise CommandError(f"{args.at} has not come yet", "--at", "Cut over on the day itself")
    act = cutover(
        wave=wave,
        at=args.at,
        actor=ACTOR,
        now=clock.now(),
        window_end=args.window_end,
        exported=args.exported,
        say=(lambda *_: None) if args.json else Steps(),
    )
    if args.json:
        sys.stdout.write(json.dumps(_of_act(wave, act) | {"digest": digest(wave)}, ensure_ascii=False) + "\n")
        return 0
    sys.stdout.write(
        f"{wave.discom.code} {wave.code} is live from {act.business_date}: "
        f"{grouped(act.details['accounts'])} accounts, {grouped(act.details['messages'])} messages queued.\n"
        f"Old numbers are honoured through {act.details['last_day']}. Digest {digest(wave)}\n"
    )
    return 0


def _of_act(wave: Wave, act: Act) -> dict[str, object]:
    return {
        "discom": wave.discom.code,
        "wave": wave.code,
        "kind": act.kind,
        "number": act.number,
        "at": str(act.business_date),
        **act.details,
    }


def _rollback(args: argparse.Namespace, wave: Wave) -> int:
    if args.at and args.at > clock.business_date():
        raise CommandError(f"{args.at} has not come yet", "--at", "Roll back on the day itself")
    again = last_act(wave, "rollback") if state(wave) == "rolled back" else None
    act = again or rollback(
        wave=wave,
        at=args.at or clock.business_date(),
        actor=ACTOR,
        now=clock.now(),
        say=(lambda *_: None) if args.json else Steps(),
    )
    folder = args.out or Path(f"handed-back-{wave.code}")
    try:
        files = write_export(wave, folder)
    except OSError as wrong:
        done = f"the wave is rolled back, but its files could not be written: {wrong.strerror}"
        raise CommandError(done, str(folder), "Repeat the command with --out and another folder") from None
    sums = handed(wave)
    if args.json:
        record = _of_act(wave, act) | {
            "repeated": again is not None,
            "files": [str(file) for file in files],
            "divisions": [{**asdict(each), "difference_paise": each.difference_paise} for each in sums],
        }
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_of_rollback(wave, act, again is not None, sums, folder, len(files))) + "\n")
    return 0


def _of_rollback(wave: Wave, act: Act, again: bool, sums: Sequence[Handed], folder: Path, files: int) -> Iterator[str]:
    name, accounts = f"{wave.discom.code} {wave.code}", grouped(act.details["accounts"])
    if again:
        yield f"{name} was rolled back already, on {act.business_date}: only its files are written again."
    else:
        yield f"{name} is rolled back: {accounts} accounts handed back."
    form = "{:<18}{:<9}" + "{:>18}" * 5 + "{:>12}"
    yield form.format("division", "head", "opening", "carried", "bills", "payments", "handed back", "difference")
    for each in sums:
        money = (each.opening_paise, each.carried_paise, each.bills_paise, each.payments_paise, each.handed_back_paise)
        yield form.format(each.name[:17], each.head, *map(rupees, money), plain_rupees(each.difference_paise))
    yield f"{files} files are in {folder}"
