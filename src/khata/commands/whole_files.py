"""Files in and out: a whole file or none, so that nothing half-written remains."""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from khata.commands.errors import CommandError
from khata.formats.text import FormatError

STANDARD = "-"


@contextlib.contextmanager
def reading(name: str) -> Iterator[BinaryIO]:
    """The file's bytes (`-` is standard input); a FormatError on the way is told with the file's name."""
    try:
        with contextlib.ExitStack() as stack:
            file = sys.stdin.buffer if name == STANDARD else stack.enter_context(open(name, "rb"))
            yield file
    except FormatError as error:
        raise dataclasses.replace(error, where="standard input" if name == STANDARD else name) from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if error.filename != name:
            raise
        raise CommandError(_reason(error), name, "Name a file that can be read") from None


@contextlib.contextmanager
def writing(name: str) -> Iterator[IO[str]]:
    """Text that appears under its name when the block ends well, and not at all when it does not."""
    target = Path(os.path.realpath(name))
    if name == STANDARD or (target.exists() and not target.is_file() and not target.is_dir()):
        with _handed_over(name) as file:  # a pipe or a device cannot be replaced: it gets the text at the end
            yield file
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.is_dir():
            raise IsADirectoryError(0, "this is a folder")
        file = open(draft, "x", encoding="utf-8", newline="")  # noqa: SIM115  # closed below, before it is renamed
    except OSError as error:
        raise CommandError(_reason(error), name, "Name a file in a folder that can be written") from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _handed_over(name: str) -> Iterator[IO[str]]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
        yield file
        file.seek(0)
        with contextlib.ExitStack() as stack:
            out = sys.stdout if name == STANDARD else stack.enter_context(open(name, "w", encoding="utf-8", newline=""))
            while text := file.read(1 << 20):
                out.write(text)


def _reason(error: OSError) -> str:
    return "there is no such file or folder" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
