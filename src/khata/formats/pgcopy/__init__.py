"""PostgreSQL's binary COPY as NumPy columns: `encode` what goes in, `decode` what comes out."""

from khata.formats.pgcopy.decoding import Decoded, Field, decode
from khata.formats.pgcopy.encoding import (
    Column,
    boolean,
    bytea,
    date,
    encode,
    encode_rows,
    int2,
    int4,
    int4_array,
    int8,
    int8_array,
    jsonb,
    text,
    text_array,
    timestamptz,
)
from khata.formats.pgcopy.wire import HEADER, TRAILER, CopyFormatError

__all__ = [
    "HEADER",
    "TRAILER",
    "Column",
    "CopyFormatError",
    "Decoded",
    "Field",
    "boolean",
    "bytea",
    "date",
    "decode",
    "encode",
    "encode_rows",
    "int2",
    "int4",
    "int4_array",
    "int8",
    "int8_array",
    "jsonb",
    "text",
    "text_array",
    "timestamptz",
]
