"""Whom a bill goes to, the digest of a month, stored bills rated again, and how a bill is shown."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from khata.billing.models import Bill, BillPart, BillRun, OldBill, Unissued
from khata.consumers.models import Connection, Consumer
from khata.consumers.queries import old_number_of
from khata.discoms.models import Discom
from khata.display.bill_text import BillView, LineView, ReadingView, SlabView, times
from khata.display.charts import MonthBar
from khata.display.labels import Language
from khata.display.sources import ReadingWords, Source, clause_words, order_words, reading_source
from khata.formats.pgcopy import Field
from khata.jobs.bulk import copy_out, integers
from khata.kernel.bills import Group, Priced, Segments, price
from khata.kernel.changes import rate_above
from khata.kernel.days import day_number, month_number, month_start, season_days
from khata.kernel.explain import explain
from khata.kernel.order import ExcessDemand, Minimum, PerLoad, Ref, SlabsTelescopic, SlabSubsidy
from khata.kernel.quantities import Int64
from khata.kernel.rating import Traced, matches
from khata.kernel.yaml_text import OrderError
from khata.metering.models import Meter
from khata.tariffs.queries import published_orders, reading_words

# -- for printing and messages -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Addressees:
    """Of each connection asked for: last four of its account number, language, mobile that messages can reach ('')."""

    tail: npt.NDArray[np.bytes_]
    language: npt.NDArray[np.bytes_]
    mobile: npt.NDArray[np.bytes_]
    arrears_paise: Int64


def addressees(connections: Int64, owed_on: Sequence[int]) -> Addressees:
    """In the order of `connections`, which must rise. Arrears are the sum over these heads."""
    whom = """
        select array_agg(consumer_id), string_agg(right(account_number, 4), '')
        from (select consumer_id, account_number from consumers_connection where id = any(%s) order by id) as q"""
    consumer, tail = copy_out(whom, (connections.tolist(),), [Field("int8[]"), Field("text")])
    people, place = np.unique(consumer[0], return_inverse=True)
    reach = """
        select string_agg(language, ''), string_agg(rpad(mobile_key, 10), '')
        from (select language, mobile_key from consumers_consumer where id = any(%s) order by id) as q"""
    language, mobile = copy_out(reach, (people.tolist(),), [Field("text")] * 2)
    owed = "select subject, amount_paise from ledger_balance where subject = any(%s) and head_id = any(%s)"
    subject, amount = integers(owed, (connections.tolist(), list(owed_on)), 2)
    arrears = np.zeros(len(connections), np.int64)
    np.add.at(arrears, np.searchsorted(connections, subject), amount)
    return Addressees(
        np.frombuffer(tail[0], "S4"),
        np.frombuffer(language[0], "S2")[place],
        np.strings.rstrip(np.frombuffer(mobile[0], "S10"))[place],
        arrears,
    )


# -- the digest of a cycle ---------------------------------------------------------------------------------------------

_DIGEST_BILLS = """
    select concat_ws('|', c.account_number, b.kind, b.revision, b.bill_date, b.due_date, b.period_start, b.period_end,
        b.energy_wh, b.assessed_paise, b.subsidy_paise, b.rebate_paise, b.payable_paise, b.arrears_paise, b.draft,
        p.number, p.start, p."end", e."order", e.sha256, s.name, p.load_w, coalesce(p.demand_w, -1), p.energy_wh,
        p.lines_paise, p.opening_wh, p.closing_wh, 'opening estimated ' || opened.at, 'closing estimated ' || closed.at,
        g.amount_paise, m.template, m.values)
    from billing_bill b
    join consumers_connection c on c.id = b.connection_id
    join discoms_discom d on d.id = c.discom_id
    join billing_billpart p on p.bill_id = b.id
    join tariffs_rateschedule s on s.id = p.schedule_id join tariffs_edition e on e.id = s.edition_id
    left join ledger_posting g on g.entry_id = b.entry_id and g.subject = b.connection_id
    left join notices_message m on m.cause = 'billing:bill:' || b.id
    left join lateral (
        select string_agg(n::text, ',' order by n) as at from unnest(p.meters) with ordinality as u (meter, n)
        where u.meter = any(p.opening_estimated)) opened on p.opening_estimated is not null
    left join lateral (
        select string_agg(n::text, ',' order by n) as at from unnest(p.meters) with ordinality as u (meter, n)
        where u.meter = any(p.closing_estimated)) closed on p.closing_estimated is not null
    where d.code = %(discom)s and b.cycle = %(cycle)s
    order by c.account_number collate "C", b.kind, b.revision, p.number"""
_DIGEST_UNISSUED = """
    select concat_ws('|', c.account_number, u.outcome, u.reason)
    from billing_unissued u join consumers_connection c on c.id = u.connection_id
    join jobs_part j on j.id = u.part_id join billing_billrun r on r.run_id = j.run_id
    join discoms_discom d on d.id = r.discom_id
    where d.code = %(discom)s and r.cycle = %(cycle)s
    order by c.account_number collate "C", u.part_id"""
_DIGEST_HEADS = """
    select concat_ws('|', h.code, sum(g.amount_paise))
    from billing_billrun r join discoms_discom d on d.id = r.discom_id
    join jobs_part j on j.run_id = r.run_id
    join ledger_entry e on e.kind = 'bills' and e.cause = 'billing:part:' || j.id
    join ledger_posting g on g.entry_id = e.id join ledger_head h on h.id = g.head_id
    where d.code = %(discom)s and r.cycle = %(cycle)s
    group by h.code order by h.code collate "C" """


def digest(*, discom: str, cycle: dt.date) -> str:
    """SHA-256 over all amounts, lines and postings of a cycle, ordered by account number, without ids and times."""
    sha = hashlib.sha256()
    for query in (_DIGEST_BILLS, _DIGEST_UNISSUED, _DIGEST_HEADS):
        with (
            connection.cursor() as cursor,
            cursor.cursor.copy(f"copy ({query}) to stdout", {"discom": discom, "cycle": cycle}) as rows,
        ):
            for block in rows:
                sha.update(block)
        sha.update(b"\n--\n")
    return sha.hexdigest()


# -- stored bills, rated again -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredParts:
    """Parts of bills of one run as they are stored, in the order of bills and days, and rated again."""

    bill: Int64  # ids
    lines_paise: npt.NDArray[np.int64]  # (parts, most lines), 0 beyond a schedule's lines
    schedule: Int64
    again: Priced
    again_lines: npt.NDArray[np.int64]
    again_schedule: Int64

    def differing(self) -> Int64:
        """Ids of bills that did not come out to the same paise under the same schedule."""
        differs = (self.lines_paise != self.again_lines).any(axis=1) | (self.schedule != self.again_schedule)
        return np.unique(self.bill[differs | (self.again.refusal > 0)])


def rated_again(run: BillRun, bills: Sequence[int] | None) -> StoredParts:
    """Rate bills of a run (None: all) from their stored determinants under the orders pinned by the run."""
    published = published_orders(run.run.terms["editions"])
    categories, areas = published.categories, published.areas
    query = """
        select p.bill_id, (p.start - date '1970-01-01')::bigint, (p."end" - date '1970-01-01')::bigint,
            (coalesce(array_position(%s::text[], t.category), %s) - 1)::bigint,
            (coalesce(array_position(%s::text[], t.area), %s) - 1)::bigint,
            (t.mode = 'prepaid')::int::bigint, p.load_w::bigint, coalesce(p.demand_w, 0)::bigint, p.energy_wh,
            p.schedule_id, p.lines_paise
        from billing_bill b join jobs_part j on j.id = b.part_id
        join billing_billpart p on p.bill_id = b.id join consumers_terms t on t.id = p.terms_id
        where j.run_id = %s and (%s::bigint[] is null or b.id = any(%s))
        order by p.bill_id, p.number"""
    wanted = None if bills is None else list(bills)
    # As in the run, a category or area that no order names is the position after the last.
    params = (list(categories), len(categories) + 1, list(areas), len(areas) + 1, run.run_id, wanted, wanted)
    *columns, lines = copy_out(query, params, [Field("int8")] * 10 + [Field("int8[]", null=0)])
    bill, start, end, category, area, prepaid, load, demand, energy, schedule = (
        np.asarray(c, np.int64) for c in columns
    )
    segments = Segments(
        bill=np.searchsorted(np.unique(bill), bill),
        start=start,
        end=end,
        category=category,
        area=area,
        prepaid=prepaid,
        load_w=load,
        demand_w=demand,
        energy_wh=energy,
        bill_day=np.full(len(bill), day_number(run.rated_on)),
        categories=(*categories, "not in any order"),
        areas=(*areas, "not in any order"),
    )
    priced = price(published.orders, segments, metered=True)
    again, again_schedule = np.zeros_like(lines), np.zeros_like(schedule)
    for group in priced.groups:
        again[group.rows, : group.rated.lines.shape[1]] = group.rated.lines
        again_schedule[group.rows] = published.schedules[group.order.sha256, group.schedule.name]
    return StoredParts(bill, np.asarray(lines, np.int64), schedule, priced, again, again_schedule)


# -- a connection's bills, to list -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MonthUsed:
    """The month of use (its first day) that a bill month billed, and its Wh: None where there was no bill.

    `months`: how many the bill is for; it stands at the last of them, and those before have no bill. `old`: from the
    company's own system of before.
    """

    month: dt.date
    energy_wh: int | None
    months: int
    old: bool


# Ours before the old one, and the newest issue. A month is counted as thirty days, as a bill for several does.
_MONTHS_USED = """
    select distinct on (cycle) cycle, energy_wh, greatest(1, (2 * days + 30) / 60), old
    from (select cycle, energy_wh, period_end - period_start as days, false as old, revision
          from billing_bill where connection_id = %(connection)s and cycle between %(first)s and %(until)s
              and kind = 'regular' and (%(entry)s::bigint is null or entry_id <= %(entry)s::bigint)
          union all
          select month, units_wh, 30, true, 0
          from billing_oldbill where connection_id = %(connection)s and month between %(first)s and %(until)s) b
    order by cycle, old, revision desc"""


def months_used(*, connection_id: int, until: dt.date, months: int, entry: int | None = None) -> list[MonthUsed]:
    """What the last bill months up to `until` billed, a place for each, in order.

    A bill month bills the calendar month before it, and is named here by that one. With `entry` only bills that stood
    in the books by then, so that a paper stays as it was printed.
    """
    newest = month_number(until)
    cycles = [month_start(number) for number in range(newest - months + 1, newest + 1)]
    asked: dict[str, int | dt.date | None] = {
        "connection": connection_id,
        "first": cycles[0],
        "until": cycles[-1],
        "entry": entry,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS_USED, asked)
        found = {cycle: billed for cycle, *billed in cursor.fetchall()}
    return [MonthUsed(month_start(month_number(each) - 1), *found.get(each, (None, 1, False))) for each in cycles]


@dataclass(frozen=True)
class MonthBilled(MonthUsed):
    """With what the bill came to, and of our own bills the demand, the load it was held against, and what demand above
    it cost (its own line, before duty)."""

    paise: int | None = None
    demand_w: int | None = None
    load_w: int | None = None
    excess_paise: int | None = None


_MONTHS_BILLED = """
    select b.cycle, b.energy_wh, b.months, b.old, b.paise, p.demand_w, p.load_w, p.excess_paise
    from (select distinct on (cycle) cycle, energy_wh, greatest(1, (2 * days + 30) / 60) as months, old, paise, id
          from (select cycle, energy_wh, period_end - period_start as days, false as old, revision,
                    payable_paise as paise, id
                from billing_bill where connection_id = %(connection)s and cycle between %(first)s and %(until)s
                    and kind = 'regular'
                union all
                select month, units_wh, 30, true, 0, amount_paise, null
                from billing_oldbill where connection_id = %(connection)s and month between %(first)s and %(until)s) e
          order by cycle, old, revision desc) b
    left join lateral (
        select max(p.demand_w) as demand_w, (array_agg(p.load_w order by p.number desc))[1] as load_w,
            sum(p.lines_paise[array_position(s.lines, 'excess')])::bigint as excess_paise
        from billing_billpart p join tariffs_rateschedule s on s.id = p.schedule_id
        where p.bill_id = b.id) p on true
    order by b.cycle"""


def months_billed(*, connection_id: int, until: dt.date, months: int) -> list[MonthBilled]:
    """As `months_used`, with the money and the demand of each."""
    newest = month_number(until)
    cycles = [month_start(number) for number in range(newest - months + 1, newest + 1)]
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS_BILLED, {"connection": connection_id, "first": cycles[0], "until": cycles[-1]})
        found = {cycle: billed for cycle, *billed in cursor.fetchall()}
    missing = (None, 1, False)
    return [MonthBilled(month_start(month_number(each) - 1), *found.get(each, missing)) for each in cycles]


def bars_of(months: Sequence[MonthUsed]) -> list[MonthBar]:
    """Months as a chart draws them, from the first that has a bill on."""
    billed = [at for at, month in enumerate(months) if month.energy_wh is not None]
    shown = months[billed[0] :] if billed else ()
    return [MonthBar(month.month, month.energy_wh, partial=False, months=month.months) for month in shown]


def latest_bill(*, connection_id: int) -> Bill | None:
    return Bill.objects.filter(connection_id=connection_id).order_by("-cycle", "-revision").first()


def last_two_bills(*, connection_id: int) -> list[Bill]:
    """The bills that count of the last two bill months with one, the newer first."""
    query = """
        select distinct on (cycle) * from billing_bill where connection_id = %s
        order by cycle desc, revision desc limit 2"""
    return list(Bill.objects.raw(query, [connection_id]))


def bills_listed(*, connection_id: int, limit: int) -> list[Bill]:
    """Newest first."""
    return list(Bill.objects.filter(connection_id=connection_id).order_by("-cycle", "-revision")[:limit])


def bills_to_print(*, division: int, cycle: dt.date) -> Iterator[int]:
    """Ids of the newest issue for each connection of a division and kind of bill, in the order of their numbers."""
    same = {"connection": OuterRef("connection"), "cycle": OuterRef("cycle"), "kind": OuterRef("kind")}
    newer = Bill.objects.filter(**same, revision__gt=OuterRef("revision"))
    found = Bill.objects.filter(cycle=cycle, connection__division=division).exclude(Exists(newer)).order_by("id")
    return found.values_list("id", flat=True).iterator()


def old_bills_of(*, connection_id: int, limit: int) -> list[OldBill]:
    """What the company's own system had billed before the cut-over, newest first."""
    return list(OldBill.objects.filter(connection_id=connection_id).order_by("-month")[:limit])


