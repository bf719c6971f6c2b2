"""What is read from a prediction is what the denoiser behind it knows."""

import pytest
import torch

from diffx_core import PREDICTIONS
from diffx_core.testing import REFERENCE_PROCESSES, MixtureDenoiser, PredictedDenoiser
from diffx_core.testing.predicted import disagreement
from diffx_samplers.ddim import DDIM
from diffx_samplers.dpmpp import DPMPP

X = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
PROCESSES = pytest.mark.parametrize("scheduler", REFERENCE_PROCESSES, ids=repr)
NAMED = pytest.mark.parametrize("prediction", PREDICTIONS.values(), ids=lambda one: one.name)


@PROCESSES
@NAMED
def test_both_ends_are_those_of_the_denoiser(scheduler, prediction):
    oracle = MixtureDenoiser(scheduler)
    found = PredictedDenoiser(oracle, prediction)
    for t in (0.2, 0.6, torch.linspace(0.2, 0.6, 5, dtype=torch.float64)):
        for end in ("x0", "eps"):
            expected = getattr(oracle(X, t), end)
            assert torch.allclose(getattr(found(X, t), end), expected, rtol=0, atol=1e-10)


@NAMED
def test_it_is_asked_no_later_than_the_prediction_can_be_read(prediction):
    for scheduler in REFERENCE_PROCESSES:
        found = PredictedDenoiser(MixtureDenoiser(scheduler), prediction)
        assert found.t_max == prediction.horizon(scheduler)


def test_a_prediction_that_is_read_wrongly_is_seen():
    scheduler = REFERENCE_PROCESSES[0]
    wrong = PREDICTIONS["v"]._replace(target=PREDICTIONS["edm"].target)
    oracle = MixtureDenoiser(scheduler)
    through = PredictedDenoiser(oracle, PREDICTIONS["v"])(X, 0.5)
    misread = type(through)(X, through.output, PredictedDenoiser(oracle, wrong)(X, 0.5).decoding)
    assert not torch.allclose(misread.x0, oracle(X, 0.5).x0, atol=1e-3)


@NAMED
def test_samples_through_a_prediction_are_the_same(prediction):
    for scheduler in REFERENCE_PROCESSES:
        for sampler in (DDIM(steps=6), DDIM(steps=6, eta=1.0), DPMPP(steps=6)):
            assert disagreement(sampler, scheduler, prediction) < 1e-9


def test_a_sampler_that_looks_at_the_output_is_seen():
    class Peeking(DDIM):
        def step(self, denoise, x, i, plan, state, noise):
            x, state = super().step(denoise, x, i, plan, state, noise)
            return x + 0.01 * denoise(x, plan.times[i]).output, state

        @property
        def nfe(self):
            return 2 * self.steps

    assert disagreement(Peeking(steps=6), REFERENCE_PROCESSES[0], PREDICTIONS["eps"]) > 1e-3
