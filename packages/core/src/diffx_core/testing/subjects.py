"""Networks to hold to laws, new ones and ones that have left their zeros, with inputs for them.

They are built for the smallest data that they do not refuse, in float64 and with seeded weights.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from attrs import evolve
from torch import Tensor, nn

from diffx_core.dataset import Condition, DataSpec
from diffx_core.errors import ConfigError

Build: TypeAlias = Callable[[DataSpec], nn.Module]
"""A class of networks, with its options bound (`functools.partial`) where the defaults are not
meant."""

SHAPES = ((2, 8, 8), (2, 16, 16), (2, 32, 32), (2, 64, 64), (5,), (2, 16), (2, 4, 8, 8))
"""The data that are tried, in this order: images, vectors, sequences, films."""
NUM_CLASSES = 3
BATCH = 6
LABELS = (0, 1, 2, -1, 0, 1)
CONTEXT = 6
"""Width of context tokens, for networks that read them."""
THERE = ((1, 1, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1), (0, 0, 0, 1), (1, 0, 0, 0), (0, 0, 0, 0))
"""Which tokens each example is told."""


class Inputs(NamedTuple):
    """What a network is called with."""

    x: Tensor
    noise_label: Tensor
    cond: Condition


@torch.random.fork_rng(devices=())
def fitting(build: Build, num_classes: int | None = NUM_CLASSES) -> DataSpec:
    """The first of `SHAPES` for which there is a network.

    Raises:
        ConfigError: what was said of each of them.
    """
    problems: list[str] = []
    for shape in SHAPES:
        spec = DataSpec(shape, num_classes)
        try:
            build(spec)
        except ConfigError as refused:
            problems += [f"{shape}: {one}" for one in refused.problems]
        else:
            return spec
    raise ConfigError(*problems)


def fresh(
    build: Build,
    num_classes: int | None = NUM_CLASSES,
    *,
    context: int | None = None,
    paired: bool = False,
    seed: int = 0,
) -> tuple[nn.Module, Inputs]:
    """A new network, and what it can be called with."""
    spec = evolve(fitting(build, num_classes), context=context, paired=paired)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = build(spec).double()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, *spec.shape, generator=generator, dtype=torch.float64)
    noise_label = 1000 * torch.rand(BATCH, generator=generator, dtype=torch.float64)
    cond = Condition(label=torch.tensor(LABELS))
    if context is not None:
        tokens = torch.randn(BATCH, 4, context, generator=generator, dtype=torch.float64)
        cond = evolve(cond, context=tokens, mask=torch.tensor(THERE).bool())
    if paired:
        cond = evolve(cond, image=torch.randn(x.shape, generator=generator, dtype=x.dtype))
    return network, Inputs(x, noise_label, cond)


def trained(
    build: Build,
    num_classes: int | None = NUM_CLASSES,
    *,
    context: int | None = None,
    paired: bool = False,
) -> tuple[nn.Module, Inputs]:
    """A network that has left its initialisation, so that zeros hide nothing."""
    network, inputs = fresh(build, num_classes, context=context, paired=paired)
    generator = torch.Generator().manual_seed(2)
    target = torch.randn(inputs.x.shape, generator=generator, dtype=torch.float64)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        (network(*inputs) - target).square().sum().backward()
        optimizer.step()
    optimizer.zero_grad()
    return network.eval(), inputs
