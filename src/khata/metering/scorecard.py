"""Who owes which half-hours: expected less received, by sender, division and day; and what became of what came.

Counted from the covering index alone, whole companies at once. For pages, which cannot wait for that, `keep_scorecard`
keeps the last days counted, and which rows in quarantine are still somebody's to settle.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from khata.metering.models import Channel, Origin, ScoreMade
from khata.metering.queries import newest_delivery
from khata.metering.rules import read_rules

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

_OWED = f"""
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
    return [Owed(*row) for row in _rows(_OWED, values)]


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
    return [Silent(*row) for row in _rows(_SILENT, values)]


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
    return [Counted(*row) for row in _rows(query, values)]


def _rows(query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


# -- kept for pages ----------------------------------------------------------------------------------------------------

KEPT_DAYS = 30  # up to yesterday
LATEST_DAYS = 7  # of them are counted anew whenever something has come

_KEEP_OWED = f"""
    insert into metering_owedday
        (sender, division, day, meters, expected, received, totals_only, silent, made_at)
    select n.id, o.division, o.day, o.meters, o.expected, o.received, o.totals_only, o.silent, %(now)s
    from ({_OWED}) o (code, division, day, meters, expected, received, totals_only, silent, age)
    left join metering_sender n on n.code = o.code"""

_KEEP_NOTED = """
    insert into metering_notedday (division, day, rule, count)
    select h.division, f.day, f.rule, count(*) from metering_finding f, khata.hung_in(f.meter_id, f.day) h
    where f.day >= %(first)s and f.day < %(until)s group by 1, 2, 3"""

# What was open, and what has come since. A row that is settled stays so, because nothing stored is taken back.
_CANDIDATES = """
    create temporary table open_candidate on commit drop as
    select q.id, q.delivery_id, q.rule, q.owner, q.serial, q.day, q.channel, v.sender_id, v.sha256, v.form, v.today,
        m.id as meter_id, m.discom_id,
        case when q.serial = '' or q.day is null then coalesce(k.since, v.today)
            else min(coalesce(k.since, v.today)) over same end as since,
        max(q.delivery_id) over same as newest,
        coalesce(q.serial = '' or q.day is null or q.day >= v.today or q.day < date '2000-01-01', true) as lost
    from (select quarantine as id, since from metering_openrow group by 1, 2
          union all select id, null from metering_quarantine
          where delivery_id > %(seen)s and delivery_id <= %(newest)s) k
    join metering_quarantine q on q.id = k.id join metering_delivery v on v.id = q.delivery_id
    left join metering_meter m on m.serial = q.serial
    window same as (partition by v.sender_id, q.serial, q.day, q.channel)"""

# The same bytes judged again say it all again; so does a newer row of the same meter day from the same sender.
_SETTLED = f"""
    delete from open_candidate c where
        (c.serial <> '' and c.day is not null and c.delivery_id < c.newest)
        or exists (select from metering_delivery a where a.sha256 = c.sha256 and a.sender_id = c.sender_id
                   and a.form = c.form and a.id > c.delivery_id)
        or (c.lost and c.today < %(today)s - %(late)s::int)
        or exists (select from metering_meterday d where d.meter_id = c.meter_id and d.day = c.day
                   and d.channel = coalesce(c.channel, {Channel.IMPORT}) and d.origin <> {Origin.ESTIMATED}
                   and (d.delivery > c.delivery_id or d.known = {HALF_HOURS}))
        or (c.channel is null and exists (
            select from metering_reading r where r.meter_id = c.meter_id and r.day = c.day))"""

# Of a meter that hangs nowhere, and of a number that no meter has, the company's own office is told: that of the meter,
# or those to whose meters the sender owes days.
_KEEP_OPEN = """
    with owing as materialized (
        select distinct f.sender_id, m.discom_id from metering_feed f join metering_meter m on m.id = f.meter_id
        where exists (select from open_candidate where meter_id is null)
    )
    insert into metering_openrow (quarantine, office, rule, owner, since)
    select c.id, h.division, c.rule, c.owner, c.since
    from open_candidate c, khata.hung_in(c.meter_id, least(c.day, %(today)s)) h
    union all
    select distinct c.id, o.id, c.rule, c.owner, c.since from open_candidate c
    left join owing w on w.sender_id = c.sender_id and c.meter_id is null
    join discoms_office o on o.kind = 'company' and o.discom_id = coalesce(c.discom_id, w.discom_id)
    where not exists (select from khata.hung_in(c.meter_id, least(c.day, %(today)s)))"""


def scorecard_made() -> ScoreMade | None:
    """When the kept scorecard was last brought up to date; None before the first time."""
    return ScoreMade.objects.first()


@transaction.atomic
def keep_scorecard(*, today: dt.date, now: dt.datetime, days: int) -> int:
    """Count the last `days` days before `today` anew for the officers' pages, and settle what is in quarantine.

    How many rows of quarantine are open. What is older than KEPT_DAYS goes.
    """
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('metering.keep_scorecard', 0))")
    made, newest = scorecard_made(), newest_delivery()
    values = {
        "first": today - dt.timedelta(days=days),
        "kept": today - dt.timedelta(days=KEPT_DAYS),
        "until": today,
        "today": today,
        "now": now,
        "sender": None,
        "division": None,
        "seen": made.delivery if made else 0,
        "newest": newest,
        "late": read_rules().limit("VAL-04", "days", today),
    }
    with connection.cursor() as cursor:
        cursor.execute("set local work_mem = '128MB'")
        for table, statement in (("owedday", _KEEP_OWED), ("notedday", _KEEP_NOTED)):
            cursor.execute(f"delete from metering_{table} where day >= %(first)s or day < %(kept)s", values)
            cursor.execute(statement, values)
        cursor.execute(_CANDIDATES, values)
        cursor.execute("analyze open_candidate")
        cursor.execute(_SETTLED, values)
        cursor.execute("delete from metering_openrow")
        cursor.execute(_KEEP_OPEN, values)
        cursor.execute("drop table open_candidate")
        cursor.execute("select count(distinct quarantine) from metering_openrow")
        (count,) = cursor.fetchone()
    ScoreMade.objects.update_or_create(id=1, defaults={"made_at": now, "delivery": newest})
    return int(count)


