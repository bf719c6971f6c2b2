"""What is known about the two ends of the path: the data x0 and the noise eps behind a noisy x.

Every prediction type is *linear* in (x, output) with coefficients that depend on the noise level
alone:

    x0  = x0_x  x + x0_f  output
    eps = eps_x x + eps_f output

so an `Estimate` keeps x, the output and these four numbers, and any mixture a x0 + b eps, which is
all that a sampler ever needs, costs one linear combination. Shapes: x and output (B, *);
coefficients floats, or (B,) tensors.
"""

from typing import NamedTuple

import torch
from torch import Tensor

Coefficient = float | Tensor


def spread(coefficient: Tensor, x: Tensor) -> Tensor:
    """A (B,) coefficient, shaped to multiply x (B, *)."""
    return coefficient.reshape(-1, *[1] * (x.ndim - 1)) if coefficient.ndim else coefficient


def columns(x: Tensor, *coefficients: Tensor) -> tuple[Tensor, ...]:
    """Coefficients (B,) beside x (B, *): its device and dtype, shaped to multiply it, one copy."""
    # Cast before the copy: not every device has the float64 that they come in.
    rows = torch.stack(coefficients).to(x.dtype).to(x.device, non_blocking=True)
    return tuple(spread(row, x) for row in rows)


class Decoding(NamedTuple):
    """The four numbers that turn a network's output into both ends of the path."""

    x0_x: Coefficient
    x0_f: Coefficient
    eps_x: Coefficient
    eps_f: Coefficient


class Estimate:
    """The expected data and noise behind x, given what a network said of it.

    Args:
        x: (B, *) the noisy input.
        output: (B, *) what the network returned.
        decoding: how to read the output at this noise level.

    Examples:
        >>> x, eps = torch.tensor([[1.0]]), torch.tensor([[0.5]])  # alpha = 0.8, sigma = 0.6
        >>> said = Estimate(x, eps, Decoding(x0_x=1 / 0.8, x0_f=-0.6 / 0.8, eps_x=0.0, eps_f=1.0))
        >>> said.x0
        tensor([[0.8750]])
        >>> said.mix(0.8, 0.6)  # x itself
        tensor([[1.]])
    """

    __slots__ = ("decoding", "output", "x")

    def __init__(self, x: Tensor, output: Tensor, decoding: Decoding) -> None:
        self.x = x
        self.output = output
        self.decoding = decoding

    @property
    def x0(self) -> Tensor:
        """The expected clean data."""
        return self._combine(self.decoding.x0_x, self.decoding.x0_f)

    @property
    def eps(self) -> Tensor:
        """The expected noise."""
        return self._combine(self.decoding.eps_x, self.decoding.eps_f)

    def mix(self, a: Coefficient, b: Coefficient, *, out: Tensor | None = None) -> Tensor:
        """Mix both ends: a x0 + b eps, in one linear combination. One of weight 0 is not read.

        Args:
            a: of x0.
            b: of eps.
            out: memory for the result, which nobody needs any more; it is used if a and b and the
                decoding are numbers, and no gradient is wanted.
        """
        return self._combine(*self._weights(a, b), out)

    def along(
        self, a: Coefficient, b: Coefficient, *, out: Tensor | None = None
    ) -> tuple[Tensor, float]:
        """The same up to a factor, and the factor: a pass less over x, for what is weighed later.

        Args:
            a: of x0.
            b: of eps.
            out: as in `mix`.
        """
        of_x, of_output = self._weights(a, b)
        if isinstance(of_x, Tensor) or isinstance(of_output, Tensor) or not of_x * of_output:
            return self._combine(of_x, of_output, out), 1.0
        large, small, factor, other = self.x, self.output, of_x, of_output
        if abs(of_output) > abs(of_x):
            large, small, factor, other = small, large, of_output, of_x
        if out is None or self.x.requires_grad or self.output.requires_grad:
            return torch.add(large, small, alpha=other / factor), factor
        return torch.add(large, small, alpha=other / factor, out=out), factor

    def add_to(self, total: Tensor, a: Coefficient, b: Coefficient) -> Tensor:
        """Add a x0 + b eps to a tensor, in its place where the coefficients are numbers."""
        of_x, of_output = self._weights(a, b)
        if isinstance(of_x, Tensor) or isinstance(of_output, Tensor):
            return total + self._combine(of_x, of_output)
        return total.add_(self.x, alpha=of_x).add_(self.output, alpha=of_output)

    def _weights(self, a: Coefficient, b: Coefficient) -> tuple[Coefficient, Coefficient]:
        x0_x, x0_f, eps_x, eps_f = self.decoding
        # 0 * inf is no number: eps prediction knows nothing of x0 at alpha = 0.
        if isinstance(a, float) and a == 0:
            return b * eps_x, b * eps_f
        if isinstance(b, float) and b == 0:
            return a * x0_x, a * x0_f
        return a * x0_x + b * eps_x, a * x0_f + b * eps_f

    def halves(self) -> tuple["Estimate", "Estimate"]:
        """The estimates of the first and of the second half of the batch."""
        n = len(self.x) // 2
        cut = [(c[:n], c[n:]) if isinstance(c, Tensor) else (c, c) for c in self.decoding]
        first, second = (Decoding(*column) for column in zip(*cut, strict=True))
        return (
            type(self)(self.x[:n], self.output[:n], first),
            type(self)(self.x[n:], self.output[n:], second),
        )

    def detach(self) -> "Estimate":
        """The same numbers, without what they were computed from."""
        return type(self)(self.x.detach(), self.output.detach(), self.decoding)

    def _combine(
        self, of_x: Coefficient, of_output: Coefficient, out: Tensor | None = None
    ) -> Tensor:
        if isinstance(of_x, Tensor) or isinstance(of_output, Tensor):
            x_weight = spread(torch.as_tensor(of_x).to(self.x), self.x)
            return (
                x_weight * self.x
                + spread(torch.as_tensor(of_output).to(self.x), self.x) * self.output
            )
        first, weight = (self.output, of_output) if of_x == 0 else (self.x, of_x)
        if out is None or self.x.requires_grad or self.output.requires_grad:
            total = first * weight
        else:
            total = torch.mul(first, weight, out=out)
        return total if of_x == 0 else total.add_(self.output, alpha=of_output)


class Ends(Estimate):
    """An estimate of two ends that need not be those of one x: its x and output are the ends."""

    __slots__ = ()


def score(estimate: Estimate, sigma: Coefficient) -> Tensor:
    """The gradient of log p_t at x: -eps / sigma."""
    return estimate.mix(0.0, -1 / sigma)


def velocity(estimate: Estimate, alpha_rate: Coefficient, sigma_rate: Coefficient) -> Tensor:
    """The right-hand side of the probability-flow ODE: alpha' x0 + sigma' eps."""
    return estimate.mix(alpha_rate, sigma_rate)


def from_x0(x: Tensor, x0: Tensor, alpha: Coefficient, sigma: Coefficient) -> Estimate:
    """The estimate whose data end is x0: for clipping, thresholds and oracles."""
    return Estimate(x, x0, Decoding(0.0, 1.0, 1 / sigma, -alpha / sigma))


def from_ends(x0: Tensor, eps: Tensor) -> Estimate:
    """The estimate with these two ends, which need not be those of one x."""
    return Ends(eps, x0, Decoding(0.0, 1.0, 1.0, 0.0))
