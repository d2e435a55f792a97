"""The move of a company: from hand-over files to reconciled rows, cut over, taken back, and cut over once more.

Each step is a process of its own, so that its peak memory is its own. Of several sizes, and of one above that of a
wave, only load and reconciliation are done: they have to grow no faster than the accounts.
"""

import datetime as dt
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import town

if TYPE_CHECKING:
    from khata.migration.models import Wave

DATABASE = "khata_bench_moving"
WAVE_ACCOUNTS, COMPANY_ACCOUNTS = 50_000, 700_000
PAYMENTS, SEED, DIRT_PERMILLE = 1_000, 20_240_314, 10
AT, BACK, AGAIN = dt.date(2024, 3, 14), dt.date(2024, 3, 20), dt.date(2024, 3, 21)
SLOPE = 1.3  # an account may cost so many times what it costs among the fewest: linear, but for deeper indexes
PAYS_AT = "PVVNL"
ROWS_AT_ONCE = 10_000
LOADED = ("load", "reconcile")
_GATES = ("_refuse", "_handed_back", "_issue_numbers")  # of the cut-over, before its transaction

Row = tuple[str, float, str, float | None, bool]
Found = dict[str, Any]


def rows(accounts: Sequence[int] = (WAVE_ACCOUNTS,)) -> Iterator[Row]:
    an_account: list[float] = []
    for count in accounts:
        files = _files(count)
        town.fresh_database(DATABASE)
        _child("people", files)
        found = _child("load", files)
        an_account.append(sum(found[step][of] for step in LOADED for of in ("python_s", "server_s")) / count)
        yield from _of_load(count, found)
        if len(accounts) == 1 and count <= WAVE_ACCOUNTS:
            yield from _of_move(files)
        town.drop_database(DATABASE)
    if len(accounts) > 1:
        growth = max(an_account) / an_account[0]
        yield _at_most(f"processor time an account, most / of {accounts[0]:,} accounts", growth, "x", SLOPE)


def _of_load(count: int, found: Found) -> Iterator[Row]:
    company = count == COMPANY_ACCOUNTS
    if count == WAVE_ACCOUNTS:
        yield _at_most(f"{count:,} accounts: profile, load, reconcile", found["wall_s"], "s", 60)
    yield _at_most(f"{count:,} accounts, load to reconciled", found["loaded_s"], "s", 900 if company else None)
    for step in ("profile", "load", "reconcile"):
        yield _at_most(f"    {step} ({_processor(found[step])})", found[step]["wall_s"], "s")
    yield _at_most("    all of it / raw COPY of the same source rows", found["wall_s"] / found["copy_s"], "x")
    yield _at_most("    peak memory of the process", found["peak_mib"], "MiB", 1_536 if company else None)
    yield _at_most("    the database grew by", found["grown_mib"], "MiB")


def _of_move(files: Path) -> Iterator[Row]:
    parallel = _child("parallel", files)
    yield _at_most(f"    parallel run ({_processor(parallel)})", parallel["wall_s"], "s")
    first = _child("cutover", files)
    yield from _of_cutover("cut-over", first)
    paid = _child("pay", files)
    each_ms = paid["wall_s"] * 1e3 / paid["count"]
    yield _at_most(f"    a payment of {paid['count']:,}, by old and new number", each_ms, "ms")
    back = _child("rollback", files)
    yield _at_most(f"    rollback with export ({_processor(back)})", back["wall_s"], "s", 60)
    yield _at_most("    peak memory of the process", back["peak_mib"], "MiB")
    second = _child("again", files)
    yield from _of_cutover("second cut-over", second)
    same = first["digest"] == second["digest"] and back["paid_paise"] == paid["paise"] == second["carried_paise"]
    yield "    same digest, every payment handed back and carried over again", float(same), "", None, same


def _of_cutover(name: str, found: Found) -> Iterator[Row]:
    locked = found["locked"]
    yield _at_most(f"    {name}, locked step ({_processor(locked)})", locked["wall_s"], "s", 10)
    yield _at_most(f"    {name}, whole ({_processor(found)})", found["wall_s"], "s")
    yield _at_most("    peak memory of the process", found["peak_mib"], "MiB")


def _at_most(name: str, value: float, unit: str, target: float | None = None) -> Row:
    return name, value, unit, target, target is None or value <= target


def _processor(of: Found) -> str:
    """What the step costs on a machine that does nothing else."""
    return f"busy: Python {of['python_s']:.1f} s, server {of['server_s']:.1f} s"


