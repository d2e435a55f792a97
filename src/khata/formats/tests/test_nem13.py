"""NEM13: registers become readings of their day, dials are added up, and what was not read is refused."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats.meterdays import IMPORT, UNKNOWN_WH, ReadingBatch, Refused
from khata.formats.nem12 import read_nem12
from khata.formats.tests.samples import sample
from khata.formats.text import FormatError

HEADER = "100,NEM13,202405011200,SENDER,KHATA\n"


def read(text: str | bytes) -> list[ReadingBatch]:
    batches = list(read_nem12(io.BytesIO(text.encode() if isinstance(text, str) else text)))
    assert all(isinstance(batch, ReadingBatch) for batch in batches)
    return [batch for batch in batches if isinstance(batch, ReadingBatch)]


def file(*records: str) -> str:
    return HEADER + "".join(records) + "900\n"


def accumulation(
    before: str = "00100",
    after: str = "00150",
    quantity: str = "50",
    *,
    dial: str = "11",
    configuration: str = "11",
    serial: str = "M1",
    nmi: str = "NMI1",
    direction: str = "E",
    stamps: tuple[str, str] = ("20240401083000", "20240501090000"),
    qualities: tuple[str, str] = ("A", "A"),
    unit: str = "kWh",
) -> str:
    first = f"{before},{stamps[0]},{qualities[0]},,"
    second = f"{after},{stamps[1]},{qualities[1]},,"
    start = f"250,{nmi},{configuration},1,{dial},{dial},{serial},{direction}"
    return f"{start},{first},{second},{quantity},{unit},20240801,20240501120000,\n"


def readings(batches: list[ReadingBatch]) -> list[tuple[bytes, str, int]]:
    return [
        (batch.serials[i], str(batch.days[i]), int(batch.register_wh[i]))
        for batch in batches
        for i in range(len(batch))
    ]


def refusals(batches: list[ReadingBatch]) -> list[Refused]:
    return [refused for batch in batches for refused in batch.refused]


# ── as published ──────────────────────────────────────────────────────────────────────────────────────────────────


def naive_readings(path: Path) -> dict[str, int]:
    """Register by day in kWh: both reads of every line, each dial once; without days of which a dial was not read."""
    dials: dict[str, dict[str, tuple[int, bool]]] = {}
    for line in path.read_text().split():
        cells = line.split(",")
        if cells[0] == "250":
            for at in (8, 13):
                day = dials.setdefault(cells[at + 1][:8], {})
                day[cells[4]] = int(cells[at].split(".")[0]), cells[at + 2] == "A"
    good = {day: told for day, told in dials.items() if all(actual for _, actual in told.values())}
    return {day: sum(register for register, _ in told.values()) for day, told in good.items()}


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("nem13_three_registers_reversal_550", []),
        ("nem13_four_registers_two_550", ["2004-09-19"] * 2),
        ("nem13_six_registers", ["2005-04-09"] * 2 + ["2005-06-19"] * 2),
    ],
)
def test_a_published_file_is_read_exactly_and_estimated_registers_are_refused(name: str, refused: list[str]) -> None:
    path = sample("interchange", "nem12", f"{name}.csv")
    batches = read(path.read_bytes())
    found = {day.replace("-", ""): register for _, day, register in readings(batches)}
    assert found == {day: kwh * 1000 for day, kwh in naive_readings(path).items()} and len(found) >= 2
    assert sorted(str(r.day) for r in refusals(batches)) == refused
    assert all(re.search("quality [ES]62", r.reason) and r.rule == "VAL-08" for r in refusals(batches))


def test_what_a_published_file_says_on_one_day() -> None:
    (batch,) = read(sample("interchange", "nem12", "nem13_four_registers_two_550.csv").read_bytes())
    assert readings([batch])[0] == (b"15082", "2004-04-15", (6427 + 38969) * 1000)
    assert batch.demand_w.tolist() == [UNKNOWN_WH] * 2


# ── what a record says ────────────────────────────────────────────────────────────────────────────────────────────


def test_both_registers_become_readings_and_the_next_record_repeats_none() -> None:
    later = accumulation("00150", "00175.5", "25.5", stamps=("20240501090000", "20240601090000"))
    assert readings(read(file(accumulation(), "550,N,,N,\n", later))) == [
        (b"M1", "2024-04-01", 100_000),
        (b"M1", "2024-05-01", 150_000),
        (b"M1", "2024-06-01", 175_500),
    ]


def test_registers_that_contradict_each_other_are_both_handed_on_to_be_judged() -> None:
    later = accumulation("00151", "00175", "24", stamps=("20240501090000", "20240601090000"))
    days = [day for _, day, _ in readings(read(file(accumulation(), later)))]
    assert days == ["2024-04-01", "2024-05-01", "2024-05-01", "2024-06-01"]


def test_a_dial_may_turn_over() -> None:
    found = readings(read(file(accumulation("99990", "00010", "20"))))
    assert [register for _, _, register in found] == [99_990_000, 10_000]


def test_a_dial_that_was_not_read_leaves_no_half_truth() -> None:
    first, second = (accumulation(dial=dial, configuration="1141") for dial in ("11", "41"))
    assert [register for _, _, register in readings(read(file(first, second)))] == [200_000, 300_000]
    guessed = accumulation(dial="41", configuration="1141", qualities=("A", "E62"))
    batches = read(file(first, guessed))
    assert [day for _, day, _ in readings(batches)] == ["2024-04-01"]
    reasons = sorted(r.reason for r in refusals(batches))
    assert len(reasons) == 2 and reasons[1].startswith("the register has the quality E62")
    assert reasons[0].startswith("the register 41 belongs to this energy and was not read on this day")


@pytest.mark.parametrize(
    ("record", "rule", "what"),
    [
        (accumulation(quantity="100"), "VAL-12", "not the difference"),
        (accumulation(unit="kVArh"), "VAL-12", "not one of energy"),
        (accumulation(direction="I"), "VAL-12", "the direction"),
        (accumulation(dial="1"), "VAL-08", "two characters"),
        (accumulation("-1", "49"), "VAL-07", "below 0"),
        (accumulation("१००"), "VAL-08", "another script"),
        (accumulation("", "50"), "VAL-08", "is empty"),
        (accumulation("0.0001", "50.0001"), "VAL-08", "whole number of Wh"),
        (accumulation("9" * 13, "9" * 13, "0", unit="MWh"), "VAL-08", "too large"),
        (accumulation(qualities=("A", "Q")), "VAL-08", "is not known"),
        (accumulation(stamps=("20240401", "20240501090000")), "VAL-08", "14 figures"),
        (accumulation(stamps=("20240401083000", "20240230090000")), "VAL-08", "not a day of the calendar"),
        (accumulation().removesuffix(",\n") + "\n", "VAL-08", "22 fields"),
        ("300,20240501\n", "VAL-08", "no record of NEM13"),
    ],
)
def test_a_flaw_is_refused_with_its_rule_and_the_rest_stands(record: str, rule: str, what: str) -> None:
    batches = read(file(record, accumulation(nmi="NMI2", serial="M2")))
    (refused,) = refusals(batches)
    assert refused.rule == rule and what in refused.reason and refused.content
    assert [serial for serial, _, _ in readings(batches)] == [b"M2"] * 2


def test_a_refused_reading_names_meter_and_channel() -> None:
    (refused,) = refusals(read(file(accumulation(quantity="1"))))
    assert (refused.serial, refused.channel, refused.line) == ("M1", IMPORT, 2)


# ── laws ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TWO = file(accumulation(), "550,N,,N,\n", accumulation(nmi="NMI2", serial="M2")).encode()


def test_a_cut_anywhere_loses_only_what_stands_behind_it() -> None:
    whole = readings(read(TWO))
    ends = [TWO.index(b"550,"), TWO.index(b"900\n")]
    for cut in range(len(HEADER), len(TWO) - len("\n")):
        batches = read(TWO[:cut])
        assert readings(batches) == whole[: 2 * sum(end <= cut for end in ends)], cut
        assert {r.rule for r in refusals(batches)} == {"VAL-08"}, cut


@settings(max_examples=150)
@given(st.binary(max_size=200), st.integers(0, len(TWO)), st.integers(0, 40))
def test_garbage_is_refused_and_never_another_error(garbage: bytes, at: int, instead: int) -> None:
    for data in (HEADER.encode() + garbage, TWO[:at] + garbage + TWO[at + instead :]):
        try:
            batches = list(read_nem12(io.BytesIO(data)))
        except FormatError:
            continue
        assert all(isinstance(r, Refused) and r.reason for batch in batches for r in batch.refused)
