"""A small Kanpur as people meet it: served, with a telephone, and browsers in which somebody is signed in."""

import datetime as dt
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django_otp.oath import totp
from playwright.sync_api import Browser, BrowserContext, Page

from khata.consumers.models import Connection
from khata.consumers.operations import queue_codes
from khata.discoms.models import Office, Staff
from khata.discoms.operations import appoint, hire
from khata.discoms.queries import division_named
from khata.notices.backends.file import File, newest
from khata.notices.models import Mark, Message
from khata.notices.operations import send_queued
from khata.payments.operations import add_counter
from khata.rehearsal.desk import DIVISION, DeskPerson, Visitor
from khata.rehearsal.kanpur import CUT_OVER, DISCOM, Summary, build

ACCOUNTS = 2_000  # the fewest that have every kind of visitor, and held bills of each reason in the officers' division
TODAY = dt.date(2024, 6, 20)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
WITHOUT = "KHATA_ALLOW_NO_BROWSER"
_PATIENCE_SECONDS = 30


def chromium(allowed_without: bool) -> str:
    """Where Chromium is. A machine without it fails the suite, unless it said beforehand that it has none."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None and allowed_without:
        pytest.skip(f"no Chromium here, and {WITHOUT}=1 allows that")
    if found is None:
        pytest.fail(
            f"No Chromium was found (looked for {', '.join(CHROMIUM)} in PATH), so the pages were not looked at.\n"
            "Next step: on Debian, as an administrator, run `apt-get install chromium`; elsewhere install the "
            f"system's Chromium. To leave these tests out on a machine without it, set {WITHOUT}=1."
        )
    return found


def build_kanpur() -> Summary:
    with tempfile.TemporaryDirectory() as folder:
        made = build(
            accounts=ACCOUNTS,
            today=TODAY,
            tariffs=settings.KHATA_TARIFFS,
            handover=Path(folder),
            say=lambda *_: None,
        )
    # Three months of bills had thousands of things to say. Here they count as sent, so that no payment waits behind.
    last = Message.objects.latest("id").id
    Mark.objects.create(tried=last, settled=last)
    return made


@dataclass(frozen=True)
class Sms:
    mobile: str
    text: str

    @property
    def check_code(self) -> str:
        """Each ends with it."""
        return self.text.split()[-1]

    @property
    def sign_in_code(self) -> str:
        return next(word.rstrip("।.") for word in self.text.split() if word.rstrip("।.").isdecimal())


class Kanpur:
    """`site` is its address. States are cookies of browsers in which somebody signed in, and `found` paths
    that they came upon, both by name."""

    def __init__(self, made: Summary, *, site: str, outbox: Path, browser: Browser) -> None:
        self.made, self.site, self.outbox, self.browser = made, site, outbox, browser
        self.staff = {person.login: person for person in made.staff}
        self.states: dict[str, Any] = {}
        self.found: dict[str, str] = {}
        people = [vars(person) for person in made.staff]
        outbox.with_name("demo-staff.json").write_text(json.dumps(people), encoding="utf-8")

    def visitor(self, title: str) -> Visitor:
        return next(each for each in self.made.visitors if each.title == title)

    # -- browsers ------------------------------------------------------------------------------------------------------

    def context(
        self,
        *,
        width: int,
        language: str,
        who: str = "",
        script: bool = True,
        save_data: bool = False,
        height: int = 740,
        worker: bool = False,
    ) -> BrowserContext:
        """A browser with an empty cache, in which `who` (a name of `states`) is signed in.

        Without a service worker, unless it is asked for: what one keeps would be no part of what is measured.
        """
        made = self.browser.new_context(
            viewport={"width": width, "height": height},
            storage_state=self.states[who] if who else None,
            java_script_enabled=script,
            service_workers="allow" if worker else "block",
            extra_http_headers={"Save-Data": "on"} if save_data else None,
            has_touch=width < 600,
            is_mobile=width < 600,
        )
        speak(made, self.site, language)
        return made

    def keep(self, who: str, sign_in: Callable[[Page], None]) -> None:
        """Signs somebody in once, for all tests."""
        if who not in self.states:
            with self.context(width=360, language="hi") as context:
                sign_in(context.new_page())
                self.states[who] = {**context.storage_state(), "origins": []}

    # -- who signs in --------------------------------------------------------------------------------------------------

    def ask_code(self, page: Page, mobile: str) -> None:
        page.goto(f"{self.site}/sign-in/")
        page.fill("input[name=mobile]", mobile)
        page.click("main button")
        page.wait_for_url("**/sign-in/code/")

    def sign_in_consumer(self, page: Page, mobile: str, account: str = "") -> None:
        """Where several connections have the mobile, the one with this account number is chosen."""
        before = len(self.telephone())
        self.ask_code(page, mobile)
        sms = self.wait_for_sms(mobile, since=before)
        page.fill("input[name=code]", sms.sign_in_code)
        page.click("main button")
        page.wait_for_url(lambda url: "sign-in" not in url)
        if page.url.endswith("/connections/") and account:
            page.click(f"button:has-text('{account[:2]} {account[2:6]} {account[6:]}')")
            page.wait_for_url(lambda url: "connections" not in url)

    def sign_in_staff(self, page: Page, person: DeskPerson) -> None:
        """Each code is good once: a person signs in once in half a minute."""
        page.goto(f"{self.site}/staff/")
        page.fill("input[name=login]", person.login)
        page.fill("input[name=password]", person.password)
        page.fill("input[name=code]", f"{totp(bytes.fromhex(person.key)):06d}")
        page.click("main button")
        page.wait_for_url(lambda url: "sign-in" not in url)

    def hire(self, login: str, role: str, office: Office) -> DeskPerson:
        made = {"login": login, "name": f"{login} (नमूना)", "role": role, "office": office, "password": f"{login}-mango"}
        now = dt.datetime.combine(CUT_OVER, dt.time(), dt.UTC)
        _, device = hire(**made, from_date=CUT_OVER, now=now, actor="test")
        self.staff[login] = DeskPerson(login, role, office.name_en, made["password"], device.key)
        return self.staff[login]

    def also(self, login: str, role: str, office: Office) -> None:
        """A second post of a person."""
        staff = Staff.objects.get(login=login)
        now = dt.datetime.combine(CUT_OVER, dt.time(), dt.UTC)
        appoint(staff=staff, role=role, office=office, from_date=CUT_OVER, ended=False, now=now, actor="test")

    def counter(self, code: str, office: Office) -> int:
        return add_counter(office=office, code=code, name_hi=f"{office.name_hi}, खिड़की 2", name_en="window 2").id

    @property
    def division(self) -> Office:
        """The division of the rehearsal's officers."""
        return division_named(self.made.discom, DIVISION)

    # -- the telephone -------------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """What a worker of Khata does all day: codes asked for and messages queued go out."""
        now = dt.datetime.now(dt.UTC)
        queue_codes(now=now, key=settings.SECRET_KEY)
        send_queued(backend=File(self.outbox), key=settings.SECRET_KEY.encode(), now=now, limit=100)

    def telephone(self) -> list[Sms]:
        """All that came so far, the newest first."""
        return [Sms(str(each["mobile"]), str(each["text"])) for each in newest(path=self.outbox, limit=1_000)]

    def wait_for_sms(self, mobile: str, *, since: int) -> Sms:
        """The newest to a mobile among those that came after the first `since`."""
        began = time.monotonic()
        while time.monotonic() - began < _PATIENCE_SECONDS:
            self.deliver()
            found = self.telephone()
            for sms in found[: len(found) - since]:
                if sms.mobile.endswith(mobile):
                    return sms
        raise AssertionError(f"no SMS came to ..{mobile[-4:]}")


def speak(context: BrowserContext, site: str, language: str) -> None:
    context.add_cookies([{"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "url": site}])


def plain_home(which: int = 0) -> str:
    """The mobile of a home whose meter is read by the month, and which is alone under its mobile."""
    rows = Connection.objects.filter(discom__code=DISCOM, installation__meter__smart=False, consumer__language="hi")
    rows = rows.exclude(consumer__mobile_key="").select_related("consumer").order_by("id")
    keys = Counter(Connection.objects.values_list("consumer__mobile_key", flat=True))
    return [home.consumer.mobile_key for home in rows[:200] if keys[home.consumer.mobile_key] == 1][which]
