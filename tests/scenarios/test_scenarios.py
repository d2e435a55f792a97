"""Every folder given_*: its cases.csv through the real `khata tariff price`, held against expected.csv or _error.txt.

Money in expected.csv was worked out apart from the kernel, in exact fractions. It changes only with a tariff or kernel
entry in the changelog.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDERS = sorted(folder.name for folder in HERE.glob("given_*"))


@pytest.mark.parametrize("name", FOLDERS)
def test_scenario(name: str, tmp_path: Path) -> None:
    folder = HERE / name
    assert len((folder / "README.md").read_text(encoding="utf-8").splitlines()) == 2
    output = tmp_path / "out.csv"
    command = [Path(sys.executable).with_name("khata"), "tariff", "price", "--input", "cases.csv", "--output", output]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    error = folder / "expected_error.txt"
    if error.exists():
        assert (ended.returncode, ended.stderr) == (2, error.read_text(encoding="utf-8"))
        assert list(tmp_path.iterdir()) == [], "something half-written remains"
    else:
        assert ended.returncode == 0, ended.stderr
        assert output.read_bytes().decode() == (folder / "expected.csv").read_bytes().decode()
        assert list(tmp_path.iterdir()) == [output]


def test_there_are_scenarios() -> None:
    assert len(FOLDERS) >= 8
