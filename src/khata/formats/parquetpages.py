"""How many values a Parquet file holds in truth, page by page, before a reader makes room for them.

The footer and the head of each page are Thrift (compact protocol). A footer that lies about its columns ends the whole
process in the library that reads them, and a page that says two thousand million values takes all memory: so what is
needed is read here first, and nothing else of it is kept.
"""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from khata.formats.text import FormatError

MOST_FOOTER_BYTES = 8 << 20
MOST_PAGES = 200_000
_MOST_HEAD_BYTES = 64 << 10
_DEEPEST = 24
_DAMAGED = FormatError("its footer or a page is damaged", next_step="Write the file anew, and send it again")

# What is kept, by the numbers of parquet.thrift: the row groups with their columns; of a page its sizes and values.
_FOOTER: dict[int, Any] = {4: {1: {3: {5: None, 7: None, 9: None, 11: None}}, 3: None}}
_PAGE: dict[int, Any] = {1: None, 2: None, 3: None, 5: {1: None}, 7: {1: None}, 8: {1: None}}
_VALUES_IN = {0: 5, 2: 7, 3: 8}  # data page, dictionary page, data page of version 2


class Chunk(NamedTuple):
    """A column of a row group: where its pages lie, and how many values it says to have."""

    column: int
    rows: int
    values: int
    start: int
    size: int


class Page(NamedTuple):
    values: int
    unpacked: int
    dictionary: bool


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Of every row group every column, in the file's order."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(end - 8, 0))
    tail = file.read(8)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or size > end - 8:
        raise FormatError("this is not a whole Parquet file", next_step="Check that it arrived complete")
    if size > MOST_FOOTER_BYTES:
        wrong = f"its footer has more than {MOST_FOOTER_BYTES >> 20} MiB"
        raise FormatError(wrong, next_step="Write larger row groups, or send it in parts, a day each")
    file.seek(end - 8 - size)
    for group in _read(file.read(size), _FOOTER)[0].get(4, ()):
        for place, column in enumerate(group.get(1, ())):
            said = column.get(3)
            if said is None:
                raise _DAMAGED
            data, dictionary = said.get(9, 0), said.get(11, 0)
            start = dictionary if 0 < dictionary < data else data
            yield Chunk(place, group.get(3, 0), said.get(5, 0), start, said.get(7, 0))


def pages(file: BinaryIO, chunk: Chunk) -> Iterator[Page]:
    """Its pages, as far as a reader goes: until there are as many values as the chunk says."""
    at, end, seen = chunk.start, chunk.start + chunk.size, 0
    while seen < chunk.values and at < end:
        file.seek(at)
        head, length = _read(file.read(_MOST_HEAD_BYTES), _PAGE)
        kind, unpacked, packed = (head.get(number, -1) for number in (1, 2, 3))
        if min(unpacked, packed) < 0:
            raise _DAMAGED
        values = head.get(_VALUES_IN.get(kind, 0), {}).get(1, 0)
        if values < 0:
            raise _DAMAGED
        yield Page(values, unpacked, kind == 2)
        seen += 0 if kind == 2 else values
        at += length + packed


def _read(data: bytes, wanted: dict[int, Any]) -> tuple[dict[int, Any], int]:
    """A struct, of it what is wanted; and its length."""
    thrift = _Thrift(data)
    try:
        return thrift.struct(wanted, 0), thrift.at
    except (IndexError, ValueError, AttributeError):
        raise _DAMAGED from None


class _Thrift:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def count(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError
        return value | byte << shift

    def number(self) -> int:
        value = self.count()
        return value >> 1 ^ -(value & 1)

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise IndexError

    def struct(self, wanted: dict[int, Any] | None, depth: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.number()
            kind = head & 15
            if kind in (1, 2):  # true and false are their own value
                continue
            keep = wanted is not None and field in wanted
            value = self.value(kind, wanted[field] if keep and wanted else None, depth + 1)
            if keep:
                found[field] = value
        return found

    def value(self, kind: int, wanted: dict[int, Any] | None, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError
        if kind in (4, 5, 6):
            return self.number()
        if kind in (1, 2, 3):
            return self.skip(1)
        if kind == 7:
            return self.skip(8)
        if kind == 8:
            return self.skip(self.count())
        if kind in (9, 10):
            head = self.byte()
            size = self.count() if head >> 4 == 15 else head >> 4
            return self.many(size, (head & 15,), wanted, depth)
        if kind == 11:
            size = self.count()
            kinds = self.byte() if size else 0
            return self.many(size, (kinds >> 4, kinds & 15), None, depth)
        if kind == 12:
            return self.struct(wanted, depth)
        raise ValueError

    def many(self, size: int, kinds: tuple[int, ...], wanted: dict[int, Any] | None, depth: int) -> list[Any]:
        if size > len(self.data) - self.at:
            raise ValueError
        found = []
        for _ in range(size):
            for kind in kinds:
                value = self.value(kind, wanted, depth + 1)
            if wanted is not None:
                found.append(value)
        return found
