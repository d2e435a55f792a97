"""What the night makes of the stored days: what is usual of each meter, and which days are the day before once more.

Each operation is one transaction.
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import connection, transaction

from khata.metering.checks import repeated
from khata.metering.models import Delivery
from khata.metering.rules import KINDS, read_rules

RECENT_DAYS, SILENT_DAYS, ENOUGH_DAYS = 35, 180, 7

_MEASURES = """count(*) as days, max(day) filter (where total_wh > 0) as counted,
    percentile_disc(0.5) within group (order by total_wh) as total_wh,
    percentile_disc(0.5) within group (order by demand_w) as demand_w"""

# Only what the index holds is read. The median demand stands for twice the usual peak: half-hours would cost a minute.
_RECENT = f"""
create temporary table usual_recent on commit drop as
select meter_id, {_MEASURES} from (
    select distinct on (meter_id, day) meter_id, day, total_wh, demand_w, origin from metering_meterday
    where day >= %(today)s - %(recent)s and day < %(today)s and channel = 0
    order by meter_id, day, revision desc) latest
where origin = 1 and total_wh is not null group by meter_id"""

# A meter that was silent is measured by its last days before that: so one notices if it comes back at another place.
_SILENT = f"""
create temporary table usual_silent on commit drop as
select m.id as meter_id, b.* from metering_meter m left join usual_recent r on r.meter_id = m.id
cross join lateral (
    select {_MEASURES} from (
        select day, total_wh, demand_w from (
            select distinct on (day) day, total_wh, demand_w, origin from metering_meterday
            where meter_id = m.id and day >= %(today)s - %(silent)s and day < %(today)s and channel = 0
            order by day desc, revision desc) of_meter
        where origin = 1 and total_wh is not null order by day desc limit %(recent)s) kept) b
where coalesce(r.days, 0) < %(enough)s"""

_HANGING = """
create temporary table usual_hanging on commit drop as
select i.meter_id, count(*) as hangs, max(t.load_w) as load_w, max(c.division_id) as division
from consumers_connection c
cross join lateral (
    select meter_id from metering_installation i where i.connection_id = c.id and i.from_date <= %(today)s
    order by from_date desc, revision desc limit 1) i
left join lateral (
    select load_w, ended from consumers_terms t where t.connection_id = c.id and t.from_date <= %(today)s
    order by from_date desc, revision desc limit 1) t on true
where c.live and i.meter_id is not null and t.ended is not true
group by i.meter_id"""

_USUAL = """
insert into metering_usual (meter_id, made_on, days, total_wh, peak_wh, zero_days, load_w, hangs, division, sender)
select s.meter_id, %(today)s, s.days,
    case when s.days >= %(enough)s then s.total_wh else -1 end,
    case when s.days >= %(enough)s then coalesce(s.demand_w / 2, -1) else -1 end,
    case when s.days = 0 then 0 when s.counted is null then s.days else z.days end,
    coalesce(h.load_w, -1), coalesce(h.hangs, 0), h.division, o.sender_id
from (select * from usual_recent where days >= %(enough)s union all select * from usual_silent) s
left join usual_hanging h on h.meter_id = s.meter_id
left join (select distinct on (meter_id) meter_id, sender_id from metering_feed where from_date <= %(today)s
           order by meter_id, from_date desc, revision desc) o on o.meter_id = s.meter_id
