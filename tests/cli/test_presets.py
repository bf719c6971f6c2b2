"""`--preset`: the size of a network by the memory of a device; what has been said wins."""

import json
from pathlib import Path

import pytest
import torch

from diffx_backbones.dit import DiT
from diffx_backbones.unet import UNet
from diffx_cli.train import sizing
from diffx_cli.train.sizing import size_for
from diffx_core import Condition, DataSpec
from diffx_core.engine.footprint import footprint

GIB = 2**30


@pytest.fixture
def memory(monkeypatch):
    """Let the device have so many GiB."""
    return lambda gib: monkeypatch.setattr(sizing, "memory_of", lambda _: int(gib * GIB))


def resolved(diffx, *flags):
    result = diffx("train", *flags, "--device", "cpu", "--dry-run", "--json")
    assert result.rc == 0, result.err
    return json.loads(result.out)["config"], result.err


@pytest.mark.parametrize(
    ("gib", "size"),
    [
        *((None, "tiny"), (0.5, "tiny"), (3.99, "tiny"), (4, "small"), (7.99, "small")),
        *((8, "medium"), (15.99, "medium"), (16, "large"), (141, "large")),
    ],
)
def test_the_size_is_the_largest_that_the_memory_has_room_for(gib, size):
    assert size_for(None if gib is None else int(gib * GIB)) == size


def test_a_processor_is_tiny(diffx):
    config, err = resolved(diffx, "--preset", "auto")
    assert config["backbone"]["preset"] == "tiny"
    assert "preset tiny for cpu: backbone.preset tiny, train.batch_size 128, train.lr 0.002" in err


@pytest.mark.parametrize(
    ("size", "flags", "preset", "batch"),
    [
        ("small", ("--backbone", "dit"), "small/1", 128),
        ("medium", ("--backbone", "uvit"), "S/1", 256),
        ("medium", ("--backbone", "unet"), "ddpm35m", 256),
        ("small", ("--backbone", "edm2"), "small", 128),
    ],
    ids=str,
)
def test_the_network_and_the_batch_are_of_the_size(diffx, size, flags, preset, batch):
    config, _ = resolved(diffx, "--preset", size, *flags)
    assert (config["backbone"]["preset"], config["train"]["batch_size"]) == (preset, batch)


def test_vectors_come_in_larger_batches(diffx):
    config, _ = resolved(diffx, *["--preset", "small", "--dataset", "toy2d", "--backbone", "mlp"])
    assert (config["backbone"]["width"], config["train"]["batch_size"]) == (256, 1024)


def test_a_batch_has_no_more_examples_than_there_are(diffx):
    flags = ("--dataset", "toy2d", "--backbone", "mlp", "--dataset.points", "50")
    config, _ = resolved(diffx, "--preset", "small", *flags)
    assert config["train"]["batch_size"] == 50


def test_what_flags_and_files_say_wins(diffx):
    Path("run.yaml").write_text("train: {lr: 0.5}\n")
    flags = ("--config", "run.yaml", "--backbone.preset", "tiny", "--train.batch-size", "7")
    config, err = resolved(diffx, "--preset", "medium", *flags)
    assert config["backbone"]["preset"] == "tiny"
    assert (config["train"]["lr"], config["train"]["batch_size"]) == (0.5, 7)
    assert "backbone.preset" not in err
    assert "train." not in err


def test_an_option_that_a_flag_gives_joins_those_of_the_preset(diffx):
    config, _ = resolved(diffx, "--preset", "small", "--backbone.dropout", "0.25")
    assert (config["backbone"]["preset"], config["backbone"]["dropout"]) == ("small", 0.25)


