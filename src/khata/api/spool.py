"""Lays a body down in the spool while it comes in: of any length, never held in memory, whole or not at all."""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 16
SECONDS, BYTES_A_SECOND = 60, 1 << 18  # that a body may take: so many at least, and one more for so many bytes


class TooLargeError(Exception):
    """It has more bytes than are taken."""


class CutOffError(Exception):
    """It ended before its end, or is not what its digest says."""


class TooSlowError(Exception):
    """It comes so slowly that it would keep a thread from others."""


@dataclass(frozen=True)
class LaidDown:
    """A file of the spool under the name `id`; hash and size are of the bytes as they came."""

    id: uuid.UUID
    path: Path
    sha256: str
    size: int


def lay_down(body: BinaryIO, *, spool: Path, most: int, length: int | None, sha256: str | None) -> LaidDown:
    """`length` and `sha256` as the sender said them, None where it did not. Nothing is left of a body that raises:
    TooLargeError, CutOffError, TooSlowError, or OSError of a body that breaks off.
    """
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = uuid.uuid4()
    part, path = spool / f"{identity}.part", spool / str(identity)
    digest, size = hashlib.sha256(), 0
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for data in _timely(body, length):
                size += len(data)
                if size > most:
                    raise TooLargeError
                digest.update(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if (length is not None and size != length) or sha256 not in (None, digest.hexdigest()):
            raise CutOffError
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return LaidDown(identity, path, digest.hexdigest(), size)


def _timely(body: BinaryIO, length: int | None) -> Iterator[bytes]:
    """A body's chunks, as long as they come fast enough. A read waits for its last byte, however slowly it trickles, so
    another thread waits for it: left alone it ends with the connection, which the answer closes.
    """
    reader, began, size = ThreadPoolExecutor(1, "body"), time.monotonic(), 0
    try:
        while True:
            left = began + SECONDS + size // BYTES_A_SECOND - time.monotonic()
            reading = reader.submit(body.read, CHUNK if length is None else min(CHUNK, length - size))
            data = reading.result(max(left, 0))
            if left < 0:
                raise TooSlowError
            if not data:
                return
            size += len(data)
            yield data
    except TimeoutError:
        raise TooSlowError from None
    finally:
        reader.shutdown(wait=False)


def has_room(spool: Path, *, most: int) -> bool:
    """Whether another body of the largest size fits, and as much again for everything else on that disk."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    return shutil.disk_usage(spool).free > 2 * most
