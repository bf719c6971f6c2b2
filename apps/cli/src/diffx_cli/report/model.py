"""What of a page needs the components of a run, or its weights: these may be missing, or fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from attrs import frozen

from diffx_cli.picture.schedules import curves_of
from diffx_cli.report.chart import Chart, Curve
from diffx_cli.report.gathered import Gathered
from diffx_cli.report.parts import Missing, Part, Player
from diffx_cli.report.series import LARGEST, Points
from diffx_cli.report.way import CALLS, Way
from diffx_core.config.run import Run
from diffx_core.dataset import DataSpec
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.trainer import parameter_count
from diffx_core.errors import CheckpointError
from diffx_core.objective import Objective
from diffx_core.objective.densities import USUAL_SIGMA_DATA
from diffx_core.options import DEFAULT_SAMPLER, ObjectiveOptions
from diffx_core.pipeline import Pipeline
from diffx_core.plugins import Registry
from diffx_core.plugins.isolation import IsolatedError, isolated

CURVE_POINTS = 160
STRETCHED = 10.0
"""A process whose sigma grows beyond this has a logarithmic axis."""
PAIRED = (
    "Samples of this model belong to images that it has to be given: diffx sample --beside IMAGES"
    " --trajectory films them."
)


class CannotError(Exception):
    """Why a part of the page cannot be made, in one line."""


@contextmanager
def trying(what: str) -> Iterator[None]:
    """Turn whatever goes wrong into a line that the page says."""
    try:
        with isolated(what):
            yield
    except IsolatedError as failure:
        raise CannotError(str(failure)) from failure


@frozen
class Model:
    """The model of a run.

    Args:
        found: the run.
        source: the run or the checkpoint that was named.
        registry: where to find its components.
    """

    found: Gathered
    source: Path
    registry: Registry

    def record(self) -> tuple[Run, DataSpec | None]:
        """How it was made, and the facts about its data if there is a checkpoint."""
        try:
            run = Run.from_json(load_checkpoint(self.source, []).record)
        except CheckpointError:
            return self.found.run, None
        return run, None if run.spec is None else DataSpec(**run.spec)

    def size(self) -> tuple[int, DataSpec]:
        """How many numbers are trained, and the facts about the data.

        Raises:
            CannotError: nobody knows.
        """
        with trying("its parameters cannot be counted"):
            run, spec = self.record()
            if spec is None:
                raise CheckpointError("there is no checkpoint yet")
            with torch.device("meta"):
                return parameter_count(run.build("backbone", self.registry, spec)), spec

    def schedule(self) -> list[Part]:
        """The process, and what training makes of it."""
        try:
            with trying("The process cannot be drawn"):
                run, spec = self.record()
                process = run.build("scheduler", self.registry)
                options = run.section("objective", ObjectiveOptions)
                size = options.sigma_data or (spec.sigma_data if spec else USUAL_SIGMA_DATA)
                name = run.components["scheduler"].label
                curves = curves_of(name, process, Objective(options), size)
        except CannotError as failure:
            return [Missing(f"{failure}.")]
        times, seen_levels = curves.t, curves.seen
        pairs = ("alpha", times, curves.alpha), ("sigma", times, curves.sigma)
        levels = curves.levels[seen_levels]
        chance = curves.density[seen_levels]
        share = chance / chance.max()
        looks = (
            ("how often training looks", levels, share),
            ("effective weight", levels, curves.weight[seen_levels]),
        )
        wanted: list[tuple[str, str, str, tuple[tuple[str, torch.Tensor, torch.Tensor], ...]]] = [
            ("Signal and noise", "time t", "x = alpha x0 + sigma eps", pairs),
            ("log-SNR", "time t", "log(alpha² / sigma²)", (("log-SNR", times, curves.log_snr),)),
            ("What training sees", "log-SNR", "as shares of the largest value", looks),
        ]
        log = float(curves.sigma.max()) > STRETCHED
        return [
            Chart(title, lines, x=x, about=about, log_y=log and lines[0].label == "alpha")
            for title, x, about, parts in wanted
            if (lines := [Curve(*one) for one in _named(parts)])
        ]

    def denoising(self, device: torch.device, text_root: Path | None, seed: int) -> list[Part]:
        """Samples on their way out of the noise, drawn anew with few steps."""
        try:
            with trying("The model cannot be sampled for this page"):
                pipeline = Pipeline.load(
                    self.source, self.registry, device=device, text_root=text_root
                )
                if pipeline.spec.paired:
                    return [Missing(PAIRED)]
                way = Way.of(pipeline, seed)
                if way is None:
                    shape = " x ".join(map(str, pipeline.spec.shape))
                    line = (
                        "Samples on their way out of the noise are shown of images and of points in"
                        f" the plane; those of this model are {shape} numbers."
                    )
                    return [Missing(line)]
                frames = way.frames()
        except CannotError as failure:
            return [Missing(f"{failure}.")]
        about = (
            f"Left the state x, right what the model takes it for: {way.drawing.n} samples of step"
            f" {pipeline.step} by {DEFAULT_SAMPLER}, with {CALLS} network calls."
        )
        return [Player("From noise to data", frames, about)]


def _named(
    parts: tuple[tuple[str, torch.Tensor, torch.Tensor], ...],
) -> Iterator[tuple[str, Points, int]]:
    """Curves with a name, and each with a colour."""
    for tone, (name, x, y) in enumerate(parts):
        finite = x.isfinite() & y.isfinite() & (y.abs() < LARGEST)
        pairs = sorted(zip(x[finite].tolist(), y[finite].tolist(), strict=True))
        every = max(1, len(pairs) // CURVE_POINTS)
        kept = [*pairs[::every], *pairs[-1:]]
        if kept:
            yield name, kept, tone
