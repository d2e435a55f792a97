"""Synthetic consumers: invented names, mobiles nobody has, houses that are not there."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from faker import Faker

from khata.kernel.quantities import Int64

Bool = npt.NDArray[np.bool_]

LOCALITIES = Path(__file__).with_name("data") / "localities.yaml"
LANGUAGES = ("hi", "en")
_LOCALES = {"hi": "hi_IN", "en": "en_IN"}
_IN_ENGLISH, _WITH_SEVERAL, _UNREACHABLE = 0.12, 0.04, 0.05
_POOL = 600  # draws from Faker; every name of the demo combines two of them
_TRADES = {
    "hi": ("किराना स्टोर", "जनरल स्टोर", "मेडिकल स्टोर", "मिष्ठान भण्डार", "वस्त्रालय", "मोबाइल सेन्टर", "टेलर्स"),
    "en": ("Kirana Store", "General Store", "Medical Store", "Sweets", "Cloth House", "Mobile Centre", "Tailors"),
}
_CITY = {"hi": "कानपुर", "en": "Kanpur"}
_WRONG_MOBILES = ("", "", "0000000000", "99999", "1234567890", "NA")
_MOBILE_SERIES = 6_666_600_000  # ten digits that look usable and are plainly made up


@dataclass(frozen=True)
class People:
    """One row a connection; `division` is a position in the list of divisions that was given."""

    name: list[str]
    mobile: list[str]
    language: list[str]
    address: list[str]
    old_number: list[str]
    division: Int64


def people(
    *,
    divisions: Sequence[str],
    shop: Bool,
    outskirts: Bool,
    rng: np.random.Generator,
    seed: int,
    latin: Sequence[int] = (),
) -> People:
    """A consumer for each row of `shop`. Rows in the outskirts live in divisions at the edge of the city.

    In the divisions at the positions `latin` everybody is written in Latin letters, as by a system that knows no other.
    """
    count = len(shop)
    city = yaml.safe_load(LOCALITIES.read_text(encoding="utf-8"))
    division = _divisions(divisions, city, outskirts, rng)
    only_latin = np.isin(division, latin)
    language = np.where((rng.random(count) < _IN_ENGLISH) | only_latin, 1, 0)
    names = _names(language, shop, rng, seed)
    mobiles = _mobiles(count, rng)
    # Some people have several connections: today each is a consumer of its own, with the same name and mobile.
    for row in np.flatnonzero(rng.random(count) < _WITH_SEVERAL)[1:].tolist():
        if not shop[row] and not shop[row - 1] and only_latin[row] == only_latin[row - 1]:
            names[row], mobiles[row], language[row] = names[row - 1], mobiles[row - 1], language[row - 1]
    languages = [LANGUAGES[number] for number in language.tolist()]
    address = _addresses([divisions[number] for number in division.tolist()], city, languages, rng)
    return People(names, mobiles, languages, address, old_numbers(count, rng), division)


def _divisions(
    divisions: Sequence[str], city: dict[str, dict[str, int]], outskirts: Bool, rng: np.random.Generator
) -> Int64:
    weight = np.array([city[name]["weight"] if name in city else 1 for name in divisions], np.float64)
    found = rng.choice(len(divisions), len(outskirts), p=weight / weight.sum())
    edge = [divisions.index(name) for name in ("Ratanpur", "Kalyanpur", "Hanspuram", "Naubasta") if name in divisions]
    return np.where(outskirts, rng.choice(edge or len(divisions), len(outskirts)), found)


def _names(language: Int64, shop: Bool, rng: np.random.Generator, seed: int) -> list[str]:
    pools = [_pool(_LOCALES[each], seed) for each in LANGUAGES]
    draws = rng.integers(0, 2**31, (len(shop), 3)).tolist()
    made = []
    for number, is_shop, (first, last, trade) in zip(language.tolist(), shop.tolist(), draws, strict=True):
        first_names, last_names = pools[number]
        trades = _TRADES[LANGUAGES[number]]
        surname = last_names[last % len(last_names)]
        given = trades[trade % len(trades)] if is_shop else first_names[first % len(first_names)]
        made.append(f"{surname} {given}" if is_shop else f"{given} {surname}")
    return made


def _pool(locale: str, seed: int) -> tuple[list[str], list[str]]:
    faker = Faker(locale)
    faker.seed_instance(seed)
    return (
        _distinct(faker.first_name_male) + _distinct(faker.first_name_female),
        _distinct(faker.last_name),
    )


def _distinct(draw: Callable[[], str]) -> list[str]:
    return sorted(name for name in {draw() for _ in range(_POOL)} if _well_spelt(name))


def _well_spelt(name: str) -> bool:
    """Faker has a few Hindi names that begin with a vowel sign or carry invisible joiners."""
    return not unicodedata.category(name[0]).startswith("M") and all(unicodedata.category(c) != "Cf" for c in name)


def _mobiles(count: int, rng: np.random.Generator) -> list[str]:
    serial = rng.permutation(max(count, 100_000))[:count]
    wrong = np.where(rng.random(count) < _UNREACHABLE, rng.integers(0, len(_WRONG_MOBILES), count), -1)
    return [
        _WRONG_MOBILES[which] if which >= 0 else str(_MOBILE_SERIES + number)
        for number, which in zip(serial.tolist(), wrong.tolist(), strict=True)
    ]


def _addresses(
    divisions: Sequence[str],
    city: dict[str, dict[str, dict[str, str]]],
    languages: Sequence[str],
    rng: np.random.Generator,
) -> list[str]:
    draws = rng.integers(1, 400, (len(divisions), 3)).tolist()
    made = []
    for name, language, (block, house, which) in zip(divisions, languages, draws, strict=True):
        places = list(city[name]["localities"].items()) if name in city else [(name, name)]
        english, hindi = places[which % len(places)]
        made.append(f"{block}/{house}, {hindi if language == 'hi' else english}, {_CITY[language]}")
    return made


def old_numbers(count: int, rng: np.random.Generator) -> list[str]:
    """Numbers of 6 to 8 digits as text; as in life, about one in ten begins with 0. Without those, they differ too."""
    length = rng.choice([6, 7, 8], count, p=[0.15, 0.55, 0.30])
    made = [""] * count
    taken = np.zeros(1, np.int64)  # nobody is number 0
    for digits in (6, 7, 8):
        rows = np.flatnonzero(length == digits)
        serials = rng.choice(10**digits, len(rows), replace=False, shuffle=False)
        while (clash := np.isin(serials, taken)).any():
            kept = serials[~clash]
            drawn = np.setdiff1d(rng.integers(0, 10**digits, int(clash.sum())), kept)
            serials[np.flatnonzero(clash)[: len(drawn)]] = drawn
        taken = np.concatenate([taken, serials])
        for row, serial in zip(rows.tolist(), serials.tolist(), strict=True):
            made[row] = f"{serial:0{digits}d}"
    return made
