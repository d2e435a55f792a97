"""`khata demo legacy`: the hand-over files of a synthetic company, and the answer key to what is wrong in them."""

import argparse
import json
import os
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from django.conf import settings

from khata.commands.errors import CommandError
from khata.commands.steps import Steps
from khata.discoms.queries import COMPANIES
from khata.display.money import grouped
from khata.rehearsal.handover import (
    FEWEST,
    KEY,
    MOST,
    MOST_PERMILLE,
    PARALLEL_KEY,
    Handover,
    divisions_of,
    latin_of,
    write_handover,
)
from khata.rehearsal.kanpur import DISCOM
from khata.rehearsal.town import draw_town

SUMMARY = "hand-over files as an old system leaves them, with planted flaws and their answer key"
_WHERE, _ANOTHER = "demo legacy", "Give another --accounts"
_ACCOUNTS, _DIRT, _SEED = 5_000, "1%", 20_240_314


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accounts", type=int, default=_ACCOUNTS, help=f"how many, default {_ACCOUNTS}")
    parser.add_argument(
        "--dirt", default=_DIRT, metavar="SHARE", help=f"how many of the accounts get a flaw, default {_DIRT}%"
    )
    parser.add_argument("--seed", type=int, default=_SEED, help="another seed gives another company")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files, new or empty")
    parser.add_argument("--json", action="store_true", help="what was written, as JSON")


def run(args: argparse.Namespace) -> int:
    permille = _permille(args.dirt)
    if not FEWEST <= args.accounts <= MOST:
        raise CommandError(f"a company has {FEWEST} to {MOST} accounts here, not {args.accounts}", _WHERE, _ANOTHER)
    if args.seed < 0:
        raise CommandError(f"a seed is 0 or more, not {args.seed}", _WHERE, "Give another --seed")
    made = _written(args.out, args.accounts, permille, args.seed)
    sys.stdout.write(json.dumps(asdict(made)) + "\n" if args.json else _told(made, args.out))
    return 0


def _permille(text: str) -> int:
    found = re.fullmatch(r"(\d{1,2})(?:\.(\d))? ?%|0", text, re.ASCII)
    permille = int(found[1] or 0) * 10 + int(found[2] or 0) if found else -1
    if not 0 <= permille <= MOST_PERMILLE:
        most = MOST_PERMILLE // 10
        raise CommandError(f"{text!r} is not a share of 0% to {most}%", _WHERE, "Write --dirt as 1% or 0.5%")
    return permille


def _written(out: Path, accounts: int, permille: int, seed: int) -> Handover:
    """The whole folder or nothing: it gets its name when all files are written."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandError("there is something already", str(out), "Name a folder that is new or empty")
    draft = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}.part")
    divisions, steps = divisions_of(COMPANIES, DISCOM), Steps()
    try:
        draft.mkdir()
    except OSError as error:
        raise CommandError(error.strerror or str(error), str(out), "Name a folder that can be made") from None
    try:
        steps("people, meters, last bills", 0, accounts)
        town = draw_town(
            accounts=accounts,
            seed=seed,
            divisions=[name for _, name in divisions],
            discom=DISCOM,
            tariffs=settings.KHATA_TARIFFS,
            latin=latin_of(divisions),
        )
        steps("people, meters, last bills", accounts, accounts)
        made = write_handover(
            out=draft,
            discom=DISCOM,
            divisions=divisions,
            town=town,
            dirt_permille=permille,
            seed=seed,
            say=steps,
        )
        os.replace(draft, out.absolute())
    except BaseException:
        steps.stop()
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return made


def _told(made: Handover, out: Path) -> str:
    lines = [
        f"{out}: {grouped(made.accounts)} accounts in {made.divisions} divisions, all synthetic",
        "rows: " + ", ".join(f"{kind} {grouped(count)}" for kind, count in made.rows.items()),
        f"{KEY}: {grouped(sum(made.planted.values()))} rows to be found",
        *(f"  {rule}  {grouped(count)}" for rule, count in made.planted.items()),
        f"{PARALLEL_KEY}: bills that are not what the orders say",
        *(f"  {name}  {grouped(count)}" for name, count in made.parallel.items()),
    ]
    return "".join(f"{line}\n" for line in lines)
