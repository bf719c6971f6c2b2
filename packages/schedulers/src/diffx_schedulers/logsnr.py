"""Processes that are chosen by their log-SNR.

lambda(t) any falling function,    alpha^2 = sigmoid(lambda),    sigma^2 = sigmoid(-lambda)

alpha' = 1/2 lambda' alpha sigma^2,    sigma' = -1/2 lambda' alpha^2 sigma,
g^2 = -sigma^2 lambda'
"""

from functools import cached_property
from math import inf
from typing import Literal, get_args

from attrs import field, frozen
from attrs.validators import in_, optional
from torch import Tensor

from diffx_core import ConfigError
from diffx_schedulers.checks import LEVEL
from diffx_schedulers.curves import COSINE, SIGMOID, Curve, Line
from diffx_schedulers.preserving import VariancePreserving

CurveName = Literal["linear", "cosine", "sigmoid"]


@frozen(kw_only=True)
class LogSNR(VariancePreserving):
    """Variance-preserving process with a log-SNR of one's choice.

    The "shifted" schedule of simple diffusion is the curve cosine with a shift: noise hides less of
    a larger image, so the log-SNR is lowered by 2 log(base / size), which is negative, for images
    of a given size to be as noisy as those of the base size.

    Args:
        curve: linear in time; cosine, -2 log tan(pi t / 2); or sigmoid, whose alpha^2 is a piece of
            a logistic curve.
        log_snr_max: log-SNR at t = 0 before the shift; linear takes 13.3 by default, and the others
            have no end.
        log_snr_min: log-SNR at t = 1 before the shift; linear takes -5 by default, and the others
            have no end.
        shift: added to the log-SNR; 2 log(base / size) for images larger than a base size.

    References:
        Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630 (linear).
        Nichol & Dhariwal, Improved DDPM, 2021, arXiv:2102.09672 (cosine).
        Chen, On the Importance of Noise Scheduling, 2023, arXiv:2301.10972 (sigmoid).
        Hoogeboom et al., Simple Diffusion, 2023, arXiv:2301.11093, eq. 3 (shift).
    """

    curve: CurveName = field(default="cosine", validator=in_(get_args(CurveName)))
    log_snr_max: float | None = field(default=None, validator=optional(LEVEL))
    log_snr_min: float | None = field(default=None, validator=optional(LEVEL))
    shift: float = field(default=0.0, validator=LEVEL)

    def __attrs_post_init__(self) -> None:
        high, low = self._range()
        if high <= low:
            raise ConfigError(f"log_snr_max ({high:g}) must be above log_snr_min ({low:g})")

    def _range(self) -> tuple[float, float]:
        high, low = (13.3, -5.0) if self.curve == "linear" else (inf, -inf)
        return (
            high if self.log_snr_max is None else self.log_snr_max,
            low if self.log_snr_min is None else self.log_snr_min,
        )

    @cached_property
    def _curve(self) -> Curve:
        high, low = self._range()
        if self.curve == "linear":
            return Line(high, low)
        return (COSINE if self.curve == "cosine" else SIGMOID).within(high, low)

    def alpha(self, t: Tensor) -> Tensor:
        """sqrt(sigmoid(lambda))."""
        return self.log_snr(t).sigmoid().sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(sigmoid(-lambda))."""
        return (-self.log_snr(t)).sigmoid().sqrt()

    def alpha_rate(self, t: Tensor) -> Tensor:
        """1/2 lambda' alpha sigma^2, and its limit at the ends."""
        order, pull = self._curve.order, self._curve.pull(t, self.shift)
        return pull / 2 * self.alpha(t) ** (1 - order) * self.sigma(t) ** (2 - order)

    def sigma_rate(self, t: Tensor) -> Tensor:
        """-1/2 lambda' alpha^2 sigma, and its limit at the ends."""
        order, pull = self._curve.order, self._curve.pull(t, self.shift)
        return -pull / 2 * self.alpha(t) ** (2 - order) * self.sigma(t) ** (1 - order)

    def log_snr(self, t: Tensor) -> Tensor:
        """The curve, shifted."""
        return self._curve.log_snr(t) + self.shift

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """The slope of the curve."""
        return self._curve.rate(t)

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The curve, inverted."""
        return self._curve.time_of(log_snr - self.shift).clamp(self.t_min, self.t_max)

    def drift(self, t: Tensor) -> Tensor:
        """1/2 lambda' sigma^2, and its limit at t = 0."""
        return -self._growth(t) / 2

    def diffusion(self, t: Tensor) -> Tensor:
        """Sigma sqrt(-lambda'), and its limit at t = 0."""
        return self._growth(t).sqrt()

    def _growth(self, t: Tensor) -> Tensor:
        """g^2 = -lambda' sigma^2."""
        order, pull = self._curve.order, self._curve.pull(t, self.shift)
        return -pull * self.sigma(t) ** (2 - order) / self.alpha(t) ** order
