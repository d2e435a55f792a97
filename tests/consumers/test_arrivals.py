"""A wave brings connections in, takes them back and brings them in again; meanwhile nobody sees them."""

import datetime as dt
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from django.db import connection as session
from django.db import transaction

from khata.consumers.arrivals import ArrivalError, Arrivals, bring_in, hold_live, set_window, take_back
from khata.consumers.models import Connection, NumberWindow, OldNumber, Terms
from khata.consumers.numbers import allocate, keep_numbers
from khata.consumers.operations import notify
from khata.consumers.queries import (
    old_number_of,
    own_connections,
    payers,
    resolve,
    supplied,
    window_of,
)
from khata.consumers.rules import seeded_bodies
from khata.discoms.models import Discom
from khata.discoms.queries import discom_named, division_named
from khata.discoms.scope import Scope, scoped
from khata.notices.rules import PAYMENT_TAKEN
from tests.cast import ARRIVED, GUMTI, KESCO, NAUBASTA, PVVNL, office_scope, town
from tests.database import Database

TODAY, LAST = dt.date(2024, 4, 1), dt.date(2024, 9, 13)
LATER = ARRIVED + dt.timedelta(days=9)
TABLES = ("consumer", "connection", "terms", "oldnumber", "issuednumber", "numberwindow")


@pytest.fixture
def fresh(database: Database) -> Iterator[Database]:
    town(())
    yield database


def company(code: str = KESCO) -> int:
    return int(Discom.objects.get(code=code).id)


