"""Parts of a delivery on their way into the tables: beside what is stored, through the checks, as new revisions."""

import json
from collections.abc import Iterable, Iterator
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
from khata.kernel.revisions import (
    SUBSTITUTED,
    MeterDays,
    decided,
    differ,
    drawn_w,
    merged,
    news,
    not_in_pieces,
    nothing,
)
from khata.metering.checks import Flagged, Known, check, continued
from khata.metering.edited import edits_among
from khata.metering.rules import Rules
from khata.metering.stored import (
    DAY_SPAN,
    MeterFacts,
    StoredDays,
    nearest,
    stored_days,
    stored_registers,
)

UNKNOWN = -1
_HALF_HOURS = 48
_MOST_TOTAL_WH = 2**31 - 1
_MEASURED = ("volts_dv", "current_ma", "hertz_mhz")
_LETTERS = np.frombuffer(b"-AESD", np.uint8)
_CODES = np.zeros(256, np.int8)
_CODES[_LETTERS] = np.arange(5)
_EDITED = "VAL-24"


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
    """What became of the rows of a delivery so far. `by_person`: an officer's word, which counts over what is known."""

    delivery: int
    by_person: bool = False
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

    def fail(self, rows: Kept, flagged: Flagged, alive: Bool) -> None:
        """Rows that are not stored: they are no longer `alive`, and wait in quarantine with their numbers."""
        at = flagged.rows[alive[flagged.rows]]
        alive[at] = False
        said = dict(zip(flagged.rows.tolist(), _evidence(flagged, np.arange(len(flagged.rows))), strict=True))
        positions = [rows.positions(row) for row in at.tolist()]
        evidence = {
            int(each): said[row] for row, some in zip(at.tolist(), positions, strict=True) for each in some.tolist()
        }
        self.failed.append((int(flagged.rule[-2:]), np.concatenate([np.zeros(0, np.int64), *positions]), evidence))

    def note(self, rows: Kept, flagged: Flagged, stored: Bool, revision: Int64) -> None:
        chosen = np.flatnonzero(stored[flagged.rows])
        at = flagged.rows[chosen]
        if len(at):
            keys = np.array([rows.meter[at], rows.day[at], rows.channel[at], revision[at]])
            self.findings.append((flagged.rule, keys, _evidence(flagged, chosen)))

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


