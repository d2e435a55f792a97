"""Amounts in words: every number can be read back, and nothing is said that is not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.display.labels import LANGUAGES, Language
from khata.display.words import number_in_words, rupees_in_words

SIZES = {"करोड़": 10**7, "लाख": 10**5, "हज़ार": 1000, "सौ": 100}
SIZES |= {"crore": 10**7, "lakh": 10**5, "thousand": 1000, "hundred": 100}


def read_back(text: str, language: Language) -> int:
    """A reader that knows the words below a hundred by position, and adds up from the right."""
    small = {number_in_words(number, language): number for number in range(100)}
    total, pending = 0, 0
    for word in text.split():
        if word in SIZES and SIZES[word] == 10**7:
            total, pending = (total + pending) * 10**7, 0
        elif word in SIZES:
            total, pending = total + pending * SIZES[word], 0
        else:
            pending = small[word]
    return total + pending


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=st.integers(0, 10**15))
def test_a_number_read_back_is_the_same(language: Language, number: int) -> None:
    assert read_back(number_in_words(number, language), language) == number


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_hundred_small_numbers_have_a_word_each(language: Language) -> None:
    words = [number_in_words(number, language) for number in range(100)]
    assert len(set(words)) == 100 and not any(" " in word for word in words)


# As taught at school; those that people get wrong most often.
@pytest.mark.parametrize(
    ("number", "word"),
    [
        (29, "उनतीस"),
        (39, "उनतालीस"),
        (44, "चौवालीस"),
        (46, "छियालीस"),
        (49, "उनचास"),
        (54, "चौवन"),
        (59, "उनसठ"),
        (66, "छियासठ"),
        (69, "उनहत्तर"),
        (78, "अठहत्तर"),
        (79, "उनासी"),
        (86, "छियासी"),
        (89, "नवासी"),
        (96, "छियानवे"),
        (99, "निन्यानवे"),
    ],
)
def test_hindi_numbers_below_a_hundred(number: int, word: str) -> None:
    assert number_in_words(number, "hi") == word


# Each ten of Hindi numbers shares its stem with its neighbours, but the nine before a ten looks ahead to it.
@pytest.mark.parametrize(("tens", "ending"), [(3, "तीस"), (4, "ालीस"), (6, "सठ"), (7, "हत्तर"), (8, "ासी"), (9, "नवे")])
def test_hindi_numbers_of_a_ten_end_alike(tens: int, ending: str) -> None:
    assert all(number_in_words(10 * tens + unit, "hi").endswith(ending) for unit in range(1, 9))


def test_amounts_as_they_stand_on_a_bill() -> None:
    assert rupees_in_words(2_348_00, "hi") == "दो हज़ार तीन सौ अड़तालीस रुपये मात्र"
    assert rupees_in_words(2_348_50, "hi") == "दो हज़ार तीन सौ अड़तालीस रुपये पचास पैसे मात्र"
    assert rupees_in_words(12_36_224_79, "en") == (
        "Rupees twelve lakh thirty-six thousand two hundred twenty-four and seventy-nine paise only"
    )
    assert rupees_in_words(1_00, "hi") == "एक रुपया मात्र" and rupees_in_words(1_00, "en") == "Rupee one only"
    assert rupees_in_words(0, "hi") == "शून्य रुपये मात्र" and rupees_in_words(5, "en") == "Rupees zero and five paise only"
    assert number_in_words(123 * 10**7, "hi") == "एक सौ तेईस करोड़"


def test_an_amount_below_zero_has_no_words() -> None:
    with pytest.raises(ValueError, match="from 0 on"):
        rupees_in_words(-1, "hi")
