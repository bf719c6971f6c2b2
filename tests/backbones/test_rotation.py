"""Rotary positions: only differences of places are seen."""

import torch
from torch.testing import assert_close

from diffx_backbones.rotation import AxialRotation

ROWS, COLUMNS, SIZE = 5, 7, 16


def products(rotation, unplaced=0):
    """The products of one query with one key, each set on every place."""
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, SIZE, generator=generator, dtype=torch.float64)
    shape = (1, 1, ROWS * COLUMNS + unplaced, SIZE)
    return (rotation(q.expand(shape)) @ rotation(k.expand(shape)).mT)[0, 0]


def test_a_product_depends_on_the_difference_of_places_alone():
    rotation = AxialRotation(ROWS, COLUMNS, SIZE).double()
    table = products(rotation).view(ROWS, COLUMNS, ROWS, COLUMNS)
    # the table of cosines was rounded to float32
    assert_close(table[1:, :, 1:, :], table[:-1, :, :-1, :], atol=1e-5, rtol=0)
    assert_close(table[:, 1:, :, 1:], table[:, :-1, :, :-1], atol=1e-5, rtol=0)
    first = table[0, 0].flatten()
    assert torch.cdist(first[:, None], first[:, None]).fill_diagonal_(1).min() > 1e-6


def test_lengths_are_kept():
    x = torch.randn(2, 3, ROWS * COLUMNS, SIZE, dtype=torch.float64)
    turned = AxialRotation(ROWS, COLUMNS, SIZE).double()(x)
    assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-6, atol=0)
    assert not torch.equal(turned[:, :, 1], x[:, :, 1])


def test_tokens_without_a_place_are_not_turned():
    rotation = AxialRotation(ROWS, COLUMNS, SIZE, unplaced=2).double()
    x = torch.randn(1, 1, ROWS * COLUMNS + 2, SIZE, dtype=torch.float64)
    assert torch.equal(rotation(x)[:, :, :2], x[:, :, :2])
    assert_close(products(rotation, 2)[2:, 2:], products(AxialRotation(5, 7, SIZE).double()))


def test_bf16_stays_bf16():
    x = torch.randn(1, 1, ROWS * COLUMNS, SIZE, dtype=torch.bfloat16)
    assert AxialRotation(ROWS, COLUMNS, SIZE)(x).dtype == torch.bfloat16
