"""Samples of more variety: what a network is told is hidden by noise while x is mostly noise.

    c~ = sqrt(gamma) c + scale sqrt(1 - gamma) n,    n ~ N(0, I),

with gamma = 0 above one value of sigma / alpha, 1 below another, and linear in its logarithm in
between. That is for a condition with a size, an image. A label has none: noise hides it, with the
probability 1 - gamma, and the network is told nothing, which it knows from training. (The paper
adds noise to the embedding of a label, which no network has learned to read.)
"""

import math

from attrs import evolve, field, frozen
from attrs.validators import ge, le
from torch import Tensor
from torch.special import ndtri

from diffx_core.dataset import Condition
from diffx_core.errors import ConfigError
from diffx_core.estimate import Estimate
from diffx_core.guidance.wrapper import Guided, fresh
from diffx_core.noise import Noise
from diffx_core.options.checks import finite, number, of_kind, two_numbers


def rising(value: tuple[float, float]) -> tuple[float, float]:
    """Two rising ratios above zero."""
    low, high = two_numbers("the interval of annealing", value)
    if not 0 < low < high < math.inf:
        raise ConfigError(f"annealing needs 0 < low < high, got {low:g}, {high:g}")
    return low, high


@frozen(eq=False)
class AnnealedCondition(Guided):
    """Condition-annealed sampling (CADS). Goes around classifier-free guidance, not inside.

    Args:
        noise: where n comes from; a stream of its own for every sample.
        interval: sigma / alpha below which c is itself, and above which it is noise; the defaults
            are what the paper's 0.6 and 0.9 are for the linear variance-preserving process.
        scale: size of the noise, in standard deviations of normalised images.
        restore: how far the mean and deviation of c~ are set back to those of c, from 0 to 1.

    References:
        Sadat et al., CADS: Unleashing the Diversity of Diffusion Models through
        Condition-Annealed Sampling, 2024, arXiv:2310.17347.
    """

    noise: Noise = field(kw_only=True, validator=of_kind(Noise))
    interval: tuple[float, float] = field(default=(6.0, 60.0), kw_only=True, converter=rising)
    scale: float = field(default=0.25, kw_only=True, validator=number(ge(0), finite))
    restore: float = field(default=1.0, kw_only=True, validator=number(ge(0), le(1)))

    @property
    def at_one_time(self) -> str:
        """Noise for every sample of the batch."""
        return "annealing a condition"

    def gamma(self, t: float, x: Tensor) -> float:
        """How much of the condition is left."""
        alpha, sigma = (float(one) for one in self.level(t, x))
        low, high = self.interval
        if sigma <= low * alpha:
            return 1.0
        if sigma >= high * alpha:
            return 0.0
        return math.log(high * alpha / sigma) / math.log(high / low)

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """What the inner denoiser says when it is told less."""
        if isinstance(t, Tensor):
            raise ConfigError("annealing a condition needs the same time for the whole batch")
        call, gamma = self.called(), self.gamma(t, x)
        if cond is None or gamma == 1:
            return self.inner(x, t, cond)
        if cond.label is not None:
            z = fresh(self.noise, (1,), call, x)[:, 0]
            cond = cond.dropped((z > ndtri(z.new_tensor(gamma))).to(cond.label.device))
        if cond.image is not None:
            image = cond.image
            n = fresh(self.noise, image.shape[1:], call, x, substep=1).to(image)
            mixed = math.sqrt(gamma) * image + self.scale * math.sqrt(1 - gamma) * n
            cond = evolve(cond, image=self._restored(mixed, image))
        return self.inner(x, t, cond)

    def _restored(self, mixed: Tensor, image: Tensor) -> Tensor:
        axes = tuple(range(1, image.ndim))
        new, old = (
            (one.mean(axes, keepdim=True), one.std(axes, keepdim=True)) for one in (mixed, image)
        )
        back = (mixed - new[0]) / new[1].clamp(min=1e-12) * old[1] + old[0]
        return mixed.lerp(back, self.restore)
