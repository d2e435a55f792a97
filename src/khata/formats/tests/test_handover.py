"""The hand-over files: every style reads to the same values, every flaw is told by its rule, all else is clean."""

import datetime as dt
import hashlib
import io
import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.formats import handover
from khata.formats.handover import KINDS, Facts, StagedLine, columns_of, open_handover, read_line, read_rows
from khata.formats.handover_rows import LONGEST_LINE
from khata.formats.text import FormatError

DAY = dt.date(2026, 6, 7)
MASTER = {
    "ACCT_ID": "0123456",
    "MOBILE_NO": "9800000001",
    "NAME": "Asha Devi",
    "ADDRESS": "12 Mall Road",
    "CATEGORY": "lmv1",
    "LOAD": "2.5",
    "SUBSTATION": "Phoolbagh",
    "FEEDER": "F 3",
    "LP AMT": "100",
    "TOTAL OUTSTANDING": "-.47",
}
BILLED = {
    "ACCT_ID": "0123456",
    "BOOK_NO": "123456789012",
    "NAME": "Asha Devi",
    "ADDRESS": "12 Mall Road",
    "TARIFF_TYPE": "LMV-1",
    "SANCTION_LOAD": "2.50",
    "SANCTION_LOAD_UOM": "kw",
    "METER_SERIAL_NBR": "M1",
    "MR_SOURCE_CD": "SM",
    "BILL_BASIS": "mu",
    "BILL_DATE": "07-JUN-26",
    "BILLED_UNITS": "20.5",
    "BILL_ID": "B1",
    "CA": "150.10",
    "AMOUNT_PAYABLE": "150",
    "DIV_CODE": "DIV1",
    "PREV_RDG_KWH": "100",
    "PREV_RDG_DATE": "2026-05-07",
    "CUR_RDG_KWH": "120.500",
    "CUR_RDG_DATE": "07-Jun-26",
    "MDI": "1.25",
}
METERS = {"ACCT_ID": "0123456", "SERIAL_NBR": "M1"}
HEADS = {"ACCT_ID": "0123456", "PRINCIPAL": "10", "LPSC": ".05", "DEPOSIT": "300.5", "MODE": "POSTPAID"} | {
    "SUPPLY_TYPE": "10"
}
CONTROL = {"DIV_CODE": "DIV1", "DIV_NAME": "Phoolbagh", "ACCOUNTS": "1", "PRINCIPAL": "10", "LPSC": "0.05"} | {
    "TOTAL_OUTSTANDING": "10.05",
    "BILLED_UNITS": "20.5",
}
GOOD = {"master": MASTER, "billed": BILLED, "meters": METERS, "heads": HEADS, "control": CONTROL}


def row(kind: str, **changed: str) -> str:
    cells = GOOD[kind] | {
        name.replace("_", " ") if name == "TOTAL_OUTSTANDING" else name: changed[name] for name in changed
    }
    return ",".join(cells.get(name, "") for name in columns_of(kind))


def content(kind: str, *rows: str) -> bytes:
    return "".join(f"{line}\n" for line in (",".join(columns_of(kind)), *rows)).encode()


def read(data: bytes, kind: str = "master") -> tuple[Facts, list[StagedLine]]:
    file = io.BytesIO(data)
    facts = open_handover(file, kind=kind, size=len(data))
    return facts, list(read_rows(file, facts, kind))


def only(data: bytes, kind: str = "master") -> StagedLine:
    _, rows = read(data, kind)
    assert len(rows) == 1
    return rows[0]


def flaws(data: bytes, kind: str = "master") -> list[list[str]]:
    return [line.rules for line in read(data, kind)[1]]


