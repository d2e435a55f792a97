"""Parquet from outside, read in flat memory: a few kilobytes of it may say gigabytes.

Text is read as dictionaries, and the longest value of a dictionary is looked at before each row gets its own copy.
What the file says of itself (rows, values, sizes) is believed only where that makes it smaller.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from khata.formats.meterdays import MOST_BYTES
from khata.formats.parquetpages import MOST_PAGES, chunks, pages
from khata.formats.text import FormatError

ROWS = 4_096  # of a batch
MOST_ROWS = MOST_BYTES >> 6
MOST_ROWS_WITH_LISTS = 1 << 20  # of a row group: all its values might stand in one row
MOST_IN_LIST = 100  # a day of quarter hours is still a row of its own that is refused
MEAN_IN_LIST = 50
LONGEST_TEXT = 1_024
LARGEST_FIXED = 32  # bytes of a decimal
LARGEST_PAGE = 256 << 20
_LEVELS = 4_096  # bytes of a page that are no values

_PARTS = "Send it in parts, a day each"


def open_parquet(file: BinaryIO) -> Any:
    """Its schema may be looked at; not one value is read. FormatError where there is more in it than would be read."""
    _check_pages(file)
    file.seek(0)
    parquet = pq.ParquetFile(file)
    for i in range(len(parquet.schema)):
        column = parquet.schema.column(i)
        if column.physical_type == "FIXED_LEN_BYTE_ARRAY" and column.length > LARGEST_FIXED:
            raise FormatError(f"a value has {column.length} bytes", column=column.path, next_step="Use a plain type")
    return parquet


def _check_pages(file: BinaryIO) -> None:
    rows = unpacked = count = 0
    for chunk in chunks(file):
        if min(chunk) < 0 or chunk.values > chunk.rows * MEAN_IN_LIST:
            wrong = f"{chunk.values:,} values in {chunk.rows:,} rows"
            raise FormatError(wrong, next_step="Give a day's 48 half-hours in a row")
        if chunk.values > chunk.rows > MOST_ROWS_WITH_LISTS:
            next_step = f"Write row groups of at most {MOST_ROWS_WITH_LISTS:,} rows"
            raise FormatError(f"a row group has {chunk.rows:,} rows", next_step=next_step)
        rows += chunk.rows if chunk.column == 0 else 0
        if rows > MOST_ROWS:
            raise FormatError(f"it has more than {MOST_ROWS:,} rows", next_step=_PARTS)
        values = 0
        for page in pages(file, chunk):
            count, unpacked = count + 1, unpacked + page.unpacked
            values += 0 if page.dictionary else page.values
            if page.unpacked > min(LARGEST_PAGE, page.values * LONGEST_TEXT + _LEVELS) or values > chunk.values:
                wrong = f"a page says {page.values:,} values in {page.unpacked:,} bytes"
                raise FormatError(wrong, next_step="Write the file anew with smaller pages")
            if count > MOST_PAGES:
                raise FormatError(f"it has more than {MOST_PAGES:,} pages", next_step=_PARTS)
            if unpacked > MOST_BYTES:
                raise FormatError("it is larger than 4 GiB when unpacked", next_step=_PARTS)


def records(file: BinaryIO, parquet: Any) -> Iterator[Any]:
    """Record batches of at most ROWS rows; all text in them is plain."""
    texts = []
    for i in range(len(parquet.schema)):
        column = parquet.schema.column(i)
        if column.physical_type != "BYTE_ARRAY":
            continue
        kind = parquet.schema_arrow.field(column.path).type if column.path in parquet.schema_arrow.names else None
        if kind is None or pa.types.is_decimal(kind):
            raise FormatError("numbers as bytes of any length", column=column.path, next_step="Use a plain type")
        texts.append(column.path)
    for record in pq.ParquetFile(file, read_dictionary=texts).iter_batches(batch_size=ROWS):
        columns = [_bounded(name, column) for name, column in zip(record.schema.names, record.columns, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, names=record.schema.names)


def _bounded(name: str, column: Any) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        _check_longest(name, pc.binary_length(column.dictionary), LONGEST_TEXT, "bytes in a value")
        return column.dictionary_decode().cast(pa.string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _check_longest(name, pc.binary_length(column), LONGEST_TEXT, "bytes in a value")
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        _check_longest(name, pc.list_value_length(column), MOST_IN_LIST, "values in a row")
    return column


def _check_longest(name: str, lengths: Any, most: int, what: str) -> None:
    longest = pc.max(lengths).as_py() or 0
    if longest > most:
        next_step = "Check that this column holds what its name says"
        raise FormatError(f"{longest:,} {what}", column=name, next_step=next_step)
