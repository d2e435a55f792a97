"""What pages read: a search that tells no name, the receipt, the day's takings, the check of a receipt by its code."""

import datetime as dt

import pytest
from django.db import ProgrammingError, transaction
from hypothesis import given
from hypothesis import strategies as st

from khata.consumers.queries import find, owed, payer, resolve
from khata.consumers.rules import address_part
from khata.discoms.scope import NOBODY, Scope
from khata.formats.text import FormatError
from khata.payments.queries import (
    collection,
    receipt_view,
    receipts_of_connection,
    receipts_of_day,
    verify_receipt,
)
from khata.payments.rules import check_code, check_code_fits, number_parts, receipt_number
from tests.cast import GUMTI, JAJMAU, KESCO, MEERUT, OLD_UNTIL, PVVNL, office_scope
from tests.payments.desk import NOON, TODAY, Bazaar
from tests.payments.test_take_cash import sqlstate

HINDI_DIGITS = str.maketrans("0123456789", "०१२३४५६७८९")


def found(bazaar: Bazaar, text: str, scope: Scope | None = None, today: dt.date = TODAY) -> list[tuple[int, str, str]]:
    """Connection, the number that matched and by what, as a cashier of the first company finds it."""
    with bazaar.web(scope or office_scope(KESCO)), transaction.atomic():
        rows = find(text=text, discom=KESCO, today=today, limit=20)
    assert all(name not in repr(rows) for name in ("Asha", "Bina", "Charan", "Deepa", "9876543"))
    return [(row.payer.connection, row.matched, row.by) for row in rows]


def test_a_connection_is_found_by_number_mobile_and_name(bazaar: Bazaar) -> None:
    asha, account = bazaar.town.connections["Asha"], bazaar.town.accounts["Asha"]
    assert found(bazaar, account) == [(asha, account, "number")]
    assert found(bazaar, "+91 98765 43210")[0] == (asha, account, "mobile")
    assert (asha, account, "name") in found(bazaar, "  aS ")
    assert found(bazaar, "asha devi") == []


def test_of_another_company_only_the_exact_number_leads_anywhere(bazaar: Bazaar) -> None:
    charan, account = bazaar.town.connections["Charan"], bazaar.town.accounts["Charan"]
    assert found(bazaar, account) == [(charan, account, "number")]
    assert found(bazaar, "Charan") == found(bazaar, "98765 43212") == []
    assert found(bazaar, account[:-1]) == []


def test_a_number_of_two_companies_gives_both_also_when_it_is_not_honoured_any_more_and_of_none_nothing(
    bazaar: Bazaar,
) -> None:
    both = {bazaar.town.connections[name] for name in ("Asha", "Deepa Devi")}
    assert {connection for connection, _, _ in found(bazaar, "1234567")} == both
    assert found(bazaar, "1111111111") == []
    assert {connection for connection, _, _ in found(bazaar, "1234567", today=OLD_UNTIL + dt.timedelta(days=1))} == both


def test_a_closed_connection_is_found_and_said_to_be_closed(bazaar: Bazaar) -> None:
    with bazaar.web(office_scope(KESCO)), transaction.atomic():
        (row,) = find(text="7654321", discom=KESCO, today=TODAY, limit=20)
        open_still = payer(connection=row.payer.connection, today=dt.date(2024, 5, 31))
    assert row.payer.closed
    assert open_still is not None and not open_still.closed


@pytest.mark.parametrize("text", ["", "  ", "-", "a", "12345678901", "½"])
def test_what_can_be_nothing_says_so(bazaar: Bazaar, text: str) -> None:
    with pytest.raises(FormatError) as refused:
        found(bazaar, text)
    assert refused.value.next_step
    assert len(text) < 3 or text not in refused.value.what


def test_a_division_finds_names_of_its_own_only(bazaar: Bazaar) -> None:
    asha = bazaar.town.connections["Asha"]
    assert asha in [row[0] for row in found(bazaar, "asha", office_scope(KESCO, GUMTI))]
    assert found(bazaar, "asha", office_scope(KESCO, JAJMAU)) == []


