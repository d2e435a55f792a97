"""What is issued, posted or accepted is changed by nobody: each offence is attempted, as each role, for real."""

import datetime as dt
import functools
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from django.apps import apps

from khata.discoms.models import Discom, Office
from khata.payments.operations import NewReceipts, take
from tests.cast import ASHA, KESCO, PVVNL, Town, posted_in, town
from tests.database import Database

# The few tables of which rows may change. Any other table, a new one too, must refuse.
KEPT_BY_THE_BOOKS = {"ledger_balance"}  # written by the posting trigger only
OF_THE_FRAMEWORK = {
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
    "django_migrations",
}
# What is true for a while only: who is signed in, which code was asked for, how often something was tried, when a
# second factor was last used. What each role may do there, to the column where it is not all of them.
CHANGES_IN_PLACE = {
    "consumers_numberasked": {"app": "", "run": "delete, insert, update(connection), update(queued)"},
    # a code and a recovery code are good once; the functions of the sign-in alone write here
    "consumers_authenticator": {"app": "", "run": "update(ended_at), update(mobile_key)"},
    "consumers_lastsignin": {"app": "", "run": ""},
    "consumers_signin": {"app": "", "run": "delete, insert, update(proof), update(queued)"},
    "discoms_limit": {"app": "insert, update", "run": "delete, insert, update"},
    # what is usual of a meter, made anew each night
    "metering_usual": {"app": "", "run": "delete, insert, update"},
    # the scorecard as officers see it, counted anew each night
    "metering_owedday": {"app": "", "run": "delete, insert, update"},
    "metering_openrow": {"app": "", "run": "delete, insert, update"},
    "metering_opencount": {"app": "", "run": "delete, insert, update"},
    "metering_notedrow": {"app": "", "run": "delete, insert, update"},
    "metering_notedday": {"app": "", "run": "delete, insert, update"},
    "metering_scoremade": {"app": "", "run": "delete, insert, update"},
    # which uploads wait for a worker: written by triggers alone
    "metering_uploadwaiting": {"app": "", "run": ""},
    "django_session": {"app": "delete, insert, update", "run": "delete, insert"},
    # what the rules make of a hand-over, anew whenever one of its rows is corrected
    "migration_finding": {"app": "", "run": "delete, insert, update"},
    "migration_stagedrow": {"app": "", "run": "delete, insert, update"},
    "otp_totp_totpdevice": {
        "app": "update(drift), update(last_t), update(last_used_at), update(throttling_failure_count), "
        "update(throttling_failure_timestamp)",
        "run": "insert",
    },
}
# Names and the like may be put right, but no row goes.
NEVER_DELETED = {
    "consumers_connection",
    "consumers_consumer",
    "discoms_discom",
    "discoms_office",
    "discoms_staff",
    "ledger_head",
    "metering_meter",
    "metering_readingcycle",
    "metering_sender",
    "migration_account",
    "payments_counter",
}
# Which columns a run may put right, where it may at all: a corrected hand-over, and a connection taken back.
PUT_RIGHT_BY_RUNS = {
    "consumers_connection": "address, connected_on, division_id, live, wave",
    "consumers_consumer": "language, mobile, mobile_key, name, name_key",
    "metering_sender": "active, most_waiting, most_waiting_bytes, name, token_hash",
}
# What pages write; each table has a policy of its own for it.
WRITTEN_BY_THE_WEB = {
    "audit_record",
    "billing_approval",
    "billing_decision",
    "migration_proposal",
    "migration_told",
    "migration_verdict",
    "payments_receipt",
    "payments_shift",
    "payments_shiftclosed",
    "payments_suspensecleared",
    "payments_suspenseproposal",
}
MODELS = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
PUT_RIGHT_BY_RUNS["migration_account"] = ", ".join(
    sorted(field.column for field in MODELS["migration_account"]._meta.local_concrete_fields)
)
APPEND_ONLY = sorted(MODELS.keys() - KEPT_BY_THE_BOOKS - OF_THE_FRAMEWORK - NEVER_DELETED - CHANGES_IN_PLACE.keys())

