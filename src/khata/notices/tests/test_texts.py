"""The registry, its lint, the part counter, and the codes at the end of each text."""

import math
import random
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.kernel.yaml_text import OrderError
from khata.notices.rules import (
    BILL_ISSUED,
    CHECK_ALPHABET,
    LANGUAGES,
    PAYMENT_TAKEN,
    REGISTRY,
    SIGN_IN_CODE,
    TEMPLATES,
    Template,
    UnsendableError,
    check_code,
    check_code_typed,
    dlt_text,
    faults,
    longest_text,
    parts,
    read_templates,
    registered,
    shown_text,
    sign_in_code,
    text_of,
    units,
)

KEY = b"a key of the tests"
SCAMS = Path(__file__).with_name("scams.txt").read_text(encoding="utf-8").splitlines()
NONCE = "0123456789abcdef" * 2


@dataclass
class Row:
    template: str = "bill-issued"
    values: list[str] = field(default_factory=lambda: ["1234", "234850", "2024-06-23"])
    language: str = "en"
    id: int = 7


# -- the registry ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_keeps_the_rules_and_is_one_part_at_its_longest(name: str) -> None:
    assert faults(TEMPLATES[name]) == []
    for language in LANGUAGES:
        text = longest_text(TEMPLATES[name], language)
        assert parts(text) == 1
        assert len(text) <= (70 if language == "hi" else 160)


def test_variables_stand_as_those_who_queue_give_them() -> None:
    assert BILL_ISSUED.variables == ("tail", "money", "date")
    assert PAYMENT_TAKEN.variables == ("tail", "money", "date", "receipt")
    assert SIGN_IN_CODE.variables == ("code",)


BILL = "Electricity account ..{tail}: bill Rs {money}, pay by {date}. Our only phone number is 1912. Check code {check}"
assert BILL_ISSUED.text["en"] == BILL

SABOTAGE = {
    "a link": (BILL.replace("1912", "1912 or see bijli.example"), "has a link"),
    "a short link": (BILL.replace("1912", "1912, goo.gl/x"), "has a link"),
    "a mobile": (BILL.replace("1912", "98765 43210"), "number to call"),
    "a mobile in Devanagari digits": (BILL.replace("1912", "९८७६५४३२१०"), "number to call"),
    "a second number": (BILL.replace("1912", "1912 or 1800 123 456"), "number to call"),
    "a longer number that begins like ours": (BILL.replace("1912", "19123"), "number to call"),
    "a payment handle": (BILL.replace("1912", "bijli@okbank"), "payment handle"),
    "an app": (BILL.replace("1912", "bijli apk"), "an app"),
    "immediately": (BILL.replace("pay by", "pay immediately by"), "hurries"),
    "tonight": (BILL.replace("pay by", "pay tonight by"), "hurries"),
    "tonight, cut by an invisible sign": (BILL.replace("pay by", "pay to\u200bnight by"), "hurries"),
    "tonight in wide letters": (BILL.replace("pay by", "pay ｔｏｎｉｇｈｔ by"), "hurries"),
    "officer": (BILL.replace("Our only", "The Officer's only"), "hurries"),
    "तुरंत": (BILL.replace("pay by", "तुरंत"), "hurries"),
    "आज रात": (BILL.replace("pay by", "आज रात"), "hurries"),
    "अधिकारी": (BILL.replace("pay by", "अधिकारी"), "hurries"),
    "asking for the code": (BILL.replace("pay by", "tell us the code by"), "asks for"),
    "no tail": (BILL.replace(" ..{tail}", ""), "does not tell the tail"),
    "no amount": (BILL.replace("{money}", "1"), "does not tell the money"),
    "no date": (BILL.replace("{date}", "now"), "does not tell the date"),
    "no check code": (BILL.replace(" Check code {check}", ""), "does not end with the check code"),
    "something after the check code": (f"{BILL}. Bye", "does not end with the check code"),
    "a place nobody fills": (f"{{name}} {BILL}", "has places for"),
    "two parts": (BILL.replace("Our", "Our " + "good old " * 10), "signs of one part"),
    "one sign that makes it Unicode": (BILL.replace("Rs ", "₹"), "signs of one part"),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_sabotaged_template_is_found(name: str) -> None:
    text, fault = SABOTAGE[name]
    spoilt = replace(BILL_ISSUED, text={**BILL_ISSUED.text, "en": text})
    assert text != BILL
    assert [found for found in faults(spoilt) if found.startswith("en: ") and fault in found]


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        (replace(BILL_ISSUED, longest={**BILL_ISSUED.longest, "money": 31}), "money is longer than 30"),
        (replace(BILL_ISSUED, longest={**BILL_ISSUED.longest, "money": 15}), "hi: takes 71 of the 70 signs"),
        (replace(BILL_ISSUED, variables=("money", "tail", "date")), "not the first variable"),
        (replace(BILL_ISSUED, matter="sign-in"), "en: speaks of money"),
        (
            replace(SIGN_IN_CODE, text={**SIGN_IN_CODE.text, "en": "{code} to sign in. Check code {check}"}),
            "en: does not say “staff never ask”",
        ),
        (
            replace(SIGN_IN_CODE, text={**SIGN_IN_CODE.text, "hi": "{code}, कर्मचारी कभी नहीं पूछते। जाँच {check}"}),
            "hi: does not say “लॉगिन”",
        ),
    ],
)
def test_what_is_registered_wrongly_is_found(spoilt: Template, fault: str) -> None:
    assert [found for found in faults(spoilt) if fault in found]


