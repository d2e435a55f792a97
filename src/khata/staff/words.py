"""What the desk says when money, a shift or a decision is refused: what is wrong and the next step, in the language of
the page. The rooms below say it in English, with a code or a next step that is the same every time."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from khata.display.money import rupees
from khata.formats.text import FormatError, digits, rupees_typed
from khata.payments.rules import (
    NOT_HERE_ANY_MORE,
    OLD_NUMBER_ENDED,
    SEVERAL_COMPANIES,
    UNKNOWN_NUMBER,
    DayLimitError,
    PaymentRefusedError,
)

# By the next step of the error, which holds nothing that was typed.
_AMOUNT = {
    "Type rupees and paise, like 1250.50": gettext_lazy("This is not an amount. Type rupees and paise, like 1250.50."),
    "Give two digits after the point at most": gettext_lazy(
        "Paise have two digits. Type at most two digits after the point."
    ),
    "Check the decimal point": gettext_lazy("This amount is too large. Check the point."),
    "Type the amount that was given": gettext_lazy("The amount is 0. Type the amount that you were given."),
    "Type it without the minus": gettext_lazy("An amount cannot be below 0. Type it without the minus."),
    "Type it without them": gettext_lazy("The commas are in the wrong places. Type the amount without them."),
}
_ABOVE_LIMIT = "Take it by cheque or online"
_REFUSED = {
    "no-counter": gettext_lazy("This counter is not in use. Choose another one of your office."),
    "counter-busy": gettext_lazy(
        "Somebody's shift is still open at this counter. Let it be closed, or choose another."
    ),
    "staff-busy": gettext_lazy("You have an open shift already. Close it before you open another."),
    "no-shift": gettext_lazy("You have no open shift. Open a shift, then take the money."),
    "shift-closed": gettext_lazy("This shift is closed. Open a new shift, then take the money."),
    "shift-of-another": gettext_lazy("This shift is another person's. Open a shift of your own."),
    "shift-of-another-day": gettext_lazy(
        "Your shift is of an earlier day. Count the cash and close it, then open one for today."
    ),
    "not-this-connection": gettext_lazy(
        "This number does not lead to this connection any more. Look the number up again."
    ),
    "conflict": gettext_lazy(
        "This payment was taken already, with another amount. Look at its receipt before you take money again."
    ),
    "no-policy": gettext_lazy("Your company has set no limit for cash yet. Ask your office to have it set."),
    "not-in-suspense": gettext_lazy("This money is not on hold any more. Look at the receipt."),
    "took-it-yourself": gettext_lazy("You took this money yourself. Another person must put it on the account."),
    "clear-reason": gettext_lazy("Write in a sentence how you know that it is this account."),
    "reason": gettext_lazy("The cash does not agree. Count again; if it stays so, write the reason."),
    "reason-of-another": gettext_lazy("This is another person's shift. Write why you close it."),
}
_HELD = {
    OLD_NUMBER_ENDED: gettext_lazy("The old number was not valid any more"),
    UNKNOWN_NUMBER: gettext_lazy("No connection has this number"),
    SEVERAL_COMPANIES: gettext_lazy("Several connections have this number"),
    NOT_HERE_ANY_MORE: gettext_lazy("The connection went back to the company's own system"),
}
CLOSES_SHIFT = ("shift-of-another-day",)
OPENS_SHIFT = ("no-shift", "shift-closed", "shift-of-another")
AT_AMOUNT = ("amount", "owes-less", "day-limit")


def refused(error: PaymentRefusedError) -> str:
    if error.code == "owes-less":
        return _("The supply is disconnected for good and less than this is due. Take the amount that is due, no more.")
    if isinstance(error, DayLimitError):
        words = {"amount": rupees(error.left_paise)}
        return (
            _("Only %(amount)s more may be taken in cash for this connection today. Take the rest by cheque or online.")
            % words
        )
    if error.code == "amount":
        if error.next_step == _ABOVE_LIMIT:
            return _("This is above the limit for cash on one day. Take it by cheque or online.")
        return _("This is not an amount that can be taken. Type the amount that you were given.")
    return str(_REFUSED.get(error.code) or _("This was not done. Open the page again and look before you repeat it."))


def held_because(held_for: str) -> str:
    return str(_HELD.get(held_for, ""))


def not_an_amount(error: FormatError) -> str:
    return str(_AMOUNT.get(error.next_step) or _AMOUNT["Type rupees and paise, like 1250.50"])


def cash_typed(text: str) -> int:
    """Cash that was counted, in paise: as an amount is typed, but a drawer may also be empty. Raises FormatError."""
    plain = digits(text).strip().removeprefix("₹").strip()
    if plain.strip("0.") == "" and "0" in plain and plain.count(".") < 2:
        return 0
    return rupees_typed(text)
