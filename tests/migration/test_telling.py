"""Telling: whom a message goes to, who counts as told, and what of the numbers anybody may see."""

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.audit.models import Record
from khata.consumers.arrivals import set_window
from khata.consumers.models import Connection
from khata.discoms.models import Discom, Office
from khata.discoms.scope import NOBODY, scoped
from khata.migration.models import Account, SeenNumber, Told, Wave
from khata.migration.telling import (
    TellingError,
    count_listed,
    list_policy,
    listed_numbers,
    not_told,
    note_seen,
    note_told,
    progress,
    public_list,
    public_lists,
    queue_told,
    queue_withdrawn,
    set_list_policy,
    staff_list,
)
from khata.notices.models import Delivery, Message
from tests.cast import ARRIVED, GUMTI, JAJMAU, KESCO, Town, day, office_scope, posted_in
from tests.database import Database
from tests.migration.moved import AFTER, GUMTI_NUMBERS, LAST_DAY, MOVED, act, as_after_the_cut_over, moved_town

NOW = dt.datetime(2024, 3, 14, 4, 30, tzinfo=dt.UTC)


@dataclass
class Scene:
    database: Database
    town: Town
    wave: Wave

    @property
    def gumti(self) -> int:
        return Office.objects.get(name_en=GUMTI).id

    def send(self, name: str, template: str = "new-number", *, outcome: str = "sent", attempt: int = 1) -> None:
        """The newest message of this kind to somebody was handed over, or not."""
        message = Message.objects.filter(subject=self.town.connections[name], template=template).latest("id")
        Delivery.objects.create(message=message, attempt=attempt, at=ARRIVED, backend="test", outcome=outcome)

    def messages(self, template: str) -> dict[str, Message]:
        names = {identity: name for name, identity in self.town.connections.items()}
        return {names[each.subject]: each for each in Message.objects.filter(template=template).order_by("id")}

    def ways(self) -> dict[str, tuple[int, int, int, int, int]]:
        return {
            each.name_en: (each.accounts, each.by_sms, each.by_door, each.by_use, each.not_yet)
            for each in progress(self.wave)
        }

    def left(self) -> list[str]:
        return [each.name for each in not_told(wave=self.wave)]

    def policy(self, publish: str, first: dt.date = MOVED) -> None:
        company = Discom.objects.get(code=KESCO)
        set_list_policy(discom=company, from_date=first, publish=publish, source="Order 7", actor="test")

    def window(self, last_day: dt.date | None) -> None:
        company = Discom.objects.get(code=KESCO)
        set_window(discom=company.id, wave="w1", last_day=last_day, source="Order 8", now=ARRIVED)


@pytest.fixture(scope="module")
def made(module_database: Database) -> Scene:
    return Scene(module_database, *moved_town())


@pytest.fixture
def scene(made: Scene) -> Iterator[Scene]:
    yield made
    as_after_the_cut_over(made.database)


# -- messages ----------------------------------------------------------------------------------------------------------


def test_each_usable_mobile_gets_one_message_with_both_numbers(scene: Scene) -> None:
    assert queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW) == 3
    told = scene.messages("new-number")
    assert set(told) == {"Asha", "Bina", "Ekta"}  # Silent has none, Shared's is on too many accounts
    bina = told["Bina"]
    assert (bina.mobile, bina.language) == ("9876543211", "en")
    assert bina.values == ["0123456", scene.town.accounts["Bina"], "2024-09-13"]
    assert bina.cause == f"migration:wave:{scene.wave.id}"


def test_held_accounts_and_those_that_keep_their_number_get_none(scene: Scene) -> None:
    Account.objects.filter(name="Asha").update(outcome="held")
    Connection.objects.filter(id=scene.town.connections["Bina"]).update(live=False)
    assert queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW) == 1
    kept = Wave.objects.create(discom=scene.wave.discom, code="w2", numbers="kept")
    assert queue_told(wave=kept, last_day=LAST_DAY, now=NOW) == 0


