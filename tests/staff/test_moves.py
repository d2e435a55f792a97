"""A company's move on the officers' pages: what each office sees, two people for each correction and signature."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from khata.commands.work import Corrections
from khata.discoms.models import Office, Staff
from khata.discoms.queries import posts_of
from khata.discoms.scope import Scope, scoped
from khata.migration.models import Account, File, Finding, Proposal, SourceRow, StagedRow, Verdict, Wave
from khata.migration.operations import ProposalError, decide, propose
from khata.migration.queries import about_row
from khata.migration.reconciling import reconcile
from khata.staff import session as staff_session
from tests.cast import GUMTI, JAJMAU, KESCO, MEERUT, PVVNL, day, office_scope, post_staff, town
from tests.database import Database
from tests.migration.handover import BINA, HARI, LALIT, NOW, load_small, write_small
from tests.staff.conftest import PLAIN_FILES, anybody
from tests.staff.test_counter import text

TODAY = "2024-06-20"
REASON = "The meter was read again on the spot"
BACKWARDS = {"CUR_RDG_KWH": "900"}  # below the previous reading: MIG-11


@dataclass
class Move:
    database: Database
    wave: Wave
    people: dict[str, Staff]

    def browser(self, login: str, *, language: str = "en") -> Client:
        client, staff = anybody(language=language), self.people[login]
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        post = posts_of(staff=staff.id, today=day(TODAY))[0]
        staff_session.start(session, staff=staff.id, post=post.id, at=time.time())
        session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        return client

    @property
    def page(self) -> str:
        return f"/staff/moves/{self.wave.id}/"

    def row(self, kind: str, account: str) -> str:
        """The page of an account's row."""
        with self.database.as_role("run"):
            found = StagedRow.objects.get(wave=self.wave, kind=kind, account=account)
        return f"{self.page}rows/{found.file_id}/{found.line}/"

    def proposal(self, **of: object) -> int:
        with self.database.as_role("run"):
            return Proposal.objects.filter(wave=self.wave, **of).latest("id").id

    def send(self, login: str, page: str, **form: object) -> tuple[int, str]:
        response = self.browser(login).post(page, form, secure=True)
        return response.status_code, response.content.decode()


