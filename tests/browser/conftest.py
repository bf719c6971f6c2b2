"""A real browser, and pages in it that remember what went wrong."""

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from playwright.sync_api import Browser, Page, sync_playwright

from diffx_cli.__main__ import main

NAMES = ("chromium", "chromium-browser", "google-chrome")

# The first three are for machines without a screen and for root; the others keep the browser from
# asking its maker for anything.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@define
class Visit:
    """A page, what it has asked for, and what it has complained of."""

    page: Page
    requests: list[str] = field(factory=list)
    complaints: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """Chromium without a window, as Debian and others have it.

    While playwright is there, nobody else can use asyncio in this thread: see `elsewhere`.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if os.environ.get("DIFFX_NEEDS_BROWSER") == "1":
            pytest.fail(f"there is no browser ({', '.join(NAMES)}), and DIFFX_NEEDS_BROWSER=1")
        pytest.skip(f"needs a browser: {', '.join(NAMES)}")
    # It keeps its settings in the home folder, if it is not told another place.
    home = tmp_path_factory.mktemp("browser")
    environ = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    with sync_playwright() as playwright:
        flags = list(FLAGS)
        browser = playwright.chromium.launch(executable_path=program, args=flags, env=environ)
        yield browser
        browser.close()


@pytest.fixture
def elsewhere() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine in a thread of its own, and waits for it."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, work).result()

    return run


@pytest.fixture
def visit(browser) -> Iterator[Visit]:
    """A page with nothing in it yet, that nothing has been kept for."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(30_000)
    yield Visit(context.new_page())
    context.close()


@pytest.fixture
def page(visit) -> Page:
    """The same, for tests that do not ask what went wrong."""
    return visit.page


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory) -> Path:
    """The folder of a small model of digits, 8 pixels wide, that has just begun to learn.

    It knows its process at some times only, so that not every sampler suits it.
    """
    run = tmp_path_factory.mktemp("trained") / "digits"
    data = ["--dataset", "digits", "--dataset.size", "8", "--scheduler", "ddpm"]
    size = ["--preset", "tiny", "--train.batch-size", "16", "--train.steps", "30"]
    looks = ["--train.log-every", "1", "--validate.every", "15", "--validate.examples", "16"]
    shows = ["--preview.every", "10", "--preview.n", "4", "--preview.nfe", "2"]
    where = ["--device", "cpu", "--out", str(run)]
    assert main(["train", *data, *size, *looks, *shows, *where]) == 0
    return run


@pytest.fixture(scope="session")
def points_run(tmp_path_factory) -> Path:
    """The folder of a small model of points in the plane."""
    run = tmp_path_factory.mktemp("trained") / "points"
    small = ["--backbone", "mlp", "--backbone.width", "16", "--train.steps", "20"]
    assert main(["train", "--dataset", "toy2d", *small, "--device", "cpu", "--out", str(run)]) == 0
    return run
