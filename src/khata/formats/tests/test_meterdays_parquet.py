"""Meter days of a Parquet file: the same columns in many types, and every bad row refused by itself."""

import contextlib
import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats import parquetsafe
from khata.formats.meterdays import BLOCKS, UNKNOWN_WH, MeterDayBatch
from khata.formats.meterdays_parquet import read_parquet
from khata.formats.parquetpages import chunks, pages
from khata.formats.text import FormatError

MAY31 = np.datetime64("2024-05-31")


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
def test_a_double_of_three_decimals_is_exact(energy_wh: int) -> None:
    kwh = pa.array([float(Decimal(energy_wh).scaleb(-3))])
    assert parquet(meter=METER[:1], day=DAY[:1], kwh=kwh).total_wh.tolist() == [energy_wh]


@pytest.mark.parametrize(
    ("columns", "row", "rule", "what"),
    [
        ({"kwh": pa.array([1.0, -1.0])}, 2, "VAL-07", "kwh: kwh -1.0 is below 0"),
        ({"kwh": pa.array([1.0, 0.1 + 0.2])}, 2, "VAL-08", "not a number of three decimals"),
        ({"kwh": pa.array([1.0, float("nan")])}, 2, "VAL-08", "not a number"),
        ({"kwh": pa.array([1.0, float("inf")])}, 2, "VAL-08", "not a number"),
        ({"kwh": pa.array([1.0, None])}, 2, "VAL-08", "not a number"),
        ({"kwh": pa.array(["1", None])}, 2, "VAL-08", "kwh is empty"),
        ({"kwh": pa.array(["1", "1e3"])}, 2, "VAL-08", "exponent"),
        ({"kwh": pa.array(["1", "१"])}, 2, "VAL-08", "Devanagari digits"),
        ({"kwh": pa.array([1, -2])}, 2, "VAL-07", "below 0"),
        ({"kwh": pa.array([Decimal("1.0001"), Decimal(1)])}, 1, "VAL-08", "more than 3 decimal places"),
        ({"blocks": pa.array([[1] * 48, [1] * 47])}, 2, "VAL-06", "47 half-hours, a day has 48"),
        ({"blocks": pa.array([[1] * 49, [1] * 48])}, 1, "VAL-06", "49 half-hours, a day has 48"),
        ({"blocks": pa.array([[1] * 48, [*[1] * 47, -1]])}, 2, "VAL-07", "blocks: -1 is below 0"),
        (dict.fromkeys(BLOCKS, pa.array([1, 2**31])), 2, "VAL-08", "b01: 2147483648 is too large"),
        (dict.fromkeys(BLOCKS, pa.array([1, 2**63], pa.uint64())), 2, "VAL-08", "too large"),
        ({"kwh": pa.array([1, 1]), "register_wh": pa.array([1, -1])}, 2, "VAL-07", "register_wh: -1 is below 0"),
        ({"kwh": pa.array([1, 1]), "channel": pa.array(["x", None])}, 1, "VAL-12", "channel “x” is not known"),
        ({"kwh": pa.array([1, 1]), "off": pa.array(["01", None])}, 1, "VAL-08", "off “01” is not 48 characters"),
        ({"kwh": pa.array([1, 1]), "v": pa.array([[230.0] * 48, [-1.0] * 48])}, 2, "VAL-07", "v: -1.0 is below 0"),
    ],
)
def test_a_bad_row_is_refused_and_the_other_stays(columns: dict[str, Any], row: int, rule: str, what: str) -> None:
    batch = parquet(meter=METER, day=DAY, **columns)
    (refused,) = batch.refused
    assert batch.lines.tolist() == [3 - row] and batch.serials.tolist() == [f"KE{3 - row}".encode()]
    assert (refused.line, refused.rule, refused.serial) == (row, rule, f"KE{row}")
    assert what in refused.reason and refused.day == dt.date(2024, 5, 31) and f"meter=KE{row}" in refused.content


