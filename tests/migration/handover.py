"""A tiny hand-over of an old billing system: a dozen accounts in two divisions, without a flaw until a test plants one.

Its day is 10 March 2024, its last bills are those of February, the cut-over planned for 14 March. `write_small` writes
the files; `load_small` builds the companies and takes the files in as wave W1.
"""

import csv
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from khata.discoms.models import Discom, Staff
from khata.discoms.queries import discom_named, division_named
from khata.migration.intake import load
from khata.migration.models import Wave
from tests.cast import GUMTI, JAJMAU, KESCO, post_staff

TODAY = dt.date(2024, 3, 10)
NOW = dt.datetime(2024, 3, 10, 6, 30, tzinfo=dt.UTC)
DIVISIONS = {GUMTI: "DIV233511", JAJMAU: "DIV233512"}

_MASTER = """ACCT_ID,MOBILE_NO,NAME,ADDRESS,CATEGORY,LOAD,LAT,LON,SUBSTATION,FEEDER,LP DATE,LP AMT,
TOTAL OUTSTANDING"""
_BILLED = """ACCT_ID BOOK_NO SCNO NAME ADDRESS MOBILE_NO TARIFF_TYPE SANCTION_LOAD SANCTION_LOAD_UOM SUBSTATION FEEDER
DT POLE_NO METER_SERIAL_NBR METER_READ_REMARK MR_SOURCE_CD BILL_BASIS DUE_DATE LAST_PAY_DATE LAST_PAYMENT_AMOUNT
AMOUNT_PAYABLE BILL_TYP BILL_DATE BILL_CRE_DTTM BILLED_UNITS BILL_ID CA BILL_INF_FLG AGENT_ID AGENT_MOB_NO DISCOM
ZONE_CODE ZONE_NAME CIRCLE_CODE CIRCLE_NAME DIV_CODE DIV_NAME SDO_CODE SDO_NAME SUPPLY_TYPE PAYMENT_MODE BANK_NAME
CHQ_NUMBER LATITUDE LONGITUDE EXECPTION_CODE EXCEPTION_DESCRIPTION REFERENCE_ID PREV_RDG_KWH PREV_RDG_KVAH
PREV_RDG_DATE CUR_RDG_KWH CUR_RDG_KVAH CUR_RDG_DATE MTR_READER_AGENCY_NAME MTR_NO_RECORDED MTR_MAKE_RECORDED
MANUL_BILL_EXCEP MR_READ_REMARK MR_READING MF MDI PRESYS_CODE"""
_CONTROL = """DIV_CODE DIV_NAME ACCOUNTS PRINCIPAL LPSC DEPOSIT PREPAID_BALANCE TOTAL_OUTSTANDING BILLED_UNITS"""

MASTER = [name.strip() for name in _MASTER.split(",")]
BILLED, CONTROL = _BILLED.split(), _CONTROL.split()
METERS = ["ACCT_ID", "SERIAL_NBR"]
HEADS = ["ACCT_ID", "PRINCIPAL", "LPSC", "DEPOSIT", "PREPAID_BALANCE", "MODE", "SUPPLY_TYPE"]
HEADERS = {"master": MASTER, "billed": BILLED, "meters": METERS, "heads": HEADS}


@dataclass(frozen=True)
class Old:
    """An account as the old system knows it; text as its files write it. Readings in units, money in rupees."""

    number: str
    division: str = GUMTI
    name: str = "आशा देवी"
    mobile: str = "9876500001"
    address: str = "12/5 Gumti No. 5"
    category: str = "LMV-1"
    supply_type: str = "10"
    load_kw: str = "2"
    meter: str = ""
    smart: bool = False
    basis: str = "MU"
    previous: str = "1000"
    present: str = "1120"
    previous_day: str = "31-JAN-24"
    present_day: str = "29-FEB-24"
    bill_day: str = "05-MAR-24"
    factor: str = "1"
    demand_kw: str = "1.20"
    assessed: str = "854.70"
    payable: str = "854.70"
    principal: str = "1500.50"
    lpsc: str = "12.25"
    deposit: str = "300"
    prepaid: str = ""
    mode: str = "POSTPAID"
    feeder: str = "GUMTI-F1"
    book: str = "023351190012"

    def with_(self, **changes: object) -> "Old":
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def serial(self) -> str:
        return self.meter or f"M{self.number}"

    @property
    def units(self) -> Decimal:
        return (Decimal(self.present) - Decimal(self.previous)) * Decimal(self.factor)


