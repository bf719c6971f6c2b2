"""Processes, and what strangers wrote, obey their laws, and gradients are of one size."""

from collections.abc import Iterator
from importlib.metadata import requires

import torch
from packaging.requirements import Requirement
from torch import nn

from diffx_cli.components.checking import check
from diffx_cli.doctor.finding import Finding, Visit, held
from diffx_cli.line.console import counted
from diffx_core.dataset import Batch, Condition
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.errors import ConfigError, PluginError
from diffx_core.objective import Objective
from diffx_core.options import ObjectiveOptions
from diffx_core.plugins.registered import Registered
from diffx_core.prediction import PREDICTIONS, Prediction
from diffx_core.scheduler import Scheduler

EXAMPLES, PARTS, WIDTH = 512, 16, 32
"""Of a step, of its noise levels, and of the network's hidden layer."""
NAMED = 3
"""Laws that do not hold that are said, of one component."""
USUAL = ObjectiveOptions().prediction
"""What a network is asked for if nothing else is said."""
MOST = 10.0
"""Times that the gradient at one noise level may be larger than usual."""


def laws(visit: Visit) -> Iterator[Finding]:
    """Each process, and all that a stranger has written, is held to the laws of its kind."""
    ours = _ours()
    for one in visit.registry.all():
        if one.kind != "scheduler" and one.distribution in ours:
            continue
        what = f"{one.kind} {one.name} obeys its laws"
        try:
            found = check(one)
        except (ConfigError, PluginError) as error:
            yield Finding(part="laws", what=what, status="told", detail=error.problems[0])
            continue
        wrong = [str(finding.law) for finding in found if finding.status == "fail"]
        count = sum(finding.status != "not measured" for finding in found)
        detail = counted(count, "law")
        if wrong:
            named = "; ".join([*wrong[:NAMED], *(["..."] if wrong[NAMED:] else [])])
            detail = f"{named}: see diffx check-plugin {one.qualified}"
        yield held("laws", what, len(wrong), 0, detail)


def _ours() -> set[str]:
    """The distributions that come with this one; their tests hold them to the laws."""
    wanted = (Requirement(line) for line in requires("diffx-cli") or ())
    return {one.name for one in wanted if one.marker is None}


def gradients(visit: Visit) -> Iterator[Finding]:
    """No noise level has a gradient that is not finite, or that drowns those of the others."""
    for process in visit.registry.all("scheduler"):
        what = f"gradients under {process.name} are finite, and of one size"
        scheduler = _built(process)
        if scheduler is None:
            yield Finding(part="gradients", what=what, status="told", detail="it has no defaults")
            continue
        sizes = {one.name: _sizes(scheduler, one) for one in PREDICTIONS.values()}
        wild = [name for name, one in sizes.items() if not one.isfinite().all()]
        usual = sizes[USUAL]
        figure = float("inf") if wild else float(usual.max() / usual.median())
        detail = f"not finite: {', '.join(wild)}" if wild else f"prediction {USUAL}"
        yield held("gradients", what, figure, MOST, detail)


def _built(process: Registered) -> Scheduler | None:
    try:
        built: Scheduler = process.load()()
    except (TypeError, ConfigError):
        return None
    return built


class _Layers(nn.Module):
    """Two layers on a point and its noise level."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.inner, self.outer = nn.Linear(3, WIDTH), nn.Linear(WIDTH, 2)
        for one in self.parameters():
            one.data.normal_(std=0.2, generator=random)

    def forward(self, x: torch.Tensor, noise_label: torch.Tensor, cond: Condition) -> torch.Tensor:
        """What the network says."""
        del cond
        h = self.inner(torch.cat([x, noise_label[:, None] / 1000], dim=1))
        said: torch.Tensor = self.outer(h.tanh())
        return said


def _sizes(scheduler: Scheduler, prediction: Prediction) -> torch.Tensor:
    """The norm of the gradient in each part of the noise levels of one step."""
    angle = torch.linspace(0, 2 * torch.pi, EXAMPLES + 1)[:-1]
    points = torch.stack([angle.cos(), angle.sin()], dim=1)
    network = _Layers()
    denoiser = NetworkDenoiser(network, scheduler, prediction, sigma_data=0.5**0.5)
    objective = Objective(ObjectiveOptions(prediction=prediction.name), seed=0)
    shuffled = points[torch.randperm(EXAMPLES, generator=torch.Generator().manual_seed(0))]
    batch = Batch(shuffled, Condition(), torch.arange(EXAMPLES))
    terms = objective.terms(denoiser, batch, 0)
    found = []
    for part in terms.log_snr.argsort().chunk(PARTS):
        network.zero_grad()
        terms.loss[part].mean().backward(retain_graph=True)
        grads = [one.grad.norm() for one in network.parameters() if one.grad is not None]
        found.append(torch.stack(grads).norm())
    return torch.stack(found)
