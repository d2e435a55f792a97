"""Makes the companies and their offices."""

from pathlib import Path

import yaml
from django.db import transaction

from khata.discoms.models import Discom, Office

COMPANIES = Path(__file__).with_name("companies.yaml")
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
