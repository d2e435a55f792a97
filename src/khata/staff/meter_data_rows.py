"""Rows of meter data in quarantine that are still somebody's to settle, and what the checks noted of stored days."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khata.metering.kept import (
    SeenFinding,
    SeenRow,
    seen_made,
    seen_noted_counts,
    seen_noted_rows,
    seen_open_counts,
    seen_open_rows,
)
from khata.metering.rules import Language, read_rules
from khata.staff.desk import number_typed, show, tidy
from khata.staff.meter_data import PERIODS

PER_PAGE, MOST_PAGES = 50, 1_000
OWNERS = ("sender", "division", "metering")
SHOWN_CONTENT = 120  # characters of a row as it came
# What a channel counts, where it is not the units of every bill: signs that both languages write alike.
CHANNELS = ("", "kWh export", "kVAh", "kVAh export", "kvarh lag", "kvarh lead")


@dataclass(frozen=True)
class RuleCount:
    """A rule in the language of the page, and how often it stands here."""

    number: str
    title: str
    next_step: str
    owner: str  # in words
    count: int
    age: int  # of the oldest, in days


@dataclass(frozen=True)
class RowLine:
    """A row in quarantine; `reason` where it says more than the rule, `content` as it came, cut."""

    row: SeenRow
    title: str
    owner: str
    channel: str
    serial: str
    reason: str
    content: str
    age: int


@dataclass(frozen=True)
class NotedLine:
    row: SeenFinding
    title: str
    channel: str
    evidence: str


@require_GET
def quarantine(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    counts = seen_open_counts()
    rule, owner = request.GET.get("rule", ""), request.GET.get("owner", "")
    rule = rule if rule in {each.rule for each in counts} else ""
    owner = owner if owner in OWNERS else ""
    number, first = _page_of(request)
    rows = seen_open_rows(rule=rule, owner=owner, limit=PER_PAGE + 1, skip=first)
    rules = [
        _rule(each.rule, each.owner, each.count, (asked.today - each.oldest).days, asked.language) for each in counts
    ]
    page = {
        "rules": rules,
        "chosen": next((each for each in rules if each.number == rule), None),
        "rule": rule,
        "owner": owner,
        "owners": [(each, owner_words(each)) for each in OWNERS],
        "lines": [_row(each, asked.today, asked.language) for each in rows[:PER_PAGE]],
        "many": sum(each.count for each in counts if rule in ("", each.rule) and owner in ("", each.owner)),
        "made": seen_made(),
        **_pages(f"?rule={rule}&owner={owner}", number, first, len(rows)),
    }
    return show(request, "staff/quarantine.html", page, at="meter-data")


@require_GET
def noted(request: HttpRequest) -> HttpResponse:
    asked: Any = request
    days = number_typed(request.GET.get("days", ""))
    days = days if days in PERIODS else PERIODS[0]
    period = {"from_day": asked.today - dt.timedelta(days=days), "until": asked.today}
    counts = seen_noted_counts(**period)
    rule = request.GET.get("rule", "")
    rule = rule if rule in counts else ""
    number, first = _page_of(request)
    rows = seen_noted_rows(**period, rule=rule, limit=PER_PAGE + 1, skip=first)
    rules = [_rule(each, "", count, 0, asked.language) for each, count in counts.items()]
    page = {
        "rules": rules,
        "chosen": next((each for each in rules if each.number == rule), None),
        "rule": rule,
        "days": days,
        "periods": PERIODS,
        "lines": [_finding(each, asked.language) for each in rows[:PER_PAGE]],
        "many": sum(count for each, count in counts.items() if rule in ("", each)),
        "made": seen_made(),
        **_pages(f"?days={days}&rule={rule}", number, first, len(rows)),
    }
    return show(request, "staff/noted.html", page, at="meter-data")


def owner_words(owner: str) -> str:
    """Who has to act."""
    words = {"sender": _("Meter data company"), "division": _("Division"), "metering": _("Metering cell")}
    return words[owner]


def _rule(number: str, owner: str, count: int, age: int, language: Language) -> RuleCount:
    rules = read_rules()
    said = owner or rules.owner(number)
    return RuleCount(
        number, rules.title(number, language), rules.next_step(number, language), owner_words(said), count, age
    )


def _row(row: SeenRow, today: dt.date, language: Language) -> RowLine:
    rules = read_rules()
    reason, content = tidy(row.reason), tidy(row.content)
    if reason == rules.title(row.rule, "en"):
        reason = ""
    cut = content if len(content) <= SHOWN_CONTENT else f"{content[:SHOWN_CONTENT]}…"
    title, age = rules.title(row.rule, language), (today - row.since).days
    return RowLine(row, title, owner_words(row.owner), _channel(row.channel), tidy(row.serial), reason, cut, age)


def _finding(row: SeenFinding, language: Language) -> NotedLine:
    evidence = ", ".join(f"{name} {value}" for name, value in sorted(row.evidence.items()))
    return NotedLine(row, read_rules().title(row.rule, language), _channel(row.channel), evidence)


def _channel(channel: int | None) -> str:
    return CHANNELS[channel] if channel and channel < len(CHANNELS) else ""  # 7: a register that was read


def _page_of(request: HttpRequest) -> tuple[int, int]:
    """The number of the page, and how many rows stand before it."""
    number = min(max(number_typed(request.GET.get("page", "1")), 1), MOST_PAGES)
    return number, (number - 1) * PER_PAGE


def _pages(query: str, number: int, first: int, found: int) -> dict[str, object]:
    return {
        "first": first + 1,
        "last": first + min(found, PER_PAGE),
        "previous": f"{query}&page={number - 1}" if number > 1 else "",
        "next": f"{query}&page={number + 1}" if found > PER_PAGE and number < MOST_PAGES else "",
    }
