"""Companies and divisions by name; a name that is not known is answered with those that are."""

from khata.discoms.models import Discom, Office


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
    wanted = " ".join(name.casefold().split())
    known = divisions(discom)
    for office in known:
        if wanted in (office.name_en.casefold(), office.name_hi, str(office.id)):
            return office
    names = ", ".join(office.name_en for office in known)
    raise UnknownOfficeError(f"{discom.code} has no division {name!r}; its divisions are: {names or 'none yet'}")
