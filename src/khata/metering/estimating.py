"""Estimates for what no meter data company sent: each a revision beneath which stands what was received.

A night's work: meters with a gap are found from the covering index, then filled some hundred at a time, each lot in a
transaction of its own. The arithmetic is `kernel.estimates`; docs/algorithms/estimation.md says it in words.
"""

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass, fields, replace

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from khata.formats.pgcopy import Field
from khata.jobs.bulk import copy_out, integers, last_of_day, next_ids
from khata.kernel.estimates import BETWEEN_REGISTERS, INSIDE_A_DAY, LIKE_DAYS, Filled, History, Limits, fill
from khata.kernel.quantities import Bool, Int64
from khata.kernel.revisions import ESTIMATED, MeterDays, nothing
from khata.metering.intake import wait_for_turn
from khata.metering.models import Channel, Delivery
from khata.metering.operations import make_months, sender_coded
from khata.metering.queries import Readings, readings
from khata.metering.rules import KINDS, Rules, read_rules
from khata.metering.stored import StoredDays
from khata.metering.storing import Revisions, copy_revisions, encoded, state_of

SENDER, FORM = "khata", "estimate"
WINDOW_DAYS = 62  # late days are taken for 45, and a bill may reach back a month
HABIT_DAYS = 70  # before the window: what the days are weighed by, and the registers of a gap
AT_ONCE = 300  # meters in a transaction
UNKNOWN = -1
_YEAR = 364  # the same weekday
COUNTED = (
    "EST-01", "EST-02", "EST-03", "unchanged", "withdrawn",
    "contradicted", "over limit", "no first register", "no final register",
)  # fmt: skip
_RULES = {BETWEEN_REGISTERS: "EST-01", INSIDE_A_DAY: "EST-02", LIKE_DAYS: "EST-03"}


@dataclass(frozen=True)
class Estimated:
    """Days by what became of them: EST-01 to EST-03 (stored now), unchanged, withdrawn, and why others are not filled:
    contradicted, over limit, no final register, no first register. `meters`: looked at."""

    counts: dict[str, int]


def estimate(*, discom: int | None, until: dt.date, today: dt.date) -> Estimated:
    """Estimate the unknown days and half-hours before `until` of smart meters, of one company or of all.

    What was estimated before is estimated anew where something else is known since, and else left as it is: run
    again, it changes nothing. A killed run has done whole lots of meters.
    """
    if until > today:
        raise ValueError(f"{until} is not over on {today}: nobody can owe its values yet")
    counts: Counter[str] = Counter()
    found = _with_gaps(discom, until - dt.timedelta(days=WINDOW_DAYS), until, today)
    meters = np.unique(found.meter)
    for start in range(0, len(meters), AT_ONCE):
        counts.update(_estimate(found.of(meters[start : start + AT_ONCE]), until, today))
    return Estimated({"meters": len(meters), **{name: counts[name] for name in COUNTED}})


@dataclass(frozen=True)
class _Spans:
    """When each meter hung where something was supplied: [low, high) in day numbers. By meter."""

    meter: Int64
    low: Int64
    high: Int64
    kind: Int64

    def of(self, meters: Int64) -> "_Spans":
        at = np.isin(self.meter, meters)
        return _Spans(*(getattr(self, each.name)[at] for each in fields(self)))


