"""What the benchmark of loading compares is the same work: the same images and labels."""

import pytest
import torch

from loading import BATCH, ours, streamed, theirs, write


def in_order(batches):
    """All images as bytes with their labels, in an order of their own."""
    return sorted(
        (((one + 1) * 127.5).round().to(torch.uint8).numpy().tobytes(), int(k))
        for x, label in batches
        for one, k in zip(x, label, strict=True)
    )


@pytest.mark.slow
def test_both_deliver_the_same_images(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    folder = write(tmp_path / "images", BATCH)
    seen = in_order(ours(folder, flip=False)(0))
    assert len(seen) == BATCH
    assert seen == in_order(theirs(folder, flip=False, workers=0)(0))
    assert seen == in_order(streamed(folder, flip=False, workers=0)(0))
