"""Taking a hand-over in: each rule both ways, the same files twice, corrections by file and by two people, refusals."""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.db import IntegrityError

from khata.commands.main import main
from khata.discoms.models import Discom
from khata.formats.text import FormatError
from khata.metering.models import Meter
from khata.migration import intake, staging
from khata.migration.intake import Loaded, reload
from khata.migration.models import Account, Act, File, Finding, Proposal, SourceRow, StagedRow, Wave
from khata.migration.operations import ProposalError, decide, propose
from khata.migration.profiling import profile
from khata.migration.queries import accepted, counts, exceptions, newest_files, open_proposals, state
from khata.migration.rules import rules
from tests.cast import ASHA as LIVE_ASHA
from tests.cast import GUMTI, JAJMAU, KESCO, PVVNL, Town, town
from tests.database import Database
from tests.migration.handover import (
    ASHA,
    BINA,
    CHARAN,
    DIVISIONS,
    DUKAN,
    ELA,
    FARID,
    GITA,
    NOW,
    SMALL,
    TODAY,
    Changes,
    edit,
    line_of,
    load_small,
    two_people,
    write_small,
)

GUMTI_CODE, JAJMAU_CODE = DIVISIONS[GUMTI], DIVISIONS[JAJMAU]
KINDS = ("master", "billed", "meters", "heads")
A, B, D, F = ASHA.number, BINA.number, DUKAN.number, FARID.number


@pytest.fixture(scope="module")
def built(module_database: Database) -> Town:
    """One connection is live already: Asha of the cast, old number 1234567, meter SMART-1. A meter hangs nowhere."""
    made = town([LIVE_ASHA])
    Meter.objects.create(serial="ANOTHER-COMPANYS", discom=Discom.objects.get(code=PVVNL), smart=False)
    return made


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return tmp_path / "handover"


@dataclass(frozen=True)
class Flaw:
    """What is wrong with one account of its own, `changes` by kind of file, and which of its rows are accused."""

    rule: str
    kinds: str
    outcome: str
    changes: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    old: Mapping[str, object] = field(default_factory=dict)


