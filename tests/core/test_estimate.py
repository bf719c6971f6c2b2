"""An estimate mixes both ends of the path in one linear combination."""

import pytest
import torch

from diffx_core import Decoding, Estimate
from diffx_core.estimate import from_x0, score, velocity

X = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
F = torch.tensor([[0.3, 0.7], [-1.1, 0.2]], dtype=torch.float64)
NUMBERS = (0.8, -0.6, 0.6, 0.8)
AS_FLOATS = Decoding(*NUMBERS)
AS_TENSORS = Decoding(*(torch.full((2,), n, dtype=torch.float64) for n in NUMBERS))
FORMS = pytest.mark.parametrize("decoding", [AS_FLOATS, AS_TENSORS], ids=["floats", "tensors"])


@FORMS
def test_the_ends_are_linear_in_x_and_the_output(decoding):
    estimate = Estimate(X, F, decoding)
    assert torch.allclose(estimate.x0, 0.8 * X - 0.6 * F, rtol=1e-15)
    assert torch.allclose(estimate.eps, 0.6 * X + 0.8 * F, rtol=1e-15)


@FORMS
@pytest.mark.parametrize(("a", "b"), [(0.3, 0.9), (0.0, 2.0), (1.5, 0.0), (-1.0, 1.0)])
def test_mix_is_the_mixture_of_the_ends(decoding, a, b):
    estimate = Estimate(X, F, decoding)
    assert torch.allclose(estimate.mix(a, b), a * estimate.x0 + b * estimate.eps, atol=1e-14)


@FORMS
@pytest.mark.parametrize(("a", "b"), [(0.3, 0.9), (0.0, 2.0), (1.5, 0.0), (-1.0, 1.0)])
def test_a_mixture_can_be_added_and_may_take_memory_that_is_free(decoding, a, b):
    estimate, total, free = Estimate(X, F, decoding), torch.ones_like(X), torch.empty_like(X)
    expected = estimate.mix(a, b)
    assert torch.allclose(estimate.add_to(total, a, b), 1 + expected, atol=1e-14)
    found = estimate.mix(a, b, out=free)
    assert torch.equal(found, expected)
    assert (found.data_ptr() == free.data_ptr()) == (decoding is AS_FLOATS)


@FORMS
@pytest.mark.parametrize(("a", "b"), [(0.3, 0.9), (0.0, 2.0), (1.5, 0.0), (-1.0, 1.0)])
def test_a_mixture_up_to_a_factor_is_the_mixture(decoding, a, b):
    estimate, free = Estimate(X, F, decoding), torch.empty_like(X)
    for out in (None, free):
        found, factor = estimate.along(a, b, out=out)
        assert torch.allclose(factor * found, estimate.mix(a, b), atol=1e-14)
    assert (found.data_ptr() == free.data_ptr()) == (decoding is AS_FLOATS)


@pytest.mark.parametrize("end", ["x0", "eps"])
def test_an_end_that_is_the_output_itself_is_kept_as_a_copy(end):
    """A network may return the same memory again, with other numbers in it."""
    of_x0 = float(end == "x0")
    decoding = Decoding(0.0, 1.0, 2.0, -1.0) if of_x0 else Decoding(2.0, -1.0, 0.0, 1.0)
    found, factor = Estimate(X, F, decoding).along(of_x0, 1 - of_x0)
    assert torch.equal(factor * found, F)
    assert found.data_ptr() != F.data_ptr()


def test_memory_is_left_alone_where_a_gradient_is_wanted():
    x = X.clone().requires_grad_()
    free = torch.empty_like(X)
    Estimate(x, F, AS_FLOATS).mix(1.0, 0.0, out=free).sum().backward()
    assert torch.allclose(x.grad, torch.full_like(X, AS_FLOATS.x0_x))


def test_an_end_of_weight_zero_is_not_read_even_if_it_is_infinite():
    blind = Estimate(X, F, Decoding(float("inf"), float("-inf"), 0.0, 1.0))
    assert torch.equal(blind.mix(0.0, 2.0), 2 * F)


def test_mixing_leaves_x_and_the_output_alone():
    x, f = X.clone(), F.clone()
    Estimate(x, f, AS_FLOATS).mix(0.5, 0.5)
    assert torch.equal(x, X)
    assert torch.equal(f, F)


@FORMS
def test_halves_cut_the_batch_in_two(decoding):
    first, second = Estimate(X, F, decoding).halves()
    whole = Estimate(X, F, decoding)
    assert torch.equal(torch.cat([first.x0, second.x0]), whole.x0)
    assert torch.equal(torch.cat([first.eps, second.eps]), whole.eps)


def test_an_estimate_from_x0_reproduces_x():
    estimate = from_x0(X, F, 0.8, 0.6)
    assert torch.equal(estimate.x0, F)
    assert torch.allclose(0.8 * estimate.x0 + 0.6 * estimate.eps, X, atol=1e-15)


def test_score_and_velocity_are_mixtures():
    estimate = Estimate(X, F, AS_FLOATS)
    assert torch.allclose(score(estimate, 0.5), -estimate.eps / 0.5)
    assert torch.allclose(velocity(estimate, -1.0, 1.0), estimate.eps - estimate.x0, atol=1e-15)
