"""A view of one connection, given by its holder: what it shows, what it never shows, and that it ends at once."""

from collections.abc import Iterator

import pytest
from django.test import Client

from khata.consumers.models import ViewGrant
from khata.notices.models import Message
from tests.portal.scene import Scene, held_by

TENANT = "9876533333"
ASHA, BINA = "9876543210", "9876543211"
SEEN = ("/", "/bills/", "/pay/", "/usage/", "/connections/")
UNSEEN = ("/messages/", "/security/", "/security/mobile/", "/access/")


@pytest.fixture(autouse=True)
def nothing_given(scene: Scene) -> Iterator[None]:
    yield
    for name in ("consumers_viewended", "consumers_viewgrant"):
        scene.owner(f"alter table {name} disable trigger append_only")
        scene.owner(f"delete from {name}")
        scene.owner(f"alter table {name} enable trigger append_only")


def give(scene: Scene, mobile: str = TENANT, *, whose: str = "Ashalata", label: str = "किरायेदार, ऊपर") -> Client:
    client = scene.consumer(whose)
    assert client.post("/access/", {"mobile": mobile, "label": label}).status_code == 302
    return client


def grant_ids(scene: Scene) -> list[str]:
    with scene.database.as_role("run"):
        return [str(row.id) for row in ViewGrant.objects.order_by("given_at")]


# -- messages, before there are many -----------------------------------------------------------------------------------


def test_the_inbox_has_what_went_to_this_mobile_about_all_its_connections(scene: Scene) -> None:
    give(scene, BINA)
    inbox = scene.consumer("Ashalata", "Dukanwali").get("/messages/").content.decode()
    for name in ("Ashalata", "Dukanwali"):
        assert f"..{scene.town.accounts[name][-4:]}" in inbox
    assert f"..{scene.town.accounts['Binadevi'][-4:]}" not in inbox
    # the tail of Bina's mobile stands in what Asha was told; what Bina was told, with the tail of Asha's, is hers alone
    assert f"..{BINA[-4:]}" in inbox
    assert f"..{ASHA[-4:]}" not in inbox
    bina, _ = scene.sign_in(BINA)
    theirs = bina.get("/messages/").content.decode()
    assert f"..{ASHA[-4:]}" in theirs
    assert f"..{scene.town.accounts['Dukanwali'][-4:]}" not in theirs


# -- views -------------------------------------------------------------------------------------------------------------


def test_before_and_after_a_mobile_that_is_let_in_is_nobody_s(scene: Scene) -> None:
    assert "wrong or too old" in scene.sign_in(TENANT)[1].content.decode()
    holder = give(scene)
    assert scene.sign_in(TENANT)[1].headers["Location"] == "/"
    holder.post("/access/", {"end": grant_ids(scene)[0]})
    assert "wrong or too old" in scene.sign_in(TENANT)[1].content.decode()


def test_it_shows_home_usage_bills_and_pay_of_this_connection_and_masks_whose_it_is(scene: Scene) -> None:
    give(scene)
    tenant, _ = scene.sign_in(TENANT)
    bill = scene.bills[scene.town.connections["Ashalata"]]
    account, _, address, mobile, name, *_ = scene.marks("Ashalata")
    for page in (*SEEN, f"/bills/{bill}/"):
        answer = tenant.get(page)
        text = answer.content.decode()
        assert answer.status_code == 200, page
        assert "View given by the holder" in text
        assert not [mark for mark in (address, mobile, name) if mark in text], page
    assert account[:2] in tenant.get("/").content.decode()
    assert "A***" in tenant.get("/").content.decode()
    for page in (*UNSEEN, f"/bills/{bill}/pdf/", f"/bills/{scene.bills[scene.town.connections['Binadevi']]}/"):
        assert tenant.get(page).status_code == 404, page


def test_both_are_told_by_sms(scene: Scene) -> None:
    give(scene)
    with scene.database.as_role("run"):
        newest = list(Message.objects.order_by("-id").values_list("template", "mobile")[:2])
    assert sorted(newest) == [("view-given", ASHA), ("view-received", TENANT)]