# Flaws that stand in columns: each on an account of its own, all in one hand-over.
FLAWS = (
    Flaw("MIG-03", "meters", "repaired", {"meters": {"SERIAL_NBR": "  M7700000 "}}),
    Flaw("MIG-08", "heads", "repaired", {"heads": {"ACCT_ID": "7700001"}}, {"number": "07700001"}),
    Flaw("MIG-09", "master billed meters heads", "held", old={"number": "12E4501"}),
    Flaw("MIG-09", "master billed meters heads", "held", old={"number": "54321"}),
    Flaw("MIG-10", "master billed meters", "held", {"heads": None}),
    Flaw("MIG-11", "billed", "held", {"billed": {"CUR_RDG_KWH": "999.999"}}),
    Flaw("MIG-12", "master billed", "held", {"master": {"LOAD": "0"}, "billed": {"SANCTION_LOAD": "0.00"}}),
    Flaw("MIG-12", "master", "repaired", {"master": {"LOAD": "0"}}),
    Flaw("MIG-12", "billed", "repaired", {"billed": {"SANCTION_LOAD": "0"}}),
    Flaw("MIG-13", "master", "repaired", {"master": {"MOBILE_NO": "987650000"}}),
    Flaw("MIG-15", "heads", "held", {"heads": {"SUPPLY_TYPE": "99"}}),
    Flaw("MIG-15", "master", "held", {"master": {"CATEGORY": "LMV-12"}}),
    Flaw("MIG-15", "billed", "held", {"billed": {"TARIFF_TYPE": "LMV99"}}),
    Flaw("MIG-16", "heads", "held", {"heads": {"SUPPLY_TYPE": "20"}}),
    Flaw("MIG-16", "heads", "held", {"billed": {"TARIFF_TYPE": "LMV2"}}),
    Flaw("MIG-17", "master", "repaired", {"master": {"NAME": "आशा Devi"}}),
    Flaw("MIG-17", "billed", "repaired", {"billed": {"NAME": "ASHA DEVI"}}),
    Flaw("MIG-18", "master", "held", {"master": {"TOTAL OUTSTANDING": "1512.74"}}),
    Flaw("MIG-23", "heads", "held", {"heads": {"DEPOSIT": "#REF!"}}),
    Flaw("MIG-24", "billed", "held", {"billed": {"CUR_RDG_DATE": ""}}),
    Flaw("MIG-25", "billed", "held", {"billed": {"BILL_DATE": "11-MAR-24"}}),
    Flaw("MIG-25", "billed", "held", {"billed": {"PREV_RDG_DATE": "1989-12-31"}}),
    Flaw("MIG-25", "billed", "held", {"billed": {"PREV_RDG_DATE": "01-MAR-24"}}),
    Flaw("MIG-26", "master", "held", old={"principal": "200000.01", "lpsc": "0"}),
    Flaw("MIG-27", "billed", "held", {"billed": {"SANCTION_LOAD": "3"}}),
    Flaw("MIG-28", "billed", "held", {"billed": {"DIV_CODE": JAJMAU_CODE}}),
    Flaw("MIG-29", "master", "held", old={"number": "1234567"}),
    Flaw("MIG-30", "meters", "held", old={"meter": "SMART-1"}),
    Flaw("MIG-30", "meters", "held", old={"meter": "ANOTHER-COMPANYS"}),
    Flaw("MIG-31", "billed", "held", {"billed": {"METER_SERIAL_NBR": "M0"}}),
)
# What is as large, as old or as many as it may be, or only another way of writing.
INNOCENT = (
    Flaw("MIG-08", "", "", old={"number": "00770002"}),
    Flaw("MIG-11", "", "", {"billed": {"CUR_RDG_KWH": "1000", "BILLED_UNITS": "120"}}),
    Flaw("MIG-13", "", "", {"master": {"MOBILE_NO": "+91 98765-00001"}}),
    Flaw("MIG-15", "", "", {"master": {"CATEGORY": "lmv1"}, "billed": {"TARIFF_TYPE": "LMV-1"}}),
    Flaw("MIG-20", "", "", {"master": {"ADDRESS": "Café – 12"}}),
    Flaw("MIG-25", "", "", {"billed": {"BILL_DATE": "2024-03-10", "PREV_RDG_DATE": "01-JAN-90"}}),
    Flaw("MIG-25", "", "", {"billed": {"PREV_RDG_DATE": "29-FEB-24"}}),
    Flaw("MIG-26", "", "", old={"principal": "200000.00", "lpsc": ""}),
    Flaw("MIG-27", "", "", {"billed": {"SANCTION_LOAD": "2.2", "SANCTION_LOAD_UOM": "KVA"}}),
    Flaw("MIG-28", "", "", {"billed": {"DIV_CODE": GUMTI_CODE.lower()}}),
    *(Flaw("MIG-14", "", "", old={"mobile": "9898989898"}) for _ in range(10)),
)


def hand_over(folder: Path, flaws: tuple[Flaw, ...]) -> dict[str, Flaw]:
    """The small hand-over with an account more for each flaw; by the numbers of these."""
    made, changes = {}, {}
    for n, flaw in enumerate(flaws):
        old = ASHA.with_(**{"number": f"{7700000 + n}", "mobile": f"98765{n:05d}", **flaw.old})
        made[old] = flaw
        changes.update({(kind, old.number): columns for kind, columns in flaw.changes.items()})
    write_small(folder, accounts=(*SMALL, *made), changes=changes)
    return {old.number: flaw for old, flaw in made.items()}


def accused(wave: Wave) -> set[tuple[str, str, str, str]]:
    """Rule, kind of file, account as it is written, outcome; without the totals, which a missing row upsets."""
    rows = Finding.objects.filter(wave=wave).exclude(rule="MIG-19")
    return set(rows.values_list("rule", "file__kind", "account", "outcome"))


