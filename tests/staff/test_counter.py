"""At the counter: find, see whom it is for, take cash once, close the shift. As role app, through the pages."""

import datetime as dt
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connections
from django.http import HttpResponse
from django.test import Client

from khata.audit.models import Record
from khata.payments.models import Shift
from tests.staff.conftest import MARKUP, TODAY, Desk, anybody

FOUND = re.compile(r"/staff/find/[0-9a-f-]{36}/")
PAY = re.compile(r"/staff/pay/[0-9a-f-]{36}/[0-9]+/")
RECEIPT = re.compile(r"/staff/receipts/[0-9]+/")


def find(client: Client, text: str) -> str:
    """The address that a search leads to, or nothing where it stays."""
    response = client.post("/staff/find/", {"find": text}, secure=True)
    return response.headers.get("Location", "")


def pay_page(client: Client, text: str) -> str:
    """The pay page of the first match of a search."""
    address = find(client, text)
    if FOUND.fullmatch(address):
        address = PAY.search(client.get(address, secure=True).content.decode()).group()  # type: ignore[union-attr]
    assert PAY.fullmatch(address), address
    return address


def take(client: Client, page: str, amount: str) -> HttpResponse:
    response: HttpResponse = client.post(f"{page}take/", {"amount": amount}, secure=True)
    return response


def text(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address, secure=True)
    assert response.status_code == status
    return response.content.decode()


def receipts(desk: Desk) -> int:
    with desk.database.connect("admin") as session:
        return session.execute("select count(*) from payments_receipt").fetchall()[0][0]


def test_money_under_the_old_number_from_search_to_receipt(desk: Desk) -> None:
    client, before = desk.cashier(), desk.town
    account = before.accounts["Asha"]
    page = pay_page(client, "१२३ ४५६७")
    shown = text(client, page)
    assert "A***" in shown and "Asha" not in shown and "Gumti No. 5" in shown and "12 Gumti" not in shown
    assert "1234567" in shown and f"{account[:2]} {account[2:6]} {account[6:]}" in shown
    assert re.search(r'value="[1-9][0-9]*\.[0-9]{2}"', shown)  # what is due stands in the field
    response = take(client, page, "100")
    assert response.status_code == 303
    receipt = text(client, response.headers["Location"])
    assert "₹100.00" in receipt and "<dd>१२३ ४५६७</dd>" in receipt  # as it was typed
    assert "Old number that matched" in receipt and ">1234567<" in receipt
    number = re.search(r"Receipt (G\d\d-\d{6})", receipt).group(1)  # type: ignore[union-attr]
    code = re.search(r'class="code">([0-9A-Z]{6})<', receipt).group(1)  # type: ignore[union-attr]
    public = anybody().get("/receipt/", {"n": number, "c": code}, secure=True).content.decode()
    assert "₹100.00" in public
    pdf = client.get(f"{response.headers['Location']}pdf/", secure=True)
    assert pdf.headers["Content-Type"] == "application/pdf" and pdf.content.startswith(b"%PDF")
    home = text(client, "/staff/")
    assert number in home and "₹600.00" in home  # 500 at the beginning


def test_a_payment_sent_again_is_the_same_receipt(desk: Desk) -> None:
    client = desk.cashier()
    page = pay_page(client, desk.town.accounts["Bina"])
    first = take(client, page, "50").headers["Location"]
    count = receipts(desk)
    again = take(client, page, "50").headers["Location"]
    assert again == f"{first}?again=1"
    assert "the same receipt" in text(client, again)
    # The back button: the page before money leads to the receipt now.
    back = client.get(page, secure=True)
    assert (back.status_code, back.headers["Location"]) == (303, again)
    # Sent again with another amount, or with none: nothing is taken.
    other = take(client, page, "60")
    assert other.status_code == 200 and "with another amount" in other.content.decode()
    assert take(client, page, "x").headers["Location"] == again
    assert receipts(desk) == count


