"""`diffx ui [RUN]`: a page on this machine that draws from a trained run while one looks."""

import json
import threading
from pathlib import Path

from attrs import field, frozen
from attrs.validators import and_, ge, le

from diffx_cli.line.command import Command
from diffx_cli.line.console import note, say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_core.errors import ConfigError

LIBRARIES = ("starlette", "uvicorn")


@frozen(kw_only=True)
class UiOptions(Shown):
    """What the page draws from, and where it is.

    Args:
        run: run folder or checkpoint; by default the newest run under runs/.
        text_root: where the files of the text encoder are now, if they have moved.
        device: auto, cpu, cuda, cuda:1, mps.
        port: of 127.0.0.1, where the page is; 0 for any that is free.
        open_: also open the page in the browser.
    """

    run: Path | None = None
    text_root: Path | None = None
    device: str = "auto"
    port: int = field(default=7860, validator=and_(ge(0), le(65_535)))
    open_: bool = field(default=False, metadata={"name": "open"})


def run(request: Request) -> None:
    """Serve the page until a signal ends it."""
    from diffx_core import require_library

    for library in LIBRARIES:
        try:
            require_library(library, "diffx-cli[ui]")
        except ConfigError as error:
            raise ConfigError(f"diffx ui: {error}") from error

    from diffx_cli.output.folders import newest_run
    from diffx_cli.ui.asking import Home
    from diffx_cli.ui.facts import facts
    from diffx_cli.ui.guard import Door
    from diffx_cli.ui.server import application
    from diffx_cli.ui.serving import bound, serve
    from diffx_cli.ui.studio import Studio

    options: UiOptions = request.options
    source = (options.run or newest_run()).resolve()
    with bound(options.port) as listening:
        studio = Studio.open(Home(source, options.device, options.text_root), request.registry)
        if studio.pipeline.spec.paired:
            raise ConfigError(
                f"{source}: the model belongs to images that it has to be given, which the page"
                " does not: use diffx sample --beside"
            )
        port = listening.getsockname()[1]
        app = application(studio, facts(studio), Door(port))
        serve(app, studio, listening, lambda: _tell(options, f"http://127.0.0.1:{port}/"))


def _tell(options: UiOptions, url: str) -> None:
    """Say where the page is, and open it if that was asked for."""
    say(json.dumps({"url": url}) if options.json else f"page: {url}  (Ctrl-C ends it)")
    if options.open_:  # a browser in a terminal keeps whoever opens it
        threading.Thread(target=_open, args=(url,), daemon=True).start()


def _open(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        note("no browser could be opened: open the page yourself")


COMMAND = Command(
    name="ui",
    summary="Draw samples of a run in a page of the browser, and see how they come about.",
    options=UiOptions,
    run=run,
    words=("run",),
    examples=(
        "diffx ui",
        "diffx ui runs/00000-vpsde-unet-digits --open",
        "diffx ui --port 0 --device cpu",
    ),
)
