"""Bulk reading and writing: PostgreSQL's binary COPY between tables and NumPy columns (docs/adr/0006)."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from django.db import connection

from khata.formats.pgcopy import HEADER, TRAILER, Column, Decoded, Field, decode, encode_rows


def copy_out(query: str, params: Sequence[object], fields: Sequence[Field]) -> Decoded:
    """The rows of a query as columns, whole in memory: bound it by the part it is for."""
    with connection.cursor() as cursor, cursor.cursor.copy(f"copy ({query}) to stdout (format binary)", params) as rows:
        return decode(b"".join(bytes(block) for block in rows), fields)


def copy_in(table: str, columns: Mapping[str, Column]) -> int:
    """Append rows to a table in one statement. Constraints and triggers hold as for any INSERT."""
    names = ", ".join(columns)
    count = next(iter(columns.values())).count
    if count:
        with (
            connection.cursor() as cursor,
            cursor.cursor.copy(f"copy {table} ({names}) from stdin (format binary)") as rows,
        ):
            rows.write(HEADER)
            rows.write(encode_rows(list(columns.values())))
            rows.write(TRAILER)
    return count


def next_ids(table: str, count: int) -> npt.NDArray[np.int64]:
    """`count` new values of a table's id, rising."""
    # The sequence's name is looked up once, not for every number drawn.
    query = """select nextval(s.name) from (select pg_get_serial_sequence(%s, 'id')::regclass as name offset 0) as s,
        generate_series(1, %s)"""
    return integers(query, (table, count), 1)[0]


def integers(query: str, params: Sequence[object], columns: int, *, null: int = 0) -> list[npt.NDArray[np.int64]]:
    """A query whose columns are all whole numbers, as int64 columns in the query's order; `null` stands for NULL.

    The server sends each column as one array: a message a row costs more in Python than the row itself.
    """
    names = [f"c{number}" for number in range(columns)]
    arrays = ", ".join(f"array_agg(coalesce({name}, {null})::bigint)" for name in names)
    rows = copy_out(
        f"select {arrays} from ({query}) as q({', '.join(names)})", params, [Field("int8[]", null=0)] * columns
    )
    return [np.asarray(column[0], np.int64) for column in rows]


def last_of_day(columns: list[npt.NDArray[np.int64]]) -> list[npt.NDArray[np.int64]]:
    """Of rows sorted by owner, day and revision (owner and day are the first two columns): the last of each day."""
    owner, day = columns[0], columns[1]
    last = np.ones(len(owner), np.bool_)
    last[:-1] = (owner[1:] != owner[:-1]) | (day[1:] != day[:-1])
    return columns if last.all() else [column[last] for column in columns]