def test_two_clicks_at_once_are_one_payment(desk: Desk) -> None:
    client = desk.cashier()
    page = pay_page(client, desk.town.accounts["Bina"])
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    count = receipts(desk)

    def click(_: int) -> str:
        other = anybody()
        other.cookies[settings.SESSION_COOKIE_NAME] = cookie
        try:
            return take(other, page, "70").headers["Location"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as clicks:
        addresses = set(clicks.map(click, range(4)))
    assert len({RECEIPT.match(address).group() for address in addresses}) == 1  # type: ignore[union-attr]
    assert receipts(desk) == count + 1


def test_a_second_payment_on_the_same_day_is_told_before_money(desk: Desk) -> None:
    client = desk.cashier()
    take(client, pay_page(client, desk.town.accounts["Bina"]), "31")
    shown = text(client, pay_page(client, desk.town.accounts["Bina"]))
    assert "Today ₹31.00 was taken already" in shown


@pytest.fixture(scope="module")
def till(desk: Desk) -> Client:
    return desk.cashier()


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "The amount is 0"),
        ("0.00", "The amount is 0"),
        ("-5", "cannot be below 0"),
        ("10.005", "at most two digits"),
        ("1000000000000000", "too large"),
        ("1e9", "not an amount"),
        ("9" * 50, "not an amount"),
        ("200000", "above the limit"),
        ("सौ", "not an amount"),
        ("1,50", "commas"),
        ("", "not an amount"),
        ("\x00", "not an amount"),
        ('"><script>', "not an amount"),
    ],
)
def test_a_wrong_amount_is_told_and_nothing_is_lost(desk: Desk, till: Client, amount: str, words: str) -> None:
    page = pay_page(till, desk.town.accounts["Bina"])
    count = receipts(desk)
    response = take(till, page, amount)
    shown = response.content.decode()
    assert response.status_code == 200 and words in shown
    assert "<script>" not in shown and receipts(desk) == count
    if amount.isprintable() and '"' not in amount:
        assert f'value="{amount[:40]}"' in shown


def test_devanagari_digits_are_an_amount(desk: Desk) -> None:
    client = desk.cashier()
    address = take(client, pay_page(client, desk.town.accounts["Bina"]), "₹ १००").headers["Location"]
    assert "₹100.00" in text(client, address)


def test_another_company_is_found_by_its_exact_number_alone(desk: Desk) -> None:
    client = desk.cashier()
    assert "Nobody was found" in client.post("/staff/find/", {"find": "Charan"}, secure=True).content.decode()
    assert "Nobody was found" in client.post("/staff/find/", {"find": "9876543212"}, secure=True).content.decode()
    page = pay_page(client, desk.town.accounts["Charan"])
    shown = text(client, page)
    assert "C***" in shown and "Charan" not in shown and "Pvvnl" in shown
    assert "/staff/connections/" not in shown
    address = take(client, page, "40").headers["Location"]
    assert "Pvvnl" in text(client, address)
    text(client, f"/staff/connections/{desk.town.connections['Charan']}/", status=404)


def test_many_matches_are_shown_to_choose_from(desk: Desk) -> None:
    client = desk.cashier()
    address = find(client, "1234567")
    assert FOUND.fullmatch(address) and "1234567" not in address
    shown = text(client, address)
    assert "2 connections were found" in shown and len(set(PAY.findall(shown))) == 2
    assert "A***" in shown and "D***" in shown


def test_by_name_and_by_mobile_among_the_own_company(desk: Desk) -> None:
    client = desk.cashier()
    assert PAY.fullmatch(find(client, "asha"))
    assert PAY.fullmatch(find(client, "+91 98765 43211"))


@pytest.mark.parametrize("typed", ["", "   ", "12345678901", "x", "%", "1" * 200, "\x00", "₹₹", "'; drop table x; --"])
def test_what_cannot_be_looked_for_gets_a_next_step(desk: Desk, typed: str) -> None:
    client = desk.browser("lata")
    response = client.post("/staff/find/", {"find": typed}, secure=True)
    assert response.status_code == 200
    shown = response.content.decode()
    assert "Type a new or old number" in shown or "neither a number nor a name" in shown or "Nobody was found" in shown


def test_a_closed_connection_takes_what_is_due_and_no_more(desk: Desk) -> None:
    client = desk.cashier()
    page = pay_page(client, "7654321")
    assert "Disconnected for good" in text(client, page)
    response = take(client, page, "5000")
    assert response.status_code == 200 and "no more" in response.content.decode()


