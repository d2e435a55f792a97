"""What the architecture tests know of the tree: where things are, and the ladder as `.importlinter` states it."""

import configparser
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

import khata

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = Path(khata.__file__).resolve().parent
SKIPPED = {".git", ".venv", "var", "__pycache__"}


def read_ladder(text: str) -> tuple[tuple[str, ...], ...]:
    """The rungs of the layers contract, highest first; packages that share a rung may not see each other."""
    config = configparser.ConfigParser()
    config.read_string(text)
    rungs = config["importlinter:contract:ladder"]["layers"].split("\n")
    return tuple(tuple(name.strip() for name in rung.split("|")) for rung in rungs if rung.strip())


LADDER = read_ladder((REPOSITORY / ".importlinter").read_text(encoding="utf-8"))
PACKAGES = {name for rung in LADDER for name in rung}
HEIGHT = {name: height for height, rung in enumerate(reversed(LADDER)) for name in rung}
INTERFACES = {name for name in PACKAGES if HEIGHT[name] == HEIGHT["commands"]}
BELOW_INTERFACES = {name for name in PACKAGES if HEIGHT[name] < HEIGHT["commands"]}
DOMAINS = {name for name in PACKAGES if HEIGHT["formats"] < HEIGHT[name] < HEIGHT["rehearsal"]}


def package_of(path: PurePosixPath) -> str:
    """The rung a file stands on: `ledger` for `ledger/models.py`, nothing for a file at the top."""
    return path.parts[0] if len(path.parts) > 1 else ""


def is_inside(path: PurePosixPath, *folders: str) -> bool:
    """Whether one of the file's folders has one of these names."""
    return not set(folders).isdisjoint(path.parts[:-1])


@cache
def code_files() -> tuple[PurePosixPath, ...]:
    """Every file of the package, relative to it, caches aside."""
    found = (path for path in PACKAGE.rglob("*") if path.is_file() and SKIPPED.isdisjoint(path.parts))
    return tuple(sorted(PurePosixPath(path.relative_to(PACKAGE).as_posix()) for path in found))


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that is, or would be, under version control; in a copy without it, every file but the made ones."""
    listing = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names: Iterable[str] = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = (path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.rglob("*"))
    paths = (REPOSITORY / name for name in names if name and SKIPPED.isdisjoint(Path(name).parts))
    return tuple(sorted(path for path in paths if path.is_file()))
