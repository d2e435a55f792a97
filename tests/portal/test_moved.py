"""Who was moved owes one sum, whoever asks and wherever it stands; after a roll-back every page of theirs is calm."""

import io
import os
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pypdfium2
import pytest
from django.db import transaction
from django.test import Client

from khata.billing.models import Bill
from khata.billing.queries import bill_view
from khata.consumers.arrivals import take_back
from khata.consumers.queries import owed
from khata.discoms.models import Discom
from khata.display.money import plain_rupees, rupees
from khata.ledger.operations import post_one
from khata.ledger.queries import first_offence, heads, owed_paise
from khata.ledger.rules import CONSUMERS, DEPOSIT, LPSC, OPENING, PREPAID, OnHead
from khata.notices.models import Message
from khata.notices.rules import text_of
from khata.payments.queries import suspense_offence
from khata.payments.rules import check_code
from tests.cast import ARRIVED, GUMTI, KESCO, MEERUT, Town
from tests.database import Database
from tests.portal.scene import ASHALATA, BINADEVI, CHARANJIT, SHOP, TODAY, Scene, browser, web

ARREARS = {CONSUMERS: 500_00, LPSC: 20_01, PREPAID: -100_00, DEPOSIT: -300_00}
BROUGHT = 420_01  # a deposit is not paid ahead
PAGES = ("/", "/pay/", "/bills/", "/messages/", "/wrong-bill/", "/connections/")


def brought(town: Town) -> None:
    """What the old system says that Binadevi owes, on all the heads there are."""
    head, bina = heads(Discom.objects.get(code=KESCO)), town.connections["Binadevi"]
    rows = [OnHead(head[code], bina, paise) for code, paise in ARREARS.items()]
    with transaction.atomic():
        post_one(
            kind="opening",
            cause="test:row:1",
            business_date=ARRIVED.date(),
            reason="",
            postings=[*rows, OnHead(head[OPENING], 0, -sum(ARREARS.values()))],
        )


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database, (ASHALATA, BINADEVI, SHOP, CHARANJIT), brought)
    made.owner("update discoms_discom set upi_address = 'khata@examplebank', upi_name = code, merchant_code = '4900'")
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]
    assert first_offence() is None
    assert suspense_offence() is None


def page_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def till_of(scene: Scene, division: str, typed: str) -> str:
    """The page on which a cashier of a division would take the money for a number."""
    cashier = scene.worker(scene.desks[division].staff)
    return page_of(cashier, cashier.post("/staff/find/", {"find": typed}).headers["Location"])


def test_what_is_owed_is_one_sum_on_bill_paper_and_sms_in_the_portal_by_upi_and_at_every_counter(scene: Scene) -> None:
    bina = scene.town.connections["Binadevi"]
    with scene.database.as_role("run"):
        bill = Bill.objects.get(connection_id=bina)
        view = bill_view(bill, "en", mask_name=False)
        (sms,) = Message.objects.filter(cause=f"billing:bill:{bill.id}")
        due = bill.payable_paise + BROUGHT
        assert (view.arrears_paise, view.payable_paise) == (BROUGHT, due)
        assert Bill.objects.get(connection_id=scene.town.connections["Dukanwali"]).arrears_paise == 0
        assert owed(connection=bina) == due
        assert owed_paise(discom=bill.connection.discom_id, subject=bina) == due
        assert str(due) in sms.values and plain_rupees(due) in text_of(sms, b"key").replace(",", "")

    client = scene.consumer("Binadevi")
    paper = client.get(f"/bills/{bill.id}/pdf/")
    printed = pypdfium2.PdfDocument(io.BytesIO(paper.content))[0].get_textpage().get_text_range()
    assert rupees(due) in printed and rupees(BROUGHT).removeprefix("₹") in printed
    pay = page_of(client, "/pay/")
    (link,) = set(re.findall(r'href="(upi:[^"]+)"', pay))
    assert parse_qs(urlsplit(link.replace("&amp;", "&")).query)["am"] == [plain_rupees(due)]
    for shown in (page_of(client, "/"), pay, page_of(client, f"/bills/{bill.id}/")):
        assert rupees(due) in shown

    account = scene.town.accounts["Binadevi"]
    for division, typed in ((GUMTI, account), (GUMTI, BINADEVI.old_number), (MEERUT, account)):
        till = till_of(scene, division, typed)
        assert rupees(due) in till and f'value="{plain_rupees(due)}"' in till, division
    officer = scene.worker(scene.officers[GUMTI])
    assert rupees(due) in page_of(officer, f"/staff/connections/{bina}/")


