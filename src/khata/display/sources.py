"""Where a bill's rates and rules come from, as a consumer reads it: tariff orders in Hindi, clauses in plain words.

An order is filed as it was printed, with what it leaves open as numbered readings, in English. What these say in Hindi
stands beside the orders (tariffs.queries.reading_words) and not in them: an order's file is pinned by its hash.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from khata.display.dates import day, month
from khata.display.labels import Label, Language

_POINT = re.compile(r"(?:(\S+) )?reading-(\d+)")
_FPPAS = re.compile(r"(\d{4})-(\d{2})--fppas")
_ORDER = re.compile(r"Tariff order for FY (\S+), dated (\d{1,2} \w+ \d{4})")
_POINT_OF_ORDER = Label("दर आदेश, बिंदु {number}", "Tariff order, point {number}")
_POINT_OF_FPPAS = Label("{month} का FPPAS, बिंदु {number}", "FPPAS of {month}, point {number}")
_OF_SCHEDULES = (
    (re.compile(r"\burban\b"), "शहरी"),
    (re.compile(r"\brural\b"), "ग्रामीण"),
    (re.compile(r"\blifeline\b"), "लाइफ़लाइन"),
    (re.compile(r"\bup to ([\d.]+ kW)\b"), r"\1 तक"),
    (re.compile(r"\babove ([\d.]+ kW)\b"), r"\1 से ऊपर"),
)
_POINT_ALONE = Label("बिंदु", "point")
_POINT_OF = Label("{part}, बिंदु {number}", "{part}, point {number}")


def clause_words(clause: str, language: Language, *, brief: bool = False) -> str:
    """`reading-1` as `दर आदेश, बिंदु 1`; a clause that an order itself numbers stays as it is printed there.

    `brief`: for a narrow column, beside which the orders are named.
    """
    found = _POINT.fullmatch(clause)
    if found is None:
        return clause
    part, number = found[1], found[2]
    if brief:
        of_fppas = "FPPAS, " if part and _FPPAS.fullmatch(part) else ""
        return f"{of_fppas}{_POINT_ALONE.in_(language)} {number}"
    if part is None:
        return _POINT_OF_ORDER.in_(language).format(number=number)
    fppas = _FPPAS.fullmatch(part)
    if fppas is None:
        return _POINT_OF.in_(language).format(part=part, number=number)
    named = month(dt.date(int(fppas[1]), int(fppas[2]), 1), language)
    return _POINT_OF_FPPAS.in_(language).format(month=named, number=number)


def category_words(schedule: str, language: Language) -> str:
    """The name of a rate schedule: `LMV-1 urban` as `LMV-1 शहरी`."""
    if language == "en":
        return schedule
    for pattern, words in _OF_SCHEDULES:
        schedule = pattern.sub(words, schedule)
    return schedule


def order_words(title: str, language: Language) -> str:
    """The title of an order."""
    found = _ORDER.fullmatch(title)
    if language == "en" or found is None:
        return title
    dated = dt.datetime.strptime(found[2], "%d %B %Y").replace(tzinfo=dt.UTC).date()
    return f"वित्त वर्ष {found[1]} का बिजली दर आदेश, {day(dated, language)}"


@dataclass(frozen=True)
class Source:
    """An order, or a point of one and what it says; `filed`: it says so in English, for want of Hindi words."""

    named: str
    said: str = ""
    filed: bool = False

    def __str__(self) -> str:
        return f"{self.named}: {self.said}" if self.said else self.named


class ReadingWords:
    """What the sentences of readings are in Hindi: pairs (as filed, in Hindi); {month} and {percent} may stand in them.

    ValueError where a place stands twice in what is filed.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._whole = {filed: said for filed, said in pairs if not _PLACE.search(filed)}
        self._with_places = [(_pattern(filed), said) for filed, said in pairs if _PLACE.search(filed)]

    def in_hindi(self, text: str) -> str | None:
        """A question or an answer; None where it is not known."""
        if text in self._whole:
            return self._whole[text]
        for pattern, said in self._with_places:
            if found := pattern.fullmatch(text):
                for name, value in found.groupdict().items():
                    said = said.replace(f"{{{name}}}", _PLACES[name][1](value))
                return said
        return None


_PLACES: dict[str, tuple[str, Callable[[str], str]]] = {
    "month": (r"[0-9]{4}-(?:0[1-9]|1[0-2])", lambda text: month(dt.date.fromisoformat(f"{text}-01"), "hi")),
    "percent": (r"-?[\d.]+ %", str),
}
_PLACE = re.compile(r"\{(month|percent)\}")


def _pattern(filed: str) -> re.Pattern[str]:
    """Text and the names of places stand in turn."""
    parts = _PLACE.split(filed)
    if len(set(parts[1::2])) < len(parts[1::2]):
        raise ValueError(f"a place stands twice in {filed!r}")
    return re.compile("".join(f"(?P<{x}>{_PLACES[x][0]})" if n % 2 else re.escape(x) for n, x in enumerate(parts)))


def reading_source(named: str, texts: Sequence[str], words: ReadingWords, language: Language) -> Source:
    """A point with its question and answer: in Hindi where all of it is known, or else as it is filed."""
    hindi = [words.in_hindi(text) for text in texts] if language == "hi" else [None]
    known = [text for text in hindi if text is not None]
    if len(known) == len(hindi):
        return Source(named, " ".join(known))
    return Source(named, " ".join(texts), filed=language == "hi")
