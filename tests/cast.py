"""A fixed cast, and a small town to put it into: everything through the operations that Khata itself uses.

Asha has a smart meter in Gumti, Bina a plain one beneath the same roof on an account of her own. Charan lives in
another company's area and must see nothing of theirs. Mohan reads meters and Sunita bills, both in Gumti only.
"""

import datetime as dt
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from khata.billing.models import Bill, BillPart, Unissued
from khata.billing.operations import run_cycle, set_policy
from khata.consumers.models import Connection, Terms
from khata.consumers.operations import NewConnections, connect
from khata.consumers.rules import seeded_bodies
from khata.discoms.models import Discom, Office, Post, Staff
from khata.discoms.operations import install_companies
from khata.discoms.queries import discom_named, division_named, divisions
from khata.discoms.scope import Scope
from khata.ledger.models import Balance, Posting
from khata.ledger.operations import open_books
from khata.ledger.rules import OWED
from khata.metering.models import ReadingCycle
from khata.metering.operations import NewDays, NewMeters, NewReadings, add_reading_cycle, hang, take_days, take_readings
from khata.notices.models import Message

REPOSITORY = Path(__file__).resolve().parents[1]
TARIFFS = REPOSITORY / "tariffs"
ARRIVED = dt.datetime(2024, 3, 14, tzinfo=dt.UTC)
OLD_UNTIL = dt.date(2024, 9, 13)

KESCO, PVVNL = "KESCO", "PVVNL"
GUMTI, JAJMAU, NAUBASTA, MEERUT = "Gumti", "Jajmau", "Naubasta", "Meerut"


def companies(regulator: str, tree: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, object]:
    """A file of companies as data: {company: {circle: [divisions]}}, numbered from 1."""
    return {
        "companies": [
            {"id": number, "code": code, "regulator": regulator, "name_en": code.title(), "name_hi": "कंपनी"}
            for number, code in enumerate(tree, start=1)
        ],
        "circles": [
            {"discom": code, "name_en": circle, "name_hi": "मण्डल", "divisions": dict.fromkeys(names, "खण्ड")}
            for code, circles in tree.items()
            for circle, names in circles.items()
        ],
    }


# Two circles in the first company, so that a circle, a division and a company see different things.
COMPANIES = companies(
    "UPERC", {KESCO: {"Circle I": [GUMTI, JAJMAU], "Circle II": [NAUBASTA]}, PVVNL: {"Circle West": [MEERUT]}}
)
POLICY = {
    "bill_day": 8,
    "due_days": 15,
    "hold_paise_per_kw": 10_000_00,
    "hold_load_percent": 150,
    "release_alone_paise": 50_000_00,
}
CYCLES: dict[str, dict[str, Any]] = {
    "R28": {"read_day": 28, "every_months": 1, "first_month": dt.date(2024, 1, 1)},
    "R28-EVEN": {"read_day": 28, "every_months": 2, "first_month": dt.date(2024, 2, 1)},
    "R28-ODD": {"read_day": 28, "every_months": 2, "first_month": dt.date(2024, 1, 1)},
}


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


@dataclass(frozen=True)
class Usage:
    """Meter days of a smart meter that really used `wh` each day from `first` on; `missing` days never arrived."""

    first: str
    wh: tuple[int, ...]
    opening: int = 1_000_000
    demand_w: int = 1_000
    missing: frozenset[str] = frozenset()

    def columns(self, meter: int) -> NewDays:
        days = np.datetime64(self.first) + np.arange(len(self.wh))
        kept = ~np.isin(days, np.array(sorted(self.missing), "datetime64[D]"))
        used = np.array(self.wh, np.int64)
        many = int(kept.sum())
        return NewDays(
            np.full(many, meter),
            days[kept],
            used[kept],
            self.opening + np.cumsum(used)[kept],
            np.full(many, self.demand_w),
        )


@dataclass(frozen=True)
class Hung:
    """A meter, from when it hangs there and what it showed. Readings are (day, register in Wh, demand in W)."""

    serial: str
    since: str = "2023-04-01"
    cycle: str = ""  # the reading cycle of a meter that is not smart
    readings: tuple[tuple[str, int, int], ...] = ()
    usage: tuple[Usage, ...] = ()


