"""A browser's tab that remembers what the page in it did."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# As root, without a screen; and it may not look for updates, or for anything else.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--headless"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def find_chromium() -> str | None:
    """Where Debian, or someone else, has put the browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Any]:
    """A browser for one file of tests; without it, or without Playwright, they are skipped.

    Not for the whole session: Playwright keeps an event loop running, and others need their own.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install")
    found = find_chromium()
    if found is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Tab:
    """A report in a tab of its own, and all that it said, asked for or tried to run."""

    def __init__(self, chromium: Any, path: Path, *, width: int = 1440, scheme: str = "light"):
        size = {"width": width, "height": 900}
        self.context = chromium.new_context(viewport=size, color_scheme=scheme)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.path = path

    def go(self, view: str = "") -> Any:
        """Opens the report at a view of its rows. Returns the tab."""
        self.page.goto(self.path.as_uri() + view)
        # Not wait_for_function, which the page's own policy stops as soon as it has to wait.
        self.page.locator("#count").filter(has_text="won").wait_for()
        return self.page

    def _dismiss(self, dialog: Any) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()
