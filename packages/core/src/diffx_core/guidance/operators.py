"""Linear operators y = A x0 of images, for inverse problems.

Each knows its adjoint A^T, and how to solve (r A A^T + s) u = y for numbers r and s, which is cheap
because A A^T is a multiple of one, or diagonal after a Fourier transform. Shapes: x0 (B, C, H, W).
What cannot be measured is refused with a `ConfigError`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from attrs import field, frozen
from attrs.validators import gt
from torch import Tensor
from torch.nn import functional

from diffx_core.errors import ConfigError
from diffx_core.options.checks import finite, instance, number
from diffx_core.reached import numbers

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""


def shaped(shape: Sequence[int]) -> str:
    """A shape as messages have it."""
    return f"({', '.join(map(str, shape))})"


def fits(shape: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether a tensor of one shape can be broadcast to the other."""
    pairs = zip(reversed(shape), reversed(whole), strict=False)
    return len(shape) <= len(whole) and all(one in (1, other) for one, other in pairs)


class LinearOperator(ABC):
    """What a measurement does to an image."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """A x."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y."""

    @abstractmethod
    def solve(self, y: Tensor, r: float, s: float) -> Tensor:
        """(r A A^T + s)^-1 y."""


def zeros_and_ones(value: object) -> Tensor:
    """What a mask is made of, also as an array."""
    return numbers("mask", value)


@frozen(eq=False)
class Mask(LinearOperator):
    """What is known of an image: A x = m x, with m zero or one.

    Args:
        known: one where the image is known, zero where it is not; broadcasts against x.
    """

    known: Tensor = field(converter=zeros_and_ones)

    def __attrs_post_init__(self) -> None:
        if not ((self.known == 0) | (self.known == 1)).all():
            raise ConfigError("a mask must be one where the image is known, and zero elsewhere")

    def __call__(self, x: Tensor) -> Tensor:
        """The known part, zero elsewhere."""
        self.require(x.shape)
        return x * self.known.to(x)

    def require(self, shape: Sequence[int]) -> None:
        """Refuse x of a shape that the mask is not one of."""
        if not fits(self.known.shape, shape):
            raise ConfigError(
                f"a mask of shape {shaped(self.known.shape)} does not fit samples of shape "
                f"{shaped(shape)}: it must have their shape, or broadcast to it"
            )

    def adjoint(self, y: Tensor) -> Tensor:
        """The same."""
        return y * self.known.to(y)

    def solve(self, y: Tensor, r: float, s: float) -> Tensor:
        """A A^T is one where the image is known; elsewhere nothing was measured."""
        return y * self.known.to(y) / (r + s)


def as_mask(value: object) -> Mask:
    """A mask; a tensor or an array is what is known."""
    return value if isinstance(value, Mask) else Mask(zeros_and_ones(value))


def as_operator(value: object) -> LinearOperator:
    """An operator; a tensor or an array is a mask."""
    if isinstance(value, LinearOperator):
        return value
    if isinstance(value, type) or callable(value):
        instance(LinearOperator, "operator", value)
    return as_mask(value)


def side(value: object) -> int:
    """Pixels: a whole number above zero."""
    if not isinstance(value, int) or value < 1:
        raise ConfigError(f"the factor of Downsample must be a whole number >= 1, got {value!r}")
    return value


@frozen(eq=False)
class Downsample(LinearOperator):
    """Means over squares of pixels.

    Args:
        factor: side of a square.
    """

    factor: int = field(converter=side)

    def __call__(self, x: Tensor) -> Tensor:
        """The small image."""
        if x.ndim != 4 or x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise ConfigError(
                f"Downsample({self.factor}) needs images (n, C, H, W) with sides that it divides, "
                f"got {shaped(x.shape)}"
            )
        return functional.avg_pool2d(x, self.factor)

    def adjoint(self, y: Tensor) -> Tensor:
        """Every mean, spread over its square."""
        n = self.factor
        return y.repeat_interleave(n, -1).repeat_interleave(n, -2) / n**2

    def solve(self, y: Tensor, r: float, s: float) -> Tensor:
        """A A^T is 1 / factor^2."""
        return y / (r / self.factor**2 + s)


@frozen(eq=False)
class Grey(LinearOperator):
    """A colour image without its colours."""

    def __call__(self, x: Tensor) -> Tensor:
        """The grey image (B, 1, H, W)."""
        if x.ndim != 4 or x.shape[1] != len(LUMA):
            raise ConfigError(
                f"Grey needs images of three colours (n, 3, H, W), got {shaped(x.shape)}"
            )
        return (x * self._weights(x)).sum(1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        """The grey image times each colour's weight."""
        return y * self._weights(y)

    def solve(self, y: Tensor, r: float, s: float) -> Tensor:
        """A A^T is the sum of the squared weights."""
        return y / (r * sum(w * w for w in LUMA) + s)

    def _weights(self, x: Tensor) -> Tensor:
        return torch.tensor(LUMA, dtype=x.dtype, device=x.device).reshape(1, 3, 1, 1)


@frozen(eq=False)
class Blur(LinearOperator):
    """Convolution with a Gaussian, around the edges: what leaves on the left comes in on the right.

    Args:
        width: standard deviation of the Gaussian, in pixels.
    """

    width: float = field(validator=number(gt(0), finite))

    def __call__(self, x: Tensor) -> Tensor:
        """The blurred image."""
        if x.ndim < 3:
            raise ConfigError(f"Blur needs images (n, C, H, W), got {shaped(x.shape)}")
        return self._filtered(x, self._gain(x))

    def adjoint(self, y: Tensor) -> Tensor:
        """The same: the kernel is even."""
        return self(y)

    def solve(self, y: Tensor, r: float, s: float) -> Tensor:
        """A A^T multiplies each frequency by the squared gain.

        What the dtype's rounding leaves nothing of is not divided by less than that rounding.
        """
        squared = (self._gain(y) ** 2).clamp(min=torch.finfo(y.dtype).eps)
        return self._filtered(y, 1 / (r * squared + s))

    def _gain(self, x: Tensor) -> Tensor:
        axes = (torch.fft.fftfreq(n, device=x.device, dtype=x.dtype) for n in x.shape[-2:])
        rows, columns = (torch.exp(-2 * (torch.pi * self.width * f) ** 2) for f in axes)
        return rows[:, None] * columns

    def _filtered(self, x: Tensor, gain: Tensor) -> Tensor:
        filtered: Tensor = torch.fft.irfft2(
            torch.fft.rfft2(x) * gain[:, : x.shape[-1] // 2 + 1], s=x.shape[-2:]
        )
        return filtered
