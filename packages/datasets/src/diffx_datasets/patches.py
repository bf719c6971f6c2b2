"""Patches of photographs of any size, cut at random.

Where a patch is cut is keyed by (seed, index, step) in training, and by the index alone elsewhere.
Shapes: x (B, C, size, size), index (B,).
"""

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from attrs import field, frozen
from attrs.validators import and_, ge, in_, le, optional
from torch import Tensor

from diffx_core import Batch, DataError, Dataset, DataSpec, Finish, NoiseSource, Read
from diffx_datasets.decoding import UnreadableError, decoded, shrunk
from diffx_datasets.examples import BatchWithout, LeftOut, OnBad, usable
from diffx_datasets.image_folder import images_under
from diffx_datasets.packed import finished, mirror_, mirrored, within
from diffx_datasets.packing import BYTES, Pixels, stamp
from diffx_datasets.streamed import Seen, evenly, looked_at


@frozen
class Photographs:
    """Image files by position.

    Args:
        paths: of the files.
        size: side of a patch.
        shorter: what longer sides are brought down to, or None.
        grey: keep brightness only.
    """

    paths: Sequence[Path]
    size: int
    shorter: int | None
    grey: bool

    def __len__(self) -> int:
        return len(self.paths)

    def pixels(self, position: int) -> Pixels:
        """The patch in the middle of a photograph."""
        return self.patch(position, 0.5, 0.5)

    def patch(self, position: int, down: float, right: float) -> Pixels:
        """A patch of a photograph.

        Args:
            position: of the photograph.
            down: where it is between the highest place (0) and the lowest (1).
            right: where it is between the leftmost place (0) and the rightmost (1).

        Raises:
            UnreadableError: it cannot be decoded, or is smaller than a patch.
        """
        whole = decoded(self.paths[position], None, grey=self.grey)
        whole = whole if self.shorter is None else shrunk(whole, self.shorter)
        height, width = whole.shape[1:]
        if min(height, width) < self.size:
            raise UnreadableError(f"has {width}x{height} pixels, fewer than a patch of {self.size}")
        top, left = int(down * (height - self.size + 1)), int(right * (width - self.size + 1))
        return whole[:, top : top + self.size, left : left + self.size]

    def place(self, position: int) -> str:
        """The path of a file."""
        return str(self.paths[position])


@frozen(kw_only=True)
class Patches(Dataset):
    """Square patches of the photographs in a folder and all folders below it.

    Args:
        root: the folder.
        size: side of a patch in pixels.
        per_image: patches of each photograph in an epoch.
        shorter: bring the shorter side of larger photographs down to so many pixels first; by
            default they stay as they are.
        grey: keep brightness only.
        flip: whether training sees half of the patches mirrored, left to right.
        on_bad: what to do about photographs that cannot be decoded or are too small: stop, or put
            the next one in their place.
        max_bad: share of the photographs that may be left out, but one may always be.
    """

    root: Path
    size: int = field(default=64, validator=and_(ge(4), le(1024)))
    per_image: int = field(default=16, validator=and_(ge(1), le(1_000_000)))
    shorter: int | None = field(default=None, validator=optional(and_(ge(4), le(65_536))))
    grey: bool = False
    flip: bool = True
    on_bad: OnBad = field(default="error", validator=in_(("error", "skip")))
    max_bad: float = field(default=0.001, validator=and_(ge(0), le(1)))

    @cached_property
    def _photographs(self) -> Photographs:
        paths = list(images_under(self.root)) if self.root.is_dir() else []
        if not paths:
            raise DataError(
                f"patches: there are no images in {self.root}; --dataset.root names a folder of"
                " photographs"
            )
        return Photographs(paths, self.size, self.shorter, self.grey)

    @cached_property
    def _left_out(self) -> LeftOut:
        return LeftOut("patches", len(self._photographs), self.on_bad, self.max_bad)

    @cached_property
    def _seen(self) -> Seen:
        paths = self._photographs.paths
        facts = {
            "root": str(self.root.resolve()),
            "files": [(str(one.parent), *stamp(one)) for one in paths],
            "options": (self.size, self.per_image, self.shorter, self.grey),
        }
        some = _fixed(evenly(len(self)))
        return looked_at(
            facts,
            len(self),
            self._left_out,
            lambda: self._cut(some, 0, {}),
            channels=1 if self.grey else 3,
        )

    @property
    def spec(self) -> DataSpec:
        """The facts about the patches; sigma_data is measured on some of them."""
        return DataSpec(
            shape=(1 if self.grey else 3, self.size, self.size),
            sigma_data=self._seen.sigma_data,
            value_range=(-1.0, 1.0),
            levels=BYTES,
        )

    @property
    def fingerprint(self) -> str:
        """Of how many patches there are, and of those that were looked at."""
        return self._seen.fingerprint

    @property
    def streams(self) -> bool:
        """Photographs are read and decoded for each batch."""
        return True

    def __len__(self) -> int:
        return len(self._photographs) * self.per_image

    def batch(self, index: Tensor) -> Batch:
        """The patches (B, C, size, size) at the (B,) positions `index`, at places of their own."""
        return self.finish(self._stacked(index, _fixed(index.tolist()), 0))

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """Patches of the same photographs, at places keyed by seed, index and step."""
        return self.finish(self.read(index, seed=seed, step=step))

    def in_two(self) -> tuple[Read, Finish]:
        """Workers read bytes, of which floats are made on the device."""
        return self.read, self.finish

    def finish(self, batch: Batch) -> Batch:
        """A batch of bytes as floats; what was replaced in it is counted here, in one process."""
        self._left_out.learn(batch)
        return finished(batch)

    def read(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The same as bytes: a quarter of what has to cross from a worker."""
        places = NoiseSource(seed=seed, indices=index.tolist(), purpose="crop")
        batch = self._stacked(index, places, step)
        if self.flip:
            mirror_(batch.x, mirrored(index, seed, step))
        return batch

    def _stacked(self, index: Tensor, places: NoiseSource, step: int) -> Batch:
        within(index, len(self))
        _ = self._seen  # what was bad when it was measured is left out everywhere
        replaced: dict[int, str] = {}
        pixels = torch.from_numpy(np.stack(list(self._cut(places, step, replaced))))
        return BatchWithout(x=pixels, index=index, replaced=replaced)

    def _cut(self, places: NoiseSource, step: int, replaced: dict[int, str]) -> Iterator[Pixels]:
        photographs = self._photographs
        down, right = (places.uniform(step, axis).tolist() for axis in range(2))
        for one, vertical, horizontal in zip(places.indices, down, right, strict=True):
            read = partial(photographs.patch, down=vertical, right=horizontal)
            yield usable(one % len(photographs), read, photographs, self._left_out, replaced)[1]


def _fixed(positions: Sequence[int]) -> NoiseSource:
    """Where patches are cut outside of training."""
    return NoiseSource(seed=0, indices=positions, purpose="patch")
