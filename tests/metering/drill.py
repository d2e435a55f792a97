"""Processes that receive one delivery, to be killed at any instant: `python -m tests.metering.drill`.

It reads a line of JSON for each process that it shall fork:

    database   its name
    die_at     kill -9 itself at this call of a function of Khata, counted from the beginning of the load; 0: live
    sabotage   each part is committed when it is stored, before the delivery has ended

and answers with the process's number, with `calls` and how many there were if it lived to say it, and with `end`.
"""

import json
import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Any, NoReturn

import django
from django.db import connection

from tests.billing.drill import say


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
    django.setup()
    # lazy: Django must be set up first; and once here, not in each process
    from khata.metering.rules import read_rules  # noqa: PLC0415
    from tests.metering import drill_delivery  # noqa: F401, PLC0415

    read_rules()
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            run_once(**json.loads(line))
        say(str(process))
        os.waitpid(process, 0)
        say("end")


def run_once(*, database: str, die_at: int, sabotage: bool) -> NoReturn:
    """The life of a forked process."""
    from tests.metering.drill_delivery import load  # noqa: PLC0415  # lazy: Django must be set up first

    calls = 0

    def watch(frame: FrameType, happened: str, _: object) -> None:
        nonlocal calls
        if happened == "call" and "/khata/" in frame.f_code.co_filename:
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        connection.settings_dict["NAME"] = database
        if sabotage:
            commit_inside()
        connection.ensure_connection()
        threading.setprofile(watch)  # reading and storing go on in threads
        sys.setprofile(watch)
        load()
        sys.setprofile(None)
        say(f"calls {calls}")
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def commit_inside() -> None:
    """The bug that a load of one transaction must not have: each part is committed when it is stored."""
    from khata.metering import storing  # noqa: PLC0415  # lazy: Django must be set up first

    real = storing.copy_revisions

    def committed(session: Any, ready: tuple[str, bytes]) -> None:
        real(session, ready)
        session.commit()

    storing.copy_revisions = committed


if __name__ == "__main__":
    main()
