"""What to do when memory runs out: say it in a line, or find beforehand how much fits.

A batch goes through the network in parts, and its gradient does not depend on how large they are.
So the parts may be as small as memory wants.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from attrs import evolve

from diffx_core.dataset import Batch
from diffx_core.engine.update import Update
from diffx_core.errors import ConfigError


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory has run out, on an accelerator or not."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


@contextmanager
def advised(micro: int) -> Iterator[None]:
    """Steps, whose shortage of memory comes with advice.

    Args:
        micro: examples that go through the network at once.

    Raises:
        ConfigError: memory has run out.
    """
    try:
        yield
    except Exception as error:
        if not is_shortage(error):
            raise
        raise shortage(micro) from error


def shortage(micro: int) -> ConfigError:
    """What to say when so many examples at once are too many."""
    if micro == 1:
        return ConfigError("one example alone does not fit into memory: take a smaller network")
    return ConfigError(
        f"{micro} examples at once do not fit into memory: --train.micro_batch {micro // 2} takes"
        " about half and gives the same gradient, and --train.auto_micro_batch finds what fits"
    )


def fitted(update: Update, alone: Update, batch: Batch, step: int) -> Update:
    """The same update, in parts that fit into memory on all processes; nothing has been learned.

    Args:
        update: makes steps.
        alone: makes them with nobody else: whoever runs out of memory leaves no one waiting.
        batch: the process's own share of any batch.
        step: of which it is.

    Raises:
        ConfigError: not even one example fits.
    """
    micro = update.micro
    while not _fits(evolve(alone, micro=micro), batch, step):
        if micro == 1:
            raise shortage(1)
        micro = (micro + 1) // 2
    everywhere = update.ranks.joined(torch.tensor([micro], device=batch.x.device))
    return evolve(update, micro=int(everywhere.min()))


def _fits(update: Update, batch: Batch, step: int) -> bool:
    """Whether the gradient of a batch, and an optimizer's memory besides, have room."""
    buffers = [one.detach().clone() for one in update.network.buffers()]
    learning = update.objective.training
    update.objective.eval()  # the losses of a rehearsal teach nothing
    try:
        update.gradients(batch, step)
        moments = [torch.empty_like(one) for one in update.optimizers.names for _ in range(2)]
        del moments
    except Exception as error:
        if not is_shortage(error):
            raise
        return False
    else:
        return True
    finally:
        update.objective.train(learning)
        update.optimizers.clear()
        for one, value in zip(update.network.buffers(), buffers, strict=True):
            one.detach().copy_(value)
        _release()


def _release() -> None:
    gc.collect()  # the frames of an error hold tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
