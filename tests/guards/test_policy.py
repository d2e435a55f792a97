"""Who may open what: every address x every role x {own, other division, other company, none} x {GET, POST}.

What must be answered is computed from the policy table and from the two small tables here: what an address names, and
what of it a role may see.
"""

import os
import re
import types
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import NoReverseMatch, URLPattern, URLResolver, path, reverse

from khata.billing.models import Unissued
from khata.billing.release import decide
from khata.consumers.access import end_view, give_view
from khata.consumers.models import ViewGrant
from khata.discoms.models import Post
from khata.discoms.scope import scoped
from khata.migration.models import File, Proposal, SourceRow, Wave
from khata.payments.operations import receive
from khata.portal import session as portal_session
from khata.site import urls
from khata.site.policy import POLICY
from tests.cast import ARRIVED, GUMTI, JAJMAU, KESCO, MEERUT, office_scope
from tests.database import Database
from tests.portal.scene import TODAY, Browser, Scene, body, browser, carry, new_session, web

NOWHERE = 999_999_999
OBJECTS = ("own", "other division", "other company", "none")
OWNER = {"own": "Ashalata", "other division": "Ektarani", "other company": "Charanjit"}
HELD = {"own": "Heldgumti", "other division": "Heldjajmau", "other company": "Heldmeerut"}
DIVISION = {"own": GUMTI, "other division": JAJMAU, "other company": MEERUT}

# What of the objects each role sees. A cashier serves the whole company; searches, a shift and posts are one's own.
SEEN = {
    "consumer": {"own"},
    "viewer": {"own"},  # the one connection that its holder lets somebody see
    "cashier": {"own", "other division"},
    "officer": {"own"},
}
PERSONAL = {"search", "shift", "post"}
OF_THE_COMPANY = {"wave"}  # that it moves, each of its offices sees
WAITING = "of several posts none chosen"
VIEWERS = {"tenant": "9876500001", "taken back": "9876500002"}

ONLY_GET = {
    *("worker", "offline", "theme", "manifest", "accessibility", "privacy", "complaints", "alive", "outbox"),
    *("portal:numbers", "portal:numbers-csv", "portal:numbers-pdf"),
    *("portal:home", "portal:pay", "portal:bills", "portal:bill", "portal:bill-pdf", "portal:messages", "portal:wrong"),
    *("portal:why", "portal:what-if"),
    *("api:openapi-json", "api:connections", "api:connection", "api:usage", "api:day", "api:forecast"),
    *("api:bills", "api:bill", "api:change", "api:upload"),
    *("portal:usage", "portal:usage-day", "portal:usage-month", "portal:usage-csv", "portal:usage-green-button"),
    *("staff:home", "staff:found", "staff:connection", "staff:bill-pdf", "staff:shift", "staff:pay", "staff:receipt"),
    *("staff:receipt-pdf", "staff:runs", "staff:held", "staff:held-one", "staff:collection", "staff:suspense"),
    *("staff:meter-data", "staff:meter-data-csv", "staff:quarantine", "staff:noted"),
    *("staff:moves", "staff:move", "staff:move-rules", "staff:move-exceptions", "staff:move-slips"),
}
ONLY_POST = {
    *("language", "portal:sign-out", "staff:sign-out", "staff:take", "staff:decide", "staff:approve"),
    *("staff:move-decide", "portal:mobile-stop", "api:send"),
}
# Where a sender's credential alone counts, which no browser has (tests/api/test_sending.py). A session opens nothing.
FOR_SENDERS = {"api:send", "api:upload"}
# There is one bill in this scene, and nothing to compare it with (tests/api/test_connections.py).
NOTHING_BEFORE = {"api:change"}
# Lists of numbers and slips, which exist once a company has moved; none has in this scene.
LISTS = {"portal:numbers-of", "portal:numbers-csv", "portal:numbers-pdf", "staff:move-slips"}
# What an address names that is nobody's: a colour, a day, a month.
PLAIN: dict[str, list[object]] = {
    "theme": ["1f1d4e"],
    "portal:usage-day": ["2024-05-10"],
    "portal:usage-month": ["2024-05"],
    "api:send": ["block-csv"],
    "api:upload": ["0b6a1c1e-7f57-4d0e-9a52-6a3d3f0b5a11"],
}
# A company's own office alone signs for it; the officers of this scene are of divisions.
SIGNED_BY_THE_COMPANY = {"staff:move-accept"}
# Not there on an installation that is no demo.
OF_THE_DEMO = {"outbox"}
# What an address or a form of it names. An address that names nothing is asked once.
NAMES = {
    "api:connection": "number",
    "api:usage": "number",
    "api:day": "number",
    "api:forecast": "number",
    "api:bills": "number",
    "api:bill": "number",
    "api:change": "number",
    "portal:bill": "bill",
    "portal:bill-pdf": "bill",
    "portal:why": "bill",
    "portal:choose": "connection in the form",
    "staff:bill-pdf": "bill",
    "staff:connection": "connection",
    "staff:mobile": "connection",
    "staff:found": "search",
    "staff:pay": "search",
    "staff:take": "search",
    "staff:post": "post",
    "staff:shift": "shift",
    "staff:shift-close": "shift",
    "staff:receipt": "receipt",
    "staff:receipt-pdf": "receipt",
    "staff:held-one": "held",
    "staff:decide": "held",
    "staff:approve": "held",
    "staff:suspense-one": "suspended",
    "staff:move": "wave",
    "staff:move-accept": "wave",
    "staff:move-exceptions": "wave",
    "staff:move-exception": "row",
    "staff:move-decide": "proposal",
    "staff:move-door": "moved division",
    "staff:move-list": "moved division",
}
# After these a browser is not signed in as it was.
ENDS_SESSIONS = {"portal:sign-out", "staff:sign-out", "staff:post", "portal:choose", "portal:sign-in", "staff:sign-in"}
IN_THE_FORM = {"portal:choose", "staff:post"}  # asked with GET they name nothing


