"""Deliveries with all that a head-end knows: channels, registers, origins, readings; and who may send what."""

import datetime as dt
import itertools
from dataclasses import replace

import numpy as np
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khata.discoms.models import Discom
from khata.formats.meterdays import ESTIMATED, EXPORT, IMPORT, Refused
from khata.metering.models import Delivery, Feed, Finding, Meter, MeterDay, Quarantine, Reading, Usual
from khata.metering.operations import sender_coded
from khata.metering.queries import UnknownDeliveryError, deliveries, delivery, findings_of, quarantined
from tests.database import Database
from tests.metering.made import TODAY, Said, batch, counts, deliver, readings, send

DAY, NEXT = "2024-06-01", "2024-06-02"
FLAT = [100] * 48


@pytest.fixture
def meters(database: Database) -> list[Meter]:
    """M-1 to M-3."""
    company = Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    return [Meter.objects.create(serial=f"M-{number}", discom=company, smart=True) for number in (1, 2, 3)]


def newest(day: str = DAY, channel: int = IMPORT, serial: str = "M-1") -> MeterDay:
    return MeterDay.objects.filter(meter__serial=serial, day=day, channel=channel).order_by("revision").last()  # type: ignore[return-value]


def rules() -> list[tuple[str, str]]:
    return list(Quarantine.objects.order_by("line").values_list("rule", "owner"))


# -- merging -----------------------------------------------------------------------------------------------------------


def test_channels_of_a_day_are_kept_apart(meters: list[Meter]) -> None:
    received = deliver(Said("M-1", DAY, FLAT), Said("M-1", DAY, [7] * 48, channel=EXPORT))
    assert counts(received) == (2, 2, 0, 0, 0)
    assert (newest().total_wh, newest(channel=EXPORT).total_wh) == (4800, 336)


def test_rows_that_complete_each_other_are_one_day(meters: list[Meter]) -> None:
    """A load survey and a daily profile of the same day, as head-ends send them."""
    received = deliver(Said("M-1", DAY, FLAT), Said("M-1", DAY, register=50_000, demand=900))
    assert counts(received) == (2, 1, 1, 0, 0)
    day = newest()
    assert (day.revision, day.total_wh, day.register_wh, day.demand_w, day.known) == (0, 4800, 50_000, 900, 48)


def test_a_register_does_not_make_estimated_half_hours_measured(meters: list[Meter]) -> None:
    rows = [Said("M-1", DAY, FLAT, origin=ESTIMATED), Said("M-1", DAY, register=50_000)]
    deliver(*rows)
    for row in rows:
        deliver(replace(row, serial="M-2"))
    together, apart = newest(), newest(serial="M-2")
    assert (together.origin, together.known, together.register_wh) == (2, 0, 50_000)
    assert (together.origin, together.known) == (apart.origin, apart.known)


def test_a_row_with_half_a_character_goes_into_quarantine(meters: list[Meter]) -> None:
    """JSON can name half of a pair of surrogates, which no database takes."""
    odd = Refused(
        7, "VAL-08", "the number \ud800 cannot be read", serial="\udfff", content='{"serialNumber": "\ud800"}'
    )
    received = send([batch([Said("M-1", DAY, FLAT)], refused=(odd,))], b"odd")
    assert counts(received) == (2, 1, 0, 0, 1)


def test_what_was_measured_follows_an_estimate_and_never_the_other_way(meters: list[Meter]) -> None:
    deliver(Said("M-1", DAY, [90] * 48, origin=ESTIMATED))
    assert (newest().origin, newest().known) == (2, 0)
    assert counts(deliver(Said("M-1", DAY, [100, *[None] * 47]))) == (1, 0, 0, 1, 0)
    day = newest()
    assert (day.origin, day.known, day.origins, day.total_wh) == (2, 1, "A" + "E" * 47, 90 * 47 + 100)
    assert counts(deliver(Said("M-1", DAY, FLAT))) == (1, 0, 0, 1, 0)
    assert (newest().origin, newest().known, newest().origins, newest().total_wh) == (1, 48, None, 4800)
    assert counts(deliver(Said("M-1", DAY, [91] * 48, origin=ESTIMATED))) == (1, 0, 1, 0, 0)


def test_the_total_of_a_day_with_a_register_alone_is_told_from_the_day_before(meters: list[Meter]) -> None:
    deliver(Said("M-1", DAY, register=50_000))
    assert newest().total_wh is None
    deliver(Said("M-1", NEXT, register=54_800))
    assert newest(NEXT).total_wh == 4800


