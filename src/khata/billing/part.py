"""One part of a run: read, determine, rate, hold what is absurd, store and post, in the caller's transaction.

`work` reads top to bottom. What the run pinned when it was planned stands in `Setting`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from khata.billing.facts import PartFacts, part_facts
from khata.billing.models import BillRun, Unissued
from khata.billing.queries import addressees
from khata.billing.rules import (
    BY_STATUS,
    CURABLE,
    DEMAND_TIMES,
    TOO_DEAR,
    TOO_HIGH,
    TOO_MUCH,
    Bills,
    Month,
    Policy,
    Reason,
    drawable_wh,
    renumbered,
    side_by_side,
    summed,
    too_dear,
)
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.jobs.models import Part, Run
from khata.kernel.bills import Priced, Segments, cuts, price
from khata.kernel.days import date_of, day_number
from khata.kernel.determinants import Determinants, determine
from khata.kernel.order import Order
from khata.kernel.quantities import Bool, Int64
from khata.kernel.rating import KERNEL_VERSION
from khata.ledger.operations import NewPostings, post
from khata.ledger.queries import heads
from khata.ledger.rules import CONSUMERS, OWED
from khata.metering.queries import newest_delivery
from khata.notices.operations import NewMessages, queue
from khata.notices.rules import BILL_ISSUED
from khata.tariffs.queries import PublishedOrders


@dataclass(frozen=True)
class Setting:
    """What a run pinned, read back from the database: a file changed since then changes nothing."""

    bill_run: BillRun
    month: Month
    since: dt.date  # the first day that was ever billed in the division
    policy: Policy
    lifted: Mapping[str, int]  # hold rules that an officer lifted for this run: code → up to which figure
    orders: tuple[Order, ...]
    schedules: dict[tuple[str, str], int]  # (order's hash, schedule) → id
    heads: dict[str, int]
    categories: tuple[str, ...]
    areas: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, published: PublishedOrders) -> "Setting":
        bill_run = BillRun.objects.select_related("discom").get(run=run)
        return cls(
            bill_run,
            Month(bill_run.cycle),
            Month(BillRun.objects.filter(division=bill_run.division_id).earliest("cycle").cycle).start,
            Policy(**run.terms["policy"]),
            run.terms.get("lifted", {}),
            published.orders,
            published.schedules,
            heads(bill_run.discom),
            published.categories,
            published.areas,
        )


def work(setting: Setting, part: Part) -> dict[str, int]:
    """Read, determine, rate, hold, store, post: all of a part in the caller's transaction."""
    subjects = np.array(part.subjects, np.int64)
    seen = newest_delivery()  # before the days are read: what comes meanwhile is late
    read = part_facts(subjects, setting.month, setting.since, setting.categories, setting.areas)
    unissued = dict(read.unissued)
    determinants, priced, owners = _rate(setting, read, unissued)
    bills = summed(priced, owners)
    kept = _plausible(setting, read, bills, priced, unissued)
    _store_unissued(setting, part, read, bills, unissued, seen)
    counts = _issue(setting, part, read, determinants, priced, bills, kept)
    for reason in unissued.values():
        counts[reason.outcome] = counts.get(reason.outcome, 0) + 1
    return {"expected": len(part.subjects), **counts}


def _rate(setting: Setting, read: PartFacts, unissued: dict[int, Reason]) -> tuple[Determinants, Priced, Int64]:
    """Determinants of all who are due, cut where an order matters, and rated; and whose each bill is (position)."""
    found = determine(read.facts, [])
    owners = _due(read, found, unissued)
    owners = _drawable(setting, read, found, owners, unissued)
    segments, rows = _segments(setting, read, found, owners)
    cut = cuts(setting.orders, segments)
    if cut:
        found = determine(read.facts, [(int(found.connection[rows[row]]), day) for row, day in cut])
        # Between two cuts a register may be found to fall that rises over the whole.
        _due(read, found, unissued)
        owners = np.setdiff1d(owners, np.array(sorted(unissued), np.int64))
        segments, rows = _segments(setting, read, found, owners)
    return renumbered(found, rows), price(setting.orders, segments, metered=True), owners


