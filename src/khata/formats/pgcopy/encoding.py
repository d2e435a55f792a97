"""NumPy columns to the bytes of PostgreSQL's binary COPY, with no Python loop over rows.

A column is laid out as an (n, width) matrix of bytes at its widest: a template row holds what never changes (length
words, array headers), the values are written over it through big-endian views. What a row does not have (the rest of a
short text, the value of a NULL) is cut out at the end with one boolean matrix; a table in which nothing is cut skips
that.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


@dataclass(frozen=True)
class _Piece:
    """Values (n,) or (n, k) that go over the template: the j-th at byte offset + j x step."""

    offset: int
    step: int
    values: Array


@dataclass(frozen=True)
class _Cut:
    """Which bytes a row keeps: `width` bytes at offset + j x step stay where keep[:, j]. keep is (n, k)."""

    offset: int
    step: int
    width: int
    keep: Mask


@dataclass(frozen=True)
class Column:
    """One column of n rows, ready to be laid out. Made by the constructors below, read by `encode`."""

    count: int
    template: bytes
    pieces: tuple[_Piece, ...]
    cuts: tuple[_Cut, ...] = ()


def int2(values: ArrayLike, *, null: ArrayLike | None = None) -> Column:
    """smallint from integers (n,); rows where `null` (n,) is true are NULL, their value is not looked at."""
    return _scalar(_whole_numbers(values, "int2", null), null)


def int4(values: ArrayLike, *, null: ArrayLike | None = None) -> Column:
    """integer from integers (n,)."""
    return _scalar(_whole_numbers(values, "int4", null), null)


def int8(values: ArrayLike, *, null: ArrayLike | None = None) -> Column:
    """bigint from integers (n,)."""
    return _scalar(_whole_numbers(values, "int8", null), null)


def boolean(values: ArrayLike, *, null: ArrayLike | None = None) -> Column:
    """boolean from booleans (n,)."""
    array = np.asarray(values)
    if array.dtype != np.bool_ and array.size:
        raise CopyFormatError(f"booleans wanted, {array.dtype} given")
    return _scalar(array.astype("u1"), null)


def date(values: ArrayLike, *, null: ArrayLike | None = None) -> Column:
    """date from datetime64[D] or from days since 1970-01-01 (n,)."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        if np.datetime_data(array.dtype)[0] != "D":
            raise CopyFormatError(f"datetime64[D] wanted, {array.dtype} given")
        array = _no_nat(array, null).astype(np.int64)
    return _scalar(_whole_numbers(array, "int4", null, shift=-EPOCH_DAYS), null)


