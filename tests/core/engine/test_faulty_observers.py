"""A run is the same whoever listens, and goes on when they fail: full disks, kills, anything."""

import json
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import field, frozen
from torch import nn

from diffx_core import PREDICTIONS, Batch, Dataset, DataSpec, NetworkDenoiser
from diffx_core.engine.events import Started, Stepped
from diffx_core.engine.observers import MetricsFile, read_metrics
from diffx_core.engine.trainer import Trainer
from diffx_core.objective import Objective
from diffx_core.options import TrainOptions
from diffx_core.testing.oracle import ReferenceVP


@frozen
class Circle(Dataset):
    """Sixteen points on a circle."""

    spec: DataSpec = field(factory=lambda: DataSpec((2,), sigma_data=0.7071))

    def __len__(self):
        return 16

    def batch(self, index):
        angle = index * torch.pi / 8
        return Batch(torch.stack([angle.cos(), angle.sin()], 1), index=index)


class Noisy(nn.Module):
    """A network that uses every global source of random numbers there is."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Dropout(0.2), nn.Linear(16, 2))

    def forward(self, x, noise_label, cond):
        y = self.net(torch.cat([x, noise_label[:, None] / 1000], 1))
        return y * (1 + 0.1 * random.random() + 0.1 * np.random.rand())  # noqa: NPY002


def weights_after(*observers):
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    denoiser = NetworkDenoiser(Noisy(), ReferenceVP(), PREDICTIONS["edm"], sigma_data=0.7071)
    options = TrainOptions(steps=12, batch_size=8, warmup=0)
    Trainer(denoiser, Circle(), Objective(), options, observers=observers).fit()
    return denoiser.backbone.state_dict()


def draws(event):
    random.random()
    np.random.rand()  # noqa: NPY002
    torch.manual_seed(random.getrandbits(30))
    torch.set_grad_enabled(False)


def draws_and_fails(event):
    draws(event)
    if isinstance(event, Stepped) and event.step == 5:
        raise OSError("the disk is full")


@pytest.mark.parametrize("observer", [draws, draws_and_fails])
def test_the_weights_are_those_of_a_run_to_which_nobody_listens(observer):
    alone, heard = weights_after(), weights_after(observer)
    assert all(torch.equal(alone[name], heard[name]) for name in alone)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.gpu
def test_random_numbers_of_the_accelerator_are_left_alone():
    from diffx_core.engine.observers import Told

    torch.cuda.manual_seed(0)
    expected = torch.rand(4, device="cuda")
    torch.cuda.manual_seed(0)
    Told([lambda _: torch.rand(4, device="cuda")])(Started(1, 1, 1))
    assert torch.equal(torch.rand(4, device="cuda"), expected)


FULL = """
import resource, sys
from pathlib import Path
from diffx_core.engine.events import Finished, Started, Stepped
from diffx_core.engine.observers import Logged, MetricsFile, Told
from diffx_loggers.csv_file import CsvFile

folder, notes, heard = Path(sys.argv[1]), [], []
observers = [
    MetricsFile(folder / "metrics.jsonl", every=1),
    Logged(CsvFile(), "logger csv", folder, every=1),
    heard.append,
]
told = Told(observers, notes.append)
told(Started(400, 8, 100))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for step in range(1, 401):
    told(Stepped(step, 0.5, 1e-4, 1.0, step / 10))
told(Finished(400, 40.0))
print(len(heard), *notes, sep="\\n")
"""


def test_a_disk_that_is_full_costs_lines_and_not_the_run(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["402"]  # nobody was switched off
    assert [line.rpartition("/")[2] for line in done.stderr.splitlines()] == [
        "metrics.jsonl: File too large; lines are lost until there is room",
        "metrics.csv: File too large; rows are lost until there is room",
    ]
    table = (tmp_path / "metrics.csv").read_text().split("\n")[1:-1]
    assert [int(row.split(",")[0]) for row in table] == list(range(1, len(table) + 1))
    assert len(table) > 10
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 10


KILLED = """
import os, signal, sys
from pathlib import Path
from diffx_core.engine.events import Started, Stepped
from diffx_core.engine.observers import MetricsFile

metrics, stop = MetricsFile(Path(sys.argv[1]), every=1), int(sys.argv[2])
metrics(Started(100, 8, 100))
for step in range(1, 51):
    metrics(Stepped(step, 0.5, 1e-4, 1.0, step / 10))
with Path(sys.argv[1]).open("a") as file:
    file.write('{"step": 51, "loss": 0.5, "lr": 0.0001}'[:stop])
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("written", [0, 1, 12, 39])
def test_a_run_that_was_killed_in_the_middle_of_a_line_goes_on_with_its_file(tmp_path, written):
    path = Path(tmp_path / "metrics.jsonl")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(written)], check=False)
    assert done.returncode == -signal.SIGKILL
    metrics = MetricsFile(path, every=1)
    metrics(Started(100, 8, 100, 40))
    metrics(Stepped(41, 0.25, 1e-4, 1.0, 0.1))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 42))
    assert rows[-1]["loss"] == 0.25


def test_figures_go_on_after_a_disk_was_full(tmp_path, limited, caplog):
    metrics = MetricsFile(tmp_path / "metrics.jsonl", every=1)
    metrics(Started(steps=9, batch_size=1, parameters=1))
    for step in range(1, 10):
        if step in {3, 4}:
            limited((tmp_path / "metrics.jsonl").stat().st_size + 20)
        metrics(Stepped(step, 1.0, 1.0, 1.0, 1.0))
        limited(resource.RLIM_INFINITY)
    steps = [row["step"] for row in read_metrics(tmp_path / "metrics.jsonl")]
    assert steps == [1, 2, 5, 6, 7, 8, 9]
    assert caplog.text.count("lines are lost until there is room") == 1
