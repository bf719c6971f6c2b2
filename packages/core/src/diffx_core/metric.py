"""How good generated examples are, as a number: they are compared with real ones.

A metric sees tensors, and never how they were made. It says what it reads: features that a network
finds in examples, class logits of a classifier, or the examples themselves. Which network that is
belongs to the protocol of a measurement, and so to the name under which people read the number.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from torch import Tensor

from diffx_core.errors import ConfigError

Reads: TypeAlias = Literal["features", "logits", "examples"]
"""What a metric is given: (N, D) features, (N, K) logits, or (N, *shape) examples."""

INCEPTION = "inception-2015"
"""The features by which the literature means FID, KID and IS."""


class Metric(ABC):
    """Compares generated examples with real ones. Subclasses are frozen attrs classes."""

    figures: ClassVar[tuple[str, ...]]
    """What is measured, by the names that people know."""
    lower_is_better: ClassVar[bool]
    """Which way all figures go."""
    reads: ClassVar[Reads] = "features"
    features: ClassVar[str | None] = None
    """The only features of which it is defined; None for any."""

    @property
    def least(self) -> int:
        """How many examples it needs of either sort, at least."""
        return 2

    @abstractmethod
    def measure(self, made: Tensor, real: Tensor, *, seed: int) -> Mapping[str, float]:
        """Every figure, whatever the order of the examples but for what the seed draws of them.

        Args:
            made: (N, ...) of generated examples, what the metric reads.
            real: (M, ...) of real ones.
            seed: of random choices, if there are any.
        """

    def called(self, figure: str, features: str) -> str:
        """A figure with what it was measured on: ``FD[inception-2015]`` is ``FID`` by its author.

        Args:
            figure: one of the figures.
            features: what was read.
        """
        return f"{figure}[{features}]"

    def require(self, *counts: int) -> None:
        """Refuse to compare too few examples.

        Args:
            counts: how many there are, of each sort.

        Raises:
            ConfigError: that is not enough.
        """
        if min(counts) < self.least:
            raise ConfigError(
                f"{type(self).__name__} needs at least {self.least} examples of either sort, got "
                f"{min(counts)}"
            )
