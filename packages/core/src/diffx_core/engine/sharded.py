"""Processes of which each holds a share of the network, by FSDP2 (`fully_shard`).

A weight is divided by its first axis. So are its gradient, its average and the moments of its
optimizer, which follow it. A unit of the network is whole for as long as it computes: all processes
call it at the same time, in the same order. What is saved is whole, and has the same names.

References:
    Zhao et al., 2023, PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel
    (arXiv:2304.11277).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import chain

from attrs import frozen
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.experimental import implicit_replication

from diffx_core.engine.averaging.weights import unwrapped
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.together import Together
from diffx_core.errors import ComponentError, ConfigError


@frozen(eq=False)
class Sharded(Together):
    """One of several processes that divide the network among them."""

    @property
    def is_divided(self) -> bool:
        """Whether each of them holds a share of the network, which all have to call together."""
        return True

    def divide(self, model: nn.Module) -> None:
        """Leave each process its share of the network, of which the first knows the values.

        A number alone cannot be divided: all have it.

        Raises:
            ComponentError: one of its weights has several places.
        """
        if isinstance(model, FSDPModule):
            return
        places = len([*model.named_parameters(remove_duplicate=False)])
        if places != len([*model.parameters()]):
            raise ComponentError("backbone", "has a weight in two places, which cannot be sharded")
        super().divide(model)
        mesh = DeviceMesh.from_group(self.groups[0], self.device.type)
        numbers = {one for one in model.parameters() if not one.ndim}
        for unit in [*units(model), model]:
            fully_shard(unit, mesh=mesh, reshard_after_forward=True, ignored_params=numbers)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network itself: gradients of what is divided become the mean on their way."""
        return model

    @contextmanager
    def apart(self, model: nn.Module) -> Iterator[None]:
        """While gradients are only collected, each process those of the whole network."""
        network = unwrapped(model)
        assert isinstance(network, FSDPModule)
        network.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            network.set_requires_gradient_sync(True)

    def average(self, network: nn.Module, others: Iterable[nn.Parameter]) -> None:
        """Make gradients the mean over all processes, of parameters that are not divided."""
        held = (one for one in network.parameters() if not isinstance(one, DTensor))
        super().average(network, chain(held, others))

    def mixed(self) -> AbstractContextManager[None]:
        """While tensors of which each process has a share meet such that all have."""
        return implicit_replication()

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors on the CPU, put together one after the other; nothing but for the first."""
        found = {}
        for name, one in tensors.items():
            value = one.full_tensor() if isinstance(one, DTensor) else one
            if self.is_first:
                found[name] = value.cpu()
        return found

    def clip(self, parameters: Iterable[Tensor], longest: float) -> Tensor:
        """Shorten the gradient to a norm, if it is longer; returns its norm before."""
        with self.mixed():
            norm = super().clip(parameters, longest)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    def micro(self, total: int, wanted: int | None) -> int:
        """How many of a batch's examples go through the network at once, as often everywhere.

        Raises:
            ConfigError: some processes would call the network once more than others.
        """
        micro = super().micro(total, wanted)
        if total % self.world and total // self.world % micro == 0:
            raise ConfigError(
                f"--train.shard: {total} examples on {self.world} processes, {micro} at once, are "
                "one part more on some than on others: take another --train.micro_batch"
            )
        return micro


def dividing(ranks: Ranks) -> Ranks:
    """The same processes, each of which holds a share of the network; one alone holds all of it."""
    if not isinstance(ranks, Together):
        return ranks
    return Sharded(
        ranks.rank,
        ranks.world,
        device=ranks.device,
        groups=ranks.groups,
        board=ranks.board,
        lines=ranks.lines,
    )


def units(network: nn.Module) -> Iterator[nn.Module]:
    """The blocks of a network: what stands in a list and has parts of its own, outermost first."""
    for part in network.children():
        listed = isinstance(network, nn.ModuleList | nn.Sequential)
        if listed and not isinstance(part, nn.ModuleList) and any(True for _ in part.children()):
            yield part
        else:
            yield from units(part)
