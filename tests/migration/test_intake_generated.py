"""Three thousand generated accounts, three in a hundred with a flaw: no flaw is missed, no clean row accused."""

import csv
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from khata.discoms.operations import install_companies
from khata.discoms.queries import COMPANIES, discom_named
from khata.migration.intake import Loaded, load
from khata.migration.models import Account, Finding
from khata.migration.profiling import profile
from khata.migration.reconciling import reconcile
from khata.rehearsal.handover import KEY, divisions_of, latin_of, write_handover
from khata.rehearsal.town import draw_town
from tests.cast import KESCO
from tests.database import Database

TODAY = dt.date(2024, 3, 14)
Place = tuple[str, int, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("handover")
    divisions = divisions_of(COMPANIES, KESCO)
    town = draw_town(
        accounts=3_000,
        seed=4,
        divisions=[name for _, name in divisions],
        discom=KESCO,
        tariffs=settings.KHATA_TARIFFS,
        latin=latin_of(divisions),
    )
    write_handover(out=out, discom=KESCO, divisions=divisions, town=town, dirt_permille=30, seed=4)
    return out


@pytest.fixture(scope="module")
def loaded(module_database: Database, folder: Path) -> Iterator[Loaded]:
    install_companies()
    yield load(
        directory=folder,
        discom=discom_named(KESCO),
        wave="W1",
        numbers="new",
        today=TODAY,
        now=dt.datetime.combine(TODAY, dt.time(), dt.UTC),
        actor="test",
        say=lambda *_: None,
    )


def planted(folder: Path) -> set[Place]:
    with (folder / KEY).open(encoding="utf-8", newline="") as file:
        return {(row["file"], int(row["line"]), row["rule"]) for row in csv.DictReader(file)}


def test_findings_are_the_answer_key(loaded: Loaded, folder: Path) -> None:
    found = set(Finding.objects.filter(wave=loaded.wave).values_list("file__name", "line", "rule"))
    assert found - planted(folder) == set()
    assert planted(folder) - found == set()


def test_every_row_ends_in_one_of_three_ways_and_the_sums_add_up(loaded: Loaded) -> None:
    assert set(loaded.rows) == {"migrated", "repaired", "held"}
    lines = reconcile(loaded.wave)
    assert [line for line in lines if line.file != line.migrated + line.held] == []
    assert sum(line.file for line in lines if line.head == "accounts") > 2_900
    assert Account.objects.exclude(outcome="held").filter(category="").count() == 0


def test_the_profile_sees_what_single_rows_show(folder: Path) -> None:
    found = profile(folder, TODAY)
    assert found.errors == ()
    alone = {"MIG-01", "MIG-03", "MIG-11", "MIG-13", "MIG-20", "MIG-21", "MIG-22", "MIG-23", "MIG-24", "MIG-25"}
    key = {rule: sum(place[2] == rule for place in planted(folder)) for rule in alone}
    assert {rule: sum(file.rules.get(rule, 0) for file in found.files) for rule in alone} == key
    assert sum(division.copies for division in found.divisions) == sum(p[2] == "MIG-05" for p in planted(folder))
