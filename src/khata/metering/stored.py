"""What the intake asks the database, in columns: meters by number, and what of the days of a delivery is stored.

Days are day numbers (days since 1970-01-01), NULL is -1.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from khata.formats.pgcopy import Field
from khata.jobs.bulk import copy_out, integers, last_of_day
from khata.kernel.quantities import Bool, Int64
from khata.metering.models import Feed
from khata.metering.rules import KINDS

UNKNOWN = -1


@dataclass(frozen=True)
class MeterFacts:
    """What is known of the meters with these numbers, in the order asked for; UNKNOWN where nothing is.

    meter (UNKNOWN: no meter has the number), kind (index in rules.KINDS), register_digits, load_w, hangs (at how many
    live connections), usual_wh, peak_wh, usual_days, zero_days, factor
    """

    meter: Int64
    kind: Int64
    register_digits: Int64
    load_w: Int64
    hangs: Int64
    usual_wh: Int64
    peak_wh: Int64
    usual_days: Int64
    zero_days: Int64
    factor: Int64


_FACTS = """
    select n - 1, m.id, coalesce(array_position(%s::text[], m.kind), 1) - 1, m.register_digits, u.load_w, u.hangs,
        u.total_wh, u.peak_wh, u.days, u.zero_days
    from unnest(string_to_array(%s, E'\\n')) with ordinality as k(serial, n)
    join metering_meter m on m.serial = k.serial
    left join metering_usual u on u.meter_id = m.id"""

# Of meters about which the night has not noted yet where they hang.
_HANGS = """
    select i.meter_id, count(distinct i.connection_id)
    from metering_installation i join consumers_connection c on c.id = i.connection_id and c.live
    where i.meter_id = any(%s::bigint[]) and not exists (
        select from metering_installation l
        where l.connection_id = i.connection_id and (l.from_date, l.revision) > (i.from_date, i.revision))
    group by i.meter_id order by i.meter_id"""

_FACTORS = """
    select meter_id, factor from metering_installation where factor <> 1 and meter_id = any(%s::bigint[])
    order by meter_id, from_date, revision"""


def meter_facts(serials: Sequence[bytes]) -> MeterFacts:
    """Of meters by number, distinct; what is usual of them as the last night noted it."""
    facts = np.full((10, len(serials)), UNKNOWN, np.int64)
    asked = (list(KINDS), b"\n".join(serials).decode())  # no reader hands on a number with a line end
    at, *found = integers(_FACTS, asked, 10, null=UNKNOWN)
    facts[:9, at] = found
    new = np.flatnonzero((facts[0] >= 0) & (facts[4] < 0))
    _fill(facts[4], facts[0], new, *integers(_HANGS, (_array(facts[0, new]),), 2))
    facts[9] = np.where(facts[4] > 0, 1, UNKNOWN)
    there = np.flatnonzero(facts[0] >= 0)
    _fill(facts[9], facts[0], there, *integers(_FACTORS, (_array(facts[0, there]),), 2))
    return MeterFacts(*facts)


_ASKED = 30_000  # numbers at a time: for so many the server reads all meters once


class MeterBook:
    """The meters of a delivery, looked up while it is still being read: each number once."""

    def __init__(self) -> None:
        self._place: dict[bytes, int] = {}  # of each number, in the order in which they came
        self._places: list[Int64] = []
        self._facts = np.zeros((10, 0), np.int64)

    def add(self, serials: NDArray[np.bytes_]) -> None:
        place = self._place
        places = [place.setdefault(serial, len(place)) for serial in serials.tolist()]
        self._places.append(np.array(places, np.int64))
        if len(place) - self._facts.shape[1] >= _ASKED:
            self._look_up()

    def _look_up(self) -> None:
        found = meter_facts(list(islice(self._place, self._facts.shape[1], None)))
        self._facts = np.hstack([self._facts, [getattr(found, each.name) for each in fields(MeterFacts)]])

    def closed(self) -> tuple[Int64, list[bytes], MeterFacts]:
        """(the place of each number that was added, the numbers by place, what is known of them by place)."""
        if len(self._place) > self._facts.shape[1]:
            self._look_up()
        return np.concatenate([np.zeros(0, np.int64), *self._places]), list(self._place), MeterFacts(*self._facts)


def _fill(column: Int64, meters: Int64, at: Int64, found: Int64, values: Int64) -> None:
    """Put the values found of some meters (sorted; the last of each counts) into the places `at` of a column."""
    if len(found):
        place = np.searchsorted(found, meters[at], side="right") - 1
        hit = (place >= 0) & (found[place] == meters[at])
        column[at[hit]] = values[place[hit]]


def other_sender_owes(meters: Int64, days: Int64, sender: int, *, own_only: bool = False) -> Bool:
    """Which of the meters' days (n,) a sender other than this one owes; `own_only`: or nobody."""
    query = """
        select meter_id, (from_date - date '1970-01-01')::bigint, coalesce(sender_id, 0) from metering_feed
        where meter_id = any(%s::bigint[]) order by meter_id, from_date, revision"""
    owes = np.full(len(meters), own_only)
    if not Feed.objects.exists():
        return owes
    meter, from_day, who = last_of_day(integers(query, (_array(np.unique(meters)),), 3))
    if len(meter):
        begins = meter * DAY_SPAN + from_day
        place = np.searchsorted(begins, meters * DAY_SPAN + days, side="right") - 1
        owes = (place >= 0) & (meter[place] == meters) & (who[place] != 0)
        others = owes & (who[place] != sender)
        owes = ~(owes & ~others) if own_only else others
    return owes


