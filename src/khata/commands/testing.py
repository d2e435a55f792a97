"""`khata test`: style, types, ladder, then all tests; the last line is pytest's own. With arguments: pytest with them.

Ends with 0 if everything passed, else with 1.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from khata.commands.errors import CommandError

_CHECKS = {
    "style": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy", "src/khata", "tests/architecture"],
    "ladder": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-logo"],
}
_PYTEST = ["-m", "pytest"]
_EVERYTHING = ["-n", "2", "--dist", "loadfile"]  # a file's tests keep to one worker, which makes its database once
_PROGRAMS = ("pytest", "xdist", "ruff", "mypy", "importlinter")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Everything after `khata test` is pytest's, options too: to this parser nothing looks like an option.
    parser.prefix_chars = ""
    parser.add_argument("arguments", nargs=argparse.REMAINDER)


def run(args: argparse.Namespace) -> int:
    if args.arguments in (["-h"], ["--help"]):
        sys.stdout.write(f"{__doc__}\nusage: khata test [pytest arguments]\n")
        return 0
    root = repository()
    if args.arguments:
        return _passed(_PYTEST, args.arguments, root)
    failed = [name for name, command in _CHECKS.items() if not _check(name, command, root)]
    if failed:
        sys.stdout.write(f"failed so far: {', '.join(failed)}\n")
    # pytest last: its closing line is what the reader of the output looks for
    tests = _passed(_PYTEST, _EVERYTHING, root)
    return 1 if failed else tests


def repository() -> Path:
    """The root with the tests; a CommandError where there is none or its tools are missing."""
    for above in Path(__file__).resolve().parents:
        if (above / "pyproject.toml").is_file() and (above / "tests").is_dir():
            break
    else:
        raise CommandError("the tests are not part of this installation", "", "Run ./khata test in a clone of Khata")
    missing = [name for name in _PROGRAMS if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(f"not installed: {', '.join(missing)}", "", "Run ./khata test once; it installs them")
    return above


def _check(name: str, command: Sequence[str], root: Path) -> bool:
    """Says what it found only where it found something."""
    began = time.monotonic()
    result = subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.stdout.write(result.stdout + result.stderr)
    verdict = "failed" if result.returncode else "passed"
    sys.stdout.write(f"{name:<8}{verdict} in {time.monotonic() - began:.1f} s\n")
    sys.stdout.flush()
    return result.returncode == 0


def _passed(program: Sequence[str], arguments: Sequence[str], root: Path) -> int:
    sys.stdout.flush()
    # The tests set what they need themselves; a business date of the caller's must not reach them.
    environment = {name: value for name, value in os.environ.items() if name not in ("KHATA_TODAY", "KHATA_NOW")}
    done = subprocess.run([sys.executable, *program, *arguments], cwd=root, env=environment, check=False)
    return 1 if done.returncode else 0