ASHA = Old("1234501")
BINA = Old("01234502", name="BINA SHARMA", mobile="9876500002", principal="-250.00", lpsc="")  # an advance
CHARAN = Old("012345", name="चरण सिंह", mobile="9876500003", smart=True, deposit="1000.75", demand_kw="2.51")
DUKAN = Old(
    "2234504", name="GUPTA STORE", mobile="9876500004", category="LMV-2", supply_type="20", load_kw="4", factor="2"
)
ELA = Old("2234505", name="इला वर्मा", mobile="", mode="PREPAID", principal=".00", lpsc="", prepaid="150.25")
FARID = Old("2234506", name="FARID KHAN", mobile="9876500006", principal=".34", lpsc="")
GITA = Old("3234507", division=JAJMAU, name="गीता यादव", mobile="9876500007", feeder="JAJMAU-F2")
HARI = Old(
    "3234508", division=JAJMAU, name="HARI OM", mobile="9876500008", smart=True, feeder="JAJMAU-F2", demand_kw=""
)
IMRAN = Old("03234509", division=JAJMAU, name="IMRAN ALI", mobile="9876500009", supply_type="13", feeder="JAJMAU-F1")
JAYA = Old("323410", division=JAJMAU, name="जया मिश्रा", mobile="9876500010", feeder="JAJMAU-F1", load_kw="1")
KAMLA = Old("3234511", division=JAJMAU, name="कमला", mobile="9876500011", principal="0", lpsc="", deposit="")
LALIT = Old("3234512", division=JAJMAU, name="LALIT KUMAR", mobile="9876500012", category="LMV-2", supply_type="22")
SMALL = (ASHA, BINA, CHARAN, DUKAN, ELA, FARID, GITA, HARI, IMRAN, JAYA, KAMLA, LALIT)

# What to write otherwise: (kind, account's number or division) to columns and their text; None leaves the row out.
Changes = Mapping[tuple[str, str], Mapping[str, str] | None]


def write_small(
    directory: Path, *, accounts: Sequence[Old] = SMALL, changes: Changes | None = None, encoding: str = "utf-8"
) -> Path:
    """The files of the accounts' divisions. Control totals are those of the accounts, not of the changes."""
    directory.mkdir(parents=True, exist_ok=True)
    changed = dict(changes or {})
    for division in dict.fromkeys(old.division for old in accounts):
        here = [old for old in accounts if old.division == division]
        for kind, header in HEADERS.items():
            rows = [_row(kind, old, changed.get((kind, old.number), {})) for old in here]
            file = directory / f"{kind}_{DIVISIONS[division]}.csv"
            _write(file, header, [row for row in rows if row is not None], encoding)
    totals = [
        {
            **_totals(division, [old for old in accounts if old.division == division]),
            **(changed.get(("control", division)) or {}),
        }
        for division in dict.fromkeys(old.division for old in accounts)
    ]
    _write(directory / "control_totals.csv", CONTROL, totals, encoding)
    return directory


def load_small(directory: Path, *, wave: str = "W1", today: dt.date = TODAY) -> Wave:
    """The files taken in for KESCO; the companies must be there (`tests.cast.town([])`)."""
    load(
        directory=directory,
        discom=discom_named(KESCO),
        wave=wave,
        numbers="new",
        today=today,
        now=NOW,
        actor="test",
        say=lambda *_: None,
    )
    return Wave.objects.get(discom__code=KESCO, code=wave)


