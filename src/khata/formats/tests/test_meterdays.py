"""Meter days: exact watt-hours, unknown blocks, every bad line named, and two CSV readers that never disagree."""

import datetime as dt
import io
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats import meterdays
from khata.formats.meterdays import BLOCKS, UNKNOWN_WH, MeterDayBatch, read_csv
from khata.formats.meterdays_parquet import read_parquet
from khata.formats.text import FormatError

WIDE = "meter,day," + ",".join(BLOCKS)
MAY31 = np.datetime64("2024-05-31")


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
    batch = csv(wide("5", "", "7") + wide("1", "2", meter="KE2").split("\n")[1])
    assert batch.blocks is not None and batch.known is not None
    assert batch.blocks[0, :3].tolist() == [5, UNKNOWN_WH, 7] and batch.known[0, :3].tolist() == [True, False, True]
    assert batch.blocks.dtype == np.int32 and batch.blocks.shape == (2, 48)
    assert batch.total_wh.tolist() == [UNKNOWN_WH, 3] and batch.total_known.tolist() == [False, True]


def test_quotes_crlf_byte_order_mark_and_blank_lines_are_accepted() -> None:
    batch = csv(b'\xef\xbb\xbf\r\n"meter","day","kwh"\r\n\r\n"KE1","2024-05-31","2"\r\n\r\n"KE2",2024-05-31,3')
    assert batch.serials.tolist() == [b"KE1", b"KE2"] and batch.total_wh.tolist() == [2000, 3000]
    assert batch.lines.tolist() == [4, 6]


