"""The quick way of HES JSON reads nothing otherwise than the plain one, and is taken where entries are alike."""

import io
import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from khata.formats import hes, hes_quick, jsonstream
from khata.formats.hes import read_hes
from khata.formats.hes_quick import Shapes
from khata.formats.tests.test_fuzz import CHANGES, Change, changed
from khata.formats.tests.test_hes import AMPERES, HERTZ, KVAH, KWH, VOLTS, entry, meter, value
from khata.formats.text import FormatError

VOLTAGE = [value(VOLTS, 2305, "V", -1), value(AMPERES, "1.25", "A"), value(HERTZ, 4998, 44, -2)]
SHAPES: list[list[dict[str, Any]]] = [
    [value(KWH, 125)],
    [value(KWH, 0.25, "kWh", quality="actual"), value(KVAH, "7", "VAh"), *VOLTAGE],
    [value("1.0.13.27.0.255", 0, "", attributeId=2), value(KWH, 3, "Wh", 1)],
]
ODD: list[dict[str, Any]] = [
    value(KWH, -5),
    value(KWH, "१२"),
    value(KWH, 5, quality="estimated"),
    value(KWH, 5, "VAh"),
    value(KWH, 1e3),
    value(KWH, 10**16),
    value("1.0.1.8.0.255", 4, "kWh"),
    value("0.0.1.0.0.255", "2024-05-31T01:00:00", ""),
    value(KWH, "007"),
]
TIMES = ["2024-05-31T00:45:00", "F" * 24, "2024-05-31T10:00+02:00", "yesterday", "2024-05-31T00:30:07", "31"]


def said(raw: bytes) -> list[Any]:
    """All that a reader hands on, in values that can be compared."""
    out = []
    for batch in read_hes(io.BytesIO(raw)):
        columns = {name: column for name, column in vars(batch).items() if isinstance(column, np.ndarray)}
        out.append(({name: column.tolist() for name, column in columns.items()}, batch.refused))
    return out


def both(raw: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        quick = said_or_not(raw)
        patch.setattr(hes_quick, "MOST_TRIES", 0)
        assert quick == said_or_not(raw)


def said_or_not(raw: bytes) -> Any:
    try:
        return said(raw)
    except FormatError as error:
        return str(error)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Meters of a few shapes, some with something odd in one place; laid out in some way, perhaps cut."""
    chance = draw(st.randoms(use_true_random=False))
    readings = []
    for _ in range(draw(st.integers(2, 7))):
        entries = [entry(30 * n, *map(dict, chance.choice(SHAPES[:2]))) for n in (1, 2, 3, 48)]
        if chance.random() < 0.8:
            shape = chance.choice(SHAPES)
            entries = [entry(30 * n, *map(dict, shape)) for n in range(1, chance.choice([2, 5, 49, 60]))]
            for single in entries:
                single["registerValues"][0]["value"] = chance.randrange(3_000)
        _spoil(entries, chance, draw(st.integers(0, 5)))
        more: dict[str, Any] = chance.choice(
            [{}, {}, {"capturePeriod": 1800}, {"clockDriftSeconds": 5}, {"capturePeriod": "x"}]
        )
        serial = chance.choice(["KE1", "KE2", "KE3", ""])
        readings.append(
            meter(*entries, serial=serial, profile=chance.choice(["blockLoad"] * 5 + ["dailyLoad"]), **more)
        )
    layout: dict[str, Any] = chance.choice([{}, {"separators": (",", ":")}, {"indent": 1}])
    raw = json.dumps(readings, **layout).encode()
    if chance.random() < 0.3:
        raw = b"\n".join(json.dumps(each, **layout).encode() for each in readings)
    return raw[: chance.choice([len(raw), len(raw), chance.randrange(len(raw))])]


def _spoil(entries: list[dict[str, Any]], chance: random.Random, kind: int) -> None:
    single = chance.choice(entries)
    if kind == 0:
        single["registerValues"][0] = dict(chance.choice(ODD))
    elif kind == 1:
        single["timestamp"] = chance.choice(TIMES)
    elif kind == 2:
        entries.append(json.loads(json.dumps(chance.choice(entries))))  # the same again
        entries[-1]["registerValues"][0]["value"] = chance.choice([1, entries[-1]["registerValues"][0]["value"]])


@settings(max_examples=40)
@given(documents())
@example(b'[{"meterSerial":"K","profile":"blockLoad","entries":[]}]')
def test_it_reads_what_the_plain_way_reads(raw: bytes) -> None:
    both(raw)


ALIKE = json.dumps([meter(*(entry(30 * n, value(KWH, n)) for n in (1, 2, 48)), serial=f"KE{n}") for n in range(4)])


@settings(max_examples=40)
@given(CHANGES)
def test_a_file_with_mistakes_is_read_likewise(changes: list[Change]) -> None:
    both(changed(ALIKE.encode(), changes))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each entry was read the quick way."""
    found: list[bool] = []
    take = Shapes.take

    def watched(shapes: Shapes, text: str, at: int) -> Any:
        got = take(shapes, text, at)
        found.append(got is not None)
        return got

    monkeypatch.setattr(Shapes, "take", watched)
    return found


def alike(count: int, shape: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = [30 * n for n in range(1, 49)]
    return [meter(*(entry(time, *shape) for time in times), serial=f"KE{n}") for n in range(count)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lines", [False, True])
def test_entries_that_are_alike_are_read_the_quick_way(
    shape: list[dict[str, Any]], lines: bool, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonstream, "_PIECE", 1 << 16)  # so that some entries lie across two pieces
    readings = alike(30, shape)
    whole = json.dumps({"readings": readings}).encode()
    raw = b"\n".join(json.dumps(each).encode() for each in readings) if lines else whole
    assert sum(len(found["lines"]) for found, _ in said(raw)) == 30 * (2 if shape is SHAPES[1] else 1)
    assert sum(taken) == 29  # all but the one that showed the shape


def test_a_shape_is_not_sought_for_ever(taken: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hes_quick, "MOST_TRIES", 3)
    strange = [meter(entry(30, value(KWH, n, "Wh", 0, **{f"k{n}": 1})), serial=f"KE{n}") for n in range(9)]
    both(json.dumps(strange).encode())
    assert not any(taken)


def test_a_day_in_two_entries_is_one_and_may_not_differ(taken: list[bool]) -> None:
    first, again, other = (meter(entry(30, value(KWH, wh)), serial="KE1") for wh in (5, 5, 6))
    spare = meter(entry(60, value(KWH, 7)), serial="KE1")
    ((found, refused),) = said(json.dumps([first, again, spare]).encode())
    assert found["known"][0][:3] == [True, True, False] and not refused and sum(taken) == 2
    ((_, refused),) = said(json.dumps([first, other]).encode())
    assert refused[0].rule == "VAL-06" and '"value":6' in refused[0].content
    both(json.dumps([first, other, spare]).encode())


def test_values_that_are_held_are_handed_on_in_time(monkeypatch: pytest.MonkeyPatch, taken: list[bool]) -> None:
    monkeypatch.setattr(hes, "MOST_HELD", 100)
    both(json.dumps(alike(9, SHAPES[1])).encode())
    assert sum(taken) == 8
