"""Meter days of a CSV: exact watt-hours, unknown blocks, every bad line refused by itself."""

import datetime as dt
import io
import random
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats import meterdays_csv, meterdays_quick
from khata.formats.meterdays import BLOCKS, CUT_OFF, UNKNOWN_WH, MeterDayBatch, Refused
from khata.formats.meterdays_csv import read_csv
from khata.formats.text import FormatError

WIDE = "meter,day," + ",".join(BLOCKS)


def csv(text: str | bytes) -> MeterDayBatch:
    (batch,) = read_csv(io.BytesIO(text.encode() if isinstance(text, str) else text))
    return batch


def wide(*cells: str, meter: str = "KE1", day: str = "2024-05-31") -> str:
    return f"{WIDE}\n{meter},{day}," + ",".join([*cells, *["0"] * (48 - len(cells))]) + "\n"


def test_days_are_read_exactly() -> None:
    batch = csv("day,meter,kwh\n2024-05-31, KE 01 ,1.27\n2024-06-01,0002,.5\n2024-06-01,3,1234567.0010\n")
    assert batch.serials.tolist() == [b"KE 01", b"0002", b"3"]
    assert batch.days.tolist() == [dt.date(2024, 5, 31), dt.date(2024, 6, 1), dt.date(2024, 6, 1)]
    assert batch.total_wh.tolist() == [1270, 500, 1_234_567_001] and batch.total_known.all()
    assert batch.blocks is None and batch.known is None
    assert batch.lines.tolist() == [2, 3, 4] and batch.first_line == 2 and len(batch) == 3


def test_an_empty_block_is_unknown_and_so_is_its_day() -> None:
    batch = csv(wide("5", "", "7") + wide("1", "2", meter="KE2").split("\n")[1] + "\n")
    assert batch.blocks is not None and batch.known is not None
    assert batch.blocks[0, :3].tolist() == [5, UNKNOWN_WH, 7] and batch.known[0, :3].tolist() == [True, False, True]
    assert batch.blocks.dtype == np.int32 and batch.blocks.shape == (2, 48)
    assert batch.total_wh.tolist() == [UNKNOWN_WH, 3] and batch.total_known.tolist() == [False, True]


def test_quotes_crlf_byte_order_mark_and_blank_lines_are_accepted() -> None:
    batch = csv(b'\xef\xbb\xbf\r\n"meter","day","kwh"\r\n\r\n"KE1","2024-05-31","2"\r\n\r\n"KE2",2024-05-31,3\r\n')
    assert batch.serials.tolist() == [b"KE1", b"KE2"] and batch.total_wh.tolist() == [2000, 3000]
    assert batch.lines.tolist() == [4, 6]


def test_a_long_file_comes_in_batches_with_running_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meterdays_csv, "_PIECE_BYTES", 1000)
    monkeypatch.setattr(meterdays_csv, "BATCH_ROWS", 20)
    text = "meter,day,kwh\n" + "".join(f"KE{i},2024-05-31,{i}.5\n" for i in range(300))
    batches = list(read_csv(io.BytesIO(text.encode())))
    assert max(map(len, batches)) == 20
    assert np.concatenate([b.lines for b in batches]).tolist() == list(range(2, 302))
    assert np.concatenate([b.total_wh for b in batches]).tolist() == [i * 1000 + 500 for i in range(300)]