# Meters whose days are not all known, or known only in part: from the index. What
# a meter owes begins with its first day, unless it was hung since: there are thousands that have hardly begun to speak.
_WITH_GAPS = """
    with spans as materialized (
        select i.meter_id, i.from_date as low, least(i.until, e.from_date, %(today)s) as high
        from (select meter_id, connection_id, from_date,
                  lead(from_date) over (partition by connection_id order by from_date) as until
              from (select distinct on (connection_id, from_date) * from metering_installation
                    order by connection_id, from_date, revision desc) latest) i
        join consumers_connection c on c.id = i.connection_id and c.live
        join metering_meter m on m.id = i.meter_id and m.smart
        left join lateral (
            select from_date, ended from consumers_terms t where t.connection_id = c.id
            order by from_date desc, revision desc limit 1) e on e.ended
        where %(discom)s::int is null or c.discom_id = %(discom)s
    ), hung as (
        select meter_id, sum(least(high, %(until)s) - greatest(low, %(first)s)) as days, min(low) as low from spans
        where high > %(first)s and low < %(until)s and high > low group by meter_id
    ), stored as (
        select d.meter_id, count(*) as days, count(*) filter (where known between 1 and 47) as partly,
            min(d.day) as began
        from (select distinct on (meter_id, day) meter_id, day, total_wh, origin, known from metering_meterday
              where day >= %(first)s and day < %(until)s and channel = 0
              order by meter_id, day, revision desc) d
        join spans s on s.meter_id = d.meter_id and d.day >= s.low and d.day < s.high
        where d.total_wh is not null and d.origin <> 2 group by d.meter_id
    )
    select s.meter_id, s.low - date '1970-01-01', s.high - date '1970-01-01',
        coalesce(array_position(%(kinds)s::text[], m.kind), 1) - 1
    from spans s join hung h on h.meter_id = s.meter_id join metering_meter m on m.id = s.meter_id
    left join stored t on t.meter_id = s.meter_id
    where s.high > s.low and (t.partly > 0 or coalesce(t.days, 0) < h.days - case
        when t.began is not null and (h.low > %(first)s or t.began = %(first)s) then 0
        when exists (select from metering_meterday e where e.meter_id = s.meter_id and e.channel = 0
                     and e.day < %(first)s and e.day >= %(first)s - %(habits)s) then 0
        else coalesce(t.began - %(first)s, h.days) end)
    order by s.meter_id, s.low"""


