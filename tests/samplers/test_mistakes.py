"""What a model mistakes is not multiplied by a sampler, at few steps on any grid.

With exact models methods that extrapolate look fine where a network would make them explode.
"""

import pytest
import torch

from diffx_core import NoiseSource, sample
from diffx_core.estimate import from_x0, spread
from diffx_core.plugins import Registry
from diffx_core.testing import MixtureDenoiser
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP

REGISTRY = Registry.load({})
SAMPLERS = [
    one.name
    for one in REGISTRY.all()
    if one.kind == "sampler" and one.distribution == "diffx-samplers" and one.name != "rk45"
]
MISTAKE = 0.05


class Mistaken(MixtureDenoiser):
    """Wrong about the data by up to `MISTAKE`, in a way that changes with the time and with x."""

    def __call__(self, x, t, cond=None):
        exact = super().__call__(x, t, cond)
        time = spread(torch.as_tensor(t, dtype=torch.float64), x)
        alpha, sigma = self.scheduler.alpha(time), self.scheduler.sigma(time)
        wrong = MISTAKE * torch.sin(1290 * time + 3 * x)
        return from_x0(x, exact.x0 + wrong, alpha, sigma)


@pytest.mark.parametrize("process", [ReferenceFlow(), ReferenceVP()], ids=["flow", "vp"])
@pytest.mark.parametrize("grid", ["flow", "logsnr", "karras", "ratios:1000,1,0.03"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_mistake_of_the_model_is_not_multiplied(name, grid, process):
    for steps in (2, 3, 4, 5):
        sampler = REGISTRY.find("sampler", name).load()(steps=steps, grid=grid)
        noise = NoiseSource(0, range(64), dtype=torch.float64)
        exact, wrong = (
            sample(sampler, kind(process), (4,), noise=noise)
            for kind in (MixtureDenoiser, Mistaken)
        )
        # The most is .46, by the fourth order of ipndm; most methods stay below four times.
        assert (exact - wrong).square().mean().sqrt() < 10 * MISTAKE
