"""Queues messages. Sending is the workers' business."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from khata.formats import pgcopy
from khata.jobs.bulk import copy_in
from khata.notices.rules import Template


@dataclass(frozen=True)
class NewMessages:
    """Columns of equal length; texts as NumPy bytes. `values` has one array for each variable of the template."""

    subject: npt.NDArray[np.int64]
    language: npt.NDArray[np.bytes_]
    mobile: npt.NDArray[np.bytes_]
    values: Sequence[npt.NDArray[np.bytes_]]
    cause: npt.NDArray[np.bytes_]


def queue(*, template: Template, messages: NewMessages) -> int:
    """Write outgoing rows in the caller's transaction; returns how many."""
    if len(messages.values) != len(template.variables):
        raise ValueError(
            f"template {template.name} has {len(template.variables)} variables, not {len(messages.values)}"
        )
    return copy_in(
        "notices_message",
        {
            "subject": pgcopy.int8(messages.subject),
            "template": pgcopy.text(np.full(len(messages.subject), template.name.encode())),
            "language": pgcopy.text(messages.language),
            "mobile": pgcopy.text(messages.mobile),
            "values": pgcopy.text_array(messages.values),
            "cause": pgcopy.text(messages.cause),
        },
    )