REFUSED = "KH001"
NO_PRIVILEGE = "42501"


@pytest.fixture(scope="module")
def billed(module_database: Database) -> Town:
    """The cast with bills, messages, a receipt and staff, so that there is something to offend."""
    built = town([ASHA.with_(name="Deepa"), ASHA.with_(meters=(), old_number="")])
    posted_in()
    built.run("2024-06")
    kesco = Discom.objects.get(code=KESCO)
    one = {
        "connection": np.array([built.connections["Deepa"]]),
        "reference": np.array([b"R-1"]),
        "office": np.array([Office.objects.get(discom=kesco, kind="division", name_en="Gumti").id]),
        "typed": np.array([b"1234567"]),
        "matched": np.array([b"1234567"]),
        "amount_paise": np.array([100_00]),
        "received_on": np.array(["2024-06-10"], "datetime64[D]"),
    }
    take(discom=kesco, channel="counter", receipts=NewReceipts(**one))
    return built


def offences(table: str) -> dict[str, str]:
    column = MODELS[table]._meta.local_concrete_fields[-1].column
    return {
        "update": f'update {table} set "{column}" = "{column}"',
        "update of nothing": f'update {table} set "{column}" = "{column}" where false',
        "delete": f"delete from {table}",
        "delete of nothing": f"delete from {table} where false",
        "truncate": f"truncate {table} cascade",
    }


def sqlstate(database: Database, role: str, statement: str, *params: object) -> str | None:
    """How the database refuses; nothing if it does not (the transaction is given up in any case)."""
    session = session_of(database, role)
    try:
        session.execute(statement, params)
    except psycopg.Error as refused:
        return refused.sqlstate
    finally:
        session.rollback()
    return None


@functools.cache
def session_of(database: Database, role: str) -> psycopg.Connection:
    """One for thousands of offences; it ends with the database."""
    return database.connect(role)


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_every_table_refuses_update_delete_and_truncate(module_database: Database, table: str) -> None:
    for role, state in {"app": NO_PRIVILEGE, "run": NO_PRIVILEGE, "owner": REFUSED, "admin": REFUSED}.items():
        found = {word: sqlstate(module_database, role, offence) for word, offence in offences(table).items()}
        assert found == dict.fromkeys(found, state), role


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("table", sorted(NEVER_DELETED))
def test_rows_that_may_be_put_right_are_not_deleted(module_database: Database, table: str) -> None:
    for role, state in {"app": NO_PRIVILEGE, "run": NO_PRIVILEGE, "owner": REFUSED}.items():
        for word in ("delete", "delete of nothing", "truncate"):
            assert sqlstate(module_database, role, offences(table)[word]) == state, (role, word)
    query = """
        select coalesce(string_agg(attname, ', ' order by attname), '') from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and not attisdropped
            and has_column_privilege(%s, attrelid, attnum, 'update')"""
    with module_database.connect("owner") as owner:
        for role, may in {"app": "", "run": PUT_RIGHT_BY_RUNS.get(table, "")}.items():
            assert owner.execute(query, [table, f"khata_{role}"]).fetchall() == [(may,)], role


def test_every_table_of_the_database_is_known_here(module_database: Database) -> None:
    """Tables that no model names would escape the tests above."""
    with module_database.connect("owner") as owner:
        rows = owner.execute(
            "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace "
            "and not relispartition"
        ).fetchall()
    known = MODELS.keys() | {"django_migrations"}
    assert {name for (name,) in rows} == known
    assert known >= KEPT_BY_THE_BOOKS | OF_THE_FRAMEWORK | NEVER_DELETED | CHANGES_IN_PLACE.keys()
    assert len(APPEND_ONLY) > 20


