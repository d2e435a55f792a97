"""NEM12: published files to the watt-hour, registers added up, each flaw refused on its line, nothing lost by a cut."""

import io
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from khata.formats.meterdays import (
    ACTUAL,
    APPARENT_IMPORT,
    ESTIMATED,
    EXPORT,
    IMPORT,
    REACTIVE_LAG,
    REACTIVE_LEAD,
    SUBSTITUTED,
    UNKNOWN_WH,
    MeterDayBatch,
    Refused,
)
from khata.formats.nem12 import read_nem12
from khata.formats.tests.samples import sample
from khata.formats.text import FormatError

HEADER = "100,NEM12,202405011200,SENDER,KHATA\n"
GOOD = (
    "nem12_15_and_30min_mixed",
    "nem12_15min_many_reason_codes",
    "nem12_30min_actual",
    "nem12_30min_broken_lines_as_published",
    "nem12_30min_estimated_E52_final_F52",
    "nem12_30min_estimates_and_500_register_reads",
    "nem12_30min_null_data_N",
    "nem12_30min_substituted_S11_S52_F52",
    "nem12_30min_variable_quality_V_400",
)
CHANNEL_OF = {"E": IMPORT, "B": EXPORT, "Q": REACTIVE_LAG, "K": REACTIVE_LEAD, "T": APPARENT_IMPORT}


def read(text: str | bytes) -> list[MeterDayBatch]:
    batches = list(read_nem12(io.BytesIO(text.encode() if isinstance(text, str) else text)))
    assert all(isinstance(batch, MeterDayBatch) for batch in batches)
    return [batch for batch in batches if isinstance(batch, MeterDayBatch)]


def one(text: str) -> MeterDayBatch:
    (batch,) = read(text)
    return batch


def only_refused(text: str) -> Refused:
    batch = one(text)
    assert len(batch) == 0
    (refused,) = batch.refused
    return refused


def register(
    suffix: str = "E1", *, unit: str = "kWh", minutes: int = 30, serial: str = "M1", configuration: str = ""
) -> str:
    return f"200,NMI1,{configuration or suffix},1,{suffix},N1,{serial},{unit},{minutes},\n"


def day(values: list[str], quality: str = "A", date: str = "20240501") -> str:
    return f"300,{date},{','.join(values)},{quality},,,20240502010000,\n"


def file(*records: str) -> str:
    return HEADER + "".join(records) + "900\n"


def flat(value: str = "1", count: int = 48) -> list[str]:
    return [value] * count


def origins_of(batch: MeterDayBatch, row: int = 0) -> list[int]:
    """The origins of a row's half-hours, as the record type says it."""
    assert batch.origin is not None and batch.known is not None
    if batch.origins is not None:
        return [int(origin) for origin in batch.origins[row]]
    return [int(batch.origin[row]) if known else 0 for known in batch.known[row]]


# ── as published ──────────────────────────────────────────────────────────────────────────────────────────────────


def naive_totals(path: Path) -> Counter[tuple[int, str]]:
    """Wh by channel and day, by splitting the lines and adding every number up."""
    totals: Counter[tuple[int, str]] = Counter()
    lines: list[str] = []
    for line in path.read_text().split("\n"):
        if line[:4] in ("100,", "200,", "300,", "400,", "500,") or line[:3] == "900":
            lines.append(line.strip())
        else:
            lines[-1] += line.strip()
    for line in lines:
        cells = line.split(",")
        if cells[0] == "200":
            letter, factor = cells[4][0], {"WH": 1, "KWH": 1000, "KVARH": 1000}[cells[7].upper()]
            count = 1440 // int(cells[8])
        if cells[0] == "300":
            total = sum(Decimal(cell) for cell in cells[2 : 2 + count]) * factor
            assert total == int(total)
            totals[CHANNEL_OF[letter], cells[1]] += int(total)
    return totals


