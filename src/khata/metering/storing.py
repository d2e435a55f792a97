"""Parts of a delivery on their way into the tables: beside what is stored, through the checks, as new revisions."""

import json
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from khata.formats import pgcopy
from khata.formats.meterdays import ACTUAL, MeterDayBatch
from khata.formats.spool import Spool
from khata.jobs.bulk import copy_in
from khata.kernel.quantities import Bool, Int64
from khata.kernel.revisions import MeterDays, differ, drawn_w, merged, nothing
from khata.metering.checks import Flagged, Known, check, continued
from khata.metering.rules import Rules
from khata.metering.stored import (
    MeterFacts,
    StoredDays,
    stored_days,
    stored_readings,
    stored_registers,
)

UNKNOWN = -1
_HALF_HOURS = 48
_MOST_TOTAL_WH = 2**31 - 1
_SPAN = 1 << 22  # more days than dates have
_MEASURED = ("volts_dv", "current_ma", "hertz_mhz")
_LETTERS = np.frombuffer(b"-AESD", np.uint8)
_CODES = np.zeros(256, np.int8)
_CODES[_LETTERS] = np.arange(5)


@dataclass(frozen=True)
class Kept:
    """Rows to store, one a meter, channel and day, in this order; (n,) each.

    order                         positions in the delivery of all rows, the same of a key beside each other
    start, count                  which of `order` say this row
    at                            position whose half-hours count
    place                         of the meter in its facts
    meter
    day, channel, and what was said, -1 where it was not
    """

    order: Int64
    start: Int64
    count: Int64
    at: Int64
    place: Int64
    meter: Int64
    day: Int64
    channel: NDArray[np.int8]
    total_wh: Int64
    register_wh: Int64
    demand_w: Int64
    off: Int64
    origin: NDArray[np.int8]
    drift_s: NDArray[np.int32]
    multiplier: NDArray[np.int32]

    def chosen(self, which: Bool | slice) -> "Kept":
        return replace(self, **{each.name: getattr(self, each.name)[which] for each in fields(self)[1:]})

    def positions(self, row: int) -> Int64:
        return self.order[self.start[row] : self.start[row] + self.count[row]]


@dataclass
class Ledger:
    """What became of the rows of a delivery so far."""

    delivery: int
    accepted: int = 0
    repeated: int = 0
    superseding: int = 0
    failed: list[tuple[int, Int64, dict[int, str]]] = field(default_factory=list)  # rule, positions, evidence
    findings: list[tuple[str, Int64, list[str]]] = field(default_factory=list)  # rule; meter, day, channel, revision

    def count(self, rows: Kept, alive: Bool, found: Bool, changed: Bool) -> None:
        """`found`: stored before in some revision; `changed`: stored now."""
        fresh, superseding = int((alive & ~found).sum()), int((alive & found & changed).sum())
        self.accepted += fresh
        self.superseding += superseding
        self.repeated += int(rows.count[alive].sum()) - fresh - superseding

    def store_findings(self) -> None:
        for rule, keys, evidence in self.findings:
            meter, day, channel, revision = keys
            copy_in(
                "metering_finding",
                {
                    "meter_id": pgcopy.int8(meter),
                    "day": pgcopy.date(day),
                    "channel": pgcopy.int2(channel),
                    "revision": pgcopy.int2(revision),
                    "rule": pgcopy.text(np.full(len(meter), rule.encode())),
                    "delivery_id": pgcopy.int8(np.full(len(meter), self.delivery)),
                    "evidence": pgcopy.jsonb(np.array([text.encode() for text in evidence])),
                },
            )