def names_of(patterns: Sequence[URLPattern | URLResolver], space: str = "") -> list[str]:
    """The name of every address, as the resolver knows it; an address without one under its pattern."""
    found = []
    for each in patterns:
        if isinstance(each, URLResolver):
            found += names_of(each.url_patterns, f"{space}{each.namespace}:" if each.namespace else space)
        else:
            found.append(f"{space}{each.name or each.pattern}")
    return found


def test_every_address_has_a_policy_and_every_policy_an_address() -> None:
    assert sorted(names_of(urls.urlpatterns)) == sorted(POLICY)
    assert all(POLICY.values())
    assert set().union(*POLICY.values()) == {"anyone", "sender", *SEEN}  # a new role must be brought in here


def test_the_tables_of_this_test_name_addresses_that_are() -> None:
    assert {*ONLY_GET, *ONLY_POST, *NAMES} <= set(POLICY)
    with_arguments = {name for name in POLICY if not reversible(name)}
    assert with_arguments == NAMES.keys() - IN_THE_FORM | LISTS | PLAIN.keys()


def reversible(name: str) -> bool:
    try:
        reverse(name)
    except NoReverseMatch:
        return False
    return True


# -- the scene ---------------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """One request, as somebody."""

    name: str
    role: str
    thing: str
    method: str


