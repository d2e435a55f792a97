"""Money, dates, words: what people read, exactly."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.display.dates import day, month, period
from khata.display.labels import HEADINGS, LANGUAGES, LINES, heading, line_label, unit
from khata.display.money import amount, grouped, kw, kwh, rate, rupees


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (0, "₹0.00"),
        (5, "₹0.05"),
        (-5, "-₹0.05"),
        (99_999, "₹999.99"),
        (100_000, "₹1,000.00"),
        (1_234_567_850, "₹1,23,45,678.50"),
        (-10_000_000, "-₹1,00,000.00"),
    ],
)
def test_rupees_are_grouped_the_indian_way(paise: int, text: str) -> None:
    assert rupees(paise) == text


@given(st.integers())
def test_an_amount_read_back_is_the_same_paise(paise: int) -> None:
    assert int(amount(paise).replace(",", "").replace(".", "")) == paise
    groups = grouped(abs(paise)).split(",")
    assert len(groups[-1]) <= 3 and all(len(group) == 2 for group in groups[1:-1])


def test_units_loads_and_rates_lose_idle_zeros_only() -> None:
    assert [kwh(312_850), kwh(312_000), kwh(1), kwh(-1500), kwh(0)] == ["312.85", "312", "0.001", "-1.5", "0"]
    assert kw(1270) == "1.27" and kw(123_456_000) == "1,23,456"
    assert [rate(61_650), rate(55_000), rate(-6000)] == ["6.165", "5.50", "-0.60"]


def test_days_in_both_languages() -> None:
    date = dt.date(2024, 5, 31)
    assert day(date, "hi") == "31 मई 2024" and day(date, "en") == "31 May 2024"
    assert month(date, "hi") == "मई 2024" and month(date, "en") == "May 2024"
    assert period(dt.date(2024, 5, 1), dt.date(2024, 6, 1), "hi") == "1 मई 2024 से 31 मई 2024 तक"
    assert period(dt.date(2024, 5, 1), dt.date(2024, 6, 1), "en") == "1 May 2024 to 31 May 2024"


def test_every_word_has_both_languages() -> None:
    for label in (*LINES.values(), *HEADINGS.values()):
        assert all(label.in_(language) for language in LANGUAGES)
        assert any("\u0900" <= c <= "\u097f" for c in label.hi) and not any("\u0900" <= c <= "\u097f" for c in label.en)
    for line_id in ("fixed", "excess", "energy", "subsidy", "minimum", "fppas", "duty", "rebate"):
        assert line_id in LINES


def test_a_line_not_known_here_keeps_the_orders_words() -> None:
    assert line_label("fixed", "hi", printed="Fixed charge") == "नियत प्रभार"
    assert line_label("tod", "hi", printed="Time-of-day adjustment") == "Time-of-day adjustment"
    assert line_label("tod", "hi") == "tod"
    assert heading("due_date", "hi") == "देय तिथि" and unit("kWh", "hi") == "यूनिट" and unit("BHP", "en") == "BHP"
