"""One scene for a module; each test begins with no try counted."""

import os
from collections.abc import Iterator

import pytest

from tests.database import Database
from tests.portal.scene import TODAY, Scene, web


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database)
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


@pytest.fixture(autouse=True)
def no_tries_yet(scene: Scene) -> None:
    scene.owner("delete from discoms_limit; delete from consumers_signin")