def _due(read: PartFacts, found: Determinants, unissued: dict[int, Reason]) -> Int64:
    """Positions of those who have determinants; why the others have none is added to `unissued`."""
    for row in np.flatnonzero(found.status).tolist():
        unissued.setdefault(row, BY_STATUS[int(found.status[row])])
    return np.setdiff1d(np.arange(len(read.connections)), np.array(sorted(unissued), np.int64))


def _drawable(
    setting: Setting, read: PartFacts, found: Determinants, owners: Int64, unissued: dict[int, Reason]
) -> Int64:
    """Hold what no load could have drawn before it is rated: a wrong figure must not stop everybody else's bill."""
    count = len(read.connections)
    load = read.terms.load_w[found.terms]
    energy, could, demand = (np.zeros(count, np.int64) for _ in range(3))
    np.add.at(energy, found.connection, found.energy_wh)
    np.add.at(could, found.connection, drawable_wh(load_w=load, days=found.end - found.start, policy=setting.policy))
    high = found.demand_w > load * DEMAND_TIMES
    np.maximum.at(demand, found.connection[high], found.demand_w[high])
    could = np.maximum(could, setting.lifted.get(TOO_MUCH.code, 0))
    for reason, rows in ((TOO_MUCH, energy > could), (TOO_HIGH, demand > setting.lifted.get(TOO_HIGH.code, 0))):
        for row in owners[rows[owners]].tolist():
            facts = {"energy_wh": int(energy[row]), "load_w": int(load[found.connection == row].max())}
            if reason is TOO_HIGH:
                facts["demand_w"] = int(demand[row])
            unissued.setdefault(row, replace(reason, facts=facts))
    return np.setdiff1d(owners, np.array(sorted(unissued), np.int64))


def _segments(setting: Setting, read: PartFacts, found: Determinants, owners: Int64) -> tuple[Segments, Int64]:
    rows = np.flatnonzero(np.isin(found.connection, owners))
    terms = found.terms[rows]
    segments = Segments(
        bill=np.searchsorted(owners, found.connection[rows]),
        start=found.start[rows],
        end=found.end[rows],
        category=read.terms.category[terms],
        area=read.terms.area[terms],
        prepaid=read.terms.prepaid[terms],
        load_w=read.terms.load_w[terms],
        demand_w=np.maximum(found.demand_w[rows], 0),
        energy_wh=found.energy_wh[rows],
        bill_day=np.full(len(rows), day_number(setting.bill_run.rated_on)),
        categories=(*setting.categories, "not in any order"),
        areas=(*setting.areas, "not in any order"),
    )
    return segments, rows


def _plausible(
    setting: Setting, read: PartFacts, bills: Bills, priced: Priced, unissued: dict[int, Reason]
) -> npt.NDArray[np.bool_]:
    """Park what could not be priced and hold what is absurd; returns which bills are issued."""
    kept = np.ones(len(bills.connection), np.bool_)
    for row in np.flatnonzero(priced.refusal).tolist():
        bill = int(priced.segments.bill[row])
        kept[bill] = False
        unissued[int(bills.connection[bill])] = Reason("parked", "NOT-PRICED", priced.why(row, setting.orders))
    dear = too_dear(assessed_paise=bills.assessed_paise, load_w=bills.load_w, policy=setting.policy)
    dear &= bills.assessed_paise > setting.lifted.get(TOO_DEAR.code, 0)
    for bill in np.flatnonzero(dear & kept).tolist():
        unissued[int(bills.connection[bill])] = TOO_DEAR
    return kept & ~dear


def _store_unissued(
    setting: Setting, part: Part, read: PartFacts, bills: Bills, unissued: dict[int, Reason], seen: int
) -> None:
    rated = {int(position): row for row, position in enumerate(bills.connection)}

    def evidence(position: int) -> dict[str, object]:
        facts: dict[str, object] = {
            "start": str(date_of(int(read.facts.start[position]))),
            "end": str(date_of(int(read.facts.end[position]))),
        }
        facts.update(unissued[position].facts)
        if unissued[position].code in CURABLE:
            facts["delivery"] = seen
            facts["readings_from"] = str(date_of(int(read.readings_from[position])))
            facts["readings"] = int(read.readings[position])
        row = rated.get(position)
        if row is not None:
            for name in ("energy_wh", "load_w", "assessed_paise"):
                facts[name] = int(getattr(bills, name)[row])
        return facts

    Unissued.objects.bulk_create(
        Unissued(
            part=part,
            connection_id=int(read.connections[position]),
            cycle=setting.bill_run.cycle,
            outcome=reason.outcome,
            reason=reason.code,
            detail=reason.words,
            evidence=evidence(position),
        )
        for position, reason in sorted(unissued.items())
    )


