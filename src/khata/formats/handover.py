"""The five hand-over files of an old billing system, read twice as a stream: once for its facts, once for its rows.

A record is one physical line. Styles that differ from file to file are taken as they are: UTF-8 with or without a
byte-order mark or Windows-1252, LF or CRLF, columns in any order, blank lines, `07-JUN-26` or `2026-06-07`, `.34`, a
blank for 0. What is wrong in a row is told with the row (MIG-nn); what puts the whole file in doubt is a FormatError.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from khata.formats.csvfile import BOM, check_header, split_record
from khata.formats.handover_columns import AMOUNTS, DATES, HEADERS, day, rupees
from khata.formats.handover_rows import LONGEST_LINE, UTF_8, UTF_8_WITH_MARK, WINDOWS_1252, LineReader, StagedLine
from khata.formats.text import FormatError, shown

KINDS = ("master", "billed", "meters", "heads", "control")
MOST_LINES = 2_000_000  # what is remembered of each row, to find the same account again, stays within 250 MB
ENGLISH_DAY, ISO_DAY = "07-JUN-26", "2026-06-07"
BLANK, WHOLE, BARE, DECIMALS = "blank", "1234", ".34", "1234.50"
DATE_STYLES = (ENGLISH_DAY, ISO_DAY)
AMOUNT_STYLES = (DECIMALS, WHOLE, BARE, BLANK)
LIKELY = 0.5

__all__ = ["KINDS", "Facts", "StagedLine", "columns_of", "open_handover", "read_line", "read_rows"]


@dataclass(frozen=True)
class Facts:
    """What a whole file shows.

    encoding      utf-8 (ASCII too), utf-8-sig (with a byte-order mark) or cp1252
    newline       LF, CRLF or mixed
    header        column names in the order of the file
    rows          lines after the header that are not blank
    date_styles   of `07-JUN-26`, `2026-06-07`: those that occur in the columns that count
    amount_styles of `1234.50`, `1234`, `.34`, `blank`: likewise
    """

    encoding: str
    newline: str
    header: tuple[str, ...]
    blank_lines_before_header: int
    rows: int
    sha256: str
    date_styles: tuple[str, ...]
    amount_styles: tuple[str, ...]
    ends_without_newline: bool


def columns_of(kind: str) -> tuple[str, ...]:
    """The column names of a kind of file, in the order in which they are usually handed over."""
    return HEADERS[kind]


def open_handover(file: BinaryIO, *, kind: str, size: int) -> Facts:
    """Reads the whole file once. FormatError if it is no file of this kind, or not `size` bytes, or has no row."""
    survey = _Survey()
    lines = _lines(file, survey.watch)
    number, raw = next((line for line in lines if not _is_blank(line[1].removeprefix(BOM))), (0, b""))
    if not number:
        raise FormatError("the file is empty", line=1, next_step="Check that the export finished")
    header = _header(raw.removeprefix(BOM) if number == 1 else raw, number, kind)
    styles = _Styles(kind, header)
    for _, raw in lines:
        if not _is_blank(raw):
            survey.row(raw)
            styles.see(raw)
    if survey.size != size:
        wrong = f"{survey.size} bytes could be read of {size}"
        raise FormatError(wrong, next_step="Check that the copy is finished and nobody is writing the file")
    if not survey.rows:
        raise FormatError("there is a header and no row", line=number, next_step="Check that the export finished")
    return Facts(
        encoding=survey.encoding(),
        newline=survey.newline(),
        header=header,
        blank_lines_before_header=number - 1,
        rows=survey.rows,
        sha256=survey.sha.hexdigest(),
        date_styles=styles.of_dates(),
        amount_styles=styles.of_amounts(),
        ends_without_newline=survey.ends_without_newline,
    )


def read_rows(file: BinaryIO, facts: Facts, kind: str) -> Iterator[StagedLine]:
    """Every row of a file that has these facts, in order, from its beginning. FormatError if it has changed since."""
    reader = _reader(facts, kind)
    header_line = facts.blank_lines_before_header + 1
    file.seek(0)
    rows = 0
    for number, raw in _lines(file):
        if number > header_line and not _is_blank(raw):
            rows += 1
            yield reader.read(raw, line=number)
    if rows != facts.rows:
        wrong = f"{rows} rows, {facts.rows} when it was first read"
        raise FormatError(wrong, next_step="Do not write to the file while it is read")


def read_line(raw: bytes, facts: Facts, kind: str, changes: Mapping[str, str], *, line: int = 0) -> StagedLine:
    """One row (its bytes as StagedLine.raw gave them) with the texts of some columns, by their names, replaced.

    A row with MIG-21 or MIG-22 mostly stays broken: then only a corrected file can mend it. FormatError for an unknown
    column or a text that cannot stand in a line.
    """
    for name, text in changes.items():
        if name not in facts.header:
            wrong = f"there is no column {shown(name)} in a {kind} file"
            raise FormatError(wrong, next_step=f"Choose one of {', '.join(facts.header)}")
        if any(code < " " for code in text):
            wrong = "the new text has a line end or another control character"
            raise FormatError(wrong, column=name, next_step="Type it on one line")
    return _reader(facts, kind).read(raw, line=line, changes=changes)


def _reader(facts: Facts, kind: str) -> LineReader:
    return LineReader(kind=kind, header=facts.header, encoding=facts.encoding)


def _lines(file: BinaryIO, watch: Callable[[bytes, int], None] | None = None) -> Iterator[tuple[int, bytes]]:
    """(number, bytes with the line end); of a line longer than LONGEST_LINE its beginning, one byte more than that.

    `watch` is shown every byte, in pieces, with the number of the line.
    """
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        piece = raw
        if watch:
            watch(piece, number)
        while len(piece) > LONGEST_LINE and not piece.endswith(b"\n"):
            piece = file.readline(LONGEST_LINE + 1)
            if watch:
                watch(piece, number)
        yield number, raw


def _is_blank(raw: bytes) -> bool:
    return not raw or (raw.isspace() and len(raw) <= LONGEST_LINE)


def _header(raw: bytes, line: int, kind: str) -> tuple[str, ...]:
    try:
        if len(raw) > LONGEST_LINE:
            raise FormatError("the header is longer than 64 KB", next_step="Check that this is a CSV file")
        cells = split_record(raw.decode("ascii", errors="replace").removesuffix("\n").removesuffix("\r"))
        names = tuple(cell.strip() for cell in cells)
        if (looks_like := _likely_kind(names)) not in (kind, ""):
            wrong = f"this is the header of a {looks_like} file, not of a {kind} file"
            raise FormatError(wrong, next_step="Check the file's name")
        return check_header(names, line=line, required=columns_of(kind))
    except FormatError as error:
        raise error.at(line=line) from None


def _likely_kind(names: Sequence[str]) -> str:
    """The kind with which a header has most in common, if that is more than half of both together."""
    found = set(names)
    share, kind = max((len(found & set(header)) / len(found | set(header)), kind) for kind, header in HEADERS.items())
    return kind if share > LIKELY else ""


class _Survey:
    """What is counted of a file while its bytes go by."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        self.size = self.rows = 0
        self.ends_without_newline = False
        self._marked = False
        self._lf = self._crlf = self._utf_8_rows = self._other_rows = 0

    def watch(self, piece: bytes, line: int) -> None:
        if line > MOST_LINES:
            wrong = f"the file has more than {MOST_LINES:,} lines, and no division has so many accounts"
            raise FormatError(wrong, line=line, next_step="Check that it is one division's file, and whole")
        if b"\0" in piece:
            wrong = "the line has a NUL byte: this is no text file, or one in UTF-16"
            raise FormatError(wrong, line=line, next_step="Save the file as CSV in UTF-8")
        if not self.size:
            self._marked = piece.startswith(BOM)
        self.sha.update(piece)
        self.size += len(piece)
        if piece:
            self.ends_without_newline = not piece.endswith(b"\n")
        if piece.endswith(b"\r\n"):
            self._crlf += 1
        elif piece.endswith(b"\n"):
            self._lf += 1

    def row(self, raw: bytes) -> None:
        self.rows += 1
        if raw.isascii() or len(raw) > LONGEST_LINE:
            return
        try:
            raw.decode()
            self._utf_8_rows += 1
        except UnicodeDecodeError as error:
            cut_inside_a_letter = error.reason == "unexpected end of data" and not raw.endswith(b"\n")
            self._other_rows += not cut_inside_a_letter

    def encoding(self) -> str:
        if self._marked:
            return UTF_8_WITH_MARK
        return WINDOWS_1252 if self._other_rows and not self._utf_8_rows else UTF_8

    def newline(self) -> str:
        if self._crlf and self._lf:
            return "mixed"
        return "CRLF" if self._crlf else "LF"


