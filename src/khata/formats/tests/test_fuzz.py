"""Whatever bytes come, a reader hands on rows, refuses rows or refuses the file, in flat memory, and nothing else."""

import io
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khata.formats import container
from khata.formats.container import FORMS, open_delivery
from khata.formats.tests.fuzz import NAMES, PLANTED, SEEDS, read
from khata.formats.text import FormatError

MARKS = b'\x00\n\r",;:.-+0189AEeNx<>&/[]{}\xff\xe0\xa5\xa7'
FED = 48 << 20
SECONDS = int(os.environ.get("KHATA_TEST_FUZZ_SECONDS") or 0)  # for `make drills`: atheris takes so long


def test_every_form_of_the_table_has_a_good_file_which_is_read() -> None:
    assert SEEDS.keys() == FORMS.keys()
    for form, content in SEEDS.items():
        rows, refused = read(form, content)
        assert rows > 0 and refused == 0, form


@pytest.mark.parametrize("form", NAMES)
@settings(max_examples=20)
@given(st.binary(max_size=300))
def test_any_bytes(form: str, content: bytes) -> None:
    read(form, content)


class Change(NamedTuple):
    """`kind` 0 puts `new` over the bytes at `place`, 1 puts it in, 2 takes bytes out, 3 doubles them, 4 cuts off."""

    kind: int
    place: float
    size: int
    new: bytes


CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from([0, 0, 1, 2, 3, 4]),
        st.floats(0, 1),
        st.integers(1, 40),
        st.lists(st.sampled_from(MARKS), min_size=1, max_size=4).map(bytes) | st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


def changed(content: bytes, changes: list[Change]) -> bytes:
    for kind, place, size, new in changes:
        at = int(place * len(content))
        before, part, after = content[:at], content[at : at + size], content[at + size :]
        content = before + (new + content[at + len(new) :], new + part + after, after, part * 2 + after, b"")[kind]
    return content


@pytest.mark.parametrize("form", NAMES)
@settings(max_examples=25)
@given(CHANGES)
def test_good_files_with_mistakes(form: str, changes: list[Change]) -> None:
    read(form, changed(SEEDS[form], changes))


@pytest.mark.parametrize("form", NAMES)
def test_a_good_file_cut_anywhere(form: str) -> None:
    content, chance = SEEDS[form], random.Random(5)
    for _ in range(15):
        read(form, content[: chance.randrange(len(content))])


def test_a_reader_that_breaks_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(file: io.BytesIO) -> object:
        raise KeyError(file.read(1))

    monkeypatch.setattr("khata.formats.nem12.read_nem12", broken)
    with pytest.raises(KeyError):
        read("nem12", SEEDS["nem12"])


class Endless(io.RawIOBase):
    """The beginning of a file, and then the same bytes over and over."""

    def __init__(self, start: bytes, again: bytes) -> None:
        self.start, self.again, self.count = start, again * (65_536 // len(again)), 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.count > FED:
            return b""
        out, self.start = self.start[:size], self.start[size:]
        out += (self.again * (size // len(self.again) + 1))[: size - len(out)]
        self.count += len(out)
        return out


@pytest.mark.parametrize("form", [name for name in NAMES if name != "parquet"])  # which is read from its end
@pytest.mark.parametrize("again", [b"x", b'"', b"["])
def test_what_never_ends_does_not_fill_the_memory(form: str, again: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_BYTES", FED // 2)
    content = SEEDS[form][: len(SEEDS[form]) * 2 // 3]
    file = Endless(content, again)
    tracemalloc.start()
    try:
        for _ in open_delivery(file, size=None, form=form, name="x", serial="KE1").batches:  # type: ignore[arg-type]
            pass
    except FormatError as error:
        assert error.what
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert file.count > len(content) and peak < 30 << 20


@pytest.mark.parametrize("planted", [False, True])
def test_atheris_finds_nothing_but_what_was_planted(planted: bool, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed: see requirements-dev.txt")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    if planted:
        (corpus / "planted").write_bytes(b"\x00" + PLANTED)
    runs = [] if SECONDS and not planted else ["-atheris_runs=600"]
    limits = [*runs, f"-artifact_prefix={tmp_path}/", "-rss_limit_mb=1500", "-seed=5", "-timeout=20"]
    done = subprocess.run(
        [
            # In between, because a program begins with the peak memory of its parent, and this one's is large.
            *("sh", "-c", '"$@"; exit $?', "sh"),
            sys.executable,
            "-m",
            "khata.formats.tests.fuzz",
            str(corpus),
            f"-max_total_time={SECONDS or 2}",
            *limits,
        ],
        env={**os.environ, "KHATA_FUZZ_PLANTED": "1" if planted else ""},
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
        check=False,
    )
    assert (done.returncode == 0) != planted, done.stderr[-3000:]
    assert ("ZeroDivisionError: planted" in done.stdout + done.stderr) == planted
    assert planted or "Done" in done.stderr
