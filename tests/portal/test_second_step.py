"""The stronger sign-in: after the SMS the code of an app, or a recovery code; and one question after half a year."""

import datetime as dt
import re
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from django_otp.oath import hotp
from hypothesis import given
from hypothesis import strategies as st

from khata.audit.models import Record
from khata.billing.models import Bill
from khata.consumers import strong
from khata.consumers.rules import RECOVERY_ALPHABET, SILENT_DAYS, STEP_SECONDS, recovery_typed
from khata.notices.models import Message
from khata.portal.session import FRESH_SECONDS
from tests.portal.scene import Scene, browser, held_by

BINA = "9876543211"
WRONG = "This code is not right"
KEY = settings.SECRET_KEY


@pytest.fixture(autouse=True)
def nothing_on(scene: Scene) -> Iterator[None]:
    yield
    scene.owner("delete from consumers_authenticator")
    scene.owner("delete from consumers_lastsignin")
    for name in ("consumers_viewended", "consumers_viewgrant"):
        scene.owner(f"alter table {name} disable trigger append_only")
        scene.owner(f"delete from {name}")
        scene.owner(f"alter table {name} enable trigger append_only")


@pytest.fixture(autouse=True)
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """All within one step, in the middle of a quarter of an hour: neither a code nor a limit runs out meanwhile."""
    now = dt.datetime.now(dt.UTC)
    monkeypatch.setattr("khata.portal.security._now", lambda: now)
    monkeypatch.setattr("khata.portal.sign_in._now", lambda: now)


def secret(scene: Scene) -> bytes:
    with scene.database.connect("owner") as owner:
        ((nonce,),) = owner.execute("select nonce from consumers_authenticator where ended_at is null").fetchall()
    return strong.secret_of(nonce, KEY)


def code(key: bytes, step: int = 0) -> str:
    return f"{hotp(key, int(time.time()) // STEP_SECONDS + step):06d}"


def switch_on(scene: Scene) -> list[str]:
    """With Bina's app; the recovery codes as her page shows them. The app's code of this step is used by it."""
    client = scene.consumer("Binadevi")
    page = client.get("/security/").content.decode()
    assert "<svg" in page
    key = strong.secret_of(held_by(client)["authenticator"], KEY)
    told = client.post("/security/", {"code": code(key, -1)}).content.decode()
    return re.findall(r">([0-9a-z]{5}-[0-9a-z]{5})<", told)


def half_way(scene: Scene) -> Client:
    """A browser in which Bina's SMS code has fitted."""
    scene.owner("delete from discoms_limit where true")
    client, answer = scene.sign_in(BINA)
    assert answer.headers["Location"] == "/sign-in/second/"
    return client


def test_without_it_the_sms_is_enough(scene: Scene) -> None:
    assert scene.sign_in(BINA)[1].headers["Location"] == "/"


def test_with_it_nothing_is_shown_before_the_code_of_the_app(scene: Scene) -> None:
    assert len(switch_on(scene)) == 10
    client = half_way(scene)
    for page in ("/", "/bills/", "/security/", "/connections/"):
        assert client.get(page).headers["Location"].startswith("/sign-in/")
    assert "Binadevi" not in client.get("/sign-in/second/").content.decode()
    assert client.post("/sign-in/second/", {"code": code(secret(scene))}).headers["Location"] == "/"
    assert "Binadevi" in client.get("/").content.decode()


def test_the_secret_shown_is_the_one_that_the_app_is_asked_for(scene: Scene) -> None:
    client = scene.consumer("Binadevi")
    shown = re.search(r"<code>([A-Z2-7 ]+)</code>", client.get("/security/").content.decode())
    assert shown
    assert shown[1].replace(" ", "") == strong.secret_text(held_by(client)["authenticator"], KEY)