class _Styles:
    """Which ways of writing dates and amounts occur. A cell is read only while its style has not been seen."""

    def __init__(self, kind: str, header: Sequence[str]) -> None:
        self._width = len(header)
        self._dates = [header.index(name) for name in DATES.get(kind, ())]
        self._amounts = [header.index(name) for name in AMOUNTS.get(kind, ())]
        self._seen: set[str] = set()
        self._possible = len(DATE_STYLES) * bool(self._dates) + len(AMOUNT_STYLES) * bool(self._amounts)

    def see(self, raw: bytes) -> None:
        if len(self._seen) == self._possible or len(raw) > LONGEST_LINE:
            return
        try:
            cells = split_record(raw.decode("latin-1").removesuffix("\n").removesuffix("\r"))
        except FormatError:
            return
        if len(cells) == self._width:
            for at in self._dates:
                self._note(cells[at].strip(), _date_style, day)
            for at in self._amounts:
                self._note(cells[at].strip(), _amount_style, rupees)

    def _note(self, text: str, style_of: Callable[[str], str], read: Callable[[str], object]) -> None:
        style = style_of(text)
        if style not in self._seen and style:
            try:
                if text:
                    read(text)
                self._seen.add(style)
            except ValueError:
                return

    def of_dates(self) -> tuple[str, ...]:
        return tuple(style for style in DATE_STYLES if style in self._seen)

    def of_amounts(self) -> tuple[str, ...]:
        return tuple(style for style in AMOUNT_STYLES if style in self._seen)


def _date_style(text: str) -> str:
    return {9: ENGLISH_DAY, 10: ISO_DAY}.get(len(text), "")


def _amount_style(text: str) -> str:
    if not text:
        return BLANK
    if "." not in text:
        return WHOLE
    return BARE if text.startswith((".", "-.")) else DECIMALS
