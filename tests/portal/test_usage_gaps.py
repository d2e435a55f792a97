"""Pages of use where something is missing: silent meters, estimates, days before the first, bills not there yet."""

import datetime as dt
import os
import re
from collections.abc import Iterator

import pytest
from django.test import Client

from khata.discoms.models import Discom
from khata.ledger.operations import OnHead, post_one
from khata.ledger.queries import heads
from khata.metering.models import MeterDay
from khata.metering.queries import SeenDay
from khata.portal import used
from khata.portal.home import _month_bars
from khata.portal.lasting import Lasting
from tests.cast import KESCO, Agreed, Town, Usage, day, may, smart
from tests.database import Database
from tests.portal.scene import TODAY, Scene, browser, web

ESTIMATED = smart("Estimoni", may(8_000), mobile="9876543231", old_number="2345671")
NEW = smart(
    "Newcomer",
    Usage("2024-06-10", (8_000,) * 10),
    terms=(Agreed("2024-06-10"),),
    mobile="9876543232",
    old_number="2345672",
)
SILENT = smart("Silentia", Usage("2024-03-01", (8_000,) * 70), mobile="9876543233", old_number="2345673")
PREPAID = smart(
    "Prepaida",
    may(8_000),
    terms=(Agreed("2023-04-01", mode="prepaid"),),
    mobile="9876543234",
    old_number="2345674",
)
NEVER = smart("Neverona", mobile="9876543235", old_number="2345675")
BOUNDED = smart("Boundella", may(8_000, missing=frozenset({"2024-05-31"})), mobile="9876543236", old_number="2345676")
PEOPLE = (ESTIMATED, NEW, SILENT, PREPAID, NEVER, BOUNDED)
BLOCKS = [100 + n for n in range(48)]


def brought(town: Town) -> None:
    """June: nine days measured; then the one has estimates, on the last day of a part, and the other nothing."""
    for name, many in (("Estimoni", 19), ("Prepaida", 9)):
        stored = MeterDay.objects.filter(meter=town.meters[f"S-{name}"]).order_by("-day")[0]
        for n in range(many):
            said: dict[str, object] = {"origin": 1, "known": 48}
            if n >= 9:
                said = {"origin": 2, "known": 0, "rule": "EST-03"}
            MeterDay.objects.create(
                meter_id=stored.meter_id,
                day=day("2024-06-01") + dt.timedelta(days=n),
                channel=0,
                revision=0,
                blocks_wh=BLOCKS,
                total_wh=sum(BLOCKS),
                delivery=stored.delivery,
                **said,
            )
    MeterDay.objects.create(
        meter_id=town.meters["S-Boundella"],
        day=day("2024-05-31"),
        revision=0,
        total_wh=8_000,
        register_wh=1_248_000,
        origin=2,
        known=0,
        rule="EST-01",
        delivery=stored.delivery,
    )


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database, PEOPLE, brought)
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_estimates_do_not_make_a_silent_meter_look_alive(scene: Scene) -> None:
    client = scene.consumer("Estimoni")
    home, usage = page(client, "/"), page(client, "/usage/")
    for text in (home, usage):
        assert "Since 9 June 2024 no reading has come from your meter." in text
        assert "Known up to 9 June 2024, 11 days ago." in text
    assert "Yesterday 5.9 units estimated" in home
    assert "Yesterday 5.9 units estimated" in usage
    assert "11 days ago" in page(client, "/usage/day/2024-06-19/")
    assert "This day was not measured by half-hours" in page(client, "/usage/day/2024-06-19/")


def test_a_day_with_some_half_hours_measured_is_not_called_wholly_estimated(scene: Scene) -> None:
    (stored,) = _with_owner(scene, "Estimoni", "2024-06-19")
    with scene.database.as_role("admin"):
        MeterDay.objects.create(
            meter_id=stored.meter_id,
            day=stored.day,
            channel=0,
            revision=1,
            blocks_wh=BLOCKS,
            total_wh=sum(BLOCKS),
            delivery=stored.delivery,
            origin=2,
            known=40,
            rule="EST-03",
            origins="A" * 40 + "E" * 8,
        )
    client = scene.consumer("Estimoni")
    assert "4 hours of this day were not measured" in page(client, "/usage/day/2024-06-19/")
    scene.owner("set session_replication_role = replica; delete from metering_meterday where revision = 1")
    assert "This day was not measured by half-hours" in page(client, "/usage/day/2024-06-19/")


