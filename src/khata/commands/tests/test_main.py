"""The `khata` console script: finding commands, telling errors, exit codes."""

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from khata.commands.errors import CommandError, explained
from khata.commands.main import BAD_INPUT, COMMANDS, DONE, main

KHATA = Path(sys.executable).with_name("khata")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_has_its_module(name: str) -> None:
    assert importlib.util.find_spec(COMMANDS[name].module) is not None


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == DONE
    assert capsys.readouterr().out == f"khata {importlib.metadata.version('khata')}\n"
    assert main(["--help"]) == DONE
    shown = capsys.readouterr().out
    assert all(command.summary in shown for command in COMMANDS.values())
    assert main([]) == BAD_INPUT


def test_an_unknown_command_suggests_near_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tarif"]) == BAD_INPUT
    assert capsys.readouterr().err.startswith(
        "khata: there is no command 'tarif'.\nNext step: Did you mean khata tariff"
    )
    assert main(["qqqq"]) == BAD_INPUT
    assert "Commands are: bench, bill" in capsys.readouterr().err


def test_an_unknown_action_suggests_near_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["tariff", "chek"])
    assert left.value.code == BAD_INPUT
    assert "Did you mean check?" in capsys.readouterr().err


def test_an_unknown_option_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["tariff", "show", "--colour"])
    assert left.value.code == BAD_INPUT
    assert "--colour" in capsys.readouterr().err


def test_only_the_chosen_command_is_loaded() -> None:
    code = (
        "import sys; from khata.commands.main import main; main(['--version']); "
        "print([name for name in ('django', 'numpy', 'yaml', 'khata.commands.tariff') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"'{KHATA}' tariff show --as-printed | head -n 1"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stdout.count("\n") == 1 and ended.stderr == ""


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    assert explained(ZeroDivisionError()) is None
    error = CommandError("it is broken", "file x", "Mend it")
    assert explained(error) == "khata: file x: it is broken.\nNext step: Mend it."
    assert str(CommandError("it is broken")) == "khata: it is broken."
