"""What meter data companies owe and what of theirs is in quarantine, on the officers' pages: each office its own."""

import csv
import datetime as dt
import io
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from khata.commands.work_metering import Scorecard
from khata.discoms.models import Office, Staff
from khata.discoms.queries import posts_of
from khata.discoms.scope import NOBODY, Scope, scoped
from khata.formats.meterdays import Refused
from khata.metering.kept import KEPT_DAYS, keep_scorecard
from khata.metering.models import Installation, Meter, OpenCount, OpenRow, OwedDay, Reading, ScoreMade
from khata.metering.operations import NewMeters, hang
from khata.metering.scorecard import owed
from khata.metering.senders import add_sender, feed
from khata.staff import session as staff_session
from tests.cast import GUMTI, JAJMAU, KESCO, MEERUT, PVVNL, Home, Hung, Town, day, office_scope, post_staff, town
from tests.database import Database
from tests.metering.made import UNKNOWN, Said, deliver, readings, send
from tests.staff.conftest import PLAIN_FILES, anybody
from tests.staff.test_counter import text

TODAY = dt.date(2024, 6, 20)
NOW = dt.datetime(2024, 6, 20, 1, tzinfo=dt.UTC)
WHOLE = [100] * 48
PAGE = "/staff/meter-data/"
ROWS, NOTED = f"{PAGE}quarantine/", f"{PAGE}noted/"
MARKUP = "<script>alert('x')</script>\u202e" + "long," * 60
HOMES = (
    Home("Ashalata", meters=(Hung("M-1"),)),
    Home("Binadevi", meters=(Hung("M-2"),)),
    Home("Devirani", meters=(Hung("M-3"),), division=JAJMAU),
    Home("Charanjit", meters=(Hung("M-8"),), division=MEERUT, discom=PVVNL),
)


@dataclass
class Desk:
    database: Database
    town: Town
    people: dict[str, Staff]

    def browser(self, login: str, *, language: str = "en") -> Client:
        client, staff = anybody(language=language), self.people[login]
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        post = posts_of(staff=staff.id, today=TODAY)[0]
        staff_session.start(session, staff=staff.id, post=post.id, at=time.time())
        session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        return client

    def shown(self, login: str, address: str) -> str:
        return text(self.browser(login), address)


@pytest.fixture(scope="module")
def desk(module_database: Database) -> Iterator[Desk]:
    """MDC owes KESCO's meters, OTHER Meerut's; each sent good rows and bad. Counted in the night before TODAY."""
    os.environ["KHATA_TODAY"] = str(TODAY)
    made = town(HOMES)
    add_sender(code="MDC", name="=Meter Data One", actor="test")
    add_sender(code="OTHER", name="Meter Data Two", actor="test")
    feed(code="MDC", serials=["M-1", "M-3"], from_date=day("2024-06-01"), actor="test")
    feed(code="OTHER", serials=["M-8"], from_date=day("2024-06-01"), actor="test")
    bad = (
        Refused(7, "VAL-06", MARKUP, "M-1", day("2024-06-17"), 0, MARKUP),
        Refused(8, "VAL-08", "not a row", content="Ashalata?"),
    )
    deliver(
        Said("M-1", "2024-06-18", WHOLE),
        Said("M-1", "2024-06-16", total=4_000),
        Said("M-3", "2024-06-18", [100] * 40 + [None] * 8),
        Said("M-3", "2024-06-30", WHOLE),
        Said("KS-GHOST", "2024-06-18", WHOLE),
        today=day("2024-06-19"),
        sender="MDC",
        refused=bad,
    )
    deliver(Said("PV-GHOST", "2024-06-18", WHOLE), today=day("2024-06-19"), sender="OTHER")
    with module_database.connect("owner") as owner:
        owner.execute(
            "insert into metering_finding (meter_id, day, channel, revision, rule, delivery_id, evidence)"
            " select d.meter_id, d.day, 0, 0, 'VAL-17', d.delivery, '{\"usual_wh\": 400}' from metering_meterday d"
            " where d.day = '2024-06-18'"
        )
        owner.commit()
    keep_scorecard(today=TODAY, now=NOW, days=KEPT_DAYS)
    people = {}
    for login, role, discom, name in (
        ("om", "officer", KESCO, GUMTI),
        ("far", "officer", KESCO, JAJMAU),
        ("chief", "officer", KESCO, ""),
        ("meerut", "officer", PVVNL, ""),
        ("kiran", "cashier", KESCO, GUMTI),
    ):
        scope = office_scope(discom, name)
        people[login] = post_staff(login, login.title(), role, Office.objects.get(id=scope.office_from))
    with override_settings(STORAGES=PLAIN_FILES, KHATA_COMPANY=KESCO), module_database.as_role("app"):
        yield Desk(module_database, made, people)
    del os.environ["KHATA_TODAY"]


