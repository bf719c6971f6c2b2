"""The law of a stochastic sampler, without drawing a single random number.

On Gaussian data the denoiser is affine in x, and so is a sampler that uses fixed coefficients: its
result is

    x = c + A x_T + sum_j B_j z_j

in the starting point x_T and every noise z_j that it draws. One batch whose rows are zero, a unit
x_T and a unit z_j for each j gives all coefficients, and with them the mean and the variance of the
result to rounding.

On a mixture of Gaussians in one dimension, the expectation of any smooth function of the result
comes backwards, from step to step: as a function of x it is known at Chebyshev points, and the mean
over the noise of a step is a Gauss-Hermite sum.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.noise import START, Span
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import Asked, sample
from diffx_core.testing.oracle import GaussianDenoiser, MixtureDenoiser

Draw = tuple[int, int]


@frozen(eq=False)
class Probe:
    """A noise source that gives row j a unit of the j-th noise, and zero otherwise.

    Args:
        draws: (step, substep) of each noise, in the order of the rows after the first.
        size: the unit.
    """

    draws: dict[Draw, int]
    size: float = 1.0
    seen: dict[Draw, None] = field(factory=dict, init=False)
    device: torch.device = field(factory=lambda: torch.device("cpu"), init=False)

    def normal(
        self, shape: Sequence[int], step: int, substep: int = 0, span: Span | None = None
    ) -> Tensor:
        """The unit in its row."""
        del span
        self.seen[step, substep] = None
        out = torch.zeros(len(self.draws) + 1, *shape, dtype=torch.float64)
        if (step, substep) in self.draws:
            out[self.draws[step, substep]] = self.size
        return out


def response(
    sampler: Sampler[object], denoiser: GaussianDenoiser, plan: Plan, size: float = 1.0
) -> tuple[float, float, Tensor]:
    """c, A and the B_j of a sampler on a Gaussian problem, measured with probes of a given size."""
    scout = Probe({})
    sample(sampler, denoiser, (1,), noise=scout, plan=plan)
    draws = [(START, 0), *(draw for draw in scout.seen if draw[0] != START)]
    probe = Probe({draw: row + 1 for row, draw in enumerate(draws)}, size)
    out = sample(sampler, denoiser, (1,), noise=probe, plan=plan)[:, 0]
    gains = (out[1:] - out[0]) / size
    return float(out[0]), float(gains[0]) / plan.prior_std(), gains[1:]


def law(sampler: Sampler[object], denoiser: GaussianDenoiser, plan: Plan) -> tuple[float, float]:
    """Mean and variance of the result, from an exact start."""
    offset, gain, noise = response(sampler, denoiser, plan)
    start = denoiser.variance(torch.tensor(plan.times[0], dtype=torch.float64))
    mean = offset + gain * plan.alpha[0] * denoiser.mean
    return mean, gain**2 * float(start) + float(noise.square().sum())


def law_error(sampler: Sampler[object], denoiser: GaussianDenoiser, plan: Plan) -> float:
    """How far the law of the result is from the marginal at the last time, from an exact start.

    The sum of the error of the mean, in standard deviations, and of the relative error of the
    variance.
    """
    mean, variance = law(sampler, denoiser, plan)
    end = float(denoiser.variance(torch.tensor(plan.times[-1], dtype=torch.float64)))
    error: float = abs(mean - plan.alpha[-1] * denoiser.mean) / end**0.5 + abs(variance / end - 1)
    return error


def is_affine(sampler: Sampler[object], denoiser: GaussianDenoiser, plan: Plan) -> bool:
    """Whether the sampler's result is affine in what it starts from and draws."""
    _, gain, noise = response(sampler, denoiser, plan)
    _, double_gain, double_noise = response(sampler, denoiser, plan, size=2.0)
    return abs(gain - double_gain) < 1e-9 and torch.allclose(noise, double_noise, atol=1e-9)


POINTS = 240
"""Of the interpolation in x."""
NODES = 20
"""Of the quadrature over the noise of one step."""
START_NODES = 80
"""Of the quadrature over each component at the start."""


def _normal(nodes: int) -> tuple[Tensor, Tensor]:
    """Points and weights for the mean over a standard normal variable."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return torch.from_numpy(points), torch.from_numpy(weights / weights.sum())


def _interpolated(points: Tensor, values: Tensor, x: Tensor) -> Tensor:
    """At x, the polynomial with some values at the Chebyshev points of [-1, 1]."""
    angle = torch.arange(len(points), dtype=torch.float64) + 0.5
    weights = (angle * math.pi / len(points)).sin() * torch.where(angle.long() % 2 == 0, 1.0, -1.0)
    away = x.clamp(-1, 1)[:, None] - points
    shares = weights / torch.where(away == 0, torch.finfo(torch.float64).tiny ** 0.5, away)
    total: Tensor = (shares @ values) / shares.sum(1)
    return total


def expectation(
    sampler: Sampler[object],
    denoiser: MixtureDenoiser,
    plan: Plan,
    f: Callable[[Tensor], Tensor],
) -> float:
    """E f(x) at the end of a plan, from an exact start, for a method with one noise in each step.

    The method's steps must be independent of each other, as those of one-step methods are.
    """
    centre = max(abs(m) + 6 * s for m, s in zip(denoiser.means, denoiser.stds, strict=True))
    reach = [a * centre + 7 * s for a, s in zip(plan.alpha, plan.sigma, strict=True)]
    points = ((torch.arange(POINTS, dtype=torch.float64) + 0.5) * math.pi / POINTS).cos()
    noise, weights = _normal(NODES)
    z = noise.repeat(POINTS)[:, None]
    ask, state = Asked(denoiser), sampler.start(plan)

    def draw(substep: int = 0, span: Span | None = None) -> Tensor:
        del substep, span
        return z

    behind = f
    for i in reversed(range(plan.steps)):
        x = (points * reach[i]).repeat_interleave(NODES)[:, None]
        moved, _ = sampler.step(ask, x, i, plan, state, draw)
        values = behind(moved[:, 0]).reshape(POINTS, NODES) @ weights

        def behind(x: Tensor, values: Tensor = values, reach: float = reach[i]) -> Tensor:
            return _interpolated(points, values, x / reach)

    u, shares = _normal(START_NODES)
    alpha, sigma = plan.alpha[0], plan.sigma[0]
    components = zip(denoiser.weights, denoiser.means, denoiser.stds, strict=True)
    return sum(
        weight * float(behind(alpha * mean + math.hypot(alpha * std, sigma) * u) @ shares)
        for weight, mean, std in components
    )
