"""Every page there is, and who looks at it. A page of the policy that stands nowhere here fails the suite."""

import base64
import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from django_otp.oath import totp
from playwright.sync_api import Page

from khata.billing.models import Bill
from khata.billing.release import HeldRow, held
from khata.consumers.models import Connection
from khata.discoms.models import Discom
from khata.discoms.queries import division_named
from khata.migration.models import Finding, Proposal, Wave
from khata.payments.models import Receipt, Shift
from khata.payments.operations import receive
from khata.rehearsal.desk import OTHER_DIVISION
from tests.browser.kanpur import Kanpur, plain_home


@dataclass(frozen=True)
class Place:
    """`view` is the policy's name of it; `where` gives its path; `act` leads on to what only a form shows."""

    name: str
    view: str
    who: str
    where: Callable[[Kanpur], str]
    act: Callable[[Page], None] | None = None


def at(path: str) -> Callable[[Kanpur], str]:
    return lambda _: path


def typed(button: str = "main form button", **values: str) -> Callable[[Page], None]:
    """Fills the form in, sends it, and waits for the answer."""

    def send(page: Page) -> None:
        for name, value in values.items():
            page.fill(f"main [name={name}]", value)
        with page.expect_navigation():
            page.click(button)

    return send


def bill_of(kanpur: Kanpur) -> str:
    account = kanpur.visitor("a home with a bill to pay").account_number
    bill = Bill.objects.filter(connection__account_number=account).latest("cycle")
    return f"/bills/{bill.id}/"


def _held(kanpur: Kanpur, reason: str) -> str:
    row = next(row for row in held_here(kanpur) if row.reason == reason)
    return f"/staff/held/{row.part}/{row.connection}/"


def held_here(kanpur: Kanpur) -> list[HeldRow]:
    """Held bills that nobody decided on, of the division of the rehearsal's officers."""
    return [row for row in held(states=("waiting",), limit=1_000, offset=0) if row.division == kanpur.division.id]


def _connection(kanpur: Kanpur) -> str:
    home = Connection.objects.filter(division=kanpur.division, installation__meter__smart=True).earliest("id")
    return f"/staff/connections/{home.id}/"


def _shift(login: str) -> Callable[[Kanpur], str]:
    def path(_: Kanpur) -> str:
        return f"/staff/shifts/{Shift.objects.filter(staff__login=login).latest('id').id}/"

    return path


def _closing(kanpur: Kanpur) -> str:
    return _closing_of("counter1")


def _closing_of(login: str) -> str:
    return f"/staff/shifts/{Shift.objects.filter(staff__login=login).latest('id').id}/close/"


def of_the_wave(rest: str = "") -> str:
    return f"/staff/moves/{Wave.objects.latest('id').id}/{rest}"


def _difference() -> str:
    return of_the_wave(f"accept/?about={Proposal.objects.filter(about__startswith='equation:').latest('id').about}")


def _row() -> str:
    found = Finding.objects.filter(outcome="held").earliest("id")
    return of_the_wave(f"rows/{found.file_id}/{found.line}/")


