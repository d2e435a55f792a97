"""Deliveries of meter days: what is stored, repeated or quarantined, and what stands in the end."""

import datetime as dt
import io
import itertools
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khata.discoms.models import Discom
from khata.formats.meterdays import BLOCKS, Batch
from khata.formats.meterdays_csv import read_csv
from khata.formats.text import FormatError
from khata.metering.intake import Received
from khata.metering.models import Delivery, Meter, MeterDay, Quarantine
from khata.metering.operations import NewDays, take_days
from khata.metering.queries import one_day, quarantined
from tests.database import Database
from tests.metering.made import counts, send

TODAY = dt.date(2024, 6, 10)
MAY = "2024-05-01"
FLAT = [100] * 48  # a day of 4.8 kWh
UNKNOWN = None


@pytest.fixture
def meters(database: Database) -> list[Meter]:
    """M-1 to M-3."""
    company = Discom.objects.create(id=1, code="NADIPUR", regulator="ANERC", name_en="Nadipur", name_hi="नदीपुर")
    return [Meter.objects.create(serial=f"M-{number}", discom=company, smart=True) for number in (1, 2, 3)]


def totals(*rows: tuple[str, str, str]) -> bytes:
    return "\n".join(["meter,day,kwh", *map(",".join, rows), ""]).encode()


def blocks(*rows: tuple[str, str, Sequence[int | None]]) -> bytes:
    lines = [",".join([meter, day, *("" if wh is None else str(wh) for wh in cells)]) for meter, day, cells in rows]
    return "\n".join([f"meter,day,{','.join(BLOCKS)}", *lines, ""]).encode()


def deliver(file: bytes, *, today: dt.date = TODAY, sender: str = "test", history: bool = False) -> Received:
    return send(read_csv(io.BytesIO(file)), file, today=today, sender=sender, history=history)


def standing() -> dict[tuple[str, str], tuple[object, ...]]:
    """What counts of every meter day, whoever delivered it."""
    query = """
        select distinct on (serial, day) serial, day::text, blocks_wh, total_wh, register_wh, demand_w, known
        from metering_meterday d join metering_meter m on m.id = d.meter_id order by serial, day, revision desc"""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {(row[0], row[1]): tuple(row[2:]) for row in cursor.fetchall()}


def partitions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_inherits where inhparent = 'metering_meterday'::regclass")
        return int(cursor.fetchone()[0])


def test_the_same_bytes_again_are_recognised(meters: list[Meter]) -> None:
    file = blocks(("M-1", MAY, FLAT), ("M-2", MAY, FLAT))
    first, again = deliver(file), deliver(file)
    assert (first.before, counts(first)) == (False, (2, 2, 0, 0, 0))
    assert (again.before, again.delivery) == (True, first.delivery)
    assert Delivery.objects.count() == 1
    assert MeterDay.objects.count() == 2


def test_the_same_values_in_another_file_are_repeats(meters: list[Meter]) -> None:
    deliver(blocks(("M-1", MAY, FLAT), ("M-2", MAY, FLAT)))
    assert counts(deliver(blocks(("M-2", MAY, FLAT), ("M-1", MAY, FLAT)))) == (2, 0, 2, 0, 0)
    assert MeterDay.objects.count() == 2


def test_a_corrected_value_adds_a_revision(meters: list[Meter]) -> None:
    deliver(blocks(("M-1", MAY, FLAT)))
    corrected = [*FLAT[:-1], 160]
    assert counts(deliver(blocks(("M-1", MAY, corrected)))) == (1, 0, 0, 1, 0)
    assert [day.blocks_wh for day in MeterDay.objects.order_by("revision")] == [FLAT, corrected]
    assert standing()["M-1", MAY] == (corrected, 4860, None, 320, 48)


def test_a_total_of_the_same_sum_does_not_replace_half_hours(meters: list[Meter]) -> None:
    deliver(blocks(("M-1", MAY, FLAT)))
    assert counts(deliver(totals(("M-1", MAY, "4.8")))) == (1, 0, 1, 0, 0)
    assert standing()["M-1", MAY] == (FLAT, 4800, None, 200, 48)


