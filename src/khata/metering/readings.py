"""Registers of billing profiles on their way into the tables: beside what is stored, through the checks, as readings.

A register read when a day began stood when the day before ended: there it is compared with the registers of meter days.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from khata.formats import pgcopy
from khata.formats.meterdays import MeterDayBatch
from khata.jobs.bulk import copy_in
from khata.kernel.quantities import Bool, Int64
from khata.metering.checks import Flagged, check, continued
from khata.metering.models import Channel
from khata.metering.rules import Rules
from khata.metering.stored import (
    DAY_SPAN,
    UNKNOWN,
    MeterFacts,
    nearest,
    readings_around,
    stored_readings,
    stored_registers,
)
from khata.metering.storing import Kept, Ledger, known_of

_SOURCE = b"billing profile"
_BACKWARDS = "VAL-13"
_DOUBTED = "VAL-15"


def store_readings(parts: Iterable[Kept], facts: MeterFacts, rules: Rules, ledger: Ledger, *, doubted: Int64) -> None:
    """Each is new, the same again, or a revision, unless VAL-13 speaks against it. A demand that nobody says stays as
    it was. `parts` of whole meters, after the meter days of their delivery; `doubted`: `doubted_meters`.
    """
    for rows in parts:
        alive = np.ones(len(rows.day), np.bool_)
        around = _around(rows, ledger, doubted)
        ledger.fail(rows, _other_than_at_once(rows, facts, around), alive)
        noted = []
        for flagged in check(_batch(rows, alive), known_of(facts, rows, _beside(rows, alive, around)), rules):
            if rules.outcome(flagged.rule) == "quarantined":
                ledger.fail(rows, flagged, alive)
            else:
                noted.append(flagged)
        stored, revision = _store(rows, alive, ledger)
        for flagged in noted:
            ledger.note(rows, flagged, stored, revision)


def _batch(rows: Kept, alive: Bool) -> MeterDayBatch:
    """As days of which nothing but the register is known; nor that, of rows that failed already."""
    unknown = np.full(len(rows.day), UNKNOWN, np.int64)
    return MeterDayBatch(
        lines=rows.at, serials=np.zeros(len(rows.at), "S1"), days=rows.day.astype("M8[D]"), blocks=None, known=None,
        total_wh=unknown, total_known=np.zeros(len(rows.day), np.bool_),
        register_wh=np.where(alive, rows.register_wh, UNKNOWN),
    )  # fmt: skip


@dataclass(frozen=True)
class _Around:
    """Stored registers on and around the days of some rows, by meter x DAY_SPAN + the day when it began with them: of
    readings, and of meter days that agree with their own energy."""

    read: Int64
    register: Int64
    ended: Int64
    at_end: Int64


def _around(rows: Kept, ledger: Ledger, doubted: Int64) -> _Around:
    meters, first = np.unique(rows.meter, return_index=True)
    last = np.append(first[1:], len(rows.meter)) - 1
    spans = (rows.day[first], rows.day[last])
    of, day, register = readings_around(meters, *spans)
    channel = np.full(len(meters), Channel.IMPORT)
    of_day, ended, at_end = stored_registers(meters, channel, spans[0] - 1, spans[1] - 1, doubted=doubted)
    sent = meters[of_day] * DAY_SPAN + ended + 1
    trusted = ~np.isin(sent, _doubtful(ledger))
    return _Around(meters[of] * DAY_SPAN + day, register, sent[trusted], at_end[trusted])


def _other_than_at_once(rows: Kept, facts: MeterFacts, around: _Around) -> Flagged:
    """Rows beside which a meter day that ended at their very instant says something else. Either register may have been
    counted on over a rollover."""
    here = rows.meter * DAY_SPAN + rows.day
    same = np.isin(around.ended, here)
    at, there = np.searchsorted(here, around.ended[same]), around.at_end[same]
    register, digits = rows.register_wh[at], facts.register_digits[rows.place[at]]
    reached = continued(register_wh=register, before_register_wh=there, register_digits=digits)
    reached_there = continued(register_wh=there, before_register_wh=register, register_digits=digits)
    other = np.flatnonzero((reached != there) & (reached_there != register))
    return Flagged(_BACKWARDS, at[other], {"register_wh": register[other], "other_register_wh": there[other]})


def _beside(rows: Kept, alive: Bool, around: _Around) -> tuple[Int64, Int64, Int64, Int64]:
    """The nearest registers before and after each row that is alive, of what these leave as it is."""
    here = rows.meter * DAY_SPAN + rows.day
    standing = ~np.isin(around.read, here[alive])
    sound = ~np.isin(around.ended, np.concatenate([here[alive], around.read]))
    keys = np.concatenate([around.read[standing], around.ended[sound]])
    order = np.argsort(keys)
    registers = np.concatenate([around.register[standing], around.at_end[sound]])
    return nearest(here, keys[order], registers[order])


def _doubtful(ledger: Ledger) -> Int64:
    """Ends of this delivery's own days whose energy disagreed with their register: the findings are not stored yet."""
    found = [keys[0] * DAY_SPAN + keys[1] + 1 for rule, keys, _ in ledger.findings if rule == _DOUBTED]
    return np.concatenate([np.zeros(0, np.int64), *found])


def _store(rows: Kept, alive: Bool, ledger: Ledger) -> tuple[Bool, Int64]:
    """(which rows are stored, as which revision)."""
    count = len(rows.day)
    found, changed = np.zeros(count, np.bool_), alive.copy()
    place, last, register, demand = stored_readings(rows.meter, rows.day)
    found[place] = True
    said = rows.demand_w.copy()
    said[place] = np.where(said[place] >= 0, said[place], demand)
    changed[place] &= (rows.register_wh[place] != register) | (said[place] != demand)
    revision = np.zeros(count, np.int64)
    revision[place] = last + 1
    ledger.count(rows, alive, found, changed)
    copy_in(
        "metering_reading",
        {
            "meter_id": pgcopy.int8(rows.meter[changed]),
            "day": pgcopy.date(rows.day[changed]),
            "revision": pgcopy.int2(revision[changed]),
            "register_wh": pgcopy.int8(rows.register_wh[changed]),
            "demand_w": pgcopy.int4(said[changed], null=said[changed] < 0),
            "source": pgcopy.text(np.full(int(changed.sum()), _SOURCE)),
            "delivery": pgcopy.int8(np.full(int(changed.sum()), ledger.delivery)),
        },
    )
    return changed, revision
