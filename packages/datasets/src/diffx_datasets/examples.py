"""Images that are decoded one by one, and what becomes of those that cannot be."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from diffx_core import Batch, DataError
from diffx_datasets.decoding import UnreadableError
from diffx_datasets.packing import Pixels
from diffx_datasets.waiting import waiting

AT_ONCE = 256
"""Images that are in memory together while many are decoded."""
THREADS = 8
OnBad = Literal["error", "skip"]
log = logging.getLogger(__name__)


class Readable(Protocol):
    """Images by their position, each of which can be read alone, in any process."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def pixels(self, position: int) -> Pixels:
        """The image, or an `UnreadableError` with the reason why there is none."""
        ...

    def place(self, position: int) -> str:
        """Where it is, for messages."""
        ...


@frozen(kw_only=True, eq=False)
class Examples:
    """A dataset of images as it lies on disk; nothing of it has been decoded.

    Args:
        name: of the dataset.
        facts: what the images are a function of, as JSON types.
        shape: (C, H, W) of each of them.
        readable: reads them.
        label: (N,) int64 class labels, or None.
        num_classes: None without labels.
        captions: N texts, or None.
        paired: whether what is read is (2 C, H, W): an image, and the one that it is told.
    """

    name: str
    facts: Mapping[str, object]
    shape: tuple[int, int, int]
    readable: Readable
    label: npt.NDArray[np.int64] | None = None
    num_classes: int | None = None
    captions: Sequence[str] | None = None
    paired: bool = False


@define
class LeftOut:
    """The images that cannot be used, by position, and how many of them may be left out.

    Args:
        name: of the dataset.
        count: of its images.
        on_bad: whether to stop at the first one.
        max_bad: share of the images that may be left out, but one may always be.
        reasons: why each of them is left out.
        told: those that a warning has named.
    """

    name: str
    count: int
    on_bad: OnBad
    max_bad: float
    reasons: dict[int, str] = field(factory=dict)
    told: set[int] = field(factory=set)

    def add(self, position: int, reason: str) -> None:
        """Leave one out.

        Raises:
            DataError: there may be none, or not so many.
        """
        if self.on_bad == "error":
            raise DataError(
                f"{self.name}: {reason}; remove the file, or leave it out with"
                " --dataset.on_bad skip"
            )
        self.reasons[position] = reason
        allowed = max(1, math.floor(self.max_bad * self.count))
        if len(self.reasons) > allowed:
            raise DataError(
                f"{self.name}: {len(self.reasons)} files cannot be used, {allowed} may be left"
                f" out; the last is {reason}; --dataset.max_bad sets the share"
            )

    def learn(self, batch: Batch) -> None:
        """Count what was replaced in a batch, whichever process has read it, and warn once of each.

        Raises:
            DataError: there may not be so many.
        """
        replaced = batch.replaced if isinstance(batch, BatchWithout) else {}
        new = {position: why for position, why in replaced.items() if position not in self.told}
        for position, reason in new.items():
            self.add(position, reason)
        self.told.update(new)
        if new:
            log.warning(
                "%s: put others in the place of %d of %d files so far; now of %s",
                self.name,
                len(self.told),
                self.count,
                "; ".join(new.values()),
            )


@frozen(eq=False)
class BatchWithout(Batch):
    """A batch, and the images that it should have had: so the process that trains learns of them.

    Args:
        replaced: why each of them cannot be used, by position.
    """

    replaced: Mapping[int, str] = field(factory=dict)


def usable(
    position: int,
    read: Callable[[int], Pixels],
    readable: Readable,
    left_out: LeftOut,
    replaced: dict[int, str],
) -> tuple[int, Pixels]:
    """The image at a position, or else of the first one after it that can be used, and which.

    Args:
        position: of the image.
        read: gives the image at a position, or an `UnreadableError`.
        readable: says how many there are and where.
        left_out: learns of those that cannot be used.
        replaced: is told which ones were passed over, and why, whether they were known or not.

    Raises:
        DataError: none can be used, or too many cannot.
    """
    for k in range(position, position + len(readable)):
        at = k % len(readable)
        if at not in left_out.reasons:
            try:
                return at, read(at)
            except UnreadableError as error:
                left_out.add(at, f"{readable.place(at)}: {error}")
        replaced[at] = left_out.reasons[at]
    raise DataError(f"{left_out.name}: there are no images that can be used")


def each(
    readable: Readable, positions: Sequence[int], left_out: LeftOut
) -> Iterator[tuple[int, Pixels]]:
    """The images at some positions, each with its own, without those that are left out."""

    def read(position: int) -> Pixels | UnreadableError:
        try:
            return readable.pixels(position)
        except UnreadableError as error:
            return error

    starts = waiting(range(0, len(positions), AT_ONCE), f"{left_out.name}: images", AT_ONCE)
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
        for first in starts:
            some = positions[first : first + AT_ONCE]
            for position, one in zip(some, threads.map(read, some), strict=True):
                if isinstance(one, UnreadableError):
                    left_out.add(position, f"{readable.place(position)}: {one}")
                else:
                    yield position, one
    if left_out.reasons:
        log.warning(
            "%s: left out %d of %d files", left_out.name, len(left_out.reasons), left_out.count
        )
