"""PDF by Typst: the same template and data give the same bytes, in every process and on every machine.

Never fork a process that has typeset something: Typst's own threads do not survive it, and the child hangs. Start new
processes by spawn.
"""

import datetime as dt
import functools
import importlib.resources
import json
import threading
from collections.abc import Mapping
from pathlib import Path

import typst

_FONTS = "fontpkg_noto_sans_devanagari"
_own = threading.local()


def pdf(*, template: Path, data: Mapping[str, object], made: dt.date) -> bytes:
    """The document that `template` makes of `data`, which it reads as `json(bytes(sys.inputs.data))`.

    `made` is the day the document says it was made on. Only the package's own font is used. Raises typst.TypstError if
    the template is wrong.
    """
    moment = dt.datetime.combine(made, dt.time(), tzinfo=dt.UTC)
    inputs = {"data": json.dumps(data, ensure_ascii=False, separators=(",", ":"))}
    made_pdf = _compiler().compile(_source(template), format="pdf", sys_inputs=inputs, timestamp=moment)
    if not isinstance(made_pdf, bytes):
        raise TypeError("Typst gave no document")
    return made_pdf


def _compiler() -> typst.Compiler:
    """One a thread: it keeps fonts and the parsed template, which is most of the time of a first document."""
    found: typst.Compiler | None = getattr(_own, "compiler", None)
    if found is None:
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[_font_folder()])
        found = _own.compiler = typst.Compiler(font_paths=fonts, ignore_system_fonts=True)
    return found


@functools.cache
def _font_folder() -> Path:
    with importlib.resources.as_file(importlib.resources.files(_FONTS)) as folder:
        return folder / "files"


@functools.cache
def _source(template: Path) -> bytes:
    return template.read_bytes()
