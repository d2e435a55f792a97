"""Green Button (NAESB ESPI 3.3): a consumer's own half-hours as a feed that other programs read.

It says Indian time, watt-hours and where each value comes from. It holds no name, address or account number.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from khata.formats.meterdays import EDITED, ESTIMATED, EXPORT, IMPORT, LONGEST_SERIAL, SUBSTITUTED

IST_S = 19_800
HALF_HOUR_S = 1_800
DAY_S = 86_400
NO_RULE = "FFFFFFFF"
QUALITIES = {ESTIMATED: 8, SUBSTITUTED: 11, EDITED: 7}  # a measured value needs none
FLOWS = {IMPORT: 1, EXPORT: 19}
NOTHING: Sequence[int] = (0,) * 48

_EPOCH = dt.date(1970, 1, 1).toordinal()
_ROOT = "/espi/1_1/resource"


def write_usage(
    *,
    meter_label: str,
    days: Iterable[tuple[dt.date, Sequence[int | None], Sequence[int] | None]],
    made: dt.datetime,
    channel: int = IMPORT,
) -> Iterator[bytes]:
    """A feed in pieces. A day is (date, 48 values in Wh, 48 origins or None); a value None is unknown and left out.

    `meter_label` names the meter in the links (mask it before); `made` is aware; `channel` is IMPORT or EXPORT.
    A day of which nothing is known is not written: no reader can tell it from a day that is not there.
    """
    if not meter_label.isascii() or not meter_label.isprintable() or not 0 < len(meter_label.strip()) <= LONGEST_SERIAL:
        raise ValueError("the label of the meter is empty, too long, or not ASCII")
    time = made.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    point = f"{_ROOT}/UsagePoint/{quote(meter_label, safe='')}"
    yield _head(meter_label, point, time)
    reading = f"{point}/MeterReading/{channel}"
    kind = f"{_ROOT}/ReadingType/{channel}"
    yield _entry("usage point", point, f"{_ROOT}/UsagePoint", time, _USAGE_POINT)
    yield _entry("time", f"{_ROOT}/LocalTimeParameters/1", f"{_ROOT}/LocalTimeParameters", time, _LOCAL_TIME)
    related = (kind, f"{reading}/IntervalBlock")
    yield _entry(
        "reading", reading, f"{point}/MeterReading", time, '<MeterReading xmlns="http://naesb.org/espi"/>', related
    )
    yield _entry("type", kind, f"{_ROOT}/ReadingType", time, _READING_TYPE % FLOWS[channel])
    for day, blocks, origins in days:
        if any(block is not None for block in blocks):
            name = f"{reading}/IntervalBlock/{day:%Y%m%d}"
            yield _entry("block", name, f"{reading}/IntervalBlock", time, _block(day, blocks, origins or NOTHING))
    yield b"</feed>\n"


def _head(label: str, point: str, time: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<id>{_id(label)}</id>\n<title>Green Button</title>\n<updated>{time}</updated>\n"
        f'<link rel="self" href={quoteattr(point)}/>\n'
    ).encode()


def _entry(title: str, name: str, up: str, time: str, content: str, related: tuple[str, ...] = ()) -> bytes:
    links = [("self", name), ("up", up), *(("related", link) for link in related)]
    lines = "".join(f'<link rel="{rel}" href={quoteattr(link)}/>\n' for rel, link in links)
    return (
        f"<entry>\n<id>{_id(name)}</id>\n{lines}<title>{title}</title>\n<content>\n{content}\n</content>\n"
        f"<published>{time}</published>\n<updated>{time}</updated>\n</entry>\n"
    ).encode()


def _block(day: dt.date, blocks: Sequence[int | None], origins: Sequence[int]) -> str:
    midnight = (day.toordinal() - _EPOCH) * DAY_S - IST_S
    lines = [_BLOCK % (DAY_S, midnight)]
    for place, (block, origin) in enumerate(zip(blocks, origins, strict=True)):
        if block is not None:
            quality = _QUALITY % QUALITIES[origin] if origin in QUALITIES else ""
            lines.append(_READING % (quality, HALF_HOUR_S, midnight + place * HALF_HOUR_S, block))
    return "".join([*lines, "</IntervalBlock>"])


def _id(name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


# The order of the elements is that of the schema.
_USAGE_POINT = (
    '<UsagePoint xmlns="http://naesb.org/espi"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>'
)
_LOCAL_TIME = (
    f'<LocalTimeParameters xmlns="http://naesb.org/espi"><dstEndRule>{NO_RULE}</dstEndRule><dstOffset>0</dstOffset>'
    f"<dstStartRule>{NO_RULE}</dstStartRule><tzOffset>{IST_S}</tzOffset></LocalTimeParameters>"
)
_READING_TYPE = (
    '<ReadingType xmlns="http://naesb.org/espi"><accumulationBehaviour>4</accumulationBehaviour>'
    "<commodity>1</commodity><flowDirection>%d</flowDirection>"
    f"<intervalLength>{HALF_HOUR_S}</intervalLength><kind>12</kind>"
    "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom></ReadingType>"
)
_BLOCK = '<IntervalBlock xmlns="http://naesb.org/espi"><interval><duration>%d</duration><start>%d</start></interval>\n'
_QUALITY = "<ReadingQuality><quality>%d</quality></ReadingQuality>"
_READING = (
    "<IntervalReading>%s<timePeriod><duration>%d</duration><start>%d</start></timePeriod>"
    "<value>%d</value></IntervalReading>\n"
)
