"""What people type and files bring: digits, account numbers, exact decimals, dates. Strict, never through a float."""

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass, replace

INT64_MAX = 2**63 - 1
SHOWN = 24
LONGEST_AMOUNT = 40
MOST_RUPEE_DIGITS = 12
DROPPED_FROM_ACCOUNT_NUMBERS = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp", "Pd"})

_DECIMAL = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?", re.ASCII)
_RUPEES = re.compile(r"(?P<whole>[0-9]*|[0-9]{1,2}([, ][0-9]{2})*[, ][0-9]{3})(?:\.(?P<part>[0-9]*))?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(eq=False)
class FormatError(ValueError):
    """Outside bytes that cannot be read: what is wrong, where, and what to do next. One sentence each, no full stop.

    `line` counts from 1 as an editor does (of a Parquet file: the row). `more` holds further errors of the same file,
    when a reader went on looking.
    """

    what: str
    where: str = ""
    next_step: str = ""
    line: int | None = None
    column: str | None = None
    more: tuple["FormatError", ...] = ()

    def __post_init__(self) -> None:
        super().__init__(self.what)

    def at(self, *, line: int | None, column: str | None = None) -> "FormatError":
        """The same error, told where it stands."""
        return replace(self, line=line, column=column if column is not None else self.column)

    @property
    def place(self) -> str:
        line = f"line {self.line}" if self.line is not None else ""
        column = f"column {self.column}" if self.column else ""
        return ", ".join(part for part in (self.where, line, column) if part)

    def __str__(self) -> str:
        text = f"{self.place}: {self.what}." if self.place else f"{self.what}."
        if self.next_step:
            text += f" {self.next_step}."
        if self.more:
            text += f" ({len(self.more)} more like this.)"
        return text


def shown(text: str) -> str:
    """A value as an error may print it: short, on one line, in quotes."""
    flat = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"“{flat[:SHOWN]}…”" if len(flat) > SHOWN else f"“{flat}”"


def plain_name(name: str) -> str:
    """A file's name from outside as it may be kept and shown: without a folder, controls, or what turns text round."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())


def digits(text: str) -> str:
    """Devanagari and every other script's decimal digits as ASCII digits; all else stays as it is."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def account_number_text(text: str) -> str:
    """An account number as typed, made comparable: no blanks (no-break, zero-width), no hyphens, ASCII digits.

    It stays text: one number in ten begins with 0. Nothing but blanks gives the empty text.
    """
    return "".join(c for c in digits(text) if unicodedata.category(c) not in DROPPED_FROM_ACCOUNT_NUMBERS)


def decimal_scaled(text: str, places: int, *, what: str) -> int:
    """`'1.27'` with three places is 1270: exact, or a FormatError that says why not.

    Accepted: a minus sign in front, nothing before the point (`.34`), nothing after it (`1.`), zeros beyond the places,
    digits of any script (१.२७), blanks around. `what` names the quantity in the error: "energy".
    """
    plain = digits(text.strip())
    match = _DECIMAL.fullmatch(plain)
    if not match or not (match["whole"] or match["part"]):
        raise _not_a_decimal(plain, what)
    part = (match["part"] or "").rstrip("0")
    if len(part) > places:
        wrong = f"{what} {shown(plain)} has more than {places} decimal places"
        raise FormatError(wrong, next_step=f"Give it to {places} places")
    scaled = match["whole"].lstrip("0") + part.ljust(places, "0")
    value = int(scaled[:20] or "0")  # never a long number's whole text: that costs the square of its length
    if len(scaled) > 19 or value > INT64_MAX:
        raise FormatError(f"{what} {shown(plain)} is too large", next_step="Check the unit and the decimal point")
    return -value if match["sign"] else value


def rupees_typed(text: str) -> int:
    """An amount of money as a person types it, in paise: `₹ 1,23,456.50`, `१२३४५६.५`, `500`. Above 0, exact.

    Groups as in India: the last three digits, then pairs, by commas or blanks; or no groups at all. `1,50` is refused:
    it may be one rupee fifty or one hundred and fifty.
    """
    plain = " ".join(digits(text[: LONGEST_AMOUNT + 1]).split()).removeprefix("₹").lstrip()
    if len(text) > LONGEST_AMOUNT:
        raise FormatError("the amount is too long to be one", next_step="Type rupees and paise, like 1250.50")
    if not plain:
        raise FormatError("the amount is empty", next_step="Type rupees and paise, like 1250.50")
    match = _RUPEES.fullmatch(plain)
    if not match or not (match["whole"] or match["part"]):
        raise _not_rupees(plain)
    if len(match["part"] or "") > 2:
        wrong = f"the amount {shown(plain)} has a fraction of a paisa"
        raise FormatError(wrong, next_step="Give two digits after the point at most")
    whole = re.sub("[, ]", "", match["whole"]).lstrip("0")
    if len(whole) > MOST_RUPEE_DIGITS:
        raise FormatError(f"the amount {shown(plain)} is too large", next_step="Check the decimal point")
    paise = int(whole + (match["part"] or "").ljust(2, "0"))
    if paise == 0:
        raise FormatError("the amount is 0", next_step="Type the amount that was given")
    return paise


def _not_rupees(plain: str) -> FormatError:
    if re.match(r"(₹ ?)?[-−–]", plain):
        return FormatError(f"the amount {shown(plain)} is below 0", next_step="Type it without the minus")
    if re.fullmatch(r"[0-9, ]+(\.[0-9]*)?", plain):
        wrong = f"the amount {shown(plain)} has its commas or blanks in other places than 1,23,456.50"
        return FormatError(wrong, next_step="Type it without them")
    return FormatError(f"the amount {shown(plain)} is not a number", next_step="Type rupees and paise, like 1250.50")


def _not_a_decimal(plain: str, what: str) -> FormatError:
    if not plain:
        return FormatError(f"{what} is empty", next_step="Give a number, 0 if it is none")
    if re.fullmatch(r"-?[0-9]+(,[0-9]+)+(\.[0-9]*)?", plain):
        return FormatError(f"{what} {shown(plain)} has thousands separators", next_step="Write it without commas")
    if re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", plain):
        return FormatError(f"{what} {shown(plain)} is written with an exponent", next_step="Write out all its digits")
    return FormatError(f"{what} {shown(plain)} is not a number", next_step="Write it like 1234.5")


def iso_date(text: str, *, what: str = "date") -> dt.date:
    """`2024-05-31` and nothing else (blanks around and digits of any script are accepted)."""
    plain = digits(text.strip())
    if not _DAY.fullmatch(plain):
        wrong = f"{what} {shown(plain)} is not a date" if plain else f"{what} is empty"
        raise FormatError(wrong, next_step="Write it as year-month-day, like 2024-05-31")
    try:
        return dt.date.fromisoformat(plain)
    except ValueError:
        wrong = f"{what} {shown(plain)} is not in the calendar"
        raise FormatError(wrong, next_step="Check the day and the month") from None
