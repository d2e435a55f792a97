"""Meter days from files: CSV (`meter,day,kwh` or `meter,day,b01,…,b48` in Wh) and Parquet of the same columns.

Block n is the energy of the half hour that ends n x 30 minutes after midnight, Indian time; an empty block is unknown.
Files are read in pieces and handed on as batches of columns. The CSV has two readers: Arrow for a piece that is as it
should be, and a plain one, line by line, for every other piece: what the plain one says is the definition, and Arrow is
only trusted with bytes on which the two agree. Bulk files take the digits 0-9 only (Devanagari digits are for people).
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from khata.formats.csvfile import BOM, LONGEST_LINE, check_header, decode_line, split_record
from khata.formats.text import FormatError, decimal_scaled, iso_date, shown

BLOCKS = tuple(f"b{n:02d}" for n in range(1, 49))
EXPECTED = "meter,day,kwh or meter,day,b01,…,b48"
BATCH_ROWS = 50_000
UNKNOWN_WH = -1
MOST_ERRORS = 10
LONGEST_SERIAL = 40
LARGEST_BLOCK_WH = 2**31 - 1
KILO = 3

T = TypeVar("T")

_PIECE_BYTES = 4 << 20
_PLAIN = b"0123456789.,-\r\n"  # all that a good piece has outside its meter numbers (and quotes)
_YEAR_1 = np.datetime64("0001-01-01")
_SERIAL_BYTES = bytes(range(32, 127))
_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)
_ENERGY = pa.decimal128(18, KILO)


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
    """The checked columns of a piece: energies are Wh, (n,) of whole days or (n, 48) with UNKNOWN_WH."""

    lines: NDArray[np.int64]
    serials: NDArray[np.bytes_]
    days: NDArray[np.datetime64]
    energy_wh: NDArray[np.int64] | NDArray[np.int32]


class Errors:
    """Collects up to MOST_ERRORS errors, then raises the first, which carries the others."""

    def __init__(self) -> None:
        self.found: list[FormatError] = []

    @property
    def full(self) -> bool:
        return len(self.found) >= MOST_ERRORS

    def add(self, error: FormatError) -> None:
        if not self.full:
            self.found.append(error)

    def raise_any(self) -> None:
        if self.found:
            first, *others = self.found
            first.more = tuple(others)
            raise first


def read_csv(file: BinaryIO) -> Iterator[MeterDayBatch]:
    """Batches of at most BATCH_ROWS. FormatError at the first bad piece (up to 10 errors); earlier batches are out."""
    line, names = _header(file)
    for first_line, piece in _pieces(file, line + 1):
        columns = _arrow_piece(piece, names, first_line)
        if columns is None:
            columns = _plain_piece(piece, names, first_line)
        yield from batches(columns)


def batches(columns: Columns) -> Iterator[MeterDayBatch]:
    for start in range(0, len(columns.lines), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        energy = columns.energy_wh[part]
        blocks = known = None
        if energy.ndim == 2:
            blocks, known = energy.astype(np.int32, copy=False), energy != UNKNOWN_WH
            total_known = known.all(axis=1)
            total = np.where(total_known, energy.sum(axis=1, dtype=np.int64), UNKNOWN_WH)
        else:
            total_known, total = np.ones(len(energy), np.bool_), energy.astype(np.int64, copy=False)
        serials, days = columns.serials[part], columns.days[part]
        yield MeterDayBatch(columns.lines[part], serials, days, blocks, known, total, total_known)


def energy_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Which of the two shapes a header announces."""
    if "kwh" in names:
        return ("kwh",)
    if not any(name in BLOCKS for name in names):
        raise FormatError("there is no column with energy", next_step=f"The header must be {EXPECTED}")
    return BLOCKS


def _header(file: BinaryIO) -> tuple[int, tuple[str, ...]]:
    line = 0
    while raw := file.readline(LONGEST_LINE):
        line += 1
        text = decode_line(raw.removeprefix(BOM) if line == 1 else raw, line)
        if text.strip():
            try:
                cells = [cell.strip() for cell in split_record(text.rstrip("\r\n"))]
                required = ("meter", "day", *energy_columns(cells))
                return line, check_header(cells, line=line, required=required, expected=EXPECTED)
            except FormatError as error:
                raise error.at(line=line) from None
    raise FormatError("the file is empty", line=1, next_step="Check that the export finished")


