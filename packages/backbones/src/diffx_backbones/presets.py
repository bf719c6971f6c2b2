"""Sizes of transformers that have names."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from diffx_backbones.refusal import non_positive, not_divisible, sides_not_divisible
from diffx_core import ConfigError, DataSpec


class Size(NamedTuple):
    """The numbers that make a transformer large or small."""

    patch: int
    width: int
    depth: int
    heads: int

    def problems(self, spec: DataSpec, *, mlp_ratio: int, is_turned: bool) -> list[str]:
        """Why there is no such transformer for images of a kind.

        Args:
            spec: of the images.
            mlp_ratio: width inside the MLP of a block, as a multiple of the width.
            is_turned: whether queries and keys are turned by their places.
        """
        problems = non_positive(**self._asdict(), mlp_ratio=mlp_ratio)
        problems += sides_not_divisible(spec, self.patch, "the side of a patch")
        problems += not_divisible("width", self.width, self.heads, "the number of heads")
        if is_turned:
            reason = "four times the heads, for rope"
            problems += not_divisible("width", self.width, 4 * self.heads, reason)
        return problems


SIZES = {
    "tiny": (128, 3, 2),
    "small": (256, 6, 4),
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1152, 28, 16),
}
"""Width, depth and heads. S to XL are those of Peebles and Xie, 2022 (arXiv:2212.09748)."""


UVIT_SIZES = {
    "tiny": (128, 5, 2),
    "small": (256, 9, 4),
    "S": (512, 13, 8),
    "M": (768, 17, 12),
    "L": (1024, 21, 16),
    "H": (1152, 29, 16),
}
"""The same with long skips. S to H are those of Bao et al., 2022 (arXiv:2209.12152)."""

Sizes: TypeAlias = Mapping[str, tuple[int, int, int]]


def size_of(preset: str, sizes: Sizes, **told: int | None) -> Size:
    """The size of a name such as S/2, with what was told besides it.

    Args:
        preset: a name of `sizes`, a slash, and the side of a patch.
        sizes: width, depth and heads by name.
        told: numbers of a `Size` that take the place of the preset's, unless they are None.

    Raises:
        ConfigError: there is no such preset.
    """
    name, _, patch = preset.partition("/")
    if name not in sizes or not (patch.isascii() and patch.isdigit()):
        raise ConfigError(
            f"there is no preset {preset!r}; it is one of {', '.join(sizes)}, a slash and the side"
            " of a patch in pixels, such as S/2"
        )
    size = Size(int(patch), *sizes[name])
    return size._replace(**{key: one for key, one in told.items() if one is not None})
