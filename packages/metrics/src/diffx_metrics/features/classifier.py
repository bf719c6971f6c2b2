"""A small classifier that is trained on real examples alone, for its features and its opinion.

It is trained in the same way every time, by a seed of its own, and kept in the cache for the next
time. Some examples are held back, to say how often it is right.
"""

from itertools import pairwise
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy, group_norm, silu

from diffx_core import NO_LABEL, Dataset, DataSpec
from diffx_metrics.features.seen import Features, Seen, as_kept

WIDTHS = (16, 32, 64)
POOLED = 2
"""Pixels of a side of what is left of the image in the end."""
FEATURES = 64
SIDE = 32
"""Pixels of a side of the images that it sees, at most; larger ones are averaged down."""
SEED = 0
BATCH = 128
RATE = 4e-3
EPOCHS, LEAST, MOST = 50, 300, 3000
"""It is trained for so many epochs, though not for fewer or more steps than that."""
HELD_BACK, MOST_HELD_BACK = 6, 5000
"""One in so many examples is held back, and no more than so many in all."""
SHIFT = 8
"""Images are moved by up to one part in so many of their side, so that it does not matter."""


class Network(nn.Module):
    """Three convolutions, a line to the features, and one from there to the classes."""

    def __init__(self, channels: int, classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        sizes = enumerate(pairwise((channels, *WIDTHS)))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(into, out, 3, padding=1, stride=1 if i == 0 else 2, device="meta")
            for i, (into, out) in sizes
        )
        self.inner = nn.Linear(WIDTHS[-1] * POOLED**2, FEATURES, device="meta")
        self.last = nn.Linear(FEATURES, classes, device="meta")

    def begin(self, generator: torch.Generator) -> "Network":
        """Draw the weights, of variance 2 over what each sums up."""
        self.to_empty(device="cpu")
        for one in (*self.convolutions, self.inner, self.last):
            weight, bias = one.weight, one.bias
            assert isinstance(weight, Tensor)
            assert isinstance(bias, Tensor)
            nn.init.kaiming_normal_(weight, generator=generator)
            nn.init.zeros_(bias)
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 64) and logits (B, K) of images (B, C, H, W)."""
        h = x * self.scale
        if max(h.shape[2:]) > SIDE:
            h = adaptive_avg_pool2d(h, SIDE)
        for one in self.convolutions:
            h = silu(group_norm(one(h), 8))
        features = silu(self.inner(adaptive_avg_pool2d(h, POOLED).flatten(1)))
        return features, self.last(features)


@frozen(kw_only=True, eq=False)
class Classifier(Features):
    """A classifier that has been trained.

    Args:
        network: it.
        digest: SHA-256 of its weights.
        accuracy: how often it is right about real examples with a label that it was not trained on.
        held_back: how many of these there are.
    """

    network: Network
    digest: str
    accuracy: float
    held_back: int

    @property
    def name(self) -> str:
        """By its weights."""
        return f"classifier,{self.digest[:8]}"

    @property
    def facts(self) -> dict[str, Any]:
        """The weights, and how often it is right."""
        return {"sha256": self.digest, "accuracy": self.accuracy, "held_back": self.held_back}

    @property
    def knows_classes(self) -> bool:
        """It does."""
        return True

    @torch.no_grad()
    def see(self, x: Tensor) -> Seen:
        """The features (B, 64) of images, and the logits of their classes."""
        device = next(self.network.parameters()).device
        features, logits = self.network(x.to(device).float())
        return Seen(features.cpu(), logits.cpu())


@frozen(eq=False)
class Trained:
    """What came of training.

    Args:
        network: with its weights.
        accuracy: on what was held back.
        held_back: how many examples that was.
    """

    network: Network
    accuracy: float
    held_back: int


def new_network(spec: DataSpec) -> Network:
    """A network for data, without weights."""
    return Network(spec.shape[0], spec.num_classes or 1, 1 / spec.sigma_data)


def train(dataset: Dataset, device: torch.device) -> Trained:
    """A network that has learned the classes of a dataset.

    Args:
        dataset: of images with labels.
        device: where it learns.
    """
    generator = torch.Generator().manual_seed(SEED)
    order = torch.randperm(len(dataset), generator=generator)
    held_back = order[: min(MOST_HELD_BACK, len(order) // HELD_BACK)]
    rest = order[len(held_back) :]
    network = new_network(dataset.spec).begin(generator).to(device)
    steps = min(MOST, max(LEAST, EPOCHS * len(rest) // BATCH))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / steps)
        places = torch.randint(len(rest), (min(BATCH, len(rest)),), generator=generator)
        x, label = _read(dataset, rest[places], device)
        logits = network(_moved(x, generator))[1]
        # a mean over those that have a label, of which there may be none
        total = cross_entropy(logits, label, ignore_index=NO_LABEL, reduction="sum")
        loss = total / (label != NO_LABEL).sum().clamp_min(1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Trained(network.eval(), _accuracy(network, dataset, held_back, device), len(held_back))


def _read(dataset: Dataset, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    batch = dataset.batch(index).to(device)
    label = batch.cond.label
    if label is None:  # nothing in this batch has one
        label = torch.full((len(batch.x),), NO_LABEL, device=device)
    return as_kept(batch.x, dataset.spec), label


def _moved(x: Tensor, generator: torch.Generator) -> Tensor:
    most = min(x.shape[2:]) // SHIFT
    by = torch.randint(-most, most + 1, (2,), generator=generator).tolist()
    return x.roll((int(by[0]), int(by[1])), (2, 3))


@torch.no_grad()
def _accuracy(network: Network, dataset: Dataset, index: Tensor, device: torch.device) -> float:
    right, known = 0, 0
    for some in index.split(BATCH):
        x, label = _read(dataset, some, device)
        right += int((network(x)[1].argmax(1) == label).sum())
        known += int((label != NO_LABEL).sum())
    return right / max(1, known)