def store_days(
    parts: Iterable[Kept], spool: Spool, facts: MeterFacts, rules: Rules, ledger: Ledger, *, doubted: Int64
) -> None:
    """Each part is looked up, then judged while the server stores the one before it. `doubted`: `doubted_meters`."""
    with ThreadPoolExecutor(1) as server:
        storing: Future[None] | None = None
        ready: tuple[str, bytes] = ("", b"")
        for kept in parts:
            if storing:
                storing.result()
            part = _Part(kept, spool, facts, doubted)
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

    def __init__(self, rows: Kept, spool: Spool, facts: MeterFacts, doubted: Int64) -> None:
        self.rows, self.facts = rows, facts
        self.meter, self.channel = rows.meter, rows.channel.astype(np.int64)
        self.group = self.meter * 8 + self.channel
        self.stored = stored_days(self.meter, self.channel, rows.day)
        self.found = np.zeros(len(rows.day), np.bool_)
        self.found[self.stored.at] = True
        self.edits = edits_among(self.meter, self.channel, rows.day)
        self.beside = self._beside(doubted)
        self.before_day, self.before, _, _ = self.beside
        self._next_days()
        self.matrices = {name: spool.matrix(name, rows.at) for name in ("blocks", "origins", *_MEASURED)}

    def _beside(self, doubted: Int64) -> tuple[Int64, Int64, Int64, Int64]:
        """(day, register) of the nearest stored registers before and after each row that says one, of days that the
        delivery leaves as they are."""
        at = np.flatnonzero(self.rows.register_wh >= 0)
        beside = tuple(np.full(len(self.group), UNKNOWN, np.int64) for _ in range(4))
        if len(at):
            groups, first = np.unique(self.group[at], return_index=True)
            last = np.append(first[1:], len(at)) - 1
            day = self.rows.day
            spans = (day[at[first]], day[at[last]])
            place, stored_day, register = stored_registers(groups // 8, groups % 8, *spans, doubted=doubted)
            stored = groups[place] * DAY_SPAN + stored_day
            here = self.group[at] * DAY_SPAN + day[at]
            standing = ~np.isin(stored, here)
            for column, found in zip(beside, nearest(here, stored[standing], register[standing]), strict=True):
                column[at] = found
        before_day, before, after_day, after = beside
        return before_day, before, after_day, after

    def _next_days(self) -> None:
        """Days stored already that follow a row with a register, and are not in the delivery themselves."""
        rows = self.rows
        at = np.flatnonzero(rows.register_wh >= 0)
        key = self.group * DAY_SPAN + rows.day
        at = at[~np.isin(key[at] + 1, key)]
        self.next_of = at
        self.next = stored_days(self.meter[at], self.channel[at], rows.day[at] + 1)

    def judged(self, rules: Rules, ledger: Ledger) -> tuple[str, bytes]:
        """New revisions to store: names of columns, and rows encoded. What became of the rows goes into the ledger."""
        rows, count = self.rows, len(self.rows.day)
        alive = np.ones(count, np.bool_)
        noted: list[Flagged] = []
        for flagged in check(self._batch(), known_of(self.facts, rows, self.beside), rules):
            if rules.outcome(flagged.rule) == "quarantined":
                ledger.fail(rows, flagged, alive)
            else:
                noted.append(flagged)
        if self.edits and not ledger.by_person:
            noted.append(self._other_than_edited())
        after, changed = self._after(alive, by_person=ledger.by_person)
        revision = np.zeros(count, np.int64)
        revision[self.stored.at] = self.stored.revision + 1
        ledger.count(rows, alive, self.found, changed)
        for flagged in noted:
            ledger.note(rows, flagged, changed, revision)
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

    # -- what stands afterwards ---

    def _after(self, alive: Bool, *, by_person: bool) -> tuple[MeterDays, Bool]:
        """(what stands with what was said, what of it is to be stored) of each row."""
        rows, said = self.rows, self._said() if by_person else self._news(self._said())
        stored = np.full(len(rows.day), UNKNOWN, np.int64)
        stored[self.stored.at] = self.stored.register
        register = np.where(alive & (said.register >= 0), said.register, stored)
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
            new_rise = _not_as_before(known, old_rise, rise[at])
            before_this, said_of_it = _without_old_rise(known, old_rise, new_rise), _taken(said, at)
            if by_person:
                together = decided(known=known, said=said_of_it)
            else:
                together = self._not_in_pieces(at, known, merged(known=before_this, said=said_of_it, rise=new_rise))
            changed[at] = alive[at] & (~self.found[at] | differ(known, together))
            after = _with(after, at, together)
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

    def _other_than_edited(self) -> Flagged:
        """Of a day with edits, whatever is stored of it now; with the newest edit's revision."""
        newest = np.full(len(self.rows.day), UNKNOWN, np.int64)
        for each in self.edits:
            newest[each.at] = each.revision
        at = np.flatnonzero(newest >= 0)
        return Flagged(_EDITED, at, {"edit": newest[at]})

    def _news(self, said: MeterDays) -> MeterDays:
        """Without the very values in whose place a person put others, knowing them."""
        for at, before, left in self._replaced():
            said = _with(said, at, news(said=_taken(said, at), before=before, left=left))
        return said

    def _not_in_pieces(self, rows: Int64, known: MeterDays, after: MeterDays) -> MeterDays:
        """Nor does what comes to it make up what a person replaced. `rows`: which ones these days are."""
        for place, before, left in self._replaced():
            at = np.searchsorted(rows, place)
            stays = not_in_pieces(known=_taken(known, at), after=_taken(after, at), before=before, left=left)
            after = _with(after, at, stays)
        return after

    def _replaced(self) -> Iterator[tuple[Int64, MeterDays, MeterDays]]:
        """(rows, what was known when a person decided, what that left), of days of which anything was known then."""
        for each in self.edits:
            yield each.at[each.before.at], state_of(each.before), _taken(state_of(each.left), each.before.at)

    def _next_revisions(self, alive: Bool, register: Int64) -> "Revisions":
        """Days that follow: a total that only now can be told from two registers, or was told from a wrong one."""
        row, known = self.next_of[self.next.at], state_of(self.next)
        old = np.full(len(self.rows.day), UNKNOWN, np.int64)
        old[self.stored.at] = self.stored.register
        place = self.rows.place[row]
        rise = np.where(alive[row], self._rise(known.register, register[row], place), UNKNOWN)
        old_rise = self._rise(known.register, old[row], place)
        rise = _not_as_before(known, old_rise, rise)
        before = _without_old_rise(known, old_rise, rise)
        after = merged(known=before, said=nothing(len(row)), rise=rise)
        at = np.flatnonzero(differ(known, after))
        row, revision = row[at], self.next.revision[at] + 1
        return Revisions(self.meter[row], self.channel[row], self.rows.day[row] + 1, revision, _taken(after, at))


def known_of(facts: MeterFacts, rows: Kept, beside: tuple[Int64, Int64, Int64, Int64]) -> Known:
    """What the checks are told of each row's meter; `beside` as `nearest` answers."""
    place = rows.place
    before_day, before, after_day, after = beside
    return Known(
        meter=rows.meter, load_w=facts.load_w[place], factor=facts.factor[place],
        register_digits=facts.register_digits[place], kind=facts.kind[place], usual_wh=facts.usual_wh[place],
        peak_wh=facts.peak_wh[place], usual_days=facts.usual_days[place], zero_days=facts.zero_days[place],
        before_day=before_day, before_register_wh=before, after_day=after_day, after_register_wh=after,
    )  # fmt: skip


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


def _not_as_before(known: MeterDays, old_rise: Int64, rise: Int64) -> Int64:
    """A substituted total stands beside two registers only where a person put it there, knowing both."""
    return np.where((known.origin == SUBSTITUTED) & (rise == old_rise), UNKNOWN, rise)


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


def _with(state: MeterDays, at: Int64, these: MeterDays) -> MeterDays:
    """`state` with other days at these places."""
    out = _taken(state, slice(None))
    for each in fields(MeterDays):
        getattr(out, each.name)[at] = getattr(these, each.name)
    return out


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
