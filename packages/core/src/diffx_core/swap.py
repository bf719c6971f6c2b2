"""Sampling under another process than the one a model was trained with, exactly.

Two Gaussian processes that scale the same data differ at equal log-SNR by a factor alone,

    x_A = r x_B,    r = sqrt((alpha_A^2 + sigma_A^2) / (alpha_B^2 + sigma_B^2)),

so a model of process A, asked at A's time of the same log-SNR about r x, knows both ends of B's
path: they are the same x0 and the same eps.
"""

from collections.abc import Iterable

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.estimate import Decoding, Estimate, spread
from diffx_core.scheduler import Scheduler


@frozen(eq=False)
class SwappedProcess:
    """A denoiser of one process, made to speak of another.

    Args:
        inner: the denoiser, of the process that it was trained with.
        scheduler: the process to sample under.

    References:
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, appendix C.
    """

    inner: Denoiser
    scheduler: Scheduler
    _asked: dict[float, tuple[float, float]] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        trained = self.inner.scheduler
        if "reverse_sde" in trained.offers() ^ self.scheduler.offers():
            raise ConfigError(
                f"a model of {type(trained).__name__} cannot be sampled under "
                f"{type(self.scheduler).__name__}: their noise has another law"
            )

    @property
    def t_max(self) -> float:
        """The time at which there is as much noise as the inner denoiser can be asked about."""
        last = torch.tensor(self.inner.t_max, dtype=torch.float64)
        return float(self.scheduler.time_of(self.inner.scheduler.log_snr(last)))

    def prepare(self, times: Iterable[float], device: torch.device) -> None:
        """Find the inner times and the factors, and prepare the inner denoiser for them."""
        here = list(times)
        there, factor = self._matched(torch.tensor(here, dtype=torch.float64))
        self._asked.clear()
        self._asked.update(
            zip(here, zip(there.tolist(), factor.tolist(), strict=True), strict=True)
        )
        self.inner.prepare(there.tolist(), device)

    def _matched(self, t: Tensor) -> tuple[Tensor, Tensor]:
        inner = self.inner.scheduler
        there = inner.time_of(self.scheduler.log_snr(t))
        size = torch.hypot(self.scheduler.alpha(t), self.scheduler.sigma(t))
        return there, torch.hypot(inner.alpha(there), inner.sigma(there)) / size

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """Both ends of this process's path through x."""
        there: float | Tensor
        factor: float | Tensor
        if isinstance(t, Tensor):
            there, factor = self._matched(t)
            scaled = x * spread(factor.to(x), x)
        else:
            if t not in self._asked:
                found, ratio = self._matched(torch.tensor(t, dtype=torch.float64))
                self._asked[t] = float(found), float(ratio)
            there, factor = self._asked[t]
            scaled = x if factor == 1 else x * factor
        estimate = self.inner(scaled, there, cond)
        x0_x, x0_f, eps_x, eps_f = estimate.decoding
        return Estimate(x, estimate.output, Decoding(x0_x * factor, x0_f, eps_x * factor, eps_f))
