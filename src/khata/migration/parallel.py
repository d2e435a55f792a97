"""The parallel run: compares the last bills of a wave batch by batch, keeps what came out, and says if the gate opens.

The reading and storing of what `comparing` works out. See docs/algorithms/parallel-run.md.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Abs, Coalesce

from khata.discoms.models import Discom, Office
from khata.formats import pgcopy
from khata.formats.pgcopy import Field
from khata.jobs.bulk import copy_in, copy_out, next_ids
from khata.kernel.days import month_number, month_start
from khata.kernel.quantities import Int64
from khata.migration.comparing import RESULTS, Comparison, OldBills, compare
from khata.migration.models import Account, Act, Compared, ParallelRun, Wave
from khata.migration.operations import hold_wave
from khata.migration.queries import accepted
from khata.tariffs.operations import publish
from khata.tariffs.queries import PublishedOrders, order_files, orders_of, published_orders, read_files

Progress = Callable[[int, int], None]  # accounts compared, of how many

BATCH = 20_000
SUMS = ("old_wh", "new_wh", "old_assessed_paise", "new_assessed_paise", "old_payable_paise", "new_payable_paise")


class ParallelError(Exception):
    """There is nothing to compare; the message says what is there instead."""


@dataclass(frozen=True)
class ClassLine:
    """Accounts of one class in one division, and their sums: ours (new) only of those that were `rated`."""

    division: int
    result: str
    accounts: int
    rated: int
    old_wh: int
    new_wh: int
    old_assessed_paise: int
    new_assessed_paise: int
    old_payable_paise: int
    new_payable_paise: int
    difference_paise: int  # ours less the old payable, of those rated


@dataclass(frozen=True)
class Sample:
    """One account's old bill beside ours; ours are None where it was not rated."""

    account: int
    old_number: str
    division: int
    result: str
    why: str  # see comparing.why_in_words
    old_wh: int
    new_wh: int | None
    old_assessed_paise: int
    new_assessed_paise: int | None
    old_payable_paise: int
    new_payable_paise: int | None
    lines_paise: tuple[int, ...]


# -- the run -----------------------------------------------------------------------------------------------------------


def run_parallel(
    *, wave: Wave, cycle: dt.date, tariffs: Path, actor: str, progress: Progress = lambda *_: None
) -> ParallelRun:
    """Compare every account of the wave that is not held and was last billed in the month of `cycle`; one transaction.

    Raises ParallelError where no account was, OrderError, UnknownDiscomError.
    """
    with transaction.atomic():
        hold_wave(discom=wave.discom_id, code=wave.code)  # no load changes the accounts meanwhile
        counts, loads = _counts(wave, cycle), _loads(wave)
        if not counts["here"]:
            raise ParallelError(_elsewhere(wave, cycle))
        editions = _publish(wave.discom, tariffs)
        orders = published_orders(editions)
        (run_id,) = next_ids("migration_parallelrun", 1).tolist()
        totals: dict[tuple[int, int], Int64] = {}
        whys: dict[tuple[int, bytes], int] = {}
        last, done = 0, 0
        progress(done, counts["here"])
        while len(ids := _batch(wave, cycle, last, orders, run_id, totals, whys)):
            last, done = int(ids[-1]), done + len(ids)
            progress(done, counts["here"])
        summary = _summary(totals, whys, editions, counts) | {"load": loads}
        return ParallelRun.objects.create(id=run_id, wave=wave, cycle=cycle, actor=actor, summary=summary)


def _publish(discom: Discom, tariffs: Path) -> list[int]:
    """Today's orders of the company, kept with their texts, so that the run can be worked again."""
    files = {each.path: each for each in order_files(tariffs)}
    orders = orders_of([read_files(each) for each in files.values()], discom.code)
    return [publish(order=order, files=files[order.path].sources).edition for order in orders]


def _month(cycle: dt.date) -> tuple[dt.date, dt.date]:
    return cycle.replace(day=1), month_start(month_number(cycle) + 1)


def _counts(wave: Wave, cycle: dt.date) -> dict[str, int]:
    query = """
        select count(*) filter (where outcome <> 'held' and bill_day >= %s and bill_day < %s),
            count(*) filter (where outcome <> 'held'), count(*) filter (where outcome = 'held')
        from migration_account where wave_id = %s"""
    with connection.cursor() as cursor:
        cursor.execute(query, [*_month(cycle), wave.id])
        here, moving, held = cursor.fetchone()
    return {"here": here, "other_cycle": moving - here, "held": held}