def figures(shown: str) -> list[list[str]]:
    """The cells of the table's rows, without markup."""
    body = shown.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]


# -- who owes what -----------------------------------------------------------------------------------------------------


def test_a_division_sees_its_own_debts_day_by_day(desk: Desk) -> None:
    rows = {(row[0], row[1].split()[0]): row[2:] for row in figures(desk.shown("om", PAGE))}
    assert len(rows) == 14  # two senders, seven days: M-2 is nobody's
    assert rows["18 June 2024", "MDC"] == ["48", "48", "0", "100%", "—", "0", "0"]
    assert rows["16 June 2024", "MDC"] == ["48", "0", "48", "0%", "4 days", "1", "0"]
    assert rows["18 June 2024", "nobody"][-1] == "1"
    far = desk.shown("far", PAGE)
    assert {row[1].split()[0] for row in figures(far)} == {"MDC"}
    assert "8" in {row[4] for row in figures(far)}


def test_above_divisions_they_are_summed_and_lead_to_a_sender_s_days(desk: Desk) -> None:
    shown = desk.shown("chief", PAGE)
    rows = {(row[0], row[1].split()[0]): row[2:] for row in figures(shown)}
    assert rows["Jajmau", "MDC"] == ["336", "40", "296", "11%", "7 days", "0", "6"]
    assert set(rows) == {("Gumti", "MDC"), ("Gumti", "nobody"), ("Jajmau", "MDC")}
    assert "its days" in shown and "its days" not in desk.shown("far", PAGE), "of one company alone they stand there"
    link = re.search(r'href="(\?days=7&amp;sender=MDC&amp;division=[0-9]+)"', shown)
    assert link
    days = figures(desk.shown("chief", PAGE + link[1].replace("&amp;", "&")))
    assert len(days) == 7 and days[0][0] == "19 June 2024"
    assert len(figures(desk.shown("chief", f"{PAGE}?days=30&sender=MDC"))) == 30 - 11  # owed since 1 June


def test_the_kept_figures_are_those_of_the_command(desk: Desk) -> None:
    """And what one office may not see another's, the law that the next tests rest on."""
    with desk.database.as_role("run"):
        wanted = owed(from_day=day("2024-06-13"), until=TODAY, today=TODAY)
        kept = OwedDay.objects.filter(day__gte=day("2024-06-13"))
        assert len(wanted) == kept.count()
        assert sum(each.missing for each in wanted) == sum(each.expected - each.received for each in kept)


def test_the_file_has_the_rows_of_the_page_and_no_formula(desk: Desk) -> None:
    response = desk.browser("chief").get(f"{PAGE}csv/?days=7", secure=True)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    header, *rows = csv.reader(io.StringIO(response.content.decode("utf-8-sig")))
    page = figures(desk.shown("chief", PAGE))
    assert len(header) == 10 and len(rows) == len(page)
    assert [row[3] for row in rows] == [row[2].replace(",", "") for row in page]
    assert rows[0][1] == "'=Meter Data One"


@pytest.mark.parametrize("login", ["om", "meerut"])
def test_strange_addresses_show_nothing_of_others(desk: Desk, login: str) -> None:
    with desk.database.as_role("run"):
        ids = {name: office_scope(code, name).office_from for code, name in ((KESCO, JAJMAU), (PVVNL, MEERUT))}
    for query in (f"division={ids[JAJMAU]}", f"division={ids[MEERUT]}", "sender=OTHER", "days=x&sender=%00", "page=-1"):
        shown = desk.shown(login, f"{PAGE}?{query}")
        assert ("Jajmau" if login == "meerut" else "Meerut") not in shown
    assert not figures(desk.shown("om", f"{PAGE}?division={ids[JAJMAU]}"))
    assert not figures(desk.shown("chief", f"{PAGE}?division={ids[MEERUT]}"))


