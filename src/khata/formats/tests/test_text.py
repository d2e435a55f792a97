"""Typed text: what is accepted, what is refused, and that nothing passes through a float."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.formats.text import FormatError, account_number_text, decimal_scaled, digits, iso_date, rupees_typed

DEVANAGARI = str.maketrans("0123456789", "०१२३४५६७८९")


def test_digits_of_any_script_become_ascii_and_letters_stay() -> None:
    assert digits("खाता ०१२३ ٤٥ ６７ ab") == "खाता 0123 45 67 ab"


@pytest.mark.parametrize(
    "typed",
    ["0123456789", " 0123 456 789 ", "0123\u00a0456\u200b789", "०१२३४५६७८९", "0123-456\u2013789", "\ufeff0123456789\n"],
)
def test_an_account_number_is_the_same_however_it_is_typed(typed: str) -> None:
    assert account_number_text(typed) == "0123456789"


def test_an_account_number_keeps_its_zeros_and_letters() -> None:
    assert account_number_text("00 12a/7") == "0012a/7"
    assert account_number_text(" \u200d ") == ""


@pytest.mark.parametrize(
    ("text", "scaled"),
    [
        ("1.27", 1270),
        ("0", 0),
        (".34", 340),
        ("-.47", -470),
        ("1.", 1000),
        ("1.2340000", 1234),
        ("00012", 12000),
        (" 5 ", 5000),
        ("१.२७", 1270),
        ("9223372036854775.807", 2**63 - 1),
    ],
)
def test_decimals_are_exact(text: str, scaled: int) -> None:
    assert decimal_scaled(text, 3, what="energy") == scaled


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "energy is empty"),
        ("  ", "energy is empty"),
        ("1.2345", "more than 3 decimal places"),
        ("1e3", "exponent"),
        ("1,234", "thousands separators"),
        ("1,23,456.50", "thousands separators"),
        ("NaN", "not a number"),
        ("inf", "not a number"),
        ("+5", "not a number"),
        ("--5", "not a number"),
        (".", "not a number"),
        ("-", "not a number"),
        ("1.2.3", "not a number"),
        ("12 kWh", "not a number"),
        ("1 2", "not a number"),
        ("9223372036854775.808", "too large"),
        ("1" * 5000, "too large"),
    ],
)
def test_what_is_no_decimal_is_refused_with_a_reason_and_a_next_step(text: str, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        decimal_scaled(text, 3, what="energy")
    assert refused.value.next_step and len(str(refused.value)) < 160


@given(st.decimals(-(10**12), 10**12, places=3, allow_nan=False), st.booleans())
def test_every_number_of_three_places_comes_back(number: Decimal, hindi: bool) -> None:
    text = format(number, "f")
    assert decimal_scaled(text.translate(DEVANAGARI) if hindi else text, 3, what="x") == int(number * 1000)


@given(st.dates(), st.booleans())
def test_every_day_comes_back(day: dt.date, hindi: bool) -> None:
    assert iso_date(day.isoformat().translate(DEVANAGARI) if hindi else day.isoformat()) == day


@pytest.mark.parametrize(
    "text", ["", "2024-5-31", "31-05-2024", "20240531", "2024-02-30", "2024-05-31T00:00", "0000-01-01"]
)
def test_other_dates_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        iso_date(text)


def test_an_error_says_what_where_and_the_next_step() -> None:
    error = FormatError("kwh is empty", next_step="Give a number").at(line=7, column="kwh")
    assert str(error) == "line 7, column kwh: kwh is empty. Give a number."
    assert (error.line, error.column, error.where) == (7, "kwh", "")


@pytest.mark.parametrize(
    ("typed", "paise"),
    [
        ("500", 500_00),
        (" 500 ", 500_00),
        ("₹500", 500_00),
        ("₹ 1,23,456.50", 1_23_456_50),
        ("1,234", 1_234_00),
        ("1 23 456", 1_23_456_00),
        ("1\u00a023\u00a0456", 1_23_456_00),
        ("१,२३,४५६.५", 1_23_456_50),
        ("०.०१", 1),
        (".5", 50),
        ("7.", 7_00),
        ("0005", 5_00),
        ("999999999999.99", 999_999_999_999_99),
    ],
)
def test_amounts_as_people_type_them(typed: str, paise: int) -> None:
    assert rupees_typed(typed) == paise


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "empty"),
        (" ₹ ", "empty"),
        ("0", "is 0"),
        ("0.00", "is 0"),
        ("०", "is 0"),
        ("-5", "below 0"),
        ("₹-5", "below 0"),
        ("−5", "below 0"),
        ("1.005", "fraction of a paisa"),
        ("1.500", "fraction of a paisa"),
        ("1e3", "not a number"),
        ("1.2.3", "not a number"),
        ("½", "not a number"),
        ("५०० रुपये", "not a number"),
        (".", "not a number"),
        ("₹₹5", "not a number"),
        ("NaN", "not a number"),
        ("1,50", "commas"),
        ("100,000", "commas"),
        ("1,2,345", "commas"),
        (",500", "commas"),
        ("1 50", "commas"),
        ("1000000000000", "too large"),
        ("9" * 41, "too long"),
        ("9" * 1_000_000, "too long"),
    ],
)
def test_what_is_no_amount_says_why_and_what_next(typed: str, says: str) -> None:
    with pytest.raises(FormatError) as refused:
        rupees_typed(typed)
    assert says in refused.value.what
    assert refused.value.next_step


def indian(whole: int) -> str:
    """Digits in groups: three at the end, pairs before them."""
    head, last = divmod(whole, 1000)
    if not head:
        return str(last)
    groups = [f"{last:03d}"]
    while head >= 100:
        head, pair = divmod(head, 100)
        groups.insert(0, f"{pair:02d}")
    return ",".join([str(head), *groups])


@given(st.integers(1, 10**14 - 1))
def test_every_amount_as_it_is_printed_is_read_back(paise: int) -> None:
    whole, part = divmod(paise, 100)
    assert rupees_typed(f"₹{indian(whole)}.{part:02d}") == rupees_typed(f"{whole}.{part:02d}") == paise


@given(st.text(max_size=60))
def test_any_text_is_an_amount_above_0_or_a_sentence(typed: str) -> None:
    try:
        assert 0 < rupees_typed(typed) < 10**14
    except FormatError as refused:
        assert refused.what and refused.next_step