@dataclass(frozen=True)
class Agreed:
    """Terms from a day on."""

    since: str
    load_w: int = 2_000
    category: str = "LMV-1"
    area: str = "urban"
    mode: str = "postpaid"
    ended: bool = False


@dataclass(frozen=True)
class Home:
    """A connection with its consumer, terms and meters, as a test wants it."""

    name: str
    terms: tuple[Agreed, ...] = (Agreed("2023-04-01"),)
    meters: tuple[Hung, ...] = ()
    discom: str = KESCO
    division: str = GUMTI
    mobile: str = "9876543210"
    language: str = "hi"
    address: str = "12 Gumti No. 5"
    old_number: str = ""

    def with_(self, **changes: object) -> "Home":
        return replace(self, **changes)  # type: ignore[arg-type]


MAY = Usage("2024-05-01", (8_000,) * 31)  # 248 kWh
ASHA = Home("Asha", meters=(Hung("SMART-1", usage=(MAY,)),), old_number="1234567")
BINA = Home(
    "Bina",
    meters=(Hung("PLAIN-1", cycle="R28", readings=(("2024-04-28", 500_000, 900), ("2024-05-28", 620_000, 1_100))),),
    mobile="+91 98765 43211",
    language="en",
)
CHARAN = Home(
    "Charan",
    meters=(Hung("SMART-2", usage=(replace(MAY, opening=7_000_000),)),),
    discom=PVVNL,
    division=MEERUT,
    mobile="9876543212",
    address="3 Meerut Road",
)
CAST = (ASHA, BINA, CHARAN)


def smart(name: str, *usage: Usage, **changes: object) -> Home:
    """A home with one smart meter."""
    return Home(name, meters=(Hung(f"S-{name}", usage=usage),)).with_(**changes)


def plain(name: str, *readings: tuple[str, int, int], cycle: str = "R28", **changes: object) -> Home:
    """A home with one meter that is read on the spot."""
    return Home(name, meters=(Hung(f"P-{name}", cycle=cycle, readings=readings),)).with_(**changes)


def may(wh: int, **changes: object) -> Usage:
    return Usage("2024-05-01", (wh,) * 31, **changes)  # type: ignore[arg-type]


