"""Functions of the database that look past the fence: each is known, closed to others, and tells a stranger nothing."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction

from khata.discoms.models import Discom, Office
from khata.discoms.scope import NOBODY, SET_SCOPE, Scope, as_settings, scoped
from khata.ledger.models import Head
from khata.metering.models import Installation
from khata.notices.models import Delivery, Message
from khata.notices.rules import check_code
from khata.payments.operations import NewReceipts, add_counter, open_shift, set_counter_policy, take, take_cash
from tests.cast import (
    ARRIVED,
    ASHA,
    BINA,
    CHARAN,
    GUMTI,
    JAJMAU,
    KESCO,
    PVVNL,
    Town,
    day,
    office_scope,
    posted_in,
    town,
)
from tests.database import Database

# With the owner's powers, by who may call them. These ask for the scope of an office …
FOR_AN_OFFICE = {
    "decide_mobile": "1, 'agreed', 1",
    "propose_mobile": "1, '9876500009', 'papers', 1",
    "connections_by_number": "array['1234567'], '2024-06-10'",
    "hold_connection": "1",
    "mobile_goes_beyond": "1",
    "notify": "1, 'payment-taken', array['1'], 'test'",
    "opened": "1, 0",
    "owed": "array[1]",
    "payers": "array[1], '2024-06-10'",
    "post": "'test', 'test', '2024-06-10', '', array[1::smallint], array[0], array[1]",
}
FOR_ITS_CONSUMER_TOO = {"notify", "owed", "payers"}
# … these tell only what the scope may see …
WITHIN_THE_SCOPE = {
    "connections_beside": "",
    "meter_days": "{connection}, '2024-05-01', '2024-06-01'",
    "meter_half_hours": "{connection}, '2024-05-01', '2024-06-01'",
    "own_authenticator": "",
}
# … these do something to what is the scope's own, and nothing to anybody else's …
ON_ONES_OWN = {
    *("switch_on_authenticator", "switch_off_authenticator"),
    *("note_new_mobile", "change_mobile", "stop_mobile", "give_view", "end_view"),
}
# What meter data companies owe of an office's meters, what of theirs is in quarantine (tests/staff/test_meter_data.py).
OF_THE_OFFICE = {"score_made", "owed_days", "open_counts", "open_rows", "noted_counts", "noted_rows"}
# Who sends meter data is known by the hash of a credential (tests/api/test_sending.py).
BY_A_CREDENTIAL = {"sender_with", "note_upload", "upload_seen", "uploads_waiting"}
# … and these ask for a proof instead: a mobile by a code sent to it, a receipt and a message by the short code in it.
FOR_A_PROOF = {"message_sent", "receipt_check", *BY_A_CREDENTIAL}
# A request for a code is written, tried and used by an id that one session alone knows.
BY_ITS_ID = {"note_seen_number", "note_sign_in", "try_sign_in", "use_sign_in"}
# What else a sign-in is asked, by its id once its code has fitted; an authenticator and a view by theirs.
BY_ITS_ID |= {"asked_further", "note_signed_in", "use_step", "use_recovery", "views_shown"}
# A change of the mobile that a sign-in has proven is told and stopped by its id: stopping harms nobody.
BY_ITS_ID |= {"change_waiting", "stop_waiting", "connections_of_sign_in", "views_of_sign_in"}
# A request for a new number is written, and read by no page.
WRITTEN_BLIND = {"note_number_asked"}
# … and what a company publishes, as long as it does, is anybody's (tests/migration/test_telling.py).
PUBLISHED = {"count_listed", "listed_numbers", "number_lists"}
BY_THE_WEB = {*PUBLISHED, *WRITTEN_BLIND, *FOR_AN_OFFICE, *WITHIN_THE_SCOPE, *FOR_A_PROOF, *BY_ITS_ID, *ON_ONES_OWN}
BY_THE_WEB |= OF_THE_OFFICE
BY_RUNS = {
    *PUBLISHED,
    *FOR_AN_OFFICE.keys() - {"decide_mobile", "mobile_goes_beyond", "propose_mobile"},
    *FOR_A_PROOF,
    "tell_of_authenticator",
    *("connections_of_mobile", "views_of_mobile"),
    "analyze_staged",
    "make_meter_month",
}
TRIGGERS = {
    *("check_approval", "check_cleared", "check_counter_receipt", "check_decision", "check_entry", "check_postings"),
    *("await_upload", "check_proposed", "check_reference", "check_shift", "check_shift_closed", "check_verdict"),
}
# The only work of the other functions is done with the powers of whoever calls.
HARMLESS = {
    *("append_only", "asked_by_web", "demand_office", "desk", "fence", "hold", "masked", "never_deleted", "refers"),
    *("hung_in", "own_office", "date_mobile", "refuse_change", "scope", "window_of", "open_changes", "standing_views"),
}


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Town]:
    """The cast, Asha's shop under the same mobile, and a neighbour whose mobile is nearly hers."""
    shop = ASHA.with_(name="Shop", meters=(), old_number="1234568", division=JAJMAU)
    silent = ASHA.with_(name="Silent", meters=(), old_number="1234569", mobile="")
    built = town([ASHA, BINA, CHARAN, shop, silent])
    cashier, _ = posted_in()
    built.run("2024-06")
    gumti = Office.objects.get(discom__code=KESCO, kind="division", name_en=GUMTI)
    counter = add_counter(office=gumti, code="G01", name_hi="खिड़की", name_en="Window")
    now, today = dt.datetime(2024, 6, 10, 6, tzinfo=dt.UTC), day("2024-06-10")
    one = {
        "connection": np.array([built.connections["Asha"]]),
        "reference": np.array([b"R-1"]),
        "office": np.array([gumti.id]),
        "typed": np.array([b"1234567"]),
        "matched": np.array([b"1234567"]),
        "amount_paise": np.array([100_00]),
        "received_on": np.array(["2024-06-10"], "datetime64[D]"),
    }
    company = Discom.objects.get(code=KESCO)
    take(discom=company, channel="counter", receipts=NewReceipts(**one))
    set_counter_policy(discom=company, from_date=day("2024-04-01"), most_paise=1_000_00, source="test")
    open_shift(counter=counter.id, staff=cashier.id, opening_paise=0, now=now, today=today)
    on = "select khata.switch_on_authenticator(gen_random_uuid(), 'nonce', array['hash'], 1, "
    on += "encode(sha256('word'), 'hex'))"
    web = module_database.as_role("app")
    with web, scoped(built.seen_by("Asha")), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(on)
    yield built