def test_a_register_that_comes_late_tells_the_total_of_the_day_after(meters: list[Meter]) -> None:
    deliver(Said("M-1", NEXT, register=54_800))
    received = deliver(Said("M-1", DAY, register=50_000))
    assert counts(received) == (1, 1, 0, 0, 0)
    assert (newest(NEXT).revision, newest(NEXT).total_wh, newest(NEXT).delivery) == (1, 4800, received.delivery.id)
    deliver(Said("M-1", DAY, register=50_300))
    assert (newest(NEXT).revision, newest(NEXT).total_wh) == (2, 4500)


def test_a_register_rolls_over(meters: list[Meter]) -> None:
    Meter.objects.create(serial="M-5", discom=meters[0].discom, smart=True, register_digits=5)
    deliver(Said("M-5", DAY, register=99_998_000), Said("M-5", NEXT, register=3_000))
    assert newest(NEXT, serial="M-5").total_wh == 5_000
    assert [noted.rule for noted in findings_of(Delivery.objects.get(), first=1)] == ["VAL-14"]


def test_where_there_was_no_supply_stays(meters: list[Meter]) -> None:
    deliver(Said("M-1", DAY, FLAT, off=0b11))
    assert counts(deliver(Said("M-1", DAY, FLAT))) == (1, 0, 1, 0, 0)
    assert newest().off == 0b11


def test_readings_become_readings(meters: list[Meter]) -> None:
    assert counts(send([readings(("M-1", DAY, 5_000, 300), ("M-9", DAY, 1, 1))], b"1")) == (2, 1, 0, 0, 1)
    assert counts(send([readings(("M-1", DAY, 5_000, -1))], b"2")) == (1, 0, 1, 0, 0)
    assert counts(send([readings(("M-1", DAY, 5_100, 300))], b"3")) == (1, 0, 0, 1, 0)
    kept = Reading.objects.order_by("revision").values_list("revision", "register_wh", "demand_w", "source")
    assert list(kept) == [(0, 5_000, 300, "billing profile"), (1, 5_100, 300, "billing profile")]
    assert counts(send([readings(("M-2", "2024-06-10", 1, 1), ("M-2", "2024-06-11", 1, 1))], b"4")) == (2, 1, 0, 0, 1)


# -- what is not stored ------------------------------------------------------------------------------------------------


def test_late_days_are_taken_up_to_the_limit_and_as_history_beyond(meters: list[Meter]) -> None:
    limit = TODAY - dt.timedelta(days=45)
    rows = [Said("M-1", str(day), total=1) for day in (limit, limit - dt.timedelta(days=1))]
    assert counts(deliver(*rows)) == (2, 1, 0, 0, 1)
    assert rules() == [("VAL-04", "sender")]
    assert counts(deliver(rows[1], Said("M-1", "1999-12-31", total=1), history=True)) == (2, 1, 0, 0, 1)


def test_days_that_another_sender_owes_are_not_taken(meters: list[Meter]) -> None:
    owes = {meters[0]: ("2024-06-01", "theirs"), meters[1]: ("2024-06-02", "theirs"), meters[2]: ("2024-06-01", "ours")}
    for meter, (day, code) in owes.items():
        Feed.objects.create(meter=meter, from_date=day, sender=sender_coded(code))
    rows = [Said(f"M-{number}", DAY, total=1) for number in (1, 2, 3)]
    assert counts(deliver(*rows, sender="ours")) == (3, 2, 0, 0, 1)
    assert rules() == [("VAL-10", "metering")]
    Feed.objects.create(meter=meters[0], from_date="2024-06-01", revision=1, sender=None)
    assert counts(deliver(*rows, sender="ours")) == (3, 1, 2, 0, 0)  # judged again, because one had failed


def test_a_meter_at_two_connections_is_for_the_division(meters: list[Meter]) -> None:
    usual = {"made_on": DAY, "days": 0, "total_wh": -1, "peak_wh": -1, "zero_days": 0, "load_w": 1000}
    Usual.objects.create(meter=meters[0], hangs=2, **usual)
    Usual.objects.create(meter=meters[1], hangs=1, **usual)
    assert counts(deliver(Said("M-1", DAY, total=1), Said("M-2", DAY, total=1))) == (2, 1, 0, 0, 1)
    assert rules() == [("VAL-11", "division")]