def test_it_is_switched_on_by_a_right_code_only(scene: Scene) -> None:
    client = scene.consumer("Binadevi")
    client.get("/security/")
    key = strong.secret_of(held_by(client)["authenticator"], KEY)
    wrong = f"{(int(code(key)) + 1) % 10**6:06d}"
    assert WRONG in client.post("/security/", {"code": wrong}).content.decode()
    assert scene.sign_in(BINA)[1].headers["Location"] == "/"


@pytest.mark.parametrize(("step", "good"), [(0, True), (1, True), (-1, False), (-2, False), (2, False)])
def test_a_code_may_be_a_step_off_but_none_is_taken_twice(scene: Scene, step: int, good: bool) -> None:
    """Switching on has used the code of the step before: it and older ones are gone."""
    switch_on(scene)
    answer = half_way(scene).post("/sign-in/second/", {"code": code(secret(scene), step)})
    assert (answer.status_code == 302) == good


def test_the_same_code_in_another_sign_in_is_no_good(scene: Scene) -> None:
    switch_on(scene)
    typed = code(secret(scene))
    assert half_way(scene).post("/sign-in/second/", {"code": typed}).status_code == 302
    assert WRONG in half_way(scene).post("/sign-in/second/", {"code": typed}).content.decode()


def test_after_five_wrong_tries_the_right_code_is_no_good_in_any_session(scene: Scene) -> None:
    switch_on(scene)
    client, right = half_way(scene), code(secret(scene))
    for number in range(1, 6):
        wrong = f"{(int(right) + number) % 10**6:06d}"
        assert WRONG in client.post("/sign-in/second/", {"code": wrong}).content.decode()
    other, _ = scene.sign_in(BINA)
    for late in (client, other):
        assert WRONG in late.post("/sign-in/second/", {"code": right}).content.decode()


def test_a_recovery_code_opens_once(scene: Scene) -> None:
    codes = switch_on(scene)
    assert half_way(scene).post("/sign-in/second/", {"code": codes[0].upper().replace("-", " ")}).status_code == 302
    again = half_way(scene)
    assert WRONG in again.post("/sign-in/second/", {"code": codes[0]}).content.decode()
    assert again.post("/sign-in/second/", {"code": codes[1]}).status_code == 302


def test_on_and_off_are_told_by_sms_and_stand_in_the_audit_trail(scene: Scene) -> None:
    def told() -> tuple[list[str], list[str]]:
        with scene.database.as_role("run"):
            sent = Message.objects.filter(mobile=BINA, template__startswith="authenticator").order_by("id")
            noted = Record.objects.filter(action__startswith="consumers.authenticator").order_by("id")
            return list(sent.values_list("template", flat=True)), list(noted.values_list("action", flat=True))

    before = [len(one) for one in told()]
    codes = switch_on(scene)
    assert [one[at:] for one, at in zip(told(), before, strict=True)] == [
        ["authenticator-on"],
        ["consumers.authenticator-on"],
    ]
    scene.consumer("Binadevi").post("/security/", {"code": codes[3]})
    assert [one[at:] for one, at in zip(told(), before, strict=True)] == [
        ["authenticator-on", "authenticator-off"],
        ["consumers.authenticator-on", "consumers.authenticator-off"],
    ]


def test_an_open_session_does_not_switch_it_on_a_quarter_of_an_hour_after_its_sign_in(scene: Scene) -> None:
    client = scene.consumer("Binadevi")
    client.get("/security/")
    session = held_by(client)
    key = strong.secret_of(session["authenticator"], KEY)
    session["signed-in-at"] -= FRESH_SECONDS
    session.save()
    page = client.get("/security/").content.decode()
    assert "sign in once more" in page
    assert "<svg" not in page.split("<main")[1]
    assert "sign in once more" in client.post("/security/", {"code": code(key, -1)}).content.decode()
    again = client.post("/sign-out/", {"next": "/security/"})
    assert again.headers["Location"] == "/sign-in/?next=%2Fsecurity%2F"
    assert client.post("/sign-out/", {"next": "https://evil.example/"}).headers["Location"] == "/sign-in/"
    assert scene.sign_in(BINA)[1].headers["Location"] == "/"