def asked(database: Database, scope: Scope, call: str, *params: object) -> list[tuple[Any, ...]]:
    """What the web is told in a scope. What it did is given up."""
    with database.as_role("app"), scoped(scope), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(call, params)
        rows = cursor.fetchall()
        transaction.set_rollback(True)
    return rows


# -- all of them -------------------------------------------------------------------------------------------------------


def functions(database: Database) -> list[dict[str, Any]]:
    with database.connect("owner") as owner, owner.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        cursor.execute(
            "select p.proname as name, n.nspname as schema, p.prosecdef as powerful, l.lanname as language,"
            " p.prosrc as body, coalesce(p.proconfig, '{}') as settings, coalesce(p.proargnames, '{}') as names,"
            " p.proargmodes as modes, p.prorettype = 'trigger'::regtype as trigger,"
            " has_function_privilege('khata_app', p.oid, 'execute')"
            " as app,"
            " has_function_privilege('khata_run', p.oid, 'execute') as run,"
            " exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) where grantee = 0)"
            " as public"
            " from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
            " join pg_language l on l.oid = p.prolang where n.nspname in ('khata', 'public') order by 1"
        )
        return cursor.fetchall()


def test_every_function_is_known_and_open_to_whom_it_must_be(module_database: Database) -> None:
    found = functions(module_database)
    assert {each["schema"] for each in found} == {"khata"}
    powerful = [each for each in found if each["powerful"]]
    assert {each["name"] for each in found if not each["powerful"]} == HARMLESS
    assert {each["name"] for each in powerful if each["trigger"]} == TRIGGERS
    called = [each for each in powerful if not each["trigger"]]
    assert len(called) == len({each["name"] for each in called})  # no second one of a name
    assert {each["name"] for each in called if each["app"]} == BY_THE_WEB
    assert {each["name"] for each in called if each["run"]} == BY_RUNS
    # Nobody may call by being nobody; a trigger's function, hung on a table of one's own, would work with these powers.
    assert [each["name"] for each in found if each["public"]] == []
    assert [each["name"] for each in powerful if each["trigger"] and (each["app"] or each["run"])] == []


