"""A wave that has been cut over, as the telling finds it: connections with old numbers, their accounts, an act."""

import datetime as dt

from khata.consumers.models import Connection
from khata.discoms.models import Discom
from khata.migration.models import Account, Act, Wave
from tests.cast import GUMTI, JAJMAU, KESCO, Home, Town, town
from tests.database import Database

MOVED, LAST_DAY = dt.date(2024, 3, 14), dt.date(2024, 9, 13)
AFTER = LAST_DAY + dt.timedelta(days=1)

# By old number: 0123456, 1234567, 1234568, 1234569 in Gumti; 7654321 in Jajmau.
ASHA = Home("Asha", old_number="1234567")
BINA = Home("Bina", old_number="0123456", mobile="9876543211", language="en", address="14 Gumti No. 5")
SILENT = Home("Silent", old_number="1234569", mobile="", address="2 Gumti No. 5")
SHARED = Home("Shared", old_number="1234568", mobile="9876543219", address="1 Gumti No. 5")
EKTA = Home("Ekta", old_number="7654321", mobile="9876543214", division=JAJMAU, address="9 Jajmau Road")
HOMES = (ASHA, BINA, SILENT, SHARED, EKTA)
GUMTI_NUMBERS = ["0123456", "1234567", "1234568", "1234569"]


def moved_town(homes: tuple[Home, ...] = HOMES, *, wave: str = "w1") -> tuple[Town, Wave]:
    """The town's homes as accounts of one live wave. Shared's mobile is on too many accounts, so it is not used."""
    built = town(homes)
    made = Wave.objects.create(discom=Discom.objects.get(code=KESCO), code=wave)
    for home in homes:
        connection = Connection.objects.get(id=built.connections[home.name])
        mobile = "" if home.name == "Shared" else home.mobile
        Account.objects.create(
            wave=made,
            division=connection.division,
            old_number=home.old_number,
            outcome="migrated",
            account_number=connection.account_number,
            connection=connection,
            name=home.name,
            mobile=home.mobile,
            mobile_key=mobile,
            language=home.language,
            address=home.address,
            feeder="F2" if home.name == "Asha" else "F1",
            book="B1" if home.division == GUMTI else "B9",
        )
    act(made, "cutover")
    return built, made


def act(wave: Wave, kind: str) -> Act:
    number = Act.objects.filter(wave=wave, kind=kind).count() + 1
    return Act.objects.create(wave=wave, kind=kind, number=number, business_date=MOVED, actor="test")


# What tests of the telling add, past the triggers that would keep it.
_BACK = """
    set session_replication_role = replica;
    delete from notices_delivery; delete from notices_message; delete from migration_told;
    delete from migration_seennumber; delete from migration_listpolicy; delete from payments_receipt;
    delete from consumers_signin; delete from audit_record; delete from discoms_post; delete from discoms_staff;
    delete from migration_act where id > (select min(id) from migration_act);
    delete from migration_wave where id > (select min(id) from migration_wave);
    delete from consumers_numberwindow where id > (select min(id) from consumers_numberwindow);
    update consumers_connection set live = true where not live;
    update migration_account set outcome = 'migrated' where outcome <> 'migrated'"""


def as_after_the_cut_over(database: Database) -> None:
    """The moved town as it was made, for the next test: that is quicker than another town."""
    with database.connect("admin", autocommit=True) as admin:
        admin.execute(_BACK)


def grouped(number: str) -> str:
    return f"{number[:2]} {number[2:6]} {number[6:]}"