# ── clean rows ────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES: Mapping[str, dict[str, object]] = {
    "master": {
        "mobile": "9800000001",
        "name": "Asha Devi",
        "address": "12 Mall Road",
        "category": "LMV-1",
        "load_w": 2500,
        "substation": "Phoolbagh",
        "feeder": "F 3",
        "outstanding_paise": -47,
    },
    "billed": {
        "book": "123456789012",
        "name": "Asha Devi",
        "category": "LMV-1",
        "load_w": 2500,
        "load_unit": "KW",
        "substation": "",
        "feeder": "",
        "meter": "M1",
        "smart": True,
        "bill_basis": "MU",
        "payable_paise": 15000,
        "bill_day": DAY,
        "billed_wh": 20500,
        "bill_number": "B1",
        "assessed_paise": 15010,
        "division_code": "DIV1",
        "previous_wh": 100_000,
        "previous_day": dt.date(2026, 5, 7),
        "present_wh": 120_500,
        "present_day": DAY,
        "factor": 1,
        "demand_w": 1250,
    },
    "meters": {"meter": "M1"},
    "heads": {
        "principal_paise": 1000,
        "lpsc_paise": 5,
        "deposit_paise": 30050,
        "prepaid_paise": 0,
        "mode": "postpaid",
        "supply_type": "10",
    },
    "control": {
        "division_code": "DIV1",
        "division_name": "Phoolbagh",
        "accounts": 1,
        "principal_paise": 1000,
        "lpsc_paise": 5,
        "deposit_paise": 0,
        "prepaid_paise": 0,
        "outstanding_paise": 1005,
        "billed_wh": 20500,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_row_reads_to_its_values(kind: str) -> None:
    line = only(content(kind, row(kind)), kind)
    assert line.values == VALUES[kind]
    assert (line.rules, line.said) == ([], {})
    assert (line.account, line.key) == (("", "") if kind == "control" else ("0123456", "123456"))
    assert line.line == 2 and line.raw == row(kind).encode() + b"\n" and len(line.digest) == 16


def test_the_billed_file_has_its_63_columns() -> None:
    assert len(columns_of("billed")) == len(set(columns_of("billed"))) == 63
    assert "EXECPTION_CODE" in columns_of("billed")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("kind", KINDS)
def test_styles_change_no_value(kind: str, mark: bytes, newline: bytes) -> None:
    names = list(reversed(columns_of(kind)))
    cells = ['"' + GOOD[kind].get(name, "") + '"' for name in names]
    lines = ["", " ", ", ".join(names), "", ",".join(cells), " "]
    data = mark + newline.join(text.encode() for text in lines) + newline
    facts, rows = read(data, kind)
    assert [line.values for line in rows] == [VALUES[kind]] and rows[0].rules == [] and rows[0].line == 5
    assert facts.blank_lines_before_header == 2 and facts.rows == 1 and facts.header == tuple(names)
    assert facts.newline == ("LF" if newline == b"\n" else "CRLF")
    assert facts.encoding == ("utf-8-sig" if mark else "utf-8")


def test_facts_of_a_file() -> None:
    data = content("billed", row("billed"), row("billed", CA=".5", AMOUNT_PAYABLE=""))
    facts, _ = read(data, "billed")
    assert facts.date_styles == ("07-JUN-26", "2026-06-07")
    assert facts.amount_styles == ("1234.50", "1234", ".34", "blank")
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert not facts.ends_without_newline and read(data[:-1], "billed")[0].ends_without_newline
    flawed = content("billed", row("billed", PREV_RDG_DATE="77-XXX-26", CUR_RDG_DATE="07-JUN-26", CA="x.y"))
    assert read(flawed, "billed")[0].date_styles == ("07-JUN-26",)
    assert read(flawed, "billed")[0].amount_styles == ("1234",)


def test_copies_have_one_digest_whatever_their_line_end() -> None:
    _, (first, other, copy) = read(content("meters", "0000001,A", "0000001,B", "0000001,A")[:-1], "meters")
    assert first.digest == copy.digest != other.digest


@pytest.mark.parametrize(("unit", "load_w"), [("KW", 10_000), ("kva", 10_000), ("BHP", 7_460)])
def test_loads_in_each_unit(unit: str, load_w: int) -> None:
    line = only(content("billed", row("billed", SANCTION_LOAD="10", SANCTION_LOAD_UOM=unit)), "billed")
    assert (line.values["load_w"], line.values["load_unit"], line.rules) == (load_w, unit.upper(), [])


@pytest.mark.parametrize(
    ("text", "day"),
    [("31-DEC-49", dt.date(2049, 12, 31)), ("01-JAN-50", dt.date(1950, 1, 1)), ("2024-02-29", dt.date(2024, 2, 29))],
)
def test_days(text: str, day: dt.date) -> None:
    assert only(content("billed", row("billed", BILL_DATE=text)), "billed").values["bill_day"] == day


@given(
    account=st.from_regex(r"[0-9]{6,8}", fullmatch=True),
    name=st.text("abc रमेश,\"'é", min_size=1).map(str.strip).filter(bool),
    paise=st.integers(-(10**12), 10**12),
    load_w=st.integers(0, 10**7),
)
def test_what_a_writer_writes_is_read_back(account: str, name: str, paise: int, load_w: int) -> None:
    sign, rupees = "-" if paise < 0 else "", divmod(abs(paise), 100)
    quoted = '"' + name.replace('"', '""') + '"'
    outstanding = f"{sign}{rupees[0]}.{rupees[1]:02d}"
    load = f"{load_w // 1000}.{load_w % 1000:03d}"
    text = row("master", ACCT_ID=account, ADDRESS=quoted, LOAD=load, TOTAL_OUTSTANDING=outstanding)
    line = only(content("master", text))
    assert line.rules == [] and line.account == account and line.key == (account.lstrip("0") or "0")
    wanted = {"address": name, "outstanding_paise": paise, "load_w": load_w}
    assert {column: line.values[column] for column in wanted} == wanted


@pytest.mark.parametrize(
    ("present", "factor", "fits"), [(10**6, 10**6, True), (10**6 + 1, 10**6, False), (10**12, 1, True)]
)
def test_a_register_times_its_factor_can_be_summed_over_a_state(present: int, factor: int, fits: bool) -> None:
    line = only(content("billed", row("billed", PREV_RDG_KWH="0", CUR_RDG_KWH=str(present), MF=str(factor))), "billed")
    assert (line.rules, line.values["factor"]) == (([], factor) if fits else (["MIG-23"], None))


# ── flawed rows ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "changed", "rule", "said", "column"),
    [
        ("meters", {"SERIAL_NBR": "  M1 "}, "MIG-03", "SERIAL_NBR “  M1 ”", ""),
        ("billed", {"METER_SERIAL_NBR": "M1  "}, "MIG-03", "METER_SERIAL_NBR “M1  ”", ""),
        ("master", {"NAME": "आशा Devi"}, "MIG-17", "NAME “आशा Devi”", ""),
        ("master", {"LOAD": "two"}, "MIG-23", "LOAD “two”", "load_w"),
        ("master", {"LOAD": "-2"}, "MIG-23", "LOAD “-2”", "load_w"),
        ("master", {"LOAD": "9999999"}, "MIG-23", "LOAD “9999999”", "load_w"),
        ("master", {"TOTAL_OUTSTANDING": "1.005"}, "MIG-23", "TOTAL OUTSTANDING “1.005”", "outstanding_paise"),
        ("master", {"TOTAL_OUTSTANDING": "."}, "MIG-23", "TOTAL OUTSTANDING “.”", "outstanding_paise"),
        ("master", {"TOTAL_OUTSTANDING": "1e3"}, "MIG-23", "TOTAL OUTSTANDING “1e3”", "outstanding_paise"),
        ("master", {"TOTAL_OUTSTANDING": "१२"}, "MIG-23", "TOTAL OUTSTANDING “१२”", "outstanding_paise"),
        ("billed", {"BILL_DATE": "31-JUN-26"}, "MIG-23", "BILL_DATE “31-JUN-26”", "bill_day"),
        ("billed", {"BILL_DATE": "07/06/2026"}, "MIG-23", "BILL_DATE “07/06/2026”", "bill_day"),
        ("billed", {"CUR_RDG_KWH": "-1"}, "MIG-23", "CUR_RDG_KWH “-1”", "present_wh"),
        ("billed", {"MF": "0"}, "MIG-23", "MF “0”", "factor"),
        ("billed", {"SANCTION_LOAD_UOM": "HP"}, "MIG-23", "SANCTION_LOAD_UOM “HP”", "load_unit"),
        ("heads", {"MODE": "CASH"}, "MIG-23", "MODE “CASH”", "mode"),
        ("heads", {"DEPOSIT": "-1"}, "MIG-23", "DEPOSIT “-1”", "deposit_paise"),
        ("control", {"ACCOUNTS": "1.5"}, "MIG-23", "ACCOUNTS “1.5”", "accounts"),
        ("master", {"NAME": " "}, "MIG-24", "NAME", "name"),
        ("billed", {"PREV_RDG_KWH": ""}, "MIG-24", "PREV_RDG_KWH", "previous_wh"),
        ("billed", {"CUR_RDG_DATE": ""}, "MIG-24", "CUR_RDG_DATE", "present_day"),
        ("billed", {"METER_SERIAL_NBR": "  "}, "MIG-24", "METER_SERIAL_NBR", "meter"),
        ("meters", {"SERIAL_NBR": "  "}, "MIG-24", "SERIAL_NBR", "meter"),
        ("heads", {"MODE": ""}, "MIG-24", "MODE", "mode"),
    ],
)
def test_a_flaw_is_told_by_its_rule(kind: str, changed: dict[str, str], rule: str, said: str, column: str) -> None:
    line = only(content(kind, row(kind, **changed)), kind)
    assert (line.rules, line.said) == ([rule], {rule: said})
    expected = VALUES[kind] | ({column: None} if column else {})
    if rule == "MIG-17":
        expected |= {"name": changed["NAME"]}
    assert line.values == expected and line.account == ("" if kind == "control" else "0123456")


