"""A hand-over is exact: its sums, its bills, and an answer key that a plain reading of the rules finds again."""

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import pytest

from khata.consumers.rules import mobile_key
from khata.rehearsal.handover import (
    KEY,
    PARALLEL_KEY,
    Handover,
    divisions_of,
    latin_of,
    numbered,
    write_handover,
)
from khata.rehearsal.handover_rows import COLUMNS, CONTROL
from khata.rehearsal.history import Billed, rated
from khata.rehearsal.town import Town, draw_town

ROOT = Path(__file__).parents[4]
TARIFFS, COMPANIES = ROOT / "tariffs", ROOT / "src/khata/discoms/companies.yaml"
KINDS = ("master", "billed", "meters", "heads")
LOADED_ON = dt.date(2024, 3, 14)
RULES = {f"MIG-{number:02d}" for number in range(1, 29)} | {"MIG-31"}
ACCOUNTS, DIRT = 600, 200

Row = dict[str, str]


@dataclass
class Line:
    """A line of a file as a plain reader sees it; `row` is empty where nothing of it can be trusted."""

    file: str
    number: int
    account: str
    row: Row
    raw: bytes
    broken: bool

    @property
    def place(self) -> tuple[str, int]:
        return self.file, self.number


@dataclass
class Read:
    """Every line of a hand-over, by kind and division, and what lines alone show."""

    lines: dict[tuple[str, str], list[Line]] = field(default_factory=dict)
    found: set[tuple[str, str, int]] = field(default_factory=set)

    def accuse(self, rule: str, *lines: Line) -> None:
        self.found |= {(rule, *line.place) for line in lines}

    def of(self, kind: str) -> Iterator[tuple[str, list[Line]]]:
        return ((division, lines) for (each, division), lines in self.lines.items() if each == kind)


def town(accounts: int, seed: int) -> Town:
    divisions = divisions_of(COMPANIES, "KESCO")
    return draw_town(
        accounts=accounts,
        seed=seed,
        divisions=[name for _, name in divisions],
        discom="KESCO",
        tariffs=TARIFFS,
        latin=latin_of(divisions),
    )


def written(out: Path, *, dirt: int, accounts: int = ACCOUNTS, seed: int = 5) -> Handover:
    out.mkdir()
    return write_handover(
        out=out,
        discom="KESCO",
        divisions=divisions_of(COMPANIES, "KESCO"),
        town=town(accounts, seed),
        dirt_permille=dirt,
        seed=seed,
    )


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("handover") / "dirty"
    written(out, dirt=DIRT)
    return out


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("handover") / "clean"
    written(out, dirt=0)
    return out


# -- a plain reader, which shares nothing with the writer but the rules ------------------------------------------------


def read(out: Path) -> Read:
    found = Read()
    for kind in KINDS:
        for file in sorted(out.glob(f"{kind}_*.csv")):
            found.lines[kind, file.stem.partition("_")[2]] = list(_lines(file, kind, found))
    return found


def _lines(file: Path, kind: str, found: Read) -> Iterator[Line]:
    data = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    raws = [raw.removesuffix(b"\r") for raw in data.split(b"\n")]
    ended = raws[-1] == b""
    raws = raws[:-1] if ended else raws
    many = any(_decoded(raw)[0] == "utf-8" and not raw.isascii() for raw in raws)
    header: list[str] = []
    for number, raw in enumerate(raws, start=1):
        if not header and not raw:
            found.found.add(("MIG-02", file.name, 1))
            continue
        encoding, text = _decoded(raw)
        if not header:
            header = text.split(",")
            assert sorted(header) == sorted(COLUMNS[kind])  # type: ignore[index]
            continue
        texts = next(csv.reader([text]))
        line = Line(file.name, number, texts[0], {}, raw, broken=text.count('"') % 2 == 1)
        if encoding != "utf-8" and many:
            found.accuse("MIG-20", line)
        more = len(texts) - len(header)
        if more > 0 and "ADDRESS" in header:
            at = header.index("ADDRESS")
            texts = [*texts[:at], ",".join(texts[at : at + more + 1]), *texts[at + more + 1 :]]
            found.accuse("MIG-01", line)
        if line.broken or len(texts) != len(header):
            cut = number == len(raws) and not ended
            found.accuse("MIG-21" if cut else "MIG-22", line)
            line.broken = True
        else:
            line.row = dict(zip(header, texts, strict=True))
            line.account = line.row["ACCT_ID"]
        yield line


