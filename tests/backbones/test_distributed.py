"""Networks in DistributedDataParallel, as the trainer of many devices wraps them."""

import subprocess
import sys

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


@pytest.fixture(scope="module")
def _group(tmp_path_factory):
    store = distributed.FileStore(str(tmp_path_factory.mktemp("ranks") / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("_group")
def test_every_parameter_takes_part_in_every_step(case, inputs):
    # DDP raises in the second step if a parameter got no gradient in the first
    network = DistributedDataParallel(case.network())
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        (network(*inputs) - inputs.x).square().sum().backward()
        optimizer.step()
    assert all(p.isfinite().all() for p in network.parameters())


TWO_RANKS = """
import os

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from diffx_backbones.edm2 import EDM2
from diffx_core import Condition, DataSpec

torch.set_num_threads(1)
distributed.init_process_group("gloo")
rank = distributed.get_rank()
torch.manual_seed(rank)  # DDP hands out the weights of rank 0
network = EDM2(DataSpec((1, 8, 8), 3), channels=8, mults=(1, 2), attention_sides=(4,))
network = DistributedDataParallel(network)
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, fused=True)
for _ in range(3):
    x = torch.randn(4, 1, 8, 8)
    optimizer.zero_grad()
    y = network(x, 1000 * torch.rand(4), Condition(torch.tensor([0, 1, 2, -1])))
    (y - x).square().mean().backward()
    optimizer.step()
weights = torch.cat([p.detach().flatten() for p in network.parameters()])
both = [torch.empty_like(weights) for _ in range(2)]
distributed.all_gather(both, weights)
assert weights.isfinite().all() and torch.equal(*both)
distributed.destroy_process_group()
os._exit(0)  # a thread of torch that wants the interpreter while it ends would abort the process
"""


@pytest.mark.slow
def test_weights_that_are_taken_back_stay_the_same_on_every_rank(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(TWO_RANKS, encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*launch, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
