"""The pages of use: what stands on them is what is stored, with its gaps, and nobody else's."""

import csv
import datetime as dt
import io
import os
import re
from collections.abc import Iterator

import numpy as np
import pytest
from django.db import connection, transaction
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khata.billing.models import Bill
from khata.billing.pricing import month_costs, priced_by
from khata.discoms.models import Discom
from khata.discoms.scope import scoped
from khata.display.money import rupees
from khata.formats.espi import read_espi
from khata.ledger.operations import OnHead, post_one
from khata.ledger.queries import heads
from khata.metering.models import MeterDay
from khata.metering.operations import NewDays, take_days
from khata.metering.queries import half_hours_of
from tests.cast import CHARAN, Agreed, Town, day, may, plain, smart
from tests.database import Database
from tests.portal.scene import TODAY, Scene, browser, web

# Sixteen months of half-hours; on the last day no supply from 14:00 to 15:30, on another no reading at all.
HALFANI = smart("Halfani", terms=(Agreed("2023-04-01", load_w=2_000),), old_number="2345678")
RUPANI = smart("Rupani", terms=(Agreed("2023-04-01", mode="prepaid"),), mobile="9876543231", old_number="2345679")
SILENT = smart("Silenti", may(8_000), mobile="9876543232", old_number="2345670")
BINADEVI = plain("Binadevi", ("2024-04-28", 500_000, 900), ("2024-05-28", 620_000, 1_100), mobile="9876543211")
CHARANJIT = CHARAN.with_(name="Charanjit", old_number="1234560")
PEOPLE = (HALFANI, RUPANI, SILENT, BINADEVI, CHARANJIT)
FIRST, LAST = day("2023-03-01"), day("2024-06-19")
MISSING, ESTIMATED, PARTLY, CUT = day("2024-06-05"), day("2024-06-10"), day("2024-06-12"), LAST
CUT_AT = range(28, 31)  # the half-hours 14:00 to 15:30
ADDRESSES = (
    "/usage/",
    "/usage/?in=rupees",
    f"/usage/day/{LAST}/",
    "/usage/month/2024-06/",
    "/usage/month/2024-06/?in=rupees",
)


def blocks_of(date: dt.date) -> list[int]:
    """A home that uses most from 19:30 to 20:00; no two days are alike."""
    at = date.toordinal()
    used = [100 + (7 * at + 13 * n) % 41 for n in range(48)]
    used[39] = 700 + at % 89
    if date == CUT:
        for n in CUT_AT:
            used[n] = 0
    return used


def half_hours(town: Town) -> None:
    """What the senders brought; then two days are followed by estimates, as if nothing had been measured of them."""
    calendar = [FIRST + dt.timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    calendar = [date for date in calendar if date != MISSING]
    for name in ("Halfani", "Rupani"):
        blocks = np.array([blocks_of(date) for date in calendar], np.int32)
        total = blocks.sum(axis=1).astype(np.int64)
        demand = np.full(len(calendar), 2_600 if name == "Halfani" else 1_500)
        off = np.array([sum(1 << n for n in CUT_AT) if date == CUT else 0 for date in calendar], np.int64)
        meter = np.full(len(calendar), town.meters[f"S-{name}"])
        register = 1_000_000 + np.cumsum(total)
        days = NewDays(meter, np.array(calendar, "datetime64[D]"), total, register, demand, blocks, off)
        take_days(days=days, sender="test", today=day("2024-12-31"))
    letters = "A" * 10 + "E" * 4 + "A" * 34
    estimate(town, ESTIMATED, rule="EST-03", origin=2, known=0, origins=None)
    estimate(town, PARTLY, rule="EST-02", origin=1, known=44, origins=letters)


def estimate(town: Town, date: dt.date, **values: object) -> None:
    """A second revision of a day, with the half-hours of another one."""
    blocks = blocks_of(date - dt.timedelta(days=7))
    (stored,) = MeterDay.objects.filter(meter=town.meters["S-Halfani"], day=date)
    MeterDay.objects.create(
        meter_id=stored.meter_id,
        day=date,
        channel=0,
        revision=1,
        blocks_wh=blocks,
        total_wh=sum(blocks),
        register_wh=stored.register_wh,
        demand_w=stored.demand_w,
        delivery=stored.delivery,
        **values,
    )


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Scene]:
    os.environ["KHATA_TODAY"] = TODAY
    made = Scene(module_database, PEOPLE, half_hours)
    with web(module_database):
        yield made
    del os.environ["KHATA_TODAY"]


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def sent(client: Client, address: str) -> bytes:
    answer = client.get(address)
    assert (answer.status_code, type(answer)) == (200, StreamingHttpResponse)
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


