"""Meter readings as head-end systems of smart meters send them: JSON with registers of OBIS code, value, unit, scaler.

The spelling is that of `docs/how-to/hes-json.md`. A block is stamped at its END, in Indian time; the one that ends at
00:00 belongs to the day before. The entries of a meter are gathered into days, and a day of each channel is one row.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from khata.formats import dlms
from khata.formats.day_rows import MIDNIGHT, Day, Rows
from khata.formats.dlms import Kind, bad
from khata.formats.jsonstream import Entry, entries
from khata.formats.meterdays import ACTUAL, EDITED, ESTIMATED, KEPT_OF_A_ROW, SUBSTITUTED, Batch
from khata.formats.meterdays_cells import plain_serial, refused
from khata.formats.text import FormatError, shown

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
MOST_HELD = 400_000  # values of days that are not handed on yet
MOST_DRIFT_S = 2**31 - 1

_VALUE_ATTRIBUTES = (None, 2, "2")  # of a DLMS object; others are its unit, status, or when it was captured


@dataclass
class _Meter:
    """What is held of one meter: its days, until they are handed on."""

    period_s: int | None  # of its blocks, once a block load says it
    drift_s: int | None
    multiplier: int
    days: dict[dt.date, Day] = field(default_factory=dict)
    held: int = 0


def read_hes(file: BinaryIO) -> Iterator[Batch]:
    """Batches of meter days and of billing registers. FormatError if the file has no meter readings at all.

    A meter's entries may stand apart (MOST_HELD values are kept for that). What is wrong refuses its own meter day.
    """
    reader = _Reader()
    for entry in entries(file, LISTS):
        if entry.number == 1 and not _is_reading(entry):
            wrong = "this JSON holds no meter readings"
            raise FormatError(wrong, next_step=f"Each needs {SERIAL[0]}, {PROFILE[2]} and {VALUES[0]}")
        reader.entry(entry)
        yield from reader.rows.full()
    reader.close(0)
    yield from reader.rows.rest()


def _is_reading(entry: Entry) -> bool:
    if entry.value is None:
        return True  # broken: the others tell
    return isinstance(entry.value, dict) and any(name in entry.value for name in (*SERIAL, *PROFILE, *VALUES, *ENTRIES))


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if (said := fields.get(name)) is not None:
            return said
    return None


class _Reader:
    def __init__(self) -> None:
        self.meters: dict[bytes, _Meter] = {}
        self.held = 0
        self.rows = Rows()

    def entry(self, entry: Entry) -> None:
        """One entry of the document: a meter with entries of its own, or with the registers of one time."""
        serial = b""
        try:
            if not isinstance(entry.value, dict):
                raise bad("VAL-08", entry.problem or "an entry is not an object")
            serial = plain_serial(_text(_first(entry.value, SERIAL), "the meter number"))
            self._readings(serial, entry.value, entry.number)
        except FormatError as error:
            self._refuse(error, entry.number, serial, entry.text or entry.value)

    def _readings(self, serial: bytes, fields: Mapping[str, Any], line: int) -> None:
        profile = _profile(_first(fields, PROFILE))
        if profile is None:  # events, instantaneous values: nothing that is counted by days
            return
        meter = self._meter(serial, fields, profile) if profile != BILLING else None
        inner = _first(fields, ENTRIES)
        for single in [fields] if inner is None else _objects(inner, ENTRIES[0]):
            try:
                registers = _objects(_first(single, VALUES) or [], VALUES[0])
                time = _time(single, registers, profile)
                if time is None:  # a place of the profile that the meter never filled
                    continue
                if meter is None:
                    self._billing(serial, line, time, registers)
                elif profile == DAILY and (time.hour or time.minute or time.second):
                    raise bad("VAL-06", f"a daily reading of {time:%H:%M:%S} is not of midnight")
                else:
                    self._gather(serial, meter, line, time, registers, profile)
            except FormatError as error:
                self._refuse(error, line, serial, single)

    def _meter(self, serial: bytes, fields: Mapping[str, Any], profile: str) -> _Meter:
        said = _whole(_first(fields, PERIOD), PERIOD[0], "VAL-06") or NO_PERIOD_S
        period = said if profile == BLOCKS else None
        drift = _whole(_first(fields, DRIFT), DRIFT[0], "VAL-09")
        multiplier = _whole(_first(fields, MULTIPLIER), MULTIPLIER[0], "VAL-08") or 0
        meter = self.meters.get(serial)
        if meter and (meter.multiplier != multiplier or len({meter.period_s, period} - {None}) > 1):
            self._close_first(serial)
            meter = None
        if meter is None:
            meter = self.meters[serial] = _Meter(period, drift, multiplier)
        meter.period_s = meter.period_s or period
        meter.drift_s = drift if drift is not None else meter.drift_s
        return meter

    def _gather(
        self, serial: bytes, meter: _Meter, line: int, time: dt.datetime, registers: list[Any], profile: str
    ) -> None:
        date, minute = time.date(), time.hour * 60 + time.minute
        if not minute:
            if date == dt.date.min:
                raise bad("VAL-08", "the time is not of a day that can be")
            date, minute = date - dt.timedelta(days=1), MIDNIGHT
        day = meter.days.get(date)
        if day is None:
            day = meter.days[date] = Day(line)
        for register in registers:
            channel: int | None = None
            try:
                meaning = _meaning(register, profile, minute)
                if meaning is None:
                    continue
                channel = meaning.channel
                value = _value(register, meaning)
                day.put(meaning, minute, time.second, value, _quality(register))
            except FormatError as error:
                day.spoil(channel, error, _content(register))
            meter.held += 1
            self.held += 1
        if self.held > MOST_HELD:
            self.close(MOST_HELD // 2)

    def _billing(self, serial: bytes, line: int, time: dt.datetime, registers: list[Any]) -> None:
        if time.hour or time.minute or time.second:
            raise bad("VAL-08", f"a billing date of {time:%H:%M:%S} is not the beginning of a day")
        register: int | None = None
        demand: int | None = None
        for single in registers:
            meaning = _meaning(single, BILLING, MIDNIGHT)
            if meaning is None or meaning.channel:
                continue
            value = _not_negative(_value(single, meaning))
            if meaning.kind is Kind.REGISTER:
                register = _same(register, value)
            elif meaning.kind is Kind.DEMAND:
                demand = _same(demand, value)
        if register is None:
            raise bad("VAL-08", "the billing profile has no register 1.0.1.8.0.255")
        self.rows.reading(line, serial, time.date(), register, demand)

    def close(self, most: int) -> None:
        """Hands on the days of the meters that were seen first, until at most `most` values are held."""
        while self.meters and (self.held > most or not most):
            self._close_first(next(iter(self.meters)))

    def _close_first(self, serial: bytes) -> None:
        meter = self.meters.pop(serial)
        self.held -= meter.held
        for date, day in sorted(meter.days.items()):
            self.rows.day(serial, date, day, meter.period_s or NO_PERIOD_S, meter.drift_s, meter.multiplier)

    def _refuse(self, error: FormatError, line: int, serial: bytes, content: object) -> None:
        self.rows.refused.append(refused(error, line=line, content=_content(content), serial=serial))


# ── the parts of an entry ─────────────────────────────────────────────────────────────────────────────────────────


def _profile(said: Any) -> str | None:
    """The profile's OBIS code; None for one that counts nothing by days. RowError where it is not said."""
    text = _text(said, "the profile")
    name = "".join(c for c in text if c.isalnum()).casefold().removesuffix("profile")
    code = PROFILES.get(name) or dlms.obis(text)
    return code if code in PROFILES.values() else None