def test_a_total_of_another_sum_takes_the_half_hours_away(meters: list[Meter]) -> None:
    deliver(blocks(("M-1", MAY, FLAT)))
    assert counts(deliver(totals(("M-1", MAY, "5")))) == (1, 0, 0, 1, 0)
    assert standing()["M-1", MAY] == (None, 5000, None, None, 0)
    assert MeterDay.objects.count() == 2


def test_half_hours_complete_a_total(meters: list[Meter]) -> None:
    deliver(totals(("M-1", MAY, "4.8")))
    assert counts(deliver(blocks(("M-1", MAY, FLAT)))) == (1, 0, 0, 1, 0)
    assert standing()["M-1", MAY] == (FLAT, 4800, None, 200, 48)


def test_unknown_half_hours_leave_the_total_open(meters: list[Meter]) -> None:
    deliver(blocks(("M-1", MAY, [UNKNOWN, *FLAT[1:]])))
    assert standing()["M-1", MAY] == ([UNKNOWN, *FLAT[1:]], None, None, 200, 47)


def test_a_day_of_which_nothing_is_known_is_stored_as_such(meters: list[Meter]) -> None:
    assert counts(deliver(blocks(("M-1", MAY, [UNKNOWN] * 48)))) == (1, 1, 0, 0, 0)
    assert standing()["M-1", MAY] == (None, None, None, None, 0)


def test_what_a_delivery_leaves_unknown_stays_as_it_was(meters: list[Meter]) -> None:
    deliver(blocks(("M-1", MAY, FLAT)))
    assert counts(deliver(blocks(("M-1", MAY, [UNKNOWN, *FLAT[1:]])))) == (1, 0, 1, 0, 0)
    assert counts(deliver(blocks(("M-1", MAY, [UNKNOWN, 300, *FLAT[2:]])))) == (1, 0, 0, 1, 0)
    assert standing()["M-1", MAY] == ([100, 300, *FLAT[2:]], 5000, None, 600, 48)


def test_a_total_stays_beside_unknown_half_hours(meters: list[Meter]) -> None:
    deliver(totals(("M-1", MAY, "4.8")))
    assert counts(deliver(blocks(("M-1", MAY, [UNKNOWN, *FLAT[1:]])))) == (1, 0, 0, 1, 0)
    assert standing()["M-1", MAY] == ([UNKNOWN, *FLAT[1:]], 4800, None, 200, 47)


