"""`khata demo`: makes a small Kanpur in a database of its own, and shows its bills and its books."""

import argparse
import datetime as dt
import fcntl
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from django.conf import settings
from django.db import connection

from khata.billing.models import Bill
from khata.billing.queries import bill_view
from khata.commands import clock, demo_legacy
from khata.commands.errors import CommandError
from khata.commands.serve import PORT, build_pages, refuse_taken, serve
from khata.commands.steps import Steps
from khata.display.bill_text import bill_text, table
from khata.display.dates import day, month
from khata.display.labels import LANGUAGES, Language, heading
from khata.display.money import grouped, rupees
from khata.ledger.queries import first_offence, head_sums
from khata.notices.backends.file import File
from khata.notices.models import Mark, Message
from khata.payments.queries import suspense_offence
from khata.rehearsal.kanpur import CUT_OVER, CannotBuildError, Example, Summary, build, refuse
from khata.rehearsal.months import RunMade

ACCOUNTS = 5_000
HOST = "127.0.0.1"
TODAY = dt.date(2024, 6, 20)
DONE, CHECK_FAILED, INTERRUPTED = 0, 1, 130


class _MakesDemo(Protocol):
    """What Khata's own database backend offers. Commands stand below `site` and reach it only through Django."""

    def make_demo_afresh(self) -> str: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accounts", type=int, default=ACCOUNTS, help=f"how many connections, default {ACCOUNTS}")
    parser.add_argument("--no-serve", action="store_true", help="end after the report")
    parser.add_argument("--port", type=int, default=PORT, help=f"where the pages are served, default {PORT}")
    others = parser.add_subparsers(dest="action", metavar="legacy", required=False)
    demo_legacy.add_arguments(others.add_parser("legacy", help=demo_legacy.SUMMARY, description=demo_legacy.SUMMARY))


def run(args: argparse.Namespace) -> int:
    if args.action == "legacy":
        return demo_legacy.run(args)
    began = time.monotonic()
    today = clock.business_date() if os.environ.get("KHATA_TODAY") or os.environ.get("KHATA_NOW") else TODAY
    steps = Steps()
    if not args.no_serve:
        refuse_taken(HOST, args.port)
    try:
        refuse(accounts=args.accounts, today=today)
        with _alone():
            name = _afresh(steps)
            handed_over = _empty_folder(Path(settings.KHATA_VAR) / "demo-handover")
            made = build(
                accounts=args.accounts,
                today=today,
                tariffs=settings.KHATA_TARIFFS,
                handover=handed_over,
                say=steps,
            )
            sound = _report(made, today, name)
    except CannotBuildError as wrong:
        raise CommandError(str(wrong), "demo", "Give another --accounts, or another KHATA_TODAY") from None
    except KeyboardInterrupt:
        steps.stop()
        sys.stderr.write("khata: demo: stopped. What was made is half a Kanpur; ./khata demo makes it anew.\n")
        return INTERRUPTED
    _tell(f"Ready after {time.monotonic() - began:.0f} s.")
    if not args.no_serve:
        _serve(made, today, name, args.port)
    return DONE if sound else CHECK_FAILED