def timestamptz(values: ArrayLike, *, null: ArrayLike | None = None) -> Column:
    """timestamptz from datetime64[us] (or s, ms) in UTC, or from microseconds since 1970-01-01 UTC (n,)."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        if np.datetime_data(array.dtype)[0] not in ("s", "ms", "us"):
            raise CopyFormatError(f"datetime64[us] wanted, {array.dtype} given")
        array = _no_nat(array, null).astype("M8[us]").astype(np.int64)
    return _scalar(_whole_numbers(array, "int8", null, shift=-EPOCH_US), null)


def text(values: ArrayLike, *, null: ArrayLike | None = None) -> Column:
    """text from NumPy 'S' (UTF-8 bytes) or 'U' (n,). 'U' beyond ASCII costs a Python step a row."""
    return _with_null(_characters(*_utf8(values)), null)


def jsonb(values: ArrayLike) -> Column:
    """jsonb from JSON texts, NumPy 'S' (UTF-8 bytes) or 'U' (n,). The server checks that they are JSON."""
    chars, lengths = _utf8(values)
    version = np.ones((len(chars), 1), np.uint8)
    return _characters(np.hstack([version, chars]), lengths + np.int32(1))


def bytea(values: Sequence[bytes]) -> Column:
    """bytea from any bytes. Laid out at the width of the longest: send very long ones in rows of their own."""
    lengths = np.fromiter(map(len, values), np.int32, len(values))
    width = int(lengths.max(initial=0))
    chars = np.zeros((len(values), width), np.uint8)
    chars[np.arange(width) < lengths[:, None]] = np.frombuffer(b"".join(values), np.uint8)
    return _characters(chars, lengths)


def int4_array(
    values: ArrayLike,
    *,
    lengths: ArrayLike | None = None,
    element_null: ArrayLike | None = None,
    null: ArrayLike | None = None,
) -> Column:
    """int4[] from integers (n, k). `lengths` (n,) cuts rows short, `element_null` (n, k) makes elements NULL."""
    return _number_array(values, "int4", lengths, element_null, null)


def int8_array(
    values: ArrayLike,
    *,
    lengths: ArrayLike | None = None,
    element_null: ArrayLike | None = None,
    null: ArrayLike | None = None,
) -> Column:
    """int8[] from integers (n, k); otherwise as int4_array."""
    return _number_array(values, "int8", lengths, element_null, null)


def text_array(
    elements: Sequence[ArrayLike], *, lengths: ArrayLike | None = None, null: ArrayLike | None = None
) -> Column:
    """text[] from k arrays (n,) of 'S' or 'U': row i is [elements[0][i], elements[1][i], …], cut at `lengths` (n,)."""
    if not elements:
        raise CopyFormatError("text_array needs at least one array of elements")
    parts = [text(element) for element in elements]
    if len({part.count for part in parts}) > 1:
        raise CopyFormatError("the arrays of elements are not equally long")
    present = _present(lengths, parts[0].count, len(parts))
    return _array(_text_elements(parts, present), 25, null)


def encode(columns: Sequence[Column]) -> bytes:
    """The whole COPY: header, rows, trailer."""
    return HEADER + encode_rows(columns) + TRAILER


def encode_rows(columns: Sequence[Column]) -> bytes:
    """Only the rows, for those who send one COPY in several pieces between HEADER and TRAILER."""
    return b"".join(_chunks(columns))


def _chunks(columns: Sequence[Column]) -> Iterator[bytes]:
    counts = {column.count for column in columns}
    if len(counts) != 1:
        raise CopyFormatError(f"the columns are not equally long: {sorted(counts)} rows")
    count = counts.pop()
    template = np.frombuffer(struct.pack(">h", len(columns)) + b"".join(c.template for c in columns), np.uint8)
    size = max(1, min(count, CHUNK_BYTES // len(template)))
    rows = np.empty((size, len(template)), np.uint8)
    keep = np.empty(rows.shape, np.bool_) if any(column.cuts for column in columns) else None
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        chunk = rows[: part.stop - start]
        chunk[:] = template
        _write_values(chunk, columns, part)
        if keep is None:
            yield chunk.tobytes()
        else:
            _mark_kept(keep[: len(chunk)], columns, part)
            yield chunk[keep[: len(chunk)]].tobytes()


def _write_values(chunk: NDArray[np.uint8], columns: Sequence[Column], part: slice) -> None:
    offset = 2
    for column in columns:
        for piece in column.pieces:
            values = piece.values[part]
            shape, strides = values.shape, (chunk.strides[0], piece.step)[: values.ndim]
            place: Array = np.ndarray(shape, values.dtype.newbyteorder(">"), chunk, offset + piece.offset, strides)
            place[...] = values
        offset += len(column.template)


def _mark_kept(keep: Mask, columns: Sequence[Column], part: slice) -> None:
    keep[:] = True
    offset = 2
    for column in columns:
        for cut in column.cuts:
            kept = cut.keep[part]
            strides = (keep.strides[0], cut.step, 1)
            place: Mask = np.ndarray((*kept.shape, cut.width), np.bool_, keep, offset + cut.offset, strides)
            place &= kept[:, :, None]
        offset += len(column.template)


def _characters(chars: NDArray[np.uint8], lengths: NDArray[np.int32]) -> Column:
    """A length word and that many of the row's bytes; (n, width) and (n,)."""
    count, width = chars.shape
    if count and int(lengths.min()) == width:
        return Column(count, struct.pack(">i", width) + bytes(width), (_Piece(4, 1, chars),))
    pieces = (_Piece(0, 4, lengths), _Piece(4, 1, chars))
    return Column(count, bytes(4 + width), pieces, (_Cut(4, 1, 1, np.arange(width) < lengths[:, None]),))


def _scalar(values: Array, null: ArrayLike | None) -> Column:
    size = values.itemsize
    return _with_null(Column(len(values), struct.pack(">i", size) + bytes(size), (_Piece(4, size, values),)), null)


def _with_null(column: Column, null: ArrayLike | None) -> Column:
    mask = _mask(null, (column.count,), "null")
    if mask is None:
        return column
    width = len(column.template)
    length_pieces = [piece.values for piece in column.pieces if piece.offset == 0]
    length = length_pieces[0] if length_pieces else np.int32(struct.unpack_from(">i", column.template)[0])
    words = np.where(mask, np.int32(-1), length).astype(np.int32)
    pieces = (*(piece for piece in column.pieces if piece.offset), _Piece(0, 4, words))
    return Column(column.count, column.template, pieces, (*column.cuts, _Cut(4, 0, width - 4, ~mask[:, None])))


