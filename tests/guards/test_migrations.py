"""The tables are what the models say: a field that stands in one of the two alone is found here."""

import io

import pytest
from django.apps import apps
from django.core.management import call_command

from tests.database import Database


@pytest.mark.usefixtures("module_database")
def test_no_migration_is_missing() -> None:
    out = io.StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=out)
    assert "No changes detected" in out.getvalue()


def test_every_column_is_a_field_s_and_every_field_has_one(module_database: Database) -> None:
    with module_database.connect("owner") as owner:
        rows = owner.execute(
            "select table_name, column_name from information_schema.columns where table_schema = 'public'"
        ).fetchall()
    models = {
        model._meta.db_table: model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy
    }
    fields = {(table, field.column) for table, model in models.items() for field in model._meta.local_concrete_fields}
    fields = {(table, column) for table, column in fields if column}
    ours = {(table, column) for table, column in rows if table in models}
    assert ours - fields == {("ledger_entry", "tx")}  # nobody may write it, so no model has it
    assert fields - ours == set()
