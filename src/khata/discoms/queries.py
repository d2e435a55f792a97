"""Companies and divisions by name (a name that is not known is answered with those that are); posts in effect."""

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from django.db.models import OuterRef, Subquery

from khata.discoms.models import Discom, Limit, Office, Post
from khata.discoms.rules import Held, sees, stretch

COMPANIES = Path(__file__).with_name("companies.yaml")


class UnknownOfficeError(LookupError):
    """No company or division of this name; the message lists the known ones."""


def discom_named(code: str) -> Discom:
    found = Discom.objects.filter(code=code.upper()).first()
    if found is None:
        known = ", ".join(Discom.objects.order_by("id").values_list("code", flat=True))
        raise UnknownOfficeError(f"no company is called {code!r}; companies are: {known or 'none yet'}")
    return found


def divisions(discom: Discom) -> list[Office]:
    return list(Office.objects.filter(discom=discom, kind=Office.Kind.DIVISION).order_by("id"))


def division_named(discom: Discom, name: str) -> Office:
    return _named(discom, name, divisions(discom), "division")


def office_named(discom: Discom, name: str) -> Office:
    """Any office of a company, by name or number."""
    return _named(discom, name, list(Office.objects.filter(discom=discom).order_by("id")), "office")


def division_spelled(discom: Discom, name: str) -> Office:
    """A division as the company's own papers may spell it: only letters count, and other spellings that are known."""
    wanted, known = _letters(name), divisions(discom)
    also = _other_spellings().get(discom.code, {})
    for office in known:
        if wanted and wanted in {
            _letters(each) for each in (office.name_en, office.name_hi, *also.get(office.name_en, ()))
        }:
            return office
    names = ", ".join(office.name_en for office in known)
    raise UnknownOfficeError(f"{discom.code} has no division {name!r}; its divisions are: {names or 'none yet'}")


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalpha())


@functools.cache
def _other_spellings() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return yaml.safe_load(COMPANIES.read_text(encoding="utf-8")).get("also") or {}


def _named(discom: Discom, name: str, known: list[Office], kind: str) -> Office:
    wanted = " ".join(name.casefold().split())
    for office in known:
        if wanted in (office.name_en.casefold(), office.name_hi, str(office.id)):
            return office
        if office.kind == Office.Kind.COMPANY and wanted == discom.code.casefold():
            return office
    names = ", ".join(office.name_en for office in known)
    raise UnknownOfficeError(f"{discom.code} has no {kind} {name!r}; its {kind}s are: {names or 'none yet'}")


def posts_of(*, staff: int, today: dt.date) -> list[Held]:
    """The posts that a person holds on a day, by id; of the rows for an office and role the latest counts."""
    company = Office.objects.filter(discom=OuterRef("office__discom"), kind=Office.Kind.COMPANY)
    rows = Post.objects.filter(staff_id=staff, from_date__lte=today).select_related("office")
    rows = rows.annotate(company=Subquery(company.values("id")[:1]), company_last=Subquery(company.values("last")[:1]))
    latest = {}
    for post in rows.order_by("from_date", "revision"):
        latest[post.office_id, post.role] = post
    held = []
    for post in sorted((post for post in latest.values() if not post.ended), key=lambda post: post.id):
        seen = sees(
            role=post.role,
            office=post.office_id,
            office_last=post.office.last,
            company=post.company,
            company_last=post.company_last,
        )
        held.append(Held(post.id, post.role, post.office_id, *seen))
    return held


def tries(*, key: str, seconds: int, now: dt.datetime) -> int:
    """How often `within` was asked under a key in the present stretch of time."""
    found = Limit.objects.filter(key=key, since=stretch(now=now, seconds=seconds)).first()
    return found.count if found else 0
