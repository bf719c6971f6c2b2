"""The handwritten digits."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from diffx_core import DataError
from diffx_datasets.digits import Digits


def images(**options):
    digits = Digits(**options)
    return digits.batch(torch.arange(len(digits)))


def test_there_are_1797():
    assert len(Digits()) == 1797


def test_at_their_own_size_the_pixels_are_the_grey_levels():
    grey = (images(size=8).x + 1) * 8
    assert np.array_equal(grey.numpy().reshape(-1, 64), load_digits().data)


def test_labels_belong_to_their_images():
    assert np.array_equal(images(size=8).cond.label.numpy(), load_digits().target)


@pytest.mark.parametrize("size", [4, 16, 32])
def test_other_sizes_keep_the_mean_brightness(size):
    mean = images(size=8).x.mean((1, 2, 3))
    # clamping takes from the overshoot of strokes; 0.2 of a range of 2
    assert (images(size=size).x.mean((1, 2, 3)) - mean).abs().max() < 0.2


def test_a_doubled_image_shows_the_same_digit():
    small, large = images(size=8).x.flatten(1), images(size=16).x
    seen = torch.nn.functional.avg_pool2d(large, 2).flatten(1)
    nearest = torch.cdist(seen, small).argmin(dim=1)
    assert torch.equal(nearest, torch.arange(1797))


@pytest.mark.parametrize("size", [3, 129])
def test_sizes_out_of_bounds_are_refused(size):
    with pytest.raises(ValueError, match=str(size)):
        Digits(size=size)


def test_an_unreadable_file_is_a_data_error_with_its_cause(monkeypatch):
    def broken(**_):
        raise FileNotFoundError("digits.csv.gz")

    monkeypatch.setattr("sklearn.datasets.load_digits", broken)
    with pytest.raises(DataError, match=r"digits\.csv\.gz.*reinstall scikit-learn"):
        len(Digits())
