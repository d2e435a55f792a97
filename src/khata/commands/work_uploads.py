"""Of `khata work`: deliveries that came in by HTTP, out of the spool into the tables, one at a time."""

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection

from khata.commands import clock
from khata.metering.models import Upload
from khata.metering.uploads import KEPT, clear_marks, load_upload, waiting

_AGAIN_SECONDS = 60  # after which one that failed by a fault of ours is tried again
_SWEEP_EVERY_SECONDS = 3600
_ORPHAN_SECONDS = 24 * 3600


class MeterData:
    """Beside the other work, because a delivery may take a minute: no code waits for it.

    A worker that dies leaves either all or nothing of a delivery behind (`load_upload`), so the next one goes on.
    """

    def __init__(self, *, tell: Callable[[str], None], wait: bool) -> None:
        self._tell, self._wait = tell, wait
        self._worker: threading.Thread | None = None
        self._failed: dict[uuid.UUID, float] = {}  # when
        self._swept = 0.0

    def __call__(self) -> None:
        if self._worker and self._worker.is_alive():
            return
        if not self._swept or time.monotonic() - self._swept > _SWEEP_EVERY_SECONDS:
            sweep(settings.KHATA_SPOOL, before=time.time() - _ORPHAN_SECONDS)
            self._swept = time.monotonic()
        due = [each for each in waiting() if time.monotonic() - self._failed.get(each.id, -1e9) > _AGAIN_SECONDS]
        if not due:
            return
        self._worker = threading.Thread(target=self._load, args=(due,), name="meter data")
        self._worker.start()
        if self._wait:
            self._worker.join()

    def _load(self, uploads: list[Upload]) -> None:
        try:
            for upload in uploads:
                try:
                    done = load_upload(upload=upload, spool=settings.KHATA_SPOOL, today=clock.business_date())
                except Exception as error:
                    self._failed[upload.id] = time.monotonic()
                    said = str(error).splitlines()[0] if str(error) else ""
                    self._tell(f"khata: work: upload {upload.id}: {type(error).__name__}: {said}. It is tried again.")
                    continue
                if done:
                    (settings.KHATA_SPOOL / str(upload.id)).unlink(missing_ok=True)
                    clear_marks(upload, settings.KHATA_SPOOL)
        finally:
            connection.close()


def sweep(spool: Path, *, before: float) -> int:
    """Throw away what lies in the spool since `before` (a time of the file system) and waits for nobody; how many."""
    if not spool.is_dir():
        return 0
    kept = {str(upload.id) for upload in waiting()}
    old = [
        path
        for path in spool.iterdir()
        if path.stem not in kept and path.suffix != KEPT and path.stat().st_mtime < before
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