def arrivals(count: int = 4, first: int = 1, **changes: object) -> Arrivals:
    old = [f"{number:07d}" for number in range(first, first + count)]
    made = Arrivals(
        account_number=allocate(discom=company(), accounts=old, draw=seeded_bodies(first), now=ARRIVED),
        name=[f"Asha {number}" for number in range(count)],
        mobile=[f"+91 98765432{number:02d}" for number in range(count)],
        mobile_key=[f"98765432{number:02d}" for number in range(count)],
        language=["hi"] * count,
        address=["आर्य नगर"] * count,
        division=np.full(count, division_named(discom_named(KESCO), GUMTI).id),
        connected_on=np.full(count, np.datetime64("2024-02-10")),
        category=["LMV-1"] * count,
        area=["urban"] * count,
        mode=["postpaid"] * count,
        load_w=np.full(count, 2_000),
        old_number=old,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def come(rows: Arrivals, wave: str = "W1", now: dt.datetime = ARRIVED) -> list[int]:
    return [int(one) for one in bring_in(discom=company(), wave=wave, rows=rows, now=now)]


def digest(database: Database) -> dict[str, str]:
    """Of each table all rows, with the transactions that wrote them: what is written again, though alike, differs."""
    with database.connect("owner") as owner:
        return {
            name: hashlib.sha256(
                repr(owner.execute(f"select t.*, t.xmin::text from consumers_{name} t order by 1").fetchall()).encode()
            ).hexdigest()
            for name in TABLES
        }


def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.connect("owner") as owner:
        return {name: owner.execute(f"select * from consumers_{name} order by 1").fetchall() for name in TABLES}


def test_brought_in_twice_is_written_once(fresh: Database) -> None:
    rows = arrivals()
    ids = come(rows)
    once = digest(fresh)
    assert come(rows, now=LATER) == ids
    assert digest(fresh) == once
    turned = np.array([2, 0, 3, 1])
    assert come(rows.at(turned)) == [ids[place] for place in turned.tolist()]
    assert digest(fresh) == once
    found = Connection.objects.order_by("id").select_related("consumer")
    assert [each.account_number for each in found] == list(rows.account_number)
    assert [each.consumer.mobile_key for each in found] == list(rows.mobile_key)
    assert [each.number for each in OldNumber.objects.order_by("connection")] == list(rows.old_number)


def test_taken_back_and_brought_in_again_all_is_as_before(fresh: Database) -> None:
    rows = arrivals()
    ids = np.array(come(rows))
    set_window(discom=company(), wave="W1", last_day=LAST, source="order", now=ARRIVED)
    before = contents(fresh)
    take_back(connections=ids)
    gone = contents(fresh)
    assert gone != before and not Connection.objects.filter(live=True).exists()
    take_back(connections=ids)
    assert contents(fresh) == gone
    assert come(rows, now=LATER) == ids.tolist()
    assert contents(fresh) == before


def test_only_what_differs_is_written(fresh: Database) -> None:
    rows = arrivals()
    ids = come(rows)
    people = dict(Connection.objects.values_list("id", "consumer_id"))
    naubasta = division_named(discom_named(KESCO), NAUBASTA).id
    other = replace(
        rows,
        name=[*rows.name[:3], "आशा"],
        mobile_key=["", *rows.mobile_key[1:]],
        division=np.where(np.arange(4) == 1, naubasta, rows.division),
        load_w=np.array([2_000, 2_000, 3_000, 2_000]),
    )
    assert come(other, now=LATER) == ids
    assert dict(Connection.objects.values_list("id", "consumer_id")) == people
    found = list(Connection.objects.order_by("id").select_related("consumer"))
    assert [each.consumer.name for each in found] == list(other.name)
    assert [each.consumer.name_key for each in found] == ["asha 0", "asha 1", "asha 2", "आशा"]
    assert [each.consumer.mobile_key for each in found] == list(other.mobile_key)
    assert [each.division_id for each in found] == other.division.tolist()
    changed = Terms.objects.filter(revision__gt=0)
    assert [(t.connection_id, t.from_date, t.revision, t.load_w, t.known_at) for t in changed] == [
        (ids[2], dt.date(2024, 2, 10), 1, 3_000, LATER)
    ]


def test_one_that_comes_back_is_billed_as_it_is_handed_over_and_one_that_stayed_as_was_agreed(fresh: Database) -> None:
    rows = arrivals(2)
    stays, returns = come(rows)
    for connection in (stays, returns):
        agreed = {"from_date": dt.date(2024, 3, 20), "known_at": ARRIVED, "category": "LMV-2", "area": "urban"}
        Terms.objects.create(connection_id=connection, mode="postpaid", load_w=5_000, **agreed)
    take_back(connections=np.array([returns]))
    come(replace(rows, connected_on=np.full(2, np.datetime64("2024-02-01"))), now=LATER)

    def newest(connection: int) -> list[tuple[str, str, int]]:
        found = Terms.objects.filter(connection_id=connection).order_by("from_date", "-revision").distinct("from_date")
        return [(str(each.from_date), each.category, each.load_w) for each in found]

    first = [("2024-02-01", "LMV-1", 2_000), ("2024-02-10", "LMV-1", 2_000)]
    assert newest(stays) == [*first, ("2024-03-20", "LMV-2", 5_000)]
    assert newest(returns) == [*first, ("2024-03-20", "LMV-1", 2_000)]


def test_new_ones_and_known_ones_come_together(fresh: Database) -> None:
    known = come(arrivals(3))
    both = come(arrivals(6))
    assert both[:3] == known and len(set(both)) == 6
    assert come(arrivals(0, 90)) == []


def test_what_is_somebody_else_s_is_refused_whole(fresh: Database) -> None:
    come(arrivals(2))
    before = digest(fresh)
    theirs = allocate(discom=company(PVVNL), accounts=["0000009"], draw=seeded_bodies(9), now=ARRIVED)
    issued = digest(fresh)["issuednumber"]
    for wrong, said in (
        (arrivals(2, 1, account_number=[arrivals(1).account_number[0], *theirs]), "not this company's"),
        (arrivals(2, 1, account_number=["1234567890", "1234567891"]), "not this company's"),
        (arrivals(2, 1, account_number=[arrivals(1).account_number[0]] * 2), "on two rows"),
    ):
        with pytest.raises(ArrivalError, match=said):
            come(wrong)
    with pytest.raises(ArrivalError, match="live in another wave"):
        come(arrivals(2), wave="W2")
    with pytest.raises(ArrivalError, match="not this company's"):
        bring_in(discom=company(PVVNL), wave="W1", rows=arrivals(2), now=ARRIVED)
    assert digest(fresh) == {**before, "issuednumber": issued}


def test_a_connection_that_was_taken_back_may_come_with_another_wave(fresh: Database) -> None:
    ids = come(arrivals(2))
    set_window(discom=company(), wave="W2", last_day=LAST, source="order", now=ARRIVED)
    take_back(connections=np.array(ids))
    assert come(arrivals(2), wave="W2") == ids
    (match,) = resolve(typed="0000001", today=TODAY).matches
    assert match.honoured


def test_numbers_that_were_brought_along_stay(fresh: Database) -> None:
    brought = ["0123456789", "9876543210"]
    assert keep_numbers(discom=company(), numbers=brought, now=ARRIVED) == set()
    ids = come(arrivals(2, 50, account_number=brought, old_number=["", ""]))
    assert resolve(typed="123456789", today=TODAY).matches[0].connection == ids[0]
    assert not OldNumber.objects.exists()


# -- who sees one that was taken back ----------------------------------------------------------------------------------


def test_one_that_was_taken_back_is_seen_by_nobody(fresh: Database) -> None:
    ids = come(arrivals())
    set_window(discom=company(), wave="W1", last_day=LAST, source="order", now=ARRIVED)
    asha = Connection.objects.get(id=ids[0])
    scopes = [Scope(asha.consumer_id, None, None), office_scope(KESCO), office_scope(KESCO, GUMTI)]

    def seen() -> list[object]:
        said: list[object] = [
            [match.connection for match in resolve(typed=asha.account_number, today=TODAY).matches],
            [match.connection for match in resolve(typed="0000001", today=TODAY).matches],
            _opened("9876543200"),
            sorted(payers(connections=ids[:1], today=TODAY)),
            [one for one in supplied(division=asha.division_id, before=TODAY).tolist() if one == ids[0]],
            [ids[0]] if old_number_of(connection_id=ids[0], today=TODAY) else [],
            [ids[0]] if _told(ids[0]) else [],
        ]
        for scope in scopes:
            with fresh.as_role("app"), scoped(scope), transaction.atomic():
                said.append(list(Connection.objects.filter(id=ids[0]).values_list("id", flat=True)))
                said.append(list(Terms.objects.filter(connection_id=ids[0]).values_list("connection", flat=True)))
        with fresh.as_role("app"), scoped(scopes[0]), transaction.atomic():
            said.append([one.id for one in own_connections()])
        return said

    everywhere = seen()
    assert everywhere == [ids[:1]] * len(everywhere)
    take_back(connections=np.array(ids[:1]))
    assert seen() == [[]] * len(everywhere)
    come(arrivals())
    assert seen() == everywhere


def _opened(mobile: str) -> list[int]:
    with session.cursor() as cursor:
        cursor.execute("select connection from khata.connections_of_mobile(%s)", [mobile])
        return [connection for (connection,) in cursor.fetchall()]


def _told(connection: int) -> bool:
    values = ("1234", "100", "2024-04-01", "G01-000001")
    return notify(connection=connection, template=PAYMENT_TAKEN, values=values, cause="test") is not None


def test_a_payment_under_way_and_a_roll_back_wait_for_each_other(fresh: Database) -> None:
    connection = come(arrivals(1))[0]
    assert not hold_live(connection + 99)
    with transaction.atomic():
        assert hold_live(connection)
        other = threading.Thread(target=_take_back_elsewhere, args=(fresh, connection))
        other.start()
        other.join(0.3)
        assert other.is_alive()  # it waits for this payment
        assert hold_live(connection)
    other.join(20)
    with transaction.atomic():
        assert not hold_live(connection)


def _take_back_elsewhere(database: Database, connection: int) -> None:
    with database.connect("run") as run:
        run.execute("select from consumers_connection where id = %s for update", [connection])
        run.execute("update consumers_connection set live = false where id = %s", [connection])


# -- windows -----------------------------------------------------------------------------------------------------------


def test_the_newest_word_on_a_window_counts(fresh: Database) -> None:
    kesco = company()
    assert window_of(discom=kesco, wave="W1") is None
    come(arrivals(1))

    def says(today: dt.date) -> tuple[bool, dt.date | None, str]:
        (match,) = resolve(typed="0000001", today=today).matches
        return match.honoured, match.last_day, match.why

    assert says(TODAY) == (False, None, "old number, not honoured")
    longer = LAST + dt.timedelta(days=31)
    for last_day in (LAST, LAST, longer, None, longer):
        set_window(discom=kesco, wave="W1", last_day=last_day, source="order", now=ARRIVED)
        assert window_of(discom=kesco, wave="W1") == last_day
        assert says(LAST)[:2] == (last_day is not None, last_day)
    assert NumberWindow.objects.count() == 4  # said again, it is noted once
    set_window(discom=company(PVVNL), wave="W1", last_day=None, source="order", now=ARRIVED)
    set_window(discom=kesco, wave="W2", last_day=None, source="order", now=ARRIVED)
    assert says(longer) == (True, longer, f"old number, honoured until {longer}")
    assert says(longer + dt.timedelta(days=1))[0] is False