def _decoded(raw: bytes) -> tuple[str, str]:
    try:
        return "utf-8", raw.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252", raw.decode("cp1252")


def number_of(text: str) -> Decimal | None:
    try:
        return Decimal(text or "0")
    except InvalidOperation:
        return None


def day_of(text: str) -> dt.date | None:
    for style in ("%d-%b-%y", "%Y-%m-%d"):
        try:
            return dt.datetime.strptime(text, style).date()  # noqa: DTZ007
        except ValueError:
            continue
    return None


NUMBERS = {
    "master": ("LOAD", "LP AMT", "TOTAL OUTSTANDING"),
    "billed": ("SANCTION_LOAD", "AMOUNT_PAYABLE", "CA", "BILLED_UNITS", "PREV_RDG_KWH", "CUR_RDG_KWH", "MF", "MDI"),
    "meters": (),
    "heads": ("PRINCIPAL", "LPSC", "DEPOSIT", "PREPAID_BALANCE"),
}
DATES = ("BILL_DATE", "PREV_RDG_DATE", "CUR_RDG_DATE")
NEEDED = {
    "master": ("NAME",),
    "billed": ("PREV_RDG_KWH", "CUR_RDG_KWH", *DATES, "METER_SERIAL_NBR"),
    "meters": ("SERIAL_NBR",),
    "heads": ("MODE",),
}
KNOWN = {"LMV1": "LMV1", "LMV2": "LMV2", "10": "LMV1", "13": "LMV1", "20": "LMV2", "23": "LMV2"}


def key_of(line: Line) -> str:
    return line.account.lstrip("0")


def category(text: str) -> str:
    return KNOWN.get(text.replace("-", "").upper(), "")


def judge(found: Read) -> set[tuple[str, str, int]]:
    for (kind, division), lines in found.lines.items():
        _values(found, kind, lines)
        _numbers_of(found, kind, division, lines)
    for division in {division for _, division in found.lines}:
        _across(found, division)
    _shared(found)
    return found.found


def _values(found: Read, kind: str, lines: list[Line]) -> None:
    for line in (line for line in lines if not line.broken):
        row = line.row
        if any(not row[column] for column in NEEDED[kind]):
            found.accuse("MIG-24", line)
        if any(number_of(row[column]) is None for column in NUMBERS[kind]):
            found.accuse("MIG-23", line)
        for column in ("SERIAL_NBR", "METER_SERIAL_NBR"):
            if row.get(column, "") != row.get(column, "").strip():
                found.accuse("MIG-03", line)
        if kind == "billed" and any(row[column] and day_of(row[column]) is None for column in DATES):
            found.accuse("MIG-23", line)
        days = [day_of(row[column]) for column in DATES] if kind == "billed" else []
        if any(day and not dt.date(1990, 1, 1) <= day <= LOADED_ON for day in days):
            found.accuse("MIG-25", line)
        if kind == "billed" and row["CUR_RDG_KWH"] and row["PREV_RDG_KWH"]:
            present, previous = number_of(row["CUR_RDG_KWH"]), number_of(row["PREV_RDG_KWH"])
            if present is not None and previous is not None and present < previous:
                found.accuse("MIG-11", line)
        if kind == "master" and row["MOBILE_NO"] and not mobile_key(row["MOBILE_NO"]):
            found.accuse("MIG-13", line)
        column = {"master": "CATEGORY", "billed": "TARIFF_TYPE", "heads": "SUPPLY_TYPE"}.get(kind, "")
        if column and not category(row[column]):
            found.accuse("MIG-15", line)