# -- quarantine --------------------------------------------------------------------------------------------------------


def test_each_office_sees_its_meters_rows_and_the_company_those_of_unknown_numbers(desk: Desk) -> None:
    seen = {login: desk.shown(login, ROWS) for login in ("om", "far", "chief", "meerut")}
    marks = {"M-1<": "om chief", "M-3<": "far chief", "KS-GHOST": "chief", "PV-GHOST": "meerut", "not a row": "chief"}
    for mark, who in marks.items():
        assert {login for login, shown in seen.items() if mark in shown} == set(who.split()), mark
    assert "1 day" in seen["om"] and "The day does not have 48 half-hours" in seen["om"]
    hindi = text(desk.browser("om", language="hi"), ROWS)
    assert "दिन में पूरे 48 आधे घंटे नहीं हैं" in hindi


def test_no_name_of_a_consumer_stands_there_and_text_from_outside_is_harmless(desk: Desk) -> None:
    for address in (PAGE, ROWS, NOTED):
        shown = desk.shown("om", address)
        assert "Ashalata" not in shown and "<script>alert" not in shown
    shown = desk.shown("om", ROWS)
    assert "&lt;script&gt;" in shown and "\u202e" not in shown
    assert shown.count("long,") < 90, "cut"


def test_filters_and_pages_of_the_list(desk: Desk) -> None:
    one = desk.shown("chief", f"{ROWS}?rule=VAL-01")
    assert "KS-GHOST" in one and "M-3<" not in one
    assert "KS-GHOST" not in desk.shown("chief", f"{ROWS}?owner=sender")
    for query in ("?page=0", "?page=99999999999999999999", "?page=9", "?rule=VAL-99&owner=x", "?page=x"):
        desk.shown("chief", f"{ROWS}{query}")


def test_the_first_screen_counts_what_is_open(desk: Desk) -> None:
    shown = desk.shown("om", "/staff/")
    assert re.search(
        r'<a class="tile attention" href="/staff/meter-data/quarantine/"><span>[^<]*</span><b>1</b>', shown
    )


def test_findings_by_rule_and_day(desk: Desk) -> None:
    shown = desk.shown("om", NOTED)
    assert "VAL-17" in shown and "M-1<" in shown and "M-3<" not in shown and "usual_wh 400" in shown
    assert "M-3<" in desk.shown("far", f"{NOTED}?rule=VAL-17&days=30")
    assert "VAL-17" not in desk.shown("meerut", NOTED)


def test_the_pages_ask_a_handful_of_questions(desk: Desk) -> None:
    for address in (PAGE, ROWS, NOTED):
        client = desk.browser("chief")
        with CaptureQueriesContext(connection) as asked:
            text(client, address)
        assert len(asked) <= 22, [each["sql"][:80] for each in asked]


@pytest.mark.parametrize(("door", "costly"), [("noted_rows", "hung_in"), ("open_counts", "openrow")])
def test_what_costs_by_the_company_s_rows_is_asked_beforehand(desk: Desk, door: str, costly: str) -> None:
    with desk.database.connect("owner") as owner:
        ((source,),) = owner.execute("select prosrc from pg_proc where proname = %s", [door]).fetchall()
    assert costly not in source


# -- who may look ------------------------------------------------------------------------------------------------------

CALLS = ("score_made()", "owed_days('2024-01-01', '2025-01-01')", "open_counts()", "open_rows('', '', 99, 0)")
CALLS += ("noted_counts('2024-01-01', '2025-01-01')", "noted_rows('2024-01-01', '2025-01-01', '', 99, 0)")


@pytest.mark.parametrize("call", CALLS)
def test_without_an_office_the_doors_tell_nothing(desk: Desk, call: str) -> None:
    def told(scope: Scope) -> set[tuple[object, ...]]:
        with scoped(scope), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"select ({call.partition('(')[0]}.*)::text from khata.{call}")
            return {row for row in cursor.fetchall() if row != (None,)}

    with desk.database.as_role("run"):
        company, meerut = office_scope(KESCO), office_scope(PVVNL)
        gumti, ours = office_scope(KESCO, GUMTI), desk.town.seen_by("Ashalata")
    assert told(company) and told(gumti)
    assert not told(NOBODY) and not told(ours) and not told(replace(NOBODY, connection=1))
    if "counts" in call:  # numbers may be alike, but each counts its own
        assert told(company) != told(gumti) != told(meerut)
    elif call != "score_made()":
        assert told(gumti) < told(company)
        assert not told(company) & told(meerut)


