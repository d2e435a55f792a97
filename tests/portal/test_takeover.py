"""Who has a mobile on record has the account. Each row: what somebody does, and whose the account is afterwards."""

import datetime as dt
import re
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from django_otp.oath import hotp

from khata.consumers import access
from khata.consumers.access import apply_changes, decide_mobile, propose_mobile
from khata.consumers.models import Consumer, MobileChange, MobileWord, SignIn
from khata.consumers.rules import STEP_SECONDS
from khata.consumers.strong import secret_of
from khata.discoms.scope import scoped
from khata.notices.models import Message
from khata.notices.rules import sign_in_code
from tests.cast import JAJMAU, KESCO, office_scope
from tests.portal.scene import Scene, browser, held_by

BINA, NEW, OTHER = "9876543211", "9876511111", "9876522222"
ASHA = "9876543210"
DAY_LATER = dt.timedelta(hours=24, minutes=1)


class Story:
    """Bina's account, told step by step. A step is a word of the table below."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.bina = scene.consumer("Binadevi")
        self.later = dt.timedelta()
        self.first, self.second = scene.officers["Gumti"], scene.staff["second officer"]
        self.address = f"/staff/connections/{scene.town.connections['Binadevi']}/mobile/"

    def do(self, step: str) -> None:
        getattr(self, "_" + step.replace(" ", "_").replace("'", ""))()

    # -- in a session of Bina's, by herself or by whoever took her phone out of her hand ------------------------------

    def _ask_for_the_new_mobile(self) -> None:
        self.bina.post("/security/mobile/", {"mobile": NEW})

    def _type_the_code_sent_to_it(self) -> None:
        self.scene.sent()
        with self.scene.database.as_role("run"):
            asked = SignIn.objects.get(id=held_by(self.bina)["new-mobile"]["id"])
        typed = sign_in_code(asked.nonce, settings.SECRET_KEY.encode(), digits=asked.digits)
        self.bina.post("/security/mobile/", {"do": "code", "code": typed})

    def _switch_on_an_app(self) -> None:
        self.bina.get("/security/")
        self.app = secret_of(held_by(self.bina)["authenticator"], settings.SECRET_KEY)
        self.step = int(time.time()) // STEP_SECONDS
        assert "ten codes" in self.bina.post("/security/", {"code": self._shown(0)}).content.decode()

    def _ask_for_the_new_mobile_with_the_app(self) -> None:
        self.bina.post("/security/mobile/", {"mobile": NEW, "second": self._shown(1)})

    def _shown(self, later: int) -> str:
        return f"{hotp(self.app, self.step + later):06d}"

    def _type_a_wrong_code(self) -> None:
        self.bina.post("/security/mobile/", {"do": "code", "code": "000"})

    # -- at the old mobile ---------------------------------------------------------------------------------------------

    def _the_old_mobile_says_no(self) -> None:
        client, _ = self.scene.sign_in(BINA)
        page = client.get("/").content.decode()
        assert "This was not me" in page
        assert client.post("/security/mobile/stop/").status_code == 302
        assert "This was not me" not in client.get("/").content.decode()

    def _the_old_mobile_says_no_without_the_app(self) -> None:
        client, answer = self.scene.sign_in(BINA)
        assert answer.headers["Location"] == "/sign-in/second/"
        page = client.get("/sign-in/second/").content.decode()
        assert "This was not me" in page
        assert NEW not in page
        assert "Stopped" in client.post("/sign-in/second/", {"do": "stop"}).content.decode()
        assert "This was not me" not in client.get("/sign-in/second/").content.decode()

    def _a_neighbour_says_no(self) -> None:
        self.scene.consumer("Ashalata").post("/security/mobile/stop/")

    # -- time, and the work that goes on behind the pages --------------------------------------------------------------

    def _a_day_passes(self) -> None:
        self.later += DAY_LATER
        self._an_hour_passes()

    def _five_hours_pass(self) -> None:
        self.later += dt.timedelta(hours=4)
        self._an_hour_passes()

    def _an_hour_passes(self) -> None:
        self.later += dt.timedelta(hours=1)
        with self.scene.database.as_role("run"):
            apply_changes(now=dt.datetime.now(dt.UTC) + self.later)

    # -- at the office -------------------------------------------------------------------------------------------------

    def _desk(self, who: object, **form: str) -> None:
        """Whoever gives a verdict gives it about the proposal on the page."""
        client = self.scene.worker(who)  # type: ignore[arg-type]
        if "verdict" in form:
            form = {**self._read(client), **form}
        client.post(self.address, form)

    def _read(self, client: Client) -> dict[str, str]:
        stands = re.search(r'name="change" value="([0-9]+)"', client.get(self.address).content.decode())
        return {"change": stands[1]} if stands else {}

    def _a_second_officer_reads_it(self) -> None:
        self.read = self._read(self.scene.worker(self.second))
        assert self.read

    def _the_second_agrees_to_what_was_read(self) -> None:
        page = self.scene.worker(self.second).post(self.address, {**self.read, "verdict": "agree"}).content.decode()
        assert "not the proposal that you read" in page

    def _the_officer_takes_it_back(self) -> None:
        self._desk(self.first, verdict="refuse")

    def _the_officer_proposes_another(self) -> None:
        self._desk(self.first, mobile=OTHER, reason="Voter card and the bill of May, both seen")

    def _an_officer_proposes_it(self) -> None:
        self._desk(self.first, mobile=NEW, reason="Voter card and the bill of May, both seen")

    def _an_officer_proposes_it_without_a_reason(self) -> None:
        self._desk(self.first, mobile=NEW, reason="ok")

    def _the_same_officer_agrees(self) -> None:
        self._desk(self.first, verdict="agree")

    def _a_second_officer_agrees(self) -> None:
        self._desk(self.second, verdict="agree")

    def _a_second_officer_refuses(self) -> None:
        self._desk(self.second, verdict="refuse")

    def _an_officer_of_another_division_agrees(self) -> None:
        self._desk(self.scene.officers["Jajmau"], verdict="agree")

    def _a_cashier_agrees(self) -> None:
        self._desk(self.scene.desks["Gumti"].staff, verdict="agree")


ASKED = ("ask for the new mobile", "type the code sent to it")
GUARDED = ("switch on an app", "ask for the new mobile with the app", "type the code sent to it")
TAKEOVERS: dict[str, tuple[tuple[str, ...], str, int]] = {
    # what happens                                  step by step                        whose then  old one told
    "the holder has a new SIM": ((*ASKED, "a day passes"), NEW, True),
    "the hold is not over": ((*ASKED, "an hour passes"), BINA, True),
    "a thief with her open phone": ((*ASKED, "the old mobile says no", "a day passes"), BINA, True),
    "a thief, and she sees it too late": ((*ASKED, "a day passes"), NEW, True),
    "a neighbour cannot stop it": ((*ASKED, "a neighbour says no", "a day passes"), NEW, True),
    "the new mobile is not proven": (("ask for the new mobile", "a day passes"), BINA, False),
    "the code is guessed": (("ask for the new mobile", "type a wrong code", "a day passes"), BINA, False),
    "SIM lost, papers seen by two": (
        ("an officer proposes it", "a second officer agrees", "five hours pass"), NEW, True),
    "the four hours of papers are not over": (
        ("an officer proposes it", "a second officer agrees", "an hour passes"), BINA, True),
    "false papers believed by two, she says no": (
        ("an officer proposes it", "a second officer agrees", "the old mobile says no", "five hours pass"), BINA, True),
    "taken back after it was agreed to": (
        ("an officer proposes it", "a second officer agrees", "the officer takes it back", "a day passes"), BINA, 1),
    "the proposal changes while it is read": (
        ("an officer proposes it", "a second officer reads it", "the officer takes it back",
         "the officer proposes another", "the second agrees to what was read", "a day passes"), BINA, 2),
    "a thief puts an app of his own before it": (
        (*GUARDED, "the old mobile says no without the app", "a day passes"), BINA, True),
    "one officer alone": (("an officer proposes it", "the same officer agrees", "a day passes"), BINA, True),
    "no second look": (("an officer proposes it", "a day passes"), BINA, True),
    "papers do not fit": (("an officer proposes it", "a second officer refuses", "a day passes"), BINA, True),
    "no reason written": (("an officer proposes it without a reason", "a second officer agrees"), BINA, False),
    "another division's officer": (
        ("an officer proposes it", "an officer of another division agrees", "a day passes"), BINA, True),
    "a cashier is no second person": (("an officer proposes it", "a cashier agrees", "a day passes"), BINA, True),
    "papers are false, she still has the SIM": (
        ("an officer proposes it", "the old mobile says no", "a second officer agrees", "a day passes"), BINA, True),
}  # fmt: skip


@pytest.fixture(autouse=True)
def as_before(scene: Scene) -> Iterator[None]:
    if "second officer" not in scene.staff:
        with scene.database.as_role("run"):
            scene.hire("second officer", "officer")
    yield
    scene.owner("update consumers_consumer set mobile_key = %s where name = 'Binadevi'", BINA)
    scene.owner("alter table consumers_mobilechange disable trigger append_only")
    scene.owner("alter table consumers_mobileword disable trigger append_only")
    scene.owner("delete from consumers_mobileword")
    scene.owner("delete from consumers_mobilechange")
    scene.owner("delete from consumers_authenticator")
    scene.owner("delete from consumers_lastsignin")
    scene.owner("alter table consumers_mobilechange enable trigger append_only")
    scene.owner("alter table consumers_mobileword enable trigger append_only")


def messages(scene: Scene) -> list[tuple[str, str]]:
    with scene.database.as_role("run"):
        return list(Message.objects.filter(template="mobile-change").values_list("mobile", "cause"))


@pytest.mark.parametrize("what", TAKEOVERS)
def test_whose_the_account_is(scene: Scene, what: str) -> None:
    steps, owner, told = TAKEOVERS[what]
    before, story = len(messages(scene)), Story(scene)
    for step in steps:
        story.do(step)
    with scene.database.as_role("run"):
        assert Consumer.objects.get(name="Binadevi").mobile_key == owner
    assert [mobile for mobile, _ in messages(scene)[before:]] == [BINA] * told
    # and so the pages: whoever has the account gets in with an SMS code, the other one does not
    for mobile in (BINA, NEW):
        answer = scene.sign_in(mobile, address=f"10.3.{mobile[-1]}.1")[1]
        assert (answer.status_code == 302) == (mobile == owner), mobile
    assert (story.bina.get("/").status_code == 200) == (owner == BINA)


def test_only_one_change_waits_at_a_time(scene: Scene) -> None:
    story = Story(scene)
    for step in ASKED:
        story.do(step)
    story.bina.post("/security/mobile/", {"mobile": OTHER})
    with scene.database.as_role("run"):
        assert [row.mobile_new for row in MobileChange.objects.all()] == [NEW]
    page = story.bina.get("/security/mobile/").content.decode()
    assert NEW[-4:] in page
    assert NEW not in page


def test_with_an_authenticator_on_its_code_is_needed_and_it_goes_along(scene: Scene) -> None:
    scene.owner(
        "insert into consumers_authenticator (id, mobile_key, nonce, recovery, last_step)"
        " values (gen_random_uuid(), %s, 'ab', '{}', 0)",
        BINA,
    )
    client = scene.consumer("Binadevi")
    client.post("/security/mobile/", {"mobile": NEW})
    assert "new-mobile" not in held_by(client)
    scene.owner(
        "insert into consumers_mobilechange (connection_id, mobile_was, mobile_new, holds_until, reason)"
        " values (%s, %s, %s, now(), '')",
        scene.town.connections["Binadevi"], BINA, NEW,
    )  # fmt: skip
    with scene.database.as_role("run"):
        assert apply_changes(now=dt.datetime.now(dt.UTC) + DAY_LATER) == 1
        assert apply_changes(now=dt.datetime.now(dt.UTC) + DAY_LATER) == 0
    assert scene.sign_in(NEW)[1].headers["Location"] == "/sign-in/second/"


def test_a_mobile_of_many_connections_changes_for_all_and_at_the_office_for_one(scene: Scene) -> None:
    with scene.database.as_role("run"):
        assert Consumer.objects.filter(mobile_key=ASHA).count() > 1
        whose = [scene.town.consumers[name] for name in ("Ashalata", "Dukanwali")]
        for staff, changed in (("officer-Gumti", 1), ("", 2)):
            change = MobileChange.objects.create(
                connection_id=scene.town.connections["Ashalata"],
                mobile_was=ASHA,
                mobile_new=NEW,
                holds_until=None if staff else dt.datetime.now(dt.UTC),
                staff=scene.staff.get(staff),
            )
            if staff:
                MobileWord.objects.create(change=change, word="agreed", staff=scene.staff["second officer"])
                assert apply_changes(now=dt.datetime.now(dt.UTC)) == 0
            apply_changes(now=dt.datetime.now(dt.UTC) + DAY_LATER)
            assert Consumer.objects.filter(id__in=whose, mobile_key=NEW).count() == changed
            scene.owner("update consumers_consumer set mobile_key = %s where mobile_key = %s", ASHA, NEW)


def test_a_lost_app_is_switched_off_by_two_at_the_office_and_by_nobody_alone(scene: Scene) -> None:
    scene.owner(
        "insert into consumers_authenticator (id, mobile_key, nonce, recovery, last_step)"
        " values (gen_random_uuid(), %s, 'ab', '{}', 0)",
        BINA,
    )
    story = Story(scene)
    story._desk(story.first, mobile=BINA, reason="Voter card and bill seen, her phone fell into the river")
    for step, leads in (("an hour passes", "/sign-in/second/"), ("a second officer agrees", "/sign-in/second/")):
        story.do(step)
        assert scene.sign_in(BINA)[1].headers["Location"] == leads
    story.do("five hours pass")
    assert scene.sign_in(BINA)[1].headers["Location"] == "/"
    with scene.database.as_role("run"):
        assert Message.objects.filter(mobile=BINA, template="authenticator-off").exists()


def test_an_app_is_not_switched_off_by_officers_of_a_part_of_what_it_guards(scene: Scene) -> None:
    """Asha's house is Gumti's, her shop Jajmau's, and one app guards both."""
    shop = scene.town.connections["Dukanwali"]
    jajmau = scene.officers["Jajmau"]
    form = {"mobile": ASHA, "reason": "Voter card and bill seen, lost the app"}
    page = scene.worker(jajmau).post(f"/staff/connections/{shop}/mobile/", form).content.decode()
    assert "other offices too" in page
    given = {"connection_id": shop, "mobile": ASHA, "reason": "lost", "staff": jajmau.id}
    with scene.database.as_role("app"):
        with scoped(office_scope(KESCO, JAJMAU)):
            assert propose_mobile(**given) is None
        with scoped(office_scope(KESCO)):
            made = propose_mobile(**given)
            assert made is not None
        second = hire_second(scene)
        for scope, decided in ((office_scope(KESCO, JAJMAU), False), (office_scope(KESCO), True)):
            with scoped(scope):
                assert decide_mobile(change=made, agreed=True, staff=second) == decided