@dataclass(frozen=True)
class _Elements:
    """The elements of an array column, laid out after its header. `sizes`: bytes per row, None where all are alike."""

    count: int
    size: int
    template: bytes
    pieces: tuple[_Piece, ...]
    cuts: tuple[_Cut, ...]
    sizes: NDArray[np.int64] | None
    present: Mask | None
    has_null: bool = False


def _number_array(
    values: ArrayLike,
    kind: Literal["int4", "int8"],
    lengths: ArrayLike | None,
    element_null: ArrayLike | None,
    null: ArrayLike | None,
) -> Column:
    array = np.asarray(values)
    if array.ndim != 2:
        raise CopyFormatError(f"an array column wants a matrix (rows, elements), {array.ndim} dimensions given")
    count, k = array.shape
    missing = _mask(element_null, (count, k), "element_null")
    present = _present(lengths, count, k)
    if present is not None and (present == present[0]).all():  # all equally short: no need to cut
        k = int(present[0].sum())
        array, missing, present = array[:, :k], None if missing is None else missing[:, :k], None
    numbers = _whole_numbers(array, kind, _unread(array.shape, missing, present, null))
    return _array(_number_elements(numbers, missing, present), {"int4": 23, "int8": 20}[kind], null)


def _number_elements(numbers: Array, missing: Mask | None, present: Mask | None) -> _Elements:
    (count, k), size = numbers.shape, numbers.itemsize
    first, step = 4 + ARRAY_HEADER, 4 + size
    pieces, cuts = [_Piece(first + 4, step, numbers)], []
    sizes: NDArray[np.int64] | None = None
    if present is not None:
        cuts.append(_Cut(first, step, step, present))
        sizes = present.sum(axis=1, dtype=np.int64) * step
    if missing is not None:
        pieces.append(_Piece(first, step, np.where(missing, np.int32(-1), np.int32(size))))
        cuts.append(_Cut(first + 4, step, size, ~missing))
        gone = missing if present is None else missing & present
        sizes = (np.full(count, k * step, np.int64) if sizes is None else sizes) - size * gone.sum(
            axis=1, dtype=np.int64
        )
    template = (struct.pack(">i", size) + bytes(size)) * k
    return _Elements(count, k, template, tuple(pieces), tuple(cuts), sizes, present, missing is not None)


def _text_elements(parts: Sequence[Column], present: Mask | None) -> _Elements:
    count, template = parts[0].count, b""
    pieces: list[_Piece] = []
    cuts: list[_Cut] = []
    sizes = np.zeros(count, np.int64)
    for j, part in enumerate(parts):
        start = 4 + ARRAY_HEADER + len(template)
        pieces += [_Piece(start + piece.offset, piece.step, piece.values) for piece in part.pieces]
        cuts += [_Cut(start + cut.offset, cut.step, cut.width, cut.keep) for cut in part.cuts]
        if present is not None:
            cuts.append(_Cut(start, 0, len(part.template), present[:, j : j + 1]))
        sizes += _cell_bytes(part) if present is None else np.where(present[:, j], _cell_bytes(part), 0)
        template += part.template
    return _Elements(count, len(parts), template, tuple(pieces), tuple(cuts), sizes if cuts else None, present)


def _array(elements: _Elements, oid: int, null: ArrayLike | None) -> Column:
    """Length word and array header before the elements. A row without elements has no dimension at all."""
    if elements.size == 0:
        return _with_null(Column(elements.count, struct.pack(">iiii", 12, 0, 0, oid), ()), null)
    width = ARRAY_HEADER + len(elements.template)
    head = struct.pack(">iiiiii", width, 1, int(elements.has_null), oid, elements.size, 1)
    pieces, cuts = list(elements.pieces), list(elements.cuts)
    if elements.sizes is not None:
        length: Array = elements.sizes + ARRAY_HEADER
        if elements.present is not None:
            present = elements.present.sum(axis=1, dtype=np.int32)
            some = present > 0
            length = length - 8 * ~some
            pieces += [_Piece(4, 4, some.astype(np.int32)), _Piece(16, 4, present)]
            cuts.append(_Cut(16, 0, 8, some[:, None]))
        pieces.append(_Piece(0, 4, length.astype(np.int32)))
    return _with_null(Column(elements.count, head + elements.template, tuple(pieces), tuple(cuts)), null)


