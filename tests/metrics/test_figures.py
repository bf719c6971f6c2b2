"""The figures are those of closed forms, and of the definitions written out."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from diffx_core import INCEPTION
from diffx_metrics.frechet import Frechet, FrechetDino, frechet_distance
from diffx_metrics.inception_score import InceptionScore
from diffx_metrics.kid import KID
from diffx_metrics.prdc import PRDC
from diffx_metrics.sliced import SlicedWasserstein


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(seed, width):
    root = normal(seed, width, width)
    return root @ root.T


def test_the_distance_from_a_standard_normal_is_the_closed_form():
    mean, cov = normal(0, 6), covariance(1, 6)
    found = frechet_distance(torch.zeros(6).double(), torch.eye(6).double(), mean, cov)
    roots = torch.linalg.eigvalsh(cov).sqrt()
    assert found == pytest.approx(float(mean.square().sum() + (roots - 1).square().sum()), abs=1e-8)


def test_the_distance_does_not_depend_on_the_direction():
    one, other = (normal(0, 5), covariance(1, 5)), (normal(2, 5), covariance(3, 5))
    assert frechet_distance(*one, *other) == pytest.approx(frechet_distance(*other, *one), abs=1e-9)


@pytest.mark.parametrize(("count", "width"), [(500, 8), (20, 64)])  # also of covariances with holes
def test_nothing_is_far_from_itself(count, width):
    x = normal(0, count, width)
    assert Frechet().measure(x, x, seed=0)["FD"] < 1e-6


def test_the_bias_of_the_distance_falls_like_one_over_the_number():
    def mean(count):
        pairs = ((normal(2 * i, count, 8), normal(2 * i + 1, count, 8)) for i in range(40))
        return sum(Frechet().measure(*pair, seed=0)["FD"] for pair in pairs) / 40

    slope = math.log(mean(800) / mean(100)) / math.log(8)
    assert slope == pytest.approx(-1, abs=0.15)


def test_the_kernel_distance_has_no_bias():
    metric = KID(block=50)
    found = [
        metric.measure(normal(2 * i, 100, 8), normal(2 * i + 1, 100, 8), seed=i)["KID"]
        for i in range(100)
    ]
    mean, spread = torch.tensor(found).mean(), torch.tensor(found).std() / 10
    assert abs(mean) < 3 * spread


def test_the_kernel_distance_is_its_definition():
    a, b = normal(0, 4, 3), normal(1, 5, 3)

    def k(x, y):
        return (float(x @ y) / 3 + 1) ** 3

    same_a = sum(k(a[i], a[j]) for i in range(4) for j in range(4) if i != j) / 12
    same_b = sum(k(b[i], b[j]) for i in range(5) for j in range(5) if i != j) / 20
    across = sum(k(x, y) for x in a for y in b) / 20
    assert KID().measure(a, b, seed=0)["KID"] == pytest.approx(same_a + same_b - 2 * across)


class Largest(TorchDispatchMode):
    """Keeps how many numbers the largest tensor had that was made."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.numbers = max(self.numbers, found.numel())
        return found


def test_the_kernel_distance_of_few_from_many_holds_few_pairs_at_once():
    few, many = normal(0, 3, 2), normal(1, 2000, 2)
    with Largest() as largest:
        found = KID().measure(few, many, seed=0)["KID"]
    assert largest.numbers < 2000**2 / 3
    within = [((one @ one.T / 2 + 1) ** 3).fill_diagonal_(0) for one in (few, many)]
    same = within[0].sum() / 6 + within[1].sum() / (2000 * 1999)
    across = ((few @ many.T / 2 + 1) ** 3).mean()
    assert found == pytest.approx(float(same - 2 * across), rel=1e-12)


def test_a_score_counts_the_classes_that_are_there():
    sure = 100 * torch.eye(10)
    assert InceptionScore().measure(sure, sure, seed=0)["IS"] == pytest.approx(10)
    assert InceptionScore().measure(sure[:2], sure, seed=0)["IS"] == pytest.approx(2)
    assert InceptionScore().measure(torch.zeros(5, 10), sure, seed=0)["IS"] == pytest.approx(1)


def test_shares_tell_what_is_missing_from_what_is_wrong():
    left, right = normal(0, 200, 4), normal(1, 200, 4) + 50
    both = torch.cat([left, right])
    half = PRDC().measure(normal(2, 200, 4), both, seed=0)  # half of the data was never made
    assert half["precision"] > 0.9
    assert half["recall"] < 0.6
    assert half["coverage"] < 0.6
    wrong = PRDC().measure(torch.cat([normal(2, 200, 4), normal(3, 200, 4) - 50]), left, seed=0)
    assert wrong["precision"] < 0.6
    assert wrong["recall"] > 0.9


def test_shares_of_an_example_with_itself_are_full():
    x = normal(0, 60, 4)
    found = PRDC(neighbours=3).measure(x, x, seed=0)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_the_distance_on_lines_of_a_shift_is_its_length_over_the_root_of_the_dimension():
    x = normal(0, 50, 16)
    shift = torch.zeros(16).double()
    shift[3] = 2.0
    found = SlicedWasserstein(lines=20_000).measure(x + shift, x, seed=0)["SW2"]
    assert found == pytest.approx(2 / 4, rel=0.03)


def test_examples_that_stand_for_several_are_the_same_as_several():
    a, b = normal(0, 20, 4), normal(1, 40, 4)
    twice = SlicedWasserstein().measure(a.repeat_interleave(2, 0), b, seed=1)
    assert SlicedWasserstein().measure(a, b, seed=1)["SW2"] == pytest.approx(twice["SW2"])


@pytest.mark.parametrize(
    ("metric", "name"), [(Frechet(), "FID"), (KID(), "KID"), (InceptionScore(), "IS")]
)
def test_a_name_of_the_literature_is_for_its_features_alone(metric, name):
    (figure,) = metric.figures
    assert metric.called(figure, INCEPTION) == name
    assert metric.called(figure, "rand-conv,seed=0") == f"{figure}[rand-conv,seed=0]"


def test_a_distance_that_is_defined_on_certain_features_says_so():
    assert (Frechet().features, FrechetDino().features) == (None, "dinov2")
