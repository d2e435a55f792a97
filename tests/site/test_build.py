"""What the build makes: a font with every letter of Hindi, icons, compiled Hindi, static files; each once."""

import gettext
import io
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import override_settings
from fontTools.ttLib import TTFont

from khata.site import build as made
from khata.site.build import CATALOGUE, build

FONT = "static/khata/devanagari.woff2"
LARGEST_FONT = 70_000
LARGEST_SHEET = 6 * 1024
# Conjuncts, nukta letters, reph, ra below, matras that reorder: words that a bad subset breaks first.
HARD_WORDS = (
    "विद्युत ज्ञानेन्द्र उज्ज्वल हृदय ट्रांसफ़ॉर्मर श्रीमती कृष्णा द्वारा क्षेत्र "
    "त्रैमासिक सिद्धार्थ चिट्ठी ब्राह्मण बुद्धि शृंगार र्‍याल कर्तव्य आश्चर्य ऑनलाइन "
    "ढूँढ़ें पढ़ाई फ़्लोर ज़्यादा ग़लत ख़र्च क़ानून अड्डा गाड़ी उत्तर सन्नाटा प्रश्न विश्व "
    "संस्था अँधेरा ऋण ॐ दुःख कार्यालय लक्ष्मी पद्म प्रह्लाद अपराह्न चिह्न ह्रास रुपये रूप "
    "ऊर्जा १२३ ₹1,23,456.50 “बिल” ‘खाता’ 8–9 × −7% 20° … ·"
)
FEATURES = {"akhn", "rphf", "rkrf", "blwf", "half", "cjct", "pres", "abvs", "blws", "psts", "nukt"}


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the build ran once."""
    folder = tmp_path_factory.mktemp("var")
    sources = [source for source in settings.STATICFILES_DIRS if not Path(source).is_relative_to(settings.KHATA_VAR)]
    with override_settings(STATIC_ROOT=folder / "static", STATICFILES_DIRS=[*sources, folder / "build" / "static"]):
        build(var=folder, say=lambda _: None)
        yield folder


def run(var: Path) -> list[str]:
    said: list[str] = []
    build(var=var, say=said.append)
    return said


def test_the_font_has_every_letter_of_hard_words(var: Path) -> None:
    letters = set(TTFont(var / "build" / FONT).getBestCmap())
    assert {letter for letter in HARD_WORDS if ord(letter) not in letters} == set()


def test_the_font_keeps_what_shapes_conjuncts_and_places_marks(var: Path) -> None:
    font = TTFont(var / "build" / FONT)
    substitutions = {record.FeatureTag for record in font["GSUB"].table.FeatureList.FeatureRecord}
    positions = {record.FeatureTag for record in font["GPOS"].table.FeatureList.FeatureRecord}
    assert FEATURES - substitutions == set()
    assert {"abvm", "blwm"} - positions == set()
    assert "dev2" in {record.ScriptTag for record in font["GSUB"].table.ScriptList.ScriptRecord}


def test_the_font_has_one_axis_and_fits_the_budget(var: Path) -> None:
    path = var / "build" / FONT
    axes = [(axis.axisTag, axis.minValue, axis.maxValue) for axis in TTFont(path)["fvar"].axes]
    assert axes == [("wght", 400, 700)]
    assert path.stat().st_size <= LARGEST_FONT


@pytest.mark.parametrize(
    ("name", "size"), [("icon-192.png", 192), ("icon-512.png", 512), ("icon-512-maskable.png", 512)]
)
def test_icons_are_pictures_of_their_size(var: Path, name: str, size: int) -> None:
    picture = (var / "build" / "static" / "khata" / name).read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", picture[16:24]) == (size, size)


def test_compiled_hindi_says_what_the_catalogue_says(var: Path) -> None:
    compiled = (var / "build" / "locale" / "hi" / "LC_MESSAGES" / "django.mo").read_bytes()
    hindi = gettext.GNUTranslations(io.BytesIO(compiled))
    assert hindi.gettext("Old number") == "पुराना नंबर"
    assert hindi.gettext("September") == "सितंबर"


def test_the_catalogue_is_whole() -> None:
    with CATALOGUE.open("rb") as file:
        messages = [message for message in read_po(file, locale="hi") if message.id]
    assert [message.id for message in messages if message.fuzzy or not message.string] == []
    assert [(message.id, list(message.check())) for message in messages if list(message.check())] == []


def test_no_message_stands_twice_in_the_catalogue() -> None:
    heads = [block.split("\nmsgstr")[0] for block in CATALOGUE.read_text(encoding="utf-8").split("\n\n")]
    keys = ["\n".join(line for line in head.split("\n") if not line.startswith("#")) for head in heads]
    assert sorted({key for key in keys if key and keys.count(key) > 1}) == []


def test_collected_sheets_name_the_hashed_font_and_fit_the_budget(var: Path) -> None:
    collected = var / "static" / "khata"
    fonts = [path.name for path in collected.glob("devanagari.*.woff2")]
    sheet = next(path for path in collected.glob("fonts.*.css"))
    assert len(fonts) == 1
    assert sheet.read_text().count(fonts[0]) == 3
    assert next(collected.glob("khata.*.css.br")).stat().st_size <= LARGEST_SHEET
    assert not [path.name for path in collected.glob("*.css") if "/*" in path.read_text(encoding="utf-8")]


def test_a_second_build_makes_nothing(var: Path) -> None:
    assert run(var) == []


def test_what_is_lost_or_spoilt_is_made_anew(var: Path) -> None:
    (var / "build" / "static" / "khata" / "icon-192.png").write_bytes(b"half a pict")
    (var / "static" / "staticfiles.json").unlink()
    assert run(var) == ["Making icon-192.png…", "Collecting static files…"]
    assert run(var) == []


def test_a_changed_input_is_noticed(var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "django.po"
    changed.write_text(CATALOGUE.read_text(encoding="utf-8") + '\n\nmsgid "planted"\nmsgstr "बोया"\n', encoding="utf-8")
    monkeypatch.setattr(made, "CATALOGUE", changed)
    assert run(var) == ["Making django.mo…"]
    monkeypatch.undo()
    assert run(var) == ["Making django.mo…"]


def test_two_builds_at_once_make_it_once(var: Path) -> None:
    (var / "build" / "locale" / "hi" / "LC_MESSAGES" / "django.mo").unlink()
    with ThreadPoolExecutor(2) as pool:
        said = [line for lines in pool.map(run, [var, var]) for line in lines]
    assert said == ["Making django.mo…"]
    assert [path.name for path in (var / "build").rglob(".*")] == []
