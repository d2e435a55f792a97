"""The officer's desk for bills: runs of a month, held bills, the decision on each, and the bills that were released.

The web decides (`decide`, `approve`): it writes a row and no bill. The bill is made by a worker (`make_released`) as a
run of one connection, through the same steps as any other. See docs/algorithms/bill-run.md.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import numpy as np
from django.db import connection, transaction

from khata.audit.operations import record
from khata.billing.models import LONGEST_REASON, SHORTEST_REASON, Approval, BillRun, Decision, Unissued
from khata.billing.operations import alone, close_run, policy_on, work_runs
from khata.billing.rules import (
    FIGURE,
    HOLD_WORDS,
    LASTING,
    TOO_DEAR,
    Words,
    lifts,
    needs_checker,
    stake_paise,
    unreleasable,
)
from khata.discoms.models import Discom, Staff
from khata.jobs.models import Run
from khata.jobs.operations import commit_without_waiting, plan

Shown = TypeVar("Shown", "RunRow", "HeldRow")
MOST_RUNS = 500  # more divisions than any company has
State = Literal["waiting", "second person", "being made", "issued", "kept"]
Order = Literal["oldest", "largest"]


class ReleaseError(Exception):
    """A decision that cannot be taken; the message says why and the next step."""


# -- what the officer sees ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunRow:
    """The run of a division and month. `equation` is empty while it is open; `released`: bills made of it since."""

    division: int
    division_hi: str
    division_en: str
    cycle: dt.date
    bill_date: dt.date
    due_date: dt.date
    state: Literal["open", "closed"]
    closed_at: dt.datetime | None
    equation: dict[str, int]
    released: int


def runs_of(*, cycle: dt.date | None) -> list[RunRow]:
    """The runs of a bill month (None: the newest) that the scope may see, by division: at most `MOST_RUNS`."""
    if cycle is None:
        newest = BillRun.objects.filter(decision=None, late_part=None).order_by("-cycle").first()
        if newest is None:
            return []
        cycle = newest.cycle
    query = """
        select r.division_id, o.name_hi, o.name_en, r.cycle, r.bill_date, r.due_date,
            case when x.run_id is null then 'open' else 'closed' end, x.at, coalesce(x.equation, '{}'),
            (select count(*) from billing_billrun s join jobs_runclosed y on y.run_id = s.run_id
             where s.division_id = r.division_id and s.cycle = r.cycle
                 and (s.decision_id is not null or s.late_part_id is not null)
                 and (y.equation->>'issued')::int > 0)
        from billing_billrun r join discoms_office o on o.id = r.division_id
        left join jobs_runclosed x on x.run_id = r.run_id
        where r.cycle = %s and r.decision_id is null and r.late_part_id is null order by r.division_id limit %s"""
    return [_read(RunRow, row, "equation") for row in _rows(query, [cycle, MOST_RUNS])]


@dataclass(frozen=True)
class HeldRow:
    """A held bill. `part` and `connection` name it; the newest decision about it, if any, stands beside it.

    `amount_paise`: what it came to, where it was priced. `releasable`: the figures allow a bill. `checked_by` and what
    follows belong to the second person.
    """

    part: int
    connection: int
    discom: int
    division: int
    cycle: dt.date
    account_number: str
    old_number: str | None
    name: str
    reason: str
    detail: str
    evidence: dict[str, Any]
    earlier_held: bool
    last_bill_paise: int | None
    state: State
    decision: int | None
    verdict: Literal["release", "keep"] | None
    decided_by: int | None
    decided_name: str | None
    decided_at: dt.datetime | None
    decided_reason: str | None
    stake_paise: int | None
    approval: Literal["approve", "refuse"] | None
    checked_by: int | None
    checked_at: dt.datetime | None
    checked_reason: str | None

    @property
    def words(self) -> Words:
        return HOLD_WORDS[self.reason]

    @property
    def amount_paise(self) -> int | None:
        return self.evidence.get("assessed_paise")

    @property
    def releasable(self) -> bool:
        return not unreleasable(reason=self.reason, evidence=self.evidence, earlier_held=self.earlier_held)


# A release that gave no bill leaves a newer row of the month; a later bill has the days of a month without a reading.
_HELD = f"""
    from billing_unissued u
    join consumers_connection c on c.id = u.connection_id
    left join lateral (select * from billing_decision where part_id = u.part_id and connection_id = u.connection_id
                       order by id desc limit 1) d on true
    left join billing_approval a on a.decision_id = d.id
    left join billing_bill b on b.connection_id = u.connection_id and b.cycle = u.cycle and b.kind = 'regular'
        and b.revision = 0
    cross join lateral (select case
        when b.id is not null then 'issued'
        when d.verdict = 'keep' then 'kept'
        when d.id is null or a.verdict = 'refuse' then 'waiting'
        when d.needs_checker and a.verdict is null then 'second person'
        else 'being made' end as state) s
    cross join lateral (select exists (
        select from (select distinct on (cycle) cycle, reason from billing_unissued
                     where connection_id = u.connection_id and cycle < u.cycle
                     order by cycle, part_id desc) e
        where e.reason in ({", ".join(f"'{code}'" for code in LASTING)})
            and not exists (select from billing_bill where connection_id = u.connection_id
                            and cycle >= e.cycle and cycle < u.cycle)) as held) e
    where u.outcome = 'held'
        and not exists (select from billing_unissued
                        where connection_id = u.connection_id and cycle = u.cycle and part_id > u.part_id)
        and not exists (select from billing_bill where connection_id = u.connection_id and cycle > u.cycle
                        and s.state <> 'issued')"""
_SHOWN = f"""
    select u.part_id, u.connection_id, c.discom_id, c.division_id, u.cycle, c.account_number,
        (select number from consumers_oldnumber where connection_id = c.id order by id limit 1),
        (select name from consumers_consumer where id = c.consumer_id),
        u.reason, u.detail, u.evidence, e.held,
        (select payable_paise from billing_bill where connection_id = c.id and cycle < u.cycle
         order by cycle desc, revision desc limit 1),
        s.state, d.id, d.verdict, d.staff_id, (select name from discoms_staff where id = d.staff_id), d.decided_at,
        d.reason, d.amount_paise, a.verdict, a.staff_id, a.approved_at, a.reason {_HELD}"""


# The same sum as rules.stake_paise, so that the largest of all are found and not the largest of the oldest.
_STAKE = f"""
    case when u.reason = '{TOO_DEAR.code}' then (u.evidence->>'assessed_paise')::numeric
         when u.reason in ({", ".join(f"'{code}'" for code in FIGURE)}) then (u.evidence->>'load_w')::numeric
            * (select p.hold_paise_per_kw from billing_billingpolicy p
               where p.discom_id = c.discom_id and p.from_date <= u.cycle order by p.from_date desc limit 1) / 1000
    end"""
_ORDERS: dict[Order, str] = {
    "oldest": "u.cycle, c.division_id, c.account_number",
    "largest": f"{_STAKE} desc nulls last, u.cycle, c.division_id, c.account_number",
}


def held(*, states: Sequence[State], limit: int, offset: int, order: Order = "oldest") -> list[HeldRow]:
    """Held bills of the scope's divisions in these states.

    "oldest": by month, then division and account number. "largest": first what a release could bill the most of.
    """
    query = f"{_SHOWN} and s.state = any(%s) order by {_ORDERS[order]} limit %s offset %s"
    return [_read(HeldRow, row, "evidence") for row in _rows(query, [list(states), limit, offset])]


def held_one(*, part: int, connection: int) -> HeldRow | None:
    """One held bill; None if there is none, or none that the scope may see."""
    rows = _rows(f"{_SHOWN} and u.part_id = %s and u.connection_id = %s", [part, connection])
    return _read(HeldRow, rows[0], "evidence") if rows else None


def held_counts() -> dict[tuple[State, str], int]:
    """How many of the scope's divisions are held, by state and reason; issued ones are not counted."""
    query = f"select s.state, u.reason, count(*) {_HELD} and s.state <> 'issued' group by 1, 2 order by 1, 2"
    return {(state, reason): count for state, reason, count in _rows(query, [])}


