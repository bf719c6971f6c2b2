"""The numbers of a published U-Net, and why there is none of some numbers."""

from itertools import chain

from attrs import frozen

from diffx_backbones.embedding import wrong_sinusoids
from diffx_backbones.refusal import (
    non_positive,
    not_an_image,
    not_divisible,
    reads_no_context,
    sides_not_divisible,
)
from diffx_core import DataSpec


@frozen(kw_only=True)
class DDPMPlan:
    """The numbers.

    Args:
        channels: of each level.
        blocks: per level on the way down.
        attention: levels with attention.
        heads: of the attention.
        head_width: channels of a head, instead.
        middle_attention: whether there is attention in the middle.
        groups: of every norm.
        eps: beside the variance of every norm.
        dropout: share of the activations that training forgets.
        features: sinusoids of the noise label.
        period: of the slowest of them.
    """

    channels: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    heads: int
    head_width: int | None
    middle_attention: bool
    groups: int
    eps: float
    dropout: float
    features: int
    period: float

    @property
    def levels(self) -> range:
        """The levels, from the full resolution down."""
        return range(len(self.channels))

    def heads_of(self, level: int, *, is_middle: bool = False) -> int:
        """How many heads a level, or the middle, has; 0 for no attention."""
        if not (self.middle_attention if is_middle else level in self.attention):
            return 0
        return self.channels[level] // self.head_width if self.head_width else self.heads

    def skips(self) -> list[int]:
        """Channels of what is handed across, in the order in which it is made."""
        made = [self.channels[0]]
        for level, channels in enumerate(self.channels):
            is_last = level == self.levels[-1]
            made += [channels] * (self.blocks + (not is_last))
        return made

    def problems(self, spec: DataSpec) -> list[str]:
        """Why there is no such U-Net for images of a kind."""
        if not self.channels:
            return ["channels must name at least one level, got ()"]
        sizes = {f"channels[{i}]": channels for i, channels in enumerate(self.channels)}
        found = not_an_image("ddpm_unet", spec) + reads_no_context("ddpm_unet", spec)
        found += non_positive(
            **sizes, blocks=self.blocks, heads=self.heads, norm_groups=self.groups
        )
        if self.head_width is not None:
            found += non_positive(head_width=self.head_width)
        reason = f"the reduction by {len(self.levels)} levels"
        found += sides_not_divisible(spec, 2 ** self.levels[-1], reason)
        found += [
            f"attention at level {level} is not possible: the levels are 0 to {self.levels[-1]}"
            for level in self.attention
            if level not in self.levels
        ]
        found += chain.from_iterable(
            not_divisible(name, size, self.groups, "the groups of a norm")
            for name, size in sizes.items()
        )
        return found + self._wrong_heads() + self._wrong_numbers()

    def _wrong_heads(self) -> list[str]:
        attended = set(self.attention) & set(self.levels)
        if self.middle_attention:
            attended.add(self.levels[-1])
        by, reason = (
            (self.heads, "the number of heads")
            if self.head_width is None
            else (self.head_width, "the width of a head")
        )
        wrong = (
            not_divisible(f"channels[{i}]", self.channels[i], by, reason) for i in sorted(attended)
        )
        return list(chain.from_iterable(wrong))

    def _wrong_numbers(self) -> list[str]:
        found = []
        if not 0 <= self.dropout < 1:
            found.append(f"dropout must be from 0 up to 1, got {self.dropout:g}")
        if not self.eps > 0:
            found.append(f"norm_eps must be above 0, got {self.eps:g}")
        return found + wrong_sinusoids(self.features, self.period, 1.0)
