"""Why a bill changed, and what it would be otherwise: of one's own bills only, in words, adding up."""

import os
import re
from collections.abc import Iterator

import pytest
from django.test import Client

from khata.billing.models import Bill, OldBill
from khata.discoms.models import Discom
from khata.display.money import rupees
from khata.kernel.variants import NotTheSamePaiseError
from khata.ledger.operations import OnHead, post_one
from khata.ledger.queries import heads
from khata.portal.what_if import _number
from tests.cast import KESCO, Agreed, Usage, day, smart
from tests.database import Database
from tests.portal.scene import Scene, browser, web

TODAY = "2024-07-20"
TWO_MONTHS = Usage("2024-05-01", (8_000,) * 31 + (14_000,) * 30)
RISING = smart("Risingdevi", TWO_MONTHS, mobile="9876543230", address="7 Rising Lane")
FALLING = smart(
    "Fallingdevi", Usage("2024-05-01", (14_000,) * 31 + (5_000,) * 30), mobile="9876543231", address="8 Falling Lane"
)
MORE_LOAD = smart(
    "Loaddevi",
    Usage("2024-05-01", (8_000,) * 61),
    mobile="9876543232",
    address="9 Load Lane",
    terms=(Agreed("2023-04-01"), Agreed("2024-06-01", load_w=4_000)),
)
# In May three times its June demand, and more than is sanctioned.
DEMANDING = smart(
    "Demandi",
    Usage("2024-05-01", (8_000,) * 31, demand_w=3_000),
    Usage("2024-06-01", (8_000,) * 30, opening=1_248_000, demand_w=1_000),
    mobile="9876543233",
    address="10 Demand Lane",
)
SETTLED = smart("Settledevi", Usage("2024-05-01", (8_000,) * 61), mobile="9876543234", address="11 Settled Lane")
ONE_BILL = smart("Firstdevi", Usage("2024-06-01", (8_000,) * 30), mobile="9876543235", address="12 First Lane")
PEOPLE = (RISING, FALLING, MORE_LOAD, DEMANDING, SETTLED, ONE_BILL)


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database, people=PEOPLE)
    OldBill.objects.create(
        connection_id=made.town.connections["Risingdevi"],
        month=day("2024-05-01"),
        units_wh=200_000,
        amount_paise=900_00,
    )
    of = heads(Discom.objects.get(code=KESCO))
    falling = made.town.connections["Fallingdevi"]
    paid = made.town.bill("Fallingdevi").payable_paise
    rows = [OnHead(of["consumers"], falling, -paid), OnHead(of["cash"], 0, paid)]
    post_one(kind="receipt", cause="test:receipt:1", business_date=day("2024-06-20"), reason="", postings=rows)
    first = made.town.connections["Firstdevi"]
    OldBill.objects.create(connection_id=first, month=day("2024-06-01"), units_wh=10_000, amount_paise=90_00)
    settled, due = made.town.connections["Settledevi"], made.town.bill("Settledevi").payable_paise
    for kind, paise in (("correction", 500_00), ("receipt", due - 500_00)):
        rows = [OnHead(of["consumers"], settled, -paise), OnHead(of["cash"], 0, paise)]
        post_one(kind=kind, cause=f"test:{kind}:2", business_date=day("2024-06-20"), reason="test", postings=rows)
    made.town.run("2024-07")
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


def bill_of(scene: Scene, name: str, month: str = "2024-07") -> int:
    with scene.database.as_role("run"):
        return Bill.objects.get(connection_id=scene.town.connections[name], cycle=day(f"{month}-01")).id


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def amounts(text: str) -> tuple[list[int], int]:
    """Paise of the table's rows, and of its sum."""
    table = text[text.index("<tbody>") :]
    found = [int(re.sub(r"[₹,.]", "", each)) for each in re.findall(r'class="number">(?:<b>)?(-?₹[\d,.]+)', table)]
    return found[:-1], found[-1]


