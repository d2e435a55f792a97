"""Account numbers: how they are issued, and how what people type is understood."""

import numpy as np
import numpy.typing as npt

# Damm's quasigroup: one wrong digit, or two neighbours exchanged, never gives the same check digit.
_DAMM = np.array(
    [
        [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
        [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
        [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
        [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
        [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
        [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
        [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
        [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
        [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
        [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
    ]
)
_BODIES = 899_999_963  # a prime below the 9 x 10⁸ bodies of nine digits that do not begin with 0
_SPREAD = 362_880_013  # neighbours get far-apart numbers, so that a number tells nothing of the next one


def account_numbers(serials: npt.NDArray[np.int64]) -> npt.NDArray[np.bytes_]:
    """The numbers of the series for serials 1, 2, 3 …: nine digits and a check digit, never beginning with 0."""
    if serials.size and (serials.min() < 1 or serials.max() >= _BODIES):
        raise ValueError(f"the number series has serials 1 to {_BODIES - 1}")
    bodies = 100_000_000 + serials * _SPREAD % _BODIES
    digits = np.array([bodies // 10**place % 10 for place in range(8, -1, -1)])
    check = np.zeros(len(serials), np.int64)
    for column in digits:
        check = _DAMM[check, column]
    return (bodies * 10 + check).astype("S10")


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
