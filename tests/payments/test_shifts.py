"""A shift: one open at most of a counter and of a person, closed once with what was counted and what was booked."""

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction

from khata.audit.models import Record
from khata.payments.models import Counter, Shift, ShiftClosed
from khata.payments.operations import close_shift, open_shift
from khata.payments.queries import counters_of, open_shift_of, receipts_of_shift, shift_summary
from khata.payments.rules import (
    AmountError,
    CounterBusyError,
    DifferenceError,
    NoCounterError,
    NoShiftError,
    NotYourShiftError,
    ShiftClosedError,
    StaffBusyError,
)
from tests.cast import GUMTI, JAJMAU, KESCO, MEERUT, PVVNL, office_scope
from tests.payments.desk import NOON, TODAY, Bazaar, Desk, at
from tests.payments.test_take_cash import at_once, sqlstate


def close(bazaar: Bazaar, desk: Desk, declared_paise: int, reason: str = "", staff: int = 0) -> ShiftClosed:
    with bazaar.web(desk.scope):
        return close_shift(
            shift=desk.shift, staff=staff or desk.staff, declared_paise=declared_paise, reason=reason, now=NOON
        )


def test_an_open_shift_is_found_by_its_person_and_no_other(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    with bazaar.web(desk.scope), transaction.atomic():
        found = open_shift_of(desk.staff)
        assert found is not None
        assert (found.id, found.counter.code, found.counter.office.name_en) == (desk.shift, desk.code, GUMTI)
        assert open_shift_of(0) is None
    with bazaar.web(office_scope(PVVNL)), transaction.atomic():
        assert open_shift_of(desk.staff) is None


def test_one_shift_at_a_time_of_a_counter_and_of_a_person(bazaar: Bazaar) -> None:
    desk, other, free = bazaar.desk(), bazaar.cashier(), bazaar.counter()
    opening = {"opening_paise": 0, "now": NOON, "today": TODAY}
    with bazaar.web(desk.scope):
        with pytest.raises(CounterBusyError, match=desk.code):
            open_shift(counter=desk.counter, staff=other, **opening)
        with pytest.raises(StaffBusyError):
            open_shift(counter=free.id, staff=desk.staff, **opening)
    close(bazaar, desk, 500_00)
    with bazaar.web(desk.scope):
        assert open_shift(counter=desk.counter, staff=desk.staff, **opening).id != desk.shift


def test_eight_at_once_open_one_shift(bazaar: Bazaar) -> None:
    counter, staff = bazaar.counter(), [bazaar.cashier() for _ in range(8)]
    desk = Desk(counter.id, counter.code, 0, 0, office_scope(KESCO))

    def begin(number: int) -> Shift:
        return open_shift(counter=counter.id, staff=staff[number], opening_paise=0, now=NOON, today=TODAY)

    with bazaar.database.as_role("app"):
        found = at_once(8, desk, begin)
    assert sorted(type(each).__name__ for each in found) == ["CounterBusyError"] * 7 + ["Shift"]
    assert Shift.objects.filter(counter=counter).count() == 1


def test_a_counter_of_another_company_or_out_of_use_is_not_opened(bazaar: Bazaar) -> None:
    staff, away, unused, free = bazaar.cashier(), bazaar.counter(MEERUT, PVVNL), bazaar.counter(), bazaar.counter()
    with bazaar.database.connect("owner") as owner:
        owner.execute("update payments_counter set active = false where id = %s", [unused.id])
    with bazaar.web(office_scope(KESCO)):
        for counter in (away.id, unused.id, 999_999):
            with pytest.raises(NoCounterError):
                open_shift(counter=counter, staff=staff, opening_paise=0, now=NOON, today=TODAY)
        with pytest.raises(AmountError):
            open_shift(counter=free.id, staff=staff, opening_paise=-1, now=NOON, today=TODAY)
    with bazaar.web(office_scope(KESCO)), transaction.atomic():
        jajmau, kesco = office_scope(KESCO, JAJMAU), office_scope(KESCO)
        assert counters_of(office_from=jajmau.office_from or 0, office_to=jajmau.office_to or 0) == []
        seen = counters_of(office_from=kesco.office_from or 0, office_to=kesco.office_to or 0)
        assert free in seen and unused not in seen and away not in seen


def test_what_was_counted_and_what_was_booked_stand_side_by_side(bazaar: Bazaar) -> None:
    desk = bazaar.desk(opening_paise=200_00)
    for paise in (1, 99_99, 100_00):
        bazaar.take(desk, "Asha", paise)
    with bazaar.web(desk.scope), transaction.atomic():
        summary = shift_summary(desk.shift)
        rows = receipts_of_shift(shift=desk.shift, limit=2)
    assert summary is not None
    assert (summary.receipts, summary.taken_paise, summary.booked_paise) == (3, 200_00, 400_00)
    assert (summary.first_number, summary.last_number) == (f"{desk.code}-000001", f"{desk.code}-000003")
    assert (summary.closed_at, summary.declared_paise) == (None, None)
    assert [row.number for row in rows] == [f"{desk.code}-000003", f"{desk.code}-000002"]
    with pytest.raises(DifferenceError):
        close(bazaar, desk, 399_00, "  ")
    closed = close(bazaar, desk, 399_00, " a coin  fell down ")
    assert (closed.declared_paise, closed.booked_paise, closed.reason) == (399_00, 400_00, "a coin fell down")
    with bazaar.web(desk.scope), transaction.atomic():
        summary = shift_summary(desk.shift)
        assert open_shift_of(desk.staff) is None
    assert summary is not None
    assert (summary.declared_paise, summary.closed_by, summary.closed_at) == (399_00, desk.staff, NOON)
    record = Record.objects.get(object=f"payments:shift:{desk.shift}", action="payments.close-shift")
    assert record.details == {"differs": True}


def test_closing_again_is_once_and_with_other_figures_refused(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    first = close(bazaar, desk, 500_00)
    assert close(bazaar, desk, 500_00).pk == first.pk
    with pytest.raises(ShiftClosedError):
        close(bazaar, desk, 500_01, "why")
    with pytest.raises(ShiftClosedError):
        bazaar.take(desk)
    assert ShiftClosed.objects.filter(shift_id=desk.shift).count() == 1


def test_another_person_closes_with_a_reason(bazaar: Bazaar) -> None:
    desk, other = bazaar.desk(), bazaar.cashier()
    with pytest.raises(NotYourShiftError):
        close(bazaar, desk, 500_00, staff=other)
    assert close(bazaar, desk, 500_00, "went home ill", staff=other).staff_id == other


def test_a_shift_of_another_company_is_not_there(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    with bazaar.web(office_scope(PVVNL)):
        with pytest.raises(NoShiftError):
            close_shift(shift=desk.shift, staff=desk.staff, declared_paise=0, reason="x", now=NOON)
        with transaction.atomic():
            assert shift_summary(desk.shift) is None


@pytest.mark.parametrize("declared", [-1, True, 1.5])
def test_cash_that_cannot_have_been_counted(bazaar: Bazaar, declared: int) -> None:
    with pytest.raises(AmountError):
        close(bazaar, bazaar.desk(), declared, "why")


def test_no_receipt_slips_between_the_sum_and_the_close(bazaar: Bazaar) -> None:
    desk = bazaar.desk(opening_paise=0)

    def work(number: int) -> object:
        if number != 3:
            return bazaar.pays(desk)()
        return close_shift(shift=desk.shift, staff=desk.staff, declared_paise=0, reason="in a hurry", now=NOON)

    with bazaar.database.as_role("app"):
        found = at_once(8, desk, work)
    closed = ShiftClosed.objects.get(shift_id=desk.shift)
    with bazaar.web(desk.scope), transaction.atomic():
        summary = shift_summary(desk.shift)
    assert summary is not None
    assert closed.booked_paise == summary.taken_paise
    refused = [each for each in found if isinstance(each, ShiftClosedError)]
    assert summary.receipts + len(refused) == 7, found


def test_the_database_itself_refuses_a_second_shift_and_a_wrong_sum(bazaar: Bazaar) -> None:
    """As app, past all that Python checks."""
    desk, away = bazaar.desk(), bazaar.desk(MEERUT, PVVNL)
    bazaar.take(desk)
    free, other = bazaar.counter().id, bazaar.cashier()
    opened = "insert into payments_shift (counter_id, staff_id, business_date, opened_at, opening_paise) "
    closed = "insert into payments_shiftclosed (shift_id, closed_at, declared_paise, booked_paise, reason, staff_id) "
    offences = {
        "counter": (opened + "values (%s, %s, %s, %s, 0)", [desk.counter, other, TODAY, NOON]),
        "person": (opened + "values (%s, %s, %s, %s, 0)", [free, desk.staff, TODAY, NOON]),
        "company": (opened + "values (%s, %s, %s, %s, 0)", [away.counter, other, TODAY, NOON]),
        "sum": (closed + "values (%s, %s, 500, 500, '', %s)", [desk.shift, NOON, desk.staff]),
        "no reason": (closed + "values (%s, %s, 0, 60000, '', %s)", [desk.shift, NOON, desk.staff]),
        "not by": (closed + "values (%s, %s, 60000, 60000, '', %s)", [desk.shift, NOON, other]),
        "another's": (closed + "values (%s, %s, 50000, 50000, '', %s)", [away.shift, NOON, away.staff]),
    }
    states = {}
    for word, (statement, params) in offences.items():
        with (
            bazaar.web(desk.scope),
            pytest.raises(DatabaseError) as refused,
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, params)
        states[word] = sqlstate(refused.value)
    assert states == {
        "counter": "KH006",
        "person": "KH006",
        "company": "42501",
        "sum": "KH007",
        "no reason": "23514",
        "not by": "KH007",
        "another's": "42501",
    }
    assert Counter.objects.get(id=free).shift_set.count() == 0


def test_yesterdays_open_shift_is_still_its_persons(bazaar: Bazaar) -> None:
    yesterday = dt.date(2024, 6, 19)
    desk, free = bazaar.desk(today=yesterday), bazaar.counter()
    with bazaar.web(desk.scope):
        with transaction.atomic():
            found = open_shift_of(desk.staff)
        assert found is not None and found.business_date == yesterday
        with pytest.raises(StaffBusyError) as refused:
            open_shift(counter=free.id, staff=desk.staff, opening_paise=0, now=at(TODAY, 4), today=TODAY)
        assert "Close" in refused.value.next_step