def _files(accounts: int) -> Path:
    """The hand-over of so many accounts, made once; anew when what makes it has changed."""
    rehearsal = sorted((town.REPOSITORY / "src" / "khata" / "rehearsal").glob("*.py"))
    made_by = hashlib.sha256(b"".join(file.read_bytes() for file in rehearsal)).hexdigest()[:12]
    home = town.VAR / "handover"
    home.mkdir(parents=True, exist_ok=True)
    files = home / f"{accounts}-{made_by}"
    if not files.exists():
        for former in home.glob(f"{accounts}-*"):
            shutil.rmtree(former)
        draft = home / f"{accounts}-draft-{os.getpid()}"
        draft.mkdir()
        _child("write", draft, str(accounts))
        draft.rename(files)
    return files


def _child(task: str, files: Path, *arguments: str) -> Found:
    """Each step finds the tables as the server leaves them once all before has settled."""
    if not arguments:
        with town.owner(DATABASE) as tidy:
            tidy.execute("vacuum analyze")
    command = [sys.executable, "-m", "tests.bench.moving", task, str(files), *arguments]
    environment = town.environment(DATABASE) | {"KHATA_ROLE": "run"}
    done: Found = json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
    return done


# -- in the children ---------------------------------------------------------------------------------------------------


@contextmanager
def _measured(into: Found) -> Iterator[None]:
    """Seconds by the clock, and of the processor: this process and its server process."""
    from django.db import connection

    connection.ensure_connection()
    backend: int = connection.connection.info.backend_pid
    wall, python, server = time.perf_counter(), time.process_time(), _spent(backend)
    yield
    into["wall_s"] = time.perf_counter() - wall
    into["python_s"] = time.process_time() - python
    into["server_s"] = _spent(backend) - server
    into["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _spent(process: int) -> float:
    """Processor time of another process; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _instant(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(4), dt.UTC)


def _wave() -> "Wave":
    from khata.migration.models import Wave

    return Wave.objects.select_related("discom").get()


def _write(files: Path) -> Found:
    from django.conf import settings

    from khata.discoms.queries import COMPANIES
    from khata.rehearsal.handover import divisions_of, latin_of, write_handover
    from khata.rehearsal.town import draw_town

    named = divisions_of(COMPANIES, town.COMPANY)
    people = draw_town(
        accounts=int(sys.argv[3]),
        seed=SEED,
        divisions=[name for _, name in named],
        discom=town.COMPANY,
        tariffs=settings.KHATA_TARIFFS,
        latin=latin_of(named),
    )
    write_handover(out=files, discom=town.COMPANY, divisions=named, town=people, dirt_permille=DIRT_PERMILLE, seed=SEED)
    return {}


def _people(_files: Path) -> Found:
    """The companies with their books, reading cycles and a billing policy, and two people who sign."""
    from khata.billing.operations import set_policy
    from khata.discoms.models import Discom, Office
    from khata.discoms.operations import hire, install_companies
    from khata.discoms.queries import discom_named
    from khata.ledger.operations import open_books
    from khata.metering.operations import add_reading_cycle
    from khata.rehearsal.readings import CYCLES
    from tests.cast import POLICY

    install_companies()
    for each in Discom.objects.order_by("id"):
        open_books(discom=each)
    discom = discom_named(town.COMPANY)
    set_policy(discom=discom, from_date=AT, **POLICY)
    for cycle in CYCLES:
        add_reading_cycle(
            discom=discom, code=cycle.code, read_day=cycle.day, every_months=cycle.every, first_month=cycle.first
        )
    office = Office.objects.get(discom=discom, kind="company")
    of: Found = {"role": "officer", "office": office, "from_date": AT, "now": _instant(AT), "actor": "bench"}
    for login in ("maker", "checker"):
        hire(login=login, name=login, password="correct horse", **of)
    return {}


def _sign(about: str) -> None:
    from khata.discoms.models import Staff
    from khata.migration.operations import decide, propose

    maker, checker = (Staff.objects.get(login=login).id for login in ("maker", "checker"))
    proposed: Found = {"division": None, "column": "", "value": "", "reason": "as planted", "now": _instant(AT)}
    made = propose(wave=_wave(), kind="accept", about=about, maker=maker, **proposed)
    decide(proposal=made.id, approved=True, reason="", checker=checker, now=_instant(AT))


def _load(files: Path) -> Found:
    from khata.discoms.queries import discom_named
    from khata.migration.intake import load, profile
    from khata.migration.reconciling import reconcile

    company: Found = {"discom": discom_named(town.COMPANY), "wave": "W1", "numbers": "new"}
    found: Found = {"profile": {}, "load": {}, "reconcile": {}}
    grown = -_size()
    with _measured(found["profile"]):
        profile(files, today=AT)
    with _measured(found["load"]):
        load(directory=files, **company, today=AT, now=_instant(AT), actor="bench", say=lambda *_: None)
    with _measured(found["reconcile"]):
        lines = reconcile(_wave())
    grown += _size()
    for line in lines:
        if line.red:
            _sign(line.about)
    return found | {
        "wall_s": sum(found[step]["wall_s"] for step in ("profile", *LOADED)),
        "loaded_s": sum(found[step]["wall_s"] for step in LOADED),
        "peak_mib": found["reconcile"]["peak_mib"],
        "grown_mib": grown / 2**20,
        "copy_s": _raw_copy(),
    }


def _size() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select pg_database_size(current_database())")
        ((size,),) = cursor.fetchall()
    return int(size)


def _raw_copy() -> float:
    """The source rows, some MiB at a time, into a table without key, constraint or trigger."""
    from django.db import connection

    spent = 0.0
    with town.owner(DATABASE) as bare, connection.cursor() as cursor:
        bare.execute("create table bare (like migration_sourcerow)")
        with (
            cursor.cursor.copy("copy migration_sourcerow to stdout (format binary)") as out,
            bare.cursor().copy("copy bare from stdin (format binary)") as into,
        ):
            blocks = iter(out)
            while data := b"".join(islice(blocks, ROWS_AT_ONCE)):
                began = time.perf_counter()
                into.write(data)
                spent += time.perf_counter() - began
            began = time.perf_counter()
        spent += time.perf_counter() - began
        bare.execute("drop table bare")
    return spent


def _parallel(_files: Path) -> Found:
    from django.conf import settings

    from khata.migration.parallel import gate, months_billed, run_parallel

    found: Found = {}
    with _measured(found):
        for cycle in months_billed(_wave()):
            run_parallel(wave=_wave(), cycle=cycle, tariffs=settings.KHATA_TARIFFS, actor="bench")
    for about in gate(_wave()):
        _sign(about)
    return found


def _cutover(_files: Path) -> Found:
    return _cut_over(AT, {})


def _again(_files: Path) -> Found:
    return _cut_over(AGAIN, {"exported": "carried"})


def _cut_over(at: dt.date, more: Found) -> Found:
    """The locked step is what is left of the cut-over without its gates: the transaction and its commit."""
    from django.db.models import Sum

    from khata.consumers.rules import seeded_bodies
    from khata.ledger.models import Posting
    from khata.ledger.rules import OWED
    from khata.migration import cutover as module
    from khata.migration.reconciling import digest

    found: Found = {}
    gates = dict.fromkeys(("wall_s", "python_s", "server_s"), 0.0)

    def timed(gate: Callable[..., Any]) -> Callable[..., Any]:
        def around(*arguments: Any) -> Any:
            spent: Found = {}
            with _measured(spent):
                answer = gate(*arguments)
            for name in gates:
                gates[name] += spent[name]
            return answer

        return around

    for name in _GATES:
        setattr(module, name, timed(getattr(module, name)))
    with _measured(found):
        module.cutover(wave=_wave(), at=at, actor="bench", now=_instant(at), draw=seeded_bodies([SEED, at.day]), **more)
    carried = Posting.objects.filter(entry__kind="carried over", head__code__in=OWED)
    paise = carried.aggregate(paise=Sum("amount_paise"))["paise"] or 0
    locked = {name: found[name] - gates[name] for name in gates}
    return found | {"locked": locked, "digest": digest(_wave()), "carried_paise": -paise}


def _pay(_files: Path) -> Found:
    """As channels send them, at another company: every second one by the old number."""
    from khata.discoms.models import Office
    from khata.migration.models import Account
    from khata.payments.operations import receive

    office = Office.objects.get(discom__code=PAYS_AT, kind="company").id
    accounts = Account.objects.exclude(outcome="held").order_by("id")
    payers = list(accounts.values_list("old_number", "account_number", "connection_id")[:PAYMENTS])
    found: Found = {"count": len(payers), "paise": 0}
    with _measured(found):
        for place, (old, new, connection) in enumerate(payers):
            taken = receive(
                channel="upi",
                reference=f"bench-{place}",
                office=office,
                typed=old if place % 2 else new,
                discom=town.COMPANY,
                amount_paise=100_00 + place,
                received_at=_instant(AT),
                today=AT,
            )
            assert taken.receipt.connection_id == connection, taken.receipt.held_for
            found["paise"] += 100_00 + place
    return found


def _rollback(files: Path) -> Found:
    from khata.migration.rollback import handed, rollback, write_export

    found: Found = {}
    out = files.with_name(f"back-{os.getpid()}")
    try:
        with _measured(found):
            rollback(wave=_wave(), at=BACK, actor="bench", now=_instant(BACK))
            write_export(_wave(), out)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return found | {"paid_paise": sum(each.payments_paise for each in handed(_wave()))}


TASKS: dict[str, Callable[[Path], Found]] = {
    "write": _write,
    "people": _people,
    "load": _load,
    "parallel": _parallel,
    "cutover": _cutover,
    "pay": _pay,
    "rollback": _rollback,
    "again": _again,
}

if __name__ == "__main__":
    import django

    django.setup()
    json.dump(TASKS[sys.argv[1]](Path(sys.argv[2])), sys.stdout)
