"""The bill run: one division, one bill month, in parts of one transaction each. See docs/algorithms/bill-run.md.

A run reads top to bottom here: `run_cycle` plans or finds the runs, has every open part worked and closes the
equations. One part (read, determine, rate, hold what is absurd, store and post) is `work` of `billing/part.py`.
"""

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from django.db import transaction

from khata.audit.operations import record
from khata.billing.models import BillingPolicy, BillRun
from khata.billing.part import Setting, work
from khata.billing.rules import Policy
from khata.consumers.queries import supplied
from khata.discoms.models import Discom, Office
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, integers
from khata.jobs.models import Run
from khata.jobs.operations import RunDoesNotCloseError, close, commit_without_waiting, exclusive, plan, work_parts
from khata.jobs.queries import closed_equation, find_run, open_parts
from khata.kernel.quantities import Int64
from khata.ledger.queries import heads
from khata.tariffs.operations import publish
from khata.tariffs.queries import PublishedOrders, order_files, orders_of, published_orders, read_files

Progress = Callable[[int, int], None]  # connections done, of how many

PART_SIZE = 5_000
WORKERS = 2  # more threads than cores of the database gain nothing
# expected = issued + held + parked + not due; issued = messages queued + no usable address; posted = billed
LEFT = ("expected", "issued", "posted_paise")
RIGHT = (("issued", "held", "parked", "not due"), ("messages", "no address"), ("payable_paise",))


class BillingError(Exception):
    """A run cannot be planned; the message says what is missing and the next step."""


# -- the run -----------------------------------------------------------------------------------------------------------


def run_cycle(
    *,
    discom: Discom,
    cycle: dt.date,
    divisions: Sequence[Office],
    bill_date: dt.date | None,
    today: dt.date,
    tariffs: Path,
    part_size: int,
    workers: int,
    actor: str,
    progress: Progress,
) -> dict[str, dict[str, int]]:
    """Run every division for one bill month; what an earlier, killed run did stays done. Returns the equations.

    `workers` threads work on parts, each with a connection to the database of its own.

    Raises RunBusyError if another process bills the same company, BillingError, OrderError, RunDoesNotCloseError.
    """
    equations, troubles = {}, []
    if cycle > today:
        raise BillingError(
            f"the consumption that bills of {cycle:%Y-%m} bill has not ended on {today}. Choose a month."
        )
    # Not two months at once either: arrears and first registers come from the month before.
    with alone(discom):
        planned = {division.id: find_run(_key(discom, division, cycle)) for division in divisions}
        # A run that is planned already has its orders; whatever has become of the files does not matter to it.
        editions = [] if all(planned.values()) else _publish(discom, tariffs)
        with transaction.atomic():
            terms = _Terms.of(discom, cycle, bill_date, editions)
            _check_order(terms, divisions)
            runs = {each: planned[each.id] or _plan(terms, each, part_size) for each in divisions}
        work_runs(runs=list(runs.values()), workers=workers, progress=progress)
        before = {run.id: closed_equation(run) for run in runs.values()}
        for division, run in runs.items():
            closed = before[run.id]
            try:
                equations[division.name_en] = close_run(run=run, actor=actor) if closed is None else closed
            except RunDoesNotCloseError as trouble:  # the others are closed all the same
                troubles.append(trouble)
        if troubles:
            raise troubles[0]
        if None in before.values():
            # This one commit waits for the disk, and with it all that was written before.
            month = {"cycle": str(cycle)}
            record(actor=actor, action="billing.run-month", object=f"discoms:discom:{discom.id}", details=month)
    return equations


def alone(discom: Discom) -> exclusive:
    """Only one process bills a company: entered, it raises RunBusyError where another does."""
    return exclusive(f"bill-run {discom.code}", wait_seconds=3)


def _publish(discom: Discom, tariffs: Path) -> list[int]:
    """Today's orders of the company, stored with their texts; each line must have a head in the company's books."""
    files = {each.path: each for each in order_files(tariffs)}
    orders = orders_of([read_files(each) for each in files.values()], discom.code)
    known = heads(discom)
    for order in orders:
        unknown = {line for schedule in order.schedules for line in schedule.line_ids} - set(known)
        if unknown:
            raise BillingError(
                f"{discom.code} has no ledger head for {', '.join(sorted(unknown))} of {order.path}. "
                "Open it in ledger.rules, then run again."
            )
    return [publish(order=order, files=files[order.path].sources).edition for order in orders]


def _key(discom: Discom, division: Office, cycle: dt.date) -> str:
    return f"bill:{discom.code}:{cycle:%Y-%m}:{division.id}"


@dataclass(frozen=True)
class _Terms:
    """What the runs of a company's month have in common."""

    discom: Discom
    cycle: dt.date
    bill_date: dt.date
    asked: bool  # for this bill date, by whoever started the run
    policy: Policy
    editions: list[int]

    @classmethod
    def of(cls, discom: Discom, cycle: dt.date, bill_date: dt.date | None, editions: list[int]) -> "_Terms":
        policy = policy_on(discom=discom, day=cycle)
        dated = bill_date or cycle.replace(day=policy.bill_day)
        if (dated.year, dated.month) != (cycle.year, cycle.month):
            raise BillingError(
                f"the bill date {dated} is not in the bill month {cycle:%Y-%m}. Choose a day of that month."
            )
        pinned = Policy(policy.bill_day, policy.due_days, policy.hold_paise_per_kw, policy.hold_load_percent)
        return cls(discom, cycle, dated, bill_date is not None, pinned, editions)


