"""What a run reads for its bills: terms, meters, the end of each last bill, registers and demand, as columns."""

import datetime as dt
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from khata.billing.rules import (
    DAYS_MISSING,
    EARLIER_HOLD,
    FEWEST_DAYS,
    LASTING,
    NOT_READ_THIS_MONTH,
    TOO_SOON,
    Month,
    Reason,
)
from khata.consumers.queries import TermsRows, terms
from khata.jobs.bulk import integers
from khata.kernel.days import date_of, day_number, month_number
from khata.kernel.determinants import DAYS, Facts
from khata.kernel.quantities import Int64
from khata.metering.models import Origin
from khata.metering.queries import UNKNOWN, Days, Hung, Readings, brought, days, hung, readings

Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PartFacts:
    """All that the bills of some connections depend on. Connections rise; `facts` numbers them 0 … n-1.

    `readings` were taken of each connection's meters from the day `readings_from` to the month's end, all revisions.
    """

    connections: Int64
    facts: Facts
    terms: TermsRows
    unissued: dict[int, Reason]  # by position: not to be billed this time, and why
    readings_from: Int64
    readings: Int64


def part_facts(
    connections: Int64, month: Month, since: dt.date, categories: tuple[str, ...], areas: tuple[str, ...]
) -> PartFacts:
    """Read what bills of a month need: terms, meters, the end of the last bill, registers and demand.

    `since` is the first day that was ever billed here: who was entered late is billed from then on.
    """
    ids = np.sort(connections)
    term_rows = terms(ids, month.end, categories, areas)
    meters = hung(ids, month.end)
    billed = _or_brought(_last_billed(ids, month.cycle), ids, meters, month)
    spans = _Spans(ids, month, since, term_rows, meters, billed)
    plain, smart = _measured(spans, meters, month)
    readings_from = np.minimum(spans.start, day_number(month.start) - READ_BACK_DAYS)
    taken = _taken(spans, meters, plain, readings_from)
    spans.begin_at_readings(plain)
    end, unissued = spans.ends(plain)
    unissued.update(_days_missing(spans, meters, smart, end))
    registers = _registers(plain, smart, billed, _changed_since(ids, meters, smart, billed, month))
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
        register_estimated=registers[3] == 1,
        demand_meter=demand[0],
        demand_from=demand[1],
        demand_to=demand[2],
        demand_w=demand[3],
        carried_meter=billed.meter,
        carried_wh=billed.register_wh,
        carried_estimated=billed.estimated,
    )
    return PartFacts(ids, facts, term_rows, unissued, readings_from, taken)


@dataclass(frozen=True)
class _Billed:
    """How the last bill of each connection ended; 0 where there is none."""

    end: Int64
    meter: Int64
    register_wh: Int64
    estimated: Bool  # that register
    owed_from: Int64  # never billed, but held or parked in an earlier month: where that bill would have begun; else 0
    held: Bool  # since then a bill was held that somebody must look at


def _last_billed(ids: Int64, cycle: dt.date) -> _Billed:
    query = """
        select distinct on (b.connection_id) b.connection_id, (b.cycle - date '1970-01-01')::bigint,
            (b.period_end - date '1970-01-01')::bigint,
            p.meters[array_upper(p.meters, 1)], p.closing_wh[array_upper(p.closing_wh, 1)],
            (p.meters[array_upper(p.meters, 1)] = any(p.closing_estimated))::int::bigint
        from billing_bill b join billing_billpart p on p.bill_id = b.id
        where b.connection_id = any(%s) and b.cycle < %s
        order by b.connection_id, b.cycle desc, b.revision desc, p.number desc"""
    rows = integers(query, (ids.tolist(), cycle), 6)
    at = np.searchsorted(ids, rows[0])
    last_cycle, end, meter, register, estimated = (np.zeros(len(ids), np.int64) for _ in range(5))
    for column, values in zip((last_cycle, end, meter, register, estimated), rows[1:], strict=True):
        column[at] = values
    owed, held = _since_then(ids, last_cycle, cycle)
    return _Billed(end, meter, register, estimated == 1, np.where(end > 0, 0, owed), held)


