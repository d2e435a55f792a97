"""Django for all tests, and the fixtures that give a test its own database."""

import os
from collections.abc import Iterator
from pathlib import Path

import django
import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
os.environ["KHATA_VAR"] = str(Path(__file__).resolve().parents[1] / "var" / "test")
# What Django finds where no fixture gave it another name: the error then says what is missing.
os.environ["KHATA_DATABASE_NAME"] = "khata_test_without_the_database_fixture"
os.environ["KHATA_DURABLE"] = "0"
for name in ("KHATA_DATABASE_URL", "KHATA_ROLE", "KHATA_TODAY", "KHATA_NOW"):
    os.environ.pop(name, None)
django.setup()
from django.conf import settings  # noqa: E402  # Django is set up

# To hash a password takes long on purpose, and hundreds are made here. Where a browser signs in it is done in earnest.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]

from khata.site.build import compile_words  # noqa: E402  # these need Django's settings
from tests.database import VAR, Database, fresh_database  # noqa: E402

compile_words(var=VAR)


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty, migrated database for one test; Django's default connection works on it as run."""
    with fresh_database() as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_database() -> Iterator[Database]:
    """The same for all tests of a module, which see what those before them committed."""
    with fresh_database() as fresh:
        yield fresh
