"""`khata staff add`: a person with a post, a first password and a second factor, told once and never again."""

import argparse
import io
import secrets
import sys

import segno

from khata.commands import clock
from khata.commands.errors import CommandError
from khata.discoms.models import Staff
from khata.discoms.operations import StaffError, appoint, hire
from khata.discoms.queries import UnknownOfficeError, discom_named, office_named
from khata.discoms.rules import ROLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    add = verbs.add_parser("add", help="a new person, with a first post", allow_abbrev=False)
    add.add_argument("--login", required=True)
    add.add_argument("--name", required=True)
    for verb, words in (("post", "another post for a person"), ("end", "end a post of a person from today")):
        verbs.add_parser(verb, help=words, allow_abbrev=False).add_argument("--login", required=True)
    for one in verbs.choices.values():
        one.add_argument("--role", required=True, choices=list(ROLES))
        one.add_argument("--discom", required=True)
        one.add_argument("--office", required=True, help="division, circle or company, by name or number")


def run(args: argparse.Namespace) -> int:
    try:
        office = office_named(discom_named(args.discom), args.office)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--office", "Choose one of them") from None
    now, today = clock.now(), clock.business_date()
    if args.verb == "add":
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        try:
            staff, device = hire(
                login=args.login,
                name=args.name,
                password=password,
                role=args.role,
                office=office,
                from_date=today,
                now=now,
                actor="command",
            )
        except StaffError as wrong:
            raise CommandError(str(wrong).rstrip("."), "staff add", "") from None
        url = device.config_url
        sys.stdout.write(
            f"{staff.login}: {ROLES[args.role][1]}, {office.name_en}\n"
            f"First password: {password}\n"
            f"Second factor, for an authenticator app (shown only now):\n{_drawn(url)}\n{url}\n"
        )
        return 0
    found = Staff.objects.filter(login=args.login).first()
    if found is None:
        raise CommandError(f"nobody has the login {args.login!r}", "--login", "Add the person first")
    ended = args.verb == "end"
    appoint(staff=found, role=args.role, office=office, from_date=today, ended=ended, now=now, actor="command")
    said = "ended" if ended else "begins"
    sys.stdout.write(f"{found.login}: {ROLES[args.role][1]}, {office.name_en}, {said} on {today}\n")
    return 0


def _drawn(text: str) -> str:
    """A QR code in characters."""
    drawn = io.StringIO()
    segno.make(text, micro=False).terminal(out=drawn, compact=True)
    return drawn.getvalue()
