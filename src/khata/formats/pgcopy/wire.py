"""What both directions of PostgreSQL's binary COPY share: the frame, the epochs, the error."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH_DAYS = 10_957  # 1970-01-01 to 2000-01-01
EPOCH_US = 946_684_800_000_000

CHUNK_BYTES = 1 << 19  # a chunk of rows stays in the processor's cache while its columns are written
ARRAY_HEADER = 20  # dimensions, flags, element type, size, lower bound

Array: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]


class CopyFormatError(ValueError):
    """Columns that cannot be sent, or bytes that are not the COPY that was asked for: what, and where."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{where}: {what}" if where else what)
        self.what = what
        self.where = where
