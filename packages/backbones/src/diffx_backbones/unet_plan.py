"""The plan of a U-Net by the channels of its first level: which blocks there are."""

from itertools import chain

from attrs import frozen

from diffx_backbones.levels import Levels, Stage
from diffx_backbones.refusal import non_positive, not_an_image, not_divisible
from diffx_core import DataSpec

HEAD = 64
"""Channels to a head that are fastest, on a CPU and on a GPU."""


@frozen(kw_only=True)
class Plan(Levels):
    """The numbers of a U-Net.

    Args:
        channels: of level 0.
        mults: channels of each level, in multiples of `channels`.
        sides: smaller sides of the image, in pixels, at which there is attention too.
        steps_apart: whether steps between levels have blocks of their own.
        scaled: whether sums of a residual and its skip are divided by sqrt 2.
    """

    channels: int
    mults: tuple[int, ...]
    sides: tuple[int, ...] = ()
    steps_apart: bool = False
    scaled: bool = False

    def way_down(self, spec: DataSpec) -> list[Stage]:
        """The blocks on the way down; a step halves the image."""
        stages: list[Stage] = []
        before = self.channels
        for level, mult in enumerate(self.mults):
            if level > 0 and self.steps_apart:
                stages.append(Stage(before, before, is_step=True))
            for i in range(self.blocks):
                channels = self.channels * mult
                heads = self.heads_of(channels) if self.is_attended(spec, level) else 0
                is_step = level > 0 and i == 0 and not self.steps_apart
                stages.append(Stage(before, channels, heads, is_step=is_step))
                before = channels
        return stages

    def mirrored(self, spec: DataSpec) -> list[Stage]:
        """The blocks on the way up, as mirrors of those down, each of which reads what that made.

        Where that halved the image, its mirror doubles it.
        """
        return [
            Stage(
                down.channels,
                down.before,
                self.heads_of(down.before) if down.heads else 0,
                down.channels,
                down.is_step,
            )
            for down in reversed(self.way_down(spec))
        ]

    def way_up(self, spec: DataSpec) -> list[Stage]:
        """The blocks in the middle and on the way up, where each of those down is read on its own.

        Two in the middle; then at every level one block for each on the way down and for what came
        into the level, and one to double the image. Steps between levels have blocks of their own.
        """
        skips = [self.channels, *(stage.channels for stage in self.way_down(spec))]
        before, bottom = skips[-1], len(self.mults) - 1
        heads = self.heads_of(before) if self.is_attended(spec, bottom) else 0
        stages = [Stage(before, before, heads), Stage(before, before)]
        for level in range(bottom, -1, -1):
            channels = self.channels * self.mults[level]
            heads = self.heads_of(channels) if self.is_attended(spec, level) else 0
            for _ in range(self.blocks + 1):
                stages.append(Stage(before, channels, heads, skips.pop()))
                before = channels
            if level > 0:
                stages.append(Stage(channels, channels, is_step=True))
        return stages

    def is_attended(self, spec: DataSpec, level: int) -> bool:
        """Whether the blocks of a level end in self-attention."""
        return level in self.attention or side_at(spec, level) in self.sides

    def heads_of(self, channels: int) -> int:
        """How many heads the attention of so many channels has."""
        if self.heads is not None:
            return self.heads
        return next(n for n in range(max(1, channels // HEAD), 0, -1) if channels % n == 0)

    def problems(self, name: str, spec: DataSpec, sides: tuple[int, ...] | None) -> list[str]:
        """Why there is no such U-Net for images of a kind.

        Args:
            name: of the U-Net.
            spec: of the images.
            sides: that were asked to be attended, besides those of a preset.
        """
        found = not_an_image(name, spec) + non_positive(channels=self.channels)
        found += self.wrong_options() + self.wrong_levels(spec, "mults", self.mults)
        return found + self._wrong_heads(spec) + self._wrong_sides(spec, sides or ())

    def _wrong_heads(self, spec: DataSpec) -> list[str]:
        if self.heads is None:
            return []
        attended = [stage for stage in self.way_down(spec) if stage.heads]
        widths = chain.from_iterable((stage.before, stage.channels) for stage in attended)
        problems = [
            not_divisible("attended channels", width, self.heads, "the number of heads")
            for width in dict.fromkeys(widths)
        ]
        return list(chain.from_iterable(problems))

    def _wrong_sides(self, spec: DataSpec, sides: tuple[int, ...]) -> list[str]:
        there = [side_at(spec, level) for level in range(len(self.mults))]
        return [
            f"attention at side {side} is not possible: the sides are {', '.join(map(str, there))}"
            for side in sides
            if side not in there
        ]


def side_at(spec: DataSpec, level: int) -> int:
    """The smaller side of an image at a level; 0 of what is no image."""
    return min(spec.shape[1:]) // 2**level if spec.is_image else 0
