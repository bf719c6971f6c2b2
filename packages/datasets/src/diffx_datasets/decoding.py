"""One image file, of whatever kind, to bytes (C, size, size).

The largest centred square is resized with an antialiased bicubic filter. Photographs are turned as
their EXIF data say, transparency is laid on white, 16 bits are scaled to 8. What is no image, is
cut off, moves, or claims more pixels than a file should, is refused with the reason.
"""

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from diffx_datasets.packing import Pixels

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
"""Modes of grey images whose values go up to 65535."""
TOO_LARGE = "claims to have too many pixels to be decoded safely"
BYTE_OF = 257
"""16-bit values per value of a byte: 65535 / 255."""


class UnreadableError(Exception):
    """A file is not an image that can be used; the text says why."""


def decoded(file: Path | BinaryIO, size: int | None, *, grey: bool) -> Pixels:
    """The image in a file as bytes (C, H, W), C being 1 or 3.

    Args:
        file: its path, or the open file.
        size: side in pixels; None leaves it as it is.
        grey: whether to keep brightness only.

    Raises:
        UnreadableError: it is not an image that can be used.
    """
    try:
        with Image.open(file) as image:
            # Pillow only warns of as many; what warnings do is not a thread's to change
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise UnreadableError(TOO_LARGE)
            frames = getattr(image, "n_frames", 1)
            if frames != 1:
                raise UnreadableError(f"is a film of {frames} images")
            return _bytes(_flat(image, "L" if grey else "RGB"), size)
    except UnidentifiedImageError:
        raise UnreadableError("is not an image, or of an unknown kind") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UnreadableError(TOO_LARGE) from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError) as error:
        # what the decoders of a damaged file are known to raise
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableError(f"cannot be decoded ({reason})") from error


def resized(pixels: Pixels, size: int | None) -> Pixels:
    """Bytes (C, H, W) at another size, by the same filter."""
    if size is None or pixels.shape[1:] == (size, size):
        return pixels
    planes = [_bytes(Image.fromarray(plane), size) for plane in pixels]
    return np.concatenate(planes)


def shrunk(pixels: Pixels, shorter: int) -> Pixels:
    """Bytes (C, H, W) with the shorter side brought down to so many pixels, if it is longer."""
    height, width = pixels.shape[1:]
    scale = shorter / min(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in pixels]
    return np.stack([np.asarray(plane, dtype=np.uint8) for plane in planes])


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """Upright, without transparency, in the mode asked for."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in SIXTEEN_BITS:
        values = np.asarray(upright).astype(np.int64).clip(0, 255 * BYTE_OF)
        upright = Image.fromarray(((values + BYTE_OF // 2) // BYTE_OF).astype(np.uint8))
    if upright.has_transparency_data:
        over = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return upright.convert(mode)


def _bytes(image: Image.Image, size: int | None) -> Pixels:
    if size is not None and image.size != (size, size):
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        image = image.resize(
            (size, size),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
    values = np.asarray(image, dtype=np.uint8)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))
