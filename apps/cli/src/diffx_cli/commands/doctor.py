"""`diffx doctor`: does everything work here, from the environment to a trained model?"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request

if TYPE_CHECKING:
    from diffx_cli.doctor.finding import Finding

COLOURS = {"ok": "\033[32m", "fail": "\033[31m", "told": "\033[2m"}
WIDTH = 66
"""Of what is checked."""


@frozen(kw_only=True)
class DoctorOptions(Shown):
    """What is checked.

    Args:
        quick: train on points in the plane for seconds, instead of on digits for up to a minute.
        device: auto, cpu, cuda, cuda:1, mps.
    """

    quick: bool = False
    device: str = "auto"


def run(request: Request) -> None:
    """Check, and say what was found.

    Raises:
        DiffxError: something is not well.
        ConfigError: there is no such device.
    """
    from diffx_core.errors import DiffxError

    options: DoctorOptions = request.options
    found: list[Finding] = []
    for one in _found(request):
        found.append(one)
        if not options.json:
            say(_line(one))
    failed = [one for one in found if one.status == "fail"]
    if options.json:
        say(json.dumps([one.to_json() for one in found], indent=2))
    else:
        well = sum(one.status == "ok" for one in found)
        say(f"\n{well} of {well + len(failed)} checks are well")
    if failed:
        raise DiffxError(*(f"{one.part}: {one.what}: {_why(one)}" for one in failed))


def _found(request: Request) -> "Iterator[Finding]":
    from diffx_cli.doctor import mathematics, speed, surroundings, trained
    from diffx_cli.doctor.finding import Visit, findings
    from diffx_cli.processes.devices import device_named

    device = device_named(request.options.device)
    checks = {
        "environment": surroundings.environment,
        "plugins": surroundings.plugins,
        "laws": mathematics.laws,
        "gradients": mathematics.gradients,
        "training": trained.training,
        "resuming": trained.resuming,
        "sampling": trained.sampling,
        "speed": speed.speed,
    }
    with TemporaryDirectory(prefix="diffx-doctor-") as folder:
        visit = Visit(request.registry, device, request.options.quick, Path(folder))
        for part, check in checks.items():
            yield from findings(part, check, visit)


def _line(one: "Finding") -> str:
    mark = {"ok": "ok", "fail": "FAIL", "told": "-"}[one.status]
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        mark = f"{COLOURS[one.status]}{mark:4}\033[0m"
    return f"{mark:4}  {one.part:11}  {one.what:{WIDTH}}  {_why(one)}".rstrip()


def _why(one: "Finding") -> str:
    parts = []
    if one.figure is not None and one.limit is not None and (one.figure or one.status == "fail"):
        parts.append(f"{one.figure:.2g} (at most {one.limit:.2g})")
    return ", ".join([*parts, *([one.detail] if one.detail else [])])


COMMAND = Command(
    name="doctor",
    summary="Check that everything works here: plugins, mathematics, training, sampling, speed.",
    options=DoctorOptions,
    run=run,
    examples=("diffx doctor", "diffx doctor --quick", "diffx doctor --device cpu --json"),
)