def store_days(parts: Iterable[Kept], spool: Spool, facts: MeterFacts, rules: Rules, ledger: Ledger) -> None:
    """Each part is looked up, then judged while the server stores the one before it."""
    with ThreadPoolExecutor(1) as server:
        storing: Future[None] | None = None
        ready: tuple[str, bytes] = ("", b"")
        for kept in parts:
            if storing:
                storing.result()
            part = _Part(kept, spool, facts)
            storing = server.submit(copy_revisions, connection.connection, ready)
            ready = part.judged(rules, ledger)
        if storing:
            storing.result()
        copy_revisions(connection.connection, ready)


def copy_revisions(session: Any, ready: tuple[str, bytes]) -> None:
    """As `copy_in`, of columns encoded already, and in another thread than Django's connection belongs to."""
    names, rows = ready
    if not rows:
        return
    with session.cursor() as cursor, cursor.copy(f"copy metering_meterday ({names}) from stdin (format binary)") as out:
        out.write(rows)


class _Part:
    """Rows of whole meters beside all that the database knows of their days."""

    def __init__(self, rows: Kept, spool: Spool, facts: MeterFacts) -> None:
        self.rows, self.facts = rows, facts
        self.meter, self.channel = rows.meter, rows.channel.astype(np.int64)
        self.group = self.meter * 8 + self.channel
        self.stored = stored_days(self.meter, self.channel, rows.day)
        self.found = np.zeros(len(rows.day), np.bool_)
        self.found[self.stored.at] = True
        self._beside()
        self._next_days()
        self.matrices = {name: spool.matrix(name, rows.at) for name in ("blocks", "origins", *_MEASURED)}

    def _beside(self) -> None:
        """The nearest stored registers beside each row that says one, of days that the delivery leaves as they are."""
        unknown = np.full(len(self.group), UNKNOWN, np.int64)
        self.before_day, self.before, self.after_day, self.after = (unknown.copy() for _ in range(4))
        at = np.flatnonzero(self.rows.register_wh >= 0)
        if not len(at):
            return
        groups, first = np.unique(self.group[at], return_index=True)
        last = np.append(first[1:], len(at)) - 1
        day = self.rows.day
        place, stored_day, register = stored_registers(groups // 8, groups % 8, day[at[first]], day[at[last]])
        stored = groups[place] * _SPAN + stored_day
        here = self.group[at] * _SPAN + day[at]
        standing = ~np.isin(stored, here)
        stored, stored_day, register = stored[standing], stored_day[standing], register[standing]
        if not len(stored):
            return
        left = np.searchsorted(stored, here) - 1
        right = np.minimum(left + 1, len(stored) - 1)
        for side, days, registers in ((left, self.before_day, self.before), (right, self.after_day, self.after)):
            hit = (side >= 0) & (stored[side] // _SPAN == self.group[at])
            hit &= (stored[side] < here) if side is left else (stored[side] > here)
            days[at[hit]], registers[at[hit]] = stored_day[side[hit]], register[side[hit]]

    def _next_days(self) -> None:
        """Days stored already that follow a row with a register, and are not in the delivery themselves."""
        rows = self.rows
        at = np.flatnonzero(rows.register_wh >= 0)
        key = self.group * _SPAN + rows.day
        at = at[~np.isin(key[at] + 1, key)]
        self.next_of = at
        self.next = stored_days(self.meter[at], self.channel[at], rows.day[at] + 1)

    def judged(self, rules: Rules, ledger: Ledger) -> tuple[str, bytes]:
        """New revisions to store: names of columns, and rows encoded. What became of the rows goes into the ledger."""
        rows, count = self.rows, len(self.rows.day)
        alive = np.ones(count, np.bool_)
        noted: list[Flagged] = []
        for flagged in check(self._batch(), self._known(), rules):
            if rules.outcome(flagged.rule) == "quarantined":
                self._fail(flagged, alive, ledger)
            else:
                noted.append(flagged)
        after, changed = self._after(alive)
        revision = np.zeros(count, np.int64)
        revision[self.stored.at] = self.stored.revision + 1
        ledger.count(rows, alive, self.found, changed)
        self._note(noted, changed, revision, ledger)
        at = np.flatnonzero(changed)
        own = Revisions(self.meter[at], self.channel[at], rows.day[at], revision[at], _taken(after, at))
        return encoded([own, self._next_revisions(alive, after.register)], ledger.delivery)

    # -- what the checks see ---

    def _batch(self) -> MeterDayBatch:
        rows, blocks = self.rows, self.matrices["blocks"]
        return MeterDayBatch(
            lines=rows.at, serials=np.zeros(len(rows.at), "S1"), days=rows.day.astype("M8[D]"), blocks=blocks,
            known=None if blocks is None else blocks >= 0, total_wh=rows.total_wh, total_known=rows.total_wh >= 0,
            channel=rows.channel, origin=rows.origin, register_wh=rows.register_wh, demand_w=rows.demand_w,
            off=rows.off, drift_s=rows.drift_s, multiplier=rows.multiplier,
            origins=self.matrices["origins"], volts_dv=self.matrices["volts_dv"],
            current_ma=self.matrices["current_ma"], hertz_mhz=self.matrices["hertz_mhz"],
        )  # fmt: skip

    def _known(self) -> Known:
        facts, place = self.facts, self.rows.place
        return Known(
            meter=self.meter, load_w=facts.load_w[place], factor=facts.factor[place],
            register_digits=facts.register_digits[place], kind=facts.kind[place], usual_wh=facts.usual_wh[place],
            peak_wh=facts.peak_wh[place], usual_days=facts.usual_days[place], zero_days=facts.zero_days[place],
            before_day=self.before_day, before_register_wh=self.before, after_day=self.after_day,
            after_register_wh=self.after,
        )  # fmt: skip

    def _fail(self, flagged: Flagged, alive: Bool, ledger: Ledger) -> None:
        at = flagged.rows[alive[flagged.rows]]
        alive[at] = False
        said = dict(zip(flagged.rows.tolist(), _evidence(flagged, np.arange(len(flagged.rows))), strict=True))
        positions = [self.rows.positions(row) for row in at.tolist()]
        evidence = {
            int(each): said[row] for row, some in zip(at.tolist(), positions, strict=True) for each in some.tolist()
        }
        ledger.failed.append((int(flagged.rule[-2:]), np.concatenate([np.zeros(0, np.int64), *positions]), evidence))

    def _note(self, noted: list[Flagged], stored: Bool, revision: Int64, ledger: Ledger) -> None:
        for flagged in noted:
            chosen = np.flatnonzero(stored[flagged.rows])
            at = flagged.rows[chosen]
            if len(at):
                keys = np.array([self.meter[at], self.rows.day[at], self.channel[at], revision[at]])
                ledger.findings.append((flagged.rule, keys, _evidence(flagged, chosen)))

    # -- what stands afterwards ---

    def _after(self, alive: Bool) -> tuple[MeterDays, Bool]:
        """(what stands with what was said, what of it is to be stored) of each row."""
        rows, said = self.rows, self._said()
        stored = np.full(len(rows.day), UNKNOWN, np.int64)
        stored[self.stored.at] = self.stored.register
        register = np.where(alive & (rows.register_wh >= 0), rows.register_wh, stored)
        before = np.where(self.before_day == rows.day - 1, self.before, UNKNOWN)
        old_before = before.copy()
        follows = np.flatnonzero((self.group[1:] == self.group[:-1]) & (rows.day[1:] == rows.day[:-1] + 1)) + 1
        before[follows] = np.where(register[follows - 1] >= 0, register[follows - 1], before[follows])
        old_before[follows] = stored[follows - 1]
        rise = self._rise(register, before, rows.place)
        after = replace(said, demand=np.where(said.demand < 0, drawn_w(said.blocks), said.demand))
        changed = alive & ~self.found
        # A row of which nothing is known but what it says stands as it is: most do.
        at = np.flatnonzero(self.found | (rise >= 0) | (self.matrices["origins"] is not None))
        if len(at):
            known = _spread(state_of(self.stored), np.searchsorted(at, self.stored.at), len(at))
            old_rise = self._rise(known.register, old_before[at], rows.place[at])
            before_this = _without_old_rise(known, old_rise, rise[at])
            together = merged(known=before_this, said=_taken(said, at), rise=rise[at])
            changed[at] = alive[at] & (~self.found[at] | differ(known, together))
            after = _taken(after, slice(None))
            for each in fields(MeterDays):
                getattr(after, each.name)[at] = getattr(together, each.name)
        return after, changed

    def _rise(self, register: Int64, before: Int64, place: Int64) -> Int64:
        """By how much the register rose, over a rollover if need be; UNKNOWN where no meter could have done it."""
        digits = self.facts.register_digits[place]
        reached = continued(register_wh=register, before_register_wh=before, register_digits=digits)
        rise = reached - before
        return np.where((register >= 0) & (before >= 0) & (rise >= 0) & (rise <= _MOST_TOTAL_WH), rise, UNKNOWN)

    def _said(self) -> MeterDays:
        rows, blocks, origins = self.rows, self.matrices["blocks"], self.matrices["origins"]
        if blocks is None:
            blocks = np.full((len(rows.day), _HALF_HOURS), UNKNOWN, np.int32)
        same = np.where(blocks >= 0, rows.origin[:, None], np.int8(0))
        origins = same if origins is None else np.where((blocks >= 0) & (origins > 0), origins, same)
        return MeterDays(blocks, origins, rows.total_wh, rows.register_wh, rows.demand_w, rows.off, rows.origin)

    def _next_revisions(self, alive: Bool, register: Int64) -> "Revisions":
        """Days that follow: a total that only now can be told from two registers, or was told from a wrong one."""
        row, known = self.next_of[self.next.at], state_of(self.next)
        old = np.full(len(self.rows.day), UNKNOWN, np.int64)
        old[self.stored.at] = self.stored.register
        place = self.rows.place[row]
        rise = np.where(alive[row], self._rise(known.register, register[row], place), UNKNOWN)
        before = _without_old_rise(known, self._rise(known.register, old[row], place), rise)
        after = merged(known=before, said=nothing(len(row)), rise=rise)
        at = np.flatnonzero(differ(known, after))
        row, revision = row[at], self.next.revision[at] + 1
        return Revisions(self.meter[row], self.channel[row], self.rows.day[row] + 1, revision, _taken(after, at))


@dataclass(frozen=True)
class Revisions:
    """Rows of the table, (n,) each."""

    meter: Int64
    channel: Int64
    day: Int64
    revision: Int64
    state: MeterDays
    rule: NDArray[np.bytes_] | None = None  # that made what is not measured; none of what was received


def _without_old_rise(known: MeterDays, old_rise: Int64, rise: Int64) -> MeterDays:
    """A total that came from the registers alone is told anew, because one of them may have been corrected."""
    derived = (rise >= 0) & (old_rise >= 0) & (known.total == old_rise) & (known.blocks < 0).all(axis=1)
    return replace(known, total=np.where(derived, UNKNOWN, known.total))


def state_of(stored: StoredDays) -> MeterDays:
    origin = stored.origin.astype(np.int8)
    origins = np.where(stored.blocks >= 0, origin[:, None], np.int8(0))
    mixed = np.flatnonzero(stored.origins != b"")
    if len(mixed):
        letters = stored.origins[mixed].astype(f"S{_HALF_HOURS}").view(np.uint8).reshape(len(mixed), _HALF_HOURS)
        origins[mixed] = _CODES[letters]
    return MeterDays(stored.blocks, origins, stored.total, stored.register, stored.demand, stored.off, origin)


def _spread(state: MeterDays, at: Int64, count: int) -> MeterDays:
    """The days of `state` at their places among `count`, and nothing between them."""
    out = nothing(count)
    whole = {each.name: getattr(out, each.name).copy() for each in fields(MeterDays)}
    for name, values in whole.items():
        values[at] = getattr(state, name)
    return MeterDays(**whole)


def _taken(state: MeterDays, at: Int64 | slice) -> MeterDays:
    return MeterDays(**{each.name: getattr(state, each.name)[at].copy() for each in fields(MeterDays)})


def encoded(revisions: list[Revisions], delivery: int) -> tuple[str, bytes]:
    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(each, name) for each in revisions])

    def state(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(each.state, name) for each in revisions])

    blocks, origins, origin = state("blocks"), state("origins"), state("origin")
    if not len(blocks):
        return "", b""
    known = blocks >= 0
    mixed = (known & (origins != origin[:, None])).any(axis=1)
    columns = {
        "meter_id": pgcopy.int8(joined("meter")),
        "day": pgcopy.date(joined("day")),
        "channel": pgcopy.int2(joined("channel")),
        "revision": pgcopy.int2(joined("revision")),
        "blocks_wh": pgcopy.int4_array(blocks, element_null=~known, null=~known.any(axis=1)),
        "origin": pgcopy.int2(origin),
        "known": pgcopy.int2((origins == ACTUAL).sum(axis=1)),
        "delivery": pgcopy.int8(np.full(len(blocks), delivery)),
    }
    if mixed.any():
        letters = np.ascontiguousarray(_LETTERS[origins]).view(f"S{_HALF_HOURS}").reshape(-1)
        columns["origins"] = pgcopy.text(letters, null=~mixed)
    if any(each.rule is not None for each in revisions):
        rule = np.concatenate([np.zeros(len(each.day), "S1") if each.rule is None else each.rule for each in revisions])
        columns["rule"] = pgcopy.text(rule, null=rule == b"")
    for name, column, kind in _NUMBERS:
        values = state(name)
        if (values >= 0).any():  # a column of NULL alone would cost as much as all the others
            columns[column] = kind(values, null=values < 0)
    return ", ".join(columns), pgcopy.encode(list(columns.values()))