def _check_order(terms: _Terms, divisions: Sequence[Office]) -> None:
    """Months are billed one after the other: arrears, first days and first registers come from the month before."""
    runs = BillRun.objects.filter(division__in=divisions, decision=None, late_part=None).select_related(
        "division", "run__runclosed"
    )
    for run in runs.order_by("cycle", "division_id"):
        name, month = run.division.name_en, f"{run.cycle:%Y-%m}"
        if run.cycle > terms.cycle and not runs.filter(division=run.division, cycle=terms.cycle).exists():
            raise BillingError(
                f"{name} has been billed for {month}, in bills that reach back to the ones before. "
                "A month before that cannot be run any more."
            )
        if run.cycle < terms.cycle and not hasattr(run.run, "runclosed"):
            raise BillingError(f"{name} has an unfinished run of {month}. Run that month again first.")
        if run.cycle == terms.cycle and run.bill_date != terms.bill_date and terms.asked:
            raise BillingError(
                f"{name} was planned for {month} with the bill date {run.bill_date}. Leave the date away."
            )


def _plan(terms: _Terms, division: Office, part_size: int) -> Run:
    """Pin everything the run of a division depends on: who, which orders, which policy, which dates."""
    run = plan(
        kind="bill",
        key=_key(terms.discom, division, terms.cycle),
        terms={"editions": terms.editions, "policy": asdict(terms.policy)},
        subjects=supplied(division=division.id, before=terms.cycle),
        part_size=part_size,
    )
    BillRun.objects.create(
        run=run,
        discom=terms.discom,
        division=division,
        cycle=terms.cycle,
        bill_date=terms.bill_date,
        rated_on=terms.bill_date,
        due_date=terms.bill_date + dt.timedelta(days=terms.policy.due_days),
    )
    return run


def work_runs(*, runs: Sequence[Run], workers: int, progress: Progress) -> None:
    """Work all open parts of the runs. Divisions share orders, so these are read once."""
    published: dict[tuple[int, ...], PublishedOrders] = {}
    parts = []
    for run in runs:
        editions = tuple(run.terms["editions"])
        open_ones = open_parts(run)
        if open_ones and editions not in published:
            published[editions] = published_orders(editions)
        if open_ones:
            with_setting = functools.partial(work, Setting.of(run, published[editions]))
            parts += [(part, with_setting) for part in open_ones]
    work_parts(parts=parts, workers=workers, progress=progress)


@transaction.atomic
def close_run(*, run: Run, actor: str) -> dict[str, int]:
    """Close a run whose equations hold; returns their counts. Raises RunDoesNotCloseError."""
    commit_without_waiting()
    equation = close(run=run, left=LEFT, right=RIGHT)
    record(actor=actor, action="billing.close-run", object=f"jobs:run:{run.id}", details=equation)
    return equation


# -- a company's own choices, and what its old system billed -----------------------------------------------------------


@transaction.atomic
def set_policy(
    *,
    discom: Discom,
    from_date: dt.date,
    bill_day: int,
    due_days: int,
    hold_paise_per_kw: int,
    hold_load_percent: int,
    release_alone_paise: int,
) -> None:
    """From this day on the company bills like this. A second policy of the same day is refused by the database."""
    BillingPolicy.objects.create(
        discom=discom,
        from_date=from_date,
        bill_day=bill_day,
        due_days=due_days,
        hold_paise_per_kw=hold_paise_per_kw,
        hold_load_percent=hold_load_percent,
        release_alone_paise=release_alone_paise,
    )


def policy_on(*, discom: Discom, day: dt.date) -> BillingPolicy:
    """The policy in force on a day. Raises BillingError if there is none."""
    found = BillingPolicy.objects.filter(discom=discom, from_date__lte=day).order_by("-from_date").first()
    if found is None:
        raise BillingError(f"{discom.code} has no billing policy on {day}. Add one that begins on or before that day.")
    return found


@dataclass(frozen=True)
class OldBills:
    """Columns of equal length: bills of the company's own system. `month` is the first day of the bill month."""

    connection: Int64
    month: npt.NDArray[np.datetime64]
    units_wh: Int64
    amount_paise: Int64


@transaction.atomic
def keep_old_bills(*, bills: OldBills) -> int:
    """Keep history to show; it is never posted. A month that is there already stays. Returns how many were kept."""
    month = bills.month.astype("datetime64[D]")
    query = """
        select connection_id, (month - date '1970-01-01')::bigint from billing_oldbill where connection_id = any(%s)"""
    owner, day = integers(query, (np.unique(bills.connection).tolist(),), 2)
    there = set(zip(owner.tolist(), day.tolist(), strict=True))
    pairs = zip(bills.connection.tolist(), month.astype(np.int64).tolist(), strict=True)
    new = np.array([pair not in there for pair in pairs], np.bool_)
    return copy_in(
        "billing_oldbill",
        {
            "connection_id": pgcopy.int8(bills.connection[new]),
            "month": pgcopy.date(month[new]),
            "units_wh": pgcopy.int8(bills.units_wh[new]),
            "amount_paise": pgcopy.int8(bills.amount_paise[new]),
        },
    )
