"""What every page keeps to: few bytes, nobody else's host, no fault that axe knows, whole on any screen."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page

from khata.site.policy import POLICY
from tests.browser.kanpur import Kanpur, speak
from tests.browser.places import NOT_PAGES, PLACES, Place

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
FIRST, WITHOUT_FONT, LATER = 100 * 1024, 30 * 1024, 8 * 1024
FONT = 40 * 1024  # at the least: a first visit measured without one would prove nothing
SMALL, PHONE, DESK = 240, 360, 1280


class Screen:
    """A page that is used again and again, and what it sends for and says since it was last wiped."""

    def __init__(self, context: BrowserContext) -> None:
        self.context, self.page = context, context.new_page()
        self.bytes, self.hosts, self.said = 0, set[str](), list[str]()
        self.wire = context.new_cdp_session(self.page)
        self.wire.on("Network.loadingFinished", self._finished)
        self.wire.on("Network.requestWillBeSent", lambda sent: self._asked(sent["request"]["url"]))
        self.wire.send("Network.enable")
        self.page.on("console", lambda message: self._said(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def wipe(self, site: str, *, language: str, width: int) -> None:
        """As if nobody had been here: an empty cache, nothing said, the screen's first size."""
        self.page.goto("about:blank")
        self.wire.send("Network.clearBrowserCache")
        self.page.emulate_media(media="screen")
        self.page.set_viewport_size({"width": width, "height": 740})
        speak(self.context, site, language)
        self.hosts, self.said = set(), []

    def visit(self, address: str) -> int:
        """Bytes on the wire, headers too."""
        before = self.bytes
        self.page.goto(address)
        self.page.evaluate("document.fonts.ready.then(() => 0)")
        return self.bytes - before

    def _said(self, text: str) -> None:
        if "blocked by Playwright" not in text:  # the service worker, which is looked at in test_offline
            self.said.append(text)

    def _finished(self, done: dict[str, Any]) -> None:
        self.bytes += round(done["encodedDataLength"])

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme in ("http", "https", "ws", "wss"):
            self.hosts.add(urlsplit(url).netloc)


class Screens:
    """One for each person that looks, with script and large, or without it and small."""

    def __init__(self, kanpur: Kanpur, contexts: ExitStack) -> None:
        self.kanpur, self.contexts = kanpur, contexts
        self.open: dict[tuple[str, bool], Screen] = {}

    def screen(self, who: str, *, language: str, small: bool) -> Screen:
        width = SMALL if small else PHONE
        if (who, small) not in self.open:
            made = self.kanpur.context(width=width, language=language, who=who, script=not small, save_data=small)
            self.open[who, small] = Screen(self.contexts.enter_context(made))
        found = self.open[who, small]
        found.wipe(self.kanpur.site, language=language, width=width)
        return found


@pytest.fixture(scope="module")
def screens(peopled: Kanpur) -> Iterator[Screens]:
    with ExitStack() as contexts:
        yield Screens(peopled, contexts)


def looked(page: Page, *what: str) -> list[str]:
    """Faults, by the functions of look.js."""
    found: list[str] = page.evaluate(
        f"(what => {{ const look = {LOOK}; return what.flatMap(one => look[one]()) }})({list(what)})"
    )
    return found


def broken_rules(page: Page) -> list[str]:
    """Put together in the browser: to bring home all that axe says takes longer than axe itself."""
    page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(
        "() => axe.run({resultTypes: ['violations']}).then(found => found.violations.flatMap("
        "rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 120)}`)))"
    )
    return found


def as_people_look(page: Page, width: int, view: str) -> dict[str, list[str]]:
    page.set_viewport_size({"width": width, "height": 740})
    return {f"{width} px": looked(page, "sideways", "cut", "spilt", "small", "low", *whole_tables(view))}


def whole_tables(view: str) -> list[str]:
    """A consumer's table hides no column beyond its edge; a work list may scroll."""
    return ["hidden"] if view.startswith("portal:") else []


FIRST_OF_ITS_VIEW = [place for at, place in enumerate(PLACES) if place.view not in [one.view for one in PLACES[:at]]]


# Every place in Hindi; of a view that is looked at in several states, the first one in English and small, too.
@pytest.mark.parametrize(
    ("language", "place"),
    [("hi", place) for place in PLACES] + [("en", place) for place in FIRST_OF_ITS_VIEW],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_a_page_is_light_and_without_fault(screens: Screens, place: Place, language: str) -> None:
    screen = screens.screen(place.who, language=language, small=False)
    page, address = screen.page, screens.kanpur.site + place.where(screens.kanpur)
    faults: dict[str, list[str]] = {}
    if place.act is None and language == "hi":
        first, later = screen.visit(address), screen.visit(address)
        assert first > later + FONT, "this was no first visit"
        faults["bytes"] = [f"first visit {first}"] * (first > FIRST) + [f"later visit {later}"] * (later > LATER)
    else:
        page.goto(address)
        if place.act is not None:
            place.act(page)
    assert page.locator("html").get_attribute("lang") == language
    faults |= as_people_look(page, PHONE, place.view)
    # Axe is dear: it looks at each page in Hindi on a phone and in English on a desk.
    faults["axe"] = broken_rules(page) if language == "hi" else []
    faults |= as_people_look(page, DESK, place.view)
    faults["axe"] += broken_rules(page) if language == "en" else []
    page.emulate_media(media="print")
    faults["on paper"] = looked(page, "buttons")
    faults["other hosts"] = sorted(screen.hosts - {urlsplit(address).netloc})
    faults["said"] = [text for text in screen.said if place.view or "404" not in text]
    assert {kind: found for kind, found in faults.items() if found} == {}


@pytest.mark.parametrize("place", FIRST_OF_ITS_VIEW, ids=lambda place: place.name)
def test_a_page_is_whole_without_script_at_240_px(screens: Screens, place: Place) -> None:
    """And, where the phone asks to save data, without the font. In Hindi, whose words are the longer ones."""
    screen = screens.screen(place.who, language="hi", small=True)
    first = screen.visit(screens.kanpur.site + place.where(screens.kanpur))
    if place.act is not None:
        place.act(screen.page)
    assert LATER < first <= WITHOUT_FONT
    wanted = ("sideways", "cut", "spilt", "small", "low", "unreachable", *whole_tables(place.view))
    assert looked(screen.page, *wanted) == []


def test_every_page_of_the_policy_is_looked_at() -> None:
    assert {place.view for place in PLACES} - {""} == POLICY.keys() - NOT_PAGES
