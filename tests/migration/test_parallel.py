"""The parallel run on a wave: what is compared, kept, shown, and when the gate opens."""

import contextlib
import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from khata.commands.main import main
from khata.discoms.models import Discom, Office
from khata.discoms.operations import install_companies
from khata.discoms.queries import discom_named
from khata.discoms.scope import scoped
from khata.migration import parallel
from khata.migration.comparing import RESULTS
from khata.migration.intake import load
from khata.migration.models import Account, Compared, ParallelRun, Proposal, Verdict, Wave
from khata.migration.parallel import (
    ParallelError,
    classes,
    current_runs,
    gate,
    months_billed,
    newest_run,
    run_parallel,
    samples,
    unaccepted,
)
from khata.tariffs.models import Edition
from khata.tariffs.queries import orders_of, read_orders
from tests.cast import GUMTI, JAJMAU, KESCO, TARIFFS, office_scope, post_staff, town
from tests.database import Database
from tests.migration.handover import ASHA, load_small, write_small

MARCH = dt.date(2024, 3, 1)
ORDERS = orders_of(read_orders(TARIFFS), KESCO)


def account(number: str, division: str = GUMTI, **changes: object) -> Account:
    """A home in town, 120 units in February 2024, billed as the kernel bills it unless said otherwise."""
    values: dict[str, object] = {
        "outcome": "migrated",
        "category": "LMV-1",
        "area": "urban",
        "mode": "postpaid",
        "load_w": 2_000,
        "bill_basis": "MU",
        "bill_day": dt.date(2024, 3, 5),
        "billed_wh": 120_000,
        "assessed_paise": 1_028_25,
        "payable_paise": 866_25,
        "previous_wh": 1_000_000,
        "previous_day": dt.date(2024, 2, 1),
        "present_wh": 1_120_000,
        "present_day": MARCH,
        "demand_w": 1_200,
    }
    wave = Wave.objects.get(code="W1")
    office = Office.objects.get(discom_id=wave.discom_id, name_en=division)
    return Account.objects.create(wave=wave, division=office, old_number=number, **{**values, **changes})


@pytest.fixture(scope="module")
def moved(module_database: Database) -> Iterator[Database]:
    """Wave W1 of nine accounts in two divisions, each class there."""
    town([])
    Wave.objects.create(discom=Discom.objects.get(code=KESCO), code="W1")
    account("1000001")
    account("1000002", payable_paise=866_00)
    account("1000003", bill_basis="MIN", payable_paise=-5_00)
    account("1000004", billed_wh=119_000)
    account("1000005", payable_paise=999_99)
    account("2000001", JAJMAU, outcome="repaired")
    account("2000002", JAJMAU, payable_paise=900_00, assessed_paise=900_00, demand_w=None)
    account("2000003", JAJMAU, bill_day=dt.date(2024, 2, 5), payable_paise=999_99)
    account("2000004", JAJMAU, bill_day=None)
    account("2000005", JAJMAU, outcome="held")
    account("2000006", JAJMAU, previous_day=None, load_w=None, billed_wh=None, assessed_paise=None, payable_paise=None)
    yield module_database


def compared(number: str) -> Compared:
    return Compared.objects.filter(account__old_number=number).order_by("-run").first()


def in_march(**changes: object) -> ParallelRun:
    return run_parallel(
        **{"wave": Wave.objects.get(code="W1"), "cycle": MARCH, "tariffs": TARIFFS, "actor": "test", **changes}
    )


