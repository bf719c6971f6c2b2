"""The plan of a U-Net: which blocks there are, and the sizes that have names."""

from itertools import chain
from typing import Any, NamedTuple

from attrs import evolve, frozen

from diffx_backbones.refusal import non_positive, not_divisible, sides_not_divisible
from diffx_core import DataSpec

HEAD = 64
"""Channels to a head that are fastest, on a CPU and on a GPU."""


class Stage(NamedTuple):
    """A block on the way down and, in reverse, its mirror on the way up."""

    outer: int
    """Channels on the side of the image."""
    inner: int
    """Channels on the side of the bottom, and of the skip."""
    is_attended: bool
    """Whether the block ends in self-attention."""
    is_step: bool
    """Whether the resolution changes on its outer side."""


class Ascent(NamedTuple):
    """A block in the middle or on the way up that is no mirror."""

    inner: int
    """Channels on the side of the bottom."""
    outer: int
    """Channels on the side of the image."""
    reads: int
    """Channels of the skip that is read; 0 for none."""
    is_attended: bool
    """Whether the block ends in self-attention."""
    is_step: bool
    """Whether the image is doubled first."""


@frozen(kw_only=True)
class Plan:
    """The numbers of a U-Net.

    Args:
        channels: of level 0.
        mults: channels of each level, in multiples of `channels`.
        blocks: per level and direction.
        attention: levels with attention.
        sides: smaller sides of the image, in pixels, at which there is attention too.
        heads: of the attention; by `HEAD` if None.
        dropout: share of the activations that training forgets.
        steps_apart: whether steps between levels have blocks of their own.
        scaled: whether sums of a residual and its skip are divided by sqrt 2.
    """

    channels: int
    mults: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...] = ()
    sides: tuple[int, ...] = ()
    heads: int | None = None
    dropout: float = 0.0
    steps_apart: bool = False
    scaled: bool = False

    def stages(self, spec: DataSpec) -> list[Stage]:
        """The blocks on the way down."""
        stages: list[Stage] = []
        outer = self.channels
        for level, mult in enumerate(self.mults):
            is_attended = self.is_attended(spec, level)
            if level > 0 and self.steps_apart:
                stages.append(Stage(outer, outer, is_attended=False, is_step=True))
            for i in range(self.blocks):
                inner = self.channels * mult
                is_step = level > 0 and i == 0 and not self.steps_apart
                stages.append(Stage(outer, inner, is_attended, is_step))
                outer = inner
        return stages

    def is_attended(self, spec: DataSpec, level: int) -> bool:
        """Whether the blocks of a level end in self-attention."""
        return level in self.attention or side_at(spec, level) in self.sides

    def way_up(self, spec: DataSpec) -> list[Ascent]:
        """The blocks in the middle and on the way up, where each of those down is read on its own.

        Two in the middle; then at every level one block for each on the way down and for what came
        into the level, and one to double the image.
        """
        skips = [self.channels, *(stage.inner for stage in self.stages(spec))]
        inner, bottom = skips[-1], len(self.mults) - 1
        middle = Ascent(inner, inner, 0, self.is_attended(spec, bottom), is_step=False)
        ascents = [middle, middle._replace(is_attended=False)]
        for level in range(bottom, -1, -1):
            outer = self.channels * self.mults[level]
            for _ in range(self.blocks + 1):
                is_attended = self.is_attended(spec, level)
                ascents.append(Ascent(inner, outer, skips.pop(), is_attended, is_step=False))
                inner = outer
            if level > 0:
                ascents.append(Ascent(outer, outer, 0, is_attended=False, is_step=True))
        return ascents

    def heads_of(self, channels: int, stage: Stage | Ascent) -> int:
        """How many heads the attention of so many channels has; 0 where there is none."""
        if not stage.is_attended:
            return 0
        if self.heads is not None:
            return self.heads
        return next(n for n in range(max(1, channels // HEAD), 0, -1) if channels % n == 0)

    def problems(self, spec: DataSpec) -> list[str]:
        """Why there is no such U-Net for images of a kind."""
        given = {"channels": self.channels, "blocks": self.blocks}
        if self.heads is not None:
            given["heads"] = self.heads
        found = non_positive(**given)
        if not 0 <= self.dropout < 1:
            found.append(f"dropout must be from 0 up to 1, got {self.dropout}")
        return found + self._wrong_levels(spec) + self._wrong_heads(spec)

    def _wrong_levels(self, spec: DataSpec) -> list[str]:
        levels = len(self.mults)
        if levels == 0:
            return ["mults must name at least one level, got ()"]
        problems = non_positive(**{f"mults[{i}]": mult for i, mult in enumerate(self.mults)})
        reason = f"the reduction by {levels} levels"
        problems += sides_not_divisible(spec, 2 ** (levels - 1), reason)
        problems += [
            f"attention at level {level} is not possible: the levels are 0 to {levels - 1}"
            for level in self.attention
            if not 0 <= level < levels
        ]
        return problems

    def _wrong_heads(self, spec: DataSpec) -> list[str]:
        if self.heads is None:
            return []
        widths = chain.from_iterable((s.outer, s.inner) for s in self.stages(spec) if s.is_attended)
        problems = [
            not_divisible("attended channels", width, self.heads, "the number of heads")
            for width in dict.fromkeys(widths)
        ]
        return list(chain.from_iterable(problems))

    def wrong_sides(self, spec: DataSpec, sides: tuple[int, ...] | None) -> list[str]:
        """A problem for each side that was asked for and that no level has."""
        there = [side_at(spec, level) for level in range(len(self.mults))]
        return [
            f"attention at side {side} is not possible: the sides are {', '.join(map(str, there))}"
            for side in sides or ()
            if side not in there
        ]


def side_at(spec: DataSpec, level: int) -> int:
    """The smaller side of an image at a level; 0 of what is no image."""
    return min(spec.shape[1:]) // 2**level if spec.is_image else 0


PLANS = {
    "tiny": Plan(channels=16, mults=(1, 2, 4), blocks=1, attention=(2,)),
    "small": Plan(channels=64, mults=(1, 2, 2), blocks=2, sides=(16, 8)),
    "ddpm35m": Plan(
        channels=128, mults=(1, 2, 2, 2), blocks=2, sides=(16,), dropout=0.1, steps_apart=True
    ),
    "ddpmpp": Plan(
        channels=128,
        mults=(2, 2, 2),
        blocks=4,
        sides=(16,),
        dropout=0.13,
        steps_apart=True,
        scaled=True,
    ),
    "adm": Plan(
        channels=192,
        mults=(1, 2, 3, 4),
        blocks=3,
        sides=(32, 16, 8),
        dropout=0.1,
        steps_apart=True,
    ),
}
"""By name; of the presets' sides, those that an image has are attended."""


EDM2_PLANS = {
    "tiny": Plan(channels=16, mults=(1, 2, 4), blocks=1, sides=(16, 8), steps_apart=True),
    "small": Plan(channels=64, mults=(1, 2, 2), blocks=2, sides=(16, 8), steps_apart=True),
    **{
        name: Plan(channels=channels, mults=(1, 2, 3, 4), blocks=3, sides=(16, 8), steps_apart=True)
        for name, channels in (
            ("XS", 128),
            ("S", 192),
            ("M", 256),
            ("L", 320),
            ("XL", 384),
            ("XXL", 448),
        )
    },
}
"""The same of magnitude-preserving U-Nets. XS to XXL are those of Karras et al., 2024."""


def varied(plan: Plan, **options: Any) -> Plan:  # noqa: ANN401  # fields of a Plan, or None
    """The plan with what was told besides it, unless it is None."""
    return evolve(plan, **{key: one for key, one in options.items() if one is not None})