def _pieces(file: BinaryIO, line: int) -> Iterator[tuple[int, bytes]]:
    """(line on which it starts, whole lines)."""
    held, rest = b"", b""
    while read := file.read(_PIECE_BYTES):
        cut = read.rfind(b"\n") + 1
        if cut:
            if held:
                yield line, held
                line += held.count(b"\n")
            held, rest = rest + read[:cut], read[cut:]
        else:
            rest += read
            if len(rest) > LONGEST_LINE:
                decode_line(rest[:LONGEST_LINE], line + held.count(b"\n"))
    if held or rest:  # a last line may lack its end
        yield line, held + rest


# ── the quick reader ──────────────────────────────────────────────────────────────────────────────────────────────


def _arrow_piece(piece: bytes, names: Sequence[str], first_line: int) -> Columns | None:
    """The piece by Arrow; None where anything is out of the ordinary, for the plain reader to judge."""
    energy = energy_columns(names)
    types = {"meter": pa.string(), "day": pa.date32(), "kwh": _ENERGY, **dict.fromkeys(BLOCKS, pa.int32())}
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(piece),
            read_options=arrow_csv.ReadOptions(column_names=list(names)),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: types[name] for name in names},
                null_values=[""],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    serials = serial_column(table["meter"].combine_chunks())
    lines = _line_numbers(piece, first_line, len(table))
    if serials is None or lines is None or not _is_plain(piece, table["meter"]):
        return None
    days = table["day"].combine_chunks().to_numpy(zero_copy_only=False).astype("M8[D]")
    values = scaled_decimals(table["kwh"]) if energy == ("kwh",) else _block_matrix([table[name] for name in energy])
    if values is None or not (days >= _YEAR_1).all():  # no day, or the year 0, which only Arrow has
        return None
    return Columns(lines, serials, days, values)


def _is_plain(piece: bytes, meters: Any) -> bool:
    """Whether every unusual byte stands in a meter number, and every quote at the edge of a field."""
    numbers = b"".join(string_bytes(chunk)[0] for chunk in meters.chunks)
    quotes = piece.count(b'"')
    if quotes:
        opening = piece.count(b',"') + piece.count(b'\n"') + piece.startswith(b'"')
        closing = piece.count(b'",') + piece.count(b'"\n') + piece.count(b'"\r\n') + piece.endswith(b'"')
        if b'"' in numbers or opening != closing or opening + closing != quotes:
            return False
    return len(piece.translate(None, _PLAIN + b'"')) == len(numbers.translate(None, _PLAIN + b'"'))


def _line_numbers(piece: bytes, first_line: int, count: int) -> NDArray[np.int64] | None:
    if piece.count(b"\n") + (not piece.endswith(b"\n")) == count:
        return np.arange(first_line, first_line + count, dtype=np.int64)
    lines = piece.split(b"\n")
    filled = np.flatnonzero(np.fromiter((line not in (b"", b"\r") for line in lines), np.bool_, len(lines)))
    return first_line + filled if len(filled) == count else None


def _block_matrix(columns: Sequence[Any]) -> NDArray[np.int32] | None:
    """(n, 48) with UNKNOWN_WH for null; None where a value is negative."""
    out = np.empty((len(columns[0]), len(columns)), np.int32)
    for j, column in enumerate(columns):
        if (pc.min(column).as_py() or 0) < 0:
            return None
        out[:, j] = pc.fill_null(column, UNKNOWN_WH).to_numpy()
    return out


