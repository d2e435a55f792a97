"""Where rates come from, in words: the title of every order that is filed in Hindi, a clause of an order as printed."""

import re
from pathlib import Path

import pytest

from khata.display.sources import category_words, clause_words, order_words

ORDERS = sorted((Path(__file__).resolve().parents[4] / "tariffs").rglob("*.yaml"))
_TITLE = re.compile(r'^  title: +"(Tariff order .*)"$', re.MULTILINE)
_LATIN = re.compile(r"[A-Za-z]+")


def test_every_title_of_an_order_is_said_in_hindi() -> None:
    titles = {title for file in ORDERS for title in _TITLE.findall(file.read_text(encoding="utf-8"))}
    assert len(titles) == 4
    assert not [title for title in titles if _LATIN.search(order_words(title, "hi"))]
    assert order_words("Tariff order for FY 2022-23, dated 23 July 2022", "hi") == (
        "वित्त वर्ष 2022-23 का बिजली दर आदेश, 23 जुलाई 2022"
    )


@pytest.mark.parametrize(
    ("clause", "hindi", "english"),
    [
        ("reading-1", "दर आदेश, बिंदु 1", "Tariff order, point 1"),
        ("2025-04--fppas reading-1", "अप्रैल 2025 का FPPAS, बिंदु 1", "FPPAS of April 2025, point 1"),
        ("2025-08-01--erratum reading-2", "2025-08-01--erratum, बिंदु 2", "2025-08-01--erratum, point 2"),
        ("§ 9.3, p. 241", "§ 9.3, p. 241", "§ 9.3, p. 241"),
        ("", "", ""),
    ],
)
def test_a_clause_in_words(clause: str, hindi: str, english: str) -> None:
    assert (clause_words(clause, "hi"), clause_words(clause, "en")) == (hindi, english)


def test_a_clause_in_a_narrow_column() -> None:
    assert clause_words("reading-1", "hi", brief=True) == "बिंदु 1"
    assert clause_words("2025-04--fppas reading-1", "en", brief=True) == "FPPAS, point 1"
    assert clause_words("§ 9.3", "hi", brief=True) == "§ 9.3"


def test_a_schedule_in_words() -> None:
    assert category_words("LMV-2 urban above 4 kW", "hi") == "LMV-2 शहरी 4 kW से ऊपर"
    assert category_words("LMV-2 urban above 4 kW", "en") == "LMV-2 urban above 4 kW"
