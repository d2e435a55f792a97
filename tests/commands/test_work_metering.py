"""What `khata work` does beside bills: when it tries again."""

from types import SimpleNamespace

import pytest

from khata.commands import work_metering
from khata.commands.work_metering import Scorecard


def test_a_count_that_failed_is_tried_again_after_a_while_and_not_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    at = [1_000.0]
    monkeypatch.setattr(work_metering, "time", SimpleNamespace(monotonic=lambda: at[0]))
    monkeypatch.setattr(work_metering, "scorecard_made", lambda: None)
    monkeypatch.setattr(work_metering, "keep_scorecard", lambda **_: 1 / 0)
    look = Scorecard(tell=told.append, wait=True)
    for minutes, tried in ((0, 1), (1, 1), (4, 1), (6, 2)):
        at[0] = 1_000.0 + 60 * minutes
        look()
        assert len(told) == tried, minutes
    assert "ZeroDivisionError" in told[0] and told[0].endswith("It is tried again.")
