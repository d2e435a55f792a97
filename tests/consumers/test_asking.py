"""The look-up of a new number: whatever is typed, the asker learns nothing; the owner gets an SMS, once a day."""

import datetime as dt
from collections.abc import Iterator

import pytest
from django.db import transaction

from khata.consumers import operations
from khata.consumers.arrivals import set_window, take_back
from khata.consumers.models import Connection, NumberAsked
from khata.consumers.operations import ask_number, queue_numbers
from khata.discoms.scope import NOBODY, scoped
from khata.jobs.bulk import integers
from khata.notices.models import Message
from khata.notices.rules import text_of
from tests.cast import ASHA, BINA, CHARAN, OLD_UNTIL, Town, town
from tests.database import Database

NOW = dt.datetime(2024, 6, 11, 6, 30, tzinfo=dt.UTC)  # noon in Kanpur
TODAY = dt.date(2024, 6, 11)
OURS, TWICE, SILENT = "1234567", "7654321", "2345678"


@pytest.fixture
def built(database: Database) -> Iterator[Town]:
    plain = {"meters": (), "terms": ASHA.terms}
    yield town(
        [
            ASHA.with_(**plain, old_number=OURS),
            BINA.with_(**plain, old_number=TWICE),
            CHARAN.with_(**plain, old_number=TWICE),
            ASHA.with_(**plain, name="Silent", old_number=SILENT, mobile="12345"),
        ]
    )


def ask(database: Database, *typed: str, now: dt.datetime = NOW, address: str = "10.0.0.1") -> list[bool]:
    with database.as_role("app"), scoped(NOBODY):
        return [ask_number(typed=each, address=address, now=now, key="key") for each in typed]


def told(now: dt.datetime = NOW, today: dt.date = TODAY) -> list[tuple[str, list[str]]]:
    """Mobile and values of each message queued now."""
    before = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
    count = queue_numbers(now=now, today=today)
    found = list(Message.objects.filter(id__gt=before, template="new-number").order_by("id"))
    assert len(found) == count
    return [(each.mobile, each.values) for each in found]


def test_the_owner_is_told_both_numbers_and_the_last_day(database: Database, built: Town) -> None:
    ask(database, f" {OURS[:3]}-{OURS[3:]}")
    assert told() == [("9876543210", [OURS, built.accounts["Asha"], OLD_UNTIL.isoformat()])]
    number = built.accounts["Asha"]
    text = text_of(Message.objects.get(template="new-number"), b"key")
    shown = f"{number[:2]} {number[2:6]} {number[6:]}"
    assert text.startswith(f"बिजली खाता {OURS} अब {shown}, पुराना 13-09-24 तक।")
    assert told() == []


def test_where_two_companies_have_the_number_nobody_is_told_until_one_is_named(database: Database, built: Town) -> None:
    ask(database, TWICE)
    assert told() == []
    ask(database, f"PVVNL {TWICE}")
    assert told() == [("9876543212", [TWICE, built.accounts["Charan"], OLD_UNTIL.isoformat()])]


def test_one_account_is_told_once_a_day_however_often_it_is_asked_for(database: Database, built: Town) -> None:
    ask(database, OURS, OURS, built.accounts["Asha"], f"KESCO {OURS}")
    assert len(told()) == 1
    hours = dt.timedelta(hours=23)
    ask(database, OURS, now=NOW + hours)
    assert told(NOW + hours) == []
    tomorrow = NOW + dt.timedelta(hours=25)
    ask(database, OURS, now=tomorrow)
    assert len(told(tomorrow)) == 1


def kanpur(day: int, hour: int, minute: int = 0, second: int = 0) -> dt.datetime:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    return dt.datetime(2024, 6, day, hour, minute, second, tzinfo=zone).astimezone(dt.UTC)


