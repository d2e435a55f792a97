"""HES JSON: blocks stamped at their end, exact Wh, a row per channel; what is wrong refuses its own day only."""

import base64
import datetime as dt
import io
import json
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats import hes, jsonstream
from khata.formats.hes import read_hes
from khata.formats.meterdays import (
    ACTUAL,
    APPARENT_IMPORT,
    ESTIMATED,
    EXPORT,
    IMPORT,
    UNKNOWN_WH,
    Batch,
    MeterDayBatch,
    ReadingBatch,
    Refused,
)
from khata.formats.text import FormatError

DAY = dt.date(2024, 5, 31)
MIDNIGHT = dt.datetime.combine(DAY, dt.time())
KWH, EXPORTED, KVAH = "1.0.1.29.0.255", "1.0.2.29.0.255", "1.0.9.29.0.255"
VOLTS, AMPERES, HERTZ = "1.0.12.27.0.255", "1.0.11.27.0.255", "1.0.14.27.0.255"
REGISTER = "1.0.1.8.0.255"


def value(code: str, number: object, unit: object = "Wh", scaler: object = 0, **more: object) -> dict[str, Any]:
    return {"obisCode": code, "value": number, "unit": unit, "scaler": scaler, **more}


def entry(minutes: int, *values: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": (MIDNIGHT + dt.timedelta(minutes=minutes)).isoformat(), "registerValues": list(values)}


def meter(*entries: dict[str, Any], profile: str = "blockLoad", serial: str = "KE1", **more: object) -> dict[str, Any]:
    return {"meterSerial": serial, "profile": profile, "entries": list(entries), **more}


def whole_day(code: str = KWH, step: int = 30, unit: str = "Wh") -> list[dict[str, Any]]:
    return [entry(end, value(code, end // step, unit)) for end in range(step, 1441, step)]


def read(document: object) -> list[Batch]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return list(read_hes(io.BytesIO(raw)))


def days(document: object) -> MeterDayBatch:
    (batch,) = read(document)
    assert isinstance(batch, MeterDayBatch)
    return batch


def wrong(document: object) -> list[Refused]:
    return [refused for batch in read(document) for refused in batch.refused]


def rules(document: object) -> list[tuple[str, int | None]]:
    return [(refused.rule, refused.channel) for refused in wrong(document)]


def test_a_block_belongs_to_the_half_hour_that_ends_at_its_stamp() -> None:
    batch = days([meter(*whole_day())])
    assert batch.serials.tolist() == [b"KE1"] and batch.days.tolist() == [DAY]
    assert batch.blocks is not None and batch.blocks[0].tolist() == list(range(1, 49))
    assert batch.total_wh.tolist() == [sum(range(1, 49))] and batch.total_known.all()
    assert batch.channel is not None and batch.channel.tolist() == [IMPORT]
    assert batch.off is None and batch.volts_dv is None and batch.drift_s is None and batch.origins is None


def test_what_is_missing_is_unknown() -> None:
    batch = days([meter(*whole_day()[:47])])
    assert batch.blocks is not None and batch.blocks[0, 47] == UNKNOWN_WH and (batch.blocks[0, :47] > 0).all()
    assert not batch.total_known.any() and batch.total_wh.tolist() == [UNKNOWN_WH]


def test_quarter_hours_add_up_and_are_rounded_once() -> None:
    entries = [entry(end, value(KWH, "0.00025", "kWh")) for end in range(15, 1441, 15)]
    batch = days([meter(*entries[:-1], capturePeriod=900)])
    assert batch.blocks is not None and batch.blocks[0].tolist() == [1] * 47 + [UNKNOWN_WH]  # 2 x 0.25 Wh, half up


def test_hours_give_a_total_only() -> None:
    batch = days([meter(*whole_day(step=60), capturePeriod=3600)])
    assert batch.total_wh.tolist() == [sum(range(1, 25))] and batch.known is not None and not batch.known.any()
    assert not days([meter(*whole_day(step=60)[1:], capturePeriod=3600)]).total_known.any()


def test_the_channels_of_a_day_are_rows_of_their_own() -> None:
    entries = [entry(30, value(KVAH, 7, "VAh"), value(KWH, 25, "Wh", 1), value(EXPORTED, "1.5", "kWh"))]
    batch = days([meter(*entries)])
    assert batch.channel is not None and batch.channel.tolist() == [IMPORT, EXPORT, APPARENT_IMPORT]
    assert batch.blocks is not None and batch.blocks[:, 0].tolist() == [250, 1500, 7]


def test_voltage_current_frequency_and_power_cuts() -> None:
    on = (value(VOLTS, 2305, "V", -1), value(AMPERES, "1.25", "A"), value(HERTZ, 4998, 44, -2))
    cut = (value(VOLTS, 0, "V"), value(AMPERES, 0, "A"), value(HERTZ, 0, "Hz"))
    batch = days([meter(entry(30, value(KWH, 5), *on), entry(60, value(KWH, 0), *cut), entry(90, value(KWH, 1)))])
    assert batch.volts_dv is not None and batch.volts_dv[0, :3].tolist() == [2305, 0, -1]
    assert batch.current_ma is not None and batch.current_ma[0, :3].tolist() == [1250, 0, -1]
    assert batch.hertz_mhz is not None and batch.hertz_mhz[0, :3].tolist() == [49980, 0, -1]
    assert batch.off is not None and batch.off.tolist() == [0b10]
    assert batch.blocks is not None and batch.blocks[0, :2].tolist() == [5, 0]


def test_quality_clock_and_multiplier_are_handed_on() -> None:
    first, *others = whole_day()
    first["registerValues"][0]["quality"] = "Estimated"
    batch = days([meter(first, *others, clockDriftSeconds=-95, multiplyingFactor=20)])
    assert batch.origin is not None and batch.origin.tolist() == [ESTIMATED]
    assert batch.origins is not None and batch.origins[0].tolist() == [ESTIMATED] + [ACTUAL] * 47
    assert batch.drift_s is not None and batch.drift_s.tolist() == [-95]
    assert batch.multiplier is not None and batch.multiplier.tolist() == [20]


def test_a_daily_reading_is_the_register_at_the_end_of_the_day_before() -> None:
    batch = days([meter(entry(0, value(REGISTER, 1234567, 30, 1)), profile="1.0.99.2.0.255")])
    assert batch.days.tolist() == [DAY - dt.timedelta(days=1)]
    assert batch.register_wh is not None and batch.register_wh.tolist() == [12_345_670]
    assert not batch.total_known.any() and batch.known is not None and not batch.known.any()
    assert rules([meter(entry(1, value(REGISTER, 1)), profile="dailyLoad")]) == [("VAL-06", None)]


@pytest.mark.parametrize("daily_first", [False, True])
def test_blocks_and_the_register_of_a_day_are_one_row(daily_first: bool) -> None:
    blocks = meter(*whole_day(step=15), capturePeriod=900)
    daily = meter(entry(1440, value(REGISTER, 90, "kWh")), profile="dailyLoad", capturePeriod=86400)
    batch = days([daily, blocks] if daily_first else [blocks, daily])
    assert batch.total_wh.tolist() == [sum(range(1, 97))] and batch.days.tolist() == [DAY]
    assert batch.register_wh is not None and batch.register_wh.tolist() == [90_000]


def test_a_billing_profile_gives_readings() -> None:
    values = [value(REGISTER, 5000, "kWh"), value("1.0.1.6.0.255", 4200, "W"), value(REGISTER[:-6] + "1.255", 1, "kWh")]
    billed = {"obisCode": "0.0.0.1.2.255", "value": "2024-06-01T00:00:00+05:30"}
    never = {"obisCode": "0.0.0.1.2.255", "value": "F" * 24}
    (batch,) = read([meter(entry(77, *values, billed), entry(77, *values, never), profile="billing")])
    assert isinstance(batch, ReadingBatch)
    assert batch.days.tolist() == [dt.date(2024, 6, 1)] and batch.register_wh.tolist() == [5_000_000]
    assert batch.demand_w.tolist() == [4200] and batch.serials.tolist() == [b"KE1"] and not batch.refused


def published(minutes: int, code: str, unit: int, scalar: int, content: bytes) -> dict[str, Any]:
    """A sample as the public projects spell it: one time each, codes and values also as the meter sent them."""
    time = MIDNIGHT + dt.timedelta(minutes=minutes)
    clock = time.year.to_bytes(2, "big") + bytes([time.month, time.day, 5, time.hour, time.minute, 0, 0xFF, 1, 74, 0])
    return {
        "deviceId": "KE1",
        "formattedProfileObisCode": "1.0.99.1.0.255",
        "sampleTime": "2024-05-31T03:00:00Z",
        "registerValues": [
            {
                "formattedRegisterObisCode": "0.0.1.0.0.255",
                "attributeId": 2,
                "formattedValue": "2001-01-01T00:00:00Z",
                "registerValue": base64.b64encode(b"\x09\x0c" + clock).decode(),
            },
            {
                "registerObisCode": base64.b64encode(bytes(map(int, code.split(".")))).decode(),
                "attributeId": 2,
                "unit": unit,
                "scalar": scalar,
                "registerValue": base64.b64encode(content).decode(),
            },
        ],
    }


def test_the_published_spelling_is_read_and_the_bytes_of_the_meter_count() -> None:
    samples = [published(end, KWH, 30, 1, b"\x12" + (end // 30).to_bytes(2, "big")) for end in range(30, 1441, 30)]
    random.Random(5).shuffle(samples)
    batch = days({"success": True, "usages": samples})
    assert batch.blocks is not None and batch.blocks[0].tolist() == [10 * n for n in range(1, 49)]
    assert batch.serials.tolist() == [b"KE1"] and not batch.refused


def test_a_printed_value_is_read_with_its_unit() -> None:
    single = {"formattedRegisterObisCode": KWH, "formattedValue": "0.25 kWh", "scalar": 1}
    batch = days([meter(entry(30, single))])
    assert batch.blocks is not None and batch.blocks[0, 0] == 250


@pytest.mark.parametrize("document", [{"readings": [meter(*whole_day())]}, [meter(*whole_day())], meter(*whole_day())])
def test_a_list_an_object_around_it_and_lines_are_the_same(document: object) -> None:
    line = json.dumps(document).encode()
    assert days(document).total_wh.tolist() == days(b"\n" + line + b"\n").total_wh.tolist() == [sum(range(1, 49))]


def test_the_same_value_twice_is_one_and_another_value_is_refused() -> None:
    again, other = entry(30, value(KWH, 1)), entry(30, value(KWH, 2), value(EXPORTED, 3))
    assert days([meter(*whole_day(), again)]).total_known.all()
    document = [meter(*whole_day(), other, serial="KE2"), meter(*whole_day())]  # 49 values of 48 half-hours
    batch = days(document)
    assert batch.serials.tolist() == [b"KE2", b"KE1"] and batch.channel is not None
    assert batch.channel.tolist() == [EXPORT, IMPORT]
    (refused,) = batch.refused
    assert (refused.rule, refused.serial, refused.day, refused.channel) == ("VAL-06", "KE2", DAY, IMPORT)
    assert "00:30" in refused.reason and '"value":2' in refused.content


@pytest.mark.parametrize(
    ("single", "rule"),
    [
        (value(KWH, 5, "kWs"), "VAL-12"),
        (value(KWH, 5, "VAh"), "VAL-12"),
        (value(KWH, 5, None), "VAL-12"),
        (value(KWH, 5, "Wh", "k"), "VAL-12"),
        (value("kWh", 5), "VAL-12"),
        (value(KWH, -5), "VAL-07"),
        (value(KWH, "१२"), "VAL-08"),
        (value(KWH, None), "VAL-08"),
        (value(KWH, True), "VAL-08"),
        (value(KWH, [1]), "VAL-08"),
        (value(KWH, 5, quality="guessed"), "VAL-08"),
        (value(KWH, 5, "MWh", 9), "VAL-05"),
        (value(VOLTS, 5, "A"), "VAL-12"),
    ],
)
def test_a_bad_value_refuses_its_own_day_only(single: dict[str, Any], rule: str) -> None:
    good = meter(*whole_day(), serial="KE2")
    (batch,) = read([meter(entry(30, single)), good, meter(entry(60, single), serial="KE3")])
    assert batch.serials.tolist() == [b"KE2"]
    assert [refused.rule for refused in batch.refused] == [rule] * 2
    assert all(refused.reason.endswith(".") and refused.content for refused in batch.refused[:1] if rule != "VAL-05")


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ({"timestamp": "2024-05-31T10:00+02:00", "registerValues": [value(KWH, 1)]}, "VAL-09"),
        ({"timestamp": "yesterday", "registerValues": [value(KWH, 1)]}, "VAL-08"),
        ({"registerValues": [value(KWH, 1)]}, "VAL-08"),
        ({"timestamp": "0001-01-01T00:00", "registerValues": [value(KWH, 1)]}, "VAL-08"),
        ({"timestamp": "2024-05-31T10:00", "registerValues": 5}, "VAL-08"),
        (entry(31, value(KWH, 1)), "VAL-06"),
        ({"timestamp": "2024-05-31T10:00:07", "registerValues": [value(KWH, 1)]}, "VAL-06"),
    ],
)
def test_a_bad_time_is_refused(bad: dict[str, Any], rule: str) -> None:
    assert [refused.rule for refused in wrong([meter(bad)])] == [rule]


@pytest.mark.parametrize("period", [1200, 0, -900, 86400, "x", 30])
def test_a_capture_period_that_makes_no_half_hours_is_refused(period: object) -> None:
    assert {rule for rule, _ in rules([meter(*whole_day(), capturePeriod=period)])} <= {"VAL-06"}
    assert period == 0 or rules([meter(*whole_day(), capturePeriod=period)])


def test_a_place_of_the_profile_that_was_never_filled_is_passed_over() -> None:
    empty = {"timestamp": "F" * 24, "registerValues": [value(KWH, 0)]}
    batch = days([meter(empty, entry(30, value(KWH, 4)))])
    assert not batch.refused and batch.known is not None and batch.known.sum() == 1


@pytest.mark.parametrize("profile", ["1.0.94.91.0.255", "0.0.99.98.0.255"])
def test_other_profiles_are_passed_over(profile: str) -> None:
    assert read([meter(*whole_day(), profile=profile)]) == []


@pytest.mark.parametrize("cut", [0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_keeps_what_was_complete(cut: float) -> None:
    raw = json.dumps({"readings": [meter(*whole_day(), serial=f"KE{n}") for n in range(9)]}).encode()
    batch = days(raw[: int(len(raw) * cut)])
    assert len(batch) == int(9 * cut) and batch.total_known.all()
    assert [(refused.rule, "in the middle" in refused.reason) for refused in batch.refused] == [("VAL-08", True)]


def test_a_broken_entry_or_line_does_not_stop_the_others() -> None:
    good, other = (json.dumps(meter(*whole_day(), serial=name)) for name in ("KE1", "KE2"))
    for text in (f'[{good},{{"a":NaN}},{other}]', f'{good}\n{{"a":1,"a":2}}\n{other}', f'{good}\n{{"a":1,\n{other}'):
        (batch,) = read(text.encode())
        assert batch.serials.tolist() == [b"KE1", b"KE2"] and [r.rule for r in batch.refused] == ["VAL-08"]
        assert batch.refused[0].line == 2


@pytest.mark.parametrize(
    "raw", [b"", b"   ", b"meter,day,kwh\n", b"\xff\xfe\x00", b"PK\x03\x04", b'[{"foo": 1}]', b"[1]", b"null"]
)
def test_what_holds_no_readings_at_all_is_refused_as_a_whole(raw: bytes) -> None:
    with pytest.raises(FormatError) as error:
        read(raw)
    assert error.value.next_step


def test_deep_nesting_and_huge_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = json.dumps(meter(*whole_day()))
    (batch,) = read(f'[{good},{{"a":{"[" * 5000}{"]" * 5000}}},{good}]'.encode())
    assert len(batch) == 1 and "deep" in batch.refused[0].reason
    monkeypatch.setattr(jsonstream, "LARGEST_ENTRY", 1 << 20)
    monkeypatch.setattr(jsonstream, "_PIECE", 1 << 16)
    for raw in (b'[{"a":"' + b"x" * (3 << 20), b"[" + b"1" * (3 << 20)):
        with pytest.raises(FormatError, match="larger"):
            read(raw)


class Endless(io.RawIOBase):
    """A document of many meters that is made while it is read."""

    def __init__(self, meters: int) -> None:
        self.rest = self._pieces(meters)
        self.held = b""

    def _pieces(self, meters: int) -> Iterator[bytes]:
        single = json.dumps(meter(*whole_day(), serial="KE#"))
        yield b'{"readings":['
        for n in range(meters):
            yield (single.replace("KE#", f"KE{n}") + ("," if n < meters - 1 else "]}")).encode()

    def read(self, size: int = -1) -> bytes:
        while len(self.held) < size and (piece := next(self.rest, b"")):
            self.held += piece
        out, self.held = self.held[:size], self.held[size:]
        return out


def test_a_long_document_is_read_in_flat_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hes, "MOST_HELD", 1_000)
    monkeypatch.setattr(jsonstream, "_PIECE", 1 << 16)
    peaks, rows = [], []
    for meters in (20, 60):
        tracemalloc.start()
        rows.append(sum(map(len, read_hes(cast(BinaryIO, Endless(meters))))))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert rows == [20, 60]
    assert peaks[1] - peaks[0] < 40 * 4_000 + 100_000  # its rows, a batch of them, and no more


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**6) | st.none(), min_size=48, max_size=48), st.randoms(), st.integers(0, 3))
def test_any_day_in_any_order_is_read_as_it_was(blocks: list[int | None], chance: random.Random, tenths: int) -> None:
    entries = [
        entry(30 * n, value(KWH, block * 10**tenths, "Wh", -tenths))
        for n, block in enumerate(blocks, 1)
        if block is not None
    ]
    chance.shuffle(entries)
    batches = read([meter(*entries)])
    expected = [UNKNOWN_WH if block is None else block for block in blocks]
    if any(block is not None for block in blocks):
        assert isinstance(batches[0], MeterDayBatch) and batches[0].blocks is not None
        assert np.array_equal(batches[0].blocks[0], expected)
    assert sum(len(batch) for batch in batches) == (1 if entries else 0)
    assert not [refused for batch in batches for refused in batch.refused]
