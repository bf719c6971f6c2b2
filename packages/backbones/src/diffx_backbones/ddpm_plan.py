"""The numbers of a published U-Net, and why there is none of some numbers."""

from itertools import chain

from attrs import frozen

from diffx_backbones.embedding import Sinusoids
from diffx_backbones.levels import Levels, Stage
from diffx_backbones.refusal import non_positive, not_an_image, not_divisible, reads_no_context
from diffx_core import DataSpec


@frozen(kw_only=True)
class DDPMPlan(Levels):
    """The numbers; `heads` and `blocks` too, of which there is one more on the way up.

    Args:
        channels: of each level.
        heads: of the attention.
        head_width: channels of a head, instead.
        middle_attention: whether there is attention in the middle.
        norm_groups: of every norm.
        norm_eps: beside the variance of every norm.
        sinusoids: of the noise label.
    """

    channels: tuple[int, ...]
    heads: int
    head_width: int | None
    middle_attention: bool
    norm_groups: int
    norm_eps: float
    sinusoids: Sinusoids

    def way_down(self) -> list[list[Stage]]:
        """The blocks of each level on the way down."""
        firsts = self.channels[:1] + self.channels[:-1]
        return [
            [Stage(one, channels, heads) for one in (first, *[channels] * (self.blocks - 1))]
            for first, channels, heads in zip(firsts, self.channels, self._heads(), strict=True)
        ]

    def way_up(self) -> list[list[Stage]]:
        """The blocks of each level on the way up, each of which reads a skip."""
        skips = self._skips()
        firsts = self.channels[1:] + self.channels[-1:]
        levels = list(zip(firsts, self.channels, self._heads(), strict=True))
        return [
            [Stage(one, channels, heads, skips.pop()) for one in (first, *[channels] * self.blocks)]
            for first, channels, heads in reversed(levels)
        ]

    def middle(self) -> Stage:
        """The first of two blocks in the middle; there is attention between them."""
        last = self.channels[-1]
        return Stage(last, last, self._heads_of(last) if self.middle_attention else 0)

    def _heads(self) -> list[int]:
        return [
            self._heads_of(channels) if level in self.attention else 0
            for level, channels in enumerate(self.channels)
        ]

    def _heads_of(self, channels: int) -> int:
        return channels // self.head_width if self.head_width else self.heads

    def _skips(self) -> list[int]:
        """Channels of what is handed across, in the order in which it is made."""
        made = [self.channels[0]]
        for channels in self.channels:
            made += [channels] * (self.blocks + 1)
        return made[:-1]  # the last level takes no step

    def problems(self, spec: DataSpec) -> list[str]:
        """Why there is no such U-Net for images of a kind."""
        if not self.channels:
            return self.wrong_levels(spec, "channels", self.channels)
        found = not_an_image("ddpm_unet", spec) + reads_no_context("ddpm_unet", spec)
        found += self.wrong_options() + non_positive(norm_groups=self.norm_groups)
        if self.head_width is not None:
            found += non_positive(head_width=self.head_width)
        found += self.wrong_levels(spec, "channels", self.channels)
        for level, channels in enumerate(self.channels):
            reason = "the groups of a norm"
            found += not_divisible(f"channels[{level}]", channels, self.norm_groups, reason)
        if not self.norm_eps > 0:
            found.append(f"norm_eps must be above 0, got {self.norm_eps:g}")
        return found + self._wrong_heads() + self.sinusoids.problems()

    def _wrong_heads(self) -> list[str]:
        levels = range(len(self.channels))
        attended = set(self.attention) & set(levels)
        if self.middle_attention:
            attended.add(levels[-1])
        by, reason = (
            (self.heads, "the number of heads")
            if self.head_width is None
            else (self.head_width, "the width of a head")
        )
        wrong = (
            not_divisible(f"channels[{i}]", self.channels[i], by, reason) for i in sorted(attended)
        )
        return list(chain.from_iterable(wrong))