@pytest.mark.parametrize("text", SCAMS)
def test_a_text_of_the_fraud_is_neither_ours_nor_could_become_it(text: str) -> None:
    assert registered(text) is None
    ours = text_of(Row(), KEY)
    assert registered(ours) and registered(f"{text} {ours}") is None and registered(f"{ours} {text}") is None
    dressed = text.replace("..1234", "..{tail}")
    dressed = dressed if "{tail}" in dressed else f"..{{tail}} {dressed}"
    spoilt = replace(BILL_ISSUED, text={**BILL_ISSUED.text, "en": f"{dressed} {{money}} {{date}} {{check}}"})
    # Dressed with all that a text of ours must carry, its own words still betray it.
    assert [found for found in faults(spoilt) if re.match("en: (has a[n ]|hurries|asks)", found)]


def test_the_corpus_of_the_fraud_is_a_corpus() -> None:
    assert len(set(SCAMS)) >= 40


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("dlt: service-implicit\n  matter: money", "matter: money", "'dlt' is missing"),
        ("matter: sign-in", "matter: fun", "'fun' is not known"),
        ("stale_after: 300 s", "stale_after: 5 min", "not a whole number"),
        ("stale_after: 300 s", "urgent: yes", "'urgent' is not known"),
        ("{kind: tail, longest: 4}", "{kind: name, longest: 4}", "'name' is not known"),
        ("{kind: tail, longest: 4}", "{kind: date, longest: 4}", "stands twice"),
        ("payment-taken:", "bill-issued:", "stands twice"),
        ("    hi:", "    ur:", "'hi' is missing"),
    ],
)
def test_the_registry_is_read_strictly(before: str, after: str, what: str) -> None:
    text = REGISTRY.read_text(encoding="utf-8")
    assert before in text
    with pytest.raises(OrderError, match=what):
        read_templates(file="templates.yaml", text=text.replace(before, after, 1))


# -- making a text -----------------------------------------------------------------------------------------------------


def test_texts_as_people_get_them() -> None:
    code = check_code(7, KEY)
    assert text_of(Row(language="hi"), KEY) == f"खाता ..1234 बिजली बिल ₹2,348.50, देय 23-06-24। 1912 जाँच: {code}"
    paid = Row("payment-taken", ["1234", "10000000", "2024-06-23", "K07-000123"], "hi")
    assert text_of(paid, KEY) == f"खाता ..1234 ₹1,00,000.00 जमा 23-06-24, रसीद K07-000123, जाँच {code}"
    asked = Row("sign-in-code", [NONCE], "hi")
    digits = sign_in_code(NONCE, KEY)
    assert text_of(asked, KEY) == f"बिजली खाते का लॉगिन कोड {digits}। कर्मचारी कभी नहीं पूछते। जाँच {code}"


def test_a_credit_is_nothing_to_pay() -> None:
    assert "Rs 0.00," in text_of(Row(values=["1234", "-5000", "2024-06-23"]), KEY)
    with pytest.raises(UnsendableError, match="below 0"):
        text_of(Row("payment-taken", ["1234", "-5000", "2024-06-23", "K07-000123"]), KEY)


def test_a_code_of_eight_digits_and_its_hiding() -> None:
    eight = Row("sign-in-code", [f"8:{NONCE}"])
    assert text_of(eight, KEY).startswith(f"{sign_in_code(NONCE, KEY, 8)} is the code")
    assert len(sign_in_code(NONCE, KEY, 8)) == 8
    assert shown_text(eight, KEY).startswith("•••••••• is the code")
    assert shown_text(Row(), KEY) == text_of(Row(), KEY)


@given(st.integers(0, 10**12), st.dates(), st.sampled_from(LANGUAGES), st.integers(1, 2**62))
def test_a_text_is_made_whole_or_not_at_all(paise: int, day: object, language: str, number: int) -> None:
    row = Row(values=["0047", str(paise), str(day)], language=language, id=number)
    if paise >= 10_00_00_000_00:
        with pytest.raises(UnsendableError, match="longer than 14"):
            text_of(row, KEY)
        return
    text = text_of(row, KEY)
    assert parts(text) == 1
    assert registered(text) == ("bill-issued", language)
    assert text.endswith(check_code(number, KEY))
    assert registered(f"{text} ") is None and registered(text.replace("1912", "1913")) is None


