"""Hangs meters, takes readings and meter days of known meters. Each operation is one transaction."""

import datetime as dt
import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction

from khata.audit.operations import record
from khata.consumers.models import Connection, Terms
from khata.discoms.models import Discom
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.metering.models import (
    Channel,
    Delivery,
    Installation,
    Meter,
    MeterDay,
    Origin,
    Reading,
    ReadingCycle,
    Sender,
)
from khata.metering.rules import read_rules

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


@transaction.atomic
def hung_already(*, connection: Int64, meter: Int64, since: Days, now: dt.datetime) -> int:
    """Meters that hung there before the day from which on we knew it: columns of equal length, one row each.

    What is recorded from a later day on stands. A second word about the same day is refused by the database.
    """
    count = len(connection)
    return copy_in(
        "metering_installation",
        {
            "connection_id": pgcopy.int8(connection),
            "from_date": pgcopy.date(since),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "known_at": pgcopy.timestamptz(np.full(count, np.datetime64(now.replace(tzinfo=None), "us"))),
            "meter_id": pgcopy.int8(meter),
        },
    )


@dataclass(frozen=True)
class NewReadings:
    """Columns of equal length: the register at the beginning of `day`, demand since the reading before, -1 unknown."""

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
            "demand_w": pgcopy.int4(readings.demand_w, null=readings.demand_w < 0),
            "source": pgcopy.text(np.full(count, source.encode())),
        },
    )


class MeterTakenError(Exception):
    """A meter that arrives is another company's, or hangs on a live connection already; the message says which."""


@dataclass(frozen=True)
class ArrivingMeters:
    """Columns of equal length: the meter of each connection from `from_date` on, and what it showed on `day`.

    `from_date` is the day of the reading before; how long after it `day` is says how often the meter is read.
    `register_wh` is after the multiplying `factor`; `demand_w` is -1 where it is not known.
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
where k.revision is null or k.register_wh <> a.register_wh or k.demand_w is distinct from a.demand_w
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
                "demand_w": pgcopy.int4(meters.demand_w, null=meters.demand_w < 0),
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


# -- a meter change ----------------------------------------------------------------------------------------------------


class MeterChangeError(Exception):
    """A change that cannot be right; the message says what, where and the next step."""


@dataclass(frozen=True)
class NewMeter:
    """What hangs from the day of the change on. A number that the company has already is taken as it is."""

    serial: str
    smart: bool
    initial_wh: int
    factor: int
    cycle: int | None  # id of the reading cycle of a meter that is not smart


@transaction.atomic
def change_meter(
    *,
    connection: Connection,
    day: dt.date,
    old_final_wh: int,
    old_demand_w: int,
    new: NewMeter,
    today: dt.date,
    now: dt.datetime,
    actor: str,
) -> Installation:
    """Take a meter down and hang another, both registers read on the spot: they stood so when `day` began.

    The final register must continue what the old meter showed before: not below it, and not above what the load can
    have drawn since. Raises MeterChangeError, MeterTakenError.
    """
    hanging = _hanging(connection, day)
    if hanging is None or hanging.meter is None:
        raise MeterChangeError(f"No meter hangs there on {day}. Record the new meter as a first one.")
    if day > today:
        raise MeterChangeError(f"{day} has not come yet. Record the change when it is done.")
    newest = Installation.objects.filter(connection=connection).order_by("-from_date").first()
    if newest is None or newest.from_date >= day:
        raise MeterChangeError(f"The meter of {hanging.from_date} on is recorded already. Choose a later day.")
    _check_final(connection, hanging.meter, day, old_final_wh)
    meter = _new_meter(connection, hanging.meter, new)
    made = Installation.objects.create(
        connection=connection, from_date=day, known_at=now, factor=new.factor, meter=meter, cycle_id=new.cycle
    )
    for of, register_wh, demand_w, source in (
        (hanging.meter, old_final_wh, old_demand_w, "final"),
        (meter, new.initial_wh, 0, "initial"),
    ):
        taken = Reading.objects.filter(meter=of, day=day).count()
        Reading.objects.create(
            meter=of, day=day, revision=taken, register_wh=register_wh, demand_w=demand_w, source=source
        )
    details = {"old": hanging.meter.pk, "new": meter.pk, "day": str(day)}
    record(actor=actor, action="metering.change-meter", object=f"consumers:connection:{connection.pk}", details=details)
    return made


def _hanging(of: Connection, day: dt.date) -> Installation | None:
    found = Installation.objects.filter(connection=of, from_date__lte=day).select_related("meter")
    return found.order_by("-from_date", "-revision").first()


def _check_final(of: Connection, meter: Meter, day: dt.date, final_wh: int) -> None:
    """The final register against the last one known, from a meter day or a reading."""
    measured = MeterDay.objects.filter(meter=meter, channel=Channel.IMPORT).exclude(origin=Origin.ESTIMATED)
    if sent := measured.filter(day__gte=day).order_by("day").first():
        raise MeterChangeError(f"Meter {meter.serial} has sent {sent.day}, after this change. Check the day.")
    known = [
        (date + dt.timedelta(days=1), wh or 0)
        for date, wh in measured.filter(register_wh__isnull=False)
        .order_by("-day", "-revision")
        .values_list("day", "register_wh")[:1]
    ]
    read = Reading.objects.filter(meter=meter, day__lte=day).order_by("-day", "-revision")
    known += list(read.values_list("day", "register_wh")[:1])
    if not known:
        return
    since, last_wh = max(known)
    if final_wh < last_wh:
        raise MeterChangeError(
            f"The final register {final_wh} Wh of meter {meter.serial} is below the {last_wh} Wh it showed on {since}. "
            "Read it again; if it was misread then, correct that reading first."
        )
    days, rise = (day - since).days + 1, final_wh - last_wh
    if rise > _most_a_day(of, meter, day) * days:
        raise MeterChangeError(
            f"The final register {final_wh} Wh of meter {meter.serial} is {rise} Wh above that of {since}, "
            f"more than its load can draw in {days} days. Read it again, and check whose meter it is."
        )


def _most_a_day(of: Connection, meter: Meter, day: dt.date) -> int:
    """Wh in a day: what the meter can measure, or so many times the sanctioned load as no check lets pass."""
    rules = read_rules()
    measures = rules.limit("VAL-05", "day_wh", day, meter.kind)
    terms = Terms.objects.filter(connection=of, from_date__lte=day).order_by("-from_date", "-revision").first()
    percent = rules.limit("VAL-16", "half_hour_percent", day, meter.kind)
    return min(measures, terms.load_w * 24 * percent // 100) if terms else measures


def _new_meter(of: Connection, old: Meter, new: NewMeter) -> Meter:
    meter = Meter.objects.filter(serial=new.serial).first()
    if meter is None:
        return Meter.objects.create(serial=new.serial, discom_id=old.discom_id, smart=new.smart)
    for hung in Installation.objects.filter(meter=meter).select_related("connection"):
        last = Installation.objects.filter(connection=hung.connection).order_by("-from_date", "-revision").first()
        if last is not None and last.meter_id == meter.pk and (hung.connection.live or hung.connection == of):
            raise MeterTakenError(f"meter {new.serial} hangs on a live connection already")
    if meter.discom_id != old.discom_id:
        raise MeterTakenError(f"meter {new.serial} belongs to another company")
    return meter
