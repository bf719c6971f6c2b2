"""Every registered process is what it promises, and gives the same answers in every prediction."""

import itertools
import math

import pytest
import torch
from attrs import frozen
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from diffx_core import (
    PREDICTIONS,
    NetworkDenoiser,
    NoiseSource,
    Plan,
    Prediction,
    Scheduler,
    states,
)
from diffx_core import sample as draw
from diffx_core.estimate import spread
from diffx_core.grids import legal
from diffx_core.plugins import Registry
from diffx_core.prediction import Level
from diffx_core.testing import SCHEDULER_LAWS, GaussianDenoiser
from diffx_core.testing.sde_laws import euler
from diffx_core.testing.times import intervals
from diffx_samplers.ddim import DDIM

REGISTRY = Registry.load({})
COMPONENTS = [
    one
    for one in REGISTRY.all()
    if one.kind == "scheduler" and one.distribution.startswith("diffx-")
]
SCHEDULERS = [one.name for one in COMPONENTS]
DIFFERENT = list({one.target: one.name for one in COMPONENTS}.values())
STD = 0.5
"""Standard deviation of the data."""

PROCESSES = pytest.mark.parametrize("name", SCHEDULERS)
HEADS = pytest.mark.parametrize("head", PREDICTIONS.values(), ids=PREDICTIONS)


def process(name: str) -> Scheduler:
    return REGISTRY.find("scheduler", name).load()()


def test_every_process_is_here():
    assert {
        *("vpsde", "vesde", "subvpsde", "cosine", "edm", "rectified_flow", "flow", "gvp"),
        *("logsnr", "ddpm"),
    } <= set(SCHEDULERS)


@pytest.mark.parametrize("law", SCHEDULER_LAWS, ids=str)
@PROCESSES
def test_every_process_obeys_every_law(name, law):
    assert law.check(process(name)).holds


@frozen(eq=False)
class OracleBackbone:
    """A network that says exactly what it should about Gaussian data, in a prediction's words.

    Labels are told in single precision: it knows which of the times of the plan is meant.
    """

    scheduler: Scheduler
    head: Prediction
    times: tuple[float, ...]

    def __call__(self, x, noise_label, cond):
        times = torch.tensor(self.times, dtype=torch.float64)
        labels = self.scheduler.noise_label(times).float()
        (which,) = (labels == noise_label[0]).nonzero()
        t = times[which]
        level = Level(self.scheduler, t, STD)
        x = x * spread(level.spread, x)
        estimate = GaussianDenoiser(self.scheduler, std=STD)(x, t)
        p, q = (spread(c, x) for c in self.head.target(level))
        return p * estimate.x0 + q * estimate.eps


def sampled(scheduler: Scheduler, head: Prediction, t_max: float) -> torch.Tensor:
    sampler = DDIM(steps=20)
    plan = Plan.of(scheduler, legal(scheduler, sampler.times(scheduler, t_max)))
    network = OracleBackbone(scheduler, head, plan.times)
    denoiser = NetworkDenoiser(network, scheduler, head, STD)
    noise = NoiseSource(0, range(4), dtype=torch.float64)
    return draw(sampler, denoiser, (3,), noise=noise, plan=plan)


@PROCESSES
def test_samples_do_not_depend_on_what_the_network_predicts(name):
    scheduler = process(name)
    horizon = min(head.horizon(scheduler) for head in PREDICTIONS.values())
    samples = [sampled(scheduler, head, horizon) for head in PREDICTIONS.values()]
    assert max(float((one - samples[0]).abs().max()) for one in samples) < 1e-9


@PROCESSES
def test_nor_do_samples_from_pure_noise_for_predictions_that_know_the_data_there(name):
    scheduler = process(name)
    heads = [one for one in PREDICTIONS.values() if one.horizon(scheduler) == scheduler.t_max]
    assert {"x0", "v", "edm"} <= {one.name for one in heads}
    samples = [sampled(scheduler, head, scheduler.t_max) for head in heads]
    assert max(float((one - samples[0]).abs().max()) for one in samples) < 1e-9