def _issue(
    setting: Setting,
    part: Part,
    read: PartFacts,
    determinants: Determinants,
    priced: Priced,
    bills: Bills,
    kept: npt.NDArray[np.bool_],
) -> dict[str, int]:
    """Post one entry for the part, store its bills and their parts, queue their messages."""
    rows = np.flatnonzero(kept)
    if not len(rows):
        return {"issued": 0, "messages": 0, "no address": 0, "payable_paise": 0, "posted_paise": 0}
    connections = read.connections[bills.connection[rows]]
    to = addressees(connections, [setting.heads[code] for code in OWED])
    ids = next_ids("billing_bill", len(rows))
    entry, posted = _post(setting, part, connections, bills.payable_paise[rows], priced, kept)
    _store_bills(setting, part, ids, entry, connections, to.arrears_paise, bills, rows)
    _store_parts(setting, read, determinants, priced, ids, kept)
    due = to.arrears_paise + bills.payable_paise[rows]
    queued = _queue(setting, connections, ids, due, to.tail, to.language, to.mobile)
    return {
        "issued": len(rows),
        "messages": queued,
        "no address": int((to.mobile == b"").sum()),
        "payable_paise": int(bills.payable_paise[rows].sum()),
        "posted_paise": posted,
    }


def _post(
    setting: Setting,
    part: Part,
    connections: Int64,
    payable: Int64,
    priced: Priced,
    kept: npt.NDArray[np.bool_],
) -> tuple[int, int]:
    """One entry: each connection owes its bill; each head earns the sum of its lines."""
    earned: dict[str, int] = {}
    for group in priced.groups:
        lines = group.rated.lines[kept[priced.segments.bill[group.rows]]]
        for line, amount in zip(group.schedule.line_ids, lines.sum(axis=0).tolist(), strict=True):
            earned[line] = earned.get(line, 0) + amount
    earned = {line: amount for line, amount in earned.items() if amount}
    heads_of = np.array([setting.heads[line] for line in earned], np.int64)
    receivable = np.full(len(connections), setting.heads[CONSUMERS])
    ids = post(
        kind="bills",
        causes=[f"billing:part:{part.id}"],
        business_dates=np.array([day_number(setting.bill_run.bill_date)]),
        postings=NewPostings(
            entry=np.zeros(len(connections) + len(earned), np.int64),
            head=np.concatenate([receivable, heads_of]),
            subject=np.concatenate([connections, np.zeros(len(earned), np.int64)]),
            amount_paise=np.concatenate([payable, -np.array(list(earned.values()), np.int64)]),
        ),
    )
    return int(ids[0]), sum(earned.values())


def _store_bills(
    setting: Setting,
    part: Part,
    ids: Int64,
    entry: int,
    connections: Int64,
    arrears: Int64,
    bills: Bills,
    rows: Int64,
) -> None:
    def same(value: int) -> Int64:
        return np.full(len(rows), value)

    run = setting.bill_run
    copy_in(
        "billing_bill",
        {
            "id": pgcopy.int8(ids),
            "connection_id": pgcopy.int8(connections),
            "cycle": pgcopy.date(same(day_number(run.cycle))),
            "kind": pgcopy.text(np.full(len(rows), b"regular")),
            "revision": pgcopy.int2(same(0)),
            "part_id": pgcopy.int8(same(part.id)),
            "entry_id": pgcopy.int8(same(entry)),
            "bill_date": pgcopy.date(same(day_number(run.bill_date))),
            "due_date": pgcopy.date(same(day_number(run.due_date))),
            "period_start": pgcopy.date(bills.start[rows]),
            "period_end": pgcopy.date(bills.end[rows]),
            "energy_wh": pgcopy.int8(bills.energy_wh[rows]),
            "assessed_paise": pgcopy.int8(bills.assessed_paise[rows]),
            "subsidy_paise": pgcopy.int8(bills.subsidy_paise[rows]),
            "rebate_paise": pgcopy.int8(bills.rebate_paise[rows]),
            "payable_paise": pgcopy.int8(bills.payable_paise[rows]),
            "arrears_paise": pgcopy.int8(arrears),
            "draft": pgcopy.boolean(bills.draft[rows]),
        },
    )