@pytest.mark.parametrize(
    ("columns", "column", "what"),
    [
        ({"kwh": pa.array([1.0, 2.0], pa.float32())}, "kwh", "its type is float"),
        ({"blocks": pa.array([[1.0] * 48] * 2)}, "blocks", "its type is"),
        ({"b01": pa.array([1, 1])}, "b02", "is missing"),
        ({"kwh": pa.array([1, 1]), "name": METER}, "name", "not known"),
        ({"kwh": pa.array([1, 1]), "off": pa.array([1, 1])}, "off", "its type is int64"),
        ({}, None, "no column with energy"),
    ],
)
def test_wrong_columns_refuse_the_file(columns: dict[str, Any], column: str | None, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        parquet(meter=METER, day=DAY, **columns)
    assert refused.value.column == column and refused.value.next_step


def test_bad_meters_and_days_are_named() -> None:
    kwh = pa.array([1, 1])
    (refused,) = parquet(meter=pa.array(["K", None]), day=DAY, kwh=kwh).refused
    assert (refused.line, refused.reason[:36]) == (2, "meter: the meter number is empty. Gi")
    (refused,) = parquet(meter=METER, day=pa.array(["31/05/2024", "2024-05-31"]), kwh=kwh).refused
    assert "day: day “31/05/2024” is not a date" in refused.reason and refused.day is None
    (refused,) = parquet(meter=METER, day=pa.array([dt.date(2024, 5, 31), None]), kwh=kwh).refused
    assert (refused.line, "day is empty" in refused.reason) == (2, True)


def test_a_file_that_is_no_parquet_or_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="not a whole Parquet file"):
        list(read_parquet(io.BytesIO(b"meter,day,kwh\n")))
    with pytest.raises(FormatError, match="column meter: its type is int64"):
        parquet(meter=pa.array([1, 1]), day=DAY, kwh=pa.array([1, 1]))
    monkeypatch.setattr(parquetsafe, "MOST_BYTES", 10)
    with pytest.raises(FormatError, match="larger than 4 GiB when unpacked"):
        parquet(meter=METER, day=DAY, kwh=pa.array([1, 1]))


def test_what_else_a_head_end_knows_of_a_day_is_read() -> None:
    batch = parquet(
        meter=METER,
        day=DAY,
        kwh=pa.array([1, 1]),
        channel=pa.array(["export", None]).dictionary_encode(),
        register_wh=pa.array([5, None]),
        demand_w=pa.array([None, 7]),
        off=pa.array(["1" + "0" * 47, None]),
        v=pa.array([[230.04, None, *[0.0] * 46], None]),
        a=pa.array([[2] * 48, None], pa.list_(pa.int16())),
        hz=pa.array([[49.9875] * 48] * 2),
    )
    told = [batch.channel, batch.register_wh, batch.demand_w, batch.off]
    assert [each.tolist() for each in told if each is not None] == [[1, 0], [5, -1], [-1, 7], [1, -1]]
    assert batch.volts_dv is not None and batch.current_ma is not None and batch.hertz_mhz is not None
    assert batch.volts_dv[0, :3].tolist() == [2300, -1, 0] and (batch.volts_dv[1] == -1).all()
    assert batch.current_ma[:, 0].tolist() == [2000, -1] and batch.hertz_mhz[0, 0] == 49988


# -- files that were made to do harm -----------------------------------------------------------------------------------


def written(rows: int = 5000, **columns: Any) -> bytes:
    named = {"meter": pa.array(["KE1"] * rows), "day": pa.array(["2024-05-31"] * rows)}
    file = io.BytesIO()
    pq.write_table(pa.table(named | columns), file, compression="zstd")
    return file.getvalue()


def said_by_all(value: str) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array([0] * 5000), pa.array([value]))


def lists(*rows: list[int]) -> Any:
    return pa.array(rows, pa.list_(pa.int8()))


