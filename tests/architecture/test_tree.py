"""What every file of the repository keeps to: links lead somewhere, and nothing names one machine or one registry."""

import re
from collections.abc import Callable
from pathlib import Path

from .house import REPOSITORY, repository_files

LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|#", re.IGNORECASE)

# Put together here, so that this file does not contain what it looks for.
MACHINE_FOLDERS = ("wo" + "rk", "ro" + "ot", "ho" + "me")
MACHINE_PATH = re.compile(r"(?<![\w.\-/*}>\])])/(?:" + "|".join(MACHINE_FOLDERS) + r")/[\w.]")
REGISTRIES = tuple(
    name + "." + ending
    for name, ending in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("proxy.golang", "org"),
        ("deb.debian", "org"),
    ]
)


def broken_links(text: str, exists: Callable[[str], bool]) -> list[str]:
    """Link targets inside the repository that do not exist; code blocks are not looked at."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    targets = (found.split("#")[0] for found in LINK.findall(prose) if not OUTSIDE.match(found))
    return [target for target in targets if not exists(target)]


def machine_paths(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if MACHINE_PATH.search(line)]


def registry_hosts(text: str) -> list[str]:
    return [host for host in REGISTRIES if host in text]


def text_of(path: Path) -> str:
    """The file's text; nothing for a file that is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_links_lead_to_files() -> None:
    pages = [path for path in repository_files() if path.suffix == ".md"]
    assert pages
    broken = [
        f"{name_of(page)} -> {target}"
        for page in pages
        for target in broken_links(text_of(page), lambda target, page=page: (page.parent / target).exists())  # type: ignore[misc]
    ]
    assert broken == []


def test_a_broken_link_is_found() -> None:
    text = "[a](there.md#part) [b](gone.md) [c](https://example.in/x) [d](#here) `[e](code.md)`"
    assert broken_links(text, {"there.md"}.__contains__) == ["gone.md"]


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [f"{name_of(path)}: {line[:100]}" for path in repository_files() for line in machine_paths(text_of(path))]
    assert found == []


def test_a_machine_path_is_found() -> None:
    for folder in MACHINE_FOLDERS:
        assert machine_paths(f'open("/{folder}/main/x.csv")')
        assert machine_paths(f"see /{folder}/a")
        assert not machine_paths(f"khata/{folder}/README.md, ../{folder}/README.md and {{root}}/{folder}/x")


def test_no_file_names_a_registry() -> None:
    found = [f"{name_of(path)}: {host}" for path in repository_files() for host in registry_hosts(text_of(path))]
    assert found == []


def test_a_registry_is_found() -> None:
    for host in REGISTRIES:
        assert registry_hosts(f"--index-url https://{host}/simple") == [host]
