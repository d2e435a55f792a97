"""What a run reads for its bills, and what is shown of them afterwards."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from django.db import connection

from khata.billing.models import Bill, BillPart, BillRun
from khata.billing.rules import DAYS_MISSING, EARLIER_HOLD, LASTING, NOT_READ_THIS_MONTH, Month, Reason
from khata.consumers.models import Connection, OldNumber
from khata.consumers.queries import TermsRows, terms
from khata.display.bill_text import BillView, LineView, ReadingView, SlabView
from khata.display.labels import Language
from khata.formats.pgcopy import Field
from khata.jobs.bulk import copy_out, integers
from khata.kernel.bills import Group, Priced, Segments, price
from khata.kernel.changes import rate_above
from khata.kernel.days import date_of, day_number, month_number
from khata.kernel.determinants import Facts
from khata.kernel.explain import explain
from khata.kernel.order import ExcessDemand, Minimum, SlabsTelescopic, SlabSubsidy
from khata.metering.models import Meter
from khata.metering.queries import UNKNOWN, Days, Hung, Readings, days, hung, readings
from khata.tariffs.queries import published_orders

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
_DAYS = 2**20  # one number for a meter and a day


@dataclass(frozen=True)
class PartFacts:
    """All that the bills of some connections depend on. Connections rise; `facts` numbers them 0 … n-1."""

    connections: Int64
    facts: Facts
    terms: TermsRows
    unissued: dict[int, Reason]  # by position: not to be billed this time, and why


def part_facts(connections: Int64, month: Month, categories: tuple[str, ...], areas: tuple[str, ...]) -> PartFacts:
    """Read what bills of a month need: terms, meters, the end of the last bill, registers and demand."""
    ids = np.sort(connections)
    term_rows = terms(ids, month.end, categories, areas)
    meters = hung(ids, month.end)
    billed = _last_billed(ids, month.cycle)
    spans = _Spans(ids, month, term_rows, meters, billed)
    plain, smart = _measured(spans, meters, month)
    spans.begin_at_readings(plain)
    end, unissued = spans.ends(plain)
    unissued.update(_days_missing(spans, meters, smart, end))
    registers = _registers(plain, smart, billed)
    demand = _demands(plain, smart)
    facts = Facts(
        start=spans.start,
        end=end,
        terms_connection=np.searchsorted(ids, term_rows.connection),
        terms_from=term_rows.from_day,
        terms_ended=term_rows.ended,
        meter_connection=np.searchsorted(ids, meters.connection),
        meter_from=meters.from_day,
        meter=meters.meter,
        register_meter=registers[0],
        register_day=registers[1],
        register_wh=registers[2],
        demand_meter=demand[0],
        demand_from=demand[1],
        demand_to=demand[2],
        demand_w=demand[3],
        carried_meter=billed.meter,
        carried_wh=billed.register_wh,
    )
    return PartFacts(ids, facts, term_rows, unissued)


@dataclass(frozen=True)
class _Billed:
    """How the last bill of each connection ended; 0 where there is none."""

    end: Int64
    meter: Int64
    register_wh: Int64
    owed_from: Int64  # never billed, but held or parked in an earlier month: where that bill would have begun; else 0
    held: Bool  # since then a bill was held that somebody must look at


def _last_billed(ids: Int64, cycle: dt.date) -> _Billed:
    query = """
        select distinct on (b.connection_id) b.connection_id, (b.cycle - date '1970-01-01')::bigint,
            (b.period_end - date '1970-01-01')::bigint,
            p.meters[array_upper(p.meters, 1)], p.closing_wh[array_upper(p.closing_wh, 1)]
        from billing_bill b join billing_billpart p on p.bill_id = b.id
        where b.connection_id = any(%s) and b.cycle < %s
        order by b.connection_id, b.cycle desc, b.revision desc, p.number desc"""
    rows = integers(query, (ids.tolist(), cycle), 5)
    at = np.searchsorted(ids, rows[0])
    last_cycle, end, meter, register = (np.zeros(len(ids), np.int64) for _ in range(4))
    for column, values in zip((last_cycle, end, meter, register), rows[1:], strict=True):
        column[at] = values
    owed, held = _since_then(ids, last_cycle, cycle)
    return _Billed(end, meter, register, np.where(end > 0, 0, owed), held)


def _since_then(ids: Int64, last_cycle: Int64, cycle: dt.date) -> tuple[Int64, Bool]:
    """Of the months since each last bill that gave none: where the first would have begun, and is one held for good."""
    query = """
        select u.connection_id, (r.cycle - date '1970-01-01')::bigint,
            ((u.evidence->>'start')::date - date '1970-01-01')::bigint, (u.reason = any(%s))::int::bigint
        from billing_unissued u join jobs_part p on p.id = u.part_id join billing_billrun r on r.run_id = p.run_id
        where u.connection_id = any(%s) and u.outcome <> 'not due' and r.cycle < %s
        order by u.connection_id, r.cycle desc"""
    owner, month, start, lasting = integers(query, (list(LASTING), ids.tolist(), cycle), 4)
    owner = np.searchsorted(ids, owner)
    since = month > last_cycle[owner]
    owed, held = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
    owed[owner[since]] = start[since]  # the oldest month comes last, and stays
    held[owner[since & (lasting == 1)]] = True
    return owed, held


class _Spans:
    """From which day to which day each connection is billed."""

    def __init__(self, ids: Int64, month: Month, term_rows: TermsRows, meters: Hung, billed: _Billed) -> None:
        self.ids, self.month, self.billed = ids, month, billed
        count = len(ids)
        self.meter_of = np.searchsorted(ids, meters.connection)
        last = np.ones(len(self.meter_of), np.bool_)
        last[:-1] = self.meter_of[1:] != self.meter_of[:-1]
        self.current, self.smart = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        self.every, self.first_month = np.zeros(count, np.int64), np.zeros(count, np.int64)
        rows = np.flatnonzero(last)
        self.current[self.meter_of[rows]] = meters.meter[rows]
        self.smart[self.meter_of[rows]] = meters.smart[rows] == 1
        self.every[self.meter_of[rows]] = meters.cycle_every[rows]
        self.first_month[self.meter_of[rows]] = meters.cycle_month[rows]
        # Energy from before the supply began belongs to nobody's terms.
        began = _first_of(count, np.searchsorted(ids, term_rows.connection), term_rows.from_day)
        hung_from = _first_of(count, self.meter_of, meters.from_day)
        fresh = np.maximum(np.maximum(day_number(month.start), began), hung_from)
        self.start = np.where(billed.end > 0, billed.end, np.where(billed.owed_from > 0, billed.owed_from, fresh))
        # The meter with which a first bill begins: it may have been changed since.
        self.first, first_smart = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        rows = np.flatnonzero(meters.from_day <= np.maximum(day_number(month.start), hung_from)[self.meter_of])
        self.first[self.meter_of[rows]] = meters.meter[rows]
        first_smart[self.meter_of[rows]] = meters.smart[rows] == 1
        self.fresh_plain = ~first_smart & (self.first > 0) & (billed.end == 0) & (billed.owed_from == 0)

    def begin_at_readings(self, plain: Readings) -> None:
        """A meter read on the spot is first billed from its last reading before the month, or its first in it."""
        key, month = plain.meter * _DAYS + plain.day, day_number(self.month.start)
        before = np.searchsorted(key, self.first * _DAYS + month, side="right") - 1
        if not len(key):
            return
        inside = np.minimum(before + 1, len(key) - 1)
        has_before = (plain.meter[np.maximum(before, 0)] == self.first) & (before >= 0)
        has_inside = plain.meter[inside] == self.first
        read = np.where(has_before, plain.day[np.maximum(before, 0)], plain.day[inside])
        self.start = np.where(self.fresh_plain & (has_before | has_inside), read, self.start)

    def ends(self, plain: Readings) -> tuple[Int64, dict[int, Reason]]:
        """The end of each period: the month's for smart meters, the newest reading's day for the others."""
        end = np.full(len(self.ids), day_number(self.month.end))
        newest = np.zeros(len(self.ids), np.int64)
        at = np.searchsorted(plain.meter, self.current, side="right") - 1
        if len(plain.meter):
            has = plain.meter[np.maximum(at, 0)] == self.current
            newest = np.where(has, plain.day[np.maximum(at, 0)], 0)
        read = month_number(self.month.start)
        due = (self.every <= 1) | ((read - self.first_month) % np.maximum(self.every, 1) == 0)
        end = np.where(self.smart | (newest <= self.start), end, newest)
        unissued = {int(row): NOT_READ_THIS_MONTH for row in np.flatnonzero(~self.smart & (self.current > 0) & ~due)}
        unissued.update({int(row): EARLIER_HOLD for row in np.flatnonzero(self.billed.held)})
        return np.maximum(end, self.start), unissued


def _first_of(count: int, owner: Int64, day: Int64) -> Int64:
    first = np.full(count, 2**40)
    np.minimum.at(first, owner, day)
    return np.where(first == 2**40, 0, first)


def _measured(spans: _Spans, meters: Hung, month: Month) -> tuple[Readings, Days]:
    """Readings and meter days of the periods. The few connections that were not billed for long are read apart."""
    start = day_number(month.start)
    of = spans.meter_of
    late = (spans.start[of] < start) & (meters.meter > 0)
    late_smart = late & (meters.smart == 1)
    since = month.start - dt.timedelta(days=62)
    late_plain = (spans.start[of] < day_number(since)) & (meters.meter > 0)
    plain = readings(np.unique(meters.meter[meters.meter > 0]), since, month.end)
    smart = days(meters.meter[meters.smart == 1], month.start, month.end)
    if late_plain.any():
        first, last = date_of(int(spans.start[of][late_plain].min())), since - dt.timedelta(days=1)
        plain = Readings(*_joined(plain, readings(np.unique(meters.meter[late_plain]), first, last)))
    if late_smart.any():
        first = date_of(int(spans.start[of][late_smart].min()))
        smart = Days(*_joined(smart, days(meters.meter[late_smart], first, month.start)))
    return plain, smart


def _joined(one: Readings | Days, other: Readings | Days) -> list[Int64]:
    """The columns of both, sorted by meter and day."""
    columns = [np.concatenate([getattr(one, column.name), getattr(other, column.name)]) for column in fields(one)]
    order = np.lexsort((columns[1], columns[0]))
    return [column[order] for column in columns]


def _without_register(smart: Days) -> Bool:
    """Rows of meters none of whose days brought a register: a file of daily totals."""
    known = np.unique(smart.meter[smart.register_wh != UNKNOWN])
    return ~np.isin(smart.meter, known)


def _days_missing(spans: _Spans, meters: Hung, smart: Days, end: Int64) -> dict[int, Reason]:
    """Without a register, a missing day's energy is lost: such a month is held, not billed short."""
    bare = _without_register(smart)
    if not bare.any():
        return {}
    known = bare & (smart.total_wh != UNKNOWN)
    key = smart.meter[known] * _DAYS + smart.day[known]
    start, until = np.maximum(meters.from_day, spans.start[spans.meter_of]), end[spans.meter_of]
    same = spans.meter_of[1:] == spans.meter_of[:-1]
    until[:-1] = np.where(same, np.minimum(until[:-1], meters.from_day[1:]), until[:-1])
    there = np.searchsorted(key, meters.meter * _DAYS + until) - np.searchsorted(key, meters.meter * _DAYS + start)
    short = np.isin(meters.meter, smart.meter[bare]) & (start < until) & (there != until - start)
    return {int(row): DAYS_MISSING for row in spans.meter_of[short]}


