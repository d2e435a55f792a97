"""The server that Khata keeps for itself: it starts, is shared, survives violence and leaves after its last user."""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from khata.site.database import server

# A user of the server: says where it is and stays until its input ends. A second line asks again.
USER = """
import sys
from pathlib import Path
from khata.site.database import server
for _ in range(2):
    print(server.ensure(Path(sys.argv[1]), durable=False)["host"], flush=True)
    sys.stdin.readline()
"""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change owners")


class Users:
    """Processes that use the server in one folder. All that are left at the end of a test are killed."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *launcher: str) -> subprocess.Popen[str]:
        command = [*launcher, sys.executable, "-c", USER, str(self.var)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.started.append(process)
        return process

    def attach(self, *launcher: str) -> psycopg.Connection:
        return self.connect(said_by(self.start(*launcher)))

    def connect(self, host: str) -> psycopg.Connection:
        return psycopg.connect(host=host, port=server.PORT, user="khata_run", dbname="khata", autocommit=True)

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()

    def postmaster(self) -> int:
        return int((self.var / "pg/data/postmaster.pid").read_text().split()[0])

    def server_left(self) -> bool:
        """When all users have ended, the watcher stops the server and ends, which frees its lock."""
        with contextlib.suppress(FileNotFoundError), (self.var / "pg/watch.lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return not (self.var / "pg/data/postmaster.pid").exists()


def said_by(user: subprocess.Popen[str]) -> str:
    assert user.stdout and user.stderr
    host = user.stdout.readline().rstrip("\n")
    assert host, user.stderr.read()
    return host


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="khata-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def users_of(var: Path) -> Iterator[Users]:
    users = Users(var)
    try:
        yield users
    finally:
        users.end()
        until(users.server_left)


@pytest.fixture
def users(folder: Path) -> Iterator[Users]:
    with users_of(folder / "var") as users:
        yield users


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def started_at(connection: psycopg.Connection) -> object:
    (row,) = connection.execute("select pg_postmaster_start_time()").fetchall()
    return row[0]


def test_the_first_starts_it_the_second_shares_it_and_it_leaves_after_the_last(users: Users) -> None:
    first = users.attach()
    second = users.attach()
    assert started_at(first) == started_at(second)
    assert mode(users.var / "pg") == mode(users.var / "pg/run") == mode(users.var / "pg/data") == 0o700

    users.started[0].kill()
    time.sleep(0.5)
    assert started_at(second), "one user is left"
    users.started[1].kill()
    until(users.server_left, seconds=5)


def test_what_was_stored_is_there_at_the_next_start(users: Users) -> None:
    users.attach()
    with psycopg.connect(host=str(users.var / "pg/run"), user="khata_owner", dbname="khata") as owner:
        owner.execute("create table kept as select 42 as number")
    users.end()
    until(users.server_left)
    assert users.attach().execute("select number from kept").fetchall() == [(42,)]


def test_eight_at_once_get_one_server(users: Users) -> None:
    hosts = [said_by(user) for user in [users.start() for _ in range(8)]]
    assert len({started_at(users.connect(host)) for host in hosts}) == 1


def test_a_killed_postmaster_is_replaced_for_old_users_and_new_ones(users: Users) -> None:
    before = started_at(users.attach())
    os.kill(users.postmaster(), signal.SIGKILL)
    until(lambda: not server._listens(str(users.var / "pg/run")))  # the kernel buries it a moment later
    old = users.started[0]
    assert old.stdin
    old.stdin.write("again\n")
    old.stdin.flush()
    after = started_at(users.connect(said_by(old)))
    assert after != before
    assert started_at(users.attach()) == after


@pytest.mark.parametrize("pid_file", ["", f"{os.getpid()}\n"], ids=["empty", "another_process"])
def test_a_pid_file_left_by_a_crash_does_not_stop_the_start(users: Users, pid_file: str) -> None:
    users.attach()
    users.end()
    until(users.server_left)
    (users.var / "pg/data/postmaster.pid").write_text(pid_file)
    (users.var / f"pg/run/.s.PGSQL.{server.PORT}.lock").write_text(pid_file)
    assert started_at(users.attach())


def test_a_starter_killed_while_it_makes_the_cluster_leaves_no_half_cluster(users: Users) -> None:
    starter = users.start()
    until(lambda: any((users.var / "pg").glob("data.new.*/base")))
    starter.kill()
    assert not (users.var / "pg/data").exists()
    assert started_at(users.attach())


def test_a_long_path_with_any_signs_in_it(folder: Path) -> None:
    above = folder / """it's "quoted" at $5 ; बिजली का हिसाब""" / ("long" * 10)
    above.mkdir(parents=True)
    above.parent.chmod(0o751)
    with users_of(above / "var") as users:
        host = Path(said_by(users.start()))
        try:
            assert started_at(users.connect(str(host)))
            assert len(os.fsencode(above)) > 100
            assert host.parent == Path("/tmp")
            assert mode(host) == 0o700
            assert (mode(folder), mode(above.parent), mode(above)) == (0o755, 0o751, 0o755)
        finally:
            users.end()
            until(users.server_left)
            shutil.rmtree(host)


def test_a_closed_folder_above_stays_closed(folder: Path) -> None:
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    with users_of(closed / "var") as users:
        assert started_at(users.attach())
        assert mode(closed) == 0o700
        assert closed.stat().st_uid == os.geteuid()


@AS_ROOT
def test_an_ordinary_user_needs_nobody_else(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    with users_of(folder / "var") as users:
        # The checkout and its Python may lie in a closed folder: the capabilities are to reach them.
        reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        identity = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        assert started_at(users.attach("setpriv", *identity, *reach))
        assert (users.var / "pg/data").stat().st_uid == nobody.pw_uid


@AS_ROOT
@pytest.mark.parametrize("part", ["pg", "pg/data"])
def test_a_folder_of_somebody_else_is_refused_with_a_sentence(folder: Path, part: str) -> None:
    theirs = folder / "var" / part
    theirs.mkdir(parents=True)
    os.chown(theirs, pwd.getpwnam("daemon").pw_uid, -1)
    with pytest.raises(server.ServerError, match=r"belongs to daemon, and you are root.*KHATA_VAR"):
        server.ensure(folder / "var", durable=False)
    assert theirs.stat().st_uid == pwd.getpwnam("daemon").pw_uid


def test_a_place_that_cannot_be_written_is_refused_with_a_sentence(folder: Path) -> None:
    (folder / "var").write_text("a file where the folder should be")
    with pytest.raises(server.ServerError, match=r"cannot keep its database in .*var/pg.*KHATA_VAR"):
        server.ensure(folder / "var", durable=False)


def test_data_of_another_version_is_refused_with_a_sentence(folder: Path) -> None:
    data = folder / "var/pg/data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    if os.geteuid() == 0:
        servant = next(user for user in map(_known, server.SERVANTS) if user)
        os.chown(data, servant.pw_uid, servant.pw_gid)
    users = Users(folder / "var")
    failed = users.start()
    assert "needs the programs of PostgreSQL 9, and this machine has" in failed.communicate()[1]


def _known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def test_checking_and_asking_for_help_start_no_server(folder: Path) -> None:
    environment = {**os.environ, "KHATA_VAR": str(folder / "var")}
    for arguments in (["check"], ["migrate", "--help"]):
        command = [sys.executable, "-m", "django", *arguments]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    assert not (folder / "var/pg").exists()
