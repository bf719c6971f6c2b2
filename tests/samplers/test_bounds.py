"""Options of samplers that would never end, or break what the network says, are refused."""

import pytest
import torch

from diffx_core import ConfigError, NoiseSource, sample
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.heun import Heun
from diffx_samplers.predictor_corrector import PredictorCorrector
from diffx_samplers.repaint import RePaint
from diffx_samplers.restart import Restart
from diffx_samplers.rk45 import RK45


@pytest.mark.parametrize(
    ("kind", "name", "most"),
    [
        (Restart, "repeats", 1000),
        (Restart, "share", 1),
        (PredictorCorrector, "corrector_steps", 1000),
        (RePaint, "resamples", 1000),
        (Heun, "s_noise", 10),
    ],
)
def test_no_option_is_beyond_all_use(kind, name, most):
    assert getattr(kind(**{name: most}), name) == most
    with pytest.raises(ValueError, match=f"'{name}' must be <= {most}"):
        kind(**{name: 10**9})


def test_a_tolerance_below_rounding_is_refused_and_one_above_is_met():
    model = GaussianDenoiser(ReferenceVP())
    sampler = RK45(rtol=1e-12, atol=1e-12)
    with pytest.raises(ConfigError, match=r"below the rounding of torch.float32, which is 1.2e-07"):
        sample(sampler, model, (3,), noise=NoiseSource(0, [0]))
    assert model.calls == []
    double = NoiseSource(0, [0], dtype=torch.float64)
    assert sample(sampler, model, (3,), noise=double).isfinite().all()


def test_a_grid_that_ends_above_the_restarts_is_named():
    model, noise = GaussianDenoiser(ReferenceVP()), NoiseSource(0, [0])
    sampler = Restart(grid="ratios:1000,1,0.3", steps=2)
    message = (
        r"the steps end at sigma / alpha = 0.3, and restarts go from 0.06 back to 0.3: let the "
        "grid end lower, or raise high"
    )
    with pytest.raises(ConfigError, match=message):
        sample(sampler, model, (3,), noise=noise)
    assert model.calls == []
    raised = Restart(grid="ratios:1000,1,0.3", steps=2, high=1.0)
    assert sample(raised, model, (3,), noise=noise).isfinite().all()