def _elsewhere(wave: Wave, cycle: dt.date) -> str:
    query = """
        select to_char(bill_day, 'YYYY-MM'), count(*) from migration_account
        where wave_id = %s and outcome <> 'held' and bill_day is not null group by 1 order by 2 desc, 1 limit 6"""
    with connection.cursor() as cursor:
        cursor.execute(query, [wave.id])
        months = ", ".join(f"{month} ({count:,})" for month, count in cursor.fetchall())
    there = f"Last bills are of {months}" if months else "No account of the wave has a bill and is not held"
    return f"no account of wave {wave.code} was last billed in {cycle:%Y-%m}. {there}"


_FIELDS = (
    *(Field("int8", null=0),) * 2,
    *(Field("text"),) * 3,
    *(Field("int8", null=0),) * 12,
    Field("bool"),
)
# A demand that is not known is 0: the floor of the fixed charge then decides.
_READ = """
    select id, division_id::bigint, left(upper(trim(bill_basis)), 12), category, area, (mode = 'prepaid')::int::bigint,
        load_w::bigint, demand_w::bigint, (previous_day - date '1970-01-01')::bigint,
        (present_day - date '1970-01-01')::bigint, (bill_day - date '1970-01-01')::bigint,
        previous_wh, present_wh, factor::bigint, billed_wh, assessed_paise, payable_paise,
        load_w is null or previous_day is null or present_day is null or previous_wh is null or present_wh is null
            or billed_wh is null or assessed_paise is null or payable_paise is null
    from migration_account
    where wave_id = %s and id > %s and outcome <> 'held' and bill_day >= %s and bill_day < %s order by id limit %s"""


def _batch(
    wave: Wave,
    cycle: dt.date,
    after: int,
    orders: PublishedOrders,
    run_id: int,
    totals: dict[tuple[int, int], Int64],
    whys: dict[tuple[int, bytes], int],
) -> Int64:
    """Compare the accounts after this id, store them, add them to the totals; their ids."""
    read = copy_out(_READ, [wave.id, after, *_month(cycle), BATCH], _FIELDS)
    ids, division, *columns = read
    if not len(ids):
        return ids
    old = OldBills(**{column.name: values for column, values in zip(fields(OldBills), columns, strict=True)})
    found = compare(old, orders.orders)
    _store(run_id, ids, division, old, found)
    _add(totals, whys, division, old, found)
    return ids


def _store(run_id: int, ids: Int64, division: Int64, old: OldBills, found: Comparison) -> None:
    unrated = ~found.rated
    copy_in(
        "migration_compared",
        {
            "run_id": pgcopy.int8(np.full(len(ids), run_id)),
            "account_id": pgcopy.int8(ids),
            "division_id": pgcopy.int4(division),
            "result": pgcopy.text(np.array(RESULTS, "S8")[found.result]),
            "why": pgcopy.text(found.why),
            "old_wh": pgcopy.int8(old.billed_wh),
            "new_wh": pgcopy.int8(found.energy_wh, null=old.missing),
            "old_assessed_paise": pgcopy.int8(old.assessed_paise),
            "new_assessed_paise": pgcopy.int8(found.ours.assessed_paise, null=unrated),
            "old_payable_paise": pgcopy.int8(old.payable_paise),
            "new_payable_paise": pgcopy.int8(found.ours.payable_paise, null=unrated),
            "lines_paise": pgcopy.int8_array(found.ours.lines, lengths=found.ours.count, null=unrated),
        },
    )


def _add(
    totals: dict[tuple[int, int], Int64],
    whys: dict[tuple[int, bytes], int],
    division: Int64,
    old: OldBills,
    found: Comparison,
) -> None:
    """Add a batch's counts and sums, in the order of ClassLine after its division and class."""
    one, rated = np.ones(len(old), np.int64), found.rated.astype(np.int64)
    ours = found.ours
    columns = [
        one,
        rated,
        old.billed_wh,
        found.energy_wh * rated,
        old.assessed_paise,
        ours.assessed_paise * rated,
        old.payable_paise,
        ours.payable_paise * rated,
        (ours.payable_paise - old.payable_paise) * rated,
    ]
    keys, at = np.unique(division * len(RESULTS) + found.result, return_inverse=True)
    sums = np.zeros((len(keys), len(columns)), np.int64)
    for number, column in enumerate(columns):
        np.add.at(sums[:, number], at, column)
    for key, row in zip(keys.tolist(), sums, strict=True):
        where = divmod(key, len(RESULTS))
        totals[where] = totals[where] + row if where in totals else row
    for result in np.unique(found.result).tolist():
        words, counts = np.unique(found.why[found.result == result], return_counts=True)
        for word, count in zip(words.tolist(), counts.tolist(), strict=True):
            whys[result, word] = whys.get((result, word), 0) + count