PLACES = (
    Place("sign in", "portal:sign-in", "", at("/sign-in/")),
    Place("sign in, wrong mobile", "portal:sign-in", "", at("/sign-in/"), typed(mobile="12")),
    Place("code", "portal:code", "asked", at("/sign-in/code/")),
    Place("code, wrong", "portal:code", "asked", at("/sign-in/code/"), typed(code="1")),
    Place("code of the app", "portal:second", "half way", at("/sign-in/second/")),
    Place("code of the app, wrong", "portal:second", "half way", at("/sign-in/second/"), typed(code="1")),
    Place("safe sign-in, off", "portal:security", "plain", at("/security/")),
    Place("safe sign-in, on", "portal:security", "guarded", at("/security/")),
    Place("new mobile", "portal:mobile", "owing", at("/security/mobile/")),
    Place("who may see it", "portal:access", "owing", at("/access/")),
    Place("home, to pay", "portal:home", "owing", at("/")),
    Place("home, paid", "portal:home", "paid", at("/")),
    Place("home, meter read by the month", "portal:home", "plain", at("/")),
    Place("home, one of two", "portal:home", "several", at("/")),
    Place("connections", "portal:choose", "several", at("/connections/")),
    Place("pay", "portal:pay", "owing", at("/pay/")),
    Place("pay, nothing due", "portal:pay", "paid", at("/pay/")),
    Place("why a bill changed", "portal:why", "owing", lambda kanpur: f"{bill_of(kanpur)}why/"),
    Place("what if", "portal:what-if", "owing", at("/what-if/?units=100")),
    Place("bills", "portal:bills", "owing", at("/bills/")),
    Place("bill", "portal:bill", "owing", bill_of),
    Place("usage", "portal:usage", "owing", at("/usage/")),
    Place("usage in rupees", "portal:usage", "owing", at("/usage/?in=rupees")),
    Place("usage, meter read by the month", "portal:usage", "plain", at("/usage/")),
    Place("a day by half-hours", "portal:usage-day", "owing", at("/usage/day/2024-06-19/")),
    Place("a month by half-hours", "portal:usage-month", "owing", at("/usage/month/2024-06/")),
    Place("messages", "portal:messages", "owing", at("/messages/")),
    Place("wrong bill", "portal:wrong", "owing", at("/wrong-bill/")),
    Place("check an SMS", "portal:check", "", at("/check/")),
    Place("check an SMS, unknown", "portal:check", "", at("/check/"), typed(code="AB12CD", tail="1234")),
    Place("check a receipt", "portal:receipt-check", "", at("/receipt/")),
    Place("check a receipt, ours", "portal:receipt-check", "", lambda kanpur: kanpur.found["receipt check"]),
    Place("check a receipt, unknown", "portal:receipt-check", "", at("/receipt/?n=X99-1&c=AAAAAA")),
    Place("look up the new number", "portal:number", "", at("/number/")),
    Place("look up the new number, asked", "portal:number", "", at("/number/"), typed(number="1234567")),
    Place("lists of numbers", "portal:numbers", "", at("/numbers/")),
    Place("list of numbers", "portal:numbers-of", "", lambda kanpur: f"/numbers/{kanpur.division.id}/"),
    Place("no network", "offline", "", at("/offline/")),
    Place("accessibility", "accessibility", "", at("/accessibility/")),
    Place("privacy", "privacy", "", at("/privacy/")),
    Place("complaints", "complaints", "", at("/complaints/")),
    Place("not found", "", "", at("/nothing-here/")),
    Place("not found for a consumer", "", "owing", at("/bills/999999999/")),
    Place("not found for staff", "", "officer", at("/staff/receipts/999999999/")),
    Place("outbox", "outbox", "", at("/demo/outbox/")),
    Place("staff sign in", "staff:sign-in", "", at("/staff/sign-in/")),
    Place("staff sign in, wrong", "staff:sign-in", "", at("/staff/sign-in/"),
          typed(login="nobody", password="no", code="1")),
    Place("posts", "staff:post", "both", at("/staff/post/")),
    Place("counter", "staff:home", "cashier", at("/staff/")),
    Place("counter without a shift", "staff:home", "idle", at("/staff/")),
    Place("shift to open", "staff:shift-open", "idle", at("/staff/shifts/open/")),
    Place("shift to open, no amount", "staff:shift-open", "idle", at("/staff/shifts/open/"),
          typed("main form.form button", opening="five")),
    Place("shift", "staff:shift", "cashier", _shift("counter1")),
    Place("shift to close", "staff:shift-close", "cashier", _closing),
    Place("shift to close, too little", "staff:shift-close", "cashier", _closing,
          typed("main form.form button", declared="1")),
    Place("shift, closed", "staff:shift", "closed", _shift("closed")),
    Place("find", "staff:find", "cashier", at("/staff/find/")),
    Place("find, none", "staff:find", "cashier", at("/staff/find/"), typed("main form button", find="9999999999")),
    Place("found several", "staff:found", "cashier", lambda kanpur: kanpur.found["cashier"]),
    Place("found several, officer", "staff:found", "officer", lambda kanpur: kanpur.found["officer"]),
    Place("take money", "staff:pay", "cashier", lambda kanpur: kanpur.found["pay"]),
    Place("take money, too much", "staff:take", "cashier", lambda kanpur: kanpur.found["pay"],
          typed("main form.form button", amount="99999999")),
    Place("take money without a shift", "staff:pay", "idle", lambda kanpur: kanpur.found["idle"]),
    Place("receipt", "staff:receipt", "cashier", lambda kanpur: kanpur.found["receipt"]),
    Place("receipt, officer", "staff:receipt", "officer", lambda kanpur: kanpur.found["receipt"]),
    Place("work of today", "staff:home", "officer", at("/staff/")),
    Place("runs", "staff:runs", "officer", at("/staff/runs/")),
    Place("held", "staff:held", "officer", at("/staff/held/")),
    Place("held, second person", "staff:held", "officer", at("/staff/held/?state=second")),
    Place("held, kept", "staff:held", "officer", at("/staff/held/?state=kept")),
    Place("held bill, too much", "staff:held-one", "officer", lambda kanpur: _held(kanpur, "TOO-MUCH")),
    Place("held bill, no reading", "staff:held-one", "officer", lambda kanpur: _held(kanpur, "NO-READING")),
    Place("collection", "staff:collection", "officer", at("/staff/collection/")),
    Place("payments on hold", "staff:suspense", "officer", at("/staff/suspense/")),
    Place("payment on hold", "staff:suspense-one", "officer", lambda kanpur: kanpur.found["on hold"]),
    Place("payment on hold, nobody found", "staff:suspense-one", "officer", lambda kanpur: kanpur.found["on hold"],
          typed("main form.form button", find="1111111")),
    Place("receipt of held money", "staff:receipt", "officer",
          lambda kanpur: kanpur.found["on hold"].replace("suspense", "receipts")),
    Place("connection", "staff:connection", "officer", _connection),
    Place("mobile of a connection", "staff:mobile", "officer", lambda kanpur: f"{_connection(kanpur)}mobile/"),
    Place("meter data owed", "staff:meter-data", "officer", at("/staff/meter-data/")),
    Place("meter data owed, company", "staff:meter-data", "central", at("/staff/meter-data/?days=30")),
    Place("meter data in quarantine", "staff:quarantine", "central", at("/staff/meter-data/quarantine/")),
    Place("meter data noted", "staff:noted", "central", at("/staff/meter-data/noted/")),
    Place("waves of the move", "staff:moves", "central", at("/staff/moves/")),
    Place("wave", "staff:move", "central", lambda kanpur: of_the_wave()),
    Place("wave, own division", "staff:move", "officer", lambda kanpur: of_the_wave()),
    Place("wave, bills compared", "staff:move", "central", lambda kanpur: of_the_wave("?show=parallel")),
    Place("wave, numbers told", "staff:move", "central", lambda kanpur: of_the_wave("?show=told")),
    Place("difference of the move", "staff:move-accept", "central", lambda kanpur: _difference()),
    Place("exceptions of the move", "staff:move-exceptions", "central", lambda kanpur: of_the_wave("exceptions/")),
    Place("row of the move", "staff:move-exception", "central", lambda kanpur: _row()),
    Place("rules of the move", "staff:move-rules", "officer", at("/staff/moves/rules/")),
    Place("door list", "staff:move-door", "officer",
          lambda kanpur: of_the_wave(f"divisions/{kanpur.division.id}/door/")),
    Place("list with names", "staff:move-list", "officer",
          lambda kanpur: of_the_wave(f"divisions/{kanpur.division.id}/list/")),
)  # fmt: skip

