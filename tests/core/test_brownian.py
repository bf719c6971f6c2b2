"""Noise that is a path: unit variance, independent steps, and sums that do not depend on them."""

import itertools
import math

import pytest
import torch

from diffx_core import BrownianSource, NoiseSource, sample
from diffx_core.sampler import Plan
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM

COUNT = 4000
CUTS = [1.0, 0.83, 0.5, 0.31, 0.3, 0.02, 0.0]


def increments(cuts, count=COUNT, seed=0):
    source = BrownianSource(seed, range(count), dtype=torch.float64)
    return torch.stack(
        [source.normal((1,), i, span=span)[:, 0] for i, span in enumerate(itertools.pairwise(cuts))]
    )


def test_increments_are_standard_normal_and_independent():
    z = increments(CUTS)
    covariance = z @ z.T / COUNT
    error = 5 * math.sqrt(2 / COUNT)
    assert torch.allclose(covariance, torch.eye(len(z), dtype=z.dtype), atol=error)
    assert float(z.mean(1).abs().max()) < 5 / math.sqrt(COUNT)


@pytest.mark.parametrize("finer", [[1.0, 0.7, 0.31, 0.0], [1.0, 0.5, 0.25, 0.125, 0.0]])
def test_however_the_way_is_divided_the_sum_is_the_same(finer):
    (whole,) = increments([1.0, 0.0], count=8)
    lengths = torch.tensor([a - b for a, b in itertools.pairwise(finer)], dtype=torch.float64)
    assert torch.allclose((increments(finer, count=8) * lengths.sqrt()[:, None]).sum(0), whole)


def test_the_path_of_a_sample_does_not_depend_on_its_batch():
    alone = BrownianSource(0, [3], dtype=torch.float64).normal((5,), 0, span=(0.7, 0.2))
    batch = BrownianSource(0, range(6), dtype=torch.float64).normal((5,), 4, span=(0.7, 0.2))
    assert torch.equal(alone[0], batch[3])


def test_the_start_is_independent_noise():
    source = BrownianSource(0, range(4))
    assert source.normal((3,), -1).shape == (4, 3)
    assert not torch.equal(source.normal((3,), -1), source.normal((3,), 0, span=(1.0, 0.0)))


def test_samples_of_an_sde_converge_path_by_path():
    process = ReferenceVP()

    def at(steps, source):
        levels = torch.linspace(-4, 6, steps + 1, dtype=torch.float64)
        plan = Plan.of(process, process.time_of(levels), clean=False)
        denoiser = GaussianDenoiser(process)
        return sample(DDIM(eta=1.0), denoiser, (4,), noise=source, plan=plan)

    def gaps(kind):
        ends = [at(n, kind(0, range(16), dtype=torch.float64)) for n in (32, 64, 128, 256)]
        return [float((a - b).square().mean().sqrt()) for a, b in itertools.pairwise(ends)]

    path = gaps(BrownianSource)
    slope = math.log(path[0] / path[2]) / math.log(4)
    assert slope > 0.8  # strong order one: the noise of the reverse SDE is additive
    fresh = gaps(NoiseSource)
    assert fresh[2] > 0.5 * fresh[0]  # without a path there is only the law
