"""What a connection owes is one sum, wherever it is asked: over the heads of OWED, and a deposit is not among them."""

from django.db import transaction

from khata.consumers.queries import owed
from khata.discoms.models import Discom
from khata.ledger.operations import post_one
from khata.ledger.queries import first_offence, heads, owed_paise
from khata.ledger.rules import CONSUMERS, DEPOSIT, HEADS, LPSC, OPENING, OWED, PREPAID, OnHead
from tests.cast import ARRIVED, ASHA, BINA, KESCO, town
from tests.database import Database


def test_a_bill_and_a_counter_say_the_same_of_what_was_brought_over(database: Database) -> None:
    built = town([ASHA, BINA])
    company = Discom.objects.get(code=KESCO)
    asha, head = built.connections["Asha"], heads(company)
    brought = {CONSUMERS: 500_00, LPSC: 20_00, PREPAID: -100_00, DEPOSIT: -300_00}
    with transaction.atomic():
        post_one(
            kind="opening",
            cause="test:row:1",
            business_date=ARRIVED.date(),
            reason="",
            postings=[
                *(OnHead(head[code], asha, paise) for code, paise in brought.items()),
                OnHead(head[OPENING], 0, -sum(brought.values())),
            ],
        )
    built.run("2024-06")
    bill = built.bill("Asha")
    assert bill.arrears_paise == 420_00
    assert built.bill("Bina").arrears_paise == 0
    owes = 420_00 + bill.payable_paise
    assert owed_paise(discom=company.id, subject=asha) == owed(connection=asha) == built.balance("Asha") == owes
    assert all(HEADS[code][2] for code in (*OWED, DEPOSIT)) and not HEADS[OPENING][2]
    assert first_offence() is None
