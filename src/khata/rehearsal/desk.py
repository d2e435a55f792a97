"""Who can look at the demo: counters with their cashiers, officers of a division, consumers with something to see."""

import datetime as dt
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import F, Sum

from khata.consumers.models import Connection, OldNumber, Terms
from khata.discoms.models import Discom, Staff
from khata.discoms.operations import hire
from khata.discoms.queries import division_named, office_named
from khata.ledger.models import Balance
from khata.ledger.queries import owed_paise
from khata.ledger.rules import OWED
from khata.payments.operations import add_counter, set_counter_policy

DIVISION, OTHER_DIVISION = "Kidwai Nagar", "Gumti"
COMPANY = ""  # the company itself
# Cash of two lakh rupees or more from one person in a day is against the Income-tax Act, section 269ST.
MOST_PAISE, MOST_SOURCE = 1_99_999_00, "Income-tax Act 1961, section 269ST"
_PEOPLE = (
    ("counter1", "cashier", DIVISION, "काउंटर कर्मी एक (नमूना)"),
    ("counter2", "cashier", OTHER_DIVISION, "काउंटर कर्मी दो (नमूना)"),
    ("officer1", "officer", DIVISION, "खंड अधिकारी एक (नमूना)"),
    ("officer2", "officer", DIVISION, "खंड अधिकारी दो (नमूना)"),
    ("central1", "officer", COMPANY, "मुख्यालय अधिकारी एक (नमूना)"),
    ("central2", "officer", COMPANY, "मुख्यालय अधिकारी दो (नमूना)"),
)
_MOVERS = ("central1", "central2")


@dataclass(frozen=True)
class DeskPerson:
    """A synthetic member of staff: how to sign in. `key` is the second factor's secret, in hexadecimal."""

    login: str
    role: str
    office: str
    password: str
    key: str


@dataclass(frozen=True)
class Visitor:
    """A synthetic consumer to sign in as, and why this one."""

    title: str
    mobile: str
    account_number: str
    old_number: str
    due_paise: int


def staff_the_desk(*, discom: Discom, since: dt.date, now: dt.datetime) -> tuple[DeskPerson, ...]:
    """Counters, their limit, and people with passwords drawn anew for each demo."""
    set_counter_policy(discom=discom, from_date=since, most_paise=MOST_PAISE, source=MOST_SOURCE)
    made = []
    for number, name in enumerate((DIVISION, OTHER_DIVISION), start=1):
        office = division_named(discom, name)
        names = {"name_hi": f"{office.name_hi}, खिड़की 1", "name_en": f"{office.name_en}, window 1"}
        add_counter(office=office, code=f"K{number:02}", **names)
    for login, role, where, name in _PEOPLE:
        office = division_named(discom, where) if where else office_named(discom, discom.name_en)
        password = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}"
        _, device = hire(
            login=login,
            name=name,
            password=password,
            role=role,
            office=office,
            from_date=since,
            now=now,
            actor="rehearsal",
        )
        made.append(DeskPerson(login, role, office.name_en, password, device.key))
    return tuple(made)


def movers() -> tuple[Staff, Staff]:
    """The two people who sign for the move."""
    first, second = (Staff.objects.get(login=login) for login in _MOVERS)
    return first, second


_LOOKED_AT = 3_000  # connections; among them every kind is found


def visitors(*, discom: Discom, today: dt.date) -> tuple[Visitor, ...]:
    """Consumers with a smart meter and an old number: who owes, who has paid, who has several connections."""
    rows = Connection.objects.filter(
        discom=discom, consumer__language="hi", oldnumber__isnull=False, installation__meter__smart=True
    )
    rows = rows.exclude(consumer__mobile_key="").select_related("consumer").order_by("id")
    prepaid = Terms.objects.filter(mode="prepaid").values("connection_id")
    rows = rows.exclude(id__in=prepaid)
    homes = list(rows.annotate(old=F("oldnumber__number"), meter=F("installation__meter"))[:_LOOKED_AT])
    read = _well_read(today)
    homes.sort(key=lambda home: home.meter not in read)  # those with every day to show come first
    found = Balance.objects.filter(subject__in=[home.id for home in homes], head__code__in=OWED)
    due = dict(found.values_list("subject").annotate(Sum("amount_paise")))
    mobiles = [home.consumer.mobile_key for home in homes]
    known = Connection.objects.filter(consumer__mobile_key__in=mobiles)
    times = Counter(known.values_list("consumer__mobile_key", flat=True))
    kinds: tuple[tuple[str, Callable[[Connection], bool]], ...] = (
        ("a home with a bill to pay", lambda home: due.get(home.id, 0) > 0 and times[home.consumer.mobile_key] == 1),
        ("a home whose bill is paid", lambda home: due.get(home.id) == 0 and times[home.consumer.mobile_key] == 1),
        ("two connections under one mobile", lambda home: times[home.consumer.mobile_key] > 1),
    )
    made = []
    for title, fits in kinds:
        home = next(filter(fits, homes), None)
        if home is not None:
            mobile, number = home.consumer.mobile_key, home.account_number
            made.append(Visitor(title, mobile, number, home.old, due.get(home.id, 0)))
    return tuple(made)


@dataclass(frozen=True)
class MeasuredHome:
    """A household with real half-hours, the first day that has them, and the connections that it stands for."""

    household: str
    day: dt.date
    connections: tuple[int, ...]


def measured_visitors(homes: Sequence[MeasuredHome]) -> tuple[Visitor, ...]:
    """Of each household the first connection to whose mobile a code can go."""
    made = []
    for home in homes:
        rows = Connection.objects.filter(id__in=home.connections).exclude(consumer__mobile_key="")
        found = rows.select_related("consumer").order_by("id").first()
        if found is not None:
            old = OldNumber.objects.filter(connection=found).order_by("id").values_list("number", flat=True).first()
            due = owed_paise(discom=found.discom_id, subject=found.id)
            title = f"{home.household}: real half-hours on {home.day} and after"
            made.append(Visitor(title, found.consumer.mobile_key, found.account_number, old or "", due))
    return tuple(made)


def _well_read(today: dt.date) -> set[int]:
    """Meters with nearly every one of the last thirty days, and yesterday."""
    query = """
        select meter_id from metering_meterday where day >= %(today)s::date - 30 and day < %(today)s::date
            and channel = 0
        group by meter_id having count(distinct day) >= 29 and max(day) = %(today)s::date - 1"""
    with connection.cursor() as cursor:
        cursor.execute(query, {"today": today})
        return {meter for (meter,) in cursor.fetchall()}
