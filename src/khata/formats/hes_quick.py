"""A quick way for HES JSON whose entries differ from each other in nothing but times and values, as machines write.

The plain way reads an entry strictly and shows its shape: the very text, with places for a time and for values. What
follows and has this text is read by a pattern, many times at once. Anything else (another key or spelling, a unit, a
quality, a sign, a time that is none) is not of the shape, and the plain way has the word: it is the definition.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from khata.formats import dlms
from khata.formats.dlms import Kind, Meaning, nano, scaler_power, unit_power
from khata.formats.hes_parts import (
    BLOCKS,
    CODE,
    ENTRIES,
    PROFILE,
    SCALER,
    SERIAL,
    TIME,
    VALUES,
    content_of,
    day_and_minute,
    first,
    is_value,
    profile_of,
    quality_of,
    settings_of,
    text_of,
    unit_of,
)
from khata.formats.jsonstream import DECODER, LARGEST_ENTRY
from khata.formats.meterdays import ACTUAL
from khata.formats.meterdays_cells import plain_serial
from khata.formats.remembered import Remembered
from khata.formats.text import FormatError

MOST_SHAPES = 8
MOST_TRIES = 64  # to learn one: a document without a common shape is read the plain way

_BLANKS = r"[ \t\r\n]*+"
_STRING = r'"[^"\\{}\[\]\x00-\x1f]*+"'
_OTHERS = rf'(?:[^{{}}\[\]"\\]++|(?!"{ENTRIES[0]}"{_BLANKS}:{_BLANKS}\[){_STRING})*+'
_HEAD = re.compile(rf'\{{{_OTHERS}"{ENTRIES[0]}"{_BLANKS}:{_BLANKS}\[{_BLANKS}')
_TAIL = re.compile(rf"{_BLANKS}\]{_OTHERS}\}}")
_COMMA = re.compile(rf"{_BLANKS},{_BLANKS}")
_TOKEN = re.compile(r'"[^"\\\x00-\x1f]*"|-?[0-9][0-9.eE+-]*|[{}\[\]:,]|[ \t\r\n]+|true|false|null', re.ASCII)
_TIME, _VALUE = "\0time", "\0value"  # no text that is read has a NUL
_GROUPS = {_TIME: "([0-9][0-9A-Za-z:+. -]{0,40}+)", _VALUE: r"((?:0|[1-9][0-9]{0,14}+)(?:\.[0-9]{1,9}+)?+)"}


class Column(NamedTuple):
    """A register of all times: values in billionths, and how it stood there, by place."""

    meaning: Meaning
    values: list[int]
    register: Mapping[str, Any]
    texts: tuple[str, ...]

    def content(self, place: int) -> str:
        text = self.texts[place]
        said = int(text) if isinstance(self.register["value"], int) and text.isdecimal() else text
        return content_of({**self.register, "value": said})


class Part(NamedTuple):
    """The places of a column that are of one day."""

    start: int
    stop: int
    day: Any
    minutes: tuple[int, ...]


@dataclass(frozen=True)
class QuickMeter:
    """An entry of a meter: what it says beside its entries, and these by column."""

    serial: bytes
    settings: tuple[int | None, int | None, int]
    parts: tuple[Part, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class _Register:
    """What stands at a place for values; `meaning` None where it is nothing that is kept."""

    meaning: Meaning | None
    billionths: Remembered
    register: Mapping[str, Any]


@dataclass(frozen=True)
class _Shape:
    single: re.Pattern[str]  # with the comma behind it, but for the last
    size: int  # of its text without what its groups hold
    comma: int
    closing: str  # how the last one ends, and the list
    time: int  # which group
    registers: tuple[_Register, ...]

    def rows(self, text: str, start: int, end: int) -> list[tuple[str, ...]]:
        """What the groups of each hold; nothing where one is of another shape: then some text is between them."""
        rows: list[tuple[str, ...]] = self.single.findall(text, start, end)
        held = sum(map(len, chain.from_iterable(rows)))
        return rows if len(rows) * (self.size + self.comma) - self.comma + held == end - start else []


class Shapes:
    """The shapes seen so far; the shortcut of `jsonstream.entries`."""

    def __init__(self) -> None:
        self.known: list[_Shape] = []
        self.tries = MOST_TRIES

    def take(self, text: str, at: int) -> tuple[QuickMeter, int] | None:
        """The entry that begins at `at`, and where it ends; None where it is of no known shape, or not all there."""
        head = _HEAD.match(text, at) if self.known else None
        if not head:
            return None
        for place, shape in enumerate(self.known):
            start, end = head.end(), text.find(shape.closing, head.end()) + len(shape.closing) - 1
            tail = _TAIL.match(text, end) if end > start else None
            if not tail or tail.end() - at > LARGEST_ENTRY:
                continue
            rows = shape.rows(text, start, end)
            if not rows:
                continue
            if place:
                self.known.insert(0, self.known.pop(place))
            try:
                meter = _meter(text[at:start] + text[end : tail.end()], shape, rows)
            except (ValueError, FormatError):
                return None
            return (meter, tail.end()) if meter else None
        return None

    def learn(self, text: str, at: int) -> None:
        """From an entry that begins at `at` and was read the plain way."""
        head = _HEAD.match(text, at) if self.tries > 0 and len(self.known) < MOST_SHAPES else None
        if not head:
            return
        self.tries -= 1
        try:
            single, end = DECODER.raw_decode(text, head.end())
            comma = _COMMA.match(text, end)
            shape = _shape(single, text[head.end() : end], comma[0] if comma else ",")
            if any(shape and shape.single.pattern == known.single.pattern for known in self.known):
                return
        except (ValueError, FormatError, RecursionError):
            return
        if shape:
            self.known.append(shape)


def _meter(rest: str, shape: _Shape, rows: list[tuple[str, ...]]) -> QuickMeter | None:
    """The meter whose entries are `rows`. ValueError, FormatError where anything is not as it should be."""
    fields, end = DECODER.raw_decode(rest)
    if end != len(rest) or profile_of(first(fields, PROFILE)) != BLOCKS:
        return None
    serial = plain_serial(text_of(first(fields, SERIAL), "the meter number"))
    texts = list(zip(*rows, strict=True))
    parts = _parts(texts.pop(shape.time))
    if parts is None:
        return None
    columns = tuple(
        Column(found.meaning, found.billionths.all(column), found.register, column)
        for found, column in zip(shape.registers, texts, strict=True)
        if found.meaning
    )
    return QuickMeter(serial, settings_of(fields, BLOCKS), parts, columns)


@lru_cache(maxsize=16)  # all meters have the same times
def _parts(times: tuple[str, ...]) -> tuple[Part, ...] | None:
    """The days of these times; None where one is no time of a block, or a day or a block comes twice."""
    parts: list[Part] = []
    minutes: list[int] = []
    last, start = None, 0
    for place, text in enumerate(times):
        try:
            time = dlms.stamp(text)
            if time is None or time.second:
                return None
            day, minute = day_and_minute(time)
        except FormatError:
            return None
        if day != last and minutes:
            parts.append(Part(start, place, last, tuple(minutes)))
            minutes, start = [], place
        last = day
        minutes.append(minute)
    parts.append(Part(start, len(times), last, tuple(minutes)))
    days = {part.day for part in parts}
    if len(days) < len(parts) or any(len(set(part.minutes)) < len(part.minutes) for part in parts):
        return None
    return tuple(parts)


# ── shapes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _shape(single: Any, text: str, comma: str) -> _Shape | None:
    """The shape of one time with its registers; None where it has something that is not told by times and values."""
    registers = single.get(VALUES[0]) if isinstance(single, dict) else None
    if not isinstance(registers, list) or not isinstance(single.get(TIME[0]), str):
        return None
    found = [_register(register) for register in registers]
    pieces = _pieces(text)
    groups = [piece for piece in pieces if piece in _GROUPS]
    if None in found or groups.count(_TIME) != 1 or len(groups) != len(found) + 1 or not found:
        return None
    kept = [each.meaning for each in found if each and each.meaning]
    if not kept or len({(meaning.kind, meaning.channel) for meaning in kept}) < len(kept):
        return None
    pattern = "".join(_GROUPS.get(piece) or re.escape(piece) for piece in pieces) + f"(?:{re.escape(comma)}|\\Z)"
    size = sum(len(piece) for piece in pieces if piece not in _GROUPS)
    registers = tuple(each for each in found if each)
    closing = pieces[-1] + "]"
    return _Shape(re.compile(pattern, re.ASCII), size, len(comma), closing, groups.index(_TIME), registers)


def _register(register: Any) -> _Register | None:
    """None where its value may stand elsewhere or mean something else at midnight, or is not plainly measured."""
    if not isinstance(register, dict) or register.get("value") is None or register.get("registerValue") is not None:
        return None
    code = dlms.obis(text_of(first(register, CODE), "the OBIS code"))
    meaning = dlms.MEANINGS.get(code) if is_value(register) else None
    if code == dlms.CLOCK or quality_of(register) != ACTUAL:
        return None
    if meaning is None:
        return _Register(None, Remembered(len), register)
    if meaning.kind in (Kind.REGISTER, Kind.DEMAND):
        return None
    scaler = first(register, SCALER)
    power = unit_power(unit_of(register.get("unit")), meaning) + scaler_power(0 if scaler is None else scaler)
    return _Register(meaning, Remembered(lambda text: nano(text, power)), register)


def _pieces(text: str) -> list[str]:
    """The text in pieces: as it stands, or _TIME or _VALUE where a time or a register's value stands. ValueError."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text or not text.isascii():
        raise ValueError("an entry with signs that need care")
    pieces = [""]
    key, depth = "", 0
    for place, token in enumerate(tokens):
        depth += (token in "{[") - (token in "}]")
        is_text = token[0] == '"'
        if is_text and "".join(tokens[place + 1 : place + 3]).lstrip(" \t\r\n").startswith(":"):
            key = json.loads(token)
        elif is_text and depth == 1 and key == TIME[0]:
            pieces[-1:] = [pieces[-1] + '"', _TIME, '"']
            continue
        elif (is_text or token[0] in "-0123456789") and depth == 3 and key == "value":
            quote = '"' if is_text else ""
            pieces[-1:] = [pieces[-1] + quote, _VALUE, quote]
            continue
        pieces[-1] += token
    return pieces
