"""Meter data by HTTP: a delivery is laid down as it comes and noted; a worker stores it, and its sender asks how."""

import base64
import binascii
import contextlib
import datetime as dt
import re
import threading
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field, WithJsonSchema

from khata.api.answers import Answer
from khata.api.problems import ProblemError, no_credential, not_there, told, too_many
from khata.api.spool import CutOffError, LaidDown, TooLargeError, TooSlowError, has_room, lay_down
from khata.discoms.operations import within
from khata.discoms.rules import limit_key
from khata.display.labels import Language
from khata.formats.container import FORMS
from khata.formats.text import plain_name
from khata.metering.rules import read_rules
from khata.metering.senders import credential_hash
from khata.metering.uploads import (
    Credential,
    FullError,
    SeenUpload,
    Waiting,
    note_upload,
    sender_with,
    upload_seen,
    waiting_of,
)

router = Router(tags=["meter data"])
PREFIX = "/api/v1/meter-data/"
UPLOADS, LOOKS, WRONG, SECONDS = 240, 2400, 30, 15 * 60  # of one sender, and tries of one address
WAIT_SECONDS, MIB = 600, 1 << 20
AT_ONCE = 2  # of the four threads of a process: the others answer consumers
SENDING: set[int] = set()
_ENTERING = threading.Lock()
# A form that does not name its meter needs a person who does.
TAKEN = {name.replace(" ", "-"): name for name, form in FORMS.items() if not form.serial}
_KEY = re.compile(r"[!-~]{1,64}", re.ASCII)
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):", re.ASCII)
_BEARER: dict[str, Any] = {"security": [{"credential": []}]}

Form = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(TAKEN)})]
UploadId = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]


class Failed(Answer):
    """Rows in quarantine by one check, and who has to act."""

    rule: str
    title: str
    owner: Literal["sender", "division", "metering"]
    count: int
    lines: Annotated[list[int], Field(description="the first of them")]
    reason: str
    next: str


class Noted(Answer):
    rule: str
    title: str
    count: int


class Delivered(Answer):
    """rows = accepted + repeated + superseding + quarantined"""

    delivery: int
    rows: int
    accepted: int
    repeated: int
    superseding: int
    quarantined: int
    failed: list[Failed]
    noted: list[Noted]


class Refusal(Answer):
    what: str
    where: str
    next: str


class Upload(Answer):
    id: uuid.UUID
    state: Literal["waiting", "loaded", "refused"]
    received_at: dt.datetime
    form: str
    name: str
    sha256: str
    size: int
    done_at: dt.datetime | None
    delivery: Delivered | None
    refusal: Refusal | None


# -- who sends ---------------------------------------------------------------------------------------------------------


