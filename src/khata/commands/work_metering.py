"""Of `khata work`: once a business day what is missing is estimated, what is usual of each meter made anew, and what is
owed counted, the last days of it again after deliveries. Whoever was held unread is billed as soon as days or readings
come."""

import datetime as dt
import threading
import time
from collections.abc import Callable

from django.db import connection

from khata.billing.late_days import bill_late
from khata.commands import clock
from khata.discoms.models import Discom
from khata.metering.estimating import estimate
from khata.metering.kept import KEPT_DAYS, LATEST_DAYS, keep_scorecard, scorecard_made
from khata.metering.models import Usual
from khata.metering.nightly import make_usual, note_copies
from khata.metering.queries import newest_delivery

_AGAIN_SECONDS = 300  # after work that failed
_READINGS_EVERY_SECONDS = 300
_LOOK_SECONDS = 60
_SCORECARD_EVERY = dt.timedelta(minutes=30)  # at most; a count of 7 lakh meters takes a minute
_WAIT = dt.timedelta(days=1)  # yesterday's days are on their way; what is older and missing is owed


class MeterNight:
    """Beside the other work, because it may take minutes. The list of what is usual is made last, and so says that the
    night's work of a day is done, also to a process that is started later."""

    def __init__(self, *, tell: Callable[[str], None], wait: bool) -> None:
        self._tell, self._wait = tell, wait
        self._worker: threading.Thread | None = None
        self._done: dt.date | None = None
        self._failed = 0.0

    def __call__(self) -> None:
        today = clock.business_date()
        if self._done == today or (self._worker and self._worker.is_alive()):
            return
        if self._failed and time.monotonic() - self._failed < _AGAIN_SECONDS:
            return
        if Usual.objects.filter(made_on=today).exists():
            self._done = today
            return
        self._worker = threading.Thread(target=self._make, args=(today,), name="meter night")
        self._worker.start()
        if self._wait:
            self._worker.join()

    def _make(self, today: dt.date) -> None:
        try:
            estimate(discom=None, until=today - _WAIT, today=today)
            note_copies()
            keep_scorecard(today=today, now=clock.now(), days=KEPT_DAYS)
            make_usual(today=today)
            self._done = today
        except Exception as error:
            self._failed = time.monotonic()
            said = str(error).splitlines()[0] if str(error) else ""
            self._tell(f"khata: work: estimates: {type(error).__name__}: {said}. It is tried again.")
        finally:
            connection.close()


class Scorecard:
    """The last days of the officers' scorecard again, some time after deliveries have come. Beside the other work."""

    def __init__(self, *, tell: Callable[[str], None], wait: bool) -> None:
        self._tell, self._wait = tell, wait
        self._worker: threading.Thread | None = None
        self._looked = 0.0
        self._failed = 0.0

    def __call__(self) -> None:
        if self._worker and self._worker.is_alive():
            return
        if self._failed and time.monotonic() - self._failed < _AGAIN_SECONDS:
            return
        if self._looked and time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked, made = time.monotonic(), scorecard_made()
        if made and made.delivery == newest_delivery():
            return
        if made and not self._wait and clock.now() - made.made_at < _SCORECARD_EVERY:
            return
        days = LATEST_DAYS if made else KEPT_DAYS
        self._worker = threading.Thread(target=self._keep, args=(days,), name="scorecard")
        self._worker.start()
        if self._wait:
            self._worker.join()

    def _keep(self, days: int) -> None:
        try:
            keep_scorecard(today=clock.business_date(), now=clock.now(), days=days)
            self._failed = 0.0
        except Exception as error:
            self._failed = time.monotonic()
            said = str(error).splitlines()[0] if str(error) else ""
            self._tell(f"khata: work: scorecard: {type(error).__name__}: {said}. It is tried again.")
        finally:
            connection.close()


class LateBills:
    """Looks when a delivery has come since it last looked; and every few minutes, because a reading that staff enter is
    of no delivery."""

    def __init__(self) -> None:
        self._seen = -1
        self._looked = 0.0

    def __call__(self) -> None:
        newest = newest_delivery()
        if newest == self._seen and time.monotonic() - self._looked < _READINGS_EVERY_SECONDS:
            return
        self._looked = time.monotonic()
        for discom in Discom.objects.order_by("id"):
            bill_late(discom=discom, today=clock.business_date(), actor="command")
        self._seen = newest
