"""Takes the files of an old billing system in: stages them unchanged, applies corrections and rules, all or nothing."""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.db import connection, transaction
from django.db.models import Count

from khata.audit.operations import record
from khata.discoms.models import Discom, Office
from khata.discoms.queries import UnknownOfficeError, division_spelled
from khata.formats.handover import Facts, StagedLine, open_handover, read_line, read_rows
from khata.formats.text import FormatError, shown
from khata.migration.judging import judge
from khata.migration.models import Account, Act, File, Finding, Proposal, SourceRow, StagedRow, Wave
from khata.migration.operations import hold_wave
from khata.migration.profiling import CONTROL, OF_A_DIVISION, Named, Profile, handed_over, profile, reading
from khata.migration.queries import corrections_waiting, newest_files, row_counts, state
from khata.migration.staging import Say, copy_staged, facts_as_data, facts_from_data, stage, unstage

__all__ = ["FileLoaded", "Loaded", "Profile", "apply_decided", "load", "profile", "reload"]

MOST_DIVISIONS = 1_000
_BROKEN = {"MIG-21", "MIG-22", "MIG-23", "MIG-24"}  # a total that cannot be read proves nothing


@dataclass(frozen=True)
class FileLoaded:
    """A file of the hand-over. Unless it is `same` as before: how many of its accounts' rows are changed, new, gone."""

    name: str
    kind: str
    division: str
    version: int
    rows: int
    same: bool
    changed: int
    new: int
    gone: int


@dataclass(frozen=True)
class Loaded:
    """What a load did. `act` is None where nothing was changed."""

    wave: Wave
    files: tuple[FileLoaded, ...]
    corrected: int
    act: Act | None
    accounts: Mapping[str, int]  # by outcome
    rows: Mapping[str, int]
    findings: Mapping[str, int]  # rows by rule


def load(
    *,
    directory: Path,
    discom: Discom,
    wave: str,
    numbers: str,
    today: dt.date,
    now: dt.datetime,
    actor: str,
    say: Say,
) -> Loaded:
    """Stage what is new in the directory, apply approved corrections and all rules. One transaction.

    A file that came before, byte by byte, is left alone; another one replaces the rows of its own kind and division. A
    directory may hold only the files that are corrected. Raises FormatError with file and line; then nothing is stored.
    """
    named = handed_over(directory)
    with transaction.atomic():
        hold_wave(discom=discom.id, code=wave)
        made, _ = Wave.objects.get_or_create(discom=discom, code=wave, defaults={"numbers": numbers, "made_at": now})
        _refuse(made, numbers)
        before = {(file.kind, file.division_id): file for file in newest_files(made)}
        known = _divisions(made, named, before)
        _refuse_gaps(named, known, before)
        loaded = [_take(made, each, known, before, say) for each in named]
        return _finish(made, loaded, today, now, actor, say)


def reload(*, wave: Wave, today: dt.date, now: dt.datetime, actor: str, say: Say) -> Loaded:
    """Apply approved corrections and all rules to what is staged. Raises FormatError for a live wave."""
    with transaction.atomic():
        hold_wave(discom=wave.discom_id, code=wave.code)
        _refuse(wave, wave.numbers)
        return _finish(wave, [], today, now, actor, say)


def apply_decided(*, wave: Wave, today: dt.date, actor: str) -> int:
    """The same, for who only wants to know how many rows were corrected."""
    now = dt.datetime.combine(today, dt.time(), dt.UTC)
    return reload(wave=wave, today=today, now=now, actor=actor, say=lambda *_: None).corrected


def _refuse(wave: Wave, numbers: str) -> None:
    name = f"wave {wave.code}"
    if state(wave) == "live":
        raise FormatError(f"{name} is live", next_step="Load further accounts as another wave, or roll this one back")
    if wave.numbers != numbers:
        wrong = f"{name} was begun with numbers {wave.numbers}, not {numbers}"
        raise FormatError(wrong, next_step=f"Give --numbers {wave.numbers}, or name another wave")


def _finish(wave: Wave, files: list[FileLoaded], today: dt.date, now: dt.datetime, actor: str, say: Say) -> Loaded:
    say("corrections", 0, 1)
    waited = wave in corrections_waiting()  # the act says that they wait no more, also where they changed nothing
    corrected = _correct(wave)
    say("corrections", 1, 1)
    say("rules", 0, 1)
    otherwise = judge(wave, today=today)
    say("rules", 1, 1)
    act = None
    if waited or corrected or otherwise or not all(file.same for file in files):
        act = _write_act(wave, today, now, actor, files, corrected)
    findings = dict(Finding.objects.filter(wave=wave).values_list("rule").annotate(Count("id")).order_by("rule"))
    return Loaded(wave, tuple(files), corrected, act, _accounts(wave), row_counts(wave), findings)