def test_no_function_with_the_owners_powers_can_be_led_to_a_temporary_table(module_database: Database) -> None:
    """Without pg_temp named last, PostgreSQL looks there first: a table of that name would be believed."""
    astray = [
        each["name"]
        for each in functions(module_database)
        if each["powerful"] and "search_path=public, pg_temp" not in each["settings"]
    ]
    assert astray == []


def ambiguous(database: Database) -> set[tuple[str, str]]:
    """(function, argument) where PostgreSQL would quietly take a column for the argument of the same name.

    In SQL, and in PL/pgSQL that asks for it, a bare name is a column first: `where mobile = mobile` is every row.
    """
    with database.connect("owner") as owner:
        columns: dict[str, set[str]] = {}
        for table, column in owner.execute(
            "select relname, attname from pg_attribute join pg_class c on c.oid = attrelid where attnum > 0 "
            "and relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v') and not relispartition"
        ).fetchall():
            columns.setdefault(table, set()).add(column)
    found = set()
    for each in functions(database):
        if each["language"] != "sql" and "use_column" not in each["body"]:
            continue
        body = re.sub(r"--.*|'[^']*'", "", each["body"])
        known = set().union(*(columns.get(word, set()) for word in re.findall(r"\w+", body)))
        modes = each["modes"] or ["i"] * len(each["names"])
        for name in {name for name, mode in zip(each["names"], modes, strict=True) if mode == "i"} & known:
            if re.search(rf'(?<![\w."]){name}(?![\w("])', body):
                found.add((each["name"], name))
    return found


def test_no_argument_is_taken_for_a_column(module_database: Database) -> None:
    assert ambiguous(module_database) == set()


def test_an_argument_that_would_be_taken_for_a_column_is_found(module_database: Database) -> None:
    with module_database.connect("owner", autocommit=True) as owner:
        owner.execute(
            "create function khata.bad(mobile_key text) returns bigint language sql as $$"
            " select id from consumers_consumer p where p.mobile_key = mobile_key limit 1 $$"
        )
    try:
        assert ambiguous(module_database) == {("bad", "mobile_key")}
    finally:
        with module_database.connect("owner", autocommit=True) as owner:
            owner.execute("drop function khata.bad(text)")


# -- for an office -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOR_AN_OFFICE)
def test_a_function_that_looks_past_the_fence_asks_for_an_office(
    module_database: Database, scene: Town, name: str
) -> None:
    call = f"select * from khata.{name}({FOR_AN_OFFICE[name]})"
    asha = scene.seen_by("Asha")
    for scope in (NOBODY, asha, Scope(consumer=0, office_from=None, office_to=None)):
        if scope != NOBODY and name in FOR_ITS_CONSUMER_TOO:
            theirs = call.replace("1", str(scene.connections["Charan"]), 1)
            assert [row for row in asked(module_database, scope, theirs) if row != (None,)] == []
            continue
        with pytest.raises(ProgrammingError) as refused:
            asked(module_database, scope, call)
        assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_an_office_posts_in_the_books_of_its_own_company(module_database: Database, scene: Town) -> None:
    heads = [Head.objects.get(discom__code=PVVNL, code=code).id for code in ("cash", "energy")]
    call = "select khata.post('test', 'test', '2024-06-10', '', %s::smallint[], array[0, 0], array[5, -5])"
    with pytest.raises(ProgrammingError):
        asked(module_database, office_scope(KESCO), call, heads)
    ((entry,),) = asked(module_database, office_scope(PVVNL), call, heads)
    assert entry > 0


