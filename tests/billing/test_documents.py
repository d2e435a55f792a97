"""Bills on paper: the same bytes again, one page, everything on it, text that can be searched, a code that pays."""

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pypdfium2
import pytest
import zxingcpp
from django.db import transaction

from khata.billing.documents import BillPaper, bill_paper, bill_pdf, bills_pdf, company_paper
from khata.billing.models import Bill, BillRun
from khata.billing.operations import OldBills, keep_old_bills
from khata.discoms.models import Discom, Office
from khata.discoms.scope import NOBODY, Scope, scoped
from khata.display.bill_text import LineView
from khata.display.labels import LANGUAGES, Language
from khata.display.paper import CompanyPaper
from khata.display.sources import clause_words
from khata.payments.operations import NewReceipts, take
from tests.billing.orders import order_file
from tests.cast import (
    ASHA,
    BINA,
    CHARAN,
    GUMTI,
    KESCO,
    MEERUT,
    PVVNL,
    Agreed,
    Town,
    Usage,
    companies,
    day,
    may,
    office_scope,
    smart,
    town,
)
from tests.database import Database

COMPANY = CompanyPaper(
    name_hi="कानपुर विद्युत आपूर्ति कंपनी",
    name_en="Kanpur Electricity Supply Company",
    phone="1912",
    email="help@company.example",
    address_hi="कानपुर",
    address_en="Kanpur",
    upi_address="khata.sample@examplebank",
    upi_name="Company & Sons",
    merchant_code="4900",
)
MARKUP = """#let x = 1 *b* _i_ $y$ `c` <script>alert("1")</script> \\ 'q' @ref // = ~ [z] {w}"""
HARD = "श्रीमती ज्ञानेन्द्र कुमारी उज्ज्वला देवी श्रीवास्तव पत्नी स्वर्गीय श्री राजराजेश्वर प्रसाद विश्वकर्मा"
FAR = "मकान संख्या 117/अ-22, गली नंबर 14, ज्ञानेश्वर मंदिर के पीछे, विद्युत उपकेन्द्र के सामने, किदवई नगर विस्तार, कानपुर"


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Town]:
    """The cast with bills of two months; Asha has a year of old bills, and has paid in between."""
    june = Usage("2024-06-01", (9_000,) * 30, opening=1_248_000)
    asha = ASHA.with_(meters=(replace(ASHA.meters[0], usage=(*ASHA.meters[0].usage, june)),))
    built = town([asha, BINA, CHARAN])
    many = np.full(12, built.connections["Asha"])
    months = np.arange(np.datetime64("2023-06"), np.datetime64("2024-06")).astype("datetime64[D]")
    keep_old_bills(bills=OldBills(many, months, np.arange(12) * 10_000 + 100_000, np.full(12, 500_00)))
    built.run("2024-06")
    pay(built, 500_00, "2024-06-20")
    built.run("2024-07")
    pay(built, 100_00, "2024-07-20")
    built.run("2024-06", discom=PVVNL)
    yield built


def pay(built: Town, paise: int, on: str) -> None:
    one = NewReceipts(
        connection=np.array([built.connections["Asha"]]),
        reference=np.array([on.encode()]),
        office=np.array([Office.objects.get(kind="division", name_en=GUMTI).id]),
        typed=np.array([b"typed"]),
        matched=np.array([b"matched"]),
        amount_paise=np.array([paise]),
        received_on=np.array([on], "datetime64[D]"),
    )
    take(discom=Discom.objects.get(code=KESCO), channel="counter", receipts=one)


@pytest.fixture
def paper(scene: Town) -> BillPaper:
    """Asha's second bill, in Hindi."""
    return paper_of(scene, "Asha", "2024-07")


def paper_of(built: Town, name: str, cycle: str, language: Language = "hi") -> BillPaper:
    return bill_paper(built.bill(name, cycle), language=language, company=COMPANY)


def text_of(pdf: bytes) -> str:
    """The text of all pages, as a search finds it: one blank between words."""
    document = pypdfium2.PdfDocument(pdf)
    return " ".join(" ".join(page.get_textpage().get_text_bounded().split()) for page in document)


def pages(pdf: bytes) -> int:
    return len(pypdfium2.PdfDocument(pdf))


def code_on(pdf: bytes) -> list[str]:
    """What a scanner reads from the printed page, at 150 dots an inch."""
    picture = pypdfium2.PdfDocument(pdf)[0].render(scale=150 / 72).to_numpy()
    return [found.text for found in zxingcpp.read_barcodes(np.ascontiguousarray(picture[:, :, :3]))]


def without_blanks(text: str) -> str:
    return "".join(text.split())


