"""Sign-in of staff: one form, one answer for whatever was wrong, limits that no stranger can turn against the owner."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from khata.audit.models import Record
from khata.discoms.operations import appoint, let_in
from khata.staff.sign_in import PER_LOGIN_HERE
from tests.cast import ARRIVED, day
from tests.staff.conftest import PASSWORD, TODAY, Desk, anybody

WRONG = "Login, password or code is wrong"


def code(desk: Desk, login: str) -> str:
    """The code of now; one that was used meanwhile is forgotten, since a test does not wait for the next."""
    device = desk.devices[login]
    with desk.database.connect("admin", autocommit=True) as session:
        session.execute(
            "update otp_totp_totpdevice set last_t = -1, throttling_failure_count = 0, "
            "throttling_failure_timestamp = null where id = %s",
            [device.id],
        )
    return f"{totp(device.bin_key, device.step, device.t0, device.digits):06d}"


def enter(client: Client, login: str, password: str, typed: str, **more: str) -> tuple[int, str, str]:
    form = {"login": login, "password": password, "code": typed, **more}
    response = client.post("/staff/sign-in/", form, secure=True, REMOTE_ADDR=more.get("address", "10.0.0.1"))
    return response.status_code, response.headers.get("Location", ""), response.content.decode()


def test_login_password_and_code_open_the_one_post(desk: Desk) -> None:
    client = anybody()
    status, address, _ = enter(client, "om", PASSWORD, code(desk, "om"))
    assert (status, address) == (302, "/staff/")
    assert "Om of Gumti" in client.get("/staff/", secure=True).content.decode()
    client.post("/staff/sign-out/", secure=True)
    assert client.get("/staff/", secure=True).status_code == 302


def test_a_code_is_good_once_and_in_hindi_digits_too(desk: Desk) -> None:
    typed = code(desk, "priya")
    hindi = typed.translate(str.maketrans("0123456789", "०१२३४५६७८९"))
    assert enter(anybody(), "priya", PASSWORD, f"{hindi[:3]} {hindi[3:]}")[0] == 302
    assert WRONG in enter(anybody(), "priya", PASSWORD, typed)[2]


def test_two_at_once_with_one_code_let_one_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    typed, verify = code(desk, "priya"), TOTPDevice.verify_token

    def slowly(device: TOTPDevice, token: str) -> bool:
        time.sleep(0.3)  # so that both have read the device, if nothing keeps the second one waiting
        return bool(verify(device, token))

    monkeypatch.setattr(TOTPDevice, "verify_token", slowly)

    def one(_: int) -> bool:
        try:
            return let_in(login="priya", password=PASSWORD, code=typed, today=day(TODAY)) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(one, range(2))) == [False, True]


def test_what_was_tried_at_a_login_is_written_down_and_who_holds_no_post_is_refused(desk: Desk) -> None:
    with desk.database.as_role("run"):
        if "past" not in desk.people:
            desk.hire("past", "officer", desk.gumti)
        person = desk.people["past"]
        appoint(
            staff=person,
            role="officer",
            office=desk.gumti,
            from_date=day("2024-05-01"),
            ended=True,
            now=ARRIVED,
            actor="test",
        )
    for password, typed in (("no", "000000"), (PASSWORD, code(desk, "past"))):
        assert WRONG in enter(anybody(), "past", password, typed, address="10.6.0.1")[2]
    enter(anybody(), "no-such-login", PASSWORD, "000000", address="10.6.0.1")
    with desk.database.as_role("run"):
        told = Record.objects.filter(object=f"discoms:staff:{person.id}", action__startswith="discoms.sign-in")
        assert [(row.actor, row.action, row.details) for row in told] == [("anyone", "discoms.sign-in-refused", {})] * 2


def test_whatever_is_wrong_the_answer_is_the_same(desk: Desk) -> None:
    right = code(desk, "far")
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    answers = []
    for number, (login, password, typed) in enumerate(
        [
            ("far", "no", right),
            ("far", PASSWORD, wrong),
            ("nobody", PASSWORD, right),
            ("far", "", ""),
            ("far", PASSWORD, "x"),
        ]
    ):
        status, _, page = enter(anybody(), login, password, typed, address=f"10.1.0.{number}")
        answers.append((status, page.replace(login, "login").count(WRONG)))
        assert PASSWORD not in page
    assert set(answers) == {(200, 1)}


def test_tries_are_limited_here_and_the_owner_elsewhere_still_gets_in(desk: Desk) -> None:
    for _ in range(PER_LOGIN_HERE):
        assert enter(anybody(), "kiran", "no", "000000", address="10.2.0.1")[0] == 200
    status, _, page = enter(anybody(), "kiran", PASSWORD, code(desk, "kiran"), address="10.2.0.1")
    assert status == 429 and "Too many tries" in page
    unknown = [
        enter(anybody(), "nobody-here", "no", "000000", address="10.2.0.2")[0] for _ in range(PER_LOGIN_HERE + 1)
    ]
    assert unknown[-1] == 429  # an unknown login is counted alike
    assert enter(anybody(), "kiran", PASSWORD, code(desk, "kiran"), address="10.2.0.3")[0] == 302


@pytest.mark.parametrize(
    ("back", "leads"),
    [
        ("/staff/held/", "/staff/held/"),
        ("https://evil.example/staff/", "/staff/"),
        ("//evil.example/staff/", "/staff/"),
        ("/bills/", "/staff/"),
        ("javascript:alert(1)", "/staff/"),
    ],
)
def test_the_way_back_stays_at_the_desk(desk: Desk, back: str, leads: str) -> None:
    assert enter(anybody(), "om", PASSWORD, code(desk, "om"), next=back, address="10.3.0.1")[1] == leads


def test_who_holds_two_posts_chooses_one(desk: Desk) -> None:
    client = anybody()
    status, address, _ = enter(client, "both", PASSWORD, code(desk, "both"), next="/staff/find/", address="10.4.0.1")
    assert (status, address) == (302, "/staff/post/")
    assert client.get("/staff/", secure=True).headers["Location"] == "/staff/post/"
    page = client.get("/staff/post/", secure=True).content.decode()
    assert "Cashier" in page and "Division officer" in page
    assert client.post("/staff/post/", {"post": "999999"}, secure=True).status_code == 404
    posts = [int(part.split('"')[0]) for part in page.split('name="post" value="')[1:]]
    assert client.post("/staff/post/", {"post": posts[1]}, secure=True).headers["Location"] == "/staff/find/"
    assert client.get("/staff/", secure=True).status_code == 200


@pytest.mark.parametrize("login", ["\x00", "o\x00m", "x" * 10_000, "<script>", "' or 1=1 --"])
def test_strange_logins_are_wrong_like_others(desk: Desk, login: str) -> None:
    status, _, page = enter(anybody(), login, "\x00", "१" * 50, address="10.5.0.1")
    assert status == 200 and WRONG in page and "<script>" not in page


def test_a_field_of_ten_megabytes_is_a_calm_400(desk: Desk) -> None:
    for client, address in ((anybody(), "/staff/sign-in/"), (desk.browser("om"), "/staff/find/")):
        response = client.post(address, {"login": "x" * 10_000_000, "find": "x"}, secure=True)
        assert response.status_code == 400 and "could not be read" in response.content.decode()


def test_an_idle_session_ends(desk: Desk) -> None:
    client = desk.browser("om")
    session = client.session
    session["staff"] = {**session["staff"], "seen": time.time() - 3600}
    session.save()
    assert client.get("/staff/", secure=True).status_code == 302
    assert settings.SESSION_COOKIE_HTTPONLY
