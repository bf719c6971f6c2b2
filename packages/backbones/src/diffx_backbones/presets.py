"""Sizes of transformers that have names."""

from typing import NamedTuple

from diffx_core import ConfigError


class Size(NamedTuple):
    """The numbers that make a transformer large or small."""

    patch: int
    width: int
    depth: int
    heads: int


SIZES = {
    "tiny": (128, 3, 2),
    "small": (256, 6, 4),
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1152, 28, 16),
}
"""Width, depth and heads. S to XL are those of Peebles and Xie, 2022 (arXiv:2212.09748)."""


def size_of(preset: str, **told: int | None) -> Size:
    """The size of a name such as S/2, with what was told besides it.

    Args:
        preset: a name of `SIZES`, a slash, and the side of a patch.
        told: numbers of a `Size` that take the place of the preset's, unless they are None.

    Raises:
        ConfigError: there is no such preset.
    """
    name, _, patch = preset.partition("/")
    if name not in SIZES or not (patch.isascii() and patch.isdigit()):
        raise ConfigError(
            f"there is no preset {preset!r}; it is one of {', '.join(SIZES)}, a slash and the side"
            " of a patch in pixels, such as S/2"
        )
    size = Size(int(patch), *SIZES[name])
    return size._replace(**{key: one for key, one in told.items() if one is not None})