# -- showing a bill ----------------------------------------------------------------------------------------------------


def bills_of(account_number: str, cycle: dt.date | None) -> list[Bill]:
    """The bills of an account, newest first."""
    found = Bill.objects.select_related("connection").filter(connection__account_number=account_number)
    return list((found.filter(cycle=cycle) if cycle else found).order_by("-cycle", "-revision"))


def bills_resting_on(*, connection_id: int, day: dt.date) -> list[Bill]:
    """The issued bills of a connection whose period holds this day, oldest first; of each the revision that counts."""
    found = Bill.objects.filter(connection_id=connection_id, period_start__lte=day, period_end__gt=day)
    return list({(each.cycle, each.kind): each for each in found.order_by("cycle", "kind", "revision")}.values())


def unissued_of(
    account_number: str, *, cycle: dt.date | None, after: dt.date | None
) -> tuple[dt.date, Unissued] | None:
    """The newest month of an account that gave no bill (or that of one month), if it is newer than a given one."""
    found = Unissued.objects.filter(connection__account_number=account_number)
    if cycle:
        found = found.filter(cycle=cycle)
    if after:
        found = found.filter(cycle__gt=after)
    newest = found.order_by("-cycle", "-part").first()
    return (newest.cycle, newest) if newest else None


def unissued_in(discom: Discom, cycle: dt.date) -> QuerySet[Unissued]:
    """Who of a company got no bill of a month, each with the newest reason; released ones got one."""
    same = {"connection": OuterRef("connection"), "cycle": OuterRef("cycle")}
    found = Unissued.objects.filter(connection__discom=discom, cycle=cycle).select_related("connection")
    return found.exclude(Exists(Bill.objects.filter(**same))).exclude(
        Exists(Unissued.objects.filter(**same, part__gt=OuterRef("part")))
    )