_NUMBERS = (
    ("total", "total_wh", pgcopy.int4),
    ("register", "register_wh", pgcopy.int8),
    ("demand", "demand_w", pgcopy.int4),
    ("off", "off", pgcopy.int8),
)


def _evidence(flagged: Flagged, chosen: Int64) -> list[str]:
    names = list(flagged.evidence)
    columns = [flagged.evidence[name][chosen].tolist() for name in names]
    return [json.dumps(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


_READINGS = 50_000


def store_readings(rows: Kept, ledger: Ledger) -> None:
    """Registers read on the spot: new, the same again, or a revision. A demand that nobody says stays as it was."""
    for start in range(0, len(rows.day), _READINGS):
        part = rows.chosen(slice(start, start + _READINGS))
        count = len(part.day)
        found, changed = np.zeros(count, np.bool_), np.ones(count, np.bool_)
        place, last, register, demand = stored_readings(part.meter, part.day)
        found[place] = True
        said = np.maximum(part.demand_w, 0)
        said[place] = np.where(part.demand_w[place] >= 0, said[place], demand)
        changed[place] = (part.register_wh[place] != register) | (said[place] != demand)
        revision = np.zeros(count, np.int64)
        revision[place] = last + 1
        ledger.count(part, np.ones(count, np.bool_), found, changed)
        copy_in(
            "metering_reading",
            {
                "meter_id": pgcopy.int8(part.meter[changed]),
                "day": pgcopy.date(part.day[changed]),
                "revision": pgcopy.int2(revision[changed]),
                "register_wh": pgcopy.int8(part.register_wh[changed]),
                "demand_w": pgcopy.int4(said[changed]),
                "source": pgcopy.text(np.full(int(changed.sum()), b"billing profile")),
            },
        )
