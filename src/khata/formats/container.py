"""What a delivery is, told by its first bytes, and opened safely: packed or not, of any size, from anybody.

A new format is a module with a reader and a row in FORMS, and a page in docs/how-to.
"""

import importlib
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from khata.formats.csvfile import BOM
from khata.formats.meterdays import MOST_BYTES, Batch, Refused, only_refused
from khata.formats.text import FormatError, shown

MOST_RATIO = 200
FREE_OF_RATIO = 4 << 20  # bytes unpacked before the ratio counts
FIRST_BYTES = 4096
MOST_REFUSED = 200_000  # rows, where they are more than those that can be read

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_CHUNK = 1 << 16
_UNPACKED_CUT = "the gzip file ends before its end"
_SAYS_CUT_OFF = re.compile(r"the delivery (ends in the middle|is cut off)")


class Form(NamedTuple):
    """Where a form's reader is, and how a person calls the form. `serial`: the reader needs the meter's number."""

    module: str
    reader: str
    title: str
    serial: bool = False


FORMS = {
    "block csv": Form("khata.formats.meterdays_csv", "read_csv", "CSV: meter, day and kWh or 48 half-hours"),
    "parquet": Form("khata.formats.meterdays_parquet", "read_parquet", "Parquet with the columns of the CSV"),
    "daily load": Form("khata.formats.dailyload", "read_daily_load", "CSV of registers at midnight or billing dates"),
    "hes json": Form("khata.formats.hes", "read_hes", "JSON of a head-end system, with OBIS codes"),
    "nem12": Form("khata.formats.nem12", "read_nem12", "NEM12 or NEM13 of the Australian market"),
    "espi": Form("khata.formats.espi", "read_espi", "Green Button, ESPI XML"),
    "fluvius": Form("khata.formats.fluvius", "read_fluvius", "CSV of Fluvius, Belgium"),
    "enel": Form("khata.formats.enel", "read_enel", "CSV of Enel Distribuzione, Italy", serial=True),
}


@dataclass(frozen=True)
class Opened:
    """A delivery of a known form, and what its reader hands on."""

    form: str
    batches: Iterator[Batch]


def open_delivery(file: BinaryIO, *, size: int | None, form: str | None, name: str, serial: str = "") -> Opened:
    """The delivery's batches; its form by its first bytes where `form` is None.

    `size` in bytes where it is known before; `name` of the file, for errors; `serial` the number of the meter, for a
    form that does not say it. FormatError where it is too large, of no known form, or not what it says it is; that may
    also come later, while the batches are read.
    """
    check_size(size)
    plain: Buffered = io.BufferedReader(_Counted(file), _CHUNK)
    packed = None
    if _first(plain).startswith(_GZIP):
        packed = _Unpacked(plain)
        plain = io.BufferedReader(packed, _CHUNK)
    first = _first(plain)
    if packed and first.startswith(_GZIP):
        raise FormatError("it is packed twice", where=name, next_step="Pack it with gzip once")
    found = form or _recognised(first, name)
    reader = _reader(found, serial)
    if found == "parquet":
        if packed:
            raise FormatError(
                "a Parquet file inside gzip", where=name, next_step="Send it as it is: it is packed already"
            )
        file.seek(0)
        return Opened(found, _bounded(reader(file)))
    batches = _bounded(reader(plain))
    return Opened(found, batches if packed is None else _whole_or_noted(batches, packed))


def check_size(size: int | None) -> None:
    """FormatError at once where a file is too large to be read at all."""
    if size is not None and size > MOST_BYTES:
        wrong = f"it has {size / 2**30:.1f} GiB, more than {MOST_BYTES >> 30}"
        raise FormatError(wrong, next_step="Send it in parts, a day each")


def _reader(form: str, serial: str) -> Callable[[BinaryIO], Iterator[Batch]]:
    known = FORMS.get(form)
    if known is None:
        raise FormatError(f"the form {shown(form)} is not known", next_step=f"Say one of: {', '.join(FORMS)}")
    if known.serial and not serial:
        raise FormatError("this form does not say which meter it is of", next_step="Give the meter's number (--meter)")
    read: Any = getattr(importlib.import_module(known.module), known.reader)
    if known.serial:
        return lambda file: read(file, serial=serial)
    return lambda file: read(file)


# ── which form it is ──────────────────────────────────────────────────────────────────────────────────────────────


def _first(file: "Buffered") -> bytes:
    """Its first bytes, which stay where they are."""
    return file.peek(FIRST_BYTES)[:FIRST_BYTES]


def _recognised(first: bytes, name: str) -> str:
    if first.startswith(_PARQUET):
        return "parquet"
    start = first.removeprefix(BOM).lstrip()
    for mark, form in ((b"<", "espi"), (b"{", "hes json"), (b"[", "hes json"), (b"100,", "nem12"), (b"200,", "nem12")):
        if start.startswith(mark):
            return form
    return _by_header(start.partition(b"\n")[0].decode(errors="replace"), name)