def test_a_roll_back_tells_those_that_had_been_told_and_nobody_twice(scene: Scene) -> None:
    assert queue_withdrawn(wave=scene.wave, now=NOW) == 0
    queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW)
    scene.send("Asha")
    scene.send("Ekta", outcome="refused")
    assert queue_withdrawn(wave=scene.wave, now=NOW) == 1
    assert scene.messages("number-withdrawn")["Asha"].values == ["1234567"]
    assert queue_withdrawn(wave=scene.wave, now=NOW) == 0
    assert called_back() == [("Bina", "new-number")], "who was not told yet hears of neither"


def test_what_waits_of_a_roll_back_is_not_sent_when_the_wave_is_live_again(scene: Scene) -> None:
    queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW)
    scene.send("Asha")
    queue_withdrawn(wave=scene.wave, now=NOW)
    assert queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW) == 3
    assert ("Asha", "number-withdrawn") in called_back()
    waiting = Message.objects.exclude(delivery__outcome__in=["sent", "refused"])
    assert set(waiting.values_list("template", flat=True)) == {"new-number"}


def called_back() -> list[tuple[str, str]]:
    """Name and template of the messages that will not be sent."""
    names = dict(Connection.objects.values_list("id", "consumer__name"))
    refused = Delivery.objects.filter(outcome="refused", backend="none").order_by("message_id")
    return [(names[one], template) for one, template in refused.values_list("message__subject", "message__template")]


# -- who has been told -------------------------------------------------------------------------------------------------


def test_nobody_is_told_before_a_phone_was_handed_the_message(scene: Scene) -> None:
    queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW)
    assert scene.ways() == {GUMTI: (4, 0, 0, 0, 4), JAJMAU: (1, 0, 0, 0, 1)}
    scene.send("Asha", outcome="failed")
    scene.send("Bina", outcome="refused")
    assert scene.ways()[GUMTI] == (4, 0, 0, 0, 4)
    scene.send("Asha", attempt=2)
    assert scene.ways()[GUMTI] == (4, 1, 0, 0, 3)
    assert "Asha" not in scene.left()


def test_the_surest_proof_counts_and_each_account_once(scene: Scene) -> None:
    queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW)
    for name in ("Asha", "Bina", "Ekta"):
        scene.send(name)
    staff, _ = posted_in()
    connections = [scene.town.connections[name] for name in ("Bina", "Silent")]
    assert note_told(connections=connections, told_on=MOVED, staff=staff.id, reader="Mohan") == 2
    assert scene.ways()[GUMTI] == (4, 1, 2, 0, 1)
    SeenNumber.objects.create(connection_id=scene.town.connections["Bina"], at=ARRIVED)
    assert scene.ways()[GUMTI] == (4, 1, 1, 1, 1)
    assert scene.left() == ["Shared"]


def pay(scene: Scene, name: str, matched: str) -> None:
    """A receipt as it stands in the table; how it gets there is the business of payments."""
    scene_columns = (scene.town.connections[name], scene.gumti, matched)
    with scene.database.connect("admin", autocommit=True) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(
            "insert into payments_receipt (connection_id, office_id, matched, channel, reference, typed, amount_paise, "
            "received_on, entry_id) values (%s, %s, %s, 'bank', %s, '', 100, '2024-04-01', 1)",
            (*scene_columns, matched),
        )


def test_a_payment_under_the_new_number_proves_that_it_is_known_one_under_the_old_does_not(scene: Scene) -> None:
    pay(scene, "Asha", "1234567")
    assert scene.ways()[GUMTI] == (4, 0, 0, 0, 4)
    pay(scene, "Asha", scene.town.accounts["Asha"])
    assert scene.ways()[GUMTI] == (4, 0, 0, 1, 3)


def test_after_a_roll_back_and_a_second_cut_over_all_are_told_anew(scene: Scene) -> None:
    queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW)
    scene.send("Asha")
    queue_withdrawn(wave=scene.wave, now=NOW)
    assert scene.ways()[GUMTI] == (4, 0, 0, 0, 4)
    assert queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW) == 3
    assert scene.ways()[GUMTI] == (4, 0, 0, 0, 4)
    scene.send("Asha")
    assert scene.ways()[GUMTI] == (4, 1, 0, 0, 3)


