"""The second tenant fence: what the web sees of each table on whose behalf. What no scope allows, nobody sees."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from django.db import connection, transaction

from khata.billing.models import Bill
from khata.billing.operations import OldBills, keep_old_bills
from khata.consumers.models import Connection
from khata.discoms.models import Discom, Office, Staff
from khata.discoms.scope import NOBODY, Scope, scoped
from khata.notices.models import Message
from khata.payments.operations import NewReceipts, add_counter, close_shift, open_shift, take
from tests.cast import (
    ASHA,
    CAST,
    GUMTI,
    JAJMAU,
    KESCO,
    MEERUT,
    NAUBASTA,
    PVVNL,
    Home,
    Town,
    office_scope,
    posted_in,
    town,
)
from tests.database import Database

# Tables that anybody may read. Whatever else the web may select stands behind the fence.
PUBLIC = {
    # what a company publishes of itself
    "billing_billingpolicy",
    "consumers_numberwindow",
    "discoms_discom",
    "discoms_office",
    "ledger_head",
    "metering_readingcycle",
    "migration_listpolicy",
    "payments_counter",
    "payments_counterpolicy",
    "tariffs_edition",
    "tariffs_file",
    "tariffs_rateschedule",
    # read before anybody is signed in, by their keys: who a session or a login belongs to
    "discoms_limit",
    "discoms_post",
    "discoms_staff",
    "django_session",
    "otp_totp_totpdevice",
    # the framework's
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
    "django_migrations",
}
# What a consumer sees own rows of. An entry is shared by the postings of many, a run and its parts by the bills of a
# division; they say when and why, nothing of whom.
OWN = {
    "billing_bill",
    "billing_billpart",
    "billing_billrun",
    "billing_oldbill",
    "consumers_connection",
    "consumers_consumer",
    "consumers_oldnumber",
    "consumers_terms",
    "jobs_part",
    "jobs_run",
    "ledger_balance",
    "ledger_entry",
    "ledger_posting",
    "metering_installation",
    "metering_meter",
    "notices_message",
    "payments_receipt",
}
SHARED = {"billing_billrun", "jobs_part", "jobs_run", "ledger_entry"}
# What an office sees besides: how its runs closed. (Held bills too; there are none in this scene.)
OF_OFFICES = OWN | {"jobs_runclosed", "payments_shift", "payments_shiftclosed"}
# Not all columns of these are open, and of a system column none is.
ROW_OF = {"jobs_part": "id"}

DEEPA = ASHA.with_(name="Deepa", division=NAUBASTA, old_number="1234568", mobile="9876543213")
EKTA = ASHA.with_(name="Ekta", division=JAJMAU, old_number="1234569", mobile="9876543214")


def renamed(home: Home, number: int) -> Home:
    """With meters and an old number of its own."""
    meters = tuple(
        type(meter)(f"{meter.serial}-{number}", meter.since, meter.cycle, meter.readings, meter.usage)
        for meter in home.meters
    )
    return home.with_(meters=meters, old_number=f"765432{number}")


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Town]:
    """The cast and two neighbours in other divisions, with bills old and new, payments and messages."""
    homes = [renamed(home, number) for number, home in enumerate([*CAST, DEEPA, EKTA])]
    built = town(homes)
    people = posted_in()
    for code in (KESCO, PVVNL):
        built.run("2024-06", discom=code)
    for number, home in enumerate(homes):
        connections = np.array([built.connections[home.name]])
        discom = Discom.objects.get(code=home.discom)
        one = {
            "connection": connections,
            "reference": np.array([f"R-{number}".encode()]),
            "office": np.array([Office.objects.get(discom=discom, kind="division", name_en=home.division).id]),
            "typed": np.array([b"typed"]),
            "matched": np.array([b"matched"]),
            "amount_paise": np.array([100_00]),
            "received_on": np.array(["2024-06-10"], "datetime64[D]"),
        }
        take(discom=discom, channel="counter", receipts=NewReceipts(**one))
        keep_old_bills(
            bills=OldBills(connections, np.array(["2024-02-01"], "datetime64[D]"), np.array([100]), np.array([100]))
        )
    for code, person in zip((KESCO, PVVNL), people, strict=True):
        _shift(Office.objects.get(discom__code=code, kind="company"), person)
    yield built


def _shift(office: Office, person: Staff) -> None:
    counter = add_counter(office=office, code=f"C{office.discom_id}", name_hi="काउंटर", name_en="Counter")
    now, today = dt.datetime(2024, 6, 10, tzinfo=dt.UTC), dt.date(2024, 6, 10)
    shift = open_shift(counter=counter.id, staff=person.id, opening_paise=0, now=now, today=today)
    close_shift(shift=shift.id, staff=person.id, declared_paise=0, reason="", now=now)


@pytest.fixture
def fenced(scene: Town, module_database: Database) -> list[str]:
    return tables(module_database, "relrowsecurity")


def tables(database: Database, condition: str) -> list[str]:
    """Tables that the web may select."""
    with database.connect("owner") as owner:
        rows = owner.execute(
            "select oid::regclass::text from pg_class where relkind in ('r', 'p', 'v', 'm', 'f') "
            "and relnamespace = 'public'::regnamespace "
            "and has_any_column_privilege('khata_app', oid, 'select')"
            f" and {condition} order by 1"
        ).fetchall()
    return [name for (name,) in rows]


def seen(database: Database, scope: Scope, names: list[str]) -> dict[str, set[object]]:
    """Which rows of each table the web sees in this scope."""
    found: dict[str, set[object]] = {}
    with database.as_role("app"), scoped(scope), transaction.atomic(), connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"select {ROW_OF.get(name, 'tableoid, ctid::text')} from {name}")
            found[name] = set(cursor.fetchall())
    return found


def disjoint(one: dict[str, set[object]], other: dict[str, set[object]]) -> set[str]:
    """Tables of which both see a row."""
    return {name for name in one if one[name] & other[name]}


def within(one: dict[str, set[object]], other: dict[str, set[object]]) -> bool:
    return all(one[name] <= other[name] for name in one)


def test_every_table_the_web_may_read_is_fenced_or_known_to_be_public(module_database: Database) -> None:
    assert set(tables(module_database, "not relrowsecurity")) == PUBLIC


def test_a_new_table_without_a_fence_would_be_found(module_database: Database) -> None:
    with module_database.connect("owner", autocommit=True) as owner:
        owner.execute("create table billing_new (id bigint); create view billing_view as select 1 as one")
    try:
        found = tables(module_database, "not relrowsecurity")
    finally:
        with module_database.connect("owner", autocommit=True) as owner:
            owner.execute("drop table billing_new; drop view billing_view")
    assert {"billing_new", "billing_view"} == set(found) - PUBLIC


def test_without_a_scope_nothing_is_seen(module_database: Database, fenced: list[str]) -> None:
    assert {name: rows for name, rows in seen(module_database, NOBODY, fenced).items() if rows} == {}


def test_a_consumer_sees_own_rows_of_these_tables_and_no_others(
    module_database: Database, scene: Town, fenced: list[str]
) -> None:
    rows = seen(module_database, scene.seen_by("Asha"), fenced)
    assert {name for name, found in rows.items() if found} == OWN
    one_each = {name: len(found) for name, found in rows.items() if found}
    # the bill and the payment: two postings and two entries
    assert one_each == {name: 2 if name in ("ledger_posting", "ledger_entry") else 1 for name in OWN}


def test_asha_sees_her_connection_bill_and_message_and_not_binas(module_database: Database, scene: Town) -> None:
    with module_database.as_role("app"), scoped(scene.seen_by("Asha")), transaction.atomic():
        assert [row.id for row in Connection.objects.all()] == [scene.connections["Asha"]]
        assert [row.connection_id for row in Bill.objects.all()] == [scene.connections["Asha"]]
        assert [row.mobile for row in Message.objects.all()] == ["9876543210"]
        assert not Bill.objects.filter(connection_id=scene.connections["Bina"]).exists()


def test_whom_a_part_of_a_run_worked_on_is_not_for_the_web(module_database: Database) -> None:
    with module_database.connect("app") as web, pytest.raises(psycopg.errors.InsufficientPrivilege):
        web.execute("select subjects from jobs_part")


def test_one_roof_is_not_one_account(module_database: Database, scene: Town, fenced: list[str]) -> None:
    asha, bina = (seen(module_database, scene.seen_by(name), fenced) for name in ("Asha", "Bina"))
    assert disjoint(asha, bina) == SHARED


def test_charan_sees_nothing_of_the_other_company_nor_it_of_him(
    module_database: Database, scene: Town, fenced: list[str]
) -> None:
    charan = seen(module_database, scene.seen_by("Charan"), fenced)
    kesco = seen(module_database, office_scope(KESCO), fenced)
    assert {name for name, found in charan.items() if found} == OWN
    assert disjoint(charan, kesco) == set()
    for name in ("Asha", "Bina", "Deepa"):
        assert disjoint(charan, seen(module_database, scene.seen_by(name), fenced)) == set()


def test_companies_see_nothing_of_each_other(module_database: Database, fenced: list[str]) -> None:
    kesco, pvvnl = (seen(module_database, office_scope(code), fenced) for code in (KESCO, PVVNL))
    assert disjoint(kesco, pvvnl) == set()
    assert (
        {name for name, found in kesco.items() if found}
        == {name for name, found in pvvnl.items() if found}
        == OF_OFFICES
    )


def test_an_office_sees_itself_and_all_below_it(module_database: Database, scene: Town, fenced: list[str]) -> None:
    scopes = {
        "Gumti": office_scope(KESCO, GUMTI),
        "Naubasta": office_scope(KESCO, NAUBASTA),
        "Circle I": office_scope(KESCO, "Circle I", kind="circle"),
        "KESCO": office_scope(KESCO),
        "Meerut": office_scope(PVVNL, MEERUT),
    }
    rows = {name: seen(module_database, scope, fenced) for name, scope in scopes.items()}
    connections = {name: len(found["consumers_connection"]) for name, found in rows.items()}
    assert connections == {"Gumti": 2, "Naubasta": 1, "Circle I": 3, "KESCO": 4, "Meerut": 1}
    assert within(seen(module_database, scene.seen_by("Asha"), fenced), rows["Gumti"])
    assert within(rows["Gumti"], rows["Circle I"])
    assert within(rows["Circle I"], rows["KESCO"])
    assert within(rows["Naubasta"], rows["KESCO"])
    assert disjoint(rows["Gumti"], rows["Naubasta"]) == disjoint(rows["Circle I"], rows["Naubasta"]) == set()


def test_a_clerk_who_is_also_a_consumer_sees_both_and_no_more(
    module_database: Database, scene: Town, fenced: list[str]
) -> None:
    office = office_scope(KESCO, GUMTI)
    both = Scope(scene.consumers["Deepa"], office.office_from, office.office_to)
    found = seen(module_database, both, fenced)
    parts = [seen(module_database, scope, fenced) for scope in (office, scene.seen_by("Deepa"))]
    assert found == {name: parts[0][name] | parts[1][name] for name in found}


def test_whom_a_holder_lets_see_a_connection_sees_it_and_neither_person_nor_messages(
    module_database: Database, scene: Town, fenced: list[str]
) -> None:
    let_in = seen(module_database, Scope(None, None, None, scene.connections["Asha"]), fenced)
    own = seen(module_database, scene.seen_by("Asha"), fenced)
    assert {name for name, found in let_in.items() if found} == OWN - {"consumers_consumer", "notices_message"}
    assert within(let_in, own)
    assert {name for name in own if own[name] != let_in[name]} == {"consumers_consumer", "notices_message"}
    assert disjoint(let_in, seen(module_database, scene.seen_by("Bina"), fenced)) == SHARED


def test_who_was_let_in_has_no_other_scope_beside_it(scene: Town) -> None:
    office = office_scope(KESCO, GUMTI)
    for consumer, first, last in ((scene.consumers["Asha"], None, None), (None, office.office_from, office.office_to)):
        with pytest.raises(ValueError, match="sees that alone"):
            Scope(consumer, first, last, scene.connections["Bina"])


def test_a_number_that_belongs_to_nobody_sees_nothing(module_database: Database, fenced: list[str]) -> None:
    for scope in (
        Scope(0, None, None),
        Scope(-1, None, None),
        Scope(None, 0, 0),
        Scope(None, 999_999_999, 0),
        Scope(None, None, None, 0),
    ):
        assert not any(seen(module_database, scope, fenced).values())


def test_the_runs_see_everything(module_database: Database, scene: Town) -> None:
    assert Connection.objects.count() == len(scene.connections)
