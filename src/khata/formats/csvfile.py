"""A strict reader of CSV tables (RFC 4180), line by line from a binary file: one numbered error per fault.

Accepted beyond the letter: a UTF-8 byte-order mark, LF or CRLF, blank lines (skipped, also before the header), columns
in any order, blanks around a column's name.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from khata.formats.text import FormatError, shown

BOM = b"\xef\xbb\xbf"
LONGEST_LINE = 1 << 20
MOST_LINES_OF_A_RECORD = 100
MOST_BLANK_LINES = 10_000  # in a row; a small gzip file may unpack to millions

_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\Z|(?=\r?\n\Z))')
_OPEN_QUOTE = re.compile(r'"[^"]*(?:""[^"]*)*\Z')


@dataclass(frozen=True)
class Row:
    """One record: the line it starts on, and its text by column name (every column of the header)."""

    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class BadRow:
    """A record that is no row of this table, though the table goes on after it."""

    line: int
    error: FormatError


def read_table(file: BinaryIO, *, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a table; the first fault of any kind raises FormatError."""
    for row in read_rows(file, required=required, optional=optional):
        if isinstance(row, BadRow):
            raise row.error
        yield row


def read_rows(file: BinaryIO, *, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row | BadRow]:
    """As read_table, but a record with a wrong number of fields or stray quotes is handed on as a BadRow.

    What puts the whole file in doubt still raises: its header, its encoding, a quote that never closes.
    """
    records = _records(file)
    line, text = next(records, (1, ""))
    header = check_header(_header_cells(line, text), line=line, required=required, optional=optional)
    for line, text in records:
        try:
            cells = split_record(text)
        except FormatError as error:
            yield BadRow(line, error.at(line=line))
            continue
        if len(cells) != len(header):
            wrong = f"{len(cells)} fields, the header has {len(header)}"
            yield BadRow(line, FormatError(wrong, line=line, next_step="Put a text that contains a comma in quotes"))
        else:
            yield Row(line, dict(zip(header, cells, strict=True)))


def check_header(
    cells: Sequence[str], *, line: int, required: Sequence[str], optional: Sequence[str] = (), expected: str = ""
) -> tuple[str, ...]:
    """The column names without blanks around them, or a FormatError about a missing, unknown or repeated one.

    `expected` is the header as an error describes it, where listing every column would be too long.
    """
    names = tuple(cell.strip() for cell in cells)
    listed = ",".join(required) + "".join(f"[,{name}]" for name in optional)
    next_step = f"The header must be {expected or listed}"
    missing = [name for name in required if name not in names]
    if missing:
        raise FormatError(f"the column {missing[0]} is missing", line=line, column=missing[0], next_step=next_step)
    for i, name in enumerate(names):
        if name not in required and name not in optional:
            raise FormatError(f"the column {shown(name)} is not known", line=line, next_step=next_step)
        if name in names[:i]:
            raise FormatError(f"the column {name} stands twice", line=line, column=name, next_step=next_step)
    return names


def split_record(text: str) -> list[str]:
    """The fields of one record without its line end."""
    if "\r" not in text and "\n" not in text and (plain := _split_plainly(text)) is not None:
        return plain
    return _split_carefully(text)


def _split_carefully(text: str) -> list[str]:
    """Field by field."""
    cells: list[str] = []
    at = 0
    while match := _FIELD.match(text, at):
        quoted, plain, comma = match.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        at = match.end()
        if not comma:
            return cells
    wrong = f"field {len(cells) + 1} has a stray quote or carriage return"
    raise FormatError(wrong, next_step='Put the whole field in quotes and write a quote inside it as ""')


def _split_plainly(text: str) -> list[str] | None:
    """The fields where no quote stands inside one, without looking at each; None where one may."""
    if '"' not in text:
        return text.split(",")
    cells: list[str] = []
    between = text.split('"')  # outside of quotes, inside, outside …
    last = len(between) - 1
    for i, part in enumerate(between):
        if i % 2:
            cells.append(part)
        elif part:
            if (i and part[0] != ",") or (i < last and part[-1] != ","):
                return None
            inner = part[bool(i) : len(part) - (i < last)]
            if inner or i in (0, last) or len(part) > 1:
                cells += inner.split(",")
        elif 0 < i < last:
            return None
    return None if last % 2 else cells


def _header_cells(line: int, text: str) -> list[str]:
    try:
        return split_record(text)
    except FormatError as error:
        raise error.at(line=line) from None


def _records(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """(first line, text) of each record that is not blank; a quoted field may run over several lines."""
    seen = False
    lines = _lines(file)
    last = 0
    for number, text in lines:
        if number - last > MOST_BLANK_LINES:
            raise only_blank(number)
        record, height = text, 1
        while '"' in record and _is_open(record):
            _, more = next(lines, (0, None))
            height += 1
            if more is None or height > MOST_LINES_OF_A_RECORD:
                wrong = "a quote is opened and not closed"
                raise FormatError(wrong, line=number, next_step='Close it, or write a quote inside a field as ""')
            record += more
        if record.strip():
            seen, last = True, number
            yield number, record.removesuffix("\n").removesuffix("\r")
    if not seen:
        raise FormatError("the file is empty", line=1, next_step="Check that the export finished")


def _is_open(record: str) -> bool:
    """Whether its last field began with a quote that has not closed. A stray quote inside a field opens nothing."""
    at = 0
    while (match := _FIELD.match(record, at)) and match[3]:
        at = match.end()
    return match is None and _OPEN_QUOTE.match(record, at) is not None


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """(number, text with its line end), decoded one by one so that an error knows its line."""
    number = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        yield number, decode_line(raw.removeprefix(BOM) if number == 1 else raw, number)


def only_blank(line: int) -> FormatError:
    wrong = f"{MOST_BLANK_LINES:,} blank lines in a row"
    return FormatError(wrong, line=line, next_step="Check the export, and send the file without them")


def decode_line(raw: bytes, number: int) -> str:
    if len(raw) >= LONGEST_LINE:
        raise FormatError("the line is longer than a mebibyte", line=number, next_step="Check that this is a CSV file")
    if b"\0" in raw:
        raise FormatError("the line has a NUL byte", line=number, next_step="Save the file as CSV in UTF-8")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start + 1} of the line is not UTF-8"
        raise FormatError(wrong, line=number, next_step="Save the file as CSV in UTF-8") from None


def no_formula(cell: str) -> str:
    """A text from outside for a table that people open in a spreadsheet, which would reckon with a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