def test_what_is_left_stands_in_the_order_of_a_round_and_can_be_narrowed(scene: Scene) -> None:
    assert scene.left() == ["Shared", "Bina", "Silent", "Asha", "Ekta"]  # feeder, book, address
    names = [each.name for each in not_told(wave=scene.wave, division=scene.gumti, feeder="F1", book="B1")]
    assert names == ["Shared", "Bina", "Silent"]
    assert not_told(wave=scene.wave, book="B7") == []


def test_told_at_the_door_is_noted_once_and_written_down(scene: Scene) -> None:
    staff, _ = posted_in()
    connections = [scene.town.connections["Asha"]] * 2
    for made in (1, 0):
        assert note_told(connections=connections, told_on=MOVED, staff=staff.id, reader="Mohan") == made
    told = Told.objects.get()
    assert (told.staff_id, told.reader, told.told_on) == (staff.id, "Mohan", MOVED)
    assert Record.objects.filter(action="migration.told", actor=f"staff:{staff.id}").count() == 2


def sign_in(scene: Scene, mobile: str, *, used: bool) -> uuid.UUID:
    identity = uuid.uuid4()
    with scene.database.connect("owner", autocommit=True) as owner:
        owner.execute(
            "insert into consumers_signin (id, mobile_key, nonce, digits, asked_at, tries, used, queued) "
            "values (%s, %s, 'x', 6, now(), 0, %s, true)",
            (identity, mobile, used),
        )
    return identity


def test_a_proven_sign_in_marks_the_numbers_under_its_mobile_and_no_other(scene: Scene) -> None:
    mine, unproven = sign_in(scene, "9876543210", used=True), sign_in(scene, "9876543211", used=False)
    with scene.database.as_role("app"), scoped(NOBODY), transaction.atomic():
        for asked in (mine, mine, unproven, uuid.uuid4(), sign_in(scene, "", used=True)):
            note_seen(sign_in=asked, at=ARRIVED)
    assert [each.connection_id for each in SeenNumber.objects.all()] == [scene.town.connections["Asha"]]
    assert scene.ways()[GUMTI] == (4, 0, 0, 1, 3)


def test_an_officer_sees_the_progress_of_the_own_division(scene: Scene) -> None:
    queue_told(wave=scene.wave, last_day=LAST_DAY, now=NOW)
    scene.send("Asha")
    with scene.database.as_role("app"), scoped(office_scope(KESCO, GUMTI)), transaction.atomic():
        assert scene.ways() == {GUMTI: (4, 1, 0, 0, 3)}
        assert "Ekta" not in scene.left()
    with scene.database.as_role("app"), scoped(NOBODY), transaction.atomic():
        assert scene.ways() == {}


# -- public lists ------------------------------------------------------------------------------------------------------


def listed(scene: Scene, today: dt.date = MOVED) -> list[tuple[str, str]]:
    """As the web sees it, whoever asks."""
    with scene.database.as_role("app"), scoped(NOBODY), transaction.atomic():
        return listed_numbers(division=scene.gumti, today=today)


def test_a_list_has_old_and_new_numbers_by_the_old_one_and_nothing_else(scene: Scene) -> None:
    rows = listed(scene)
    assert [old for old, _ in rows] == GUMTI_NUMBERS
    assert rows[0] == ("0123456", scene.town.accounts["Bina"])
    with scene.database.as_role("app"), scoped(NOBODY), transaction.atomic():
        found = public_lists(today=MOVED)
        assert [each.division.name_en for each in found] == [GUMTI, JAJMAU]
        assert {(each.last_day, each.since, each.masked) for each in found} == {(LAST_DAY, MOVED, False)}
        assert count_listed(division=scene.gumti, today=MOVED) == 4
        assert count_listed(division=scene.gumti, today=MOVED, before="1234568") == 2
        assert listed_numbers(division=scene.gumti, today=MOVED, skip=1, many=2) == rows[1:3]