def test_a_payer_is_told_masked_with_part_of_the_address_and_the_amount(bazaar: Bazaar) -> None:
    with bazaar.web(office_scope(KESCO)), transaction.atomic():
        asha = payer(connection=bazaar.town.connections["Asha"], today=TODAY)
        deepa = payer(connection=bazaar.town.connections["Deepa Devi"], today=TODAY)
        assert payer(connection=999_999_999, today=TODAY) is None
    assert asha is not None and deepa is not None
    assert (asha.masked_name, asha.address_part, asha.own) == ("A***", "Gumti No. 5", True)
    assert (asha.old_number, asha.old_number_last_day) == ("1234567", OLD_UNTIL)
    assert asha.balance_paise == bazaar.town.balance("Asha") > 0
    assert (deepa.masked_name, deepa.discom, deepa.own) == ("D*** D***", PVVNL, False)


def test_a_consumer_is_told_of_own_connections_only_and_nobody_of_none(bazaar: Bazaar) -> None:
    asha, bina = (bazaar.town.connections[name] for name in ("Asha", "Bina"))
    with bazaar.web(bazaar.town.seen_by("Asha")), transaction.atomic():
        mine = payer(connection=asha, today=TODAY)
        assert mine is not None and mine.own
        assert owed(connection=asha) == mine.balance_paise
        assert payer(connection=bina, today=TODAY) is None
    for scope in (NOBODY, bazaar.town.seen_by("Asha")):
        with bazaar.web(scope), pytest.raises(ProgrammingError) as refused, transaction.atomic():
            resolve(typed=bazaar.town.accounts["Asha"], today=TODAY)
        assert sqlstate(refused.value) == "42501"
    with bazaar.web(NOBODY), pytest.raises(ProgrammingError), transaction.atomic():
        payer(connection=asha, today=TODAY)


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("12/345, Gumti No. 5, Kanpur", "Gumti No. 5, Kanpur"),
        ("Flat 3, 12/345, Gumti No. 5, Kanpur", "Gumti No. 5, Kanpur"),
        ("१२/३, गुमटी नं. ५, कानपुर", "गुमटी नं. ५, कानपुर"),
        ("3 Meerut Road", "Meerut Road"),
        ("12/345, Kanpur", "Kanpur"),
        ("12/345", ""),
        (" , ", ""),
        ("", ""),
    ],
)
def test_of_an_address_the_house_is_left_out(address: str, part: str) -> None:
    assert address_part(address) == part


# -- receipts ----------------------------------------------------------------------------------------------------------


