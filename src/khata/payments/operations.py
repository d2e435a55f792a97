"""Takes money. A payment by itself is a batch of one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import transaction

from khata.discoms.models import Discom
from khata.formats import pgcopy
from khata.jobs.bulk import copy_in, next_ids
from khata.kernel.quantities import Int64
from khata.ledger.operations import NewPostings, post
from khata.ledger.queries import heads
from khata.ledger.rules import CASH, CONSUMERS


@dataclass(frozen=True)
class NewReceipts:
    """Columns of equal length: money taken at offices of one company for connections of the same company."""

    connection: Int64
    reference: npt.NDArray[np.bytes_]  # the channel's own; the same one twice is refused by the database
    office: Int64
    typed: npt.NDArray[np.bytes_]  # the identifier as it was typed
    matched: npt.NDArray[np.bytes_]
    amount_paise: Int64
    received_on: npt.NDArray[np.datetime64]


@transaction.atomic
def take(*, discom: Discom, channel: str, receipts: NewReceipts) -> Int64:
    """Write receipts and post one entry for each: cash in, less owed. Returns the receipts' ids."""
    count = len(receipts.connection)
    ids, head = next_ids("payments_receipt", count), heads(discom)
    entry = np.arange(count)
    entries = post(
        kind="receipt",
        causes=[f"payments:receipt:{number}" for number in ids.tolist()],
        business_dates=receipts.received_on.astype("datetime64[D]").astype(np.int64),
        postings=NewPostings(
            entry=np.concatenate([entry, entry]),
            head=np.repeat([head[CASH], head[CONSUMERS]], count),
            subject=np.concatenate([np.zeros(count, np.int64), receipts.connection]),
            amount_paise=np.concatenate([receipts.amount_paise, -receipts.amount_paise]),
        ),
    )
    copy_in(
        "payments_receipt",
        {
            "id": pgcopy.int8(ids),
            "connection_id": pgcopy.int8(receipts.connection),
            "channel": pgcopy.text(np.full(count, channel.encode())),
            "reference": pgcopy.text(receipts.reference),
            "office_id": pgcopy.int4(receipts.office),
            "typed": pgcopy.text(receipts.typed),
            "matched": pgcopy.text(receipts.matched),
            "amount_paise": pgcopy.int8(receipts.amount_paise),
            "received_on": pgcopy.date(receipts.received_on),
            "entry_id": pgcopy.int8(entries),
        },
    )
    return ids