def hire_second(scene: Scene) -> int:
    with scene.database.as_role("run"):
        return scene.hire("second of Jajmau", "officer", JAJMAU).id


def test_only_an_officer_in_post_over_the_connection_proposes_and_decides(scene: Scene) -> None:
    """Asked of the database itself, whatever person a page names."""
    first, second = scene.officers["Gumti"], scene.staff["second officer"]
    nobodies = [0, scene.desks["Gumti"].staff.id, scene.officers["Jajmau"].id]
    given = {"connection_id": scene.town.connections["Binadevi"], "mobile": NEW, "reason": "papers"}
    set_active = "update discoms_staff set active = %s where id = %s"
    with scene.database.as_role("app"), scoped(office_scope(KESCO)):
        assert [propose_mobile(**given, staff=one) for one in nobodies] == [None] * 3
        made = propose_mobile(**given, staff=first.id)
        assert made is not None
        assert not any(decide_mobile(change=made, agreed=True, staff=one) for one in nobodies)
        for gone in (second, first):
            scene.owner(set_active, False, gone.id)
            assert not decide_mobile(change=made, agreed=True, staff=second.id)
            scene.owner(set_active, True, gone.id)
        assert decide_mobile(change=made, agreed=True, staff=second.id)


def test_nothing_of_ones_own_is_brought_under_a_mobile_that_may_be_another_s_by_now(scene: Scene) -> None:
    """Else its meter's number would answer the question that is asked at that mobile's next sign-in."""
    scene.owner("insert into consumers_lastsignin values (%s, now() - interval '181 days')", ASHA)
    bina, desk = scene.consumer("Binadevi"), scene.worker(scene.officers["Gumti"])
    bina.post("/security/mobile/", {"mobile": ASHA})
    scene.sent()
    with scene.database.as_role("run"):
        asked = SignIn.objects.get(id=held_by(bina)["new-mobile"]["id"])
    typed = {"do": "code", "code": sign_in_code(asked.nonce, settings.SECRET_KEY.encode(), digits=asked.digits)}
    assert "Sign in with it once" in bina.post("/security/mobile/", typed).content.decode()
    papers = {"mobile": ASHA, "reason": "Voter card and the bill of May"}
    address = f"/staff/connections/{scene.town.connections['Binadevi']}/mobile/"
    assert "must sign in with it once" in desk.post(address, papers).content.decode()
    since = "update consumers_consumer set mobile_at = now() - make_interval(days => %s) where mobile_key = %s"
    scene.owner("delete from consumers_lastsignin")  # nor has anybody ever
    scene.owner(since, 181, ASHA)
    assert "must sign in with it once" in desk.post(address, papers).content.decode()
    scene.owner(since, 179, ASHA)
    assert bina.post("/security/mobile/", typed).status_code == 302
    assert desk.post(address, papers).status_code == 303


def test_a_change_stopped_at_that_very_moment_does_not_end_the_pass(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(scene)
    for step in ("an officer proposes it", "a second officer refuses", *ASKED):
        story.do(step)
    monkeypatch.setattr(
        access, "_DUE", "select id from consumers_mobilechange where %s >= %s order by id"
    )  # as the list was when the pass began
    with scene.database.as_role("run"):
        assert apply_changes(now=dt.datetime.now(dt.UTC)) == 1
        assert Consumer.objects.get(name="Binadevi").mobile_key == NEW


def test_an_office_sees_the_old_mobile_masked(scene: Scene) -> None:
    page = scene.worker(scene.officers["Gumti"]).get(Story(scene).address).content.decode()
    assert BINA[-4:] in page
    assert BINA not in page
    assert not re.search(r"98765432", page)
    assert browser().get("/security/mobile/").headers["Location"].startswith("/sign-in/")
