"""The process in discrete time: a table of betas, embedded in continuous time.

t_i = (i + 1)/T,    abar_i = (1 - beta_0) ... (1 - beta_i),    alpha = sqrt(abar),    abar(0) = 1

Between the t_i, log abar is linear in t: beta(t) = -T log(1 - beta_i) is constant there. So alpha
and sigma are exact on the grid, fall and rise strictly, and can be inverted. At a t_i, rates are
those of the interval that ends there. Where zero terminal SNR makes log abar(1) = -inf, alpha
itself is linear in the last interval.
"""

from functools import cached_property
from typing import get_args

import torch
from attrs import field, frozen
from attrs.validators import and_, ge, gt, in_, le, lt, optional
from torch import Tensor
from torch.nn.functional import logsigmoid

from diffx_core import ConfigError
from diffx_schedulers.preserving import VariancePreserving
from diffx_schedulers.tables import TABLES, Parameters, TableName, zero_terminal

DEFAULTS = {"beta_start": 1e-4, "beta_end": 0.02, "s": 0.008, "offset": 5.0}
LEAST_LOG_ABAR = -100.0
"""What abar may end at: an alpha below exp(-50) is as good as none, and float32 loses it."""
BETA = optional(and_(gt(0), lt(1)))


@frozen(kw_only=True)
class DDPM(VariancePreserving):
    """DDPM: a table of T noise levels, which are the only ones that training and sampling see.

    The table dns, known as "Dynamic Noise Schedule", is static: it is beta_i = lo + (hi - lo) ((i +
    offset)/(T + 1 + offset))^2, the "dynamic negative square" of generate_DNS_schedule in
    github.com/betterlmy/ddpm_abarankab, with offset 5, and dnst is the same with offset T. It ends
    with more of the data left than linear does (sigma/alpha = 30, not 157), which
    zero_terminal_snr mends. What adapts to training is the time sampling called adaptive.

    Args:
        table: how the betas grow: linear; scaled_linear, linear in their root; cosine; sigmoid; dns
            or dnst, static offset quadratics.
        T: number of noise levels.
        beta_start: first beta for T = 1000, in proportion for other T; 1e-4 by default, not for
            cosine.
        beta_end: last beta for T = 1000, in proportion for other T; 0.02 by default, not for
            cosine.
        s: offset of the table cosine, 0.008 by default.
        offset: of the table dns, 5 by default.
        zero_terminal_snr: rescale the table so that nothing is left of the data at t = 1.

    References:
        Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239.
        Nichol & Dhariwal, Improved DDPM, 2021, arXiv:2102.09672 (cosine).
        Rombach et al., Latent Diffusion, 2022, arXiv:2112.10752 (scaled_linear, .00085 to .012).
        Lin et al., Common Diffusion Noise Schedules Are Flawed, 2023, arXiv:2305.08891.
    """

    table: TableName = field(default="linear", validator=in_(get_args(TableName)))
    T: int = field(default=1000, validator=and_(ge(2), le(1_000_000)))
    beta_start: float | None = field(default=None, validator=BETA)
    beta_end: float | None = field(default=None, validator=BETA)
    s: float | None = field(default=None, validator=optional(and_(gt(0), le(1))))
    offset: float | None = field(default=None, validator=optional(and_(ge(0), lt(1e9))))
    zero_terminal_snr: bool = False

    def __attrs_post_init__(self) -> None:
        problems = [*self._unread(), *self._out_of_range()]
        if problems:
            raise ConfigError(*problems)

    def _unread(self) -> list[str]:
        reads = TABLES[self.table].reads
        unread = [n for n in DEFAULTS if n not in reads and getattr(self, n) is not None]
        return [
            f"the table {self.table} does not use {name} ({getattr(self, name):g}), which is for "
            f"{', '.join(one for one, table in TABLES.items() if name in table.reads)}"
            for name in unread
        ]

    def _out_of_range(self) -> list[str]:
        start, end = self._option("beta_start"), self._option("beta_end")
        if start > end and "beta_end" in TABLES[self.table].reads:
            return [f"beta_start ({start:g}) must not exceed beta_end ({end:g})"]
        largest = float(self.betas.max())
        if largest < 1:
            kept = float((-self.betas).log1p().sum())
            if kept > LEAST_LOG_ABAR:
                return []
            return [f"beta_end ({end:g}) is too large: abar would end at exp({kept:.0f})"]
        scaled = f"in proportion to 1000 / T, the largest beta is {largest:g}, and must be below 1"
        return [f"T ({self.T}) is too small for beta_end ({end:g}): {scaled}"]

    def _option(self, name: str) -> float:
        given: float | None = getattr(self, name)
        return DEFAULTS[name] if given is None else given

    @cached_property
    def betas(self) -> Tensor:
        """The table (T,), in float64, before it is rescaled."""
        start, end, s, offset = map(self._option, DEFAULTS)
        with torch.inference_mode(mode=False):  # what is kept must serve autograd later
            share = 1000 / self.T
            given = Parameters(self.T, start * share, end * share, s, offset)
            return TABLES[self.table].betas(given)

    @cached_property
    def _log_abar(self) -> Tensor:
        """Log abar (T + 1,) at t = 0 and on the grid, in float64."""
        with torch.inference_mode(mode=False):
            table = (-self.betas).log1p().cumsum(0)
            if self.zero_terminal_snr:
                table = zero_terminal(table)
            return torch.cat([table.new_zeros(1), table])

    @cached_property
    def _slopes(self) -> Tensor:
        """What log abar gains over each interval (T,); of the last, 0 if that is without end."""
        with torch.inference_mode(mode=False):
            slopes = self._log_abar.diff()
            return slopes.where(slopes.isfinite(), 0)

    def _interval(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """T t, the interval that it is in, and whether that has no log abar at its end."""
        place = t.to("cpu", torch.float64) * self.T
        # The product of (i + 1)/T and T may round to just above i + 1, and belongs below it.
        index = (place * (1 - 1e-12)).ceil().long().sub(1).clamp(0, self.T - 1)
        return place, index, self._slopes[index] == 0

    def _log_abar_at(self, t: Tensor) -> Tensor:
        """Log abar, in float64."""
        place, index, endless = self._interval(t)
        start = self._log_abar[index]
        line = start + self._slopes[index] * (place - index)
        fall = start + 2 * (self.T - place).clamp(min=0).log()
        return torch.where(endless, fall, line)

    def alpha(self, t: Tensor) -> Tensor:
        """exp(log abar / 2)."""
        return (self._log_abar_at(t) / 2).exp().to(t)

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - abar)."""
        return (0 - self._log_abar_at(t).expm1()).sqrt().to(t)  # 0 -, so that sigma(0) is not -0

    def alpha_rate(self, t: Tensor) -> Tensor:
        """The drift times alpha, and its limit at t = 1."""
        _, index, endless = self._interval(t)
        line = self._slopes[index] / 2 * (self._log_abar_at(t) / 2).exp()
        return (self.T * torch.where(endless, -(self._log_abar[index] / 2).exp(), line)).to(t)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """-alpha alpha' / sigma; infinite at t = 0, where the variance grows from nothing."""
        return -self.alpha(t) * self.alpha_rate(t) / self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """Log abar - log(1 - abar)."""
        log_abar = self._log_abar_at(t)
        return (log_abar - (-log_abar.expm1()).log()).to(t)

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The table, inverted: log abar = log sigmoid(log_snr)."""
        log_abar = logsigmoid(log_snr.to("cpu", torch.float64))
        index = torch.searchsorted(-self._log_abar, -log_abar).sub(1).clamp(0, self.T - 1)
        gained, slope = log_abar - self._log_abar[index], self._slopes[index]
        share = torch.where(slope == 0, -(gained / 2).expm1(), gained / slope)
        return ((index + share) / self.T).clamp(0, 1).to(log_snr)

    def drift(self, t: Tensor) -> Tensor:
        """Half the slope of log abar: -1 / (1 - t) where alpha is linear."""
        place, index, endless = self._interval(t)
        line = self._slopes[index] / 2
        return (self.T * torch.where(endless, -1 / (self.T - place), line)).to(t)

    def grid(self) -> Tensor:
        """The T times (i + 1) / T."""
        return torch.arange(1, self.T + 1, dtype=torch.float64, device="cpu") / self.T

    def noise_label(self, t: Tensor) -> Tensor:
        """The number i of the level, in proportion to 1000 / T, as networks elsewhere are told."""
        return 1000 * (t - 1 / self.T)