def test_a_new_table_without_a_guard_would_be_found(module_database: Database) -> None:
    with module_database.connect("owner", autocommit=True) as owner:
        owner.execute("create table billing_new (id bigint, word text)")
    try:
        assert sqlstate(module_database, "owner", "update billing_new set word = word") is None
    finally:
        with module_database.connect("owner", autocommit=True) as owner:
            owner.execute("drop table billing_new")


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("role", ["app", "run"])
@pytest.mark.parametrize(
    "offence",
    ["select from {}", "insert into {} select * from {}", "update {} set origin = 4", "delete from {}", "truncate {}"],
)
def test_a_partition_has_no_back_door(module_database: Database, role: str, offence: str) -> None:
    statement = offence.replace("{}", "metering_meterday_202405")
    assert sqlstate(module_database, role, statement) == NO_PRIVILEGE


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("role", ["owner", "admin"])
@pytest.mark.parametrize("offence", ["update {} set origin = 4", "delete from {} where false", "truncate {}"])
def test_a_partition_refuses_its_owner_too(module_database: Database, role: str, offence: str) -> None:
    assert sqlstate(module_database, role, offence.replace("{}", "metering_meterday_202405")) == "KH001"


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("table", sorted(MODELS.keys() - WRITTEN_BY_THE_WEB - CHANGES_IN_PLACE.keys()))
def test_the_web_writes_nothing_else(module_database: Database, table: str) -> None:
    assert sqlstate(module_database, "app", f"insert into {table} select * from {table}") == NO_PRIVILEGE


@pytest.mark.parametrize("table", sorted(CHANGES_IN_PLACE))
def test_what_changes_in_place_is_changed_by_whom_it_must_be(module_database: Database, table: str) -> None:
    query = """
        with asked (word) as (values ('insert'), ('update'), ('delete'), ('truncate'), ('trigger'))
        select word from asked where has_table_privilege(%(role)s, %(table)s, word)
        union all
        select format('%%s(%%s)', word, attname) from asked
        join pg_attribute on attrelid = %(table)s::regclass and attnum > 0 and not attisdropped
        where word in ('insert', 'update') and not has_table_privilege(%(role)s, %(table)s, word)
            and has_column_privilege(%(role)s, %(table)s, attname, word)
        order by 1"""
    with module_database.connect("owner") as owner:
        for role, may in CHANGES_IN_PLACE[table].items():
            found = owner.execute(query, {"role": f"khata_{role}", "table": table}).fetchall()
            assert ", ".join(word for (word,) in found) == may, role


def test_what_the_web_writes_has_a_policy_of_its_own(module_database: Database) -> None:
    with module_database.connect("owner") as owner:
        rows = owner.execute(
            "select polrelid::regclass::text, pg_get_expr(polwithcheck, polrelid) from pg_policy "
            "where polcmd = 'a' and 'khata_app'::regrole = any(polroles)"
        ).fetchall()
    assert {name for name, _ in rows} == WRITTEN_BY_THE_WEB
    assert [name for name, check in rows if check == "true"] == ["audit_record"]  # it is read by nobody


# -- the books ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def clerk(billed: Town, module_database: Database) -> Iterator[psycopg.Connection]:
    """Somebody with the powers of a run, and a will to cook the books. What they try is given up in the end."""
    session = module_database.connect("run")
    yield session
    session.rollback()
    session.close()


def head(clerk: psycopg.Connection, code: str, discom: str = KESCO) -> int:
    query = (
        "select h.id from ledger_head h join discoms_discom d on d.id = h.discom_id where h.code = %s and d.code = %s"
    )
    ((number,),) = clerk.execute(query, [code, discom]).fetchall()
    return int(number)


def enter(clerk: psycopg.Connection, cause: str = "test:entry:1") -> int:
    query = "insert into ledger_entry (kind, cause, business_date, reason) values ('test', %s, %s, '') returning id"
    ((number,),) = clerk.execute(query, [cause, dt.date(2024, 6, 10)]).fetchall()
    return int(number)


