"""The processes of a run: which share of each batch is whose, and what they tell each other."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from attrs import frozen
from torch import Tensor, nn

from diffx_core.errors import ConfigError


@frozen
class Ranks:
    """A process by itself; those that work together are a subclass.

    Args:
        rank: which one this is.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    @property
    def is_divided(self) -> bool:
        """Whether each of them holds a share of the network, which all have to call together."""
        return False

    def slots(self, total: int) -> range:
        """Which of a batch's examples are its own.

        Raises:
            ConfigError: there are fewer examples than processes.
        """
        if total < self.world:
            raise ConfigError(
                f"a batch of {total} for {self.world} processes leaves some without an example"
            )
        return share_of(total, self)

    def agree(self, ending: str, error: Exception | None = None) -> str:
        """Why all of them end now, if any of them has a reason.

        Args:
            ending: why this process would end; empty if it would not.
            error: what went wrong here since they last agreed.

        Returns:
            the reason that all follow; empty if they go on.

        Raises:
            Exception: `error`, or that of another process.
        """
        if error is not None:
            raise error
        return ending

    def reason(self, error: BaseException) -> BaseException:
        """What a process really failed of that an error has ended."""
        return error

    def same(self, what: str, text: str) -> None:
        """Refuse to go on where processes differ.

        Args:
            what: in what.
            text: that of this process.

        Raises:
            CheckpointError: it is not the text of all of them.
        """

    def told(self, text: str) -> str:
        """The text of the first, as all of them hear it."""
        return text

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        return values

    def joined(self, values: Tensor) -> Tensor:
        """The rows of all processes, in their order."""
        return values

    def divide(self, model: nn.Module) -> None:
        """Give each process the values of the first, or its share of them if they divide it."""

    def mixed(self) -> AbstractContextManager[None]:
        """While tensors of which each process has a share meet such that all have."""
        return nullcontext()

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors as they were before the network was divided, for the first process."""
        return dict(tensors)

    def clip(self, parameters: Iterable[Tensor], longest: float) -> Tensor:
        """Shorten the gradient to a norm, if it is longer; returns its norm before."""
        return nn.utils.clip_grad_norm_(parameters, longest)

    def micro(self, total: int, wanted: int | None) -> int:
        """How many of a batch's examples go through the network at once.

        Args:
            total: examples in the batch.
            wanted: as the user has it; a whole share if None.
        """
        return wanted or -(-total // self.world)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network, whose gradients become the mean over all processes."""
        return model

    def apart(self, model: nn.Module) -> AbstractContextManager[None]:
        """While gradients are only collected, as before the last part of a batch."""
        del model
        return nullcontext()

    def average(self, network: nn.Module, others: Iterable[nn.Parameter]) -> None:
        """Make gradients the mean over all processes where that is still to be done.

        Args:
            network: as it was wrapped.
            others: parameters that it does not hold.
        """

    def wait(self) -> None:
        """Wait until all of them are here."""


def share_of(n: int, ranks: Ranks) -> range:
    """Which of n things a process does: each is done by one, and some may have none to do."""
    return range(n * ranks.rank // ranks.world, n * (ranks.rank + 1) // ranks.world)
