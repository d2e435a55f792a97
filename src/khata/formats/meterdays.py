"""What readers of meter data hand on, whatever the format: meter days and readings in batches of columns.

Block n is the energy of the half hour that ends n x 30 minutes after midnight, Indian time. A row that cannot be read
as what it says it is becomes a `Refused` beside the others; only what puts the whole file in doubt is a FormatError.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCKS = tuple(f"b{n:02d}" for n in range(1, 49))
BATCH_ROWS = 50_000
UNKNOWN_WH = -1
LONGEST_SERIAL = 40
LARGEST_BLOCK_WH = 2**31 - 1
KEPT_OF_A_ROW = 2000
MOST_BYTES = 4 << 30  # of a delivery, unpacked
CUT_OFF = "the delivery ends in the middle of a row"

# What a register counts, and where a value comes from: the numbers that metering stores.
IMPORT, EXPORT, APPARENT_IMPORT, APPARENT_EXPORT, REACTIVE_LAG, REACTIVE_LEAD = range(6)
ACTUAL, ESTIMATED, SUBSTITUTED, EDITED = 1, 2, 3, 4


@dataclass(frozen=True)
class Refused:
    """A row that could not be read as what it says it is; the rows beside it could.

    `rule` is the number of the check (VAL-nn); `content` the row as it came, cut to 2,000 characters.
    """

    line: int
    rule: str
    reason: str
    serial: str = ""
    day: dt.date | None = None
    channel: int | None = None
    content: str = ""


@dataclass(frozen=True)
class MeterDayBatch:
    """n meter days in the order of the file. Every reader of meter data hands on these.

    lines        where each stands (n,): line of a text, row of a Parquet file, entry of a document, from 1
    serials      meter numbers as ASCII 'S', blanks around them taken off (n,)
    days         datetime64[D], business days (n,)
    blocks       Wh, int32 (n, 48), UNKNOWN_WH where not known; None where the file has only days
    known        which blocks are known (n, 48); None as above
    total_wh     the day's energy, int64 (n,); UNKNOWN_WH where a block is unknown
    total_known  (n,)

    What only some formats say; None where a format never does:
    channel      int8 (n,), IMPORT ... REACTIVE_LEAD; the energies are then VAh or varh. None: all IMPORT
    origin       int8 (n,), ACTUAL ... EDITED, of the day. None: all ACTUAL
    origins      int8 (n, 48), of each block, where they differ inside a day; 0 where unknown
    register_wh  int64 (n,) at the end of the day; UNKNOWN_WH where not said
    demand_w     int64 (n,) maximum demand of the day; UNKNOWN_WH where not said
    volts_dv     int32 (n, 48) mean voltage in tenths of a volt while there was supply, -1 where not said
    current_ma   int32 (n, 48) mean current in mA, -1 where not said
    hertz_mhz    int32 (n, 48) mean frequency in mHz while there was supply, -1 where not said
    off          int64 (n,), bit n-1 set where half-hour n was without supply throughout; -1 where nobody said
    drift_s      int32 (n,) seconds by which the meter's clock was ahead when it was read; None: not said
    multiplier   int32 (n,) the multiplying factor that the sender has applied already; 0: not said

    refused      rows of this stretch of the file that could not be read
    """

    lines: NDArray[np.int64]
    serials: NDArray[np.bytes_]
    days: NDArray[np.datetime64]
    blocks: NDArray[np.int32] | None
    known: NDArray[np.bool_] | None
    total_wh: NDArray[np.int64]
    total_known: NDArray[np.bool_]
    channel: NDArray[np.int8] | None = None
    origin: NDArray[np.int8] | None = None
    origins: NDArray[np.int8] | None = None
    register_wh: NDArray[np.int64] | None = None
    demand_w: NDArray[np.int64] | None = None
    volts_dv: NDArray[np.int32] | None = None
    current_ma: NDArray[np.int32] | None = None
    hertz_mhz: NDArray[np.int32] | None = None
    off: NDArray[np.int64] | None = None
    drift_s: NDArray[np.int32] | None = None
    multiplier: NDArray[np.int32] | None = None
    refused: tuple[Refused, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def first_line(self) -> int:
        return int(self.lines[0])


@dataclass(frozen=True)
class ReadingBatch:
    """n registers read at the beginning of a day, as a billing profile has them: the demand is since the one before.

    `register_wh` is (n,) in Wh, `demand_w` (n,) in W with UNKNOWN_WH where not said; the rest as in MeterDayBatch.
    """

    lines: NDArray[np.int64]
    serials: NDArray[np.bytes_]
    days: NDArray[np.datetime64]
    register_wh: NDArray[np.int64]
    demand_w: NDArray[np.int64]
    refused: tuple[Refused, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)


Batch = MeterDayBatch | ReadingBatch


@dataclass(frozen=True)
class Columns:
    """Checked columns of a piece: energies are Wh, (n,) of whole days or (n, 48) with UNKNOWN_WH.

    `more` holds columns of MeterDayBatch that only some files have, by name.
    """

    lines: NDArray[np.int64]
    serials: NDArray[np.bytes_]
    days: NDArray[np.datetime64]
    energy_wh: NDArray[np.int64] | NDArray[np.int32]
    more: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    refused: tuple[Refused, ...] = ()


def batches(columns: Columns) -> Iterator[MeterDayBatch]:
    """Of at most BATCH_ROWS rows each; the refused rows go with the first."""
    refused = columns.refused
    for start in range(0, len(columns.lines) or bool(refused), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        energy = columns.energy_wh[part]
        blocks = known = None
        if energy.ndim == 2:
            blocks, known = energy.astype(np.int32, copy=False), energy != UNKNOWN_WH
            total_known = known.all(axis=1)
            total = np.where(total_known, energy.sum(axis=1, dtype=np.int64), UNKNOWN_WH)
        else:
            total_known, total = np.ones(len(energy), np.bool_), energy.astype(np.int64, copy=False)
        more: dict[str, Any] = {name: values[part] for name, values in columns.more.items()}
        yield MeterDayBatch(
            columns.lines[part],
            columns.serials[part],
            columns.days[part],
            blocks,
            known,
            total,
            total_known,
            refused=refused,
            **more,
        )
        refused = ()


def only_refused(refused: Iterable[Refused]) -> MeterDayBatch:
    """A batch without rows."""
    none = np.zeros(0, np.int64)
    nothing = np.zeros(0, np.bool_)
    return MeterDayBatch(
        none, none.astype("S1"), none.astype("M8[D]"), None, None, none, nothing, refused=tuple(refused)
    )