class Matrix:
    def __init__(self, database: Database) -> None:
        self.scene = Scene(database)
        scene = self.scene
        scene.hire("two", "cashier")
        scene.appoint("two", "officer", from_date="2024-04-01", ended=False)
        scene.hire("past", "officer")
        scene.appoint("past", "officer", from_date="2024-06-01", ended=True)
        scene.hire("gone", "officer")
        scene.owner("update discoms_staff set active = false where login = 'gone'")
        self.posts = {
            thing: Post.objects.filter(staff__login=f"officer-{where}").values_list("id", flat=True)[0]
            for thing, where in DIVISION.items()
        }
        with database.as_role("app"):
            self.strangers = {
                thing: scene.search(scene.worker(scene.desks[where].staff), "typed", OWNER[thing])
                for thing, where in DIVISION.items()
            }
        people = {"cashier": f"cashier-{GUMTI}", "officer": f"officer-{GUMTI}", WAITING: "two"}
        self.own_posts = {
            role: Post.objects.filter(staff__login=login).values_list("id", flat=True)[0]
            for role, login in people.items()
        }
        self.suspended = {
            thing: receive(
                channel="upi",
                reference=f"U-{thing}",
                office=scene.offices[where].id,
                typed="999999",
                discom=None,
                amount_paise=100_00,
                received_at=ARRIVED,
                today=ARRIVED.date(),
            ).receipt.id
            for thing, where in DIVISION.items()
        }
        self.rows = {thing: self._handed_over(where) for thing, where in DIVISION.items()}
        self.views = {called: self._let_in(mobile, called) for called, mobile in VIEWERS.items()}
        with database.as_role("app"), scoped(scene.town.seen_by(OWNER["own"])), transaction.atomic():
            assert end_view(view=uuid.UUID(self.views["taken back"][0]))
        self.browsers: dict[str, Client] = {}
        for thing, name in HELD.items():  # so that there is something to approve
            with scoped(office_scope(scene.people[name].discom, DIVISION[thing])):
                row = Unissued.objects.get(connection_id=scene.town.connections[name])
                second = scene.hire(f"second-{name}", "officer", DIVISION[thing])
                decide(unissued=row, staff=second, verdict="keep", reason="to be looked at again", now=ARRIVED)

    def _let_in(self, mobile: str, called: str) -> tuple[str, int]:
        """The pair that a session of somebody holds whom the holder lets see the own connection."""
        one = self.scene.town.connections[OWNER["own"]]
        holder = scoped(self.scene.town.seen_by(OWNER["own"]))
        with self.scene.database.as_role("app"), holder, transaction.atomic():
            assert not give_view(connection_id=one, mobile=mobile, label=called, now=ARRIVED, key="key")
        return str(ViewGrant.objects.get(mobile_key=mobile).id), one

    def _viewer(self, called: str) -> Client:
        hashed = portal_session.mobile_hash(VIEWERS[called])
        client, session = browser(), new_session()
        portal_session.start(session, portal_session.Signed(hashed, (), 0, (self.views[called],)))
        return carry(client, session)

    def _handed_over(self, where: str) -> Proposal:
        """A row of a file of the division's company, and what somebody there proposed to write in it."""
        office = self.scene.offices[where]
        wave, _ = Wave.objects.get_or_create(discom=office.discom, code="W1")
        facts = {"encoding": "utf-8", "header": ["ACCT_ID", "SERIAL_NBR"]}
        named = {"name": f"meters_{where}.csv", "sha256": "", "bytes": 9, "rows": 1, "facts": facts}
        file = File.objects.create(wave=wave, division=office, kind="meters", version=1, **named)
        SourceRow.objects.create(file=file, line=2, raw=b"1234567,M1\n")
        maker = self.scene.officers[where]
        said = {"column": "SERIAL_NBR", "value": "M2", "reason": "read at the door", "maker": maker, "made_at": ARRIVED}
        return Proposal.objects.create(wave=wave, division=office, kind="correct", about=f"row:{file.id}:2", **said)

    def client(self, role: str) -> Client:
        scene = self.scene
        somebody: dict[str, Callable[[], Client]] = {
            "anyone": browser,
            "consumer": lambda: scene.consumer("Ashalata"),
            "viewer": lambda: self._viewer("tenant"),
            "view taken back": lambda: self._viewer("taken back"),
            "cashier": lambda: scene.worker(scene.desks[GUMTI].staff),
            "officer": lambda: scene.worker(scene.officers[GUMTI]),
            WAITING: lambda: scene.worker(scene.staff["two"], chosen=False),
            "post ended": lambda: scene.worker(scene.staff["past"]),
            "left the company": lambda: scene.worker(scene.staff["gone"]),
            "idle too long": lambda: scene.worker(scene.officers[GUMTI], idle=31 * 60),
            "signed in yesterday": lambda: scene.worker(scene.officers[GUMTI], idle=11 * 3600),
            "consumer signed out": self._signed_out,
        }
        return somebody[role]()

    def _signed_out(self) -> Client:
        """The cookie is sent again by somebody who kept it."""
        client = self.scene.consumer("Ashalata")
        kept = client.cookies.output(header="", sep=";")
        assert client.post("/sign-out/").status_code == 302
        client.cookies.load(kept)
        return client

    def ask(self, cell: Cell) -> HttpResponse:
        if cell.name in ENDS_SESSIONS or cell.role not in self.browsers:
            self.browsers[cell.role] = self.client(cell.role)
        client = self.browsers[cell.role]
        if cell.name in ENDS_SESSIONS or cell.role not in SEEN:
            del self.browsers[cell.role]
        arguments, form = self._names(client, cell)
        address = reverse(cell.name, args=arguments)
        asked = form if cell.name in SIGNED_BY_THE_COMPANY else None
        return client.get(address, asked) if cell.method == "GET" else client.post(address, form)

    def _names(self, client: Client, cell: Cell) -> tuple[list[object], dict[str, object]]:
        scene, what, thing = self.scene, NAMES.get(cell.name), cell.thing
        if cell.name in PLAIN:
            return PLAIN[cell.name], {}
        if cell.name in LISTS:
            before = [self.rows["own"].wave_id] if cell.name == "staff:move-slips" else []
            return [*before, scene.offices[GUMTI].id], {"number": "1234567"}
        if what is None:
            return [], {}
        connection = scene.town.connections.get(OWNER.get(thing, ""), NOWHERE)
        if what == "number":
            more = {"api:day": ["2024-05-10"], "api:bill": [scene.bills.get(connection, NOWHERE)]}
            more["api:change"] = more["api:bill"]
            return [scene.town.accounts.get(OWNER.get(thing, ""), "0000000001"), *more.get(cell.name, [])], {}
        desk = scene.desks.get(DIVISION.get(thing, ""))
        if what == "search":
            at: list[object] = [] if cell.name == "staff:found" else [0]
            return [self._search(client, cell), *at], {"amount": ""}
        if what == "held":
            held = scene.town.connections.get(HELD.get(thing, ""), NOWHERE)
            verdict = "keep" if cell.name == "staff:decide" else "approve"
            # too short a reason: the page answers, and nothing is decided for the cells that follow
            return [scene.held.get(held, NOWHERE), held], {"verdict": verdict, "reason": "short"}
        if what in ("wave", "row", "proposal", "moved division"):
            return self._moved(what, thing)
        if what == "post":
            return [], {"post": self._post(cell)}
        if what == "connection in the form":
            return [], {"connection": connection}
        found: dict[str, object] = {
            "connection": connection,
            "bill": scene.bills.get(connection, NOWHERE),
            "shift": desk.shift if desk else NOWHERE,
            "receipt": desk.receipt if desk else NOWHERE,
            "suspended": self.suspended.get(thing, NOWHERE),
        }
        return [found[what]], {}

    def _moved(self, what: str, thing: str) -> tuple[list[object], dict[str, object]]:
        """Too short a reason each time: the page answers, and nothing is proposed, decided or handed out."""
        row = self.rows.get(thing)
        wave = row.wave_id if row else NOWHERE
        if what == "row":
            file = int(row.about.split(":")[1]) if row else NOWHERE
            return [wave, file, 2], {"column": "SERIAL_NBR", "value": "M3", "reason": "short"}
        if what == "proposal":
            return [wave], {"proposal": row.id if row else NOWHERE, "verdict": "refuse", "why": "short"}
        if what == "moved division":
            division = self.scene.offices[DIVISION[thing]].id if row else NOWHERE
            return [wave, division], {"reason": "short", "book": "", "reader": "", "day": ""}
        return [wave], {"about": "parallel:none", "reason": "short"}

    def _search(self, client: Client, cell: Cell) -> uuid.UUID:
        """Of one's own session, of a colleague's in another division or another company, or of nobody's."""
        if cell.thing != "own" or cell.role not in SEEN:
            return self.strangers.get(cell.thing, uuid.uuid4())
        return self.scene.search(client, "typed", OWNER["own"])

    def _post(self, cell: Cell) -> object:
        own = cell.thing == "own"
        return self.own_posts.get(cell.role, NOWHERE) if own else self.posts.get(cell.thing, NOWHERE)

    def unseen(self, role: str) -> list[str]:
        """People of whom a page for this role may hold nothing."""
        town = self.scene.people
        seen: dict[str, set[str]] = {
            "consumer": {"Ashalata"},
            "viewer": {"Ashalata"},
            "cashier": {name for name, home in town.items() if home.discom == KESCO},
            "officer": {name for name, home in town.items() if (home.discom, home.division) == (KESCO, GUMTI)},
        }
        # one mobile under which two connections stand tells nothing of the other one
        return [name for name in town if name not in seen.get(role, set()) | {"Dukanwali"}]


