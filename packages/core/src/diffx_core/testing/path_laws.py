"""What must hold of what a process is used with: predictions, discrete times, noise, an anchor."""

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.estimate import Estimate, spread
from diffx_core.grids import legal
from diffx_core.noise import NoiseSource
from diffx_core.prediction import PREDICTIONS, Level
from diffx_core.sampler import Denoise, Plan, Sampler, StepNoise
from diffx_core.sampling import sample
from diffx_core.scheduler import Scheduler
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.marginal_laws import IMAGE, conditions
from diffx_core.testing.oracle import GaussianDenoiser
from diffx_core.testing.times import ends, interior, span

SIGMA_DATA = 0.5
"""Root mean square of the data for which predictions are read."""
TOLERANCE = 1e-10
ROUNDINGS = 16
"""How often a number is rounded on the way through a prediction, at most."""
SPACED = 65
"""How many times of equal steps are looked at."""
STEP = 3
"""The step whose noise is looked at."""


def predictions(scheduler: Scheduler) -> Measurement:
    """The error of both ends read from each prediction's target, wherever the output knows them.

    eps and score know no data at alpha = 0, x0 no noise at sigma = 0. At the ends of the process
    the error is a share of what the reading magnifies rounding by, and so it is where some
    roundings, magnified, are more than the tolerance.
    """
    inside = interior(scheduler)
    level = Level(scheduler, torch.cat([ends(scheduler), inside]), SIGMA_DATA)
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, len(level.t), 3, generator=generator, dtype=torch.float64)
    x = spread(level.alpha, x0) * x0 + spread(level.sigma, x0) * eps
    worst, where = 0.0, ""
    for name, prediction in PREDICTIONS.items():
        p, q = prediction.target(level)
        decoding = prediction.decode(level)
        estimate = Estimate(x, spread(p, x) * x0 + spread(q, x) * eps, decoding)
        for end, error, magnified, unknown in (
            ("x0", estimate.x0 - x0, decoding.x0_f, (prediction.reads == "eps", level.alpha)),
            ("eps", estimate.eps - eps, decoding.eps_f, (prediction.reads == "x0", level.sigma)),
        ):
            size = torch.as_tensor(magnified).abs()
            size[2:] *= ROUNDINGS * torch.finfo(torch.float64).eps / TOLERANCE
            size = size.clamp(min=1)
            figure = (error.abs().amax(1) / size).nan_to_num(torch.inf)
            blind, amount = unknown
            figure = figure[amount > 0] if blind else figure
            if float(figure.max()) > worst:
                worst, where = float(figure.max()), f"{end} of {name}"
    return Measurement(worst, TOLERANCE, where)


def discrete_times(scheduler: Scheduler) -> Measurement:
    """The distance of `grid()` from what samplers make of it; infinite if it is no grid."""
    known = scheduler.grid()
    if known is None:
        return Measurement(float("nan"), 1e-9, "it has continuous time", measured=False)
    if known.dtype != torch.float64 or known.ndim != 1 or not known.isfinite().all():
        return Measurement(float("inf"), 1e-9, f"{known.dtype} {tuple(known.shape)}")
    if not (known.diff() > 0).all():
        return Measurement(float("inf"), 1e-9, "it does not rise")
    if not scheduler.t_min <= float(known[0]) <= float(known[-1]) == scheduler.t_max:
        return Measurement(float("inf"), 1e-9, "it is not a grid from the data to t_max")
    falling = torch.cat([known.flip(0), known.new_tensor([scheduler.t_min])])
    moved = legal(scheduler, falling) - falling
    inverse = scheduler.time_of(scheduler.log_snr(known)) - known
    error = torch.cat([moved, inverse]).abs().nan_to_num(torch.inf).max() / span(scheduler)
    return Measurement(float(error), 1e-9)


def equal_steps(scheduler: Scheduler) -> Measurement:
    """How far the ends of `spaced` are from those asked for; infinite if times do not rise."""
    first, last = ends(scheduler).tolist()
    worst = 0.0
    for start, stop in ((first, last), (last, first)):
        times = scheduler.spaced(start, stop, SPACED)
        if times.dtype != torch.float64 or times.shape != (SPACED,):
            return Measurement(float("inf"), 1e-12, f"{times.dtype} {tuple(times.shape)}")
        if not bool((times.diff() * (stop - start) > 0).all()):
            return Measurement(float("inf"), 1e-12, "times on the way turn back or stand still")
        error = (times[[0, -1]] - times.new_tensor([start, stop])).abs().max()
        worst = max(worst, float(error) / span(scheduler))
    return Measurement(worst, 1e-12)


