"""What may be taken at a counter, the number that a receipt carries, and the short code that proves it."""

import re
from collections.abc import Mapping

from django.utils.crypto import constant_time_compare, salted_hmac

from khata.ledger.rules import CASH, CONSUMERS, OnHead, settlement

COUNTER = "counter"  # the channel
LONGEST_TYPED = 80
CHECK_LENGTH = 6
# No 0/O, 1/I/L, U: what is read from paper and typed.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_NUMBER = re.compile(r"(?P<counter>[A-Z][A-Z0-9]{1,3})-(?P<serial>[0-9]{6,9})", re.ASCII)


class PaymentRefusedError(Exception):
    """Money, a shift or its end is refused. `code` is for pages, `str()` says what is wrong, `next_step` what to do."""

    code = "refused"
    next_step = ""

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.next_step = next_step or self.next_step


class NoCounterError(PaymentRefusedError):
    code = "no-counter"
    next_step = "Choose a counter of your own company that is in use"


class CounterBusyError(PaymentRefusedError):
    code = "counter-busy"
    next_step = "Let the shift that is open there be closed first, or choose another counter"


class StaffBusyError(PaymentRefusedError):
    code = "staff-busy"
    next_step = "Close your open shift first"


class NoShiftError(PaymentRefusedError):
    code = "no-shift"
    next_step = "Open a shift"


class ShiftClosedError(PaymentRefusedError):
    code = "shift-closed"
    next_step = "Open a new shift"


class ShiftOfAnotherError(PaymentRefusedError):
    code = "shift-of-another"
    next_step = "Open a shift of your own"


class ShiftOfAnotherDayError(PaymentRefusedError):
    code = "shift-of-another-day"
    next_step = "Count the cash and close that shift, then open one for today"


class AmountError(PaymentRefusedError):
    code = "amount"


class OwesLessError(PaymentRefusedError):
    """The connection has ended, and more was offered than it owes: `owed_paise`."""

    code = "owes-less"

    def __init__(self, owed_paise: int) -> None:
        super().__init__("the connection is closed, and this is more than it owes", "Take what it owes, and no more")
        self.owed_paise = owed_paise


class NotThisConnectionError(PaymentRefusedError):
    code = "not-this-connection"
    next_step = "Look the number up again"


class PaymentConflictError(PaymentRefusedError):
    code = "conflict"
    next_step = "Look at the receipts of today before you take money again"


class NoPolicyError(PaymentRefusedError):
    code = "no-policy"
    next_step = "Let the company's limit for cash be set first"


class DifferenceError(PaymentRefusedError):
    code = "reason"
    next_step = "Count again, and write the reason"


def postings(
    *, collector: str, owner: str, heads: Mapping[tuple[str, str], int], connection: int, paise: int
) -> list[OnHead]:
    """Cash in, less owed. Between two companies each book balances alone, and the settlement heads mirror each other.

    `heads` gives head ids by company and code.
    """
    cash = OnHead(heads[collector, CASH], 0, paise)
    owed = OnHead(heads[owner, CONSUMERS], connection, -paise)
    if collector == owner:
        return [cash, owed]
    return [
        cash,
        OnHead(heads[collector, settlement(owner)], 0, -paise),
        OnHead(heads[owner, settlement(collector)], 0, paise),
        owed,
    ]


def refuse_amount(*, paise: int, most_paise: int) -> None:
    """Raises AmountError unless the amount is above 0 and within the limit of a receipt."""
    if type(paise) is not int:  # True is one too
        raise AmountError("the amount is not a whole number of paise", "Give rupees and paise")
    if paise <= 0:
        raise AmountError("the amount is not above 0", "Type the amount that you were given")
    if paise > most_paise:
        raise AmountError("the amount is above the limit for cash on one receipt", "Take it by cheque or online")


def refuse_typed(typed: str) -> None:
    """Raises NotThisConnectionError for what nobody can have typed and no receipt can print."""
    if not typed.strip() or len(typed) > LONGEST_TYPED or not typed.isprintable():
        raise NotThisConnectionError("the identifier as it was typed is empty, too long or not printable")


def receipt_number(*, counter: str, serial: int) -> str:
    """`K07-000123`."""
    return f"{counter}-{serial:06d}"


def number_parts(number: str) -> tuple[str, int] | None:
    """Counter and serial of a receipt's number as typed; None if it cannot be one."""
    match = _NUMBER.fullmatch(number.strip().upper())
    if match is None or receipt_number(counter=match["counter"], serial=int(match["serial"])) != match[0]:
        return None
    return match["counter"], int(match["serial"])


def check_code(*, number: str) -> str:
    """Six characters that only this installation can make for a receipt's number: printed on it, readable and as QR."""
    value = int.from_bytes(salted_hmac("khata.payments.receipt", number, algorithm="sha256").digest()[:8], "big")
    code = ""
    for _ in range(CHECK_LENGTH):
        value, place = divmod(value, len(_ALPHABET))
        code += _ALPHABET[place]
    return code


def check_code_fits(*, number: str, typed: str) -> bool:
    """In the same time whether it fits or not."""
    return constant_time_compare(check_code(number=number), typed.strip().upper())