def test_switching_off_needs_a_code(scene: Scene) -> None:
    codes = switch_on(scene)
    client = scene.consumer("Binadevi")
    assert WRONG in client.post("/security/", {"code": ""}).content.decode()
    half_way(scene)
    assert client.post("/security/", {"code": codes[3]}).status_code == 302
    assert scene.sign_in(BINA)[1].headers["Location"] == "/"


def test_the_second_page_opens_to_nobody_whose_sms_code_has_not_fitted(scene: Scene) -> None:
    switch_on(scene)
    client = browser()
    client.post("/sign-in/", {"mobile": BINA})
    for method in (client.get, client.post):
        assert method("/sign-in/second/").headers["Location"] == "/sign-in/"
        assert method("/sign-in/known/").headers["Location"] == "/sign-in/"


def test_the_database_alone_gives_neither_secret_nor_recovery_code(scene: Scene) -> None:
    codes = switch_on(scene)
    with scene.database.connect("owner") as owner:
        rows = str(owner.execute("select * from consumers_authenticator").fetchall())
        rows += str(owner.execute("select * from audit_record").fetchall())
    key = secret(scene)
    assert key.hex() not in rows
    assert not any(one in rows or recovery_typed(one) in rows for one in codes)
    assert key != strong.secret_of("0" * 32, KEY) != strong.secret_of("0" * 32, "another key")


# -- half a year of silence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "asked"), [(SILENT_DAYS - 1, False), (SILENT_DAYS + 1, True)])
def test_a_mobile_long_silent_is_asked_once_more(scene: Scene, days: int, asked: bool) -> None:
    scene.sign_in(BINA)
    scene.owner("update consumers_lastsignin set at = at - make_interval(days => %s)", days)
    client, answer = scene.sign_in(BINA)
    assert answer.headers["Location"] == ("/sign-in/known/" if asked else "/")
    if not asked:
        return
    assert "Binadevi" not in client.get("/sign-in/known/").content.decode()
    assert client.get("/").headers["Location"] == "/sign-in/"
    assert "do not fit" in client.post("/sign-in/known/", {"tail": "0000"}).content.decode()
    bill = bill_number(scene, "Binadevi")
    assert client.post("/sign-in/known/", {"tail": bill[-4:]}).headers["Location"] == "/"
    assert scene.sign_in(BINA)[1].headers["Location"] == "/"  # not silent any more


@pytest.mark.parametrize(("days", "asked"), [(SILENT_DAYS - 1, False), (SILENT_DAYS + 1, True)])
def test_a_mobile_long_on_record_that_never_signed_in_is_asked_too(scene: Scene, days: int, asked: bool) -> None:
    """Brought along by a move, and perhaps handed on by its operator since."""
    since = "update consumers_consumer set mobile_at = now() - make_interval(days => %s) where mobile_key = %s"
    scene.owner(since, days, BINA)
    try:
        client, answer = scene.sign_in(BINA)
        assert answer.headers["Location"] == ("/sign-in/known/" if asked else "/")
        if asked:
            tail = bill_number(scene, "Binadevi")[-4:]
            assert client.post("/sign-in/known/", {"tail": tail}).headers["Location"] == "/"
        assert scene.sign_in(BINA)[1].headers["Location"] == "/"  # the last sign-in counts from now on
    finally:
        scene.owner(since, 0, BINA)