def add(clerk: psycopg.Connection, entry: int, *postings: tuple[int, int, int]) -> None:
    """Postings (head, subject, paise), all in one statement."""
    values = ", ".join(["(%s, %s, %s, %s)"] * len(postings))
    params = [value for posting in postings for value in (entry, *posting)]
    clerk.execute(f"insert into ledger_posting (entry_id, head_id, subject, amount_paise) values {values}", params)


def refused(state: str) -> pytest.RaisesExc[psycopg.Error]:
    return pytest.raises(psycopg.Error, check=lambda error: error.sqlstate == state)


def test_an_entry_that_balances_is_taken_and_its_balance_kept(clerk: psycopg.Connection, billed: Town) -> None:
    subject, before = billed.connections["Deepa"], billed.balance("Deepa")
    add(clerk, enter(clerk), (head(clerk, "consumers"), subject, -500), (head(clerk, "cash"), 0, 500))
    clerk.execute("set constraints all immediate")
    query = "select amount_paise from ledger_balance where subject = %s"
    assert clerk.execute(query, [subject]).fetchall() == [(before - 500,)]


def test_nothing_is_added_to_a_closed_entry(clerk: psycopg.Connection, billed: Town) -> None:
    closed = billed.bill("Deepa").entry_id
    with refused("KH002"):
        add(clerk, closed, (head(clerk, "consumers"), billed.connections["Asha"], 500), (head(clerk, "cash"), 0, -500))


def test_nothing_is_added_to_an_entry_that_does_not_exist(clerk: psycopg.Connection) -> None:
    with refused("KH002"):
        add(clerk, 999_999, (head(clerk, "energy"), 0, 500), (head(clerk, "cash"), 0, -500))


def test_an_entry_sums_to_zero(clerk: psycopg.Connection) -> None:
    with refused("KH003"):
        add(clerk, enter(clerk), (head(clerk, "energy"), 0, 500), (head(clerk, "cash"), 0, -499))


def test_the_books_of_each_company_sum_to_zero_alone(clerk: psycopg.Connection) -> None:
    with refused("KH003"):
        add(clerk, enter(clerk), (head(clerk, "cash", KESCO), 0, 500), (head(clerk, "cash", PVVNL), 0, -500))


def test_a_receivable_names_whose_it_is_and_other_heads_name_nobody(clerk: psycopg.Connection, billed: Town) -> None:
    consumers, cash, deepa = head(clerk, "consumers"), head(clerk, "cash"), billed.connections["Deepa"]
    with refused("KH003"):
        add(clerk, enter(clerk), (consumers, 0, 500), (cash, 0, -500))
    clerk.rollback()
    with refused("KH003"):
        add(clerk, enter(clerk), (consumers, deepa, 500), (cash, deepa, -500))


def test_an_unknown_head_is_refused(clerk: psycopg.Connection) -> None:
    with refused("KH003"):
        add(clerk, enter(clerk), (32_000, 0, 0))


def test_an_entry_without_postings_is_refused_when_it_is_committed(clerk: psycopg.Connection) -> None:
    enter(clerk)
    with refused("KH004"):
        clerk.commit()


def test_an_entry_has_one_cause_only_once(clerk: psycopg.Connection) -> None:
    enter(clerk)
    with refused("23505"):
        enter(clerk)


@pytest.mark.parametrize(
    "offence",
    [
        "insert into ledger_balance (subject, head_id, amount_paise) values (1, 1, 0)",
        "update ledger_balance set amount_paise = 0",
        "delete from ledger_balance",
        "truncate ledger_balance",
        "insert into ledger_entry (kind, cause, business_date, reason, tx) values ('test', 'x', '2024-06-10', '', '1')",
        "insert into ledger_entry (kind, cause, business_date, reason, tx) "
        "select 'test', 'x', business_date, '', tx from ledger_entry limit 1",
    ],
)
@pytest.mark.usefixtures("billed")
def test_neither_a_balance_nor_the_transaction_of_an_entry_can_be_written(
    module_database: Database, offence: str
) -> None:
    for role in ("app", "run"):
        assert sqlstate(module_database, role, offence) == NO_PRIVILEGE


