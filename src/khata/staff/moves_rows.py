"""What the pages of a move show: waves, gates, equations, rows of files and proposals, in words and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from khata.billing.models import BillRun
from khata.discoms.models import Discom, Office
from khata.display.labels import Language
from khata.display.money import grouped, kwh, rupees
from khata.formats.csvfile import split_record
from khata.formats.handover import columns_of
from khata.formats.text import FormatError
from khata.migration.comparing import why_in_words
from khata.migration.models import Account, Act, File, Finding, ParallelRun, Proposal, SourceRow, Wave
from khata.migration.operations import ProposalError
from khata.migration.parallel import ClassLine, Sample, gate, samples
from khata.migration.queries import OUTCOMES, State, about_row, state_after
from khata.migration.reconciling import Line
from khata.migration.rules import Rule, rules

SHOWN_SAMPLES = 5
CLASSES = ("unknown", "data", "rule", "rounding", "equal")

_HEADS = {
    "accounts": gettext_lazy("Accounts"),
    "principal": gettext_lazy("Principal"),
    "lpsc": gettext_lazy("Late payment surcharge"),
    "deposit": gettext_lazy("Security deposit"),
    "prepaid": gettext_lazy("Prepaid balance"),
    "outstanding": gettext_lazy("Outstanding"),
    "billed_units": gettext_lazy("Units of the last bill"),
    "readings": gettext_lazy("Last readings"),
}
_APART = (
    gettext_lazy("The file is not what moves and what is held together."),
    gettext_lazy("The file is not what the company signed for."),
    gettext_lazy("What moves is not what stands in the books here."),
)
_CLASS_WORDS = {
    "equal": gettext_lazy("Equal"),
    "rounding": gettext_lazy("Rounding"),
    "rule": gettext_lazy("Another rule"),
    "data": gettext_lazy("Wrong figures in the old system"),
    "unknown": gettext_lazy("Nobody can explain it"),
}
# By the next step of the error, which holds nothing that was typed.
_REFUSED = {
    "Say in a few words why": gettext_lazy("Write the reason in a sentence."),
    "Correct the account itself, or roll back": gettext_lazy(
        "The wave is live: its rows stand in the books. Correct the account itself."
    ),
    "Let another person decide it": gettext_lazy("The same was proposed already. Another person must decide it."),
    "Ask another person": gettext_lazy("You proposed this yourself. Another person must decide it."),
    "Say why it is refused": gettext_lazy("Write why you refuse it."),
    "Propose anew if it shall be otherwise": gettext_lazy(
        "This was decided in the meantime. Look at what stands here."
    ),
    "Refuse it, and correct the account itself": gettext_lazy(
        "The wave has gone live meanwhile. Refuse this, and correct the account itself."
    ),
    "Name the row of the newest version": gettext_lazy(
        "This file was handed over again since. Look for the row in the newest one."
    ),
    "Ask the company for a corrected file": gettext_lazy(
        "The whole row is broken. Ask the company for a corrected file."
    ),
    "Ask for a new file, or accept the difference": gettext_lazy(
        "The company signs its control totals itself. Ask for a new file, or accept the difference."
    ),
}


def refused(error: ProposalError) -> str:
    return str(_REFUSED.get(error.next_step) or _("This cannot stand in this column. Write it as other rows do."))


# -- waves -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WaveRow:
    """A wave in the list; counts are those of the offices that the post sees."""

    wave: Wave
    state: State
    last: Act | None
    accounts: Mapping[str, int]
    exceptions: int
    waiting: int


def wave_rows(discom: Discom) -> list[WaveRow]:
    waves = list(Wave.objects.select_related("discom").filter(discom=discom).order_by("-id"))
    acts: dict[int, list[Act]] = {wave.id: [] for wave in waves}
    for act in Act.objects.filter(wave__in=waves).order_by("id"):
        acts[act.wave_id].append(act)
    by_outcome: dict[int, dict[str, int]] = {wave.id: dict.fromkeys(OUTCOMES, 0) for wave in waves}
    grown = Account.objects.filter(wave__in=waves).values_list("wave_id", "outcome").annotate(Count("id"))
    for number, outcome, many in grown.order_by("wave_id", "outcome"):
        by_outcome[number][outcome] = many
    held = Finding.objects.filter(Q(outcome="held") | Q(rule="MIG-19"), wave__in=waves)
    held_in = dict(held.values_list("wave_id").annotate(Count("id")).order_by("wave_id"))
    waiting = Proposal.objects.filter(wave__in=waves, verdict=None)
    waiting_in = dict(waiting.values_list("wave_id").annotate(Count("id")).order_by("wave_id"))
    return [
        WaveRow(
            wave,
            state_after([act.kind for act in acts[wave.id]]),
            acts[wave.id][-1] if acts[wave.id] else None,
            by_outcome[wave.id],
            held_in.get(wave.id, 0),
            waiting_in.get(wave.id, 0),
        )
        for wave in waves
    ]


# -- equations ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EquationRow:
    """One equation with its figures as text; `apart` says which two sides differ, `about` what may be accepted."""

    line: Line
    head: str
    file: str
    control: str
    migrated: str
    held: str
    ledger: str
    difference: str
    apart: str

    @property
    def about(self) -> str:
        return self.line.about


def equation_row(line: Line) -> EquationRow:
    apart = next((str(words) for words, each in zip(_APART, line.differences, strict=True) if each), "")
    return EquationRow(
        line=line,
        head=str(_HEADS[line.head]),
        file=_figure(line.head, line.file),
        control=_figure(line.head, line.control),
        migrated=_figure(line.head, line.migrated),
        held=_figure(line.head, line.held),
        ledger=_figure(line.head, line.ledger),
        difference=_figure(line.head, line.difference),
        apart=apart,
    )


def _figure(head: str, value: int | None) -> str:
    if value is None:
        return "—"
    if head == "accounts":
        return grouped(value)
    return kwh(value) if head in ("billed_units", "readings") else rupees(value)


@dataclass(frozen=True)
class DivisionRows:
    """The equations of a division; `red` and `accepted` of them differ."""

    number: int
    name_hi: str
    name_en: str
    rows: tuple[EquationRow, ...]
    red: int
    accepted: int


def by_division(rows: Sequence[EquationRow]) -> list[DivisionRows]:
    """Those with red lines first."""
    found: dict[int, list[EquationRow]] = {}
    for row in rows:
        found.setdefault(row.line.division, []).append(row)
    made = [
        DivisionRows(
            of[0].line.division,
            of[0].line.division_hi,
            of[0].line.division_en,
            tuple(of),
            sum(row.line.red for row in of),
            sum(row.line.accepted for row in of),
        )
        for of in found.values()
    ]
    return sorted(made, key=lambda division: (not division.red, not division.accepted))


# -- gates -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """What must hold before a cut-over; `next_step` where it does not. `about`: what two people may sign instead."""

    open: bool
    what: str
    next_step: str = ""
    about: str = ""


def gates(wave: Wave, red: int) -> list[Gate]:
    moving = Account.objects.filter(wave=wave).exclude(outcome="held").exists()
    billing = BillRun.objects.filter(discom=wave.discom, run__runclosed=None).exists()
    return [
        Gate(moving, _("Files are loaded and accounts can move"), _("Load the files of the company.")),
        Gate(red == 0, _("Every equation holds, or two people have signed"), _("See the red lines below.")),
        parallel_gate(wave),
        Gate(not billing, _("No bill run is half done"), _("Let the bill run end first.")),
    ]


def parallel_gate(wave: Wave) -> Gate:
    what = _("The last bills were worked again, and every difference is explained or signed")
    shut = gate(wave)
    if not shut:
        return Gate(True, what)
    next_step = {
        "unknown": _("See the parallel run: some differences nobody can explain."),
        "missed": _("Some accounts were last billed in months that were not worked again."),
    }.get(shut[0].split(":")[-2], _("There was no parallel run since the files were loaded."))
    return Gate(False, what, next_step, shut[0])


# -- parallel run ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassRow:
    """Accounts of a class over the divisions of the post, with those of each division and some samples."""

    result: str
    words: str
    accounts: int
    difference_paise: int
    lines: tuple["NamedLine", ...]
    samples: tuple[tuple[Sample, str], ...]


@dataclass(frozen=True)
class NamedLine:
    name: str
    of: ClassLine


def class_rows(run: ParallelRun, lines: Sequence[ClassLine], language: Language) -> list[ClassRow]:
    made = []
    offices = Office.objects.in_bulk({line.division for line in lines})
    names = {number: each.name_hi if language == "hi" else each.name_en for number, each in offices.items()}
    for result in CLASSES:
        of = tuple(NamedLine(names[line.division], line) for line in lines if line.result == result)
        if not of:
            continue
        shown = samples(run, result, limit=SHOWN_SAMPLES) if result != "equal" else []
        made.append(
            ClassRow(
                result,
                str(_CLASS_WORDS[result]),
                sum(line.of.accounts for line in of),
                sum(line.of.difference_paise for line in of),
                of,
                tuple((each, why_in_words(each.why, language)) for each in shown),
            )
        )
    return made


# -- exceptions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RuleRow:
    """A numbered rule in the language of the page, and how many rows it holds back."""

    number: str
    outcome: str
    detects: str
    does: str
    why: str
    rows: int = 0


def rule_row(number: str, language: Language, rows: int = 0) -> RuleRow:
    rule: Rule = rules()[number]
    detects, does, why = (each.hi if language == "hi" else each.en for each in (rule.detects, rule.does, rule.why))
    return RuleRow(number, rule.outcome, detects, does, why, rows)


@dataclass(frozen=True)
class Cell:
    """A column of a row: as it was handed over, and as approved corrections make it."""

    column: str
    text: str
    now: str


def cells_of(file: File, raw: bytes, approved: Mapping[str, str]) -> list[Cell]:
    """The columns that hold something; none where the row is out of joint as a whole."""
    encoding, header = str(file.facts["encoding"]), list(file.facts["header"])
    try:
        texts = split_record(line_text(raw, encoding))
    except FormatError:
        return []
    if len(texts) != len(header):
        return []
    return [
        Cell(column, text.strip(), approved.get(column, text.strip()))
        for column, text in zip(header, texts, strict=True)
        if text.strip() or column in approved
    ]


def line_text(raw: bytes, encoding: str) -> str:
    return raw.decode(encoding, errors="replace").rstrip("\r\n")


def columns_to_correct(file: File) -> list[str]:
    """Those that the file has, in its order. Of control totals none: they are signed."""
    known = set(columns_of(file.kind))
    return [] if file.kind == "control" else [each for each in file.facts["header"] if each in known]


def proposals_on(wave: Wave, about: str) -> list[Proposal]:
    """What was proposed on a row or a figure, the newest first, with its verdict if there is one."""
    rows = Proposal.objects.select_related("maker", "verdict__checker").filter(wave=wave, about=about)
    return list(rows.order_by("-id"))


def row_named(wave: Wave, file: int, line: int) -> tuple[File, SourceRow] | None:
    found = File.objects.select_related("division").filter(wave=wave, id=file).first()
    row = SourceRow.objects.filter(file_id=found.id, line=line).first() if found else None
    return (found, row) if found and row else None


def findings_of(file: File, line: int, language: Language) -> list[tuple[Finding, RuleRow]]:
    rows = Finding.objects.filter(file=file, line=line).order_by("rule")
    return [(each, rule_row(each.rule, language)) for each in rows]


def approved_of(wave: Wave, file: int, line: int) -> dict[str, str]:
    """The approved corrections of a row; the last one of a column counts."""
    rows = Proposal.objects.filter(wave=wave, kind="correct", about=about_row(file, line), verdict__approved=True)
    return dict(rows.order_by("verdict__made_at", "id").values_list("column", "value"))
