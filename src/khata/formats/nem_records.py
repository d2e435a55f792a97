"""The records of a NEM12 or NEM13 file: its envelope of header (100) and end mark (900), one record after the other.

Accepted beyond the letter: several envelopes one behind the other, blank lines, and a 300 record that its publisher
broke over several lines, where it is plain how they go together: a comma at the break, and no line that begins as a
record does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from khata.formats.csvfile import LONGEST_LINE
from khata.formats.halfhours import Line, cut_off
from khata.formats.meterdays_cells import RowError
from khata.formats.text import FormatError, shown

KINDS = {"NEM12": ("200", "300", "400", "500"), "NEM13": ("250", "550")}
MOST_LINES_OF_A_RECORD = 100
FLAGS = "AESFNV"

_ALL_KINDS = {"100", "900", *KINDS["NEM12"], *KINDS["NEM13"]}
_WHOLE_300 = re.compile(rf",[{FLAGS}][0-9]{{0,2}}(?:,[^,]*){{4}}", re.ASCII)
_WHAT = "Give a file that begins with 100,NEM12 or 100,NEM13"


@dataclass(frozen=True)
class Record:
    """A record with its cells, or with the reason why it is none; `kind` is its number, or empty."""

    line: int
    kind: str
    cells: list[str]
    text: str
    problem: RowError | None = None


def open_envelope(lines: Iterator[Line]) -> str:
    """NEM12 or NEM13, as the header says. FormatError: there is no header."""
    first = next(lines, None)
    if first is None:
        raise FormatError("the file is empty", line=1, next_step="Check that the export finished")
    cells = [cell.strip() for cell in first.text.split(",")]
    if cells[0] != "100":
        raise FormatError("the header (100) is missing", line=first.number, next_step=_WHAT)
    if len(cells) != 5 or cells[1] not in KINDS:
        wrong = f"the header is not 100,NEM12 or NEM13,date and time,from,to but {shown(first.text)}"
        raise FormatError(wrong, line=first.number, next_step=_WHAT)
    return cells[1]


def records_of(lines: Iterator[Line], version: str) -> Iterator[Record]:
    """What follows the header. Where the file was cut off, the last record says so."""
    is_open, last, was_cut = True, 1, False
    for group in _grouped(lines):
        record = _record(group)
        last, was_cut = group[-1].number, not group[-1].ended
        problem = record.problem
        if record.kind == "900":
            is_open = False
        elif was_cut:
            problem = cut_off()
        elif record.kind == "100":
            problem = _header_problem(record, version, is_open)
            is_open = True
        elif not is_open:
            problem = RowError("it stands behind the end mark (900)", next_step="Put it before, or under a new header")
        elif record.kind not in KINDS[version] and problem is None:
            wrong = f"{shown(record.cells[0])} is no record of {version}"
            problem = RowError(wrong, next_step="Check that each record stands on a line of its own")
        yield Record(record.line, record.kind, record.cells, record.text, problem)
    if is_open and not was_cut:
        wrong = "the delivery is cut off: its end mark (900) is missing"
        yield Record(last, "", [], "", RowError(wrong, next_step="Ask the sender for it again"))


def fields(record: Record, count: int) -> list[str]:
    """The cells without blanks around them. RowError: not as many as the form has."""
    if len(record.cells) != count:
        wrong = f"{len(record.cells)} fields, a {record.kind} record has {count}"
        raise RowError(wrong, next_step="Give every field, an unused one empty")
    return [cell.strip(" ") for cell in record.cells]


def _header_problem(record: Record, version: str, is_open: bool) -> RowError | None:
    if is_open:
        return RowError(
            "a header (100) follows without an end mark (900)", next_step="Ask for the part before it again"
        )
    if len(record.cells) != 5 or record.cells[1].strip() != version:
        return RowError(f"the header is not that of a {version} file", next_step="Give each form in a file of its own")
    return None


def _grouped(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """The lines of each record: one, or those of a broken 300."""
    held: list[Line] = []
    for line in lines:
        kind = line.text.partition(",")[0].strip(" ")
        if held and (kind in _ALL_KINDS or len(held) >= MOST_LINES_OF_A_RECORD or _length(held) >= LONGEST_LINE):
            yield held
            held = []
        if not held and (kind != "300" or _WHOLE_300.search(line.text)):
            yield [line]
            continue
        held.append(line)
        if len(held) > 1 and _WHOLE_300.search("".join(part.text for part in held)):
            yield held
            held = []
    if held:
        yield held


def _length(lines: list[Line]) -> int:
    return sum(len(line.text) for line in lines)


def _record(lines: list[Line]) -> Record:
    first = lines[0]
    text = "".join(line.text for line in lines)
    cells = text.split(",")
    problem = None
    for before, after in pairwise(lines):
        if not before.text.endswith(",") and not after.text.startswith(","):
            wrong = "the record is broken over several lines, in the middle of a field or without a comma"
            problem = RowError(wrong, next_step="Write each record on one line")
    return Record(first.number, cells[0].strip(" "), cells, text, problem)
