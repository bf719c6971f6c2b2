"""Every sampler of the package drives a network in float32, whatever it predicts."""

import pytest
import torch

from diffx_core import PREDICTIONS, NetworkDenoiser, NoiseSource, SwappedProcess, sample
from diffx_core.plugins import Registry
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP

SAMPLERS = {one.name: one for one in Registry.load({}).all("sampler")}
NAMED = pytest.mark.parametrize("name", sorted(SAMPLERS))


def backbone(x, label, cond):
    """Something smooth, of any size; sees that it is asked properly."""
    del cond
    assert x.dtype == torch.float32
    assert len(label) == len(x)
    return x.tanh() / 4


@NAMED
@pytest.mark.parametrize("prediction", PREDICTIONS.values(), ids=lambda one: one.name)
def test_every_prediction_is_sampled_in_float32(name, prediction, process):
    denoiser = NetworkDenoiser(backbone, process, prediction)
    sampler = SAMPLERS[name].load()(steps=6)
    drawn = sample(sampler, denoiser, (2, 3), noise=NoiseSource(0, range(3)))
    assert drawn.shape == (3, 2, 3)
    assert drawn.dtype == torch.float32
    assert drawn.isfinite().all()


@NAMED
def test_a_network_is_sampled_in_inference_mode_and_under_another_process(name):
    trained = NetworkDenoiser(backbone, ReferenceVP(), PREDICTIONS["v"])
    sampler = SAMPLERS[name].load()(steps=6)
    with torch.inference_mode():
        swapped = SwappedProcess(trained, ReferenceFlow())
        drawn = sample(sampler, swapped, (2, 3), noise=NoiseSource(0, range(3)))
    assert drawn.isfinite().all()


@NAMED
def test_what_a_sampler_knows_beforehand_is_prepared(name, monkeypatch):
    """A network is read at all times at once, before the first step, or at times of each sample."""
    denoiser = NetworkDenoiser(backbone, ReferenceVP(), PREDICTIONS["edm"])
    sampler = SAMPLERS[name].load()(steps=7)
    read, original = [], NetworkDenoiser._read

    def counted(self, times, device):
        read.append(len(times))
        return original(self, times, device)

    monkeypatch.setattr(NetworkDenoiser, "_read", counted)
    for seed in (0, 1):  # the second run goes through the same times
        sample(sampler, denoiser, (2,), noise=NoiseSource(seed, [0]))
    assert len(read) == (name not in ("parallel", "rk45"))
