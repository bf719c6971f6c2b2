"""Times that follow the loss: unbiased by construction, less noisy by measurement."""

import pytest
import torch

from diffx_core import (
    PREDICTIONS,
    Batch,
    Condition,
    ConfigError,
    NetworkDenoiser,
    Objective,
)
from diffx_core.objective.histogram import Adaptive, Importance
from diffx_core.options import ObjectiveOptions
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP

SHARES = torch.linspace(0, 1, 4001, dtype=torch.float64)
KINDS = ["adaptive", "importance"]


def peak(v):
    """A loss that is large at a few levels: a hundred times its least value."""
    return 0.05 + 5 * torch.exp(-(((v - 0.3) / 0.06) ** 2))


def learned(kind, steps=400):
    """A histogram that has seen the loss `peak`."""
    edges = torch.linspace(0, 1, 41, dtype=torch.float64) ** 1.5
    histogram = {"adaptive": Adaptive, "importance": Importance}[kind](edges)
    for step in range(steps):
        u = (torch.arange(32, dtype=torch.float64) + (step * 0.618) % 1) / 32
        v = histogram.quantile(u)
        histogram.observe(v, peak(v))
    return histogram


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_and_shares_are_inverse(kind):
    histogram = learned(kind)
    torch.testing.assert_close(
        histogram.cdf(histogram.quantile(SHARES)), SHARES, rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        histogram.quantile(histogram.cdf(SHARES)), SHARES, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_add_up(kind):
    histogram = learned(kind)
    assert float(histogram.masses.sum()) == pytest.approx(1, abs=1e-12)
    middles = (histogram.edges[1:] + histogram.edges[:-1]) / 2
    densities = histogram.masses / histogram.edges.diff()
    torch.testing.assert_close(histogram.ratio(middles), densities, rtol=1e-12, atol=0)


def moments(histogram):
    """Mean and mean square of loss / ratio over draws, exactly: 200 midpoints in each bin."""
    inside = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    v = histogram.edges[:-1, None] + histogram.edges.diff()[:, None] * inside
    mass = histogram.masses[:, None] / 200
    corrected = peak(v) / histogram.ratio(v.flatten()).reshape(v.shape)
    return float((mass * corrected).sum()), float((mass * corrected**2).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_the_expected_loss_stays_and_its_noise_falls(kind):
    """The variance of this loss is 1.6 times its squared mean; bins leave a tenth of it at most."""
    fresh, trained = learned(kind, steps=0), learned(kind)
    mean, square = moments(fresh)
    assert moments(trained)[0] == pytest.approx(mean, rel=1e-12)
    assert moments(trained)[1] - mean**2 < 0.15 * (square - mean**2)


def test_adaptive_draws_in_proportion_to_the_loss():
    """With 10% of all draws uniform; within a bin the loss changes, so up to a tenth."""
    histogram = learned("adaptive", steps=2000)
    middles = (histogram.edges[1:] + histogram.edges[:-1]) / 2
    width = histogram.edges.diff()
    expected = 0.9 * peak(middles) / (peak(middles) * width).sum() + 0.1
    torch.testing.assert_close(histogram.ratio(middles), expected, rtol=0.12, atol=0)


def test_a_bin_that_nothing_was_seen_of_is_taken_for_an_average_one():
    histogram = Adaptive(torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64), floor=0.0)
    histogram.observe(torch.tensor([0.1, 0.4]), torch.tensor([1.0, 3.0], dtype=torch.float64))
    assert histogram.weights().tolist() == pytest.approx([1.0, 3.0, 2.0])


def test_the_moving_average_forgets_with_its_own_draws():
    histogram = Adaptive(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), decay=0.9)
    low, high = torch.full((3,), 0.2), torch.full((1,), 0.8)
    for loss in (1.0, 2.0):
        histogram.observe(low, torch.full((3,), loss, dtype=torch.float64))
    histogram.observe(high, torch.tensor([7.0], dtype=torch.float64))
    kept = 0.9**3
    expected = (kept * (1 - kept) * 1 + (1 - kept) * 2) / (kept * (1 - kept) + 1 - kept)
    assert histogram.weights().tolist() == pytest.approx([expected, 7.0])


def test_importance_is_uniform_until_every_history_is_full():
    histogram = Importance(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    low, high = torch.full((10,), 0.2), torch.full((10,), 0.8)
    histogram.observe(low, torch.full((10,), 9.0, dtype=torch.float64))
    histogram.observe(high[:9], torch.full((9,), 1.0, dtype=torch.float64))
    assert histogram.masses.tolist() == [0.5, 0.5]
    histogram.observe(high[:1], torch.full((1,), 1.0, dtype=torch.float64))
    # Root mean squares 9 and 1, a thousandth of all draws uniform.
    assert histogram.masses.tolist() == pytest.approx([0.999 * 0.9 + 5e-4, 0.999 * 0.1 + 5e-4])


def test_importance_remembers_the_last_ten_losses():
    histogram = Importance(torch.tensor([0.0, 1.0], dtype=torch.float64))
    losses = torch.arange(1, 14, dtype=torch.float64)
    histogram.observe(torch.full((13,), 0.5), losses)
    expected = losses[3:].square().mean().sqrt()
    torch.testing.assert_close(histogram.weights(), expected[None])


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_not_finite_spoils_nothing(kind):
    histogram = learned(kind)
    before = histogram.masses.clone()
    bad = torch.tensor([float("nan"), float("inf")], dtype=torch.float64)
    histogram.observe(torch.tensor([0.1, 0.2]), bad)
    assert torch.equal(histogram.masses, before)


def test_losses_that_vanish_leave_the_draws_uniform():
    histogram = Adaptive(torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64))
    histogram.observe(torch.tensor([0.1, 0.9]), torch.zeros(2, dtype=torch.float64))
    assert histogram.masses.tolist() == [0.25, 0.75]


