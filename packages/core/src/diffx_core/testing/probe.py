"""The exact law of a stochastic sampler, without drawing a single random number.

On Gaussian data the denoiser is affine in x, and so is a sampler that uses fixed coefficients: its
result is

    x = c + A x_T + sum_j B_j z_j

in the starting point x_T and every noise z_j that it draws. One batch whose rows are zero, a unit
x_T and a unit z_j for each j gives all coefficients, and with them the mean and the variance of the
result to rounding.
"""

from collections.abc import Sequence

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.noise import START, Span
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import sample
from diffx_core.testing.oracle import GaussianDenoiser

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


def law_error(sampler: Sampler[object], denoiser: GaussianDenoiser, plan: Plan) -> float:
    """How far the law of the result is from the marginal at the last time, from an exact start.

    The sum of the error of the mean, in standard deviations, and of the relative error of the
    variance.
    """
    offset, gain, noise = response(sampler, denoiser, plan)
    ends = torch.tensor([plan.times[0], plan.times[-1]], dtype=torch.float64)
    start, end = (float(v) for v in denoiser.variance(ends))
    mean = offset + gain * plan.alpha[0] * denoiser.mean
    variance = gain**2 * start + float(noise.square().sum())
    error: float = abs(mean - plan.alpha[-1] * denoiser.mean) / end**0.5 + abs(variance / end - 1)
    return error


def is_affine(sampler: Sampler[object], denoiser: GaussianDenoiser, plan: Plan) -> bool:
    """Whether the sampler's result is affine in what it starts from and draws."""
    _, gain, noise = response(sampler, denoiser, plan)
    _, double_gain, double_noise = response(sampler, denoiser, plan, size=2.0)
    return abs(gain - double_gain) < 1e-9 and torch.allclose(noise, double_noise, atol=1e-9)
