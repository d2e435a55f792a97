"""Deliveries of meter data: read, judged, stored whole or not at all.

A delivery is laid aside row by row while it is read, so that rows which contradict each other are known before one of
them is stored. Then it waits for its turn, and goes through the checks and into the tables in parts of whole meters,
the server storing one part while the next is judged. All of it is one transaction.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from khata.formats import pgcopy
from khata.formats.meterdays import Batch, Refused
from khata.formats.spool import READING, Spool
from khata.formats.text import plain_name
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Bool, Int64
from khata.metering.models import Delivery, Sender
from khata.metering.operations import make_months, sender_coded
from khata.metering.readings import store_readings
from khata.metering.rules import Rules, read_rules
from khata.metering.stored import MeterBook, doubted_meters, other_sender_owes
from khata.metering.storing import Kept, Ledger, store_days

FIRST_DAY = dt.date(2000, 1, 1)
MOST_DEMAND_W = 2**31 - 1
PART_ROWS = 12_500
UNKNOWN = -1
_DAYS = 1 << 17  # day numbers up to here, so the year 2328
_CHANNELS = 8
_SMALLEST, _LARGEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True)
class Received:
    """What became of a delivery; `before`: the same bytes had been received already, and nothing was done."""

    delivery: Delivery
    before: bool


@transaction.atomic
def receive(
    *,
    sender: str,
    sha256: str,
    form: str,
    name: str,
    size: int,
    batches: Iterable[Batch],
    today: dt.date,
    history: bool = False,
    own_only: bool = False,
    by_person: bool = False,
) -> Received:
    """Store a delivery in one transaction: whole, or (when `batches` raises) nothing of it.

    `sender` is a sender's code (made if new), `form` the reader's name, `name` the file's without its folder, `size`
    its bytes. `history` lifts the limit for late days; `own_only` takes only meters of the sender's own
    Feeds; `by_person`: an officer's word, whoever owes the day (`editing`). The same bytes again change nothing, unless
    rows of them were quarantined: then they are judged again. Deliveries are read side by side and stored one after the
    other, so each sees what those before it stored.
    """
    if settled := _settled(sender, sha256, form):
        return Received(settled, before=True)
    meters = MeterBook()
    with Spool() as spool:
        for batch in _read_ahead(batches):
            spool.add(batch)
            meters.add(batch.serials)
        rows = _Rows(spool, meters, sender=sender, today=today, history=history, own_only=own_only, by_person=by_person)
        wait_for_turn()
        if settled := _settled(sender, sha256, form):
            return Received(settled, before=True)
        return Received(_store(rows, spool, sender, today, (sha256, form, name, size)), before=False)


def _read_ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The next one is read while what this one holds is looked up."""
    source = iter(batches)
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(next, source, None)
        while (batch := upcoming.result()) is not None:
            upcoming = reader.submit(next, source, None)
            yield batch


