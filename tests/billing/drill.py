"""Processes that run the bills of June 2024 and may be killed at any instant: `python -m tests.billing.drill`.

It reads a line of JSON for each process that it shall fork (which spares each the second that imports take):

    database   its name
    die_in     FUNCTION:call|return:N - kill -9 itself at the N-th call of (return from) that function; or empty
    sabotage   mark-done-first: a part is marked done, in a transaction of its own, before its work
               commit-apart: a part's work is committed before the part is marked done; or empty

and answers with the process's number, `begin` when that has all it needs, what came out as JSON if it lived to say it,
and `end`.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NoReturn

import django
import psycopg
from django.db import connection, transaction

CYCLE = "2024-06"
PART_SIZE = 50


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
    django.setup()
    # lazy: Django must be set up first
    from khata.tariffs.queries import read_orders  # noqa: PLC0415
    from tests.cast import TARIFFS, Town  # noqa: PLC0415

    read_orders(TARIFFS)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            run_once(Town().run, **json.loads(line))
        say(str(process))
        os.waitpid(process, 0)
        say("end")


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def run_once(run: Callable[..., dict[str, int]], *, database: str, die_in: str, sabotage: str) -> NoReturn:
    """The life of a forked process."""
    try:
        connection.settings_dict["NAME"] = database
        if sabotage:
            {"mark-done-first": mark_done_first, "commit-apart": commit_apart}[sabotage]()
        say("begin")
        if die_in:
            die_at(*die_in.split(":"))
        began = time.monotonic()
        equation = run(CYCLE, part_size=PART_SIZE)
        say(json.dumps({"seconds": time.monotonic() - began, "equation": equation}))
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def die_at(function: str, event: str, times: str) -> None:
    left = int(times)

    def watch(frame: FrameType, happened: str, _: object) -> None:
        nonlocal left
        if happened == event and frame.f_code.co_name == function and "/khata/" in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    threading.setprofile(watch)  # parts are worked on threads


def killed(step: Callable[[], object], fault: str) -> bool:
    """A process that takes the step and kills itself at FUNCTION:EVENT:TIMES; whether it died."""
    connection.close()
    process = os.fork()
    if process == 0:
        try:
            die_at(*fault.split(":"))
            step()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def mark_done_first() -> None:
    """The first bug that a resumable run must not have: what was marked and not yet worked when it died is lost."""
    from khata.billing import operations  # noqa: PLC0415  # lazy: Django must be set up first
    from khata.jobs import operations as jobs  # noqa: PLC0415

    work = operations.work

    def marked_first(setting: object, part: object) -> dict[str, int]:
        with transaction.atomic():  # what the part's counts will be
            counts: Mapping[str, int] = work(setting, part)  # type: ignore[arg-type]
            transaction.set_rollback(True)
        info = connection.connection.info
        with psycopg.connect(host=info.host, dbname=info.dbname, user=info.user) as other:
            other.execute(
                "insert into jobs_partdone (part_id, counts) values (%s, %s)",
                [part.id, json.dumps(counts)],  # type: ignore[attr-defined]
            )
        return work(setting, part)  # type: ignore[arg-type]

    operations.work = marked_first  # type: ignore[assignment]
    jobs.finish_part = lambda **_: None  # type: ignore[assignment]


def commit_apart() -> None:
    """The second: what was worked and not yet marked when it died is done again."""
    from khata.billing import operations  # noqa: PLC0415  # lazy: Django must be set up first

    work = operations.work

    def committed(setting: object, part: object) -> dict[str, int]:
        counts = work(setting, part)  # type: ignore[arg-type]
        connection.connection.commit()
        return counts

    operations.work = committed  # type: ignore[assignment]


if __name__ == "__main__":
    main()