def _rows(query: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def _read(kind: type[Shown], row: tuple[Any, ...], of_json: str) -> Shown:
    """A row as what it shows; the driver leaves JSON a text."""
    columns = dict(zip((field.name for field in fields(kind)), row, strict=True))
    return kind(**{**columns, of_json: json.loads(columns[of_json])})


# -- what the officer decides ------------------------------------------------------------------------------------------


@transaction.atomic
def decide(
    *, unissued: Unissued, staff: Staff, verdict: Literal["release", "keep"], reason: str, now: dt.datetime
) -> Decision:
    """Release a held bill, or keep it back. A release of much money takes effect when a second person agrees.

    A kept bill, or one whose release was refused, may be decided again. Raises ReleaseError.
    """
    row = _locked(unissued.part_id, unissued.connection_id)
    if row.state == "kept" and verdict == "keep" and row.decided_by == staff.pk and row.decision:
        return Decision.objects.get(id=row.decision)  # pressed twice
    if row.state not in ("waiting", "kept"):
        raise ReleaseError(f"This bill is decided already ({row.state}). Look at it again.")
    stake, second = None, False
    if verdict == "release":
        if not row.releasable:
            raise ReleaseError(f"{row.words.en}: there is nothing to release yet. {row.words.next_en}.")
        stake, second = _weigh(row)
    made = Decision.objects.create(
        part_id=row.part,
        connection_id=row.connection,
        verdict=verdict,
        reason=_sentence(reason),
        staff=staff,
        decided_at=now,
        amount_paise=stake,
        needs_checker=second,
    )
    _note(staff, f"billing.{verdict}-held", made)
    return made


@transaction.atomic
def approve(
    *, decision: Decision, staff: Staff, verdict: Literal["approve", "refuse"], reason: str, now: dt.datetime
) -> Approval:
    """The second person's word on a release. Raises ReleaseError, also where it is the first person again."""
    row = _locked(decision.part_id, decision.connection_id)
    if row.state != "second person" or row.decision != decision.id:
        raise ReleaseError(f"This release waits for nobody ({row.state}). Look at it again.")
    if row.decided_by == staff.pk:
        raise ReleaseError("Whoever asked for a release cannot also agree to it. Ask a second officer.")
    said = Approval.objects.create(
        decision_id=decision.id, verdict=verdict, reason=_sentence(reason), staff=staff, approved_at=now
    )
    _note(staff, f"billing.{verdict}-release", decision)
    return said


def _locked(part: int, connection_id: int) -> HeldRow:
    """One decision at a time about a connection, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"decide {connection_id}"])
    row = held_one(part=part, connection=connection_id)
    if row is None:
        raise ReleaseError("There is no such held bill. Look at the list again.")
    return row


def _weigh(row: HeldRow) -> tuple[int | None, bool]:
    """The money at stake in a release, and whether a second person must agree."""
    policy = policy_on(discom=Discom.objects.get(id=row.discom), day=row.cycle)
    stake = stake_paise(reason=row.reason, evidence=row.evidence, hold_paise_per_kw=policy.hold_paise_per_kw)
    return stake, needs_checker(stake_paise=stake, release_alone_paise=policy.release_alone_paise)


def _sentence(reason: str) -> str:
    tidy = " ".join(reason.split())
    if not SHORTEST_REASON <= len(tidy) <= LONGEST_REASON:
        raise ReleaseError(
            f"The reason has {len(tidy)} characters. Write a sentence of {SHORTEST_REASON} to {LONGEST_REASON}."
        )
    return tidy


def _note(staff: Staff, action: str, decision: Decision) -> None:
    """The reason itself stays with the decision: the audit trail holds no free text that could name somebody."""
    held_bill = f"{decision.part_id}:{decision.connection_id}"
    record(
        actor=f"staff:{staff.pk}",
        action=action,
        object=f"billing:decision:{decision.id}",
        details={"unissued": held_bill, "needs_checker": decision.needs_checker},
    )


# -- the bills that were released --------------------------------------------------------------------------------------


def make_released(*, discom: Discom, today: dt.date, actor: str) -> dict[str, int]:
    """Make every bill of a company whose release is in effect; what a killed process did stays done. Returns counts.

    Each is a run of one connection under the orders and limits of the run that held it, dated today. Counts are those
    of a run: expected = issued + held (another rule holds it now) + parked + not due. Raises RunBusyError while
    another process bills the company, RunDoesNotCloseError.
    """
    if not (_begun(discom) or _in_effect(discom)):
        return dict(NO_BILLS)
    with alone(discom):
        planned = [_plan(decision, row, today) for decision, row in _in_effect(discom)]
        runs = {run.id: run for run in [*_begun(discom), *planned]}
        return bill_ones(runs=list(runs.values()), discom=discom, actor=actor, action="billing.make-released")


NO_BILLS = {"expected": 0, "issued": 0, "held": 0, "parked": 0, "not due": 0}


def bill_ones(*, runs: Sequence[Run], discom: Discom, actor: str, action: str) -> dict[str, int]:
    """Work and close runs of one connection each; their counts summed. For whoever bills the company alone.

    One that cannot be made does not stop the others; then the first trouble is raised at the end.
    """
    totals, troubles = dict(NO_BILLS), []
    for run in runs:
        try:
            work_runs(runs=[run], workers=1, progress=lambda *_: None)
            made = close_run(run=run, actor=actor)
        except Exception as trouble:
            troubles.append(trouble)
            continue
        for name, count in made.items():
            totals[name] = totals.get(name, 0) + count
    # This one commit waits for the disk, and with it all that was written before.
    record(actor=actor, action=action, object=f"discoms:discom:{discom.id}", details=totals)
    if troubles:
        raise troubles[0]
    return totals


def _begun(discom: Discom) -> list[Run]:
    """Runs of releases that a process planned and did not live to close."""
    found = BillRun.objects.filter(discom=discom, decision__isnull=False, run__runclosed=None)
    return [each.run for each in found.select_related("run").order_by("run_id")]


# Decisions that may be in effect, by what stands beside them: each look is one in an index, and all that were made,
# refused or overtaken are gone before the rows are read in full.
_MAY_BE_IN_EFFECT = """
    select d.id, d.part_id, d.connection_id from billing_decision d
    where d.verdict = 'release'
        and not exists (select from billing_billrun r where r.decision_id = d.id)
        and not exists (select from billing_approval a where a.decision_id = d.id and a.verdict = 'refuse')
        and (not d.needs_checker or exists (select from billing_approval a where a.decision_id = d.id))
        and not exists (select from billing_decision later where later.connection_id = d.connection_id
                        and later.part_id = d.part_id and later.id > d.id)
        and exists (select from consumers_connection c where c.id = d.connection_id and c.discom_id = %s and c.live)
        and not exists (select from billing_unissued u join billing_bill b on b.connection_id = u.connection_id
                            and b.cycle >= u.cycle and b.kind = 'regular'
                        where u.part_id = d.part_id and u.connection_id = d.connection_id)
    order by d.id"""


def _in_effect(discom: Discom) -> list[tuple[Decision, HeldRow]]:
    """Releases for which no run is planned yet, each with the row that it is about.

    What a decision says of its own need of a second person is not believed: the web wrote it.
    """
    found = []
    for decision, part, about in _rows(_MAY_BE_IN_EFFECT, [discom.id]):
        row = held_one(part=part, connection=about)
        if row is not None and row.decision == decision and row.state == "being made":
            agreed = row.approval == "approve" or not _weigh(row)[1]
            found += [(Decision.objects.get(id=decision), row)] if agreed and row.releasable else []
    return found


@transaction.atomic
def _plan(decision: Decision, row: HeldRow, today: dt.date) -> Run:
    """Pin what the run that held the bill had pinned, the day, and the rule that the decision lifts."""
    commit_without_waiting()
    before = BillRun.objects.select_related("run").get(run__part=row.part)
    terms = before.run.terms
    lifted = {**terms.get("lifted", {}), **lifts(reason=row.reason, evidence=row.evidence)}
    run = plan(
        kind="release",
        key=f"release:{decision.id}",
        terms={**terms, "lifted": lifted},
        subjects=np.array([row.connection]),
        part_size=1,
    )
    BillRun.objects.create(
        run=run,
        discom_id=row.discom,
        division_id=before.division_id,
        cycle=before.cycle,
        bill_date=today,
        due_date=today + dt.timedelta(days=terms["policy"]["due_days"]),
        rated_on=before.rated_on,
        decision=decision,
    )
    return run
