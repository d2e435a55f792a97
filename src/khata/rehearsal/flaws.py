"""The flaws of hand-over files, one function a rule: what becomes of an account's rows, and which of them is accused.

A flaw must cause no other: who loses a figure owes nothing, so that no sum goes wrong with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from khata.rehearsal.handover_rows import COLUMNS, Kind, Place, Written, address_of, kwh, load_text, quoted
from khata.rehearsal.town import Town

KINDS: tuple[Kind, ...] = ("master", "billed", "meters", "heads")
_LATIN_NAMES = ("Ram Kumar", "Sita Devi", "Mohan Lal", "Geeta Rani")
IMPOSSIBLE_MOBILES = ("666660000", "0000000000", "1234567890", "NA", "99999")
FUTURE, LONG_AGO = np.datetime64("2050-01-15"), np.datetime64("1985-01-01")  # whatever century two digits mean
_LAKH_A_KW = 10_000  # paise a watt


@dataclass(frozen=True)
class Accused:
    """A row that a rule must find: the account's own, or the one more that was planted."""

    rule: str
    kind: Kind
    flaw: str
    again: bool = False


@dataclass
class Edit:
    """What becomes of an account's rows in the files."""

    put: dict[Kind, dict[str, str]] = field(default_factory=dict)
    drop: set[Kind] = field(default_factory=set)
    again: dict[Kind, dict[str, str]] = field(default_factory=dict)  # one more row, and what it says otherwise
    spoil: dict[Kind, Callable[[list[str]], list[str]]] = field(default_factory=dict)  # of its fields
    unread: set[Kind] = field(default_factory=set)  # spoilt so that nothing of it counts
    foreign: set[Kind] = field(default_factory=set)  # in the bytes of Windows-1252
    cut: set[Kind] = field(default_factory=set)  # the last line, without an end
    accused: list[Accused] = field(default_factory=list)
    held: bool = False

    def set(self, kind: Kind, **texts: str) -> None:
        self.put.setdefault(kind, {}).update(texts)


@dataclass(frozen=True)
class Case:
    """One account that gets a flaw; `turn` counts the plantings of a rule, so that its ways take turns."""

    town: Town
    written: Written
    row: int
    place: Place
    other: Place  # another division
    rng: np.random.Generator
    turn: int
    edit: Edit

    @property
    def account(self) -> str:
        return self.town.folk.old_number[self.row]

    @property
    def meter(self) -> str:
        return str(self.town.plan.meter[self.row].decode())

    @property
    def owed(self) -> int:
        return int(self.town.heads.principal[self.row] + self.town.heads.lpsc[self.row])

    def pick(self, *choices: Kind) -> Kind:
        return choices[self.turn % len(choices)]

    def accuse(self, rule: str, kind: Kind, flaw: str, *, again: bool = False) -> None:
        self.edit.accused.append(Accused(rule, kind, flaw, again))
        self.edit.held |= rule in HELD


def comma(case: Case) -> None:
    kind = case.pick("master", "billed")
    at = COLUMNS[kind].index("ADDRESS")
    case.edit.spoil[kind] = lambda fields: [*fields[:at], fields[at].strip('"'), *fields[at + 1 :]]
    case.accuse("MIG-01", kind, "the address has commas and no quotes")


