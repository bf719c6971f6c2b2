"""Images that are kept as bytes, in memory or on the accelerator, and batched where they are.

A batch is one selection, one choice between each image and its mirror image, and one pass that
makes floats of it: nothing is done image by image. Shapes: pixels (N, C, H, W), index (B,).
"""

from collections.abc import Sequence

import numpy as np
from attrs import evolve, field, frozen
from torch import Tensor, arange, cat, device, float32
from torch.cuda import mem_get_info

from diffx_core import Batch, Condition, Dataset, DataSpec, NoiseSource

HALF_RANGE = 127.5
"""Bytes are mapped to x = (byte - 127.5) / 127.5, which has both ends of [-1, 1] exactly."""
SHARE = 0.25
"""Of the free memory of an accelerator, what the images may take."""
SMALL = 2**29
"""Bytes of images that are kept mirrored, too: twice as many in memory, selected faster."""
MOST_KEPT = 2**34
"""Bytes of data that are kept in memory unless told otherwise."""
WORD = np.dtype(np.uint64)


@frozen(kw_only=True, eq=False)
class Packed(Dataset):
    """Images as bytes.

    Args:
        pixels: (N, C, H, W) uint8; (N, 2 C, H, W) of pairs, the images of which come second.
        label: (N,) int64 class labels, or None.
        facts: about the images, as they are delivered.
        flips: whether training sees half of them mirrored, left to right.
        both: (2 N, C, H, W) the images and, after them, all of them mirrored, where there is
            memory to spare: then mirroring is a matter of selection.
        captions: N texts, or None.
        fingerprint: of all of them.
    """

    pixels: Tensor = field(repr=False)
    label: Tensor | None = field(default=None, repr=False)
    facts: DataSpec
    flips: bool = False
    both: Tensor | None = field(default=None, repr=False)
    captions: Sequence[str] | None = field(default=None, repr=False)
    fingerprint: str = ""

    @property
    def spec(self) -> DataSpec:
        """The facts about the images."""
        return self.facts

    def __len__(self) -> int:
        return len(self.pixels)

    def on(self, device: device | str) -> "Packed":
        """The same images on a device, if they fit there; else as they are."""
        if not fits(self.pixels.numel(), device):
            return self
        label = None if self.label is None else self.label.to(device)
        pixels, both = self.pixels.to(device), None
        if self.flips and pixels.numel() <= SMALL:
            both = cat([pixels, pixels])
            mirror_(both, arange(len(both), device=both.device) >= len(pixels))
            pixels = both[: len(pixels)]
        return evolve(self, pixels=pixels, label=label, both=both)

    def batch(self, index: Tensor) -> Batch:
        """The images (B, C, H, W) at the (B,) positions `index`."""
        return self._batch(index, None)

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The same, half of them mirrored if asked for: which, is keyed by seed, index and step."""
        if not self.flips:
            return self.batch(index)
        return self._batch(index, mirrored(index, seed, step))

    def _batch(self, index: Tensor, flipped: Tensor | None) -> Batch:
        within(index, len(self))
        here = index.to(self.pixels.device)
        if flipped is None:
            pixels = self.pixels.index_select(0, here)
        elif self.both is None:
            pixels = self.pixels.index_select(0, here)
            mirror_(pixels, flipped.to(pixels.device))
        else:
            pixels = self.both.index_select(0, here + len(self) * flipped.to(here.device))
        label = None if self.label is None else self.label.index_select(0, here)
        captions = at(self.captions, index.tolist())
        return finished(batch_of(pixels, index, label, captions, self.facts))


def fits(size: int, where: device | str) -> bool:
    """Whether so many bytes of data may be kept on a device."""
    kind = str(where).partition(":")[0]
    return kind != "cuda" or size < SHARE * mem_get_info(where)[0]


def at(captions: Sequence[str] | None, positions: Sequence[int]) -> list[str] | None:
    """The texts at some positions, if there are any texts."""
    return None if captions is None else [captions[position] for position in positions]


def batch_of(
    pixels: Tensor,
    index: Tensor,
    label: Tensor | None,
    captions: list[str] | None,
    facts: DataSpec,
) -> Batch:
    """Bytes as a batch; of pairs, the second half of the channels is what each image is told."""
    image = None
    if facts.paired:
        pixels, image = (half.contiguous() for half in pixels.chunk(2, dim=1))
    return Batch(pixels, Condition(label=label, image=image), index, captions)


def finished(batch: Batch) -> Batch:
    """A batch of bytes as floats."""
    image = batch.cond.image
    cond = batch.cond if image is None else evolve(batch.cond, image=floats(image))
    return evolve(batch, x=floats(batch.x), cond=cond)


def floats(pixels: Tensor) -> Tensor:
    """Bytes of any shape as float32 in [-1, 1]."""
    return pixels.to(float32).sub_(HALF_RANGE).mul_(1 / HALF_RANGE)


def within(index: Tensor, count: int) -> None:
    """An accelerator would end the process over a wrong index, or read something else.

    Raises:
        IndexError: a position is not one of 0 to count - 1.
    """
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < count:
        raise IndexError(f"an index is outside the {count} images")


def mirrored(index: Tensor, seed: int, step: int) -> Tensor:
    """Which (B,) of the images at `index` a step sees mirrored: each with probability 1/2."""
    return NoiseSource(seed=seed, indices=index.tolist(), purpose="flip").uniform(step) < 0.5


def mirror_(pixels: Tensor, chosen: Tensor) -> None:
    """Mirror the chosen (B,) of images (B, C, H, W) of bytes, left to right, in place.

    A row of whole words is mirrored by words, each with its bytes swapped: on a processor that is
    six times as fast as byte by byte.
    """
    if pixels.device.type == "cpu" and pixels.shape[-1] % WORD.itemsize == 0:
        words, where = pixels.numpy().view(WORD), chosen.numpy()
        words[where] = words[where][..., ::-1].byteswap()
    else:
        which = chosen.nonzero()[:, 0]
        pixels.index_copy_(0, which, pixels.index_select(0, which).flip(-1))