# -- what an office sees of it -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeptDay:
    """As `Owed`, of a division that the scope may see, and when it was counted."""

    sender: str | None
    sender_name: str | None
    division: int
    day: dt.date
    meters: int
    expected: int
    received: int
    totals_only: int
    silent: int
    made_at: dt.datetime

    @property
    def missing(self) -> int:
        return self.expected - self.received


@dataclass(frozen=True)
class OpenCount:
    """Rows of quarantine that are open, of one rule and owner; since when the oldest of them is."""

    rule: str
    owner: str
    count: int
    oldest: dt.date


@dataclass(frozen=True)
class SeenRow:
    """A row in quarantine. `serial`, `reason`, `content`, `delivery_name` come from outside, cut by the database."""

    serial: str
    day: dt.date | None
    channel: int | None
    rule: str
    owner: str
    reason: str
    content: str
    line: int
    delivery: int
    delivery_name: str
    sender: str
    received_at: dt.datetime
    since: dt.date


@dataclass(frozen=True)
class SeenFinding:
    """What a check noted of a day that is stored; `evidence`: numbers by name."""

    serial: str
    day: dt.date
    channel: int
    rule: str
    evidence: dict[str, int]
    delivery: int
    sender: str
    received_at: dt.datetime


def seen_made() -> dt.datetime | None:
    """When what the scope's office sees was last brought up to date."""
    ((made,),) = _rows("select khata.score_made()", {})
    found: dt.datetime | None = made
    return found


def seen_days(*, from_day: dt.date, until: dt.date) -> list[KeptDay]:
    """The kept accounts of [from_day, until), by sender, division and day."""
    query = "select * from khata.owed_days(%(first)s, %(until)s)"
    return [KeptDay(*row) for row in _rows(query, {"first": from_day, "until": until})]


def seen_open_counts() -> list[OpenCount]:
    return [OpenCount(*row) for row in _rows("select * from khata.open_counts()", {})]


def seen_open_rows(*, rule: str, owner: str, limit: int, skip: int) -> list[SeenRow]:
    """The oldest first; an empty rule or owner is any."""
    query = "select * from khata.open_rows(%(rule)s, %(owner)s, %(limit)s, %(skip)s)"
    return [SeenRow(*row) for row in _rows(query, {"rule": rule, "owner": owner, "limit": limit, "skip": skip})]


def seen_noted_counts(*, from_day: dt.date, until: dt.date) -> dict[str, int]:
    """How often each rule noted something of the days of [from_day, until)."""
    query = "select * from khata.noted_counts(%(first)s, %(until)s)"
    return {rule: int(many) for rule, many in _rows(query, {"first": from_day, "until": until})}


def seen_noted_rows(*, from_day: dt.date, until: dt.date, rule: str, limit: int, skip: int) -> list[SeenFinding]:
    """The newest day first; an empty rule is any."""
    query = "select * from khata.noted_rows(%(first)s, %(until)s, %(rule)s, %(limit)s, %(skip)s)"
    values = {"first": from_day, "until": until, "rule": rule, "limit": limit, "skip": skip}
    found = []
    for serial, day, channel, number, evidence, *rest in _rows(query, values):
        given = json.loads(evidence) if isinstance(evidence, str) else evidence
        found.append(SeenFinding(serial, day, channel, number, given, *rest))
    return found
