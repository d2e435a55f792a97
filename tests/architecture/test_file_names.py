"""The same few words inside every package, and none that becomes the place where everything goes."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from .house import DOMAINS, PACKAGE, PACKAGES, code_files, is_inside, package_of

BANNED = {"utils", "util", "helpers", "helper", "common", "services", "managers", "misc", "base"}
BANNED_BUT_DEMANDED = {
    "site/database/base.py",  # Django loads a database backend from a module of this name
    "display/templates/base.html",  # the name under which every Django template looks for its frame
}

WORDS = {"README.md", "__init__.py", "models.py", "queries.py", "operations.py", "rules.py", "events.py", "apps.py"}
FREE_FOLDERS = ("tests", "migrations")
WORDS_WITH_AN_ADR = {
    "discoms/scope.py",
    "jobs/bulk.py",
    "discoms/companies.yaml",
    "billing/facts.py",
    "billing/part.py",
    "billing/release.py",
    "billing/documents.py",
    "billing/change.py",
    "billing/pricing.py",
    "billing/bill.typ",
    "payments/documents.py",
    "payments/receipt.typ",
    "consumers/arrivals.py",
    "consumers/numbers.py",
    "consumers/strong.py",
    "consumers/access.py",
    "notices/templates.yaml",
    "notices/backends/__init__.py",
    "notices/backends/console.py",
    "notices/backends/file.py",
    "notices/backends/http.py",
    "billing/late_days.py",
    "metering/checks.py",
    "metering/edited.py",
    "metering/editing.py",
    "metering/estimating.py",
    "metering/kept.py",
    "metering/nightly.py",
    "metering/scorecard.py",
    "metering/intake.py",
    "metering/senders.py",
    "metering/uploads.py",
    "metering/stored.py",
    "metering/storing.py",
    "metering/readings.py",
    "metering/validation.yaml",
    "migration/rules.yaml",
    "migration/supply_types.yaml",
    "migration/intake.py",
    "migration/judging.py",
    "migration/rollback.py",
    "migration/profiling.py",
    "migration/staging.py",
    "migration/reconciling.py",
    "migration/comparing.py",
    "migration/parallel.py",
    "migration/cutover.py",
    "migration/telling.py",
    "migration/documents.py",
    "migration/list.typ",
    "migration/slip.typ",
}  # ADR 0009, 0006, 0011, 0012, 0013, 0014, 0020


def meaningless_names(files: Iterable[PurePosixPath]) -> list[str]:
    return [
        str(path)
        for path in files
        if not BANNED.isdisjoint((*path.parts[:-1], path.stem)) and str(path) not in BANNED_BUT_DEMANDED
    ]


def strange_words(files: Iterable[PurePosixPath]) -> list[str]:
    """Files of domain packages that are none of the house's words."""
    return [
        str(path)
        for path in files
        if package_of(path) in DOMAINS
        and not is_inside(path, *FREE_FOLDERS)
        and not (path.name in WORDS and len(path.parts) == 2)
        and str(path) not in WORDS_WITH_AN_ADR
    ]


def without_readme(packages: Iterable[str], files: Iterable[PurePosixPath]) -> list[str]:
    present = {str(path) for path in files}
    return sorted(name for name in packages if f"{name}/README.md" not in present)


def paths(*names: str) -> list[PurePosixPath]:
    return [PurePosixPath(name) for name in names]


def test_no_file_or_folder_has_a_meaningless_name() -> None:
    assert meaningless_names(code_files()) == []


def test_a_meaningless_name_is_found() -> None:
    planted = paths(
        "ledger/utils.py", "billing/helpers/tax.py", "site/base.py", "site/database/base.py", "work/rules.py"
    )
    assert meaningless_names(planted) == ["ledger/utils.py", "billing/helpers/tax.py", "site/base.py"]


def test_domain_packages_hold_only_the_words_of_the_house() -> None:
    assert strange_words(code_files()) == []


def test_a_strange_word_is_found() -> None:
    innocent = paths("ledger/models.py", "ledger/tests/books.csv", "discoms/scope.py", "kernel/days.py", "site/urls.py")
    assert strange_words(innocent) == []
    planted = paths("ledger/scope.py", "ledger/models/entry.py", "billing/totals.py")
    assert strange_words(planted) == [str(path) for path in planted]


def test_exceptions_are_still_needed() -> None:
    stale = [name for name in BANNED_BUT_DEMANDED | WORDS_WITH_AN_ADR if not (PACKAGE / name).is_file()]
    assert stale == []


def test_every_package_has_a_readme() -> None:
    assert without_readme(PACKAGES, code_files()) == []


def test_a_missing_readme_is_found() -> None:
    assert without_readme(["ledger", "work"], paths("ledger/README.md", "work/rules.py")) == ["work"]
