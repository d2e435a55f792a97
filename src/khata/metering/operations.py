"""Hangs meters, takes readings, receives meter days. Each operation is one transaction."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from khata.discoms.models import Discom
from khata.formats import pgcopy
from khata.formats.meterdays import MeterDayBatch
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.metering.models import Channel, Delivery, Origin, ReadingCycle, Sender

Days = npt.NDArray[np.datetime64]
HALF_HOURS = 48


@transaction.atomic
def add_reading_cycle(*, discom: Discom, code: str, read_day: int, every_months: int, first_month: dt.date) -> int:
    """A round of meter readers; returns its id. A code that the company has already is refused by the database."""
    made = ReadingCycle.objects.create(
        discom=discom, code=code, read_day=read_day, every_months=every_months, first_month=first_month
    )
    return int(made.id)


@dataclass(frozen=True)
class NewMeters:
    """Columns of equal length; `cycle` is the id of a reading cycle or 0."""

    serial: npt.NDArray[np.bytes_]
    smart: npt.NDArray[np.bool_]
    connection: Int64
    from_date: Days
    cycle: Int64


@transaction.atomic
def hang(*, discom: int, meters: NewMeters, now: dt.datetime) -> Int64:
    """Record new meters and where they hang from which day on; returns their ids."""
    count = len(meters.serial)
    ids = next_ids("metering_meter", count)
    copy_in(
        "metering_meter",
        {
            "id": pgcopy.int8(ids),
            "serial": pgcopy.text(meters.serial),
            "discom_id": pgcopy.int2(np.full(count, discom)),
            "smart": pgcopy.boolean(meters.smart),
        },
    )
    copy_in(
        "metering_installation",
        {
            "connection_id": pgcopy.int8(meters.connection),
            "from_date": pgcopy.date(meters.from_date),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "known_at": pgcopy.timestamptz(np.full(count, np.datetime64(now.replace(tzinfo=None), "us"))),
            "meter_id": pgcopy.int8(ids),
            "cycle_id": pgcopy.int8(meters.cycle, null=meters.cycle == 0),
        },
    )
    return ids


@dataclass(frozen=True)
class NewReadings:
    """Columns of equal length: the register at the beginning of `day`, demand since the reading before."""

    meter: Int64
    day: Days
    register_wh: Int64
    demand_w: Int64


@transaction.atomic
def take_readings(*, readings: NewReadings, source: str) -> int:
    """Accept readings as first revisions. A second reading of the same day is refused by the database."""
    count = len(readings.meter)
    return copy_in(
        "metering_reading",
        {
            "meter_id": pgcopy.int8(readings.meter),
            "day": pgcopy.date(readings.day),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "register_wh": pgcopy.int8(readings.register_wh),
            "demand_w": pgcopy.int4(readings.demand_w),
            "source": pgcopy.text(np.full(count, source.encode())),
        },
    )


class MeterTakenError(Exception):
    """A meter that arrives is another company's, or hangs on a live connection already; the message says which."""


@dataclass(frozen=True)
class ArrivingMeters:
    """Columns of equal length: the meter of each connection from `from_date` on, and what it showed on `day`.

    `from_date` is the day of the reading before; how long after it `day` is says how often the meter is read.
    `register_wh` is after the multiplying `factor`.
    """

    serial: npt.NDArray[np.bytes_]
    smart: npt.NDArray[np.bool_]
    connection: Int64
    from_date: Days
    day: Days
    register_wh: Int64
    demand_w: Int64
    factor: Int64


_ARRIVING = """
create temporary table arriving (n int, serial text, smart boolean, connection bigint, from_date date, cycle bigint,
    day date, register_wh bigint, demand_w int, factor int) on commit drop"""

# A connection that arrives says itself which meter it has: two may have changed places since they were here before.
_TAKEN = """
select a.serial from arriving a join metering_meter m on m.serial = a.serial
where m.discom_id <> %(discom)s or exists (
    select from metering_installation i join consumers_connection c on c.id = i.connection_id and c.live
    where i.meter_id = m.id and i.connection_id not in (select connection from arriving) and not exists (
        select from metering_installation l
        where l.connection_id = i.connection_id and (l.from_date, l.revision) > (i.from_date, i.revision)))
order by a.n limit 1"""

_NEW_METERS = """
insert into metering_meter (serial, discom_id, smart)
select a.serial, %(discom)s, a.smart from arriving a
where not exists (select from metering_meter m where m.serial = a.serial) order by a.n"""