def drawn(scheduler: Scheduler, indices: list[int], step: int = STEP) -> Tensor:
    """The noise of a step for some examples."""
    return scheduler.noise(NoiseSource(0, indices, dtype=torch.float64), (16,), step)


def keyed_noise(scheduler: Scheduler) -> Measurement:
    """The difference between an example's noise alone and in a batch; infinite if all is alike."""
    alone, batched, turned = (drawn(scheduler, one) for one in ([3], [0, 1, 3], [3, 1, 0]))
    if alone.shape != (1, 16) or batched.shape != (3, 16) or not batched.isfinite().all():
        return Measurement(float("inf"), 0, f"{tuple(alone.shape)} for one example of 16 numbers")
    if torch.equal(batched[0], batched[1]) or torch.equal(alone, drawn(scheduler, [3], STEP + 1)):
        return Measurement(float("inf"), 0, "two examples or two steps have the same noise")
    error = torch.cat([alone[0] - batched[2], alone[0] - turned[0]]).abs().max()
    return Measurement(float(error), 0)


def gaussian_noise(scheduler: Scheduler) -> Measurement:
    """The difference between the noise and the source's normal noise, if the process has a score.

    Samplers of the reverse SDE draw normal noise themselves.
    """
    if "reverse_sde" not in scheduler.offers():
        return Measurement(float("nan"), 0, "it does not offer reverse_sde", measured=False)
    normal = NoiseSource(0, [0, 1, 3], dtype=torch.float64).normal((16,), STEP)
    found = drawn(scheduler, [0, 1, 3])
    if found.shape != normal.shape:
        return Measurement(float("inf"), 0, str(tuple(found.shape)))
    return Measurement(float((found - normal).abs().max()), 0)


@frozen(kw_only=True)
class Straight(Sampler[None]):
    """The deterministic step x' = alpha' x0 + sigma' eps, for laws that need any sampler."""

    def start(self, plan: Plan) -> None:
        """Nothing is needed."""

    def step(
        self, denoise: Denoise, x: Tensor, i: int, plan: Plan, state: None, noise: StepNoise
    ) -> tuple[Tensor, None]:
        """One step."""
        del state, noise
        return denoise(x, plan.times[i]).mix(plan.alpha[i + 1], plan.sigma[i + 1]), None


def shifted(denoiser: Denoiser, cond: Condition, steps: int) -> Tensor:
    """Samples of a condition."""
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    return sample(Straight(steps=steps), denoiser, IMAGE, noise=noise, cond=cond)


def anchored(scheduler: Scheduler) -> Measurement:
    """The difference between moving the anchor of a sample and moving the sample.

    The anchor itself may not depend on the batch.
    """
    cond = conditions()
    y = scheduler.anchor(cond)
    if y is None:
        return Measurement(float("nan"), 1e-12, "it has no anchor", measured=False)
    assert cond.image is not None
    alone = scheduler.anchor(Condition(torch.tensor([2]), cond.image[2:]))
    origin = Condition(cond.label, torch.zeros_like(cond.image))
    zero = scheduler.anchor(origin)
    if alone is None or zero is None or y.shape != (3, *IMAGE) or alone.shape != (1, *IMAGE):
        return Measurement(float("inf"), 1e-12, f"{tuple(y.shape)} for three of {IMAGE}")
    if not torch.equal(alone[0], y[2]):
        return Measurement(float("inf"), 1e-12, "an example's anchor depends on its batch")
    known = scheduler.grid()
    steps = 10 if known is None else min(10, len(known))
    denoiser = GaussianDenoiser(scheduler)
    error = shifted(denoiser, cond, steps) - shifted(denoiser, origin, steps) - (y - zero)
    return Measurement(float(error.abs().nan_to_num(torch.inf).max()), 1e-12)


PATH_LAWS: tuple[Law[Scheduler], ...] = (
    Law("every prediction can be read at every level", predictions),
    Law("discrete times rise and stay where they are", discrete_times),
    Law("equal steps lead from one end to the other", equal_steps),
    Law("an example's noise does not depend on its batch", keyed_noise),
    Law("a process with a score has normal noise", gaussian_noise),
    Law("samples move with the anchor", anchored),
)