def test_a_recipe_keeps_its_training_and_gives_up_its_network(diffx, monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    Path("run.yaml").write_text("recipe: digits\npreset: small\n")
    config, _ = resolved(diffx, "--config", "run.yaml", "--train.steps", "3")
    assert config["backbone"]["preset"] == "small"
    assert (config["train"]["lr"], config["train"]["batch_size"]) == (2e-3, 128)
    assert (config["train"]["steps"], config["ema"]["decay"]) == (3, 0.99)


def test_a_batch_that_has_no_room_is_sent_in_parts(diffx, memory):
    memory(0.1)
    config, err = resolved(diffx, "--preset", "tiny", "--dataset.size", "32")
    part = config["train"]["micro_batch"]
    assert part < config["train"]["batch_size"]
    assert part & (part - 1) == 0
    assert "with 0.1 GiB: backbone.preset tiny, train.batch_size 128, train.lr 0.002" in err
    assert f"train.micro_batch {part}" in err
    memory(0.2)
    config, _ = resolved(diffx, "--preset", "tiny", "--dataset.size", "32")
    # Twice the memory has room for twice as many and the weights besides, which are few.
    assert config["train"]["micro_batch"] == 2 * part


def test_a_batch_that_has_room_is_sent_whole(diffx, memory):
    memory(80)
    config, _ = resolved(diffx, "--preset", "small")
    assert config["train"]["micro_batch"] is None


def test_parts_that_a_flag_asks_for_are_left_alone(diffx, memory):
    memory(0.01)
    config, _ = resolved(diffx, "--preset", "tiny", "--train.micro-batch", "3")
    assert config["train"]["micro_batch"] == 3


def test_a_network_without_room_for_one_example_is_refused(diffx, memory):
    memory(0.5)
    result = diffx("train", "--preset", "large", "--device", "cpu", "--dry-run")
    assert result.rc == 2
    assert "unet (diffx-backbones 0.1.0) needs 1.0 GiB" in result.err
    assert "0.5 GiB" in result.err


ODD = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_backbones():
    return [Component("odd", "diffx_odd.odd:Odd", "For tests")]
"""
NETWORK = '''
from torch import nn
from diffx_core import Sized

class Odd(nn.Module):
    """A layer.

    Args:
        width: of it.
    """

    def __init__(self, spec, *, width: int = 3):
        super().__init__()
        self.layer = nn.Linear(*spec.shape, *spec.shape)

    def forward(self, x, noise_label, cond):
        return self.layer(x)

    SIZED
'''


@pytest.fixture
def odd(fake_distribution):
    """A network of a stranger's."""

    def install(body):
        method = f"@classmethod\n    def sized(cls, size, spec):\n        {body}" if body else ""
        fake_distribution("diffx-odd", {"plugin": ODD, "odd": NETWORK.replace("SIZED", method)})
        return ("--backbone", "odd", "--dataset", "toy2d", "--preset", "large")

    return install


def test_a_strangers_network_may_come_in_sizes(diffx, odd):
    config, _ = resolved(diffx, *odd("return Sized(options={'width': len(size)}, lr=0.25)"))
    assert config["backbone"]["width"] == len("large")
    assert config["train"]["lr"] == 0.25


@pytest.mark.parametrize(
    ("body", "rc", "reason"),
    [
        ("", 2, "backbone odd (diffx-odd 1.0) does not come in sizes"),
        ("raise RuntimeError('no')", 3, "odd (diffx-odd 1.0)"),
        ("return Sized(options={'depth': 3}, lr=1)", 3, "has options that it has not: depth"),
    ],
    ids=["no sizes", "raises", "unknown option"],
)
def test_a_network_without_proper_sizes_is_named(diffx, odd, body, rc, reason):
    result = diffx("train", *odd(body), "--device", "cpu", "--dry-run")
    assert result.rc == rc
    assert reason in result.err
    assert result.err.count("\n") == 1


def test_an_unknown_preset_is_refused(diffx):
    result = diffx("train", "--preset", "huge")
    assert result.rc == 2
    assert "--preset: " in result.err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cls", [UNet, DiT], ids=lambda cls: cls.__name__)
def test_a_step_on_an_accelerator_has_room_in_the_memory_that_it_was_counted_for(cls):
    spec, n = DataSpec(shape=(3, 32, 32), num_classes=10), 64
    options = cls.sized("small", spec).options
    told = Condition(label=torch.zeros(1, dtype=torch.long))
    need = footprint(lambda: cls(spec, **options), spec.shape, told)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    model = cls(spec, **options).cuda().train()
    average = [one.detach().clone() for one in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    x, t = torch.randn(n, *spec.shape, device="cuda"), torch.rand(n, device="cuda")
    cond = Condition(label=torch.zeros(n, dtype=torch.long, device="cuda"))
    for _ in range(2):
        model(x, t, cond).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    del average
    assert torch.cuda.max_memory_allocated() <= (need.state + n * need.example) / sizing.USED
