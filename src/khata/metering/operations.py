"""Hangs meters, takes readings, receives meter days. Each operation is one transaction."""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from khata.formats import pgcopy
from khata.formats.meterdays import MeterDayBatch
from khata.jobs.bulk import copy_in, next_ids
from khata.metering.models import Delivery

Int64 = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]


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


@dataclass(frozen=True)
class NewDays:
    """Meter days that bring their registers (-1: unknown), as a head-end system sends them. Columns of equal length."""

    meter: Int64
    day: Days
    total_wh: Int64
    register_wh: Int64
    demand_w: Int64


@transaction.atomic
def take_days(*, days: NewDays, sender: str) -> int:
    """Store meter days of known meters in which nothing is stored yet."""
    count = len(days.meter)
    _make_months(days.day)
    digest = hashlib.sha256(b"".join(column.tobytes() for column in (days.meter, days.day, days.total_wh)))
    delivery = Delivery.objects.create(
        sha256=digest.hexdigest(), sender=sender, received=count, stored=count, repeated=0, quarantined=0
    )
    return copy_in(
        "metering_meterday",
        {
            "meter_id": pgcopy.int8(days.meter),
            "day": pgcopy.date(days.day),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "total_wh": pgcopy.int4(days.total_wh),
            "register_wh": pgcopy.int8(days.register_wh, null=days.register_wh < 0),
            "demand_w": pgcopy.int4(days.demand_w, null=days.demand_w < 0),
            "quality": pgcopy.int2(np.ones(count, np.int64)),
            "delivery": pgcopy.int8(np.full(count, delivery.id)),
        },
    )


def _make_months(days: Days) -> None:
    with connection.cursor() as cursor:
        for month in np.unique(days.astype("datetime64[M]")):
            cursor.execute("select khata.make_meter_month(%s)", [month.astype("datetime64[D]").item()])


# -- deliveries of unknown content: staged, checked in the database, then stored, repeated or quarantined ------------

_STAGE = """create temporary table stage (line int, serial text, day date, blocks_wh int4[], total_wh int4, demand_w int4)
    on commit drop"""

# VAL-01 no such meter; VAL-02 the day is not over; VAL-03 the delivery says two different things of one day.
_JUDGE = """
create temporary table judged on commit drop as
select s.*, m.id as meter_id,
    case when m.id is null then 'VAL-01'
         when s.day >= %(today)s then 'VAL-02'
         when first_value(row(s.total_wh, s.blocks_wh)) over same_day
              is distinct from row(s.total_wh, s.blocks_wh) then 'VAL-03' end as failed,
    row_number() over same_day > 1 as again
from stage s left join metering_meter m on m.serial = s.serial
window same_day as (partition by s.serial, s.day order by s.line)"""

_QUARANTINE = """
insert into metering_quarantine (delivery_id, line, check_number, serial, day, total_wh, reason)
select %(delivery)s, line, failed, serial, day, total_wh, case failed
    when 'VAL-01' then 'no meter of this number'
    when 'VAL-02' then 'the day is not over'
    else 'another row of this delivery says something else of the same day' end
from judged where failed is not null"""

# A repeat writes nothing; another value adds a revision. A total alone does not replace half-hours of the same sum.
_STORE = """
insert into metering_meterday (meter_id, day, revision, blocks_wh, total_wh, demand_w, quality, delivery)
select j.meter_id, j.day, coalesce(d.revision + 1, 0), j.blocks_wh, j.total_wh, j.demand_w,
    case when j.total_wh is null then 2 else 1 end, %(delivery)s
from judged j left join lateral (
    select revision, total_wh, blocks_wh from metering_meterday
    where meter_id = j.meter_id and day = j.day order by revision desc limit 1) d on true
where j.failed is null and not j.again and (d.revision is null
    or d.total_wh is distinct from j.total_wh
    or (j.blocks_wh is not null and d.blocks_wh is distinct from j.blocks_wh))
order by j.meter_id, j.day"""


@transaction.atomic
def receive_days(*, sha256: str, sender: str, batches: Iterable[MeterDayBatch], today: dt.date) -> Delivery:
    """Store a delivery whole, or nothing of it. The same bytes again are recognised and change nothing."""
    known = Delivery.objects.filter(sha256=sha256).first()
    if known:
        return known
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        received, months = 0, set()
        for batch in batches:
            received += _stage(batch)
            months |= set(np.unique(batch.days.astype("datetime64[M]")).tolist())
        cursor.execute("analyze stage")
        cursor.execute(_JUDGE, {"today": today})
        cursor.execute("analyze judged")
        _make_months(np.array(sorted(months), "datetime64[D]"))
        cursor.execute("select count(*) from judged where failed is not null")
        quarantined = cursor.fetchone()[0]
        identity = int(next_ids("metering_delivery", 1)[0])
        cursor.execute(_STORE, {"delivery": identity})
        stored = cursor.rowcount
        delivery = Delivery.objects.create(
            id=identity,
            sha256=sha256,
            sender=sender,
            received=received,
            stored=stored,
            repeated=received - stored - quarantined,
            quarantined=quarantined,
        )
        cursor.execute(_QUARANTINE, {"delivery": identity})
    return delivery


def _stage(batch: MeterDayBatch) -> int:
    count = len(batch)
    blocks, known = batch.blocks, batch.known
    if blocks is None or known is None:
        blocks, known = np.zeros((count, 48), np.int32), np.zeros((count, 48), np.bool_)
    measured = known.any(axis=1)
    # A half-hour of n Wh was drawn at 2n W on average: the demand that a 30-minute register would have recorded.
    demand = 2 * np.where(known, blocks, 0).max(axis=1, initial=0)
    return copy_in(
        "stage",
        {
            "line": pgcopy.int4(batch.lines),
            "serial": pgcopy.text(batch.serials),
            "day": pgcopy.date(batch.days),
            "blocks_wh": pgcopy.int4_array(blocks, element_null=~known, null=~measured),
            "total_wh": pgcopy.int4(batch.total_wh, null=~batch.total_known),
            "demand_w": pgcopy.int4(demand, null=~measured),
        },
    )
