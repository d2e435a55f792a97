"""The registered templates, and the one function that makes a text of them. No text goes out that is not of these."""

import datetime as dt
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, cast, get_args

from khata.display.account import parted
from khata.display.money import amount
from khata.formats.text import digits, iso_date, shown
from khata.kernel.yaml_text import Node, parse

VariableKind: TypeAlias = Literal["tail", "money", "date", "code", "receipt", "old", "account", "mobile"]
Matter: TypeAlias = Literal["money", "sign-in", "number", "access", "safety"]

REGISTRY = Path(__file__).with_name("templates.yaml")
LANGUAGES = ("hi", "en")
DLT_KINDS = ("service-implicit",)
LONGEST_VARIABLE = 30  # characters, as DLT allows

# Thirty-two signs, so that each carries five bits. Of those that look alike one is in: O is read as 0, I and L as 1.
CHECK_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHECK_LENGTH = 6
_LOOK_ALIKES = str.maketrans({"O": "0", "I": "1", "L": "1", "U": "V", " ": "", "-": ""})

_SHAPES: dict[VariableKind, str] = {  # of a variable in the finished text
    "tail": r"[0-9]{4}",
    "money": r"[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}\.[0-9]{2}|[0-9]{1,3}\.[0-9]{2}",
    "date": r"[0-9]{2}-[0-9]{2}-[0-9]{2}",
    "code": r"[0-9]{6}|[0-9]{8}",
    "receipt": r"[A-Z0-9](?:[A-Z0-9/-]*[A-Z0-9])?",
    "old": r"[0-9]{6,8}",
    "mobile": r"[0-9]{4}",  # its last four digits
    "account": r"[0-9]{2} [0-9]{4} [0-9]{4}",  # cut so that neither an eye nor a filter takes it for a mobile
}
_CHECK_SHAPE = f"[{CHECK_ALPHABET}]{{{CHECK_LENGTH}}}"
_NONCE = re.compile(r"(?:([68]):)?([0-9a-f]{16,64})")
_MOBILE = re.compile(r"(?<![0-9])[6-9][0-9]{9}(?![0-9])")
_PLACEHOLDER = re.compile(r"\{([a-z]*)\}")


class UnsendableError(ValueError):
    """No text can be made of a message: what is wrong. Its values are not repeated, as they are somebody's."""


@dataclass(frozen=True)
class Template:
    """`text` by language. `variables` are the kinds of a message's values in their order; {check} is not among them.

    `longest` is in characters of the finished text. `credit` stands for an amount below 0; None refuses one.
    """

    name: str
    variables: tuple[VariableKind, ...]
    text: Mapping[str, str]
    longest: Mapping[VariableKind, int]
    matter: Matter
    dlt: str = "service-implicit"
    credit: str | None = None
    stale_after_seconds: int | None = None


class MessageLike(Protocol):
    """What a text is made of; `models.Message` is one."""

    id: int
    template: str
    language: str
    values: list[str]


# -- the registry ------------------------------------------------------------------------------------------------------


def read_templates(*, file: str, text: str) -> dict[str, Template]:
    """The templates of a file. Raises OrderError with the line for a key or value that is unknown or missing."""
    return {name: _template(name, node) for name, node in parse(file, text).keys.items()}


def _template(name: str, node: Node) -> Template:
    rows = node.take("variables").items
    stale = node.take_if("stale_after")
    texts = node.take("text")
    variables = tuple(cast(VariableKind, _one_of(row.take("kind"), get_args(VariableKind))) for row in rows)
    longest = {kind: _whole(row.take("longest"), "") for kind, row in zip(variables, rows, strict=True)}
    credit = [row.take_if("credit") for row in rows]
    made = Template(
        name=name,
        variables=variables,
        text={language: texts.take(language).text for language in LANGUAGES},
        longest=longest,
        matter=cast(Matter, _one_of(node.take("matter"), get_args(Matter))),
        dlt=_one_of(node.take("dlt"), DLT_KINDS),
        credit=next((found.text for found in credit if found), None),
        stale_after_seconds=_whole(stale, " s") if stale else None,
    )
    for part in (node, texts, *rows):
        part.done()
    if len(longest) != len(variables):
        raise node.error("a kind of variable stands twice", "A text names each kind once; add another kind if needed")
    return made


def _one_of(node: Node, known: Sequence[str]) -> str:
    if node.text not in known:
        raise node.error(f"{node.text!r} is not known here", f"Choose one of {', '.join(known)}")
    return node.text