def _since_then(ids: Int64, last_cycle: Int64, cycle: dt.date) -> tuple[Int64, Bool]:
    """Of the months since each last bill that gave none: where the first would have begun, and is one held for good.

    Of a month that was released and yet gave no bill, the newest reason counts.
    """
    query = """
        select connection_id, (cycle - date '1970-01-01')::bigint,
            ((evidence->>'start')::date - date '1970-01-01')::bigint, (reason = any(%s))::int::bigint
        from (select distinct on (connection_id, cycle) * from billing_unissued
              where connection_id = any(%s) and cycle < %s order by connection_id, cycle desc, part_id desc) u
        where outcome <> 'not due' order by connection_id, cycle desc"""
    owner, month, start, lasting = integers(query, (list(LASTING), ids.tolist(), cycle), 4)
    owner = np.searchsorted(ids, owner)
    since = month > last_cycle[owner]
    owed, held = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
    owed[owner[since]] = start[since]  # the oldest month comes last, and stays
    held[owner[since & (lasting == 1)]] = True
    return owed, held


def _or_brought(billed: _Billed, ids: Int64, meters: Hung, month: Month) -> _Billed:
    """The same, where an old system billed up to the reading that it brought along as if that ended a bill of ours.

    What it billed while a wave was back with it is newer than our last bill, and than what we held before.
    """
    last = brought(np.unique(meters.meter[meters.meter > 0]), month.end)
    if not len(last.meter):
        return billed
    at = np.minimum(np.searchsorted(last.meter, meters.meter), len(last.meter) - 1)
    owner = np.searchsorted(ids, meters.connection)
    day = last.day[at]
    counts = (last.meter[at] == meters.meter) & (day >= meters.from_day)
    counts &= (day > billed.end[owner]) & (day >= billed.owed_from[owner])
    owner, at, day = owner[counts], at[counts], day[counts]
    held, estimated = billed.held.copy(), billed.estimated.copy()
    held[owner[day > billed.owed_from[owner]]] = False
    estimated[owner] = False
    end, meter, register, owed = (
        column.copy() for column in (billed.end, billed.meter, billed.register_wh, billed.owed_from)
    )
    end[owner], meter[owner], register[owner], owed[owner] = day, last.meter[at], last.register_wh[at], 0
    return _Billed(end, meter, register, estimated, owed, held)


class _Spans:
    """From which day to which day each connection is billed."""

    def __init__(
        self, ids: Int64, month: Month, since: dt.date, term_rows: TermsRows, meters: Hung, billed: _Billed
    ) -> None:
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
        fresh = np.maximum(np.maximum(day_number(since), began), hung_from)
        self.start = np.where(billed.end > 0, billed.end, np.where(billed.owed_from > 0, billed.owed_from, fresh))
        # The meter with which a first bill begins: it may have been changed since.
        self.first, first_smart = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        rows = np.flatnonzero(meters.from_day <= np.maximum(day_number(month.start), hung_from)[self.meter_of])
        self.first[self.meter_of[rows]] = meters.meter[rows]
        first_smart[self.meter_of[rows]] = meters.smart[rows] == 1
        self.fresh_plain = ~first_smart & (self.first > 0) & (billed.end == 0) & (billed.owed_from == 0)

    def begin_at_readings(self, plain: Readings) -> None:
        """A meter read on the spot is first billed from its last reading before the month, or its first in it."""
        key, month = plain.meter * DAYS + plain.day, day_number(self.month.start)
        before = np.searchsorted(key, self.first * DAYS + month, side="right") - 1
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
        soon = ~self.smart & (newest > self.start) & (newest < self.start + FEWEST_DAYS)
        unissued.update({int(row): TOO_SOON for row in np.flatnonzero(soon)})
        unissued.update({int(row): EARLIER_HOLD for row in np.flatnonzero(self.billed.held)})
        return np.maximum(end, self.start), unissued


def _first_of(count: int, owner: Int64, day: Int64) -> Int64:
    first = np.full(count, 2**40)
    np.minimum.at(first, owner, day)
    return np.where(first == 2**40, 0, first)


READ_BACK_DAYS = 62  # before the month: of every meter, so that one read each second month has its reading before


def _measured(spans: _Spans, meters: Hung, month: Month) -> tuple[Readings, Days]:
    """Readings and meter days of the periods. The few connections that were not billed for long are read apart."""
    start = day_number(month.start)
    of = spans.meter_of
    late = (spans.start[of] < start) & (meters.meter > 0)
    late_smart = late & (meters.smart == 1)
    since = month.start - dt.timedelta(days=READ_BACK_DAYS)
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