def test_markup_in_names_and_searches_is_shown_as_text(desk: Desk) -> None:
    client, officer = desk.cashier(), desk.browser("om")
    shown = text(client, pay_page(client, "8888888"))
    assert "<b>Lane" not in shown
    stayed = client.post("/staff/find/", {"find": "<img src=x onerror=alert(1)>"}, secure=True).content.decode()
    assert "<img src=x" not in stayed and "&lt;img src=x" in stayed
    page = text(officer, f"/staff/connections/{desk.town.connections[MARKUP]}/")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_without_a_shift_no_money_is_taken(desk: Desk) -> None:
    client = desk.browser("lata")
    page = pay_page(client, desk.town.accounts["Bina"])
    assert "Open a shift before you take money" in text(client, page)
    response = take(client, page, "10")
    assert response.status_code == 200 and "no open shift" in response.content.decode()


def test_a_search_of_somebody_else_or_of_yesterday_leads_back_to_the_search(desk: Desk) -> None:
    client, other = desk.cashier(), desk.cashier()
    page = pay_page(client, desk.town.accounts["Bina"])
    assert "too old" in text(other, page, status=404)
    response = take(other, page, "10")
    assert response.status_code == 404 and "too old" in response.content.decode()
    assert "too old" in text(client, page.replace("/0/", "/7/"), status=404)


# -- shifts ------------------------------------------------------------------------------------------------------------


def shift_of(client: Client) -> str:
    return re.search(r"/staff/shifts/[0-9]+/", text(client, "/staff/")).group()  # type: ignore[union-attr]


def test_a_difference_needs_a_reason(desk: Desk) -> None:
    client = desk.cashier()
    take(client, pay_page(client, desk.town.accounts["Bina"]), "11")
    shift = shift_of(client)
    short = client.post(f"{shift}close/", {"declared": "500", "reason": ""}, secure=True)
    assert short.status_code == 200
    assert "Too little: ₹11.00" in short.content.decode() and 'value="500"' in short.content.decode()
    client.post(f"{shift}close/", {"declared": "500", "reason": "A note was torn"}, secure=True)
    closed = text(client, shift)
    assert "Too little: ₹11.00" in closed and "A note was torn" in closed
    assert "Open a shift" in text(client, "/staff/")
    # Sent again it is closed once; another sum changes nothing.
    assert client.post(f"{shift}close/", {"declared": "1", "reason": "x"}, secure=True).status_code == 303
    assert "A note was torn" in text(client, shift)


def test_cash_that_agrees_closes_without_a_word(desk: Desk) -> None:
    client = desk.cashier()
    shift = shift_of(client)
    for wrong in ("", "many", "-1"):
        assert client.post(f"{shift}close/", {"declared": wrong}, secure=True).status_code == 200
    assert client.post(f"{shift}close/", {"declared": "५००"}, secure=True).status_code == 303
    assert "The cash agrees" in text(client, shift)


def test_after_the_shift_closed_the_same_payment_is_still_the_same(desk: Desk) -> None:
    client = desk.cashier()
    page = pay_page(client, desk.town.accounts["Bina"])
    first = take(client, page, "12").headers["Location"]
    client.post(f"{shift_of(client)}close/", {"declared": "512"}, secure=True)
    assert take(client, page, "12").headers["Location"] == f"{first}?again=1"
    late = take(client, pay_page(client, desk.town.accounts["Bina"]), "12")
    assert "no open shift" in late.content.decode()


def test_a_shift_left_open_at_midnight_is_closed_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    client = desk.cashier()
    shift = shift_of(client)
    monkeypatch.setenv("KHATA_TODAY", str(dt.date.fromisoformat(TODAY) + dt.timedelta(days=1)))
    assert "is still open" in text(client, "/staff/")
    page = pay_page(client, desk.town.accounts["Bina"])
    assert "Count the cash and close it first" in text(client, page)
    refused = take(client, page, "10")
    assert "of an earlier day" in refused.content.decode()
    assert client.post(f"{shift}close/", {"declared": "500"}, secure=True).status_code == 303
    assert "Open a shift" in text(client, "/staff/")


