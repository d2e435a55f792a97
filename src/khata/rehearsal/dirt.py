"""Which accounts of a hand-over get which flaw. No account gets two, so that the answer key is exact.

A share of the accounts is dirty; the rules take turns, and each is planted at least once however small the share is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64
from khata.rehearsal.flaws import ALONE, KINDS, LEAST, Case, Edit, cut_off, same_meter, shared_mobile
from khata.rehearsal.handover_rows import CONTROL, Kind, Place, Written
from khata.rehearsal.town import Town

Bool = npt.NDArray[np.bool_]

PERMILLE = 1000
_FREE_MOBILE = 6_666_500_000  # below those of the people, and nobody's either
_RULES = len(ALONE) + 5  # that share the dirty accounts: pairs, cut lines and three classes of the parallel run as well
_A_HANDFUL = 12
_BASIS_WHY = ("", "an assessment", "a provisional bill", "a ceiling")


@dataclass
class Dirt:
    """What was planted. `edits` by account; `blank_lines` before headers; `control` figures that are off."""

    town: Town
    written: Written
    edits: dict[int, Edit] = field(default_factory=dict)
    blank_lines: dict[tuple[int, Kind], int] = field(default_factory=dict)
    control: dict[int, tuple[str, int]] = field(default_factory=dict)  # by division: column, and by how much
    parallel: dict[int, tuple[str, str]] = field(default_factory=dict)  # by account: class, why


def plant(town: Town, written: Written, places: Sequence[Place], permille: int, rng: np.random.Generator) -> Dirt:
    """Choose and alter. `places` has a place for each division that the town's people live in; figures are copied."""
    town, written = _own(town), replace(written, basis=written.basis.copy())
    dirt = Dirt(town, written)
    if permille:
        planter = _Planter(dirt, places, rng)
        planter.plant(len(town.plan.shop) * permille // PERMILLE)
    return dirt


def _own(town: Town) -> Town:
    last = replace(
        town.last,
        energy_wh=town.last.energy_wh.copy(),
        assessed_paise=town.last.assessed_paise.copy(),
        payable_paise=town.last.payable_paise.copy(),
    )
    return replace(town, last=last, heads=replace(town.heads, principal=town.heads.principal.copy()))


class _Planter:
    def __init__(self, dirt: Dirt, places: Sequence[Place], rng: np.random.Generator) -> None:
        self.dirt, self.places, self.rng = dirt, places, rng
        self.town, self.division = dirt.town, dirt.town.folk.division
        count = len(self.division)
        self.order, self.free = rng.permutation(count), np.ones(count, np.bool_)
        # A division's last rows are for the cut-off line; elsewhere a last row is as whole as any.
        self.last = {int(each): int(np.flatnonzero(self.division == each)[-1]) for each in np.unique(self.division)}
        self.free[list(self.last.values())] = False
        self.who = _who(dirt.town, dirt.written, places)

    def plant(self, dirty: int) -> None:
        count = len(self.division)
        many = min(max(count // 250, 11), 200)
        share = max(dirty - many, 0) // _RULES
        self._files(share)
        self._cut_lines()
        for rule, (who, flaw) in ALONE.items():
            first = int(self.rng.integers(60))
            for turn, row in enumerate(self._take(max(share, LEAST.get(rule, 1)), who)):
                flaw(self._case(row, first + turn))
        self._pairs(max(share // 2, 1))
        rows = self._take(many, "anybody")
        for turn, row in enumerate(rows):
            shared_mobile(self._case(row, turn), str(_FREE_MOBILE), len(rows))
        self._parallel(max(share, 1))

    def _take(self, count: int, who: str) -> list[int]:
        allowed = self.free & self.who[who]
        rows = self.order[allowed[self.order]][:count]
        self.free[rows] = False
        return [int(row) for row in rows.tolist()]

    def _case(self, row: int, turn: int) -> Case:
        at = int(self.division[row])
        edit = self.dirt.edits.setdefault(row, Edit())
        other = self.places[(at + 1) % len(self.places)]
        return Case(self.town, self.dirt.written, row, self.places[at], other, self.rng, turn, edit)

    def _files(self, share: int) -> None:
        """Blank lines before a header, and signed totals that are off."""
        there = sorted(self.last)
        for turn, at in enumerate(self.rng.permutation(there)[: 1 + min(share, 3)].tolist()):
            self.dirt.blank_lines[int(at), KINDS[turn % len(KINDS)]] = 1 + turn % 2
        for at in self.rng.permutation(there)[: 1 + min(share // 4, 2)].tolist():
            column = CONTROL[2 + int(self.rng.integers(len(CONTROL) - 2))]
            # In the column's last place: an account, a paisa, a watt-hour.
            self.dirt.control[int(at)] = column, int(self.rng.integers(1, 10 if column == "ACCOUNTS" else 100_000))

    def _cut_lines(self) -> None:
        fits = [at for at in sorted(self.last) if not self.places[at].style.unended]
        for turn, at in enumerate(self.rng.permutation(fits)[:2].tolist()):
            cut_off(self._case(self.last[int(at)], turn))

    def _pairs(self, count: int) -> None:
        rows = self._take(2 * count, "anybody")
        for one, other in zip(rows[::2], rows[1::2], strict=False):
            meter = str(self.town.plan.meter[one].decode())
            for row in (one, other):
                same_meter(self._case(row, 0), meter)

    def _parallel(self, count: int) -> None:
        """Bills that the kernel would make otherwise: by another rule, from other units, or nobody knows why."""
        last, basis = self.town.last, self.dirt.written.basis
        for turn, row in enumerate(self._take(count, "used")):
            basis[row] = 1 + turn % 3
            share = int(self.rng.integers(110, 170))
            for paise in (last.assessed_paise, last.payable_paise):
                paise[row] = paise[row] * share // 100
            self.dirt.parallel[row] = "rule", _BASIS_WHY[int(basis[row])]
        for row in self._take(count, "used"):
            wh, units = int(last.energy_wh[row]), int(self.rng.integers(2, 20))
            for paise in (last.assessed_paise, last.payable_paise):
                paise[row] = paise[row] * (wh + units * 1000) // wh
            last.energy_wh[row] = wh + units * 1000
            self.dirt.parallel[row] = "data", "BILLED_UNITS is not what the readings say"
        for row in self._take(min(count, _A_HANDFUL), "used"):
            off = int(self.rng.integers(5_00, 300_00))
            for paise in (last.assessed_paise, last.payable_paise):
                paise[row] += off
            self.dirt.parallel[row] = "unknown", "nothing explains the amount"


def _who(town: Town, written: Written, places: Sequence[Place]) -> dict[str, Bool]:
    """On whom a flaw can be seen without another: one mask over the accounts for each name in `flaws.ALONE`."""
    heads, last = town.heads, town.last
    owed: Int64 = heads.principal + heads.lpsc
    numbers = town.folk.old_number
    zeros = np.array([number.startswith("0") for number in numbers])
    a_zero = np.array([len(number) > 6 and number[0] == "0" != number[1] for number in numbers])
    knows_hindi = np.array([place.style.encoding == "utf-8" for place in places])[town.folk.division]
    english = np.array([language == "en" for language in town.folk.language])
    whole_rupees = np.array([place.style.whole_rupees for place in places])[town.folk.division]
    in_kw = written.unit == 0
    # A file shows that it is UTF-8 by the rows in Hindi.
    others = np.bincount(town.folk.division, ~english & knows_hindi, len(places))[town.folk.division] >= 10
    return {
        "anybody": np.ones(len(numbers), np.bool_),
        "zeros": zeros,
        "a zero": a_zero,
        "in kW": in_kw,
        "no debtor": in_kw & (owed <= 0),
        "owes nothing": (heads.principal == 0) & (heads.lpsc == 0),
        "postpaid": ~town.plan.prepaid,
        "long used": last.previous_wh >= 100_000,
        "used": (last.energy_wh >= 20_000) & ~whole_rupees,
        "Hindi": ~english & knows_hindi,
        "English": english & knows_hindi & others,
    }