def test_a_register_below_an_earlier_one_is_not_stored_and_its_numbers_are_kept(meters: list[Meter]) -> None:
    deliver(Said("M-1", DAY, register=50_000))
    assert counts(deliver(Said("M-1", NEXT, register=40_000), Said("M-1", NEXT, register=40_000))) == (2, 0, 0, 0, 2)
    row = Quarantine.objects.first()
    assert row is not None
    assert (row.rule, row.owner, "50000" in row.content) == ("VAL-13", "metering", True)


def test_what_a_reader_refuses_is_a_row_of_the_delivery(meters: list[Meter]) -> None:
    refused = Refused(7, "VAL-08", "no day", serial="M-1", content="M-1,?,1")
    received = deliver(Said("M-1", DAY, total=1), refused=(refused,))
    assert counts(received) == (2, 1, 0, 0, 1)
    row = Quarantine.objects.get()
    said = row.line, row.rule, row.owner, row.serial, row.day, row.reason, row.content
    assert said == (7, "VAL-08", "sender", "M-1", None, "no day", "M-1,?,1")


def test_bytes_with_rows_in_quarantine_are_judged_again(meters: list[Meter]) -> None:
    rows = [Said("M-1", DAY, total=1), Said("M-4", DAY, total=1)]
    assert counts(deliver(*rows)) == (2, 1, 0, 0, 1)
    Meter.objects.create(serial="M-4", discom=meters[0].discom, smart=True)
    again = deliver(*rows)
    assert (again.before, counts(again)) == (False, (2, 1, 1, 0, 0))
    assert deliver(*rows).before
    assert Delivery.objects.count() == 2


def test_what_a_check_notes_is_stored_with_its_numbers(meters: list[Meter]) -> None:
    received = deliver(Said("M-1", DAY, FLAT, total=9_000), Said("M-2", DAY, FLAT))
    assert counts(received) == (2, 2, 0, 0, 0)
    (noted,) = findings_of(received.delivery, first=5)
    assert (noted.rule, noted.count) == ("VAL-23", 1)
    (example,) = noted.examples
    assert (example.serial, str(example.day), example.revision, example.evidence["total_wh"]) == ("M-1", DAY, 0, 9_000)
    deliver(Said("M-1", DAY, FLAT, total=9_000), Said("M-3", DAY, FLAT))
    assert Finding.objects.count() == 1  # what is not stored again is not noted again


def test_deliveries_are_listed_newest_first(meters: list[Meter]) -> None:
    one, two = (deliver(Said("M-1", day, total=1)).delivery for day in (DAY, NEXT))
    assert [each.id for each in deliveries(limit=5)] == [two.id, one.id]
    assert [each.id for each in deliveries(limit=1)] == [two.id]
    assert (delivery(one.id).sender.code, quarantined(one, first=1)) == ("test", [])
    with pytest.raises(UnknownDeliveryError, match="999"):
        delivery(999)