def test_a_flaw_in_a_column_is_found_and_nobody_else_is_accused(built: Town, small: Path) -> None:
    flaws = hand_over(small, FLAWS)
    wave = load_small(small, wave="columns")
    wanted = set()
    for number, flaw in flaws.items():
        for kind in flaw.kinds.split():
            text = number[1:] if flaw.rule == "MIG-08" else number
            wanted.add((flaw.rule, kind, text, flaw.outcome))
    assert accused(wave) == wanted
    for account in Account.objects.filter(wave=wave):
        flaw = flaws.get(account.old_number)
        assert (account.outcome, account.rules) == ((flaw.outcome, [flaw.rule]) if flaw else ("migrated", []))
    for row in StagedRow.objects.filter(wave=wave).exclude(kind="control"):
        flaw = flaws.get(row.account) or flaws.get(f"0{row.account}")
        own = flaw is not None and (flaw.outcome == "held" or row.kind in flaw.kinds)
        assert row.outcome == (flaw.outcome if flaw and own else "migrated"), (row.kind, row.account)


def test_what_is_just_within_a_rule_is_not_accused(built: Town, small: Path) -> None:
    hand_over(small, INNOCENT)
    wave = load_small(small, wave="innocent")
    assert accused(wave) == set()
    assert Account.objects.filter(wave=wave).exclude(outcome="migrated").count() == 0


