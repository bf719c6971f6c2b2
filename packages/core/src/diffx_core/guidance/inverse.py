"""Inverse problems: samples that agree with a measurement y = A x0 + noise.

No training is needed; the denoiser is changed while sampling.
"""

from abc import abstractmethod

import torch
from attrs import field, frozen
from attrs.validators import ge, gt
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.errors import ConfigError
from diffx_core.estimate import Estimate
from diffx_core.guidance.operators import LinearOperator, Mask, as_mask, as_operator, fits, shaped
from diffx_core.guidance.wrapper import Guided, GuidedBySlope, fresh
from diffx_core.noise import Noise
from diffx_core.options.checks import finite, number, of_kind
from diffx_core.reached import numbers


def measured(value: object) -> Tensor:
    """A measurement, also as an array."""
    return numbers("measurement", value)


def require_measured(measurement: Tensor, shape: torch.Size, what: str) -> None:
    """Refuse a measurement that is not of a shape: what that is, is told."""
    if not fits(measurement.shape, shape):
        raise ConfigError(
            f"a measurement of shape {shaped(measurement.shape)} does not fit {shaped(shape)}, "
            f"which is what {what}: it must be one for all samples, or one for each that is drawn "
            "at once, with classifier-free guidance inside of what it guides"
        )


@frozen(eq=False)
class Reconstruction(GuidedBySlope):
    """Guidance by the slope of a misfit between y and A D(x), through the denoiser.

    Args:
        operator: A; a tensor is a mask.
        measurement: y.
    """

    operator: LinearOperator = field(kw_only=True, converter=as_operator)
    measurement: Tensor = field(kw_only=True, converter=measured)
    _fitting: set[torch.Size] = field(factory=set, init=False, repr=False)

    def require(self, shape: torch.Size) -> None:
        """Refuse batches that the operator cannot measure, or y was not measured of."""
        if shape in self._fitting:
            return
        name = type(self.operator).__name__
        try:
            seen = self.operator(torch.zeros(shape, device=self.measurement.device)).shape
        except (RuntimeError, IndexError) as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(
                f"{name} cannot measure samples of shape {shaped(shape)}: {reason}"
            ) from error
        require_measured(self.measurement, seen, f"{name} makes of {shaped(shape)}")
        self._fitting.add(shape)

    @property
    def at_one_time(self) -> str:
        """The noise level, on which the strength depends."""
        return f"reconstruction by {type(self).__name__}"

    @abstractmethod
    def gain(self, missing: Tensor, t: float, x: Tensor) -> Tensor:
        """What A^T is applied to, before the slope of D is: (B, *) in the shape of y."""

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The estimate, moved by (sigma^2 / alpha) (dD/dx)^T A^T gain."""
        if isinstance(t, Tensor):
            raise ConfigError("reconstruction needs the same time for the whole batch")
        self.require(x.shape)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            estimate = self.inner(leaf, t, cond)
            x0 = estimate.x0
            # About an anchor a, what is missing is (y - A a) - A x0 = y - A (x0 - (0 - a)).
            about = x0.detach() - self.seen(torch.zeros_like(x), cond)
            missing = self.measurement.to(x) - self.operator(about)
            pull = self.operator.adjoint(self.gain(missing, t, x))
            (slope,) = torch.autograd.grad(x0, leaf, pull)
        level = self.level(t, x)
        return level.moved(estimate.detach(), x0.detach() + level.leverage * slope)


@frozen(eq=False)
class PiGDM(Reconstruction):
    """Pseudo-inverse guidance: the likelihood of y where x0 given x is N(D, r^2), exactly.

    r^2 = sigma_data^2 kappa^2 / (sigma_data^2 + kappa^2) is the variance for Gaussian data, for
    which the samples have the posterior law.

    Args:
        noise_std: standard deviation of the noise of the measurement.
        sigma_data: standard deviation of the data.

    References:
        Song et al., Pseudoinverse-Guided Diffusion Models for Inverse Problems, ICLR 2023.
    """

    noise_std: float = field(default=0.0, kw_only=True, validator=number(ge(0), finite))
    sigma_data: float = field(default=1.0, kw_only=True, validator=number(gt(0), finite))

    def gain(self, missing: Tensor, t: float, x: Tensor) -> Tensor:
        """(r^2 A A^T + noise_std^2)^-1 (y - A D)."""
        alpha, sigma = self.level(t, x)
        kappa = float(sigma) / max(float(alpha), 1e-12)
        r = self.sigma_data * kappa / (self.sigma_data**2 + kappa**2) ** 0.5
        return self.operator.solve(missing, r**2, self.noise_std**2)


@frozen(eq=False)
class DPS(Reconstruction):
    """Diffusion posterior sampling: down the slope of the misfit |y - A D|.

    Args:
        step: how hard; the slope has unit size in the space of y.

    References:
        Chung et al., Diffusion Posterior Sampling, 2023, arXiv:2209.14687.
    """

    step: float = field(default=1.0, kw_only=True, validator=number(gt(0), finite))

    def gain(self, missing: Tensor, t: float, x: Tensor) -> Tensor:
        """The misfit, of length `step`."""
        del t, x
        axes = tuple(range(1, missing.ndim))
        length = missing.square().sum(axes, keepdim=True).sqrt()
        return self.step * missing / length.clamp(min=torch.finfo(missing.dtype).tiny)


@frozen(eq=False)
class Replacement(Guided):
    """Inpainting by replacement: what is known is put into x, with fresh noise, at every level.

    x <- m (alpha y + sigma z) + (1 - m) x. With a sampler that goes back and forth (`repaint`),
    this is RePaint.

    Args:
        mask: m, as a tensor or a `Mask`.
        measurement: y, the image; its unknown part may be any finite numbers.
        noise: where z comes from; a stream of its own for every sample.
        fill: whether what is known also replaces the expected data: then it is met exactly.

    References:
        Lugmayr et al., RePaint, 2022, arXiv:2201.09865.
    """

    mask: Mask = field(kw_only=True, converter=as_mask)
    measurement: Tensor = field(kw_only=True, converter=measured)
    noise: Noise = field(kw_only=True, validator=of_kind(Noise))
    fill: bool = field(default=True, kw_only=True)

    @property
    def at_one_time(self) -> str:
        """Noise for every sample of the batch."""
        return "inpainting by Replacement"

    def require(self, shape: torch.Size) -> None:
        """Refuse batches that the mask or the image does not fit."""
        self.mask.require(shape)
        require_measured(self.measurement, shape, "the samples are")

    def __call__(self, x: Tensor, t: float | Tensor, cond: Condition | None = None) -> Estimate:
        """The estimate of x with the known part put in."""
        self.require(x.shape)
        known, image = self.mask.known.to(x), self.seen(self.measurement.to(x), cond)
        level = self.level(t, x)
        z = fresh(self.noise, x.shape[1:], self.called(), x)
        mixed = torch.lerp(x, level.alpha * image + level.sigma * z, known)
        estimate = self.inner(mixed, t, cond)
        if not self.fill:
            return estimate
        meeting = torch.lerp(level.meeting(estimate), mixed, known)
        return level.around(meeting, torch.lerp(estimate.x0, image, known))
