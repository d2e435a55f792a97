"""Waves and their state, what was found in their files, what people proposed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from django.db.models import Count, F, OuterRef, Q, Subquery, Sum

from khata.discoms.models import Discom, Office
from khata.migration.models import Account, Act, File, Finding, Proposal, StagedRow, Wave

State: TypeAlias = Literal["empty", "staged", "live", "rolled back"]
OUTCOMES = ("migrated", "repaired", "held")


class UnknownWaveError(LookupError):
    """The company has no wave of this name; the message lists those it has."""


def wave_named(discom: Discom, code: str) -> Wave:
    found = Wave.objects.select_related("discom").filter(discom=discom, code=code).first()
    if found is None:
        known = ", ".join(Wave.objects.filter(discom=discom).order_by("id").values_list("code", flat=True))
        raise UnknownWaveError(f"{discom.code} has no wave {code!r}; its waves are: {known or 'none yet'}")
    return found


def waves(discom: Discom) -> list[Wave]:
    return list(Wave.objects.select_related("discom").filter(discom=discom).order_by("id"))


def acts(wave: Wave) -> list[Act]:
    """What was done with a wave, in order."""
    return list(Act.objects.filter(wave=wave).order_by("id"))


def state(wave: Wave) -> State:
    """What the last act made of a wave. A load after a rollback leaves it rolled back: it has been live once."""
    return state_after(list(Act.objects.filter(wave=wave).order_by("id").values_list("kind", flat=True)))


def state_after(kinds: Sequence[str]) -> State:
    """The state of a wave from the kinds of its acts, in order."""
    moves = [kind for kind in kinds if kind != "load"]
    if moves:
        return "live" if moves[-1] == "cutover" else "rolled back"
    return "staged" if kinds else "empty"


def accepted(wave: Wave, about: str) -> bool:
    """Whether two people have signed for exactly this, figure included."""
    return Proposal.objects.filter(wave=wave, kind="accept", about=about, verdict__approved=True).exists()


def newest_files(wave: Wave) -> list[File]:
    """The version of each file that counts, by division and kind."""
    later = File.objects.filter(wave=wave, kind=OuterRef("kind")).filter(
        Q(division=OuterRef("division")) | Q(division=None, kind="control")
    )
    newest = Subquery(later.order_by("-version").values("id")[:1])
    return list(File.objects.filter(wave=wave, id=newest).order_by("division_id", "id"))


@dataclass(frozen=True)
class Counted:
    """Of a division: accounts and what they owe (principal and LPSC, paise), by outcome."""

    division: int
    division_en: str
    division_hi: str
    outcome: str
    accounts: int
    paise: int


def counts(wave: Wave) -> list[Counted]:
    """By division and outcome; outcomes without accounts are left out."""
    rows = (
        Account.objects.filter(wave=wave)
        .values("division_id", "outcome")
        .annotate(accounts=Count("id"), paise=Sum(F("principal_paise") + F("lpsc_paise")))
        .order_by("division_id")
    )
    names = _names(row["division_id"] for row in rows)
    ordered = sorted(rows, key=lambda row: (row["division_id"], OUTCOMES.index(row["outcome"])))
    return [
        Counted(row["division_id"], *names[row["division_id"]], row["outcome"], row["accounts"], row["paise"])
        for row in ordered
    ]


@dataclass(frozen=True)
class Ruled:
    """How often a rule found something in the rows of a division. Of the whole company: division 0."""

    division: int
    division_en: str
    division_hi: str
    rule: str
    outcome: str
    rows: int


def found_by_rule(wave: Wave) -> list[Ruled]:
    rows = (
        Finding.objects.filter(wave=wave)
        .values("division_id", "rule", "outcome")
        .annotate(rows=Count("id"))
        .order_by("division_id", "rule", "outcome")
    )
    names = _names(row["division_id"] for row in rows)
    return [
        Ruled(row["division_id"] or 0, *names[row["division_id"]], row["rule"], row["outcome"], row["rows"])
        for row in rows
    ]


def row_counts(wave: Wave) -> dict[str, int]:
    """Rows of the newest files by outcome; control totals are not among them."""
    rows = StagedRow.objects.filter(wave=wave).exclude(kind="control").values_list("outcome").annotate(Count("line"))
    return dict(rows.order_by("outcome"))


@dataclass(frozen=True)
class ExceptionRow:
    """A row that holds its account back. `about` is how a proposal names it."""

    id: int
    about: str
    rule: str
    division: int
    division_en: str
    division_hi: str
    file: str
    kind: str
    file_id: int
    line: int
    account: str
    said: str
    amount_paise: int
    open_proposals: int


def exceptions(
    wave: Wave,
    division: int | None = None,
    rule: str | None = None,
    limit: int | None = None,
    after: int = 0,
    skip: int = 0,
) -> list[ExceptionRow]:
    """What holds accounts back, and control totals that do not agree; by id, those after `after` but for the first
    `skip`."""
    rows = Finding.objects.filter(wave=wave, id__gt=after).filter(Q(outcome="held") | Q(rule="MIG-19"))
    if division is not None:
        rows = rows.filter(division_id=division)
    if rule is not None:
        rows = rows.filter(rule=rule)
    end = None if limit is None else skip + limit
    found = list(rows.select_related("file", "division").order_by("id")[skip:end])
    abouts = [about_row(each.file_id, each.line) for each in found]
    waiting = dict(
        Proposal.objects.filter(wave=wave, about__in=abouts, verdict=None)
        .values_list("about")
        .annotate(Count("id"))
        .order_by("about")
    )
    return [
        ExceptionRow(
            id=each.id,
            about=about,
            rule=each.rule,
            division=each.division_id or 0,
            division_en=each.division.name_en if each.division else "",
            division_hi=each.division.name_hi if each.division else "",
            file=each.file.name,
            kind=each.file.kind,
            line=each.line,
            file_id=each.file_id,
            account=each.account,
            said=each.said,
            amount_paise=each.amount_paise,
            open_proposals=waiting.get(about, 0),
        )
        for each, about in zip(found, abouts, strict=True)
    ]


def open_exceptions(wave: Wave) -> int:
    return Finding.objects.filter(wave=wave).filter(Q(outcome="held") | Q(rule="MIG-19")).count()


def open_proposals(wave: Wave) -> list[Proposal]:
    """What waits for a second person, oldest first."""
    return list(Proposal.objects.select_related("maker", "division").filter(wave=wave, verdict=None).order_by("id"))


def corrections_waiting() -> list[Wave]:
    """Waves that are not live, of which corrections were approved since their last load."""
    last = Act.objects.filter(wave=OuterRef("wave"), kind="load").order_by("-id").values("made_at")[:1]
    approved = Proposal.objects.filter(kind="correct", verdict__approved=True, verdict__made_at__gt=Subquery(last))
    found = Wave.objects.select_related("discom").filter(id__in=approved.values("wave")).order_by("id")
    return [wave for wave in found if state(wave) != "live"]


def about_row(file: int, line: int) -> str:
    """How a proposal names a row."""
    return f"row:{file}:{line}"


def _names(divisions: Iterable[int | None]) -> dict[int | None, tuple[str, str]]:
    wanted = {each for each in divisions if each is not None}
    names: dict[int | None, tuple[str, str]] = {None: ("", "")}
    for office in Office.objects.filter(id__in=wanted):
        names[office.id] = office.name_en, office.name_hi
    return names
