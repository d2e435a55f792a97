"""Sign-in by a code: alike for a mobile of ours and of nobody's, and of no use to whoever guesses."""

import datetime as dt
import statistics
import time
import uuid
from collections.abc import Iterator
from fractions import Fraction

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from khata.consumers.operations import ask_code, check_code
from khata.consumers.rules import (
    CHECKS_PER_ADDRESS,
    CODE_DIGITS,
    CODE_TRIES,
    CODES_IN_TOTAL,
    CODES_PER_ADDRESS,
    CODES_PER_MOBILE,
    DAY,
    FAILURES_IN_TOTAL,
    MORE_DIGITS,
    proof_of,
)
from khata.notices.models import Message
from khata.notices.rules import sign_in_code
from khata.portal import session as portal_session
from tests.portal.scene import Scene, body, browser, held_by, new_session

ASHA, BINA, NOBODY = "9876543210", "9876543211", "9876500000"
WRONG = "This code is wrong or too old"
TOO_MANY = "Too many codes were asked for from here"
MANY = "10.1.2.3"


def ask(mobile: str, address: str = "10.0.0.1") -> tuple[HttpResponse, HttpResponse, int]:
    """The answer to the mobile, the page that follows, and how many questions the first cost the database."""
    client = browser(address=address)
    with CaptureQueriesContext(connection) as asked:
        first = client.post("/sign-in/", {"mobile": mobile})
    return first, client.get("/sign-in/code/"), len(asked)


# -- known and unknown look the same -----------------------------------------------------------------------------------


def test_a_mobile_of_nobody_s_gets_the_same_answer_as_one_of_ours(scene: Scene) -> None:
    seen = []
    for mobile in (ASHA, NOBODY):
        first, page, queries = ask(mobile)
        headers = {name: value for name, value in first.headers.items() if name != "Set-Cookie"}
        cookies = {name: len(morsel.OutputString()) for name, morsel in first.cookies.items()}
        text = body(page).replace(mobile[-4:], "0000")
        seen.append((first.status_code, headers, cookies, first.content, len(page.content), text, queries))
    assert seen[0] == seen[1]
    assert seen[0][-1] <= 16


def test_a_wrong_code_gets_the_same_answer_for_both(scene: Scene) -> None:
    seen = []
    for mobile in (ASHA, NOBODY):
        client = browser()
        client.post("/sign-in/", {"mobile": mobile})
        wrong = f"{(int(scene.code_of(client)) + 1) % 10**6:06d}"
        with CaptureQueriesContext(connection) as asked:
            answer = client.post("/sign-in/code/", {"code": wrong})
        assert WRONG in answer.content.decode()
        seen.append((answer.status_code, len(answer.content), body(answer).replace(mobile[-4:], "0000"), len(asked)))
    assert seen[0] == seen[1]


def test_even_the_right_code_opens_nothing_for_a_mobile_of_nobody_s(scene: Scene) -> None:
    client, answer = scene.sign_in(NOBODY)
    assert WRONG in answer.content.decode()
    assert client.get("/").status_code == 302


def test_only_a_mobile_of_ours_gets_an_sms_and_it_goes_there(scene: Scene) -> None:
    with scene.database.as_role("run"):
        before = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
    for mobile in (NOBODY, BINA, NOBODY):
        ask(mobile)
    assert scene.sent() == 1
    with scene.database.as_role("run"):
        (message,) = Message.objects.filter(id__gt=before)
    assert (message.mobile, message.template) == (BINA, "sign-in-code")
    assert scene.sent() == 0


def test_the_time_tells_nothing(scene: Scene) -> None:
    """Interleaved, so that a busy machine burdens both alike. The bound is wide: it finds a look-up, no microsecond."""
    taken: dict[str, list[float]] = {ASHA: [], NOBODY: []}
    for number in range(120):
        order = (ASHA, NOBODY) if number % 2 else (NOBODY, ASHA)
        for at, mobile in enumerate(order):
            client = browser(address=f"10.{number}.{at}.7")
            began = time.perf_counter()
            client.post("/sign-in/", {"mobile": mobile})
            taken[mobile].append(time.perf_counter() - began)
    known, unknown = taken[ASHA], taken[NOBODY]
    wins = sum((one > other) + (one == other) / 2 for one in known for other in unknown)
    auc = wins / (len(known) * len(unknown))
    print(f"AUC {auc:.3f}, medians {statistics.median(known) * 1e3:.2f} and {statistics.median(unknown) * 1e3:.2f} ms")  # noqa: T201
    assert 0.35 < auc < 0.65