@pytest.mark.parametrize("name", GOOD)
def test_a_published_file_is_read_to_the_watt_hour_and_nothing_is_refused(name: str) -> None:
    path = sample("interchange", "nem12", f"{name}.csv")
    found: Counter[tuple[int, str]] = Counter()
    for batch in read(path.read_bytes()):
        assert not batch.refused and batch.blocks is not None and batch.channel is not None
        for i in range(len(batch)):
            known = batch.blocks[i][batch.blocks[i] != UNKNOWN_WH].sum()
            found[int(batch.channel[i]), str(batch.days[i]).replace("-", "")] += int(known)
    assert found == naive_totals(path) and found


def test_what_the_published_files_say_here_and_there() -> None:
    def rows(name: str) -> MeterDayBatch:
        return one(sample("interchange", "nem12", f"{name}.csv").read_text())

    mixed = rows("nem12_15_and_30min_mixed")
    assert mixed.blocks is not None and mixed.serials.tolist() == [b"05082"] * 4
    assert mixed.blocks[0, :2].tolist() == [32_250 + 32_700, 32_100 + 32_550] and mixed.blocks[2, 0] == 292_200

    two_registers = rows("nem12_30min_actual")
    assert two_registers.blocks is not None
    assert len(two_registers) == 4 and two_registers.blocks[0, 0] == 300_000 + 113_100

    reasons = rows("nem12_15min_many_reason_codes")
    assert np.flatnonzero(np.array(origins_of(reasons)) == SUBSTITUTED).tolist() == [2, 3, 10, 11, 12]

    nulls = rows("nem12_30min_null_data_N")
    assert nulls.blocks is not None and nulls.known is not None and nulls.channel is not None
    (turned,) = np.flatnonzero((nulls.days == np.datetime64("2005-03-28")) & (nulls.channel == IMPORT))
    assert nulls.blocks[turned, 23:25].tolist() == [1_482_160, 1_076_810]  # set up anew at noon: E1, then E2
    (unknown,) = np.flatnonzero(~nulls.total_known)
    assert nulls.channel[unknown] == EXPORT and nulls.known[unknown].tolist() == [False] * 24 + [True] * 24

    broken = rows("nem12_30min_broken_lines_as_published")
    assert broken.blocks is not None and broken.lines[-1] == 27
    assert broken.blocks[-1, [0, 23, 24, 47]].tolist() == [11_000, 47_000, 37_000, 36_000]
    assert origins_of(broken, 6) == [ACTUAL] * 24 + [ESTIMATED] * 24

    reactive = rows("nem12_30min_variable_quality_V_400")
    assert reactive.channel is not None and reactive.channel.tolist() == [IMPORT, REACTIVE_LAG] * 4
    assert origins_of(reactive, 0) == [ACTUAL] * 48 and reactive.total_wh[1] == 695_550


@pytest.mark.parametrize(
    ("name", "rule", "rows"),
    [
        ("invalid_15min_200_30min_300", "VAL-06", 0),
        ("invalid_30min_200_15min_400", "VAL-06", 0),
        ("invalid_incomplete_interval", "VAL-06", 3),
    ],
)
def test_a_published_bad_day_is_refused_and_the_others_stand(name: str, rule: str, rows: int) -> None:
    batch = one(sample("interchange", "nem12", f"{name}.csv").read_text())
    (refused,) = batch.refused
    assert (refused.rule, refused.line, refused.channel, len(batch)) == (rule, 3, IMPORT, rows)
    assert refused.serial and refused.day and refused.content.startswith("300,")


@pytest.mark.parametrize("name", ["invalid_missing_header", "invalid_powercor_missing_fields"])
def test_a_published_file_without_header_is_refused_whole(name: str) -> None:
    with pytest.raises(FormatError, match=r"header \(100\) is missing"):
        read(sample("interchange", "nem12", f"{name}.csv").read_bytes())


