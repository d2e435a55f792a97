"""`khata print`: whole files for a printer, made once, and what is missing is made next time."""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from khata.billing import documents
from khata.billing.models import Bill
from khata.commands.print_bills import _planned
from khata.commands.print_worker import clear, make
from tests.cast import KESCO, NAUBASTA, Town, crowd, day, town
from tests.database import Database


@pytest.fixture(scope="module")
def scene(module_database: Database) -> Iterator[Town]:
    built = town()
    crowd(built, 12, seed=5)
    built.run("2024-06")
    yield built


def khata_print(database: Database, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    main = "import sys; from khata.commands.main import main; sys.exit(main())"
    command = [sys.executable, "-c", main, "print", "--discom", KESCO, "--cycle", "2024-06", "--out", str(out)]
    environment = {**database.env(), "KHATA_TODAY": "2024-06-20"}
    return subprocess.run(
        [*command, "--workers", "1", *more], env=environment, capture_output=True, text=True, check=False
    )


def told(done: subprocess.CompletedProcess[str]) -> tuple[int, int, int, int]:
    counts = json.loads(done.stdout)
    return counts["expected"], counts["made"], counts["there"], counts["failed"]


def listed(out: Path) -> list[str]:
    """The bills of all lists, which must agree with the files beside them."""
    numbers = []
    for path in sorted(out.rglob("*.csv")):
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        document = pypdfium2.PdfDocument(path.with_suffix(".pdf"))
        assert len(document) == len(rows)
        for row in rows:
            assert row["bill"] in document[int(row["page"]) - 1].get_textpage().get_text_bounded()
            numbers.append(row["bill"])
    return numbers


def test_every_bill_is_printed_once_and_again_nothing(module_database: Database, scene: Town, tmp_path: Path) -> None:
    bills = sorted(bill.number for bill in Bill.objects.filter(cycle=day("2024-06-01")))
    done = khata_print(module_database, tmp_path, "--per-file", "4")
    assert done.returncode == 0, done.stderr
    count = len(bills)
    assert f"expected {count} = made {count} + already there 0 + failed 0" in done.stdout
    assert "bills on paper" in done.stderr
    assert sorted(listed(tmp_path)) == bills
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pdf")}
    again = khata_print(module_database, tmp_path, "--json")
    assert (again.returncode, told(again)) == (0, (count, 0, count, 0))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pdf")} == before


def test_what_a_killed_run_left_is_made_again_and_its_drafts_go(
    module_database: Database, scene: Town, tmp_path: Path
) -> None:
    first = khata_print(module_database, tmp_path, "--per-file", "4", "--json")
    expected = told(first)[0]
    listing = sorted(tmp_path.rglob("*.csv"))[0]
    lost = len(listing.read_text().splitlines()) - 1
    content = listing.with_suffix(".pdf").read_bytes()
    listing.unlink()  # killed between the file and its list
    draft = listing.with_name(".half.pdf.1.part")
    draft.write_bytes(b"half")
    again = khata_print(module_database, tmp_path, "--per-file", "4", "--json")
    assert told(again) == (expected, lost, expected - lost, 0)
    assert listing.is_file() and listing.with_suffix(".pdf").read_bytes() == content and not draft.exists()


def test_bills_that_cannot_be_drawn_are_printed_later_and_no_other_twice(
    module_database: Database, scene: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first planned bill fails, then another run is killed before its list, then all goes well."""
    bills = list(Bill.objects.filter(cycle=day("2024-06-01")).order_by("id"))
    offices = sorted({bill.connection.division_id for bill in bills})
    drawn, broken = documents.bill_paper, {bills[0].id, bills[-1].id}

    def fails(bill: Bill, **more: Any) -> documents.BillPaper:
        if bill.id in broken:
            raise ValueError("cannot be drawn")
        return drawn(bill, **more)

    def run() -> tuple[int, int]:
        args = argparse.Namespace(cycle=day("2024-06-01"), language="own", per_file=4)
        clear(tmp_path)
        counts, files = _planned(offices, tmp_path, args)
        return counts.there, sum(make(each)[0] for each in files)

    monkeypatch.setattr(documents, "bill_paper", fails)
    assert run() == (0, len(bills) - 2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert run() == (len(bills) - 2, 0)
    broken.clear()
    killed = sorted(tmp_path.glob("*.csv"))[0]
    lost = len(killed.read_text().splitlines()) - 1
    killed.unlink()
    assert run() == (len(bills) - 2 - lost, lost + 2)
    assert sorted(listed(tmp_path)) == [bill.number for bill in bills]
    kept = {path: content for path, content in before.items() if path.stem != killed.stem}
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(list(tmp_path.glob("*.pdf"))) == len(list(tmp_path.glob("*.csv")))


def test_one_division_in_one_language(module_database: Database, scene: Town, tmp_path: Path) -> None:
    done = khata_print(module_database, tmp_path, "--division", NAUBASTA, "--language", "en", "--json")
    expected = Bill.objects.filter(connection__division__name_en=NAUBASTA).count()
    assert expected and told(done) == (expected, expected, 0, 0)
    (folder,) = tmp_path.iterdir()
    texts = [
        page.get_textpage().get_text_bounded() for path in folder.glob("*.pdf") for page in pypdfium2.PdfDocument(path)
    ]
    assert len(texts) == expected and all("Amount payable · देय राशि" in text for text in texts)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--division", "Nowhere"), "has no division"),
        (("--cycle", "2024-05"), "no bills of 2024-05"),
        (("--workers", "0"), "at least 1"),
    ],
)
def test_what_cannot_be_printed_is_told(
    module_database: Database, scene: Town, tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    done = khata_print(module_database, tmp_path, *more)
    assert done.returncode == 2 and words in done.stderr and "Next step" in done.stderr


def test_a_folder_that_cannot_be_written_is_told(module_database: Database, scene: Town, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = khata_print(module_database, blocked)
    assert done.returncode == 2 and "folder that can be written" in done.stderr
