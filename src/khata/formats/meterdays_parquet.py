"""Meter days from Parquet: the columns of the CSV, energy as `kwh`, as `blocks` (a list of 48), or as b01 to b48.

`meter` is a string (dictionary-encoded or not), `day` a date32 or a string, blocks any integer type, `kwh` a decimal, a
string, an integer or a float64. A float is taken only where it is the nearest one to a number of three decimals; its
watt-hours are then exact.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from khata.formats.meterdays import (
    BATCH_ROWS,
    BLOCKS,
    KILO,
    LARGEST_BLOCK_WH,
    MOST_ERRORS,
    UNKNOWN_WH,
    Columns,
    Errors,
    MeterDayBatch,
    batches,
    plain_day,
    plain_kwh,
    plain_serial,
    scaled_decimals,
    serial_column,
    string_bytes,
)
from khata.formats.text import FormatError

_NUMBER_BYTES = b"0123456789.-"
_SHAPES = (("kwh",), ("blocks",), BLOCKS)
_EXPECTED = "The columns must be meter, day and one of: kwh; blocks (a list of 48); b01 to b48"


def read_parquet(file: BinaryIO) -> Iterator[MeterDayBatch]:
    """Batches of at most BATCH_ROWS. FormatError at the first bad batch (up to 10 errors); earlier batches are out.

    Errors say "row n", counted from 1, where the CSV's say "line n".
    """
    row = 1
    for record, energy in _records(file):
        yield from batches(_columns(record, energy, row))
        row += len(record)


def _records(file: BinaryIO) -> Iterator[tuple[Any, tuple[str, ...]]]:
    try:
        parquet = pq.ParquetFile(file)
        energy = _check_schema(parquet.schema_arrow)
        for record in parquet.iter_batches(batch_size=BATCH_ROWS):
            yield record, energy
    except (pa.ArrowException, OSError) as error:
        raise FormatError("this is not a whole Parquet file", next_step="Check that it arrived complete") from error


def _check_schema(schema: Any) -> tuple[str, ...]:
    names = schema.names
    energy = next((shape for shape in _SHAPES if set(shape) & set(names)), None)
    if energy is None:
        raise FormatError("there is no column with energy", next_step=_EXPECTED)
    expected = ("meter", "day", *energy)
    for name in expected:
        if names.count(name) != 1:
            wrong = "stands twice" if name in names else "is missing"
            raise FormatError(f"the column {name} {wrong}", column=name, next_step=_EXPECTED)
    for field in schema:
        if field.name not in expected:
            raise FormatError("the file has a column that is not known", column=field.name, next_step=_EXPECTED)
        if not _fits(field.name, field.type):
            raise FormatError(f"its type is {field.type}", column=field.name, next_step=_WANTED[_group(field.name)])
    return energy


_WANTED = {
    "meter": "Write it as a string",
    "day": "Write it as a date (date32) or as a string like 2024-05-31",
    "kwh": "Write it as a decimal with three places, a string, an integer or a double",
    "blocks": "Write it as a list of 48 integers, in Wh",
    "b": "Write it as an integer, in Wh",
}


def _group(name: str) -> str:
    return name if name in _WANTED else "b"


def _fits(name: str, kind: Any) -> bool:
    t = pa.types
    if name == "meter" and t.is_dictionary(kind):
        kind = kind.value_type
    if name == "blocks":
        lists = t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)
        return bool(lists and t.is_integer(kind.value_type))
    text = bool(t.is_string(kind) or t.is_large_string(kind))
    if name == "meter":
        return text
    if name == "day":
        return text or bool(t.is_date32(kind))
    if name == "kwh":
        return text or bool(t.is_decimal(kind) or t.is_integer(kind) or t.is_float64(kind))
    return bool(t.is_integer(kind))


def _columns(record: Any, energy: tuple[str, ...], row: int) -> Columns:
    errors = Errors()
    serials = _serials(record["meter"].cast(pa.string()), row, errors)
    days = _days(record["day"], row, errors)
    if energy == ("kwh",):
        values: NDArray[Any] = _kwh(record["kwh"], row, errors)
    elif energy == ("blocks",):
        values = _lists(record["blocks"], row, errors)
    else:
        values = np.stack([_blocks(record[name], row, name, errors) for name in BLOCKS], axis=1)
    errors.raise_any()
    return Columns(np.arange(row, row + len(record), dtype=np.int64), serials, days, values)


def _serials(array: Any, row: int, errors: Errors) -> NDArray[np.bytes_]:
    serials = serial_column(array)
    if serials is None:
        serials = np.array(_each(array, plain_serial, b"", row, "meter", errors), np.bytes_)
    return serials


def _days(array: Any, row: int, errors: Errors) -> NDArray[np.datetime64]:
    if array.null_count or not pa.types.is_date32(array.type):
        days = _each(array, lambda text: plain_day(str(text)), "1970-01-01", row, "day", errors)
        return np.array(days, "M8[D]")
    return np.asarray(array.to_numpy(zero_copy_only=False)).astype("M8[D]")


def _kwh(array: Any, row: int, errors: Errors) -> NDArray[np.int64]:
    if pa.types.is_float64(array.type):
        return _from_float(array, row, errors)
    text = array.cast(pa.string()) if not pa.types.is_decimal(array.type) else None
    if text is None or not string_bytes(text)[0].translate(None, _NUMBER_BYTES):
        try:
            scaled = scaled_decimals((array if text is None else text).cast(pa.decimal128(18, KILO)))
        except pa.ArrowException:  # more places than three, or more digits than fit: one by one
            scaled = None
        if scaled is not None:
            return scaled
    numbers = _each(array, _plain_number, 0, row, "kwh", errors)
    return np.array(numbers, np.int64)


def _plain_number(value: Any) -> int:
    return plain_kwh(format(value, "f") if isinstance(value, Decimal) else str(value))


def _from_float(array: Any, row: int, errors: Errors) -> NDArray[np.int64]:
    values = array.fill_null(float("nan")).to_numpy(zero_copy_only=False)
    scaled = np.rint(values * 1000)
    exact = np.isfinite(values) & (values >= 0) & (scaled < 2**52) & (scaled / 1000 == values)
    for i in np.flatnonzero(~exact)[:MOST_ERRORS]:
        wrong = f"kwh {values[i]!r} is below 0, or is not a number of three decimals"
        errors.add(FormatError(wrong, where=f"row {row + int(i)}", column="kwh", next_step="Write kwh as a decimal"))
    return np.where(exact, scaled, 0).astype(np.int64)


def _lists(array: Any, row: int, errors: Errors) -> NDArray[np.int32]:
    """(n, 48); a null list is a day of which no block is known."""
    sizes = pc.list_value_length(array).fill_null(len(BLOCKS)).to_numpy(zero_copy_only=False)
    for i in np.flatnonzero(sizes != len(BLOCKS))[:MOST_ERRORS]:
        wrong = f"{sizes[i]} blocks, a day has {len(BLOCKS)}"
        errors.add(
            FormatError(wrong, where=f"row {row + int(i)}", column="blocks", next_step="Put null for unknown ones")
        )
    errors.raise_any()
    out = np.full((len(array), len(BLOCKS)), UNKNOWN_WH, np.int32)
    given = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
    out[given] = _wh(array.flatten(), (row + given).repeat(len(BLOCKS)), "blocks", errors).reshape(-1, len(BLOCKS))
    return out


def _blocks(array: Any, row: int, name: str, errors: Errors) -> NDArray[np.int32]:
    return _wh(array, np.arange(row, row + len(array)), name, errors)


def _wh(array: Any, rows: NDArray[np.int64], name: str, errors: Errors) -> NDArray[np.int32]:
    """Any integers as int32 with UNKNOWN_WH for null; `rows` says to which row each belongs, for the errors."""
    known = array.is_valid().to_numpy(zero_copy_only=False)
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    for i in np.flatnonzero((values < 0) | (values > LARGEST_BLOCK_WH))[:MOST_ERRORS]:
        wrong = f"the block {values[i]} is {'below 0' if values[i] < 0 else 'too large'}"
        errors.add(FormatError(wrong, where=f"row {rows[i]}", column=name, next_step="Put null if it is unknown"))
    return np.where(known, values.astype(np.int64), UNKNOWN_WH).astype(np.int32)


def _each(array: Any, read: Callable[[Any], Any], missing: Any, row: int, column: str, errors: Errors) -> list[Any]:
    """One by one, where whole columns would not do: for precise errors, and for strings."""
    out = []
    for i, value in enumerate(array.to_pylist()):
        try:
            out.append(read("" if value is None else value))
        except FormatError as error:
            out.append(missing)
            errors.add(replace(error, where=f"row {row + i}", column=column))
            if errors.full:
                break
    return out
