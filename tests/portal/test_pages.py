"""What a consumer's pages show: one's own, as of today, calmly, and nothing of anybody else's."""

import datetime as dt
import io
import re
from pathlib import Path

import pypdfium2
import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

from khata.billing.models import Bill
from khata.discoms.models import Discom
from khata.display.money import rupees
from khata.ledger.operations import OnHead, post_one
from khata.ledger.queries import heads
from khata.notices.backends import Answer, Meta
from khata.notices.operations import send_queued
from khata.payments.rules import check_code
from khata.portal.public import TRIES
from tests.cast import OLD_UNTIL
from tests.portal.scene import TODAY, Scene, body, browser, held_by

SIGNED_IN = ("/", "/pay/", "/bills/", "/messages/", "/wrong-bill/", "/connections/")
PUBLIC = ("/sign-in/", "/check/", "/receipt/", "/accessibility/", "/privacy/", "/staff/sign-in/", "/nothing/")
MARKUP = "<script>alert('x')</script>&\"<b>Devi"


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def pdf_text(answer: HttpResponse) -> str:
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    paper = pypdfium2.PdfDocument(io.BytesIO(answer.content))
    return "\n".join(each.get_textpage().get_text_range() for each in paper)


# -- one's own, and nobody else's --------------------------------------------------------------------------------------


def test_no_page_of_asha_s_holds_anything_of_others(scene: Scene) -> None:
    client = scene.consumer("Ashalata")
    bill = scene.bills[scene.town.connections["Ashalata"]]
    for address in (*SIGNED_IN, f"/bills/{bill}/"):
        text = page(client, address)
        for name in scene.people:
            if name not in ("Ashalata", "Dukanwali"):
                assert [mark for mark in scene.marks(name) if mark in text] == [], address
        assert "9876543210" not in text  # nor her mobile: the screen may be looked at by another


def test_a_bill_of_somebody_else_answers_like_one_that_does_not_exist(scene: Scene) -> None:
    client = scene.consumer("Ashalata")
    strangers = [
        scene.bills[scene.town.connections[name]] for name in ("Binadevi", "Ektarani", "Charanjit", "Dukanwali")
    ]
    missing = [0, 999_999_999, 2**31, 2**63 - 1, 2**63, 2**64, 10**40]
    answers = {}
    for ending in ("", "pdf/"):
        for number in [*strangers, *missing]:
            answer = client.get(f"/bills/{number}/{ending}")
            answers[number, ending] = (answer.status_code, body(answer), tuple(sorted(answer.headers)))
    assert len(set(answers.values())) == 1
    assert {status for status, _, _ in answers.values()} == {404}


def test_a_bill_is_shown_under_the_connection_that_is_looked_at(scene: Scene) -> None:
    client = scene.consumer("Ashalata", "Dukanwali")
    shop = scene.town.connections["Dukanwali"]
    address = f"/bills/{scene.bills[shop]}/"
    assert client.get(address).status_code == 404
    assert client.post("/connections/", {"connection": shop}).headers["Location"] == "/"
    assert client.get(address).status_code == 200
    assert "Dukanwali" in page(client, "/")


def test_the_chooser_offers_and_takes_connections_of_the_same_mobile(scene: Scene) -> None:
    client, answer = scene.sign_in("9876543210")
    assert answer.headers["Location"] == "/connections/"
    offered = set(re.findall(r'name="connection" value="(\d+)"', page(client, "/connections/")))
    assert offered == {str(scene.town.connections[name]) for name in ("Ashalata", "Dukanwali")}
    for wanted in (scene.town.connections["Binadevi"], 999_999, 0, -1, "", "x", "१", "9" * 30, 2**70):
        before = held_by(client).get("consumer")
        assert client.post("/connections/", {"connection": wanted}).status_code == 404
        assert held_by(client).get("consumer") == before


def test_the_first_screen_asks_the_database_little(scene: Scene) -> None:
    client = scene.consumer("Ashalata")
    client.get("/")
    with CaptureQueriesContext(connection) as asked:
        page(client, "/")
    frame = r"SAVEPOINT|RELEASE|BEGIN|COMMIT|select set_config"
    real = [query for query in asked.captured_queries if not re.match(frame, query["sql"])]
    assert len(real) <= 12, [query["sql"][:80] for query in real]


# -- today -------------------------------------------------------------------------------------------------------------


