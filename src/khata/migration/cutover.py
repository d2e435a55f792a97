"""The cut-over: in one transaction a wave's accounts become connections with numbers, terms, meters and openings.

What must hold before is asked first; numbers are issued before the transaction, in parts that survive a kill. The way
back is `rollback`.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from django.db import connection, transaction

from khata.audit.operations import record
from khata.billing.models import BillRun
from khata.billing.operations import OldBills, alone, keep_old_bills
from khata.consumers.arrivals import ArrivalError, Arrivals, bring_in, set_window
from khata.consumers.numbers import allocate, keep_numbers
from khata.consumers.queries import latest_window
from khata.consumers.rules import Draw, random_bodies
from khata.jobs.bulk import integers, next_ids
from khata.jobs.operations import exclusive
from khata.kernel.days import day_number
from khata.kernel.quantities import Int64
from khata.ledger.operations import NewPostings, post
from khata.ledger.queries import heads
from khata.metering.operations import ArrivingMeters, MeterTakenError, bring_meters
from khata.metering.queries import UNKNOWN
from khata.migration.models import Account, Act, Wave
from khata.migration.parallel import gate
from khata.migration.queries import corrections_waiting, state
from khata.migration.reconciling import last_act, reconcile
from khata.migration.telling import queue_told

BATCH = 20_000  # accounts moved by one set of statements
WINDOW_MONTHS = 6

Exported = Literal["carried", "in-files"]
Say = Callable[[str, int, int], None]  # a step, how many are done, of how many


@dataclass(eq=False)
class MoveError(Exception):
    """A wave cannot be moved, or taken back, as asked: what is in the way, and the next step. Nothing was done."""

    what: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.what}. {self.next_step}"


def last_day_of_window(at: dt.date) -> dt.date:
    """The day before the same date of the sixth month after: 14 March to 13 September; 31 August to end of February."""
    months = at.year * 12 + at.month - 1 + WINDOW_MONTHS
    year, month = divmod(months, 12)
    with contextlib.suppress(ValueError):
        return dt.date(year, month + 1, at.day) - dt.timedelta(days=1)
    after = divmod(months + 1, 12)
    return dt.date(after[0], after[1] + 1, 1) - dt.timedelta(days=1)


@contextlib.contextmanager
def undisturbed(wave: Wave) -> Iterator[None]:
    """Nobody else moves or bills this company, or loads the wave, meanwhile.

    Raises RunBusyError, or MoveError for a bill run half done.
    """
    # The name under which operations.hold_wave makes loads wait for each other.
    loads = exclusive(f"migration {wave.discom_id} {wave.code}", wait_seconds=3)
    with exclusive(f"move {wave.discom.code}", wait_seconds=3), loads, alone(wave.discom):
        if BillRun.objects.filter(discom=wave.discom, run__runclosed=None).exists():
            raise MoveError(f"a bill run of {wave.discom.code} is unfinished", "Run khata bill run again until it ends")
        yield


def cutover(
    *,
    wave: Wave,
    at: dt.date,
    actor: str,
    now: dt.datetime,
    window_end: dt.date | None = None,
    exported: Exported | None = None,
    draw: Draw = random_bodies,
    say: Say = lambda *_: None,
) -> Act:
    """Make the wave live as of the day `at`; its old numbers are honoured to the end of `window_end` (IST), or else six
    months, or as long as an order gave them before.

    After a rollback that handed payments or bills back, `exported` says where they are now: carried (taken over here
    once more) or in-files (the files loaded since contain them). Raises MoveError, RunBusyError.
    """
    given = latest_window(discom=wave.discom_id, wave=wave.code)
    last_day = window_end or max(last_day_of_window(at), given or at)
    if last_day < at:
        raise MoveError(f"the window of the old numbers ends on {last_day}, before the cut-over", "Name a later day")
    with undisturbed(wave):
        _refuse(wave)
        since = _handed_back(wave, exported)
        _issue_numbers(wave, draw, now)
        try:
            with transaction.atomic():
                return _Move(wave, at, actor, now, say).make(last_day, since if exported == "carried" else None)
        except (MeterTakenError, ArrivalError) as refused:
            raise MoveError(
                str(refused), "Nothing was done. Load the files again: such rows are then held"
            ) from refused


# -- what must hold before ---------------------------------------------------------------------------------------------


def _refuse(wave: Wave) -> None:
    """Every gate of a cut-over that is shut. Each opens by a correction, or by the signatures of two people."""
    name, now = f"wave {wave.code} of {wave.discom.code}", state(wave)
    if now == "live":
        raise MoveError(f"{name} is live already", "To take it back: khata migration rollback")
    if now == "empty" or not Account.objects.filter(wave=wave).exclude(outcome="held").exists():
        raise MoveError(f"{name} has no account that could move", "Load its files: khata migration load")
    if wave in corrections_waiting():
        raise MoveError(f"corrections of {name} were approved and not applied", "Apply them: khata migration load")
    red = [line for line in reconcile(wave) if line.red]
    if red:
        raise MoveError(
            f"{len(red)} equations of {name} do not hold and are not signed, first {red[0].head} of "
            f"{red[0].division_en}, by {red[0].difference}",
            "See khata migration reconcile; correct the rows, or have the difference accepted",
        )
    _refuse_unknown(wave, name)


def _refuse_unknown(wave: Wave, name: str) -> None:
    for about in gate(wave):
        kind, count = about.split(":")[-2:]
        what = {
            "unknown": f"the parallel run of {name} left {count} bills whose difference nobody can explain",
            "missed": f"{count} accounts of {name} were last billed in months that no parallel run compared",
        }.get(kind, f"{name} has had no parallel run since its last load")
        raise MoveError(what, f"See khata migration parallel; correct the rows, or have {about} accepted")


_POSTED_SINCE = """
    select p.subject, p.head_id, sum(p.amount_paise)::bigint
    from migration_account a
    join ledger_posting p on p.subject = a.connection_id and p.entry_id > %s and p.entry_id < %s
    join ledger_entry e on e.id = p.entry_id and e.kind <> 'opening'
    where a.wave_id = %s group by 1, 2 having sum(p.amount_paise) <> 0 order by 1, 2"""


def _handed_back(wave: Wave, exported: Exported | None) -> list[Int64]:
    """Connection, head, paise: what was posted between the last cut-over and the rollback, the openings apart."""
    back = last_act(wave, "rollback")
    if back is None:
        return [np.zeros(0, np.int64)] * 3
    between = back.details["after_entry"], back.details["until_entry"], wave.id
    since = integers(_POSTED_SINCE, between, 3)
    if len(since[0]) and exported is None:
        raise MoveError(
            f"the rollback of {back.business_date} handed payments or bills back to the old system",
            "Say where they are now: --exported carried (take them over here again) or --exported in-files "
            "(the files loaded since contain them)",
        )
    return since


def _issue_numbers(wave: Wave, draw: Draw, now: dt.datetime) -> None:
    """A number for every account that moves and has none; each part is committed, and never drawn again."""
    while True:
        accounts = Account.objects.filter(wave=wave, account_number="").exclude(outcome="held").order_by("id")
        rows = list(accounts.values_list("id", "old_number")[:BATCH])
        if not rows:
            return
        ids, old = zip(*rows, strict=True)
        if wave.numbers == "kept":
            numbers = list(old)
            if taken := keep_numbers(discom=wave.discom_id, numbers=numbers, now=now):
                raise MoveError(
                    f"{len(taken)} account numbers of the hand-over are somebody else's here, first {min(taken)}",
                    "Load the files again: such rows are then held",
                )
        else:
            numbers = allocate(discom=wave.discom_id, accounts=old, draw=draw, now=now)
        query = """
            update migration_account a set account_number = u.number
            from unnest(%s::bigint[], %s::text[]) as u (id, number) where a.id = u.id"""
        with connection.cursor() as cursor:
            cursor.execute(query, [list(ids), list(numbers)])


# -- the move ----------------------------------------------------------------------------------------------------------

_COLUMNS = (
    *("id", "old_number", "account_number", "name", "mobile", "mobile_key", "language", "address", "division_id"),
    *("previous_day", "category", "area", "mode", "load_w", "meter", "smart", "factor", "present_day", "present_wh"),
    *("demand_w", "bill_day", "billed_wh", "payable_paise", "principal_paise", "lpsc_paise", "deposit_paise"),
    *("prepaid_paise", "heads_file_id", "heads_line"),
)
Columns = dict[str, tuple[Any, ...]]


def _batches(wave: Wave) -> Iterator[Columns]:
    """The accounts that move, column by column, twenty thousand at a time."""
    last = 0
    while True:
        accounts = Account.objects.filter(wave=wave, id__gt=last).exclude(outcome="held").order_by("id")
        rows = list(accounts.values_list(*_COLUMNS)[:BATCH])
        if not rows:
            return
        columns = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True))
        last = columns["id"][-1]
        yield columns


def _numbers(values: Sequence[int]) -> Int64:
    return np.array(values, np.int64)


@dataclass
class _Move:
    """One cut-over, inside its transaction."""

    wave: Wave
    at: dt.date
    actor: str
    now: dt.datetime
    say: Say

    def make(self, last_day: dt.date, carried: list[Int64] | None) -> Act:
        wave = self.wave
        self.heads = heads(wave.discom)
        self.number = Act.objects.filter(wave=wave, kind="cutover").count() + 1
        after_entry = int(next_ids("ledger_entry", 1)[0])  # what is posted from here on belongs to this cut-over
        total = Account.objects.filter(wave=wave).exclude(outcome="held").count()
        done, sums = 0, dict.fromkeys(("principal_paise", "lpsc_paise", "deposit_paise", "prepaid_paise"), 0)
        for columns in _batches(wave):
            self._bring(columns)
            done += len(columns["id"])
            sums = {name: value + sum(columns[name]) for name, value in sums.items()}
            self.say("cut-over", done, total)
        if carried is not None:
            self._carry(carried)
        source = f"cut-over {self.number} of wave {wave.code}, {self.at}"
        set_window(discom=wave.discom_id, wave=wave.code, last_day=last_day, source=source, now=self.now)
        told = queue_told(wave=wave, last_day=last_day, now=self.now)
        details = {
            "accounts": done,
            **sums,
            "after_entry": after_entry,
            "last_day": str(last_day),
            "messages": told,
        }
        act = Act.objects.create(
            wave=wave, kind="cutover", number=self.number, business_date=self.at, actor=self.actor, details=details
        )
        record(actor=self.actor, action="migration.cutover", object=f"migration:wave:{wave.id}", details=details)
        return act

    def _bring(self, of: Columns) -> None:
        connections = bring_in(discom=self.wave.discom_id, wave=self.wave.code, rows=_arrivals(of), now=self.now)
        factor = _numbers(of["factor"])
        meters = ArrivingMeters(
            serial=np.strings.encode(np.array(of["meter"], np.str_), "utf-8"),
            smart=np.array(of["smart"], np.bool_),
            connection=connections,
            from_date=np.array(of["previous_day"], "datetime64[D]"),
            day=np.array(of["present_day"], "datetime64[D]"),
            register_wh=_numbers(of["present_wh"]) * factor,
            demand_w=_numbers([UNKNOWN if demand is None else demand for demand in of["demand_w"]]),
            factor=factor,
        )
        bring_meters(discom=self.wave.discom_id, meters=meters, now=self.now)
        _keep_last_bills(of, connections)
        self._open(of, connections)
        query = """
            update migration_account a set connection_id = u.connection
            from unnest(%s::bigint[], %s::bigint[]) as u (id, connection)
            where a.id = u.id and a.connection_id is distinct from u.connection"""
        with connection.cursor() as cursor:
            cursor.execute(query, [list(of["id"]), connections.tolist()])

    def _open(self, of: Columns, connections: Int64) -> None:
        """An entry for each account with a balance, which names the row of the file that it comes from."""
        signed = {"consumers": 1, "lpsc": 1, "deposit": -1, "prepaid": -1}
        columns = ("principal_paise", "lpsc_paise", "deposit_paise", "prepaid_paise")
        amounts = np.array([sign * _numbers(of[name]) for sign, name in zip(signed.values(), columns, strict=True)])
        account, head = np.nonzero(amounts.T)
        causes = [
            f"migration:row:{of['heads_file_id'][row]}:{of['heads_line'][row]}:{self.number}"
            for row in np.unique(account).tolist()
        ]
        against_opening(
            kind="opening",
            causes=causes,
            at=self.at,
            heads=self.heads,
            head=np.array([self.heads[code] for code in signed])[head],
            subject=connections[account],
            amount_paise=amounts.T[account, head],
        )

    def _carry(self, carried: list[Int64]) -> None:
        """Once more what the old system has been given, for the accounts that move again."""
        moved = "select connection_id, id from migration_account where wave_id = %s and outcome <> 'held'"
        of = dict(zip(*(column.tolist() for column in integers(moved, (self.wave.id,), 2)), strict=True))
        kept = np.isin(carried[0], np.array(list(of), np.int64))
        subject, head, amount = (column[kept] for column in carried)
        causes = [f"migration:account:{of[each]}:{self.number}" for each in np.unique(subject).tolist()]
        against_opening(
            kind="carried over",
            causes=causes,
            at=self.at,
            heads=self.heads,
            head=head,
            subject=subject,
            amount_paise=amount,
        )


def _arrivals(of: Columns) -> Arrivals:
    old = [old if old != new else "" for old, new in zip(of["old_number"], of["account_number"], strict=True)]
    return Arrivals(
        account_number=of["account_number"],
        name=of["name"],
        mobile=of["mobile"],
        mobile_key=of["mobile_key"],
        language=of["language"],
        address=of["address"],
        division=_numbers(of["division_id"]),
        connected_on=np.array(of["previous_day"], "datetime64[D]"),
        category=of["category"],
        area=of["area"],
        mode=of["mode"],
        load_w=_numbers(of["load_w"]),
        old_number=old,
    )


def _keep_last_bills(of: Columns, connections: Int64) -> None:
    kept = [row for row, day in enumerate(of["bill_day"]) if day is not None and of["billed_wh"][row] is not None]
    bills = OldBills(
        connection=connections[kept],
        month=np.array([of["bill_day"][row] for row in kept], "datetime64[M]"),
        units_wh=_numbers([of["billed_wh"][row] for row in kept]),
        amount_paise=_numbers([of["payable_paise"][row] or 0 for row in kept]),
    )
    keep_old_bills(bills=bills)


def against_opening(
    *,
    kind: str,
    causes: Sequence[str],
    at: dt.date,
    heads: dict[str, int],
    head: Int64,
    subject: Int64,
    amount_paise: Int64,
) -> None:
    """One entry for each run of equal subjects, with `causes` in their order; `opening` takes the other side."""
    begins = np.ones(len(subject), np.bool_)
    begins[1:] = subject[1:] != subject[:-1]
    entry = np.cumsum(begins) - 1
    other = np.zeros(len(causes), np.int64)
    np.subtract.at(other, entry, amount_paise)
    with_other = np.flatnonzero(other)
    post(
        kind=kind,
        causes=causes,
        business_dates=np.full(len(causes), day_number(at)),
        postings=NewPostings(
            entry=np.concatenate([entry, with_other]),
            head=np.concatenate([head, np.full(len(with_other), heads["opening"])]),
            subject=np.concatenate([subject, np.zeros(len(with_other), np.int64)]),
            amount_paise=np.concatenate([amount_paise, other[with_other]]),
        ),
    )