# ── what a record says ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("suffix", "unit", "channel", "wh"),
    [
        ("E1", "Wh", IMPORT, 2),
        ("B1", "KWH", EXPORT, 1_500),
        ("Q1", "kVArh", REACTIVE_LAG, 1_500),
        ("K2", "varh", REACTIVE_LEAD, 2),
        ("T1", "MVAh", APPARENT_IMPORT, 1_500_000),
    ],
)
def test_suffix_and_unit_tell_the_channel(suffix: str, unit: str, channel: int, wh: int) -> None:
    batch = one(file(register(suffix, unit=unit), day(flat("1.5"))))
    assert batch.channel is not None and batch.blocks is not None and batch.origin is not None
    assert (batch.channel[0], batch.blocks[0, 0], batch.origin[0]) == (channel, wh, ACTUAL)  # 1.5 Wh is 2, half up


def test_fractions_are_kept_until_the_half_hour_is_added_up() -> None:
    batch = one(file(register(minutes=5), day(["0.0001", "0.0002", "0.0001", "0", "0", "0", *flat("0.0004", 282)])))
    assert batch.blocks is not None
    assert batch.blocks[0, :2].tolist() == [0, 2] and batch.total_wh[0] == 94


@pytest.mark.parametrize(
    ("quality", "origin"),
    [("A", ACTUAL), ("E52", ESTIMATED), ("S11", SUBSTITUTED), ("F55", SUBSTITUTED), ("E", ESTIMATED)],
)
def test_a_quality_is_an_origin(quality: str, origin: int) -> None:
    batch = one(file(register(), day(flat(), quality)))
    assert batch.origin is not None and (batch.origin[0], batch.total_wh[0]) == (origin, 48_000)


def test_null_is_unknown_and_not_zero() -> None:
    batch = one(file(register(), day(flat("0"), "N")))
    assert batch.known is not None and not batch.known.any() and batch.total_wh.tolist() == [UNKNOWN_WH]


def test_variable_quality_is_told_for_each_interval() -> None:
    events = "400,1,1,A,,\n400,2,2,E52,,\n400,3,4,N,,\n400,5,96,F55,1,Free text\n"
    batch = one(file(register(minutes=15), day(flat(count=96), "V"), events))
    assert origins_of(batch) == [ESTIMATED, 0] + [SUBSTITUTED] * 46
    assert batch.known is not None and batch.known[0].tolist() == [True, False] + [True] * 46


def test_a_meter_without_serial_goes_by_its_nmi() -> None:
    assert one(file(register(serial=""), day(flat()))).serials.tolist() == [b"NMI1"]


def test_registers_of_a_channel_are_one_day() -> None:
    e1 = register("E1", configuration="E1E2B1") + day(flat("1"), "A")
    e2 = register("E2", configuration="E1E2B1") + day(flat("0.5"), "E52")
    b1 = register("B1", configuration="E1E2B1") + day(flat("0.1"))
    batch = one(file(e1, e2, b1))
    assert batch.channel is not None and batch.origin is not None
    assert list(zip(batch.channel.tolist(), batch.total_wh.tolist(), batch.origin.tolist(), strict=True)) == [
        (IMPORT, 72_000, ESTIMATED),
        (EXPORT, 4_800, ACTUAL),
    ]


def test_a_register_that_did_not_come_leaves_no_half_truth() -> None:
    refused = only_refused(file(register("E1", configuration="E1E2"), day(flat())))
    assert refused.rule == "VAL-08" and "E2 belongs to this energy" in refused.reason
    bad = register("E2", configuration="E1E2") + day(flat("-1"))
    batch = one(file(register("E1", configuration="E1E2"), day(flat()), bad))
    assert sorted(r.rule for r in batch.refused) == ["VAL-07", "VAL-08"] and len(batch) == 0


def test_a_null_of_the_same_configuration_makes_the_sum_unknown() -> None:
    e1 = register("E1", configuration="E1E2") + day(flat(), "V") + "400,1,24,A,,\n400,25,48,N,,\n"
    e2 = register("E2", configuration="E1E2") + day(flat())
    batch = one(file(e1, e2))
    assert batch.known is not None and batch.known[0].tolist() == [True] * 24 + [False] * 24