def _with_gaps(discom: int | None, first: dt.date, until: dt.date, today: dt.date) -> _Spans:
    values = {
        "discom": discom,
        "first": first,
        "until": until,
        "today": today,
        "kinds": list(KINDS),
        "habits": HABIT_DAYS,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set local enable_nestloop = off")  # nobody knows how many rows a `with` has
        cursor.execute(_WITH_GAPS, values)
        rows = np.array(cursor.fetchall(), np.int64).reshape(-1, 4)
    return _Spans(*rows.T)


@transaction.atomic
def _estimate(spans: _Spans, until: dt.date, today: dt.date) -> Counter[str]:
    """One lot of meters: read, filled, and what differs from what stands is stored."""
    wait_for_turn()
    lot = _Lot(spans, until, today, read_rules())
    counts: Counter[str] = Counter()
    revisions = [made for meter in np.unique(spans.meter).tolist() if (made := lot.of_meter(meter, counts))]
    fresh = sum(int((each.revision == 0).sum()) for each in revisions)
    rows = sum(len(each.day) for each in revisions)
    if rows:
        make_months(np.unique(np.concatenate([each.day for each in revisions])).astype("M8[D]"))
        number = int(next_ids("metering_delivery", 1)[0])
        sha = hashlib.sha256(f"{today} {number}".encode())
        for each in revisions:
            sha.update(each.meter.tobytes() + each.day.tobytes() + each.state.blocks.tobytes())
        Delivery.objects.create(
            id=number, sender=sender_coded(SENDER), sha256=sha.hexdigest(), form=FORM, size=0, today=today,
            rows=rows, accepted=fresh, repeated=0, superseding=rows - fresh, quarantined=0,
        )  # fmt: skip
        copy_revisions(connection.connection, encoded(revisions, number))
    return counts


class _Lot:
    """Some meters with all that is stored of their days: what was received, and the newest revision of each."""

    def __init__(self, spans: _Spans, until: dt.date, today: dt.date, rules: Rules) -> None:
        self.spans, self.rules, self.until_date = spans, rules, until
        self.start, self.until = _number(until) - WINDOW_DAYS, _number(until)
        self.first, self.end = self.start - HABIT_DAYS, _number(today)
        meters = np.unique(spans.meter)
        first, end = _date(self.first), today
        self.meter, self.day, self.revision, self.rule, self.stored = _stored(meters, first, end)
        self.received, self.received_at = state_of(self.stored), _last(self.meter, self.day, self.rule == b"")
        self.newest_at = _last(self.meter, self.day, np.ones(len(self.day), np.bool_))
        self.readings: Readings = readings(meters, first, end)
        self.earlier = _earlier(meters, _date(self.first - _YEAR), end)

    def of_meter(self, meter: int, counts: Counter[str]) -> Revisions | None:
        """The revisions that this meter's days need."""
        length = self.end - self.first
        place = np.full((2, length), UNKNOWN)  # of each day's received and newest row
        for number, rows in enumerate((self.received_at, self.newest_at)):
            own = rows[np.searchsorted(self.meter[rows], meter) : np.searchsorted(self.meter[rows], meter, "right")]
            place[number, self.day[own] - self.first] = own
        received, newest = place
        known = nothing(length)
        there = np.flatnonzero(received >= 0)
        for each in fields(MeterDays):
            column = getattr(known, each.name).copy()
            column[there] = getattr(self.received, each.name)[received[there]]
            known = replace(known, **{each.name: column})
        history, kind = self._history(meter, known, counts)
        limits = Limits(
            self.rules.limit("EST-01", "days", self.until_date, kind),
            *(self.rules.limit("EST-03", name, self.until_date, kind) for name in ("days", "year_days", "least_days")),
        )
        filled = fill(history, limits)
        if not (known.register >= 0).any():
            # Read on the spot alone: bills of such a meter add up totals, which one register among them would cut off.
            filled.register[:] = UNKNOWN
        inside = np.zeros(length, np.bool_)
        inside[self.start - self.first : self.until - self.first] = True
        counts["contradicted"] += int((filled.contradicted & inside).sum())
        counts["over limit"] += int((filled.over_limit & inside).sum())
        return self._revisions(meter, known, filled, newest, inside, counts)

    def _history(self, meter: int, known: MeterDays, counts: Counter[str]) -> tuple[History, int]:
        length = len(known.total)
        register = np.full(length + 1, UNKNOWN, np.int64)
        showed = (known.register >= 0) & (known.origin != ESTIMATED)
        register[1:][showed] = known.register[showed]
        mine = self.readings.meter == meter
        register[self.readings.day[mine] - self.first] = self.readings.register_wh[mine]
        total = known.total
        hung, guessable = np.zeros(length, np.bool_), np.ones(length, np.bool_)
        start, until = self.start - self.first, self.until - self.first
        guessable[:start] = False
        own = self.spans.of(np.array([meter]))
        for low, high in zip(own.low.tolist(), own.high.tolist(), strict=True):
            span = slice(max(low - self.first, 0), max(high - self.first, 0))
            hung[span] = True
            unread = _unread(span, total, register)
            for name, days, counted in zip(_ENDS, unread, (low >= self.first, high < self.end), strict=True):
                if counted:
                    guessable[days] = False
                    counts[name] += max(min(days.stop, until) - max(days.start, start), 0)
        earlier = [column[self.earlier[0] == meter] for column in self.earlier]
        last_year = np.full(length, UNKNOWN, np.int64)
        actual = (earlier[3] != ESTIMATED) & (earlier[1] + _YEAR < self.end) & (earlier[1] + _YEAR >= self.first)
        last_year[earlier[1][actual] + _YEAR - self.first] = earlier[2][actual]
        guessed = (earlier[3] == ESTIMATED) & (earlier[4] == UNKNOWN) & (earlier[1] < self.start)
        history = History(
            self.first, total, known.blocks, known.off, register, hung, guessable, last_year,
            tuple(earlier[1][guessed].tolist()), start,
        )  # fmt: skip
        return history, int(own.kind[0])

    def _revisions(
        self, meter: int, known: MeterDays, filled: Filled, newest: Int64, inside: Bool, counts: Counter[str]
    ) -> Revisions | None:
        """What is estimated and does not stand already; and what stood and can be said no more, taken back."""
        stands = newest >= 0
        old_rule = np.where(stands, self.rule[newest], b"") if len(self.rule) else np.zeros(len(newest), "S6")
        rule = np.array([_RULES.get(each, "").encode() for each in filled.rule.tolist()], "S6")
        state = _state(known, filled)
        same = (rule == old_rule) & stands
        for each in ("total", "register", "blocks"):
            wanted, stored = getattr(state, each), getattr(self.received, each)
            if len(stored):
                differs = wanted != stored[newest]
                same &= ~(differs.any(axis=1) if differs.ndim == 2 else differs)
        new = inside & (filled.rule > 0) & ~same
        # A register that was interpolated must not outlive what bounded it; a guessed day harms no bill.
        back = inside & (filled.rule == 0) & (old_rule == b"EST-01")
        counts["unchanged"] += int((inside & (filled.rule > 0) & same).sum())
        counts["withdrawn"] += int(back.sum())
        counts.update(each.decode() for each in rule[new].tolist())
        at = np.flatnonzero(new | back)
        if not len(at):
            return None
        last = self.revision[newest[at]] if len(self.revision) else np.zeros(len(at), np.int64)
        revision = np.where(stands[at], last + 1, 0)
        chosen = MeterDays(**{each.name: getattr(state, each.name)[at] for each in fields(MeterDays)})
        own = np.full(len(at), meter)
        return Revisions(own, np.full(len(at), int(Channel.IMPORT)), self.first + at, revision, chosen, rule[at])


_ENDS = ("no first register", "no final register")


def _unread(span: slice, total: Int64, register: Int64) -> tuple[slice, slice]:
    """Days at the two ends of a meter's time whose register there is not known: to be read, not to be guessed."""
    known = np.flatnonzero((total[span] >= 0) | (register[span.start + 1 : span.stop + 1] >= 0)) + span.start
    first, last = (int(known[0]), int(known[-1]) + 1) if len(known) else (span.stop, span.start)
    return (
        slice(span.start, first if register[span.start] < 0 else span.start),
        slice(last if register[span.stop] < 0 else span.stop, span.stop),
    )


def _state(known: MeterDays, filled: Filled) -> MeterDays:
    """The days as they stand with their estimates; what is known keeps its origin."""
    origins = np.where((filled.blocks >= 0) & (known.blocks < 0), np.int8(ESTIMATED), known.origins)
    made = filled.rule > 0
    total_made = made & (filled.rule != INSIDE_A_DAY)
    return MeterDays(
        np.where(made[:, None], filled.blocks, known.blocks),
        np.where(made[:, None], origins, known.origins).astype(np.int8),
        np.where(made, filled.total, known.total),
        np.where(known.register < 0, filled.register, known.register),
        known.demand,
        known.off,
        np.where(total_made | (known.origin == 0), np.int8(ESTIMATED), known.origin).astype(np.int8),
    )


# -- what is stored ----------------------------------------------------------------------------------------------------


def _stored(meters: Int64, first: dt.date, end: dt.date) -> tuple[Int64, Int64, Int64, NDArray[np.bytes_], StoredDays]:
    """All revisions of the days of [first, end): meter, day, revision, rule and the rest. By meter, day, revision."""
    query = """
        select meter_id, day - date '1970-01-01', revision, total_wh, register_wh, demand_w, origin, off, blocks_wh,
            origins, rule
        from metering_meterday where meter_id = any(%s) and day >= %s and day < %s and channel = 0
        order by meter_id, day, revision"""
    wanted = [Field("int8"), Field("int4"), Field("int2")]
    wanted += [Field(kind, null=UNKNOWN) for kind in ("int4", "int8", "int4", "int2", "int8")]
    wanted += [Field("int4[]", null=UNKNOWN), Field("text", null=b""), Field("text", null=b"")]
    found = copy_out(query, (meters.tolist(), first, end), wanted)
    meter, day, revision, total, register, demand, origin, off = (np.asarray(found[n], np.int64) for n in range(8))
    blocks = np.full((len(day), 48), UNKNOWN, np.int32)
    if found[8].size:
        has = found.lengths[8] > 0
        blocks[has] = found[8][has]
    stored = StoredDays(np.arange(len(day)), revision, total, register, demand, origin, off, blocks, found[9])
    return meter, day, revision, found[10], stored


def _last(meter: Int64, day: Int64, among: Bool) -> Int64:
    """Rows that are the last of their meter and day among some; rows are sorted by both."""
    rows = np.flatnonzero(among)
    last = np.ones(len(rows), np.bool_)
    last[:-1] = (meter[rows][1:] != meter[rows][:-1]) | (day[rows][1:] != day[rows][:-1])
    return rows[last]


def _earlier(meters: Int64, first: dt.date, end: dt.date) -> list[Int64]:
    """(meter, day, total, origin, register) of the newest revisions, from the index alone."""
    query = """
        select meter_id, (day - date '1970-01-01')::bigint, total_wh::bigint, origin::bigint, register_wh
        from metering_meterday where meter_id = any(%s) and day >= %s and day < %s and channel = 0
        order by meter_id, day, revision"""
    return last_of_day(integers(query, (meters.tolist(), first, end), 5, null=UNKNOWN))


def _number(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days


def _date(number: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=number)
