"""`khata database migrate`, and what every other command says before it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from khata.commands.main import main
from khata.ledger.models import Head
from khata.site.database import server
from tests.database import Database

KHATA = Path(sys.executable).with_name("khata")


@pytest.fixture
def without_tables(database: Database) -> Iterator[Database]:
    """A database that an administrator has just prepared."""
    name = f"{database.name}_bare"
    with psycopg.connect(database.dsn("admin"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} owner khata_owner").format(sql.Identifier(name)))
        try:
            with Database(name).connect("admin") as session:
                session.execute(server.ROLES.read_bytes())
            yield Database(name)
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_from_no_tables_to_books_in_order(without_tables: Database) -> None:
    def khata(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [KHATA, *arguments], env=without_tables.env(), capture_output=True, text=True, check=False
        )

    before = khata("ledger", "verify")
    assert (before.returncode, before.stdout) == (2, "")
    assert before.stderr.splitlines() == [
        "khata: database: the database has no tables yet.",
        "Next step: khata database migrate, or, after ./khata demo: export KHATA_DATABASE_NAME=khata_demo.",
    ]
    migrated = khata("database", "migrate", "--quiet")
    assert (migrated.returncode, migrated.stdout, migrated.stderr) == (0, "", "")
    assert khata("ledger", "verify").returncode == 0


def test_tables_of_an_older_version_are_named_as_such(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with database.connect("admin") as session:
        session.execute("delete from django_migrations where app = 'payments'")
        session.execute("alter table ledger_head rename to ledger_head_formerly")
    assert main(["ledger", "sums"]) == 2
    assert "older than this Khata" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_laid_on_the_tables(database: Database) -> None:
    with database.connect("admin") as session:
        session.execute("alter table ledger_head rename to ledger_head_formerly")
    with pytest.raises(Exception, match="ledger_head"):
        main(["ledger", "sums"])
    connection.close()


def test_a_server_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    environment = {**os.environ, "KHATA_DATABASE_URL": f"host={tmp_path} dbname=khata user=asha"}
    ended = subprocess.run([KHATA, "ledger", "verify"], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("khata: database: ")
    assert "Traceback" not in ended.stderr
    assert "Next step: Check KHATA_DATABASE_URL" in ended.stderr


@pytest.mark.usefixtures("database")
def test_companies_are_brought_in_once_with_their_books(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for _ in range(2):
        assert main(["database", "companies"]) == 0
        assert "5 companies with open books: KESCO" in capsys.readouterr().out
    assert Head.objects.filter(discom__code="KESCO", code="opening").count() == 1
    for text in ("companies: 7\n", "circles: []\n", "- ]["):
        broken = tmp_path / "broken.yaml"
        broken.write_text(text)
        assert main(["database", "companies", "--file", str(broken)]) == 2
        assert "companies.yaml beside" in capsys.readouterr().err
