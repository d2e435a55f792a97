"""The README's pictures are of the pages as they are: `make pictures` takes them, the suite compares shapes."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from playwright.sync_api import Page

from tests.browser.kanpur import Kanpur
from tests.browser.places import bill_of, of_the_wave

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
TAKE = "KHATA_PICTURES"
ALL_TOGETHER, LIKE = 5_000_000, 0.15  # bytes; share by which a height may differ, as letters differ between machines
PAPER_WIDTH = 800


def screen(who: str, path: Callable[[Kanpur], str], *, width: int, language: str) -> Callable[[Kanpur], bytes]:
    """A whole page, as a screen of its height would show it."""

    def take(kanpur: Kanpur) -> bytes:
        with kanpur.context(width=width, language=language, who=who) as context:
            page = context.new_page()
            page.goto(kanpur.site + path(kanpur))
            return whole(page, width)

    return take


def whole(page: Page, width: int) -> bytes:
    page.evaluate("document.activeElement.blur(), document.fonts.ready.then(() => 0)")
    page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
    return page.screenshot()


def paper(who: str, path: Callable[[Kanpur], str], link: str) -> Callable[[Kanpur], bytes]:
    """The first sheet of a document that a page links to."""

    def take(kanpur: Kanpur) -> bytes:
        with kanpur.context(width=360, language="hi", who=who) as context:
            page = context.new_page()
            page.goto(kanpur.site + path(kanpur))
            address = page.locator(link).first.get_attribute("href")
            sheet = pypdfium2.PdfDocument(io.BytesIO(context.request.get(f"{kanpur.site}{address}").body()))[0]
            picture = sheet.render(scale=PAPER_WIDTH / sheet.get_width(), rev_byteorder=True)
            return png(picture.width, picture.height, picture.to_numpy()[:, :, :3].tobytes())

    return take


def png(width: int, height: int, rgb: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgb[at : at + 3 * width] for at in range(0, len(rgb), 3 * width))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def size(picture: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


TAKEN = {
    "home-hi-360": screen("owing", lambda _: "/", width=360, language="hi"),
    "home-en-1280": screen("owing", lambda _: "/", width=1280, language="en"),
    "bill-hi-360": screen("owing", bill_of, width=360, language="hi"),
    "pay-hi-360": screen("owing", lambda _: "/pay/", width=360, language="hi"),
    "pay-hi-1280": screen("cashier", lambda kanpur: kanpur.found["pay"], width=1280, language="hi"),
    "receipt-hi-1280": screen("cashier", lambda kanpur: kanpur.found["receipt"], width=1280, language="hi"),
    "held-hi-1280": screen("officer", lambda _: "/staff/held/", width=1280, language="hi"),
    "bill-pdf": paper("owing", lambda _: "/bills/", "a[href$='/pdf/']"),
    "numbers-hi-360": screen("", lambda _: "/numbers/", width=360, language="hi"),
    "number-hi-360": screen("", lambda _: "/number/", width=360, language="hi"),
    "wave-hi-1280": screen("central", lambda _: of_the_wave(), width=1280, language="hi"),
    "exceptions-en-1280": screen("central", lambda _: of_the_wave("exceptions/"), width=1280, language="en"),
    "slips-pdf": paper(
        "officer", lambda kanpur: of_the_wave(f"divisions/{kanpur.division.id}/door/"), "a[href*='/slips/']"
    ),
    "usage-hi-360": screen("owing", lambda _: "/usage/", width=360, language="hi"),
    "usage-en-1280": screen("owing", lambda _: "/usage/", width=1280, language="en"),
    "why-hi-360": screen("owing", lambda kanpur: f"{bill_of(kanpur)}why/", width=360, language="hi"),
}
# A real day of each home that has half-hours, as docs/real-days.md shows them.
REAL_DAYS = {"BR02": "2023-07-11", "BR04": "2023-12-26", "BR24": "2023-12-04", "BR34": "2023-05-31"}


def of_a_home(household: str, path: str, *, width: int, language: str) -> Callable[[Kanpur], bytes]:
    """As the person behind this household's first connection sees it."""

    def take(kanpur: Kanpur) -> bytes:
        one = next(each for each in kanpur.made.visitors if each.title.startswith(f"{household}:"))
        kanpur.keep(household, lambda page: kanpur.sign_in_consumer(page, one.mobile, one.account_number))
        return screen(household, lambda _: path, width=width, language=language)(kanpur)

    return take


for _home, _day in REAL_DAYS.items():
    for _width, _language in ((360, "hi"), (1280, "en")):
        _name = f"{_home}-{{}}-{_language}-{_width}"
        TAKEN[_name.format("day")] = of_a_home(_home, f"/usage/day/{_day}/", width=_width, language=_language)
        TAKEN[_name.format("month")] = of_a_home(_home, f"/usage/month/{_day[:7]}/", width=_width, language=_language)


@pytest.mark.parametrize("name", TAKEN)
def test_a_picture_is_true(peopled: Kanpur, name: str) -> None:
    taken, kept = TAKEN[name](peopled), PICTURES / f"{name}.png"
    if os.environ.get(TAKE) == "1":
        PICTURES.mkdir(exist_ok=True)
        kept.write_bytes(taken)
    assert kept.exists(), f"{kept.name} was never taken. Next step: make pictures"
    (width, height), (kept_width, kept_height) = size(taken), size(kept.read_bytes())
    assert width == kept_width
    assert abs(height - kept_height) <= LIKE * kept_height, (
        f"the page has changed. Next step: make pictures, look at {name}"
    )


def test_pictures_are_few_and_small() -> None:
    kept = list(PICTURES.glob("*"))
    assert {path.name for path in kept} == {f"{name}.png" for name in TAKEN}
    assert sum(path.stat().st_size for path in kept) < ALL_TOGETHER
