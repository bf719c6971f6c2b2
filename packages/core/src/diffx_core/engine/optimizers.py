"""What turns gradients into steps, with a state that is saved by the names of the parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer

from diffx_core.errors import CheckpointError
from diffx_core.options import TrainOptions


@frozen(eq=False)
class Optimizers:
    """One optimizer, or one for each kind of parameter.

    Args:
        parts: the optimizers, each for parameters of its own.
        names: of all parameters, in any order.
    """

    parts: tuple[Optimizer, ...]
    names: dict[Tensor, str]

    def step(self, lr: float, scaler: torch.amp.GradScaler) -> None:
        """Step at a learning rate, unless the scaler has seen a gradient that is not finite."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            scaler.step(part)

    def unscale(self, scaler: torch.amp.GradScaler) -> None:
        """Take the scale of the loss out of the gradients."""
        for part in self.parts:
            scaler.unscale_(part)

    def clear(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    @property
    def kinds(self) -> list[str]:
        """What they are, each once."""
        return [*dict.fromkeys(type(part).__name__ for part in self.parts)]

    def memory(self) -> dict[str, Tensor]:
        """What the optimizers know of each parameter, as NAME/WHAT."""
        return {
            f"{self.names[parameter]}/{what}": value
            for part in self.parts
            for parameter, known in part.state.items()
            for what, value in known.items()
        }

    def restore(self, memory: Mapping[str, Tensor], kinds: Sequence[str]) -> None:
        """Go on from there.

        Args:
            memory: of optimizers.
            kinds: what they were.

        Raises:
            CheckpointError: it is the memory of another optimizer.
        """
        if list(kinds) != self.kinds:
            were, are = " and ".join(kinds), " and ".join(self.kinds)
            raise CheckpointError(f"the weights were moved by {were}, which cannot go on as {are}")
        known: dict[str, dict[str, Tensor]] = {}
        for key, value in memory.items():
            name, _, what = key.rpartition("/")
            known.setdefault(name, {})[what] = value
        strange = sorted(set(known) - set(self.names.values()))
        if strange:
            raise CheckpointError(f"the optimizer's state names no parameter: {strange[0]}")
        for part in self.parts:
            state = part.state_dict()
            places = enumerate(one for group in part.param_groups for one in group["params"])
            state["state"] = {
                place: {
                    what: _laid_out(value, one) for what, value in known[self.names[one]].items()
                }
                for place, one in places
                if self.names[one] in known
            }
            part.load_state_dict(state)


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """A moment as its parameter lies in memory, through which fused kernels pass as it is."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def optimizers_for(model: nn.Module, objective: nn.Module, options: TrainOptions) -> Optimizers:
    """The optimizers of a run; parameters of the objective are never decayed.

    Args:
        model: the network.
        objective: what it learns.
        options: which optimizer, and its numbers.
    """
    named = {name: one for name, one in model.named_parameters() if one.requires_grad}
    names: dict[Tensor, str] = {one: name for name, one in named.items()}
    names |= {one: f"objective.{name}" for name, one in objective.named_parameters()}
    rest = list(objective.parameters())
    if options.optimizer != "muon":
        # Those that processes have divided are tensors of another type, which do not mix.
        parts = tuple(
            _one(
                options.optimizer,
                [one for one in named.values() if type(one) is kind],
                [one for one in rest if type(one) is kind],
                options,
            )
            for kind in dict.fromkeys(map(type, names))
        )
        return Optimizers(parts, names)
    # Embeddings are matrices too, but their rows are a table, not directions.
    inner = {name for name, one in named.items() if one.ndim == 2 and "embed" not in name}
    outer = _one("adamw", [one for name, one in named.items() if name not in inner], rest, options)
    if not inner:
        return Optimizers((outer,), names)
    muon = Muon(
        [one for name, one in named.items() if name in inner],
        lr=options.lr,
        weight_decay=options.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return Optimizers((muon, outer), names)


def _one(
    name: str, decayed: list[nn.Parameter], rest: list[nn.Parameter], options: TrainOptions
) -> Optimizer:
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    match name:
        case "adam":
            return Adam(groups, lr=options.lr, fused=True)
        case "sgd":
            return SGD(groups, lr=options.lr, momentum=0.9, nesterov=True, fused=True)
        case _:
            return AdamW(groups, lr=options.lr, fused=True)
