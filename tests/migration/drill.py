"""Processes that load, cut over or roll back a wave, to be killed at any instant: `python -m tests.migration.drill`.

It reads a line of JSON for each process that it shall fork:

    database   its name
    step       load, cutover or rollback
    folder     where the files of the hand-over lie
    die_in     FUNCTION:call|return:N - kill -9 itself at the N-th call of (return from) that function; or empty
    sabotage   commit-inside: what a step has written is committed before the step has ended; or empty

and answers with the process's number, `begin`, `done` with the seconds it took if it lived to say it, and `end`.
"""

import datetime as dt
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import django
from django.db import connection

from tests.billing.drill import die_at, say

AT = dt.date(2024, 3, 14)
NOW = dt.datetime(2024, 3, 14, 4, 30, tzinfo=dt.UTC)
# Each is called in the middle of its step, after something was written.
MIDDLES = {"load": ("intake", "judge"), "cutover": ("cutover", "set_window"), "rollback": ("rollback", "set_window")}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
    django.setup()
    # lazy: Django must be set up first; and once here, not in each process
    from khata.migration import cutover, intake, rollback  # noqa: F401, PLC0415

    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            run_once(**json.loads(line))
        say(str(process))
        os.waitpid(process, 0)
        say("end")


def run_once(*, database: str, step: str, folder: str, die_in: str, sabotage: str) -> NoReturn:
    """The life of a forked process."""
    try:
        connection.settings_dict["NAME"] = database
        if sabotage:
            commit_inside(*MIDDLES[step])
        say("begin")
        if die_in:
            die_at(*die_in.split(":"))
        began = time.monotonic()
        STEPS[step](Path(folder))
        say(f"done {time.monotonic() - began}")
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def load(folder: Path) -> None:
    from tests.migration.handover import load_small  # noqa: PLC0415  # lazy: Django must be set up first

    load_small(folder)


def cutover(_: Path) -> None:
    from khata.consumers.rules import seeded_bodies  # noqa: PLC0415  # lazy: Django must be set up first
    from khata.migration.cutover import cutover as move  # noqa: PLC0415
    from khata.migration.models import Wave  # noqa: PLC0415

    move(wave=Wave.objects.get(), at=AT, actor="test", now=NOW, draw=seeded_bodies(7))


def rollback(_: Path) -> None:
    from khata.migration.models import Wave  # noqa: PLC0415  # lazy: Django must be set up first
    from khata.migration.rollback import rollback as take_back  # noqa: PLC0415

    take_back(wave=Wave.objects.get(), at=AT, actor="test", now=NOW)


STEPS: dict[str, Callable[[Path], None]] = {"load": load, "cutover": cutover, "rollback": rollback}


def commit_inside(module_name: str, function: str) -> None:
    """The bug that a step of one transaction must not have."""
    import importlib  # noqa: PLC0415  # lazy: Django must be set up first

    module = importlib.import_module(f"khata.migration.{module_name}")
    real = getattr(module, function)

    def committed(*args: object, **options: object) -> object:
        connection.connection.commit()
        return real(*args, **options)

    setattr(module, function, committed)


if __name__ == "__main__":
    main()
