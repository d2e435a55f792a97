"""An officer puts a meter day right: edits it, or substitutes another meter's day for it.

What the officer says goes through the intake like any delivery, with the same checks, and counts over all that was
known; it becomes a revision with a delivery, an `Edit` and an audit record of its own, all or nothing. The very values
that it replaced say nothing any more when they are sent again (`kernel.revisions.news`).
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from django.db import connection, transaction

from khata.audit.operations import record
from khata.consumers.models import Connection
from khata.discoms.models import Office, Staff
from khata.discoms.queries import posts_of
from khata.formats.meterdays import MeterDayBatch
from khata.metering.intake import receive, wait_for_turn
from khata.metering.models import (
    LONGEST_REASON,
    SHORTEST_REASON,
    Channel,
    Delivery,
    Edit,
    Finding,
    Meter,
    MeterDay,
    Origin,
    Quarantine,
)
from khata.metering.rules import read_rules

SENDER = "desk"
FORMS = {"edit": Origin.EDITED, "substitute": Origin.SUBSTITUTED}
UNKNOWN = -1
_HALF_HOURS = 48


class EditError(Exception):
    """An edit that cannot be made: what, at which argument (or empty), and the next step."""

    def __init__(self, what: str, where: str, next_step: str) -> None:
        super().__init__(what)
        self.what, self.where, self.next_step = what.rstrip("."), where, next_step.rstrip(".")


@dataclass(frozen=True)
class Place:
    """A meter's day of one channel, and the connection where the meter hung then, if it did."""

    meter: Meter
    day: dt.date
    channel: int
    connection: Connection | None


@dataclass(frozen=True)
class Changed:
    """What counted before (None: nothing was stored) and counts now; the rules that noted something of it.

    `delivery` is None where nothing was stored: it stands so already (`after` is `before`), or it was a dry run.
    """

    before: MeterDay | None
    after: MeterDay | None
    noted: list[str]
    delivery: int | None

    @property
    def demand_too_high(self) -> bool:
        """The demand stays, and no half-hour of the day as it is now can have drawn it; without half-hours, not even
        its total in one."""
        before, after = self.before, self.after
        if before is None or after is None or after.demand_w is None or after.demand_w != before.demand_w:
            return False
        known = [wh for wh in after.blocks_wh or [after.total_wh] if wh is not None]
        return bool(known) and after.demand_w > 2 * max(known)


_HUNG = """
    select i.connection_id from metering_installation i join consumers_connection c on c.id = i.connection_id
    where i.meter_id = %(meter)s and i.from_date <= %(day)s and not exists (
        select from metering_installation l where l.connection_id = i.connection_id and l.from_date <= %(day)s
        and (l.from_date, l.revision) > (i.from_date, i.revision))
    order by c.live desc, i.connection_id limit 1"""


def place_of(*, serial: str, day: dt.date, channel: int) -> Place:
    """Raises EditError (VAL-01) where no meter has the number."""
    meter = Meter.objects.filter(serial=serial).first()
    if meter is None:
        raise _rule_broken("VAL-01", "METER")
    with connection.cursor() as cursor:
        cursor.execute(_HUNG, {"meter": meter.pk, "day": day})
        row = cursor.fetchone()
    hung = Connection.objects.get(id=row[0]) if row else None
    return Place(meter, day, channel, hung)


def officer_over(*, login: str, place: Place, today: dt.date, where: str) -> Staff:
    """The person with this login, who must be an officer today over the division where the meter hung that day.

    Of a meter that hung nowhere: over its company. `where`: the argument that the error is told of.
    """
    person = Staff.objects.filter(login=login, active=True).first()
    if person is None:
        raise EditError(f"nobody has the login {login!r}", where, "See khata staff add")
    if place.connection:
        office = Office.objects.get(id=place.connection.division_id)
    else:
        office = Office.objects.get(discom_id=place.meter.discom_id, kind=Office.Kind.COMPANY)
    posts = posts_of(staff=person.pk, today=today)
    if not any(post.role == "officer" and post.office_from <= office.id <= post.office_to for post in posts):
        wrong = f"{login} is no officer over {office.name_en} today"
        raise EditError(wrong, where, "Choose an officer there, or see khata staff post")
    return person


