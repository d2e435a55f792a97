"""The way back: in one transaction a wave is handed back to the old system, with all that happened since, as files.

The files can be made again from the database: they tell what was posted between the cut-over and the rollback. The
readings are those that the hand-over did not have, so write them before other files are loaded.
"""

import csv
import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.db import connection, transaction

from khata.audit.operations import record
from khata.billing.models import bill_number
from khata.consumers.arrivals import set_window, take_back
from khata.display.money import plain_rupees
from khata.formats.csvfile import no_formula
from khata.jobs.bulk import integers, next_ids
from khata.kernel.quantities import Int64
from khata.ledger.queries import heads
from khata.ledger.rules import OWED
from khata.migration.cutover import MoveError, Say, against_opening, undisturbed
from khata.migration.models import Act, Wave
from khata.migration.queries import state
from khata.migration.reconciling import last_act
from khata.migration.telling import queue_withdrawn
from khata.payments.queries import Credited, payments_since

AT_ONCE = 5_000  # rows read from the database at a time


@dataclass(frozen=True)
class Handed:
    """Of a division what was opened, what happened since, and what was handed back. Paise; what consumers owe is above
    0, a deposit or prepaid balance below."""

    division: int
    code: str  # as the old system names its files
    name: str
    head: str  # owed or deposit
    opening_paise: int
    carried_paise: int
    bills_paise: int
    payments_paise: int
    handed_back_paise: int

    @property
    def difference_paise(self) -> int:
        told = self.opening_paise + self.carried_paise + self.bills_paise - self.payments_paise
        return told - self.handed_back_paise


def rollback(*, wave: Wave, at: dt.date, actor: str, now: dt.datetime, say: Say = lambda *_: None) -> Act:
    """Take a live wave back as of the day `at`: its connections end here with nothing owed. Write the export after it.

    Payments under way are waited for, later ones go to suspense. Raises MoveError, RunBusyError.
    """
    with undisturbed(wave):
        _refuse(wave, at)
        with transaction.atomic():
            return _take_back(wave, at, actor, now, say)


def _refuse(wave: Wave, at: dt.date) -> None:
    name = f"wave {wave.code} of {wave.discom.code}"
    if state(wave) != "live":
        raise MoveError(f"{name} is not live", "See khata migration status")
    begun = last_act(wave, "cutover")
    assert begun is not None
    if at < begun.business_date:
        raise MoveError(f"{name} was cut over on {begun.business_date}, after {at}", "Give that day or a later one")
    others = Wave.objects.filter(discom=wave.discom).exclude(id=wave.id)
    for other in others.order_by("id"):
        act = last_act(other, "cutover")
        if act and act.id > begun.id and state(other) == "live":
            raise MoveError(
                f"wave {other.code}, which is live, was cut over after {name}", f"Take {other.code} back first"
            )


def _take_back(wave: Wave, at: dt.date, actor: str, now: dt.datetime, say: Say) -> Act:
    begun = last_act(wave, "cutover")
    assert begun is not None
    number = Act.objects.filter(wave=wave, kind="rollback").count() + 1
    live = """
        select c.id from migration_account a join consumers_connection c on c.id = a.connection_id and c.live
        where a.wave_id = %s order by c.id"""
    connections = integers(live, (wave.id,), 1)[0]
    take_back(connections=connections)  # first: it waits for payments under way, and those after it wait for us
    until = int(next_ids("ledger_entry", 1)[0])
    _hand_back(wave, at, number, connections)
    say("rollback", len(connections), len(connections))
    source = f"rollback {number} of wave {wave.code}, {at}"
    set_window(discom=wave.discom_id, wave=wave.code, last_day=None, source=source, now=now)
    details = {
        "accounts": len(connections),
        "messages": queue_withdrawn(wave=wave, now=now),
        "after_entry": begun.details["after_entry"],
        "until_entry": until,
    }
    act = Act.objects.create(wave=wave, kind="rollback", number=number, business_date=at, actor=actor, details=details)
    wrong = [each for each in handed(wave) if each.difference_paise]
    if wrong:
        raise MoveError(
            f"what would be handed back of {wrong[0].name} ({wrong[0].head}) differs by "
            f"{plain_rupees(wrong[0].difference_paise)} rupees from openings, bills and payments",
            "Nothing was done. Look for postings on its connections that are neither",
        )
    record(actor=actor, action="migration.rollback", object=f"migration:wave:{wave.id}", details=details)
    return act


