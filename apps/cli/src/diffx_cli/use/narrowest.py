"""What a network computes of its input where it is narrowest, whatever network that is."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from diffx_core.errors import ConfigError

Ask = Callable[[], object]
"""Calls the network once."""


def narrowest(network: nn.Module, ask: Ask) -> str:
    """The module whose output has the fewest places, pixels or tokens; of several, that halfway.

    Only modules without others inside count, and only outputs that depend on the example: not those
    of the noise level and of what is told.

    Args:
        network: it.
        ask: calls it with two examples that differ in nothing else.

    Raises:
        ConfigError: there is none.
    """
    outputs: list[tuple[str, int]] = []

    def see(name: str, output: Tensor) -> None:
        if len(output) == 2 and output.ndim > 1 and not torch.equal(output[0], output[1]):
            outputs.append((name, places(output)))

    leaves = {name: one for name, one in network.named_modules() if not [*one.children()]}
    with _seen(leaves, see):
        ask()
    # a network of images makes gates and means on its way, which have one place
    least = min((count for _, count in outputs if count > 1), default=1)
    names = [name for name, count in outputs if count == least]
    if not names:
        raise ConfigError("--of features: no module of the network reads examples")
    return names[len(names) // 2]


def places(output: Tensor) -> int:
    """Pixels of (B, C, H, W), tokens of (B, L, D), one of (B, D)."""
    shape = output.shape
    return shape[1] if len(shape) == 3 else math.prod(shape[2:])


def features(network: nn.Module, name: str, ask: Ask) -> Tensor:
    """The output (n, ...) of a module in one call of the network, as (n, D).

    Args:
        network: it.
        name: of the module.
        ask: calls the network with n examples.

    Raises:
        ConfigError: there is no such module, or it has no output for each example.
    """
    modules = dict(network.named_modules())
    if not name or name not in modules:
        raise ConfigError(f"--module: the network has no module {name!r}")
    found: list[Tensor] = []
    with _seen({name: modules[name]}, lambda _, output: found.append(output)):
        ask()
    if not found:
        raise ConfigError(f"--module: {name} has no output of its own")
    return found[-1].flatten(1).float().cpu()


@contextmanager
def _seen(modules: dict[str, nn.Module], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Shows every output that is a tensor."""

    def hook(name: str, _: nn.Module, __: object, output: object) -> None:
        if isinstance(output, Tensor):
            see(name, output)

    handles = [one.register_forward_hook(partial(hook, name)) for name, one in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