def _store_parts(
    setting: Setting,
    read: PartFacts,
    determinants: Determinants,
    priced: Priced,
    ids: Int64,
    kept: npt.NDArray[np.bool_],
) -> None:
    segments = priced.segments
    id_of = np.zeros(len(kept), np.int64)
    id_of[kept] = ids
    first = np.searchsorted(segments.bill, segments.bill)
    schedule = np.zeros(len(segments), np.int64)
    widest = max(len(group.schedule.lines) for group in priced.groups)
    lines, count = np.zeros((len(segments), widest), np.int64), np.zeros(len(segments), np.int64)
    for group in priced.groups:
        schedule[group.rows] = setting.schedules[group.order.sha256, group.schedule.name]
        lines[group.rows, : group.rated.lines.shape[1]] = group.rated.lines
        count[group.rows] = group.rated.lines.shape[1]
    meters, opening, closing, stretches = side_by_side(determinants, len(segments))
    demand = determinants.demand_w
    rows = np.flatnonzero(kept[segments.bill])
    copy_in(
        "billing_billpart",
        {
            "bill_id": pgcopy.int8(id_of[segments.bill[rows]]),
            "number": pgcopy.int2((np.arange(len(segments)) - first)[rows]),
            "start": pgcopy.date(segments.start[rows]),
            '"end"': pgcopy.date(segments.end[rows]),
            "schedule_id": pgcopy.int8(schedule[rows]),
            "terms_id": pgcopy.int8(read.terms.id[determinants.terms][rows]),
            "load_w": pgcopy.int4(segments.load_w[rows]),
            "demand_w": pgcopy.int4(demand[rows], null=demand[rows] < 0),
            "energy_wh": pgcopy.int8(segments.energy_wh[rows]),
            "lines_paise": pgcopy.int8_array(lines[rows], lengths=count[rows]),
            "meters": pgcopy.int8_array(meters[rows], lengths=stretches[rows]),
            "opening_wh": pgcopy.int8_array(opening[rows], lengths=stretches[rows]),
            "closing_wh": pgcopy.int8_array(closing[rows], lengths=stretches[rows]),
            "kernel": pgcopy.int2(np.full(len(rows), KERNEL_VERSION)),
            **_estimated("opening_estimated", determinants, determinants.stretch_opening_estimated, rows),
            **_estimated("closing_estimated", determinants, determinants.stretch_closing_estimated, rows),
        },
    )


def _estimated(name: str, found: Determinants, which: Bool, rows: Int64) -> dict[str, pgcopy.Column]:
    """The column of meters whose register was estimated, of some segments; none where all were read."""
    owner, meter = found.stretch_segment[which], found.stretch_meter[which]
    if not len(owner):
        return {}
    order = np.argsort(owner, kind="stable")
    owner, meter = owner[order], meter[order]
    count = np.bincount(owner, minlength=len(found.start))
    table = np.zeros((len(found.start), int(count.max())), np.int64)
    table[owner, np.arange(len(owner)) - np.searchsorted(owner, owner)] = meter
    return {name: pgcopy.int8_array(table[rows], lengths=count[rows], null=count[rows] == 0)}


def _queue(
    setting: Setting,
    connections: Int64,
    ids: Int64,
    due: Int64,
    tail: npt.NDArray[np.bytes_],
    language: npt.NDArray[np.bytes_],
    mobile: npt.NDArray[np.bytes_],
) -> int:
    """The bill SMS of each bill whose consumer can be reached; the amount is the ledger's, this bill included."""
    to = mobile != b""
    cause = np.char.add(b"billing:bill:", ids[to].astype("S20"))
    last_day = np.full(int(to.sum()), str(setting.bill_run.due_date).encode())
    return queue(
        template=BILL_ISSUED,
        messages=NewMessages(
            connections[to], language[to], mobile[to], (tail[to], due[to].astype("S20"), last_day), cause
        ),
    )
