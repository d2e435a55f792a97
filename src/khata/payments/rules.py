"""What may be taken at a counter, the number that a receipt carries, and the short code that proves it."""

import re
import unicodedata
from collections.abc import Mapping

from django.conf import settings
from django.utils.crypto import constant_time_compare

from khata.formats.text import digits
from khata.ledger.rules import CASH, CONSUMERS, SUSPENSE, OnHead, settlement
from khata.notices.rules import check_code_typed, short_code

COUNTER = "counter"  # the channel
LONGEST_TYPED = 80

# Why money is in suspense: it was taken, and no connection has it yet.
OLD_NUMBER_ENDED = "old-number-ended"
UNKNOWN_NUMBER = "unknown-number"
SEVERAL_COMPANIES = "several-companies"
NOT_HERE_ANY_MORE = "not-here-any-more"
HELD_FOR = (OLD_NUMBER_ENDED, UNKNOWN_NUMBER, SEVERAL_COMPANIES, NOT_HERE_ANY_MORE)
SHORTEST_REASON, LONGEST_REASON = 5, 300  # of clearing
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{1,19}", re.ASCII)
_COUNTER = re.compile(r"[A-Z][A-Z0-9]{1,3}", re.ASCII)
# As it is typed: with another dash or a blank between the two, without zeros in front, or without anything between.
_NUMBER = re.compile(r"(?P<counter>[A-Z][A-Z0-9]{1,3})(?:-(?P<serial>[0-9]{1,9})|(?P<whole>[0-9]{6}))", re.ASCII)


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


class DayLimitError(PaymentRefusedError):
    """With what was taken for the connection today the amount is above the day's limit: `left_paise` may be taken."""

    code = "day-limit"

    def __init__(self, left_paise: int) -> None:
        said = "with the cash taken for this connection today, this is above the limit of a day"
        super().__init__(said, "Take the rest by cheque or online")
        self.left_paise = left_paise


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


class ChannelError(PaymentRefusedError):
    code = "channel"
    next_step = "Mend what was sent, and send it again under the same reference"


class NotInSuspenseError(PaymentRefusedError):
    code = "not-in-suspense"
    next_step = "Look at the receipt"


class TookItYourselfError(PaymentRefusedError):
    code = "took-it-yourself"
    next_step = "Let a second officer put it on the account"


class ClearReasonError(PaymentRefusedError):
    code = "clear-reason"
    next_step = "Write in a sentence how you know whose money it is"


class DifferenceError(PaymentRefusedError):
    code = "reason"
    next_step = "Count again, and write the reason"


class NotYourShiftError(PaymentRefusedError):
    code = "reason-of-another"
    next_step = "Write why you close it"


class CounterTakenError(PaymentRefusedError):
    code = "counter-taken"
    next_step = "Choose another code: receipts carry it, so no two counters share one"


class CounterCodeError(PaymentRefusedError):
    code = "counter-code"
    next_step = "Write a letter and one to three more letters or digits, like K07"


class PolicySetError(PaymentRefusedError):
    code = "policy-set"
    next_step = "Let the new limit begin on another day"


def postings(
    *, collector: str, owner: str, heads: Mapping[tuple[str, str], int], connection: int, paise: int, out_of: str = CASH
) -> list[OnHead]:
    """Cash in, or out of suspense; less owed. Between two companies each book balances alone, and the settlement heads
    mirror each other. `heads` gives head ids by company and code; `out_of` is cash or suspense.
    """
    had = OnHead(heads[collector, out_of], 0, paise)
    owed = OnHead(heads[owner, CONSUMERS], connection, -paise)
    if collector == owner:
        return [had, owed]
    return [
        had,
        OnHead(heads[collector, settlement(owner)], 0, -paise),
        OnHead(heads[owner, settlement(collector)], 0, paise),
        owed,
    ]


def postings_held(*, collector: str, heads: Mapping[tuple[str, str], int], paise: int) -> list[OnHead]:
    """Cash in, and as much owed to whoever it turns out to be for."""
    return [OnHead(heads[collector, CASH], 0, paise), OnHead(heads[collector, SUSPENSE], 0, -paise)]


def refuse_sent(*, channel: str, reference: str, paise: int) -> None:
    """Raises ChannelError for what no channel can have sent."""
    if not _CHANNEL.fullmatch(channel) or channel == COUNTER:
        raise ChannelError("the channel has no usable name", "Name it in small letters, like upi or bbps")
    if not reference.strip() or len(reference) > LONGEST_TYPED or not reference.isprintable():
        raise ChannelError("the reference is empty, too long or not printable")
    if type(paise) is not int or not 0 < paise < 2**63:
        raise ChannelError("the amount is not a whole number of paise above 0")


def as_sent(typed: str) -> str:
    """An identifier that a channel sent, as it is kept: cut to what a receipt prints, unprintable signs as U+FFFD."""
    return "".join(c if c.isprintable() else "\ufffd" for c in typed)[:LONGEST_TYPED]


def refuse_amount(*, paise: int, most_paise: int) -> None:
    """Raises AmountError unless the amount is above 0 and within the limit of a day."""
    if type(paise) is not int:  # True is one too
        raise AmountError("the amount is not a whole number of paise", "Give rupees and paise")
    if paise <= 0:
        raise AmountError("the amount is not above 0", "Type the amount that you were given")
    if paise > most_paise:
        raise AmountError("the amount is above the limit for cash on one day", "Take it by cheque or online")


def refuse_day(*, paise: int, taken_paise: int, most_paise: int) -> None:
    """Raises DayLimitError where an amount and what was taken on the day before it are above the day's limit."""
    if taken_paise + paise > most_paise:
        raise DayLimitError(max(0, most_paise - taken_paise))


def refuse_code(code: str) -> None:
    """Raises CounterCodeError for what cannot stand on a receipt."""
    if not _COUNTER.fullmatch(code):
        raise CounterCodeError("this cannot be the code of a counter")


def refuse_typed(typed: str) -> None:
    """Raises NotThisConnectionError for what nobody can have typed and no receipt can print."""
    if not typed.strip() or len(typed) > LONGEST_TYPED or not typed.isprintable():
        raise NotThisConnectionError("the identifier as it was typed is empty, too long or not printable")


def receipt_number(*, counter: str, serial: int) -> str:
    """`K07-000123`."""
    return f"{counter}-{serial:06d}"


def number_parts(number: str) -> tuple[str, int] | None:
    """Counter and serial of a receipt's number as typed; None if it cannot be one.

    Digits of any script, small letters, blanks, any dash, and zeros left out in front of the serial are understood.
    """
    plain = "".join("-" if unicodedata.category(c) == "Pd" else c for c in digits(number).upper())
    words = plain.replace("-", " ").split()
    # What stands before the first blank or dash is the counter; blanks within the serial mean nothing.
    match = _NUMBER.fullmatch("-".join([words[0], "".join(words[1:])]) if len(words) > 1 else plain.strip())
    return (match["counter"], int(match["serial"] or match["whole"])) if match else None


def check_code(*, number: str) -> str:
    """Six signs that only this installation can make for a receipt's number: printed on it, readable and as QR."""
    return short_code(b"receipt", number, settings.SECRET_KEY.encode())


def check_code_fits(*, number: str, typed: str) -> bool:
    """However it was read: small letters, blanks, look-alikes. In the same time whether it fits or not."""
    return constant_time_compare(check_code(number=number), check_code_typed(typed) or "")
