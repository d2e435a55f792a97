"""Reads for bills, in columns: dates are day numbers (days since 1970-01-01), NULL is -1. And a meter's days."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection

from khata.jobs.bulk import integers, last_of_day
from khata.kernel.quantities import Int64
from khata.metering.models import Delivery, Meter, Origin

UNKNOWN = -1


@dataclass(frozen=True)
class Hung:
    """Which meter each connection has from which day on; of each day the revision that counts. Sorted."""

    connection: Int64
    from_day: Int64
    meter: Int64  # 0: taken away
    smart: Int64
    cycle_month: Int64  # month number in which its reading cycle was first read; -1 without a cycle
    cycle_every: Int64


def hung(connections: Int64, before: dt.date) -> Hung:
    """Installations that began before a day."""
    query = """
        select connection_id, (from_date - date '1970-01-01')::bigint, coalesce(meter_id, 0), cycle_id
        from metering_installation where connection_id = any(%s) and from_date < %s
        order by connection_id, from_date, revision"""
    found = last_of_day(integers(query, (connections.tolist(), before), 4, null=UNKNOWN))
    connection, from_day, meter, cycle = found
    # Looked up by themselves: two rising walks along an index cost less than a join row by row.
    smart = integers("select id from metering_meter where id = any(%s) and smart", (np.unique(meter).tolist(),), 1)[0]
    months = """
        select id, (extract(year from first_month) * 12 + extract(month from first_month) - 23641)::bigint, every_months
        from metering_readingcycle where id = any(%s) order by id"""
    ids, first, every = integers(months, (np.unique(cycle).tolist(),), 3)
    at = np.searchsorted(ids, cycle)
    first, every = (np.append(column, UNKNOWN)[np.where(cycle == UNKNOWN, -1, at)] for column in (first, every))
    return Hung(connection, from_day, meter, np.isin(meter, smart).astype(np.int64), first, every)


@dataclass(frozen=True)
class Readings:
    """Registers at the beginning of `day`, with the demand since the reading before. Sorted by meter and day.

    `revision` counts from 0, so it says how many were taken of that day.
    """

    meter: Int64
    day: Int64
    register_wh: Int64
    demand_w: Int64
    revision: Int64


def readings(meters: Int64, first: dt.date, last: dt.date) -> Readings:
    """Readings of the days first to last, both included."""
    query = """
        select meter_id, (day - date '1970-01-01')::bigint, register_wh, demand_w::bigint, revision::bigint
        from metering_reading where meter_id = any(%s) and day between %s and %s
        order by meter_id, day, revision"""
    return Readings(*last_of_day(integers(query, (meters.tolist(), first, last), 5, null=UNKNOWN)))


def brought(meters: Int64, before: dt.date) -> Readings:
    """Of meters that were moved here the last reading before a day that their old system brought along."""
    query = """
        select distinct on (meter_id) meter_id, (day - date '1970-01-01')::bigint, register_wh, demand_w::bigint,
            revision::bigint
        from metering_reading where meter_id = any(%s) and day < %s and source = 'migration'
        order by meter_id, day desc, revision desc"""
    return Readings(*integers(query, (meters.tolist(), before), 5, null=UNKNOWN))


@dataclass(frozen=True)
class Days:
    """Meter days, the last revision of each. Sorted by meter and day."""

    meter: Int64
    day: Int64
    total_wh: Int64
    register_wh: Int64  # at the end of the day
    demand_w: Int64
    origin: Int64


def days(meters: Int64, start: dt.date, end: dt.date) -> Days:
    """Meter days of [start, end), read from the covering index; no half-hour is touched.

    An estimate without a register is left out, as if the day had not come: only between two registers is the energy
    of estimated days known, and a bill may stand on it (docs/adr/0022).
    """
    query = """
        select meter_id, (day - date '1970-01-01')::bigint, total_wh::bigint, register_wh, demand_w::bigint,
            origin::bigint
        from metering_meterday where meter_id = any(%s) and day >= %s and day < %s and channel = 0
        order by meter_id, day, revision"""
    found = last_of_day(integers(query, (meters.tolist(), start, end), 6, null=UNKNOWN))
    guessed = (found[5] == Origin.ESTIMATED) & (found[3] == UNKNOWN)
    return Days(*((column[~guessed] for column in found) if guessed.any() else found))


def newest_delivery() -> int:
    """The number of the last delivery; 0 before the first. They are stored one after the other, so numbers tell which
    came first."""
    return int(integers("select coalesce(max(id), 0) from metering_delivery", (), 1)[0][0])


# -- to show -----------------------------------------------------------------------------------------------------------


class UnknownMeterError(LookupError):
    """No meter has this number."""


@dataclass(frozen=True)
class ShownDay:
    """The revision of a meter day that counts; None where it is not known."""

    day: dt.date
    revision: int
    total_wh: int | None
    register_wh: int | None
    demand_w: int | None


@dataclass(frozen=True)
class ShownBlocks(ShownDay):
    origin: int
    known: int
    origins: str | None
    off: int | None
    rule: str | None
    delivery: int
    blocks_wh: list[int | None] | None


def meter_id(serial: str) -> int:
    found = Meter.objects.filter(serial=serial).values_list("id", flat=True).first()
    if found is None:
        raise UnknownMeterError("no meter has this number")
    return found


ONE_DAY = """
    select day, revision, total_wh, register_wh, demand_w, origin, known, origins, off, rule, delivery, blocks_wh
    from metering_meterday where meter_id = %s and day = %s and channel = 0 order by revision desc limit 1"""

# From the covering index alone, over as many months as are asked for.
DAY_TOTALS = """
    select distinct on (day) day, revision, total_wh, register_wh, demand_w
    from metering_meterday where meter_id = %s and day >= %s and day < %s and channel = 0
    order by day, revision desc"""


def one_day(meter: int, day: dt.date) -> ShownBlocks | None:
    with connection.cursor() as cursor:
        cursor.execute(ONE_DAY, [meter, day])
        row = cursor.fetchone()
    return ShownBlocks(*row) if row else None


@dataclass(frozen=True)
class ShownEdit:
    """An officer's word on a day: the revision that it made (`how`: edit or substitute), and who has sent since."""

    revision: int
    how: str
    by: str
    agreed_by: str | None
    reason: str
    at: dt.datetime
    sent_since: list[str]  # senders of the later revisions, in their order