def _registers(plain: Readings, smart: Days, billed: _Billed) -> tuple[Int64, Int64, Int64]:
    """Registers at day boundaries, from readings and from both ends of meter days; sorted by meter and day."""
    bare = _without_register(smart)
    register = np.where(bare, _running(smart, billed), smart.register_wh)
    kept = (register != UNKNOWN) & (smart.total_wh != UNKNOWN)
    meter, day, total, register = smart.meter[kept], smart.day[kept], smart.total_wh[kept], register[kept]
    # A day's beginning is the end of the day before; only after a gap must it be worked back.
    alone = np.ones(len(meter), np.bool_)
    alone[1:] = (meter[1:] != meter[:-1]) | (day[1:] != day[:-1] + 1)
    meters = np.concatenate([plain.meter, meter, meter[alone]])
    at = np.concatenate([plain.day, day + 1, day[alone]])
    wh = np.concatenate([plain.register_wh, register, (register - total)[alone]])
    order = np.lexsort((at, meters))
    meters, at, wh = meters[order], at[order], wh[order]
    first = np.ones(len(meters), np.bool_)
    first[1:] = (meters[1:] != meters[:-1]) | (at[1:] != at[:-1])
    return meters[first], at[first], wh[first]


def _running(smart: Days, billed: _Billed) -> Int64:
    """Totals added up from the register of the last bill: the register that a file of totals did not bring."""
    total = np.where(smart.total_wh == UNKNOWN, 0, smart.total_wh)
    upto = np.cumsum(total)
    first = np.searchsorted(smart.meter, smart.meter, side="left")
    base = np.zeros(len(total), np.int64)
    order = np.argsort(billed.meter, kind="stable")
    at = np.minimum(np.searchsorted(billed.meter[order], smart.meter), max(len(order) - 1, 0))
    if len(order):
        base = np.where(billed.meter[order][at] == smart.meter, billed.register_wh[order][at], 0)
    before = np.concatenate([[0], upto])[first] if len(total) else upto
    return np.asarray(base + upto - before, np.int64)