def test_what_is_owed_and_by_whom_a_consumer_is_told_of_own_connections_alone(
    module_database: Database, scene: Town
) -> None:
    everybody = sorted(scene.connections.values())
    for call in ("select * from khata.owed(%s)", "select * from khata.payers(%s, '2024-06-10')"):
        told = asked(module_database, scene.seen_by("Asha"), call, everybody)
        assert [row[0] for row in told] == [scene.connections["Asha"]]
        assert len(asked(module_database, office_scope(KESCO, GUMTI), call, everybody)) == len(everybody)


def test_a_message_goes_to_the_mobile_on_record_and_nowhere_else(module_database: Database, scene: Town) -> None:
    call = "select khata.notify(%s, 'payment-taken', array['1'], 'test')"
    for name, gets in {"Asha": True, "Bina": False, "Silent": False}.items():
        ((made,),) = asked(module_database, scene.seen_by("Asha"), call, scene.connections[name])
        assert (made is not None) == gets
    assert asked(module_database, office_scope(KESCO), call, scene.connections["Silent"]) == [(None,)]


# -- within the scope --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHIN_THE_SCOPE)
def test_a_function_that_tells_of_a_scope_tells_a_stranger_nothing_of_asha(
    module_database: Database, scene: Town, name: str
) -> None:
    call = f"select * from khata.{name}({WITHIN_THE_SCOPE[name].format(connection=scene.connections['Asha'])})"
    own = asked(module_database, scene.seen_by("Asha"), call)
    assert own
    for scope in (NOBODY, scene.seen_by("Charan"), office_scope(PVVNL), office_scope(KESCO, JAJMAU)):
        assert not set(own) & set(asked(module_database, scope, call)), scope


def test_beside_a_connection_stand_those_of_the_same_mobile(module_database: Database, scene: Town) -> None:
    def beside(name: str) -> set[str]:
        rows = asked(module_database, scene.seen_by(name), "select id from khata.connections_beside()")
        names = {identity: name for name, identity in scene.connections.items()}
        return {names[identity] for (identity,) in rows}

    assert beside("Asha") == beside("Shop") == {"Asha", "Shop"}
    assert beside("Bina") == {"Bina"}
    assert beside("Silent") == set()  # no mobile is not a mobile that many have
    assert asked(module_database, office_scope(KESCO), "select * from khata.connections_beside()") == []


def test_a_meter_s_days_are_seen_where_it_hung_and_only_then(module_database: Database, scene: Town) -> None:
    """Asha's meter moves to her shop on 11 May, and from there to Bina on 21 May."""
    meter = scene.meters["SMART-1"]
    moves = [
        ("2024-05-11", "Asha", None),
        ("2024-05-11", "Shop", meter),
        ("2024-05-21", "Shop", None),
        ("2024-05-21", "Bina", meter),
    ]
    for since, name, hung in moves:
        Installation.objects.create(
            connection_id=scene.connections[name], from_date=day(since), revision=0, known_at=ARRIVED, meter_id=hung
        )

    def seen(name: str, scope: Scope) -> tuple[int, int]:
        call = "select extract(day from day)::int from khata.meter_days(%s, '2024-05-01', '2024-06-01')"
        days = [number for (number,) in asked(module_database, scope, call, scene.connections[name])]
        return (days[0], days[-1]) if days else (0, 0)

    assert seen("Asha", scene.seen_by("Asha")) == (1, 10)
    assert seen("Shop", scene.seen_by("Shop")) == seen("Shop", office_scope(KESCO, JAJMAU)) == (11, 20)
    assert seen("Bina", scene.seen_by("Bina")) == seen("Bina", office_scope(KESCO, GUMTI)) == (21, 31)
    assert seen("Shop", scene.seen_by("Bina")) == seen("Shop", office_scope(KESCO, GUMTI)) == (0, 0)


