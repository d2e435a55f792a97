"""`khata work`: what happens behind the pages: codes and messages are sent, mobiles changed, released bills made.

It runs until it is stopped. Each step takes what waits, in transactions of its own, and does no harm twice; a step that
fails is told and tried again, and does not keep the others from their work.
"""

import argparse
import datetime as dt
import sys
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.core.management import call_command
from django.db import close_old_connections, connection

from khata.billing.release import make_released
from khata.commands import clock
from khata.commands.notices import add_backend_arguments, backend_of
from khata.commands.work_metering import LateBills, MeterNight, Scorecard
from khata.commands.work_uploads import MeterData
from khata.consumers.access import apply_changes
from khata.consumers.operations import queue_codes, queue_numbers
from khata.discoms.models import Discom
from khata.discoms.operations import forget_tries
from khata.migration.intake import reload
from khata.migration.models import Proposal, Wave
from khata.migration.queries import corrections_waiting
from khata.notices.backends import Backend
from khata.notices.operations import send_queued

EVERY_SECONDS = 1
AT_ONCE = 50  # messages in a round: codes go first in each, and must not wait long
_SESSIONS_EVERY_SECONDS = 3600
_CORRECTIONS_EVERY_SECONDS = 20

Tell = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_backend_arguments(parser)
    parser.add_argument("--once", action="store_true", help="do what waits now, then end")


def run(args: argparse.Namespace) -> int:
    work(backend=backend_of(args), once=args.once, tell=_tell, stopped=lambda: False)
    return 0


def work(*, backend: Backend, once: bool, tell: Tell, stopped: Callable[[], bool]) -> None:
    """Until `stopped` says so, or once."""
    corrections = Corrections(tell=tell, wait=once)
    steps: dict[str, Callable[[], object]] = {
        "codes": lambda: queue_codes(now=_now(), key=settings.SECRET_KEY),
        "new numbers": lambda: queue_numbers(now=_now(), today=clock.business_date()),
        "new mobiles": lambda: apply_changes(now=_now()),
        "messages": lambda: send_queued(backend=backend, key=settings.SECRET_KEY.encode(), now=_now(), limit=AT_ONCE),
        "released bills": _released,
        "corrections": corrections,
        "meter data": MeterData(tell=tell, wait=once),
        "estimates": MeterNight(tell=tell, wait=once),
        "scorecard": Scorecard(tell=tell, wait=once),
        "late days": LateBills(),
    }
    cleared, told = 0.0, dict.fromkeys(steps, "")
    while True:
        close_old_connections()
        for name, step in steps.items():
            try:
                step()
                told[name] = ""
            except Exception as error:
                said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                if told[name] != said:  # once, not twice a second
                    tell(f"khata: work: {name}: {said}. It is tried again.")
                    told[name] = said
        if time.monotonic() - cleared > _SESSIONS_EVERY_SECONDS or not cleared:
            call_command("clearsessions")
            forget_tries(now=_now())
            cleared = time.monotonic()
        if once or stopped():
            return
        time.sleep(EVERY_SECONDS)


def _released() -> None:
    for discom in Discom.objects.order_by("id"):
        make_released(discom=discom, today=clock.business_date(), actor="command")


class Corrections:
    """Applies approved corrections to waves that are not live. The rules then look at all their rows again, which may
    take a minute: beside the other work, so that no code waits for it."""

    def __init__(self, *, tell: Tell, wait: bool) -> None:
        self._tell, self._wait = tell, wait
        self._looked = 0.0
        self._worker: threading.Thread | None = None
        # The newest verdict tried of each wave: one that changes nothing leaves no load behind that would say so.
        self._tried: dict[int, object] = {}

    def __call__(self) -> None:
        if self._worker and self._worker.is_alive():
            return
        if self._looked and time.monotonic() - self._looked < _CORRECTIONS_EVERY_SECONDS:
            return
        self._looked = time.monotonic()
        waiting = [wave for wave in corrections_waiting() if self._tried.get(wave.id) != _newest_verdict(wave)]
        if not waiting:
            return
        self._worker = threading.Thread(target=self._apply, args=(waiting,), name="corrections")
        self._worker.start()
        if self._wait:
            self._worker.join()

    def _apply(self, waves: list[Wave]) -> None:
        try:
            for wave in waves:
                newest = _newest_verdict(wave)
                reload(wave=wave, today=clock.business_date(), now=clock.now(), actor="command", say=lambda *_: None)
                self._tried[wave.id] = newest
        except Exception as error:
            said = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            self._tell(f"khata: work: corrections: {said}. It is tried again.")
        finally:
            connection.close()


def _newest_verdict(wave: Wave) -> object:
    rows = Proposal.objects.filter(wave=wave, kind="correct", verdict__approved=True)
    return rows.order_by("-verdict__made_at").values_list("verdict__made_at", flat=True).first()


def _now() -> dt.datetime:
    """The real time: codes and messages do not live on the business's day."""
    return dt.datetime.now(dt.UTC)


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
