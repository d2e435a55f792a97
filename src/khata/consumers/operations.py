"""Brings in consumers and their connections."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import transaction

from khata.consumers.rules import account_numbers, mobile_key, name_key
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64

Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class NewConnections:
    """Sequences and columns of equal length, one row a connection with a consumer of its own."""

    name: Sequence[str]
    mobile: Sequence[str]
    language: Sequence[str]
    address: Sequence[str]
    division: Int64
    connected_on: Days
    category: Sequence[str]
    area: Sequence[str]
    mode: Sequence[str]
    load_w: Int64
    old_number: Sequence[str]  # empty: none


@transaction.atomic
def connect(*, discom: int, rows: NewConnections, wave: str, old_until: dt.date, now: dt.datetime) -> Int64:
    """Make consumers and connections, issue account numbers, keep old numbers; returns the connections' ids."""
    count = len(rows.name)
    people, ids = next_ids("consumers_consumer", count), next_ids("consumers_connection", count)
    copy_in(
        "consumers_consumer",
        {
            "id": pgcopy.int8(people),
            "name": _text(rows.name),
            "name_key": _text([name_key(name) for name in rows.name]),
            "mobile": _text(rows.mobile),
            "mobile_key": _text([mobile_key(mobile) for mobile in rows.mobile]),
            "language": _text(rows.language),
        },
    )
    copy_in(
        "consumers_connection",
        {
            "id": pgcopy.int8(ids),
            "consumer_id": pgcopy.int8(people),
            "discom_id": pgcopy.int2(np.full(count, discom)),
            "division_id": pgcopy.int4(rows.division),
            "account_number": pgcopy.text(account_numbers(ids)),
            "address": _text(rows.address),
            "connected_on": pgcopy.date(rows.connected_on),
            "wave": _text([wave] * count),
        },
    )
    copy_in(
        "consumers_terms",
        {
            "connection_id": pgcopy.int8(ids),
            "from_date": pgcopy.date(rows.connected_on),
            "revision": pgcopy.int2(np.zeros(count, np.int64)),
            "known_at": pgcopy.timestamptz(np.full(count, np.datetime64(now.replace(tzinfo=None), "us"))),
            "category": _text(rows.category),
            "area": _text(rows.area),
            "mode": _text(rows.mode),
            "load_w": pgcopy.int4(rows.load_w),
            "ended": pgcopy.boolean(np.zeros(count, np.bool_)),
        },
    )
    old = np.array([number != "" for number in rows.old_number])
    copy_in(
        "consumers_oldnumber",
        {
            "connection_id": pgcopy.int8(ids[old]),
            "discom_id": pgcopy.int2(np.full(int(old.sum()), discom)),
            "number": _text([number for number in rows.old_number if number]),
            "last_day": pgcopy.date(np.full(int(old.sum()), np.datetime64(old_until))),
        },
    )
    return ids


def _text(values: Sequence[str]) -> pgcopy.Column:
    return pgcopy.text(np.array(values, dtype=np.str_))
