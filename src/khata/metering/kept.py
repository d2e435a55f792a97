"""The scorecard as officers' pages read it: its last days counted, and which rows in quarantine are still somebody's to
settle. Counting whole companies takes minutes, so `keep_scorecard` does it beforehand.
"""

import datetime as dt
import json
from dataclasses import dataclass

from django.db import connection, transaction

from khata.formats.spool import READING
from khata.metering.models import Channel, Origin, ScoreMade
from khata.metering.queries import newest_delivery
from khata.metering.rules import read_rules
from khata.metering.scorecard import HALF_HOURS, OWED, rows_of

KEPT_DAYS = 30  # up to yesterday
LATEST_DAYS = 7  # of them are counted anew whenever something has come

_KEEP_OWED = f"""
    insert into metering_owedday
        (sender, division, day, meters, expected, received, totals_only, silent, made_at)
    select n.id, o.division, o.day, o.meters, o.expected, o.received, o.totals_only, o.silent, %(now)s
    from ({OWED}) o (code, division, day, meters, expected, received, totals_only, silent, age)
    left join metering_sender n on n.code = o.code"""

_KEEP_NOTED_ROWS = """
    insert into metering_notedrow (office, day, rule, meter, channel, revision)
    select distinct o.id, f.day, f.rule, f.meter_id, f.channel, f.revision
    from metering_finding f cross join khata.hung_in(f.meter_id, f.day) h
    join discoms_office o on h.division between o.id and o.last
    where f.day >= %(first)s and f.day < %(until)s"""

_KEEP_NOTED = """
    insert into metering_notedday (office, day, rule, count)
    select office, day, rule, count(*) from metering_notedrow where day >= %(first)s group by 1, 2, 3"""

_KEPT_BY_DAY = {"owedday": _KEEP_OWED, "notedrow": _KEEP_NOTED_ROWS, "notedday": _KEEP_NOTED}

# What was open, and what has come since. A row that is settled stays so, because nothing stored is taken back.
_CANDIDATES = f"""
    create temporary table open_candidate on commit drop as
    select q.id, q.delivery_id, q.rule, q.owner, q.serial, q.day, q.channel, v.sender_id, v.sha256, v.form, v.today,
        m.id as meter_id, m.discom_id,
        case when q.serial = '' or q.day is null then coalesce(k.since, v.today)
            else min(coalesce(k.since, v.today)) over same end as since,
        max(q.delivery_id) over same as newest,
        coalesce(q.serial = '' or q.day is null or q.day < date '2000-01-01'
            or q.day >= v.today + (q.channel is not distinct from {READING})::int, true) as lost
    from (select quarantine as id, since from metering_openrow group by 1, 2
          union all select id, null from metering_quarantine
          where delivery_id > %(seen)s and delivery_id <= %(newest)s) k
    join metering_quarantine q on q.id = k.id join metering_delivery v on v.id = q.delivery_id
    left join metering_meter m on m.serial = q.serial
    window same as (partition by v.sender_id, q.serial, q.day, q.channel)"""

# The same bytes judged again say it all again; so does a newer row of the same meter day from the same sender. Where a
# reading stands, a repeat of it leaves no trace: what contradicts it goes when late days are no longer taken.
_SETTLED = f"""
    delete from open_candidate c where
        (c.serial <> '' and c.day is not null and c.delivery_id < c.newest)
        or exists (select from metering_delivery a where a.sha256 = c.sha256 and a.sender_id = c.sender_id
                   and a.form = c.form and a.id > c.delivery_id)
        or (c.lost and c.today < %(today)s - %(late)s::int)
        or exists (select from metering_meterday d where d.meter_id = c.meter_id and d.day = c.day
                   and d.channel = coalesce(c.channel, {Channel.IMPORT}) and d.origin <> {Origin.ESTIMATED}
                   and (d.delivery > c.delivery_id or d.known = {HALF_HOURS}))
        or (c.channel = {READING} and exists (
            select from metering_reading r where r.meter_id = c.meter_id and r.day = c.day
            and (r.delivery > c.delivery_id or c.today < %(today)s - %(late)s::int)))"""

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


_KEEP_COUNTS = """
    insert into metering_opencount (office, rule, owner, count, oldest)
    select f.id, o.rule, o.owner, count(distinct o.quarantine), min(o.since) from discoms_office f
    join metering_openrow o on o.office between f.id and f.last group by 1, 2, 3"""


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
        for table, statement in _KEPT_BY_DAY.items():
            cursor.execute(f"delete from metering_{table} where day >= %(first)s or day < %(kept)s", values)
            cursor.execute(statement, values)
        cursor.execute(_CANDIDATES, values)
        cursor.execute("analyze open_candidate")
        cursor.execute(_SETTLED, values)
        cursor.execute("delete from metering_openrow")
        cursor.execute(_KEEP_OPEN, values)
        cursor.execute("drop table open_candidate")
        cursor.execute("delete from metering_opencount")
        cursor.execute(_KEEP_COUNTS)
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
class SeenCount:
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
    ((made,),) = rows_of("select khata.score_made()", {})
    found: dt.datetime | None = made
    return found


def seen_days(*, from_day: dt.date, until: dt.date) -> list[KeptDay]:
    """The kept accounts of [from_day, until), by sender, division and day."""
    query = "select * from khata.owed_days(%(first)s, %(until)s)"
    return [KeptDay(*row) for row in rows_of(query, {"first": from_day, "until": until})]


def seen_open_counts() -> list[SeenCount]:
    return [SeenCount(*row) for row in rows_of("select * from khata.open_counts()", {})]


def seen_open_rows(*, rule: str, owner: str, limit: int, skip: int) -> list[SeenRow]:
    """The oldest first; an empty rule or owner is any."""
    query = "select * from khata.open_rows(%(rule)s, %(owner)s, %(limit)s, %(skip)s)"
    return [SeenRow(*row) for row in rows_of(query, {"rule": rule, "owner": owner, "limit": limit, "skip": skip})]


def seen_noted_counts(*, from_day: dt.date, until: dt.date) -> dict[str, int]:
    """How often each rule noted something of the days of [from_day, until)."""
    query = "select * from khata.noted_counts(%(first)s, %(until)s)"
    return {rule: int(many) for rule, many in rows_of(query, {"first": from_day, "until": until})}


def seen_noted_rows(*, from_day: dt.date, until: dt.date, rule: str, limit: int, skip: int) -> list[SeenFinding]:
    """The newest day first; an empty rule is any."""
    query = "select * from khata.noted_rows(%(first)s, %(until)s, %(rule)s, %(limit)s, %(skip)s)"
    values = {"first": from_day, "until": until, "rule": rule, "limit": limit, "skip": skip}
    found = []
    for serial, day, channel, number, evidence, *rest in rows_of(query, values):
        given = json.loads(evidence) if isinstance(evidence, str) else evidence
        found.append(SeenFinding(serial, day, channel, number, given, *rest))
    return found