def test_a_request_for_a_code_is_read_by_its_id_and_each_look_is_a_try(module_database: Database) -> None:
    one, other = "0b6a1c1e-7f57-4d0e-9a52-6a3d3f0b5a11", "0b6a1c1e-7f57-4d0e-9a52-6a3d3f0b5a12"
    with module_database.connect("app") as web:
        note = "select khata.note_sign_in(%s, '9876543210', 'nonce', 6::smallint, now(), %s)"
        web.execute(note, [one, False])
        web.execute(note, [other, True])
        look = "select mobile_key, tries_before, used from khata.try_sign_in(%s)"
        assert [web.execute(look, [one]).fetchall() for _ in range(2)] == [[("9876543210", n, False)] for n in (0, 1)]
        use = "select khata.use_sign_in(%s, %s)"
        assert web.execute(use, [one, ""]).fetchall() == [(False,)]  # its code was not sent yet
        web.commit()
        with module_database.connect("run") as worker:
            worker.execute(
                "update consumers_signin set proof = 'made with the key', queued = true where id = %s", [one]
            )
        tries = [("", False), ("nonce", False), ("made with the key", True), ("made with the key", False)]
        assert [web.execute(use, [one, said]).fetchall() for said, _ in tries] == [[(good,)] for _, good in tries]
        assert web.execute(look, [one]).fetchall() == [("9876543210", 2, True)]
        ((_, tries, _),) = web.execute(look, [other]).fetchall()
        assert tries >= 1000  # nobody was sent that code, so no try opens it
        assert web.execute(look, ["0b6a1c1e-7f57-4d0e-9a52-6a3d3f0b5a13"]).fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            web.execute("select from consumers_signin")
    with module_database.connect("run") as worker:
        worker.execute("delete from consumers_signin")