def _whole(node: Node, unit: str) -> int:
    found = re.fullmatch(rf"([1-9][0-9]{{0,5}}){unit}", node.text, re.ASCII)
    if not found:
        raise node.error(f"{node.text!r} is not a whole number above 0{' of' + unit if unit else ''}", "Mend it")
    return int(found[1])


TEMPLATES: dict[str, Template] = read_templates(file=REGISTRY.name, text=REGISTRY.read_text(encoding="utf-8"))
BILL_ISSUED = TEMPLATES["bill-issued"]
PAYMENT_TAKEN = TEMPLATES["payment-taken"]
SIGN_IN_CODE = TEMPLATES["sign-in-code"]
NEW_NUMBER = TEMPLATES["new-number"]
NUMBER_WITHDRAWN = TEMPLATES["number-withdrawn"]
MOBILE_CHANGE = TEMPLATES["mobile-change"]
VIEW_GIVEN = TEMPLATES["view-given"]
VIEW_RECEIVED = TEMPLATES["view-received"]


# -- codes -------------------------------------------------------------------------------------------------------------


def sign_in_code(nonce: str, key: bytes, digits: int = 6) -> str:
    """The digits that a nonce (hexadecimal) stands for: six, or eight where guessing is to be made harder."""
    digest = hmac.digest(key, b"sign-in:" + nonce.encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:8]) % 10**digits:0{digits}d}"


def check_code(message: int, key: bytes) -> str:
    """The short proof that a message with this id is ours."""
    return short_code(b"message", str(message), key)


def short_code(purpose: bytes, what: str, key: bytes) -> str:
    """Six signs that only the holder of the key can make of something: 30 bits of an HMAC. Each purpose has its own."""
    digest = hmac.digest(key, purpose + b":" + what.encode(), hashlib.sha256)
    bits = int.from_bytes(digest[:4]) >> 2
    return "".join(CHECK_ALPHABET[bits >> (5 * place) & 31] for place in reversed(range(CHECK_LENGTH)))


def check_code_typed(text: str) -> str | None:
    """A short code as somebody reads it off a phone or paper, in any case and digits; None if it cannot be one."""
    code = digits(text).upper().translate(_LOOK_ALIKES)
    return code if re.fullmatch(_CHECK_SHAPE, code) else None


# -- making the text ---------------------------------------------------------------------------------------------------


def text_of(message: MessageLike, key: bytes) -> str:
    """The text of a message, to the letter of its registered template. Masks nothing: whom to show it is not its care.

    Raises UnsendableError for a template that is not registered, and for values that the network would scrub.
    """
    template, told = _checked(message)
    if "code" in told:
        many, nonce = _nonce(told["code"])
        told["code"] = sign_in_code(nonce, key, many)
    return filled(template, message.language, {**told, "check": check_code(message.id, key)})


def shown_text(message: MessageLike, key: bytes) -> str:
    """The text as a list of messages may show it: a code of sign-in is not seen there."""
    template, told = _checked(message)
    if "code" in told:
        told["code"] = "•" * _nonce(told["code"])[0]
    return filled(template, message.language, {**told, "check": check_code(message.id, key)})


def _checked(message: MessageLike) -> tuple[Template, dict[str, str]]:
    template = TEMPLATES.get(message.template)
    if template is None:
        raise UnsendableError(f"no template is registered as {shown(message.template)}")
    if message.language not in template.text:
        raise UnsendableError(f"template {template.name} is not registered in {shown(message.language)}")
    return template, told_values(template=template, values=message.values)


def told_values(*, template: Template, values: Sequence[str]) -> dict[str, str]:
    """Each variable as the text tells it; of a code still its nonce. Raises UnsendableError."""
    if len(values) != len(template.variables):
        raise UnsendableError(f"template {template.name} has {len(template.variables)} variables, not {len(values)}")
    return {kind: _told(template, kind, value) for kind, value in zip(template.variables, values, strict=True)}


def _told(template: Template, kind: VariableKind, value: str) -> str:
    if kind == "code":
        _nonce(value)
        return value
    shapers: dict[str, Callable[[str], str]] = {
        "money": lambda paise: _money(template, paise),
        "date": _date,
        "account": _account,
    }
    told = shapers[kind](value) if kind in shapers else value
    if not re.fullmatch(_SHAPES[kind], told) or _MOBILE.search(told):
        raise UnsendableError(f"the {kind} of {template.name} has not the form that is registered")
    if len(told) > template.longest[kind]:
        raise UnsendableError(f"the {kind} of {template.name} is longer than {template.longest[kind]} characters")
    return told