def _numbers_of(found: Read, kind: str, division: str, lines: list[Line]) -> None:
    """Copies, twins, twins but for zeros; zeros eaten; numbers that are none; another division's rows."""
    seen: set[bytes] = set()
    whole = []
    for line in lines:
        if line.raw in seen:
            found.accuse("MIG-05", line)
        else:
            whole.append(line)
        seen.add(line.raw)
    texts, keys = Counter(line.account for line in whole), defaultdict(set)
    for line in whole:
        keys[key_of(line)].add(line.account)
    longest: dict[str, int] = defaultdict(int)
    for other, others in found.lines.items():
        if other[1] == division and other[0] != kind:
            for line in others:
                longest[key_of(line)] = max(longest[key_of(line)], len(line.account))
    for line in whole:
        if texts[line.account] > 1:
            found.accuse("MIG-06", line)
        elif len(keys[key_of(line)]) > 1:
            found.accuse("MIG-07", line)
        elif len(line.account) < longest[key_of(line)]:
            if all(len(found_keys(found, kind_, division)[key_of(line)]) < 2 for kind_ in KINDS):
                found.accuse("MIG-08", line)
        elif not (line.account.isdecimal() and 6 <= len(line.account) <= 8):
            found.accuse("MIG-09", line)
        if kind == "billed" and line.row and line.row["DIV_CODE"] != division:
            found.accuse("MIG-28", line)


def found_keys(found: Read, kind: str, division: str) -> dict[str, set[str]]:
    made: dict[str, set[str]] = defaultdict(set)
    for line in found.lines[kind, division]:
        made[key_of(line)].add(line.account)
    return made


def script(name: str) -> set[str]:
    return {"Hindi" if "\u0900" <= letter <= "\u097f" else "Latin" for letter in name if letter.isalpha()}


def _across(found: Read, division: str) -> None:
    rows: dict[str, dict[str, list[Line]]] = {kind: defaultdict(list) for kind in KINDS}
    for kind in KINDS:
        for line in found.lines[kind, division]:
            rows[kind][key_of(line)].append(line)
    for key in set().union(*rows.values()):
        mine = [rows[kind][key] for kind in KINDS]
        if not all(mine):
            found.accuse("MIG-10", *(line for lines in mine for line in lines))
            continue
        if any(line.broken for lines in mine for line in lines):
            continue
        _of_account(found, *(lines[0] for lines in mine))


def _of_account(found: Read, master: Line, billed: Line, meters: Line, heads: Line) -> None:
    load, other = number_of(master.row["LOAD"]), number_of(billed.row["SANCTION_LOAD"])
    in_kw = billed.row["SANCTION_LOAD_UOM"] == "KW"
    if load == 0:
        found.accuse("MIG-12", master)
    if other == 0:
        found.accuse("MIG-12", billed)
    if load and other and load != other and in_kw:
        found.accuse("MIG-27", billed)
    kinds = {
        category(master.row["CATEGORY"]), category(billed.row["TARIFF_TYPE"]), category(heads.row["SUPPLY_TYPE"]),
    }  # fmt: skip
    if len(kinds - {""}) > 1:
        found.accuse("MIG-16", heads)
    if len(script(master.row["NAME"])) > 1:
        found.accuse("MIG-17", master)
    elif master.row["NAME"] and script(master.row["NAME"]) != script(billed.row["NAME"]):
        found.accuse("MIG-17", billed)
    owed, principal, lpsc = (
        number_of(text) for text in (master.row["TOTAL OUTSTANDING"], heads.row["PRINCIPAL"], heads.row["LPSC"])
    )
    if owed is not None and principal is not None and lpsc is not None and owed != principal + lpsc:
        found.accuse("MIG-18", master)
    if owed is not None and load and owed > 100_000 * load:
        found.accuse("MIG-26", master)
    if meters.row["SERIAL_NBR"].strip() != billed.row["METER_SERIAL_NBR"].strip():
        found.accuse("MIG-31", billed)


