"""Green Button (NAESB ESPI 3.3): a feed of a meter's intervals, read exactly.

A reading stands at its START in UTC; its day is the feed's own local day. Without LocalTimeParameters an interval block
that lasts a day says where its day begins. Days of 23 and 25 hours have no 48 half-hours and are refused (VAL-06).
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import unquote

from khata.formats.day_rows import Rows
from khata.formats.dlms import Kind, Meaning, bad, nano, scaler_power
from khata.formats.espi_time import DAY_S, Zone, block_zone, read_zone
from khata.formats.espi_write import write_usage
from khata.formats.gathered import MIDNIGHT, Day, add_day
from khata.formats.meterdays import (
    ACTUAL,
    APPARENT_EXPORT,
    APPARENT_IMPORT,
    CUT_OFF,
    EDITED,
    ESTIMATED,
    EXPORT,
    IMPORT,
    SUBSTITUTED,
    Batch,
)
from khata.formats.meterdays_cells import RowError, plain_serial
from khata.formats.text import FormatError, shown
from khata.formats.xmlsafe import CutOffError, Node, trees

__all__ = ["read_espi", "write_usage"]

ATOM, ESPI = "http://www.w3.org/2005/Atom", "http://naesb.org/espi"
UNITS = {"72": "wh", "71": "vah"}
CHANNELS = {  # unit, direction of flow; 0 is "not applicable": what is delivered
    ("72", "0"): IMPORT,
    ("72", "1"): IMPORT,
    ("72", "19"): EXPORT,
    ("71", "0"): APPARENT_IMPORT,
    ("71", "1"): APPARENT_IMPORT,
    ("71", "19"): APPARENT_EXPORT,
}
DIFFERENCES = ("0", "4")  # accumulation behaviours of which a value is the energy of its own interval
ELECTRICITY = ("0", "1")

# What is not plainly measured may be replaced by a measured value, so it counts as estimated.
QUALITIES = {
    "0": ACTUAL,  # valid
    "7": EDITED,
    "8": ESTIMATED,
    "9": ESTIMATED,
    "10": ESTIMATED,  # questionable
    "11": SUBSTITUTED,  # derived
    "12": ESTIMATED,  # projected
    "13": ESTIMATED,  # mixed
    "14": ACTUAL,  # raw
    "15": ESTIMATED,  # normalised for weather
    "16": ESTIMATED,  # other
    "17": ACTUAL,  # validated
    "18": ACTUAL,  # verified
    "19": ACTUAL,  # revenue quality
}
MOST_OPEN_DAYS = 400
MOST_TYPES = 10_000

_NUMBER = re.compile(r"-?[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True)
class _Type:
    meaning: Meaning
    power: int
    interval_s: int | None
    quality: int


@dataclass
class _Open:
    day: Day
    length_s: int
    duration_s: int
    types: set[int] = field(default_factory=set)


def read_espi(file: BinaryIO, *, meter: str = "") -> Iterator[Batch]:
    """Batches of meter days. FormatError where it is no Green Button feed, or is not safe to read.

    The meter number is what follows `UsagePoint/` in the links; in a feed without links `meter`, or the feed's own id.
    """
    reader = _Reader(meter)
    try:
        for node in trees(file, container="feed", spaces=(ATOM, ESPI), awaited="IntervalReading"):
            reader.node(node)
            yield from reader.rows.full()
    except CutOffError as cut:
        error = RowError(CUT_OFF, next_step="Ask the sender for it again")
        reader.rows.refuse(cut.line, error, serial=reader.last)
    if not reader.found and not reader.rows.has_refused:
        raise FormatError("this XML is not a Green Button feed", next_step="Send the feed with its interval blocks")
    reader.close(0)
    yield from reader.rows.rest()


class _Reader:
    def __init__(self, meter: str) -> None:
        self.meter, self.feed_id, self.last = meter, "", b""
        self.rows = Rows()
        self.zone: Zone | None = None
        self.types: dict[str, _Type | RowError] = {}
        self.type_of: dict[tuple[str, str], str] = {}  # of a usage point's meter reading
        self.open: dict[tuple[bytes, int, dt.date], _Open] = {}
        self.found = False

    def node(self, node: Node) -> None:
        """An entry of the feed, or a bare resource."""
        if node.name == "entry":
            links = [link.attributes.get("href", "") for link in node.children if link.name == "link"]
            content = node.child("content")
            for resource in content.children if content else []:
                self._resource(resource, links)
        elif node.name == "id":
            self.feed_id = node.text.strip().removeprefix("urn:uuid:")
        else:
            self._resource(node, [])

    def _resource(self, node: Node, links: list[str]) -> None:
        point, reading = _after(links, "UsagePoint"), _after(links, "MeterReading")
        if node.name == "LocalTimeParameters":
            self.zone = read_zone(node)
        elif node.name == "ReadingType" and len(self.types) < MOST_TYPES:
            self.types[_after(links, "ReadingType")] = _type(node)
        elif node.name == "MeterReading" and len(self.type_of) < MOST_TYPES:
            self.type_of[point, reading] = _after(links, "ReadingType")
        elif node.name == "IntervalBlock":
            self._block(node, point, reading)
        self.found = self.found or node.name in (
            "LocalTimeParameters",
            "ReadingType",
            "MeterReading",
            "IntervalBlock",
            "UsagePoint",
        )

    def _block(self, node: Node, point: str, reading: str) -> None:
        serial = b""
        try:
            serial = self.last = plain_serial(unquote(point) or self.meter or self.feed_id)
            kind = self._type(point, reading)
            block_start, length = _whole(node, "interval", "start"), _whole(node, "interval", "duration")
            zone = self.zone if self.zone and self.zone.said else block_zone(block_start, length, self.zone)
            self.zone = zone
        except FormatError as error:
            self.rows.refuse(node.line, error, serial=serial)
            return
        readings = [child for child in node.children if child.name == "IntervalReading"]
        for place, single in enumerate(readings):
            try:
                self._reading(single, serial, kind, zone, block_start, place)
            except FormatError as error:
                self.rows.refuse(single.line, error, serial=serial)
        self.close(MOST_OPEN_DAYS)

    def _type(self, point: str, reading: str) -> _Type:
        kind = self.types.get(self.type_of.get((point, reading), ""))
        if kind is None and len(self.types) == 1:
            (kind,) = self.types.values()
        if kind is None:
            raise bad("VAL-12", "no ReadingType of this block stands before it")
        if isinstance(kind, RowError):
            raise kind
        return kind

    def _reading(self, node: Node, serial: bytes, kind: _Type, zone: Zone, block_start: int | None, place: int) -> None:
        start, duration = _whole(node, "timePeriod", "start"), _whole(node, "timePeriod", "duration")
        duration = duration if duration is not None else kind.interval_s
        if duration is None or not 0 < duration <= 2 * DAY_S:
            raise bad("VAL-06", "a reading does not say how long it lasts")
        if start is None:
            start = None if block_start is None else block_start + place * duration
        if start is None:
            raise bad("VAL-08", "a reading does not say when it begins")
        date, begins, length_s = zone.day(start)
        open_day = self.open.get((serial, kind.meaning.channel, date))
        if open_day is None:
            open_day = _Open(Day(node.line), length_s, duration)
            self.open[serial, kind.meaning.channel, date] = open_day
        said = node.said("value")
        if not said:
            return
        try:
            if duration != open_day.duration_s:
                raise bad("VAL-06", f"intervals of {open_day.duration_s} s and of {duration} s in one day")
            minute, seconds = divmod(begins + duration, 60)
            if minute > MIDNIGHT and open_day.length_s == DAY_S:
                raise bad("VAL-06", "an interval reaches beyond its day")
            quality = _quality(node, kind.quality)
            open_day.day.put(kind.meaning, minute, seconds, nano(said, kind.power), quality)
        except FormatError as error:
            open_day.day.spoil(kind.meaning.channel, error, said)

    def close(self, most: int) -> None:
        """Hands on the days that were seen first, until at most `most` are open."""
        while len(self.open) > most:
            key = next(iter(self.open))
            (serial, channel, date), found = key, self.open.pop(key)
            if found.length_s != DAY_S:
                wrong = f"a day of {found.length_s // 3600} hours has no 48 half-hours"
                found.day.spoil(channel, bad("VAL-06", wrong), "")
            found.day.blocks.setdefault(channel, {})
            add_day(self.rows, serial, date, found.day, found.duration_s, drift_s=None, multiplier=0)


def _after(links: list[str], name: str) -> str:
    """What follows `name/` in the links of an entry."""
    for link in links:
        before, found, after = link.partition(f"{name}/")
        if found and (not before or before.endswith("/")) and after:
            return after.partition("/")[0]
    return ""


def _type(node: Node) -> _Type | RowError:
    """The error stays with the type until a block needs it."""
    try:
        unit, flow = node.said("uom") or "", node.said("flowDirection") or "0"
        if (node.said("commodity") or "0") not in ELECTRICITY or (unit, flow) not in CHANNELS:
            raise bad("VAL-12", f"the unit {shown(unit)} with flow direction {shown(flow)} is not energy in or out")
        accumulation = node.said("accumulationBehaviour") or "0"
        if accumulation not in DIFFERENCES:
            raise bad("VAL-12", f"the accumulation behaviour {shown(accumulation)} is not the energy of an interval")
        meaning = Meaning(Kind.BLOCK, (UNITS[unit],), CHANNELS[unit, flow])
        power = scaler_power(node.said("powerOfTenMultiplier") or "0")
        return _Type(meaning, power, _whole(node, "intervalLength"), _code(node.said("defaultQuality") or "0"))
    except RowError as error:
        return error


def _quality(node: Node, usual: int) -> int:
    """The first that is not plainly measured, where several are said."""
    found = [_code(child.said("quality") or "") for child in node.children if child.name == "ReadingQuality"]
    return next((quality for quality in found if quality != ACTUAL), ACTUAL if found else usual)


def _code(text: str) -> int:
    if text not in QUALITIES:
        raise bad("VAL-08", f"the quality {shown(text)} is not one of ESPI")
    return QUALITIES[text]


def _whole(node: Node, *path: str) -> int | None:
    text = node.said(*path)
    if text is None or not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise bad("VAL-08", f"{path[-1]} {shown(text)} is not a whole number")
    return int(text)