cross join lateral (
    select count(*) as days from (
        select distinct on (day) total_wh, origin from metering_meterday d
        where d.meter_id = s.meter_id and d.day > s.counted and d.day < %(today)s and channel = 0
        order by day desc, revision desc) after
    where origin = 1 and total_wh is not null) z"""


@transaction.atomic
def make_usual(*, today: dt.date) -> int:
    """What is usual of each meter from the days before `today`, made anew; how many meters. For each night.

    A meter counts with the measured days of its last 35 days; where they are fewer than 7, with its last 35 measured
    days of half a year. The load is that of the terms in force.
    """
    values: dict[str, dt.date | int] = {
        "today": today,
        "recent": RECENT_DAYS,
        "silent": SILENT_DAYS,
        "enough": ENOUGH_DAYS,
    }
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('metering.make_usual', 0))")
        cursor.execute("set local work_mem = '128MB'")
        for table, statement in (("recent", _RECENT), ("silent", _SILENT), ("hanging", _HANGING)):
            cursor.execute(statement, values)
            cursor.execute(f"analyze usual_{table}")
        cursor.execute("delete from metering_usual")
        cursor.execute(_USUAL, values)
        made = int(cursor.rowcount)
        for table in ("recent", "silent", "hanging"):
            cursor.execute(f"drop table usual_{table}")
    return made


# -- days that are the day before once more ----------------------------------------------------------------------------

_AT_ONCE = 10_000  # rows of half-hours in memory

_SAME = """
    select n.meter_id, n.day, n.channel, n.revision, m.kind, n.blocks_wh
    from metering_meterday n join metering_meter m on m.id = n.meter_id
    cross join lateral (
        select p.blocks_wh, p.origin, p.origins from metering_meterday p
        where p.meter_id = n.meter_id and p.day = n.day - 1 and p.channel = n.channel
        order by p.revision desc limit 1) p
    where n.delivery = %(delivery)s and n.day between %(first)s and %(last)s and n.known = 48
        and n.origin = 1 and n.origins is null and p.origin = 1 and p.origins is null and p.blocks_wh = n.blocks_wh"""
_STORED = "select count(*) from metering_meterday where delivery = %(delivery)s and day between %(first)s and %(last)s"
_NOTE = """
    insert into metering_finding (meter_id, day, channel, revision, rule, delivery_id, evidence)
    values (%s, %s, %s, %s, 'VAL-22', %s, %s) on conflict do nothing"""


def note_copies() -> int:
    """Note (VAL-22) whole days that equal the stored day before, of all deliveries since the last time; how many.

    For each night: to fetch that day would cost most of the intake, which sees only the days beside each other in one
    delivery. A delivery is one transaction with the mark that it is done, so whoever dies in between does no harm.
    """
    waiting = Delivery.objects.filter(swept=None).exclude(accepted=0, superseding=0).order_by("id")
    return sum(_note_copies(delivery) for delivery in waiting)


@transaction.atomic
def _note_copies(of: Delivery) -> int:
    noted, delivery = 0, of.id
    with connection.cursor() as cursor, connection.cursor() as written:
        cursor.execute("insert into metering_swept (delivery_id) values (%s) on conflict do nothing", [delivery])
        if not cursor.rowcount:  # by another worker, just now
            return 0
        cursor.execute(_SAME, _days_of(of))
        while rows := cursor.fetchmany(_AT_ONCE):
            found = [(*key, delivery, evidence) for key, evidence in _copies(rows)]
            written.executemany(_NOTE, found)
            noted += len(found)
    return noted


def _days_of(delivery: Delivery) -> dict[str, int | dt.date]:
    """Between which days to look, so that no other month is opened: no later ones come, or (history) all are asked."""
    late = dt.timedelta(days=read_rules().limit("VAL-04", "days", delivery.today))
    found: dict[str, int | dt.date] = {"delivery": delivery.id, "first": delivery.today - late, "last": delivery.today}
    with connection.cursor() as cursor:
        cursor.execute(_STORED, found)
        (stored,) = cursor.fetchone()
    history = stored < delivery.accepted + delivery.superseding
    return {**found, "first": dt.date.min} if history else found


def _copies(rows: Sequence[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], str]]:
    """Keys and evidence of those in which the load moves enough, among rows of _SAME."""
    rules, blocks = read_rules(), np.array([row[5] for row in rows], np.int32)
    days, kinds = np.array([row[1] for row in rows], "M8[D]"), np.array([KINDS.index(row[4]) for row in rows])
    least, least_changes, change_wh = (
        rules.limits("VAL-22", name, days, kinds) for name in ("half_hours", "changes", "change_wh")
    )
    run, changes = repeated(blocks, blocks, change_wh)
    return [
        (
            tuple(rows[at][:4]),
            json.dumps({"half_hours": int(run[at]), "changes": int(changes[at]), "limit_half_hours": int(least[at])}),
        )
        for at in np.flatnonzero((run >= least) & (changes >= least_changes)).tolist()
    ]