@pytest.fixture(scope="module")
def matrix(module_database: Database) -> Iterator[Matrix]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Matrix(module_database)
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


OVER = (
    "post ended",
    "left the company",
    "idle too long",
    "signed in yesterday",
    "consumer signed out",
    "view taken back",
)
ROLES = ("anyone", *SEEN, WAITING, *OVER)
SERVED, METHOD, MISSING, UNKNOWN = "served", "another method", "not there", "not known"
TO_CONSUMERS, TO_STAFF, TO_POSTS = "/sign-in/", "/staff/sign-in/", "/staff/post/"


READ = re.compile("html|json")


def expected(cell: Cell) -> str:
    """The kind of answer, or the page to which it leads."""
    allowed = POLICY[cell.name]
    role = cell.role if cell.role in {*SEEN, WAITING} else "anyone"
    if role == WAITING:
        served = "anyone" in allowed or cell.name in ("staff:post", "staff:sign-out")
    else:
        served = role in allowed or "anyone" in allowed
    if cell.name in FOR_SENDERS or (not served and role == "anyone" and cell.name.startswith("api:")):
        return UNKNOWN
    if not served and role == WAITING:
        return MISSING if cell.name.startswith("api:") else TO_POSTS
    if not served and role == "anyone":
        return TO_STAFF if cell.name.startswith("staff:") else TO_CONSUMERS
    if not served:
        return MISSING
    if cell.name in OF_THE_DEMO and cell.method == "GET":
        return MISSING
    if cell.name in LISTS and (cell.method == "GET" or cell.name not in ONLY_GET):
        return MISSING
    if cell.name in (ONLY_GET if cell.method == "POST" else ONLY_POST):
        return METHOD
    if cell.name in NOTHING_BEFORE:
        return MISSING
    if cell.name in SIGNED_BY_THE_COMPANY and cell.method == "POST":
        return MISSING
    what = NAMES.get(cell.name)
    if what is None or (cell.name in IN_THE_FORM and cell.method == "GET"):
        return SERVED
    seen = {"own"} if what in PERSONAL else SEEN["cashier"] if what in OF_THE_COMPANY else SEEN[role]
    return SERVED if cell.thing in seen else MISSING