def test_a_large_delivery_is_stored_in_parts_of_whole_meters(
    meters: list[Meter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("khata.metering.intake.PART_ROWS", 3)
    days = [str(day) for day in np.datetime64("2024-05-01") + np.arange(8)]
    rows = [
        Said(serial, day, register=1_000 * (n + 1)) for n, day in enumerate(days) for serial in ("M-1", "M-2", "M-3")
    ]
    batches = [batch(rows[at : at + 5], first_line=at) for at in range(0, len(rows), 5)]
    assert counts(send(batches, b"parts")) == (24, 24, 0, 0, 0)
    assert list(MeterDay.objects.exclude(day=days[0]).values_list("total_wh", flat=True)) == [1_000] * 21


# -- any order ---------------------------------------------------------------------------------------------------------

KEYS = [(meter, day, channel) for meter in "AB" for channel in (0, 1) for day in (1, 2, 3)]
TRUTH = {key: [100 * at + n for n in range(48)] for at, key in enumerate(KEYS)}
NAMES = (f"E{number}" for number in itertools.count())


def register(key: tuple[str, int, int]) -> int:
    meter, last, channel = key
    return 10_000 + sum(sum(TRUTH[meter, day, channel]) for day in range(1, last + 1))


def said(kind: str, key: tuple[str, int, int], known: frozenset[int]) -> Said:
    meter, number, channel = key
    row = Said(meter, f"2024-06-0{number}", channel=channel)
    if kind == "estimate":
        return replace(row, blocks=[wh + 7 for wh in TRUTH[key]], origin=ESTIMATED)
    if kind == "register":
        return replace(row, register=register(key))
    if kind == "total":
        return replace(row, total=sum(TRUTH[key]))
    return replace(row, blocks=[wh if n in known else None for n, wh in enumerate(TRUTH[key])])


@st.composite
def delivered(draw: st.DrawFn) -> list[tuple[str, tuple[str, int, int], frozenset[int]]]:
    """One delivery of some days, each said in one way, perhaps twice."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=6))
    ways = {
        key: (
            draw(st.sampled_from(("blocks", "total", "register", "estimate"))),
            draw(st.one_of(st.just(frozenset(range(48))), st.frozensets(st.integers(0, 47), max_size=4))),
        )
        for key in dict.fromkeys(keys)
    }
    return [(ways[key][0], key, ways[key][1]) for key in keys]


Standing = dict[tuple[str, int, int], tuple[object, ...]]


def expected(every: list[list[tuple[str, tuple[str, int, int], frozenset[int]]]]) -> Standing:
    """Everything that any of the deliveries knew; an estimate only where nobody measured and it contradicts nobody."""
    rows = [row for one in every for row in one]
    ways = {(kind, key) for kind, key, _ in rows}
    answer: Standing = {}
    for key in {key for _, key, _ in rows}:
        meter, day, channel = key
        known = frozenset[int]().union(*(some for kind, at, some in rows if at == key and kind == "blocks"))
        sure = len(known) == 48 or ("total", key) in ways
        sure |= {("register", key), ("register", (meter, day - 1, channel))} <= ways
        filled = ("estimate", key) in ways and not sure
        cells = [wh if n in known else wh + 7 if filled else None for n, wh in enumerate(TRUTH[key])]
        total = sum(TRUTH[key]) if sure else sum(wh or 0 for wh in cells) if filled else None
        demand = max((2 * wh for wh in cells if wh is not None), default=None)
        of_register = register(key) if ("register", key) in ways else None
        letters = "".join("A" if n in known else "E" for n in range(48)) if filled and known else None
        blocks = None if demand is None else cells
        answer[key] = (blocks, total, of_register, demand, len(known), 2 if filled else 1, letters)
    return answer


def standing(name: str) -> Standing:
    query = """
        select distinct on (serial, day, channel) substr(serial, length(%s) + 1), extract(day from day)::int, channel,
            blocks_wh, total_wh, register_wh, demand_w, known, origin, origins
        from metering_meterday d join metering_meter m on m.id = d.meter_id where serial like %s
        order by serial, day, channel, revision desc"""
    with connection.cursor() as cursor:
        cursor.execute(query, [name, f"{name}_"])
        return {tuple(row[:3]): tuple(row[3:]) for row in cursor.fetchall()}  # type: ignore[misc]


@given(every=st.lists(delivered(), min_size=1, max_size=5), data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deliveries_of_one_truth_lead_to_the_same_days_in_any_order(
    meters: list[Meter], every: list[list[tuple[str, tuple[str, int, int], frozenset[int]]]], data: st.DataObject
) -> None:
    """With channels, registers and estimates."""
    again = data.draw(st.lists(st.sampled_from(every), max_size=2))
    name = next(NAMES)  # nothing can be deleted, so every example has meters of its own
    for meter in ("A", "B"):
        Meter.objects.create(serial=name + meter, discom=meters[0].discom, smart=True)
    for one in data.draw(st.permutations([*every, *again])):
        rows = [said(*row) for row in one]
        received = deliver(*(replace(row, serial=name + row.serial) for row in rows))
        assert received.delivery.quarantined == 0
    assert standing(name) == expected(every)


def test_a_register_in_doubt_does_not_shut_out_the_days_after_it(meters: list[Meter]) -> None:
    """One glitch, far above the day's own half-hours, is noted (VAL-15) and bears no witness against later days."""
    first = dt.date(2024, 6, 1)
    for number in range(8):
        glitch = 500_000 if number == 1 else 0
        register = 1_000_000 + 4_800 * number + glitch
        received = deliver(Said("M-1", str(first + dt.timedelta(days=number)), FLAT, register=register))
        assert counts(received) == (1, 1, 0, 0, 0)
    assert list(Finding.objects.values_list("rule", "day")) == [("VAL-15", dt.date(2024, 6, 2))]
