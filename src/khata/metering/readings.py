"""Registers of billing profiles on their way into the tables: beside what is stored, through the checks, as readings.

A register read when a day began stood when the day before ended: there it is compared with the registers of meter days.
"""

from collections.abc import Iterable

import numpy as np

from khata.formats import pgcopy
from khata.formats.meterdays import MeterDayBatch
from khata.jobs.bulk import copy_in
from khata.kernel.quantities import Bool, Int64
from khata.metering.checks import check
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
_DOUBTED = "VAL-15"


def store_readings(parts: Iterable[Kept], facts: MeterFacts, rules: Rules, ledger: Ledger, *, doubted: Int64) -> None:
    """Each is new, the same again, or a revision, unless VAL-13 speaks against it. A demand that nobody says stays as
    it was. `parts` of whole meters, after the meter days of their delivery; `doubted`: `doubted_meters`.
    """
    for rows in parts:
        alive = np.ones(len(rows.day), np.bool_)
        noted = []
        for flagged in check(_batch(rows), known_of(facts, rows, _beside(rows, ledger, doubted)), rules):
            if rules.outcome(flagged.rule) == "quarantined":
                ledger.fail(rows, flagged, alive)
            else:
                noted.append(flagged)
        stored, revision = _store(rows, alive, ledger)
        for flagged in noted:
            ledger.note(rows, flagged, stored, revision)


def _batch(rows: Kept) -> MeterDayBatch:
    """As days of which nothing but the register is known."""
    unknown = np.full(len(rows.day), UNKNOWN, np.int64)
    return MeterDayBatch(
        lines=rows.at, serials=np.zeros(len(rows.at), "S1"), days=rows.day.astype("M8[D]"), blocks=None, known=None,
        total_wh=unknown, total_known=np.zeros(len(rows.day), np.bool_), register_wh=rows.register_wh,
    )  # fmt: skip


def _beside(rows: Kept, ledger: Ledger, doubted: Int64) -> tuple[Int64, Int64, Int64, Int64]:
    """The nearest registers before and after each row, of readings that the delivery leaves as they are and of days."""
    meters, first = np.unique(rows.meter, return_index=True)
    last = np.append(first[1:], len(rows.meter)) - 1
    spans = (rows.day[first], rows.day[last])
    of, day, register = readings_around(meters, *spans)
    channel = np.full(len(meters), Channel.IMPORT)
    of_day, ended, at_end = stored_registers(meters, channel, spans[0] - 1, spans[1] - 1, doubted=doubted)
    read, sent = meters[of] * DAY_SPAN + day, meters[of_day] * DAY_SPAN + ended + 1
    here = rows.meter * DAY_SPAN + rows.day
    sound = ~np.isin(sent, np.concatenate([here, read, _doubtful(ledger)]))
    standing = ~np.isin(read, here)
    keys = np.concatenate([read[standing], sent[sound]])
    order = np.argsort(keys)
    return nearest(here, keys[order], np.concatenate([register[standing], at_end[sound]])[order])


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
        },
    )
    return changed, revision