def _hand_back(wave: Wave, at: dt.date, number: int, connections: Int64) -> None:
    """An entry for each connection that brings every head of its own to zero."""
    balances = """
        select b.subject, b.head_id, b.amount_paise from ledger_balance b
        join ledger_head h on h.id = b.head_id and h.discom_id = %s and h.per_subject
        where b.subject = any(%s) and b.amount_paise <> 0 order by b.subject, b.head_id"""
    subject, head, amount = integers(balances, (wave.discom_id, connections.tolist()), 3)
    accounts = "select connection_id, id from migration_account where wave_id = %s and connection_id is not null"
    of = dict(zip(*(column.tolist() for column in integers(accounts, (wave.id,), 2)), strict=True))
    against_opening(
        kind="handed back",
        causes=[f"migration:account:{of[each]}:{number}" for each in np.unique(subject).tolist()],
        at=at,
        heads=heads(wave.discom),
        head=head,
        subject=subject,
        amount_paise=-amount,
    )


# -- what is handed back -----------------------------------------------------------------------------------------------

# Openings and what was handed back stand in the books, bills and payments in their own tables: two witnesses.
_BOOKED = """
    select a.division_id, case when h.code = any(%(owed)s) then 'owed' else h.code end,
        coalesce(sum(p.amount_paise) filter (where e.kind = 'opening' and e.id < %(until)s), 0)::bigint,
        coalesce(sum(p.amount_paise) filter (where e.kind = 'carried over' and e.id < %(until)s), 0)::bigint,
        -coalesce(sum(p.amount_paise) filter (where e.kind = 'handed back' and e.id > %(until)s
            and e.cause = 'migration:account:' || a.id || ':' || %(number)s), 0)::bigint
    from migration_account a
    join ledger_posting p on p.subject = a.connection_id and p.entry_id > %(after)s
    join ledger_entry e on e.id = p.entry_id join ledger_head h on h.id = p.head_id
    where a.wave_id = %(wave)s group by 1, 2"""
_BILLED = """
    select a.division_id, sum(b.payable_paise)::bigint from migration_account a
    join billing_bill b on b.connection_id = a.connection_id and b.entry_id > %(after)s and b.entry_id < %(until)s
    where a.wave_id = %(wave)s group by 1"""


Params = dict[str, Any]


def _between(wave: Wave) -> Params:
    """Which entries belong to the wave's last time here, as parameters of the queries. Raises MoveError before that."""
    act = last_act(wave, "rollback")
    if act is None:
        raise MoveError(f"wave {wave.code} was never taken back", "There is nothing to hand back")
    return {
        "wave": wave.id,
        "owed": list(OWED),
        "after": act.details["after_entry"],
        "until": act.details["until_entry"],
        "number": act.number,
    }


def _rows(query: str, params: Params) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


def handed(wave: Wave) -> list[Handed]:
    """Division by division what the last rollback of a wave handed back."""
    params = _between(wave)
    booked = {(int(division), str(head)): sums for division, head, *sums in _rows(_BOOKED, params)}
    bills: dict[int, int] = dict(_rows(_BILLED, params))
    payments: dict[int, int] = {}
    for division, _, payment in _payments(wave, params):
        payments[division] = payments.get(division, 0) + payment.amount_paise
    found = []
    for division, (code, name) in division_codes(wave).items():
        for head in ("owed", "deposit"):
            opening, carried, back = booked.get((division, head), (0, 0, 0))
            billed, paid = (bills.get(division, 0), payments.get(division, 0)) if head == "owed" else (0, 0)
            found.append(Handed(division, code, name, head, opening, carried, billed, paid, back))
    return found


def _payments(wave: Wave, params: Params) -> Iterator[tuple[int, str, Credited]]:
    """Division, old number and payment, of the payments that the last time here brought, in the order of the books."""
    accounts = "select connection_id, division_id, old_number from migration_account where wave_id = %(wave)s"
    of = {connection: (division, str(number)) for connection, division, number in _rows(accounts, params) if connection}
    for paid in payments_since(connections=list(of), after_entry=params["after"]):
        if paid.entry < params["until"]:
            yield (*of[paid.connection], paid)


def division_codes(wave: Wave) -> dict[int, tuple[str, str]]:
    """Of each division of the wave its code in the old system's file names, and its name."""
    query = """
        select o.id, f.name, o.name_en from migration_file f join discoms_office o on o.id = f.division_id
        where f.wave_id = %(wave)s order by o.id, f.kind = 'master', f.version"""
    return {
        division: (str(file).rsplit(".", 1)[0].split("_", 1)[-1], str(name))
        for division, file, name in _rows(query, {"wave": wave.id})
    }


# -- the files ---------------------------------------------------------------------------------------------------------

_BILLS = """
    select a.old_number, b.cycle, b.id, b.bill_date, b.due_date, b.period_start, b.period_end, b.energy_wh,
        b.assessed_paise, b.subsidy_paise, b.rebate_paise, b.payable_paise
    from migration_account a
    join billing_bill b on b.connection_id = a.connection_id and b.entry_id > %(after)s and b.entry_id < %(until)s
    where a.wave_id = %(wave)s and a.division_id = %(division)s order by b.cycle, a.old_number, b.id"""