def padded(case: Case) -> None:
    kind = case.pick("meters", "billed")
    column = "SERIAL_NBR" if kind == "meters" else "METER_SERIAL_NBR"
    case.edit.set(kind, **{column: f"{case.meter}   " if case.turn // 2 % 2 == 0 else f"  {case.meter}"})
    case.accuse("MIG-03", kind, f"{column} has blanks around it")


def same_meter(case: Case, meter: str) -> None:
    case.edit.set("meters", SERIAL_NBR=meter)
    case.edit.set("billed", METER_SERIAL_NBR=meter, MTR_NO_RECORDED=meter)
    case.accuse("MIG-04", "meters", "the meter is another account's too")


def copied(case: Case) -> None:
    kind = case.pick(*KINDS)
    case.edit.again[kind] = {}
    case.accuse("MIG-05", kind, "a copy of an earlier row", again=True)


def twice(case: Case) -> None:
    kind = case.pick("master", "billed", "heads")
    other = {
        "master": {"ADDRESS": quoted(f"1{address_of(case.town, case.written, case.row, case.place)}")},
        "billed": {"BILL_ID": f"5{case.row:011d}"},
        "heads": {"DEPOSIT": case.place.style.amount(int(case.town.heads.deposit[case.row]) + 100_00)},
    }
    case.edit.again[kind] = other[kind]
    for again in (False, True):
        case.accuse("MIG-06", kind, f"the account has two rows; {next(iter(other[kind]))} differs", again=again)


def twice_but_for_zeros(case: Case) -> None:
    kind = case.pick("master", "billed")
    case.edit.again[kind] = {"ACCT_ID": case.account.lstrip("0")}
    for again in (False, True):
        case.accuse("MIG-07", kind, "the account has two rows, one of them without its zero", again=again)


def zeros_eaten(case: Case) -> None:
    kind = case.pick(*KINDS)
    case.edit.set(kind, ACCT_ID=case.account.lstrip("0"))
    case.accuse("MIG-08", kind, "zeros in front are lost")


def strange_number(case: Case) -> None:
    texts = (f"9{case.account:0>8}", f"{case.account[:3]}O{case.account[4:]}", f"{case.account}-1")
    for kind in KINDS:
        case.edit.set(kind, ACCT_ID=texts[case.turn % len(texts)])
        case.accuse("MIG-09", kind, "ACCT_ID is not a number of 6 to 8 digits")


def missing(case: Case) -> None:
    case.edit.drop = {KINDS[case.turn % 4]} if case.turn % 5 < 4 else {"billed", "heads"}
    for kind in KINDS:
        if kind not in case.edit.drop:
            case.accuse("MIG-10", kind, f"the account is not in {' and '.join(sorted(case.edit.drop))}")


def fallen(case: Case) -> None:
    case.edit.set("billed", CUR_RDG_KWH=kwh(int(case.town.last.previous_wh[case.row]) * 9 // 10_000 * 1000))
    case.accuse("MIG-11", "billed", "CUR_RDG_KWH is below PREV_RDG_KWH")


def no_load(case: Case) -> None:
    kinds: tuple[Kind, ...] = (("master", "billed"), ("master",), ("billed",))[case.turn % 3]
    for kind in kinds:
        case.edit.set(kind, **{"LOAD" if kind == "master" else "SANCTION_LOAD": "0"})
        case.accuse("MIG-12", kind, f"load 0 in {' and '.join(kinds)}")
    case.edit.held = len(kinds) == 2


def impossible_mobile(case: Case) -> None:
    mobile = IMPOSSIBLE_MOBILES[case.turn % len(IMPOSSIBLE_MOBILES)]
    for kind in ("master", "billed"):
        case.edit.set(kind, MOBILE_NO=mobile)
    case.accuse("MIG-13", "master", "no such mobile can be")


def shared_mobile(case: Case, mobile: str, accounts: int) -> None:
    for kind in ("master", "billed"):
        case.edit.set(kind, MOBILE_NO=mobile)
    case.accuse("MIG-14", "master", f"the mobile stands on {accounts} accounts")


def no_such_category(case: Case) -> None:
    kind = case.pick("master", "billed", "heads")
    column = {"master": "CATEGORY", "billed": "TARIFF_TYPE", "heads": "SUPPLY_TYPE", "meters": ""}[kind]
    case.edit.set(kind, **{column: "99" if kind == "heads" else "LMV-99"})
    case.accuse("MIG-15", kind, f"{column} does not exist")


def contradiction(case: Case) -> None:
    shop = bool(case.town.plan.shop[case.row])
    if case.turn % 2 == 0:
        case.edit.set("heads", SUPPLY_TYPE="10" if shop else "20")
    else:
        case.edit.set("master", CATEGORY="LMV-1" if shop else "LMV-2")
    flaw = "SUPPLY_TYPE" if case.turn % 2 == 0 else "CATEGORY of the master"
    case.accuse("MIG-16", "heads", f"{flaw} contradicts the other files")


def two_scripts(case: Case) -> None:
    name = _LATIN_NAMES[int(case.rng.integers(len(_LATIN_NAMES)))]
    if case.turn % 2 == 0:
        case.edit.set("master", NAME=f"{case.town.folk.name[case.row]} {name.split()[0]}")
        case.accuse("MIG-17", "master", "NAME is in two scripts")
    else:
        case.edit.set("billed", NAME=name)
        case.accuse("MIG-17", "billed", "NAME is in another script than the master's")


def wrong_sum(case: Case) -> None:
    wrong = case.owed + int(case.rng.integers(1, 500_00)) * (1 if case.turn % 2 else -1)
    case.edit.set("master", **{"TOTAL OUTSTANDING": case.place.style.amount(wrong)})
    case.accuse("MIG-18", "master", "TOTAL OUTSTANDING is not PRINCIPAL + LPSC")


def foreign_bytes(case: Case) -> None:
    kind = case.pick("master", "billed")
    address = address_of(case.town, case.written, case.row, case.place)
    case.edit.set(kind, ADDRESS=quoted(f"{address} – Café"))
    case.edit.foreign.add(kind)
    case.accuse("MIG-20", kind, "bytes of Windows-1252 in a file of UTF-8")


def cut_off(case: Case) -> None:
    kind = case.pick("billed", "meters")
    kept = 18 if kind == "billed" else 1
    case.edit.spoil[kind] = lambda fields: fields[:kept]
    case.edit.cut, case.edit.unread = {kind}, {kind}
    case.accuse("MIG-21", kind, "the last line is cut off")


def torn(case: Case) -> None:
    at = COLUMNS["billed"].index("ADDRESS")
    ways: tuple[tuple[Kind, str, Callable[[list[str]], list[str]]], ...] = (
        ("meters", "a field too many", lambda fields: [*fields, "0"]),
        ("billed", "a quote that does not end", lambda fields: [*fields[:at], fields[at][:-1], *fields[at + 1 :]]),
        ("billed", "too few fields", lambda fields: fields[:18]),
        ("meters", "a field too few", lambda fields: fields[:1]),
    )
    kind, flaw, spoil = ways[case.turn % len(ways)]
    case.edit.spoil[kind] = spoil
    case.edit.unread.add(kind)
    case.accuse("MIG-22", kind, flaw)


def unreadable(case: Case) -> None:
    no_day = "2024-02-31" if case.place.style.iso_dates else "31-FEB-24"
    ways: tuple[tuple[Kind, str, str], ...] = (
        ("billed", "CUR_RDG_KWH", "12O45"),
        ("heads", "PRINCIPAL", "#REF!"),
        ("billed", "BILL_DATE", no_day),
        ("master", "LOAD", "two"),
        ("master", "TOTAL OUTSTANDING", "#VALUE!"),
        ("billed", "BILLED_UNITS", "1.2.3"),
    )
    kind, column, text = ways[case.turn % len(ways)]
    case.edit.set(kind, **{column: text})
    case.accuse("MIG-23", kind, f"{column} cannot be read")


def empty(case: Case) -> None:
    ways: tuple[tuple[Kind, str], ...] = (
        ("billed", "CUR_RDG_KWH"),
        ("heads", "MODE"),
        ("master", "NAME"),
        ("billed", "CUR_RDG_DATE"),
        ("billed", "PREV_RDG_KWH"),
    )
    kind, column = ways[case.turn % len(ways)]
    case.edit.set(kind, **{column: ""})
    case.accuse("MIG-24", kind, f"{column} is empty")


def impossible_day(case: Case) -> None:
    ways = (("BILL_DATE", FUTURE), ("PREV_RDG_DATE", LONG_AGO), ("CUR_RDG_DATE", FUTURE))
    column, day = ways[case.turn % len(ways)]
    case.edit.set("billed", **{column: case.place.style.day(day)})
    case.accuse("MIG-25", "billed", f"{column} cannot be")


def absurd_sum(case: Case) -> None:
    owed = int(case.town.plan.load_w[case.row]) * _LAKH_A_KW + int(case.rng.integers(1, 10_00_000_00))
    case.town.heads.principal[case.row] = owed
    case.accuse("MIG-26", "master", "outstanding above Rs 1,00,000 per kW")


def two_loads(case: Case) -> None:
    load = int(case.town.plan.load_w[case.row]) + 1000
    case.edit.set("billed", SANCTION_LOAD=load_text(load, 0))
    case.accuse("MIG-27", "billed", "SANCTION_LOAD is not the master's LOAD")


def other_division(case: Case) -> None:
    case.edit.set("billed", DIV_CODE=case.other.code)
    case.accuse("MIG-28", "billed", "DIV_CODE is another division's")


def other_meter(case: Case) -> None:
    case.edit.set("billed", METER_SERIAL_NBR=f"KX{case.row:06d}")
    case.accuse("MIG-31", "billed", "METER_SERIAL_NBR is not the meters file's")


HELD = {
    f"MIG-{number:02d}"
    for number in (4, 6, 7, 9, 10, 11, 15, 16, 18, 21, 22, 23, 24, 25, 26, 27, 28, 31)  # a copy's account stands
}
# Whom a flaw may befall (a name in dirt's `_who`), and its function. Rules that need several accounts, or a file, are
# planted by `dirt` itself.
ALONE: dict[str, tuple[str, Callable[[Case], None]]] = {
    "MIG-01": ("anybody", comma),
    "MIG-03": ("anybody", padded),
    "MIG-05": ("anybody", copied),
    "MIG-06": ("anybody", twice),
    "MIG-07": ("a zero", twice_but_for_zeros),
    "MIG-08": ("zeros", zeros_eaten),
    "MIG-09": ("anybody", strange_number),
    "MIG-10": ("anybody", missing),
    "MIG-11": ("long used", fallen),
    "MIG-12": ("no debtor", no_load),
    "MIG-13": ("anybody", impossible_mobile),
    "MIG-15": ("anybody", no_such_category),
    "MIG-16": ("anybody", contradiction),
    "MIG-17": ("Hindi", two_scripts),
    "MIG-18": ("anybody", wrong_sum),
    "MIG-20": ("English", foreign_bytes),
    "MIG-22": ("anybody", torn),
    "MIG-23": ("owes nothing", unreadable),
    "MIG-24": ("anybody", empty),
    "MIG-25": ("anybody", impossible_day),
    "MIG-26": ("postpaid", absurd_sum),
    "MIG-27": ("in kW", two_loads),
    "MIG-28": ("anybody", other_division),
    "MIG-31": ("anybody", other_meter),
}
LEAST = {"MIG-10": 4}  # plantings at the least, where not one: an account may be missing in four ways
