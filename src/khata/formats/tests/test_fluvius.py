"""Fluvius: day and night added up, no use is unknown, estimates marked, and the day of 50 half-hours refused."""

import gzip
import io
from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats.fluvius import COLUMNS, read_fluvius
from khata.formats.meterdays import ACTUAL, ESTIMATED, EXPORT, IMPORT, UNKNOWN_WH, MeterDayBatch, Refused
from khata.formats.tests.samples import sample
from khata.formats.text import FormatError

HEADER = ";".join(COLUMNS) + "\n"
EAN = '="541448800000000000"'


def read(text: str | bytes) -> list[MeterDayBatch]:
    batches = list(read_fluvius(io.BytesIO(text.encode() if isinstance(text, str) else text)))
    return [batch for batch in batches if isinstance(batch, MeterDayBatch)]


def row(
    quarter: int,
    volume: str = "0,1",
    *,
    register: str = "Afname Dag",
    status: str = "Gevalideerd",
    day: int = 10,
    meter: str = "M1",
    minutes: int = 15,
    ean: str = EAN,
    unit: str = "kWh",
) -> str:
    start, end = quarter * 15, quarter * 15 + minutes
    stamps = ";".join(f"{day + at // 1440:02d}-05-2024;{at // 60 % 24:02d}:{at % 60:02d}:00" for at in (start, end))
    return f"{stamps};{ean};{meter};Digitale Meter;{register};{volume};{unit};{status}\n"


def whole_day(**changes: str) -> list[str]:
    return [row(quarter, **changes) for quarter in range(96)]  # type: ignore[arg-type]


def only_refused(rows: list[str]) -> Refused:
    (batch,) = read(HEADER + "".join(rows))
    assert len(batch) == 0
    (refused,) = batch.refused
    return refused


# ── as published ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_published_file_is_read_to_the_watt_hour_and_only_the_day_of_50_half_hours_is_refused() -> None:
    data = gzip.decompress(sample("interchange", "supplier_csv", "fluvius_15min_totals.csv.gz").read_bytes())
    naive: dict[tuple[str, int, int], list[tuple[str, str]]] = defaultdict(list)
    for line in data.decode("utf-8-sig").split("\n")[1:]:
        date, time, _, _, _, _, _, register, volume, _, status = line.split(";")
        half = int(time[:2]) * 2 + int(time[3:5]) // 30
        naive["-".join(reversed(date.split("-"))), EXPORT if "Injectie" in register else IMPORT, half].append(
            (volume, status)
        )
    batches = read(data)
    seen = 0
    for batch in batches:
        assert batch.blocks is not None and batch.channel is not None
        for i in range(len(batch)):
            seen += 1
            for half in range(48):
                told = naive[str(batch.days[i]), int(batch.channel[i]), half]
                assert len(told) == 2
                unknown = any(not volume for volume, _ in told)
                meant = UNKNOWN_WH if unknown else sum(Decimal(v.replace(",", ".")) for v, _ in told) * 1000
                assert batch.blocks[i, half] == meant
                if not unknown:
                    origin = ESTIMATED if any(status == "Geschat" for _, status in told) else ACTUAL
                    of_day = batch.origins[i, half] if batch.origins is not None else batch.origin[i]  # type: ignore[index]
                    assert of_day == origin
    assert seen == 2 * 19  # 12 to 30 October, two channels
    refused = [r for batch in batches for r in batch.refused]
    assert [(r.rule, str(r.day), r.channel) for r in refused] == [
        ("VAL-06", "2021-10-31", IMPORT),
        ("VAL-06", "2021-10-31", EXPORT),
    ]
    assert all("summer time ends on this day" in r.reason and r.serial == "1SAG12345678" for r in refused)


# ── what a row says ───────────────────────────────────────────────────────────────────────────────────────────────


def test_day_and_night_registers_are_one_channel() -> None:
    night = [row(quarter, "0,2", register="Afname Nacht") for quarter in range(28)]
    days = [row(quarter, "0,3") for quarter in range(28, 96)]
    back = whole_day(register="Injectie Dag", volume="1,5")
    (batch,) = read(HEADER + "".join(night + days + back))
    assert batch.blocks is not None and batch.channel is not None and not batch.refused
    assert batch.channel.tolist() == [IMPORT, EXPORT] and batch.blocks[0, [0, 13, 14]].tolist() == [400, 400, 600]
    assert batch.total_wh.tolist() == [28 * 200 + 68 * 300, 96 * 1500]


def test_both_registers_in_a_quarter_are_added() -> None:
    (batch,) = read(HEADER + "".join([*whole_day(), row(3, "0,05", register="Afname Nacht")]))
    assert batch.blocks is not None and batch.blocks[0, :3].tolist() == [200, 250, 200]


