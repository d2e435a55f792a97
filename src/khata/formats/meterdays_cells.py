"""One cell of a bulk file as a value: strict, exact, with the digits 0-9 only (Devanagari digits are for people).

These functions are the definition of what a cell may say; the quick ways by whole columns must agree with them.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from khata.formats.meterdays import (
    APPARENT_EXPORT,
    APPARENT_IMPORT,
    EXPORT,
    IMPORT,
    KEPT_OF_A_ROW,
    LARGEST_BLOCK_WH,
    LONGEST_SERIAL,
    REACTIVE_LAG,
    REACTIVE_LEAD,
    UNKNOWN_WH,
    Refused,
)
from khata.formats.text import FormatError, decimal_scaled, iso_date, shown

KILO = 3  # decimal places between kWh and Wh, volts and millivolts
LARGEST_WHOLE = 10**15 - 1  # of a register in Wh
LARGEST_MEAN = 10**6 - 1  # of volts, amperes, hertz
CHANNELS = {
    "import": IMPORT,
    "export": EXPORT,
    "apparent_import": APPARENT_IMPORT,
    "apparent_export": APPARENT_EXPORT,
    "reactive_lag": REACTIVE_LAG,
    "reactive_lead": REACTIVE_LEAD,
}
UNREADABLE, NEGATIVE, COUNT = "VAL-08", "VAL-07", "VAL-06"
HALF_HOURS = 48

_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)
_OFF = re.compile(r"[01]{48}", re.ASCII)


@dataclass(eq=False)
class RowError(FormatError):
    """A FormatError of one row, with the number of the check that it did not pass."""

    rule: str = UNREADABLE


def refused(
    error: FormatError,
    *,
    line: int,
    content: str,
    serial: bytes = b"",
    day: str | None = None,
    channel: int | None = None,
) -> Refused:
    """The row that `error` is about, with what could be read of it."""
    where = f"{error.column}: " if error.column else ""
    reason = f"{where}{error.what}. {error.next_step}." if error.next_step else f"{where}{error.what}."
    date = dt.date.fromisoformat(day) if day else None
    rule = error.rule if isinstance(error, RowError) else UNREADABLE
    return Refused(line, rule, reason, serial.decode("ascii"), date, channel, content[:KEPT_OF_A_ROW])


def plain_serial(text: str) -> bytes:
    """The error never shows the number: it leads to a person."""
    serial = text.strip(" ")
    if not serial:
        raise FormatError("the meter number is empty", next_step="Give the number on the meter's plate")
    if len(serial) > LONGEST_SERIAL or not serial.isascii() or not serial.isprintable():
        if script := _other_digits(serial):
            raise FormatError(f"the meter number has {script} digits", next_step="Use the digits 0 to 9")
        wrong = f"the meter number has more than {LONGEST_SERIAL} characters or one that is no letter, digit or sign"
        raise FormatError(wrong, next_step="Give the number on the meter's plate, in ASCII")
    return serial.encode()


def plain_day(text: str) -> str:
    return iso_date(ascii_only(text, "day"), what="day").isoformat()


def plain_kwh(text: str) -> int:
    energy_wh = decimal_scaled(ascii_only(text, "kwh"), KILO, what="kwh")
    if energy_wh < 0:
        wrong = f"kwh {shown(text)} is below 0"
        raise RowError(wrong, next_step="Send export energy as a channel of its own", rule=NEGATIVE)
    return energy_wh


def plain_block(text: str) -> int:
    return _whole(text, "the block", "Wh", LARGEST_BLOCK_WH)


def plain_register(text: str) -> int:
    return _whole(text, "the register", "Wh", LARGEST_WHOLE)


def plain_demand(text: str) -> int:
    return _whole(text, "the demand", "W", LARGEST_BLOCK_WH)


def plain_volts(text: str) -> int:
    """Tenths of a volt, half up: it is a mean, and decides nothing by itself."""
    millivolts = _mean(text, "the voltage")
    return millivolts if millivolts == UNKNOWN_WH else (millivolts + 50) // 100


def plain_amperes(text: str) -> int:
    """Milliamperes."""
    return _mean(text, "the current")


def plain_hertz(text: str) -> int:
    """Millihertz."""
    return _mean(text, "the frequency")


def plain_off(text: str) -> int:
    """A bit a half-hour from 48 characters: 1 where there was no supply throughout; -1 where nothing is said."""
    cell = ascii_only(text, "off").strip()
    if not cell:
        return UNKNOWN_WH
    if not _OFF.fullmatch(cell):
        wrong = f"off {shown(cell)} is not {HALF_HOURS} characters 0 or 1"
        raise RowError(wrong, next_step="Give one a half-hour, 1 where there was no supply, or leave it empty")
    return int(cell[::-1], 2)


def plain_channel(text: str) -> int:
    cell = ascii_only(text, "channel").strip()
    if cell and cell not in CHANNELS:
        wrong = f"channel {shown(cell)} is not known"
        raise RowError(wrong, next_step=f"Give one of: {', '.join(CHANNELS)}; empty is import", rule="VAL-12")
    return CHANNELS.get(cell, IMPORT)


PLAIN: dict[str, Callable[[str], int]] = {
    "kwh": plain_kwh,
    "b": plain_block,
    "register_wh": plain_register,
    "demand_w": plain_demand,
    "off": plain_off,
    "channel": plain_channel,
    "v": plain_volts,
    "a": plain_amperes,
    "hz": plain_hertz,
}


def _whole(text: str, what: str, unit: str, largest: int) -> int:
    cell = ascii_only(text, what).strip()
    if not cell:
        return UNKNOWN_WH
    if not _WHOLE.fullmatch(cell):
        raise FormatError(f"{what} {shown(cell)} is not a whole number", next_step=f"Give {unit}, or leave it empty")
    value = int(cell[:20])
    if cell.startswith("-") and value < 0:
        unknown = f"Give {unit}, or leave it empty if it is unknown"
        raise RowError(f"{what} {shown(cell)} is below 0", next_step=unknown, rule=NEGATIVE)
    if value > largest or len(cell) > 20:
        raise FormatError(f"{what} {shown(cell)} is too large", next_step=f"Give {unit}, at most {largest}")
    return value


def _mean(text: str, what: str) -> int:
    cell = ascii_only(text, what).strip()
    if not cell:
        return UNKNOWN_WH
    value = decimal_scaled(cell, KILO, what=what)
    if value < 0:
        raise RowError(f"{what} {shown(cell)} is below 0", next_step="Leave it empty if it is unknown", rule=NEGATIVE)
    if value > LARGEST_MEAN * 1000:
        raise FormatError(f"{what} {shown(cell)} is too large", next_step="Check the unit and the decimal point")
    return value


def ascii_only(text: str, what: str) -> str:
    """The text, or a FormatError that names the script of its digits."""
    if text.isascii():
        return text
    if script := _other_digits(text):
        raise FormatError(
            f"{what} {shown(text)} has {script} digits, not ASCII ones", next_step="Use the digits 0 to 9"
        )
    raise FormatError(f"{what} {shown(text)} has a character that is not ASCII", next_step="Use the digits 0 to 9")


def _other_digits(text: str) -> str:
    """The script of the first decimal digit that is not 0-9: "Devanagari"; empty where there is none."""
    other = next((c for c in text if c.isdecimal() and not c.isascii()), None)
    return unicodedata.name(other, "other").split(" DIGIT")[0].title() if other else ""