def _array(values: Int64) -> str:
    """As PostgreSQL writes an array of whole numbers: a tenth of the time that a list of them takes."""
    return f"{{{','.join(map(str, values.tolist()))}}}"


DAY_SPAN = 1 << 22  # more days than dates have


@dataclass(frozen=True)
class StoredDays:
    """What was received of the meter days at the places `at` (rising) of those asked for. Letters are ASCII codes.

    `revision` is the newest of all, also where that is an estimate of ours: beneath it stands what was received, or
    nothing (origin 0).
    """

    at: Int64
    revision: Int64
    total: Int64
    register: Int64
    demand: Int64
    origin: Int64
    off: Int64
    blocks: NDArray[np.int32]  # (n, 48), UNKNOWN
    origins: NDArray[np.bytes_]


_COLUMNS = "d.total_wh, d.register_wh, d.demand_w, d.origin, d.off, d.blocks_wh, d.origins, d.rule"
_NEWEST = f"""
    select n - 1, {_COLUMNS}
    from unnest(%s::bigint[], %s::smallint[], %s::int[], %s::smallint[]) with ordinality as k(m, c, d, r, n)
    join metering_meterday d on d.meter_id = k.m and d.channel = k.c and d.revision = k.r
        and d.day = date '1970-01-01' + k.d and d.day between %s and %s
    order by n"""
_BENEATH = f"""
    select n - 1, {_COLUMNS}
    from unnest(%s::bigint[], %s::smallint[], %s::int[], %s::smallint[]) with ordinality as k(m, c, d, r, n)
    cross join lateral (
        select * from metering_meterday where meter_id = k.m and channel = k.c and revision < k.r and rule is null
            and day = date '1970-01-01' + k.d and day between %s and %s order by revision desc limit 1) d
    order by n"""


def stored_days(meters: Int64, channels: Int64, days: Int64) -> StoredDays:
    """Of these meter days, distinct and in the order of meter, channel and day, those that are stored."""
    at, revision = _newest(meters, channels, days)
    keys = (meters[at], channels[at], days[at])
    place, numbers, blocks, letters, rule = _read(_NEWEST, keys, revision)
    if len(place) != len(at):
        raise RuntimeError("a meter day that was stored cannot be read again")
    estimated = np.flatnonzero(rule != b"")
    if len(estimated):
        keys = (keys[0][estimated], keys[1][estimated], keys[2][estimated])
        beneath, were, halves, origins, _ = _read(_BENEATH, keys, revision[estimated])
        numbers[:, estimated], blocks[estimated], letters[estimated] = UNKNOWN, UNKNOWN, b""
        numbers[_ORIGIN, estimated] = 0
        there = estimated[beneath]
        numbers[:, there], blocks[there] = were, halves
        letters = letters.astype("S48")
        letters[there] = origins
    total, register, demand, origin, off = numbers
    return StoredDays(at, revision, total, register, demand, origin, off, blocks, letters)


_ORIGIN = 3  # the place of the origin among the numbers