def test_no_use_is_unknown_and_an_estimate_is_marked() -> None:
    rows = whole_day()
    rows[0] = row(0, "", status="Geen verbruik")
    rows[3] = row(3, "0", status="Geschat")
    (batch,) = read(HEADER + "".join(rows))
    assert batch.blocks is not None and batch.origins is not None and batch.origin is not None
    assert batch.blocks[0, :3].tolist() == [UNKNOWN_WH, 100, 200]
    assert batch.origins[0, :3].tolist() == [0, ESTIMATED, ACTUAL] and batch.origin[0] == ESTIMATED
    assert batch.total_wh[0] == UNKNOWN_WH


def test_rows_may_stand_in_any_order_and_meters_side_by_side() -> None:
    rows = [row(quarter, str(n), meter=f"M{n}") for quarter in reversed(range(96)) for n in (1, 2)]
    (batch,) = read("\ufeff" + HEADER.replace("\n", "\r\n") + "".join(rows))
    assert dict(zip(batch.serials.tolist(), batch.total_wh.tolist(), strict=True)) == {b"M1": 96_000, b"M2": 192_000}


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changed", "rule", "what"),
    [
        (row(5, "-0,1"), "VAL-07", "below 0"),
        (row(5, "0.1"), "VAL-08", "has a point"),
        (row(5, "०,१"), "VAL-08", "another script"),
        (row(5, ""), "VAL-08", "is empty"),
        (row(5, "0,1", status="Geen verbruik"), "VAL-08", "although the status"),
        (row(5, status="Onbekend"), "VAL-08", "is not known"),
        (row(5, unit="kVArh"), "VAL-12", "not one of energy"),
        (row(5, ean="5,41E+17"), "VAL-08", "18 figures"),
        (row(5, minutes=60), "VAL-06", "not a quarter of an hour"),
        (row(6), "VAL-06", "from 01:30 comes twice"),
        ("", "VAL-06", "95 of its 96"),
    ],
)
def test_a_flaw_refuses_its_day(changed: str, rule: str, what: str) -> None:
    rows = whole_day()
    rows[5] = changed
    refused = only_refused(rows)
    assert refused.rule == rule and what in refused.reason
    assert (refused.serial, str(refused.day), refused.channel) == ("M1", "2024-05-10", IMPORT)


@pytest.mark.parametrize(
    ("line", "rule", "what"),
    [
        (row(5, register="Afname Piek"), "VAL-12", "the register"),
        (row(5, meter=""), "VAL-08", "meter number is empty"),
        (row(5).replace("10-05-2024", "2024-05-10"), "VAL-08", "not a time"),
        (row(5).replace(";kWh", ""), "VAL-08", "10 fields"),
    ],
)
def test_a_line_of_no_day_is_refused_by_itself(line: str, rule: str, what: str) -> None:
    (batch,) = read(HEADER + "".join([*whole_day(), line]))
    (refused,) = batch.refused
    assert (refused.rule, refused.line) == (rule, 98) and what in refused.reason and len(batch) == 1


def test_the_days_on_which_the_clock_changes_are_refused_by_name() -> None:
    spring = [row(quarter) for quarter in range(96) if quarter not in range(8, 12)]
    assert "summer time begins" in only_refused(spring).reason
    autumn = whole_day()
    autumn[8:12] = [row(q) for q in range(8, 11)] + [row(11, minutes=-45)] + autumn[8:12]
    refused = only_refused(autumn)
    assert refused.rule == "VAL-06" and "summer time ends" in refused.reason
    assert "not a quarter" in only_refused([*whole_day()[:11], row(11, minutes=-30), *whole_day()[12:]]).reason


@pytest.mark.parametrize(
    "text", ["", "\n", "Van datum;Meter\n", HEADER.replace(";", ","), HEADER.replace("EAN", "EAN;EAN")]
)
def test_another_header_is_refused_whole(text: str) -> None:
    with pytest.raises(FormatError):
        read(text)


# ── laws ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TWO = (HEADER + "".join(whole_day()) + "".join(row(q, "0,2", day=11) for q in range(96))).encode()


@settings(max_examples=60)
@given(st.integers(len(HEADER), len(TWO) - 3))
def test_a_cut_anywhere_loses_only_the_day_it_falls_into(cut: int) -> None:
    first = len(HEADER) + sum(map(len, whole_day()))
    batches = read(TWO[:cut])
    totals = [int(total) for batch in batches for total in batch.total_wh]
    assert totals == ([9_600] if cut >= first - 1 else [])
    refused = {r.rule for batch in batches for r in batch.refused}
    assert refused == (set() if cut in (len(HEADER), first - 1, first) else {"VAL-08"})


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, len(TWO)), st.integers(0, 200))
def test_garbage_is_refused_and_never_another_error(garbage: bytes, at: int, instead: int) -> None:
    for data in (garbage, HEADER.encode() + garbage, TWO[:at] + garbage + TWO[at + instead :]):
        try:
            batches = read(data)
        except FormatError:
            continue
        assert all(isinstance(r, Refused) and r.reason for batch in batches for r in batch.refused)
