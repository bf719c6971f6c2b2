"""The real examples of a run: what its samples are compared with, and what these are told."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, field, frozen
from torch import Tensor

from diffx_cli.evaluate.decoded import Decoded, Decoder, decoder_for
from diffx_cli.use.own_data import data_of
from diffx_cli.use.using import Used
from diffx_core.dataset import NO_LABEL, Dataset
from diffx_core.engine.ranks import Ranks
from diffx_metrics.features.seen import as_kept

BATCH = 256
"""Examples that are read at once."""


@frozen(eq=False)
class Reference:
    """The dataset that a model was trained on, or as much of it as is wanted.

    Args:
        source: it, as the model knows it.
        dataset: as it is measured.
        identity: what tells it from every other dataset.
        index: (M,) which examples are compared with.
        decoder: what makes the one of the other; None if they are the same.
    """

    source: Dataset
    dataset: Dataset
    identity: str
    index: Tensor
    decoder: Decoder | None = None
    _sum: Tensor = field(init=False, factory=lambda: torch.zeros(4, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.index)

    def fingerprint(self, ranks: Ranks) -> str:
        """The sum of the SHA-256 of all examples that these processes have read."""
        return bytes(ranks.total(self._sum).numpy().tobytes()).hex()

    def measured(self, x: Tensor) -> Tensor:
        """Samples (B, *shape) of the model in the form in which they are measured."""
        return as_kept(x if self.decoder is None else self.decoder(x), self.dataset.spec)

    def examples(self, share: range) -> Iterator[Tensor]:
        """Some of the examples, in parts (B, *shape), as files of them would be read."""
        for first in range(share.start, share.stop, BATCH):
            index = self.index[first : min(first + BATCH, share.stop)]
            x = as_kept(self.dataset.batch(index).x.cpu(), self.dataset.spec)
            for one in x.numpy():
                digest = bytearray(hashlib.sha256(one.tobytes()).digest())
                self._sum.add_(torch.frombuffer(digest, dtype=torch.int64))
            yield x

    def told(self, n: int, seed: int) -> dict[str, Any]:
        """What n samples are told: what was said of real examples, each time of one at random.

        Args:
            n: how many samples.
            seed: of the choice.
        """
        generator = torch.Generator().manual_seed(seed % 2**63)
        order = self.index[torch.randint(len(self.index), (n,), generator=generator)]
        spec, told = self.source.spec, dict[str, Any]()
        if spec.num_classes is None and not spec.captions and not spec.paired:
            return told
        parts = [self.source.batch(part) for part in order.split(BATCH)]
        if spec.captions:
            told["prompt"] = [text for part in parts for text in part.captions or ()]
        if spec.paired:
            told["image"] = torch.cat([one for p in parts if (one := p.cond.image) is not None])
        if spec.num_classes is not None:
            labels = [p.cond.label for p in parts]
            known = [one for one in labels if one is not None and (one != NO_LABEL).all()]
            if len(known) == len(labels):  # of data that lack some, none is asked for
                told["label"] = torch.cat(known).cpu().tolist()
        return told


def reference_of(model: Used, most: int, seed: int, vae: Path | None) -> Reference:
    """The data of a run, found again.

    Args:
        model: the run.
        most: how many examples are compared with, at most; they are chosen at random.
        seed: of the choice.
        vae: folder of the autoencoder by which latents are measured as images.

    Raises:
        ConfigError: the autoencoder does not suit.
        DataError: the data are gone, or are others than those that it was trained on.
    """
    dataset, saved = data_of(model)
    count = len(dataset)
    index = torch.arange(count)
    if count > most:
        generator = torch.Generator().manual_seed(seed % 2**63)
        index = torch.randperm(count, generator=generator)[:most].sort().values
    identity = json.dumps({**asdict(saved), "version": None}, sort_keys=True, default=str)
    decoder = decoder_for(dataset, vae, model.pipeline.device)
    if decoder is None:
        return Reference(dataset, dataset, identity, index)
    identity = f"{identity} decoded by {decoder.sha256}"
    return Reference(dataset, Decoded(dataset, decoder), identity, index, decoder)
