"""One town for a module. Whatever its tests did, the books are in order at its end and no serial is missing."""

from collections.abc import Iterator

import pytest

from khata.ledger.queries import first_offence
from khata.payments.queries import missing_serials
from tests.database import Database
from tests.payments.desk import Bazaar


@pytest.fixture(scope="module")
def bazaar(module_database: Database) -> Iterator[Bazaar]:
    yield Bazaar(module_database)
    assert first_offence() is None
    assert missing_serials(limit=10) == []
