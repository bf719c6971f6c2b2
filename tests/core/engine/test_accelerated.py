"""What makes steps faster changes neither what is learned nor what a checkpoint is called."""

import pytest
import torch
from attrs import evolve, field, frozen
from torch import nn

from diffx_core import PREDICTIONS, Batch, Dataset, DataSpec, NetworkDenoiser
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.saver import Saver
from diffx_core.engine.trainer import Trainer
from diffx_core.objective import Objective
from diffx_core.options import SaveOptions, TrainOptions
from diffx_core.testing.oracle import ReferenceVP

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator"),
]
CUDA = pytest.param("cuda", marks=GPU)


@frozen
class Noise(Dataset):
    """Small images."""

    spec: DataSpec = field(factory=lambda: DataSpec((3, 8, 8)))

    def __len__(self):
        return 24

    def batch(self, index):
        x = torch.sin(torch.arange(192) * (1.0 + index[:, None])).reshape(-1, 3, 8, 8)
        return Batch(x.float(), index=index)


class Net(nn.Module):
    """A network with convolutions; it remembers how its input lay in memory."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.layouts = set()

    def forward(self, x, noise_label, cond):
        if not torch.compiler.is_compiling():
            self.layouts.add(x.is_contiguous(memory_format=torch.channels_last))
        return self.last((self.first(x) + noise_label[:, None, None, None] / 1000).tanh())


def trainer(run, device="cpu", **options):
    denoiser = NetworkDenoiser(Net(), ReferenceVP(), PREDICTIONS["edm"])
    common = {"steps": 6, "batch_size": 4, "warmup": 0}
    return Trainer(
        denoiser,
        Noise(),
        Objective(seed=1),
        TrainOptions(**{**common, **options}),
        device=torch.device(device),
        saver=Saver(run),
        save=SaveOptions(every=3),
    )


def trained(run, start=None, **options):
    trainer(run, **options).fit(start)
    return load_checkpoint(run)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_compiled_run_is_saved_as_a_plain_one(tmp_path, device):
    plain = trained(tmp_path / "plain", device=device)
    compiled = trained(tmp_path / "compiled", device=device, compile=True)
    for part in ("weights", "ema", "training"):
        one, other = getattr(plain, part), getattr(compiled, part)
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert torch.allclose(value.float(), other[name].float(), rtol=1e-3, atol=1e-5), name
    middle = load_checkpoint(tmp_path / "compiled" / "checkpoints" / "step-00000003")
    resumed = trained(tmp_path / "resumed", middle, device=device)  # without compiling
    assert resumed.step == 6


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_images_may_lie_in_memory_as_convolutions_like_it(tmp_path, device):
    plain = trained(tmp_path / "plain", device=device)
    run = trainer(tmp_path / "last", device=device, channels_last=True)
    run.model.layouts.clear()
    run.fit()
    assert True in run.model.layouts
    assert run.model.first.weight.is_contiguous(memory_format=torch.channels_last)
    found = load_checkpoint(tmp_path / "last")
    for name, value in plain.weights.items():
        assert torch.allclose(value, found.weights[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "muon"])
@pytest.mark.parametrize("before", [True, False], ids=["from the beginning", "from a plain run"])
def test_a_run_whose_images_lie_otherwise_goes_on_alike(tmp_path, optimizer, before):
    same = {"optimizer": optimizer, "channels_last": True}
    whole = trained(tmp_path / "whole", **same)
    trained(tmp_path / "first", optimizer=optimizer, channels_last=before)
    middle = load_checkpoint(tmp_path / "first" / "checkpoints" / "step-00000003")
    resumed = trained(tmp_path / "resumed", middle, **same)
    for part in ("weights", "ema", "training"):
        one, other = getattr(whole, part), getattr(resumed, part)
        for name, value in one.items():
            if before:
                assert torch.equal(value, other[name]), name
            else:  # the plain steps before sum in another order
                assert torch.allclose(value, other[name], rtol=1e-3, atol=1e-6), name


@pytest.fixture
def deterministic(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_going_on_is_never_having_stopped_on_an_accelerator(tmp_path, precision):
    whole = trained(tmp_path / "whole", device="cuda", precision=precision)
    middle = load_checkpoint(tmp_path / "whole" / "checkpoints" / "step-00000003")
    resumed = trained(tmp_path / "resumed", middle, device="cuda", precision=precision)
    assert whole.progress == resumed.progress
    for part in ("weights", "ema", "training"):
        one, other = getattr(whole, part), getattr(resumed, part)
        assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_that_is_full_gives_advice(tmp_path):
    class Large(Net):
        def forward(self, x, noise_label, cond):
            if len(x) > 2:
                torch.empty(2**50, device=x.device)
            return super().forward(x, noise_label, cond)

    run = trainer(tmp_path, device="cuda", auto_micro_batch=True)
    run = evolve(run, denoiser=evolve(run.denoiser, backbone=Large()))
    assert run.fit().step == 6
