"""Every process learns every prediction: a network shown a few points becomes their exact denoiser.

The exact denoiser weighs the points by how likely each is behind x. Its loss is the least there
is; what the network's exceeds it by is measured without the noise of the loss itself,

    w |F - F*|^2 = (L(F* + d) + L(F* - d)) / 2 - L(F*),    d = F - F*,

with the objective that each prediction has by default, at the same times and noise three times.
Training follows the losses over the log-SNR, which leaves the expected loss what it is by default
and comes to the end sooner.
"""

import math

import pytest
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_core import PREDICTIONS, NetworkDenoiser, Objective
from diffx_core.estimate import columns
from diffx_core.options import ObjectiveOptions
from diffx_core.plugins import Registry
from diffx_core.testing import PointsDenoiser

REGISTRY = Registry.load({})
PROCESSES = {
    one.target: one.name
    for one in REGISTRY.all()
    if one.kind == "scheduler" and one.distribution == "diffx-schedulers"
}.values()
"""The processes of this package, each by one of its names."""
POINTS, BATCH, MEASURED = 8, 256, 16384
CYCLES = {"eps": (1000, 2000)}
"""Steps until the learning rate is zero; it begins anew for those who have not learned enough."""
MOST = (500, 1000, 2000)
"""The same where not said otherwise."""
PEAK, WARMUP = 1e-2, 50


def build(kind, name, /, *facts, **options):
    return REGISTRY.find(kind, name).load()(*facts, **options)


@frozen(eq=False)
class Off(NetworkDenoiser):
    """The exact denoiser of points, off by a multiple of what the network is off."""

    points: Tensor = field(kw_only=True)
    factor: float = field(kw_only=True)

    def output(self, x, level, cond):
        x0, eps = columns(x.double(), *self.prediction.target(level))
        exact = PointsDenoiser(self.scheduler, self.points)(x.double(), level.t)
        ideal = torch.where(x0.isfinite(), x0 * exact.x0 + eps * exact.eps, 0)
        return ideal + self.factor * (super().output(x, level, cond).double() - ideal)


def train(denoiser, objective, data, steps):
    """AdamW under half a cosine."""
    parameters = list(denoiser.backbone.parameters())
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.95), weight_decay=0, fused=True)
    for i in range(steps):
        for group in optimizer.param_groups:
            warm, cool = min(1, (i + 1) / WARMUP), (1 + math.cos(math.pi * i / steps)) / 2
            group["lr"] = PEAK * warm * cool
        objective(denoiser, data).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()


def begun(process, settings, prediction):
    """A denoiser that knows nothing, what it is trained with, and on which data."""
    dataset = build("dataset", "toy2d", kind="swiss_roll", points=POINTS)
    torch.manual_seed(0)
    network = build("backbone", "mlp", dataset.spec, width=64, depth=1, octaves=8)
    scheduler, sigma_data = build("scheduler", process, **settings), dataset.spec.sigma_data
    options = ObjectiveOptions(prediction=prediction)
    base = options.resolved().times
    quick = Objective(evolve(options, times="adaptive", times_base=base))
    denoiser = NetworkDenoiser(network, scheduler, PREDICTIONS[prediction], sigma_data)
    return denoiser, quick, dataset


@torch.no_grad()
def excess(denoiser, objective, dataset):
    """By what share of the least loss the network's is larger, in expectation over its noise."""
    parts = denoiser.backbone, denoiser.scheduler, denoiser.prediction, denoiser.sigma_data
    points = dataset.batch(drawn(POINTS)).x
    data = dataset.batch(drawn(MEASURED))
    above, below, least = (
        objective.terms(Off(*parts, points=points, factor=factor), data, 0).loss.mean().item()
        for factor in (1, -1, 0)
    )
    return ((above + below) / 2 - least) / least


def drawn(count):
    return torch.arange(count) % POINTS


LEARNED = [name for name in PREDICTIONS if name != "score"]  # which is learned as eps is
PAIRS = [(name, {}, prediction) for name in PROCESSES for prediction in LEARNED]
WITHOUT_DATA = [("ddpm", {"zero_terminal_snr": True}, one) for one in ("v", "x0", "eps")]


@pytest.mark.slow
@pytest.mark.parametrize(("process", "settings", "prediction"), PAIRS + WITHOUT_DATA)
def test_a_batch_is_learned_to_its_exact_denoiser(process, settings, prediction):
    denoiser, quick, dataset = begun(process, settings, prediction)
    figures = []
    for steps in CYCLES.get(prediction, MOST):
        train(denoiser, quick, dataset.batch(drawn(BATCH)), steps)
        objective = Objective(ObjectiveOptions(prediction=prediction))
        figures.append(excess(denoiser, objective, dataset))
        if figures[-1] < 0.02:
            return
    pytest.fail(f"the loss stays above the least by the shares {figures}")


@pytest.mark.parametrize("process", PROCESSES)
def test_a_score_is_learned_as_noise_is(process):
    """It is -eps / sigma: with the opposite sign, all steps are the same and so are all samples."""
    found = []
    for prediction in ("score", "eps"):
        denoiser, quick, dataset = begun(process, {}, prediction)
        data = dataset.batch(drawn(BATCH))
        train(denoiser, quick, data, steps=50)
        scheduler = denoiser.scheduler
        last = denoiser.prediction.horizon(scheduler)
        t = torch.linspace(scheduler.t_min, last, BATCH, dtype=torch.float64)
        with torch.no_grad():
            found.append(denoiser(data.x, t, data.cond).eps)
    score, noise = found
    assert 0 < noise.abs().amax() < 100
    assert torch.equal(score, noise)