def in_lines(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    file.write_text("\n".join(change(file.read_text(encoding="utf-8").split("\n"))), encoding="utf-8")


def test_flaws_of_lines_and_of_several_accounts(built: Town, small: Path) -> None:
    """Two divisions, a flaw to an account: in bytes, in copies, in what several accounts share."""
    crowd = tuple(FARID.with_(number=f"44500{n:02d}", mobile="9898989898", division=JAJMAU) for n in range(11))
    shared = (DUKAN.with_(meter="M9"), GITA.with_(meter="M9"))
    write_small(small, accounts=(ASHA, BINA, CHARAN, ELA, FARID, *shared, *crowd, *SMALL[7:]))
    master, billed, meters, heads = (small / f"{kind}_{GUMTI_CODE}.csv" for kind in KINDS)
    edit(master, "आशा देवी,12/5 Gumti", "आशा देवी,12/5, Gumti")
    row_of = {line.split(",")[0]: line for line in heads.read_text(encoding="utf-8").split("\n")}
    in_lines(heads, lambda lines: ["", "", *lines[:-1], row_of[CHARAN.number], row_of[BINA.number][1:], ""])
    in_lines(heads, lambda lines: [*lines[:-1], row_of[ELA.number].replace("300", "301"), ""])
    master.write_bytes(master.read_bytes().replace(b"FARID KHAN,12/5", b"FARID KHAN,Caf\xe9"))
    edit(meters, f"{CHARAN.number},", f"{CHARAN.number},X,")
    in_lines(billed, lambda lines: [*lines[:-2], ",".join(lines[-2].split(",")[:20])])  # the last is Dukan's
    far = small / f"meters_{JAJMAU_CODE}.csv"
    in_lines(far, lambda lines: [*lines[:-2], lines[-2].split(",")[0]])  # cut behind the number
    wave = load_small(small, wave="lines")
    last = SMALL[-1].number
    assert accused(wave) == {
        ("MIG-01", "master", ASHA.number, "repaired"),
        ("MIG-02", "heads", "", "noted"),
        ("MIG-04", "meters", DUKAN.number, "held"),
        ("MIG-04", "meters", GITA.number, "held"),
        ("MIG-05", "heads", CHARAN.number, "held"),
        ("MIG-06", "heads", ELA.number, "held"),
        ("MIG-07", "heads", BINA.number, "held"),
        ("MIG-07", "heads", BINA.number[1:], "held"),
        *(("MIG-14", "master", old.number, "repaired") for old in crowd),
        ("MIG-20", "master", FARID.number, "repaired"),
        ("MIG-21", "billed", DUKAN.number, "held"),
        ("MIG-21", "meters", last, "held"),
        ("MIG-22", "meters", CHARAN.number, "held"),
    }
    assert Finding.objects.filter(wave=wave, rule="MIG-06").count() == 2
    copy = Finding.objects.get(wave=wave, rule="MIG-05")
    assert (copy.line, copy.amount_paise) == (line_of(heads, ASHA.number) + 6, 1512_75)
    held = set(Account.objects.filter(wave=wave, outcome="held").values_list("old_number", flat=True))
    assert held == {old.number for old in (DUKAN, GITA, ELA, BINA, CHARAN)} | {last}
    shared_mobile = Account.objects.get(wave=wave, old_number=crowd[0].number)
    assert (shared_mobile.mobile, shared_mobile.mobile_key) == ("9898989898", "")
    assert "9898989898" not in " ".join(Finding.objects.filter(wave=wave).values_list("said", flat=True))


def test_a_copy_alone_leaves_its_account_as_it_is(built: Town, small: Path) -> None:
    write_small(small, changes={("control", GUMTI): {"LPSC": "49.01"}})
    in_lines(small / f"heads_{GUMTI_CODE}.csv", lambda lines: [*lines[:-1], lines[1], ""])
    wave = load_small(small, wave="copy")
    assert accused(wave) == {("MIG-05", "heads", ASHA.number, "held")}
    assert Account.objects.get(wave=wave, old_number=ASHA.number).outcome == "migrated"
    total = Finding.objects.get(wave=wave, rule="MIG-19")
    assert (total.line, total.said) == (2, "PRINCIPAL, LPSC, DEPOSIT")


def test_every_rule_is_tried() -> None:
    here = {
        "MIG-01",
        "MIG-02",
        "MIG-04",
        "MIG-05",
        "MIG-06",
        "MIG-07",
        "MIG-14",
        "MIG-19",
        "MIG-20",
        "MIG-21",
        "MIG-22",
    }
    assert {flaw.rule for flaw in FLAWS} | here == set(rules())


def test_accounts_carry_what_the_files_say(built: Town, small: Path) -> None:
    changes: Changes = {("master", A): {"LOAD": "0", "MOBILE_NO": "12345"}, ("heads", B): {"ACCT_ID": B[1:]}}
    wave = load_small(write_small(small, changes=changes), wave="values")
    asha, bina, ela = (Account.objects.get(wave=wave, old_number=old.number) for old in (ASHA, BINA, ELA))
    assert (asha.load_w, asha.mobile, asha.mobile_key) == (2000, "12345", "")
    assert (bina.principal_paise, bina.lpsc_paise, bina.deposit_paise) == (-250_00, 0, 300_00)
    assert (ela.mode, ela.prepaid_paise, ela.category, ela.area) == ("prepaid", 150_25, "LMV-1", "urban")
    shop = Account.objects.get(wave=wave, old_number=D)
    assert (shop.factor, shop.present_wh, shop.billed_wh, shop.demand_w) == (2, 1_120_000, 240_000, 1_200)
    assert Account.objects.get(wave=wave, old_number="03234509").area == "rural"
    heads = StagedRow.objects.filter(file_id=asha.heads_file_id, kind="heads", account=A)
    assert list(heads.values_list("line", flat=True)) == [asha.heads_line]


def test_bytes_are_kept_as_they_came(built: Town, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_ROWS", 2)
    wave = load_small(write_small(small), wave="bytes")
    file = File.objects.get(wave=wave, kind="billed", division__name_en=GUMTI)
    rows = SourceRow.objects.filter(file_id=file.id).order_by("line").values_list("raw", flat=True)
    assert b"".join(map(bytes, rows)) == (small / file.name).read_bytes().split(b"\n", 1)[1]


# -- again -------------------------------------------------------------------------------------------------------------


def everything(wave: Wave) -> list[object]:
    models = (File, StagedRow, Account, Finding, Act)
    rows = [list(model.objects.filter(wave=wave).order_by("pk").values()) for model in models]
    return [rows, list(Account.objects.filter(wave=wave).order_by("id").values_list("id", "outcome"))]


def test_the_same_files_again_change_nothing(built: Town, small: Path) -> None:
    changes: Changes = {("heads", A): None, ("master", B): {"LOAD": "0"}}
    wave = load_small(write_small(small, changes=changes), wave="twice")
    before = everything(wave)
    load_small(small, wave="twice")
    assert everything(wave) == before


def load_again(folder: Path, wave: Wave, today: dt.date = TODAY) -> Loaded:
    return intake.load(
        directory=folder,
        discom=wave.discom,
        wave=wave.code,
        numbers="new",
        today=today,
        now=NOW,
        actor="test",
        say=lambda *_: None,
    )


def test_a_corrected_file_replaces_only_what_it_corrects(built: Town, small: Path, tmp_path: Path) -> None:
    wave = load_small(
        write_small(small, changes={("heads", A): {"DEPOSIT": "#REF!"}, ("heads", F): None}), wave="again"
    )
    before = {account.old_number: account for account in Account.objects.filter(wave=wave)}
    assert (before[A].outcome, before[F].outcome) == ("held", "held")
    other_rows = StagedRow.objects.filter(wave=wave).exclude(kind="heads", division__name_en=GUMTI)
    untouched = list(other_rows.order_by("pk").values_list("file_id", "line", "digest"))
    # the corrected file alone, in a directory of its own
    (tmp_path / "later").mkdir()
    write_small(small, changes={("heads", B): None})
    (small / f"heads_{GUMTI_CODE}.csv").rename(tmp_path / "later" / f"heads_{GUMTI_CODE}.csv")
    done = load_again(tmp_path / "later", wave)
    (file,) = done.files
    assert (file.version, file.same, file.changed, file.new, file.gone) == (2, False, 1, 1, 1)
    assert list(other_rows.order_by("pk").values_list("file_id", "line", "digest")) == untouched
    after = {account.old_number: account for account in Account.objects.filter(wave=wave)}
    assert (after[A].id, after[A].outcome, after[A].deposit_paise) == (before[A].id, "migrated", 300_00)
    assert (after[F].outcome, after[B].outcome, after[B].rules) == ("migrated", "held", ["MIG-10"])
    assert File.objects.filter(wave=wave, kind="heads", division__name_en=GUMTI).count() == 2


def test_an_account_that_is_gone_waits_without_money(built: Town, small: Path) -> None:
    wave = load_small(write_small(small), wave="gone")
    write_small(small, accounts=SMALL[1:])
    load_again(small, wave)
    asha = Account.objects.get(wave=wave, old_number=A)
    assert (asha.outcome, asha.rules, asha.principal_paise, asha.heads_file_id) == ("held", ["MIG-10"], 0, None)


# -- two people --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(built: Town) -> tuple[int, int]:
    maker, checker = two_people()
    return maker.id, checker.id


def about(wave: Wave, kind: str, number: str, folder: Path) -> str:
    file = next(each for each in newest_files(wave) if each.name == f"{kind}_{GUMTI_CODE}.csv")
    return f"row:{file.id}:{line_of(folder / file.name, number)}"


def proposed(wave: Wave, where: str, column: str, value: str, maker: int) -> Proposal:
    return propose(
        wave=wave,
        division=None,
        kind="correct",
        about=where,
        column=column,
        value=value,
        reason="as the meter reader wrote",
        maker=maker,
        now=NOW,
    )


def test_a_correction_takes_two_people_and_holds_on(built: Town, small: Path, people: tuple[int, int]) -> None:
    maker, checker = people
    flaws = {("billed", A): {"CUR_RDG_KWH": "12O0"}, ("heads", F): {"DEPOSIT": "x"}}
    wave = load_small(write_small(small, changes=flaws), wave="corrected")
    made = proposed(wave, about(wave, "billed", A, small), "CUR_RDG_KWH", "1200", maker)
    (waiting,) = [each for each in exceptions(wave) if each.open_proposals]
    assert (waiting.rule, waiting.account, waiting.amount_paise) == ("MIG-23", A, 1512_75)
    with pytest.raises(ProposalError, match="cannot decide"):
        decide(proposal=made.id, approved=True, reason="", checker=maker, now=NOW)
    assert reload(wave=wave, today=TODAY, now=NOW, actor="test", say=lambda *_: None).corrected == 0
    decide(proposal=made.id, approved=True, reason="", checker=checker, now=NOW)
    assert reload(wave=wave, today=TODAY, now=NOW, actor="test", say=lambda *_: None).corrected == 1
    asha = Account.objects.get(wave=wave, old_number=A)
    assert (asha.outcome, asha.present_wh) == ("migrated", 1_200_000)
    # A new version in which only another row is corrected leaves this one as it was corrected.
    write_small(small, changes={("billed", A): {"CUR_RDG_KWH": "12O0"}, ("billed", B): {"MDI": "1.5"}})
    done = load_again(small, wave)
    assert {file.name: (file.changed, file.new, file.gone) for file in done.files if not file.same} == {
        f"billed_{GUMTI_CODE}.csv": (1, 0, 0),
        f"heads_{GUMTI_CODE}.csv": (1, 0, 0),
    }
    assert Account.objects.get(wave=wave, old_number=A).present_wh == 1_200_000
    assert reload(wave=wave, today=TODAY, now=NOW, actor="test", say=lambda *_: None).act is None


def test_what_cannot_be_proposed_or_decided(built: Town, small: Path, people: tuple[int, int]) -> None:
    maker, checker = people
    wave = load_small(write_small(small), wave="refused")
    row = about(wave, "master", A, small)
    control = next(file for file in newest_files(wave) if file.kind == "control")
    for where, column, value, why in (
        (row, "SERIAL_NBR", "1", "no column"),
        ("row:1:999999", "LOAD", "1", "no row"),
        (f"row:{control.id}:2", "DEPOSIT", "1", "signed"),
        (row, "LOAD", "1\n2", "cannot stand"),
    ):
        with pytest.raises(ProposalError, match=why):
            proposed(wave, where, column, value, maker)
    made = proposed(wave, row, "LOAD", "3", maker)
    with pytest.raises(ProposalError, match="already"):
        proposed(wave, row, "LOAD", "3", maker)
    with pytest.raises(ProposalError, match="without a reason"):
        decide(proposal=made.id, approved=False, reason=" ", checker=checker, now=NOW)
    decide(proposal=made.id, approved=False, reason="it is 2 kW", checker=checker, now=NOW)
    with pytest.raises(ProposalError, match="decided already"):
        decide(proposal=made.id, approved=True, reason="", checker=checker, now=NOW)
    assert open_proposals(wave) == []
    assert intake.apply_decided(wave=wave, today=TODAY, actor="test") == 0


def test_an_acceptance_covers_only_the_figure_it_names(built: Town, small: Path, people: tuple[int, int]) -> None:
    wave = load_small(write_small(small), wave="accepted")
    given = {
        "wave": wave,
        "division": None,
        "column": "",
        "value": "",
        "reason": "agreed",
        "maker": people[0],
        "now": NOW,
    }
    made = propose(kind="accept", about="equation:101001:deposit:100", **given)  # type: ignore[arg-type]
    assert not accepted(wave, made.about)
    decide(proposal=made.id, approved=True, reason="", checker=people[1], now=NOW)
    assert accepted(wave, "equation:101001:deposit:100") and not accepted(wave, "equation:101001:deposit:101")
    with pytest.raises(ProposalError, match="nothing that can be accepted"):
        propose(kind="accept", about="everything", **given)  # type: ignore[arg-type]


# -- refusals ----------------------------------------------------------------------------------------------------------


def nothing(folder: Path) -> None:
    (folder / f"master_{GUMTI_CODE}.csv").write_bytes(b"")


def wrong_kind(folder: Path) -> None:
    (folder / f"heads_{GUMTI_CODE}.csv").write_bytes((folder / f"meters_{GUMTI_CODE}.csv").read_bytes())


def torn_at_the_end(folder: Path) -> None:
    (folder / f"meters_{JAJMAU_CODE}.csv").write_bytes(b"ACCT_ID,SERIAL_NBR\n3234507,M\0\n")


def stray(folder: Path) -> None:
    (folder / "master_DIV9.csv").write_text("x")


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


REFUSED: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "empty": (nothing, f"master_{GUMTI_CODE}.csv, line 1: the file is empty"),
    "wrong kind": (wrong_kind, f"heads_{GUMTI_CODE}.csv, line 1: this is the header of a meters file"),
    "binary in the last file": (torn_at_the_end, f"meters_{JAJMAU_CODE}.csv, line 2"),
    "a file missing": (
        lambda folder: (folder / f"billed_{GUMTI_CODE}.csv").unlink(),
        f"billed_{GUMTI_CODE}.csv of Gumti",
    ),
    "no control totals": (lambda folder: (folder / "control_totals.csv").unlink(), "control_totals.csv: there are no"),
    "unknown division": (
        lambda folder: edit(folder / "control_totals.csv", "GUMTI", "GOTHAM"),
        "control_totals.csv, line 2, column DIV_NAME: KESCO has no division 'GOTHAM'",
    ),
    "a control total that is no number": (
        lambda folder: write_small(folder, changes={("control", GUMTI): {"DEPOSIT": "n/a"}}),
        "the row of a control total cannot be read",
    ),
    "a division too many": (
        stray,
        "master_DIV9.csv: the control totals have no division DIV9",
    ),
    "no file at all": (emptied, "no file of a hand-over"),
}


@pytest.mark.parametrize("flaw", REFUSED)
def test_what_is_no_hand_over_is_refused_whole(built: Town, small: Path, flaw: str) -> None:
    write_small(small)
    spoil, told = REFUSED[flaw]
    spoil(small)
    with pytest.raises(FormatError) as refused:
        load_small(small, wave=f"refused {flaw}")
    assert told in str(refused.value)
    assert not Wave.objects.filter(code=f"refused {flaw}").exists()


def test_a_wave_with_other_numbers_or_live_is_refused(built: Town, small: Path) -> None:
    wave = load_small(write_small(small), wave="live")
    with pytest.raises(FormatError, match="begun with numbers new"):
        intake.load(
            directory=small,
            discom=wave.discom,
            wave="live",
            numbers="kept",
            today=TODAY,
            now=NOW,
            actor="test",
            say=lambda *_: None,
        )
    assert state(wave) == "staged"
    Act.objects.create(wave=wave, kind="cutover", number=1, business_date=TODAY, made_at=NOW, actor="test")
    assert state(wave) == "live"
    for again_ in (lambda: load_again(small, wave), lambda: intake.apply_decided(wave=wave, today=TODAY, actor="test")):
        with pytest.raises(FormatError, match="is live"):
            again_()
    Act.objects.create(wave=wave, kind="rollback", number=1, business_date=TODAY, made_at=NOW, actor="test")
    assert state(wave) == "rolled back"
    load_again(small, wave)


def test_kept_numbers_have_ten_digits(built: Town, small: Path) -> None:
    write_small(small, accounts=(ASHA.with_(number="0234567890"), *SMALL[1:]))
    kept = intake.load(
        directory=small,
        discom=Discom.objects.get(code=KESCO),
        wave="kept",
        numbers="kept",
        today=TODAY,
        now=NOW,
        actor="test",
        say=lambda *_: None,
    )
    assert kept.accounts == {"migrated": 1, "held": 11}, "seven digits may be what is left of ten"
    held = Finding.objects.filter(wave=kept.wave, outcome="held").values_list("rule", flat=True)
    assert set(held) == {"MIG-09"}


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    monkeypatch.setenv("KHATA_TODAY", "2024-04-10")

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["migration", *arguments])
        return code, *capsys.readouterr()

    yield call


