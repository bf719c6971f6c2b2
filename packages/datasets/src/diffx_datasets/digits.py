"""The handwritten digits that come with scikit-learn: real data that need no download.

1797 images of 8x8 pixels in 17 grey levels, resized once with an antialiased bicubic filter and
kept in memory.
"""

from functools import cached_property

import torch
from attrs import field, frozen
from attrs.validators import and_, ge, le
from torch import Tensor
from torch.nn.functional import interpolate

from diffx_core import Batch, DataError, Dataset, DataSpec
from diffx_datasets.resident import Resident

WHITE = 16
"""The brightest of the grey levels, which start at 0."""

SIDE = 8
"""Pixels of a side of the images as they are; others are resized, and have values in between."""


@frozen(kw_only=True)
class Digits(Dataset):
    """1797 handwritten digits with labels 0 to 9: bright strokes (1) on dark ground (-1).

    Args:
        size: side of the images in pixels; 8 delivers them as they are.

    References:
        Alpaydin and Kaynak, 1998, Optical Recognition of Handwritten Digits
            (doi:10.24432/C50P49).
    """

    size: int = field(default=16, validator=and_(ge(4), le(128)))

    @cached_property
    def _resident(self) -> Resident:
        image, label = _read()
        return Resident(x=_resized(image, self.size), label=label)

    @cached_property
    def spec(self) -> DataSpec:
        """The facts about the images, of which sigma_data is measured."""
        return DataSpec(
            shape=(1, self.size, self.size),
            num_classes=10,
            sigma_data=self._resident.rms,
            value_range=(-1.0, 1.0),
            levels=WHITE + 1 if self.size == SIDE else None,
        )

    def __len__(self) -> int:
        return len(self._resident)

    def batch(self, index: Tensor) -> Batch:
        """The images (B, 1, size, size) at the (B,) positions `index`."""
        return self._resident.batch(index)


def _read() -> tuple[Tensor, Tensor]:
    """Images (N, 1, 8, 8) in [-1, 1] and labels (N,)."""
    from sklearn.datasets import load_digits  # draws random numbers if rich is installed

    try:
        grey, label = load_digits(return_X_y=True)
    except (OSError, ValueError) as error:
        raise DataError(
            f"digits: the file inside scikit-learn cannot be read ({error}); reinstall scikit-learn"
        ) from error
    image = torch.from_numpy(grey).float().view(-1, 1, SIDE, SIDE)
    return image / (WHITE / 2) - 1, torch.from_numpy(label).long()


def _resized(image: Tensor, size: int) -> Tensor:
    """Images of another size; bicubic filters overshoot, so values are clamped to [-1, 1]."""
    if image.shape[-1] == size:
        return image
    resized = interpolate(
        image, size=(size, size), mode="bicubic", antialias=True, align_corners=False
    )
    return resized.clamp(-1, 1)