def _shared(found: Read) -> None:
    mobiles, meters = defaultdict(list), defaultdict(list)
    for _, lines in found.of("master"):
        for line in lines:
            if line.row and mobile_key(line.row["MOBILE_NO"]):
                mobiles[line.row["MOBILE_NO"]].append(line)
    for _, lines in found.of("meters"):
        for line in lines:
            if line.row:
                meters[line.row["SERIAL_NBR"].strip()].append(line)
    for lines in mobiles.values():
        if len({key_of(line) for line in lines}) > 10:
            found.accuse("MIG-14", *lines)
    for lines in meters.values():
        if len({key_of(line) for line in lines}) > 1:
            found.accuse("MIG-04", *lines)


def planted(out: Path) -> list[Row]:
    with open(out / KEY, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def totals(out: Path) -> list[Row]:
    with open(out / "control_totals.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def off(out: Path, found: Read) -> set[tuple[str, str, int]]:
    """Control rows that are not the sum of the rows; what cannot be read counts as nothing."""
    wrong = set()
    for number, row in enumerate(totals(out), start=2):
        sums = {"ACCOUNTS": Decimal(len(found.lines["master", row["DIV_CODE"]]))}
        for kind, column in (
            *(("heads", column) for column in ("PRINCIPAL", "LPSC", "DEPOSIT", "PREPAID_BALANCE")),
            ("master", "TOTAL OUTSTANDING"),
            ("billed", "BILLED_UNITS"),
        ):
            lines = found.lines[kind, row["DIV_CODE"]]
            values = (number_of(line.row.get(column, "")) for line in lines)
            sums[column.replace(" ", "_")] = sum((value or Decimal(0) for value in values), Decimal(0))
        if any(Decimal(row[column]) != sums[column] for column in CONTROL[2:]):
            wrong.add(("MIG-19", "control_totals.csv", number))
    return wrong


# -- the tests ---------------------------------------------------------------------------------------------------------


def test_a_plain_reading_of_the_rules_finds_the_key_and_nothing_else(dirty: Path) -> None:
    found = read(dirty)
    accused = judge(found) | off(dirty, found)
    key = {(row["rule"], row["file"], int(row["line"])) for row in planted(dirty)}
    assert accused - key == set()
    assert key - accused == set()
    assert {row["rule"] for row in planted(dirty)} == RULES


def test_a_clean_hand_over_accuses_nobody(clean: Path) -> None:
    found = read(clean)
    assert judge(found) | off(clean, found) == set()
    assert planted(clean) == []
    assert len(totals(clean)) == len(list(clean.glob("master_*.csv")))


def test_no_account_has_two_flaws(dirty: Path) -> None:
    rules = defaultdict(set)
    for row in planted(dirty):
        rules[row["account"].lstrip("0")].add(row["rule"])
    rules.pop("")
    assert {len(each) for each in rules.values()} == {1}


def test_an_account_is_missing_in_each_of_the_four_ways(dirty: Path) -> None:
    ways = {row["flaw"] for row in planted(dirty) if row["rule"] == "MIG-10"}
    assert {f"the account is not in {kind}" for kind in KINDS} <= ways


def test_the_key_tells_of_a_person_only_the_account(dirty: Path) -> None:
    texts = (dirty / KEY).read_text(encoding="utf-8") + (dirty / PARALLEL_KEY).read_text(encoding="utf-8")
    assert texts.isascii()
    known = set()
    for _, lines in read(dirty).of("master"):
        known |= {line.row[column] for line in lines for column in ("NAME", "MOBILE_NO", "ADDRESS")}
    assert [one for one in known if len(one) > 4 and one in texts] == []


def test_the_same_seed_writes_the_same_bytes(dirty: Path, tmp_path: Path) -> None:
    written(tmp_path / "again", dirt=DIRT)
    for file in sorted(dirty.iterdir()):
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name
    written(tmp_path / "other", dirt=DIRT, seed=6)
    assert (tmp_path / "other" / KEY).read_bytes() != (dirty / KEY).read_bytes()


def test_divisions_write_in_styles_of_their_own(clean: Path) -> None:
    data = {file.name: file.read_bytes() for file in clean.glob("*_DIV*.csv")}
    assert any(each.startswith(b"\xef\xbb\xbf") for each in data.values())
    assert any(b"\r\n" in each for each in data.values())
    assert any(not each.endswith(b"\n") for each in data.values())
    foreign = [name for name, each in data.items() if _decoded(each)[0] == "cp1252"]
    assert {name.partition("_")[2] for name in foreign} <= {"DIV233523.csv", "DIV233533.csv"}
    assert foreign
    heads = b"".join(each for name, each in data.items() if name.startswith("heads"))
    assert b",.00," not in heads
    assert heads.count(b",,") > 10
    billed = b"".join(each for name, each in data.items() if name.startswith("billed"))
    assert b"08-MAR-24" in billed
    assert b",2024-03-08," in billed


def test_a_bill_rated_again_is_the_bill_but_for_those_of_the_parallel_key(dirty: Path) -> None:
    with open(dirty / PARALLEL_KEY, encoding="utf-8", newline="") as file:
        classes = {row["account"]: row["class"] for row in csv.DictReader(file)}
    assert set(classes.values()) == {"rounding", "rule", "data", "unknown"}
    flawed = {row["account"].lstrip("0") for row in planted(dirty)}
    bills = _bills(read(dirty), flawed)
    ours = _rated([row for _, row in bills])
    seen = set()
    for (account, row), assessed, payable in zip(bills, *ours, strict=True):
        units = (Decimal(row["CUR_RDG_KWH"]) - Decimal(row["PREV_RDG_KWH"])) * int(row["MF"])
        theirs = int(Decimal(row["AMOUNT_PAYABLE"]) * 100)
        told = classes.get(account, "equal")
        seen.add(told)
        if row["BILL_BASIS"] != "MU":
            assert told == "rule"
        elif Decimal(row["BILLED_UNITS"]) != units:
            assert told == "data"
        elif (int(Decimal(row["CA"]) * 100), theirs) == (assessed, payable):
            assert told == "equal"
        else:
            assert told == ("rounding" if abs(theirs - payable) <= 50 else "unknown")
    assert seen == {"equal", "rounding", "rule", "data", "unknown"}
    assert any(row["MF"] != "1" for _, row in bills)


def _bills(found: Read, flawed: set[str]) -> list[tuple[str, Row]]:
    modes = {line.account: line.row["MODE"] for _, lines in found.of("heads") for line in lines}
    loads = {line.account: line.row["LOAD"] for _, lines in found.of("master") for line in lines if line.row}
    return [
        (line.account, line.row | {"MODE": modes[line.account], "LOAD": loads[line.account]})
        for _, lines in found.of("billed")
        for line in lines
        if key_of(line) not in flawed
    ]


def _rated(rows: list[Row]) -> tuple[list[int], list[int]]:
    def scaled(column: str, places: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([int(Decimal(row[column]).scaleb(places)) for row in rows], np.int64)

    def days(column: str) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
        return np.array([day_of(row[column]) for row in rows], "datetime64[D]")

    billed_on = days("BILL_DATE")
    assert ((billed_on - billed_on.astype("datetime64[M]")).astype(int) == 7).all()
    found = rated(
        Billed(
            row=np.arange(len(rows)),
            month=billed_on - 7,
            start=days("PREV_RDG_DATE"),
            end=days("CUR_RDG_DATE"),
            energy_wh=(scaled("CUR_RDG_KWH", 3) - scaled("PREV_RDG_KWH", 3)) * scaled("MF", 0),
            demand_w=scaled("MDI", 3),
        ),
        category=np.array([int(row["TARIFF_TYPE"][-1] == "2") for row in rows]),
        area=np.array([int(row["SUPPLY_TYPE"] in ("13", "23")) for row in rows]),
        prepaid=np.array([int(row["MODE"] == "PREPAID") for row in rows]),
        load_w=scaled("LOAD", 3),
        bill_day=8,
        discom="KESCO",
        tariffs=TARIFFS,
    )
    return found["assessed"].tolist(), found["payable"].tolist()


def test_codes_of_divisions_extend_their_circle() -> None:
    assert numbered([["A", "B"], ["C"]]) == [("DIV233511", "A"), ("DIV233512", "B"), ("DIV233521", "C")]
    assert len(divisions_of(COMPANIES, "KESCO")) == 20
