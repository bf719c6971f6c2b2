"""What a training step sees: times, noise and labels."""

import pytest
import torch

from diffx_core import PREDICTIONS, Batch, Condition, NetworkDenoiser
from diffx_core.objective import Objective
from diffx_core.objective.times import uniform_times
from diffx_core.options import ObjectiveOptions
from diffx_core.testing.oracle import ReferenceVE, ReferenceVP


@pytest.mark.parametrize("scheduler", [ReferenceVP(), ReferenceVE()], ids=["vp", "ve"])
@pytest.mark.parametrize("step", [0, 1, 17])
def test_the_times_of_a_step_are_one_in_each_part_of_the_process(scheduler, step):
    times = uniform_times(scheduler, 50, seed=0, step=step)
    share = (times - scheduler.t_min) / (scheduler.t_max - scheduler.t_min)
    assert (share * 50).floor().sort().values.tolist() == list(range(50))


def test_the_times_of_other_steps_and_seeds_differ():
    drawn = [uniform_times(ReferenceVP(), 4, *key) for key in ((0, 0), (0, 1), (1, 0))]
    assert not torch.isclose(drawn[0], drawn[1]).any()
    assert not torch.isclose(drawn[0], drawn[2]).any()


def test_a_single_time_is_uniform_over_the_process():
    drawn = torch.cat([uniform_times(ReferenceVE(), 1, 0, step) for step in range(2000)])
    assert float(drawn.mean()) == pytest.approx(0.5, abs=5 / (12 * 2000) ** 0.5)
    assert float(drawn.var()) == pytest.approx(1 / 12, rel=0.1)


def seen_at(step, seed=0, **options):
    """What the network is shown and told at a step."""
    seen = []

    def network(x, noise_label, cond):
        seen.append((x, noise_label, cond.label))
        return torch.zeros_like(x)

    denoiser = NetworkDenoiser(network, ReferenceVP(), PREDICTIONS["eps"])
    index = torch.arange(64)
    batch = Batch(torch.zeros(64, 2, dtype=torch.float64), Condition(index % 3), index)
    loss = Objective(ObjectiveOptions(**options), seed)(denoiser, batch, step)
    return (*seen[0], loss)


def test_a_step_can_be_repeated():
    assert all(torch.equal(a, b) for a, b in zip(seen_at(3), seen_at(3), strict=True))


@pytest.mark.parametrize(("step", "seed"), [(4, 0), (3, 1)], ids=["step", "seed"])
def test_noise_times_and_hidden_labels_change_with_step_and_seed(step, seed):
    x, t, label, _ = seen_at(3)
    other_x, other_t, other_label, _ = seen_at(step, seed)
    assert not torch.isclose(x / t[:, None], other_x / other_t[:, None]).all(1).any()
    assert not torch.equal(t, other_t)
    assert not torch.equal(label, other_label)


def test_no_label_is_hidden_without_dropout():
    assert seen_at(0, label_dropout=0.0)[2].tolist() == [i % 3 for i in range(64)]


def test_the_loss_of_silence_is_the_variance_of_the_target():
    """eps has unit variance: 128 numbers, so the mean of squares is 1 within 5 sqrt(2 / 128)."""
    assert float(seen_at(0)[3]) == pytest.approx(1.0, abs=5 * (2 / 128) ** 0.5)