def two_people(division: str = GUMTI) -> tuple[Staff, Staff]:
    """A maker and a checker, officers of one division."""
    office = division_named(Discom.objects.get(code=KESCO), division)
    return post_staff("maker", "Mala", "officer", office), post_staff("checker", "Chetan", "officer", office)


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that stands in the file exactly once."""
    text = file.read_bytes()
    assert text.count(old.encode()) == 1, f"{old!r} stands {text.count(old.encode())} times in {file.name}"
    file.write_bytes(text.replace(old.encode(), new.encode()))


def line_of(file: Path, number: str) -> int:
    """The line, from 1, whose first field is this."""
    lines = file.read_bytes().split(b"\n")
    return next(i for i, line in enumerate(lines, start=1) if line.split(b",")[0] == number.encode())


def _row(kind: str, old: Old, change: Mapping[str, str] | None) -> dict[str, str] | None:
    if change is None:
        return None
    columns = {"master": _master, "billed": _billed, "meters": _meters, "heads": _heads}[kind](old)
    unknown = set(change) - set(HEADERS[kind])
    assert not unknown, f"{kind} has no column {unknown}"
    return {**columns, **change}


def _master(old: Old) -> dict[str, str]:
    return {
        "ACCT_ID": old.number,
        "MOBILE_NO": old.mobile,
        "NAME": old.name,
        "ADDRESS": old.address,
        "CATEGORY": old.category,
        "LOAD": old.load_kw,
        "SUBSTATION": "GUMTI 33/11",
        "FEEDER": old.feeder,
        "LP DATE": "12-FEB-24",
        "LP AMT": "500",
        "TOTAL OUTSTANDING": str(_decimal(old.principal) + _decimal(old.lpsc)),
    }


def _billed(old: Old) -> dict[str, str]:
    return {
        "ACCT_ID": old.number,
        "BOOK_NO": old.book,
        "NAME": old.name,
        "ADDRESS": old.address,
        "MOBILE_NO": old.mobile,
        "TARIFF_TYPE": old.category.replace("-", ""),
        "SANCTION_LOAD": old.load_kw,
        "SANCTION_LOAD_UOM": "KW",
        "SUBSTATION": "GUMTI 33/11",
        "FEEDER": old.feeder,
        "METER_SERIAL_NBR": old.serial,
        "MR_SOURCE_CD": "SM" if old.smart else "MRI",
        "BILL_BASIS": old.basis,
        "DUE_DATE": "20-MAR-24",
        "AMOUNT_PAYABLE": old.payable,
        "BILL_TYP": "CNT",
        "BILL_DATE": old.bill_day,
        "BILLED_UNITS": str(old.units),
        "BILL_ID": f"B{old.number}",
        "CA": old.assessed,
        "DISCOM": KESCO,
        "DIV_CODE": DIVISIONS[old.division],
        "DIV_NAME": old.division.upper(),
        "SUPPLY_TYPE": old.supply_type,
        "PREV_RDG_KWH": old.previous,
        "PREV_RDG_DATE": old.previous_day,
        "CUR_RDG_KWH": old.present,
        "CUR_RDG_DATE": old.present_day,
        "MF": old.factor,
        "MDI": old.demand_kw,
    }


def _meters(old: Old) -> dict[str, str]:
    return {"ACCT_ID": old.number, "SERIAL_NBR": old.serial}


def _heads(old: Old) -> dict[str, str]:
    return {
        "ACCT_ID": old.number,
        "PRINCIPAL": old.principal,
        "LPSC": old.lpsc,
        "DEPOSIT": old.deposit,
        "PREPAID_BALANCE": old.prepaid,
        "MODE": old.mode,
        "SUPPLY_TYPE": old.supply_type,
    }


def _totals(division: str, accounts: Sequence[Old]) -> dict[str, str]:
    sums = {
        column: sum((_decimal(getattr(old, name)) for old in accounts), Decimal(0))
        for column, name in (
            ("PRINCIPAL", "principal"),
            ("LPSC", "lpsc"),
            ("DEPOSIT", "deposit"),
            ("PREPAID_BALANCE", "prepaid"),
        )
    }
    return {
        "DIV_CODE": DIVISIONS[division],
        "DIV_NAME": division.upper(),
        "ACCOUNTS": str(len(accounts)),
        **{column: str(amount) for column, amount in sums.items()},
        "TOTAL_OUTSTANDING": str(sums["PRINCIPAL"] + sums["LPSC"]),
        "BILLED_UNITS": str(sum((old.units for old in accounts), Decimal(0))),
    }


def _decimal(text: str) -> Decimal:
    return Decimal(text or "0")


def _write(file: Path, header: Sequence[str], rows: Sequence[Mapping[str, str]], encoding: str) -> None:
    with file.open("w", encoding=encoding, newline="") as out:
        writer = csv.DictWriter(out, header, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
