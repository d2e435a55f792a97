"""Green Button: the published feeds are read exactly, one's own data come back as they were, and XML can do no harm."""

import datetime as dt
import gzip
import io
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats import espi_time, xmlsafe
from khata.formats.espi import read_espi, write_usage
from khata.formats.meterdays import (
    ACTUAL,
    APPARENT_EXPORT,
    EDITED,
    ESTIMATED,
    EXPORT,
    IMPORT,
    SUBSTITUTED,
    UNKNOWN_WH,
    MeterDayBatch,
    Refused,
)
from khata.formats.text import FormatError

SAMPLES = Path(__file__).parents[5] / "shared/data/interchange/espi"
ESPI = "{http://naesb.org/espi}"
NOON = dt.datetime(2024, 6, 2, 12, tzinfo=dt.UTC)
DAY = dt.date(2024, 5, 31)
MIDNIGHT = 1717093800  # of that day, Indian time

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the folder with published feeds is not here")


def sample(name: str) -> bytes:
    raw = (SAMPLES / name).read_bytes()
    return gzip.decompress(raw) if name.endswith(".gz") else raw


def read(raw: bytes, meter: str = "") -> tuple[list[MeterDayBatch], list[Refused]]:
    batches = [batch for batch in read_espi(io.BytesIO(raw), meter=meter) if isinstance(batch, MeterDayBatch)]
    return [batch for batch in batches if len(batch)], [r for batch in batches for r in batch.refused]


def days(raw: bytes, meter: str = "") -> MeterDayBatch:
    (batch,), refused = read(raw, meter)
    assert not refused
    return batch


def written(
    *days: tuple[dt.date, Sequence[int | None], Sequence[int] | None], label: str = "KE1", **more: Any
) -> bytes:
    return b"".join(write_usage(meter_label=label, days=days, made=NOON, **more))


WHOLE = list(range(100, 148))
FEED = written((DAY, WHOLE, None))


def counted(raw: bytes, offset: Callable[[int], int]) -> dict[dt.date, list[tuple[int, int]]]:
    """Each local day's (seconds since its midnight, value), by another parser."""
    out = defaultdict(list)
    for reading in ET.fromstring(raw).iter(f"{ESPI}IntervalReading"):
        start = int(reading.findtext(f"{ESPI}timePeriod/{ESPI}start") or "")
        date, second = divmod(start + offset(start), 86_400)
        out[dt.date(1970, 1, 1) + dt.timedelta(days=date)].append((second, int(reading.findtext(f"{ESPI}value") or "")))
    return out


@needs_samples
@pytest.mark.parametrize("name", ["usage_feed_small.xml", "usage_feed_large.xml.gz"])
def test_the_quarter_hours_of_the_published_feeds_add_up(name: str) -> None:
    raw = sample(name)
    (batch,), refused = read(raw)
    expected = counted(raw, lambda start: -18_000 + (3_600 if start >= 1331449200 else 0))  # 11 March 2012, 2 o'clock
    short = dt.date(2012, 3, 11)
    assert [(r.rule, r.day) for r in refused] == ([("VAL-06", short)] if short in expected else [])
    assert batch.days.tolist() == sorted(expected.keys() - {short})
    assert batch.blocks is not None and batch.known is not None
    for row, day in enumerate(batch.days.tolist()):
        halves: dict[int, list[int]] = defaultdict(list)
        for second, value in expected[day]:
            halves[second // 1800].append(value)
        assert batch.blocks[row].tolist() == [sum(halves[n]) if len(halves[n]) == 2 else UNKNOWN_WH for n in range(48)]
        assert not batch.total_known[row] or batch.total_wh[row] == sum(value for _, value in expected[day])
    assert batch.origins is not None and batch.origins[0].tolist() == [ESTIMATED] + [ACTUAL] * 47
    assert set(batch.serials.tolist()) == {b"5446AF3F"}


@needs_samples
def test_a_year_of_hours_is_read_exactly_and_its_missing_hours_are_unknown() -> None:
    raw = sample("sdge_hourly_year.xml.gz")
    (batch,), refused = read(raw)
    assert sum(map(len, counted(raw, lambda _: 0).values())) == 8_727
    summer = range(1300010400, 1320570000)  # 13 March 2 o'clock to 6 November 1 o'clock, standard time
    expected = counted(raw, lambda start: -28_800 + (3_600 if start in summer else 0))
    march, november, hole = dt.date(2011, 3, 13), dt.date(2011, 11, 6), dt.date(2011, 2, 8)
    assert sorted((r.rule, r.day) for r in refused) == [("VAL-06", march), ("VAL-06", november)]
    assert batch.days.tolist() == sorted(expected.keys() - {march, november}) and len(batch) == 362
    totals = dict(zip(batch.days.tolist(), batch.total_wh.tolist(), strict=True))
    assert totals.pop(hole) == UNKNOWN_WH and len(expected[hole]) == 16
    assert totals == {day: sum(value for _, value in expected[day]) for day in totals}
    assert batch.known is not None and not batch.known.any()


VALUES = st.lists(st.integers(0, 2**31 - 1) | st.none(), min_size=48, max_size=48)
ORIGINS = st.lists(st.sampled_from([ACTUAL, ESTIMATED, SUBSTITUTED, EDITED]), min_size=48, max_size=48)


@settings(max_examples=25)
@given(
    st.dictionaries(st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1)), st.tuples(VALUES, ORIGINS), max_size=4),
    st.text("ABC019-/ &<\"'%", min_size=1, max_size=40).filter(str.strip),
    st.sampled_from([IMPORT, EXPORT]),
)
def test_what_is_written_comes_back(
    usage: dict[dt.date, tuple[list[int | None], list[int]]], label: str, channel: int
) -> None:
    raw = written(*((day, *said) for day, said in usage.items()), label=label, channel=channel)
    batches, refused = read(raw)
    back = {}
    for batch in batches:
        assert batch.blocks is not None and batch.origin is not None and batch.channel is not None
        assert set(batch.channel.tolist()) == {channel} and set(batch.serials.tolist()) == {label.strip(" ").encode()}
        for row, day in enumerate(batch.days.tolist()):
            marks = batch.origins[row] if batch.origins is not None else np.full(48, batch.origin[row])
            blocks = [None if block == UNKNOWN_WH else block for block in batch.blocks[row].tolist()]
            back[day] = (blocks, [int(mark) for mark in marks])
    expected = {
        day: (blocks, [mark if block is not None else 0 for block, mark in zip(blocks, origins, strict=True)])
        for day, (blocks, origins) in usage.items()
        if any(block is not None for block in blocks)
    }
    for blocks, marks in back.values():
        marks[:] = [mark if block is not None else 0 for block, mark in zip(blocks, marks, strict=True)]
    assert back == expected and not refused


