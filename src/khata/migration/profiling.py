"""What is in the files of a hand-over, before anything is taken in. Reads them as streams and changes nothing.

Of an account only numbers of eight bytes are remembered, so that a whole company fits into little memory.
"""

import datetime as dt
import os
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from khata.consumers.rules import mobile_key
from khata.formats.handover import KINDS, Facts, StagedLine, open_handover, read_rows
from khata.formats.text import FormatError
from khata.migration.rules import MOST_ACCOUNTS_OF_A_MOBILE, OLD_NUMBER, OLDEST_DAY, categories, supply_types

CONTROL = "control_totals.csv"
OF_A_DIVISION = tuple(kind for kind in KINDS if kind != "control")
# Sums that the company signed, and the kind of file whose rows they are of.
SIGNED = {
    "principal_paise": "heads",
    "lpsc_paise": "heads",
    "deposit_paise": "heads",
    "prepaid_paise": "heads",
    "outstanding_paise": "master",
    "billed_wh": "billed",
}
_SUMMED = {kind: [name for name, of in SIGNED.items() if of == kind] for kind in KINDS}
_NAME = re.compile(rf"({'|'.join(OF_A_DIVISION)})_([^/]+)\.csv", re.IGNORECASE)
_OLD_NUMBER = re.compile(OLD_NUMBER.strip("^$"), re.ASCII)
_OLDEST = dt.date.fromisoformat(OLDEST_DAY)


@dataclass(frozen=True)
class Named:
    """A file of a directory by what its name says. `code` is the division's; empty for the control totals."""

    path: Path
    kind: str
    code: str


def handed_over(directory: Path) -> list[Named]:
    """The files of a hand-over in a directory, in the order of their names. Others are not looked at."""
    if not directory.is_dir():
        raise FormatError(f"{directory} is no directory", next_step="Name the folder in which the files lie")
    found = []
    for path in sorted(directory.iterdir()):
        named = _NAME.fullmatch(path.name)
        if path.name.lower() == CONTROL:
            found.append(Named(path, "control", ""))
        elif named:
            found.append(Named(path, named[1].lower(), named[2].upper()))
    if not found:
        next_step = f"Its files are master_<DIV>.csv, billed_, meters_, heads_ and {CONTROL}"
        raise FormatError("there is no file of a hand-over in it", where=str(directory), next_step=next_step)
    return found


@contextmanager
def reading(each: Named) -> Iterator[BinaryIO]:
    """The open file; what is wrong with it is told with its name, also that it was written to meanwhile."""
    try:
        with each.path.open("rb") as stream:
            was = os.fstat(stream.fileno())
            yield stream
            found = os.fstat(stream.fileno())
    except FormatError as error:
        raise replace(error, where=error.where or each.path.name) from None
    if (was.st_size, was.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
        wrong = "the file changed while it was read"
        raise FormatError(wrong, where=each.path.name, next_step="Do it again when nobody writes to it")


@dataclass(frozen=True)
class FileProfile:
    """`rules`: rows by the rules that a row shows by itself. `error`: why the file cannot be taken; then no rows."""

    name: str
    kind: str
    code: str
    bytes: int
    rows: int = 0
    encoding: str = ""
    newline: str = ""
    date_styles: tuple[str, ...] = ()
    amount_styles: tuple[str, ...] = ()
    blank_lines_before_header: int = 0
    ends_without_newline: bool = False
    rules: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class DivisionProfile:
    """`accounts` of all its files together; `missing_from`: accounts that a kind of file lacks; the others: rows.

    `signed_less_rows`: control total less the sum of the rows, where they differ (paise, Wh, accounts).
    """

    code: str
    accounts: int
    missing_files: tuple[str, ...]
    missing_from: Mapping[str, int]
    copies: int
    same_number_twice: int
    zeros_differ: int
    signed_less_rows: Mapping[str, int]


@dataclass(frozen=True)
class Profile:
    """`shared_meters` and `shared_mobiles`: numbers that stand on several accounts (mobiles: on more than ten)."""

    files: tuple[FileProfile, ...]
    divisions: tuple[DivisionProfile, ...]
    shared_meters: int
    shared_mobiles: int

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.files if each.kind != "control")

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(each.error for each in self.files if each.error)


@dataclass
class _Seen:
    """Of the rows of a file: account texts, keys and whole rows as numbers, sums of money and energy."""

    texts: "array[int]" = field(default_factory=lambda: array("q"))
    keys: "array[int]" = field(default_factory=lambda: array("q"))
    digests: "array[int]" = field(default_factory=lambda: array("q"))
    sums: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    accounts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    copies: int = 0
    twice: int = 0
    zeros: int = 0

    def end(self) -> None:
        """Of a file that has been read only its accounts and counts are kept."""
        texts, rows = np.unique(_numbers(self.texts)), np.unique(_numbers(self.digests))
        self.accounts = np.unique(_numbers(self.keys))
        self.copies, self.twice = self.rows - len(rows), len(rows) - len(texts)
        self.zeros = len(texts) - len(self.accounts)
        self.texts, self.keys, self.digests = array("q"), array("q"), array("q")


