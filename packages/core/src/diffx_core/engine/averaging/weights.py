"""The weights of a model as averages see them: each once, with all its names, in float32.

A model may be wrapped for training. The names are those that it has without any wrapper, so what is
saved fits the plain model and every wrapped one.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from diffx_core.errors import CheckpointError

COMPILED = "_orig_mod"
"""What `torch.compile` puts before the names of what it wraps."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside of `torch.compile` and `DistributedDataParallel`, in either order."""
    while True:
        inner = getattr(model, COMPILED, None)
        if isinstance(inner, nn.Module):
            model = inner
        elif isinstance(model, DistributedDataParallel):
            model = model.module
        else:
            return model


def plain_name(name: str) -> str:
    """The name that a tensor of a model has where no part of the model is compiled."""
    return ".".join(part for part in name.split(".") if part != COMPILED)


class Weights:
    """The floating-point parameters of a model.

    Tied weights have several names and are one tensor.

    Args:
        model: whose they are; it keeps its parameters, whatever their values.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = unwrapped(model)
        self.parameters = [p for p in self.model.parameters() if p.is_floating_point()]
        places = {id(p): i for i, p in enumerate(self.parameters)}
        self.places = {
            plain_name(name): places[id(p)]
            for name, p in self.model.named_parameters(remove_duplicate=False)
            if id(p) in places
        }

    def now(self) -> list[Tensor]:
        """The values as they are, in float32: the parameters' own memory where they are that."""
        return [
            p.detach() if p.dtype == torch.float32 else p.detach().float() for p in self.parameters
        ]

    def copies(self) -> list[Tensor]:
        """The values as they are, in float32 and in memory of their own."""
        layout = torch.preserve_format  # or the update of many tensors at once is a slow one
        return [
            p.detach().to(torch.float32, copy=True, memory_format=layout) for p in self.parameters
        ]

    def named(self, values: Sequence[Tensor]) -> dict[str, Tensor]:
        """Some values for the weights, by every name."""
        return {name: values[place] for name, place in self.places.items()}

    def state(self, values: Sequence[Tensor]) -> dict[str, Tensor]:
        """A state dict of the model that has these values, and the buffers as they are."""
        ours = self.named(values)
        current = {plain_name(name): one for name, one in self.model.state_dict().items()}
        return {
            name: ours.get(name, one) for name, one in current.items() if isinstance(one, Tensor)
        }

    def sorted_out(self, given: Mapping[str, Tensor], whose: str) -> list[Tensor]:
        """The values of the weights out of a state dict.

        Raises:
            CheckpointError: one is missing or has another shape.
        """
        wrong = [
            f"{whose}: {name} {problem}"
            for name, place in self.places.items()
            if (problem := _misfit(given.get(name), self.parameters[place]))
        ]
        if wrong:
            raise CheckpointError(*wrong[:3])
        found = {place: given[name] for name, place in self.places.items()}
        return [found[place] for place in range(len(self.parameters))]


def _misfit(given: Tensor | None, wanted: Tensor) -> str:
    if given is None:
        return "is missing"
    if given.shape != wanted.shape:
        return f"has shape {tuple(given.shape)}, not {tuple(wanted.shape)}"
    return ""
