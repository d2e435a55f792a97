"""Registers by the day and by the month: a midnight belongs to the day that ends there."""

import datetime as dt
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.formats.dailyload import read_daily_load
from khata.formats.meterdays import MeterDayBatch, ReadingBatch, Refused
from khata.formats.text import FormatError


def daily(text: str) -> MeterDayBatch:
    (batch,) = read_daily_load(io.BytesIO(text.encode()))
    assert isinstance(batch, MeterDayBatch)
    return batch


def test_a_midnight_is_the_end_of_the_day_before() -> None:
    batch = daily("meter,midnight,register_kwh\nM,2024-06-01T00:00:00+05:30,12.5\nM,2024-03-01 00:00,7\n")
    assert batch.days.tolist() == [dt.date(2024, 5, 31), dt.date(2024, 2, 29)]
    assert batch.register_wh is not None and batch.register_wh.tolist() == [12500, 7000]
    assert batch.blocks is None and not batch.total_known.any()
    assert daily("day,meter,register_kwh\n2024-05-31,M,12.5\n").days.tolist() == [dt.date(2024, 5, 31)]


def test_each_register_is_a_meter_day_of_its_channel() -> None:
    names = "meter,day,register_kwh,export_kwh,register_kvah,export_kvah,demand_kw"
    batch = daily(f"{names}\nM,2024-05-31,100,5,110.25,,4.2\nN,2024-05-31,,,7,,\n")
    assert batch.channel is not None and batch.register_wh is not None and batch.demand_w is not None
    assert batch.lines.tolist() == [2, 2, 2, 3] and batch.channel.tolist() == [0, 1, 2, 2]
    assert batch.register_wh.tolist() == [100_000, 5000, 110_250, 7000]
    assert batch.demand_w.tolist() == [4200, -1, -1, -1]


def test_a_billing_profile_is_read_at_the_beginning_of_its_day() -> None:
    (batch,) = read_daily_load(
        io.BytesIO(b"meter,billing_date,register_kwh,demand_kw\nM,2024-06-01,12.5,3\nN,2024-06-01,1,\n")
    )
    assert isinstance(batch, ReadingBatch)
    assert batch.days.tolist() == [dt.date(2024, 6, 1)] * 2 and batch.serials.tolist() == [b"M", b"N"]
    assert batch.register_wh.tolist() == [12500, 1000] and batch.demand_w.tolist() == [3000, -1]


@pytest.mark.parametrize(
    ("line", "rule", "what"),
    [
        ("M,2024-06-01T00:00:00Z,1,", "VAL-09", "midnight: the time zone “Z” is not India's"),
        ("M,2024-06-01T00:00+08:00,1,", "VAL-09", "the time zone “+08:00”"),
        ("M,2024-06-01T00:30:00+05:30,1,", "VAL-09", "“00:30:00” is not midnight"),
        ("M,2024-06-31T00:00:00,1,", "VAL-08", "not in the calendar"),
        ("M,0001-01-01T00:00:00,1,", "VAL-08", "no day before that midnight"),
        ("M,yesterday,1,", "VAL-08", "is no time"),
        ("M,2024-06-01 00:00,-1,", "VAL-07", "register_kwh: “-1” is below 0"),
        ("M,2024-06-01 00:00,१२,", "VAL-08", "Devanagari digits"),
        ("M,2024-06-01 00:00,9999999999999999,", "VAL-08", "too large"),
        ("M,2024-06-01 00:00,1,1.2345", "VAL-08", "export_kwh has more than 3 decimal places"),
        ("M,2024-06-01 00:00,,", "VAL-08", "no register is given"),
        ("M,2024-06-01 00:00,1", "VAL-08", "3 fields, the header has 4"),
        (",2024-06-01 00:00,1,", "VAL-08", "the meter number is empty"),
        ('M",2024-06-01 00:00,1,', "VAL-08", "stray quote"),
        ("M" * (1 << 20) + "," * 3, "VAL-08", "longer than a mebibyte"),
    ],
)
def test_a_bad_line_is_refused_and_the_next_is_read(line: str, rule: str, what: str) -> None:
    batch = daily(f"meter,midnight,register_kwh,export_kwh\n{line}\nN,2024-06-01 00:00,1,\n")
    (refused,) = batch.refused
    assert (refused.line, refused.rule, batch.serials.tolist(), batch.lines.tolist()) == (2, rule, [b"N"], [3])
    assert what.replace("export_kwh has", "export_kwh: export_kwh “1.2345” has") in refused.reason


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        ("meter,day\nM,2024-05-31\n", "no column with a register"),
        ("meter,register_kwh\n", "the column midnight is missing"),
        ("meter,day,midnight,register_kwh\n", "“midnight” is not known"),
        ("meter,billing_date,export_kwh\n", "the column register_kwh is missing"),
    ],
)
def test_a_wrong_header_refuses_the_file(text: str, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        list(read_daily_load(io.BytesIO(text.encode())))
    assert refused.value.next_step


@given(st.binary(max_size=80))
def test_no_bytes_stop_the_file_and_a_cut_changes_no_value(content: bytes) -> None:
    lines = 0
    told: list[Refused] = []
    for batch in read_daily_load(io.BytesIO(b"meter,day,register_kwh\n" + content)):
        lines += len(batch)
        told += batch.refused
    assert lines + len(told) == sum(bool(line.strip()) for line in content.split(b"\n"))
    if content.strip() and not content.endswith(b"\n") and content.rpartition(b"\n")[2].strip():
        assert told[-1].rule == "VAL-08"