def day_of_meter(*, serial: str, of: Place) -> MeterDayBatch:
    """The same day of another meter, to stand in for this one's: its half-hours where it has them, total and demand.

    Raises EditError unless all of it was measured, by a meter of the same company.
    """
    other = Meter.objects.filter(serial=serial).first()
    if other is None:
        raise _rule_broken("VAL-01", "--from-meter")
    if other == of.meter or other.discom_id != of.meter.discom_id:
        wrong = "this is the same meter" if other == of.meter else "this meter belongs to another company"
        raise EditError(wrong, "--from-meter", "Name a check meter of the company")
    found = _newest(other.pk, of.day, of.channel)
    measured = found is not None and found.total_wh is not None and found.origin == Origin.ACTUAL and not found.origins
    if found is None or not measured:
        wrong = f"the day {of.day} of this meter is not wholly measured"
        raise EditError(wrong, "--from-meter", "Load its day first, or name another meter")
    blocks = None
    if found.blocks_wh is not None:
        cells = [UNKNOWN if wh is None else wh for wh in found.blocks_wh]
        blocks = np.array(cells, np.int32).reshape(1, _HALF_HOURS)
    return MeterDayBatch(
        lines=np.ones(1, np.int64),
        serials=np.array([of.meter.serial.encode()]),
        days=np.array([of.day], "M8[D]"),
        blocks=blocks,
        known=None if blocks is None else blocks >= 0,
        total_wh=np.array([found.total_wh], np.int64),
        total_known=np.ones(1, np.bool_),
        demand_w=np.array([UNKNOWN if found.demand_w is None else found.demand_w], np.int64),
        off=np.array([UNKNOWN if found.off is None else found.off], np.int64),
    )


@transaction.atomic
def put_right(
    *,
    form: str,
    place: Place,
    batches: Sequence[MeterDayBatch],
    by: Staff,
    checker: Staff | None,
    billed: Callable[[], Sequence[str]],
    reason: str,
    today: dt.date,
    history: bool,
    dry_run: bool,
) -> Changed:
    """Store one row of values over what is known of a meter's day. `form`: edit or substitute; `billed` tells the
    numbers of the bills that rest on the day, for which a `checker` is needed who is not `by`, and is asked when
    nobody else stores days any more; `history`: a day of long ago.

    The same again changes nothing and stores nothing. A row that a check does not let pass raises EditError with the
    rule's number, and nothing is stored.
    """
    sentence = _sentence(reason)
    if checker == by:
        raise EditError("Whoever edits a day cannot also agree to it", "--agreed-by", "Ask a second officer")
    _only_of(place, batches)
    wait_for_turn()
    _agreed(billed(), checker, dry_run=dry_run)
    before = _newest(place.meter.pk, place.day, place.channel)
    delivery = receive(
        sender=SENDER,
        sha256=_print(form, place, batches, before),
        form=form,
        name="",
        size=0,
        batches=[_as_said(each, FORMS[form], place.channel) for each in batches],
        today=today,
        history=history,
        by_person=True,
    ).delivery
    if delivery.quarantined:
        raise _quarantined(delivery)
    if not delivery.accepted + delivery.superseding:
        transaction.set_rollback(True)
        return Changed(before, before, [], None)
    after = _newest(place.meter.pk, place.day, place.channel)
    if after is None or after.delivery != delivery.id:
        raise RuntimeError("an edit was stored and cannot be read again")
    noted = Finding.objects.filter(delivery=delivery, day=place.day, meter=place.meter).order_by("rule")
    changed = Changed(before, after, list(noted.values_list("rule", flat=True)), None if dry_run else delivery.id)
    if dry_run:
        transaction.set_rollback(True)
    else:
        _note(form, after, delivery, by, checker, sentence)
    return changed