_EDITS = """
    select e.revision, v.form, s.login, k.login, e.reason, v.received_at, array(
        select n.code from metering_meterday d join metering_delivery w on w.id = d.delivery
        join metering_sender n on n.id = w.sender_id
        where d.meter_id = e.meter_id and d.day = e.day and d.channel = e.channel and d.revision > e.revision
            and d.rule is null
            and not exists (select from metering_edit o where o.meter_id = d.meter_id and o.day = d.day
                            and o.channel = d.channel and o.revision = d.revision)
        order by d.revision)
    from metering_edit e join metering_delivery v on v.id = e.delivery_id join discoms_staff s on s.id = e.staff_id
    left join discoms_staff k on k.id = e.checker_id
    where e.meter_id = %s and e.day = %s and e.channel = 0 order by e.revision"""


def edits_of(meter: int, day: dt.date) -> list[ShownEdit]:
    with connection.cursor() as cursor:
        cursor.execute(_EDITS, [meter, day])
        return [ShownEdit(*row) for row in cursor.fetchall()]


def day_totals(meter: int, start: dt.date, end: dt.date) -> list[ShownDay]:
    """The days of [start, end) that are stored, in order."""
    with connection.cursor() as cursor:
        cursor.execute(DAY_TOTALS, [meter, start, end])
        return [ShownDay(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class SeenDay:
    """A day of a connection, as its consumer or office may see it: what the covering index of MeterDay holds."""

    day: dt.date
    total_wh: int | None
    register_wh: int | None
    demand_w: int | None
    origin: int
    known: int  # half-hours


def days_of(*, connection_id: int, start: dt.date, end: dt.date) -> list[SeenDay]:
    """Stored days of [start, end) of a connection that the scope may see, in order: none of another's, no error either.

    Through the database's own door, which shows each meter only while it hung there.
    """
    with connection.cursor() as cursor:
        cursor.execute("select * from khata.meter_days(%s, %s, %s)", [connection_id, start, end])
        return [SeenDay(*row) for row in cursor.fetchall()]


def days_of_periods(*, connection_id: int, periods: Sequence[tuple[dt.date, dt.date]]) -> list[SeenDay]:
    """As `days_of`, of several half-open periods that do not overlap, by one question to the database."""
    query = """
        select d.* from unnest(%s::date[], %s::date[]) p (first, until), khata.meter_days(%s, p.first, p.until) d
        order by d.day"""
    with connection.cursor() as cursor:
        cursor.execute(query, [[start for start, _ in periods], [end for _, end in periods], connection_id])
        return [SeenDay(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class SeenHalfHours(SeenDay):
    """With the half-hours of the day, in the order of the clock; `blocks_wh` None where they are not known at all."""

    blocks_wh: list[int | None] | None
    origins: str | None  # a letter a half-hour (A E S D, - unknown), where they differ from the day's origin
    off: int | None  # bit n-1: no supply in half-hour n; None where nobody said
    rule: str | None
    received_at: dt.datetime | None


def half_hours_of(*, connection_id: int, start: dt.date, end: dt.date) -> list[SeenHalfHours]:
    """As `days_of`, with half-hours: for a day or a month, because each day is read from the table."""
    query = """
        select day, total_wh, register_wh, demand_w, origin, known, blocks_wh, origins, off, rule, received_at
        from khata.meter_half_hours(%s, %s, %s)"""
    with connection.cursor() as cursor:
        cursor.execute(query, [connection_id, start, end])
        return [SeenHalfHours(*row) for row in cursor.fetchall()]


def unfenced_half_hours_of(*, connection_id: int, start: dt.date, end: dt.date) -> list[SeenHalfHours]:
    """As `half_hours_of`, for commands of operators, whose role is behind no fence and may not use the web's door."""
    query = """
        select d.day, d.total_wh, d.register_wh, d.demand_w, d.origin, d.known, d.blocks_wh, d.origins, d.off, d.rule,
            v.received_at
        from (select s.meter_id, s.from_date, lead(s.from_date) over (order by s.from_date) as until
              from (select distinct on (from_date) meter_id, from_date from metering_installation
                    where connection_id = %(connection)s order by from_date, revision desc) s) h
        cross join lateral (
            select distinct on (m.day) m.* from metering_meterday m
            where m.meter_id = h.meter_id and m.channel = 0 and m.day >= greatest(h.from_date, %(start)s)
                and m.day < least(coalesce(h.until, %(end)s), %(end)s)
            order by m.day, m.revision desc) d
        left join metering_delivery v on v.id = d.delivery
        order by d.day"""
    with connection.cursor() as cursor:
        cursor.execute(query, {"connection": connection_id, "start": start, "end": end})
        return [SeenHalfHours(*row) for row in cursor.fetchall()]


# -- deliveries --------------------------------------------------------------------------------------------------------


class UnknownDeliveryError(LookupError):
    """No delivery has this number."""


def deliveries(*, limit: int) -> list[Delivery]:
    """The last ones, newest first, each with its sender."""
    return list(Delivery.objects.select_related("sender").order_by("-id")[:limit])


def delivery(number: int) -> Delivery:
    found = Delivery.objects.select_related("sender").filter(id=number).first()
    if found is None:
        raise UnknownDeliveryError(f"no delivery has the number {number}")
    return found


@dataclass(frozen=True)
class Failed:
    """The rows of a delivery that did not pass one check for one owner, and the lines of the first of them."""

    rule: str
    owner: str  # sender, division or metering
    reason: str
    count: int
    lines: list[int]


def quarantined(delivery: Delivery, *, first: int) -> list[Failed]:
    query = """
        select rule, owner, min(reason), count(*), (array_agg(line order by line))[:%s]
        from metering_quarantine where delivery_id = %s group by rule, owner order by rule, owner"""
    with connection.cursor() as cursor:
        cursor.execute(query, [first, delivery.id])
        return [Failed(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class Example:
    """A meter day that was stored although a check noted something of it."""

    serial: str
    day: dt.date
    channel: int
    revision: int
    evidence: dict[str, int]


@dataclass(frozen=True)
class Noted:
    """What one check noted in a delivery, and the first of its meter days."""

    rule: str
    count: int
    examples: list[Example]


def findings_of(delivery: Delivery, *, first: int) -> list[Noted]:
    query = """
        select f.rule, f.many, m.serial, f.day, f.channel, f.revision, f.evidence
        from (select *, count(*) over (partition by rule) as many,
                  row_number() over (partition by rule order by meter_id, day, channel, revision) as place
              from metering_finding where delivery_id = %s) f
        join metering_meter m on m.id = f.meter_id where f.place <= %s order by f.rule, f.place"""
    noted: dict[str, Noted] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, [delivery.id, max(first, 1)])
        for rule, many, serial, day, channel, revision, evidence in cursor.fetchall():
            given = json.loads(evidence) if isinstance(evidence, str) else evidence
            noted.setdefault(rule, Noted(rule, many, [])).examples.append(
                Example(serial, day, channel, revision, given)
            )
    return list(noted.values())
