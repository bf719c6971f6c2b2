"""How much memory a network needs to learn, found without allocating any.

The network is built, and sees two examples and three, on the device "meta", which knows shapes and
no numbers. What a forward pass keeps for the way back, every storage once, grows by the same for
each:

    bytes = state + micro_batch * example

state: weights, their gradients, two moments of the optimizer, the float32 average, and what is kept
whatever the batch.
"""

from collections.abc import Callable

import torch
from attrs import evolve, frozen
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from diffx_core.dataset import Condition

MOMENTS = 2
"""Numbers that Adam keeps of each parameter."""


@frozen
class Footprint:
    """What a network needs.

    Args:
        parameters: how many numbers are trained.
        state: bytes that do not depend on the batch.
        example: bytes for each example that is in the network at once.
    """

    parameters: int
    state: int
    example: int

    def most(self, memory: float) -> int:
        """How many examples have room at once in so many bytes; 0 if not even one has."""
        return max(0, int((memory - self.state) // max(1, self.example)))


def footprint(build: Callable[[], nn.Module], shape: tuple[int, ...], cond: Condition) -> Footprint:
    """Find out what a network needs.

    Args:
        build: makes the network.
        shape: of an example.
        cond: what one example is told.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = build().train()
        cond = cond.to("meta")
        # A batch of one is laid out in memory as others are not, so some copies need not be made.
        two, three = (_kept(model, shape, _repeated(cond, count), count) for count in (2, 3))
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    state = (2 + MOMENTS) * weights + 4 * parameters
    return Footprint(parameters, state + max(0, 3 * two - 2 * three), three - two)


def _kept(model: nn.Module, shape: tuple[int, ...], cond: Condition, count: int) -> int:
    """Bytes that a forward pass of so many examples keeps, besides the model's own, and returns."""
    own = {_place(tensor) for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no two storages are in the same place

    def keep(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        if (place := _place(tensor)) not in own:
            kept[place] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        keep(model(torch.empty(count, *shape), torch.empty(count), cond))
    return sum(kept.values())


def _repeated(cond: Condition, count: int) -> Condition:
    told = {name: one.expand(count, *one.shape[1:]) for name, one in cond.given().items()}
    return evolve(cond, **told)


def _place(tensor: Tensor) -> int:
    """Where its numbers lie, also if it has none: equal for two views of the same."""
    place: int = StorageWeakRef(tensor.untyped_storage()).cdata
    return place
