"""What a post lets a person see, and how tries are counted."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from django.utils.crypto import salted_hmac

Role = Literal["cashier", "officer"]
ROLES: dict[str, tuple[str, str]] = {"cashier": ("कैशियर", "Cashier"), "officer": ("खंड अधिकारी", "Division officer")}


@dataclass(frozen=True)
class Held:
    """A post in effect: the person's role at an office, and the range of offices that it lets them see."""

    id: int
    role: str
    office: int
    office_from: int
    office_to: int


def sees(*, role: str, office: int, office_last: int, company: int, company_last: int) -> tuple[int, int]:
    """The range of offices that a role at an office sees: any counter serves the whole company's consumers."""
    return (company, company_last) if role == "cashier" else (office, office_last)


def stretch(*, now: dt.datetime, seconds: int) -> dt.datetime:
    """The beginning of the stretch of so many seconds in which an instant lies."""
    return dt.datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, dt.UTC)


def limit_key(what: str, *, secret: str) -> str:
    """Under what a try is counted: an address or a login goes in, and what comes out names nobody."""
    return salted_hmac("khata.limit", what, secret=secret, algorithm="sha256").hexdigest()
