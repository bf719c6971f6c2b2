"""The learned uncertainty: where it starts, where it ends up, and who optimises it."""

import pytest
import torch

from diffx_core import PREDICTIONS, Batch, NetworkDenoiser, Objective
from diffx_core.objective.uncertainty import Uncertainty
from diffx_core.options import ObjectiveOptions
from diffx_core.testing.oracle import ReferenceFlow


def nothing(x, noise_label, cond):
    return torch.zeros_like(x)


DENOISER = NetworkDenoiser(nothing, ReferenceFlow(), PREDICTIONS["flow"])
BATCH = Batch(torch.zeros(64, 3))


def test_it_is_zero_at_first_so_that_the_loss_is_the_plain_one():
    plain, learning = Objective(), Objective(ObjectiveOptions(uncertainty=True))
    assert torch.equal(plain(DENOISER, BATCH, 0), learning(DENOISER, BATCH, 0))


def test_its_parameters_are_those_of_the_objective():
    assert [*Objective().parameters()] == []
    assert [one.shape for one in Objective(ObjectiveOptions(uncertainty=True)).parameters()] == [
        (128,)
    ]


def test_times_follow_the_loss_that_is_left_when_levels_are_alike():
    """A hundred times as much loss at one end as at the other, which the uncertainty knows."""

    def steep(x, noise_label, cond):
        return x * (noise_label / 460).exp()[:, None]

    denoiser = NetworkDenoiser(steep, ReferenceFlow(), PREDICTIONS["flow"])
    batch = Batch(torch.zeros(128, 3))
    settings = {"prediction": "flow", "weighting": "flow", "uncertainty": True}
    spread = {}
    for times in ("uniform", "adaptive"):
        objective = Objective(ObjectiveOptions(times=times, low_discrepancy=False, **settings))
        optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
        for _ in range(400):
            objective(denoiser, batch).backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            losses = torch.stack([objective(denoiser, batch) for _ in range(200)])
        spread[times] = float(losses.std())
    assert spread["adaptive"] < 1.5 * spread["uniform"]


def test_its_optimum_is_the_logarithm_of_the_loss():
    """Of a loss that the noise level decides: 128 features fit a smooth function of it."""
    log_snr = torch.linspace(-8, 8, 200)
    loss = torch.exp(1.5 * (log_snr / 4).sin() - 1)
    uncertainty = Uncertainty(seed=0)
    optimizer = torch.optim.LBFGS(uncertainty.parameters(), max_iter=400, line_search_fn=None)

    def closure():
        optimizer.zero_grad()
        u = uncertainty(log_snr)
        total = ((-u).exp() * loss + u).mean()
        total.backward()
        return total

    optimizer.step(closure)
    found = uncertainty(log_snr).detach()
    assert float((found - loss.log()).abs().max()) < 0.1


def test_gradients_are_levelled():
    """At u = log E[loss], every level has the same share of the gradient: loss / E[loss]."""
    objective = Objective(ObjectiveOptions(uncertainty=True, times="uniform"))
    terms = objective.terms(DENOISER, BATCH, 0)
    with torch.no_grad():
        objective.uncertainty.weight.normal_(generator=torch.Generator().manual_seed(0))
    u = objective.uncertainty(terms.log_snr.float())
    expected = (-u).exp() * terms.loss + u
    torch.testing.assert_close(objective.terms(DENOISER, BATCH, 0).loss, expected)


def test_the_seed_decides_on_the_features():
    one, same, other = Uncertainty(1), Uncertainty(1), Uncertainty(2)
    assert torch.equal(one.frequencies, same.frequencies)
    assert not torch.isclose(one.frequencies, other.frequencies).any()


def test_it_is_saved_with_the_objective():
    options = ObjectiveOptions(uncertainty=True)
    first, second = Objective(options, seed=1), Objective(options, seed=2)
    with torch.no_grad():
        first.uncertainty.weight.normal_(generator=torch.Generator().manual_seed(0))
    second.load_state_dict(first.state_dict())
    log_snr = torch.linspace(-5, 5, 9)
    assert torch.equal(first.uncertainty(log_snr), second.uncertainty(log_snr))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_has_the_precision_of_the_batch(dtype):
    objective = Objective(ObjectiveOptions(uncertainty=True))
    batch = Batch(torch.zeros(8, 3, dtype=dtype))
    assert objective(DENOISER, batch, 0).dtype == dtype
