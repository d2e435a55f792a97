"""Days and readings that came late: who was held for want of them is billed again, without anybody's decision.

A run of one connection under the orders and limits of the run that held it, as a release is (docs/adr/0015, 0022).
Bills that are out already stay as they are; what late days change of them is in the next bill (billing/facts.py).
"""

import datetime as dt

import numpy as np
from django.db import connection, transaction

from khata.billing.models import BillRun
from khata.billing.operations import alone
from khata.billing.release import NO_BILLS, bill_ones
from khata.billing.rules import CURABLE
from khata.discoms.models import Discom
from khata.jobs.models import Run
from khata.jobs.operations import commit_without_waiting, plan

# The newest row of a month, nobody keeps it back, and since its part looked something measured or bounded came: a day
# of its period, or a reading more than it had seen (facts.py counts them alike).
_WAITING = """
    select u.part_id, u.connection_id from billing_unissued u
    join consumers_connection c on c.id = u.connection_id and c.live and c.discom_id = %(discom)s
    join jobs_part p on p.id = u.part_id join jobs_runclosed x on x.run_id = p.run_id
    where u.outcome = 'held' and u.reason = any(%(curable)s)
        and not exists (select from billing_unissued
                        where connection_id = u.connection_id and cycle = u.cycle and part_id > u.part_id)
        and not exists (select from billing_bill
                        where connection_id = u.connection_id and cycle >= u.cycle and kind = 'regular')
        and not exists (select from jobs_run where key = 'late:' || u.part_id || ':' || u.connection_id)
        and (select verdict from billing_decision where part_id = u.part_id and connection_id = u.connection_id
             order by id desc limit 1) is distinct from 'keep'
        and (exists (select from metering_installation i
                     join metering_meterday d on d.meter_id = i.meter_id and d.channel = 0
                         and d.day >= (u.evidence->>'start')::date and d.day < u.cycle
                     where i.connection_id = u.connection_id
                         and (d.origin <> 2 or d.register_wh is not null)
                         and d.delivery > (u.evidence->>'delivery')::bigint)
            or (u.evidence->>'readings')::bigint < (
                    select coalesce(sum(r.taken), 0)
                    from (select distinct meter_id
                          from (select distinct on (from_date) meter_id from metering_installation
                                where connection_id = u.connection_id and from_date < u.cycle
                                order by from_date, revision desc) h) m
                    cross join lateral (
                        select max(revision) + 1 as taken from metering_reading
                        where meter_id = m.meter_id and day between (u.evidence->>'readings_from')::date and u.cycle
                        group by day) r))
    order by u.cycle, u.part_id, u.connection_id"""


def bill_late(*, discom: Discom, today: dt.date, actor: str) -> dict[str, int]:
    """Bill again whoever was held unread and has new days or readings since; what a killed process did stays done.

    Counts are those of a run: expected = issued + held + parked + not due. Dated today, months in their order. Raises
    RunBusyError while another process bills the company, RunDoesNotCloseError.
    """
    if not (_begun(discom) or _waiting(discom)):
        return dict(NO_BILLS)
    with alone(discom):
        planned = [_plan(discom, part, held, today) for part, held in _waiting(discom)]
        runs = {run.id: run for run in [*_begun(discom), *planned]}
        return bill_ones(runs=list(runs.values()), discom=discom, actor=actor, action="billing.bill-late")


def _waiting(discom: Discom) -> list[tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"discom": discom.id, "curable": list(CURABLE)})
        return list(cursor.fetchall())


def _begun(discom: Discom) -> list[Run]:
    """Runs that a process planned and did not live to close."""
    found = BillRun.objects.filter(discom=discom, late_part__isnull=False, run__runclosed=None)
    return [each.run for each in found.select_related("run").order_by("run_id")]


@transaction.atomic
def _plan(discom: Discom, part: int, held: int, today: dt.date) -> Run:
    """Pin what the run that held the bill had pinned, and the day."""
    commit_without_waiting()
    before = BillRun.objects.select_related("run").get(run__part=part)
    terms = before.run.terms
    run = plan(kind="late", key=f"late:{part}:{held}", terms=terms, subjects=np.array([held]), part_size=1)
    BillRun.objects.create(
        run=run,
        discom=discom,
        division_id=before.division_id,
        cycle=before.cycle,
        bill_date=today,
        due_date=today + dt.timedelta(days=terms["policy"]["due_days"]),
        rated_on=before.rated_on,
        late_part_id=part,
    )
    return run