# -- references --------------------------------------------------------------------------------------------------------


REFERENCES = {
    ("billing_bill", "connection_id"),
    ("billing_bill", "entry_id"),
    ("billing_bill", "part_id"),
    ("billing_billpart", "bill_id"),
    ("billing_billpart", "schedule_id"),
    ("billing_billpart", "terms_id"),
    ("metering_meterday", "meter_id"),
    ("notices_message", "subject"),
    ("payments_receipt", "connection_id"),
    ("payments_receipt", "entry_id"),
}
# What a wave brings for a whole company at once; each insert names something that is not there.
_INSTALLED = (
    "insert into metering_installation (connection_id, from_date, revision, known_at, meter_id, cycle_id) select "
)
_CONNECTED = """
    insert into consumers_connection
        (consumer_id, discom_id, division_id, account_number, address, connected_on, wave, live)
    select {}, {}, '', connected_on, '', true from consumers_connection limit 1"""
OF_A_WAVE = {
    ("billing_oldbill", "connection_id"): "insert into billing_oldbill values ('2024-01-01', 0, 0, 888888)",
    ("consumers_connection", "account_number"): _CONNECTED.format(
        "consumer_id, discom_id, division_id", "'8888888888'"
    ),
    ("consumers_connection", "consumer_id"): _CONNECTED.format("888888, discom_id, division_id", "'9999999999'"),
    ("consumers_connection", "discom_id"): _CONNECTED.format("consumer_id, 8888, division_id", "'9999999999'"),
    ("consumers_connection", "division_id"): _CONNECTED.format("consumer_id, discom_id, 888888", "'9999999999'"),
    ("consumers_oldnumber", "connection_id"): "insert into consumers_oldnumber (connection_id, discom_id, number) "
    "values (888888, 1, '888888')",
    ("consumers_oldnumber", "discom_id"): "insert into consumers_oldnumber (connection_id, discom_id, number) "
    "select id, 8888, '888888' from consumers_connection limit 1",
    ("consumers_terms", "connection_id"): "insert into consumers_terms (connection_id, from_date, revision, known_at, "
    "category, area, mode, load_w, ended) values (888888, '2024-01-01', 0, now(), '', 'urban', 'postpaid', 1, false)",
    ("metering_installation", "connection_id"): f"{_INSTALLED} 888888, '2024-01-01', 0, now(), null, null",
    ("metering_installation", "meter_id"): f"{_INSTALLED} id, '2024-01-01', 9, now(), 888888, null "
    "from consumers_connection limit 1",
    ("metering_installation", "cycle_id"): f"{_INSTALLED} id, '2024-01-01', 9, now(), null, 888888 "
    "from consumers_connection limit 1",
    ("metering_meter", "discom_id"): "insert into metering_meter (serial, discom_id, smart) values ('X', 8888, false)",
    ("metering_feed", "meter_id"): "insert into metering_feed (meter_id, from_date) values (888888, '2024-01-01')",
    ("metering_feed", "sender_id"): "insert into metering_feed (meter_id, from_date, sender_id) "
    "select id, '2024-01-01', 888888 from metering_meter limit 1",
    ("metering_finding", "meter_id"): "insert into metering_finding (meter_id, day, channel, revision, rule, "
    "delivery_id, evidence) select 888888, '2024-01-01', 0, 0, '', id, '{}' from metering_delivery limit 1",
    ("metering_finding", "delivery_id"): "insert into metering_finding (meter_id, day, channel, revision, rule, "
    "delivery_id, evidence) select id, '2024-01-01', 0, 0, '', 888888, '{}' from metering_meter limit 1",
    ("metering_edit", "meter_id"): "insert into metering_edit (meter_id, day, channel, revision, reason, delivery_id, "
    "staff_id) select 888888, '2024-01-01', 0, 1, 'as the check meter', 1, 1",
    ("metering_edit", "delivery_id"): "insert into metering_edit (meter_id, day, channel, revision, reason, "
    "delivery_id, staff_id) select id, '2024-01-01', 0, 1, 'as the check meter', 888888, 1 from metering_meter limit 1",
    ("metering_upload", "sender_id"): "insert into metering_upload (id, sender_id, received_at, form, name, sha256, "
    "size, key) values (gen_random_uuid(), 888888, now(), '', '', '', 0, '')",
    ("metering_usual", "meter_id"): "insert into metering_usual (meter_id, made_on, days, total_wh, peak_wh, "
    "zero_days, load_w, hangs) values (888888, '2024-01-01', 0, -1, -1, 0, -1, 0)",
    ("migration_sourcerow", "file_id"): "insert into migration_sourcerow (file_id, line, raw) values (888888, 1, '')",
    (
        "migration_compared",
        "account_id",
    ): "insert into migration_compared (run_id, account_id, division_id, result, why, "
    "old_wh, old_assessed_paise, old_payable_paise) select 1, 888888, id, 'equal', '', 0, 0, 0 "
    "from discoms_office limit 1",
    ("metering_reading", "meter_id"): "insert into metering_reading (meter_id, day, revision, register_wh, demand_w, "
    "source) values (888888, '2024-01-01', 0, 0, 0, 'reader')",
}
ANOTHER_KEY = {"id": 999_999, "revision": 99, "number": 99, "reference": "R-2"}