def test_what_is_no_flaw_of_a_row_is_not_accused() -> None:
    empties = dict.fromkeys(("BOOK_NO", "BILL_ID", "CA", "AMOUNT_PAYABLE", "BILLED_UNITS", "MDI", "MF"), "")
    line = only(content("billed", row("billed", **empties, MR_SOURCE_CD="MR")), "billed")
    assert line.rules == [] and line.values["demand_w"] is None and line.values["smart"] is False
    odd = row(
        "master", ACCT_ID="1234", MOBILE_NO="12345", CATEGORY="XYZ", LOAD="0", NAME="रमेश १2", TOTAL_OUTSTANDING=""
    )
    line = only(content("master", odd))
    assert line.rules == [] and line.values["category"] == "XYZ" and line.values["outstanding_paise"] == 0
    assert only(content("billed", row("billed", NAME="आशा Devi")), "billed").rules == []


@pytest.mark.parametrize("kind", ["master", "billed"])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("address", ["12, Mall Road", "12, Mall, Road", ",", "12 Mall Road,", ",12 Mall Road"])
def test_a_comma_goes_back_into_the_address(kind: str, shuffled: bool, address: str) -> None:
    names = list(columns_of(kind))
    if shuffled:
        names = names[5:] + names[:5]
    cells = GOOD[kind] | {"ADDRESS": address}
    data = "\n".join([",".join(names), ",".join(cells.get(name, "") for name in names), ""]).encode()
    line = only(data, kind)
    assert line.rules == ["MIG-01"] and line.account == "0123456" and line.said["MIG-01"].startswith("ADDRESS “")
    assert line.values == VALUES[kind] | ({"address": address.strip()} if kind == "master" else {})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("master", row("master") + ","),
        ("master", row("master", FEEDER="F,3")),
        ("billed", row("billed", BILL_ID="B,1")),
        ("heads", row("heads", PRINCIPAL="1,000")),
        ("master", row("master").replace("Asha Devi,", "")),
        ("master", row("master", NAME='Asha "Devi')),
        ("master", row("master", ADDRESS='"12 Mall" Road')),
        ("master", ",".join(f'"{cell}"' for cell in row("master").split(",")).replace("Mall", '"Mall"')),
        ("master", row("master", NAME="Asha\rDevi")),
        ("master", row("master", NAME="Asha\x01Devi")),
        ("meters", "0123456," + "M" * LONGEST_LINE),
    ],
)
def test_a_row_that_is_none_is_held_with_its_account(kind: str, text: str) -> None:
    _, lines = read(content(kind, text, row(kind)), kind)
    assert [line.rules for line in lines] == [["MIG-22"], []]
    assert lines[0].account == "0123456" and set(lines[0].values.values()) == {None}
    assert lines[0].values.keys() == lines[1].values.keys() and [line.line for line in lines] == [2, 3]


