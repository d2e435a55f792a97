"""One line of a hand-over file as typed values, and which numbered rules (MIG-nn) the line shows by itself."""

import codecs
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from khata.formats.csvfile import split_record
from khata.formats.handover_columns import LARGEST, USED
from khata.formats.text import FormatError, shown

LONGEST_LINE = 64 << 10
LONGEST_ACCOUNT = 40
MOST_SAID = 120
MOST_QUOTED_COMMAS = 20
WATTS_OF_A_BHP = 746
UTF_8, UTF_8_WITH_MARK, WINDOWS_1252 = "utf-8", "utf-8-sig", "cp1252"

_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\r\n")
_STRAY_QUOTE = re.compile('[^,"]"[^,"]')
_DEVANAGARI = re.compile("[\u0904-\u0939\u0958-\u0961\u0972-\u097f]")
_LATIN = re.compile("[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]")
_WHOLE = re.compile(r"[0-9]{1,10}", re.ASCII)
_ACCOUNT_LIKE = re.compile(r"[0-9]{6,8}|[0-9]{10}", re.ASCII)


@dataclass(slots=True)
class StagedLine:
    """A line of a file, its bytes unchanged, and what it says.

    line     physical line, from 1
    raw      with its line end; of a line longer than LONGEST_LINE only the beginning
    account  its number as written, without blanks around it, at most LONGEST_ACCOUNT characters; '' where the line
             does not tell it (control totals, a broken line)
    key      the same without zeros in front; '0' for zeros alone
    digest   16 bytes of the line without its line end
    rules    MIG-nn in order; values of a row with MIG-21 or MIG-22 are all None
    said     of each of these rules what stands there, shortened
    values   by column of the staged row, None where it cannot be read or is missing though it must be there
    """

    line: int
    raw: bytes
    account: str
    key: str
    digest: bytes
    rules: list[str]
    said: dict[str, str]
    values: dict[str, object]


class _BrokenLineError(Exception):
    """The line is no row of its file: which rule says so, what stands there, and whose line it is, if it tells."""

    def __init__(self, rule: str, said: str, account: str) -> None:
        super().__init__(rule)
        self.rule, self.said, self.account = rule, said, account


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no UTF-8, read as Windows-1252; those that are neither raise UnicodeDecodeError."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode(WINDOWS_1252), error.end


codecs.register_error("khata.windows-1252", _as_windows_1252)