# -- what is there -----------------------------------------------------------------------------------------------------


def test_the_first_look_answers_yesterday_its_peak_and_the_month(scene: Scene) -> None:
    text = page(scene.consumer("Halfani"), "/usage/")
    june = [LAST - dt.timedelta(days=n) for n in range(19)]
    total = sum(
        sum(blocks_of(d if d not in (ESTIMATED, PARTLY) else d - dt.timedelta(7))) for d in june if d != MISSING
    )
    assert f"Yesterday {tenths(sum(blocks_of(LAST)))} units" in text
    assert "Highest load 1.4 kW 7:30–8 pm" in text
    assert f"This month so far {tenths(total)} units" in text
    assert "Whole month, likely" in text
    assert "Known up to yesterday, 19 June 2024." in text


def tenths(wh: int) -> str:
    return f"{(wh + 500) // 1000}" if wh >= 99_950 else f"{(wh + 50) // 100 / 10:g}"


def test_a_day_tells_its_cuts_and_what_was_not_measured(scene: Scene) -> None:
    client = scene.consumer("Halfani")
    cut = page(client, f"/usage/day/{CUT}/")
    assert "No supply: 2–3:30 pm (1.5 h)" in cut
    assert "estimated" not in cut
    whole, part = page(client, f"/usage/day/{ESTIMATED}/"), page(client, f"/usage/day/{PARTLY}/")
    assert "This day was not measured by half-hours; it is estimated. There was no reading" in whole
    assert "2 hours of this day were not measured; they are estimated, and drawn dashed. The total of the day" in part
    nothing = page(client, f"/usage/day/{MISSING}/")
    assert "Of this day no reading has come in." in nothing
    assert "Units of the day" not in nothing


def test_days_and_months_lead_to_their_neighbours_and_not_beyond_yesterday(scene: Scene) -> None:
    client = scene.consumer("Halfani")
    middle, last = (client.get(f"/usage/day/{date}/").content.decode() for date in (PARTLY, LAST))
    assert ('href="/usage/day/2024-06-11/"' in middle, 'href="/usage/day/2024-06-13/"' in middle) == (True, True)
    assert ('href="/usage/day/2024-06-18/"' in last, 'rel="next"' in last) == (True, False)
    june = client.get("/usage/month/2024-06/").content.decode()
    assert ('href="/usage/month/2024-05/"' in june, 'rel="next"' in june) == (True, False)
    assert june.count('href="/usage/day/') == 19
    assert 'href="/usage/month/2024-06/"' in client.get("/usage/month/2024-05/").content.decode()


@pytest.mark.parametrize("text", ["2024-06-20", "2024-06-21", "1999-12-31", "2024-02-30", "x", "9" * 40])
def test_a_day_that_is_not_over_or_none_is_not_there(scene: Scene, text: str) -> None:
    assert scene.consumer("Halfani").get(f"/usage/day/{text}/").status_code == 404


@pytest.mark.parametrize("text", ["2024-07", "1999-12", "2024-13", "2024-6", "2024-06-01", "x"])
def test_a_month_that_has_not_begun_or_none_is_not_there(scene: Scene, text: str) -> None:
    assert scene.consumer("Halfani").get(f"/usage/month/{text}/").status_code == 404


def test_a_meter_read_by_the_month_has_an_honest_page(scene: Scene) -> None:
    client = scene.consumer("Binadevi")
    text = page(client, "/usage/")
    assert "Units in May 2024 120" in text
    assert "no days and no half-hours here" in text
    assert ("See as table" in text, "Take your data along" in text) == (True, False)
    assert "Of this month no reading of a day has come in." in page(client, "/usage/month/2024-05/")


@pytest.mark.parametrize("name", ["Halfani", "Rupani"])
def test_pages_of_use_ask_the_database_little(scene: Scene, name: str) -> None:
    client = scene.consumer(name)
    for address in ("/", *ADDRESSES):
        client.get(address)
        with CaptureQueriesContext(connection) as asked:
            page(client, address)
        frame = r"SAVEPOINT|RELEASE|BEGIN|COMMIT|select set_config"
        real = [query["sql"][:80] for query in asked.captured_queries if not re.match(frame, query["sql"])]
        assert len(real) <= 12, (address, real)


