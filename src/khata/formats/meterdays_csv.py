"""Meter days from CSV: `meter,day,kwh` or `meter,day,b01,…,b48` in Wh, and what else a head-end may know of a day.

A piece of the file is some thousand whole lines. Lines that are as they should be are found and read by whole columns
of bytes (`meterdays_quick`); every other line goes to the plain reader here, which is the definition of what is
accepted: it reads the line after all, or says why it is refused. The lines beside a bad one do not notice it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from khata.formats.csvfile import (
    BOM,
    LONGEST_LINE,
    MOST_BLANK_LINES,
    check_header,
    decode_line,
    only_blank,
    split_record,
)
from khata.formats.meterdays import BATCH_ROWS, BLOCKS, CUT_OFF, UNKNOWN_WH, Columns, MeterDayBatch, Refused, batches
from khata.formats.meterdays_cells import COUNT, PLAIN, RowError, plain_day, plain_serial, refused
from khata.formats.meterdays_quick import Layout, quick_rows
from khata.formats.text import FormatError

EXPECTED = "meter,day,kwh or meter,day,b01,…,b48"
SINGLE = ("channel", "register_wh", "demand_w", "off")
WIDE = {"b": BLOCKS, **{group: tuple(f"{group}{n:02d}" for n in range(1, 49)) for group in ("v", "a", "hz")}}

# Columns of the file, columns of MeterDayBatch, and their type.
_MORE: tuple[tuple[str, str, Any], ...] = (
    ("channel", "channel", np.int8),
    ("register_wh", "register_wh", np.int64),
    ("demand_w", "demand_w", np.int64),
    ("off", "off", np.int64),
    ("v", "volts_dv", np.int32),
    ("a", "current_ma", np.int32),
    ("hz", "hertz_mhz", np.int32),
)
_PIECE_BYTES = 1 << 19  # columns of so much stay in the processor's cache


def read_csv(file: BinaryIO) -> Iterator[MeterDayBatch]:
    """Batches of at most BATCH_ROWS rows and as many refused lines. FormatError where it is no such table at all.

    A last line without its line end is refused: whether its last number is whole cannot be seen.
    """
    line, layout = _header(file)
    for first, piece in _pieces(file, line + 1):
        yield from batches(_read_piece(piece, layout, first))


def _header(file: BinaryIO) -> tuple[int, Layout]:
    line = 0
    while raw := file.readline(LONGEST_LINE):
        line += 1
        if line > MOST_BLANK_LINES:
            raise only_blank(line)
        text = decode_line(raw.removeprefix(BOM) if line == 1 else raw, line)
        if text.strip():
            try:
                return line, _layout([cell.strip() for cell in split_record(text.rstrip("\r\n"))], line)
            except FormatError as error:
                raise error.at(line=line) from None
    raise FormatError("the file is empty", line=1, next_step="Check that the export finished")


def _layout(cells: list[str], line: int) -> Layout:
    groups = [group for group, names in WIDE.items() if not set(names).isdisjoint(cells)]
    if "kwh" in cells:  # then b01 is one column too many, and the header check says so
        groups = ["kwh", *(group for group in groups if group != "b")]
    elif "b" not in groups:
        raise FormatError("there is no column with energy", next_step=f"The header must be {EXPECTED}")
    required = ["meter", "day", *(name for group in groups for name in WIDE.get(group, (group,)))]
    names = check_header(cells, line=line, required=required, optional=SINGLE, expected=EXPECTED)
    known = ("meter", "day", *groups, *(name for name in SINGLE if name in names))
    return Layout(names, {group: tuple(map(names.index, WIDE.get(group, (group,)))) for group in known})


def _pieces(file: BinaryIO, line: int) -> Iterator[tuple[int, bytes]]:
    """(line on which it starts, at most BATCH_ROWS whole lines); the last may lack its end.

    Of a line that is too long to be one only so much is kept that this is seen.
    """
    rest = b""
    while read := file.read(_PIECE_BYTES):
        cut = read.rfind(b"\n") + 1
        if not cut:
            rest = (rest + read)[:LONGEST_LINE]
            continue
        whole, rest = rest + read[:cut], read[cut:]
        ends = np.flatnonzero(np.frombuffer(whole, np.uint8) == ord("\n"))
        start = 0
        for at in range(0, len(ends), BATCH_ROWS):
            lines = ends[at : at + BATCH_ROWS]
            stop = int(lines[-1]) + 1
            yield line, whole[start:stop]
            start, line = stop, line + len(lines)
    if rest:
        yield line, rest


def _read_piece(piece: bytes, layout: Layout, first: int) -> Columns:
    if piece.isspace() and piece.count(b"\n") > MOST_BLANK_LINES:
        raise only_blank(first)
    quick, places, strange = quick_rows(piece, layout)
    plain = _plain_rows(piece, strange, layout, first)
    lines = places + first
    columns = {group: quick[group] for group in layout.columns}
    if plain.lines:
        lines = np.concatenate([lines, np.array(plain.lines, np.int64)])
        order = np.argsort(lines)
        lines = lines[order]
        columns = {group: np.concatenate([quick[group], plain.column(group)])[order] for group in layout.columns}
    energy = columns["b"] if "b" in columns else columns["kwh"]
    more = {name: columns[group].astype(kind, copy=False) for group, name, kind in _MORE if group in columns}
    return Columns(lines, columns["meter"], columns["day"], energy, more, tuple(plain.refused))


# ── the plain reader ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Plain:
    """Rows of the plain reader, a dict each from group to value, and the lines that it refused."""

    lines: list[int]
    rows: list[dict[str, Any]]
    refused: list[Refused]

    def column(self, group: str) -> NDArray[Any]:
        kind: Any = {"meter": np.bytes_, "day": "M8[D]"}.get(group, np.int64)
        return np.array([row[group] for row in self.rows], kind)


def _plain_rows(piece: bytes, places: NDArray[np.int64], layout: Layout, first: int) -> _Plain:
    """Those lines of the piece that begin and end at these places (n, 2), with their number in the piece (n, 3)."""
    plain = _Plain([], [], [])
    for number, start, end in places.tolist():
        raw, line, row = piece[start:end], first + number, dict[str, Any]()
        try:
            if not raw.endswith(b"\n") and raw.strip():
                _cut_off(raw.decode(errors="replace"), layout, row)
            text = decode_line(raw, line).removesuffix("\n").removesuffix("\r")
            if text.strip():
                _plain_row(text, layout, row)
                plain.lines.append(line)
                plain.rows.append(row)
        except FormatError as error:
            content = raw.decode(errors="replace").rstrip("\r\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
            known = {"serial": row.get("meter", b""), "day": row.get("day"), "channel": row.get("channel")}
            plain.refused.append(refused(error, line=line, content=content, **known))
    return plain


def _plain_row(text: str, layout: Layout, row: dict[str, Any]) -> None:
    """Fills `row`, and where it raises, as much of it as could be read."""
    cells = split_record(text)
    if len(cells) != len(layout.names):
        _wrong_count(cells, layout, row)
    _identity(cells, layout, row)
    for group, at in layout.fields.items():
        if group in ("meter", "day"):
            continue
        if len(at) == 1:
            row[group] = _cell(cells, layout, at[0], PLAIN[group])
        else:
            row[group] = _wide_cells([cells[i] for i in at], at, group, layout)


def _identity(cells: list[str], layout: Layout, row: dict[str, Any]) -> None:
    row["meter"] = _cell(cells, layout, layout.fields["meter"][0], plain_serial)
    row["day"] = _cell(cells, layout, layout.fields["day"][0], plain_day)


def _wide_cells(cells: list[str], at: tuple[int, ...], group: str, layout: Layout) -> list[int]:
    """The 48 cells of a group. Whole numbers of few digits are taken together, in haste; others one by one."""
    if group == "b" and all(not cell or (cell.isdigit() and cell.isascii() and len(cell) < 10) for cell in cells):
        return [int(cell) if cell else UNKNOWN_WH for cell in cells]
    names = layout.names
    return [_named(cell, names[i], PLAIN[group]) for cell, i in zip(cells, at, strict=True)]


def _cell(cells: list[str], layout: Layout, at: int, read: Any) -> Any:
    return _named(cells[at], layout.names[at], read)


def _named(cell: str, column: str, read: Any) -> Any:
    try:
        return read(cell)
    except FormatError as error:
        raise error.at(line=None, column=column) from None


def _wrong_count(cells: list[str], layout: Layout, row: dict[str, Any]) -> None:
    """Raises; a row that names its meter and its day has the wrong number of half-hours."""
    wrong = f"{len(cells)} fields, the header has {len(layout.names)}"
    half_hours = layout.fields.get("b")
    if half_hours and max(layout.fields["meter"][0], layout.fields["day"][0]) < min(half_hours[0], len(cells)):
        _identity(cells, layout, row)
        values = len(cells) - len(layout.names) + len(BLOCKS)
        if set(layout.fields) == {"meter", "day", "b"}:
            wrong = f"{values} half-hours, a day has {len(BLOCKS)}"
        raise RowError(wrong, next_step="Send every half-hour, empty where it is not known", rule=COUNT)
    raise FormatError(wrong, next_step="Check the commas of this line")


def _cut_off(text: str, layout: Layout, row: dict[str, Any]) -> None:
    """Raises; what stands before the last comma is whole."""
    whole = text.split(",")[:-1]
    try:
        if max(layout.fields["meter"][0], layout.fields["day"][0]) < len(whole):
            _identity(whole, layout, row)
    except FormatError:
        row.clear()
    ended = "Send it whole; a last line ends with a line break, too"
    raise FormatError(CUT_OFF, next_step=ended)
