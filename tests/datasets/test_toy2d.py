"""The distributions in the plane, held against their formulas."""

import math

import pytest
import torch

from diffx_datasets.toy2d import Toy2D

KINDS = ["moons", "swiss_roll", "checkerboard", "rings", "gaussians"]


def points(kind, **options):
    toy = Toy2D(kind=kind, **{"points": 3000, "noise": 0.0} | options)
    batch = toy.batch(torch.arange(len(toy)))
    return batch.x.double(), batch.cond.label


@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_the_rms_is_one(kind):
    x, _ = points(kind, points=200_000)
    # four standard errors of the worst kind
    assert x.square().mean().sqrt().item() == pytest.approx(1, abs=4e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_the_standard_deviation_that_was_asked_for(kind):
    n, noise = 100_000, 0.3
    quiet = points(kind, points=n, seed=5)[0]
    loud = points(kind, points=n, seed=5, noise=noise)[0]
    # four standard errors of a standard deviation over 2 n values
    assert (loud - quiet).std().item() == pytest.approx(noise, rel=4 / math.sqrt(4 * n))


@pytest.mark.parametrize("kind", ["swiss_roll", "checkerboard", "rings", "moons"])
def test_another_seed_draws_other_points(kind):
    assert not torch.equal(points(kind, seed=1)[0], points(kind, seed=2)[0])


@pytest.mark.parametrize(("kind", "classes"), [("moons", 2), ("rings", 3), ("gaussians", 8)])
def test_classes_are_balanced(kind, classes):
    _, label = points(kind, points=2400)
    assert label.bincount().tolist() == [2400 // classes] * classes


def test_the_checkerboard_stays_on_its_squares():
    x, _ = points("checkerboard")
    square = ((x / math.sqrt(3) + 1) * 2).floor()
    assert square.min() == 0
    assert square.max() == 3
    assert not (square.sum(dim=1) % 2).any()


def test_the_checkerboard_uses_all_of_its_squares_alike():
    n = 80_000
    x, _ = points("checkerboard", points=n)
    column, row = ((x / math.sqrt(3) + 1) * 2).floor().long().unbind(dim=1)
    count = (4 * row + column).bincount(minlength=16)
    used = count[count > 0]
    assert len(used) == 8
    # five standard deviations of a binomial count
    assert (used - n / 8).abs().max() < 5 * math.sqrt(n / 8 * 7 / 8)


def test_a_ring_has_one_radius_per_class():
    x, label = points("rings")
    radius = x.norm(dim=1)
    first = radius[label == 0].mean()
    torch.testing.assert_close(radius, first * (label + 1), atol=1e-5, rtol=0)


def test_gaussians_sit_at_the_corners_of_an_octagon():
    x, label = points("gaussians")
    angle = label * math.pi / 4
    corner = math.sqrt(2) * torch.stack([angle.cos(), angle.sin()], dim=1)
    torch.testing.assert_close(x, corner.double(), atol=1e-6, rtol=0)


def test_a_moon_is_half_a_circle_and_the_other_its_mirror_image():
    x, label = points("moons", points=20_000)
    lower, upper = -x[label == 1], x[label == 0]
    centre = torch.tensor([-0.5, -0.25]).double()
    scale = (upper[:, 0].max() - upper[:, 0].min()) / 2
    for moon in (upper, lower):
        circle = moon / scale - centre
        assert (circle.norm(dim=1) - 1).abs().max() < 1e-3
        assert circle[:, 1].min() > -1e-3


def test_the_swiss_roll_grows_with_its_angle():
    x, _ = points("swiss_roll")
    radius = x.norm(dim=1)
    turned = torch.atan2(x[:, 1], x[:, 0])
    angle = radius / radius.max() * 4.5 * math.pi
    # the outermost of 3000 points is within a thousandth of the end
    assert torch.cos(angle - turned).min() > 0.99


@pytest.mark.parametrize(
    "options",
    [{"kind": "spiral"}, {"points": 0}, {"seed": -1}, {"noise": -0.1}],
    ids=lambda options: next(iter(options)),
)
def test_options_out_of_bounds_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Toy2D(**options)