def _demands(plain: Readings, smart: Days) -> tuple[Int64, Int64, Int64, Int64]:
    known = smart.demand_w != UNKNOWN
    # What a reading shows was drawn since the reading before: it says nothing of the days before that one.
    since = np.zeros_like(plain.day)
    since[1:] = np.where(plain.meter[1:] == plain.meter[:-1], plain.day[:-1], 0)
    meter = np.concatenate([plain.meter, smart.meter[known]])
    order = np.argsort(meter, kind="stable")
    return (
        meter[order],
        np.concatenate([since, smart.day[known]])[order],
        np.concatenate([plain.day, smart.day[known] + 1])[order],
        np.concatenate([plain.demand_w, smart.demand_w[known]])[order],
    )


# -- for printing and messages -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Addressees:
    """Of each connection asked for: last four of its account number, language, mobile that messages can reach ('')."""

    tail: npt.NDArray[np.bytes_]
    language: npt.NDArray[np.bytes_]
    mobile: npt.NDArray[np.bytes_]
    arrears_paise: Int64


def addressees(connections: Int64, receivable: int) -> Addressees:
    """In the order of `connections`, which must rise."""
    whom = """
        select array_agg(consumer_id), string_agg(right(account_number, 4), '')
        from (select consumer_id, account_number from consumers_connection where id = any(%s) order by id) as q"""
    consumer, tail = copy_out(whom, (connections.tolist(),), [Field("int8[]"), Field("text")])
    people, place = np.unique(consumer[0], return_inverse=True)
    reach = """
        select string_agg(language, ''), string_agg(rpad(mobile_key, 10), '')
        from (select language, mobile_key from consumers_consumer where id = any(%s) order by id) as q"""
    language, mobile = copy_out(reach, (people.tolist(),), [Field("text")] * 2)
    owed = "select subject, amount_paise from ledger_balance where subject = any(%s) and head_id = %s"
    subject, amount = integers(owed, (connections.tolist(), receivable), 2)
    arrears = np.zeros(len(connections), np.int64)
    arrears[np.searchsorted(connections, subject)] = amount
    return Addressees(
        np.frombuffer(tail[0], "S4"),
        np.frombuffer(language[0], "S2")[place],
        np.strings.rstrip(np.frombuffer(mobile[0], "S10"))[place],
        arrears,
    )


