"""The whole move as one story: a dirty hand-over, every step to the paisa, and back and forth again.

The suite tells it with a few hundred accounts, `make drills` with 50,000 (KHATA_STORY_ACCOUNTS).
"""

import csv
import datetime as dt
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from khata.billing.operations import set_policy
from khata.consumers.queries import resolve
from khata.consumers.rules import seeded_bodies
from khata.discoms.models import Discom, Office
from khata.discoms.operations import COMPANIES, hire, install_companies
from khata.discoms.queries import discom_named
from khata.discoms.scope import scoped
from khata.ledger.models import Balance, Head
from khata.ledger.operations import open_books
from khata.ledger.queries import first_offence, head_sums
from khata.ledger.rules import OWED, SUSPENSE, settlement
from khata.metering.operations import add_reading_cycle
from khata.migration.cutover import cutover, last_day_of_window
from khata.migration.documents import numbers_csv
from khata.migration.intake import load, profile, reload
from khata.migration.models import Account, Compared, File, Finding, StagedRow, Wave
from khata.migration.operations import decide, propose
from khata.migration.parallel import gate, months_billed, run_parallel
from khata.migration.queries import about_row
from khata.migration.reconciling import digest, reconcile
from khata.migration.rollback import handed, rollback, write_export
from khata.migration.telling import listed_numbers, not_told, progress, public_lists
from khata.notices.models import Message
from khata.payments.models import Receipt
from khata.payments.operations import Taken, add_counter, close_shift, open_shift, set_counter_policy, take_cash
from khata.rehearsal.handover import divisions_of, latin_of, write_handover
from khata.rehearsal.readings import CYCLES
from khata.rehearsal.town import draw_town
from tests.cast import KESCO, POLICY, PVVNL, office_scope
from tests.database import Database

ACCOUNTS = int(os.environ.get("KHATA_STORY_ACCOUNTS", "400"))
PAYMENTS = max(20, ACCOUNTS // 50)  # 1,000 of 50,000
SEED = 4_711
AT, BACK, AGAIN = dt.date(2024, 3, 14), dt.date(2024, 9, 20), dt.date(2024, 9, 21)
LAST = dt.date(2024, 9, 13)
SILENT: Callable[[str, int, int], None] = lambda *_: None  # noqa: E731


def instant(day: dt.date, hour: int = 4) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour), dt.UTC)