@pytest.mark.parametrize(
    ("made", "column", "what"),
    [
        # One long value of a dictionary, said by every row: 1.5 kB that would be 1 GB.
        (lambda: {"meter": said_by_all("A" * 200_000)}, "", "1 values in 200,004 bytes"),
        (lambda: {"kwh": pa.array(["1" * 5000] * 5000)}, "kwh", "5,000 bytes in a value"),
        (lambda: {"meter": pa.array(["A" * 2000, *["B"] * 4999])}, "meter", "2,000 bytes in a value"),
        (lambda: {"blocks": lists(*[[0] * 400] * 5000)}, "", "2,000,000 values in 5,000 rows"),
        (lambda: {"blocks": lists([0] * 2000, *[[]] * 4999)}, "blocks", "2,000 values in a row"),
        (lambda: {"v": pa.array([[0.0] * 2000, *[[]] * 4999])}, "v", "2,000 values in a row"),
        (lambda: {"kwh": pa.array([Decimal(1)] * 5000, pa.decimal256(40, 3))}, "", ""),
    ],
)
def test_a_small_file_that_says_gigabytes_is_refused_and_a_plain_one_is_not(
    made: Callable[[], dict[str, Any]], column: str, what: str
) -> None:
    columns = made()
    energy = {} if {"kwh", "blocks"} & set(columns) else {"kwh": pa.array([1] * 5000)}
    file = io.BytesIO(written(**columns, **energy))
    if not what:
        assert sum(len(batch) for batch in read_parquet(file)) == 5000
        return
    with pytest.raises(FormatError, match=what) as refused:
        list(read_parquet(file))
    assert (refused.value.column or "") == column and refused.value.next_step


def test_rows_and_pages_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(kwh=pa.array([1] * 5000))
    lists = written(blocks=pa.array([[0] * 48] * 5000, pa.list_(pa.int8())))
    for limit, what, sent in (
        ("MOST_ROWS", "more than 2 rows", file),
        ("MOST_PAGES", "more than 2 pages", file),
        ("MOST_BYTES", "larger than 4 GiB", file),
        ("MOST_ROWS_WITH_LISTS", "a row group has 5,000 rows", lists),
    ):
        with monkeypatch.context() as smaller, pytest.raises(FormatError, match=what):
            smaller.setattr(parquetsafe, limit, 2)
            list(read_parquet(io.BytesIO(sent)))


def test_a_page_may_not_have_more_values_than_its_column_says() -> None:
    """A page of two thousand million values is a few bytes, and the reader of Parquet would make room for them."""
    file = io.BytesIO()
    columns = {"meter": METER, "day": DAY, "blocks": pa.array(HALF_HOURS, pa.list_(pa.int32()))}
    pq.write_table(pa.table(columns), file, use_dictionary=False, compression="none", write_statistics=False)
    chunk = list(chunks(io.BytesIO(file.getvalue())))[2]
    assert (chunk.rows, chunk.values) == (2, 96)
    (page,) = pages(io.BytesIO(file.getvalue()), chunk)
    assert page.values == 96
    more = chunk.start + file.getvalue()[chunk.start : chunk.start + 60].index(b"\x15\xc0\x01") + 1  # 96, zigzag
    lying = bytearray(file.getvalue())
    lying[more : more + 2] = b"\xc2\x01"
    with pytest.raises(FormatError, match="a page says 97 values"):
        list(read_parquet(io.BytesIO(bytes(lying))))


def test_text_that_is_no_utf8_refuses_the_file_with_what_to_do() -> None:
    file = io.BytesIO()
    columns = {"meter": pa.array(["SMARTX"] * 3), "day": pa.array(["2024-06-01"] * 3), "kwh": pa.array(["1.5"] * 3)}
    pq.write_table(pa.table(columns), file, compression="none", use_dictionary=False, write_statistics=False)
    for cell in (b"SMARTX", b"2024-06-01"):
        damaged = file.getvalue().replace(cell, cell[:2] + b"\xff" + cell[3:])
        with pytest.raises(FormatError, match="the file is damaged") as refused:
            list(read_parquet(io.BytesIO(damaged)))
        assert refused.value.next_step


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
@settings(max_examples=150)
def test_any_damage_is_a_format_error_or_nothing(damage: list[tuple[int, int]], plain: bool) -> None:
    file = bytearray(DAMAGED[plain])
    for place, byte in damage:
        file[place % len(file)] = byte
    with contextlib.suppress(FormatError):
        list(read_parquet(io.BytesIO(bytes(file))))


def _small(*, plain: bool) -> bytes:
    file = io.BytesIO()
    columns = {"meter": METER, "day": DAY, "blocks": pa.array(HALF_HOURS, pa.list_(pa.int32())), "off": METER}
    pq.write_table(pa.table(columns), file, use_dictionary=not plain)
    return file.getvalue()


DAMAGED = (_small(plain=False), _small(plain=True))