# -- the digest of a cycle ---------------------------------------------------------------------------------------------

_DIGEST_BILLS = """
    select concat_ws('|', c.account_number, b.kind, b.revision, b.bill_date, b.due_date, b.period_start, b.period_end,
        b.energy_wh, b.assessed_paise, b.subsidy_paise, b.rebate_paise, b.payable_paise, b.arrears_paise, b.draft,
        p.number, p.start, p."end", e."order", e.sha256, s.name, p.load_w, p.demand_w, p.energy_wh, p.lines_paise,
        p.opening_wh, p.closing_wh, g.amount_paise, m.template, m.values)
    from billing_bill b
    join consumers_connection c on c.id = b.connection_id
    join discoms_discom d on d.id = c.discom_id
    join billing_billpart p on p.bill_id = b.id
    join tariffs_rateschedule s on s.id = p.schedule_id join tariffs_edition e on e.id = s.edition_id
    left join ledger_posting g on g.entry_id = b.entry_id and g.subject = b.connection_id
    left join notices_message m on m.cause = 'billing:bill:' || b.id
    where d.code = %(discom)s and b.cycle = %(cycle)s
    order by c.account_number collate "C", b.kind, b.revision, p.number"""
_DIGEST_UNISSUED = """
    select concat_ws('|', c.account_number, u.outcome, u.reason)
    from billing_unissued u join consumers_connection c on c.id = u.connection_id
    join jobs_part j on j.id = u.part_id join billing_billrun r on r.run_id = j.run_id
    join discoms_discom d on d.id = r.discom_id
    where d.code = %(discom)s and r.cycle = %(cycle)s
    order by c.account_number collate "C" """
