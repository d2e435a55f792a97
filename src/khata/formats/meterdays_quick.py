"""Lines of a meter-day CSV that are as they should be, told from the others and read by whole columns.

A line is ordinary where it has the header's number of commas, quotes only around whole fields, and in each field
nothing but bytes and lengths that the plain reader takes: numbers are digits and at most one point. What is not
ordinary need not be wrong: blanks around a number, say. It is left to the plain reader.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khata.formats.meterdays import LONGEST_SERIAL, UNKNOWN_WH
from khata.formats.meterdays_cells import CHANNELS, HALF_HOURS, KILO

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]

_MOST_DIGITS = {"b": 9, "demand_w": 9, "register_wh": 15, "kwh": 12, "v": 5, "a": 5, "hz": 5}
_DECIMALS = ("kwh", "v", "a", "hz")
_LONGEST_CHANNEL = max(map(len, CHANNELS))

# Bytes by what they may mean: nothing, foreign in a field of digits, a quote, in no line of text but at its end.
_FOREIGN, _QUOTE, _STRANGE = 1, 2, 3
_BYTES = np.arange(256)
_MEANING = np.where((_BYTES < 32) | (_BYTES > 126), _STRANGE, _FOREIGN).astype(np.uint8)
_MEANING[list(b"0123456789,\n")] = 0
_MEANING[ord('"')] = _QUOTE


@dataclass(frozen=True)
class Layout:
    """The columns as they stand in the header, and where those of each group are: {"meter": (0,), "b": (2, 3, …)}."""

    names: tuple[str, ...]
    fields: Mapping[str, tuple[int, ...]]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.fields)


@dataclass(frozen=True)
class _Fields:
    """Where the fields of m lines lie, and where bytes stand that are no digits."""

    chars: NDArray[np.uint8]
    edges: Places  # (m, fields + 1): the byte before the line, its commas, its end
    quoted: Mask | None  # (m, fields): which fields have quotes around them
    foreign: Places  # rising, and a place behind the last byte

    def chosen(self, lines: Mask) -> "_Fields":
        if lines.all():
            return self
        return _Fields(self.chars, self.edges[lines], None if self.quoted is None else self.quoted[lines], self.foreign)

    def bounds(self, at: Sequence[int]) -> tuple[Places, Places]:
        """Where these fields begin and end, without their quotes (m, len(at))."""
        columns = slice(at[0], at[-1] + 1) if list(at) == list(range(at[0], at[-1] + 1)) else list(at)
        left, right = self.edges[:, :-1][:, columns] + 1, self.edges[:, 1:][:, columns]
        if self.quoted is None:
            return left, right
        return left + self.quoted[:, columns], right - self.quoted[:, columns]

    def text(self, at: int, width: int) -> NDArray[np.uint8]:
        """The bytes of a field (m, width), zeros behind its end."""
        left, right = self.bounds((at,))
        places = left + np.arange(width)
        chars = self.chars.take(places, mode="clip")
        chars[places >= right] = 0
        return chars


def quick_rows(piece: bytes, layout: Layout) -> tuple[dict[str, NDArray[Any]], Places, NDArray[np.int64]]:
    """(columns of the ordinary lines by group, their numbers in the piece from 0, the others that are not blank).

    The others are (n, 3): number, start and end of each line, its end with it.
    """
    chars = np.frombuffer(piece, np.uint8)
    seldom = np.flatnonzero((chars - np.uint8(ord("0"))) > 9)
    kinds = chars[seldom]
    ends = seldom[kinds == ord("\n")] + 1
    if not piece.endswith(b"\n"):
        ends = np.append(ends, len(piece))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    fitting, edges = _split(chars, seldom[kinds == ord(",")], starts, ends, len(layout.names))
    others = seldom[(kinds != ord(",")) & (kinds != ord("\n"))]
    fields, fine, texts = _ordinary(chars, edges, others, starts[fitting], ends[fitting], layout)
    numbers = np.flatnonzero(fitting)[fine]
    ordinary = np.zeros(len(starts), np.bool_)
    ordinary[numbers] = True
    columns = {group: values[fine] for group, values in texts.items()}
    columns |= _numbers(fields.chosen(fine), layout)
    blank = (ends - starts <= 2) & ((chars[starts] == ord("\n")) | (chars[starts] == ord("\r")))
    left = np.flatnonzero(~ordinary & ~blank)
    return columns, numbers, np.stack([left, starts[left], ends[left]], axis=1)


def _split(chars: NDArray[np.uint8], commas: Places, starts: Places, ends: Places, count: int) -> tuple[Mask, Places]:
    """Which lines are whole and have the right number of commas, and the edges of their fields (m, count + 1)."""
    commas_before = np.searchsorted(commas, np.append(starts, len(chars)))
    each = np.diff(commas_before)
    fitting = (each == count - 1) & (chars[ends - 1] == ord("\n"))
    if not fitting.all():
        commas = commas[np.repeat(fitting, each)]
    edges = np.empty((int(fitting.sum()), count + 1), np.int64)
    edges[:, 0] = starts[fitting] - 1
    edges[:, 1:-1] = commas.reshape(-1, count - 1)
    stop = ends[fitting] - 1
    edges[:, -1] = stop - (chars[stop - 1] == ord("\r"))
    return fitting, edges


def _ordinary(
    chars: NDArray[np.uint8], edges: Places, others: Places, starts: Places, ends: Places, layout: Layout
) -> tuple[_Fields, Mask, dict[str, NDArray[Any]]]:
    """The fields of these lines, which of the lines are ordinary, and the columns of all that are no numbers."""
    meaning = _MEANING[chars[others]]
    foreign, quotes, strange = (others[meaning == kind] for kind in (_FOREIGN, _QUOTE, _STRANGE))
    fine = _count(strange, starts, ends) == (chars[ends - 2] == ord("\r"))
    fields = _Fields(chars, edges, _quoted(chars, edges) if len(quotes) else None, np.append(foreign, len(chars)))
    if fields.quoted is not None:
        fine &= _count(quotes, starts, ends) == 2 * fields.quoted.sum(axis=1)
    allowed = np.zeros(len(starts), np.int64)
    texts: dict[str, NDArray[Any]] = {}
    for group, at in layout.fields.items():
        left, right = fields.bounds(at)
        if group in _TEXTS:
            texts[group], good = _TEXTS[group](fields, at[0], (right - left)[:, 0])
            fine &= good
            allowed += (np.searchsorted(foreign, right) - np.searchsorted(foreign, left))[:, 0]
        elif group in _DECIMALS:
            good, points = _decimals(fields, left, right, _MOST_DIGITS[group], empty=group != "kwh")
            fine &= good
            allowed += points
        else:
            fine &= (right - left).max(axis=1, initial=0) <= _MOST_DIGITS[group]
    fine &= _count(foreign, starts, ends) == allowed
    return fields, fine, texts


def _quoted(chars: NDArray[np.uint8], edges: Places) -> Mask:
    left, last = edges[:, :-1] + 1, edges[:, 1:] - 1
    quoted: Mask = (chars[left] == ord('"')) & (chars[last] == ord('"')) & (last > left)
    return quoted


def _count(places: Places, starts: Places, ends: Places) -> Places:
    """How many of these places lie in each line."""
    if not len(places):
        return np.zeros(len(starts), np.int64)
    return np.searchsorted(places, ends) - np.searchsorted(places, starts)


def _channels(fields: _Fields, at: int, size: Places) -> tuple[NDArray[Any], Mask]:
    text = fields.text(at, _LONGEST_CHANNEL).view(f"S{_LONGEST_CHANNEL}").reshape(-1)
    names = np.array(["", *CHANNELS], np.bytes_)
    numbers = np.array([CHANNELS["import"], *CHANNELS.values()])
    order = np.argsort(names)
    found = np.searchsorted(names, text, sorter=order).clip(max=len(names) - 1)
    return numbers[order][found], (names[order][found] == text) & (size <= _LONGEST_CHANNEL)


def _off(fields: _Fields, at: int, size: Places) -> tuple[NDArray[Any], Mask]:
    text = fields.text(at, HALF_HOURS)
    bits = (text == ord("1")) @ (1 << np.arange(HALF_HOURS, dtype=np.int64))
    said = (size == HALF_HOURS) & ((text | 1) == ord("1")).all(axis=1)
    return np.where(size == 0, UNKNOWN_WH, bits), said | (size == 0)


def _serials(fields: _Fields, at: int, size: Places) -> tuple[NDArray[np.bytes_], Mask]:
    width = int(size.max(initial=1).clip(1, LONGEST_SERIAL))
    chars = fields.text(at, width)
    blank = (chars == ord(" ")).sum(axis=1)
    serials: NDArray[np.bytes_] = chars.view(f"S{width}").reshape(-1)
    return np.strings.strip(serials) if blank.any() else serials, (size > blank) & (size <= LONGEST_SERIAL)


def _days(fields: _Fields, at: int, size: Places) -> tuple[NDArray[np.datetime64], Mask]:
    """Of 2024-05-31 and the like; 1970-01-01 where it is no day."""
    text = fields.text(at, 10)
    digits = text.astype(np.int64) - ord("0")
    shaped = (size == 10) & (text[:, [4, 7]] == ord("-")).all(axis=1)
    figures = digits[:, [0, 1, 2, 3, 5, 6, 8, 9]]
    shaped &= ((figures >= 0) & (figures <= 9)).all(axis=1)
    figures[~shaped] = (1, 9, 7, 0, 0, 1, 0, 1)
    year, month, day = figures[:, :4] @ (1000, 100, 10, 1), figures[:, 4:6] @ (10, 1), figures[:, 6:] @ (10, 1)
    start = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    length = ((start + 1).astype("M8[D]") - start.astype("M8[D]")).astype(np.int64)
    good = shaped & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    days = start.astype("M8[D]") + np.where(good, day - 1, 0)
    return days, good


_TEXTS = {"meter": _serials, "day": _days, "channel": _channels, "off": _off}


def _decimals(fields: _Fields, left: Places, right: Places, digits: int, *, empty: bool) -> tuple[Mask, Places]:
    """Which lines have only plain decimals there, of three places at most; and how many points they have."""
    first = np.searchsorted(fields.foreign, left)
    count = np.searchsorted(fields.foreign, right) - first
    pointed = count == 1
    point = np.where(pointed, fields.foreign[first], right)
    whole, places = point - left, np.maximum(right - point - 1, 0)
    good = (count <= 1) & (whole <= digits) & (places <= KILO) & (((whole + places) > 0) | (empty & (right == left)))
    good &= ~pointed | (fields.chars.take(point, mode="clip") == ord("."))
    return good.all(axis=1), count.sum(axis=1)


def _numbers(fields: _Fields, layout: Layout) -> dict[str, NDArray[Any]]:
    """The columns of numbers of ordinary lines; an empty cell is UNKNOWN_WH."""
    columns: dict[str, NDArray[Any]] = {}
    words = _words(fields.chars)
    for group, at in layout.fields.items():
        if group not in _MOST_DIGITS:
            continue
        left, right = fields.bounds(at)
        if group in _DECIMALS:
            values = _thousandths(fields, words, left, right)
        else:
            values = _whole(words, left, right, np.int64 if _MOST_DIGITS[group] > 9 else np.int32)
        if group == "v":
            values = (values + 50) // 100
        values[left == right] = UNKNOWN_WH
        columns[group] = values if len(at) > 1 else values[:, 0]
    return columns


def _words(chars: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A view in which element n is the eight bytes before byte n, the first of them lowest."""
    padded = np.concatenate([np.zeros(8, np.uint8), chars])
    return np.ndarray(len(chars) + 1, "<u8", padded, 0, (1,))