def answered(response: HttpResponse, wanted: str) -> str:
    if wanted in (TO_CONSUMERS, TO_STAFF, TO_POSTS) and response.status_code == 302:
        return response.headers["Location"].split("?")[0]
    kinds = {200: SERVED, 302: SERVED, 303: SERVED, 401: UNKNOWN, 404: MISSING, 405: METHOD}
    if response.status_code in (302, 303) and response.headers["Location"].split("?")[0] in (TO_STAFF, TO_POSTS):
        return SERVED if wanted == SERVED else "led away"
    return kinds.get(response.status_code, str(response.status_code))


def cells(name: str) -> list[Cell]:
    """A session that is over is tried with what was its own."""
    return [
        Cell(name, role, thing, method)
        for role in ROLES
        for thing in (OBJECTS if name in NAMES and role not in OVER else ("own",))
        for method in ("GET", "POST")
    ]


@pytest.mark.parametrize("name", sorted(POLICY))
def test_each_address_answers_each_role_as_the_policy_says(matrix: Matrix, name: str) -> None:
    nothing: dict[tuple[str, str], str] = {}
    wrong = []
    for number, cell in enumerate(reversed(cells(name))):  # "none" comes first: what others are compared with
        if number % 16 == 0:  # else so many tries from one address would be the limit's answer
            matrix.scene.owner("delete from discoms_limit")
        response = matrix.ask(cell)
        wanted = expected(cell)
        found = answered(response, wanted)
        if found != wanted:
            wrong.append((cell, found, wanted))
        page = body(response) if READ.search(response.headers.get("Content-Type", "")) else ""
        if found == MISSING:
            same = nothing.setdefault((cell.role, cell.method), page)
            if page != same:
                wrong.append((cell, "another page", "the page of what is not there"))
        for person in matrix.unseen(cell.role):
            wrong += [(cell, mark, "nothing of it") for mark in matrix.scene.marks(person) if mark in page]
        if cell.role == "viewer":
            _, _, address, mobile, whose, *_ = matrix.scene.marks(OWNER["own"])
            wrong += [(cell, mark, "only masked") for mark in (address, mobile, whose) if mark in page]
    assert wrong == []


