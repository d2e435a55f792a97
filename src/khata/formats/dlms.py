"""What meters of IS 15959 (DLMS/COSEM) say: OBIS codes, values with a unit and a power of ten, dates with a clock.

Everything is an exact integer: quantities are kept in billionths of their unit (NANO) until they are rounded once, half
up. Times are naive Indian time. What cannot be read raises RowError, which names the rule that the row breaks.
"""

import base64
import binascii
import datetime as dt
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from khata.formats.meterdays import APPARENT_EXPORT, APPARENT_IMPORT, EXPORT, IMPORT, REACTIVE_LAG, REACTIVE_LEAD
from khata.formats.meterdays_cells import RowError
from khata.formats.text import shown

NANO = 9
IST = dt.timedelta(hours=5, minutes=30)
IST_MINUTES = 330
UNSPECIFIED = 0x8000  # of a deviation
WHOLE_NUMBERS = {  # tag of DLMS: (bytes, signed)
    15: (1, True),
    16: (2, True),
    5: (4, True),
    20: (8, True),
    17: (1, False),
    22: (1, False),
    18: (2, False),
    6: (4, False),
    21: (8, False),
}
CLOCK = "0.0.1.0.0.255"
BILLING_DATE = "0.0.0.1.2.255"
LONGEST_NUMBER = 40

_OBIS = re.compile(r"([0-9]{1,3})[-.]([0-9]{1,3})[:.]([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?:[.*]([0-9]{1,3}))?")
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,2}))?")
_STAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?"
    r" ?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


# What a sender can do about a row that does not pass.
NEXT_STEPS = {
    "VAL-05": "Check the unit and the scaler",
    "VAL-06": "Send each block of a day once, stamped at its end",
    "VAL-07": "Send energy of the other direction under its own OBIS code",
    "VAL-08": "Correct it in the sending system and send this day again",
    "VAL-09": "Send Indian time, with +05:30 or without an offset",
    "VAL-12": "Give code, unit and scaler as the meter has them",
}


def bad(rule: str, wrong: str) -> RowError:
    """The error of a row that breaks `rule`; `wrong` is one sentence without a full stop."""
    return RowError(wrong, next_step=NEXT_STEPS[rule], rule=rule)


class Kind(Enum):
    """What a register says of the time that ends, or of the instant, at its stamp."""

    BLOCK = "energy of the capture period"
    REGISTER = "energy so far"
    DEMAND = "maximum demand"
    VOLTS = "mean voltage"
    CURRENT = "mean current"
    HERTZ = "mean frequency"


@dataclass(frozen=True)
class Meaning:
    """`units` may be given with a prefix (kWh, MWh, mA); `channel` is that of a meter day."""

    kind: Kind
    units: tuple[str, ...]
    channel: int = IMPORT


def _energies() -> dict[str, Meaning]:
    """C (what) of D = 29 (block) and D = 8 (register)."""
    counted = {
        1: (IMPORT, "wh"),
        2: (EXPORT, "wh"),
        9: (APPARENT_IMPORT, "vah"),
        10: (APPARENT_EXPORT, "vah"),
        5: (REACTIVE_LAG, "varh"),
        8: (REACTIVE_LEAD, "varh"),
    }
    table = {}
    for code, (channel, unit) in counted.items():
        table[f"1.0.{code}.29.0.255"] = Meaning(Kind.BLOCK, (unit,), channel)
        table[f"1.0.{code}.8.0.255"] = Meaning(Kind.REGISTER, (unit,), channel)
    return table


MEANINGS: dict[str, Meaning] = {
    **_energies(),
    "1.0.1.6.0.255": Meaning(Kind.DEMAND, ("w",), IMPORT),
    "1.0.12.27.0.255": Meaning(Kind.VOLTS, ("v",)),
    "1.0.11.27.0.255": Meaning(Kind.CURRENT, ("a",)),
    "1.0.14.27.0.255": Meaning(Kind.HERTZ, ("hz",)),
}

