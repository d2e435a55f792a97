"""The rows of a hand-over file into the database: the bytes unchanged, and beside them what they say."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import BinaryIO

import numpy as np
from django.db import connection, models

from khata.consumers.rules import mobile_key
from khata.formats import pgcopy
from khata.formats.handover import Facts, StagedLine, read_rows
from khata.formats.handover_rows import account_and_key
from khata.jobs.bulk import copy_in
from khata.migration.models import File, StagedRow

Say = Callable[[str, int, int], None]  # a step, how much of it is done, of how much

_WHOLE_NUMBER = re.compile(r"[0-9]{6,8}|[0-9]{10}", re.ASCII)
_ROWS = 10_000
_LAID_OUT = 24 << 20  # bytes of a batch at the width of its longest line, so that one long line costs no memory
_TYPES: dict[type[models.Field], str] = {  # type: ignore[type-arg]
    models.TextField: "text",
    models.IntegerField: "int4",
    models.BigIntegerField: "int8",
    models.BooleanField: "boolean",
    models.DateField: "date",
}
_KINDS = {field.column: _TYPES[type(field)] for field in StagedRow._meta.concrete_fields if type(field) in _TYPES}


def facts_as_data(facts: Facts) -> dict[str, object]:
    return asdict(facts)


def facts_from_data(data: dict[str, object]) -> Facts:
    """The facts that were kept with a file."""
    return Facts(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})  # type: ignore[arg-type]


def stage(*, file: File, stream: BinaryIO, facts: Facts, division_of: Callable[[StagedLine], int], say: Say) -> None:
    """Every row of a file, kept and typed. `division_of` tells the division of a row."""
    done = 0
    place = facts.header.index("ACCT_ID") if "ACCT_ID" in facts.header else 0
    for batch in _batches(read_rows(stream, facts, file.kind)):
        if batch[-1].rules == ["MIG-21"] and not batch[-1].account:
            batch[-1] = _cut_behind_its_account(batch[-1], place)
        lines = pgcopy.int4(np.array([row.line for row in batch]))
        files = pgcopy.int8(np.full(len(batch), file.id))
        copy_in(
            "migration_sourcerow",
            {"file_id": files, "line": lines, "raw": pgcopy.bytea([row.raw for row in batch])},
        )
        copy_staged(file, batch, [division_of(row) for row in batch])
        done += len(batch)
        say(f"{file.name}: rows", done, facts.rows)


def copy_staged(file: File, rows: Sequence[StagedLine], divisions: Sequence[int]) -> None:
    """Typed rows of one file. Accounts begin as migrated; the rules say otherwise later."""
    count = len(rows)
    fixed = {
        "file_id": pgcopy.int8(np.full(count, file.id)),
        "wave_id": pgcopy.int8(np.full(count, file.wave_id)),
        "line": pgcopy.int4(np.array([row.line for row in rows])),
        "division_id": pgcopy.int4(np.array(divisions)),
        "kind": pgcopy.text(np.full(count, file.kind)),
        "outcome": pgcopy.text(np.full(count, "" if file.kind == "control" else "migrated")),
        "account": _column("text", [row.account for row in rows]),
        "key": _column("text", [row.key for row in rows]),
        "digest": pgcopy.bytea([row.digest for row in rows]),
        "rules": _text_array([row.rules for row in rows]),
        "said": pgcopy.jsonb(_bytes([_json(row.said) for row in rows])),
    }
    typed = {
        name: _column(_KINDS[name], [row.values[name] for row in rows]) for name in rows[0].values if name in _KINDS
    }
    if file.kind == "master":
        typed["mobile_key"] = _column("text", [_mobile_key(row.values["mobile"]) for row in rows])
    copy_in("migration_stagedrow", {**fixed, **typed})


def unstage(file: File) -> None:
    """The typed rows of a file that a newer version replaces. What was handed over stays."""
    with connection.cursor() as cursor:
        cursor.execute("delete from migration_stagedrow where file_id = %s", [file.id])


def _cut_behind_its_account(row: StagedLine, place: int) -> StagedLine:
    """A last line may end right behind its number: then it tells whose it is, if such an account is there at all."""
    fields = row.raw.decode(errors="replace").strip().split(",")
    if place != len(fields) - 1 or not _WHOLE_NUMBER.fullmatch(fields[place]):
        return row
    account, key = account_and_key(fields[place])
    return replace(row, account=account, key=key)


def _batches(rows: Iterator[StagedLine]) -> Iterator[list[StagedLine]]:
    batch: list[StagedLine] = []
    widest = 0
    for row in rows:
        widest = max(widest, len(row.raw))
        if batch and (len(batch) == _ROWS or widest * (len(batch) + 1) > _LAID_OUT):
            yield batch
            batch, widest = [], len(row.raw)
        batch.append(row)
    if batch:
        yield batch


def _mobile_key(mobile: object) -> str:
    if not isinstance(mobile, str) or not mobile:
        return ""
    if len(mobile) == 10 and mobile.isascii() and mobile.isdecimal():  # most of them; the rest is looked at closely
        return mobile if mobile[0] in "6789" else ""
    return mobile_key(mobile)


def _column(kind: str, values: list[object]) -> pgcopy.Column:
    null = np.array([value is None for value in values])
    match kind:
        case "text":
            return pgcopy.text(
                _bytes([value.encode() if isinstance(value, str) else b"" for value in values]), null=null
            )
        case "date":
            return pgcopy.date(np.array(values, "M8[D]"), null=null)
        case "boolean":
            return pgcopy.boolean(np.array([bool(value) for value in values]), null=null)
    make = pgcopy.int8 if kind == "int8" else pgcopy.int4
    return make(np.array([value or 0 for value in values], np.int64), null=null)


def _bytes(values: list[bytes]) -> np.typing.NDArray[np.bytes_]:
    return np.array(values, np.bytes_)


def _json(said: dict[str, str]) -> bytes:
    return json.dumps(said, ensure_ascii=False).encode() if said else b"{}"


def _text_array(values: list[list[str]]) -> pgcopy.Column:
    longest = max(1, *(len(value) for value in values)) if values else 1
    elements = [np.array([value[i] if i < len(value) else "" for value in values]) for i in range(longest)]
    return pgcopy.text_array(elements, lengths=np.array([len(value) for value in values]))