def test_a_register_that_comes_twice_makes_two_rows_to_be_judged() -> None:
    e1, e2 = register("E1", configuration="E1E2"), register("E2", configuration="E1E2")
    batch = one(file(e1, day(flat("1")), day(flat("2")), e2, day(flat("3"))))
    assert batch.total_wh.tolist() == [192_000, 240_000] and not batch.refused


def test_two_envelopes_in_one_file_are_both_read() -> None:
    batch = one(file(register(), day(flat())) + "\n" + file(register(), day(flat("2"))))
    assert batch.total_wh.tolist() == [48_000, 96_000] and not batch.refused


def test_a_register_of_many_years_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khata.formats.nem12._MOST_HELD", 3)
    monkeypatch.setattr("khata.formats.day_rows.BATCH_ROWS", 3)
    days = (day(flat(str(n)), date=f"202405{n:02d}") for n in range(1, 11))
    batches = read(file(register(), *days))
    assert len(batches) > 2 and [int(n) for b in batches for n in b.total_wh] == [n * 48_000 for n in range(1, 11)]


def test_a_long_file_comes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khata.formats.day_rows.BATCH_ROWS", 3)
    text = file(*(f"200,N{n},E1,1,E1,,M{n},kWh,30,\n{day(flat(str(n)))}" for n in range(10)))
    batches = read(text)
    assert len(batches) > 2 and [int(n) for b in batches for n in b.total_wh] == [n * 48_000 for n in range(10)]


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("records", "rule", "what"),
    [
        (register() + day(flat(count=47)), "VAL-06", "47 values"),
        (register() + day(flat(count=49)), "VAL-06", "49 values"),
        (register() + day(flat(count=50)), "VAL-06", "50 values"),
        (register(minutes=15) + day(flat()), "VAL-06", "makes 96 a day"),
        (register(minutes=60) + day(flat(count=24)), "VAL-06", "minutes do not make up half-hours"),
        (register(minutes=7) + day(flat()), "VAL-06", "do not make up half-hours"),
        (register() + day(["-0.5", *flat(count=47)]), "VAL-07", "below 0"),
        (register() + day(["१", *flat(count=47)]), "VAL-08", "another script"),
        (register() + day(["", *flat(count=47)]), "VAL-08", "is empty"),
        (register() + day(["1e3", *flat(count=47)]), "VAL-08", "not a number"),
        (register() + day(["9" * 15, *flat(count=47)]), "VAL-05", "more than a meter"),
        (register() + day(["9" * 16, *flat(count=47)]), "VAL-05", "more than a meter"),
        (register() + day(flat(), "X"), "VAL-08", "no quality"),
        (register() + day(flat(), "V"), "VAL-08", "quality of interval 1"),
        (register() + day(flat(), "V") + "400,1,40,A,,\n", "VAL-08", "quality of interval 41"),
        (register() + day(flat(), "V") + "400,1,48,A,,\n400,2,2,E52,,\n", "VAL-08", "same interval"),
        (register() + day(flat(), "V") + "400,1,96,A,,\n", "VAL-06", "the day has 48"),
        (register() + day(flat(), "V") + "400,1,48,V,,\n", "VAL-08", "is not known"),
        (register() + day(flat(), "A") + "400,1,48,E52,,\n", "VAL-08", "a 400 record says E"),
        (register() + day(flat(), "V") + "400,1,48,A\n", "VAL-08", "4 fields"),
        (register() + f"300,20240501,{','.join(flat())},A\n", "VAL-08", "fields behind the quality"),
        (register() + day(flat(), date="20240230"), "VAL-08", "not a day of the calendar"),
        (register() + day(flat(), date="2024-05-01"), "VAL-08", "not a day of the calendar"),
        (register("E1", unit="kVArh") + day(flat()), "VAL-12", "not one of the register E1"),
        (register("E1", unit="kW") + day(flat()), "VAL-12", "not one of the register E1"),
        (register("A1") + day(flat()), "VAL-12", "no register that counts"),
        (register("F1") + day(flat()), "VAL-12", "no register that counts"),
        (register("G1", unit="pf"), "VAL-12", "no register that counts"),
        (day(flat()), "VAL-08", "before any register"),
        ("400,1,2,A,,\n", "VAL-08", "follows no day"),
        ("200,NMI1,E1,1,E1,N1,M1,kWh\n" + day(flat()), "VAL-08", "8 fields"),
        ("250,1,2\n", "VAL-08", "no record of NEM12"),
        ("11,12,13\n", "VAL-08", "no record of NEM12"),
        (register(serial="M" * 41) + day(flat()), "VAL-08", "more than 40 characters"),
    ],
)
def test_a_flaw_is_refused_with_its_rule_and_the_rest_stands(records: str, rule: str, what: str) -> None:
    good = "200,NMI2,E1,1,E1,,M2,kWh,30,\n" + day(flat("2"))
    batch = one(file(records, good))
    (refused,) = batch.refused
    assert refused.rule == rule and refused.content
    assert what in refused.reason
    assert batch.serials.tolist() == [b"M2"] and batch.total_wh.tolist() == [96_000]


