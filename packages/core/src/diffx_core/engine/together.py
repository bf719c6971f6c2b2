"""Processes that train together, by torch.distributed.

Gradients travel by NCCL between accelerators, everything else by gloo. Each step begins with one
number from every process, whose largest says whether all go on; only if not do they tell why.
"""

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, cast

import torch
import torch.distributed as dist
from attrs import field, frozen
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from diffx_core.engine.lines import Lines
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.words import Board
from diffx_core.errors import CheckpointError, ComponentError, DiffxError

GO_ON, END, FAIL = range(3)


@frozen(eq=False)
class Together(Ranks):
    """One of several processes.

    Args:
        rank: which one this is.
        world: how many there are.
        device: where it computes.
        groups: all of them, last the one by which they tell each other about what is on the CPU.
        board: where the last words of those that failed are.
        lines: the connections of the last of the groups.
    """

    device: torch.device = field(kw_only=True)
    groups: list[Any] = field(kw_only=True)
    board: Board = field(kw_only=True)
    lines: Lines = field(kw_only=True)

    def agree(self, ending: str, error: Exception | None = None) -> str:
        """Why all of them end now: the reason of the first that has one; see `Ranks`."""
        if error is not None:
            self.board.post(error)
        most = torch.tensor(FAIL if error is not None else END if ending else GO_ON)
        dist.all_reduce(most, dist.ReduceOp.MAX, group=self.groups[-1])
        if error is not None:
            raise error
        if most == GO_ON:
            return ""
        if most == FAIL:
            words = self.board.first()
            raise words.error() if words else DiffxError("another process has failed")
        return next(filter(None, self._texts(ending)))

    def reason(self, error: BaseException) -> BaseException:
        """What it failed of: the same, unless it is only that somebody else is gone."""
        if "finished reduction in the prior iteration" in str(error):
            problem = "has parameters that get no gradient, which processes cannot agree about"
            return ComponentError("backbone", problem)
        if not is_lost(error):
            return error
        words = self.board.first()
        if words is not None:
            return words.error()
        return DiffxError(
            "another process of this run does not answer, as one that was killed or that hangs; "
            "--resume goes on from the newest checkpoint"
        )

    def same(self, what: str, text: str) -> None:
        """Refuse to go on where processes differ; see `Ranks`."""
        digests = self._everyones(_bytes(hashlib.sha256(text.encode()).digest()))
        other = [rank for rank, one in enumerate(digests) if not torch.equal(one, digests[0])]
        if other:
            raise CheckpointError(
                f"processes 0 and {other[0]} of {self.world} do not have the same {what}: start "
                "all of them with the same arguments, files and versions"
            )

    def told(self, text: str) -> str:
        """The text of the first."""
        return self._texts(text)[0]

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    def joined(self, values: Tensor) -> Tensor:
        """The rows of all processes, in their order; they may differ in number."""
        return torch.cat(self._everyones(values.cpu())).to(values.device)

    def divide(self, model: nn.Module) -> None:
        """Give each process the values of the first, from which averages begin, too."""
        for one in chain(model.parameters(), model.buffers()):
            value = one.detach().contiguous()
            dist.broadcast(value, 0)
            one.detach().copy_(value)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network, whose gradients become the mean over all processes."""
        places = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=places, gradient_as_bucket_view=True)

    def apart(self, model: nn.Module) -> AbstractContextManager[None]:
        """While gradients are only collected, as before the last part of a batch."""
        if isinstance(model, DistributedDataParallel):
            return cast("AbstractContextManager[None]", model.no_sync())
        return nullcontext()

    def average(self, network: nn.Module, others: Iterable[nn.Parameter]) -> None:
        """Make gradients the mean over all processes, of parameters that no network holds."""
        del network
        for one in others:
            if one.grad is not None:
                dist.all_reduce(one.grad)
                one.grad /= self.world

    def wait(self) -> None:
        """Wait until all of them are here."""
        dist.barrier(group=self.groups[-1])

    def _texts(self, text: str) -> list[str]:
        return [bytes(one.tolist()).decode() for one in self._everyones(_bytes(text.encode()))]

    def _everyones(self, rows: Tensor) -> list[Tensor]:
        """The rows of each process."""
        sizes = list(torch.zeros(self.world, dtype=torch.int64))
        dist.all_gather(sizes, torch.tensor(len(rows)), group=self.groups[-1])
        padded = rows.new_zeros(int(max(sizes)), *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(found, padded, group=self.groups[-1])
        return [one[: int(size)] for one, size in zip(found, sizes, strict=True)]


def is_lost(error: BaseException) -> bool:
    """Whether an error says no more than that another process does not answer."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error).lower()
    )


def _bytes(data: bytes) -> Tensor:
    return torch.tensor(list(data), dtype=torch.uint8)
