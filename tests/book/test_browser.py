"""The rendered smoke book in a real browser: offline, without errors, and readable on a phone."""

import shutil

import pytest

from tests.book.conftest import CHAPTERS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.xdist_group("book"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [380, 1280])
@pytest.mark.parametrize(
    "name",
    ["index.html", "LOG.html", "chapters/index.html", *(f"chapters/{chapter}.html" for chapter in CHAPTERS)],
)
def test_a_page_opens_offline_without_errors_and_fits(root, browser, name, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors, elsewhere = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda request: elsewhere.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
    )
    page.goto((root / "_build" / "html" / name).as_uri(), wait_until="load")
    # The front page sends the reader on; then scripts get a moment to ask for what they must not.
    page.wait_for_selector("article h1")
    page.wait_for_timeout(500)
    assert errors == []
    assert elsewhere == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert all(page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)"))
    page.close()
