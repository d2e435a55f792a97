"""A bill on a terminal: everything is there, columns stand under each other in both languages."""

import datetime as dt
from dataclasses import replace

import pytest

from khata.display.bill_text import (
    BillView,
    LineView,
    ReadingView,
    SlabView,
    bar,
    bill_text,
    masked_name,
    table,
    times,
    width,
)
from khata.display.labels import LANGUAGES, Language

BILL = BillView(
    account_number="0123456789",
    name="आशा देवी",
    mask_name=False,
    discom="KESCO",
    division="किदवई नगर",
    category="LMV-1",
    sanctioned_load_w=2000,
    max_demand_w=1270,
    energy_wh=412_500,
    period_start=dt.date(2024, 5, 1),
    period_end=dt.date(2024, 6, 1),
    bill_number="012300000042",
    bill_date=dt.date(2024, 6, 1),
    due_date=dt.date(2024, 6, 16),
    lines=(
        LineView("fixed", 22_000, 2000, "kW", 1_100_000, "₹/kW", "p. 12"),
        LineView("energy", 252_625, 412_500, "kWh", clause="p. 13"),
        LineView("subsidy", -1000),
        LineView("tod", 5, printed="Time-of-day adjustment"),
    ),
    bill_paise=12_273_630,
    arrears_paise=0,
    payable_paise=12_273_630,
    readings=(ReadingView("KE1", 10_000_000, dt.date(2024, 5, 1), 10_412_500, dt.date(2024, 6, 1), 1, 412_500),),
    slabs=(SlabView(0, 150_000, 150_000, 55_000), SlabView(150_000, None, 262_500, 60_000)),
    old_number="45678901",
    old_number_last_day=dt.date(2024, 9, 14),
)


def test_the_hindi_bill_says_everything() -> None:
    text = bill_text(BILL, "hi")
    for part in (
        "0123456789",
        "45678901 (14 सितंबर 2024 तक मान्य)",
        "आशा देवी",
        "किदवई नगर",
        "2 kW",
        "1.27 kW",
        "412.5 यूनिट",
    ):
        assert part in text
    for part in (
        "1 मई 2024 से 31 मई 2024 तक",
        "16 जून 2024",
        "नियत प्रभार",
        "110.00 ₹/kW",
        "-10.00",
        "p. 12",
        "₹1,22,736.30",
    ):
        assert part in text
    assert "Time-of-day adjustment" in text and "मसौदा" not in text and text.endswith("\n")


def test_a_draft_says_so_and_a_stranger_sees_no_name() -> None:
    text = bill_text(replace(BILL, draft=True, mask_name=True), "en")
    assert "a rate or rule of this bill is still to be confirmed" in text
    assert "आ*** दे***" in text and "आशा" not in text


def test_what_a_bill_does_not_have_is_not_printed() -> None:
    text = bill_text(replace(BILL, old_number=None, due_date=None, readings=(), slabs=()), "en")
    for part in ("Old number", "Due date", "Readings", "slab", "Arrears", "Credit"):
        assert part not in text
    assert "Arrears" in bill_text(replace(BILL, arrears_paise=100), "en")
    assert "-₹1.00" in bill_text(replace(BILL, arrears_paise=-100), "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_amounts_stand_under_each_other(language: Language) -> None:
    lines = bill_text(BILL, language).split("\n")
    fixed = next(line for line in lines if "220.00" in line)
    energy = next(line for line in lines if "2,526.25" in line)
    assert width(fixed[: fixed.index("220.00") + 6]) == width(energy[: energy.index("2,526.25") + 8])


def test_marks_take_no_column() -> None:
    assert width("कि") == 1 and width("श्री") == 2 and width("ab") == 2 and width("日") == 2
    assert table([("कि", "1"), ("abc", "22")], ("left", "right")) == ["कि     1", "abc  22"]


def test_months_stand_beside_the_quantity_and_slabs_under_their_line() -> None:
    lines = (
        LineView("fixed", 540_000, 6000, "kW", 4_500_000, "₹/kW", "p. 12", times=times(2, 61, 61, "en")),
        LineView("subsidy", -42_200),
        LineView("subsidy", None, 300_000, "kWh", 13_500, "₹/kWh", "p. 13", printed="Up to 150 units × 2 months"),
    )
    text = [" ".join(line.split()) for line in bill_text(replace(BILL, lines=lines), "en").splitlines()]
    assert "Fixed charge 6 kW × 2 months 450.00 ₹/kW 5,400.00 p. 12" in text
    assert "State government subsidy -422.00" in text
    assert "Up to 150 units × 2 months 300 kWh 1.35 ₹/kWh p. 13" in text


def test_what_multiplies_a_monthly_charge() -> None:
    assert (times(1, 31, 31, "en"), times(1, 10, 30, "en")) == ("", "× 10/30 days")
    assert (times(2, 61, 61, "hi"), times(2, 20, 61, "en")) == ("× 2 माह", "× 2 months × 20/61 days")


def test_a_bar_shows_how_full() -> None:
    assert bar(0, 100) == "░" * 20 and bar(100, 100) == "█" * 20 and bar(50, 100) == "█" * 10 + "░" * 10
    assert bar(1, 10_000).count("█") == 1 and bar(0, 0) == "░" * 20 and bar(500, 100) == "█" * 20


def test_a_masked_name_tells_neither_its_length_nor_half_a_letter() -> None:
    assert masked_name("Asha Devi") == "A*** D***"
    assert masked_name("श्रीमती कमला") == "श*** क***"