def _taken(spans: _Spans, meters: Hung, plain: Readings, since: Int64) -> Int64:
    """How many readings were taken of each connection's meters from its day `since` on, corrections counted too.

    They are never taken back, so that there are more later only if one has come: late_days.py asks the same question.
    """
    pairs = np.unique(np.array([spans.meter_of, meters.meter])[:, meters.meter > 0], axis=1)
    owner, meter = pairs
    low = np.searchsorted(plain.meter * DAYS + plain.day, meter * DAYS + since[owner])
    high = np.searchsorted(plain.meter, meter, side="right")
    upto = np.concatenate([[0], np.cumsum(plain.revision + 1)])
    taken = np.zeros(len(spans.ids), np.int64)
    np.add.at(taken, owner, upto[high] - upto[np.minimum(low, high)])
    return taken


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
    key = smart.meter[known] * DAYS + smart.day[known]
    start, until = np.maximum(meters.from_day, spans.start[spans.meter_of]), end[spans.meter_of]
    same = spans.meter_of[1:] == spans.meter_of[:-1]
    until[:-1] = np.where(same, np.minimum(until[:-1], meters.from_day[1:]), until[:-1])
    there = np.searchsorted(key, meters.meter * DAYS + until) - np.searchsorted(key, meters.meter * DAYS + start)
    short = np.isin(meters.meter, smart.meter[bare]) & (start < until) & (there != until - start)
    return {int(row): DAYS_MISSING for row in spans.meter_of[short]}


def _registers(
    plain: Readings, smart: Days, billed: _Billed, changed: dict[int, int]
) -> tuple[Int64, Int64, Int64, Int64]:
    """Registers at day boundaries, from readings and from both ends of meter days; sorted by meter and day.

    The last column says which were estimated.
    """
    bare = _without_register(smart)
    register = np.where(bare, _running(smart, billed, changed), smart.register_wh)
    kept = (register != UNKNOWN) & (smart.total_wh != UNKNOWN)
    meter, day, total, register = smart.meter[kept], smart.day[kept], smart.total_wh[kept], register[kept]
    guess = (smart.origin[kept] == Origin.ESTIMATED) & ~bare[kept]
    guess[guess] = ~_shown(meter[guess], day[guess], register[guess])
    guess = guess.astype(np.int64)
    # A day's beginning is the end of the day before; only after a gap must it be worked back.
    alone = np.ones(len(meter), np.bool_)
    alone[1:] = (meter[1:] != meter[:-1]) | (day[1:] != day[:-1] + 1)
    meters = np.concatenate([plain.meter, meter, meter[alone]])
    at = np.concatenate([plain.day, day + 1, day[alone]])
    wh = np.concatenate([plain.register_wh, register, (register - total)[alone]])
    estimated = np.concatenate([np.zeros_like(plain.meter), guess, guess[alone]])
    order = np.lexsort((at, meters))
    meters, at, wh, estimated = meters[order], at[order], wh[order], estimated[order]
    first = np.ones(len(meters), np.bool_)
    first[1:] = (meters[1:] != meters[:-1]) | (at[1:] != at[:-1])
    return meters[first], at[first], wh[first], estimated[first]


def _shown(meter: Int64, day: Int64, register_wh: Int64) -> Bool:
    """Which of these registers the meter showed: a day's origin speaks of its total, and its register may have come.

    Asked of days that were estimated alone, each found by the key.
    """
    if not len(meter):
        return np.zeros(0, np.bool_)
    query = """
        select a.n - 1 from unnest(%s::bigint[], %s::int[], %s::bigint[]) with ordinality as a (meter, day, register, n)
        cross join lateral (
            select from metering_meterday d
            where d.meter_id = a.meter and d.day = date '1970-01-01' + a.day and d.channel = 0
                and d.day >= %s and d.day <= %s
                and d.register_wh = a.register and d.origin <> %s and d.rule is null limit 1) d"""
    first, last = date_of(int(day.min())), date_of(int(day.max()))
    asked = meter.tolist(), day.tolist(), register_wh.tolist(), first, last, int(Origin.ESTIMATED)
    return np.isin(np.arange(len(meter)), integers(query, asked, 1)[0])


