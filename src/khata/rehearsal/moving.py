"""The move of the demo: from hand-over files to a live wave, by the operations that a company's own people use."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from khata.consumers.rules import seeded_bodies
from khata.discoms.models import Discom, Staff
from khata.kernel.quantities import Int64
from khata.metering.models import Installation
from khata.migration.comparing import RESULTS
from khata.migration.cutover import cutover
from khata.migration.intake import load
from khata.migration.models import Account, Wave
from khata.migration.operations import decide, propose
from khata.migration.parallel import gate, months_billed, run_parallel
from khata.migration.reconciling import Line, reconcile
from khata.rehearsal.handover import Say, write_handover
from khata.rehearsal.town import Town

WAVE = "W1"
DIRT_PERMILLE = 10


@dataclass(frozen=True)
class Moved:
    """Who moved, ids of connections rising: `row` is the position in the town. Counts of the move beside them."""

    wave: Wave
    row: Int64
    connection: Int64
    account_number: list[str]
    meter: Int64
    accounts: dict[str, int]  # by outcome
    findings: dict[str, int]  # by rule
    signed: tuple[Line, ...]  # equations that were red and signed by two people
    equations: int
    parallel: dict[str, int]
    messages: int


def move(
    *,
    discom: Discom,
    divisions: Sequence[tuple[str, str]],
    town: Town,
    folder: Path,
    at: dt.date,
    people: tuple[Staff, Staff],
    seed: int,
    tariffs: Path,
    say: Say,
) -> Moved:
    """Write the hand-over of a town into `folder`, load it, sign what stands red, compare the bills and cut over."""
    now = dt.datetime.combine(at, dt.time(), dt.UTC)
    write_handover(
        out=folder, discom=discom.code, divisions=divisions, town=town, dirt_permille=DIRT_PERMILLE, seed=seed, say=say
    )
    say("hand-over loaded, rules applied", 0, 1)
    loaded = load(
        directory=folder,
        discom=discom,
        wave=WAVE,
        numbers="new",
        today=at,
        now=now,
        actor="rehearsal",
        say=lambda *_: None,  # eighty files of a second each
    )
    say("hand-over loaded, rules applied", 1, 1)
    wave = loaded.wave
    lines = reconcile(wave)
    red = tuple(line for line in lines if line.red)
    for line in red:
        _accept(wave, line.about, "The accounts officer signed an older sum; every row was looked at", people, now)
    say("bills of the old system rated once more", 0, 1)
    runs = [run_parallel(wave=wave, cycle=cycle, tariffs=tariffs, actor="rehearsal") for cycle in months_billed(wave)]
    for about in gate(wave):
        _accept(wave, about, "Planted, to show what a sum off looks like", people, now)
    say("bills of the old system rated once more", 1, 1)
    act = cutover(wave=wave, at=at, actor="rehearsal", now=now, draw=seeded_bodies([seed, 2]), say=say)
    row, connection, numbers = _who(wave, town)
    hung = dict(
        Installation.objects.filter(connection__in=connection.tolist()).values_list("connection_id", "meter_id")
    )
    return Moved(
        wave=wave,
        row=row,
        connection=connection,
        account_number=numbers,
        meter=np.array([hung[each] for each in connection.tolist()], np.int64),
        accounts=dict(loaded.accounts),
        findings=dict(loaded.findings),
        signed=red,
        equations=len(lines),
        parallel={word: sum(run.summary[word] for run in runs) for word in RESULTS},
        messages=int(act.details.get("messages", 0)),
    )


def _accept(wave: Wave, about: str, reason: str, people: tuple[Staff, Staff], now: dt.datetime) -> None:
    """One person proposes, the other decides: nobody signs alone, in a demo neither."""
    maker, checker = people
    made = propose(
        wave=wave,
        division=None,
        kind="accept",
        about=about,
        column="",
        value="",
        reason=reason,
        maker=maker.id,
        now=now,
    )
    decide(proposal=made.id, approved=True, reason="", checker=checker.id, now=now)


def _who(wave: Wave, town: Town) -> tuple[Int64, Int64, list[str]]:
    at = {number: row for row, number in enumerate(town.folk.old_number)}
    accounts = Account.objects.filter(wave=wave, connection__isnull=False).order_by("connection_id")
    found = list(accounts.values_list("old_number", "connection_id", "account_number"))
    rows = np.array([at[old] for old, _, _ in found], np.int64)
    return rows, np.array([each for _, each, _ in found], np.int64), [number for _, _, number in found]