def test_a_refused_day_names_meter_day_channel_and_line() -> None:
    refused = only_refused(file(register("B1"), day(flat(count=47))))
    assert (refused.serial, str(refused.day), refused.channel, refused.line) == ("M1", "2024-05-01", EXPORT, 3)


@pytest.mark.parametrize("seam", [",\n", "\n,"])
def test_a_day_broken_over_lines_at_a_comma_is_joined(seam: str) -> None:
    text = day([str(n) for n in range(48)])
    for at in (5, 30, 52):
        cells = text.split(",")
        batch = one(file(register(), ",".join(cells[:at]) + seam + ",".join(cells[at:])))
        assert batch.blocks is not None and not batch.refused
        assert batch.blocks[0].tolist() == [n * 1000 for n in range(48)]


def test_a_day_broken_without_a_comma_is_refused_once() -> None:
    cells = day(flat("12")).split(",")
    refused = only_refused(file(register(), ",".join(cells[:20]) + "\n" + ",".join(cells[20:])))
    assert refused.rule == "VAL-08" and "broken over several lines" in refused.reason


def test_a_broken_day_never_swallows_a_record() -> None:
    batch = one(file(register(), "300,20240501,1,2,3,\n", day(flat("2"), date="20240502")))
    assert [r.line for r in batch.refused] == [3] and batch.total_wh.tolist() == [96_000]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("200,NMI1,E1,1,E1,N1,M1,kWh,30,\n", "is missing"),
        ("100,NEM14,202405011200,A,B\n900\n", "the header is not"),
        ("100,NEM12\n900\n", "the header is not"),
        ("meter,day,kwh\n", "is missing"),
        (HEADER + "2" * (1 << 20), "longer than a mebibyte"),
    ],
)
def test_what_is_no_nem12_file_is_refused_whole(text: str, what: str) -> None:
    with pytest.raises(FormatError, match=what.replace("(", r"\(")):
        read(text)


def test_a_missing_end_mark_is_told_and_what_came_is_kept() -> None:
    batch = one(file(register(), day(flat())).removesuffix("900\n"))
    assert [(r.rule, r.line) for r in batch.refused] == [("VAL-08", 3)] and "cut off" in batch.refused[0].reason
    assert batch.total_wh.tolist() == [48_000]


def test_what_stands_behind_the_end_mark_is_refused() -> None:
    batch = one(file(register(), day(flat())) + register() + day(flat("3")))
    assert len(batch) == 1 and {r.rule for r in batch.refused} == {"VAL-08"} and len(batch.refused) == 2


