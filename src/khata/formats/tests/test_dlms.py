"""DLMS values: OBIS codes in every spelling, exact integers out of unit and scaler, Indian time without a doubt."""

import base64
import datetime as dt
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.formats import dlms
from khata.formats.dlms import MEANINGS, data, nano, obis, octet_stamp, rounded, scaler_power, stamp, unit_power
from khata.formats.meterdays_cells import RowError

NOON = dt.datetime.fromisoformat("2024-05-31T12:00")
IMPORT_BLOCK = MEANINGS["1.0.1.29.0.255"]


def octets(deviation: int, *, year: int = 2024, hour: int = 12, second: int = 0) -> bytes:
    return year.to_bytes(2, "big") + bytes([5, 31, 5, hour, 0, second, 0]) + deviation.to_bytes(2, "big") + b"\x00"


@pytest.mark.parametrize(
    "text",
    ["1.0.1.29.0.255", "1-0:1.29.0*255", "1-0:1.29.0", "1.0.1.29.0", " 1.0.1.29.0.255 ", "0100011D00FF", "AQABHQD/"],
)
def test_an_obis_code_is_the_same_in_every_spelling(text: str) -> None:
    assert obis(text) == "1.0.1.29.0.255" and obis(text) in MEANINGS


@pytest.mark.parametrize(
    "text", ["", "1.0.1", "1.0.1.29.0.256", "1.0.1.29.0.255.1", "kWh", "१.0.1.29.0.255", "AQABHQD_"]
)
def test_what_is_no_obis_code_is_refused(text: str) -> None:
    with pytest.raises(RowError) as error:
        obis(text)
    assert error.value.rule == "VAL-12" and error.value.next_step


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_bytes_and_dots_are_one_code(parts: list[int]) -> None:
    dotted = ".".join(map(str, parts))
    assert obis(dotted) == obis(bytes(parts).hex()) == dotted
    assert obis(base64.b64encode(bytes(parts)).decode()) == dotted


@pytest.mark.parametrize(("unit", "power"), [("Wh", 0), ("kWh", 3), ("MWh", 6), (30, 0)])
def test_units_by_name_and_by_number(unit: str | int, power: int) -> None:
    assert unit_power(unit, IMPORT_BLOCK) == power


@pytest.mark.parametrize("unit", ["", None, "VAh", "kW", 31, 255, "kwhh"])
def test_a_unit_of_something_else_is_refused(unit: str | int | None) -> None:
    with pytest.raises(RowError) as error:
        unit_power(unit, IMPORT_BLOCK)
    assert error.value.rule == "VAL-12"


@pytest.mark.parametrize("scaler", [10, -10, "1.5", True, None, "१", "x"])
def test_a_scaler_that_is_none_is_refused(scaler: object) -> None:
    with pytest.raises(RowError) as error:
        scaler_power(scaler)
    assert error.value.rule == "VAL-12"


@given(st.integers(-(10**12), 10**12), st.integers(0, 5), st.integers(-4, 6))
def test_values_are_exact(mantissa: int, places: int, power: int) -> None:
    text = f"{'-' if mantissa < 0 else ''}{abs(mantissa) // 10**places}"
    if places:
        text += f".{abs(mantissa) % 10**places:0{places}d}"
    assert nano(text, power) == Fraction(mantissa, 10**places) * Fraction(10) ** (power + 9)


@given(st.integers(0, 10**15), st.sampled_from([0, -1, -3]))
def test_rounding_is_half_up_once(value: int, power: int) -> None:
    step = 10 ** (9 + power)
    assert abs(2 * (rounded(value, power) * step - value)) <= step
    assert rounded(value * step + step // 2, power) == value + 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "VAL-08"),
        ("1,5", "VAL-08"),
        ("१२", "VAL-08"),
        ("1e-12", "VAL-08"),
        ("1e99", "VAL-05"),
        ("NaN", "VAL-08"),
        ("1" * 41, "VAL-08"),
    ],
)
def test_numbers_that_are_none_or_beyond(text: str, rule: str) -> None:
    with pytest.raises(RowError) as error:
        nano(text, 0)
    assert error.value.rule == rule
    assert ("other digits" in str(error.value)) == (text == "१२")


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-31T12:00",
        "2024-05-31 12:00:00",
        "2024-05-31T12:00:00.000+05:30",
        "2024-05-31T12:00:00+0530",
        "2024-05-31T12:00:00-05:30",
        "2024-05-31T06:30:00Z",
        "2024-05-31T06:30:00+00:00",
        octets(330).hex(),
        "0x" + octets(0x10000 - 330).hex().upper(),
        "090c" + octets(0x8000).hex(),
        octets(330).hex(" "),
        octets(330, second=0xFF).hex(),
    ],
)
def test_indian_time_in_every_spelling(text: str) -> None:
    assert stamp(text) == NOON


@pytest.mark.parametrize("text", [octets(330, year=0xFFFF).hex(), octets(0x8000, hour=0xFF).hex(), "F" * 24])
def test_a_time_that_the_meter_did_not_know_is_unknown_and_no_error(text: str) -> None:
    assert stamp(text) is None


@pytest.mark.parametrize(
    "text", ["2024-05-31T12:00+02:00", "2024-05-31T12:00+05:45", octets(60).hex(), octets(0).hex()]
)
def test_another_time_zone_is_refused(text: str) -> None:
    with pytest.raises(RowError) as error:
        stamp(text)
    assert error.value.rule == "VAL-09"


@pytest.mark.parametrize(
    "text", ["", "31-05-2024 12:00", "2024-02-30T12:00", "२०२४-05-31T12:00", "9999-12-31T23:59Z", "00" * 12]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RowError) as error:
        stamp(text)
    assert error.value.rule in ("VAL-08", "VAL-09")


@given(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1)), st.sampled_from([330, 0x10000 - 330, 0x8000]))  # noqa: DTZ001
def test_octets_and_text_agree(time: dt.datetime, deviation: int) -> None:
    time = time.replace(microsecond=0)
    raw = time.year.to_bytes(2, "big") + bytes([time.month, time.day, 0xFF, time.hour, time.minute, time.second, 0])
    assert octet_stamp(raw + deviation.to_bytes(2, "big") + b"\xff") == time == stamp(time.isoformat())


@pytest.mark.parametrize(
    ("text", "value"),
    [("BgAAAF8=", 95), ("Elnn", 23015), ("D2Q=", 100), ("D/8=", -1), ("EZs=", 155), ("FQAAAAAAAAAB", 1)],
)
def test_values_as_the_meter_sent_them(text: str, value: int) -> None:
    assert data(text) == value


def test_the_clock_of_a_published_sample() -> None:
    sent = data("CQwH6QcXAwcPGP8BSgA=")
    assert isinstance(sent, bytes)
    assert octet_stamp(sent) == dt.datetime.fromisoformat("2025-07-23T07:15:24")


@pytest.mark.parametrize("text", ["", "????", "Bg==", "CQxAAA==", "BgAAAF8A", "é"])
def test_broken_values_are_refused(text: str) -> None:
    with pytest.raises(RowError) as error:
        data(text)
    assert error.value.rule == "VAL-08"


def test_every_meaning_has_units_that_are_known() -> None:
    names = {unit for unit, _ in dlms.UNITS.values()}
    assert all(set(meaning.units) <= names for meaning in MEANINGS.values())