def test_the_rows_add_up_to_the_difference_and_say_what_happened(scene: Scene) -> None:
    client = scene.consumer("Risingdevi")
    text = page(client, f"/bills/{bill_of(scene, 'Risingdevi')}/why/")
    rows, total = amounts(text)
    assert sum(rows) == total > 0
    assert len(rows) >= 4  # days, units, slabs, what was left unpaid
    assert "This bill is for 30 days, last time it was 31: " in text
    assert "You used 14 units a day, last time 8: " in text
    client.cookies["django_language"] = "hi"
    hindi = page(browser_in_hindi(client), f"/bills/{bill_of(scene, 'Risingdevi')}/why/")
    assert "इस बार 30 दिन का बिल है, पिछली बार 31 दिन का था: ₹" in hindi


def browser_in_hindi(client: Client) -> Client:
    made = browser(language="hi")
    for name in client.cookies:
        if "language" not in name:
            made.cookies[name] = client.cookies[name].value
    return made


def test_another_load_is_told_as_such(scene: Scene) -> None:
    text = page(scene.consumer("Loaddevi"), f"/bills/{bill_of(scene, 'Loaddevi')}/why/")
    assert "The sanctioned load is 4 kW, last time 2 kW: " in text


def test_the_first_bill_and_last_year_are_said_plainly(scene: Scene) -> None:
    client = scene.consumer("Fallingdevi")
    first = bill_of(scene, "Fallingdevi", "2024-06")
    assert "This is the first bill" in page(client, f"/bills/{first}/why/")
    assert "no bill of the same month last year" in page(client, f"/bills/{first}/why/?against=last-year")
    assert "former system" in page(
        scene.consumer("Risingdevi"), f"/bills/{bill_of(scene, 'Risingdevi', '2024-06')}/why/"
    )


def test_the_biggest_reason_comes_first_and_has_the_direction_of_the_difference(scene: Scene) -> None:
    text = page(scene.consumer("Risingdevi"), f"/bills/{bill_of(scene, 'Risingdevi')}/why/")
    rows, _ = amounts(text)
    said = text[text.index("The biggest reason: ") : text.index("<dl")]
    (amount,) = re.findall(r"₹([\d,.]+) more\.", said)
    assert rupees(max(rows)).removeprefix("₹").startswith(amount)
    falling = page(scene.consumer("Fallingdevi"), f"/bills/{bill_of(scene, 'Fallingdevi')}/why/")
    assert " less." in falling[falling.index("The biggest reason: ") : falling.index("<dl")]


def test_a_correction_that_is_settled_is_no_reason(scene: Scene) -> None:
    text = page(scene.consumer("Settledevi"), f"/bills/{bill_of(scene, 'Settledevi')}/why/")
    rows, total = amounts(text)
    assert sum(rows) == total
    assert ("Corrections" in text, "left unpaid" in text) == (False, False)