def _by_header(header: str, name: str) -> str:
    for comma in (",", ";"):
        names = [cell.strip().strip('"').lower() for cell in header.split(comma)]
        if {"van datum", "ean", "register"} <= set(names):
            return "fluvius"
        if names[0] == "giorno" and comma == ";":
            return "enel"
        if "billing_date" in names or ({"register_kwh", "export_kwh", "register_kvah", "export_kvah"} & set(names)):
            return "daily load"
        if "meter" in names or {"day", "kwh", "b01"} & set(names):
            return "block csv"  # whose reader says what is missing
    if not header:
        raise FormatError("the file is empty", where=name, line=1, next_step="Check that the export finished")
    wrong = f"it begins with {shown(header)}, which is no form that is known"
    raise FormatError(wrong, where=name, line=1, next_step=f"Send one of: {', '.join(FORMS)}")


# ── streams with limits ───────────────────────────────────────────────────────────────────────────────────────────


class _Stream(io.RawIOBase):
    """Bytes as they come, gathered so that nobody sees a short read before the end."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        while filled < len(buffer) and (data := self.more(len(buffer) - filled)) is not None:
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    def more(self, most: int) -> bytes | None:
        """Up to so many bytes, perhaps none yet; None at the end."""
        raise NotImplementedError


Buffered: TypeAlias = "io.BufferedReader[_Stream]"


class _Counted(_Stream):
    """The bytes of a file of unknown size, until there are too many."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.count = file, 0

    def more(self, most: int) -> bytes | None:
        data = self.file.read(most)
        self.count += len(data)
        check_size(self.count)
        return data or None


class _Unpacked(_Stream):
    """What gzip packed, member after member. A stream that stops early ends, and `cut` says so."""

    def __init__(self, packed: "Buffered") -> None:
        self.packed, self.member = packed, zlib.decompressobj(wbits=31)
        self.waiting = b""
        self.came, self.made, self.lines = 0, 0, 0
        self.cut = False

    def more(self, most: int) -> bytes | None:
        if not self.waiting:
            self.waiting = self.packed.read1(_CHUNK)
            self.came += len(self.waiting)
            if not self.waiting:
                self.cut = not self.member.eof
                return None
        made = self._unpack(most)
        self.made += len(made)
        self.lines += made.count(b"\n")
        self._check()
        return made

    def _unpack(self, most: int) -> bytes:
        if self.member.eof:  # another member, or zeros that fill a block up
            self.waiting = self.waiting.lstrip(b"\0")
            if not self.waiting:
                return b""
            self.member = zlib.decompressobj(wbits=31)
        try:
            made = self.member.decompress(self.waiting, most)
        except zlib.error as error:
            raise FormatError("the gzip file is damaged", next_step="Pack it again, and send it again") from error
        self.waiting = self.member.unused_data if self.member.eof else self.member.unconsumed_tail
        return made

    def _check(self) -> None:
        if self.made > FREE_OF_RATIO and self.made > MOST_RATIO * self.came:
            wrong = f"a gzip bomb: it unpacks to more than {MOST_RATIO} times its size"
            raise FormatError(wrong, next_step="Send the file unpacked, or in parts, a day each")
        if self.made > MOST_BYTES:
            wrong = f"it unpacks to more than {MOST_BYTES >> 30} GiB"
            raise FormatError(wrong, next_step="Send it in parts, a day each")


def _bounded(batches: Iterator[Batch]) -> Iterator[Batch]:
    """A file that is mostly something else is no delivery: it would fill the quarantine with itself."""
    read = refused = 0
    for batch in batches:
        yield batch
        read, refused = read + len(batch), refused + len(batch.refused)
        if refused > MOST_REFUSED and refused > read:
            wrong = f"{refused:,} rows cannot be read, and only {read:,} can; the last: {batch.refused[-1].reason}"
            raise FormatError(wrong.rstrip("."), next_step="Check that the file is of the form that it says it is")


def _whole_or_noted(batches: Iterator[Batch], packed: _Unpacked) -> Iterator[Batch]:
    """Where the packed stream was cut off, what came before it stands, and one refused row says so."""
    last: Refused | None = None
    line = 0
    for batch in batches:
        yield batch
        last = batch.refused[-1] if batch.refused else None
        line = max(line, int(batch.lines.max(initial=0)), *(each.line for each in batch.refused), 0)
    if packed.cut and not (last and _SAYS_CUT_OFF.search(last.reason)):
        reason = f"{_UNPACKED_CUT}. What came before stands; send the file again."
        yield only_refused([Refused(max(line, packed.lines) + 1, "VAL-08", reason)])
