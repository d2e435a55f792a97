"""Synthetic people: plainly made up, the same every time, and as untidy as real lists."""

import unicodedata

import numpy as np

from khata.consumers.rules import mobile_key
from khata.rehearsal.people import People, old_numbers, people

DIVISIONS = ("Naubasta", "Kidwai Nagar", "Harris Ganj", "a division nobody described")


def made(count: int = 1_000, latin: tuple[int, ...] = ()) -> People:
    shop, outskirts = np.arange(count) % 7 == 0, np.arange(count) % 50 == 0
    rng = np.random.default_rng(3)
    return people(divisions=DIVISIONS, shop=shop, outskirts=outskirts, rng=rng, seed=3, latin=latin)


def test_the_same_seed_makes_the_same_people() -> None:
    one, other = made(), made()
    assert (one.name, one.mobile, one.address, one.old_number) == (
        other.name,
        other.mobile,
        other.address,
        other.old_number,
    )
    assert (one.division == other.division).all()


def test_most_mobiles_look_usable_and_some_are_not() -> None:
    mobiles = made().mobile
    usable = [mobile for mobile in mobiles if mobile_key(mobile)]
    assert 0.92 < len(usable) / len(mobiles) < 0.98
    assert all(mobile.startswith("66666") for mobile in usable)
    assert len(set(usable)) < len(usable)  # some people have several connections


def test_names_are_whole_words_in_the_script_of_their_language() -> None:
    folk = made()
    for name, language in zip(folk.name, folk.language, strict=True):
        assert not unicodedata.category(name[0]).startswith("M")
        assert name.isprintable()
        assert ("\u0900" <= name[0] <= "\u097f") is (language == "hi")
    assert folk.language.count("hi") > 800


def test_old_numbers_are_distinct_text_some_with_zeros_in_front() -> None:
    numbers = old_numbers(5_000, np.random.default_rng(4))
    assert len(set(numbers)) == 5_000
    assert {len(number) for number in numbers} == {6, 7, 8}
    assert all(number.isascii() and number.isdecimal() for number in numbers)
    assert any(number.startswith("0") for number in numbers)


def test_old_numbers_differ_without_their_zeros_too() -> None:
    numbers = old_numbers(60_000, np.random.default_rng(4))  # of these, thirty or so would not
    assert len({number.lstrip("0") for number in numbers}) == 60_000
    assert all(number.strip("0") for number in numbers)


def test_a_division_without_devanagari_writes_everybody_in_latin_letters() -> None:
    folk = made(latin=(1,))
    there = (folk.division == 1).tolist()
    for chosen, name, address in zip(there, folk.name, folk.address, strict=True):
        assert not chosen or f"{name} {address}".encode("cp1252")
    assert {language for chosen, language in zip(there, folk.language, strict=True) if not chosen} == {"hi", "en"}
    assert made().language.count("en") < folk.language.count("en")


def test_a_large_town_shares_no_mobiles_but_within_families() -> None:
    count = 110_000
    folk = made(count)
    usable = [mobile for mobile in folk.mobile if mobile_key(mobile)]
    assert len(usable) - len(set(usable)) < count * 0.05


def test_people_of_the_outskirts_live_there() -> None:
    folk = made()
    assert set(folk.division[::50].tolist()) == {0}
