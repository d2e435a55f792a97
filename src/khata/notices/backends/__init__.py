"""The ways a text can leave. Each is a sibling with the same one method; docs/adr/0014 says why they stand here."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Outcome: TypeAlias = Literal["sent", "failed", "refused"]


@dataclass(frozen=True)
class Answer:
    """sent: it is on its way; failed: try again later; refused: trying again is of no use.

    `detail` is for the delivery log: no mobile, no text.
    """

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class Meta:
    """What a backend may want to know beside number and text. `day` is the business day of the attempt."""

    message: int
    attempt: int
    subject: int
    template: str
    language: str
    at: dt.datetime
    day: dt.date


class Backend(Protocol):
    @property
    def name(self) -> str:
        """As the delivery log calls it."""

    def send(self, mobile: str, text: str, meta: Meta) -> Answer:
        """Hand over one text to a mobile of ten digits."""


def masked(mobile: str) -> str:
    return f"••••••{mobile[-4:]}"