def _running(smart: Days, billed: _Billed, changed: dict[int, int]) -> Int64:
    """Totals added up from the register of the last bill: the register that a file of totals did not bring.

    `changed`: by how many Wh the billed days of a meter changed since; the next bill makes up for it.
    """
    if not len(billed.meter) or not len(smart.meter):
        return np.zeros_like(smart.total_wh)
    order = np.argsort(billed.meter, kind="stable")
    at = order[np.minimum(np.searchsorted(billed.meter[order], smart.meter), len(order) - 1)]
    known = billed.meter[at] == smart.meter
    base = np.where(known, billed.register_wh[at], 0)
    # Days before the end of the last bill are read for the sake of others in the part.
    billed_already = known & (smart.day < billed.end[at])
    total = np.where(billed_already | (smart.total_wh == UNKNOWN), 0, smart.total_wh)
    upto = np.cumsum(total)
    before = np.concatenate([[0], upto])[np.searchsorted(smart.meter, smart.meter, side="left")]
    for meter, energy_wh in changed.items():
        base = np.where(smart.meter == meter, base + energy_wh, base)
    return np.asarray(base + upto - before, np.int64)


_BILLED_SPANS = """
    select b.connection_id, u.meter, (p.start - date '1970-01-01')::bigint, (p."end" - date '1970-01-01')::bigint,
        u.closing - u.opening
    from billing_bill b join billing_billpart p on p.bill_id = b.id
    cross join lateral unnest(p.meters, p.opening_wh, p.closing_wh) as u (meter, opening, closing)
    where b.connection_id = any(%s) and b.cycle < %s and u.meter = any(%s)
    order by b.connection_id, p.start"""


def _changed_since(ids: Int64, meters: Hung, smart: Days, billed: _Billed, month: Month) -> dict[int, int]:
    """Of meters without registers whose billed days were corrected: their days as known now less what was billed.

    With registers the next difference has it by itself. All bills of such a meter are added up, earlier adjustments
    with them, so a change is made up for once.
    """
    bare = np.unique(smart.meter[_without_register(smart)])
    bare = bare[np.isin(bare, billed.meter)]
    if not len(bare):
        return {}
    query = """
        select distinct meter_id from metering_meterday
        where meter_id = any(%s) and channel = 0 and revision > 0 and day >= %s and day < %s order by meter_id"""
    since = month.start - dt.timedelta(days=_LATE_DAYS)
    corrected = integers(query, (bare.tolist(), since, month.end), 1)[0]
    owners = ids[np.isin(billed.meter, corrected)]
    if not len(owners):
        return {}
    rows = integers(_BILLED_SPANS, (owners.tolist(), month.cycle, corrected.tolist()), 5)
    hung_from = {(c, m): day for c, m, day in zip(meters.connection, meters.meter, meters.from_day, strict=True)}
    found = {}
    for owner in owners.tolist():
        at = int(np.searchsorted(ids, owner))
        meter = int(billed.meter[at])
        _, _, start, end, energy = (column[(rows[0] == owner) & (rows[1] == meter)] for column in rows)
        if len(start) and end[-1] == billed.end[at]:  # an old system has billed nothing in between
            start = np.maximum(start, hung_from.get((owner, meter), 0))
            known = _energy_wh(meter, start, end)
            if known is not None and known != energy.sum():
                found[meter] = known - int(energy.sum())
    return found


_LATE_DAYS = 62  # before the month: late days are taken for 45, and it may be the next month when they are billed


def _energy_wh(meter: int, start: Int64, end: Int64) -> int | None:
    """The days of some spans as they are known now; None where one is not, or has a register of its own."""
    stored = days(np.array([meter]), date_of(int(start.min())), date_of(int(end.max())))
    inside = ((stored.day[:, None] >= start) & (stored.day[:, None] < end)).any(axis=1)
    total = stored.total_wh[inside]
    whole = len(total) == int((end - start).sum()) and (total != UNKNOWN).all()
    return int(total.sum()) if whole and (stored.register_wh[inside] == UNKNOWN).all() else None


def _demands(plain: Readings, smart: Days) -> tuple[Int64, Int64, Int64, Int64]:
    known, said = smart.demand_w != UNKNOWN, plain.demand_w != UNKNOWN
    # What a reading shows was drawn since the reading before: it says nothing of the days before that one.
    since = np.zeros_like(plain.day)
    since[1:] = np.where(plain.meter[1:] == plain.meter[:-1], plain.day[:-1], 0)
    meter = np.concatenate([plain.meter[said], smart.meter[known]])
    order = np.argsort(meter, kind="stable")
    return (
        meter[order],
        np.concatenate([since[said], smart.day[known]])[order],
        np.concatenate([plain.day[said], smart.day[known] + 1])[order],
        np.concatenate([plain.demand_w[said], smart.demand_w[known]])[order],
    )