def _read(
    query: str, keys: tuple[Int64, Int64, Int64], revision: Int64
) -> tuple[Int64, Int64, NDArray[np.int32], NDArray[np.bytes_], NDArray[np.bytes_]]:
    """(place among the keys; total, register, demand, origin and off, (5, n); half-hours; their letters; the rule)."""
    empty = np.zeros(0, "S48")
    if not len(revision):
        return revision, np.zeros((5, 0), np.int64), np.zeros((0, 48), np.int32), empty, empty
    whole = [Field(kind, null=UNKNOWN) for kind in ("int4", "int8", "int4", "int2", "int8")]
    wanted = [Field("int8"), *whole, Field("int4[]", null=UNKNOWN), Field("text", null=b""), Field("text", null=b"")]
    params = (*(_array(column) for column in (*keys, revision)), *_range(keys[2]))
    found = copy_out(query, params, wanted)
    place, *numbers = (np.asarray(found[column], np.int64) for column in range(6))
    blocks = np.full((len(place), 48), UNKNOWN, np.int32)
    if found[6].shape[1]:
        has = found.lengths[6] > 0
        blocks[has] = found[6][has]
    return place, np.array(numbers, np.int64).reshape(5, len(place)), blocks, found[7], found[8]


def revisions_of(meters: Int64, channels: Int64, days: Int64, revision: Int64, *, beneath: bool = False) -> StoredDays:
    """One revision of each of these meter days; `beneath`: what had been received before it, where anything had."""
    query = _BENEATH if beneath else _NEWEST
    at, (total, register, demand, origin, off), blocks, letters, _ = _read(query, (meters, channels, days), revision)
    return StoredDays(at, revision[at], total, register, demand, origin, off, blocks, letters)


_DENSE = 200  # so many keys of a day are worth a query of their own


def _newest(meters: Int64, channels: Int64, days: Int64) -> tuple[Int64, Int64]:
    """(places rising, newest revision) of the keys that are stored; asked by day where many keys share one."""
    found: list[list[Int64]] = []
    kinds, kind, count = np.unique(days * 8 + channels, return_inverse=True, return_counts=True)
    for number in np.flatnonzero(count >= _DENSE):
        day, channel = int(kinds[number]) // 8, int(kinds[number]) % 8
        at = np.flatnonzero(kind == number)
        query = """select meter_id, max(revision) from metering_meterday
            where meter_id = any(%s::bigint[]) and day = date '1970-01-01' + %s and channel = %s
            group by meter_id order by meter_id"""
        meter, revision = integers(query, (_array(meters[at]), day, channel), 2)
        found.append([at[np.searchsorted(meters[at], meter)], revision])
    rest = np.flatnonzero(count[kind] < _DENSE)
    if len(rest):
        query = """
            select n - 1, max(d.revision)
            from unnest(%s::bigint[], %s::smallint[], %s::int[]) with ordinality as k(m, c, d, n)
            join metering_meterday d on d.meter_id = k.m and d.channel = k.c and d.day = date '1970-01-01' + k.d
                and d.day between %s and %s
            group by n"""
        keys = [_array(column[rest]) for column in (meters, channels, days)]
        at, revision = integers(query, (*keys, *_range(days[rest])), 2)
        found.append([rest[at], revision])
    at, revision = (np.concatenate([np.zeros(0, np.int64), *(each[n] for each in found)]) for n in (0, 1))
    order = np.argsort(at)
    return at[order], revision[order]


def _range(days: Int64) -> tuple[dt.date, dt.date]:
    """First and last, so that only partitions between them are opened."""
    first, last = (np.datetime64(int(day), "D").item() for day in (days.min(), days.max()))
    return first, last


REGISTER_DAYS = 180  # a register further away says nothing of a day any more


def doubted_meters(days: Int64) -> Int64:
    """Meters of which some register around these days disagreed with its own day's energy (VAL-15). For a delivery."""
    if not len(days):
        return np.zeros(0, np.int64)
    low, high = _range(days)
    around = dt.timedelta(days=REGISTER_DAYS)
    query = "select distinct meter_id from metering_finding where rule = 'VAL-15' and day between %s and %s"
    return integers(query, (low - around, high + around), 1)[0]


def stored_registers(meters: Int64, channels: Int64, first: Int64, last: Int64, *, doubted: Int64) -> list[Int64]:
    """(place in what was asked, day, register) of each meter and channel: all from its day `first` to its day `last`,
    and the nearest before and after within REGISTER_DAYS. In the order of place and day. No estimates, and none that
    disagreed with its own day's energy (VAL-15): they must not accuse what a meter really showed. That is asked only of
    the `doubted_meters` of the whole delivery."""
    if not len(meters):
        return [np.zeros(0, np.int64)] * 3
    low, high = _range(np.concatenate([first, last]))
    around = dt.timedelta(days=REGISTER_DAYS)
    doubtful = np.isin(meters, doubted)
    found = []
    for place, sound in ((np.flatnonzero(~doubtful), ""), (np.flatnonzero(doubtful), _SOUND)):
        if len(place):
            keys = [_array(column[place]) for column in (meters, channels, first, last)]
            query = _REGISTERS.format(sound=sound)
            at, day, register = integers(query, (*keys, low - around, low, high, high + around), 3)
            found.append((place[at], day, register))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return [column[order] for column in columns]


