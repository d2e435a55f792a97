"""The business date and instant of a command."""

import datetime as dt

import pytest

from khata.commands.clock import INDIA, business_date, now
from khata.commands.errors import CommandError


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def set_both(today: str = "", moment: str = "") -> None:
        monkeypatch.setenv("KHATA_TODAY", today)
        monkeypatch.setenv("KHATA_NOW", moment)

    return set_both


def test_without_a_setting_it_is_the_real_day_in_india(set_clock) -> None:  # type: ignore[no-untyped-def]
    set_clock()
    before, day, after = dt.datetime.now(INDIA).date(), business_date(), dt.datetime.now(INDIA).date()
    assert before <= day <= after
    assert abs(now() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)


def test_a_set_day_keeps_the_real_time_of_day(set_clock) -> None:  # type: ignore[no-untyped-def]
    set_clock("2024-06-20")
    assert business_date() == dt.date(2024, 6, 20)
    assert now().astimezone(INDIA).date() == dt.date(2024, 6, 20)
    assert now().tzinfo is dt.UTC


def test_a_set_instant_gives_its_day_in_india(set_clock) -> None:  # type: ignore[no-untyped-def]
    set_clock(moment="2024-06-20T20:00:00Z")
    assert business_date() == dt.date(2024, 6, 21)
    assert now() == dt.datetime(2024, 6, 20, 20, tzinfo=dt.UTC)
    set_clock("2024-06-21", "2024-06-21T01:30:00+05:30")
    assert now() == dt.datetime(2024, 6, 20, 20, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("today", "moment", "wrong"),
    [
        ("20240620", "", "not a day"),
        ("2024-W25-4", "", "not a day"),
        ("2024-06-31", "", "not a day"),
        ("", "2024-06-20", "not an instant"),
        ("", "2024-06-20T10:00", "not an instant"),
        ("", "soon", "not an instant"),
        ("2024-06-20", "2024-06-20T20:00:00Z", "KHATA_NOW is on 2024-06-21"),
    ],
)
def test_a_setting_that_cannot_be_read_is_refused(set_clock, today: str, moment: str, wrong: str) -> None:  # type: ignore[no-untyped-def]
    set_clock(today, moment)
    with pytest.raises(CommandError, match=wrong):
        now()
