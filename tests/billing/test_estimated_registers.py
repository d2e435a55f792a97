"""A bill that begins or ends at an estimated register says so, for ever: it was stored with the bill."""

import json

import pytest
from django.db import connection, transaction

from khata.billing.documents import bill_paper, bill_pdf
from khata.billing.queries import bill_view, digest
from khata.commands.main import main
from khata.display.bill_text import bill_text
from khata.formats.meterdays import ESTIMATED
from khata.metering.estimating import estimate
from khata.metering.models import MeterDay
from tests.billing.test_documents import COMPANY, text_of
from tests.cast import KESCO, Town, Usage, day, may, smart, town
from tests.database import Database
from tests.metering.made import Said, deliver

GONE = frozenset({"2024-05-31"})
JUNE = Usage("2024-06-01", (5_000,) * 30, opening=1_000_000 + 31 * 8_000)


@pytest.fixture(scope="module")
def built(module_database: Database) -> Town:
    """Asha's 31 May is estimated between two registers when May and June are billed, and comes afterwards. Bina's came
    in time. Of Chan's a half-hour is missing, and the day before; so of Devi's, whose 31st its sender
    estimated with a register."""
    two = may(8_000, missing=GONE | {"2024-05-30"})
    people = ("Asha", may(8_000, missing=GONE)), ("Bina", may(8_000)), ("Chan", two), ("Devi", two)
    made = town([smart(name, usage, JUNE) for name, usage in people])
    deliver(Said("S-Chan", "2024-05-31", [160] * 47 + [None], register=1_248_000), today=day("2024-06-05"))
    deliver(Said("S-Devi", "2024-05-31", total=8_000, register=1_248_000, origin=ESTIMATED), today=day("2024-06-05"))
    assert estimate(discom=None, until=day("2024-06-10"), today=day("2024-06-10")).counts["EST-01"] == 4
    made.run("2024-06")
    made.run("2024-07")
    deliver(Said("S-Asha", "2024-05-31", total=8_000, register=1_248_000), today=day("2024-07-10"))
    return made


def ends(built: Town, name: str, cycle: str) -> tuple[bool, bool]:
    (reading,) = bill_view(built.bill(name, cycle), "hi", mask_name=False).readings
    return reading.previous_estimated, reading.present_estimated


def test_the_bill_that_ends_there_and_the_one_that_begins_there_say_so(built: Town) -> None:
    assert MeterDay.objects.filter(day="2024-05-31", meter__serial="S-Asha").last().origin == 1  # type: ignore[union-attr]
    assert (ends(built, "Asha", "2024-06"), ends(built, "Asha", "2024-07")) == ((False, True), (True, False))
    assert (ends(built, "Bina", "2024-06"), ends(built, "Bina", "2024-07")) == ((False, False), (False, False))
    (part,) = built.parts("Asha")
    assert (part.opening_estimated, part.closing_estimated) == (None, [built.meters["S-Asha"]])
    assert built.lines("Asha") == built.lines("Bina"), "and costs the same"


def test_a_register_that_came_is_not_an_estimate_whatever_became_of_its_day(built: Town) -> None:
    newest = MeterDay.objects.filter(day="2024-05-31", meter__serial="S-Chan").latest("revision")
    assert (newest.rule, newest.register_wh) == ("EST-01", 1_248_000)
    assert (ends(built, "Chan", "2024-06"), ends(built, "Chan", "2024-07")) == ((False, False), (False, False))
    assert (ends(built, "Devi", "2024-06"), ends(built, "Devi", "2024-07")) == ((False, True), (True, False))


def test_the_digest_knows_an_estimated_register(built: Town, module_database: Database) -> None:
    cycle, bill = day("2024-06-01"), built.bill("Bina").id
    with module_database.as_role("owner"), transaction.atomic(), connection.cursor() as cursor:
        seen = {digest(discom=KESCO, cycle=cycle)}
        cursor.execute("alter table billing_billpart disable trigger user")
        for column in ("closing", "opening"):
            cursor.execute(f"update billing_billpart set {column}_estimated = meters where bill_id = %s", [bill])
            seen.add(digest(discom=KESCO, cycle=cycle))
            cursor.execute(f"update billing_billpart set {column}_estimated = null where bill_id = %s", [bill])
        assert len(seen) == 3, "neither flag can come or go unseen"
        transaction.set_rollback(True)


def test_every_print_of_it_says_so_with_one_sentence(built: Town, capsys: pytest.CaptureFixture[str]) -> None:
    why = "मीटर की असली रीडिंग नहीं आई थी"
    for name, said in (("Asha", True), ("Bina", False)):
        bill = built.bill(name)
        view = bill_view(bill, "hi", mask_name=False)
        plain, printed = bill_text(view, "hi"), text_of(bill_pdf(bill_paper(bill, language="hi", company=COMPANY)))
        for text in (plain, "".join(printed.split())):
            blanks = " " if text is plain else ""
            assert (why.replace(" ", blanks) in text) is said
            assert ("अनुमानित" in text) is said
        assert ("असली रीडिंग (स्मार्ट" in printed) is not said, "the basis does not call it actual"
    english = bill_text(bill_view(built.bill("Asha"), "en", mask_name=False), "en")
    assert "1,248 (1 June 2024, estimated)" in english and "Estimated: no real reading of that day had come" in english
    assert main(["bill", "show", built.accounts["Asha"], "--cycle", "2024-06", "--json"]) == 0
    (reading,) = json.loads(capsys.readouterr().out)["readings"]
    assert (reading["previous_estimated"], reading["present_estimated"]) == (False, True)
