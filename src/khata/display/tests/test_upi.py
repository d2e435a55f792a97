"""The payment link keeps what it is given, and refuses what an app would refuse."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khata.display.money import plain_rupees
from khata.display.upi import LONGEST_NOTE, LONGEST_REFERENCE, qr_svg, upi_link

GOOD: dict[str, Any] = {
    "payee_address": "khata.sample@examplebank",
    "payee_name": "Company",
    "amount_paise": 2_348_00,
    "reference": "240600000001R0",
    "note": "Bill 240600000001",
    "merchant_code": "4900",
}


def test_the_link_as_apps_know_it() -> None:
    assert upi_link(**GOOD) == (
        "upi://pay?pa=khata.sample@examplebank&pn=Company&mc=4900&tr=240600000001R0&tn=Bill%20240600000001&am=2348.00&cu=INR"
    )


@given(
    name=st.text(min_size=1, max_size=60),
    note=st.text(max_size=LONGEST_NOTE),
    paise=st.integers(1, 10**12),
    reference=st.from_regex(rf"[A-Za-z0-9]{{1,{LONGEST_REFERENCE}}}", fullmatch=True),
)
def test_whatever_is_put_in_comes_out(name: str, note: str, paise: int, reference: str) -> None:
    link = upi_link(**{**GOOD, "payee_name": name, "note": note, "amount_paise": paise, "reference": reference})
    assert link.isascii() and " " not in link
    found = parse_qs(urlsplit(link).query, strict_parsing=True)
    assert found["pn"] == [name] and found["tr"] == [reference] and found.get("tn", [""]) == [note]
    assert found["am"] == [plain_rupees(paise)] and int(found["am"][0].replace(".", "")) == paise


@pytest.mark.parametrize(
    "wrong",
    [
        {"payee_address": ""},
        {"payee_name": ""},
        {"amount_paise": 0},
        {"amount_paise": -1},
        {"reference": ""},
        {"reference": "A" * 36},
        {"reference": "a b"},
        {"reference": "अ"},
        {"note": "n" * 51},
    ],
)
def test_what_an_app_would_refuse_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="UPI"):
        upi_link(**{**GOOD, **wrong})


def test_no_merchant_code_is_left_out() -> None:
    assert "mc=" not in upi_link(**{**GOOD, "merchant_code": ""})


def test_the_same_text_gives_the_same_code_and_another_another() -> None:
    one = qr_svg("one")
    assert one == qr_svg("one") != qr_svg("two")
    assert one.startswith("<svg") and "<?xml" not in one
