"""Cash over the counter: receipt, books, message and audit record agree at once, and a payment is one payment."""

import datetime as dt
import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, ProgrammingError, connection, transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from khata.audit.models import Record
from khata.consumers.models import Connection
from khata.consumers.operations import notify
from khata.discoms.scope import NOBODY, Scope, scoped
from khata.ledger.models import Posting
from khata.ledger.operations import post_one
from khata.ledger.queries import first_offence, head_sums, heads_by_company
from khata.ledger.rules import CASH, CONSUMERS, OnHead, settlement
from khata.notices.models import Message
from khata.notices.rules import PAYMENT_TAKEN
from khata.payments.models import CounterPolicy, Receipt
from khata.payments.operations import Taken, close_shift
from khata.payments.rules import (
    AmountError,
    DayLimitError,
    NoPolicyError,
    NoShiftError,
    NotThisConnectionError,
    OwesLessError,
    PaymentConflictError,
    PaymentRefusedError,
    ShiftClosedError,
    ShiftOfAnotherDayError,
    ShiftOfAnotherError,
)
from tests.cast import GUMTI, JAJMAU, KESCO, MEERUT, PVVNL, office_scope
from tests.payments.desk import MOST, NOON, TODAY, Bazaar, Desk, at, balance, entries_of, role, whole

NO_PRIVILEGE = "42501"