def khata(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(list(arguments))
    return code, out.getvalue()


def test_each_account_billed_in_the_month_is_compared_once(moved: Database) -> None:
    run = in_march()
    kept = dict(Compared.objects.filter(run=run).values_list("account__old_number", "result"))
    assert kept == {
        "1000001": "equal",
        "1000002": "rounding",
        "1000003": "rule",
        "1000004": "data",
        "1000005": "unknown",
        "2000001": "equal",
        "2000002": "unknown",
        "2000006": "data",
    }
    assert {name: run.summary[name] for name in (*RESULTS, "other_cycle", "held")} == {
        "equal": 2, "rounding": 1, "rule": 1, "data": 2, "unknown": 2, "other_cycle": 2, "held": 1,
    }  # fmt: skip
    assert run.summary["why"]["rounding"] == {"rupee half-up,half-even,down": 1}
    assert set(run.summary["editions"]) == set(Edition.objects.values_list("id", flat=True))


def test_our_lines_and_sums_are_kept_with_the_old_ones(moved: Database) -> None:
    run = in_march()
    assert compared("1000001").lines_paise == [165_00, 0, 822_00, -162_00, 0, 41_25, 0]
    by_minimum, without = compared("1000003"), compared("2000006")
    assert (by_minimum.new_payable_paise, by_minimum.lines_paise, by_minimum.new_wh) == (None, None, 120_000)
    assert (without.old_wh, without.new_wh, without.why) == (0, None, "missing")
    lines = classes(run)
    assert sum(line.accounts for line in lines) == Compared.objects.filter(run=run).count()
    for line in lines:
        rows = Compared.objects.filter(run=run, result=line.result, division=line.division)
        assert line.accounts == len(rows)
        assert line.old_payable_paise == sum(row.old_payable_paise for row in rows)
        assert line.new_payable_paise == sum(row.new_payable_paise or 0 for row in rows)
        apart = [row.new_payable_paise - row.old_payable_paise for row in rows if row.new_payable_paise is not None]
        assert (line.rated, line.difference_paise) == (len(apart), sum(apart))


def test_batches_change_nothing(moved: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, steps = in_march(), []
    monkeypatch.setattr(parallel, "BATCH", 3)
    small = in_march(progress=lambda *step: steps.append(step))
    assert small.summary == whole.summary
    assert steps == [(0, 8), (3, 8), (6, 8), (8, 8)]
    names = ("account_id", "result", "why", "new_payable_paise", "lines_paise")
    assert list(Compared.objects.filter(run=small).values_list(*names).order_by("account_id")) == list(
        Compared.objects.filter(run=whole).values_list(*names).order_by("account_id")
    )


def test_samples_begin_with_the_largest_difference(moved: Database) -> None:
    run = in_march()
    assert [sample.old_number for sample in samples(run, "unknown")] == ["1000005", "2000002"]
    jajmau = Office.objects.get(name_en=JAJMAU, discom__code=KESCO)
    (only,) = samples(run, "unknown", jajmau)
    assert (only.old_number, only.old_payable_paise, only.new_payable_paise) == ("2000002", 900_00, 866_25)
    assert len(samples(run, limit=3)) == 3
    assert newest_run(run.wave) == run


def test_a_division_sees_its_own_samples_only(moved: Database) -> None:
    run = in_march()
    jajmau = office_scope(KESCO, JAJMAU)
    with moved.as_role("app"), scoped(jajmau), transaction.atomic():
        assert {sample.old_number for sample in samples(run, limit=100)} == {"2000001", "2000002", "2000006"}


def test_a_month_in_which_nobody_was_billed_is_refused(moved: Database) -> None:
    runs = ParallelRun.objects.count()
    with pytest.raises(ParallelError, match=r"2024-03 \(8\), 2024-02 \(1\)"):
        in_march(cycle=dt.date(2023, 12, 1))
    assert ParallelRun.objects.count() == runs


def test_a_run_that_fails_leaves_nothing(moved: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ParallelRun.objects.count(), Compared.objects.count()

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(parallel, "BATCH", 3)
    with pytest.raises(RuntimeError):
        in_march(progress=broken)
    assert (ParallelRun.objects.count(), Compared.objects.count()) == before


def test_the_gate_opens_for_a_signature_on_this_very_count(moved: Database) -> None:
    run = in_march()
    about = unaccepted(run)
    assert about == f"parallel:{run.id}:unknown:2"
    office = Office.objects.get(discom__code=KESCO, kind=Office.Kind.COMPANY)
    maker, checker = post_staff("mala", "Mala", "officer", office), post_staff("chetan", "Chetan", "officer", office)
    now = dt.datetime(2024, 3, 12, tzinfo=dt.UTC)

    def decided(about: str, *, approved: bool) -> None:
        proposal = Proposal.objects.create(
            wave=run.wave, kind="accept", about=about, reason="seen", maker=maker, made_at=now
        )
        Verdict.objects.create(proposal=proposal, approved=approved, reason="seen", checker=checker, made_at=now)

    decided(f"parallel:{run.id}:unknown:1", approved=True)
    decided(about, approved=False)
    assert unaccepted(run) == about
    decided(about, approved=True)
    assert unaccepted(run) == ""
    assert [unaccepted(each) for each in current_runs(run.wave)] == [""]
    again, february = in_march(), in_march(cycle=dt.date(2024, 2, 1))
    assert february.summary["unknown"] == 1
    assert current_runs(run.wave) == [february, again]
    assert "" not in map(unaccepted, (february, again))


def test_a_month_that_nobody_compared_keeps_the_gate_shut(database: Database, tmp_path: Path) -> None:
    """Also where the months that were compared hide nothing."""
    town([])
    changes = {("billed", ASHA.number): {"BILL_DATE": "08-FEB-24"}}
    wave = load_small(write_small(tmp_path, changes=changes))
    assert gate(wave) == ["parallel:none"]
    assert months_billed(wave) == [dt.date(2024, 2, 1), MARCH]
    Account.objects.filter(wave=wave).update(bill_basis="ASS")  # by a rule that is not rated: nothing unknown
    march = run_parallel(wave=wave, cycle=MARCH, tariffs=TARIFFS, actor="test")
    assert gate(wave) == [f"parallel:{march.id}:missed:1"]
    run_parallel(wave=wave, cycle=dt.date(2024, 2, 1), tariffs=TARIFFS, actor="test")
    assert gate(wave) == []


def test_the_command_says_what_differs_and_the_next_step(moved: Database) -> None:
    asked = ("migration", "parallel", "--discom", KESCO, "--wave", "W1", "--cycle", "2024-03")
    code, text = khata(*asked)
    assert code == 1
    run = newest_run(Wave.objects.get(code="W1"), MARCH)
    assert f"--wave W1 --accept parallel:{run.id}:unknown:2" in text
    assert "compared 8; last billed in another month 2, held 1" in text
    assert "1000005    unknown; payable ₹999.99, ours ₹866.25" in text
    assert "not billed by reading: MIN" in text
    code, text = khata(*asked, "--json", "--samples", "1")
    record = json.loads(text)
    assert (code, record["unknown"], record["passed"], record["cycle"]) == (1, 2, False, "2024-03")
    assert [sample["old_number"] for sample in record["samples"]["data"]] == ["1000004"]
    assert khata(*asked[:-1], "2023-01")[0] == 2
    code, text = khata(*asked[:4], "--wave", "W9", "--cycle", "2024-03")
    assert (code, "its waves are: W1" in text) == (2, True)


@pytest.mark.usefixtures("database")
def test_of_a_synthetic_company_every_planted_difference_is_found_and_no_other(tmp_path: Path) -> None:
    install_companies()
    company, handed_over = discom_named(KESCO), tmp_path / "handover"
    assert main(["demo", "legacy", "--accounts", "600", "--dirt", "8%", "--seed", "4", "--out", str(handed_over)]) == 0
    load(
        directory=handed_over,
        discom=company,
        wave="W1",
        numbers="new",
        today=dt.date(2024, 3, 12),
        now=dt.datetime(2024, 3, 12, 6, tzinfo=dt.UTC),
        actor="test",
        say=lambda *_: None,
    )
    with (handed_over / "planted_parallel.csv").open(encoding="utf-8") as file:
        planted = {row["account"]: row["class"] for row in csv.DictReader(file)}
    assert set(planted.values()) == {"rounding", "rule", "data", "unknown"}
    moving = Account.objects.exclude(outcome="held")
    for cycle in (MARCH, dt.date(2024, 2, 1)):  # every second month, too
        in_march(cycle=cycle)
    found = dict(Compared.objects.values_list("account__old_number", "result"))
    assert set(found) == set(moving.values_list("old_number", flat=True))
    assert {number: result for number, result in found.items() if result != "equal"} == planted
