"""Meter days and readings as a reader hands them on, said row by row."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from khata.formats.meterdays import ACTUAL, IMPORT, Batch, MeterDayBatch, ReadingBatch, Refused
from khata.metering.intake import Received, receive

TODAY = dt.date(2024, 6, 10)
UNKNOWN = -1


@dataclass(frozen=True)
class Said:
    """One row; half-hours None: unknown."""

    serial: str
    day: str
    blocks: Sequence[int | None] | None = None
    total: int | None = None
    register: int = UNKNOWN
    demand: int = UNKNOWN
    channel: int = IMPORT
    origin: int = ACTUAL
    off: int = UNKNOWN


def batch(rows: Sequence[Said], *, first_line: int = 1, refused: tuple[Refused, ...] = ()) -> MeterDayBatch:
    def number(name: str, kind: type[np.generic] = np.int64) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], kind)

    cells = [[UNKNOWN if wh is None else wh for wh in row.blocks or [None] * 48] for row in rows]
    blocks = np.array(cells, np.int32).reshape(len(rows), 48)
    known = blocks >= 0
    sums = np.where(known.all(axis=1), blocks.sum(axis=1, dtype=np.int64), UNKNOWN)
    given = np.array([UNKNOWN if row.total is None else row.total for row in rows], np.int64)
    total = np.where(given >= 0, given, sums)
    with_blocks = bool(known.any())
    return MeterDayBatch(
        lines=np.arange(first_line, first_line + len(rows)),
        serials=np.array([row.serial for row in rows], np.bytes_),
        days=np.array([row.day for row in rows], "M8[D]"),
        blocks=blocks if with_blocks else None,
        known=known if with_blocks else None,
        total_wh=total,
        total_known=total >= 0,
        channel=number("channel", np.int8),
        origin=number("origin", np.int8),
        register_wh=number("register"),
        demand_w=number("demand"),
        off=number("off"),
        refused=refused,
    )


def readings(*rows: tuple[str, str, int, int]) -> ReadingBatch:
    """Number, day, register, demand."""
    serials, days, registers, demands = zip(*rows, strict=True)
    return ReadingBatch(
        np.arange(1, len(rows) + 1),
        np.array(serials, np.bytes_),
        np.array(days, "M8[D]"),
        np.array(registers, np.int64),
        np.array(demands, np.int64),
    )


def deliver(
    *rows: Said, today: dt.date = TODAY, sender: str = "test", history: bool = False, refused: tuple[Refused, ...] = ()
) -> Received:
    return send(
        [batch(rows, refused=refused)], repr((rows, refused)).encode(), today=today, sender=sender, history=history
    )


def send(
    batches: Iterable[Batch], content: bytes, *, today: dt.date = TODAY, sender: str = "test", history: bool = False
) -> Received:
    return receive(
        sender=sender,
        sha256=hashlib.sha256(content).hexdigest(),
        form="test",
        name="days",
        size=len(content),
        batches=batches,
        today=today,
        history=history,
    )


def counts(received: Received) -> tuple[int, int, int, int, int]:
    """rows = accepted + repeated + superseding + quarantined."""
    of = received.delivery
    return of.rows, of.accepted, of.repeated, of.superseding, of.quarantined