def test_the_commands_tell_what_was_done(
    built: Town, small: Path, people: tuple[int, int], said: Callable[..., tuple[int, str, str]]
) -> None:
    write_small(small, changes={("billed", A): {"CUR_RDG_KWH": "12O0"}})
    where = ("--discom", KESCO, "--wave", "CLI")
    code, out, _ = said("profile", str(small), "--json")
    assert code == 0 and {file["rules"].get("MIG-23") for file in json.loads(out)["files"]} == {None, 1}
    assert said("load", str(small), *where)[0] == 0
    code, out, _ = said("exceptions", *where, "--json")
    (found,) = json.loads(out)["exceptions"]
    assert (found["rule"], found["account"], found["amount_paise"]) == ("MIG-23", A, 1512_75)
    row = f"{found['file']}:{found['line']}"
    code, out, _ = said(
        "exceptions", *where, "--correct", row, "CUR_RDG_KWH", "1200", "--reason", "photo", "--as", "maker"
    )
    assert code == 0
    number = open_proposals(Wave.objects.get(code="CLI"))[0].id
    code, _, err = said("exceptions", *where, "--decide", str(number), "--approve", "--as", "maker")
    assert code == 2 and "another person" in err
    assert said("exceptions", *where, "--decide", str(number), "--approve", "--as", "checker")[0] == 0
    code, out, _ = said("load", *where, "--json")
    assert json.loads(out)["corrected"] == 1 and json.loads(out)["accounts"] == {"migrated": 12}
    code, out, _ = said("status", *where, "--json")
    (told,) = json.loads(out)
    assert (told["state"], len(told["acts"]), told["open_exceptions"]) == ("staged", 2, 0)
    code, out, _ = said("rules", "--json")
    assert [rule["number"] for rule in json.loads(out)] == list(rules())