def profile(directory: Path, today: dt.date) -> Profile:
    """What the files of a directory hold. A file that cannot be taken is told with its error, and the others go on."""
    named = handed_over(directory)
    files: list[FileProfile] = []
    seen: dict[tuple[str, str], _Seen] = {}
    signed: dict[str, StagedLine] = {}
    meters, owners, mobiles = array("q"), array("q"), array("q")

    def look(each: Named, row: StagedLine) -> None:
        if each.kind == "control":
            signed[str(row.values["division_code"]).upper()] = row
        elif each.kind == "meters" and row.values["meter"]:
            meters.append(hash(row.values["meter"]))
            owners.append(hash((each.code, row.key)))
        elif each.kind == "master" and (mobile := mobile_key(str(row.values["mobile"] or ""))):
            mobiles.append(hash(mobile))

    for each in named:
        of = _Seen()
        files.append(_of_file(each, of, today, look))
        if not files[-1].error:
            seen[each.code, each.kind] = of
    codes = dict.fromkeys([*signed, *(each.code for each in named if each.code)])
    divisions = tuple(_of_division(code, seen, signed.get(code)) for code in codes)
    return Profile(tuple(files), divisions, _shared_meters(meters, owners), _shared_mobiles(mobiles))


def _of_file(each: Named, seen: _Seen, today: dt.date, look: Callable[[Named, StagedLine], None]) -> FileProfile:
    size = each.path.stat().st_size
    rules: Counter[str] = Counter()
    try:
        with reading(each) as stream:
            facts: Facts = open_handover(stream, kind=each.kind, size=size)
            for row in read_rows(stream, facts, each.kind):
                _note(each.kind, seen, row)
                for rule in (*row.rules, *_suspicious(each.kind, row, today)):
                    rules[rule] += 1
                look(each, row)
        seen.end()
    except FormatError as error:
        return FileProfile(each.path.name, each.kind, each.code, size, error=str(error))
    return FileProfile(
        name=each.path.name,
        kind=each.kind,
        code=each.code,
        bytes=size,
        rows=facts.rows,
        encoding=facts.encoding,
        newline=facts.newline,
        date_styles=facts.date_styles,
        amount_styles=facts.amount_styles,
        blank_lines_before_header=facts.blank_lines_before_header,
        ends_without_newline=facts.ends_without_newline,
        rules=dict(sorted(rules.items())),
    )


def _note(kind: str, seen: _Seen, row: StagedLine) -> None:
    seen.rows += 1
    seen.texts.append(hash(row.account))
    seen.keys.append(hash(row.key))
    seen.digests.append(hash(row.digest))
    for name in _SUMMED[kind]:
        seen.sums[name] += row.values[name] or 0  # type: ignore[operator]  # whole numbers


def _suspicious(kind: str, row: StagedLine, today: dt.date) -> Iterator[str]:
    """Rules that one row is enough for, beyond those that the reader tells. None of a row that is broken as a whole."""
    values = row.values
    if kind != "control" and not _OLD_NUMBER.fullmatch(row.account) and not {"MIG-21", "MIG-22"} & set(row.rules):
        yield "MIG-09"
    if values.get("load_w") == 0:
        yield "MIG-12"
    if kind == "master" and values["mobile"] and not mobile_key(str(values["mobile"])):
        yield "MIG-13"
    if values.get("category") and values["category"] not in categories():
        yield "MIG-15"
    if values.get("supply_type") and values["supply_type"] not in supply_types():
        yield "MIG-15"
    if kind == "billed":
        previous, present = values["previous_wh"], values["present_wh"]
        if isinstance(previous, int) and isinstance(present, int) and present < previous:
            yield "MIG-11"
        days = [day for name in ("previous_day", "present_day", "bill_day") if isinstance(day := values[name], dt.date)]
        before, read = values["previous_day"], values["present_day"]
        turned = isinstance(before, dt.date) and isinstance(read, dt.date) and read < before
        if turned or any(not _OLDEST <= day <= today for day in days):
            yield "MIG-25"


def _of_division(code: str, seen: Mapping[tuple[str, str], _Seen], signed: StagedLine | None) -> DivisionProfile:
    here = {kind: seen[code, kind] for kind in OF_A_DIVISION if (code, kind) in seen}
    everybody = np.unique(np.concatenate([np.empty(0, np.int64), *(of.accounts for of in here.values())]))
    return DivisionProfile(
        code=code,
        accounts=len(everybody),
        missing_files=tuple(kind for kind in OF_A_DIVISION if kind not in here),
        missing_from={kind: len(everybody) - len(of.accounts) for kind, of in here.items()},
        copies=sum(of.copies for of in here.values()),
        same_number_twice=sum(of.twice for of in here.values()),
        zeros_differ=sum(of.zeros for of in here.values()),
        signed_less_rows=_apart(here, signed),
    )


def _apart(here: Mapping[str, _Seen], signed: StagedLine | None) -> dict[str, int]:
    if signed is None:
        return {}
    found = {name: here[kind].sums[name] for name, kind in SIGNED.items() if kind in here}
    if "master" in here:
        found["accounts"] = here["master"].rows
    apart = {name: total - found[name] for name in found if isinstance(total := signed.values[name], int)}
    return {name: difference for name, difference in apart.items() if difference}


def _shared_meters(meters: "array[int]", owners: "array[int]") -> int:
    """Meters that stand on two accounts or more."""
    order = np.lexsort((_numbers(owners), _numbers(meters)))
    meter, owner = _numbers(meters)[order], _numbers(owners)[order]
    another = (meter[1:] == meter[:-1]) & (owner[1:] != owner[:-1])
    return len(np.unique(meter[1:][another]))


def _shared_mobiles(mobiles: "array[int]") -> int:
    return int((np.unique(_numbers(mobiles), return_counts=True)[1] > MOST_ACCOUNTS_OF_A_MOBILE).sum())


def _numbers(values: "array[int]") -> npt.NDArray[np.int64]:
    return np.frombuffer(values, np.int64)