_DIGEST_HEADS = """
    select concat_ws('|', h.code, sum(g.amount_paise))
    from billing_billrun r join discoms_discom d on d.id = r.discom_id
    join jobs_part j on j.run_id = r.run_id
    join ledger_entry e on e.kind = 'bills' and e.cause = 'billing:part:' || j.id
    join ledger_posting g on g.entry_id = e.id join ledger_head h on h.id = g.head_id
    where d.code = %(discom)s and r.cycle = %(cycle)s
    group by h.code order by h.code collate "C" """


def digest(*, discom: str, cycle: dt.date) -> str:
    """SHA-256 over all amounts, lines and postings of a cycle, ordered by account number, without ids and times."""
    sha = hashlib.sha256()
    for query in (_DIGEST_BILLS, _DIGEST_UNISSUED, _DIGEST_HEADS):
        with (
            connection.cursor() as cursor,
            cursor.cursor.copy(f"copy ({query}) to stdout", _params(discom, cycle)) as rows,
        ):
            for block in rows:
                sha.update(block)
        sha.update(b"\n--\n")
    return sha.hexdigest()


def _params(discom: str, cycle: dt.date) -> dict[str, object]:
    return {"discom": discom, "cycle": cycle}


# -- stored bills, rated again -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredParts:
    """Parts of bills of one run as they are stored, in the order of bills and days, and rated again."""

    bill: Int64  # ids
    lines_paise: npt.NDArray[np.int64]  # (parts, most lines), 0 beyond a schedule's lines
    schedule: Int64
    again: Priced
    again_lines: npt.NDArray[np.int64]
    again_schedule: Int64

    def differing(self) -> Int64:
        """Ids of bills that did not come out to the same paise under the same schedule."""
        differs = (self.lines_paise != self.again_lines).any(axis=1) | (self.schedule != self.again_schedule)
        return np.unique(self.bill[differs | (self.again.refusal > 0)])