def test_the_commands_refuse_in_plain_words(
    built: Town, small: Path, said: Callable[..., tuple[int, str, str]]
) -> None:
    write_small(small)
    nothing(small)
    code, _, err = said("load", str(small), "--discom", KESCO, "--wave", "EMPTY")
    assert code == 2 and "the file is empty" in err and "Next step" in err
    assert said("profile", str(small))[0] == 1
    code, _, err = said("status", "--discom", KESCO, "--wave", "NONE")
    assert code == 2
    assert "waves are" in err
    code, _, err = said("exceptions", "--discom", KESCO, "--wave", "W", "--accept", "x", "--as", "nobody")
    assert code == 2


def test_one_person_cannot_write_both_halves(built: Town, people: tuple[int, int], small: Path) -> None:
    wave = load_small(write_small(small), wave="halves")
    made = proposed(wave, about(wave, "master", A, small), "LOAD", "3", people[0])
    from khata.migration.models import Verdict  # noqa: PLC0415

    with pytest.raises(Exception, match="decided by the person who made it"):
        Verdict.objects.create(proposal=made, approved=True, checker_id=people[0], made_at=NOW)
    with pytest.raises(IntegrityError):
        Verdict.objects.create(proposal=made, approved=False, reason="", checker_id=people[1], made_at=NOW)