# What was hung from that day on or later and says otherwise gets a revision that says this.
_INSTALLATIONS = """
insert into metering_installation (connection_id, from_date, revision, known_at, meter_id, factor, cycle_id)
select a.connection, w.from_date,
    coalesce((select max(i.revision) + 1 from metering_installation i
              where i.connection_id = a.connection and i.from_date = w.from_date), 0),
    %(now)s, m.id, a.factor, a.cycle
from arriving a join metering_meter m on m.serial = a.serial
cross join lateral (
    select a.from_date union
    select i.from_date from metering_installation i
    where i.connection_id = a.connection and i.from_date > a.from_date) w
left join lateral (
    select i.meter_id, i.factor, i.cycle_id from metering_installation i
    where i.connection_id = a.connection and i.from_date <= w.from_date
    order by i.from_date desc, i.revision desc limit 1) k on true
where k.meter_id is distinct from m.id or k.factor <> a.factor or k.cycle_id is distinct from a.cycle
order by a.n"""

_OPENING_READINGS = """
insert into metering_reading (meter_id, day, revision, register_wh, demand_w, source)
select m.id, a.day, coalesce(k.revision + 1, 0), a.register_wh, a.demand_w, 'migration'
from arriving a join metering_meter m on m.serial = a.serial
left join lateral (
    select r.revision, r.register_wh, r.demand_w from metering_reading r
    where r.meter_id = m.id and r.day = a.day order by r.revision desc limit 1) k on true
where k.revision is null or k.register_wh <> a.register_wh or k.demand_w <> a.demand_w
order by a.n"""


@transaction.atomic
def bring_meters(*, discom: int, meters: ArrivingMeters, now: dt.datetime) -> None:
    """Hang the meters of connections that were moved here, each with its last reading; writes only what differs.

    A meter that the company has already is taken as it is. Raises MeterTakenError.
    """
    count = len(meters.serial)
    cycle = _cycles(discom, meters)
    with connection.cursor() as cursor:
        cursor.execute(_ARRIVING)
        copy_in(
            "arriving",
            {
                "n": pgcopy.int4(np.arange(count)),
                "serial": pgcopy.text(meters.serial),
                "smart": pgcopy.boolean(meters.smart),
                "connection": pgcopy.int8(meters.connection),
                "from_date": pgcopy.date(meters.from_date),
                "cycle": pgcopy.int8(cycle, null=cycle == 0),
                "day": pgcopy.date(meters.day),
                "register_wh": pgcopy.int8(meters.register_wh),
                "demand_w": pgcopy.int4(meters.demand_w),
                "factor": pgcopy.int4(meters.factor),
            },
        )
        cursor.execute("analyze arriving")
        cursor.execute(_TAKEN, {"discom": discom})
        if taken := cursor.fetchone():
            raise MeterTakenError(f"meter {taken[0]} belongs to another company, or hangs on a live connection already")
        for statement in (_NEW_METERS, _INSTALLATIONS, _OPENING_READINGS):
            cursor.execute(statement, {"discom": discom, "now": now})
        cursor.execute("drop table arriving")


_ONE_MONTH_AT_MOST = 45  # days between two readings of a meter that is read every month


def _cycles(discom: int, meters: ArrivingMeters) -> Int64:
    """Of each plain meter the reading cycle that fits best: as often, in these months, nearest in the month; else 0."""
    cycles = list(ReadingCycle.objects.filter(discom_id=discom).order_by("id"))
    if not cycles or meters.smart.all():
        return np.zeros(len(meters.serial), np.int64)
    month = meters.day.astype("datetime64[M]")
    of_month = (meters.day - month.astype("datetime64[D]")).astype(np.int64) + 1
    every = np.where((meters.day - meters.from_date).astype(np.int64) > _ONE_MONTH_AT_MOST, 2, 1)
    costs = []
    for each in cycles:
        apart = np.abs(of_month - each.read_day)
        since = (month - np.datetime64(each.first_month, "M")).astype(np.int64)
        wrong = 2 * (every != each.every_months) + (since % each.every_months != 0)
        costs.append(np.minimum(apart, 30 - apart) + 100 * wrong)
    best = np.array([each.id for each in cycles], np.int64)[np.argmin(np.array(costs), axis=0)]
    return np.where(meters.smart, 0, best)


@dataclass(frozen=True)
class NewDays:
    """Meter days that bring their registers (-1: unknown), as a head-end system sends them. Columns of equal length."""

    meter: Int64
    day: Days
    total_wh: Int64
    register_wh: Int64
    demand_w: Int64
    blocks_wh: npt.NDArray[np.int32] | None = None  # (n, 48), -1: unknown
    off: Int64 | None = None  # bit n-1: no supply in half-hour n; -1: nobody said


