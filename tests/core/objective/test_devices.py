"""No device is asked for float64, which not all of them have."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from diffx_core import PREDICTIONS, Batch, Condition, NetworkDenoiser, Objective
from diffx_core.options import ObjectiveOptions

DEVICE = torch.device("meta")


class WithoutFloat64(TorchDispatchMode):
    """The device `meta` as one that has no float64."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves((args, kwargs, out)):
            if isinstance(one, torch.Tensor) and one.device == DEVICE:
                assert one.dtype != torch.float64, f"{func} with float64 on the device"
        return out


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 4)
        self.label = nn.Embedding(4, 4)

    def forward(self, x, noise_label, cond):
        return self.net(x) + noise_label[:, None] + self.label(cond.label % 4)


@pytest.mark.parametrize("times", ["log_normal_sigma", "adaptive"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_training_step_keeps_float64_on_the_cpu(process, prediction, times):
    network = Net().to(DEVICE)
    options = ObjectiveOptions(prediction=prediction, times=times, uncertainty=True)
    objective = Objective(options).to(DEVICE)
    denoiser = NetworkDenoiser(network, process, PREDICTIONS[prediction])
    optimizer = torch.optim.AdamW([*network.parameters(), *objective.parameters()])
    batch = Batch(torch.zeros(8, 4), Condition(torch.zeros(8, dtype=torch.int64))).to(DEVICE)
    with WithoutFloat64():
        loss = objective(denoiser, batch, 0)
        loss.backward()
        optimizer.step()
    assert loss.device == DEVICE
    assert loss.dtype == torch.float32


def test_the_mode_notices_float64():
    with WithoutFloat64(), pytest.raises(AssertionError, match="float64 on the device"):
        torch.ones(2, dtype=torch.float64).to(DEVICE)
