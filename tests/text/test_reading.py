"""Captions are read by workers, and encoded where the model is."""

import os

import pytest
import torch
from attrs import field, frozen

from diffx_backbones.text.bytes import Bytes
from diffx_core import Batch, Dataset, DataSpec, EncodedCaptions
from diffx_core.engine.order import DataOrder
from diffx_core.engine.reading import read_ahead


@frozen(kw_only=True)
class Captioned(Dataset):
    """Numbers with a text that tells the step and the process."""

    streams: bool = True
    spec = DataSpec((1,), captions=True)

    def __len__(self):
        return 20

    def batch(self, index):
        return self.augmented(index, seed=0, step=0)

    def augmented(self, index, *, seed, step):
        texts = [f"{number} at {step}" for number in index.tolist()]
        return Batch(torch.full((len(index), 1), float(os.getpid())), index=index, captions=texts)


@frozen(kw_only=True)
class Watched(Bytes):
    """An encoder that notes who asks it."""

    askers: set = field(factory=set)

    def encode(self, texts):
        self.askers.add(os.getpid())
        return super().encode(texts)


def read(streams, workers):
    encoder = Watched(length=12)
    data = EncodedCaptions(Captioned(streams=streams), encoder)
    steps = {"seed": 0, "device": torch.device("cpu"), "workers": workers}
    with read_ahead(data, DataOrder(20, 8), range(4), **steps) as batches:
        return list(batches), encoder.askers


@pytest.mark.parametrize("streams", [True, False])
def test_workers_read_and_the_process_that_trains_encodes(streams):
    batches, askers = read(streams, 2)
    readers = {int(one) for batch in batches for one in batch.x.flatten()}
    assert askers == {os.getpid()}
    assert (os.getpid() in readers) != streams
    for batch in batches:
        assert torch.equal(batch.cond.context, Bytes(length=12).encode(batch.captions).context)


def test_tokens_do_not_depend_on_the_workers():
    (alone, _), (many, _) = read(streams=True, workers=0), read(streams=True, workers=2)
    assert [one.captions for one in many] == [one.captions for one in alone]
    assert all(torch.equal(a.cond.mask, b.cond.mask) for a, b in zip(alone, many, strict=True))
