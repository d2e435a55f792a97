"""An officer's work: held bills with evidence, two persons for much money, equations of runs, the day's money."""

import re

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khata.billing.models import Unissued
from khata.billing.release import held, held_one
from khata.discoms.scope import scoped
from khata.staff.evidence import policies, stake
from tests.cast import GUMTI, KESCO, day, office_scope
from tests.staff.conftest import Desk
from tests.staff.test_counter import pay_page, take, text

REASON = "The meter and the reading were compared on the spot"


def held_page(desk: Desk, name: str) -> str:
    with desk.database.as_role("run"):
        row = Unissued.objects.get(connection_id=desk.town.connections[name], cycle=day("2024-06-01"))
    return f"/staff/held/{row.part_id}/{row.connection_id}/"


def send(
    client: Client, page: str, verb: str, verdict: str, reason: str = REASON, decision: str = ""
) -> tuple[int, str]:
    form = {"verdict": verdict, "reason": reason, "decision": decision}
    response = client.post(f"{page}{verb}/", form, secure=True)
    return response.status_code, response.content.decode()


def test_today_s_work_shows_what_waits_with_the_money_at_stake(desk: Desk) -> None:
    shown = text(desk.browser("om"), "/staff/")
    assert "Absurd" in shown and "Far" not in shown
    assert "The load cannot have used so many units" in shown and "62,000 units in 31 days, load 2 kW" in shown
    assert 'class="chart-spark"' in shown and "at stake" in shown


def test_the_list_holds_the_own_division_alone(desk: Desk) -> None:
    own, other = text(desk.browser("om"), "/staff/held/"), text(desk.browser("far"), "/staff/held/")
    assert "Absurd" in own and "Far" not in own
    assert "Far" in other and "Absurd" not in other
    for query in ("?page=0", "?page=-1", "?page=99999", "?page=x", "?page=900", "?state=nothing", "?page=9&state=kept"):
        text(desk.browser("om"), f"/staff/held/{query}")


def test_the_evidence_stands_on_the_page_of_a_held_bill(desk: Desk) -> None:
    shown = text(desk.browser("om"), held_page(desk, "Absurd"))
    assert "Absurd" in shown and "62,000" in shown and "chart-days" in shown
    assert "Between them" in shown  # registers


def looked_at(page: str) -> str:
    """The decision that the form of the second person is about."""
    return re.search(r'name="decision" value="([0-9]+)"', page).group(1)  # type: ignore[union-attr]


def test_a_release_of_much_money_takes_two_persons(desk: Desk) -> None:
    page, maker, checker = held_page(desk, "Dear"), desk.browser("om"), desk.browser("priya")
    before = text(maker, page)
    assert "takes effect when a second officer agrees" in before
    for reason in ("", "too short", "x" * 501):
        status, shown = send(maker, page, "decide", "release", reason)
        assert status == 200 and "in a sentence" in shown
    assert send(maker, page, "decide", "release")[0] == 303
    own = text(maker, page)
    assert "Agree to the release" not in own and "A second officer must agree" in own
    decision = looked_at(text(checker, page))
    status, shown = send(maker, page, "approve", "approve", decision=decision)
    assert status == 200 and "A second officer must agree" in shown
    assert send(desk.browser("far"), page, "approve", "approve", decision=decision)[0] == 404
    assert "Dear" in text(checker, "/staff/held/?state=second")
    assert "Agree to the release" in text(checker, page)
    # Of what was looked at meanwhile refused and asked for again, nothing is agreed to.
    assert send(checker, page, "approve", "refuse", decision=decision)[0] == 303
    assert send(maker, page, "decide", "release")[0] == 303
    for stale in (decision, "", "x", "9" * 30):
        status, shown = send(checker, page, "approve", "approve", decision=stale)
        assert status == 200 and "in the meantime" in shown and REASON in shown
    assert "Agree to the release" in text(checker, page)
    decision = looked_at(text(checker, page))
    assert send(checker, page, "approve", "approve", decision=decision)[0] == 303
    done = text(checker, page)
    assert "the bill is being made" in done and "Om of Gumti" in done and "Priya of Gumti" in done
    late = send(checker, page, "approve", "refuse", decision=decision)
    assert late[0] == 200 and "in the meantime" in late[1]
    with desk.database.as_role("run"), scoped(office_scope(KESCO, GUMTI)):
        part, whose = (int(number) for number in re.findall(r"[0-9]+", page))
        row = held_one(part=part, connection=whose)
        assert row is not None and (row.state, row.approval) == ("being made", "approve")


def test_a_kept_bill_may_be_decided_again(desk: Desk) -> None:
    page, officer = held_page(desk, "Absurd"), desk.browser("om")
    assert send(officer, page, "decide", "keep")[0] == 303
    shown = text(officer, page)
    assert "Kept back" in shown and REASON in shown and "Release the bill" in shown