# -- the code ----------------------------------------------------------------------------------------------------------


def test_the_right_code_opens_the_first_screen_in_a_new_session(scene: Scene) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": BINA})
    before = held_by(client).session_key
    answer = client.post("/sign-in/code/", {"code": scene.code_of(client)})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert held_by(client).session_key != before
    assert not new_session().exists(str(before))
    assert "Binadevi" in client.get("/").content.decode()
    assert BINA not in str(dict(held_by(client).items()))


@pytest.mark.parametrize(
    "typed", ["९८७६५४३२११", "+91 98765 43211", "0 98765-43211", "0091 9876543211", " 98765 43211 "]
)
def test_a_mobile_is_understood_as_people_write_it(scene: Scene, typed: str) -> None:
    assert scene.sign_in(typed)[1].headers["Location"] == "/"


def test_a_code_is_understood_in_devanagari_and_with_blanks(scene: Scene) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": BINA})
    hindi = scene.code_of(client).translate(str.maketrans("0123456789", "०१२३४५६७८९"))
    assert client.post("/sign-in/code/", {"code": f" {hindi[:3]}-{hindi[3:]} "}).status_code == 302


@pytest.mark.parametrize("typed", ["", "98765", "12345678901", "5876543210", "Asha", "98765432109876543210" * 5, "<b>"])
def test_what_is_no_mobile_is_said_so_and_costs_nothing(scene: Scene, typed: str) -> None:
    answer = browser().post("/sign-in/", {"mobile": typed})
    assert answer.status_code == 200
    assert "ten digits" in answer.content.decode()
    assert scene.sign_ins() == []


def test_a_code_is_good_once(scene: Scene) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": BINA})
    code, other = scene.code_of(client), browser()
    other.cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
    (asked,) = scene.sign_ins(id=held_by(client)["asked"]["id"])
    assert client.post("/sign-in/code/", {"code": code}).status_code == 302
    assert other.post("/sign-in/code/", {"code": code}).headers["Location"] == "/sign-in/"  # its session went
    assert check(asked.id, code) is None


def test_a_code_of_six_minutes_ago_is_too_old(scene: Scene) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": BINA})
    scene.owner("update consumers_signin set asked_at = asked_at - interval '301 seconds'")
    assert WRONG in client.post("/sign-in/code/", {"code": scene.code_of(client)}).content.decode()
    assert scene.sent() == 0  # and no SMS with it goes out any more


def test_after_five_wrong_tries_the_right_code_is_no_good(scene: Scene) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": BINA})
    code = scene.code_of(client)
    for number in range(1, CODE_TRIES + 1):
        wrong = f"{(int(code) + number) % 10**6:06d}"
        assert WRONG in client.post("/sign-in/code/", {"code": wrong}).content.decode()
    assert WRONG in client.post("/sign-in/code/", {"code": code}).content.decode()


def test_the_code_of_another_session_is_no_good(scene: Scene) -> None:
    mine, theirs = browser(), browser()
    for client in (mine, theirs):
        client.post("/sign-in/", {"mobile": BINA})
    while scene.code_of(mine) == scene.code_of(theirs):
        theirs.post("/sign-in/", {"mobile": BINA})
    assert WRONG in theirs.post("/sign-in/code/", {"code": scene.code_of(mine)}).content.decode()
    assert browser().get("/sign-in/code/").headers["Location"] == "/sign-in/"


@pytest.mark.parametrize("typed", ["", " ", "abc", "००", "1" * 39, "\x00", "①②③④⑤⑥"])
def test_what_is_no_code_is_wrong_like_others(scene: Scene, typed: str) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": BINA})
    assert WRONG in client.post("/sign-in/code/", {"code": typed}).content.decode()