@pytest.mark.parametrize(
    ("origin", "said", "in_table", "quality"),
    [
        (3, "such as those of a check meter", "substituted", b"<quality>11</quality>"),
        (4, "The company has corrected this day.", "corrected", b"<quality>7</quality>"),
    ],
)
def test_a_day_that_an_officer_put_right_says_so(
    scene: Scene, origin: int, said: str, in_table: str, quality: bytes
) -> None:
    (stored,) = _with_owner(scene, "Estimoni", "2024-06-18")
    with scene.database.as_role("admin"):
        MeterDay.objects.create(
            meter_id=stored.meter_id, day=stored.day, channel=0, revision=1, blocks_wh=BLOCKS, total_wh=sum(BLOCKS),
            delivery=stored.delivery, origin=origin, known=0,
        )  # fmt: skip
    client = scene.consumer("Estimoni")
    text = page(client, "/usage/day/2024-06-18/")
    asked = "?from=2024-06-18&to=2024-06-18"
    table, green = (
        b"".join(client.get(f"/usage/{name}/{asked}").streaming_content)  # type: ignore[attr-defined]
        for name in ("csv", "green-button")
    )
    scene.owner("set session_replication_role = replica; delete from metering_meterday where revision = 1")
    assert said in text and "not measured" not in text
    assert table.decode("utf-8-sig").splitlines()[1].split(",")[3] == in_table
    assert green.count(quality) == 48


def _with_owner(scene: Scene, name: str, date: str) -> list[MeterDay]:
    with scene.database.as_role("run"):
        return list(MeterDay.objects.filter(meter=scene.town.meters[f"S-{name}"], day=day(date)))


def test_a_silent_smart_meter_is_never_called_one_read_by_the_month(scene: Scene) -> None:
    client = scene.consumer("Silentia")
    for address in ("/", "/usage/"):
        text = page(client, address)
        assert "Since 9 May 2024 no reading has come from your meter." in text
        assert "once a month" not in text
    assert "In the last 30 days no reading has come from your smart meter." in page(client, "/")
    never = scene.consumer("Neverona")
    for address in ("/", "/usage/", "/usage/?in=rupees"):
        text = page(never, address)
        assert "Since your smart meter was put up on 1 April 2023 no reading has come from it." in text
        assert "once a month" not in text
    hindi = browser(language="hi")
    for name, cookie in never.cookies.items():
        if "language" not in name:
            hindi.cookies[name] = cookie.value
    assert "उससे कोई रीडिंग नहीं आई" in page(hindi, "/")


@pytest.mark.parametrize("today", ["2024-06-10", "2024-06-11", "2024-06-20", "2024-07-01", "2024-07-02"])
def test_a_new_connection_has_its_pages_on_every_day(scene: Scene, monkeypatch: pytest.MonkeyPatch, today: str) -> None:
    monkeypatch.setenv("KHATA_TODAY", today)
    client = scene.consumer("Newcomer")
    for address in (
        "/",
        "/usage/",
        "/usage/?in=rupees",
        "/usage/month/2024-06/?in=rupees",
        f"/usage/month/{today[:7]}/",
    ):
        page(client, address)


def test_what_was_before_the_connection_is_not_missing_and_takes_no_rupees_away(scene: Scene) -> None:
    client = scene.consumer("Newcomer")
    text = page(client, "/usage/?in=rupees")
    assert "did not come in" not in text
    assert "cannot be said yet" not in text
    assert re.search(r"This month so far ₹[\d,.]+", text)
    month = client.get("/usage/month/2024-06/?in=rupees").content.decode()
    assert month.count('href="/usage/day/') == 10
    text = page(client, "/usage/month/2024-06/?in=rupees")
    assert "Of these days your meter told the totals only, not the half-hours." in text
    assert "The demand is taken from your last bill." in text