def test_the_rupees_of_a_month_are_those_of_its_bill_and_of_its_forecast(scene: Scene) -> None:
    with scene.database.as_role("run"):
        bill = Bill.objects.get(id=scene.bills[scene.town.connections["Halfani"]])
    client = scene.consumer("Halfani")
    assert rupees(bill.payable_paise) in page(client, "/usage/month/2024-05/?in=rupees")
    text, money = page(client, "/usage/?in=rupees"), r"₹[\d,.]+"
    assert re.search(f"This month so far {money} Whole month, likely {money} between {money} and {money} Known", text)


def test_a_month_ahead_is_priced_as_if_it_were_used(scene: Scene) -> None:
    used = {day("2024-05-01"): 40_000, day("2024-05-09"): None, day("2024-05-20"): 90_000}
    more = {**used, day("2024-05-31"): 120_000}
    with scene.database.as_role("run"):
        by = priced_by(connection_id=scene.town.connections["Halfani"])
        asked = {"connection_id": scene.town.connections["Halfani"], "month": day("2024-05-01"), "today": day(TODAY)}
        ahead = month_costs(used=used, ahead_wh=(130_000, 250_000), by=by, **asked)  # type: ignore[arg-type]
        later = month_costs(used=more, **asked)  # type: ignore[arg-type]
    assert ahead.ahead_paise == (ahead.total_paise, later.total_paise)
    assert sum(ahead.days.values()) == ahead.total_paise < later.total_paise


# -- whose it is -------------------------------------------------------------------------------------------------------


def test_nothing_of_another_s_use_is_seen_or_taken_along(scene: Scene) -> None:
    """Charanjit has the same days; what he asks for answers as if nobody had used anything but he."""
    client = scene.consumer("Charanjit")
    assert "Of this day no reading has come in." in page(client, f"/usage/day/{LAST}/")
    assert "Of this month no reading of a day has come in." in page(client, "/usage/month/2024-06/")
    texts = [page(client, address) for address in ADDRESSES]
    marks = [f"{sum(blocks_of(LAST)) / 1000:.3f}", *scene.marks("Halfani"), *scene.marks("Rupani")]
    assert [mark for mark in marks if any(mark in text for text in texts)] == []
    for row in read_csv(sent(client, "/usage/csv/?from=2024-06-01&to=2024-06-19"))[1:]:
        assert row[1:] == ["", "", "no reading", *[""] * 50]


def test_nobody_else_gets_in(scene: Scene) -> None:
    for address in (*ADDRESSES, "/usage/csv/", "/usage/green-button/"):
        assert browser().get(address).headers["Location"].startswith("/sign-in/")


# -- files -------------------------------------------------------------------------------------------------------------


def read_csv(text: bytes) -> list[list[str]]:
    assert text.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(text.decode("utf-8-sig"))))


def test_the_table_holds_every_half_hour_exactly(scene: Scene) -> None:
    head, *rows = read_csv(sent(scene.consumer("Halfani"), f"/usage/csv/?from=2024-05-30&to={LAST}"))
    assert len(head) == 54
    assert head[4:52] == [f"{n // 2:02d}:{n % 2 * 30:02d}" for n in range(1, 49)]
    found = {row[0]: row for row in rows}
    calendar = [day("2024-05-30") + dt.timedelta(days=n) for n in range(21)]
    assert [row[0] for row in rows] == [date.isoformat() for date in calendar]
    for date in calendar:
        row = found[date.isoformat()]
        if date == MISSING:
            assert row[1:] == ["", "", "no reading", *[""] * 50]
            continue
        stored = blocks_of(date - dt.timedelta(days=7) if date in (ESTIMATED, PARTLY) else date)
        assert [int(cell.replace(".", "")) for cell in row[4:52]] == stored
        assert (row[1], row[2]) == (f"{sum(stored) // 1000}.{sum(stored) % 1000:03d}", "2.600")
        assert row[3] == ("estimated" if date == ESTIMATED else "measured")
    assert found[str(PARTLY)][52] == "05:30 06:00 06:30 07:00"
    assert found[str(CUT)][53] == "14:30 15:00 15:30"
    assert len(found[str(ESTIMATED)][52].split()) == 48


def read_back(content: bytes) -> dict[dt.date, list[int]]:
    found = {}
    for batch in read_espi(io.BytesIO(content)):
        assert not batch.refused
        for date, blocks in zip(batch.days.tolist(), batch.blocks.tolist(), strict=True):
            found[date] = blocks
    return found