def test_the_feed_says_nothing_of_the_person_and_is_made_the_same_way_each_time() -> None:
    assert written((DAY, WHOLE, None)) == FEED
    words = set(re.findall(r"[a-zA-Z]+", re.sub(r"<[^>]*>|urn:uuid:[-0-9a-f]+|[0-9TZ:-]{20}", " ", FEED.decode())))
    assert words == {"Green", "Button", "usage", "point", "time", "reading", "type", "block", "FFFFFFFF"}
    for label in ("", " ", "मीटर", "x" * 41, "a\nb"):
        with pytest.raises(ValueError, match="label"):
            written((DAY, WHOLE, None), label=label)


ORDER = {  # of the children in the schema
    "LocalTimeParameters": ["dstEndRule", "dstOffset", "dstStartRule", "tzOffset"],
    "ReadingType": [
        "accumulationBehaviour",
        "commodity",
        "flowDirection",
        "intervalLength",
        "kind",
        "powerOfTenMultiplier",
        "uom",
    ],
    "IntervalReading": ["ReadingQuality", "timePeriod", "value"],
    "timePeriod": ["duration", "start"],
    "interval": ["duration", "start"],
    "UsagePoint": ["ServiceCategory"],
}


def test_elements_stand_in_the_order_of_the_schema() -> None:
    root = ET.fromstring(written((DAY, WHOLE, [ESTIMATED] * 48)))
    seen = set()
    for element in root.iter():
        name = element.tag.removeprefix(ESPI)
        if name in ORDER:
            assert [child.tag.removeprefix(ESPI) for child in element] == ORDER[name]
            seen.add(name)
    assert seen == ORDER.keys()


@needs_samples
def test_the_order_in_this_test_is_that_of_the_schema() -> None:
    space = "{http://www.w3.org/2001/XMLSchema}"
    schema = ET.parse(SAMPLES / "usage.xsd").getroot()
    names = {
        "LocalTimeParameters": "TimeConfiguration",
        "timePeriod": "DateTimeInterval",
        "interval": "DateTimeInterval",
    }
    for name, order in ORDER.items():
        (kind,) = (t for t in schema.iter(f"{space}complexType") if t.get("name") == names.get(name, name))
        all_names = [element.get("name") or "" for element in kind.iter(f"{space}element")]
        places = [all_names.index(child) for child in order]
        assert places == sorted(places)


