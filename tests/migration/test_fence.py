"""Who may do what to a move: the database holds to it whatever the pages do, and so do the commands."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.db import DatabaseError, transaction

from khata.commands.main import main
from khata.consumers.models import Connection
from khata.discoms.models import Office, Staff
from khata.discoms.scope import Scope, scoped
from khata.migration.models import File, Proposal, SourceRow, Told, Wave
from tests.cast import ASHA, GUMTI, JAJMAU, KESCO, MEERUT, PVVNL, office_scope, post_staff, town
from tests.database import Database
from tests.migration.handover import DIVISIONS, NOW, load_small, two_people, write_small


@dataclass
class Staged:
    database: Database
    wave: Wave
    maker: Staff


@pytest.fixture(scope="module")
def staged(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    town([ASHA])
    wave = load_small(write_small(tmp_path_factory.mktemp("small")))
    yield Staged(module_database, wave, two_people()[0])


def division(name: str, discom: str = KESCO) -> Office:
    return Office.objects.get(discom__code=discom, kind=Office.Kind.DIVISION, name_en=name)


def correct(staged: Staged, scope: Scope, *, of: Office, claimed: Office) -> None:
    """A correction of a row of one division, put down as another's."""
    file = File.objects.get(wave=staged.wave, kind="heads", division=of)
    row = Proposal(
        wave=staged.wave,
        division=claimed,
        kind="correct",
        about=f"row:{file.id}:2",
        column="PRINCIPAL",
        value="1",
        reason="mine",
        maker=staged.maker,
        made_at=NOW,
    )
    with staged.database.as_role("app"), scoped(scope), transaction.atomic():
        row.save(force_insert=True)


def test_a_row_is_corrected_in_the_name_of_its_own_division_only(staged: Staged) -> None:
    gumti, jajmau, meerut = division(GUMTI), division(JAJMAU), division(MEERUT, PVVNL)
    for scope, claimed in ((office_scope(KESCO, GUMTI), gumti), (office_scope(PVVNL), meerut)):
        with pytest.raises(DatabaseError, match="row-level security"):
            correct(staged, scope, of=jajmau, claimed=claimed)
    assert not Proposal.objects.exists()
    correct(staged, office_scope(KESCO, JAJMAU), of=jajmau, claimed=jajmau)
    correct(staged, office_scope(KESCO), of=jajmau, claimed=jajmau)
    assert Proposal.objects.count() == 2


def test_a_consumer_notes_nobody_as_told(staged: Staged) -> None:
    home = Connection.objects.get()
    own = Scope(consumer=home.consumer_id, office_from=None, office_to=None)
    row = Told(connection=home, told_on=dt.date(2024, 3, 15), staff=staged.maker)
    with (
        pytest.raises(DatabaseError, match="row-level security"),
        staged.database.as_role("app"),
        scoped(own),
        transaction.atomic(),
    ):
        row.save(force_insert=True)
    with staged.database.as_role("app"), scoped(office_scope(KESCO, GUMTI)), transaction.atomic():
        row.save(force_insert=True)


def test_the_signed_totals_are_read_by_the_company_and_not_by_one_division(staged: Staged) -> None:
    control = File.objects.get(wave=staged.wave, kind="control")
    seen = {}
    for name, scope in {"division": office_scope(KESCO, GUMTI), "company": office_scope(KESCO)}.items():
        with staged.database.as_role("app"), scoped(scope), transaction.atomic():
            seen[name] = SourceRow.objects.filter(file=control).count()
    assert seen == {"division": 0, "company": 2}


def test_the_command_too_lets_a_division_correct_its_rows_and_not_sign_for_the_company(
    staged: Staged, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KHATA_TODAY", "2024-04-10")
    post_staff("whole", "Wahid", "officer", Office.objects.get(discom__code=KESCO, kind=Office.Kind.COMPANY))

    def act(*arguments: str) -> int:
        return main(["migration", "exceptions", "--discom", KESCO, "--wave", "W1", "--reason", "seen", *arguments])

    red = ("--accept", "parallel:none")
    assert act(*red, "--as", "maker") == 2
    assert "no officer over" in capsys.readouterr().err
    assert act(*red, "--as", "whole") == 0
    number = str(Proposal.objects.latest("id").id)
    for never in ("parallel:999:unknown:7", "equation:1:foo:5"):
        assert act("--accept", never, "--as", "whole") == 2, "what does not stand red is not signed ahead"
    assert "Copy it from reconcile" in capsys.readouterr().err
    assert act("--decide", number, "--approve", "--as", "checker") == 2
    here, there = (f"heads_{DIVISIONS[name]}.csv:3" for name in (GUMTI, JAJMAU))
    assert act("--correct", there, "PRINCIPAL", "1", "--as", "maker") == 2
    assert act("--correct", here, "PRINCIPAL", "1", "--as", "maker") == 0