# Units by the number that DLMS gives them and by name; the power of ten lies between the name and the plain unit.
UNIT_CODES = {27: "w", 28: "va", 29: "var", 30: "wh", 31: "vah", 32: "varh", 33: "a", 35: "v", 44: "hz"}
PREFIXES = {"": 0, "k": 3, "M": 6, "m": -3}
UNITS: dict[str, tuple[str, int]] = {
    prefix + name: (unit, power)
    for unit, names in {
        "wh": ("Wh",),
        "vah": ("VAh",),
        "varh": ("varh", "VArh", "VARh"),
        "w": ("W",),
        "va": ("VA",),
        "var": ("var", "VAr", "VAR"),
        "v": ("V",),
        "a": ("A",),
        "hz": ("Hz",),
    }.items()
    for name in names
    for prefix, power in PREFIXES.items()
} | {"KWh": ("wh", 3), "KWH": ("wh", 3), "WH": ("wh", 0), "KVAh": ("vah", 3), "KVAH": ("vah", 3), "VAH": ("vah", 0)}


@lru_cache(maxsize=4096)
def obis(text: str) -> str:
    """`1-0:1.29.0*255`, `1.0.1.29.0` or the six bytes (base64, hex) as `1.0.1.29.0.255`. RowError VAL-12 if none."""
    plain = text.strip()
    match = _OBIS.fullmatch(plain)
    parts = [int(part) for part in match.groups(default="255")] if match else list(_six_bytes(plain))
    if len(parts) != 6 or max(parts) > 255:
        raise bad("VAL-12", f"{shown(plain)} is not an OBIS code")
    return ".".join(str(part) for part in parts)


def unit_power(unit: str | int | None, meaning: Meaning) -> int:
    """The power of ten between what is given and the plain unit of `meaning`. RowError VAL-12."""
    if isinstance(unit, int):
        name, power = UNIT_CODES.get(unit, ""), 0
    else:
        name, power = UNITS.get((unit or "").strip(), ("", 0))
    if name not in meaning.units:
        said = shown(str(unit)) if unit not in (None, "") else "none"
        raise bad("VAL-12", f"the unit {said} is not one of {meaning.kind.value}")
    return power


def scaler_power(scaler: object) -> int:
    """The scaler of DLMS: a whole power of ten from -9 to 9. RowError VAL-12."""
    if type(scaler) is int and -NANO <= scaler <= NANO:
        return scaler
    text = str(scaler).strip() if isinstance(scaler, str | int) and not isinstance(scaler, bool) else "?"
    if not re.fullmatch(r"[+-]?[0-9]{1,2}", text, re.ASCII) or not -NANO <= int(text) <= NANO:
        raise bad("VAL-12", f"the scaler {shown(str(scaler))} is not a whole power of ten from -9 to 9")
    return int(text)


def nano(text: str, power: int) -> int:
    """`text` x 10^power in billionths, exactly. RowError VAL-08 if it is no number or finer, VAL-05 if beyond all."""
    plain = text.strip()
    match = _NUMBER.fullmatch(plain) if len(plain) <= LONGEST_NUMBER else None
    if not match or not plain.isascii():
        if any(c.isdecimal() and not c.isascii() for c in plain):
            raise bad("VAL-08", f"{shown(plain)} is written with other digits than 0 to 9")
        raise bad("VAL-08", f"{shown(plain)} is not a number")
    sign, whole, part, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    digits, places = int(whole + part), NANO + power + exponent - len(part)
    if places > LONGEST_NUMBER and digits:
        raise bad("VAL-05", f"{shown(plain)} is more than a meter can measure")
    if places >= 0:
        value: int = digits * 10 ** min(places, LONGEST_NUMBER)
    else:
        value, rest = divmod(digits, 10 ** min(-places, 3 * LONGEST_NUMBER))
        if rest:
            raise bad("VAL-08", f"{shown(plain)} is finer than a billionth of its unit")
    return -value if sign else value