@needs_samples
def test_the_feed_validates_against_the_schema() -> None:
    xmlschema = pytest.importorskip("xmlschema")
    schema = xmlschema.XMLSchema(str(SAMPLES / "usage.xsd"))
    root = ET.fromstring(written((DAY, WHOLE, [ESTIMATED] * 48)))
    contents = [child for content in root.iter("{http://www.w3.org/2005/Atom}content") for child in content]
    assert len(contents) == 5
    for content in contents:
        schema.validate(content)


def changed(*pairs: tuple[str, str]) -> bytes:
    text = FEED.decode()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def test_the_power_of_ten_and_the_unit_count() -> None:
    assert days(changed(("<powerOfTenMultiplier>0", "<powerOfTenMultiplier>3"))).total_wh.tolist() == [
        sum(WHOLE) * 1000
    ]
    tenths = days(changed(("<powerOfTenMultiplier>0", "<powerOfTenMultiplier>-1")))
    assert tenths.blocks is not None and tenths.blocks[0].tolist() == [(value + 5) // 10 for value in WHOLE]
    apparent = days(changed(("<uom>72", "<uom>71"), ("<flowDirection>1", "<flowDirection>19")))
    assert apparent.channel is not None and apparent.channel.tolist() == [APPARENT_EXPORT]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("<uom>72", "<uom>38", "VAL-12"),
        ("<flowDirection>1", "<flowDirection>4", "VAL-12"),
        ("<commodity>1", "<commodity>7", "VAL-12"),
        ("<powerOfTenMultiplier>0", "<powerOfTenMultiplier>12", "VAL-12"),
        ("<accumulationBehaviour>4", "<accumulationBehaviour>3", "VAL-12"),
        ("<value>100<", "<value>-1<", "VAL-07"),
        ("<value>100<", "<value>९<", "VAL-08"),
        ("<value>100<", "<value>1 0<", "VAL-08"),
        ("<value>100<", "<value>9999999999<", "VAL-05"),
        ("<duration>1800", "<duration>1200", "VAL-06"),
        (f"<start>{MIDNIGHT + 1800}<", f"<start>{MIDNIGHT}<", "VAL-06"),
        (f"<start>{MIDNIGHT + 1800}<", f"<start>{MIDNIGHT + 1801}<", "VAL-06"),
        (f"<start>{MIDNIGHT + 1800}<", "<start>soon<", "VAL-08"),
        (f"<start>{MIDNIGHT + 1800}<", "<start>999999999999999<", "VAL-08"),
        ("<ReadingType xmlns", "<Other xmlns", "VAL-12"),
    ],
)
def test_what_is_wrong_is_refused_under_its_rule(old: str, new: str, rule: str) -> None:
    raw = changed((old, new))
    raw = raw.replace(b"</ReadingType>", b"</Other>") if b"<Other" in raw else raw
    _, refused = read(raw)
    assert {r.rule for r in refused} == {rule} and all(r.serial == "KE1" and r.reason.endswith(".") for r in refused)


def test_a_missing_half_hour_is_unknown_and_a_second_equal_one_is_the_same() -> None:
    reading = re.search(r"<IntervalReading>.*?</IntervalReading>", FEED.decode(), re.DOTALL)
    assert reading
    batch = days(FEED.replace(reading[0].encode(), b"", 1))
    assert batch.known is not None and batch.known[0].tolist() == [False] + [True] * 47 and not batch.total_known[0]
    assert days(FEED.replace(reading[0].encode(), reading[0].encode() * 2, 1)).total_known.all()


def test_one_resource_without_a_feed_needs_a_number_from_outside() -> None:
    text = FEED.decode()
    block = text[text.index("<IntervalBlock ") : text.index("</IntervalBlock>") + 16].encode()
    _, refused = read(block, "KE7")  # no reading type: nothing says what was counted
    assert [r.rule for r in refused] == ["VAL-12"]
    assert [r.rule for r in read(block)[1]] == ["VAL-08"]


@pytest.mark.parametrize("cut", [0.4, 0.7, 0.999])
def test_a_feed_that_is_cut_off_keeps_its_complete_days(cut: float) -> None:
    raw = written(*((DAY + dt.timedelta(days=n), WHOLE, None) for n in range(10)))
    batches, refused = read(raw[: int(len(raw) * cut)])
    complete = raw[: int(len(raw) * cut)].count(b"</IntervalBlock>\n</content>\n<published>")
    rows = sum(map(len, batches))
    assert complete - 1 <= rows <= complete and rows > 0 and all(batch.total_known.all() for batch in batches)
    assert [(r.rule, "in the middle" in r.reason) for r in refused] == [("VAL-08", True)]


