"""Every word of the pages stands in Hindi: nothing missing, fuzzy or left over, and nothing broken by it."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.utils.translation.template import templatize

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = REPOSITORY / "src" / "khata"
HINDI = CODE / "site" / "locale" / "hi" / "LC_MESSAGES" / "django.po"

# Django's own extraction makes one call a message of a template, and blanks out all else.
_NAMES = {"_", "gettext", "gettext_lazy", "pgettext", "pgettext_lazy", "ngettext", "npgettext"}
_BLANK = re.compile(r"%\((\w+)\)s|\{(\w*)\}")


def template_messages(text: str) -> Iterator[tuple[str | None, str]]:
    """(context, message) of each message of a template."""
    plain = templatize(text)
    for call in re.finditer(r"\b(n?p?gettext)\(", plain):
        try:
            tree = ast.parse(f"{call[1]}({_balanced(plain[call.end() :])})", mode="eval")
        except SyntaxError:
            continue
        yield from _of_call(tree.body)


def _balanced(text: str) -> str:
    """Up to the bracket that closes the call."""
    depth, quote, skip = 1, "", False
    for at, character in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return text[:at]
    return text


def code_messages(text: str) -> Iterator[tuple[str | None, str]]:
    for node in ast.walk(ast.parse(text)):
        yield from _of_call(node)


def _of_call(node: ast.AST) -> Iterator[tuple[str | None, str]]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in _NAMES:
        return
    words = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    context = words.pop(0) if node.func.id.startswith(("pgettext", "npgettext")) else None
    if words:
        yield context, words[0]


@functools.cache
def used() -> dict[tuple[str | None, str], str]:
    found = {}
    for path in sorted(CODE.rglob("templates/**/*")):
        if path.suffix in {".html", ".webmanifest"}:
            for message in template_messages(path.read_text(encoding="utf-8")):
                found[message] = str(path.relative_to(CODE))
    for path in sorted(CODE.rglob("*.py")):
        if "tests" not in path.parts and "migrations" not in path.parts:
            for message in code_messages(path.read_text(encoding="utf-8")):
                found[message] = str(path.relative_to(CODE))
    return found


# Django's own Hindi of these is misspelt; ours stands before it, in case something of the framework's prints them.
CORRECTED = {"September", "November", "December", "Monday", "Thursday"}


@functools.cache
def hindi() -> dict[tuple[str | None, str], tuple[str, bool]]:
    """(context, message, of a plural the singular) → (Hindi, all forms of a plural; whether it is fuzzy)."""
    found = {}
    with HINDI.open("rb") as file:
        for each in read_po(file):
            if each.id:
                forms = each.string if isinstance(each.string, tuple) else (each.string,)
                message = each.id[0] if isinstance(each.id, tuple) else each.id
                found[each.context, message] = " ".join(forms) if all(forms) else "", each.fuzzy
    return found


def test_messages_are_found_where_they_stand() -> None:
    template = (
        "{% load i18n %}{% translate 'One' %}{% blocktranslate trimmed with a=b %}Two\n {{ a }}{% endblocktranslate %}"
    )
    assert set(template_messages(template)) == {(None, "One"), (None, "Two %(a)s")}
    assert set(code_messages("_('Three'); pgettext('of a number', 'Four')")) == {
        (None, "Three"),
        ("of a number", "Four"),
    }


def test_every_message_stands_in_hindi() -> None:
    known = hindi()
    missing = {message: where for message, where in used().items() if not known.get(message, ("", False))[0]}
    assert not missing, "\n".join(f"{where}: {message}" for (_, message), where in missing.items())


def test_nothing_is_fuzzy_or_left_over() -> None:
    asked = used()
    assert len(asked) > 100
    assert not [message for message, (_, fuzzy) in hindi().items() if fuzzy]
    assert not [message for message in hindi() if message not in asked and message[1] not in CORRECTED]


@pytest.mark.parametrize("message", sorted(hindi(), key=str), ids=lambda each: each[1][:40])
def test_hindi_keeps_what_is_filled_in(message: tuple[str | None, str]) -> None:
    text = hindi()[message][0]
    assert set(_BLANK.findall(text)) == set(_BLANK.findall(message[1]))
    assert sorted(re.findall(r"</?\w+", text)) == sorted(re.findall(r"</?\w+", message[1]))
    assert re.search("[\u0900-\u097f]", text) or text == message[1], "no Devanagari in it"
