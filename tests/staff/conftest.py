"""A town with counters, cashiers and officers, and browsers in which they are signed in; the web works as role app."""

import os
import time
from collections.abc import Iterator
from importlib import import_module

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django_otp.plugins.otp_totp.models import TOTPDevice

from khata.discoms.models import Discom, Office, Staff
from khata.discoms.operations import appoint, hire
from khata.discoms.queries import posts_of
from khata.ledger.queries import first_offence
from khata.payments.models import Counter
from khata.payments.operations import add_counter, set_counter_policy
from khata.payments.queries import missing_serials
from khata.staff import session as staff_session
from tests.cast import ARRIVED, ASHA, BINA, CHARAN, GUMTI, JAJMAU, KESCO, Agreed, Town, day, may, smart, town
from tests.database import Database

TODAY = "2024-06-20"
PASSWORD = "mango-tree-seven"
MARKUP = "<script>alert('x')</script> Devi"
ENDED = ASHA.with_(
    name="Ended", terms=(Agreed("2023-04-01"), Agreed("2024-06-01", ended=True)), meters=(), old_number="7654321"
)
TWIN = CHARAN.with_(name="Deepa", meters=(), mobile="9876543299", old_number="1234567")  # the old number of Asha's too
MARKED = BINA.with_(
    name=MARKUP, meters=(), mobile="9876543277", old_number="8888888", address="1/2, <b>Lane</b>, Kanpur"
)
ABSURD = smart("Absurd", may(2_000_000), old_number="2222222", mobile="9876543201")  # 62,000 units at 2 kW
DEAR = smart("Dear", may(600_000), terms=(Agreed("2023-04-01", load_w=9_000),), mobile="9876543202")
FAR = smart("Far", may(2_000_000), division=JAJMAU, mobile="9876543203")
PEOPLE = (ASHA, BINA, CHARAN, ENDED, TWIN, MARKED, ABSURD, DEAR, FAR)


class Desk:
    """The town and who works at its desks. A browser is signed in without the form; `code` is for those that use it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.town: Town = town(PEOPLE)
        self.town.run("2024-06")
        self.town.run("2024-06", discom="PVVNL")
        company = Discom.objects.get(code=KESCO)
        set_counter_policy(discom=company, from_date=day("2024-04-01"), most_paise=1_99_999_00, source="test")
        self.gumti = Office.objects.get(discom=company, kind="division", name_en=GUMTI)
        self.jajmau = Office.objects.get(discom=company, kind="division", name_en=JAJMAU)
        self.counter = add_counter(office=self.gumti, code="G01", name_hi="खिड़की 1", name_en="Window 1")
        self.people: dict[str, Staff] = {}
        self.devices: dict[str, TOTPDevice] = {}
        for login, role, office in (
            ("kiran", "cashier", self.gumti),
            ("lata", "cashier", self.gumti),
            ("om", "officer", self.gumti),
            ("priya", "officer", self.gumti),
            ("far", "officer", self.jajmau),
            ("both", "officer", self.gumti),
        ):
            self.hire(login, role, office)
        appoint(
            staff=self.people["both"],
            role="cashier",
            office=self.gumti,
            from_date=day("2024-04-01"),
            ended=False,
            now=ARRIVED,
            actor="test",
        )

    def hire(self, login: str, role: str, office: Office) -> None:
        self.people[login], self.devices[login] = hire(
            login=login,
            name=f"{login.title()} of Gumti",
            password=PASSWORD,
            role=role,
            office=office,
            from_date=day("2024-04-01"),
            now=ARRIVED,
            actor="test",
        )

    def new_counter(self, code: str) -> Counter:
        return add_counter(office=self.gumti, code=code, name_hi="खिड़की", name_en="Window")

    def browser(self, login: str, *, language: str = "en") -> Client:
        client = anybody(language=language)
        staff = self.people[login]
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        post = posts_of(staff=staff.id, today=day(TODAY))[0]
        staff_session.start(session, staff=staff.id, post=post.id, at=time.time())
        session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        return client

    def cashier(self, login: str = "") -> "Client":
        """A new cashier with an open shift at a counter of their own, so that tests do not meet."""
        number = len(self.people)
        login = login or f"cashier{number}"
        with self.database.as_role("run"):
            self.hire(login, "cashier", self.gumti)
            counter = self.new_counter(f"G{number:02}")
        client = self.browser(login)
        response = client.post("/staff/shifts/open/", {"counter": counter.id, "opening": "500"}, secure=True)
        assert response.status_code == 303, response.content.decode()
        return client


def anybody(*, language: str = "en") -> Client:
    client = Client(headers={"host": "localhost"})
    client.defaults["wsgi.url_scheme"] = "https"
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    return client


PLAIN_FILES = {**settings.STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


@pytest.fixture(scope="module")
def desk(module_database: Database) -> Iterator[Desk]:
    os.environ["KHATA_TODAY"] = TODAY
    with override_settings(STORAGES=PLAIN_FILES, KHATA_COMPANY=KESCO):
        made = Desk(module_database)
        with module_database.as_role("app"):
            yield made
    del os.environ["KHATA_TODAY"]
    assert first_offence() is None
    assert missing_serials(limit=10) == []
