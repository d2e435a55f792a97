"""`khata migration lists | slips | told`: numbers on paper, and who has been told the new one."""

import argparse
import datetime as dt
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from khata.audit.operations import record
from khata.billing.documents import company_paper
from khata.commands.clock import business_date
from khata.commands.errors import CommandError
from khata.commands.waves import asked_wave
from khata.consumers.queries import window_of
from khata.discoms.models import Office, Staff
from khata.discoms.queries import UnknownOfficeError, division_named, posts_of
from khata.display.money import grouped
from khata.formats.text import account_number_text
from khata.migration.documents import LIST_PART, SLIPS_PART, Heading, Slip, list_pdf, names_csv, numbers_csv, slips_pdf
from khata.migration.models import Wave
from khata.migration.telling import (
    PUBLISH,
    TellingError,
    list_policy,
    listed_numbers,
    not_told,
    note_told,
    progress,
    public_lists,
    set_list_policy,
    staff_list,
)

ACTOR = "command"
_Row = TypeVar("_Row")
VERBS = {
    "lists": "old and new numbers of each division, as PDF and CSV; what a company publishes",
    "slips": "slips for the door: a PDF for each book of accounts not yet told",
    "told": "who has been told, and how; or note a book as told at the door",
}


def add_arguments(verb: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--discom", help="the company's code; needed where several have a wave of this name")
    parser.add_argument("--wave", required=True)
    parser.add_argument("--division", help="only this division")
    parser.add_argument("--json", action="store_true")
    as_login = {"dest": "login", "metavar": "LOGIN", "help": "on whose behalf"}
    if verb == "lists":
        parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the files; made if need be")
        parser.add_argument("--set", dest="publish", choices=PUBLISH, help="from today the company publishes this")
        parser.add_argument("--source", default="", help="the order that says so")
        parser.add_argument("--with-names", action="store_true", help="for the office: with names, as CSV")
        parser.add_argument("--as", **as_login)  # type: ignore[arg-type]
        parser.add_argument("--reason", default="", help="what the names are wanted for")
    if verb == "slips":
        parser.add_argument("--feeder", help="only this feeder")
        parser.add_argument("--book", help="only this book")
        parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    if verb == "told":
        parser.add_argument("--book", help="note that this book has been told at the door")
        parser.add_argument("--as", **as_login)  # type: ignore[arg-type]
        parser.add_argument("--reader", default="", metavar="NAME", help="who was at the door")
        parser.add_argument(
            "--except", dest="but", nargs="*", default=[], metavar="NUMBER", help="old or new numbers of closed doors"
        )


def run(args: argparse.Namespace) -> int:
    wave, where = asked_wave(args.discom, args.wave), f"migration {args.verb}"
    try:
        division = division_named(wave.discom, args.division) if args.division is not None else None
        return {"lists": _lists, "slips": _slips, "told": _told}[args.verb](args, wave, division)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--division", "Choose one of them") from None
    except TellingError as refused:
        raise CommandError(str(refused), where, refused.next_step) from None
    except OSError as error:
        wrong = error.strerror or str(error)
        raise CommandError(wrong, str(error.filename or args.out), "Name a folder that can be written") from None


def _staff(login: str | None) -> Staff:
    found = Staff.objects.filter(login=login, active=True).first() if login else None
    if found is None:
        wrong = f"nobody has the login {login!r}" if login else "it must be known on whose behalf"
        raise CommandError(wrong, "--as", "Give the login of a person of the staff")
    return found


def _overseen(staff: Staff, offices: Iterable[int], today: dt.date) -> set[int]:
    """Of these divisions those whose officer the person is, or who stand below an office whose officer they are."""
    posts = [post for post in posts_of(staff=staff.id, today=today) if post.role == "officer"]
    return {office for office in offices if any(post.office_from <= office <= post.office_to for post in posts)}


def _new_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies in it is for its owner alone
    return path


def _file_name(*parts: str) -> str:
    """Of what an office or a book is called whatever a file may be called; letters of any script stay."""
    return "-".join(re.sub(r"[^\w]+", "_", part).strip("_") or "none" for part in parts)


def _say(args: argparse.Namespace, told: dict[str, object], lines: Iterable[str]) -> int:
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n" if args.json else "\n".join(lines) + "\n")
    return 0


# -- lists -------------------------------------------------------------------------------------------------------------


def _lists(args: argparse.Namespace, wave: Wave, division: Office | None) -> int:
    today = business_date()
    if args.publish is not None:
        set_list_policy(discom=wave.discom, from_date=today, publish=args.publish, source=args.source, actor=ACTOR)
    publish = list_policy(discom=wave.discom, today=today)
    told: dict[str, object] = {"discom": wave.discom.code, "wave": wave.code, "publish": publish}
    if args.out is None:
        if args.publish is None:
            raise CommandError("nothing is asked for", "migration lists", "Give --out DIR, or --set with --source")
        return _say(args, told, [f"{wave.discom.code} publishes from {today} on: {publish}"])
    folder = _new_folder(args.out)
    files = _with_names(args, wave, division, folder) if args.with_names else _public(wave, division, folder, publish)
    made = [{"division": name, "numbers": numbers, "files": names} for name, numbers, names in files]
    total = sum(numbers for _, numbers, _ in files)
    lines = [f"{name}: {grouped(numbers)} numbers, {', '.join(names)}" for name, numbers, names in files]
    return _say(args, {**told, "divisions": made, "numbers": total}, [*lines, f"{grouped(total)} numbers in {folder}"])


def _public(wave: Wave, division: Office | None, folder: Path, publish: str) -> list[tuple[str, int, list[str]]]:
    today = business_date()
    if publish == "off":
        raise TellingError(f"{wave.discom.code} publishes no numbers", "Change that with --set, by an order")
    found = public_lists(today=today, wave=wave)
    if not found:
        until = window_of(discom=wave.discom_id, wave=wave.code)
        wrong = f"the old numbers of {wave.code} counted until {until}" if until else f"{wave.code} is not live"
        raise TellingError(f"there is no list: {wrong}", "Make lists while both numbers count")
    made = []
    for each in found:
        if division is not None and each.division != division:
            continue
        rows, office = listed_numbers(division=each.division.id, today=today), each.division
        name = _file_name(wave.discom.code, office.name_en)  # a division's list has the numbers of all its waves
        names = [f"{name}.csv"]
        (folder / names[0]).write_bytes(numbers_csv(rows, masked=each.masked))
        heading = Heading(company_paper(wave.discom), office.name_hi, office.name_en, each.last_day)
        for number, part in enumerate(_parts(rows, LIST_PART), start=1):
            names.append(f"{name}-{number}.pdf")
            (folder / names[-1]).write_bytes(list_pdf(heading=heading, rows=part, made=each.since))
        made.append((office.name_en, len(rows), names))
    return made


def _with_names(
    args: argparse.Namespace, wave: Wave, division: Office | None, folder: Path
) -> list[tuple[str, int, list[str]]]:
    """For the divisions that the person oversees."""
    staff = _staff(args.login)
    offices = {each.division: each.name_en for each in progress(wave) if division in (None, Office(id=each.division))}
    mine = sorted(_overseen(staff, offices, business_date()))
    if not mine:
        raise TellingError(f"{staff.login} has no post over these divisions", "Ask somebody who has")
    made = []
    for office in mine:
        rows = staff_list(wave=wave, division=office, actor=f"staff:{staff.id}", reason=args.reason)
        name = _file_name(wave.discom.code, wave.code, offices[office], "names") + ".csv"
        (folder / name).write_bytes(names_csv(rows))
        made.append((offices[office], len(rows), [name]))
    return made


def _parts(rows: Sequence[_Row], size: int) -> Iterator[Sequence[_Row]]:
    return (rows[first : first + size] for first in range(0, len(rows), size))


# -- slips -------------------------------------------------------------------------------------------------------------


def _slips(args: argparse.Namespace, wave: Wave, division: Office | None) -> int:
    today = business_date()
    last_day = window_of(discom=wave.discom_id, wave=wave.code)
    if wave.numbers == "kept" or last_day is None:
        why = "its accounts keep their numbers" if wave.numbers == "kept" else "it is not live"
        raise TellingError(f"{wave.code} needs no slips: {why}", "Make slips after the cut-over")
    left = not_told(wave=wave, division=division.id if division else None, feeder=args.feeder, book=args.book)
    folder, files, pages = _new_folder(args.out), [], 0
    offices = Office.objects.in_bulk({each.division for each in left})
    by_book = sorted(left, key=lambda each: (each.division, each.book))  # within a book the order of the round stays
    for (number, book), rows in itertools.groupby(by_book, key=lambda each: (each.division, each.book)):
        office = offices[number]
        heading = Heading(company_paper(wave.discom), office.name_hi, office.name_en, last_day)
        slips = [
            Slip(each.account_number, each.old_number, each.name, each.address, each.feeder, each.book) for each in rows
        ]
        for at, part in enumerate(_parts(slips, SLIPS_PART), start=1):
            name = (
                _file_name(wave.discom.code, wave.code, office.name_en, book, *([str(at)] if at > 1 else [])) + ".pdf"
            )
            (folder / name).write_bytes(slips_pdf(heading=heading, slips=part, made=today))
            files.append({"division": office.name_en, "book": book, "slips": len(part), "file": name})
            pages += -(-len(part) // 4)
    details = {"slips": len(left), "files": len(files), "division": division.id if division else None}
    record(actor=ACTOR, action="migration.slips", object=f"migration:wave:{wave.id}", details=details)
    told = {"discom": wave.discom.code, "wave": wave.code, "slips": len(left), "pages": pages, "files": files}
    lines = [f"{each['division']}, book {each['book']}: {each['slips']} slips, {each['file']}" for each in files]
    return _say(args, told, [*lines, f"{grouped(len(left))} slips on {grouped(pages)} pages in {folder}"])


# -- told --------------------------------------------------------------------------------------------------------------


def _told(args: argparse.Namespace, wave: Wave, division: Office | None) -> int:
    if args.book is not None:
        noted = _note(args, wave, division)
        return _say(args, {"noted": noted}, [f"{grouped(noted)} accounts of book {args.book} told at the door"])
    rows = [each for each in progress(wave) if division is None or each.division == division.id]
    columns = ("accounts", "by_sms", "by_door", "by_use", "not_yet")
    shape = "{:<26}" + "{:>12}" * len(columns)
    lines = [shape.format("division", "accounts", "by SMS", "at the door", "by use", "not yet")]
    lines += [shape.format(each.name_en[:25], *(grouped(getattr(each, name)) for name in columns)) for each in rows]
    totals = {name: sum(getattr(each, name) for each in rows) for name in columns}
    lines.append(shape.format("all", *(grouped(number) for number in totals.values())))
    return _say(args, {"wave": wave.code, "divisions": [asdict(each) for each in rows], **totals}, lines)


def _note(args: argparse.Namespace, wave: Wave, division: Office | None) -> int:
    if division is None:
        raise CommandError("a book belongs to a division", "--division", "Name it")
    staff, today = _staff(args.login), business_date()
    if not _overseen(staff, [division.id], today):
        raise TellingError(f"{staff.login} has no post over {division.name_en}", "Ask somebody who has")
    left = not_told(wave=wave, division=division.id, book=args.book)
    if not left:
        raise TellingError(f"book {args.book} has nobody who is not told yet", "Look for it: khata migration slips")
    but = {account_number_text(each) for text in args.but for each in text.split(",") if each.strip()}
    known = {number for each in left for number in (each.old_number, each.account_number)}
    if strange := but - known:
        raise TellingError(f"{len(strange)} of the excepted numbers are none of the book's", "Type them once more")
    told = [each.connection for each in left if not but & {each.old_number, each.account_number}]
    return note_told(connections=told, told_on=today, staff=staff.id, reader=args.reader)
