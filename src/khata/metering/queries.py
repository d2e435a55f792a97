"""Reads for bills, in columns: dates are day numbers (days since 1970-01-01), NULL is -1."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from khata.jobs.bulk import integers

Int64 = npt.NDArray[np.int64]
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
        select distinct on (i.connection_id, i.from_date)
            i.connection_id, (i.from_date - date '1970-01-01')::bigint, coalesce(i.meter_id, 0),
            coalesce(m.smart, false)::int::bigint,
            (extract(year from c.first_month) * 12 + extract(month from c.first_month) - 23641)::bigint,
            c.every_months::bigint
        from metering_installation i
        left join metering_meter m on m.id = i.meter_id
        left join metering_readingcycle c on c.id = i.cycle_id
        where i.connection_id = any(%s) and i.from_date < %s
        order by i.connection_id, i.from_date, i.revision desc"""
    return Hung(*integers(query, (connections.tolist(), before), 6, null=UNKNOWN))


@dataclass(frozen=True)
class Readings:
    """Registers at the beginning of `day`, with the demand since the reading before. Sorted by meter and day."""

    meter: Int64
    day: Int64
    register_wh: Int64
    demand_w: Int64


def readings(meters: Int64, first: dt.date, last: dt.date) -> Readings:
    """Readings of the days first to last, both included."""
    query = """
        select distinct on (meter_id, day) meter_id, (day - date '1970-01-01')::bigint, register_wh, demand_w::bigint
        from metering_reading where meter_id = any(%s) and day between %s and %s
        order by meter_id, day, revision desc"""
    return Readings(*integers(query, (meters.tolist(), first, last), 4))


@dataclass(frozen=True)
class Days:
    """Meter days, the last revision of each. Sorted by meter and day."""

    meter: Int64
    day: Int64
    total_wh: Int64
    register_wh: Int64  # at the end of the day
    demand_w: Int64


def days(meters: Int64, start: dt.date, end: dt.date) -> Days:
    """Meter days of [start, end), read from the covering index; no half-hour is touched."""
    query = """
        select meter_id, (day - date '1970-01-01')::bigint, total_wh::bigint, register_wh, demand_w::bigint
        from metering_meterday where meter_id = any(%s) and day >= %s and day < %s
        order by meter_id, day, revision"""
    columns = integers(query, (meters.tolist(), start, end), 5, null=UNKNOWN)
    meter, day = columns[0], columns[1]
    last = np.ones(len(meter), np.bool_)
    last[:-1] = (meter[1:] != meter[:-1]) | (day[1:] != day[:-1])
    return Days(*(column[last] for column in columns))