def _accounts(wave: Wave) -> dict[str, int]:
    rows = Account.objects.filter(wave=wave).values_list("outcome").annotate(Count("id"))
    return dict(rows.order_by("outcome"))


def _write_act(
    wave: Wave, today: dt.date, now: dt.datetime, actor: str, files: Sequence[FileLoaded], corrected: int
) -> Act:
    details = {
        "accounts": _accounts(wave),
        "rows": row_counts(wave),
        "files": sum(not file.same for file in files),
        "corrected": corrected,
    }
    number = Act.objects.filter(wave=wave, kind="load").count() + 1
    made = Act.objects.create(
        wave=wave, kind="load", number=number, business_date=today, made_at=now, actor=actor, details=details
    )
    record(actor=actor, action="migration.load", object=f"migration:wave:{wave.id}", details=details)
    return made


# -- which files, of which divisions -----------------------------------------------------------------------------------


def _divisions(wave: Wave, named: Sequence[Named], before: Mapping[tuple[str, int | None], File]) -> dict[str, Office]:
    """The divisions of the control totals by code: of the file that is there, else of the one that came before."""
    control = next((each for each in named if each.kind == "control"), None)
    if control is None:
        earlier = before.get(("control", None))
        if earlier is None:
            raise FormatError(
                "there are no control totals", where=CONTROL, next_step="Ask the company for them, signed"
            )
        rows = StagedRow.objects.filter(file_id=earlier.id).values_list("division_code", "division_id")
        offices = Office.objects.in_bulk([division for _, division in rows])
        return {str(code).upper(): offices[division] for code, division in rows}
    with reading(control) as stream:
        facts = open_handover(stream, kind="control", size=control.path.stat().st_size)
        if facts.rows > MOST_DIVISIONS:
            raise FormatError(f"{facts.rows} divisions are too many", next_step="Check that these are control totals")
        return _named_divisions(wave.discom, read_rows(stream, facts, "control"))


def _named_divisions(discom: Discom, rows: Iterator[StagedLine]) -> dict[str, Office]:
    known: dict[str, Office] = {}
    for row in rows:
        code, name = (str(row.values[column] or "") for column in ("division_code", "division_name"))
        if _BROKEN & set(row.rules) or not code or not name:
            wrong = "the row of a control total cannot be read"
            raise FormatError(wrong, line=row.line, next_step="Ask the company for a corrected file")
        try:
            office = division_spelled(discom, name)
        except UnknownOfficeError as unknown:
            next_step = "Correct the name, or add its spelling to also: in companies.yaml"
            raise FormatError(str(unknown), line=row.line, column="DIV_NAME", next_step=next_step) from None
        if code.upper() in known or office in known.values():
            wrong = f"the division {shown(code)} stands twice"
            raise FormatError(wrong, line=row.line, column="DIV_CODE", next_step="Leave one row a division")
        known[code.upper()] = office
    return known


def _refuse_gaps(
    named: Sequence[Named], known: Mapping[str, Office], before: Mapping[tuple[str, int | None], File]
) -> None:
    """Each division of the control totals has its four files, here or from before, and no other division any."""
    for each in named:
        if each.code and each.code not in known:
            wrong = f"the control totals have no division {each.code}; theirs are: {', '.join(known)}"
            raise FormatError(wrong, where=each.path.name, next_step="Add its row, or take the file away")
    if gone := {division for _, division in before if division} - {office.id for office in known.values()}:
        names = ", ".join(Office.objects.filter(id__in=gone).order_by("id").values_list("name_en", flat=True))
        wrong = f"{names} was handed over before, and the control totals have it no more"
        raise FormatError(wrong, where=CONTROL, next_step="Hand its row over too, or begin another wave")
    here = {(each.kind, each.code) for each in named}
    for code, office in known.items():
        missing = [kind for kind in OF_A_DIVISION if (kind, code) not in here and (kind, office.id) not in before]
        if missing:
            files = ", ".join(f"{kind}_{code}.csv" for kind in missing)
            raise FormatError(f"{files} of {office.name_en} is missing", next_step="Ask the company for it")
    if len(here) < len(named):
        raise FormatError("two files have the same name but for capitals", next_step="Take one of them away")


# -- one file ----------------------------------------------------------------------------------------------------------