# -- the same again ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bill_gives_the_same_bytes_again_and_in_another_process(scene: Town, language: Language) -> None:
    paper = paper_of(scene, "Asha", "2024-07", language)
    made = bill_pdf(paper)
    assert bill_pdf(paper) == made == bill_pdf(paper_of(scene, "Asha", "2024-07", language))
    code = (
        "import sys, pickle, hashlib, django; django.setup(); from khata.billing.documents import bill_pdf; "
        "sys.stdout.write(hashlib.sha256(bill_pdf(pickle.load(sys.stdin.buffer))).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(paper), capture_output=True, check=True)
    assert other.stdout.decode() == hashlib.sha256(made).hexdigest()


def test_what_happened_after_a_bill_was_issued_does_not_change_it(scene: Town) -> None:
    """The bill of June was printed before: the payment and the bill that came later are not on it."""
    first = paper_of(scene, "Asha", "2024-06")
    assert first.last_payment is None and first.months[-1].month == day("2024-05-01")
    second = paper_of(scene, "Asha", "2024-07")
    assert second.last_payment is not None and second.last_payment.amount_paise == 500_00
    assert [each.energy_wh for each in second.months[-2:]] == [248_000, 270_000]
    assert [each.old for each in second.months] == [True] * 11 + [False, False]


# -- one page, with everything on it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("name", "cycle"), [("Asha", "2024-06"), ("Asha", "2024-07"), ("Bina", "2024-06")])
def test_a_bill_is_one_tagged_page_of_a4(scene: Town, name: str, cycle: str, language: Language) -> None:
    document = pypdfium2.PdfDocument(bill_pdf(paper_of(scene, name, cycle, language)))
    assert len(document) == 1
    assert pypdfium2.raw.FPDFCatalog_IsTagged(document)
    assert [round(side * 25.4 / 72) for side in document[0].get_size()] == [210, 297]
    assert document.get_metadata_value("Title").endswith(scene.bill(name, cycle).number)


def test_what_people_look_for_is_found_by_search(scene: Town, paper: BillPaper) -> None:
    bill, text = scene.bill("Asha", "2024-07"), text_of(bill_pdf(paper))
    account = scene.accounts["Asha"]
    payable = bill.payable_paise + bill.arrears_paise
    wanted = [f"{account[:2]} {account[2:6]} {account[6:]}", "1234567", "13 सितंबर 2024", bill.number, "Asha"]
    wanted += [f"₹{payable // 100_000},{payable // 100 % 1000:03d}.{payable % 100:02d}", "₹500.00", "20 जून 2024"]
    wanted += ["12 Gumti No. 5", "******3210", "SMART-1", "1,248", "1,518", "270", "1912", "LMV-1", "2 kW"]
    assert [each for each in wanted if each not in text] == []
    assert "9876543210" not in text


HINDI = (
    "देय राशि आख़िरी तारीख़ खपत यूनिट शब्दों में नया अकाउंट नंबर पुराना मान्य "
    "मोबाइल बिल अवधि खंड श्रेणी आपूर्ति पोस्टपेड स्वीकृत भार अधिकतम मांग आधार असली "
    "रीडिंग स्मार्ट मीटर गुणांक पिछली वर्तमान हिसाब गणना संदर्भ नियत प्रभार ऊर्जा "
    "राज्य सरकार सब्सिडी विद्युत कर बकाया पिछला महीने स्लैब किसी ऐप स्कैन करें "
    "केवल लिए फ़ोन शिकायत उपभोक्ता व्यथा निवारण मुआवज़ा हक़ नोटिस रविवार छुट्टी"
)


def test_hindi_words_are_found_by_search(paper: BillPaper) -> None:
    """As the search box of a viewer does, anywhere in the text: PDFium drops blanks between two clusters."""
    wanted, text = HINDI.split(), text_of(bill_pdf(paper))
    missing = [word for word in wanted if word not in text]
    assert len(wanted) >= 40 and len(missing) * 20 <= len(wanted), missing


def test_each_line_stands_with_its_rate_amount_and_clause(paper: BillPaper) -> None:
    text = text_of(bill_pdf(replace(paper, language="en")))
    assert "Fixed charge" in text and "1.5 kW × 110.00" in text and "165.00" in text
    for line in paper.view.lines:
        assert clause_words(line.clause, "en", brief=True) in text
    assert sum(line.amount_paise or 0 for line in paper.view.lines) == paper.view.bill_paise


def test_the_old_number_leaves_the_bill_by_its_date(scene: Town, paper: BillPaper) -> None:
    assert "पुराना नंबर" in text_of(bill_pdf(paper))
    later = replace(paper, view=replace(paper.view, old_number=None, old_number_last_day=None))
    text = text_of(bill_pdf(later))
    assert "पुराना नंबर" not in text and "नया अकाउंट" not in text and "अकाउंट नंबर" in text


def test_a_draft_says_so_and_a_final_bill_does_not(paper: BillPaper) -> None:
    drafts = [text_of(bill_pdf(replace(paper, view=replace(paper.view, draft=draft)))) for draft in (True, False)]
    assert ["कच्चा बिल" in text for text in drafts] == [True, False]


def test_how_it_was_read_and_paid_for_is_said(scene: Town, paper: BillPaper) -> None:
    assert "स्मार्टमीटरसे" in without_blanks(text_of(bill_pdf(paper)))
    assert "मौकेपर" in without_blanks(text_of(bill_pdf(paper_of(scene, "Bina", "2024-06"))))
    prepaid = text_of(bill_pdf(replace(paper, prepaid=True)))
    assert "प्रीपेड" in prepaid and "नोटिस" not in prepaid


# -- the code that pays ------------------------------------------------------------------------------------------------


def test_the_code_on_the_page_pays_exactly_this_issue_of_the_bill(scene: Town, paper: BillPaper) -> None:
    (link,) = code_on(bill_pdf(paper))
    assert link.startswith("upi://pay?")
    found = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    bill = scene.bill("Asha", "2024-07")
    payable = bill.payable_paise + bill.arrears_paise
    assert found == {
        "pa": "khata.sample@examplebank",
        "pn": "Company & Sons",
        "mc": "4900",
        "tr": f"{bill.number}R0",
        "tn": f"Bill {bill.number}",
        "am": f"{payable // 100}.{payable % 100:02d}",
        "cu": "INR",
    }
    again = bill_paper(
        Bill.objects.get(id=bill.id), language="en", company=COMPANY
    )  # another language is the same issue
    assert again.reference == paper.reference
    bill.revision = 1
    assert bill_paper(bill, language="hi", company=COMPANY).reference != paper.reference


def test_nothing_to_pay_has_no_code(paper: BillPaper) -> None:
    for owed in (0, -50_00):
        pdf = bill_pdf(replace(paper, view=replace(paper.view, arrears_paise=-1, payable_paise=owed)))
        assert code_on(pdf) == [] and "कुछनहींदेनाहै" in without_blanks(text_of(pdf))


def test_a_company_without_a_registered_address_has_no_code(paper: BillPaper) -> None:
    pdf = bill_pdf(replace(paper, company=replace(COMPANY, upi_address="")))
    assert code_on(pdf) == [] and "UPI" not in text_of(pdf)


# -- whatever comes ----------------------------------------------------------------------------------------------------


def worst(paper: BillPaper) -> BillPaper:
    """Two orders with every line there is, two meters, long names, arrears, prepaid, a draft."""
    start, end = paper.view.period_start, paper.view.period_end
    days = ((start, start.replace(day=16)), (start.replace(day=16), end))
    steps = [replace(line, amount_paise=None, printed="151 to 300 units") for line in paper.view.lines[:3]]
    more = [
        LineView("excess", 550_00, 1_500, "kW", 2_200_000, "₹/kW", "reading-1", times="× 15/30 दिन"),
        LineView("minimum", 1_00, 1_500, "kW", 2_200_000, "₹/kW", "reading-1", times="× 15/30 दिन"),
        LineView("rebate", -20_00, 10_000, "₹", 20_000, "%", "reading-2"),
    ]
    lines = tuple(replace(line, part=part) for part in days for line in [*paper.view.lines, *steps, *more])
    guess = {"previous_estimated": True, "present_estimated": True}
    meter = replace(paper.view.readings[0], previous_wh=123_456_780, present_wh=123_987_650, **guess)
    view = replace(
        paper.view,
        name=f"{HARD} {MARKUP}",
        lines=lines,
        readings=tuple(replace(meter, meter_number=f"KS508391{number}-SMART") for number in range(3)),
        slabs=(),
        draft=True,
        arrears_paise=123_456_789,
        payable_paise=123_456_789 + paper.view.bill_paise,
        orders=("Tariff order for FY 2022-23, dated 23 July 2022", "Tariff order for FY 2023-24, dated 25 May 2023"),
    )
    return replace(paper, view=view, prepaid=True, address=f"{FAR} {MARKUP}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worst_bill_is_one_page_with_a_code_that_can_be_read(paper: BillPaper, language: Language) -> None:
    pdf = bill_pdf(replace(worst(paper), language=language))
    assert pages(pdf) == 1
    assert len(code_on(pdf)) == 1
    text = text_of(pdf)
    assert "1912" in text and "2022-23" in text and "KS5083912-SMART" in text


def test_a_bill_that_just_counts_as_ordinary_still_fits(paper: BillPaper) -> None:
    """The largest that is not measured: as many rows, and names as long, as `_size` lets pass."""
    lines = [line for line in paper.view.lines if line.amount_paise is None]
    view = replace(paper.view, lines=(*paper.view.lines, *(lines[0],) * (11 - len(paper.view.lines))), draft=True)
    wide = replace(COMPANY, name_hi="म" * 40, name_en="M" * 40, email="e" * 40)
    view = replace(view, name="ज्ञा" * 10, slabs=(*view.slabs, *view.slabs)[:5], arrears_paise=1)
    assert pages(bill_pdf(replace(paper, view=view, company=wide, address="W" * 80))) == 1


def test_markup_in_a_name_is_printed_as_it_is(paper: BillPaper) -> None:
    pdf = bill_pdf(replace(paper, view=replace(paper.view, name=MARKUP), address=MARKUP[::-1]))
    text = without_blanks(text_of(pdf))
    assert without_blanks(MARKUP) in text and without_blanks(MARKUP[::-1]) in text


def test_a_bill_over_two_orders_tells_its_parts_apart(database: Database, tmp_path: Path) -> None:
    order_file(tmp_path, "2024-01-01--case-1", homes="5.00", last_slab="8.00")
    order_file(tmp_path, "2024-05-16--case-2", homes="7.00", last_slab="9.00")
    terms = (Agreed("2023-04-01", load_w=4_000),)
    home = smart("home", may(8_000), discom="NADIPUR", terms=terms)
    built = town([home], offices=companies("ANERC", {"NADIPUR": {"Circle": [GUMTI]}}), tariffs=tmp_path)
    built.run("2024-06")
    pdf = bill_pdf(paper_of(built, "home", "2024-06", "en"))
    text = text_of(pdf)
    assert pages(pdf) == 1 and "1 May 24 – 15 May 24" in text and "16 May 24 – 31 May 24" in text


def test_several_bills_in_one_file_have_a_page_each(scene: Town) -> None:
    papers = [paper_of(scene, name, "2024-06", language) for name, language in (("Asha", "hi"), ("Bina", "en"))]
    pdf = bills_pdf(papers)
    document = pypdfium2.PdfDocument(pdf)
    texts = [page.get_textpage().get_text_bounded() for page in document]
    assert len(texts) == 2 and "बिजली बिल" in texts[0] and "Electricity bill" in texts[1]
    for paper, text in zip(papers, texts, strict=True):
        assert paper.view.bill_number in text


# -- who may see it ----------------------------------------------------------------------------------------------------


def test_the_web_shows_asha_her_own_bill_to_the_byte_and_charan_nothing(module_database: Database, scene: Town) -> None:
    bill = scene.bill("Asha", "2024-07")
    made = bill_pdf(paper_of(scene, "Asha", "2024-07"))
    for scope in (scene.seen_by("Asha"), office_scope(KESCO, GUMTI), office_scope(KESCO)):
        with module_database.as_role("app"), scoped(scope), transaction.atomic():
            found = Bill.objects.get(id=bill.id)
            assert bill_pdf(bill_paper(found, language="hi", company=COMPANY)) == made
    for scope in (scene.seen_by("Charan"), scene.seen_by("Bina"), office_scope(PVVNL, MEERUT), NOBODY):
        with module_database.as_role("app"), scoped(scope), transaction.atomic():
            assert not Bill.objects.filter(id=bill.id).exists()
    for scope in (scene.seen_by("Charan"), NOBODY):
        with (
            module_database.as_role("app"),
            scoped(scope),
            transaction.atomic(),
            pytest.raises(BillRun.DoesNotExist),
        ):  # even with the bill in hand
            bill_paper(bill, language="hi", company=COMPANY)


def test_a_neighbour_with_the_bill_in_hand_still_sees_nothing_of_it(module_database: Database, scene: Town) -> None:
    """Bina has the same run; what was rated, the name and the address are not hers to read."""
    bill = scene.bill("Asha", "2024-07")
    scope = Scope(scene.consumers["Bina"], None, None)
    with module_database.as_role("app"), scoped(scope), transaction.atomic(), pytest.raises(Exception) as refused:
        bill_paper(bill, language="hi", company=COMPANY)
    assert "DoesNotExist" in type(refused.value).__name__


def test_a_company_prints_what_its_data_says() -> None:
    discom = Discom(
        code="X", name_hi="क", name_en="K", key_colour="14444a", phone="1912", email="a@b.example", upi_address="x@y"
    )
    company = company_paper(discom)
    assert (company.name("hi"), company.name("en"), company.key_colour, company.upi_address) == (
        "क",
        "K",
        "14444a",
        "x@y",
    )
