"""The processes that make print files. They are spawned, never forked (Typst's threads do not survive that), and set up
Django before any of its models is imported: so this module imports none at its top."""

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_OURS = re.compile(r"[0-9]+-[0-9]{12,}")  # office and first bill
LIST = ".csv"  # beside each file: which bill is on which page. Written last, it says that the file is whole


@dataclass(frozen=True)
class PrintFile:
    """Some bills of one office for one file of a folder. `language` None: each in its consumer's own."""

    folder: Path
    office: int
    bills: tuple[int, ...]
    language: str | None


def begin() -> None:
    """Once in each process."""
    # lazy: the process that spawns this one needs no second setup, and imports no model through here
    import django  # noqa: PLC0415

    django.setup()


def make(task: PrintFile) -> tuple[int, list[str]]:
    """Make one file and its list; returns how many bills are in it, and what went wrong with each of the others.

    A bill that cannot be shown is left out, so that the others are printed. The file is named after the first that is
    in it: a later file with those left out never takes the name of this one.
    """
    # lazy: Django is set up by now
    from khata.billing.documents import bill_paper, bills_pdf, company_paper  # noqa: PLC0415
    from khata.billing.models import Bill  # noqa: PLC0415

    papers, troubles = [], []
    bills = Bill.objects.select_related("connection__discom", "connection__consumer").filter(id__in=task.bills)
    for bill in bills.order_by("id"):
        connection = bill.connection
        language = task.language or connection.consumer.language
        try:
            company = company_paper(connection.discom)
            papers.append(bill_paper(bill, language="en" if language == "en" else "hi", company=company))
        except Exception as trouble:
            troubles.append(f"bill {bill.number}: {type(trouble).__name__}")
    if papers:
        numbers = [paper.view.bill_number for paper in papers]
        path = task.folder / f"{task.office}-{numbers[0]}.pdf"
        _write(path, bills_pdf(papers))
        _write(path.with_suffix(LIST), _listed(numbers))
    return len(papers), troubles


def clear(folder: Path) -> None:
    """Remove what a killed process left: drafts, and files without a list, whose bills would be printed twice."""
    for draft in folder.glob(".*.part"):
        draft.unlink()
    for one, other in ((".pdf", LIST), (LIST, ".pdf")):
        for path in folder.glob(f"*{one}"):
            if _OURS.fullmatch(path.stem) and not path.with_suffix(other).is_file():
                path.unlink()


def printed(folder: Path) -> set[str]:
    """The numbers of the bills that are in whole files of a folder."""
    found: set[str] = set()
    for path in folder.glob(f"*{LIST}"):
        if path.with_suffix(".pdf").is_file():
            with path.open(encoding="utf-8", newline="") as file:
                found.update(row["bill"] for row in csv.DictReader(file))
    return found


def _listed(numbers: Sequence[str]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["page", "bill"])
    rows.writerows(enumerate(numbers, start=1))
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk before it has its name."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
