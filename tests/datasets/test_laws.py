"""What holds for every dataset of the package, beyond the laws of the conformance kit."""

import pickle

import pytest
import torch
from attrs import evolve
from attrs.exceptions import FrozenInstanceError


def test_every_class_occurs_and_no_other(dataset, everything):
    if dataset.spec.num_classes is None:
        assert everything.cond.label is None
    else:
        assert everything.cond.label.unique().tolist() == list(range(dataset.spec.num_classes))


def test_a_second_one_with_the_same_options_is_equal(dataset):
    assert evolve(dataset) == dataset


def test_a_pickled_one_delivers_the_same(dataset, everything):
    other = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(other.batch(everything.index).x, everything.x)


def test_options_are_frozen(dataset):
    with pytest.raises(FrozenInstanceError):
        dataset.size = 3
