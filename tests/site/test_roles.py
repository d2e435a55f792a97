"""What each role may do, and that the scope is told to the database exactly as long as it holds."""

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from khata.discoms.scope import NOBODY, Scope, current, scoped
from tests.database import Database

ASHA = Scope(consumer=7, office_from=None, office_to=None)
DIVISION = Scope(consumer=None, office_from=100, office_to=199)


def told() -> tuple[str, str, str]:
    """The scope as the database knows it."""
    names = ("consumer", "office_from", "office_to")
    columns = ", ".join(f"coalesce(current_setting('khata.{name}', true), '')" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(f"select {columns}")
        consumer, office_from, office_to = cursor.fetchone()
    return consumer, office_from, office_to


@pytest.mark.parametrize("role", ["khata_owner", "khata_run", "khata_admin"])
def test_the_web_cannot_become_another_role(module_database: Database, role: str) -> None:
    with module_database.connect("app") as web, pytest.raises(psycopg.errors.InsufficientPrivilege):
        web.execute(f"set role {role}")


def test_only_the_installer_is_superuser_and_the_web_is_under_row_security(module_database: Database) -> None:
    with module_database.connect("app") as web:
        rows = web.execute(
            "select rolname, rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname ~ '^khata_' order by 1"
        ).fetchall()
    assert rows == [
        ("khata_admin", True, True, True),
        ("khata_app", False, False, False),
        ("khata_owner", False, True, False),
        ("khata_run", False, True, False),
    ]


def test_a_new_table_is_read_by_the_web_and_added_to_by_runs(module_database: Database) -> None:
    with module_database.connect("owner") as owner:
        owner.execute("create table fact (id bigint generated always as identity, number serial, word text)")
    with module_database.connect("run") as run:
        run.execute("insert into fact (word) values ('one')")
    for role, statement in [
        ("app", "insert into fact (word) values ('two')"),
        ("app", "create table own ()"),
        ("run", "update fact set word = 'two'"),
        ("run", "delete from fact"),
        ("run", "truncate fact"),
        ("run", "create table own ()"),
    ]:
        with module_database.connect(role) as other, pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(statement)
    with module_database.connect("app") as web:
        assert web.execute("select word from fact").fetchall() == [("one",)]


def test_row_security_shows_the_web_its_scope_and_runs_everything(module_database: Database) -> None:
    with module_database.connect("owner") as owner:
        owner.execute("""
            create table bill (consumer bigint, office int);
            insert into bill values (7, 150), (8, 150), (9, 250);
            alter table bill enable row level security;
            create policy scope on bill using (
                consumer = (select nullif(current_setting('khata.consumer', true), '')::bigint)
                or office between (select nullif(current_setting('khata.office_from', true), '')::int)
                              and (select nullif(current_setting('khata.office_to', true), '')::int))
        """)

    def seen() -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute("select consumer from bill order by 1")
            return [row[0] for row in cursor.fetchall()]

    with module_database.as_role("app"):
        with scoped(ASHA), transaction.atomic():
            assert seen() == [7]
        with scoped(DIVISION), transaction.atomic():
            assert seen() == [7, 8]
        with transaction.atomic():
            assert seen() == []
        with scoped(ASHA):
            assert seen() == [], "outside a transaction nothing is told"
    assert seen() == [7, 8, 9]


@pytest.mark.parametrize("role", ["app", "run"])
def test_the_scope_is_told_inside_a_transaction_and_gone_after_it(module_database: Database, role: str) -> None:
    with module_database.as_role(role):
        with scoped(ASHA):
            with transaction.atomic():
                assert told() == ("7", "", "")
            assert told() == ("", "", "")
            assert current() == ASHA
        assert current() == NOBODY


def test_inside_an_open_transaction_the_scope_is_told_at_once_and_taken_back(module_database: Database) -> None:
    with scoped(DIVISION), transaction.atomic():
        with scoped(ASHA):
            assert told() == ("7", "", "")
            with transaction.atomic():
                assert told() == ("7", "", "")
        assert told() == ("", "100", "199")
        with scoped(NOBODY):
            assert told() == ("", "", "")
        assert told() == ("", "100", "199")


def test_a_scope_that_ends_with_a_database_error_gives_way_to_the_former_one(module_database: Database) -> None:
    with scoped(DIVISION), transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic(), scoped(ASHA), connection.cursor() as cursor:
            cursor.execute("do $$ begin raise unique_violation; end $$")
        assert told() == ("", "100", "199")
        with pytest.raises(IntegrityError), scoped(ASHA), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("do $$ begin raise unique_violation; end $$")
        assert told() == ("", "100", "199")


def test_a_range_of_offices_needs_both_ends() -> None:
    with pytest.raises(ValueError, match="two ends"):
        Scope(consumer=None, office_from=100, office_to=None)


def test_one_login_for_all_takes_its_role_when_it_connects(
    module_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with module_database.connect("admin") as admin:
        admin.execute("create role khata_test_login login noinherit in role khata_app, khata_run")
    try:
        url = module_database.dsn("admin").replace("user=khata_admin", "user=khata_test_login")
        monkeypatch.setitem(connection.settings_dict["KHATA"], "url", url)
        for role, memory in [("app", "4MB"), ("run", "64MB")]:
            with module_database.as_role(role), connection.cursor() as cursor:
                cursor.execute("reset role; select current_user, session_user, current_setting('work_mem')")
                cursor.nextset()
                assert cursor.fetchone() == (f"khata_{role}", "khata_test_login", memory)
    finally:
        connection.close()
        with module_database.connect("admin") as admin:
            admin.execute("drop role khata_test_login")
