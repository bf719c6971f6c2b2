"""What holds for every dataset of the package."""

import pickle

import pytest
import torch
from attrs import evolve
from attrs.exceptions import FrozenInstanceError


def test_the_samples_have_the_shape_that_the_spec_says(dataset, everything):
    assert everything.x.shape == (len(dataset), *dataset.spec.shape)
    assert everything.x.dtype == torch.float32


def test_sigma_data_is_the_measured_rms(dataset, everything):
    rms = everything.x.double().square().mean().sqrt().item()
    assert dataset.spec.sigma_data == pytest.approx(rms, rel=1e-6)  # floats of bytes are rounded


def test_the_values_stay_in_their_range(dataset, everything):
    low, high = dataset.spec.value_range or (-10.0, 10.0)
    assert low <= everything.x.min() < everything.x.max() <= high


def test_every_class_occurs_and_no_other(dataset, everything):
    if dataset.spec.num_classes is None:
        assert everything.cond.label is None
    else:
        assert everything.cond.label.unique().tolist() == list(range(dataset.spec.num_classes))


def test_labels_are_int64(dataset, everything):
    label = everything.cond.label
    assert label is None or label.dtype == torch.int64


def test_a_batch_is_a_pure_function_of_its_index(dataset, everything):
    index = torch.tensor([5, 1, 5, 17])
    batch = dataset.batch(index)
    assert torch.equal(batch.index, index)
    assert torch.equal(batch.x, everything.x[index])
    if batch.cond.label is not None:
        assert torch.equal(batch.cond.label, everything.cond.label[index])


def test_a_batch_can_be_changed_without_changing_the_data(dataset):
    index = torch.tensor([0, 1])
    before = dataset.batch(index).x.clone()
    dataset.batch(index).x.zero_()
    assert torch.equal(dataset.batch(index).x, before)


def test_a_second_one_with_the_same_options_delivers_the_same(dataset, everything):
    other = evolve(dataset)
    assert other == dataset
    assert torch.equal(other.batch(everything.index).x, everything.x)


def test_a_pickled_one_delivers_the_same(dataset, everything):
    other = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(other.batch(everything.index).x, everything.x)


@pytest.mark.parametrize("index", [-1, 100_000])
def test_there_is_nothing_outside_the_data(dataset, index):
    with pytest.raises(IndexError):
        dataset.batch(torch.tensor([index]))


def test_global_random_numbers_are_left_alone(dataset):
    before = torch.get_rng_state()
    evolve(dataset).batch(torch.tensor([0]))
    assert torch.equal(torch.get_rng_state(), before)


def test_options_are_frozen(dataset):
    with pytest.raises(FrozenInstanceError):
        dataset.size = 3