@transaction.atomic
def take_days(*, days: NewDays, sender: str, today: dt.date) -> int:
    """Store meter days of known meters in which nothing is stored yet. `sender` is a sender's code; made if new."""
    count = len(days.meter)
    make_months(days.day)
    sha = hashlib.sha256()
    for column in (days.meter, days.day, days.total_wh):
        sha.update(column.tobytes())
    delivery = Delivery.objects.create(
        sender=sender_coded(sender),
        sha256=sha.hexdigest(),
        form="columns",
        size=0,
        today=today,
        rows=count,
        accepted=count,
        repeated=0,
        superseding=0,
        quarantined=0,
    )
    blocks = days.blocks_wh
    known = np.zeros((count, HALF_HOURS), np.bool_) if blocks is None else blocks >= 0
    return copy_in(
        "metering_meterday",
        {
            "meter_id": pgcopy.int8(days.meter),
            "day": pgcopy.date(days.day),
            "channel": pgcopy.int2(np.full(count, Channel.IMPORT)),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "origin": pgcopy.int2(np.full(count, Origin.ACTUAL)),
            "known": pgcopy.int2(known.sum(axis=1)),
            "total_wh": pgcopy.int4(days.total_wh),
            "demand_w": pgcopy.int4(days.demand_w, null=days.demand_w < 0),
            "register_wh": pgcopy.int8(days.register_wh, null=days.register_wh < 0),
            "delivery": pgcopy.int8(np.full(count, delivery.id)),
            **(
                {}
                if blocks is None
                else {"blocks_wh": pgcopy.int4_array(blocks, element_null=~known, null=~known.any(axis=1))}
            ),
            **({} if days.off is None else {"off": pgcopy.int8(days.off, null=days.off < 0)}),
        },
    )


def sender_coded(code: str) -> Sender:
    """The sender with this code; made, without a credential, where there is none."""
    return Sender.objects.get_or_create(code=code, defaults={"name": code})[0]


def make_months(days: Days) -> None:
    with connection.cursor() as cursor:
        for month in np.unique(days.astype("datetime64[M]")):
            cursor.execute("select khata.make_meter_month(%s)", [month.astype("datetime64[D]").item()])


# -- deliveries of unknown content: staged, judged in the database, then stored, repeated or quarantined ---------------

FIRST_DAY = dt.date(2000, 1, 1)
MOST_TOTAL_WH = 2**31 - 1
MOST_DEMAND_W = 2 * (MOST_TOTAL_WH // 48)  # so small that no 48 half-hours add up to more than a day can hold

CHECKS = {
    "VAL-01": "no meter of this number",
    "VAL-02": "the day is not over",
    "VAL-03": "another row of this delivery says something else of the same day",
    "VAL-04": f"the day is before {FIRST_DAY}",
    "VAL-05": "more energy than any meter measures",
}

_STAGE = """
create temporary table stage (line int, serial text, day date, blocks_wh int4[], total_wh int8, demand_w int8)
on commit drop"""

# Of rows that contradict each other none is believed: the order of lines does not say which of them is right.
_JUDGE = """
create temporary table judged on commit drop as
with many as (
    select serial, day, min(line) as first_line, count(distinct row(total_wh, blocks_wh)) > 1 as differ
    from stage where (serial, day) in (select serial, day from stage group by serial, day having count(*) > 1)
    group by serial, day)
select s.line, m.id as meter_id, s.day, coalesce(s.line > many.first_line, false) as again,
    case when m.id is null then 'VAL-01'
         when s.day >= %(today)s then 'VAL-02'
         when s.day < %(first)s then 'VAL-04'
         when s.total_wh > %(most_wh)s or s.demand_w > %(most_w)s then 'VAL-05'
         when many.differ then 'VAL-03' end as failed
from stage s
left join metering_meter m on m.serial = s.serial
left join many on many.serial = s.serial and many.day = s.day"""

_QUARANTINE = """
insert into metering_quarantine (delivery_id, line, rule, owner, serial, day, total_wh, reason, content)
select %(delivery)s, line, j.failed, 'sender', s.serial, s.day, s.total_wh, %(checks)s::jsonb ->> j.failed, ''
from judged j join stage s using (line) where j.failed is not null order by line"""

# `k` is the revision that counts so far, `a` the half-hours after this delivery. What a delivery leaves unknown stays
# as it was known, so that early, partial and complete deliveries lead to the same day in any order. A register stays,
# with the demand that came with it; half-hours go when a new total without half-hours contradicts them.
_STORE = """
insert into metering_meterday (meter_id, day, revision, blocks_wh, total_wh, register_wh, demand_w, origin, known,
    delivery)
select j.meter_id, j.day, coalesce(k.revision + 1, 0), a.blocks_wh, t.total_wh, k.register_wh,
    coalesce(case when k.register_wh is not null then k.demand_w end, case f.blocks_from
        when 'new' then s.demand_w
        when 'old' then k.demand_w
        when 'both' then (select 2 * max(wh) from unnest(a.blocks_wh) wh) end),
    1, coalesce((select count(wh) from unnest(a.blocks_wh) wh), 0),
    %(delivery)s
from judged j join stage s using (line)
left join lateral (
    select revision, blocks_wh, total_wh, register_wh, demand_w from metering_meterday
    where meter_id = j.meter_id and day = j.day order by revision desc limit 1) k on true
cross join lateral (select case
    when s.blocks_wh is null and k.blocks_wh is not null and s.total_wh <> k.total_wh then 'none'
    when s.blocks_wh is null then 'old'
    when k.blocks_wh is null or array_position(s.blocks_wh, null) is null then 'new'
    else 'both' end as blocks_from) f
cross join lateral (select case f.blocks_from
    when 'new' then s.blocks_wh
    when 'old' then k.blocks_wh
    when 'both' then (select array_agg(coalesce(new, old) order by n)
                      from unnest(s.blocks_wh, k.blocks_wh) with ordinality as u(new, old, n)) end as blocks_wh) a
cross join lateral (select coalesce(
    s.total_wh,
    case when array_position(a.blocks_wh, null) is null then (select sum(wh) from unnest(a.blocks_wh) wh) end,
    k.total_wh) as total_wh) t
where j.failed is null and not j.again
    and (k.revision is null or t.total_wh is distinct from k.total_wh or a.blocks_wh is distinct from k.blocks_wh)
order by j.meter_id, j.day"""


@dataclass(frozen=True)
class Received:
    """What became of a delivery; `before`: the same bytes had been received already, and nothing was done."""

    delivery: Delivery
    before: bool


@transaction.atomic
def receive_days(*, sha256: str, sender: str, batches: Iterable[MeterDayBatch], today: dt.date) -> Received:
    """Store a delivery whole, or nothing of it. The same bytes again are recognised and change nothing.

    Deliveries are read side by side and stored one after the other, so each sees what those before it stored.
    """
    known = Delivery.objects.filter(sha256=sha256).last()
    if known:
        return Received(known, before=True)
    with connection.cursor() as cursor:
        cursor.execute("set local work_mem = '256MB'")  # the rows of a month of meters are sorted once
        cursor.execute(_STAGE)
        received = sum(_stage(batch) for batch in batches)
        cursor.execute("analyze stage (line, serial, day)")
        cursor.execute(_JUDGE, {"today": today, "first": FIRST_DAY, "most_wh": MOST_TOTAL_WH, "most_w": MOST_DEMAND_W})
        cursor.execute("analyze judged")
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('metering.receive_days', 0))")
        known = Delivery.objects.filter(sha256=sha256).last()
        if known:
            return Received(known, before=True)
        return Received(_store(cursor, sha256, sender, received, today), before=False)


