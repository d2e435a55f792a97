"""A receipt on paper."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pypdfium2
import pytest
import zxingcpp

from khata.display.labels import LANGUAGES, Language
from khata.display.paper import CompanyPaper
from khata.payments.documents import ReceiptPaper, receipt_pdf

VERIFY = "RECEIPT 000123 7F3A-9C21"
PAPER = ReceiptPaper(
    language="hi",
    company=CompanyPaper("कंपनी", "Company", "1912", "", "कानपुर", "Kanpur", "", "", ""),
    counter="Gumti 2",
    serial=1234,
    receipt_number="GUM2-001234",
    at=dt.datetime(2024, 6, 20, 19, 0, tzinfo=dt.UTC),
    masked_name="सु*** दे***",
    account_number="3104728856",
    typed="0487213 #x *b* $y$ <script>",
    amount_paise=1_656_90,
    mode="cash",
    balance_paise=-50_00,
    cashier="S-17",
    verify=VERIFY,
)


def text_of(pdf: bytes) -> str:
    return " ".join(pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_bounded().split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receipt_is_one_tagged_page_and_the_same_bytes_again(language: Language) -> None:
    pdf = receipt_pdf(data=replace(PAPER, language=language))
    assert pdf == receipt_pdf(data=replace(PAPER, language=language))
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1 and pypdfium2.raw.FPDFCatalog_IsTagged(document)


def test_everything_stands_on_it_and_the_time_is_indias() -> None:
    text = text_of(receipt_pdf(data=replace(PAPER, language="en")))
    wanted = ["31 0472 8856", "GUM2-001234", "1234", "Gumti 2", "0487213 #x *b* $y$ <script>", "₹1,656.90", "S-17"]
    wanted += ["21 June 2024, 00:30", "Cash", "₹50.00", VERIFY]
    wanted += ["Rupees one thousand six hundred fifty-six and ninety paise only"]
    assert [each for each in wanted if each not in text] == []


def test_what_is_owed_and_what_is_credit_are_told_apart() -> None:
    texts = [text_of(receipt_pdf(data=replace(PAPER, language="en", balance_paise=paise))) for paise in (-1, 0, 1)]
    assert ["Credit after this" in text for text in texts] == [True, False, False]
    assert ["Balance due after this" in text for text in texts] == [False, True, True]


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_money_is_said_to_be_safe_and_nobody_elses_name_or_balance_is_told(language: Language) -> None:
    pdf = receipt_pdf(data=replace(PAPER, language=language, held=True, account_number="0487213"))
    text = text_of(pdf)
    assert len(pypdfium2.PdfDocument(pdf)) == 1
    assert "Your money is safe" in text and PAPER.typed in text and "₹1,656.90" in text and "1912" in text
    assert [each for each in ("31 0472 8856", "50.00", "सु***") if each in text] == []
    assert "Your money is safe" not in text_of(receipt_pdf(data=replace(PAPER, language=language)))


def test_the_code_holds_the_text_to_check_it_by() -> None:
    picture = pypdfium2.PdfDocument(receipt_pdf(data=PAPER))[0].render(scale=2).to_numpy()
    assert [found.text for found in zxingcpp.read_barcodes(np.ascontiguousarray(picture[:, :, :3]))] == [VERIFY]
