"""Problems whose answer is known: Gaussians, mixtures, points, and processes of two functions.

For x0 ~ N(m, S^2) the expected data behind x is m + alpha S^2 (x - alpha m) / (alpha^2 S^2 +
sigma^2), and the probability-flow ODE carries x from t to s as alpha_s m + (V_s / V_t) (x - alpha_t
m), V = sqrt(alpha^2 S^2 + sigma^2).

For data that are N points y_i, all equally likely, the expected data behind x is

    sum_i w_i y_i,    w = softmax(-|x - alpha y_i|^2 / (2 sigma^2)).

No network has a lower training loss on these points than that.
"""

from collections.abc import Iterable

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.estimate import Decoding, Estimate, from_x0, spread
from diffx_core.scheduler import Scheduler


@frozen
class ReferenceVP(Scheduler):
    """The variance-preserving process with beta from 0.1 to 20; everything else is derived."""

    t_min = 1e-5

    def alpha(self, t: Tensor) -> Tensor:
        """exp(-B/2)."""
        return (-(0.1 * t + 9.95 * t**2) / 2).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - exp(-B))."""
        return (-(-(0.1 * t + 9.95 * t**2)).expm1()).sqrt()


@frozen
class ReferenceVE(Scheduler):
    """The variance-exploding process from 0.01 to 50; everything else is derived."""

    def alpha(self, t: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """Geometric."""
        return 0.01 * 5000**t


@frozen
class ReferenceFlow(Scheduler):
    """Straight lines, singular at both ends; everything else is derived."""

    def alpha(self, t: Tensor) -> Tensor:
        """1 - t."""
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        """The time itself."""
        return t.clone()


REFERENCE_PROCESSES: tuple[Scheduler, ...] = (ReferenceVP(), ReferenceVE(), ReferenceFlow())


@frozen(eq=False)
class GaussianDenoiser:
    """The exact denoiser of Gaussian data, independent in each coordinate.

    Args:
        scheduler: the process.
        mean: m.
        std: S.
    """

    scheduler: Scheduler
    mean: float = 0.7
    std: float = 0.5
    calls: list[float] = field(factory=list, init=False, repr=False)

    @property
    def t_min(self) -> float:
        """The beginning of the process."""
        return self.scheduler.t_min

    @property
    def t_max(self) -> float:
        """The end of the process."""
        return self.scheduler.t_max

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Nothing needs preparing."""

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The exact estimate, whatever x is told."""
        del cond
        self.calls.extend([t] if isinstance(t, float) else t.tolist())
        time = torch.as_tensor(t, dtype=torch.float64)
        alpha, sigma = self.scheduler.alpha(time), self.scheduler.sigma(time)
        gain = alpha * self.std**2 / self.variance(time)
        x0 = self.mean + spread(gain, x) * (x - spread(alpha, x) * self.mean)
        if isinstance(t, float):
            return from_x0(x, x0.to(x.dtype), float(alpha), float(sigma))
        return from_x0(x, x0.to(x.dtype), alpha, sigma)

    def variance(self, t: Tensor) -> Tensor:
        """V^2, the variance of x_t."""
        return (self.scheduler.alpha(t) * self.std) ** 2 + self.scheduler.sigma(t) ** 2

    def flow(self, x: Tensor, t: float, s: float) -> Tensor:
        """Where the probability-flow ODE carries x from t to s."""
        times = torch.tensor([t, s], dtype=torch.float64)
        alpha, v = self.scheduler.alpha(times), self.variance(times).sqrt()
        return alpha[1] * self.mean + v[1] / v[0] * (x - alpha[0] * self.mean)


def in_float64(points: Tensor) -> Tensor:
    """The same points, exactly."""
    return points.detach().to(torch.float64)


@frozen(eq=False)
class PointsDenoiser:
    """The exact denoiser of data that are finitely many points, computed in float64.

    It is exact at both ends: without data (alpha = 0) every point is as likely, without noise
    (sigma = 0) the nearest is certain, and nothing is known of the noise, whose mean is zero.

    Args:
        scheduler: the process.
        points: (N, *shape) the data; seen from the anchor, where the process has one.
    """

    scheduler: Scheduler
    points: Tensor = field(converter=in_float64)

    @property
    def t_min(self) -> float:
        """The beginning of the process."""
        return self.scheduler.t_min

    @property
    def t_max(self) -> float:
        """The end of the process."""
        return self.scheduler.t_max

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Nothing needs preparing."""

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The exact estimate, whatever x is told."""
        del cond
        time = torch.as_tensor(t, dtype=torch.float64, device="cpu")
        alpha, sigma = self.scheduler.alpha(time), self.scheduler.sigma(time)
        weights = self.weights(x, alpha, sigma)
        x0 = (weights @ self.points.to(x.device).flatten(1)).reshape(x.shape).to(x.dtype)
        noisy = sigma > 0
        eps_x = torch.where(noisy, 1 / sigma, 0)
        decoding = Decoding(0.0, 1.0, eps_x, -alpha * eps_x)
        return Estimate(x, x0, decoding)

    def weights(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """How likely each point is behind x: (B, N), for alpha and sigma () or (B,)."""
        rows = x.detach().to(torch.float64).flatten(1)[:, None]
        scale, width = (one.to(x.device).reshape(-1, 1, 1) for one in (alpha, sigma))
        # Distances are compared before they are divided: the nearest has none, even at sigma = 0.
        squared = (rows - scale * self.points.to(x.device).flatten(1)).square().sum(2)
        behind = squared - squared.amin(1, keepdim=True)
        levels = torch.where(behind > 0, behind / (2 * width[:, 0] ** 2), 0)
        return (-levels).softmax(1)


@frozen(eq=False)
class MixtureDenoiser:
    """The exact denoiser of a mixture of Gaussians, the same and independent in each coordinate.

    Computed in float64, and finite at both ends: its output is alpha eps - sigma x0.

    Args:
        scheduler: the process.
        weights: of the components.
        means: of the components.
        stds: of the components.
    """

    scheduler: Scheduler
    weights: tuple[float, ...] = (0.4, 0.6)
    means: tuple[float, ...] = (-1.0, 0.8)
    stds: tuple[float, ...] = (0.25, 0.15)
    calls: list[float] = field(factory=list, init=False, repr=False)

    @property
    def t_min(self) -> float:
        """The beginning of the process."""
        return self.scheduler.t_min

    @property
    def t_max(self) -> float:
        """The end of the process."""
        return self.scheduler.t_max

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Nothing needs preparing."""

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The exact estimate, whatever x is told."""
        del cond
        self.calls.extend([t] if isinstance(t, float) else t.tolist())
        time = torch.as_tensor(t, dtype=torch.float64)
        alpha, sigma = self.scheduler.alpha(time), self.scheduler.sigma(time)
        a, s = (spread(one, x)[..., None] for one in (alpha, sigma))
        weights, means, stds = self._components()
        variance = (a * stds) ** 2 + s**2
        away = x.to(torch.float64)[..., None] - a * means
        behind = (weights.log() - variance.log() / 2 - away**2 / (2 * variance)).softmax(-1)
        x0, eps = means + a * stds**2 / variance * away, s / variance * away
        output = (behind * (a * eps - s * x0)).sum(-1).to(x.dtype)
        size = alpha**2 + sigma**2
        to_x0_and_eps = (alpha / size, -sigma / size, sigma / size, alpha / size)
        if isinstance(t, float):
            return Estimate(x, output, Decoding(*(float(one) for one in to_x0_and_eps)))
        return Estimate(x, output, Decoding(*to_x0_and_eps))

    def flow(self, x: Tensor, t: float, s: float) -> Tensor:
        """Where the probability-flow ODE carries x from t to s: to the same quantile."""
        upper = self._tail(x, t, 1.0) > 0.5
        side = torch.where(upper, -1.0, 1.0)  # the smaller tail, which is the precise one
        tail = self._tail(x, t, side)
        high = torch.full_like(x, 40 * max(map(abs, (*self.means, *self.stds))))
        high = high + 40 * float(self.scheduler.sigma(torch.tensor(s, dtype=torch.float64)))
        low = -high
        for _ in range(80):
            middle = (low + high) / 2
            beyond = (self._tail(middle, s, side) > tail) ^ upper
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        return (low + high) / 2

    def _tail(self, x: Tensor, t: float, side: float | Tensor) -> Tensor:
        """The share of x_t below x where side is 1, above it where side is -1."""
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = self.scheduler.alpha(time), self.scheduler.sigma(time)
        weights, means, stds = self._components()
        z = (x[..., None] - alpha * means) / ((alpha * stds) ** 2 + sigma**2).sqrt()
        tails: Tensor = torch.special.ndtr(torch.as_tensor(side)[..., None] * z)
        return (weights * tails).sum(-1)

    def _components(self) -> tuple[Tensor, Tensor, Tensor]:
        columns = (self.weights, self.means, self.stds)
        weights, means, stds = (torch.tensor(one, dtype=torch.float64) for one in columns)
        return weights, means, stds