def test_a_counter_has_one_shift_and_a_person_too(desk: Desk) -> None:
    client = desk.cashier()
    assert (
        client.post("/staff/shifts/open/", {"counter": desk.counter.id, "opening": "0"}, secure=True).status_code == 303
    )
    with desk.database.as_role("run"):
        counter = Shift.objects.order_by("-id").values_list("counter_id", flat=True)[0]
    busy = desk.browser("lata")
    response = busy.post("/staff/shifts/open/", {"counter": counter, "opening": "0"}, secure=True)
    assert response.status_code == 200 and "still open at this counter" in response.content.decode()
    for counter_id in ("", "x", "99999", "9" * 30):
        response = busy.post("/staff/shifts/open/", {"counter": counter_id, "opening": "0"}, secure=True)
        assert response.status_code == 200 and "not in use" in response.content.decode()


def test_whoever_works_at_the_office_closes_the_shift_of_a_colleague_with_a_reason(desk: Desk) -> None:
    for closes in (desk.browser("om"), desk.browser("lata")):
        ill = desk.cashier()
        name, shift = f"Cashier{len(desk.people) - 1} of Gumti", shift_of(ill)
        listed = text(closes, "/staff/collection/" if closes is not None and _officer(closes) else "/staff/")
        assert name in listed and shift in listed
        assert f"Shift of {name}" in text(closes, shift)
        assert f"This is the shift of {name}" in text(closes, f"{shift}close/")
        refused = closes.post(f"{shift}close/", {"declared": "500", "reason": " "}, secure=True)
        assert refused.status_code == 200 and "Write why you close it" in refused.content.decode()
        assert (
            closes.post(f"{shift}close/", {"declared": "500", "reason": "She fell ill"}, secure=True).status_code == 303
        )
        closed = text(closes, shift)
        assert "She fell ill" in closed and "The cash agrees" in closed and "Counted by" in closed
        assert shift not in text(closes, "/staff/collection/" if _officer(closes) else "/staff/")
        assert "Open a shift" in text(ill, "/staff/")


def _officer(client: Client) -> bool:
    return client.get("/staff/collection/", secure=True).status_code == 200


def test_a_shift_of_another_office_is_not_there(desk: Desk) -> None:
    shift = shift_of(desk.cashier())
    with desk.database.as_role("run"):
        desk.hire("away", "cashier", desk.jajmau)
    for stranger in (desk.browser("far"), desk.browser("away")):
        text(stranger, shift, status=404)
        text(stranger, f"{shift}close/", status=404)
        assert stranger.post(f"{shift}close/", {"declared": "500", "reason": "x"}, secure=True).status_code == 404
        text(stranger, f"/staff/shifts/{2**70}/", status=404)
    for somebody, address in ((desk.browser("far"), "/staff/collection/"), (desk.browser("away"), "/staff/")):
        assert shift not in text(somebody, address)


def test_the_day_s_limit_for_cash_says_how_much_is_left(desk: Desk) -> None:
    client = desk.cashier()
    take(client, pay_page(client, desk.town.accounts["Asha"]), "150000")
    response = take(client, pay_page(client, desk.town.accounts["Asha"]), "150000")
    assert response.status_code == 200 and "more may be taken in cash" in response.content.decode()


def test_a_look_at_a_connection_is_written_down(desk: Desk) -> None:
    client = desk.cashier()
    shown = text(client, f"/staff/connections/{desk.town.connections['Asha']}/")
    assert "A***" in shown and "Asha" not in shown and "98765" not in shown
    with desk.database.as_role("run"):
        assert Record.objects.filter(
            action="staff.look", object=f"consumers:connection:{desk.town.connections['Asha']}"
        ).exists()


def test_a_bill_from_the_counter_is_masked_and_a_stranger_s_is_not_there(desk: Desk) -> None:
    client = desk.cashier()
    with desk.database.as_role("run"):
        own, strange = desk.town.bill("Asha").id, desk.town.bill("Charan").id
    pdf = client.get(f"/staff/bills/{own}/pdf/", secure=True)
    assert pdf.content.startswith(b"%PDF")
    text(client, f"/staff/bills/{strange}/pdf/", status=404)
    text(client, f"/staff/bills/{2**70}/pdf/", status=404)