@pytest.mark.parametrize(("table", "column"), sorted(REFERENCES))
def test_a_reference_to_nothing_is_refused(clerk: psycopg.Connection, table: str, column: str) -> None:
    copied = f"""
        insert into {table} select (jsonb_populate_record(x, (
            select jsonb_object_agg(key, value) from jsonb_each(%s) where to_jsonb(x) ? key) || %s)).*
        from {table} x limit 1"""

    def copy(changes: dict[str, int]) -> None:
        clerk.execute(copied, [psycopg.types.json.Jsonb(ANOTHER_KEY), psycopg.types.json.Jsonb(changes)])

    copy({})
    clerk.rollback()
    with refused("KH005"):
        copy({column: 888_888})


@pytest.mark.parametrize(("table", "column"), sorted(OF_A_WAVE))
def test_a_wave_that_refers_to_nothing_is_refused(clerk: psycopg.Connection, table: str, column: str) -> None:
    issued = "insert into consumers_issuednumber (number, discom_id, account, issued_at) values (%s, 1, '', now())"
    clerk.execute(issued, ["9999999999"])
    with pytest.raises(psycopg.Error, match=f"{column} of {table} names") as refusal:
        clerk.execute(OF_A_WAVE[table, column])
    assert refusal.value.sqlstate == "KH005"


def test_every_reference_without_a_foreign_key_is_known_here(module_database: Database) -> None:
    with module_database.connect("owner") as owner:
        rows = owner.execute(
            "select tgrelid::regclass::text, substr(tgname, 8) from pg_trigger where tgname like 'refers\\_%'"
        ).fetchall()
    told_with_its_account = {("migration_compared", "division_id")}
    assert set(rows) == REFERENCES | OF_A_WAVE.keys() | told_with_its_account
    # Posting and balance are checked by the posting trigger itself.
    unchecked = {
        (table, field.column)
        for table, model in MODELS.items()
        for field in model._meta.local_concrete_fields
        if field.is_relation and not field.db_constraint and not table.startswith("ledger_")
    }
    # Staged rows are made anew from files; an account's connection is written by the cut-over that has just made it, a
    # parallel run, with its sums, after the accounts that it compared.
    made_by_a_move = {("migration_account", "connection_id"), ("migration_compared", "run_id")} | {
        ("migration_stagedrow", column) for column in ("wave_id", "division_id", "file_id")
    }
    assert unchecked - made_by_a_move <= set(rows)