def bill_view(bill: Bill, language: Language, *, mask_name: bool) -> BillView:
    """All that a print of a bill shows; its lines are explained by rating its stored determinants again."""
    run = BillRun.objects.select_related("run", "division", "discom").get(run__part__id=bill.part_id)
    connection = Connection.objects.get(id=bill.connection_id)
    # Whoever was let see a connection sees its bills, and not the person.
    name = Consumer.objects.filter(id=connection.consumer_id).values_list("name", flat=True).first() or ""
    old = old_number_of(connection_id=connection.id, today=bill.bill_date)
    stored = rated_again(run, [bill.id])
    parts = list(BillPart.objects.select_related("terms").filter(bill=bill).order_by("number"))
    groups = sorted(((int(row), group, at) for group in stored.again.groups for at, row in enumerate(group.rows)))
    days = [(part.start, part.end) if len(groups) > 1 else None for part in parts]
    hindi = language == "hi"
    return BillView(
        account_number=connection.account_number,
        old_number=old.number if old else None,
        old_number_last_day=old.last_day if old else None,
        name=name,
        mask_name=mask_name,
        discom=run.discom.name_hi if hindi else run.discom.name_en,
        division=run.division.name_hi if hindi else run.division.name_en,
        category=" + ".join(dict.fromkeys(group.schedule.name for _, group, _ in groups)),
        sanctioned_load_w=parts[-1].load_w,
        max_demand_w=max((part.demand_w for part in parts if part.demand_w is not None), default=None),
        energy_wh=bill.energy_wh,
        period_start=bill.period_start,
        period_end=bill.period_end,
        bill_number=bill.number,
        bill_date=bill.bill_date,
        due_date=bill.due_date,
        readings=_reading_views(parts),
        lines=tuple(
            replace(view, part=days[row]) for row, group, at in groups for view in _line_views(group, at, language)
        ),
        slabs=_slab_views(groups[0][1], groups[0][2]) if len(groups) == 1 else (),
        bill_paise=bill.payable_paise,
        arrears_paise=bill.arrears_paise,
        payable_paise=bill.payable_paise + bill.arrears_paise,
        draft=bill.draft,
        orders=tuple(dict.fromkeys(group.order.title for _, group, _ in groups)),
        sources=_sources(groups, language),
    )


