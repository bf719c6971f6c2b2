"""How probable a model finds data, batch by batch, and how many bits their values take.

Data that come in levels have no density. Every value is moved within its cell by uniform noise, and
the density of that, counted per cell, is a lower bound of the probability of the value.

References:
    Theis et al., A note on the evaluation of generative models, 2016, arXiv:1511.01844, 3.1.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffx_core.dataset import Condition, DataSpec
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ComponentError, ConfigError
from diffx_core.likelihood import Likelihood, LogLikelihood, offset
from diffx_core.noise import NoiseSource
from diffx_core.options.checks import whole


def log_likelihood(
    method: Likelihood,
    denoiser: Denoiser,
    x: Tensor,
    cond: Condition,
    noise: NoiseSource,
    batch_size: int,
    observe: Callable[[int], None] = lambda _: None,
) -> LogLikelihood:
    """The log-likelihood of x (n, *shape), computed for some at a time; on the CPU.

    Args:
        method: how it is computed.
        denoiser: the model.
        x: data.
        cond: what the model is told of each.
        noise: the random signs of all, in the dtype and on the device of the model.
        batch_size: how many at a time.
        observe: is told how many are done, after each batch.
    """
    parts = list(_parts(method, denoiser, x, cond, noise, batch_size, observe))
    total, prior, latent = (
        torch.cat(one).cpu() for one in zip(*(part[:3] for part in parts), strict=True)
    )
    if not total.isfinite().all():
        where = (~total.isfinite()).nonzero().flatten().tolist()
        raise ComponentError("backbone", f"the log-likelihood of {where[:8]} is not finite")
    return LogLikelihood(total, prior, latent, parts[0].dimensions)


def _parts(
    method: Likelihood,
    denoiser: Denoiser,
    x: Tensor,
    cond: Condition,
    noise: NoiseSource,
    batch_size: int,
    observe: Callable[[int], None],
) -> Iterator[LogLikelihood]:
    batch_size = whole("batch_size", batch_size)
    for first in range(0, len(x), batch_size):
        rows = slice(first, first + batch_size)
        here = Condition(**{name: one[rows] for name, one in cond.given().items()})
        yield method(
            denoiser,
            x[rows].to(noise.device, noise.dtype),
            noise.of(range(len(x))[rows]),
            here.to(noise.device),
        )
        observe(min(first + batch_size, len(x)))


def within_cells(x: Tensor, spec: DataSpec, noise: NoiseSource) -> tuple[Tensor, float]:
    """Data moved within their cells, and the bits that a density has less than a probability.

    Raises:
        ConfigError: the data do not come in levels.
    """
    if spec.cell is None or spec.levels is None:
        raise ConfigError("the data do not come in levels, so they take no bits")
    z = noise.normal(spec.shape, 0)
    moved = x.to(z) + spec.cell * (torch.special.ndtr(z) - 0.5)
    return moved, offset((0.0, spec.cell * spec.levels), spec.levels)