def test_a_bill_that_is_not_priced_to_its_own_paise_again_shows_both_totals(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def not_the_same(*_: object) -> None:
        raise NotTheSamePaiseError(12_345, 1)

    monkeypatch.setattr("khata.portal.why.explain_change", not_the_same)
    bill = bill_of(scene, "Risingdevi")
    text = page(scene.consumer("Risingdevi"), f"/bills/{bill}/why/")
    with scene.database.as_role("run"):
        found = Bill.objects.get(id=bill)
    assert rupees(found.payable_paise + found.arrears_paise) in text
    assert "cannot be told apart at the moment" in text
    assert "<tbody>" not in text
    assert [record.getMessage().startswith(f"bills {bill} and ") for record in caplog.records] == [True]
    assert "12345" not in caplog.text


def test_a_month_that_is_billed_costs_what_its_bill_says(scene: Scene) -> None:
    client = scene.consumer("Demandi")
    for month, cycle in (("2024-05", "2024-06"), ("2024-06", "2024-07")):
        with scene.database.as_role("run"):
            bill = Bill.objects.get(id=bill_of(scene, "Demandi", cycle))
        text = page(client, f"/usage/month/{month}/?in=rupees")
        assert rupees(bill.payable_paise) in text
        assert "The demand is taken from your last bill." not in text


def test_only_one_s_own_bills_are_compared(scene: Scene) -> None:
    client = scene.consumer("Risingdevi")
    own, other = bill_of(scene, "Risingdevi"), bill_of(scene, "Fallingdevi")
    assert client.get(f"/bills/{other}/why/").status_code == 404
    for against in (str(other), "0", "xx", "9" * 30, "१"):
        assert client.get(f"/bills/{own}/why/", {"against": against}).status_code == 404
    assert (
        client.get(f"/bills/{own}/why/", {"against": str(bill_of(scene, "Risingdevi", "2024-06"))}).status_code == 200
    )


def test_the_way_there_stands_on_the_bill_and_at_home_when_it_rose(scene: Scene) -> None:
    address = f"/bills/{bill_of(scene, 'Risingdevi')}/why/"
    rising = scene.consumer("Risingdevi")
    assert address in page(rising, address.removesuffix("why/"))
    assert address in page(rising, "/")
    assert "/why/" not in page(scene.consumer("Fallingdevi"), "/")
    # Its first bill here, dearer than the former system's last.
    assert f"/bills/{bill_of(scene, 'Firstdevi')}/why/" in page(scene.consumer("Firstdevi"), "/")


# -- what if -----------------------------------------------------------------------------------------------------------


def test_the_form_begins_with_one_s_own_numbers(scene: Scene) -> None:
    text = page(scene.consumer("Risingdevi"), "/what-if/")
    assert re.search(r'value="420"[^>]*name="units"', text)
    assert re.search(r'value="2"[^>]*name="load"', text)
    assert "What it would be" not in text


def test_own_numbers_give_the_own_bill_and_fewer_units_less(scene: Scene) -> None:
    client = scene.consumer("Risingdevi")
    with scene.database.as_role("run"):
        own = rupees(Bill.objects.get(id=bill_of(scene, "Risingdevi")).payable_paise)
    same = page(client, "/what-if/?units=420&load=2&mode=postpaid&export=0")
    assert same.count(own) >= 3  # beside each other, and in the sentence
    assert "no difference" in same
    fewer = page(client, "/what-if/?units=३००")
    assert " less</b>" in fewer
    sun = page(client, "/what-if/?export=500")
    assert "0 units are billed, and 80 are carried" in sun
    assert "Prepaid rebate" in page(client, "/what-if/?mode=prepaid")


@pytest.mark.parametrize("typed", ["units=abc", "load=0", "load=-2", "export=1e9", "units=99999999999", "load=1.2345"])
def test_what_cannot_be_meant_is_told_beside_its_field(scene: Scene, typed: str) -> None:
    text = page(scene.consumer("Risingdevi"), f"/what-if/?{typed}")
    assert 'class="field-error"' in text
    assert "What it would be" not in text


def test_numbers_of_either_script_are_read() -> None:
    assert (_number(" 120 "), _number("२.५"), _number("-1"), _number("")) == (120_000, 2_500, None, None)


def words(client: Client, address: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page(client, address)).split())


def test_a_bill_has_one_name_on_every_page(scene: Scene) -> None:
    """Made in July for the use of June: nowhere is it a bill of July."""
    client, bill = scene.consumer("Risingdevi"), bill_of(scene, "Risingdevi")
    assert "Bill for the use of June 2024 " in words(client, f"/bills/{bill}/")
    assert "June 2024 1 June to 30 June, made on " in words(client, "/bills/")
    assert "Why did the bill for the use of June 2024 change?" in words(client, f"/bills/{bill}/why/")
    assert "Your bill for the use of June 2024 is filled in." in words(client, "/what-if/")
    for address in ("/bills/", f"/bills/{bill}/", f"/bills/{bill}/why/", "/what-if/"):
        assert not re.search(r"(?<!\d )July 2024", words(client, address)), address


def test_what_an_average_and_a_slab_rate_hold_is_said_beside_them(scene: Scene) -> None:
    client, bill = scene.consumer("Risingdevi"), bill_of(scene, "Risingdevi")
    text = words(client, f"/bills/{bill}/why/")
    assert re.search(
        r"a unit cost ₹[\d.]+ on average, last time ₹[\d.]+ \(subsidy taken off, surcharge and duty in", text
    )
    assert "Fixed charge, surcharge and duty are not in it." in words(client, f"/bills/{bill}/")