def _sources(groups: Sequence[tuple[int, Group, int]], language: Language) -> tuple[Source, ...]:
    """The orders that rated the bill, and the readings that its lines cite or that made it a draft, each once."""
    found: dict[Source, None] = {}
    for _, group, at in groups:
        found[Source(f"{order_words(group.order.title, language)} ({group.order.path})")] = None
        words = _words(group.order.path)
        cited = {step.clause for line in explain(group, at) for step in line.steps}
        cited |= {ref.text for ref in _rules_used(group, at)}
        for reading in group.order.readings:
            if reading.id in cited:
                point = f"{clause_words(reading.id, language)}, {reading.id} ({reading.evidence})"
                found[reading_source(point, (reading.question, reading.answer), words, language)] = None
    return tuple(found)


def _words(order: str) -> ReadingWords:
    """A bill is shown also where the Hindi words cannot be read: with those that are filed."""
    try:
        return reading_words(settings.KHATA_TARIFFS, order)
    except OrderError:
        return ReadingWords(())


def _rules_used(group: Group, at: int) -> Iterator[Ref]:
    """What the bill rests on besides the clauses of its lines: rules of the order, and doubts of the schedule."""
    order, schedule, parts = group.order, group.schedule, group.parts
    if parts.prepaid[at]:
        yield order.month.prepaid
    elif parts.months[at] > 1:
        yield order.month.postpaid
    if parts.slab_to[at] - parts.slab_from[at] < parts.slab_of[at]:
        yield from (order.straddle, order.slab_rounding)
    yield from (ref for ref in (order.line_rounding, schedule.ref) if ref.doubtful)
    for line in schedule.lines:
        if isinstance(line, Minimum):
            seasons = [rate for rate in line.rates if season_days(rate.season, parts.start, parts.end)[at]]
            yield from (rate.ref for rate in seasons if rate.ref.doubtful)
            yield from [line.both_seasons] if len(seasons) > 1 else []
    for doubt in schedule.doubts:
        meant = replace(schedule, match=replace(schedule.match, conditions=doubt.conditions))
        if matches(meant, parts, np.array([at]))[0]:
            yield doubt.ref


