"""A town with counters in two companies, and cashiers who work at them as the web does: as role app, with a scope."""

import datetime as dt
import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

from khata.discoms.models import Discom, Office
from khata.discoms.scope import Scope, scoped
from khata.ledger.models import Balance, Entry
from khata.ledger.rules import CONSUMERS
from khata.payments.models import Counter, Receipt
from khata.payments.operations import Taken, add_counter, open_shift, set_counter_policy, take_cash
from tests.cast import ASHA, BINA, CHARAN, GUMTI, KESCO, PVVNL, Agreed, Town, office_scope, post_staff, town
from tests.database import Database

TODAY = dt.date(2024, 6, 20)
NOON = dt.datetime(2024, 6, 20, 6, 30, tzinfo=dt.UTC)  # twelve in Kanpur
MOST = 1_99_999_00
ENDED = ASHA.with_(
    name="Ended", terms=(Agreed("2023-04-01"), Agreed("2024-06-01", ended=True)), meters=(), old_number="7654321"
)
SILENT = BINA.with_(name="Silent", meters=(), mobile="", old_number="")
DEEPA = CHARAN.with_(
    name="Deepa Devi", meters=(), mobile="9876543299", old_number="1234567"
)  # the number of Asha's too


@dataclass(frozen=True)
class Desk:
    """A cashier with an open shift at a counter of their own."""

    counter: int
    code: str
    staff: int
    shift: int
    scope: Scope


class Bazaar:
    """The town, and new counters in it whenever a test wants one of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.town: Town = town((ASHA, BINA, CHARAN, ENDED, SILENT, DEEPA))
        for code in (KESCO, PVVNL):
            self.town.run("2024-06", discom=code)
            set_counter_policy(
                discom=Discom.objects.get(code=code), from_date=dt.date(2024, 4, 1), most_paise=MOST, source="test"
            )
        self._numbers = itertools.count(1)

    def counter(self, division: str = GUMTI, discom: str = KESCO) -> Counter:
        office = Office.objects.get(discom__code=discom, kind="division", name_en=division)
        code = f"{discom[0]}{next(self._numbers):02d}"
        return add_counter(office=office, code=code, name_hi="काउंटर", name_en="Counter")

    def cashier(self, discom: str = KESCO) -> int:
        office = Office.objects.get(discom__code=discom, kind="company")
        login = f"cashier{next(self._numbers)}"
        return post_staff(login, "Kiran", "cashier", office).id

    def desk(
        self,
        division: str = GUMTI,
        discom: str = KESCO,
        *,
        today: dt.date = TODAY,
        opening_paise: int = 500_00,
        opened: dt.datetime | None = None,
    ) -> Desk:
        counter, staff, scope = self.counter(division, discom), self.cashier(discom), office_scope(discom)
        with self.web(scope):
            shift = open_shift(
                counter=counter.id, staff=staff, opening_paise=opening_paise, now=opened or at(today, 3), today=today
            )
        return Desk(counter.id, counter.code, staff, shift.id, scope)

    @contextmanager
    def web(self, scope: Scope) -> Iterator[None]:
        with self.database.as_role("app"), scoped(scope):
            yield

    def pays(self, desk: Desk, name: str = "Asha", paise: int = 100_00, **changes: object) -> Callable[[], Taken]:
        """The payment, to be made once or again; its reference is drawn now."""
        account = self.town.accounts[name]
        payment: dict[str, object] = {
            "shift": desk.shift,
            "staff": desk.staff,
            "reference": str(uuid.uuid4()),
            "typed": account,
            "connection": self.town.connections[name],
            "matched": account,
            "amount_paise": paise,
            "now": NOON,
            "today": TODAY,
        }
        payment |= changes
        return lambda: take_cash(**payment)  # type: ignore[arg-type]

    def take(self, desk: Desk, name: str = "Asha", paise: int = 100_00, **changes: object) -> Taken:
        with self.web(desk.scope):
            return self.pays(desk, name, paise, **changes)()

    def written(self) -> dict[str, int]:
        """How much of everything there is that a payment writes, and all that is owed."""
        with self.database.connect("run") as run:
            queries = {
                "receipts": "select count(*) from payments_receipt",
                "entries": "select count(*) from ledger_entry",
                "postings": "select count(*) from ledger_posting",
                "messages": "select count(*) from notices_message",
                "records": "select count(*) from audit_record",
                "owed": "select coalesce(sum(amount_paise), 0)::bigint from ledger_balance",
                "cash": "select coalesce(sum(p.amount_paise), 0)::bigint from ledger_posting p "
                "join ledger_head h on h.id = p.head_id where h.code = 'cash'",
            }
            return {word: run.execute(query).fetchall()[0][0] for word, query in queries.items()}


def at(day: dt.date, hour: int) -> dt.datetime:
    """So many hours after midnight in universal time."""
    return dt.datetime.combine(day, dt.time(hour), dt.UTC)


def whole(desk: Desk) -> list[int | None]:
    """Serials of a counter's receipts, as they stand."""
    return list(Receipt.objects.filter(counter_id=desk.counter).order_by("serial").values_list("serial", flat=True))


def entries_of(receipt: Receipt) -> int:
    return Entry.objects.filter(cause=f"payments:receipt:{receipt.id}").count()


def balance(connection_id: int) -> int:
    found = Balance.objects.filter(subject=connection_id, head__code=CONSUMERS).first()
    return found.amount_paise if found else 0


def role() -> str:
    with connection.cursor() as cursor:
        cursor.execute("select current_user")
        return str(cursor.fetchall()[0][0])