@pytest.mark.parametrize(
    ("back", "leads"),
    [("/bills/", "/bills/"), ("https://elsewhere.test/", "/"), ("//elsewhere.test", "/"), ("javascript:alert(1)", "/")],
)
def test_the_way_back_stays_on_this_site(scene: Scene, back: str, leads: str) -> None:
    client = browser()
    client.post("/sign-in/", {"mobile": BINA, "next": back})
    assert client.post("/sign-in/code/", {"code": scene.code_of(client)}).headers["Location"] == leads


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_the_registered_mobile_changes(scene: Scene) -> None:
    """On every page at once: whoever holds the mobile now is not shown to whoever held it."""
    kept = scene.consumer("Binadevi", "Binadevi")
    assert kept.get("/").status_code == 200
    scene.owner("update consumers_consumer set mobile_key = %s where name = 'Binadevi'", ASHA)
    try:
        for page in ("/", "/connections/", "/bills/", "/pay/", "/messages/", "/wrong-bill/", "/bills/1/"):
            client = scene.consumer("Binadevi", "Binadevi")
            key = held_by(client).session_key
            answer = client.get(page)
            assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/"), page
            assert not new_session().exists(str(key))
            assert "Ashalata" not in client.get(page, follow=True).content.decode()
        answer = kept.post("/connections/", {"connection": scene.town.connections["Binadevi"]})
        assert answer.headers["Location"] == "/sign-in/"
    finally:
        scene.owner("update consumers_consumer set mobile_key = %s where name = 'Binadevi'", BINA)


def test_a_browser_is_a_consumer_s_or_the_staff_s_never_both(scene: Scene) -> None:
    client = scene.worker(scene.officers["Gumti"])
    staff_key = held_by(client).session_key
    client.post("/sign-in/", {"mobile": BINA})
    client.post("/sign-in/code/", {"code": scene.code_of(client)})
    assert set(held_by(client).keys()) == {portal_session.KEY, "signed-in-at"}
    assert not new_session().exists(str(staff_key))
    assert (client.get("/").status_code, client.get("/staff/").status_code) == (200, 404)


