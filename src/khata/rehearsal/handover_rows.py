"""Rows of the hand-over files of an old system as text: their columns, and in which style a division writes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64
from khata.rehearsal.town import Town

Kind = Literal["master", "billed", "meters", "heads"]
Fields = dict[str, list[str]]

COLUMNS: dict[Kind, tuple[str, ...]] = {
    "master": (
        "ACCT_ID", "MOBILE_NO", "NAME", "ADDRESS", "CATEGORY", "LOAD", "LAT", "LON", "SUBSTATION", "FEEDER", "LP DATE",
        "LP AMT", "TOTAL OUTSTANDING",
    ),
    "billed": (
        "ACCT_ID", "BOOK_NO", "SCNO", "NAME", "ADDRESS", "MOBILE_NO", "TARIFF_TYPE", "SANCTION_LOAD",
        "SANCTION_LOAD_UOM", "SUBSTATION", "FEEDER", "DT", "POLE_NO", "METER_SERIAL_NBR", "METER_READ_REMARK",
        "MR_SOURCE_CD", "BILL_BASIS", "DUE_DATE", "LAST_PAY_DATE", "LAST_PAYMENT_AMOUNT", "AMOUNT_PAYABLE", "BILL_TYP",
        "BILL_DATE", "BILL_CRE_DTTM", "BILLED_UNITS", "BILL_ID", "CA", "BILL_INF_FLG", "AGENT_ID", "AGENT_MOB_NO",
        "DISCOM", "ZONE_CODE", "ZONE_NAME", "CIRCLE_CODE", "CIRCLE_NAME", "DIV_CODE", "DIV_NAME", "SDO_CODE",
        "SDO_NAME", "SUPPLY_TYPE", "PAYMENT_MODE", "BANK_NAME", "CHQ_NUMBER", "LATITUDE", "LONGITUDE",
        "EXECPTION_CODE", "EXCEPTION_DESCRIPTION", "REFERENCE_ID", "PREV_RDG_KWH", "PREV_RDG_KVAH", "PREV_RDG_DATE",
        "CUR_RDG_KWH", "CUR_RDG_KVAH", "CUR_RDG_DATE", "MTR_READER_AGENCY_NAME", "MTR_NO_RECORDED",
        "MTR_MAKE_RECORDED", "MANUL_BILL_EXCEP", "MR_READ_REMARK", "MR_READING", "MF", "MDI", "PRESYS_CODE",
    ),
    "meters": ("ACCT_ID", "SERIAL_NBR"),
    "heads": ("ACCT_ID", "PRINCIPAL", "LPSC", "DEPOSIT", "PREPAID_BALANCE", "MODE", "SUPPLY_TYPE"),
}  # fmt: skip
CONTROL = (
    "DIV_CODE", "DIV_NAME", "ACCOUNTS", "PRINCIPAL", "LPSC", "DEPOSIT", "PREPAID_BALANCE", "TOTAL_OUTSTANDING",
    "BILLED_UNITS",
)  # fmt: skip
BASES = ("MU", "ASS", "PROV", "CEIL")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_ZONE, _DUE_DAYS = "ZNE23", 15
_ROUTE = 600  # accounts of the whole town in one book number: about thirty in each of twenty divisions
_LANDMARKS = (" – Café", "opp. Reeta’s Café", "behind Hôtel Ganges")
_WITH_LANDMARK = 0.15


@dataclass(frozen=True)
class Style:
    """How the old system of one division writes."""

    iso_dates: bool
    bare_amounts: bool  # .34, -.47, nothing for 0
    encoding: str
    newline: str
    mark: bool  # the three bytes with which some programs begin UTF-8
    whole_rupees: bool  # what is payable is rounded
    loud: bool  # names of offices in capitals
    turned: bool  # columns of the heads file in another order
    unended: bool  # the last line of the meters file has no end, though it is whole

    def day(self, day: np.datetime64) -> str:
        iso = str(day)
        if self.iso_dates:
            return iso
        return f"{iso[8:10]}-{_MONTHS[int(iso[5:7]) - 1]}-{iso[2:4]}"

    def days(self, values: npt.NDArray[np.datetime64]) -> list[str]:
        known, which = np.unique(values, return_inverse=True)
        texts = ["" if np.isnat(each) else self.day(each) for each in known]
        return [texts[number] for number in which.tolist()]

    def amount(self, paise: int) -> str:
        sign, rest = ("-", -paise) if paise < 0 else ("", paise)
        if not self.bare_amounts:
            return f"{sign}{rest // 100}.{rest % 100:02d}"
        return f"{sign}{rest // 100 or ''}.{rest % 100:02d}" if rest else ""

    def amounts(self, paise: Int64) -> list[str]:
        return list(map(self.amount, paise.tolist()))


def style_of(position: int) -> Style:
    """Each style occurs among any twenty divisions, most of them alone and with others."""
    at = position % 20
    return Style(
        iso_dates=at % 4 == 1,
        bare_amounts=at % 3 == 1,
        encoding="cp1252" if at in (7, 13) else "utf-8",
        newline="\r\n" if at % 7 == 3 else "\n",
        mark=at == 5,
        whole_rupees=at % 7 == 2,
        loud=at % 2 == 0,
        turned=at == 9,
        unended=at == 11,
    )


@dataclass(frozen=True)
class Place:
    """A division as the files name it."""

    code: str
    name: str
    discom: str
    style: Style

    @property
    def said(self) -> str:
        return self.name.upper() if self.style.loud else self.name


@dataclass(frozen=True)
class Written:
    """What the files say beyond the town itself, one row an account."""

    basis: Int64  # position in BASES
    unit: Int64  # of the load in the bill: 0 KW, 1 KVA, 2 BHP
    paid_day: npt.NDArray[np.datetime64]
    paid_paise: Int64
    landmark: Int64  # -1 for none
    spot: Int64  # two numbers of six digits in one: where on the map

    @staticmethod
    def drawn(town: Town, rng: np.random.Generator) -> "Written":
        count = len(town.plan.shop)
        never = rng.random(count) < 0.05
        paid = town.last.bill_day - rng.integers(3, 45, count).astype("timedelta64[D]")
        paid[never] = np.datetime64("NaT")
        chance = rng.random(count)
        unit = np.where(town.plan.shop & (chance < 0.03), 1, np.where(town.plan.shop & (chance < 0.04), 2, 0))
        amount = np.where(never, 0, rng.integers(50, 3_000, count) * 100)
        landmark = np.where(rng.random(count) < _WITH_LANDMARK, rng.integers(0, len(_LANDMARKS), count), -1)
        return Written(np.zeros(count, np.int64), unit, paid, amount, landmark, rng.integers(0, 10**10, count))


def quoted(text: str) -> str:
    return f'"{text}"'


def kwh(wh: int) -> str:
    """Whole units without a point."""
    return f"{wh // 1000}.{wh % 1000:03d}" if wh % 1000 else str(wh // 1000)


def load_text(load_w: int, unit: int) -> str:
    """The load of a bill in KW, KVA or BHP, to two places."""
    hundredths = (load_w // 10, load_w * 10 // 90, load_w * 100 // 746)[unit]
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def rows_of(kind: Kind, town: Town, written: Written, rows: Int64, place: Place) -> Fields:
    """The columns of some accounts of one division in one file, in the order of its header; quoted where needed."""
    made = _MAKERS[kind](town, written, rows, place)
    order = COLUMNS[kind]
    if kind == "heads" and place.style.turned:
        order = order[::-1]
    nothing = [""] * len(rows)
    return {name: made.get(name, nothing) for name in order}


def address_of(town: Town, written: Written, row: int, place: Place) -> str:
    """As the file says it; a system of Windows has its own dashes and accents."""
    text = town.folk.address[row]
    which = int(written.landmark[row])
    if place.style.encoding == "cp1252" and which >= 0:
        text = f"{text} {_LANDMARKS[which]}".replace("  ", " ")
    return text


def _accounts(town: Town, rows: Int64) -> list[str]:
    return [town.folk.old_number[row] for row in rows.tolist()]


def _meters(town: Town, rows: Int64) -> list[str]:
    return [str(number) for number in town.plan.meter[rows].astype("U")]


def _master(town: Town, written: Written, rows: Int64, place: Place) -> Fields:
    style, owed = place.style, town.heads.principal[rows] + town.heads.lpsc[rows]
    spots = written.spot[rows].tolist()
    return {
        "ACCT_ID": _accounts(town, rows),
        "MOBILE_NO": [town.folk.mobile[row] for row in rows.tolist()],
        "NAME": [town.folk.name[row] for row in rows.tolist()],
        "ADDRESS": [quoted(address_of(town, written, row, place)) for row in rows.tolist()],
        "CATEGORY": _categories(town, rows, place),
        "LOAD": [kwh(load) for load in town.plan.load_w[rows].tolist()],
        "LAT": [f"26.{350_00 + spot % 20_000:05d}" for spot in spots],
        "LON": [f"80.{220_00 + spot // 100_000 % 20_000:05d}" for spot in spots],
        **_network(rows, place),
        "LP DATE": style.days(written.paid_day[rows]),
        "LP AMT": style.amounts(written.paid_paise[rows]),
        "TOTAL OUTSTANDING": style.amounts(owed),
    }


def _categories(town: Town, rows: Int64, place: Place) -> list[str]:
    names = ("LMV1", "LMV2") if place.style.bare_amounts else ("LMV-1", "LMV-2")
    return [names[shop] for shop in town.plan.shop[rows].astype(int).tolist()]


def _network(rows: Int64, place: Place) -> Fields:
    """Substation and feeder; the accounts of a book hang on one feeder."""
    name = place.name
    stations = [f"{name} 33/11 kV No. {number}" for number in range(1, 4)]
    feeders = [f"{name} feeder {number}" for number in range(1, 13)]
    feeder = (rows // _ROUTE % 12).tolist()
    return {
        "SUBSTATION": [stations[number // 4] for number in feeder],
        "FEEDER": [feeders[number] for number in feeder],
    }


def _billed(town: Town, written: Written, rows: Int64, place: Place) -> Fields:
    return {
        "ACCT_ID": _accounts(town, rows),
        **_customer(town, written, rows, place),
        **_office(rows, place),
        **_money(town, written, rows, place),
        **_readings(town, rows, place.style),
    }


def _customer(town: Town, written: Written, rows: Int64, place: Place) -> Fields:
    unit, listed = written.unit[rows].tolist(), rows.tolist()
    digits = place.code[-6:]
    return {
        "BOOK_NO": [f"{digits}{row // _ROUTE + 1:06d}" for row in listed],
        "NAME": [town.folk.name[row] for row in listed],
        "ADDRESS": [quoted(address_of(town, written, row, place)) for row in listed],
        "MOBILE_NO": [town.folk.mobile[row] for row in listed],
        "TARIFF_TYPE": _categories(town, rows, place),
        "SANCTION_LOAD": list(map(load_text, town.plan.load_w[rows].tolist(), unit)),
        "SANCTION_LOAD_UOM": [("KW", "KVA", "BHP")[number] for number in unit],
        **_network(rows, place),
        "DT": [f"DT-{row // 60 % 1000:03d}" for row in listed],
        "POLE_NO": [str(row % 60 + 1) for row in listed],
        "SUPPLY_TYPE": _supply_types(town, rows),
    }


def _supply_types(town: Town, rows: Int64) -> list[str]:
    kind = town.plan.shop[rows] * 2 + town.plan.rural[rows]
    return [("10", "13", "20", "23")[number] for number in kind.tolist()]


def _office(rows: Int64, place: Place) -> Fields:
    digits, name = place.code[-6:], place.said
    parts = (rows % 3 + 1).tolist()
    same = {
        "DISCOM": place.discom, "ZONE_CODE": _ZONE, "ZONE_NAME": "KANPUR", "CIRCLE_CODE": f"CIR{digits[:-1]}",
        "CIRCLE_NAME": f"CIRCLE {digits[-2]}", "DIV_CODE": place.code, "DIV_NAME": name,
    }  # fmt: skip
    return {
        **{column: [text] * len(rows) for column, text in same.items()},
        "SDO_CODE": [f"SDO{digits}{part}" for part in parts],
        "SDO_NAME": [f"{name} {part}" for part in parts],
    }


def _money(town: Town, written: Written, rows: Int64, place: Place) -> Fields:
    style, last = place.style, town.last
    paid, billed_on = style.days(written.paid_day[rows]), style.days(last.bill_day[rows])
    return {
        "BILL_BASIS": [BASES[number] for number in written.basis[rows].tolist()],
        "DUE_DATE": style.days(last.bill_day[rows] + _DUE_DAYS),
        "LAST_PAY_DATE": paid,
        "LAST_PAYMENT_AMOUNT": style.amounts(written.paid_paise[rows]),
        "AMOUNT_PAYABLE": style.amounts(last.payable_paise[rows]),
        "BILL_TYP": ["CNT"] * len(rows),
        "BILL_DATE": billed_on,
        "BILL_CRE_DTTM": [f"{day} 06:30:00" for day in billed_on],
        "BILLED_UNITS": [kwh(wh) for wh in last.energy_wh[rows].tolist()],
        "BILL_ID": [f"4{row:011d}" for row in rows.tolist()],
        "CA": style.amounts(last.assessed_paise[rows]),
        "BILL_INF_FLG": ["N"] * len(rows),
        "PAYMENT_MODE": ["CASH" if day else "" for day in paid],
    }


def _readings(town: Town, rows: Int64, style: Style) -> Fields:
    last, serials = town.last, _meters(town, rows)
    smart = town.plan.smart[rows].tolist()
    source = [("SM" if each else "MRB" if row % 5 else "MRI") for each, row in zip(smart, rows.tolist(), strict=True)]
    return {
        "METER_SERIAL_NBR": serials,
        "METER_READ_REMARK": ["OK"] * len(rows),
        "MR_SOURCE_CD": source,
        "PREV_RDG_KWH": [kwh(wh) for wh in last.previous_wh[rows].tolist()],
        "PREV_RDG_DATE": style.days(last.previous_day[rows]),
        "CUR_RDG_KWH": [kwh(wh) for wh in last.present_wh[rows].tolist()],
        "CUR_RDG_DATE": style.days(last.present_day[rows]),
        "MTR_NO_RECORDED": serials,
        "MF": [str(factor) for factor in last.factor[rows].tolist()],
        "MDI": [f"{watt // 1000}.{watt % 1000 // 10:02d}" for watt in last.demand_w[rows].tolist()],
        "PRESYS_CODE": ["KE"] * len(rows),
    }


def _of_meters(town: Town, written: Written, rows: Int64, place: Place) -> Fields:
    return {"ACCT_ID": _accounts(town, rows), "SERIAL_NBR": _meters(town, rows)}


def _heads(town: Town, written: Written, rows: Int64, place: Place) -> Fields:
    style, heads = place.style, town.heads
    modes = ("POSTPAID", "PREPAID")
    return {
        "ACCT_ID": _accounts(town, rows),
        "PRINCIPAL": style.amounts(heads.principal[rows]),
        "LPSC": style.amounts(heads.lpsc[rows]),
        "DEPOSIT": style.amounts(heads.deposit[rows]),
        "PREPAID_BALANCE": style.amounts(heads.prepaid[rows]),
        "MODE": [modes[number] for number in town.plan.prepaid[rows].astype(int).tolist()],
        "SUPPLY_TYPE": _supply_types(town, rows),
    }


_MAKERS: dict[Kind, Callable[[Town, Written, Int64, Place], Fields]] = {
    "master": _master,
    "billed": _billed,
    "meters": _of_meters,
    "heads": _heads,
}


def header(columns: Sequence[str]) -> str:
    return ",".join(columns)
