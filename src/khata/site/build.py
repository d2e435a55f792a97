"""What the web serves and nobody commits: the font's subset, the PNG icons, compiled Hindi, collected static files.

Each output has a stamp under `var/build/stamps`, made of the hashes of its inputs, of this module and of the libraries'
versions; what is up to date costs a hash. One build at a time (a lock in `var/build`); files appear whole, by rename.
"""

import fcntl
import hashlib
import io
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import django
import fontpkg
import typst
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

SITE = Path(__file__).resolve().parent
EMBLEM = SITE.parent / "display" / "static" / "khata" / "emblem.svg"
CATALOGUE = SITE / "locale" / "hi" / "LC_MESSAGES" / "django.po"

WEIGHTS = (400, 700)
# Devanagari as Hindi writes it (with nukta letters, ळ and both digits), ASCII and the signs on pages and bills.
# Letters of other languages come from the phone's own font: they would cost every visitor another 17 KB.
HINDI = (
    (0x0901, 0x0903), (0x0905, 0x090B), (0x090D, 0x090D), (0x090F, 0x0911), (0x0913, 0x0928), (0x092A, 0x0930),
    (0x0932, 0x0933), (0x0935, 0x0939), (0x093C, 0x0943), (0x0945, 0x0945), (0x0947, 0x0949), (0x094B, 0x094D),
    (0x0950, 0x0950), (0x0958, 0x0960), (0x0964, 0x0970),
)  # fmt: skip
SIGNS = "₹·–—…×−≤✓°“”‘’\u00a0\u200c\u200d\u25cc"
LETTERS = frozenset(
    [*range(0x20, 0x7F), *(letter for first, last in HINDI for letter in range(first, last + 1)), *map(ord, SIGNS)]
)
# Features that only serve other languages (locl), or that no page switches on.
LEFT_OUT = frozenset({"aalt", "locl", "ss01"})
SCRIPTS = ["DFLT", "latn", "dev2"]
NAMES = [0, 1, 2, 4, 6, 13, 14]  # copyright, family, style, full and PostScript name, licence: OFL asks to keep it

# A launcher may cut a maskable icon to a circle of 80 %: there the drawing is smaller and the ground reaches the edges.
ICON = """#set page(width: {size}pt, height: {size}pt, margin: 0pt, fill: {ground})
#place(center + horizon, image("{emblem}", width: {share}%))
"""


@dataclass(frozen=True)
class Output:
    """One file that is made: where (below `var/build`), from which files and libraries, and how."""

    path: str
    inputs: tuple[Path, ...]
    libraries: tuple[str, ...]
    make: Callable[[], bytes]


def build(*, var: Path, say: Callable[[str], None]) -> None:
    """Brings `var/build` up to date, then Django's STATIC_ROOT from it. Django must be set up. Says what it makes.

    Raises what the libraries raise when an input is broken; then the older outputs stay as they were.
    """
    folder = var / "build"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"):
        for output in outputs():
            _bring_up_to_date(output, folder=folder, say=say)
        _collect(folder=folder, say=say)


def compile_words(*, var: Path) -> None:
    """Brings the compiled Hindi alone up to date: who speaks a word before it is there speaks English until the end."""
    folder = var / "build"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"):
        _bring_up_to_date(_words(), folder=folder, say=lambda _: None)


def _words() -> Output:
    return Output("locale/hi/LC_MESSAGES/django.mo", (CATALOGUE,), ("babel",), _catalogue)


def outputs() -> list[Output]:
    """All that is made beside the collected static files."""
    return [
        Output("static/khata/devanagari.woff2", (_font_file(),), ("fonttools", "brotli"), _font),
        *(_icon(name, size=size, share=share, ground=ground) for name, size, share, ground in _ICONS),
        _words(),
    ]


_ICONS = [
    ("icon-192.png", 192, 100, "none"),
    ("icon-512.png", 512, 100, "none"),
    ("icon-512-maskable.png", 512, 72, 'rgb("#f5a800")'),
]