class LineReader:
    """Reads the lines of a file of this kind whose header and encoding are known."""

    def __init__(self, *, kind: str, header: Sequence[str], encoding: str) -> None:
        place = {name: i for i, name in enumerate(header)}
        used = USED[kind]
        self._kind, self._header, self._width = kind, tuple(header), len(header)
        self._windows = encoding == WINDOWS_1252
        self._account, self._address = place.get("ACCT_ID", -1), place.get("ADDRESS", -1)
        self._meter = next((place[c.name] for c in used if c.to == "meter"), -1)
        self._plan = [(place[c.name], c.to, c.read, c.required, None if c.required else c.blank) for c in used if c.to]
        self._shapes = [(place[c.name], fits) for c in used if (fits := c.fits or c.read)]
        self._nothing: dict[str, object] = {c.to: None for c in used if c.to}

    def read(self, raw: bytes, *, line: int, changes: Mapping[str, str] | None = None) -> StagedLine:
        """`changes` are texts by column of the file that stand in place of what is written there."""
        body = raw.removesuffix(b"\n").removesuffix(b"\r")
        digest = hashlib.blake2b(body, digest_size=16).digest()
        said: dict[str, str] = {}
        try:
            cells = self._cells(raw, body, said, changes or {})
        except _BrokenLineError as broken:
            account, key = account_and_key(broken.account)
            return StagedLine(
                line, raw, account, key, digest, [broken.rule], {broken.rule: broken.said}, dict(self._nothing)
            )
        values = self._values(cells, said)
        account, key = account_and_key(cells[self._account] if self._account >= 0 else "")
        return StagedLine(line, raw, account, key, digest, sorted(said), said, values)

    # ── fields ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _cells(self, raw: bytes, body: bytes, said: dict[str, str], changes: Mapping[str, str]) -> list[str]:
        """The fields after the changes, as many as the header has; what was mended is in `said`. _BrokenLineError."""
        if len(raw) > LONGEST_LINE:
            raise _BrokenLineError(
                "MIG-22", f"> {LONGEST_LINE} B", self._account_in(body.decode(errors="replace").split(","))
            )
        text = self._text(body, said)
        cut_off = not raw.endswith(b"\n")
        try:
            cells = split_record(text)
        except FormatError:
            account = (_first_fields(text, self._account + 1) or [""])[-1]
            if cut_off and text.count(",") < self._width - 1:
                raise _BrokenLineError("MIG-21", f"{text.count(',') + 1} / {self._width}", account) from None
            raise _BrokenLineError("MIG-22", _around_a_quote(text), account) from None
        if len(cells) == self._width:
            return self._changed(cells, changes) if changes else cells
        counts = f"{len(cells)} / {self._width}"
        if len(cells) < self._width and cut_off:
            account = cells[self._account] if 0 <= self._account < len(cells) - 1 else ""
            raise _BrokenLineError("MIG-21", counts, account)
        put_back = self._put_back(cells, changes) if len(cells) > self._width and self._address >= 0 else None
        if put_back is None:
            raise _BrokenLineError("MIG-22", counts, self._account_in(cells))
        said["MIG-01"] = f"ADDRESS {shown(put_back[self._address].strip())}"
        return put_back

    def _text(self, body: bytes, said: dict[str, str]) -> str:
        if len(body.translate(None, _CONTROLS)) != len(body):
            raise self._unreadable(body, next(byte for byte in body if byte in _CONTROLS))
        try:
            return body.decode(WINDOWS_1252 if self._windows else UTF_8)
        except UnicodeDecodeError as error:
            if self._windows:
                raise self._unreadable(body, body[error.start]) from None
            said["MIG-20"] = f"0x{body[error.start]:02X}"
        try:
            return body.decode(UTF_8, errors="khata.windows-1252")
        except UnicodeDecodeError as error:
            raise self._unreadable(body, error.object[error.start]) from None

    def _unreadable(self, body: bytes, byte: int) -> _BrokenLineError:
        return _BrokenLineError("MIG-22", f"0x{byte:02X}", self._account_in(body.decode(errors="replace").split(",")))

    def _changed(self, cells: list[str], changes: Mapping[str, str]) -> list[str]:
        return [changes.get(name, cell) for name, cell in zip(self._header, cells, strict=True)]

    def _put_back(self, cells: list[str], changes: Mapping[str, str]) -> list[str] | None:
        """The surplus fields joined to the address again, if every other column then fits."""
        first, after = self._address, self._address + len(cells) - self._width + 1
        joined = self._changed([*cells[:first], ",".join(cells[first:after]), *cells[after:]], changes)
        if not _WHOLE.fullmatch(joined[self._account].strip()):
            return None
        try:
            for at, fits in self._shapes:
                if text := joined[at].strip():
                    fits(text)
        except ValueError:
            return None
        return joined

    def _account_in(self, cells: Sequence[str]) -> str:
        """The account number of a broken line: where it stands counted from either end, unless that leaves a doubt."""
        at = self._account
        if at <= 0 or at >= len(cells):
            return cells[0] if at == 0 else ""
        found = {cells[place].strip() for place in (at, len(cells) - self._width + at) if 0 <= place < len(cells)}
        likely = [text for text in found if _ACCOUNT_LIKE.fullmatch(text)]
        return likely[0] if len(likely) == 1 else ""

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _values(self, cells: list[str], said: dict[str, str]) -> dict[str, object]:
        values: dict[str, object] = {}
        empty, bad = [], []
        for at, to, read, required, blank in self._plan:
            text = cells[at].strip()
            if not text:
                values[to] = blank
                if required:
                    empty.append(at)
            elif read is None:
                values[to] = text
            else:
                try:
                    values[to] = read(text)
                except ValueError:
                    values[to] = None
                    bad.append(at)
        if bad:
            said["MIG-23"] = _listed(f"{self._header[at]} {shown(cells[at].strip())}" for at in bad)
        if empty:
            said["MIG-24"] = _listed(self._header[at] for at in empty)
        self._look_closer(cells, values, said)
        return values

    def _look_closer(self, cells: list[str], values: dict[str, object], said: dict[str, str]) -> None:
        if self._meter >= 0:
            meter = cells[self._meter]
            if meter != values["meter"] and values["meter"] is not None:
                said["MIG-03"] = f"{self._header[self._meter]} {shown(meter)}"
        if self._kind == "master":
            name = values["name"]
            if isinstance(name, str) and not name.isascii() and _DEVANAGARI.search(name) and _LATIN.search(name):
                said["MIG-17"] = f"NAME {shown(name)}"
        elif self._kind == "billed":
            load = values["load_w"]
            if isinstance(load, int) and values["load_unit"] == "BHP":
                values["load_w"] = (load * WATTS_OF_A_BHP + 500) // 1000
            self._refuse_products(cells, values, said)

    def _refuse_products(self, cells: list[str], values: dict[str, object], said: dict[str, str]) -> None:
        """A register times its factor must stay a number that can be summed: of an absurd pair both are in doubt."""
        factor = values["factor"]
        registers = [value for name in ("previous_wh", "present_wh") if isinstance(value := values[name], int)]
        if isinstance(factor, int) and factor > 1 and max(registers, default=0) * factor > LARGEST:
            values["factor"] = None
            unread = f"MF {shown(cells[self._header.index('MF')].strip())}"
            said["MIG-23"] = _listed([said["MIG-23"], unread] if "MIG-23" in said else [unread])


def account_and_key(text: str) -> tuple[str, str]:
    account = text.strip()[:LONGEST_ACCOUNT]
    return account, account.lstrip("0") or account[-1:]


def _listed(parts: Iterable[str]) -> str:
    text = ", ".join(parts)
    return text if len(text) <= MOST_SAID else text[: MOST_SAID - 1] + "…"


def _first_fields(text: str, count: int) -> list[str]:
    """The first fields of a record whose quotes go wrong further on; none where they go wrong among these."""
    parts = text.split(",", count + MOST_QUOTED_COMMAS)
    for end in range(count, len(parts) + 1):
        try:
            cells = split_record(",".join(parts[:end]))
        except FormatError:
            continue  # perhaps a comma inside quotes
        if len(cells) == count:
            return cells
    return []


def _around_a_quote(text: str) -> str:
    stray = _STRAY_QUOTE.search(text)
    return shown(text[max(0, stray.start() - 8) : stray.end() + 8]) if stray else shown(text[-1:])