def test_a_long_file_comes_in_batches_with_running_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meterdays, "_PIECE_BYTES", 1000)
    monkeypatch.setattr(meterdays, "BATCH_ROWS", 20)
    text = "meter,day,kwh\n" + "".join(f"KE{i},2024-05-31,{i}.5\n" for i in range(300))
    batches = list(read_csv(io.BytesIO(text.encode())))
    assert max(map(len, batches)) == 20
    assert np.concatenate([b.lines for b in batches]).tolist() == list(range(2, 302))
    assert np.concatenate([b.total_wh for b in batches]).tolist() == [i * 1000 + 500 for i in range(300)]


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("", 1, None, "the file is empty"),
        ("meter,day\n", 1, None, "no column with energy"),
        ("day,kwh\n", 1, "meter", "the column meter is missing"),
        ("meter,day,kwh,name\n", 1, None, "“name” is not known"),
        ("meter,day,kwh,b01\n", 1, None, "“b01” is not known"),
        (WIDE.replace(",b48", ""), 1, "b48", "the column b48 is missing"),
        ("meter,day,kwh\nK,2024-05-31,-1\n", 2, "kwh", "below 0"),
        ("meter,day,kwh\nK,2024-05-31,\n", 2, "kwh", "kwh is empty"),
        ("meter,day,kwh\nK,2024-05-31,1\n\nK,2024-05-31,1.2345\n", 4, "kwh", "more than 3 decimal places"),
        ("meter,day,kwh\nK,2024-05-31,1e3\n", 2, "kwh", "exponent"),
        ("meter,day,kwh\nK,2024-05-31,0x10\n", 2, "kwh", "not a number"),
        ("meter,day,kwh\nK,2024-05-31,१२\n", 2, "kwh", "not ASCII"),
        ("meter,day,kwh\nK,2024-05-31,NaN\n", 2, "kwh", "not a number"),
        ("meter,day,kwh\nK,2024-05-31\n", 2, None, "2 fields, the header has 3"),
        ("meter,day,kwh\nK,2024-05-31,1,2\n", 2, None, "4 fields, the header has 3"),
        ("meter,day,kwh\nK,31-05-2024,1\n", 2, "day", "not a date"),
        ("meter,day,kwh\nK,2024-02-30,1\n", 2, "day", "not in the calendar"),
        ("meter,day,kwh\nK,,1\n", 2, "day", "day is empty"),
        ("meter,day,kwh\n,2024-05-31,1\n", 2, "meter", "meter number is empty"),
        ("meter,day,kwh\nमीटर,2024-05-31,1\n", 2, "meter", "no letter, digit or sign"),
        (f"meter,day,kwh\n{'9' * 41},2024-05-31,1\n", 2, "meter", "more than 40 characters"),
        ('meter,day,kwh\nK"1,2024-05-31,1\n', 2, None, "stray quote"),
        ('meter,day,kwh\n"K\n1",2024-05-31,1\n', 2, None, "stray quote"),
        (wide("-5"), 2, "b01", "below 0"),
        (wide("0", "1.5"), 2, "b02", "not a whole number"),
        (wide("0", "0x1F"), 2, "b02", "not a whole number"),
        (wide("x"), 2, "b01", "not a whole number"),
        (wide("2147483648"), 2, "b01", "too large"),
        (wide("9" * 4000), 2, "b01", "too large"),
        (wide("५"), 2, "b01", "not ASCII"),
    ],
)
def test_every_bad_line_is_named(text: str, line: int, column: str | None, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        csv(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert refused.value.next_step and len(str(refused.value)) < 220


def test_bytes_that_are_no_text_are_named() -> None:
    for cell, what in ((b"K\xff", "not UTF-8"), (b"K\0", "NUL")):
        with pytest.raises(FormatError, match=what) as refused:
            csv(b"meter,day,kwh\n" + cell + b",2024-05-31,1\n")
        assert refused.value.line == 2


def test_up_to_ten_errors_come_together_and_no_meter_number_is_told() -> None:
    with pytest.raises(FormatError) as refused:
        csv("meter,day,kwh\n" + "SECRET-77,2024-05-31,x\n" * 30)
    errors = [refused.value, *refused.value.more]
    assert [error.line for error in errors] == list(range(2, 12))
    assert "SECRET" not in "".join(map(str, errors))


CELLS = st.one_of(
    st.integers(-5, 2**31 + 5).map(str),
    st.decimals(-1, 10**6, places=4).map(str),
    st.text("0123456789.-+eE x,\"'\t१", max_size=5),
    st.sampled_from(["", ".", "1.", "-0", " 7", "7 ", "1_0", "0x1", '"4"', '"4"5', '""', "1,5", '"1,5"', "٣", "∞"]),
)
DAYS = st.sampled_from(
    ["2024-05-31", "2024-5-31", " 2024-05-31", '"2024-05-31"', "0000-01-01", "9999-12-31", "2024-02-30"]
)


@given(st.data(), st.sampled_from(["kwh", "blocks"]))
@settings(max_examples=400, deadline=None)
def test_the_quick_reader_never_accepts_what_the_plain_one_does_not(data: st.DataObject, shape: str) -> None:
    names = ("meter", "day", "kwh") if shape == "kwh" else ("meter", "day", *BLOCKS)
    rest = [] if shape == "kwh" else ["7"] * 47
    rows = [
        ",".join([data.draw(st.text('aKE01x -.",', max_size=4)), data.draw(DAYS), data.draw(CELLS), *rest])
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    piece = data.draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join(rows).encode()
    quick = meterdays._arrow_piece(piece, names, 2)
    if quick is not None:
        plain = meterdays._plain_piece(piece, names, 2)
        assert quick.lines.tolist() == plain.lines.tolist() and quick.serials.tolist() == plain.serials.tolist()
        assert quick.days.tolist() == plain.days.tolist() and quick.energy_wh.tolist() == plain.energy_wh.tolist()


def test_an_ordinary_piece_is_read_quickly() -> None:
    piece = wide("1", "", "3").split("\n", 1)[1].encode()
    assert meterdays._arrow_piece(piece, ("meter", "day", *BLOCKS), 2) is not None
    assert meterdays._arrow_piece(b'"KE x1","2024-05-31","1.25"\r\n', ("meter", "day", "kwh"), 2) is not None


# ── Parquet ───────────────────────────────────────────────────────────────────────────────────────────────────────


def parquet(**columns: Any) -> MeterDayBatch:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    (batch,) = read_parquet(file)
    return batch


METER = pa.array(["KE1", "KE2"])
DAY = pa.array([dt.date(2024, 5, 31)] * 2)
HALF_HOURS = [[1] * 48, [None, *[2] * 47]]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int32()), pa.large_list(pa.int64()), pa.list_(pa.int16(), 48), pa.list_(pa.uint8())]
)
def test_blocks_may_be_a_list_of_any_integers(kind: Any) -> None:
    batch = parquet(meter=METER, day=DAY, blocks=pa.array(HALF_HOURS, kind))
    assert batch.blocks is not None
    assert batch.blocks[1, :2].tolist() == [UNKNOWN_WH, 2]
    assert batch.total_wh.tolist() == [48, UNKNOWN_WH] and batch.lines.tolist() == [1, 2]


def test_blocks_may_be_48_columns_or_a_null_list() -> None:
    batch = parquet(meter=METER.dictionary_encode(), day=DAY, **dict.fromkeys(BLOCKS, pa.array([3, None], pa.uint8())))
    assert batch.total_wh.tolist() == [144, UNKNOWN_WH] and batch.days[0] == MAY31
    batch = parquet(meter=METER, day=DAY, blocks=pa.array([[1] * 48, None], pa.list_(pa.int32())))
    assert batch.known is not None and not batch.known[1].any() and batch.known[0].all()


