"""What the plans of all U-Nets have in common: levels, each of half the side of the last."""

from collections.abc import Sequence
from typing import NamedTuple

from attrs import frozen

from diffx_backbones.refusal import non_positive, sides_not_divisible
from diffx_core import DataSpec


class Stage(NamedTuple):
    """A block of a U-Net, as it is planned."""

    before: int
    """Channels of what the block before it makes."""
    channels: int
    """Channels that it makes."""
    heads: int = 0
    """Of the attention that it ends in; 0 for none."""
    reads: int = 0
    """Channels of the skip that it reads besides; 0 for none."""
    is_step: bool = False
    """Whether the resolution changes in it."""


@frozen(kw_only=True)
class Levels:
    """The options that all U-Nets have.

    Args:
        blocks: per level and direction.
        attention: levels with attention.
        heads: of the attention; by the channels if None.
        dropout: share of the activations that training forgets.
    """

    blocks: int
    attention: tuple[int, ...] = ()
    heads: int | None = None
    dropout: float = 0.0

    def wrong_options(self) -> list[str]:
        """A problem for each option with which there is no U-Net of any levels."""
        found = non_positive(blocks=self.blocks)
        if self.heads is not None:
            found += non_positive(heads=self.heads)
        if not 0 <= self.dropout < 1:
            found.append(f"dropout must be from 0 up to 1, got {self.dropout}")
        return found

    def wrong_levels(self, spec: DataSpec, name: str, sizes: Sequence[int]) -> list[str]:
        """A problem for each level that is not possible, or is not there to be attended.

        Args:
            spec: of the images.
            name: of the option that says the size of each level.
            sizes: what it says.
        """
        if not sizes:
            return [f"{name} must name at least one level, got ()"]
        last = len(sizes) - 1
        found = non_positive(**{f"{name}[{i}]": size for i, size in enumerate(sizes)})
        found += sides_not_divisible(spec, 2**last, f"the reduction by {len(sizes)} levels")
        return found + [
            f"attention at level {level} is not possible: the levels are 0 to {last}"
            for level in self.attention
            if not 0 <= level <= last
        ]