def test_the_tables_behind_them_are_nobody_s(desk: Desk) -> None:
    for table in ("owedday", "openrow", "opencount", "notedrow", "notedday", "scoremade", "quarantine", "finding"):
        with desk.database.as_role("run"):
            company = office_scope(KESCO)
        with scoped(company), transaction.atomic(), connection.cursor() as cursor:
            try:
                cursor.execute(f"select count(*) from metering_{table}")
                assert cursor.fetchall() == [(0,)], table
            except DatabaseError:
                transaction.set_rollback(True)


def test_a_cashier_has_no_such_pages(desk: Desk) -> None:
    for address in (PAGE, f"{PAGE}csv/", ROWS, NOTED):
        assert desk.browser("kiran").get(address, secure=True).status_code == 404


# -- what is open ------------------------------------------------------------------------------------------------------


def open_of(serial: str, *, today: dt.date = TODAY) -> list[tuple[str, dt.date, str]]:
    keep_scorecard(today=today, now=NOW, days=7)
    with connection.cursor() as cursor:
        cursor.execute(
            "select o.rule, o.since, f.name_en from metering_openrow o"
            " join metering_quarantine q on q.id = o.quarantine join discoms_office f on f.id = o.office"
            " where q.serial = %s order by 1, 2, 3",
            [serial],
        )
        return list(cursor.fetchall())


@pytest.fixture
def runs(desk: Desk) -> Iterator[Desk]:
    with desk.database.as_role("run"):
        yield desk


def test_a_row_is_open_until_its_day_came_right(runs: Desk) -> None:
    bad = Refused(1, "VAL-06", "short", "M-2", day("2024-06-10"), 0, "x")
    deliver(today=day("2024-06-11"), sender="MDC", refused=(bad,))
    since = day("2024-06-11")
    assert open_of("M-2") == [("VAL-06", since, GUMTI)]
    deliver(today=day("2024-06-12"), sender="MDC", refused=(replace(bad, content="again"),))
    assert open_of("M-2") == [("VAL-06", since, GUMTI)], "the newer row speaks for both, since the first"
    deliver(Said("M-2", "2024-06-10", [100] * 40 + [None] * 8), today=TODAY, sender="MDC")
    assert open_of("M-2") == []
    deliver(Said("M-2", "2024-06-09", WHOLE), today=TODAY, sender="MDC")
    deliver(today=TODAY, sender="MDC", refused=(replace(bad, day=day("2024-06-09")),))
    assert open_of("M-2") == [], "the day stands whole already"
    deliver(today=TODAY, sender="MDC", refused=(replace(bad, channel=1),))
    assert open_of("M-2") == [("VAL-06", TODAY, GUMTI)], "of another channel nothing came"


def test_a_reading_is_settled_by_a_later_reading_and_by_nothing_else(runs: Desk) -> None:
    def profile(register: int, today: dt.date) -> None:
        said = repr((register, today)).encode()
        send([readings(("M-8", "2024-06-05", register, UNKNOWN))], said, sender="OTHER", today=today)

    first, noon = day("2024-06-06"), day("2024-06-07")
    profile(5_000_000, first)
    deliver(Said("M-8", "2024-06-07", register=5_200_000), today=day("2024-06-08"), sender="OTHER")
    profile(9_000_000, noon)  # beyond the register of a later day
    assert open_of("M-8") == [("VAL-13", noon, MEERUT)], "it contradicts the reading that stands"
    deliver(Said("M-8", "2024-06-05", WHOLE), today=TODAY, sender="OTHER")
    assert open_of("M-8") == [("VAL-13", noon, MEERUT)], "the half-hours of that day are something else"
    assert open_of("M-8", today=noon + dt.timedelta(days=45)) != []
    profile(5_100_000, TODAY)
    assert open_of("M-8") == []


