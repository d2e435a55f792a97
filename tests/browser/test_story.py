"""From the bill to the money: a consumer, a cashier and two officers do what they came for, in Hindi on a phone."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from khata.billing.models import Bill
from khata.billing.release import HeldRow, held, make_released
from khata.billing.rules import needs_checker, stake_paise
from khata.consumers.models import Connection, OldNumber
from khata.discoms.models import Office
from khata.display.money import plain_rupees, rupees
from khata.ledger.queries import first_offence, owed_paise
from khata.payments.models import Receipt
from khata.rehearsal.desk import DeskPerson
from khata.rehearsal.kanpur import POLICY
from tests.browser.kanpur import TODAY, Kanpur
from tests.browser.places import typed

WIDTH = 360


@dataclass(frozen=True)
class Cast:
    """Whose story it is. The held bill is where the money is taken: a division that no other test looks at."""

    home: Connection
    old_number: str
    office: Office
    counter: str
    held: HeldRow
    cashier: DeskPerson
    officers: tuple[DeskPerson, DeskPerson]


def needs_second(row: HeldRow) -> bool:
    stake = stake_paise(reason=row.reason, evidence=row.evidence, hold_paise_per_kw=POLICY["hold_paise_per_kw"])
    return needs_checker(stake_paise=stake, release_alone_paise=POLICY["release_alone_paise"])


def owing_home(kanpur: Kanpur, *, place: int) -> Connection:
    """A home with a smart meter that owes, and is alone under its mobile; not the one that other tests look at."""
    looked_at = {visitor.mobile for visitor in kanpur.made.visitors}
    homes = Connection.objects.filter(consumer__language="hi", installation__meter__smart=True).select_related(
        "consumer"
    )
    found = []
    for home in homes.order_by("-id"):
        mobile = home.consumer.mobile_key
        alone = mobile and Connection.objects.filter(consumer__mobile_key=mobile).count() == 1
        if alone and mobile not in looked_at and owed_paise(discom=home.discom_id, subject=home.id) > 0:
            found.append(home)
            if len(found) > place:
                return home
    raise AssertionError("nobody owes anything")


def cast(kanpur: Kanpur, *, script: bool) -> Cast:
    """With script the bill that is released needs a second person, without script it needs none."""
    tag = "js" if script else "plain"
    rows = [row for row in held(states=("waiting",), limit=1_000, offset=0) if row.releasable]
    row = next(row for row in rows if row.division != kanpur.division.id and needs_second(row) == script)
    office, home = Office.objects.get(id=row.division), owing_home(kanpur, place=int(script))
    counter = f"S{1 + script:02}"
    kanpur.counter(counter, office)
    return Cast(
        home=home,
        old_number=OldNumber.objects.get(connection=home).number,
        office=office,
        counter=counter,
        held=row,
        cashier=kanpur.hire(f"{tag}-cashier", "cashier", office),
        officers=(kanpur.hire(f"{tag}-first", "officer", office), kanpur.hire(f"{tag}-second", "officer", office)),
    )


@dataclass(frozen=True)
class Story:
    kanpur: Kanpur
    cast: Cast
    context: BrowserContext

    def go(self, page: Page, path: str) -> None:
        page.goto(self.kanpur.site + path)

    def pdf(self, page: Page, selector: str) -> str:
        """The text of the PDF behind a link of the page."""
        path = page.locator(selector).first.get_attribute("href")
        answer = page.context.request.get(self.kanpur.site + str(path))
        assert answer.status == 200 and answer.headers["content-type"] == "application/pdf"
        paper = pypdfium2.PdfDocument(io.BytesIO(answer.body()))
        return "\n".join(sheet.get_textpage().get_text_bounded() for sheet in paper)


@pytest.fixture(scope="module", params=[True, False], ids=["with script", "without script"])
def story(request: pytest.FixtureRequest, kanpur: Kanpur) -> Iterator[Story]:
    with kanpur.context(width=WIDTH, language="hi", script=request.param) as context:
        yield Story(kanpur, cast(kanpur, script=request.param), context)


def spaced(account: str) -> str:
    return f"{account[:2]} {account[2:6]} {account[6:]}"


def digits_of(text: str) -> str:
    return re.sub(r"\D", "", text)


def test_the_story(story: Story) -> None:
    """One test: each step lives on what the one before it did."""
    consumer = a_consumer_reads_the_bill(story)
    receipt = a_cashier_takes_the_money_once(story)
    the_consumer_sees_it_paid(story, consumer)
    the_sms_is_ours(story, receipt)
    an_officer_sees_the_collection(story, receipt)
    the_officers_release_a_bill(story, story.cast.held)
    assert first_offence() is None


def a_consumer_reads_the_bill(story: Story) -> Page:
    home, page = story.cast.home, story.context.new_page()
    story.kanpur.sign_in_consumer(page, home.consumer.mobile_key)
    owed = rupees(owed_paise(discom=home.discom_id, subject=home.id))
    expect(page.locator(".big-number")).to_have_text(owed)
    expect(page.locator(".stub-new b")).to_have_text(spaced(home.account_number))
    expect(page.locator(".stub-old b")).to_have_text(story.cast.old_number)
    page.click(".tabs a[href='/bills/']")
    page.locator("tbody a").first.click()
    bill = Bill.objects.filter(connection=home).latest("cycle")
    expect(page.locator(".big-number")).to_have_text(rupees(bill.payable_paise + bill.arrears_paise))
    expect(page.locator("main")).to_contain_text(spaced(home.account_number))
    expect(page.locator("main")).to_contain_text(story.cast.old_number)
    paper = story.pdf(page, "a[href$='/pdf/']")
    assert home.account_number in digits_of(paper) and story.cast.old_number in paper
    return page


def a_cashier_takes_the_money_once(story: Story) -> Receipt:
    cast, kanpur = story.cast, story.kanpur
    before = owed_paise(discom=cast.home.discom_id, subject=cast.home.id)
    with kanpur.context(width=WIDTH, language="hi", script=has_script(story)) as context:
        page = context.new_page()
        kanpur.sign_in_staff(page, cast.cashier)
        page.select_option("[name=counter]", index=0)
        typed("main form.form button", opening="200")(page)
        typed("main .find button", find=f"{cast.old_number[:3]} {cast.old_number[3:]}")(page)
        expect(page.locator(".who-pays")).not_to_contain_text(cast.home.consumer.name)
        expect(page.locator(".who-pays b")).to_contain_text("***")
        expect(page.locator(".big-number")).to_have_text(rupees(before))
        expect(page.locator("[name=amount]")).to_have_value(plain_rupees(before))
        form = form_of(page)
        with page.expect_navigation(url="**/receipts/**"):
            page.dblclick("main form.form button")
        receipt = Receipt.objects.get(connection=cast.home, shift__isnull=False)
        assert receipt.amount_paise == before and receipt.matched == cast.old_number
        expect(page.locator("h1")).to_contain_text(f"{cast.counter}-")
        # the answer was lost, and the form is sent again; and again by the back button
        again = context.request.post(form.pop("action"), form=form, headers={"Referer": kanpur.site})
        assert again.url.partition("?")[0].endswith(f"/receipts/{receipt.id}/")
        page.go_back()
        if "/pay/" in page.url and page.locator("main form.form button").count():
            typed("main form.form button")(page)
        expect(page.locator("h1")).to_contain_text(f"{cast.counter}-")
        assert list(Receipt.objects.filter(connection=cast.home, shift__isnull=False)) == [receipt]
        paper = story.pdf(page, "a[href$='/pdf/']")
        assert cast.home.account_number in digits_of(paper) and cast.old_number in digits_of(paper)
        check = page.locator("a[href*='/receipt/?']").get_attribute("href")
        page.goto(str(check))
        expect(page.locator(".notice.good")).to_contain_text(rupees(before))
    return receipt


def has_script(story: Story) -> bool:
    return story.cast.cashier.login.startswith("js")


def form_of(page: Page) -> dict[str, str]:
    """What the form would send, and where to."""
    form = page.locator("main form.form")
    names = [str(each.get_attribute("name")) for each in form.locator("input").all()]
    values = {name: form.locator(f"[name={name}]").input_value() for name in names}
    return {"action": str(page.evaluate("document.querySelector('main form.form').action")), **values}


def the_consumer_sees_it_paid(story: Story, page: Page) -> None:
    story.go(page, "/")
    expect(page.locator(".big-number")).to_have_text("₹0.00")
    expect(page.locator("a[href='/pay/']")).to_have_count(0)
    story.go(page, "/messages/")
    expect(page.locator(".inbox")).to_contain_text(f"{story.cast.counter}-")


def the_sms_is_ours(story: Story, receipt: Receipt) -> None:
    kanpur, home = story.kanpur, story.cast.home
    kanpur.deliver()
    sms = next(sms for sms in kanpur.telephone() if f"{story.cast.counter}-" in sms.text)
    assert sms.mobile.endswith(home.consumer.mobile_key)
    assert plain_rupees(receipt.amount_paise).partition(".")[0] in sms.text.replace(",", "")
    page = story.context.new_page()
    story.go(page, "/check/")
    typed("main form button", code=sms.check_code.lower(), tail=home.account_number[-4:])(page)
    expect(page.locator(".notice.good")).to_be_visible()
    typed("main form button", code=sms.check_code, tail="0000" if home.account_number[-4:] != "0000" else "1111")(page)
    expect(page.locator(".notice.danger")).to_be_visible()


def an_officer_sees_the_collection(story: Story, receipt: Receipt) -> None:
    with desk_of(story, story.cast.officers[0]) as context:
        page = context.new_page()
        story.go(page, "/staff/collection/")
        expect(page.locator("main")).to_contain_text(rupees(receipt.amount_paise))
        expect(page.locator("main")).to_contain_text(f"{story.cast.counter}-")


def the_officers_release_a_bill(story: Story, row: HeldRow) -> None:
    """Above the limit by two of them. What no rule holds any more is issued; else the next rule's turn comes."""
    path, bills = f"/staff/held/{row.part}/{row.connection}/", Bill.objects.filter(connection=row.connection)
    with desk_of(story, story.cast.officers[0]) as context:
        page = context.new_page()
        story.go(page, path)
        typed("main button[value=release]", reason="मीटर देखा, रीडिंग सही है")(page)
    if needs_second(row):
        assert made_bills(story) == (0, 0)
        with desk_of(story, story.cast.officers[1]) as context:
            page = context.new_page()
            story.go(page, "/staff/held/?state=second")
            page.click(f"a[href='{path}']")
            typed("main button[value=approve]", reason="मीटर की फ़ोटो मिलाई, सही है")(page)
    issued, held_again = made_bills(story)
    assert issued + held_again == 1
    if issued:
        assert bills.filter(cycle=row.cycle).exists()
        return
    rows = held(states=("waiting",), limit=1_000, offset=0)
    newer = next(each for each in rows if (each.connection, each.cycle) == (row.connection, row.cycle))
    assert newer.reason != row.reason and newer.part > row.part
    the_officers_release_a_bill(story, newer)


def desk_of(story: Story, person: DeskPerson) -> BrowserContext:
    story.kanpur.keep(person.login, lambda page: story.kanpur.sign_in_staff(page, person))
    return story.kanpur.context(width=WIDTH, language="hi", who=person.login, script=has_script(story))


def made_bills(story: Story) -> tuple[int, int]:
    """Issued, and held again, when a worker next makes what was released."""
    made = make_released(discom=story.kanpur.made.discom, today=TODAY, actor="test")
    return made["issued"], made["held"]
