"""Cutting images into patches, and putting them together."""

import torch

from diffx_backbones.patches import Patches
from diffx_core import DataSpec

PATCHES = Patches.of(DataSpec((2, 6, 9)), 3)
X = torch.arange(2 * 2 * 6 * 9).view(2, 2, 6, 9)


def test_a_patch_is_a_token_row_by_row():
    tokens = PATCHES.cut(X)
    assert tokens.shape == (2, PATCHES.rows * PATCHES.columns, PATCHES.size) == (2, 6, 18)
    assert torch.equal(tokens[1, 4].view(2, 3, 3), X[1, :, 3:, 3:6])


def test_what_was_cut_is_put_together():
    assert torch.equal(PATCHES.joined(PATCHES.cut(X)), X)
