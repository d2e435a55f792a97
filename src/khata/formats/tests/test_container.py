"""Deliveries are known by their first bytes, and none can fill the memory or the disk."""

import gzip
import io
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.formats import container
from khata.formats.container import FORMS, open_delivery
from khata.formats.meterdays import Refused
from khata.formats.text import FormatError

DAYS = b"meter,day,kwh\n" + b"".join(b"M-%d,2024-05-31,%d.5\n" % (n, n) for n in range(200))


def read(content: bytes, *, form: str | None = None, serial: str = "") -> tuple[str, list[float], list[Refused]]:
    """(form, values, refusals)."""
    file = io.BytesIO(content)
    opened = open_delivery(file, size=len(content), form=form, name="days", serial=serial)
    values: list[float] = []
    refused: list[Refused] = []
    for batch in opened.batches:
        values += (batch.register_wh if opened.form == "daily load" else batch.total_wh).tolist()  # type: ignore[union-attr]
        refused += batch.refused
    return opened.form, values, refused


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"meter": ["M"], "day": ["2024-05-31"], "kwh": [1]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (DAYS, "block csv"),
        (b"\xef\xbb\xbf\r\n" + DAYS, "block csv"),
        (gzip.compress(DAYS, mtime=0), "block csv"),
        (b"day;kwh;meter\n", "block csv"),
        (parquet(), "parquet"),
        (b"meter,day,register_kwh\nM,2024-05-31,1\n", "daily load"),
        (b"100,NEM12,200405011135,MDA1,Ret1\n900\n", "nem12"),
        (b'<?xml version="1.0"?><feed/>', "espi"),
        (b'\xef\xbb\xbf {"meterReadings": []}', "hes json"),
        (b"[]", "hes json"),
        ("\ufeffVan datum;Van tijdstip;Tot datum;Tot tijdstip;EAN;Meter;Metertype;Register\n".encode(), "fluvius"),
        (b"Giorno;00:00-00:15;00:15-00:30\n", "enel"),
    ],
)
def test_a_form_is_known_by_its_first_bytes(content: bytes, form: str) -> None:
    plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    assert container._recognised(plain[: container.FIRST_BYTES], "x") == form


def test_every_form_of_the_table_has_its_reader() -> None:
    assert all(callable(container._reader(form, "M-1")) for form in FORMS)
    with pytest.raises(FormatError, match="does not say which meter"):
        read(b"Giorno;00:00-00:15\n")
    with pytest.raises(FormatError, match="the form “csv” is not known"):
        read(DAYS, form="csv")


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"hello world\n", b"\x00\x01\x02", b"PK\x03\x04zip", b"a;b;c\n1;2;3\n"]
)
def test_what_is_no_form_is_refused(content: bytes) -> None:
    for each in (content, gzip.compress(content)):
        with pytest.raises(FormatError) as refused:
            read(each)
        assert refused.value.next_step


def test_packed_or_not_the_days_are_the_same() -> None:
    plain = read(DAYS)
    assert len(plain[1]) == 200 and plain == read(gzip.compress(DAYS))
    members = gzip.compress(DAYS[:1000]) + gzip.compress(DAYS[1000:]) + b"\0" * 512
    assert read(members) == plain
    assert read(parquet()) == ("parquet", [1000], [])
    assert read(DAYS, form="block csv") == plain


def test_what_is_packed_twice_or_damaged_is_refused() -> None:
    packed = gzip.compress(DAYS, mtime=0)
    damaged = packed[:-6] + b"\xff" + packed[-5:]
    for content, what in (
        (gzip.compress(packed, mtime=0), "packed twice"),
        (gzip.compress(parquet(), mtime=0), "Parquet file inside gzip"),
        (damaged, "damaged"),
        (packed + b"rubbish", "damaged"),
    ):
        with pytest.raises(FormatError, match=what):
            read(content)


@given(st.integers(12, len(gzip.compress(DAYS, mtime=0)) - 1))
def test_a_packed_file_cut_anywhere_keeps_what_was_whole_and_says_so_once(kept: int) -> None:
    packed = gzip.compress(DAYS, mtime=0)[:kept]
    whole = zlib.decompressobj(wbits=31).decompress(packed)
    if len(whole.partition(b"\n")[0]) < len(DAYS.partition(b"\n")[0]):
        with pytest.raises(FormatError):
            read(packed)
        return
    _, values, refused = read(packed)
    assert values == [1000 * n + 500 for n in range(max(whole.count(b"\n") - 1, 0))]
    assert [each.rule for each in refused] == ["VAL-08"]
    assert refused[0].line == whole.count(b"\n") + 1


def test_a_gzip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b"meter,day,kwh\n" + b"KE1,2024-06-01,0\n" * (4 << 20), 9)
    assert len(bomb) < 300_000
    file = io.BytesIO(bomb)
    with pytest.raises(FormatError, match="a gzip bomb: it unpacks to more than 200 times"):
        list(open_delivery(file, size=len(bomb), form=None, name="days").batches)


def test_a_file_of_ten_gigabytes_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "days.csv").open("w+b") as file:
        file.truncate(10 << 30)
        with pytest.raises(FormatError, match=r"it has 10\.0 GiB, more than 4"):
            open_delivery(file, size=10 << 30, form=None, name="days.csv")
        assert file.tell() == 0
    monkeypatch.setattr(container, "MOST_BYTES", 2000)
    for content in (DAYS, gzip.compress(DAYS)):  # of unknown size, or small when packed
        with pytest.raises(FormatError, match="more than 0"):
            list(open_delivery(io.BytesIO(content), size=None, form=None, name="days").batches)


def test_a_file_that_is_mostly_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_REFUSED", 10)
    assert len(read(DAYS + b"x\n" * 11)[2]) == 11
    with pytest.raises(FormatError, match=r"11 rows cannot be read, and only 1 can; the last: 1 fields"):
        read(b"meter,day,kwh\nM,2024-05-31,1\n" + b"x\n" * 11)


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"", "block csv"),
        (b"meter,day,kwh\n", "block csv"),
        (b"meter,day,register_kwh\n", "daily load"),
        (b"100,NEM12,200401010101,MDP,RT\n", "nem12"),
    ],
)
def test_blank_lines_without_end_are_refused(head: bytes, form: str) -> None:
    with pytest.raises(FormatError, match="10,000 blank lines"):
        list(open_delivery(io.BytesIO(head + b"\n" * 30_000), size=None, form=form, name="days").batches)


def test_xml_without_end_and_without_a_reading_is_refused() -> None:
    feed = b'<feed xmlns="http://www.w3.org/2005/Atom">' + b"<a/>" * 100_001
    with pytest.raises(FormatError, match="100,000 elements without one IntervalReading"):
        list(open_delivery(io.BytesIO(feed), size=None, form="espi", name="feed").batches)