@pytest.mark.parametrize(
    "kwh",
    [
        pa.array(["1.27", ".5"]),
        pa.array([" 1.27", "0.5000"]),
        pa.array([Decimal("1.27"), Decimal("0.50")]),
        pa.array([Decimal("1.270000"), Decimal("0.5")], pa.decimal256(40, 6)),
        pa.array([1.27, 0.5]),
    ],
)
def test_kwh_may_be_text_decimal_or_an_honest_double(kwh: Any) -> None:
    batch = parquet(meter=METER, day=pa.array(["2024-05-31", "2024-06-01"]), kwh=kwh)
    assert batch.total_wh.tolist() == [1270, 500] and batch.days[0] == MAY31 and batch.blocks is None
    assert parquet(meter=METER, day=DAY, kwh=pa.array([3, 4])).total_wh.tolist() == [3000, 4000]


@given(st.integers(0, 10**9))
@settings(deadline=None)
def test_a_double_of_three_decimals_is_exact(energy_wh: int) -> None:
    kwh = pa.array([float(Decimal(energy_wh).scaleb(-3))])
    assert parquet(meter=METER[:1], day=DAY[:1], kwh=kwh).total_wh.tolist() == [energy_wh]


@pytest.mark.parametrize(
    ("columns", "where", "column", "what"),
    [
        ({"kwh": pa.array([1.0, -1.0])}, "row 2", "kwh", "below 0"),
        ({"kwh": pa.array([1.0, 0.1 + 0.2])}, "row 2", "kwh", "not a number of three decimals"),
        ({"kwh": pa.array([1.0, float("nan")])}, "row 2", "kwh", "not a number"),
        ({"kwh": pa.array([1.0, None])}, "row 2", "kwh", "not a number"),
        ({"kwh": pa.array(["1", None])}, "row 2", "kwh", "kwh is empty"),
        ({"kwh": pa.array(["1", "1e3"])}, "row 2", "kwh", "exponent"),
        ({"kwh": pa.array(["1", "१"])}, "row 2", "kwh", "not ASCII"),
        ({"kwh": pa.array([1, -2])}, "row 2", "kwh", "below 0"),
        ({"kwh": pa.array([Decimal("1.0001"), Decimal(1)])}, "row 1", "kwh", "more than 3 decimal places"),
        ({"kwh": pa.array([1.0, 2.0], pa.float32())}, "", "kwh", "its type is float"),
        ({"blocks": pa.array([[1] * 48, [1] * 47])}, "row 2", "blocks", "47 blocks, a day has 48"),
        ({"blocks": pa.array([[1] * 48, [-1] * 48])}, "row 2", "blocks", "below 0"),
        ({"blocks": pa.array([[1.0] * 48] * 2)}, "", "blocks", "its type is"),
        (dict.fromkeys(BLOCKS, pa.array([1, 2**31])), "row 2", "b01", "too large"),
        (dict.fromkeys(BLOCKS, pa.array([1, 2**63], pa.uint64())), "row 2", "b01", "too large"),
        ({"b01": pa.array([1, 1])}, "", "b02", "is missing"),
        ({"kwh": pa.array([1, 1]), "name": METER}, "", "name", "not known"),
        ({}, "", None, "no column with energy"),
    ],
)
def test_every_bad_row_is_named(columns: dict[str, Any], where: str, column: str | None, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        parquet(meter=METER, day=DAY, **columns)
    assert (refused.value.where, refused.value.column) == (where, column)
    assert refused.value.next_step


def test_bad_meters_days_and_files_are_named() -> None:
    kwh = pa.array([1, 1])
    with pytest.raises(FormatError, match="row 2, column meter: the meter number is empty"):
        parquet(meter=pa.array(["K", None]), day=DAY, kwh=kwh)
    with pytest.raises(FormatError, match="row 1, column day: day “31/05/2024” is not a date"):
        parquet(meter=METER, day=pa.array(["31/05/2024", "2024-05-31"]), kwh=kwh)
    with pytest.raises(FormatError, match="row 2, column day: day is empty"):
        parquet(meter=METER, day=pa.array([dt.date(2024, 5, 31), None]), kwh=kwh)
    with pytest.raises(FormatError, match="column meter: its type is int64"):
        parquet(meter=kwh, day=DAY, kwh=kwh)
    with pytest.raises(FormatError, match="not a whole Parquet file"):
        list(read_parquet(io.BytesIO(b"meter,day,kwh\n")))
