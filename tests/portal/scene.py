"""Consumers of two companies with bills and receipts, the staff of their offices, and browsers for all of them.

The web works as role app, at https://localhost. Nobody here sees more than the pages show.
"""

import datetime as dt
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler

from khata.billing.models import Bill, Unissued
from khata.consumers.models import SignIn
from khata.consumers.operations import queue_codes
from khata.discoms.models import Discom, Office, Staff
from khata.discoms.operations import appoint, hire
from khata.discoms.queries import posts_of
from khata.discoms.scope import scoped
from khata.notices.rules import sign_in_code
from khata.payments.models import Receipt
from khata.payments.operations import add_counter, open_shift, set_counter_policy, take_cash
from khata.portal import session as portal_session
from khata.staff import searches
from khata.staff import session as staff_session
from tests.cast import (
    ARRIVED,
    ASHA,
    BINA,
    CHARAN,
    GUMTI,
    JAJMAU,
    KESCO,
    MEERUT,
    PVVNL,
    Home,
    Town,
    day,
    may,
    office_scope,
    smart,
    town,
)
from tests.database import Database
from tests.pages import build_pages

TODAY = "2024-06-20"
PASSWORD = "mango-tree-seven"
# Under one mobile: a shop of Asha's, in another division.
ASHALATA = ASHA.with_(name="Ashalata", address="12 Gumti No. 5")
BINADEVI = BINA.with_(name="Binadevi", address="14 Gumti No. 5", old_number="1234569")
CHARANJIT = CHARAN.with_(name="Charanjit", old_number="1234560")
SHOP = smart("Dukanwali", may(6_000), mobile=ASHA.mobile, division=JAJMAU, address="4 Shop Lane", old_number="1234568")
EKTA = smart(
    "Ektarani", may(7_000), mobile="9876543214", division=JAJMAU, address="9 Jajmau Road", old_number="7654321"
)
# Each too much for its load, so that each is held.
HELD = smart("Heldgumti", may(2_000_000), mobile="9876543221", address="20 Held Lane")
HELD_FAR = smart("Heldjajmau", may(2_000_000), mobile="9876543222", division=JAJMAU, address="21 Held Lane")
HELD_AWAY = smart(
    "Heldmeerut", may(2_000_000), mobile="9876543223", discom=PVVNL, division=MEERUT, address="22 Held Lane"
)
PEOPLE = (ASHALATA, BINADEVI, CHARANJIT, SHOP, EKTA, HELD, HELD_FAR, HELD_AWAY)


@dataclass(frozen=True)
class Desk:
    """A cashier at a counter with an open shift, and a receipt made there for one of the own division."""

    staff: Staff
    shift: int
    counter: int
    receipt: int
    receipt_number: str


