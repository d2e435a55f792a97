"""The numbered rules of validation and estimation, read from validation.yaml: words, owners, dated limits."""

import datetime as dt
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from khata.kernel.quantities import Int64
from khata.kernel.yaml_text import Node, parse

Outcome: TypeAlias = Literal["quarantined", "noted", "estimated"]
Owner: TypeAlias = Literal["sender", "division", "metering"]
Language: TypeAlias = Literal["en", "hi"]
Days = NDArray[np.datetime64]

VALIDATION = Path(__file__).with_name("validation.yaml")
KINDS = ("", "single phase", "three phase", "transformer")  # what Meter.kind may say; the index is `Known.kind`

_OUTCOMES = ("quarantined", "noted", "estimated")
_OWNERS = ("sender", "division", "metering")
_NUMBER = re.compile(r"(VAL|EST)-[0-9]{2}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class Limit:
    """What a rule's limits are from a day on, for one kind of meter or (kind None) for any."""

    from_date: dt.date
    kind: int | None
    values: Mapping[str, int]


@dataclass(frozen=True)
class Rule:
    """`title` says what is wrong, `next_step` what its owner does; both by language."""

    number: str
    outcome: Outcome
    owner: Owner
    title: Mapping[Language, str]
    next_step: Mapping[Language, str]
    limits: tuple[Limit, ...]  # in the order in which a later one overrides an earlier one


@dataclass(frozen=True)
class Rules:
    """All rules by number. A number that does not exist is a KeyError: numbers come from code, not from outside."""

    by_number: Mapping[str, Rule]

    def outcome(self, rule: str) -> Outcome:
        return self.by_number[rule].outcome

    def owner(self, rule: str) -> Owner:
        return self.by_number[rule].owner

    def title(self, rule: str, language: Language) -> str:
        return self.by_number[rule].title[language]

    def next_step(self, rule: str, language: Language) -> str:
        return self.by_number[rule].next_step[language]

    def limit(self, rule: str, name: str, day: dt.date, kind: int | str = "") -> int:
        """The limit in force on `day` for a kind of meter (its name or its index in KINDS; unknown: that of any)."""
        index = KINDS.index(kind) if isinstance(kind, str) else kind
        return int(self.limits(rule, name, np.array([day], "M8[D]"), np.array([index], np.int64))[0])

    def limits(self, rule: str, name: str, days: Days, kinds: Int64) -> Int64:
        """The limit in force for each row, (n,)."""
        entries = [each for each in self.by_number[rule].limits if name in each.values]
        if not entries:
            raise KeyError(f"{rule} has no limit {name}")
        first, *others = entries
        found = np.full(len(days), first.values[name], np.int64)
        for each in others:
            at = days >= np.datetime64(each.from_date)
            if each.kind is not None:
                at &= kinds == each.kind
            found[at] = each.values[name]
        return found


@functools.cache
def read_rules() -> Rules:
    """The rules that came with this release."""
    return parse_rules(file=VALIDATION.name, text=VALIDATION.read_text(encoding="utf-8"))


def parse_rules(*, file: str, text: str) -> Rules:
    """The rules of a file. Raises OrderError with the line for whatever is unknown, missing, empty or out of order."""
    return Rules({number: _rule(number, node) for number, node in parse(file, text).keys.items()})


def _rule(number: str, node: Node) -> Rule:
    if not _NUMBER.fullmatch(number):
        raise node.error(f"{number} is not the number of a rule", "Write it like VAL-07 or EST-01")
    outcome, owner = node.take("outcome"), node.take("owner")
    for said, known in ((outcome, _OUTCOMES), (owner, _OWNERS)):
        if said.text not in known:
            raise said.error(f"{said.text!r} is not known here", f"Known are: {', '.join(known)}")
    title, next_step = _words(node.take("title")), _words(node.take("next"))
    limits = node.take_if("limits")
    node.done()
    return Rule(
        number,
        cast(Outcome, outcome.text),
        cast(Owner, owner.text),
        title,
        next_step,
        _limits(limits) if limits else (),
    )


def _words(node: Node) -> Mapping[Language, str]:
    words: dict[Language, str] = {"en": node.take("en").text, "hi": node.take("hi").text}
    node.done()
    if empty := [language for language, text in words.items() if not text.strip()]:
        raise node.error(f"there are no words in {', '.join(empty)}", "Write the sentence in English and in Hindi")
    return words


def _limits(node: Node) -> tuple[Limit, ...]:
    """Of any kind first, then of one; by date. Every limit has a first value of any kind, so none can be missing."""
    found: list[Limit] = []
    for item in node.items:
        limit = _limit(item)
        if any((limit.from_date, limit.kind) == (each.from_date, each.kind) for each in found):
            raise item.error("limits of this day and kind of meter stand twice", "Put them into one line")
        found.append(limit)
    found.sort(key=lambda each: (each.kind is not None, each.from_date))
    if not found or found[0].kind is not None:
        raise node.error("there is no line for meters of any kind", "Begin with a line that has kind: any")
    if more := {name for each in found for name in each.values} - set(found[0].values):
        raise node.error(f"{', '.join(sorted(more))} is not in the first line", "Give its first value for any kind")
    return tuple(found)


def _limit(item: Node) -> Limit:
    day, kind = item.take("from"), item.take("kind")
    if kind.text not in ("any", *KINDS[1:]):
        raise kind.error(f"there is no kind of meter {kind.text!r}", f"Kinds are: any, {', '.join(KINDS[1:])}")
    names = [name for name in item.keys if name not in ("from", "kind")]
    if not names:
        raise item.error("this line has no limit", "Write it as name: whole number")
    values = {}
    for name in names:
        value = item.take(name)
        if not _WHOLE.fullmatch(value.text):
            raise value.error(f"{value.text!r} is not a whole number", "Write digits only; the name says the unit")
        values[name] = int(value.text)
    try:
        date = dt.date.fromisoformat(day.text) if _DATE.fullmatch(day.text) else None
    except ValueError:
        date = None
    if date is None:
        raise day.error(f"{day.text!r} is not a day", "Write it like 2026-04-01")
    return Limit(date, None if kind.text == "any" else KINDS.index(kind.text), values)