def scaled_decimals(column: Any) -> NDArray[np.int64] | None:
    """Decimals of three places as integers (n,): the low half of Arrow's 128 bits. None where negative or null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count:
        return None
    halves = np.frombuffer(array.buffers()[1], np.int64) if len(array) else np.zeros(0, np.int64)
    values = halves[2 * array.offset : 2 * (array.offset + len(array)) : 2].copy()
    return None if (values < 0).any() else values


def string_bytes(array: Any) -> tuple[bytes, NDArray[np.int64]]:
    """The bytes of an Arrow string array and where each string starts and the last ends (n + 1,)."""
    if not len(array):
        return b"", np.zeros(1, np.int64)
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    text = data.slice(int(places[0]), int(places[-1] - places[0])).to_pybytes() if data is not None else b""
    return text, places - places[0]


def serial_column(array: Any) -> NDArray[np.bytes_] | None:
    """Meter numbers as 'S', or None where one is empty, too long or has an unusual character."""
    text, places = string_bytes(array)
    sizes = np.diff(places)
    if array.null_count or text.translate(None, _SERIAL_BYTES) or (len(sizes) and not sizes.min()):
        return None
    width = int(sizes.max(initial=1))
    if width > 4 * LONGEST_SERIAL:
        return None
    chars = np.zeros((len(sizes), width), np.uint8)
    chars[np.arange(width) < sizes[:, None]] = np.frombuffer(text, np.uint8)
    serials: NDArray[np.bytes_] = chars.view(f"S{width}").reshape(-1)
    if b" " in text:
        serials = np.strings.strip(serials)
    sizes = np.strings.str_len(serials)
    return None if len(sizes) and (not sizes.min() or sizes.max() > LONGEST_SERIAL) else serials


# ── the plain reader ──────────────────────────────────────────────────────────────────────────────────────────────


def _plain_piece(piece: bytes, names: Sequence[str], first_line: int) -> Columns:
    energy = energy_columns(names)
    errors = Errors()
    lines: list[int] = []
    rows: list[tuple[bytes, str, list[int]]] = []
    for number, raw in enumerate(piece.split(b"\n"), first_line):
        if errors.full:
            break
        try:
            text = decode_line(raw, number).removesuffix("\r")
            if text.strip():
                rows.append(_plain_row(text, names, energy))
                lines.append(number)
        except FormatError as error:
            errors.add(error.at(line=number))
    errors.raise_any()
    serials = np.array([row[0] for row in rows], np.bytes_)
    days = np.array([row[1] for row in rows], "M8[D]")
    values = np.array([row[2] for row in rows], np.int64).reshape(len(rows), len(energy))
    return Columns(np.array(lines, np.int64), serials, days, values if energy == BLOCKS else values[:, 0])


def _plain_row(text: str, names: Sequence[str], energy: tuple[str, ...]) -> tuple[bytes, str, list[int]]:
    cells = split_record(text)
    if len(cells) != len(names):
        raise FormatError(
            f"{len(cells)} fields, the header has {len(names)}", next_step="Check the commas of this line"
        )
    values = dict(zip(names, cells, strict=True))
    serial, day = _cell(values, "meter", plain_serial), _cell(values, "day", plain_day)
    read = plain_block if energy == BLOCKS else plain_kwh
    return serial, day, [_cell(values, name, read) for name in energy]


def _cell(values: dict[str, str], column: str, read: Callable[[str], T]) -> T:
    try:
        return read(values[column])
    except FormatError as error:
        raise error.at(line=None, column=column) from None


def plain_serial(text: str) -> bytes:
    """The error never shows the number: it leads to a person."""
    serial = text.strip(" ")
    if not serial:
        raise FormatError("the meter number is empty", next_step="Give the number on the meter's plate")
    if len(serial) > LONGEST_SERIAL or not serial.isascii() or not serial.isprintable():
        wrong = f"the meter number has more than {LONGEST_SERIAL} characters or one that is no letter, digit or sign"
        raise FormatError(wrong, next_step="Give the number on the meter's plate, in ASCII")
    return serial.encode()


def plain_day(text: str) -> str:
    return iso_date(_ascii(text, "day"), what="day").isoformat()


def plain_kwh(text: str) -> int:
    energy_wh = decimal_scaled(_ascii(text, "kwh"), KILO, what="kwh")
    if energy_wh < 0:
        raise FormatError(f"kwh {shown(text)} is below 0", next_step="Send export energy in a file of its own")
    return energy_wh


def plain_block(text: str) -> int:
    cell = _ascii(text, "the block").strip()
    if not cell:
        return UNKNOWN_WH
    if not _WHOLE.fullmatch(cell):
        raise FormatError(f"the block {shown(cell)} is not a whole number", next_step="Give Wh, or leave it empty")
    energy_wh = int(cell[:20])
    if energy_wh < 0 or len(cell) > 20:
        wrong = "is below 0" if cell.startswith("-") else "is too large"
        raise FormatError(f"the block {shown(cell)} {wrong}", next_step="Give Wh, or leave it empty if it is unknown")
    if energy_wh > LARGEST_BLOCK_WH:
        raise FormatError(f"the block {shown(cell)} is too large", next_step="Give Wh, at most 2147483647")
    return energy_wh


def _ascii(text: str, what: str) -> str:
    if not text.isascii():
        raise FormatError(f"{what} {shown(text)} has a character that is not ASCII", next_step="Use the digits 0 to 9")
    return text