def test_the_account_of_a_broken_row_is_not_guessed() -> None:
    names = (*columns_of("heads")[1:], "ACCT_ID")
    rows = ["10,.05,300.5,,POSTPAID,10,9,0123456", "10,,POSTPAID,0123456", "10,,POSTPAID,0123456,0123457,1,1,1,1"]
    data = "\n".join([",".join(names), *rows, ""]).encode()
    _, lines = read(data, "heads")
    assert [(line.account, line.rules) for line in lines] == [("0123456", ["MIG-22"])] + [("", ["MIG-22"])] * 2


def test_a_last_line_that_is_cut_off() -> None:
    whole = content("master", row("master"), row("master", NAME="आशा", ADDRESS='"12, Mall Road"'))
    start = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for end in range(start + 1, len(whole) - 1):
        _, lines = read(whole[:end])
        cut = lines[-1]
        if whole[start:end].count(b",") < 13:  # one comma stands in the address
            assert cut.rules == ["MIG-21"], whole[start:end]
            assert cut.account == ("0123456" if end > start + 7 else "")
        assert lines[0].rules == []


def test_bytes_of_windows_in_a_file_of_utf_8() -> None:
    good = row("master", NAME="आशा").encode() + b"\n"
    bad = row("master", ADDRESS="Caf? आ").encode().replace(b"?", b"\xe9") + b"\n"
    neither = row("master", ADDRESS="Caf?").encode().replace(b"?", b"\x81") + b"\n"
    facts, lines = read(content("master") + good + bad + neither)
    assert facts.encoding == "utf-8"
    assert [line.rules for line in lines] == [[], ["MIG-20"], ["MIG-22"]]
    assert lines[1].said == {"MIG-20": "0xE9"} and lines[1].values["address"] == "Café आ"
    assert lines[2].account == "0123456"
    mark = b"\xef\xbb\xbf"
    assert flaws(mark + content("master") + bad) == [["MIG-20"]]