def _font_file() -> Path:
    return Path(fontpkg.family("noto-sans-devanagari").files[0].path)


def _font() -> bytes:
    """The variable font with Hindi alone, weights 400 to 700, as WOFF2."""
    font = TTFont(_font_file(), recalcTimestamp=False)
    tables = [font[tag].table.FeatureList.FeatureRecord for tag in ("GSUB", "GPOS")]
    options = subset.Options()
    options.layout_features = sorted({record.FeatureTag for table in tables for record in table} - LEFT_OUT)
    options.layout_scripts = SCRIPTS
    options.name_IDs = NAMES
    options.hinting = False
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=LETTERS)
    subsetter.subset(font)
    instancer.instantiateVariableFont(font, {"wdth": 100, "wght": WEIGHTS}, inplace=True)
    font.flavor = "woff2"
    made = io.BytesIO()
    font.save(made)
    return made.getvalue()


def _icon(name: str, *, size: int, share: int, ground: str) -> Output:
    def draw() -> bytes:
        source = ICON.format(size=size, ground=ground, share=share, emblem=EMBLEM.name)
        options = {"root": str(EMBLEM.parent), "format": "png", "ppi": 72, "ignore_system_fonts": True}
        return bytes(typst.compile(source.encode(), **options))  # type: ignore[call-overload]  # its types: one kind of path

    return Output(f"static/khata/{name}", (EMBLEM,), ("typst",), draw)


def _catalogue() -> bytes:
    """Compiled Hindi. A fuzzy entry is left out: better English than a wrong word."""
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="hi", abort_invalid=True)
    made = io.BytesIO()
    write_mo(made, catalogue)
    return made.getvalue()


# ── up to date or not ──


def _bring_up_to_date(output: Output, *, folder: Path, say: Callable[[str], None]) -> None:
    target, stamp = folder / output.path, _stamp(folder, output.path)
    wanted = _key(output.inputs, output.libraries)
    if stamp.is_file() and target.is_file() and stamp.read_text() == f"{wanted} {_digest(target.read_bytes())}":
        return
    say(f"Making {target.name}…")
    content = output.make()
    _put(target, content)
    _put(stamp, f"{wanted} {_digest(content)}".encode())


def _collect(*, folder: Path, say: Callable[[str], None]) -> None:
    """Django's collectstatic, only when a source changed. Names carry a hash: older files stay, for older pages."""
    stamp, manifest = _stamp(folder, "static"), Path(settings.STATIC_ROOT) / "staticfiles.json"
    wanted = _key(tuple(_static_sources()), ("django", "whitenoise", "brotli"), str(settings.STORAGES))
    if stamp.is_file() and manifest.is_file() and stamp.read_text() == f"{wanted} {_digest(manifest.read_bytes())}":
        return
    say("Collecting static files…")
    call_command("collectstatic", interactive=False, verbosity=0)
    _put(stamp, f"{wanted} {_digest(manifest.read_bytes())}".encode())


def _static_sources() -> Iterator[Path]:
    for finder in get_finders():
        for name, storage in finder.list([]):
            yield Path(storage.path(name))


def _stamp(folder: Path, name: str) -> Path:
    return folder / "stamps" / name.replace("/", "--")


def _key(inputs: tuple[Path, ...], libraries: tuple[str, ...], more: str = "") -> str:
    parts = [_digest(Path(__file__).read_bytes()), more, *(f"{name} {version(name)}" for name in libraries)]
    parts += sorted(f"{path.name} {_digest(path.read_bytes())}" for path in inputs)
    return _digest("\n".join(parts).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits for another build to end; the lock goes with its process, however that ends."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """`python -m khata.site.build`: what the command line calls, which stands below this room."""
    build(var=settings.KHATA_VAR, say=lambda text: print(text, file=sys.stderr))  # noqa: T201


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khata.site.settings")
    django.setup()
    main()