def _take(
    wave: Wave, each: Named, known: Mapping[str, Office], before: Mapping[tuple[str, int | None], File], say: Say
) -> FileLoaded:
    office = known[each.code] if each.code else None
    earlier = before.get((each.kind, office.id if office else None))
    with reading(each) as stream:
        size = each.path.stat().st_size
        if earlier is not None and _is_same(stream, earlier, size):
            return _told(earlier, office, same=True)
        facts = open_handover(stream, kind=each.kind, size=size)
        file = File.objects.create(
            wave=wave,
            division=office,
            kind=each.kind,
            version=earlier.version + 1 if earlier else 1,
            name=each.path.name,
            sha256=facts.sha256,
            bytes=size,
            rows=facts.rows,
            facts=facts_as_data(facts),
        )
        stage(file=file, stream=stream, facts=facts, division_of=_division_of(office, known), say=say)
    if earlier is None:
        return _told(file, office, new=file.rows)
    changed, new, gone = _compared(earlier, file)
    unstage(earlier)
    return _told(file, office, changed=changed, new=new, gone=gone)


def _division_of(office: Office | None, known: Mapping[str, Office]) -> Callable[[StagedLine], int]:
    """Of a division's file its division; of control totals each row's own."""
    if office is not None:
        return lambda _: office.id
    return lambda row: known[str(row.values["division_code"]).upper()].id


def _is_same(stream: BinaryIO, earlier: File, size: int) -> bool:
    if size != earlier.bytes:
        return False
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # typing's BinaryIO
    stream.seek(0)
    return sha256 == earlier.sha256


def _told(
    file: File, office: Office | None, *, same: bool = False, changed: int = 0, new: int = 0, gone: int = 0
) -> FileLoaded:
    division = office.name_en if office else ""
    return FileLoaded(file.name, file.kind, division, file.version, file.rows, same, changed, new, gone)


_COMPARED = """
    with o as (select coalesce(division_code, '') c, account, digest from migration_stagedrow where file_id = %s),
        n as (select coalesce(division_code, '') c, account, digest from migration_stagedrow where file_id = %s),
        no_more as (select distinct c, account from (select * from o except all select * from n) as x),
        not_yet as (select distinct c, account from (select * from n except all select * from o) as y)
    select count(*) filter (where no_more.account is not null and not_yet.account is not null),
        count(*) filter (where no_more.account is null), count(*) filter (where not_yet.account is null)
    from no_more full join not_yet on not_yet.c = no_more.c and not_yet.account = no_more.account"""


def _compared(earlier: File, later: File) -> tuple[int, int, int]:
    """Accounts (of control totals: divisions) whose rows are changed, new or gone between two versions."""
    with connection.cursor() as cursor:
        cursor.execute(_COMPARED, [earlier.id, later.id])
        changed, new, gone = cursor.fetchone()
    return int(changed), int(new), int(gone)


# -- corrections -------------------------------------------------------------------------------------------------------


def _correct(wave: Wave) -> int:
    """Make the rows anew that approved corrections name; how many became others by it."""
    files = {file.id: file for file in newest_files(wave)}
    changed = 0
    for (file, line), columns in sorted(_wanted(wave, files).items()):
        of = files[file]
        raw = bytes(SourceRow.objects.get(file_id=file, line=line).raw)
        facts: Facts = facts_from_data(of.facts)
        changed += _put(of, read_line(raw, facts, of.kind, columns, line=line))
    return changed


def _wanted(wave: Wave, files: Mapping[int, File]) -> dict[tuple[int, int], dict[str, str]]:
    """Of each row of a file that counts, the columns to be corrected; what was approved last wins.

    A correction of an earlier version holds on if the same bytes stand in the newer one: a corrected file replaces what
    it corrects, and nothing else.
    """
    approved = Proposal.objects.filter(wave=wave, kind="correct", verdict__approved=True)
    wanted: dict[tuple[int, int], dict[str, str]] = {}
    for each in approved.order_by("verdict__made_at", "id"):
        _, file, line = each.about.split(":")
        place = (int(file), int(line))
        here = place if place[0] in files else _again(files, *place)
        if here is not None:
            wanted.setdefault(here, {})[each.column] = each.value
    return wanted


def _again(files: Mapping[int, File], file: int, line: int) -> tuple[int, int] | None:
    """Where a row of an earlier version stands in the newest; None if it is there no more."""
    earlier = File.objects.get(id=file)
    newest = next((f for f in files.values() if (f.kind, f.division_id) == (earlier.kind, earlier.division_id)), None)
    if newest is None:
        return None
    raw = SourceRow.objects.filter(file_id=file, line=line).values("raw")[:1]
    found = SourceRow.objects.filter(file_id=newest.id, raw=raw).order_by("line").values_list("line", flat=True).first()
    return None if found is None else (newest.id, found)


def _put(file: File, row: StagedLine) -> int:
    """One staged row in the place of what stands there; 1 if that was another one."""
    assert file.division_id is not None, "control totals are not corrected"
    here = StagedRow.objects.filter(file_id=file.id, line=row.line)
    before: dict[str, object] = dict(here.values().get())
    here.delete()
    copy_staged(file, [row], [file.division_id])
    here.update(outcome=before["outcome"])
    return int(dict(here.values().get()) != before)
