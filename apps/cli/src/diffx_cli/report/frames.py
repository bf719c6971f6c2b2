"""Pictures inside a page: so few and so small that they fit."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from markupsafe import Markup
from PIL import Image, ImageSequence, UnidentifiedImageError

MOST = 24
"""Pictures of a series."""
ROOM = 1_200_000
"""Bytes that the pictures of a series have in all; in the page they take four thirds of that."""
WIDEST = 900
"""Pixels of a picture; more are not seen on a page."""
QUALITY = 85
"""Of a JPEG, where a picture is too large without."""
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
)
"""What Pillow raises about a file that is no picture, or a damaged one."""

T = TypeVar("T")


def spread(items: Sequence[T], most: int = MOST) -> list[T]:
    """At most so many of them, at equal distances, both ends among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def element(picture: Image.Image, alt: str, room: int = ROOM // MOST) -> Markup:
    """A picture as an element that holds all of it.

    Args:
        picture: the picture.
        alt: what it shows.
        room: bytes that it has.
    """
    data, name = encoded(picture, room)
    source = f"data:image/{name};base64,{base64.b64encode(data).decode()}"
    size = Markup(' width="{}" height="{}"').format(*picture.size)
    return Markup('<img src="{}" alt="{}"{}>').format(source, alt, size)


def encoded(picture: Image.Image, room: int) -> tuple[bytes, str]:
    """The bytes of a picture and what they are: those of a PNG, or of a smaller JPEG."""
    picture = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    if max(picture.size) > WIDEST:
        picture = _smaller(picture, WIDEST / max(picture.size))
    data = _saved(picture, "PNG", optimize=True)
    if len(data) <= room:
        return data, "png"
    while True:
        data = _saved(picture, "JPEG", quality=QUALITY)
        if len(data) <= room or max(picture.size) < 32:
            return data, "jpeg"
        picture = _smaller(picture, 0.75)


def read(path: Path) -> Image.Image:
    """A picture of a file, whole.

    Raises:
        OSError: it cannot be read; or another of `UNREADABLE`.
    """
    with Image.open(path) as picture:
        picture.load()
        return picture.copy()


def moving(path: Path) -> list[tuple[int, Image.Image]]:
    """Some pictures of a moving one, each with its number from 0 on.

    Raises:
        OSError: it cannot be read; or another of `UNREADABLE`.
    """
    with Image.open(path) as film:
        wanted = set(spread(range(getattr(film, "n_frames", 1))))
        return list(_picked(ImageSequence.Iterator(film), wanted))


def _picked(film: Iterable[Image.Image], wanted: set[int]) -> Iterator[tuple[int, Image.Image]]:
    for i, one in enumerate(film):
        if i in wanted:
            yield i, one.convert("L" if one.mode == "L" else "RGB")


def _saved(picture: Image.Image, name: str, **how: int | bool) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, name, **how)
    return stream.getvalue()


def _smaller(picture: Image.Image, by: float) -> Image.Image:
    width, height = (max(1, int(side * by)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