def test_a_file_in_windows_1252_accuses_nobody() -> None:
    text = row("master", ADDRESS="Café – Road").encode("cp1252") + b"\n"
    facts, lines = read(content("master", row("master")) + text)
    assert facts.encoding == "cp1252" and [line.rules for line in lines] == [[], []]
    assert lines[1].values["address"] == "Café – Road"


def test_a_letter_cut_in_two_makes_no_file_windows_1252() -> None:
    cut = row("master", NAME="आशा").encode()[:20]
    facts, lines = read(content("master", row("master")) + cut)
    assert facts.encoding == "utf-8" and lines[1].rules == ["MIG-21"]


def test_a_very_long_number_is_shortened() -> None:
    line = only(content("meters", "1" * 5000 + ",M1"), "meters")
    assert line.account == "1" * 40
    assert only(content("meters", "000000,M1"), "meters").key == "0"


def test_said_is_short() -> None:
    text = row("billed", **dict.fromkeys(BILLED, "x" * 500))
    assert all(len(said) <= 120 for said in only(content("billed", text), "billed").said.values())


# ── corrections ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_corrected_column_is_read_in_place_of_what_is_written() -> None:
    facts, (line,) = read(content("billed", row("billed", CUR_RDG_KWH="12O")), "billed")
    assert line.rules == ["MIG-23"]
    mended = read_line(line.raw, facts, "billed", {"CUR_RDG_KWH": "120.5"}, line=2)
    assert mended.rules == [] and mended.values == VALUES["billed"]
    assert (mended.digest, mended.raw, mended.line) == (line.digest, line.raw, 2)
    assert read_line(line.raw, facts, "billed", {}, line=2) == line
    _, (line,) = read(content("billed", row("billed", CUR_RDG_KWH="12O", ADDRESS="1, Mall")), "billed")
    assert line.rules == ["MIG-22"]  # two flaws that hide each other, until one is corrected
    assert read_line(line.raw, facts, "billed", {"CUR_RDG_KWH": "120.5"}).rules == ["MIG-01"]
    cut = row("billed").encode()[:30]
    assert read_line(cut, facts, "billed", {"NAME": "Asha"}).rules == ["MIG-21"]


