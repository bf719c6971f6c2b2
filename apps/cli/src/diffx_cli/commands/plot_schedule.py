"""`diffx plot-schedule`: noise processes as a picture, one beside the other."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Chosen, Request
from diffx_core.config import options_of
from diffx_core.errors import ConfigError, DiffxError, PluginError
from diffx_core.options import ObjectiveOptions, PredictionName

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".pdf", ".svg")
"""How a picture may end."""


@frozen(kw_only=True)
class PlotScheduleOptions(Shown):
    """What is drawn, and where.

    Args:
        compare: other processes to draw as well, with their default options.
        predictions: other predictions, whose weights and densities of levels are drawn as well, for
            the first process.
        out: the picture; a .png, .pdf or .svg.
        overwrite: replace a picture that is there already.
    """

    compare: tuple[str, ...] = ()
    predictions: tuple[PredictionName, ...] = ()
    out: Path = Path("schedule.png")
    overwrite: bool = False


def run(request: Request) -> None:
    """Draw the processes, or refuse everything that is wrong at once."""
    options: PlotScheduleOptions = request.options
    problems = _unwritable(options.out, overwrite=options.overwrite)
    chosen, errors = _chosen(request)
    _refuse([*(ConfigError(one) for one in problems), *errors])

    from diffx_cli.picture.schedule_figure import draw
    from diffx_cli.picture.schedules import Curves, curves_of
    from diffx_core.objective import Objective
    from diffx_core.objective.densities import USUAL_SIGMA_DATA

    objective: ObjectiveOptions = request.sections["objective"]
    sigma_data = objective.sigma_data or USUAL_SIGMA_DATA

    def looked_at(label: str, one: Chosen, prediction: PredictionName) -> Iterator[Curves]:
        try:
            learned = Objective(evolve(objective, prediction=prediction))
            yield curves_of(label, one.build(), learned, sigma_data)
        except DiffxError as error:
            errors.append(error)

    main = request.components["scheduler"]
    curves = [
        found
        for label, one in chosen.items()
        for found in looked_at(label, one, objective.prediction)
    ]
    others = [
        found
        for prediction in dict.fromkeys(options.predictions)
        for found in looked_at(
            f"{_label(main, request)} with {_objective(objective, prediction)}", main, prediction
        )
    ]
    _refuse(errors)
    title = f"{_objective(objective, objective.prediction)}, sigma_data {sigma_data:g}"
    _write(draw(curves, others, title), options.out)
    if options.json:
        names = [one.registered.qualified for one in chosen.values()]
        say(json.dumps({"picture": str(options.out), "schedulers": names}))
    else:
        say(f"picture: {options.out}")


def _objective(options: ObjectiveOptions, prediction: PredictionName) -> str:
    """A prediction and what it is learned with."""
    full = options.resolved(prediction)
    return f"{prediction} ({full.weighting} weighting, {full.times} times)"


def _unwritable(out: Path, *, overwrite: bool) -> list[str]:
    problems = []
    if out.suffix.lower() not in FORMATS:
        problems.append(f"--out {out}: must end with {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        problems.append(f"--out {out}: there is no folder {out.parent}")
    if out.is_dir():
        problems.append(f"--out {out}: is a folder")
    elif out.exists() and not overwrite:
        problems.append(f"--out {out}: is there already; --overwrite replaces it")
    return problems


def _chosen(request: Request) -> tuple[dict[str, Chosen], list[DiffxError]]:
    """The processes by what the picture calls them, and what is wrong with the others."""
    main = request.components["scheduler"]
    chosen, errors = {_label(main, request): main}, list[DiffxError]()
    for name in request.options.compare:
        try:
            one = Chosen.by_default(request.registry.find("scheduler", name))
            one.build()
        except DiffxError as error:
            errors.append(type(error)(*(f"--compare: {line}" for line in error.problems)))
        else:
            chosen.setdefault(_label(one, request), one)
    return chosen, errors


def _label(chosen: Chosen, request: Request) -> str:
    """The shortest name that is not ambiguous, and the options that are not the defaults."""
    registered = chosen.registered
    ambiguous = request.registry.is_ambiguous(registered)
    changed = [
        f"{one.name}={chosen.options[one.name]}"
        for one in options_of(chosen.target)
        if chosen.options[one.name] != one.default
    ]
    return " ".join([registered.qualified if ambiguous else registered.name, *changed])


def _refuse(errors: list[DiffxError]) -> None:
    lines = dict.fromkeys(line for error in errors for line in error.problems)
    if any(isinstance(error, ConfigError) for error in errors):
        raise ConfigError(*lines)
    if lines:
        raise PluginError(*lines)


def _write(figure: "Figure", out: Path) -> None:
    """Save the picture, whole or not at all."""
    partial = out.with_name(f".partial-{os.getpid()}-{out.name}")
    try:
        figure.savefig(partial, dpi=110, format=out.suffix.lower().removeprefix("."))
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


COMMAND = Command(
    name="plot-schedule",
    summary="Draw noise processes: alpha, sigma, log-SNR, SDE, and what training makes of them.",
    options=PlotScheduleOptions,
    run=run,
    components={"scheduler": "vpsde"},
    sections={"objective": ObjectiveOptions},
    examples=(
        "diffx plot-schedule --scheduler vesde --scheduler.sigma_max 20 --out vesde.png",
        "diffx plot-schedule --compare vesde,rectified_flow",
        "diffx plot-schedule --scheduler rectified_flow --objective.weighting min_snr",
        "diffx plot-schedule --scheduler cosine --predictions eps,v,flow",
    ),
)