# Registers as the old system keeps them, before the multiplying factor. Of a smart meter its newest day is enough.
_READINGS = """
    select a.old_number, m.serial, r.day, r.register_wh, a.factor, r.demand_w from migration_account a
    join consumers_connection c on c.id = a.connection_id
    join metering_installation i on i.connection_id = c.id and not exists (
        select from metering_installation l
        where l.connection_id = i.connection_id and l.from_date = i.from_date and l.revision > i.revision)
    join metering_meter m on m.id = i.meter_id
    cross join lateral (
        (select distinct on (r.day) r.day, r.register_wh, r.demand_w from metering_reading r
         where r.meter_id = m.id and r.day > a.present_day and r.source <> 'migration' and not m.smart
         order by r.day, r.revision desc)
        union all
        (select d.day + 1, d.register_wh, d.demand_w from metering_meterday d
         where d.meter_id = m.id and d.day >= a.present_day and d.register_wh is not null and d.channel = 0 and m.smart
         order by d.day desc, d.revision desc limit 1)) r
    where a.wave_id = %(wave)s and a.division_id = %(division)s
      and r.day >= i.from_date and r.day <= coalesce(
        (select min(l.from_date) from metering_installation l
         where l.connection_id = c.id and l.from_date > i.from_date), date 'infinity')
    order by a.old_number, r.day"""

Record = tuple[object, ...]


def _payment(number: str, of: Credited) -> Record:
    money = plain_rupees(of.amount_paise)
    texts = map(no_formula, (of.channel, of.number, of.collector, of.office_en, of.typed))
    return number, of.received_on, money, *texts


def _bill(row: Sequence[Any]) -> Record:
    number, cycle, identity, billed, due, start, end, energy, *money = row
    bill, rupees = bill_number(cycle=cycle, identity=identity), map(plain_rupees, money)
    return number, bill, f"{cycle:%Y-%m}", billed, due, start, end, _thousandths(energy), *rupees


def _reading(row: Sequence[Any]) -> Record:
    number, serial, day, register, factor, demand = row
    return number, serial, day, _thousandths(register // factor), factor, _thousandths(demand or 0)


def _thousandths(value: int) -> str:
    """kWh of Wh, kW of W."""
    return f"{value // 1000}.{value % 1000:03d}"


Shape = tuple[str, str, Callable[[Sequence[Any]], Record]]
SHAPES: dict[str, Shape] = {
    "readings": (_READINGS, "ACCT_ID,SERIAL_NBR,CUR_RDG_DATE,CUR_RDG_KWH,MF,MDI", _reading),
    "bills": (
        _BILLS,
        "ACCT_ID,BILL_ID,BILL_MONTH,BILL_DATE,DUE_DATE,FROM_DATE,TO_DATE,BILLED_UNITS,CA,SUBSIDY,REBATE,AMOUNT_PAYABLE",
        _bill,
    ),
}
PAYMENTS = "ACCT_ID,PAY_DATE,AMOUNT,CHANNEL,RECEIPT_NO,COLLECTED_BY,OFFICE,NUMBER_TYPED"
SUMMARY = "DIV_CODE,DIV_NAME,HEAD,OPENING,CARRIED,BILLS,PAYMENTS,HANDED_BACK,DIFFERENCE"


def write_export(wave: Wave, directory: Path) -> list[Path]:
    """Write what the last rollback of a wave handed back into a folder; returns the files. Each appears whole.

    Raises MoveError if the wave was never taken back, OSError where the folder cannot be written.
    """
    params = _between(wave)
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    with transaction.atomic():
        paid: dict[int, list[Record]] = {}
        for division, number, payment in _payments(wave, params):
            paid.setdefault(division, []).append(_payment(number, payment))
        for division, (code, _) in division_codes(wave).items():
            written.append(_write(directory / f"payments_{code}.csv", PAYMENTS, paid.get(division, [])))
            for kind, (query, header, shaped) in SHAPES.items():
                rows = (shaped(row) for row in _streamed(query, {**params, "division": division}))
                written.append(_write(directory / f"{kind}_{code}.csv", header, rows))
        written.append(_write(directory / "summary.csv", SUMMARY, map(_summary, handed(wave))))
    return written


def _summary(of: Handed) -> Record:
    money = (of.opening_paise, of.carried_paise, of.bills_paise, of.payments_paise, of.handed_back_paise)
    return of.code, of.name, of.head, *map(plain_rupees, (*money, of.difference_paise))


def _streamed(query: str, params: Params) -> Iterator[Sequence[Any]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, params)
        while rows := cursor.fetchmany(AT_ONCE):
            yield from rows


def _write(target: Path, header: str, rows: Iterable[Record]) -> Path:
    """Under another name until it is whole, so that nobody takes half a file for all of it."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header.split(","))
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return target
