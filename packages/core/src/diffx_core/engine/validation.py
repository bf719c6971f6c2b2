"""The loss of examples that training never sees, of the averaged weights, by noise level.

Times and noise are the same at every look, so two looks differ by what was learned alone, and every
bin holds the same examples at the same noise levels.
"""

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Dataset
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.engine.events import Bin, Validated
from diffx_core.engine.memory import advised
from diffx_core.engine.ranks import Ranks, share_of
from diffx_core.objective import Objective, Part

LOOK = -2
"""The step whose times and noise a look has; no step of training is negative."""
BINS = 8


@frozen(eq=False)
class Validation:
    """Looks at held-out examples.

    Args:
        denoiser: what is judged; its network has the weights that it is judged with.
        dataset: where the examples are.
        objective: which loss.
        positions: of the examples.
        batch_size: examples that go through the network at once.
        device: where.
        ranks: who shares the work.
    """

    denoiser: NetworkDenoiser
    dataset: Dataset
    objective: Objective
    positions: Tensor
    batch_size: int
    device: torch.device
    ranks: Ranks

    @torch.no_grad()
    def __call__(self, step: int) -> Validated:
        """The loss after so many steps."""
        learning = self.objective.training
        self.objective.eval()  # a look teaches nothing, and does not depend on what was learned
        try:
            with advised(self.batch_size):
                log_snr, loss = self._terms()
        finally:
            self.objective.train(learning)
        order = log_snr.argsort(stable=True)
        bins = tuple(
            Bin(float(log_snr[one[0]]), float(log_snr[one[-1]]), float(loss[one].mean()), len(one))
            for one in order.tensor_split(min(BINS, len(order)))
        )
        return Validated(step, float(loss.mean()), bins)

    def _terms(self) -> tuple[Tensor, Tensor]:
        total = len(self.positions)
        mine = share_of(total, self.ranks)
        found = [torch.empty(2, 0, dtype=torch.float64)]
        # The network is called as often by those that have an example less: it may be divided.
        for first in range(0, -(-total // self.ranks.world), self.batch_size):
            own = mine[first : first + self.batch_size]
            slots = own or range(1)
            batch = self.dataset.batch(self.positions[slots.start : slots.stop]).to(self.device)
            terms = self.objective.terms(self.denoiser, batch, LOOK, part=Part(slots, total))
            found.append(torch.stack([terms.log_snr, terms.loss.double().cpu()])[:, : len(own)])
        log_snr, loss = self.ranks.joined(torch.cat(found, 1).T.contiguous()).T
        return log_snr, loss
