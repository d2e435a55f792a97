"""Deliveries that come in by the network: noted by the web, with a credential as proof, and stored by a worker."""

import datetime as dt
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction

from khata.formats.container import open_delivery
from khata.formats.text import FormatError
from khata.metering.intake import receive
from khata.metering.models import Upload, UploadDone

KEPT = ".kept"
TRIES = 3  # of one upload, by faults of ours or processes that it killed


@dataclass(frozen=True)
class Credential:
    """A sender that has proven itself by the hash of its credential."""

    hash: str
    sender: int
    code: str


def sender_with(*, hash: str) -> Credential | None:
    """None for a credential of nobody and for one of a sender that is closed: by the same question."""
    with connection.cursor() as cursor:
        cursor.execute("select id, code from khata.sender_with(%s)", [hash])
        row = cursor.fetchone()
    return Credential(hash, *row) if row else None


@dataclass(frozen=True)
class Noted:
    """The upload under which the bytes are known; not `made` now, or even of a key whose bytes were others."""

    id: uuid.UUID
    made: bool
    differs: bool


@dataclass(frozen=True)
class Waiting:
    """What of a sender waits for a worker, how much of it may, and whether what comes now may not wait beside it."""

    uploads: int
    bytes: int
    most: int
    most_bytes: int
    full: bool


def waiting_of(*, credential: Credential, key: str, size: int) -> Waiting | None:
    """Before an upload of `size` bytes. None if the sender was closed meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("select * from khata.uploads_waiting(%s, %s, %s)", [credential.hash, key, size])
        row = cursor.fetchone()
    return Waiting(*row) if row else None


class FullError(Exception):
    """As much of a sender waits as may: `waiting`."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__("full")
        self.waiting = waiting


def note_upload(
    *, credential: Credential, upload: uuid.UUID, form: str, name: str, sha256: str, size: int, key: str
) -> Noted | None:
    """Write down that a file lies in the spool under the name `upload`. The same key, and the same bytes as long as
    there is nothing in them to be judged again, are the upload that is there already. None if the sender was closed
    meanwhile. Raises FullError, and nothing is noted.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select * from khata.note_upload(%s, %s, %s, %s, %s, %s, %s)",
            [credential.hash, upload, form, name, sha256, size, key],
        )
        row = cursor.fetchone()
    if row and row[0] is None:
        waits = waiting_of(credential=credential, key=key, size=size)
        if waits is None:
            return None
        raise FullError(waits)
    return Noted(*row) if row else None


@dataclass(frozen=True)
class SeenUpload:
    """An upload and what became of it. Of what is not known yet None; `before`: its bytes had been received before."""

    received_at: dt.datetime
    form: str
    name: str
    sha256: str
    size: int
    done_at: dt.datetime | None
    refusal: dict[str, str] | None
    delivery: int | None
    before: bool | None
    rows: int | None
    accepted: int | None
    repeated: int | None
    superseding: int | None
    quarantined: int | None
    failed: list[dict[str, Any]]
    noted: list[dict[str, Any]]


def upload_seen(*, credential: Credential, upload: uuid.UUID) -> SeenUpload | None:
    """None where there is none of this sender."""
    with connection.cursor() as cursor:
        cursor.execute("select * from khata.upload_seen(%s, %s)", [credential.hash, upload])
        row = cursor.fetchone()
    if row is None:
        return None
    columns = list(row)
    for at in (6, -2, -1):  # Django's cursor hands jsonb on as text
        columns[at] = json.loads(columns[at]) if isinstance(columns[at], str) else columns[at]
    return SeenUpload(*columns)


# -- by the worker -----------------------------------------------------------------------------------------------------


def waiting() -> list[Upload]:
    """Uploads of which nothing has become yet, oldest first."""
    return list(
        Upload.objects.select_related("sender").filter(uploadwaiting__isnull=False).order_by("received_at", "id")
    )


def load_upload(*, upload: Upload, spool: Path, today: dt.date) -> UploadDone | None:
    """Store what lies in the spool, and that it is done: in one transaction, so that a worker that dies leaves both or
    neither behind. A file that cannot be read is refused, as is one at which TRIES attempts failed. None where another
    worker has it.
    """
    begun: Path | None = None
    try:
        with transaction.atomic():
            if not _turn(upload):
                return None
            begun = _begin_attempt(upload, spool)
            if begun is None:
                return _give_up(upload, spool)
            with (spool / str(upload.id)).open("rb") as file:
                opened = open_delivery(file, size=upload.size, form=upload.form, name=upload.name)
                received = receive(
                    sender=upload.sender.code,
                    sha256=upload.sha256,
                    form=opened.form,
                    name=upload.name,
                    size=upload.size,
                    batches=opened.batches,
                    today=today,
                    own_only=True,
                )
            return UploadDone.objects.create(upload=upload, delivery=received.delivery)
    except FormatError as refused:
        refusal = {"what": refused.what, "where": refused.place, "next": refused.next_step}
    except (OperationalError, InterfaceError):  # the database is away: the file is not to blame
        if begun:
            begun.unlink(missing_ok=True)
        raise
    except FileNotFoundError:
        refusal = {"what": "the file was lost before it could be stored", "where": "spool", "next": "Send it again"}
    return _refuse(upload, refusal)


def _begin_attempt(upload: Upload, spool: Path) -> Path | None:
    """Leave a mark beside the file that outlives this process, whatever the file does to it. None after TRIES."""
    for number in range(1, TRIES + 1):
        mark = spool / f"{upload.id}.tried-{number}"
        try:
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        except FileNotFoundError:  # there is no spool, so the file is lost too
            return mark
        folder = os.open(spool, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return mark
    return None


def _give_up(upload: Upload, spool: Path) -> UploadDone:
    """Refused; the file stays under another name, which nobody sweeps away."""
    path = spool / str(upload.id)
    if path.exists():
        path.rename(path.with_suffix(KEPT))
    what = f"a fault of ours, after {TRIES} attempts; it has the number {upload.id}, and the file is kept for engineers"
    refusal = {"what": what, "where": upload.name or "body", "next": "Tell the metering office this number"}
    return UploadDone.objects.create(upload=upload, refusal=refusal)


def clear_marks(upload: Upload, spool: Path) -> None:
    """Of an upload that is done."""
    for number in range(1, TRIES + 1):
        (spool / f"{upload.id}.tried-{number}").unlink(missing_ok=True)


@transaction.atomic
def _refuse(upload: Upload, refusal: dict[str, str]) -> UploadDone | None:
    return UploadDone.objects.create(upload=upload, refusal=refusal) if _turn(upload) else None


def _turn(upload: Upload) -> bool:
    """Whether it is ours until the transaction ends, and nothing has become of it yet."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"metering.upload:{upload.id}"])
        row = cursor.fetchone()
    return bool(row and row[0]) and not UploadDone.objects.filter(upload=upload).exists()
