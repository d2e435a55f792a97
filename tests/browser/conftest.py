"""One Kanpur for all tests of this folder; a copy of it, a server and a Chromium for each worker that runs some."""

import os
from collections.abc import Iterator

import pytest
from django.conf import global_settings
from django.test import override_settings
from playwright.sync_api import Browser, sync_playwright

from tests.browser.kanpur import TODAY, WITHOUT, Kanpur, build_kanpur, chromium
from tests.browser.places import people_it
from tests.database import filled_once, fresh_database
from tests.pages import served


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = chromium(os.environ.get(WITHOUT) == "1")
    with sync_playwright() as playwright:
        # Playwright's synchronous face runs a loop in this thread; Django would refuse to ask the database beside it.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        # As an administrator, and in a container, Chromium has no sandbox of its own. It opens our own pages only.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="package")
def kanpur(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kanpur]:
    outbox = tmp_path_factory.mktemp("telephone") / "messages.jsonl"
    in_earnest = global_settings.PASSWORD_HASHERS
    with override_settings(PASSWORD_HASHERS=in_earnest), pytest.MonkeyPatch.context() as environment:
        environment.setenv("KHATA_TODAY", str(TODAY))
        name, made = filled_once("kanpur", build_kanpur)
        environment.setenv("KHATA_COMPANY", made.discom.code)
        with fresh_database(copy_of=name) as database, served(database, today=str(TODAY), outbox=outbox) as site:
            yield Kanpur(made, site=site, outbox=outbox, browser=browser)


@pytest.fixture(scope="package")
def peopled(kanpur: Kanpur) -> Kanpur:
    people_it(kanpur)
    return kanpur