def rated_again(run: BillRun, bills: Sequence[int] | None) -> StoredParts:
    """Rate bills of a run (None: all) from their stored determinants under the orders pinned by the run."""
    published = published_orders(run.run.terms["editions"])
    orders = tuple(order for order, _ in published)
    matches = [schedule.match for order in orders for schedule in order.schedules]
    categories = tuple(sorted({match.category for match in matches}))
    areas = tuple(sorted({match.area for match in matches if match.area}))
    query = """
        select p.bill_id, (p.start - date '1970-01-01')::bigint, (p."end" - date '1970-01-01')::bigint,
            array_position(%s::text[], t.category)::bigint - 1, array_position(%s::text[], t.area)::bigint - 1,
            (t.mode = 'prepaid')::int::bigint, p.load_w::bigint, p.demand_w::bigint, p.energy_wh, p.schedule_id,
            p.lines_paise
        from billing_bill b join jobs_part j on j.id = b.part_id
        join billing_billpart p on p.bill_id = b.id join consumers_terms t on t.id = p.terms_id
        where j.run_id = %s and (%s::bigint[] is null or b.id = any(%s))
        order by p.bill_id, p.number"""
    wanted = None if bills is None else list(bills)
    params = (list(categories), list(areas), run.run_id, wanted, wanted)
    *columns, lines = copy_out(query, params, [Field("int8")] * 10 + [Field("int8[]", null=0)])
    bill, start, end, category, area, prepaid, load, demand, energy, schedule = (
        np.asarray(c, np.int64) for c in columns
    )
    segments = Segments(
        bill=np.searchsorted(np.unique(bill), bill),
        start=start,
        end=end,
        category=category,
        area=area,
        prepaid=prepaid,
        load_w=load,
        demand_w=demand,
        energy_wh=energy,
        bill_day=np.full(len(bill), day_number(run.bill_date)),
        categories=categories,
        areas=areas,
    )
    priced = price(orders, segments, metered=True)
    ids = {(order.sha256, name): number for order, names in published for name, number in names.items()}
    again, again_schedule = np.zeros_like(lines), np.zeros_like(schedule)
    for group in priced.groups:
        again[group.rows, : group.rated.lines.shape[1]] = group.rated.lines
        again_schedule[group.rows] = ids[group.order.sha256, group.schedule.name]
    return StoredParts(bill, np.asarray(lines, np.int64), schedule, priced, again, again_schedule)


# -- showing a bill ----------------------------------------------------------------------------------------------------


def bills_of(account_number: str, cycle: dt.date | None) -> list[Bill]:
    """The bills of an account, newest first."""
    found = Bill.objects.select_related("connection").filter(connection__account_number=account_number)
    return list((found.filter(cycle=cycle) if cycle else found).order_by("-cycle", "-revision"))


def bill_view(bill: Bill, language: Language, *, mask_name: bool) -> BillView:
    """All that a print of a bill shows; its lines are explained by rating its stored determinants again."""
    run = BillRun.objects.select_related("run", "division", "discom").get(run__part__id=bill.part_id)
    connection = Connection.objects.select_related("consumer").get(id=bill.connection_id)
    old = OldNumber.objects.filter(connection=connection, last_day__gte=bill.bill_date).first()
    stored = rated_again(run, [bill.id])
    parts = list(BillPart.objects.select_related("terms").filter(bill=bill).order_by("number"))
    groups = sorted(((int(row), group, at) for group in stored.again.groups for at, row in enumerate(group.rows)))
    hindi = language == "hi"
    return BillView(
        account_number=connection.account_number,
        old_number=old.number if old else None,
        old_number_last_day=old.last_day if old else None,
        name=connection.consumer.name,
        mask_name=mask_name,
        discom=run.discom.name_hi if hindi else run.discom.name_en,
        division=run.division.name_hi if hindi else run.division.name_en,
        category=" + ".join(dict.fromkeys(group.schedule.name for _, group, _ in groups)),
        sanctioned_load_w=parts[-1].load_w,
        max_demand_w=max(part.demand_w for part in parts),
        energy_wh=bill.energy_wh,
        period_start=bill.period_start,
        period_end=bill.period_end,
        bill_number=bill.number,
        bill_date=bill.bill_date,
        due_date=bill.due_date,
        readings=_reading_views(parts),
        lines=tuple(view for _, group, at in groups for view in _line_views(group, at)),
        slabs=_slab_views(groups[0][1], groups[0][2]) if len(groups) == 1 else (),
        bill_paise=bill.payable_paise,
        arrears_paise=bill.arrears_paise,
        payable_paise=bill.payable_paise + bill.arrears_paise,
        draft=bill.draft,
        sources=_sources(groups),
    )


