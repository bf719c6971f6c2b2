"""The laws of datasets find what they are there to find."""

from functools import cached_property

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

from diffx_core import Batch, Condition, Dataset, DataSpec
from diffx_core.testing import DATASET_LAWS

LAWS = {law.name: law for law in DATASET_LAWS}
N = 32


@frozen
class Unsaveable(DataSpec):
    """Facts with more to them than is written down."""


@frozen(kw_only=True)
class Small(Dataset):
    """Points in 256 levels, and a way to go wrong."""

    bug: str = ""

    @cached_property
    def points(self):
        random = np.random.default_rng(None if self.bug == "other" else 0)
        level = torch.from_numpy(random.integers(0, 256, (N, 4)))
        return (level / 127.5 - 1).float()

    @property
    def spec(self):
        sigma = self.points.double().square().mean().sqrt().item()
        kind = Unsaveable if self.bug == "unsaveable" else DataSpec
        return kind(
            shape=(4,),
            num_classes=2,
            sigma_data=sigma * (1.01 if self.bug == "sigma" else 1),
            value_range=(-1, 1),
            levels=255 if self.bug == "levels" else 256,
            captions=self.bug != "unsaid",
            paired=self.bug != "told",
        )

    def __deepcopy__(self, memo):
        return Small(bug="other" if self.bug == "copied" else self.bug)

    @property
    def fingerprint(self):
        return str(id(self)) if self.bug == "restamped" else ""

    def __len__(self):
        return N

    def batch(self, index):
        if self.bug != "outside" and (index.min() < 0 or index.max() >= N):
            raise IndexError("outside")
        index = index % N
        x = self.points if self.bug == "shared" and len(index) == N else self.points[index]
        x = x[: len(index)]
        label = index % 2 + (self.bug == "labels")
        match self.bug:
            case "shape":
                x = x[:, :3]
            case "type":
                x = x.double()
            case "range":
                x = x * 1.01
            case "nan":
                x = x.clone().index_fill_(0, torch.tensor(0), torch.nan)
            case "company":
                x = x + len(x) % 2 * 2 / 255
            case "random":
                torch.rand(1)
            case "unlabelled":
                label = None
        image = -x[:, :2] if self.bug == "misfit" else None if self.bug == "alone" else -x
        captions = [f"point {number}" for number in index.tolist()]
        match self.bug:
            case "uncaptioned":
                captions = None
            case "speechless":
                captions[0] = None
            case "cut":
                captions.pop()
            case "swapped":
                captions.sort()
        return Batch(x, Condition(label, image), None if self.bug == "lost" else index, captions)

    def augmented(self, index, *, seed, step):
        batch = self.batch(index)
        if self.bug == "drawn":
            x = torch.where(torch.rand(len(index), 1) < 0.5, batch.x, -batch.x)
            return Batch(x, batch.cond, index, batch.captions)
        changed = {
            "turned up": {"x": batch.x * 3},
            "made double": {"x": batch.x.double()},
            "divided": {"x": batch.x / 0},
            "renamed": {"cond": Condition(index % 2 + 2, -batch.x)},
            "unpaired": {"cond": Condition(index % 2)},
            "forgotten": {"index": None},
        }
        return evolve(batch, **changed.get(self.bug, {}))

    def in_two(self):
        if self.bug != "parted":
            return super().in_two()
        return self.augmented, lambda batch: evolve(batch, x=-batch.x)

    def on(self, device):
        return Small(bug="range") if self.bug == "moved" else self


FOUND = {
    "sigma": "sigma_data is the root mean square of the values",
    "levels": "values are at their levels",
    "outside": "there is nothing outside of the data",
    "labels": "labels are int64 from 0 to num_classes - 1, if there are any",
    "unlabelled": "labels are int64 from 0 to num_classes - 1, if there are any",
    "shape": "examples have the shape that the facts say, in float32",
    "type": "examples have the shape that the facts say, in float32",
    "range": "values stay within their range",
    "nan": "all values are finite",
    "company": "an example is the same in any batch",
    "random": "global random numbers are left alone",
    "unsaid": "captions are one text for each example, if the facts say so",
    "uncaptioned": "captions are one text for each example, if the facts say so",
    "speechless": "captions are one text for each example, if the facts say so",
    "cut": "captions are one text for each example, if the facts say so",
    "swapped": "an example is the same in any batch",
    "alone": "each example has an image of its shape, if and only if the facts say so",
    "misfit": "each example has an image of its shape, if and only if the facts say so",
    "told": "each example has an image of its shape, if and only if the facts say so",
    "unpaired": "each example has an image of its shape, if and only if the facts say so",
    "turned up": "values stay within their range",
    "made double": "examples have the shape that the facts say, in float32",
    "divided": "all values are finite",
    "renamed": "labels are int64 from 0 to num_classes - 1, if there are any",
    "forgotten": "a batch says which examples it has",
    "unsaveable": "the facts survive being saved",
    "copied": "a copy gives the same data",
    "lost": "a batch says which examples it has",
    "drawn": "what training sees depends on seed, index and step alone",
    "moved": "the data are the same on their device",
    "parted": "read and then finished, it is what training sees",
    "restamped": "the same options give the same data",
    "other": "the same options give the same data",
}


@pytest.mark.parametrize("law", DATASET_LAWS, ids=str)
def test_a_dataset_without_faults_obeys(law):
    assert law.check(Small()).measured


@pytest.mark.parametrize("bug", FOUND)
def test_a_fault_is_found(bug):
    with pytest.raises(AssertionError, match=r"^Small: "):
        LAWS[FOUND[bug]].check(Small(bug=bug))


def test_every_law_finds_a_fault():
    shown_below = "a batch can be changed without changing the data"
    assert {*FOUND.values(), shown_below} == {*LAWS}


def test_what_is_handed_out_must_not_be_the_data_themselves():
    class Sharing(Small):
        def batch(self, index):
            return Batch(x=self.points[: len(index)], index=index)

    with pytest.raises(AssertionError, match="without changing the data"):
        LAWS["a batch can be changed without changing the data"].check(Sharing())


def test_an_empty_dataset_is_said_to_be_empty():
    class Empty(Small):
        def __len__(self):
            return 0

    with pytest.raises(AssertionError, match="empty"):
        LAWS["all values are finite"].check(Empty())