def _reading_views(parts: list[BillPart]) -> tuple[ReadingView, ...]:
    """Each meter once: parts that split its stretch are joined again."""
    spans: dict[int, list[tuple[int, int, BillPart]]] = {}
    for part in parts:
        for meter, opening, closing in zip(part.meters, part.opening_wh, part.closing_wh, strict=True):
            spans.setdefault(meter, []).append((opening, closing, part))
    serials = dict(Meter.objects.filter(id__in=spans).values_list("id", "serial"))
    return tuple(
        ReadingView(
            meter_number=serials[meter],
            previous_wh=span[0][0],
            previous_day=span[0][2].start,
            present_wh=span[-1][1],
            present_day=span[-1][2].end,
            multiplier=1,
            consumption_wh=span[-1][1] - span[0][0],
            previous_estimated=meter in (span[0][2].opening_estimated or ()),
            present_estimated=meter in (span[-1][2].closing_estimated or ()),
        )
        for meter, span in spans.items()
    )


# What a step's quantity is counted in, as the views want it: unit, and thousandths of it in one.
_UNITS = {"cW": ("kW", 100), "W": ("kW", 1), "Wh": ("kWh", 1), "paise": ("₹", None)}


def _line_views(group: Group, at: int, language: Language) -> Iterator[LineView]:
    kinds = {line.id: line for line in group.schedule.lines}
    idle = {line.id for line in group.schedule.lines if isinstance(line, ExcessDemand | Minimum)}
    for line in explain(group, at):
        if not line.amount_paise and (not line.steps or line.line in idle):
            continue  # not of this bill, as a prepaid rebate on a post-paid one, or demand that was not exceeded
        used = [step for step in line.steps if step.quantity] if len(line.steps) > 1 else line.steps
        if len(used) == 1:
            monthly = isinstance(kinds[line.line], PerLoad | ExcessDemand | Minimum)
            view = _step_view(line.line, used[0])
            yield replace(view, amount_paise=line.amount_paise, times=_times(group, at, language) if monthly else "")
            continue
        yield LineView(line.line, line.amount_paise)
        for step in used:  # a slab's width, not its units, grows with the months: so they stand beside its words
            wide = f"{step.printed} {_slab_times(group, at, language)}".rstrip()
            yield replace(_step_view(line.line, step), printed=wide)