def test_a_reading_that_stands_lets_what_contradicts_it_go_with_the_late_days(runs: Desk) -> None:
    bad = Refused(1, "VAL-08", "no number", "M-3", day("2024-06-05"))
    send(
        [replace(readings(("M-1", "2024-06-04", 4_000_000, UNKNOWN)), refused=(bad,))], b"p", sender="MDC", today=TODAY
    )
    deliver(Said("M-3", "2024-06-05", WHOLE), today=TODAY, sender="MDC")
    assert open_of("M-3")[-1] == ("VAL-08", TODAY, JAJMAU), "a row that its reader refused is a reading's too"
    late = TODAY + dt.timedelta(days=46)
    assert ("VAL-08", TODAY, JAJMAU) in open_of("M-3", today=late), "none stands"
    Reading.objects.create(
        meter=Meter.objects.get(serial="M-3"), day=day("2024-06-05"), register_wh=3_000_000, source="reader"
    )
    assert ("VAL-08", TODAY, JAJMAU) not in open_of("M-3", today=late)


def test_a_row_of_two_divisions_is_one_row_of_the_company(runs: Desk) -> None:
    company, gumti, jajmau = (office_scope(KESCO, name).office_from for name in ("", GUMTI, JAJMAU))
    since = {"meter": Meter.objects.get(serial="M-2"), "from_date": day("2024-01-01"), "known_at": NOW}
    before = _counted(company)
    with transaction.atomic():
        Installation.objects.create(connection_id=runs.town.connections["Devirani"], revision=1, **since)
        deliver(Said("M-2", "2024-06-12", WHOLE), today=TODAY, sender="MDC")
        keep_scorecard(today=TODAY, now=NOW, days=7)
        both = [_counted(office)["VAL-11"] for office in (company, gumti, jajmau)]
        transaction.set_rollback(True)
    assert "VAL-11" not in before and both == [1, 1, 1]


def _counted(office: int) -> dict[str, int]:
    return dict(OpenCount.objects.filter(office=office).values_list("rule", "count"))


def test_a_new_meter_s_rows_go_to_its_division_and_are_settled_by_the_delivery_again(runs: Desk) -> None:
    said = Said("M-NEW", "2024-06-15", WHOLE)
    deliver(said, today=day("2024-06-16"), sender="MDC")
    company = Office.objects.get(discom__code=KESCO, kind="company")
    assert open_of("M-NEW") == [("VAL-01", day("2024-06-16"), company.name_en)]
    connections = [runs.town.connections["Binadevi"]]

    since = np.array(["2024-06-14"], "M8[D]")
    new = NewMeters(np.array([b"M-NEW"]), np.array([True]), np.array(connections), since, np.array([0]))
    hang(discom=company.discom_id, meters=new, now=NOW)
    assert open_of("M-NEW") == [("VAL-01", day("2024-06-16"), GUMTI)]
    deliver(said, today=TODAY, sender="MDC")
    assert open_of("M-NEW") == []
    assert Meter.objects.get(serial="M-NEW").smart


def test_what_nothing_can_settle_is_open_as_long_as_late_days_are_taken(runs: Desk) -> None:
    lost = Refused(3, "VAL-08", "cut", "M-LOST", None, None, "?")
    deliver(today=TODAY, sender="MDC", refused=(lost,))
    assert len(open_of("M-LOST")) == 1
    deliver(today=TODAY, sender="MDC", refused=(lost,))  # the same bytes, judged again
    assert len(open_of("M-LOST")) == 1
    assert len(open_of("M-LOST", today=TODAY + dt.timedelta(days=45))) == 1
    assert open_of("M-LOST", today=TODAY + dt.timedelta(days=46)) == []


def test_a_sender_of_nobody_s_meters_is_shown_to_no_company(runs: Desk) -> None:
    deliver(Said("STRANGE-1", "2024-06-15", WHOLE), today=TODAY, sender="stranger")
    assert open_of("STRANGE-1") == []


def test_the_work_counts_again_when_something_has_come(runs: Desk) -> None:
    told: list[str] = []
    keep_scorecard(today=TODAY, now=NOW, days=7)
    before = ScoreMade.objects.get()
    Scorecard(tell=told.append, wait=True)()
    assert ScoreMade.objects.get() == before and ScoreMade.objects.get().made_at == before.made_at
    deliver(Said("KS-LATE", "2024-06-15", WHOLE), today=TODAY, sender="MDC")
    Scorecard(tell=told.append, wait=True)()
    assert ScoreMade.objects.get().delivery > before.delivery and told == []
    assert OpenRow.objects.filter(rule="VAL-01").count() >= 2
