"""Who owes which half-hours: expected less received, by sender, division and day; and what became of what came.

Counted from the covering index alone, whole companies at once. Pages, which cannot wait for that, read what is `kept`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection

HALF_HOURS = 48


@dataclass(frozen=True)
class Owed:
    """What a sender (None: nobody is recorded) owes of a division's meters on a day."""

    sender: str | None
    division: int
    day: dt.date
    meters: int
    expected: int  # half-hours
    received: int  # measured ones; neither an estimate nor an officer's edit pays a debt
    totals_only: int  # meters that sent the day's energy without half-hours
    silent: int  # meters that sent nothing of the day
    age_days: int

    @property
    def missing(self) -> int:
        return self.expected - self.received


# Smart meters while they hang at a live connection that is supplied, each with its division.
_SPANS = """
    spans as materialized (
        select i.meter_id, c.division_id, greatest(i.from_date, %(first)s) as low,
            least(i.until, e.from_date, %(until)s) as high
        from (select meter_id, connection_id, from_date,
                  lead(from_date) over (partition by connection_id order by from_date) as until
              from (select distinct on (connection_id, from_date) connection_id, from_date, meter_id
                    from metering_installation order by connection_id, from_date, revision desc) latest) i
        join consumers_connection c on c.id = i.connection_id and c.live
        join metering_meter m on m.id = i.meter_id and m.smart
        left join (select distinct on (connection_id) connection_id, from_date, ended from consumers_terms
                   order by connection_id, from_date desc, revision desc) e on e.connection_id = c.id and e.ended
        where i.from_date < %(until)s and (%(division)s::int is null or c.division_id = %(division)s)
    ), feeds as materialized (
        select meter_id, sender_id, from_date,
            coalesce(lead(from_date) over (partition by meter_id order by from_date), date 'infinity') as until
        from (select distinct on (meter_id, from_date) meter_id, from_date, sender_id from metering_feed
              order by meter_id, from_date, revision desc) latest
    )"""

OWED = f"""
    with {_SPANS}, stored as materialized (
        select distinct on (meter_id, day) meter_id, day, known, total_wh, origin from metering_meterday
        where day >= %(first)s and day < %(until)s and channel = 0 order by meter_id, day, revision desc
    )
    select n.code, s.division_id, d.day::date, count(*), count(*) * {HALF_HOURS}, coalesce(sum(g.known), 0),
        count(*) filter (where g.known = 0 and g.origin = 1 and g.total_wh is not null),
        count(*) filter (where g.known is null or (g.known = 0 and (g.origin <> 1 or g.total_wh is null))),
        %(today)s - d.day::date
    from spans s
    join generate_series(%(first)s::timestamp, %(until)s::timestamp - interval '1 day', interval '1 day') d (day)
        on d.day >= s.low and d.day < s.high
    left join feeds f on f.meter_id = s.meter_id and d.day >= f.from_date and d.day < f.until
    left join metering_sender n on n.id = f.sender_id
    left join stored g on g.meter_id = s.meter_id and g.day = d.day
    where %(sender)s::text is null or n.code = %(sender)s
    group by 1, 2, 3 order by 1 nulls last, 2, 3"""


def owed(
    *, from_day: dt.date, until: dt.date, sender: str | None = None, division: int | None = None, today: dt.date
) -> list[Owed]:
    """Each sender's account for the days of [from_day, until), by division and day, those that are paid too."""
    values = {"first": from_day, "until": until, "sender": sender, "division": division, "today": today}
    return [Owed(*row) for row in rows_of(OWED, values)]


@dataclass(frozen=True)
class Silent:
    """Meters that hang somewhere and never sent a day."""

    sender: str | None
    division: int
    meters: int