def _summary(
    totals: Mapping[tuple[int, int], Int64],
    whys: Mapping[tuple[int, bytes], int],
    editions: list[int],
    counts: Mapping[str, int],
) -> dict[str, object]:
    names = [column.name for column in fields(ClassLine)][2:]
    lines = [
        {"division": division, "result": RESULTS[result], **dict(zip(names, sums.tolist(), strict=True))}
        for (division, result), sums in sorted(totals.items())
    ]
    each = {
        word: sum(int(row[0]) for (_, result), row in totals.items() if RESULTS[result] == word) for word in RESULTS
    }
    return {
        **each,
        "other_cycle": counts["other_cycle"],
        "held": counts["held"],
        "classes": lines,
        "why": {
            word: {
                why.decode(): count for (result, why), count in sorted(whys.items()) if RESULTS[result] == word and why
            }
            for word in RESULTS
        },
        "editions": editions,
    }


# -- what stands there -------------------------------------------------------------------------------------------------


def newest_run(wave: Wave, cycle: dt.date | None = None) -> ParallelRun | None:
    """The last parallel run of a wave, of one cycle if asked."""
    runs = ParallelRun.objects.filter(wave=wave, **({"cycle": cycle} if cycle else {}))
    return runs.order_by("id").last()


def unaccepted(run: ParallelRun) -> str:
    """What of a run must be accepted before the gate opens, as a proposal's `about`; empty when nothing."""
    unknown = int(run.summary["unknown"])
    about = f"parallel:{run.id}:unknown:{unknown}"
    return about if unknown and not accepted(run.wave, about) else ""


def current_runs(wave: Wave) -> list[ParallelRun]:
    """Of every month the newest run, as far as it saw what the last load staged."""
    runs = ParallelRun.objects.select_related("wave").filter(wave=wave, summary__load=_loads(wave))
    return list(runs.order_by("cycle", "-id").distinct("cycle"))


def gate(wave: Wave) -> list[str]:
    """All that keeps a wave from its cut-over here, each as a proposal's `about`; nothing when the gate is open.

    `parallel:none`: no run since the last load. `parallel:<run>:unknown:<n>`: of a month so many differences nobody can
    explain. `parallel:<run>:missed:<n>`: so many accounts would move whose last bill is of a month not compared.
    """
    runs = current_runs(wave)
    if not runs:
        return [] if accepted(wave, "parallel:none") else ["parallel:none"]
    shut = [about for run in runs if (about := unaccepted(run))]
    missed = _billed_otherwise(wave, [run.cycle for run in runs])
    about = f"parallel:{runs[-1].id}:missed:{missed}"
    return [*shut, about] if missed and not accepted(wave, about) else shut


def _billed_otherwise(wave: Wave, cycles: Sequence[dt.date]) -> int:
    query = """
        select count(*) from migration_account
        where wave_id = %s and outcome <> 'held'
          and (bill_day is null or not date_trunc('month', bill_day)::date = any(%s))"""
    with connection.cursor() as cursor:
        cursor.execute(query, [wave.id, list(cycles)])
        ((missed,),) = cursor.fetchall()
    return int(missed)


def months_billed(wave: Wave) -> list[dt.date]:
    """The months in which the accounts that would move were last billed."""
    accounts = Account.objects.filter(wave=wave, bill_day__isnull=False).exclude(outcome="held")
    return [day.replace(day=1) for day in accounts.dates("bill_day", "month")]


def _loads(wave: Wave) -> int:
    return Act.objects.filter(wave=wave, kind="load").count()


def classes(run: ParallelRun) -> list[ClassLine]:
    """Counts and sums per division and class, of the whole wave: whose screen shows them picks its own divisions."""
    return [ClassLine(**line) for line in run.summary["classes"]]


def samples(run: ParallelRun, result: str = "", division: Office | None = None, limit: int = 20) -> list[Sample]:
    """Accounts of a class, the largest difference of the payable first; those that were not rated come last."""
    rows = Compared.objects.filter(run=run, **({"result": result} if result else {}))
    if division:
        rows = rows.filter(division=division)
    apart = Abs(F("new_payable_paise") - F("old_payable_paise"))
    rows = rows.annotate(apart=Coalesce(apart, -1)).order_by("-apart", "account_id")[:limit]
    numbers = dict(Account.objects.filter(id__in=[row.account_id for row in rows]).values_list("id", "old_number"))
    return [
        Sample(
            account=row.account_id,
            old_number=numbers[row.account_id],
            division=row.division_id,
            result=row.result,
            why=row.why,
            lines_paise=tuple(row.lines_paise or ()),
            **{name: getattr(row, name) for name in SUMS},
        )
        for row in rows
    ]