def test_the_list_vanishes_with_the_window_its_last_day_included(scene: Scene) -> None:
    assert len(listed(scene, LAST_DAY)) == 4
    assert listed(scene, AFTER) == []
    assert public_list(division=scene.gumti, today=AFTER) is None
    scene.window(AFTER)
    assert len(listed(scene, AFTER)) == 4
    scene.window(None)
    assert listed(scene) == []


def test_a_wave_that_was_rolled_back_has_no_list(scene: Scene) -> None:
    act(scene.wave, "rollback")
    assert listed(scene) == []
    act(scene.wave, "cutover")
    assert len(listed(scene)) == 4
    Connection.objects.filter(id=scene.town.connections["Bina"]).update(live=False)
    assert [old for old, _ in listed(scene)] == GUMTI_NUMBERS[1:]


def test_a_masked_list_hides_the_middle_and_every_new_number(scene: Scene) -> None:
    scene.policy("masked")
    assert listed(scene) == [("01***56", ""), ("12***67", ""), ("12***68", ""), ("12***69", "")]
    # nor can a number be felt for by where it would stand
    assert {count_listed(division=scene.gumti, today=MOVED, before=text) for text in ("0", "1234568", "9")} == {0}
    assert public_list(division=scene.gumti, today=MOVED).masked  # type: ignore[union-attr]


def test_the_newest_policy_in_effect_counts_and_none_is_said_twice_for_a_day(scene: Scene) -> None:
    company = Discom.objects.get(code=KESCO)
    assert list_policy(discom=company, today=MOVED) == "numbers"
    scene.policy("off", day("2024-04-01"))
    scene.policy("numbers", day("2024-05-01"))
    assert [len(listed(scene, day(text))) for text in ("2024-03-31", "2024-04-01", "2024-05-01")] == [4, 0, 4]
    with pytest.raises(TellingError):
        scene.policy("masked", day("2024-05-01"))
    for publish, source in (("all", "Order 7"), ("off", " ")):
        with pytest.raises(TellingError):
            set_list_policy(discom=company, from_date=MOVED, publish=publish, source=source, actor="test")
    assert Record.objects.filter(action="migration.set-list-policy").count() == 2


def test_no_stranger_reads_the_accounts_themselves(scene: Scene) -> None:
    with scene.database.as_role("app"), scoped(NOBODY), transaction.atomic(), connection.cursor() as cursor:
        for table in ("migration_account", "migration_told", "migration_seennumber"):
            cursor.execute(f"select count(*) from {table}")
            assert cursor.fetchone() == (0,)


@settings(max_examples=30)
@given(st.integers(1, 6), st.text("0123456789", min_size=1, max_size=8))
def test_pages_make_the_list_and_a_number_stands_on_the_page_it_leads_to(made: Scene, size: int, typed: str) -> None:
    whole = listed_numbers(division=made.gumti, today=MOVED)
    pages = [
        listed_numbers(division=made.gumti, today=MOVED, skip=first, many=size) for first in range(0, len(whole), size)
    ]
    assert [row for page in pages for row in page] == whole == sorted(whole)
    before = count_listed(division=made.gumti, today=MOVED, before=typed)
    assert [old < typed for old, _ in whole] == [True] * before + [False] * (len(whole) - before)


# -- the office's own list ---------------------------------------------------------------------------------------------


def test_the_list_with_names_is_written_down_with_its_reason(scene: Scene) -> None:
    rows = staff_list(wave=scene.wave, division=scene.gumti, actor="staff:1", reason="door round of April")
    assert [(row.old_number, row.name) for row in rows][:2] == [("0123456", "Bina"), ("1234567", "Asha")]
    told = Record.objects.get(action="migration.list-with-names")
    assert (told.actor, told.reason) == ("staff:1", "door round of April")
    assert told.details == {"division": scene.gumti, "accounts": 4}
    with pytest.raises(TellingError):
        staff_list(wave=scene.wave, division=scene.gumti, actor="staff:1", reason=" ")
