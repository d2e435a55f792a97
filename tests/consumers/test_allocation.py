"""Account numbers are issued once and for ever: to parallel waves, after a kill, and beside those brought along."""

import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from khata.consumers import numbers as numbers_module
from khata.consumers.models import IssuedNumber
from khata.consumers.numbers import NumbersError, allocate, keep_numbers
from khata.consumers.rules import in_series, random_bodies, seeded_bodies, with_check_digit
from khata.discoms.models import Discom
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in
from khata.kernel.quantities import Int64
from tests.cast import ARRIVED, KESCO, PVVNL, REPOSITORY, town
from tests.database import Database


@pytest.fixture(scope="module", autouse=True)
def companies(module_database: Database) -> Iterator[None]:
    town(())
    yield


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers_module, "BATCH", 100)


def company(code: str) -> int:
    return int(Discom.objects.get(code=code).id)


def old(first: int, count: int) -> list[str]:
    return [f"{number:07d}" for number in range(first, first + count)]


def issued_to(code: str, accounts: list[str]) -> int:
    return IssuedNumber.objects.filter(discom__code=code, account__in=accounts).count()


def test_numbers_are_of_the_series_and_one_an_account(small_batches: None) -> None:
    accounts = old(0, 250)
    found = allocate(discom=company(KESCO), accounts=accounts, draw=random_bodies, now=ARRIVED)
    assert len(set(found)) == 250
    assert in_series(np.array(found, np.int64)).all()
    again = allocate(discom=company(KESCO), accounts=accounts[::-1], draw=random_bodies, now=ARRIVED)
    assert again == found[::-1]
    assert allocate(discom=company(KESCO), accounts=["0000007"] * 2, draw=random_bodies, now=ARRIVED) == [found[7]] * 2
    # The same old number in another company is another account.
    theirs = allocate(discom=company(PVVNL), accounts=accounts, draw=random_bodies, now=ARRIVED)
    assert set(theirs).isdisjoint(found)


def test_a_number_drawn_twice_is_drawn_anew() -> None:
    drawn: list[int] = []

    def narrow(count: int) -> Int64:
        """Ten bodies only, so that nearly every draw meets a number that is taken."""
        chance = np.random.default_rng(len(drawn))
        drawn.append(count)
        return 700_000_000 + chance.integers(0, 10, count)

    found = allocate(discom=company(KESCO), accounts=old(1_000, 10), draw=narrow, now=ARRIVED)
    assert sorted(found) == with_check_digit(700_000_000 + np.arange(10)).astype(str).tolist()
    assert len(drawn) > 1
    with pytest.raises(NumbersError):  # none is left
        allocate(discom=company(PVVNL), accounts=["5555555"], draw=narrow, now=ARRIVED)


def test_what_was_drawn_before_an_end_is_found_again(small_batches: None) -> None:
    accounts = old(10_000, 300)
    served: list[int] = []

    def dies_in_its_third_batch(count: int) -> Int64:
        if len(served) == 2:
            raise KeyboardInterrupt
        served.append(count)
        return random_bodies(count)

    with pytest.raises(KeyboardInterrupt):
        allocate(discom=company(KESCO), accounts=accounts, draw=dies_in_its_third_batch, now=ARRIVED)
    kept = dict(IssuedNumber.objects.filter(account__in=accounts).values_list("account", "number"))
    assert sorted(kept) == accounts[:200]
    found = allocate(discom=company(KESCO), accounts=accounts, draw=random_bodies, now=ARRIVED)
    assert found[:200] == [kept[account] for account in accounts[:200]]
    assert len(set(found)) == 300


# In a process of its own, with a seed that the others share, so that they draw the same numbers; it may die on its way.
ELSEWHERE = """
import datetime, os, sys
import django
django.setup()
from django.db import connection
from khata.consumers import numbers
from khata.consumers.rules import seeded_bodies
company, first, dies = map(int, sys.argv[1:])
numbers.BATCH = 100
same, drawn = seeded_bodies(42), []
def draw(count):
    drawn.append(count)
    if dies and len(drawn) == 3:
        os._exit(9)
    return same(count)
with connection.cursor() as cursor:
    cursor.execute("select pg_advisory_lock_shared(4), pg_advisory_unlock_shared(4)")
accounts = [f"{number:07d}" for number in range(first, first + 1_000)]
numbers.allocate(discom=company, accounts=accounts, draw=draw, now=datetime.datetime.now(datetime.UTC))
"""


def test_parallel_waves_meet_and_one_is_killed(module_database: Database) -> None:
    kesco, environment = company(KESCO), {**module_database.env(), "KHATA_ROLE": "run"}
    with module_database.connect("owner") as gate:
        gate.execute("select pg_advisory_lock(4)")
        works = [
            subprocess.Popen([sys.executable, "-c", ELSEWHERE, str(kesco), *each], cwd=REPOSITORY, env=environment)
            for each in (("20000", "0"), ("20500", "1"))
        ]
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while gate.execute(waiting).fetchall() != [(2,)]:
            assert all(work.poll() is None for work in works)
            time.sleep(0.02)
    assert [work.wait(60) for work in works] == [0, 9]
    rest = allocate(discom=kesco, accounts=old(20_500, 1_000), draw=seeded_bodies(42), now=ARRIVED)
    first = allocate(discom=kesco, accounts=old(20_000, 1_000), draw=random_bodies, now=ARRIVED)
    assert first[500:] == rest[:500]
    assert len({*first, *rest}) == 1_500
    assert issued_to(KESCO, old(20_000, 1_500)) == 1_500


def test_allocation_never_collides_where_most_is_taken() -> None:
    """The million of `make bench` meets some five hundred that are taken; here two of three are."""
    taken = with_check_digit(200_000_000 + np.arange(40_000))
    copy_in(
        "consumers_issuednumber",
        {
            "number": pgcopy.text(taken.astype("S10")),
            "discom_id": pgcopy.int2(np.full(len(taken), company(PVVNL))),
            "account": pgcopy.text(taken.astype("S10")),
            "issued_at": pgcopy.timestamptz(np.full(len(taken), np.datetime64("2024-03-14", "us"))),
        },
    )
    chance = np.random.default_rng(7)

    def beside(count: int) -> Int64:
        return chance.integers(200_000_000, 200_060_000, count)

    found = np.array(allocate(discom=company(KESCO), accounts=old(50_000, 500), draw=beside, now=ARRIVED), np.int64)
    assert len(np.unique(found)) == 500
    assert not np.isin(found, taken).any()
    assert in_series(found).all()


def test_numbers_brought_along_are_kept_unless_they_are_somebody_else_s() -> None:
    kesco, pvvnl = company(KESCO), company(PVVNL)
    (ours,) = allocate(discom=kesco, accounts=["7777777"], draw=random_bodies, now=ARRIVED)
    brought = ["0123456789", "9999999999", ours]
    assert keep_numbers(discom=pvvnl, numbers=brought, now=ARRIVED) == {ours}
    assert keep_numbers(discom=pvvnl, numbers=brought, now=ARRIVED) == {ours}
    assert keep_numbers(discom=kesco, numbers=brought, now=ARRIVED) == set(brought)  # drawn for 7777777, not brought
    assert keep_numbers(discom=kesco, numbers=[], now=ARRIVED) == set()