# The night's list says who sent nothing for half a year: only these are looked up in all months.
_SILENT = f"""
    with {_SPANS}
    select n.code, s.division_id, count(*) from spans s
    left join metering_usual u on u.meter_id = s.meter_id
    left join feeds f on f.meter_id = s.meter_id and %(first)s >= f.from_date and %(first)s < f.until
    left join metering_sender n on n.id = f.sender_id
    where s.low <= %(first)s and s.high > %(first)s and coalesce(u.days, 0) = 0
        and not exists (select from metering_meterday d where d.meter_id = s.meter_id and d.origin = 1)
        and (%(sender)s::text is null or n.code = %(sender)s)
    group by 1, 2 order by 1 nulls last, 2"""


def never_spoke(*, sender: str | None = None, division: int | None = None, today: dt.date) -> list[Silent]:
    """Of the meters that hang today."""
    values = {"first": today, "until": today + dt.timedelta(days=1), "sender": sender, "division": division}
    return [Silent(*row) for row in rows_of(_SILENT, values)]


@dataclass(frozen=True)
class Counted:
    """How often a rule spoke."""

    rule: str
    owner: str  # of quarantine: sender, division or metering; else empty
    count: int


_OF_DIVISION = """(%(division)s::int is null or exists (
    select from metering_installation i join consumers_connection c on c.id = i.connection_id
    where i.meter_id = {meter} and c.division_id = %(division)s))"""


def findings(*, from_day: dt.date, until: dt.date, sender: str | None, division: int | None) -> list[Counted]:
    """What the checks noted of the days of [from_day, until), by rule."""
    query = f"""
        select f.rule, '', count(*) from metering_finding f
        join metering_delivery v on v.id = f.delivery_id join metering_sender n on n.id = v.sender_id
        where f.day >= %(first)s and f.day < %(until)s and (%(sender)s::text is null or n.code = %(sender)s)
            and {_OF_DIVISION.format(meter="f.meter_id")}
        group by f.rule order by f.rule"""
    return _counted(query, from_day, until, sender, division)


def quarantine(*, from_day: dt.date, until: dt.date, sender: str | None, division: int | None) -> list[Counted]:
    """Rows that were not stored, of deliveries judged on the days of [from_day, until), by rule and owner.

    A division has those of its meters; a number that no meter has belongs to none.
    """
    query = f"""
        select q.rule, q.owner, count(*) from metering_quarantine q
        join metering_delivery v on v.id = q.delivery_id join metering_sender n on n.id = v.sender_id
        left join metering_meter m on m.serial = q.serial
        where v.today >= %(first)s and v.today < %(until)s and (%(sender)s::text is null or n.code = %(sender)s)
            and {_OF_DIVISION.format(meter="m.id")}
        group by 1, 2 order by 1, 2"""
    return _counted(query, from_day, until, sender, division)


def estimates(*, from_day: dt.date, until: dt.date, sender: str | None, division: int | None) -> list[Counted]:
    """Days of [from_day, until) that stand estimated now, in whole or in part, by rule."""
    query = f"""
        with keys as materialized (
            select * from (
                select distinct on (meter_id, day) meter_id, day, revision, origin, known from metering_meterday
                where day >= %(first)s and day < %(until)s and channel = 0 order by meter_id, day, revision desc) l
            where origin = 2 or known < {HALF_HOURS}
        )
        select d.rule, '', count(*) from keys k
        join metering_meterday d on d.meter_id = k.meter_id and d.day = k.day and d.channel = 0
            and d.revision = k.revision and d.rule is not null
        where {_OF_DIVISION.format(meter="k.meter_id")} and (%(sender)s::text is null or exists (
            select from metering_feed f join metering_sender n on n.id = f.sender_id
            where f.meter_id = k.meter_id and n.code = %(sender)s))
        group by d.rule order by d.rule"""
    return _counted(query, from_day, until, sender, division)


def _counted(query: str, first: dt.date, until: dt.date, sender: str | None, division: int | None) -> list[Counted]:
    values = {"first": first, "until": until, "sender": sender, "division": division}
    return [Counted(*row) for row in rows_of(query, values)]


def rows_of(query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The answer to one question."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