def test_whoever_says_any_sql_as_the_web_claims_no_mobile(module_database: Database, scene: Town) -> None:
    """A request for a code is written for anybody, here as in earnest; that its code has fitted nobody can say."""
    claimed, wanted = "0b6a1c1e-7f57-4d0e-9a52-6a3d3f0b5a21", "0b6a1c1e-7f57-4d0e-9a52-6a3d3f0b5a22"
    with module_database.connect("owner") as owner:
        ((authenticator,),) = owner.execute("select id from consumers_authenticator").fetchall()
    with module_database.connect("app") as web:

        def told(call: str, *given: object) -> list[tuple[Any, ...]]:
            return web.execute(f"select * from khata.{call}", given).fetchall()

        web.execute(SET_SCOPE, as_settings(scene.seen_by("Asha")))
        told("note_sign_in(%s, '9876543210', 'n', 6::smallint, now(), false)", claimed)
        told("note_new_mobile(%s, '9876500666', 'n', 6::smallint, now(), false, %s)", wanted, scene.connections["Asha"])
        for one in (claimed, wanted):
            assert [told("use_sign_in(%s, %s)", one, said) for said in ("", "n", one)] == [[(False,)]] * 3
        for closed in ("asked_further", "connections_of_sign_in", "views_of_sign_in"):
            assert told(f"{closed}(%s)", claimed) == []
        assert told("change_mobile(%s)", wanted) == told("change_waiting(%s)", claimed) == [(None,)]
        web.execute(SET_SCOPE, as_settings(scene.seen_by("Bina")))
        assert told("use_step(%s, 5, %s)", authenticator, claimed) == [(False,)]
        assert told("use_recovery(%s, 'hash', %s)", authenticator, claimed) == [(False,)]
        web.execute(SET_SCOPE, as_settings(scene.seen_by("Asha")))
        assert told("switch_off_authenticator(%s)", "nonce") == [(False,)]
        assert told("use_step(%s, 9999999999, %s)", authenticator, claimed) == [(False,)]  # it would lock its owner out
        for name in ("connections_of_mobile", "views_of_mobile"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), web.transaction():
                told(f"{name}('9876543210')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), web.transaction():
            web.execute("update consumers_signin set proof = 'x'")
        web.rollback()


# -- on one's own ------------------------------------------------------------------------------------------------------

WRITTEN = ("signin", "authenticator where ended_at is null", "mobilechange", "mobileword", "viewgrant", "viewended")


@pytest.mark.parametrize(
    ("call", "done"),
    [
        ("switch_off_authenticator('word')", {"authenticator where ended_at is null": -1}),
        ("note_new_mobile(gen_random_uuid(), '9876500008', 'n', 6::smallint, now(), false, {asha})", {"signin": 1}),
        ("switch_off_authenticator('nonce')", {}),  # whoever has not the key cannot say the word
        ("change_mobile('{proof}')", {"mobilechange": 1}),
        ("stop_mobile({change})", {"mobileword": 1}),
        ("give_view(gen_random_uuid(), {asha}, '9876500008', 'tenant')", {"viewgrant": 1}),
        ("end_view('{view}')", {"viewended": 1}),
    ],
)
def test_what_one_does_to_ones_own_nobody_else_does(
    module_database: Database, scene: Town, call: str, done: dict[str, int]
) -> None:
    """Neither a stranger, nor an office, nor whoever was let in. What was done is given up."""
    asha = scene.connections["Asha"]
    with module_database.connect("owner") as work:  # one transaction for all, and none of it stays
        given = {"asha": asha, **_something_of_ashas(work, asha, waiting="change_mobile" not in call)}
        strangers = [NOBODY, scene.seen_by("Bina"), office_scope(KESCO), Scope(None, None, None, asha)]
        for scope, wanted in [*((one, {}) for one in strangers), (scene.seen_by("Asha"), done)]:
            before = _counts(work)
            work.execute(SET_SCOPE, as_settings(scope))
            work.execute(f"select * from khata.{call.format(**given)}")
            after = _counts(work)
            assert {name: after[name] - before[name] for name in WRITTEN if after[name] != before[name]} == wanted
        work.rollback()


def _something_of_ashas(work: psycopg.Connection, asha: int, *, waiting: bool) -> dict[str, object]:
    statements = {
        "view": "insert into consumers_viewgrant (id, connection_id, given_by, mobile_key, label) "
        "values (gen_random_uuid(), %s, '9876543210', '9876500006', 'tenant') returning id",
        "proof": "insert into consumers_signin (id, mobile_key, nonce, digits, asked_at, tries, used, queued, "
        "connection) values (gen_random_uuid(), '9876500007', 'n', 6, now(), 0, true, true, %s) returning id",
    }
    if waiting:
        statements["change"] = (
            "insert into consumers_mobilechange (connection_id, mobile_was, mobile_new, holds_until, reason) "
            "values (%s, '9876543210', '9876500007', now(), '') returning id"
        )
    return {name: work.execute(statement, [asha]).fetchall()[0][0] for name, statement in statements.items()}


def _counts(work: psycopg.Connection) -> dict[str, int]:
    return {name: work.execute(f"select count(*) from consumers_{name}").fetchall()[0][0] for name in WRITTEN}


def test_a_change_is_stopped_by_the_sign_in_that_has_proven_its_old_mobile_and_by_no_other(
    module_database: Database, scene: Town
) -> None:
    with module_database.connect("owner") as work:  # one transaction, and none of it stays
        _something_of_ashas(work, scene.connections["Asha"], waiting=True)
        for mobile, used, minutes, tail in (
            ("9876543211", True, 1, None),
            ("9876543210", False, 1, None),
            ("9876543210", True, 16, None),
            ("9876543210", True, 1, "0007"),
        ):
            ((proof,),) = work.execute(
                "insert into consumers_signin (id, mobile_key, nonce, digits, asked_at, tries, used, queued) values "
                "(gen_random_uuid(), %s, 'n', 6, now() - make_interval(mins => %s), 0, %s, true) returning id",
                [mobile, minutes, used],
            ).fetchall()
            assert work.execute("select khata.change_waiting(%s)", [proof]).fetchall() == [(tail,)]
            assert work.execute("select khata.stop_waiting(%s)", [proof]).fetchall() == [(tail is not None,)]
        assert work.execute("select khata.change_waiting(%s)", [proof]).fetchall() == [(None,)]
        assert work.execute("select word from consumers_mobileword").fetchall() == [("stopped",)]
        work.rollback()


def test_a_recovery_code_and_a_step_of_an_authenticator_are_good_once(module_database: Database, scene: Town) -> None:
    with module_database.connect("owner") as work:
        ((which,),) = work.execute("select id from consumers_authenticator").fetchall()
        work.execute(SET_SCOPE, as_settings(scene.seen_by("Asha")))
        tries = [("use_step", 7, True), ("use_step", 7, False), ("use_step", 6, False), ("use_step", 8, True)]
        tries += [("use_recovery", "other", False), ("use_recovery", "hash", True), ("use_recovery", "hash", False)]
        for name, given, good in tries:
            assert work.execute(f"select khata.{name}(%s, %s, null)", [which, given]).fetchall() == [(good,)], (
                name,
                given,
            )
        work.rollback()


# -- for a proof -------------------------------------------------------------------------------------------------------


def test_a_proven_mobile_opens_its_own_connections_and_no_others(module_database: Database, scene: Town) -> None:
    with module_database.connect("owner") as work:  # one transaction, and none of it stays

        def opened(mobile: str, *, used: bool = True, minutes: int = 1) -> set[tuple[int, int]]:
            ((proof,),) = work.execute(
                "insert into consumers_signin (id, mobile_key, nonce, digits, asked_at, tries, used, queued) values "
                "(gen_random_uuid(), %s, 'n', 6, now() - make_interval(mins => %s), 0, %s, true) returning id",
                [mobile, minutes, used],
            ).fetchall()
            return set(work.execute("select * from khata.connections_of_sign_in(%s)", [proof]).fetchall())

        def pairs(*names: str) -> set[tuple[int, int]]:
            return {(scene.connections[name], scene.consumers[name]) for name in names}

        assert opened("9876543210") == pairs("Asha", "Shop")
        assert opened("9876543211") == pairs("Bina")
        assert opened("9876543210", used=False) == opened("9876543210", minutes=16) == set()
        for stranger in ("", "9876543219", "%", "98765432", "mobile_key", "9876543210 "):
            assert opened(stranger) == set()
        work.rollback()


def test_a_message_is_told_of_by_its_code_and_tail_alone(module_database: Database, scene: Town) -> None:
    message = Message.objects.get(subject=scene.connections["Asha"], template="bill-issued")
    code, tail = check_code(message.id, b"key"), message.values[0]
    Delivery.objects.create(
        message_id=message.id, attempt=1, backend="test", outcome="sent", at=ARRIVED, check_code=code, detail=""
    )
    call = "select template, language from khata.message_sent(%s, %s)"
    assert asked(module_database, NOBODY, call, code, tail) == [("bill-issued", "hi")]
    other = f"{(int(tail) + 1) % 10_000:04d}"
    for wrong in ((code, other), (code, ""), ("", tail), ("AAAAAA", tail), (code, "%"), (code, "____")):
        assert asked(module_database, NOBODY, call, *wrong) == []


def test_of_a_receipt_its_number_tells_day_and_amount(module_database: Database, scene: Town) -> None:
    office = office_scope(KESCO)
    with module_database.as_role("app"), scoped(office), transaction.atomic():
        shift = _shift()
        taken = take_cash(
            shift=shift["id"],
            staff=shift["staff_id"],
            reference="0b6a1c1e-7f57-4d0e-9a52-6a3d3f0b5a11",
            typed="1234567",
            connection=scene.connections["Asha"],
            matched="1234567",
            amount_paise=77_00,
            now=dt.datetime(2024, 6, 10, 7, tzinfo=dt.UTC),
            today=day("2024-06-10"),
        )
    call = "select * from khata.receipt_check(%s, %s)"
    assert taken.receipt.serial == 1
    assert asked(module_database, NOBODY, call, "G01", 1) == [(day("2024-06-10"), 77_00)]
    for wrong in (("G01", 2), ("G02", 1), ("", 1), ("counter", 1), ("g01", 1)):
        assert asked(module_database, NOBODY, call, *wrong) == []


def _shift() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("select id, staff_id from payments_shift")
        ((identity, staff),) = cursor.fetchall()
    return {"id": identity, "staff_id": staff}