def wait_for_turn() -> None:
    """Whoever adds revisions of meter days does so alone, until its transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('metering.receive', 0))")


def _settled(sender: str, sha256: str, form: str) -> Delivery | None:
    """The last delivery of these bytes by this sender, if there was nothing in it to be judged again."""
    same = Delivery.objects.select_related("sender").filter(sender__code=sender, sha256=sha256, form=form)
    last = same.order_by("id").last()
    return last if last and not last.quarantined else None


class _Rows:
    """All rows of a delivery in columns: whose they are, and the number of the rule that each has failed, or 0."""

    def __init__(
        self,
        spool: Spool,
        meters: MeterBook,
        *,
        sender: str,
        today: dt.date,
        history: bool,
        own_only: bool,
        by_person: bool,
    ) -> None:
        self.rules, self.refused, self.by_person = read_rules(), spool.refused, by_person
        self.day: Int64 = spool.days().astype(np.int64)
        self.channel: NDArray[np.int8] = spool.column("channel")
        self.lines: Int64 = spool.column("lines")
        self.total: Int64 = spool.column("total_wh")
        self.place, self.serial, self.facts = meters.closed()
        self.failed = np.zeros(spool.count, np.int8)
        self.evidence: dict[int, str] = {}
        self._judge(spool, sender, today, history, own_only)
        self.kept = self._keep(spool)

    def fail(self, rule: int, rows: Bool) -> None:
        self.failed[rows & (self.failed == 0)] = rule

    def _judge(self, spool: Spool, sender: str, today: dt.date, history: bool, own_only: bool) -> None:
        """What can be said of each row alone."""
        at_hand, first = _number(today), _number(FIRST_DAY)
        if not history:
            first = max(first, at_hand - self.rules.limit("VAL-04", "days", today))
        reading = self.channel == READING
        self.fail(1, self.facts.meter[self.place] == UNKNOWN)
        self.fail(2, self.day >= at_hand + reading)  # a reading is of the beginning of its day
        self.fail(4, self.day < first)
        self.fail(5, reading & (spool.column("demand_w") > MOST_DEMAND_W))
        self.fail(11, self.facts.hangs[self.place] > 1)
        number = Sender.objects.filter(code=sender).values_list("id", flat=True).first() or 0
        good = np.flatnonzero(self.failed == 0)
        owed = np.zeros(len(self.failed), np.bool_)
        owed[good] = other_sender_owes(self.facts.meter[self.place[good]], self.day[good], number, own_only=own_only)
        self.fail(10, owed & (not self.by_person))

    def _keep(self, spool: Spool) -> Kept:
        """One row a meter, channel and day, in this order; rows that contradict each other fail."""
        good = np.flatnonzero(self.failed == 0)
        key = (self.facts.meter[self.place[good]] * _CHANNELS + self.channel[good]) * _DAYS + self.day[good]
        order = np.argsort(key, kind="stable")
        key, order = key[order], good[order]
        first = np.ones(len(key), np.bool_)
        first[1:] = key[1:] != key[:-1]
        starts = np.flatnonzero(first)
        counts = np.diff(np.append(starts, len(key)))
        columns = {name: spool.column(name)[order[starts]] for name in _SAID}
        at = order[starts]
        several = np.flatnonzero(counts > 1)
        quarrel = np.zeros(len(starts), np.bool_)
        if len(several):
            members = order[np.repeat(counts > 1, counts)]
            bounds = np.append(0, np.cumsum(counts[several])[:-1])
            quarrel[several], said, at[several] = _together(spool, members, bounds)
            for name, values in said.items():
                columns[name][several] = values
        self.failed[order[np.repeat(quarrel, counts)]] = 3
        return Kept(
            order=order, start=starts, count=counts, at=at, place=self.place[at],
            meter=self.facts.meter[self.place[at]], day=self.day[at],
            channel=self.channel[at], **columns,
        ).chosen(~quarrel)  # fmt: skip


_SAID = ("total_wh", "register_wh", "demand_w", "off", "origin", "drift_s", "multiplier")
_COMPARED = {"total_wh": UNKNOWN, "register_wh": UNKNOWN, "demand_w": UNKNOWN, "off": UNKNOWN, "print": 0}


def _together(spool: Spool, members: Int64, bounds: Int64) -> tuple[Bool, dict[str, NDArray[Any]], Int64]:
    """Of rows in groups that begin at `bounds`: which groups contradict themselves, what they say together, and the
    position of the row whose half-hours count."""
    quarrel = np.zeros(len(bounds), np.bool_)
    said: dict[str, NDArray[Any]] = {}
    for name, unknown in _COMPARED.items():
        values = spool.column(name)[members]
        known = values != unknown
        low = np.minimum.reduceat(np.where(known, values, _LARGEST), bounds)
        high = np.maximum.reduceat(np.where(known, values, _SMALLEST), bounds)
        quarrel |= low < high
        said[name] = np.where(high == _SMALLEST, unknown, high)
    with_blocks = np.where(spool.column("print")[members] != 0, np.arange(len(members)), len(members))
    found = np.minimum.reduceat(with_blocks, bounds)
    at = members[np.where(found < len(members), found, bounds)]
    del said["print"]
    for name in ("origin", "drift_s", "multiplier"):
        said[name] = np.maximum.reduceat(spool.column(name)[members], bounds)
    # A register that was measured does not make estimated half-hours measured.
    said["origin"] = np.where(found < len(members), spool.column("origin")[at], said["origin"])
    return quarrel, said, at


def _store(rows: _Rows, spool: Spool, sender: str, today: dt.date, file: tuple[str, str, str, int]) -> Delivery:
    kept, reading = rows.kept, rows.kept.channel == READING
    days = kept.chosen(~reading)
    make_months(np.unique(days.day).astype("M8[D]"))
    ledger = Ledger(delivery=int(next_ids("metering_delivery", 1)[0]), by_person=rows.by_person)
    doubted = doubted_meters(kept.day[kept.register_wh >= 0])
    store_days(_parts(days), spool, rows.facts, rows.rules, ledger, doubted=doubted)
    store_readings(_parts(kept.chosen(reading)), rows.facts, rows.rules, ledger, doubted=doubted)
    for rule, positions, evidence in ledger.failed:
        rows.failed[positions] = rule
        rows.evidence.update(evidence)
    sha256, form, name, size = file
    quarantined = int((rows.failed > 0).sum()) + len(rows.refused)
    delivery = Delivery.objects.create(
        id=ledger.delivery,
        sender=sender_coded(sender),
        sha256=sha256,
        form=form,
        name=plain_name(name),
        size=size,
        today=today,
        rows=len(rows.failed) + len(rows.refused),
        accepted=ledger.accepted,
        repeated=ledger.repeated,
        superseding=ledger.superseding,
        quarantined=quarantined,
    )
    ledger.store_findings()
    _quarantine(rows, delivery)
    return delivery


def _parts(kept: Kept) -> Iterator[Kept]:
    """In the order of meters, about PART_ROWS each; no meter is in two, because its days are judged together."""
    start = 0
    while start < len(kept.day):
        stop = start + PART_ROWS
        if stop < len(kept.day):
            stop = int(np.searchsorted(kept.meter, kept.meter[stop], side="left"))
            if stop <= start:  # one meter fills the part
                stop = int(np.searchsorted(kept.meter, kept.meter[start], side="right"))
        yield kept.chosen(slice(start, stop))
        start = stop


def _quarantine(rows: _Rows, delivery: Delivery) -> None:
    """Rows that a reader refused, and rows that failed here, with who has to act."""
    at = np.flatnonzero(rows.failed)
    numbers = np.unique(rows.failed[at]).tolist()
    rules = {number: f"VAL-{number:02d}" for number in numbers}
    title = np.zeros(int(max(numbers, default=0)) + 1, object)
    owner, rule = title.copy(), title.copy()
    for number, name in rules.items():
        title[number], owner[number], rule[number] = rows.rules.title(name, "en"), rows.rules.owner(name), name
    failed = rows.failed[at]
    found = _Quarantined(
        rows.lines[at], rule[failed].tolist(), owner[failed].tolist(),
        [rows.serial[place].decode() for place in rows.place[at].tolist()], rows.day[at], rows.channel[at],
        rows.total[at], title[failed].tolist(), [rows.evidence.get(row, "") for row in at.tolist()],
    )  # fmt: skip
    _copy_quarantined(delivery, found)
    _copy_quarantined(delivery, _refused(rows.refused, rows.rules))


@dataclass(frozen=True)
class _Quarantined:
    """Columns; a day, channel or total that nobody knows is UNKNOWN."""

    line: Int64
    rule: list[str]
    owner: list[str]
    serial: list[str]
    day: Int64
    channel: NDArray[Any]
    total: Int64
    reason: list[str]
    content: list[str]


def _refused(refused: list[Refused], rules: Rules) -> _Quarantined:
    return _Quarantined(
        np.array([each.line for each in refused], np.int64),
        [each.rule for each in refused],
        [rules.owner(each.rule) for each in refused],
        [each.serial for each in refused],
        np.array([UNKNOWN if each.day is None else _number(each.day) for each in refused], np.int64),
        np.array([UNKNOWN if each.channel is None else each.channel for each in refused], np.int64),
        np.full(len(refused), UNKNOWN, np.int64),
        [each.reason for each in refused],
        [each.content for each in refused],
    )


_QUARANTINE_ROWS = 5_000  # contents are laid out at the width of the longest


def _copy_quarantined(delivery: Delivery, found: _Quarantined) -> None:
    for start in range(0, len(found.line), _QUARANTINE_ROWS):
        part = slice(start, start + _QUARANTINE_ROWS)
        texts = {name: pgcopy.text(_text(getattr(found, name)[part])) for name in _TEXTS}
        day, channel, total = found.day[part], found.channel[part], found.total[part]
        copy_in(
            "metering_quarantine",
            {
                "delivery_id": pgcopy.int8(np.full(len(day), delivery.id)),
                "line": pgcopy.int4(found.line[part]),
                "day": pgcopy.date(day, null=day == UNKNOWN),
                "channel": pgcopy.int2(channel, null=channel == UNKNOWN),
                "total_wh": pgcopy.int8(total, null=total == UNKNOWN),
                **texts,
            },
        )


_TEXTS = ("rule", "owner", "serial", "reason", "content")


def _text(values: list[str]) -> NDArray[np.bytes_]:
    """PostgreSQL takes every character but NUL; half of a pair of surrogates is no character."""
    return np.array([value.replace("\0", "\ufffd").encode(errors="replace") for value in values], np.bytes_)


def _number(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days
