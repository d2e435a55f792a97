"""The file of rules: complete, in words for both languages, and strict; which limit counts on which day."""

import datetime as dt

import pytest

from khata.kernel.yaml_text import OrderError
from khata.metering.rules import parse_rules, read_rules

RULE = """
VAL-16:
  outcome: noted
  owner: division
  title: {en: "Too much.", hi: "ज़्यादा।"}
  next: {en: "Look.", hi: "देखें।"}
  limits:
  - {from: 2000-01-01, kind: any, percent: 200, watts: 5}
  - {from: 2026-04-01, kind: any, percent: 150}
  - {from: 2026-06-01, kind: three phase, percent: 300}
"""


def test_every_rule_has_its_outcome_owner_and_words() -> None:
    rules = read_rules()
    assert list(rules.by_number) == [f"VAL-{n:02d}" for n in range(1, 25)] + [f"EST-{n:02d}" for n in range(1, 4)]
    quarantined = {number for number in rules.by_number if rules.outcome(number) == "quarantined"}
    assert quarantined == {f"VAL-{n:02d}" for n in range(1, 14)}
    assert {number for number in rules.by_number if rules.outcome(number) == "estimated"} == {
        "EST-01",
        "EST-02",
        "EST-03",
    }
    for number in rules.by_number:
        for text in (rules.title(number, "hi"), rules.next_step(number, "hi")):
            assert any("ऀ" <= letter <= "ॿ" for letter in text), text


@pytest.mark.parametrize(
    ("day", "kind", "percent"),
    [
        ("2026-03-31", "", 200),
        ("2026-04-01", "", 150),
        ("2026-05-31", "three phase", 150),
        ("2026-06-01", "three phase", 300),
        ("2026-06-01", "single phase", 150),
    ],
)
def test_a_limit_is_that_of_its_day_and_kind_of_meter(day: str, kind: str, percent: int) -> None:
    rules = parse_rules(file="x", text=RULE)
    assert rules.limit("VAL-16", "percent", dt.date.fromisoformat(day), kind) == percent
    assert rules.limit("VAL-16", "watts", dt.date.fromisoformat(day), kind) == 5


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("VAL-16:", "VAL-6:", "not the number of a rule"),
        ("noted", "ignored", "'ignored' is not known here"),
        ("division", "nobody", "'nobody' is not known here"),
        ("  owner: division\n", "", "'owner' is missing"),
        (', hi: "देखें।"', "", "'hi' is missing"),
        ('hi: "देखें।"', 'hi: " "', "no words in hi"),
        ("percent: 300", "percent: 2.5", "'2.5' is not a whole number"),
        ("percent: 300", "percent: -1", "'-1' is not a whole number"),
        ("percent: 300", "precent: 300", "precent is not in the first line"),
        ("three phase", "two phase", "no kind of meter 'two phase'"),
        ("2026-06-01", "2026-06-31", "'2026-06-31' is not a day"),
        ("2026-06-01", "1 June 2026", "'1 June 2026' is not a day"),
        ("2026-04-01, kind: any", "2000-01-01, kind: any", "stand twice"),
        ("2000-01-01, kind: any", "2000-01-01, kind: transformer", "watts is not in the first line"),
        ("  next:", "  nxt: x\n  next:", "'nxt' is not known here"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_its_line(was: str, becomes: str, said: str) -> None:
    assert was in RULE
    with pytest.raises(OrderError, match=r"rules\.yaml, line [0-9]+") as refused:
        parse_rules(file="rules.yaml", text=RULE.replace(was, becomes, 1))
    assert said in str(refused.value)


def test_limits_begin_with_those_of_any_kind() -> None:
    only_one_kind = RULE.replace("kind: any", "kind: transformer")
    with pytest.raises(OrderError, match="no line for meters of any kind"):
        parse_rules(file="x", text=only_one_kind)
