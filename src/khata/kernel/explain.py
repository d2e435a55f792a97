"""Explains a rated part: for each line the quantity, the rate, the amount and the clause it rests on."""

from dataclasses import dataclass

import numpy as np

from khata.kernel.bills import Group
from khata.kernel.rating import Traced, rate


@dataclass(frozen=True)
class Explained:
    """One line of a bill part; `steps` are the slabs or the one multiplication behind `amount_paise`."""

    line: str
    printed: str
    amount_paise: int
    steps: tuple[Traced, ...]


def explain(group: Group, position: int) -> tuple[Explained, ...]:
    """The lines of one part, rated again by the same function with its steps noted."""
    steps: dict[int, list[Traced]] = {}
    parts = group.parts.take(np.array([position]))
    again = rate(group.order, group.schedule, parts, lambda line, step: steps.setdefault(line, []).append(step))
    return tuple(
        Explained(line.id, line.printed, int(again.lines[0, number]), tuple(steps.get(number, ())))
        for number, line in enumerate(group.schedule.lines)
    )