def test_a_mobile_is_on_record_from_the_moment_it_was_put_there(scene: Scene) -> None:
    def since() -> dt.timedelta:
        with scene.database.connect("owner") as owner:
            ((age,),) = owner.execute(
                "select now() - mobile_at from consumers_consumer where id = %s", [one]
            ).fetchall()
        return age

    one = scene.town.consumers["Binadevi"]
    scene.owner("update consumers_consumer set mobile_at = now() - interval '300 days' where id = %s", one)
    scene.owner("update consumers_consumer set mobile_key = mobile_key, language = 'en' where id = %s", one)
    assert since().days == 300
    scene.owner("update consumers_consumer set mobile_key = '9876500001' where id = %s", one)
    assert since() < dt.timedelta(minutes=5)
    scene.owner("update consumers_consumer set mobile_key = %s, language = 'hi' where id = %s", BINA, one)


def bill_number(scene: Scene, name: str) -> str:
    with scene.database.as_role("run"):
        return "".join(one for one in Bill.objects.get(connection=scene.town.connections[name]).number if one.isdigit())


def test_numbers_of_a_connection_that_somebody_let_it_see_answer_nothing(scene: Scene) -> None:
    """Whoever was handed a number that lay idle gives it a view of the own house, and knows what stands there."""
    scene.owner("insert into consumers_lastsignin values (%s, now() - interval '200 days')", BINA)
    scene.consumer("Charanjit").post("/access/", {"mobile": BINA, "label": "me"})
    client, _ = scene.sign_in(BINA)
    asked = client.post("/sign-in/known/", {"tail": bill_number(scene, "Charanjit")[-4:]})
    assert "do not fit" in asked.content.decode()
    assert client.get("/").headers["Location"] == "/sign-in/"
    assert client.post("/sign-in/known/", {"tail": bill_number(scene, "Binadevi")[-4:]}).status_code == 302


def test_where_nothing_is_own_numbers_of_what_it_may_see_answer(scene: Scene) -> None:
    tenant = "9876533333"
    scene.consumer("Charanjit").post("/access/", {"mobile": tenant, "label": "tenant"})
    scene.owner("insert into consumers_lastsignin values (%s, now() - interval '200 days')", tenant)
    client, answer = scene.sign_in(tenant)
    assert answer.headers["Location"] == "/sign-in/known/"
    assert client.post("/sign-in/known/", {"tail": bill_number(scene, "Charanjit")[-4:]}).headers["Location"] == "/"


def test_five_wrong_answers_end_it_for_the_day(scene: Scene) -> None:
    scene.sign_in(BINA)
    scene.owner("update consumers_lastsignin set at = at - interval '200 days'")
    client, _ = scene.sign_in(BINA)
    right = bill_number(scene, "Binadevi")[-4:]
    for number in range(1, 6):
        client.post("/sign-in/known/", {"tail": f"{(int(right) + number) % 10_000:04d}"})
    assert "do not fit" in client.post("/sign-in/known/", {"tail": right}).content.decode()


# -- rules -------------------------------------------------------------------------------------------------------------


@given(st.text(RECOVERY_ALPHABET, min_size=10, max_size=10))
def test_a_recovery_code_is_understood_as_people_write_it(drawn: str) -> None:
    worn = drawn.upper().replace("0", "O").replace("1", "l")
    for typed in (drawn, f" {worn[:5]} - {worn[5:]} ", drawn.translate(str.maketrans("0123456789", "०१२३४५६७८९"))):
        assert recovery_typed(typed) == drawn


@given(st.integers(1_000, 2**31), st.integers(-3, 3))
def test_a_step_is_found_within_one_of_now(moment: int, off: int) -> None:
    step = moment // STEP_SECONDS + off
    typed = f"{hotp(strong.secret_of('ab' * 16, 'key'), step):06d}"
    now = dt.datetime.fromtimestamp(moment, dt.UTC)
    found = strong.step_of(nonce="ab" * 16, typed=typed, after=0, now=now, key="key")
    assert (found == step) if abs(off) <= 1 else (found is None or found != step)
    assert strong.step_of(nonce="ab" * 16, typed=typed, after=step, now=now, key="key") is None or abs(off) > 1