def _whole(words: NDArray[np.uint64], left: Places, right: Places, kind: Any) -> NDArray[Any]:
    """The whole numbers whose digits stand there; 0 where none does."""
    size = right - left
    values = _of_eight(words[right], np.minimum(size, 8)).astype(kind)
    if size.max(initial=0) > 8:
        higher = _of_eight(words[np.maximum(right - 8, 0)], np.clip(size - 8, 0, 8))
        values += higher.astype(kind) * kind(10**8)
    return values


_DIGITS = np.uint64(0x3030303030303030)
_LAST = np.array([2**64 - 256 ** (8 - size) for size in range(9)], np.uint64)  # the bytes of the last `size` digits


def _of_eight(word: NDArray[np.uint64], size: Places) -> NDArray[np.uint64]:
    """The numbers that the last `size` of eight digits make: digits to pairs, pairs to fours, fours to the whole."""
    word ^= _DIGITS
    word &= _LAST[size]
    for step, pairs, low in ((8, 10, 2**64 - 1), (16, 100, 0x00FF00FF00FF00FF), (32, 10_000, 0x0000FFFF0000FFFF)):
        word &= np.uint64(low)
        word *= np.uint64(pairs * 2**step + 1)
        word >>= np.uint64(step)
    return word


def _thousandths(fields: _Fields, words: NDArray[np.uint64], left: Places, right: Places) -> Places:
    """Decimals of three places at most, as integers of a thousandth."""
    point = np.minimum(fields.foreign[np.searchsorted(fields.foreign, left)], right)
    after = np.minimum(point + 1, right)
    scale = 10 ** (KILO - (right - after))
    values: Places = _whole(words, left, point, np.int64) * 10**KILO
    values += _whole(words, after, right, np.int64) * scale
    return values
