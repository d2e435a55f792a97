"""How the people of the demo pay: most in full, some rounded up, some a part, some not at all."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from khata.kernel.quantities import Int64

Days = npt.NDArray[np.datetime64]

NEVER, PART, ROUNDED, EXACT = range(4)
_SHARES = (0.13, 0.07, 0.15, 0.65)
_TEN_RUPEES, _HUNDRED_RUPEES = 1_000, 10_000  # paise
_BY_OLD_NUMBER = 0.35


@dataclass(frozen=True)
class Payments:
    """What is laid on the counter: position of the bill, paise, day, what was typed and what it matched."""

    bill: Int64
    amount_paise: Int64
    day: Days
    typed: list[str]
    matched: list[str]


def payments(
    *,
    due_paise: Int64,
    account: list[str],
    old: list[str],
    bill_date: dt.date,
    due_date: dt.date,
    today: dt.date,
    rng: np.random.Generator,
) -> Payments:
    """Payments of one month's bills between bill date and due date, as far as today has come; in order of days."""
    count = len(due_paise)
    habit = rng.choice(len(_SHARES), count, p=_SHARES)
    length = (due_date - bill_date).days + 1
    day = np.datetime64(bill_date) + rng.integers(0, length, count).astype("timedelta64[D]")
    amount = _amounts(due_paise, habit)
    rows = np.flatnonzero((amount > 0) & (day <= np.datetime64(today)))
    rows = rows[np.argsort(day[rows], kind="stable")]
    by_old, spaced = rng.random(count) < _BY_OLD_NUMBER, rng.random(count) < 0.05
    matched = [old[row] if by_old[row] and old[row] else account[row] for row in rows.tolist()]
    typed = [_spaced(number) if spaced[row] else number for row, number in zip(rows.tolist(), matched, strict=True)]
    return Payments(rows, amount[rows], day[rows], typed, matched)


def _amounts(due: Int64, habit: Int64) -> Int64:
    step = np.where(due > 5 * _HUNDRED_RUPEES, _HUNDRED_RUPEES, _TEN_RUPEES)
    rounded = -(-due // step) * step
    part = np.maximum(due // 2 // _TEN_RUPEES * _TEN_RUPEES, _TEN_RUPEES)
    by_habit = np.stack([np.zeros_like(due), np.minimum(part, rounded), rounded, due])
    return np.where(due > 0, by_habit[habit, np.arange(len(due))], 0)


def _spaced(number: str) -> str:
    """As people copy a number from paper."""
    return f"{number[:5]} {number[5:]}"