def test_the_green_button_file_read_back_is_what_is_stored(scene: Scene) -> None:
    name = scene.town.accounts["Halfani"]
    client = scene.consumer("Halfani")
    answer = client.get("/usage/green-button/?from=2024-05-30&to=2024-06-19")
    content = b"".join(answer.streaming_content)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage-2024-05-30-2024-06-19.xml"'
    for mark in (*scene.marks("Halfani"), name):
        assert mark.encode() not in content
    read = read_back(content)
    with scoped(scene.town.seen_by("Halfani")), transaction.atomic():
        stored = half_hours_of(connection_id=scene.town.connections["Halfani"], start=day("2024-05-30"), end=day(TODAY))
    assert read == {one.day: one.blocks_wh for one in stored}
    assert MISSING not in read


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("from=2024-06-10&to=2024-06-01", "after the last"),
        ("to=2024-06-20", "not over yet"),
        ("from=2023-05-01&to=2024-06-19", "more than thirteen months"),
        ("from=1999-01-01&to=1999-02-01", "more than thirteen months"),
        ("from=%3Cscript%3E", "not a day"),
        ("from=2024-02-30", "not a day"),
    ],
)
def test_days_that_cannot_be_taken_are_answered_with_the_reason(scene: Scene, asked: str, said: str) -> None:
    for address in ("/usage/csv/", "/usage/green-button/"):
        answer = scene.consumer("Halfani").get(f"{address}?{asked}")
        text = answer.content.decode()
        assert (answer.status_code, said in text, "<script>" in text) == (400, True, False)


def test_thirteen_months_are_taken_at_once_and_typed_in_any_digits(scene: Scene) -> None:
    client = scene.consumer("Halfani")
    whole = read_csv(sent(client, "/usage/csv/"))
    assert (whole[1][0], whole[-1][0], len(whole)) == ("2023-06-01", "2024-06-19", 1 + 385)
    assert len(read_csv(sent(client, "/usage/csv/?from=२०२४-०६-०१&to=२०२४-०६-०२"))) == 3


# -- the first screen --------------------------------------------------------------------------------------------------


def test_the_first_screen_says_what_is_to_know(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(scene.consumer("Halfani"), "/")
    assert "This month your load once reached 2.6 kW. You are sanctioned 2 kW" in text
    assert "Yesterday there was no supply for 1.5 hours." in text
    assert "Known up to yesterday" in text
    silent = page(scene.consumer("Silenti"), "/")
    assert "Since 31 May 2024 no reading has come from your meter." in silent
    assert "Known up to 31 May 2024, 20 days ago." in silent
    assert "no supply" not in silent
    monkeypatch.setenv("KHATA_TODAY", "2024-06-30")
    assert re.search(r"The last day to pay the bill was \d+ days ago", page(scene.consumer("Halfani"), "/"))


def test_a_prepaid_balance_says_how_long_it_lasts_with_what_is_not_billed_yet_taken_off(scene: Scene) -> None:
    connection = scene.town.connections["Rupani"]
    client = scene.consumer("Rupani")
    assert "With the days not billed yet it stands at -₹" in page(client, "/")
    with scene.database.as_role("run"):
        wh = {LAST - dt.timedelta(days=n): sum(blocks_of(LAST - dt.timedelta(days=n))) for n in range(19)}
        del wh[MISSING]
        june = month_costs(connection_id=connection, month=day("2024-06-01"), used=wh, today=day(TODAY)).days
        unbilled = sum(paise for date, paise in june.items() if date <= LAST)
        numbers = heads(Discom.objects.get(code="KESCO"))
        paid = scene.town.balance("Rupani") + 1_000_00 + unbilled
        post_one(
            kind="test",
            cause="test:recharge",
            business_date=LAST,
            reason="",
            postings=[OnHead(numbers["consumers"], connection, -paid), OnHead(numbers["cash"], 0, paid)],
        )
    text, a_day = page(client, "/"), june[LAST]
    found = re.search(r"It lasts about (\d+) days ?, .* after the days not billed yet, ₹([\d,.]+) are left", text)
    assert found is not None
    # The one day that nobody knows is taken off like the others.
    assert "Of 1 of these days no reading has come; it is counted like an ordinary day." in text
    assert a_day // 2 < 1_000_00 - int(re.sub(r"\D", "", found[2])) < 2 * a_day
    assert 1_000_00 // (2 * a_day) < int(found[1]) < 2 * 1_000_00 // a_day
