"""What a user gives a model to work on, read from files as the model has it: x (n, *shape).

An image must have the size and the colours of the model's own; if it is to be fitted, its largest
centred square is resized and converted. Anything else, such as points or latents, comes as a
tensor (n, *shape) in a .safetensors file, as `diffx sample` writes it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import field, frozen
from PIL import Image
from torch import Tensor

from diffx_cli.line.console import counted
from diffx_cli.picture.film import is_picture
from diffx_cli.picture.pictures import to_bytes
from diffx_cli.use.tensors import TENSORS, tensor_in
from diffx_core.dataset import DataSpec
from diffx_core.errors import DataError
from diffx_datasets.decoding import UnreadableError, decoded
from diffx_datasets.image_folder import images_under
from diffx_datasets.packing import Pixels

MODES = {1: ("1", "L"), 3: ("RGB", "P")}
"""Modes of Pillow that become bytes of one channel or three without a loss."""
COLOURS = {1: "grey", 3: "in colour"}
EXAMPLES = "samples"
"""Name of the tensor in a file that has several."""
ROUNDING = 1e-5
"""By which values may leave their range."""


@frozen(eq=False)
class Given:
    """Examples that a user gave.

    Args:
        x: (n, *shape) them, in the range of the model's data.
        names: of their files, with their place there if a file has several.
    """

    x: Tensor = field(repr=False)
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@frozen
class Giver:
    """Reads what is given by an option.

    Args:
        option: for messages, such as ``--images``.
        spec: the facts about the model's data.
        fit: whether images of another size or mode are fitted.
    """

    option: str
    spec: DataSpec
    fit: bool = False

    def examples(self, paths: Sequence[Path]) -> Given:
        """All examples in files and folders, in order.

        Raises:
            DataError: there are none, or one cannot be read, or is not such as the model's.
        """
        parts = [part for path in paths for part in self._parts(path)]
        if not parts:
            raise DataError(f"{self.option}: names no file")
        names = tuple(name for part in parts for name in part.names)
        return Given(torch.cat([part.x for part in parts]), names)

    def masks(self, path: Path, n: int) -> Tensor:
        """What is to be kept of n examples, (n, *shape) or to be broadcast: 1, or else 0.

        Args:
            path: an image of the size of the examples, white where they are made anew and black
                where they are kept; or a folder with one for each of them, in order. Of a model of
                no images, a tensor with 1 where they are made anew.
            n: how many examples.

        Raises:
            DataError: there are not as many, or one is none.
        """
        files = self._files(path)
        anew = torch.cat([self._mask(one) for one in files])
        if len(anew) not in (1, n):
            raise DataError(
                f"{self.option} {path}: has {len(anew)} masks for {counted(n, 'example')}"
            )
        return 1 - anew

    def _parts(self, path: Path) -> Iterator[Given]:
        for file in self._files(path):
            if file.suffix == TENSORS:
                x = self._numbers(file)
                yield Given(x, tuple(f"{file}[{i}]" for i in range(len(x))))
            else:
                yield Given(self._floats(self._pixels(file)), (str(file),))

    def _files(self, path: Path) -> list[Path]:
        if not path.exists():
            raise DataError(f"{self.option} {path}: is not there")
        if not path.is_dir():
            return [path]
        files = list(images_under(path))
        if not files:
            raise DataError(f"{self.option} {path}: there are no images")
        return files

    def _numbers(self, file: Path) -> Tensor:
        self._require_unfitted(file)
        x = tensor_in(file, EXAMPLES, self.spec.shape, self.option)
        low, high = self.spec.value_range or (-torch.inf, torch.inf)
        if float(x.min()) < low - ROUNDING or float(x.max()) > high + ROUNDING:
            raise DataError(
                f"{self.option} {file}: has values from {float(x.min()):g} to {float(x.max()):g},"
                f" and the model's data are from {low:g} to {high:g}"
            )
        return x

    def _pixels(self, file: Path) -> Pixels:
        """The bytes (C, H, W) of an image."""
        self._require_pictures(file)
        channels, side, _ = self.spec.shape
        if self.fit:
            return self._decoded(file, side, grey=channels == 1)
        self._require_size(file, self._decoded(file, None, grey=channels == 1))
        with Image.open(file) as image:
            mode, clear = image.mode, image.has_transparency_data
        if mode not in MODES[channels] or clear:
            found = f"of mode {mode}" + (" with transparency" if clear else "")
            raise self._other(file, f"is {found}", f"are {COLOURS[channels]}")
        return self._decoded(file, None, grey=channels == 1)

    def _mask(self, file: Path) -> Tensor:
        """Where an example is made anew, (1, 1, H, W) or (m, *shape)."""
        if file.suffix == TENSORS:
            self._require_unfitted(file)
            anew = tensor_in(file, "mask", self.spec.shape, self.option)
            if not ((anew == 0) | (anew == 1)).all():
                raise DataError(f"{self.option} {file}: has values that are neither 0 nor 1")
            return anew
        self._require_pictures(file)
        pixels = self._decoded(file, self.spec.shape[1] if self.fit else None, grey=True)
        self._require_size(file, pixels)
        with Image.open(file) as image:
            if image.has_transparency_data:
                raise DataError(
                    f"{self.option} {file}: has transparency; a mask is white where the image is"
                    " made anew and black where it is kept"
                )
        if self.fit:
            pixels = np.where(pixels < 128, np.uint8(0), np.uint8(255))
        if not np.isin(pixels, (0, 255)).all():
            raise DataError(
                f"{self.option} {file}: has greys; a mask is white where the image is made anew and"
                " black where it is kept"
            )
        return torch.from_numpy(pixels > 0).float()[None]

    def _require_unfitted(self, file: Path) -> None:
        if self.fit:
            raise DataError(f"--fit: is for images, and {file} has numbers")

    def _require_pictures(self, file: Path) -> None:
        spec = self.spec
        if not is_picture(spec) or spec.value_range is None:
            shape = ", ".join(map(str, spec.shape))
            raise DataError(
                f"{self.option} {file}: the model makes no images: give it numbers (n, {shape}) in"
                f" a {TENSORS} file"
            )
        if self.fit and spec.shape[1] != spec.shape[2]:
            raise DataError("--fit: makes squares, and the model's images are none")

    def _require_size(self, file: Path, pixels: Pixels) -> None:
        found, wanted = ("x".join(map(str, one[:0:-1])) for one in (pixels.shape, self.spec.shape))
        if found != wanted:
            raise self._other(file, f"is {found} pixels", f"are {wanted}")

    def _other(self, file: Path, found: str, wanted: str) -> DataError:
        line = f"{self.option} {file}: {found}, and the model's images {wanted}"
        return DataError(f"{line}; --fit crops, resizes and converts it")

    def _decoded(self, file: Path, size: int | None, *, grey: bool) -> Pixels:
        try:
            return decoded(file, size, grey=grey)
        except UnreadableError as error:
            raise DataError(f"{self.option} {file}: {error}") from error

    def _floats(self, pixels: Pixels) -> Tensor:
        """Bytes (C, H, W) as an example (1, C, H, W)."""
        assert self.spec.value_range is not None, "an image has one"
        low, high = self.spec.value_range
        shares = torch.from_numpy(pixels.astype(np.float64))[None] / 255
        if self.spec.levels is not None:
            # a byte as which a level is written is that level; any other comes back as it was
            last = self.spec.levels - 1
            level = (shares * last).round() / last
            written = to_bytes((low + (high - low) * level).float(), self.spec)
            shares = torch.where(written == torch.tensor(pixels), level, shares)
        return (low + (high - low) * shares).float()