@pytest.mark.parametrize(
    ("now", "may"),
    [
        (kanpur(11, 7, 59, 59), False),
        (kanpur(11, 8), True),
        (kanpur(11, 20, 59, 59), True),
        (kanpur(11, 21), False),
        (kanpur(11, 0), False),
    ],
)
def test_nobody_is_woken_by_a_new_number(database: Database, built: Town, now: dt.datetime, may: bool) -> None:
    ask(database, OURS, now=now)
    assert len(told(now)) == may
    assert NumberAsked.objects.get().queued is may


def test_what_is_asked_at_night_is_sent_in_the_morning(database: Database, built: Town) -> None:
    ask(database, OURS, now=kanpur(10, 21))  # as long before 8 as it can be
    ask(database, f"PVVNL {TWICE}", now=kanpur(10, 22))
    for night in (kanpur(10, 22, 1), kanpur(11, 3), kanpur(11, 7, 59)):
        assert told(night) == []
    assert [mobile for mobile, _ in told(kanpur(11, 8))] == ["9876543210", "9876543212"]
    assert told(kanpur(11, 9)) == []


def test_one_account_is_told_three_times_in_all_until_its_window_is_set_anew(database: Database, built: Town) -> None:
    def days_told(first: int, last: int) -> list[int]:
        found = []
        for day in range(first, last):
            now = NOW + dt.timedelta(days=day, minutes=day)
            ask(database, OURS, now=now)
            found.append(len(told(now)))
        return found

    assert days_told(0, 5) == [1, 1, 1, 0, 0]
    ask(database, f"KESCO {TWICE}", now=NOW + dt.timedelta(days=5))
    assert len(told(NOW + dt.timedelta(days=5))) == 1  # another one's messages do not count
    ours = Connection.objects.get(id=built.connections["Asha"])
    later = OLD_UNTIL + dt.timedelta(days=30)
    now = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)  # messages carry the real time
    set_window(discom=ours.discom_id, wave=ours.wave, last_day=later, source="an order", now=now)
    assert days_told(7, 8) == [1]


def test_nobody_is_told_of_what_is_not_honoured_or_cannot_be_reached(database: Database, built: Town) -> None:
    ask(database, SILENT, "9999999", "", "x", "' or 1=1", "1" * 500, "\0")
    assert told() == []
    ask(database, OURS)
    assert told(today=OLD_UNTIL + dt.timedelta(days=1)) == []
    take_back(connections=integers("select id from consumers_connection", (), 1)[0])
    ask(database, OURS)
    assert told() == []
    assert Connection.objects.filter(live=True).count() == 0


def test_whatever_is_typed_the_same_is_written(database: Database, built: Town) -> None:
    assert ask(database, OURS, "9999999", "") == [True] * 3
    rows = NumberAsked.objects.order_by("id").values_list("typed", "queued", "connection")
    assert list(rows) == [(OURS, False, None), ("9999999", False, None), ("", False, None)]
    ask(database, "7" * 500)
    assert len(NumberAsked.objects.order_by("-id")[0].typed) == 40


def test_rows_of_yesterday_are_thrown_away(database: Database, built: Town) -> None:
    ask(database, OURS)
    told()
    ask(database, TWICE)
    assert told(NOW + dt.timedelta(hours=25)) == []
    assert not NumberAsked.objects.exists()


def test_too_many_from_one_address_or_in_all_are_refused(
    database: Database, built: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "NUMBERS_PER_ADDRESS", ((2, 900),))
    monkeypatch.setattr(operations, "NUMBERS_IN_TOTAL", ((4, 900),))
    assert ask(database, OURS, "1", OURS, "1") == [True, True, False, False]
    assert ask(database, OURS, OURS, address="10.0.0.2") == [True, True]
    assert ask(database, OURS, OURS, address="10.0.0.3") == [False, False]
    assert NumberAsked.objects.count() == 4


def test_two_workers_at_once_tell_once(database: Database, built: Town) -> None:
    ask(database, OURS)
    with database.connect("run") as other:
        other.execute("select pg_advisory_xact_lock(hashtextextended('consumers:numbers', 0))")
        with transaction.atomic():
            assert told() == []
    assert len(told()) == 1