@pytest.fixture(scope="module")
def move(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    """A dozen accounts: a reading backwards in either division, a load of 0 in one, a total that was signed wrongly."""
    town([])
    folder: Path = tmp_path_factory.mktemp("handover")
    changes = {
        ("billed", BINA.number): BACKWARDS,
        ("billed", HARI.number): BACKWARDS,
        ("master", LALIT.number): {"LOAD": "0"},
        ("billed", LALIT.number): {"SANCTION_LOAD": "0"},
        ("control", GUMTI): {"DEPOSIT": "9999.99"},
    }
    wave = load_small(write_small(folder, changes=changes))
    offices = {
        name: Office.objects.get(discom__code=code, kind=kind, **({"name_en": name} if kind == "division" else {}))
        for name, code, kind in (
            (GUMTI, KESCO, "division"),
            (JAJMAU, KESCO, "division"),
            (MEERUT, PVVNL, "division"),
            ("company", KESCO, "company"),
        )
    }
    people = {
        login: post_staff(login, login.title(), role, offices[office])
        for login, role, office in (
            ("om", "officer", GUMTI),
            ("priya", "officer", GUMTI),
            ("far", "officer", JAJMAU),
            ("away", "officer", MEERUT),
            ("first", "officer", "company"),
            ("second", "officer", "company"),
            ("kiran", "cashier", GUMTI),
        )
    }
    os.environ["KHATA_TODAY"] = TODAY
    with override_settings(STORAGES=PLAIN_FILES, KHATA_COMPANY=KESCO), module_database.as_role("app"):
        yield Move(module_database, wave, people)
    del os.environ["KHATA_TODAY"]


def test_the_company_sees_its_waves_and_another_company_none(move: Move) -> None:
    shown = text(move.browser("first"), "/staff/moves/")
    assert "W1" in shown and "Loaded, not moved yet" in shown and move.page in shown
    assert "No wave of your company" in text(move.browser("away"), "/staff/moves/")
    text(move.browser("away"), move.page, status=404)
    text(move.browser("kiran"), "/staff/moves/", status=404)
    text(move.browser("first"), f"/staff/moves/{2**70}/", status=404)


def test_red_lines_stand_first_with_sign_word_and_the_command_that_still_waits(move: Move) -> None:
    shown = text(move.browser("first"), move.page)
    assert shown.index("Lines that do not agree") < shown.index("Equations of each division")
    assert "≠ differs" in shown and "= holds" in shown
    assert "The file is not what the company signed for." in shown
    assert "✗ shut" in shown and "✓ open" in shown
    command = re.search(r"<code>(khata migration cutover .*?)</code>", shown)
    assert (
        command
        and re.sub("<[^>]+>", "", command[1]) == "khata migration cutover --discom KESCO --wave W1 --at YYYY-MM-DD"
    )
    assert "Look at it, accept it with a reason" in shown


def test_an_office_sees_its_own_figures_alone(move: Move) -> None:
    own, far = text(move.browser("om"), move.page), text(move.browser("far"), move.page)
    assert "≠ differs" in own and "figures of your office alone" in own and "accept it with a reason" not in own
    assert "≠ differs" not in far and "= holds" in far
    gumti, jajmau = (f"{place}\n</h3>" for place in (f"{GUMTI} · ≠ 1 line differs", f"{JAJMAU} · = all hold"))
    assert gumti in own and jajmau not in own
    assert jajmau in far and gumti not in far
    both = text(move.browser("second"), move.page)
    assert both.index(gumti) < both.index(jajmau)  # red first


def test_what_every_table_of_the_move_shows_is_of_the_offices_alone(move: Move) -> None:
    seen: dict[str, dict[str, set[object]]] = {}
    scopes = {"Gumti": office_scope(KESCO, GUMTI), "Jajmau": office_scope(KESCO, JAJMAU), "KESCO": office_scope(KESCO)}
    for name, scope in {**scopes, "PVVNL": office_scope(PVVNL), "consumer": Scope(1, None, None)}.items():
        with scoped(scope), transaction.atomic():
            seen[name] = {
                model._meta.db_table: set(model.objects.values_list("pk", flat=True))  # type: ignore[attr-defined]
                for model in (Wave, File, StagedRow, SourceRow, Account, Finding)
            }
    for table, rows in seen["KESCO"].items():
        gumti, jajmau = seen["Gumti"][table], seen["Jajmau"][table]
        assert rows and gumti | jajmau <= rows and gumti and jajmau, table
        shared = {"migration_wave": 1, "migration_file": 1}.get(table, 0)  # the control totals belong to the company
        assert len(gumti & jajmau) == shared, table
        assert not seen["PVVNL"][table] and not seen["consumer"][table], table


def test_exceptions_are_a_work_list_by_rule_and_division(move: Move) -> None:
    page = f"{move.page}exceptions/"
    shown = text(move.browser("first"), page)
    assert BINA.number in shown and HARI.number in shown and "MIG-11" in shown and "MIG-19" in shown
    assert "A present reading below the previous one." in shown
    assert 'class="card-note">5<' in shown
    assert "नई रीडिंग पिछली रीडिंग से कम।" in text(move.browser("first", language="hi"), page)
    only = text(move.browser("first"), f"{page}?rule=MIG-12")
    assert LALIT.number in only and f'<th scope="row">{HARI.number}' not in only and 'class="card-note">2<' in only
    jajmau = move.people["far"]
    with move.database.as_role("run"):
        division = posts_of(staff=jajmau.id, today=day(TODAY))[0].office
    there = text(move.browser("first"), f"{page}?rule=MIG-11&division={division}")
    assert HARI.number in there and BINA.number not in there
    own = text(move.browser("om"), page)
    assert BINA.number in own and HARI.number not in own and LALIT.number not in own
    for query in ("?page=0", "?page=-1", "?page=99999", "?page=x", "?rule=MIG-99", "?division=x", "?division=999"):
        text(move.browser("om"), f"{page}{query}")


def test_a_correction_takes_two_people_of_the_division_and_is_then_applied(move: Move) -> None:
    page, decided = move.row("billed", BINA.number), f"{move.page}decide/"
    before = text(move.browser("om"), page)
    assert "MIG-11" in before and "CUR_RDG_KWH" in before and "BINA SHARMA" in before
    text(move.browser("far"), page, status=404)
    form = {"column": "CUR_RDG_KWH", "value": "1120", "reason": REASON}
    assert move.send("far", page, **form)[0] == 404
    for change, said in (
        ({"reason": "short"}, "in a sentence"),
        ({"value": "many"}, "cannot stand in this column"),
        ({"value": "1" * 300}, "cannot stand in this column"),
    ):
        status, shown = move.send("om", page, **(form | change))
        assert (status, said in shown) == (200, True), change
    assert move.send("om", page, **(form | {"column": "NOTHING"}))[0] == 404
    assert move.send("om", page, **form)[0] == 303
    status, shown = move.send("priya", page, **form)
    assert status == 200 and "proposed already" in shown
    proposal = move.proposal(kind="correct")
    assert "Look and decide" in text(move.browser("priya"), move.page)
    assert "Another person must decide it" in text(move.browser("om"), page)
    status, shown = move.send("om", decided, proposal=proposal, verdict="approve")
    assert status == 200 and "You proposed this yourself" in shown
    assert move.send("far", decided, proposal=proposal, verdict="approve")[0] == 404
    assert move.send("away", decided, proposal=proposal, verdict="approve")[0] == 404
    status, shown = move.send("priya", decided, proposal=proposal, verdict="refuse")
    assert status == 200 and "in a sentence" in shown
    assert move.send("priya", decided, proposal=proposal, verdict="approve")[0] == 303
    after = text(move.browser("priya"), page)
    assert "applied within a minute" in after and "Agreed" in after and "<s>900</s> <b>1120</b>" in after
    late = move.send("first", decided, proposal=proposal, verdict="approve")
    assert late[0] == 200 and "in the meantime" in late[1]
    with move.database.as_role("run"):
        corrections = Corrections(tell=pytest.fail, wait=True)
        corrections()
        assert not Finding.objects.filter(wave=move.wave, account=BINA.number).exists()
    done = text(move.browser("priya"), page)
    assert "No rule finds anything" in done and "applied within a minute" not in done


def test_a_red_line_is_accepted_by_two_people_of_the_company_s_office(move: Move) -> None:
    with move.database.as_role("run"):
        (line,) = [line for line in reconcile(move.wave) if line.red]
    page, decided = f"{move.page}accept/", f"{move.page}decide/"
    form = {"about": line.about, "reason": "The company signs the right total next week"}
    assert "Propose to accept it" in text(move.browser("first"), f"{page}?about={line.about}")
    assert "Only the company" in text(move.browser("om"), f"{page}?about={line.about}")
    assert move.send("om", page, **form)[0] == 404
    assert move.send("first", page, **(form | {"reason": "ok"}))[0] == 200
    status, shown = move.send("first", page, **(form | {"about": f"{line.about}1"}))
    assert status == 200 and "does not stand there any more" in shown
    for wrong in ("", "x", "row:1:1", "parallel:1:equal:2"):
        assert move.send("first", page, **(form | {"about": wrong}))[0] == 404
    assert move.send("first", page, **form)[0] == 303
    proposal = move.proposal(kind="accept")
    status, shown = move.send("first", decided, proposal=proposal, verdict="approve")
    assert status == 200 and "You proposed this yourself" in shown
    assert move.send("om", decided, proposal=proposal, verdict="approve")[0] == 404
    assert "Look and decide" in text(move.browser("second"), move.page)
    assert move.send("second", decided, proposal=proposal, verdict="approve")[0] == 303
    for login in ("second", "om"):
        shown = text(move.browser(login), move.page)
        assert "≠ differs, accepted" in shown and "Lines that do not agree" not in shown


def test_the_database_keeps_offices_and_persons_apart_too(move: Move) -> None:
    """As the pages' own role, without their checks."""
    gumti, company = office_scope(KESCO, GUMTI), office_scope(KESCO)
    accept = {"wave": move.wave, "division": None, "kind": "accept", "column": "", "value": "", "now": NOW}
    om, first = move.people["om"].id, move.people["first"].id
    with scoped(gumti), pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
        propose(**accept, about="parallel:none", reason=REASON, maker=om)  # type: ignore[arg-type]
    with scoped(company), transaction.atomic():
        made = propose(**accept, about="parallel:none", reason=REASON, maker=first)  # type: ignore[arg-type]
    with scoped(gumti), transaction.atomic(), pytest.raises(ProposalError):
        decide(proposal=made.id, approved=True, reason="", checker=om, now=NOW)
    with scoped(company), pytest.raises(DatabaseError, match="decided by the person"), transaction.atomic():
        Verdict.objects.create(proposal=made, approved=True, checker_id=first, made_at=NOW)
    far = next(each for each in move.row("billed", HARI.number).split("/rows/")[1:])
    file, line = (int(number) for number in far.strip("/").split("/"))
    correct = {"kind": "correct", "about": about_row(file, line), "column": "CUR_RDG_KWH", "value": "1200"}
    with scoped(gumti), transaction.atomic(), pytest.raises(ProposalError):
        propose(**(accept | correct), reason=REASON, maker=om)  # type: ignore[arg-type]


def test_a_gate_without_a_parallel_run_is_told_and_can_be_signed(move: Move) -> None:
    shown = text(move.browser("second"), f"{move.page}?show=parallel")
    assert "khata migration parallel" in shown
    assert "There was no parallel run since the files were loaded." in text(
        move.browser("second"), f"{move.page}accept/?about=parallel:none"
    )
    assert "nobody to tell yet" in text(move.browser("om"), f"{move.page}?show=told")


def test_the_rules_can_be_read_by_everybody_who_works_with_them(move: Move) -> None:
    shown = text(move.browser("om"), "/staff/moves/rules/")
    assert re.findall(r"MIG-[0-9]{2}", shown) == [f"MIG-{number:02}" for number in range(1, 32)]


@pytest.mark.parametrize(("address", "most"), [("", 36), ("exceptions/", 16), ("?show=told", 20)])
def test_pages_ask_the_database_little(move: Move, address: str, most: int) -> None:
    officer = move.browser("first")
    with CaptureQueriesContext(connection) as asked:
        text(officer, f"{move.page}{address}")
    assert 3 < len(asked) <= most, [query["sql"][:80] for query in asked]
