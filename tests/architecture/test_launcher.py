"""The launcher, with a stand-in for Python that installs nothing but writes down what it was asked for."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from .house import REPOSITORY

PYTHON = """#!/bin/sh
case $* in
*"import ensurepip, venv"*) [ ! -e "$RECORD.no-venv" ] ;;
*"print("*) echo python3.11-venv ;;
*sys.version_info*) ;;
"-I -m venv "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
*" install "*)
    if [ -e "$RECORD.broken" ]; then echo "no route to the packages" >&2; exit 1; fi
    sleep "${PAUSE:-0}"
    echo "$*" >>"$RECORD"
    case $* in *" -e "*)
        printf '#!/bin/sh\\nprintf "%%s|" "$PWD" "$@"\\n' >"${0%/*}/khata" && chmod +x "${0%/*}/khata" ;;
    esac ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
TOOLS = ["cat", "chmod", "cksum", "cp", "env", "find", "flock", "grep", "head", "id", "ln", "mkdir", "ps", "readlink"]
TOOLS += ["rm", "rmdir", "sed", "sh", "sleep", "tail"]


class Copy:
    """A copy of what the launcher reads, in a path with blanks, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "my copy" / "of it"
        self.record = folder / "asked"
        self.programs = folder / "programs"
        self.settings: dict[str, str] = {}
        self.root.mkdir(parents=True)
        self.programs.mkdir()
        for name in ("khata", "requirements.txt", "requirements-dev.txt", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, self.root / name)
        for tool in TOOLS:
            where = shutil.which(tool)
            if where:
                (self.programs / tool).symlink_to(where)
        python = self.programs / "python3"
        python.write_text(PYTHON)
        python.chmod(0o755)

    def begin(self, *arguments: str, by: Path | None = None, pause: str = "0") -> subprocess.Popen[str]:
        environment = {"PATH": str(self.programs), "RECORD": str(self.record), "PAUSE": pause, **self.settings}
        command: Sequence[str] = [str(by or self.root / "khata"), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=environment, cwd="/", stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def start(self, *arguments: str, by: Path | None = None) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = self.begin(*arguments, by=by)
        out, errors = process.communicate(timeout=60)
        return process.returncode, out, errors

    def installs(self) -> list[str]:
        """What was installed: each `pip install` by its last word, relative to the copy."""
        asked = self.record.read_text().splitlines() if self.record.exists() else []
        return [line.rpartition(str(self.root))[2] for line in asked]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def on_debian(copy: Copy, *, user: str, apt_get: str) -> None:
    """Stand-ins for whoever asks and for the system's installer."""
    for name, does in {"id": f"echo {0 if user == 'root' else 1000}", "apt-get": apt_get}.items():
        with_program(copy, name, does)


def with_program(copy: Copy, name: str, does: str) -> None:
    program = copy.programs / name
    program.unlink(missing_ok=True)
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)


def without_flock(copy: Copy) -> None:
    (copy.programs / "flock").unlink(missing_ok=True)


def test_first_start_installs_and_hands_over(copy: Copy) -> None:
    code, out, errors = copy.start("demo", "a b", "")
    assert (code, out) == (0, "/|demo|a b||")
    assert errors.startswith("Preparing Khata: installing ") and errors.count("\n") == 1
    assert copy.installs() == ["/requirements.txt", ""]


def test_second_start_only_hands_over(copy: Copy) -> None:
    copy.start("demo")
    assert copy.start("demo") == (0, "/|demo|", "")
    assert len(copy.installs()) == 2


def test_works_through_symbolic_links(copy: Copy) -> None:
    first, second = copy.root.parent / "first", copy.root.parent.parent / "second"
    first.symlink_to("of it/khata")
    second.symlink_to(first)
    assert copy.start("x", by=second)[:2] == (0, "/|x|")
    assert (copy.root / ".venv").is_dir()


def test_the_engineers_packages_come_with_test_and_serve_for_all(copy: Copy) -> None:
    copy.start("test")
    assert copy.installs() == ["/requirements-dev.txt", ""]
    assert copy.start("demo") == (0, "/|demo|", "")


def test_a_changed_lock_is_installed(copy: Copy) -> None:
    copy.start("demo")
    with (copy.root / "requirements.txt").open("a") as lock:
        lock.write("# changed\n")
    assert "something changed" in copy.start("demo")[2]
    assert len(copy.installs()) == 4
    assert copy.start("demo")[2] == ""


