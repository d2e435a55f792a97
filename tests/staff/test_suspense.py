"""An old number after its last day: at the counter it still finds whose it is, and no money is sent away."""

import datetime as dt
import re

import pytest
from django.test import Client

from khata.discoms.models import Office
from khata.payments.operations import receive
from tests.cast import GUMTI, KESCO
from tests.staff.conftest import Desk
from tests.staff.test_counter import PAY, find, pay_page, take, text

LAST_DAY, AFTER = "2024-09-13", "2024-09-14"
REASON = "she showed the bill with this old number"


@pytest.fixture
def after(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A cashier whose shift is of the day after the last one of the old numbers."""
    monkeypatch.setenv("KHATA_TODAY", AFTER)
    return desk.cashier()


def test_an_old_number_that_is_over_leads_to_both_companies_connections_and_says_the_new_number(
    desk: Desk, after: Client
) -> None:
    account = desk.town.accounts["Asha"]
    shown = text(after, find(after, "1234567"))
    assert shown.count("The old number 1234567 has not been valid since 14 September 2024.") == 2
    assert "Pvvnl" in shown  # the other one's company
    pages = [page for page in PAY.findall(shown) if f"{account[:2]} {account[2:6]} {account[6:]}" in text(after, page)]
    assert len(pages) == 1
    page = text(after, pages[0])
    assert "has not been valid since 14 September 2024" in page and "Tell the consumer that number" in page
    receipt = text(after, take(after, pages[0], "100").headers["Location"])
    assert "The money is safe" not in receipt
    assert "<dd>1234567</dd>" in receipt  # as it was typed
    assert f"Number that matched</dt><dd>{account[:2]} {account[2:6]} {account[6:]}<" in receipt


def test_money_that_came_too_late_is_safe_and_an_officer_puts_it_on_the_account(
    desk: Desk, after: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHATA_TODAY", LAST_DAY)
    page = pay_page(after, "8888888")
    monkeypatch.setenv("KHATA_TODAY", AFTER)  # midnight comes between the search and the money
    response = take(after, page, "40.50")
    assert response.status_code == 303
    address = response.headers["Location"]
    receipt = text(after, address)
    assert "The money is safe." in receipt and "₹40.50" in receipt and ">8888888<" in receipt
    assert "Put it on an account" not in receipt  # not a cashier's work
    assert after.get(f"{address}pdf/", secure=True).content.startswith(b"%PDF")
    assert "on hold" in text(after, "/staff/")
    number = re.search(r"Receipt (G\d\d-\d{6})", receipt).group(1)  # type: ignore[union-attr]

    officer, far = desk.browser("om"), desk.browser("far")
    one = address.replace("receipts", "suspense")
    assert number in text(officer, "/staff/suspense/") and number not in text(far, "/staff/suspense/")
    text(far, one, status=404)
    shown = text(officer, one)
    assert "The old number was not valid any more" in shown and "&lt;***" in shown  # the name is masked, and escaped
    connection = str(desk.town.connections[next(name for name in desk.town.connections if name.startswith("<script>"))])
    assert "leads to nobody" in officer.post(one, {"find": "1111111"}, secure=True).content.decode()

    def put(**changes: str) -> tuple[int, str]:
        form = {"find": "8888888", "connection": connection, "reason": REASON} | changes
        answer = officer.post(one, form, secure=True)
        return answer.status_code, answer.content.decode()

    for changes, said in (
        ({"reason": "ok"}, "Write in a sentence"),
        ({"connection": str(desk.town.connections["Asha"])}, "Look the number up again"),
    ):
        status, page = put(**changes)
        assert (status, said in page) == (200, True), said
    assert put()[0] == 303
    text(officer, one, status=404)  # it is not held any more
    assert number not in text(officer, "/staff/suspense/")
    assert "was put on this account on 14 September 2024" in text(officer, address)
    assert number in text(officer, f"/staff/connections/{connection}/")


def test_money_that_came_with_nobodys_number_waits_for_two_officers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHATA_TODAY", AFTER)
    with desk.database.as_role("run"):
        receipt = receive(
            channel="upi",
            reference="424242424242",
            office=Office.objects.get(discom__code=KESCO, kind="division", name_en=GUMTI).id,
            typed="999999",
            discom=None,
            amount_paise=55_00,
            received_at=dt.datetime(2024, 9, 13, 6, tzinfo=dt.UTC),
            today=dt.date(2024, 9, 13),
        ).receipt
    first, second, far = desk.browser("om"), desk.browser("priya"), desk.browser("far")
    one, account = f"/staff/suspense/{receipt.id}/", desk.town.accounts["Asha"]
    assert "leads to nobody" in text(first, one)
    connection = str(desk.town.connections["Asha"])

    def put(client: Client, **changes: str) -> tuple[int, str]:
        form = {"find": account, "connection": connection, "reason": REASON} | changes
        answer = client.post(one, form, secure=True)
        return answer.status_code, answer.headers.get("Location", "")

    assert "a second officer must agree" in first.post(one, {"find": account}, secure=True).content.decode()
    assert put(first) == (303, one)
    shown = text(first, one)
    assert "om proposed on" in shown and f"ends in {account[-4:]} (" in shown and REASON in shown
    assert "Another officer must agree" in shown and ">Agree<" not in shown and account not in shown
    assert put(first) == (303, one)  # alone, also when it is said again
    text(far, one, status=404)
    assert put(far)[0] == 404
    shown = text(second, one)
    assert "om proposed on" in shown and ">Agree<" in shown
    assert put(second, find="999999", reason="ok")[0] == 200
    hindi = desk.browser("priya", language="hi")
    assert f"उस खाते में जोड़ें जिसके आख़िरी अंक {account[-4:]} हैं" in text(hindi, one)
    assert put(second, find="999999") == (303, f"/staff/receipts/{receipt.id}/")  # as the page's form sends it
    text(first, one, status=404)