def sender_of(request: HttpRequest) -> Credential | None:
    """Whose credential the request carries. For the guard, before any page is chosen."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return sender_with(hash=credential_hash(credential.strip()))


def refused(address: str) -> ProblemError:
    """What whoever has no credential is told; after too many tries from one address only that they are too many."""
    key = limit_key(f"credential:{address}", secret=settings.SECRET_KEY)
    tried = within(key=key, most=WRONG, seconds=SECONDS, now=dt.datetime.now(dt.UTC))
    return no_credential() if tried else too_many(SECONDS)


def _credential(request: HttpRequest, what: str, most: int) -> Credential:
    asked: Any = request
    known: Credential = asked.who.sender
    key = limit_key(f"{what}:{known.sender}", secret=settings.SECRET_KEY)
    if not within(key=key, most=most, seconds=SECONDS, now=dt.datetime.now(dt.UTC)):
        raise too_many(SECONDS)
    return known


# -- taking a delivery -------------------------------------------------------------------------------------------------

_HEADERS: list[dict[str, Any]] = [
    {
        "in": "header",
        "name": "Idempotency-Key",
        "required": False,
        "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
        "description": "the same key again, with the same bytes, is the same upload, whatever became of it",
    },
    {
        "in": "header",
        "name": "Content-Digest",
        "required": False,
        "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
        "description": "required of a body without Content-Length: only so can it be seen that none of it is missing",
    },
]


@router.post(
    "/meter-data/{form}",
    response={200: Upload, 202: Upload},
    url_name="send",
    openapi_extra=told(400, 401, 408, 409, 411, 413, 415, 422, 429, 503)
    | _BEARER
    | {
        "parameters": _HEADERS,
        "requestBody": {
            "required": True,
            "description": "the delivery as it is, or packed with gzip; never more than the limit of the installation",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
def send(
    request: HttpRequest,
    response: HttpResponse,
    form: Form,
    name: Annotated[str, Query(max_length=200, description="of the file, as lists of deliveries show it")] = "",
) -> Status[Any]:
    """Take a delivery: 202, and at `Location` what becomes of it; 200 where it is there already. 429 with `Retry-After`
    where you send too often (`too-many`), or as many of your deliveries wait to be stored as may (`waiting`).
    """
    known = _credential(request, "upload", UPLOADS)
    length, key = _checked(request, form), _key(request)
    _may_wait(known, key, length or 0)
    with _slot(known.sender):
        laid = _laid_down(request, length)
    try:
        noted = note_upload(
            credential=known,
            upload=laid.id,
            form=TAKEN[form],
            name=plain_name(name),
            sha256=laid.sha256,
            size=laid.size,
            key=key,
        )
    except BaseException as failed:
        laid.path.unlink()
        if isinstance(failed, FullError):  # by what came in elsewhere meanwhile
            raise _full(failed.waiting) from None
        raise
    if noted is None or not noted.made:
        laid.path.unlink()
    if noted is None:
        raise no_credential()
    if noted.differs:
        wrong = _("this key came with other bytes, or another form, before")
        raise ProblemError(409, "key-used", wrong, "Idempotency-Key", _("Take a new key for a new delivery"))
    seen = upload_seen(credential=known, upload=noted.id)
    if seen is None:
        raise no_credential()
    response["Location"] = f"{PREFIX}uploads/{noted.id}"
    return Status(202 if noted.made else 200, _told(noted.id, seen))


@contextlib.contextmanager
def _slot(sender: int) -> Iterator[None]:
    """One of each sender, so that none keeps the others out by a body that stands still."""
    with _ENTERING:
        if sender in SENDING or len(SENDING) >= AT_ONCE:
            mine = sender in SENDING
            raise _later(
                _("a delivery of yours is just coming in") if mine else _("other deliveries are just coming in")
            )
        SENDING.add(sender)
    try:
        yield
    finally:
        SENDING.discard(sender)


def _checked(request: HttpRequest, form: str) -> int | None:
    """The length that was said; None where the body comes in chunks, whose digest must then be said."""
    if form not in TAKEN:
        wrong = _("this form is not known, or not taken by HTTP")
        raise ProblemError(
            415, "form", wrong, "address", _("Say one of: %(forms)s") % {"forms": ", ".join(sorted(TAKEN))}
        )
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        wrong = _("the body is packed in another way than gzip")
        raise ProblemError(415, "encoding", wrong, "Content-Encoding", _("Pack it with gzip, or not at all"))
    said = request.META.get("CONTENT_LENGTH") or ""
    if not said and "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        raise ProblemError(400, "empty", _("there is no body"), "body", _("Send the delivery as the body"))
    if said and int(said) > settings.KHATA_MOST_UPLOAD_BYTES:
        raise _too_large()
    if said == "0":
        raise ProblemError(400, "empty", _("the body is empty"), "body", _("Check that the export finished"))
    if not said and "Content-Digest" not in request.headers:
        wrong = _("the body comes in chunks, and nothing says where it ends")
        raise ProblemError(
            411, "length", wrong, "Content-Digest", _("Say Content-Length, or Content-Digest with sha-256")
        )
    if not has_room(settings.KHATA_SPOOL, most=settings.KHATA_MOST_UPLOAD_BYTES):
        raise _later(_("there is no room for another delivery"))
    return int(said) if said else None


def _may_wait(known: Credential, key: str, size: int) -> None:
    """Looked at before the body, so that none comes for nothing; counted for good when it is noted."""
    now = waiting_of(credential=known, key=key, size=size)
    if now and now.full:
        raise _full(now)


def _full(now: Waiting) -> ProblemError:
    wrong = _(
        "%(uploads)s deliveries of yours, %(size)s MiB together, wait to be stored already; at most %(most)s may, or"
        " %(most_size)s MiB"
    ) % {
        "uploads": f"{now.uploads:,}",
        "size": f"{now.bytes / MIB:,.1f}",
        "most": f"{now.most:,}",
        "most_size": f"{now.most_bytes / MIB:,.1f}",
    }
    next_step = _("Send it again when some are stored: see %(address)s of the oldest, or try in ten minutes")
    next_step %= {"address": f"{PREFIX}uploads/ID"}
    return ProblemError(429, "waiting", wrong, "spool", next_step, headers={"Retry-After": str(WAIT_SECONDS)})


def _key(request: HttpRequest) -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not _KEY.fullmatch(key):
        wrong = _("the key is empty, longer than 64 characters, or has blanks in it")
        raise ProblemError(400, "key", wrong, "Idempotency-Key", _("Take a shorter one, a UUID for example"))
    return key


def _laid_down(request: HttpRequest, length: int | None) -> LaidDown:
    try:
        return lay_down(
            request.META["wsgi.input"],
            spool=settings.KHATA_SPOOL,
            most=settings.KHATA_MOST_UPLOAD_BYTES,
            length=length,
            sha256=_digest(request),
        )
    except TooLargeError:
        raise _too_large() from None
    except TooSlowError:
        wrong = _("the body came too slowly; nothing of it was kept")
        raise ProblemError(
            408, "slow", wrong, "body", _("Pack it with gzip, or send it in parts, a day each")
        ) from None
    except (CutOffError, ConnectionError):
        wrong = _("the body ends before its end, or is not what its digest says; nothing of it was kept")
        raise ProblemError(400, "cut-off", wrong, "body", _("Send it again, whole")) from None


def _digest(request: HttpRequest) -> str | None:
    said = request.headers.get("Content-Digest")
    if said is None:
        return None
    found = _DIGEST.fullmatch(said.strip())
    try:
        return base64.b64decode(found[1], validate=True).hex() if found else _no_digest()
    except binascii.Error:
        return _no_digest()


def _no_digest() -> str:
    wrong = _("this is no digest that we know")
    raise ProblemError(400, "digest", wrong, "Content-Digest", _("Write it like sha-256=:…: with the hash in base64"))


def _too_large() -> ProblemError:
    wrong = _("the body has more than %(most)s MiB; nothing of it was kept")
    wrong %= {"most": settings.KHATA_MOST_UPLOAD_BYTES >> 20}
    return ProblemError(413, "too-large", wrong, "body", _("Pack it with gzip, or send it in parts, a day each"))


def _later(why: str) -> ProblemError:
    return ProblemError(503, "later", why, next_step=_("Try again in a minute"), headers={"Retry-After": "60"})


# -- what became of it -------------------------------------------------------------------------------------------------


@router.get(
    "/meter-data/uploads/{upload}",
    response=Upload,
    url_name="upload",
    openapi_extra=told(401, 404, 422, 429) | _BEARER,
)
def uploaded(request: HttpRequest, upload: UploadId) -> dict[str, Any]:
    """Waiting, loaded with every row accounted for, or refused as a whole."""
    known = _credential(request, "look", LOOKS)
    try:
        identity = uuid.UUID(upload)
    except ValueError:
        raise not_there() from None
    seen = upload_seen(credential=known, upload=identity)
    if seen is None:
        raise not_there()
    return _told(identity, seen)


def _told(identity: uuid.UUID, seen: SeenUpload) -> dict[str, Any]:
    state = "waiting" if seen.done_at is None else "loaded" if seen.delivery is not None else "refused"
    return {
        "id": identity,
        "state": state,
        "received_at": seen.received_at,
        "form": seen.form.replace(" ", "-"),
        "name": seen.name,
        "sha256": seen.sha256,
        "size": seen.size,
        "done_at": seen.done_at,
        "delivery": _delivered(seen) if seen.delivery is not None else None,
        "refusal": seen.refusal,
    }


def _delivered(seen: SeenUpload) -> dict[str, Any]:
    """Of bytes that had been received before every row is repeated, and nothing was left to be judged."""
    rules = read_rules()
    language: Language = "hi" if get_language() == "hi" else "en"
    counts = {name: getattr(seen, name) for name in ("rows", "accepted", "repeated", "superseding", "quarantined")}
    if seen.before:
        counts |= {"accepted": 0, "repeated": seen.rows, "superseding": 0}
    failed = [
        each | {"title": rules.title(each["rule"], language), "next": rules.next_step(each["rule"], language)}
        for each in seen.failed
    ]
    noted = [each | {"title": rules.title(each["rule"], language)} for each in seen.noted]
    return {"delivery": seen.delivery, **counts, "failed": failed, "noted": [] if seen.before else noted}