def test_the_old_number_goes_after_its_last_day(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    client = scene.consumer("Ashalata")
    bill = scene.bills[scene.town.connections["Ashalata"]]
    for day, shown in ((OLD_UNTIL, True), (OLD_UNTIL + dt.timedelta(days=1), False)):
        monkeypatch.setenv("KHATA_TODAY", str(day))
        for address in ("/", "/pay/"):
            assert ("1234567" in page(client, address)) == shown, (day, address)
    monkeypatch.setenv("KHATA_TODAY", TODAY)
    assert "1234567" in pdf_text(client.get(f"/bills/{bill}/pdf/"))


def test_what_an_order_says_is_marked_as_english_where_it_brought_no_hindi(scene: Scene, tmp_path: Path) -> None:
    client, address = scene.consumer("Ashalata"), f"/bills/{scene.bills[scene.town.connections['Ashalata']]}/"
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "hi"
    told = re.compile(r'<span lang="en">In which order are the lines computed')
    assert not told.search(page(client, address))
    with override_settings(KHATA_TARIFFS=tmp_path):
        assert told.search(page(client, address))


def owe(scene: Scene, name: str, change_paise: int) -> None:
    """A correction in the books, as one of the company's own."""
    with scene.database.as_role("run"):
        numbers = heads(Discom.objects.get(code=scene.people[name].discom))
        consumers = OnHead(numbers["consumers"], scene.town.connections[name], change_paise)
        post_one(
            kind="test",
            cause=f"test:owe:{name}:{change_paise}",
            business_date=dt.date(2024, 6, 19),
            reason="",
            postings=[consumers, OnHead(numbers["cash"], 0, -change_paise)],
        )


def test_what_is_due_is_the_balance_and_late_after_its_day(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    client = scene.consumer("Binadevi")
    with scene.database.as_role("run"):
        balance = scene.town.balance("Binadevi")
        due = Bill.objects.get(connection_id=scene.town.connections["Binadevi"]).due_date
    assert balance > 0
    text = page(client, "/")
    assert (rupees(balance) in text, "Pay by" in text, "The last day was" in text) == (True, True, False)
    for day, late in ((due, False), (due + dt.timedelta(days=1), True)):
        monkeypatch.setenv("KHATA_TODAY", str(day))
        assert ("The last day was" in page(client, "/")) == late == ("You can still pay" in page(client, "/pay/"))
    monkeypatch.setenv("KHATA_TODAY", TODAY)
    owe(scene, "Binadevi", -(balance - 1))
    assert rupees(1) in page(client, "/")
    owe(scene, "Binadevi", -1)
    text = page(client, "/")
    assert ("Nothing to pay" in text, 'href="/pay/"' in text, rupees(0) in text) == (True, False, True)
    owe(scene, "Binadevi", -250_50)
    text = page(client, "/")
    assert ("Paid ahead" in text, rupees(250_50) in text, rupees(-250_50) in text) == (True, True, False)
    assert "upi://" not in page(client, "/pay/")


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/sign-in/", "/check/", "/receipt/", "/language/", "/staff/sign-in/", "/nothing/"])
def test_a_field_of_ten_megabytes_gets_a_calm_answer(scene: Scene, address: str) -> None:
    huge = "9" * 10_000_000
    for language in ("hi", "en"):
        phone = browser(language=language)
        as_text = {"data": f"mobile={huge}", "content_type": "application/x-www-form-urlencoded"}
        for answer in (phone.post(address, {"mobile": huge}), phone.post(address, **as_text)):
            assert answer.status_code in (400, 413)  # refused at the doorstep by its length, or when it is read
            text = answer.content.decode()
            assert ('<html lang="' in text, len(text) < 20_000, "9999" in text) == (True, True, False)


def test_more_fields_than_any_form_of_ours_has_are_refused(scene: Scene) -> None:
    fields = {f"field{number}": "x" for number in range(60)}
    assert browser().post("/sign-in/", fields).status_code == 400


def test_markup_in_names_and_in_what_is_typed_is_shown_as_text(scene: Scene) -> None:
    scene.owner("update consumers_consumer set name = %s where name = 'Ektarani'", MARKUP)
    scene.owner(
        "update consumers_connection set address = %s where id = %s", MARKUP, scene.town.connections["Ektarani"]
    )
    client = scene.consumer("Ektarani")
    bill = scene.bills[scene.town.connections["Ektarani"]]
    pages = [page(client, address) for address in (*SIGNED_IN, f"/bills/{bill}/")]
    pages.append(browser().post("/check/", {"code": MARKUP, "tail": MARKUP}).content.decode())
    pages.append(browser().get("/receipt/", {"n": MARKUP, "c": MARKUP}).content.decode())
    pages.append(browser().post("/sign-in/", {"mobile": MARKUP, "next": MARKUP}).content.decode())
    pages.append(browser().get("/nothing/", {"q": MARKUP}).content.decode())
    assert sum("&lt;script&gt;" in text for text in pages) >= 3
    for text in pages:
        assert "<script>" not in text
        assert "alert(" not in text or "alert(&#x27;" in text
        assert "<b>Devi" not in text
    assert client.get(f"/bills/{bill}/pdf/").status_code == 200


# -- headers, language -------------------------------------------------------------------------------------------------


def test_pages_are_kept_by_nobody_and_safe(scene: Scene) -> None:
    client = scene.consumer("Ashalata")
    bill = scene.bills[scene.town.connections["Ashalata"]]
    signed_in = [client.get(address) for address in (*SIGNED_IN, f"/bills/{bill}/", f"/bills/{bill}/pdf/", "/bills/0/")]
    for answer in [*signed_in, *(browser().get(address) for address in PUBLIC)]:
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert int(re.findall(r"max-age=(\d+)", answer.headers["Strict-Transport-Security"])[0]) >= 31_536_000
        if "html" in answer.headers["Content-Type"]:
            assert not re.search(r"\son\w+=|\sstyle=|<script(?! src=)|<style", answer.content.decode())


def test_cookies_are_for_this_site_over_https_and_for_no_script(scene: Scene) -> None:
    client = browser(language="")
    client.post("/sign-in/", {"mobile": "9876543211"})
    client.post("/language/", {"language": "en", "next": "/sign-in/"})
    assert set(client.cookies) >= {settings.SESSION_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME}
    assert settings.SESSION_COOKIE_NAME.startswith("__Host-")
    for cookie in client.cookies.values():
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["domain"]) == (True, True, "Lax", "")


def test_hindi_unless_somebody_chose_otherwise(scene: Scene) -> None:
    phone = browser(language="")
    first = phone.get("/sign-in/", headers={"accept-language": "en-IN,en;q=0.9"})
    assert (first.headers["Content-Language"], '<html lang="hi">' in first.content.decode()) == ("hi", True)
    assert "See your bill" not in first.content.decode()
    assert phone.post("/language/", {"language": "en", "next": "/check/"}).headers["Location"] == "/check/"
    second = phone.get("/sign-in/", headers={"accept-language": "hi"})
    assert (second.headers["Content-Language"], "See your bill" in second.content.decode()) == ("en", True)


@pytest.mark.parametrize(
    "back", ["https://elsewhere.test/", "//elsewhere.test", "javascript:alert(1)", "/\\elsewhere.test"]
)
def test_choosing_a_language_leads_nowhere_else(scene: Scene, back: str) -> None:
    phone = browser(language="")
    answer = phone.post("/language/", {"language": "xx", "next": back})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert settings.LANGUAGE_COOKIE_NAME not in phone.cookies


# -- for anybody -------------------------------------------------------------------------------------------------------


class Phone:
    """Keeps what was sent."""

    name = "test"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def send(self, mobile: str, text: str, meta: Meta) -> Answer:
        self.texts.append(text)
        return Answer("sent")


def test_an_sms_is_ours_by_its_code_and_tail(scene: Scene) -> None:
    phone = Phone()
    with scene.database.as_role("run"):
        send_queued(backend=phone, key=settings.SECRET_KEY.encode(), now=dt.datetime.now(dt.UTC), limit=100)
    tail = scene.town.accounts["Charanjit"][-4:]
    text = next(text for text in phone.texts if tail in text)
    code = text.split()[-1].strip(".")

    def said(typed: str, digits: str) -> str:
        answer = browser(address="10.20.0.1").post("/check/", {"code": typed, "tail": digits}).content.decode()
        return "ours" if "We sent this SMS." in answer else "unknown" if "We do not know this SMS." in answer else "?"

    assert said(code, tail) == said(f" {code.lower()} ", tail) == "ours"
    other = f"{(int(tail) + 1) % 10_000:04d}"
    forged = ("B" if code[0] == "A" else "A") + code[1:]
    for typed, digits in ((code, other), (code, ""), (forged, tail), ("", tail), ("' or 1=1", tail), (code, "x" * 50)):
        assert said(typed, digits) == "unknown"
    answer = browser().post("/check/", {"code": code, "tail": tail}).content.decode()
    assert [mark for mark in scene.marks("Charanjit") if mark in answer] == []


def test_a_receipt_is_ours_by_its_number_and_code(scene: Scene) -> None:
    number = scene.desks["Gumti"].receipt_number
    code = check_code(number=number)
    answer = browser(address="10.21.0.1").get("/receipt/", {"n": number, "c": code}).content.decode()
    assert ("This receipt is ours." in answer, number in answer, rupees(100_00) in answer) == (True, True, True)
    assert [mark for mark in scene.marks("Ashalata") if mark in answer] == []
    for n, c in ((number, "AAAAAA"), (number[:-1] + "9", code), (number, ""), ("", code), ("x" * 100, "y" * 100)):
        wrong = browser(address="10.21.0.1").get("/receipt/", {"n": n, "c": c}).content.decode()
        assert "We do not know this receipt." in wrong


@pytest.mark.parametrize("address", ["/check/", "/receipt/"])
def test_whoever_tries_codes_is_slowed_down(scene: Scene, address: str) -> None:
    guesser = browser(address="10.22.0.1")
    form = {"code": "AAAAAA", "tail": "1234", "n": "G01-1", "c": "AAAAAA"}
    answers = [guesser.post(address, form).status_code for _ in range(2 * TRIES + 1)]
    assert answers[:TRIES] == [200] * TRIES
    assert answers[-1] == 429  # at the latest in the next quarter of an hour, should one have begun meanwhile
    assert browser(address="10.22.0.2").post(address, form).status_code == 200