@pytest.mark.parametrize("changes", [{"NO SUCH": "1"}, {"NAME": "a\nb"}, {"NAME": "a\0"}])
def test_a_correction_that_cannot_stand_is_refused(changes: dict[str, str]) -> None:
    facts, (line,) = read(content("master", row("master")))
    with pytest.raises(FormatError) as refused:
        read_line(line.raw, facts, "master", changes)
    assert refused.value.next_step


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"", 1, "the file is empty"),
        (b"\n \n\r\n", 1, "the file is empty"),
        (b"\xef\xbb\xbf\n", 1, "the file is empty"),
        (content("master"), 1, "there is a header and no row"),
        (b"\n" + content("master", "", " "), 2, "there is a header and no row"),
        (content("meters", row("meters")), 1, "this is the header of a meters file, not of a master file"),
        (content("heads", row("heads")), 1, "of a heads file"),
        (content("billed", row("billed")), 1, "of a billed file"),
        (content("control", row("control")), 1, "of a control file"),
        (content("master", row("master")).replace(b"LAT,", b""), 1, "the column LAT is missing"),
        (content("master", row("master")).replace(b"LAT,", b"LAT,LAT,"), 1, "the column LAT stands twice"),
        (content("master", row("master")).replace(b"LAT,", b"LAT,DOB,"), 1, "the column “DOB” is not known"),
        (content("master", row("master")).replace(b"LAT,", b'LA"T,'), 1, "stray quote"),
        (content("master", row("master", NAME="a\0b")), 2, "NUL"),
        (content("master", "x" * (LONGEST_LINE + 9) + "\0"), 2, "NUL"),
        (content("master", row("master")).decode().encode("utf-16"), 1, "UTF-16"),
        (b"PK\x03\x04 no table\n", 1, "the column ACCT_ID is missing"),
        (b"x" * (LONGEST_LINE + 9), 1, "longer than 64 KB"),
    ],
)
def test_a_file_in_doubt_is_refused(data: bytes, line: int, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        read(data)
    assert refused.value.line == line and refused.value.next_step


def test_a_file_that_changes_is_refused() -> None:
    data = content("meters", row("meters"))
    with pytest.raises(FormatError, match=f"{len(data)} bytes could be read of 99"):
        open_handover(io.BytesIO(data), kind="meters", size=99)
    facts, _ = read(data, "meters")
    with pytest.raises(FormatError, match="2 rows, 1 when it was first read"):
        list(read_rows(io.BytesIO(data + b"1,2\n"), facts, "meters"))


_PIECES = st.sampled_from([b",", b'"', b"\n", b"\r\n", b"\r", b"0123456", b".5", b"07-JUN-26", b" ", b"\xe9", b"\0"])
_NOISE = st.lists(st.one_of(_PIECES, st.binary(max_size=6)), max_size=30).map(b"".join)


@given(kind=st.sampled_from(KINDS), before=st.sampled_from([b"", b"\n"]), noise=_NOISE, with_header=st.booleans())
def test_any_bytes_are_rows_or_a_format_error(kind: str, before: bytes, noise: bytes, with_header: bool) -> None:
    data = before + (content(kind, row(kind)) if with_header else b"") + noise
    try:
        facts, lines = read(data, kind)
    except FormatError as error:
        assert error.next_step and str(error)
        assert not with_header or b"\0" in noise
        return
    assert len(lines) == facts.rows > 0 and with_header
    body = b"".join(data.splitlines(keepends=True)[facts.blank_lines_before_header + 1 :])
    assert b"".join(line.raw for line in lines).split() == body.split()
    for line in lines:
        assert line.rules == sorted(line.said) and line.values.keys() == VALUES[kind].keys()
        assert read_line(line.raw, facts, kind, {}, line=line.line) == line


@given(kind=st.sampled_from(KINDS), data=st.data())
def test_any_cells_are_values_or_told(kind: str, data: st.DataObject) -> None:
    """A value is None only where a rule says so (MDI may be empty)."""
    odd = st.text('0123456789.-,"\u0966é KWMSJUN', max_size=12)
    column = data.draw(st.sampled_from(columns_of(kind)))
    text = data.draw(odd)
    quoted = '"' + text.replace('"', '""') + '"'
    cells = GOOD[kind] | {column: quoted}
    line = only(content(kind, ",".join(cells.get(name, "") for name in columns_of(kind))), kind)
    unread = [name for name, value in line.values.items() if value is None and name != "demand_w"]
    assert bool(unread) == bool({"MIG-23", "MIG-24"} & set(line.rules)) or column == "MDI"


class Made(io.RawIOBase):
    """A large file that is made while it is read: `first`, then `piece` so many times."""

    def __init__(self, first: bytes, piece: bytes, times: int) -> None:
        self.first, self.piece = first, piece
        self.size, self.at = len(first) + len(piece) * times, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        behind = self.at - len(self.first)
        part = self.first[self.at :] if behind < 0 else self.piece[behind % len(self.piece) :]
        part = part[: min(len(buffer), self.size - self.at)]
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)


@pytest.mark.parametrize(
    ("piece", "rows"),
    [(row("billed", ADDRESS="x" * 4000).encode() + b"\n", 3001), (b"x" * 4096, 2), (b" " * 4095 + b"\n", 1)],
)
def test_memory_stays_flat(piece: bytes, rows: int) -> None:
    raw = Made(content("billed", row("billed")), piece, 3000)
    assert raw.size > 12_000_000
    file = io.BufferedReader(raw)
    tracemalloc.start()
    try:
        facts = open_handover(file, kind="billed", size=raw.size)
        count = sum(1 for _ in read_rows(file, facts, "billed"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == facts.rows == rows and peak < 5_000_000


def test_a_file_of_more_lines_than_a_division_can_have_is_refused_before_it_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "MOST_LINES", 20_000)

    class Endless(io.BytesIO):
        read_lines = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            self.read_lines += 1
            return b"\n" if self.read_lines > 1 else b"ACCT_ID,SERIAL_NBR\n"

    file = Endless()
    with pytest.raises(FormatError, match="no division has so many accounts"):
        open_handover(file, kind="meters", size=5 << 30)
    assert file.read_lines == 20_001
