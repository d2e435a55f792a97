"""Meter days and readings on their way into batches, one by one, for readers that do not read whole columns at once."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khata.formats.meterdays import (
    ACTUAL,
    EDITED,
    ESTIMATED,
    LARGEST_BLOCK_WH,
    SUBSTITUTED,
    UNKNOWN_WH,
    Batch,
    MeterDayBatch,
    ReadingBatch,
    Refused,
    only_refused,
)
from khata.formats.meterdays_cells import HALF_HOURS, LARGEST_WHOLE, RowError, refused
from khata.formats.text import FormatError

BATCH_ROWS = 5_000
IMPOSSIBLE = "VAL-05"

# Where parts of a value come from differently, it counts as the weakest of them: the last that is there.
BY_DOUBT = (0, ACTUAL, EDITED, SUBSTITUTED, ESTIMATED)
_DOUBT = np.argsort(BY_DOUBT)
_OF_DOUBT = np.array([ACTUAL, *BY_DOUBT[1:]], np.int8)


@dataclass(slots=True)
class Row:
    """A day of a meter and channel. Blocks are 48 Wh, UNKNOWN_WH where not known.

    `total_wh` counts where a block is unknown; `origins` are of the blocks or of the total, None where all are ACTUAL.
    The rest is as in MeterDayBatch; None where it is not said.
    """

    line: int
    serial: bytes
    day: dt.date
    channel: int
    blocks: Sequence[int]
    origins: Sequence[int] | None = None
    total_wh: int = UNKNOWN_WH
    register_wh: int | None = None
    demand_w: int | None = None
    volts_dv: Sequence[int] | None = None
    current_ma: Sequence[int] | None = None
    hertz_mhz: Sequence[int] | None = None
    off: int | None = None
    drift_s: int | None = None
    multiplier: int | None = None


class Rows:
    """Collects rows and refusals, and hands them on in the order in which they came."""

    def __init__(self) -> None:
        self._days: list[Row] = []
        self._readings: list[tuple[int, bytes, dt.date, int, int]] = []
        self._refused: list[Refused] = []

    def add(self, row: Row) -> None:
        """RowError VAL-05 where a half-hour is more than can be stored."""
        at_most(max(row.blocks), LARGEST_BLOCK_WH, "the half-hour")
        self._days.append(row)

    def reading(self, line: int, serial: bytes, day: dt.date, register_wh: int, demand_w: int | None = None) -> None:
        """A register at the beginning of a day. RowError VAL-05."""
        demand = UNKNOWN_WH if demand_w is None else at_most(demand_w, LARGEST_WHOLE, "the demand")
        self._readings.append((line, serial, day, at_most(register_wh, LARGEST_WHOLE, "the register"), demand))

    def refuse(
        self,
        line: int,
        error: FormatError,
        *,
        serial: bytes = b"",
        day: dt.date | None = None,
        channel: int | None = None,
        content: str = "",
    ) -> None:
        iso = day.isoformat() if day else None
        self._refused.append(refused(error, line=line, content=content, serial=serial, day=iso, channel=channel))

    def full(self) -> Iterator[Batch]:
        """What was collected, once it is enough."""
        if max(len(self._days), len(self._readings), len(self._refused)) >= BATCH_ROWS:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """What was collected; nothing where there is nothing."""
        days, readings, wrong = self._days, self._readings, tuple(self._refused)
        self._days, self._readings, self._refused = [], [], []
        if days:
            yield _day_batch(days, wrong)
        elif wrong:
            yield only_refused(wrong)
        if readings:
            yield _reading_batch(readings)

    @property
    def has_refused(self) -> bool:
        return bool(self._refused)


def at_most(value: int, most: int, what: str) -> int:
    if value > most:
        wrong = f"{what} is more than a meter can measure"
        raise RowError(wrong, next_step="Check the unit and the scaler", rule=IMPOSSIBLE)
    return value


def _reading_batch(readings: list[tuple[int, bytes, dt.date, int, int]]) -> ReadingBatch:
    lines, serials, days, registers, demands = zip(*readings, strict=True)
    return ReadingBatch(
        np.array(lines, np.int64),
        np.array(serials, np.bytes_),
        np.array(days, "M8[D]"),
        np.array(registers, np.int64),
        np.array(demands, np.int64),
    )


def _day_batch(rows: list[Row], refused: tuple[Refused, ...]) -> MeterDayBatch:
    blocks = _matrix([row.blocks for row in rows], np.int32)
    known = blocks != UNKNOWN_WH
    given = np.array([row.total_wh for row in rows], np.int64)
    total = np.where(known.all(axis=1), blocks.sum(axis=1, dtype=np.int64), given)
    origin, origins = _origins(rows, known)
    return MeterDayBatch(
        lines=np.array([row.line for row in rows], np.int64),
        serials=np.array([row.serial for row in rows], np.bytes_),
        days=np.array([row.day for row in rows], "M8[D]"),
        blocks=blocks,
        known=known,
        total_wh=total,
        total_known=total != UNKNOWN_WH,
        channel=np.array([row.channel for row in rows], np.int8),
        origin=origin,
        origins=origins,
        register_wh=_said(rows, "register_wh", np.int64, UNKNOWN_WH),
        demand_w=_said(rows, "demand_w", np.int64, UNKNOWN_WH),
        volts_dv=_said_wide(rows, "volts_dv"),
        current_ma=_said_wide(rows, "current_ma"),
        hertz_mhz=_said_wide(rows, "hertz_mhz"),
        off=_said(rows, "off", np.int64, -1),
        drift_s=_said(rows, "drift_s", np.int32, 0),
        multiplier=_said(rows, "multiplier", np.int32, 0),
        refused=refused,
    )


def _origins(rows: list[Row], known: NDArray[np.bool_]) -> tuple[NDArray[np.int8], NDArray[np.int8] | None]:
    """Of the days, the weakest of each; and of the half-hours, None where none differs from its day."""
    if all(row.origins is None for row in rows):
        return np.full(len(rows), ACTUAL, np.int8), None
    usual = (ACTUAL,) * HALF_HOURS
    said = _matrix([row.origins or usual for row in rows], np.int8)
    origin = _OF_DOUBT[_DOUBT[said].max(axis=1)]
    said[~known] = 0
    return origin, said if ((said != origin[:, None]) & known).any() else None


def _matrix(rows: list[Sequence[int]], kind: type[np.generic]) -> NDArray[Any]:
    return np.fromiter(chain.from_iterable(rows), kind, len(rows) * HALF_HOURS).reshape(-1, HALF_HOURS)


def _said(rows: list[Row], name: str, kind: type[np.generic], unknown: int) -> NDArray[Any] | None:
    values = [getattr(row, name) for row in rows]
    if not any(value is not None for value in values):
        return None
    return np.array([unknown if value is None else value for value in values], kind)


def _said_wide(rows: list[Row], name: str) -> NDArray[np.int32] | None:
    values = [getattr(row, name) for row in rows]
    if not any(value is not None for value in values):
        return None
    unknown = (-1,) * HALF_HOURS
    return _matrix([unknown if value is None else value for value in values], np.int32)