# ── laws ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def days(draw: st.DrawFn) -> tuple[str, list[int], list[int]]:
    """A register's day as its records, and the half-hours and origins that were meant."""
    minutes = draw(st.sampled_from([5, 15, 30]))
    count = 1440 // minutes
    size = count // 48
    values = draw(st.lists(st.integers(0, 9_999_999), min_size=count, max_size=count))
    flags = "AESFN"
    runs = draw(st.lists(st.tuples(st.integers(1, count), st.sampled_from(flags)), min_size=1, max_size=4))
    marks = "".join(flag * length for length, flag in runs)[:count].ljust(count, runs[-1][1])
    text = register(minutes=minutes) + day([f"{v // 1000}.{v % 1000:03d}" for v in values], "V")
    start = 0
    for n in range(1, count + 1):
        if n == count or marks[n] != marks[start]:
            text += f"400,{start + 1},{n},{marks[start]}{'52' if marks[start] in 'ESF' else ''},,\n"
            start = n
    meant, origins = [], []
    for at in range(0, count, size):
        parts = marks[at : at + size]
        null = "N" in parts
        meant.append(UNKNOWN_WH if null else sum(values[at : at + size]))
        estimated, filled = "E" in parts, "S" in parts or "F" in parts
        origins.append(0 if null else ESTIMATED if estimated else SUBSTITUTED if filled else ACTUAL)
    return text, meant, origins


@settings(max_examples=25)
@given(days())
def test_what_is_written_is_read(written: tuple[str, list[int], list[int]]) -> None:
    text, meant, origins = written
    batch = one(file(text))
    assert batch.blocks is not None and not batch.refused
    assert batch.blocks[0].tolist() == meant and origins_of(batch) == origins
    assert batch.total_wh[0] == (UNKNOWN_WH if UNKNOWN_WH in meant else sum(meant))


TWO_DAYS = file(
    register("E1", configuration="E1B1"),
    day([str(n) for n in range(48)], "V") + "400,1,24,A,,\n400,25,48,E52,,\n",
    "500,N,,20240502061500,1000\n",
    day(flat("0.25"), date="20240502"),
    register("B1", configuration="E1B1"),
    day(flat("0.5")),
).encode()


def rows_of(batches: list[MeterDayBatch]) -> list[tuple[bytes, str, int, list[int], list[int]]]:
    out = []
    for batch in filter(len, batches):
        assert batch.blocks is not None and batch.channel is not None
        for i in range(len(batch)):
            key = batch.serials[i], str(batch.days[i]), int(batch.channel[i])
            out.append((*key, batch.blocks[i].tolist(), origins_of(batch, i)))
    return out


def test_a_cut_anywhere_loses_only_what_stands_behind_it() -> None:
    whole = rows_of(read(TWO_DAYS))
    ends = [TWO_DAYS.index(mark) for mark in (b"500,N", b"200,NMI1,E1B1,1,B1", b"900\n")]  # of the rows in whole
    begin = len(HEADER)
    for cut in range(begin, len(TWO_DAYS) - len("\n")):
        batches = read(TWO_DAYS[:cut])
        assert rows_of(batches) == whole[: sum(end <= cut for end in ends)], cut
        refused = [r for batch in batches for r in batch.refused]
        assert refused and {r.rule for r in refused} == {"VAL-08"}, cut


@settings(max_examples=150)
@given(st.binary(max_size=300), st.integers(0, len(TWO_DAYS)), st.integers(0, 40))
@example(b"\xff\x00\r,\n", 80, 3)
@example(b"\n300,\n", 60, 0)
def test_garbage_is_refused_and_never_another_error(garbage: bytes, at: int, instead: int) -> None:
    for data in (garbage, HEADER.encode() + garbage, TWO_DAYS[:at] + garbage + TWO_DAYS[at + instead :]):
        try:
            batches = read(data)
        except FormatError:
            continue
        for batch in batches:
            assert not any("\0" in r.content for r in batch.refused)
            assert not len(batch) or (batch.blocks is not None and (batch.blocks >= UNKNOWN_WH).all())