def _step_view(line: str, step: Traced) -> LineView:
    unit, divisor = _UNITS[step.unit]
    milli = step.quantity * 10 if divisor is None else step.quantity // divisor
    percent = step.rate_unit == "%"
    rate_unit = "%" if percent else "₹/" + step.rate_unit.removeprefix("INR/").removesuffix("/month")
    return LineView(line, None, milli, unit, step.rate * (100 if percent else 1), rate_unit, step.clause)


def _times(group: Group, at: int, language: Language) -> str:
    """What multiplies a monthly charge."""
    months, num, den = (
        int(column[at]) for column in (group.parts.months, group.parts.fixed_num, group.parts.fixed_den)
    )
    return times(months, num // months, den, language)


def _slab_times(group: Group, at: int, language: Language) -> str:
    """What multiplies the width of a slab."""
    parts = group.parts
    return times(int(parts.months[at]), int(parts.slab_to[at] - parts.slab_from[at]), int(parts.slab_of[at]), language)


def _slab_views(group: Group, at: int) -> tuple[SlabView, ...]:
    """How the units filled the slabs, at what the consumer pays for each: full rate less subsidy."""
    energy = [line for line in group.schedule.lines if isinstance(line, SlabsTelescopic)]
    subsidy = [line for line in group.schedule.lines if isinstance(line, SlabSubsidy)]
    ladders = [line.slabs for line in energy] + [line.slabs for line in subsidy]
    limits = sorted({slab.up_to_wh for slabs in ladders for slab in slabs if slab.up_to_wh is not None})
    if not energy or not limits:
        return ()
    months, used = int(group.parts.months[at]), int(group.parts.energy_wh[at])
    views = []
    for low, high in zip([0, *limits], [*limits, None], strict=True):
        net = sum(rate_above(line.slabs, low) for line in energy) - sum(rate_above(line.slabs, low) for line in subsidy)
        top = used if high is None else min(used, high * months)
        upper = None if high is None else high * months
        views.append(SlabView(low * months, upper, max(top - low * months, 0), net))
    return tuple(views)
