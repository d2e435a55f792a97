"""`khata test` and `khata bench`: what they run, in which order, and how they end."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from khata.commands.main import main

KHATA = Path(sys.executable).with_name("khata")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that were started, none of which really is."""
    started: list[list[str]] = []
    started_instead(monkeypatch, started, fails="")
    return started


def started_instead(monkeypatch: pytest.MonkeyPatch, started: list[list[str]], *, fails: str) -> None:
    def start(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(list(command[1:]))
        return subprocess.CompletedProcess(command, int(fails in command), "wrong here\n", "")

    monkeypatch.setattr(subprocess, "run", start)


def test_arguments_go_to_pytest_alone(ran: list[list[str]]) -> None:
    assert main(["test", "-k", "resolve", "--maxfail=1", "tests/site"]) == 0
    assert ran == [["-m", "pytest", "-k", "resolve", "--maxfail=1", "tests/site"]]


def test_all_checks_come_before_the_tests(ran: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test"]) == 0
    assert [command[1] if command[0] == "-m" else "lint-imports" for command in ran] == [
        "ruff",
        "ruff",
        "mypy",
        "lint-imports",
        "pytest",
    ]
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["style", "passed"],
        ["format", "passed"],
        ["types", "passed"],
        ["ladder", "passed"],
    ]


def test_a_failed_check_does_not_stop_the_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    started_instead(monkeypatch, started, fails="mypy")
    assert main(["test"]) == 1
    assert "pytest" in started[-1]
    out = capsys.readouterr().out
    assert "wrong here" in out
    assert out.endswith("failed so far: types\n")


def test_without_the_engineers_packages_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "xdist" else name)
    assert main(["test"]) == 2
    assert "not installed: xdist.\nNext step: Run ./khata test once" in capsys.readouterr().err


def test_the_last_line_is_pytests_own(tmp_path: Path) -> None:
    sample = tmp_path / "test_sample.py"
    sample.write_text("def test_good(): pass\ndef test_bad(): assert False\n", "utf-8")
    good = subprocess.run([KHATA, "test", "-q", f"{sample}::test_good"], capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert good.stdout.splitlines()[-1].startswith("1 passed in ")
    bad = subprocess.run([KHATA, "test", "-q", str(sample)], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout.splitlines()[-1].startswith("1 failed, 1 passed in ")


def test_help_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--help"]) == 0
    assert "usage: khata test [pytest arguments]" in capsys.readouterr().out
