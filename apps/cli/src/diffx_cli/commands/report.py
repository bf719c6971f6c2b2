"""`diffx report [RUN]`: a run as one page, for whoever has a browser and nothing else."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Using
from diffx_cli.line.request import Request
from diffx_core.errors import ConfigError

if TYPE_CHECKING:
    from diffx_cli.report.sections import Account

NAME = "report.html"
"""Of the page in the folder of the run."""
SUFFIXES = (".html", ".htm")


@frozen(kw_only=True)
class ReportOptions(Using):
    """Of what, and where.

    Args:
        out: the page, a .html; by default RUN/report.html, which is made anew each time.
        overwrite: replace a page of --out that is there already.
        draw: draw samples for the page, to show how they come out of the noise; they take 20
            network calls.
    """

    draw: bool = True


def run(request: Request) -> None:
    """Write the page, or with ``--dry-run`` show what it would have."""
    from diffx_cli.output.folders import newest_run
    from diffx_cli.report.gathered import gathered

    options: ReportOptions = request.options
    if options.out is not None:
        _check(options.out, overwrite=options.overwrite)
    source = options.run or newest_run()
    found = gathered(source)
    out = options.out or found.folder / NAME
    if options.dry_run:
        say(json.dumps({"run": str(found.folder), "report": str(out), "draw": options.draw}))
        return
    from diffx_cli.output.writing import writing
    from diffx_cli.processes.devices import device_named
    from diffx_cli.report.model import Model
    from diffx_cli.report.page import page
    from diffx_cli.report.sections import Account
    from diffx_core.engine.durable import replace_text

    model = Model(found, source, request.registry)
    draw = partial(model.denoising, device_named(options.device), options.text_root, options.seed)
    account = Account(found, model, draw if options.draw else None)
    with writing(out):
        replace_text(out, page(account))
    _say(options, out, account)


def _say(options: ReportOptions, out: Path, account: "Account") -> None:
    if options.json:
        sections = {one.id: one.missing is None for one in account.sections}
        say(json.dumps({"report": str(out), "bytes": out.stat().st_size, "sections": sections}))
    else:
        say(f"report: {out}")


def _check(out: Path, *, overwrite: bool) -> None:
    """Refuse a page that cannot be written, before there is work.

    Raises:
        ConfigError: it cannot be.
    """
    problems = []
    if out.suffix.lower() not in SUFFIXES:
        problems.append(f"--out {out}: must end with {SUFFIXES[0]}")
    if not out.parent.is_dir():
        problems.append(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir():
        problems.append(f"--out {out}: is a folder")
    elif out.exists() and not overwrite:
        problems.append(f"--out {out}: is there already; --overwrite replaces it")
    if problems:
        raise ConfigError(*problems)


COMMAND = Command(
    name="report",
    summary="Write a trained run as one HTML page: figures, samples, configuration.",
    options=ReportOptions,
    run=run,
    words=("run",),
    examples=(
        "diffx report",
        "diffx report runs/00000-vpsde-unet-digits --out digits.html",
        "diffx report --no-draw --json",
    ),
)
