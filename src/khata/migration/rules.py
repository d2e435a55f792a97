"""The numbered rules of a move, as staff read them, and what the supply types of old systems mean."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

from khata.kernel.yaml_text import Node, parse

Outcome: TypeAlias = Literal["repaired", "held", "noted"]

RULES = Path(__file__).with_name("rules.yaml")
SUPPLY_TYPES = Path(__file__).with_name("supply_types.yaml")

MOST_ACCOUNTS_OF_A_MOBILE = 10
MOST_OUTSTANDING_PAISE_PER_KW = 1_00_000_00
OLDEST_DAY = "1990-01-01"
OLD_NUMBER = "^[0-9]{6,8}$"
KEPT_NUMBER = "^[0-9]{10}$"

_OUTCOMES = ("repaired", "held", "noted")
_AREAS = ("urban", "rural")
_NUMBER = re.compile(r"MIG-[0-9]{2}")


@dataclass(frozen=True)
class Words:
    hi: str
    en: str


@dataclass(frozen=True)
class Rule:
    """`detects`, `does` and `why` are sentences for people; `outcome` is what becomes of the account."""

    number: str
    outcome: Outcome
    detects: Words
    does: Words
    why: Words


@dataclass(frozen=True)
class SupplyType:
    code: str
    category: str
    area: str


@functools.cache
def rules() -> Mapping[str, Rule]:
    """All rules by number, in their order."""
    return read_rules(file=RULES.name, text=RULES.read_text(encoding="utf-8"))


@functools.cache
def supply_types() -> Mapping[str, SupplyType]:
    """By code, letters in capitals."""
    return _supply(SUPPLY_TYPES.name, SUPPLY_TYPES.read_text(encoding="utf-8"))[0]


@functools.cache
def categories() -> tuple[str, ...]:
    """The categories of the tariff orders that an old system may name."""
    return _supply(SUPPLY_TYPES.name, SUPPLY_TYPES.read_text(encoding="utf-8"))[1]


def read_rules(*, file: str, text: str) -> dict[str, Rule]:
    """The rules of a file. Raises OrderError with the line for whatever is unknown, missing or empty."""
    found = {}
    for number, node in parse(file, text).keys.items():
        if not _NUMBER.fullmatch(number):
            raise node.error(f"{number} is not the number of a rule", "Write it like MIG-07")
        outcome = node.take("outcome")
        if outcome.text not in _OUTCOMES:
            raise outcome.error(f"{outcome.text} is no outcome", f"Outcomes are: {', '.join(_OUTCOMES)}")
        words = {name: _words(node.take(name)) for name in ("detects", "does", "why")}
        node.done()
        found[number] = Rule(number, cast(Outcome, outcome.text), **words)
    return found


def _words(node: Node) -> Words:
    words = Words(hi=node.take("hi").text, en=node.take("en").text)
    node.done()
    return words


def _supply(file: str, text: str) -> tuple[dict[str, SupplyType], tuple[str, ...]]:
    top = parse(file, text)
    known = tuple(node.text for node in top.take("categories").items)
    found: dict[str, SupplyType] = {}
    for category, areas in top.take("supply_types").keys.items():
        if category not in known:
            raise areas.error(f"the category {category} is not among the categories", "Add it there, or mend it")
        for area, codes in areas.keys.items():
            if area not in _AREAS:
                raise codes.error(f"there is no area {area}", f"Areas are: {', '.join(_AREAS)}")
            for code in codes.items:
                if code.text in found:
                    raise code.error(f"the supply type {code.text} stands twice", "Leave one of them")
                found[code.text] = SupplyType(code.text, category, area)
    top.done()
    return found, known
