"""Binary COPY: against bytes that PostgreSQL 18 itself sent, and round trips of whatever columns there are."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats import pgcopy
from khata.formats.pgcopy import CopyFormatError, Field

NAT = np.datetime64("NaT")

# copy (select 1::int2, 2::int8, date '2024-05-31', true, 'क'::text, array[1,null,3]::int4[], '{}'::int8[],
#              null::int4, array['a','bc']) to stdout (format binary)
FROM_POSTGRESQL = bytes.fromhex(
    "5047434f50590aff0d0a00000000000000000000090000000200010000000800000000000000020000000400"
    "0022d5000000010100000003e0a4950000002800000001000000010000001700000003000000010000000400"
    "000001ffffffff00000004000000030000000c000000000000000000000014ffffffff0000001f0000000100"
    "0000000000001900000002000000010000000161000000026263ffff"
)


def test_the_bytes_are_those_of_postgresql() -> None:
    sent = pgcopy.encode(
        [
            pgcopy.int2([1]),
            pgcopy.int8([2]),
            pgcopy.date(np.array(["2024-05-31"], "M8[D]")),
            pgcopy.boolean([True]),
            pgcopy.text(np.array(["क"])),
            pgcopy.int4_array([[1, 0, 3]], element_null=np.array([[False, True, False]])),
            pgcopy.int8_array([[7]], lengths=[0]),
            pgcopy.int4([0], null=[True]),
            pgcopy.text_array([np.array([b"a"]), np.array([b"bc"])]),
        ]
    )
    assert sent == FROM_POSTGRESQL


def test_what_postgresql_sent_is_read() -> None:
    fields = [Field("int2"), Field("int8"), Field("date"), Field("bool"), Field("text"), Field("int4[]", null=-1)]
    body = FROM_POSTGRESQL.replace(struct.pack(">h", 9), struct.pack(">h", 6), 1)
    cut = body.index(b"\x00\x00\x00\x0c\x00\x00\x00\x00")
    small, big, day, yes, letter, blocks = pgcopy.decode(body[:cut] + pgcopy.TRAILER, fields)
    assert (small[0], big[0], day[0], yes[0]) == (1, 2, np.datetime64("2024-05-31"), True)
    assert letter[0].decode() == "क"
    assert blocks.tolist() == [[1, -1, 3]]


def numbers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


SCALARS: dict[str, tuple[Any, Any, str]] = {
    "int2": (pgcopy.int2, numbers(16), "i2"),
    "int4": (pgcopy.int4, numbers(32), "i4"),
    "int8": (pgcopy.int8, numbers(64), "i8"),
    "bool": (pgcopy.boolean, st.booleans(), "?"),
    "date": (pgcopy.date, st.dates(), "M8[D]"),
    "timestamptz": (pgcopy.timestamptz, st.datetimes(), "M8[us]"),
    "text": (pgcopy.text, st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9), "U"),
}
STAND_INS: dict[str, Any] = {"bool": 0, "date": NAT, "timestamptz": NAT, "text": b""}


@given(st.data())
@settings(max_examples=150)
def test_scalars_come_back_with_their_nulls(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 6))
    kinds: list[Any] = data.draw(st.lists(st.sampled_from(sorted(SCALARS)), min_size=1, max_size=4))
    columns, wanted, masks = [], [], []
    for kind in kinds:
        make, values, dtype = SCALARS[kind]
        array = np.array(data.draw(st.lists(values, min_size=count, max_size=count)), dtype)
        null = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_)
        columns.append(make(array, null=null))
        wanted.append(np.strings.encode(array) if kind == "text" else array)
        masks.append(null)
    decoded = pgcopy.decode(pgcopy.encode(columns), [Field(kind, STAND_INS.get(kind, -7)) for kind in kinds])
    assert decoded.count == count
    for i, kind in enumerate(kinds):
        assert np.array_equal(decoded.nulls[i], masks[i])
        assert decoded[i][~masks[i]].tolist() == wanted[i][~masks[i]].tolist()
        if kind in ("int2", "int4", "int8"):
            assert (decoded[i][masks[i]] == -7).all()


@given(st.data(), st.sampled_from(["int4[]", "int8[]"]))
@settings(max_examples=150)
def test_number_arrays_come_back_with_lengths_and_nulls(data: st.DataObject, kind: Any) -> None:
    count, k = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 4))
    bits = 32 if kind == "int4[]" else 64
    flat = st.lists(numbers(bits), min_size=count * k, max_size=count * k)
    flags = st.lists(st.booleans(), min_size=count * k, max_size=count * k)
    values = np.array(data.draw(flat), f"i{bits // 8}").reshape(count, k)
    missing = np.array(data.draw(flags), np.bool_).reshape(count, k)
    lengths = np.array(data.draw(st.lists(st.integers(0, k), min_size=count, max_size=count)))
    null = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_)
    make = pgcopy.int4_array if kind == "int4[]" else pgcopy.int8_array
    sent = pgcopy.encode([make(values, lengths=lengths, element_null=missing, null=null), pgcopy.int2(range(count))])
    decoded = pgcopy.decode(sent, [Field(kind, null=-5), Field("int2")])
    assert decoded[1].tolist() == list(range(count))
    assert decoded.lengths[0].tolist() == np.where(null, -1, lengths).tolist()
    for i in range(count):
        kept = 0 if null[i] else int(lengths[i])
        assert decoded[0][i, :kept].tolist() == np.where(missing, -5, values)[i, :kept].tolist()
        assert (decoded[0][i, kept:] == -5).all()


def test_48_half_hours_take_the_quick_path_and_the_slow_one_agrees() -> None:
    blocks = np.arange(3 * 48, dtype=np.int32).reshape(3, 48)
    days = np.array(["2024-02-29", "1999-12-31", "2000-01-01"], "M8[D]")
    known = np.ones((3, 48), np.bool_)
    known[1, 5] = False
    fields = [Field("date"), Field("int4[]", null=-1, size=48)]
    quick = pgcopy.decode(pgcopy.encode([pgcopy.date(days), pgcopy.int4_array(blocks)]), fields)
    slow = pgcopy.decode(pgcopy.encode([pgcopy.date(days), pgcopy.int4_array(blocks, element_null=~known)]), fields)
    assert np.array_equal(quick[1], blocks) and np.array_equal(quick[0], days)
    assert np.array_equal(slow[1], np.where(known, blocks, -1)) and np.array_equal(slow[0], days)
    assert quick.lengths[1].tolist() == slow.lengths[1].tolist() == [48, 48, 48]


def test_a_big_table_is_cut_into_chunks_without_a_seam() -> None:
    count = 40_000
    values = np.arange(count)
    names = np.array([b"", b"ab", b"abcdefgh"])[values % 3]
    sent = pgcopy.encode([pgcopy.int8(values), pgcopy.text(names), pgcopy.int8_array(values[:, None] + np.arange(9))])
    decoded = pgcopy.decode(sent, [Field("int8"), Field("text"), Field("int8[]", size=9)])
    assert np.array_equal(decoded[0], values) and np.array_equal(decoded[1], names)
    assert np.array_equal(decoded[2][:, 8], values + 8)


def test_text_arrays_of_uneven_words_are_as_long_as_they_say() -> None:
    column = pgcopy.text_array([np.array([b"a", b""]), np.array(["क", "bb"])], lengths=[1, 2])
    first, second = pgcopy.encode_rows([column]), struct.pack(">hiiiiii", 1, 25, 1, 0, 25, 1, 1) + b"\0\0\0\1a"
    assert first.startswith(second)
    rest = struct.pack(">hiiiiiiii", 1, 30, 1, 0, 25, 2, 1, 0, 2) + b"bb"
    assert first == second + rest


def test_rows_may_be_sent_in_several_pieces() -> None:
    whole = pgcopy.encode([pgcopy.int4([1, 2, 3])])
    parts = pgcopy.encode_rows([pgcopy.int4([1, 2])]) + pgcopy.encode_rows([pgcopy.int4([3])])
    assert pgcopy.HEADER + parts + pgcopy.TRAILER == whole


@given(st.lists(st.tuples(st.binary(max_size=9), st.sampled_from(["{}", '{"MIG-17": "नाम"}']))))
def test_bytes_and_json_are_sent_whole(rows: list[tuple[bytes, str]]) -> None:
    """Zeros at the end of bytes stay; JSON is its version, 1, and the text."""
    sent = pgcopy.encode_rows(
        [pgcopy.bytea([raw for raw, _ in rows]), pgcopy.jsonb(np.array([said.encode() for _, said in rows], np.bytes_))]
    )
    wanted = b""
    for raw, said in rows:
        text = b"\x01" + said.encode()
        wanted += struct.pack(">hi", 2, len(raw)) + raw + struct.pack(">i", len(text)) + text
    assert sent == wanted


def test_an_instant_is_counted_from_the_year_2000() -> None:
    body = pgcopy.encode_rows([pgcopy.timestamptz(np.array(["2000-01-01T00:00:01"], "M8[us]"))])
    assert body == struct.pack(">hiq", 1, 8, 1_000_000)
    assert body == pgcopy.encode_rows([pgcopy.timestamptz([946_684_801_000_000])])
    assert pgcopy.encode_rows([pgcopy.date([10_957])]) == struct.pack(">hii", 1, 4, 0)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: pgcopy.int2([40_000]), "does not fit int2"),
        (lambda: pgcopy.int4([1, 2**31]), "row 1: a number does not fit int4"),
        (lambda: pgcopy.int8(np.array([2**63], np.uint64)), "does not fit int8"),
        (lambda: pgcopy.date([-(2**31)]), "does not fit int4"),
        (lambda: pgcopy.int8([1.5]), "integers wanted"),
        (lambda: pgcopy.boolean([1]), "booleans wanted"),
        (lambda: pgcopy.text([1]), "bytes or text wanted"),
        (lambda: pgcopy.date(np.array(["2024-05-31T10"], "M8[h]")), "datetime64"),
        (lambda: pgcopy.timestamptz(np.array([1], "M8[ns]")), "datetime64"),
        (lambda: pgcopy.date(np.array(["2024-05-31", "NaT"], "M8[D]")), "row 1: NaT"),
        (lambda: pgcopy.text(np.array([b"ok", b"a\0b"])), "row 1: a text has a NUL"),
        (lambda: pgcopy.text(np.array([b"ok", b"\xff"])), "row 1: a text is not UTF-8"),
        (lambda: pgcopy.int4([1], null=[0]), "null must be booleans"),
        (lambda: pgcopy.int4([1], null=[True, False]), "null must be booleans"),
        (lambda: pgcopy.int4_array([1]), "wants a matrix"),
        (lambda: pgcopy.int4_array([[1]], lengths=[2]), "row 0: length 2"),
        (lambda: pgcopy.int4_array([[1]], lengths=[-1]), "row 0: length -1"),
        (lambda: pgcopy.text_array([]), "at least one"),
        (lambda: pgcopy.text_array([np.array([b"a"]), np.array([b"a", b"b"])]), "not equally long"),
        (lambda: pgcopy.encode([pgcopy.int4([1]), pgcopy.int4([1, 2])]), "not equally long"),
    ],
)
def test_columns_that_cannot_be_sent_are_refused(make: Any, what: str) -> None:
    with pytest.raises(CopyFormatError, match=what):
        make()


GOOD = pgcopy.encode([pgcopy.int4([1, 2]), pgcopy.int4_array([[1, 2], [3, 4]])])
FIELDS = [Field("int4"), Field("int4[]", size=2)]


@pytest.mark.parametrize(
    ("data", "fields", "what"),
    [
        (b"PGDUMP", FIELDS, "not binary COPY"),
        (GOOD[:15], FIELDS, "cut short"),
        (GOOD[:-2], FIELDS, "cut short"),
        (GOOD[:-9], FIELDS, "cut short"),
        (GOOD + b"x", FIELDS, "follow the end"),
        (GOOD[:11] + b"\0\1\0\0" + GOOD[15:], FIELDS, "header asks"),
        (GOOD, [Field("int4")], "a row of 2 columns, 1 asked for"),
        (GOOD, [Field("int8"), Field("int4[]", size=2)], "4 bytes, int8 has 8"),
        (GOOD, [Field("int4"), Field("int8[]", size=2)], "not an int8"),
        (GOOD, [Field("int4"), Field("int4[]", size=3)], "an array of 2 elements"),
        (GOOD, [Field("int4[]"), Field("int4[]")], "not an array"),
        (GOOD, [], "no columns"),
        (pgcopy.encode([pgcopy.int4([1], null=[True])]), [Field("int4")], "row 0, column 0: a NULL"),
        (pgcopy.HEADER + struct.pack(">hii", 1, 4, 2**31 - 1) + pgcopy.TRAILER, [Field("date")], "infinite"),
        (pgcopy.HEADER + struct.pack(">hi", 1, -2) + pgcopy.TRAILER, [Field("int4")], "a length of -2"),
    ],
)
def test_bytes_that_are_not_what_was_asked_are_refused(data: bytes, fields: list[Field], what: str) -> None:
    with pytest.raises(CopyFormatError, match=what):
        pgcopy.decode(data, fields)


@given(st.binary(max_size=60), st.integers(0, len(GOOD)))
def test_broken_bytes_never_crash(noise: bytes, at: int) -> None:
    for data in (GOOD[:at] + noise, GOOD[:at] + noise + GOOD[at + len(noise) :]):
        for fields in (
            FIELDS,
            [Field("int4", null=0), Field("int4[]", null=0)],
            [Field("text", b""), Field("text", b"")],
        ):
            try:
                pgcopy.decode(data, fields)
            except CopyFormatError:
                continue


def test_a_null_element_without_a_stand_in_is_refused() -> None:
    sent = pgcopy.encode([pgcopy.int4_array([[1, 2]], element_null=np.array([[False, True]]))])
    with pytest.raises(CopyFormatError, match="row 0, column 0: a NULL element"):
        pgcopy.decode(sent, [Field("int4[]", size=2)])
