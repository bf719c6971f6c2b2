"""Times drawn where the loss is large: less noise in the loss, the same expectation.

Any density of times is uniform in its own quantiles v. A histogram over v draws some of them more
often, as the losses seen so far tell it, and says how often; dividing by that leaves the expected
loss what it was. So the base density and the weighting decide what is learned, and the histogram
decides how steadily. Everything is float64 on the CPU.

References:
    Nichol & Dhariwal, Improved DDPM, 2021, arXiv:2102.09672, section 3.3 (importance).
    Kingma & Gao, Understanding Diffusion Objectives, 2023, arXiv:2303.00848, appendix F (adaptive).
"""

from abc import ABC, abstractmethod

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.objective.pace import between
from diffx_core.objective.times import TimeDensity

State = dict[str, Tensor]


class Histogram(ABC):
    """A piecewise constant density over [0, 1], which grows where losses are large.

    Args:
        edges: of the bins, rising from 0 to 1.
        floor: share of all draws that stays uniform, so that no correction exceeds its inverse.
    """

    def __init__(self, edges: Tensor, floor: float) -> None:
        self.edges = edges
        self.width = edges.diff()
        self.floor = floor
        self._masses: Tensor | None = None

    @abstractmethod
    def weights(self) -> Tensor:
        """How large the loss is in each bin, up to a common factor."""

    @abstractmethod
    def record(self, bins: Tensor, loss: Tensor) -> None:
        """Take in losses (n,) and the bins that they belong to."""

    @abstractmethod
    def statistics(self) -> State:
        """What was learned from losses; the tensors themselves."""

    @property
    def has_learned(self) -> bool:
        """Whether it has seen losses."""
        return any(bool(one.any()) for one in self.statistics().values())

    @property
    def masses(self) -> Tensor:
        """The probability of each bin."""
        if self._masses is None:
            by_loss = self.weights() * self.width
            total = by_loss.sum()
            shares = by_loss / total if total > 0 else self.width
            self._masses = (1 - self.floor) * shares + self.floor * self.width
        return self._masses

    def ratio(self, v: Tensor) -> Tensor:
        """The density at v."""
        return (self.masses / self.width)[self._bin(v)]

    def quantile(self, u: Tensor) -> Tensor:
        """The v below which there is a share u of all draws."""
        sums = self._cumulative()
        index = torch.bucketize(u, sums[1:], right=True).clamp(max=len(self.width) - 1)
        return between(u, index, sums, self.edges)

    def cdf(self, v: Tensor) -> Tensor:
        """The share of all draws up to v."""
        return between(v, self._bin(v), self.edges, self._cumulative())

    def observe(self, v: Tensor, loss: Tensor) -> None:
        """Take in losses (n,) that were found at v."""
        # One loss that is not finite would spoil its bin for good; the optimizer never sees it.
        usable = loss.isfinite()
        self.record(self._bin(v[usable]), loss[usable])
        self._masses = None

    def state(self) -> State:
        """Everything that was learned."""
        return {"edges": self.edges, **self.statistics()}

    def load(self, state: State) -> None:
        """Go on from a state.

        Raises:
            ConfigError: it belongs to another process, or to other times.
        """
        own = self.state()
        if own.keys() != state.keys() or not torch.equal(own["edges"], state["edges"]):
            raise ConfigError(
                "the saved histogram of losses belongs to another process or to other times"
            )
        for name, tensor in self.statistics().items():
            tensor.copy_(state[name])
        self._masses = None

    def _cumulative(self) -> Tensor:
        sums = self.masses.cumsum(0)
        return torch.cat([sums.new_zeros(1), sums / sums[-1]])

    def _bin(self, v: Tensor) -> Tensor:
        return torch.bucketize(v, self.edges[1:]).clamp(max=len(self.width) - 1)


class Adaptive(Histogram):
    """Draws in proportion to the mean loss of a bin, a moving average over its own draws.

    Args:
        edges: of the bins.
        floor: share of all draws that stays uniform.
        decay: share of the average that one more loss leaves.
    """

    def __init__(self, edges: Tensor, floor: float = 0.1, decay: float = 0.99) -> None:
        super().__init__(edges, floor)
        self.decay = decay
        self._sum, self._seen = torch.zeros(2, len(self.width), dtype=torch.float64)

    def weights(self) -> Tensor:
        """The moving average; where nothing was seen yet, the mean of all others."""
        seen = self._seen > 0
        mean = self._sum / self._seen
        others = (mean * self.width)[seen].sum() / self.width[seen].sum()
        return torch.where(seen, mean, others) if seen.any() else torch.ones_like(mean)

    def record(self, bins: Tensor, loss: Tensor) -> None:
        """Each bin moves towards the mean of its new losses."""
        count = torch.bincount(bins, minlength=len(self.width)).to(torch.float64)
        total = torch.bincount(bins, weights=loss, minlength=len(self.width))
        kept = self.decay**count
        self._sum.mul_(kept).add_((1 - kept) * total / count.clamp(min=1))
        self._seen.mul_(kept).add_(1 - kept)

    def statistics(self) -> State:
        """The moving sums of losses and of ones."""
        return {"sum": self._sum, "seen": self._seen}


class Importance(Histogram):
    """Draws in proportion to the root mean square of a bin's last losses, once all bins have some.

    Args:
        edges: of the bins.
        floor: share of all draws that stays uniform.
        history: losses that a bin remembers.
    """

    def __init__(self, edges: Tensor, floor: float = 0.001, history: int = 10) -> None:
        super().__init__(edges, floor)
        self._last = torch.zeros(len(self.width), history, dtype=torch.float64)
        self._count = torch.zeros(len(self.width), dtype=torch.int64)

    def weights(self) -> Tensor:
        """The root mean square; the same everywhere until every history is full."""
        if int(self._count.min()) < self._last.shape[1]:
            return torch.ones_like(self.width)
        return self._last.square().mean(1).sqrt()

    def record(self, bins: Tensor, loss: Tensor) -> None:
        """Each loss takes the place of the oldest in its bin."""
        last, count = self._last.numpy(), self._count.numpy()
        for index, value in zip(bins.tolist(), loss.tolist(), strict=True):
            last[index, count[index] % last.shape[1]] = value
            count[index] += 1

    def statistics(self) -> State:
        """The histories, and how many losses went into each."""
        return {"last": self._last, "count": self._count}


@frozen(eq=False)
class Reweighted(TimeDensity):
    """A density of times, drawn as a histogram over its quantiles wants it.

    Args:
        base: the density whose expectations are kept.
        histogram: how often each of its quantiles is drawn.
    """

    base: TimeDensity
    histogram: Histogram

    def quantile(self, u: Tensor) -> Tensor:
        """The base's time at the histogram's quantile."""
        return self.base.quantile(self.histogram.quantile(u))

    def cdf(self, t: Tensor) -> Tensor:
        """The histogram's share of the base's share."""
        return self.histogram.cdf(self.base.cdf(t))

    def log_prob(self, t: Tensor) -> Tensor:
        """The density of the base, times that of the histogram."""
        return self.base.log_prob(t) + self.histogram.ratio(self.base.cdf(t)).log()