def refusal(text: str) -> Refused:
    batch = csv(text)
    assert len(batch) == 0
    (refused,) = batch.refused
    return refused


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", None, "the file is empty"),
        ("meter,day\n", None, "no column with energy"),
        ("day,kwh\n", "meter", "the column meter is missing"),
        ("meter,day,kwh,name\n", None, "“name” is not known"),
        ("meter,day,kwh,b01\n", None, "“b01” is not known"),
        ("meter,day,kwh,v01\n", "v02", "the column v02 is missing"),
        ("meter,day,kwh,off,off\n", "off", "stands twice"),
        (WIDE.replace(",b48", ""), "b48", "the column b48 is missing"),
        ("meter\0,day,kwh\n", None, "NUL byte"),
    ],
)
def test_a_wrong_header_refuses_the_file(text: str, column: str | None, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        list(read_csv(io.BytesIO(text.encode())))
    assert (refused.value.line, refused.value.column) == (1, column)
    assert refused.value.next_step and len(str(refused.value)) < 220


@pytest.mark.parametrize(
    ("text", "line", "rule", "what"),
    [
        ("meter,day,kwh\nK,2024-05-31,-1\n", 2, "VAL-07", "kwh: kwh “-1” is below 0"),
        ("meter,day,kwh\nK,2024-05-31,\n", 2, "VAL-08", "kwh is empty"),
        ("meter,day,kwh\n\nK,2024-05-31,1.2345\n", 3, "VAL-08", "more than 3 decimal places"),
        ("meter,day,kwh\nK,2024-05-31,1e3\n", 2, "VAL-08", "exponent"),
        ("meter,day,kwh\nK,2024-05-31,0x10\n", 2, "VAL-08", "not a number"),
        ("meter,day,kwh\nK,2024-05-31,१२\n", 2, "VAL-08", "has Devanagari digits"),
        ("meter,day,kwh\nK,2024-05-31,1²\n", 2, "VAL-08", "not ASCII"),
        ("meter,day,kwh\nK,2024-05-31,NaN\n", 2, "VAL-08", "not a number"),
        ("meter,day,kwh\nK,2024-05-31\n", 2, "VAL-08", "2 fields, the header has 3"),
        ("meter,day,kwh\nK,2024-05-31,1,2\n", 2, "VAL-08", "4 fields, the header has 3"),
        ("meter,day,kwh\nK,31-05-2024,1\n", 2, "VAL-08", "not a date"),
        ("meter,day,kwh\nK,2024-02-30,1\n", 2, "VAL-08", "not in the calendar"),
        ("meter,day,kwh\nK,2024-05-३१,1\n", 2, "VAL-08", "has Devanagari digits"),
        ("meter,day,kwh\nK,,1\n", 2, "VAL-08", "day is empty"),
        ("meter,day,kwh\n,2024-05-31,1\n", 2, "VAL-08", "meter number is empty"),
        ("meter,day,kwh\nमीटर,2024-05-31,1\n", 2, "VAL-08", "no letter, digit or sign"),
        ("meter,day,kwh\nKE१,2024-05-31,1\n", 2, "VAL-08", "the meter number has Devanagari digits"),
        (f"meter,day,kwh\n{'9' * 41},2024-05-31,1\n", 2, "VAL-08", "more than 40 characters"),
        ('meter,day,kwh\nK"1,2024-05-31,1\n', 2, "VAL-08", "stray quote"),
        ("meter,day,kwh\nK\0,2024-05-31,1\n", 2, "VAL-08", "NUL"),
        (f"meter,day,kwh\nK,2024-05-31,{'9' * (1 << 20)}\n", 2, "VAL-08", "longer than a mebibyte"),
        (f"{WIDE}\nKE1,2024-05-31{',1' * 47}\n", 2, "VAL-06", "47 half-hours, a day has 48"),
        (f"{WIDE}\nKE1,2024-05-31{',1' * 49}\n", 2, "VAL-06", "49 half-hours, a day has 48"),
        (f"{WIDE}\nKE1,2024-05-31{',1' * 50}\n", 2, "VAL-06", "50 half-hours"),
        (f"{WIDE},off\nKE1,2024-05-31{',1' * 48}\n", 2, "VAL-06", "50 fields, the header has 51"),
        (f"{WIDE}\n<html>\n", 2, "VAL-08", "1 fields"),
        (wide("-5"), 2, "VAL-07", "b01: the block “-5” is below 0"),
        (wide("0", "1.5"), 2, "VAL-08", "b02: the block “1.5” is not a whole number"),
        (wide("0", "0x1F"), 2, "VAL-08", "not a whole number"),
        (wide("2147483648"), 2, "VAL-08", "too large"),
        (wide("9" * 4000), 2, "VAL-08", "too large"),
        (wide("५"), 2, "VAL-08", "b01: the block “५” has Devanagari digits"),
        ("meter,day,kwh,register_wh\nK,2024-05-31,1,-4\n", 2, "VAL-07", "register_wh: the register “-4” is below 0"),
        ("meter,day,kwh,demand_w\nK,2024-05-31,1,4.5\n", 2, "VAL-08", "demand_w: the demand “4.5” is not a whole"),
        ("meter,day,kwh,off\nK,2024-05-31,1,0101\n", 2, "VAL-08", "off “0101” is not 48 characters 0 or 1"),
        ("meter,day,kwh,channel\nK,2024-05-31,1,imported\n", 2, "VAL-12", "channel “imported” is not known"),
    ],
)
def test_every_bad_line_is_refused_by_itself(text: str, line: int, rule: str, what: str) -> None:
    refused = refusal(text)
    assert (refused.line, refused.rule) == (line, rule)
    assert what in refused.reason and refused.reason.endswith(".") and len(refused.reason) < 260
    assert 0 < len(refused.content) <= 2000


def test_the_rest_of_the_file_goes_on() -> None:
    batch = csv("meter,day,kwh\nA,2024-05-31,1\nB,2024-05-31,x\nC,2024-05-31, 3\nD,2024-05-31,-4\nE,2024-05-31,5\n")
    assert batch.serials.tolist() == [b"A", b"C", b"E"] and batch.lines.tolist() == [2, 4, 6]
    assert batch.total_wh.tolist() == [1000, 3000, 5000]
    assert [(each.line, each.rule, each.serial, each.day) for each in batch.refused] == [
        (3, "VAL-08", "B", dt.date(2024, 5, 31)),
        (5, "VAL-07", "D", dt.date(2024, 5, 31)),
    ]
    assert batch.refused[0].content == "B,2024-05-31,x"


def test_a_reason_tells_no_meter_number() -> None:
    (batch,) = read_csv(io.BytesIO(b"meter,day,kwh\n" + b"SECRET-77,2024-05-31,x\nSECRET-77" + b"\xff,,\n"))
    assert len(batch.refused) == 2 and "SECRET" not in "".join(each.reason for each in batch.refused)


def test_what_else_a_head_end_knows_of_a_day_is_read() -> None:
    means = [f"{group}{n:02d}" for group in ("v", "a", "hz") for n in range(1, 49)]
    off = "1" + "0" * 46 + "1"
    row = ["K", "2024-05-31", "export", "123456", "4000", off, *["7"] * 48]
    row += ["231.25", *[""] * 47, "4.5", *["0"] * 47, "49.987", *["50"] * 47]
    names = ["meter", "day", "channel", "register_wh", "demand_w", "off", *BLOCKS, *means]
    plain = ["K", "2024-05-31", "", "", "", "", *["7"] * 48, *[""] * 144]
    batch = csv(
        "\n".join([",".join(names), ",".join(row), ",".join(plain), ",".join(row).replace(",7,", ", 7,", 1), ""])
    )
    assert len(batch) == 3
    told = [batch.channel, batch.register_wh, batch.demand_w, batch.off]
    assert [None if each is None else each.tolist() for each in told] == [
        [1, 0, 1],
        [123456, -1, 123456],
        [4000, -1, 4000],
        [1 | 1 << 47, -1, 1 | 1 << 47],
    ]
    assert batch.volts_dv is not None and batch.current_ma is not None and batch.hertz_mhz is not None
    for i in (0, 2):
        assert batch.volts_dv[i, :2].tolist() == [2313, -1]
        assert batch.current_ma[i, :2].tolist() == [4500, 0]
        assert batch.hertz_mhz[i, :2].tolist() == [49987, 50000]
    assert (batch.volts_dv[1] == -1).all()
    other = csv(wide("1"))
    assert (other.channel, other.register_wh, other.off, other.volts_dv, other.origin) == (None,) * 5


ROWS = [f"KE{n},2024-05-31,{n}.{n % 1000}" for n in (1, 20, 345, 67_890)]


@given(st.integers(0, len("\n".join(ROWS)) + 1))
def test_a_cut_anywhere_changes_no_value(kept: int) -> None:
    whole = "\n".join(ROWS) + "\n"
    rows, refused = read(f"meter,day,kwh\n{whole[:kept]}".encode())
    complete = whole[:kept].count("\n")
    assert rows == read(f"meter,day,kwh\n{whole}".encode())[0][:complete]
    cut = bool(whole[:kept].rpartition("\n")[2])
    assert [(each.line, each.rule, each.reason[: len(CUT_OFF)]) for each in refused] == [
        (complete + 2, "VAL-08", CUT_OFF)
    ] * cut


def read(content: bytes) -> tuple[list[tuple[Any, ...]], list[Refused]]:
    """Every row as a tuple, and every refusal."""
    rows: list[tuple[Any, ...]] = []
    refused: list[Refused] = []
    for batch in read_csv(io.BytesIO(content)):
        columns: list[Any] = [batch.lines, batch.serials, batch.days, batch.total_wh, batch.total_known, batch.blocks]
        columns += [batch.channel, batch.register_wh, batch.demand_w, batch.off, batch.volts_dv, batch.hertz_mhz]
        rows += zip(*(each.tolist() for each in columns if each is not None), strict=True)
        refused += batch.refused
    return rows, refused


def plainly(content: bytes) -> tuple[list[tuple[Any, ...]], list[Refused]]:
    """The same by the plain reader alone."""

    def nothing(chars: Any, edges: Any, others: Any, starts: Any, ends: Any, layout: Any) -> Any:
        fields, fine, texts = ordinary(chars, edges, others, starts, ends, layout)
        return fields, np.zeros_like(fine), texts

    ordinary = meterdays_quick._ordinary
    with mock.patch.object(meterdays_quick, "_ordinary", nothing):
        return read(content)


NUMBERS = st.one_of(
    st.integers(-5, 2**31 + 5).map(str),
    st.integers(0, 999).map(str),
    st.decimals(-1, 10**6, places=4).map(str),
    st.decimals(0, 999, places=2).map(str),
    st.text("0123456789.-+eE x,\"'\t१\r", max_size=5),
    st.sampled_from(["", ".", "1.", ".5", "-0", " 7", "7 ", "1_0", '"4"', '"4"5', '""', "1,5", '"1,5"', "٣", "9" * 20]),
)
DAYS = st.one_of(
    st.just("2024-05-31"),
    st.dates().map(str),
    st.sampled_from(["2024-5-31", " 2024-05-31", '"2024-05-31"', "0000-01-01", "9999-12-31", "2024-02-30", ""]),
)
METERS = st.one_of(st.sampled_from(["KE1", '"KE 1"', " KE1 ", '"a,b"', "9" * 41]), st.text('aK0x -.",\0é', max_size=4))
OTHERS = {
    "channel": st.sampled_from(["", "import", "export", "reactive_lead", "Import", " export", '"export"', "exports"]),
    "register_wh": NUMBERS,
    "off": st.sampled_from(["", "0" * 48, "01" * 24, "1" * 47, "2" * 48, '"' + "1" * 48 + '"', " "]),
}


@given(st.data(), st.sampled_from(["kwh", "blocks", "means", "others"]))
@settings(max_examples=60)
def test_any_mixture_is_read_as_the_plain_reader_reads_it(data: st.DataObject, shape: str) -> None:
    names = {
        "kwh": ["meter", "day", "kwh"],
        "blocks": ["meter", "day", *BLOCKS],
        "means": ["kwh", "meter", *(f"v{n:02d}" for n in range(1, 49)), "day"],
        "others": ["meter", "day", "channel", "register_wh", "kwh", "off"],
    }[shape]

    def cell(name: str) -> Any:
        if name in ("b02", "b47", "v03", "v48", "kwh"):
            return data.draw(st.one_of(st.just("7"), NUMBERS))
        return data.draw({"meter": METERS, "day": DAYS, **OTHERS}.get(name, st.just("5")))

    rows = [",".join(map(cell, names)) for _ in range(data.draw(st.integers(1, 4)))]
    rows += data.draw(st.lists(st.sampled_from(["", "\r", "x", ",".join(["1"] * len(names))]), max_size=2))
    text = data.draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join([",".join(names), *rows])
    content = (text + data.draw(st.sampled_from(["\n", "\r\n", ""]))).encode()
    assert read(content) == plainly(content)


@given(st.binary(max_size=60))
def test_no_bytes_stop_the_file(content: bytes) -> None:
    content = b"meter,day,kwh\n" + content
    rows, refused = read(content)
    lines = content.split(b"\n")[1:]
    told = [row[0] for row in rows] + [each.line for each in refused]
    assert len(told) == len(set(told))
    assert {number for number, line in enumerate(lines, 2) if line.strip()} >= set(told)


def test_ordinary_lines_are_read_quickly_beside_any_others() -> None:
    for line in (wide("1", "", "3").split("\n")[1], '"KE x1","2024-05-31",' + ",".join(['"5"'] * 48)):
        layout = meterdays_csv._layout(WIDE.split(","), 1)
        columns, numbers, others = meterdays_quick.quick_rows(f"x\n{line}\n-,\n{line}\r\n".encode(), layout)
        assert numbers.tolist() == [1, 3] and others[:, 0].tolist() == [0, 2] and len(columns["b"]) == 2


SPOILT: list[Callable[[str], str]] = [
    lambda line: line + ",5",
    lambda line: line.rsplit(",", 1)[0],
    lambda line: line.replace(",", ",-", 3),
    lambda line: line[:40] + "१" + line[41:],
    lambda line: line[:40] + "99999999999" + line[40:],
    lambda line: line.replace("2024-05", "2024-13"),
]


def test_one_bad_line_in_a_hundred_costs_little() -> None:
    """More than half of the clean speed, with room for a busy machine; the plain reader alone has a thirtieth."""
    numbers = np.random.default_rng(5).integers(0, 900, (10_000, 48)).tolist()
    rows = [f"NP{i:08d},2024-05-31,{','.join(map(str, row))}" for i, row in enumerate(numbers)]
    spoilt = random.Random(5).sample(range(len(rows)), len(rows) // 100)
    dirty = list(rows)
    for n, i in enumerate(spoilt):
        dirty[i] = SPOILT[n % len(SPOILT)](rows[i])

    def seconds(lines: list[str]) -> float:
        file = io.BytesIO("\n".join([WIDE, *lines, ""]).encode())
        best = 9.0
        for _ in range(4):
            file.seek(0)
            began = time.process_time()
            refused = sum(len(batch.refused) for batch in read_csv(file))
            best = min(best, time.process_time() - began)
            assert refused == sum(each != row for each, row in zip(lines, rows, strict=True))
        return best

    assert seconds(rows) / seconds(dirty) > 0.5


def test_memory_stays_flat_where_every_line_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meterdays_csv, "BATCH_ROWS", 100)
    counts = [len(batch.refused) for batch in read_csv(io.BytesIO(b"meter,day,kwh\n" + b"x\n" * 1050))]
    assert counts == [100] * 10 + [50]