def _sources(groups: Sequence[tuple[int, Group, int]]) -> tuple[str, ...]:
    """The orders that rated the bill, and the readings that its lines cite, each once."""
    found: dict[str, None] = {}
    for _, group, at in groups:
        found[f"{group.order.title} ({group.order.path})"] = None
        cited = {step.clause for line in explain(group, at) for step in line.steps}
        for reading in group.order.readings:
            if reading.id in cited:
                found[f"{reading.id} ({reading.evidence}): {reading.question} {reading.answer}"] = None
    return tuple(found)


def _reading_views(parts: list[BillPart]) -> tuple[ReadingView, ...]:
    """Each meter once: parts that split its stretch are joined again."""
    spans: dict[int, list[tuple[int, int, dt.date, dt.date]]] = {}
    for part in parts:
        for meter, opening, closing in zip(part.meters, part.opening_wh, part.closing_wh, strict=True):
            spans.setdefault(meter, []).append((opening, closing, part.start, part.end))
    serials = dict(Meter.objects.filter(id__in=spans).values_list("id", "serial"))
    return tuple(
        ReadingView(
            meter_number=serials[meter],
            previous_wh=span[0][0],
            previous_day=span[0][2],
            present_wh=span[-1][1],
            present_day=span[-1][3],
            multiplier=1,
            consumption_wh=span[-1][1] - span[0][0],
        )
        for meter, span in spans.items()
    )


# What a step's quantity is counted in, as the views want it: unit, and thousandths of it in one.
_UNITS = {"cW": ("kW", 100), "W": ("kW", 1), "Wh": ("kWh", 1), "paise": ("₹", None)}


def _line_views(group: Group, at: int) -> Iterator[LineView]:
    idle = {line.id for line in group.schedule.lines if isinstance(line, ExcessDemand | Minimum)}
    for line in explain(group, at):
        if not line.amount_paise and (not line.steps or line.line in idle):
            continue  # not of this bill, as a prepaid rebate on a post-paid one, or demand that was not exceeded
        if len(line.steps) != 1:
            yield LineView(line.line, line.amount_paise, clause=line.steps[0].clause if line.steps else "")
            continue
        step = line.steps[0]
        unit, divisor = _UNITS[step.unit]
        milli = step.quantity * 10 if divisor is None else step.quantity // divisor
        percent = step.rate_unit == "%"
        rate_unit = "%" if percent else "₹/" + step.rate_unit.removeprefix("INR/").removesuffix("/month")
        yield LineView(
            line.line, line.amount_paise, milli, unit, step.rate * (100 if percent else 1), rate_unit, step.clause
        )


def _slab_views(group: Group, at: int) -> tuple[SlabView, ...]:
    """How the units filled the slabs, at what the consumer pays for each: full rate less subsidy."""
    energy = [line for line in group.schedule.lines if isinstance(line, SlabsTelescopic)]
    subsidy = [line for line in group.schedule.lines if isinstance(line, SlabSubsidy)]
    ladders = [line.slabs for line in energy] + [line.slabs for line in subsidy]
    limits = sorted({slab.up_to_wh for slabs in ladders for slab in slabs if slab.up_to_wh is not None})
    if not energy or not limits:
        return ()
    months, used = int(group.parts.months[at]), int(group.parts.energy_wh[at])
    views = []
    for low, high in zip([0, *limits], [*limits, None], strict=True):
        net = sum(rate_above(line.slabs, low) for line in energy) - sum(rate_above(line.slabs, low) for line in subsidy)
        top = used if high is None else min(used, high * months)
        upper = None if high is None else high * months
        views.append(SlabView(low * months, upper, max(top - low * months, 0), net))
    return tuple(views)
