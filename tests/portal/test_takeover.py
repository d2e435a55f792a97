"""Who has a mobile on record has the account. Each row: what somebody does, and whose the account is afterwards."""

import datetime as dt
import re
from collections.abc import Iterator

import pytest
from django.conf import settings

from khata.consumers.access import apply_changes
from khata.consumers.models import Consumer, MobileChange, MobileWord, SignIn
from khata.notices.models import Message
from khata.notices.rules import sign_in_code
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
        with self.scene.database.as_role("run"):
            asked = SignIn.objects.get(id=held_by(self.bina)["new-mobile"]["id"])
        typed = sign_in_code(asked.nonce, settings.SECRET_KEY.encode(), digits=asked.digits)
        self.bina.post("/security/mobile/", {"do": "code", "code": typed})

    def _type_a_wrong_code(self) -> None:
        self.bina.post("/security/mobile/", {"do": "code", "code": "000"})

    # -- at the old mobile ---------------------------------------------------------------------------------------------

    def _the_old_mobile_says_no(self) -> None:
        client, _ = self.scene.sign_in(BINA)
        page = client.get("/").content.decode()
        assert "This was not me" in page
        assert client.post("/security/mobile/stop/").status_code == 302
        assert "This was not me" not in client.get("/").content.decode()

    def _a_neighbour_says_no(self) -> None:
        self.scene.consumer("Ashalata").post("/security/mobile/stop/")

    # -- time, and the work that goes on behind the pages --------------------------------------------------------------

    def _a_day_passes(self) -> None:
        self.later += DAY_LATER
        self._an_hour_passes()

    def _an_hour_passes(self) -> None:
        self.later += dt.timedelta(hours=1)
        with self.scene.database.as_role("run"):
            apply_changes(now=dt.datetime.now(dt.UTC) + self.later)

    # -- at the office -------------------------------------------------------------------------------------------------

    def _desk(self, who: object, **form: str) -> None:
        self.scene.worker(who).post(self.address, form)  # type: ignore[arg-type]

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
TAKEOVERS: dict[str, tuple[tuple[str, ...], str, bool]] = {
    # what happens                                  step by step                              whose then  old one told
    "the holder has a new SIM": ((*ASKED, "a day passes"), NEW, True),
    "the hold is not over": ((*ASKED, "an hour passes"), BINA, True),
    "a thief with her open phone": ((*ASKED, "the old mobile says no", "a day passes"), BINA, True),
    "a thief, and she sees it too late": ((*ASKED, "a day passes"), NEW, True),
    "a neighbour cannot stop it": ((*ASKED, "a neighbour says no", "a day passes"), NEW, True),
    "the new mobile is not proven": (("ask for the new mobile", "a day passes"), BINA, False),
    "the code is guessed": (("ask for the new mobile", "type a wrong code", "a day passes"), BINA, False),
    "SIM lost, papers seen by two": (
        ("an officer proposes it", "a second officer agrees", "an hour passes"), NEW, True),
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
    story.do("an hour passes")
    assert scene.sign_in(BINA)[1].headers["Location"] == "/"


def test_an_office_sees_the_old_mobile_masked(scene: Scene) -> None:
    page = scene.worker(scene.officers["Gumti"]).get(Story(scene).address).content.decode()
    assert BINA[-4:] in page
    assert BINA not in page
    assert not re.search(r"98765432", page)
    assert browser().get("/security/mobile/").headers["Location"].startswith("/sign-in/")