BOMB = '<!DOCTYPE feed [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
OPEN = '<feed xmlns="http://www.w3.org/2005/Atom">'


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"{BOMB}{OPEN}<id>&b;</id></feed>", "DOCTYPE"),
        (f'<!DOCTYPE feed SYSTEM "file:///etc/passwd">{OPEN}</feed>', "DOCTYPE"),
        (OPEN + "<a>" * 50, "nested"),
        (f"{OPEN}<id>{'x' * 70_000}</id></feed>", "text is longer"),
        (f"{OPEN}<id {' '.join(f'a{n}=' + chr(34) * 2 for n in range(40))}/></feed>", "attributes"),
        (f'{OPEN}<id a="{"x" * 70_000}"/></feed>', "attributes"),
        (f'{OPEN}<id a="{"x" * (3 << 20)}"/></feed>', "tag or comment"),
        (f"{OPEN}<!--{'x' * (3 << 20)}--></feed>", "tag or comment"),
        (f"{OPEN}{'<?a b?>' * 9}</feed>", "instructions"),
        (f"{OPEN}<id>&b;</id></feed>", "well-formed"),
        (f"{OPEN}</wrong>", "well-formed"),
        ("", "well-formed"),
        ("meter,day,kwh\n", "well-formed"),
        (OPEN + "</feed>", "not a Green Button"),
        ("<html/>", "not a Green Button"),
        ('<?xml version="1.0" encoding="no-such-code"?><feed/>', "not a Green Button"),
    ],
)
def test_xml_that_is_no_feed_or_not_safe_is_refused_as_a_whole(text: str, wrong: str) -> None:
    with pytest.raises(FormatError, match=wrong) as error:
        read(text.encode())
    assert error.value.next_step


def test_an_entry_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmlsafe, "MOST_NODES", 1_000)
    with pytest.raises(FormatError, match="elements"):
        read(f"{OPEN}<entry>{'<link/>' * 2_000}</entry></feed>".encode())
    many = written(*((DAY + dt.timedelta(days=n), WHOLE, None) for n in range(10)))
    assert len(days(many)) == 10  # the cap is one entry's, not the feed's


def zoned(rules: str, start: int) -> bytes:
    return re.sub(
        rb"<dstEndRule>.*</tzOffset>", rules.encode(), FEED.replace(str(MIDNIGHT).encode(), str(start).encode())
    )


@pytest.mark.parametrize(
    ("rule", "moment"),
    [  # operator, day, weekday and hour as the schema describes them
        (13 << 28 | 4 << 25 | 5 << 17, None),
        (3 << 28 | 4 << 25 | 5 << 17 | 1 << 12 | 2700, "2024-03-15T01:45:00"),  # third Friday: the schema's example
        (0x360E2000, "2024-03-10T02:00:00"),  # second Sunday
        (10 << 28 | 7 << 25 | 7 << 17 | 3 << 12, "2024-10-27T03:00:00"),  # last Sunday
        (11 << 28 | 1 << 25 | 1 << 20 | 7 << 17 | 2 << 12, "2024-11-03T02:00:00"),  # Sunday on or after the 1st
        (4 << 28 | 0 << 25 | 7 << 20, "2024-04-07T00:00:00"),  # the 7th
    ],
)
def test_the_rules_of_summer_time(rule: int, moment: str | None) -> None:
    assert espi_time.is_rule(rule) == (moment is not None)
    if moment:
        assert espi_time.moment(rule, 2024) == dt.datetime.fromisoformat(f"{moment}+00:00").timestamp()


def test_summer_time_of_both_halves_of_the_earth() -> None:
    north = espi_time.Zone(-18_000, True, 3_600, 0x360E2000, 0xB40E2000)
    south = espi_time.Zone(
        36_000, True, 3_600, 10 << 28 | 2 << 25 | 7 << 17 | 2 << 12, 4 << 28 | 2 << 25 | 7 << 17 | 3 << 12
    )
    lengths = {
        zone: {date: length for n in range(17_000, 17_366) for date, _, length in [zone.day(n * 86_400 + 43_200)]}
        for zone in (north, south)
    }
    odd = [
        [(str(day), length // 3600) for day, length in lengths[zone].items() if length != 86_400]
        for zone in (north, south)
    ]
    assert odd == [
        [("2016-11-06", 25), ("2017-03-12", 23)],
        [("2016-10-02", 23), ("2017-04-02", 25)],
    ]


@pytest.mark.parametrize("broken", ["<tzOffset>x</tzOffset>", "<tzOffset>999999</tzOffset>", "<tzOffset/>"])
def test_without_a_time_zone_the_block_of_a_day_tells_it(broken: str) -> None:
    assert days(zoned(broken, MIDNIGHT)).days.tolist() == [DAY]
    _, refused = read(zoned(broken, MIDNIGHT).replace(b"<duration>86400", b"<duration>7200"))
    assert {r.rule for r in refused} == {"VAL-09"}