def test_taking_it_back_ends_the_running_session_s_sight_with_the_next_request(scene: Scene) -> None:
    holder = give(scene)
    tenant, _ = scene.sign_in(TENANT)
    assert tenant.get("/").status_code == 200
    assert holder.post("/access/", {"end": grant_ids(scene)[0]}).status_code == 302
    for page in SEEN:
        assert tenant.get(page).headers["Location"].startswith("/sign-in/"), page
    assert "किरायेदार" not in holder.get("/access/").content.decode()


def test_whoever_has_an_own_connection_too_goes_back_to_it(scene: Scene) -> None:
    holder = give(scene, BINA)
    bina, answer = scene.sign_in(BINA)
    assert answer.headers["Location"] == "/connections/"
    page = bina.get("/connections/").content.decode()
    assert "Binadevi" in page
    assert "Ashalata" not in page
    ashas = scene.town.connections["Ashalata"]
    assert bina.post("/connections/", {"connection": ashas}).status_code == 302
    assert "View given by the holder" in bina.get("/").content.decode()
    assert "Binadevi" in bina.get("/connections/").content.decode()
    holder.post("/access/", {"end": grant_ids(scene)[0]})
    assert "Binadevi" in bina.get("/").content.decode()
    assert bina.post("/connections/", {"connection": ashas}).status_code == 404


def test_a_view_ends_when_its_holder_s_mobile_is_another_one(scene: Scene) -> None:
    give(scene)
    tenant, _ = scene.sign_in(TENANT)
    scene.owner("update consumers_consumer set mobile_key = '9876544444' where name = 'Ashalata'")
    try:
        assert tenant.get("/").status_code == 302
    finally:
        scene.owner("update consumers_consumer set mobile_key = %s where name = 'Ashalata'", ASHA)


def test_nobody_ends_another_s_view_or_lists_it(scene: Scene) -> None:
    give(scene)
    bina = scene.consumer("Binadevi")
    bina.post("/access/", {"end": grant_ids(scene)[0]})
    assert "किरायेदार" not in bina.get("/access/").content.decode()
    assert scene.sign_in(TENANT)[1].status_code == 302


def test_a_session_cannot_be_led_to_a_connection_that_no_view_was_given_of(scene: Scene) -> None:
    """The view in the session is asked for at each request, and the connection beside it is not believed alone."""
    give(scene)
    tenant, _ = scene.sign_in(TENANT)
    session = held_by(tenant)
    signed = session["consumer"]
    session["consumer"] = {**signed, "views": [[signed["views"][0][0], scene.town.connections["Binadevi"]]]}
    session.save()
    page = tenant.get("/")
    assert page.status_code == 302 or "Binadevi" not in page.content.decode()
    assert page.status_code == 302


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"mobile": "12", "label": "x"}, "ten digits"),
        ({"mobile": TENANT, "label": " "}, "how you call"),
        ({"mobile": ASHA, "label": "me"}, "your own mobile"),
        ({"mobile": TENANT, "label": "again"}, "already"),
    ],
)
def test_what_cannot_be_given_is_said(scene: Scene, form: dict[str, str], said: str) -> None:
    holder = give(scene)
    assert said in holder.post("/access/", form).content.decode()
    assert len(grant_ids(scene)) == 1


def test_five_see_it_and_a_sixth_does_not(scene: Scene) -> None:
    for number in range(5):
        holder = give(scene, f"987653333{number}")
    assert "Five people" in holder.post("/access/", {"mobile": "9876533339", "label": "six"}).content.decode()


def test_the_inbox_has_pages(scene: Scene) -> None:
    one = scene.town.connections["Binadevi"]
    scene.owner(
        "insert into notices_message (subject, template, language, mobile, \"values\", cause) "
        "select %s, 'number-withdrawn', 'en', %s, array[(1000000 + n)::text], 'test' from generate_series(1, 45) n",
        one, BINA,
    )  # fmt: skip
    client, seen, address = scene.consumer("Binadevi"), list[str](), "/messages/"
    for _ in range(5):
        page = client.get(address).content.decode()
        seen += [f"10000{n:02d}" for n in range(45, 0, -1) if f"10000{n:02d}" in page]
        if 'rel="next"' not in page:
            break
        address = "/messages/" + page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert seen == [f"10000{n:02d}" for n in range(45, 0, -1)]
    assert client.get("/messages/?before=x").status_code == 200