LAST_SECOND = dt.datetime(2024, 9, 13, 18, 29, 59, tzinfo=dt.UTC)  # 23:59:59 in Kanpur
FIRST_SECOND = LAST_SECOND + dt.timedelta(seconds=1)


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@contextmanager
def timed(step: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    sys.stdout.write(f"  {step}: {time.monotonic() - began:.1f} s\n")


class Kanpur:
    """The companies, two people who sign, a counter of another company, and the files."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        install_companies()
        for each in Discom.objects.order_by("id"):
            open_books(discom=each)
        self.discom = discom_named(KESCO)
        set_policy(discom=self.discom, from_date=dt.date(2024, 3, 14), **POLICY)
        for cycle in CYCLES:
            add_reading_cycle(
                discom=self.discom,
                code=cycle.code,
                read_day=cycle.day,
                every_months=cycle.every,
                first_month=cycle.first,
            )
        company = Office.objects.get(discom=self.discom, kind="company")
        self.maker, self.checker = (self._hired(login, "officer", company) for login in ("maker", "checker"))
        other = Office.objects.get(discom__code=PVVNL, kind="company")
        self.cashier = self._hired("cashier", "cashier", other)
        counter = add_counter(office=other, code="P01", name_hi="काउंटर", name_en="Counter")
        policy = {"most_paise": 1_99_999_00, "source": "test"}
        set_counter_policy(discom=other.discom, from_date=AT, **policy)
        self.counter, self.scope = counter.id, office_scope(PVVNL)
        named = divisions_of(COMPANIES, KESCO)
        town = draw_town(
            accounts=ACCOUNTS,
            seed=SEED,
            divisions=[name for _, name in named],
            discom=KESCO,
            tariffs=settings.KHATA_TARIFFS,
            latin=latin_of(named),
        )
        write_handover(out=folder, discom=KESCO, divisions=named, town=town, dirt_permille=10, seed=SEED)

    def _hired(self, login: str, role: str, office: Office) -> int:
        staff, _ = hire(
            login=login,
            name=login,
            password="correct horse",
            role=role,
            office=office,
            from_date=dt.date(2024, 1, 1),
            now=instant(AT),
            actor="test",
        )
        return staff.id

    def sign(self, wave: Wave, kind: str, about: str, column: str = "", value: str = "") -> None:
        made = propose(
            wave=wave,
            division=None,
            kind=kind,
            about=about,
            column=column,
            value=value,
            reason="as the company's letter says",
            maker=self.maker,
            now=instant(AT),
        )
        decide(proposal=made.id, approved=True, reason="", checker=self.checker, now=instant(AT))

    @contextmanager
    def shift(self, day: dt.date, now: dt.datetime) -> Iterator[Callable[[Account, str, int], Taken]]:
        """A day at the other company's counter, as the web: what is laid down there for whom."""
        with self.database.as_role("app"), scoped(self.scope):
            drawer: list[int] = []
            opened = open_shift(counter=self.counter, staff=self.cashier, opening_paise=0, now=now, today=day)

            def take(account: Account, number: str, paise: int, at: dt.datetime = now, on: dt.date = day) -> Taken:
                drawer.append(paise)
                return take_cash(
                    shift=opened.id,
                    staff=self.cashier,
                    reference=str(uuid.uuid4()),
                    typed=number,
                    connection=account.connection_id or 0,
                    matched=number,
                    amount_paise=paise,
                    now=at,
                    today=on,
                )

            yield take
            close_shift(shift=opened.id, staff=self.cashier, declared_paise=sum(drawer), reason="", now=now)


def owed(connections: list[int]) -> dict[int, int]:
    found: Counter[int] = Counter(dict.fromkeys(connections, 0))
    balances = Balance.objects.filter(subject__in=connections, head__code__in=OWED)
    for subject, paise in balances.values_list("subject", "amount_paise"):
        found[subject] += paise
    return found


def no_difference(wave: Wave) -> None:
    """Nothing is red, and where something was signed it is a control total that was planted, not a lost paisa."""
    for line in reconcile(wave):
        assert not line.red, line
        assert line.differences[0] == line.differences[2] == 0, line
    assert first_offence() is None
    books: Counter[str] = Counter()
    for head in head_sums():
        books[head.discom] += head.amount_paise
    assert set(books.values()) == {0}


@pytest.mark.timeout(3_600)
def test_a_dirty_hand_over_moves_and_comes_back_and_moves_again(database: Database, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    with timed(f"{ACCOUNTS} accounts written"):
        kanpur = Kanpur(database, files)

    # Profile reads and changes nothing; load finds what was planted, no more and no less.
    with timed("profile"):
        assert profile(files, today=AT)
    assert not Wave.objects.exists()
    with timed("load"):
        wave = load(
            directory=files,
            discom=kanpur.discom,
            wave="W1",
            numbers="new",
            today=AT,
            now=instant(AT),
            actor="test",
            say=SILENT,
        ).wave
    planted = {(row["file"], int(row["line"]), row["rule"]) for row in table(files / "planted.csv")}
    found = set(Finding.objects.filter(wave=wave).values_list("file__name", "line", "rule"))
    assert (planted - found, found - planted) == (set(), set())
    rows = StagedRow.objects.filter(wave=wave).exclude(kind="control")
    outcomes = Counter(rows.values_list("outcome", flat=True))
    assert set(outcomes) == {"migrated", "repaired", "held"}
    lines = sum(File.objects.filter(wave=wave).exclude(kind="control").values_list("rows", flat=True))
    assert outcomes.total() == lines

    # An exception is worked off by two people: a category that does not exist. The old bill says which it is.
    wrong = Finding.objects.select_related("file").filter(wave=wave, rule="MIG-15")[0]
    known = StagedRow.objects.filter(wave=wave, account=wrong.account, category__in=["LMV-1", "LMV-2"])[0].category
    column = {"master": "CATEGORY", "billed": "TARIFF_TYPE", "heads": "SUPPLY_TYPE"}[wrong.file.kind]
    right = {"LMV-1": "10", "LMV-2": "20"}[known or ""] if column == "SUPPLY_TYPE" else known or ""
    kanpur.sign(wave, "correct", about_row(wrong.file_id, wrong.line), column, right)
    assert reload(wave=wave, today=AT, now=instant(AT), actor="test", say=SILENT).corrected == 1
    assert Account.objects.get(wave=wave, old_number=wrong.account).outcome == "migrated"

    # Only the totals that were planted stand red; two people sign them.
    red = [line for line in reconcile(wave) if line.red]
    assert {line.differences[0] for line in red} == {0}
    assert len(red) == Counter(rule for _, _, rule in planted)["MIG-19"]
    for line in red:
        kanpur.sign(wave, "accept", line.about)
    no_difference(wave)

    with timed("parallel run"):
        runs = [
            run_parallel(wave=wave, cycle=cycle, tariffs=settings.KHATA_TARIFFS, actor="test")
            for cycle in months_billed(wave)
        ]
    differing = {row["account"]: row["class"] for row in table(files / "planted_parallel.csv")}
    rows = Compared.objects.filter(run__in=runs).exclude(result="equal")
    compared = dict(rows.values_list("account__old_number", "result"))
    assert {number: differing.get(number) for number in compared} == compared
    assert [about.split(":")[2] for about in gate(wave)] == ["unknown"]
    for about in gate(wave):
        kanpur.sign(wave, "accept", about)

    with timed("cut-over"):
        act = cutover(wave=wave, at=AT, actor="test", now=instant(AT), draw=seeded_bodies([SEED]))
    first_digest = digest(wave)
    no_difference(wave)
    moved = list(Account.objects.filter(wave=wave, connection__isnull=False).exclude(outcome="held").order_by("id"))
    assert len(moved) == Account.objects.filter(wave=wave).exclude(outcome="held").count()
    opened = owed([each.connection_id or 0 for each in moved])
    for each in moved:
        assert opened[each.connection_id or 0] == each.principal_paise + each.lpsc_paise - each.prepaid_paise
    assert act.details
    lines = reconcile(wave)
    with database.as_role("app"), scoped(office_scope(KESCO)), transaction.atomic():
        assert reconcile(wave) == lines  # the company's officers see the same on their pages

    # Everybody with a mobile that can be used gets one message; the lists have everybody; nobody has been told yet.
    messages = Counter(Message.objects.filter(template="new-number").values_list("subject", flat=True))
    assert messages == Counter(each.connection_id for each in moved if each.mobile_key)
    listed = [pair for each in public_lists(today=AT) for pair in listed_numbers(division=each.division.id, today=AT)]
    assert sorted(listed) == sorted((each.old_number, each.account_number) for each in moved)
    assert listed[0][0].encode() in numbers_csv(listed, masked=False)
    assert len(not_told(wave=wave)) == len(moved) == sum(each.not_yet for each in progress(wave))

    # Another company's counter: half by the old number, half by the new one.
    payers, paid = moved[:PAYMENTS], Counter[int]()
    with timed(f"{PAYMENTS} payments at another company's counter"), kanpur.shift(AT, instant(AT)) as take:
        for place, each in enumerate(payers):
            amount = 100_00 + place
            taken = take(each, each.old_number if place % 2 else each.account_number, amount)
            assert taken.receipt.connection_id == each.connection_id
            paid[each.connection_id or 0] += amount
    assert sum(each.by_use for each in progress(wave)) == len(payers[::2])
    no_difference(wave)

    # To the last second, IST, the old number pays; from the next on the money waits, and staff still find whose it is.
    assert last_day_of_window(AT) == LAST
    one, late = moved[PAYMENTS], moved[PAYMENTS + 1]
    with kanpur.shift(LAST, instant(LAST)) as take:
        taken = take(one, one.old_number, 50_00, LAST_SECOND, LAST)  # type: ignore[call-arg]
        assert taken.receipt.connection_id == one.connection_id
        paid[one.connection_id or 0] += 50_00
    after = LAST + dt.timedelta(days=1)
    with kanpur.shift(after, FIRST_SECOND) as take:
        taken = take(late, late.old_number, 60_00, FIRST_SECOND, after)  # type: ignore[call-arg]
        assert (taken.receipt.connection_id, taken.receipt.held_for) == (None, "old-number-ended")
    assert [match.honoured for match in resolve(typed=late.old_number, today=after, discom=KESCO).matches] == [False]
    assert public_lists(today=after) == []
    no_difference(wave)

    # Back: what was paid since goes to the old system, so that its balance is the central one, to the paisa.
    before = owed([each.connection_id or 0 for each in moved])
    with timed("rollback"):
        rollback(wave=wave, at=BACK, actor="test", now=instant(BACK))
        written = write_export(wave, tmp_path / "back")
    exported: Counter[str] = Counter()
    for file in written:
        if file.name.startswith("payments_"):
            for row in table(file):
                exported[row["ACCT_ID"]] += round(float(row["AMOUNT"]) * 100)
    for each in moved:
        old = each.principal_paise + each.lpsc_paise - each.prepaid_paise
        assert old - exported[each.old_number] == before[each.connection_id or 0]
    assert exported.total() == paid.total()
    assert {each.difference_paise for each in handed(wave)} == {0}
    assert set(owed([each.connection_id or 0 for each in moved]).values()) == {0}
    assert resolve(typed=one.account_number, today=BACK).result == "none"
    assert first_offence() is None

    # And once more: the same wave, the same digest, and no payment lost.
    with timed("second cut-over"):
        cutover(wave=wave, at=AGAIN, actor="test", now=instant(AGAIN), exported="carried", draw=seeded_bodies([1]))
    assert digest(wave) == first_digest
    assert owed([each.connection_id or 0 for each in moved]) == before
    no_difference(wave)

    # What waits still waits, at the company that took it; the companies agree on what they owe each other.
    waiting = Receipt.objects.filter(connection=None)
    assert [each.amount_paise for each in waiting] == [60_00]
    sums = {(each.discom, each.code): each.amount_paise for each in head_sums()}
    assert sums[PVVNL, SUSPENSE] == -60_00
    assert sums[KESCO, settlement(PVVNL)] == -sums[PVVNL, settlement(KESCO)] == paid.total()
    assert Head.objects.filter(code=SUSPENSE).count() == Discom.objects.count()
    connection.close()