def test_a_receipt_shows_what_was_posted_also_later(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    taken = bazaar.take(desk, "Charan", 200_00)
    bazaar.take(desk, "Charan", 50_00)
    with bazaar.web(desk.scope), transaction.atomic():
        view = receipt_view(receipt=taken.receipt.id, today=TODAY)
    assert view is not None
    assert (view.number, view.amount_paise, view.received_at) == (f"{desk.code}-000001", 200_00, NOON)
    assert view.balance_after_paise == view.payer.balance_paise + 50_00
    assert (view.collector, view.payer.discom, view.payer.masked_name) == (KESCO, PVVNL, "C***")
    assert (view.counter, view.office_en, view.matched_old) == (desk.code, GUMTI, False)
    for scope, sees in [(bazaar.town.seen_by("Charan"), True), (bazaar.town.seen_by("Asha"), False), (NOBODY, False)]:
        with bazaar.web(scope), transaction.atomic():
            assert (receipt_view(receipt=taken.receipt.id, today=TODAY) == view) is (sees and view.payer.own)
            assert (receipt_view(receipt=taken.receipt.id, today=TODAY) is not None) is sees


def test_the_day_of_an_office_and_what_each_counter_took(bazaar: Bazaar) -> None:
    day = dt.date(2024, 6, 3)
    when = {"now": dt.datetime(2024, 6, 3, 6, tzinfo=dt.UTC), "today": day}
    one, two = bazaar.desk(GUMTI, today=day), bazaar.desk(JAJMAU, today=day)
    away = bazaar.desk(MEERUT, PVVNL, today=day)
    for desk, name, paise in [
        (one, "Asha", 10_00),
        (one, "Charan", 20_00),
        (two, "Asha", 40_00),
        (away, "Asha", 80_00),
    ]:
        bazaar.take(desk, name, paise, **when)
    kesco = office_scope(KESCO)
    offices = {"office_from": kesco.office_from or 0, "office_to": kesco.office_to or 0, "day": day}
    with bazaar.web(kesco), transaction.atomic():
        rows, sums = receipts_of_day(**offices, limit=10), collection(**offices)
        asha = receipts_of_connection(connection=bazaar.town.connections["Asha"], limit=2)
    assert [(row.counter, row.amount_paise) for row in rows] == [
        (two.code, 40_00),
        (one.code, 20_00),
        (one.code, 10_00),
    ]
    assert {(row.office_en, row.counter, row.channel, row.receipts, row.paise) for row in sums} == {
        (GUMTI, one.code, "counter", 2, 30_00),
        (JAJMAU, two.code, "counter", 1, 40_00),
    }
    assert len(asha) == 2
    assert {row.tail for row in rows} == {bazaar.town.accounts[name][-4:] for name in ("Asha", "Charan")}


def test_whoever_holds_a_receipt_can_check_it_and_learns_nothing_of_anybody(bazaar: Bazaar) -> None:
    desk = bazaar.desk()
    taken = bazaar.take(desk, "Asha", 70_00)
    number = f"{desk.code}-000001"
    code = check_code(number=number)
    with bazaar.web(NOBODY):
        checked = verify_receipt(number=f" {number.lower()} ", check=code.lower())
        assert checked is not None
        assert vars(checked) == {"number": number, "received_on": taken.receipt.received_on, "amount_paise": 70_00}
        assert verify_receipt(number=number, check=check_code(number=f"{desk.code}-000002")) is None
        unborn = f"{desk.code}-000002"
        assert verify_receipt(number=unborn, check=check_code(number=unborn)) is None
        for wrong in (
            "",
            "K07",
            f"{desk.code}-3",
            f"{number}1",
            "'; --",
            f"{desk.code}-0000003",
            "k\x00",
            "-",
            "--",
            "1",
            "K07-½",
        ):
            assert verify_receipt(number=wrong, check=code) is None
        for wrong in ("", "x", code[:5], f"{code}0", "\x00", "₹" * 6):
            assert verify_receipt(number=number, check=wrong) is None


@pytest.mark.parametrize(
    "typed",
    ["K०७-०००१२३", "K07 000123", "K07-123", "k07-000123", " k07 – 123 ", "K07 000 123", "K07000123", "K07\u00a0१२३"],
)
def test_a_number_is_understood_however_it_is_typed(typed: str) -> None:
    assert number_parts(typed) == ("K07", 123)


@given(st.from_regex(r"[A-Z][A-Z0-9]{1,3}", fullmatch=True), st.integers(1, 99_999_999))
def test_a_code_is_understood_however_it_is_typed(counter: str, serial: int) -> None:
    number = receipt_number(counter=counter, serial=serial)
    code = check_code(number=number)
    worn = code.lower().replace("0", "O").replace("1", "l")
    for typed in (worn, f" {worn[:3]} {worn[3:]} ", code.replace("1", "I"), code.translate(HINDI_DIGITS)):
        assert check_code_fits(number=number, typed=typed)
    assert not check_code_fits(number=receipt_number(counter=counter, serial=serial + 1), typed=code)


@given(st.from_regex(r"[A-Z][A-Z0-9]{1,3}", fullmatch=True), st.integers(1, 99_999_999))
def test_a_number_is_read_back_as_it_is_printed(counter: str, serial: int) -> None:
    number = receipt_number(counter=counter, serial=serial)
    assert number_parts(number) == (counter, serial)
    assert len(check_code(number=number)) == 6
    assert len({check_code(number=receipt_number(counter=counter, serial=serial + n)) for n in range(5)}) == 5