class Wrong(torch.nn.Module):
    """A network whose errors depend on the noise level."""

    def forward(self, x, noise_label, cond):
        return 3 * torch.exp(-(((noise_label - 400) / 100) ** 2)).to(x.dtype)[:, None].expand_as(x)


def objective_on(process, seed=0, **options):
    denoiser = NetworkDenoiser(Wrong(), process, PREDICTIONS["v"])
    return Objective(ObjectiveOptions(prediction="v", **options), seed), denoiser


def batch(n=64):
    source = torch.Generator().manual_seed(0)
    return Batch(torch.randn(n, 4, dtype=torch.float64, generator=source), Condition())


@pytest.mark.parametrize("base", ["uniform", "log_normal_sigma"])
@pytest.mark.parametrize("weighting", ["snr", "likelihood"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_objective_learns_where_the_loss_is(process, kind, weighting, base):
    objective, denoiser = objective_on(process, times=kind, weighting=weighting, times_base=base)
    before = objective.density(process).cdf(process.time_of(torch.zeros(1, dtype=torch.float64)))
    losses = [float(objective(denoiser, batch(128))) for _ in range(60)]
    after = objective.density(process)
    assert all(0 <= loss < float("inf") for loss in losses)
    assert float(after.cdf(torch.tensor([process.t_max], dtype=torch.float64))) == 1
    found = after.cdf(process.time_of(torch.zeros(1, dtype=torch.float64)))
    assert float(found - before) != 0


def test_equal_processes_share_what_was_learned_and_others_are_refused():
    objective, denoiser = objective_on(ReferenceVP(), times="adaptive")
    for _ in range(3):
        equal = NetworkDenoiser(denoiser.backbone, ReferenceVP(), denoiser.prediction)
        objective(equal, batch())
    learned = objective.get_extra_state()["losses"]
    assert int((learned["seen"] > 0).sum()) > 10
    other = NetworkDenoiser(denoiser.backbone, ReferenceVE(), denoiser.prediction)
    with pytest.raises(ConfigError, match=r"follow the losses of ReferenceVP.* of its own"):
        objective(other, batch())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "scheduler", [ReferenceVP(), ReferenceVE(), ReferenceFlow()], ids=["vp", "ve", "flow"]
)
def test_the_mean_loss_is_that_of_uniform_times_with_less_noise(scheduler, kind):
    """Independent times; 300 batches, after 100 to learn from: within four standard errors."""

    def measured(times):
        objective, denoiser = objective_on(scheduler, times=times, low_discrepancy=False)
        losses = [objective.terms(denoiser, batch(), step).loss for step in range(400)]
        return torch.stack(losses[100:]).flatten()

    plain, following = measured("uniform"), measured(kind)
    error = (plain.var() / len(plain) + following.var() / len(following)).sqrt()
    assert float((plain.mean() - following.mean()).abs()) < 4 * float(error)
    assert float(following.var()) < 0.8 * float(plain.var())


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_objective_goes_on_as_if_nothing_had_happened(kind):
    options = {"times": kind, "times_base": "log_normal_sigma"}
    whole, denoiser = objective_on(ReferenceVP(), **options)
    first, _ = objective_on(ReferenceVP(), **options)
    for _ in range(20):
        whole(denoiser, batch())
        first(denoiser, batch())
    second, _ = objective_on(ReferenceVP(), **options)
    second.load_state_dict(first.state_dict())
    # Again, before it has seen a process.
    third, _ = objective_on(ReferenceVP(), **options)
    third.load_state_dict(second.state_dict())
    for _ in range(5):
        assert whole(denoiser, batch()) == third(denoiser, batch())


def test_the_state_of_another_process_is_refused():
    objective, denoiser = objective_on(ReferenceVP(), times="adaptive")
    objective(denoiser, batch())
    other, elsewhere = objective_on(ReferenceVE(), times="adaptive")
    other.load_state_dict(objective.state_dict())
    with pytest.raises(ConfigError, match="belongs to another process"):
        other(elsewhere, batch())


def test_a_look_in_eval_mode_teaches_nothing():
    objective, denoiser = objective_on(ReferenceVP(), times="adaptive")
    for step in range(3):
        objective(denoiser, batch(), step)
    before = objective.state_dict()["_extra_state"]
    objective.eval()
    for step in range(3, 6):
        objective(denoiser, batch(), step)
    after = objective.state_dict()["_extra_state"]
    assert before["steps"] == after["steps"]
    assert all(torch.equal(one, after["losses"][name]) for name, one in before["losses"].items())