# What answers with a redirect, a file or a word.
NOT_PAGES = {
    "language",
    "theme",
    "manifest",
    "worker",
    "portal:mobile-stop",
    "portal:known",  # a form like that of the app's code, half a year after it (tests/portal/test_second_step.py)
    "alive",
    "portal:sign-out",
    "portal:bill-pdf",
    "portal:usage-csv",
    "portal:usage-green-button",
    "portal:numbers-csv",
    "portal:numbers-pdf",
    "staff:sign-out",
    "staff:bill-pdf",
    "staff:receipt-pdf",
    "staff:meter-data-csv",
    "staff:decide",
    "staff:approve",
    "staff:move-decide",
    "staff:move-slips",
    *("api:openapi-json", "api:send", "api:upload", "api:connections", "api:connection", "api:usage", "api:day"),
    *("api:forecast", "api:bills", "api:bill", "api:change"),
}


def people_it(kanpur: Kanpur) -> None:
    """Everybody signs in; a shift is open with a receipt in it, another is closed; searches have found something."""
    for who, title in (
        ("owing", "a home with a bill to pay"),
        ("paid", "a home whose bill is paid"),
        ("several", "two connections under one mobile"),
    ):
        one = kanpur.visitor(title)
        kanpur.keep(who, lambda page, one=one: kanpur.sign_in_consumer(page, one.mobile, one.account_number))  # type: ignore[misc]
    kanpur.keep("plain", lambda page: kanpur.sign_in_consumer(page, plain_home()))
    kanpur.keep("guarded", lambda page: _guard(kanpur, page))
    kanpur.keep("half way", lambda page: _go_half_way(kanpur, page))
    kanpur.keep("asked", lambda page: kanpur.ask_code(page, "9876500000"))
    here, there = kanpur.division, division_named(kanpur.made.discom, OTHER_DIVISION)
    for login, role in (("idle", "cashier"), ("closed", "cashier"), ("both", "officer")):
        kanpur.hire(login, role, here)
    kanpur.also("both", "cashier", there)
    kanpur.counter("K03", here)
    for who, login, work in (
        ("cashier", "counter1", lambda page: _take_money(kanpur, page)),
        ("closed", "closed", lambda page: _close_a_shift(kanpur, page)),
        ("idle", "idle", lambda page: _search(kanpur, page, idle=_number(kanpur))),
        ("officer", "officer1", lambda page: _search(kanpur, page, officer=_frequent_name(kanpur))),
        ("both", "both", lambda page: None),
        ("central", "central1", lambda page: None),
    ):
        person = kanpur.staff[login]
        kanpur.keep(who, lambda page, person=person, work=work: (kanpur.sign_in_staff(page, person), work(page)))  # type: ignore[misc]


