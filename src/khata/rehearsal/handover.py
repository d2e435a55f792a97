"""Hand-over files of a synthetic company in the shape of the real ones, and the answer key to what is wrong in them.

One set of files a division, as `khata migration` reads them; `planted.csv` and `planted_parallel.csv` are the key,
which it never reads. The same arguments give the same bytes.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import BinaryIO

import numpy as np
import yaml

from khata.consumers.rules import mobile_key
from khata.kernel.quantities import Bool, Int64
from khata.rehearsal.dirt import Dirt, plant
from khata.rehearsal.flaws import KINDS, Edit
from khata.rehearsal.handover_rows import COLUMNS, CONTROL, Kind, Place, Style, Written, header, rows_of, style_of
from khata.rehearsal.people import People
from khata.rehearsal.town import Town

KEY, PARALLEL_KEY = "planted.csv", "planted_parallel.csv"
KEY_COLUMNS, PARALLEL_COLUMNS = ("file", "line", "rule", "account", "flaw"), ("account", "class", "why")
FEWEST, MOST, MOST_PERMILLE = 100, 1_000_000, 200
_AT_ONCE = 10_000  # rows of a file that are text in memory at one time
_CONTROL_FILE = "control_totals.csv"
# Which columns the signed totals sum, in the order of CONTROL.
_SUMMED: tuple[tuple[Kind, str], ...] = (
    ("heads", "PRINCIPAL"),
    ("heads", "LPSC"),
    ("heads", "DEPOSIT"),
    ("heads", "PREPAID_BALANCE"),
    ("master", "TOTAL OUTSTANDING"),
    ("billed", "BILLED_UNITS"),
)

Say = Callable[[str, int, int], None]
KeyRow = tuple[str, int, str, str, str]


@dataclass(frozen=True)
class Handover:
    """What was written: rows of each kind of file, flaws by rule, bills that differ by class."""

    accounts: int
    divisions: int
    rows: dict[str, int]
    planted: dict[str, int]
    parallel: dict[str, int]


def numbered(circles: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """(code, name) of each division, as the old system codes them: each code extends that of its circle."""
    return [
        (f"DIV2335{circle}{number}", name)
        for circle, names in enumerate(circles, start=1)
        for number, name in enumerate(names, start=1)
    ]


def divisions_of(companies: Path, discom: str) -> list[tuple[str, str]]:
    """The divisions that a file of companies names for a company, in the order in which they are made offices."""
    known = yaml.safe_load(companies.read_text(encoding="utf-8"))["circles"]
    return numbered(list(circle["divisions"]) for circle in known if circle["discom"] == discom)


def latin_of(divisions: Sequence[tuple[str, str]]) -> list[int]:
    """Positions of the divisions whose system knows no Devanagari: people there must be drawn in Latin letters."""
    return [at for at in range(len(divisions)) if style_of(at).encoding != "utf-8"]


def write_handover(
    *,
    out: Path,
    discom: str,
    divisions: Sequence[tuple[str, str]],
    town: Town,
    dirt_permille: int,
    seed: int,
    say: Say = lambda step, done, total: None,
) -> Handover:
    """Write the files of every division where somebody lives, and the keys, into the folder `out`, which is there.

    `divisions` are (code, name), at the positions that `town.folk.division` names. `dirt_permille` of the accounts get
    a flaw, at least one of each rule; 0 leaves all clean.
    """
    places = [_place(code, name, discom, at, town.folk) for at, (code, name) in enumerate(divisions)]
    town, rounded = _rounded(replace(town, folk=_reachable(town.folk)), places)
    rng = np.random.default_rng([seed, 9])
    dirt = plant(town, Written.drawn(town, rng), places, dirt_permille, rng)
    writer = _Writer(out, dirt)
    total = len(town.plan.shop)
    for at, place in enumerate(places):
        rows = np.flatnonzero(town.folk.division == at)
        if len(rows):
            writer.division(at, place, rows)
            say("hand-over files, by account", writer.accounts, total)
    writer.control()
    _write_csv(out / KEY, KEY_COLUMNS, sorted(writer.key))
    planted = Counter(row[2] for row in writer.key)
    parallel = _write_parallel(out, dirt, rounded)
    return Handover(total, len(writer.totals), dict(writer.rows), dict(sorted(planted.items())), parallel)


def _place(code: str, name: str, discom: str, at: int, folk: People) -> Place:
    """A division whose people's names do not fit into its system's letters writes UTF-8."""
    style = style_of(at)
    here = np.flatnonzero(folk.division == at).tolist() if style.encoding != "utf-8" else []
    try:
        for row in here:
            f"{folk.name[row]}{folk.address[row]}".encode(style.encoding)
    except UnicodeEncodeError:
        style = replace(style, encoding="utf-8")
    return Place(code, name, discom, style)


def _reachable(folk: People) -> People:
    """Mobiles that cannot be are flaws, and planted like them: elsewhere there is none instead."""
    return replace(folk, mobile=[mobile if mobile_key(mobile) else "" for mobile in folk.mobile])


def _rounded(town: Town, places: Sequence[Place]) -> tuple[Town, Bool]:
    """Some systems bill whole rupees; and whose bill that changes."""
    whole = np.array([place.style.whole_rupees for place in places])[town.folk.division]
    exact = town.last.payable_paise
    said = np.where(whole, (exact + 50) // 100 * 100, exact)
    return replace(town, last=replace(town.last, payable_paise=said)), said != exact


@dataclass
class _File:
    """One file being written: counts its lines, and keeps the rows that come at its end."""

    file: BinaryIO
    name: str
    style: Style
    line: int = 0
    late: list[tuple[int, str]] = field(default_factory=list)  # one more row of an account: at the end of the file
    end: list[tuple[int, str]] = field(default_factory=list)  # the cut-off line

    def write(self, lines: list[str]) -> None:
        if lines:
            text = self.style.newline.join(lines) + self.style.newline
            self.file.write(text.encode(self.style.encoding))
            self.line += len(lines)


class _Writer:
    """Writes division after division; `totals` are the sums of the rows as they stand in the files."""

    def __init__(self, out: Path, dirt: Dirt) -> None:
        self.out, self.dirt = out, dirt
        self.town, self.written = dirt.town, dirt.written
        self.dirty = np.zeros(len(self.town.plan.shop), np.bool_)
        self.dirty[list(dirt.edits)] = True
        self.accounts = 0
        self.rows: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.totals: dict[int, tuple[Place, list[int]]] = {}
        self.key: list[KeyRow] = []

    def division(self, at: int, place: Place, rows: Int64) -> None:
        sums = dict.fromkeys(_SUMMED, 0)
        before = self.rows["master"]
        for kind in KINDS:
            self._file(at, kind, place, rows, sums)
        self.accounts += len(rows)
        self.totals[at] = place, [self.rows["master"] - before, *sums.values()]

    def _file(self, at: int, kind: Kind, place: Place, rows: Int64, sums: dict[tuple[Kind, str], int]) -> None:
        name, style = f"{kind}_{place.code}.csv", place.style
        with open(self.out / name, "wb") as file:
            into = _File(file, name, style)
            if style.mark:
                file.write(b"\xef\xbb\xbf")
            blank = self.dirt.blank_lines.get((at, kind), 0)
            if blank:
                self.key.append((name, 1, "MIG-02", "", "the header is not the first line"))
            columns = COLUMNS[kind][::-1] if kind == "heads" and style.turned else COLUMNS[kind]
            into.write([""] * blank + [header(columns)])
            first = into.line
            for begin in range(0, len(rows), _AT_ONCE):
                self._chunk(into, kind, place, rows[begin : begin + _AT_ONCE], sums)
            self._end(into, kind, sums)
            self.rows[kind] += into.line - first
            if style.unended and kind == "meters":
                file.seek(-len(style.newline), 2)
                file.truncate()

    def _chunk(self, into: _File, kind: Kind, place: Place, rows: Int64, sums: dict[tuple[Kind, str], int]) -> None:
        fields = rows_of(kind, self.town, self.written, rows, place)
        lines = list(map(",".join, zip(*fields.values(), strict=True)))
        self._add_clean(kind, rows[~self.dirty[rows]], sums)
        done = 0
        for position in np.flatnonzero(self.dirty[rows]).tolist():
            into.write(lines[done:position])
            done = position + 1
            said = {name: column[position] for name, column in fields.items()}
            self._dirty(into, kind, int(rows[position]), said, sums)
        into.write(lines[done:])

    def _add_clean(self, kind: Kind, rows: Int64, sums: dict[tuple[Kind, str], int]) -> None:
        heads, last = self.town.heads, self.town.last
        figures = (heads.principal, heads.lpsc, heads.deposit, heads.prepaid, None, last.energy_wh)
        for column, figure in zip(_SUMMED, figures, strict=True):
            if column[0] == kind:
                values = heads.principal[rows] + heads.lpsc[rows] if figure is None else figure[rows]
                sums[column] += int(values.sum())

    def _dirty(
        self, into: _File, kind: Kind, row: int, said: dict[str, str], sums: dict[tuple[Kind, str], int]
    ) -> None:
        edit = self.dirt.edits[row]
        if kind in edit.drop:
            return
        said = said | edit.put.get(kind, {})
        texts = list(said.values())
        line = ",".join(edit.spoil[kind](texts) if kind in edit.spoil else texts)
        if kind not in edit.unread:
            _add(kind, said, sums)
        if kind in edit.cut:
            into.end.append((row, line))
            return
        if kind in edit.foreign:
            into.file.write(line.encode("cp1252") + into.style.newline.encode())
            into.line += 1
        else:
            into.write([line])
        self._accuse(into, kind, edit, said["ACCT_ID"], again=False)
        if kind in edit.again:
            more = said | edit.again[kind]
            _add(kind, more, sums)
            into.late.append((row, ",".join(more.values())))

    def _end(self, into: _File, kind: Kind, sums: dict[tuple[Kind, str], int]) -> None:
        for row, line in into.late:
            into.write([line])
            edit, account = self.dirt.edits[row], self.town.folk.old_number[row]
            self._accuse(into, kind, edit, edit.again[kind].get("ACCT_ID", account), again=True)
        for row, line in into.end:
            into.file.write(line.encode(into.style.encoding))
            into.line += 1
            self._accuse(into, kind, self.dirt.edits[row], self.town.folk.old_number[row], again=False)

    def _accuse(self, into: _File, kind: Kind, edit: Edit, account: str, *, again: bool) -> None:
        for each in edit.accused:
            if (each.kind, each.again) == (kind, again):
                self.key.append((into.name, into.line, each.rule, account, each.flaw))

    def control(self) -> None:
        """The signed totals: of the rows as they stand, but for those that are planted to be off."""
        with open(self.out / _CONTROL_FILE, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(CONTROL)
            for line, (at, (place, totals)) in enumerate(self.totals.items(), start=2):
                figures = dict(zip(CONTROL[2:], totals, strict=True))
                if at in self.dirt.control:
                    column, off = self.dirt.control[at]
                    figures[column] += off
                    flaw = f"{column} is not the sum of the rows"
                    self.key.append((_CONTROL_FILE, line, "MIG-19", "", flaw))
                accounts, *money, units = figures.values()
                rows.writerow(
                    (place.code, place.said, accounts, *(_scaled(paise, 2) for paise in money), _scaled(units, 3))
                )


def _add(kind: Kind, said: dict[str, str], sums: dict[tuple[Kind, str], int]) -> None:
    for column in _SUMMED:
        if column[0] == kind:
            sums[column] += _whole(said[column[1]], 3 if column[1] == "BILLED_UNITS" else 2)


def _whole(text: str, places: int) -> int:
    """A figure in its smallest unit; what is empty or cannot be read counts as nothing."""
    try:
        return int(Decimal(text).scaleb(places))
    except InvalidOperation:
        return 0


def _scaled(value: int, places: int) -> str:
    return f"{Decimal(value).scaleb(-places):.{places}f}"


def _write_parallel(out: Path, dirt: Dirt, rounded: Bool) -> dict[str, int]:
    """The key of the parallel run: every account that moves and whose bill the kernel would make otherwise."""
    classes = dict(dirt.parallel)
    for row in np.flatnonzero(rounded).tolist():
        if row not in dirt.edits or not dirt.edits[row].held:
            classes.setdefault(row, ("rounding", "AMOUNT_PAYABLE in whole rupees"))
    rows = [(dirt.town.folk.old_number[row], *classes[row]) for row in sorted(classes)]
    _write_csv(out / PARALLEL_KEY, PARALLEL_COLUMNS, rows)
    return dict(sorted(Counter(name for name, _ in classes.values()).items()))


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)