def test_a_correction_keeps_the_register_and_its_demand(meters: list[Meter]) -> None:
    column = np.array([4_000])
    days = NewDays(np.array([meters[0].id]), np.array([MAY], "datetime64[D]"), column, column * 10, column // 2)
    take_days(days=days, sender="head-end", today=TODAY)
    deliver(blocks(("M-1", MAY, FLAT)))
    assert standing()["M-1", MAY] == (FLAT, 4800, 40_000, 2_000, 48)


def test_rows_that_say_the_same_twice_are_stored_once(meters: list[Meter]) -> None:
    file = blocks(("M-1", MAY, FLAT), ("M-2", MAY, FLAT), ("M-1", MAY, FLAT), ("M-1", MAY, FLAT))
    assert counts(deliver(file)) == (4, 2, 2, 0, 0)


def test_of_rows_that_contradict_each_other_none_is_stored(meters: list[Meter]) -> None:
    received = deliver(totals(("M-1", MAY, "1"), ("M-2", MAY, "1"), ("M-1", MAY, "2"), ("M-1", MAY, "1")))
    assert counts(received) == (4, 1, 0, 0, 3)
    assert set(standing()) == {("M-2", MAY)}
    (failed,) = quarantined(received.delivery, first=2)
    assert (failed.rule, failed.owner, failed.count, failed.lines) == ("VAL-03", "sender", 3, [2, 4])


def test_what_fails_a_check_is_kept_in_quarantine(meters: list[Meter]) -> None:
    received = deliver(
        totals(
            ("M-9", MAY, "1"),
            ("M-1", "2024-06-09", "1"),
            ("M-1", "2024-06-10", "1"),
            ("M-1", "2999-01-01", "1"),
            ("M-1", "1999-12-31", "1"),
            ("M-1", MAY, "2147483.648"),
            ("M-1", "2024-05-02", "2147483.647"),
        )
    )
    assert counts(received) == (7, 2, 0, 0, 5)
    failed = Quarantine.objects.order_by("line").values_list("line", "rule", "serial", "total_wh")
    assert list(failed) == [
        (2, "VAL-01", "M-9", 1000),
        (4, "VAL-02", "M-1", 1000),
        (5, "VAL-02", "M-1", 1000),
        (6, "VAL-04", "M-1", 1000),
        (7, "VAL-05", "M-1", 2**31),
    ]


def test_a_half_hour_beyond_all_measure_is_quarantined(meters: list[Meter]) -> None:
    largest = (2**31 - 1) // 48
    received = deliver(blocks(("M-1", MAY, [largest] * 48), ("M-2", MAY, [largest + 1] + [0] * 47)))
    assert counts(received) == (2, 1, 0, 0, 1)
    assert standing()["M-1", MAY][1:] == (largest * 48, None, 2 * largest, 48)


def test_months_are_made_only_for_what_is_stored(meters: list[Meter]) -> None:
    deliver(totals(("M-1", "0001-01-01", "1"), ("M-1", "9999-12-31", "1"), ("M-9", "2023-01-01", "1")))
    assert partitions() == 0
    deliver(totals(("M-1", "2024-04-30", "1"), ("M-1", MAY, "1"), ("M-2", MAY, "1")))
    assert partitions() == 2


def test_a_month_is_made_while_somebody_reads(meters: list[Meter], database: Database) -> None:
    with database.connect("run") as reader:
        reader.execute("select count(*) from metering_meterday")  # its transaction stays open
        deliver(totals(("M-1", MAY, "1")))
        assert reader.execute("select count(*) from metering_meterday").fetchall() == [(1,)]


def test_nothing_of_a_file_malformed_in_its_middle_is_stored(meters: list[Meter]) -> None:
    def malformed() -> Iterator[Batch]:
        yield from read_csv(io.BytesIO(totals(("M-1", MAY, "1"), ("M-9", MAY, "1"))))
        raise FormatError("the end mark is missing")

    with pytest.raises(FormatError, match="the end mark is missing"):
        send(malformed(), b"")
    assert (Delivery.objects.count(), MeterDay.objects.count(), Quarantine.objects.count()) == (0, 0, 0)
    assert partitions() == 0
    assert counts(deliver(totals(("M-1", MAY, "1")))) == (1, 1, 0, 0, 0)


def test_an_empty_file_is_received(meters: list[Meter]) -> None:
    assert counts(deliver(totals())) == (0, 0, 0, 0, 0)


def test_what_was_received_is_never_changed(meters: list[Meter], database: Database) -> None:
    deliver(totals(("M-1", MAY, "1"), ("M-9", MAY, "1")))
    for role in ("run", "owner"):
        for table in ("metering_meterday", "metering_delivery", "metering_quarantine"):
            for statement in (f"delete from {table}", f"truncate {table}"):
                with database.connect(role) as session, pytest.raises(psycopg.DatabaseError):
                    session.execute(statement)
    assert MeterDay.objects.count() == 1


# -- side by side ------------------------------------------------------------------------------------------------------


class Together:
    """Batches that end only when every other delivery has been read, too: all are staged before one is stored."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties, timeout=60)

    def batches(self, file: bytes) -> Iterator[Batch]:
        yield from read_csv(io.BytesIO(file))
        self.barrier.wait()


def side_by_side(files: Sequence[bytes]) -> list[Received]:
    together = Together(len(files))
    done: list[Received] = []
    failures: list[BaseException] = []

    def work(file: bytes) -> None:
        try:
            done.append(send(together.batches(file), file))
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()  # each thread has its own

    threads = [threading.Thread(target=work, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return done


def on_all_threads(database: Database) -> None:
    """A new thread's connection takes its name from Django's settings, which the fixture has changed only for ours."""
    connection.settings_dict["NAME"] = database.name


def test_the_same_file_from_two_senders_at_once_is_stored_once(meters: list[Meter], database: Database) -> None:
    on_all_threads(database)
    file = blocks(("M-1", MAY, FLAT), ("M-2", MAY, FLAT))
    done = side_by_side([file, file])
    assert sorted(received.before for received in done) == [False, True]
    assert {received.delivery.id for received in done} == {Delivery.objects.get().id}
    assert MeterDay.objects.count() == 2


def test_different_files_of_the_same_days_follow_each_other(meters: list[Meter], database: Database) -> None:
    on_all_threads(database)
    files = [totals(("M-1", MAY, f"{kwh}"), ("M-2", MAY, "1")) for kwh in (1, 2, 3)]
    done = side_by_side(files)
    assert sorted(received.delivery.accepted for received in done) == [0, 0, 2]
    assert sorted(day.revision for day in MeterDay.objects.filter(meter=meters[0])) == [0, 1, 2]
    last = max(done, key=lambda received: received.delivery.id).delivery
    found = one_day(meters[0].id, dt.date.fromisoformat(MAY))
    assert found is not None
    assert found.delivery == last.id


# -- any order ---------------------------------------------------------------------------------------------------------

Seen = tuple[str, str, frozenset[int]]  # a meter's day, and which of its half-hours were known
View = tuple[bool, list[Seen]]  # one delivery; true: it has totals alone
DAYS = [(meter, f"2024-05-0{day}") for meter in ("A", "B") for day in (1, 2, 3)]
TRUTH = {key: [100 * at + n for n in range(48)] for at, key in enumerate(DAYS)}
EVERY = frozenset(range(48))
NAMES = (f"E{number}" for number in itertools.count())


@st.composite
def views(draw: st.DrawFn) -> View:
    """A delivery: some days of the truth, some of them twice, of which not every half-hour needs to be known yet."""
    chosen = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=8))
    unknown = st.one_of(st.just(frozenset[int]()), st.just(EVERY), st.frozensets(st.integers(0, 47)))
    known = {day: EVERY - draw(unknown) for day in DAYS}
    return draw(st.booleans()), [(*day, known[day]) for day in chosen]


def as_file(view: View, name: str) -> bytes:
    only_totals, rows = view
    if only_totals:
        sums = ((meter, day, sum(TRUTH[meter, day])) for meter, day, _ in rows)
        return totals(*((name + meter, day, f"{wh // 1000}.{wh % 1000:03d}") for meter, day, wh in sums))
    return blocks(*((name + meter, day, only(known, TRUTH[meter, day])) for meter, day, known in rows))


def only(known: Collection[int], cells: Sequence[int]) -> list[int | None]:
    return [wh if n in known else None for n, wh in enumerate(cells)]


def together(views: Iterable[View], name: str) -> dict[tuple[str, str], tuple[object, ...]]:
    """Everything that any of the deliveries knew."""
    known: dict[tuple[str, str], set[int]] = {}
    with_total = set()
    for only_totals, rows in views:
        for meter, day, numbers in rows:
            known.setdefault((meter, day), set()).update(() if only_totals else numbers)
            if only_totals:
                with_total.add((meter, day))
    answer: dict[tuple[str, str], tuple[object, ...]] = {}
    for (meter, day), some in known.items():
        cells = TRUTH[meter, day]
        total = sum(cells) if len(some) == 48 or (meter, day) in with_total else None
        demand = 2 * max(cells[n] for n in some) if some else None
        answer[name + meter, day] = (only(some, cells) if some else None, total, None, demand, len(some))
    return answer


@given(deliveries=st.lists(views(), min_size=1, max_size=5), data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deliveries_of_one_truth_lead_to_the_same_days_in_any_order(
    meters: list[Meter], deliveries: list[View], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(deliveries), max_size=3))
    name = next(NAMES)  # nothing can be deleted, so every example has meters of its own
    for meter in ("A", "B"):
        Meter.objects.create(serial=name + meter, discom=meters[0].discom, smart=True)
    for view in data.draw(st.permutations([*deliveries, *again])):
        received = deliver(as_file(view, name))
        assert received.delivery.quarantined == 0
    assert {key: day for key, day in standing().items() if key[0].startswith(name)} == together(deliveries, name)


def test_the_same_bytes_of_another_sender_are_a_delivery_of_its_own(meters: list[Meter]) -> None:
    file = blocks(("M-1", MAY, FLAT))
    first, other = deliver(file, sender="one"), deliver(file, sender="other")
    assert (other.before, other.delivery.sender.code, other.delivery.repeated) == (False, "other", 1)
    assert deliver(file, sender="one").before and first.delivery.id != other.delivery.id
