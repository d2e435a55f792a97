"""The columns of the five hand-over files: which of them the move uses, and how each is read.

Digits are 0-9, as in every bulk file. A reader takes a text that is not blank and has no blanks around it, and raises
ValueError where the text cannot be read.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

LARGEST = 10**15  # paise or Wh: the sum over a State's accounts stays inside 64 bits
LARGEST_INT32 = 2**31 - 1
LONGEST_WHOLE = 15
PIVOT = 50  # `07-JUN-50` is 1950, `07-JUN-49` is 2049

_AS_PRINTED = {
    "master": "ACCT_ID,MOBILE_NO,NAME,ADDRESS,CATEGORY,LOAD,LAT,LON,SUBSTATION,FEEDER,LP DATE,LP AMT,TOTAL OUTSTANDING",
    "billed": (
        "ACCT_ID,BOOK_NO,SCNO,NAME,ADDRESS,MOBILE_NO,TARIFF_TYPE,SANCTION_LOAD,SANCTION_LOAD_UOM,SUBSTATION,FEEDER,DT,"
        "POLE_NO,METER_SERIAL_NBR,METER_READ_REMARK,MR_SOURCE_CD,BILL_BASIS,DUE_DATE,LAST_PAY_DATE,LAST_PAYMENT_AMOUNT,"
        "AMOUNT_PAYABLE,BILL_TYP,BILL_DATE,BILL_CRE_DTTM,BILLED_UNITS,BILL_ID,CA,BILL_INF_FLG,AGENT_ID,AGENT_MOB_NO,"
        "DISCOM,ZONE_CODE,ZONE_NAME,CIRCLE_CODE,CIRCLE_NAME,DIV_CODE,DIV_NAME,SDO_CODE,SDO_NAME,SUPPLY_TYPE,"
        "PAYMENT_MODE,BANK_NAME,CHQ_NUMBER,LATITUDE,LONGITUDE,EXECPTION_CODE,EXCEPTION_DESCRIPTION,REFERENCE_ID,"
        "PREV_RDG_KWH,PREV_RDG_KVAH,PREV_RDG_DATE,CUR_RDG_KWH,CUR_RDG_KVAH,CUR_RDG_DATE,MTR_READER_AGENCY_NAME,"
        "MTR_NO_RECORDED,MTR_MAKE_RECORDED,MANUL_BILL_EXCEP,MR_READ_REMARK,MR_READING,MF,MDI,PRESYS_CODE"
    ),
    "meters": "ACCT_ID,SERIAL_NBR",
    "heads": "ACCT_ID,PRINCIPAL,LPSC,DEPOSIT,PREPAID_BALANCE,MODE,SUPPLY_TYPE",
    "control": "DIV_CODE,DIV_NAME,ACCOUNTS,PRINCIPAL,LPSC,DEPOSIT,PREPAID_BALANCE,TOTAL_OUTSTANDING,BILLED_UNITS",
}
HEADERS = {kind: tuple(names.split(",")) for kind, names in _AS_PRINTED.items()}

_NUMBER = re.compile(r"(-?)(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?", re.ASCII)
_CATEGORY = re.compile(r"([A-Z]+)[- ]?([0-9]+)", re.ASCII)
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ENGLISH_DAY = re.compile(r"([0-9]{2})-([A-Z]{3})-([0-9]{2})", re.ASCII)
_MONTHS = ("", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TENS = (1, 10, 100, 1000)

Read = Callable[[str], object]


def number(places: int, *, least: int = -LARGEST, most: int = LARGEST) -> Callable[[str], int]:
    """A reader of exact decimals: with two places `-.47` is -47. Zeros beyond the places may stand, separators not."""

    def read(text: str) -> int:
        whole, _, part = text.partition(".")
        plain = whole + part
        if len(part) <= places and len(plain) <= LONGEST_WHOLE and plain.isdecimal() and plain.isascii():
            value = int(plain) * _TENS[places - len(part)]
        else:
            value = _scaled(text, places)
        if not least <= value <= most:
            raise ValueError("out of its range")
        return value

    return read


def _scaled(text: str, places: int) -> int:
    match = _NUMBER.fullmatch(text)
    if not match:
        raise ValueError("not a number")
    sign, whole, part = match.groups("")
    whole, part = whole.lstrip("0"), part.rstrip("0")
    if len(part) > places or len(whole) > LONGEST_WHOLE:
        raise ValueError("more digits than it can have")
    value = int(whole + part.ljust(places, "0") or "0")
    return -value if sign else value


@lru_cache(maxsize=4096)
def day(text: str) -> dt.date:
    """`07-JUN-26` or `2026-06-07`."""
    if match := _ENGLISH_DAY.fullmatch(text.upper()):
        year = int(match[3])
        return dt.date(year + (1900 if year >= PIVOT else 2000), _MONTHS.index(match[2]), int(match[1]))
    if _ISO_DAY.fullmatch(text):
        return dt.date.fromisoformat(text)
    raise ValueError("not a date")


@lru_cache(maxsize=256)
def category(text: str) -> str:
    """`lmv1` is `LMV-1`; a text of another shape stays as it is, for the rules to judge."""
    plain = text.upper()
    match = _CATEGORY.fullmatch(plain)
    return f"{match[1]}-{match[2]}" if match else plain


rupees = number(2)
_rupees_from_0 = number(2, least=0)
_kilo = number(3)
_register = number(3, least=0)
_load = lru_cache(maxsize=4096)(number(3, least=0, most=LARGEST_INT32))
_factor = lru_cache(maxsize=256)(number(0, least=1, most=LARGEST_INT32))
_count = number(0, least=0, most=LARGEST_INT32)


def _load_unit(text: str) -> str:
    return _one_of(text.upper(), "KW", "KVA", "BHP")


def _mode(text: str) -> str:
    return _one_of(text.lower(), "postpaid", "prepaid")


def _one_of(text: str, *allowed: str) -> str:
    if text not in allowed:
        raise ValueError("none of those it may be")
    return text


def _smart(text: str) -> bool:
    return text.upper() == "SM"


def _like(pattern: str) -> Read:
    compiled = re.compile(pattern, re.ASCII)

    def fits(text: str) -> None:
        if not compiled.fullmatch(text):
            raise ValueError("of another shape")

    return fits


_category_like = _like(r"[A-Za-z]{1,6}[- ]?[0-9]{0,3}")
_mobile_like = _like(r"[-+0-9 ]{0,20}")
_degrees = _like(r"-?[0-9]{0,3}(\.[0-9]{0,20})?")


@dataclass(frozen=True)
class Column:
    """A column that counts.

    to        what its value is called (a column of the staged row); '' where only its shape is looked at
    read      None: it is text, taken without the blanks around it
    required  a blank is a flaw; else a blank means `blank`
    fits      raises ValueError for a text that can stand only in another column; None: what `read` refuses
    """

    name: str
    to: str = ""
    read: Read | None = None
    required: bool = False
    blank: object = ""
    fits: Read | None = None


def _shapes(fits: Read, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, fits=fits) for name in names)


USED = {
    "master": (
        Column("MOBILE_NO", "mobile", fits=_mobile_like),
        Column("NAME", "name", required=True),
        Column("ADDRESS", "address"),
        Column("CATEGORY", "category", category, required=True, fits=_category_like),
        Column("LOAD", "load_w", _load, required=True),
        Column("SUBSTATION", "substation"),
        Column("FEEDER", "feeder"),
        Column("TOTAL OUTSTANDING", "outstanding_paise", rupees, blank=0),
        *_shapes(_degrees, "LAT", "LON"),
        *_shapes(day, "LP DATE"),
        *_shapes(rupees, "LP AMT"),
    ),
    "billed": (
        Column("BOOK_NO", "book"),
        Column("NAME", "name"),
        Column("TARIFF_TYPE", "category", category, required=True, fits=_category_like),
        Column("SANCTION_LOAD", "load_w", _load, required=True),
        Column("SANCTION_LOAD_UOM", "load_unit", _load_unit, required=True),
        Column("SUBSTATION", "substation"),
        Column("FEEDER", "feeder"),
        Column("METER_SERIAL_NBR", "meter", required=True),
        Column("MR_SOURCE_CD", "smart", _smart, blank=False),
        Column("BILL_BASIS", "bill_basis", str.upper),
        Column("AMOUNT_PAYABLE", "payable_paise", rupees, blank=0),
        Column("BILL_DATE", "bill_day", day, required=True),
        Column("BILLED_UNITS", "billed_wh", _kilo, blank=0),
        Column("BILL_ID", "bill_number"),
        Column("CA", "assessed_paise", rupees, blank=0),
        Column("DIV_CODE", "division_code"),
        Column("PREV_RDG_KWH", "previous_wh", _register, required=True),
        Column("PREV_RDG_DATE", "previous_day", day, required=True),
        Column("CUR_RDG_KWH", "present_wh", _register, required=True),
        Column("CUR_RDG_DATE", "present_day", day, required=True),
        Column("MF", "factor", _factor, blank=1),
        Column("MDI", "demand_w", _load, blank=None),
        *_shapes(_mobile_like, "MOBILE_NO", "AGENT_MOB_NO"),
        *_shapes(day, "DUE_DATE", "LAST_PAY_DATE"),
        *_shapes(rupees, "LAST_PAYMENT_AMOUNT"),
        *_shapes(_kilo, "PREV_RDG_KVAH", "CUR_RDG_KVAH"),
        *_shapes(_degrees, "LATITUDE", "LONGITUDE"),
    ),
    "meters": (Column("SERIAL_NBR", "meter", required=True),),
    "heads": (
        Column("PRINCIPAL", "principal_paise", rupees, blank=0),
        Column("LPSC", "lpsc_paise", rupees, blank=0),
        Column("DEPOSIT", "deposit_paise", _rupees_from_0, blank=0),
        Column("PREPAID_BALANCE", "prepaid_paise", rupees, blank=0),
        Column("MODE", "mode", _mode, required=True),
        Column("SUPPLY_TYPE", "supply_type", str.upper, required=True),
    ),
    "control": (
        Column("DIV_CODE", "division_code", required=True),
        Column("DIV_NAME", "division_name", required=True),
        Column("ACCOUNTS", "accounts", _count, required=True),
        Column("PRINCIPAL", "principal_paise", rupees, blank=0),
        Column("LPSC", "lpsc_paise", rupees, blank=0),
        Column("DEPOSIT", "deposit_paise", rupees, blank=0),
        Column("PREPAID_BALANCE", "prepaid_paise", rupees, blank=0),
        Column("TOTAL_OUTSTANDING", "outstanding_paise", rupees, blank=0),
        Column("BILLED_UNITS", "billed_wh", _kilo, blank=0),
    ),
}
DATES = {"master": ("LP DATE",), "billed": ("BILL_DATE", "PREV_RDG_DATE", "CUR_RDG_DATE")}
AMOUNTS = {
    "master": ("LP AMT", "TOTAL OUTSTANDING"),
    "billed": ("CA", "AMOUNT_PAYABLE"),
    "heads": ("PRINCIPAL", "LPSC", "DEPOSIT", "PREPAID_BALANCE"),
    "control": ("PRINCIPAL", "LPSC", "DEPOSIT", "PREPAID_BALANCE", "TOTAL_OUTSTANDING"),
}