def _nonce(value: str) -> tuple[int, str]:
    """A stored code: `<nonce>`, or `8:<nonce>` where it has eight digits."""
    found = _NONCE.fullmatch(value)
    if not found:
        raise UnsendableError(
            "the nonce of a code must be 16 to 64 hexadecimal digits in lower case, or 8: before them"
        )
    return int(found[1] or 6), found[2]


def _money(template: Template, value: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise UnsendableError(f"the money of {template.name} is not a whole number of paise")
    paise = int(value)
    if paise < 0 and template.credit is None:
        raise UnsendableError(f"the money of {template.name} is below 0")
    return template.credit if paise < 0 and template.credit is not None else amount(paise)


def _date(value: str) -> str:
    try:
        day = iso_date(value)
    except ValueError:
        raise UnsendableError("the date is not one of the calendar, written year-month-day") from None
    return f"{day:%d-%m-%y}"


def _account(value: str) -> str:
    """Ten digits in groups; anything else stays, and is refused for its form."""
    return parted(value.replace(" ", ""))


def filled(template: Template, language: str, told: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: told[found[1]], template.text[language])


def longest_text(template: Template, language: str) -> str:
    """The text with every variable at its maximum."""
    told: dict[str, str] = {str(kind): "9" * most for kind, most in template.longest.items()}
    return filled(template, language, {**told, "check": "W" * CHECK_LENGTH})


def dlt_text(template: Template, language: str) -> str:
    """The text as it is registered with the operator."""
    return _PLACEHOLDER.sub("{#var#}", template.text[language])


def registered(text: str) -> tuple[str, str] | None:
    """Name and language of the template that a finished text is of, to the letter; None for any other text."""
    for template in TEMPLATES.values():
        for language in template.text:
            if _pattern(template, language).fullmatch(text):
                return template.name, language
    return None


def _pattern(template: Template, language: str) -> re.Pattern[str]:
    shapes: dict[str, str] = {str(kind): shape for kind, shape in _SHAPES.items()} | {"check": _CHECK_SHAPE}
    pieces = _PLACEHOLDER.split(template.text[language])  # words, kind, words, kind, … words
    return re.compile(
        "".join(f"(?:{shapes[piece]})" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces))
    )


# -- attempts ----------------------------------------------------------------------------------------------------------

# The wait after each failed attempt; after the last there is none.
PAUSES = (dt.timedelta(seconds=30), dt.timedelta(minutes=2), dt.timedelta(minutes=10), dt.timedelta(hours=1))
ATTEMPTS = len(PAUSES) + 1


def stale(template: Template, *, made_at: dt.datetime, now: dt.datetime) -> bool:
    """Whether a message came too late to be sent at all."""
    seconds = template.stale_after_seconds
    return seconds is not None and now - made_at > dt.timedelta(seconds=seconds)


# -- parts -------------------------------------------------------------------------------------------------------------

# The alphabet of an ordinary SMS, seven bits a sign; those of the second line take two.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM_ROOM, _UCS2_ROOM = (160, 153), (70, 67)  # of a message in one part, and of each of several


def units(text: str) -> tuple[int, int, int]:
    """What a text takes, the room of a single part, and of each of several: in GSM-7 signs, else in UCS-2 ones."""
    widths = _widths(text)
    return sum(widths), *(_GSM_ROOM if _is_gsm(text) else _UCS2_ROOM)


def parts(text: str) -> int:
    """As how many messages a phone network sends, and bills, this text. A sign of two units is never cut."""
    taken, single, several = units(text)
    if taken <= single:
        return 1 if text else 0
    count, room = 1, several
    for width in _widths(text):
        if width > room:
            count, room = count + 1, several
        room -= width
    return count


def _is_gsm(text: str) -> bool:
    return _GSM.issuperset(text) or (_GSM | _GSM_EXTENSION).issuperset(text)


def _widths(text: str) -> list[int]:
    if _is_gsm(text):
        return [2 if sign in _GSM_EXTENSION else 1 for sign in text]
    return [2 if ord(sign) > 0xFFFF else 1 for sign in text]


# -- lint: what keeps our messages unlike those of the "power cut tonight" fraud ---------------------------------------