def _time(single: Mapping[str, Any], registers: list[Any], profile: str) -> dt.datetime | None:
    """When the registers were captured: the clock among them, or the entry's time."""
    for code in (dlms.BILLING_DATE, dlms.CLOCK) if profile == BILLING else (dlms.CLOCK,):
        for register in registers:
            if dlms.obis(_text(_first(register, CODE), "the OBIS code")) == code and _attribute(register):
                raw = register.get("registerValue")
                if raw is not None:
                    octets = dlms.data(_text(raw, "the clock"))
                    return dlms.octet_stamp(octets if isinstance(octets, bytes) else b"")
                return dlms.stamp(_text(_first(register, ("value", "formattedValue")), "the clock"))
    return dlms.stamp(_text(_first(single, TIME), "the time"))


def _meaning(register: Mapping[str, Any], profile: str, minute: int) -> dlms.Meaning | None:
    """What it counts, None if it is nothing that is kept: registers are, as they stand at midnight."""
    meaning = dlms.MEANINGS.get(dlms.obis(_text(_first(register, CODE), "the OBIS code")))
    if meaning is None or not _attribute(register):
        return None
    if meaning.kind is Kind.REGISTER:
        return meaning if minute == MIDNIGHT else None
    if meaning.kind is Kind.DEMAND:
        return meaning if profile != BLOCKS else None
    return meaning if profile == BLOCKS else None


def _attribute(register: Mapping[str, Any]) -> bool:
    return register.get("attributeId") in _VALUE_ATTRIBUTES


def _value(register: Mapping[str, Any], meaning: dlms.Meaning) -> int:
    """In billionths of the plain unit."""
    raw = register.get("registerValue")
    if raw is not None:  # what the meter sent
        number = dlms.data(_text(raw, "the value"))
        if not isinstance(number, int):
            raise bad("VAL-08", "the value is not a number of DLMS")
        text = str(number)
    elif register.get("value") is not None:
        text = _text(register["value"], "the value")
    else:  # as it is printed, scaler and unit included: "2.50 Wh"
        text, _, unit = _text(register.get("formattedValue"), "the value").strip().partition(" ")
        return dlms.nano(text, dlms.unit_power(unit, meaning))
    scaler = _first(register, SCALER)
    power = dlms.unit_power(_unit(register.get("unit")), meaning) + dlms.scaler_power(0 if scaler is None else scaler)
    return dlms.nano(text, power)


def _unit(said: Any) -> str | int | None:
    text = str(said) if said is not None else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else text


def _quality(register: Mapping[str, Any]) -> int:
    said = register.get("quality")
    if said is None:
        return ACTUAL
    quality = QUALITIES.get(str(said).strip().casefold())
    if quality is None:
        raise bad("VAL-08", f"the quality {shown(str(said))} is none of {', '.join(QUALITIES)}")
    return quality


def _text(said: Any, what: str) -> str:
    if isinstance(said, bool) or not isinstance(said, str | int):
        raise bad("VAL-08", f"{what} is missing" if said is None else f"{what} is neither text nor a number")
    return str(said)


def _objects(said: Any, name: str) -> list[Any]:
    if not isinstance(said, list) or not all(isinstance(single, dict) for single in said):
        raise bad("VAL-08", f"{name} is not a list of objects")
    return said


def _whole(said: Any, name: str, rule: str) -> int | None:
    if said is None:
        return None
    text = str(said)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 10) or abs(int(text)) > MOST_DRIFT_S:
        raise bad(rule, f"{name} {shown(text)} is not a whole number")
    return int(text)


def _not_negative(value: int) -> int:
    if value < 0:
        raise bad("VAL-07", "a register is below 0")
    return value


def _same(held: int | None, value: int) -> int:
    if held not in (None, value):
        raise bad("VAL-08", "a register stands there twice with different values")
    return value


def _content(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text[:KEPT_OF_A_ROW]
