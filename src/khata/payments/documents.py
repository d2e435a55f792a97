"""A receipt on paper. Whoever took the money brings everything that stands on it."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from khata.display.account import parted
from khata.display.dates import day
from khata.display.labels import Language
from khata.display.money import rupees
from khata.display.paper import OTHER, RECEIPT, CompanyPaper, words
from khata.display.typeset import pdf
from khata.display.upi import qr_svg
from khata.display.words import rupees_in_words

TEMPLATE = Path(__file__).with_name("receipt.typ")
_INDIA = ZoneInfo("Asia/Kolkata")


@dataclass(frozen=True)
class ReceiptPaper:
    """What stands on a receipt. A balance above 0 is still owed, below 0 a credit.

    `held`: the money was taken into suspense. Then there is no name and no balance, `account_number` is the number that
    was given, and a word says that the money is safe. Printed again later it is still the same paper. Without a name it
    is too where the connection went back to the old system since.
    """

    language: Language
    company: CompanyPaper
    counter: str
    serial: int  # of the counter, without gaps
    receipt_number: str
    at: dt.datetime  # aware
    masked_name: str
    account_number: str
    typed: str  # the identifier as it was typed
    amount_paise: int
    mode: str  # a word of RECEIPT: cash
    balance_paise: int
    cashier: str  # staff id, not the name
    verify: str  # what the QR code holds, and what can be typed instead
    held: bool = False


def receipt_pdf(*, data: ReceiptPaper) -> bytes:
    """One page of A5, tagged; the same data always gives the same bytes."""
    moment = data.at.astimezone(_INDIA)
    return pdf(template=TEMPLATE, data=_data(data, moment), made=moment.date())


def _data(data: ReceiptPaper, moment: dt.datetime) -> dict[str, object]:
    language, company = data.language, data.company
    contact = (company.address(language), company.phone, company.email)
    return {
        "lang": language,
        "other": OTHER[language],
        "w": words(RECEIPT, language),
        "colour": company.key_colour,
        "company": [company.name(language), company.name(OTHER[language])],
        "contact": " · ".join(part for part in contact if part),
        "amount": rupees(data.amount_paise),
        "words": rupees_in_words(data.amount_paise, language),
        "stub": "given" if data.held else "number",
        "account": parted(data.account_number),
        "safe": RECEIPT["safe_how"].in_(language).format(phone=company.phone) if data.held else "",
        "number": data.receipt_number,
        "facts": [
            ["at", f"{day(moment.date(), language)}, {moment:%H:%M}"],
            ["receipt_number", data.receipt_number],
            ["counter", data.counter],
            ["serial", str(data.serial)],
            *([["name", data.masked_name]] if data.masked_name and not data.held else []),
            ["typed", data.typed],
            ["mode", RECEIPT[data.mode].in_(language)],
            *([] if data.held else [_balance(data)]),
            ["cashier", data.cashier],
        ],
        "verify": data.verify,
        "qr": qr_svg(data.verify),
        "keep": RECEIPT["keep"].in_(language).format(phone=company.phone),
    }


def _balance(data: ReceiptPaper) -> list[str]:
    return ["credit" if data.balance_paise < 0 else "balance", rupees(abs(data.balance_paise))]