def test_receipt_books_message_and_audit_agree_at_once(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    asha, before = bazaar.town.connections["Asha"], bazaar.town.balance("Asha")
    taken = bazaar.take(desk, "Asha", 250_50, typed=" १२३४५६७ ", matched="1234567", today=TODAY)
    receipt = Receipt.objects.get(id=taken.receipt.id)
    assert not taken.repeated
    assert (receipt.number, receipt.serial, receipt.amount_paise) == (f"{desk.code}-000001", 1, 250_50)
    assert (receipt.typed, receipt.matched) == (" १२३४५६७ ", "1234567")
    assert (receipt.received_on, receipt.received_at, receipt.shift_id) == (TODAY, NOON, desk.shift)
    assert receipt.balance_after_paise == bazaar.town.balance("Asha") == before - 250_50
    postings = Posting.objects.filter(entry_id=receipt.entry_id).values_list("head__code", "subject", "amount_paise")
    assert sorted(postings) == [(CASH, 0, 250_50), (CONSUMERS, asha, -250_50)]
    message = Message.objects.get(cause=f"payments:receipt:{receipt.id}")
    assert (message.template, message.mobile, message.language) == ("payment-taken", "9876543210", "hi")
    assert message.values == [bazaar.town.accounts["Asha"][-4:], "25050", "2024-06-20", receipt.number]
    record = Record.objects.get(object=f"payments:receipt:{receipt.id}")
    assert (record.actor, record.action) == (f"staff:{desk.staff}", "payments.take-cash")
    assert "25050" not in str(record.details)


def test_who_has_no_mobile_gets_a_receipt_and_no_message(bazaar: Bazaar) -> None:
    taken = bazaar.take(bazaar.desk(), "Silent")
    assert not Message.objects.filter(cause=f"payments:receipt:{taken.receipt.id}").exists()
    assert entries_of(taken.receipt) == 1


# -- a repeated submission is one payment ------------------------------------------------------------------------------


def test_the_same_payment_sent_again_is_the_same_receipt(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    pay = bazaar.pays(desk)
    with bazaar.web(desk.scope):
        first = pay()
    after = bazaar.written()
    with bazaar.web(desk.scope):
        again = [pay() for _ in range(3)]
    assert [(each.receipt.id, each.repeated) for each in again] == [(first.receipt.id, True)] * 3
    assert bazaar.written() == after


def test_an_answer_lost_before_the_shift_closed_is_found_after_it_and_the_day_after(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    reference = str(uuid.uuid4())
    first = bazaar.take(desk, reference=reference)
    with bazaar.web(desk.scope):
        close_shift(shift=desk.shift, staff=desk.staff, declared_paise=600_00, reason="", now=NOON)
    later = {"now": at(dt.date(2024, 6, 21), 6), "today": dt.date(2024, 6, 21)}
    again = bazaar.take(desk, reference=reference.upper(), **later)
    assert (again.receipt.id, again.repeated) == (first.receipt.id, True)


@pytest.mark.parametrize("changed", [{"paise": 100_01}, {"name": "Bina"}])
def test_the_same_reference_with_another_amount_or_connection_is_a_conflict(
    bazaar: Bazaar, changed: dict[str, Any]
) -> None:
    desk = bazaar.desk()
    reference = str(uuid.uuid4())
    first = bazaar.take(desk, reference=reference)
    after = bazaar.written()
    with pytest.raises(PaymentConflictError, match=first.receipt.number):
        bazaar.take(desk, reference=reference, **changed)
    assert bazaar.written() == after


def at_once(many: int, desk: Desk, work: Callable[[int], object]) -> list[object]:
    """What each of so many threads got, or the error it ended with; each works as the web."""

    def one(number: int) -> object:
        try:
            with scoped(desk.scope):
                assert role() == "khata_app"
                return work(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(one, range(many)))


def test_sixteen_at_once_are_one_receipt_one_entry_one_message(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    pay, before = bazaar.pays(desk), bazaar.written()
    with bazaar.database.as_role("app"):
        found = at_once(16, desk, lambda _: pay())
    taken = [each for each in found if isinstance(each, Taken)]
    assert len(taken) == 16, found
    assert len({each.receipt.id for each in taken}) == 1
    assert [each.repeated for each in taken].count(False) == 1
    after = bazaar.written()
    grown = {word: after[word] - before[word] for word in after}
    one = {"receipts": 1, "entries": 1, "postings": 2, "messages": 1, "records": 1, "owed": -100_00, "cash": 100_00}
    assert grown == one
    assert entries_of(taken[0].receipt) == 1


def test_one_reference_at_two_counters_at_once_is_taken_at_one(bazaar: Bazaar) -> None:
    desks = [bazaar.desk(), bazaar.desk()]
    reference, before = str(uuid.uuid4()), bazaar.written()
    with bazaar.database.as_role("app"):
        found = at_once(8, desks[0], lambda number: bazaar.pays(desks[number % 2], reference=reference)())
    assert bazaar.written()["receipts"] == before["receipts"] + 1
    taken = {each.receipt.id for each in found if isinstance(each, Taken)}
    assert len(taken) == 1
    assert all(isinstance(each, Taken | PaymentConflictError) for each in found), found


class PlannedError(Exception):
    """An injected failure."""


def test_serials_have_no_gap_though_payments_fail_half_way(bazaar: Bazaar) -> None:
    desk, seed = bazaar.desk(), 20_240_620
    chance = random.Random(seed)
    failing = [chance.random() < 0.4 for _ in range(48)]

    def pay(number: int) -> int:
        done = 0
        for payment in range(number, 48, 8):
            try:
                with transaction.atomic():
                    bazaar.pays(desk, "Bina", 1_00 + payment)()
                    if failing[payment]:
                        raise PlannedError
                done += 1
            except PlannedError:
                pass
        return done

    with bazaar.database.as_role("app"):
        found = at_once(8, desk, pay)
    acknowledged = sum(each for each in found if isinstance(each, int))
    assert acknowledged == failing.count(False), (seed, found)
    assert whole(desk) == list(range(1, acknowledged + 1))


def failing_at(number: int, *, done: bool) -> tuple[Callable[..., Any], list[str]]:
    """Fails at the statement of this number, from 1, when it is done or instead of it; and the statements that came."""
    seen: list[str] = []

    def wrapper(execute: Callable[..., Any], sql: str, params: object, many: bool, context: Any) -> Any:
        seen.append(sql)
        if len(seen) == number and not done:
            raise PlannedError(sql)
        answer = execute(sql, params, many, context)
        if len(seen) == number:
            raise PlannedError(sql)
        return answer

    return wrapper, seen


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("name", "postings"), [("Asha", 2), ("Charan", 4)])
def test_failing_at_any_statement_leaves_the_old_state_or_the_new_one(
    bazaar: Bazaar, name: str, postings: int, done: bool
) -> None:
    desk = bazaar.desk()
    pay, old = bazaar.pays(desk, name), bazaar.written()
    statement = 0
    while True:
        statement += 1
        wrapper, seen = failing_at(statement, done=done)
        try:
            with bazaar.web(desk.scope), connection.execute_wrapper(wrapper):
                taken = pay()
            break
        except PlannedError:
            assert bazaar.written() == old, seen[-1]
    assert statement == len(seen) + 1 >= 9  # it did fail at each of them
    assert any("khata.post" in sql for sql in seen) and "audit_record" in seen[-1]
    grown = {word: count - old[word] for word, count in bazaar.written().items()}
    assert grown["receipts"] == grown["entries"] == grown["messages"] == grown["records"] == 1
    assert grown["postings"] == postings
    assert (grown["cash"], grown["owed"]) == (100_00, -100_00)
    assert (taken.receipt.serial, taken.repeated) == (1, False)


# -- another company's connection --------------------------------------------------------------------------------------


def test_money_for_another_companys_connection_is_owed_between_the_two(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    charan, before = bazaar.town.connections["Charan"], bazaar.town.balance("Charan")
    taken = bazaar.take(desk, "Charan", 321_00)
    rows = Posting.objects.filter(entry_id=taken.receipt.entry_id)
    found = sorted(rows.values_list("head__discom__code", "head__code", "subject", "amount_paise"))
    assert found == [
        (KESCO, CASH, 0, 321_00),
        (KESCO, settlement(PVVNL), 0, -321_00),
        (PVVNL, CONSUMERS, charan, -321_00),
        (PVVNL, settlement(KESCO), 0, 321_00),
    ]
    assert bazaar.town.balance("Charan") == before - 321_00 == taken.receipt.balance_after_paise
    message = Message.objects.get(cause=f"payments:receipt:{taken.receipt.id}")
    assert message.mobile == "9876543212"


def test_each_company_sums_to_zero_alone_and_settlements_mirror_each_other(bazaar: Bazaar) -> None:
    desks = [bazaar.desk(GUMTI, KESCO), bazaar.desk(JAJMAU, KESCO), bazaar.desk(MEERUT, PVVNL)]

    @settings(max_examples=10)
    @given(st.sampled_from(desks), st.sampled_from(["Asha", "Bina", "Charan"]), st.integers(1, 5_000_00))
    @example(desks[0], "Charan", 5)
    @example(desks[2], "Asha", 1_00)
    def pay(desk: Desk, name: str, paise: int) -> None:
        before = bazaar.town.balance(name)
        taken = bazaar.take(desk, name, paise)
        assert bazaar.town.balance(name) == before - paise == taken.receipt.balance_after_paise

    pay()
    sums = {(head.discom, head.code): head.amount_paise for head in head_sums()}
    for company in (KESCO, PVVNL):
        assert sum(paise for (discom, _), paise in sums.items() if discom == company) == 0
    assert sums[KESCO, settlement(PVVNL)] == -sums[PVVNL, settlement(KESCO)] != 0
    assert first_offence() is None


# -- who may -----------------------------------------------------------------------------------------------------------


def sqlstate(error: BaseException) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def test_a_consumer_and_nobody_can_neither_post_nor_look_up(bazaar: Bazaar) -> None:
    heads = heads_by_company(discoms={KESCO}, codes={CASH, CONSUMERS, "energy"})
    asha = bazaar.town.connections["Asha"]
    postings = [OnHead(heads[KESCO, CASH], 0, 5_00), OnHead(heads[KESCO, CONSUMERS], asha, -5_00)]
    desk = bazaar.desk()
    before = bazaar.written()
    for scope in (NOBODY, bazaar.town.seen_by("Asha")):
        with bazaar.web(scope), pytest.raises(ProgrammingError) as refused, transaction.atomic():
            post_one(kind="receipt", cause="test:1", business_date=TODAY, reason="", postings=postings)
        assert sqlstate(refused.value) == NO_PRIVILEGE
        with bazaar.web(scope), pytest.raises(NoShiftError):
            bazaar.pays(desk)()
    values = ["1234", "500", "2024-06-20", "K07-000001"]
    with bazaar.web(NOBODY), pytest.raises(ProgrammingError), transaction.atomic():
        notify(connection=asha, template=PAYMENT_TAKEN, values=values, cause="test:1")
    with bazaar.web(bazaar.town.seen_by("Asha")), transaction.atomic():
        charan = bazaar.town.connections["Charan"]
        assert notify(connection=charan, template=PAYMENT_TAKEN, values=values, cause="test:1") is None
    assert bazaar.written() == before


def test_an_office_posts_only_what_touches_its_own_companys_books(bazaar: Bazaar) -> None:
    heads = heads_by_company(discoms={PVVNL}, codes={CASH, CONSUMERS})
    charan = bazaar.town.connections["Charan"]
    postings = [OnHead(heads[PVVNL, CASH], 0, 5_00), OnHead(heads[PVVNL, CONSUMERS], charan, -5_00)]
    with bazaar.web(office_scope(KESCO)), pytest.raises(ProgrammingError) as refused, transaction.atomic():
        post_one(kind="receipt", cause="test:2", business_date=TODAY, reason="", postings=postings)
    assert sqlstate(refused.value) == NO_PRIVILEGE


def test_a_cashier_of_another_company_cannot_use_this_shift(bazaar: Bazaar) -> None:
    desk, other = bazaar.desk(), bazaar.desk(MEERUT, PVVNL)
    before = bazaar.written()
    with bazaar.web(other.scope), pytest.raises(NoShiftError):
        bazaar.pays(desk, "Charan", staff=other.staff)()
    with pytest.raises(ShiftOfAnotherError):
        bazaar.take(desk, staff=bazaar.cashier())
    assert bazaar.written() == before


def test_a_receipt_is_seen_where_it_was_taken_and_where_the_connection_is(bazaar: Bazaar) -> None:
    taken = bazaar.take(bazaar.desk(), "Charan")
    seen = {}
    scopes = {
        "collector": office_scope(KESCO),
        "collector's other division": office_scope(KESCO, JAJMAU),
        "owner": office_scope(PVVNL),
        "payer": bazaar.town.seen_by("Charan"),
        "another consumer": bazaar.town.seen_by("Asha"),
        "nobody": NOBODY,
    }
    for word, scope in scopes.items():
        with bazaar.web(scope), transaction.atomic():
            seen[word] = Receipt.objects.filter(id=taken.receipt.id).exists()
            assert not Connection.objects.filter(account_number="0000000000").exists()
    assert {word for word, found in seen.items() if found} == {"collector", "owner", "payer"}


# -- what is not taken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paise", [0, -1, -100_00, MOST + 1, 2**63, True, 100.5, "100"])
def test_amounts_that_are_none(bazaar: Bazaar, paise: int) -> None:
    desk, before = bazaar.desk(), bazaar.written()
    with pytest.raises(AmountError) as refused:
        bazaar.take(desk, "Asha", paise)
    assert refused.value.next_step
    assert bazaar.written() == before | {"records": before["records"]}


def test_the_smallest_and_the_largest_amount_are_taken(bazaar: Bazaar) -> None:
    paid = [(dt.date(2024, 6, 18), 1), (dt.date(2024, 6, 19), MOST)]
    for day, paise in paid:
        taken = bazaar.take(bazaar.desk(today=day), "Bina", paise, now=at(day, 6), today=day)
        assert taken.receipt.amount_paise == paise


def test_the_limit_is_for_a_connection_and_day_at_all_counters_of_a_company_together(bazaar: Bazaar) -> None:
    day, next_day = dt.date(2024, 6, 11), dt.date(2024, 6, 12)
    when, later = {"now": at(day, 6), "today": day}, {"now": at(next_day, 6), "today": next_day}
    one, two = bazaar.desk(GUMTI, today=day), bazaar.desk(JAJMAU, today=day)
    assert bazaar.take(one, "Bina", 1_99_999_00, **when).receipt.serial == 1
    before = bazaar.written()
    for desk, paise in ((one, 1_99_999_00), (two, 1_99_999_00), (two, 1)):
        with pytest.raises(DayLimitError) as refused:
            bazaar.take(desk, "Bina", paise, **when)
        assert refused.value.left_paise == 0 and refused.value.next_step
    assert bazaar.written() == before
    assert bazaar.take(two, "Asha", 1_00_000_00, **when).receipt.serial == 1  # somebody else's
    with pytest.raises(DayLimitError) as refused:
        bazaar.take(one, "Asha", 1_00_000_00, **when)
    assert refused.value.left_paise == 99_999_00
    assert bazaar.take(one, "Asha", 99_999_00, **when).receipt.serial == 2
    assert bazaar.take(bazaar.desk(MEERUT, PVVNL, today=day), "Bina", 1_00, **when)  # another company's cash
    assert bazaar.take(bazaar.desk(today=next_day), "Bina", 1_99_999_00, **later)


def test_two_counters_at_once_do_not_pass_the_limit_together(bazaar: Bazaar) -> None:
    day = dt.date(2024, 6, 13)
    desks = [bazaar.desk(today=day) for _ in range(4)]
    pays = [bazaar.pays(desk, "Bina", 1_00_000_00, now=at(day, 6), today=day) for desk in desks]
    with bazaar.database.as_role("app"):
        found = at_once(4, desks[0], lambda number: pays[number]())
    assert sorted(type(each).__name__ for each in found) == ["DayLimitError"] * 3 + ["Taken"], found


def test_the_limit_is_of_the_day(bazaar: Bazaar) -> None:
    discom = office_scope(KESCO).office_from
    assert discom is not None
    policy = CounterPolicy.objects.get(discom__code=KESCO)
    CounterPolicy.objects.create(discom=policy.discom, from_date=dt.date(2024, 7, 1), most_paise=50_00, source="test")
    july = dt.date(2024, 7, 1)
    desk = bazaar.desk(today=july)
    with pytest.raises(AmountError, match="limit"):
        bazaar.take(desk, "Asha", 50_01, now=at(july, 6), today=july)
    assert bazaar.take(desk, "Asha", 50_00, now=at(july, 6), today=july).receipt.received_on == july
    early = bazaar.desk(today=dt.date(2024, 3, 31))
    with pytest.raises(NoPolicyError):
        bazaar.take(early, now=at(dt.date(2024, 3, 31), 6), today=dt.date(2024, 3, 31))


def test_a_shift_left_open_at_midnight_takes_nothing_more(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    bazaar.take(desk, now=dt.datetime(2024, 6, 20, 18, 29, 59, tzinfo=dt.UTC))  # a second before midnight in Kanpur
    midnight = {"now": dt.datetime(2024, 6, 20, 18, 30, tzinfo=dt.UTC), "today": dt.date(2024, 6, 21)}
    before = bazaar.written()
    with pytest.raises(ShiftOfAnotherDayError) as refused:
        bazaar.take(desk, **midnight)
    assert "close that shift" in refused.value.next_step
    assert bazaar.written() == before
    with bazaar.web(desk.scope):
        closed = close_shift(shift=desk.shift, staff=desk.staff, declared_paise=600_00, reason="", now=midnight["now"])
    assert closed.booked_paise == 600_00
    with pytest.raises(ShiftClosedError):
        bazaar.take(desk, **midnight)


def test_a_receipt_is_never_before_its_shift(bazaar: Bazaar) -> None:
    with pytest.raises(ShiftOfAnotherDayError):
        bazaar.take(bazaar.desk(), now=at(TODAY, 2))


def test_a_closed_connection_pays_what_it_owes_and_no_more(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    ended = bazaar.town.connections["Ended"]
    heads = heads_by_company(discoms={KESCO}, codes={CASH, CONSUMERS, "energy"})
    owes = [OnHead(heads[KESCO, CONSUMERS], ended, 70_00), OnHead(heads[KESCO, "energy"], 0, -70_00)]
    with transaction.atomic():
        post_one(kind="test", cause=f"test:{uuid.uuid4()}", business_date=TODAY, reason="", postings=owes)
    owed = balance(ended)
    before = bazaar.written()
    with pytest.raises(OwesLessError) as refused:
        bazaar.take(desk, "Ended", owed + 1)
    assert refused.value.owed_paise == owed
    assert bazaar.written() == before
    assert bazaar.take(desk, "Ended", owed).receipt.balance_after_paise == 0
    with pytest.raises(OwesLessError) as refused:
        bazaar.take(desk, "Ended", 1)
    assert refused.value.owed_paise == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"matched": "9999999999"},
        {"matched": "abc"},
        {"matched": ""},
        {"connection": 999_999_999},
        {"typed": ""},
        {"typed": "  "},
        {"typed": "1" * 81},
        {"typed": "123\x00456"},
        {"typed": "123\n456"},
    ],
)
def test_what_was_not_found_is_not_paid(bazaar: Bazaar, changes: dict[str, Any]) -> None:
    day = changes.get("today", TODAY)
    desk, before = bazaar.desk(today=day), bazaar.written()
    with pytest.raises(NotThisConnectionError):
        bazaar.take(desk, **{"now": at(day, 6), **changes})
    assert bazaar.written() == before


def test_a_number_of_somebody_else_is_not_paid(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    with pytest.raises(NotThisConnectionError):
        bazaar.take(desk, "Asha", matched=bazaar.town.accounts["Bina"])
    both = {bazaar.take(desk, name, matched="1234567").receipt.connection_id for name in ("Asha", "Deepa Devi")}
    assert len(both) == 2  # the old number of two companies' consumers, each of whom was chosen


def test_a_page_without_its_number_is_opened_again(bazaar: Bazaar) -> None:
    with pytest.raises(PaymentRefusedError, match="page"):
        bazaar.take(bazaar.desk(), reference="1")


def test_the_database_itself_refuses_gaps_and_strange_offices(bazaar: Bazaar) -> None:
    """As app, past all that Python checks."""
    desk = bazaar.desk()
    taken = bazaar.take(desk)
    copied = "insert into payments_receipt select (jsonb_populate_record(r, %s::jsonb)).* from payments_receipt r "
    copy = '{"id": 99999999, "reference": "x", '
    away = office_scope(PVVNL).office_from
    states = {}
    for word, changes in {
        "gap": copy + '"serial": 3}',
        "again": copy + '"serial": 1}',
        "other day": copy + '"serial": 2, "received_on": "2024-06-19"}',
        "before the shift": copy + '"serial": 2, "received_at": "2024-06-19T00:00:00Z"}',
        "other office": copy + f'"serial": 2, "office_id": {away}}}',
        "no counter": copy + '"serial": null, "counter_id": null, "shift_id": null, "received_at": null, '
        '"balance_after_paise": null}',
        "other channel": copy + '"serial": 2, "channel": "upi"}',
    }.items():
        with (
            bazaar.web(desk.scope),
            pytest.raises(DatabaseError) as refused,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(copied + "where id = %s", [changes, taken.receipt.id])
        states[word] = sqlstate(refused.value)
    assert states == {
        "gap": "KH008",
        "again": "23505",
        "other day": "KH008",
        "before the shift": "KH008",
        "other office": NO_PRIVILEGE,
        "no counter": NO_PRIVILEGE,
        "other channel": NO_PRIVILEGE,
    }
    assert whole(desk) == [1]


def test_a_scope_of_one_division_takes_money_at_its_own_counters_only(bazaar: Bazaar) -> None:
    desk = bazaar.desk(GUMTI)
    jajmau = office_scope(KESCO, JAJMAU)
    with bazaar.web(jajmau), pytest.raises(NoShiftError):
        bazaar.pays(desk)()
    both = Scope(bazaar.town.consumers["Asha"], jajmau.office_from, jajmau.office_to)
    with bazaar.web(both), pytest.raises(NoShiftError):
        bazaar.pays(desk)()
