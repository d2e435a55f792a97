"""Makes the companies, their offices and their staff; counts tries; lets staff in."""

import datetime as dt
import functools
from pathlib import Path

import yaml
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection, transaction

from khata.audit.operations import record
from khata.discoms.models import Discom, Limit, Office, Post, SecondFactor, Staff
from khata.discoms.queries import COMPANIES, posts_of
from khata.discoms.rules import ROLES, stretch

_COMPANY_RANGE = 100_000  # office numbers of a company: the company, its circles and their divisions are one range
_CIRCLE_RANGE = 1_000


@transaction.atomic
def install_companies(*, file: Path = COMPANIES) -> None:
    """Write the companies, circles and divisions of a file; those that are there already stay as they are."""
    known = yaml.safe_load(file.read_text(encoding="utf-8"))
    circles = {company["code"]: 0 for company in known["companies"]}
    for company in known["companies"]:
        discom, _ = Discom.objects.get_or_create(id=company["id"], defaults=company)
        first = discom.id * _COMPANY_RANGE
        _office(first, first + _COMPANY_RANGE - 1, discom, None, Office.Kind.COMPANY, company)
    for circle in known["circles"]:
        discom = Discom.objects.get(code=circle["discom"])
        circles[discom.code] += 1
        first = discom.id * _COMPANY_RANGE + circles[discom.code] * _CIRCLE_RANGE
        top = Office.objects.get(id=discom.id * _COMPANY_RANGE)
        made = _office(first, first + _CIRCLE_RANGE - 1, discom, top, Office.Kind.CIRCLE, circle)
        for number, (name_en, name_hi) in enumerate(circle["divisions"].items(), start=1):
            names = {"name_en": name_en, "name_hi": name_hi}
            _office(first + number, first + number, discom, made, Office.Kind.DIVISION, names)


def _office(
    number: int, last: int, discom: Discom, parent: Office | None, kind: Office.Kind, names: dict[str, str]
) -> Office:
    defaults = {"last": last, "discom": discom, "parent": parent, "kind": kind}
    defaults.update({key: names[key] for key in ("name_en", "name_hi")})
    return Office.objects.get_or_create(id=number, defaults=defaults)[0]


# -- staff -------------------------------------------------------------------------------------------------------------


class StaffError(ValueError):
    """A person or post cannot be made like this; the message says why and the next step."""


@transaction.atomic
def hire(
    *, login: str, name: str, password: str, role: str, office: Office, from_date: dt.date, now: dt.datetime, actor: str
) -> tuple[Staff, SecondFactor]:
    """A person with a post and a second factor; its secret is in the device's `config_url`, shown once."""
    if Staff.objects.filter(login=login).exists():
        raise StaffError(f"the login {login!r} is taken. Choose another.")
    staff = Staff(login=login, name=name)
    staff.set_password(password)
    staff.save()
    device = SecondFactor.objects.create(user=staff, name=login, confirmed=True)
    appoint(staff=staff, role=role, office=office, from_date=from_date, ended=False, now=now, actor=actor)
    return staff, device


@transaction.atomic
def appoint(
    *, staff: Staff, role: str, office: Office, from_date: dt.date, ended: bool, now: dt.datetime, actor: str
) -> Post:
    """From this day on the person holds this role at this office, or (ended) holds it no more."""
    if role not in ROLES:
        raise StaffError(f"there is no role {role!r}. Roles are: {', '.join(ROLES)}.")
    earlier = Post.objects.filter(staff=staff, office=office, role=role, from_date=from_date).count()
    post = Post.objects.create(
        staff=staff, office=office, role=role, from_date=from_date, revision=earlier, known_at=now, ended=ended
    )
    details = {"role": role, "office": office.id, "from": str(from_date), "ended": ended}
    record(actor=actor, action="discoms.appoint", object=f"discoms:staff:{staff.id}", details=details)
    return post


@functools.cache
def _nobodys_password() -> str:
    """What an unknown login is compared with, so that it costs the same time as a known one."""
    return make_password("nobody's password")


@transaction.atomic
def let_in(*, login: str, password: str, code: str, today: dt.date) -> Staff | None:
    """The person whose login, password and current code these are and who holds a post today, else None, whatever of
    these was wrong.

    A code is good once, also for two who come at once. The device's own throttle slows down whoever tries codes. What
    was tried at a login that exists is written down.
    """
    staff = Staff.objects.filter(login=login, active=True).first()
    fits = check_password(password, staff.password if staff else _nobodys_password())
    if staff is None:
        return None
    # Held until the transaction ends: whoever comes second sees the code as used.
    device = SecondFactor.objects.select_for_update().filter(user=staff, confirmed=True).order_by("id").first()
    proven = fits and device is not None and device.verify_is_allowed()[0] and device.verify_token(code)
    if not proven or not posts_of(staff=staff.id, today=today):
        # Not by this person, for all we know.
        record(actor="anyone", action="discoms.sign-in-refused", object=f"discoms:staff:{staff.id}")
        return None
    record(actor=f"staff:{staff.id}", action="discoms.sign-in", object=f"discoms:staff:{staff.id}")
    return staff


# -- counts of tries ---------------------------------------------------------------------------------------------------


def within(*, key: str, most: int, seconds: int, now: dt.datetime) -> bool:
    """Count one more try under a key; whether it is still within `most` in this stretch of so many seconds.

    The count stands in the database: all workers share it and a restart forgets nothing. `key` must name nobody.
    """
    since = stretch(now=now, seconds=seconds)
    statement = """
        insert into discoms_limit (key, since, count) values (%s, %s, 1)
        on conflict (key, since) do update set count = discoms_limit.count + 1 returning count"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [key, since])
        row = cursor.fetchone()
    return bool(row and row[0] <= most)


def forget_tries(*, now: dt.datetime) -> None:
    """Throw away counts of stretches that are long over; for workers."""
    Limit.objects.filter(since__lt=now - dt.timedelta(days=2)).delete()
