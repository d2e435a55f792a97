"""Proposals and verdicts: nothing of a hand-over is corrected or signed off by one person alone."""

import datetime as dt
import re

from django.db import connection, transaction

from khata.audit.operations import record
from khata.formats.handover import columns_of, read_line
from khata.formats.text import FormatError
from khata.migration.models import File, Proposal, SourceRow, Verdict, Wave
from khata.migration.queries import newest_files, state
from khata.migration.staging import facts_from_data

_ROW = re.compile(r"row:([0-9]+):([0-9]+)")
_SIGNED = re.compile(r"equation:[0-9]+:[a-z_]+:-?[0-9]+|parallel:[0-9]+:[a-z]+:[0-9]+|parallel:none|row:[0-9]+:[0-9]+")


class ProposalError(ValueError):
    """What was proposed or decided cannot be; a sentence that says why, and the next step."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(f"{what}. {next_step}.")
        self.what, self.next_step = what, next_step


@transaction.atomic
def propose(
    *,
    wave: Wave,
    division: int | None,
    kind: str,
    about: str,
    column: str,
    value: str,
    reason: str,
    maker: int,
    now: dt.datetime,
) -> Proposal:
    """One person's half of a correction (`row:<file>:<line>`, a column of the file, the text that shall stand there) or
    of an acceptance. Raises ProposalError.
    """
    if not reason.strip():
        raise ProposalError("The reason is empty", "Say in a few words why")
    if kind == "correct":
        if state(wave) == "live":
            raise ProposalError(
                f"Wave {wave.code} is live, its rows stand in the books", "Correct the account itself, or roll back"
            )
        division = _check_correction(wave, about, column, value)
    elif kind != "accept":
        raise ProposalError(f"There is no proposal of the kind {kind!r}", "Kinds are: correct, accept")
    elif column or value:
        raise ProposalError("An acceptance changes no column", "Leave column and value away, or propose a correction")
    elif not _SIGNED.fullmatch(about):
        raise ProposalError(
            f"{about!r} is nothing that can be accepted", "Copy it from reconcile, parallel or exceptions"
        )
    if Proposal.objects.filter(wave=wave, kind=kind, about=about, column=column, value=value, verdict=None).exists():
        raise ProposalError("The same was proposed already and waits", "Let another person decide it")
    made = Proposal.objects.create(
        wave=wave,
        division_id=division,
        kind=kind,
        about=about,
        column=column,
        value=value,
        reason=reason.strip(),
        maker_id=maker,
        made_at=now,
    )
    _record("migration.propose", f"staff:{maker}", made, reason=reason.strip())
    return made


@transaction.atomic
def decide(*, proposal: int, approved: bool, reason: str, checker: int, now: dt.datetime) -> Verdict:
    """The second person's word. A correction is applied by the next load. Raises ProposalError."""
    found = Proposal.objects.select_related("wave").filter(id=proposal).first()
    if found is None:
        raise ProposalError(f"There is no proposal {proposal}", "See khata migration exceptions --json")
    if found.maker_id == checker:
        raise ProposalError("Who proposed it cannot decide it", "Ask another person")
    if not approved and not reason.strip():
        raise ProposalError("A refusal without a reason helps nobody", "Say why it is refused")
    if Verdict.objects.filter(proposal=found).exists():
        raise ProposalError(f"Proposal {proposal} is decided already", "Propose anew if it shall be otherwise")
    if approved and found.kind == "correct" and state(found.wave) == "live":
        raise ProposalError(f"Wave {found.wave.code} is live by now", "Refuse it, and correct the account itself")
    verdict = Verdict.objects.create(
        proposal=found, approved=approved, reason=reason.strip(), checker_id=checker, made_at=now
    )
    _record("migration.approve" if approved else "migration.refuse", f"staff:{checker}", found, reason=reason.strip())
    return verdict


def hold_wave(*, discom: int, code: str) -> None:
    """Until our transaction ends whoever else loads or moves this wave waits."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"migration {discom} {code}"])


def _check_correction(wave: Wave, about: str, column: str, value: str) -> int:
    """The division of the row that a correction names; it must be of a file that still counts."""
    named = _ROW.fullmatch(about)
    file = File.objects.filter(wave=wave, id=int(named[1])).first() if named else None
    source = SourceRow.objects.filter(file_id=file.id, line=int(named[2])).first() if file and named else None
    if file is None or source is None:
        raise ProposalError(
            f"{about!r} is no row of wave {wave.code}", "Name the file and line as exceptions lists them"
        )
    if file.division_id is None:
        raise ProposalError(
            "Control totals are signed by the company's accounts officer",
            "Ask for a new file, or accept the difference",
        )
    if file.id not in {newest.id for newest in newest_files(wave)}:
        raise ProposalError(f"{file.name} was handed over again since", "Name the row of the newest version")
    if column not in columns_of(file.kind):
        known = ", ".join(columns_of(file.kind))
        raise ProposalError(f"{file.kind} files have no column {column!r}", f"Columns are: {known}")
    try:
        row = read_line(bytes(source.raw), facts_from_data(file.facts), file.kind, {column: value})
    except FormatError as error:
        raise ProposalError(f"The value cannot stand there: {error.what}", error.next_step or "Write another") from None
    if any(each.startswith(f"{column} ") for each in row.said.get("MIG-23", "").split(", ")):
        raise ProposalError(f"The value cannot be read as {column}", "Write it as other rows do")
    if {"MIG-21", "MIG-22"} & set(row.rules):
        raise ProposalError("The row is cut off or out of joint as a whole", "Ask the company for a corrected file")
    return file.division_id


def _record(action: str, actor: str, proposal: Proposal, *, reason: str) -> None:
    # The value itself may be a name or a mobile: it stands in the proposal, not in the trail.
    details = {"kind": proposal.kind, "about": proposal.about, "column": proposal.column}
    record(actor=actor, action=action, object=f"migration:proposal:{proposal.id}", reason=reason, details=details)
