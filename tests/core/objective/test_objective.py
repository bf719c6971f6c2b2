"""What a training step sees: times, noise and labels, the same whoever computes it."""

import itertools

import pytest
import torch

from diffx_core import PREDICTIONS, Batch, Condition, ConfigError, NetworkDenoiser, Part
from diffx_core.objective import Objective
from diffx_core.options import ObjectiveOptions
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP


class Silent:
    """A network that says nothing, and remembers what it was shown."""

    def __init__(self):
        self.seen = []

    def __call__(self, x, noise_label, cond):
        self.seen.append((x, noise_label, cond.label))
        return torch.zeros_like(x)


def silent(scheduler=None, prediction="eps"):
    return NetworkDenoiser(Silent(), scheduler or ReferenceVP(), PREDICTIONS[prediction])


def batch_of(n, first=0):
    index = torch.arange(first, first + n)
    return Batch(torch.zeros(n, 2, dtype=torch.float64), Condition(index % 3), index)


def times_of(scheduler, n, step, seed=0, **options):
    objective = Objective(ObjectiveOptions(times="uniform", **options), seed)
    return objective.terms(silent(scheduler), batch_of(n), step).t


@pytest.mark.parametrize("scheduler", [ReferenceVP(), ReferenceVE()], ids=["vp", "ve"])
@pytest.mark.parametrize("step", [0, 1, 17])
def test_the_times_of_a_step_are_one_in_each_part_of_the_process(scheduler, step):
    times = times_of(scheduler, 50, step)
    share = (times - scheduler.t_min) / (scheduler.t_max - scheduler.t_min)
    assert (share * 50).floor().sort().values.tolist() == list(range(50))


def test_independent_times_are_not_spread_over_the_process():
    times = times_of(ReferenceVE(), 50, 0, low_discrepancy=False)
    # 50 draws miss each of 50 parts with probability (1 - 1/50)^50 = 0.36
    assert len((times * 50).floor().unique()) < 45


def test_the_times_of_other_steps_and_seeds_differ():
    drawn = [times_of(ReferenceVP(), 4, *key) for key in ((0, 0), (1, 0), (0, 1))]
    assert not torch.isclose(drawn[0], drawn[1]).any()
    assert not torch.isclose(drawn[0], drawn[2]).any()


@pytest.mark.parametrize("low_discrepancy", [True, False])
def test_a_single_time_is_uniform_over_the_process(low_discrepancy):
    one = [times_of(ReferenceVE(), 1, step, low_discrepancy=low_discrepancy) for step in range(900)]
    drawn = torch.cat(one)
    assert float(drawn.mean()) == pytest.approx(0.5, abs=5 / (12 * 900) ** 0.5)
    assert float(drawn.var()) == pytest.approx(1 / 12, rel=0.15)


def seen_at(step, seed=0, **options):
    """What the network is shown and told at a step."""
    denoiser = silent()
    loss = Objective(ObjectiveOptions(**options), seed)(denoiser, batch_of(64), step)
    return (*denoiser.backbone.seen[0], loss)


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


@pytest.mark.parametrize("low_discrepancy", [True, False])
@pytest.mark.parametrize("times", ["uniform", "log_normal_sigma", "adaptive"])
@pytest.mark.parametrize("cut", [(0, 8, 24), (0, 24), (0, 5, 6, 24)], ids=str)
def test_the_parts_of_a_batch_see_what_the_whole_batch_sees(cut, times, low_discrepancy):
    """However the batch is split over devices or micro-batches, up to rounding.

    The last bits differ, as torch computes the last few numbers of a tensor by other instructions.
    """
    options = ObjectiveOptions(times=times, low_discrepancy=low_discrepancy)
    whole, in_parts = Objective(options), Objective(options)
    denoiser = NetworkDenoiser(
        lambda x, label, cond: x + label[:, None], ReferenceFlow(), PREDICTIONS["flow"]
    )
    batch = batch_of(24)
    for step in range(3):
        expected = whole.terms(denoiser, batch, step)
        terms = [
            in_parts.terms(
                denoiser,
                Batch(batch.x[a:b], Condition(batch.cond.label[a:b]), batch.index[a:b]),
                step,
                part=Part(range(a, b), 24),
            )
            for a, b in itertools.pairwise(cut)
        ]
        for name in ("t", "log_snr", "loss"):
            got = torch.cat([getattr(one, name) for one in terms])
            assert torch.allclose(got, getattr(expected, name), rtol=1e-12), (step, name)


def test_a_part_has_places_within_its_batch():
    with pytest.raises(ConfigError, match=r"slots 2\.\.4 of a batch of 4"):
        Part([2, 4], 4)
    with pytest.raises(ConfigError, match="2 slots for a batch of 3"):
        Objective().terms(silent(), batch_of(3), 0, part=Part([0, 1], 4))


def test_steps_are_counted_when_nobody_says_them():
    counting, told = Objective(), Objective()
    for step in range(3):
        assert counting(silent(), batch_of(8)) == told(silent(), batch_of(8), step)


def test_nothing_is_counted_in_eval_mode():
    objective = Objective().eval()
    assert objective(silent(), batch_of(8)) == objective(silent(), batch_of(8))


def test_the_count_is_saved():
    objective, other = Objective(), Objective()
    objective(silent(), batch_of(8))
    other.load_state_dict(objective.state_dict())
    assert objective(silent(), batch_of(8)) == other(silent(), batch_of(8))