def test_what_cannot_be_released_is_kept_or_waits(desk: Desk) -> None:
    page, officer = held_page(desk, "Ended"), desk.browser("om")
    assert "Release the bill" not in text(officer, page)
    status, shown = send(officer, page, "decide", "release")
    assert status == 200 and "nothing to release yet" in shown
    assert send(officer, page, "decide", "something")[0] == 404
    assert send(officer, page, "approve", "approve")[0] == 404


def test_another_division_s_bills_and_connections_are_not_there(desk: Desk) -> None:
    officer = desk.browser("om")
    page = held_page(desk, "Far")
    text(officer, page, status=404)
    assert send(officer, page, "decide", "keep")[0] == 404
    text(officer, f"/staff/connections/{desk.town.connections['Far']}/", status=404)
    text(officer, f"/staff/connections/{2**70}/", status=404)
    text(officer, f"/staff/held/{2**70}/{2**70}/", status=404)


def test_an_officer_finds_by_exact_number_what_lies_elsewhere_and_opens_what_is_own(desk: Desk) -> None:
    officer = desk.browser("om")
    own = officer.post("/staff/find/", {"find": "2222222"}, secure=True)
    assert own.headers["Location"] == f"/staff/connections/{desk.town.connections['Absurd']}/"
    assert "Absurd" in text(officer, own.headers["Location"])
    far = officer.post("/staff/find/", {"find": desk.town.accounts["Far"]}, secure=True)
    shown = text(officer, far.headers["Location"])
    assert "F***" in shown and "/staff/connections/" not in shown and "/staff/pay/" not in shown


@pytest.mark.parametrize("address", ["held/", "runs/", "collection/", "held/1/1/"])
def test_a_cashier_has_no_officer_s_page(desk: Desk, address: str) -> None:
    text(desk.browser("kiran"), f"/staff/{address}", status=404)


def test_an_officer_takes_no_money(desk: Desk) -> None:
    officer = desk.browser("om")
    text(officer, "/staff/shifts/open/", status=404)
    token = "00000000-0000-4000-8000-000000000000"
    text(officer, f"/staff/pay/{token}/0/", status=404)
    assert officer.post(f"/staff/pay/{token}/0/take/", {"amount": "5"}, secure=True).status_code == 404


def test_the_equation_of_a_run_is_written_out(desk: Desk) -> None:
    shown = text(desk.browser("om"), "/staff/runs/")
    numbers = [int(n) for n in re.findall(r'class="amount">(?:<b>)?([0-9]+)', shown)]
    expected, issued, held, parked, not_due = numbers[:5]
    assert expected == issued + held + parked + not_due and held > 0 and issued > 0
    assert "No bill run" in text(desk.browser("om"), "/staff/runs/?month=1999-01")
    for wrong in ("2024-13", "x", "2024", "0000-01"):
        assert "not a month" in text(desk.browser("om"), f"/staff/runs/?month={wrong}")


def test_the_collection_of_the_day_adds_up_and_leads_to_receipts(desk: Desk) -> None:
    cashier, officer = desk.cashier(), desk.browser("om")
    before = _collected(officer)
    take(cashier, pay_page(cashier, desk.town.accounts["Bina"]), "25.50")
    after = _collected(officer)
    assert after - before == 2550
    shown = text(officer, "/staff/collection/")
    receipt = re.search(r"/staff/receipts/[0-9]+/", shown).group()  # type: ignore[union-attr]
    assert "₹25.50" in text(officer, receipt)
    text(desk.browser("far"), receipt, status=404)
    assert "No money was taken" in text(officer, "/staff/collection/?day=2024-06-01")
    for wrong in ("x", "2024-02-30", "2031-01-01", "0001-01-01"):
        assert "Today is shown" in text(officer, f"/staff/collection/?day={wrong}")


def _collected(client: Client) -> int:
    sums = re.search(r"<b>₹([0-9,]+)\.([0-9]{2})</b>", text(client, "/staff/collection/"))
    assert sums
    return int(sums[1].replace(",", "")) * 100 + int(sums[2])


@pytest.mark.parametrize(("address", "most"), [("", 26), ("held/", 22), ("runs/", 12), ("collection/", 12)])
def test_pages_ask_the_database_little(desk: Desk, address: str, most: int) -> None:
    officer = desk.browser("om")
    with CaptureQueriesContext(connection) as asked:
        text(officer, f"/staff/{address}")
    assert 3 < len(asked) <= most, [query["sql"][:80] for query in asked]


def test_the_largest_first_means_of_all(desk: Desk) -> None:
    with scoped(office_scope(KESCO)), transaction.atomic():
        rows = held(states=("waiting", "kept", "being made"), limit=50, offset=0)
        limits = policies(rows)
        largest = held(states=("waiting", "kept", "being made"), limit=2, offset=0, order="largest")
    stakes = sorted((stake(row, limits) or 0 for row in rows), reverse=True)
    assert len(rows) > 2 and stakes[0] > stakes[1] > 0
    assert [stake(row, limits) for row in largest] == stakes[:2]