def rounded(value_nano: int, power: int) -> int:
    """Billionths of a unit as whole 10^power of it, half up: 0 gives the unit itself, -3 its thousandths."""
    step: int = 10 ** (NANO + power)
    return (value_nano + step // 2) // step


# ── times ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=4096)  # all meters have the same times
def stamp(text: str) -> dt.datetime | None:
    """A time as text (ISO 8601) or as the 12 bytes of DLMS in hex: naive Indian time, None where it is not known.

    Without an offset it is Indian time, as with +05:30 and (no place on earth has it) -05:30; UTC is turned into it.
    RowError VAL-08 where it is no time, VAL-09 where it is another zone's.
    """
    plain = text.strip()
    if re.fullmatch(r"(0[xX])?([0-9A-Fa-f]{2}[ -]?){12}", plain) or re.fullmatch(r"090[cC][0-9A-Fa-f]{24}", plain):
        return octet_stamp(bytes.fromhex(re.sub(r"^0[xX]|^090[cC](?=.{24}$)|[ -]", "", plain)))
    match = _STAMP.fullmatch(plain)
    if not match or not plain.isascii():
        why = "is written with other digits than 0 to 9" if _other_digits(plain) else "is not a time"
        raise bad("VAL-08", f"the time {shown(plain)} {why}")
    try:
        shift = _shift(match[4])
        return dt.datetime.fromisoformat(f"{match[1]}T{match[2]}:{match[3] or '00'}") + shift
    except RowError:
        raise
    except (ValueError, OverflowError):
        raise bad("VAL-08", f"the time {shown(plain)} is not in the calendar") from None


def octet_stamp(octets: bytes) -> dt.datetime | None:
    """The date-time of DLMS (12 bytes): FF in the date, hour or minute means that the meter did not know it: None."""
    if len(octets) != 12:
        raise bad("VAL-08", f"a time of {len(octets)} bytes: DLMS has 12")
    year, month, day = int.from_bytes(octets[:2], "big"), octets[2], octets[3]
    hour, minute, second = octets[5], octets[6], octets[7]
    if year == 0xFFFF or 0xFF in (month, day, hour, minute):
        return None
    deviation = int.from_bytes(octets[9:11], "big")
    if deviation not in (UNSPECIFIED, IST_MINUTES, 0x10000 - IST_MINUTES):
        minutes = deviation - 0x10000 if deviation > UNSPECIFIED else deviation
        raise bad("VAL-09", f"the clock deviates by {minutes} minutes: Indian time is 330 (either sign)")
    try:
        return dt.datetime.combine(dt.date(year, month, day), dt.time(hour, minute, 0 if second == 0xFF else second))
    except ValueError:
        raise bad("VAL-08", f"the time {octets.hex()} is not in the calendar") from None


def data(text: str) -> int | bytes:
    """A value as the meter sent it (base64 of tag and content): a whole number, or the bytes of a string.

    RowError VAL-08 where it is neither.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if raw[:1] == b"\x09" and len(raw) >= 2 and len(raw) == 2 + raw[1]:
        return raw[2:]
    size, signed = WHOLE_NUMBERS.get(raw[0] if raw else 0, (0, False))
    if size and len(raw) == 1 + size:
        return int.from_bytes(raw[1:], "big", signed=signed)
    raise bad("VAL-08", f"{shown(text)} is not a value of DLMS")


def _shift(offset: str | None) -> dt.timedelta:
    plain = (offset or "").replace(":", "")
    if plain in ("", "+0530", "-0530"):
        return dt.timedelta(0)
    if plain in ("Z", "+0000", "-0000"):
        return IST
    raise bad("VAL-09", f"the time has the offset {offset}: Indian time is +05:30")


def _six_bytes(text: str) -> bytes:
    try:
        if re.fullmatch(r"[0-9A-Fa-f]{12}", text):
            return bytes.fromhex(text)
        return base64.b64decode(text, validate=True) if len(text) == 8 else b""
    except (binascii.Error, ValueError):
        return b""


def _other_digits(text: str) -> bool:
    return any(c.isdecimal() and not c.isascii() for c in text)