def _store(cursor: CursorWrapper, sha256: str, sender: str, received: int, today: dt.date) -> Delivery:
    cursor.execute("select day, count(*) from judged where failed is null group by day")
    good = dict(cursor.fetchall())
    # Only of what will be stored: a nonsense day must not leave a partition behind.
    make_months(np.array(list(good), "datetime64[D]"))
    quarantined = received - sum(good.values())
    identity = int(next_ids("metering_delivery", 1)[0])
    cursor.execute(
        "select count(*) filter (where k.meter_id is null), count(*) from judged j left join lateral ("
        "select meter_id from metering_meterday d where d.meter_id = j.meter_id and d.day = j.day and channel = 0"
        " limit 1) k on true where j.failed is null and not j.again"
    )
    fresh = cursor.fetchone()[0]
    cursor.execute(_STORE, {"delivery": identity})
    stored = cursor.rowcount
    delivery = Delivery.objects.create(
        id=identity,
        sha256=sha256,
        sender=sender_coded(sender),
        form="file",
        size=0,
        today=today,
        rows=received,
        accepted=fresh,
        superseding=stored - fresh,
        repeated=received - stored - quarantined,
        quarantined=quarantined,
    )
    cursor.execute(_QUARANTINE, {"delivery": identity, "checks": json.dumps(CHECKS)})
    return delivery


def _stage(batch: MeterDayBatch) -> int:
    count = len(batch)
    blocks, known = batch.blocks, batch.known
    if blocks is None or known is None:
        blocks, known = np.zeros((count, 48), np.int32), np.zeros((count, 48), np.bool_)
    measured = known.any(axis=1)
    # A half-hour of n Wh was drawn at 2n W on average: the demand that a 30-minute register would have recorded.
    demand = 2 * np.where(known, blocks, 0).max(axis=1, initial=0).astype(np.int64)
    return copy_in(
        "stage",
        {
            "line": pgcopy.int4(batch.lines),
            "serial": pgcopy.text(batch.serials),
            "day": pgcopy.date(batch.days),
            "blocks_wh": pgcopy.int4_array(blocks, element_null=~known, null=~measured),
            "total_wh": pgcopy.int8(batch.total_wh, null=~batch.total_known),
            "demand_w": pgcopy.int8(demand, null=~measured),
        },
    )