class Scene:
    """Who there is, by name; `sessions` are written straight into the database, the forms have tests of their own.

    `brought` is called when the connections are there and no bill is.
    """

    def __init__(
        self, database: Database, people: tuple[Home, ...] = PEOPLE, brought: Callable[[Town], None] = lambda _: None
    ) -> None:
        self.database = database
        self.people = {home.name: home for home in people}
        self.town: Town = town(people)
        brought(self.town)
        for code in (KESCO, PVVNL):
            self.town.run("2024-06", discom=code)
            company = Discom.objects.get(code=code)
            set_counter_policy(discom=company, from_date=day("2024-04-01"), most_paise=1_99_999_00, source="test")
        self.offices = {
            name: Office.objects.get(kind="division", name_en=name, discom__code=code)
            for name, code in ((GUMTI, KESCO), (JAJMAU, KESCO), (MEERUT, PVVNL))
        }
        self.staff: dict[str, Staff] = {}
        self.held = {row.connection_id: row.part_id for row in Unissued.objects.filter(outcome="held")}
        self.bills = {row.connection_id: row.id for row in Bill.objects.all()}
        self.officers = {name: self.hire(f"officer-{name}", "officer", name) for name in self.offices}
        self.desks = {
            name: self._desk(name, whose)
            for name, whose in ((GUMTI, "Ashalata"), (JAJMAU, "Ektarani"), (MEERUT, "Charanjit"))
            if whose in self.people
        }

    def hire(self, login: str, role: str, division: str = GUMTI) -> Staff:
        self.staff[login], _ = hire(
            login=login,
            name=login.title(),
            password=PASSWORD,
            role=role,
            office=self.offices[division],
            from_date=day("2024-04-01"),
            now=ARRIVED,
            actor="test",
        )
        return self.staff[login]

    def appoint(self, login: str, role: str, division: str = GUMTI, *, from_date: str, ended: bool) -> None:
        appoint(
            staff=self.staff[login],
            role=role,
            office=self.offices[division],
            from_date=day(from_date),
            ended=ended,
            now=ARRIVED,
            actor="test",
        )

    def _desk(self, division: str, whose: str) -> Desk:
        person = self.hire(f"cashier-{division}", "cashier", division)
        counter = add_counter(
            office=self.offices[division], code=f"{division[0]}01", name_hi="खिड़की 1", name_en="Window 1"
        )
        # The first minute of the day in India: whatever time it really is, the desk is open.
        now, today = dt.datetime(2024, 6, 19, 18, 30, tzinfo=dt.UTC), day(TODAY)
        with self.database.as_role("app"), scoped(office_scope(self.people[whose].discom)):
            shift = open_shift(counter=counter.id, staff=person.id, opening_paise=500_00, now=now, today=today)
            taken = take_cash(
                shift=shift.id,
                staff=person.id,
                reference=str(uuid.uuid4()),
                typed=self.town.accounts[whose],
                connection=self.town.connections[whose],
                matched=self.town.accounts[whose],
                amount_paise=100_00,
                now=now,
                today=today,
            )
        number = Receipt.objects.select_related("counter").get(id=taken.receipt.id).number
        return Desk(person, shift.id, counter.id, taken.receipt.id, number)

    def marks(self, name: str) -> tuple[str, ...]:
        """What of a person may stand on no page of a stranger: numbers, name and house."""
        account = self.town.accounts[name]
        home = self.people[name]
        mobile = home.mobile[-10:].replace(" ", "")
        old = (home.old_number,) if home.old_number else ()
        return (account, f"{account[:2]} {account[2:6]} {account[6:]}", home.address, mobile, home.name, *old)

    # -- browsers ------------------------------------------------------------------------------------------------------

    def consumer(self, name: str, *others: str) -> Client:
        """A consumer's browser, looking at the first of these connections."""
        pairs = tuple((self.town.connections[one], self.town.consumers[one]) for one in (name, *others))
        mobile = re.sub(r"^\+91|\s", "", self.people[name].mobile)
        signed = portal_session.Signed(portal_session.mobile_hash(mobile), pairs, 0)
        client, session = browser(), new_session()
        portal_session.start(session, signed)
        return carry(client, session)

    def worker(self, staff: Staff, *, post: int | None = None, chosen: bool = True, idle: float = 0) -> Client:
        """A browser in which a person of the staff is signed in, at the first post if no other is chosen."""
        posts = posts_of(staff=staff.id, today=day(TODAY)) if chosen else []
        client, session = browser(), new_session()
        at = time.time() - idle
        staff_session.start(session, staff=staff.id, post=post or (posts[0].id if posts else None), at=at)
        return carry(client, session)

    def search(self, client: Client, typed: str, *names: str) -> uuid.UUID:
        """Puts a search into a browser's session as if it had been made there."""
        session = held_by(client)
        rows: list[list[object]] = [[self.town.connections[name], typed, "number", False, "", ""] for name in names]
        token = uuid.uuid4()
        session[searches.KEY] = [[str(token), typed, rows]]
        session.save()
        return token

    # -- sign-in by the forms ------------------------------------------------------------------------------------------

    def code_of(self, client: Client) -> str:
        """The digits that the asking browser's SMS brought."""
        self.sent()
        (asked,) = self.sign_ins(id=held_by(client)["asked"]["id"])
        return sign_in_code(asked.nonce, settings.SECRET_KEY.encode(), digits=asked.digits)

    def sign_ins(self, **which: object) -> list[SignIn]:
        """Requests for codes, which the web itself may not list."""
        with self.database.as_role("run"):
            return list(SignIn.objects.filter(**which))

    def sent(self) -> int:
        """Lets the worker send; how many messages it queued."""
        with self.database.as_role("run"):
            return queue_codes(now=dt.datetime.now(dt.UTC), key=settings.SECRET_KEY)

    def sign_in(self, mobile: str, *, address: str = "10.9.0.1") -> tuple[Client, HttpResponse]:
        client = browser(address=address)
        client.post("/sign-in/", {"mobile": mobile})
        return client, client.post("/sign-in/code/", {"code": self.code_of(client)})

    def owner(self, statement: str, *params: object) -> None:
        """What nobody else may: turn back a clock, change a mobile, forget a count."""
        with self.database.connect("admin", autocommit=True) as admin:
            admin.execute(statement, params)


# Loading the middleware looks through all static files: once for all browsers. By whether forms need their token.
_HANDLERS = {strict: ClientHandler(enforce_csrf_checks=strict) for strict in (False, True)}


class Browser(Client):
    """Over https, always."""

    def __init__(self, *, csrf: bool, **more: Any) -> None:
        super().__init__(enforce_csrf_checks=csrf, **more)
        self.handler = _HANDLERS[csrf]

    def request(self, **request: Any) -> Any:
        return super().request(**{**request, "wsgi.url_scheme": "https", "SERVER_PORT": "443"})


def browser(*, language: str = "en", address: str = "10.0.0.1", csrf: bool = False) -> Client:
    client = Browser(csrf=csrf, headers={"host": "localhost"})
    client.defaults["REMOTE_ADDR"] = address
    if language:
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    return client


def new_session() -> SessionBase:
    store: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore()
    return store


def held_by(client: Client) -> SessionBase:
    """The session that a browser's cookie names, as it stands in the database."""
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    store: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(session_key=key)
    return store


def carry(client: Client, session: SessionBase) -> Client:
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    return client


_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')
_NEXT = re.compile(r'name="next" value="[^"]*"')


def body(response: HttpResponse) -> str:
    """A page without what is drawn anew each time and without its own address."""
    return _NEXT.sub("", _TOKEN.sub("", response.content.decode()))


@contextmanager
def web(database: Database) -> Iterator[None]:
    """Pages as they are in earnest, on the day of the scene."""
    build_pages()
    with database.as_role("app"):
        yield