_FORBIDDEN_WORDS = re.compile(
    r"immediate|urgent|tonight|officer|तुरंत|तुरन्त|तत्काल|फ़ौरन|फौरन|आज\s*रात|अधिकारी|अफ़सर|अफसर", re.IGNORECASE
)
_LINK = re.compile(r"https?|://|www\b|[a-z0-9]\.[a-z]|\bdot\s+com|click|tap here|क्लिक|लिंक|\blink", re.IGNORECASE)
_HANDLE = re.compile(r"@|\bupi\b|यूपीआई|\bpaytm\b|\bphonepe\b|\bgpay\b|whats\s?app|व्हाट्सऐप|व्हाट्सएप", re.IGNORECASE)
_APP = re.compile(
    r"\bapk\b|\bapps?\b|ऐप|एप्प?\b|download|डाउनलोड|install|इंस्टॉल|anydesk|teamviewer|quick\s?support", re.IGNORECASE
)
_ASKING = re.compile(r"\bshare\b|\btell\b|\breply\b|\botp\b|ओटीपी|बता(एँ|एं|इए|इये|ओ)", re.IGNORECASE)
_SIGN = r"[\s().\-+]{0,3}"
_NUMBER = re.compile(rf"[0-9](?:{_SIGN}[0-9])*")
_MONEY_WORDS = re.compile(
    r"₹|\brs\b|\binr\b|rupee|रुपय|रुपए|\bbill|बिल(?!ि)|\bdues?\b|बकाया|\bpay|भुगतान|जमा", re.IGNORECASE
)
_HELPLINE = "1912"
_SAID_AT_SIGN_IN = {"hi": ("लॉगिन", "कर्मचारी", "कभी नहीं पूछते"), "en": ("to sign in", "staff never ask")}
_MUST: dict[Matter, tuple[VariableKind, ...]] = {
    "money": ("tail", "money", "date"),
    "sign-in": ("code",),
    "number": ("old",),
    "access": ("tail", "mobile"),
    "safety": ("tail",),
}


def faults(template: Template) -> list[str]:
    """Why a template must not be registered; none if it may. Each begins with the language where it has one."""
    found = [
        f"{kind} is longer than {LONGEST_VARIABLE}" for kind, n in template.longest.items() if n > LONGEST_VARIABLE
    ]
    if "tail" in template.variables and template.variables[0] != "tail":
        found.append("the tail is not the first variable, where the check of a message looks for it")
    for language, text in template.text.items():
        found += [f"{language}: {what}" for what in (*_missing(template, language), *_content(text))]
        if not _wrong_places(template, text):
            found += [f"{language}: {what}" for what in _too_long(template, language)]
        if template.matter != "money" and _MONEY_WORDS.search(text):
            found.append(f"{language}: speaks of money, but is not registered as a money matter")
    return found


def _missing(template: Template, language: str) -> list[str]:
    text = template.text[language]
    found = _wrong_places(template, text)
    found += [f"does not tell the {kind}" for kind in _MUST[template.matter] if f"{{{kind}}}" not in text]
    if not text.endswith("{check}"):
        found.append("does not end with the check code")
    if template.matter == "sign-in":
        found += [f"does not say “{said}”" for said in _SAID_AT_SIGN_IN[language] if said not in text]
    return found


def _wrong_places(template: Template, text: str) -> list[str]:
    places = sorted(_PLACEHOLDER.findall(text))
    wanted = sorted((*template.variables, "check"))
    return [] if places == wanted else [f"has places for {', '.join(places) or 'nothing'}, not {', '.join(wanted)}"]


def _content(text: str) -> list[str]:
    """What the words themselves do wrong, places for variables aside."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    words = digits(_PLACEHOLDER.sub("\N{OBJECT REPLACEMENT CHARACTER}", plain))
    looks = {
        "has a link": _LINK,
        "has a payment handle or a messenger": _HANDLE,
        "has an app or a file to install": _APP,
        "hurries or frightens": _FORBIDDEN_WORDS,
        "asks for an answer or a secret": _ASKING,
    }
    found = [f"{what}: {shown(hit[0])}" for what, look in looks.items() if (hit := look.search(words))]
    numbers = (re.sub(r"[^0-9]", "", number) for number in _NUMBER.findall(words))
    strange = [number for number in numbers if len(number) > 2 and number != _HELPLINE]
    return found + [f"has a number to call other than {_HELPLINE}: {number}" for number in strange]


def _too_long(template: Template, language: str) -> list[str]:
    text = longest_text(template, language)
    taken, room, _ = units(text)
    return [] if parts(text) == 1 else [f"takes {taken} of the {room} signs of one part"]