def nearest(here: Int64, stored: Int64, register: Int64) -> tuple[Int64, Int64, Int64, Int64]:
    """(day, register) of the nearest stored before, and after, each of `here`: keys of owner x DAY_SPAN + day, `stored`
    rising and none of them among `here`. UNKNOWN where there is none of the same owner."""
    unknown = np.full(len(here), UNKNOWN, np.int64)
    before_day, before, after_day, after = (unknown.copy() for _ in range(4))
    if len(stored):
        right = np.searchsorted(stored, here)
        for side, days, registers in ((right - 1, before_day, before), (right, after_day, after)):
            there = np.clip(side, 0, len(stored) - 1)
            hit = (side == there) & (stored[there] // DAY_SPAN == here // DAY_SPAN)
            days[hit], registers[hit] = stored[there[hit]] % DAY_SPAN, register[there[hit]]
    return before_day, before, after_day, after


# Asked of the few meters only that have such a day.
_SOUND = """ and not exists (select from metering_finding f where f.meter_id = k.m and f.channel = k.c
                 and f.rule = 'VAL-15' and f.day = metering_meterday.day
                 and f.revision = metering_meterday.revision)"""
_REGISTERS = """
    select n - 1, d.day - date '1970-01-01', d.register_wh
    from unnest(%s::bigint[], %s::smallint[], %s::int[], %s::int[]) with ordinality as k(m, c, first, last, n)
    cross join lateral (
        (select day, register_wh from metering_meterday
         where meter_id = k.m and channel = k.c and register_wh is not null and origin <> 2{sound} and day >= %s
             and day < date '1970-01-01' + k.first order by day desc, revision desc limit 1)
        union all
        (select distinct on (day) day, register_wh from metering_meterday
         where meter_id = k.m and channel = k.c and register_wh is not null and origin <> 2{sound}
             and day between %s and %s
             and day between date '1970-01-01' + k.first and date '1970-01-01' + k.last order by day, revision desc)
        union all
        (select day, register_wh from metering_meterday
         where meter_id = k.m and channel = k.c and register_wh is not null and origin <> 2{sound} and day <= %s
             and day > date '1970-01-01' + k.last order by day, revision desc limit 1)) d
    order by n, d.day"""


def readings_around(meters: Int64, first: Int64, last: Int64) -> list[Int64]:
    """As `stored_registers`, of what was read on the spot or came as a billing profile; days are those that began."""
    low, high = _range(np.concatenate([first, last]))
    around = dt.timedelta(days=REGISTER_DAYS)
    query = """
        select n - 1, r.day - date '1970-01-01', r.register_wh
        from unnest(%s::bigint[], %s::int[], %s::int[]) with ordinality as k(m, first, last, n)
        cross join lateral (
            (select day, register_wh from metering_reading
             where meter_id = k.m and day >= %s and day < date '1970-01-01' + k.first
             order by day desc, revision desc limit 1)
            union all
            (select distinct on (day) day, register_wh from metering_reading
             where meter_id = k.m and day between date '1970-01-01' + k.first and date '1970-01-01' + k.last
             order by day, revision desc)
            union all
            (select day, register_wh from metering_reading
             where meter_id = k.m and day <= %s and day > date '1970-01-01' + k.last
             order by day, revision desc limit 1)) r
        order by n, r.day"""
    return integers(query, (_array(meters), _array(first), _array(last), low - around, high + around), 3)


def stored_readings(meters: Int64, days: Int64) -> list[Int64]:
    """(place in what was asked, revision, register, demand or UNKNOWN) of each meter's and day's newest reading."""
    query = """
        select distinct on (n) n - 1, r.revision, r.register_wh, r.demand_w
        from unnest(%s::bigint[], %s::int[]) with ordinality as k(m, d, n)
        join metering_reading r on r.meter_id = k.m and r.day = date '1970-01-01' + k.d order by n, r.revision desc"""
    return integers(query, (_array(meters), _array(days)), 4, null=UNKNOWN)