@pytest.mark.parametrize("role", ["consumer", "viewer", "cashier", "officer"])
def test_what_is_another_role_s_answers_like_an_address_that_never_was(matrix: Matrix, role: str) -> None:
    client = matrix.client(role)
    nothing = {root: client.get(f"{root}there-is-no-such-page/") for root in ("/", "/api/v1/")}
    for name in sorted(POLICY.keys() - FOR_SENDERS):
        if not POLICY[name] & {role, "anyone"}:
            never = nothing["/api/v1/" if name.startswith("api:") else "/"]
            response = matrix.ask(Cell(name, role, "own", "GET"))
            assert (response.status_code, body(response)) == (404, body(never)), name
            assert set(response.headers) == set(never.headers)


def test_the_way_back_after_sign_in_is_the_page_that_was_wanted(matrix: Matrix) -> None:
    assert browser().get("/bills/").headers["Location"] == "/sign-in/?next=%2Fbills%2F"
    assert browser().get("/staff/held/?state=kept").headers["Location"] == "/staff/sign-in/?next=%2Fstaff%2Fheld%2F"
    assert browser().get("/").headers["Location"] == "/sign-in/"
    assert browser().post("/staff/shifts/open/").headers["Location"] == "/staff/sign-in/"


# -- what would be wrong is found --------------------------------------------------------------------------------------


def _leak(request: HttpRequest) -> HttpResponse:
    return HttpResponse("all consumers")


@pytest.mark.parametrize("name", ["extra", None])
def test_an_address_without_a_policy_fails_the_check_and_is_not_served(matrix: Matrix, name: str | None) -> None:
    extra = types.ModuleType("extra_urls")
    extra.urlpatterns = [*urls.urlpatterns, path("extra/", _leak, name=name)]  # type: ignore[attr-defined]
    extra.handler404 = urls.handler404  # type: ignore[attr-defined]
    assert set(names_of(extra.urlpatterns)) - POLICY.keys() == {name or "extra/"}
    with override_settings(ROOT_URLCONF=extra):
        for role in ("anyone", "consumer", "officer"):
            response = matrix.client(role).get("/extra/")
            assert response.status_code == 404
            assert b"all consumers" not in response.content


def test_a_form_without_its_token_is_refused_calmly(matrix: Matrix) -> None:
    checked = 0
    for name in sorted(POLICY.keys() - ONLY_GET - FOR_SENDERS):
        role = next((role for role in ("consumer", "cashier", "officer") if role in POLICY[name]), "anyone")
        strict = browser(csrf=True)
        strict.cookies = matrix.client(role).cookies
        arguments, form = matrix._names(strict, Cell(name, role, "own", "POST"))
        response = strict.post(reverse(name, args=arguments), form, headers={"referer": "https://localhost/"})
        assert response.status_code == 403, name
        assert "The page waited too long" in response.content.decode()
        checked += 1
    assert checked == len(POLICY.keys() - ONLY_GET - FOR_SENDERS)


def test_with_its_token_the_form_is_taken() -> None:
    strict = browser(csrf=True)
    assert isinstance(strict, Browser)
    strict.get("/sign-in/")
    form = {"language": "en", "csrfmiddlewaretoken": strict.cookies["csrftoken"].value}
    assert strict.post("/language/", form, headers={"referer": "https://localhost/"}).status_code == 302


def test_a_session_of_a_consumer_pasted_among_the_staff_s_opens_nothing(matrix: Matrix) -> None:
    """And what a session says of itself beyond the two rooms is nobody's."""
    session = new_session()
    session["role"], session["consumer"], session["_auth_user_id"] = "officer", {}, "1"
    client = carry(browser(), session)
    assert client.get("/staff/").headers["Location"].startswith(TO_STAFF)
    assert client.get("/").headers["Location"].startswith(TO_CONSUMERS)