def test_an_installation_cut_short_is_made_anew(copy: Copy) -> None:
    process = copy.begin("demo", pause="60")
    while not (copy.root / ".venv" / "khata.unfinished").exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (copy.root / ".venv" / "half").touch()
    code, out, errors = copy.start("demo")
    assert (code, out) == (0, "/|demo|")
    assert "cut short" in errors
    assert not (copy.root / ".venv" / "half").exists()


def test_a_moved_copy_is_made_anew(copy: Copy) -> None:
    copy.start("demo")
    (copy.root / ".venv" / "old").touch()
    copy.root = copy.root.rename(copy.root.with_name("elsewhere"))
    assert "another place" in copy.start("demo")[2]
    assert not (copy.root / ".venv" / "old").exists()


def test_a_failure_says_what_where_and_the_next_step(copy: Copy) -> None:
    broken = Path(f"{copy.record}.broken")
    broken.touch()
    code, out, errors = copy.start("demo")
    assert (code, out) == (1, "")
    assert "could not install" in errors and "no route to the packages" in errors and "Next step: " in errors
    broken.unlink()
    assert copy.start("demo")[0] == 0


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_tree_that_cannot_be_written_is_said(copy: Copy) -> None:
    copy.root.chmod(0o555)
    code, _, errors = copy.start("demo")
    copy.root.chmod(0o755)
    assert code == 1 and "cannot write" in errors and "Next step: " in errors


def test_no_python_is_said(copy: Copy) -> None:
    (copy.programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    code, _, errors = copy.start("demo")
    assert code == 1 and "no Python 3.11" in errors and "Next step: " in errors


@pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="packages are installed on Debian only")
@pytest.mark.parametrize("user", ["root", "somebody"])
def test_a_python_without_venv_is_mended_by_root_on_debian(copy: Copy, user: str) -> None:
    missing = Path(f"{copy.record}.no-venv")
    missing.touch()
    on_debian(copy, user=user, apt_get=f'rm "{missing}"; echo "$*"')
    code, out, errors = copy.start("demo")
    if user == "root":
        assert (code, out) == (0, "/|demo|") and "installing python3.11-venv with apt-get" in errors
    else:
        assert code == 1 and "Next step: " in errors and "apt-get install python3.11-venv" in errors


@pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="packages are installed on Debian only")
def test_the_tests_browser_is_installed_by_root_on_debian_once(copy: Copy) -> None:
    asked = copy.record.with_name("apt-get")
    chromium = copy.programs / "chromium"
    on_debian(
        copy, user="root", apt_get=f'echo "$*" >>"{asked}"; printf "#!/bin/sh\\n" >"{chromium}"; chmod +x "{chromium}"'
    )
    assert copy.start("demo")[0] == 0 and not asked.exists()
    code, out, errors = copy.start("test", "-x")
    assert (code, out) == (0, "/|test|-x|") and "installing chromium with apt-get" in errors
    assert asked.read_text().split() == ["install", "-y", "-qq", "--no-install-recommends", "chromium"]
    assert copy.start("test") == (0, "/|test|", "")
    assert len(asked.read_text().splitlines()) == 1


@pytest.mark.parametrize("user", ["root", "somebody"])
def test_tests_without_a_browser_begin_and_say_the_next_step(copy: Copy, user: str) -> None:
    on_debian(copy, user=user, apt_get='echo "no route to the packages" >&2; exit 1')
    code, out, errors = copy.start("test")
    assert (code, out) == (0, "/|test|")
    assert "Next step: " in errors and "apt-get" in errors and "chromium" in errors


def test_a_browser_that_one_can_do_without_is_not_asked_for(copy: Copy) -> None:
    on_debian(copy, user="root", apt_get="exit 1")
    copy.settings["KHATA_ALLOW_NO_BROWSER"] = "1"
    code, out, errors = copy.start("test")
    assert (code, out) == (0, "/|test|") and "chromium" not in errors.lower()


@pytest.mark.parametrize("locking", ["flock", "link", "stale link"])
def test_two_at_once_install_once(copy: Copy, locking: str) -> None:
    if locking != "flock":
        without_flock(copy)
    if locking == "stale link":
        (copy.root / "var").mkdir()
        (copy.root / "var" / "launcher.lock.held").symlink_to("process-999999999")
    processes = [copy.begin(name, pause="0.5") for name in ("one", "two", "three")]
    ended = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [out for out, _ in ended] == ["/|one|", "/|two|", "/|three|"]
    assert sum("waiting for it" in errors for _, errors in ended) == 2
    assert len(copy.installs()) == 2
