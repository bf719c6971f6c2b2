"""One step of the optimizer: gradients of a whole batch, in as many parts as memory wants.

The loss of the batch is the mean over its B examples. A part of b examples adds b / B times its own
mean, so the gradients do not depend on how the batch is divided; where gradients become the mean
over W processes, each part counts W times as much.
"""

import math
from contextlib import nullcontext

import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from diffx_core.dataset import Batch
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.engine.optimizers import Optimizers
from diffx_core.engine.ranks import Ranks
from diffx_core.noise import key
from diffx_core.objective import Objective, Part


@frozen
class Taken:
    """What a step did.

    Args:
        loss: the mean over the whole batch.
        norm: of the gradient, before clipping.
        suspects: positions of examples that may be to blame where it is not finite.
    """

    loss: float
    norm: float
    suspects: tuple[int, ...] = ()

    @property
    def is_finite(self) -> bool:
        """Whether the parameters moved; if not, they are as they were."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


@frozen(eq=False)
class Update:
    """Makes a step of a batch.

    Args:
        denoiser: whose network learns, as it is called in training.
        network: that network, if processes have to agree about its gradients.
        objective: what it learns.
        optimizers: with what.
        scaler: of the loss.
        ranks: who shares the batch.
        total: examples in the whole batch.
        micro: examples that go through the network at once.
        clip: the largest norm of a gradient.
    """

    denoiser: NetworkDenoiser
    network: nn.Module
    objective: Objective
    optimizers: Optimizers
    scaler: torch.amp.GradScaler
    ranks: Ranks
    total: int
    micro: int
    clip: float

    def __call__(self, batch: Batch, step: int, lr: float) -> Taken:
        """Step, if the loss and its gradient are finite."""
        loss = self.gradients(batch, step)
        self.ranks.average(self.network, self.objective.parameters())
        self.optimizers.unscale(self.scaler)
        learned = [one for one in self.optimizers.names if one.grad is not None]
        norm = self.ranks.clip(learned, self.clip)
        told = torch.stack([self.ranks.total(loss), norm.to(loss.device)]).tolist()
        taken = Taken(*told)
        if not taken.is_finite:
            taken = evolve(taken, suspects=self._suspects(batch, loss))
        self.objective.learn(self.ranks.joined)
        if taken.is_finite:
            self.optimizers.step(lr, self.scaler)
        if self.scaler.is_enabled():
            self.scaler.update()
        self.optimizers.clear()
        return taken

    def _suspects(self, batch: Batch, loss: Tensor) -> tuple[int, ...]:
        """The examples of those whose share of the loss is not finite; of all, if all are."""
        if batch.index is None:
            return ()
        index = batch.index.cpu()
        rows = torch.stack([index, loss.isfinite().cpu().long().expand_as(index)], 1)
        position, is_fine = self.ranks.joined(rows).unbind(1)
        return tuple(position[is_fine == is_fine.min()].tolist())

    def gradients(self, batch: Batch, step: int) -> Tensor:
        """Collect the gradients of a batch; returns this process's share of the loss."""
        slots, seed = self.ranks.slots(self.total), self.objective.seed
        loss = batch.x.new_zeros(())
        for first in range(0, len(slots), self.micro):
            mine = slots[first : first + self.micro]
            reseed(key(seed, "network", step, mine.start), batch.x.device)
            if len(mine) == self.total:
                whole: Tensor = self.objective(self.denoiser, batch, step)
                self.scaler.scale(whole).backward()
                return whole.detach()
            piece = batch.part(first, first + len(mine))
            last = mine.stop == slots.stop
            with nullcontext() if last else self.ranks.apart(self.network):
                part = self.objective(self.denoiser, piece, step, part=Part(mine, self.total))
                part = part * (len(mine) / self.total)
                self.scaler.scale(part * self.ranks.world).backward()
            loss += part.detach()
        return loss


def reseed(value: int, device: torch.device) -> None:
    """Begin the global random numbers anew, which dropout draws: on the CPU and on one device.

    `torch.manual_seed` would look at every kind of device there is, which takes 80 us.
    """
    torch.default_generator.manual_seed(value)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(value)
