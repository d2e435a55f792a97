"""Held bills: what the office sees, what an officer decides, and the bills that are made of it."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from khata.audit.models import Record
from khata.billing import rules
from khata.billing.models import Approval, Bill, BillRun, Decision, Unissued
from khata.billing.operations import BillingError
from khata.billing.queries import bill_view, digest, rated_again, unissued_of
from khata.billing.release import (
    HeldRow,
    ReleaseError,
    State,
    approve,
    decide,
    held,
    held_counts,
    held_one,
    make_released,
    runs_of,
)
from khata.discoms.models import Office, Staff
from khata.discoms.queries import discom_named
from khata.discoms.scope import Scope, scoped
from khata.ledger.queries import first_offence
from khata.notices.models import Message
from tests.billing.drill import killed
from tests.billing.test_run import khata
from tests.cast import (
    ASHA,
    GUMTI,
    JAJMAU,
    KESCO,
    POLICY,
    Agreed,
    Home,
    Town,
    Usage,
    day,
    may,
    office_scope,
    plain,
    post_staff,
    read,
    smart,
    town,
)
from tests.database import Database, fresh_database

SHOP = (Agreed("2023-04-01", load_w=1_000, category="LMV-2"),)
DEAR = smart("Devi", may(30_000, demand_w=18_000), terms=SHOP)  # priced, and above the limit of its load
STAKE = 26_554_65
NOW = dt.datetime(2024, 6, 20, 6, tzinfo=dt.UTC)
WHY = "Shop ran a cold store in May; meter seen on 18 June."
OPEN: tuple[State, ...] = ("waiting", "second person", "being made", "kept")
NOTHING_HELD = {**POLICY, "hold_paise_per_kw": 10**10}


def officer(login: str, division: str = GUMTI) -> Staff:
    office = Office.objects.get(discom__code=KESCO, kind="division", name_en=division)
    return post_staff(login, login.title(), "officer", office)


@contextmanager
def desk(database: Database, division: str = GUMTI) -> Iterator[None]:
    """The web, on behalf of an officer of a division."""
    with database.as_role("app"), scoped(office_scope(KESCO, division)), transaction.atomic():
        yield


def held_row(built: Town, name: str = "Devi", cycle: str = "2024-06") -> Unissued:
    """The newest row of a month."""
    return (
        Unissued.objects.filter(connection_id=built.connections[name], cycle=day(f"{cycle}-01"))
        .order_by("-part_id")
        .first()
    )


def shown(built: Town, name: str = "Devi", cycle: str = "2024-06") -> HeldRow:
    row = held_row(built, name, cycle)
    found = held_one(part=row.part_id, connection=row.connection_id)
    assert found is not None
    return found


def release(
    database: Database, built: Town, staff: Staff, name: str = "Devi", cycle: str = "2024-06", verdict: str = "release"
) -> Decision:
    row = held_row(built, name, cycle)
    with desk(database):
        return decide(unissued=row, staff=staff, verdict=verdict, reason=WHY, now=NOW)  # type: ignore[arg-type]


def make(today: str = "2024-06-20") -> dict[str, int]:
    return make_released(discom=discom_named(KESCO), today=day(today), actor="test")


def with_devi(homes: tuple[Home, ...] = (DEAR,), policy: Mapping[str, int] = POLICY) -> Town:
    built = town(homes, policy=policy)
    built.run("2024-06")
    return built


# -- one bill ----------------------------------------------------------------------------------------------------------


def test_a_released_bill_has_the_lines_that_were_held_and_is_posted_and_told_once(database: Database) -> None:
    with fresh_database():
        oracle = with_devi(policy=NOTHING_HELD).lines("Devi")
    built = with_devi((DEAR, ASHA))
    anita = officer("anita")
    assert (built.unissued("Devi"), shown(built).amount_paise) == (("held", "TOO-DEAR"), STAKE)
    release(database, built, anita)
    assert Bill.objects.filter(connection_id=built.connections["Devi"]).count() == 0, "the web makes no bill"
    assert built.messages("Devi") == []
    made = make("2024-07-20")  # another month, whose figures are not those of the bill
    assert (made["expected"], made["issued"], made["messages"], made["posted_paise"]) == (1, 1, 1, STAKE)
    bill = built.bill("Devi")
    assert built.lines("Devi") == oracle
    assert (bill.assessed_paise, bill.cycle, bill.kind) == (STAKE, day("2024-06-01"), "regular")
    assert (bill.period_start, bill.period_end) == (day("2024-05-01"), day("2024-06-01"))
    assert (bill.bill_date, bill.due_date) == (day("2024-07-20"), day("2024-08-04"))
    assert built.posted("Devi") == built.balance("Devi") == bill.payable_paise
    (message,) = built.messages("Devi")
    assert message.values[1:] == [str(bill.payable_paise), "2024-08-04"]
    assert first_offence() is None
    assert make("2024-07-21")["expected"] == 0
    assert len(built.messages("Devi")) == Bill.objects.filter(connection_id=built.connections["Devi"]).count() == 1
    assert shown(built).state == "issued"


def test_a_released_bill_is_shown_and_replayed_like_any_other(database: Database) -> None:
    built = with_devi((DEAR, ASHA))
    release(database, built, officer("anita"))
    make("2024-07-20")
    bill = built.bill("Devi")
    run = BillRun.objects.select_related("run").get(run__part__id=bill.part_id)
    stored = rated_again(run, None)
    assert (stored.bill.tolist(), stored.differing().tolist()) == ([bill.id], [])
    view = bill_view(bill, "hi", mask_name=False)
    assert (view.bill_paise, view.bill_date) == (bill.payable_paise, day("2024-07-20"))
    answer = khata(database, "bill", "replay", "--discom", KESCO, "--cycle", "2024-06", "--json")
    assert json.loads(answer.stdout) == {"bills": 2, "different": []}
    listed = khata(database, "bill", "show", "--discom", KESCO, "--cycle", "2024-06", "--json")
    assert json.loads(listed.stdout) == [], "everybody has a bill now"


def test_the_command_makes_what_was_released(database: Database) -> None:
    built = with_devi()
    release(database, built, officer("anita"))
    first, second = (khata(database, "bill", "release", "--discom", KESCO) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "KESCO: 1 released, 1 issued\n"), first.stderr
    assert second.stdout == "KESCO: 0 released, 0 issued\n"
    assert built.bill("Devi").assessed_paise == STAKE


def test_every_decision_is_in_the_audit_trail_without_its_words(database: Database) -> None:
    built = with_devi()
    anita = officer("anita")
    made = release(database, built, anita)
    found = Record.objects.get(action="billing.release-held")
    assert (found.actor, found.object) == (f"staff:{anita.id}", f"billing:decision:{made.id}")
    assert WHY not in f"{found.reason} {found.details}"


# -- two persons -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "second"), [(STAKE, True), (STAKE + 1, False)])
def test_from_the_limit_on_a_second_person_must_agree(database: Database, limit: int, second: bool) -> None:
    built = with_devi(policy={**POLICY, "release_alone_paise": limit})
    made = release(database, built, officer("anita"))
    assert (made.needs_checker, made.amount_paise) == (second, STAKE)
    assert shown(built).state == ("second person" if second else "being made")
    assert make()["issued"] == int(not second)


def test_who_asked_for_a_release_cannot_agree_to_it_but_another_can(database: Database) -> None:
    built = with_devi(policy={**POLICY, "release_alone_paise": 1})
    anita, bilal = officer("anita"), officer("bilal")
    made = release(database, built, anita)
    with desk(database), pytest.raises(ReleaseError, match="cannot also agree"):
        approve(decision=made, staff=anita, verdict="approve", reason=WHY, now=NOW)
    for role in ("run", "owner", "admin"):
        with database.connect(role) as session, pytest.raises(psycopg.DatabaseError) as refused:
            session.execute(
                "insert into billing_approval (decision_id, verdict, reason, staff_id, approved_at) "
                "values (%s, 'approve', %s, %s, now())",
                [made.id, WHY, anita.id],
            )
        assert refused.value.sqlstate == "KH022", role
    assert make()["issued"] == 0
    with desk(database):
        approve(decision=made, staff=bilal, verdict="approve", reason=WHY, now=NOW)
        with pytest.raises(ReleaseError, match="waits for nobody"):
            approve(decision=made, staff=bilal, verdict="approve", reason=WHY, now=NOW)
    assert make()["issued"] == 1
    assert (shown(built).decided_by, shown(built).checked_by) == (anita.id, bilal.id)


def test_a_refused_release_makes_no_bill_and_may_be_asked_again(database: Database) -> None:
    built = with_devi(policy={**POLICY, "release_alone_paise": 1})
    anita, bilal = officer("anita"), officer("bilal")
    made = release(database, built, anita)
    with desk(database):
        approve(decision=made, staff=bilal, verdict="refuse", reason=WHY, now=NOW)
    assert make()["issued"] == 0
    assert (shown(built).state, shown(built).approval) == ("waiting", "refuse")
    again = release(database, built, bilal)
    with desk(database):
        approve(decision=again, staff=anita, verdict="approve", reason=WHY, now=NOW)
    assert make()["issued"] == 1


def test_the_worker_does_not_believe_that_a_release_needs_nobody_else(database: Database) -> None:
    built = with_devi(policy={**POLICY, "release_alone_paise": 1})
    row = held_row(built)
    anita = officer("anita")
    with desk(database):
        made = Decision.objects.create(
            part_id=row.part_id,
            connection_id=row.connection_id,
            verdict="release",
            reason=WHY,
            staff=anita,
            decided_at=NOW,
            amount_paise=1,
            needs_checker=False,
        )
    assert make()["expected"] == 0
    with database.connect("run") as session, pytest.raises(psycopg.DatabaseError) as refused:
        session.execute(
            "insert into billing_approval (decision_id, verdict, reason, staff_id, approved_at) "
            "values (%s, 'approve', %s, %s, now())",
            [made.id, WHY, officer("bilal").id],
        )
    assert refused.value.sqlstate == "KH023"


# -- kept, decided twice, not to be released ---------------------------------------------------------------------------


def test_a_kept_bill_stays_held_with_its_reason_and_may_be_released_later(database: Database) -> None:
    built = with_devi()
    anita = officer("anita")
    release(database, built, anita, verdict="keep")
    assert make()["expected"] == 0
    assert (shown(built).state, shown(built).decided_reason) == ("kept", WHY)
    release(database, built, anita)
    assert make()["issued"] == 1


def test_a_second_decision_is_refused_while_one_is_open_and_after_the_bill(database: Database) -> None:
    built = with_devi()
    anita, bilal = officer("anita"), officer("bilal")
    release(database, built, anita)
    for verdict in ("release", "keep"):
        with pytest.raises(ReleaseError, match="decided already"):
            release(database, built, bilal, verdict=verdict)
    make()
    with pytest.raises(ReleaseError, match="decided already"):
        release(database, built, bilal)
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("reason", ["", "  too short ", "x" * 501, "a         b"])
def test_a_decision_needs_a_sentence(database: Database, reason: str) -> None:
    built = with_devi()
    row, anita = held_row(built), officer("anita")
    with desk(database), pytest.raises(ReleaseError, match="10 to 500"):
        decide(unissued=row, staff=anita, verdict="release", reason=reason, now=NOW)
    assert Decision.objects.count() == Record.objects.filter(action__startswith="billing.release").count() == 0


FIGURES_MISSING = {
    "NO-READING": plain("not read", ("2024-04-28", 500_000, 900)),
    "NEGATIVE": plain("fell", ("2024-04-28", 500_000, 900), ("2024-05-28", 400_000, 900)),
    "NO-METER": Home("no meter"),
    "TOO-MUCH": plain("impossible", ("2024-04-28", 0, 0), ("2024-05-28", 10**14, 900)),
}


def test_what_cannot_be_priced_is_not_released_but_may_be_kept(database: Database) -> None:
    built = with_devi(tuple(FIGURES_MISSING.values()))
    anita = officer("anita")
    for code, home in FIGURES_MISSING.items():
        row = shown(built, home.name)
        assert (row.reason, row.releasable, row.state) == (code, False, "waiting")
        with pytest.raises(ReleaseError, match=row.words.next_en.split(":")[0].replace("?", ".")):
            release(database, built, anita, home.name)
        release(database, built, anita, home.name, verdict="keep")
    assert make()["expected"] == 0


def test_only_held_bills_can_be_decided(database: Database) -> None:
    built = with_devi((smart("no tariff", may(8_000), terms=(Agreed("2023-04-01", category="LMV-9"),)),))
    row, anita = held_row(built, "no tariff"), officer("anita")
    assert row.outcome == "parked"
    with pytest.raises(ReleaseError, match="no such held bill"):
        release(database, built, anita, "no tariff")
    with database.connect("run") as session, pytest.raises(psycopg.DatabaseError) as refused:
        session.execute(
            "insert into billing_decision (part_id, connection_id, verdict, reason, staff_id, decided_at,"
            " needs_checker) values (%s, %s, 'keep', %s, %s, now(), false)",
            [row.part_id, row.connection_id, WHY, anita.id],
        )
    assert refused.value.sqlstate == "KH021"


def test_every_reason_for_holding_has_words_in_both_languages() -> None:
    reasons = [value for value in vars(rules).values() if isinstance(value, rules.Reason)] + list(
        rules.BY_STATUS.values()
    )
    assert {reason.code for reason in reasons if reason.outcome == "held"} == set(rules.HOLD_WORDS)
    for words in rules.HOLD_WORDS.values():
        assert words.hi and words.en and words.next_hi and words.next_en


# -- what a release lifts ----------------------------------------------------------------------------------------------


def test_more_energy_than_was_seen_is_held_again_with_its_price(database: Database) -> None:
    """TOO-MUCH is held before it is priced; the sum that then comes out is a decision of its own."""
    home = smart("Devi", may(40_000), terms=(Agreed("2023-04-01", load_w=1_000),))
    with fresh_database():
        oracle = with_devi((home,), policy={**NOTHING_HELD, "hold_load_percent": 10_000}).lines("Devi")
    built = with_devi((home,), policy={**POLICY, "hold_paise_per_kw": 1_000_00})
    anita = officer("anita")
    assert (shown(built).reason, shown(built).amount_paise) == ("TOO-MUCH", None)
    first = release(database, built, anita)
    assert (first.amount_paise, first.needs_checker) == (1_000_00, False), "more than this is held again"
    assert make()["held"] == 1
    assert built.messages("Devi") == []
    second = shown(built)
    assert (second.reason, second.state) == ("TOO-DEAR", "waiting")
    assert held_one(part=first.part_id, connection=first.connection_id) is None, "the newest reason counts"
    release(database, built, anita)
    assert make()["issued"] == 1
    assert (built.lines("Devi"), built.bill("Devi").assessed_paise) == (oracle, second.amount_paise)


def test_a_bill_that_came_to_more_since_the_decision_is_held_again(database: Database) -> None:
    built = with_devi((plain("Devi", ("2024-04-28", 0, 900), ("2024-05-28", 1_000_000, 18_000), terms=SHOP),))
    seen = shown(built)
    assert seen.reason == "TOO-DEAR"
    release(database, built, officer("anita"))
    read(built, "P-Devi", ("2024-05-30", 1_100_000, 18_000))
    assert (make()["held"], make()["expected"]) == (1, 0)
    again = shown(built)
    assert (again.reason, again.state) == ("TOO-DEAR", "waiting")
    assert (again.amount_paise or 0) > (seen.amount_paise or 0)


def test_a_demand_that_was_seen_is_billed(database: Database) -> None:
    home = smart("Devi", may(10_000, demand_w=50_000), terms=(Agreed("2023-04-01", load_w=1_000),))
    built = with_devi((home,))
    assert (shown(built).reason, shown(built).evidence["demand_w"]) == ("TOO-HIGH", 50_000)
    anita = officer("anita")
    release(database, built, anita)
    make()
    if shown(built).state == "waiting":
        release(database, built, anita)
        make()
    assert built.parts("Devi")[0].demand_w == 50_000


# -- months after a held one -------------------------------------------------------------------------------------------


MONTHS = (
    may(30_000, demand_w=18_000),
    Usage("2024-06-01", (5_000,) * 30, opening=1_930_000),
    Usage("2024-07-01", (6_000,) * 31, opening=2_080_000),
    Usage("2024-08-01", (4_000,) * 31, opening=2_266_000),
)
CYCLES = ("2024-06", "2024-07", "2024-08", "2024-09")


def account(built: Town, name: str) -> list[tuple[object, ...]]:
    """All that the bills of a connection say but their dates."""
    bills = Bill.objects.filter(connection_id=built.connections[name]).order_by("cycle")
    return [
        (
            bill.cycle,
            bill.period_start,
            bill.period_end,
            bill.energy_wh,
            bill.payable_paise,
            bill.arrears_paise,
            built.lines(name, f"{bill.cycle:%Y-%m}"),
        )
        for bill in bills
    ]


def test_months_behind_a_held_one_are_released_in_order_as_if_nothing_had_been_held(database: Database) -> None:
    home = smart("Devi", *MONTHS, terms=SHOP)
    with fresh_database():
        free = town([home], policy=NOTHING_HELD)
        for cycle in CYCLES:
            free.run(cycle)
        oracle, owed = account(free, "Devi"), free.balance("Devi")
    assert len(oracle) == 4
    built = town([home])
    anita = officer("anita")
    for cycle in CYCLES[:3]:
        built.run(cycle)
    for cycle in CYCLES[1:3]:
        assert built.unissued("Devi", cycle) == ("held", "EARLIER-HOLD")
        with pytest.raises(ReleaseError, match="Decide on the earlier bill first"):
            release(database, built, anita, cycle=cycle)
    for cycle in CYCLES[:3]:
        assert release(database, built, anita, cycle=cycle).needs_checker is False
        assert make("2024-08-20")["issued"] == 1
    built.run(CYCLES[3])
    assert account(built, "Devi") == oracle
    assert built.balance("Devi") == owed == sum(row[4] for row in oracle)  # type: ignore[misc]
    assert first_offence() is None


def test_the_next_run_bills_on_where_the_released_months_end(database: Database) -> None:
    """The held month is released before the next run: nothing else is held, and no day is billed twice."""
    home = smart("Devi", *MONTHS[:2], terms=SHOP)
    built = with_devi((home,))
    release(database, built, officer("anita"))
    make()
    built.run("2024-07")
    first, second = built.bill("Devi"), built.bill("Devi", "2024-07")
    assert (first.period_end, second.period_start, second.arrears_paise) == (
        day("2024-06-01"),
        day("2024-06-01"),
        first.payable_paise,
    )
    assert (second.energy_wh, second.bill_date) == (150_000, day("2024-07-08"))


def test_a_month_that_turns_out_unread_does_not_hold_the_ones_after_it(database: Database) -> None:
    home = plain("Devi", ("2024-04-28", 0, 900), ("2024-05-28", 1_000_000, 18_000), terms=SHOP)
    built = with_devi((home,))
    built.run("2024-07")
    anita = officer("anita")
    for cycle in ("2024-06", "2024-07"):
        release(database, built, anita, cycle=cycle)
        make()
    newest = held_row(built, cycle="2024-07")
    assert (newest.outcome, newest.reason) == ("held", "NO-READING")
    read(built, "P-Devi", ("2024-07-28", 1_150_000, 900))
    built.run("2024-08")
    bill = built.bill("Devi", "2024-08")
    assert (bill.period_start, bill.period_end, bill.energy_wh) == (day("2024-05-28"), day("2024-07-28"), 150_000)
    assert unissued_of(built.accounts["Devi"], cycle=None, after=bill.cycle) is None
    assert held(states=OPEN, limit=10, offset=0) == [], "the unread month is in a later bill"


def test_a_run_may_be_given_its_date_again_after_a_release(database: Database) -> None:
    built = with_devi()
    release(database, built, officer("anita"))
    make("2024-07-20")
    built.run("2024-06", bill_date="2024-06-08")
    with pytest.raises(BillingError, match="bill date 2024-06-08"):
        built.run("2024-06", bill_date="2024-06-09")
    built.run("2024-07")


# -- killed ------------------------------------------------------------------------------------------------------------

FAULTS = (
    "_plan:call:1",
    "plan:return:1",
    "_plan:return:1",
    "_post:return:1",
    "_store_bills:return:1",
    "queue:return:1",
    "finish_part:return:1",
    "close:call:1",
    "close_run:return:1",
    "record:return:2",
)


def test_a_kill_at_any_step_between_decision_and_bill_changes_nothing(database: Database) -> None:
    other = smart("Ekta", may(29_000, demand_w=18_000), terms=SHOP)
    with fresh_database() as undisturbed:
        built = with_devi((DEAR, other))
        for name in ("Devi", "Ekta"):
            release(undisturbed, built, officer(f"for-{name}"), name)
        counts = make()
        expected = digest(discom=KESCO, cycle=day("2024-06-01"))
    built = with_devi((DEAR, other))
    for name in ("Devi", "Ekta"):
        release(database, built, officer(f"for-{name}"), name)
    assert [fault for fault in FAULTS if not killed(make, fault)] == []
    make()
    assert digest(discom=KESCO, cycle=day("2024-06-01")) == expected
    assert (Bill.objects.count(), Message.objects.count(), counts["issued"]) == (2, 2, 2)
    assert not BillRun.objects.filter(run__runclosed=None).exists()
    assert first_offence() is None


def test_one_release_that_cannot_be_made_does_not_stop_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = with_devi((DEAR, smart("Ekta", may(29_000, demand_w=18_000), terms=SHOP)))
    for name in ("Devi", "Ekta"):
        release(database, built, officer(f"for-{name}"), name)
    from khata.billing import operations  # noqa: PLC0415

    work = operations.work

    def fails_for_devi(setting: object, part: object) -> dict[str, int]:
        if part.subjects == [built.connections["Devi"]]:  # type: ignore[attr-defined]
            raise ArithmeticError("a figure that nothing can be made of")
        return work(setting, part)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(operations, "work", fails_for_devi)
        with pytest.raises(ArithmeticError):
            make()
    assert built.bill("Ekta").assessed_paise > 0
    assert make()["issued"] == 1
    assert built.bill("Devi").assessed_paise == STAKE


# -- whose business it is ----------------------------------------------------------------------------------------------


def seen_in(database: Database, scope: Scope) -> dict[str, int]:
    tables = ("billing_unissued", "billing_decision", "billing_approval", "jobs_runclosed")
    with database.as_role("app"), scoped(scope), transaction.atomic(), connection.cursor() as cursor:
        found = {}
        for table in tables:
            cursor.execute(f"select count(*) from {table}")
            found[table] = cursor.fetchone()[0]
        return found


def test_only_the_offices_of_a_connection_see_and_decide_its_held_bill(database: Database) -> None:
    built = with_devi(policy={**POLICY, "release_alone_paise": 1})
    anita, bilal, of_jajmau = officer("anita"), officer("bilal"), officer("jaya", JAJMAU)
    made = release(database, built, anita)
    with desk(database):
        approve(decision=made, staff=bilal, verdict="approve", reason=WHY, now=NOW)
    every = {"billing_unissued": 1, "billing_decision": 1, "billing_approval": 1}
    assert seen_in(database, office_scope(KESCO, GUMTI)) == {**every, "jobs_runclosed": 1}
    assert seen_in(database, office_scope(KESCO)) == {**every, "jobs_runclosed": 3}
    nothing = dict.fromkeys(every, 0)
    assert seen_in(database, office_scope(KESCO, JAJMAU)) == {**nothing, "jobs_runclosed": 1}
    assert seen_in(database, built.seen_by("Devi")) == {**nothing, "jobs_runclosed": 0}
    row = held_row(built)
    with desk(database, JAJMAU):
        assert held(states=OPEN, limit=10, offset=0) == []
        assert held_one(part=row.part_id, connection=row.connection_id) is None
        with pytest.raises(ReleaseError, match="no such held bill"):
            decide(unissued=row, staff=of_jajmau, verdict="keep", reason=WHY, now=NOW)
        with pytest.raises(ReleaseError, match="no such held bill"):
            approve(decision=made, staff=of_jajmau, verdict="refuse", reason=WHY, now=NOW)


def test_the_worker_looks_twice_and_no_more_where_nothing_is_to_be_made(database: Database) -> None:
    """It asks twice a second, so what was refused, overtaken or waits for somebody must not cost a query each."""
    built = with_devi(policy={**POLICY, "release_alone_paise": 1})
    anita, bilal = officer("anita"), officer("bilal")
    for verdict in ("refuse", "refuse", ""):
        made = release(database, built, anita)
        if verdict:
            with desk(database):
                approve(decision=made, staff=bilal, verdict="refuse", reason=WHY, now=NOW)
    with CaptureQueriesContext(connection) as asked:
        assert make()["expected"] == 0
    assert len(asked) == 3  # the company, runs begun, releases in effect
    with desk(database):
        approve(decision=made, staff=bilal, verdict="approve", reason=WHY, now=NOW)
    assert make()["issued"] == 1
    with CaptureQueriesContext(connection) as asked:
        assert make()["expected"] == 0
    assert len(asked) == 3  # the company, runs begun, releases in effect


@pytest.mark.parametrize("who", ["another division", "the consumer", "nobody"])
def test_the_database_refuses_a_decision_from_outside_the_division(database: Database, who: str) -> None:
    built = with_devi()
    row, jaya = held_row(built), officer("jaya", JAJMAU)
    scope = {
        "another division": office_scope(KESCO, JAJMAU),
        "the consumer": built.seen_by("Devi"),
        "nobody": Scope(None, None, None),
    }[who]
    with (
        database.as_role("app"),
        scoped(scope),
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "insert into billing_decision (part_id, connection_id, verdict, reason, staff_id, decided_at,"
            " needs_checker) values (%s, %s, 'release', %s, %s, now(), false)",
            [row.part_id, row.connection_id, WHY, jaya.id],
        )
    assert Decision.objects.count() == Approval.objects.count() == 0


def test_the_desk_lists_runs_with_their_equations_and_held_bills_by_state(database: Database) -> None:
    homes = (DEAR, ASHA, smart("in Jajmau", may(30_000, demand_w=18_000), terms=SHOP, division=JAJMAU))
    built = with_devi((*homes, plain("not read", ("2024-04-28", 500_000, 900))))
    anita = officer("anita")
    with desk(database):
        (run,) = runs_of(cycle=None)
        assert (run.division_en, run.cycle, run.state, run.released) == (GUMTI, day("2024-06-01"), "closed", 0)
        assert (run.equation["expected"], run.equation["issued"], run.equation["held"]) == (3, 1, 2)
        by_number = sorted(("Devi", "not read"), key=built.accounts.__getitem__)
        assert [row.name for row in held(states=OPEN, limit=10, offset=0)] == by_number
        assert [row.name for row in held(states=OPEN, limit=1, offset=1)] == by_number[1:]
        assert held_counts() == {("waiting", "NO-READING"): 1, ("waiting", "TOO-DEAR"): 1}
        assert runs_of(cycle=day("2024-05-01")) == []
    release(database, built, anita)
    with desk(database):
        assert [row.name for row in held(states=("being made",), limit=10, offset=0)] == ["Devi"]
        (row,) = held(states=("being made",), limit=10, offset=0)
        assert (row.decided_name, row.decided_at, row.old_number) == ("Anita", NOW, None)
    make()
    with desk(database):
        assert runs_of(cycle=None)[0].released == 1
        assert held_counts() == {("waiting", "NO-READING"): 1}
    with database.as_role("app"), scoped(office_scope(KESCO)), transaction.atomic():
        assert [run.division_en for run in runs_of(cycle=None)] == ["Gumti", "Jajmau", "Naubasta"]
        assert len(held(states=OPEN, limit=10, offset=0)) == 2
