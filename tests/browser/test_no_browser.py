"""A machine without Chromium: the suite fails and says the next step, unless it was told beforehand."""

import shutil

import pytest

from tests.browser.kanpur import WITHOUT, chromium


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_a_missing_browser_is_a_failure_with_a_next_step() -> None:
    with pytest.raises(pytest.fail.Exception, match=f"(?s)Next step: .*apt-get install chromium.*{WITHOUT}=1"):
        chromium(allowed_without=False)


def test_a_browser_that_one_said_to_do_without_is_a_skip() -> None:
    with pytest.raises(pytest.skip.Exception, match=f"{WITHOUT}=1"):
        chromium(allowed_without=True)
