"""Log-SNRs as functions of time, each with its inverse.

linear      lambda = max + (min - max) t
cosine      lambda = 2 log( sin(pi/2 (1 - u)) / sin(pi/2 u) ) = -2 log tan(pi u / 2)
sigmoid     lambda =   log( sinh(w (1 - u)) / sinh(w u) ),    w = 3

The last one is the logit of (sig(w) - sig(2wu - w)) / (sig(w) - sig(-w)), which is how it was
published. Both fall from infinity to minus infinity over 0 <= u <= 1; a range, if one is asked for,
leaves an interval of u, which t passes at a constant speed.
"""

import math
from collections.abc import Callable
from typing import Protocol, Self

import torch
from attrs import evolve, frozen
from torch import Tensor


class Curve(Protocol):
    """A falling log-SNR on 0 <= t <= 1."""

    @property
    def order(self) -> int:
        """The power e for which lambda' (alpha sigma)^e is finite at both ends."""
        ...

    def log_snr(self, t: Tensor) -> Tensor:
        """The log-SNR."""
        ...

    def rate(self, t: Tensor) -> Tensor:
        """Its time derivative."""
        ...

    def pull(self, t: Tensor, shift: float) -> Tensor:
        """The rate times (alpha sigma)^e, with alpha and sigma of the shifted log-SNR."""
        ...

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The inverse, for every real number; it may leave [0, 1]."""
        ...


@frozen
class Line:
    """A straight line.

    Args:
        high: the log-SNR at t = 0.
        low: the log-SNR at t = 1.
    """

    high: float
    low: float
    order = 1

    def log_snr(self, t: Tensor) -> Tensor:
        """The line."""
        return self.high * (1 - t) + self.low * t

    def rate(self, t: Tensor) -> Tensor:
        """The slope of the line."""
        return torch.full_like(t, self.low - self.high)

    def pull(self, t: Tensor, shift: float) -> Tensor:
        """The slope, times alpha sigma = 1 / (2 cosh(lambda / 2))."""
        return (self.low - self.high) / (2 * ((self.log_snr(t) + shift) / 2).cosh())

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The line, inverted."""
        return (self.high - log_snr) / (self.high - self.low)


@frozen
class Balance:
    """The logarithm of b(w (1 - u)) over b(w u), times a power, for a rising b with b(0) = 0.

    b'(w (1-u)) b(w u) + b(w (1-u)) b'(w u) = b(w), for sine and quarter turns as for sinh.

    Args:
        amount: b, a sine.
        width: w.
        power: what the logarithm is multiplied with.
        inverse: u, given the log-SNR.
        start: u at t = 0.
        rest: 1 - u at t = 1.
    """

    amount: Callable[[Tensor], Tensor]
    width: float
    power: int
    inverse: Callable[[Tensor], Tensor]
    start: float = 0.0
    rest: float = 0.0

    @property
    def order(self) -> int:
        """The power e for which lambda' (alpha sigma)^e is finite at both ends."""
        return 2 // self.power

    @property
    def span(self) -> float:
        """How much of u there is."""
        return 1 - self.start - self.rest

    def within(self, high: float, low: float) -> Self:
        """The part of the curve from one log-SNR to a lower one."""
        # lambda(1 - u) = -lambda(u), so that 1 - u is known as precisely as u
        ends = self.inverse(torch.tensor([high, -low], dtype=torch.float64, device="cpu"))
        start, rest = ends.tolist()
        return evolve(self, start=start, rest=rest)

    def _amounts(self, t: Tensor) -> tuple[Tensor, Tensor]:
        falling = self.amount(self.width * (self.rest + self.span * (1 - t)))
        return falling, self.amount(self.width * (self.start + self.span * t))

    def log_snr(self, t: Tensor) -> Tensor:
        """The logarithm."""
        falling, rising = self._amounts(t)
        return self.power * (falling.log() - rising.log())

    def _slope(self) -> float:
        top = self.amount(torch.tensor(self.width, dtype=torch.float64, device="cpu"))
        return -self.power * self.width * self.span * float(top)

    def rate(self, t: Tensor) -> Tensor:
        """Minus a constant over the product of both amounts."""
        falling, rising = self._amounts(t)
        return self._slope() / (falling * rising)

    def pull(self, t: Tensor, shift: float) -> Tensor:
        """The same, times (alpha sigma)^e: the product cancels."""
        falling, rising = self._amounts(t)
        gain = math.exp(shift)
        total: Tensor = gain * falling**self.power + rising**self.power
        return self._slope() * math.pow(gain, 1 / self.power) / total**self.order

    def time_of(self, log_snr: Tensor) -> Tensor:
        """The curve, inverted."""
        late = log_snr < 0
        part = self.inverse(log_snr.abs())
        after, before = (part - self.start) / self.span, 1 - (part - self.rest) / self.span
        return torch.where(late, before, after)


def _quarter_turn(log_snr: Tensor) -> Tensor:
    return (-log_snr / 2).exp().atan() / (math.pi / 2)


def _area(log_snr: Tensor) -> Tensor:
    return (math.sinh(3) / (log_snr.exp() + math.cosh(3))).atanh() / 3


COSINE = Balance(torch.sin, math.pi / 2, 2, _quarter_turn)
SIGMOID = Balance(torch.sinh, 3.0, 1, _area)
