"""The ladder: every package has a rung, and foreign keys go down like imports do."""

import os
from collections.abc import Iterable, Iterator

import django
import pytest
from django.apps import apps

from .house import HEIGHT, INTERFACES, LADDER, PACKAGE, PACKAGES, REPOSITORY, read_ladder


def test_the_code_under_test_is_this_trees() -> None:
    assert REPOSITORY in PACKAGE.parents, f"khata is imported from {PACKAGE}. Run ./khata test in this tree"


def rungs_and_folders_differ(rungs: set[str], folders: set[str]) -> list[str]:
    missing = [f"{name}: on the ladder, but there is no such package" for name in sorted(rungs - folders)]
    return missing + [f"{name}: a package without a rung" for name in sorted(folders - rungs)]


def test_every_rung_is_a_package_and_every_package_a_rung() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rungs_and_folders_differ(PACKAGES, folders) == []


def test_a_missing_and_an_extra_package_are_found() -> None:
    assert len(rungs_and_folders_differ({"kernel", "ledger"}, {"kernel", "extra"})) == 2


def test_the_contract_is_read_as_written() -> None:
    assert read_ladder("[importlinter:contract:ladder]\nlayers =\n  a\n  b | c\n  d\n") == (("a",), ("b", "c"), ("d",))
    assert LADDER[0] == ("site",) and LADDER[-1] == ("kernel",)
    assert {"portal", "staff", "commands"} <= INTERFACES


Reference = tuple[str, str, str]


def climbing(references: Iterable[Reference]) -> list[str]:
    """References that leave their package and do not go down; siblings on one rung may not see each other."""
    return [
        f"{name}: {source} may not point at {target}"
        for name, source, target in references
        if source != target and HEIGHT[target] >= HEIGHT[source]
    ]


def rung_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "khata" and len(parts) > 1 else None


def references_in_the_registry() -> Iterator[Reference]:
    """Every foreign key, one-to-one and many-to-many between two of our models: (field, from, to)."""
    for model in apps.get_models(include_auto_created=True):
        source = rung_of(model.__module__)
        for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
            target = rung_of(field.related_model.__module__) if field.related_model else None
            if source and target:
                yield f"{model._meta.label}.{field.name}", source, target


@pytest.fixture
def registry() -> list[Reference]:
    """All references, with Django set up."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
    django.setup()
    return list(references_in_the_registry())


def test_foreign_keys_go_down(registry: list[Reference]) -> None:
    assert registry, "the model registry is empty: nothing was checked"
    assert climbing(registry) == []


def test_a_foreign_key_that_climbs_is_found() -> None:
    down = ("billing.Bill.connection", "billing", "consumers")
    within = ("ledger.Posting.entry", "ledger", "ledger")
    up = ("ledger.Entry.bill", "ledger", "billing")
    sideways = ("recovery.Notice.recharge", "recovery", "prepaid")
    assert climbing([down, within]) == []
    assert len(climbing([down, up, sideways])) == 2
