"""The strict table reader: what RFC 4180 allows comes back, every fault has its line."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.formats.csvfile import BadRow, Row, _split_carefully, _split_plainly, read_rows, read_table
from khata.formats.text import FormatError


def read(text: bytes, required: tuple[str, ...] = ("a", "b"), optional: tuple[str, ...] = ()) -> list[Row]:
    return list(read_table(io.BytesIO(text), required=required, optional=optional))


def test_rows_come_with_their_lines_and_blank_lines_do_not() -> None:
    rows = read(b'\xef\xbb\xbf\r\n a ,b\r\n1,2\r\n\r\n   \r\n"x\r\ny","he said ""no"""\r\n3,\r\n')
    assert rows == [
        Row(3, {"a": "1", "b": "2"}),
        Row(6, {"a": "x\r\ny", "b": 'he said "no"'}),
        Row(8, {"a": "3", "b": ""}),
    ]


def test_columns_stand_in_any_order_and_optional_ones_may_be_absent() -> None:
    assert read(b"b,c,a\n1,2,3", optional=("c",)) == [Row(2, {"b": "1", "c": "2", "a": "3"})]
    assert read(b"b,a\n1,3", optional=("c",)) == [Row(2, {"b": "1", "a": "3"})]
    assert read(b"a,b\n") == []


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (b"", 1, "the file is empty"),
        (b"\n \n", 1, "the file is empty"),
        (b"a,c\n", 1, "the column b is missing"),
        (b"\na,b,q\n", 2, "the column “q” is not known"),
        (b"a,b,a\n", 1, "the column a stands twice"),
        (b'a,"b"x\n', 1, "stray quote"),
        (b"a,b\n1,2\n1,2,3\n", 3, "3 fields, the header has 2"),
        (b"a,b\n1\n", 2, "1 fields, the header has 2"),
        (b'a,b\n1,5"\n', 2, "field 2 has a stray quote"),
        (b'a,b\n"1"2,5\n', 2, "stray quote"),
        (b"a,b\n1\r2,5\n", 2, "carriage return"),
        (b'a,b\n1,2\n3,"4\n5,6\n', 3, "a quote is opened and not closed"),
        (b"a,b\n1,\x002\n", 2, "NUL"),
        (b"a,b\n1,2\nx,\xff\n", 3, "byte 3 of the line is not UTF-8"),
        (b"a,b\n1," + b"2" * (1 << 20), 2, "longer than"),
    ],
)
def test_every_fault_is_told_with_its_line(text: bytes, line: int, what: str) -> None:
    with pytest.raises(FormatError, match=what) as refused:
        read(text)
    assert refused.value.line == line and refused.value.next_step


def test_a_stray_quote_spoils_its_own_line_only() -> None:
    rows = list(read_rows(io.BytesIO(b'a,b\n5" pipe,1\n3,4\n'), required=("a", "b")))
    assert isinstance(rows[0], BadRow) and rows[0].line == 2
    assert rows[1] == Row(3, {"a": "3", "b": "4"})


@given(
    st.lists(st.tuples(*[st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)] * 2))
)
def test_whatever_a_csv_writer_writes_is_read(pairs: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *pairs])
    assert [(row.values["a"], row.values["b"]) for row in read(out.getvalue().encode())] == pairs


@given(st.text('",a ', max_size=14))
def test_a_record_that_is_split_quickly_is_split_as_field_by_field(text: str) -> None:
    quickly = _split_plainly(text)
    if quickly is not None:
        assert quickly == _split_carefully(text)


def test_ordinary_quotes_are_split_quickly() -> None:
    assert _split_plainly('1,"a, b",,"c"') == ["1", "a, b", "", "c"]
    assert _split_plainly('"say ""x""",1') is None
