"""The picture of the page on ui.md: `python docs/using/screenshot.py RUN docs/images/ui.png`.

Needs Chromium, playwright, and a run that has learned digits.
"""

import json
import shutil
import signal
import subprocess
import sys

from playwright.sync_api import Page, sync_playwright

SHOWN = {"amount": "24", "n": "30", "scale": "2", "seed": "4"}
STEP = 17
"""Of the drawing, that is looked at."""


def main(run: str, file: str) -> None:
    """Serve the page, draw, and look at it."""
    command = [sys.executable, "-m", "diffx_cli", "ui", run, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        assert process.stdout is not None, "it was asked for"
        url = json.loads(process.stdout.readline())["url"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1100, "height": 700})
            page.goto(url)
            photograph(page, file)
            browser.close()
        process.send_signal(signal.SIGINT)


def photograph(page: Page, file: str) -> None:
    """Draw, go back to where digits begin to be seen, and take the picture."""
    for name, text in SHOWN.items():
        page.fill(f"#{name}", text)
    page.click("#draw")
    page.wait_for_selector("body[data-busy='false']")
    frame = page.evaluate(f"frames.findIndex((one) => one.step >= {STEP})")
    page.fill("#way", str(frame))
    page.wait_for_selector("#done", state="visible")
    page.screenshot(path=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
