"""The bytes of PostgreSQL's binary COPY to NumPy columns.

Rows of one fixed width are checked and read through strided views. Where a NULL, a text or an array of varying length
makes the rows uneven, one Python step per *field* finds the offsets (about 0.25 µs each), and the values are then
gathered by NumPy.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from khata.formats.pgcopy.wire import (
    ARRAY_HEADER,
    CHUNK_BYTES,
    EPOCH_DAYS,
    EPOCH_US,
    HEADER,
    TRAILER,
    Array,
    CopyFormatError,
    Mask,
)

Kind: TypeAlias = Literal["int2", "int4", "int8", "bool", "date", "timestamptz", "text", "int4[]", "int8[]"]

_WIRE = {
    "int2": ">i2", "int4": ">i4", "int8": ">i8", "bool": "u1", "date": ">i4", "timestamptz": ">i8",
    "int4[]": ">i4", "int8[]": ">i8",
}  # fmt: skip
_OIDS = {"int4[]": 23, "int8[]": 20}


@dataclass(frozen=True)
class Field:
    """A column that is expected.

    `null` stands for NULL in the result (of an array: for a NULL array's elements and for NULL elements); without it a
    NULL is an error. `size` is the exact number of elements of an array and opens the fast path; without it arrays may
    differ in length.
    """

    kind: Kind
    null: int | bytes | np.datetime64 | None = None
    size: int | None = None


@dataclass(frozen=True)
class Decoded:
    """n rows as columns, in the order asked for.

    columns  int16, int32, int64, bool, datetime64[D], datetime64[us] (UTC) or 'S' (n,); arrays (n, longest)
    nulls    (n,) each: which rows are NULL
    lengths  of array columns, by position: elements per row (n,), -1 where the array is NULL; beyond them
             stands `null`, or 0 when none was given
    """

    count: int
    columns: tuple[Array, ...]
    nulls: tuple[Mask, ...]
    lengths: dict[int, NDArray[np.int32]]

    def __getitem__(self, position: int) -> Array:
        return self.columns[position]

    def __iter__(self) -> Iterator[Array]:
        return iter(self.columns)


def decode(data: bytes | bytearray | memoryview, fields: Sequence[Field]) -> Decoded:
    """What `copy (select ...) to stdout (format binary)` sent, whole."""
    if not fields:
        raise CopyFormatError("no columns asked for")
    start = _body_start(data)
    even = _decode_even(data, start, fields)
    return even if even is not None else _decode_uneven(data, start, fields)


def _body_start(data: bytes | bytearray | memoryview) -> int:
    if bytes(data[:11]) != HEADER[:11]:
        raise CopyFormatError("this is not binary COPY", "byte 0")
    if len(data) < len(HEADER) + 2:
        raise CopyFormatError("the data are cut short", f"byte {len(data)}")
    flags, extension = struct.unpack_from(">Ii", data, 11)
    if flags >> 16 or extension < 0:
        raise CopyFormatError("the header asks for something this reader does not know", "byte 11")
    return len(HEADER) + int(extension)


def _decode_even(data: bytes | bytearray | memoryview, start: int, fields: Sequence[Field]) -> Decoded | None:
    """All rows of one width and nothing NULL; None when that is not so."""
    template = _even_template(fields)
    body = len(data) - start - 2
    if template is None or body < 0 or body % len(template) or bytes(data[-2:]) != TRAILER:
        return None
    count, width = body // len(template), len(template)
    columns = [_empty(f, count) for f in fields]
    step = max(1, CHUNK_BYTES // width)
    for first in range(0, count, step):
        part = slice(first, min(first + step, count))
        rows: NDArray[np.uint8] = np.ndarray((part.stop - first, width), np.uint8, data, start + first * width)
        if not _read_even_rows(rows, fields, columns, part):
            return None
    never = np.zeros(count, np.bool_)
    lengths = {i: np.full(count, f.size, np.int32) for i, f in enumerate(fields) if f.kind in _OIDS}
    finished = tuple(_finish(f, column, never) for f, column in zip(fields, columns, strict=True))
    return Decoded(count, finished, (never,) * len(fields), lengths)


def _even_template(fields: Sequence[Field]) -> bytes | None:
    """A row of zeros with all its length words and array headers; None when rows cannot be of one width."""
    template = struct.pack(">h", len(fields))
    for f in fields:
        if f.kind == "text" or (f.kind in _OIDS and not f.size):
            return None
        size = np.dtype(_WIRE[f.kind]).itemsize
        cell = struct.pack(">i", size) + bytes(size)
        if f.size:
            head = struct.pack(">iiiiii", ARRAY_HEADER + f.size * len(cell), 1, 0, _OIDS[f.kind], f.size, 1)
            cell = head + cell * f.size
        template += cell
    return template


def _read_even_rows(rows: NDArray[np.uint8], fields: Sequence[Field], columns: list[Array], part: slice) -> bool:
    """Check the constant bytes of a chunk and take its values; False when a row is otherwise."""
    offset = 2
    if not _same(rows, 0, struct.pack(">h", len(fields))):
        return False
    for f, column in zip(fields, columns, strict=True):
        wire = np.dtype(_WIRE[f.kind])
        cell = 4 + wire.itemsize
        if f.size:
            head = struct.pack(">iiiiii", ARRAY_HEADER + f.size * cell, 1, 0, _OIDS[f.kind], f.size, 1)
            if not (_same(rows, offset, head[:8]) and _same(rows, offset + 8, head[8:11])):
                return False
            if rows[:, offset + 11].max() > 1 or not _same(rows, offset + 12, head[12:]):
                return False
            offset += len(head)
        shape, strides = (len(rows), f.size or 1), (rows.strides[0], cell)
        words: Array = np.ndarray(shape, np.int32, rows, offset, strides)
        if not (words == np.frombuffer(struct.pack(">i", wire.itemsize), np.int32)[0]).all():
            return False
        values: Array = np.ndarray(shape, wire, rows, offset + 4, strides)
        column[part] = values if f.size else values[:, 0]
        offset += cell * (f.size or 1)
    return True


def _same(rows: NDArray[np.uint8], offset: int, constant: bytes) -> bool:
    return bool((rows[:, offset : offset + len(constant)] == np.frombuffer(constant, np.uint8)).all())


def _empty(f: Field, count: int) -> Array:
    dtype = np.dtype(_WIRE[f.kind]).newbyteorder("=")
    return np.empty((count, f.size) if f.size else count, dtype)


def _decode_uneven(data: bytes | bytearray | memoryview, start: int, fields: Sequence[Field]) -> Decoded:
    """Any rows: one Python step per field to find where it starts, the values by NumPy."""
    places = _walk(data, start, len(fields))
    words = _overlapping(data, ">i4")
    columns: list[Array] = []
    nulls: list[Mask] = []
    lengths: dict[int, NDArray[np.int32]] = {}
    for i, f in enumerate(fields):
        at = places[:, i]
        size = words[at - 4].astype(np.int64)
        null = size < 0
        if f.null is None and null.any():
            raise CopyFormatError("a NULL, where the reader names no value for it", _where(null, i))
        if f.kind in _OIDS:
            column, lengths[i] = _gather_arrays(data, f, at, size, i)
        elif f.kind == "text":
            column = _gather_text(data, at, np.maximum(size, 0))
        else:
            column = _gather(data, f, at, size, i)
        columns.append(_finish(f, column, null))
        nulls.append(null)
    return Decoded(len(places), tuple(columns), tuple(nulls), lengths)


def _walk(data: bytes | bytearray | memoryview, start: int, width: int) -> NDArray[np.int64]:
    """(n, width): the byte at which each field's value starts, after its length word."""
    short, word = struct.Struct(">h").unpack_from, struct.Struct(">i").unpack_from
    places: list[int] = []
    add, at = places.append, start
    try:
        while (found := short(data, at)[0]) == width:
            at += 2
            for _ in range(width):
                size = word(data, at)[0]
                at += 4
                add(at)
                if size > 0:
                    at += size
                elif size < -1:
                    raise CopyFormatError(f"a length of {size}", f"byte {at - 4}")
    except struct.error:
        raise CopyFormatError("the data are cut short", f"byte {len(data)}") from None
    if found != -1:
        raise CopyFormatError(f"a row of {found} columns, {width} asked for", f"byte {at}, row {len(places) // width}")
    if at + 2 != len(data):
        raise CopyFormatError("bytes follow the end mark", f"byte {at + 2}")
    return np.array(places, np.int64).reshape(-1, width)


def _overlapping(data: bytes | bytearray | memoryview, wire: str) -> Array:
    """A view in which element p is the number that starts at byte p."""
    return np.ndarray((max(0, len(data) - np.dtype(wire).itemsize + 1),), wire, data, 0, (1,))


def _gather(data: bytes | bytearray | memoryview, f: Field, at: Array, size: Array, i: int) -> Array:
    wire = np.dtype(_WIRE[f.kind])
    wrong = (size != wire.itemsize) & (size >= 0)
    if wrong.any():
        raise CopyFormatError(f"{int(size[np.argmax(wrong)])} bytes, {f.kind} has {wire.itemsize}", _where(wrong, i))
    return _overlapping(data, _WIRE[f.kind])[np.where(size < 0, 0, at)].astype(wire.newbyteorder("="))


def _gather_text(data: bytes | bytearray | memoryview, at: Array, size: Array) -> Array:
    width = max(1, int(size.max(initial=0)))
    chars = np.zeros((len(at), width), np.uint8)
    inside = np.arange(width) < size[:, None]
    chars[inside] = np.frombuffer(data, np.uint8)[(at[:, None] + np.arange(width))[inside]]
    return chars.view(f"S{width}").reshape(-1)


def _gather_arrays(
    data: bytes | bytearray | memoryview, f: Field, at: Array, size: Array, i: int
) -> tuple[Array, NDArray[np.int32]]:
    """One NumPy step per element position, for all rows at once."""
    words, values = _overlapping(data, ">i4"), _overlapping(data, _WIRE[f.kind])
    lengths = _array_lengths(words, f, at, size, i)
    longest = f.size if f.size is not None else int(lengths.max(initial=0))
    out = np.full((len(at), longest), 0 if f.null is None else f.null, np.dtype(_WIRE[f.kind]).newbyteorder("="))
    here, end, step = at + ARRAY_HEADER, at + size, values.itemsize
    if len(at) < longest and (size == ARRAY_HEADER + lengths.astype(np.int64) * (4 + step)).all():
        _gather_long(data, f, here, lengths, out, i)
        return out, lengths
    for j in range(longest):
        rows = np.flatnonzero(lengths > j)
        place = here[rows]
        if (place + 4 > end[rows]).any():
            raise CopyFormatError("an array ends before its elements do", f"column {i}")
        given = words[place]
        full = given == step
        if (~full & (given != -1)).any() or (place + 4 + np.where(full, step, 0) > end[rows]).any():
            raise CopyFormatError(f"an element that is no {f.kind[:-2]}", f"column {i}")
        if f.null is None and not full.all():
            row = int(rows[np.argmin(full)])
            raise CopyFormatError("a NULL element, where the reader names no value for it", f"row {row}, column {i}")
        out[rows[full], j] = values[place[full] + 4]
        here[rows] += 4 + np.where(full, step, 0)
    if (here[lengths > 0] != end[lengths > 0]).any():
        raise CopyFormatError("an array is longer than its elements", f"column {i}")
    return out, lengths


def _gather_long(
    data: bytes | bytearray | memoryview, f: Field, here: Array, lengths: NDArray[np.int32], out: Array, i: int
) -> None:
    """Few rows of long arrays without NULL elements: one NumPy step per row, for all its elements at once."""
    element = np.dtype([("size", ">i4"), ("value", _WIRE[f.kind])])
    for row, (place, count) in enumerate(zip(here.tolist(), lengths.tolist(), strict=True)):
        elements = np.frombuffer(data, element, count, place)
        if (elements["size"] != element["value"].itemsize).any():
            raise CopyFormatError(f"an element that is no {f.kind[:-2]}", f"row {row}, column {i}")
        out[row, :count] = elements["value"]


def _array_lengths(words: Array, f: Field, at: Array, size: Array, i: int) -> NDArray[np.int32]:
    """Elements per row, -1 for NULL, from the array headers."""
    present = size >= 0
    dimensions = np.where(present, words[np.where(size >= 12, at, 0)], 0)
    wrong = present & ((size < 12) | (dimensions < 0) | (dimensions > 1) | ((dimensions == 1) & (size < ARRAY_HEADER)))
    if wrong.any():
        raise CopyFormatError("not an array of one dimension", _where(wrong, i))
    wrong = present & (words[np.where(present, at + 8, 0)] != _OIDS[f.kind])
    if wrong.any():
        raise CopyFormatError(f"not an {f.kind}", _where(wrong, i))
    counted = words[np.where(dimensions == 1, at + 12, 0)]
    lengths = np.where(present, np.where(dimensions == 1, counted, 0), -1).astype(np.int32)
    wrong = (lengths < -1) | (lengths.astype(np.int64) * 4 > np.maximum(size, 0))
    if f.size is not None:
        wrong |= present & (lengths != f.size)
    if (wrong & present).any():
        raise CopyFormatError(f"an array of {lengths[np.argmax(wrong)]} elements", _where(wrong & present, i))
    return lengths


def _finish(f: Field, column: Array, null: Mask) -> Array:
    """Database numbers as NumPy means them, and the stand-in where NULL."""
    if f.kind == "bool":
        column = column.astype(np.bool_)
    elif f.kind in ("date", "timestamptz"):
        limits = np.iinfo(column.dtype)
        if (((column == limits.min) | (column == limits.max)) & ~null).any():
            raise CopyFormatError("an infinite date, which has no day")
        shifted = column.astype(np.int64) + (EPOCH_DAYS if f.kind == "date" else EPOCH_US)
        column = shifted.view("M8[D]" if f.kind == "date" else "M8[us]")
    if f.kind not in _OIDS and null.any():
        column = np.where(null, np.asarray(f.null, None if f.kind == "text" else column.dtype), column)
    return column


def _where(wrong: Mask, column: int) -> str:
    return f"row {int(np.argmax(wrong))}, column {column}"
