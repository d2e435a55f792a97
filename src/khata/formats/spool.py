"""Batches of a delivery laid aside until the whole of it is known: half-hours on disk, everything else in memory.

A row takes about 60 bytes of memory, however many half-hours, voltages and currents it brings. Whose row it is, is kept
by who looks the meters up.
"""

import mmap
import tempfile
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khata.formats.meterdays import ACTUAL, IMPORT, Batch, MeterDayBatch, Refused

READING = 7  # stands in place of a channel: a register that was read, not a meter day
_HALF_HOURS = 48
_UNKNOWN = -1
_SCALARS: Mapping[str, tuple[Any, int]] = {
    "lines": (np.int64, 0),
    "channel": (np.int8, IMPORT),
    "origin": (np.int8, ACTUAL),
    "total_wh": (np.int64, _UNKNOWN),
    "register_wh": (np.int64, _UNKNOWN),
    "demand_w": (np.int64, _UNKNOWN),
    "off": (np.int64, _UNKNOWN),
    "drift_s": (np.int32, 0),
    "multiplier": (np.int32, 0),
    "most_wh": (np.int64, _UNKNOWN),  # largest half-hour
    "print": (np.int64, 0),  # of the half-hours and their origins; 0 where none is known
}
_MATRICES: Mapping[str, tuple[Any, int]] = {
    "blocks": (np.int32, _UNKNOWN),
    "origins": (np.int8, 0),
    "volts_dv": (np.int32, _UNKNOWN),
    "current_ma": (np.int32, _UNKNOWN),
    "hertz_mhz": (np.int32, _UNKNOWN),
}
# Odd and drawn once: a difference in one half-hour always shows, one in several goes unseen once in 2**60 times.
_PRINTING = np.random.default_rng(48).integers(1, 2**62, (2, _HALF_HOURS), dtype=np.int64) * 2 + 1


class Spool:
    """Rows in the order in which they came; positions begin at 0."""

    def __init__(self) -> None:
        self.refused: list[Refused] = []
        self.count = 0
        self._days: list[NDArray[np.datetime64]] = []
        self._scalars: dict[str, list[tuple[int, NDArray[Any]]]] = {name: [] for name in _SCALARS}
        self._matrices = {name: _Matrix(*shape) for name, shape in _MATRICES.items()}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        for matrix in self._matrices.values():
            matrix.close()

    def add(self, batch: Batch) -> None:
        of_days = isinstance(batch, MeterDayBatch)
        self.refused += batch.refused if of_days else [replace(each, channel=READING) for each in batch.refused]
        if not len(batch):
            return
        self._days.append(batch.days.astype("M8[D]", copy=False))
        said = {each.name: getattr(batch, each.name) for each in fields(batch)}
        if isinstance(batch, MeterDayBatch):
            said["total_wh"] = np.where(batch.total_known, batch.total_wh, _UNKNOWN)
            if batch.blocks is not None:
                said["most_wh"] = batch.blocks.max(axis=1, initial=_UNKNOWN)
                said["print"] = _print(batch.blocks, batch.origins)
        else:
            said["channel"] = np.full(len(batch), READING, np.int8)
        for name, (dtype, _) in _SCALARS.items():
            if said.get(name) is not None:
                self._scalars[name].append((self.count, said[name].astype(dtype)))
        for name, matrix in self._matrices.items():
            if said.get(name) is not None:
                matrix.add(self.count, said[name])
        self.count += len(batch)

    def days(self) -> NDArray[np.datetime64]:
        return np.concatenate([np.zeros(0, "M8[D]"), *self._days])

    def column(self, name: str) -> NDArray[Any]:
        """(n,) of all rows, with the value for unknown where a batch did not say it."""
        dtype, unknown = _SCALARS[name]
        out = np.full(self.count, unknown, dtype)
        for start, values in self._scalars[name]:
            out[start : start + len(values)] = values
        return out

    def says(self, name: str) -> bool:
        return bool(self._scalars[name]) if name in _SCALARS else self._matrices[name].rows > 0

    def matrix(self, name: str, at: NDArray[np.int64]) -> NDArray[Any] | None:
        """(len(at), 48) of the rows at these positions; None where no batch of the delivery said it."""
        return self._matrices[name].take(at) if self.says(name) else None


class _Matrix:
    """(rows, 48) in a file without a name; rows that nobody said anything of are filled up."""

    def __init__(self, dtype: Any, unknown: int) -> None:
        self.dtype, self.unknown, self.rows = np.dtype(dtype), unknown, 0
        self._file: Any = None

    def add(self, start: int, values: NDArray[Any]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # closed with the spool
        while self.rows < start:
            many = min(start - self.rows, 100_000)
            self._write(np.full((many, _HALF_HOURS), self.unknown, self.dtype))
        self._write(np.ascontiguousarray(values, self.dtype))

    def _write(self, values: NDArray[Any]) -> None:
        left = memoryview(values.data).cast("B")
        while left:
            left = left[self._file.write(left) :]
        self.rows += len(values)

    def take(self, at: NDArray[np.int64]) -> NDArray[Any]:
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
            stored = np.frombuffer(pages, self.dtype).reshape(-1, _HALF_HOURS)
            if self.rows > int(at.max(initial=0)):
                out = stored[at]
            else:
                out = np.full((len(at), _HALF_HOURS), self.unknown, self.dtype)
                out[at < self.rows] = stored[at[at < self.rows]]
            del stored
        return out

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _print(blocks: NDArray[np.int32], origins: NDArray[np.int8] | None) -> NDArray[np.int64]:
    """Equal for rows of equal half-hours, and as good as never for others; 0 where no half-hour is known. (n,)."""
    made = np.einsum("ij,j->i", blocks, _PRINTING[0], dtype=np.int64, casting="unsafe")
    if origins is not None:
        made += np.einsum("ij,j->i", origins, _PRINTING[1], dtype=np.int64, casting="unsafe")
    made = np.where(made == 0, 1, made)
    return np.where((blocks >= 0).any(axis=1), made, 0)
