"""Images decoded once into files of bytes, with the facts that a pass over all of them gives.

Files: pixels.bin (N, C, H, W) uint8, labels.bin (N,) int64 if there are labels, captions.json
if there are texts, facts.json.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch
from attrs import field, frozen

from diffx_core import DataError, DataSpec
from diffx_datasets.keeping import fingerprint, kept, sums
from diffx_datasets.packed import Packed

Pixels = npt.NDArray[np.uint8]
FACTS = "facts.json"
VERSION = 1
"""Part of every fingerprint: raise it when the same source is decoded into other bytes."""
BYTES = 256
"""Values of a byte, which cover [-1, 1] at equal distances."""


@frozen(kw_only=True, eq=False)
class Source:
    """Images that can be decoded.

    Args:
        name: of the dataset.
        facts: what the decoded images are a function of, as JSON types.
        shape: (C, H, W) of each of them.
        num_classes: None without labels.
        images: decodes them, in their order, each with its label.
        skipped: is asked afterwards for one line about each image that was left out.
        captions: is asked afterwards for the texts about the images, if there are any.
        paired: whether what is decoded is (2 C, H, W): an image, and the one that it is told.
    """

    name: str
    facts: Mapping[str, object]
    shape: tuple[int, int, int]
    num_classes: int | None
    images: Callable[[], Iterator[tuple[Pixels, int | None]]]
    skipped: Callable[[], list[str]] = field(default=list)
    captions: Callable[[], list[str] | None] = lambda: None
    paired: bool = False

    @property
    def stored(self) -> tuple[int, int, int]:
        """The shape of what is decoded."""
        channels, height, width = self.shape
        return channels * (2 if self.paired else 1), height, width


def packed(source: Source, *, flip: bool) -> Packed:
    """The images of a source, memory-mapped; decoded now if they have never been.

    Args:
        source: where they come from.
        flip: whether training sees half of them mirrored.
    """
    facts = {"version": VERSION, "name": source.name, "shape": source.stored, **source.facts}
    folder = kept(source.name, facts, lambda empty: _decode(source, empty))
    said = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    count, shape = said["count"], tuple(said["shape"])
    # private mappings: pages are shared with every process that reads the same file
    pixels = torch.from_file(
        str(folder / "pixels.bin"), size=count * math.prod(shape), dtype=torch.uint8
    )
    classes, label = said["num_classes"], None
    if classes is not None:
        label = torch.from_file(str(folder / "labels.bin"), size=count, dtype=torch.int64)
    captions = None
    if (folder / "captions.json").exists():
        captions = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    spec = DataSpec(
        shape=source.shape,
        num_classes=classes,
        sigma_data=said["sigma_data"],
        value_range=(-1.0, 1.0),
        levels=BYTES,
        captions=captions is not None,
        paired=source.paired,
    )
    return Packed(
        pixels=pixels.view(count, *shape),
        label=label,
        facts=spec,
        flips=flip,
        captions=captions,
        fingerprint=fingerprint({one: sum_ for one, sum_ in sums(folder).items() if one != FACTS}),
    )


def _decode(source: Source, folder: Path) -> None:
    histogram = np.zeros(BYTES, dtype=np.int64)
    labels: list[int] = []
    count = 0
    with (folder / "pixels.bin").open("wb") as file:
        for pixels, label in source.images():
            _expect(source, pixels, label)
            _append(file, pixels)
            histogram += counted(pixels[: source.shape[0]])
            count += 1
            if label is not None:
                labels.append(label)
    if not count:
        raise DataError(f"{source.name}: there are no images")
    if labels:
        np.array(labels, dtype=np.int64).tofile(folder / "labels.bin")
    captions = source.captions()
    if captions is not None:
        (folder / "captions.json").write_text(json.dumps(captions), encoding="utf-8")
    said = {
        "count": count,
        "shape": source.stored,
        "num_classes": source.num_classes,
        "sigma_data": rms(histogram),
        "skipped": source.skipped(),
    }
    (folder / FACTS).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def counted(pixels: Pixels) -> npt.NDArray[np.int64]:
    """How often each value of a byte occurs."""
    return np.bincount(pixels.reshape(-1), minlength=BYTES)


def rms(histogram: npt.NDArray[np.int64]) -> float:
    """Root mean square about zero, of bytes on [-1, 1] by how often each occurs: exact."""
    value = np.arange(BYTES) / ((BYTES - 1) / 2) - 1
    return math.sqrt(float((histogram * value**2).sum() / histogram.sum()))


def _append(file: IO[bytes], pixels: Pixels) -> None:
    file.write(np.ascontiguousarray(pixels).data)


def _expect(source: Source, pixels: Pixels, label: int | None) -> None:
    if pixels.shape != source.stored or pixels.dtype != np.uint8:
        raise DataError(
            f"{source.name}: an image is {pixels.dtype} {pixels.shape}, not bytes {source.stored}"
        )
    classes = source.num_classes
    if (label is None) != (classes is None):
        raise DataError(f"{source.name}: has labels for some images only")
    if label is not None and classes is not None and not 0 <= label < classes:
        raise DataError(f"{source.name}: label {label} is not one of 0 to {classes - 1}")


def stamp(path: Path) -> tuple[str, int, int]:
    """What tells a file from another version of it: name, size and time of change."""
    state = os.stat(path)  # noqa: PTH116 - thrice as fast as Path.stat over a large folder
    return path.name, state.st_size, state.st_mtime_ns
