"""The UPI payment link of the NPCI linking specification, and QR codes."""

import io
from urllib.parse import quote, urlencode

import segno

from khata.display.money import plain_rupees

LONGEST_REFERENCE, LONGEST_NOTE = 35, 50
# With the mask chosen by the encoder a code takes four times as long; every mask is read as well.
_MASK = 0


def upi_link(
    *, payee_address: str, payee_name: str, amount_paise: int, reference: str, note: str, merchant_code: str
) -> str:
    """`upi://pay?pa=…&am=2348.00&cu=INR`, every value percent-encoded. An empty merchant code is left out.

    Raises ValueError where the specification would make an app refuse the link: no address, name or reference, a
    reference or note that is too long, an amount that is not above 0.
    """
    if not payee_address or not payee_name or amount_paise <= 0:
        raise ValueError("a UPI link needs the payee's address and name, and an amount above 0")
    if not 0 < len(reference) <= LONGEST_REFERENCE or not reference.isascii() or not reference.isalnum():
        raise ValueError(
            f"a UPI reference has 1 to {LONGEST_REFERENCE} letters and digits, not {len(reference)} or others"
        )
    if len(note) > LONGEST_NOTE:
        raise ValueError(f"a UPI note has at most {LONGEST_NOTE} characters, not {len(note)}")
    values = {
        "pa": payee_address,
        "pn": payee_name,
        "mc": merchant_code,
        "tr": reference,
        "tn": note,
        "am": plain_rupees(amount_paise),
        "cu": "INR",
    }
    known = {name: value for name, value in values.items() if value}
    return "upi://pay?" + urlencode(known, quote_via=quote, safe="@")  # apps want the @ of an address as it is


def qr_svg(text: str) -> str:
    """A QR code as SVG without a margin; the same text always gives the same code."""
    code = segno.make(text, error="m", micro=False, boost_error=False, mask=_MASK)
    drawn = io.BytesIO()
    code.save(drawn, kind="svg", border=0, xmldecl=False, nl=False, omitsize=True)
    return drawn.getvalue().decode()
