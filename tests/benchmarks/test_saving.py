"""What a gigabyte of checkpoint costs: the stall of a step, the whole save, and loading it.

Run with `pytest tests/benchmarks/test_saving.py --benchmark-enable`. Nothing here asserts a time.
`stall` is what training waits for when memory for the copy is there; the others are run beside the
plain calls of peers: torch.save with its pickle, and safetensors without sums or flushes.
"""

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffx_core.engine.checkpoint import load_checkpoint, newest
from diffx_core.engine.saver import Saver
from diffx_core.engine.saving import Snapshot, save_checkpoint

GIGABYTE = 10**9
TENSORS = 50


@pytest.fixture(scope="module")
def tensors(request):
    """A gigabyte of weights, their average and two moments of an optimizer, in all.

    Where nothing is timed, a megabyte shows as well that all this works.
    """
    size = GIGABYTE if request.config.getoption("benchmark_enable") else GIGABYTE // 1000
    numbers = size // 4 // (4 * TENSORS)
    generator = torch.Generator().manual_seed(0)
    return {f"layer.{i}": torch.randn(numbers, generator=generator) for i in range(TENSORS)}


@pytest.fixture(scope="module")
def snapshot(tensors):
    moments = {f"{kind}.{name}": one for kind in ("m", "v") for name, one in tensors.items()}
    return Snapshot(step=1, weights=tensors, ema=tensors, training=moments)


def test_stall_of_a_step(benchmark, tmp_path, snapshot):
    saver = Saver(tmp_path, keep=1)
    saver.save(snapshot)

    def ready():
        saver.finish()

    benchmark.pedantic(saver.save, (snapshot,), setup=ready, rounds=5, warmup_rounds=1)
    saver.finish()
    assert newest(tmp_path).checkpoint.step == 1


def test_whole_save(benchmark, tmp_path, snapshot):
    benchmark.pedantic(save_checkpoint, (tmp_path, snapshot), rounds=3, warmup_rounds=1)
    assert newest(tmp_path).checkpoint.step == 1


def test_loading_all_of_it(benchmark, tmp_path, snapshot):
    folder = save_checkpoint(tmp_path, snapshot)
    found = benchmark.pedantic(load_checkpoint, (folder,), rounds=3, warmup_rounds=1)
    assert torch.equal(found.training["m.layer.0"], snapshot.weights["layer.0"])


def test_loading_the_average_alone(benchmark, tmp_path, snapshot):
    folder = save_checkpoint(tmp_path, snapshot)
    found = benchmark.pedantic(load_checkpoint, (folder, ["ema"]), rounds=3, warmup_rounds=1)
    assert torch.equal(found.ema["layer.0"], snapshot.ema["layer.0"])


def everything(snapshot):
    return {f"{file}/{name}": one for file, part in snapshot.files for name, one in part.items()}


def test_torch_save(benchmark, tmp_path, snapshot):
    path = tmp_path / "all.pt"
    files = {name: one.clone() for name, one in everything(snapshot).items()}
    benchmark.pedantic(torch.save, (files, path), rounds=3, warmup_rounds=1)
    assert path.stat().st_size > snapshot.bytes


def test_safetensors_alone(benchmark, tmp_path, snapshot):
    path = tmp_path / "all.safetensors"
    files = {name: one.clone() for name, one in everything(snapshot).items()}
    benchmark.pedantic(save_file, (files, path), rounds=3, warmup_rounds=1)
    assert len(load_file(path)) == 4 * TENSORS
