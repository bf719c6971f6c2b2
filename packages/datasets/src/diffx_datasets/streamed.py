"""Images that are read and decoded for each batch, because too many to be kept decoded.

The facts about them are measured on evenly spaced ones. An image that cannot be used, if that is
allowed, is replaced by the next one that can: so every process sees the same data, in as many
steps. Shapes: x (B, C, H, W), index (B,).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from diffx_core import Batch, DataError, Dataset, DataSpec, Finish, Read
from diffx_datasets.decoding import UnreadableError
from diffx_datasets.examples import BatchWithout, Examples, LeftOut, each, usable
from diffx_datasets.keeping import fingerprint, kept
from diffx_datasets.packed import at, batch_of, finished, mirror_, mirrored, within
from diffx_datasets.packing import BYTES, FACTS, VERSION, Pixels, counted, rms

LOOKED_AT = 1024
"""How many images sigma_data is measured on, at most."""


@frozen(kw_only=True, eq=False)
class Streamed(Dataset):
    """Images where they lie.

    Args:
        examples: the images.
        left_out: those that were found to be bad; each process has its own, and that of the one
            that trains learns of all.
        facts: about the images, as they are delivered.
        fingerprint: of how many there are, of those that were looked at, and of what is said
            of them.
        flips: whether training sees half of them mirrored, left to right.
    """

    examples: Examples = field(repr=False)
    left_out: LeftOut = field(repr=False)
    facts: DataSpec
    fingerprint: str
    flips: bool = False

    @property
    def spec(self) -> DataSpec:
        """The facts about the images."""
        return self.facts

    @property
    def streams(self) -> bool:
        """A batch takes reading and decoding."""
        return True

    def __len__(self) -> int:
        return len(self.examples.readable)

    def batch(self, index: Tensor) -> Batch:
        """The images (B, C, H, W) at the (B,) positions `index`."""
        return self.finish(self._batch(index, None))

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The same, half of them mirrored if asked for: which, is keyed by seed, index and step."""
        return self.finish(self.read(index, seed=seed, step=step))

    def read(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The same as bytes: a quarter of what has to cross from a worker."""
        within(index, len(self))
        return self._batch(index, mirrored(index, seed, step) if self.flips else None)

    def in_two(self) -> tuple[Read, Finish]:
        """Workers read bytes, of which floats are made on the device."""
        return self.read, self.finish

    def finish(self, batch: Batch) -> Batch:
        """A batch of bytes as floats; what was replaced in it is counted here, in one process."""
        self.left_out.learn(batch)
        return finished(batch)

    def _batch(self, index: Tensor, flipped: Tensor | None) -> Batch:
        within(index, len(self))
        readable = self.examples.readable
        replaced: dict[int, str] = {}
        found = [
            usable(position, readable.pixels, readable, self.left_out, replaced)
            for position in index.tolist()
        ]
        pixels = torch.from_numpy(np.stack([one for _, one in found]))
        if flipped is not None:
            mirror_(pixels, flipped)
        label = self.examples.label
        told = None if label is None else torch.from_numpy(label[[k for k, _ in found]])
        captions = at(self.examples.captions, [k for k, _ in found])
        batch = batch_of(pixels, index, told, captions, self.facts)
        return BatchWithout(batch.x, batch.cond, index, captions, replaced)


def streamed(examples: Examples, left_out: LeftOut, *, flip: bool) -> Streamed:
    """The images, with their facts, which are measured now if they have never been.

    Args:
        examples: the images.
        left_out: what to do about bad ones.
        flip: whether training sees half of them mirrored.
    """
    facts = {"streamed": True, "shape": examples.shape, **examples.facts}
    count = len(examples.readable)
    seen = looked_at(
        facts,
        count,
        left_out,
        lambda: (one for _, one in each(examples.readable, evenly(count), left_out)),
        channels=examples.shape[0],
    )
    spec = DataSpec(
        shape=examples.shape,
        num_classes=examples.num_classes,
        sigma_data=seen.sigma_data,
        value_range=(-1.0, 1.0),
        levels=BYTES,
        captions=examples.captions is not None,
        paired=examples.paired,
    )
    return Streamed(
        examples=examples,
        left_out=left_out,
        facts=spec,
        fingerprint=_with_words(seen.fingerprint, examples, left_out),
        flips=flip,
    )


def _with_words(of_images: str, examples: Examples, left_out: LeftOut) -> str:
    """The fingerprint of images, of all their labels, and of the texts about those looked at."""
    facts: dict[str, object] = {}
    if examples.label is not None:
        facts["labels"] = hashlib.sha256(examples.label.tobytes()).hexdigest()
    if examples.captions is not None:
        facts["captions"] = list(_texts(examples, examples.captions, left_out))
    return fingerprint({"images": of_images, **facts}) if facts else of_images


def _texts(examples: Examples, captions: Sequence[str], left_out: LeftOut) -> Iterator[str]:
    for k in evenly(len(examples.readable)):
        if k not in left_out.reasons:
            try:
                yield captions[k]
            except UnreadableError as error:
                left_out.add(k, f"{examples.readable.place(k)}: {error}")


def evenly(count: int) -> list[int]:
    """Evenly spaced positions of so many, at most `LOOKED_AT`."""
    return [int(one) for one in np.linspace(0, count - 1, min(count, LOOKED_AT))]


@frozen
class Seen:
    """What looking at some images has told.

    Args:
        sigma_data: root mean square of their values.
        fingerprint: of their bytes, and of how many there are in all.
    """

    sigma_data: float
    fingerprint: str


def looked_at(
    facts: Mapping[str, object],
    count: int,
    left_out: LeftOut,
    images: Callable[[], Iterator[Pixels]],
    *,
    channels: int,
) -> Seen:
    """What some images tell about all of them; they are looked at once.

    Args:
        facts: what the images are a function of.
        count: of all images.
        left_out: learns of the bad ones that were found then.
        images: the images to look at.
        channels: of an image; more belong to the image that it is told.

    Raises:
        DataError: none of them can be used.
    """
    bad = (left_out.on_bad, left_out.max_bad)
    all_facts = {"version": VERSION, **facts, "bad": bad}
    folder = kept(
        left_out.name, all_facts, lambda empty: _look(images(), left_out, empty, channels)
    )
    said = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    left_out.reasons.update({int(k): reason for k, reason in said["skipped"].items()})
    return Seen(said["sigma_data"], fingerprint({"count": count, "seen": said["sha256"]}))


def _look(images: Iterator[Pixels], left_out: LeftOut, folder: Path, channels: int) -> None:
    histogram, digest = np.zeros(BYTES, dtype=np.int64), hashlib.sha256()
    for pixels in images:
        histogram += counted(pixels[:channels])
        digest.update(np.ascontiguousarray(pixels).data)
    if not histogram.any():
        raise DataError(f"{left_out.name}: there are no images that can be used")
    said = {
        "sigma_data": rms(histogram),
        "sha256": digest.hexdigest(),
        "skipped": left_out.reasons,
    }
    (folder / FACTS).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
