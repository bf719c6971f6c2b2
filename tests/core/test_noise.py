"""Noise is a pure function of its key."""

import os

import numpy as np
import pytest
import torch

from diffx_core import BrownianSource, ConfigError, NoiseSource
from diffx_core.noise import fill, key, keys


def test_the_noise_of_a_sample_does_not_depend_on_its_batch():
    alone = NoiseSource(7, [5]).normal((3, 4), step=2)
    batch = NoiseSource(7, [9, 5, 0]).normal((3, 4), step=2)
    assert torch.equal(alone[0], batch[1])


@pytest.mark.parametrize(
    "other",
    [
        NoiseSource(8, [5]).normal((64,), 2),
        NoiseSource(7, [6]).normal((64,), 2),
        NoiseSource(7, [5]).normal((64,), 3),
        NoiseSource(7, [5]).normal((64,), 2, substep=1),
        NoiseSource(7, [5], "other").normal((64,), 2),
    ],
    ids=["seed", "index", "step", "substep", "purpose"],
)
def test_every_part_of_the_key_matters(other):
    assert not torch.isclose(NoiseSource(7, [5]).normal((64,), 2), other).any()


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    NoiseSource(0, range(3)).normal((2,), 0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_neighbouring_keys_are_uncorrelated_and_normal():
    draws = NoiseSource(0, range(20000), dtype=torch.float64).normal((16,), 0)
    standard_error = 20000**-0.5
    assert draws.mean(0).abs().max() < 5 * standard_error
    assert (draws.var(0) - 1).abs().max() < 5 * 2**0.5 * standard_error
    assert (draws[1:] * draws[:-1]).mean(0).abs().max() < 5 * standard_error


def test_uniform_numbers_fill_the_unit_interval():
    draws = NoiseSource(0, range(10000)).uniform(0)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(float(draws.mean()) - 0.5) < 5 / (12 * 10000) ** 0.5


def test_streams_whose_keys_share_their_lower_half_differ():
    """torch's generator reads 32 bits of a seed; these two would be the same image."""
    first, second = key(0, "sample", 22133, -1, 0), key(0, "sample", 24481, -1, 0)
    assert first % 2**32 == second % 2**32
    noise = NoiseSource(0, [22133, 24481]).normal((64,), -1)
    assert not torch.isclose(noise[0], noise[1]).any()


def test_keys_read_long_names_to_the_end():
    assert key("a long purpose: one") != key("a long purpose: two")
    assert key("ab") != key("ba")
    assert key(1, 2) != key(2, 1)
    assert 0 <= key(-1) < 2**64


@pytest.mark.parametrize("seed", [0, -3, 2**63 + 5])
def test_many_keys_at_once_are_the_keys_one_by_one(seed):
    at_once = keys((seed, "a long purpose"), range(-1, 500), (-1, 2**40))
    assert at_once.tolist() == [key(seed, "a long purpose", i, -1, 2**40) for i in range(-1, 500)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_differ_to_the_last_bit(dtype):
    draws = NoiseSource(0, range(4096), dtype=dtype).uniform(0)
    bits = 24 if dtype == torch.float32 else 53
    odd = (draws * 2.0**bits).fmod(2).double()  # whole numbers; the last bit of each
    assert set(odd.tolist()) == {0.0, 1.0}
    assert abs(float(odd.mean()) - 0.5) < 5 / (2 * 64)


def filled(images, threads):
    rows = np.empty((images, 3, 64, 64), dtype=np.float32)
    fill(rows, keys((3,), range(images), (7,)), threads)
    return rows


@pytest.mark.parametrize("images", [1, 5, 64])
def test_more_threads_draw_the_same_noise(images):
    alone = filled(images, 1)
    assert np.isfinite(alone).all()
    for threads in (2, 3):
        assert np.array_equal(filled(images, threads), alone)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_draws_noise_with_threads_of_its_own():
    expected = filled(64, 2)  # with threads of this process
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, b"same" if np.array_equal(filled(64, 2), expected) else b"different")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 9) == b"same"


@pytest.mark.parametrize("kind", [NoiseSource, BrownianSource])
@pytest.mark.parametrize("number", [np.int64, np.uint64, torch.tensor])
def test_whole_numbers_of_other_libraries_make_the_same_noise(kind, number):
    wanted = kind(3, [0, 1, 2]).normal((4,), 0)
    assert torch.equal(kind(number(3), np.arange(3)).normal((4,), 0), wanted)
    assert torch.equal(kind(3, torch.arange(3)).normal((4,), 0), wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, range(2)), "seed must be a whole number, got 0.5"),
        ((None, range(2)), "seed must be a whole number, got None"),
        ((0, [0, 1.5]), "index must be a whole number, got 1.5"),
        ((0, 3), "indices must be one whole number for each sample, got 3"),
    ],
)
def test_what_is_no_whole_number_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        NoiseSource(*arguments)


@pytest.mark.parametrize("indices", [torch.tensor(3), np.array(3), torch.zeros(2, 2, dtype=int), 3])
def test_indices_are_one_number_for_each_sample(indices):
    with pytest.raises(ConfigError, match="one whole number for each sample"):
        NoiseSource(0, indices)


@pytest.mark.parametrize("indices", [torch.zeros(2), np.array([0.5]), [True], torch.tensor([True])])
def test_indices_are_whole_numbers(indices):
    with pytest.raises(ConfigError, match="index must be a whole number"):
        NoiseSource(0, indices)
