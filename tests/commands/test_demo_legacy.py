"""`khata demo legacy`: whole files or none, beside nothing else."""

import csv
import json
from pathlib import Path

import pytest

from khata.commands.main import main
from khata.rehearsal.flaws import KINDS


def test_it_writes_files_and_keys_and_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "files"
    assert (
        main(["demo", "legacy", "--accounts", "300", "--dirt", "2.5%", "--seed", "3", "--out", str(out), "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said["accounts"] == 300
    assert {*said["rows"]} == {*KINDS}
    for kind in KINDS:
        lines = sum(len(file.read_bytes().split(b"\n")) - 1 for file in out.glob(f"{kind}_*.csv"))
        assert lines >= said["rows"][kind]
    with open(out / "planted.csv", encoding="utf-8", newline="") as file:
        assert sum(said["planted"].values()) == len(list(csv.DictReader(file)))
    with open(out / "planted_parallel.csv", encoding="utf-8", newline="") as file:
        assert sum(said["parallel"].values()) == len(list(csv.DictReader(file)))
    assert list(tmp_path.iterdir()) == [out]


def test_without_dirt_nothing_is_to_be_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "legacy", "--accounts", "100", "--dirt", "0", "--out", str(tmp_path / "files")]) == 0
    assert "planted.csv: 0 rows to be found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--accounts", "99"), "a company has 100 to 1000000 accounts here, not 99"),
        (("--accounts", "1000001"), "not 1000001"),
        (("--dirt", "20.1%"), "'20.1%' is not a share of 0% to 20%"),
        (("--dirt", "much"), "Write --dirt as 1% or 0.5%"),
        (("--seed", "-1"), "a seed is 0 or more"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    wrong: tuple[str, str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "legacy", "--out", str(tmp_path / "files"), *wrong]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    assert main(["demo", "legacy", "--out", str(tmp_path)]) == 2
    assert "Name a folder that is new or empty" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