@pytest.fixture
def rolled_back(scene: Scene) -> Iterator[list[int]]:
    """Ashalata and Binadevi are in the old system again; the shop, under Ashalata's mobile, came otherwise."""
    gone = [scene.town.connections[name] for name in ("Ashalata", "Binadevi")]
    with scene.database.as_role("run"):
        take_back(connections=np.array(gone))
    yield gone
    scene.owner("update consumers_connection set live = true")


def test_who_was_signed_in_before_a_roll_back_is_led_to_the_door(scene: Scene, rolled_back: list[int]) -> None:
    bill = scene.bills[rolled_back[1]]
    for page in (*PAGES, f"/bills/{bill}/", f"/bills/{bill}/pdf/"):
        client = scene.consumer("Binadevi")
        response = client.get(page)
        assert (response.status_code, response.headers["Location"]) == (302, "/sign-in/"), page
        assert client.get("/sign-in/").status_code == 200
    client, answer = scene.sign_in(ASHALATA.mobile)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")  # what is left under the mobile still opens
    home = page_of(client, "/")
    assert f"{scene.town.accounts['Dukanwali'][2:6]}" in home
    assert not [mark for mark in scene.marks("Ashalata")[:3] if mark in home + page_of(client, "/connections/")]


def test_a_counter_page_opened_before_a_roll_back_takes_the_money_into_suspense(
    scene: Scene, rolled_back: list[int]
) -> None:
    desk = scene.desks[GUMTI]
    cashier, account = scene.worker(desk.staff), scene.town.accounts["Binadevi"]
    opened = f"/staff/pay/{scene.search(cashier, account, 'Binadevi')}/0/"
    assert cashier.get(opened).status_code == 404  # says that the page is too old, and has the search box
    receipt = cashier.post(f"{opened}take/", {"amount": "250"}).headers["Location"]
    assert "The money is safe." in page_of(cashier, receipt)
    again = cashier.post(f"{opened}take/", {"amount": "250"}).headers["Location"]
    assert again == f"{receipt}?again=1"
    paper = pypdfium2.PdfDocument(io.BytesIO(cashier.get(f"{receipt}pdf/").content))[0].get_textpage().get_text_range()
    assert "₹250.00" in paper and "Your money is safe" in paper and "B***" not in paper
    number = re.search(r"G01-\d{6}", paper).group()  # type: ignore[union-attr]
    with scene.database.as_role("run"):
        code = check_code(number=number)
    public = browser().get("/receipt/", {"n": number, "c": code}).content.decode()
    assert "This receipt is ours." in public and "₹250.00" in public
    assert "Nobody was found" in cashier.post("/staff/find/", {"find": account}).content.decode()


def test_a_receipt_of_before_a_roll_back_is_shown_and_printed_without_the_name(
    scene: Scene, rolled_back: list[int]
) -> None:
    desk = scene.desks[GUMTI]
    cashier = scene.worker(desk.staff)
    shown = page_of(cashier, f"/staff/receipts/{desk.receipt}/")
    assert "₹100.00" in shown and "The money is safe." not in shown and "A***" not in shown
    pdf = cashier.get(f"/staff/receipts/{desk.receipt}/pdf/")
    assert pdf.status_code == 200
    paper = pypdfium2.PdfDocument(io.BytesIO(pdf.content))[0].get_textpage().get_text_range()
    account = scene.town.accounts["Ashalata"]
    assert desk.receipt_number in paper and f"{account[:2]} {account[2:6]} {account[6:]}" in paper
    assert "A***" not in paper and "Consumer" not in paper and "Your money is safe" not in paper
    summary = page_of(cashier, f"/staff/shifts/{desk.shift}/")
    assert "₹100.00" in summary or "₹350.00" in summary  # what was taken stays in the drawer and in the sum
    assert scene.worker(scene.officers[GUMTI]).get(f"/staff/connections/{rolled_back[0]}/").status_code == 404
