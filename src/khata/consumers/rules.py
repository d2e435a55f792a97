"""Account numbers: how they are drawn and checked, and how what people type is understood."""

import datetime as dt
import functools
import hashlib
import hmac
import os
import re
import uuid
from collections.abc import Callable, Sequence
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from stdnum import damm

from khata.formats.text import digits
from khata.kernel.quantities import Int64

# So many bodies of numbers: nine digits that do not begin with 0, in no order that anybody could guess.
Draw: TypeAlias = Callable[[int], Int64]

INDIA = ZoneInfo("Asia/Kolkata")
_LEAST_BODY, _BODIES = 100_000_000, 900_000_000
_COMPANY_FIRST = re.compile(r"[\W_]*([A-Za-z]{2,12})[\W_]*([0-9].*)", re.DOTALL)


def random_bodies(count: int) -> Int64:
    """From the operating system's chance: knowing one number, or a million, tells nothing of another."""
    drawn = np.frombuffer(os.urandom(8 * count), np.uint64)
    return (drawn % np.uint64(_BODIES)).astype(np.int64) + _LEAST_BODY


def seeded_bodies(seed: int | Sequence[int]) -> Draw:
    """The same numbers for the same seed: for a rehearsal, never for people."""
    chance = np.random.default_rng(seed)
    return lambda count: chance.integers(_LEAST_BODY, _LEAST_BODY + _BODIES, count)


@functools.cache
def _check_table() -> Int64:
    """(10, 1000): which interim digit follows on one when three digits are read. Asked of the library, once."""
    led_to = {damm.checksum(digit): digit for digit in "0123456789"}  # one digit leads to each interim digit
    one = np.array([[damm.checksum(led_to[interim] + digit) for digit in "0123456789"] for interim in range(10)])
    three = np.arange(1000)
    after_two = one[one[np.arange(10)[:, None], three // 100], three // 10 % 10]
    return np.asarray(one[after_two, three % 10], np.int64)


def _check_digit(bodies: Int64) -> Int64:
    table, interim = _check_table(), np.zeros(len(bodies), np.int64)
    for place in (1_000_000, 1_000, 1):
        interim = table[interim, bodies // place % 1_000]
    return interim


def with_check_digit(bodies: Int64) -> Int64:
    """Numbers of ten digits: body and check digit by Damm, which finds a wrong digit and two neighbours swapped."""
    if bodies.size and (bodies.min() < _LEAST_BODY or bodies.max() >= _LEAST_BODY + _BODIES):
        raise ValueError("a number is drawn as nine digits that do not begin with 0")
    return bodies * 10 + _check_digit(bodies)


def in_series(numbers: Int64) -> npt.NDArray[np.bool_]:
    """Whether each may have been issued by us. Numbers that companies brought along have no check digit."""
    bodies, last = numbers // 10, numbers % 10
    ours = (bodies >= _LEAST_BODY) & (bodies < _LEAST_BODY + _BODIES) & (_check_digit(bodies % 10**9) == last)
    return np.asarray(ours, np.bool_)


def company_and_number(typed: str) -> tuple[str, str]:
    """`KESCO 0123456` or `KESCO-0123456` as code and number; the code is empty where none stands in front."""
    found = _COMPANY_FIRST.fullmatch(digits(typed))
    return (found[1].upper(), found[2]) if found else ("", typed)


def mobile_key(text: str) -> str:
    """Ten digits that begin with 6 to 9, or nothing: what a message can be sent to."""
    digits = "".join(character for character in text if character.isdecimal())
    digits = "".join(str(int(character)) for character in digits)
    for prefix in ("0091", "91", "0"):
        if len(digits) == 10 + len(prefix) and digits.startswith(prefix):
            digits = digits.removeprefix(prefix)
    return digits if len(digits) == 10 and digits[0] in "6789" else ""


def name_key(name: str) -> str:
    """A name folded for search: lower case, single blanks."""
    return " ".join(name.casefold().split())


def address_part(address: str) -> str:
    """Of an address what is not the house: `12/5, Gumti No. 5, Kanpur` is `Gumti No. 5, Kanpur`."""
    parts = [part.strip() for part in address.split(",") if part.strip()]
    if len(parts) > 1:
        return ", ".join(parts[1:][-2:])
    words = "".join(parts).split()
    while words and any(character.isdecimal() for character in words[0]):
        del words[0]
    return " ".join(words)


# -- sign-in by a code -------------------------------------------------------------------------------------------------

CODE_SECONDS = 5 * 60
CODE_TRIES = 5
CODE_DIGITS, MORE_DIGITS = 6, 8
QUARTER, DAY = 15 * 60, 24 * 3600
# Of one mobile: an SMS annoys its owner. Of one address: a whole street may share one behind its operator's gateway.
# In total: five thousand failures a day are ten times the ordinary slips of seven lakh consumers; codes then grow
# longer, so that spraying guesses over all mobiles stays hopeless while owners can still sign in.
CODES_PER_MOBILE = ((3, QUARTER), (6, DAY))
CODES_PER_ADDRESS = ((30, QUARTER), (300, DAY))
CODES_IN_TOTAL = ((50_000, DAY),)
CHECKS_PER_ADDRESS = ((100, QUARTER),)
FAILURES_IN_TOTAL = (5_000, DAY)


def proof_of(sign_in: uuid.UUID, key: str) -> str:
    """What shows the database that the code of a sign-in has fitted: nobody makes it without the installation's key."""
    return hmac.digest(key.encode(), b"proof:" + sign_in.bytes, hashlib.sha256).hex()


# -- the stronger sign-in ----------------------------------------------------------------------------------------------

STEP_SECONDS = 30
# Of three codes one of a million fits at a time: at twenty tries a day whoever has the SMS too needs decades.
SECOND_TRIES = ((5, QUARTER), (20, DAY))
RECOVERY_CODES, RECOVERY_LENGTH = 10, 10
RECOVERY_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # without letters that look like digits or each other
_LOOK_ALIKES = str.maketrans({"o": "0", "i": "1", "l": "1", "u": "v"})
# An operator gives a number that was given up to somebody else after 90 days at the earliest.
SILENT_DAYS = 180
TAIL_TRIES = ((5, DAY),)
GRANTS_PER_DAY = ((10, DAY),)
OFFICE_HOLD = dt.timedelta(hours=4)  # from two officers' agreement to the record: so long the old mobile may say no


def recovery_typed(text: str) -> str:
    """A recovery code as somebody reads it off paper, blanks and capitals aside; empty if it cannot be one."""
    plain = "".join(character for character in digits(text).casefold() if character.isalnum()).translate(_LOOK_ALIKES)
    fits = len(plain) == RECOVERY_LENGTH and set(plain) <= set(RECOVERY_ALPHABET)
    return plain if fits else ""


# -- a look-up of the new number ---------------------------------------------------------------------------------------

NUMBERS_PER_ADDRESS = ((30, QUARTER), (300, DAY))
NUMBERS_IN_TOTAL = ((50_000, DAY),)
# Anybody may ask for anybody's number: its owner is not woken for it, and not written to for ever.
SMS_HOURS = (8, 21)  # in India; from the first up to the second
NUMBERS_PER_WINDOW = 3  # of one connection, since its wave's window was last set


def may_text(moment: dt.datetime) -> bool:
    """Whether an SMS that can wait may go out at this instant."""
    return SMS_HOURS[0] <= moment.astimezone(INDIA).hour < SMS_HOURS[1]