def _serve(made: Summary, today: dt.date, database: str, port: int) -> None:
    """The pages of the demo on this machine only, its messages into a file that one of its pages shows."""
    laid_down = Path(settings.KHATA_VAR) / "demo-messages.jsonl"
    laid_down.unlink(missing_ok=True)
    people = laid_down.with_name("demo-staff.json")
    with open(os.open(people, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump([vars(person) for person in made.staff], file)
    environment = {
        "KHATA_DATABASE_NAME": database,
        "KHATA_TODAY": str(today),
        "KHATA_HTTPS": "0",
        "KHATA_COMPANY": made.discom.code,
        "KHATA_SITE_URL": f"http://{HOST}:{port}",
        "KHATA_DEMO_OUTBOX": str(laid_down),
    }
    os.environ["KHATA_TODAY"] = str(today)  # the work behind the pages lives on the same day
    build_pages()
    _hold_back_old_news()
    serve(
        host=HOST,
        port=port,
        environment=environment,
        backend=File(laid_down),
        ready=lambda: _tell_visitors(made, port),
    )


_NEWS = 40  # messages that the demo still sends


def _hold_back_old_news() -> None:
    """Three months of bills had thousands of things to say. They count as sent but for the newest, so that a sign-in
    code does not wait behind them."""
    older = Message.objects.order_by("-id").values_list("id", flat=True)[_NEWS:].first()
    if older is not None:
        Mark.objects.create(tried=older, settled=older)


def _tell_visitors(made: Summary, port: int) -> None:
    site = f"http://{HOST}:{port}"
    _title(f"Open {site}")
    _tell(
        "Consumers sign in with a mobile; the code comes by SMS, and the demo's SMS lie at " + f"{site}/demo/outbox/",
        "",
    )
    rows = [("mobile", "account", "old number", "to pay", "")]
    rows += [
        (each.mobile, each.account_number, each.old_number, rupees(each.due_paise), each.title)
        for each in made.visitors
    ]
    _tell(*table(rows, ("left", "left", "left", "right", "left")), "")
    _tell(f"The desk is at {site}/staff/; the third thing it asks for, a code, also stands at {site}/demo/outbox/", "")
    staff = [("login", "password", "", "")]
    staff += [(each.login, each.password, each.role, each.office) for each in made.staff]
    _tell(*table(staff, ("left", "left", "left", "left")), "", "All people are synthetic. Ctrl-C ends the demo.")


def _empty_folder(folder: Path) -> Path:
    """Where the demo lays its hand-over files; those of an earlier demo go."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """Two demos at once would tear the database from under each other's feet. The kernel gives the lock back."""
    path = Path(settings.KHATA_VAR) / "demo.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("another demo is being made", "demo", "Wait until it is ready") from None
        yield


def _afresh(steps: Steps) -> str:
    """An empty, migrated database of the demo's own; whatever else is on the server is not touched."""
    steps("database", 0, 1)
    try:
        name = cast(_MakesDemo, connection).make_demo_afresh()
    except RuntimeError as refused:
        next_step = "Name a server where you may make databases in KHATA_DATABASE_URL, or unset it"
        raise CommandError(str(refused).rstrip(".").replace("\n", " "), "demo", next_step) from None
    command = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
    environment = {**os.environ, "KHATA_DATABASE_NAME": name, "KHATA_ROLE": "owner"}
    migrated = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if migrated.returncode:
        reason = (migrated.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CommandError(f"the tables could not be made: {reason.rstrip('.')}", "demo", "Look at the server's log")
    steps("database", 1, 1)
    return name


# -- the report ----------------------------------------------------------------------------------------------------


def _tell(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()  # between the lines of progress, which go elsewhere


def _title(text: str) -> None:
    _tell("", text, "─" * len(text))


def _report(made: Summary, today: dt.date, database: str) -> bool:
    _tell_made(made, today)
    _tell_moved(made)
    _title("The runs")
    for each in made.runs:
        _tell_run(made, each)
    sources: list[str] = []
    for example in made.examples:
        sources += _tell_bill(example)
    _tell_sources(sources)
    sound = _tell_books(made)
    _tell_next(made, today, database)
    return sound


def _tell_bill(example: Example) -> tuple[str, ...]:
    """In both languages; returns where its rates and rules come from, which is told once for all bills."""
    bill = Bill.objects.get(id=example.bill)
    view = {language: bill_view(bill, language, mask_name=False) for language in LANGUAGES}
    for language in LANGUAGES:
        _title(f"{example.title} ({'हिन्दी' if language == 'hi' else 'English'})")
        if example.known_days:
            _tell(*_wrapped(_GAP[language].format(known=example.known_days)), "")
        _tell(bill_text(replace(view[language], sources=()), language).rstrip())
    return tuple(str(source) for source in view["en"].sources)


def _tell_sources(sources: Iterable[str]) -> None:
    _title(" / ".join(heading("sources", language) for language in LANGUAGES))
    for source in dict.fromkeys(sources):
        _tell(*textwrap.wrap(source, 100, subsequent_indent="    "))


_GAP: dict[Language, str] = {
    "hi": "इस महीने के केवल {known} दिनों का डेटा मिला। मीटर का रजिस्टर बाकी दिनों में भी चलता रहा, इसलिए पूरी खपत इसी बिल में है।",
    "en": "Only {known} days of this month were received. The meter's register went on through the others, "
    "so that all that was used is in this bill.",
}
_REAL = (
    "What is real: the daily kWh of the smart meters. They were measured in {households} homes of Bareilly and Mathura "
    "(CEEW, 2019-21, CC0) and moved to 2023-24; several connections share one home. What is synthetic: all people, "
    "mobiles and addresses, the registers and demands laid over the real days, how a day's energy is spread over its "
    "half-hours (21 days have their real ones), every other meter's use, the amounts of the old "
    "bills, what was owed before, the flaws in the hand-over files, and who pays."
)


def _tell_made(made: Summary, today: dt.date) -> None:
    _title(f"A small Kanpur on {day(today, 'en')}")
    numbers = {name: grouped(value) for name, value in vars(made).items() if isinstance(value, int)}
    _tell(
        f"{made.discom.name_en} ({made.discom.code}), {made.divisions} divisions",
        "{moved} connections: {homes} homes, {shops} shops; {rural} rural, {prepaid} prepaid".format(
            moved=grouped(len(made.moved.connection)), **numbers
        ),
        "{smart} smart meters: {meter_days} days, and {missing_days} missing between them".format(**numbers),
        "the last {files} days in deliveries: rows {rows} = accepted {accepted} + repeated {repeated} + superseding "
        "{superseding} + quarantined {quarantined}".format(**{k: grouped(v) for k, v in made.deliveries.items()}),
        "{readings} readings of the other meters since their last bill".format(**numbers),
        "{old_bills} bills of the old system, as history".format(**numbers),
        "",
        *_wrapped(_REAL.format(**numbers)),
    )


def _tell_moved(made: Summary) -> None:
    moved, counts = made.moved, {word: grouped(made.moved.accounts.get(word, 0)) for word in _OUTCOMES}
    _title(f"The move: wave {moved.wave.code}, cut over on {day(CUT_OVER, 'en')}")
    _tell(
        f"{grouped(made.accounts)} accounts were handed over with planted flaws; of the numbers in the files "
        + "{migrated} moved as they were, {repaired} with a stated repair, {held} are held back".format(**counts),
        f"{grouped(moved.equations)} equations: {grouped(moved.equations - len(moved.signed))} hold to the paisa, "
        f"{len(moved.signed)} differ from the signed totals and were accepted by two people",
        "old bills rated once more: "
        + ", ".join(f"{grouped(count)} {word}" for word, count in moved.parallel.items() if count),
        f"{grouped(moved.messages)} messages tell the new numbers",
        "rules that found something: " + ", ".join(f"{rule} {count}" for rule, count in moved.findings.items()),
    )


_OUTCOMES = ("migrated", "repaired", "held")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), 100)


def _tell_run(made: Summary, run: RunMade) -> None:
    total: dict[str, int] = {}
    for equation in run.equations.values():
        for name, count in equation.items():
            total[name] = total.get(name, 0) + count
    counts = {name: grouped(total.get(name, 0)) for name in total.keys() | _COUNTED}
    closed = len(run.equations)
    _tell(
        f"{month(run.cycle, 'en')}, dated {day(run.bill_date, 'en')}: all {closed} divisions closed"
        if closed == made.divisions
        else f"{month(run.cycle, 'en')}: only {closed} of {made.divisions} divisions closed",
        f"  expected {counts['expected']} = issued {counts['issued']} + held {counts['held']} + parked "
        f"{counts['parked']} + not due {counts['not due']}",
        f"  issued {counts['issued']} = messages queued {counts['messages']} + no usable mobile {counts['no address']}",
        f"  billed {rupees(total.get('payable_paise', 0))} = posted {rupees(total.get('posted_paise', 0))}; "
        f"paid since {rupees(run.received_paise)} in {grouped(run.receipts)} receipts",
        *(f"    {outcome}: {grouped(count)}, {reason}" for outcome, reason, count in run.unissued),
    )


_COUNTED = {"expected", "issued", "held", "parked", "not due", "messages", "no address"}


def _tell_books(made: Summary) -> bool:
    _title(f"The books of {made.discom.code}")
    sums = [head for head in head_sums(made.discom.code) if head.amount_paise]
    rows = [(head.title_en, head.title_hi, rupees(head.amount_paise)) for head in sums]
    rows.append(("Sum", "योग", rupees(sum(head.amount_paise for head in sums))))
    _tell(*table(rows, ("left", "left", "right")))
    offence = first_offence() or suspense_offence()
    _tell(f"khata ledger verify: {offence}" if offence else "khata ledger verify: the books are in order")
    return offence is None


def _tell_next(made: Summary, today: dt.date, database: str) -> None:
    cycle, code = f"{made.runs[-1].cycle:%Y-%m}", made.discom.code
    asked = [
        *((f"number resolve {each.old_number}", "an old number leads to the new one") for each in made.examples[:1]),
        *(
            (f"bill show {each.account_number} --lang en", "the newest bill of an account")
            for each in made.examples[:1]
        ),
        *(
            (f"meterdays show {each.meter} {each.month:%Y-%m}", "real days, and the gaps between them")
            for each in made.examples
            if each.known_days
        ),
        ("deliveries list", "what a meter data company sent, and what became of it"),
        (f"bill explain-change --discom {code} --cycle {cycle} --lang en", "what made a month's bills differ"),
        (f"bill show --discom {code} --cycle {cycle}", "who got no bill, and why"),
        (f"bill run --discom {code} --cycle {cycle}", "again: nothing changes"),
        (f"bill replay --discom {code} --cycle {cycle}", "every bill rated once more, to the paisa"),
        (f"bill digest --discom {code} --cycle {cycle}", "one hash over all amounts, lines and postings"),
        (
            f"migration reconcile --discom {code} --wave {made.moved.wave.code}",
            "what was handed over = what moved + held",
        ),
        (f"migration exceptions --discom {code} --wave {made.moved.wave.code}", "what the rules found in the files"),
        ("ledger verify", "every entry sums to zero, every balance to its postings"),
    ]
    _title("What to try next")
    _tell(f"export KHATA_DATABASE_NAME={database} KHATA_TODAY={today}")
    _tell(*table([(f"./khata {command}", f"# {what}") for command, what in asked], ("left", "left")), "")
