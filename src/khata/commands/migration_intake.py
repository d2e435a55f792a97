"""`khata migration profile | load | status | exceptions | rules`: an old system's files, taken in and worked on."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from khata.commands import clock
from khata.commands.errors import CommandError
from khata.commands.steps import Steps
from khata.discoms.models import Discom, Office, Staff
from khata.discoms.queries import UnknownOfficeError, discom_named, division_named, posts_of
from khata.display.labels import LANGUAGES
from khata.display.money import grouped, kwh, rupees
from khata.formats.csvfile import no_formula
from khata.migration.intake import Loaded, load, reload
from khata.migration.models import File, Proposal, Wave
from khata.migration.operations import ProposalError, decide, propose
from khata.migration.parallel import gate
from khata.migration.profiling import Profile, profile
from khata.migration.queries import (
    ExceptionRow,
    UnknownWaveError,
    about_row,
    acts,
    counts,
    exceptions,
    found_by_rule,
    newest_files,
    open_exceptions,
    open_proposals,
    row_counts,
    state,
    wave_named,
    waves,
)
from khata.migration.reconciling import reconcile
from khata.migration.rules import rules

ACTOR = "command"
VERBS = {
    "profile": "what is in the files of a directory; changes nothing",
    "load": "take files in, apply corrections and rules; without a directory only the latter two",
    "status": "the waves of a company: state, acts, accounts by outcome, findings by rule",
    "exceptions": "rows that hold accounts back; propose and decide corrections",
    "rules": "what is looked for in the files, what is then done, and why",
}
_SHOWN = 50


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="money in paise, energy in Wh")
    if verb in ("profile", "load"):
        nargs = None if verb == "profile" else "?"
        parser.add_argument("directory", metavar="DIR", type=Path, nargs=nargs, help="where the files lie")
    if verb == "rules":
        parser.add_argument("--lang", choices=LANGUAGES, default="hi")
    if verb in ("load", "exceptions"):
        parser.add_argument("--discom", required=True, help="the company's code")
        parser.add_argument("--wave", required=True)
    if verb == "status":
        parser.add_argument("--discom", help="only this company")
        parser.add_argument("--wave", help="only this wave")
    if verb == "load":
        parser.add_argument("--numbers", choices=("new", "kept"), help="of a new wave; new ones if left away")
    if verb == "exceptions":
        _add_exceptions(parser)


def _add_exceptions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rule", metavar="MIG-nn", choices=list(rules()))
    parser.add_argument("--division", help="by name or number")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write all of them into this file")
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--correct", nargs=3, metavar=("FILE:LINE", "COLUMN", "VALUE"), help="propose another value")
    act.add_argument("--accept", metavar="ABOUT", help="propose to sign for this, as reconcile or parallel names it")
    act.add_argument("--decide", metavar="ID", type=int, help="decide what another person proposed")
    verdict = parser.add_mutually_exclusive_group()
    verdict.add_argument("--approve", action="store_true")
    verdict.add_argument("--refuse", action="store_true")
    parser.add_argument("--reason", default="")
    parser.add_argument("--as", dest="login", metavar="LOGIN", help="the officer who proposes or decides")


def run(args: argparse.Namespace) -> int:
    verbs = {"profile": _profile, "load": _load, "status": _status, "exceptions": _exceptions, "rules": _rules}
    try:
        return verbs[args.verb](args)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), f"migration {args.verb}", "Choose one of them") from None
    except UnknownWaveError as unknown:
        raise CommandError(str(unknown), "--wave", "Choose one of them") from None
    except ProposalError as no:
        raise CommandError(no.what, f"migration {args.verb}", no.next_step) from None


def _say_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, ensure_ascii=False, default=str) + "\n")


# -- profile -----------------------------------------------------------------------------------------------------------


def _profile(args: argparse.Namespace) -> int:
    found = profile(args.directory, clock.business_date())
    if args.json:
        _say_json(asdict(found))
    else:
        sys.stdout.write("\n".join(_as_profile(found)) + "\n")
    return 1 if found.errors else 0


def _as_profile(found: Profile) -> Iterator[str]:
    yield f"{'file':<26}{'rows':>11}  encoding   line  dates, amounts"
    for file in found.files:
        if file.error:
            yield f"{file.name:<26}{'-':>11}  cannot be taken: {file.error}"
            continue
        styles = ", ".join((*file.date_styles, *file.amount_styles))
        yield f"{file.name:<26}{grouped(file.rows):>11}  {file.encoding:<9}  {file.newline:<5} {styles}"
        for rule, rows in file.rules.items():
            yield f"{'':<26}{grouped(rows):>11}  {rule}  {rules()[rule].detects.en}"
        if file.blank_lines_before_header:
            yield f"{'':<26}{grouped(file.blank_lines_before_header):>11}  MIG-02  {rules()['MIG-02'].detects.en}"
    for division in found.divisions:
        yield f"\n{division.code}: {grouped(division.accounts)} accounts"
        lines = {
            **{f"{kind} file is missing": 1 for kind in division.missing_files},
            **{f"accounts not in {kind}": count for kind, count in division.missing_from.items()},
            "rows that are copies": division.copies,
            "rows of a number that differ": division.same_number_twice,
            "rows that differ in zeros only": division.zeros_differ,
        }
        yield from (f"{grouped(count):>18}  {words}" for words, count in lines.items() if count)
        for name, apart in division.signed_less_rows.items():
            figure = (
                rupees(apart) if name.endswith("_paise") else kwh(apart) if name.endswith("_wh") else grouped(apart)
            )
            words = name.removesuffix("_paise").removesuffix("_wh")
            yield f"{figure:>18}  {words}: control total less the rows"
    meters, mobiles = grouped(found.shared_meters), grouped(found.shared_mobiles)
    yield f"\n{meters} meters on several accounts, {mobiles} mobiles on more than ten"


# -- load --------------------------------------------------------------------------------------------------------------


def _load(args: argparse.Namespace) -> int:
    discom, today, now = discom_named(args.discom), clock.business_date(), clock.now()
    steps = Steps()
    try:
        if args.directory is None:
            wave = wave_named(discom, args.wave)
            done = reload(wave=wave, today=today, now=now, actor=ACTOR, say=steps)
        else:
            known = Wave.objects.filter(discom=discom, code=args.wave).first()
            done = load(
                directory=args.directory,
                discom=discom,
                wave=args.wave,
                numbers=args.numbers or (known.numbers if known else "new"),
                today=today,
                now=now,
                actor=ACTOR,
                say=steps,
            )
    finally:
        steps.stop()
    if args.json:
        _say_json(_of_load(done))
    else:
        sys.stdout.write("\n".join(_as_load(done)) + "\n")
    return 0


def _of_load(done: Loaded) -> dict[str, object]:
    return {
        "wave": done.wave.code,
        "act": done.act.number if done.act else None,
        "files": [asdict(file) for file in done.files],
        "corrected": done.corrected,
        "accounts": dict(done.accounts),
        "rows": dict(done.rows),
        "findings": dict(done.findings),
    }


def _as_load(done: Loaded) -> Iterator[str]:
    for file in done.files:
        if file.same:
            yield f"{file.name}: the same as before, {grouped(file.rows)} rows"
        elif file.version == 1:
            yield f"{file.name}: {grouped(file.rows)} rows"
        else:
            changes = f"{grouped(file.changed)} changed, {grouped(file.new)} new, {grouped(file.gone)} gone"
            yield f"{file.name}: version {file.version}, {grouped(file.rows)} rows: {changes}"
    if done.corrected:
        yield f"{grouped(done.corrected)} rows corrected"
    yield f"accounts: {_counted(done.accounts)}"
    yield f"rows:     {_counted(done.rows)}"
    yield from (f"{grouped(rows):>11}  {rule}  {rules()[rule].detects.en}" for rule, rows in done.findings.items())
    if done.act is None:
        yield "Nothing is otherwise than before."


def _counted(by_outcome: Mapping[str, int]) -> str:
    return ", ".join(f"{grouped(count)} {outcome}" for outcome, count in by_outcome.items()) or "none"


# -- status ------------------------------------------------------------------------------------------------------------


def _status(args: argparse.Namespace) -> int:
    companies = [discom_named(args.discom)] if args.discom else list(Discom.objects.order_by("id"))
    found = [wave for discom in companies for wave in waves(discom) if args.wave in (None, wave.code)]
    if args.wave and not found:
        known = ", ".join(f"{wave.discom.code} {wave.code}" for discom in companies for wave in waves(discom))
        raise UnknownWaveError(f"there is no wave {args.wave!r}; waves are: {known or 'none yet'}")
    data = [_of_wave(wave) for wave in found]
    if args.json:
        _say_json(data)
    else:
        sys.stdout.write(
            "\n".join(line for each in found for line in _as_wave(each)) + "\n" if found else "No wave yet.\n"
        )
    return 0


def _of_wave(wave: Wave) -> dict[str, object]:
    return {
        "discom": wave.discom.code,
        "wave": wave.code,
        "numbers": wave.numbers,
        "state": state(wave),
        "acts": [
            {
                "kind": act.kind,
                "number": act.number,
                "date": act.business_date,
                "at": act.made_at,
                "details": act.details,
            }
            for act in acts(wave)
        ],
        "rows": row_counts(wave),
        "accounts": [asdict(each) for each in counts(wave)],
        "rules": [asdict(each) for each in found_by_rule(wave)],
        "open_exceptions": open_exceptions(wave),
        "open_proposals": len(open_proposals(wave)),
    }


def _as_wave(wave: Wave) -> Iterator[str]:
    yield f"{wave.discom.code} {wave.code}: {state(wave)}, numbers {wave.numbers}"
    for act in acts(wave):
        yield f"  {act.kind} {act.number} on {act.business_date} by {act.actor}"
    yield f"  rows: {_counted(row_counts(wave))}"
    for each in counts(wave):
        accounts = f"{each.outcome:<9}{grouped(each.accounts):>11} accounts"
        yield f"  {each.division_en:<20} {accounts} {rupees(each.paise):>20}"
    for found in found_by_rule(wave):
        yield f"  {found.division_en:<20} {found.rule}  {found.outcome:<9}{grouped(found.rows):>9} rows"
    waiting = len(open_proposals(wave))
    yield f"  {grouped(open_exceptions(wave))} exceptions, {grouped(waiting)} proposals wait for a second person"


# -- exceptions --------------------------------------------------------------------------------------------------------


def _exceptions(args: argparse.Namespace) -> int:
    discom = discom_named(args.discom)
    wave = wave_named(discom, args.wave)
    division = division_named(discom, args.division) if args.division else None
    if args.correct or args.accept or args.decide is not None:
        return _act(args, wave, division)
    found = exceptions(wave, division.id if division else None, args.rule)
    if args.csv:
        args.csv.write_text(_as_csv(found), encoding="utf-8")
        sys.stdout.write(f"{grouped(len(found))} exceptions written to {args.csv}\n")
    elif args.json:
        proposals = [_of_proposal(each) for each in open_proposals(wave)]
        _say_json({"exceptions": [asdict(each) for each in found], "proposals": proposals})
    else:
        sys.stdout.write("\n".join(_as_exceptions(found, open_proposals(wave))) + "\n")
    return 0


def _act(args: argparse.Namespace, wave: Wave, division: Office | None) -> int:
    now = clock.now()
    if args.decide is not None:
        if not (args.approve or args.refuse):
            raise CommandError("it is not said how it is decided", "--decide", "Add --approve or --refuse")
        waiting = Proposal.objects.filter(id=args.decide, wave=wave).first()
        if waiting is None:
            raise CommandError(
                f"wave {wave.code} has no proposal {args.decide}", "--decide", "See khata migration exceptions"
            )
        person = _officer(args, wave, waiting.division_id if waiting.kind == "correct" else None)
        decide(proposal=args.decide, approved=args.approve, reason=args.reason, checker=person, now=now)
        applied = "; khata migration load applies it" if waiting.kind == "correct" else ""
        said = f"approved{applied}" if args.approve else "refused"
        answer: dict[str, object] = {"proposal": args.decide, "approved": args.approve}
        text = f"Proposal {args.decide} is {said}.\n"
    else:
        kind, about, column, value, over = "accept", args.accept or "", "", "", None
        if args.correct:
            place, column, value = args.correct
            kind, (about, over) = "correct", _place(wave, place)
        maker = _officer(args, wave, over)
        if kind == "accept" and about not in {*gate(wave), *(line.about for line in reconcile(wave) if line.red)}:
            next_step = "Copy it from reconcile or parallel as it is now"
            raise CommandError(f"nothing that stands red is called {about}", "--accept", next_step)
        made = propose(
            wave=wave,
            division=division.id if division else _division_in(about),
            kind=kind,
            about=about,
            column=column,
            value=value,
            reason=args.reason,
            maker=maker,
            now=now,
        )
        answer, text = _of_proposal(made), f"Proposal {made.id}: another person decides it.\n"
    _say_json(answer) if args.json else sys.stdout.write(text)
    return 0


def _officer(args: argparse.Namespace, wave: Wave, division: int | None) -> int:
    """The person who acts: an officer over this division today; None: over the whole company, for which is signed."""
    if not args.login:
        raise CommandError("it is not said who does this", "--as", "Give the login of an officer of the company")
    person = Staff.objects.filter(login=args.login, active=True).first()
    if person is None:
        raise CommandError(f"nobody has the login {args.login!r}", "--as", "See khata staff add")
    posts = posts_of(staff=person.id, today=clock.business_date())
    over = Office.objects.get(id=division) if division else Office.objects.get(discom=wave.discom, kind="company")
    if not any(post.role == "officer" and post.office_from <= over.id <= post.office_to for post in posts):
        wrong = f"{args.login} is no officer over {over.name_en} today"
        raise CommandError(wrong, "--as", "Choose an officer, or see khata staff post")
    return person.id


def _place(wave: Wave, place: str) -> tuple[str, int | None]:
    """`master_DIV1.csv:17` as a proposal names it, and its division."""
    name, _, line = place.rpartition(":")
    file: File | None = next((each for each in newest_files(wave) if each.name.lower() == name.lower()), None)
    if file is None or not (line.isascii() and line.isdecimal()):
        names = ", ".join(each.name for each in newest_files(wave))
        wrong = f"{place!r} is no file and line of wave {wave.code}; its files are: {names or 'none yet'}"
        raise CommandError(wrong, "--correct", "Write it like master_DIV1.csv:17")
    return about_row(file.id, int(line)), file.division_id


def _division_in(about: str) -> int | None:
    """The division of an equation that is signed for."""
    parts = about.split(":")
    return int(parts[1]) if parts[0] == "equation" and len(parts) > 1 and parts[1].isdecimal() else None


def _of_proposal(made: Proposal) -> dict[str, object]:
    names = ("id", "kind", "about", "column", "value", "reason", "made_at")
    return {**{name: getattr(made, name) for name in names}, "maker": made.maker.login, "division": made.division_id}


def _as_exceptions(found: Sequence[ExceptionRow], proposals: Sequence[Proposal]) -> Iterator[str]:
    for each in found[:_SHOWN]:
        waits = "  proposed" if each.open_proposals else ""
        place = f"{each.file}:{each.line}"
        yield f"{each.rule}  {place:<30} {each.account:<10} {rupees(each.amount_paise):>16}  {each.said}{waits}"
    if len(found) > _SHOWN:
        yield f"… and {grouped(len(found) - _SHOWN)} more; --json or --csv FILE gives all"
    if not found:
        yield "No exception."
    for made in proposals:
        what = f"{made.column} = {made.value}" if made.column else "accept"
        yield f"proposal {made.id} by {made.maker.login}: {made.about}  {what}  ({made.reason})"


def _as_csv(found: Sequence[ExceptionRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rule", "division", "file", "line", "account", "amount_paise", "said", "about"])
    for each in found:
        said, account = map(no_formula, (each.said, each.account))
        writer.writerow(
            [each.rule, each.division_en, each.file, each.line, account, each.amount_paise, said, each.about]
        )
    return out.getvalue()


# -- rules -------------------------------------------------------------------------------------------------------------


def _rules(args: argparse.Namespace) -> int:
    if args.json:
        _say_json([asdict(rule) for rule in rules().values()])
        return 0
    for rule in rules().values():
        words = [getattr(part, args.lang) for part in (rule.detects, rule.does, rule.why)]
        sys.stdout.write(f"{rule.number}  {rule.outcome}\n" + "".join(f"    {sentence}\n" for sentence in words))
    return 0