def test_the_profile_tells_of_divisions_and_changes_nothing(small: Path) -> None:
    turned = {("billed", B): {"PREV_RDG_DATE": "01-MAR-24"}}
    write_small(small, changes={("heads", A): None, ("control", GUMTI): {"DEPOSIT": "1"}, **turned})
    in_lines(small / f"master_{GUMTI_CODE}.csv", lambda lines: [*lines[:-1], lines[3], ""])
    found = profile(small, TODAY)
    gumti = next(division for division in found.divisions if division.code == GUMTI_CODE)
    assert (gumti.accounts, gumti.missing_from["heads"], gumti.copies) == (6, 1, 1)
    assert gumti.signed_less_rows["deposit_paise"] == 1_00 - (300_00 * 4 + 1000_75)
    assert sum(file.rules.get("MIG-25", 0) for file in found.files) == 1, "a reading dated before the one before it"
    assert found.rows == 12 * 4


def test_counts_are_by_division_and_outcome(built: Town, small: Path) -> None:
    wave = load_small(write_small(small, changes={("heads", A): None}), wave="counts")
    assert {(each.division_en, each.outcome): each.accounts for each in counts(wave)} == {
        ("Gumti", "migrated"): 5,
        ("Gumti", "held"): 1,
        ("Jajmau", "migrated"): 6,
    }
