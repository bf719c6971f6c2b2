"""What the objective costs in a training step, beside the whole step of a small network.

Run with `pytest tests/benchmarks --benchmark-enable`. Nothing here asserts a time.
"""

import pytest
import torch

from diffx_core import PREDICTIONS, NetworkDenoiser, Objective
from diffx_core.options import ObjectiveOptions
from diffx_core.plugins import Registry

REGISTRY = Registry.load({})
BATCH = 128
SETUPS = {"mlp": "toy2d", "unet": "digits"}
CHOICES = {
    "default": {},
    "likelihood": {"weighting": "likelihood"},
    "adaptive": {"times": "adaptive"},
    "importance": {"times": "importance"},
    "uncertainty": {"uncertainty": True},
}


def build(kind, name, *facts):
    return REGISTRY.find(kind, name).load()(*facts)


def echo(x, noise_label, cond):
    """A network that costs nothing."""
    return x


@pytest.fixture(params=SETUPS)
def setup(request):
    data = build("dataset", SETUPS[request.param])
    torch.manual_seed(0)
    network = build("backbone", request.param, data.spec)
    return network, data.batch(torch.arange(BATCH)), data.spec.sigma_data


def test_whole_step(benchmark, setup):
    network, batch, sigma_data = setup
    denoiser = NetworkDenoiser(network, build("scheduler", "vpsde"), PREDICTIONS["edm"], sigma_data)
    objective = Objective()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step():
        loss = objective(denoiser, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    loss = benchmark.pedantic(step, rounds=10, warmup_rounds=2)
    assert loss.isfinite()


@pytest.mark.parametrize("choice", CHOICES)
def test_objective_alone(benchmark, setup, choice):
    _, batch, sigma_data = setup
    denoiser = NetworkDenoiser(echo, build("scheduler", "vpsde"), PREDICTIONS["edm"], sigma_data)
    objective = Objective(ObjectiveOptions(**CHOICES[choice]))
    loss = benchmark.pedantic(lambda: objective(denoiser, batch), rounds=30, warmup_rounds=3)
    assert loss.isfinite()
