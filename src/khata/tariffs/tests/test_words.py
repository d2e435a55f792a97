"""What the readings of orders say in Hindi stands beside the orders: a new order brings its words."""

import os
import re
from pathlib import Path

import pytest

from khata.display.sources import Source, reading_source
from khata.kernel.yaml_text import OrderError
from khata.tariffs.queries import reading_words

ORDERS = Path(__file__).resolve().parents[4] / "tariffs"
FILES = sorted(ORDERS.rglob("*.yaml"))
_FILED = re.compile(r'^\s*(?:question|answer): *"(.*)"$', re.MULTILINE)
_LATIN = re.compile(r"[A-Za-z]+")
# What is said in Hindi by these letters, too.
_AS_IT_IS = {"LMV", "FPPAS", "kW", "kWh", "kVA", "kVAh"}


def filed() -> set[str]:
    return {text for file in FILES for text in _FILED.findall(file.read_text(encoding="utf-8"))}


def test_every_reading_of_every_order_is_said_in_hindi() -> None:
    assert len(filed()) > 40
    words = reading_words(ORDERS, "uperc/2024-10-24--fy-2024-25")
    english = {text for text in filed() if set(_LATIN.findall(words.in_hindi(text) or text)) - _AS_IT_IS}
    assert not english


def test_words_come_with_the_orders_and_what_has_none_is_said_as_it_is_filed(tmp_path: Path) -> None:
    order, texts = "anerc/2024-04-01--order", ("Which FPPAS in 2024-05?", "1.5 %, no more.")
    (tmp_path / "anerc").mkdir()
    file = tmp_path / "anerc" / "words.hi.yaml"
    for said in (None, "मई में {month} का?"):
        words = reading_words(tmp_path, order)
        assert reading_source("point 1", texts, words, "hi") == Source("point 1", " ".join(texts), filed=True), said
        file.write_text(
            'readings:\n- {en: "Which FPPAS in {month}?", hi: "{month} में कितना FPPAS?"}\n', encoding="utf-8"
        )
    more = '- {en: "{percent}, no more.", hi: "{percent}, बस।"}\n'
    file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")
    os.utime(file, ns=(1, 1))
    told = reading_source("point 1", texts, reading_words(tmp_path, order), "hi")
    assert told == Source("point 1", "मई 2024 में कितना FPPAS? 1.5 %, बस।")
    assert str(reading_source("point 1", texts, reading_words(tmp_path, order), "en")) == f"point 1: {' '.join(texts)}"


@pytest.mark.parametrize("row", ["{en: a, hi: b, ur: c}", "{en: a}", '{en: "{month} {month}", hi: "{month}"}'])
def test_a_file_of_words_that_cannot_be_read_says_where(row: str, tmp_path: Path) -> None:
    (tmp_path / "anerc").mkdir()
    (tmp_path / "anerc" / "words.hi.yaml").write_text(f"readings:\n- {row}\n", encoding="utf-8")
    with pytest.raises(OrderError, match=r"anerc/words\.hi\.yaml, line [12]"):
        reading_words(tmp_path, "anerc/2024-04-01--order")