def _guard(kanpur: Kanpur, page: Page) -> None:
    """Somebody else switches the app on, as it is done."""
    kanpur.sign_in_consumer(page, plain_home(1))
    page.goto(f"{kanpur.site}/security/")
    secret = base64.b32decode(page.locator("main code").inner_text().replace(" ", ""))
    typed(code=f"{totp(secret):06d}")(page)
    page.goto(f"{kanpur.site}/security/")


def _go_half_way(kanpur: Kanpur, page: Page) -> None:
    kanpur.deliver()  # that the app was switched on is told, and must not be taken for the code
    before = len(kanpur.telephone())
    kanpur.ask_code(page, plain_home(1))
    page.fill("input[name=code]", kanpur.wait_for_sms(plain_home(1), since=before).sign_in_code)
    page.click("main button")
    page.wait_for_url("**/sign-in/second/")


def _number(kanpur: Kanpur) -> str:
    return kanpur.visitor("a home with a bill to pay").account_number


def _open_shift(kanpur: Kanpur, page: Page, counter: str) -> None:
    page.goto(f"{kanpur.site}/staff/")
    page.select_option("[name=counter]", label=next(
        label for label in page.locator("[name=counter] option").all_inner_texts() if label.startswith(counter)
    ))  # fmt: skip
    typed("main form.form button", opening="500")(page)


def _search(kanpur: Kanpur, page: Page, **what: str) -> None:
    """Keeps the path of what was found under the name given."""
    for name, text in what.items():
        page.goto(f"{kanpur.site}/staff/find/")
        typed("main .find button", find=text)(page)
        kanpur.found[name] = page.url.removeprefix(kanpur.site)
        assert kanpur.found[name] != "/staff/find/", f"nobody was found for {name}"


def _frequent_name(kanpur: Kanpur) -> str:
    """The first name that most consumers of the officers' division have."""
    names = Connection.objects.filter(division=kanpur.division).values_list("consumer__name", flat=True)
    return Counter(name.split()[0] for name in names).most_common(1)[0][0]


def _take_money(kanpur: Kanpur, page: Page) -> None:
    _open_shift(kanpur, page, "K01")
    _search(kanpur, page, receipt=kanpur.visitor("two connections under one mobile").old_number)
    typed("main form.form button", amount="500")(page)
    kanpur.found["receipt"] = page.url.removeprefix(kanpur.site)
    kanpur.found["receipt check"] = (
        page.locator("a[href*='/receipt/?']").get_attribute("href").removeprefix(kanpur.site)
    )
    _hold_money(kanpur)
    _search(kanpur, page, cashier=_frequent_name(kanpur), pay=_number(kanpur))


def _hold_money(kanpur: Kanpur) -> None:
    """A payment that came with the name of the wrong company."""
    day, other = Receipt.objects.latest("id").received_on, Discom.objects.exclude(id=kanpur.made.discom.id)
    taken = receive(
        channel="upi",
        reference="420601234567",
        office=kanpur.division.id,
        typed=kanpur.visitor("a home with a bill to pay").old_number,
        discom=other.earliest("id").code,
        amount_paise=500_00,
        received_at=dt.datetime.combine(day, dt.time(6), dt.UTC),
        today=day,
    )
    kanpur.found["on hold"] = f"/staff/suspense/{taken.receipt.id}/"


def _close_a_shift(kanpur: Kanpur, page: Page) -> None:
    _open_shift(kanpur, page, "K03")
    page.goto(f"{kanpur.site}{_closing_of('closed')}")
    typed("main form.form button", declared="500")(page)