def both_ends(scheduler: Scheduler, head: Prediction):
    """(time, end of the path) for all that the prediction can say at the ends of the process."""
    t_max = torch.tensor(scheduler.t_max, dtype=torch.float64)
    t_min = torch.tensor(scheduler.t_min, dtype=torch.float64)
    yield scheduler.t_min, "x0"
    if head.reads != "x0" or scheduler.sigma(t_min) > 0:
        yield scheduler.t_min, "eps"
    yield scheduler.t_max, "eps"
    if head.reads != "eps" or scheduler.alpha(t_max) > 0:
        yield scheduler.t_max, "x0"
    yield from itertools.product([head.horizon(scheduler)], ["x0", "eps"])


@HEADS
@PROCESSES
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
def test_nothing_is_undefined_at_either_end(name, head, dtype):
    scheduler = process(name)
    x = torch.linspace(-3, 3, 8, dtype=dtype).reshape(2, 4)
    denoiser = NetworkDenoiser(lambda x, label, cond: x + label[:, None], scheduler, head, STD)
    for t, end in both_ends(scheduler, head):
        for time in (t, torch.full((2,), t, dtype=torch.float64)):
            found = getattr(denoiser(x, time), end)
            assert found.dtype == dtype
            assert found.isfinite().all(), (t, end)


class SinglePrecisionDevice(TorchDispatchMode):
    """The meta device, as one that has no float64."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor) and one.device.type == "meta":
                assert one.dtype != torch.float64, func
        return out


@HEADS
@PROCESSES
def test_a_device_needs_no_double_precision(name, head):
    scheduler = process(name)
    denoiser = NetworkDenoiser(lambda x, label, cond: x + label[:, None], scheduler, head, STD)
    noise = NoiseSource(0, range(2), device=torch.device("meta"))
    with SinglePrecisionDevice():
        for eta in (0.0, 1.0):
            # Not sample(), which looks at its result: there are no numbers on this device.
            *_, last = states(DDIM(steps=3, eta=eta), denoiser, (4,), noise=noise)
            drawn = last.x
        times = torch.tensor([0.3, 0.7], dtype=torch.float64)
        each = denoiser(drawn, times).x0
    assert (drawn.device.type, drawn.dtype) == ("meta", torch.float32)
    assert (each.device.type, each.dtype) == ("meta", torch.float32)


def test_the_device_without_double_precision_would_notice_it():
    with SinglePrecisionDevice(), pytest.raises(AssertionError):
        torch.zeros(1, device="meta").double()


PATHS = 100_000


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFERENT)
def test_paths_of_the_sde_have_the_mean_and_variance_of_the_process(name):
    """Five standard errors, and what Euler-Maruyama itself is off by in a thousand steps."""
    scheduler = process(name)
    edges = intervals(scheduler, 1000)
    assert len(edges) > 1000
    means, variances = euler(scheduler, edges)
    t, dt = edges[:-1], edges.diff()
    growth = (1 + scheduler.drift(t) * dt).tolist()
    size = (scheduler.diffusion(t) * dt.sqrt()).tolist()
    generator = torch.Generator().manual_seed(0)
    alpha, sigma = scheduler.alpha(edges).tolist(), scheduler.sigma(edges).tolist()
    x = torch.randn(PATHS, generator=generator, dtype=torch.float64) * sigma[0] + alpha[0]
    noise = torch.empty_like(x)
    looked = {len(size) * share // 4 for share in (1, 2, 3, 4)}
    for i, (grown, deviation) in enumerate(zip(growth, size, strict=True), start=1):
        x.mul_(grown).add_(noise.normal_(generator=generator), alpha=deviation)
        if i not in looked:
            continue
        mean, variance = float(means[i - 1]), float(variances[i - 1])
        bias, excess = abs(mean - alpha[i]), abs(variance - sigma[i] ** 2)
        assert bias < 0.03 * alpha[i]
        assert excess < 0.03 * sigma[i] ** 2
        assert abs(float(x.mean()) - alpha[i]) < bias + 5 * math.sqrt(variance / PATHS)
        assert abs(float(x.var()) - sigma[i] ** 2) < excess + 5 * variance * math.sqrt(2 / PATHS)
