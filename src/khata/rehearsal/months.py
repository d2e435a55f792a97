"""A bill month of the demo: the run, then the payments of those who pay."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.db.models import Count

from khata.billing.models import Bill, BillRun, Unissued
from khata.billing.operations import PART_SIZE, WORKERS, run_cycle
from khata.discoms.models import Discom, Office
from khata.kernel.quantities import Int64
from khata.payments.operations import NewReceipts, take
from khata.rehearsal.counters import Payments, payments

Say = Callable[[str, int, int], None]  # what is being made, how many are done, of how many


@dataclass(frozen=True)
class Payers:
    """One row a connection, ids rising: how it is known at a counter, and where that is."""

    connection: Int64
    account_number: list[str]
    old_number: list[str]
    office: Int64


@dataclass(frozen=True)
class RunMade:
    """One bill month: the equation of each division, and who got no bill (outcome, reason, how many)."""

    cycle: dt.date
    bill_date: dt.date
    equations: dict[str, dict[str, int]]
    unissued: tuple[tuple[str, str, int], ...]
    receipts: int
    received_paise: int


_AT_ONCE = 2_000  # receipts in one transaction


def bill_month(
    *,
    discom: Discom,
    offices: list[Office],
    cycle: dt.date,
    today: dt.date,
    tariffs: Path,
    payers: Payers,
    rng: np.random.Generator,
    say: Say,
) -> RunMade:
    """Run every division for the month; then people pay, as far as `today` has come."""
    equations = _run(discom, offices, cycle, today, tariffs, len(payers.connection), say)
    run = BillRun.objects.filter(discom=discom, cycle=cycle).order_by("division_id")[0]
    unissued = Unissued.objects.filter(part__run__billrun__discom=discom, part__run__billrun__cycle=cycle)
    reasons = unissued.values_list("outcome", "detail").annotate(Count("connection")).order_by("outcome", "detail")
    receipts, received = _pay(discom, run, today, payers, rng, say)
    return RunMade(cycle, run.bill_date, equations, tuple(reasons), receipts, received)


def _run(
    discom: Discom, offices: list[Office], cycle: dt.date, today: dt.date, tariffs: Path, total: int, say: Say
) -> dict[str, dict[str, int]]:
    step = f"bills of {cycle:%B %Y}, by connection"
    say(step, 0, total)
    return run_cycle(
        discom=discom,
        cycle=cycle,
        divisions=offices,
        bill_date=None,
        today=today,
        tariffs=tariffs,
        part_size=PART_SIZE,
        workers=WORKERS,
        actor="rehearsal",
        progress=lambda done, total: say(step, done, total),
    )


def _pay(
    discom: Discom, run: BillRun, today: dt.date, payers: Payers, rng: np.random.Generator, say: Say
) -> tuple[int, int]:
    """Payments of a month, at a counter of each consumer's own division: how many, and their sum."""
    step = f"payments of {run.cycle:%B %Y}"
    bills = Bill.objects.filter(cycle=run.cycle, connection__discom=discom).order_by("connection_id")
    owed = np.array(bills.values_list("connection_id", "payable_paise", "arrears_paise"), np.int64).reshape(-1, 3)
    rows = np.searchsorted(payers.connection, owed[:, 0])
    paid = payments(
        due_paise=owed[:, 1] + owed[:, 2],
        account=[payers.account_number[row] for row in rows.tolist()],
        old=[payers.old_number[row] for row in rows.tolist()],
        bill_date=run.bill_date,
        due_date=run.due_date,
        today=today,
        rng=rng,
    )
    total = len(paid.bill)
    for first in range(0, total, _AT_ONCE):
        say(step, first, total)
        chunk = slice(first, first + _AT_ONCE)
        take(
            discom=discom,
            channel="counter",
            receipts=_receipts(run, payers, owed[:, 0], rows, paid, np.arange(total)[chunk]),
        )
    say(step, total, total)
    return total, int(paid.amount_paise.sum())


def _receipts(
    run: BillRun, payers: Payers, connection: Int64, rows: Int64, paid: Payments, chosen: Int64
) -> NewReceipts:
    serials = np.char.zfill((chosen + 1).astype("S"), 6)
    bill = paid.bill[chosen]
    return NewReceipts(
        connection=connection[bill],
        reference=np.char.add(f"{run.cycle:%Y%m}-".encode(), serials),
        office=payers.office[rows[bill]],
        typed=np.array(paid.typed, dtype="S")[chosen],
        matched=np.array(paid.matched, dtype="S")[chosen],
        amount_paise=paid.amount_paise[chosen],
        received_on=paid.day[chosen],
    )
