"""Losses of residuals: their values, and one number for each example."""

import pytest
import torch

from diffx_core.objective.loss import LOSSES, huber, l1, l2

R = torch.tensor([[[3.0, -4.0]], [[0.0, 0.0]], [[1e-6, 1e-6]]], dtype=torch.float64)


def test_the_values():
    assert l2(R).tolist() == pytest.approx([12.5, 0, 1e-12], rel=1e-15)
    assert l1(R).tolist() == pytest.approx([3.5, 0, 1e-6], rel=1e-15)
    assert [*LOSSES] == ["l2", "l1", "huber"]


@pytest.mark.parametrize("c", [0.00054, 0.3])
def test_huber_is_the_loss_of_the_paper_by_the_root_of_the_dimension(c):
    """iCT: sqrt(|r|^2 + C^2) - C with C = c sqrt(d)."""
    r = torch.randn(5, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    root = 192**0.5
    paper = ((r.flatten(1) ** 2).sum(1) + (c * root) ** 2).sqrt() - c * root
    torch.testing.assert_close(huber(r, c), paper / root, rtol=1e-12, atol=0)


def test_huber_is_quadratic_for_small_and_linear_for_large_residuals():
    value = huber(R, 0.00054)
    assert float(value[2]) == pytest.approx(1e-12 / (2 * 0.00054), rel=1e-5)
    assert float(value[0]) == pytest.approx(12.5**0.5 - 0.00054, rel=1e-7)
    assert float(huber(R.float(), 0.00054)[2]) == pytest.approx(float(value[2]), rel=1e-5)
