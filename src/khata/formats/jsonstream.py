"""The entries of a long JSON document one after the other, in flat memory: a list, an object around a list, or lines.

An entry that is no JSON does not stop the others: its brackets say where it ends. NaN, a key given twice and deep
nesting are refused. Numbers stay text unless they are small whole numbers: nothing passes through a float.
"""

import codecs
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn, Protocol

from khata.formats.meterdays import CUT_OFF, KEPT_OF_A_ROW
from khata.formats.text import FormatError, shown

LARGEST_ENTRY = 4 << 20
DEEPEST = 40  # of an entry that is not plain; beyond HOPELESS nobody looks for its end
HOPELESS = 1_000
MOST_KEYS = 100

_PIECE = 1 << 20
_BLANKS = re.compile(r"[ \t\r\n]*")
_STRUCTURE = re.compile(r'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]"])?', re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """`value` is what was read, or None with a `problem` (a sentence without a full stop); `text` shows some of it."""

    number: int
    value: Any
    problem: str = ""
    text: str = ""


class _BrokenError(ValueError):
    """A value whose end is known but that cannot be read."""


class _LostError(ValueError):
    """What follows cannot be made out any more."""


class Shortcut(Protocol):
    """A way to read entries that are like others before them; it must agree with the plain one."""

    def take(self, text: str, at: int) -> tuple[object, int] | None:
        """What begins at `at`, read, and where it ends; None where the plain way is to read it."""

    def learn(self, text: str, at: int) -> None:
        """Of an entry that begins at `at` and was read the plain way."""


class _None:
    def take(self, text: str, at: int) -> None: ...

    def learn(self, text: str, at: int) -> None: ...


def entries(file: BinaryIO, lists: Collection[str], shortcut: Shortcut | None = None) -> Iterator[Entry]:
    """The entries of the list that the document is, or that stands under one of the names `lists`.

    An object without such a list is one entry. Documents may follow each other. FormatError if this is no JSON at all.
    """
    text, number = _Text(file, shortcut or _None()), 0
    if (start := text.peek()) not in ("{", "["):
        wrong = "is not JSON" if start else "is empty"
        raise FormatError(f"the file {wrong}", line=1, next_step="Send the readings as the page on HES JSON shows them")
    while text.peek():
        try:
            for entry in _document(text, lists):
                number += 1
                yield Entry(number, entry.value, entry.problem, entry.text)
        except _LostError as error:
            number += 1
            yield Entry(number, None, str(error), text.shown())
            if not text.next_line():
                return


def _document(text: "_Text", lists: Collection[str]) -> Iterator[Entry]:
    if text.peek() == "[":
        yield from _list(text)
        return
    if text.peek() != "{":
        raise _LostError(f"{shown(text.shown())} stands where an entry should begin")
    if found_quick := text.quick():
        yield Entry(0, *found_quick)
        return
    begins = text.passed + text.at
    text.at += 1
    fields: dict[str, Any] = {}
    problem, found, size = "", False, 0
    while text.peek() != "}":
        if text.peek() != '"':
            raise _LostError(f"{shown(text.shown())} stands where a key should be" if text.peek() else CUT_OFF)
        try:
            key = text.value()
            text.take(":")
            if isinstance(key, str) and key in lists and text.peek() == "[":
                found = True
                yield from _list(text)
            else:
                _add(fields, key, text.value())
                size += text.size
                if size > LARGEST_ENTRY:
                    raise _too_large()
        except _BrokenError as error:
            problem = problem or str(error)
        if text.peek() != "}":
            text.take(",")
    text.at += 1
    if not found:
        if not problem and begins >= text.passed:
            text.size = text.passed + text.at - begins
            text.shortcut.learn(text.held, begins - text.passed)
        yield Entry(0, None if problem else fields, problem, str(fields)[:KEPT_OF_A_ROW] if problem else "")


def _add(fields: dict[str, Any], key: object, value: Any) -> None:
    if not isinstance(key, str) or key in fields or len(fields) >= MOST_KEYS:
        raise _BrokenError(f"the key {shown(str(key))} stands there twice, or there are too many")
    fields[key] = value


def _list(text: "_Text") -> Iterator[Entry]:
    text.at += 1
    if text.peek() == "]":
        text.at += 1
        return
    while True:
        text.peek()
        start = text.shown()
        try:
            yield Entry(0, text.entry())
        except _BrokenError as error:
            yield Entry(0, None, str(error), start)
        if text.peek() == "]":
            text.at += 1
            return
        text.take(",")


class _Text:
    """The file as text: `at` is how far it is read in `held`, `size` how long the last value was.

    `passed` is how much of the text came before `held`.
    """

    def __init__(self, file: BinaryIO, shortcut: Shortcut) -> None:
        self.file, self.held, self.at, self.ended, self.size = file, "", 0, False, 0
        self.passed, self.shortcut = 0, shortcut
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")

    def more(self) -> bool:
        """Reads on: at least as much again as is held, so that trying again costs no more than reading."""
        rest = self.held[self.at :]
        try:
            piece = self.file.read(max(_PIECE, len(rest)))
            new = self.decoder.decode(piece)
        except UnicodeDecodeError:
            wrong = "the file is not text (UTF-8)"
            raise FormatError(wrong, next_step="Send it as UTF-8, as JSON always is") from None
        self.ended = self.ended or not piece
        self.passed += self.at
        self.held, self.at = rest + new, 0
        return not self.ended

    def peek(self) -> str:
        """The next character that is no blank; empty at the end of the file."""
        while True:
            match = _BLANKS.match(self.held, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.held):
                return self.held[self.at]
            if self.ended or not (self.more() or self.held):
                return ""

    def take(self, mark: str) -> None:
        found = self.peek()
        if found != mark:
            raise _LostError(CUT_OFF if not found else f"{shown(self.shown())} stands where “{mark}” should be")
        self.at += 1

    def shown(self) -> str:
        return self.held[self.at : self.at + KEPT_OF_A_ROW]

    def entry(self) -> Any:
        """The next value, which is an entry; as `value`."""
        if quick := self.quick():
            return quick[0]
        value = self.value()
        self.shortcut.learn(self.held, self.at - self.size)
        return value

    def quick(self) -> tuple[object] | None:
        """The next value by the shortcut, if it can. Where the next may not be all there, more is read before."""
        if len(self.held) - self.at < 2 * self.size and not self.ended:
            self.more()
        found = self.shortcut.take(self.held, self.at)
        if not found:
            return None
        self.size, self.at = found[1] - self.at, found[1]
        return (found[0],)

    def value(self) -> Any:
        """The next value. _BrokenError (and past it) if it cannot be read, _LostError if its end cannot be found."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.held, self.at)
                if end < len(self.held) or self.ended:
                    self.size, self.at = end - self.at, end
                    return value
            except (ValueError, RecursionError) as error:
                self._past(error)
            if self.ended:
                raise _LostError(CUT_OFF)
            if len(self.held) - self.at > LARGEST_ENTRY:
                raise _too_large()
            self.more()

    def _past(self, error: Exception) -> None:
        """Goes past a value that cannot be read, if its end is there, and says why it cannot."""
        end, deepest = _extent(self.held, self.at)
        if not end:
            return
        self.at = end
        if deepest > DEEPEST or isinstance(error, RecursionError):
            raise _BrokenError(f"it is nested more than {DEEPEST} deep") from None
        if isinstance(error, json.JSONDecodeError):
            raise _BrokenError(f"it is not JSON: {error.msg}") from None
        raise _BrokenError(str(error)) from None

    def next_line(self) -> bool:
        """On to the next line that begins with an object: documents may stand on lines of their own."""
        if self.held[self.at - 1 : self.at + 1] == "\n{":
            return True
        while True:
            place = self.held.find("\n{", self.at)
            if place >= 0:
                self.at = place + 1
                return True
            self.at = max(self.at, len(self.held) - 1)
            if self.ended or not self.more():
                return "\n{" in self.held[self.at :] and self.next_line()


def _extent(text: str, at: int) -> tuple[int, int]:
    """(where the value ends, how deep it is); the end is 0 where it is not there, or cannot be told."""
    depth = deepest = 0
    if text[at : at + 1] not in ("{", "["):
        raise _LostError(f"{shown(text[at : at + 30])} is not a value" if text[at:] else CUT_OFF)
    for match in _STRUCTURE.finditer(text, at):
        mark = match[1]
        if mark is None or mark == '"':
            return 0, deepest
        depth += 1 if mark in "{[" else -1
        deepest = max(deepest, depth)
        if deepest > HOPELESS:
            raise _LostError(f"it is nested more than {DEEPEST} deep")
        if depth <= 0:
            return match.end(), deepest
    return 0, deepest


def _too_large() -> FormatError:
    wrong = f"an entry is larger than {LARGEST_ENTRY >> 20} MiB"
    return FormatError(wrong, next_step="Send an entry for each meter and day")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands there twice")
    return fields


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= 18 else text


DECODER = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=str, parse_int=_whole, parse_constant=_no_constant, strict=True
)
