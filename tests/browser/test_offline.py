"""Without network the phone still tells the last balance and when it was so; after signing out nothing of it."""

import gzip
from urllib.request import Request, urlopen

from playwright.sync_api import Page

from tests.browser.kanpur import Kanpur

LARGEST_WORKER = 1024


def offline_page(page: Page, site: str) -> str:
    """What the screen says when the network is gone and the first page is asked for."""
    page.context.set_offline(True)
    page.goto(f"{site}/")
    said = page.locator("main").inner_text()
    page.context.set_offline(False)
    return said


def test_the_last_balance_is_told_without_network_until_the_person_signs_out(peopled: Kanpur) -> None:
    with peopled.context(width=360, language="hi", worker=True) as context:
        page = context.new_page()
        visitor = peopled.visitor("a home with a bill to pay")
        peopled.sign_in_consumer(page, visitor.mobile, visitor.account_number)
        page.goto(f"{peopled.site}/")
        balance = page.locator(".big-number").first.inner_text().strip()
        assert balance.startswith("₹")
        page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        page.goto(f"{peopled.site}/")  # this time through the worker
        assert page.evaluate("navigator.serviceWorker.controller !== null")
        told = offline_page(page, peopled.site)
        assert balance in told
        assert "20 जून 2024" in told
        assert visitor.account_number not in told
        assert page.evaluate("Object.keys(localStorage).join()") == "khata"
        names = page.evaluate(
            "caches.keys().then(all => Promise.all(all.map(one => caches.open(one).then(c => c.keys()))))"
            ".then(all => all.flat().map(one => new URL(one.url).pathname))"
        )
        assert "/offline/" in names
        assert all(name == "/offline/" or name.startswith("/static/") for name in names)

        page.goto(f"{peopled.site}/")
        page.click(".sign-out button")
        page.wait_for_url("**/sign-in/")
        told = offline_page(page, peopled.site)
        assert "नेटवर्क नहीं है" in told
        assert "₹" not in told
        assert page.evaluate("localStorage.length") == 0


def test_the_worker_is_small_and_asked_for_anew_each_time(kanpur: Kanpur) -> None:
    with urlopen(Request(f"{kanpur.site}/sw.js", headers={"Accept-Encoding": "gzip"})) as answer:
        headers, on_the_wire = answer.headers, answer.read()
    assert headers["Content-Encoding"] == "gzip"
    assert 0 < len(on_the_wire) <= LARGEST_WORKER
    assert headers["Cache-Control"] == "no-cache"
    assert headers["Content-Type"].startswith("text/javascript")
    assert "worker-src 'self'" in headers["Content-Security-Policy"]
    assert b"khata." in gzip.decompress(on_the_wire)