def test_a_prepaid_balance_is_not_threatened_with_surcharge(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHATA_TODAY", "2024-07-20")
    text = page(scene.consumer("Prepaida"), "/")
    assert ("Please recharge" in text, "surcharge is added" in text) == (True, False)
    assert "surcharge is added" in page(scene.consumer("Estimoni"), "/")


def test_days_of_a_prepaid_meter_that_did_not_come_are_not_free(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, client = scene.town.connections["Prepaida"], scene.consumer("Prepaida")
    before = _left(scene, client, connection, 1_500_00)
    monkeypatch.setenv("KHATA_TODAY", "2024-06-10")
    then = page(client, "/")
    assert "like an ordinary day" not in then
    found = re.search(r"after the days not billed yet, ₹([\d,.]+) are left", then)
    assert found is not None
    # Ten days unknown: about 10/9 of what the nine known ones took off.
    known = 1_500_00 - int(re.sub(r"\D", "", found[1]))
    assert abs((1_500_00 - before) - known * 19 // 9) < known // 3


def _left(scene: Scene, client: Client, connection: int, balance: int) -> int:
    with scene.database.as_role("run"):
        numbers = heads(Discom.objects.get(code=KESCO))
        paid = scene.town.balance("Prepaida") + balance
        rows = [OnHead(numbers["consumers"], connection, -paid), OnHead(numbers["cash"], 0, paid)]
        post_one(kind="test", cause="test:1", business_date=day("2024-06-09"), reason="", postings=rows)
    text = page(client, "/")
    assert "Of 10 of these days no reading has come; each is counted like an ordinary day." in text
    found = re.search(r"after the days not billed yet, ₹([\d,.]+) are left", text)
    assert found is not None
    return int(re.sub(r"\D", "", found[1]))


def test_days_up_to_one_are_taken_as_the_thirteen_months_before_it(scene: Scene) -> None:
    answer = scene.consumer("Estimoni").get("/usage/csv/?to=2022-05-10")
    assert (answer.status_code, answer.headers["Content-Disposition"]) == (
        200,
        'attachment; filename="usage-2021-05-01-2022-05-10.csv"',
    )


@pytest.mark.parametrize("asked", ["to=0001-01-01", "to=1999-12-31", "to=9999-12-31"])
def test_no_day_up_to_which_to_take_is_a_fault(scene: Scene, asked: str) -> None:
    assert scene.consumer("Estimoni").get(f"/usage/csv/?{asked}").status_code == 400


def test_a_runway_that_nobody_can_bound_above_says_no_none(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Lasting(low=3, likely=5, high=None, until=day("2024-06-25"), paise=100_00, unknown=0)
    monkeypatch.setattr("khata.portal.home.lasts", lambda *_, **__: found)
    text = page(scene.consumer("Prepaida"), "/")
    assert "It lasts about 5 days , until 25 June 2024 (at least 3): after" in text
    assert "None" not in text


# -- without pages -----------------------------------------------------------------------------------------------------


def seen(date: dt.date, wh: int | None, origin: int = 1, known: int = 48) -> SeenDay:
    return SeenDay(date, wh, None, None, origin, known)


def test_the_running_month_is_always_there_and_says_what_of_it_is_estimated() -> None:
    today = day("2024-06-20")
    days = {d: seen(d, 5_000, origin=2, known=0) for d in (day("2024-06-01") + dt.timedelta(n) for n in range(19))}
    asked = {"since": day("2024-06-01"), "ahead": None, "paise": None, "ahead_paise": None}
    (running,) = used.trend([], days, today=today, **asked)  # type: ignore[arg-type]
    assert (running.wh, running.estimated, running.running) == (19 * 5_000, True, True)
    (empty,) = used.trend([], {}, today=today, **asked)  # type: ignore[arg-type]
    assert (empty.month, empty.wh) == (day("2024-06-01"), None)


def test_the_month_of_the_connection_is_whole_from_its_first_day_on() -> None:
    since = day("2024-06-10")
    days = {d: seen(d, 1_000) for d in (since + dt.timedelta(n) for n in range(21))}
    assert used.whole_month_wh(days, day("2024-06-01"), since) == 21_000
    assert used.whole_month_wh(days, day("2024-06-01"), day("2024-06-09")) is None
    assert used.whole_month_wh({}, day("2024-05-01"), since) is None


def test_a_day_is_told_unless_all_of_it_is_estimated() -> None:
    first = day("2024-06-01")
    days = {
        first: seen(first, 1),
        first + dt.timedelta(1): seen(first, 1, origin=2, known=3),
        first + dt.timedelta(2): seen(first, 1, origin=2, known=0),
        first + dt.timedelta(3): seen(first, None),
    }
    assert used.last_told(days, first + dt.timedelta(9)) == first + dt.timedelta(1)
    assert used.last_known(days, first + dt.timedelta(9)) == first + dt.timedelta(2)
    assert used.last_told(days, first) is None


def test_a_day_without_a_total_is_not_drawn_as_zero() -> None:
    first, today = day("2024-06-01"), day("2024-06-03")
    assert _month_bars([], {first: seen(first, None)}, today) == []
    days = {first: seen(first, None), first + dt.timedelta(1): seen(first, 4_000)}
    assert [bar.wh for bar in _month_bars([], days, today)] == [4_000]


def test_a_bill_that_ends_at_an_estimated_register_says_so(scene: Scene) -> None:
    for name, said in (("Boundella", True), ("Estimoni", False)):
        client, bill = scene.consumer(name), scene.bills[scene.town.connections[name]]
        shown = page(client, f"/bills/{bill}/")
        why = "Estimated: no real reading of that day had come"
        assert ("1 June 2024 (estimated)" in shown) is (why in shown) is said
        answer = client.get(f"/api/v1/connections/{scene.town.accounts[name]}/bills/{bill}")
        (register,) = answer.json()["registers"]
        assert (register["previous_estimated"], register["present_estimated"]) == (False, said)
