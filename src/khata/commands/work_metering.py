"""Of `khata work`: once a business day what is missing is estimated and what is usual of each meter made anew; and
whoever was held unread is billed as soon as days come."""

import datetime as dt
import threading
import time
from collections.abc import Callable

from django.db import connection

from khata.billing.late_days import bill_late
from khata.commands import clock
from khata.discoms.models import Discom
from khata.metering.estimating import estimate
from khata.metering.models import Usual
from khata.metering.operations import make_usual
from khata.metering.queries import newest_delivery

_AGAIN_SECONDS = 300  # after a night's work that failed
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
            make_usual(today=today)
            self._done = today
        except Exception as error:
            self._failed = time.monotonic()
            said = str(error).splitlines()[0] if str(error) else ""
            self._tell(f"khata: work: estimates: {type(error).__name__}: {said}. It is tried again.")
        finally:
            connection.close()


class LateBills:
    """Looks when a delivery has come since it last looked."""

    def __init__(self) -> None:
        self._seen = -1

    def __call__(self) -> None:
        newest = newest_delivery()
        if newest == self._seen:
            return
        for discom in Discom.objects.order_by("id"):
            bill_late(discom=discom, today=clock.business_date(), actor="command")
        self._seen = newest