@pytest.mark.parametrize(
    "row",
    [
        Row("no-such"),
        Row(language="ur"),
        Row(values=["1234", "234850"]),
        Row(values=["123", "234850", "2024-06-23"]),
        Row(values=["12345", "234850", "2024-06-23"]),
        Row(values=["1234", "2348.50", "2024-06-23"]),
        Row(values=["1234", "", "2024-06-23"]),
        Row(values=["1234", "9" * 30, "2024-06-23"]),
        Row(values=["1234", "234850", "2024-06-31"]),
        Row(values=["1234", "234850", "tonight"]),
        Row("payment-taken", ["1234", "1", "2024-06-23", "call 98765"]),
        Row("payment-taken", ["1234", "1", "2024-06-23", "9876543210"]),
        Row("payment-taken", ["1234", "1", "2024-06-23", "bit.ly/x"]),
        Row("payment-taken", ["1234", "1", "2024-06-23", "K07-000123456"]),
        Row("payment-taken", ["1234", "1", "2024-06-23", ""]),
        Row("sign-in-code", ["123456"]),
        Row("sign-in-code", [f"7:{NONCE}"]),
    ],
)
def test_what_the_network_would_scrub_is_not_made(row: Row) -> None:
    with pytest.raises(UnsendableError) as refused:
        text_of(row, KEY)
    assert "98765" not in str(refused.value)  # values are somebody's


def test_what_is_registered_has_the_operators_places() -> None:
    text = dlt_text(BILL_ISSUED, "hi")
    assert text == "खाता ..{#var#} बिजली बिल ₹{#var#}, देय {#var#}। 1912 जाँच: {#var#}"


# -- parts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),  # 76 in a part of 153: one unit is left, and no sign is cut
        ("€" * 153, 3),
        ("क" * 70, 1),
        ("क" * 71, 2),
        ("क" * 134, 2),
        ("क" * 135, 3),
        ("a" * 70 + "₹", 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
    ],
)
def test_parts_are_counted_as_networks_do(text: str, count: int) -> None:
    assert parts(text) == count


@given(st.text(alphabet=st.sampled_from("aZ9é€[^\n@Δ"), max_size=700) | st.text(max_size=400))
def test_the_law_of_parts(text: str) -> None:
    taken, single, several = units(text)
    if single == 70:
        assert taken == len(text.encode("utf-16-le", "surrogatepass")) // 2
    count = parts(text)
    if taken <= single:
        assert count == (1 if text else 0)
    else:
        # A sign of two units may leave one unit of a part empty.
        assert math.ceil(taken / several) <= count <= math.ceil(taken / (several - 1))
    assert parts(text + "a") >= count


# -- codes -------------------------------------------------------------------------------------------------------------


def test_the_alphabet_has_no_two_signs_that_look_alike() -> None:
    assert len(set(CHECK_ALPHABET)) == 32
    assert not set("OILU") & set(CHECK_ALPHABET)


@given(st.integers(1, 2**62), st.binary(min_size=1, max_size=64))
def test_a_check_code_is_six_signs_and_understood_however_it_is_read(message: int, key: bytes) -> None:
    code = check_code(message, key)
    assert len(code) == 6 and set(code) <= set(CHECK_ALPHABET)
    worn = code.lower().replace("0", "o").replace("1", "l")
    assert check_code_typed(f" {worn[:3]}-{worn[3:]} ") == code


@pytest.mark.parametrize("typed", ["", "ABC23", "ABC2345", "ABC23!", "ABC23é", "<b>", "१२३"])
def test_what_cannot_be_a_check_code(typed: str) -> None:
    assert check_code_typed(typed) is None


def test_digits_of_another_script_are_digits_of_a_check_code() -> None:
    assert check_code_typed("ab१२३४") == "AB1234"


def test_check_codes_spread_evenly() -> None:
    codes = [check_code(number, KEY) for number in range(20_000)]
    assert len(set(codes)) > 19_990
    for place in range(6):
        counts = [sum(code[place] == sign for code in codes) for sign in CHECK_ALPHABET]
        assert min(counts) > 500 and max(counts) < 750


def test_none_of_a_lakh_of_forged_codes_is_that_of_a_message() -> None:
    guess = random.Random(20240623)
    theirs = {check_code(7, KEY)}
    forged = ["".join(guess.choices(CHECK_ALPHABET, k=6)) for _ in range(100_000)]
    assert theirs.isdisjoint(forged)


@given(st.text("0123456789abcdef", min_size=32, max_size=32), st.sampled_from([6, 8]))
def test_a_sign_in_code_is_digits_and_of_nonce_and_key(nonce: str, many: int) -> None:
    code = sign_in_code(nonce, KEY, many)
    assert re.fullmatch(rf"[0-9]{{{many}}}", code, re.ASCII)
    assert sign_in_code(nonce, KEY, many) == code
    assert any(sign_in_code(nonce, KEY + bytes([n]), many) != code for n in range(3))