def _agreed(billed: Sequence[str], checker: Staff | None, *, dry_run: bool) -> None:
    if billed and checker is None and not dry_run:
        raise EditError(
            f"the day is in bill {', '.join(billed)}, so a second officer must agree",
            "--agreed-by",
            "Show the change to one (--dry-run prints it), and give that officer's login",
        )


def _note(form: str, after: MeterDay, delivery: Delivery, by: Staff, checker: Staff | None, reason: str) -> None:
    Edit.objects.create(
        meter_id=after.meter_id,
        day=after.day,
        channel=after.channel,
        revision=after.revision,
        delivery=delivery,
        staff=by,
        checker=checker,
        reason=reason,
    )
    record(
        actor=f"staff:{by.pk}",
        action=f"metering.{form}-day",
        object=f"metering:meterday:{after.meter_id}/{after.day}/{after.channel}",
        reason=reason,
        details={
            "revision": after.revision,
            "delivery": delivery.id,
            "checker": checker and f"staff:{checker.pk}",
        },
    )


def _newest(meter: int, day: dt.date, channel: int) -> MeterDay | None:
    return MeterDay.objects.filter(meter_id=meter, day=day, channel=channel).order_by("-revision").first()


def _sentence(reason: str) -> str:
    tidy = " ".join(reason.split())
    if not SHORTEST_REASON <= len(tidy) <= LONGEST_REASON:
        wrong = f"the reason has {len(tidy)} characters"
        raise EditError(wrong, "--reason", f"Write a sentence of {SHORTEST_REASON} to {LONGEST_REASON}")
    return tidy


def _only_of(place: Place, batches: Sequence[MeterDayBatch]) -> None:
    """One row, and of the day that is meant."""
    many = sum(len(each) + len(each.refused) for each in batches)
    if many != 1:
        raise EditError(f"there are {many} rows, and an edit is one", "--from", "Give the row of this day alone")
    for each in batches:
        if not len(each):
            continue  # refused by its reader, and told so by the intake
        named = each.serials[0].decode(), each.days[0].item()
        if named != (place.meter.serial, place.day):
            wrong = "the row is of another meter or another day"
            raise EditError(wrong, "--from", f"Give the row of this meter and of {place.day}")
        if each.channel is not None and each.channel[0] != place.channel:
            wrong = f"the row is of the channel {Channel(int(each.channel[0])).name.lower()}"
            raise EditError(wrong, "--from", "Give the same channel with --channel")
        if each.total_wh[0] < 0 and (each.blocks is None or (each.blocks < 0).all()):
            raise EditError("the row says nothing of the day's energy", "--from", "Give a total or half-hours")


def _as_said(batch: MeterDayBatch, origin: Origin, channel: int) -> MeterDayBatch:
    count = len(batch)
    return replace(batch, origin=np.full(count, origin, np.int8), channel=np.full(count, channel, np.int8))


def _print(form: str, place: Place, batches: Sequence[MeterDayBatch], before: MeterDay | None) -> str:
    """Of what is said, and of what it is said about: said again of a day that has changed since, it is said anew."""
    sha = hashlib.sha256(f"{form} {place.meter.pk} {place.day} {place.channel} ".encode())
    sha.update(str(before.revision if before else None).encode())
    for each in batches:
        for column in (each.blocks, each.total_wh, each.register_wh, each.demand_w, each.off):
            sha.update(b"-" if column is None else column.tobytes())
    return sha.hexdigest()


def _quarantined(delivery: Delivery) -> EditError:
    found = Quarantine.objects.filter(delivery=delivery).order_by("id")[0]
    return _rule_broken(found.rule, "METER DATE", found.reason)


def _rule_broken(rule: str, where: str, reason: str = "") -> EditError:
    rules = read_rules()
    next_step = "Add --history, if the day is to be put right all the same" if rule == "VAL-04" else ""
    said = reason or rules.title(rule, "en")
    return EditError(f"{rule}: {said}", where, next_step or rules.next_step(rule, "en"))
