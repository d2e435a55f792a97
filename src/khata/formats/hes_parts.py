"""The parts of an entry of HES JSON: their spellings, and what each says. Errors are RowError, with their rule."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from khata.formats import dlms
from khata.formats.dlms import Kind, bad
from khata.formats.gathered import MIDNIGHT
from khata.formats.meterdays import ACTUAL, EDITED, ESTIMATED, KEPT_OF_A_ROW, SUBSTITUTED
from khata.formats.text import shown

LISTS = ("usages", "data", "samples", "readings", "meterReadings")
SERIAL = ("meterSerial", "meterSerialNumber", "meterNumber", "deviceId")
PROFILE = ("formattedProfileObisCode", "profileObisCode", "profile")
PERIOD = ("capturePeriod",)
DRIFT = ("clockDriftSeconds",)
MULTIPLIER = ("multiplyingFactor",)
ENTRIES = ("entries",)
TIME = ("timestamp",)
VALUES = ("registerValues",)
CODE = ("formattedRegisterObisCode", "obisCode", "registerObisCode")
SCALER = ("scaler", "scalar")

BLOCKS, DAILY, BILLING = "1.0.99.1.0.255", "1.0.99.2.0.255", "1.0.98.1.0.255"
PROFILES = {"blockload": BLOCKS, "dailyload": DAILY, "billing": BILLING}
NO_PERIOD_S = 1800  # where none is said
QUALITIES = {"actual": ACTUAL, "estimated": ESTIMATED, "substituted": SUBSTITUTED, "edited": EDITED}
MOST_DRIFT_S = 2**31 - 1

_VALUE_ATTRIBUTES = (None, 2, "2")  # of a DLMS object; others are its unit, status, or when it was captured


def first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if (said := fields.get(name)) is not None:
            return said
    return None


def settings_of(fields: Mapping[str, Any], profile: str) -> tuple[int | None, int | None, int]:
    """Seconds of a block (of a block load only), seconds of drift, multiplying factor."""
    said = whole(first(fields, PERIOD), PERIOD[0], "VAL-06") or NO_PERIOD_S
    drift = whole(first(fields, DRIFT), DRIFT[0], "VAL-09")
    multiplier = whole(first(fields, MULTIPLIER), MULTIPLIER[0], "VAL-08") or 0
    return said if profile == BLOCKS else None, drift, multiplier


def profile_of(said: Any) -> str | None:
    """The profile's OBIS code; None for one that counts nothing by days. RowError where it is not said."""
    text = text_of(said, "the profile")
    name = "".join(c for c in text if c.isalnum()).casefold().removesuffix("profile")
    code = PROFILES.get(name) or dlms.obis(text)
    return code if code in PROFILES.values() else None


def day_and_minute(time: dt.datetime) -> tuple[dt.date, int]:
    """The day that a block belongs to which ends at `time`, and the minute of it: 00:00 ends the day before."""
    minute = time.hour * 60 + time.minute
    if minute:
        return time.date(), minute
    if time.date() == dt.date.min:
        raise bad("VAL-08", "the time is not of a day that can be")
    return time.date() - dt.timedelta(days=1), MIDNIGHT


def time_of(single: Mapping[str, Any], registers: list[Any], profile: str) -> dt.datetime | None:
    """When the registers were captured: the clock among them, or the entry's time."""
    for code in (dlms.BILLING_DATE, dlms.CLOCK) if profile == BILLING else (dlms.CLOCK,):
        for register in registers:
            if dlms.obis(text_of(first(register, CODE), "the OBIS code")) == code and is_value(register):
                raw = register.get("registerValue")
                if raw is not None:
                    octets = dlms.data(text_of(raw, "the clock"))
                    return dlms.octet_stamp(octets if isinstance(octets, bytes) else b"")
                return dlms.stamp(text_of(first(register, ("value", "formattedValue")), "the clock"))
    return dlms.stamp(text_of(first(single, TIME), "the time"))


def meaning_of(register: Mapping[str, Any], profile: str, minute: int) -> dlms.Meaning | None:
    """What it counts, None if it is nothing that is kept: registers are, as they stand at midnight."""
    meaning = dlms.MEANINGS.get(dlms.obis(text_of(first(register, CODE), "the OBIS code")))
    if meaning is None or not is_value(register):
        return None
    if meaning.kind is Kind.REGISTER:
        return meaning if minute == MIDNIGHT else None
    if meaning.kind is Kind.DEMAND:
        return meaning if profile != BLOCKS else None
    return meaning if profile == BLOCKS else None


def is_value(register: Mapping[str, Any]) -> bool:
    return register.get("attributeId") in _VALUE_ATTRIBUTES


def value_of(register: Mapping[str, Any], meaning: dlms.Meaning) -> int:
    """In billionths of the plain unit."""
    raw = register.get("registerValue")
    if raw is not None:  # what the meter sent
        number = dlms.data(text_of(raw, "the value"))
        if not isinstance(number, int):
            raise bad("VAL-08", "the value is not a number of DLMS")
        text = str(number)
    elif register.get("value") is not None:
        text = text_of(register["value"], "the value")
    else:  # as it is printed, scaler and unit included: "2.50 Wh"
        text, _, unit = text_of(register.get("formattedValue"), "the value").strip().partition(" ")
        return dlms.nano(text, dlms.unit_power(unit, meaning))
    scaler = first(register, SCALER)
    power = dlms.unit_power(unit_of(register.get("unit")), meaning) + dlms.scaler_power(0 if scaler is None else scaler)
    return dlms.nano(text, power)


def unit_of(said: Any) -> str | int | None:
    text = str(said) if said is not None else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else text


def quality_of(register: Mapping[str, Any]) -> int:
    said = register.get("quality")
    if said is None:
        return ACTUAL
    quality = QUALITIES.get(str(said).strip().casefold())
    if quality is None:
        raise bad("VAL-08", f"the quality {shown(str(said))} is none of {', '.join(QUALITIES)}")
    return quality


def text_of(said: Any, what: str) -> str:
    if isinstance(said, bool) or not isinstance(said, str | int):
        raise bad("VAL-08", f"{what} is missing" if said is None else f"{what} is neither text nor a number")
    return str(said)


def objects(said: Any, name: str) -> list[Any]:
    if not isinstance(said, list) or not all(isinstance(single, dict) for single in said):
        raise bad("VAL-08", f"{name} is not a list of objects")
    return said


def whole(said: Any, name: str, rule: str) -> int | None:
    if said is None:
        return None
    text = str(said)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 10) or abs(int(text)) > MOST_DRIFT_S:
        raise bad(rule, f"{name} {shown(text)} is not a whole number")
    return int(text)


def not_negative(value: int) -> int:
    if value < 0:
        raise bad("VAL-07", "a register is below 0")
    return value


def same(held: int | None, value: int) -> int:
    if held not in (None, value):
        raise bad("VAL-08", "a register stands there twice with different values")
    return value


def content_of(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text[:KEPT_OF_A_ROW]