def _cell_bytes(column: Column) -> Array:
    """Bytes of each cell of a text column, with its length word (n,)."""
    for piece in column.pieces:
        if piece.offset == 0:
            return piece.values.astype(np.int64) + 4
    return np.full(column.count, len(column.template), np.int64)


def _present(lengths: ArrayLike | None, count: int, k: int) -> Mask | None:
    """(n, k): the elements a row has; None when every row has all."""
    if lengths is None:
        return None
    array = np.asarray(lengths)
    if array.shape != (count,) or (array.dtype.kind not in "iu" and count):
        raise CopyFormatError(f"lengths must be {count} integers, {array.dtype} of shape {array.shape} given")
    wrong = (array < 0) | (array > k)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise CopyFormatError(f"length {int(array[row])} given for an array of at most {k} elements", f"row {row}")
    return None if not count or int(array.min()) == k else np.arange(k) < array[:, None]


def _unread(shape: tuple[int, ...], missing: Mask | None, present: Mask | None, null: ArrayLike | None) -> Mask | None:
    """(n, k): elements whose value is never sent, so may be anything."""
    masks = [mask for mask in (missing, None if present is None else ~present) if mask is not None]
    whole = _mask(null, shape[:1], "null")
    if whole is not None:
        masks.append(np.broadcast_to(whole[:, None], shape))
    return np.logical_or.reduce(masks) if masks else None


def _mask(null: ArrayLike | None, shape: tuple[int, ...], name: str) -> Mask | None:
    """The mask, or None when it marks nothing."""
    if null is None:
        return None
    mask = np.asarray(null)
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise CopyFormatError(f"{name} must be booleans of shape {shape}, {mask.dtype} of shape {mask.shape} given")
    return mask if mask.any() else None


def _whole_numbers(values: ArrayLike, kind: str, null: ArrayLike | None, *, shift: int = 0) -> Array:
    """Integers that fit the type once shifted; 0 where their value is never sent."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise CopyFormatError(f"integers wanted for {kind}, {array.dtype} given")
    mask = _mask(null, array.shape, "null")
    if mask is not None:
        array = np.where(mask, array.dtype.type(0), array)
    wire = np.dtype({"int2": "i2", "int4": "i4", "int8": "i8"}[kind])
    reach = 2 ** (8 * wire.itemsize - 1)
    low, high = -reach - shift, min(reach - 1 - shift, 2**63 - 1)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        rows = ((array < low) | (array > high)).reshape(len(array), -1).any(axis=1)
        raise CopyFormatError(f"a number does not fit {kind}", f"row {int(np.argmax(rows))}")
    return (array.astype(np.int64, copy=False) + shift if shift else array).astype(wire, copy=False)


def _no_nat(array: Array, null: ArrayLike | None) -> Array:
    """Dates and instants with the epoch where NULL; not-a-time elsewhere is an error."""
    mask = _mask(null, array.shape, "null")
    if mask is not None:
        array = np.where(mask, np.zeros((), array.dtype), array)
    if np.isnat(array).any():
        raise CopyFormatError("NaT stands where no null was announced", f"row {int(np.argmax(np.isnat(array)))}")
    return array


def _utf8(values: ArrayLike) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Characters as UTF-8 (n, width), and the bytes of each row (n,)."""
    array = np.asarray(values)
    if array.dtype.kind not in "SU":
        raise CopyFormatError(f"bytes or text wanted, {array.dtype} given")
    if array.dtype.kind == "U":
        points = np.ascontiguousarray(array).view(np.uint32).reshape(len(array), array.itemsize // 4)
        narrow = not points.size or int(points.max()) < 128
        array = points.astype(np.uint8).view(f"S{points.shape[1]}").ravel() if narrow else np.strings.encode(array)
    array = np.ascontiguousarray(array)
    chars = array.view(np.uint8).reshape(len(array), array.itemsize)
    lengths = np.strings.str_len(array).astype(np.int32)
    if int(np.count_nonzero(chars)) != int(lengths.sum()):
        inside = np.count_nonzero(chars, axis=1) != lengths
        raise CopyFormatError("a text has a NUL inside", f"row {int(np.argmax(inside))}")
    if chars.size and int(chars.max()) > 127:
        _check_utf8(array)
    return chars, lengths


def _check_utf8(array: Array) -> None:
    try:
        b"\n".join(array.tolist()).decode()
    except UnicodeDecodeError as error:
        row = error.object.count(b"\n", 0, error.start)
        raise CopyFormatError("a text is not UTF-8", f"row {row}") from None
