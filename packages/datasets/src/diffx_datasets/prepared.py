"""Datasets whose files are made into something faster, which then does everything."""

from abc import abstractmethod

import torch
from torch import Tensor

from diffx_core import Batch, Dataset, DataSpec


class Prepared(Dataset):
    """A dataset that speaks for another one, made of its files when it is first asked."""

    @property
    @abstractmethod
    def held(self) -> Dataset:
        """What the files were made into; always the same object."""

    @property
    def spec(self) -> DataSpec:
        """The facts about the data, of which sigma_data is measured."""
        return self.held.spec

    @property
    def streams(self) -> bool:
        """Whether a batch takes reading and decoding."""
        return self.held.streams

    @property
    def fingerprint(self) -> str:
        """What tells the data from others of the same options."""
        return self.held.fingerprint

    def __len__(self) -> int:
        return len(self.held)

    def batch(self, index: Tensor) -> Batch:
        """The examples at the (B,) positions `index`."""
        return self.held.batch(index)

    def augmented(self, index: Tensor, *, seed: int, step: int) -> Batch:
        """The same, half of them mirrored if asked for."""
        return self.held.augmented(index, seed=seed, step=step)

    def on(self, device: torch.device | str) -> Dataset:
        """The same data on a device, if they fit there."""
        return self.held.on(device)
