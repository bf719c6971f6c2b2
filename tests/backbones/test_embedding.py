"""Noise levels and classes, as vectors."""

import math

import pytest
import torch
from torch.testing import assert_close

from diffx_backbones.embedding import ClassEmbedding, ConditionEmbedding, NoiseEmbedding, Sinusoids
from diffx_core import NO_LABEL, Condition


def test_frequencies_fall_geometrically_from_one():
    expected = [10_000 ** (-k / 4) for k in range(4)]
    assert NoiseEmbedding(8, Sinusoids(8)).frequency.tolist() == pytest.approx(expected)


def test_frequencies_follow_the_period_and_the_scale():
    embedding = NoiseEmbedding(8, Sinusoids(8, 16.0, 3.0))
    assert embedding.frequency.tolist() == pytest.approx([3, 1.5, 0.75, 0.375])


def test_neighbouring_noise_levels_are_told_apart():
    torch.manual_seed(0)
    embedding = NoiseEmbedding(32)
    h = embedding(torch.arange(1001.0))
    distance = torch.cdist(h, h).fill_diagonal_(math.inf)
    assert distance.min() > 1e-3


def test_every_class_has_a_row_and_so_has_no_label():
    embedding = ClassEmbedding(3, 4)
    rows = embedding(torch.tensor([NO_LABEL, 0, 1, 2]))
    assert torch.equal(rows, embedding.table.weight)


def test_noise_and_class_are_added():
    torch.manual_seed(0)
    embedding = ConditionEmbedding(8, num_classes=3).double()
    noise_label, label = torch.tensor([10.0, 700.0]).double(), torch.tensor([2, NO_LABEL])
    h = embedding.noise(noise_label) + embedding.classes(label)
    told = embedding(noise_label, Condition(label=label))
    assert_close(told, torch.nn.functional.silu(h))


def test_the_noise_level_is_read_in_float32_when_the_weights_are_bf16():
    torch.manual_seed(0)
    embedding = NoiseEmbedding(16).bfloat16()
    h = embedding(torch.tensor([999.0, 1000.0]))
    assert h.dtype == torch.bfloat16
    assert not torch.equal(h[0], h[1])