@dataclass
class Town:
    """What was built, by the names that a test uses, and the questions a test asks."""

    connections: dict[str, int] = field(default_factory=dict)
    consumers: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    meters: dict[str, int] = field(default_factory=dict)
    tariffs: Path = TARIFFS
    discom: str = KESCO

    def run(
        self,
        cycle: str,
        *,
        division: str = "",
        part_size: int = 100,
        discom: str = "",
        bill_date: str = "",
        workers: int = 2,
        today: dt.date | None = None,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> dict[str, int]:
        """Run a bill month of one company, or of one of its divisions; the equations of all divisions summed."""
        company = discom_named(discom or self.discom)
        chosen = [division_named(company, division)] if division else divisions(company)
        equations = run_cycle(
            discom=company,
            cycle=day(f"{cycle}-01"),
            divisions=chosen,
            bill_date=day(bill_date) if bill_date else None,
            tariffs=self.tariffs,
            part_size=part_size,
            today=today or day(f"{cycle}-01") + dt.timedelta(days=27),
            workers=workers,
            actor="test",
            progress=progress,
        )
        return summed(equations.values())

    def bill(self, name: str, cycle: str = "2024-06") -> Bill:
        return Bill.objects.get(connection_id=self.connections[name], cycle=day(f"{cycle}-01"))

    def parts(self, name: str, cycle: str = "2024-06") -> list[BillPart]:
        return list(BillPart.objects.filter(bill=self.bill(name, cycle)).order_by("number"))

    def lines(self, name: str, cycle: str = "2024-06") -> list[dict[str, int]]:
        """Paise of each line, by its name, one a part."""
        parts = BillPart.objects.filter(bill=self.bill(name, cycle)).select_related("schedule").order_by("number")
        return [dict(zip(part.schedule.lines, part.lines_paise, strict=True)) for part in parts]

    def unissued(self, name: str, cycle: str = "2024-06") -> tuple[str, str]:
        """Outcome and code of the reason."""
        found = Unissued.objects.get(connection_id=self.connections[name], part__run__billrun__cycle=day(f"{cycle}-01"))
        return found.outcome, found.reason

    def balance(self, name: str) -> int:
        found = Balance.objects.filter(subject=self.connections[name], head__code__in=OWED)
        return sum(found.values_list("amount_paise", flat=True))

    def posted(self, name: str, cycle: str = "2024-06") -> int:
        """What the bill's entry put on the connection's account."""
        entry = self.bill(name, cycle).entry_id
        return Posting.objects.get(entry_id=entry, subject=self.connections[name]).amount_paise

    def messages(self, name: str) -> list[Message]:
        return list(Message.objects.filter(subject=self.connections[name]).order_by("id"))

    def seen_by(self, name: str) -> Scope:
        """The scope of a consumer who has signed in."""
        return Scope(consumer=self.consumers[name], office_from=None, office_to=None)


def summed(equations: Iterable[Mapping[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for equation in equations:
        for word, count in equation.items():
            totals[word] = totals.get(word, 0) + count
    return totals


def office_scope(discom: str, name: str = "", *, kind: str = Office.Kind.DIVISION) -> Scope:
    """The scope of somebody posted at an office; without a name, at the company itself."""
    offices = Office.objects.filter(discom__code=discom)
    office = offices.get(kind=kind, name_en=name) if name else offices.get(kind=Office.Kind.COMPANY)
    return Scope(consumer=None, office_from=office.id, office_to=office.last)


def town(
    homes: Sequence[Home] = CAST,
    *,
    offices: Mapping[str, object] = COMPANIES,
    policy: Mapping[str, int] = POLICY,
    policy_from: str = "2024-03-14",
    cycles: Mapping[str, Mapping[str, Any]] = CYCLES,
    tariffs: Path = TARIFFS,
) -> Town:
    """Companies with books, billing policy and reading cycles; then each home with its meters and what they showed."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(dict(offices), file, allow_unicode=True)
        file.flush()
        install_companies(file=Path(file.name))
    made = {discom.code: discom for discom in Discom.objects.all()}
    for discom in made.values():
        open_books(discom=discom)
        set_policy(discom=discom, from_date=day(policy_from), **policy)
        for code, cycle in cycles.items():
            add_reading_cycle(discom=discom, code=code, **cycle)
    built = Town(tariffs=tariffs, discom=next(iter(made)))
    for home in homes:
        settle(built, home, made[home.discom])
    return built


def settle(built: Town, home: Home, discom: Discom) -> None:
    """One home into a town."""
    first, *later = home.terms
    rows = NewConnections(
        name=[home.name],
        mobile=[home.mobile],
        language=[home.language],
        address=[home.address],
        division=np.array([division_named(discom, home.division).id]),
        connected_on=np.array([first.since], "datetime64[D]"),
        category=[first.category],
        area=[first.area],
        mode=[first.mode],
        load_w=np.array([first.load_w]),
        old_number=[home.old_number],
    )
    draw = seeded_bodies(len(built.connections))
    made = connect(discom=discom.id, rows=rows, wave="w1", old_until=OLD_UNTIL, now=ARRIVED, draw=draw)
    (identity,) = made.tolist()
    connection = Connection.objects.get(id=identity)
    built.connections[home.name], built.consumers[home.name] = identity, connection.consumer_id
    built.accounts[home.name] = connection.account_number
    for terms in later:
        agree(built, home.name, terms)
    for meter in home.meters:
        hang_up(built, home.name, meter, discom)


def agree(built: Town, name: str, terms: Agreed) -> None:
    """Other terms from a day on; the same day again is the next revision."""
    connection = built.connections[name]
    known = Terms.objects.filter(connection_id=connection, from_date=day(terms.since)).count()
    Terms.objects.create(
        connection_id=connection,
        from_date=day(terms.since),
        revision=known,
        known_at=ARRIVED,
        category=terms.category,
        area=terms.area,
        mode=terms.mode,
        load_w=terms.load_w,
        ended=terms.ended,
    )


def hang_up(built: Town, name: str, meter: Hung, discom: Discom) -> None:
    cycle = ReadingCycle.objects.get(discom=discom, code=meter.cycle).id if meter.cycle else 0
    new = NewMeters(
        serial=np.array([meter.serial.encode()]),
        smart=np.array([not meter.cycle]),
        connection=np.array([built.connections[name]]),
        from_date=np.array([meter.since], "datetime64[D]"),
        cycle=np.array([cycle]),
    )
    (built.meters[meter.serial],) = hang(discom=discom.id, meters=new, now=ARRIVED).tolist()
    read(built, meter.serial, *meter.readings)
    for usage in meter.usage:
        take_days(days=usage.columns(built.meters[meter.serial]), sender="test", today=dt.date(2024, 12, 31))


def read(built: Town, serial: str, *readings: tuple[str, int, int]) -> None:
    """Readings on the spot: day, register in Wh, demand in W since the reading before."""
    if not readings:
        return
    days, registers, demands = zip(*readings, strict=True)
    columns = NewReadings(
        np.full(len(days), built.meters[serial]),
        np.array(days, "datetime64[D]"),
        np.array(registers, np.int64),
        np.array(demands, np.int64),
    )
    take_readings(readings=columns, source="reader")


def post_staff(login: str, name: str, role: str, office: Office) -> Staff:
    person = Staff.objects.create(login=login, name=name, password="!")
    Post.objects.create(staff=person, office=office, role=role, from_date=day("2024-04-01"), known_at=ARRIVED)
    return person


def posted_in(division: str = GUMTI, discom: str = KESCO) -> tuple[Staff, Staff]:
    """Mohan, who reads meters, and Sunita, who bills: both of one division."""
    office = Office.objects.get(discom__code=discom, kind=Office.Kind.DIVISION, name_en=division)
    return post_staff("mohan", "Mohan", "meter-reader", office), post_staff("sunita", "Sunita", "billing-clerk", office)


def crowd(built: Town, count: int, *, seed: int, discom: str = KESCO) -> None:
    """Strangers, alike for the same seed: homes and shops in all divisions, a third with smart meters, some absurd."""
    rng = np.random.default_rng(seed)
    company = discom_named(discom)
    offices = np.array([office.id for office in divisions(company)])
    since = np.full(count, np.datetime64("2023-04-01"))
    rows = NewConnections(
        name=[f"Stranger {number}" for number in range(count)],
        mobile=["" if number % 9 == 0 else f"9{number:09d}" for number in range(count)],
        language=["en" if number % 4 == 0 else "hi" for number in range(count)],
        address=["Kanpur"] * count,
        division=rng.choice(offices, count),
        connected_on=since,
        category=rng.choice(["LMV-1", "LMV-1", "LMV-1", "LMV-2"], count).tolist(),
        area=rng.choice(["urban", "urban", "rural"], count).tolist(),
        mode=["postpaid"] * count,
        load_w=rng.choice([1_000, 2_000, 3_000, 5_000], count),
        old_number=[""] * count,
    )
    draw = seeded_bodies([seed, 1])
    ids = connect(discom=company.id, rows=rows, wave="w1", old_until=OLD_UNTIL, now=ARRIVED, draw=draw)
    smart = np.arange(count) % 3 == 0
    cycle = ReadingCycle.objects.get(discom=company, code="R28").id
    serials = np.char.add(b"C", ids.astype("S20"))
    meters = hang(
        discom=company.id, meters=NewMeters(serials, smart, ids, since, np.where(smart, 0, cycle)), now=ARRIVED
    )
    plain, many = meters[~smart], int((~smart).sum())
    opening, used = rng.integers(10**5, 10**7, many), rng.integers(-2_000, 400_000, many)
    for date, register in (("2024-04-28", opening), ("2024-05-28", opening + used)):
        demand = rng.integers(100, 2_500, many)
        take_readings(
            readings=NewReadings(plain, np.full(many, np.datetime64(date)), register, demand), source="reader"
        )
    days = np.arange(np.datetime64("2024-05-01"), np.datetime64("2024-06-01"))
    total = rng.integers(500, 15_000, (int(smart.sum()), len(days)))
    take_days(
        days=NewDays(
            np.repeat(meters[smart], len(days)),
            np.tile(days, int(smart.sum())),
            total.ravel(),
            (np.cumsum(total, axis=1) + 10**6).ravel(),
            rng.integers(100, 3_000, total.size),
        ),
        sender="test",
        today=dt.date(2024, 12, 31),
    )