def test_signed_out_is_signed_out(scene: Scene) -> None:
    client = scene.consumer("Binadevi")
    key = held_by(client).session_key
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert not new_session().exists(str(key))


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def middle_of_a_stretch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts are kept by quarters of the clock; a test that met the end of one would count anew."""
    noon = dt.datetime.now(dt.UTC).replace(hour=12, minute=7)
    monkeypatch.setattr("khata.portal.sign_in._now", lambda: noon)
    yield


@pytest.mark.usefixtures("middle_of_a_stretch")
def test_a_fourth_code_in_a_quarter_of_an_hour_is_not_sent_and_nobody_is_told(scene: Scene) -> None:
    (most, _), _ = CODES_PER_MOBILE
    pages = {(ask(BINA, f"10.0.1.{number}")[0].status_code, body(ask(NOBODY)[1]).count("0000")) for number in range(3)}
    sizes = {len(ask(BINA, f"10.0.2.{number}")[1].content) for number in range(6)}
    assert len(pages) == len(sizes) == 1
    assert len(scene.sign_ins(mobile_key=BINA)) == 9
    assert len(scene.sign_ins(mobile_key=BINA, queued=False)) == most == 3


def test_of_all_codes_asked_for_a_mobile_in_a_day_six_are_sent(scene: Scene) -> None:
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for minute in range(0, 24 * 60, 15):
        now = begin + dt.timedelta(minutes=minute)
        ask_code(mobile=BINA, address=f"10.0.0.{minute % 250}", now=now, key=settings.SECRET_KEY)
    assert len(scene.sign_ins(queued=False)) == CODES_PER_MOBILE[1][0] == 6


@pytest.mark.usefixtures("middle_of_a_stretch")
def test_an_address_that_asks_too_often_is_told_so(scene: Scene) -> None:
    most = CODES_PER_ADDRESS[0][0]
    client = browser(address=MANY)
    answers = [client.post("/sign-in/", {"mobile": f"98700{number:05d}"}) for number in range(most + 1)]
    assert [answer.status_code for answer in answers] == [302] * most + [429]
    assert TOO_MANY in answers[-1].content.decode()
    assert len(scene.sign_ins()) == most
    assert browser(address="10.1.2.4").post("/sign-in/", {"mobile": BINA}).status_code == 302


def test_codes_are_limited_in_total(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CODES_IN_TOTAL == ((50_000, DAY),)
    monkeypatch.setattr("khata.consumers.operations.CODES_IN_TOTAL", ((3, DAY),))
    monkeypatch.setattr("khata.portal.sign_in._now", lambda: dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC))
    answers = [ask(f"98700{number:05d}", f"10.3.0.{number}")[0].status_code for number in range(5)]
    assert answers == [302, 302, 302, 429, 429]


def test_when_many_codes_fail_everywhere_codes_grow_longer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khata.consumers.operations.FAILURES_IN_TOTAL", (3, DAY))
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    digits = []
    # Each time a code that is of no use, of a mobile of its own: on a day of the past, and today.
    for number, at in enumerate([noon] * 5 + [dt.datetime.now(dt.UTC)] * 3):
        code = ask_code(mobile=f"98700{number:05d}", address="10.4.0.1", now=at, key=settings.SECRET_KEY)
        assert code is not None
        digits += [row.digits for row in scene.sign_ins(id=code)]
        assert check_code(sign_in=code, typed="x", address="10.4.0.1", now=at, key=settings.SECRET_KEY) is None
    assert digits[:5] == [CODE_DIGITS] * 3 + [MORE_DIGITS] * 2
    client, answer = scene.sign_in(BINA)  # and the owner still gets in
    assert (answer.headers["Location"], len(right(scene, mobile_key=BINA))) == ("/", 8)
    assert client.get("/").status_code == 200


def check(sign_in: uuid.UUID, typed: str, address: str = "10.5.0.1") -> list[tuple[int, int]] | None:
    return check_code(
        sign_in=sign_in, typed=typed, address=address, now=dt.datetime.now(dt.UTC), key=settings.SECRET_KEY
    )


def test_four_hundred_guesses_open_nothing(scene: Scene) -> None:
    """A guesser with as many addresses as it likes, against one mobile: five tries of each code, six codes a day."""
    now = dt.datetime.now(dt.UTC)
    codes = [ask_code(mobile=BINA, address=f"10.6.0.{n}", now=now, key=settings.SECRET_KEY) for n in range(8)]
    rights = {code: right(scene, id=code) for code in codes if code}
    guesses = [(code, 50 * at + guess) for at, code in enumerate(rights) for guess in range(50)]
    found = [
        check(code, f"{guess:06d}", f"10.7.{at % 250}.1")
        for at, (code, guess) in enumerate(guesses)
        if f"{guess:06d}" != rights[code]
    ]
    assert len(found) >= 392
    assert found == [None] * len(found)
    for code, digits in rights.items():  # and by now not even the right ones open anything
        assert check(code, digits, "10.7.251.1") is None
    assert not any(row.used for row in scene.sign_ins())


def right(scene: Scene, **which: object) -> str:
    (row,) = scene.sign_ins(**which)
    # What the worker writes when it sends the code; it would throw away the rows of other days that are tried here.
    scene.owner("update consumers_signin set proof = %s where id = %s", proof_of(row.id, settings.SECRET_KEY), row.id)
    return sign_in_code(row.nonce, settings.SECRET_KEY.encode(), digits=row.digits)


def test_an_address_has_so_many_guesses_in_a_quarter_of_an_hour(scene: Scene) -> None:
    noon = dt.datetime(2026, 1, 1, 12, 7, tzinfo=dt.UTC)
    ((most, _),) = CHECKS_PER_ADDRESS
    row = ask_code(mobile=BINA, address="10.8.0.1", now=noon, key=settings.SECRET_KEY)
    assert row is not None
    for _ in range(most):
        assert check_code(sign_in=uuid.uuid4(), typed="0", address=MANY, now=noon, key=settings.SECRET_KEY) is None
    code = right(scene, id=row)
    scene.owner(
        "update consumers_signin set asked_at = now()"
    )  # what a proof is good for is said by the database's clock
    assert check_code(sign_in=row, typed=code, address=MANY, now=noon, key=settings.SECRET_KEY) is None
    assert check_code(sign_in=row, typed=code, address="10.8.0.9", now=noon, key=settings.SECRET_KEY) is not None


def test_spraying_everybody_for_a_day_opens_less_than_a_hundredth_of_an_account() -> None:
    """By the limits themselves: short codes until the failures of a day are spent, then longer ones for the rest."""
    failures, _ = FAILURES_IN_TOTAL
    ((in_total, _),) = CODES_IN_TOTAL
    tries = CODE_TRIES * in_total
    lucky = Fraction(failures, 10**CODE_DIGITS) + Fraction(tries - failures, 10**MORE_DIGITS)
    assert lucky < Fraction(1, 100)
    assert Fraction(CODE_TRIES * CODES_PER_MOBILE[1][0], 10**CODE_DIGITS) < Fraction(1, 30_000)  # of one's own mobile
