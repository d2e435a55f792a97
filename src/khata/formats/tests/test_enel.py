"""E-Distribuzione: a row a day, 96 decimal commas in quotes, the meter named by who loads it."""

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats.enel import HEADER, read_enel
from khata.formats.meterdays import IMPORT, UNKNOWN_WH, MeterDayBatch, Refused
from khata.formats.tests.samples import sample
from khata.formats.text import FormatError

TOP = ";".join(HEADER) + "\n"


def read(text: str | bytes, serial: str = "IT1") -> list[MeterDayBatch]:
    batches = list(read_enel(io.BytesIO(text.encode() if isinstance(text, str) else text), serial))
    return [batch for batch in batches if isinstance(batch, MeterDayBatch)]


def day(values: list[str], date: str = "31/05/2024", end: str = ";\n") -> str:
    return ";".join(f'"{cell}"' for cell in (date, *values)) + end


def test_the_published_file_is_read_to_the_watt_hour() -> None:
    text = sample("interchange", "supplier_csv", "enel_15min_matrix_2024-09.csv").read_text()
    naive = [
        [Decimal(cell.replace(",", ".")) for cell in row[1:97]]
        for row in csv.reader(io.StringIO(text), delimiter=";")
        if row[0] != "Giorno"
    ]
    (batch,) = read(text)
    assert batch.blocks is not None and not batch.refused
    assert batch.blocks.tolist() == [[(row[n] + row[n + 1]) * 1000 for n in range(0, 96, 2)] for row in naive]
    assert [str(date) for date in batch.days] == [f"2024-09-{n:02d}" for n in range(1, 31)]
    assert batch.total_wh[0] == sum(naive[0]) * 1000 and batch.blocks[0, 0] == 139 + 258
    # a quarter's whole Wh as power would be a multiple of 0.004 kW
    assert sum(value * 1000 % 4 == 0 for row in naive for value in row) < 2880 / 3


def test_quarters_make_half_hours_and_an_empty_one_is_unknown() -> None:
    (batch,) = read(TOP + day(["0,1", "0,02", "", "1", *["0"] * 92]) + day(["1"] * 96, "01/06/2024", end="\n"))
    assert batch.blocks is not None and batch.channel is not None and batch.serials.tolist() == [b"IT1"] * 2
    assert batch.blocks[0, :3].tolist() == [120, UNKNOWN_WH, 0] and batch.channel.tolist() == [IMPORT] * 2
    assert batch.total_wh.tolist() == [UNKNOWN_WH, 96_000] and [str(d) for d in batch.days] == [
        "2024-05-31",
        "2024-06-01",
    ]


@pytest.mark.parametrize(
    ("line", "rule", "what"),
    [
        (day(["1"] * 95), "VAL-06", "95 values"),
        (day(["1"] * 100), "VAL-06", "100 values"),
        (day(["-1", *["1"] * 95]), "VAL-07", "below 0"),
        (day(["0.1", *["1"] * 95]), "VAL-08", "has a point"),
        (day(["१", *["1"] * 95]), "VAL-08", "another script"),
        (day(["x", *["1"] * 95]), "VAL-08", "not a number"),
        (day(["9" * 12, *["1"] * 95]), "VAL-05", "more than a meter"),
        (day(["1"] * 96, "31/06/2024"), "VAL-08", "not in the calendar"),
        (day(["1"] * 96, "2024-05-31"), "VAL-08", "not in the calendar"),
    ],
)
def test_a_flaw_refuses_its_day_and_the_next_stands(line: str, rule: str, what: str) -> None:
    (batch,) = read(TOP + line + day(["1"] * 96, "01/06/2024"))
    (refused,) = batch.refused
    assert (refused.rule, refused.line, refused.serial) == (rule, 2, "IT1") and what in refused.reason
    assert batch.total_wh.tolist() == [96_000]


@pytest.mark.parametrize("text", ["", "Giorno;00:00-01:00\n", TOP.replace(";", ","), day(["1"] * 96)])
def test_another_header_is_refused_whole(text: str) -> None:
    with pytest.raises(FormatError):
        read(text)


@pytest.mark.parametrize("serial", ["", "M" * 41, "मीटर"])
def test_a_meter_number_must_be_one(serial: str) -> None:
    with pytest.raises(FormatError, match="meter number"):
        read(TOP, serial)


TWO = (TOP + day(["0,25"] * 96) + day(["0,5"] * 96, "01/06/2024")).encode()


@settings(max_examples=100)
@given(st.integers(len(TOP), len(TWO)))
def test_a_cut_anywhere_loses_only_the_row_it_falls_into(cut: int) -> None:
    ends = [len(TOP) + len(day(["0,25"] * 96)), len(TWO)]
    batches = read(TWO[:cut])
    totals = [int(total) for batch in batches for total in batch.total_wh]
    assert totals == [24_000, 48_000][: sum(end - len(";\n") <= cut for end in ends)]
    inside = not any(end - len(";\n") <= cut <= end for end in (len(TOP), *ends))
    assert [r.rule for batch in batches for r in batch.refused] == (["VAL-08"] if inside else [])


def test_a_last_number_without_quotes_may_have_lost_figures() -> None:
    row = ";".join(["31/05/2024", *["0,25"] * 96])
    assert read(TOP + row + "\n")[0].total_wh.tolist() == [24_000]
    (batch,) = read(TOP + row[:-1])
    assert len(batch) == 0 and "in the middle of a row" in batch.refused[0].reason


@settings(max_examples=100)
@given(st.binary(max_size=200), st.integers(0, len(TWO)), st.integers(0, 200))
def test_garbage_is_refused_and_never_another_error(garbage: bytes, at: int, instead: int) -> None:
    for data in (garbage, TOP.encode() + garbage, TWO[:at] + garbage + TWO[at + instead :]):
        try:
            batches = read(data)
        except FormatError:
            continue
        assert all(isinstance(r, Refused) and r.reason for batch in batches for r in batch.refused)
